"""`few_label_split`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.asking import everywhere, in_all, in_any, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values
from course_lib.exercises.first_steps.few_label_split.exercise import DRAWN_CASES, DRAWS


def reference(labels, per_class, generator):
    """A random order of all images, sorted by class; the first of each class are labeled."""
    order = torch.randperm(len(labels), generator=generator)
    classes = order[labels[order].argsort(stable=True)].split(labels.bincount().tolist())
    return torch.cat([own[:per_class] for own in classes]), torch.cat([own[per_class:] for own in classes])


def positions(values: torch.Tensor) -> list[int]:
    """Positions in ascending order; raises for anything but an int64 vector, and then a criterion is not met."""
    if values.dtype != torch.int64 or values.ndim != 1:
        raise TypeError("no positions")
    return sorted(values.tolist())


def counts(case: Case, labeled: torch.Tensor) -> list[int]:
    """How many different images of each class are labeled."""
    labels = case.inputs["labels"]
    return [int((labels[list(set(positions(labeled)))] == k).sum()) for k in labels.unique()]


def balanced(case: Case, seen: Values, expected: Values) -> bool:
    return {*counts(case, seen["labeled"]), *counts(case, seen["labeled_other_seed"])} == {case.inputs["per_class"]}


def complete(case: Case, seen: Values, expected: Values) -> bool:
    labeled, rest = set(positions(seen["labeled"])), positions(seen["rest"])
    return bool(labeled) and sorted([*labeled, *rest]) == list(range(len(case.inputs["labels"])))


def evenly_drawn(case: Case, seen: Values, expected: Values) -> bool:
    """Whether over many draws every image is labeled about as often as it should: within 6 standard deviations."""
    labels, times = case.inputs["labels"], seen["times_labeled"]
    chance = case.inputs["per_class"] / labels.bincount()[labels]
    within = (times - DRAWS * chance).abs() <= 6 * (DRAWS * chance * (1 - chance)).sqrt()
    return int(times.sum()) == DRAWS * len(expected["labeled"]) and bool(within.all())


def repeats(case: Case, seen: Values, expected: Values) -> bool:
    again = all(positions(seen[key]) == positions(seen[f"{key}_again"]) for key in ("labeled", "rest"))
    return again and positions(seen["labeled"]) != positions(seen["labeled_other_seed"])


def at_an_end(t: Trial) -> bool:
    """Whether in every draw the same images of each class are labeled: its first ones in the file, or its last."""
    labels, times = t.case.inputs["labels"], t.seen["times_labeled"]
    return all(len(times[labels == k].unique_consecutive()) == 2 for k in labels.unique())


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("stratified", 1, "labeled holds exactly per_class different images of each class", balanced),
        Criterion("complete", 1, "every position is in one of the two sets, and in only one", complete),
        Criterion("random", 1, "every image of a class has the same chance", evenly_drawn, DRAWN_CASES),
        Criterion(
            "from_the_generator",
            1,
            "the generator decides: same seed, same split; another seed, another split",
            repeats,
            DRAWN_CASES,
        ),
    ),
    predicates={  # t[:3] is what a criterion is asked: case, seen, expected
        "a_class_forgotten": everywhere(lambda t: counts(t.case, t.seen["labeled"]).count(0) == 1),
        "one_lost_at_the_cut": somewhere(lambda t: balanced(*t[:3]) and len(t.seen["rest"]) < len(t.expected["rest"])),
        "first_of_each_class": everywhere(at_an_end, *DRAWN_CASES),
        "not_stratified": lambda trials: (
            in_all(trials, lambda t: len(t.seen["labeled"]) == len(t.expected["labeled"]))
            and in_any(trials, lambda t: not balanced(*t[:3]))
        ),
        "overlapping_sets": everywhere(
            lambda t: not set(positions(t.seen["labeled"])).isdisjoint(positions(t.seen["rest"]))
        ),
        "always_the_same_seed": everywhere(
            lambda t: positions(t.seen["labeled"]) == positions(t.seen["labeled_other_seed"]) and balanced(*t[:3]),
            *DRAWN_CASES,
        ),
        "generator_stands_still": everywhere(
            lambda t: set(t.seen["times_labeled"].tolist()) == {0, DRAWS} and balanced(*t[:3]), *DRAWN_CASES
        ),
        "global_generator": somewhere(lambda t: positions(t.seen["labeled"]) != positions(t.seen["labeled_again"])),
    },
    exact=False,
)
