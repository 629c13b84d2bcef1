"""Grading on a Dask cluster: the same bytes as here, and clear words when there is no cluster."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import class_notebooks as notebooks
import pytest
from class_notebooks import UNIT, answered
from click.testing import CliRunner

from course_lib.grading import command, pool
from course_lib.grading.submission import Submission

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def class_of_four() -> list[Submission]:
    kinds = {
        "ada": answered(),
        "bob": answered("def double(x):\n    return 3 * x\n"),
        "emil": answered("import os; os._exit(0)"),
        "frieda": b"[]",
    }
    return [
        Submission(student, UNIT, UNIT, data if isinstance(data, bytes) else notebooks.as_bytes(data))
        for student, data in kinds.items()
    ]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.json")}


def test_two_workers_of_a_cluster_give_the_same_bytes(
    zygote, options, release, class_of_four, tmp_path, monkeypatch
) -> None:
    distributed = pytest.importorskip("distributed")
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)
    released = {(UNIT, UNIT): release}
    here = pool.grade_all(class_of_four, released, options, out=tmp_path / "here")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, worker_dashboard_address=None
    ) as cluster:
        there = pool.grade_all(
            class_of_four, released, options, out=tmp_path / "there", scheduler=cluster.scheduler_address
        )
    assert not there.failed
    assert there.results == here.results and len(here.results) == 4
    assert bytes_of(tmp_path / "there") == bytes_of(tmp_path / "here")


def test_another_course_on_a_worker_is_refused(options, release, class_of_four) -> None:
    there = {**pool._here(options), "environment": {"python": "2.7"}}
    with pytest.raises(pool.ClusterError, match="worker's environment is not that of this machine"):
        pool._on_cluster((class_of_four[0], "key"), (options, {(UNIT, UNIT): release}, there))


@pytest.fixture
def course_grade(unit_known, release_folder, class_of_four, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_SECRET", str(tmp_path / "secret"))
    path = tmp_path / "submitted" / "ada" / UNIT / f"{UNIT}.ipynb"
    path.parent.mkdir(parents=True)
    path.write_bytes(class_of_four[0].data)
    fixed = [tmp_path / "submitted", "--release", release_folder, "--exercises", unit_known, "--no-gradebook"]
    fixed += ["--out", tmp_path / "out"]
    return lambda *more: CliRunner().invoke(command.grade_command, [*map(str, fixed), *more])


def test_without_dask_the_extra_is_named(course_grade, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = course_grade("--scheduler", "tcp://127.0.0.1:8786")
    assert done.exit_code == 2 and "extra `dask`" in done.output and "Traceback" not in done.output


def test_a_scheduler_that_does_not_answer(course_grade, monkeypatch) -> None:
    pytest.importorskip("distributed")
    from course_lib.grading import cluster

    monkeypatch.setattr(cluster.Cluster.__init__, "__kwdefaults__", {"seconds": 1})
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        done = course_grade("--scheduler", address)
        assert done.exit_code == 2, done.output
        assert f"no Dask scheduler answers at {address!r}" in done.output and ".[dask]" in done.output
