"""`scale`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

import torch

from course_lib.exercises.contract import Case, Exercise, Hints


def cases(seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)  # noqa: E731
    return [Case("plain", {"images": draw(3, 1, 4, 5)}), Case("one", {"images": draw(1, 3, 2, 2)})]


exercise = Exercise(
    name="scale",
    title="Bytes to numbers between 0 and 1",
    signature="scale(images)",
    minutes=1,
    difficulty=1,
    points=2,
    hints=Hints("Think.", "`torch.mul`", "return ..."),
    takeaway="Networks like numbers around one.",
    cases=cases,
    observe=lambda fn, case: {"scaled": fn(case.inputs["images"])},
    library=("course_lib.data.as_float",),
)
