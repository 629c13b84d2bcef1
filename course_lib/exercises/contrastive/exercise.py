"""What exercises of unit 05 share: an augmentation to recognize, small networks, and what is seen of a SimCLR."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Diary, Values, drawing, seeded
from course_lib.exercises.observing import gradient_of, mode_of


class Gains:
    """An augmentation that multiplies each image by a number of its own, drawn evenly between 0.5 and 1.5."""

    def __call__(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        drawn = 0.5 + torch.rand(len(x), generator=generator)
        return x * drawn.to(x)[:, None, None, None]


class Small(nn.Module):
    """Images or features to `width` numbers through batch normalization; it notes each call's batch and mode."""

    def __init__(self, inputs: int, width: int, seed: int) -> None:
        super().__init__()
        _, uniform, normal = drawing(seed)
        self.feature_dim, self.batches, self.modes = width, Diary(), Diary()
        self.linear, self.norm = nn.Linear(inputs, width), nn.BatchNorm1d(width)
        self.linear.weight = nn.Parameter(normal(width, inputs))
        self.linear.bias = nn.Parameter(normal(width))
        self.norm.running_mean, self.norm.running_var = normal(width), 0.3 + uniform(width)

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        self.modes.append("train" if self.norm.training else "eval")
        return self.norm(self.linear(x.flatten(1))).tanh()


def loss_and_gradients(loss: Any, **leaves: Tensor) -> Values:
    """A loss, and its gradient at these leaves, `<name>_gradient`; zeros where none arrives."""
    seen: Values = {"loss": loss.clone() if isinstance(loss, Tensor) else loss}
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
    return seen | {f"{name}_gradient": gradient_of(leaf) for name, leaf in leaves.items()}


def seen_of_simclr(model: Any, encoder: Small, given: Values) -> Values:
    """What is seen of a SimCLR as it is, or of its loss or its features with two small networks in its places."""
    if given["kind"] == "networks":
        return _seen_of_networks(model.to(given["images"]), encoder, given["images"])
    model.encoder = encoder
    model.head = Small(given["features"], given["outputs"], given["seed"] + 1).to(given["images"])
    return {"loss": _seen_of_loss, "features": _seen_of_features}[given["kind"]](model.train(), given)


def _seen_of_networks(model: Any, encoder: Small, images: Tensor) -> Values:
    """What it returns, which weights a gradient reaches, and what its head is made of."""
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


def _seen_of_loss(model: Any, given: Values) -> Values:
    """The loss, its gradients, and the batches that the two small networks receive."""
    loss, warmer = (
        model.loss(given["images"], Gains(), times * given["temperature"], generator=seeded(given["seed"] + 2))
        for times in (1, 2)
    )
    return {
        **loss_and_gradients(loss, encoder=model.encoder.linear.weight, head=model.head.linear.weight),
        "loss_at_twice_the_temperature": warmer,
        "batches": [list(part.batches) for part in (model.encoder, model.head)],
        "images_after": given["images"],
    }


def _seen_of_features(model: Any, given: Values) -> Values:
    """The features, and the modes meanwhile and afterwards."""
    model.head.eval()  # a part may have another mode than the whole
    features = model.features(given["images"])
    return {
        "features": features,
        "features_need_gradient": str(getattr(features, "requires_grad", None)),
        "modes_of_the_encoder": " ".join(model.encoder.modes),
        "modes_after": [mode_of(part) for part in (model, model.encoder, model.encoder.norm, model.head)],
    }


WORDS_OF_SIMCLR = {  # for what `seen_of_simclr` sees
    "z": "the result of `forward`",
    "z_in_eval_mode": "the result of `forward` in eval mode",
    "head_of_features": "the result of `head` for the encoder's features",
    "weights": "the count of the weight tensors, and of those that a gradient reaches",
    "weights_of_the_encoder": "the count of the given encoder's weight tensors in your network",
    "matrices_of_the_head": "the list of the shapes of the head's weight matrices",
    "bend": "the distance of the head from a linear function",
    "loss": "the loss that `loss` returns",
    "loss_at_twice_the_temperature": "the loss at twice the temperature",
    "encoder_gradient": "the gradient of the encoder's weight",
    "head_gradient": "the gradient of the head's weight",
    "batches": "the list of the batch sizes that encoder and head receive",
    "images_after": "your argument `images` after the call",
    "features": "the result of `features`",
    "features_need_gradient": "`requires_grad` of the result of `features`",
    "modes_of_the_encoder": "the mode of the encoder during `features`",
    "modes_after": "the mode of model, encoder, its norm and head after `features`",
}
