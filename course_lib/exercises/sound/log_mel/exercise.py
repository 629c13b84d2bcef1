"""`log_mel`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import dtype_name


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    n = torch.randint(0, 5, (6,), generator=generator).tolist()

    def case(name: str, count: int, samples: int, window: int, hop: int, bands: int) -> Case:
        waves = (0.05 + uniform(count, 1)) * normal(count, samples)
        filters = (uniform(window // 2 + 1, bands) - 0.4).clamp(min=0)
        return Case(name, {"waves": waves, "filters": filters, "window": window, "hop": hop})

    double, strided = case("float64", 3, 40 + n[0], 12, 5, 4), case("strided", 6, 90, 16, 7, 3)
    double.inputs.update({key: double.inputs[key].double() for key in ("waves", "filters")})
    strided.inputs["waves"] = strided.inputs["waves"][::2, ::2]
    silent, faint = case("silence", 3, 44 + n[1], 16, 8, 4), case("faint_and_loud", 4, 50, 16, 6, 5)
    silent.inputs["waves"][:, 10:40] = 0
    faint.inputs["waves"] *= torch.tensor([[1e-3], [1e-2], [1.0], [30.0]])
    return [
        case("plain", 3 + n[2], 60 + n[3], 16, 6, 5),
        case("odd_window", 3, 40, 11, 4, 3),
        case("square", 4, 48 + n[4], 14, 14, 8),
        case("one_recording", 1, 30 + n[5], 10, 5, 4),
        case("one_frame", 3, 20, 20, 9, 4),
        silent,
        faint,
        double,
        strided,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    found = fn(given["waves"], given["filters"], window=given["window"], hop=given["hop"])
    return {"log_mel": found, "log_mel_dtype": dtype_name(found)}


exercise = Exercise(
    name="log_mel",
    title="The loudness of each frame in a few bands of frequency",
    signature="log_mel(waves, filters, *, window, hop)",
    minutes=15,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Four steps follow one another: the spectrum of each frame, its power, the sums over the bands, and the "
            "logarithm. `torch.stft` cuts frames, applies the window and transforms. By default it also adds half a "
            "frame at both ends, which is not asked for."
        ),
        api=(
            "`torch.stft(..., center=False, return_complex=True)`, `torch.hann_window`, `Tensor.abs`, "
            "`Tensor.square`, `Tensor.transpose`, `Tensor.log`"
        ),
        skeleton=(
            "spectrum = torch.stft(waves, window, hop, window=torch.hann_window(...), center=False, "
            "return_complex=True)\n"
            "power = spectrum.abs()...  # (N, window // 2 + 1, F)\n"
            "bands = power.transpose(...) @ filters  # (N, F, bands)\n"
            "return (bands + ...).log()"
        ),
    ),
    takeaway=(
        "A louder recording gives the same picture plus a constant, and the phase of the waves is gone. Neither says "
        "much about which word it is."
    ),
    cases=cases,
    observe=observe,
    words={"log_mel": "the tensor that you return", "log_mel_dtype": "its dtype"},
)
