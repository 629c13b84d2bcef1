"""What README.md and docs/ show of the course, made by `course pictures`: two pictures, four tables and a list.

The card is the one that a learner sees, of a real check of a real mistake; the curve is drawn from the records. Both
are in results/pictures/, and their alt texts in README.md are filled in with them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import html
import io
import json
import math
import re
from pathlib import Path

from course_lib import files, settings
from course_lib.authoring import topics
from course_lib.authoring.openings import notebooks

CARD, CURVE = "results/pictures/card.svg", "results/pictures/label_curve.png"
CARD_EXERCISE, CARD_MISTAKE = "evaluate", "mean_of_batch_means"
CURVE_UNIT = "04_pretext_tasks"
CURVE_METHODS = (
    "rotation_strong", "scratch_strong", "rotation_weak", "scratch_weak", "rotation_frozen", "random_frozen",
)  # fmt: skip
CURVE_TITLE = "What labels buy, what strong views add, and what pretraining adds"
_UNITS = re.compile(r"(<!-- units -->\n).*?(<!-- /units -->)", re.DOTALL)
INSTRUCTOR = "docs/instructor.md"
_GRADER = re.compile(r"(<!-- grader -->\n).*?(<!-- /grader -->)", re.DOTALL)
TEACHING = "docs/teaching.md"
_OUTCOMES = re.compile(r"(<!-- outcomes -->\n).*?(<!-- /outcomes -->)", re.DOTALL)
TOPICS = "docs/topics.md"
_TOPICS = re.compile(r"(<!-- topics -->\n).*?(<!-- /topics -->)", re.DOTALL)
_TAKE_HOME = re.compile(r"(<!-- take home -->\n).*?(<!-- /take home -->)", re.DOTALL)


def write(root: Path | None = None) -> list[Path]:
    """Brings both pictures and their places in README.md up to date; returns the files that changed."""
    root = root or settings.root()
    changed = []
    for name, content in _wanted(root).items():
        path = root / name
        if not path.is_file() or not _same(path.read_bytes(), content):
            files.replace(path, content)
            changed.append(path)
    return changed


def stale(root: Path | None = None) -> list[str]:
    """The files that are not what the course gives now."""
    root = root or settings.root()
    return [
        name
        for name, content in _wanted(root).items()
        if not (root / name).is_file() or not _same((root / name).read_bytes(), content)
    ]


def _wanted(root: Path) -> dict[str, bytes]:
    card, card_alt = _card()
    curve, curve_alt = _curve()
    readme = (root / "README.md").read_text(encoding="utf-8")
    for name, alt in ((CARD, card_alt), (CURVE, curve_alt)):
        plain = alt.replace("[", "(").replace("]", ")").replace("`", "").replace("\\", "/")
        readme = re.sub(rf"!\[[^\]]*\]\({re.escape(name)}\)", f"![{plain}]({name})", readme)
    readme = _UNITS.sub(lambda match: f"{match.group(1)}{units_table(root)}\n{match.group(2)}", readme)
    guide = (root / INSTRUCTOR).read_text(encoding="utf-8")
    guide = _GRADER.sub(lambda match: f"{match.group(1)}{grader_table(root)}\n{match.group(2)}", guide)
    plan = (root / TEACHING).read_text(encoding="utf-8")
    plan = _OUTCOMES.sub(lambda match: f"{match.group(1)}{outcomes_table(root)}\n{match.group(2)}", plan)
    listed = (root / TOPICS).read_text(encoding="utf-8")
    found, learned = topics.topics_table(notebooks(root)), topics.take_home()
    listed = _TOPICS.sub(lambda match: f"{match.group(1)}{found}\n{match.group(2)}", listed)
    listed = _TAKE_HOME.sub(lambda match: f"{match.group(1)}{learned}\n{match.group(2)}", listed)
    texts = {"README.md": readme, INSTRUCTOR: guide, TEACHING: plan, TOPICS: listed}
    return {CARD: card.encode(), CURVE: curve, **{name: text.encode() for name, text in texts.items()}}


def _same(here: bytes, wanted: bytes) -> bool:
    """Equal; of a picture drawn by Matplotlib, whose bytes depend on its version, what it was drawn from is equal."""
    return here == wanted or (wanted.startswith(b"\x89PNG") and _drawn_from(here) == _drawn_from(wanted))


def _drawn_from(picture: bytes) -> tuple[str, str]:
    from PIL import Image

    with contextlib.suppress(OSError):
        text = getattr(Image.open(io.BytesIO(picture)), "text", {})
        return text.get("Description", ""), text.get("Source", "")
    return "", ""


# --- the card ---


def _card() -> tuple[str, str]:
    """An SVG that holds the card's own HTML, as it is drawn by a browser; and its alt text."""
    from course_lib.exercises import exercise_named, judge_of
    from course_lib.exercises.card import card, text_card
    from course_lib.exercises.checking import check
    from course_lib.exercises.progress import Standing

    with settings.variables(COURSE_LANGUAGE="en"):
        exercise = exercise_named(CARD_EXERCISE)
        mistake = next(each for each in judge_of(exercise).mistakes if each.name == CARD_MISTAKE)
        result = check(exercise, mistake.fn)
        shown = card(exercise, result, standing=Standing(exercise.name))
        words = text_card(exercise, result)
    lines = sum(math.ceil(len(line) / 90) for line in words.splitlines())
    alt = "The feedback card under a check cell. " + ". ".join(line.strip().rstrip(".") for line in words.splitlines())
    alt = " ".join(alt.split()).replace(" ]", "]") + ". Below: Hint 1 of 3, folded."
    width, height = 780, 23 * lines + 130  # a line more than most fonts need
    cell = f"check.{exercise.name}({exercise.name})"
    svg = _SVG.format(width=width, height=height, alt=html.escape(alt), cell=html.escape(cell), card=shown)
    return svg, alt


_SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" \
role="img" aria-label="{alt}">
<foreignObject width="{width}" height="{height}">
<div xmlns="http://www.w3.org/1999/xhtml" style="color-scheme:light;font-size:15px;padding:4px">
<pre style="margin:0 0 8px;padding:8px 12px;max-width:703px;border:1px solid #bdbdbd;border-radius:4px;\
background:#f7f7f7;color:#212121;font:14px ui-monospace,monospace">{cell}</pre>
{card}
</div>
</foreignObject>
</svg>
"""


# --- the curve ---


def _curve() -> tuple[bytes, str]:
    """The recorded label curve as PNG, its alt text and a digest of what it shows inside; and the alt text."""
    from PIL import Image, PngImagePlugin

    from course_lib import plots, records

    recorded = records.curves(CURVE_UNIT, records.PROTOCOL)
    shown = {method: recorded[method] for method in CURVE_METHODS}
    figure = plots.label_curve(shown, title=CURVE_TITLE)
    alt = plots.alt_text(figure)
    facts = [[method, repr(plots.method_style(method)), dataclasses.astuple(shown[method])] for method in CURVE_METHODS]
    about = PngImagePlugin.PngInfo()
    about.add_itxt("Description", alt)
    about.add_text("Source", hashlib.sha256(json.dumps([CURVE_TITLE, facts]).encode()).hexdigest())
    picture = io.BytesIO()
    Image.open(io.BytesIO(plots.png(figure, dpi=160))).save(picture, format="png", optimize=True, pnginfo=about)
    return picture.getvalue(), alt


# --- the units ---


def units_table(root: Path | None = None) -> str:
    """A Markdown table of the course's notebooks: title, number of exercises, time."""
    lines = ["| Unit | Title | Exercises | Time |", "|---|---|---:|---|"]
    for each in notebooks(root or settings.root()):
        lines.append(f"| [{each.number}]({each.link}) | {each.title} | {len(each.exercises)} | {each.time} |")
    return "\n".join(lines)


def outcomes_table(root: Path | None = None) -> str:
    """A Markdown table for docs/: what learners can do after each notebook, by which exercises, in which time."""
    from course_lib.exercises import exercises

    known = exercises()
    lines = ["| Unit | after it, students can | by these exercises (minutes of writing) | points: code, text | time |"]
    lines.append("|---|---|---|---:|---|")
    for each in notebooks(root or settings.root()):
        listed = [known[name] for name in each.exercises]
        shown = ", ".join(f"`{exercise.name}` ({exercise.minutes})" for exercise in listed)
        points = f"{sum(exercise.points for exercise in listed):g}, {each.written_points}"
        lines.append(f"| [{each.number}](../{each.link}) | {each.outcomes} | {shown} | {points} | {each.time} |")
    return "\n".join(lines)


# --- the grader ---

_COUNTED = {
    "undeserved": "points that were not deserved",
    "marked_down": "right work marked down",
    "ungraded": "no grade: a person has to look",
    "neighbor_ungraded": "another student's notebook not graded, because of this one",
    "leaked": "hidden material in what students get back",
}


def grader_table(root: Path | None = None) -> str:
    """A Markdown table of what was measured of both graders, from the records in results/benchmarks/."""
    folder = (root or settings.root()) / "results" / "benchmarks"
    corpus, speed = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("grading_corpus.json", "grading_speed.json")
    )
    version = corpus["environment"]["nbgrader"]
    ours, theirs = (corpus["summary"][side] for side in ("course_grade", "nbgrader"))
    lines = [f"| | `course grade` | nbgrader {version} |", "|---|---:|---:|"]
    lines.append(f"| notebooks tried, broken and hostile ones | {ours['cases']} | {theirs['cases']} |")
    lines += [f"| {words} | {ours[name]} | {theirs[name]} |" for name, words in _COUNTED.items()]
    beside, whole = speed["beside_nbgrader"], speed["class"]
    cost = beside["a_submission"]["cpu_s"]
    ours, theirs = (cost[side]["overhead"] for side in ("course_grade", "nbgrader"))
    what = f"CPU seconds that a submission costs, besides its own code ({cost['ratio']:.0f} times less)"
    lines.append(f"| {what} | {ours:.2f} | {theirs:.1f} |")
    large, cores = whole["rows"][-1], whole["environment"]["cores"]
    what = f"minutes for a class of {large['size']:,}, with {cores} cores; GB of memory"
    lines.append(f"| {what} | {large['wall_s'] / 60:.1f}; {large['own_mib'] / 1024:.1f} | – |")
    return "\n".join(lines)
