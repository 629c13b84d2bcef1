"""The course's table of results: which methods stand in it, and how it is written."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from course_lib import settings
from course_lib.records.notation import pm
from course_lib.records.reading import MAIN_EXPERIMENT, Curve, RecordError, all_records, curves, results_folder


@dataclasses.dataclass(frozen=True)
class TableRow:
    """One method of one unit in the course's results table: `prefix` is its key, `curve` what was recorded."""

    unit: str
    method: str
    dataset: str
    profile: str
    prefix: str
    curve: Curve


def table_rows(*, up_to: str | None = None) -> list[TableRow]:
    """The rows of the results table: the default data set and profile first, then units and their rows in order.

    A unit adds rows by `TABLE_ROWS = {"Supervised, from scratch": "scratch"}` in its experiment.py: method -> key
    prefix in its experiment "label_curve" ("other_experiment:prefix" for another). `course results` notes them in
    results/table.json, since a student's copy is without experiments. Rows without a record are left out.

    Args:
        up_to: the last unit to include; None includes all.
    """
    rows: list[TableRow] = []
    recorded: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for record in all_records():
        if record.profile != "smoke":
            recorded.setdefault((record.unit, record.experiment), []).append((record.dataset, record.profile))
    for unit, methods in sorted(listed_methods().items()):
        if up_to is not None and unit > up_to:
            continue
        for method, key in methods.items():
            experiment, _, prefix = key.rpartition(":")
            experiment = experiment or MAIN_EXPERIMENT
            for dataset, profile in recorded.get((unit, experiment), []):
                found = curves(unit, experiment, dataset=dataset, profile=profile)
                if prefix in found:
                    rows.append(TableRow(unit, method, dataset, profile, prefix, found[prefix]))
    rows.sort(key=lambda row: (row.dataset != "glyphs", row.dataset, row.profile != "laptop", row.profile, row.unit))
    return rows


def listed_methods() -> dict[str, dict[str, str]]:
    """The methods of the results table: by unit, method -> key prefix, in the order of their rows.

    Raises:
        RecordError: results/table.json cannot be read.
    """
    path = table_path()
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {unit: {str(method): str(key) for method, key in rows.items()} for unit, rows in content.items()}
    except (ValueError, AttributeError) as error:
        raise RecordError(
            f"results/{path.name} cannot be read ({error}). Delete it; `course results` writes it again."
        ) from error


COLUMNS: Mapping[str, Sequence[float]] = {
    "glyphs": (1, 10, 50), "digits": (10,), "mnist": (10,), "docstrings": (10, 50, 200), "words": (5, 10, 50)
}  # fmt: skip
"""What the results table shows in notebooks: data set -> numbers of labels per class. Each kind of data is a table."""


def results_table(*, up_to: str | None = None, columns: Mapping[str, Sequence[float]] | None = COLUMNS) -> str:
    """The course's results table in Markdown: accuracy by labels per class, one row per recorded method.

    Methods for images and for other kinds of data, such as text, stand in tables of their own.

    Args:
        up_to: the last unit to include; None includes all.
        columns: data set -> numbers of labels per class: one row per method with these columns, of the profile
            laptop. None: everything, one row per data set and method.
    """
    rows = table_rows(up_to=up_to)
    make = _whole_table
    if columns is not None:
        rows = [row for row in rows if row.profile == "laptop"]
        make = functools.partial(_compact_table, columns=columns)
    by_kind: dict[str, list[TableRow]] = {}
    for row in rows:
        by_kind.setdefault(settings.kind_of(row.dataset), []).append(row)
    tables = [table for kind in sorted(by_kind, key="images".__ne__) if (table := make(by_kind[kind]))]
    return "\n\n".join(tables) or _NOTHING


def _whole_table(rows: Sequence[TableRow]) -> str:
    """One row per data set and method, and every number of labels."""
    shown = sorted({x for row in rows for x in row.curve.x})
    lines = [
        f"{_CAPTION} over seeds.",
        "",
        f"| Data set | Profile | Unit | Method | {' | '.join(f'{x:g}' for x in shown)} | Seeds |",
        f"|---|---|---|---|{'---:|' * (len(shown) + 1)}",
    ]
    for row in rows:
        cells = " | ".join(_cell(row, x) for x in shown)
        lines.append(f"| {row.dataset} | {row.profile} | {row.unit[:2]} | {row.method} | {cells} | {row.curve.n} |")
    return "\n".join(lines)


_CAPTION = "Test accuracy by number of labels per class: mean ± standard deviation"
_NOTHING = "No results are recorded yet; `course results UNIT` records them."


def _compact_table(rows: Sequence[TableRow], columns: Mapping[str, Sequence[float]]) -> str:
    """One row per method, and the columns that are asked for of this kind of data; "" without such a row."""
    kinds = {settings.kind_of(row.dataset) for row in rows}
    columns = {name: budgets for name, budgets in columns.items() if settings.kind_of(name) in kinds}
    found: dict[tuple[str, str], dict[str, TableRow]] = {}
    for row in rows:
        if set(row.curve.x) & set(columns.get(row.dataset, ())):
            found.setdefault((row.unit, row.method), {})[row.dataset] = row
    if not found:
        return ""
    seeds = sorted({row.curve.n for methods in found.values() for row in methods.values()})
    over = f"{seeds[0]} seeds" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    where = f", on *{next(iter(columns))}*" if len(columns) == 1 else ""
    titles = [f"{x:g}" if where else f"{name}, {x:g}" for name, budgets in columns.items() for x in budgets]
    lines = [
        f"{_CAPTION} over {over}{where}.",
        "",
        f"| Unit | Method | {' | '.join(titles)} |",
        f"|---|---|{'---:|' * len(titles)}",
    ]
    for (unit, method), by_dataset in sorted(found.items(), key=lambda item: item[0][0]):
        cells = [_cell(by_dataset.get(name), x) for name, budgets in columns.items() for x in budgets]
        lines.append(f"| {unit[:2]} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: TableRow | None, x: float) -> str:
    return pm(row.curve.at(x), percent=True) if row is not None and x in row.curve.x else "–"


def table_path() -> Path:
    """The file that lists the methods of the results table."""
    return results_folder() / "table.json"
