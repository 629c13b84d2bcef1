"""Every unit as a learner with all answers right sees it: the whole notebook runs, every check is full, every picture
speaks; and what the instructor alone may see stays behind."""

from __future__ import annotations

import os

import own_images
import pytest
from nbclient import NotebookClient

from course_lib import notebooks, settings
from course_lib.authoring import conversion, prose, release, sources
from course_lib.exercises import exercises_of, units

pytestmark = pytest.mark.slow
# A unit whose experiments are recorded is finished; before that, a skeleton may be as short as it likes.
UNITS = [unit for unit in units() if (settings.root() / "results" / unit).is_dir()]

NOTEBOOKS = [(unit, path.stem) for unit in UNITS for path in sources.source_files(sources.folder_of(unit))]

# At least so many in a notebook; 6 where nothing is said.
PICTURES = {
    "01_autoencoders": 9,
    "02_variational_autoencoders": 14,
    "04_pretext_tasks": 12,
    "06a_freezing": 8,
    "09_text": 4,
    "11a_adapters": 5,
    "12_capstone": 5,
}


@pytest.fixture(
    scope="module", params=[(*n, d) for n in NOTEBOOKS for d in ("glyphs", "folder", "mnist")], ids="-".join
)
def executed(request, tmp_path_factory, warm):
    """A solution notebook with its outputs, run once in the smoke profile; on a few images of one's own in three
    classes, and on MNIST where that is at hand."""
    unit, name, dataset = request.param
    notebook = conversion.solution_notebooks(unit)[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_PROFILE", "smoke")
        patch.setenv("COURSE_DATASET", dataset)
        if dataset == "mnist":
            patch.setenv("COURSE_DATA", os.fspath(request.getfixturevalue("shared_data")))
        if dataset == "folder":
            counts = {"train": {"ant": 60, "bee": 50, "cat": 30}, "test": {"ant": 9, "bee": 20, "cat": 20}}
            patch.setenv("COURSE_DATA", os.fspath(own_images.make(tmp_path_factory.mktemp("pets"), **counts)))
        folder = tmp_path_factory.mktemp("notebook")
        NotebookClient(notebook, timeout=180, resources={"metadata": {"path": str(folder)}}).execute()
    return unit, name, notebook


def exercises_in(unit, notebook):
    """The exercises of a notebook, in its order."""
    known = {f"check_{e.name}": e for e in exercises_of(unit)}
    ids = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]
    return [known[grade_id] for grade_id in ids if grade_id in known]


@pytest.mark.parametrize("unit", UNITS)
def test_its_notebooks_hold_each_exercise_of_a_unit_once_and_in_order(unit):
    notebooks = conversion.solution_notebooks(unit).values()
    assert [e for notebook in notebooks for e in exercises_in(unit, notebook)] == [*exercises_of(unit)]
    assert all(len(exercises_in(unit, notebook)) >= 4 for notebook in notebooks)


def test_every_check_gives_full_points(executed):
    unit, _, notebook = executed
    checks = [cell for cell in notebook.cells if notebooks.kind_of(cell) == "check"]
    for cell, exercise in zip(checks, exercises_in(unit, notebook), strict=True):
        (output,) = cell.outputs  # a byte on stderr would be an output of its own
        assert float(output.data["text/plain"]) == exercise.points == cell.metadata["nbgrader"]["points"]
        assert 'data-state="right"' in output.data["text/html"]


def test_every_picture_has_alt_text(executed):
    _, name, notebook = executed
    pictures = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= PICTURES.get(name, 6)
    for output in pictures:
        assert len(output.data["text/plain"]) > 30
        assert ' alt="' in output.data["text/html"]


def test_no_unit_is_left_out():
    assert {"00_first_steps", "01_autoencoders"} <= set(UNITS)


@pytest.mark.parametrize(("unit", "name"), NOTEBOOKS, ids=[name for _, name in NOTEBOOKS])
def test_a_unit_keeps_its_shape_and_the_instructors_text_stays_behind(unit, name):
    released = release.build_unit(unit)[f"{name}.ipynb"]
    notebook = conversion.solution_notebooks(unit)[name]
    texts = [c.source.split("Sample answer")[0] for c in notebook.cells if c.cell_type != "code"]
    # The design asks for 35 to 50 cells. It knows neither predictions, one line each, nor the line that sums them up at
    # the end, nor a diagram, which comes with two cells, nor a check that learners write: beside its answer, a cell
    # says what is tried. All these are not counted.
    diagrams = sum("plots.diagram_" in c.source for c in notebook.cells)
    predictions = sum(notebooks.kind_of(c) == "predict" or c.source == "predict.summary()" for c in notebook.cells)
    checks = sum(bool(exercise.check_of) for exercise in exercises_in(unit, notebook))
    assert 35 <= len(notebook.cells) - predictions - 2 * diagrams - 4 * checks <= 50
    # Rendered: tables of numbers, warm-ups, quiz, what became of it and further reading included.
    assert 1_200 <= sum(map(prose.word_count, texts)) <= 2_700 + 40 * diagrams + 250 * checks
    text = released.decode()
    assert "Sample answer" not in text and "Rubric" not in text
    assert "Written answer (3 points)" in text, "the question itself must stay"
    for exercise in exercises_in(unit, notebook):
        assert f'raise NotImplementedError(\\"Exercise {exercise.number}: {exercise.name}\\")' in text
