"""Recordings as data: shapes, subsets, shifts, mel filters, and a folder of WAV files."""

from __future__ import annotations

import wave

import numpy as np
import pytest
import torch

from course_lib.data import DataNotFound
from course_lib.data.sounds import SoundData, mel_filters, shift_in_time
from course_lib.data.wav_files import load_wavs


def data(n=6, length=20):
    numbers = torch.arange(n)
    return SoundData(
        "made",
        waves=torch.arange(n * length, dtype=torch.float32).view(n, length),
        labels=numbers % 2,
        speakers=numbers,
        class_names=("a", "b"),
        rate=10,
        factors={"pitch": numbers.float()},
        parts=torch.zeros(n, 2, 2),
    )


def test_a_subset_keeps_what_belongs_together():
    chosen = data().subset(torch.tensor([4, 1]))
    assert chosen.waves[:, 0].tolist() == [80, 20] and chosen.labels.tolist() == [0, 1]
    assert chosen.speakers.tolist() == chosen.factors["pitch"].tolist() == [4, 1] and len(chosen.parts) == 2
    assert data().subset(data().speakers < 2).speakers.tolist() == [0, 1]
    assert "6 recordings of 2.00 s at 10 Hz, 2 classes, 6 speakers" in repr(data())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"waves": torch.zeros(6, 20, dtype=torch.float64)}, "float32"),
        ({"waves": torch.zeros(6, 1, 20)}, r"\(N, T\)"),
        ({"labels": torch.zeros(5, dtype=torch.int64)}, "labels must be int64"),
        ({"speakers": torch.zeros(6)}, "speakers must be int64"),
        ({"factors": {"pitch": torch.zeros(3)}}, "'pitch'"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(change, message):
    given = {key: getattr(data(), key) for key in ("waves", "labels", "speakers", "class_names", "rate")}
    with pytest.raises(ValueError, match=message):
        SoundData("made", **{**given, **change})


def test_a_shift_rolls_each_recording_by_its_own_amount():
    waves = torch.arange(50.0).repeat(200, 1)
    shifted = shift_in_time(waves, generator=torch.Generator().manual_seed(0), largest=3)
    assert torch.equal(shifted.sort(dim=1).values, waves), "nothing is lost"
    amounts = [int((row == 0).nonzero()) for row in shifted]
    assert {min(a, a - 50, key=abs) for a in amounts} == set(range(-3, 4))
    assert all(torch.equal(row, torch.arange(50.0).roll(a)) for row, a in zip(shifted, amounts))
    again = shift_in_time(waves, generator=torch.Generator().manual_seed(0), largest=3)
    assert torch.equal(shifted, again) and torch.equal(waves[3], torch.arange(50.0))


def test_mel_filters_are_triangles_that_add_up_to_one_in_the_middle():
    filters = mel_filters(10, 512, 8_000)
    assert filters.shape == (257, 10) and filters.min() >= 0 and filters.max() <= 1
    middles = filters.argmax(dim=0)
    assert (middles.diff() > 0).all() and (middles.diff()[1:] >= middles.diff()[:-1] - 1).all()
    inside = filters[middles[0] : middles[-1] + 1].sum(dim=1)
    assert torch.allclose(inside, torch.ones_like(inside), atol=1e-4)
    assert filters[0].sum() == 0
    with pytest.raises(ValueError, match="bands=0"):
        mel_filters(0, 512, 8_000)


# --- a folder of recordings ---


def write(path, samples, *, rate=8_000, channels=1, width=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        kind = {1: "u1", 2: "<i2", 4: "<i4"}[width]
        file.writeframes(np.asarray(np.asarray(samples) * (2 ** (8 * width - 1) - 1) * 0.5).astype(kind).tobytes())


def tone(seconds=0.5, *, rate=8_000, frequency=300.0):
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def test_a_folder_gives_words_and_speakers(tmp_path):
    for speaker in ("bea", "ann"):
        for word in ("yes", "no"):
            write(tmp_path / speaker / word / "1.wav", tone())
    write(tmp_path / "ann" / "no" / "2.WAV", tone(2.0))
    (tmp_path / "ann" / "no" / "note.txt").write_text("not a recording")
    found = load_wavs(tmp_path)
    assert found.name == tmp_path.name and found.class_names == ("no", "yes") and found.rate == 4_000
    assert found.labels.tolist() == [0, 0, 1, 0, 1] and found.speakers.tolist() == [0, 0, 0, 1, 1]
    assert found.waves.shape == (5, 2_560) and load_wavs(tmp_path, rate=2_000, seconds=1).waves.shape == (5, 2_000)


def test_a_recording_is_resampled_scaled_and_cut_to_its_loudest_part(tmp_path):
    silence = np.zeros(8_000)
    write(tmp_path / "ann" / "a" / "1.wav", np.concatenate([silence, 0.1 * tone(), silence]))
    wave = load_wavs(tmp_path).waves[0]
    assert abs(float(wave.abs().max()) - 1) < 1e-3
    power = torch.fft.rfft(wave).abs()
    assert abs(float(torch.fft.rfftfreq(2_560, 1 / 4_000)[power.argmax()]) - 300) < 5
    assert float((wave.abs() > 0.05).float().mean()) > 0.7, "the tone lasts 0.5 of 0.64 seconds"
    write(tmp_path / "ann" / "a" / "1.wav", tone(0.1))
    short = load_wavs(tmp_path).waves[0]
    assert short[:400].any() and not short[450:].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 2}, "has 2 channels, and one"),
        ({"width": 1}, "has 8 bits"),
        ({"width": 4}, "has 32 bits"),
        ({"rate": 2_000}, "has 2000 samples per second, and at least 4000"),
    ],
    ids=str,
)
def test_a_file_of_another_kind_is_named_with_what_converts_it(tmp_path, options, message):
    write(tmp_path / "ann" / "a" / "1.wav", tone(), **options)
    with pytest.raises(ValueError, match=f"1.wav {message}.*ffmpeg"):
        load_wavs(tmp_path)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound at all, whatever it is called"])
def test_a_file_that_is_no_recording_is_named(tmp_path, content):
    (tmp_path / "ann" / "a").mkdir(parents=True)
    (tmp_path / "ann" / "a" / "1.wav").write_bytes(content)
    with pytest.raises(ValueError, match=r"1\.wav is not a WAV file"):
        load_wavs(tmp_path)


def test_an_empty_recording_a_missing_folder_and_one_without_files(tmp_path):
    with pytest.raises(DataNotFound, match="is not a folder"):
        load_wavs(tmp_path / "nothing")
    with pytest.raises(DataNotFound, match="has no such files"):
        load_wavs(tmp_path)
    write(tmp_path / "ann" / "a" / "1.wav", [])
    with pytest.raises(ValueError, match="is empty"):
        load_wavs(tmp_path)
    with pytest.raises(ValueError, match="above 0"):
        load_wavs(tmp_path, rate=0)
