"""The command `course`: what it prints, and its exit codes (0 right, 1 wrong, 2 not used right)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import tiny_course
from click.testing import CliRunner, Result

from course_lib.authoring import release
from course_lib.desk import cli, jupyterlab, learners_notebook, workspace

UNIT = tiny_course.UNIT
RIGHT = "def double(x):\n    return x + x\n"
ANSWERS = {"double": "def double(x):\n    return 2 * x", "total": "def total(x):\n    return x.sum().item()"}


@pytest.fixture
def course(monkeypatch):
    """Runs `course ...` in this process, on the tiny unit."""
    tiny_course.install(monkeypatch)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli.cli, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project folder with the tiny unit released and copied."""
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    monkeypatch.delenv("COURSE_WORK", raising=False)
    tiny_course.write_unit(tmp_path)
    files = release.build_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
    folder = tmp_path / "notebooks" / UNIT
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    workspace.prepare(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_help_answers_at_once_and_names_every_command():
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "course_lib", "--help"], capture_output=True, text=True, timeout=60)
    seconds = time.perf_counter() - began
    assert done.returncode == 0 and done.stderr == ""
    for name in ("lab", "check", "exercises", "progress", "reset", "release", "results", "new", "doctor", "demo"):
        assert f"\n  {name} " in done.stdout
    # 0.1 s on an idle machine; torch alone would take ten times that.
    assert seconds < 1.0
    loaded = [sys.executable, "-X", "importtime", "-m", "course_lib", "--help"]
    assert "torch" not in subprocess.run(loaded, capture_output=True, text=True, timeout=60).stderr


@pytest.mark.parametrize("command", [[], *([name] for name in cli.cli.commands), ["new", "unit"], ["new", "exercise"]])
def test_every_command_has_help(course, command):
    done = course(*command, "--help")
    assert done.exit_code == 0 and "Usage:" in done.output


def test_a_right_answer_in_a_file(course, tmp_path):
    done = course("check", "double", write(tmp_path / "mine.py", RIGHT), "--json")
    assert done.exit_code == 0
    result = json.loads(done.output)
    assert "Twice is a sum." in result.pop("message")
    assert result == {
        "exercise": "double",
        "unit": UNIT,
        "state": "right",
        "score": 3,
        "points": 3,
        "mistake": None,
        "criteria": [{"name": "value", "score": 2, "points": 2}, {"name": "kept", "score": 1, "points": 1}],
    }


def test_a_known_mistake_in_a_file_is_named(course, tmp_path):
    path = write(tmp_path / "mine.py", "def double(x):\n    return x / 2\n")
    done = course("check", "double", path, "--json")
    assert done.exit_code == 1
    result = json.loads(done.output)
    assert (result["state"], result["score"], result["mistake"]) == ("wrong", 1, "half")
    text = course("check", "double", path)
    assert text.exit_code == 1
    assert "90.1  double  wrong" in text.output and "1/3" in text.output and "You halved it." in text.output


def test_a_file_that_does_not_run_is_an_error_of_the_answer(course, tmp_path):
    done = course("check", "double", write(tmp_path / "mine.py", "def double(x:\n"), "--json")
    assert done.exit_code == 1
    result = json.loads(done.output)
    assert (result["state"], result["score"]) == ("error", 0) and "SyntaxError" in result["message"]


def test_a_stub_is_not_attempted(course, tmp_path):
    stub = 'def double(x):\n    raise NotImplementedError("Exercise 90.1: double")\n'
    done = course("check", "double", write(tmp_path / "mine.py", stub), "--json")
    assert done.exit_code == 1 and json.loads(done.output)["state"] == "not_attempted"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "triple", "mine.py"], "no exercise 'triple'; the exercises are double, total"),
        (["check", "total", "mine.py"], "does not define `total`; it defines double. Name your function `total(x)`"),
        (["check", "double", "absent.py"], "no file absent.py"),
        (["check", "absent.ipynb"], "no file absent.ipynb"),
        (["check", "double"], "course check EXERCISE FILE.py"),
        (["check", "mine.py"], "mine.py is not a notebook"),
        (["check", "other.ipynb"], "holds no exercise of this course"),
        (["check", "."], "is a folder, not a notebook"),
        (["new", "unit", "Unit"], "named by two digits"),
        (["release", "55_none"], "no unit 55_none"),
        (["check"], "Missing argument"),
    ],
)
def test_a_wrong_use_is_one_clear_sentence_and_exit_code_2(course, project, monkeypatch, arguments, said):
    monkeypatch.chdir(project)
    write(project / "mine.py", RIGHT)
    write(project / "other.ipynb", '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}')
    done = course(*arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split()) and "Traceback" not in done.output


def test_exercises_as_a_list(course):
    done = course("exercises", "--json")
    assert json.loads(done.output)[0] == {
        "exercise": "double",
        "unit": UNIT,
        "points": 3,
        "criteria": [{"name": "value", "points": 2}, {"name": "kept", "points": 1}],
        "mistakes": ["in_place", "half", "same"],
        "alternatives": ["add"],
    }
    assert "90.2  total" in course("exercises").output


def test_progress_and_reset(course, project):
    path = project / "work" / UNIT / f"{UNIT}.ipynb"
    notebook = json.loads(path.read_text())
    learners_notebook.answer_cells(notebook)["double"]["source"] = RIGHT
    path.write_text(json.dumps(notebook))
    assert f"{UNIT}: 0 of 5 points" in course("progress").output
    assert len(json.loads(course("progress", "--json").output)) == 2
    done = course("reset", "double")
    assert done.exit_code == 0 and "Your old answer:" in done.output
    assert "at its start already" in course("reset", "double").output
    assert course("reset", "triple").exit_code == 1


def test_a_stale_release_is_exit_code_1_and_names_the_file(course, project):
    done = course("release", "--check")
    assert done.exit_code == 0, done.output
    tiny_course.write_unit(project, tiny_course.SOURCE.replace("It is used here", "It is used there"))
    done = course("release", "--check")
    assert done.exit_code == 1 and f"stale: notebooks/{UNIT}/{UNIT}.ipynb" in done.output


def test_a_broken_rule_stops_the_release_with_its_place(course, project):
    path = tiny_course.write_unit(project, tiny_course.SOURCE.replace('# %% tags=["train"]', "# %%"))
    done = course("release")
    assert done.exit_code == 1 and f"{path.relative_to(project)}:" in done.output and "without a kind" in done.output


def test_doctor_tells_what_is_there_and_how_to_fix_what_is_not(course, project, monkeypatch):
    done = course("doctor")
    assert done.exit_code == 0, done.output
    for word in ("python", "packages", "device", "threads", "data", "isolation", "work/"):
        assert word in done.output
    monkeypatch.setenv("COURSE_PROFILE", "fast")
    monkeypatch.setenv("COURSE_WORK", "/proc/nowhere")
    done = course("doctor")
    assert done.exit_code == 1
    assert "unset COURSE_PROFILE" in done.output and "cannot be written to" in done.output


def test_a_whole_notebook_is_checked_in_a_kernel(project, monkeypatch):
    root = tiny_course.write_project(project / "whole")
    path = project / "work" / UNIT / f"{UNIT}.ipynb"
    notebook = json.loads(path.read_text())
    cells = learners_notebook.answer_cells(notebook)
    # An answer may build on a cell that the learner added.
    helper = {"cell_type": "code", "id": "f00", "metadata": {}, "outputs": [], "execution_count": None}
    notebook["cells"].insert(3, helper | {"source": "def add(x):\n    return x + x"})
    cells["double"]["source"] = "def double(x):\n    return add(x)"
    cells["total"]["source"] = "def total(x):\n    return 1 / 0\n\nundefined"
    (train,) = [cell for cell in notebook["cells"] if "train" in cell["metadata"].get("tags", [])]
    train["source"] = "open('trained', 'w').close()"
    path.write_text(json.dumps(notebook))
    before = path.read_bytes()
    done = tiny_course.run_course(root, "check", str(path), "--json")
    assert done.returncode == 1 and done.stderr == ""
    double, total = json.loads(done.stdout)
    assert (double["exercise"], double["state"], double["score"]) == ("double", "right", 3)
    assert (total["exercise"], total["state"], total["points"]) == ("total", "error", 2)
    assert "ZeroDivisionError" in total["message"] or "NameError" in total["message"]
    assert path.read_bytes() == before and not (path.parent / "trained").exists()


@pytest.mark.skipif(os.name == "nt", reason="ends the server with a signal")
def test_lab_copies_prints_its_address_and_serves_the_first_unit(project):
    root = tiny_course.write_project(project / "Übung 一 (mine)")
    (root / "notebooks").symlink_to(project / "notebooks")
    variables = {**os.environ, "PYTHONPATH": str(root), "COURSE_ROOT": str(root), "PYTHONUNBUFFERED": "1"}
    port = jupyterlab.free_port(18888)
    command = [sys.executable, "-m", "course_lib", "lab", "--no-browser", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=root, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        printed = ""
        while "JupyterLab:" not in printed:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            printed += line
        assert f"Copied into {root / 'work'}" in printed
        address = printed.split("JupyterLab:")[1].split()[0]
        assert f":{port}/lab/tree/{UNIT}/{UNIT}.ipynb?token=" in address
        base, token = address.split("/lab/")[0], address.split("token=")[1]
        listing = f"{base}/api/contents/{UNIT}?token={token}"
        for _ in range(120):
            try:
                with urllib.request.urlopen(listing, timeout=5) as answer:
                    names = [item["name"] for item in json.load(answer)["content"]]
                break
            except OSError:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.5)
        else:
            pytest.fail("JupyterLab did not answer within a minute")
        assert names == [f"{UNIT}.ipynb"]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)


def test_results_hands_on_what_was_asked_for(course, project, monkeypatch):
    from course_lib.authoring import quoting, recording

    asked = []
    monkeypatch.setattr(recording, "run", lambda unit, **options: asked.append((unit, options)) or [])
    monkeypatch.setattr(quoting, "write_readme", lambda path: False)
    arguments = ["--dataset", "mnist", "--profile", "smoke", "--seeds", "2"]
    assert course("results", UNIT, *arguments).exit_code == 0
    ((unit, options),) = asked
    assert unit == UNIT
    assert (options["dataset"], options["profile"], options["seeds"]) == ("mnist", "smoke", 2)
    assert course("results", UNIT, "--profile", "huge").exit_code == 2


def test_the_grader_is_part_of_the_command_and_says_what_is_missing(course, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    (tmp_path / "solutions").mkdir()
    assert "sandbox" in course("grade", "--help").output
    missing = course("grade", tmp_path / "nothing")
    assert missing.exit_code == 2
    assert "no released notebooks" in missing.output
    unknown = course("explain", "ada", "accuracy")
    assert unknown.exit_code == 2
    assert "'ada' has been graded" in unknown.output
