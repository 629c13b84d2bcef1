"""What may go wrong around a class: each thing is one clear sentence, an exit code, and nothing lost."""

from __future__ import annotations

from pathlib import Path

import class_notebooks as notebooks
import pytest
from class_notebooks import UNIT, answered
from click.testing import CliRunner

from course_lib.grading import command, grade, pool


@pytest.fixture
def submitted(tmp_path) -> Path:
    folder = tmp_path / "class" / "submitted"
    for student, notebook in {"ada": answered(), "bob": answered("def double(x):\n    return 3 * x\n")}.items():
        path = folder / student / UNIT / f"{UNIT}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(notebooks.as_bytes(notebook))
    return folder


@pytest.fixture
def course_grade(zygote, unit_known, release_folder, submitted, tmp_path, monkeypatch):
    class Shared:
        """The zygote that is there already."""

        unit, unit_pid = grade.Zygote.unit, grade.Zygote.unit_pid

        def __init__(self, options):
            self.__dict__.update(vars(zygote))
            self.options = options

        def close(self):
            pass

    monkeypatch.setattr(pool, "Zygote", Shared)
    monkeypatch.setenv("COURSE_SECRET", str(tmp_path / "secret"))
    fixed = ["--release", release_folder, "--exercises", unit_known, "--workers", "1"]
    fixed += ["--out", tmp_path / "class" / "results"]

    def run(*more, place: Path = submitted):
        done = CliRunner().invoke(command.grade_command, [*map(str, (place, *fixed)), *more])
        assert "Traceback" not in done.output
        return done

    return run


def test_exit_0_when_all_was_graded_whatever_the_scores(course_grade, tmp_path) -> None:
    done = course_grade()
    assert done.exit_code == 0, done.output
    assert "2 graded (0 of them before), isolation: " in done.output
    again = course_grade()
    assert again.exit_code == 0 and "2 graded (2 of them before), isolation: " in again.output
    assert (tmp_path / "class" / "grades.csv").read_text().count("\n") == 3


def test_the_exit_codes_and_examples_are_in_the_help() -> None:
    text = CliRunner().invoke(command.grade_command, ["--help"]).output
    for said in ("0  everything was graded", "1  some notebook could not be read", "2  the run was refused"):
        assert said in text
    assert "--shard 2/3" in text and "--scheduler tcp://" in text


def test_exit_1_when_a_notebook_is_missing_or_cannot_be_read(course_grade, submitted) -> None:
    (submitted / "bob" / UNIT / f"{UNIT}.ipynb").unlink()
    done = course_grade()
    assert done.exit_code == 1 and f"bob/{UNIT}: the notebook {UNIT}.ipynb is missing" in done.output
    assert "right" in done.output
