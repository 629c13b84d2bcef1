"""Synthesized words: the same from the same seed, speakers split, factors true, sounds where they should be."""

from __future__ import annotations

import time

import pytest
import torch
from torch.nn import functional as F

from course_lib.data import words
from course_lib.data.words import RATE, SAMPLES, speak_words


def test_the_same_seed_speaks_the_same_and_touches_no_global_state():
    before = torch.get_rng_state()
    first, longer = speak_words(30, seed=5), speak_words(130, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    for name in ("waves", "labels", "speakers"):
        assert torch.equal(getattr(first, name), getattr(longer, name)[:30])
    assert torch.equal(first.parts.nan_to_num(-1), longer.parts[:30].nan_to_num(-1))
    assert not torch.equal(first.waves, speak_words(30, seed=6).waves)
    assert not torch.equal(first.waves, speak_words(30, seed=5, split="test").waves)


def test_speakers_of_the_splits_differ_and_all_of_them_speak():
    heard = {split: set(speak_words(1_000, split=split).speakers.tolist()) for split in words.SPLITS}
    assert heard == {split: set(numbers) for split, numbers in words.SPLITS.items()}
    assert not heard["train"] & heard["test"] and not heard["train"] & heard["validation"]


def test_words_are_balanced_and_made_of_the_same_phonemes():
    data = speak_words(250)
    assert data.labels.bincount().tolist() == [25] * 10
    assert data.class_names == tuple(words.WORDS) and data.waves.shape == (250, SAMPLES)
    anagrams = [sorted(word) for word in words.WORDS.values()]
    assert sum(anagrams.count(word) > 1 for word in anagrams) >= 8, "the order has to decide"


def test_the_parts_say_where_the_phonemes_are():
    data = speak_words(200, noise=0, hum=0)
    parts = data.parts
    for word, spans in zip(data.labels.tolist(), parts):
        spoken = words.WORDS[words.CLASSES[word]]
        assert spans.isfinite().all(dim=1).sum() == len(spoken)
        spans = spans[: len(spoken)]
        assert (spans[:, 1] > spans[:, 0]).all() and torch.equal(spans[1:, 0], spans[:-1, 1])
    # without noise the sound is where the word is
    time = torch.arange(SAMPLES) / RATE
    inside = (time >= parts[:, :1, 0] - 0.05) & (time <= parts[..., 1].nan_to_num(0).amax(1)[:, None] + 0.05)
    energy = data.waves.square()
    assert float((energy * inside).sum() / energy.sum()) > 0.99


def spectrum(waves):
    return torch.fft.rfft(waves * torch.hann_window(waves.shape[1])).abs().square()


def band(power, low, high):
    frequency = torch.linspace(0, RATE / 2, power.shape[1])
    return power[:, (frequency >= low) & (frequency < high)].sum(dim=1)


def test_vowels_and_noises_have_their_frequencies():
    data = speak_words(400, noise=0, hum=0)
    pieces = {"s": [], "sh": [], "i": [], "o": []}
    for wave, word, spans in zip(data.waves, data.labels.tolist(), data.parts):
        for phoneme, (start, end) in zip(words.WORDS[words.CLASSES[word]], spans.tolist()):
            if phoneme in pieces:
                middle = int((start + end) / 2 * RATE)
                piece = wave[max(middle - 100, 0) : middle + 100]
                pieces[phoneme].append(F.pad(piece, (0, 200 - len(piece))))
    share = {
        name: float((band(power, 1500, 2000) / power.sum(dim=1).clamp(min=1e-9)).median())
        for name, power in ((name, spectrum(torch.stack(found))) for name, found in pieces.items())
    }
    assert share["s"] > share["sh"] + 0.3 and share["i"] > share["o"]
    low = spectrum(torch.stack(pieces["s"]))
    assert float((band(low, 0, 1000) / low.sum(dim=1)).median()) < 0.1, "s has no voice"


def test_the_pitch_is_the_factor():
    data = speak_words(200, noise=0, hum=0)
    errors = []
    for wave, pitch, spans, label in zip(data.waves, data.factors["pitch"], data.parts, data.labels.tolist()):
        word = words.WORDS[words.CLASSES[label]]
        vowel = next(k for k, phoneme in enumerate(word) if phoneme in "aeiou")
        middle = int(spans[vowel].mean() * RATE)
        piece = wave[max(middle - 150, 0) : middle + 150]
        piece = piece - piece.mean()
        again = torch.stack([(piece[lag:] * piece[: len(piece) - lag]).sum() for lag in range(15, 55)])
        errors.append(abs(RATE / (15 + int(again.argmax())) / float(pitch) - 1))
    assert sorted(errors)[len(errors) // 2] < 0.15


def test_noise_and_hum_are_the_factors():
    quiet, noisy = speak_words(100, noise=0, hum=0), speak_words(100, hum=0)
    added = noisy.waves - quiet.waves
    expected = noisy.factors["noise"]
    bright = noisy.factors["color"] > 0.9
    assert torch.allclose(added.std(dim=1)[bright], expected[bright], rtol=0.15)
    assert not quiet.factors["noise"].any() and not quiet.factors["hum"].any()
    hum = speak_words(100, noise=0).waves - quiet.waves
    assert torch.allclose(hum.std(dim=1), speak_words(100, noise=0).factors["hum"] / 2**0.5, rtol=0.15, atol=0.02)
    assert all(torch.equal(getattr(quiet, name), getattr(noisy, name)) for name in ("labels", "speakers"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "dev"}, "train, validation, test"),
        ({"n": 0}, "at least 1"),
        ({"n": 2.5}, "whole number"),
        ({"noise": -1}, "noise"),
        ({"hum": -0.1}, "hum"),
    ],
    ids=str,
)
def test_an_argument_that_does_not_fit_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        speak_words(**options)


def test_five_hundred_recordings_take_a_fraction_of_a_second():
    """About ten times what they need on an idle core."""
    speak_words(100)
    start = time.process_time()
    speak_words(500)
    assert time.process_time() - start < 2
