"""Keywords of a function that are entries of an options dataclass."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def merged(kind: type[T], options: T | None, more: Mapping[str, Any], *, function: str, besides: Sequence[str]) -> T:
    """The options of a call: those of an object or the defaults, with single ones replaced by keywords.

    Args:
        kind: the options dataclass.
        options: one of it, or None.
        more: the keywords that the function did not name itself.
        function: its name, for the message.
        besides: the keywords that it does name.

    Raises:
        TypeError: a keyword that is not an option (the message names the nearest one and all), or another object.
    """
    assert dataclasses.is_dataclass(kind)
    if options is not None and not isinstance(options, kind):
        raise TypeError(f"{function}() got a {type(options).__name__} where {kind.__name__}(...) is expected.")
    names = [field.name for field in dataclasses.fields(kind)]
    for name in more:
        if name not in names:
            known = [*besides, *names]
            near = "".join(f" Did you mean {other!r}?" for other in difflib.get_close_matches(name, known, n=1))
            raise TypeError(
                f"{function}() got an unexpected keyword argument {name!r}.{near} Its keywords: {', '.join(known)}."
            )
    return dataclasses.replace(options if options is not None else kind(), **more)
