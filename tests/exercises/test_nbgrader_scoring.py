"""What stock nbgrader makes of a check cell: the facts under the contract, held by the real `nbgrader autograde`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SETUP = f"""import sys; sys.path[:0] = {[str(HERE), str(HERE.parents[1])]!r}
import torch, toy; toy.install()
from course_lib.exercises import checks_for
check = checks_for(toy.UNIT)"""

UNIT_00 = "checks_for('00_first_steps').accuracy_check(accuracy_check)"

# answer -> the points the check must get, out of 3
ANSWERS = {
    "right": ("return 2 * x", 3),
    "wrong": ("return 3 * x", 0),
    "partial": ("return 2 * x if len(x) > 1 else 5 * x", 2),
    "blank": ("raise NotImplementedError('Exercise 98.1: double')", 0),
    "warns": ("import warnings; warnings.warn('careful'); return 2 * x", 3),
    "writes_stderr": ("import os; sys.stderr.write('noise'); os.write(2, b'raw'); return 2 * x", 3),
    "progress_bar": ("from tqdm import tqdm; list(tqdm(range(3))); return 2 * x", 3),
    "late_handler": (
        "import logging; logging.getLogger().addHandler(HANDLER); logging.warning('late'); return 2 * x",
        3,
    ),
    "prints": ("print('5.0'); return 3 * x", 0),
    "displays": ("from IPython.display import display; display(99.0); return 3 * x", 0),
    "exits": ("sys.exit(0)", 0),
    "raises": ("raise RuntimeError('3.0')", 0),
}

# checks that a learner has written for `accuracy`, in the same notebook -> points out of 4
TWO_OF_THREE = """value = candidate(torch.eye(4)[:3], torch.tensor([0, 1, 3]))
assert isinstance(value, float) and abs(value - 2 / 3) < 1e-5"""
WRITTEN = {
    "written_right": (f"{TWO_OF_THREE}\nassert candidate(90 + torch.eye(4)[:3], torch.tensor([0, 1, 2])) == 1", 4),
    "written_partial": (TWO_OF_THREE, 3.67),
    "written_refuses_a_right_one": (f"{TWO_OF_THREE}\nassert value == 2 / 3", 0),
    "written_prints": ("print(candidate(torch.eye(4)[:3], torch.tensor([0, 1, 3])) == 2 / 3)", 0.33),
    "written_exits": ("sys.exit(0)", 0),
    "written_blank": ("raise NotImplementedError('Exercise 0.5: accuracy_check')", 0),
}

# facts about a cell's value, out of 3: why Score is what it is
FACTS = {
    "bare_float": ("1.5", 1.5),
    "html_beside": ("class S(float):\n    def _repr_html_(self): return '<b>card</b>'\nS(1.5)", 1.5),
    "own_repr": ("class S(float):\n    def __repr__(self): return 'nothing'\nS(0.0)", 3),
    "ipython_display": ("class S(float):\n    def _ipython_display_(self): print('card')\nS(0.0)", 3),
    "semicolon": ("0.0;", 3),
    "assigned": ("score = 0.0", 3),
    "byte_on_stderr": ("sys.stderr.write('x'); 3.0", 0),
    "raised": ("raise ValueError", 0),
}


def _check_cell(grade_id: str, source: str, points: int = 3):
    from nbformat.v4 import new_code_cell

    metadata = {"grade": True, "solution": False, "locked": True, "task": False, "schema_version": 3}
    metadata |= {"grade_id": grade_id, "points": points, "cell_type": "code"}
    return new_code_cell(source, metadata={"nbgrader": metadata}, id=grade_id)


def _notebook():
    from nbformat.v4 import new_code_cell, new_notebook

    cells = [
        new_code_cell(SETUP, id="setup"),
        new_code_cell("import logging; HANDLER = logging.StreamHandler()", id="handler"),
    ]
    for name, (body, _) in ANSWERS.items():
        source = "def double(x):\n" + "\n".join(f"    {line}" for line in body.split("\n"))
        cells += [new_code_cell(source, id=f"answer_{name}"), _check_cell(name, "check.double(double)")]
    for name, (body, _) in WRITTEN.items():
        source = "def accuracy_check(candidate):\n" + "\n".join(f"    {line}" for line in body.split("\n"))
        cells += [new_code_cell(source, id=f"answer_{name}"), _check_cell(name, UNIT_00, points=4)]
    cells += [_check_cell(name, source) for name, (source, _) in FACTS.items()]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture(scope="module")
def autograded(tmp_path_factory, schema_asked_once):
    import nbformat
    from nbgrader.api import Gradebook
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    course = tmp_path_factory.mktemp("course")
    for folder in ("source/ps1", "submitted/ada/ps1"):
        (course / folder).mkdir(parents=True)
        nbformat.write(_notebook(), course / folder / "answers.ipynb")
    config = Config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"
    config.ClearSolutions.enforce_metadata = False
    config.IncludeHeaderFooter.header = ""
    api = NbGraderAPI(config=config)
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # nbgrader calls the program `alembic`, which may lie beside python only
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        steps = (
            lambda: api.generate_assignment("ps1"),
            lambda: api.autograde("ps1", "ada"),
            lambda: api.generate_feedback("ps1", "ada"),
        )
        for step in steps:
            outcome = step()
            assert outcome["success"], outcome.get("log")
    with Gradebook(config.CourseDirectory.db_url) as book:
        grades = {g.name: g.auto_score for g in book.find_submission_notebook("answers", "ps1", "ada").grades}
    return grades, (course / "feedback" / "ada" / "ps1" / "answers.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ANSWERS)
def test_a_check_is_worth_what_the_answer_deserves(autograded, name):
    assert autograded[0][name] == ANSWERS[name][1]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_written_check_is_worth_what_it_stops(autograded, name):
    assert autograded[0][name] == WRITTEN[name][1]


def test_the_feedback_page_has_the_cards_of_written_checks(autograded):
    page = autograded[1]
    assert "A right answer that your check refuses" in page  # the example on a card
    assert "Your check prints what it finds" in page
    assert "(Score: 3.67 / 4" in " ".join(page.split())


@pytest.mark.parametrize("name", FACTS)
def test_the_facts_the_score_is_built_on_still_hold(autograded, name):
    assert autograded[0][name] == FACTS[name][1]


def test_more_than_the_points_would_stop_nbgrader():
    from nbformat.v4 import new_output
    from nbgrader.utils import determine_grade

    cell = _check_cell("greedy", "4.0")
    cell.outputs = [new_output("execute_result", {"text/plain": "4.0"}, execution_count=1)]
    with pytest.raises(ValueError, match=r"[Ss]core|[Gg]rade|points"):
        determine_grade(cell)
