"""From solutions/ to notebooks/ and to the bundle that students get."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import nbformat
import pytest
import tiny_course
from leaks import readable, solution_blocks, squeezed

from course_lib.authoring import release

UNIT = tiny_course.UNIT


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


STARTED = tiny_course.SOURCE.replace(
    "    return float(all_of_it)\n",
    "    return float(all_of_it)\n    ### STARTING CODE\n    # wrong = 0.0\n    #\n    # for number in x:\n"
    "    #     wrong = number  # only the last\n    # return wrong\n",
)


def test_an_answer_may_begin_with_code_to_repair(tmp_path):
    """Given behind the stub, so that it counts as not attempted until somebody begins; gone from the solution."""
    tiny_course.write_unit(tmp_path, source=STARTED)
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
    solved = release.solution_notebooks(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)[UNIT]
    assert by_id(solved)["total"].source.endswith("all_of_it = x.sum()\n    return float(all_of_it)")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("    # return wrong\n", "    return wrong\n", "must be comments"),
        ("    # for number in x:\n", "    # for number in\n", "is no Python"),
        ("    # wrong = 0.0\n", "    # wrong = 0.0\n" * 30, "lines; 25 at most"),
    ],
)
def test_starting_code_that_cannot_be_given_is_reported(tmp_path, before, after, said):
    tiny_course.write_unit(tmp_path, source=STARTED.replace(before, after))
    with pytest.raises(release.ReleaseError, match=said):
        release.read_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)


def test_a_written_answer_keeps_its_question_only(built):
    assert by_id(built)["why"].source == f"**Why is twice not half?**\n\n{release.TEXT_STUB}"


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
    assert built.metadata.course.release == release.release_hash(built)
    built.cells[0].source += " "
    assert built.metadata.course.release != release.release_hash(built)


def test_two_builds_are_the_same_bytes_with_and_without_a_gradebook(tmp_path):
    tiny_course.write_unit(tmp_path)
    first = release.build_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
    second = release.build_unit(
        UNIT, root=tmp_path, exercises=tiny_course.EXERCISES, gradebook=tmp_path / "class" / "gradebook.db"
    )
    assert first == second
    assert (tmp_path / "class" / "gradebook.db").is_file()


def test_the_solution_notebook_has_the_answers_without_markers(tmp_path):
    tiny_course.write_unit(tmp_path)
    notebook = release.solution_notebooks(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)[UNIT]
    assert "twice_as_much = x + x" in by_id(notebook)["double"].source
    assert not any("SOLUTION" in cell.source for cell in notebook.cells)


def test_pictures_beside_a_source_are_released_and_python_files_are_not(tmp_path):
    folder = tiny_course.write_unit(tmp_path).parent
    (folder / "drawing.svg").write_bytes(b"<svg/>")
    (folder / "experiment.py").write_text("answer = 42\n")
    (folder / "notes.md").write_text("the answer is 42\n")
    files = release.build_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
    assert files["drawing.svg"] == b"<svg/>"
    assert sorted(files) == [f"{UNIT}.ipynb", "drawing.svg"]


# --- rules

TWO_CODE_CELLS = '# %% tags=["demo"]\nprint(1)\n\n# %% tags=["demo"]\nprint(2)\n'
LONG = '# %% tags=["demo"]\n' + "".join(f"a{i} = {i}\n" for i in range(26))
CHECK_CELL = '# %% nbgrader={"grade_id": "check_d'


def at(source: str, text: str) -> int:
    return source[: source.index(text)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "said", "where"),
    [
        ('# %% tags=["demo"]\ncheck', TWO_CODE_CELLS + "\ncheck", "two code cells", '# %% tags=["demo"]\nprint(2)'),
        ('# %% tags=["train"]\n', LONG, "code cell of 27 lines", LONG),
        ("# It is used here.", "# " + "word " * 151, "text cell of 151 words", "# %% [markdown]\n# word"),
        ('# %% tags=["train"]', "# %%", "code cell without a kind", "# %%\nraise"),
        ("# It is used here.", "# Right in 71.5 % of cases.", "'71.5 %' is typed by hand", "# Right in"),
        ("# It is used here.", "# ### Exercise 90.2: double (1 minutes)", "Exercise 90.1: double (1", "# ### Exercise"),
        ("# It is used here.", "# ### Exercise 90.1: double (9 minutes)", "double (1 minutes)'", "# ### Exercise"),
        ("check.double(double)", "check.double(double);", "must end with a bare call", CHECK_CELL),
        ("check.double(double)", "score = check.double(double)", "bare call", CHECK_CELL),
        ('"check_double"', '"check_doubel"', "names no exercise", CHECK_CELL),
        ('"grade_id": "double"', '"grade_id": "twice"', "not an exercise of", '# %% nbgrader={"grade_id": "twice'),
        ("    ### END SOLUTION\n\n# %% nbg", "\n# %% nbg", "needs lines ###", '# %% nbgrader={"grade_id": "double'),
        ('"grade_id": "why"', '"grade_id": "total"', "used twice", "# %% [markdown] nbgrader"),
        (', "points": 3}', "}", "needs points", "# %% [markdown] nbgrader"),
        ('"grade_id": "why"', '"grade_id": "wh y"', "must be 1 to 64 letters", "# %% [markdown] nbgrader"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_reported_with_file_and_line(tmp_path, old, new, said, where):
    source = tiny_course.SOURCE.replace(old, new, 1)
    assert source != tiny_course.SOURCE
    path = tiny_course.write_unit(tmp_path, source)
    with pytest.raises(release.ReleaseError) as raised:
        release.read_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
    breaches = [line for line in str(raised.value).splitlines() if said in line]
    assert breaches, str(raised.value)
    assert breaches[0].startswith(f"{path}:{at(source, where)}: ")


NEEDS_MORE = """check.needs("double")
made = double(torch.ones(2))

# %% [markdown]
# Text.

# %% tags=["demo"]
print(made, total(torch.ones(2)))

# %% [markdown]
# Text.

# %% tags=["demo"]
made = 3

# %% [markdown]
# Text.

# %% tags=["demo"]
print(made)
"""


def test_a_cell_that_builds_on_an_answer_must_ask_for_it(tmp_path):
    source = tiny_course.SOURCE.replace('check.needs("double")\n', NEEDS_MORE)
    path = tiny_course.write_unit(tmp_path, source)
    with pytest.raises(release.ReleaseError) as raised:
        release.read_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
    said = [line for line in str(raised.value).splitlines() if "begin it with" in line]
    where = at(source, "print(made, total") - 1
    assert said[0].startswith(f"{path}:{where}: uses made, total") and 'check.needs("double", "total")' in said[0]
    # The old demo, further down, has lost its check.needs; `made` is free again once it is 3.
    assert len(said) == 2 and "uses double" in said[1]


def test_a_stub_must_not_stop_the_cell_itself(tmp_path):
    cell = 'def double(x):\n    """Twice x, as a new tensor: (N,) float32 -> (N,) float32."""\n    ### BEGIN SOLUTION\n'
    assert cell in tiny_course.SOURCE
    outside = "    ### BEGIN SOLUTION\n    two = 2\n    ### END SOLUTION\n\n    def forward(self, x):\n"
    source = tiny_course.SOURCE.replace(cell, f"class double:\n{outside}        ### BEGIN SOLUTION\n")
    source = source.replace("    twice_as_much = x + x\n    return", "        twice_as_much = x + x\n        return", 1)
    tiny_course.write_unit(tmp_path, source)
    with pytest.raises(release.ReleaseError, match="'double' would stop while it is run"):
        release.read_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
    tiny_course.write_unit(tmp_path, source.replace(outside, "    def forward(self, x):\n"))
    assert release.read_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)


def test_an_exercise_without_a_cell_is_reported(tmp_path):
    start = tiny_course.SOURCE.index("# %% [markdown]\n# ## The sum")
    end = tiny_course.SOURCE.index("# %% [markdown]\n# Train for")
    tiny_course.write_unit(tmp_path, tiny_course.SOURCE[:start] + tiny_course.SOURCE[end:])
    with pytest.raises(release.ReleaseError, match="'total' has no answer cell"):
        release.read_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It reaches 0.71 with ten labels.", ["0.71"]),
        ("It reaches 71 % and\n71.5% later.", ["71 %", "71.5%"]),
        ("A rate of .5 here", [".5"]),
        ("Ten, 10, 1,000, 3-4 or 28x28 are fine.", []),
        ("`0.5`, $0.5$, $$0.5 \\%$$ and ```\n0.5\n``` are not prose.", []),
        ("An error of 16.15 % at 100 labels (Lee 2013).", []),
        ("An error of 16.15 %\nat 100 labels (Kingma et al., 2014, table 2).", []),
        ("One says 16.15 % (Lee 2013).\n\nWe saw 12.1 %.", ["12.1 %"]),
        ("| Lee | 16.15 % (Lee 2013) |\n| ours | 12.1 % |", ["12.1 %"]),
        ("## 1.2 Losses\nSee Exercise 1.2 and [here](https://example.org/0.5).", []),
        ('{{ result("curve", "scratch@0.5").mean | pct }} of them', []),
        ("Since version 2.6.1 it is so.", []),
    ],
)
def test_figures_typed_in_prose_are_found(text, numbers):
    assert [number for _, number in release.typed_numbers(text)] == numbers


def test_a_figure_is_found_on_its_own_line():
    assert release.typed_numbers("one\ntwo\n\nthree is 3.5\n") == [(3, "3.5")]


def test_placeholders_are_filled_in_and_a_missing_record_names_its_line(tmp_path):
    text = tiny_course.SOURCE.replace("It is used here.", 'It reaches {{ result("curve", "scratch@10").mean | pct }}.')
    path = tiny_course.write_unit(tmp_path, text)
    source = release.read_source(path)
    notebook = release.build_notebook(source, tiny_course.EXERCISES, render=lambda text: text.upper())
    assert any(cell.source.startswith("IT REACHES") for cell in notebook.cells)
    with pytest.raises(release.ReleaseError, match=rf"{UNIT}.py:{at(text, '# It reaches') - 1}: a placeholder"):
        release.build_notebook(source, tiny_course.EXERCISES)


def test_an_unknown_unit_is_named_with_those_that_there_are(tmp_path):
    tiny_course.write_unit(tmp_path)
    with pytest.raises(release.ReleaseError, match=r"no unit '91_none'.*90_tiny"):
        release.build_unit("91_none", root=tmp_path, exercises={})


# --- notebooks/, gradebook


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    tiny_course.write_unit(tmp_path)
    monkeypatch.setattr(release, "exercises_by_name", lambda unit: tiny_course.EXERCISES)
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
    with pytest.raises(release.ReleaseError):
        release.write_release([UNIT], root=course)
    assert (course / "notebooks" / UNIT / f"{UNIT}.ipynb").read_bytes() == before


def test_releasing_again_keeps_the_grades_that_a_person_gave(course):
    from nbgrader.api import Gradebook

    book_path = course / "class" / "gradebook.db"
    release.write_release([UNIT], root=course)
    with release.tools_on_path():
        with Gradebook(f"sqlite:///{book_path}", release.COURSE_ID) as book:
            assert book.find_assignment(UNIT).max_score == 8
            book.add_student("ada")
            book.add_submission(UNIT, "ada")
            grade = book.find_grade("why", UNIT, UNIT, "ada")
            grade.manual_score, grade.needs_manual_grade = 2.0, False
            book.db.commit()

        tiny_course.write_unit(course, tiny_course.SOURCE.replace("It is used here", "It is used there"))
        assert len(release.write_release([UNIT], root=course)) == 1
        tiny_course.write_unit(course, tiny_course.SOURCE.replace('"grade_id": "why"', '"grade_id": "because"'))
        with pytest.raises(release.ReleaseError, match=r"holds submissions of 90_tiny.*Nothing was changed"):
            release.write_release([UNIT], root=course)
        with Gradebook(f"sqlite:///{book_path}", release.COURSE_ID) as book:
            assert book.find_grade("why", UNIT, UNIT, "ada").manual_score == 2.0
    assert "used there" in (course / "notebooks" / UNIT / f"{UNIT}.ipynb").read_text()


# --- bundle


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project of its own with the tiny unit, released, and its bundle."""
    root = tiny_course.write_project(tmp_path_factory.mktemp("project"))
    (root / "results" / UNIT).mkdir(parents=True)
    done = tiny_course.run_course(root, "release", "--student-bundle", "first.zip")
    assert done.returncode == 0, done.stderr
    return root


def test_the_bundle_holds_no_answer_and_no_test(project):
    source = (project / "solutions" / UNIT / f"{UNIT}.py").read_text()
    blocks = solution_blocks(source)
    assert len(blocks) == 3 and blocks[0] == "twice_as_much = x + x return twice_as_much"
    with zipfile.ZipFile(project / "first.zip") as archive:
        names = [name.removeprefix("learning-with-few-labels/") for name in archive.namelist()]
        assert f"notebooks/{UNIT}/{UNIT}.ipynb" in names and "Makefile" in names and "README.md" in names
        assert not [name for name in names if name.startswith(("solutions", "tests", "class", "work"))]
        for name in archive.namelist():
            text = readable(name, archive.read(name))
            assert "BEGIN SOLUTION" not in text and "BEGIN HIDDEN" not in text, name
            assert not [block for block in blocks if block in squeezed(text)], name
            assert "_reference_double" not in text and "You halved it" not in text, name
            assert "顺时针" not in text and not name.endswith(".po"), name  # translations say what the judges say


def test_a_check_works_from_the_unpacked_bundle(project, tmp_path):
    with zipfile.ZipFile(project / "first.zip") as archive:
        archive.extractall(tmp_path)
    copy = tmp_path / "learning-with-few-labels"
    (copy / "mine.py").write_text("def double(x):\n    return x / 2\n")
    done = tiny_course.run_course(copy, "check", "double", "mine.py", "--json")
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    assert (result["state"], result["mistake"], result["score"]) == ("wrong", "half", 1)
    (copy / "broken.py").write_text("def double(x):\n    return x.nothing\n")
    done = tiny_course.run_course(copy, "check", "double", "broken.py", "--json", COURSE_LANGUAGE="zh_CN")
    assert "你的代码因 AttributeError 而中止" in json.loads(done.stdout)["message"]
    assert not (copy / "course_lib" / "release.py").exists()
    assert "no sources" in tiny_course.run_course(copy, "release").stderr


def test_two_bundles_are_the_same_bytes_and_a_stale_one_is_refused(project):
    done = tiny_course.run_course(project, "release", "--student-bundle", "second.zip")
    assert done.returncode == 0, done.stderr
    assert (project / "first.zip").read_bytes() == (project / "second.zip").read_bytes()
    changed = project.parent / "changed"
    if not changed.exists():
        shutil.copytree(project, changed)
    with pytest.raises(release.ReleaseError, match="is not up to date"):
        tiny_course_bundle(changed)


def tiny_course_bundle(root: Path) -> None:
    tiny_course.write_unit(root, tiny_course.SOURCE.replace("It is used here", "It is used there"))
    before = release.exercises_by_name
    release.exercises_by_name = lambda unit: tiny_course.EXERCISES
    try:
        release.student_bundle(root / "third.zip", root=root)
    finally:
        release.exercises_by_name = before


def test_a_sealed_module_behaves_as_its_source_and_does_not_show_it():
    text = release.sealed("answer = 41 + 1\ndef double(x):\n    return 2 * x\n", name="tiny")
    assert "41" not in text and "double" not in text
    namespace = {"__file__": "tiny.py"}
    exec(text, namespace)
    assert namespace["answer"] == 42 and namespace["double"](4) == 8 and namespace["SEALED"] is True
