"""`rotation_pretext`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import itertools

import torch

from course_lib.exercises.asking import everywhere, everywhere_with_dtype, in_all, in_any, inputs_kept
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.pretext_tasks.rotate_batch.judge import reference as right_rotation


def building_on(rotate_batch=right_rotation):
    def rotation_pretext(images):
        labels = torch.arange(4, device=images.device).repeat_interleave(len(images))
        return torch.cat([rotate_batch(images, k) for k in range(4)]), labels

    return rotation_pretext


def _shown(case: Case, seen: Values) -> list[tuple[int, int] | None]:
    """For each row of x, which image it shows and by how many quarter turns; None for a row that shows none."""
    images, x = case.inputs["images"], seen["x"]
    if x.shape[1:] != images.shape[1:]:
        return []
    copies = {(i, k): torch.rot90(image, k, (1, 2)) for i, image in enumerate(images) for k in range(4)}
    return [next((key for key, copy in copies.items() if close(row, copy)), None) for row in x]


def _all_four(case: Case, seen: Values, expected: Values) -> bool:
    shown, count = _shown(case, seen), len(case.inputs["images"])
    return len(shown) == 4 * count and set(shown) == set(itertools.product(range(count), range(4)))


def _labels(case: Case, seen: Values, expected: Values) -> bool:
    return seen["labels_dtype"] == "torch.int64" and close(seen["labels"].sort().values, expected["labels"])


def _told_apart(case: Case, seen: Values, expected: Values) -> bool:
    turns = [row and row[1] for row in _shown(case, seen)]
    return bool(turns) and turns == [int(label) for label in seen["labels"]]


def _order(case: Case, seen: Values, expected: Values) -> bool:
    same_copies = close(seen["x"], expected["x"]) and seen["x"].dtype == expected["x"].dtype
    return same_copies and inputs_kept(case, seen, "images")


judge = Judge(
    reference=building_on(),
    building_on=building_on,
    criteria=(
        Criterion("all_four", 1, "`x` holds each image in all four turns, `(4N, C, H, W)`", _all_four),
        Criterion("labels", 1, "`labels` are N each of the whole numbers 0 to 3, `(4N,)`, int64", _labels, form=True),
        Criterion(
            "told_apart", 1, "each label is the number of counterclockwise quarter turns of its row", _told_apart
        ),
        Criterion(
            "order",
            1,
            "copy after copy: row k * N + i is image i, turned k times; the images given stay as they are",
            _order,
        ),
    ),
    predicates={
        "one_hot_labels": everywhere(lambda t: t.seen["labels"].ndim == 2 and t.seen["labels"].shape[1] == 4),
        "labels_from_one": everywhere(lambda t: close(t.seen["labels"], t.expected["labels"] + 1)),
        "labels_as_floats": everywhere_with_dtype(
            lambda t: t.seen["labels_dtype"] != "torch.int64" and close(t.seen["labels"], t.expected["labels"]),
            "labels_dtype",
        ),
        "both_interleaved": lambda trials: (
            in_all(trials, lambda t: _all_four(*t[:3]) and _told_apart(*t[:3]))
            and in_any(trials, lambda t: not close(t.seen["x"], t.expected["x"]))
        ),
    },
)
