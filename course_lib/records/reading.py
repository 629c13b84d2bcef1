"""Records and their figures: what was recorded, seed by seed, and comparisons of it."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import math
import re
import statistics
from collections.abc import Iterable, Mapping
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
    """The data set that a unit is about: "glyphs", or another one where it is recorded on that, such as one of texts.

    >>> main_dataset("00_first_steps")
    'glyphs'
    """
    recorded = {path.name.split(".")[1] for path in (results_folder() / unit).glob("*.*.*.json")}
    others = [name for names in settings.OTHER_DATASETS.values() for name in names]
    if recorded and "glyphs" not in recorded:
        others += settings.DATASETS
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


# --- files ---


def results_folder() -> Path:
    """The folder of all records."""
    return settings.root() / "results"


def record_path(unit: str, experiment: str, *, dataset: str, profile: str) -> Path:
    """The file of a record, whether it exists or not."""
    return results_folder() / unit / f"{experiment}.{dataset}.{profile}.json"


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
