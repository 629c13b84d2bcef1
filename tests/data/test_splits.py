"""split_labels: stratified, disjoint, complete, the same for a seed."""

from __future__ import annotations

import warnings

import pytest
import torch

from course_lib.data import FewerLabels, split_labels


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LABELS = torch.randint(0, 4, (400,), generator=generator(9))


def test_stratified_disjoint_and_complete():
    split = split_labels(LABELS, per_class=5, validation_per_class=7, generator=generator())
    assert LABELS[split.labeled].bincount().tolist() == [5] * 4
    assert LABELS[split.validation].bincount().tolist() == [7] * 4
    assert torch.cat(split).sort().values.tolist() == list(range(400))
    assert all(part.dtype == torch.int64 for part in split)


def test_labels_need_not_be_consecutive():
    labels = torch.tensor([3, 7, 3, 7, 3, 7])
    split = split_labels(labels, per_class=1, validation_per_class=1, generator=generator())
    assert sorted(labels[split.labeled].tolist()) == [3, 7] and len(split.unlabeled) == 2


def test_the_seed_decides():
    first, again, other = (split_labels(LABELS, per_class=5, generator=generator(s)) for s in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert not torch.equal(first.labeled, other.labeled)


def test_budgets_are_nested_and_share_their_validation():
    small, large = (split_labels(LABELS, per_class=k, generator=generator()) for k in (2, 10))
    assert set(small.labeled.tolist()) < set(large.labeled.tolist())
    assert set(small.validation.tolist()) == set(large.validation.tolist())


def test_every_image_is_as_likely_to_be_labeled():
    counts = torch.zeros(40)
    labels = torch.arange(40) % 2
    for seed in range(400):
        counts[split_labels(labels, per_class=5, validation_per_class=0, generator=generator(seed)).labeled] += 1
    assert (counts / 400 - 0.25).abs().max() < 0.1


def test_no_validation_and_nothing_left_over():
    split = split_labels(torch.tensor([0, 0, 1, 1]), per_class=2, validation_per_class=0, generator=generator())
    assert len(split.validation) == len(split.unlabeled) == 0 and split.unlabeled.dtype == torch.int64


def test_classes_are_mixed_within_a_set():
    split = split_labels(LABELS, per_class=20, generator=generator())
    assert (LABELS[split.labeled].diff() != 0).sum() > 20


# --- classes with fewer images than were asked for ---


@pytest.mark.parametrize(
    ("sizes", "per_class", "validation", "labeled", "held_out", "says"),
    [
        ((3, 1), 2, 0, [2, 1], [0, 0], r"2 labeled and 0 validation .* 1 of 2 classes .*\(class 1\) 1 labeled and 0"),
        ((100, 100), 95, 20, [80, 80], [20, 20], "95 labeled and 20 .* 2 of 2 classes"),
        ((40, 24), 10, 20, [10, 10], [20, 8], r"\(class 1\) 10 labeled and 8 validation"),
        ((24, 24), 4, 20, [4, 4], [20, 20], None),
        ((7, 50), 10, 20, [3, 10], [2, 20], r"\(class 0\) 3 labeled and 2 validation"),
        ((1, 2, 3), 10, 20, [1, 1, 1], [0, 0, 1], r"3 of 3 classes .*\(class 0\) 1 labeled and 0"),
        ((35, 36), 10, 25, [10, 10], [25, 25], None),
    ],
)
def test_a_small_class_gives_what_it_has_and_that_is_said(sizes, per_class, validation, labeled, held_out, says):
    labels = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    options = {"per_class": per_class, "validation_per_class": validation}
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        split = split_labels(labels, generator=generator(), **options)
    assert labels[split.labeled].bincount(minlength=len(sizes)).tolist() == labeled
    assert labels[split.validation].bincount(minlength=len(sizes)).tolist() == held_out
    assert torch.cat(split).sort().values.tolist() == list(range(len(labels)))
    assert len(given) == (says is not None)
    if says is not None:
        with pytest.warns(FewerLabels, match=says):
            split_labels(labels, generator=generator(), **options)
        assert given[0].filename == __file__


def test_labels_of_small_classes_are_nested_too():
    labels = torch.arange(60) % 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewerLabels)
        drawn = [set(split_labels(labels, per_class=k, generator=generator()).labeled.tolist()) for k in (1, 5, 9)]
    assert drawn[0] < drawn[1] < drawn[2]


@pytest.mark.parametrize(
    ("labels", "options", "says"),
    [
        (LABELS, {"per_class": 0}, "at least 1"),
        (LABELS, {"per_class": 1, "validation_per_class": -1}, "at least 0"),
        (LABELS.float(), {"per_class": 1}, "int64.*float32"),
        (LABELS[:, None], {"per_class": 1}, r"\(400, 1\)"),
    ],
)
def test_what_cannot_be_split_is_said(labels, options, says):
    with pytest.raises(ValueError, match=says):
        split_labels(labels, generator=generator(), **options)
