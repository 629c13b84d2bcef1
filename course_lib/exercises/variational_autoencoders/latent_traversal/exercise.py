"""`latent_traversal`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing


def cases(seed: int) -> list[Case]:
    _, uniform, normal = drawing(seed)

    def case(name: str, code: Tensor, dim: int, values: Tensor) -> Case:
        return Case(name, {"code": code, "dim": dim, "values": values})

    return [
        case("plain", normal(6), 2, 4 * uniform(5) - 2),
        case("first", normal(4), 0, 4 * uniform(7) - 2),
        case("last", normal(5), 4, 4 * uniform(3) - 2),
        case("as_many_values_as_latents", normal(5), 1, 4 * uniform(5) - 2),
        case("one_value", normal(3), 1, uniform(1)),
        case("one_latent", normal(1), 0, 4 * uniform(4) - 2),
        case("not_contiguous", normal(6, 3).t()[1], 3, 4 * uniform(4) - 2),
        case("float64", normal(4).double(), 2, uniform(6).double()),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    code, values = case.inputs["code"], case.inputs["values"]
    codes = fn(code, case.inputs["dim"], values)
    return {"codes": codes, "code_after": code, "values_after": values}


exercise = Exercise(
    name="latent_traversal",
    title="Turn one knob, leave the others alone",
    signature="latent_traversal(code, dim, values)",
    minutes=8,
    difficulty=1,
    points=3,
    hints=Hints(
        concept=(
            "As many copies of the code as there are values, one below the other; then one column of that table is "
            "replaced. They must be real copies: rows that share their memory all change together."
        ),
        api="`Tensor.repeat`, `Tensor.expand(...).clone()`, indexing with `[:, dim]`",
        skeleton="codes = code.repeat(..., ...)  # (K, code_dim)\ncodes[...] = ...\nreturn codes",
    ),
    takeaway="Decode these rows, and you see what this one latent means, at this place in the space of codes.",
    cases=cases,
    observe=observe,
    words={
        "codes": "the tensor of codes that you return",
    },
)
