"""`course serve` from the command line: its parts, and what it says when it cannot start."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
import served
from click.testing import CliRunner
from served import UNIT, Browser, notebook

from course_lib.authoring import bundle
from course_lib.desk.cli import cli
from course_lib.grading.outside import attempts as kept
from course_lib.grading.outside import collecting, dates, staging
from course_lib.grading.outside.finding import find
from course_lib.grading.outside.roster import read_roster
from course_lib.serving import classroom, command, roster, taking_out

ROOT = Path(served.__file__).parents[2]


def serve(klass, *arguments: str, code: int = 0) -> str:
    options = ["serve", "--class", str(klass.folder), "--release", str(klass.place.release)]
    done = CliRunner().invoke(cli, [*options, *arguments])
    assert done.exit_code == code, done.output
    return done.output


def test_links_as_a_table_and_how_they_are_changed(klass):
    rows = list(csv.DictReader(io.StringIO(serve(klass, "links", "--address", "https://hand-in.example.org/"))))
    assert [row["student"] for row in rows] == ["ada", "bo"] and rows[0]["email"] == "ada@example.org"
    assert rows[0]["link"].startswith("https://hand-in.example.org/in/")
    path = "/in/" + rows[0]["link"].rpartition("/")[2]
    assert Browser(klass.app).get(path).status_code == 200
    changed = list(csv.DictReader(io.StringIO(serve(klass, "links", "--new", "ada", "--take-back", "bo"))))
    assert Browser(klass.app).get(path).status_code == 403 and changed[1]["link"] == ""
    assert "no student 'cy'" in serve(klass, "links", "--new", "cy", code=2)
    own = serve(klass, "links", "--instructor").strip()
    assert own == serve(klass, "links", "--instructor").strip() != serve(klass, "links", "--new-instructor").strip()


def test_a_roster_is_taken_in(klass, tmp_path):
    (tmp_path / "r.csv").write_bytes("student;name\ncy;Çağla Y\n".encode("utf-16"))
    assert "new: 1" in serve(klass, "students", str(tmp_path / "r.csv"))
    assert read_roster(klass.folder / "roster.csv").people[0].name == "Çağla Y"
    (tmp_path / "r.csv").write_text("")
    assert "is empty" in serve(klass, "students", str(tmp_path / "r.csv"), code=2)


def test_dates_are_those_of_course_release(klass):
    assert "opens Mon 12 Oct 2026" in serve(klass, "dates", UNIT, "--open", "2026-10-12 09:00")
    assert dates.read(klass.folder)[UNIT].opens is not None
    assert "no unit 'x'" in serve(klass, "dates", "x", "--due", "2026-10-12", code=2)


def test_a_unit_is_graded_again(klass):
    for student in ("ada", "bo"):
        klass.browser(student).hand_in(notebook())
    klass.grade(1)
    klass.grade(2)
    assert "graded again: 1" in serve(klass, "regrade", UNIT, "--student", "bo")
    assert (klass.row(1)["state"], klass.row(2)["state"]) == ("done", "queued")
    assert "graded again: 1" in serve(klass, "regrade", UNIT)


# --- everything as a zip ----------------------------------------------------------------------------------------------


def test_the_attempts_that_count_are_found_by_course_grade(klass, tmp_path):
    for data in (notebook(), notebook(double="def double(x):\n    return 3 * x\n")):
        klass.browser("ada").hand_in(data)
    assert "1 notebooks" in serve(klass, "download", str(tmp_path / "all.zip"))
    found = find(tmp_path / "all.zip", [UNIT], {UNIT: klass.room.by_unit[UNIT]})
    (one,) = found.submissions
    assert (one.student, one.unit, one.data) == ("ada", UNIT, data) and not found.not_read
    answer = klass.browser("instructor").get("/class/everything.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == [f"ada/{UNIT}/{UNIT}.ipynb", f"ada/{UNIT}/timestamp.txt"]


def test_every_attempt_is_collected_again_with_its_time(klass, tmp_path, monkeypatch):
    noon = datetime(2026, 10, 12, 12, tzinfo=UTC)
    monkeypatch.setattr(classroom.Clock, "_now", lambda self: noon)  # all within one second
    versions = [notebook(double=f"def double(x):\n    return {n} * x\n") for n in range(3)]
    for data in versions:
        klass.browser("ada").hand_in(data)
    klass.browser("bo").hand_in(versions[0])
    (tmp_path / "every.zip").write_bytes(klass.browser("instructor").get("/class/everything.zip?every=1").content)
    with zipfile.ZipFile(tmp_path / "every.zip") as archive:
        assert len(set(archive.namelist())) == len(archive.namelist()) == 8
    report = collecting.collect(
        [tmp_path / "every.zip"], catalogue=klass.room.catalogue, folder=tmp_path / "other",
        roster=read_roster(klass.folder / "roster.csv"), mapping={}, mapping_file=tmp_path / "mapping.csv",
    )  # fmt: skip
    assert not report.needs_a_person, report
    again = kept.records(tmp_path / "other")
    before = kept.records(klass.folder)
    assert {key: len(found) for key, found in again.items()} == {("ada", UNIT, UNIT): 3, ("bo", UNIT, UNIT): 1}
    assert {each.record["time"] for each in again["ada", UNIT, UNIT]} == {
        each.record["time"] for each in before["ada", UNIT, UNIT]
    }
    there = tmp_path / "other" / "submitted" / "ada" / UNIT / f"{UNIT}.ipynb"
    assert there.read_bytes() == versions[-1]


def test_a_download_that_cannot_be_written_leaves_an_older_one_alone(klass, tmp_path, monkeypatch):
    def full(*arguments, **named):
        raise OSError(28, "No space left on device", "all.zip")

    (tmp_path / "all.zip").write_text("an older one")
    monkeypatch.setattr(taking_out, "write", full)
    assert "No space left" in serve(klass, "download", str(tmp_path / "all.zip"), code=1)
    assert (tmp_path / "all.zip").read_text() == "an older one" and len(list(tmp_path.glob("*all.zip*"))) == 1
    assert klass.browser("instructor").get("/class/everything.zip").status_code == 500


# --- starting ---------------------------------------------------------------------------------------------------------


def test_a_missing_extra_is_said_with_the_command_that_installs_it(klass, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None if name == "uvicorn" else real(name))
    for arguments in ((), ("links",)):
        said = serve(klass, *arguments, code=1)
        assert "needs uvicorn, which is not installed" in said and "pip install -e '.[serve]'" in said


def test_what_keeps_it_from_starting_is_said(klass, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "cannot be used" in serve(klass, "--port", str(taken.getsockname()[1]), code=2)
    (klass.folder / "dates.csv").write_text(f"unit,due\n{UNIT},soon\n")
    assert "'soon' is not a date" in serve(klass, code=2)
    (klass.folder / "dates.csv").unlink()
    assert "cannot be opened" in serve(klass, "--database", "nonsense", code=1)
    (tmp_path / "empty").mkdir()
    done = CliRunner().invoke(cli, ["serve", "--class", str(klass.folder), "--release", str(tmp_path / "empty")])
    assert done.exit_code == 2 and "run `course release` first" in done.output


def test_neither_students_nor_their_code_get_the_server():
    assert "course_lib/serving" in bundle.NOT_FOR_STUDENTS and "serving" in staging.LEFT_OUT


@pytest.mark.slow
def test_the_server_as_a_process_on_this_machine_alone(klass, tmp_path):
    """Started, asked over a real connection, killed, started again, and stopped by Ctrl-C with nothing left behind."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "COURSE_SECRET": str(tmp_path / "secret")}
    options = ["--class", str(klass.folder), "--release", str(klass.place.release), "--port", str(port)]
    options += ["--workers", "1", "--exercises", served.UNITS]

    def start() -> tuple[subprocess.Popen[bytes], str]:
        log = tmp_path / "log.txt"
        with open(log, "w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "course_lib", "serve", *options], env=variables, stdout=file, stderr=file,
                start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + 120
        while not (found := re.search(r"http://\S+/in/\S+", log.read_text())):
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        return process, found[0]

    import httpx

    process, link = start()
    try:
        with httpx.Client(follow_redirects=True, timeout=30) as browser:
            answer = browser.get(link)
            assert answer.status_code == 200 and "server" not in answer.headers
            assert browser.get(f"http://localhost:{port}{klass.link('ada')}").status_code == 200
            other = {"Host": "rebound.example"}
            assert browser.get(f"http://127.0.0.1:{port}{klass.link('ada')}", headers=other).status_code == 400
        with pytest.raises(httpx.ConnectError):  # on no other address of this machine
            httpx.get(f"http://127.0.0.2:{port}/health", timeout=5)
        student = httpx.Client(follow_redirects=True, timeout=30, base_url=f"http://127.0.0.1:{port}")
        word = re.search(r'name="word" value="([^"]+)"', student.get(klass.link("ada")).text)[1]
        page = student.post("/hand-in", data={"word": word}, files={"notebook": ("x.ipynb", notebook())})
        assert page.url.path == "/attempts/1"
        again = subprocess.run(
            [sys.executable, "-m", "course_lib", "serve", *options], env=variables, capture_output=True
        )
        assert again.returncode == 2 and b"another `course serve`" in again.stderr
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process, link_again = start()
        assert link_again == link and student.get("/attempts/1").status_code == 200
        assert json.loads((klass.folder / "attempts/ada" / UNIT / f"{UNIT}.001.json").read_text())["platform"]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0, (tmp_path / "log.txt").read_text()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.2)
    else:
        pytest.fail("a worker goes on after its server")
    assert roster.enter_lost_attempts(klass.room) == 0


def test_pages_need_neither_torch_nor_nbgrader():
    """So the server answers soon after its start, and workers alone hold what grades."""
    program = "import sys, course_lib.serving.app; print({'torch', 'nbgrader'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
