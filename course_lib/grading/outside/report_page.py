"""The page of `course report`: one file of HTML that needs nothing else, for a screen, a phone and a printer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from course_lib.exercises.messages import register, say
from course_lib.grading.outside.report import ENOUGH, KnownMistake, Scores, UnitReport
from course_lib.grading.outside.terminal import visible

TEMPLATE = Path(__file__).with_name("report.html")
MOST_NAMED = 12
WIDTH, HEIGHT = 200.0, 44.0  # of a picture

for _id, _sentence in {
    "report.title": "What the class got wrong",
    "report.for_class": "For the class: without names",
    "report.for_teacher": "For the teacher: with names. `course report --anonymous` writes a page for the class.",
    "report.made": "{date}, students: {students}",
    "report.no_results": "Nothing has been graded yet.",
    "report.summary": (
        "Handed in: {count}. On average: {mean} of {points} points for code. {right} of {answers} answers are right."
    ),
    "report.begin": "Begin with",
    "report.begin_mistake": "{exercise}: {count} of {students} students made the mistake {mistake}. {sentence}",
    "report.begin_hard": "{exercise}: {count} of {students} students do not have it right.",
    "report.begin_none": "Nothing stands out: every exercise is right for at least nine students in ten.",
    "report.ask": "Ask in class:",
    "report.idea": "The idea behind it:",
    "report.exercises": "Exercises",
    "report.exercise": "Exercise",
    "report.points": "Points, students per value",
    "report.right": "right",
    "report.wrong": "wrong",
    "report.failed": "stopped",
    "report.blank": "blank",
    "report.mean": "mean",
    "report.apart": "tells apart",
    "report.tries": "tries",
    "report.bars": "{exercise}, points and students: {values}. {blank} left it blank.",
    "report.bars_one": "{score} of {points} points: {count}",
    "report.apart_best": "{best} ({value}) tells strong and weak students apart best.",
    "report.apart_worst": (
        "{worst} ({value}) hardly does: students who know the rest do not have it more often. Read its wrong answers"
        " before you grade by it."
    ),
    "report.apart_few": "How well exercises tell students apart is counted from {enough} students on.",
    "report.apart_what": (
        "How well an exercise tells students apart is the correlation of its points with those of the unit's other"
        " exercises."
    ),
    "report.tries_most": "{exercise} took the most tries: {value} versions per student who handed in more than once.",
    "report.tries_none": "Tries are counted when `course collect` has several attempts of a student.",
    "report.mistakes": "Known mistakes",
    "report.no_mistakes": "No answer behaves like a known mistake.",
    "report.folded": "Further mistakes, of one student each ({count})",
    "report.count": "{count} of {students} students",
    "report.others": "Wrong in another way",
    "report.others_what": (
        "These answers behave like no known mistake. `course explain STUDENT EXERCISE` says what each of them did."
    ),
    "report.other": "{exercise} ({count} of {students}): {sentence}",
    "report.stuck": "Students who are stuck",
    "report.stuck_what": (
        "They handed in and have less than a third of the points for code. The first exercise that they do not have"
        " right is named."
    ),
    "report.stuck_none": "Every student who handed in has at least a third of the points for code.",
    "report.stuck_one": "{student}: {score} of {points} points, {right} right, from {exercise} on",
    "report.stuck_count": "from {exercise} on: {count} of {students}",
    "report.absent": "Nothing handed in yet ({count}): {students}",
    "report.absent_count": "Nothing handed in yet: {count}.",
    "report.waiting": "Written answers that wait for a person",
    "report.waiting_none": "No written answer waits.",
    "report.waiting_one": "{question}, answers that wait: {count}",
    "report.waiting_how": (
        "Open formgrader (`jupyter lab`, menu Nbgrader), Manual Grading. Mark by question, not by student."
    ),
    "report.and_more": "and {count} more",
    "report.diff": "Wrong is what + marks, right is what - marks:",
    "report.code": "Wrong code like this:",
    "report.students": "Students",
}.items():
    register(_id, _sentence)


def page(reports: Sequence[UnitReport], *, anonymous: bool, made: date) -> str:
    """The page as HTML that needs nothing else: no script, no network, light and dark."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from course_lib.exercises.card import html_language, marked_up

    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["marked_up"] = lambda text: Markup(marked_up(visible(str(text))))
    environment.filters["number"] = lambda value: f"{value:.3g}"
    return environment.get_template(TEMPLATE.name).render(
        reports=reports,
        anonymous=anonymous,
        made=made.isoformat(),
        say=say,
        language=html_language(),
        bars=bars,
        shared=shared,
        begin=begin_with,
        notes=notes_of,
        names=names,
        students=max((report.students + report.absent_count for report in reports), default=0),
    )


@dataclass(frozen=True)
class Bar:
    """One bar of an exercise's picture, in the units of its drawing."""

    x: float
    width: float
    height: float
    kind: str
    label: str
    count: int


@dataclass(frozen=True)
class Bars:
    """The picture of an exercise's points: its bars from left to right, and the text that says the same."""

    bars: tuple[Bar, ...]
    text: str


def bars(scores: Scores) -> Bars:
    """How many students left it blank, and how many have each number of points."""
    values: list[tuple[str, str, int]] = [("blank", say("report.blank"), scores.blank)]
    steps = _steps(scores)
    for value, count in steps.items():
        kind = "full" if value >= scores.points else "none" if value <= 0 else "part"
        values.append((kind, f"{value:g}", count))
    slot = WIDTH / len(values)
    most = max((count for _, _, count in values), default=0) or 1
    drawn = tuple(
        Bar(place * slot + slot * 0.1, slot * 0.8, HEIGHT * count / most, kind, label, count)
        for place, (kind, label, count) in enumerate(values)
    )
    listed = [
        say("report.bars_one", score=f"{value:g}", points=f"{scores.points:g}", count=count)
        for value, count in steps.items()
        if count
    ]
    text = say("report.bars", exercise=scores.called, values="; ".join(listed) or "-", blank=scores.blank)
    return Bars(drawn, text)


def _steps(scores: Scores) -> dict[float, int]:
    """Students per whole number of points, rounded down, so that only full marks stand at the right."""
    most = scores.points
    steps = {float(value): 0 for value in range(int(most) + 1)} | {most: 0}
    for score, count in scores.counts.items():
        value = most if score >= most else float(int(score))
        steps[value] = steps.get(value, 0) + count
    return dict(sorted(steps.items()))


@dataclass(frozen=True)
class Begin:
    """What to begin the next class with: a sentence, and a question where there is one."""

    sentence: str
    ask: str = ""


def begin_with(report: UnitReport) -> list[Begin]:
    """At most three things: the mistakes that most students share, else the exercises that fewest have."""
    chosen: list[Begin] = []
    seen: set[str] = set()
    for each in report.mistakes:
        if len(chosen) < 3 and each.exercise not in seen and (each.count > 1 or report.students < 5):
            about = {"exercise": f"{each.number} `{each.exercise}`", "mistake": f"`{each.mistake}`"}
            about |= {"count": str(each.count), "students": str(report.students), "sentence": each.sentence}
            sentence = say("report.begin_mistake", **about)
            chosen.append(Begin(sentence, each.ask))
            seen.add(each.exercise)
    hard = sorted((each for each in report.exercises if each.exercise not in seen), key=lambda each: each.right)
    for scores in hard:
        missing = scores.students - scores.right
        if len(chosen) < 3 and missing * 2 >= scores.students > 0:
            about = {
                "exercise": f"{scores.number} `{scores.exercise}`",
                "count": str(missing),
                "students": str(scores.students),
            }
            chosen.append(Begin(say("report.begin_hard", **about)))
    return chosen or [Begin(say("report.begin_none"))] if report.students else []


def shared(report: UnitReport) -> tuple[list[KnownMistake], list[KnownMistake]]:
    """The mistakes that are shown, and those that are folded away: of one student, where others have several."""
    several = [each for each in report.mistakes if each.count > 1]
    if not several or len(several) == len(report.mistakes):
        return list(report.mistakes), []
    return several, [each for each in report.mistakes if each.count == 1]


def notes_of(report: UnitReport) -> list[str]:
    """What the figures of the exercises say, in sentences."""
    lines = []
    told = sorted((each for each in report.exercises if each.apart is not None), key=lambda each: -(each.apart or 0))
    if told:
        lines.append(say("report.apart_what"))
        lines.append(say("report.apart_best", best=told[0].called, value=f"{told[0].apart:.2f}"))
        if len(told) > 1 and (told[-1].apart or 0) < 0.2:
            lines.append(say("report.apart_worst", worst=told[-1].called, value=f"{told[-1].apart:.2f}"))
    else:
        lines.append(say("report.apart_few", enough=ENOUGH))
    tried = [each for each in report.exercises if each.tries is not None]
    if tried:
        most = max(tried, key=lambda each: each.tries or 0)
        lines.append(say("report.tries_most", exercise=most.called, value=f"{most.tries:.1f}"))
    else:
        lines.append(say("report.tries_none"))
    return lines


def names(students: Sequence[str]) -> str:
    """Students in a line, the first of many."""
    shown = ", ".join(visible(student)[:60] for student in students[:MOST_NAMED])
    more = len(students) - MOST_NAMED
    return f"{shown} {say('report.and_more', count=more)}" if more > 0 else shown
