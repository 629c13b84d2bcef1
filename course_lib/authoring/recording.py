"""Running experiments and recording what they give: `run`.

An experiment is a function `f(*, dataset, profile, seed) -> dict[str, float | list[float]]`, named in the dictionary
`EXPERIMENTS` of `solutions/<unit>/experiment.py`. `course_lib.records` has what a record is and reads it.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from course_lib import files, records, settings
from course_lib.authoring.code_hash import code_hash
from course_lib.records import Record, Value


def run(
    unit: str,
    *,
    experiment: str | None = None,
    dataset: str | None = None,
    profile: str = "laptop",
    seeds: int | Iterable[int] = 3,
    fresh: bool = False,
    record_as: str | None = None,
    progress: bool = True,
) -> list[Record]:
    """Runs the seeds of a unit's experiments that are not recorded yet and records each as soon as it is done.

    A record whose code has changed is begun anew: figures of two versions of the code are never mixed. Ctrl-C loses
    only the seed that was running; the next call goes on from there. The unit's rows of the results table are noted.

    Args:
        unit: such as "01_autoencoders".
        experiment: one name in `EXPERIMENTS`; None runs them all.
        dataset: handed to the experiment, and in force (`COURSE_DATASET`) while it runs. None is the unit's own:
            `DATASET` of its experiment.py, or glyphs.
        profile: handed to the experiment, and in force (`COURSE_PROFILE`) while it runs.
        seeds: how many (0, 1, ..., n - 1), or which.
        fresh: run every seed again even when it is recorded.
        record_as: the name of the data set in the record; by default `dataset`, for "folder" the name of `COURSE_DATA`.
        progress: show a progress bar.

    Returns:
        The records, complete for the seeds asked for.

    Raises:
        ValueError: unknown unit, experiment or profile, a seed below 0, a data set of another kind than the unit's,
            or an experiment that returns something else than a flat dictionary of numbers.
        PermissionError: the results folder cannot be written to (found out before anything is computed).
    """
    if profile not in settings.PROFILES:
        raise ValueError(f"Unknown profile {profile!r}; it must be one of {', '.join(settings.PROFILES)}.")
    wanted = list(range(seeds)) if isinstance(seeds, int) else sorted({int(seed) for seed in seeds})
    if not wanted or wanted[0] < 0:
        raise ValueError(f"seeds is {seeds!r}; give a count of at least 1, or seeds of 0 and above.")
    module = load_experiments(unit)
    own = str(getattr(module, "DATASET", "glyphs"))
    dataset = dataset or own
    if not fits(unit, dataset):
        raise ValueError(f"Unit {unit} is about {settings.kind_of(own)}, and {dataset} is {settings.kind_of(dataset)}.")
    recorded_name = _recorded_name(dataset, record_as)
    experiments = module.EXPERIMENTS
    if experiment is not None and experiment not in experiments:
        raise ValueError(f"Unit {unit} has no experiment {experiment!r}; it has {', '.join(experiments)}.")
    _check_writable(records.results_folder() / unit)
    note_methods(unit)
    names = [experiment] if experiment is not None else list(experiments)
    with _in_force(dataset, profile):
        machine = environment() | getattr(module, "environment", dict)()
    done = []
    for name in names:
        function = experiments[name]
        new = Record(unit, name, recorded_name, profile, code_hash(function), machine)
        done.append(_recorded(new, function, wanted, dataset=dataset, fresh=fresh, progress=progress))
    return done


def _recorded(
    new: Record,
    function: Callable[..., dict[str, Value]],
    wanted: list[int],
    *,
    dataset: str,
    fresh: bool,
    progress: bool,
) -> Record:
    """The record of an experiment with all wanted seeds; `new` says what it is, and how, where it runs now."""
    from tqdm.auto import tqdm

    record = new if fresh else _go_on(new)
    missing = [seed for seed in wanted if seed not in record.seeds]
    title = f"{new.unit} {new.experiment}"
    with _in_force(dataset, new.profile), tqdm(missing, desc=title, unit="seed", disable=not progress) as bar:
        for seed in bar:
            began = time.process_time()
            figures = _checked(_run_with_all_labels(function, dataset=dataset, profile=new.profile, seed=seed), new)
            spent = round(time.process_time() - began, 2)
            if seed != missing[0] or not fresh:
                record = _go_on(new)  # another process may have recorded other seeds in the meantime
            record.seeds[seed] = figures
            record.cpu_seconds[seed] = spent
            if record.environment != new.environment:
                record.other_environments[seed] = new.environment
            write(record)
    return record


def _run_with_all_labels(function: Callable[..., Any], **options: Any) -> Any:
    """What an experiment returns; a figure's name says how many labels were used, so fewer are an error here."""
    from course_lib.data import FewerLabels

    with warnings.catch_warnings():
        warnings.simplefilter("error", FewerLabels)
        try:
            return function(**options)
        except FewerLabels as fewer:
            raise ValueError(f"{fewer} A record says how many labels were used, so nothing is recorded.") from fewer


def _go_on(new: Record) -> Record:
    """The record on disk when its code is that of `new`, else `new` itself, empty."""
    path = records.record_path(new.unit, new.experiment, dataset=new.dataset, profile=new.profile)
    if path.is_file():
        recorded = records.read_file(path)
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


def _checked(figures: Any, new: Record) -> dict[str, Value]:
    """Plain floats from what an experiment returned (numpy and torch scalars and vectors included)."""
    who = f"Experiment {new.experiment!r} of {new.unit}"
    if not isinstance(figures, dict) or not figures:
        raise ValueError(f"{who} returned {type(figures).__name__}; expected a dict of numbers.")
    plain: dict[str, Value] = {}
    for key, value in figures.items():
        value = value.tolist() if hasattr(value, "tolist") else value
        try:
            plain[str(key)] = [float(v) for v in value] if isinstance(value, list | tuple) else float(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{who} returned {value!r} under {key!r}; expected a number or a list of them.") from error
    return plain


def is_stale(record: Record) -> bool:
    """Whether the experiment's code, or anything it calls, has changed since the record was made (or is gone)."""
    if not (settings.root() / "solutions" / record.unit / "experiment.py").is_file():
        return True
    function = load_experiments(record.unit).EXPERIMENTS.get(record.experiment)
    return function is None or code_hash(function) != record.code_hash


# --- experiments ---


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
    return loaded(_experiment_path(unit))


def loaded(path: Path) -> ModuleType:
    """Imports an experiment.py afresh, in whatever folder it lies; see `load_experiments`."""
    unit = path.parent.name
    name = "course_experiment_" + re.sub(r"\W", "_", unit)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name while the file is executed
    spec.loader.exec_module(module)
    if not isinstance(getattr(module, "EXPERIMENTS", None), dict):
        raise ValueError(f'solutions/{unit}/experiment.py defines no EXPERIMENTS = {{"name": function, ...}}.')
    return module


def fits(unit: str, dataset: str) -> bool:
    """Whether the unit can be recorded on a data set: one of the kind that `DATASET` of its experiment.py is of."""
    return settings.kind_of(dataset) == settings.kind_of(str(_literal(unit, "DATASET") or "glyphs"))


def methods_of(unit: str) -> dict[str, str]:
    """`TABLE_ROWS` of a unit's experiment.py, read without running the file: method -> key prefix; {} without.

    Raises:
        ValueError: it is not a literal dictionary, or the unit has no experiment.
    """
    try:
        return {str(method): str(key) for method, key in (_literal(unit, "TABLE_ROWS") or {}).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(
            f"TABLE_ROWS in solutions/{unit}/experiment.py must be a literal dictionary: method -> key prefix."
        ) from error


def _literal(unit: str, name: str) -> Any:
    """What a name of a unit's experiment.py is set to, read without running the file; None without."""
    for statement in ast.parse(_experiment_path(unit).read_text(encoding="utf-8")).body:
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        value = getattr(statement, "value", None)
        if value is not None and any(isinstance(t, ast.Name) and t.id == name for t in targets):
            return ast.literal_eval(value)
    return None


# --- files ---


def write(record: Record) -> Path:
    """Writes a record atomically: after a crash the file is the old one or the new one, never half of one."""
    path = records.record_path(record.unit, record.experiment, dataset=record.dataset, profile=record.profile)
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
    files.replace(path, json.dumps(content, indent=1) + "\n")
    return path


def _to_json(value: Value) -> Any:
    if isinstance(value, list):
        return [_to_json(v) for v in value]
    return value if math.isfinite(value) else str(value)


def note_methods(unit: str) -> None:
    """Writes a unit's rows of the results table into results/table.json, when they are other than there."""
    listed, methods = records.listed_methods(), methods_of(unit)
    if list(listed.get(unit, {}).items()) != list(methods.items()):
        listed = {**listed, unit: methods}
        content = {name: listed[name] for name in sorted(listed) if listed[name]}
        files.replace(records.table_path(), json.dumps(content, indent=1, ensure_ascii=False) + "\n")


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
