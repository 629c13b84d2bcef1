import math

import pytest
import torch

from course_lib.exercises.asking import as_number, failed_with, in_all, in_any, named, ran
from course_lib.exercises.contract import Case, Other, Trial, close, drawing
from course_lib.exercises.observing import Failure, dtype_name, gradient_of, state_of, two_values


@pytest.mark.parametrize(
    ("seen", "expected", "agree"),
    [
        (torch.ones(2), torch.ones(2) + 1e-7, True),
        (torch.ones(2), torch.ones(2, dtype=torch.float64), True),
        (torch.ones(2), torch.ones(1, 2), False),
        (torch.tensor([math.nan]), torch.tensor([math.nan]), True),
        (torch.tensor([math.nan]), torch.tensor([0.0]), False),
        (1.0, torch.tensor(1.0), False),
        (1, 1.0, True),
        (True, 1, False),
        (math.inf, math.inf, True),
        ("eval", "train", False),
        ([1, 2], [1, 2, 3], False),
        ({"a": 1}, {"b": 1}, False),
        (None, None, True),
        (Other("numpy.ndarray", (2,)), torch.ones(2), False),
        (2**40, 2**40 + 2**35, False),
    ],
)
def test_close_compares_structure_then_values(seen, expected, agree):
    assert close(seen, expected) is agree
    assert close(expected, seen) is agree


def test_a_copied_case_keeps_values_strides_and_dtype_but_shares_no_memory():
    original = torch.arange(6.0, dtype=torch.float64).reshape(2, 3).T
    case = Case("strided", {"x": original, "deep": {"list": [original, 3, "word"]}})
    copy = case.copy()
    assert torch.equal(copy.inputs["x"], original)
    assert copy.inputs["x"].stride() == original.stride()
    assert copy.inputs["x"].dtype is torch.float64
    copy.inputs["x"].zero_()
    copy.inputs["deep"]["list"][0].zero_()
    assert original.sum() == 15


def test_a_drawing_is_one_stream_from_one_seed():
    generator, uniform, normal = drawing(3)
    twin = torch.Generator().manual_seed(3)
    assert torch.equal(uniform(2, 3), torch.rand(2, 3, generator=twin))
    assert torch.equal(normal(4), torch.randn(4, generator=twin))
    assert torch.equal(torch.rand(1, generator=generator), torch.rand(1, generator=twin))


def test_predicates_look_at_the_trials_that_came_to_an_end():
    fine, stopped = (Case(name, {}) for name in ("fine", "stopped"))
    trials = [
        Trial(fine, {"x": 1}, {"x": 1}),
        Trial(stopped, {}, {"x": 1}, Failure("ValueError", "too many values to unpack")),
    ]
    assert [t.case.name for t in ran(trials)] == ["fine"]
    assert in_all(trials, lambda t: t.seen["x"] == 1) and in_any(trials, lambda t: t.seen["x"] == 1)
    assert not in_all(trials[1:], lambda t: True) and not in_any(trials[1:], lambda t: True)
    assert [t.case.name for t in named(trials, "fine", "stopped")] == ["fine"]
    assert failed_with(trials, "ValueError", "unpack") and not failed_with(trials, "ValueError", "shape")
    assert as_number(torch.tensor(2)) == 2.0 and math.isnan(as_number("2")) and math.isnan(as_number(True))


def test_what_observers_share_says_what_there_is():
    assert two_values((1, 2), "a", "b") == {"a": 1, "b": 2}
    assert two_values([1, 2, 3], "a", "b") == {"a": [1, 2, 3], "b": None}
    assert (dtype_name(torch.zeros(1)), dtype_name(2)) == ("torch.float32", "int")
    layer = torch.nn.BatchNorm1d(2)
    before = state_of(layer)
    layer(torch.randn(4, 2)).sum().backward()
    assert torch.equal(before["running_mean"], torch.zeros(2)) and int(before["num_batches_tracked"]) == 0
    assert torch.equal(gradient_of(layer.bias), torch.full((2,), 4.0))
    assert torch.equal(gradient_of(torch.ones(3)), torch.zeros(3))
