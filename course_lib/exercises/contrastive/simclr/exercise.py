"""`SimCLR`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.contrastive.exercise import Gains, Small, loss_and_gradients
from course_lib.exercises.observing import mode_of


def cases(seed: int) -> list[Case]:
    generator, uniform, _ = drawing(seed)
    more = iter(torch.randint(0, 6, (40,), generator=generator).tolist())

    def case(name: str, kind: str, *shape: int) -> Case:
        images = 0.2 + uniform(5 + next(more), *shape)
        sizes = {"features": 5 + next(more), "hidden": 9 + next(more), "outputs": 3 + next(more)}
        drawn = int(torch.randint(2**31, (), generator=generator))
        return Case(
            name, {"images": images, **sizes, "temperature": 0.1 + 0.1 * next(more), "seed": drawn, "kind": kind}
        )

    double = case("float64", "loss", 1, 3, 4)
    double.inputs["images"] = double.inputs["images"].double()
    return [
        case("gray", "networks", 1, 6, 5),
        case("color", "networks", 3, 4, 4),
        case("plain", "loss", 1, 4, 5),
        case("color_loss", "loss", 3, 3, 2),
        double,
        case("read", "features", 1, 5, 4),
        case("read_color", "features", 3, 3, 4),
    ]


def observe(make: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    images, seed = given["images"], given["seed"]
    encoder = Small(images[0].numel(), given["features"], seed).to(images)
    model = make(encoder, given["hidden"], given["outputs"])
    if given["kind"] == "networks":
        return _seen_of_networks(model.to(images), encoder, images)
    model.encoder = encoder
    model.head = Small(given["features"], given["outputs"], seed + 1).to(images)
    model.train()
    if given["kind"] == "loss":
        loss = model.loss(images, Gains(), given["temperature"], generator=seeded(seed + 2))
        weights = {"encoder": encoder.linear.weight, "head": model.head.linear.weight}
        return {
            **loss_and_gradients(loss, **weights),
            "batches": [list(part.batches) for part in (encoder, model.head)],
            "images_after": images,
        }
    model.head.eval()  # a part may have another mode than the whole
    mean_before = encoder.norm.get_buffer("running_mean").clone()
    features = model.features(images)
    return {
        "features": features,
        "features_need_gradient": str(getattr(features, "requires_grad", None)),
        "modes_of_the_encoder": " ".join(encoder.modes),
        "modes_after": [mode_of(part) for part in (model, encoder, encoder.norm, model.head)],
        "running_mean_before": mean_before,
        "running_mean_after": encoder.norm.get_buffer("running_mean"),
    }


def _seen_of_networks(model: Any, encoder: Small, images: torch.Tensor) -> Values:
    model.train()
    z = model(images)
    z.pow(3).sum().backward()
    parameters = list(model.parameters())
    seen: Values = {
        "z": z,
        "weights": [len(parameters), sum(p.grad is not None for p in parameters)],
        "weights_of_the_encoder": sum(any(p is q for q in parameters) for p in encoder.parameters()),
        "matrices_of_the_head": sorted(list(p.shape) for p in model.head.parameters() if p.ndim == 2),
    }
    model.eval()
    with torch.no_grad():
        features = encoder(images)
        seen["z_in_eval_mode"], seen["head_of_features"] = model(images), model.head(features)
        # between two features a linear head is halfway too
        halfway = model.head((features + features.flip(0)) / 2)
        seen["bend"] = halfway - (seen["head_of_features"] + seen["head_of_features"].flip(0)) / 2
    return seen


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
        api=(
            "`nn.Sequential`, `nn.Linear`, `nn.BatchNorm1d`, `nn.ReLU`, `encoder.feature_dim`, `torch.cat`, "
            "`Tensor.chunk(2)`, `eval_mode(...)`, `torch.no_grad()`"
        ),
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
    words={
        "z": "the result of `forward`",
        "z_in_eval_mode": "the result of `forward` in eval mode",
        "head_of_features": "the result of `head` for the encoder's features",
        "weights": "the count of the weight tensors, and of those that a gradient reaches",
        "weights_of_the_encoder": "the count of the given encoder's weight tensors in your network",
        "matrices_of_the_head": "the list of the shapes of the head's weight matrices",
        "bend": "the distance of the head from a linear function",
        "loss": "the loss that `loss` returns",
        "encoder_gradient": "the gradient of the encoder's weight",
        "head_gradient": "the gradient of the head's weight",
        "batches": "the list of the batch sizes that encoder and head receive",
        "features": "the result of `features`",
        "images_after": "your argument `images` after the call",
        "features_need_gradient": "`requires_grad` of the result of `features`",
        "modes_of_the_encoder": "the mode of the encoder during `features`",
        "modes_after": "the mode of model, encoder, its norm and head after `features`",
        "running_mean_before": "the encoder's running mean before `features`",
        "running_mean_after": "the encoder's running mean after `features`",
    },
    inputs_shown=("images", "features", "temperature"),
)
