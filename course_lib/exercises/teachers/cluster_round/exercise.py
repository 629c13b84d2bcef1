"""`cluster_round`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import plain, two_values
from course_lib.exercises.teachers.exercise import Watched


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


def clusters_of(features: Tensor, given: Values) -> Tensor:
    """A clustering by the first feature: as many images in each cluster as its share says."""
    rank = features.detach().reshape(len(features), -1)[:, 0].argsort().argsort()
    bounds = given["shares"].cumsum(dim=0)[:-1]
    return given["numbers"][torch.bucketize(rank / len(rank), bounds)]


def _round(fn: Callable[..., Any], encoder: Watched, given: Values, generator: torch.Generator) -> Values:
    images, seen = given["images"].clone(), Values()
    calls: dict[str, list[Any]] = {"cluster": [], "train": []}
    del encoder.modes[:], encoder.recording[:]

    def cluster(features: Tensor, count: int) -> Tensor:
        calls["cluster"].append([plain(features), count, "/".join(encoder.modes), "/".join(encoder.recording)])
        return clusters_of(features, given)

    def train(model: nn.Module, some: Tensor, labels: Tensor) -> None:
        own = set(encoder.parameters())
        heads = [m for m in model.modules() if isinstance(m, nn.Linear) and m.weight not in own]
        before = _logits(model, images)
        calls["train"].append({"images": plain(some), "labels": plain(labels), "logits": before})
        if heads:
            calls["train"][-1] |= {"weight": plain(heads[-1].weight), "bias": plain(heads[-1].bias)}
        calls["train"][-1]["learning"] = [int(p.requires_grad) for p in model.parameters()]
        encoder.linear.weight.data.add_(given["step"])

    seen["weight_before"] = plain(encoder.linear.weight)
    pair = two_values(fn(encoder, images, len(given["shares"]), cluster=cluster, train=train, generator=generator),
                      "model", "clusters")  # fmt: skip
    returned = _logits(pair["model"], images) if isinstance(pair["model"], nn.Module) else None
    seen |= {"calls": [len(calls["cluster"]), len(calls["train"])], "clusters": pair["clusters"], "returned": returned}
    seen |= dict(zip(("features", "count", "modes", "recording"), (calls["cluster"] or [[None] * 4])[0], strict=True))
    return seen | {"training": dict(calls["train"][0]) if calls["train"] else {}}


def _logits(model: nn.Module, images: Tensor) -> Any:
    modes = [(module, module.training) for module in model.modules()]
    with torch.no_grad():
        logits = plain(model.eval()(images))
    for module, mode in modes:
        module.training = mode
    return logits


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given, seed = case.inputs, case.inputs["seed"]
    train = given["mode_before"] == "train"
    encoder, generator = Watched(given["weight"], seed % 1000).train(train), seeded(seed)
    before = torch.get_rng_state()
    first = _round(fn, encoder, given, generator)
    second = _round(fn, encoder, given, generator)
    after = torch.get_rng_state()
    torch.manual_seed(seed % 997)
    again = _round(fn, Watched(given["weight"], seed % 1000).train(train), given, seeded(seed))["training"]
    seen = {f"first_{key}": value for key, value in first.items()}
    seen |= {f"second_{key}": value for key, value in second.items()}
    seen |= {"same_seed_images": again.get("images"), "same_seed_weight": again.get("weight")}
    return seen | {"global_state_before": before, "global_state_after": after}


_WORDS = {
    "weight_before": "the encoder's weight before the {} round",
    "calls": "the list of the numbers of calls of `cluster` and of `train` in the {} round",
    "clusters": "the tensor of clusters that the {} round returns",
    "returned": "the tensor of logits of the model that the {} round returns",
    "features": "the tensor that `cluster` is given in the {} round",
    "count": "the number of clusters that `cluster` is asked for in the {} round",
    "modes": "the mode of the encoder before `cluster` is called in the {} round",
    "recording": "the recording of gradients before `cluster` is called in the {} round",
    "training": "the set of things that the {} round gives to `train`",
}

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
            "`torch.bincount(clusters)[clusters]`, "
            "`torch.multinomial(weights, N, replacement=True, generator=generator)`"
        ),
        skeleton=(
            "features = evaluation.extract_features(..., ...)  # (N, d)\n"
            "clusters = cluster(..., ...)  # (N,)\n"
            "model = Classifier(encoder, ..., generator=generator)\n"
            "weights = 1 / torch.bincount(...)[...]\n"
            "drawn = torch.multinomial(..., len(images), replacement=True, generator=generator)\n"
            "train(model, images[...], clusters[...])\n"
            "return model, ..."
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
        **{f"{n}_{key}": words.format(n) for n in ("first", "second") for key, words in _WORDS.items()},
        "same_seed_images": "the tensor of images given to `train` with a generator that begins at the same seed",
        "same_seed_weight": "the weight of the head with a generator that begins at the same seed",
        "global_state_before": "the state of torch's global generator before the call",
        "global_state_after": "the state of torch's global generator after the call",
    },
    inputs_shown=("mode_before",),
)
