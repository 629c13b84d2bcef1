"""`frechet_distance`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math

import torch

from course_lib.exercises.asking import everywhere, in_any, named, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values

_DIFFERENT = ("plain", "mixed_scales", "as_many_rows", "float64")
_SHIFTED, _SPREAD = ("shifted",), ("same_variances",)
_EQUAL, _FEW = ("equal", "shuffled"), ("fewer_rows_than_columns",)


def reference(first, second):
    """The trace of the root is the nuclear norm of the product of the centered features: no eigenvalues needed."""
    (a, mean_a), (b, mean_b) = (
        ((x.double() - x.double().mean(dim=0)) / math.sqrt(len(x) - 1), x.double().mean(dim=0)) for x in (first, second)
    )
    root = torch.linalg.matrix_norm(a @ b.T, ord="nuc")
    return float(((mean_a - mean_b) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * root)


def _size(case: Case) -> float:
    """The trace of both covariances: rounding in float32 is measured against it."""
    return sum(float(x.double().var(dim=0).sum()) for x in (case.inputs["first"], case.inputs["second"]))


def _near(case: Case, value: object, expected: float) -> bool:
    allowed = 2e-3 * abs(expected) + 2e-3 * _size(case)
    return isinstance(value, float) and math.isfinite(value) and abs(value - expected) <= allowed


def right(case: Case, seen: Values, expected: Values) -> bool:
    return _near(case, seen["distance"], expected["distance"])


def symmetric_float(case: Case, seen: Values, expected: Values) -> bool:
    return seen["kind"] == "float" and _near(case, seen["exchanged"], seen["distance"]) and right(case, seen, expected)


def _by_hand(trial: Trial, of: str) -> float:
    """The distance of a trial's sets with one part of the formula exchanged."""
    a, b = (trial.case.inputs[key].double() for key in ("first", "second"))
    means, cov_a, cov_b = ((a.mean(0) - b.mean(0)) ** 2).sum(), torch.cov(a.T), torch.cov(b.T)
    spread = means + cov_a.trace() + cov_b.trace()
    diagonal = (cov_a.diag() * cov_b.diag()).sqrt().sum()
    return float({"diagonal": spread - 2 * diagonal, "means": means}[of])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("means", 1, "between equal spreads it is the squared distance of the means", right, _SHIFTED),
        Criterion("spread", 1, "the covariances count, and not only the variances", right, (*_SPREAD, *_DIFFERENT)),
        Criterion("zero", 1, "between equal sets it is zero", right, _EQUAL, form=True),
        Criterion("few", 1, "it is finite and right with fewer rows than columns too", right, _FEW),
        Criterion("number", 1, "it is a Python float, the same with the two sets exchanged", symmetric_float),
    ),
    predicates={
        "as_a_tensor": everywhere(lambda t: t.seen["kind"] != "float" and right(*t[:3])),
        "complex_number": somewhere(lambda t: t.seen["distance"] == "a complex number"),
        "not_a_number": lambda trials: in_any(
            named(trials, *_FEW, *_EQUAL),
            lambda t: t.seen["distance"] != t.seen["distance"],
        ),
        "only_variances": everywhere(
            lambda t: _near(t.case, t.seen["distance"], _by_hand(t, "diagonal")), *_DIFFERENT, *_SPREAD
        ),
        "only_means": everywhere(lambda t: _near(t.case, t.seen["distance"], _by_hand(t, "means")), *_DIFFERENT),
    },
)
