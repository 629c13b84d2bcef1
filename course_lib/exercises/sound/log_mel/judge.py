"""`log_mel`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import all_of, as_expected, everywhere, other_dtype, somewhere
from course_lib.exercises.contract import Criterion, Judge, Trial, close


def reference(waves: Tensor, filters: Tensor, *, window: int, hop: int) -> Tensor:
    """By the Fourier transform of each frame."""
    fade = torch.hann_window(window, dtype=waves.dtype, device=waves.device)
    power = torch.fft.rfft(waves.unfold(1, window, hop) * fade).abs() ** 2  # (N, F, window // 2 + 1)
    return torch.log(torch.einsum("nfk,kb->nfb", power, filters.to(power)) + 1e-3)


_USUAL = ("plain", "odd_window", "square", "one_recording", "one_frame", "strided")
_right = as_expected("log_mel", atol=1e-4)


def _infinite(trial: Trial) -> bool:
    found = trial.seen["log_mel"]
    return isinstance(found, Tensor) and not bool(found.isfinite().all())


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("value", 2, "the logarithm of the power in each band, frame by frame", _right, _USUAL),
        Criterion(
            "silence",
            1,
            "silence and faint sounds give log(0.001) or a little more",
            _right,
            ("silence", "faint_and_loud"),
        ),
        Criterion(
            "dtype", 1, "float64 stays float64", all_of(_right, as_expected("log_mel_dtype")), ("float64",), form=True
        ),
    ),
    predicates={
        "another_dtype": lambda trials: other_dtype(trials, "log_mel"),
        "nothing_added": somewhere(_infinite, "silence"),
        "bands_before_frames": everywhere(
            lambda t: close(t.seen["log_mel"], t.expected["log_mel"].transpose(1, 2), atol=1e-3)
        ),
    },
)
