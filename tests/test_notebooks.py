"""What cells and notebooks say of themselves, also those that make no sense."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
import pytest

from course_lib import notebooks
from course_lib.notebooks import CellKind


def code(*tags: object, **nbgrader: object) -> dict:
    return {"cell_type": "code", "metadata": {"tags": list(tags)} | ({"nbgrader": nbgrader} if nbgrader else {})}


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        (code(), "untagged"),
        (code("train", "setup"), "setup"),
        (code("slow", "demo"), "demo"),
        (code("demo", solution=True), "answer"),
        (code(solution=True, grade=True), "answer"),
        (code(grade=True), "check"),
        ({"cell_type": "markdown", "metadata": {}}, "text"),
        ({"cell_type": "markdown", "metadata": {"nbgrader": {"solution": True, "grade": True}}}, "written"),
        ({"cell_type": "raw", "metadata": {"tags": ["demo"]}}, "text"),
        (code({"not": "a tag"}, ["demo"]), "untagged"),
        ({"cell_type": "code", "metadata": {"tags": "demo", "nbgrader": [True]}}, "untagged"),
        ({"cell_type": "code", "metadata": "demo"}, "untagged"),
        ({}, "text"),
    ],
)
def test_the_kind_of_a_cell(cell, kind):
    assert notebooks.kind_of(cell) is CellKind(kind)


def test_a_notebook_of_nbformat_is_read_like_json():
    cell = nbformat.v4.new_code_cell("x", metadata=code(solution=True, grade_id="double")["metadata"])
    assert notebooks.kind_of(cell) is CellKind.ANSWER and notebooks.grade_id_of(cell) == "double"
    assert notebooks.source_of(cell) == notebooks.source_of({"source": ["x", 3]}) == "x"
    assert notebooks.source_of({"source": 3}) == notebooks.source_of({}) == notebooks.grade_id_of({}) == ""


def test_what_came_with_a_release_is_told_from_what_was_added():
    assert notebooks.is_from_release({"id": "cell-004"}) and notebooks.is_from_release(code(grade_id="double"))
    assert not notebooks.is_from_release({"id": "a1b2c3d4"}) and not notebooks.is_from_release({"id": 4})
    assert notebooks.release_of({"metadata": {"course": {"release": "abc"}}}) == "abc"
    assert notebooks.release_of({"metadata": {"course": "abc"}}) == notebooks.release_of({"metadata": 3}) == ""


def test_this_environments_commands_come_first_and_the_path_is_put_back():
    before = os.environ["PATH"]
    with notebooks.tools_on_path():
        assert os.environ["PATH"] == os.pathsep.join([str(Path(sys.executable).parent), before])
    assert os.environ["PATH"] == before
