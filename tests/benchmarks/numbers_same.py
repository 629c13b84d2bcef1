"""Does a change of the library change a recorded number? The experiments run on the code of two commits.

    python -m tests.benchmarks.numbers_same main                   # all experiments, a few steps each: minutes
    python -m tests.benchmarks.numbers_same main --profile laptop  # as they are recorded: an hour
    python -m tests.benchmarks.numbers_same main --carry

Every recorded experiment runs for seed 0 on the commit's code and on that of the working tree, in processes of their
own; every figure must be the same to the last bit. Figures that differ between two runs of one code, such as seconds,
are left out and named. COURSE_DATA names the folder with the real data sets.

A move makes no record stale, but another signature of a function that every experiment calls does. For a change that
is meant to change no number, `--carry` writes today's hash into the records that were valid at the commit and whose
experiment gave the same figures. Exits with 1 when a figure differs.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import click

from course_lib import authoring, records, settings
from course_lib.authoring import recording
from course_lib.records import Record

# Runs in a process of its own, on the code of its folder; the hash is by today's rule, whatever code that is.
RUN = """
import importlib.util, json, sys, types
from pathlib import Path

def loaded(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

path, name, dataset, profile, library, authoring = sys.argv[1:]
sys.path.insert(0, str(Path(library).parent))
function = loaded("course_experiment", path).EXPERIMENTS[name]
sys.modules["course_lib.authoring"] = package = types.ModuleType("course_lib.authoring")
package.parsing = loaded("course_lib.authoring.parsing", Path(authoring, "parsing.py"))
code_hash = loaded("course_lib.authoring.code_hash", Path(authoring, "code_hash.py"))
found = {"code_hash": code_hash.code_hash(function, library=Path(library))}
figures = function(dataset=dataset, profile=profile, seed=0)
plain = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in figures.items()}
found["figures"] = {key: repr(value) for key, value in plain.items()}
import course_lib
assert Path(course_lib.__file__).parent.samefile(library), course_lib.__file__
print(json.dumps(found))
"""


@dataclasses.dataclass
class Found:
    """What an experiment gave for seed 0 on some code, and the hash of that code."""

    code_hash: str
    figures: dict[str, str]


def run(record: Record, folder: Path, profile: str) -> Found:
    """Runs a record's experiment on the code in a folder.

    Raises:
        ClickException: it is not there, or stops with an error.
    """
    dataset = record.dataset if record.dataset in settings.DATASETS else "folder"
    variables = {**os.environ, "PYTHONPATH": str(folder), "COURSE_ROOT": str(folder), "COURSE_DEVICE": "cpu"}
    variables |= {"COURSE_DATASET": dataset, "COURSE_PROFILE": profile}
    if dataset == "folder":
        variables["COURSE_DATA"] = str(Path(os.environ.get("COURSE_DATA", "")) / record.dataset)
    path = folder / "solutions" / record.unit / "experiment.py"
    places = [str(folder / "course_lib"), str(Path(authoring.__file__).parent)]
    command = [sys.executable, "-c", RUN, str(path), record.experiment, dataset, profile, *places]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(done.stderr.strip().rpartition("\n")[2])
    return Found(**json.loads(done.stdout.strip().rpartition("\n")[2]))


def unpacked(commit: str, folder: Path) -> Path:
    """The project as it was at a commit, in a folder."""
    subprocess.run(["git", "archive", "--output", folder / "commit.tar", commit], cwd=settings.root(), check=True)
    with tarfile.open(folder / "commit.tar") as archive:
        archive.extractall(folder / "commit", filter="data")
    return folder / "commit"


def different(one: Found, other: Found) -> list[str]:
    """The keys whose figures differ."""
    keys = dict.fromkeys([*one.figures, *other.figures])
    return [key for key in keys if one.figures.get(key) != other.figures.get(key)]


def compared(record: Record, before: Path, after: Path, profile: str, *, carry: bool) -> tuple[bool, str]:
    """Whether a record's experiment gives the same on two trees, and a line that says so; carries its hash over."""
    try:
        then, now = run(record, before, profile), run(record, after, profile)
        differ = different(then, now)
        unsteady = different(then, run(record, before, profile)) if differ else []
    except click.ClickException as error:
        return False, f"FAILED: {error.message}"
    state = {then.code_hash: "valid", now.code_hash: "as today"}.get(record.code_hash, "stale")
    wrong = [key for key in differ if key not in unsteady]
    said = f"{state}, " + (f"DIFFERENT: {', '.join(wrong[:5])}" if wrong else "the same")
    said += f" (not compared: {', '.join(unsteady)})" if unsteady else ""
    if carry and not wrong and record.code_hash == then.code_hash != now.code_hash:
        recording.write(dataclasses.replace(record, code_hash=now.code_hash))
        said += f"; hash {then.code_hash} -> {now.code_hash}"
    return not wrong, said


@click.command()
@click.argument("commit")
@click.option("--profile", type=click.Choice(settings.PROFILES), default="smoke", show_default=True)
@click.option("--unit", multiple=True, help="Only this unit; may be given again.")
@click.option(
    "--most", type=float, default=float("inf"), help="Only experiments that took at most so many CPU seconds."
)
@click.option("--carry", is_flag=True, help="Write today's hash into the records whose figures are the same.")
def main(commit: str, profile: str, unit: tuple[str, ...], most: float, carry: bool) -> None:
    """Runs the recorded experiments on COMMIT's code and on the working tree's and compares their figures."""
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        before = unpacked(commit, Path(folder))
        for record in records.all_records():
            if (not unit or record.unit in unit) and record.cpu_seconds.get(0, 0.0) <= most:
                same, said = compared(record, before, settings.root(), profile, carry=carry)
                wrong += not same
                click.echo(f"{record.unit} {record.experiment} ({record.dataset}): {said}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
