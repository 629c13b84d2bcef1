"""`EarlyStopping`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.contract import Case, Criterion, Judge, Values, close


class reference:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        value = self.sign * value
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value, self.waited = value, 0
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


_OF_ACCURACY = (
    "rises_and_falls", "recovers_in_time", "patience_of_one", "plateau", "recovers_below_the_best", "never_stops",
    "below_zero", "best_at_zero",
)  # fmt: skip


_WITH_DELTA = ("small_gains", "small_gains_are_none", "small_losses")
_OF_LOSS = ("a_loss", "a_loss_with_min_delta")
_RESTORED = ("weights_restored", "norm_weights_restored", "statistics_restored", "batches_counted_restored")


def _in_time(case: Case, seen: Values, expected: Values) -> bool:
    return seen["validations"] == expected["validations"]


def _best_back(case: Case, seen: Values, expected: Values) -> bool:
    return all(close(seen[key], expected[key]) for key in _RESTORED[:2])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "stops_in_time",
            1,
            "it stops after `patience` validations in a row without a new best, and not before",
            _in_time,
            _OF_ACCURACY,
        ),
        Criterion(
            "best_weights",
            1,
            "`restore` puts the weights of the best validation back, copied when they were best",
            _best_back,
            _OF_ACCURACY,
        ),
        Criterion(
            "buffers",
            1,
            "and with them the running statistics of that moment",
            lambda c, s, e: all(close(s[key], e[key]) for key in _RESTORED[2:]),
            _OF_ACCURACY,
        ),
        Criterion(
            "min_delta",
            1,
            "a gain counts when it is larger than `min_delta`, measured from the best",
            lambda c, s, e: _in_time(c, s, e) and _best_back(c, s, e),
            _WITH_DELTA,
        ),
        Criterion(
            "a_loss",
            1,
            "with `mode='min'` lower is better",
            lambda c, s, e: _in_time(c, s, e) and _best_back(c, s, e),
            _OF_LOSS,
        ),
    ),
)
