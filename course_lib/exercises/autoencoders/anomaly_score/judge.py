"""`anomaly_score`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.asking import all_of, as_expected, everywhere, somewhere
from course_lib.exercises.autoencoders.judge import mode_restored
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close

SEVERAL = ("plain", "already_in_eval_mode", "color", "as_many_images_as_channels", "transposed", "mixed", "float64")


def reference(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        x_hat = model(images)
    model.train(was_training)
    return ((x_hat - images) ** 2).flatten(1).sum(dim=1)


def ranks_images(case: Case, seen: Values, expected: Values) -> bool:
    """Whether the ranking is right: a score may be on another scale."""
    scores, wanted = seen["scores"], expected["scores"]
    one_each = scores.shape == wanted.shape and bool(scores.isfinite().all())
    return one_each and torch.equal(scores.argsort(), wanted.argsort())


def is_relative(t: Trial) -> bool:
    """Whether the scores of a batch have mean 0 or 1, sum 1 or maximum 1, so that each depends on the others."""
    scores = t.seen["scores"].double()
    centered = bool(scores.mean().abs() < 1e-3 * scores.abs().max())
    fixed = any(close(float(value), 1.0) for value in (scores.mean(), scores.sum(), scores.max()))
    return scores.shape == t.expected["scores"].shape and (centered or fixed)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("per_image", 1, "one score per image, the stranger the higher", ranks_images),
        Criterion("value", 1, "the score is the squared error, summed over the image's pixels", as_expected("scores")),
        Criterion(
            "at_rest",
            1,
            "the model works in eval mode and without gradients, and afterwards it is as it was",
            all_of(
                as_expected("modes", "scores_require_grad", "gradients_during", "grad_mode_after"),
                as_expected("weights_require_grad_after", "running_mean_after"),
                mode_restored,
            ),
        ),
    ),
    predicates={
        "scored_in_train_mode": everywhere(lambda t: "train" in t.seen["modes"], "plain", "color"),
        "one_score_for_the_batch": somewhere(
            lambda t: type(t.seen["scores"]) is float or t.seen["scores"].numel() == 1, *SEVERAL
        ),
        "map_of_pixels": somewhere(lambda t: t.seen["scores"].ndim > 1),
        "upside_down": everywhere(
            lambda t: torch.equal(t.seen["scores"].argsort(), (-t.expected["scores"]).argsort()), *SEVERAL
        ),
        "relative_to_the_batch": everywhere(is_relative, *SEVERAL),
    },
)
