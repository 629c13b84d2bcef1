"""nbgrader's data base as a file: its address, one writer at a time, and what goes wrong in words."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from course_lib.grading.outside.locks import try_lock


class GradebookError(Exception):
    """The gradebook cannot be written; the text says why, what stands, and what to do."""


def address(gradebook: Path | str, *, wait: float = 10.0) -> str:
    """The SQLAlchemy address of a gradebook; for SQLite with the seconds to wait for a lock in it."""
    if isinstance(gradebook, str) and "://" in gradebook:
        return gradebook
    return f"sqlite:///{Path(gradebook).absolute()}?timeout={wait:g}"


@contextlib.contextmanager
def writer_lock(folder: Path, *, wait: float = 0.0) -> Iterator[None]:
    """Holds the right to write grades under `folder`; a second writer waits, then is refused by name.

    Raises:
        GradebookError: another process holds it, or the folder cannot be written.
    """
    path = folder / ".grading.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - closed below, which ends the lock
    except OSError as error:
        raise GradebookError(f"{path} cannot be written: {error.strerror}. No grade was changed.") from error
    with handle:
        until = time.monotonic() + wait
        while not try_lock(handle):
            if time.monotonic() >= until:
                handle.seek(0)
                holder = handle.read(200).strip() or "another process"
                raise GradebookError(
                    f"Grades under {folder} are being written by {holder}. Nothing was changed and the results are "
                    "kept: run the same command again when it is done."
                )
            time.sleep(0.1)
        holder = f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%H:%M:%S')}"
        with contextlib.suppress(OSError):  # on a full disk only the name is missing, and the lock holds
            os.ftruncate(handle.fileno(), 0)
            os.write(handle.fileno(), holder.encode())
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(handle.fileno(), 0)


@contextlib.contextmanager
def explained(gradebook: Path | str) -> Iterator[None]:
    """Turns what a data base or a disk says into a sentence that says what to do."""
    from nbgrader.api import InvalidEntry, app_log
    from sqlalchemy.exc import DBAPIError

    silent, app_log.disabled = app_log.disabled, True  # nbgrader prints pages of traceback before it raises
    kept = "What was written before is whole and the results are kept: run the same command again afterwards."
    try:
        yield
    except (DBAPIError, InvalidEntry) as error:  # nbgrader wraps some of what its data base says
        words = (str(getattr(error, "orig", error)).splitlines() or [type(error).__name__])[0]
        if "locked" in words:
            advice = "another program is writing to it; is a grade being saved in formgrader, or nbgrader running?"
        elif "no such column" in words or "no such table" in words:
            advice = "it was made by another version of nbgrader; back it up, then run `nbgrader db upgrade`."
        elif "not a database" in words or "malformed" in words:
            advice = "it is damaged or no gradebook at all; put a copy of it back, or move it away to start a new one."
        elif "full" in words:
            advice = "there is no room left on its disk; make some."
        else:
            advice = "is its folder there, and may you write to it?"
        raise GradebookError(f"The gradebook {gradebook} cannot be written ({words}): {advice} {kept}") from error
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not error.filename:
            raise  # a released notebook that is missing: already a sentence
        where = error.filename or gradebook
        raise GradebookError(f"{where} cannot be written: {error.strerror or error}. {kept}") from error
    finally:
        app_log.disabled = silent


@contextlib.contextmanager
def connected(url: str) -> Iterator[Any]:
    """A connection for plain statements: nbgrader's objects add up all scores at each access, too slow for a class."""
    from sqlalchemy import create_engine

    engine = create_engine(url, future=True)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
