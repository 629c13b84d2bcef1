"""Checks as a learner meets them: states, diagnosis, general sentences, the card, progress, borrowing, files."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
import torch

from course_lib.exercises import exercise_named, exercises, judge_module, judge_of, progress
from course_lib.exercises.card import card, solution, text_card
from course_lib.exercises.checking import (
    AnswerFileError,
    Checks,
    ExerciseNeeded,
    _sealed,
    _tries,
    check,
    check_file,
)
from tests.benchmarks.charged_twice import solutions


@pytest.fixture
def checks(toy, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COURSE_WORK", raising=False)
    _tries.clear()
    return Checks(toy.UNIT)


# --- states and sentences -------------------------------------------------------------------------------------------


def _stub(x):
    raise NotImplementedError("Exercise 98.1: double")


def _half(x):
    return 2 * x if len(x) > 1 else 5 * x


@pytest.mark.parametrize(
    ("answer", "state", "score", "mistake", "words"),
    [
        (lambda x: 2 * x, "right", 3, None, "Two times is one addition"),
        (lambda x: 3 * x, "wrong", 0, "triples", "You tripled."),
        (lambda x: -7 * x, "wrong", 0, "negates", "turned round in 4 inputs"),
        (lambda x: 2 * x if len(x) > 1 else 3 * x, "wrong", 2, None, "is expected (inputs: one: x (1,"),
        (_half, "wrong", 2, None, "is expected (inputs: one: x (1,"),
        (_stub, "not_attempted", 0, None, "Replace the line"),
        (lambda x: None, "wrong", 0, None, "Is the `return` missing?"),
        (lambda x: (2 * x).numpy(), "wrong", 0, None, "numpy.ndarray"),
        (lambda x: 2 * x[0], "wrong", 0, None, "shape (4, 3), but it has shape (3,)"),
        (lambda x: 2 * x / 0, "wrong", 0, None, "not a finite number"),
        (lambda x: 1 / 0, "error", 0, None, "ZeroDivisionError"),
        (lambda: 1, "error", 0, None, "cannot be called like that"),
        (lambda x: (2 * x).view(-1).view(x.shape), "wrong", 1, None, "works on some inputs"),
        (lambda x: exit(), "error", 0, None, "SystemExit"),
        (42, "wrong", 0, None, "It was given an int"),
        (None, "wrong", 0, None, "It was given None"),
    ],
)
def test_an_answer_gets_its_state_its_points_and_a_sentence(toy, answer, state, score, mistake, words):
    result = check(toy.double, answer)
    assert (result.state, result.score, result.mistake) == (state, score, mistake), result.message.render()
    assert words in result.message.render()


def test_the_librarys_own_version_is_no_answer(toy):
    result = check(toy.double, lambda x: toy.librarys_own(x))
    assert result.score == 0
    assert "`librarys_own` from course_lib already does" in result.message.render()


def test_a_broken_judge_is_reported_as_the_courses_fault(toy, monkeypatch):
    monkeypatch.setattr("course_lib.exercises.checking.judge_observations", lambda *a: 1 / 0)
    assert "fault of the course, not of your answer" in check(toy.double, lambda x: 2 * x).message.render()


def test_json_has_the_promised_shape(toy):
    data = json.loads(json.dumps(check(toy.double, lambda x: 3 * x).as_json()))
    assert list(data) == ["exercise", "unit", "state", "score", "points", "mistake", "message", "criteria"]
    assert data["criteria"] == [
        {"name": "value", "score": 0.0, "points": 2.0},
        {"name": "one", "score": 0.0, "points": 1.0},
    ]


# --- the score and the card -----------------------------------------------------------------------------------------


class _Reader(HTMLParser):
    """Collects what the card says, and checks that its tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.depths, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "details":
            self.depths.append(self.open.count("details"))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def _read(html):
    reader = _Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def test_a_score_is_a_bare_number_in_every_plain_rendering(checks):
    from IPython.core.formatters import DisplayFormatter

    score = checks.double(_half)
    data, _ = DisplayFormatter().format(score)
    assert float(data["text/plain"]) == score == 2
    assert re.fullmatch(r"[0-9.]+", data["text/plain"])
    assert "<section" in data["text/html"]


def test_the_card_says_state_points_criteria_and_help_in_words(checks):
    html = checks.double(lambda x: 2 * x if len(x) > 1 else 3 * x)._repr_html_()
    words = " ".join(_read(html).words)
    for said in ("Not right yet", "2 of 3 points", "Doubled is [[", "(met, 2 of 2)", "(not met, 0 of 1)"):
        assert said in words
    assert 'role="status"' in html
    assert 'aria-label="Exercise 98.1: Twice the input. Not right yet. 2 of 3 points."' in html
    assert "<script" not in html


def test_hints_open_one_inside_the_other(checks):
    reader = _read(checks.double(lambda x: 3 * x)._repr_html_())
    assert reader.depths == [1, 2, 3]
    assert "Hint 1 of 3: concept" in reader.words


def test_what_a_learner_prints_and_what_authors_write_is_escaped(checks):
    html = checks.double(lambda x: print("<script>alert(1)</script>") or x * x)._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "You squared &lt;b&gt;it&lt;/b&gt; {of the input}." in html


def test_the_solution_comes_after_three_wrong_tries_or_when_right(checks, toy, monkeypatch, tmp_path):
    folder = tmp_path / "solutions" / toy.UNIT
    folder.mkdir(parents=True)
    header = '# %% nbgrader={"grade_id": "double", "solution": true}\n'
    answer = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### STARTING CODE\n    # return 3 * x\n"
    answer += "    ### END SOLUTION\n"
    (folder / "98_toy.py").write_text("# title\n\n" + header + answer + "\n# %%\n")
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    solution.cache_clear()
    shown = ["One solution" in checks.double(lambda x: 3 * x).html for _ in range(3)]
    assert shown == [False, False, True]
    right = checks.double(lambda x: 2 * x).html
    assert "return 2 * x" in right
    assert "SOLUTION" not in right and "STARTING" not in right and "3 * x" not in right
    _tries.clear()
    assert "One solution" not in checks.double(_stub).html
    solution.cache_clear()


def test_without_solutions_no_card_offers_one(checks, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    solution.cache_clear()
    assert "One solution" not in checks.double(lambda x: 2 * x).html
    solution.cache_clear()


def test_the_terminal_card_is_plain_text(toy):
    result = check(toy.double, lambda x: 3 * x)
    text = text_card(toy.double, result)
    assert text.isascii()
    assert "[not met] values are doubled (0 of 2)" in text


def test_an_unknown_check_names_the_ones_there_are(checks):
    with pytest.raises(AttributeError, match="it has double"):
        getattr(checks, "duble")  # noqa: B009
    assert "double" in dir(checks)


# --- needs and borrowing --------------------------------------------------------------------------------------------


def test_needs_says_which_exercise_is_missing_and_lets_a_right_one_pass(checks, monkeypatch):
    scope = {"check": checks}
    with pytest.raises(ExerciseNeeded, match=r"Exercise 98\.1, `double` \(is not defined yet\)"):
        exec('check.needs("double")', scope)
    scope["double"] = lambda x: 3 * x
    with pytest.raises(ExerciseNeeded, match=r"\(wrong\)"):
        exec('check.needs("double")', scope)
    scope["double"] = lambda x: 2 * x
    exec('check.needs("double")', scope)


def test_a_borrowed_answer_works_and_is_marked(checks, capsys, toy):
    scope = {"check": checks}
    exec('check.needs("double", borrow=True)', scope)
    assert scope["double"](torch.ones(1)) == 2
    assert "Borrowed for now" in capsys.readouterr().out
    assert "Borrowed" in checks.double(scope["double"]).html


def test_a_sealed_copy_lends_nothing(checks, monkeypatch):
    monkeypatch.setattr("course_lib.exercises.checking._sealed", lambda exercise: True)
    with pytest.raises(ExerciseNeeded, match="cannot be borrowed"):
        exec('check.needs("double", borrow=True)', {"check": checks})


@pytest.mark.parametrize(("name", "other"), [("accuracy", "corrupt"), ("freeze", "accuracy")])
def test_a_sealed_judge_is_known_by_its_exercises(name, other, monkeypatch):
    exercise, unsealed = exercise_named(name), exercise_named(other)
    module = judge_module(exercise)
    assert judge_of(unsealed) and not _sealed(exercise)
    monkeypatch.setattr(module, "SEALED", True, raising=False)
    assert _sealed(exercise) and not _sealed(unsealed)


# --- progress -------------------------------------------------------------------------------------------------------


def test_progress_is_kept_inside_work_and_nowhere_else(checks, tmp_path, monkeypatch):
    checks.double(lambda x: 3 * x)
    assert list(tmp_path.iterdir()) == []
    inside = tmp_path / "work" / "98_toy"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    for answer in (_stub, lambda x: 3 * x, _half, lambda x: 2 * x, lambda x: 3 * x):
        checks.double(answer)
    standing = progress.read(tmp_path / "work")["double"]
    assert (standing.state, standing.best, standing.score, standing.tries) == ("right", 3, 0, 3)


def test_a_project_inside_somebodys_work_folder_keeps_no_progress_there(tmp_path, monkeypatch):
    root = tmp_path / "work" / "course"
    for name in ("notebooks/98_toy", "work/98_toy"):
        (root / name).mkdir(parents=True)
    monkeypatch.setenv("COURSE_ROOT", str(root))
    assert progress.work_folder(root / "notebooks/98_toy") is None
    assert progress.work_folder(root / "work/98_toy") == root / "work"


def test_a_check_survives_that_its_folder_is_gone(checks, tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert checks.double(lambda x: 2 * x) == 3


def test_a_damaged_record_or_a_read_only_folder_costs_no_check(checks, tmp_path, monkeypatch):
    folder = tmp_path / "work" / ".progress"
    folder.mkdir(parents=True)
    (folder / "double.json").write_text("{half a rec")
    monkeypatch.chdir(tmp_path / "work")
    assert progress.read(tmp_path / "work") == {}
    monkeypatch.setattr(progress.os, "replace", lambda *a: (_ for _ in ()).throw(PermissionError("read-only")))
    assert checks.double(lambda x: 2 * x) == 3


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_function_in_any_file_is_checked(toy, monkeypatch, tmp_path):
    monkeypatch.setattr("course_lib.exercises.checking.exercise_named", lambda name: toy.double)
    path = tmp_path / "mein Lösungs file.py"
    path.write_text("def double(x):\n    return torch.add(x, x)\n", encoding="utf-8")
    assert check_file("double", path).state == "right"
    path.write_text("def doubel(x):\n    return x\n")
    with pytest.raises(ValueError, match="does not define `double`; it defines doubel"):
        check_file("double", path)
    path.write_text("def double(x)\n    return x\n")
    with pytest.raises(AnswerFileError, match=r"SyntaxError.*line 1"):
        check_file("double", path)
    path.write_text("import sys\nsys.exit(1)\n")
    with pytest.raises(AnswerFileError, match="SystemExit"):
        check_file("double", path)
    with pytest.raises(FileNotFoundError):
        check_file("double", tmp_path / "none.py")


def test_an_answer_in_a_file_borrows_the_earlier_exercises_that_are_not_there(tmp_path, capsys, monkeypatch):
    """As the statement of SimCLR allows: it calls `nt_xent_loss` and `two_views`, here one of its own, and wrong."""
    own = "def two_views(images, augment, *, generator):\n    return 2 * [augment(images, generator=generator)]\n"
    path = tmp_path / "simclr.py"
    path.write_text(f"from course_lib.models import eval_mode\n{own}{solutions()['SimCLR']}", encoding="utf-8")
    assert check_file("SimCLR", path).state == "right"
    said = capsys.readouterr()
    assert said.out == "" and "Borrowed for now: the course's own `nt_xent_loss` (Exercise 5.2)" in said.err
    assert "two_views" not in said.err
    monkeypatch.setattr("course_lib.exercises.checking._sealed", lambda exercise: True)
    with pytest.raises(ExerciseNeeded, match="`nt_xent_loss` cannot be borrowed"):
        check_file("SimCLR", path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "cp1252"])
@pytest.mark.parametrize("first", ["", "# -*- coding: {} -*-\n"])
def test_a_file_in_another_encoding_is_checked(toy, monkeypatch, tmp_path, encoding, first):
    monkeypatch.setattr("course_lib.exercises.checking.exercise_named", lambda name: toy.double)
    path = tmp_path / "answer.py"
    path.write_text(first.format(encoding) + "def double(x):  # größer\n    return x + x\n", encoding=encoding)
    assert check_file("double", path).state == "right"


def test_card_of_a_borrowed_answer_does_not_claim_it_is_the_learners(toy):
    result = check(toy.double, lambda x: 2 * x)
    html = card(toy.double, result, standing=progress.Standing("double"), borrowed=True)
    assert "the course&#x27;s own version" in html


# --- where no judge is at hand ------------------------------------------------------------------------------------

SILENCED = """
from course_lib import exercises
exercises.silence_checks()
check = exercises.checks_for({unit!r})
assert check.{name}(print) is None and check.needs({name!r}, "no such exercise") is None
assert {name!r} in dir(check) and "needs" in dir(check)
try:
    check.wrong_name
except AttributeError as error:
    assert "has no exercise 'wrong_name'" in str(error)
"""


def test_silent_checks_have_every_name_and_do_nothing():
    exercise = next(iter(exercises().values()))
    program = SILENCED.format(unit=exercise.unit, name=exercise.name)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_an_answer_that_calls_one_not_written_yet_is_attempted():
    """Only this exercise's own stub says that nothing was written here."""
    exercise = exercises()["accuracy"]

    def stub_of(name):
        def fn(*args, **kwargs):
            raise NotImplementedError(f"Exercise 0.2: {name}")

        return fn

    assert check(exercise, stub_of("accuracy")).state == "not_attempted"
    calling = check(exercise, stub_of("evaluate"))
    assert calling.state == "error" and "Exercise 0.2: evaluate" in calling.message.render()
