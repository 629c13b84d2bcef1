"""An exercise as it is judged here: hidden cases from the instructor's secret, and what they must bring.

A score can only come from values that match what the judge computes from inputs that were drawn from a secret seed.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from course_lib import exercises as registry
from course_lib.exercises.conduct import MODES, names_in
from course_lib.exercises.contract import Case, Exercise, Judge, Mistake, State, with_a_repeat
from course_lib.exercises.judging import Known, Result, blank_result, judge_observations
from course_lib.exercises.messages import Message
from course_lib.exercises.observing import Failure, Observation, Place
from course_lib.grading.inside import transport
from course_lib.grading.inside.protocol import Limits, View, without_surrogates
from course_lib.grading.outside import results
from course_lib.grading.outside.results import Verdict
from course_lib.grading.outside.sessions import Ending, Observer, line_number, same_each_time

PRINTED = 20_000  # characters of what an answer printed that are taken
_MEMORY_ERRORS = ("MemoryError", "OutOfMemoryError")
_MEMORY_TEXT = re.compile(r"can't allocate memory|not enough memory|Cannot allocate memory|Unable to allocate")

_A_TENSOR = f'{json.dumps(transport.TAG)}: "tensor"'  # as JSON; within a string its quotes would be escaped

Record = dict[str, Any]  # an exercise's part of a result file


@functools.cache
def under_test(name: str, secret: bytes) -> ExerciseUnderTest:
    """The exercise with its hidden cases, the same for the whole class."""
    exercise, seed = registry.exercise_named(name), results.seed_for(secret, name)
    cases = tuple(with_a_repeat(exercise.cases(seed)))
    # Half of them: an answer that is not the same each time would have had to be right on all cases before.
    twice = tuple(range(seed % 2, len(cases), 2)) or (0,)
    return ExerciseUnderTest(exercise, registry.judge_of(exercise), cases, twice)


@dataclass(frozen=True)
class ExerciseUnderTest:
    """An exercise with hidden cases, and what the judge's own functions give on them.

    Attributes:
        twice: the numbers of the cases on which an answer that is right is observed a second time.
        view: what the notebook's names stand for meanwhile.
    """

    exercise: Exercise
    judge: Judge
    cases: tuple[Case, ...]
    twice: tuple[int, ...]
    view: View = View.ANSWER
    observe_known: Known = field(default_factory=Known)

    @property
    def name(self) -> str:
        return self.exercise.name

    @functools.cached_property
    def request(self) -> list[bytes]:
        """What a student's process is asked, packed; it is the same for everyone."""
        given = [{"name": case.name, "inputs": case.inputs} for case in self.cases]
        return transport.pack({"exercise": self.name, "cases": given, "view": self.view.value})

    @functools.cached_property
    def at_the_end(self) -> ExerciseUnderTest:
        """The same, observed with what the notebook's names stand for in the end."""
        return replace(self, view=View.END)

    @functools.cached_property
    def second_request(self) -> list[bytes]:
        """The cases of the request before that are to be observed once more, packed."""
        return transport.pack({"again": list(self.twice)})

    def same_again(self, observer: Observer, first: transport.Frame) -> bool:
        """Whether an answer, just observed, does the same a second time on the cases that are observed twice."""
        second = observer.ask(self.second_request)
        if second is None:
            return False
        try:
            return _raw_observations(first, self.twice) == _raw_observations(second)
        except (LookupError, TypeError, ValueError):
            return False

    def prepare(self) -> None:
        """Runs the reference now, which every judgement needs."""
        self.observe_known(self.exercise, self.judge.reference, self.cases)

    # --- records ---

    def judged(self, replies: Sequence[dict[str, Any]], limits: Limits, earlier: Mapping[str, str]) -> Record:
        """The record of an answer from different replies about it: the worst counts.

        Args:
            earlier: the names of mistakes in the answers to earlier exercises that this one calls, by exercise.

        Raises:
            TransportError: a reply is not of the agreed form.
        """
        mistakes = {name: _mistake_named(name, mistake) for name, mistake in earlier.items()}
        judged = [
            self._judged_once(_observations_of(reply, self.cases, self.exercise), limits, mistakes) for reply in replies
        ]
        worst = min(judged, key=lambda record: float(record["score"]))
        if worst["score"] != max(record["score"] for record in judged):
            worst["message"] = {"id": "grading.unstable", "fields": {}}
            worst["mistake"] = None
        return worst

    def _judged_once(self, observations: list[Observation], limits: Limits, earlier: Mapping[str, Mistake]) -> Record:
        try:
            result = judge_observations(
                self.exercise, self.judge, observations, observe=self.observe_known, earlier=earlier
            )
        except Exception as fault:  # the judge's own fault: no other grade may depend on it
            return self.not_judged(f"{type(fault).__name__}: {fault}"[:300])
        errors = [one.error for one in observations if one.error]
        record = _record(result)
        if len(errors) == len(observations) and any(is_lack_of_memory(error.type, error.text) for error in errors):
            record["verdict"] = Verdict.MEMORY.value
            record["message"] = {"id": "grading.memory", "fields": {"megabytes": limits.memory_bytes >> 20}}
        return record

    def not_judged(self, why: str) -> Record:
        """The record of an answer whose judge has failed, which an instructor is told."""
        message = Message("contract.judge_failed", {"text": f"could not be judged: {why}"})
        return {**self.blank(Verdict.ERROR, message), "judge_failed": True}

    def blank(self, verdict: Verdict, message: Message) -> Record:
        """The record of an answer that has no points on any criterion."""
        return {**_record(blank_result(self.exercise, self.judge, State.WRONG, message)), "verdict": verdict.value}

    def ended(self, ending: Ending) -> Record:
        """The record of an answer whose process ended otherwise than it should."""
        return self.blank(ending.verdict, ending.message)


def _mistake_named(exercise: str, name: str) -> Mistake:
    judge = registry.judge_of(registry.exercise_named(exercise))
    return next(mistake for mistake in judge.mistakes if mistake.name == name)


def _raw_observations(frame: transport.Frame, numbers: Sequence[int] | None = None) -> list[tuple[str, list[bytes]]]:
    """Observations of a frame, all or some, not read: their JSON, and the bytes of their tensors.

    Raises:
        LookupError, TypeError, ValueError: it does not hold them.
    """
    listed = dict(frame.read["message"]["items"])["observations"]
    texts = [json.dumps(one) for one in listed]
    ends = list(itertools.accumulate(text.count(_A_TENSOR) for text in texts))
    if ends[-1] != len(frame.blobs):
        raise ValueError("not the tensors that it announces")
    chosen = range(len(texts)) if numbers is None else numbers
    return [(texts[n], list(frame.blobs[ends[n - 1] if n else 0 : ends[n]])) for n in chosen]


def is_lack_of_memory(type_name: str, text: str) -> bool:
    """Whether an error says that there is no memory left."""
    return type_name in _MEMORY_ERRORS or _MEMORY_TEXT.search(text) is not None


def _observations_of(reply: dict[str, Any], cases: Sequence[Case], exercise: Exercise) -> list[Observation]:
    """A reply of a student's process as observations of the judge's own cases.

    Raises:
        TransportError: it is not of the agreed form.
    """
    listed = reply.get("observations")
    if not isinstance(listed, list) or len(listed) != len(cases) or not all(isinstance(one, dict) for one in listed):
        raise transport.TransportError("not an observation for each case")
    observations, arguments = [], names_in(exercise.signature)
    for case, one in zip(cases, listed, strict=True):
        values, error, failure = one.get("values"), one.get("error"), None
        if isinstance(error, dict):
            texts = {k: same_each_time(error.get(k))[:500] for k in ("type", "text", "source", "library_name")}
            place = next((place for place in Place if place == error.get("place")), Place.ANSWER)
            failure = Failure(line=line_number(error.get("line")), place=place, **texts)
        if not isinstance(values, dict):
            raise transport.TransportError("values that are none")
        printed = same_each_time(one.get("printed"))[:PRINTED]
        changed, left = (_known_names(one.get(key), known) for key, known in (("changed", arguments), ("left", MODES)))
        observations.append(Observation(case, {} if failure else values, failure, printed, changed, left))
    return observations


def _known_names(found: Any, known: Collection[str]) -> tuple[str, ...]:
    """The names that a process may say, of those that it says."""
    return tuple(name for name in known if name in found) if isinstance(found, list) else ()


def _record(result: Result) -> Record:
    return {
        "exercise": result.exercise,
        "verdict": str(result.state),
        "score": float(result.score),
        "points": float(result.points),
        "mistake": result.mistake,
        "message": {"id": result.message.id, "fields": _plain_fields(result.message.fields)},
        "criteria": [{"name": c.name, "score": c.score, "points": c.points} for c in result.criteria],
        "printed": result.printed,
    }


def _plain_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields as they can be kept: numbers and words; anything else as its text."""
    kept = {}
    for name, value in fields.items():
        finite = type(value) in (int, bool) or (type(value) is float and abs(value) < float("inf"))
        kept[name] = value if finite else without_surrogates(same_each_time(str(value))[:600])
    return kept
