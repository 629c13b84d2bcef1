"""`flip_pretext`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from course_lib.exercises.asking import everywhere, everywhere_with_dtype, inputs_kept, is_independent, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.pretext_tasks.judge import repeatable


def reference(images, *, generator):
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(2), images.flip(3)), labels


def _flips(case: Case, seen: Values, expected: Values) -> bool:
    images, flipped = case.inputs["images"], seen["flipped"]
    return flipped.shape == images.shape and all(
        close(row, image.flip(2)) or close(row, image.flip(1)) for row, image in zip(flipped, images)
    )


def _labels_tell_the_flips(case: Case, seen: Values) -> bool:
    images, labels = case.inputs["images"], seen["labels"]
    shown = torch.where(labels.reshape(-1, 1, 1, 1) == 1, images.flip(2), images.flip(3))
    return len(labels) == len(images) and close(seen["flipped"], shown)


def _labels(case: Case, seen: Values, expected: Values) -> bool:
    labels = seen["labels"]
    flat = seen["labels_dtype"] == "torch.int64" and labels.ndim == 1
    return flat and bool(((labels == 0) | (labels == 1)).all()) and _labels_tell_the_flips(case, seen)


def _fair(labels: Tensor) -> bool:
    return abs(float(labels.double().mean()) - 0.5) < 5 * 0.5 / math.sqrt(len(labels))


def _coins(case: Case, seen: Values, expected: Values) -> bool:
    if case.name == "two":  # in some calls both images are flipped the same way
        return len({int(labels.sum()) for labels in seen["labels_of_more_calls"]}) == 3
    labels, following = seen["labels"], seen["labels_of_next_call"]
    fresh = not torch.equal(labels, following) and is_independent(2 * labels.double() - 1)
    return _fair(labels) and _fair(following) and fresh


def _generator(case: Case, seen: Values, expected: Values) -> bool:
    moves_on = case.name != "many" or not torch.equal(seen["labels"], seen["labels_of_next_call"])
    right_count = len(seen["labels"]) == len(case.inputs["images"])
    return repeatable(seen, "labels") and moves_on and right_count and inputs_kept(case, seen, "images")


def _follow_a_rule(t: Trial) -> bool:
    """Whether the labels are the same at each call, and change once along the batch, or at every image."""
    labels = t.seen["labels"]
    changes = int((labels.flatten().diff() != 0).sum())
    return torch.equal(labels, t.seen["labels_of_next_call"]) and changes in (1, labels.numel() - 1)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("flips", 1, "every image is mirrored left to right, or stands upside down", _flips),
        Criterion("labels", 1, "label 0 is mirrored, label 1 upside down, for every image; `(N,)`, int64", _labels),
        Criterion(
            "coin", 1, "a fair coin for each image, thrown again at each call", _coins, ("many", "two"), form=True
        ),
        Criterion(
            "generator",
            1,
            "all chance comes from the generator, and the images given stay as they are",
            _generator,
            form=True,
        ),
    ),
    predicates={
        "flipped_in_place": somewhere(lambda t: not inputs_kept(t.case, t.seen, "images")),
        "one_coin_for_all": everywhere(lambda t: len(t.seen["labels"].unique()) == 1, "many"),
        "in_turns": somewhere(_follow_a_rule, "many"),
        "coins_without_generator": somewhere(lambda t: not repeatable(t.seen, "labels")),
        "labels_not_whole": everywhere_with_dtype(
            lambda t: t.seen["labels_dtype"] != "torch.int64" and _labels_tell_the_flips(t.case, t.seen),
            "labels_dtype",
        ),
        "two_draws": everywhere(lambda t: _flips(*t[:3]) and not _labels_tell_the_flips(t.case, t.seen), "many"),
    },
    exact=False,
)
