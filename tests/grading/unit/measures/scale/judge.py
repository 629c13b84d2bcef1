"""The judge of `scale`."""

from __future__ import annotations

import torch

from course_lib.exercises.contract import Criterion, Judge, close


def reference_of_scale(images):
    return images.to(torch.float32) / 255


judge = Judge(
    reference=reference_of_scale,
    criteria=(Criterion("value", 2, "from 0 to 1", lambda c, s, e: close(s["scaled"], e["scaled"])),),
)
