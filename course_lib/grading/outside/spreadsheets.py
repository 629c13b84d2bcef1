"""Tables as CSV that a spreadsheet opens without running anything in them. Imports nothing slow."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as CSV that a spreadsheet opens without running anything in it."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in [header, *rows]:
        writer.writerow([cell_text(value) for value in row])
    return stream.getvalue()


def cell_text(value: Any) -> str:
    """A value as a spreadsheet should take it: numbers as they are, text never as a formula.

    >>> cell_text("=1+1"), cell_text(-1.5), cell_text("ada")
    ("'=1+1", '-1.5', 'ada')
    """
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return f"{value:g}"
    text = str(value).replace("\x00", "")
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith(_FORMULA) else text
