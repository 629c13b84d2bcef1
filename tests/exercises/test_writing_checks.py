"""Write the check: what it is tried on tells right from wrong by its behavior alone, and what it earns."""

from __future__ import annotations

import inspect
import os
import random
import re
import sys
import time

import pytest
import torch

from course_lib import settings
from course_lib.exercises import candidates, checking, checks_for, exercise_named, exercises, judge_of
from course_lib.exercises.answers import AnswersError
from course_lib.exercises.card import card, text_card
from course_lib.exercises.contract import State, close, with_a_repeat
from course_lib.exercises.observing import observe_all
from course_lib.exercises.progress import Standing
from course_lib.exercises.trying_checks import PASSED, STOPPED, Decision, unpacked, unpacked_answer
from tests.exercises.known import check
from tests.exercises.verdicts import SEEDS

CHECKS = [exercise for exercise in exercises().values() if exercise.check_of]
EXERCISE = exercise_named("accuracy_check")
LOGITS = torch.tensor([[9.0, 1, 2, 0], [0, 5, 1, 2], [3, 2, 8, 0]])


def _name(value):
    return getattr(value, "name", None)


def tried(exercise, seed=0):
    case = exercise.cases(seed)[0]
    return case, [unpacked_answer(case.inputs["code"], number) for number in range(case.inputs["count"])]


@pytest.mark.parametrize("exercise", CHECKS, ids=_name)
def test_every_answer_does_what_it_does_in_its_file(exercise):
    of = exercise_named(exercise.check_of)
    assert of.unit == exercise.unit  # so that the digest of a unit's exercises covers what its checks are tried on
    judge, (case, packed) = judge_of(of), tried(exercise)
    known = {m.name: m.fn for m in judge.mistakes} | {a.name: a.fn for a in judge.alternatives}
    assert {answer.name for answer in case.known} == known.keys() - {*judge_of(exercise).left_out}
    for answer, right, fn in zip(case.known, case.right, packed, strict=True):
        assert right == (answer.name in {a.name for a in judge.alternatives})
        cases = with_a_repeat(of.cases(3))
        for there, here in zip(*(observe_all(of, f, cases, guard=False) for f in (known[answer.name], fn))):
            assert bool(there.error) == bool(here.error), answer.name
            assert there.error or close(there.values, here.values), answer.name


@pytest.mark.parametrize("exercise", CHECKS, ids=_name)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_reference_decides_rightly_about_every_answer(exercise, seed):
    case = exercise.cases(seed)[0]
    seen = observe_all(exercise, judge_of(exercise).reference, [case], guard=False)[0].values
    assert [decision == Decision.PASSED for decision in seen["decisions"]] == list(case.right)


@pytest.mark.parametrize("exercise", CHECKS, ids=_name)
def test_nothing_but_behavior_tells_right_from_wrong(exercise):
    case, packed = tried(exercise)
    assert len({fn.__code__ for fn in packed}) == 1
    for attribute in (
        "__name__",
        "__qualname__",
        "__doc__",
        "__module__",
        "__defaults__",
        "__dict__",
        "__annotations__",
    ):
        assert len({repr(getattr(fn, attribute)) for fn in packed}) == 1, attribute
    assert packed[0].__doc__ is None and packed[0].__code__.co_filename == "<answer>"
    cells = [{n: c.cell_contents for n, c in zip(fn.__code__.co_freevars, fn.__closure__)} for fn in packed]
    assert [cell.pop("number") for cell in cells] == list(range(len(packed)))
    assert all(cell == {"calls": []} for cell in cells)
    with pytest.raises((OSError, TypeError)):
        inspect.getsource(packed[0])
    text = case.inputs["code"] + repr(list(_constants(packed[0].__code__)))
    assert not any(answer.name in text for answer in case.known)
    assert not any(len(value.split()) > 2 for value in _constants(packed[0].__code__) if isinstance(value, str))
    assert {line for line in _lines(packed[0].__code__)} == {1}
    in_turn = [id(fn) for fn, _ in unpacked(case.inputs["code"], case.inputs["count"])]
    assert len(in_turn) == len(packed) and len(set(in_turn)) == 1, "an address tells answers apart"


def _constants(code):
    for value in code.co_consts:
        yield from _constants(value) if inspect.iscode(value) else [value]


def _lines(code):
    yield code.co_firstlineno
    yield from (line for _, _, line in code.co_lines() if line is not None)
    for value in code.co_consts:
        yield from _lines(value) if inspect.iscode(value) else ()


@pytest.mark.parametrize("exercise", CHECKS, ids=_name)
def test_the_order_is_another_one_for_each_seed(exercise):
    orders = [[answer.name for answer in exercise.cases(seed)[0].known] for seed in (0, 0, 1, 2)]
    assert orders[0] == orders[1] and len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == sorted(orders[0]) for order in orders)


def test_what_reaches_a_learners_process_does_not_say_what_is_right():
    case = EXERCISE.cases(0)[0]
    assert vars(case.copy()).keys() == {"name", "inputs"} and case.inputs.keys() == {"code", "count"}


@pytest.mark.parametrize("exercise", CHECKS, ids=_name)
def test_the_statement_counts_what_is_tried(exercise):
    words = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    words += ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
    words += [f"twenty-{unit}" for unit in words[1:10]]
    found = candidates.count(
        exercise.cases(0)[0], {"decisions": [str(Decision.PASSED)] * exercise.cases(0)[0].inputs["count"]}
    )
    sources = "".join(p.read_text() for p in (settings.root() / "solutions" / exercise.unit).glob("*.py"))
    text = " ".join(re.sub(r"\n# ?", " ", sources).split()).lower()
    assert f"{words[found.right]} right functions and {words[found.wrong]} wrong ones" in text


# --- what a check earns -----------------------------------------------------------------------------------------------


def test_the_points_are_the_share_of_wrong_answers_that_are_stopped():
    def not_zero(candidate):
        assert candidate(LOGITS, torch.tensor([0, 1, 3])) > 0.5

    result = check(EXERCISE, not_zero)
    passed = ("tensor", "percent", "count", "rounded", "squashed_first", "mean_probability")
    case = EXERCISE.cases(0)[0]
    decisions = observe_all(EXERCISE, not_zero, [case])[0].values["decisions"]
    wrong = zip(case.known, case.right, decisions, strict=True)
    assert {a.name for a, right, decision in wrong if not right and decision in PASSED} == {*passed}
    assert (result.state, result.score, result.criteria[0].score) == ("wrong", 2.0, 2.0)
    assert result.message.render().startswith("Your check lets every right answer pass, and it stops 6 of the 12")


def test_a_check_that_refuses_one_right_answer_earns_nothing():
    def exact(candidate):
        value = candidate(LOGITS, torch.tensor([0, 1, 3]))
        assert type(value) is float and value == 2 / 3

    result = check(EXERCISE, exact)
    assert (result.state, result.score, result.mistake) == ("wrong", 0.0, "compared_exactly")


@pytest.mark.parametrize("exercise", CHECKS, ids=_name)
def test_how_a_check_passed_or_stopped_an_answer_is_worth_nothing(exercise):
    """It names mistakes alone, so a learner who forges it gains nothing."""
    case = exercise.cases(0)[0]
    hows = random.Random(0)
    for decisions in ([Decision.PASSED] * len(case.right), [Decision.ASSERTED] * len(case.right)):
        whole = [PASSED if decision == Decision.PASSED else STOPPED for decision in decisions]
        forged = {"decisions": [str(hows.choice(each)) for each in whole]}
        assert candidates.count(case, forged) == candidates.count(case, {"decisions": decisions})
    half = [Decision.PASSED if right else Decision.ASSERTED for right in case.right]
    half[case.right.index(False)] = Decision.PASSED
    worth = candidates.count(case, {"decisions": half}).share
    for decision in (*Decision, "stopped, believe me", "", None, 1.0):
        forged = [*half]
        forged[case.right.index(True)] = decision
        assert candidates.count(case, {"decisions": forged}).share in (0.0, worth)


def test_only_decisions_leave_a_learners_process():
    seen = observe_all(EXERCISE, lambda candidate: None, EXERCISE.cases(0), guard=False)[0].values
    assert seen.keys() == {"decisions"} and {*seen["decisions"]} == {Decision.PASSED_UNCALLED}


def imports_first(candidate):
    """As torch.testing does, when it is first called; half a module would be left behind if it were broken off."""
    import slow_to_import

    assert slow_to_import.whole
    value = candidate(LOGITS, torch.tensor([0, 1, 3]))
    assert isinstance(value, float) and abs(value - 2 / 3) < 1e-5


def test_an_import_is_not_broken_off_and_its_time_does_not_count(tmp_path, monkeypatch):
    code = "import time\nend = time.process_time() + 1.5\nwhile time.process_time() < end: pass\nwhole = True\n"
    (tmp_path / "slow_to_import.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    assert check(EXERCISE, imports_first).score == 3.67
    monkeypatch.delitem(sys.modules, "slow_to_import")


def raises_its_own_error(candidate):
    value = candidate(LOGITS, torch.tensor([0, 1, 3]))
    if not isinstance(value, float) or abs(value - 2 / 3) > 1e-5:
        raise ValueError("wrong")


def catches_its_own_assertion(candidate):
    try:
        assert candidate(LOGITS, torch.tensor([0, 1, 3])) == 2 / 3
    except AssertionError:
        print("wrong")


def forgets_an_argument(candidate):
    assert candidate(LOGITS) > 0.5


def has_an_error_of_its_own(candidate):
    assert candidate(LOGITS, torch.tensor([0, 1, 3])) == two_thirds  # noqa: F821


@pytest.mark.parametrize(
    ("fn", "mistake", "score"),
    [
        (raises_its_own_error, "small_logits_alone", 3.67),
        (catches_its_own_assertion, "prints", 0.33),
        (forgets_an_argument, "wrong_call", 0.0),
        (has_an_error_of_its_own, None, 0.0),
    ],
)
def test_how_a_check_stops_tells_its_mistake(fn, mistake, score):
    result = check(EXERCISE, fn)
    assert (result.mistake, result.score) == (mistake, score)


def passes_all(candidate):
    candidate(LOGITS, torch.tensor([0, 1, 3])) if False else None


def stops_all(candidate):
    raise AssertionError


def leaves(candidate):
    raise SystemExit


def never_ends(candidate):
    while True:
        pass


def decides_by_the_code(candidate):
    assert hash(candidate.__code__) % 2


def decides_by_the_place(candidate):
    assert candidate.__closure__[1].cell_contents % 2


@pytest.mark.parametrize("fn", [passes_all, stops_all, leaves, decides_by_the_code, decides_by_the_place])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_does_not_look_at_behavior_earns_nothing(fn, seed):
    assert check(EXERCISE, fn, seed=seed).score == 0.0


def test_a_check_that_does_not_end_is_stopped():
    begun = time.perf_counter()
    result = check(EXERCISE, never_ends)
    assert time.perf_counter() - begun < 60
    assert result.score == 0.0 and "does not end" in result.message.render()


def test_a_check_that_does_not_end_on_one_wrong_answer_keeps_the_rest():
    def waits(candidate):
        value = candidate(LOGITS, torch.tensor([0, 1, 3]))
        assert isinstance(value, float)
        while value > 60:
            pass
        assert abs(value - 2 / 3) < 1e-5

    result = check(EXERCISE, waits)
    assert 3.0 < result.score < 4.0 and "On 1 of the 15 answers" in result.message.render()


def test_an_interrupt_ends_the_check():
    def interrupted(candidate):
        raise KeyboardInterrupt

    assert checking.check(EXERCISE, interrupted).message.id == "contract.interrupted"


def test_what_an_answer_leaves_behind_is_not_the_checks_fault():
    """As mistakes do that switch gradients off; the next answer is tried with torch as it was."""
    right = judge_of(EXERCISE).alternatives[0].fn

    def switches(candidate):
        assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        right(lambda logits, labels: candidate(logits.float(), labels))

    assert check(EXERCISE, switches).state == "right"
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32


def test_the_librarys_version_is_refused_and_ones_own_is_not():
    from course_lib.evaluation import accuracy as library

    def own(logits, labels):
        return (logits.argmax(dim=1) == labels).double().mean().item()

    def compares_with(other):
        def compares(candidate):
            for logits, labels in ((LOGITS, [0, 1, 3]), (LOGITS + 100, [1, 1, 2])):
                value = candidate(logits, torch.tensor(labels))
                assert isinstance(value, float) and abs(value - other(logits, torch.tensor(labels))) < 1e-5

        return compares

    assert check(EXERCISE, compares_with(own)).state == "right"
    refused = check(EXERCISE, compares_with(library))
    assert refused.score == 0.0 and refused.message.id == "contract.used_library"


def test_an_exercise_with_a_class_as_its_answer_is_refused():
    with pytest.raises(AnswersError, match="not a function"):
        candidates.packed(exercise_named("accuracy"), ["class accuracy:\n    pass\n"])


# --- the card ---------------------------------------------------------------------------------------------------------


def shown(fn):
    result = checking.check(EXERCISE, fn, seconds_for_smallest=1.0)
    return result, text_card(EXERCISE, result)


def test_the_card_shows_a_wrong_answer_that_passes_by_what_it_returns():
    def type_alone(candidate):
        assert isinstance(candidate(LOGITS, torch.tensor([0, 1, 3])), float)

    result, text = shown(type_alone)
    assert "Right answers refused: 0 of 3. Wrong answers stopped:" in text
    assert "The check of Exercise 0.1 tells its author:" in text and "expected:" in text
    assert "logits = torch.tensor(" in text and "labels = torch.tensor(" in text
    code = "\n".join(answer.source for answer in EXERCISE.cases(0)[0].known)
    example = text.partition("tells its author:")[2].partition("[")[0]
    assert not any(line.strip() in example for line in code.splitlines() if len(line.strip()) > 8)
    html = card(EXERCISE, result, standing=Standing("accuracy_check", State.WRONG, 0.0, 4.0))
    assert "Wrong answers stopped:" in html and "partly met" in html
    assert result.as_json()["smallest_case"][0].startswith("Right answers refused: 0 of 3.")


def test_the_card_shows_a_right_answer_that_is_refused_and_where():
    def exact(candidate):
        value = candidate(LOGITS, torch.tensor([0, 1, 3]))
        assert isinstance(value, float)
        assert value == 2 / 3

    _, text = shown(exact)
    assert "A right answer that your check refuses. Its last call in your check:" in text
    assert "labels = torch.tensor([0, 1, 3])" in text and "it returns 0.66666668653" in text
    assert "AssertionError" in text and "assert value == 2 / 3" in text


def test_a_check_that_is_right_has_no_example():
    result, _ = shown(judge_of(EXERCISE).alternatives[0].fn)
    assert result.smallest is None


@pytest.mark.parametrize(
    ("body", "shown"), [("right", "4.0"), ("partial", "3.67"), ("refuses", "0.0"), ("blank", "0.0")]
)
def test_the_value_of_a_check_cell_is_the_bare_number(capfd, body, shown):
    """What stock nbgrader reads; one byte on stderr would make it a failed check."""
    known = {mistake.name: mistake.fn for mistake in judge_of(EXERCISE).mistakes}

    def blank(candidate):
        raise NotImplementedError("Exercise 0.5: accuracy_check")

    functions = {
        "right": judge_of(EXERCISE).alternatives[0].fn,
        "partial": known["small_logits_alone"],
        "refuses": known["compared_exactly"],
        "blank": blank,
    }

    def noisy(candidate):
        print("to stdout")
        print("to stderr", file=sys.stderr)
        os.write(2, b"past Python")
        functions[body](candidate)

    value = checks_for("00_first_steps").accuracy_check(noisy)
    assert repr(value) == shown and "<section" in value._repr_html_()
    assert capfd.readouterr() == ("", "")
