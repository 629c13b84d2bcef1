"""Takes the outputs out of a notebook's file: they are not the answer, and may be a hundred megabytes of pictures.

The file is read as bytes, piece by piece, without building what it describes: that could take fifty times its size.
"""

from __future__ import annotations

import re

LARGE = 1 << 20  # bytes; below that a file stays as it is
PIECES = 10_000_000  # of a file that are looked at, a few seconds' worth

_OPEN, _CLOSE = b"[{", b"]}"
_PIECE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_BEGINS_LIST = re.compile(rb"\s*:\s*\[")
# How deep the key "outputs" of a cell lies: {"cells": [{ ; in format 3 {"worksheets": [{"cells": [{
_DEPTHS = (3, 5)


def without_outputs(data: bytes) -> bytes:
    """A notebook's file without its outputs; as it is when it is small, or not JSON."""
    if len(data) <= LARGE:
        return data
    kept: list[bytes] = []
    begin, depth, dropping = 0, 0, 0  # `dropping` is the depth at which a list of outputs ends
    for count, piece in enumerate(_PIECE.finditer(data)):
        if count == PIECES:
            return data
        text = piece[0]
        if text in _OPEN:
            depth += 1
        elif text in _CLOSE:
            depth -= 1
            if dropping and depth < dropping:
                begin, dropping = piece.start(), 0
        elif not dropping and depth in _DEPTHS and text == b'"outputs"':
            opened = _BEGINS_LIST.match(data, piece.end())
            if opened:
                kept.append(data[begin : opened.end()])
                dropping = depth + 1
    return data if dropping else b"".join([*kept, data[begin:]])
