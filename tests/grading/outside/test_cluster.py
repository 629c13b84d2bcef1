"""Grading on a Dask cluster: the same bytes as here, and clear words when there is no cluster."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import class_notebooks as notebooks
import pytest
from class_notebooks import UNIT, answered
from click.testing import CliRunner

from course_lib.grading.outside import cluster, command, pool, workers
from course_lib.grading.outside.cluster import ClusterError
from course_lib.grading.outside.submission import Submission

ROOT = Path(__file__).parents[3]


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
    here = pool.grade_all(class_of_four, released, options, pool.Plan(tmp_path / "here"))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, worker_dashboard_address=None
    ) as local:
        plan = pool.Plan(tmp_path / "there", scheduler=local.scheduler_address)
        there = pool.grade_all(class_of_four, released, options, plan)
    assert not there.failed
    assert there.results == here.results and len(here.results) == 4
    assert bytes_of(tmp_path / "there") == bytes_of(tmp_path / "here")


def test_a_scheduler_that_is_lost_while_a_result_is_fetched(monkeypatch) -> None:
    distributed = pytest.importorskip("distributed")

    class Lost:
        status = "finished"

        def result(self):
            raise distributed.comm.CommClosedError("reset by peer")

    client = SimpleNamespace(submit=lambda *args, **options: Lost(), as_current=contextlib.nullcontext)
    monkeypatch.setattr(distributed, "as_completed", iter)
    there = cluster.Cluster.__new__(cluster.Cluster)
    there.address, there._client = "tcp://127.0.0.1:1", client
    with pytest.raises(ClusterError, match=r"went away\. What was graded is kept"):
        list(there.run(len, ["task"], None))


def test_another_course_on_a_worker_is_refused(options, release, class_of_four) -> None:
    there = {**workers.code_and_packages(options), "environment": {"python": "2.7"}}
    with pytest.raises(ClusterError, match="worker's environment is not that of this machine"):
        workers.on_cluster((class_of_four[0], "key"), (options, {(UNIT, UNIT): release}, there))


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
    monkeypatch.setattr(cluster.Cluster.__init__, "__kwdefaults__", {"seconds": 1})
    with socket.create_server(("127.0.0.1", 0)) as other:  # takes a connection, but is not a scheduler
        silent = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        for address in ("tcp://127.0.0.1:1", silent, "nonsense://x", "no port", ""):
            began = time.monotonic()
            done = course_grade("--scheduler", address)
            assert done.exit_code == 2, done.output
            assert f"no Dask scheduler answers at {address!r}" in done.output and ".[dask]" in done.output
            assert time.monotonic() - began < 20


@pytest.fixture
def dask(tmp_path):
    """Starts `dask ARGUMENTS` as a process and waits until it says what was asked for, if anything."""
    pytest.importorskip("distributed")
    running = []

    def start(*arguments: str, until: str = "") -> tuple[subprocess.Popen, str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
        log = open(tmp_path / f"dask-{len(running)}.log", "w+")  # noqa: SIM115
        line = [sys.executable, "-c", "from dask.__main__ import main; main()", *arguments]
        running.append((subprocess.Popen(line, stdout=log, stderr=log, env=environment, cwd=tmp_path), log))
        ended = time.monotonic() + 60
        while True:
            said = Path(log.name).read_text()
            if re.search(until, said):
                return running[-1][0], said
            assert time.monotonic() < ended and running[-1][0].poll() is None, said
            time.sleep(0.1)

    yield start
    for process, log in running:
        process.terminate()
        process.wait()
        log.close()


def test_a_scheduler_without_workers_and_one_that_is_lost(
    dask, course_grade, zygote, options, release, class_of_four, tmp_path, monkeypatch
) -> None:
    scheduler, said = dask("scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard", until=r"at:\s+tcp://")
    address = re.search(r"tcp://127\.0\.0\.1:\d+", said)[0]
    with monkeypatch.context() as impatient:
        impatient.setattr(cluster.Cluster.__init__, "__kwdefaults__", {"seconds": 2})
        done = course_grade("--scheduler", address)
    assert done.exit_code == 2 and f"the Dask scheduler at {address!r} has no workers" in done.output
    dask("worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny", until="Registered to")
    released = {(UNIT, UNIT): release}
    many = [Submission(f"s{n}", UNIT, UNIT, class_of_four[n % 4].data) for n in range(40)]
    with pytest.raises(ClusterError, match=r"went away\. What was graded is kept"):
        plan = pool.Plan(tmp_path / "out", scheduler=address)
        pool.grade_all(many, released, options, plan, progress=lambda result: scheduler.kill())
    kept = len(bytes_of(tmp_path / "out"))
    assert 0 < kept < len(many)
    resumed = pool.grade_all(many, released, options, pool.Plan(tmp_path / "out"))
    assert resumed.kept == kept and len(resumed.results) == len(many)
