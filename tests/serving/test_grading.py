"""Workers that grade for real, in the sandbox, and that are killed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import served
from served import LIMITS, UNIT, UNITS, notebook, text_of

from course_lib.grading.outside import command, dates, results, workers
from course_lib.grading.outside.isolation import IsolationError
from course_lib.grading.outside.options import Options, use_exercise_folders
from course_lib.grading.outside.standings import standings
from course_lib.grading.outside.submission import read_release
from course_lib.serving import keeper, queue, recording
from course_lib.serving.worker import ServingWorker

SHOUTS = (
    "import torch\nfrom pathlib import Path\nprint('<script>alert(1)</script>')\n\ndef double(x):\n    return x * 3\n"
)
WAIT = 180.0  # seconds for a machine that others use too


@pytest.fixture(scope="module", autouse=True)
def unit_known():
    """The tests' own unit, and a secret of the tests."""
    from course_lib import exercises as registry

    use_exercise_folders([UNITS])
    with pytest.MonkeyPatch.context() as patch:
        yield patch
    registry.__path__.remove(UNITS)
    registry.forget_units()


@pytest.fixture(scope="module", autouse=True)
def secret(unit_known, tmp_path_factory):
    path = tmp_path_factory.mktemp("secret") / "secret"
    path.write_text("the secret of the tests, 32 bytes\n")
    unit_known.setenv("COURSE_SECRET", str(path))


@pytest.fixture(scope="module")
def sandbox(release_folder, secret):
    """What grades in all tests here, since starting it takes seconds."""
    options = Options(limits=LIMITS, secret=results.secret(), exercise_folders=(UNITS,))
    released = {(UNIT, UNIT): read_release(release_folder, UNIT)[0]}
    with contextlib.closing(workers.Worker(options, released)) as made:
        yield made


@pytest.fixture
def worker(klass, sandbox):
    made = ServingWorker(klass.place, "worker-of-the-test", os.getppid())
    made._cold, made._worker = [], sandbox
    return made


def step(worker: ServingWorker) -> bool:
    try:
        return worker.step()
    except IsolationError as fault:
        pytest.skip(f"needs isolation: {fault}")


def until(condition) -> None:
    """Waits until something is so."""
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it has not become so"
        time.sleep(0.1)


@pytest.mark.slow
def test_an_upload_is_graded_and_shown_and_written_where_the_other_commands_look(klass, worker, monkeypatch):
    ada = klass.browser("ada")
    ada.hand_in(notebook(double=SHOUTS))
    ada.hand_in(notebook())
    klass.browser("bo").hand_in(notebook(scale="def scale(images):\n    return images\n"))
    while step(worker):
        pass
    page = text_of(ada.get("/attempts/2"))
    assert "Points for code: 5 of 5" in page and "This attempt counts" in page
    wrong = ada.get("/attempts/1")
    assert "Points for code: 2 of 5" in text_of(wrong)
    # The card's sentences, what was printed as text, and nothing that runs.
    assert "Exercise 97.1" in text_of(wrong) and "&lt;script&gt;alert(1)&lt;/script&gt;" in wrong.text
    assert "<script" not in wrong.text

    found = {result["student"]: result for result in results.all_results(klass.folder / "results")}
    assert found["ada"]["score"] == 5.0 and found["bo"]["score"] == 3.0
    grades = {(each.student, each.name): each.auto_score for each in standings(klass.folder / "gradebook.db")}
    assert grades["ada", "check_double"] == 3.0 and grades["bo", "check_scale"] == 0.0
    assert "ada" in (klass.folder / "grades.csv").read_text()
    assert all(klass.row(number)["recorded"] for number in (1, 2, 3))

    # `course grade` finds all that done: its results are the same bytes.
    monkeypatch.setattr("gc.freeze", lambda: None)
    monkeypatch.setattr(command.Choices, "limits", lambda self: LIMITS)
    choices = command.Choices(
        units=(UNIT,), workers=1, out=klass.folder / "results", release=klass.place.release, folders=(Path(UNITS),),
        quiet=True,
    )  # fmt: skip
    report = command.run(klass.folder / "submitted", choices)
    assert report.kept == 2 and not report.failed


@pytest.mark.slow
def test_no_hidden_input_is_on_the_page_of_a_student(klass, worker):
    """Values of the judge's inputs stand in the result file, for `course explain`; none is on the page."""
    ada = klass.browser("ada")
    ada.hand_in(
        notebook(
            double="def double(x):\n    return x * 3\n", scale="def scale(images):\n    raise ValueError(images)\n"
        )
    )
    while step(worker):
        pass
    page = ada.get("/attempts/1").text
    record = json.dumps(next(results.all_results(klass.folder / "results")))
    hidden = {
        text for text in record.replace("\\", " ").replace(",", " ").split() if text.count(".") == 1 and len(text) > 6
    }
    hidden = {text.strip('"[]()`}{:') for text in hidden if text.strip('"[]()`}{:-').replace(".", "").isdigit()}
    assert not [text for text in hidden if text in page]
    assert "may quote hidden inputs" in page or "left out" in page


@pytest.mark.slow
def test_a_deadline_reaches_the_gradebook(klass, worker):
    dates.change(klass.folder, UNIT, due="2020-01-01 12:00 UTC")
    klass.browser("ada").hand_in(notebook())
    while step(worker):
        pass
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{klass.folder / 'gradebook.db'}") as book:
        assert str(book.find_assignment(UNIT).duedate) == "2020-01-01 12:00:00"
        assert book.find_submission(UNIT, "ada").total_seconds_late > 0


@pytest.mark.slow
def test_a_gradebook_that_is_locked_keeps_no_feedback_back(klass, worker, monkeypatch):
    from course_lib.grading.outside.gradebook_access import GradebookError

    def locked(*arguments):
        raise GradebookError("locked")

    monkeypatch.setattr("course_lib.serving.worker.AFTER_A_FAULT", 0)
    with monkeypatch.context() as patch:
        patch.setattr(recording, "_publish", locked)
        klass.browser("ada").hand_in(notebook())
        while step(worker):
            pass
        assert "Points for code: 5 of 5" in text_of(klass.browser("ada").get("/attempts/1"))
        assert not klass.row(1)["recorded"]
    step(worker)
    assert klass.row(1)["recorded"] and (klass.folder / "gradebook.db").exists()


@pytest.mark.slow
def test_a_file_that_is_gone_is_said_and_costs_nobody_else_anything(klass, worker):
    klass.browser("ada").hand_in(notebook())
    klass.browser("bo").hand_in(notebook())
    (klass.folder / "attempts" / "ada" / UNIT / f"{UNIT}.001.ipynb").unlink()
    while step(worker):
        pass
    assert klass.row(1)["score"] == 0.0 and klass.row(2)["score"] == 5.0
    assert "cannot be read" in text_of(klass.browser("ada").get("/attempts/1"))
    assert klass.browser("ada").get("/attempts/1/notebook").status_code == 404


@pytest.mark.slow
def test_a_cluster_grades_for_the_server(klass, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent.parent))
    klass.browser("ada").hand_in(notebook())
    klass.browser("bo").hand_in(notebook(double=SHOUTS))
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, worker_dashboard_address=None
    ) as local:
        place = dataclasses.replace(klass.place, scheduler=local.scheduler_address)
        made = ServingWorker(place, "feeder", os.getppid())
        with contextlib.closing(made._worker):
            assert step(made)
    assert [klass.row(number)["score"] for number in (1, 2)] == [5.0, 2.0]
    assert "Points for code: 5 of 5" in text_of(klass.browser("ada").get("/attempts/1"))


@pytest.mark.slow
def test_workers_that_are_killed_lose_nothing_and_record_nothing_twice(klass, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent.parent))
    for student in ("ada", "bo"):
        browser = klass.browser(student)
        for n in range(4):
            browser.hand_in(
                notebook(double=f"import time\ntime.sleep(0.3)\n\ndef double(x):\n    return 2 * x + 0 * {n}\n")
            )
    keeper_thread = keeper.Keeper(klass.room, 2)
    keeper_thread.start()
    try:

        def states() -> list[str]:
            return [klass.row(number)["state"] for number in range(1, 9)]

        until(lambda: "running" in states() or keeper_thread.fault)
        if keeper_thread.fault:
            pytest.skip(f"needs isolation: {keeper_thread.fault}")
        killed = 0
        while killed < 3 and "queued" in states():
            for worker in list(keeper_thread.workers):
                if any(klass.row(n)["claim"].startswith(worker.name) for n in range(1, 9)):
                    os.kill(worker.process.pid, signal.SIGKILL)
                    killed += 1
                    break
            time.sleep(0.5)
        assert killed
        until(lambda: set(states()) == {"done"})
    finally:
        keeper_thread.stop()
    from sqlalchemy import func, select

    from course_lib.serving.database import results as table

    with klass.room.database.reading() as connection:
        counted = connection.execute(select(func.count()).select_from(table)).scalar()
    assert counted == 8 and {klass.row(n)["score"] for n in range(1, 9)} == {5.0}
    assert not threading.active_count() > 20 and served.UNIT == UNIT


def test_a_machine_that_cannot_grade_is_told_and_the_uploads_wait(klass, monkeypatch):
    class Ended:
        name = "worker-that-cannot"

        class process:
            @staticmethod
            def poll() -> int:
                return keeper.CANNOT_GRADE

    watch = keeper.Keeper(klass.room, 0)
    klass.web.keeper = watch
    klass.browser("ada").hand_in(notebook())
    watch.workers.append(Ended())
    watch.look()
    assert "cannot grade on this machine" in klass.browser("instructor").get("/class").text
    assert klass.row(1)["state"] == queue.State.QUEUED
