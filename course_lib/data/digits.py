"""Digits: 1,797 real handwritten digits that come with scikit-learn, so that nothing is downloaded."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

TEST_SIZE = 360  # the last rows
DOTS = 16  # a pixel of the source counts the black dots in a square of 4 x 4
FACTOR = 3  # 8 x 8 becomes 24 x 24
BORDER = 2  # and 28 x 28, as glyphs and MNIST have it
HALF = 0.5 + 1e-6  # 37,818 pixels lie halfway between two grays, 13,576 of them just short of it in float64: all go up


def load_digits(split: str) -> tuple[Tensor, Tensor]:
    """Images uint8 (N, 1, 28, 28) and labels int64 (N,): 1,437 to learn from ("train") and 360 to measure on ("test").

    White on black as in MNIST, scaled up from 8 x 8 pixels by bilinear interpolation, rounded in such a way that every
    machine has the same bytes, within a black border of two pixels.

    The test set is always the last 360 rows, about 36 of each digit. The nearest neighbor on the 8 x 8 pixels is right
    for 95.6 % of these. It is right for 98.8 % of all rows where every fifth row in turn is the test set (97.8 % to
    99.7 %), because rows that stand close together are alike, which suggests that they share a writer. So a test set
    drawn from all rows would make every method look better.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
    1998, https://archive.ics.uci.edu/ml/datasets/Optical+Recognition+of+Handwritten+Digits.
    `sklearn.datasets.load_digits` ships its test set, written by 13 people.
    """
    from sklearn import datasets

    source = datasets.load_digits()
    rows = slice(-TEST_SIZE, None) if split == "test" else slice(None, -TEST_SIZE)
    dots = torch.from_numpy(source.images[rows])[:, None]  # (N, 1, 8, 8), float64
    dots = F.pad(F.interpolate(dots, scale_factor=FACTOR, mode="bilinear"), [BORDER] * 4)
    pixels = (dots * (255 / DOTS) + HALF).floor().to(torch.uint8)
    return pixels, torch.from_numpy(source.target[rows].astype(np.int64))
