"""`self_training_round`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.observing import two_values


class _Labeler(nn.Module):
    """Images to logits by one matrix; dropout shows who asks in train mode."""

    def __init__(self, weight: Tensor, mode: str) -> None:
        super().__init__()
        self.linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        self.dropout = nn.Dropout(0.6)
        with torch.no_grad():
            self.linear.weight.copy_(weight)
        self.train(mode == "train")

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.linear(x.flatten(1)))


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(
        name: str, restart: bool, *, shape: tuple[int, ...] = (1, 4, 5), tau: float = 0.7, mode: str = "train",
        labeled: int = 6,
    ) -> Case:  # fmt: skip
        pixels, num_classes = torch.Size(shape).numel(), 3
        # matrices of the network so far, of the first weights, and what "training" adds to a matrix
        weights = [4 * torch.randn(num_classes, pixels, generator=generator) / pixels**0.5 for _ in range(3)]
        images = torch.rand(labeled, *shape, generator=generator)
        labels = torch.arange(labeled) % num_classes
        return Case(
            name,
            {
                "images": images, "labels": labels, "unlabeled": torch.rand(30, *shape, generator=generator),
                "weight": weights[0], "first_weight": weights[1], "step": weights[2], "tau": tau,
                "restart": int(restart), "mode_before": mode,
            },
        )  # fmt: skip

    return [
        case("restarted", True),
        case("continued", False),
        case("color_at_rest", True, shape=(3, 3, 4), tau=0.6, mode="eval"),
        case("continued_at_rest", False, tau=0.5, mode="eval", labeled=3),
        case("nobody_is_sure", True, tau=1.1),
    ]


def _weight_of(network: Any) -> Any:
    """The matrix of a `_Labeler` as it is now; None where there is no network."""
    return network.linear.weight.detach().clone() if network is not None else None


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    device = given["images"].device
    model = _Labeler(given["weight"], given["mode_before"]).to(device)
    start = _Labeler(given["first_weight"], given["mode_before"]).to(device)
    calls: list[Values] = []

    def train(network: Any, images: Tensor, labels: Tensor) -> None:
        calls.append(
            {
                "images": images.detach().clone(),
                "labels": labels.detach().clone() if isinstance(labels, Tensor) else labels,
                "weight_before": _weight_of(network),
                "is_model": int(network is model),
                "is_start": int(network is start),
            }
        )
        with torch.no_grad():
            network.linear.weight.add_(given["step"])

    seen: Values = {}
    network: Any = model
    for number in ("first", "second"):  # the second round shows what an answer keeps of the first
        inputs = [given[key].clone() for key in ("images", "labels", "unlabeled")]
        before = _weight_of(network)
        modes = [("train" if m.training else "eval") for m in (network, start)]
        calls.clear()
        result = fn(network, start, *inputs, tau=given["tau"], train=train, restart=bool(given["restart"]))
        pair = two_values(result, "network", "chosen")
        trained = pair["network"] if isinstance(pair["network"], nn.Module) else None
        seen[f"{number}_calls"] = len(calls)
        seen[f"{number}_training"] = dict(calls[0]) if calls else None
        seen[f"{number}_chosen"] = pair["chosen"]
        seen[f"{number}_weight_before"] = before
        seen[f"{number}_weight_after"] = _weight_of(network)
        seen[f"{number}_returned_weight"] = _weight_of(trained)
        seen[f"{number}_modes_before"] = modes
        seen[f"{number}_modes_after"] = [("train" if m.training else "eval") for m in (network, start)]
        seen[f"{number}_start_after"] = _weight_of(start)
        if trained is None:
            break
        network = trained
        network.train(given["mode_before"] == "train")
    return seen


exercise = Exercise(
    name="self_training_round",
    title="One round of self-training",
    signature="self_training_round(model, start, images, labels, unlabeled, *, tau, train, restart=True)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "First the network so far gives its labels and its confidences, and the sure ones are chosen. Only then a "
            "copy is made, of the first weights or of the network so far, and trained: on the labeled images with "
            "their own labels, and on the chosen ones with theirs."
        ),
        api="your `pseudo_label` and `select_confident`, `copy.deepcopy`, `torch.cat`",
        skeleton=(
            "guessed, confidences = pseudo_label(...)\n"
            "chosen = select_confident(...)\n"
            "network = copy.deepcopy(... if restart else ...)\n"
            "train(network, torch.cat([images, ...]), torch.cat([labels, ...]))\n"
            "return network, chosen"
        ),
    ),
    takeaway=(
        "Every round makes its pseudo-labels anew. With fresh weights the network must relearn everything from the "
        "labels, so a mistake can be forgotten; weights that go on have it in their bones."
    ),
    cases=cases,
    observe=observe,
)
