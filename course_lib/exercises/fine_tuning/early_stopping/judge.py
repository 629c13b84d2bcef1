"""`EarlyStopping`: reference and criteria."""

from __future__ import annotations

import copy

from course_lib.exercises.asking import as_expected
from course_lib.exercises.contract import Criterion, Judge


class reference:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta, self.sign = patience, min_delta, 1 if mode == "max" else -1
        self.best, self.state, self.waited = None, None, 0

    def update(self, value, model):
        self.waited += 1
        if self.best is None or self.sign * (value - self.best) > self.min_delta:
            self.best, self.state, self.waited = value, copy.deepcopy(model.state_dict()), 0
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.state)


_ACCURACIES = (
    "rises_and_falls", "recovers_in_time", "patience_of_one", "plateau", "recovers_below_the_best", "never_stops",
    "below_zero", "best_at_zero",
)  # fmt: skip
_WEIGHTS = ("weights_restored", "norm_weights_restored")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "stops_in_time",
            1,
            "it stops after `patience` validations in a row without a new best, and not before",
            as_expected("validations", "types_returned"),
            _ACCURACIES,
        ),
        Criterion(
            "best_weights",
            1,
            "`restore` puts the weights of the best validation back, each time, copied when they were best",
            as_expected(*_WEIGHTS, "weights_given_to_another"),
            (*_ACCURACIES, "infinite_from_the_first"),
        ),
        Criterion(
            "buffers",
            1,
            "`restore` puts the running statistics of the best validation back, too",
            as_expected("statistics_restored", "batches_counted_restored"),
            _ACCURACIES,
        ),
        Criterion(
            "min_delta",
            1,
            "a gain counts when it is larger than `min_delta`, measured from the best",
            as_expected("validations", *_WEIGHTS),
            ("small_gains", "small_gains_are_none", "small_losses", "a_gain_of_min_delta"),
        ),
        Criterion(
            "a_loss",
            1,
            "with `mode='min'` lower is better",
            as_expected("validations", *_WEIGHTS),
            ("a_loss", "a_loss_with_min_delta"),
        ),
    ),
)
