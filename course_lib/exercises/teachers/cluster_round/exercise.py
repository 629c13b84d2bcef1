"""`cluster_round`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.evaluation import predict
from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import plain, two_values
from course_lib.exercises.teachers.exercise import Watched

ROUNDS = ("first", "second")


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)

    def case(name: str, shares: list[float], dim: int, mode: str = "train", shape: tuple[int, ...] = (1, 3, 4)) -> Case:
        count = 400 + int(torch.randint(0, 60, (), generator=generator))
        pixels = torch.Size(shape).numel()
        inputs: Values = {"images": uniform(count, *shape), "weight": 2 * normal(dim, pixels)}
        inputs |= {"step": 0.5 * normal(dim, pixels), "num_clusters": len(shares), "shares": torch.tensor(shares)}
        inputs |= {"numbers": torch.randperm(len(shares), generator=generator), "mode_before": mode}
        return Case(name, inputs | {"seed": int(torch.randint(2**31, (), generator=generator))})

    return [
        case("plain", [0.62, 0.25, 0.13], 6),
        case("in_eval_mode", [0.7, 0.3], 9, "eval"),
        case("more_clusters_than_features", [0.4, 0.25, 0.1, 0.2, 0.05], 3, shape=(3, 2, 2)),
    ]


def _clusters_of(features: Tensor, given: Values) -> Tensor:
    """A clustering by the first feature: as many images in each cluster as its share says."""
    rank = features.detach().reshape(len(features), -1)[:, 0].argsort().argsort()
    bounds = given["shares"].cumsum(dim=0)[:-1]
    return given["numbers"][torch.bucketize(rank / len(rank), bounds)]


def _round(fn: Callable[..., Any], encoder: Watched, given: Values, generator: torch.Generator) -> Values:
    images, trained = given["images"].clone(), encoder.linear.weight.detach() + given["step"]
    clusterings, trainings = [], []
    encoder.forget()

    def cluster(features: Tensor, count: int) -> Tensor:
        clusterings.append({"features": plain(features), "count": count} | encoder.noted())
        return _clusters_of(features, given)

    def train(model: nn.Module, some: Tensor, labels: Tensor) -> None:
        seen = {"images": plain(some), "labels": plain(labels), "outputs": predict(model, images)}
        trainings.append(seen | {"frozen": sum(not p.requires_grad for p in model.parameters())})
        encoder.linear.weight.data.copy_(trained)

    result = fn(encoder, images, len(given["shares"]), cluster=cluster, train=train, generator=generator)
    seen = two_values(result, "model", "clusters") | {"calls": [len(clusterings), len(trainings)]}
    seen |= {"clustering": next(iter(clusterings), None), "training": next(iter(trainings), None)}
    outputs = predict(seen["model"], images) if isinstance(seen["model"], nn.Module) else None
    return seen | {"model": outputs, "features_after": predict(encoder, images)}


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given, seed = case.inputs, case.inputs["seed"]
    one, two, three = (Watched(given["weight"], seed % 1000).train(given["mode_before"] == "train") for _ in range(3))
    generator = seeded(seed)
    seen = {number: _round(fn, one, given, generator) for number in ROUNDS}
    torch.manual_seed(1 + seed % 997)
    return seen | {"again": _round(fn, two, given, seeded(seed)), "other": _round(fn, three, given, seeded(seed + 1))}


exercise = Exercise(
    name="cluster_round",
    title="A round of DeepCluster: clusters become the classes of a new head",
    signature="cluster_round(encoder, images, num_clusters, *, cluster, train, generator)",
    minutes=30,
    difficulty=3,
    points=8,
    hints=Hints(
        concept=(
            "The clusters come from features in eval mode, without gradients, of all images in their order. A new "
            "linear head on the same encoder predicts them. An image of a cluster with n images gets the weight 1 / n, "
            "and N images are drawn with these weights, with replacement, together with their clusters."
        ),
        api=(
            "`evaluation.extract_features(encoder, images)`, `Classifier(encoder, num_clusters, generator=generator)`, "
            "`torch.bincount(clusters)[clusters]`, `torch.multinomial(weights, N, replacement=True, generator=...)`"
        ),
        skeleton=(
            "features = evaluation.extract_features(..., ...)  # (N, d)\nclusters = cluster(..., ...)  # (N,)\n"
            "model = Classifier(encoder, ..., generator=generator)\nweights = 1 / torch.bincount(...)[...]\n"
            "drawn = torch.multinomial(..., len(images), replacement=True, generator=generator)\n"
            "train(model, images[...], clusters[...])\nreturn model, ..."
        ),
    ),
    takeaway=(
        "Clusters are numbered anew in every round, so the head must be new as well. Balanced drawing stops the "
        "easiest way out, which is one large cluster that is always right."
    ),
    cases=cases,
    observe=observe,
    on_gpu=False,
    words={
        **{number: f"the set of values of the {number} round" for number in ROUNDS},
        "again": "the set of values of a round with a generator that begins at the same seed",
        "other": "the set of values of a round with a generator that begins at another seed",
    },
    inputs_shown=("mode_before",),
)
