"""`pool_in_time`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from course_lib.exercises.asking import all_of, as_expected, off_the_graph
from course_lib.exercises.contract import Criterion, Judge


def reference(features: Tensor, *, parts: int) -> Tensor:
    """By a matrix of weights: frame f counts in the part that it is in."""
    length = features.shape[1]
    edges = [p * length // parts for p in range(parts + 1)]
    weights = features.new_zeros(parts, length)
    for p, (start, end) in enumerate(itertools.pairwise(edges)):
        weights[p, start:end] = 1 / (end - start)
    return torch.matmul(weights, features).flatten(1)


_EVEN = ("plain", "square", "each_frame", "one_recording", "float64", "strided")
_UNEVEN = ("rest_of_two", "rest_of_one", "rest_of_three")
_right = all_of(as_expected("pooled"), as_expected("gradient"))

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("even", 1, "the means of the parts, one part after the other", _right, _EVEN),
        Criterion("uneven", 1, "each frame is in one part, also where the parts are not equally long", _right, _UNEVEN),
        Criterion("one", 1, "with one part it is the mean over all frames", _right, ("one_part",)),
    ),
    predicates={
        "off_the_graph": off_the_graph("gradient", value="pooled"),
    },
)
