"""`course explain`: the instructor reads all that the feedback page withholds."""

from __future__ import annotations

import pytest
import small_class
import tiny_course
from small_class import BLANK, DOUBLE, HALF_RIGHT, TOTAL, UNIT, entry, submission

from course_lib.grading.outside.explain import explain
from course_lib.grading.outside.standings import Standing
from course_lib.grading.outside.terminal import visible


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    tiny_course.install(monkeypatch)


def results(source=HALF_RIGHT, student="ada", **more):
    return [submission(student, None, [entry("double", source), entry("total", TOTAL)], **more).result]


def standing(name="check_double", **values):
    given = {"auto_score": 2.0, "manual_score": None, "extra_credit": None, "awaiting": False, "written": False}
    return Standing("ada", UNIT, UNIT, name, 3.0, **{**given, **values})


def test_a_known_mistake_is_told_in_the_words_of_the_card_with_every_criterion():
    told = explain("ada", "double", results())
    assert told.splitlines()[:5] == [
        "ada, 90_tiny, Exercise 90.1 double: not right, 2 of 3 points.",
        "  You changed the input in place.",
        "  It behaves like the known mistake 'in_place'.",
        "  [met    ] the value is twice x (2 of 2)",
        "  [not met] x is left as it was (0 of 1)",
    ]


def test_the_values_seen_and_expected_are_told_to_the_instructor_and_not_to_the_student():
    source = "def total(x):\n    return 7.25\n"
    wrong = [submission("ada", None, [entry("total", source)]).result]
    told = explain("ada", "total", wrong)
    assert "Value is 7.25, but " in told
    assert "few: x (3,) float32" in told
    shown = told.splitlines()[-1]
    assert shown == "  The student reads: Value is not the value that was asked for."


def test_what_the_code_printed_is_told_without_control_characters():
    source = 'def double(x):\n    print("\\x1b]0;owned\\x07 here")\n    return 3 * x\n'
    told = explain("ada", "double", results(source))
    assert "    | ]0;owned here" in told
    assert "\x1b" not in told


def test_a_persons_score_comment_and_tampering_are_told():
    stands = standing(manual_score=2.5, comment="Kindly overlooked.", extra_credit=0.5, awaiting=True)
    told = explain("ada", "double", results(tampered=["check_double was edited"]), grades=[stands])
    for said in ("gave 2.5 of 3 points", "wrote: Kindly overlooked.", "0.5 points of extra", "waits for a person",
                 "Tampered with: check_double was edited", "isolation 'namespaces'"):  # fmt: skip
        assert said in told


@pytest.mark.parametrize("verdict", ["timeout", "memory", "crashed"])
def test_a_verdict_of_the_grader_alone_is_told(verdict):
    bad = {"exercise": "double", "verdict": verdict, "score": 0, "points": 3, "message": None, "criteria": []}
    told = explain("ada", "double", [submission("ada", None, [bad]).result])
    assert told.count("Your code") == 2


def test_right_and_blank_answers_are_told_too():
    assert "right, 3 of 3 points" in explain("ada", "double", results(DOUBLE))
    assert "not attempted, 0 of 3 points" in explain("ada", "double", results(BLANK))


def test_a_written_answer_says_where_it_stands():
    why = standing("why", written=True, awaiting=True, auto_score=None)
    assert "waits for a person" in explain("ada", "why", results(), grades=[why])
    empty = standing("why", written=True, auto_score=0.0)
    assert "No response" in explain("ada", "why", results(), grades=[empty])


@pytest.mark.parametrize(
    ("student", "name", "said"),
    [("adda", "double", r"Did you mean 'ada'\?"), ("ada", "duble", r"the exercises are double, total")],
)
def test_unknown_students_and_exercises_are_answered_with_those_there_are(student, name, said):
    with pytest.raises(ValueError, match=said):
        explain(student, name, results())


def test_an_exercise_that_was_not_graded_yet_says_what_to_run():
    with pytest.raises(ValueError, match=f"course grade.*--unit {UNIT}"):
        explain("ada", "total", [submission("ada", None, [entry("double", DOUBLE)]).result])


def test_letters_of_all_languages_stay_visible():
    assert visible("Ωmega é 漢字 \u202e\x00x") == "Ωmega é 漢字 x"


def test_the_secret_seed_is_not_in_what_these_tests_read():
    assert str(small_class.SEED) not in explain("ada", "double", results())
