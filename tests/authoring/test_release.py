"""From solutions/ to notebooks/ and nbgrader's gradebook."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
import tiny_course

from course_lib import notebooks
from course_lib.authoring import assignment, conversion, release, sources

UNIT = tiny_course.UNIT


pytestmark = pytest.mark.usefixtures("schema_asked_once")


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> nbformat.NotebookNode:
    root = tmp_path_factory.mktemp("course")
    tiny_course.write_unit(root)
    files = release.build_unit(UNIT, root=root, exercises=tiny_course.EXERCISES)
    assert list(files) == [f"{UNIT}.ipynb"]
    return nbformat.reads(files[f"{UNIT}.ipynb"].decode(), as_version=4)


def by_id(notebook: nbformat.NotebookNode) -> dict[str, nbformat.NotebookNode]:
    return {cell.id: cell for cell in notebook.cells}


def test_an_answer_becomes_its_named_stub_and_keeps_signature_and_docstring(built):
    source = by_id(built)["double"].source
    assert source.startswith('def double(x):\n    """Twice x')
    assert source.endswith('    raise NotImplementedError("Exercise 90.1: double")')
    assert 'NotImplementedError("Exercise 90.2: total")' in by_id(built)["total"].source


def test_an_answer_may_begin_with_code_to_repair(tmp_path):
    """Given behind the stub, so that it counts as not attempted until the learner begins; gone from the solution."""
    tiny_course.write_unit(tmp_path, source=tiny_course.WITH_STARTING_CODE)
    content = release.build_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)[f"{UNIT}.ipynb"].decode()
    given = by_id(nbformat.reads(content, as_version=4))["total"].source
    assert given.endswith(
        '    raise NotImplementedError("Exercise 90.2: total")\n    wrong = 0.0\n\n    for number in x:\n'
        "        wrong = number  # only the last\n    return wrong"
    )
    assert "STARTING" not in content and "all_of_it" not in content
    names: dict = {}
    exec(given, names)
    with pytest.raises(NotImplementedError, match="Exercise"):
        names["total"]([1.0, 2.0])
    exec(given.replace('    raise NotImplementedError("Exercise 90.2: total")\n', ""), names)
    assert names["total"]([1.0, 2.0]) == 2.0
    solved = conversion.solution_notebooks(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)[UNIT]
    assert by_id(solved)["total"].source.endswith("all_of_it = x.sum()\n    return float(all_of_it)")


def test_a_written_answer_keeps_its_question_only(built):
    assert by_id(built)["why"].source == f"**Why is twice not half?**\n\n{assignment.TEXT_STUB}"


def test_metadata_is_complete_and_points_come_from_the_exercise(built):
    from nbgrader.nbgraderformat import MetadataValidator

    MetadataValidator().validate_nb(built)
    nbformat.validate(built)
    check = by_id(built)["check_double"].metadata
    assert check.nbgrader.points == 3
    assert check.nbgrader.locked and not check.editable
    assert not by_id(built)["double"].metadata.nbgrader.locked
    assert {cell.metadata.nbgrader.task for cell in built.cells if "nbgrader" in cell.metadata} == {False}


def test_a_release_has_no_outputs_a_kernel_and_a_hash_of_itself(built):
    assert all(not cell.outputs and cell.execution_count is None for cell in built.cells if cell.cell_type == "code")
    assert built.metadata.kernelspec.name == "python3"
    assert built.metadata.course.release == notebooks.release_hash(built)
    built.cells[0].source += " "
    assert built.metadata.course.release != notebooks.release_hash(built)


def test_two_builds_are_the_same_bytes_with_and_without_a_gradebook(tmp_path):
    tiny_course.write_unit(tmp_path)
    first = release.build_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
    second = release.build_unit(
        UNIT, root=tmp_path, exercises=tiny_course.EXERCISES, gradebook=tmp_path / "class" / "gradebook.db"
    )
    assert first == second
    assert (tmp_path / "class" / "gradebook.db").is_file()


def test_pictures_beside_a_source_are_released_and_python_files_are_not(tmp_path):
    folder = tiny_course.write_unit(tmp_path).parent
    (folder / "drawing.svg").write_bytes(b"<svg/>")
    (folder / "experiment.py").write_text("answer = 42\n")
    (folder / "notes.md").write_text("the answer is 42\n")
    files = release.build_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
    assert files["drawing.svg"] == b"<svg/>"
    assert sorted(files) == [f"{UNIT}.ipynb", "drawing.svg"]


def test_a_page_of_docs_is_released_where_a_source_links_to_it(tmp_path):
    tiny_course.write_unit(tmp_path, tiny_course.SOURCE.replace("It is used here", "It is [used](page.md) here"))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "other.md").write_text("not linked\n")
    with pytest.raises(sources.ReleaseError, match=r"links to page\.md, which docs/ does not have"):
        release.build_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
    (tmp_path / "docs" / "page.md").write_text("A page.\n")
    files = release.build_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
    assert files.pop("page.md") == b"A page.\n" and list(files) == [f"{UNIT}.ipynb"]


def test_an_unknown_unit_is_named_with_those_that_there_are(tmp_path):
    tiny_course.write_unit(tmp_path)
    with pytest.raises(sources.ReleaseError, match=r"no unit '91_none'.*90_tiny"):
        release.build_unit("91_none", root=tmp_path, exercises={})


# --- notebooks/ and the gradebook ---


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    tiny_course.write_unit(tmp_path)
    tiny_course.install(monkeypatch)
    return tmp_path


def test_a_release_is_stale_when_the_source_or_the_notebook_changed(course):
    assert release.stale_files([UNIT], root=course) == [f"notebooks/{UNIT}/{UNIT}.ipynb"]
    assert len(release.write_release([UNIT], root=course)) == 1
    assert release.stale_files([UNIT], root=course) == []
    assert release.write_release([UNIT], root=course) == []

    path = course / "notebooks" / UNIT / f"{UNIT}.ipynb"
    path.write_bytes(path.read_bytes().replace(b"It is used here", b"It is used there"))
    (path.parent / "left_over.txt").write_text("x")
    (course / "notebooks" / "77_gone").mkdir()
    (course / "notebooks" / "77_gone" / "77_gone.ipynb").write_text("{}")
    stale = [f"notebooks/{UNIT}/{UNIT}.ipynb", f"notebooks/{UNIT}/left_over.txt", "notebooks/77_gone"]
    assert release.stale_files([UNIT], root=course) == stale
    release.write_release([UNIT], root=course)
    assert not (path.parent / "left_over.txt").exists()


def test_a_broken_unit_leaves_every_notebook_as_it_was(course):
    release.write_release([UNIT], root=course)
    before = (course / "notebooks" / UNIT / f"{UNIT}.ipynb").read_bytes()
    broken = tiny_course.SOURCE.replace('# %% tags=["train"]', "# %%").replace("It is used", "It was used")
    tiny_course.write_unit(course, broken)
    with pytest.raises(sources.ReleaseError):
        release.write_release([UNIT], root=course)
    assert (course / "notebooks" / UNIT / f"{UNIT}.ipynb").read_bytes() == before


def test_releasing_again_keeps_the_grades_that_a_person_gave(course):
    from nbgrader.api import Gradebook

    book_path = course / "class" / "gradebook.db"
    release.write_release([UNIT], root=course)
    with notebooks.tools_on_path():
        with Gradebook(f"sqlite:///{book_path}", notebooks.COURSE_ID) as book:
            assert book.find_assignment(UNIT).max_score == 8
            book.add_student("ada")
            book.add_submission(UNIT, "ada")
            grade = book.find_grade("why", UNIT, UNIT, "ada")
            grade.manual_score, grade.needs_manual_grade = 2.0, False
            book.db.commit()

        tiny_course.write_unit(course, tiny_course.SOURCE.replace("It is used here", "It is used there"))
        assert len(release.write_release([UNIT], root=course)) == 1
        tiny_course.write_unit(course, tiny_course.SOURCE.replace('"grade_id": "why"', '"grade_id": "because"'))
        with pytest.raises(sources.ReleaseError, match=r"holds submissions of 90_tiny.*Nothing was changed"):
            release.write_release([UNIT], root=course)
        with Gradebook(f"sqlite:///{book_path}", notebooks.COURSE_ID) as book:
            assert book.find_grade("why", UNIT, UNIT, "ada").manual_score == 2.0
    assert "used there" in (course / "notebooks" / UNIT / f"{UNIT}.ipynb").read_text()
