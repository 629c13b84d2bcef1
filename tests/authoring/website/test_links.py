"""What is wrong with a page is named."""

from __future__ import annotations

import pytest

from course_lib.authoring.website import links

GOOD = (
    '<html lang="en"><body id="top"><img src="a.png" alt="A hill."><a href="https://example.org">x</a>{}</body></html>'
)


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ('<a href="#top">x</a><a href="other.html#place">x</a><a href="folder/">x</a>', None),
        ('<a href="gone.html">x</a>', "gone.html leads to no file"),
        ('<a href="other.html#gone">x</a>', "other.html#gone leads to no place on its page"),
        ('<a href="#gone">x</a>', "#gone leads to no place on its page"),
        ('<img src="a.png">', "a picture without alt text: a.png"),
        ('<img src="a.png" alt=" ">', "a picture without alt text: a.png"),
        ('<img src="gone.png" alt="A hill.">', "gone.png leads to no file"),
        ('<script src="https://cdn.example.org/x.js"></script>', "would fetch https://cdn.example.org/x.js"),
        ('<link rel="stylesheet" href="//fonts.example.org/css">', "would fetch //fonts.example.org/css"),
        ('<p style="background: url(http://example.org/a.png)">', "would fetch http://example.org/a.png"),
        ("<style>@import 'https://example.org/a.css';</style>", "would fetch https://example.org/a.css"),
        ('<img alt="A hill." srcset="a.png 1x, gone.png 2x" src="a.png">', "gone.png leads to no file"),
    ],
)
def test_what_is_wrong_with_a_page_is_named(tmp_path, inside, said):
    (tmp_path / "a.png").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/index.html").write_text(GOOD.format("").replace("a.png", "../a.png"))
    (tmp_path / "other.html").write_text(GOOD.format('<p id="place">'))
    (tmp_path / "page.html").write_text(GOOD.format("\n" + inside))
    problems = links.check(tmp_path)
    if said is None:
        assert problems == []
    else:
        assert len(problems) == 1 and problems[0].startswith("page.html: line 2: ") and said in problems[0]


def test_a_style_sheet_and_a_page_without_language_are_looked_at_too(tmp_path):
    (tmp_path / "page.html").write_text(GOOD.format("").replace(' lang="en"', "").replace("a.png", "page.html"))
    (tmp_path / "a.css").write_text("p { background: url('https://example.org/a.png') } a { src: url(gone.woff) }")
    problems = "\n".join(links.check(tmp_path))
    assert "does not say its language" in problems
    assert "a.css: the page would fetch https://example.org/a.png" in problems and "gone.woff leads to" in problems
