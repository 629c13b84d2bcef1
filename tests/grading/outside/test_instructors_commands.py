"""`course collect`, `course grades` and `course report` on one small class: what they print, write and end with."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import small_class
from click.testing import CliRunner, Result
from downloads import laid_out, zipped
from small_class import DOUBLE, TOTAL, UNIT, WHY

from course_lib.desk import cli
from course_lib.grading.outside import exports, results

MOODLE = "{0}_{1}_assignsubmission_file_/homework.ipynb"


@pytest.fixture
def course(released, desk, monkeypatch):
    monkeypatch.setenv("COURSE_ROOT", str(released.parent))

    def run(command: str, *arguments: object) -> Result:
        words = [command, "--class", str(desk.folder), *map(str, arguments)]
        return CliRunner().invoke(cli.cli, words)

    return run


def page(released, **answers: str) -> str:
    return json.dumps(small_class.notebook(released, **answers))


@pytest.fixture
def download(released, tmp_path):
    good = page(released, double=DOUBLE, total=TOTAL, why=WHY)
    names = {"Ada Lovelace": good, "Bo Li": page(released, double="def double(x):\n    return x / 2\n")}
    files = {MOODLE.format(name, number): text for number, (name, text) in enumerate(names.items(), 31)}
    return zipped(tmp_path / "unit.zip", files)


def test_from_a_download_to_grades_and_a_report(course, desk, released, download, tmp_path) -> None:
    done = course("collect", download, "--dry-run")
    assert done.exit_code == 0 and "2 attempts would be collected (nothing was written)" in done.output
    assert not (desk.folder / "submitted").exists()
    done = course("collect", download)
    assert done.exit_code == 0 and "2 attempts collected, 0 were there before; 2 students, 1 units." in done.output
    assert f"Ada Lovelace  {UNIT}/{UNIT}  attempt 1, counts  <- unit.zip/Ada Lovelace_31" in done.output

    # What `course grade` would find, judged here without its sandbox.
    graded = [
        small_class.right(released, "Ada Lovelace"),
        small_class.submission(
            "Bo Li", None, [small_class.entry("double", "def double(x):\n    return x / 2\n"),
                            small_class.entry("total", small_class.BLANK.replace("double", "total"))],
        ),
    ]  # fmt: skip
    for each in graded:
        results.write(desk.folder / "results", dict(each.result))
    exports.publish(graded, released=released, folder=desk.folder)

    done = course("grades", "--for", "moodle")
    assert done.exit_code == 1 and "written answers wait for a person" in done.stderr  # ada's
    done = course("grades", "--for", "moodle", "--with-waiting", "--json")
    assert done.exit_code == 0
    (path,) = json.loads(done.stdout)["files"]
    rows = {row["Identifier"]: row["Grade"] for row in csv.DictReader(Path(path).read_text().splitlines())}
    assert rows == {"Participant 31": "5", "Participant 32": "1"}
    assert course("grades").exit_code == 0 and "Ada Lovelace" in (desk.folder / "export" / "grades.csv").read_text()
    done = course("grades", "--for", "gradescope")
    assert done.exit_code == 1 and "not collected from Gradescope" in done.stderr

    done = course("report")
    assert done.exit_code == 0 and "You halved it." in (desk.folder / "report.html").read_text()
    assert json.loads((desk.folder / "report.json").read_text())["units"][0]["waiting"][0]["count"] == 1
    done = course("report", "--anonymous")
    assert "Bo Li" not in (desk.folder / "report-for-class.html").read_text()
    assert json.loads(course("report", "--json").stdout)["units"][0]["mistakes"][0]["students"] == ["Bo Li"]


def test_what_is_not_clear_ends_with_1_and_says_what_to_do(course, desk, released, tmp_path) -> None:
    folder = laid_out(tmp_path / "in", {"loose.ipynb": page(released), "notes.txt": "", "x.ipynb": "no notebook"})
    done = course("collect", folder)
    assert done.exit_code == 1 and "Fill in its column student" in done.stderr
    assert "not read: in/x.ipynb: it is called like a notebook and is none" in done.stderr
    assert "passed over, no notebook: 1 (notes.txt)" in done.stdout
    told = json.loads(course("collect", folder, "--json").stdout)
    assert {each["path"]: each["fate"] for each in told["files"]} == {
        "in/loose.ipynb": "unclear", "in/notes.txt": "passed", "in/x.ipynb": "not_read",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        ("collect", ["nowhere.zip"], "there is no file or folder nowhere.zip"),
        ("collect", ["{zip}", "--roster", "nowhere.csv"], "there is no file nowhere.csv"),
        ("collect", ["{zip}", "--release", "nowhere"], "run `course release` first"),
        ("grades", ["--unit", "03_none"], "there are no grades of 03_none"),
        ("report", [], "Run `course grade` first"),
    ],
)
def test_what_cannot_be_done_ends_with_2(course, download, command, arguments, said) -> None:
    done = course(command, *(str(each).format(zip=download) for each in arguments))
    assert done.exit_code == 2 and said in " ".join(done.output.split())
