"""`Autoencoder`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import nn

from course_lib.exercises.asking import everywhere, failed_with, inputs_kept, named, ran, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close


class reference(nn.Module):
    """Its encoder and decoder are modules that are called as methods would be."""

    def __init__(self, image_shape, code_dim):
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encode = nn.Sequential(nn.Flatten(), *layers(num_pixels, 256, 128, code_dim))
        self.decode = nn.Sequential(*layers(code_dim, 128, 256, num_pixels), nn.Sigmoid(), nn.Unflatten(1, image_shape))

    def forward(self, images):
        return self.decode(self.encode(images))


def layers(*sizes: int) -> Sequence[nn.Module]:
    """Linear layers from size to size, with a ReLU between two of them."""
    return [layer for a, b in itertools.pairwise(sizes) for layer in (nn.ReLU(), nn.Linear(a, b))][1:]


def shaped(case: Case, seen: Values, expected: Values) -> bool:
    return seen["x_hat"].shape == case.inputs["images"].shape and seen["codes"].shape == expected["codes"].shape


def in_range(case: Case, seen: Values, expected: Values) -> bool:
    low, high = seen["x_hat_of_large_weights"].aminmax()
    sums = seen["x_hat"].double().flatten(1).sum(dim=1)
    competing = close(sums, torch.ones_like(sums), rtol=1e-3)  # as after a softmax over the pixels
    return bool(low < 0.5 < high) and not (competing or is_outside(seen) or is_cut_off(seen) or has_corners(seen))


def is_outside(seen: Values) -> bool:
    return bool(seen["x_hat_of_large_weights"].min() < 0 or seen["x_hat_of_large_weights"].max() > 1)


def is_cut_off(seen: Values) -> bool:
    return bool((seen["x_hat"] == 0).double().mean() > 0.05)


def has_corners(seen: Values) -> bool:
    """Whether pixels are exactly 0 or 1 at codes twice as far away as where none was near: no smooth function does."""
    low, high = seen.get("extremes", torch.full((2, 2, 1), 0.5)).unbind(dim=1)  # (17, N) each
    jumps = ((low > 0.005) & (high < 0.995))[:-1] & ((low == 0) | (high == 1))[1:]
    return bool(jumps.any(dim=0).double().mean() > 0.5)


def passes_the_code(case: Case, seen: Values, expected: Values) -> bool:
    codes, x_hat = seen["codes"], seen["x_hat"]
    follows_image = len(codes) == 1 or all(bool(v.double().std(dim=0).max() > 0) for v in (codes, x_hat))
    through = follows_image and close(x_hat, seen["decoded"]) and inputs_kept(case, seen, "images")
    return through and codes.shape == expected["codes"].shape


def learns(case: Case, seen: Values, expected: Values) -> bool:
    images = case.inputs["images"]
    if len(images) == 1:  # too few for batch normalization in train mode
        return True
    gradients, through = seen["gradient_sums"], seen["image_gradient"]
    reached = all(0 <= g < math.inf for g in gradients) and max(gradients, default=0) > 0
    flows = through.shape == images.shape and bool(through.any())  # a rounded code has no gradient
    errors = [float((x_hat - images).pow(2).mean()) for x_hat in seen.get("outputs", [])]
    return reached and flows and not seen["made_late"] and (not errors or errors[1] < 0.995 * errors[0])


def wide_code(trials: Sequence[Trial]) -> bool | Values:
    shapes = [(tuple(t.seen["codes"].shape), tuple(t.expected["codes"].shape)) for t in ran(trials)]
    return next(({"given": given, "expected": expected} for given, expected in shapes if given != expected), False)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("shapes", 1, "codes are `(N, code_dim)`, and `x_hat` has the shape of the images", shaped, form=True),
        Criterion("range", 1, "pixels of `x_hat` lie in [0, 1], squashed smoothly", in_range, form=True),
        Criterion("bottleneck", 1, "`forward` is `decode(encode(images))` and nothing else", passes_the_code),
        Criterion("learns", 1, "gradients reach every weight, and a few training steps lower the error", learns),
    ),
    predicates={
        "wide_code": wide_code,
        "hard_coded_size": lambda trials: bool(named(trials, "gray")) and not named(trials, "color_wide"),
        "view_of_strides": lambda trials: failed_with(trials, "view size is not compatible"),
        "plain_list": somewhere(lambda t: t.seen.get("gradient_sums") == []),
        "detached_code": somewhere(
            lambda t: -1.0 in t.seen.get("gradient_sums", ()) and not t.seen["image_gradient"].any()
        ),
        "squashed_outside": everywhere(lambda t: close(t.seen["x_hat"], t.seen["decoded"].sigmoid())),
        "skips_the_code": somewhere(
            lambda t: t.seen["x_hat"].shape == t.seen["decoded"].shape and not close(t.seen["x_hat"], t.seen["decoded"])
        ),
        "clamped": somewhere(lambda t: is_cut_off(t.seen) and not is_outside(t.seen)),
        "made_late": somewhere(lambda t: t.seen["made_late"] > 0),
        "without_sigmoid": somewhere(lambda t: is_outside(t.seen)),
    },
    exact=False,
)
