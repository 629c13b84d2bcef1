"""Whether a change of the library changed a number: found where it did, the hash carried over where it did not."""

from __future__ import annotations

import subprocess

import pytest
from benchmarks import numbers_same
from click.testing import CliRunner

from course_lib import records, settings
from course_lib.authoring import recording

TOOLS = "def gain(x, scale, shift):\n    return scale * x + shift\n"
EXPERIMENT = """
import random
from course_lib import tools

def curve(*, dataset, profile, seed):
    return {"scratch@5": tools.gain(5.0, 0.1, seed), "list": [0.1, 1 / 3], "chance": random.random()}

EXPERIMENTS = {"label_curve": curve}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one recorded experiment, committed; the record is valid."""
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    library = tmp_path / "course_lib"
    library.mkdir()
    (library / "__init__.py").touch()
    (library / "tools.py").write_text(TOOLS)
    (tmp_path / "solutions" / "00_trial").mkdir(parents=True)
    (tmp_path / "solutions" / "00_trial" / "experiment.py").write_text(EXPERIMENT)
    write_record(hash_now())
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return library


def hash_now() -> str:
    return numbers_same.run(record(), settings.root(), "smoke").code_hash


def record(code_hash: str = "") -> records.Record:
    seeds = {0: {"scratch@5": 0.5, "list": [0.1, 1 / 3], "chance": 0.2}}
    return records.Record("00_trial", "label_curve", "glyphs", "laptop", code_hash, {}, seeds, {0: 1.5})


def write_record(code_hash: str) -> None:
    recording.write(record(code_hash))


def run(*options: str) -> tuple[int, str]:
    done = CliRunner().invoke(numbers_same.main, ["HEAD", *options])
    return done.exit_code, done.output


def test_the_same_figures_carry_the_hash_over_and_leave_the_numbers(project):
    before = records.read("00_trial", "label_curve")
    (project / "tools.py").write_text("def gain(x, scale, *, shift):\n    return scale * x + shift\n")
    experiment = settings.root() / "solutions" / "00_trial" / "experiment.py"
    experiment.write_text(EXPERIMENT.replace("0.1, seed)", "0.1, shift=seed)"))
    status, said = run()
    assert status == 0 and "valid, the same (not compared: chance)" in said
    assert records.read("00_trial", "label_curve") == before, "only with --carry"
    status, said = run("--carry")
    assert status == 0 and f"hash {before.code_hash} -> " in said
    after = records.read("00_trial", "label_curve")
    assert after.code_hash == hash_now() != before.code_hash
    assert (after.seeds, after.cpu_seconds) == (before.seeds, before.cpu_seconds)


def test_another_figure_is_named_and_nothing_is_carried(project):
    before = records.read("00_trial", "label_curve")
    (project / "tools.py").write_text(TOOLS.replace("scale * x", "scale * x * (1 + 1e-15)"))
    status, said = run("--carry")
    assert status == 1 and "DIFFERENT: scratch@5 (not compared: chance)" in said
    assert records.read("00_trial", "label_curve") == before


def test_a_record_that_was_stale_stays_stale(project):
    write_record("0" * 16)
    (project / "tools.py").write_text(TOOLS.replace("scale * x + shift", "x * scale + shift"))
    status, said = run("--carry")
    assert status == 0 and "stale, the same" in said
    assert records.read("00_trial", "label_curve").code_hash == "0" * 16


def test_an_experiment_that_stops_is_named(project):
    (project / "tools.py").write_text("def gain(x):\n    return x\n")
    status, said = run("--carry")
    assert status == 1 and "TypeError" in said
