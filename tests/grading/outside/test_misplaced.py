"""Notebooks of real classes that lie elsewhere, are called otherwise, or are not what they are called."""

from __future__ import annotations

import json
import tempfile
import time
import zipfile
from pathlib import Path

import class_notebooks as notebooks
import pytest
from class_notebooks import UNIT, answered, as_bytes
from hypothesis import example, given
from hypothesis import strategies as st
from random_examples import drawn

from course_lib.grading.outside.finding import Found, find
from course_lib.grading.outside.outputs import without_outputs
from course_lib.grading.outside.recognizing import Catalogue, holds_cells
from course_lib.grading.outside.submission import BadSubmissions, parse, read_release, unpacked

NAME = f"{UNIT}.ipynb"
TWO = "98_two_parts"
PARTS = (f"{TWO}_1", f"{TWO}_2")
WORDS = ["ada", UNIT, TWO]


def part(name: str, answer: str = "", *, told: bool = True) -> bytes:
    """A notebook of the unit in two parts; `told`: its metadata say which one."""
    about = {"grade_id": f"exercise_{name}", "grade": False, "solution": True, "locked": False}
    cell = notebooks.code(answer or "raise NotImplementedError('Exercise')", name, nbgrader=about)
    course = {"course": {"notebook": name, "unit": TWO, "release": "0" * 16}} if told else {}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": course, "cells": [cell]}).encode()


def measures(*, told: bool = True) -> bytes:
    course = {"course": {"notebook": UNIT, "unit": UNIT, "release": "0" * 16}} if told else {}
    return as_bytes({**answered(), "metadata": course})


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_units")
    for unit, name, data in ((UNIT, UNIT, measures()), *((TWO, name, part(name)) for name in PARTS)):
        (folder / unit).mkdir(exist_ok=True)
        (folder / unit / f"{name}.ipynb").write_bytes(data)
    return {unit: read_release(folder, unit) for unit in (UNIT, TWO)}


@pytest.fixture(params=["folder", "zip"])
def found(request, tmp_path, released):
    """Hands in files, given by their paths, and finds them: in a folder, and in a zip of the same."""

    def find_all(files: dict[str, bytes], units=(UNIT, TWO), **more) -> Found:
        place = tmp_path / "submitted"
        if request.param == "zip":
            place = tmp_path / "class.zip"
            with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, data in files.items():
                    archive.writestr(name, data)
        else:
            for name, data in files.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(data)
        return find(place, units, released, **more)

    return find_all


BOB = {f"bob/{UNIT}/{NAME}": measures()}  # as it should be, so that a zip holds a class


def of(found: Found, student: str = "ada") -> dict[str, str]:
    """The notebooks of a student: how each was found."""
    return {
        one.notebook: one.problem or "; ".join(one.notes) or "as expected"
        for one in found.submissions
        if one.student == student
    }


# --- F1: places -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [True, False], ids=["by its metadata", "by its cells"])
@pytest.mark.parametrize(
    "path",
    [
        NAME,
        "97 measures/" + NAME,
        "97_Measures/" + NAME,
        "97-measures/" + NAME,
        f"{UNIT} (1)/{NAME}",
        f"{UNIT}-1/{NAME}",
        f"{UNIT} - Copy/{NAME}",
        f"{UNIT}/{UNIT}/{NAME}",
        f"my work/{NAME}",
        f"my work/{UNIT}/{NAME}",
        f"my work/week 1/{UNIT} (2)/{NAME}",
        "homework/Untitled.ipynb",
        "answer.ipynb",
    ],
)
def test_a_notebook_in_another_place_of_its_student_is_found_and_that_is_said(found, path: str, told: bool) -> None:
    there = found({**BOB, f"ada/{path}": measures(told=told)})
    assert of(there) == {UNIT: f"the notebook lies at {path!r} and not at '{UNIT}/{NAME}'"}
    assert of(there, "bob") == {UNIT: "as expected"} and there.not_read == ()


def test_a_class_whose_notebooks_all_lie_elsewhere(found) -> None:
    there = found({f"{student}/{NAME}": measures() for student in ("ada", "bob", "cyd")})
    assert [one.student for one in there.submissions] == ["ada", "bob", "cyd"] and there.not_read == ()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"notes.ipynb": b'{"cells": []}'}, "notes.ipynb: it lies in no student's folder"),
        ({NAME: measures()}, f"{NAME}: it lies in no student's folder"),
        ({"eve/notes.txt": b"later"}, "eve: the folder holds no notebook"),
        ({"eve/99_later/mine.ipynb": b'{"cells": []}'}, "eve/99_later/mine.ipynb: it does not say which notebook"),
        ({f"{UNIT}/eve/{NAME}": measures()}, f"{UNIT}: it is called like a unit"),
        (
            {f"group 2/{student}/{UNIT}/{NAME}": measures() for student in ("eve", "fay")},
            "group 2: it holds the folders of several students",
        ),
    ],
)
def test_what_is_not_read_is_said(found, files, said: str) -> None:
    there = found({**BOB, **files})
    assert [one.student for one in there.submissions] == ["bob"]
    assert len(there.not_read) == 1 and there.not_read[0].startswith(said)


def test_a_linked_and_an_empty_folder_are_said(tmp_path, released) -> None:
    place = tmp_path / "submitted"
    (place / "bob" / UNIT).mkdir(parents=True)
    (place / "bob" / UNIT / NAME).write_bytes(measures())
    (place / "dan").mkdir()
    (place / "eve").symlink_to(place / "bob")
    there = find(place, [UNIT], released)
    assert list(there.not_read) == [
        "eve: it is a symbolic link; links are not followed.",
        "dan: the folder holds no notebook.",
    ]


def test_units_that_are_not_graded_now_are_passed_over(found) -> None:
    there = found(
        {
            **BOB,
            "bob/98 two parts/x.ipynb": part(PARTS[0]),
            "ada/mine.ipynb": part(PARTS[1]),
            f"ada/{UNIT}/{NAME}": measures(),
        },
        units=(UNIT,),
        others=(UNIT, TWO),
    )
    assert {(one.student, one.notebook) for one in there.submissions} == {("ada", UNIT), ("bob", UNIT)}
    assert there.not_read == ()


# --- F7: archives ---------------------------------------------------------------------------------------------------


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "beside",
    [
        {
            "__MACOSX/submitted/._ada": b"x",
            f"__MACOSX/submitted/ada/{UNIT}/._{NAME}": b"x",
            "submitted/.DS_Store": b"x",
        },
        {"readme.txt": b"x", "handout/sheet.pdf": b"x"},
        {"submitted/grades.csv": b"x", "submitted/.ipynb_checkpoints/a.ipynb": b"{}"},
        {f"submitted/ada/{UNIT}/.ipynb_checkpoints/{UNIT}-checkpoint.ipynb": measures()},
        {f"submitted/cyd/{NAME}": measures()},
    ],
)
@pytest.mark.parametrize("around", ["", "week 3/", "week 3/group 1/"])
def test_a_zip_may_hold_other_things_beside_the_students(tmp_path, released, beside, around: str) -> None:
    files = {f"submitted/{student}/{UNIT}/{NAME}": measures() for student in ("ada", "bob")} | beside
    there = find(archive(tmp_path / "x.zip", {around + name: data for name, data in files.items()}), [UNIT], released)
    assert {"ada": "as expected", "bob": "as expected"}.items() <= {
        student: of(there, student)[UNIT] for student in {one.student for one in there.submissions}
    }.items()
    assert there.not_read == () and {one.student for one in there.submissions} <= {"ada", "bob", "cyd"}


def test_a_notebook_on_top_of_a_zip_hides_no_student(tmp_path, released) -> None:
    files = {f"submitted/{student}/{UNIT}/{NAME}": measures() for student in ("ada", "bob")}
    for loose in ("demo.ipynb", "submitted/demo.ipynb"):
        there = find(archive(tmp_path / "x.zip", {**files, loose: b"{}"}), [UNIT], released)
        assert [one.student for one in there.submissions] == ["ada", "bob"]
    assert there.not_read[0].startswith("demo.ipynb: it lies in no student's folder")


@pytest.mark.parametrize("path", [f"ada/{UNIT}/{NAME}", f"ada/{NAME}", f"ada/my work/{NAME}"])
def test_a_zip_of_one_student(tmp_path, released, path: str) -> None:
    (one,) = find(archive(tmp_path / "x.zip", {path: measures()}), [UNIT], released).submissions
    assert one.student == "ada"


# --- F4, F22: names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [True, False], ids=["by its metadata", "by its cells"])
@pytest.mark.parametrize("name", ["{} (1)", "{}-1", "{}-Copy1", "{} - Copy", "Copy of {}", "{} 2", "{}(3)"])
def test_two_notebooks_with_names_of_copies(found, name: str, told: bool) -> None:
    there = found({**BOB, **{f"ada/{TWO}/{name.format(each)}.ipynb": part(each, told=told) for each in PARTS}})
    for each in PARTS:
        assert of(there)[each] == f"the notebook is called {name.format(each) + '.ipynb'!r} and not {each + '.ipynb'!r}"
    assert {one.data for one in there.submissions if one.student == "ada"} == {part(each, told=told) for each in PARTS}


@pytest.mark.parametrize("names", [PARTS[::-1], ("a", "b"), ("b", "a"), ("Untitled", "Untitled1")])
def test_swapped_and_nameless_notebooks_are_what_they_say(found, names) -> None:
    there = found({**BOB, **{f"ada/{TWO}/{name}.ipynb": part(each) for name, each in zip(names, PARTS)}})
    assert {one.notebook: one.data for one in there.submissions if one.student == "ada"} == {e: part(e) for e in PARTS}


def test_the_original_counts_and_a_copy_beside_it_is_named(found) -> None:
    files = {f"ada/{TWO}/{PARTS[0]}.ipynb": part(PARTS[0], "1"), f"ada/{TWO}/{PARTS[0]} (1).ipynb": part(PARTS[0], "2")}
    there = found({**BOB, **files})
    (first,) = (one for one in there.submissions if one.notebook == PARTS[0])
    assert first.data == part(PARTS[0], "1") and f"'{PARTS[0]} (1).ipynb' was handed in and not read" in first.notes[0]


def test_of_several_copies_the_last_one_counts_and_an_empty_original_does_not(found) -> None:
    copies = {f"ada/{TWO}/{PARTS[0]} ({n}).ipynb": part(PARTS[0], str(n)) for n in (2, 10, 9)}
    there = found({**BOB, **copies, f"ada/{TWO}/{PARTS[0]}.ipynb": b""})
    (first,) = (one for one in there.submissions if one.notebook == PARTS[0])
    assert first.data == part(PARTS[0], "10") and len(first.notes) == 4


def test_a_notebook_of_another_unit_is_graded_there_and_said_here(found) -> None:
    there = found({**BOB, f"ada/{UNIT}/{NAME}": part(PARTS[1])})
    said = of(there)
    assert said[UNIT] == f"the notebook {NAME} is missing; the file of that name is a copy of {PARTS[1]}."
    assert said[PARTS[1]] == f"the notebook lies at '{UNIT}/{NAME}' and not at '{TWO}/{PARTS[1]}.ipynb'"
    assert said[PARTS[0]].startswith(f"the notebook {PARTS[0]}.ipynb is missing")


# --- F18: endings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".ipynb.json", ".ipynb.txt", ".json", ".IPYNB", ".ipynb (1)", ".ipynb.download"])
def test_a_notebook_whose_name_ends_otherwise(found, ending: str) -> None:
    there = found({**BOB, f"ada/{UNIT}/{UNIT}{ending}": measures()})
    assert of(there) == {UNIT: f"the notebook is called '{UNIT}{ending}' and not '{NAME}'"}


@pytest.mark.parametrize("name", ["Untitled.ipynb", NAME])
def test_what_macos_puts_beside_a_notebook_is_none(found, name: str) -> None:
    there = found({**BOB, f"ada/{UNIT}/{name}": measures(), f"ada/{UNIT}/._{name}": b"\x00\x05\x16\x07" + bytes(110)})
    assert list(of(there)) == [UNIT] and "._" not in of(there)[UNIT] and "missing" not in of(there)[UNIT]


def test_data_and_settings_beside_a_notebook_are_none(found) -> None:
    there = found({**BOB, f"bob/{UNIT}/results.json": b'{"accuracy": 0.9}', "bob/.vscode/settings.json": b"{}"})
    assert of(there, "bob") == {UNIT: "as expected"} and there.not_read == ()


# --- F17: outputs ---------------------------------------------------------------------------------------------------


def _with_outputs(output: dict, *, indent: int | None = 1) -> bytes:
    notebook = json.loads(measures())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [output]
    notebook["cells"][0]["source"] = notebooks.SETUP + '\nodd = {"outputs": ["[{", 1]}  # "outputs": [ \\\\" ]'
    return json.dumps(notebook, indent=indent).encode()


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBOR" * 1_000_000}},
        {"output_type": "stream", "name": "stdout", "text": ['epoch 1, loss [2.3] {"outputs": [\n'] * 150_000},
        {
            "output_type": "display_data",
            "data": {"application/json": {"outputs": [[], [{}]] * 40_000, "a": "x" * 5_000_000}},
        },
    ],
    ids=["pictures", "lines", "data"],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_outputs_are_not_the_answer(found, output, released, indent) -> None:
    data = _with_outputs(output, indent=indent)
    assert len(data) > 20 << 20
    (one,) = (each for each in found({**BOB, f"ada/{UNIT}/{NAME}": data}).submissions if each.student == "ada")
    assert len(one.data) < 10_000
    assert parse(one.data, released[UNIT][0]) == parse(_with_outputs({}), released[UNIT][0])


@pytest.mark.parametrize(
    "data",
    [
        b'"' * (2 << 20),
        b"[" * (2 << 20),
        b'{"cells": [{"outputs": [' + b"[]," * 500_000,
        b"\x00" * (2 << 20),
        b"}" * (2 << 20),
    ],
)
def test_what_is_no_json_stays_as_it_is(data: bytes) -> None:
    assert without_outputs(data) == data


@pytest.mark.parametrize(
    "piece",
    [b'"', b'\\"', b"\\\\", b" ", b"[]", b'"outputs":[', b'"course":{', b'"outputs"    ', b'{"cells":[{"outputs":['],
)
@pytest.mark.parametrize("begins", [b'{"cells": [{"x": "', b'{"cells": [{"x": '])
def test_no_file_keeps_the_grader_busy(released, begins: bytes, piece: bytes) -> None:
    """Seconds at most: nothing here may take a time that grows as the square of a file's size."""
    data = begins + piece * (6_000_000 // len(piece))
    before = time.process_time()
    lean = without_outputs(data)
    Catalogue(released).by_content(lean)
    assert time.process_time() - before < 5 and holds_cells(lean)


def test_more_notebooks_than_anybody_has_are_not_read_and_that_is_said(found) -> None:
    many = {f"ada/{UNIT}/{n:02}.ipynb": measures() for n in range(33)}
    large = {f"cyd/{UNIT}/{n:02}.ipynb": b" " * (2 << 20) + measures() for n in range(14)}
    there = found({**BOB, **many, **large})
    assert {one.student for one in there.submissions if one.data} == {"ada", "bob", "cyd"}
    assert [sentence.split("/")[0] for sentence in there.not_read] == ["ada"] * 3 + ["cyd"] * 2


def test_an_empty_class_is_refused_with_what_was_not_read(found) -> None:
    with pytest.raises(BadSubmissions, match="not read: eve: the folder holds no notebook"):
        found({"eve/notes.txt": b"x", "fay/notes.txt": b"x"})


# --- nothing vanishes -------------------------------------------------------------------------------------------------

FOLDERS = ["ada", "bob", "submitted", UNIT, "97 measures", TWO, f"{TWO} (1)", "my work", "week 1"]
NAMES = [NAME, f"{UNIT} (1).ipynb", f"{PARTS[0]}.ipynb", f"{PARTS[1]}-1.ipynb", "Untitled.ipynb", "x.ipynb.txt"]
PLACES = st.lists(st.sampled_from(FOLDERS), max_size=4)
PATHS = st.builds(lambda folders, name: "/".join([*folders, name]), PLACES, st.sampled_from(NAMES))
CONTENTS = st.sampled_from(
    [measures, lambda: part(PARTS[0]), lambda: part(PARTS[1], told=False), lambda: b'{"cells": []}']
)

# A folder that is called like a unit and holds, beside the unit, the folders of several students.
SEVERAL_BELOW_A_UNIT = [f"{UNIT}/{UNIT}/{NAME}", f"{UNIT}/ada/{UNIT}/{NAME}", f"{UNIT}/bob/{UNIT}/{UNIT} (1).ipynb"]


@drawn(150)
@given(files=st.dictionaries(PATHS, CONTENTS, min_size=1, max_size=7), zipped=st.booleans())
@example(files=dict.fromkeys([f"ada/{NAME}", *SEVERAL_BELOW_A_UNIT], measures), zipped=False)
@example(files=dict.fromkeys(SEVERAL_BELOW_A_UNIT, measures), zipped=False)
@example(files=dict.fromkeys([f"{TWO}/{NAME}", f"bob/bob/{UNIT}/{UNIT} (1).ipynb"], measures), zipped=True)
def test_every_notebook_is_graded_or_named(files, zipped: bool, released) -> None:
    """Each one is what some student gets points for, or a note, a problem or a line of `not read` names it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "submitted"
        contents = {path: make() + b" " * n for n, (path, make) in enumerate(files.items(), start=1)}
        if zipped:
            place = archive(Path(folder) / "class.zip", contents)
        else:
            for path, data in contents.items():
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_bytes(data)
        try:
            there = find(place, [UNIT, TWO], released)
        except BadSubmissions as refused:
            assert "not read: " in str(refused)
            return
    read = {unpacked(one.data) for one in there.submissions}
    named = " ".join([*there.not_read, *(f"{one.problem} {one.notes}" for one in there.submissions)])
    said = [sentence.split(": ")[0] for sentence in there.not_read]
    for path, data in contents.items():
        covered = any(f"/{path}/".find(f"/{place}/") >= 0 for place in said)
        assert data in read or covered or path.split("/")[-1] in named, (path, there)
    students = {path.split("/")[0] for path in contents} | {"ada", "bob"}
    assert not {one.student for one in there.submissions} - students - set(FOLDERS)
