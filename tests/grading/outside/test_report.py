"""What a class got wrong, counted from results, as data and as a page; without names where the class sees it."""

from __future__ import annotations

import json
import re
from datetime import date
from html.parser import HTMLParser

import pytest
import small_class
import tiny_course
from small_class import BLANK, DOUBLE, HALF_RIGHT, TOTAL, UNIT, entry

from course_lib.exercises import messages
from course_lib.grading.outside import report, report_page
from course_lib.grading.outside.standings import Standing

HALVED = "def double(x):\n    return x / 2\n"
MEAN = "def total(x):\n    return float(x.mean())\n"
BREAKS = "def total(x):\n    return x.nothing_such()\n"
ODD = "def double(x):\n    return x * 7\n"
DAY = date(2026, 3, 2)
STUDENTS = {
    "ada": (DOUBLE, TOTAL), "bo": (HALVED, TOTAL), "cy": (HALVED, MEAN), "di": (ODD, BREAKS),
    "<b>eve</b>": (BLANK, MEAN), "flo": (HALF_RIGHT, TOTAL),
}  # fmt: skip


@pytest.fixture(scope="module")
def results(released):
    return [
        small_class.submission(student, None, [entry("double", double), entry("total", total)]).result
        for student, (double, total) in STUDENTS.items()
    ]


def waits(student: str) -> Standing:
    return Standing(student, UNIT, UNIT, "why", 3, None, None, None, True, True)


def built(results, **options):
    (found,) = report.build(results, standings=[waits("bo"), waits("ada")], **options)
    return found


def test_exercises_by_points_and_verdict(results) -> None:
    found = built(results)
    double, total = found.exercises
    assert (found.students, found.points, found.mean) == (6, 5.0, 2.33)
    assert (double.right, double.wrong, double.failed, double.blank) == (1, 4, 0, 1)
    assert double.counts == {1.0: 3, 2.0: 1, 3.0: 1} and double.mean == 0.444
    assert (total.right, total.wrong, total.failed, total.blank) == (3, 2, 1, 0)
    assert double.apart is None  # of six students a correlation says nothing


def test_known_mistakes_by_count_with_sentence_and_diff(results) -> None:
    found = built(results, questions={"double.half": ("half is twice", "what is half of 0?")})
    assert [(each.exercise, each.mistake, each.count, each.students) for each in found.mistakes] == [
        ("double", "half", 2, ("bo", "cy")),
        ("total", "mean", 2, ("<b>eve</b>", "cy")),
        ("double", "in_place", 1, ("flo",)),
    ]
    half = found.mistakes[0]
    assert half.sentence == "You halved it." and half.is_diff and half.ask == "what is half of 0?"
    assert half.diff == ("-    return x.add(x)", "+    return x / 2")
    assert {(each.exercise, each.students) for each in found.others} == {("double", ("di",)), ("total", ("di",))}


def test_students_who_are_stuck_absent_or_waited_for(results) -> None:
    found = built(results, roster=[*STUDENTS, "gil"])
    assert [(each.student, each.exercise) for each in found.stuck] == [
        ("<b>eve</b>", "double"), ("cy", "double"), ("di", "double"),
    ]  # fmt: skip
    assert found.stuck_at == (("90.1 double", 3),) and found.absent == ("gil",)
    assert [(each.question, each.students) for each in found.waiting] == [("why", ("ada", "bo"))]


def test_telling_apart_is_the_correlation_with_the_rest(released) -> None:
    answers = [(DOUBLE, TOTAL)] * 5 + [(HALVED, MEAN)] * 5
    results = [
        small_class.submission(f"s{number}", None, [entry("double", double), entry("total", total)]).result
        for number, (double, total) in enumerate(answers)
    ]
    (found,) = report.build(results)
    assert [each.apart for each in found.exercises] == [1.0, 1.0]
    assert "tells strong and weak students apart best" in " ".join(report_page.notes_of(found))


def test_tries_are_the_versions_among_the_attempts(results, released, tmp_path) -> None:
    for number, answer in enumerate((HALVED, HALVED, ODD, DOUBLE), 1):
        path = tmp_path / "attempts" / "bo" / UNIT / f"{UNIT}.{number:03}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(small_class.notebook(released, double=answer)))
    path = tmp_path / "attempts" / "ada" / UNIT / f"{UNIT}.001.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text("{}")  # a student with one attempt says nothing
    found = built(results, attempts=report.attempts_of(tmp_path))
    assert [each.tries for each in found.exercises] == [3.0, 1.0]
    assert "90.1 double took the most tries: 3.0" in " ".join(report_page.notes_of(found))


def test_what_to_begin_with_are_the_mistakes_that_most_share(results) -> None:
    first, second = report_page.begin_with(built(results))[:2]
    assert "`double`: 2 of 6 students made the mistake `half`. You halved it." in first.sentence
    assert "`mean`" in second.sentence
    (none,) = report_page.begin_with(built([small_class.submission("a", None, [entry("double", DOUBLE)]).result]))
    assert "Nothing stands out" in none.sentence


def test_a_unit_that_was_not_graded_is_refused(results) -> None:
    with pytest.raises(ValueError, match="nothing of '03_none' was graded; graded are 90_tiny"):
        report.build(results, units=["03_none"])


# --- the page ---------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What stands in a page: its text, its elements, and the texts of its pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.pictures: list[str | None] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        if tag == "svg":
            self.pictures.append(dict(attrs).get("aria-label"))

    def handle_data(self, data):
        self.text += data


def page(results, *, anonymous: bool = False) -> str:
    reports = report.build(results, standings=[waits("bo")], roster=[*STUDENTS, "gil"], anonymous=anonymous)
    return report_page.page(reports, anonymous=anonymous, made=DAY)


def test_the_page_needs_nothing_else_and_runs_nothing(results) -> None:
    text = page(results)
    assert not {"script", "link", "img", "iframe", "b"} & set(Page(text).elements)
    assert "http:" not in text and "https:" not in text and "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text
    assert "<b>eve</b>" in Page(text).text  # a name is text


def test_every_picture_says_what_it_shows(results) -> None:
    double, total = Page(page(results)).pictures
    assert double == (
        "90.1 double, points and students: 1 of 3 points: 3; 2 of 3 points: 1; 3 of 3 points: 1. 1 left it blank."
    )
    assert "0 of 2 points: 3; 2 of 2 points: 3" in total


def test_the_page_for_the_class_names_nobody(results) -> None:
    for_class, data = page(results, anonymous=True), ""
    reports = report.build(results, standings=[waits("bo")], roster=[*STUDENTS, "gil"], anonymous=True)
    data = report.as_json(reports, anonymous=True, made=DAY)
    for name in ("ada", "cy", "di", "eve", "flo", "gil", "bo"):
        assert not re.search(rf"\b{name}\b", Page(for_class).text + data), name
    assert "You halved it." in for_class and "from 90.1 double on: 3 of 6" in Page(for_class).text
    assert "Nothing handed in yet: 1." in for_class


def test_the_data_is_what_the_page_shows(results) -> None:
    data = json.loads(report.as_json([built(results)], anonymous=False, made=DAY))
    assert data["made"] == "2026-03-02" and data["units"][0]["mistakes"][0]["mistake"] == "half"


def test_the_page_speaks_the_readers_language(results, monkeypatch) -> None:
    monkeypatch.setenv("COURSE_LANGUAGE", "zh_CN")
    text = Page(page(results)).text
    assert "已知的错误" in text and "Known mistakes" not in text and '<html lang="zh-CN">' in page(results)


def test_every_sentence_of_the_page_is_translated() -> None:
    known = messages._translations("zh_CN")
    english = {name: text for name, text in messages.catalogue().items() if name.startswith("report.")}
    assert english and [name for name, text in english.items() if (name, text) not in known] == []


def test_what_to_ask_is_read_from_the_page_for_teaching() -> None:
    text = (tiny_course.PROJECT / "docs" / "teaching.md").read_text(encoding="utf-8")
    questions = report.questions_in(text)
    assert "what does the single image weigh?" in questions["evaluate.mean_of_batch_means"][1]
    assert questions["kl_divergence.log_deviation"][1].startswith("which σ has")
    assert len(questions) > 20
