"""The exercise contract: what an exercise is, and everything we know about it (one object, three uses).

`Case`, `Hints` and `Exercise` are what a learner may see. `Criterion`, `Mistake` and `Judge` are for the judge alone:
in self-study that is the same process, in grading a clean one that never runs a student's code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from course_lib.exercises.messages import Message

Values = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One set of inputs: a name that criteria can refer to, and plain values (tensors, numbers, strings, lists)."""

    name: str
    inputs: Values

    def copy(self, device: torch.device | str | None = None) -> Case:
        """The case with tensors of its own, strides kept, so that an answer that writes into its input does no harm."""
        return Case(self.name, _copied(self.inputs, device))


def _copied(value: Any, device: torch.device | str | None) -> Any:
    if isinstance(value, torch.Tensor):
        twin = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype).copy_(value)
        return twin.to(device) if device is not None else twin
    if isinstance(value, dict):
        return {key: _copied(item, device) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(item, device) for item in value)
    return value


def with_a_repeat(cases: Sequence[Case]) -> list[Case]:
    """The cases, and the first one again with other values in the same shapes.

    An answer that keeps something between calls, by shape or for good, is wrong on the last.
    """
    for case in cases:
        inputs = _turned_round(case.inputs)
        if not close(inputs, case.inputs):
            return [*cases, Case(case.name, inputs)]
    return list(cases)


def _turned_round(value: Any) -> Any:
    """Every tensor with its rows in the opposite order, so that what belongs together still does."""
    if isinstance(value, torch.Tensor):
        return value.flip(0) if value.ndim else value
    if isinstance(value, dict):
        return {key: _turned_round(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_turned_round(item) for item in value)
    return value


class Drawing(NamedTuple):
    """What cases are drawn with: a generator on the CPU, and two functions of a shape that draw from it."""

    generator: torch.Generator
    uniform: Callable[..., torch.Tensor]
    normal: Callable[..., torch.Tensor]


def seeded(seed: int) -> torch.Generator:
    """A generator on the CPU that begins at a seed."""
    return torch.Generator().manual_seed(seed)


def drawing(seed: int) -> Drawing:
    """A generator, numbers spread evenly between 0 and 1, and standard normal numbers, all from one seed.

    >>> generator, uniform, normal = drawing(0)
    >>> uniform(2, 3).shape, normal(4).shape
    (torch.Size([2, 3]), torch.Size([4]))
    """
    generator = seeded(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return Drawing(generator, uniform, normal)


class State(StrEnum):
    """What a check says of an answer."""

    NOT_ATTEMPTED = "not_attempted"
    ERROR = "error"
    WRONG = "wrong"
    RIGHT = "right"


TRIED = (State.ERROR, State.WRONG)  # an attempt, and not right


class Diary(list[Any]):
    """A list that copies of its owner go on writing into: an answer may well work on a copy of a watched network."""

    def __deepcopy__(self, memo: Any) -> Diary:
        return self


@dataclass(frozen=True)
class Hints:
    """Three hints, opened one at a time: the idea, the calls to look up, and the lines with gaps."""

    concept: str
    api: str
    skeleton: str

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter((("Concept", self.concept), ("Functions to look up", self.api), ("Skeleton", self.skeleton)))


# What headings and lists call an exercise's difficulty.
DIFFICULTY = {1: "warm-up", 2: "core", 3: "hard"}


@dataclass(frozen=True)
class Exercise:
    """What a learner is asked for, and how an answer is observed.

    Attributes:
        name: the function or class the learner writes; unique in the course.
        unit: the unit's folder, such as "01_autoencoders"; set by the registry.
        title: a few words for lists and cards.
        signature: as the learner sees it, `corrupt(images, noise, *, generator)`.
        minutes: what it takes a learner.
        difficulty: 1, 2 or 3; `DIFFICULTY` has their names.
        points: full marks; equals the sum of the judge's criteria.
        hints: opened one at a time.
        takeaway: the sentence that teaches once the answer is right.
        cases: `cases(seed)` draws fresh inputs; CPU tensors, the same for the same seed.
        observe: `observe(fn, case)` runs the answer and returns raw values, before and after; never a verdict.
        library: dotted names in course_lib that already do it; they refuse to run while the answer is observed.
        may_change: names of arguments that an answer may change, or that a criterion of its own looks at; every check
            sees to it that all others are as they were.
        on_gpu: whether the first case is repeated on a GPU in self-study, when there is one.
        words: by the name of an observed value, what a card calls it, such as "the accuracy that you return"; a noun in
            the singular. Without words it is called by its name.
        inputs_shown: inputs besides the arguments of the signature that an answer receives in another form, such as
            the images in `batches`. Cards list these too, and no others.
        uses: earlier exercises whose functions an answer may call. A known mistake in one of them costs points there
            alone: this answer is right too where it does what a right one does with that mistake. Where that is to
            stop with an error, nothing is seen of the answer, and it has no points.
        check_of: the earlier exercise of the same unit that the learner writes a check of; see `trying_checks`.
        number: "1.2": set by the registry from the order in the unit.
    """

    name: str
    title: str
    signature: str
    minutes: int
    difficulty: int
    points: float
    hints: Hints
    takeaway: str
    cases: Callable[[int], Sequence[Case]]
    observe: Callable[[Callable[..., Any], Case], Values]
    library: tuple[str, ...] = ()
    may_change: tuple[str, ...] = ()
    on_gpu: bool = True
    words: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)
    inputs_shown: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    check_of: str = ""
    unit: str = ""
    number: str = ""


class Trial(NamedTuple):
    """One case as judged: what was seen (empty when the answer raised), what was expected, and the error if any."""

    case: Case
    seen: Values
    expected: Values
    error: Any = None


Passes = Callable[[Case, Values, Values], bool]  # a case, what was seen, what was expected
Predicate = Callable[[Sequence[Trial]], "bool | Values"]


@dataclass(frozen=True)
class Criterion:
    """One named thing an answer must do, worth its own points.

    Attributes:
        name: short, stable identifier.
        points: what it is worth.
        title: what a learner reads: "the KL is summed over latent dimensions".
        passes: `passes(case, seen, expected) -> bool`, asked for every case it applies to; all must hold.
        cases: the names of the cases it applies to; None means all.
        form: whether it is about the manner (modes, gradients, types), which code may keep and compute nothing: it
            counts only where a criterion about values is met.
        share: for a criterion that can be met in part: `share(case, seen, expected)` from 0 to 1 of its points, 1 where
            it passes.
    """

    name: str
    points: float
    title: str
    passes: Passes
    cases: tuple[str, ...] | None = None
    form: bool = False
    share: Callable[[Case, Values, Values], float] | None = None


@dataclass(frozen=True)
class Mistake:
    """A wrong implementation that people really write, with the sentence that helps.

    It is recognised when an answer gives the same values as `fn`, or when `behaves(trials)` is true. `behaves` may
    return a dict of fields for the text's {placeholders}.
    """

    name: str
    fn: Callable[..., Any]
    text: str
    behaves: Predicate | None = None


class Alternative(NamedTuple):
    """A right answer written another way than the reference."""

    name: str
    fn: Callable[..., Any]


@dataclass(frozen=True)
class Judge:
    """What decides: an independent reference, criteria with points, the known mistakes, other right answers.

    Attributes:
        reference: a right answer, written another way than learners will write it.
        criteria: their points add up to the exercise's.
        predicates: by a mistake's name, what recognises variants of it that its own values do not show.
        building_on: for an exercise that `uses` others: `building_on(**functions)` is the reference that calls these
            functions, given by the names of the exercises; right ones for those that are not given.
        exact: False for answers that draw random numbers: they are judged by moments and other properties in the
            criteria, and no message compares their values with the reference's.
        says: `says(trials)`: what is said of a wrong answer of which no known mistake is named, instead of how its
            values differ.
        left_out: of an exercise that is a check: names of known mistakes of the other exercise that are not tried.
        mistakes, alternatives: come from the exercise's mistakes.md.
    """

    reference: Callable[..., Any]
    criteria: tuple[Criterion, ...]
    predicates: Mapping[str, Predicate] = field(default_factory=dict)
    building_on: Callable[..., Callable[..., Any]] | None = None
    exact: bool = True
    says: Callable[[Sequence[Trial]], Message] | None = None
    left_out: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    alternatives: tuple[Alternative, ...] = ()

    @property
    def points(self) -> float:
        return sum(criterion.points for criterion in self.criteria)


@dataclass(frozen=True)
class Other:
    """Stands for a value that is neither tensor, number, string, list nor dict: only its type's name is kept."""

    type_name: str
    shape: tuple[int, ...] | None = field(default=None)


def close(seen: Any, expected: Any, *, rtol: float = 1e-4, atol: float = 1e-5) -> bool:
    """Whether two observed values agree: same structure and shapes, numbers to tolerance, NaN equal to NaN.

    Tensors of different dtypes agree when their values do; ask for the dtype in a criterion of its own. A number and a
    tensor never agree.

    >>> close({"loss": torch.tensor(1.0)}, {"loss": torch.tensor(1.000001)}), close(1.0, torch.tensor(1.0))
    (True, False)
    """
    if isinstance(seen, torch.Tensor) or isinstance(expected, torch.Tensor):
        if not (isinstance(seen, torch.Tensor) and isinstance(expected, torch.Tensor)) or seen.shape != expected.shape:
            return False
        if seen.dtype == expected.dtype and torch.equal(seen, expected):
            return True
        wide = torch.complex128 if seen.is_complex() or expected.is_complex() else torch.float64
        return torch.allclose(seen.to(wide), expected.to(wide), rtol=rtol, atol=atol, equal_nan=True)
    if isinstance(seen, dict) and isinstance(expected, dict):
        return seen.keys() == expected.keys() and all(close(seen[k], expected[k], rtol=rtol, atol=atol) for k in seen)
    if isinstance(seen, (list, tuple)) and isinstance(expected, (list, tuple)):
        pairs = zip(seen, expected, strict=False)
        return len(seen) == len(expected) and all(close(a, b, rtol=rtol, atol=atol) for a, b in pairs)
    if isinstance(seen, bool) or isinstance(expected, bool):
        return seen is expected
    if isinstance(seen, (int, float)) and isinstance(expected, (int, float)):
        if math.isnan(seen) or math.isnan(expected):
            return math.isnan(seen) and math.isnan(expected)
        return math.isclose(seen, expected, rel_tol=rtol, abs_tol=atol)
    return type(seen) is type(expected) and bool(seen == expected)
