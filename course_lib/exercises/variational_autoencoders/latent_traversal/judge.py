"""`latent_traversal`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import failed_with, in_all, in_any


def reference(code, dim, values):
    rows = [torch.cat([code[:dim], value.reshape(1).to(code), code[dim + 1 :]]) for value in values]
    return torch.stack(rows)


def _others(t: Trial) -> Tensor:
    """A mask of the latents that must not move."""
    return torch.arange(len(t.case.inputs["code"])) != t.case.inputs["dim"]


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
        "list_of_codes": lambda trials: in_any(trials, lambda t: isinstance(t.seen["codes"], list)),
        "shared_memory": lambda trials: (
            failed_with(trials, "single memory location") or failed_with(trials, "more than one element")
        ),
        "code_changed": lambda trials: in_any(
            trials, lambda t: not torch.equal(t.seen["code_after"], t.case.inputs["code"])
        ),
        "values_alone": lambda trials: in_all(
            trials, lambda t: t.seen["codes"].numel() == len(t.case.inputs["values"]) * 1
        ),
        "rows_and_columns_swapped": lambda trials: in_all(
            trials, lambda t: close(t.seen["codes"], t.expected["codes"].t())
        ),
        "row_instead_of_column": lambda trials: (
            (failed_with(trials, "expanded size of the tensor") or failed_with(trials, "out of bounds for dimension 0"))
            and in_any(
                trials,
                lambda t: (
                    t.case.name == "as_many_values_as_latents"
                    and close(t.seen["codes"][t.case.inputs["dim"]], t.case.inputs["values"])
                ),
            )
        ),
        "same_row_again": lambda trials: in_all(
            trials, lambda t: t.seen["codes"].ndim == 2 and bool((t.seen["codes"] == t.seen["codes"][:1]).all())
        ),
        "values_added": lambda trials: in_all(
            trials,
            lambda t: (
                close(
                    _table(t.case, t.seen)[:, t.case.inputs["dim"]],
                    t.case.inputs["code"][t.case.inputs["dim"]] + t.case.inputs["values"],
                )
                and _rest_stays(t.case, t.seen, t.expected)
            ),
        ),
        "others_at_zero": lambda trials: in_all(
            trials,
            lambda t: _moves(t.case, t.seen, t.expected) and not _table(t.case, t.seen)[:, _others(t)].any(),
        ),
        "all_latents_set": lambda trials: in_all(
            trials,
            lambda t: close(_table(t.case, t.seen), t.case.inputs["values"][:, None].expand(t.expected["codes"].shape)),
        ),
        "all_latents_moved": lambda trials: in_all(
            trials,
            lambda t: (
                len(t.case.inputs["values"]) < 2
                or bool((_table(t.case, t.seen) != _table(t.case, t.seen)[:1]).any(dim=0).all())
            ),
        ),
        "always_the_first": lambda trials: in_all(
            trials, lambda t: close(_table(t.case, t.seen)[:, 0], t.case.inputs["values"].to(t.seen["codes"]))
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
