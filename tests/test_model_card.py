"""The model card and the interval in it."""

from __future__ import annotations

import pytest

from course_lib.model_card import QUESTIONS, TO_WRITE, ModelCard, wilson_interval


@pytest.mark.parametrize(("right", "total"), [(0, 10), (10, 10), (1, 1), (37, 50), (9_123, 10_000)])
def test_the_interval_is_wilsons(right, total):
    """Wilson's ends are the accuracies from which the observed one is 1.96 standard deviations away."""
    low, high = wilson_interval(right, total)
    assert 0 <= low <= right / total <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            assert abs(right / total - end) == pytest.approx(1.96 * (end * (1 - end) / total) ** 0.5, rel=1e-3)


@pytest.mark.parametrize(("right", "total"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(right, total):
    with pytest.raises(ValueError, match="at least one image"):
        wilson_interval(right, total)


def test_a_card_says_what_is_known_and_what_is_still_to_be_written():
    card = ModelCard(
        name="Cups", data="glyphs", chosen="the best of 12", right=80, total=100, shape=(1, 28, 28),
        class_names=("cup", "key", "star"), recall={"cup": 0.9, "key": 0.5, "star": 0.7}, labels=40, validation=100,
        written={"Intended use": "For cups."},
    )  # fmt: skip
    text = card.markdown()
    assert text.startswith("# Cups\n") and "80.0% of 100 images, 95 % interval 71.1% to 86.7%" in text
    assert "key (50% found), star (70% found)" in text and "| Temperature | none |" in text and "the best of 12" in text
    assert text.count(TO_WRITE) == len(QUESTIONS) - 1 and "For cups." in text
    assert all(f"## {heading}" in text for heading in QUESTIONS)
