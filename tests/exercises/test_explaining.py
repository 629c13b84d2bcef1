"""What a card says of a wrong answer that has no name: both sides readable, and words that a learner knows."""

from __future__ import annotations

import re

import pytest
import torch

from course_lib.exercises import exercises, judge_of
from course_lib.exercises.contract import Case, Criterion, Judge, close
from course_lib.exercises.judging import judge_observations
from course_lib.exercises.observing import observe_all
from tests.exercises.shared import small_exercise


def observe_result(fn, case):
    return {"result": fn(case.inputs["x"])}


def told(answer, reference, observe=observe_result, **inputs):
    """The result of a check in which the answer should give what the reference gives."""
    case = Case("plain", {"x": torch.ones(3), "feature_dim": 5, **inputs})
    exercise = small_exercise("made", cases=lambda seed: [case], observe=observe)
    right = Criterion("value", 1, "it is right", lambda case, seen, expected: close(seen, expected))
    judge = Judge(reference, (right,))
    return judge_observations(exercise, judge, observe_all(exercise, answer, exercise.cases(0)))


LONG = ["encoder.layers.0.weight", "encoder.layers.0.bias", "encoder.layers.1.weight", "encoder.layers.1.bias"]


@pytest.mark.parametrize(
    ("given", "expected", "words"),
    [
        ([*range(40), 7], [*range(40), 8], ("is 7", "8 is expected", "`[40]`")),
        ("x" * 70 + "a", "x" * 70 + "b", ("xa,", "xb is expected")),
        ({"a": [0.5] * 30 + [1.0]}, {"a": [0.5] * 30 + [2.0]}, ("is 1.0", "2.0 is expected", "`['a'][30]`")),
        (1.2345678, 1.2348678, ("1.23457", "1.23487")),
        ([*LONG, "head.weight"], [*LONG, "head.bias"], ("`head.weight`", "lacks `head.bias`")),
        (torch.zeros(50), 9 * torch.eye(50)[49], ("1 of its 50", "`[49]`", "is 0.0", "9.0 is expected")),
    ],
    ids=["a long list", "a long text", "a list in a dictionary", "close numbers", "names", "a long tensor"],
)
def test_two_values_that_differ_look_different(given, expected, words):
    sentence = told(lambda x: given, lambda x: expected).message.render()
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("given", "expected", "words"),
    [
        ([torch.tensor([1.0, 2.0])], [torch.tensor([1.0, 3.0])], "`[0]` is [1.0, 2.0], but [1.0, 3.0] is expected"),
        ([torch.tensor(1.0)], [torch.tensor(0.25)], "is 1.0, but 0.25 is expected"),
        ({"loss": torch.tensor(0.5)}, {"loss": torch.tensor(0.25)}, "`['loss']` is 0.5, but 0.25 is expected"),
        ([torch.tensor([1])], [torch.tensor([1, 2])], "shape (2,), but it has shape (1,)"),
        ([torch.tensor([1])], [torch.tensor([1]), torch.tensor([2])], "length 2, but it has length 1"),
        ([torch.tensor(1.0)], [1.0], "should be a float, but it is a tensor with a single number"),
    ],
)
def test_tensors_inside_lists_and_dictionaries_are_readable(given, expected, words):
    sentence = told(lambda x: given, lambda x: expected).message.render()
    assert words in sentence and "tensor(" not in sentence, sentence


@pytest.mark.parametrize(
    ("given", "asks"),
    [(None, True), ({}, False), ({"loss": None}, False), ({"other": 1.0}, False), ([None], False)],
    ids=["nothing returned", "empty", "None inside", "another key", "None in a list"],
)
def test_only_a_returned_none_is_asked_about_its_return(given, asks):
    sentence = told(lambda x: given, lambda x: {"loss": 1.0}).message.render()
    assert ("Is the `return` missing?" in sentence) == asks, sentence


def test_a_missing_return_is_told_before_what_follows_from_it():
    message = told(lambda x: None, lambda x: x.sum(), lambda fn, case: {"loss": fn(case.inputs["x"]), "weights": 1.0})
    assert message.message.id == "contract.returns_none"
    from course_lib.exercises import exercise_named
    from course_lib.exercises.checking import check

    for name in ("train_step", "joint_loss", "mean_teacher_loss", "mask_patches", "parameter_groups"):
        assert "None. Is the `return` missing?" in check(exercise_named(name), lambda *a, **k: None).message.render(), (
            name
        )


def observe_step(fn, case):
    torch.optim.SGD(fn(case.inputs["x"]), lr=0.1).step()
    return {"result": 1.0}


def observe_backward(fn, case):
    fn(case.inputs["x"]).backward()
    return {"result": 1.0}


def observe_pair(fn, case):
    first, _ = fn(case.inputs["x"])
    return {"result": first}


def written(text):
    """An answer in a file of its own, as a learner's is."""
    namespace = {"torch": torch}
    exec(compile(f"made = lambda {text}", "answer.py", "exec"), namespace)
    return namespace["made"]


@pytest.mark.parametrize(
    ("text", "observe", "id_", "words"),
    [
        ("x: []", observe_step, "contract.unusable", "(raised by `SGD`)"),
        ("x: [1.0]", observe_step, "contract.unusable", "raised by"),
        ("x: x.sum()", observe_backward, "contract.unusable", "(raised by `Tensor.backward`)"),
        ("x: 3", observe_pair, "contract.unusable", "cannot unpack"),
        (": 3", observe_result, "contract.cannot_be_called", "as in `made(x)`"),
        ("x: x.nothing", observe_result, "contract.error", "has no attribute"),
        ("x: torch.optim.SGD([], lr=0.1)", observe_result, "contract.error", "Your code stopped"),
        ("x: len()", observe_result, "contract.error", "Your code stopped"),
    ],
    ids=["empty list", "no tensors", "no graph", "not a pair", "other arguments", "own", "own optimizer", "own call"],
)
def test_an_error_of_the_check_is_not_called_one_of_the_code(text, observe, id_, words):
    one = torch.ones(1, requires_grad=True)
    references = {observe_step: lambda x: [one], observe_backward: lambda x: (one * x).sum()}
    references |= {observe_pair: lambda x: (1.0, 2.0), observe_result: lambda x: 1.0}
    message = told(written(text), references[observe], observe).message
    assert message.id == id_ and words in message.render(), message.render()


@pytest.mark.parametrize("answer", [torch.neg, torch.sum, torch.linalg.inv, len, str])
def test_what_only_the_check_knows_is_not_among_the_inputs(answer):
    sentence = told(answer, lambda x: x, seed=3, mode_before="eval").message.render()
    assert not re.search(r"feature|seed|mode", sentence), sentence


def test_every_exercise_has_words_for_all_that_it_observes_and_shows_no_input_of_its_own():
    from course_lib.exercises.explaining import words_for
    from course_lib.exercises.showing import arguments_of

    own = {"seed", "bias", "first_weight", "feature_dim", "num_classes", "width", "x"}
    for exercise in exercises().values():
        for observed in observe_all(exercise, judge_of(exercise).reference, exercise.cases(0), guard=False):
            plain = [key for key in observed.values if words_for(exercise, key) == key.replace("_", " ")]
            assert not plain, f"{exercise.name}: no words for {plain}"
            taken = set(re.findall(r"\w+", exercise.signature))  # what is an argument here is shown
            assert not (own - taken) & {*arguments_of(exercise, observed.case)}, exercise.name
