import math

import pytest
import torch

from course_lib.exercises.contract import Case, Other, close


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
