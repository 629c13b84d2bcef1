"""`kmeans_step`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import dtype_name, two_values


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    n = torch.randint(0, 6, (5,), generator=generator).tolist()

    def case(name: str, count: int, dim: int, clusters: int, spread: float = 1.0) -> Case:
        middles = 3 * normal(clusters, dim)
        features = middles[torch.randint(0, clusters, (count,), generator=generator)] + spread * normal(count, dim)
        return Case(name, {"features": features, "centers": middles + 0.7 * normal(clusters, dim)})

    empty = case("empty_clusters", 18 + n[0], 3, 4)
    far = 40 * (1 + uniform(2, 3))
    empty.inputs["centers"] = torch.cat([far[:1], empty.inputs["centers"], -far[1:]])
    transposed = case("transposed", 21, 5, 3)
    transposed.inputs.update({key: value.T.contiguous().T for key, value in transposed.inputs.items()})
    double = case("float64", 15, 2, 3)
    double.inputs.update({key: value.double() for key, value in double.inputs.items()})
    mixed = case("mixed_scales", 26 + n[1], 4, 3)
    for value in mixed.inputs.values():
        value *= torch.tensor([20.0, 1.0, 0.05, 5.0])
    return [
        case("plain", 30 + n[2], 3, 4),
        case("wide", 12, 9, 4 + n[3]),
        case("square", 5, 5, 5, 0.3),
        case("one_feature", 17 + n[4], 1, 3),
        case("one_cluster", 11, 3, 1),
        case("one_image", 1, 4, 2),
        empty,
        transposed,
        double,
        mixed,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    seen = two_values(fn(case.inputs["features"], case.inputs["centers"]), "clusters", "new_centers")
    if isinstance(seen["new_centers"], Tensor):
        seen["new_centers"] = seen["new_centers"].clone()
    return seen | {"clusters_dtype": dtype_name(seen["clusters"])}


exercise = Exercise(
    name="kmeans_step",
    title="One step of k-means: assign every image, then move every center",
    signature="kmeans_step(features, centers)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "First give each image the number of the center with the smallest distance. Then move each center to the "
            "mean of its images. A center without images stays where it is, since the mean of nothing is not a number."
        ),
        api="`torch.cdist(features, centers)`, `Tensor.argmin(dim=1)`, `centers.clone()`, `features[clusters == k]`",
        skeleton=(
            "clusters = torch.cdist(features, centers)....(dim=...)  # (N, k) -> (N,)\n"
            "new_centers = centers.clone()\n"
            "for k in clusters.unique():\n    new_centers[k] = features[...].mean(dim=...)\n"
            "return clusters, new_centers"
        ),
    ),
    takeaway=(
        "Neither half of the step can raise the sum of squared distances, so k-means always ends. Where it ends "
        "depends on the first centers, so it is started several times."
    ),
    cases=cases,
    observe=observe,
    words={
        "clusters": "`clusters`, the first of the two tensors that you return,",
        "clusters_dtype": "the dtype of `clusters`",
        "new_centers": "`new_centers`, the second of the two tensors that you return,",
    },
)
