"""A class: workers, shards, resumption, the second try, and the command."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import class_notebooks as notebooks
import pytest
from class_notebooks import UNIT, answered
from click.testing import CliRunner

from course_lib.grading.inside.protocol import Limits
from course_lib.grading.outside import command, grade, pool, workers
from course_lib.grading.outside.finding import find
from course_lib.grading.outside.options import GraderFault
from course_lib.grading.outside.submission import Submission
from course_lib.grading.outside.zygotes import Zygote

HERE = Path(__file__).parents[1]
TRIPLES = "def double(x):\n    return 3 * x\n"


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.json"))}


@pytest.fixture(scope="module")
def submitted(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("submitted")
    kinds = {
        "ada": answered(),
        "bob": answered(TRIPLES),
        "=cmd()": answered(notebooks.STUB.format("double")),
        "dora": answered("def double(x):\n    raise ValueError(object())"),
        "emil": answered("import os; os._exit(0)"),
        "frieda": b"[]",
    }
    for student, notebook in kinds.items():
        path = folder / student / UNIT / f"{UNIT}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(notebook if isinstance(notebook, bytes) else notebooks.as_bytes(notebook))
    return folder


@pytest.fixture
def shared(zygote, monkeypatch):
    """The workers in this process use the zygote that is there already."""

    class Shared(Zygote):
        def __init__(self, options):
            self.__dict__.update(vars(zygote))
            self.options = options

        def close(self):
            pass

    monkeypatch.setattr(workers, "Zygote", Shared)
    return zygote


@pytest.fixture
def grade_class(shared, options, release, submitted):
    def run(out, **more):
        found = find(submitted, [UNIT], {UNIT: [release]}).submissions
        return pool.grade_all(found, {(UNIT, UNIT): release}, options, pool.Plan(out, **more))

    return run


def test_a_class_is_graded_resumed_and_sharded_to_the_same_bytes(grade_class, tmp_path) -> None:
    report = grade_class(tmp_path / "whole")
    verdicts = {result["student"]: (result["verdict"], result["score"]) for result in report.results}
    assert verdicts == {
        "ada": ("right", 5),
        "bob": ("wrong", 2),
        "=cmd()": ("not_attempted", 2),
        "dora": ("error", 2),
        "emil": ("crashed", 2),
        "frieda": ("malformed", 0),
    }
    whole = files_of(tmp_path / "whole")
    assert len(whole) == 6
    for k in (1, 2, 3):
        grade_class(tmp_path / "shards", shard=(k, 3))
    assert files_of(tmp_path / "shards") == whole
    (tmp_path / "whole" / UNIT / UNIT / "ada.json").unlink()
    (tmp_path / "whole" / UNIT / UNIT / "bob.json").write_text("{")
    report = grade_class(tmp_path / "whole")
    assert (report.kept, len(report.results)) == (4, 6)
    assert files_of(tmp_path / "whole") == whole


def test_killed_with_two_workers_and_resumed_to_the_same_bytes(
    grade_class, submitted, release_folder, tmp_path
) -> None:
    command_line = [sys.executable, str(HERE / "class_of.py"), str(submitted), str(release_folder)]
    child = subprocess.Popen([*command_line, str(tmp_path / "killed"), "2"], env=_environment())
    ended, at_work = time.monotonic() + 200, 0
    while not files_of(tmp_path / "killed") and child.poll() is None and time.monotonic() < ended:
        at_work = max(at_work, len(_left_of(child.pid, tmp_path / "killed")))
        time.sleep(0.02)
    assert at_work >= 4, "itself, two workers, the sandbox"
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "it had finished before it was killed"
    before = files_of(tmp_path / "killed")
    assert 0 < len(before) < 6
    grade_class(tmp_path / "killed")
    grade_class(tmp_path / "whole")
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")
    while _left_of(child.pid, tmp_path / "killed") and time.monotonic() < ended:
        time.sleep(0.1)
    assert not _left_of(child.pid, tmp_path / "killed")


def test_workers_shards_and_five_kills_give_the_same_bytes(zygote, submitted, release_folder, tmp_path) -> None:
    arguments = [str(submitted), str(release_folder), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(HERE / "interrupted.py"), *arguments], env=_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    whole = files_of(tmp_path / "whole")
    assert len(whole) == 6
    for name in ("workers-2", "workers-4", "merged", *(f"killed-{number}" for number in range(5))):
        assert files_of(tmp_path / name) == whole, name
    left = json.loads(done.stdout)
    assert len(left) == 5 and any(0 < count < 6 for count in left), f"results at the kills: {left}"


def _environment() -> dict[str, str]:
    root = str(HERE.parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}


def _left_of(pid: int, out: Path) -> list[str]:
    """Processes of a grader: its workers by the folder they write to, the sandbox's by the one they were started in."""
    left = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            said = path.read_bytes()
            if f"course-grading-{pid}-".encode() in said or str(out).encode() in said:
                left.append(path.parent.name)
    return left


def test_a_timeout_is_tried_again_alone(shared, options, release, tmp_path, monkeypatch) -> None:
    """A machine that was busy the first time must not cost anybody points."""
    tried = []

    def graded(zygote, released, one, *, key, judges):
        tried.append(one.student)
        result = real(zygote, released, one, key=key, judges=judges)
        if one.student == "slow" and tried.count("slow") == 1:
            result["exercises"][0]["verdict"] = "timeout"
        return result

    real = grade.grade_submission
    monkeypatch.setattr(grade, "grade_submission", graded)
    ones = [Submission(s, UNIT, UNIT, notebooks.as_bytes(answered())) for s in ("slow", "ada")]
    report = pool.grade_all(ones, {(UNIT, UNIT): release}, options, pool.Plan(tmp_path))
    assert tried == ["slow", "ada", "slow"]
    assert [(r["student"], r["score"]) for r in report.results] == [("ada", 5), ("slow", 5)]


def test_a_broken_grader_grades_the_others_and_says_who_is_missing(
    shared, options, release, tmp_path, monkeypatch
) -> None:
    def graded(zygote, released, one, *, key, judges):
        if one.student == "unlucky":
            raise GraderFault("something of ours broke")
        return real(zygote, released, one, key=key, judges=judges)

    real = grade.grade_submission
    monkeypatch.setattr(grade, "grade_submission", graded)
    ones = [Submission(s, UNIT, UNIT, notebooks.as_bytes(answered())) for s in ("unlucky", "ada")]
    report = pool.grade_all(ones, {(UNIT, UNIT): release}, options, pool.Plan(tmp_path))
    assert [r["student"] for r in report.results] == ["ada"]
    assert report.failed == {f"unlucky/{UNIT}/{UNIT}": "something of ours broke"}
    assert len(files_of(tmp_path)) == 1


def test_a_changed_submission_release_or_secret_is_graded_again(options, release) -> None:
    import dataclasses

    one = Submission("ada", UNIT, UNIT, b"x")
    base = (one, release, options)
    variants = [
        base,
        (dataclasses.replace(one, data=b"y"), release, options),
        (one, dataclasses.replace(release, digest="z"), options),
        (one, release, dataclasses.replace(options, secret=b"other" * 8)),
        (one, release, dataclasses.replace(options, profile="laptop")),
        (one, release, dataclasses.replace(options, limits=Limits(exercise_seconds=3))),
    ]
    keys = [pool.keys_of([s], {(UNIT, UNIT): r}, o)[0] for s, r, o in variants]
    assert len(set(keys)) == len(variants)
    assert pool.keys_of([one], {(UNIT, UNIT): release}, options)[0] == keys[0]


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def course_grade(shared, unit_known, release_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_SECRET", str(tmp_path / "secret"))

    def run(*arguments: str):
        fixed = ["--release", str(release_folder), "--exercises", unit_known, "--workers", "1", "--no-gradebook"]
        out = [] if "--out" in arguments else ["--out", str(tmp_path / "out")]
        return CliRunner().invoke(command.grade_command, [*map(str, arguments), *fixed, *out])

    return run


def test_the_command_tells_verdicts_and_ends_by_outcome(course_grade, submitted, tmp_path) -> None:
    done = course_grade(submitted)
    assert done.exit_code == 1, done.output  # frieda's notebook cannot be read
    assert "6 graded (0 of them before)" in done.output
    assert "frieda/97_measures: the file is not a notebook" in done.output
    again = course_grade(submitted, "--json")
    results = json.loads(again.stdout)
    assert len(results) == 6 and {r["verdict"] for r in results} >= {"right", "malformed"}
    assert "6 graded (6 of them before)" in course_grade(submitted).output
    only = tmp_path / "only" / "ada"
    only.parent.mkdir()
    only.symlink_to(submitted / "ada")
    assert course_grade(tmp_path / "only").exit_code == 2  # a link to a student's folder is not followed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/nowhere"], "there is no folder or zip archive /nowhere"),
        (["."], "holds no submission of 97_measures"),
        ([".", "--unit", "99_no"], "no unit '99_no' was released"),
        ([".", "--shard", "4/3"], "is not K/N"),
        ([".", "--isolation", "hope"], "is not one of"),
    ],
)
def test_bad_input_is_one_clear_sentence(course_grade, tmp_path, monkeypatch, arguments, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    done = course_grade(*arguments)
    assert done.exit_code == 2
    assert words in done.output
    assert "Traceback" not in done.output


def test_a_folder_that_cannot_be_written_to(course_grade, submitted, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    done = course_grade(submitted, "--out", str(tmp_path / "file" / "out"))
    assert done.exit_code == 2 and "cannot be written to" in done.output


def test_each_worker_tends_to_stay_with_its_own_units():
    assert pool._apart([*"aaabbb"], 2) == [*"ababab"]
    for count in (1, 2, 3, 7):
        tasks = [(f"unit {number // 3}", number) for number in range(10)]
        assert sorted(pool._apart(tasks, count)) == tasks
