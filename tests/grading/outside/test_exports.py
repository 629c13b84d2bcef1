"""CSV, Gradescope, and one run of stock nbgrader's own feedback and export over what the writer wrote."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import shutil

import nbformat
import pytest
import small_class
import yaml
from nbgrader.api import Gradebook
from small_class import DOUBLE, HALF_RIGHT, TOTAL, UNIT, entry, notebook, submission

from course_lib.authoring import release
from course_lib.grading.outside import exports, gradebook, spreadsheets

HOSTILE = "=HYPERLINK(\"http:evil\", 'x'), ada"
SCRIPT = "<script>alert('mine')</script>"
LEAK = "def double(x):\n    raise ValueError('x=' + ','.join(f'{v:.4f}' for v in x.tolist()))\n"


@pytest.fixture(scope="module")
def klass(tmp_path_factory, released):
    """A graded class of three in nbgrader's own layout, feedback pages and all."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    folder = tmp_path_factory.mktemp("class")
    entries = [entry("double", HALF_RIGHT), entry("total", TOTAL)]
    page = notebook(released, double=HALF_RIGHT, total=TOTAL, why=f"My *answer*: {SCRIPT}")
    page["cells"].insert(1, {"cell_type": "markdown", "id": "m", "metadata": {}, "source": f"mine {SCRIPT}"})
    page["cells"].insert(2, {"cell_type": "raw", "id": "r", "metadata": {"format": "text/html"}, "source": SCRIPT})
    page["cells"].insert(3, {"cell_type": "code", "id": "c", "metadata": {}, "source": f"# {SCRIPT}", "outputs": []})
    submissions = [
        submission("ada", page, entries, cells={"c": {"printed": SCRIPT}}, tampered=[f"note {SCRIPT}"]),
        submission(
            HOSTILE, notebook(released, double=DOUBLE, total=TOTAL), [entry("double", DOUBLE), entry("total", TOTAL)]
        ),
        submission(
            "leak", notebook(released, double=LEAK, total=TOTAL), [entry("double", LEAK), entry("total", TOTAL)]
        ),
    ]
    gradebook.record(
        submissions, gradebook=folder / "gradebook.db", autograded=folder / "autograded", released=released
    )
    config = Config()
    config.CourseDirectory.root = str(folder)
    config.CourseDirectory.db_url = f"sqlite:///{folder / 'gradebook.db'}"
    with release.tools_on_path():
        outcome = NbGraderAPI(config=config).generate_feedback(UNIT)
    assert outcome["success"], outcome.get("log") or outcome.get("error")
    return folder, submissions


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


# --- stock nbgrader -------------------------------------------------------------------------------------------------


def feedback_page(klass, student):
    return (klass[0] / "feedback" / student / UNIT / f"{UNIT}.html").read_text()


def test_nbgraders_feedback_shows_criteria_the_mistake_the_score_and_the_students_code(klass):
    page = feedback_page(klass, "ada")
    text = re.sub(r"<[^>]+>", "", page)
    for said in ("(Score: 4.0 / 8.0)", "You changed the input in place.", "x is left as it was", "not met, 0 of 1"):
        assert said in text
    assert re.search(r"x \*= 2", text)


def test_nbgraders_feedback_is_inert_to_whatever_a_student_wrote(klass):
    page = feedback_page(klass, "ada")
    assert "alert(&#39;mine&#39;)" in page or "alert('mine')" in page or "alert(&#x27;mine&#x27;)" in page
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;") + page.count("&lt;script") >= 4  # answer, text, raw cell, output, note


def test_nbgraders_feedback_holds_no_hidden_input(klass):
    from course_lib.exercises import exercise_named

    page = feedback_page(klass, "leak")
    assert "ValueError" in page
    for case in exercise_named("double").cases(small_class.SEED):
        for value in case.inputs["x"].tolist():
            assert f"{value:.4f}" not in page


def test_formgraders_own_template_renders_the_page(klass):
    import os

    import nbgrader
    from nbconvert.exporters import HTMLExporter
    from traitlets.config import Config

    templates = os.path.join(os.path.dirname(nbgrader.__file__), "server_extensions", "formgrader", "templates")
    config = Config()
    config.HTMLExporter.template_name = "formgrade"
    config.HTMLExporter.extra_template_basedirs = [templates]
    path = klass[0] / "autograded" / "ada" / UNIT / f"{UNIT}.ipynb"
    resources = {
        "assignment_id": UNIT, "notebook_id": UNIT, "submission_id": "s", "index": 0, "total": 1, "base_url": "",
        "mathjax_url": "", "student": "ada", "last_name": None, "first_name": None, "notebook_path": "",
    }  # fmt: skip
    page, _ = HTMLExporter(config=config).from_filename(str(path), resources=resources)
    assert "<script>alert" not in page
    assert 'id="check_double"' in page


def test_nbgraders_own_export_reads_the_gradebook(klass, tmp_path):
    from nbgrader.plugins import CsvExportPlugin

    with Gradebook(f"sqlite:///{klass[0] / 'gradebook.db'}") as book:
        CsvExportPlugin(to=str(tmp_path / "stock.csv")).export(book)
        exports.ExerciseCsv(to=str(tmp_path / "ours.csv"), log=logging.getLogger()).export(book)
        exports.ExerciseCsv(to=str(tmp_path / "ada.csv"), student=["ada"], log=logging.getLogger()).export(book)
    ada = next(row for row in rows_of((tmp_path / "stock.csv").read_text()) if row["student_id"] == "ada")
    assert (ada["score"], ada["max_score"]) == ("4.0", "8.0")
    assert {row["student"] for row in rows_of((tmp_path / "ours.csv").read_text())} == {"ada", f"'{HOSTILE}", "leak"}
    assert [row["student"] for row in rows_of((tmp_path / "ada.csv").read_text())] == ["ada"]


# --- CSV ------------------------------------------------------------------------------------------------------------


def test_the_csv_has_a_column_an_exercise_and_holds_no_formula(klass, tmp_path):
    folder, submissions = klass
    path = tmp_path / "grades.csv"
    assert exports.write_csv(path, folder / "gradebook.db", [s.result for s in submissions]) == 3
    rows = {row["student"]: row for row in rows_of(path.read_text())}
    ada, formula = rows["ada"], rows[f"'{HOSTILE}"]
    points = [f"{UNIT}/{name}" for name in ("double", "total", "why")]
    about = [f"{UNIT}:{name}" for name in ("total", "points", "awaiting", "verdict", "flags")]
    assert list(ada) == ["student", *points, *about]
    assert [ada[name] for name in points + about] == ["2", "2", "", "4", "8", "1", "wrong", f"note {SCRIPT}"]
    assert formula[f"{UNIT}:verdict"] == "right"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "'=1", "\r=1", "＝1"])
def test_text_never_becomes_a_formula(text):
    assert spreadsheets.cell_text(text) == f"'{text}"


def test_the_exporter_has_the_name_that_commands_know_it_by():
    from course_lib.grading.exports import ExerciseCsv

    assert ExerciseCsv is exports.ExerciseCsv


def test_numbers_stay_numbers_and_names_stay_names():
    assert [spreadsheets.cell_text(v) for v in (-1.5, 3, None, "ada", "a,b")] == ["-1.5", "3", "", "ada", "a,b"]


def test_there_is_no_csv_without_a_gradebook(tmp_path):
    with pytest.raises(gradebook.GradebookError, match="course grade"):
        exports.write_csv(tmp_path / "grades.csv", tmp_path / "gradebook.db")
    assert not (tmp_path / "grades.csv").exists()


def test_a_file_that_cannot_be_written_is_named_and_the_old_one_stays(klass, tmp_path):
    blocked = tmp_path / "file" / "grades.csv"
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(gradebook.GradebookError, match="cannot be written"):
        exports.write_csv(blocked, klass[0] / "gradebook.db")


def test_a_run_is_published_as_a_whole_and_can_be_explained(tmp_path, released, klass):
    from course_lib.grading.outside import explain, results
    from course_lib.grading.outside.submission import Submission

    folder = tmp_path / "class"
    folder.mkdir()
    shutil.copy(klass[0] / "gradebook.db", folder)
    (ada, *_) = klass[1]
    results.write(folder / "results", {**ada.result, "student": "bob"})
    (result,) = results.all_results(folder / "results")
    found = [Submission("bob", UNIT, UNIT, ada.data)]
    report = exports.publish(gradebook.paired([result], found), released=released, folder=folder)
    assert (report.recorded, report.awaiting) == (1, 1)
    assert {row["student"] for row in rows_of((folder / "grades.csv").read_text())} >= {"ada", "bob"}
    assert (folder / "autograded" / "bob" / UNIT / f"{UNIT}.ipynb").is_file()
    told = explain.run("bob", "double", class_folder=folder)
    assert "You changed the input in place." in told


# --- Gradescope -----------------------------------------------------------------------------------------------------


def test_gradescope_gets_a_test_an_exercise_and_withheld_sentences(klass, tmp_path):
    paths = exports.write_gradescope(tmp_path, klass[1])
    assert len(paths) == 3
    told = json.loads((tmp_path / "ada" / UNIT / f"{UNIT}.results.json").read_text())
    assert told["score"] == 4
    assert [(t["number"], t["score"], t["max_score"], t["status"]) for t in told["tests"]] == [
        ("90.1", 2, 3, "failed"),
        ("90.2", 2, 2, "passed"),
    ]
    assert "You changed the input in place." in told["tests"][0]["output"]
    assert "Graded by a person, not counted here: why." in told["output"]
    leak = (tmp_path / "leak" / UNIT / f"{UNIT}.results.json").read_text()
    assert "x=" not in leak.replace("def double(x)", "")


def test_gradescope_leaves_no_folder(tmp_path, released):
    bad = submission("../eve", notebook(released), [entry("double", DOUBLE)])
    assert exports.write_gradescope(tmp_path / "out", [bad]) == []
    assert not (tmp_path / "eve").exists()


# --- GitHub Classroom -----------------------------------------------------------------------------------------------


def test_the_classroom_workflow_is_valid_and_grades():
    workflow = yaml.safe_load(exports.GITHUB_CLASSROOM.read_text())
    steps = workflow["jobs"]["grade"]["steps"]
    assert any("course grade submitted" in step.get("run", "") for step in steps)
    checkouts = [step for step in steps if "checkout" in step.get("uses", "")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False, False]


def test_pages_in_the_class_are_valid_notebooks(klass):
    for path in (klass[0] / "autograded").rglob("*.ipynb"):
        nbformat.validate(nbformat.read(path, as_version=4))
