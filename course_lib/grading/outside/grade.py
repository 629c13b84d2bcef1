"""Grades one submission: runs it in the sandbox as often as it takes, and decides here what its answers are worth.

A cell or an exercise that ends its process costs itself alone. No verdict depends on another student's file.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from course_lib.exercises.messages import Message, register
from course_lib.grading.inside import transport
from course_lib.grading.inside.protocol import View
from course_lib.grading.outside import memory, results
from course_lib.grading.outside.cells import Malformed
from course_lib.grading.outside.hidden_cases import ExerciseUnderTest, Record, is_lack_of_memory, under_test
from course_lib.grading.outside.judges import Judges
from course_lib.grading.outside.results import Verdict
from course_lib.grading.outside.sessions import Ending, Loaded, Observer, Session
from course_lib.grading.outside.submission import Parsed, Released, Submission, parse, unpacked
from course_lib.grading.outside.zygotes import Zygote

# How often a submission is started again without the cell that ended it: first each of the student's own cells, then
# all of these, then answers.
EXPERIMENTS, ANSWERS = 2, 3
PRINTED_TOTAL = 200_000  # characters of output that a result keeps, all cells together
LINES_NOT_RUN = 5  # of a notebook that are told with an answer that stopped

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


def grade_submission(
    zygote: Zygote, released: Released, submission: Submission, *, key: str, judges: Judges | None = None
) -> dict[str, Any]:
    """Grades one submission: the record that is stored (the layout of results.SCHEMA). Never raises for its contents.

    Args:
        judges: the process that judges; one that ends with the submission, if not given.

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
        parsed = parse(unpacked(submission.data), released)
    except Malformed as fault:
        record["problem"] = str(fault)
        message = Message("grading.malformed", {})
        records = [exercise.blank(Verdict.MALFORMED, message) for exercise in exercises]
        return _finished(record, records, Verdict.MALFORMED)
    record["tampered"] += parsed.tampered
    with contextlib.ExitStack() as stack:
        judges = judges or stack.enter_context(contextlib.closing(Judges(zygote.options)))
        judges.prepare(list(released.answers))
        grading = _Grading(zygote, released, parsed, judges)
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

    def __init__(self, zygote: Zygote, released: Released, parsed: Parsed, judges: Judges) -> None:
        self.zygote, self.released, self.parsed, self.judges = zygote, released, parsed, judges
        self.cells: dict[str, dict[str, Any]] = {}
        self.left_out: dict[str, Ending] = {}
        self.given_up: Ending | None = None
        self.unwatched = ""
        self._session: Session | None = None
        self._loaded = Loaded({})
        self._frames: dict[tuple[str, str], Sequence[transport.Frame]] = {}  # of exercises that use others, by view
        self._answers = {cell: name for name, cells in parsed.answer_cells.items() for cell in cells}

    def run(self, exercises: Sequence[ExerciseUnderTest]) -> list[Record]:
        """The record of each exercise, the way its answer's own cell left the notebook's names.

        An answer that is not right so is looked at once more with the names as they are in the end, where the notebook
        defines any of them anew: a better version may stand below. The better one counts.
        """
        try:
            records = self._records_of(exercises)
            again = [each.at_the_end for each in exercises if self._may_be_better_in_the_end(records[each.name])]
            for name, record in self._records_of(again).items():
                if _is_better(record, records[name]):
                    records[name] = {**record, "view": View.END.value}
            for exercise in exercises:
                records[exercise.name] = self._without_a_second_loss(exercise, records, exercises)
        finally:
            if self._session is not None:
                self._session.close()
                self.unwatched = self._session.unwatched
        return [{**records[exercise.name], **self._not_run(records[exercise.name])} for exercise in exercises]

    def _without_a_second_loss(
        self, exercise: ExerciseUnderTest, records: Mapping[str, Record], exercises: Sequence[ExerciseUnderTest]
    ) -> Record:
        """An exercise's record; known mistakes in answers that its own calls are held against those alone."""
        record = records[exercise.name]
        frames = self._frames.get((exercise.name, record.get("view", exercise.view.value)))
        own = self.parsed.answer_cells.get(exercise.name, ())
        source = "\n".join(text for cell, text in self.parsed.cells if cell in own)
        earlier = {
            other.name: str(records[other.name]["mistake"])
            for other in exercises
            if other.name in exercise.exercise.uses
            and records[other.name]["mistake"]
            and re.search(rf"\b{other.name}\b", source)
        }
        if not earlier or not frames or record["verdict"] not in (Verdict.WRONG, Verdict.ERROR):
            return record
        found = self._judged(exercise, frames, earlier)
        found |= {"view": record["view"]} if "view" in record else {}
        return found if _is_better(found, record) else record

    def _records_of(self, exercises: Sequence[ExerciseUnderTest]) -> dict[str, Record]:
        """Records by name: of exercises in one process together, then each that needs it in a process of its own."""
        records: dict[str, Record] = {}
        observed: dict[str, _Observed] = {}
        session = self._live_session() if len(exercises) > 1 else None
        if session is not None:
            records, observed = self._together(session, exercises)
            others = [exercise for exercise in exercises if exercise.name in observed]
            if others:
                records |= self._together_again(session, others[::-1], observed)
        for exercise in exercises:
            if exercise.name not in records:
                records[exercise.name] = self._alone(self._live_session(), exercise, observed.get(exercise.name))
        return records

    def _may_be_better_in_the_end(self, record: Record) -> bool:
        name, verdict = record["exercise"], Verdict(record["verdict"])
        if verdict in (Verdict.TIMEOUT, Verdict.MEMORY, Verdict.CRASHED):  # costly, so not on the chance of a helper
            return name in self._loaded.redefined
        return verdict != Verdict.RIGHT and name in self._loaded.changed

    def _live_session(self) -> Session | None:
        """The session, started again if the last one has ended; None if there is no use in that."""
        if self._session is None or not self._session.alive:
            if self._session is not None:
                self._session.close()
                self._session = None
            self._session = self._start()
        return self._session

    def _start(self) -> Session | None:
        """A session whose cells have run, without those that ended an earlier one; None if there is no use."""
        while self.given_up is None:
            session = Session(self.zygote, self.released)
            try:
                cells = [cell for cell in self.parsed.cells if cell[0] not in self.left_out]
                loaded = session.load(cells, self._answers)
            except BaseException:
                session.close()
                raise
            # What a cell printed the first time counts: by then no process had seen a hidden input.
            self.cells = {**loaded.cells, **self.cells}
            if loaded.ending is None:
                self._loaded = loaded
                return session
            session.close()
            for cell in self._blamed(loaded.culprit, loaded.ending):
                self.left_out[cell] = loaded.ending
                text = loaded.ending.message.render("en")
                error = {"type": loaded.ending.verdict.value, "text": text, "line": None}
                self.cells[cell] = {"printed": "", "error": error}
        return None

    def _blamed(self, culprit: str | None, ending: Ending) -> Sequence[str]:
        """The cells that the next start goes without. `given_up` says that there will be none.

        Time and memory are used up by all cells together, so an answer is blamed only once none of the student's own
        experiments is left.
        """
        experiments = [cell for cell in self.parsed.experiments if cell not in self.left_out]
        gone = len(self.left_out)
        if culprit in experiments and gone < EXPERIMENTS:
            return [culprit]
        if experiments and (culprit is None or culprit in experiments or ending.verdict != Verdict.CRASHED):
            return experiments
        answers = gone - (len(self.parsed.experiments) - len(experiments))
        if culprit is None or answers >= ANSWERS:
            self.given_up = ending
        return [culprit] if culprit is not None else []

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

    def _judged(
        self,
        exercise: ExerciseUnderTest,
        frames: Sequence[transport.Frame],
        earlier: Mapping[str, str] | None = None,
    ) -> Record:
        """The record of an exercise from what its process replied, each time it was observed."""
        if exercise.exercise.uses:
            self._frames[exercise.name, exercise.view.value] = frames
        record = self.judges.judged(exercise, frames, earlier)
        return self._undefined(exercise) if record is None else record

    def _undefined(self, exercise: ExerciseUnderTest) -> Record:
        """Nothing has the exercise's name: because its cell stopped, is not there, or defines something else."""
        own = self.parsed.answer_cells.get(exercise.name, ())
        for cell in own:
            if cell in self.left_out:
                return exercise.ended(self.left_out[cell])
        for cell in own:
            for error in _failures(self.cells.get(cell, {})):
                fields = {"name": exercise.name, "type": error["type"], "text": error["text"]}
                verdict = Verdict.MEMORY if is_lack_of_memory(error["type"], error["text"]) else Verdict.ERROR
                return exercise.blank(verdict, Message("grading.cell_error", fields))
        sources = [source for cell, source in self.parsed.cells if cell in own]
        if not any(source.strip() for source in sources):
            return exercise.blank(Verdict.NOT_ATTEMPTED, Message("contract.not_attempted"))
        return exercise.blank(Verdict.ERROR, Message("grading.not_defined", {"name": exercise.name}))

    def _not_run(self, record: Record) -> dict[str, Any]:
        """For an answer with an error: the lines of the notebook that did not run, its own cell's first."""
        if record["verdict"] != Verdict.ERROR:
            return {}
        own = self.parsed.answer_cells.get(record["exercise"], ())
        cells = [*own, *(cell for cell, _ in self.parsed.cells if cell not in own)]
        lines = [line for cell in cells for line in _failures(self.cells.get(cell, {})) if line["line"] is not None]
        return {"not_run": lines[:LINES_NOT_RUN]} if lines else {}


def _failures(cell: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of a cell that failed, in order: those that it ran on after, then the one that it stopped at."""
    return [*cell.get("not_run", ()), *([cell["error"]] if cell.get("error") else [])]


def _is_better(now: Record, before: Record) -> bool:
    """Whether a record counts rather than one from before; where something was begun, rather than where nothing was."""
    if now["score"] != before["score"]:
        return bool(now["score"] > before["score"])
    return bool(before["verdict"] == Verdict.NOT_ATTEMPTED != now["verdict"])


def _crashed(exercise: ExerciseUnderTest) -> Record:
    return exercise.blank(Verdict.CRASHED, Message("grading.crashed"))
