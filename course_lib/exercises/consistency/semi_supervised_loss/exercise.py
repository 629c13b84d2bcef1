"""`semi_supervised_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.consistency.exercise import loss_and_backward
from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of


def cases(seed: int) -> list[Case]:
    generator, _, draw = drawing(seed)

    def case(name: str, term: str, n: int, m: int, k: int, weight: float, shape: tuple[int, ...] = (1, 4, 5)) -> Case:
        logits, labels = 2 * draw(n, k), torch.randint(0, k, (n,), generator=generator)
        inputs: Values = {"logits": logits, "labels": labels, "unlabeled_logits": 2 * draw(m, k)}
        inputs |= {"x_hat": draw(m, *shape), "images": draw(m, *shape).sigmoid()}
        if name.endswith("float64"):
            inputs = {key: value if key == "labels" else value.double() for key, value in inputs.items()}
        return Case(name, inputs | {"weight": weight, "term": term})

    weight = int(torch.randint(25, 95, (), generator=generator)) / 100
    one_class = case("one_class_everywhere", "clustering", 4, 6, 3, 1.5)
    one_class.inputs["unlabeled_logits"][:] = torch.tensor([3.0, 0.0, -1.0])  # all images alike: nothing is clustered
    certain = case("certain", "clustering", 3, 8, 4, 1.0)
    certain.inputs["unlabeled_logits"].copy_(200.0 * torch.eye(4).repeat(2, 1))  # probabilities of exactly 0 and 1
    unused = case("a_class_of_nobody", "clustering", 3, 6, 4, 1.25)
    unused.inputs["unlabeled_logits"].copy_(200.0 * torch.eye(4)[:3].repeat(2, 1))
    # the gradient of an entropy is infinite where a probability is 0: here only the value is asked for
    unused.inputs["constant"] = "unlabeled_logits"
    return [
        case("pseudo_label", "pseudo_label", 6, 9, 4, weight),
        case("reconstruction", "reconstruction", 6, 9, 4, weight),
        case("clustering", "clustering", 6, 9, 4, weight),
        case("pseudo_label_weight_0", "pseudo_label", 5, 7, 3, 0.0),
        case("reconstruction_color", "reconstruction", 3, 5, 3, 2.5, (3, 4, 3)),
        case("one_of_each", "pseudo_label", 1, 1, 300, 0.5),
        one_class,
        certain,
        case("clustering_float64", "clustering", 4, 5, 12, 0.75),
        case("as_many_of_both", "pseudo_label", 4, 4, 4, 3.0),
        unused,
    ]


_TENSORS = ("logits", "labels", "unlabeled_logits", "x_hat", "images")
_LEAVES = ("logits", "unlabeled_logits", "x_hat")


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    for name in _LEAVES:
        given[name].requires_grad_(name != given.get("constant"))
    seen = loss_and_backward(fn(*(given[name] for name in _TENSORS), term=given["term"], weight=given["weight"]))
    return seen | {f"gradient_{name}": gradient_of(given[name]) for name in _LEAVES}


exercise = Exercise(
    name="semi_supervised_loss",
    title="Supervised loss plus one of three that need no label",
    signature="semi_supervised_loss(logits, labels, unlabeled_logits, x_hat, images, *, term, weight)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "The sum has two parts, and only the second has a weight. Each part is a mean over its own images. For the "
            "clustering term compute one table of probabilities; its rows give the first entropy, the mean of its rows "
            "the second."
        ),
        api=(
            "`F.cross_entropy`, `Tensor.argmax`, `F.mse_loss`, `Tensor.softmax(dim=1)`, `F.log_softmax` (safe where "
            "`softmax(...).log()` is not), `torch.special.entr` (-p log p)"
        ),
        skeleton=(
            "supervised = F.cross_entropy(..., ...)\n"
            'if term == "pseudo_label":\n    unsupervised = F.cross_entropy(unlabeled_logits, ...)\n'
            'elif term == "reconstruction":\n    unsupervised = ...\n'
            "else:\n    p = unlabeled_logits.softmax(dim=1)  # (M, K)\n"
            "    of_each = -(p * F.log_softmax(...)).sum(dim=1)  # (M,)\n"
            "    unsupervised = of_each.mean() - ...\n"
            "return supervised + ..."
        ),
    ),
    takeaway=(
        "One frame holds them all: labels, plus a weight times something that needs none. What differs is what the "
        "second term assumes, and only some of these assumptions are about classes."
    ),
    cases=cases,
    observe=observe,
)
