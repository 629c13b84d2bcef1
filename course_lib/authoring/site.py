"""The course as a web site: `course site`.

The solution notebooks are executed, each once for its code, data and profile (the outputs are kept in .cache/site), and
become pages with Sphinx, together with the course map, the results, the pages of docs/ and the library's reference.
Nothing is fetched at build time, and the pages fetch nothing either: formulas become MathML here, not in the browser.
The new site is checked (links, texts of pictures, nothing from elsewhere) before it takes the place of the old one.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import dataclasses
import hashlib
import html
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import nbformat
from nbformat import NotebookNode

import course_lib
from course_lib import records, settings
from course_lib.authoring import code_hash, release

EXTRA = ("sphinx", "myst_nb", "furo", "math_core")
TITLE = "Learning with Few Labels"
PEOPLE = ("learner", "instructor", "author")
# The modules in the reference: what notebooks, exercises and experiments are written with.
MODULES = (
    "data", "data.augment", "models", "training", "evaluation", "plots", "widgets", "records", "settings",
    "exercises", "exercises.contract",
)  # fmt: skip
SHOWN = "04_pretext_tasks"  # the unit whose curves are on the first page
DIFFICULTY = {1: "warm-up", 2: "core", 3: "hard"}


class SiteError(Exception):
    """A site that cannot be built, or must not be shown; the text says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Page:
    """One notebook of the course: with answers, as released, and its outputs (None: not executed)."""

    unit: str
    stem: str
    solution: NotebookNode
    released: NotebookNode
    outputs: list[Any] | None = None

    @property
    def title(self) -> str:
        """The first heading."""
        return self.solution.cells[0].source.split("\n")[0].lstrip("# ")

    @property
    def label(self) -> str:
        """The page's name in lists: number and title up to its colon."""
        return f"{self.unit[:2]} · {self.title.partition(':')[0]}"

    @property
    def document(self) -> str:
        """The page's place in the site, without a suffix."""
        return f"units/{self.unit}/{self.stem}"


def build(
    *,
    root: Path | None = None,
    profile: str = "laptop",
    execute: bool = True,
    fresh: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """Builds the site into site/, whole or not at all; returns that folder.

    Args:
        root: the project folder.
        profile: the profile that notebooks are executed in.
        execute: False executes nothing: pages show the outputs that earlier builds kept, or none.
        fresh: execute again what was kept.
        say: gets a line for every step.

    Raises:
        SiteError: the extra is not installed, a notebook fails, or the pages break a rule; the old site stays.
        ReleaseError: a source breaks a rule of the course.
    """
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise SiteError(f"{', '.join(missing)} not installed; the site needs: pip install -e '.[site]'")
    if profile not in settings.PROFILES:
        raise SiteError(f"Unknown profile {profile!r}; it must be one of {', '.join(settings.PROFILES)}.")
    root = root or settings.root()
    cache = root / ".cache" / "site"
    cache.mkdir(parents=True, exist_ok=True)
    pages = _pages(root, cache / profile, profile=profile, execute=execute, fresh=fresh, say=say)
    with tempfile.TemporaryDirectory(prefix="build-", dir=cache) as name:
        source, new = Path(name) / "source", Path(name) / "site"
        _write_sources(source, root, pages, profile)
        say("Making the pages ...")
        began = time.monotonic()
        for warning in _run_sphinx(source, new):
            say(f"Warning: {warning}")
        problems = check(new)
        if problems:
            shown = "\n".join(f"    {problem}" for problem in problems[:30])
            raise SiteError(f"The new pages are not fit to be shown; site/ is as it was.\n{shown}")
        _replace(root / "site", new)
    files = [path for path in (root / "site").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    say(f"{len(files)} files, {size:.1f} MB, {time.monotonic() - began:.0f} s; links and pictures are checked.")
    return root / "site"


def _replace(old: Path, new: Path) -> None:
    """Puts a folder in the place of another: two renames, and the old one back when the second fails."""
    aside = new.with_name("before")
    if old.exists():
        os.replace(old, aside)
    try:
        os.replace(new, old)
    except BaseException:
        if aside.exists():
            os.replace(aside, old)
        raise


# ---------------------------------------------------------------------------------------------------------------------
# Executing the notebooks


def _pages(
    root: Path, kept: Path, *, profile: str, execute: bool, fresh: bool, say: Callable[[str], None]
) -> list[Page]:
    # All sources are read first: a broken rule is told at once, not after an hour of executing.
    notebooks = {unit: release.solution_notebooks(unit, root=root) for unit in release.unit_folders(root)}
    if not notebooks:
        raise SiteError("There are no units under solutions/; the site is made of them.")
    pages = []
    for unit, of_unit in notebooks.items():
        for stem, solution in of_unit.items():
            path = root / "notebooks" / unit / f"{stem}.ipynb"
            if not path.is_file():
                raise SiteError(f"notebooks/{unit}/{stem}.ipynb is missing: run `course release` first.")
            pages.append(Page(unit, stem, solution, nbformat.read(path, as_version=4)))
    return [
        dataclasses.replace(
            page, outputs=_outputs(page, root, kept / f"{page.stem}.json", profile, execute, fresh, say)
        )
        for page in pages
    ]


def _outputs(
    page: Page, root: Path, file: Path, profile: str, execute: bool, fresh: bool, say: Callable[[str], None]
) -> list[Any] | None:
    """The outputs of a notebook's code cells: kept ones where nothing that they depend on has changed, else new ones.

    They are written to disk when the notebook is done, so that an interrupted build goes on with the next notebook.
    """
    key = _key(page.solution, root, profile)
    if not fresh and file.is_file():
        with contextlib.suppress(ValueError, KeyError):  # a file that cannot be read is made anew
            found = json.loads(file.read_text(encoding="utf-8"))
            if found["key"] == key:
                return [[nbformat.from_dict(output) for output in cell] for cell in found["outputs"]]
    if not execute:
        return None
    began = time.monotonic()
    outputs = _executed(page.solution, root, page.stem, profile)
    release.write_atomically(file, json.dumps({"key": key, "outputs": outputs}).encode())
    say(f"{page.stem}: executed in {time.monotonic() - began:.0f} s")
    return outputs


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _key(notebook: NotebookNode, root: Path, profile: str) -> str:
    """Changes when outputs may: with the code, what it calls in course_lib, the unit's exercises and its records."""
    # `...` is a statement that does nothing: it marks where a cell ends.
    code = "\n...\n".join(cell.source for cell in _code(notebook))
    plain = "\n".join(line for line in code.split("\n") if not line.lstrip().startswith(("%", "!")))
    parts = [profile, code_hash.text_hash(plain, library=Path(course_lib.__file__).parent)]
    unit = notebook.metadata["course"]["unit"]
    files = sorted((root / "results" / unit).glob("*.json"))
    with contextlib.suppress(ValueError):  # a unit without exercises
        from course_lib import exercises

        files += sorted({Path(e.cases.__code__.co_filename) for e in exercises.exercises_of(unit)})
    parts += [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _executed(notebook: NotebookNode, root: Path, name: str, profile: str) -> list[Any]:
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from tqdm import tqdm

    from course_lib.desk.workspace import debugger_silenced

    def start() -> None:
        # nbclient answers Ctrl-C by ending the kernel and failing over its absence. We want a KeyboardInterrupt; the
        # kernel ends at exit.
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)

    notebook = copy.deepcopy(notebook)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_")}
    environment |= {name: os.environ[name] for name in ("COURSE_DEVICE", "COURSE_THREADS") if name in os.environ}
    # Pages are the same whoever builds them: English, the default data, no controls that nothing answers, no bars.
    environment |= {"COURSE_PROFILE": profile, "COURSE_ROOT": str(root), "COURSE_LANGUAGE": "en"}
    environment |= {"COURSE_WIDGETS": "static", "TQDM_DISABLE": "1"}
    library = str(Path(course_lib.__file__).resolve().parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [library, os.environ.get("PYTHONPATH")]))
    with (
        tempfile.TemporaryDirectory(prefix="course-site-", ignore_cleanup_errors=True) as folder,
        tqdm(total=len(notebook.cells), desc=name, unit="cell", leave=False) as bar,
        debugger_silenced(),
    ):
        client = NotebookClient(
            notebook, timeout=None, extra_arguments=["--log-level=40"], resources={"metadata": {"path": folder}},
            on_notebook_start=lambda notebook: start(),
            on_cell_complete=lambda cell, cell_index: bar.update(cell_index + 1 - bar.n),
        )  # fmt: skip
        try:
            client.execute(env=environment, stderr=subprocess.DEVNULL)
        except CellExecutionError as error:
            raise SiteError(f"{name} stops with an error in the profile {profile}:\n{error}") from error
        except DeadKernelError as error:
            raise SiteError(f"{name} ended its kernel in the profile {profile}; is there enough memory?") from error
    return [cell.outputs for cell in _code(notebook)]


# ---------------------------------------------------------------------------------------------------------------------
# What Sphinx reads


def _write_sources(source: Path, root: Path, pages: Sequence[Page], profile: str) -> None:
    files = source / "extra" / "files"  # pictures and notebooks keep their names, at the top of the site
    files.mkdir(parents=True)
    for name in ("site.css", "site.js"):
        shutil.copy(root / "docs" / name, source)
    for page in pages:
        folder = source / "units" / page.unit
        folder.mkdir(parents=True, exist_ok=True)
        for path in release.folder_of(page.unit, root).iterdir():
            if path.is_file() and path.suffix not in release.NOT_COPIED and not path.name.startswith("."):
                shutil.copy(path, folder)
        (folder / f"{page.stem}.ipynb").write_text(nbformat.writes(_as_page(page, files, profile)), encoding="utf-8")
        shutil.copy(root / "notebooks" / page.unit / f"{page.stem}.ipynb", files / f"{page.stem}.ipynb")
    for person in PEOPLE:
        shutil.copy(root / "docs" / f"{person}.md", source)
    units = {page.unit: [other for other in pages if other.unit == page.unit] for page in pages}
    home = (root / "docs" / "index.md").read_text(encoding="utf-8")
    (source / "index.md").write_text(_home(home, units, files), encoding="utf-8")
    (source / "map.md").write_text(_map(units), encoding="utf-8")
    (source / "results.md").write_text(_results(units, files), encoding="utf-8")
    (source / "reference").mkdir()
    for module in MODULES:
        name = f"course_lib.{module}"
        text = f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n   :members:\n"
        (source / "reference" / f"{module}.rst").write_text(text, encoding="utf-8")


def _as_page(page: Page, files: Path, profile: str) -> NotebookNode:
    """The solution notebook as it is read on a page: outputs in place, answers folded under what was asked."""
    stubs = {
        cell.metadata["nbgrader"]["grade_id"]: cell.source
        for cell in page.released.cells
        if "nbgrader" in cell.metadata
    }
    outputs = iter(page.outputs or [])
    result = nbformat.v4.new_notebook(metadata=copy.deepcopy(page.solution.metadata))
    for index, original in enumerate(page.solution.cells):
        cell = copy.deepcopy(original)
        kind = release.kind_of(cell)
        stub = stubs.get(cell.metadata.get("nbgrader", {}).get("grade_id", ""), "")
        question = stub.replace(release.TEXT_STUB, "").strip()
        if kind in ("answer", "written") and (not stub or (kind == "written" and not cell.source.startswith(question))):
            raise SiteError(f"notebooks/{page.unit}/{page.stem}.ipynb is not up to date: run `course release` first.")
        if cell.cell_type == "code":
            cell.outputs = [_light(output, files) for output in next(outputs, [])]
        if kind == "answer":
            result.cells.append(nbformat.v4.new_markdown_cell(f"```python\n{stub.rstrip()}\n```"))
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
        elif kind == "written":
            answer = cell.source[len(question) :].strip()
            summary = "<summary>Show sample answers and rubric</summary>"
            cell.source = f"{question}\n\n<details>{summary}\n\n{answer}\n\n</details>"
        result.cells.append(cell)
        if index == 0:
            result.cells.append(nbformat.v4.new_markdown_cell(_about(page, profile)))
    return result


def _about(page: Page, profile: str) -> str:
    said = (
        f"The outputs are those of the profile *{profile}*."
        if page.outputs is not None
        else "This notebook was not executed for this page."
    )
    return (
        "```{admonition} This page shows the answers\n:class: tip\n"
        f"They are folded: try first, then open. {said} To work on it yourself, see [](/learner.md), or download "
        f'<a href="../../files/{page.stem}.ipynb" download>the notebook without answers</a>.\n```'
    )


_INLINE_IMAGE = re.compile(r'<img src="data:image/png;base64,([A-Za-z0-9+/=]+)"([^>]*)>')


def _light(output: NotebookNode, files: Path) -> NotebookNode:
    """An output with its pictures in files of their own, which are loaded when they come into view."""
    data = output.get("data", {})
    if "text/html" not in data or not _INLINE_IMAGE.search(data["text/html"]):
        return output
    output = copy.deepcopy(output)

    def in_file(match: re.Match[str]) -> str:
        return _image(base64.b64decode(match.group(1)), match.group(2), files, up="../../")

    output.data = NotebookNode({"text/html": _INLINE_IMAGE.sub(in_file, data["text/html"])})
    return output


def _image(picture: bytes, attributes: str, files: Path, *, up: str = "") -> str:
    name = f"{hashlib.sha256(picture).hexdigest()[:16]}.png"
    (files / name).write_bytes(picture)
    width, height = struct.unpack(">II", picture[16:24])
    return f'<img src="{up}files/{name}" width="{width}" height="{height}" loading="lazy"{attributes}>'


def _map(units: Mapping[str, Sequence[Page]]) -> str:
    """The course map: what each unit claims, needs and asks for, from its first cell and its exercises."""
    from course_lib.exercises import exercises_of

    lines = [
        "# Course map\n\nThe units in order. Each takes an evening. Unit 00 comes first; after it you may jump, since "
        "each says what it needs.\n",
        "| Unit | Exercises | Points | Minutes of writing |\n|---|---:|---:|---:|",
    ]
    for unit, pages in units.items():
        listed = exercises_of(unit)
        points, minutes = sum(e.points for e in listed), sum(e.minutes for e in listed)
        lines.append(f"| [{_name(unit, pages)}](#unit-{unit[:2]}) | {len(listed)} | {points:g} | {minutes} |")
    for unit, pages in units.items():
        lines.append(f"\n(unit-{unit[:2]})=\n## {_name(unit, pages)}")
        for page in pages:
            if len(pages) > 1:
                lines.append(f"\n### {page.title}")
            about = page.solution.cells[0].source.partition("\n")[2].strip()
            lines.append(f"\n{about}\n\n[Open it with its answers](/{page.document}.ipynb)")
        lines.append("\n| No. | Exercise | Minutes | Level | Points |\n|---|---|---:|---|---:|")
        for e in exercises_of(unit):
            level = DIFFICULTY[e.difficulty]
            lines.append(f"| {e.number} | {e.title}: `{e.name}` | {e.minutes} | {level} | {e.points:g} |")
    return "\n".join(lines) + "\n"


def _name(unit: str, pages: Sequence[Page]) -> str:
    """The title of a unit; of two notebooks, the name of their folder in words."""
    title = pages[0].title if len(pages) == 1 else unit[3:].replace("_", " ").capitalize()
    return f"{unit[:2]} · {title}"


def _home(text: str, units: Mapping[str, Sequence[Page]], files: Path) -> str:
    """docs/index.md, the units and one result behind it, and the table of contents of the whole site."""
    lines = [text, "## The units\n"]
    for pages in units.values():
        for page in pages:
            paragraphs = page.solution.cells[0].source.split("\n\n")
            claim = paragraphs[1].replace("\n", " ") if len(paragraphs) > 1 else ""
            lines.append(f"- [{page.label}](/{page.document}.ipynb). {claim}".rstrip())
    rows = [row for row in records.table_rows() if row.dataset == "glyphs" and row.unit == SHOWN]
    if rows:
        lines.append("\n## What a question that labels itself is worth\n")
        lines.append(f"{_curves(rows, files)}\n\nMore under [results](results.md), with what did not help.")
    listed = [f"{page.label} <{page.document}>" for pages in units.values() for page in pages]
    lines += [
        _tree("The course", ["map", *listed, "results"]),
        _tree("For you", PEOPLE),
        _tree("The library", [f"reference/{module}" for module in MODULES]),
    ]
    return "\n".join(lines) + "\n"


def _tree(caption: str, documents: Iterable[str]) -> str:
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *documents, "```"])


def _results(units: Mapping[str, Sequence[Page]], files: Path) -> str:
    """A figure and a table for each data set and unit."""
    lines = [
        "# Results\n\nEvery number is recorded by the command `course results` and printed from the record: test "
        "accuracy by number of labels a class, mean ± standard deviation over seeds. *Frozen* means that only a linear "
        "layer on top was trained, *fine-tuned* that everything was; the same network, random or from scratch, is the "
        "control. Compare within a unit: networks and steps differ between units."
    ]
    rows = records.table_rows()
    for dataset, profile in dict.fromkeys((row.dataset, row.profile) for row in rows):
        block = [row for row in rows if (row.dataset, row.profile) == (dataset, profile)]
        lines.append(f"\n## {dataset}" + (f", {profile} profile" if profile != "laptop" else ""))
        for unit in dict.fromkeys(row.unit for row in block):
            mine = [row for row in block if row.unit == unit]
            name = _name(unit, units[unit]) if unit in units else unit
            budgets = sorted({x for row in mine for x in row.curve.x})
            if len(budgets) > 1:
                lines.append(f"\n### {name}, {dataset}\n\n{_curves(mine, files)}\n")
            else:
                lines.append(f"\n### {name}, {dataset}\n")
            lines.append("| Method | " + " | ".join(f"{x:g}" for x in budgets) + " | Seeds |")
            lines.append("|---|" + "---:|" * (len(budgets) + 1))
            for row in mine:
                cells = [records.pm(row.curve.at(x), percent=True) if x in row.curve.x else "–" for x in budgets]
                lines.append(f"| {row.method} | {' | '.join(cells)} | {row.curve.n} |")
    if not rows:
        lines.append("\nNothing is recorded yet; `course results` records it.")
    return "\n".join(lines) + "\n"


def _curves(rows: Sequence[records.TableRow], files: Path) -> str:
    """The curves of one unit on one data set, as a picture with its text."""
    from course_lib import plots

    figure = plots.label_curve(
        {row.prefix: row.curve for row in rows}, title=f"Unit {rows[0].unit[:2]} on {rows[0].dataset}"
    )
    alt = html.escape(plots.alt_text(figure), quote=True)
    return _image(plots.png(figure), f' alt="{alt}"', files)


# ---------------------------------------------------------------------------------------------------------------------
# Sphinx


def _run_sphinx(source: Path, new: Path) -> list[str]:
    """Builds the pages; returns Sphinx's warnings."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    settings_of_sphinx: dict[str, Any] = {
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
    said = io.StringIO()
    with patch_docutils(), docutils_namespace(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # between Sphinx and its extensions
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        app = Sphinx(
            source, None, new, new.with_name("doctrees"), "html",
            confoverrides=settings_of_sphinx, status=None, warning=said,
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
    """Makes this module an extension of Sphinx: formulas become MathML, which browsers draw and screen readers read;
    docstrings are read as the course writes them.
    """
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


# ---------------------------------------------------------------------------------------------------------------------
# Checking the pages


@dataclasses.dataclass
class _Seen:
    """What one page has and points at: `links` are (address, line), `loaded` what a browser fetches by itself."""

    ids: set[str] = dataclasses.field(default_factory=set)
    links: list[tuple[str, int]] = dataclasses.field(default_factory=list)
    loaded: list[tuple[str, int]] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)


_CSS_ADDRESS = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")


class _Reader(HTMLParser):
    """Reads one page for `check`."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = _Seen()
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        line, seen = self.getpos()[0], self.seen
        self._in_style = tag == "style"
        if "id" in given:
            seen.ids.add(given["id"])
        if tag == "a" and "name" in given:
            seen.ids.add(given["name"])
        if tag == "a" and "href" in given:
            seen.links.append((given["href"], line))
        elif tag == "link" and "href" in given:
            # Search engines follow rel=canonical and the like; browsers fetch the rest.
            wanted = seen.links if given.get("rel") in ("canonical", "next", "prev", "index", "search") else seen.loaded
            wanted.append((given["href"], line))
        for name in ("src", "poster", "data"):
            if given.get(name) and tag != "a":
                seen.loaded.append((given[name], line))
        seen.loaded += [(each.split()[0], line) for each in given.get("srcset", "").split(",") if each.strip()]
        seen.loaded += [(address, line) for address in _css_addresses(given.get("style", ""))]
        if tag == "img" and not given.get("alt", "").strip() and given.get("aria-hidden") != "true":
            seen.problems.append(f"line {line}: a picture without alt text: {given.get('src', '')[:60]}")
        if tag == "html" and not given.get("lang"):
            seen.problems.append("the page does not say its language")

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.seen.loaded += [(address, self.getpos()[0]) for address in _css_addresses(data)]
            self._in_style = False


def _css_addresses(text: str) -> Iterator[str]:
    for match in _CSS_ADDRESS.finditer(text):
        yield match.group(1) or match.group(2)


def check(folder: Path) -> list[str]:
    """What is wrong with built pages: links and anchors that lead nowhere, pictures without alt text, anything that a
    browser would fetch from elsewhere. Links to other sites are allowed and not followed.
    """
    pages = {}
    for path in sorted(folder.rglob("*.html")):
        reader = _Reader()
        reader.feed(path.read_text(encoding="utf-8"))
        pages[path.resolve()] = reader.seen
    problems = []
    for path, seen in pages.items():
        place = path.relative_to(folder.resolve())
        problems += [f"{place}: {problem}" for problem in seen.problems]
        for address, line in [*seen.loaded, *seen.links]:
            if (fault := _fault(address, path, pages, is_loaded=(address, line) in seen.loaded)) is not None:
                problems.append(f"{place}: line {line}: {fault}")
    for path in sorted(folder.rglob("*.css")):
        for address in _css_addresses(path.read_text(encoding="utf-8")):
            if (fault := _fault(address, path.resolve(), pages, is_loaded=True)) is not None:
                problems.append(f"{path.relative_to(folder)}: {fault}")
    return problems


def _fault(address: str, page: Path, pages: dict[Path, _Seen], *, is_loaded: bool) -> str | None:
    parts = urlsplit(address)
    if parts.scheme in ("data", "mailto", "javascript") or address == "#":
        return None
    if parts.scheme or parts.netloc:
        return f"the page would fetch {address} from another site" if is_loaded else None
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return f"{address} leads to no file"
    # A page that builds itself in the browser, the search, has no anchors to check.
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids and not is_loaded:
        return f"{address} leads to no place on its page"
    return None
