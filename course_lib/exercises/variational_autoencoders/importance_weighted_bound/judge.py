"""`importance_weighted_bound`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, close
from course_lib.exercises.judging import in_all, in_any, ran


def reference(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


_ORDINARY = ("plain", "one_sample", "as_many_samples_as_images", "one_image", "transposed", "float64")


def _log_w(case: Case, *signs: float) -> Tensor:
    terms = (case.inputs[key].double() for key in ("log_px_given_z", "log_pz", "log_qz"))
    return sum((sign * term for sign, term in zip(signs or (1, 1, -1), terms, strict=True)), torch.zeros(()))


def _bound_is(trials: Sequence[Trial], formula: Callable[[Case], Tensor]) -> bool:
    """Whether the answer is that formula on all ordinary cases (elsewhere it may over- or underflow)."""
    found = [t for t in ran(trials) if t.case.name in _ORDINARY]
    return bool(found) and all(close(t.seen["bound"], formula(t.case)) for t in found)


def _log_mean(log_w: Tensor, dim: int = 0) -> Tensor:
    return torch.logsumexp(log_w, dim=dim) - math.log(log_w.shape[dim])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "weights",
            1,
            "with one sample it is $\\log p(x|z) + \\log p(z) - \\log q(z|x)$, one number an image",
            lambda c, s, e: close(s["bound"], e["bound"]),
            ("one_sample",),
        ),
        Criterion(
            "bound",
            1,
            "it is the logarithm of the mean weight of an image's samples",
            lambda c, s, e: close(s["bound"], e["bound"]),
            _ORDINARY,
        ),
        Criterion(
            "stable",
            1,
            "it is right for weights that are too small or too large for a number",
            lambda c, s, e: close(s["bound"], e["bound"]),
            ("unlikely", "dense"),
        ),
        Criterion(
            "gradient",
            1,
            "gradients reach all three terms",
            lambda c, s, e: close(s["gradients"], e["gradients"]),
            _ORDINARY,
        ),
    ),
    predicates={
        "bound_without_gradient": lambda trials: in_all(trials, lambda t: close(t.seen["bound"], t.expected["bound"])),
        "mean_of_logs": lambda trials: _bound_is(trials, lambda c: _log_w(c).mean(dim=0)),
        "sum_of_logs": lambda trials: _bound_is(trials, lambda c: _log_w(c).sum(dim=0)),
        "out_of_the_logarithm": lambda trials: (
            _bound_is(trials, lambda c: _log_mean(_log_w(c)))
            and in_any(trials, lambda t: not close(t.seen["bound"], t.expected["bound"]))
        ),
        "weights_themselves": lambda trials: _bound_is(trials, lambda c: _log_w(c).exp().mean(dim=0)),
        "count_forgotten": lambda trials: _bound_is(trials, lambda c: torch.logsumexp(_log_w(c), dim=0)),
        "count_added": lambda trials: _bound_is(
            trials, lambda c: torch.logsumexp(_log_w(c), dim=0) + math.log(len(_log_w(c)))
        ),
        "divided_by_the_count": lambda trials: _bound_is(
            trials, lambda c: torch.logsumexp(_log_w(c), dim=0) / len(_log_w(c))
        ),
        "count_not_logged": lambda trials: _bound_is(
            trials, lambda c: torch.logsumexp(_log_w(c), dim=0) - len(_log_w(c))
        ),
        "over_the_images": lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c), dim=1)),
        "count_of_images": lambda trials: _bound_is(
            trials, lambda c: torch.logsumexp(_log_w(c), dim=0) - math.log(_log_w(c).shape[1])
        ),
        "posterior_added": lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c, 1, 1, 1))),
        "prior_and_posterior_swapped": lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c, 1, -1, 1))),
        "prior_forgotten": lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c, 1, 0, -1))),
        "posterior_forgotten": lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c, 1, 1, 0))),
        "likelihood_alone": lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c, 1, 0, 0))),
        "best_sample_only": lambda trials: _bound_is(trials, lambda c: _log_w(c).max(dim=0).values),
        "turned_into_a_loss": lambda trials: _bound_is(trials, lambda c: -_log_mean(_log_w(c))),
        "weights_upside_down": lambda trials: _bound_is(trials, lambda c: _log_mean(-_log_w(c))),
        "largest_not_added_back": lambda trials: _bound_is(
            trials, lambda c: _log_mean(_log_w(c)) - _log_w(c).max(dim=0).values
        ),
        "one_number_for_the_batch_of_images": lambda trials: (
            _bound_is(trials, lambda c: _log_mean(_log_w(c)).mean())
            or _bound_is(trials, lambda c: _log_mean(_log_w(c)).sum())
        ),
        "all_samples_in_one": lambda trials: in_all(
            trials,
            lambda t: t.seen["bound"].numel() == 1 and close(t.seen["bound"], _log_mean(_log_w(t.case).flatten())),
        ),
    },
)
