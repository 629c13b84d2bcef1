"""From an upload to an attempt: what is taken, what is refused and why, and what a full disk or a clock cannot lose."""

from __future__ import annotations

import errno
import io
import json
import threading
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
import served
from served import UNIT, notebook, text_of

from course_lib import files
from course_lib.grading.outside import attempts as kept
from course_lib.grading.outside import dates
from course_lib.serving import classroom, handing_in, protection, roster
from course_lib.serving.classroom import Classroom

OTHER = notebook(double="def double(x):\n    return x + x\n")


def zipped(name: str = "unit.ipynb") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, notebook())
    return stream.getvalue()


# --- what is taken ----------------------------------------------------------------------------------------------------


def test_an_upload_lies_where_the_other_commands_look_before_its_student_is_told(klass):
    page = klass.browser("ada").hand_in(notebook(), name="whatever (3).ipynb")
    assert page.status_code == 200 and page.url.path == "/attempts/1" and "It waits" in page.text
    place = klass.folder / "attempts" / "ada" / UNIT
    assert (place / f"{UNIT}.001.ipynb").read_bytes() == notebook()
    assert (klass.folder / "submitted" / "ada" / UNIT / f"{UNIT}.ipynb").read_bytes() == notebook()
    assert (klass.folder / "submitted" / "ada" / UNIT / "timestamp.txt").read_text().endswith("UTC\n")
    record = json.loads((place / f"{UNIT}.001.json").read_text())
    assert record["platform"] == classroom.PLATFORM and record["file"] == "whatever (3).ipynb"


def test_the_page_of_an_attempt_looks_again_until_it_is_graded(klass):
    ada = klass.browser("ada")
    ada.hand_in(notebook())
    assert 'http-equiv="refresh"' in ada.page.text
    klass.grade(1, score=4.0)
    ada.get("/attempts/1")
    assert 'http-equiv="refresh"' not in ada.page.text and "Points for code: 4 of 5" in text_of(ada.page)
    assert "This attempt counts" in ada.page.text
    ada.hand_in(OTHER)
    assert "A later attempt counts" in ada.get("/attempts/1").text


def test_the_same_file_twice_is_one_attempt(klass):
    ada = klass.browser("ada")
    ada.hand_in(notebook())
    assert "not a new attempt" in ada.hand_in(notebook()).text and ada.page.url.path == "/attempts/1"
    assert ada.hand_in(OTHER).url.path == "/attempts/2" and "not a new attempt" not in ada.page.text


def test_two_uploads_at_once_are_two_attempts(klass):
    browsers = [klass.browser("ada") for _ in range(6)]
    data = [notebook(double=f"def double(x):\n    return {n}\n") for n in range(6)]
    threads = [threading.Thread(target=b.hand_in, args=(d,)) for b, d in zip(browsers, data)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {(klass.folder / "attempts" / "ada" / UNIT / f"{UNIT}.{n:03}.ipynb").read_bytes() for n in range(1, 7)}
    assert found == set(data) and [klass.row(n)["state"] for n in range(1, 7)] == ["queued"] * 6


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "the file is empty"),
        (b"%PDF-1.7 no notebook", "not valid JSON"),
        (zipped(), "zip archive"),
        (b"[]", "holds a list"),
        (b'{"cells": [', "not valid JSON"),
        ('{"cells": "\u00fc"}'.encode("latin-1"), "format None"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}', "not one of this course"),
        (b'{"nbformat": 9, "cells": []}', "format 9"),
    ],
)  # fmt: skip
def test_what_is_no_notebook_of_the_course_is_refused_with_a_reason(klass, data, sentence):
    page = klass.browser("ada").hand_in(data)
    assert page.status_code == 400 and sentence in text_of(page), text_of(page)
    assert klass.files() == set() and klass.row(1) is None


def test_60_mb_are_refused_with_what_to_do(klass):
    page = klass.browser("ada").hand_in(notebook() + b" " * (60 << 20))
    assert page.status_code == 413 and "Clear Outputs of All Cells" in text_of(page) and klass.files() == set()


def test_no_file_at_all(klass):
    ada = klass.browser("ada")
    for sent in ({}, {"files": {"notebook": ("", b"")}}, {"files": {"other": ("x.ipynb", notebook())}}):
        assert ada.get("/") and ada.send("/hand-in", **sent).status_code == 400
        assert "No file was chosen" in ada.page.text
    answer = ada.client.post(
        "/hand-in", content=b"--x\r\nbroken", headers={"Content-Type": "multipart/form-data; boundary=y"}
    )
    assert answer.status_code in (400, 403) and klass.files() == set()


def test_the_instructor_is_told_that_only_students_hand_in(klass):
    teacher = klass.browser("instructor")
    assert teacher.send("/hand-in", files={"notebook": ("x.ipynb", notebook())}).status_code == 400


def test_names_of_files_that_are_not_utf8_are_kept_as_far_as_they_can_be_read(klass):
    ada = klass.browser("ada")
    body = (
        b'--x\r\nContent-Disposition: form-data; name="word"\r\n\r\n' + ada.word.encode()
        + b'\r\n--x\r\nContent-Disposition: form-data; name="notebook"; filename="\xfcbung\x07.ipynb"\r\n\r\n'
        + notebook() + b"\r\n--x--\r\n"
    )  # fmt: skip
    answer = ada.client.post("/hand-in", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 200
    record = json.loads((klass.folder / "attempts" / "ada" / UNIT / f"{UNIT}.001.json").read_text())
    assert record["file"].endswith("bung?.ipynb")


# --- rosters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "is empty"), (b"nothing,here\n1,2\n", "names no student"), (b"PK\x03\x04\xff\xfe\x00", "no student"),
     (b"student,name\nada,Ada\nada,Another Ada\n", "two students 'ada'")],
)  # fmt: skip
def test_what_is_no_roster_changes_nothing(klass, content, sentence):
    before = (klass.folder / "roster.csv").read_bytes()
    page = klass.browser("instructor").send("/class/roster", files={"roster": ("r.csv", content)})
    assert page.status_code == 400 and sentence in text_of(page) and "Nothing was changed" in text_of(page)
    assert (klass.folder / "roster.csv").read_bytes() == before
    assert klass.browser("ada").get("/").status_code == 200


def test_two_students_with_one_name_have_a_link_and_a_folder_each(klass):
    content = "student,name\nm1,Müller, Eva\n".replace(", ", " ") + "m2,Müller Eva\n"
    page = klass.browser("instructor").send("/class/roster", files={"roster": ("r.csv", content.encode("cp1252"))})
    assert page.text.count("Müller Eva</") + page.text.count("Müller Eva<br>") >= 2
    for student in ("m1", "m2"):
        assert klass.browser(student).hand_in(notebook()).status_code == 200
        assert (klass.folder / "submitted" / student / UNIT / f"{UNIT}.ipynb").is_file()


def test_a_name_that_cannot_be_a_folder_is_said_and_the_others_are_taken(klass):
    content = b"student,name\nevil/../../x,Eve\n.hidden,Hal\ncy,Cy\n"
    page = klass.browser("instructor").send("/class/roster", files={"roster": ("r.csv", content)})
    assert "'evil/../../x': a name must not hold a slash" in text_of(page) and "cy" in page.text
    assert klass.browser("cy").page.status_code == 200


def test_a_roster_that_names_fewer_keeps_the_others_with_their_work(klass):
    klass.browser("bo").hand_in(notebook())
    page = klass.browser("instructor").send("/class/roster", files={"roster": ("r.csv", b"student,name\nada,Ada L\n")})
    assert "Not in this roster, and kept with their work: bo" in text_of(page)
    assert klass.browser("bo").get("/attempts/1").status_code == 200
    assert (klass.folder / "roster.before.csv").read_bytes() == served.ROSTER


def test_a_roster_that_was_saved_by_hand_is_taken_at_the_next_start(klass):
    assert roster.take_changed_roster(klass.room) is None
    (klass.folder / "roster.csv").write_bytes(served.ROSTER + b"cy,Cy,\n")
    assert roster.take_changed_roster(klass.room).new == 1


# --- dates ------------------------------------------------------------------------------------------------------------


def test_a_unit_that_is_held_back_is_neither_shown_nor_taken(klass):
    dates.change(klass.folder, UNIT, open="2100-01-01 09:00")
    ada = klass.browser("ada")
    assert f"{UNIT} opens on Fri 1 Jan 2100" in text_of(ada.get("/")) and f'id="{UNIT}"' not in ada.page.text
    assert ada.get(f"/units/{UNIT}.zip").status_code == 404
    page = ada.hand_in(notebook())
    assert page.status_code == 400 and "opens on Fri 1 Jan 2100" in text_of(page) and klass.files() == set()
    dates.change(klass.folder, UNIT, open="2020-01-01")
    with zipfile.ZipFile(io.BytesIO(ada.get(f"/units/{UNIT}.zip").content)) as archive:
        assert f"{UNIT}/{UNIT}.ipynb" in archive.namelist()
    assert ada.hand_in(notebook()).status_code == 200


def test_late_work_is_taken_and_called_late(klass):
    dates.change(klass.folder, UNIT, due="2020-01-01")
    ada = klass.browser("ada")
    assert "which is past" in text_of(ada.page if ada.get("/") else None)
    ada.hand_in(notebook())
    assert "late" in text_of(ada.page)
    assert json.loads((klass.folder / "attempts" / "ada" / UNIT / f"{UNIT}.001.json").read_text())["late"] is True


def test_dates_that_cannot_be_read_are_told_to_the_instructor_and_the_old_ones_hold(klass):
    dates.change(klass.folder, UNIT, open="2100-01-01 09:00")
    ada = klass.browser("ada")
    (klass.folder / "dates.csv").write_text(f"unit,open,due,solutions\n{UNIT},,next Sunday or so,\n")
    page = ada.hand_in(notebook())
    assert page.status_code == 400 and "opens on" in page.text and klass.files() == set()
    page = text_of(klass.browser("instructor").get("/class"))
    assert "'next Sunday or so' is not a date" in page and "stood there before" in page


def test_the_instructor_writes_dates_on_the_page(klass):
    teacher = klass.browser("instructor")
    page = teacher.send("/class/dates", unit=UNIT, open="2026-10-12 09:00", due="2026-10-19 23:59", solutions="never")
    assert page.status_code == 200 and 'value="2026-10-19 23:59"' in page.text and 'value="never"' in page.text
    found = dates.read(klass.folder)[UNIT]
    assert found.opens and found.due and not found.shown
    bad = teacher.send("/class/dates", unit=UNIT, open="soon", due="", solutions="")
    assert bad.status_code == 400 and "'soon' is not a date" in text_of(bad)
    assert dates.read(klass.folder)[UNIT] == found
    assert teacher.send("/class/dates", unit="../x", open="", due="", solutions="").status_code == 404


# --- a full disk ------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_said_and_the_same_upload_is_taken_when_there_is_room(klass, monkeypatch):
    ada = klass.browser("ada")
    ada.hand_in(OTHER)

    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "create", full)
        page = ada.hand_in(notebook())
        assert page.status_code == 507 and "which may be full" in text_of(page)
        assert klass.row(2) is None and klass.files() == {f"{UNIT}.001.ipynb", f"{UNIT}.001.json"}
        assert ada.get("/attempts/1").status_code == 200
    assert ada.hand_in(notebook()).url.path == "/attempts/2"


def test_a_disk_that_fills_while_the_body_comes_in(klass, monkeypatch):
    from starlette.datastructures import UploadFile

    async def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(UploadFile, "write", full)
    page = klass.browser("ada").hand_in(notebook())
    assert page.status_code == 507 and klass.files() == set()


def test_a_disk_that_is_full_only_for_the_note_about_an_attempt_loses_nothing(klass, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(kept.Shelf, "note", full)
        assert klass.browser("ada").hand_in(notebook()).status_code == 507
    assert klass.browser("ada").hand_in(notebook()).status_code == 200
    assert klass.files() == {f"{UNIT}.001.ipynb", f"{UNIT}.001.json"} and klass.row(1)["number"] == 1


def test_a_disk_that_is_full_only_for_the_copy_that_is_graded(klass, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(kept.Shelf, "put_out", full)
        assert klass.browser("ada").hand_in(notebook()).status_code == 200
    handing_in.put_out(klass.room, "ada", kept.Which(UNIT, UNIT))
    assert (klass.folder / "submitted" / "ada" / UNIT / f"{UNIT}.ipynb").read_bytes() == notebook()


# --- a clock that jumps -----------------------------------------------------------------------------------------------


def test_a_clock_that_goes_back_leaves_the_last_attempt_counting(klass, monkeypatch):
    ada = klass.browser("ada")
    ada.hand_in(notebook())
    past = datetime.now(UTC) - timedelta(days=400)
    monkeypatch.setattr(classroom.Clock, "_now", lambda self: past)
    ada.hand_in(OTHER)
    assert (klass.folder / "submitted" / "ada" / UNIT / f"{UNIT}.ipynb").read_bytes() == OTHER
    assert ada.get("/").status_code == 200  # and the session goes on
    page = text_of(klass.browser("instructor").get("/class"))
    assert "The clock of this machine jumped by -9600.0 hours" in page


def test_a_small_correction_of_the_clock_is_not_told(monkeypatch):
    clock = classroom.Clock()
    monkeypatch.setattr(classroom.Clock, "_now", lambda self: datetime.now(UTC) + timedelta(seconds=90))
    clock.now()
    assert not clock.jumps


def test_no_signature_depends_on_the_clock(klass, monkeypatch):
    ada = klass.browser("ada")
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert ada.get("/").status_code == 200 and ada.hand_in(notebook()).status_code == 200
    assert protection.KEPT > 0


def test_a_class_without_released_notebooks_is_told_so(tmp_path):
    with pytest.raises(ValueError, match="run `course release` first"):
        Classroom(classroom.Place(tmp_path / "class", tmp_path / "notebooks"), make=True)
