"""Notebooks of real classes: right answers in a notebook that does more, or other things, than the course asks for."""

from __future__ import annotations

import pytest
from class_notebooks import RIGHT_DOUBLE, answered, code
from corpus.kinds import TRIPLES, body

from course_lib.grading.outside import explain, feedback

NEEDS_GRADIENTS = body("y = x.clone().requires_grad_()", "(y ** 2).sum().backward()", "return y.grad")
WITH_A_HELPER = body("return helper(x, 2)")
HELPER = "def helper(x, n):\n    return n * x\n"


def verdict_of(result) -> tuple[str, float]:
    return result["exercises"][0]["verdict"], result["exercises"][0]["score"]


@pytest.mark.parametrize(
    "notebook",
    {
        "the result has the function's name": answered(after="double = double(torch.ones(2))"),
        "a number has the function's name": answered(after="for double in range(3): pass"),
        "the function is deleted": answered(after="del double"),
        "a wrong experiment below": answered(after=TRIPLES),
        "a helper's name again": answered(WITH_A_HELPER, extra=HELPER, after="helper = 3"),
        "a module's name again": answered(
            body("return F.relu(x) * 2 - F.relu(-x) * 2"), extra="import torch.nn.functional as F", after="F = 3"
        ),
        "a name of Python's": answered(body("return sum([x, x])"), after="sum = 0"),
        "a name of Python's, and a helper below": answered(
            body("return twice(x)"), after="def twice(x): return sum([x, x])"
        ),
        "a better version below": answered(TRIPLES, after=RIGHT_DOUBLE),
        "a better helper below": answered(WITH_A_HELPER, extra="helper = lambda x, n: x", after=HELPER),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_name_may_stand_for_something_else_after_its_check(graded, notebook) -> None:
    result = graded(notebook[1])
    assert verdict_of(result) == ("right", 3.0), result["exercises"][0]
    assert result["score"] == 5


def test_what_counts_in_the_end_is_told_to_the_instructor(graded) -> None:
    result = graded(answered(TRIPLES, after=RIGHT_DOUBLE))
    assert "what the notebook defines in the end was graded" in explain.explain("ada", "double", [result])


FIRST_LINES = {
    "a shell command that is not there": "!no_such_command --quiet",
    "pip by the shell": "!pip install some_package_here",
    "pip by a magic": "%pip install some_package_here",
    "conda": "%conda install some_package_here",
    "the output of a command": "names = !no_such_command",
    "a module that is not here": "import not_installed_here",
    "a name that a module does not have": "from torch import not_there",
    "a backend for widgets": "%matplotlib widget",
    "a backend in a window": "%matplotlib qt",
    "an extension": "%load_ext not_installed_here",
    "a magic that is not there": "%no_such_magic 3",
    "a folder to go to": "%cd /content/drive",
    "a module of Colab": "from google.colab import drive\ndrive.mount('/content/drive')",
    "a file that is not here": "notes = open('notes.txt').read()",
}


@pytest.mark.parametrize("first", FIRST_LINES.values(), ids=[*FIRST_LINES])
@pytest.mark.parametrize("place", ["above", "in the answer"])
def test_below_a_line_that_cannot_run_here_the_cell_goes_on(graded, first: str, place: str) -> None:
    imports = f"{first}\nimport math as own_name\n"
    answer = body("return own_name.sqrt(4) * x")
    notebook = answered(answer, extra=imports) if place == "above" else answered(imports + answer)
    assert verdict_of(graded(notebook)) == ("right", 3.0)


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("import math\nimport not_installed_here as helper", "line 2, `import not_installed_here as helper`"),
        ("from not_installed_here import helper", "line 1, `from not_installed_here import helper`"),
        ("helper = 1 / 0", "line 1, `helper = 1 / 0`: ZeroDivisionError: division by zero"),
        ("\n\nhelper = open('notes.txt')", "line 3, `helper = open('notes.txt')`: FileNotFoundError"),
    ],
)
def test_the_line_that_failed_is_named_where_an_answer_needs_it(graded, cell: str, line: str) -> None:
    from course_lib import exercises as registry

    result = graded(answered(WITH_A_HELPER, extra=cell))
    assert verdict_of(result) == ("error", 0.0)
    entry, exercise = result["exercises"][0], registry.exercise_named("double")
    said = feedback.text_card(exercise, entry)
    assert line in said and "did not run where answers are graded" in said
    assert line.split("`")[1].replace("'", "&#x27;") in feedback.card(exercise, entry)
    assert line in explain.explain("ada", "double", [result])


def test_an_error_of_the_students_own_still_ends_its_cell(graded) -> None:
    result = graded(answered(extra="1 / 0\nraise SystemExit('a line below')"))
    assert result["cells"]["3f2a1b"]["error"]["type"] == "ZeroDivisionError" and result["score"] == 5


@pytest.mark.parametrize(
    "decorated",
    [
        "@torch.compile\n" + RIGHT_DOUBLE,
        "@torch.compile(mode='max-autotune', fullgraph=True)\n" + RIGHT_DOUBLE,
        RIGHT_DOUBLE + "double = torch.compile(double)",
        RIGHT_DOUBLE + "double = torch.compile(double, backend='eager')",
    ],
)
def test_a_compiled_answer_runs_uncompiled(graded, decorated: str) -> None:
    assert verdict_of(graded(answered(decorated))) == ("right", 3.0)


@pytest.mark.parametrize(
    "switch",
    [
        "torch.set_grad_enabled(False)",
        "torch.no_grad().__enter__()",
        "torch.inference_mode().__enter__()",
        "torch.set_default_device('meta')",
        "torch.set_default_dtype(torch.float64)",
        "torch.use_deterministic_algorithms(True)",
        "torch.autograd.set_detect_anomaly(True)",
        "import warnings; warnings.simplefilter('error')",
        "import numpy; numpy.seterr(all='raise')",
    ],
)
@pytest.mark.parametrize("place", ["extra", "after"])
def test_what_is_switched_for_the_whole_notebook_costs_no_answer(graded, switch: str, place: str) -> None:
    assert verdict_of(graded(answered(NEEDS_GRADIENTS, **{place: switch}))) == ("right", 3.0)


SECONDS = 1  # of computing, that all cells of a notebook may take in these tests
BURN = "import time\nwhile time.process_time() < begin + {seconds}: pass"


def burning(seconds: float) -> str:
    """A cell that computes for so many CPU seconds."""
    return f"import time\nbegin = time.process_time()\n{BURN.format(seconds=seconds)}"


def with_own_cells(notebook: dict, *sources: str) -> dict:
    notebook["cells"][2:2] = [code(source, f"own-{number}") for number, source in enumerate(sources)]
    return notebook


@pytest.mark.parametrize(
    "cells",
    {
        "five near the limit": [burning(0.4 * SECONDS)] * 5,
        "three over the limit": [burning(2 * SECONDS)] * 3,
        "three that end the process": ["import os; os._exit(0)"] * 3,
    }.items(),
    ids=lambda item: item[0],
)
def test_experiments_of_ones_own_cost_no_answer(graded, options, cells) -> None:
    assert options.limits.cells_seconds == SECONDS
    helper = "import math\nTWO = 2\ndef helper(x):\n    return TWO * x\n"
    result = graded(with_own_cells(answered(body("return helper(x)")), helper, *cells[1]))
    assert result["score"] == 5, result["exercises"]


def test_an_answer_that_ends_the_process_costs_only_itself_beside_experiments(graded) -> None:
    own = burning(0.6 * SECONDS)
    result = graded(with_own_cells(answered(RIGHT_DOUBLE + burning(2 * SECONDS)), own, own))
    double, scale = result["exercises"]
    assert (double["verdict"], scale["verdict"], result["score"]) == ("timeout", "right", 2.0)


def test_what_a_cell_printed_before_any_input_was_there_is_what_is_shown(graded) -> None:
    """Cells run once more after a crash: by then a process of the student's has seen hidden inputs."""
    cell = "import time\nbegun = time.monotonic_ns()\nprint(begun)"
    scale = "def scale(images):\n    print(begun)\n    return images.float() / 255\n"
    result = graded(with_own_cells(answered(body("import os; os.abort()"), scale), cell))
    shown, now = result["cells"]["own-0"]["printed"], result["exercises"][1]["printed"].split()[0]
    assert int(shown) < int(now)
