"""Takes the outputs out of a notebook's file: they are not the answer, and may be a hundred megabytes of pictures.

The file is read as bytes, piece by piece, without building what it describes: that could take fifty times its size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LARGE = 1 << 20  # bytes; below that a file stays as it is
PIECES = 4_000_000  # of a file that are looked at: a few seconds' worth

_BRACKET_OR_STRING = re.compile(rb'["\[\]{}]')
_BEGINS_LIST = re.compile(rb"\s*:\s*\[")
_BACKSLASH = ord("\\")
# How deep the key "outputs" of a cell lies: {"cells": [{ ; in format 3 {"worksheets": [{"cells": [{
_DEPTHS = (3, 5)


def without_outputs(data: bytes) -> bytes:
    """A notebook's file without its outputs; as it is when it is small, or not JSON."""
    if len(data) <= LARGE:
        return data
    kept: list[bytes] = []
    begin, depth, dropping = 0, 0, 0  # `dropping` is the depth at which a list of outputs ends
    try:
        for start, end in _pieces(data):
            piece = data[start : min(end, start + 20)]
            if piece in (b"[", b"{"):
                depth += 1
            elif piece in (b"]", b"}"):
                depth -= 1
                if dropping and depth < dropping:
                    begin, dropping = start, 0
            elif not dropping and depth in _DEPTHS and piece == b'"outputs"':
                opened = _BEGINS_LIST.match(data, end)
                if opened:
                    kept.append(data[begin : opened.end()])
                    dropping = depth + 1
    except ValueError:
        return data
    return data if dropping else b"".join([*kept, data[begin:]])


def _pieces(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each bracket and each string of a JSON file begins and ends.

    Raises:
        ValueError: there are more than `PIECES`, or a string does not end.
    """
    end, looked_at = 0, 0
    while found := _BRACKET_OR_STRING.search(data, end):
        start = end = found.start()
        if data[start] == ord('"'):
            end = data.index(b'"', start + 1)
            while data[end - 1] == _BACKSLASH and _is_escaped(data, end):
                end = data.index(b'"', end + 1)
                looked_at += 1
        end += 1
        looked_at += 1
        if looked_at > PIECES:
            raise ValueError("too many pieces")
        yield start, end


def _is_escaped(data: bytes, at: int) -> bool:
    """Whether an odd number of backslashes stands before a place."""
    before = at
    while data[before - 1] == _BACKSLASH:
        before -= 1
    return (at - before) % 2 == 1
