"""Digits: 1,797 real handwritten digits that come with scikit-learn, so that nothing is downloaded."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

TEST_SIZE = 360  # the last rows
GRAYS = 16  # a pixel of the source counts the black dots in a square of 4 x 4
FACTOR = 3  # 8 x 8 becomes 24 x 24
BORDER = 2  # and 28 x 28, as glyphs and MNIST have it


def load_digits(split: str) -> tuple[Tensor, Tensor]:
    """Images uint8 (N, 1, 28, 28) and labels int64 (N,): 1,437 to learn from ("train") and 360 to measure on ("test").

    White on black as in MNIST, scaled up from 8 x 8 pixels by bilinear interpolation in whole numbers, so that every
    machine has the same bytes, within a black border of two pixels.

    The test set is always the last 360 rows, about 36 of each digit. The nearest neighbor on raw pixels is right for
    95.6 % of these, and for 99.2 % of every fifth row: rows that stand close together are alike, which suggests that
    they share a writer. So a test set drawn from all rows would make every method look better.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
    1998, https://archive.ics.uci.edu/ml/datasets/Optical+Recognition+of+Handwritten+Digits.
    `sklearn.datasets.load_digits` ships its test set, written by 13 people.
    """
    from sklearn import datasets

    source = datasets.load_digits()
    rows = slice(-TEST_SIZE, None) if split == "test" else slice(None, -TEST_SIZE)
    images = _scaled_up(source.images[rows].astype(np.int64))
    pixels = (images * 255 + GRAYS * FACTOR**2 // 2) // (GRAYS * FACTOR**2)  # rounded
    labels = torch.from_numpy(source.target[rows].astype(np.int64))
    return torch.from_numpy(pixels.astype(np.uint8))[:, None], labels


def _scaled_up(images: np.ndarray) -> np.ndarray:
    """Images (N, 8, 8) as (N, 28, 28), times FACTOR squared."""
    for axis in (1, 2):
        before, after = (np.roll(images, shift, axis) for shift in (1, -1))
        edge = [slice(None)] * 3
        edge[axis] = slice(0, 1)
        before[tuple(edge)] = images[tuple(edge)]
        edge[axis] = slice(-1, None)
        after[tuple(edge)] = images[tuple(edge)]
        thirds = (2 * images + before, 3 * images, 2 * images + after)
        stacked = np.stack(thirds, axis=axis + 1)  # (N, 8, 3, 8) for the rows
        shape = list(images.shape)
        shape[axis] *= FACTOR
        images = stacked.reshape(shape)
    return np.pad(images, ((0, 0), (BORDER, BORDER), (BORDER, BORDER)))
