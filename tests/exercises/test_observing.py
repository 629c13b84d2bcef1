import logging
import os
import random
import sys

import numpy as np
import pytest
import torch

from course_lib.exercises.contract import Case, Other
from course_lib.exercises.observing import CapturedOutput, LibraryRefused, library_refused, observe_all, plain


def _observe(toy, fn):
    return observe_all(toy.double, fn, toy.double.cases(0))


def test_values_come_back_detached_and_apart_from_the_learners_tensors(toy):
    kept = []

    def answer(x):
        kept.append((2 * x).requires_grad_())
        return kept[-1]

    first = _observe(toy, answer)[0]
    kept[0].data.zero_()
    assert not first.values["doubled"].requires_grad
    assert first.values["doubled"].abs().sum() > 0


def test_an_answer_that_writes_into_its_input_does_not_change_the_case(toy):
    seen = _observe(toy, lambda x: x.mul_(2))[0]
    assert torch.equal(seen.case.inputs["x"], toy.double.cases(0)[0].inputs["x"])
    assert torch.equal(seen.values["x_after"], 2 * seen.case.inputs["x"])


@pytest.mark.parametrize("fault", [SystemExit(3), KeyboardInterrupt(), ValueError("odd"), RecursionError("deep")])
def test_whatever_is_raised_is_recorded(toy, fault):
    def answer(x):
        raise fault

    error = _observe(toy, answer)[0].error
    assert error.type == type(fault).__name__
    assert error.source == "raise fault"


def test_the_line_named_is_the_learners_own_and_not_one_inside_torch(toy):
    def answer(x):
        y = 2 * x
        return y.view(17, 17)

    assert _observe(toy, answer)[0].error.source == "return y.view(17, 17)"


def test_all_output_is_captured_at_the_level_of_file_descriptors(toy, capfd):
    handler = logging.StreamHandler(sys.stderr)

    def answer(x):
        print("printed")
        sys.stderr.write("to stderr\n")
        os.write(2, b"to the descriptor\n")
        logging.getLogger("late").addHandler(logging.StreamHandler())
        logging.getLogger("late").warning("logged")
        os.system("echo from a child")
        return 2 * x

    seen = _observe(toy, answer)[0]
    logging.getLogger("late").handlers.clear()
    for words in ("printed", "to stderr", "to the descriptor", "logged", "from a child"):
        assert words in seen.printed
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert handler.stream is not None


def test_a_flood_of_output_is_cut_and_says_how_much_is_missing():
    with CapturedOutput(limit=100) as output:
        print("x" * 5000)
    assert len(output.text) < 200
    assert "4,901 more bytes" in output.text


def test_streams_and_descriptors_work_again_afterwards(capfd):
    with CapturedOutput():
        sys.stdout.close()
    print("back")
    os.write(1, b"raw\n")
    assert capfd.readouterr().out.split() == ["back", "raw"]


def test_what_an_answer_leaves_switched_ends_with_it(toy):
    def answer(x):
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        return 2 * x

    _observe(toy, answer)
    assert torch.is_grad_enabled() and torch.get_default_dtype() is torch.float32


def test_global_random_state_is_put_back_and_equal_answers_draw_equal_numbers(toy):
    torch.manual_seed(7), np.random.seed(7), random.seed(7)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(7), np.random.seed(7), random.seed(7)
    draws = [_observe(toy, lambda x: torch.rand(2))[0].values["doubled"] for _ in range(2)]
    assert torch.equal(*draws)
    assert torch.equal(torch.rand(1), expected[0])
    assert (np.random.rand(), random.random()) == expected[1:]


def test_the_librarys_own_refuses_under_any_name_and_works_again_afterwards(toy):
    own = toy.librarys_own
    with library_refused(toy.double.library), pytest.raises(LibraryRefused, match="librarys_own"):
        own(torch.ones(1))
    assert own(torch.ones(1)) == 2


def test_the_library_works_again_after_an_answer_that_raised(toy):
    _observe(toy, lambda x: 1 / 0)
    assert toy.librarys_own(torch.ones(1)) == 2


class Sneaky(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return True


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(1.0), Other("numpy.float64", ())),
        (np.ones((2, 3)), Other("numpy.ndarray", (2, 3))),
        (object(), Other("object")),
        ((1, "a", None), [1, "a", None]),
        ({1: 2.0}, {"1": 2.0}),
    ],
)
def test_only_plain_data_comes_through(value, expected):
    assert plain(value) == expected


def test_a_tensor_subclass_that_answers_every_call_as_it_likes_is_read_as_the_numbers_it_holds():
    seen = plain(torch.ones(2).as_subclass(Sneaky))
    assert type(seen) is torch.Tensor
    assert seen.tolist() == [1, 1]


@pytest.mark.gpu
def test_inputs_go_to_the_gpu_and_values_come_back(toy):
    cases = [Case("plain", {"x": torch.ones(2)})]
    devices = []
    seen = observe_all(toy.double, lambda x: devices.append(x.device.type) or 2 * x, cases, device="cuda")
    assert devices == ["cuda"]
    assert seen[0].values["doubled"].device.type == "cpu"
