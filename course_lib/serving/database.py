"""The server's data base: its tables, how it is opened, and what goes wrong with it in words.

SQLite by default, a file in the class folder; PostgreSQL by its URL. The notebooks are not in it: they lie in
class/attempts, and attempts that the data base does not know are entered again when the server starts.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

SECONDS = 10  # to wait for another writer

tables = MetaData()

students = Table(
    "students",
    tables,
    Column("id", Integer, primary_key=True),
    Column("student", String(200), nullable=False, unique=True),  # the name of the folder
    Column("name", String(400), nullable=False, default=""),
    Column("email", String(400), nullable=False, default=""),
    Column("mark", String(32), nullable=False),  # part of the link: another mark, and the old link is void
    Column("has_link", Boolean, nullable=False, default=True),
)

attempts = Table(
    "attempts",
    tables,
    Column("id", Integer, primary_key=True),
    Column("student_id", ForeignKey("students.id"), nullable=False),
    Column("unit", String(200), nullable=False),
    Column("notebook", String(200), nullable=False),
    Column("number", Integer, nullable=False),  # of the file in class/attempts
    Column("received", String(40), nullable=False),
    Column("state", String(10), nullable=False),
    Column("turn", Integer, nullable=False, default=0),  # how many of the student's own waited before it
    Column("round", Integer, nullable=False, default=0),  # one more for each time it is graded again
    Column("tries", Integer, nullable=False, default=0),  # of this round
    Column("claim", String(120), nullable=False, default=""),  # who grades it now
    Column("problem", Text, nullable=False, default=""),
    Column("score", Float),
    Column("points", Float),
    Column("recorded", Boolean, nullable=False, default=False),  # whether the gradebook has it
    UniqueConstraint("student_id", "unit", "notebook", "number"),
    Index("attempts_by_state", "state", "turn", "id"),
)

results = Table(
    "results",
    tables,
    Column("attempt_id", ForeignKey("attempts.id"), primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),  # so a round of an attempt has one result
    Column("record", Text, nullable=False),  # as `course grade` writes it
    Column("blocks", Text, nullable=False),  # what the student may see
)

settings = Table(
    "settings", tables, Column("name", String(60), primary_key=True), Column("value", Text, nullable=False)
)


class DatabaseError(Exception):
    """The data base cannot be used; the text says why, what is kept, and what to do."""


class Database:
    """A data base of the server.

    Args:
        url: "sqlite:///FILE" or "postgresql+psycopg://USER@HOST/NAME".
        make: whether tables that are not there are made; where not, a missing file is an error.

    Raises:
        DatabaseError: it cannot be opened.
    """

    def __init__(self, url: str, *, make: bool = False, seconds: float = SECONDS) -> None:
        self.url = url
        try:
            address = make_url(url)
            self.file = Path(address.database or "") if address.get_backend_name() == "sqlite" else None
            self._engine = _sqlite(self.file, seconds) if self.file else create_engine(url, pool_pre_ping=True)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as fault:
            raise DatabaseError(
                f"The data base {_without_password(url)} cannot be opened ({fault}). Expected is sqlite:///FILE, or "
                "postgresql+psycopg://USER@HOST/NAME after: pip install 'psycopg[binary]'"
            ) from None
        if make:
            with self.explained():
                if self.file:
                    self.file.parent.mkdir(parents=True, exist_ok=True)
                    sqlite3.connect(self.file).close()  # from now on a file that is gone is an error
                tables.create_all(self._engine)
                if self.file:
                    with self._engine.connect() as connection:
                        connection.exec_driver_sql("COMMIT")
                        connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to ask things.

        Raises:
            DatabaseError: it cannot be read.
        """
        with self.explained(), self._engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection on which all changes are on the disk at the end, or none is made.

        Raises:
            DatabaseError: it cannot be written.
        """
        with self.explained(), self._engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turns what a data base says into a sentence that says what to do."""
        try:
            yield
        except DBAPIError as error:
            words = (str(error.orig).splitlines() or [type(error).__name__])[0]
            if "locked" in words or "busy" in words:
                advice = "another program holds it; is it open in another one, or being backed up?"
            elif "unable to open" in words or "no such table" in words or "not a database" in words:
                advice = (
                    "its file is gone or damaged; stop the server, put a copy back or move it away, and start again."
                )
            elif "full" in words:
                advice = "there is no room left on its disk; make some."
            else:
                advice = "is it running, and may the server use it?"
            where = self.file or _without_password(self.url)
            raise DatabaseError(
                f"The data base {where} cannot be used ({words}): {advice} All notebooks that were handed in are kept."
            ) from error
        except OSError as error:
            raise DatabaseError(f"{error.filename or self.file} cannot be used: {error.strerror}.") from error

    def close(self) -> None:
        """Closes all connections."""
        self._engine.dispose()


def _sqlite(path: Path, seconds: float) -> Engine:
    """An engine for a file that is there: what is committed survives a crash."""

    def connect() -> sqlite3.Connection:
        address = f"file:{quote(str(path.absolute()))}?mode=rw"
        # Transactions begin where `_begin` says so, not where Python's module guesses.
        return sqlite3.connect(
            address, uri=True, timeout=seconds, isolation_level=None, check_same_thread=False, cached_statements=0
        )

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes the lock at its beginning: one that reads first and then writes could not wait for another.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url
