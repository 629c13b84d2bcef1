"""`few_label_split`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.answers import known_answers
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values
from course_lib.exercises.first_steps.few_label_split.exercise import DRAWN_CASES, DRAWS
from course_lib.exercises.first_steps.judge import in_all_of, trials_named
from course_lib.exercises.judging import in_any

answer = known_answers(__file__, "few_label_split")


def reference(labels, per_class, generator):
    """A random order of everything, then a stable sort by class: the first of each class are labeled."""
    order = torch.randperm(len(labels), generator=generator)
    seen = dict.fromkeys(labels.tolist(), 0)
    labeled: list[int] = []
    rest: list[int] = []
    for position in order.tolist():
        label = int(labels[position])
        (labeled if seen[label] < per_class else rest).append(position)
        seen[label] += 1
    return torch.tensor(labeled, dtype=torch.int64), torch.tensor(rest, dtype=torch.int64)


def _set(value: Any) -> list[int]:
    """Positions, sorted. Raises for anything that is no int64 vector; then a criterion is not met."""
    if not isinstance(value, Tensor) or value.dtype != torch.int64 or value.ndim != 1:
        raise TypeError("no positions")
    return sorted(value.tolist())


def _per_class_counts(case: Case, positions: Any) -> list[int]:
    labels = case.inputs["labels"]
    chosen = labels[torch.tensor(sorted(set(_set(positions))), dtype=torch.int64)]
    return [int((chosen == k).sum()) for k in labels.unique()]


def _is_stratified(case: Case, positions: Any) -> bool:
    return all(count == case.inputs["per_class"] for count in _per_class_counts(case, positions))


def _stratified(case: Case, seen: Values, expected: Values) -> bool:
    return _is_stratified(case, seen["labeled"]) and _is_stratified(case, seen["labeled_other_seed"])


def _complete(case: Case, seen: Values, expected: Values) -> bool:
    labeled, rest = set(_set(seen["labeled"])), set(_set(seen["rest"]))
    once = len(rest) == len(seen["rest"])
    return bool(labeled) and once and not labeled & rest and labeled | rest == set(range(len(case.inputs["labels"])))


def _random(case: Case, seen: Values, expected: Values) -> bool:
    """Each image of a class is labeled about as often as any other, over many draws: within 6 standard deviations."""
    labels = case.inputs["labels"]
    if int(seen["times_labeled"].sum()) != DRAWS * case.inputs["per_class"] * len(labels.unique()):
        return False
    for k in labels.unique():
        counts = seen["times_labeled"][labels == k].double()
        share = case.inputs["per_class"] / len(counts)
        tolerance = 6 * math.sqrt(DRAWS * share * (1 - share))
        if bool(((counts - DRAWS * share).abs() > tolerance).any()):
            return False
    return True


def _from_the_generator(case: Case, seen: Values, expected: Values) -> bool:
    same = _set(seen["labeled"]) == _set(seen["labeled_again"]) and _set(seen["rest"]) == _set(seen["rest_again"])
    return same and _set(seen["labeled"]) != _set(seen["labeled_other_seed"])


def _some_other_seed_differs(trials: Sequence[Trial]) -> bool:
    return in_any(trials, lambda t: _set(t.seen["labeled"]) != _set(t.seen["labeled_other_seed"]))


def _first_positions(case: Case) -> list[int]:
    labeled, _ = answer("first_of_each_class")(case.inputs["labels"], case.inputs["per_class"], None)
    return sorted(labeled.tolist())


def _last_positions(case: Case) -> list[int]:
    labels, k = case.inputs["labels"], case.inputs["per_class"]
    return sorted(torch.cat([torch.nonzero(labels == c).squeeze(1)[-k:] for c in labels.unique()]).tolist())


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("stratified", 1, "labeled holds exactly per_class different images of each class", _stratified),
        Criterion("complete", 1, "every position is in one of the two sets, and in only one", passes=_complete),
        Criterion(
            "random",
            1,
            "every image of a class has the same chance",
            passes=_random,
            cases=DRAWN_CASES,
        ),
        Criterion(
            "from_the_generator",
            1,
            "the generator decides: same seed, same split; another seed, another split",
            passes=_from_the_generator,
            cases=DRAWN_CASES,
        ),
    ),
    predicates={
        "a_class_forgotten": lambda trials: in_all_of(
            trials, lambda t: _per_class_counts(t.case, t.seen["labeled"]).count(0) == 1
        ),
        "one_lost_at_the_cut": lambda trials: (
            in_all_of(
                trials,
                lambda t: (
                    _is_stratified(t.case, t.seen["labeled"])
                    and not set(_set(t.seen["labeled"])) & set(_set(t.seen["rest"]))
                ),
            )
            and in_any(trials, lambda t: len(t.seen["rest"]) < len(t.expected["rest"]))
        ),
        "first_of_each_class": lambda trials: in_all_of(
            trials, lambda t: _set(t.seen["labeled"]) in (_first_positions(t.case), _last_positions(t.case))
        ),
        "not_stratified": lambda trials: (
            in_all_of(trials, lambda t: len(t.seen["labeled"]) == len(t.expected["labeled"]))
            and in_any(trials, lambda t: not _is_stratified(t.case, t.seen["labeled"]))
        ),
        "overlapping_sets": lambda trials: in_all_of(
            trials, lambda t: bool(set(_set(t.seen["labeled"])) & set(_set(t.seen["rest"])))
        ),
        "always_the_same_seed": lambda trials: (
            not _some_other_seed_differs(trials)
            and in_all_of(trials, lambda t: _is_stratified(t.case, t.seen["labeled"]))
        ),
        "generator_stands_still": lambda trials: (
            _some_other_seed_differs(trials)
            and in_all_of(
                trials_named(trials, *DRAWN_CASES),
                lambda t: (
                    _is_stratified(t.case, t.seen["labeled"]) and set(t.seen["times_labeled"].tolist()) == {0, DRAWS}
                ),
            )
        ),
        "global_generator": lambda trials: in_any(
            trials, lambda t: _set(t.seen["labeled"]) != _set(t.seen["labeled_again"])
        ),
    },
    exact=False,
)
