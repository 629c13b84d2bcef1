"""From the sandbox to the page a student reads: what was hidden stays hidden, whatever the submission tried."""

from __future__ import annotations

import json
import re

import class_notebooks as notebooks
import nbformat
import pytest
from class_notebooks import RIGHT_SCALE, UNIT, answered

from course_lib.grading.outside import exports, feedback, gradebook, pages, spreadsheets
from course_lib.grading.outside.pages import GradedNotebook
from course_lib.grading.outside.standings import standings

TRIES = {
    "error_text": "def double(x):\n    raise ValueError(' '.join(f'{v:.5f}' for v in x.flatten().tolist()))\n",
    "error_name": "def double(x):\n    raise type('V' + str(x.flatten()[0].item()), (Exception,), {})()\n",
    "printed": "def double(x):\n    print(x.tolist())\n    return x\n",
    "returned_text": "def double(x):\n    return str(x.tolist())\n",
    "returned_keys": "def double(x):\n    return {str(v): v for v in x.flatten().tolist()}\n",
    "returned_as_it_is": "def double(x):\n    return x.double() * 1.5\n",
    "one_number": "def double(x):\n    return x.flatten()[0].item()\n",
    "wrong_shape": "def double(x):\n    return x.repeat(7, 11)\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One class for all: nbgrader takes seconds to make a gradebook."""
    return tmp_path_factory.mktemp("course") / "class"


@pytest.fixture
def shown(graded, release_folder, folder):
    """Everything that a student is given back: page, Gradescope file, CSV."""

    def all_of(notebook, student="ada"):
        result = {**graded(notebook), "student": student}
        submission = GradedNotebook(result, json.dumps(notebook).encode())
        book = folder / "gradebook.db"
        gradebook.record([submission], gradebook=book, autograded=folder / "autograded", released=release_folder)
        path = folder / "autograded" / student / UNIT / f"{UNIT}.ipynb"
        page = nbformat.read(path, as_version=4)
        nbformat.validate(page)
        header, rows = exports.table(standings(book, student=student), [result])
        cards = "\n".join(str(output.get("data", output)) for cell in page.cells for output in cell.get("outputs", ()))
        return result, cards + json.dumps(exports.gradescope(submission)) + spreadsheets.csv_text(header, rows)

    return all_of


def secrets(options):
    from course_lib.exercises import exercise_named
    from course_lib.grading.outside.results import seed_for

    for case in exercise_named("double").cases(seed_for(options.secret, "double")):
        yield from case.inputs["x"].flatten().tolist()


@pytest.mark.parametrize("name", TRIES)
def test_no_hidden_input_reaches_the_student(shown, options, name):
    result, given_back = shown(answered(TRIES[name]), name)
    assert result["exercises"][0]["score"] == 0
    for value in secrets(options):
        for number in (value, 1.5 * value, 2 * value):
            assert f"{abs(number):.4f}"[:6] not in given_back
    assert "(28, 33)" not in given_back
    assert "(4, 3)" not in given_back


def test_the_students_own_output_from_before_is_shown(shown):
    _, given_back = shown(answered(extra="print('hello from the first cell')"))
    assert "hello from the first cell" in given_back


def test_scores_in_nbgraders_gradebook_are_those_of_the_result(shown, folder):
    result, _ = shown(answered("def double(x):\n    return 2 * x if len(x) > 1 else 3 * x\n", RIGHT_SCALE))
    stands = {s.name: s.score for s in standings(folder / "gradebook.db", student="ada")}
    scores = {f"check_{entry['exercise']}": entry["score"] for entry in result["exercises"]}
    assert {name: stands[name] for name in scores} == scores
    assert 0 < sum(scores.values()) < 5


def test_a_cell_that_stops_before_the_answer_is_said_in_the_students_words(shown):
    _, given_back = shown(answered("def double(x)\n    return 2 * x\n"))
    assert re.search(r"The cell that should define <code>double</code> stopped with SyntaxError: expected", given_back)
    assert notebooks.UNIT in pages.registry.units()


SAID = "rotate_batch.observed.rotated"


@pytest.mark.parametrize(
    ("message_id", "fields", "sentence"),
    [
        ("missing", {"key": SAID, "part": " at `['0.125']`"}, "The tensor of images that you return is missing, or a"),
        ("extra", {"key": SAID, "part": " at `['0.125']`"}, "The tensor of images that you return has a part that is"),
        (
            "is_none",
            {"key": "loss", "part": " at `[0.125]`", "expected": "a float"},
            "Loss is None, or a part of it is",
        ),
        (
            "wrong_length",
            {"key": SAID, "given": 0.125, "expected": 3},
            "return does not have the length that was asked",
        ),
        ("lacks", {"key": SAID, "lacking": "`0.125`"}, "return does not have all entries that were asked for."),
        ("has_besides", {"key": SAID, "besides": "`0.125`"}, "return has entries that were not asked for."),
        (
            "wrong_value",
            {"key": "your argument `images` after the call", "given": "0.125"},
            "Your argument `images` af",
        ),
        ("unusable", {"type": "E0_125", "text": "0.125", "where": " (raised by `f`)"}, "`check.rotate_batch(rotate_b"),
        ("cannot_be_called", {"signature": "0.125", "text": "0.125"}, "as in `rotate_batch(images, k)`"),
        ("wrong_type", {"key": "a.b.0.125", "given": "a list of length 125", "expected": "a float"}, "is a list."),
    ],
)
def test_a_student_reads_what_is_wrong_and_none_of_its_values(message_id, fields, sentence):
    from course_lib.exercises import exercise_named
    from course_lib.grading.outside.feedback import public_message

    entry = {"verdict": "wrong", "message": {"id": f"contract.{message_id}", "fields": fields}}
    told = public_message(exercise_named("rotate_batch"), entry)
    assert sentence in told and not re.search("125", told), told


@pytest.mark.parametrize(
    ("line", "text", "told"),
    [
        ("return a + offset", "name 'offset' is not defined", True),
        ("raise NameError(f\"name 'a{int(x[0])}' is not defined\")", "name 'a17' is not defined", False),
        ("exec(f'a{int(x[0])}')", "name 'a17' is not defined", False),
        ("__import__(f'a{int(x[0])}')", "No module named 'a17'", False),
        ("getattr(x, f'a{int(x[0])}')", "'Tensor' object has no attribute 'a17'", False),
    ],
)
def test_a_name_in_an_error_is_told_only_where_the_line_that_failed_says_it(line, text, told):
    from course_lib.exercises import exercise_named

    source = f"# a17 a18 offset\ndef double(x):\n    {line}\n"  # a list of names, to choose one by a hidden value
    kind = (text.partition(" ")[0] == "name" and "NameError") or "ValueError"
    fields = {"type": kind, "text": text, "where": f" (line 3: `{line}`)"}
    entry = {"verdict": "error", "message": {"id": "contract.error", "fields": fields}}
    sentence = feedback.public_message(exercise_named("double"), entry, source=source)
    assert (text in sentence) == told and "a17" not in sentence


def test_an_error_that_looks_like_an_id_is_not_answered_with_a_sentence_of_the_judge():
    from course_lib.exercises import exercise_named
    from course_lib.exercises.messages import said

    registry_of = exercise_named("double")
    for message_id in ("double.mistake.triples", "double.hint.skeleton"):
        assert said(message_id) == message_id
        fields = {"type": "ValueError", "text": message_id}
        entry = {"verdict": "error", "message": {"id": "grading.cell_error", "fields": fields}}
        assert message_id in feedback.public_message(registry_of, entry)
