"""`rotation_pretext`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_all, ran


def reference(images):
    labels = torch.arange(4, device=images.device).repeat_interleave(len(images))
    return torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)]), labels


def _turn_of_rows(case: Case, seen: Values) -> list[tuple[int, int] | None]:
    """For each row of x, which image it shows and by how many quarter turns; None for a row that shows none."""
    images, x = case.inputs["images"], seen["x"]
    if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[1:] != images.shape[1:]:
        return []
    turns = [[torch.rot90(image, k, (1, 2)) for k in range(4)] for image in images]
    known = [(i, k) for i in range(len(images)) for k in range(4)]
    return [next(((i, k) for i, k in known if close(row, turns[i][k])), None) for row in x]


def _all_four(case: Case, seen: Values, expected: Values) -> bool:
    rows = _turn_of_rows(case, seen)
    return None not in rows and sorted(row for row in rows if row) == [
        (i, k) for i in range(len(case.inputs["images"])) for k in range(4)
    ]


def _labels_fine(case: Case, seen: Values, expected: Values) -> bool:
    labels = seen["labels"]
    return (
        seen["labels_dtype"] == "torch.int64"
        and labels.shape == (4 * len(case.inputs["images"]),)
        and labels.bincount(minlength=4).tolist() == [len(case.inputs["images"])] * 4
    )


def _labels_tell_the_turn(case: Case, seen: Values, expected: Values) -> bool:
    rows, labels = _turn_of_rows(case, seen), seen["labels"]
    return len(rows) == len(labels) > 0 and all(
        row is not None and row[1] == int(label) for row, label in zip(rows, labels)
    )


def _labels_are(trials: Sequence[Trial], labels: Callable[[int], list[float]]) -> bool:
    """Whether all copies are there and the labels are those of a formula of N."""
    return in_all(
        trials,
        lambda t: (
            _all_four(*t[:3])
            and isinstance(t.seen["labels"], Tensor)
            and t.seen["labels"].double().tolist() == labels(len(t.case.inputs["images"]))
        ),
    )


def _in_blocks(labels: Sequence[float]) -> Callable[[int], list[float]]:
    return lambda n: [label for label in labels for _ in range(n)]


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("all_four", 1, "`x` holds each image in all four turns, `(4N, C, H, W)`", _all_four),
        Criterion("labels", 1, "`labels` are N each of the whole numbers 0 to 3, `(4N,)`, int64", _labels_fine),
        Criterion(
            "told_apart",
            1,
            "each label is the number of counterclockwise quarter turns of its row",
            _labels_tell_the_turn,
        ),
        Criterion(
            "order",
            1,
            "copy after copy: row k * N + i is image i, turned k times; the images given stay as they are",
            lambda c, s, e: (
                close(s["x"], e["x"]) and s["x"].dtype == e["x"].dtype and close(s["images_after"], e["images_after"])
            ),
        ),
    ),
    predicates={
        "one_hot_labels": lambda trials: in_all(trials, lambda t: t.seen["labels"].ndim == 2),
        "labels_from_one": lambda trials: _labels_are(trials, _in_blocks([1, 2, 3, 4])),
        "labels_as_floats": lambda trials: (
            _labels_are(trials, _in_blocks([0, 1, 2, 3]))
            and {"dtype": ran(trials)[0].seen["labels_dtype"].removeprefix("torch.")}
        ),
        "both_interleaved": lambda trials: in_all(
            trials, lambda t: _all_four(*t[:3]) and _labels_tell_the_turn(*t[:3])
        ),
    },
)
