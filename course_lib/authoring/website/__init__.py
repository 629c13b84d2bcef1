"""The course as a web site: `course site`.

The solution notebooks are executed, each once for its code, data and profile (the outputs are kept in .cache/site), and
become pages with Sphinx, together with the course map, the results, the pages of docs/ and the library's reference.
Nothing is fetched at build time, and the pages fetch nothing either: formulas become MathML here, not in the browser.
The new site is checked (links, texts of pictures, nothing from elsewhere) before it takes the place of the old one.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat

from course_lib import settings
from course_lib.authoring.conversion import solution_notebooks
from course_lib.authoring.sources import folder_of, pictures_of, unit_folders
from course_lib.authoring.website import execution, links, notebook_pages, overview_pages, sphinx_pages
from course_lib.authoring.website.page import Page, SiteError

EXTRA = ("sphinx", "myst_nb", "furo", "math_core")


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
    how = execution.Execution(root, cache, profile, execute, fresh, say)
    # All sources are read first: a broken rule is told at once, not after an hour of executing.
    pages = [dataclasses.replace(page, outputs=execution.outputs_of(page, how)) for page in _pages(root)]
    with tempfile.TemporaryDirectory(prefix="build-", dir=cache) as name:
        source, new = Path(name) / "source", Path(name) / "site"
        _write_sources(source, root, pages, profile)
        say("Making the pages ...")
        began = time.monotonic()
        for warning in sphinx_pages.run_sphinx(source, new):
            say(f"Warning: {warning}")
        problems = links.check(new)
        if problems:
            shown = "\n".join(f"    {problem}" for problem in problems[:30])
            raise SiteError(f"The new pages are not fit to be shown; site/ is as it was.\n{shown}")
        put_in_place(root / "site", new)
    files = [path for path in (root / "site").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    say(f"{len(files)} files, {size:.1f} MB, {time.monotonic() - began:.0f} s; links and pictures are checked.")
    return root / "site"


def _pages(root: Path) -> list[Page]:
    """The notebooks of the course, not executed yet."""
    notebooks = {unit: solution_notebooks(unit, root=root) for unit in unit_folders(root)}
    if not notebooks:
        raise SiteError("There are no units under solutions/; the site is made of them.")
    pages = []
    for unit, of_unit in notebooks.items():
        for stem, solution in of_unit.items():
            path = root / "notebooks" / unit / f"{stem}.ipynb"
            if not path.is_file():
                raise SiteError(f"notebooks/{unit}/{stem}.ipynb is missing: run `course release` first.")
            pages.append(Page(unit, stem, solution, nbformat.read(path, as_version=4)))
    return pages


def _write_sources(source: Path, root: Path, pages: Sequence[Page], profile: str) -> None:
    """What Sphinx reads, as files in `source`."""
    files = source / "extra" / "files"  # pictures and notebooks keep their names, at the top of the site
    files.mkdir(parents=True)
    for name in ("site.css", "site.js"):
        shutil.copy(root / "docs" / name, source)
    for page in pages:
        folder = source / "units" / page.unit
        folder.mkdir(parents=True, exist_ok=True)
        for path in pictures_of(folder_of(page.unit, root)):
            shutil.copy(path, folder)
        notebook = notebook_pages.as_page(page, files, profile)
        (folder / f"{page.stem}.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
        shutil.copy(root / "notebooks" / page.unit / f"{page.stem}.ipynb", files / f"{page.stem}.ipynb")
    units = {page.unit: [other for other in pages if other.unit == page.unit] for page in pages}
    for name in (*overview_pages.PEOPLE, *overview_pages.SHEETS):
        text = (root / "docs" / f"{name}.md").read_text(encoding="utf-8")
        (source / f"{name}.md").write_text(overview_pages.with_links(text, units), encoding="utf-8")
    home = (root / "docs" / "index.md").read_text(encoding="utf-8")
    (source / "index.md").write_text(overview_pages.home_page(home, units, files), encoding="utf-8")
    (source / "map.md").write_text(overview_pages.map_page(units), encoding="utf-8")
    (source / "mistakes.md").write_text(overview_pages.mistakes_page(units), encoding="utf-8")
    (source / "results.md").write_text(overview_pages.results_page(units, files), encoding="utf-8")
    (source / "reference").mkdir()
    for module in overview_pages.MODULES:
        name = f"course_lib.{module}"
        text = f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n   :members:\n"
        (source / "reference" / f"{module}.rst").write_text(text, encoding="utf-8")


def put_in_place(old: Path, new: Path) -> None:
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
