"""Sphinx: from texts and notebooks to pages that fetch nothing.

The module is an extension of Sphinx itself: formulas become MathML, which browsers draw and screen readers read, and
docstrings are read as the course writes them.
"""

from __future__ import annotations

import contextlib
import html
import io
import os
import re
import warnings
from pathlib import Path
from typing import Any

from course_lib.authoring.website.page import SiteError

TITLE = "Learning with Few Labels"
_SETTINGS: dict[str, Any] = {
    "project": TITLE,
    "html_title": TITLE,
    "language": "en",
    "extensions": ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.githubpages", __name__],
    "myst_enable_extensions": ["dollarmath"],
    "nb_execution_mode": "off",
    "nb_mime_priority_overrides": [["html", "text/html", 0]],
    "nb_ipywidgets_js": {},
    "nb_code_prompt_show": "Show an answer",
    "nb_code_prompt_hide": "Hide the answer",
    "html_theme": "furo",
    "html_math_renderer": "mathml",
    "html_static_path": ["site.css", "site.js"],
    "html_css_files": ["site.css"],
    "html_js_files": ["site.js"],
    "html_extra_path": ["extra"],
    "html_copy_source": False,
    "html_show_sourcelink": False,
    "html_show_sphinx": False,
    "html_show_copyright": False,
    "highlight_language": "text",
    "napoleon_use_ivar": True,
    "add_module_names": False,
    "autodoc_member_order": "bysource",
}


def run_sphinx(source: Path, new: Path) -> list[str]:
    """Builds the pages; returns Sphinx's warnings.

    Raises:
        SiteError: Sphinx cannot build them.
    """
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    said = io.StringIO()
    with patch_docutils(), docutils_namespace(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # between Sphinx and its extensions
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        app = Sphinx(
            source, None, new, new.with_name("doctrees"), "html",
            confoverrides=_SETTINGS, status=None, warning=said,
        )  # fmt: skip
        app.build()
    if app.statuscode:
        raise SiteError(f"Sphinx could not build the pages:\n{said.getvalue()}")
    (new / ".buildinfo").unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (new / "_sources").rmdir()  # empty
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue())
    return [line.replace(f"{source}{os.sep}", "") for line in plain.splitlines() if line.strip()]


def setup(app: Any) -> dict[str, Any]:
    """Makes this module an extension of Sphinx."""
    from docutils import nodes
    from math_core import LatexError, LatexToMathML
    from sphinx.util import logging

    converter, log = LatexToMathML(), logging.getLogger(__name__)

    def converted(node: Any, block: bool) -> str:
        text = node.astext()
        try:
            return converter.convert_with_local_state(text, displaystyle=block)
        except LatexError as error:
            log.warning("a formula cannot be read: %s (%s)", text, str(error).splitlines()[0], location=node)
            return f"<code>{html.escape(text)}</code>"

    def inline(translator: Any, node: Any) -> None:
        translator.body.append(converted(node, False))
        raise nodes.SkipNode

    def block(translator: Any, node: Any) -> None:
        translator.body.append(f'<div class="math">{converted(node, True)}</div>\n')
        raise nodes.SkipNode

    def as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        # Docstrings write `name` for code, as Markdown does, sometimes across the end of a line.
        text = re.sub(
            r"(?<![`:])`([^`\n]+(?:\n[^`\n]+)?)`(?!`)",
            lambda match: f"``{' '.join(match.group(1).split())}``\\ ",
            "\n".join(lines),
        )
        lines[:] = text.split("\n")

    def is_foreign(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
        return True if not str(getattr(obj, "__module__", None) or __name__).startswith("course_lib") else None

    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    app.connect("autodoc-process-docstring", as_rst, priority=400)  # before napoleon, at 500
    app.connect("autodoc-skip-member", is_foreign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
