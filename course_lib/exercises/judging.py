"""Turns observed values into points, criteria and the name of the mistake. Runs no learner's code.

The judge recomputes everything from the cases: the expected values by its own reference, the mistakes' values by the
wrong implementations it knows.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from course_lib.exercises import messages
from course_lib.exercises.contract import Case, Criterion, Exercise, Judge, Mistake, State, Trial, Values, close
from course_lib.exercises.explaining import Explanation, Way, explain, gives_nothing
from course_lib.exercises.messages import Message
from course_lib.exercises.observing import Observation, observe_all
from course_lib.exercises.reason import within_reason

if TYPE_CHECKING:
    from course_lib.exercises.candidates import CheckExample
    from course_lib.exercises.smallest import SmallestCase

Observe = Callable[..., list[Observation]]  # `observe_all`, or what remembers what it gave


class Known:
    """As `observe_all`, for the judge's own functions: each runs once per case, for all answers that are judged.

    Cases are told apart by identity, since two may have one name: they must live as long as this object.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[Any, int], Observation] = {}

    def __call__(self, exercise: Exercise, fn: Any, cases: Sequence[Case], **_: Any) -> list[Observation]:
        for case in cases:
            if (fn, id(case)) not in self._seen:
                self._seen[fn, id(case)] = observe_all(exercise, fn, [case], guard=False)[0]
        return [self._seen[fn, id(case)] for case in cases]


@dataclass(frozen=True)
class CriterionResult:
    name: str
    title: Message
    score: float
    points: float


@dataclass(frozen=True)
class Result:
    """The judgement of one answer: `message` is the sentence for the learner, `mistake` the one it behaves like.

    Where no known mistake is named, `explanation` and `trials` are what the message was made from. `smallest` is there
    only in self-study, since it shows inputs.
    """

    exercise: str
    unit: str
    state: State
    score: float
    points: float
    message: Message
    mistake: str | None = None
    criteria: tuple[CriterionResult, ...] = ()
    printed: str = field(default="", compare=False)
    explanation: Explanation | None = field(default=None, compare=False, repr=False)
    trials: tuple[Trial, ...] = field(default=(), compare=False, repr=False)
    smallest: SmallestCase | CheckExample | None = field(default=None, compare=False, repr=False)

    def as_json(self) -> dict[str, Any]:
        """The result as plain data, the message rendered; `smallest_case` only where one was found."""
        data: dict[str, Any] = {
            "exercise": self.exercise,
            "unit": self.unit,
            "state": self.state,
            "score": self.score,
            "points": self.points,
            "mistake": self.mistake,
            "message": self.message.render(),
            "criteria": [{"name": c.name, "score": c.score, "points": c.points} for c in self.criteria],
        }
        return data | ({"smallest_case": self.smallest.lines()} if self.smallest else {})


def sentences_of(exercise: Exercise, judge: Judge) -> dict[str, str]:
    """Everything that an exercise and its judge say, in English, by message id."""
    found = messages.sentences_of(exercise)
    found |= {f"{exercise.name}.criterion.{criterion.name}": criterion.title for criterion in judge.criteria}
    return found | {f"{exercise.name}.mistake.{mistake.name}": mistake.text for mistake in judge.mistakes}


def register_sentences(exercise: Exercise, judge: Judge) -> None:
    """Makes the exercise's own sentences known to the catalogue."""
    for message_id, sentence in sentences_of(exercise, judge).items():
        messages.register(message_id, sentence)


def blank_result(exercise: Exercise, judge: Judge, state: State, message: Message, printed: str = "") -> Result:
    """No points on any criterion."""
    return Result(
        exercise.name,
        exercise.unit,
        state,
        0.0,
        exercise.points,
        message,
        None,
        _criteria(exercise, judge, {}),
        printed,
    )


def judge_observations(
    exercise: Exercise,
    judge: Judge,
    observations: Sequence[Observation],
    *,
    observe: Observe = observe_all,
    earlier: Mapping[str, Mistake] | None = None,
) -> Result:
    """Points, criteria and the diagnosed mistake for what was observed.

    Args:
        observe: runs the reference and the known mistakes on a case, as `observe_all` does.
        earlier: mistakes that the answers to earlier exercises are, which this answer calls, by the exercises' names.
    """
    printed = next((o.printed for o in observations if o.printed), "")
    errors = [o.error for o in observations if o.error]
    if errors and len(errors) == len(observations) and all(error.is_stub_of(exercise.name) for error in errors):
        return blank_result(exercise, judge, State.NOT_ATTEMPTED, Message("contract.not_attempted"), printed)
    # a case may be repeated on another device: what is expected of it depends on its inputs alone
    expected = [_expect(exercise, judge.reference, o.case, observe) for o in observations]
    trials = [
        Trial(o.case, {} if o.error else within_reason(o.values, e), e, o.error)
        for o, e in zip(observations, expected, strict=True)
    ]
    excused = _due_to(earlier, exercise, judge, observations, trials) if earlier else [False] * len(trials)
    met = {c.name: _share_met(c, trials, excused) for c in judge.criteria}
    values = [c.name for c in judge.criteria if not c.form]
    if _all_met(met) and any((o.changed or o.left) and not due for o, due in zip(observations, excused)):
        met[values[0]] = 0.0  # what an answer does to others' data and settings is part of what it does
    if not any(met[name] for name in values):
        met = dict.fromkeys(met, 0.0)  # code that computes nothing may well keep the form
    criteria = _criteria(exercise, judge, met)
    score = round(min(max(sum(c.score for c in criteria), 0.0), exercise.points), 2)
    if _all_met(met):
        message = Message("contract.right", {"takeaway": f"{exercise.name}.takeaway"})
        points = exercise.points
        return Result(exercise.name, exercise.unit, State.RIGHT, points, points, message, None, criteria, printed)
    refused = next((e for e in errors if e.library_name), None)
    explanation = None
    mistake, fields = (None, {}) if refused else diagnose(exercise, judge, trials, observe=observe)
    if refused:
        message = Message("contract.used_library", {"name": refused.library_name})
    elif mistake:
        message = Message(f"{exercise.name}.mistake.{mistake.name}", fields)
    elif judge.says and not all(trial.error for trial in trials):
        message = judge.says(trials)
    else:
        explanation = explain(exercise, judge, trials)
        message = explanation.message
        if explanation.way is Way.UNMET:
            message = _conduct_message(observations) or message
    state = State.ERROR if errors and len(errors) == len(observations) and not mistake else State.WRONG
    name = mistake.name if mistake else None
    result = Result(exercise.name, exercise.unit, state, score, exercise.points, message, name, criteria, printed)
    return replace(result, explanation=explanation, trials=tuple(trials)) if explanation else result


def _all_met(met: Mapping[str, float]) -> bool:
    return all(share == 1 for share in met.values())


def _criteria(exercise: Exercise, judge: Judge, met: Mapping[str, float]) -> tuple[CriterionResult, ...]:
    return tuple(
        CriterionResult(
            c.name,
            Message(f"{exercise.name}.criterion.{c.name}"),
            round(float(c.points) * met.get(c.name, 0.0), 2),
            float(c.points),
        )
        for c in judge.criteria
    )


def _expect(exercise: Exercise, fn: Any, case: Case, observe: Observe) -> Values:
    observation = observe(exercise, fn, [case], guard=False)[0]
    if observation.error:
        raise RuntimeError(f"the reference of {exercise.name} failed on case {case.name}: {observation.error}")
    return observation.values


def _due_to(
    earlier: Mapping[str, Mistake],
    exercise: Exercise,
    judge: Judge,
    observations: Sequence[Observation],
    trials: Sequence[Trial],
) -> list[bool]:
    """For each trial whether the answer does what a right one does with these mistakes in the earlier answers.

    An error excuses nothing: any answer may stop at the same one, and nothing is seen of what it does.
    """
    if judge.building_on is None:
        return [False] * len(trials)
    fn = judge.building_on(**{name: mistake.fn for name, mistake in earlier.items()})
    theirs = observe_all(exercise, fn, [trial.case for trial in trials], guard=False)
    return [
        not trial.error and _same(trial, other) and (o.changed, o.left) == (other.changed, other.left)
        for trial, o, other in zip(trials, observations, theirs, strict=True)
    ]


def _share_met(criterion: Criterion, trials: Sequence[Trial], excused: Sequence[bool]) -> float:
    """How much of a criterion is met on every case that it applies to, those aside for which the answer is excused."""
    applicable = [
        (t, due) for t, due in zip(trials, excused) if criterion.cases is None or t.case.name in criterion.cases
    ]
    if not applicable:
        raise ValueError(f"criterion {criterion.name!r} applies to no case: it names {criterion.cases}")
    shares = [1.0]
    for trial in (trial for trial, due in applicable if not due):
        shares.append(0.0 if trial.error else _share_on(criterion, trial))
        if not shares[-1]:
            break
    return min(shares)


def _share_on(criterion: Criterion, trial: Trial) -> float:
    """How much of a criterion is met on one case."""
    try:
        if criterion.share is not None:
            return min(max(float(criterion.share(trial.case, trial.seen, trial.expected)), 0.0), 1.0)
        return float(bool(criterion.passes(trial.case, trial.seen, trial.expected)))
    except Exception:  # values of another kind than the criterion can compare: not met
        return 0.0


# --- which known mistake is it? -------------------------------------------------------------------------------------


def diagnose(
    exercise: Exercise, judge: Judge, trials: Sequence[Trial], *, observe: Observe = observe_all
) -> tuple[Mistake | None, Values]:
    """The known mistake that the answer behaves like, and the fields of its sentence.

    First a mistake that gives the same values on every case; then one that gives the same wherever the answer is wrong,
    two cases or more, and is right with it somewhere; then the first whose predicate recognises the behaviour; then the
    one that agrees most often, on half of the wrong cases, two at least, and all right ones but one. One wrong case in
    common may be chance.
    """
    wrong = [i for i, t in enumerate(trials) if t.error or not close(t.seen, t.expected)]

    @functools.cache
    def agrees(number: int, i: int) -> tuple[bool, bool]:
        """Whether a mistake gives the answer's values on a case, and whether it is wrong there."""
        theirs = observe(exercise, judge.mistakes[number].fn, [trials[i].case], guard=False)[0]
        return _same(trials[i], theirs), bool(theirs.error) or not close(theirs.values, trials[i].expected)

    def together(number: int, where: Sequence[int]) -> int:
        """On how many of these cases a mistake agrees and is as wrong or as right as the answer."""
        return sum(agrees(number, i) == (True, i in wrong) for i in where)

    def enough(number: int) -> bool:
        """Whether a mistake agrees on half of the wrong cases, and on all right ones but one; several in any case."""
        apart = len(right) - together(number, right)
        return together(number, wrong) > max(1, (len(wrong) - 1) // 2) and apart <= 1 and apart < len(right)

    right = [i for i in range(len(trials)) if i not in wrong]
    numbers = range(len(judge.mistakes) if wrong else 0)
    # a case at a time: most mistakes differ on the first, and need no other
    for number in numbers:
        if all(agrees(number, i)[0] for i in range(len(trials))):
            return _said(judge.mistakes[number], trials)
    for number in numbers:
        if len(wrong) > 1 and all(agrees(number, i)[0] for i in wrong) and together(number, right):
            return _said(judge.mistakes[number], trials)
    if trials and all(map(gives_nothing, trials)):
        return None, {}  # what else follows from a missing `return` is not a mistake of its own
    for mistake in judge.mistakes:
        found = _behaves(mistake, trials)
        if found:
            return mistake, found if isinstance(found, dict) else {}
    alike = [n for n in numbers if enough(n)]
    if alike:
        return _said(judge.mistakes[max(alike, key=lambda n: together(n, wrong) + together(n, right))], trials)
    return None, {}


def _same(trial: Trial, other: Observation) -> bool:
    if trial.error or other.error:
        return bool(trial.error and other.error) and _gist(trial.error) == _gist(other.error)
    return close(trial.seen, other.values)


def _gist(error: Any) -> str:
    """An error without its numbers: a typo's AttributeError is not that of a known mistake."""
    return f"{error.type}: {re.sub(r'[0-9]+', '#', error.text)}"


def _behaves(mistake: Mistake, trials: Sequence[Trial]) -> bool | Values:
    if mistake.behaves is None:
        return False
    try:
        return mistake.behaves(trials)
    except Exception:  # a predicate that cannot read these values does not recognise them
        return False


def _said(mistake: Mistake, trials: Sequence[Trial]) -> tuple[Mistake, Values]:
    found = _behaves(mistake, trials)
    return mistake, found if isinstance(found, dict) else {}


# --- what an answer does besides its result ---------------------------------------------------------------------------


def _conduct_message(observations: Sequence[Observation]) -> Message | None:
    changed = dict.fromkeys(name for o in observations for name in o.changed)
    left = dict.fromkeys(name for o in observations for name in o.left)
    if changed:
        return Message("contract.changed", {"names": ", ".join(f"`{name}`" for name in changed)})
    return Message(f"contract.left_{next(iter(left))}") if left else None
