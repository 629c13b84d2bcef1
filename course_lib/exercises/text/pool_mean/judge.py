"""`pool_mean`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import all_of, as_expected, somewhere
from course_lib.exercises.contract import Criterion, Judge, close


def reference(features, ids):
    """Text by text."""
    rows = []
    for vectors, numbers in zip(features, ids, strict=True):
        words = vectors[numbers != 0]
        rows.append(words.mean(dim=0) if len(words) else (vectors * 0).sum(dim=0))
    return torch.stack(rows)


_MEAN = ("plain", "square", "one_text", "no_padding", "strided", "float64", "padding_inside")
_SPECIAL, _EMPTY = ("masks_and_unknowns",), ("empty_text",)
_right = all_of(as_expected("pooled"), as_expected("gradient", atol=1e-6))

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("mean", 1, "the mean over the words of each text, without the padding", _right, _MEAN),
        Criterion("special", 1, "masked and unknown words count as words", _right, _SPECIAL),
        Criterion("empty", 1, "a text without any word gives 0, not NaN", _right, _EMPTY),
    ),
    predicates={
        "nan_without_words": somewhere(
            lambda t: isinstance(t.seen["pooled"], Tensor) and bool(t.seen["pooled"].isnan().any()), *_EMPTY
        ),
        "off_the_graph": lambda trials: somewhere(
            lambda t: close(t.seen["pooled"], t.expected["pooled"]) and not t.seen["gradient"].any(), *_MEAN
        )(trials),
    },
)
