"""What may go wrong around a class: each thing is one clear sentence, an exit code, and nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import class_notebooks as notebooks
import pytest
from class_notebooks import UNIT, answered
from click.testing import CliRunner

from course_lib.grading.outside import command, exports, gradebook, gradebook_access, workers
from course_lib.grading.outside.zygotes import Zygote

HERE = Path(__file__).parents[1]


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

        unit, unit_pid = Zygote.unit, Zygote.unit_pid

        def __init__(self, options):
            self.__dict__.update(vars(zygote))
            self.options = options

        def close(self):
            pass

    monkeypatch.setattr(workers, "Zygote", Shared)
    monkeypatch.setenv("COURSE_SECRET", str(tmp_path / "secret"))
    fixed = ["--release", release_folder, "--exercises", unit_known, "--workers", "1"]
    fixed += ["--out", tmp_path / "class" / "results"]

    def run(*more, place: Path = submitted):
        done = CliRunner().invoke(command.grade_command, [*map(str, (place, *fixed)), *more])
        assert "Traceback" not in done.output
        return done

    return run


def kept(tmp_path: Path) -> list[str]:
    folder = tmp_path / "class" / "results"
    assert not list(folder.rglob("*.part"))
    return sorted(path.stem for path in folder.rglob("*.json"))


def test_exit_0_when_all_was_graded_whatever_the_scores(course_grade, tmp_path) -> None:
    done = course_grade()
    assert done.exit_code == 0, done.output
    assert "2 graded (0 of them before), isolation: " in done.output
    assert "grades.csv" in done.output
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


@pytest.mark.parametrize("name", ["ada ", " eve", "x\ny", "e" * 200])
def test_exit_1_when_the_gradebook_cannot_take_a_students_name(course_grade, submitted, tmp_path, name: str) -> None:
    shutil.copytree(submitted / "ada", submitted / name)
    done = course_grade()
    assert done.exit_code == 1 and "Not recorded: student " in done.output and "a name must not" in done.output
    assert "Recorded 2 submissions" in done.output


@pytest.mark.parametrize("now", ["ada lovelace", None], ids=["renamed", "withdrawn"])
def test_who_is_not_among_the_submissions_any_more_is_said_and_flagged(course_grade, submitted, tmp_path, now) -> None:
    said = f'Graded before in {UNIT}, and not among these submissions (1): "ada".'
    assert said not in course_grade().output
    shutil.move(submitted / "ada", tmp_path / "away" if now is None else submitted / now)
    done = course_grade()
    assert said in done.output and "nbgrader db student remove" in done.output
    rows = (tmp_path / "class" / "grades.csv").read_text().splitlines()
    flagged = [row.split(",")[0] for row in rows if "not among the submissions of the last run" in row]
    assert flagged == ["ada"] and len(rows) == (4 if now else 3)
    shutil.move(tmp_path / "away" if now is None else submitted / now, submitted / "ada")
    assert said not in course_grade().output


def test_who_handed_in_nothing_of_another_unit_is_not_absent(course_grade, submitted, tmp_path) -> None:
    course_grade()
    (submitted / "eve").mkdir()
    shutil.copytree(submitted / "ada" / UNIT, submitted / "eve" / UNIT)
    assert "Graded before" not in course_grade("--shard", "1/1").output


def test_exit_1_when_something_was_not_read(course_grade, submitted) -> None:
    shutil.copy(submitted / "ada" / UNIT / f"{UNIT}.ipynb", submitted / "mine.ipynb")
    (submitted / "eve").mkdir()
    done = course_grade()
    assert done.exit_code == 1 and "2 graded" in done.output
    assert "not read: mine.ipynb: it lies in no student's folder" in done.output
    assert "not read: eve: the folder holds no notebook." in done.output


def test_exit_2_when_the_disk_is_full_and_what_was_graded_stays(course_grade, tmp_path, monkeypatch) -> None:
    def full(descriptor):
        if kept(tmp_path) if not list((tmp_path / "class" / "results").rglob("*.part")) else ada.exists():
            raise OSError(28, os.strerror(28))

    ada = tmp_path / "class" / "results" / UNIT / UNIT / "ada.json"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        done = course_grade()
    assert done.exit_code == 2, done.output
    assert "the result of 'bob' could not be written" in done.output and "No space left" in done.output
    assert "graded before is kept; make room" in done.output
    assert kept(tmp_path) == ["ada"]
    assert "2 graded (1 of them before)" in course_grade().output


def test_exit_1_when_the_gradebook_cannot_be_written_and_a_second_run_writes_it(
    course_grade, tmp_path, monkeypatch
) -> None:
    def locked(*_, **__):
        raise gradebook.GradebookError("The gradebook cannot be written (database is locked): run again.")

    with monkeypatch.context() as patch:
        patch.setattr(exports.gradebook, "record", locked)
        done = course_grade()
    assert done.exit_code == 1
    assert "failed: the gradebook: The gradebook cannot be written (database is locked): run again." in done.output
    assert kept(tmp_path) == ["ada", "bob"]
    assert course_grade().exit_code == 0


def test_a_lock_whose_holder_cannot_be_named_on_a_full_disk_holds(tmp_path, monkeypatch) -> None:
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(gradebook_access.os, "write", full)
    refused = pytest.raises(gradebook.GradebookError, match="another process")
    with gradebook.writer_lock(tmp_path), refused, gradebook.writer_lock(tmp_path):
        pass


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", "0"], "0 is not in the range x>=1"),
        (["--shard", "5/3"], "'5/3' is not K/N with 1 <= K <= N, such as 2/3"),
        (["--isolation", "nonsense"], "'nonsense' is not one of 'auto', 'namespaces', 'landlock', 'none'"),
        (["--unit", "05_none"], "no unit '05_none' was released"),
        (["--cpu-seconds", "0"], "0 is not in the range x>=1"),
    ],
)
def test_exit_2_and_the_word_that_is_wrong(course_grade, tmp_path, arguments: list[str], words: str) -> None:
    done = course_grade(*arguments)
    assert done.exit_code == 2 and words in done.output
    assert kept(tmp_path) == []


def test_exit_2_for_what_holds_no_submissions(course_grade, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "class.zip").write_text("not a zip")
    assert "holds no submission" in course_grade(place=tmp_path / "empty").output
    assert "is neither a folder nor a zip archive" in course_grade(place=tmp_path / "class.zip").output
    assert course_grade(place=tmp_path / "class.zip").exit_code == 2
    done = course_grade("--out", str(tmp_path / "class.zip"))
    assert done.exit_code == 2 and "is a file" in done.output


# --- a real plain user ----------------------------------------------------------------------------------------------

PLAIN = 65534


def test_a_plain_user_can_grade_a_class(submitted, release_folder, unit_known, tmp_path) -> None:
    """Another user than root, without any of root's rights: results, gradebook, pages, and each level as asked for."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root, to become a plain user by the command setpriv")
    for place in (tmp_path, *tmp_path.rglob("*")):
        os.chown(place, PLAIN, PLAIN)
    unreadable = submitted / "bob" / UNIT / f"{UNIT}.ipynb"
    os.chown(unreadable, 0, 0)
    unreadable.chmod(0o600)
    prefix = ["setpriv", f"--reuid={PLAIN}", f"--regid={PLAIN}", "--clear-groups", "--bounding-set=-all"]
    environment = {
        **os.environ, "HOME": str(tmp_path), "COURSE_SECRET": str(tmp_path / "secret"), "COURSE_ROOT": str(tmp_path),
        "PYTHONPATH": str(HERE.parent.parent), "MPLCONFIGDIR": str(tmp_path),
    }  # fmt: skip

    def run(*more: str, **variables: str) -> subprocess.CompletedProcess[str]:
        line = [*prefix, sys.executable, "-m", "course_lib", "grade", str(submitted), "--workers", "1"]
        line += ["--release", str(release_folder), "--exercises", unit_known, *more]
        return subprocess.run(line, env=environment | variables, cwd=tmp_path, capture_output=True, text=True)

    # Twice, because setpriv itself starts its command while it still has root's rights.
    again = f"import subprocess, sys; sys.exit(subprocess.call([{sys.executable!r}, '-c', 'import torch']))"
    if subprocess.run([*prefix, sys.executable, "-c", again], env=environment, cwd=tmp_path).returncode:
        pytest.skip("a plain user may not read this Python's folders")
    for folder in (release_folder, *release_folder.parents):  # pytest's own folders are root's alone
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
    done = run()
    if "is not to be had" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 1, done.stderr
    assert f"bob/{UNIT}: the notebook cannot be read: Permission denied" in done.stdout
    assert "Recorded 2 submissions" in done.stdout
    page = tmp_path / "class" / "autograded" / "ada" / UNIT / f"{UNIT}.ipynb"
    assert page.stat().st_uid == PLAIN
    assert "ada,3,2," in (tmp_path / "class" / "grades.csv").read_text()
    lower = run("--fresh", COURSE_FORBID_ISOLATION="namespaces")
    assert "isolation: landlock" in lower.stdout or "is not to be had" in lower.stderr, lower.stderr
    refused = run("--isolation", "namespaces", COURSE_FORBID_ISOLATION="namespaces")
    assert refused.returncode == 2
    assert "isolation 'namespaces' is not to be had on this machine" in refused.stderr
    assert "or grade with `--isolation landlock`" in refused.stderr


def test_a_small_zip_of_huge_notebooks_takes_little_memory(release, tmp_path) -> None:
    """A file of 15 MB that repeats itself is 15 kB in a zip, and a class has many of them."""
    import tracemalloc
    import zipfile

    from course_lib.grading.outside.finding import find
    from course_lib.grading.outside.submission import unpacked

    notebook = answered()
    notebook["metadata"]["padding"] = "x" * (15 << 20)
    data, path = notebooks.as_bytes(notebook), tmp_path / "class.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"s{number}/{UNIT}/{UNIT}.ipynb", data)
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    found = find(path, [UNIT], {UNIT: [release]})
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.submissions) == 20 and unpacked(found.submissions[7].data) == data
    assert held < 4 << 20 and most < 150 << 20
