"""`SoundData`: a set of recordings in one tensor, with labels and speakers; a shift, mel filters."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class SoundData:
    """A labeled set of recordings of one length.

    Attributes:
        name: what results are recorded under, such as "words".
        waves: float32, (N, T); amplitudes, mostly between -1 and 1.
        labels: int64, (N,); indices into `class_names`.
        speakers: int64, (N,); who speaks.
        class_names: one name per class.
        rate: samples per second.
        factors: known factors of variation, one (N,) tensor each; empty for real recordings.
        parts: (N, L, 2), where each phoneme begins and ends, in seconds, NaN where a word has fewer; or None.
    """

    name: str
    waves: Tensor
    labels: Tensor
    speakers: Tensor
    class_names: tuple[str, ...]
    rate: int
    factors: dict[str, Tensor] = field(default_factory=dict)
    parts: Tensor | None = None

    def __post_init__(self) -> None:
        if self.waves.dtype != torch.float32 or self.waves.ndim != 2:
            raise ValueError(
                f"waves must be float32 of shape (N, T); got {self.waves.dtype} of {tuple(self.waves.shape)}."
            )
        for key, value in {"labels": self.labels, "speakers": self.speakers}.items():
            if value.dtype != torch.int64 or value.shape != self.waves.shape[:1]:
                raise ValueError(
                    f"{key} must be int64 of shape ({len(self.waves)},), one per recording; "
                    f"got {value.dtype} of {tuple(value.shape)}."
                )
        for key, value in self.factors.items():
            if value.shape != self.labels.shape:
                raise ValueError(f"factor {key!r} must hold one value per recording; got shape {tuple(value.shape)}.")

    def __len__(self) -> int:
        return len(self.waves)

    def __repr__(self) -> str:
        seconds = self.waves.shape[1] / self.rate
        return (
            f"SoundData({self.name!r}, {len(self):,} recordings of {seconds:.2f} s at {self.rate:,} Hz, "
            f"{len(self.class_names)} classes, {len(self.speakers.unique())} speakers)"
        )

    def subset(self, positions: Tensor) -> SoundData:
        """The recordings at int64 positions, or where a mask of length N is True, with all that belongs to them."""
        return dataclasses.replace(
            self,
            waves=self.waves[positions],
            labels=self.labels[positions],
            speakers=self.speakers[positions],
            factors={key: value[positions] for key, value in self.factors.items()},
            parts=None if self.parts is None else self.parts[positions],
        )


def shift_in_time(waves: Tensor, *, generator: torch.Generator, largest: int = 120) -> Tensor:
    """Each recording (N, T) earlier or later by at most `largest` samples; what leaves at one end enters at the other.

    Augmentation for words: when a word begins does not matter.
    """
    count, length = waves.shape
    shifts = torch.randint(-largest, largest + 1, (count, 1), generator=generator).to(waves.device)
    places = (torch.arange(length, device=waves.device) - shifts) % length
    return waves.gather(1, places)


def mel_filters(bands: int, window: int, rate: int) -> Tensor:
    """Triangles on the mel scale, for power spectra of `window` samples: float32 (window // 2 + 1, bands).

    Their middles are spread evenly in mel, 1127 * log(1 + f / 700), from 0 Hz to half the rate: about evenly in Hz at
    low frequencies, and by ever larger steps at high ones, as people hear pitch. Each triangle ends where its
    neighbors have their middles, and its height is 1.

    >>> mel_filters(20, 128, 4_000).shape
    torch.Size([65, 20])

    Raises:
        ValueError: a number below 1.
    """
    if min(bands, window, rate) < 1:
        raise ValueError(f"bands={bands}, window={window}, rate={rate}: all must be at least 1.")
    highest = 1127 * math.log(1 + rate / 2 / 700)
    edges = 700 * (torch.linspace(0, highest, bands + 2).div(1127).exp() - 1)  # Hz
    frequency = torch.linspace(0, rate / 2, window // 2 + 1)[:, None]
    rising = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0)
