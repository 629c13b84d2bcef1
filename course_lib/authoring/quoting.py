"""Recorded numbers in texts: placeholders are filled, and what a text quotes is checked against the records.

A text quotes a record by `{{ result("label_curve", "scratch@10").mean | pct }}`, which `render` fills in; a Markdown
file that is shown as it lies there, such as README.md, by marks between which the numbers stand (`write_readme`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from course_lib import files, records, settings
from course_lib.authoring import recording
from course_lib.records import Figure, RecordError

# A placeholder calls one of these functions, or begins with a space. LaTeX such as x^{{2}} does neither.
_PLACEHOLDER = re.compile(r"\{\{((?:\s|(?=(?:result|results_table|figures_table|every_seed)\s*\()).*?)\}\}", re.DOTALL)
# The columns of a table of figures: the `x` of keys such as scratch@5, or names and how their keys end.
Columns = Sequence[float | str] | Mapping[str, str]


def render(text: str, *, unit: str) -> str:
    """Fills the placeholders of a text with recorded numbers; all other braces (LaTeX) stay as they are.

    A placeholder is a Jinja2 expression: `{{ result("label_curve", "scratch@10").mean | pct }}`. `result(experiment,
    key, dataset=<the unit's own>, profile="laptop", unit=<this unit>)` is `figure`; `results_table()` is the course's
    table up to this unit, `figures_table` one of some figures, and `every_seed` the words "on every seed", where they
    are true.
    Filters: `pct`, `num`, `pm`.

    Raises:
        RecordError: no such record, a placeholder that cannot be read (the message quotes it), or a comparison that is
            not so on every seed.
    """
    if "{{" not in text:
        return text

    def result(experiment: str, key: str, dataset: str = "", profile: str = "laptop", unit: str = unit) -> Figure:
        return records.figure(unit, experiment, key, dataset=dataset or records.main_dataset(unit), profile=profile)

    def table() -> str:
        return records.results_table(up_to=unit)

    def proved(comparisons: str, experiment: str = records.MAIN_EXPERIMENT, **of: str) -> str:
        return every_seed(comparisons, experiment, **{"unit": unit, "dataset": records.main_dataset(unit), **of})

    def some(rows: dict[str, str], at: Columns, experiment: str = records.MAIN_EXPERIMENT, **of: str) -> str:
        return figures_table(rows, at, experiment, **{"unit": unit, "dataset": records.main_dataset(unit), **of})

    functions = {"result": result, "results_table": table, "every_seed": proved, "figures_table": some}
    return _PLACEHOLDER.sub(lambda match: _evaluated(match.group(1), unit, **functions), text)


def every_seed(
    comparisons: str, experiment: str, *, unit: str, dataset: str = "glyphs", profile: str = "laptop"
) -> str:
    """The words "on every seed", when each seed's figures bear them out.

    Runs of one seed share their images and first weights, so they are compared seed by seed. `comparisons` are such as
    "rotation@5 > scratch@5, rotation@10 > scratch@10"; one side may be a number.

    Raises:
        RecordError: a comparison does not hold on every seed (the message has the figures), or cannot be read.
    """
    for comparison in comparisons.split(","):
        pairs = records.holds(comparison, unit, experiment, dataset=dataset, profile=profile)
        if not all(is_so for _, _, is_so in pairs):
            sign = ">" if ">" in comparison else "<"
            shown = ", ".join(f"{a:.3f} {sign} {b:.3f}" for a, b, _ in pairs)
            raise RecordError(
                f"{unit}, {experiment}, {dataset}: {comparison.strip()} is not so on every seed: {shown}."
            )
    return "on every seed"


def figures_table(
    rows: dict[str, str],
    at: Columns,
    experiment: str,
    *,
    unit: str,
    dataset: str = "glyphs",
    profile: str = "laptop",
    head: str = "labels per class",
) -> str:
    """A Markdown table of recorded accuracies: a row per method, its name -> key prefix, and a column per `x` in `at`.

    A cell is the figure `prefix@x`. Where `at` names its columns, such as {"filled": "_in"}, it is `prefix_in`.

    Raises:
        RecordError: a figure is not recorded.
    """
    columns = at if isinstance(at, Mapping) else {str(x): f"@{x}" for x in at}
    lines = [f"| {head} | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for name, prefix in rows.items():
        keys = [prefix + ending for ending in columns.values()]
        figures = [records.figure(unit, experiment, key, dataset=dataset, profile=profile) for key in keys]
        cells = [" ".join(name.split()), *(records.pm(figure, percent=True) for figure in figures)]
        lines.append(f"| {' | '.join(cells)} |")  # a name that is broken over two lines of a source is one line here
    return "\n".join(lines)


def _evaluated(expression: str, where: str, **names: Any) -> str:
    import jinja2

    template_environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    template_environment.filters.update(pct=records.pct, num=records.num, pm=records.pm)
    try:
        return template_environment.from_string("{{" + expression + "}}").render(**names)
    except RecordError:
        raise
    except (jinja2.TemplateError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"{where}: the placeholder {{{{{expression}}}}} cannot be filled: {error}") from error


# The files that show the table: a short one where people arrive, all of it beside the records.
README_FILES = ("README.md", "results/README.md")
_TABLE = re.compile(r"(<!-- results((?: [a-z][\w-]*(?: \d+)+)*) -->\n).*?(<!-- /results -->)", re.DOTALL)
_INLINE = re.compile(r"(<!-- (result\(.*?) -->).*?(<!-- / -->)", re.DOTALL)


def write_readme(path: Path) -> bool:
    """Fills in a Markdown file's results, the file's other text left alone.

    The table goes between `<!-- results -->` and `<!-- /results -->`; `<!-- results glyphs 1 10 mnist 10 -->` has a
    column for each number of labels per class of the data sets that it names. Single numbers go between
    `<!-- result("label_curve", "scratch@10", unit="00_first_steps").mean | pct -->` and `<!-- / -->`.

    Returns:
        Whether the file changed.

    Raises:
        ValueError: the file has no `<!-- results -->` ... `<!-- /results -->`.
        RecordError: a number has no record.
    """
    before = path.read_text(encoding="utf-8")
    after = filled_readme(before, name=path.name)
    if after != before:
        files.replace(path, after)
    return after != before


def filled_readme(text: str, *, name: str = "README.md") -> str:
    """The text of a Markdown file with its results filled in; see `write_readme`."""
    if not _TABLE.search(text):
        raise ValueError(
            f"{name} has no lines <!-- results --> and <!-- /results --> to put the results table between."
        )

    def result(experiment: str, key: str, dataset: str = "", profile: str = "laptop", *, unit: str) -> Figure:
        return records.figure(unit, experiment, key, dataset=dataset or records.main_dataset(unit), profile=profile)

    text = _INLINE.sub(
        lambda match: match.group(1) + _evaluated(match.group(2), name, result=result) + match.group(3), text
    )

    def table(match: re.Match[str]) -> str:
        wanted = re.findall(r"([a-z][\w-]*)((?: \d+)+)", match.group(2))
        columns = {name: [float(x) for x in numbers.split()] for name, numbers in wanted} or None
        return f"{match.group(1)}{records.results_table(columns=columns)}\n{match.group(3)}"

    return _TABLE.sub(table, text)


class Level(StrEnum):
    """How bad a finding is: an error fails a test, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclasses.dataclass(frozen=True)
class WrongQuote:
    """A number that is quoted or recorded wrongly: the place, and what to do."""

    level: Level
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.level}: {self.place}: {self.message}"


def check_quotes() -> list[WrongQuote]:
    """What is wrong with the numbers that the course quotes.

    Errors: a placeholder that cannot be filled; a file that is not a record; a laptop record whose code has changed
    since; a README.md, at the top or in results/, that does not show what is recorded; rows of the results table that
    results/table.json does not have.
    Warnings: a record of another profile whose code has changed (a GPU is not always at hand).
    """
    return [*_wrong_placeholders(), *_wrong_tables(), *_wrong_records()]


def _wrong_placeholders() -> Iterator[WrongQuote]:
    for path in sorted((settings.root() / "solutions").glob("*/*.py")):
        unit = path.parent.name
        for line, text in _markdown_of(path):
            for match in _PLACEHOLDER.finditer(text):
                place = f"solutions/{unit}/{path.name}:{line + text.count(chr(10), 0, match.start())}"
                try:
                    render(match.group(0), unit=unit)
                except RecordError as error:
                    yield WrongQuote(Level.ERROR, place, str(error))


def _wrong_tables() -> Iterator[WrongQuote]:
    for name in README_FILES:
        readme = settings.root() / name
        if readme.is_file() and _TABLE.search(before := readme.read_text(encoding="utf-8")):
            try:
                if filled_readme(before, name=name) != before:
                    message = "its numbers or its results table are out of date. Fill them in again: course results"
                    yield WrongQuote(Level.ERROR, name, message)
            except RecordError as error:
                yield WrongQuote(Level.ERROR, name, str(error))
    listed = records.listed_methods()
    recorded = {file.parent.name for file in records.record_files()}
    for unit in sorted(recorded & set(recording.units())):
        if list(recording.methods_of(unit).items()) != list(listed.get(unit, {}).items()):
            message = f"TABLE_ROWS of {unit} has changed since. Write its rows again: course results {unit}"
            yield WrongQuote(Level.ERROR, f"results/{records.table_path().name}", message)


def _wrong_records() -> Iterator[WrongQuote]:
    for file in records.record_files():
        place = f"results/{file.parent.name}/{file.name}"
        try:
            record = records.read_file(file)
        except RecordError as error:
            yield WrongQuote(Level.ERROR, place, str(error))
            continue
        if recording.is_stale(record):
            level = Level.ERROR if record.profile == "laptop" else Level.WARNING
            message = f"the code of {record.experiment!r} has changed since. Record it again: {record.command}"
            yield WrongQuote(level, place, message)


def _markdown_of(path: Path) -> Iterator[tuple[int, str]]:
    """The Markdown cells of a py:percent notebook: first line number, text without the comment signs."""
    lines: list[str] = []
    start, inside = 0, False
    for number, line in enumerate([*path.read_text(encoding="utf-8").splitlines(), "# %%"], 1):
        if line.startswith("# %%"):
            if inside:
                yield start, "\n".join(lines)
            lines, start, inside = [], number + 1, "[markdown]" in line
        elif inside:
            lines.append(re.sub(r"^# ?", "", line))
