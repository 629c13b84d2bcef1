"""`self_training_round`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import plain, state_of, two_values
from course_lib.exercises.self_training.exercise import modes_of


def _labeler(weight: Tensor, mode: str) -> nn.Sequential:
    """Images to logits by one matrix; dropout shows who asks in train mode."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight.data.copy_(weight)
    return nn.Sequential(nn.Flatten(), linear, nn.Dropout(0.6)).to(weight.device).train(mode == "train")


def cases(seed: int) -> list[Case]:
    _, uniform, normal = drawing(seed)

    def case(name: str, restart: bool, tau: float, *, labeled: int = 6, shape: tuple[int, ...] = (1, 4, 5)) -> Case:
        pixels, num_classes = torch.Size(shape).numel(), 300 if name == "nobody_is_sure" else 3
        # matrices of the network so far, of the first weights, and what "training" adds to a matrix
        weight, first_weight, step = (4 * normal(num_classes, pixels) / pixels**0.5 for _ in range(3))
        images, labels = uniform(labeled, *shape), torch.arange(labeled) * 43 % num_classes
        inputs: Values = {"images": images, "labels": labels, "unlabeled": uniform(30, *shape)}
        inputs |= {"weight": weight, "first_weight": first_weight, "step": step, "tau": tau, "restart": int(restart)}
        inputs["unlabeled"][:8] *= 1000 if name == "exactly_sure" else 1  # so bright that confidences are 1
        return Case(name, inputs | {"mode_before": "eval" if name.endswith("at_rest") else "train"})

    return [
        case("restarted", True, 0.7),
        case("continued", False, 0.7),
        case("color_at_rest", True, 0.6, shape=(3, 3, 4)),
        case("continued_at_rest", False, 0.5, labeled=3),
        case("nobody_is_sure", True, 1.1),
        case("exactly_sure", True, 1.0),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given, mode = case.inputs, case.inputs["mode_before"]
    network, start = _labeler(given["weight"], mode), _labeler(given["first_weight"], mode)
    seen, calls = Values(), list[Values]()

    def weight(network: Any) -> Any:
        return state_of(network)["1.weight"] if isinstance(network, nn.Module) else None

    def train(network: Any, images: Tensor, labels: Any) -> None:
        calls.append({"images": images.detach().clone(), "labels": plain(labels), "weight_before": weight(network)})
        network[1].weight.data.add_(given["step"])

    for number in ("first", "second"):  # the second round shows what an answer keeps of the first
        calls.clear()
        inputs = [given[key].clone() for key in ("images", "labels", "unlabeled")]
        *_, last = network.modules()
        last.train(case.name.startswith("continued"))  # a part may have another mode than the whole
        this: Values = {"weight_before": weight(network), "modes_before": modes_of(network, start)}
        result = fn(network, start, *inputs, tau=given["tau"], train=train, restart=bool(given["restart"]))
        pair = two_values(result, "network", "chosen")
        this |= {"calls": len(calls), "training": dict(calls[0]) if calls else None, "chosen": pair["chosen"]}
        this |= {"returned_weight": weight(pair["network"]), "modes_after": modes_of(network, start)}
        this |= {"weight_after": weight(network), "start_after": weight(start)}
        seen |= {f"{number}_{key}": value for key, value in this.items()}
        network = pair["network"]
        if not isinstance(network, nn.Module):
            break
        network.train(mode == "train")
    return seen


# What is seen of each of two rounds.
_WORDS = {
    "weight_before": "the weight of `model` before the {} round",
    "modes_before": "the mode of `model` and `start` before the {} round (True is train)",
    "calls": "the number of times that the {} round calls `train`",
    "training": "the set of things that the {} round gives to `train`",
    "chosen": "the tensor of positions that the {} round returns",
    "returned_weight": "the weight of the network that the {} round returns",
    "modes_after": "the mode of `model` and `start` after the {} round (True is train)",
    "weight_after": "the weight of `model` after the {} round",
    "start_after": "the weight of `start` after the {} round",
}

exercise = Exercise(
    name="self_training_round",
    title="One round of self-training",
    signature="self_training_round(model, start, images, labels, unlabeled, *, tau, train, restart=True)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "First the current model predicts labels and confidences, and the confident ones are chosen. Only then a "
            "copy is made, of the initial weights or of the current model, and trained: on the labeled images with "
            "their own labels, and on the chosen ones with their pseudo-labels."
        ),
        api="your `pseudo_label` and `select_confident`, `copy.deepcopy`, `torch.cat`",
        skeleton=(
            "guessed, confidences = pseudo_label(...)\nchosen = select_confident(...)\n"
            "network = copy.deepcopy(... if restart else ...)\n"
            "train(network, torch.cat([images, ...]), torch.cat([labels, ...]))\nreturn network, chosen"
        ),
    ),
    takeaway=(
        "Every round makes its pseudo-labels anew. Fresh weights relearn everything from the labels, so a wrong one "
        "can be forgotten. In the recorded runs the restart made no difference, but the threshold helped with every "
        "seed."
    ),
    cases=cases,
    observe=observe,
    uses=("pseudo_label", "select_confident"),
    words={f"{n}_{key}": words.format(n) for n in ("first", "second") for key, words in _WORDS.items()},
    inputs_shown=("mode_before",),
)
