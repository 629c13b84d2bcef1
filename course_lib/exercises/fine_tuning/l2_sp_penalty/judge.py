"""`l2_sp_penalty`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from course_lib.exercises.asking import as_expected, as_number, everywhere
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close


def _weights(encoder: nn.Module) -> Tensor:
    return torch.cat([parameter.flatten() for parameter in encoder.parameters()])


def reference(model):
    start = _weights(model.encoder).detach().clone()
    return lambda: (_weights(model.encoder) - start).square().sum()


def _near(seen: object, expected: object) -> bool:
    return math.isclose(as_number(seen), as_number(expected), rel_tol=1e-4, abs_tol=1e-5)


def _right_value(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["penalty"], Tensor) and _near(seen["penalty"], expected["penalty"])


def _start_stays(case: Case, seen: Values, expected: Values) -> bool:
    again = all(_near(seen[key], expected[key]) for key in ("called_again", "after_another_move"))
    return again and close(seen["model_after"], seen["model_moved"])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "distance",
            1,
            "the sum of squared differences between the encoder's weights and their start",
            _right_value,
            ("encoder_moved", "frozen_at_the_start"),
        ),
        Criterion(
            "encoder_only",
            1,
            "neither the head nor running statistics count",
            _right_value,
            ("everything_moved", "convolutions", "float64", "head_moved", "buffers_moved"),
        ),
        Criterion(
            "gradient",
            1,
            "its gradient draws every weight of the encoder back to its start, and nothing else",
            as_expected("encoder_gradient", "head_gradient"),
            ("everything_moved", "convolutions", "float64", "encoder_moved"),
        ),
        Criterion(
            "start_stays",
            1,
            "the start stays the start: a second look gives the same, and the model is left alone",
            _start_stays,
            ("encoder_moved",),
        ),
    ),
    predicates={
        "measured_without_gradient": everywhere(
            lambda t: _right_value(t.case, t.seen, t.expected) and not t.seen["on_the_graph"], "encoder_moved"
        ),
        "towards_zero": everywhere(
            lambda t: not _near(t.seen["penalty"], 0.0) and bool(t.seen["encoder_gradient"].any()),
            "head_moved",
            "buffers_moved",
        ),
        "norm_not_squared": everywhere(
            lambda t: _near(t.seen["penalty"], math.sqrt(t.expected["penalty"])), "encoder_moved"
        ),
    },
)
