"""`latent_traversal`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.asking import everywhere, inputs_kept, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close


def reference(code, dim, values):
    rows = [torch.cat([code[:dim], value.reshape(1).to(code), code[dim + 1 :]]) for value in values]
    return torch.stack(rows)


def _moves(case: Case, seen: Values, expected: Values) -> bool:
    codes, right, dim = seen["codes"], expected["codes"], case.inputs["dim"]
    return codes.shape == right.shape and close(codes[:, dim], right[:, dim])


def _rest_stays(case: Case, seen: Values, expected: Values) -> bool:
    codes, right = seen["codes"], expected["codes"]
    others = torch.arange(len(case.inputs["code"])) != case.inputs["dim"]
    return codes.shape == right.shape and codes.dtype == right.dtype and close(codes[:, others], right[:, others])


def _inputs_kept(case: Case, seen: Values, expected: Values) -> bool:
    return inputs_kept(case, seen, "code", "values") and seen["codes"].shape == expected["codes"].shape


def _neighbor_moves(t: Trial) -> bool:
    dim, values = t.case.inputs["dim"], t.case.inputs["values"]
    return any(close(t.seen["codes"].roll(by, dims=1)[:, dim], values) for by in (-1, 1))


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("moves", 1, "row k has `values[k]` at latent `dim`", _moves),
        Criterion("rest", 1, "all other latents are those of `code`, in every row", _rest_stays),
        Criterion("input_kept", 1, "`code` and `values` are not changed", _inputs_kept),
    ),
    predicates={
        "code_changed": somewhere(lambda t: not inputs_kept(t.case, t.seen, "code")),
        "one_latent_off": everywhere(_neighbor_moves),
    },
)
