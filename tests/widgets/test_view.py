"""A widget in a notebook: an output that its controls redraw, and a picture where nothing can be moved."""

from __future__ import annotations

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter

VIEW = """
from course_lib import widgets
view = widgets.threshold_slider([0.1, 0.2, 0.3, 0.9], [False, False, True, True], start=0.25)
view
"""


def test_in_a_notebook_the_picture_is_an_output_that_the_controls_redraw():
    cells = [
        VIEW,
        "view.controls['threshold'].value = 0.8",
        "import os; os.environ['COURSE_WIDGETS'] = 'static'",
        "view",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    controls, picture = notebook.cells[0].outputs
    assert (
        "application/vnd.jupyter.widget-view+json" in controls["data"] and "VBox" not in controls["data"]["text/plain"]
    )
    # The second cell moved the slider: the picture under the first one shows it.
    assert picture["metadata"]["image/png"]["alt"].startswith("Threshold at 0.8")
    # Without controls only the picture is shown, and a page made from the notebook has it with its words.
    assert [list(output["data"]) for output in notebook.cells[3].outputs] == [["text/html", "image/png", "text/plain"]]
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert page.count('alt="Threshold at 0.8') == 2
