"""`kmeans_step`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import as_expected, everywhere, other_dtype, somewhere
from course_lib.exercises.contract import Criterion, Judge, close


def reference(features, centers):
    """By sums: the squared distances without a root, and the means by adding up rows."""
    clusters = (features[:, None] - centers[None]).pow(2).sum(dim=2).min(dim=1).indices
    counts = torch.bincount(clusters, minlength=len(centers)).to(features)[:, None]
    sums = torch.zeros_like(centers).index_add(0, clusters, features)
    return clusters, torch.where(counts > 0, sums / counts.clamp(min=1), centers)


_FULL = ("plain", "wide", "square", "one_feature", "transposed", "float64", "mixed_scales")
_EMPTY = ("empty_clusters", "one_image")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "clusters", 1, "each image gets the number of its nearest center", as_expected("clusters", "clusters_dtype")
        ),
        Criterion(
            "centers", 2, "each center moves to the mean of its images", as_expected("new_centers"),
            (*_FULL, "one_cluster"),
        ),
        Criterion("empty", 1, "a center without images stays where it is", as_expected("new_centers"), _EMPTY),
    ),
    predicates={
        "nan_for_empty_clusters": somewhere(
            lambda t: isinstance(t.seen["new_centers"], Tensor) and bool(t.seen["new_centers"].isnan().any()), *_EMPTY
        ),
        "empty_clusters_dropped": somewhere(
            lambda t: len(t.seen["new_centers"]) < len(t.expected["new_centers"]), *_EMPTY
        ),
        "exchanged": everywhere(lambda t: close(t.seen["new_centers"], t.expected["clusters"]), *_FULL),
        "other_dtype": lambda trials: other_dtype(trials, "clusters"),
        "centers_stay": everywhere(lambda t: close(t.seen["new_centers"], t.case.inputs["centers"]), *_FULL),
    },
)  # fmt: skip
