"""Hand-ins of every platform come into class/; every attempt is kept; what is not clear is asked and never guessed."""

from __future__ import annotations

import csv
import errno
import os
import zipfile
from datetime import UTC, datetime

import pytest
from class_notebooks import UNIT
from downloads import Class, by_student, fates, laid_out, page, why, zip_bytes, zipped

from course_lib import files
from course_lib.grading.outside import attempts, collected_lines, uploads
from course_lib.grading.outside.submission import BadSubmissions

NAME = f"{UNIT}.ipynb"
METADATA = """\
submission_11:
  :submitters:
  - :name: Ada Lovelace
    :sid: '1815'
    :email: ada@example.org
  :created_at: 2026-03-01 10:00:00.123456000 -08:00
  :history:
  - :id: 10
    :created_at: 2026-02-28 10:00:00.000000000 Z
submission_12:
  :submitters:
  - :name: Bo Li
    :sid: ''
    :email: bo@example.org
  - :name: Cy Twombly
    :sid:
    :email: cy@example.org
  :created_at: 2026-03-02 10:00:00.000000000 Z
"""


@pytest.fixture
def klass(tmp_path, release) -> Class:
    return Class(tmp_path / "class", release)


# --- platforms --------------------------------------------------------------------------------------------------------


def test_moodle(klass, tmp_path) -> None:
    archive = zipped(
        tmp_path / "unit.zip",
        {
            "Ada Lovelace_12345_assignsubmission_file_/my work.ipynb": page("ada"),
            "Ada Lovelace_12345_assignsubmission_onlinetext_/onlinetext.html": "<p>done</p>",
            f"Bo-Bo Li_12346_assignsubmission_file_{NAME}": page("bo"),
            "Zoë_Ann Øre_12347_assignsubmission_file_/x.zip": zip_bytes({"inner/x.ipynb": page("zoe")}),
            "__MACOSX/Ada Lovelace_12345_assignsubmission_file_/._my work.ipynb": b"apple",
        },
    )
    report = klass.collect(archive)
    assert klass.students() == ["Ada Lovelace", "Bo-Bo Li", "Zoë_Ann Øre"]
    assert klass.answer_of("Zoë_Ann Øre") == "zoe" and fates(report)["onlinetext.html"] == "PASSED"
    assert klass.stamp("Ada Lovelace") is None  # no time is in the archive
    (record,) = attempts.records(klass.folder)["Ada Lovelace", UNIT, UNIT]
    assert record.record["identifier"] == "Participant 12345"


def test_moodles_worksheet_as_roster_gives_names_and_times(klass, tmp_path) -> None:
    klass.list_students(
        "Identifier,Full name,ID number,Email address,Status,Grade,Last modified (submission)\n"
        'Participant 5,Ada Lovelace,al1,ada@example.org,Submitted,,"Sunday, 1 March 2026, 11:59 PM"\n'
        "Participant 6,Bo Li,bl2,bo@example.org,No submission,,-\n"
    )
    blind = zipped(tmp_path / "u.zip", {"Participant_5_assignsubmission_file_/a.ipynb": page("ada")})
    report = klass.collect(blind)
    assert klass.answer_of("al1") == "ada" and report.nothing_from == {UNIT: ["bl2"]}
    assert klass.stamp("al1") == attempts.stamp_of(datetime(2026, 3, 1, 23, 59).astimezone())


def test_moodles_number_with_another_name_is_asked(klass, tmp_path) -> None:
    klass.list_students("Identifier,Full name,Email\nParticipant 5,Bo Li,bo@x.org\nParticipant 6,Ada B,ada@x.org\n")
    report = klass.collect(zipped(tmp_path / "u.zip", {"Ada B_5_assignsubmission_file_/x.ipynb": page()}))
    assert "the worksheet of another assignment?" in why(report, "Ada B_5") and klass.students() == []
    assert "Ada B_5,Ada B,ada@x.org,," in klass.mapping.read_text()


def test_canvas(klass, tmp_path) -> None:
    archive = zipped(
        tmp_path / "subs.zip",
        {
            f"lovelaceada_501_9001_{NAME}": page("first"),
            "lovelaceada_501_9004_97_measures-1.ipynb": page("again"),
            "libo_LATE_502_9002_notebook.ipynb": page("bo"),
            "anon_Ab1cD_9003_notebook.ipynb": page("who"),
        },
    )
    report = klass.collect(archive)
    assert klass.answer_of("lovelaceada") == "again" and klass.attempts("lovelaceada") == 2
    assert by_student(report)["libo"].late and "late" in by_student(report)["libo"].why
    assert fates(report)["anon_Ab1cD_9003_notebook.ipynb"] == "UNCLEAR"


def test_canvas_gradebook_as_roster(klass, tmp_path) -> None:
    klass.list_students(
        "Student,ID,SIS User ID,SIS Login ID,Section,Homework (77)\n"
        "    Points Possible,,,,,10\n"
        '"Lovelace, Ada",501,,ada,S1,\n"Li, Bo",502,,bo,S1,\n"Student, Test",,,test,S1,\n'
    )
    klass.collect(zipped(tmp_path / "s.zip", {f"somebodyelse_501_1_{NAME}": page("a"), f"libo_99_2_{NAME}": page("b")}))
    assert klass.students() == ["ada", "bo"]  # by the id, and by the name where the id is another one


@pytest.mark.parametrize("around", ["", "assignment_9_export/"])
def test_gradescope(klass, tmp_path, around) -> None:
    archive = zipped(
        tmp_path / "export.zip",
        {
            f"{around}submission_metadata.yml": METADATA,
            f"{around}submission_11/x.ipynb": page("ada"),
            f"{around}submission_12/deep/x.ipynb": page("group"),
            f"{around}submission_12/data.csv": "1,2",
        },
    )
    report = klass.collect(archive)
    assert klass.students() == ["ada@example.org", "bo@example.org", "cy@example.org"]
    assert klass.stamp("ada@example.org") == "2026-03-01 18:00:00 UTC"
    assert klass.answer_of("bo@example.org") == klass.answer_of("cy@example.org") == "group"
    assert not report.needs_a_person


def test_google_classroom(klass, tmp_path) -> None:
    folder = laid_out(
        tmp_path / "Homework 1",
        {
            f"Ada Lovelace - {NAME}": page("ada"),
            f"Bo Li - {UNIT} (1).ipynb": page("bo"),
            f"Copy of {NAME}": page("who"),
        },
    )
    report = klass.collect(folder)
    assert klass.students() == ["Ada Lovelace", "Bo Li"]
    assert "name no student" in why(report, "Copy of")


def test_github_classroom(klass, tmp_path) -> None:
    folder = laid_out(
        tmp_path / "week-1-submissions",
        {
            "week-1-ada-l/.git/config": "",
            "week-1-ada-l/notebooks/x.ipynb": page("ada"),
            "week-1-adam/.git/config": "",
            "week-1-adam/x.ipynb": page("adam"),
            "week-1-adam/README.md": "",
        },
    )
    klass.list_students(
        "roster_identifier,github_username,student_repository_name,submission_timestamp\n"
        "s01,ada-l,week-1-ada-l,2026-03-01 10:00:00 UTC\n,adam,week-1-adam,\n"
    )
    klass.collect(folder)
    assert klass.students() == ["adam", "s01"] and klass.stamp("s01") == "2026-03-01 10:00:00 UTC"
    assert klass.stamp("adam") is None


def test_nbgraders_exchange_and_blackboards_names(klass, tmp_path) -> None:
    inbound = laid_out(
        tmp_path / "inbound",
        {
            f"ada+{UNIT}+2026-03-01 10:00:00.000000 UTC+Zm9v/{NAME}": page("old"),
            f"ada+{UNIT}+2026-03-02 10:00:00.000000 UTC+YmFy/{NAME}": page("new"),
            f"bo+b+{UNIT}+2026-03-01 10:00:00.000000 UTC/{NAME}": page("bo"),
            "hw_cy_attempt_2026-03-01-10-00-00_mine.ipynb": page("cy"),
        },
    )
    klass.collect(inbound)
    assert klass.students() == ["ada", "bo+b", "cy"] and klass.answer_of("ada") == "new"
    assert klass.stamp("ada") == "2026-03-02 10:00:00 UTC" and klass.attempts("ada") == 2


@pytest.mark.parametrize("place", ["{0}/97 measures/x.ipynb", "97_measures/{0}/x.ipynb", "all/{0}/x.ipynb"])
def test_folders_of_students(klass, tmp_path, place) -> None:
    klass.collect(zipped(tmp_path / "c.zip", {place.format(name): page(name) for name in ("ada", "bo")}))
    assert klass.students() == ["ada", "bo"] and klass.answer_of("bo") == "bo"


def test_nbgraders_own_file_says_when_it_was_handed_in(klass, tmp_path) -> None:
    stamp = {f"ada/{UNIT}/x.ipynb": page(), f"ada/{UNIT}/timestamp.txt": "2026-03-01 10:00:00 UTC\n"}
    klass.collect(zipped(tmp_path / "c.zip", stamp))
    assert klass.stamp("ada") == "2026-03-01 10:00:00 UTC"


def test_loose_files_are_known_by_the_roster_only(klass, tmp_path) -> None:
    folder = laid_out(tmp_path / "mail", {f"ada_{NAME}": page("ada"), f"{UNIT}-li bo.ipynb": page("bo")})
    report = klass.collect(folder)
    assert set(fates(report).values()) == {"UNCLEAR"} and klass.students() == []
    klass.list_students("student;name\nada;Ada Lovelace\nbl;Bo Li\n")
    klass.mapping.unlink()
    klass.collect(folder)
    assert klass.students() == ["ada", "bl"]


# --- attempts ---------------------------------------------------------------------------------------------------------


def test_a_second_run_changes_nothing_and_a_later_attempt_is_added(klass, tmp_path) -> None:
    first = zipped(tmp_path / "1.zip", {f"ada/{UNIT}/x.ipynb": page("one"), f"bo/{UNIT}/x.ipynb": page("bo")})
    klass.collect(first)
    before = {path: path.stat().st_mtime_ns for path in klass.folder.rglob("*.ipynb")}
    assert set(fates(klass.collect(first)).values()) == {"THERE"}
    assert before == {path: path.stat().st_mtime_ns for path in klass.folder.rglob("*.ipynb")}
    klass.collect(zipped(tmp_path / "2.zip", {f"ada/{UNIT}/x.ipynb": page("two")}))
    assert klass.answer_of("ada") == "two" and klass.attempts("ada") == 2
    klass.collect(first)  # the older download again: what counts stays
    assert klass.answer_of("ada") == "two" and klass.attempts("ada") == 2


def test_an_older_attempt_that_comes_later_does_not_count(klass, tmp_path) -> None:
    def collected(day: int) -> None:
        name = f"ada+{UNIT}+2026-03-{day:02} 10:00:00 UTC/{NAME}"
        klass.collect(laid_out(tmp_path / f"in{day}", {name: page(str(day))}))

    collected(9)
    collected(3)
    assert klass.answer_of("ada") == "9" and klass.attempts("ada") == 2
    assert klass.stamp("ada") == "2026-03-09 10:00:00 UTC"


def test_a_file_put_there_by_hand_is_kept(klass, tmp_path) -> None:
    laid_out(klass.folder / "submitted" / "ada" / UNIT, {NAME: page("by hand")})
    klass.collect(zipped(tmp_path / "1.zip", {f"ada/{UNIT}/x.ipynb": page("collected")}))
    assert klass.attempts("ada") == 2 and klass.answer_of("ada") == "collected"
    assert page("by hand") in [path.read_bytes() for path in (klass.folder / "attempts").rglob("*.ipynb")]


def test_a_file_by_hand_that_a_platform_has_too_is_one_attempt_and_known_to_the_platform(klass, tmp_path) -> None:
    laid_out(klass.folder / "submitted" / "Ada" / UNIT, {NAME: page("same")})
    archive = zipped(tmp_path / "1.zip", {"Ada_7_assignsubmission_file_/x.ipynb": page("same")})
    assert set(fates(klass.collect(archive)).values()) == {"COUNTS"} and klass.attempts("Ada") == 1
    laid_out(klass.folder / "submitted" / "Bo" / UNIT, {NAME: page("bo")})
    klass.collect(zipped(tmp_path / "2.zip", {f"Bo/{UNIT}/x.ipynb": page("other")}))  # now it is an attempt by hand
    klass.collect(zipped(tmp_path / "3.zip", {"Bo_8_assignsubmission_file_/x.ipynb": page("bo")}))
    kept = attempts.records(klass.folder)
    assert [a.record["platform"] for a in kept["Ada", UNIT, UNIT] + kept["Bo", UNIT, UNIT]] == [
        "moodle", "moodle", "folders",
    ]  # fmt: skip


def test_the_copy_in_its_place_counts_among_several_of_one_hand_in(klass, tmp_path) -> None:
    names = {NAME: page("mine"), f"{UNIT} (1).ipynb": page("copy"), "broken.ipynb": b'{"cells": ['}
    klass.collect(laid_out(tmp_path / "in", {f"ada/{UNIT}/{name}": data for name, data in names.items()}))
    assert klass.answer_of("ada") == "mine" and klass.attempts("ada") >= 2


def test_a_dry_run_writes_nothing(klass, tmp_path) -> None:
    archive = zipped(tmp_path / "1.zip", {f"ada/{UNIT}/x.ipynb": page(), "x.ipynb": page("who")})
    report = klass.collect(archive, dry_run=True)
    assert fates(report)["x.ipynb"] in ("COUNTS", "UNCLEAR") and not klass.folder.exists()
    assert "nothing was written" in collected_lines.as_lines(report, dry_run=True)[-1]


# --- who is who -------------------------------------------------------------------------------------------------------


def test_two_students_with_one_name_are_asked_and_then_taken_as_told(klass, tmp_path) -> None:
    archive = zipped(
        tmp_path / "u.zip",
        {f"Wei Zhang_{n}_assignsubmission_file_/x.ipynb": page(str(n)) for n in (7, 8)},
    )
    report = klass.collect(archive)
    assert klass.students() == [] and report.questions == 2 and report.needs_a_person
    assert "two students are called 'Wei Zhang'" in why(report, "Zhang_7")
    text = klass.mapping.read_text().replace("Zhang_7,Wei Zhang,,", "Zhang_7,Wei Zhang,,wz1")
    klass.mapping.write_text(text)
    assert klass.collect(archive).questions == 0 and klass.students() == ["wz1"]
    klass.mapping.write_text(text.replace("Zhang_8,Wei Zhang,,", "Zhang_8,Wei Zhang,,-"))
    assert sorted(fates(klass.collect(archive)).values()) == ["LEFT_OUT"]
    assert not klass.collect(archive).needs_a_person and klass.students() == ["wz1"]


def test_a_namesake_in_a_later_download_is_not_taken_for_the_first(klass, tmp_path) -> None:
    klass.collect(zipped(tmp_path / "1.zip", {f"liwei_1_1_{NAME}": page("one")}))
    report = klass.collect(zipped(tmp_path / "2.zip", {f"liwei_2_1_{NAME}": page("other")}))
    assert klass.answer_of("liwei") == "one" and "two students are called" in why(report, "liwei_2")


def test_namesakes_in_a_roster_are_asked_with_both_to_choose_from(klass, tmp_path) -> None:
    klass.list_students("student,name\nwz1,Wei Zhang\nwz2,Wei Zhang\n")
    klass.collect(zipped(tmp_path / "u.zip", {"Wei Zhang_7_assignsubmission_file_/x.ipynb": page()}))
    (row,) = csv.DictReader(klass.mapping.open())
    assert (row["upload"], row["maybe"], row["student"]) == ("Wei Zhang_7", "wz1 / wz2", "")


def test_a_student_not_in_the_roster(klass, tmp_path) -> None:
    klass.list_students("student,name\nal,Ada Lovelace\nbl,Bo Li\n")
    report = klass.collect(zipped(tmp_path / "u.zip", {"Ada Lovelance_7_assignsubmission_file_/x.ipynb": page()}))
    assert klass.students() == [] and "'Ada Lovelance' is not in the roster" in why(report, "Lovelance")
    assert "al" in klass.mapping.read_text()
    assert "Fill in its column student" in collected_lines.problems(report)[-1]


def test_a_name_that_is_a_formula_is_none_in_the_mapping_file(klass, tmp_path) -> None:
    klass.list_students("student\nada\n")
    archive = zipped(tmp_path / "u.zip", {f"=cmd()/{UNIT}/x.ipynb": page()})
    klass.collect(archive)
    (row,) = csv.DictReader(klass.mapping.open())
    assert row["upload"] == "'=cmd()"
    klass.mapping.write_text("upload,student\n'=cmd(),ada\n")
    klass.collect(archive)
    assert klass.students() == ["ada"]


@pytest.mark.parametrize(("encoding", "name"), [("gbk", "张伟"), ("cp1252", "Zoë Øre"), ("cp437", "Zoë")])
def test_a_name_that_is_not_utf8(klass, tmp_path, encoding, name) -> None:
    plain = "Q" * len(name.encode(encoding))
    archive = zipped(tmp_path / "u.zip", {f"{plain}_7_assignsubmission_file_/x.ipynb": page("it")})
    archive.write_bytes(archive.read_bytes().replace(plain.encode(), name.encode(encoding)))
    report = klass.collect(archive)
    assert klass.students() == [] and "not UTF-8" in why(report, "x.ipynb")
    klass.mapping.unlink()
    klass.list_students(f"student,name\nz1,{name}\nb1,Bo Li\n")  # a roster says how it reads
    klass.collect(archive)
    assert klass.students() == ["z1"]


@pytest.mark.parametrize("name", ["..", "a/../..", ".hidden", "x" * 200, " x"])
def test_a_name_that_cannot_be_a_folder(klass, tmp_path, name) -> None:
    klass.list_students(f"student,email\n{name},ada@example.org\n") if name.strip() == name else None
    archive = zipped(tmp_path / "e.zip", {f"ada@example.org/{UNIT}/x.ipynb": page(), f" y/{UNIT}/x.ipynb": page("2")})
    klass.collect(archive)
    assert not (tmp_path / "submitted").exists() and all("@" in each for each in klass.students())


def test_a_notebook_that_does_not_say_what_it_is(klass, tmp_path) -> None:
    other = b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    archive = zipped(tmp_path / "u.zip", {"Ada_7_assignsubmission_file_/scratch.ipynb": other})
    report = klass.collect(archive)
    assert "which notebook of the course" in why(report, "scratch") and klass.students() == []
    klass.mapping.write_text(klass.mapping.read_text().replace(",Ada,\n", f",Ada,{UNIT}\n"))
    assert f",Ada,{UNIT}" in klass.mapping.read_text()
    klass.collect(archive)
    assert klass.students() == ["Ada"]


# --- bad input --------------------------------------------------------------------------------------------------------


def test_what_is_no_hand_in_is_refused_with_what_was_expected(klass, tmp_path) -> None:
    for path, said in (
        (zipped(tmp_path / "p.zip", {"photos/a.jpg": b"x"}), "holds no notebook.*a.jpg.*Expected"),
        (tmp_path / "none.zip", "there is no file"),
        (laid_out(tmp_path, {"x.tar.gz": b"x"}) / "x.tar.gz", "neither a zip archive nor a folder"),
    ):
        with pytest.raises(BadSubmissions, match=said):
            klass.collect(path)
    assert not klass.folder.exists()


def test_paths_that_climb_out_are_refused_and_the_others_collected(klass, tmp_path) -> None:
    paths = ("../../evil.ipynb", "/etc/evil.ipynb", "C:\\evil.ipynb", "a\\..\\..\\evil.ipynb")
    archive = zipped(tmp_path / "u.zip", {**{p: page(p) for p in paths}, f"ada/{UNIT}/x.ipynb": page("ada")})
    report = klass.collect(archive)
    assert klass.students() == ["ada"] and report.needs_a_person
    assert [o.why for o in report.outcomes if "evil" in o.path] == ["its path leads out of the archive"] * 4
    assert not list(tmp_path.rglob("evil*"))


def test_links_in_an_archive_are_not_followed(klass, tmp_path) -> None:
    link = zipfile.ZipInfo(f"ada/{UNIT}/x.ipynb")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "u.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "symbolic link" in why(klass.collect(tmp_path / "u.zip"), "x.ipynb")


def test_a_zip_bomb_is_read_to_its_limit_only(klass, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(uploads, "FILE_BYTES", 1 << 20)
    bomb = zip_bytes({f"x{i}.ipynb": b"0" * (3 << 20) for i in range(3)})
    archive = zipped(
        tmp_path / "u.zip",
        {f"ada/{UNIT}/x.ipynb": page("ada"), f"bo/{UNIT}/x.ipynb": b"0" * (3 << 20), f"cy/{UNIT}/w.zip": bomb,
         f"di/{UNIT}/w.zip": zip_bytes({"a.zip": zip_bytes({"b.zip": zip_bytes({"x.ipynb": page()})})})},
    )  # fmt: skip
    report = klass.collect(archive)
    assert klass.students() == ["ada"] and "made to fill a disk" in why(report, f"bo/{UNIT}")
    assert "archive inside 2 others" in why(report, "b.zip")
    monkeypatch.setattr(uploads, "ARCHIVE_BYTES", 100)
    assert "would have to be unpacked" in why(klass.collect(archive), "ada")


def test_uploads_that_are_no_notebook_or_encrypted_or_damaged(klass, tmp_path) -> None:
    folder = laid_out(
        tmp_path / "in",
        {
            f"ada/{UNIT}/x.ipynb": b"%PDF-1.7 an essay",
            f"bo/{UNIT}/x.ipynb": b"",
            f"cy/{UNIT}/x.zip": b"PK\3\4 not really",
            f"di/{UNIT}/x.ipynb": page("di"),
        },
    )
    report = klass.collect(folder)
    assert "is none (it begins with '%PDF-1.7" in why(report, "ada") and "it is empty" in why(report, "bo")
    assert "archive cannot be read" in why(report, "cy") and klass.students() == ["di"]


def test_an_upload_of_60_mb_is_kept_without_its_outputs(klass, tmp_path) -> None:
    data = page("large").replace(b'"outputs": []', b'"outputs": [{"data": "' + b"A" * (60 << 20) + b'"}]', 1)
    report = klass.collect(laid_out(tmp_path / "in", {f"ada/{UNIT}/x.ipynb": data}))
    assert klass.answer_of("ada") == "large" and "60 MB: kept without its outputs" in by_student(report)["ada"].why
    data = page("large").replace(b"# large", b"# " + b"A" * (60 << 20), 1)
    report = klass.collect(laid_out(tmp_path / "in", {f"bo/{UNIT}/x.ipynb": data}))
    assert "at most 20 MB are graded" in why(report, "bo")


def test_a_full_disk_stops_the_run_and_the_next_one_goes_on(klass, tmp_path, monkeypatch) -> None:
    archive = zipped(tmp_path / "u.zip", {f"{name}/{UNIT}/x.ipynb": page(name) for name in ("ada", "bo", "cy")})
    create, written = files.create, []

    def full(path, content, **options):
        written.append(path)
        if len(written) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return create(path, content, **options)

    monkeypatch.setattr(files, "create", full)
    report = klass.collect(archive)
    assert "No space left on device" in report.stopped and "goes on from there" in report.stopped
    assert klass.answer_of("ada") == "ada" and klass.students() == ["ada"]
    monkeypatch.setattr(files, "create", create)
    report = klass.collect(archive)
    assert klass.students() == ["ada", "bo", "cy"] and [klass.attempts(s) for s in klass.students()] == [1, 1, 1]


def test_a_clock_that_jumps_moves_no_attempt(klass, tmp_path) -> None:
    future = f"ada+{UNIT}+2031-01-01 10:00:00 UTC/{NAME}"
    ahead = klass.collect(laid_out(tmp_path / "1", {future: page("one")}), now=datetime(2026, 3, 1, tzinfo=UTC))
    assert "in the future" in by_student(ahead)["ada"].why and klass.stamp("ada") is None
    back = datetime(2001, 1, 1, tzinfo=UTC)  # the machine's own clock
    klass.collect(laid_out(tmp_path / "2", {f"ada/{UNIT}/x.ipynb": page("two")}), now=back)
    assert klass.answer_of("ada") == "two" and klass.attempts("ada") == 2
