"""The pages between the notebooks: the first one, the course map, the results."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from course_lib import records
from course_lib.authoring.website.notebook_pages import image
from course_lib.authoring.website.page import Page, unit_name
from course_lib.exercises.contract import DIFFICULTY, Exercise

PEOPLE = ("learner", "instructor", "teaching", "author")
# Pages of docs/ for those who take the course, in the table of contents of the units.
SHEETS = ("topics", "prerequisites", "glossary", "cheat_sheet", "open_brief")
# The modules in the reference: what notebooks, exercises and experiments are written with.
MODULES = (
    "data", "data.augment", "models", "training", "evaluation", "plots", "widgets", "records", "settings",
    "exercises", "exercises.contract",
)  # fmt: skip
UNIT_SHOWN = "04_pretext_tasks"  # the unit whose curves are on the first page
Units = Mapping[str, Sequence[Page]]


def home_page(text: str, units: Units, files: Path) -> str:
    """docs/index.md, the units and one result behind it, and the table of contents of the whole site."""
    lines = [text, "## The units\n"]
    for pages in units.values():
        for page in pages:
            paragraphs = page.solution.cells[0].source.split("\n\n")
            claim = paragraphs[1].replace("\n", " ") if len(paragraphs) > 1 else ""
            lines.append(f"- [{page.label}](/{page.document}.ipynb). {claim}".rstrip())
    rows = [row for row in records.table_rows() if row.dataset == "glyphs" and row.unit == UNIT_SHOWN]
    if rows:
        lines.append("\n## What a question that labels itself is worth\n")
        lines.append(f"{_curves(rows, files)}\n\nMore under [results](results.md), with what did not help.")
    listed = [f"{page.label} <{page.document}>" for pages in units.values() for page in pages]
    lines += [
        _tree("The course", ["map", *listed, "results", *SHEETS, "mistakes"]),
        _tree("For you", PEOPLE),
        _tree("The library", [f"reference/{module}" for module in MODULES]),
    ]
    return "\n".join(lines) + "\n"


def _tree(caption: str, documents: Iterable[str]) -> str:
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *documents, "```"])


def with_links(text: str, units: Units) -> str:
    """A page of docs/ with links to pages of the site: notebooks, and the place of an exercise among the mistakes.

    What is not in the site loses its link.
    """
    from course_lib.exercises import exercises_of

    documents = {page.stem: page.document for pages in units.values() for page in pages}
    folders = {_folder_of(exercise) for unit in units for exercise in exercises_of(unit)}

    def link(match: re.Match[str]) -> str:
        words, path = match.group(1), Path(match.group(2))
        if path.suffix == ".ipynb":
            return f"[{words}](/{documents[path.stem]}.ipynb)" if path.stem in documents else words
        return f"[{words}](#{_mistakes_of(path.parent.name)})" if path.parent.name in folders else words

    return re.sub(r"\[([^\]]*)\]\(([^)]*(?:\.ipynb|/mistakes\.md))\)", link, text)


def _folder_of(exercise: Exercise) -> str:
    from course_lib.exercises import judge_module

    return judge_module(exercise).__name__.split(".")[-2]


def _mistakes_of(folder: str) -> str:
    """The name of an exercise's place on the page of mistakes."""
    return f"mistakes-{folder.replace('_', '-')}"


_MAP = """# Course map

The units in order. A notebook takes two sittings. Unit 00 comes first. After it you may jump, since each says what it
needs.

| Unit | Exercises | Points | Minutes of writing |
|---|---:|---:|---:|"""


def map_page(units: Units) -> str:
    """The course map: what each unit claims, needs and asks for, from its first cell and its exercises."""
    from course_lib.exercises import exercises_of

    lines = [_MAP]
    for unit, pages in units.items():
        listed = exercises_of(unit)
        points, minutes = sum(e.points for e in listed), sum(e.minutes for e in listed)
        lines.append(f"| [{unit_name(unit, pages)}](#unit-{unit[:2]}) | {len(listed)} | {points:g} | {minutes} |")
    for unit, pages in units.items():
        lines.append(f"\n(unit-{unit[:2]})=\n## {unit_name(unit, pages)}")
        for page in pages:
            if len(pages) > 1:
                lines.append(f"\n### {page.title}")
            about = page.solution.cells[0].source.partition("\n")[2].strip()
            lines.append(f"\n{about}\n\n[Open it with its answers](/{page.document}.ipynb)")
        lines.append("\n| No. | Exercise | Minutes | Level | Points |\n|---|---|---:|---|---:|")
        for e in exercises_of(unit):
            level = DIFFICULTY[e.difficulty]
            lines.append(f"| {e.number} | {e.title}: `{e.name}` | {e.minutes} | {level} | {e.points:g} |")
    return "\n".join(lines) + "\n"


_MISTAKES = """# Known mistakes

What people write, exercise by exercise: the sentence that a check says, and folded under it the lines in which the code
differs from a right answer. It gives the answers away; solve an exercise first."""


def mistakes_page(units: Units) -> str:
    """Every exercise's right answers and known mistakes, folded, from its mistakes.md."""
    from course_lib.exercises import exercises_of, judge_module
    from course_lib.exercises.answers import answers_beside

    lines = [_MISTAKES]
    for unit, pages in units.items():
        lines.append(f"\n## {unit_name(unit, pages)}")
        for exercise in exercises_of(unit):
            known = answers_beside(judge_module(exercise))
            place = _mistakes_of(_folder_of(exercise))
            lines.append(f"\n({place})=\n### {exercise.number} `{exercise.name}`\n")
            for answer in known.right:
                lines.append(_folded(f"A right answer: {answer.name.replace('_', ' ')}", "python", answer.source))
            for answer in known.mistakes:
                lines.append(
                    _folded(answer.text, *(("diff", answer.diff) if answer.diff else ("python", answer.source)))
                )
    return "\n".join(lines) + "\n"


def _folded(sentence: str, language: str, code: str) -> str:
    summary = re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(sentence, quote=False))
    return f"<details><summary>{summary}</summary>\n\n```{language}\n{code.rstrip()}\n```\n\n</details>\n"


_RESULTS = """# Results

Every number is recorded by the command `course results` and printed from the record: test accuracy by number of
labels per class, mean ± standard deviation over seeds. *Frozen* means that only a linear layer on top was trained,
*fine-tuned* that everything was; the same network, random or from scratch, is the control. Compare within a unit:
networks and steps differ between units."""


def results_page(units: Units, files: Path) -> str:
    """A figure and a table for each data set and unit."""
    lines = [_RESULTS]
    rows = records.table_rows()
    for dataset, profile in dict.fromkeys((row.dataset, row.profile) for row in rows):
        block = [row for row in rows if (row.dataset, row.profile) == (dataset, profile)]
        lines.append(f"\n## {dataset}" + (f", {profile} profile" if profile != "laptop" else ""))
        for unit in dict.fromkeys(row.unit for row in block):
            mine = [row for row in block if row.unit == unit]
            name = unit_name(unit, units[unit]) if unit in units else unit
            lines += _results_of(f"{name}, {dataset}", mine, files)
    if not rows:
        lines.append("\nNothing is recorded yet; `course results` records it.")
    return "\n".join(lines) + "\n"


def _results_of(title: str, rows: Sequence[records.TableRow], files: Path) -> list[str]:
    """One unit on one data set: curves, where there is more than one number of labels, and a table."""
    budgets = sorted({x for row in rows for x in row.curve.x})
    lines = [f"\n### {title}\n\n{_curves(rows, files)}\n" if len(budgets) > 1 else f"\n### {title}\n"]
    lines.append("| Method | " + " | ".join(f"{x:g}" for x in budgets) + " | Seeds |")
    lines.append("|---|" + "---:|" * (len(budgets) + 1))
    for row in rows:
        cells = [records.pm(row.curve.at(x), percent=True) if x in row.curve.x else "–" for x in budgets]
        lines.append(f"| {row.method} | {' | '.join(cells)} | {row.curve.n} |")
    return lines


def _curves(rows: Sequence[records.TableRow], files: Path) -> str:
    """The curves of one unit on one data set, as a picture with its text."""
    from course_lib import plots

    figure = plots.label_curve(
        {row.prefix: row.curve for row in rows}, title=f"Unit {rows[0].unit[:2]} on {rows[0].dataset}"
    )
    alt = html.escape(plots.alt_text(figure), quote=True)
    return image(plots.png(figure), f' alt="{alt}"', files)
