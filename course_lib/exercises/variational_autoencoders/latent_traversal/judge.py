"""`latent_traversal`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.judging import in_all, in_any


def reference(code, dim, values):
    rows = [torch.cat([code[:dim], value.reshape(1).to(code), code[dim + 1 :]]) for value in values]
    return torch.stack(rows)


def _table(case: Case, seen: Values) -> Tensor:
    codes = seen["codes"]
    return codes if codes.shape == (len(case.inputs["values"]), len(case.inputs["code"])) else codes.new_zeros(0)


def _moves(case: Case, seen: Values, expected: Values) -> bool:
    return close(_table(case, seen)[:, case.inputs["dim"]], expected["codes"][:, case.inputs["dim"]])


def _rest_stays(case: Case, seen: Values, expected: Values) -> bool:
    others = torch.arange(len(case.inputs["code"])) != case.inputs["dim"]
    codes = _table(case, seen)
    return codes.dtype == expected["codes"].dtype and close(codes[:, others], expected["codes"][:, others])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("moves", 1, "row k has `values[k]` at latent `dim`", _moves),
        Criterion("rest", 1, "all other latents are those of `code`, in every row", _rest_stays),
        Criterion(
            "input_kept",
            1,
            "`code` and `values` are not changed",
            lambda c, s, e: (
                torch.equal(s["code_after"], c.inputs["code"])
                and torch.equal(s["values_after"], c.inputs["values"])
                and _table(c, s).shape == e["codes"].shape
            ),
        ),
    ),
    predicates={
        "code_changed": lambda trials: in_any(
            trials, lambda t: not torch.equal(t.seen["code_after"], t.case.inputs["code"])
        ),
        "one_latent_off": lambda trials: in_all(
            trials,
            lambda t: any(
                close(
                    _table(t.case, t.seen)[:, (t.case.inputs["dim"] + by) % len(t.case.inputs["code"])],
                    t.case.inputs["values"].to(t.seen["codes"]),
                )
                for by in (-1, 1)
            ),
        ),
    },
)
