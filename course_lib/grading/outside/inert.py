"""A student's text and pictures as a page may show them: nothing in them can run or reach into the page."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Collection, Mapping
from typing import Any

from course_lib.exercises.messages import register, say

MAX_SOURCE = 100_000  # characters of a cell that are kept
MAX_MARKDOWN = 20_000  # above this a text is shown as it was typed
MAX_FORMULAS = 200  # the converter's time grows with the square of their number
MAX_PICTURES = 2_000_000  # characters of base64 in one cell's attachments
PICTURES = ("image/png", "image/jpeg", "image/gif")

register("page.as_typed", "(This text holds HTML or more than a page can show; here it is as it was typed.)")


def inert_markdown(
    text: str, *, reserved: Collection[str] = (), pictures: Mapping[str, Mapping[str, str]] | None = None
) -> str:
    """A student's text as it is when rendering it gives harmless HTML only; else in a code block, as it was typed.

    The page is rendered by the same converter as nbgrader's feedback, and every tag and attribute that comes out must
    be on the list below: so nothing rests on guessing how Markdown reads a strange text.

    Args:
        text: Markdown.
        reserved: names that a heading must not take as its anchor, because formgrader's own fields have them.
        pictures: the attachments that the text may show.
    """
    if len(text) <= MAX_MARKDOWN and len(_MATH_BEGINS.findall(text)) <= MAX_FORMULAS and not _acts(text):
        try:
            page = _rendered(text, pictures)
            if is_inert(page, reserved=reserved) and not _acts(_TAG.sub("", page)):
                return text
        except Exception:  # a text that the converter cannot read must not stop the feedback of a class
            pass
    return f"*{say('page.as_typed')}*\n\n" + as_typed(text[:MAX_SOURCE])


def converter_fault() -> str:
    """Why the converter cannot read even a plain text, so that all texts would be shown as typed; "" where it can."""
    try:
        page = _rendered("# A title\n\nA *word* and a formula $x^2$.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", None)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "" if "<em>" in page and "<table>" in page and is_inert(page) else "it gives no HTML that may be shown"


def is_inert(page: str, *, reserved: Collection[str] = ()) -> bool:
    """Whether HTML holds only tags and attributes that can neither run nor reach into the page around them."""
    rest = _TAG.sub("", page)
    if "<" in rest:
        return False
    for tag in _TAG.finditer(page):
        for name, _, value in re.findall(r"([a-z]+)(=\"([^\"<>]*)\")?", tag[2]):
            if name in ("checked", "disabled"):
                continue
            if name not in _ATTRIBUTES or not re.fullmatch(_ATTRIBUTES[name], html.unescape(value)):
                return False
            if name == "id" and any(value == taken or value.startswith(f"{taken}-") for taken in reserved if taken):
                return False
    return True


def _acts(text: str) -> bool:
    """Whether a formula would do more than show itself. MathJax reads what the browser shows: `&#36;` is a dollar."""
    return any(_MATH_THAT_ACTS.search(said) for said in (text, html.unescape(text)))


def _rendered(text: str, pictures: Mapping[str, Mapping[str, str]] | None) -> str:
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    renderer = IPythonRenderer(escape=False, attachments={k: dict(v) for k, v in (pictures or {}).items()})
    return str(MarkdownWithMath(renderer=renderer).render(text))


def as_typed(text: str) -> str:
    """A text in a code block that it cannot end."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def pictures_of(attachments: Any) -> dict[str, dict[str, str]]:
    """The pictures that a student pasted into an answer, if they are pictures."""
    kept: dict[str, dict[str, str]] = {}
    room = MAX_PICTURES
    for name, kinds in attachments.items() if isinstance(attachments, Mapping) else ():
        for kind, data in kinds.items() if isinstance(kinds, Mapping) else ():
            data = "".join(data) if isinstance(data, list) and all(isinstance(d, str) for d in data) else data
            if kind not in PICTURES or not isinstance(data, str) or len(data) > room:
                continue
            try:
                data = base64.b64encode(base64.b64decode(data)).decode()
            except (binascii.Error, ValueError):
                continue
            kept.setdefault(str(name), {})[kind] = data
            room -= len(data)
    return kept


# --- what may come out of the converter -------------------------------------------------------------------------------

_TAGS = (
    "a|b|blockquote|br|code|del|div|dd|dl|dt|em|h[1-6]|hr|i|img|input|ins|kbd|li|mark|ol|p|pre|s|small|span|strong|sub"
    "|sup|table|tbody|td|th|thead|tr|u|ul"
)
_ATTRIBUTES = {
    "href": r"(https?://|mailto:|#)[^\s\"<>]*",
    "src": r"https?://[^\s\"<>]*|data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=]*",
    "alt": r"[^\"<>]*",
    "title": r"[^\"<>]*",
    "class": r"anchor-link|highlight( hl-\w+)?|[a-z0-9]{1,3}|language-[\w+-]+|task-list-item(-checkbox)?",
    "style": r"text-align: ?(left|right|center);?",
    "id": r"[^\"<>]*",
    "start": r"\d+",
    "type": r"checkbox",
    "align": r"left|right|center",
    "colspan": r"\d+",
    "rowspan": r"\d+",
}
_TAG = re.compile(rf"</?({_TAGS})((?:\s+[a-z]+(?:=\"[^\"<>]*\")?)*)\s*/?>")
_MATH_BEGINS = re.compile(r"\\[\[(]|\\begin\b")
# Commands of MathJax that load things, make links or set styles.
_MATH_THAT_ACTS = re.compile(
    r"\\(href|url|require|cssId|class|style|data|html\w*|unicode|Extension|csname|includegraphics)\b"
)
