"""`flip_pretext`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any, ran


def upside_down(images, k):
    return images.flip(2) if k % 2 else images


def reference(images, *, generator):
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(2), images.flip(3)), labels


def _flips_of(images: Tensor) -> dict[str, Tensor]:
    return {
        "mirrored": images.flip(3), "upside_down": images.flip(2), "as_it_was": images, "turned": images.flip(2, 3),
    }  # fmt: skip


def _shows(case: Case, seen: Values, one: str, zero: str) -> bool:
    """Whether images with label 1 were treated like `one` and the others like `zero`."""
    labels, flipped, kinds = seen["labels"], seen["flipped"], _flips_of(case.inputs["images"])
    if len(labels) != len(flipped) or len(labels) != len(case.inputs["images"]):
        return False
    where = labels.reshape(-1, 1, 1, 1) == 1
    return close(flipped, torch.where(where, kinds[one], kinds[zero]))


def _only_the_two_flips(case: Case, seen: Values, expected: Values) -> bool:
    kinds = _flips_of(case.inputs["images"])
    return seen["flipped"].shape == case.inputs["images"].shape and all(
        close(row, mirrored) or close(row, upside_down)
        for row, mirrored, upside_down in zip(seen["flipped"], kinds["mirrored"], kinds["upside_down"])
    )


def _coins_fine(labels: Tensor) -> bool:
    heads = float(labels.double().mean())
    return abs(heads - 0.5) < 5 * 0.5 / math.sqrt(len(labels))


def _coin_for_each(case: Case, seen: Values, expected: Values) -> bool:
    labels, following = seen["labels"], seen["labels_of_next_call"]
    return _coins_fine(labels) and _coins_fine(following) and not torch.equal(labels, following)


def _drawn_from_the_generator(case: Case, seen: Values, expected: Values) -> bool:
    return (
        torch.equal(seen["labels"], seen["labels_of_same_seed"])
        and torch.equal(seen["global_state_before"], seen["global_state_after"])
        and torch.equal(seen["images_after"], case.inputs["images"])
        and (case.name != "many" or not torch.equal(seen["labels"], seen["labels_of_next_call"]))
        and len(seen["labels"]) == len(case.inputs["images"])
    )


def _regular(labels: Tensor) -> bool:
    """Labels that follow a rule instead of chance: few or very many changes along the batch."""
    changes = int((labels.flatten().diff() != 0).sum())
    return changes <= 1 or changes == labels.numel() - 1


def _in_many(trials: Sequence[Trial], predicate: Callable[[Trial], bool]) -> bool:
    return any(predicate(t) for t in ran(trials) if t.case.name == "many")


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("flips", 1, "every image is mirrored left to right, or stands upside down", _only_the_two_flips),
        Criterion(
            "labels",
            1,
            "label 0 is mirrored, label 1 upside down, for every image; `(N,)`, int64",
            lambda c, s, e: (
                _shows(c, s, "upside_down", "mirrored")
                and s["labels_dtype"] == "torch.int64"
                and s["labels"].ndim == 1
                and bool(((s["labels"] == 0) | (s["labels"] == 1)).all())
            ),
        ),
        Criterion("coin", 1, "a fair coin for each image, thrown again at each call", _coin_for_each, ("many",)),
        Criterion(
            "generator",
            1,
            "all chance comes from the generator, and the images given stay as they are",
            _drawn_from_the_generator,
        ),
    ),
    predicates={
        "flipped_in_place": lambda trials: in_any(
            trials, lambda t: not torch.equal(t.seen["images_after"], t.case.inputs["images"])
        ),
        "in_turns": lambda trials: _in_many(
            trials,
            lambda t: torch.equal(t.seen["labels"], t.seen["labels_of_next_call"]) and _regular(t.seen["labels"]),
        ),
        "coins_without_generator": lambda trials: (
            in_any(trials, lambda t: not torch.equal(t.seen["global_state_before"], t.seen["global_state_after"]))
            or _in_many(trials, lambda t: not torch.equal(t.seen["labels"], t.seen["labels_of_same_seed"]))
        ),
        "labels_not_whole": lambda trials: (
            in_all(
                trials, lambda t: t.seen["labels_dtype"] != "torch.int64" and _shows(*t[:2], "upside_down", "mirrored")
            )
            and {"dtype": ran(trials)[0].seen["labels_dtype"].removeprefix("torch.")}
        ),
        "two_draws": lambda trials: in_all(trials, lambda t: _only_the_two_flips(*t[:3])),
    },
    exact=False,
)
