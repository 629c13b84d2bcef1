"""Figures in a notebook, in a script and as PNG carry their alt text."""

from __future__ import annotations

import base64
import html
import io
import re

import matplotlib
import nbformat
import pytest
from drawing import images
from nbclient import NotebookClient
from PIL import Image

from course_lib import plots


def test_png_is_the_same_for_the_same_content_and_carries_the_words():
    one, two = (plots.png(plots.image_grid(images(3))) for _ in range(2))
    assert one == two
    assert Image.open(io.BytesIO(one)).text["Description"] == "Image grid: 3 images in 1 row."


def test_a_shown_figure_carries_its_words_in_every_form():
    alt = 'Loss "falls" from 3 to 1 & stays <there>.'
    data, metadata = plots.mime_bundle(plots.image_grid(images(1), alt=alt))
    assert html.unescape(re.search(r'alt="([^"]*)"', data["text/html"])[1]) == alt
    assert metadata["image/png"]["alt"] == alt and data["text/plain"] == alt
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")


def test_a_figure_without_words_is_not_shown():
    with pytest.raises(ValueError, match="no alt text"):
        plots.show(matplotlib.figure.Figure())


def test_a_script_prints_the_words(capsys):
    plots.show(plots.image_grid(images(1)))
    assert capsys.readouterr().out == "Image grid: 1 image in 1 row.\n"


def run_notebook(*cells: str) -> list[list[dict]]:
    """The outputs of code cells run in a kernel of their own."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    return [cell.outputs for cell in notebook.cells]


def test_figures_and_live_curves_in_a_notebook():
    outputs = run_notebook(
        "from course_lib import plots",
        "plots.image_grid([[[0.0, 1.0], [1.0, 0.0]]])",
        """
live = plots.live_curve(40, seconds=0)
for step in range(40):
    live(3.0 - step / 20)
""",
        "print(live.redraws)",
        """
import matplotlib.pyplot as plt
figure, ax = plt.subplots()
plots.show(figure, 'Empty axes.')
plt.close(figure)
""",
    )
    assert outputs[0] == []
    (shown,) = outputs[1]
    assert shown["data"]["text/plain"] == "Image grid: 1 image in 1 row." and "alt=" in shown["data"]["text/html"]
    # One picture that was redrawn, and at last shows the last step although finish() was not called.
    (curve,) = outputs[2]
    assert "at step 40" in curve["metadata"]["image/png"]["alt"] and "to 1.05" in curve["data"]["text/plain"]
    assert int(outputs[3][0]["text"]) >= 2
    assert outputs[4][0]["metadata"]["image/png"]["alt"] == "Empty axes."
