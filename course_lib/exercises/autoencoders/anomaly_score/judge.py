"""`anomaly_score`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any


def reference(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        x_hat = model(images)
    model.train(was_training)
    return ((x_hat - images) ** 2).flatten(1).sum(dim=1)


def _one_an_image(case: Case, seen: Values, expected: Values) -> bool:
    scores, wanted = seen["scores"], expected["scores"]
    if scores.shape != wanted.shape or not scores.isfinite().all():
        return False
    # the same ranking: a score may be on another scale
    return torch.equal(scores.double().argsort(), wanted.double().argsort())


def _behaves_relative(trials: Sequence[Trial]) -> bool:
    def centered(t: Trial) -> bool:
        scores = t.seen["scores"].double()
        in_company = abs(float(scores.mean())) < 1e-3 * (float(scores.abs().max()) + 1e-3)
        parts_of_a_whole = any(abs(float(value) - 1) < 1e-5 for value in (scores.max(), scores.mean(), scores.sum()))
        return scores.shape == t.expected["scores"].shape and (in_company or parts_of_a_whole)

    return in_all([t for t in trials if len(t.case.inputs["images"]) > 1], centered)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("per_image", 1, "one score an image, the stranger the higher", _one_an_image),
        Criterion(
            "value",
            1,
            "the score is the squared error, summed over the image's pixels",
            lambda c, s, e: close(s["scores"], e["scores"]),
        ),
        Criterion(
            "at_rest",
            1,
            "the model works in eval mode and without gradients",
            lambda c, s, e: (
                s["modes"] == ["eval"]
                and s["scores_require_grad"] == 0
                and s["grad_mode_after"] == 1
                and s["weights_require_grad_after"] == e["weights_require_grad_after"]
                and close(s["running_mean_after"], e["running_mean_after"])
            ),
        ),
        Criterion(
            "mode_restored",
            1,
            "afterwards the model is in the mode that it was in",
            lambda c, s, e: s["mode_after"] == c.inputs["mode_before"] and bool(s["modes"]),
        ),
    ),
    predicates={
        "one_score_for_the_batch": lambda trials: in_any(
            trials,
            lambda t: (
                isinstance(t.seen["scores"], float)
                or (
                    isinstance(t.seen["scores"], Tensor)
                    and t.seen["scores"].numel() == 1
                    and len(t.case.inputs["images"]) > 1
                )
            ),
        ),
        "map_of_pixels": lambda trials: in_any(
            trials, lambda t: isinstance(t.seen["scores"], Tensor) and t.seen["scores"].ndim > 1
        ),
        "upside_down": lambda trials: in_all(
            [t for t in trials if len(t.case.inputs["images"]) > 2],
            lambda t: torch.equal(t.seen["scores"].double().argsort(), (-t.expected["scores"].double()).argsort()),
        ),
        "relative_to_the_batch": _behaves_relative,
    },
)
