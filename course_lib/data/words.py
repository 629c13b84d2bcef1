"""Spoken words, synthesized on the fly: ten words, 48 speakers, noise and hum. No file, no download, all factors known.

A voice is a sum of harmonics of a pitch, each as loud as the formants of the phoneme let it through (Klatt 1980, much
simplified); *s* and *sh* are noise in a band. A speaker has a pitch, a length of the vocal tract, a tempo and a few
habits. A recording adds a loudness, noise of its own color and a hum of its own. The words are made of the same
phonemes in other orders, so the order decides and not which sounds occur.

The splits have different speakers. Recordings are made in chunks of fixed size, each with its own generator, so
recording i of a stream is the same whatever the number asked for, and nothing touches torch's global random state.

>>> data = speak_words(20)
>>> data.waves.shape, data.class_names[:4]
(torch.Size([20, 2560]), ('sami', 'masi', 'simu', 'musi'))
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib.data.sounds import SoundData

RATE = 4_000  # samples per second
SAMPLES = 2_560  # per recording, 0.64 s
CHUNK = 100  # recordings made at a time: what fits into the processor's cache
BLOCK = 50  # each word occurs equally often within a block
SPLITS = {"train": range(24), "validation": range(24, 36), "test": range(36, 48)}  # split -> its speakers


class Phoneme(NamedTuple):
    """Formants in Hz, how loud the voice and the noise are, and the middle of the noise in Hz."""

    formants: tuple[float, float, float]
    voice: float
    noise: float = 0.0
    middle: float = 0.0


PHONEMES = {
    "a": Phoneme((700, 1150, 1750), 1.0),
    "e": Phoneme((480, 1550, 1850), 1.0),
    "i": Phoneme((280, 1850, 1950), 1.0),
    "o": Phoneme((480, 850, 1700), 1.0),
    "u": Phoneme((320, 700, 1700), 0.9),
    "m": Phoneme((250, 900, 1600), 0.35),
    "s": Phoneme((300, 1200, 1800), 0.0, 0.5, 1850),
    "sh": Phoneme((300, 1200, 1800), 0.0, 0.5, 1200),
}
# The same sounds in other orders.
WORDS = {
    "sami": ("s", "a", "m", "i"),
    "masi": ("m", "a", "s", "i"),
    "simu": ("s", "i", "m", "u"),
    "musi": ("m", "u", "s", "i"),
    "shemo": ("sh", "e", "m", "o"),
    "moshe": ("m", "o", "sh", "e"),
    "aiu": ("a", "i", "u"),
    "uia": ("u", "i", "a"),
    "osha": ("o", "sh", "a"),
    "asho": ("a", "sh", "o"),
}
CLASSES = tuple(WORDS)

_FRAME = 32  # samples between two settings of the synthesizer
_FRAMES = SAMPLES // _FRAME
_HARMONICS = 22  # of the lowest pitch, up to the highest frequency that is voiced
_HIGHEST = 1_900  # Hz, below half the rate
_LONGEST = max(map(len, WORDS.values()))
_BANDWIDTHS, _STRENGTHS = (70.0, 100.0, 150.0), (1.0, 0.7, 0.4)  # of the formants
_BLUR = 0.012  # seconds in which a phoneme passes into the next


def speak_words(
    n: int = 2_000, *, split: str = "train", seed: int = 0, noise: float = 1.0, hum: float = 1.0
) -> SoundData:
    """Recordings of words by the speakers of a split.

    Args:
        n: how many recordings. The words are balanced within each 50, and the speakers are drawn evenly.
        split: "train" (speakers 0 to 23), "validation" (24 to 35) or "test" (36 to 47).
        seed: of what is said, by whom and how. The speakers themselves are the same for each seed.
        noise: factor on the noise of a recording; 0 is none.
        hum: factor on its hum, two tones that last through the recording; 0 is none.

    Returns:
        SoundData with `waves` (n, 2560) at 4,000 samples per second; `parts`, the start and end of each phoneme; and
        the factors pitch (Hz), tract (1 is average, above 1 a shorter tract, so that formants are higher), tempo
        (seconds that a word lasts relative to average), loudness, noise and hum (amplitudes), and color (0 is dark
        noise, 1 is bright noise).

    Raises:
        ValueError: an unknown split, fewer than one recording, or a negative noise or hum.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; it must be one of {', '.join(SPLITS)}.")
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n must be a whole number of at least 1; got {n!r}.")
    if noise < 0 or hum < 0:
        raise ValueError(f"noise and hum must be at least 0; got noise={noise}, hum={hum}.")
    chunks = [_chunk(split, seed, k, noise, hum) for k in range(-(-n // CHUNK))]
    joined = {key: torch.cat([chunk[key] for chunk in chunks])[:n] for key in chunks[0]}
    taken = {key: joined.pop(key) for key in ("waves", "labels", "speakers", "parts")}
    return SoundData("words", rate=RATE, class_names=CLASSES, factors=joined, **taken)


def _chunk(split: str, seed: int, number: int, noise: float, hum: float) -> dict[str, Tensor]:
    state = np.random.SeedSequence([seed, list(SPLITS).index(split), number]).generate_state(1, np.uint64)
    generator = torch.Generator().manual_seed(int(state[0] >> 1))

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(CHUNK, *shape, generator=generator)

    def normal(*shape: int) -> Tensor:
        return torch.randn(CHUNK, *shape, generator=generator)

    blocks = [torch.randperm(BLOCK, generator=generator) % len(CLASSES) for _ in range(CHUNK // BLOCK)]
    labels = torch.cat(blocks)
    own = SPLITS[split]
    speakers = torch.randint(own.start, own.stop, (CHUNK,), generator=generator)
    voice = {key: values[speakers] for key, values in _speakers().items()}
    length = _LENGTHS[labels]  # phonemes per word

    # When each phoneme begins and ends, in seconds, and how much of it is in each frame.
    lasts = (0.38 / length)[:, None] * voice["tempo"][:, None] * uniform(0.6, 1.4, _LONGEST)
    edges = F.pad(lasts.cumsum(1), (1, 0)) + uniform(0.0, 0.16, 1)  # (M, L + 1)
    there = torch.arange(_LONGEST) < length[:, None]
    parts = torch.stack([edges[:, :-1], edges[:, 1:]], dim=2).masked_fill(~there[..., None], math.nan)
    begun = ((_TIMES[:, None] - edges[:, None, :]) / _BLUR).sigmoid()  # (M, frames, L + 1)
    share = (begun[..., :-1] - begun[..., 1:]) * there[:, None]  # (M, frames, L)
    settings = share @ _TABLE[_SPELLED[labels]]  # (M, frames, 6): sums, weighted by the shares
    weight = share.sum(2, keepdim=True).clamp(min=1e-3)

    formants = settings[..., :3] / weight * voice["tract"][:, None, None] * (1 + 0.06 * normal(1, 3))
    voiced, noisy, middle = settings[..., 3], settings[..., 4], settings[..., 5] / weight[..., 0]
    pitch = voice["pitch"] * (1 + 0.08 * normal()).clamp(0.8, 1.2)
    glide = 1 + uniform(-0.15, 0.15, 1) * torch.linspace(-1, 1, _FRAMES)
    wobble = 1 + voice["vibrato"][:, None] * (2 * math.pi * 6 * _TIMES).sin()
    heard = pitch[:, None] * glide * wobble  # (M, frames), Hz
    phase = 2 * math.pi * (_samples(heard) / RATE).cumsum(1) + uniform(0, 2 * math.pi, 1)
    waves = _harmonics(_gains(heard, formants, voice["tilt"]) * voiced[..., None], phase)

    white = normal(SAMPLES)
    carrier = (2 * math.pi * (_samples(middle) / RATE).cumsum(1)).cos()
    waves += 1.2 * _samples(noisy) * _smoothed(white, 5) * 2 * carrier
    waves += 0.5 * voice["breath"][:, None] * _samples(voiced) * white
    loudness = uniform(0.5, 1.5)
    waves *= loudness[:, None]

    white, color, level = normal(SAMPLES), uniform(0, 1), noise * uniform(0.1, 0.45)
    waves += level[:, None] * (color[:, None] * white + (1 - color)[:, None] * 1.7 * _smoothed(white, 3))
    amplitudes, tones, starts = hum * uniform(0, 0.3, 2), uniform(60, 1_500, 2), uniform(0, 2 * math.pi, 2)
    time = torch.arange(SAMPLES) / RATE
    for k in range(2):
        waves += amplitudes[:, k, None] * (2 * math.pi * tones[:, k, None] * time + starts[:, k, None]).sin()

    factors = {"pitch": pitch, "tract": voice["tract"], "tempo": voice["tempo"], "loudness": loudness}
    recording = {"noise": level, "color": color, "hum": amplitudes.square().sum(1).sqrt()}
    return {"waves": waves, "labels": labels, "speakers": speakers, "parts": parts, **factors, **recording}


def _speakers() -> dict[str, Tensor]:
    """What is the same in all recordings of a speaker: one value for each of the 48."""
    generator = torch.Generator().manual_seed(48)
    count = SPLITS["test"].stop

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    return {
        "pitch": uniform(85, 230),  # Hz
        "tract": uniform(0.8, 1.25),
        "tempo": uniform(0.75, 1.25),
        "tilt": uniform(0.3, 1.2),  # how fast high harmonics get weaker
        "breath": uniform(0, 0.15),
        "vibrato": uniform(0, 0.04),
    }


def _gains(pitch: Tensor, formants: Tensor, tilt: Tensor) -> Tensor:
    """How loud each harmonic of pitch (M, frames) is with formants (M, frames, 3): (M, frames, H)."""
    frequency = pitch[..., None] * torch.arange(1, _HARMONICS + 1)
    gain = torch.zeros_like(frequency)
    for k, (width, strength) in enumerate(zip(_BANDWIDTHS, _STRENGTHS, strict=True)):
        gain += strength / (1 + ((frequency - formants[..., k : k + 1]) / width).square())
    gain *= (frequency / 500 + 0.2) ** -tilt[:, None, None]
    return gain.masked_fill(frequency >= _HIGHEST, 0.0)


def _harmonics(gain: Tensor, phase: Tensor) -> Tensor:
    """The sum over h of gain h * sin(h * phase), by Clenshaw's recurrence: one sine per sample instead of 22."""
    twice = 2 * phase.cos()
    after, later = torch.zeros_like(phase), torch.zeros_like(phase)
    for k in reversed(range(gain.shape[2])):
        after, later = _samples(gain[..., k]).addcmul_(twice, after).sub_(later), after
    return after * phase.sin()


def _samples(values: Tensor) -> Tensor:
    """Values per frame (M, frames) as values per sample, with straight lines between."""
    return F.interpolate(values[:, None], size=SAMPLES, mode="linear", align_corners=False)[:, 0]


def _smoothed(noise: Tensor, width: int) -> Tensor:
    """The mean over `width` samples around each, with silence before and after: noise without its high tones."""
    padded = F.pad(noise, (width // 2, width // 2))
    total = padded[:, :SAMPLES].clone()
    for k in range(1, width):
        total += padded[:, k : k + SAMPLES]
    return total / width


_TIMES = (torch.arange(_FRAMES) + 0.5) * _FRAME / RATE
_TABLE = torch.tensor([[*p.formants, p.voice, p.noise, p.middle] for p in PHONEMES.values()])
_LENGTHS = torch.tensor([len(word) for word in WORDS.values()])
_SPELLED = torch.zeros(len(WORDS), _LONGEST, dtype=torch.int64)
for _row, _word in enumerate(WORDS.values()):
    _SPELLED[_row, : len(_word)] = torch.tensor([list(PHONEMES).index(_phoneme) for _phoneme in _word])
