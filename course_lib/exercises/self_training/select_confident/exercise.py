"""`select_confident`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.observing import dtype_name


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, n: int, num_classes: int, tau: float, per_class: int | None = None) -> Case:
        # all different, so that no ranking is a matter of taste; and none so near the threshold that rounding decides
        confidences = 0.2 + 0.8 * (torch.randperm(8 * n, generator=generator)[:n] + 0.5) / (8 * n)
        confidences = torch.where((confidences - tau).abs() < 1e-4, confidences + 2e-4, confidences)
        classes = torch.randperm(400, generator=generator)[:num_classes]  # with gaps, and far above 9
        labels = classes[torch.randint(0, num_classes, (n,), generator=generator)]
        return Case(name, {"labels": labels, "confidences": confidences, "tau": tau, "per_class": per_class})

    exact = case("exactly_the_threshold", 12, 3, 0.75)
    exact.inputs["confidences"][torch.randperm(12, generator=generator)[:4]] = 0.75
    none = case("nobody_is_sure", 9, 3, 0.95)
    none.inputs["confidences"] *= 0.9
    skewed = case("most_say_one_class", 40, 4, 0.5, 3)
    skewed.inputs["labels"][:26] = skewed.inputs["labels"].max()
    double = case("float64", 20, 4, 0.5, 2)
    double.inputs["confidences"] = double.inputs["confidences"].double()
    capped_none = case("nobody_is_sure_with_a_limit", 8, 3, 0.95, 2)
    capped_none.inputs["confidences"] *= 0.9
    single = case("one_is_sure", 11, 3, 0.9)
    single.inputs["confidences"] *= 0.85
    single.inputs["confidences"][int(torch.randint(11, (), generator=generator))] = 0.97
    equal = case("equal_ones", 30, 3, 0.4, 2)
    equal.inputs["confidences"].mul_(4).ceil_().div_(4)  # many are 1, as of a network that is very sure
    return [
        case("plain", 30, 4, 0.6),
        exact,
        none,
        case("limit", 36, 3, 0.4, 4),
        skewed,
        case("limit_of_one", 20, 5, 0.5, 1),
        case("limit_not_reached", 15, 4, 0.8, 15),
        double,
        capped_none,
        single,
        case("limit_of_zero", 14, 3, 0.4, 0),
        equal,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    labels, confidences = case.inputs["labels"], case.inputs["confidences"]
    positions = fn(labels, confidences, case.inputs["tau"], per_class=case.inputs["per_class"])
    if case.name == "equal_ones":  # which of them is the answer's own choice
        return {"chosen": sorted(zip(labels[positions].tolist(), confidences[positions].tolist()))}
    return {
        "positions": positions,
        "dtype": dtype_name(positions),
        "labels_after": labels,
        "confidences_after": confidences,
    }


exercise = Exercise(
    name="select_confident",
    title="Keep the confident pseudo-labels",
    signature="select_confident(labels, confidences, tau, *, per_class=None)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "The threshold comes first, for all. Where there is a limit, each class is looked at by itself: of its "
            "images that passed, the most confident ones stay. At the end put all positions back in order."
        ),
        api="`Tensor.nonzero`, `Tensor.argsort(descending=True)`, `Tensor.unique`, `torch.cat`, `Tensor.sort`",
        skeleton=(
            "positions = (confidences ... tau).nonzero().squeeze(1)\n"
            "if per_class is None:\n"
            "    return positions\n"
            "kept = positions.new_zeros(len(labels), dtype=torch.bool)\n"
            "for k in labels[positions].unique():\n"
            "    own = positions[labels[positions] == k]\n"
            "    best = own[confidences[own].argsort(...)[: ...]]\n"
            "    kept[best] = True\n"
            "return ..."
        ),
    ),
    takeaway=(
        "The threshold asks for quality, the limit for balance: without it the classes that the network likes fill "
        "the next training set, and it likes them more."
    ),
    cases=cases,
    observe=observe,
    words={
        "positions": "the tensor of positions that you return",
        "dtype": "the dtype of the positions that you return",
        "chosen": "the list of the labels and confidences that you choose",
    },
)
