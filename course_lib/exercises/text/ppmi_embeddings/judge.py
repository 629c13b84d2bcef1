"""`ppmi_embeddings`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import everywhere, failed_with, inputs_kept, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close


def reference(counts, dim):
    """By the full decomposition of torch, with logarithms of the counts."""
    counts = counts.double()
    context = counts.sum(dim=0) ** 0.75
    log_chance = counts.sum(dim=1, keepdim=True).log() + (context / context.sum()).log()
    ppmi = torch.where(counts > 0, counts.log() - log_chance, 0.0).clamp(min=0)
    u, s, _ = torch.linalg.svd(ppmi)
    rows = u[:, :dim] * s[:dim].sqrt()
    length = rows.norm(dim=1, keepdim=True)
    return torch.where(length > 1e-9, rows / length, 0.0).float()


_SEEN = ("plain", "large_counts", "rare_words", "every_second_row", "float64")


def _right(case: Case, seen: Values, expected: Values) -> bool:
    return close(seen["similarities"], expected["similarities"], rtol=1e-3, atol=2e-3)


def _right_of_others(case: Case, seen: Values, expected: Values) -> bool:
    """Whether the embeddings are finite, and right for the words that have neighbors."""
    found, wanted = seen["similarities"], expected["similarities"]
    if not isinstance(found, Tensor) or found.shape != wanted.shape or not found.isfinite().all():
        return False
    known = case.inputs["counts"].sum(dim=1) > 0
    return close(found[known][:, known], wanted[known][:, known], rtol=1e-3, atol=2e-3)


def _lengths(t: Trial) -> Tensor | None:
    similarities = t.seen["similarities"]
    return similarities.diagonal() if isinstance(similarities, Tensor) and similarities.ndim == 2 else None


def _of_length_one(case: Case, seen: Values, expected: Values) -> bool:
    lengths = _lengths(Trial(case, seen, expected))
    return lengths is not None and close(lengths, torch.ones_like(lengths), atol=1e-3) and _shaped(case, seen, expected)


def _shaped(case: Case, seen: Values, expected: Values) -> bool:
    floats = seen["embeddings_dtype"] in ("torch.float32", "torch.float64")
    return floats and seen["shape"] == expected["shape"] and inputs_kept(case, seen, "counts")


def _not_scaled(t: Trial) -> bool:
    lengths = _lengths(t)
    if lengths is None or lengths.shape != (len(t.case.inputs["counts"]),) or not (lengths > 0).all():
        return False
    root = lengths.sqrt()
    return not _right(*t[:3]) and _right(
        t.case, {"similarities": t.seen["similarities"] / root / root[:, None]}, t.expected
    )


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("value", 2, "words are similar as their mutual information with other words is", _right, _SEEN),
        Criterion("sides", 1, "words are the rows of the counts, contexts their columns", _right, ("not_symmetric",)),
        Criterion(
            "unseen",
            1,
            "a word without neighbors leads to no NaN and changes no other",
            _right_of_others,
            ("unseen_words",),
        ),
        Criterion("lengths", 1, "the embeddings are floats, `(V, dim)`, of length 1", _of_length_one, _SEEN, form=True),
    ),
    predicates={
        "log_of_zero": lambda trials: failed_with(trials, "infinity") or failed_with(trials, "non-finite"),
        "nan_for_unseen": lambda trials: (
            failed_with(trials, "NaN")
            or somewhere(lambda t: bool(t.seen["similarities"].isnan().any()), "unseen_words")(trials)
        ),
        "array_and_not_a_tensor": everywhere(lambda t: t.seen["embeddings_dtype"] == "ndarray"),
        "not_of_length_one": everywhere(_not_scaled, *_SEEN),
        "counts_changed": somewhere(lambda t: not inputs_kept(t.case, t.seen, "counts")),
    },
)
