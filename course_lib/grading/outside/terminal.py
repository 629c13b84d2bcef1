"""Text that a student wrote, as it is safe to print to a terminal."""

from __future__ import annotations

import re


def visible(text: str) -> str:
    """Text without control characters, lines kept, so that nothing in it can repaint a terminal."""
    return re.sub(r"[^\n\t -~\u00a0-\u200a\u2010-\u2027\u2030-\u205f\u2070-\ud7ff\uf900-\U0010ffff]", "", text)


def one_line(text: str, most: int = 200) -> str:
    """The beginning of a text on one line, a "?" for each character that cannot be printed."""
    return "".join(c if c.isprintable() else "?" for c in text)[:most]
