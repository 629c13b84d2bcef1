"""What students are handed: no answer and no test in it, and checks that work from it."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import tiny_course
from leaks import readable, solution_blocks, squeezed

from course_lib import records, settings
from course_lib.authoring import bundle, sources
from course_lib.desk.cli import cli
from course_lib.exercises.predicting.questions import all_questions

UNIT = tiny_course.UNIT


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


def test_the_records_that_predictions_need_travel_with_it():
    names = bundle._handed_out(settings.root())
    for notebook, asked in all_questions().items():
        for question in asked:
            dataset = records.main_dataset(question.unit)
            assert f"results/{question.unit}/{question.experiment}.{dataset}.laptop.json" in names, notebook
    assert "course_lib/exercises/first_steps/predictions.py" in names


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
    assert not (copy / "course_lib" / "authoring").exists()
    assert "no sources" in tiny_course.run_course(copy, "release").stderr


def test_two_bundles_are_the_same_bytes_and_a_stale_one_is_refused(project, monkeypatch):
    done = tiny_course.run_course(project, "release", "--student-bundle", "second.zip")
    assert done.returncode == 0, done.stderr
    assert (project / "first.zip").read_bytes() == (project / "second.zip").read_bytes()
    changed = project.parent / "changed"
    shutil.copytree(project, changed)
    tiny_course.write_unit(changed, tiny_course.SOURCE.replace("It is used here", "It is used there"))
    tiny_course.install(monkeypatch)
    with pytest.raises(sources.ReleaseError, match="is not up to date"):
        bundle.student_bundle(changed / "third.zip", root=changed)
    assert not (changed / "third.zip").exists()


@pytest.mark.parametrize(
    ("name", "seal"),
    [
        ("course_lib/exercises/tiny/double/judge.py", bundle.Seal.MODULE),
        ("course_lib/exercises/tiny/judge.py", bundle.Seal.MODULE),
        ("course_lib/exercises/tiny/double/mistakes.md", bundle.Seal.PACKED),
        ("course_lib/exercises/tiny/double/exercise.py", bundle.Seal.NONE),
        ("course_lib/locale/zh_CN/LC_MESSAGES/course.po", bundle.Seal.PACKED),
        ("notebooks/90_tiny/90_tiny.ipynb", bundle.Seal.NONE),
    ],
)
def test_what_says_an_answer_is_sealed_by_its_name(name, seal):
    assert bundle.seal_of(name) is seal
    new_name, content = bundle.sealed(name, b"secret_number = 42")
    assert (b"secret_number" in content) is (seal is bundle.Seal.NONE)
    assert new_name == (f"{name}.gz" if seal is bundle.Seal.PACKED else name)


def test_a_sealed_module_behaves_as_its_source_and_does_not_show_it():
    text = bundle.sealed_module("answer = 41 + 1\ndef double(x):\n    return 2 * x\n", name="tiny")
    assert "41" not in text and "double" not in text
    namespace = {"__file__": "tiny.py"}
    exec(text, namespace)
    assert namespace["answer"] == 42 and namespace["double"](4) == 8 and namespace["SEALED"] is True


# --- what a coding agent is asked ---


def test_a_students_copy_asks_coding_agents_to_tutor(project):
    with zipfile.ZipFile(project / "first.zip") as archive:
        text = archive.read("learning-with-few-labels/AGENTS.md").decode()
        names = {name.removeprefix("learning-with-few-labels/") for name in archive.namelist()}
    for asked in ("Do not write the answer", "judge.py", "mistakes.md", "Edit anything in `work/`", "next hint"):
        assert asked in text, asked
    commands = set(re.findall(r"`course ([\w-]+)", text))
    assert commands >= {"progress", "check", "exercises", "doctor"}
    assert commands <= {*cli.commands}
    assert max(map(len, text.splitlines())) <= 120 and len(text.split()) < 500
    # All else is as it is without these two texts: nothing more is handed out, and what is sealed is sealed.
    kept = {bundle.sealed(name, b"")[0] for name in bundle._handed_out(project)}
    assert names == kept | {"README.md", "AGENTS.md"}
    assert not [name for name in names if name.endswith("mistakes.md")]


def test_the_project_itself_has_no_such_request():
    root = Path(bundle.__file__).resolve().parents[2]
    folders = [root, *(root / name for name in ("course_lib", "solutions", "docs", "tests"))]
    found = [path for folder in folders for path in folder.glob("AGENTS.md" if folder == root else "**/AGENTS.md")]
    assert found == []
