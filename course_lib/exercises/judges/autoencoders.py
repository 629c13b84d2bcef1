"""Unit 01, autoencoders: references, criteria with points, known mistakes, other right answers.

Mistakes and alternatives use only torch, F, nn and math, because a demo submission is made of their source.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Criterion, Judge, Mistake, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any, ran

# --- 1.1 Autoencoder ------------------------------------------------------------------------------------------------


class _Reference(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(
            nn.Flatten(),
            nn.Linear(num_pixels, 256),
            nn.ReLU(),
            nn.Linear(256, 128),
            nn.ReLU(),
            nn.Linear(128, code_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code_dim, 128),
            nn.ReLU(),
            nn.Linear(128, 256),
            nn.ReLU(),
            nn.Linear(256, num_pixels),
            nn.Sigmoid(),
            nn.Unflatten(1, tuple(image_shape)),
        )

    def encode(self, images):
        return self.encoder(images)

    def decode(self, codes):
        return self.decoder(codes)

    def forward(self, images):
        return self.decode(self.encode(images))


class ConvAutoencoder(nn.Module):
    """Right: convolutions with stride, transposed convolutions back, batch normalization."""

    def __init__(self, image_shape, code_dim):
        super().__init__()
        channels, height, width = image_shape
        self.small = (16, height // 4, width // 4)
        size = math.prod(self.small)
        self.down = nn.Sequential(
            nn.Conv2d(channels, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.to_code = nn.Linear(size, code_dim)
        self.from_code = nn.Linear(code_dim, size)
        self.up = nn.Sequential(
            nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(8, channels, 4, stride=2, padding=1),
        )

    def encode(self, images):
        return self.to_code(self.down(images).flatten(1))

    def decode(self, codes):
        return torch.sigmoid(self.up(self.from_code(codes).relu().reshape(-1, *self.small)))

    def forward(self, images):
        return self.decode(self.encode(images))


class ShallowAutoencoder(nn.Module):
    """Right: one layer each way, and a rescaled tanh in place of the sigmoid."""

    def __init__(self, image_shape, code_dim):
        super().__init__()
        self.image_shape = image_shape
        num_pixels = image_shape[0] * image_shape[1] * image_shape[2]
        self.inwards = nn.Linear(num_pixels, code_dim)
        self.outwards = nn.Linear(code_dim, num_pixels)

    def encode(self, images):
        return self.inwards(images.reshape(len(images), -1))

    def decode(self, codes):
        return (self.outwards(codes).tanh() / 2 + 0.5).reshape(len(codes), *self.image_shape)

    def forward(self, images):
        return self.decode(self.encode(images))


class WithoutSigmoid(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, 128), nn.ReLU(), nn.Linear(128, code_dim))
        self.decoder = nn.Sequential(
            nn.Linear(code_dim, 128), nn.ReLU(), nn.Linear(128, num_pixels), nn.Unflatten(1, tuple(image_shape))
        )

    def encode(self, images):
        return self.encoder(images)

    def decode(self, codes):
        return self.decoder(codes)

    def forward(self, images):
        return self.decoder(self.encoder(images))


class Clamped(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, 128), nn.ReLU(), nn.Linear(128, code_dim))
        self.decoder = nn.Sequential(
            nn.Linear(code_dim, 128), nn.ReLU(), nn.Linear(128, num_pixels), nn.Unflatten(1, tuple(image_shape))
        )

    def encode(self, images):
        return self.encoder(images)

    def decode(self, codes):
        return self.decoder(codes).clamp(0, 1)

    def forward(self, images):
        return self.decode(self.encode(images))


class SoftmaxOutput(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, 128), nn.ReLU(), nn.Linear(128, code_dim))
        self.decoder = nn.Sequential(
            nn.Linear(code_dim, 128),
            nn.ReLU(),
            nn.Linear(128, num_pixels),
            nn.Softmax(dim=1),
            nn.Unflatten(1, tuple(image_shape)),
        )

    def encode(self, images):
        return self.encoder(images)

    def decode(self, codes):
        return self.decoder(codes)

    def forward(self, images):
        return self.decoder(self.encoder(images))


class HardCodedSize(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 128), nn.ReLU(), nn.Linear(128, code_dim))
        self.decoder = nn.Sequential(
            nn.Linear(code_dim, 128), nn.ReLU(), nn.Linear(128, 28 * 28), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))
        )

    def encode(self, images):
        return self.encoder(images)

    def decode(self, codes):
        return self.decoder(codes)

    def forward(self, images):
        return self.decoder(self.encoder(images))


class FlatOutput(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, 128), nn.ReLU(), nn.Linear(128, code_dim))
        self.decoder = nn.Sequential(nn.Linear(code_dim, 128), nn.ReLU(), nn.Linear(128, num_pixels), nn.Sigmoid())

    def encode(self, images):
        return self.encoder(images)

    def decode(self, codes):
        return self.decoder(codes)

    def forward(self, images):
        return self.decoder(self.encoder(images))


class WideCode(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, 128), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(128, num_pixels), nn.Sigmoid(), nn.Unflatten(1, tuple(image_shape)))

    def encode(self, images):
        return self.encoder(images)

    def decode(self, codes):
        return self.decoder(codes)

    def forward(self, images):
        return self.decoder(self.encoder(images))


class SkipsTheCode(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, 128), nn.ReLU())
        self.to_code = nn.Linear(128, code_dim)
        self.from_code = nn.Linear(code_dim, 128)
        self.decoder = nn.Sequential(nn.Linear(128, num_pixels), nn.Sigmoid(), nn.Unflatten(1, tuple(image_shape)))

    def encode(self, images):
        return self.to_code(self.encoder(images))

    def decode(self, codes):
        return self.decoder(self.from_code(codes))

    def forward(self, images):
        hidden = self.encoder(images)
        return self.decoder(hidden + self.from_code(self.to_code(hidden)))


class SquashedOutside(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, 128), nn.ReLU(), nn.Linear(128, code_dim))
        self.decoder = nn.Sequential(
            nn.Linear(code_dim, 128), nn.ReLU(), nn.Linear(128, num_pixels), nn.Unflatten(1, tuple(image_shape))
        )

    def encode(self, images):
        return self.encoder(images)

    def decode(self, codes):
        return self.decoder(codes)

    def forward(self, images):
        return torch.sigmoid(self.decode(self.encode(images)))


class PairOfTwo(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, 128), nn.ReLU(), nn.Linear(128, code_dim))
        self.decoder = nn.Sequential(nn.Linear(code_dim, 128), nn.ReLU(), nn.Linear(128, num_pixels), nn.Sigmoid())
        self.image_shape = image_shape

    def encode(self, images):
        return self.encoder(images)

    def decode(self, codes):
        return self.decoder(codes).reshape(len(codes), *self.image_shape)

    def forward(self, images):
        codes = self.encode(images)
        return self.decode(codes), codes


class NeverDark(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, 128), nn.ReLU(), nn.Linear(128, code_dim))
        self.decoder = nn.Sequential(
            nn.Linear(code_dim, 128),
            nn.ReLU(),
            nn.Linear(128, num_pixels),
            nn.ReLU(),
            nn.Sigmoid(),
            nn.Unflatten(1, tuple(image_shape)),
        )

    def encode(self, images):
        return self.encoder(images)

    def decode(self, codes):
        return self.decoder(codes)

    def forward(self, images):
        return self.decode(self.encode(images))


class PlainList(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encoder = [nn.Flatten(), nn.Linear(num_pixels, 128), nn.ReLU(), nn.Linear(128, code_dim)]
        self.decoder = [nn.Linear(code_dim, num_pixels), nn.Sigmoid(), nn.Unflatten(1, tuple(image_shape))]

    def encode(self, images):
        for layer in self.encoder:
            images = layer(images)
        return images

    def decode(self, codes):
        for layer in self.decoder:
            codes = layer(codes)
        return codes

    def forward(self, images):
        return self.decode(self.encode(images))


class DetachedCode(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, 128), nn.ReLU(), nn.Linear(128, code_dim))
        self.decoder = nn.Sequential(
            nn.Linear(code_dim, 128),
            nn.ReLU(),
            nn.Linear(128, num_pixels),
            nn.Sigmoid(),
            nn.Unflatten(1, tuple(image_shape)),
        )

    @torch.no_grad()
    def encode(self, images):
        return self.encoder(images)

    def decode(self, codes):
        return self.decoder(codes)

    def forward(self, images):
        return self.decode(self.encode(images))


class ViewOfStrides(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        self.image_shape = image_shape
        num_pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(nn.Linear(num_pixels, 128), nn.ReLU(), nn.Linear(128, code_dim))
        self.decoder = nn.Sequential(nn.Linear(code_dim, 128), nn.ReLU(), nn.Linear(128, num_pixels), nn.Sigmoid())

    def encode(self, images):
        return self.encoder(images.view(len(images), -1))

    def decode(self, codes):
        return self.decoder(codes).view(len(codes), *self.image_shape)

    def forward(self, images):
        return self.decode(self.encode(images))


def _shapes_right(case: Case, seen: Values, expected: Values) -> bool:
    images = case.inputs["images"]
    return seen["x_hat"].shape == images.shape and seen["codes"].shape == (len(images), case.inputs["code_dim"])


def _in_range(case: Case, seen: Values, expected: Values) -> bool:
    loud = seen["x_hat_of_large_weights"]
    inside = bool(((loud >= 0) & (loud <= 1)).all())
    dark_and_bright = bool(loud.min() < 0.5 < loud.max())
    return inside and dark_and_bright and not _cut_off(seen["x_hat"]) and not _adds_up_to_one(seen["x_hat"])


def _adds_up_to_one(x_hat: Tensor) -> bool:
    sums = x_hat.double().flatten(1).sum(dim=1)
    return close(sums, torch.ones_like(sums), rtol=1e-3)


def _cut_off(x_hat: Tensor) -> bool:
    return bool((x_hat == 0).double().mean() > 0.05)


def _through_the_code(case: Case, seen: Values, expected: Values) -> bool:
    codes = seen["codes"]
    varying = (codes, seen["x_hat"]) if len(codes) > 1 else ()
    follows_image = all(values.double().std(dim=0).max() > 0 for values in varying)
    small = codes.ndim == 2 and codes.shape[1] == case.inputs["code_dim"]
    return small and follows_image and close(seen["x_hat"], seen["decoded"])


def _learns(case: Case, seen: Values, expected: Values) -> bool:
    sums = seen["gradient_sums"]
    reached = seen["parameter_count"] > 0 and bool(sums) and all(math.isfinite(s) and s >= 0 for s in sums)
    return reached and max(sums) > 0 and ("errors" not in seen or seen["errors"][1] < 0.995 * seen["errors"][0])


def _behaves_view(trials: Sequence[Trial]) -> bool:
    return any(t.error and "view" in t.error.text and "reshape" in t.error.text for t in trials)


def _behaves_hard_coded(trials: Sequence[Trial]) -> bool:
    broken = [t for t in trials if t.error]
    return bool(broken) and all(t.case.inputs["images"].shape[1:] != (1, 28, 28) for t in broken) and bool(ran(trials))


def _behaves_plain_list(trials: Sequence[Trial]) -> bool:
    if any(t.error and "empty parameter list" in t.error.text for t in trials):
        return True
    unregistered = any(
        t.error and t.error.type == "RuntimeError" and "does not require grad" in t.error.text for t in trials
    )
    return unregistered or in_any(trials, lambda t: t.seen["parameter_count"] == 0)


def _behaves_detached(trials: Sequence[Trial]) -> bool:
    return in_any(trials, lambda t: -1.0 in t.seen["gradient_sums"])


def _behaves_skip(trials: Sequence[Trial]) -> bool:
    return in_any(
        trials,
        lambda t: t.seen["x_hat"].shape == t.seen["decoded"].shape and not close(t.seen["x_hat"], t.seen["decoded"]),
    )


def _behaves_squashed_outside(trials: Sequence[Trial]) -> bool:
    def squashed(t: Trial) -> bool:
        decoded = t.seen["decoded"]
        return not close(t.seen["x_hat"], decoded) and close(t.seen["x_hat"], decoded.sigmoid())

    return bool(ran(trials)) and all(map(squashed, ran(trials)))


def _behaves_softmax(trials: Sequence[Trial]) -> bool:
    return bool(ran(trials)) and all(_adds_up_to_one(t.seen["x_hat"]) for t in ran(trials))


def _behaves_wide_code(trials: Sequence[Trial]) -> bool | Values:
    for t in ran(trials):
        wanted = (len(t.case.inputs["images"]), t.case.inputs["code_dim"])
        if isinstance(t.seen["codes"], Tensor) and tuple(t.seen["codes"].shape) != wanted:
            return {"given": tuple(t.seen["codes"].shape), "expected": wanted}
    return False


def _behaves_flat(trials: Sequence[Trial]) -> bool:
    return bool(ran(trials)) and all(t.seen["x_hat"].ndim == 2 for t in ran(trials))


def _behaves_unsquashed(trials: Sequence[Trial]) -> bool:
    def outside(t: Trial) -> bool:
        values = t.seen["x_hat_of_large_weights"]
        return bool(((values < 0) | (values > 1)).any())

    return in_any(trials, outside)


def _behaves_clamped(trials: Sequence[Trial]) -> bool:
    return not _behaves_unsquashed(trials) and in_any(trials, lambda t: _cut_off(t.seen["x_hat"]))


Autoencoder = Judge(
    reference=_Reference,
    criteria=(
        Criterion("shapes", 1, "codes are `(N, code_dim)`, and `x_hat` has the shape of the images", _shapes_right),
        Criterion("range", 1, "pixels of `x_hat` lie in [0, 1], squashed smoothly", _in_range),
        Criterion("bottleneck", 1, "`forward` is `decode(encode(images))` and nothing else", _through_the_code),
        Criterion(
            "learns", 1, "gradients reach every weight, and a few training steps lower the error", _learns,
            ("gray", "color_wide", "learning"),
        ),
    ),
    mistakes=(
        Mistake(
            "pair_of_two", PairOfTwo,
            "`forward` gives back several things at once. Return the reconstruction alone: whoever wants the codes "
            "calls `encode`.",
            behaves=lambda trials: any(
                isinstance(t.seen.get("x_hat"), list) or (t.error and "'tuple' and 'Tensor'" in t.error.text)
                for t in trials
            ),
        ),
        Mistake(
            "flat_output", FlatOutput,
            "Your `x_hat` is a flat vector for each image. Give it the images' own shape again at the end of the "
            "decoder.",
            behaves=_behaves_flat,
        ),
        Mistake(
            "wide_code", WideCode,
            "Your code has shape {given}; `code_dim` asks for {expected}. Without the narrow layer nothing forces the "
            "network to choose what matters.",
            behaves=_behaves_wide_code,
        ),
        Mistake(
            "hard_coded_size", HardCodedSize,
            "It works for one image shape only: a size such as 784 is written into a layer. Compute it from "
            "`image_shape`.",
            behaves=lambda trials: not _behaves_view(trials)
            and not _behaves_plain_list(trials)
            and _behaves_hard_coded(trials),
        ),
        Mistake(
            "view_of_strides", ViewOfStrides,
            "`.view` fails on images whose memory is not in order, such as transposed ones. `.reshape` and `.flatten` "
            "copy when they must.",
            behaves=_behaves_view,
        ),
        Mistake(
            "plain_list", PlainList,
            "Your layers are in a plain Python list, so PyTorch does not know them and the optimizer gets no weights. "
            "Put them into an `nn.Sequential` or `nn.ModuleList`.",
            behaves=_behaves_plain_list,
        ),
        Mistake(
            "detached_code", DetachedCode,
            "No gradient reaches part of your weights: something on the way, such as `no_grad` or `detach`, cuts the "
            "code off from the loss. While training, the encoder must learn too.",
            behaves=_behaves_detached,
        ),
        Mistake(
            "softmax_output", SoftmaxOutput,
            "The pixels of each image add up to one: a softmax makes them compete. Each pixel has a brightness of its "
            "own, so squash each by itself.",
            behaves=_behaves_softmax,
        ),
        Mistake(
            "squashed_outside", SquashedOutside,
            "`forward` squashes what `decode` gives, so `decode` by itself leaves the range from 0 to 1. Squash inside "
            "`decode`: its result is the image.",
            behaves=_behaves_squashed_outside,
        ),
        Mistake(
            "skips_the_code", SkipsTheCode,
            "`forward` differs from `decode(encode(images))`: something reaches the output around the code. Then the "
            "code need not hold anything.",
            behaves=_behaves_skip,
        ),
        Mistake(
            "never_dark", NeverDark,
            "No pixel is ever darker than one half: an activation cuts negative values off just before they are "
            "squashed. Squash the last layer's values as they come.",
            behaves=lambda trials: in_all(
                trials, lambda t: bool((torch.cat([t.seen["x_hat"], t.seen["x_hat_of_large_weights"]]) >= 0.5).all())
            ),
        ),
        Mistake(
            "clamped", Clamped,
            "Many pixels are cut off at exactly 0. A pixel that a clamp or ReLU cuts off gets no gradient and stays "
            "dark; use a smooth squashing function.",
            behaves=_behaves_clamped,
        ),
        Mistake(
            "without_sigmoid", WithoutSigmoid,
            "Some pixels of `x_hat` fall outside [0, 1]. End the decoder with a function that squashes every value "
            "into that range.",
            behaves=_behaves_unsquashed,
        ),
    ),
    alternatives=(ConvAutoencoder, ShallowAutoencoder),
    exact=False,
)  # fmt: skip


# --- 1.2 reconstruction_loss ----------------------------------------------------------------------------------------


def _reference_loss(x_hat, images):
    return F.mse_loss(x_hat, images, reduction="sum") / len(images)


def summed_by_axes(x_hat, images):
    return ((images - x_hat) ** 2).sum(dim=(1, 2, 3)).mean(dim=0)


def norms_squared(x_hat, images):
    difference = (x_hat - images).reshape(images.shape[0], -1)
    return torch.einsum("nd,nd->", difference, difference) / images.shape[0]


def mean_of_everything(x_hat, images):
    return F.mse_loss(x_hat, images)


def sum_of_everything(x_hat, images):
    return ((x_hat - images) ** 2).sum()


def mean_over_pixels_sum_over_batch(x_hat, images):
    return ((x_hat - images) ** 2).flatten(1).mean(dim=1).sum()


def absolute_error(x_hat, images):
    return (x_hat - images).abs().flatten(1).sum(dim=1).mean()


def root_of_the_sum(x_hat, images):
    return ((x_hat - images) ** 2).flatten(1).sum(dim=1).sqrt().mean()


def signed_error(x_hat, images):
    return (x_hat - images).flatten(1).sum(dim=1).pow(2).mean()


def not_squared(x_hat, images):
    return (x_hat - images).flatten(1).sum(dim=1).mean()


def cross_entropy_of_pixels(x_hat, images):
    return F.binary_cross_entropy(x_hat, images, reduction="sum") / len(images)


def cross_entropy_with_logits(x_hat, images):
    return F.binary_cross_entropy_with_logits(x_hat, images, reduction="sum") / len(images)


def channels_averaged(x_hat, images):
    return ((x_hat - images) ** 2).sum(dim=(2, 3)).mean()


def halved(x_hat, images):
    return 0.5 * ((x_hat - images) ** 2).flatten(1).sum(dim=1).mean()


def one_number_an_image(x_hat, images):
    return ((x_hat - images) ** 2).flatten(1).sum(dim=1)


def plain_number(x_hat, images):
    return ((x_hat - images) ** 2).flatten(1).sum(dim=1).mean().item()


def cut_from_the_graph(x_hat, images):
    return ((x_hat.detach() - images) ** 2).flatten(1).sum(dim=1).mean()


def _loss_ratio(trials: Sequence[Trial], expected_ratio) -> bool:
    """Whether on every case the loss is the right one times a factor that depends on the shape."""
    found = ran(trials)
    return bool(found) and all(
        isinstance(t.seen["loss"], Tensor)
        and close(t.seen["loss"].double(), t.expected["loss"].double() * expected_ratio(t.case.inputs["images"]))
        for t in found
    )


def root_of_the_mean(x_hat, images):
    return F.mse_loss(x_hat, images).sqrt()


def summed_over_one_axis(x_hat, images):
    return ((x_hat - images) ** 2).sum(dim=1).mean()


reconstruction_loss = Judge(
    reference=_reference_loss,
    criteria=(
        Criterion(
            "value", 1, "squared errors are summed over the pixels of each image",
            lambda c, s, e: close(s["loss"], e["loss"]), ("one", "color", "transposed", "float64"),
        ),
        Criterion(
            "batch", 1, "the mean is taken over images: twice the batch, same loss",
            lambda c, s, e: close(s["loss"], e["loss"]), ("plain", "twice_the_batch", "as_many_images_as_channels"),
        ),
        Criterion(
            "gradient", 1, "the gradient reaches `x_hat`, and `images` stay as they are",
            lambda c, s, e: close(s["gradient"], e["gradient"]) and close(s["images_after"], e["images_after"]),
        ),
    ),
    mistakes=(
        Mistake(
            "mean_of_everything", mean_of_everything,
            "You average over pixels as well as images. Sum over the pixels of each image first; only then take the "
            "mean over the batch.",
            behaves=lambda trials: _loss_ratio(trials, lambda x: 1 / x[0].numel()),
        ),
        Mistake(
            "sum_of_everything", sum_of_everything,
            "You sum over images too, so a batch twice as large has twice the loss, and twice the step. Take the mean "
            "over the batch.",
            behaves=lambda trials: _loss_ratio(trials, len),
        ),
        Mistake(
            "mean_over_pixels_sum_over_batch", mean_over_pixels_sum_over_batch,
            "The two reductions are swapped: you average over pixels and sum over images. It is the other way round.",
            behaves=lambda trials: _loss_ratio(trials, lambda x: len(x) / x[0].numel()),
        ),
        Mistake(
            "absolute_error", absolute_error,
            "You add up absolute errors. The squared error is asked for, which punishes one large error more than "
            "several small ones.",
        ),
        Mistake(
            "root_of_the_sum", root_of_the_sum,
            "You take a square root at the end, so this is a distance. Leave the root out: the squared error is asked "
            "for.",
        ),
        Mistake(
            "root_of_the_mean", root_of_the_mean,
            "You average over everything and take a square root. Neither is asked for: sum the squares of each image, "
            "then take the mean over images.",
        ),
        Mistake(
            "signed_error", signed_error,
            "You sum first and square afterwards, so errors of opposite sign cancel. Square every pixel's error, then "
            "sum.",
        ),
        Mistake(
            "not_squared", not_squared,
            "The errors are not squared: too bright and too dark cancel, and the loss can fall below zero.",
            behaves=lambda trials: in_any(
                trials, lambda t: isinstance(t.seen["loss"], Tensor) and bool((t.seen["loss"] < 0).any())
            ),
        ),
        Mistake(
            "cross_entropy_of_pixels", cross_entropy_of_pixels,
            "This is a cross-entropy of pixels. It is a fair choice too, but the squared error is asked for here, and "
            "all figures of this unit are in its unit.",
        ),
        Mistake(
            "cross_entropy_with_logits", cross_entropy_with_logits,
            "This cross-entropy expects logits, but `x_hat` has been squashed into [0, 1] already, so it is squashed "
            "twice. The squared error is asked for here.",
        ),
        Mistake(
            "channels_averaged", channels_averaged,
            "You average over channels. Each channel's pixels belong to the image: flatten everything after the batch "
            "dimension, then sum.",
        ),
        Mistake(
            "summed_over_one_axis", summed_over_one_axis,
            "You sum over one axis only, and the mean then runs over the others as well as over images. Everything "
            "after the batch dimension belongs to the image: flatten it, then sum.",
            behaves=lambda trials: any(
                _loss_ratio(trials, lambda x, axis=axis: x.shape[axis] / x[0].numel()) for axis in (1, 2, 3)
            ),
        ),
        Mistake(
            "halved", halved,
            "There is a factor of one half too much. It is common in textbooks, but not in the formula above.",
            behaves=lambda trials: _loss_ratio(trials, lambda x: 0.5),
        ),
        Mistake(
            "one_number_an_image", one_number_an_image,
            "You give back one number an image. Training needs a single number: take the mean over the batch.",
            behaves=lambda trials: in_any(
                trials,
                lambda t: isinstance(t.seen["loss"], Tensor)
                and t.seen["loss"].shape == t.case.inputs["images"].shape[:1],
            ),
        ),
        Mistake(
            "plain_number", plain_number,
            "You give back a plain Python number, and with `.item()` the gradient is gone. Return the tensor.",
            behaves=lambda trials: in_any(trials, lambda t: isinstance(t.seen["loss"], float)),
        ),
        Mistake(
            "cut_from_the_graph", cut_from_the_graph,
            "The value is right, but no gradient reaches `x_hat`: `detach`, `no_grad` or `.data` cuts it off, and "
            "nothing would be learned.",
            behaves=lambda trials: in_any(
                trials,
                lambda t: isinstance(t.seen["loss"], Tensor)
                and close(t.seen["loss"], t.expected["loss"])
                and not t.seen["gradient"].any(),
            ),
        ),
    ),
    alternatives=(summed_by_axes, norms_squared),
)  # fmt: skip


# --- 1.3 corrupt ----------------------------------------------------------------------------------------------------


def _reference_corrupt(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images + noise * epsilon).clamp(0, 1)


def normal_around_the_image(images, noise, *, generator):
    mean = images.detach().cpu()
    drawn = torch.normal(mean, torch.full_like(mean, noise), generator=generator)
    return torch.clip(drawn, 0.0, 1.0).to(images.device)


def noise_on_a_copy(images, noise, *, generator):
    epsilon = torch.empty(images.shape, dtype=images.dtype).normal_(0.0, 1.0, generator=generator)
    result = images.clone()
    result += epsilon.to(images.device) * noise
    return result.clamp_(min=0, max=1)


def without_clamp(images, noise, *, generator):
    return images + noise * torch.randn(images.shape, generator=generator).to(images)


def into_the_input(images, noise, *, generator):
    images += noise * torch.randn(images.shape, generator=generator).to(images)
    return images.clamp_(0, 1)


def same_noise_for_all(images, noise, *, generator):
    epsilon = torch.randn(images.shape[1:], generator=generator).to(images)
    return (images + noise * epsilon).clamp(0, 1)


def one_number_for_each_image(images, noise, *, generator):
    epsilon = torch.randn(len(images), 1, 1, 1, generator=generator).to(images)
    return (images + noise * epsilon).clamp(0, 1)


def uniform_noise(images, noise, *, generator):
    epsilon = torch.rand(images.shape, generator=generator).to(images)
    return (images + noise * epsilon).clamp(0, 1)


def uniform_around_zero(images, noise, *, generator):
    epsilon = 2 * torch.rand(images.shape, generator=generator).to(images) - 1
    return (images + noise * epsilon).clamp(0, 1)


def generator_ignored(images, noise, *, generator):
    return (images + noise * torch.randn_like(images)).clamp(0, 1)


def seeded_inside(images, noise, *, generator):
    generator.manual_seed(0)
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images + noise * epsilon).clamp(0, 1)


def noise_as_variance(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images + math.sqrt(noise) * epsilon).clamp(0, 1)


def squared_deviation(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images + noise**2 * epsilon).clamp(0, 1)


def multiplied(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images * (1 + noise * epsilon)).clamp(0, 1)


def noise_only(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (noise * epsilon).clamp(0, 1)


def images_as_they_are(images, noise, *, generator):
    return images.clamp(0, 1)


_UNCUT = ("gray", "same_image", "one", "transposed", "float64")  # so far from 0 and 1 that nothing is cut off


def _residual(case: Case, seen: Values) -> Tensor:
    return (seen["corrupted"] - case.inputs["images"]).double()


def _spread(case: Case, seen: Values) -> float:
    """Standard deviation of what was added, as a multiple of `noise`."""
    return float(_residual(case, seen).std()) / case.inputs["noise"]


def _is_gaussian(case: Case, seen: Values, expected: Values) -> bool:
    residual, noise = _residual(case, seen), case.inputs["noise"]
    count = residual.numel()
    tails = float(
        (residual.abs() > 2 * noise).double().mean()
    )  # 4.6 % for a normal distribution, none for a uniform one
    return (
        abs(float(residual.mean())) < 5 * noise / math.sqrt(count)
        and abs(float(residual.std()) / noise - 1) < 4 / math.sqrt(count)
        and abs(tails - 0.0455) < 5 * math.sqrt(0.0455 / count)
    )


def _is_fresh(case: Case, seen: Values, expected: Values) -> bool:
    residual, noise = _residual(case, seen), case.inputs["noise"]
    within = residual.flatten(1).std(dim=1)
    if len(residual) == 1:
        return bool((within > 0.5 * noise).all())
    across = (residual - residual.mean(dim=0, keepdim=True)).flatten().std()
    return bool((within > 0.5 * noise).all()) and float(across) > 0.5 * noise


def _keeps_range(case: Case, seen: Values, expected: Values) -> bool:
    values, images = seen["corrupted"], case.inputs["images"]
    fine = values.shape == images.shape and values.dtype == images.dtype and bool(((values >= 0) & (values <= 1)).all())
    if case.name == "no_noise":
        return fine and close(values, images)
    if case.name == "dark_and_bright":  # black pixels become brighter, white ones darker: about half are cut off
        cut = float(((values == 0) | (values == 1)).double().mean())
        return fine and 0.4 < cut < 0.6
    return fine


def _uses_generator(case: Case, seen: Values, expected: Values) -> bool:
    same = torch.equal(seen["corrupted"], seen["same_seed"])
    untouched = torch.equal(seen["global_state_before"], seen["global_state_after"])
    moves_on = case.inputs["noise"] == 0 or not torch.equal(seen["corrupted"], seen["next_call"])
    return same and untouched and moves_on


def _leaves_input(case: Case, seen: Values, expected: Values) -> bool:
    return (
        torch.equal(seen["images_after"], case.inputs["images"])
        and seen["corrupted"].shape == seen["images_after"].shape
    )


def _for_uncut(trials: Sequence[Trial], predicate) -> bool:
    found = [t for t in ran(trials) if t.case.name in _UNCUT]
    return bool(found) and all(predicate(t) for t in found)


def _behaves_not_fresh(trials: Sequence[Trial]) -> bool:
    """The same noise in every image of a batch: after the batch mean is taken away nothing is left."""

    def shared(t: Trial) -> bool:
        residual = _residual(t.case, t.seen)
        rest = (residual - residual.mean(dim=0, keepdim=True)).abs().max()
        return len(residual) == 1 or bool(rest < 0.05 * t.case.inputs["noise"] and residual.std() > 0)

    return _for_uncut(trials, shared)


def _behaves_one_number(trials: Sequence[Trial]) -> bool:
    def flat(t: Trial) -> bool:
        residual = _residual(t.case, t.seen).flatten(1)
        return bool((residual.std(dim=1) < 0.05 * t.case.inputs["noise"]).all() and residual.abs().max() > 0)

    return _for_uncut(trials, flat)


def _behaves_uniform(trials: Sequence[Trial]) -> bool:
    # a uniform distribution has no tails: nothing lies further out than 1.8 standard deviations
    def no_tails(t: Trial) -> bool:
        residual = _residual(t.case, t.seen)
        centered = (residual - residual.mean()).abs()
        return bool(residual.std() > 0 and centered.max() < 1.85 * residual.std())

    return _for_uncut(trials, no_tails)


def _behaves_spread(trials: Sequence[Trial], wanted) -> bool:
    return _for_uncut(trials, lambda t: abs(_spread(t.case, t.seen) / wanted(t.case.inputs["noise"]) - 1) < 0.15)


def _behaves_global(trials: Sequence[Trial]) -> bool:
    return in_any(
        trials,
        lambda t: (
            not torch.equal(t.seen["global_state_before"], t.seen["global_state_after"])
            or not torch.equal(t.seen["corrupted"], t.seen["same_seed"])
        ),
    )


def cut_too_early(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return images + (noise * epsilon).clamp(0, 1)


def only_brighter(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).abs().to(images)
    return (images + noise * epsilon).clamp(0, 1)


def stretched(images, noise, *, generator):
    noisy = images + noise * torch.randn(images.shape, generator=generator).to(images)
    return (noisy - noisy.min()) / (noisy.max() - noisy.min())


def blended(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return ((1 - noise) * images + noise * epsilon).clamp(0, 1)


def masked(images, noise, *, generator):
    keep = torch.rand(images.shape, generator=generator).to(images) >= noise
    return images * keep


def not_scaled(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images + epsilon).clamp(0, 1)


def _behaves_stretched(trials: Sequence[Trial]) -> bool:
    return _for_uncut(trials, lambda t: t.seen["corrupted"].min() == 0 and t.seen["corrupted"].max() == 1) and any(
        t.case.name == "no_noise" and _residual(t.case, t.seen).any() for t in ran(trials)
    )


def _behaves_not_scaled(trials: Sequence[Trial]) -> bool:
    return any(t.case.name == "no_noise" and _residual(t.case, t.seen).std() > 0.2 for t in ran(trials)) and _for_uncut(
        trials, lambda t: float(((t.seen["corrupted"] == 0) | (t.seen["corrupted"] == 1)).double().mean()) > 0.4
    )


def _behaves_masked(trials: Sequence[Trial]) -> bool:
    def kept_or_black(t: Trial) -> bool:
        seen, black = t.seen["corrupted"], t.seen["corrupted"] == 0
        return bool((black | (seen == t.case.inputs["images"])).all() and black.any())

    return _for_uncut(trials, kept_or_black)


def _behaves_cut_too_early(trials: Sequence[Trial]) -> bool:
    def half_is_untouched(t: Trial) -> bool:
        residual = _residual(t.case, t.seen)
        return bool((residual > -1e-6).all()) and 0.4 < float((residual.abs() < 1e-9).double().mean()) < 0.6

    return _for_uncut(trials, half_is_untouched)


def _behaves_only_brighter(trials: Sequence[Trial]) -> bool:
    def beyond_uniform(t: Trial) -> bool:
        residual = _residual(t.case, t.seen)
        return bool((residual > -1e-6).all() and residual.max() > 1.5 * t.case.inputs["noise"])

    return _for_uncut(trials, beyond_uniform)


def _behaves_blended(trials: Sequence[Trial]) -> bool:
    def darker(t: Trial) -> bool:
        expected = float(t.case.inputs["images"].mean())
        shift = -float(_residual(t.case, t.seen).mean()) / t.case.inputs["noise"]
        return abs(shift - expected) < 0.2 and abs(_spread(t.case, t.seen) - 1) < 0.2

    return _for_uncut(trials, darker)


corrupt = Judge(
    reference=_reference_corrupt,
    criteria=(
        Criterion(
            "noise", 1, "every pixel of every image gets its own Gaussian noise of standard deviation `noise`",
            lambda c, s, e: _is_gaussian(c, s, e) and _is_fresh(c, s, e), _UNCUT,
        ),
        Criterion("range", 1, "shape and dtype stay, values are cut off at 0 and 1", _keeps_range),
        Criterion("generator", 1, "the noise comes from the generator, and from nowhere else", _uses_generator),
        Criterion("input_kept", 1, "the clean images are not changed", _leaves_input),
    ),
    mistakes=(
        Mistake(
            "into_the_input", into_the_input,
            "You change the clean images in place, and they are needed as the target later. Make a new tensor: no "
            "`+=`, no call that ends in an underscore on `images`.",
            behaves=lambda trials: in_any(
                trials, lambda t: not torch.equal(t.seen["images_after"], t.case.inputs["images"])
            ),
        ),
        Mistake(
            "images_as_they_are", images_as_they_are,
            "The images come back without any noise.",
            behaves=lambda trials: _for_uncut(trials, lambda t: not _residual(t.case, t.seen).any()),
        ),
        Mistake(
            "seeded_inside", seeded_inside,
            "The generator is seeded anew at each call, so every batch gets the same noise. Leave its seed alone: it "
            "was chosen by whoever passed it to you.",
            behaves=lambda trials: _for_uncut(trials, lambda t: torch.equal(t.seen["corrupted"], t.seen["next_call"])),
        ),
        Mistake(
            "generator_ignored", generator_ignored,
            "The noise does not come from `generator`, so the run cannot be repeated. Pass it to the function that "
            "draws (`randn_like` takes none; `randn` does).",
            behaves=_behaves_global,
        ),
        Mistake(
            "same_noise_for_all", same_noise_for_all,
            "All images of a batch get the same noise. Draw numbers for the whole batch: the shape is that of "
            "`images`.",
            behaves=_behaves_not_fresh,
        ),
        Mistake(
            "one_number_for_each_image", one_number_for_each_image,
            "Each image is made brighter or darker as a whole. Every pixel needs a random number of its own.",
            behaves=_behaves_one_number,
        ),
        Mistake(
            "noise_only", noise_only,
            "Only noise comes back: the images themselves are lost. Add the noise to them.",
            behaves=lambda trials: _for_uncut(trials, lambda t: float(_residual(t.case, t.seen).mean()) < -0.2),
        ),
        Mistake(
            "stretched", stretched,
            "You stretch the result until it fills [0, 1], so the contrast of every image hangs on the batch's most "
            "extreme pixels. Leave values inside the range as they are; only what leaves it is cut off.",
            behaves=_behaves_stretched,
        ),
        Mistake(
            "not_scaled", not_scaled,
            "The strength of your noise does not depend on `noise`: even at 0 the images are corrupted. Scale the "
            "random numbers by it.",
            behaves=_behaves_not_scaled,
        ),
        Mistake(
            "masked", masked,
            "You switch some pixels off and leave the others clean. That is another corruption; here every pixel is "
            "moved a little, up or down.",
            behaves=_behaves_masked,
        ),
        Mistake(
            "cut_too_early", cut_too_early,
            "You cut the noise off before it is added, so its negative half is lost. Add it first; it is the sum that "
            "is cut off.",
            behaves=_behaves_cut_too_early,
        ),
        Mistake(
            "only_brighter", only_brighter,
            "Your noise is never negative, so images only become brighter. Leave the signs of the random numbers as "
            "they are drawn.",
            behaves=_behaves_only_brighter,
        ),
        Mistake(
            "blended", blended,
            "The images become darker before the noise is added, as in a blend of the two. The image keeps its full "
            "strength; the noise comes on top.",
            behaves=_behaves_blended,
        ),
        Mistake(
            "uniform_noise", uniform_noise,
            "Your noise is never negative: `rand` draws between 0 and 1, so images only become brighter. Gaussian "
            "noise comes from `randn`.",
            behaves=lambda trials: _for_uncut(trials, lambda t: bool((_residual(t.case, t.seen) > -1e-6).all())),
        ),
        Mistake(
            "uniform_around_zero", uniform_around_zero,
            "Your noise is uniform: it never goes far out. Gaussian noise comes from `randn`.",
            behaves=_behaves_uniform,
        ),
        Mistake(
            "noise_as_variance", noise_as_variance,
            "The noise is too strong: `noise` is its standard deviation already. Multiply by it, without a square "
            "root.",
            behaves=lambda trials: _behaves_spread(trials, lambda noise: noise**-0.5),
        ),
        Mistake(
            "squared_deviation", squared_deviation,
            "The noise is too weak: you multiply by the variance. Multiply by `noise` itself, the standard deviation.",
            behaves=lambda trials: _behaves_spread(trials, lambda noise: noise),
        ),
        Mistake(
            "multiplied", multiplied,
            "Your noise grows with the brightness, so black pixels get none. Add it, do not multiply.",
            behaves=lambda trials: in_any(
                trials,
                lambda t: t.case.name == "dark_and_bright"
                and not t.seen["corrupted"][t.case.inputs["images"] == 0].any()
                and bool((t.seen["corrupted"][t.case.inputs["images"] == 1] != 1).any()),
            ),
        ),
        Mistake(
            "without_clamp", without_clamp,
            "Some values fall outside [0, 1], where no image can be. Cut them off at both ends.",
            behaves=lambda trials: in_any(
                trials, lambda t: bool(((t.seen["corrupted"] < 0) | (t.seen["corrupted"] > 1)).any())
            ),
        ),
    ),
    alternatives=(normal_around_the_image, noise_on_a_copy),
    exact=False,
)  # fmt: skip


# --- 1.4 denoising_loss ---------------------------------------------------------------------------------------------


def _reference_denoising(model, images, corrupt, loss_fn):
    return loss_fn(model(corrupt(images)), images)


def clean_copy_kept(model, images, corrupt, loss_fn):
    target = images.clone()
    noisy = corrupt(images)
    x_hat = model.forward(noisy)
    return loss_fn(x_hat, target)


def with_the_target_detached(model, images, corrupt, loss_fn):
    with torch.no_grad():
        noisy = corrupt(images)
    model.train()
    return loss_fn(model(noisy), images.detach())


def noisy_target(model, images, corrupt, loss_fn):
    noisy = corrupt(images)
    return loss_fn(model(noisy), noisy)


def clean_input(model, images, corrupt, loss_fn):
    return loss_fn(model(images), images)


def input_and_target_swapped(model, images, corrupt, loss_fn):
    return loss_fn(model(images), corrupt(images))


def corrupted_twice(model, images, corrupt, loss_fn):
    return loss_fn(model(corrupt(images)), corrupt(images))


def noise_as_target(model, images, corrupt, loss_fn):
    noisy = corrupt(images)
    return loss_fn(model(noisy), noisy - images)


def output_corrupted(model, images, corrupt, loss_fn):
    return loss_fn(corrupt(model(images)), images)


def arguments_swapped(model, images, corrupt, loss_fn):
    return loss_fn(images, model(corrupt(images)))


def model_skipped(model, images, corrupt, loss_fn):
    return loss_fn(corrupt(images), images)


def without_gradient(model, images, corrupt, loss_fn):
    with torch.no_grad():
        return loss_fn(model(corrupt(images)), images)


def left_in_eval_mode(model, images, corrupt, loss_fn):
    model.eval()
    return loss_fn(model(corrupt(images)), images)


def own_loss(model, images, corrupt, loss_fn):
    return ((model(corrupt(images)) - images) ** 2).mean()


def _is(seen: Tensor, other: Tensor) -> bool:
    return seen.shape == other.shape and close(seen, other)


def _compared(trial: Trial) -> tuple[Tensor, Tensor]:
    (x_hat, target) = trial.seen["compared"][0]
    return x_hat, target


def _model_saw(trial: Trial, which: str) -> bool:
    inputs, corrupted = trial.seen["model_inputs"], trial.seen["corrupted"]
    wanted = trial.case.inputs["images"] if which == "clean" else (corrupted[0] if corrupted else None)
    return len(inputs) == 1 and wanted is not None and _is(inputs[0], wanted)


def _target_is(trial: Trial, which: str) -> bool:
    clean, corrupted = trial.case.inputs["images"], trial.seen["corrupted"]
    target = _compared(trial)[1]
    if which == "clean":
        return _is(target, clean)
    return any(_is(target, noisy) for noisy in corrupted)


def output_ignored(model, images, corrupt, loss_fn):
    noisy = corrupt(images)
    model(noisy)
    return loss_fn(noisy, images)


def two_losses(model, images, corrupt, loss_fn):
    return loss_fn(model(corrupt(images)), images) + loss_fn(model(images), images)


def backward_inside(model, images, corrupt, loss_fn):
    loss = loss_fn(model(corrupt(images)), images)
    loss.backward()
    return loss


def corrupted_in_a_row(model, images, corrupt, loss_fn):
    noisy = corrupt(images)
    return loss_fn(model(corrupt(noisy)), images)


def rescaled_loss(model, images, corrupt, loss_fn):
    return loss_fn(model(corrupt(images)), images) / images.numel()


def _behaves_rescaled(trials: Sequence[Trial]) -> bool:
    return in_all(
        trials,
        lambda t: (
            _model_saw(t, "corrupted")
            and _target_is(t, "clean")
            and len(t.seen["compared"]) == 1
            and close(_compared(t)[0], t.expected["compared"][0][0])
        ),
    ) and in_any(trials, lambda t: not close(t.seen["loss"], t.expected["loss"]) and t.seen["gradient"].any())


denoising_loss = Judge(
    reference=_reference_denoising,
    criteria=(
        Criterion(
            "input", 1, "the model is given the corrupted images",
            lambda c, s, e: close(s["model_inputs"], e["model_inputs"]),
        ),
        Criterion(
            "target", 1, "its output is compared with the clean images, by `loss_fn(x_hat, target)`",
            lambda c, s, e: len(s["compared"]) == 1 and close(s["compared"][0][1], c.inputs["images"]),
        ),
        Criterion(
            "gradient", 1, "the loss that comes back trains the model",
            lambda c, s, e: close(s["loss"], e["loss"]) and close(s["gradient"], e["gradient"])
            and s["mode_after"] == "train",
        ),
    ),
    mistakes=(
        Mistake(
            "backward_inside", backward_inside,
            "You call `backward()` inside, so whoever gets your loss cannot call it again. Return the loss; going "
            "backward and stepping is the training loop's part.",
            behaves=lambda trials: any(t.error and "graph a second time" in t.error.text for t in trials),
        ),
        Mistake(
            "two_losses", two_losses,
            "You call `loss_fn` more than once and put the results together. One comparison is enough: denoised "
            "against clean.",
            behaves=lambda trials: in_all(trials, lambda t: len(t.seen["compared"]) > 1),
        ),
        Mistake(
            "corrupted_in_a_row", corrupted_in_a_row,
            "The images are corrupted twice in a row, so the model gets more noise than the caller chose. Once is "
            "enough.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: len(t.seen["corrupted"]) > 1
                and _is(t.seen["model_inputs"][0], t.seen["corrupted"][-1])
                and _target_is(t, "clean"),
            ),
        ),
        Mistake(
            "output_ignored", output_ignored,
            "You call the model but do not use what it returns: `loss_fn` gets the corrupted images instead. Compare "
            "the model's output.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: bool(t.seen["model_inputs"] and t.seen["corrupted"])
                and _is(_compared(t)[0], t.seen["corrupted"][0]),
            ),
        ),
        Mistake(
            "noisy_target", noisy_target,
            "You compare the output with the corrupted images, so the model is taught to copy the noise. The target "
            "is the clean image.",
            behaves=lambda trials: in_all(trials, lambda t: _model_saw(t, "corrupted") and _target_is(t, "corrupted")),
        ),
        Mistake(
            "clean_input", clean_input,
            "The model is given the clean images, so there is no noise to remove. Corrupt what goes in.",
            behaves=lambda trials: in_all(trials, lambda t: _model_saw(t, "clean") and _target_is(t, "clean")),
        ),
        Mistake(
            "input_and_target_swapped", input_and_target_swapped,
            "Input and target are swapped: you ask for noisy images from clean ones.",
            behaves=lambda trials: in_all(trials, lambda t: _model_saw(t, "clean") and _target_is(t, "corrupted")),
        ),
        Mistake(
            "corrupted_twice", corrupted_twice,
            "You corrupt twice, and the second corruption is the target. Compare with the clean images themselves.",
            behaves=lambda trials: in_all(
                trials, lambda t: len(t.seen["corrupted"]) > 1 and not _target_is(t, "clean")
            ),
        ),
        Mistake(
            "output_corrupted", output_corrupted,
            "The noise is added to the model's output. It belongs to the input, before the model sees it.",
        ),
        Mistake(
            "noise_as_target", noise_as_target,
            "Your target is the noise, as in a diffusion model. Here the model draws the clean image itself.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: bool(t.seen["corrupted"])
                and _is(_compared(t)[1].abs(), (t.seen["corrupted"][0] - t.case.inputs["images"]).abs()),
            ),
        ),
        Mistake(
            "arguments_swapped", arguments_swapped,
            "The arguments of `loss_fn` are swapped: the reconstruction comes first, then the target.",
            behaves=lambda trials: in_all(trials, lambda t: _is(_compared(t)[0], t.case.inputs["images"])),
        ),
        Mistake(
            "model_skipped", model_skipped,
            "The model is never called: you measure how strong the noise is.",
            behaves=lambda trials: in_all(trials, lambda t: bool(t.seen["compared"]) and not t.seen["model_inputs"]),
        ),
        Mistake(
            "rescaled_loss", rescaled_loss,
            "You change what `loss_fn` gives back, by a factor or an average. It has reduced over pixels and images "
            "already: return its value as it is.",
            behaves=_behaves_rescaled,
        ),
        Mistake(
            "own_loss", own_loss,
            "You did not use `loss_fn`. Whoever calls this function chooses how errors are measured; pass them on to "
            "it.",
            behaves=lambda trials: in_all(
                trials, lambda t: isinstance(t.seen["loss"], Tensor) and not t.seen["compared"]
            ),
        ),
        Mistake(
            "left_in_eval_mode", left_in_eval_mode,
            "You put the model into eval mode, and it stays there: this loss is for training. Leave its mode alone.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen["mode_after"] == "eval"),
        ),
        Mistake(
            "without_gradient", without_gradient,
            "The value is right, but no gradient reaches the model: `no_grad`, `detach` or `.item()` cuts it off, and "
            "nothing would be learned.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: _model_saw(t, "corrupted") and _target_is(t, "clean") and not t.seen["gradient"].any(),
            ),
        ),
    ),
    alternatives=(clean_copy_kept, with_the_target_detached),
)  # fmt: skip


# --- 1.5 extract_features -------------------------------------------------------------------------------------------


def _reference_features(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        features = torch.cat([encoder(batch) for batch in images.split(batch_size)])
    encoder.train(was_training)
    return features


@torch.no_grad()
def index_by_index(encoder, images, batch_size):
    modes = {module: module.training for module in encoder.modules()}
    encoder.eval()
    collected = []
    for start in range(0, images.shape[0], batch_size):
        collected.append(encoder(images[start : start + batch_size]))
    for module, mode in modes.items():
        module.training = mode
    return torch.concat(collected, dim=0)


def into_one_tensor(encoder, images, batch_size):
    mode = encoder.training
    try:
        encoder.train(False)
        with torch.inference_mode():
            parts = [encoder(part) for part in torch.split(images, batch_size)]
        return torch.vstack(parts)
    finally:
        encoder.train(mode)


def in_train_mode(encoder, images, batch_size):
    with torch.no_grad():
        return torch.cat([encoder(batch) for batch in images.split(batch_size)])


def with_gradients(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    features = torch.cat([encoder(batch) for batch in images.split(batch_size)])
    encoder.train(was_training)
    return features


def left_in_eval(encoder, images, batch_size):
    encoder.eval()
    with torch.no_grad():
        return torch.cat([encoder(batch) for batch in images.split(batch_size)])


def always_back_to_train(encoder, images, batch_size):
    encoder.eval()
    with torch.no_grad():
        features = torch.cat([encoder(batch) for batch in images.split(batch_size)])
    encoder.train()
    return features


def last_batch_dropped(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    features = []
    with torch.no_grad():
        for i in range(len(images) // batch_size):
            features.append(encoder(images[i * batch_size : (i + 1) * batch_size]))
    encoder.train(was_training)
    return torch.cat(features) if features else torch.empty(0)


def only_the_last_batch(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        for batch in images.split(batch_size):
            features = encoder(batch)
    encoder.train(was_training)
    return features


def all_at_once(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        features = encoder(images)
    encoder.train(was_training)
    return features


def in_another_order(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    order = torch.arange(len(images) - 1, -1, -1)
    with torch.no_grad():
        features = torch.cat([encoder(images[i]) for i in order.split(batch_size)])
    encoder.train(was_training)
    return features


def weights_frozen_for_good(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
    features = torch.cat([encoder(batch) for batch in images.split(batch_size)])
    encoder.train(was_training)
    return features


def stacked_batches(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        features = torch.stack([encoder(batch).mean(dim=0) for batch in images.split(batch_size)])
    encoder.train(was_training)
    return features


def gradients_off_everywhere(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    torch.set_grad_enabled(False)
    features = torch.cat([encoder(batch) for batch in images.split(batch_size)])
    encoder.train(was_training)
    return features


def _calls_in_train_mode(t: Trial) -> bool:
    return "train" in t.seen["modes"]


def _rows_in_order(trial: Trial) -> bool:
    return _is(trial.seen["features"], trial.expected["features"])


def _behaves_reordered(trials: Sequence[Trial]) -> bool:
    def reordered(t: Trial) -> bool:
        seen, expected = t.seen["features"], t.expected["features"]
        if seen.shape != expected.shape or len(seen) == 1:
            return len(seen) == 1
        nearest = torch.cdist(expected.double(), seen.double()).min(dim=1).values
        return bool((nearest < 1e-4).all()) and not _rows_in_order(t)

    return in_all(trials, reordered)


def batch_size_as_a_count(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        features = torch.cat([encoder(batch) for batch in images.chunk(batch_size)])
    encoder.train(was_training)
    return features


def only_the_first_batch(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        for batch in images.split(batch_size):
            features = encoder(batch)
            encoder.train(was_training)
            return features


def list_of_batches(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        features = [encoder(batch) for batch in images.split(batch_size)]
    encoder.train(was_training)
    return features


def restored_too_early(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    features = []
    with torch.no_grad():
        for batch in images.split(batch_size):
            features.append(encoder(batch))
            encoder.train(was_training)
    return torch.cat(features)


def joined_side_by_side(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        features = torch.cat([encoder(batch) for batch in images.split(batch_size)], dim=1)
    encoder.train(was_training)
    return features


def _behaves_count(trials: Sequence[Trial]) -> bool:
    def in_that_many(t: Trial) -> bool:
        chunks = t.case.inputs["images"].chunk(t.case.inputs["batch_size"])
        return t.seen["batch_sizes"] == [len(chunk) for chunk in chunks]

    return in_all(trials, in_that_many) and in_any(trials, lambda t: t.seen["batch_sizes"] != t.expected["batch_sizes"])


extract_features = Judge(
    reference=_reference_features,
    criteria=(
        Criterion(
            "values", 1, "one row an image, all of them, in order",
            lambda c, s, e: close(s["features"], e["features"]) and max(s["batch_sizes"]) <= c.inputs["batch_size"],
        ),
        Criterion(
            "eval_mode", 1, "the encoder works in eval mode: no dropout, and batch normalization learns nothing",
            lambda c, s, e: bool(s["modes"]) and set(s["modes"]) == {"eval"}
            and close(s["running_mean_after"], e["running_mean_after"]),
        ),
        Criterion(
            "no_gradient", 1, "no gradients are recorded, and the weights can still be trained afterwards",
            lambda c, s, e: s["features_require_grad"] == 0 and s["grad_mode_after"] == 1
            and s["weights_require_grad_after"] == e["weights_require_grad_after"]
            and s["gradients_after"] == e["gradients_after"],
        ),
        Criterion(
            "mode_restored", 1, "afterwards the encoder is in the mode that it was in",
            lambda c, s, e: s["mode_after"] == c.inputs["mode_before"] and bool(s["modes"]),
        ),
    ),
    mistakes=(
        Mistake(
            "list_of_batches", list_of_batches,
            "You give back a list of batches. Join them into one tensor with a row for each image.",
            behaves=lambda trials: in_all(trials, lambda t: isinstance(t.seen["features"], list)),
        ),
        Mistake(
            "restored_too_early", restored_too_early,
            "The first batch goes through in eval mode, the others do not: the mode is put back inside the loop. Put "
            "it back once, after the last batch.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.seen["modes"][:1] == ["eval"] and _calls_in_train_mode(t)
            ),
        ),
        Mistake(
            "in_train_mode", in_train_mode,
            "The encoder works in train mode: dropout blanks features at random, and batch normalization goes on "
            "learning from the images you only wanted to look at. Switch to eval mode first.",
            behaves=lambda trials: in_all(
                trials, lambda t: t.case.inputs["mode_before"] == "eval" or _calls_in_train_mode(t)
            ),
        ),
        Mistake(
            "only_the_first_batch", only_the_first_batch,
            "Only the first batch comes back, and the others never reach the encoder. Does the `return` stand inside "
            "the loop?",
            behaves=lambda trials: in_all(
                trials, lambda t: len(t.seen["batch_sizes"]) == 1 == t.seen["batch_sizes"][0] // len(t.seen["features"])
            ) and in_any(trials, lambda t: t.seen["batch_sizes"][0] < len(t.case.inputs["images"])),
        ),
        Mistake(
            "joined_side_by_side", joined_side_by_side,
            "The batches are joined side by side, so rows of different images run into one. Each image keeps a row of "
            "its own: join along the first dimension.",
            behaves=lambda trials: in_any(
                trials,
                lambda t: t.seen["features"].ndim == 2
                and t.seen["features"].shape[1] > t.case.inputs["feature_dim"],
            ),
        ),
        Mistake(
            "batch_size_as_a_count", batch_size_as_a_count,
            "You cut the images into `batch_size` parts, so the parts grow with the data set. `batch_size` says how "
            "many images go through at a time.",
            behaves=_behaves_count,
        ),
        Mistake(
            "last_batch_dropped", last_batch_dropped,
            "The last images are missing when the batch size does not divide their number. A smaller last batch "
            "counts too.",
            behaves=lambda trials: in_any(
                trials,
                lambda t: t.case.name == "ragged_last_batch"
                and _is(t.seen["features"], t.expected["features"][: len(t.seen["features"])])
                and len(t.seen["features"]) < len(t.expected["features"]),
            ),
        ),
        Mistake(
            "only_the_last_batch", only_the_last_batch,
            "Only the last batch comes back: each batch overwrites the one before. Collect them in a list, and join "
            "them.",
            behaves=lambda trials: in_any(
                trials,
                lambda t: len(t.seen["features"]) < len(t.expected["features"])
                and _is(t.seen["features"], t.expected["features"][-len(t.seen["features"]) :]),
            ),
        ),
        Mistake(
            "stacked_batches", stacked_batches,
            "There is one row a batch. Each image keeps a row of its own: join the batches with `torch.cat`, without "
            "a mean.",
            behaves=lambda trials: in_all(
                trials, lambda t: len(t.seen["features"]) == len(t.seen["batch_sizes"])
            ) and in_any(trials, lambda t: len(t.seen["features"]) < len(t.expected["features"])),
        ),
        Mistake(
            "in_another_order", in_another_order,
            "The rows are right but in another order, so image i no longer has row i, and labels will not match.",
            behaves=_behaves_reordered,
        ),
        Mistake(
            "all_at_once", all_at_once,
            "All images go through at once, which a large set will not fit into memory for. Take `batch_size` at a "
            "time.",
            behaves=lambda trials: in_any(trials, lambda t: max(t.seen["batch_sizes"]) > t.case.inputs["batch_size"]),
        ),
        Mistake(
            "weights_frozen_for_good", weights_frozen_for_good,
            "You switch `requires_grad` of the weights off, and it stays off: the encoder can never be fine-tuned "
            "again. Reading features needs `torch.no_grad()` only.",
            behaves=lambda trials: in_any(trials, lambda t: 0 in t.seen["weights_require_grad_after"]),
        ),
        Mistake(
            "gradients_off_everywhere", gradients_off_everywhere,
            "Gradients stay switched off after your function, for everything that follows. Use `with "
            "torch.no_grad():`, which ends by itself.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen["grad_mode_after"] == 0),
        ),
        Mistake(
            "with_gradients", with_gradients,
            "The features drag the whole encoder's graph along, so memory fills up and a head trained on them would "
            "train the encoder too. Compute them under `torch.no_grad()`.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen["features_require_grad"] == 1),
        ),
        Mistake(
            "left_in_eval", left_in_eval,
            "Afterwards the encoder is still in eval mode, and training that goes on would go on wrongly. Put back "
            "the mode that you found.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["mode_before"] == "train" and t.seen["mode_after"] == "eval"
            ),
        ),
        Mistake(
            "always_back_to_train", always_back_to_train,
            "An encoder that came in eval mode leaves in train mode. Remember `encoder.training` before you change it.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["mode_before"] == "eval" and t.seen["mode_after"] == "train"
            ),
        ),
    ),
    alternatives=(index_by_index, into_one_tensor),
)  # fmt: skip


# --- 1.6 anomaly_score ----------------------------------------------------------------------------------------------


def _reference_score(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        x_hat = model(images)
    model.train(was_training)
    return ((x_hat - images) ** 2).flatten(1).sum(dim=1)


@torch.no_grad()
def image_by_image(model, images):
    mode = model.training
    model.eval()
    scores = [F.mse_loss(model(image[None])[0], image, reduction="sum") for image in images]
    model.train(mode)
    return torch.stack(scores)


def elementwise_loss(model, images):
    mode = model.training
    with torch.no_grad():
        errors = F.mse_loss(model.eval()(images), images, reduction="none")
    model.train(mode)
    return errors.sum(dim=(1, 2, 3))


def one_score_for_the_batch(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        loss = ((model(images) - images) ** 2).flatten(1).sum(dim=1).mean()
    model.train(was_training)
    return loss


def map_of_pixels(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        errors = (model(images) - images) ** 2
    model.train(was_training)
    return errors


def mean_over_pixels(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        errors = ((model(images) - images) ** 2).flatten(1).mean(dim=1)
    model.train(was_training)
    return errors


def channels_apart(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        errors = ((model(images) - images) ** 2).sum(dim=(2, 3))
    model.train(was_training)
    return errors.mean(dim=1)


def upside_down(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        errors = ((model(images) - images) ** 2).flatten(1).sum(dim=1)
    model.train(was_training)
    return -errors


def cancelling_errors(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        errors = (model(images) - images).flatten(1).sum(dim=1).abs()
    model.train(was_training)
    return errors


def absolute_errors(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        errors = (model(images) - images).abs().flatten(1).sum(dim=1)
    model.train(was_training)
    return errors


def relative_to_the_batch(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        errors = ((model(images) - images) ** 2).flatten(1).sum(dim=1)
    model.train(was_training)
    return (errors - errors.mean()) / (errors.std(unbiased=False) + 1e-8)


def scored_in_train_mode(model, images):
    with torch.no_grad():
        return ((model(images) - images) ** 2).flatten(1).sum(dim=1)


def scored_with_gradients(model, images):
    was_training = model.training
    model.eval()
    scores = ((model(images) - images) ** 2).flatten(1).sum(dim=1)
    model.train(was_training)
    return scores


def model_left_in_eval(model, images):
    model.eval()
    with torch.no_grad():
        return ((model(images) - images) ** 2).flatten(1).sum(dim=1)


def model_always_to_train(model, images):
    model.eval()
    with torch.no_grad():
        scores = ((model(images) - images) ** 2).flatten(1).sum(dim=1)
    model.train()
    return scores


def plain_numbers(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        scores = ((model(images) - images) ** 2).flatten(1).sum(dim=1)
    model.train(was_training)
    return scores.tolist()


def _one_an_image(case: Case, seen: Values, expected: Values) -> bool:
    scores, wanted = seen["scores"], expected["scores"]
    if scores.shape != wanted.shape or not scores.isfinite().all():
        return False
    # the same ranking: a score may be on another scale
    return torch.equal(scores.double().argsort(), wanted.double().argsort())


def _score_ratio(trials: Sequence[Trial], ratio) -> bool:
    return in_all(
        trials,
        lambda t: (
            isinstance(t.seen["scores"], Tensor)
            and close(t.seen["scores"].double(), t.expected["scores"].double() * ratio(t.case.inputs["images"]))
        ),
    )


def _behaves_relative(trials: Sequence[Trial]) -> bool:
    def centered(t: Trial) -> bool:
        scores = t.seen["scores"].double()
        in_company = abs(float(scores.mean())) < 1e-3 * (float(scores.abs().max()) + 1e-3)
        parts_of_a_whole = any(abs(float(value) - 1) < 1e-5 for value in (scores.max(), scores.mean(), scores.sum()))
        return scores.shape == t.expected["scores"].shape and (in_company or parts_of_a_whole)

    return in_all([t for t in trials if len(t.case.inputs["images"]) > 1], centered)


def column_of_scores(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        errors = ((model(images) - images) ** 2).flatten(1).sum(dim=1, keepdim=True)
    model.train(was_training)
    return errors


def root_of_the_error(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        errors = (model(images) - images).flatten(1).norm(dim=1)
    model.train(was_training)
    return errors


def worst_pixel(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        errors = ((model(images) - images) ** 2).flatten(1).max(dim=1).values
    model.train(was_training)
    return errors


def one_number_a_pixel(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        errors = ((model(images) - images) ** 2).flatten(1).sum(dim=0)
    model.train(was_training)
    return errors


def model_frozen_for_good(model, images):
    was_training = model.training
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad = False
    errors = ((model(images) - images) ** 2).flatten(1).sum(dim=1)
    model.train(was_training)
    return errors


anomaly_score = Judge(
    reference=_reference_score,
    criteria=(
        Criterion("per_image", 1, "one score an image, the stranger the higher", _one_an_image),
        Criterion(
            "value", 1, "the score is the squared error, summed over the image's pixels",
            lambda c, s, e: close(s["scores"], e["scores"]),
        ),
        Criterion(
            "at_rest", 1, "the model works in eval mode and without gradients",
            lambda c, s, e: s["modes"] == ["eval"] and s["scores_require_grad"] == 0 and s["grad_mode_after"] == 1
            and s["weights_require_grad_after"] == e["weights_require_grad_after"]
            and close(s["running_mean_after"], e["running_mean_after"]),
        ),
        Criterion(
            "mode_restored", 1, "afterwards the model is in the mode that it was in",
            lambda c, s, e: s["mode_after"] == c.inputs["mode_before"] and bool(s["modes"]),
        ),
    ),
    mistakes=(
        Mistake(
            "plain_numbers", plain_numbers,
            "You give back a list. Return the tensor `(N,)`, so that scores can be sorted and compared with others.",
            behaves=lambda trials: in_any(trials, lambda t: isinstance(t.seen["scores"], list)),
        ),
        Mistake(
            "column_of_scores", column_of_scores,
            "The numbers stand in a column `(N, 1)`. Subtract `(N,)` from that and PyTorch makes a square of it: drop "
            "the last dimension.",
            behaves=lambda trials: in_all(
                trials, lambda t: tuple(t.seen["scores"].shape) == (len(t.case.inputs["images"]), 1)
            ),
        ),
        Mistake(
            "one_score_for_the_batch", one_score_for_the_batch,
            "You give back one number for the whole batch, so no image can be told from another. Leave out the mean "
            "over images.",
            behaves=lambda trials: in_any(
                trials,
                lambda t: isinstance(t.seen["scores"], float)
                or (
                    isinstance(t.seen["scores"], Tensor)
                    and t.seen["scores"].numel() == 1
                    and len(t.case.inputs["images"]) > 1
                ),
            ),
        ),
        Mistake(
            "one_number_a_pixel", one_number_a_pixel,
            "You sum over the images, so one number for each pixel is left. It is the other way round: sum over an "
            "image's pixels, and keep the images apart.",
            behaves=lambda trials: in_all(
                trials, lambda t: tuple(t.seen["scores"].shape[-1:]) == (t.case.inputs["images"][0].numel(),)
            ),
        ),
        Mistake(
            "map_of_pixels", map_of_pixels,
            "You give back several numbers for each image, such as one for every pixel or channel. Sum within the "
            "image until one number is left.",
            behaves=lambda trials: in_any(
                trials, lambda t: isinstance(t.seen["scores"], Tensor) and t.seen["scores"].ndim > 1
            ),
        ),
        Mistake(
            "scored_in_train_mode", scored_in_train_mode,
            "The model works in train mode: an image's score then depends on chance and on the rest of its batch, and "
            "batch normalization learns from the anomalies. Switch to eval mode.",
            behaves=lambda trials: in_all(
                trials, lambda t: t.case.inputs["mode_before"] == "eval" or _calls_in_train_mode(t)
            ),
        ),
        Mistake(
            "upside_down", upside_down,
            "Your score is highest for the images that are reconstructed best. Turn the sign round: strange is high.",
            behaves=lambda trials: in_all(
                [t for t in trials if len(t.case.inputs["images"]) > 2],
                lambda t: torch.equal(t.seen["scores"].double().argsort(), (-t.expected["scores"].double()).argsort()),
            ),
        ),
        Mistake(
            "mean_over_pixels", mean_over_pixels,
            "You average over pixels. That ranks images of one size just as well, but the score asked for is the sum, "
            "in the same unit as your loss.",
            behaves=lambda trials: _score_ratio(trials, lambda x: 1 / x[0].numel()),
        ),
        Mistake(
            "channels_apart", channels_apart,
            "You average over channels. All channels belong to the image: sum over them too.",
        ),
        Mistake(
            "cancelling_errors", cancelling_errors,
            "Errors of opposite sign cancel, so a strange image can score 0. Square every pixel's error before you "
            "sum.",
        ),
        Mistake(
            "absolute_errors", absolute_errors,
            "You add up absolute errors. The squared error is asked for, as in your loss.",
        ),
        Mistake(
            "root_of_the_error", root_of_the_error,
            "You take a square root at the end. The ranking is the same, but the score asked for is the squared error, "
            "in the same unit as your loss.",
        ),
        Mistake(
            "worst_pixel", worst_pixel,
            "Only the worst pixel of an image counts in your score. Every pixel's error belongs to it: sum them.",
        ),
        Mistake(
            "relative_to_the_batch", relative_to_the_batch,
            "You compare each image with the rest of its batch, so the same image gets another score in other "
            "company. An image's score must depend on that image alone.",
            behaves=_behaves_relative,
        ),
        Mistake(
            "model_frozen_for_good", model_frozen_for_good,
            "You switch `requires_grad` of the weights off, and it stays off: the model can never be trained again. A "
            "measurement needs `torch.no_grad()` only.",
            behaves=lambda trials: in_any(trials, lambda t: 0 in t.seen["weights_require_grad_after"]),
        ),
        Mistake(
            "scored_with_gradients", scored_with_gradients,
            "The scores carry the model's graph along, which costs memory for nothing. Compute them under "
            "`torch.no_grad()`.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen["scores_require_grad"] == 1),
        ),
        Mistake(
            "model_left_in_eval", model_left_in_eval,
            "Afterwards the model is still in eval mode, and training that goes on would go on wrongly. Put back the "
            "mode that you found.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["mode_before"] == "train" and t.seen["mode_after"] == "eval"
            ),
        ),
        Mistake(
            "model_always_to_train", model_always_to_train,
            "A model that came in eval mode leaves in train mode. Remember `model.training` before you change it.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["mode_before"] == "eval" and t.seen["mode_after"] == "train"
            ),
        ),
    ),
    alternatives=(image_by_image, elementwise_loss),
)  # fmt: skip

JUDGES = {
    "Autoencoder": Autoencoder,
    "reconstruction_loss": reconstruction_loss,
    "corrupt": corrupt,
    "denoising_loss": denoising_loss,
    "extract_features": extract_features,
    "anomaly_score": anomaly_score,
}
