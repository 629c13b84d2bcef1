"""Recorded results: the only place that numbers in prose, tables and figures come from.

A record is one JSON file for one experiment of one unit on one data set in one profile:
`results/<unit>/<experiment>.<dataset>.<profile>.json`. It holds the figures of every seed, the environment, and a
hash of the experiment's code, so that a number whose code has changed since is found (`is_stale`). Text quotes a
record by a placeholder, `{{ result("label_curve", "scratch@10").mean | pct }}`, which `render` fills in.

An experiment is a function `f(*, dataset, profile, seed) -> dict[str, float | list[float]]`, named in the dictionary
`EXPERIMENTS` of `solutions/<unit>/experiment.py`. A key such as "scratch@5" is one point, x = 5, of the curve
"scratch".
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import difflib
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from course_lib import settings

Value = float | list[float]
MAIN_EXPERIMENT = "label_curve"


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

    Where an experiment recorded a list under the key, `mean` and `std` are tuples, one entry a position.
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


# ---------------------------------------------------------------------------------------------- where things are


def results_folder() -> Path:
    """The folder of all records."""
    return settings.root() / "results"


def record_path(unit: str, experiment: str, *, dataset: str, profile: str) -> Path:
    """The file of a record, whether it exists or not."""
    return results_folder() / unit / f"{experiment}.{dataset}.{profile}.json"


def record_command(unit: str, *, dataset: str, profile: str) -> str:
    """The command that records a unit's experiments."""
    return f"course results {unit} --dataset {dataset} --profile {profile}"


def units() -> list[str]:
    """The units that have an experiment, in order."""
    return sorted(path.parent.name for path in (settings.root() / "solutions").glob("*/experiment.py"))


def _experiment_path(unit: str) -> Path:
    path = settings.root() / "solutions" / unit / "experiment.py"
    if not path.is_file():
        known = ", ".join(units()) or "none"
        raise ValueError(f"Unit {unit!r} has no solutions/{unit}/experiment.py; units with an experiment: {known}.")
    return path


def load_experiments(unit: str) -> ModuleType:
    """Imports `solutions/<unit>/experiment.py` afresh, by its path.

    Raises:
        ValueError: the unit has no experiment, or the file has no dictionary `EXPERIMENTS`.
    """
    path = _experiment_path(unit)
    name = "course_experiment_" + re.sub(r"\W", "_", unit)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name while the file is executed
    spec.loader.exec_module(module)
    if not isinstance(getattr(module, "EXPERIMENTS", None), dict):
        raise ValueError(f'solutions/{unit}/experiment.py defines no EXPERIMENTS = {{"name": function, ...}}.')
    return module


# ---------------------------------------------------------------------------------------------- reading and writing


def read(unit: str, experiment: str, *, dataset: str = "glyphs", profile: str = "laptop") -> Record:
    """The record of an experiment.

    Raises:
        RecordError: there is none (the message names the command that makes it), or the file is no record.
    """
    path = record_path(unit, experiment, dataset=dataset, profile=profile)
    if not path.is_file():
        command = record_command(unit, dataset=dataset, profile=profile)
        raise RecordError(
            f"No record of {experiment!r} of unit {unit} on {dataset}, profile {profile}. Make it: {command}"
        )
    return _read_file(path)


def _read_file(path: Path) -> Record:
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


def _to_json(value: Value) -> Any:
    if isinstance(value, list):
        return [_to_json(v) for v in value]
    return value if math.isfinite(value) else str(value)


def write(record: Record) -> Path:
    """Writes a record atomically: after a crash the file is the old one or the new one, never half of one."""
    path = record_path(record.unit, record.experiment, dataset=record.dataset, profile=record.profile)
    content = {
        "unit": record.unit,
        "experiment": record.experiment,
        "dataset": record.dataset,
        "profile": record.profile,
        "code_hash": record.code_hash,
        "environment": record.environment,
        "seeds": {
            str(seed): {key: _to_json(value) for key, value in record.seeds[seed].items()}
            for seed in sorted(record.seeds)
        },
        "cpu_seconds": {str(seed): record.cpu_seconds[seed] for seed in sorted(record.cpu_seconds)},
    }
    if record.other_environments:
        content["other_environments"] = {str(seed): env for seed, env in sorted(record.other_environments.items())}
    _write_atomically(path, json.dumps(content, indent=1) + "\n")
    return path


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-", suffix=path.suffix)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes the file private; a record is for everyone who reads the project
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def environment() -> dict[str, Any]:
    """What the figures may depend on: versions, device, threads. No host name, no path, no user."""
    import torch

    device = settings.device()
    if device.type == "cuda":
        device_name = torch.cuda.get_device_name(device)
    else:
        device_name = {"mps": "Apple GPU"}.get(device.type) or _processor()
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "torchvision": _version("torchvision"),
        "device": device.type,
        "device_name": device_name,
        "threads": torch.get_num_threads(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found.group(1).strip()
    return platform.processor() or platform.machine()


# ---------------------------------------------------------------------------------------------- running


def run(
    unit: str,
    *,
    experiment: str | None = None,
    dataset: str = "glyphs",
    profile: str = "laptop",
    seeds: int | Iterable[int] = 3,
    fresh: bool = False,
    record_as: str | None = None,
    progress: bool = True,
) -> list[Record]:
    """Runs the seeds of a unit's experiments that are not recorded yet and records each as soon as it is done.

    A record whose code has changed is begun anew: figures of two versions of the code are never mixed. Ctrl-C loses
    only the seed that was running; the next call goes on from there.

    Args:
        unit: such as "01_autoencoders".
        experiment: one name in `EXPERIMENTS`; None runs them all.
        dataset: handed to the experiment, and in force (`COURSE_DATASET`) while it runs.
        profile: handed to the experiment, and in force (`COURSE_PROFILE`) while it runs.
        seeds: how many (0, 1, ..., n - 1), or which.
        fresh: run every seed again even when it is recorded.
        record_as: the name of the data set in the record; by default `dataset`, for "folder" the name of `COURSE_DATA`.
        progress: show a progress bar.

    Returns:
        The records, complete for the seeds asked for.

    Raises:
        ValueError: unknown unit, experiment or profile, a seed below 0, or an experiment that returns something else
            than a flat dictionary of numbers.
        PermissionError: the results folder cannot be written to (found out before anything is computed).
    """
    if profile not in settings.PROFILES:
        raise ValueError(f"Unknown profile {profile!r}; it must be one of {', '.join(settings.PROFILES)}.")
    wanted = list(range(seeds)) if isinstance(seeds, int) else sorted({int(seed) for seed in seeds})
    if not wanted or wanted[0] < 0:
        raise ValueError(f"seeds is {seeds!r}; give a count of at least 1, or seeds of 0 and above.")
    recorded_name = _recorded_name(dataset, record_as)
    experiments = load_experiments(unit).EXPERIMENTS
    if experiment is not None and experiment not in experiments:
        raise ValueError(f"Unit {unit} has no experiment {experiment!r}; it has {', '.join(experiments)}.")
    _check_writable(results_folder() / unit)
    names = [experiment] if experiment is not None else list(experiments)
    return [
        _run_one(unit, name, experiments[name], dataset, recorded_name, profile, wanted, fresh, progress)
        for name in names
    ]


def _recorded_name(dataset: str, record_as: str | None) -> str:
    name = record_as or dataset
    if name == "folder":
        folder = settings.data_folder()
        name = folder.resolve().name if folder is not None else name
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"The data set's name in a record may hold letters, digits, - and _ only, not {name!r}.")
    return name


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PermissionError(
            f"Cannot write to {folder} ({error.strerror}). Nothing was computed; make it writable and run again."
        ) from error


def _run_one(
    unit: str,
    name: str,
    function: Callable[..., dict[str, Value]],
    dataset: str,
    recorded_name: str,
    profile: str,
    wanted: list[int],
    fresh: bool,
    progress: bool,
) -> Record:
    from tqdm.auto import tqdm

    from course_lib.authoring.code_hash import code_hash

    new = Record(unit, name, recorded_name, profile, code_hash(function), environment())
    record = new if fresh else _go_on(new)
    missing = [seed for seed in wanted if seed not in record.seeds]
    with _in_force(dataset, profile), tqdm(missing, desc=f"{unit} {name}", unit="seed", disable=not progress) as bar:
        for seed in bar:
            began = time.process_time()
            figures = _checked(function(dataset=dataset, profile=profile, seed=seed), unit, name)
            spent = round(time.process_time() - began, 2)
            if seed != missing[0] or not fresh:
                record = _go_on(new)  # another process may have recorded other seeds in the meantime
            record.seeds[seed] = figures
            record.cpu_seconds[seed] = spent
            if record.environment != new.environment:
                record.other_environments[seed] = new.environment
            write(record)
    return record


def _go_on(new: Record) -> Record:
    """The record on disk when its code is that of `new`, else `new` itself, empty."""
    path = record_path(new.unit, new.experiment, dataset=new.dataset, profile=new.profile)
    if path.is_file():
        recorded = _read_file(path)
        if recorded.code_hash == new.code_hash:
            return recorded
    return dataclasses.replace(new, seeds={}, cpu_seconds={}, other_environments={})


@contextlib.contextmanager
def _in_force(dataset: str, profile: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ("COURSE_DATASET", "COURSE_PROFILE")}
    os.environ.update(COURSE_DATASET=dataset, COURSE_PROFILE=profile)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _checked(figures: Any, unit: str, name: str) -> dict[str, Value]:
    """Plain floats from what an experiment returned (numpy and torch scalars and vectors included)."""
    if not isinstance(figures, dict) or not figures:
        raise ValueError(
            f"Experiment {name!r} of {unit} returned {type(figures).__name__}; expected a dict of numbers."
        )
    plain: dict[str, Value] = {}
    for key, value in figures.items():
        value = value.tolist() if hasattr(value, "tolist") else value
        try:
            plain[str(key)] = [float(v) for v in value] if isinstance(value, list | tuple) else float(value)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Experiment {name!r} of {unit} returned {value!r} under {key!r}; expected a number or a list of them."
            ) from error
    return plain


def is_stale(record: Record) -> bool:
    """Whether the experiment's code, or anything it calls, has changed since the record was made (or is gone)."""
    if not (settings.root() / "solutions" / record.unit / "experiment.py").is_file():
        return True
    function = load_experiments(record.unit).EXPERIMENTS.get(record.experiment)
    from course_lib.authoring.code_hash import code_hash

    return function is None or code_hash(function) != record.code_hash


# ---------------------------------------------------------------------------------------------- quoting


def figure(unit: str, experiment: str, key: str, *, dataset: str = "glyphs", profile: str = "laptop") -> Figure:
    """One recorded number, over seeds.

    Raises:
        RecordError: no such record (names the command that makes it), or no such key (names the nearest ones).
    """
    record = read(unit, experiment, dataset=dataset, profile=profile)
    values = tuple(figures[key] for _, figures in sorted(record.seeds.items()) if key in figures)
    if not values:
        near = difflib.get_close_matches(key, record.keys, n=5, cutoff=0.3) or record.keys[:10]
        raise RecordError(
            f"The record of {experiment!r} of unit {unit} on {dataset}, profile {profile}, has no {key!r}; "
            f"it has for example {', '.join(near) or 'nothing'}. To record it again: {record.command}"
        )
    if isinstance(values[0], list):
        lists = [list(value) if isinstance(value, list) else [value] for value in values]
        columns = list(zip(*lists, strict=False))
        return Figure(
            tuple(_mean(c) for c in columns), tuple(_std(c) for c in columns), tuple(map(tuple, lists)), len(lists)
        )
    plain = tuple(value for value in values if not isinstance(value, list))
    return Figure(_mean(plain), _std(plain), plain, len(plain))


def _mean(values: Iterable[float]) -> float:
    return math.fsum(values := list(values)) / len(values)


def _std(values: Iterable[float]) -> float:
    values = list(values)
    if not all(map(math.isfinite, values)):
        return math.nan
    return statistics.stdev(values) if len(values) > 1 else 0.0


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
        figures = [figure(unit, experiment, keys[x], dataset=dataset, profile=profile) for x in sorted(keys)]
        result[name] = Curve(
            x=tuple(sorted(keys)),
            mean=tuple(f.mean for f in figures),
            std=tuple(f.std for f in figures),
            values=tuple(f.values for f in figures),
            n=max(f.n for f in figures),
        )
    return result


def all_records() -> list[Record]:
    """Every record in the results folder, in order of its path."""
    return [_read_file(path) for path in _record_files()]


def _record_files() -> list[Path]:
    """The files of all records. A unit's folder begins with its number; what lies in others is no record."""
    return sorted(path for path in results_folder().glob("[0-9]*/*.json") if not path.name.startswith("."))


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


# A placeholder calls result(...) or results_table(...), or begins with a space. LaTeX such as x^{{2}} does neither.
_PLACEHOLDER = re.compile(r"\{\{((?:\s|(?=results?(?:_table)?\s*\()).*?)\}\}", re.DOTALL)


def render(text: str, *, unit: str) -> str:
    """Fills the placeholders of a text with recorded numbers; all other braces (LaTeX) stay as they are.

    A placeholder is a Jinja2 expression: `{{ result("label_curve", "scratch@10").mean | pct }}`. `result(experiment,
    key, dataset="glyphs", profile="laptop", unit=<this unit>)` is `figure`; `results_table()` is the course's table up
    to this unit. Filters: `pct`, `num`, `pm`.

    Raises:
        RecordError: no such record, or a placeholder that cannot be read (the message quotes it).
    """
    if "{{" not in text:
        return text

    def result(experiment: str, key: str, dataset: str = "glyphs", profile: str = "laptop", unit: str = unit) -> Figure:
        return figure(unit, experiment, key, dataset=dataset, profile=profile)

    def table() -> str:
        return results_table(up_to=unit)

    return _PLACEHOLDER.sub(lambda match: _evaluated(match.group(1), unit, result=result, results_table=table), text)


def _evaluated(expression: str, where: str, **names: Any) -> str:
    import jinja2

    template_environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    template_environment.filters.update(pct=pct, num=num, pm=pm)
    try:
        return template_environment.from_string("{{" + expression + "}}").render(**names)
    except RecordError:
        raise
    except (jinja2.TemplateError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"{where}: the placeholder {{{{{expression}}}}} cannot be filled: {error}") from error


def _table_rows(unit: str) -> dict[str, str]:
    """`TABLE_ROWS` of a unit's experiment.py, read without running the file."""
    tree = ast.parse(_experiment_path(unit).read_text(encoding="utf-8"))
    for statement in tree.body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        from course_lib.authoring.parsing import defined_by

        if "TABLE_ROWS" not in defined_by(statement):
            continue
        try:
            return {str(label): str(key) for label, key in ast.literal_eval(statement.value).items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise ValueError(
                f"TABLE_ROWS in solutions/{unit}/experiment.py must be a literal dictionary: method -> key prefix."
            ) from error
    return {}


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
    """The rows of the results table: the default data set and profile first, then units and their TABLE_ROWS in order.

    A unit adds rows by `TABLE_ROWS = {"Supervised, from scratch": "scratch"}` in its experiment.py: method -> key
    prefix in its experiment "label_curve" ("other_experiment:prefix" for another). Rows without a record are left out.

    Args:
        up_to: the last unit to include; None includes all.
    """
    rows: list[TableRow] = []
    recorded: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for record in all_records():
        if record.profile != "smoke":
            recorded.setdefault((record.unit, record.experiment), []).append((record.dataset, record.profile))
    for unit in units():
        if up_to is not None and unit > up_to:
            continue
        for method, key in _table_rows(unit).items():
            experiment, _, prefix = key.rpartition(":")
            experiment = experiment or MAIN_EXPERIMENT
            for dataset, profile in recorded.get((unit, experiment), []):
                found = curves(unit, experiment, dataset=dataset, profile=profile)
                if prefix in found:
                    rows.append(TableRow(unit, method, dataset, profile, prefix, found[prefix]))
    rows.sort(key=lambda row: (row.dataset != "glyphs", row.dataset, row.profile != "laptop", row.profile, row.unit))
    return rows


def results_table(
    *, up_to: str | None = None, dataset: str | None = None, budgets: Sequence[float] | None = None
) -> str:
    """The course's results table in Markdown: accuracy by labels a class, a row for each recorded method of each unit.

    Args:
        up_to: the last unit to include; None includes all.
        dataset: only rows of this data set in the profile laptop, without columns that are then the same everywhere.
        budgets: only these numbers of labels a class, and rows that have one of them; None takes all.
    """
    rows = table_rows(up_to=up_to)
    if dataset is not None:
        rows = [row for row in rows if (row.dataset, row.profile) == (dataset, "laptop")]
    if budgets is not None:
        rows = [row for row in rows if set(row.curve.x) & set(budgets)]
    if not rows:
        return "No results are recorded yet; `course results UNIT` records them."
    shown = sorted({x for row in rows for x in row.curve.x if budgets is None or x in budgets})
    seeds = sorted({row.curve.n for row in rows})
    short = dataset is not None and len(seeds) == 1
    over = f"{seeds[0]} seeds, on *{dataset}*" if short else "seeds"
    lines = [
        f"Test accuracy by number of labels a class: mean ± standard deviation over {over}.",
        "",
        ("| Unit | Method | " if short else "| Data set | Profile | Unit | Method | ")
        + " | ".join(f"{x:g}" for x in shown)
        + (" |" if short else " | Seeds |"),
        ("|---|---|" if short else "|---|---|---|---|") + "---:|" * (len(shown) + (0 if short else 1)),
    ]
    for row in rows:
        cells = [pm(row.curve.at(x), percent=True) if x in row.curve.x else "–" for x in shown]
        start = f"| {row.unit[:2]} | {row.method} | {' | '.join(cells)} |"
        lines.append(start if short else f"| {row.dataset} | {row.profile} {start} {row.curve.n} |")
    return "\n".join(lines)


# The files that show the table: a short one where people arrive, all of it beside the records.
README_FILES = ("README.md", "results/README.md")
_TABLE = re.compile(r"(<!-- results(?: ([\w-]+))?((?: \d+)*) -->\n).*?(<!-- /results -->)", re.DOTALL)
_INLINE = re.compile(r"(<!-- (result\(.*?) -->).*?(<!-- / -->)", re.DOTALL)


def write_readme(path: Path) -> bool:
    """Fills in a Markdown file's results, the file's other text left alone.

    The table goes between `<!-- results -->` and `<!-- /results -->`; `<!-- results glyphs 1 10 -->` takes one data
    set and some numbers of labels a class. Single numbers go between
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
        _write_atomically(path, after)
    return after != before


def filled_readme(text: str, *, name: str = "README.md") -> str:
    """The text of a Markdown file with its results filled in; see `write_readme`."""
    if not _TABLE.search(text):
        raise ValueError(
            f"{name} has no lines <!-- results --> and <!-- /results --> to put the results table between."
        )

    def result(experiment: str, key: str, dataset: str = "glyphs", profile: str = "laptop", *, unit: str) -> Figure:
        return figure(unit, experiment, key, dataset=dataset, profile=profile)

    text = _INLINE.sub(
        lambda match: match.group(1) + _evaluated(match.group(2), name, result=result) + match.group(3), text
    )

    def table(match: re.Match[str]) -> str:
        budgets = [float(x) for x in match.group(3).split()] or None
        return f"{match.group(1)}{results_table(dataset=match.group(2), budgets=budgets)}\n{match.group(4)}"

    return _TABLE.sub(table, text)


# ---------------------------------------------------------------------------------------------- checking


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something wrong with a quoted number: `level` "error" (fails a test) or "warning", the place, and what to do."""

    level: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.level}: {self.place}: {self.message}"


def check_quotes() -> list[Problem]:
    """What is wrong with the numbers that the course quotes.

    Errors: a placeholder that cannot be filled; a file that is no record; a laptop record whose code has changed since;
    a README.md, at the top or in results/, that does not show what is recorded.
    Warnings: a record of another profile whose code has changed (a GPU is not always at hand).
    """
    problems = []
    for path in sorted((settings.root() / "solutions").glob("*/*.py")):
        unit = path.parent.name
        for line, text in _markdown_of(path):
            for match in _PLACEHOLDER.finditer(text):
                place = f"solutions/{unit}/{path.name}:{line + text.count(chr(10), 0, match.start())}"
                try:
                    render(match.group(0), unit=unit)
                except RecordError as error:
                    problems.append(Problem("error", place, str(error)))
    for name in README_FILES:
        readme = settings.root() / name
        if readme.is_file() and _TABLE.search(before := readme.read_text(encoding="utf-8")):
            try:
                if filled_readme(before, name=name) != before:
                    message = "its numbers or its results table are out of date. Fill them in again: course results"
                    problems.append(Problem("error", name, message))
            except RecordError as error:
                problems.append(Problem("error", name, str(error)))
    for file in _record_files():
        place = f"results/{file.parent.name}/{file.name}"
        try:
            record = _read_file(file)
        except RecordError as error:
            problems.append(Problem("error", place, str(error)))
            continue
        if is_stale(record):
            level = "error" if record.profile == "laptop" else "warning"
            message = f"the code of {record.experiment!r} has changed since. Record it again: {record.command}"
            problems.append(Problem(level, place, message))
    return problems


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
