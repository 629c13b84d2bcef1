"""Pages from their templates. Everything that is not the course's own HTML is escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from course_lib.grading.outside import dates
from course_lib.grading.outside.roster import time_of
from course_lib.grading.outside.terminal import visible
from course_lib.serving.protection import OWN_STYLE, policy

TEMPLATES = Path(__file__).with_name("templates")
STYLE = (TEMPLATES / "style.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["time"] = lambda text: _shown(str(text))
    environment.filters["points"] = lambda value: "–" if value is None else f"{value:g}"
    environment.filters["visible"] = lambda text: visible(str(text))
    environment.filters["our_html"] = Markup  # of cards alone, which escape what is not the course's own
    environment.globals["shown"] = dates.shown
    return environment


def page(template: str, *, status: int = 200, style: str = OWN_STYLE, **values: Any) -> HTMLResponse:
    """A page as an answer.

    Args:
        style: what its policy says of styles.
    """
    text = _environment().get_template(template).render(**values)
    return HTMLResponse(text, status_code=status, headers={"Content-Security-Policy": policy(style)})


def _shown(text: str) -> str:
    time = time_of(text)
    return dates.shown(time) if time else "–"
