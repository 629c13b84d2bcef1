"""Grades as Moodle, Canvas and Gradescope take them in, for students as their own tables and downloads name them."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import zipfile

import pytest

from course_lib.grading.outside.attempts import Attempt
from course_lib.grading.outside.grades_for import Class, Grade, export, for_gradescope, grades_of
from course_lib.grading.outside.roster import Roster, read_roster
from course_lib.grading.outside.standings import Standing
from course_lib.grading.outside.submission import BadSubmissions

UNIT, NEXT = "01_autoencoders", "02_variational_autoencoders"


def attempt(platform: str, identifier: str, *names: str) -> list[Attempt]:
    return [Attempt(1, "", {"platform": platform, "identifier": identifier, "names": list(names), "ids": [identifier]})]


@pytest.fixture
def klass() -> Class:
    return Class(
        {
            ("ada", UNIT): Grade(20.5, 26),
            ("ada", NEXT): Grade(10, 29),
            ("bo", UNIT): Grade(13, 26, late=2),
            ("cy", UNIT): Grade(9, 26, awaiting=1),
        },
        {
            ("ada", UNIT, UNIT): attempt("moodle", "Participant 71", "Ada Lovelace"),
            ("bo", UNIT, UNIT): attempt("canvas", "502", "libo"),
            ("cy", UNIT, UNIT): attempt("gradescope", "9001", "Cy Twombly"),
        },
    )


def rows_of(exported, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported.files[name])))


def test_grades_are_those_of_the_gradebook_without_what_late_work_costs() -> None:
    def one(name: str, auto: float | None, by_hand: float | None = None, *, awaiting: bool = False) -> Standing:
        return Standing("ada", UNIT, UNIT, name, 10, auto, by_hand, None, awaiting, False)

    grades = grades_of([one("check_a", 4), one("check_b", 1, 7), one("why", None, awaiting=True)], {("ada", UNIT): 2})
    assert grades == {("ada", UNIT): Grade(9, 30, 1, 2)}
    assert grades_of([one("check_a", 4)], {("ada", UNIT): 9})["ada", UNIT].score == 0


def test_a_plain_table(klass) -> None:
    rows = rows_of(export(klass, "csv", [UNIT, NEXT]), "grades.csv")
    assert [row["student"] for row in rows] == ["ada", "bo", "cy"]
    assert rows[0] | {} == {
        "student": "ada", "name": "Ada Lovelace", "email": "", UNIT: "20.5", f"{UNIT}:points": "26",
        f"{UNIT}:awaiting": "0", f"{UNIT}:late": "", NEXT: "10", f"{NEXT}:points": "29", f"{NEXT}:awaiting": "0",
        f"{NEXT}:late": "",
    }  # fmt: skip
    assert rows[1][f"{UNIT}:late"] == "2" and rows[1][NEXT] == ""


# --- Moodle -----------------------------------------------------------------------------------------------------------

WORKSHEET = (
    "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
    "Last modified (submission),Last modified (grade),Feedback comments\n"
    'Participant 71,Ada L.,x@example.org,Submitted,,{most},Yes,"Sunday, 1 March 2026, 9:00 AM",-,=old\n'
    "Participant 72,Li Bo,bo@example.org,Submitted,3,{most},Yes,-,-,\n"
    "Participant 73,Cy Twombly,cy@example.org,Submitted,,{most},Yes,-,-,\n"
    "Participant 74,Di Prima,di@example.org,No submission,,{most},Yes,-,-,\n"
)


def worksheet(tmp_path, most: str = "26.00"):
    path = tmp_path / "Grades.csv"
    path.write_text(WORKSHEET.format(most=most), encoding="utf-8-sig")
    return path


def test_moodles_worksheet_is_filled_and_nothing_else_in_it_changes(klass, tmp_path) -> None:
    path = worksheet(tmp_path)
    exported = export(klass, "moodle", [UNIT], path)
    rows = rows_of(exported, f"moodle-{UNIT}.csv")
    assert [row["Grade"] for row in rows] == ["20.5", "13", "", ""]  # cy's written answer waits
    before = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    assert [{**row, "Grade": ""} for row in rows] == [{**row, "Grade": ""} for row in before]
    assert exported.incomplete and "written answers wait" in exported.notes[0] and "cy" in exported.notes[0]


def test_with_waiting_gives_what_is_there(klass, tmp_path) -> None:
    whole = Class(klass.grades, klass.attempts, with_waiting=True)
    exported = export(whole, "moodle", [UNIT], worksheet(tmp_path))
    assert rows_of(exported, f"moodle-{UNIT}.csv")[2]["Grade"] == "9" and not exported.incomplete


def test_moodles_maximum_grade_is_what_grades_are_scaled_to(klass, tmp_path) -> None:
    exported = export(klass, "moodle", [UNIT], worksheet(tmp_path, "100"))
    assert rows_of(exported, f"moodle-{UNIT}.csv")[1]["Grade"] == "50"
    assert "Moodle's maximum is 100" in exported.notes[0]


def test_a_worksheet_for_moodle_made_anew_has_its_identifiers(klass) -> None:
    exported = export(klass, "moodle", [UNIT])
    (row,) = rows_of(exported, f"moodle-{UNIT}.csv")
    assert (row["Identifier"], row["Grade"], row["Maximum Grade"]) == ("Participant 71", "20.5", "26")
    assert "bo, cy" in exported.notes[0] and exported.incomplete


# --- Canvas -----------------------------------------------------------------------------------------------------------

GRADEBOOK = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Homework (7),01 Autoencoders (8),Current Score\n"
    "    Points Possible,,,,,10,26,(read only)\n"
    '"Lovelace, Ada",501,,al,S1,9,,1\n"Li, Bo",502,,bl,S1,8,1,2\n"Prima, Di",504,,dp,S1,,,3\n'
)


def test_canvas_gradebook_is_filled_with_its_own_columns_and_points_possible(klass, tmp_path) -> None:
    path = tmp_path / "book.csv"
    path.write_text(GRADEBOOK)
    exported = export(klass, "canvas", [UNIT, NEXT], path)
    assert exported.files["canvas.csv"].splitlines() == [
        f"Student,ID,SIS User ID,SIS Login ID,Section,01 Autoencoders (8),{NEXT}",
        "    Points Possible,,,,,26,29",
        '"Lovelace, Ada",501,,al,S1,20.5,10',
        '"Li, Bo",502,,bl,S1,13,',
        '"Prima, Di",504,,dp,S1,,',
    ]
    assert any(f"{NEXT}: Canvas has no such column" in note for note in exported.notes)
    assert any("not found" in note and "cy" in note for note in exported.notes) and exported.incomplete


def test_a_table_for_canvas_made_anew_has_its_ids(klass) -> None:
    lines = export(klass, "canvas", [UNIT]).files["canvas.csv"].splitlines()
    assert lines[1] == "    Points Possible,,,,,26" and lines[2:] == ["libo,502,,,,13"]


def test_namesakes_get_nothing_by_their_name(klass, tmp_path) -> None:
    path = tmp_path / "book.csv"
    path.write_text(GRADEBOOK + '"Ada, Lovelace",509,,al2,S1,,,\n')
    exported = export(klass, "canvas", [UNIT], path)
    assert "501,,al,S1,\n" in exported.files["canvas.csv"] and any("ada" in note for note in exported.notes)


def test_a_row_that_two_students_fit_gets_no_grade(klass, tmp_path) -> None:
    path = tmp_path / "book.csv"
    path.write_text(GRADEBOOK)
    grades = {**klass.grades, ("ada2", UNIT): Grade(1, 26)}
    known = {**klass.attempts, ("ada2", UNIT, UNIT): attempt("moodle", "Participant 99", "Ada Lovelace")}
    exported = export(Class(grades, known), "canvas", [UNIT], path)
    assert "501,,al,S1,\n" in exported.files["canvas.csv"] and any("ada, ada2" in note for note in exported.notes)


@pytest.mark.parametrize(
    ("target", "units", "text", "said"),
    [
        ("moodle", [UNIT], "Name,Bewertung\nAda,1\n", "not Moodle's grading worksheet in English"),
        ("moodle", [UNIT, NEXT], WORKSHEET, "that of one assignment. Say which unit"),
        ("canvas", [UNIT], "Name,Grade\nAda,1\n", "Export Entire Gradebook"),
        ("csv", [UNIT], "a\n", "written anew"),
        ("csv", ["09_none"], None, "there are no grades of 09_none; graded are 01"),
        ("moodle", [UNIT], "", "is empty"),
    ],
)
def test_what_is_not_as_expected_is_told_with_what_to_do(klass, tmp_path, target, units, text, said) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text or "")
    with pytest.raises(BadSubmissions, match=said):
        export(klass, target, units, None if text is None else path)


# --- Gradescope -------------------------------------------------------------------------------------------------------


def test_gradescopes_autograder_gives_a_submission_what_was_graded(klass, tmp_path) -> None:
    part = {"score": 4.0, "output": "", "tests": [{"name": "a", "score": 4.0}], "visibility": "visible"}
    exported = for_gradescope(klass, UNIT, {"cy": [part, part], "ada": [part]})
    with zipfile.ZipFile(io.BytesIO(exported.files[f"gradescope-{UNIT}.zip"])) as archive:
        assert archive.namelist() == ["setup.sh", "run_autograder", "results/9001.json"]
        archive.extractall(tmp_path / "source")
    assert any("submission's id is not known: ada" in note for note in exported.notes) and exported.incomplete
    script = (tmp_path / "source" / "run_autograder").read_text().replace("/autograder", str(tmp_path))
    (tmp_path / "results").mkdir()
    for number, score in ((9001, 9), (1, 0)):
        (tmp_path / "submission_metadata.json").write_text(json.dumps({"id": number}))
        subprocess.run([sys.executable, "-c", script], check=True, env=os.environ, timeout=60)
        found = json.loads((tmp_path / "results" / "results.json").read_text())
        assert found["score"] == score and len(found.get("tests", ())) == (2 if score else 0)


# --- rosters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "students"),
    [
        ("student,name\nada,Ada Lovelace\n", ["ada"]),
        ("First Name,Last Name,SID,Email\nAda,Lovelace,18,a@x.org\n", ["18"]),
        ("identifier;github_username;name\ns1;ada-l;\n;bo-l;\n", ["s1", "bo-l"]),
        ("\ufeffVorname,Nachname,Name,Email address\nx,y,Ada,a@x.org\n", ["a@x.org"]),
    ],
)
def test_rosters_of_all_kinds(tmp_path, text, students) -> None:
    path = tmp_path / "r.csv"
    path.write_text(text)
    assert [person.student for person in read_roster(path).people] == students


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"week,topic\n1,VAE\n", "names no student. Expected is a header"),
        (b"student,name\nada,Ada\nada,Other\n", "two students 'ada'"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"PK\x03\x04 a spreadsheet \x00\xff", "names no student|not a CSV|is empty"),
    ],
)
def test_what_is_no_roster_is_told(tmp_path, content, said) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(content)
    with pytest.raises(BadSubmissions, match=said):
        read_roster(path)


def test_a_roster_in_another_encoding(tmp_path) -> None:
    for encoding in ("cp1252", "utf-16"):
        (tmp_path / "r.csv").write_text("student\tname\nzo\tZoë Øre\n", encoding=encoding)
        assert read_roster(tmp_path / "r.csv").called("Øre, Zoë")
    assert not Roster()
