"""The prompt explorer puts a prompt together and shows the images that are nearest to it."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import assert_redrawn

from course_lib import widgets

IMAGES = np.random.default_rng(0).random((30, 1, 8, 8))
WORDS = {"quality": ("", "large"), "name": ("thing", "boat"), "place": ("", "at the left")}


def scores(prompt):
    return np.roll(np.linspace(-1, 1, 30), len(prompt))


def exploring(**options):
    return widgets.prompt_explorer(IMAGES, options.pop("scores", scores), options.pop("words", WORDS), **options)


@pytest.mark.parametrize(("control", "value"), [("quality", "large"), ("name", "boat"), ("place", "at the left")])
def test_choosing_a_word_redraws_the_picture_and_its_words(control, value):
    assert_redrawn(exploring(), control, value)


def test_the_prompt_has_the_words_in_order_and_no_gap():
    asked = []
    view = exploring(scores=lambda prompt: asked.append(prompt) or scores(prompt), start={"name": "boat"})
    view.controls["place"].value, view.controls["quality"].value = "at the left", "large"
    assert asked == ["a boat", "a boat at the left", "a large boat at the left"]


def test_the_nearest_images_come_first():
    view = exploring()
    order = np.argsort(-scores("a thing"))[:10]
    shown = [ax.images[0].get_array() for ax in view.figure.axes]
    assert all(np.allclose(image, IMAGES[k, 0]) for image, k in zip(shown, order, strict=True))
    assert 'the 10 images nearest to "a thing"' in view.alt_text


def test_few_images_are_all_shown():
    view = widgets.prompt_explorer(IMAGES[:3], lambda prompt: np.array([0.1, 0.3, 0.2]), WORDS)
    assert len(view.figure.axes) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exploring(words={}), "words is empty"),
        (lambda: exploring(words={"name": ()}), "no choices"),
        (lambda: exploring(scores=lambda prompt: np.zeros(4)), "one number per image"),
    ],
)
def test_what_cannot_be_shown_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
