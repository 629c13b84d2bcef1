"""`cluster_round`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import WeightedRandomSampler

from course_lib.exercises.asking import as_expected, everywhere, has_shares, of_each, rows_among
from course_lib.exercises.contract import Case, Criterion, Judge, Passes, Predicate, Values, close
from course_lib.exercises.teachers.cluster_round.exercise import ROUNDS
from course_lib.models import eval_mode, seeded


def reference(encoder, images, num_clusters, *, cluster, train, generator):
    with eval_mode(encoder), torch.no_grad():
        clusters = cluster(encoder(images), num_clusters)
    with seeded(generator):
        model = nn.Sequential(encoder, nn.Linear(encoder.feature_dim, num_clusters))
    weights = clusters.bincount().double().reciprocal()[clusters]
    drawn = torch.tensor(list(WeightedRandomSampler(weights, len(images), generator=generator)))
    train(model, images[drawn], clusters[drawn])
    return model, clusters


# --- tests of one round: the case, what was seen of the round, and what is seen of a right one ---

_right_features = as_expected("clustering", atol=1e-4)


def _all_given(case: Case, seen: Values, right: Values) -> bool:
    return min(rows_among(seen["training"]["images"], case.inputs["images"])) >= 0


def _paired(case: Case, seen: Values, right: Values) -> bool:
    own = right["clusters"][rows_among(seen["training"]["images"], case.inputs["images"])]
    return _all_given(case, seen, right) and torch.equal(seen["training"]["labels"], own)


def _even(case: Case, seen: Values, right: Values) -> bool:
    labels = seen["training"]["labels"]
    return len(labels) == len(right["clusters"]) and has_shares(labels, right["clusters"].unique())


def _head(seen: Values, right: Values) -> Tensor:
    """Weights and bias, (d + 1, k), that give the outputs before the training from the features; NaN if none do."""
    outputs, x = seen["training"]["outputs"].double(), _with_ones(right["clustering"]["features"])
    found = torch.linalg.lstsq(x, outputs).solution
    linear = outputs.shape == right["model"].shape and close(x @ found, outputs, atol=1e-3)
    return found if linear else found * torch.nan


def _with_ones(features: Tensor) -> Tensor:
    return F.pad(features, (0, 1), value=1.0).double()


def _in_place(case: Case, seen: Values, right: Values) -> bool:
    expected = _with_ones(right["features_after"]) @ _head(seen, right)
    return seen["calls"] == [1, 1] and not seen["training"]["frozen"] and close(seen["model"], expected, atol=1e-3)


_in_both = functools.partial(of_each, ROUNDS)


def _everywhere(*tests: Passes) -> Predicate:
    return everywhere(lambda t: _in_both(*tests)(*t[:3]))


def _new_head(case: Case, seen: Values, expected: Values) -> bool:
    first, second = (_head(seen[number], expected[number]) for number in ROUNDS)
    spread = float(torch.stack([first[:-1].std(), second[:-1].std()]).min())
    return spread > 0 and not close(first, second, rtol=1e-2, atol=1e-3)


def _equal(seen: Values, number: str) -> list[bool]:
    """Whether the images that are trained on, and the outputs before the training, are those of the first round."""
    pairs = ((seen[n]["training"][key] for n in ("first", number)) for key in ("images", "outputs"))
    return [close(one, other, rtol=0, atol=0) for one, other in pairs]


def _from_the_generator(case: Case, seen: Values, expected: Values) -> bool:
    same_images, same_head = _equal(seen, "other")
    differ = not same_head and not (same_images and _even(case, seen["first"], expected["first"]))
    return differ and all(_equal(seen, "again")) and _all_given(case, seen["first"], expected)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("features", 2, "the clusters come from features in eval mode without gradients, of all images in "
                  "their order", _in_both(_right_features)),
        Criterion("pairs", 1, "each image that is trained on comes with its cluster", _in_both(_paired)),
        Criterion("balance", 1, "as many images are drawn as there are, each cluster equally often",
                  _in_both(_paired, _even)),
        Criterion("head", 1, "in each round the head is a new linear layer on the encoder's features", _new_head),
        Criterion("generator", 1, "the head and the images are drawn from the generator alone", _from_the_generator),
        Criterion("in_place", 1, "the encoder itself is trained, once, with all its weights, and this model is "
                  "returned", _in_both(_in_place)),
        Criterion("clusters", 1, "the clusters of all images are returned, in the order of the images",
                  _in_both(as_expected("clusters"))),
    ),
    predicates={
        "global_generator": everywhere(lambda t: not all(_equal(t.seen, "again"))),
        "own_generator": everywhere(lambda t: any(_equal(t.seen, "other")) and _in_both(_paired, _even)(*t[:3])),
        "train_mode": _everywhere(lambda c, s, r: "train" in s["clustering"]["modes"]),
        "gradients_recorded": _everywhere(lambda c, s, r: "on" in s["clustering"]["recording"]),
        "head_kept": everywhere(lambda t: not _new_head(*t[:3]) and _in_both(_in_place)(*t[:3])),
        "not_balanced": _everywhere(
            lambda c, s, r: not _even(c, s, r) and has_shares(s["training"]["labels"], r["clusters"])
        ),
        "not_paired": _everywhere(_right_features, _all_given, lambda *one: not _paired(*one)),
        "encoder_frozen": _everywhere(lambda c, s, r: s["training"]["frozen"] > 0),
    },
    exact=False,
)  # fmt: skip
