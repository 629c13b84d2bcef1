"""How recorded numbers are written in texts and tables."""

from __future__ import annotations

from typing import Any

from course_lib.records.reading import Figure


def _number(value: Any) -> float:
    return float(value.mean if isinstance(value, Figure) else value)


def pct(value: Any, digits: int = 0) -> str:
    """A share as percent: 0.714 -> "71 %" (a no-break space between). A figure counts by its mean."""
    return f"{100 * _number(value):.{digits}f}\N{NO-BREAK SPACE}%"


def num(value: Any, digits: int = 2) -> str:
    """A number with `digits` decimals: 0.714 -> "0.71"; num(0) of 12345 -> "12,345"."""
    return f"{_number(value):,.{digits}f}"


def pm(value: Figure, digits: int | None = None, percent: bool = False) -> str:
    """Mean and standard deviation over seeds: "0.71 ± 0.02", in percent "71 ± 2 %". One seed has no spread: "0.71"."""
    if not isinstance(value, Figure):
        raise TypeError(f"pm takes a whole result, such as result(...) | pm, not {type(value).__name__}.")
    digits = digits if digits is not None else (0 if percent else 2)
    scale, unit = (100, "\N{NO-BREAK SPACE}%") if percent else (1, "")
    spread = f" ± {scale * value.std:.{digits}f}" if value.n > 1 else ""
    return f"{scale * value.mean:.{digits}f}{spread}{unit}"
