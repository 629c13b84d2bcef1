"""`knn_predict`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import all_of, as_expected, everywhere, inputs_kept, other_dtype, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close


def reference(features: Tensor, labels: Tensor, queries: Tensor, k: int) -> Tensor:
    """A query at a time, with a count of the votes of each class."""
    lengths = features.norm(dim=1)
    classes, found = labels.unique(), []
    for query in queries:
        nearest = (features @ query / lengths).argsort(descending=True)[:k]
        votes = (labels[nearest][:, None] == classes).sum(dim=0)
        found.append(classes[votes == votes.max()].min())
    return torch.stack(found)


def _right(case: Case, seen: Values, expected: Values) -> bool:
    kept = inputs_kept(case, seen, "features", "labels", "queries")
    return kept and close(seen["predicted"], expected["predicted"])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("nearest", 1, "the nearest is the known feature with the largest cosine", _right, ("nearest",)),
        Criterion(
            "vote", 1, "the k nearest vote, each with one vote", _right, ("plain", "all_vote", "float64", "transposed")
        ),
        Criterion(
            "labels",
            1,
            "the result is the labels, `(M,)`, whatever numbers they are",
            all_of(_right, as_expected("predicted_dtype")),
            ("labels_with_gaps", "one_query"),
        ),
        Criterion("ties", 1, "where two classes have as many votes, the smaller label wins", _right, ("ties",)),
    ),
    predicates={
        "as_a_column": everywhere(lambda t: isinstance(t.seen["predicted"], Tensor) and t.seen["predicted"].ndim == 2),
        "as_floats": lambda trials: other_dtype(trials, "predicted"),
        "features_changed": somewhere(lambda t: not inputs_kept(t.case, t.seen, "features", "labels", "queries")),
    },
)
