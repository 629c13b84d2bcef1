"""What a card says when no known mistake is named: which part of the result differs, where, and how.

Works on observed values alone and runs no code of the learner's. In grading these sentences stay with the instructor:
students read those of `grading/outside/public_sentences.py`, which quote no value.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from course_lib.exercises import messages
from course_lib.exercises.conduct import names_in
from course_lib.exercises.contract import Criterion, Exercise, Judge, Other, Trial, Values, close
from course_lib.exercises.messages import Message
from course_lib.exercises.observing import Failure, Place
from course_lib.exercises.showing import (
    IN_A_SENTENCE,
    describe_case,
    in_code,
    kind,
    shown_apart,
    widest_gap,
)


class Way(enum.StrEnum):
    """In which way an answer differs; the value is the id of the sentence that says so."""

    ERROR = "contract.error"
    ERROR_SOME = "contract.error_some"
    CALL = "contract.cannot_be_called"
    CHECK = "contract.unusable"
    NO_RETURN = "contract.returns_none"
    NONE = "contract.is_none"
    MISSING = "contract.missing"
    EXTRA = "contract.extra"
    TYPE = "contract.wrong_type"
    SHAPE = "contract.wrong_shape"
    DTYPE = "contract.wrong_dtype"
    LENGTH = "contract.wrong_length"
    LACKS = "contract.lacks"
    BESIDES = "contract.has_besides"
    OTHERS = "contract.has_others"
    FINITE = "contract.not_finite"
    VALUE = "contract.wrong_value"
    VALUES = "contract.wrong_values"
    UNMET = "contract.unmet"


# Ways that are one and the same for values of another size.
_ALIKE = ((Way.ERROR, Way.ERROR_SOME), (Way.VALUE, Way.VALUES), (Way.LACKS, Way.BESIDES, Way.OTHERS))


@dataclass(frozen=True)
class Explanation:
    """What differs, and where it shows.

    Attributes:
        message: the sentence for the learner.
        way: in which way the answer differs.
        trial: the case that shows it, the first one; None where every criterion is met.
        criterion: the first criterion that is not met there.
        key: the observed value that differs; empty for an error.
        path: the keys and positions inside that value.
    """

    message: Message
    way: Way
    trial: Trial | None = None
    criterion: Criterion | None = None
    key: str = ""
    path: tuple[Any, ...] = ()

    def is_like(self, other: Explanation) -> bool:
        """Whether two cases show the same difference: the same part of the result, in the same way."""
        same_way = self.way is other.way or any(self.way in ways and other.way in ways for ways in _ALIKE)
        if self.trial is None or other.trial is None or self.key != other.key or not same_way:
            return False
        here, there = self.trial.error, other.trial.error
        return (here and (here.type, here.line, here.place)) == (there and (there.type, there.line, there.place))


def explain(exercise: Exercise, judge: Judge, trials: Sequence[Trial]) -> Explanation:
    """The first thing to say of an answer that is wrong: an error if there is any, else a value that differs."""
    for trial in trials:
        if trial.error:
            return _explain_error(exercise, trial, some=any(not t.error for t in trials))
    unmet = [criterion for criterion in judge.criteria if not _met(criterion, trials)]
    if unmet and all(map(gives_nothing, trials)):
        key = next(iter(trials[0].expected))
        message = Message(Way.NO_RETURN.value, {"key": words_for(exercise, key)})
        return Explanation(message, Way.NO_RETURN, trials[0], unmet[0], key)
    pairs = ((criterion, trial) for criterion in unmet for trial in _applicable(criterion, trials))
    each = (explain_criterion(exercise, judge, criterion, trial) for criterion, trial in pairs)
    found = [explanation for explanation in each if explanation]
    if found:  # a missing `return` comes before all that follows from it
        return next((explanation for explanation in found if explanation.way is Way.NO_RETURN), found[0])
    # Said by their ids, so that each reader sees the titles in their own language.
    titles = "; ".join(f"{exercise.name}.criterion.{criterion.name}" for criterion in unmet)
    failing = ((each, t) for each in unmet for t in _applicable(each, trials) if not passes(each, t))
    for criterion, trial in failing:
        fields = {"titles": titles, "case": describe_case(exercise, trial.case)}
        return Explanation(Message(Way.UNMET.value, fields), Way.UNMET, trial, criterion)
    return Explanation(Message(Way.UNMET.value, {"titles": titles, "case": ""}), Way.UNMET)


def gives_nothing(trial: Trial) -> bool:
    """Whether the first value that is observed, which is what an answer returns, is None and should not be."""
    key = next(iter(trial.expected), "")
    return not trial.error and trial.seen.get(key, "") is None and trial.expected[key] is not None


def explain_again(exercise: Exercise, judge: Judge, before: Explanation, trial: Trial) -> Explanation | None:
    """What another case shows of a difference that one case has shown; None where it does not show."""
    if before.trial is None:
        return None
    if before.criterion is None:
        found = _explain_error(exercise, trial, some=before.way is Way.ERROR_SOME) if trial.error else None
    else:
        found = None if trial.error else explain_criterion(exercise, judge, before.criterion, trial)
    return found if found and found.is_like(before) else None


def explain_criterion(exercise: Exercise, judge: Judge, criterion: Criterion, trial: Trial) -> Explanation | None:
    """Why a trial does not meet a criterion: the observed value that it fails for, and how that differs."""
    if passes(criterion, trial):
        return None
    for key in responsible_keys(criterion, trial):
        found = next(_differences(trial, key, exact=judge.exact), None)
        if found:
            message = Message(found.way.value, _fields(exercise, trial, key, found))
            return Explanation(message, found.way, trial, criterion, key, found.path)
    return None


def passes(criterion: Criterion, trial: Trial) -> bool:
    """Whether a trial meets a criterion; values of another kind than it can compare do not."""
    try:
        return not trial.error and bool(criterion.passes(trial.case, trial.seen, trial.expected))
    except Exception:
        return False


def responsible_keys(criterion: Criterion, trial: Trial) -> list[str]:
    """The observed values for which a criterion is not met: with the expected ones in their place it would be.

    What else differs may differ: in how many batches the images go through a network, for example. Where the criterion
    cannot be met so, all observed values are given.
    """
    mended = trial._replace(seen={**trial.seen, **trial.expected})
    if not passes(criterion, mended):
        return list(trial.expected)
    keys = []
    for key in trial.expected:
        seen = {**mended.seen, key: trial.seen[key]} if key in trial.seen else _without(mended.seen, key)
        if passes(criterion, mended._replace(seen=seen)):
            mended = mended._replace(seen=seen)
        else:
            keys.append(key)
    return keys


def _without(values: Values, key: str) -> Values:
    return {name: value for name, value in values.items() if name != key}


def _applicable(criterion: Criterion, trials: Sequence[Trial]) -> list[Trial]:
    return [t for t in trials if criterion.cases is None or t.case.name in criterion.cases]


def _met(criterion: Criterion, trials: Sequence[Trial]) -> bool:
    return all(passes(criterion, trial) for trial in _applicable(criterion, trials))


# --- errors ---------------------------------------------------------------------------------------------------------


def _explain_error(exercise: Exercise, trial: Trial, *, some: bool) -> Explanation:
    error: Failure = trial.error
    fields = {"type": error.type, "text": error.text, "case": describe_case(exercise, trial.case)}
    if error.place is Place.CALL:
        way, fields["signature"] = Way.CALL, exercise.signature
    elif error.place is Place.CHECK:
        way, fields["where"] = Way.CHECK, f" (raised by `{error.source}`)" if error.source else ""
    else:
        way = Way.ERROR_SOME if some else Way.ERROR
        fields["where"] = f" (line {error.line}: `{error.source}`)" if error.line and error.source else ""
    return Explanation(Message(way.value, fields), way, trial)


# --- differences of values ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Difference:
    way: Way
    fields: Values
    path: tuple[Any, ...] = ()


def _differences(trial: Trial, key: str, *, exact: bool) -> Iterator[_Difference]:
    """How an observed value differs from the expected one; the first of these is told."""
    expected = trial.expected[key]
    if key not in trial.seen:
        yield _Difference(Way.MISSING, {})
        return
    seen = trial.seen[key]
    if seen is None and expected is not None and key == next(iter(trial.expected)):
        yield _Difference(Way.NO_RETURN, {})
    yield from _compare(seen, expected, (), exact)
    if exact:  # a criterion may ask for more than the usual tolerance
        yield from _compare(seen, expected, (), exact, tolerance=0.0)


def _compare(
    seen: Any, expected: Any, path: tuple[Any, ...], exact: bool, tolerance: float | None = None
) -> Iterator[_Difference]:
    if seen is None and expected is not None:
        # Words such as "train" are how a check keeps what it saw; no answer was asked for a str.
        wanted = "phrase.a_value" if isinstance(expected, str) else kind(expected)
        yield _Difference(Way.NONE, {"expected": wanted}, path)
    elif _family(seen) != _family(expected):
        yield _Difference(Way.TYPE, {"given": kind(seen), "expected": kind(expected)}, path)
    elif isinstance(expected, torch.Tensor):
        yield from _compare_tensors(seen, expected, path, exact, tolerance)
    elif isinstance(expected, dict):
        yield from _compare_dicts(seen, expected, path, exact, tolerance)
    elif isinstance(expected, list) and _are_names(seen) and _are_names(expected):
        yield from _compare_names(seen, expected, path)
    elif isinstance(expected, list):
        if len(seen) != len(expected):
            if exact:
                yield _Difference(Way.LENGTH, {"given": len(seen), "expected": len(expected)}, path)
            return
        for at, (mine, theirs) in enumerate(zip(seen, expected, strict=True)):
            yield from _compare(mine, theirs, (*path, at), exact, tolerance)
    elif isinstance(seen, float) and isinstance(expected, (int, float)) and not _finite(seen) and _finite(expected):
        yield _Difference(Way.FINITE, {"given": str(seen)}, path)
    elif (exact or isinstance(expected, str)) and not _agree(seen, expected, tolerance):  # no word is drawn at random
        given, wanted = shown_apart(seen, expected)
        yield _Difference(Way.VALUE, {"given": given, "expected": wanted}, path)


def _compare_tensors(
    seen: torch.Tensor, expected: torch.Tensor, path: tuple[Any, ...], exact: bool, tolerance: float | None
) -> Iterator[_Difference]:
    if seen.shape != expected.shape:
        yield _Difference(Way.SHAPE, {"given": str(tuple(seen.shape)), "expected": str(tuple(expected.shape))}, path)
        return
    if not seen.isfinite().all() and expected.isfinite().all():
        yield _Difference(Way.FINITE, {"given": "nan" if seen.isnan().any() else "inf"}, path)
    elif exact and not _agree(seen, expected, tolerance):
        if seen.numel() <= IN_A_SENTENCE:
            given, wanted = shown_apart(seen, expected)
            yield _Difference(Way.VALUE, {"given": given, "expected": wanted}, path)
        else:
            place, gap = widest_gap(seen, expected)
            given, wanted = shown_apart(seen[tuple(place)], expected[tuple(place)])
            off = int((gap > 1e-5 + 1e-4 * expected.abs().nan_to_num(posinf=0.0)).sum()) or int((gap > 0).sum())
            count = {"share": off, "count": gap.numel(), "place": str(place)}
            yield _Difference(Way.VALUES, {**count, "given": given, "expected": wanted}, path)
    if seen.dtype != expected.dtype:
        yield _Difference(Way.DTYPE, {"given": str(seen.dtype), "expected": str(expected.dtype)}, path)


def _compare_dicts(
    seen: Values, expected: Values, path: tuple[Any, ...], exact: bool, tolerance: float | None
) -> Iterator[_Difference]:
    for name, value in expected.items():
        if name in seen:
            yield from _compare(seen[name], value, (*path, name), exact, tolerance)
        else:
            yield _Difference(Way.MISSING, {}, (*path, name))
    for name in seen:
        if name not in expected:
            yield _Difference(Way.EXTRA, {}, (*path, name))


def _compare_names(seen: list[str], expected: list[str], path: tuple[Any, ...]) -> Iterator[_Difference]:
    lacking = list((Counter(expected) - Counter(seen)).elements())
    besides = list((Counter(seen) - Counter(expected)).elements())
    fields = {"lacking": in_code(lacking), "besides": in_code(besides)}
    if lacking or besides:
        way = Way.OTHERS if lacking and besides else Way.LACKS if lacking else Way.BESIDES
        yield _Difference(way, fields, path)
    for at, (mine, theirs) in enumerate(zip(seen, expected, strict=False)):
        if mine != theirs:
            given, wanted = shown_apart(mine, theirs)
            yield _Difference(Way.VALUE, {"given": given, "expected": wanted}, (*path, at))


def _are_names(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _agree(seen: Any, expected: Any, tolerance: float | None) -> bool:
    return close(seen, expected) if tolerance is None else close(seen, expected, rtol=tolerance, atol=tolerance)


def _finite(value: float) -> bool:
    return value - value == 0


def _family(value: Any) -> str:
    """What may be compared with what: an int with a float, but no number with a tensor."""
    if isinstance(value, torch.Tensor):
        return "tensor"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return value.type_name if isinstance(value, Other) else type(value).__name__


# --- the words for a part of the result -----------------------------------------------------------------------------


def _fields(exercise: Exercise, trial: Trial, key: str, found: _Difference) -> Values:
    inside = "".join(f"[{part!r}]" for part in found.path)
    fields = {"key": words_for(exercise, key), "part": f" at `{inside}`" if inside else ""}
    return {**fields, **found.fields, "case": describe_case(exercise, trial.case)}


def words_for(exercise: Exercise, key: str) -> str:
    """What an observed value is called: a message id where there are words for it, else a phrase or its name.

    The exercise's own words come first, then what is said of an argument or another value by the form of its name,
    then the words that exercises share.
    """
    if key in exercise.words:
        return f"{exercise.name}.observed.{key}"
    arguments = names_in(exercise.signature)
    for pattern, phrase in _FORMS:
        found = re.fullmatch(pattern, key)
        if found and (found[1] in arguments or phrase == _DTYPE):
            return phrase.format(name=found[1])
    shared = f"observed.{key}"
    return shared if shared in messages.SENTENCES else key.replace("_", " ")


_DTYPE = messages.SENTENCES["phrase.dtype_of"]
_FORMS = (
    (r"(\w+)_after", messages.SENTENCES["phrase.argument_after"]),
    (r"(\w+)_gradient", messages.SENTENCES["phrase.gradient_of"]),
    (r"gradient_(\w+)", messages.SENTENCES["phrase.gradient_of"]),
    (r"(\w+)_dtype", _DTYPE),
)
