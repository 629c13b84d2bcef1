"""A student's text on a page: live markup is shown as it was typed, ordinary text as it is."""

from __future__ import annotations

import pytest

from course_lib.grading.outside import inert

LIVE = {
    "script": "<script>alert(1)</script>",
    "handler": '<img src="https://x.y/z.png" onerror="alert(1)">',
    "unquoted": "<img src=x onerror=alert(1)>",
    "link": "[click](javascript:alert(1))",
    "link_in_disguise": "[click](java&#115;cript:alert(1))",
    "mermaid": "```mermaid\n</pre><script>alert(1)</script>\n```",
    "frame": '<iframe src="https://x.y"></iframe>',
    "form": '<form action="https://x.y"><input name="score"></form>',
    "style": "<style>body {display: none}</style>",
    "cover": '<div style="position:fixed;top:0">full marks</div>',
    "comment": "<!-- --><svg/onload=alert(1)>",
    "math": r"$\href{javascript:alert(1)}{x}$",
    "math_in_disguise": r"&#36;\href{javascript:alert(1)}{x}&#36;",
    "math_by_entities": r"&#92;[ \hr&#101;f{javascript:alert(1)}{x} &#92;]",
    "math_by_named_entities": r"&dollar;&bsol;href{javascript:alert(1)}{x}&dollar;",
    "many_formulas": "\\\\[" * 6_000,  # minutes for the converter
    "anchor": "# check_double-comment",
    "missing_picture": "![x](attachment:none.png)",
}


@pytest.mark.parametrize("name", LIVE)
def test_live_markup_is_shown_as_it_was_typed(name):
    shown = inert.inert_markdown(LIVE[name], reserved={"check_double", "why"})
    assert shown.startswith("*(This text holds HTML")
    assert inert.is_inert(inert._rendered(shown, None))


@pytest.mark.parametrize(
    "text",
    ["**Bold** and $x < 3$, `a < b`.", "a < b and c > d", "- one\n- two\n\n# Head", "[paper](https://arxiv.org/abs/1)",
     "| a | b |\n|:--|--:|\n| 1 | 2 |", "<b>bold</b><br>", "```python\nx = '<script>'\n```", "> quote\n\n1. one",
     "$x_i$ " * 300, r"\\(a\\) and \\[b\\]" * 50],
)  # fmt: skip
def test_ordinary_text_stays_as_it_is(text):
    assert inert.inert_markdown(text, reserved={"why"}) == text
