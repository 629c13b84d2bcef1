"""`Autoencoder`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_any, ran


class reference(nn.Module):
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


def _behaves_wide_code(trials: Sequence[Trial]) -> bool | Values:
    for t in ran(trials):
        wanted = (len(t.case.inputs["images"]), t.case.inputs["code_dim"])
        if isinstance(t.seen["codes"], Tensor) and tuple(t.seen["codes"].shape) != wanted:
            return {"given": tuple(t.seen["codes"].shape), "expected": wanted}
    return False


def _behaves_unsquashed(trials: Sequence[Trial]) -> bool:
    def outside(t: Trial) -> bool:
        values = t.seen["x_hat_of_large_weights"]
        return bool(((values < 0) | (values > 1)).any())

    return in_any(trials, outside)


def _behaves_clamped(trials: Sequence[Trial]) -> bool:
    return not _behaves_unsquashed(trials) and in_any(trials, lambda t: _cut_off(t.seen["x_hat"]))


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("shapes", 1, "codes are `(N, code_dim)`, and `x_hat` has the shape of the images", _shapes_right),
        Criterion("range", 1, "pixels of `x_hat` lie in [0, 1], squashed smoothly", _in_range),
        Criterion("bottleneck", 1, "`forward` is `decode(encode(images))` and nothing else", _through_the_code),
        Criterion(
            "learns",
            1,
            "gradients reach every weight, and a few training steps lower the error",
            _learns,
            ("gray", "color_wide", "learning"),
        ),
    ),
    predicates={
        "wide_code": _behaves_wide_code,
        "hard_coded_size": lambda trials: (
            not _behaves_view(trials) and not _behaves_plain_list(trials) and _behaves_hard_coded(trials)
        ),
        "plain_list": _behaves_plain_list,
        "detached_code": _behaves_detached,
        "skips_the_code": _behaves_skip,
        "clamped": _behaves_clamped,
        "without_sigmoid": _behaves_unsquashed,
    },
    exact=False,
)
