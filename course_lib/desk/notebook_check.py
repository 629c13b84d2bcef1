"""Checking a whole notebook before it is handed in."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from course_lib import settings
from course_lib.desk.errors import NotANotebookError
from course_lib.desk.learners_notebook import answer_cells, read_notebook
from course_lib.notebooks import CHECK, QUIET_DEBUGGER, CellKind, grade_id_of, kind_of, source_of

CELL_SECONDS = 180
MARK = "@course@"  # begins the line that a check prints in the kernel
_PROBE = """
import json as _json
from course_lib.exercises import exercise_named as _named
from course_lib.exercises.checking import check as _check
from course_lib.exercises.shrinking import SECONDS as _seconds
print("{mark}" + _json.dumps(_check(_named({name!r}), {name}, seconds_for_smallest=_seconds).as_json()))
"""


def check_notebook(path: Path) -> list[dict[str, Any]]:
    """Runs a notebook's setup, answers and added cells in a kernel of its own, then checks each exercise in it.

    Cells that show or train are not run: exercises take what they need as arguments. Progress is not touched.

    Returns:
        One result per exercise, as `course check --json` prints it, in the unit's order.

    Raises:
        FileNotFoundError: no such file.
        NotANotebookError: not a notebook, or one without an exercise of this course.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from nbformat import v4

    from course_lib.exercises import exercises

    notebook = read_notebook(path)
    known = exercises()
    found = set(answer_cells(notebook)) | {grade_id_of(cell).removeprefix(CHECK) for cell in notebook["cells"]}
    wanted = [name for name in known if name in found]
    if not wanted:
        raise NotANotebookError(f"{path} holds no exercise of this course. `course exercises` lists them.")
    run = [cell for cell in notebook["cells"] if _is_run(cell)]
    parts = v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    parts.cells = [v4.new_code_cell(source_of(cell)) for cell in run]
    parts.cells += [v4.new_code_cell(_PROBE.format(mark=MARK, name=name)) for name in wanted]
    client = NotebookClient(
        parts, timeout=CELL_SECONDS, interrupt_on_timeout=True, allow_errors=True,
        extra_arguments=["--log-level=40"],
        resources={"metadata": {"path": str(path.resolve().parent)}},
    )  # fmt: skip
    died = False
    with contextlib.suppress(CellTimeoutError), settings.variables(**QUIET_DEBUGGER):
        try:
            client.execute()
        except DeadKernelError:
            died = True
    failures = {grade_id_of(cell): failure for cell, part in zip(run, parts.cells) if (failure := _failure(part))}
    checks = zip(wanted, parts.cells[len(run) :])
    return [_result_of(known[name], cell, failures.get(name), died) for name, cell in checks]


def _is_run(cell: dict[str, Any]) -> bool:
    left_out = (CellKind.PREDICT, CellKind.DEMO, CellKind.TRAIN, CellKind.CHECK)
    return cell.get("cell_type") == "code" and kind_of(cell) not in left_out and bool(source_of(cell).strip())


def _failure(cell: Any) -> str | None:
    """The error that a cell stopped with."""
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            return f"{output.ename}: {output.evalue}".strip()
    return None


def _result_of(exercise: Any, cell: Any, failure: str | None, died: bool) -> dict[str, Any]:
    """The result that a check printed, or one that says why it printed none."""
    printed = "".join(o.text for o in cell.get("outputs", []) if o.output_type == "stream" and o.name == "stdout")
    for line in printed.splitlines():
        if line.startswith(MARK):
            return json.loads(line.removeprefix(MARK))
    from course_lib.exercises import judge_of

    if failure:
        message = f"The cell with your answer stopped with {failure}"
    elif died:
        message = "The kernel died while this notebook ran."
    elif _failure(cell):
        message = f"The check could not run: {_failure(cell)}"
    else:
        message = f"The check did not finish within {CELL_SECONDS} seconds."
    criteria = [{"name": c.name, "score": 0.0, "points": c.points} for c in judge_of(exercise).criteria]
    return {
        "exercise": exercise.name, "unit": exercise.unit, "state": "error", "score": 0.0, "points": exercise.points,
        "mistake": None, "message": message, "criteria": criteria,
    }  # fmt: skip
