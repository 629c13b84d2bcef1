"""Grades one submission: runs it in the sandbox as often as it takes, and decides here what its answers are worth.

A cell or an exercise that ends its process costs itself alone. No verdict depends on another student's file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from course_lib.exercises.messages import Message, register
from course_lib.grading.inside import transport
from course_lib.grading.outside import memory, results
from course_lib.grading.outside.cells import Malformed
from course_lib.grading.outside.hidden_cases import ExerciseUnderTest, Record, is_lack_of_memory, under_test
from course_lib.grading.outside.results import Verdict
from course_lib.grading.outside.sessions import Ending, Observer, Session, fields_of
from course_lib.grading.outside.submission import Parsed, Released, Submission, parse
from course_lib.grading.outside.zygotes import Zygote

RESTARTS = 2  # how often a submission is started again without the cell that ended it
PRINTED_TOTAL = 200_000  # characters of output that a result keeps, all cells together

SENTENCES = {
    "grading.not_defined": "Your notebook does not define `{name}`.",
    "grading.cell_error": "The cell that should define `{name}` stopped with {type}: {text}",
    "grading.timeout": "Your code was stopped after {seconds} seconds of computing or waiting.",
    "grading.memory": "Your code needed more memory than is allowed ({megabytes} MB).",
    "grading.crashed": "Your code ended the process it ran in.",
    "grading.unstable": "Your code gives other values each time it runs on the same inputs.",
    "grading.malformed": "The notebook that was handed in could not be read.",
}
for _id, _sentence in SENTENCES.items():
    register(_id, _sentence)


def grade_submission(zygote: Zygote, released: Released, submission: Submission, *, key: str) -> dict[str, Any]:
    """Grades one submission: the record that is stored (the layout of results.SCHEMA). Never raises for its contents.

    Raises:
        GraderFault: the grader itself is broken.
    """
    exercises = [under_test(name, zygote.options.secret) for name in released.answers]
    record: dict[str, Any] = {
        "schema": results.SCHEMA,
        "student": submission.student,
        "unit": submission.unit,
        "notebook": submission.notebook,
        "key": key,
        "isolation": zygote.level.value,
        "tampered": list(submission.notes),
        "problem": "",
        "cells": {},
        "written": [{"grade_id": cell.grade_id, "points": cell.points} for cell in released.written],
    }
    try:
        if submission.problem:
            raise Malformed(submission.problem)
        parsed = parse(submission.data, released)
    except Malformed as fault:
        record["problem"] = str(fault)
        message = Message("grading.malformed", {})
        records = [exercise.blank(Verdict.MALFORMED, message) for exercise in exercises]
        return _finished(record, records, Verdict.MALFORMED)
    record["tampered"] += parsed.tampered
    grading = _Grading(zygote, released, parsed)
    records = grading.run(exercises)
    record["cells"] = _limited(grading.cells)
    unwatched = memory.why_not() or grading.unwatched
    if unwatched:  # the key is there only where it is so
        record["unwatched"] = f"memory of all processes together: {unwatched}"
    return _finished(record, records)


def environment() -> dict[str, str]:
    """The versions that a result may depend on."""
    import numpy as np

    return {"python": sys.version.split()[0], "torch": torch.__version__, "numpy": np.__version__}


def _finished(record: dict[str, Any], exercises: list[Record], verdict: Verdict | None = None) -> dict[str, Any]:
    gravest = max((Verdict(e["verdict"]) for e in exercises), key=list(Verdict).index, default=Verdict.RIGHT)
    return {
        **record,
        "exercises": exercises,
        "verdict": (verdict or gravest).value,
        "score": round(sum(e["score"] for e in exercises), 2),
        "points": round(sum(e["points"] for e in exercises), 2),
    }


def _limited(cells: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    left, kept = PRINTED_TOTAL, {}
    for name, cell in cells.items():
        kept[name] = {**cell, "printed": cell["printed"][: max(left, 0)]}
        left -= len(cell["printed"])
    return kept


# --- one submission, started as often as it takes ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Observed:
    """What a process replied about an answer, and the record of that."""

    frame: transport.Frame
    record: Record


class _Grading:
    """Runs a submission as often as it takes.

    Attributes:
        cells: what each cell printed, and its error.
        left_out: cells that ended the process, and how.
        given_up: how the process ended when there was no use in starting it again.
        unwatched: why the memory of its processes could not be seen.
    """

    def __init__(self, zygote: Zygote, released: Released, parsed: Parsed) -> None:
        self.zygote, self.released, self.parsed = zygote, released, parsed
        self.cells: dict[str, dict[str, Any]] = {}
        self.left_out: dict[str, Ending] = {}
        self.given_up: Ending | None = None
        self.unwatched = ""

    def run(self, exercises: Sequence[ExerciseUnderTest]) -> list[Record]:
        """The records of the exercises, in their order."""
        session: Session | None = None
        records: dict[str, Record] = {}
        observed: dict[str, _Observed] = {}
        try:
            session = self._start()
            if session is not None and len(exercises) > 1:
                records, observed = self._together(session, exercises)
                others = [exercise for exercise in exercises if exercise.name in observed]
                if len(others) > 1:
                    records |= self._together_again(session, others[::-1], observed)
            for exercise in exercises:
                if exercise.name in records:
                    continue
                if session is None or not session.alive:
                    if session is not None:
                        session.close()
                    session = self._start()
                records[exercise.name] = self._alone(session, exercise, observed.get(exercise.name))
        finally:
            if session is not None:
                session.close()
                self.unwatched = session.unwatched
        return [records[exercise.name] for exercise in exercises]

    def _start(self) -> Session | None:
        """A session whose cells have run, without those that ended an earlier one; None if there is no use."""
        while self.given_up is None:
            session = Session(self.zygote, self.released)
            try:
                loaded = session.load([cell for cell in self.parsed.cells if cell[0] not in self.left_out])
            except BaseException:
                session.close()
                raise
            self.cells = {**self.cells, **loaded.cells}
            if loaded.ending is None:
                return session
            session.close()
            if loaded.culprit is None or len(self.left_out) >= RESTARTS:
                self.given_up = loaded.ending
            if loaded.culprit is not None:
                self.left_out[loaded.culprit] = loaded.ending
                text = loaded.ending.message.render("en")
                error = {"type": loaded.ending.verdict.value, "text": text, "line": None}
                self.cells[loaded.culprit] = {"printed": "", "error": error}
        return None

    def _together(
        self, session: Session, exercises: Sequence[ExerciseUnderTest]
    ) -> tuple[dict[str, Record], dict[str, _Observed]]:
        """What is right, or not begun, when one process observes all exercises; and what was observed of the others.

        The others are observed again, for an answer before may have disturbed them. It cannot have made one right:
        only values that match do, and a cell that the student added could put them there.
        """
        observer = Observer(session, self._wall_together)
        records: dict[str, Record] = {}
        others: dict[str, _Observed] = {}
        for exercise in exercises:
            frame = observer.ask(exercise.request)
            if frame is None:
                break
            record = self._judged(exercise, [frame])
            verdict = record["verdict"]
            if verdict == Verdict.NOT_ATTEMPTED or (verdict == Verdict.RIGHT and exercise.same_again(observer, frame)):
                records[exercise.name] = record
            elif verdict != Verdict.RIGHT:
                others[exercise.name] = _Observed(frame, record)
        if observer.end() is not None:
            session.alive = False  # which answer ended it is for each one's own process to show
            return {}, {}
        return records, others

    def _together_again(
        self, session: Session, exercises: Sequence[ExerciseUnderTest], observed: dict[str, _Observed]
    ) -> dict[str, Record]:
        """What does the same as before in a new process with other answers before it: no other has disturbed that."""
        observer = Observer(session, self._wall_together)
        records = {}
        for exercise in exercises:
            before = observed[exercise.name]
            if observer.ask(exercise.request) == before.frame:
                records[exercise.name] = before.record
        if observer.end() is not None:
            session.alive = False
            return {}
        return records

    @property
    def _wall_together(self) -> float:
        limits = self.zygote.options.limits
        return min(limits.exercise_seconds, limits.wall_seconds)

    def _alone(self, session: Session | None, exercise: ExerciseUnderTest, before: _Observed | None) -> Record:
        """An exercise in a process of its own; observed twice, together with what was observed of it before."""
        if session is None:
            assert self.given_up is not None
            return exercise.ended(self.given_up)
        observer = Observer(session)
        frames = [observer.ask(exercise.request)]
        if frames[0] is None or before is None or frames[0] != before.frame:
            frames.append(observer.ask(exercise.request))
        ending = observer.end()
        if ending is not None:
            session.alive = False  # what it left behind must not disturb the next exercise
            return exercise.ended(ending)
        read = [frame for frame in frames if frame is not None]
        if len(read) < len(frames):
            return _crashed(exercise)
        return before.record if before is not None and len(read) == 1 else self._judged(exercise, read)

    def _judged(self, exercise: ExerciseUnderTest, frames: Sequence[transport.Frame]) -> Record:
        """The record of an exercise from what its process replied, each time it was observed."""
        try:
            replies = [fields_of(frame) for n, frame in enumerate(frames) if n == 0 or frame != frames[0]]
            if replies[0].get("defined") is False:
                return self._undefined(exercise)
            if replies[0].get("callable") is False:
                fields = {"name": exercise.name, "given": f"a {str(replies[0].get('given'))[:60]}"}
                return exercise.blank(Verdict.WRONG, Message("contract.not_callable", fields))
            return exercise.judged(replies, self.zygote.options.limits)
        except transport.TransportError:
            return _crashed(exercise)

    def _undefined(self, exercise: ExerciseUnderTest) -> Record:
        """Nothing has the exercise's name: because its cell stopped, is not there, or defines something else."""
        own = self.parsed.answer_cells.get(exercise.name, ())
        for cell in own:
            if cell in self.left_out:
                return exercise.ended(self.left_out[cell])
        for cell in own:
            error = self.cells.get(cell, {}).get("error")
            if error:
                fields = {"name": exercise.name, "type": error["type"], "text": error["text"]}
                verdict = Verdict.MEMORY if is_lack_of_memory(error["type"], error["text"]) else Verdict.ERROR
                return exercise.blank(verdict, Message("grading.cell_error", fields))
        sources = [source for cell, source in self.parsed.cells if cell in own]
        if not any(source.strip() for source in sources):
            return exercise.blank(Verdict.NOT_ATTEMPTED, Message("contract.not_attempted"))
        return exercise.blank(Verdict.ERROR, Message("grading.not_defined", {"name": exercise.name}))


def _crashed(exercise: ExerciseUnderTest) -> Record:
    return exercise.blank(Verdict.CRASHED, Message("grading.crashed"))
