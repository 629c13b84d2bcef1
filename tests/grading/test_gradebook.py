"""The one writer: what stands in nbgrader's gradebook and in the autograded notebooks, and what never changes there."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time

import nbformat
import pytest
import small_class
import tiny_course
from nbgrader.api import Gradebook
from small_class import BLANK, DOUBLE, HALF_RIGHT, TOTAL, UNIT, entry, notebook, submission

from course_lib.authoring import release
from course_lib.grading.outside import gradebook, pages
from course_lib.grading.outside.gradebook import GradebookError, Report, standings, writer_lock
from course_lib.grading.outside.submission import Submission as FoundSubmission

WHY = "Because **one** is not enough."


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        tiny_course.install(patch)
        yield small_class.release_tiny(tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="module")
def empty_book(tmp_path_factory, released):
    """A gradebook that knows the unit and nobody; to copy, since nbgrader takes seconds to make one."""
    path = tmp_path_factory.mktemp("book") / "class" / "gradebook.db"
    with release.tools_on_path():
        gradebook._prepare(gradebook.address(path), UNIT, {UNIT: pages.read_released(released, UNIT, UNIT)})
    return path


@pytest.fixture
def desk(tmp_path, released, empty_book):
    """Where grades go: `desk(submission, ...)` records them; `.grades(student)` reads them back."""

    class Desk:
        folder = tmp_path / "class"
        book = folder / "gradebook.db"

        def __call__(self, *submissions, wait=0.2) -> Report:
            return gradebook.record(
                submissions, gradebook=self.book, autograded=self.folder / "autograded", released=released, wait=wait
            )

        def grades(self, student):
            return {each.name: each for each in standings(self.book, student=student)}

        def page(self, student):
            return nbformat.read(self.folder / "autograded" / student / UNIT / f"{UNIT}.ipynb", as_version=4)

        def by_person(self, student, cell, **values):
            """What a person does in formgrader."""
            with Gradebook(f"sqlite:///{self.book}") as book:
                grade = book.find_grade(cell, UNIT, UNIT, student)
                for name, value in values.items():
                    setattr(grade, name, value)
                book.db.commit()

        def comment(self, student, cell, text):
            with Gradebook(f"sqlite:///{self.book}") as book:
                book.find_comment(cell, UNIT, UNIT, student).manual_comment = text
                book.db.commit()

    Desk.folder.mkdir()
    shutil.copy(empty_book, Desk.book)
    return Desk()


def right(released, student="ada", **answers):
    page = notebook(released, double=DOUBLE, total=TOTAL, why=WHY, **answers)
    return submission(student, page, [entry("double", DOUBLE), entry("total", TOTAL)])


def half(released, student="ada", **answers):
    page = notebook(released, **{"double": HALF_RIGHT, "total": TOTAL, "why": WHY, **answers})
    return submission(student, page, [entry("double", HALF_RIGHT), entry("total", TOTAL)])


def cell_of(page, grade_id):
    return next(c for c in page.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def card_in(page, exercise):
    (output,) = cell_of(page, f"check_{exercise}").outputs
    return output["data"]


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
    found = [FoundSubmission("ada", UNIT, UNIT, page), FoundSubmission("bob", UNIT, UNIT, problem="a link")]
    for student, text in (("ada", "2026-11-20 12:00:00 UTC"), ("bob", "soon")):
        path = tmp_path / "submitted" / student / UNIT / "timestamp.txt"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    ada, bob = gradebook.paired(results, found, place=tmp_path / "submitted")
    assert (ada.notebook, ada.timestamp, bob.notebook, bob.timestamp) == (page, "2026-11-20 12:00:00 UTC", None, None)
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


# --- pages ----------------------------------------------------------------------------------------------------------


def test_the_page_is_a_valid_notebook_with_the_students_own_code_and_the_cards(desk, released):
    desk(half(released))
    page = desk.page("ada")
    nbformat.validate(page)
    assert cell_of(page, "double").source == HALF_RIGHT
    assert cell_of(page, "why").source == WHY
    data = card_in(page, "double")
    assert data["text/plain"] == "2.0"
    for said in ("You changed the input in place.", "the value is twice x", "x is left as it was", "not met, 0 of 1"):
        assert said in data["text/html"]


def test_what_was_tampered_with_is_shown_as_released_and_noted(desk, released):
    page = notebook(released, double=DOUBLE, total=TOTAL)
    for cell in page["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "check_double":
            cell["source"] = "3.0"
            cell["metadata"]["nbgrader"] |= {"points": 99, "locked": False}
    page["cells"] = [c for c in page["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") != "check_total"]
    page["cells"].append(page["cells"][4])
    desk(
        submission(
            "ada", page, [entry("double", DOUBLE), entry("total", TOTAL)], tampered=["check_double was <b>edited</b>"]
        )
    )
    result = desk.page("ada")
    nbformat.validate(result)
    assert cell_of(result, "check_double").source == "check.double(double)"
    assert cell_of(result, "check_double").metadata.nbgrader.points == 3
    assert card_in(result, "total")["text/plain"] == "2.0"
    assert "```\ncheck_double was <b>edited</b>\n```" in result.cells[0].source
    assert len({c.id for c in result.cells}) == len(result.cells)


def test_cells_that_a_student_added_stay_where_they_stood(desk, released):
    page = notebook(released, double=DOUBLE, total=TOTAL)
    position = next(i for i, c in enumerate(page["cells"]) if c["id"] == "double")
    mine = {"cell_type": "code", "id": "x<script>", "metadata": {}, "source": "helper = 1", "outputs": []}
    page["cells"].insert(position + 1, mine)
    ran = {"x<script>": {"printed": "\x1b[31mhello\x1b[0m <script>", "error": {"type": "NameError", "text": "no"}}}
    desk(submission("ada", page, [entry("double", DOUBLE), entry("total", TOTAL)], cells=ran))
    result = desk.page("ada")
    position = result.cells.index(cell_of(result, "double"))
    added = result.cells[position + 1]
    assert (added.source, added.id.startswith("added-")) == ("helper = 1", True)
    assert [(o.output_type, o.text) for o in added.outputs] == [("stream", "[31mhello[0m <script>\nNameError: no\n")]


def test_the_rubric_stands_beside_the_written_answer_and_sample_answers_do_not(desk, released, monkeypatch, tmp_path):
    rubric = "# Because.\n#\n# Rubric:\n# - 3: names the sum\n#\n# Sample answers:\n# - because\n# ### END SOLUTION"
    path = tmp_path / "solutions" / UNIT / f"{UNIT}.py"
    path.parent.mkdir(parents=True)
    header = '# %% [markdown] nbgrader={"grade_id": "why", "grade": true, "solution": true, "points": 3}'
    path.write_text(f"# %%\n1\n\n{header}\n# Why?\n# ### BEGIN SOLUTION\n{rubric}\n")
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    pages.rubric_of.cache_clear()
    desk(right(released))
    page = desk.page("ada")
    shown = page.cells[page.cells.index(cell_of(page, "why")) + 1].source
    pages.rubric_of.cache_clear()
    assert "- 3: names the sum" in shown
    assert "because" not in shown.lower().replace("how this answer", "")


@pytest.mark.parametrize("change", ["no_ids", "old_format"])
def test_a_notebook_that_another_program_saved_is_matched_all_the_same(desk, released, change):
    page = notebook(released, double=HALF_RIGHT, total=TOTAL)
    count = len(page["cells"])
    if change == "no_ids":
        page["cells"] = [{k: v for k, v in cell.items() if k != "id"} for cell in page["cells"]]
    else:
        page = json.loads(json.dumps(nbformat.convert(nbformat.reads(json.dumps(page), as_version=4), 3)))
    desk(submission("ada", page, [entry("double", HALF_RIGHT), entry("total", TOTAL)]))
    result = desk.page("ada")
    assert (len(result.cells), cell_of(result, "double").source.strip()) == (count, HALF_RIGHT.strip())


@pytest.mark.parametrize("verdict", ["timeout", "memory", "crashed", "error"])
def test_every_verdict_of_a_grader_has_a_card(desk, released, verdict):
    bad = {"exercise": "double", "verdict": verdict, "score": 0, "points": 3, "message": None, "criteria": []}
    desk(submission("ada", notebook(released), [bad, entry("total", TOTAL)]))
    assert f'data-state="{verdict}"' in card_in(desk.page("ada"), "double")["text/html"]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"id": "grading.not_defined", "fields": {"name": "double"}}, "does not define <code>double</code>"),
        (
            {"id": "grading.cell_error", "fields": {"type": "SyntaxError", "text": "invalid <b>"}},
            "stopped with SyntaxError: invalid &lt;b&gt;",
        ),
        ({"id": "grading.timeout", "fields": {"seconds": 10}}, "after 10 seconds"),
        ({"id": "grading.memory", "fields": {"megabytes": 2048}}, "allowed (2048 MB)"),
        ({"id": "grading.unstable", "fields": {}}, "other values each time"),
        ({"id": "of.next.year", "fields": {"x": "hidden"}}, "Your code stopped with an error."),
    ],
)
def test_the_graders_own_sentences_are_shown(desk, released, message, said):
    bad = {"exercise": "double", "verdict": "error", "score": 0, "points": 3, "message": message, "criteria": []}
    desk(submission("ada", notebook(released), [bad, entry("total", TOTAL)]))
    assert said in card_in(desk.page("ada"), "double")["text/html"]


# --- nothing hidden gets out ----------------------------------------------------------------------------------------

LEAKS = {
    "raises_its_input": "def double(x):\n    raise ValueError('x=' + ','.join(f'{v:.4f}' for v in x.tolist()))\n",
    "names_an_exception_after_it": (
        "def double(x):\n    raise type('E' + str(abs(int(x[0] * 10**4))), (Exception,), {})('no')\n"
    ),
    "prints_its_input": "def double(x):\n    print([f'{v:.4f}' for v in x.tolist()])\n    return 3 * x\n",
    "gives_back_its_input_elsewhere": "def double(x):\n    return [f'{v:.4f}' for v in x.tolist()]\n",
    "names_a_type_after_it": "def double(x):\n    return type('T' + str(abs(int(x[0] * 10**4))), (), {})()\n",
    "wrong_shape": "def double(x):\n    return x[:2].repeat(7)\n",
    "wrong_everywhere": "def double(x):\n    return 5 * x + 1\n",
}


@pytest.mark.parametrize("name", LEAKS)
def test_no_hidden_input_and_no_expected_value_is_on_the_page(desk, released, name):
    source = LEAKS[name]
    result = entry("double", source)
    assert result["verdict"] in ("wrong", "error")
    cases = pages.registry.exercise_named("double").cases(small_class.SEED)
    desk(submission("ada", notebook(released, double=source), [result, entry("total", TOTAL)]))
    shown = card_in(desk.page("ada"), "double")["text/html"]
    for case in cases:
        for value in case.inputs["x"].tolist():
            for secret in (value, 2 * value):
                assert f"{abs(secret):.4f}"[:6] not in shown
                assert str(abs(int(value * 10**4))) not in shown
    assert "(40,)" not in shown


def test_an_error_points_at_the_students_own_line_and_names_what_is_missing(desk, released):
    source = "def double(x):\n    y = 1\n    return undefined_name * x\n"
    result = entry("double", source)
    result["message"]["fields"]["where"] = " (line 3: `return undefined_name * x`)"
    desk(submission("ada", notebook(released, double=source), [result, entry("total", TOTAL)]))
    shown = card_in(desk.page("ada"), "double")["text/html"]
    assert "NameError in line 3, <code>return undefined_name * x</code>: name &#x27;undefined_name&#x27;" in shown


# --- nothing that can run -------------------------------------------------------------------------------------------

LIVE = {
    "script": "<script>alert(1)</script>",
    "handler": '<img src="https://x.y/z.png" onerror="alert(1)">',
    "unquoted": "<img src=x onerror=alert(1)>",
    "link": "[click](javascript:alert(1))",
    "link_in_disguise": "[click](java&#115;cript:alert(1))",
    "mermaid": "```mermaid\n</pre><script>alert(1)</script>\n```",
    "frame": '<iframe src="https://x.y"></iframe>',
    "form": '<form action="https://x.y"><input name="score"></form>',
    "style": "<style>body {display: none}</style>",
    "cover": '<div style="position:fixed;top:0">full marks</div>',
    "comment": "<!-- --><svg/onload=alert(1)>",
    "math": r"$\href{javascript:alert(1)}{x}$",
    "anchor": "# check_double-comment",
    "missing_picture": "![x](attachment:none.png)",
}


@pytest.mark.parametrize("name", LIVE)
def test_live_markup_is_shown_as_it_was_typed(name):
    shown = pages.inert_markdown(LIVE[name], reserved={"check_double", "why"})
    assert shown.startswith("*(This text holds HTML")
    assert pages.is_inert(pages._rendered(shown, None))


@pytest.mark.parametrize(
    "text",
    ["**Bold** and $x < 3$, `a < b`.", "a < b and c > d", "- one\n- two\n\n# Head", "[paper](https://arxiv.org/abs/1)",
     "| a | b |\n|:--|--:|\n| 1 | 2 |", "<b>bold</b><br>", "```python\nx = '<script>'\n```", "> quote\n\n1. one"],
)  # fmt: skip
def test_ordinary_text_stays_as_it_is(text):
    assert pages.inert_markdown(text, reserved={"why"}) == text


def test_pasted_pictures_stay_and_other_attachments_go(desk, released):
    page = notebook(released, double=DOUBLE, total=TOTAL, why="![me](attachment:me.png)")
    cell = next(c for c in page["cells"] if c["id"] == "why")
    cell["attachments"] = {"me.png": {"image/png": "aGk="}, "x.svg": {"image/svg+xml": "PHN2Zz4="}}
    desk(submission("ada", page, [entry("double", DOUBLE), entry("total", TOTAL)]))
    assert cell_of(desk.page("ada"), "why").attachments == {"me.png": {"image/png": "aGk="}}


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
    desk.book.write_bytes(b"this is not a data base, but somebody's notes" * 50)
    with pytest.raises(GradebookError, match=r"not a database.*no gradebook at all"):
        desk(right(released))
    assert desk.book.read_bytes().startswith(b"this is not")


def test_a_page_that_cannot_be_written_leaves_the_old_scores(desk, released, monkeypatch):
    desk(half(released))
    before = desk.grades("ada")

    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(gradebook, "_written_aside", full)
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

    with pytest.raises(GradebookError, match=what_we_say) as caught, gradebook.explained("g.db"):
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


# --- the rest of nbgrader -------------------------------------------------------------------------------------------


def test_blank_work_is_not_attempted_and_worth_nothing(desk, released):
    blank = entry("double", BLANK)
    desk(submission("ada", notebook(released), [blank, entry("total", TOTAL)]))
    assert desk.grades("ada")["check_double"].score == 0
    assert "Nothing was handed in here" in card_in(desk.page("ada"), "double")["text/html"]
