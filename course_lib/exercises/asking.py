"""What judges ask of observed values: tests of criteria, and predicates that recognise variants of a mistake."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from course_lib.exercises.contract import Case, Criterion, Passes, Predicate, Trial, Values, close


def as_expected(*keys: str, atol: float = 1e-5) -> Passes:
    """A criterion's test: these of the observed values are the expected ones."""
    return lambda case, seen, expected: all(close(seen[key], expected[key], atol=atol) for key in keys)


def all_of(*tests: Passes) -> Passes:
    """A criterion's test that holds where all of these do."""
    return lambda case, seen, expected: all(test(case, seen, expected) for test in tests)


def of_each(parts: Sequence[str], *tests: Passes) -> Passes:
    """A criterion's test that holds where all of these do for each part of what was seen, such as two rounds."""
    holds = all_of(*tests)
    return lambda case, seen, expected: all(holds(case, seen[part], expected[part]) for part in parts)


def of_this_network(test: Passes, *keys: str) -> Passes:
    """A criterion's test of what was seen of the network of this very case, by these values that it came with."""
    came = as_expected(*keys)
    return lambda case, seen, expected: came(case, seen, expected) and test(case, seen, expected)


def of_this_case(key: str, *criteria: Criterion) -> tuple[Criterion, ...]:
    """Criteria that hold only of what was seen in this very case, by a value that it came with (`of_this_network`)."""
    return tuple(dataclasses.replace(each, passes=of_this_network(each.passes, key)) for each in criteria)


# --- for the predicates of mistakes ---------------------------------------------------------------------------------


def ran(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that came to an end, so that there is something to look at."""
    return [t for t in trials if not t.error and t.seen]


def in_any(trials: Sequence[Trial], predicate: Callable[[Trial], bool]) -> bool:
    """Whether it is so in at least one trial that came to an end."""
    return any(predicate(t) for t in ran(trials))


def in_all(trials: Sequence[Trial], predicate: Callable[[Trial], bool]) -> bool:
    """Whether it is so in every trial that came to an end; there must be one."""
    return bool(ran(trials)) and all(predicate(t) for t in ran(trials))


def somewhere(predicate: Callable[[Trial], bool], *cases: str) -> Predicate:
    """What `in_any` asks, as a predicate of a mistake; only of these cases, if any are named."""
    return lambda trials: in_any(named(trials, *cases) if cases else trials, predicate)


def everywhere(predicate: Callable[[Trial], bool], *cases: str) -> Predicate:
    """What `in_all` asks, as a predicate of a mistake; only of these cases, if any are named."""
    return lambda trials: in_all(named(trials, *cases) if cases else trials, predicate)


def named(trials: Sequence[Trial], *names: str) -> list[Trial]:
    """The trials of these cases that came to an end."""
    return [t for t in ran(trials) if t.case.name in names]


def failed_with(trials: Sequence[Trial], *words: str) -> bool:
    """Whether an answer stopped with an error in whose type and text all these words are."""
    return any(t.error and all(word in f"{t.error.type}: {t.error.text}" for word in words) for t in trials)


def values_of(trials: Sequence[Trial], key: str) -> list[Any]:
    """What was seen under a name in each trial that came to an end."""
    return [t.seen[key] for t in ran(trials)]


def other_dtype(trials: Sequence[Trial], key: str) -> bool | Values:
    """Whether an answer gives right values in another dtype, seen under `<key>_dtype`: the field {dtype} of a sentence.

    >>> trial = Trial(None, {"x": 1.0, "x_dtype": "torch.half"}, {"x": 1.0, "x_dtype": "torch.float"})
    >>> other_dtype([trial], "x")
    {'dtype': 'half'}
    """
    found = [t.seen[f"{key}_dtype"] for t in ran(trials) if t.seen[f"{key}_dtype"] != t.expected[f"{key}_dtype"]]
    right = in_all(trials, lambda t: close(t.seen[key], t.expected[key]))
    return right and bool(found) and {"dtype": found[0].removeprefix("torch.")}


def reordered(trial: Trial, *keys: str) -> bool:
    """Whether all of these are tensors that hold the right numbers, or rows of numbers, in another order."""
    pairs = [(trial.seen[key], trial.expected[key]) for key in keys]
    return all(not close(a, b) and close(a.double().sort(0).values, b.double().sort(0).values) for a, b in pairs)


def as_number(value: object) -> float:
    """A number, or a tensor with a single number, as a float; NaN for anything else.

    >>> as_number(torch.tensor([0.5])), as_number(True)
    (0.5, nan)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, torch.Tensor)):
        return math.nan
    return float(value)


def everywhere_with_dtype(predicate: Callable[[Trial], bool], key: str) -> Predicate:
    """As `everywhere`; the dtype that was observed under `key` fills the {dtype} of the sentence."""
    return lambda trials: in_all(trials, predicate) and {"dtype": ran(trials)[0].seen[key].removeprefix("torch.")}


loss_as_a_number = somewhere(lambda t: isinstance(t.seen["loss"], float))
loss_with_a_shape = somewhere(lambda t: isinstance(t.seen["loss"], torch.Tensor) and t.seen["loss"].ndim > 0)
loss_negated = everywhere(lambda t: close(t.seen["loss"], -t.expected["loss"]))


def off_the_graph(*gradients: str, value: str = "loss", on: Sequence[str] = ()) -> Predicate:
    """Whether the value is right, and no gradient of it reaches one of the inputs; on these cases, if any are named."""
    return everywhere(
        lambda t: close(t.seen[value], t.expected[value]) and not all(t.seen[key].any() for key in gradients), *on
    )


def loss_right_but(usual: Sequence[str], *, not_on: Sequence[str]) -> Predicate:
    """Whether the loss is right on the usual cases, and wrong on one of these others, such as one of large numbers."""
    right = as_expected("loss")
    return lambda trials: (
        in_all(named(trials, *usual), lambda t: right(*t[:3]))
        and in_any(named(trials, *not_on), lambda t: not right(*t[:3]))
    )


def rows_among(seen: object, known: torch.Tensor) -> list[int]:
    """For each row seen, such as an image, its number among the known ones; -1 for one that is not among them.

    >>> rows_among(torch.tensor([[3, 4], [0, 0], [1, 2]]), torch.tensor([[1, 2], [3, 4]]))
    [1, -1, 0]
    """
    if not isinstance(seen, torch.Tensor) or seen.shape[1:] != known.shape[1:]:
        return []
    same = (seen.flatten(1)[:, None, :] == known.flatten(1)[None, :, :]).all(dim=2)  # (n, m)
    return [int(row.nonzero()[0]) if row.any() else -1 for row in same]


def inputs_kept(case: Case, seen: Values, *names: str) -> bool:
    """Whether these inputs, observed again as `<name>_after`, are as they were given."""
    return all(torch.equal(seen[f"{name}_after"], case.inputs[name]) for name in names)


def changed(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> set[str]:
    """The names of a state's tensors that are gone in a later state, or not the same to the last bit."""
    return {name for name, value in before.items() if name not in after or not torch.equal(after[name], value)}


def global_state_kept(seen: Values) -> bool:
    """Whether nothing was drawn from torch's global generator."""
    return torch.equal(seen["global_state_before"], seen["global_state_after"])


def is_independent(noise: torch.Tensor) -> bool:
    """Whether no entry repeats another: neighbors, channels and images, next to each other or half a tensor apart."""
    bound = 6 / noise.numel() ** 0.5
    shifts = [(shift, dim) for dim, size in enumerate(noise.shape) for shift in {1, size // 2} if size > 1]
    return all(abs(float((noise * noise.roll(shift, dim)).mean())) < bound for shift, dim in shifts)


def is_standard_normal(noise: torch.Tensor) -> bool:
    """Whether the numbers may come from a standard normal distribution, by mean, spread and tails."""
    count = noise.numel()
    tails = float((noise.abs() > 2).double().mean())  # 4.6 % of a normal distribution, nothing of a uniform one
    return (
        bool(noise.isfinite().all())
        and abs(float(noise.mean())) < 5 / math.sqrt(count)
        and abs(float(noise.std()) - 1) < 4 / math.sqrt(count)
        and abs(tails - 0.0455) < 5 * math.sqrt(0.0455 / count)
    )


def has_shares(drawn: torch.Tensor, population: torch.Tensor) -> bool:
    """Whether each class has the share of the drawn labels that it has of these, as far as chance allows.

    >>> evenly_drawn = torch.arange(300) % 3
    >>> has_shares(evenly_drawn, torch.arange(3)), has_shares(evenly_drawn, torch.tensor([0, 0, 1, 2]))
    (True, False)
    """
    share = population.bincount().double() / len(population)
    found = drawn.bincount(minlength=len(share)) / len(drawn)
    return bool(((found - share).abs() < 5 * (share * (1 - share) / len(drawn)) ** 0.5 + 1e-9).all())
