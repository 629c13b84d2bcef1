"""Every picture with controls, in the notebook that shows it: moved by mouse or keyboard, it is drawn anew."""

from __future__ import annotations

import base64
import inspect
import io
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_lab import Notebook, faintest, pixels
from nbformat.v4 import new_code_cell
from PIL import Image

from course_lib import notebooks, widgets
from course_lib.authoring import conversion, sources

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parent.parent.parent
FUNCTIONS = inspect.getmembers(widgets, inspect.isfunction)
VIEWS = [name for name, fn in FUNCTIONS if fn.__annotations__.get("return") == "View"]
# Notebook -> the views that it shows, from the sources.
SHOWN = {
    path: found
    for folder in sources.unit_folders(ROOT).values()
    for path in sources.source_files(folder)
    if (found := [n for n in re.findall(r"widgets\.(\w+)\(", path.read_text(encoding="utf-8")) if n in VIEWS])
}
# The one that no unit shows is shown by a notebook of its own.
UNSHOWN = sorted(set(VIEWS) - {name for names in SHOWN.values() for name in names})
OF_ITS_OWN = {
    "reconstruction_explorer": "widgets.reconstruction_explorer(test_images[:8].cpu(), denoiser.cpu())",
}


def put_solved(lab: Any, source: Path) -> str:
    """Puts a unit's solution notebook into work/ beside the learner's; returns its path there."""
    notebook = conversion.solution_notebooks(source.parent.name, root=ROOT)[source.stem]
    if source.stem == "01_autoencoders":
        for name in UNSHOWN:
            notebook.cells.append(new_code_cell(OF_ITS_OWN[name], id=name))
    path = Path(source.parent.name, f"solved_{source.stem}.ipynb")
    (lab.course.work / path).write_text(notebooks.notebook_text(notebook), encoding="utf-8")
    return path.as_posix()


def move(page: Any, control: Any, *, by_mouse: bool) -> None:
    """Sets a control to something else."""
    if control.locator("select").count():
        chosen = control.locator("select")
        chosen.select_option(index=(chosen.evaluate("list => list.selectedIndex") + 1) % 2)
        return
    handle = control.locator(".noUi-handle")
    handle.scroll_into_view_if_needed()
    low, now, high = (float(handle.get_attribute(f"aria-value{name}")) for name in ("min", "now", "max"))
    upper = now > (low + high) / 2
    if by_mouse:
        box, track = handle.bounding_box(), control.locator(".noUi-base").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(track["x"] + (0.2 if upper else 0.8) * track["width"], box["y"], steps=4)
        page.mouse.up()
    else:
        handle.focus()
        page.keyboard.press("Home" if upper else "End")


def shown_pixels(picture: Any) -> np.ndarray:
    """What the browser shows, before it is scaled: a screenshot differs by a hair wherever the page is scrolled to."""
    png = base64.b64decode(picture.get_attribute("src").partition("base64,")[2])
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.fixture(params=SHOWN, ids=lambda source: source.stem)
def solved(request, lab, page):
    """A solution notebook that has run from top to bottom, and its views by cell id."""
    notebook = Notebook(page, lab, put_solved(lab, request.param))
    notebook.run_all()
    notebook.save()
    cells = [cell for cell in notebook.saved()["cells"] if "widgets." in "".join(cell["source"])]
    shown = [cell["id"] for cell in cells if re.search(r"widgets\.\w+\(", "".join(cell["source"]))]
    yield notebook, shown, SHOWN[request.param]
    page.goto("about:blank")
    lab.end_kernels()


def test_a_solved_unit_runs_through_and_its_pictures_follow_their_controls(solved, page, screenshots):
    notebook, shown, names = solved
    assert notebook.errors() == []
    assert len(shown) >= len(names)
    for cell_id in shown:
        cell = notebook.cell(cell_id)
        cell.scroll_into_view_if_needed()
        controls = cell.locator(".widget-slider, .widget-dropdown")
        controls.first.wait_for()
        picture = cell.locator(".jp-OutputArea-output img")
        for number in range(controls.count()):
            before = shown_pixels(picture)
            move(page, controls.nth(number), by_mouse=number == 0)
            deadline = time.monotonic() + 30
            while np.array_equal(shown_pixels(picture), before):
                assert time.monotonic() < deadline, (
                    f"{cell_id}: control {number} was moved, and the picture is the same"
                )
                page.wait_for_timeout(100)
            assert picture.is_visible()
        area = cell.locator(".jp-Cell-outputArea")
        pixels(area, screenshots / f"{notebook.file.stem.removeprefix('solved_')}_{cell_id}.png")
        cut = "labels => labels.filter(label => label.scrollWidth > label.clientWidth).map(label => label.innerText)"
        assert cell.locator(".widget-label").evaluate_all(cut) == []
        contrast, text = faintest(cell.locator(".widget-vbox").first)
        assert contrast >= 4.5, f"{cell_id}: {text!r} has a contrast of {contrast:.2f}"


def test_every_view_is_moved_here():
    assert VIEWS and sorted(OF_ITS_OWN) == UNSHOWN
