"""Figures typed in prose are found on their own line, others are left alone."""

from __future__ import annotations

import pytest

from course_lib.authoring import prose


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It reaches 0.71 with ten labels.", ["0.71"]),
        ("It reaches 71 % and\n71.5% later.", ["71 %", "71.5%"]),
        ("A rate of .5 here", [".5"]),
        ("Ten, 10, 1,000, 3-4 or 28x28 are fine.", []),
        ("`0.5`, $0.5$, $$0.5 \\%$$ and ```\n0.5\n``` are not prose.", []),
        ("An error of 16.15 % at 100 labels (Lee 2013).", []),
        ("An error of 16.15 %\nat 100 labels (Kingma et al., 2014, table 2).", []),
        ("One says 16.15 % (Lee 2013).\n\nWe saw 12.1 %.", ["12.1 %"]),
        ("| Lee | 16.15 % (Lee 2013) |\n| ours | 12.1 % |", ["12.1 %"]),
        ("## 1.2 Losses\nSee Exercise 1.2 and [here](https://example.org/0.5).", []),
        ('{{ result("curve", "scratch@0.5").mean | pct }} of them', []),
        ("Since version 2.6.1 it is so.", []),
        ("**Time**: about 2 to 2.5 hours, of which 0.5 at the computer.", ["0.5"]),
    ],
)
def test_figures_typed_in_prose_are_found(text, numbers):
    assert [number for _, number in prose.typed_numbers(text)] == numbers


def test_a_figure_is_found_on_its_own_line():
    assert prose.typed_numbers("one\ntwo\n\nthree is 3.5\n") == [(3, "3.5")]
