"""Does `course serve` lose an upload when a class hands in within a minute, and it is killed meanwhile?

    python -m tests.benchmarks.serving_load
    python -m tests.benchmarks.serving_load --students 20 --seconds 20      # a smaller one, to try it

Each student opens their link and uploads a notebook of unit 01 at a random time of the minute. Who gets no answer tries
again after half a second, as a person does. Meanwhile SIGKILL ends a worker at a quarter of the time, the server at a
half, and another worker at three quarters; the server is started again by hand, at once. Two workers grade, and one
notebook has been graded before the minute begins, as on a server that has been up for a while.

Counted are afterwards: uploads that are missing or differ from what was sent, attempts with more or less than one
result, results in class/results that have other points or that `course grade` does not take for its own, and students
whose page does not show their points. Times are those of students: from the click to the answer, and to the feedback.
The load average tells what else the machine did. Figures go to results/benchmarks/serving_load.json. Exits with 1 when
anything was lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx
import psutil

from course_lib import files, settings

from .grading_costs import environment, surroundings
from .grading_speed import SHARES, UNIT, Material, scratch

WORKERS = 2
KINDS = [kind for kind, share in SHARES[:4] for _ in range(share)]  # without the hostile ones
LONGEST = 1800.0  # seconds until the benchmark gives up


@dataclass
class Student:
    """One who hands in.

    Attributes:
        answered: seconds from the click to the answer that it was taken.
        tries: uploads that it took.
        graded: seconds from the click to the feedback; None where it never came.
    """

    name: str
    data: bytes
    link: str = ""
    clicked: float = 0.0
    answered: float | None = None
    tries: int = 0
    graded: float | None = None
    page: str = ""


@dataclass
class Server:
    """`course serve` as a process that can be killed and started again."""

    folder: Path
    port: int
    starts: list[float] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    def command(self, *more: str) -> list[str]:
        """`course serve` with the options of this class."""
        options = ["--class", str(self.folder / "class"), "--release", str(self.folder / "release")]
        options += ["--port", str(self.port), "--workers", str(WORKERS)]
        return [sys.executable, "-m", "course_lib", "serve", *options, *more]

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        began = time.perf_counter()
        with open(self.folder / "log.txt", "ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.folder, env=surroundings(self.folder), stdout=log, stderr=log,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=5).status_code == 200:
                    break
            if self.process.poll() is not None or time.perf_counter() - began > 300:
                raise click.ClickException((self.folder / "log.txt").read_text(errors="replace")[-2000:])
            time.sleep(0.1)
        self.starts.append(round(time.perf_counter() - began, 1))

    def kill(self) -> None:
        """SIGKILL to the server alone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def kill_worker(self) -> bool:
        """SIGKILL to one of its workers; whether there was one."""
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children():
                if "course_lib.serving.worker" in " ".join(child.cmdline()):
                    child.kill()
                    return True
        return False

    def stop(self) -> None:
        """As Ctrl-C does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def links(self) -> dict[str, str]:
        """The path of each student's link."""
        done = subprocess.run(self.command("links"), cwd=self.folder, env=surroundings(self.folder),
                              capture_output=True, text=True, check=True)  # fmt: skip
        rows = (line.split(",") for line in done.stdout.splitlines()[1:])
        return {row[0]: row[-1] for row in rows}


def hands_in(student: Student, at: float) -> None:
    """What a student does: waits for their moment, opens the link, uploads, and tries again until it is taken."""
    time.sleep(max(0.0, at - time.perf_counter()))
    student.clicked = time.perf_counter()
    while student.answered is None and time.perf_counter() - student.clicked < LONGEST:
        student.tries += 1
        with (
            contextlib.suppress(httpx.HTTPError, TypeError),
            httpx.Client(follow_redirects=True, timeout=30) as browser,
        ):
            word = re.search(r'name="word" value="([^"]+)"', browser.get(student.link).text)[1]  # type: ignore[index]
            address = student.link.partition("/in/")[0] + "/hand-in"
            page = browser.post(address, data={"word": word}, files={"notebook": ("unit.ipynb", student.data)})
            if page.status_code == 200 and "/attempts/" in page.url.path:
                student.answered = time.perf_counter() - student.clicked
                student.page = str(page.url)
                return
        time.sleep(0.5)


def database(folder: Path) -> sqlite3.Connection:
    """The server's data base, to look at."""
    return sqlite3.connect(f"file:{folder / 'class/serve/serve.db'}?mode=ro", uri=True)


def waits_until_graded(folder: Path, students: dict[str, Student]) -> float:
    """Notes when each attempt is done, looking every 0.2 s; the seconds that all took."""
    began = time.perf_counter()
    while time.perf_counter() - began < LONGEST:
        with contextlib.closing(database(folder)) as connection:
            rows = connection.execute(
                "select student from students join attempts on students.id = student_id where state = 'done'"
            ).fetchall()
        for (name,) in rows:
            if name in students and students[name].graded is None and students[name].clicked:
                students[name].graded = time.perf_counter() - students[name].clicked
        if all(student.graded is not None for student in students.values()):
            break
        time.sleep(0.2)
    return time.perf_counter() - began


def faults(server: Server, students: dict[str, Student]) -> dict[str, int]:
    """What was lost or done twice, counted."""
    folder, klass = server.folder, server.folder / "class"
    found = dict.fromkeys(
        ("lost", "changed", "attempts_too_many", "results_not_one", "points_not_those", "not_shown"), 0
    )
    with contextlib.closing(database(folder)) as connection:
        rows = connection.execute(
            "select student, attempts.id, number, score, count(results.round) from students join attempts"
            " on students.id = student_id left join results on attempt_id = attempts.id group by attempts.id"
        ).fetchall()
    by_student: dict[str, list[Any]] = {}
    for row in rows:
        by_student.setdefault(row[0], []).append(row)
    for name, student in students.items():
        theirs = by_student.get(name, [])
        found["lost"] += not theirs
        found["attempts_too_many"] += max(0, len(theirs) - 1)
        found["results_not_one"] += sum(row[4] != 1 for row in theirs)
        files_kept = list((klass / "attempts" / name / UNIT).glob("*.ipynb"))
        found["changed"] += [path.read_bytes() for path in files_kept] != [student.data]
        with httpx.Client(follow_redirects=True, timeout=60) as browser:
            browser.get(student.link)
            shown = re.search(r"Points for code:\s+([\d.]+) of", browser.get(student.page).text)
        found["not_shown"] += not theirs or shown is None or float(shown[1]) != theirs[0][3]
    server.stop()
    stored = {path.stem: json.loads(path.read_bytes())["score"] for path in klass.glob(f"results/{UNIT}/*/*.json")}
    for name in students:
        found["points_not_those"] += not by_student.get(name) or by_student[name][0][3] != stored.get(name)
    command = [sys.executable, "-m", "course_lib", "grade", str(klass / "submitted"), "--unit", UNIT, "--workers", "1"]
    command += ["--release", str(folder / "release"), "--out", str(klass / "results"), "--no-gradebook"]
    done = subprocess.run(command, cwd=folder, env=surroundings(folder), capture_output=True, text=True)
    kept = re.search(r"(\d+) graded \((\d+) of them before\)", done.stdout)
    found["graded_again_by_course_grade"] = int(kept[1]) - int(kept[2]) if kept else len(students)
    return found


@contextlib.contextmanager
def killing(server: Server, began: float, seconds: float, said: list[str]) -> Iterator[None]:
    """Kills a worker, the server and a worker, in a thread; starts the server again."""

    def at(share: float) -> None:
        time.sleep(max(0.0, began + share * seconds - time.perf_counter()))

    def run() -> None:
        at(0.25)
        said.append(f"worker: {server.kill_worker()}")
        at(0.5)
        server.kill()
        said.append("server: True")
        server.start()
        at(0.75)
        said.append(f"worker: {server.kill_worker()}")

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()


def seconds_of(values: list[float]) -> dict[str, float]:
    """The middle, the 95th of a hundred, and the longest."""
    values = sorted(values)
    at_95 = values[min(len(values) - 1, round(0.95 * (len(values) - 1)))]
    return {"median": round(statistics.median(values), 2), "p95": round(at_95, 2), "most": round(values[-1], 2)}


@click.command()
@click.option("--students", "count", default=100, show_default=True)
@click.option("--seconds", default=60.0, show_default=True, help="Within which all hand in.")
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False))
def main(count: int, seconds: float, seed: int, out: Path | None) -> None:
    """Plays the minute, counts what was lost, and writes a record."""
    random.seed(seed)
    material = Material()
    with scratch() as place:
        folder = place / "served"
        material.release_into(folder)
        students = {
            f"s{n:03}": Student(f"s{n:03}", material.notebook(material.answers(KINDS[n % len(KINDS)], n)) + b"\n" * n)
            for n in range(count)
        }
        first = Student("first", material.notebook({}))
        names = "".join(f"{name},Student {name}\n" for name in (*students, first.name))
        files.replace(folder / "class" / "roster.csv", f"student,name\n{names}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            server = Server(folder, free.getsockname()[1])
        server.start()
        for name, link in server.links().items():
            {**students, first.name: first}[name].link = link
        hands_in(first, 0.0)  # a server that has been up for a while: its workers have loaded what they need
        waits_until_graded(folder, {first.name: first})
        load, said = os.getloadavg()[0], []
        began = time.perf_counter() + 1
        moments = [began + random.uniform(0, seconds) for _ in students]
        threads = [threading.Thread(target=hands_in, args=pair) for pair in zip(students.values(), moments)]
        with killing(server, began, seconds, said):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        taken = time.perf_counter() - began
        waits_until_graded(folder, students)
        whole = time.perf_counter() - began
        load_after = os.getloadavg()[0]
        found = faults(server, students)
        record = {
            "environment": environment(), "students": count, "within_s": seconds, "workers": WORKERS, "killed": said,
            "load_average": [round(load, 1), round(load_after, 1)], "starts_s": server.starts,
            "answer_s": seconds_of([each.answered for each in students.values() if each.answered is not None]),
            "feedback_s": seconds_of([each.graded for each in students.values() if each.graded is not None]),
            "tried_again": sum(each.tries - 1 for each in students.values()),
            "all_taken_s": round(taken, 1), "all_graded_s": round(whole, 1), "faults": found,
        }  # fmt: skip
    file = out or settings.root() / "results" / "benchmarks" / "serving_load.json"
    files.replace(file, json.dumps(record, indent=1) + "\n")
    click.echo(json.dumps(record, indent=1))
    sys.exit(1 if any(found.values()) else 0)


if __name__ == "__main__":
    main()
