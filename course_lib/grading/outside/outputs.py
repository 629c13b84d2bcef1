"""Takes the outputs out of a notebook's file: they are not the answer, and may be a hundred megabytes of pictures.

The file is read as bytes, piece by piece, without building what it describes: that could take fifty times its size.
"""

from __future__ import annotations

import re

LARGE = 1 << 20  # bytes; below that a file stays as it is
PIECES = 4_000_000  # of a file that are looked at: a few seconds' worth

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_OUTPUTS = rb'"outputs"\s*:\s*\['
# The next bracket, or the key of a list of outputs with its bracket, or the quote of a string that does not end, or the
# end of the file. What was passed over is never read again: a file's time must not grow as the square of its size.
_NEXT = re.compile(
    rb'(?:[^"\[\]{}]++|(?!' + _OUTPUTS + rb")" + _STRING + rb")*+([\[\]{}]|" + _OUTPUTS + rb'|"|\Z)', re.DOTALL
)
# How deep the key "outputs" of a cell lies: {"cells": [{ ; in format 3 {"worksheets": [{"cells": [{
_DEPTHS = (3, 5)


def without_outputs(data: bytes) -> bytes:
    """A notebook's file without its outputs; as it is when it is small, or not JSON."""
    if len(data) <= LARGE:
        return data
    kept: list[bytes] = []
    begin, depth, dropping = 0, 0, 0  # `dropping` is the depth at which a list of outputs ends
    for looked_at, found in enumerate(_NEXT.finditer(data)):
        piece = found[1]
        if looked_at >= PIECES or piece == b'"':
            return data
        if not piece:
            break
        if piece in (b"]", b"}"):
            depth -= 1
            if dropping and depth < dropping:
                begin, dropping = found.start(1), 0
            continue
        if len(piece) > 1 and depth in _DEPTHS and not dropping:
            kept.append(data[begin : found.end()])
            dropping = depth + 1
        depth += 1
    return data if dropping else b"".join([*kept, data[begin:]])
