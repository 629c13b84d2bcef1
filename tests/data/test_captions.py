"""Captions say what a glyph's factors say, as often as was asked for, and can be handed around."""

from __future__ import annotations

import pytest
import torch

from course_lib.data import captions, draw_glyphs, load

DATA = draw_glyphs(n=1_000)


def described(data=DATA, seed=0, **options):
    return captions.describe(data, generator=torch.Generator().manual_seed(seed), **options)


def test_every_caption_names_the_class_by_one_of_its_names_and_fits():
    used = set()
    for words, label in zip(described(), DATA.labels.tolist(), strict=True):
        names = set(captions.NAMES[DATA.class_names[label]]) & set(words)
        assert len(names) == 1 and len(words) <= captions.LONGEST
        used |= names
    assert used == {name for names in captions.NAMES.values() for name in names}


def test_a_share_of_the_captions_names_the_class_and_the_others_speak_of_a_thing():
    share = sum(captions.UNNAMED in words for words in described(named=0.3)) / len(DATA)
    assert 0.65 < share < 0.75
    assert all(captions.UNNAMED in words for words in described(named=0.0))


def test_a_class_is_never_named_and_all_else_stays():
    hidden = described(never=("fish",))
    fish = DATA.class_names.index("fish")
    for words, usual, label in zip(hidden, described(), DATA.labels.tolist(), strict=True):
        assert words == (tuple(captions.UNNAMED if w == "fish" else w for w in usual) if label == fish else usual)


def test_sizes_brightness_and_places_are_those_of_the_factors():
    for n, words in enumerate(described()):
        factors = {key: float(DATA.factors[key][n]) for key in ("x", "y", "scale", "contrast")}
        checks = {
            "large": factors["scale"] > 10.5, "small": factors["scale"] < 9, "bright": factors["contrast"] > 0.45,
            "faint": factors["contrast"] <= 0.45, "left": factors["x"] < -0.8, "right": factors["x"] > 0.8,
            "top": factors["y"] > 0.8, "bottom": factors["y"] < -0.8, "middle": abs(factors["x"]) <= 0.8,
        }  # fmt: skip
        assert all(checks.get(word, True) for word in words), words
    said = [word for words in described() for word in words]
    assert {"large", "small", "bright", "faint", "left", "right", "top", "bottom", "middle"} <= set(said)


def test_the_same_seed_says_the_same_and_the_draws_do_not_depend_on_the_options():
    assert described(seed=3) == described(seed=3) != described(seed=4)
    generator, other = (torch.Generator().manual_seed(0) for _ in range(2))
    captions.describe(DATA, generator=generator, named=0.1, never=("key",))
    captions.describe(DATA, generator=other)
    assert torch.equal(generator.get_state(), other.get_state())


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_captions_are_handed_around_without_loss(share):
    given = [(str(k),) for k in range(50)]
    result = captions.exchanged(given, share, generator=torch.Generator().manual_seed(0))
    assert sorted(result) == sorted(given)
    assert sum(a != b for a, b in zip(result, given)) == 50 * share


def test_prompts_have_every_name_beginning_and_quality_once():
    prompts = captions.prompts_for("cup")
    assert len(prompts) == len(set(prompts)) == 4 * 5 * 3
    assert "a mug" in prompts and "there is a faint teacup" in prompts


def test_sides_are_known_where_they_are_clear():
    sides, x = captions.beside(DATA), DATA.factors["x"]
    assert torch.equal(sides == 1, x > 0.8) and torch.equal(sides == 0, x < -0.8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: described(load("digits", n=10)), "no names for 'zero'|no names for '0'"),
        (lambda: described(named=1.5), "between 0 and 1"),
        (lambda: described(never=("whale",)), "whale"),
        (lambda: captions.exchanged([("a",)], -1, generator=torch.Generator()), "between 0 and 1"),
        (lambda: captions.prompts_for("whale"), "whale"),
    ],
    ids=range(5),
)
def test_what_cannot_be_described_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_images_without_factors_are_refused():
    import dataclasses

    with pytest.raises(ValueError, match="no factor 'x'"):
        described(dataclasses.replace(DATA, factors={}))
