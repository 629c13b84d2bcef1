"""Recorded numbers: the only place that figures in prose, tables and plots come from.

A record is one JSON file for one experiment of one unit on one data set in one profile:
`results/<unit>/<experiment>.<dataset>.<profile>.json`. It holds the figures of every seed, the environment and a hash
of the experiment's code. A key such as "scratch@5" is one point, x = 5, of the curve "scratch".

This module only reads. `course_lib.authoring.recording` runs experiments and writes records; a student's copy is
without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import json
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_lib import settings

Value = float | list[float]
MAIN_EXPERIMENT = "label_curve"
PROTOCOL = "protocol"


class RecordError(LookupError):
    """A number was asked for that no record holds, or a record that cannot be read. The message says what to do."""


@dataclasses.dataclass
class Record:
    """One recorded experiment: figures by seed, and how they came about."""

    unit: str
    experiment: str
    dataset: str
    profile: str
    code_hash: str
    environment: dict[str, Any]
    seeds: dict[int, dict[str, Value]] = dataclasses.field(default_factory=dict)
    cpu_seconds: dict[int, float] = dataclasses.field(default_factory=dict)
    other_environments: dict[int, dict[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that at least one seed recorded, in the order of recording."""
        return tuple(dict.fromkeys(key for figures in self.seeds.values() for key in figures))

    @property
    def command(self) -> str:
        """The command that records it."""
        return record_command(self.unit, dataset=self.dataset, profile=self.profile)


@dataclasses.dataclass(frozen=True)
class Figure:
    """One recorded number over seeds: mean, standard deviation (n - 1; 0.0 for one seed), the value of each seed, n.

    Where an experiment recorded a list under the key, `mean` and `std` are tuples, one entry per position.
    """

    mean: Any
    std: Any
    values: tuple[Any, ...]
    n: int


@dataclasses.dataclass(frozen=True)
class Curve:
    """A recorded curve: at x[i] the mean, the standard deviation and the value of each seed."""

    x: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]
    n: int

    def at(self, x: float) -> Figure:
        """The figure at one x of the curve."""
        i = self.x.index(x)
        return Figure(self.mean[i], self.std[i], self.values[i], len(self.values[i]))


# --- reading ---


def read(unit: str, experiment: str, *, dataset: str = "glyphs", profile: str = "laptop") -> Record:
    """The record of an experiment.

    The experiment "protocol" is one for the whole course, and each unit records its own rows of it. So its record holds
    the keys of all units, of those seeds that this unit has.

    Raises:
        RecordError: there is none (the message names the command that makes it), or the file is not a record.
    """
    path = record_path(unit, experiment, dataset=dataset, profile=profile)
    if not path.is_file():
        command = record_command(unit, dataset=dataset, profile=profile)
        raise RecordError(
            f"No record of {experiment!r} of unit {unit} on {dataset}, profile {profile}. Make it: {command}"
        )
    record = read_file(path)
    if experiment == PROTOCOL:
        for other in sorted(results_folder().glob(f"[0-9]*/{path.name}")):
            for seed, figures in read_file(other).seeds.items():
                if seed in record.seeds:
                    record.seeds[seed] = figures | record.seeds[seed]
    return record


def figure(unit: str, experiment: str, key: str, *, dataset: str = "glyphs", profile: str = "laptop") -> Figure:
    """One recorded number, over seeds.

    Raises:
        RecordError: no such record (names the command that makes it), or no such key (names the nearest ones).
    """
    return _figure_of(_by_seed(read(unit, experiment, dataset=dataset, profile=profile), key))


def _by_seed(record: Record, key: str) -> dict[int, Value]:
    """What each seed recorded under a key, in order of the seeds."""
    found = {seed: figures[key] for seed, figures in sorted(record.seeds.items()) if key in figures}
    if not found:
        near = difflib.get_close_matches(key, record.keys, n=5, cutoff=0.3) or record.keys[:10]
        raise RecordError(
            f"The record of {record.experiment!r} of unit {record.unit} on {record.dataset}, profile {record.profile}, "
            f"has no {key!r}; it has for example {', '.join(near) or 'nothing'}. To record it again: {record.command}"
        )
    return found


def _figure_of(by_seed: Mapping[int, Value]) -> Figure:
    values = tuple(by_seed.values())
    if isinstance(values[0], list):
        lists = [list(value) if isinstance(value, list) else [value] for value in values]
        columns = list(zip(*lists, strict=False))
        return Figure(
            tuple(_mean(c) for c in columns), tuple(_std(c) for c in columns), tuple(map(tuple, lists)), len(lists)
        )
    plain = tuple(value for value in values if not isinstance(value, list))
    return Figure(_mean(plain), _std(plain), plain, len(plain))


def curve(unit: str, experiment: str, name: str, *, dataset: str = "glyphs", profile: str = "laptop") -> Curve:
    """The recorded curve of the keys `name@x`, in order of x.

    Raises:
        RecordError: no such record, or no key `name@...` in it.
    """
    found = curves(unit, experiment, dataset=dataset, profile=profile)
    if name not in found:
        raise RecordError(
            f"The record of {experiment!r} of unit {unit} on {dataset}, profile {profile}, has no keys '{name}@...'; "
            f"its curves: {', '.join(found) or 'none'}. To record it again: "
            f"{record_command(unit, dataset=dataset, profile=profile)}"
        )
    return found[name]


def curves(
    unit: str, experiment: str = MAIN_EXPERIMENT, *, dataset: str = "glyphs", profile: str = "laptop"
) -> dict[str, Curve]:
    """All curves of a record, by name: what `plots.label_curve` takes."""
    record = read(unit, experiment, dataset=dataset, profile=profile)
    points: dict[str, dict[float, str]] = {}
    for key in record.keys:
        name, at, x = key.rpartition("@")
        with contextlib.suppress(ValueError):
            if at:
                points.setdefault(name, {})[float(x)] = key
    result = {}
    for name, keys in points.items():
        figures = [_figure_of(_by_seed(record, keys[x])) for x in sorted(keys)]
        result[name] = Curve(
            x=tuple(sorted(keys)),
            mean=tuple(f.mean for f in figures),
            std=tuple(f.std for f in figures),
            values=tuple(f.values for f in figures),
            n=max(f.n for f in figures),
        )
    return result


def figures(unit: str, experiment: str, *, dataset: str = "glyphs", profile: str = "laptop") -> dict[str, Figure]:
    """All recorded numbers of an experiment by key, in the order of recording: what `plots.bar_with_seeds` takes.

    Raises:
        RecordError: no such record.
    """
    record = read(unit, experiment, dataset=dataset, profile=profile)
    return {key: _figure_of(_by_seed(record, key)) for key in record.keys}


def main_dataset(unit: str) -> str:
    """The data set that a unit is about: "glyphs", or one of another kind, such as text, where it is recorded on that.

    >>> main_dataset("00_first_steps")
    'glyphs'
    """
    recorded = {path.name.split(".")[1] for path in (results_folder() / unit).glob("*.*.*.json")}
    others = [name for names in settings.OTHER_DATASETS.values() for name in names]
    return next((name for name in others if name in recorded), "glyphs")


def recorded_on(unit: str, experiment: str, dataset: str, *, profile: str = "laptop") -> str:
    """The name of the data set if the experiment is recorded on it, else that of the unit's own, `main_dataset`.

    >>> recorded_on("00_first_steps", "label_curve", "no_such_data")
    'glyphs'
    """
    path = record_path(unit, experiment, dataset=dataset, profile=profile)
    return dataset if path.is_file() else main_dataset(unit)


_COMPARISON = re.compile(r"\s*([^\s<>]+)\s*([<>])\s*([^\s<>]+)\s*")


def holds(
    comparison: str, unit: str, experiment: str, *, dataset: str = "glyphs", profile: str = "laptop"
) -> list[tuple[float, float, bool]]:
    """Both sides of a comparison and whether it holds, for each seed.

    Args:
        comparison: two keys, such as "rotation@5 > scratch@5"; one side may be a number.

    Raises:
        RecordError: a figure is not recorded for every seed of the unit, or the comparison cannot be read.
    """
    match = _COMPARISON.fullmatch(comparison)
    if match is None:
        raise RecordError(f"a comparison has two keys, such as 'a@5 > b@5'; got {comparison.strip()!r}.")
    left, sign, right = match.groups()
    pairs = _pairs(read(unit, experiment, dataset=dataset, profile=profile), left, right)
    return [(a, b, a > b if sign == ">" else a < b) for a, b in pairs.values()]


def difference(
    left: str, right: str, unit: str, experiment: str, *, dataset: str = "glyphs", profile: str = "laptop"
) -> Figure:
    """The difference of two keys, taken seed by seed.

    Raises:
        RecordError: a figure is not recorded for every seed of the unit.
    """
    pairs = _pairs(read(unit, experiment, dataset=dataset, profile=profile), left, right)
    return _figure_of({seed: a - b for seed, (a, b) in pairs.items()})


def _pairs(record: Record, left: str, right: str) -> dict[int, tuple[float, float]]:
    """Two keys, or a key and a number, by seed: runs of one seed share their images and first weights."""

    def values(side: str) -> dict[int, float]:
        with contextlib.suppress(ValueError):
            return dict.fromkeys(record.seeds, float(side))
        found = {seed: value for seed, value in _by_seed(record, side).items() if not isinstance(value, list)}
        if missing := sorted(record.seeds.keys() - found):
            raise RecordError(
                f"{record.unit}, {record.experiment}, {record.dataset}: {side!r} is compared seed by seed, but seeds "
                f"{', '.join(map(str, missing))} have no single number for it. Record the unit that it comes from for "
                f"seeds {', '.join(map(str, record.seeds))}, by course results."
            )
        return found

    a, b = values(left), values(right)
    return {seed: (a[seed], b[seed]) for seed in sorted(record.seeds)}


def all_records() -> list[Record]:
    """Every record in the results folder, in order of its path."""
    return [read_file(path) for path in record_files()]


def record_files() -> list[Path]:
    """The files of all records. A unit's folder begins with its number; what lies in others is not a record."""
    return sorted(path for path in results_folder().glob("[0-9]*/*.json") if not path.name.startswith("."))


# --- the course's table ---


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
    "glyphs": (1, 10, 50), "digits": (10,), "mnist": (10,), "docstrings": (10, 50, 200)
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


# --- how numbers are written ---


def _number(value: Any) -> float:
    return float(value.mean if isinstance(value, Figure) else value)


def pct(value: Any, digits: int = 0) -> str:
    """A share as percent: 0.714 -> "71 %" (a no-break space between). A figure counts by its mean."""
    return f"{100 * _number(value):.{digits}f}\N{NO-BREAK SPACE}%"


def num(value: Any, digits: int = 2) -> str:
    """A number with `digits` decimals: 0.714 -> "0.71"; num(0) of 12345 -> "12,345"."""
    return f"{_number(value):,.{digits}f}"


def pm(value: Figure, digits: int | None = None, percent: bool = False) -> str:
    """Mean and standard deviation over seeds: "0.71 ± 0.02", in percent "71 ± 2 %". One seed has no spread: "0.71"."""
    if not isinstance(value, Figure):
        raise TypeError(f"pm takes a whole result, such as result(...) | pm, not {type(value).__name__}.")
    digits = digits if digits is not None else (0 if percent else 2)
    scale, unit = (100, "\N{NO-BREAK SPACE}%") if percent else (1, "")
    spread = f" ± {scale * value.std:.{digits}f}" if value.n > 1 else ""
    return f"{scale * value.mean:.{digits}f}{spread}{unit}"


# --- files ---


def results_folder() -> Path:
    """The folder of all records."""
    return settings.root() / "results"


def record_path(unit: str, experiment: str, *, dataset: str, profile: str) -> Path:
    """The file of a record, whether it exists or not."""
    return results_folder() / unit / f"{experiment}.{dataset}.{profile}.json"


def table_path() -> Path:
    """The file that lists the methods of the results table."""
    return results_folder() / "table.json"


def record_command(unit: str, *, dataset: str, profile: str) -> str:
    """The command that records a unit's experiments."""
    if dataset in settings.DATASETS or settings.kind_of(dataset) != "images":
        return f"course results {unit} --dataset {dataset} --profile {profile}"
    return f"COURSE_DATA=.../{dataset} course results {unit} --dataset folder --profile {profile}"


def read_file(path: Path) -> Record:
    """The record in a file.

    Raises:
        RecordError: it is not a record.
    """
    place = f"{path.parent.name}/{path.name}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Record(
            unit=content["unit"],
            experiment=content["experiment"],
            dataset=content["dataset"],
            profile=content["profile"],
            code_hash=content["code_hash"],
            environment=dict(content["environment"]),
            seeds={int(seed): _from_json(figures) for seed, figures in content["seeds"].items()},
            cpu_seconds={int(seed): float(spent) for seed, spent in content["cpu_seconds"].items()},
            other_environments={int(seed): env for seed, env in content.get("other_environments", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"results/{place} is not a record ({type(error).__name__}: {error}). Delete the file and record it again."
        ) from error


def _from_json(figures: dict[str, Any]) -> dict[str, Value]:
    # JSON knows no NaN; a diverged run is recorded honestly as the string "nan" and read back as the number.
    return {
        key: [float(v) for v in value] if isinstance(value, list) else float(value) for key, value in figures.items()
    }


def _mean(values: Iterable[float]) -> float:
    return math.fsum(values := list(values)) / len(values)


def _std(values: Iterable[float]) -> float:
    values = list(values)
    if not all(map(math.isfinite, values)):
        return math.nan
    return statistics.stdev(values) if len(values) > 1 else 0.0
