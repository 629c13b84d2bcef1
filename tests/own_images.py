"""Folders of made-up images, as a learner's own may be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def make(folder: Path, **counts: dict[str, int]) -> Path:
    """Writes color images of 40 x 32 pixels: train={"cat": 3, "dog": 2}, test=... A class has a color of its own."""
    rng = np.random.default_rng(0)
    for split, classes in counts.items():
        for name, count in classes.items():
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            color = np.array([(sum(map(ord, name)) * step) % 256 for step in (37, 59, 83)])
            for number in range(count):
                pixels = rng.integers(0, 256, (32, 40, 3)) // 2 + color // 2
                Image.fromarray(pixels.astype(np.uint8)).save(folder / split / name / f"{number}.png")
    return folder
