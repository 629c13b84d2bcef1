"""`cluster_round`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.asking import everywhere, global_state_kept, in_all, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Passes, Values, close
from course_lib.exercises.teachers.cluster_round.exercise import clusters_of
from course_lib.exercises.teachers.exercise import Watched
from course_lib.models import eval_mode, seeded


def reference(encoder, images, num_clusters, *, cluster, train, generator):
    """A cluster is drawn for each place, all with the same chance, and then one of its images."""
    with eval_mode(encoder), torch.no_grad():
        clusters = cluster(encoder(images), num_clusters)
    with seeded(generator):
        model = nn.Sequential(encoder, nn.Linear(encoder.feature_dim, num_clusters))
    places = [(clusters == k).nonzero().squeeze(1) for k in clusters.unique()]
    chosen = torch.randint(0, len(places), (len(images),), generator=generator).tolist()
    drawn = torch.stack([places[k][int(torch.randint(0, len(places[k]), (), generator=generator))] for k in chosen])
    train(model, images[drawn], clusters[drawn])
    return model, clusters


def _of(seen: Values, number: str) -> Values:
    return {key.removeprefix(f"{number}_"): value for key, value in seen.items() if key.startswith(number)}


def _in_both(test: Any) -> Passes:
    return lambda case, seen, expected: all(test(case.inputs, _of(seen, n)) for n in ("first", "second"))


def _features(given: Values, seen: Values, weight: Tensor | None = None) -> Tensor:
    """The right features of all images, with the weight that the encoder had before this round."""
    encoder = Watched(seen["weight_before"] if weight is None else weight, given["seed"] % 1000).eval()
    with torch.no_grad():
        return encoder(given["images"])


def _right_features(given: Values, seen: Values) -> bool:
    kept = set(seen["modes"].split("/")) == {"eval"} and set(seen["recording"].split("/")) == {"off"}
    return kept and seen["count"] == len(given["shares"]) and close(seen["features"], _features(given, seen), atol=1e-4)


def _paired(given: Values, seen: Values) -> bool:
    """Whether every image that is trained on is one of the given, and comes with its cluster."""
    own = _own_clusters(given, seen)
    return own is not None and torch.equal(seen["training"]["labels"], own)


def _places(given: Values, seen: Values) -> Tensor | None:
    """Where the images that are trained on stand among the given ones; None if one of them does not."""
    images = seen["training"]["images"].flatten(1).double()
    distance, place = torch.cdist(images, given["images"].flatten(1).double()).min(dim=1)
    return place if float(distance.max()) < 1e-6 else None


def _own_clusters(given: Values, seen: Values) -> Tensor | None:
    """The clusters of the images that are trained on, whatever they come with."""
    place = _places(given, seen)
    return None if place is None else clusters_of(_features(given, seen), given)[place]


def _drawn_twice(given: Values, seen: Values) -> bool:
    """Whether images and clusters are both even, but not of each other."""
    own, labels, k = _own_clusters(given, seen), seen["training"]["labels"], len(given["shares"])
    return own is not None and not torch.equal(own, labels) and _even(own, k) and _even(labels, k)


def _only_the_first(given: Values, seen: Values) -> bool:
    """Whether the numbers of clusters are used as those of images, so that the first images stand for all."""
    place = _places(given, seen)
    return place is not None and int(place.max()) < len(given["shares"])


def _balanced(given: Values, seen: Values) -> bool:
    labels, k = seen["training"]["labels"], len(given["shares"])
    return _paired(given, seen) and len(labels) == len(given["images"]) and _even(labels, k)


def _even(labels: Tensor, k: int) -> bool:
    shares = torch.bincount(labels, minlength=k).double() / len(labels)
    return bool(((shares - 1 / k).abs() < 5 * (1 / k * (1 - 1 / k) / len(labels)) ** 0.5).all())


def _linear_on(given: Values, seen: Values) -> bool:
    there = seen["training"]
    shaped = there["weight"].shape == (len(given["shares"]), len(given["weight"])) and float(there["weight"].std()) > 0
    bias = there["bias"] if isinstance(there["bias"], Tensor) else 0.0
    return shaped and close(there["logits"], _features(given, seen) @ there["weight"].T + bias, atol=1e-3)


def _new_head(case: Case, seen: Values, expected: Values) -> bool:
    first, second = (seen[f"{n}_training"]["weight"] for n in ("first", "second"))
    linear = all(_linear_on(case.inputs, _of(seen, n)) for n in ("first", "second"))
    return linear and not close(first, second, rtol=1e-2, atol=1e-3)


def _drawn_from_it(case: Case, seen: Values, expected: Values) -> bool:
    first = seen["first_training"]
    same = torch.equal(seen["same_seed_images"], first["images"]) and torch.equal(
        seen["same_seed_weight"], first["weight"]
    )
    return same and global_state_kept(seen) and _places(case.inputs, _of(seen, "first")) is not None


def _in_place(given: Values, seen: Values) -> bool:
    there = seen["training"]
    after = _features(given, seen, seen["weight_before"] + given["step"])
    bias = there["bias"] if isinstance(there["bias"], Tensor) else 0.0
    return (
        seen["calls"] == [1, 1]
        and all(there["learning"])
        and close(seen["returned"], after @ there["weight"].T + bias, atol=1e-3)
    )


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("features", 2, "the clusters come from features in eval mode without gradients, of all images in "
                  "their order", _in_both(_right_features)),
        Criterion("pairs", 1, "each image that is trained on comes with its cluster", _in_both(_paired)),
        Criterion("balance", 1, "as many images are drawn as there are, each cluster equally often",
                  _in_both(_balanced)),
        Criterion("head", 1, "in each round the head is a new linear layer on the encoder's features", _new_head),
        Criterion("generator", 1, "the head and the images are drawn from the generator alone", _drawn_from_it),
        Criterion("in_place", 1, "the encoder itself is trained, once, with all its weights, and this model is "
                  "returned", _in_both(_in_place)),
        Criterion("clusters", 1, "the clusters of all images are returned, in the order of the images",
                  _in_both(lambda g, s: close(s["clusters"], clusters_of(_features(g, s), g)))),
    ),
    predicates={
        "train_mode": somewhere(lambda t: "train" in t.seen["first_modes"]),
        "gradients_recorded": everywhere(lambda t: "on" in t.seen["first_recording"]),
        "head_kept": everywhere(
            lambda t: close(t.seen["first_training"]["weight"], t.seen["second_training"]["weight"], atol=1e-3)
        ),
        "global_generator": everywhere(lambda t: not global_state_kept(t.seen)),
        "not_balanced": lambda trials: in_all(
            trials, lambda t: close(t.seen["first_training"]["labels"].bincount(), t.seen["first_clusters"].bincount())
        ),
        "two_draws": everywhere(lambda t: _drawn_twice(t.case.inputs, _of(t.seen, "first"))),
        "clusters_drawn": everywhere(lambda t: _only_the_first(t.case.inputs, _of(t.seen, "first"))),
        "trained_twice": everywhere(lambda t: t.seen["first_calls"][1] > 1),
        "encoder_frozen": everywhere(lambda t: not all(t.seen["first_training"]["learning"])),
    },
    exact=False,
)  # fmt: skip
