"""Submissions as data: read, and compared with the release."""

from __future__ import annotations

import copy
import json
import warnings

import class_notebooks as notebooks
import pytest
from class_notebooks import UNIT, answered, as_bytes, cell_of

from course_lib.grading.outside.cells import Malformed
from course_lib.grading.outside.submission import BadSubmissions, parse, read_release


def test_what_is_run_of_an_honest_notebook(release) -> None:
    parsed = parse(as_bytes(answered(extra="helper = 1")), release)
    assert [name for name, _ in parsed.cells] == ["3f2a1b", "double", "scale"]
    assert parsed.tampered == ()
    assert parsed.answer_cells == {"double": ("double",), "scale": ("scale",)}


def edited(change) -> bytes:
    notebook = answered()
    change(notebook)
    return as_bytes(notebook)


def _meta(key, value):
    return lambda n: cell_of(n, "check_double")["metadata"]["nbgrader"].__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda n: n["cells"].remove(cell_of(n, "check_double")), "'check_double' is missing"),
        (lambda n: n["cells"].remove(cell_of(n, "double")), "'double' is missing"),
        (lambda n: n["cells"].append(copy.deepcopy(cell_of(n, "scale"))), "'scale' is there 2 times"),
        (lambda n: n["cells"].insert(1, n["cells"].pop(4)), "cells were moved"),
        (lambda n: cell_of(n, "check_scale").update(source="2.0"), "locked cell 'check_scale' was edited"),
        (lambda n: cell_of(n, "double").update(cell_type="raw"), "turned from code into raw"),
        (_meta("points", 1000), "other metadata: points"),
        (_meta("grade", False), "other metadata: grade"),
        (_meta("locked", False), "other metadata: locked"),
        (_meta("grade_id", "mine"), "'mine' was not in the released"),
    ],
)
def test_tampering_is_named(release, change, words: str) -> None:
    parsed = parse(edited(change), release)
    assert any(words in sentence for sentence in parsed.tampered), parsed.tampered


def test_an_answer_turned_into_text_by_a_slip_is_run_all_the_same(release) -> None:
    parsed = parse(edited(lambda n: cell_of(n, "double").update(cell_type="raw")), release)
    assert parsed.answer_cells["double"] == ("double",)


def test_an_edited_setup_cell_is_run_and_edited_demo_and_check_cells_are_not(release) -> None:
    def change(notebook):
        cell_of(notebook, "cell-000")["source"] += "import math\n"
        for name in ("cell-001", "check_double", "cell-007"):
            cell_of(notebook, name)["source"] = "1 / 0"

    parsed = parse(edited(change), release)
    assert [name for name, _ in parsed.cells] == ["cell-000", "double", "scale"]


def test_notebooks_without_cell_ids_are_read(release) -> None:
    def change(notebook):
        notebook["nbformat_minor"] = 4
        for cell in notebook["cells"]:
            del cell["id"]

    parsed = parse(edited(change), release)
    assert [name for name, _ in parsed.cells] == ["#2", "#4"]


def test_a_byte_order_mark_is_no_harm_and_nor_is_a_newer_minor_format(release) -> None:
    data = b"\xef\xbb\xbf" + edited(lambda n: n.update(nbformat_minor=99, unknown={"x": 1}))
    assert len(parse(data, release).cells) == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_a_notebook_in_another_encoding_is_read(release, encoding: str) -> None:
    text = json.dumps(answered(extra="größe = 1"), ensure_ascii=False)
    assert dict(parse(text.encode(encoding), release).cells)["3f2a1b"] == "größe = 1"


def test_format_3_is_converted(release) -> None:
    import nbformat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = nbformat.convert(nbformat.from_dict(answered()), 3)
    parsed = parse(json.dumps(old).encode(), release)
    assert len(parsed.answer_cells["double"]) == 1
    assert parse(json.dumps(old).encode(), release) == parsed, "its cells have other names each time"


@pytest.mark.parametrize(
    "metadata", [None, 7, {"nbgrader": "yes"}, {"nbgrader": {"grade_id": ["a"]}, "tags": {"a": 1}}]
)
def test_strange_metadata_harms_nobody(release, metadata) -> None:
    parse(edited(lambda n: n["cells"].append({**notebooks.code("x = 1", "z"), "metadata": metadata})), release)


def test_half_characters_can_be_written_later(release) -> None:
    parsed = parse(edited(lambda n: n["cells"].append(notebooks.code("x = '\ud800'", "\ud800"))), release)
    json.dumps(parsed.cells).encode()
    "".join(source for _, source in parsed.cells).encode()


@pytest.mark.parametrize("size", ["cells", "text"])
def test_too_long_a_notebook_is_refused(release, size: str) -> None:
    many = [notebooks.code("x", "y")] * 2001 if size == "cells" else [notebooks.code("x" * 2_000_000, "y")]
    with pytest.raises(Malformed, match=r"at most|more than"):
        parse(edited(lambda n: n["cells"].extend(many)), release)


@pytest.mark.parametrize("points", [10**400, -(10**400), float("nan"), "1e999", [10**400]])
def test_points_that_are_no_number_harm_nobody(release, points) -> None:
    parsed = parse(edited(_meta("points", points)), release)
    assert any("other metadata: points" in sentence for sentence in parsed.tampered)


def test_a_unit_that_was_not_released(release_folder) -> None:
    with pytest.raises(BadSubmissions, match=f"there are {UNIT}"):
        read_release(release_folder, "99_nothing")
