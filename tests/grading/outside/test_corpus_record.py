"""The recorded table of the corpus through both graders is about the corpus as it is, and our side of it is clean."""

from __future__ import annotations

import json

import pytest
from benchmarks import grading_corpus


@pytest.fixture(scope="module")
def record():
    return json.loads(grading_corpus.record_file().read_text(encoding="utf-8"))


def test_it_holds_every_case_as_it_is_today(record) -> None:
    now = {**grading_corpus.digests(), **dict.fromkeys(grading_corpus.zips(), "")}
    assert {name: row["digest"] for name, row in record["cases"].items()} == now
    assert all("course_grade" in row and "nbgrader" in row for row in record["cases"].values())


def test_our_side_is_clean(record) -> None:
    rows = record["cases"].values()
    for side in ("course_grade", "nbgrader"):
        assert grading_corpus.summary(list(rows), side) == record["summary"][side]
    ours = record["summary"]["course_grade"]
    assert ours.pop("cases") == len(rows)
    assert not any(ours.values()), ours
    for name, row in record["cases"].items():
        assert row["course_grade"]["outcome"] == "right", name
        assert row["course_grade"]["verdicts"] == row.get("verdicts", row["course_grade"]["verdicts"]), name


@pytest.mark.parametrize(
    ("scores", "neighbor", "graded", "said"),
    [
        ({"double": 3.0, "scale": 2.0}, grading_corpus.POINTS, True, "right"),
        ({"double": 3.0, "scale": 1.0}, grading_corpus.POINTS, True, "marked down"),
        ({"double": 3.5, "scale": 0.0}, grading_corpus.POINTS, True, "fooled"),
        ({"double": float("nan"), "scale": 2.0}, grading_corpus.POINTS, True, "fooled"),
        ({"double": 3.0, "scale": 2.0}, {"double": 100.0, "scale": 2.0}, True, "fooled"),
        ({"double": 3.0, "scale": 2.0}, grading_corpus.POINTS, False, "ungraded"),
        ({"double": None, "scale": 2.0}, grading_corpus.POINTS, True, "ungraded"),
        ({}, {}, False, "aborted"),
    ],
)
def test_what_an_outcome_is_called(scores, neighbor, graded, said) -> None:
    kind = grading_corpus.Kind("case", None, ("right", 3.0))
    assert grading_corpus.outcome(kind, scores, neighbor, graded) == said
    if said == "fooled" and scores["double"] == 3.5:
        assert grading_corpus.outcome(kind._replace(disputed=True), scores, neighbor, graded) == "not counted"
