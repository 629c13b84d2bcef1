"""`ConvAutoencoder`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from course_lib.exercises.asking import everywhere, failed_with, inputs_kept, named, ran, somewhere
from course_lib.exercises.autoencoders.autoencoder.judge import in_range, is_cut_off, is_outside
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.models import ConvDecoder, ConvEncoder

ENOUGH = 0.8  # of the error of the mean picture, as the statement says


class reference(nn.Module):
    """The library's own halves: the last block of the encoder is averaged over a grid of 2 by 2 cells."""

    def __init__(self, image_shape, feature_dim):
        super().__init__()
        self.encoder = ConvEncoder(image_shape[0], (16, 32, feature_dim // 4), grid=2)
        self.decoder = ConvDecoder(feature_dim, image_shape, output="sigmoid")

    def forward(self, images):
        return self.decoder(self.encoder(images))


def _shaped(case: Case, seen: Values, expected: Values) -> bool:
    alone = seen["features"].shape == expected["features"].shape and close(seen["of_the_copy"], seen["features"])
    return alone and seen["x_hat"].shape == case.inputs["images"].shape


def _through_the_features(case: Case, seen: Values, expected: Values) -> bool:
    features, x_hat = seen["features"], seen["x_hat"]
    follows_image = len(features) == 1 or all(bool(v.double().std(dim=0).max() > 0) for v in (features, x_hat))
    narrow = features[0].numel() == case.inputs["feature_dim"]
    return follows_image and narrow and close(x_hat, seen["decoded"]) and inputs_kept(case, seen, "images")


def _gradients(case: Case, seen: Values, expected: Values) -> bool:
    sums, through = seen.get("gradient_sums", [1.0]), seen.get("image_gradient")
    reached = all(0 <= g < math.inf for g in sums) and max(sums, default=0) > 0
    flows = through is None or bool(through.any())
    return reached and flows and not seen["made_late"] and inputs_kept(case, seen, "images")


def _learns(case: Case, seen: Values, expected: Values) -> bool:
    images = case.inputs["images"]
    of_the_mean = (images - images.mean(dim=0)).pow(2).flatten(1).sum(dim=1).mean()
    return bool(seen["errors"][-1] < ENOUGH * of_the_mean) and inputs_kept(case, seen, "images")


def _convolves(case: Case, seen: Values, expected: Values) -> bool:
    return bool(min(seen["kernels"]) > 0)


def _other_length(trials: Sequence[Trial]) -> bool | Values:
    lengths = [(t.seen["features"].shape[1], t.case.inputs["feature_dim"]) for t in ran(trials)]
    return next(({"given": given, "expected": wanted} for given, wanted in lengths if given != wanted), False)


def _without_gradient(t: Trial) -> bool:
    return -1.0 in t.seen.get("gradient_sums", ())


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("shapes", 1, "`encoder` gives `(N, feature_dim)`, and `x_hat` is an image", _shaped, form=True),
        Criterion("range", 1, "pixels of `x_hat` lie in [0, 1], squashed smoothly", in_range, form=True),
        Criterion("code", 1, "`forward` is `decoder(encoder(images))` and nothing else", _through_the_features),
        Criterion("convolutions", 1, "both modules have convolutions", _convolves, form=True),
        Criterion("gradients", 1, "every weight is made in `__init__`, and a gradient reaches it", _gradients),
        Criterion("learns", 1, "80 steps bring the error below 0.8 of the mean picture's", _learns, ("learning",)),
    ),
    predicates={
        "methods_instead_of_modules": lambda trials: any(
            failed_with(trials, "AttributeError", f"has no attribute '{half}'") for half in ("encoder", "decoder")
        ),
        "plain_list": lambda trials: failed_with(trials, "'list' object is not callable"),
        "encoder_rebuilds": everywhere(lambda t: t.seen["features"].shape == t.case.inputs["images"].shape),
        "map_of_features": everywhere(lambda t: t.seen["features"].ndim > 2),
        "feature_dim_ignored": _other_length,
        "hard_coded_size": lambda trials: bool(named(trials, "gray")) and not named(trials, "color_wide"),
        "another_size": somewhere(
            lambda t: t.seen["x_hat"].ndim == 4 and t.seen["x_hat"].shape != t.case.inputs["images"].shape
        ),
        "no_convolutions": somewhere(lambda t: 0 in t.seen["kernels"]),
        "features_cut_off": somewhere(lambda t: _without_gradient(t) and not t.seen["image_gradient"].any()),
        "unused_weights": somewhere(lambda t: _without_gradient(t) and bool(t.seen["image_gradient"].any())),
        "squashed_outside": everywhere(lambda t: close(t.seen["x_hat"], t.seen["decoded"].sigmoid())),
        "skips_the_features": somewhere(
            lambda t: t.seen["x_hat"].shape == t.seen["decoded"].shape and not close(t.seen["x_hat"], t.seen["decoded"])
        ),
        "clamped": somewhere(
            lambda t: (is_cut_off(t.seen) or t.seen["x_hat_of_large_weights"].min() >= 0.5) and not is_outside(t.seen)
        ),
        "made_late": somewhere(lambda t: t.seen["made_late"] > 0),
        "without_sigmoid": somewhere(lambda t: is_outside(t.seen)),
        "does_not_learn": somewhere(lambda t: not _learns(*t[:3]), "learning"),
    },
    exact=False,
)
