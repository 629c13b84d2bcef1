"""A folder of your own recordings, `<speaker>/<word>/*.wav`, as the same kind of data as the synthesized words."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_lib.data.errors import DataNotFound
from course_lib.data.sounds import SoundData

HOW_TO_CONVERT = "ffmpeg -i FILE -ac 1 -ar 16000 -sample_fmt s16 NEW.wav"


def load_wavs(folder: str | Path, *, rate: int = 4_000, seconds: float = 0.64, name: str | None = None) -> SoundData:
    """The recordings in `folder/<speaker>/<word>/*.wav`, each of one length and one rate.

    A recording is resampled to `rate`, divided by its largest amplitude, and cut to the part of `seconds` with the
    most energy; a shorter one is followed by silence. Words and speakers have their numbers in alphabetical order. To
    split by speaker, take `data.subset(data.speakers < 5)` and the rest.

    Args:
        folder: what holds one folder per speaker.
        rate: samples per second of the result.
        seconds: the length of the result.
        name: what results are recorded under; None is the folder's own name.

    Returns:
        SoundData; `waves` is float32 (N, rate * seconds), and its factors are empty.

    Raises:
        DataNotFound: there is no such folder, or no recording in it.
        ValueError: a file that is not mono with 16 bits, is empty, or has fewer samples per second than `rate`.
            The message names the file and the command that converts it.
    """
    if rate < 1 or seconds <= 0:
        raise ValueError(f"rate={rate}, seconds={seconds}: both must be above 0.")
    root = Path(folder).expanduser()
    files = sorted(path for path in root.glob("*/*/*") if path.suffix.lower() == ".wav" and path.name[0] != ".")
    if not files:
        there = "has no such files" if root.is_dir() else "is not a folder"
        raise DataNotFound(f"Expected recordings in {root}/<speaker>/<word>/*.wav, but {root} {there}.")
    words = sorted({path.parent.name for path in files})
    speakers = sorted({path.parent.parent.name for path in files})
    length = round(rate * seconds)
    return SoundData(
        name or root.resolve().name,
        waves=torch.stack([_loudest(read_wav(path, rate=rate), length) for path in files]),
        labels=torch.tensor([words.index(path.parent.name) for path in files]),
        speakers=torch.tensor([speakers.index(path.parent.parent.name) for path in files]),
        class_names=tuple(words),
        rate=rate,
    )


def read_wav(path: Path, *, rate: int) -> Tensor:
    """One recording as float32 (T,) at `rate` samples per second, its largest amplitude 1 unless it is silent.

    Raises:
        ValueError: as for `load_wavs`.
    """
    from scipy.signal import resample_poly

    try:
        with wave.open(str(path), "rb") as file:
            channels, width, own_rate, count = file.getparams()[:4]
            content = file.readframes(count)
    except (wave.Error, EOFError) as error:
        raise _cannot_be_read(path, f"is not a WAV file of whole numbers ({error})") from error
    if channels != 1:
        raise _cannot_be_read(path, f"has {channels} channels, and one (mono) is expected")
    if width != 2:
        raise _cannot_be_read(path, f"has {8 * width} bits per sample, and 16 are expected")
    if own_rate < rate:
        raise _cannot_be_read(path, f"has {own_rate} samples per second, and at least {rate} are expected")
    samples = np.frombuffer(content[: len(content) // 2 * 2], dtype="<i2").astype(np.float32) / 2**15
    if len(samples) == 0:
        raise _cannot_be_read(path, "is empty")
    if own_rate != rate:
        common = math.gcd(own_rate, rate)
        samples = resample_poly(samples, rate // common, own_rate // common).astype(np.float32)
    return torch.from_numpy(samples / max(float(np.abs(samples).max()), 1e-4))


def _cannot_be_read(path: Path, why: str) -> ValueError:
    return ValueError(f"{path} {why}. To convert it: {HOW_TO_CONVERT}")


def _loudest(samples: Tensor, length: int) -> Tensor:
    """The part of this length with the most energy; a shorter recording, followed by zeros."""
    if len(samples) <= length:
        return torch.cat([samples, samples.new_zeros(length - len(samples))])
    energy = torch.cat([torch.zeros(1, dtype=torch.float64), samples.double().square().cumsum(0)])
    start = int((energy[length:] - energy[:-length]).argmax())
    return samples[start : start + length]
