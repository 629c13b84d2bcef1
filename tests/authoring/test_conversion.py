"""From a source to its solution notebook."""

from __future__ import annotations

import pytest
import tiny_course

from course_lib.authoring import conversion, sources

UNIT = tiny_course.UNIT


def test_the_solution_notebook_has_the_answers_without_markers(tmp_path):
    tiny_course.write_unit(tmp_path)
    notebook = conversion.solution_notebooks(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)[UNIT]
    assert any("twice_as_much = x + x" in cell.source for cell in notebook.cells if cell.id == "double")
    assert not any("SOLUTION" in cell.source for cell in notebook.cells)


def test_placeholders_are_filled_in_and_a_missing_record_names_its_line(tmp_path):
    text = tiny_course.SOURCE.replace("It is used here.", 'It reaches {{ result("curve", "scratch@10").mean | pct }}.')
    path = tiny_course.write_unit(tmp_path, text)
    source = sources.read_source(path)
    notebook = conversion.build_notebook(source, tiny_course.EXERCISES, render=lambda text: text.upper())
    assert any(cell.source.startswith("IT REACHES") for cell in notebook.cells)
    line = tiny_course.line_of(text, "# It reaches") - 1
    with pytest.raises(sources.ReleaseError, match=rf"{UNIT}.py:{line}: a placeholder"):
        conversion.build_notebook(source, tiny_course.EXERCISES)
