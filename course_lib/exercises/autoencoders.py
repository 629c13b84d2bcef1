"""Unit 01, autoencoders: what a learner is asked for, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import manual_seed

UNIT = "01_autoencoders"


def _mode(model: nn.Module) -> str:
    return "train" if model.training else "eval"


# --- 1.1 Autoencoder ------------------------------------------------------------------------------------------------

_AMPLIFY = 10.0  # factor on all weights, which shows outputs that only happen to lie in [0, 1]
_LEARNING_STEPS = 10


def _autoencoder_cases(seed: int) -> list[Case]:
    generator, draw, _ = drawing(seed)
    blocks = torch.rand(8, 1, 4, 4, generator=generator).round()
    pictures = blocks.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return [
        Case("gray", {"images": draw(5, 1, 28, 28), "code_dim": 8}),
        Case("color_wide", {"images": draw(4, 3, 12, 20), "code_dim": 5}),
        Case("one", {"images": draw(1, 1, 8, 12), "code_dim": 3}),
        Case("transposed", {"images": draw(3, 2, 16, 8).transpose(2, 3), "code_dim": 4}),
        Case("learning", {"images": pictures, "code_dim": 6}),
    ]


def _observe_autoencoder(make: Callable[..., Any], case: Case) -> Values:
    images, code_dim = case.inputs["images"], case.inputs["code_dim"]
    model = make(tuple(images.shape[1:]), code_dim)
    model.to(images.device)
    model.eval()
    with torch.no_grad():
        codes = model.encode(images)
        seen = {"x_hat": model(images), "codes": codes}
        model.encode(torch.zeros_like(images))  # a decoder that peeks at what the encoder saw last now shows
        seen["decoded"] = model.decode(codes)
        parameters = list(model.parameters())
        as_made = [parameter.clone() for parameter in parameters]
        for parameter in parameters:
            parameter.mul_(_AMPLIFY)
        seen["x_hat_of_large_weights"] = model(images)
        for parameter, before in zip(parameters, as_made):
            parameter.copy_(before)
    seen["parameter_count"] = sum(p.numel() for p in parameters)
    seen["gradient_sums"] = []
    if len(images) > 1:
        model.train()
        (model(images) - images).pow(2).sum().backward()
        seen["gradient_sums"] = [-1.0 if p.grad is None else float(p.grad.abs().sum()) for p in parameters]
    if case.name == "learning":
        seen["errors"] = _learn(model, images)
    return seen


def _learn(model: nn.Module, images: Tensor) -> list[float]:
    """Mean squared error on a few pictures before and after some steps, small ones for networks of any size."""
    on_cpu = images.device.type == "cpu"  # there, one kernel for all of Adam's arithmetic takes half the time
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=on_cpu)
    errors = []
    for step in range(_LEARNING_STEPS + 1):
        error = (model(images) - images).pow(2).mean()
        if step in (0, _LEARNING_STEPS):
            errors.append(float(error.detach()))
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return errors


Autoencoder = Exercise(
    name="Autoencoder",
    unit=UNIT,
    title="An encoder, a narrow code, a decoder",
    signature="Autoencoder(image_shape, code_dim)",
    minutes=15,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Everything that the decoder learns about an image must pass through `code_dim` numbers. The encoder "
            "flattens and narrows, the decoder widens again; a last squashing function keeps pixels between 0 and 1."
        ),
        api="`nn.Sequential`, `nn.Flatten`, `nn.Linear`, `nn.ReLU`, `nn.Sigmoid`, `nn.Unflatten`, `math.prod`",
        skeleton=(
            "num_pixels = math.prod(image_shape)\n"
            "self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, 256), ..., nn.Linear(..., code_dim))\n"
            "self.decoder = nn.Sequential(nn.Linear(code_dim, ...), ..., nn.Linear(..., ...), ..., nn.Unflatten(1, "
            "...))\n# encode: the encoder's output; decode: the decoder's; forward: one after the other"
        ),
    ),
    takeaway="The narrow code is the whole idea: a network that could copy its input would have nothing to learn.",
    cases=_autoencoder_cases,
    observe=_observe_autoencoder,
)


# --- 1.2 reconstruction_loss ----------------------------------------------------------------------------------------


def _loss_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def pair(*shape: int) -> Values:
        return {"x_hat": draw(*shape), "images": draw(*shape)}

    wide = pair(4, 1, 5, 7)
    return [
        Case("plain", wide),
        Case("twice_the_batch", {key: torch.cat([value, value]) for key, value in wide.items()}),
        Case("one", pair(1, 1, 6, 4)),
        Case("color", pair(5, 3, 4, 6)),
        Case("as_many_images_as_channels", pair(3, 3, 3, 3)),
        Case("transposed", {key: value.transpose(2, 3) for key, value in pair(2, 1, 4, 9).items()}),
        Case("float64", {key: value.double() for key, value in pair(6, 1, 3, 5).items()}),
    ]


def _observe_loss(fn: Callable[..., Any], case: Case) -> Values:
    x_hat, images = case.inputs["x_hat"].requires_grad_(), case.inputs["images"]
    loss = fn(x_hat, images)
    seen: Values = {"loss": loss, "gradient": torch.zeros_like(x_hat)}
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
        seen["gradient"] = x_hat.grad if x_hat.grad is not None else torch.zeros_like(x_hat)
    seen["images_after"] = images
    return seen


reconstruction_loss = Exercise(
    name="reconstruction_loss",
    unit=UNIT,
    title="Squared error: summed over pixels, averaged over images",
    signature="reconstruction_loss(x_hat, images)",
    minutes=8,
    difficulty=1,
    points=3,
    hints=Hints(
        concept=(
            "Square each pixel's error. Add up within each image, so that one number an image is left; then take the "
            "mean of those numbers."
        ),
        api="`Tensor.flatten`, `Tensor.sum(dim=...)`, `Tensor.mean`",
        skeleton=(
            "squared = (... - ...) ** 2         # (N, C, H, W)\n"
            "per_image = squared.flatten(1)...  # (N,)\n"
            "return per_image..."
        ),
    ),
    takeaway=(
        "Summed over pixels and averaged over images, the loss keeps its size when the batch grows: the learning rate "
        "need not change, and in the next unit it can be weighed against a KL term."
    ),
    cases=_loss_cases,
    observe=_observe_loss,
)


# --- 1.3 corrupt ----------------------------------------------------------------------------------------------------


def _corrupt_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor, noise: float) -> Case:
        return Case(name, {"images": images, "noise": noise, "seed": seed + len(name)})

    return [
        case("gray", 0.45 + 0.1 * draw(8, 1, 24, 20), 0.05),
        case("same_image", (0.4 + 0.2 * draw(1, 3, 16, 12)).repeat(6, 1, 1, 1), 0.05),
        case("dark_and_bright", draw(6, 1, 16, 12).round(), 0.4),
        case("no_noise", draw(3, 1, 6, 5), 0.0),
        case("one", 0.4 + 0.2 * draw(1, 1, 28, 28), 0.04),
        case("transposed", (0.4 + 0.2 * draw(4, 1, 20, 14)).transpose(2, 3), 0.05),
        case("float64", (0.4 + 0.2 * draw(4, 1, 18, 14)).double(), 0.05),
    ]


def _observe_corrupt(fn: Callable[..., Any], case: Case) -> Values:
    images, noise, seed = case.inputs["images"], case.inputs["noise"], case.inputs["seed"]
    before, global_before = images.clone(), torch.get_rng_state()
    generator = seeded(seed)
    first = fn(images, noise, generator=generator)
    first = first.clone() if isinstance(first, Tensor) else first  # it may be the input itself
    global_after = torch.get_rng_state()
    images_after = images.clone()
    second = fn(before.clone(), noise, generator=generator)
    manual_seed(seed + 1)
    again = fn(before.clone(), noise, generator=seeded(seed))
    return {
        "corrupted": first,
        "next_call": second,
        "same_seed": again,
        "images_after": images_after,
        "global_state_before": global_before,
        "global_state_after": global_after,
    }


corrupt = Exercise(
    name="corrupt",
    unit=UNIT,
    title="Add Gaussian noise, and stay an image",
    signature="corrupt(images, noise, *, generator)",
    minutes=10,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "Every pixel of every image gets a random number of its own, drawn from a normal distribution with "
            "standard deviation `noise`. What leaves the range from 0 to 1 is cut off. The clean images are still "
            "needed later."
        ),
        api="`torch.randn(shape, generator=...)`, `Tensor.to`, `Tensor.clamp`",
        skeleton=(
            "epsilon = torch.randn(..., generator=generator)  # drawn on the CPU\n"
            "epsilon = epsilon.to(images)                     # the images' device and dtype\n"
            "return (... + ...).clamp(...)"
        ),
    ),
    takeaway=(
        "Fresh noise for every pixel, from a generator that you pass: the run can be repeated, and the clean images "
        "are still there to serve as the target."
    ),
    cases=_corrupt_cases,
    observe=_observe_corrupt,
    library=("course_lib.data.augment.gaussian_noise",),
)


# --- 1.4 denoising_loss ---------------------------------------------------------------------------------------------


class _SmallModel(nn.Module):
    """Images to images of the same shape, and a record of what it was given and in which mode."""

    def __init__(self, channels: int, seed: int) -> None:
        super().__init__()
        generator = seeded(seed)
        self.weight = nn.Parameter(torch.randn(channels, channels, generator=generator) * 0.5)
        self.bias = nn.Parameter(torch.randn(channels, generator=generator) * 0.1)
        self.inputs: list[Tensor] = []
        self.modes: list[str] = []

    def forward(self, x: Tensor) -> Tensor:
        self.inputs.append(x.detach().clone())
        self.modes.append(_mode(self))
        mixed = torch.einsum("nchw,dc->ndhw", x, self.weight.to(x)) + self.bias.to(x)[:, None, None]
        return mixed.sigmoid()


def _denoising_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform
    return [
        Case("plain", {"images": draw(4, 1, 6, 5), "seed": seed}),
        Case("color", {"images": draw(3, 3, 5, 7), "seed": seed + 1}),
        Case("one", {"images": draw(1, 1, 7, 4), "seed": seed + 2}),
        Case("transposed", {"images": draw(5, 1, 4, 8).transpose(2, 3), "seed": seed + 3}),
        Case("float64", {"images": draw(2, 2, 5, 5).double(), "seed": seed + 4}),
    ]


def _observe_denoising(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    model = _SmallModel(images.shape[1], case.inputs["seed"]).to(images.device)
    generator = seeded(case.inputs["seed"])
    corrupted: list[Tensor] = []
    compared: list[list[Tensor]] = []

    def corrupt(x: Tensor) -> Tensor:
        noisy = (x + 0.3 * torch.randn(x.shape, generator=generator).to(x)).clamp(0, 1)
        corrupted.append(noisy.detach().clone())
        return noisy

    def loss_fn(x_hat: Tensor, target: Tensor) -> Tensor:
        compared.append([x_hat.detach().clone(), target.detach().clone()])
        # Not symmetric on purpose: swapped arguments show.
        return ((1 + target) * (x_hat - target) ** 2).flatten(1).sum(1).mean()

    loss = fn(model, images, corrupt, loss_fn)
    seen: Values = {"loss": loss, "model_inputs": model.inputs, "modes": model.modes}
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
    # zeros stand for "no gradient": raw values, so that the judge can compare shapes
    seen["gradient"] = model.weight.grad if model.weight.grad is not None else torch.zeros_like(model.weight)
    seen["corrupted"], seen["compared"] = corrupted, compared
    seen["mode_after"], seen["images_after"] = _mode(model), images
    return seen


denoising_loss = Exercise(
    name="denoising_loss",
    unit=UNIT,
    title="Reconstruct the clean image from the corrupted one",
    signature="denoising_loss(model, images, corrupt, loss_fn)",
    minutes=8,
    difficulty=2,
    points=3,
    hints=Hints(
        concept=(
            "Two versions of each image play a part: one goes into the model, the other is what its output is compared "
            "with. Which is which?"
        ),
        api="`corrupt(images)`, `model(...)`, `loss_fn(x_hat, target)`: all three are given to you",
        skeleton="noisy = corrupt(...)\nx_hat = model(...)\nreturn loss_fn(..., ...)",
    ),
    takeaway="Corrupted in, clean as the target: copying no longer pays; the model must learn what images look like.",
    cases=_denoising_cases,
    observe=_observe_denoising,
)


# --- a network with state, for 1.5 and 1.6 --------------------------------------------------------------------------


class _Stateful(nn.Module):
    """Batch normalization and dropout, which behave differently in train mode, and a record of every call."""

    def __init__(self, channels: int, out_channels: int, seed: int, *, pool: bool) -> None:
        super().__init__()
        generator = seeded(seed)
        self.conv = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.dropout = nn.Dropout(0.3)
        self.pool = pool
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randn(p.shape, generator=generator) * 0.5)
            self.norm.get_buffer("running_mean").copy_(torch.randn(out_channels, generator=generator) * 0.2)
            self.norm.get_buffer("running_var").copy_(torch.rand(out_channels, generator=generator) + 0.5)
        self.batch_sizes: list[int] = Diary()
        self.modes: list[str] = Diary()

    def forward(self, x: Tensor) -> Tensor:
        self.batch_sizes.append(len(x))
        self.modes.append(_mode(self.norm))
        x = self.dropout(self.norm(self.conv(x)))
        return x.relu().mean(dim=(2, 3)) if self.pool else x.sigmoid()

    def state(self) -> dict[str, Any]:
        """Where it stands after a call: raw values."""
        return {
            "mode_after": _mode(self),
            "modes": list(self.modes),
            "batch_sizes": list(self.batch_sizes),
            "running_mean_after": self.norm.get_buffer("running_mean").clone(),
            "weights_require_grad_after": [int(p.requires_grad) for p in self.parameters()],
            "gradients_after": [int(p.grad is not None) for p in self.parameters()],
            "grad_mode_after": int(torch.is_grad_enabled()),
        }


def _stateful(case: Case, channels: int, *, pool: bool) -> _Stateful:
    images = case.inputs["images"]
    out_channels = case.inputs.get("feature_dim", channels)
    model = _Stateful(channels, out_channels, case.inputs["seed"], pool=pool).to(images.device, images.dtype)
    model.train(case.inputs["mode_before"] == "train")
    return model


# --- 1.5 extract_features -------------------------------------------------------------------------------------------


def _features_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor, batch_size: int, feature_dim: int, mode: str = "train") -> Case:
        inputs = {"images": images, "batch_size": batch_size, "feature_dim": feature_dim, "mode_before": mode}
        return Case(name, {**inputs, "seed": seed + len(name)})

    return [
        case("ragged_last_batch", draw(10, 1, 7, 6), 4, 5),
        case("already_in_eval_mode", draw(6, 1, 6, 8), 3, 4, "eval"),
        case("one", draw(1, 1, 5, 9), 4, 3),
        case("color", draw(5, 3, 6, 6), 2, 5),
        case("transposed", draw(7, 1, 9, 5).transpose(2, 3), 3, 6),
        case("float64", draw(8, 2, 6, 6).double(), 8, 4),
    ]


def _observe_features(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    encoder = _stateful(case, images.shape[1], pool=True)
    with torch.enable_grad():  # an answer that switches gradients off for good harms nobody else
        features = fn(encoder, images, case.inputs["batch_size"])
        state = encoder.state()
    carries = int(features.requires_grad) if isinstance(features, Tensor) else -1
    return {"features": features, "features_require_grad": carries, **state}


extract_features = Exercise(
    name="extract_features",
    unit=UNIT,
    title="Frozen features of all images",
    signature="extract_features(encoder, images, batch_size)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Reading features must leave no trace: no gradients, no batch statistics that go on learning, and "
            "afterwards the encoder is in the mode in which you found it. Large sets go through in batches, in order."
        ),
        api="`encoder.training`, `.eval()`, `.train(mode)`, `torch.no_grad()`, `Tensor.split`, `torch.cat`",
        skeleton=(
            "was_training = ...\nencoder.eval()\nwith torch.no_grad():\n"
            "    features = torch.cat([... for batch in images.split(...)])\n"
            "encoder.train(...)\nreturn features"
        ),
    ),
    takeaway=(
        "Eval mode, no gradients, the mode put back: the features of an image now depend on that image alone, whatever "
        "else is in its batch."
    ),
    cases=_features_cases,
    observe=_observe_features,
    library=("course_lib.evaluation.extract_features", "course_lib.evaluation.predict", "course_lib.models.eval_mode"),
)


# --- 1.6 anomaly_score ----------------------------------------------------------------------------------------------


def _score_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor, mode: str = "train") -> Case:
        return Case(name, {"images": images, "mode_before": mode, "seed": seed + len(name)})

    return [
        case("plain", draw(6, 1, 7, 6)),
        case("already_in_eval_mode", draw(5, 1, 6, 8), "eval"),
        case("one", draw(1, 1, 6, 5)),
        case("color", draw(4, 3, 5, 6)),
        case("as_many_images_as_channels", draw(3, 3, 6, 4)),
        case("transposed", draw(7, 1, 9, 5).transpose(2, 3)),
        case("float64", draw(5, 2, 6, 6).double()),
    ]


def _observe_score(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    model = _stateful(case, images.shape[1], pool=False)
    with torch.enable_grad():  # as above
        scores = fn(model, images)
        state = model.state()
    carries = int(scores.requires_grad) if isinstance(scores, Tensor) else -1
    seen = {"scores": scores, "scores_require_grad": carries, **state}
    del seen["batch_sizes"]  # in how many batches the images go through is the learner's choice
    seen["modes"] = sorted(set(model.modes))
    return seen


anomaly_score = Exercise(
    name="anomaly_score",
    unit=UNIT,
    title="How strange is each image?",
    signature="anomaly_score(model, images)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "What the model was trained on it reconstructs well; what it has never seen, badly. So an image's own "
            "squared error, summed over its pixels, is its score. A score is a measurement: it must not change the "
            "model."
        ),
        api="`model.eval()`, `torch.no_grad()`, `Tensor.flatten(1)`, `Tensor.sum(dim=1)`, `model.train(mode)`",
        skeleton=(
            "was_training = ...\nmodel.eval()\nwith torch.no_grad():\n    x_hat = ...\nmodel.train(...)\n"
            "return (...).flatten(1)...  # (N,)"
        ),
    ),
    takeaway="One number an image, from a model at rest: now images can be ranked, and a threshold can be chosen.",
    cases=_score_cases,
    observe=_observe_score,
)

EXERCISES = (Autoencoder, reconstruction_loss, corrupt, denoising_loss, extract_features, anomaly_score)
