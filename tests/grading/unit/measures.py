"""A unit of two small exercises that only the tests of the grader know."""

from __future__ import annotations

import torch

from course_lib.exercises.contract import Case, Exercise, Hints

UNIT = "97_measures"
HINTS = Hints("Think.", "`torch.mul`", "return ...")


def _double_cases(seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"plain": (4, 3), "one": (1, 3), "transposed": (5, 2)}
    cases = [Case(name, {"x": torch.randn(*shape, generator=generator)}) for name, shape in shapes.items()]
    return [*cases[:2], Case("transposed", {"x": cases[2].inputs["x"].T})]


def _scale_cases(seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)  # noqa: E731
    return [Case("plain", {"images": draw(3, 1, 4, 5)}), Case("one", {"images": draw(1, 3, 2, 2)})]


double = Exercise(
    name="double",
    unit=UNIT,
    title="Twice the input",
    signature="double(x)",
    minutes=1,
    difficulty=1,
    points=3,
    hints=HINTS,
    takeaway="Two times is one addition.",
    cases=_double_cases,
    observe=lambda fn, case: {"doubled": fn(case.inputs["x"]), "x_after": case.inputs["x"]},
)

scale = Exercise(
    name="scale",
    unit=UNIT,
    title="Bytes to numbers between 0 and 1",
    signature="scale(images)",
    minutes=1,
    difficulty=1,
    points=2,
    hints=HINTS,
    takeaway="Networks like numbers around one.",
    cases=_scale_cases,
    observe=lambda fn, case: {"scaled": fn(case.inputs["images"])},
    library=("course_lib.data.as_float",),
)

EXERCISES = (double, scale)
