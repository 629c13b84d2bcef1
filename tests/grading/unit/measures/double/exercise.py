"""`double`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

import torch

from course_lib.exercises.contract import Case, Exercise, Hints


def cases(seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"plain": (4, 3), "one": (1, 3), "transposed": (5, 2)}
    cases = [Case(name, {"x": torch.randn(*shape, generator=generator)}) for name, shape in shapes.items()]
    return [*cases[:2], Case("transposed", {"x": cases[2].inputs["x"].T})]


exercise = Exercise(
    name="double",
    title="Twice the input",
    signature="double(x)",
    minutes=1,
    difficulty=1,
    points=3,
    hints=Hints("Think.", "`torch.mul`", "return ..."),
    takeaway="Two times is one addition.",
    cases=cases,
    observe=lambda fn, case: {"doubled": fn(case.inputs["x"]), "x_after": case.inputs["x"]},
)
