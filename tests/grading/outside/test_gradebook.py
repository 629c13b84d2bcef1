"""The one writer: what stands in nbgrader's gradebook, and what never changes there."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time

import nbformat
import pytest
from nbgrader.api import Gradebook
from small_class import DOUBLE, HALF_RIGHT, TOTAL, UNIT, WHY, card_in, entry, half, notebook, right, submission

from course_lib.grading.outside import gradebook, gradebook_access, inert
from course_lib.grading.outside.gradebook import GradebookError, writer_lock
from course_lib.grading.outside.standings import standings
from course_lib.grading.outside.submission import Submission

# --- scores ---------------------------------------------------------------------------------------------------------


def test_scores_are_those_of_the_results_and_written_answers_wait_for_a_person(desk, released):
    report = desk(right(released), half(released, "bob"))
    assert (report.recorded, report.awaiting, report.changes, report.refused) == (2, 2, [], [])
    ada, bob = desk.grades("ada"), desk.grades("bob")
    assert [ada[n].score for n in ("check_double", "check_total", "why")] == [3, 2, None]
    assert bob["check_double"].score == 2
    assert (bob["why"].awaiting, bob["why"].written, bob["check_double"].awaiting) == (True, True, False)


def test_nbgrader_itself_reads_the_same_scores(desk, released):
    desk(half(released))
    with Gradebook(f"sqlite:///{desk.book}") as book:
        sheet = book.find_submission_notebook(UNIT, UNIT, "ada")
        assert (sheet.score, sheet.max_score, sheet.needs_manual_grade) == (4, 8, True)


def test_a_written_answer_left_as_it_was_is_worth_nothing_and_needs_nobody(desk, released):
    page = notebook(released, double=DOUBLE, total=TOTAL)
    report = desk(submission("ada", page, [entry("double", DOUBLE), entry("total", TOTAL)]))
    assert (desk.grades("ada")["why"].score, desk.grades("ada")["why"].awaiting, report.awaiting) == (0, False, 0)
    with Gradebook(f"sqlite:///{desk.book}") as book:
        assert book.find_comment("why", UNIT, UNIT, "ada").auto_comment == "No response."


@pytest.mark.parametrize("forged", [float("nan"), float("inf"), 99.0, -3.0, "three", None])
def test_no_score_leaves_its_bounds(desk, released, forged):
    forgery = {**entry("double", DOUBLE), "score": forged}
    desk(submission("ada", notebook(released, double=DOUBLE), [forgery, entry("total", TOTAL)]))
    assert desk.grades("ada")["check_double"].score == (3 if forged == 99.0 else 0)
    assert float(card_in(desk.page("ada"), "double")["text/plain"]) == desk.grades("ada")["check_double"].score


def test_a_malformed_notebook_gets_zero_and_a_note_and_its_written_answer_a_look(desk, released):
    desk(submission("ada", b"\xff\xfe not a notebook", [], verdict="malformed", problem="not UTF-8"))
    grades = desk.grades("ada")
    assert (grades["check_double"].score, grades["why"].awaiting) == (0, True)
    page = desk.page("ada")
    assert "could not be read" in page.cells[0].source
    assert "not UTF-8" in page.cells[0].source
    assert 'data-state="malformed"' in card_in(page, "double")["text/html"]


def test_a_notebook_that_is_not_there_gets_zero_and_needs_nobody(desk, released):
    desk(submission("ada", None, [], verdict="malformed"))
    assert {(g.score, g.awaiting) for g in desk.grades("ada").values()} == {(0, False)}


def test_results_are_paired_with_what_was_found_and_when_it_was_handed_in(desk, released, tmp_path):
    page = json.dumps(notebook(released, double=DOUBLE, total=TOTAL)).encode()
    results = [right(released).result, right(released, "bob").result]
    found = [Submission("ada", UNIT, UNIT, page), Submission("bob", UNIT, UNIT, problem="a link")]
    for student, text in (("ada", "2026-11-20 12:00:00 UTC"), ("bob", "soon")):
        path = tmp_path / "submitted" / student / UNIT / "timestamp.txt"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    ada, bob = gradebook.paired(results, found, folder=tmp_path / "submitted")
    assert (ada.data, ada.timestamp, bob.data, bob.timestamp) == (page, "2026-11-20 12:00:00 UTC", None, None)
    desk(ada, bob)
    with Gradebook(f"sqlite:///{desk.book}") as book:
        assert str(book.find_submission(UNIT, "ada").timestamp) == "2026-11-20 12:00:00"


# --- what a person gave ---------------------------------------------------------------------------------------------


def test_manual_scores_extra_credit_and_comments_survive_a_regrade(desk, released):
    desk(half(released))
    desk.by_person("ada", "check_double", manual_score=2.5, needs_manual_grade=False)
    desk.by_person("ada", "check_total", extra_credit=1.0)
    desk.by_person("ada", "why", manual_score=3.0, needs_manual_grade=False)
    desk.comment("ada", "double", "Kindly overlooked.")
    again = desk(half(released))
    grades = desk.grades("ada")
    assert [grades[n].score for n in ("check_double", "check_total", "why")] == [2.5, 3, 3]
    assert not any(g.awaiting for g in grades.values())
    assert grades["check_double"].comment == "Kindly overlooked."
    assert (again.changes, again.awaiting) == ([], 0)


def test_a_mended_check_says_whose_score_changed_and_asks_for_a_look_where_a_person_had_decided(desk, released):
    desk(half(released), half(released, "bob"), right(released, "eve"))
    desk.by_person("bob", "check_double", manual_score=2.5, needs_manual_grade=False)
    mended = {**entry("double", HALF_RIGHT), "score": 1.0}
    page = notebook(released, double=HALF_RIGHT, total=TOTAL, why=WHY)
    report = desk(
        *(submission(who, page, [mended, entry("total", TOTAL)]) for who in ("ada", "bob")), right(released, "eve")
    )
    assert [(c.student, c.exercise, c.before, c.after, c.by_person) for c in report.changes] == [
        ("ada", "double", 2, 1, None),
        ("bob", "double", 2, 1, 2.5),
    ]
    assert desk.grades("bob")["check_double"].score == 2.5
    assert (desk.grades("bob")["check_double"].awaiting, desk.grades("ada")["check_double"].awaiting) == (True, False)


def test_a_new_written_answer_goes_back_to_the_person_who_graded_the_old_one(desk, released):
    desk(half(released))
    desk.by_person("ada", "why", manual_score=1.0, needs_manual_grade=False)
    desk(half(released, why="A better answer."))
    assert (desk.grades("ada")["why"].awaiting, desk.grades("ada")["why"].score) == (True, 1.0)


def test_recording_twice_changes_no_byte(desk, released):
    desk(half(released))
    path = desk.folder / "autograded" / "ada" / UNIT / f"{UNIT}.ipynb"
    before = path.read_bytes(), path.stat().st_mtime_ns, desk.grades("ada")
    desk(half(released))
    assert (path.read_bytes(), path.stat().st_mtime_ns, desk.grades("ada")) == before


# --- hostile names, other writers, broken disks ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../eve", "a/b", "..", "", " eve", ".ssh", "a\\b", "a\nb", "e" * 200, "a\x00b"])
def test_a_name_that_cannot_be_a_folder_is_refused_and_the_others_are_recorded(desk, released, name):
    report = desk(right(released, name), right(released, "ada"))
    assert ([who for who, _ in report.refused], report.recorded) == ([name], 1)
    assert {p.name for p in (desk.folder / "autograded").iterdir()} == {"ada"}


@pytest.mark.parametrize("name", ["=cmd|' calc'!A0", "a, b", '"quoted"', "Ωmega é", "a'; DROP TABLE grade; --", "-x"])
def test_strange_but_possible_names_are_recorded_as_they_are(desk, released, name):
    assert desk(right(released, name)).recorded == 1
    assert desk.grades(name)["check_double"].score == 3
    nbformat.validate(desk.page(name))


def test_a_locked_gradebook_is_an_error_in_words_and_nothing_is_lost(desk, released):
    desk(half(released))
    before = desk.grades("ada"), desk.page("ada")
    other = sqlite3.connect(desk.book)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(GradebookError, match=r"locked.*formgrader.*results are kept"):
            desk(right(released), wait=0.1)
    finally:
        other.rollback()
        other.close()
    assert (desk.grades("ada"), desk.page("ada")) == before
    desk(right(released))
    assert desk.grades("ada")["check_double"].score == 3


def test_a_second_writer_is_refused_by_name_and_waits_if_asked(desk, released):
    with writer_lock(desk.folder):
        with pytest.raises(GradebookError, match=rf"written by process {os.getpid()} .*Nothing was changed"):
            desk(right(released), wait=0)
        assert standings(desk.book) == []
    begun, may_end = threading.Event(), threading.Event()

    def hold():
        with writer_lock(desk.folder):
            begun.set()
            may_end.wait(0.5)

    other = threading.Thread(target=hold)
    other.start()
    begun.wait()
    assert desk(right(released), wait=20).recorded == 1
    other.join()


def test_a_file_that_is_no_gradebook_is_left_alone(desk, released):
    desk.book.write_bytes(b"this is not a data base, but some notes" * 50)
    with pytest.raises(GradebookError, match=r"not a database.*no gradebook at all"):
        desk(right(released))
    assert desk.book.read_bytes().startswith(b"this is not")


def test_a_page_that_cannot_be_written_leaves_the_old_scores(desk, released, monkeypatch):
    desk(half(released))
    before = desk.grades("ada")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GradebookError, match=r"No space left on device.*results are kept"):
        desk(right(released))
    assert desk.grades("ada") == before
    leftovers = [p for p in (desk.folder / "autograded").rglob("*") if p.is_file() and p.suffix != ".ipynb"]
    assert leftovers == []


@pytest.mark.parametrize(
    ("what_sqlite_says", "what_we_say"),
    [
        ("database is locked", "formgrader"),
        ("attempt to write a readonly database", "may you write to it"),
        ("unable to open database file", "is its folder there"),
        ("database or disk is full", "no room left"),
        ("no such column: grade.extra_credit", "nbgrader db upgrade"),
        ("database disk image is malformed", "damaged"),
    ],
)
def test_what_a_data_base_says_becomes_what_to_do(what_sqlite_says, what_we_say):
    from sqlalchemy.exc import OperationalError

    with pytest.raises(GradebookError, match=what_we_say) as caught, gradebook_access.explained("g.db"):
        raise OperationalError("UPDATE", {}, sqlite3.OperationalError(what_sqlite_says))
    assert what_sqlite_says in str(caught.value)


def test_a_unit_that_was_never_released_is_named(desk, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"course release {UNIT}"):
        gradebook.record(
            [submission("ada", None, [])], gradebook=desk.book, autograded=desk.folder / "a", released=tmp_path
        )


def test_cells_that_changed_under_submissions_are_refused_with_the_way_out(desk, released, tmp_path):
    desk(right(released))
    page = notebook(released)
    page["cells"] = [c for c in page["cells"] if c["id"] not in ("total", "check_total")]
    folder = tmp_path / "notebooks"
    (folder / UNIT).mkdir(parents=True)
    (folder / UNIT / f"{UNIT}.ipynb").write_text(json.dumps(page))
    with pytest.raises(GradebookError, match=r"holds submissions of 90_tiny.*Nothing was changed"):
        gradebook.record([right(released)], gradebook=desk.book, autograded=desk.folder / "autograded", released=folder)


def test_a_class_is_written_quickly(desk, released):
    entries = [entry("double", HALF_RIGHT), entry("total", TOTAL)]
    page = notebook(released, double=HALF_RIGHT, total=TOTAL, why=WHY)
    everyone = [submission(f"s{number:04}", page, entries) for number in range(150)]
    began = time.process_time()
    assert desk(*everyone).recorded == 150
    assert time.process_time() - began < 6


# --- written answers that stand elsewhere -----------------------------------------------------------------------------


def own(source: str, kind: str = "markdown", **metadata) -> dict:
    more = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "id": f"own-{len(source)}", "metadata": metadata, "source": source, **more}


def place_of_why(page) -> int:
    return next(n for n, cell in enumerate(page["cells"]) if cell["id"] == "why")


def why_of(page) -> dict:
    return page["cells"][place_of_why(page)]


ELSEWHERE = {
    "a text below": lambda page: page["cells"].insert(place_of_why(page) + 1, own(WHY)),
    "two texts below": lambda page: page["cells"].__setitem__(
        slice(place_of_why(page) + 1, place_of_why(page) + 1), [own("First."), own(WHY)]
    ),
    "a text above": lambda page: page["cells"].insert(place_of_why(page), own(WHY)),
    "a cell of code below": lambda page: page["cells"].insert(place_of_why(page) + 1, own(f'"""{WHY}"""', "code")),
    "raw text below": lambda page: page["cells"].insert(place_of_why(page) + 1, own(WHY, "raw")),
    "a copied cell below": lambda page: page["cells"].insert(place_of_why(page) + 1, {**why_of(page), "source": WHY}),
    "a copied cell at the end": lambda page: page["cells"].append({**why_of(page), "source": WHY, "id": "copy"}),
    "a copy of the question at the end": lambda page: page["cells"].append(
        own("".join(why_of(page)["source"]) + "\n\n" + WHY)
    ),
}


@pytest.mark.parametrize("change", ELSEWHERE.values(), ids=[*ELSEWHERE])
def test_a_written_answer_around_its_untouched_cell_waits_for_a_person(desk, released, change):
    page = notebook(released, double=DOUBLE, total=TOTAL)
    change(page)
    entries = [entry("double", DOUBLE), entry("total", TOTAL)]
    report = desk(submission("ada", page, entries))
    why = desk.grades("ada")["why"]
    assert (why.score, why.awaiting, report.awaiting) == (None, True, 1)
    assert WHY in "\n".join(cell.source for cell in desk.page("ada").cells)
    with Gradebook(f"sqlite:///{desk.book}") as book:
        assert book.find_comment("why", UNIT, UNIT, "ada").auto_comment is None
    desk.by_person("ada", "why", manual_score=2.0, needs_manual_grade=False)
    desk(submission("ada", page, entries))
    assert (desk.grades("ada")["why"].score, desk.grades("ada")["why"].awaiting) == (2, False)


@pytest.mark.parametrize(
    "change",
    [
        lambda page: page["cells"].insert(place_of_why(page), own("x = 1", "code")),  # an experiment above
        lambda page: page["cells"].insert(1, own("Note to myself.")),
        lambda page: page["cells"].append({**why_of(page), "id": "copy"}),
        lambda page: page["cells"].insert(place_of_why(page) + 1, own("  \n")),
    ],
    ids=["an experiment", "a note elsewhere", "a copy untouched too", "an empty cell"],
)
def test_what_answers_nothing_waits_for_nobody(desk, released, change):
    page = notebook(released, double=DOUBLE, total=TOTAL)
    change(page)
    desk(submission("ada", page, [entry("double", DOUBLE), entry("total", TOTAL)]))
    assert (desk.grades("ada")["why"].score, desk.grades("ada")["why"].awaiting) == (0, False)


# --- the converter of texts -------------------------------------------------------------------------------------------


def test_a_converter_that_reads_no_text_is_a_fault_said_once_and_not_a_page_of_texts_as_typed(
    desk, released, monkeypatch
):
    assert inert.converter_fault() == ""

    def broken(text, pictures):
        raise AttributeError("'MathBlockParser' object has no attribute 'parse_axt_heading'")

    with monkeypatch.context() as changed:
        changed.setattr(inert, "_rendered", broken)
        with pytest.raises(GradebookError, match=r"parse_axt_heading.*upgrade nbconvert mistune.*results are kept"):
            desk(right(released), half(released, "bob"))
    assert standings(desk.book) == [] and not (desk.book.parent / "autograded").exists()
    changed.setattr(inert, "_rendered", lambda text, pictures: f"<pre>{text}</pre>")
    assert inert.converter_fault() == "it gives no HTML that may be shown"
    changed.undo()
    assert desk(right(released)).recorded == 1
