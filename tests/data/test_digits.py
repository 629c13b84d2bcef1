"""Digits: real images without a download, always split in the same way."""

from __future__ import annotations

import hashlib
import socket

import pytest
import torch
from sklearn import datasets
from torch.nn import functional as F

from course_lib.data import DataWarning, load, split_labels


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def offline(*arguments, **options):
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "create_connection", offline)
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.delenv("COURSE_DATA", raising=False)


def test_two_fixed_splits_of_real_digits():
    train, test = load("digits"), load("digits", split="test")
    assert train.images.shape == (1437, 1, 28, 28) and test.images.shape == (360, 1, 28, 28)
    assert train.class_names == test.class_names == tuple("0123456789") and train.name == "digits"
    assert torch.cat([train.labels, test.labels]).tolist() == datasets.load_digits().target.tolist()
    assert train.labels.bincount().min() == 141 and test.labels.bincount().min() >= 33
    assert not set(map(bytes, train.images.flatten(1).numpy())) & set(map(bytes, test.images.flatten(1).numpy()))


def test_the_bytes_are_the_same_on_every_machine():
    images = torch.cat([load("digits", split=split).images for split in ("train", "test")])
    assert hashlib.sha256(images.numpy().tobytes()).hexdigest()[:16] == "2bae2174a3039030"


def test_it_is_bilinear_interpolation_within_a_black_border():
    source = torch.tensor(datasets.load_digits().images[:50])[:, None] * 255 / 16
    exact = F.interpolate(source, scale_factor=3, mode="bilinear")
    images = load("digits").images[:50]
    assert (images[:, :, 2:-2, 2:-2] - exact).abs().max() <= 0.5 + 1e-9
    border = torch.ones(28, 28, dtype=torch.bool)
    border[2:-2, 2:-2] = False
    assert images[:, 0, border].max() == 0 and images.max() == 255


def test_a_test_set_drawn_from_all_rows_looks_easier_to_the_nearest_neighbor():
    """The figures in the docstring: rows that stand close together are alike."""
    source = datasets.load_digits()
    pixels, labels = torch.from_numpy(source.images).flatten(1), torch.from_numpy(source.target)
    rows = torch.arange(len(labels))

    def right(tested):
        learned = rows[~torch.isin(rows, tested)]
        nearest = torch.cdist(pixels[tested], pixels[learned]).argmin(dim=1)
        return (labels[learned][nearest] == labels[tested]).sum().item()

    assert round(right(rows[-360:]) / 360, 3) == 0.956
    fifths = [rows[start::5] for start in range(5)]
    shares = [right(fifth) / len(fifth) for fifth in fifths]
    assert (round(min(shares), 3), round(max(shares), 3)) == (0.978, 0.997)
    assert round(sum(map(right, fifths)) / len(rows), 3) == 0.988


def test_a_subset_is_balanced_and_more_than_there_are_is_said(monkeypatch):
    assert load("digits", n=1000).labels.bincount().tolist() == [100] * 10
    monkeypatch.setenv("COURSE_DATASET", "digits")
    with pytest.warns(DataWarning, match=r"digits \(test\) has fewer than the 2,000 .* all 360 are taken, 33 to 37"):
        assert len(load(split="test", n=2000)) == 360
    with pytest.raises(ValueError, match="digits takes no option 'clutter'"):
        load(clutter=0.0)
    with pytest.raises(ValueError, match="digits has train, test"):
        load(split="validation")


def test_every_budget_of_the_course_fits():
    labels = load("digits").labels
    split = split_labels(labels, per_class=50, generator=torch.Generator().manual_seed(0))
    assert labels[split.labeled].bincount().tolist() == [50] * 10
