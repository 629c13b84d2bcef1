"""A course of one small unit, whose experiment takes no time."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path
from typing import Any

from course_lib import settings
from course_lib.authoring import recording
from course_lib.records import Record

UNIT = "00_trial"

EXPERIMENT = '''
"""A trial."""
from __future__ import annotations
import os
import numpy as np
from course_lib import settings

SLOPE = 0.1


def gain(x: float) -> float:
    """What a label brings."""
    # a comment
    return SLOPE * x


def unused():
    return 1


def label_curve(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """The trial's curve."""
    if seed > 99:
        raise ValueError("too large a seed")
    assert os.environ["COURSE_PROFILE"] == profile == settings.profile()
    assert os.environ["COURSE_DATASET"] == dataset
    return {f"scratch@{n}": np.float32(gain(n) + seed / 100) for n in (5, 1, 10)} | {"loss": [1.0, 0.5 + seed]}


EXPERIMENTS = {"label_curve": label_curve}
TABLE_ROWS = {"Supervised, from scratch": "scratch"}
'''


def write(text: str = EXPERIMENT, *, unit: str = UNIT) -> Path:
    """Writes a unit's experiment."""
    path = settings.root() / "solutions" / unit / "experiment.py"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text, encoding="utf-8")
    now = time.time() + next(_LATER)  # two texts of one length and one second would share their compiled code
    os.utime(path, (now, now))
    return path


_LATER = itertools.count(step=2)


def run(**options: Any) -> list[Record]:
    """Records two seeds of the unit."""
    return recording.run(UNIT, progress=False, **{"seeds": 2, **options})
