"""`frames`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import dtype_name


def cases(seed: int) -> list[Case]:
    generator, _, normal = drawing(seed)
    n = torch.randint(0, 5, (8,), generator=generator).tolist()

    def case(name: str, count: int, samples: int, length: int, hop: int) -> Case:
        return Case(name, {"waves": 1 + normal(count, samples), "length": length, "hop": hop})

    double, strided = case("float64", 3, 17 + n[0], 6, 4), case("strided", 8, 38, 5, 3)
    double.inputs["waves"] = double.inputs["waves"].double()
    strided.inputs["waves"] = strided.inputs["waves"][::2, ::2]
    return [
        case("plain", 4 + n[1], 20 + n[2], 6, 4),
        case("half", 3, 24, 8, 4),
        case("rest_left", 2, 23 + 6 * n[3], 7, 6),
        case("gaps", 3, 26 + n[4], 4, 7),
        case("touching", 3, 18, 6, 6),
        case("each_sample", 2, 9 + n[5], 4, 1),
        case("one_recording", 1, 14 + n[6], 5, 2),
        case("one_frame", 3, 7 + n[7], 7 + n[7], 3),
        double,
        strided,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    cut = fn(given["waves"], length=given["length"], hop=given["hop"])
    return {"frames": cut, "frames_dtype": dtype_name(cut)}


exercise = Exercise(
    name="frames",
    title="Recordings in short pieces that overlap",
    signature="frames(waves, *, length, hop)",
    minutes=10,
    difficulty=1,
    points=3,
    hints=Hints(
        concept=(
            "Frame f begins at sample f * hop and has `length` samples. Only whole frames count, so the last one is "
            "the last that fits. Nothing is added to the recording, neither before it nor after it."
        ),
        api="`Tensor.unfold(dimension, size, step)`, or `torch.stack` of slices, or `torch.arange` and indexing",
        skeleton="return waves.unfold(1, ..., ...)  # (N, T) -> (N, F, length)",
    ),
    takeaway=(
        "A frame is short enough for a sound to stay the same in it. With a hop below the length, what lies on the "
        "border of one frame is in the middle of another."
    ),
    cases=cases,
    observe=observe,
    words={"frames": "the tensor that you return", "frames_dtype": "its dtype"},
)
