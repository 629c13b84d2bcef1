"""The rules for predictions in a source: a broken one is told, and a prediction without a record stops the release."""

from __future__ import annotations

import pytest
from nbformat import v4

from course_lib.authoring import predictions, rules, sources
from course_lib.exercises.predicting import questions
from course_lib.exercises.predicting.questions import share

TEXT = "**Predict** the accuracy."
ASKS = "predict.few(...)  # a share between 0 and 1"
COMPARES = "measure()\npredict.few.compare(0.5)"


def question(key="scratch@10", name="few"):
    return questions._placed(share(name, "accuracy", key), "00_first_steps", "00_first_steps")


def told(*sources_of_cells, asking=None):
    asking, cells = (question(),) if asking is None else asking, []
    for kind, source in (part.split(":", 1) for part in sources_of_cells):
        cells.append(
            v4.new_markdown_cell(source) if kind == "text" else v4.new_code_cell(source, metadata={"tags": [kind]})
        )
    return [text for _, text in predictions.faults(cells, asking, "00_first_steps")]


def test_a_notebook_that_keeps_the_rules():
    assert told(f"text:{TEXT}", f"predict:{ASKS}", f"demo:{COMPARES}", "demo:predict.summary()") == []
    assert told("text:No prediction here.", asking=()) == []


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ((f"text:{TEXT}", f"demo:{COMPARES}"), "without a cell below it"),
        (("text:Now.", f"predict:{ASKS}", f"demo:{COMPARES}"), "stands under a text with"),
        ((f"text:{TEXT}", "predict:predict.few(0.5)", f"demo:{COMPARES}"), "holds only lines such as"),
        ((f"text:{TEXT}", f"predict:{ASKS}\nmeasure()", f"demo:{COMPARES}"), "holds only lines such as"),
        ((f"text:{TEXT}", f"predict:{ASKS}\n{ASKS}", f"demo:{COMPARES}"), "is asked twice"),
        ((f"text:{TEXT}", "predict:predict.many(...)", f"demo:{COMPARES}"), "predict.many is not declared"),
        ((f"demo:{COMPARES}",), "is never asked"),
        ((f"text:{TEXT}", f"predict:{ASKS}", "demo:measure()"), "is not compared below"),
        ((f"demo:{COMPARES}", f"text:{TEXT}", f"predict:{ASKS}"), "is not compared below"),
        ((f"text:{TEXT}", f"predict:{ASKS}", f"demo:{COMPARES}"), "ends with predict.summary()"),
    ],
)
def test_a_broken_rule_is_told(cells, said):
    assert any(said in text for text in told(*cells)), told(*cells)


def test_a_prediction_without_a_record_and_a_sixth_one_are_told():
    good = (f"text:{TEXT}", f"predict:{ASKS}", f"demo:{COMPARES}", "demo:predict.summary()")
    assert any("has no 'scratch@11'" in text for text in told(*good, asking=(question("scratch@11"),)))
    assert any("6 predictions" in text for text in told(*good, asking=[question(name=f"p{k}") for k in range(6)]))


def test_a_release_stops_at_a_prediction_without_a_record(monkeypatch):
    path = sources.source_files(sources.folder_of("00_first_steps"))[0]
    source = sources.read_source(path)
    known = sources.exercises_by_name("00_first_steps")
    assert rules.lint(source, known) == []
    asking = questions.questions_of("00_first_steps")
    lost = [question("gone@5", name=each.name) if each.name == "scratch_at_10" else each for each in asking]
    monkeypatch.setattr(rules, "questions_of", lambda notebook: lost)
    problems = rules.lint(source, known)
    assert len(problems) == 1 and "'scratch_at_10' of 00_first_steps has no record that answers it" in str(problems[0])
