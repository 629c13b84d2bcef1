"""The queue in the data base: nothing is lost, nothing is recorded twice, and everyone has a fair share."""

from __future__ import annotations

import json
import sqlite3
import threading

import pytest
import served
from served import UNIT, Browser, Served, notebook, text_of
from sqlalchemy import func, select

from course_lib.grading.outside.recognizing import Which
from course_lib.serving import queue, roster
from course_lib.serving.database import Database, DatabaseError, attempts, results

RECORD = {"score": 5.0, "points": 5.0}
TEXTS = (json.dumps(RECORD), "[]")


def wait(klass: Served, student: str, count: int) -> list[int]:
    """Enters attempts of a student."""
    with klass.room.database.writing() as connection:
        known = roster.student_called(connection, student)
        done = connection.execute(select(func.count()).where(attempts.c.student_id == known["id"])).scalar()
        return [queue.add(connection, known["id"], Which(UNIT, UNIT), done + n, "") for n in range(1, count + 1)]


def count(klass: Served, table) -> int:
    with klass.room.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar()


def test_a_student_with_many_attempts_does_not_keep_the_others_waiting(klass):
    wait(klass, "ada", 5)
    wait(klass, "bo", 2)
    taken = [queue.claim(klass.room.database, "w") for _ in range(7)]
    assert [each.student for each in taken] == ["ada", "bo", "ada", "bo", "ada", "ada", "ada"]
    assert queue.claim(klass.room.database, "w") is None


def test_who_has_nothing_running_is_next(klass):
    wait(klass, "ada", 1)
    queue.claim(klass.room.database, "w")
    klass.grade_later = wait(klass, "ada", 1)
    wait(klass, "bo", 1)
    wait(klass, "bo", 1)
    assert [queue.claim(klass.room.database, "w").student for _ in range(3)] == ["bo", "ada", "bo"]


def test_many_workers_take_each_attempt_once(klass):
    ids = wait(klass, "ada", 20) + wait(klass, "bo", 20)
    taken: list[int] = []

    def work(name: str) -> None:
        while (claim := queue.claim(klass.room.database, name)) is not None:
            taken.append(claim.attempt)
            assert queue.finish(klass.room.database, claim, RECORD, TEXTS)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == ids and count(klass, results) == len(ids)


def test_what_a_dead_worker_had_is_graded_again_and_its_late_result_is_not_recorded(klass):
    wait(klass, "ada", 1)
    first = queue.claim(klass.room.database, "worker-1")
    assert queue.claim(klass.room.database, "worker-2") is None
    assert queue.put_back(klass.room.database, "worker-2") == 0
    assert queue.put_back(klass.room.database, "worker-1") == 1
    second = queue.claim(klass.room.database, "worker-2")
    assert second.attempt == first.attempt and second.claim != first.claim
    assert not queue.finish(klass.room.database, first, {"score": 0.0, "points": 5.0}, TEXTS)
    assert klass.row(1)["state"] == "running" and count(klass, results) == 0
    assert queue.finish(klass.room.database, second, RECORD, TEXTS)
    assert not queue.finish(klass.room.database, second, {"score": 0.0, "points": 5.0}, TEXTS)
    assert klass.row(1)["score"] == 5.0 and count(klass, results) == 1


def test_one_worker_is_not_taken_for_another_whose_name_begins_alike(klass):
    wait(klass, "ada", 1)
    queue.claim(klass.room.database, "worker-12")
    assert queue.put_back(klass.room.database, "worker-1") == 0
    assert queue.put_back(klass.room.database, "worker-1%") == 0


def test_what_ends_every_worker_is_given_up_and_the_instructor_can_have_it_graded_again(klass):
    wait(klass, "ada", 1)
    for _ in range(queue.TRIES):
        assert queue.claim(klass.room.database, "w") is not None
        queue.put_back(klass.room.database, None)
    assert queue.claim(klass.room.database, "w") is None
    page = klass.browser("ada").get("/attempts/1")
    assert "could not be graded" in page.text and f"{queue.TRIES} times" in page.text
    teacher = klass.browser("instructor")
    assert "failed" in teacher.get("/class/attempts?state=failed").text
    teacher.send("/class/regrade", attempt="1")
    assert klass.row(1)["state"] == "queued" and queue.claim(klass.room.database, "w") is not None


def test_the_old_result_stands_until_the_new_one_is_there(klass):
    wait(klass, "ada", 1)
    klass.grade(1, score=2.0, blocks=[{"kind": "note", "text": "the first one"}])
    teacher = klass.browser("instructor")
    teacher.get("/class")
    page = teacher.send("/class/regrade", unit=UNIT)
    assert "graded again: 1" in text_of(page)
    assert "the first one" in klass.browser("ada").get("/attempts/1").text and klass.row(1)["score"] == 2.0
    klass.grade(1, score=5.0)
    assert klass.row(1)["score"] == 5.0 and count(klass, results) == 2
    assert "the first one" not in klass.browser("ada").get("/attempts/1").text
    assert teacher.get("/class") and teacher.send("/class/regrade", unit="nothing").status_code == 404


def test_only_one_server_serves_a_class(klass):
    from course_lib.serving.keeper import only_server

    with (
        only_server(klass.place.own),
        pytest.raises(ValueError, match="another `course serve`"),
        only_server(klass.place.own),
    ):
        pass


# --- a data base that is gone, locked or damaged ----------------------------------------------------------------------


def test_an_attempt_that_was_kept_and_not_entered_is_entered_later(klass):
    ada = klass.browser("ada")
    ada.hand_in(notebook())
    with klass.room.database.writing() as connection:
        connection.execute(attempts.delete())
    assert roster.enter_lost_attempts(klass.room) == 1 and roster.enter_lost_attempts(klass.room) == 0
    assert count(klass, attempts) == 1 and f"{UNIT}, attempt 1" in text_of(ada.get("/"))


def test_a_data_base_that_is_gone_is_said_and_a_new_one_has_all_attempts_again(klass, release_folder, sqlite_only):
    ada = klass.browser("ada")
    ada.hand_in(notebook())
    file = klass.room.database.file
    for path in file.parent.glob("serve.db*"):
        path.unlink()
    page = ada.get("/")
    assert page.status_code == 503 and "What was handed in before is kept" in text_of(page)
    assert not file.exists()  # no empty one is made in its place while the server runs
    again = Served(klass.folder, release_folder, content=b"")
    roster.take_changed_roster(again.room)
    assert roster.enter_lost_attempts(again.room) == 1
    assert again.browser("ada").get("/attempts/1").status_code == 200
    assert Browser(again.app).get(klass.web.keys.link(1, "old")).status_code in (403, 404)


def test_a_locked_data_base_is_said_and_the_file_is_kept_and_entered_later(klass, monkeypatch, sqlite_only):
    ada = klass.browser("ada")
    klass.room.database = klass.web.room.database = Database(klass.place.address, seconds=0.1)
    other = sqlite3.connect(klass.room.database.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    page = ada.hand_in(notebook())
    assert page.status_code == 503 and "look at your page in a minute" in text_of(page)
    assert f"{UNIT}.001.ipynb" in klass.files()
    other.execute("ROLLBACK")
    assert roster.enter_lost_attempts(klass.room) == 1
    assert ada.hand_in(notebook()).url.path == "/attempts/1"  # who tries again has the same attempt


@pytest.mark.parametrize("content", [b"", b"not a data base" * 100])
def test_a_damaged_data_base_is_said_with_what_to_do(tmp_path, klass, content):
    path = tmp_path / "serve.db"
    path.write_bytes(content)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(DatabaseError, match="gone or damaged"), database.reading() as connection:
        connection.execute(select(attempts.c.id))


@pytest.mark.parametrize("url", ["nonsense", "oracle+thing://x", "mysql://x/y"])
def test_a_url_that_names_no_data_base_is_said(url):
    with pytest.raises(DatabaseError, match=r"sqlite:///FILE"):
        Database(url, make=True)


def test_no_password_of_a_data_base_is_told():
    pytest.importorskip("psycopg", reason="needs the extra postgresql")
    database = Database("postgresql+psycopg://me:sesame@127.0.0.1:1/x")
    with pytest.raises(DatabaseError) as told, database.reading():
        pass
    assert "sesame" not in str(told.value)


def test_two_connections_write_one_after_the_other(klass):
    """A writer waits for another instead of failing: both begin with the writer's lock."""
    first, second = threading.Event(), []

    def write() -> None:
        first.wait()
        second.extend(wait(klass, "bo", 1))

    thread = threading.Thread(target=write)
    thread.start()
    with klass.room.database.writing() as connection:
        first.set()
        known = roster.student_called(connection, "ada")
        queue.add(connection, known["id"], Which(UNIT, UNIT), 1, "")
    thread.join()
    assert second and count(klass, attempts) == 2 and served.UNIT == UNIT
