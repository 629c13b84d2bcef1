"""`SimCLR`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.contrastive.exercise import WORDS_OF_SIMCLR, Small, seen_of_simclr


def cases(seed: int) -> list[Case]:
    generator, uniform, _ = drawing(seed)
    more = iter(torch.randint(0, 6, (40,), generator=generator).tolist())

    def case(name: str, kind: str, *shape: int) -> Case:
        images = 0.2 + uniform(5 + next(more), *shape)
        sizes = {"features": 5 + next(more), "hidden": 9 + next(more), "outputs": 3 + next(more)}
        more_values = {
            "temperature": 0.1 + 0.1 * next(more),
            "seed": int(torch.randint(2**31, (), generator=generator)),
        }
        return Case(name, {"images": images, **sizes, **more_values, "kind": kind})

    double = case("float64", "loss", 1, 3, 4)
    double.inputs["images"] = double.inputs["images"].double()
    # What networks return is not comparable, so the other two kinds have more cases: they decide which mistake it is.
    return [
        case("plain", "loss", 1, 4, 5),
        case("color_loss", "loss", 3, 3, 2),
        double,
        case("gray", "networks", 1, 6, 5),
        case("color", "networks", 3, 4, 4),
        case("read", "features", 1, 5, 4),
        case("read_color", "features", 3, 3, 4),
        case("read_narrow", "features", 2, 6, 2),
    ]


def observe(make: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    encoder = Small(given["images"][0].numel(), given["features"], given["seed"]).to(given["images"])
    return seen_of_simclr(make(encoder, given["hidden"], given["outputs"]), encoder, given)


exercise = Exercise(
    name="SimCLR",
    title="Encoder, projection head and the loss of two views",
    signature="SimCLR(encoder, hidden, outputs)",
    minutes=25,
    difficulty=3,
    points=6,
    hints=Hints(
        concept=(
            "The head stands behind the encoder during pretraining only. The loss sees its outputs, and later tasks "
            "read the encoder's features. Both views go through the network in one batch, so that batch normalization "
            "has the same statistics for both."
        ),
        api="`nn.Sequential`, `nn.BatchNorm1d`, `encoder.feature_dim`, `torch.cat`, `Tensor.chunk(2)`, `eval_mode`",
        skeleton=(
            "self.head = nn.Sequential(nn.Linear(encoder.feature_dim, ...), ..., nn.Linear(..., outputs))\n"
            "# forward\nreturn self.head(...)\n"
            "# loss\nviews = torch.cat(two_views(images, augment, generator=...))  # (2N, C, H, W)\n"
            "z1, z2 = self(views)...\nreturn nt_xent_loss(...)\n"
            "# features\nwith eval_mode(self), torch.no_grad():\n    return ..."
        ),
    ),
    takeaway=(
        "The head is made for the pretext task. It may drop whatever the two views do not share, so that the encoder "
        "does not have to."
    ),
    cases=cases,
    observe=observe,
    uses=("two_views", "nt_xent_loss"),
    words=WORDS_OF_SIMCLR,
    inputs_shown=("images", "features", "temperature"),
)
