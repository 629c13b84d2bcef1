"""few_label_split: stratified, disjoint, complete, the same for a seed."""

from __future__ import annotations

import pytest
import torch

from course_lib.data import few_label_split


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LABELS = torch.randint(0, 4, (400,), generator=generator(9))


def test_stratified_disjoint_and_complete():
    split = few_label_split(LABELS, per_class=5, validation_per_class=7, generator=generator())
    assert LABELS[split.labeled].bincount().tolist() == [5] * 4
    assert LABELS[split.validation].bincount().tolist() == [7] * 4
    assert torch.cat(split).sort().values.tolist() == list(range(400))
    assert all(part.dtype == torch.int64 for part in split)


def test_labels_need_not_be_consecutive():
    labels = torch.tensor([3, 7, 3, 7, 3, 7])
    split = few_label_split(labels, per_class=1, validation_per_class=1, generator=generator())
    assert sorted(labels[split.labeled].tolist()) == [3, 7] and len(split.unlabeled) == 2


def test_the_seed_decides():
    first, again, other = (few_label_split(LABELS, per_class=5, generator=generator(s)) for s in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert not torch.equal(first.labeled, other.labeled)


def test_budgets_are_nested_and_share_their_validation():
    small, large = (few_label_split(LABELS, per_class=k, generator=generator()) for k in (2, 10))
    assert set(small.labeled.tolist()) < set(large.labeled.tolist())
    assert set(small.validation.tolist()) == set(large.validation.tolist())


def test_every_image_is_as_likely_to_be_labeled():
    counts = torch.zeros(40)
    labels = torch.arange(40) % 2
    for seed in range(400):
        counts[few_label_split(labels, per_class=5, validation_per_class=0, generator=generator(seed)).labeled] += 1
    assert (counts / 400 - 0.25).abs().max() < 0.1


def test_no_validation_and_nothing_left_over():
    split = few_label_split(torch.tensor([0, 0, 1, 1]), per_class=2, validation_per_class=0, generator=generator())
    assert len(split.validation) == len(split.unlabeled) == 0 and split.unlabeled.dtype == torch.int64


def test_classes_are_mixed_within_a_set():
    split = few_label_split(LABELS, per_class=20, generator=generator())
    assert (LABELS[split.labeled].diff() != 0).sum() > 20


@pytest.mark.parametrize(
    ("labels", "options", "says"),
    [
        (
            torch.tensor([0, 0, 0, 1]),
            {"per_class": 2, "validation_per_class": 0},
            "class 1 has 1 images",
        ),
        (LABELS, {"per_class": 95}, "20 for validation"),
        (LABELS, {"per_class": 0}, "at least 1"),
        (LABELS, {"per_class": 1, "validation_per_class": -1}, "at least 0"),
        (LABELS.float(), {"per_class": 1}, "int64.*float32"),
        (LABELS[:, None], {"per_class": 1}, r"\(400, 1\)"),
    ],
)
def test_what_cannot_be_split_is_said(labels, options, says):
    with pytest.raises(ValueError, match=says):
        few_label_split(labels, generator=generator(), **options)
