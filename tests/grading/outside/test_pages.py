"""The autograded notebook: the student's own work in it, nothing hidden, and nothing that can run."""

from __future__ import annotations

import json

import nbformat
import pytest
import small_class
from small_class import (
    BLANK,
    DOUBLE,
    HALF_RIGHT,
    TOTAL,
    UNIT,
    WHY,
    card_in,
    cell_of,
    entry,
    half,
    notebook,
    right,
    submission,
)

from course_lib.grading.outside import pages


def test_the_page_is_a_valid_notebook_with_the_students_own_code_and_the_cards(desk, released):
    desk(half(released))
    page = desk.page("ada")
    nbformat.validate(page)
    assert cell_of(page, "double").source == HALF_RIGHT
    assert cell_of(page, "why").source == WHY
    data = card_in(page, "double")
    assert data["text/plain"] == "2.0"
    for said in ("You changed the input in place.", "the value is twice x", "x is left as it was", "not met, 0 of 1"):
        assert said in data["text/html"]


def test_what_was_tampered_with_is_shown_as_released_and_noted(desk, released):
    page = notebook(released, double=DOUBLE, total=TOTAL)
    for cell in page["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "check_double":
            cell["source"] = "3.0"
            cell["metadata"]["nbgrader"] |= {"points": 99, "locked": False}
    page["cells"] = [c for c in page["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") != "check_total"]
    page["cells"].append(page["cells"][4])
    desk(
        submission(
            "ada", page, [entry("double", DOUBLE), entry("total", TOTAL)], tampered=["check_double was <b>edited</b>"]
        )
    )
    result = desk.page("ada")
    nbformat.validate(result)
    assert cell_of(result, "check_double").source == "check.double(double)"
    assert cell_of(result, "check_double").metadata.nbgrader.points == 3
    assert card_in(result, "total")["text/plain"] == "2.0"
    assert "```\ncheck_double was <b>edited</b>\n```" in result.cells[0].source
    assert len({c.id for c in result.cells}) == len(result.cells)


def test_cells_that_a_student_added_stay_where_they_stood(desk, released):
    page = notebook(released, double=DOUBLE, total=TOTAL)
    position = next(i for i, c in enumerate(page["cells"]) if c["id"] == "double")
    mine = {"cell_type": "code", "id": "x<script>", "metadata": {}, "source": "helper = 1", "outputs": []}
    page["cells"].insert(position + 1, mine)
    ran = {"x<script>": {"printed": "\x1b[31mhello\x1b[0m <script>", "error": {"type": "NameError", "text": "no"}}}
    desk(submission("ada", page, [entry("double", DOUBLE), entry("total", TOTAL)], cells=ran))
    result = desk.page("ada")
    position = result.cells.index(cell_of(result, "double"))
    added = result.cells[position + 1]
    assert (added.source, added.id.startswith("added-")) == ("helper = 1", True)
    assert [(o.output_type, o.text) for o in added.outputs] == [("stream", "[31mhello[0m <script>\nNameError: no\n")]


def test_the_rubric_stands_beside_the_written_answer_and_sample_answers_do_not(desk, released, monkeypatch, tmp_path):
    rubric = "# Because.\n#\n# Rubric:\n# - 3: names the sum\n#\n# Sample answers:\n# - because\n# ### END SOLUTION"
    path = tmp_path / "solutions" / UNIT / f"{UNIT}.py"
    path.parent.mkdir(parents=True)
    header = '# %% [markdown] nbgrader={"grade_id": "why", "grade": true, "solution": true, "points": 3}'
    path.write_text(f"# %%\n1\n\n{header}\n# Why?\n# ### BEGIN SOLUTION\n{rubric}\n")
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    pages.rubric_of.cache_clear()
    desk(right(released))
    page = desk.page("ada")
    shown = page.cells[page.cells.index(cell_of(page, "why")) + 1].source
    pages.rubric_of.cache_clear()
    assert "- 3: names the sum" in shown
    assert "because" not in shown.lower().replace("how this answer", "")


@pytest.mark.parametrize("change", ["no_ids", "old_format"])
def test_a_notebook_that_another_program_saved_is_matched_all_the_same(desk, released, change):
    page = notebook(released, double=HALF_RIGHT, total=TOTAL)
    count = len(page["cells"])
    if change == "no_ids":
        page["cells"] = [{k: v for k, v in cell.items() if k != "id"} for cell in page["cells"]]
    else:
        page = json.loads(json.dumps(nbformat.convert(nbformat.reads(json.dumps(page), as_version=4), 3)))
    desk(submission("ada", page, [entry("double", HALF_RIGHT), entry("total", TOTAL)]))
    result = desk.page("ada")
    assert (len(result.cells), cell_of(result, "double").source.strip()) == (count, HALF_RIGHT.strip())


@pytest.mark.parametrize("verdict", ["timeout", "memory", "crashed", "error"])
def test_every_verdict_of_a_grader_has_a_card(desk, released, verdict):
    bad = {"exercise": "double", "verdict": verdict, "score": 0, "points": 3, "message": None, "criteria": []}
    desk(submission("ada", notebook(released), [bad, entry("total", TOTAL)]))
    assert f'data-state="{verdict}"' in card_in(desk.page("ada"), "double")["text/html"]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"id": "grading.not_defined", "fields": {"name": "double"}}, "does not define <code>double</code>"),
        (
            {"id": "grading.cell_error", "fields": {"type": "SyntaxError", "text": "invalid <b>"}},
            "stopped with SyntaxError: invalid &lt;b&gt;",
        ),
        ({"id": "grading.timeout", "fields": {"seconds": 10}}, "after 10 seconds"),
        ({"id": "grading.memory", "fields": {"megabytes": 2048}}, "allowed (2048 MB)"),
        ({"id": "grading.unstable", "fields": {}}, "other values each time"),
        ({"id": "of.next.year", "fields": {"x": "hidden"}}, "Your code stopped with an error."),
    ],
)
def test_the_graders_own_sentences_are_shown(desk, released, message, said):
    bad = {"exercise": "double", "verdict": "error", "score": 0, "points": 3, "message": message, "criteria": []}
    desk(submission("ada", notebook(released), [bad, entry("total", TOTAL)]))
    assert said in card_in(desk.page("ada"), "double")["text/html"]


def test_blank_work_is_not_attempted_and_worth_nothing(desk, released):
    blank = entry("double", BLANK)
    desk(submission("ada", notebook(released), [blank, entry("total", TOTAL)]))
    assert desk.grades("ada")["check_double"].score == 0
    assert "Nothing was handed in here" in card_in(desk.page("ada"), "double")["text/html"]


def test_pasted_pictures_stay_and_other_attachments_go(desk, released):
    page = notebook(released, double=DOUBLE, total=TOTAL, why="![me](attachment:me.png)")
    cell = next(c for c in page["cells"] if c["id"] == "why")
    cell["attachments"] = {"me.png": {"image/png": "aGk="}, "x.svg": {"image/svg+xml": "PHN2Zz4="}}
    desk(submission("ada", page, [entry("double", DOUBLE), entry("total", TOTAL)]))
    assert cell_of(desk.page("ada"), "why").attachments == {"me.png": {"image/png": "aGk="}}


# --- nothing hidden gets out ----------------------------------------------------------------------------------------

LEAKS = {
    "raises_its_input": "def double(x):\n    raise ValueError('x=' + ','.join(f'{v:.4f}' for v in x.tolist()))\n",
    "names_an_exception_after_it": (
        "def double(x):\n    raise type('E' + str(abs(int(x[0] * 10**4))), (Exception,), {})('no')\n"
    ),
    "prints_its_input": "def double(x):\n    print([f'{v:.4f}' for v in x.tolist()])\n    return 3 * x\n",
    "gives_back_its_input_elsewhere": "def double(x):\n    return [f'{v:.4f}' for v in x.tolist()]\n",
    "names_a_type_after_it": "def double(x):\n    return type('T' + str(abs(int(x[0] * 10**4))), (), {})()\n",
    "wrong_shape": "def double(x):\n    return x[:2].repeat(7)\n",
    "wrong_everywhere": "def double(x):\n    return 5 * x + 1\n",
}


@pytest.mark.parametrize("name", LEAKS)
def test_no_hidden_input_and_no_expected_value_is_on_the_page(desk, released, name):
    source = LEAKS[name]
    result = entry("double", source)
    assert result["verdict"] in ("wrong", "error")
    cases = pages.registry.exercise_named("double").cases(small_class.SEED)
    desk(submission("ada", notebook(released, double=source), [result, entry("total", TOTAL)]))
    shown = card_in(desk.page("ada"), "double")["text/html"]
    for case in cases:
        for value in case.inputs["x"].tolist():
            for secret in (value, 2 * value):
                assert f"{abs(secret):.4f}"[:6] not in shown
                assert str(abs(int(value * 10**4))) not in shown
    assert "(40,)" not in shown


def test_an_error_points_at_the_students_own_line_and_names_what_is_missing(desk, released):
    source = "def double(x):\n    y = 1\n    return undefined_name * x\n"
    result = entry("double", source)
    result["message"]["fields"]["where"] = " (line 3: `return undefined_name * x`)"
    desk(submission("ada", notebook(released, double=source), [result, entry("total", TOTAL)]))
    shown = card_in(desk.page("ada"), "double")["text/html"]
    assert "NameError in line 3, <code>return undefined_name * x</code>: name &#x27;undefined_name&#x27;" in shown
