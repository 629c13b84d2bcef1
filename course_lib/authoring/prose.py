"""What is counted and looked for in the text cells of a notebook: words, and figures that were typed by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator

_CODE_OR_FORMULA = re.compile(
    r"```.*?```|\$\$.*?\$\$|`[^`\n]*`|\$[^$\n]+\$|\{\{.*?\}\}|\{%.*?%\}|<!--.*?-->|\]\([^)\n]*\)|<[^>\n]+>", re.DOTALL
)
_CITATION = re.compile(r"\([^()]*[A-Z][^()]*\b(?:19|20)\d\d[a-z]?\b[^()]*\)")
_FIGURE = re.compile(r"(?<![\w.])\d+(?:\.\d+)?\s?%|(?<![\w.])\d*\.\d+(?![\w]|\.\d)")
_NUMBERING = re.compile(
    r"\b(?:Exercise|Exercises|Section|Unit|Python|Part|Question)\s+\d+\.\d+|^#+\s*\d+(\.\d+)*\b", re.MULTILINE
)


def word_count(text: str) -> int:
    """Words a reader reads: code blocks, formulas and addresses aside."""
    plain = re.sub(r"```.*?```|\$\$.*?\$\$|<!--.*?-->|\]\([^)\n]*\)|<[^>\n]+>", " ", text, flags=re.DOTALL)
    return len([word for word in plain.split() if re.search(r"\w", word)])


def typed_numbers(text: str) -> list[tuple[int, str]]:
    """Decimal numbers and percentages typed in prose, as (line offset, number).

    Those in code, formulas, placeholders and addresses are not prose; neither is the number of an exercise. A paragraph
    (in a table: a row) that cites a source in brackets may quote that source's figures.

    >>> typed_numbers("It reaches 71.5 % here.")
    [(0, '71.5 %')]
    >>> typed_numbers("Error 16.15 % (Lee 2013); Exercise 1.2 has `0.5` and $0.1$.")
    []
    """
    found: list[tuple[int, str]] = []
    for first, block in paragraphs(_blanked(plain(text), _NUMBERING)):
        if _CITATION.search(block):
            continue
        for match in _FIGURE.finditer(block):
            found.append((first + block.count("\n", 0, match.start()), match.group().strip()))
    return found


def plain(text: str) -> str:
    """The text with blanks for code, formulas, placeholders, tags and addresses; every line stays where it was."""
    return _blanked(text, _CODE_OR_FORMULA)


def _blanked(text: str, pattern: re.Pattern[str]) -> str:
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Blocks of consecutive lines with their first line's offset; a table's row or a list's item stands alone."""
    block: list[str] = []
    start = 0
    for number, line in enumerate([*text.split("\n"), ""]):
        new_block = not line.strip() or line.lstrip().startswith("|") or re.match(r"\s*([-*]|\d+\.)\s", line)
        if new_block and block:
            yield start, "\n".join(block)
            block = []
        if line.strip():
            start = number if not block else start
            block.append(line)
    if block:
        yield start, "\n".join(block)
