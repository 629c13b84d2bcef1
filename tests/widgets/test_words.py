"""The word explorer hides a word and shows what networks expect there."""

from __future__ import annotations

import pytest
from drawing import assert_redrawn
from torch import nn

from course_lib import widgets
from course_lib.data.text import MASK, Vocabulary
from course_lib.models import TransformerLayers
from course_lib.widgets.words import explorer_of_guesses

TEXTS = [["a", "red", "house", "stands", "here"], ["the", "tree"]]


def guess(text, place):
    words = TEXTS[text]
    others = {word: 0.1 * (1 + k) / len(words) for k, word in enumerate(words)}
    return {"before": {"x": 0.4, "y": 0.3, words[place]: 0.05}, "after": others | {words[place]: 0.7}}


def exploring(**options):
    return explorer_of_guesses(TEXTS, guess, **options)


@pytest.mark.parametrize(("control", "value"), [("place", 2), ("text", 1)])
def test_moving_a_control_redraws_the_picture_and_its_words(control, value):
    assert_redrawn(exploring(), control, value)


def test_the_hidden_word_is_marked_and_its_probability_shown():
    view = exploring(start=1, most=3)
    assert "word 1 is hidden, 'red'" in view.alt_text and "hidden word: 70 %" in view.alt_text
    top, before, after = view.figure.axes[-1], *view.figure.axes[:2]
    assert "[ red ]" in top.texts[0].get_text()
    assert [label.get_text() for label in before.get_yticklabels()] == ["x", "y", "red"]
    filled = [bar.get_facecolor() for bar in after.patches]
    assert filled[0] != filled[1] == filled[2], "the hidden word alone is filled"
    view.controls["text"].value = 1  # two words: the place is the last one that there is
    view.controls["place"].value = 4
    assert "word 1 is hidden, 'tree'" in view.alt_text


def test_a_word_that_is_not_guessed_is_said_to_be_unknown():
    view = explorer_of_guesses([["rare"]], lambda text, place: {"net": {"common": 1.0}})
    assert "not among its words" in view.alt_text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: explorer_of_guesses([], guess), "at least one word"),
        (lambda: explorer_of_guesses([["a"], []], guess), "at least one word"),
        (lambda: explorer_of_guesses(TEXTS, lambda text, place: {}), "no words"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


class Remembering(nn.Module):
    """An encoder whose features are those of the word before."""

    def __init__(self, size):
        super().__init__()
        self.layers, self.seen = TransformerLayers(size, dim=8, heads=2), []
        self.layers.guess = nn.Identity()

    def forward(self, ids):
        self.seen.append(ids)
        return 20 * self.layers.embedding(ids).roll(1, dims=1)


def test_encoders_guess_the_word_under_the_mask():
    vocabulary = Vocabulary([TEXTS[0], TEXTS[1] + ["green", "blue", "garden"]], size=20)
    ids = vocabulary.encode([TEXTS[0], TEXTS[1] + ["green", "blue", "garden"]], length=5)
    encoder = Remembering(len(vocabulary))
    view = widgets.word_explorer({"net": encoder}, ids, vocabulary, start=2)
    assert (encoder.seen[-1] == MASK).tolist() == [[False, False, True, False, False]]
    assert view.alt_text.startswith("Which word is hidden?: text 0, word 2 is hidden, 'house'.")
    assert "net: red 100 %" in view.alt_text
    assert_redrawn(view, "place", 3)
    assert "word 3 is hidden, 'stands'" in view.alt_text and "net: house 100 %" in view.alt_text
    assert (ids != MASK).all(), "the texts themselves stay"
