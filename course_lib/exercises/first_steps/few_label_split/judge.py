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


def drawn(case: Case, seen: Values) -> torch.Tensor:
    """A row for each of many draws: which images were labeled."""
    count = len(case.inputs["labels"])
    return torch.stack([torch.bincount(labeled, minlength=count) for labeled in seen["draws"]])


def evenly_drawn(case: Case, seen: Values, expected: Values) -> bool:
    """Whether over many draws every image is labeled about as often as it should, and as often with its neighbor."""
    labels, draws, per_class = case.inputs["labels"], drawn(case, seen), case.inputs["per_class"]
    chance = per_class / labels.bincount()[labels]
    within = (draws.sum(0) - DRAWS * chance).abs() <= 6 * (DRAWS * chance * (1 - chance)).sqrt()
    classes = [draws[:, labels == k] for k in labels.unique()]
    neighbors = sum(int((own[:, 1:] * own[:, :-1]).sum()) for own in classes)
    usual = sum(DRAWS * per_class * (per_class - 1) / own.shape[1] for own in classes)
    by_class = all(abs(int(own.sum()) - DRAWS * per_class) < 0.1 * DRAWS * per_class for own in classes)
    parts = [(part, part.shape[1] / own.shape[1]) for own in classes for part in own.tensor_split(2, dim=1)]
    halves = all(abs(int(part.sum()) / DRAWS / per_class - share) < 0.3 for part, share in parts)
    return by_class and halves and bool(within.all()) and 0.2 * usual < neighbors < 2 * usual


def repeats(case: Case, seen: Values, expected: Values) -> bool:
    again = all(positions(seen[key]) == positions(seen[f"{key}_again"]) for key in ("labeled", "rest"))
    return again and positions(seen["labeled"]) != positions(seen["labeled_other_seed"])


def at_an_end(t: Trial) -> bool:
    """Whether in every draw the same images of each class are labeled: its first ones in the file, or its last."""
    labels, times = t.case.inputs["labels"], drawn(t.case, t.seen).sum(0)
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
            form=True,
        ),
    ),
    predicates={  # t[:3] is what a criterion is asked: case, seen, expected
        "a_class_forgotten": everywhere(lambda t: counts(t.case, t.seen["labeled"]).count(0) == 1),
        "one_lost_at_the_cut": somewhere(lambda t: balanced(*t[:3]) and len(t.seen["rest"]) < len(t.expected["rest"])),
        "with_replacement": somewhere(lambda t: len({*positions(t.seen["labeled"])}) < len(t.seen["labeled"])),
        "first_of_each_class": everywhere(at_an_end, *DRAWN_CASES),
        "not_stratified": lambda trials: (
            in_all(trials, lambda t: len(t.seen["labeled"]) == len(t.expected["labeled"]))
            and in_any(trials, lambda t: not balanced(*t[:3]))
        ),
        "overlapping_sets": everywhere(
            lambda t: not set(positions(t.seen["labeled"])).isdisjoint(positions(t.seen["rest"]))
        ),
        "always_the_same_seed": everywhere(
            lambda t: len({(*positions(t.seen[k]),) for k in t.seen if "labeled" in k}) == 1 and balanced(*t[:3]),
            *DRAWN_CASES,
        ),
        "generator_stands_still": everywhere(
            lambda t: set(drawn(t.case, t.seen).sum(0).tolist()) == {0, DRAWS} and balanced(*t[:3]), *DRAWN_CASES
        ),
        "global_generator": somewhere(lambda t: positions(t.seen["labeled"]) != positions(t.seen["labeled_again"])),
    },
    exact=False,
)
