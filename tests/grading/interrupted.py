"""Grades one class again and again in a process of its own: by 1, 2 and 4 workers, in shards, and killed.

All runs share one sandboxed zygote, which makes them short, and each has a process of its own that the setup cells have
run in. A run that starts its own zygote is killed in test_pool as well.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import class_notebooks as notebooks  # noqa: E402
import torch  # noqa: E402
from conftest import LIMITS, SECRET  # noqa: E402

from course_lib.grading.outside import pool, results, workers  # noqa: E402
from course_lib.grading.outside.finding import find  # noqa: E402
from course_lib.grading.outside.options import Options, use_exercise_folders  # noqa: E402
from course_lib.grading.outside.submission import read_release  # noqa: E402
from course_lib.grading.outside.zygotes import SiblingZygote, Zygote  # noqa: E402


def main(submissions: str, release: str, base: str) -> None:
    torch.set_num_threads(1)  # so that a fork may compute
    folder, base_folder = str(HERE / "unit"), Path(base)
    use_exercise_folders([folder])
    released = read_release(Path(release), notebooks.UNIT)
    found = find(Path(submissions), [notebooks.UNIT], {notebooks.UNIT: released}).submissions
    options = Options(limits=LIMITS, secret=SECRET, exercise_folders=(folder,))
    zygote = Zygote(options)
    lock = multiprocessing.get_context("fork").Lock()

    class Shared(SiblingZygote):
        def __init__(self, options: Options) -> None:
            # a process that is killed here never shares the lock: it could take it along
            super().__init__(zygote, lock if multiprocessing.parent_process() else contextlib.nullcontext())

    pool.Zygote = workers.Zygote = Shared  # type: ignore[assignment, misc]
    fork = multiprocessing.get_context("fork")
    pool.multiprocessing.get_context = lambda kind: fork  # type: ignore[assignment]

    def run(name: str, **more) -> float:
        began = time.monotonic()
        by_name = {(r.unit, r.notebook): r for r in released}
        report = pool.grade_all(found, by_name, options, pool.Plan(base_folder / name, **more))
        assert not report.failed, (name, report.failed)
        return time.monotonic() - began

    seconds = run("whole")
    for count in (2, 4):
        run(f"workers-{count}", workers=count)
    for k in (1, 2, 3):
        run(f"shard-{k}", shard=(k, 3))
    results.merge([base_folder / f"shard-{k}" for k in (1, 2, 3)], base_folder / "merged")
    draws, left = random.Random(20261121), []
    for number in range(5):
        moment = draws.uniform(0.05, 0.95) * seconds
        child = os.fork()
        if child == 0:
            run(f"killed-{number}")
            signal.pause()  # done before its moment: killed all the same
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "it ended by itself"
        left.append(len(list((base_folder / f"killed-{number}").rglob("*.json"))))
        run(f"killed-{number}")
    print(json.dumps(left))
    zygote.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
