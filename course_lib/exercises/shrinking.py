"""Looks for the smallest inputs that show what is wrong with an answer, in self-study, for a third of a second.

Starts from a case of the check and makes it smaller, one change at a time: fewer images, fewer pixels, channels and
columns, smaller and rounder numbers. A change is kept while the answer differs in the same way, the reference runs and
gives finite numbers, and the exercise's other right answers meet the criterion too: so no change leads to inputs on
which right answers disagree. Nothing here changes a verdict: it is there before the search begins.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from course_lib.exercises.alarm import OutOfTime, stopped_after
from course_lib.exercises.contract import Case, Exercise, Judge, Trial, Values, close
from course_lib.exercises.explaining import Explanation, Way, explain_again, passes
from course_lib.exercises.observing import CapturedOutput, Observation, observe_all
from course_lib.exercises.showing import arguments_of
from course_lib.exercises.smallest import SmallestCase

SECONDS = 0.3  # of CPU time for the whole search
TRIES = 1000  # cases that are tried at most
CHEAP = 0.02  # CPU seconds per case that an answer may take: a step runs the reference and other right answers besides
ONE_CALL = 0.3  # seconds after which an answer that does not end on smaller inputs is stopped
# These need no inputs to be understood; they are searched for only where they show on some inputs and not on all.
PLAIN_WAYS = (Way.NO_RETURN, Way.NONE, Way.TYPE, Way.DTYPE, Way.MISSING, Way.EXTRA)

MANY = 24  # entries along a size that are tried one by one

Inputs = Values


def smallest_case(
    exercise: Exercise,
    judge: Judge,
    fn: Callable[..., Any],
    explanation: Explanation,
    trials: Sequence[Trial],
    *,
    seconds: float = SECONDS,
) -> SmallestCase | None:
    """The smallest case found that shows what an explanation says; None where there is none to show.

    Args:
        trials: the cases of the check with what the answer gave on them.
        seconds: how long to look, in CPU time.
    """
    if not judge.exact or explanation.trial is None or explanation.way in (Way.CALL, Way.CHECK, Way.UNMET):
        return None
    if not arguments_of(exercise, explanation.trial.case):
        return None
    alike = [trial for trial in trials if explain_again(exercise, judge, explanation, trial)]
    if explanation.way in PLAIN_WAYS and len(alike) == len(trials):
        return None
    search = _Search(exercise, judge, fn, explanation, [trial.case for trial in trials], seconds)
    starts = sorted((trial.case for trial in alike), key=_entries)
    with CapturedOutput():  # once for all steps
        with contextlib.suppress(OutOfTime):
            if not any(search.shows_in(case) for case in starts):
                return None
            search.run()
        with contextlib.suppress(OutOfTime):
            search.more_time()
            if search.best is not None and search.shows_in(search.case):  # the same once more
                return SmallestCase(exercise, search.best)
    return None


def _entries(case: Case) -> int:
    return sum(value.numel() for value in case.inputs.values() if isinstance(value, torch.Tensor))


def changed_when_called_again(exercise: Exercise, fn: Callable[..., Any], trials: Sequence[Trial]) -> Trial | None:
    """The first of these cases on which an answer gives other values now than in the check, which came before."""
    for trial in trials:
        now = observe_all(exercise, fn, [trial.case])[0]
        if now.error and now.error.type == "KeyboardInterrupt":
            raise KeyboardInterrupt
        if bool(now.error) != bool(trial.error) or not close({} if now.error else now.values, trial.seen):
            return trial
    return None


class _Captured(CapturedOutput):
    """Captures nothing: the search as a whole is captured."""

    def __init__(self) -> None:
        self.text = ""

    def __enter__(self) -> _Captured:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Search:
    """The best case so far, and how it is made smaller."""

    def __init__(
        self,
        exercise: Exercise,
        judge: Judge,
        fn: Callable[..., Any],
        explanation: Explanation,
        cases: Sequence[Case],
        seconds: float,
    ) -> None:
        self.exercise, self.judge, self.fn, self.wanted = exercise, judge, fn, explanation
        self.sizes = sizes_in(cases)
        self._arguments = list(arguments_of(exercise, cases[0]))
        self.best: Explanation | None = None  # with its trial, once the first case has been tried
        self._end, self._tries = time.process_time() + seconds, TRIES

    def more_time(self) -> None:
        """For the one step that confirms what was found."""
        self._end, self._tries = max(self._end, time.process_time() + ONE_CALL), 1

    # --- one step ---

    def shows_in(self, case: Case) -> bool:
        """Whether a case shows the difference too; if so it is the best one from now on.

        Raises:
            OutOfTime: there is no time left.
        """
        if time.process_time() >= self._end or not self._tries:
            raise OutOfTime
        self._tries -= 1
        expected = self._observed(self.judge.reference, case)
        if expected.error or not _finite(expected.values):
            return False
        right = Trial(case, expected.values, expected.values)
        if not self._right(right):
            return False
        with stopped_after(ONE_CALL, self.exercise.observe) as rings:
            seen = self._observed(self.fn, case, guard=True)
        if rings:
            raise OutOfTime
        trial = Trial(case, {} if seen.error else seen.values, expected.values, seen.error)
        found = explain_again(self.exercise, self.judge, self.wanted, trial)
        if not found or not all(self._is_right(other.fn, right) for other in self.judge.alternatives):
            return False
        self.best = found
        return True

    def _observed(self, fn: Callable[..., Any], case: Case, *, guard: bool = False) -> Observation:
        observation = observe_all(self.exercise, fn, [case], guard=guard, capture=_Captured)[0]
        if observation.error and observation.error.type == "KeyboardInterrupt":
            raise KeyboardInterrupt  # the learner's own, which ends the search whatever is at work
        return observation

    def _is_right(self, fn: Callable[..., Any], right: Trial) -> bool:
        """Whether one of the exercise's right answers is right on this case too."""
        observation = self._observed(fn, right.case)
        return not observation.error and self._right(right._replace(seen=observation.values))

    def _right(self, trial: Trial) -> bool:
        if self.wanted.criterion is None:  # an error: the first value is what the answer returns
            key = next(iter(trial.expected))
            return close(trial.seen.get(key), trial.expected[key])
        return passes(self.wanted.criterion, trial)

    # --- the search ---

    def run(self) -> None:
        """Makes the best case smaller until nothing more can be taken from it.

        Raises:
            OutOfTime: there is no time left; what was found stays.
        """
        while any([self._repeat(step) for step in self._steps()]):
            pass

    def _steps(self) -> Iterator[Step]:
        """What takes much comes first."""
        yield usual_layout
        yield from map(halves, self.sizes)
        yield from map(halves, self._equal_sizes())
        yield simpler_numbers
        yield rounder
        yield shorter_lists
        yield from map(fewer, [*self.sizes, *self._equal_sizes()])

    def _equal_sizes(self) -> list[Size]:
        """Pairs of sizes that are equal now, as one: an answer may be wrong for square images alone."""
        pairs = itertools.combinations([size for size in self.sizes if size.of(self._inputs) > 1], 2)
        return [a.with_(b) for a, b in pairs if a.of(self._inputs) == b.of(self._inputs)]

    def _repeat(self, step: Step) -> bool:
        """Takes a step again and again while it leads to a smaller case; whether it did."""
        took = False
        while any(self.shows_in(Case(self.case.name, inputs)) for inputs in step(self._arguments, self._inputs)):
            took = True
        return took

    @property
    def _inputs(self) -> Inputs:
        return self.case.inputs

    @property
    def case(self) -> Case:
        assert self.best is not None and self.best.trial is not None  # `run` comes after a case that shows it
        return self.best.trial.case


def _finite(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return bool(value.isfinite().all())
    if isinstance(value, dict):
        return all(_finite(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return all(_finite(item) for item in value)
    return not isinstance(value, float) or value - value == 0


# --- steps: each gives inputs that are smaller or simpler, the smallest first -----------------------------------------

Step = Callable[[Sequence[str], Inputs], Iterator[Inputs]]  # of the names of the answer's arguments, and of all inputs


@dataclass(frozen=True)
class Size:
    """A number that several inputs share, such as the number of images: `dims` of tensors, and plain numbers."""

    dims: tuple[tuple[str, int], ...]
    numbers: tuple[str, ...] = ()

    def of(self, inputs: Inputs) -> int:
        name, dim = self.dims[0]
        return int(inputs[name].shape[dim])

    def with_(self, other: Size) -> Size:
        return Size(self.dims + other.dims, self.numbers + other.numbers)


def sizes_in(cases: Sequence[Case]) -> list[Size]:
    """The sizes that inputs share: those that are equal in every case, so not only by chance in one.

    >>> pair = lambda n, k: Case("", {"logits": torch.zeros(n, k), "labels": torch.zeros(n), "num_classes": k})
    >>> [size.dims for size in sizes_in([pair(4, 3), pair(3, 3), pair(5, 2)])]
    [(('logits', 0), ('labels', 0)), (('logits', 1),)]
    """
    found: dict[tuple[int | None, ...], list[tuple[str, int]]] = {}
    numbers: dict[tuple[int | None, ...], list[str]] = {}
    for name, value in cases[0].inputs.items():
        if isinstance(value, torch.Tensor):
            for dim in range(value.ndim):
                found.setdefault(tuple(_size(case, name, dim) for case in cases), []).append((name, dim))
        elif type(value) is int:
            numbers.setdefault(tuple(case.inputs.get(name) for case in cases), []).append(name)
    return [Size(tuple(dims), tuple(numbers.get(sizes, ()))) for sizes, dims in found.items() if None not in sizes]


def _size(case: Case, name: str, dim: int) -> int | None:
    value = case.inputs.get(name)
    return value.shape[dim] if isinstance(value, torch.Tensor) and dim < value.ndim else None


def _cut(inputs: Inputs, size: Size, indices: Sequence[int]) -> Inputs:
    """The inputs with these entries alone along a size; class labels stay among the columns that are left."""
    changed = dict(inputs)
    in_a_row = list(indices) == list(range(indices[0], indices[-1] + 1))
    for name, dim in size.dims:
        value = changed[name]
        # a slice keeps the layout in memory, which the difference may depend on
        changed[name] = (
            value.narrow(dim, indices[0], len(indices)) if in_a_row else value.index_select(dim, torch.tensor(indices))
        )
        if dim == 1 and value.ndim == 2:  # (N, K): there may be labels of the N images
            for other, labels in inputs.items():
                if isinstance(labels, torch.Tensor) and labels.dtype == torch.int64 and labels.shape == value.shape[:1]:
                    changed[other] = labels.clamp(max=len(indices) - 1)
    return changed | dict.fromkeys(size.numbers, len(indices))


def halves(size: Size) -> Step:
    """One entry, the first half or the second."""

    def step(arguments: Sequence[str], inputs: Inputs) -> Iterator[Inputs]:
        every = range(size.of(inputs))
        middle = len(every) // 2
        for part in (every[:1], every[: len(every) - middle], every[middle:]) if middle else ():
            yield _cut(inputs, size, part)

    return step


def fewer(size: Size) -> Step:
    """Any one entry, or all but one."""

    def step(arguments: Sequence[str], inputs: Inputs) -> Iterator[Inputs]:
        every = range(size.of(inputs)) if 1 < size.of(inputs) <= MANY else ()
        for index in every:
            yield _cut(inputs, size, [index])
        for left_out in reversed(every):
            yield _cut(inputs, size, [index for index in every if index != left_out])

    return step


def usual_layout(arguments: Sequence[str], inputs: Inputs) -> Iterator[Inputs]:
    """Contiguous, and in single precision."""
    tensors = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
    scattered = {name: value.contiguous() for name, value in tensors.items() if not value.is_contiguous()}
    double = {name: value.float() for name, value in tensors.items() if value.dtype == torch.float64}
    yield from ({**inputs, **changed} for changed in (scattered, double) if changed)


def simpler_numbers(arguments: Sequence[str], inputs: Inputs) -> Iterator[Inputs]:
    """Simpler numbers among the arguments, the simplest first."""
    for name in arguments:
        value = inputs[name]
        if type(value) is int:
            whole = (1, 0, 2, 3, value // 2, value - 1)
            yield from ({**inputs, name: number} for number in whole if abs(number) < abs(value))
        elif type(value) is float:
            rounded = (1.0, 0.5, 0.0, 2.0, *(round(value, digits) for digits in (0, 1, 2)))
            yield from ({**inputs, name: number} for number in _before(value, rounded))


def _before(value: Any, simpler: Iterable[Any]) -> Iterator[Any]:
    """What comes before the value itself, which is simple enough then."""
    return itertools.takewhile(lambda other: bool(other != value), simpler)


def shorter_lists(arguments: Sequence[str], inputs: Inputs) -> Iterator[Inputs]:
    """Lists with an element less, then with rounder ones."""
    for name in arguments:
        value = inputs[name]
        if isinstance(value, list):
            shorter = [value[:at] + value[at + 1 :] for at in reversed(range(len(value)))] if len(value) > 1 else []
            rounded = ([round(x, digits) if type(x) is float else x for x in value] for digits in (0, 1, 2))
            yield from ({**inputs, name: items} for items in (*shorter, *_before(value, rounded)))


def rounder(arguments: Sequence[str], inputs: Inputs) -> Iterator[Inputs]:
    """Whole numbers, or few decimals: in all tensors at once, then in each alone; labels that are 0."""
    tensors = {name: inputs[name] for name in arguments if isinstance(inputs[name], torch.Tensor)}
    decimals = {name: value for name, value in tensors.items() if value.is_floating_point()}
    for name, value in decimals.items():
        low, high = value.min(), value.max()
        if 0 <= low < high <= 1 and (low, high) != (0, 1):  # grays with more contrast
            yield {**inputs, name: ((value - low) / (high - low)).round(decimals=1)}
    for digits in (0, 1, 2):
        rounded = {name: value.round(decimals=digits) + 0.0 for name, value in decimals.items()}
        rough = {name: value for name, value in rounded.items() if not torch.equal(value, inputs[name])}
        if len(rough) > 1:
            yield {**inputs, **rough}
        yield from ({**inputs, name: value} for name, value in rough.items())
    for name, value in tensors.items():
        if value.dtype == torch.int64 and value.any():
            yield {**inputs, name: torch.zeros_like(value)}
