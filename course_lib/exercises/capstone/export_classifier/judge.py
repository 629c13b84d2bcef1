"""`export_classifier`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.exercises.asking import as_expected, changed, everywhere, in_all, of_this_case, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close


def reference(model, images, *, temperature=1.0, export):
    class FromBytes(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return F.softmax(super().forward(x.to(torch.float32).mul(1 / 255)) * (1 / temperature), dim=-1)

    module = FromBytes(copy.deepcopy(model)).train(False)
    return export(module, args=(images,), dynamic_shapes=[{0: torch.export.Dim.AUTO}])


def _no_neighbors(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["together"], Tensor) and close(seen["together"], seen["alone"])


def _left_alone(case: Case, seen: Values, expected: Values) -> bool:
    same_modes = seen["modes_before"] == seen["modes_after"]
    return same_modes and not changed(seen["state_before"], seen["state_after"])


def _refused(trial: Trial) -> bool:
    return isinstance(trial.seen["alone"], str) and "size()" in trial.seen["alone"]


def _probabilities(trial: Trial) -> Tensor | None:
    """What was returned for the batch, if its shape is that of the right answer."""
    seen = trial.seen["together"]
    return seen.double() if isinstance(seen, Tensor) and seen.shape == trial.expected["together"].shape else None


def _is_log(trial: Trial) -> bool:
    seen = _probabilities(trial)
    return seen is not None and close(seen.exp(), trial.expected["together"])


def _are_logits(trial: Trial) -> bool:
    seen = _probabilities(trial)
    return (
        seen is not None
        and not close(seen, trial.expected["together"])
        and (close(seen.softmax(dim=1), trial.expected["together"]) and not _is_log(trial))
    )


judge = Judge(
    reference=reference,
    criteria=of_this_case("state_before",
        Criterion("probabilities", 2, "a batch of uint8 images gives softmax(logits / T) of the images divided by 255, "
                  "in eval mode", as_expected("together")),
        Criterion("any_batch", 2, "batches of other sizes than the example's are admitted, one image too",
                  as_expected("alone")),
        Criterion("neighbors", 1, "the answer for an image does not depend on the images beside it", _no_neighbors,
                  form=True),
        Criterion("example", 1, "the example is uint8, so that the program takes the bytes of a picture",
                  as_expected("example", "modes"), form=True),
        Criterion("model", 1, "the model that was given keeps its weights, running statistics and modes", _left_alone,
                  form=True),
        Criterion("returned", 1, "`export` is called once, and what it returns is returned",
                  as_expected("returned", "exports")),
    ),
    predicates={
        "batch_fixed": lambda trials: in_all(trials, lambda t: _refused(t) and t.seen["dynamic"] == []),
        "train_mode": everywhere(lambda t: "train" in t.seen["modes"], "plain", "color"),
        "float_example": everywhere(lambda t: t.seen["example"] not in ("torch.uint8", "nothing exported")),
        "log_softmax": everywhere(_is_log),
        "no_softmax": everywhere(_are_logits),
        "program_unpacked": everywhere(
            lambda t: t.seen["exports"] == 1 and t.seen["returned"] != "the exported program"
            and close(t.seen["together"], t.expected["together"])
        ),
        "statistics_moved": somewhere(
            lambda t: bool(changed(t.seen["state_before"], t.seen["state_after"]))
        ),
        "original_in_eval_mode": lambda trials: (
            somewhere(lambda t: t.seen["modes_before"] != t.seen["modes_after"])(trials)
            and in_all(trials, lambda t: "train" not in t.seen["modes_after"])
        ),
    },
)  # fmt: skip
