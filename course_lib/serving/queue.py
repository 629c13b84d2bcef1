"""Which attempt is graded next, and what became of it. The queue is the data base, so it survives a kill.

An attempt is queued, running, done or failed. A worker that takes one writes its claim into the row, and a result is
recorded only where this claim still stands. Whether a worker still works is known from its process and from no clock: a
clock that jumps neither loses an attempt nor has it recorded twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from course_lib.grading.outside.recognizing import Which
from course_lib.serving.database import Database, attempts, results, students

TRIES = 5  # workers that may die over an attempt before it counts as failed
DIED = "It ended the process that graded it, {tries} times. Your instructor can see it and have it graded again."


class State(StrEnum):
    """Where an attempt is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Claim:
    """An attempt that a worker has taken.

    Attributes:
        claim: who has taken it, and a word that no other claim has.
        number: of its file in class/attempts.
    """

    attempt: int
    claim: str
    round: int
    student: str
    which: Which
    number: int


def add(connection: Connection, student_id: int, which: Which, number: int, received: str) -> int:
    """Enters an attempt, once; returns its id."""
    theirs = (attempts.c.student_id == student_id) & (attempts.c.unit == which.unit)
    known = select(attempts.c.id).where(theirs, attempts.c.notebook == which.notebook, attempts.c.number == number)
    there = connection.execute(known).scalar()
    if there is not None:
        return int(there)
    waiting = select(func.count()).where(
        attempts.c.student_id == student_id, attempts.c.state.in_([State.QUEUED, State.RUNNING])
    )
    row = {
        "student_id": student_id, "unit": which.unit, "notebook": which.notebook, "number": number,
        "received": received, "state": State.QUEUED, "turn": connection.execute(waiting).scalar() or 0,
    }  # fmt: skip
    return int(connection.execute(insert(attempts).values(row).returning(attempts.c.id)).scalar_one())


def claim(database: Database, worker: str) -> Claim | None:
    """Takes the next attempt: of the students with the fewest running ones, whose turn it is.

    Args:
        worker: who takes it; `put_back` takes the same name.

    Raises:
        DatabaseError: as `Database.writing`.
    """
    other = attempts.alias()
    running = (
        select(func.count())
        .where(other.c.student_id == attempts.c.student_id, other.c.state == State.RUNNING)
        .scalar_subquery()
    )
    following = (
        select(attempts, students.c.student)
        .join(students)
        .where(attempts.c.state == State.QUEUED)
        .order_by(running, attempts.c.turn, attempts.c.id)
        .limit(1)
    )
    with database.reading() as connection:  # most questions find nothing, and need no writer's lock
        if connection.execute(select(attempts.c.id).where(attempts.c.state == State.QUEUED).limit(1)).first() is None:
            return None
    while True:
        with database.writing() as connection:
            row = connection.execute(following).mappings().first()
            if row is None:
                return None
            mine = f"{worker}/{secrets.token_hex(8)}"
            taken = connection.execute(
                update(attempts)
                .where(attempts.c.id == row["id"], attempts.c.state == State.QUEUED)
                .values(state=State.RUNNING, claim=mine, tries=attempts.c.tries + 1)
            )
            if taken.rowcount:
                which = Which(row["unit"], row["notebook"])
                return Claim(row["id"], mine, row["round"], row["student"], which, row["number"])


def finish(database: Database, taken: Claim, record: dict[str, Any], texts: tuple[str, str]) -> bool:
    """Records a result, unless the attempt was given to another worker meanwhile; whether it was recorded.

    Args:
        texts: the record, and what the student may see of it, as JSON.

    Raises:
        DatabaseError: as `Database.writing`.
    """
    with database.writing() as connection:
        done = connection.execute(
            update(attempts)
            .where(attempts.c.id == taken.attempt, attempts.c.claim == taken.claim, attempts.c.state == State.RUNNING)
            .values(
                state=State.DONE, claim="", problem="", score=record["score"], points=record["points"], recorded=False
            )
        )
        if not done.rowcount:
            return False
        row = {"attempt_id": taken.attempt, "round": taken.round, "record": texts[0], "blocks": texts[1]}
        connection.execute(insert(results).values(row))
    return True


def fail(database: Database, taken: Claim, problem: str) -> None:
    """Gives an attempt up: the grader itself cannot grade it.

    Raises:
        DatabaseError: as `Database.writing`.
    """
    with database.writing() as connection:
        connection.execute(
            update(attempts)
            .where(attempts.c.id == taken.attempt, attempts.c.claim == taken.claim)
            .values(state=State.FAILED, claim="", problem=problem)
        )


def put_back(database: Database, worker: str | None) -> int:
    """Puts back what a worker has taken that is no more, or what anyone has taken; returns how many there were.

    What several workers have died over is given up.

    Raises:
        DatabaseError: as `Database.writing`.
    """
    theirs = attempts.c.state == State.RUNNING
    if worker is not None:
        theirs &= attempts.c.claim.startswith(f"{worker}/", autoescape=True)
    with database.writing() as connection:
        died = {"state": State.FAILED, "claim": "", "problem": DIED.format(tries=TRIES)}
        connection.execute(update(attempts).where(theirs, attempts.c.tries >= TRIES).values(died))
        back = connection.execute(update(attempts).where(theirs).values(state=State.QUEUED, claim=""))
        return int(back.rowcount)


def again(connection: Connection, ids: Iterable[int]) -> int:
    """Has attempts graded again; until then their old results stand. Returns how many there were.

    What is queued or running is left alone.
    """
    ended = attempts.c.id.in_(list(ids)) & attempts.c.state.in_([State.DONE, State.FAILED])
    found = connection.execute(
        update(attempts).where(ended).values(state=State.QUEUED, round=attempts.c.round + 1, tries=0, turn=0)
    )
    return int(found.rowcount)


def latest_result(connection: Connection, attempt: int) -> Any:
    """The newest result of an attempt: a row with `record` and `blocks`, or None."""
    query = select(results).where(results.c.attempt_id == attempt).order_by(results.c.round.desc()).limit(1)
    return connection.execute(query).mappings().first()


def before(connection: Connection, row: Any) -> int:
    """How many attempts are taken before one that is queued, at most: a student's own turn may come sooner."""
    earlier = (attempts.c.turn < row["turn"]) | ((attempts.c.turn == row["turn"]) & (attempts.c.id < row["id"]))
    query = select(func.count()).where(attempts.c.state.in_([State.QUEUED, State.RUNNING]), earlier)
    return int(connection.execute(query).scalar() or 0)


def counts(connection: Connection) -> dict[State, int]:
    """How many attempts are in each state."""
    rows = connection.execute(select(attempts.c.state, func.count()).group_by(attempts.c.state))
    found = {State(state): int(count) for state, count in rows}
    return {state: found.get(state, 0) for state in State}
