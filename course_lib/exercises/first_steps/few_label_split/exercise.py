"""`few_label_split`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.observing import manual_seed

DRAWS = 60  # splits drawn in a row from one generator, to see whether every image has its chance
DRAWN_CASES = ("plain", "sorted")


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, class_sizes: list[int], per_class: int) -> Case:
        sizes = torch.tensor(class_sizes)
        sizes += torch.randint(0, 12, sizes.shape, generator=generator) * (sizes > per_class)
        steps = (
            torch.ones_like(sizes) if name in DRAWN_CASES else torch.randint(1, 60, sizes.shape, generator=generator)
        )
        labels = (steps.cumsum(0) - 1).repeat_interleave(sizes)
        if name != "sorted":
            labels = labels[torch.randperm(len(labels), generator=generator)]
        draw_seed = int(torch.randint(1, 2**31, (1,), generator=generator))
        return Case(name, {"labels": labels, "per_class": per_class, "seed": draw_seed})

    strided = case("every_second_label", [10, 14, 8, 12], 4)
    strided.inputs["labels"] = strided.inputs["labels"].repeat_interleave(2)[::2]
    return [
        case("plain", [9, 12, 50], 3),
        case("sorted", [8, 8, 8, 8], 2),
        case("one_a_class", [7, 20, 5, 11, 9], 1),
        case("twelve_classes", [6 + k % 3 for k in range(12)], 2),
        strided,
        case("all_of_the_smallest_class", [4, 10], 4),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    labels, seed = case.inputs["labels"], case.inputs["seed"]

    def split(generator: torch.Generator, global_seed: int | None = None) -> Values:
        if global_seed is not None:
            manual_seed(global_seed)
        pair = fn(labels, case.inputs["per_class"], generator)
        is_pair = isinstance(pair, (tuple, list)) and len(pair) == 2
        return dict(zip(("labeled", "rest"), pair)) if is_pair else {"labeled": None, "rest": None, "returned": pair}

    first, again, other = split(seeded(seed), 1), split(seeded(seed), 2), split(seeded(seed + 1), 1)
    generator = seeded(seed)
    manual_seed(seed)
    draws = [split(generator)["labeled"] for _ in range(DRAWS if case.name in DRAWN_CASES else 0)]
    later = {"labeled_again": again["labeled"], "rest_again": again["rest"], "labeled_other_seed": other["labeled"]}
    return {**first, **later, "draws": draws}


exercise = Exercise(
    name="few_label_split",
    title="A few labels of each class, the rest without",
    signature="few_label_split(labels, per_class, generator)",
    minutes=15,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Go through the classes one by one. Shuffle the positions of a class; the first few are labeled, the "
            "others belong to the rest."
        ),
        api=(
            "`labels.unique()`, `torch.nonzero(labels == k).squeeze(1)`, `torch.randperm(n, generator=generator)`, "
            "`torch.cat`"
        ),
        skeleton=(
            "labeled, rest = [], []\nfor k in labels.unique():\n    positions = ...  # where the labels are k\n"
            "    positions = positions[torch.randperm(..., generator=generator)]\n    labeled.append(positions[...])\n"
            "    rest.append(positions[...])\nreturn torch.cat(labeled), torch.cat(rest)"
        ),
    ),
    takeaway=(
        "Stratified, disjoint, and drawn from a generator that you pass: now two methods can be compared on the very "
        "same few labels."
    ),
    cases=cases,
    observe=observe,
    library=("course_lib.data.splits.split_labels",),
    on_gpu=False,  # labels stay on the CPU, where the generator is
    words={
        "labeled": "`labeled`, the first of the two tensors that you return,",
        "rest": "`rest`, the second of the two tensors that you return,",
        "labeled_again": "`labeled` of a second call with the same seed",
        "rest_again": "`rest` of a second call with the same seed",
        "labeled_other_seed": "`labeled` of a call with another seed",
        "draws": "the list, by call, of `labeled` in many calls",
    },
)
