"""The learner's own folder, work/: copies of the notebooks, newer versions beside them, and the way back to a stub.

A learner's answers are sacred. Nothing here overwrites a file in work/, with one exception that is asked for by name:
`reset` rewrites one answer cell, after the old answer was kept in work/.kept/.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib import settings

CELL_SECONDS = 180
FIRST_PORT = 8888


class WorkspaceError(Exception):
    """Something in work/ is not as it must be; the text says what and what to do."""


class NotANotebookError(WorkspaceError):
    """A file that was given as a notebook and is none."""


@dataclass(frozen=True)
class Offer:
    """A newer version of a notebook, put beside the learner's copy.

    Attributes:
        mine: the learner's copy, untouched.
        update: the new file.
        carried: grade_ids of the answers that were taken over.
        homeless: grade_ids of answers that the new version has no cell for.
        added: the first lines of cells that the learner added; they stay in the learner's copy.
    """

    mine: Path
    update: Path
    carried: tuple[str, ...]
    homeless: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True)
class Preparation:
    """What `prepare` did: files copied, updates offered, and sentences about what could not be read."""

    copied: tuple[Path, ...]
    offers: tuple[Offer, ...]
    problems: tuple[str, ...]


def work_folder(root: Path | None = None) -> Path:
    """The learner's folder: `COURSE_WORK`, else work/ in the project folder."""
    named = os.environ.get("COURSE_WORK", "").strip()
    return Path(named).expanduser().resolve() if named else (root or settings.root()) / "work"


def prepare(root: Path | None = None) -> Preparation:
    """Copies the notebooks that work/ lacks and puts newer versions beside the copies that it has.

    Raises:
        WorkspaceError: there is nothing to copy, or work/ cannot be written to.
    """
    root = root or settings.root()
    work = work_folder(root)
    released = sorted(path for path in (root / "notebooks").glob("*/*") if path.is_file())
    if not any(path.suffix == ".ipynb" for path in released):
        raise WorkspaceError(f"There are no notebooks under {root / 'notebooks'}; `course release` builds them.")
    copied, offers, problems = [], [], []
    with _clear_errors(work):
        for path in released:
            if path.name.startswith("."):
                continue
            mine = work / path.parent.name / path.name
            if not os.path.lexists(mine):
                if _create(mine, path.read_bytes()):
                    copied.append(mine)
            elif path.suffix == ".ipynb":
                try:
                    offer = _offer(path, mine, work)
                except NotANotebookError as error:
                    problems.append(f"{error} It was left as it is.")
                else:
                    offers += [offer] if offer else []
    return Preparation(tuple(copied), tuple(offers), tuple(problems))


@contextlib.contextmanager
def _clear_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            f"Cannot write to {error.filename or folder}: {error.strerror or error}. Make {folder} writable (is the "
            "disk full?), or choose another folder: COURSE_WORK=/some/folder"
        ) from error


def _create(path: Path, content: bytes) -> bool:
    """Writes a new file whole or not at all; never touches one that is there. Returns whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        try:
            os.link(temporary, path)  # unlike a rename, a link refuses to replace a file
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if os.path.lexists(path):
                return False
            os.rename(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return True


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook as plain JSON data.

    Raises:
        FileNotFoundError: no such file.
        NotANotebookError: the file is no notebook of format 4; the message says why.
    """
    if path.is_dir():
        raise NotANotebookError(f"{path} is a folder, not a notebook.")
    content = path.read_bytes()
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise NotANotebookError(f"{path} is not a notebook: it is not readable as JSON ({error}).") from error
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not isinstance(notebook.get("metadata", {}), dict):
        raise NotANotebookError(f"{path} is not a notebook: it holds no list of cells.")
    if notebook.get("nbformat") != 4:
        raise NotANotebookError(f"{path} is a notebook of format {notebook.get('nbformat')}; format 4 is expected.")
    for number, cell in enumerate(cells, start=1):
        source = cell.get("source") if isinstance(cell, dict) else None
        in_lines = isinstance(source, list) and all(isinstance(line, str) for line in source)
        if not (isinstance(source, str) or in_lines) or not isinstance(cell.get("metadata", {}), dict):
            raise NotANotebookError(f"{path} is not a valid notebook: its cell {number} cannot be read.")
    return notebook


def source_of(cell: dict[str, Any]) -> str:
    """A cell's text; notebooks store it as a string or as a list of lines."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _set_source(cell: dict[str, Any], text: str) -> None:
    cell["source"] = text.splitlines(keepends=True)


def _nbgrader(cell: dict[str, Any]) -> dict[str, Any]:
    data = cell.get("metadata", {}).get("nbgrader", {})
    return data if isinstance(data, dict) else {}


def answer_cells(notebook: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The cells that a learner answers in, coded and written, by grade_id (the last, should one be duplicated)."""
    answers = [cell for cell in notebook["cells"] if _nbgrader(cell).get("solution")]
    return {str(_nbgrader(cell).get("grade_id")): cell for cell in answers}


def is_attempted(cell: dict[str, Any]) -> bool:
    """Whether an answer cell is no longer its stub: nbgrader keeps the released cell's checksum in it."""
    from nbformat import NotebookNode
    from nbgrader.utils import compute_checksum

    data = _nbgrader(cell)
    if "checksum" not in data:
        return "raise NotImplementedError(" not in source_of(cell)
    bare = NotebookNode(source=source_of(cell), cell_type=cell.get("cell_type", "code"))
    bare.metadata = NotebookNode(nbgrader=NotebookNode(data))
    return compute_checksum(bare) != data["checksum"]


def _release_of(notebook: dict[str, Any]) -> str:
    course = notebook.get("metadata", {}).get("course", {})
    return str(course.get("release", "")) if isinstance(course, dict) else ""


def _is_added(cell: dict[str, Any]) -> bool:
    return not str(cell.get("id", "")).startswith("cell-") and not _nbgrader(cell).get("grade_id")


def _offer(released: Path, mine: Path, work: Path) -> Offer | None:
    old, new = read_notebook(mine), read_notebook(released)
    release = _release_of(new)
    if _release_of(old) == release:
        return None
    update = mine.with_name(f"{mine.stem}.update-{release[:6]}.ipynb")
    ledger = work / ".kept" / "offered"
    key = f"{mine.parent.name}/{update.name}"
    offered = ledger.read_text(encoding="utf-8").splitlines() if ledger.is_file() else []
    # Offered once: a learner who deleted the newer version does not want it.
    if key in offered or os.path.lexists(update):
        return None
    carried, homeless = [], []
    places = answer_cells(new)
    for grade_id, cell in answer_cells(old).items():
        if not is_attempted(cell):
            continue
        if grade_id in places and places[grade_id].get("cell_type") == cell.get("cell_type"):
            _set_source(places[grade_id], source_of(cell))
            carried.append(grade_id)
        else:
            homeless.append(grade_id)
    added = tuple(
        source_of(cell).strip().split("\n")[0][:60]
        for cell in old["cells"]
        if _is_added(cell) and source_of(cell).strip()
    )
    if not _create(update, _as_bytes(new)):
        return None
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with open(ledger, "a", encoding="utf-8") as file:
        file.write(f"{key}\n")
    return Offer(mine, update, tuple(carried), tuple(homeless), added)


def _as_bytes(notebook: dict[str, Any]) -> bytes:
    return (json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


# ---------------------------------------------------------------------------------------------------------------------
# One exercise back to its stub


def reset(exercise: str, *, root: Path | None = None) -> tuple[Path, Path | None]:
    """Puts one answer cell back to its stub; the old answer is kept in work/.kept/ first.

    Returns:
        The notebook, and the file that the old answer is kept in (None when the cell was its stub already).

    Raises:
        WorkspaceError: no notebook in work/ has that exercise, or work/ cannot be written to.
    """
    root = root or settings.root()
    work = work_folder(root)
    for released in sorted((root / "notebooks").glob("*/*.ipynb")):
        stub = answer_cells(read_notebook(released)).get(exercise)
        if stub is None:
            continue
        path = work / released.parent.name / released.name
        if not path.is_file():
            raise WorkspaceError(f"{path} is not there yet; `course lab` copies it.")
        notebook = read_notebook(path)
        cell = answer_cells(notebook).get(exercise)
        if cell is None:
            raise WorkspaceError(f"{path} has no answer cell for {exercise!r} any more. A fresh copy is {released}.")
        old = source_of(cell)
        if old == source_of(stub):
            return path, None
        with _clear_errors(work):
            kept = _keep(work, exercise, old, suffix=".py" if cell.get("cell_type") == "code" else ".md")
            _set_source(cell, source_of(stub))
            for each in notebook["cells"]:
                if (
                    _nbgrader(each).get("grade_id") in (exercise, f"check_{exercise}")
                    and each.get("cell_type") == "code"
                ):
                    each["outputs"], each["execution_count"] = [], None
            _replace(path, _as_bytes(notebook))
            _forget_progress(work, exercise)
        return path, kept
    known = sorted(
        grade_id for path in (root / "notebooks").glob("*/*.ipynb") for grade_id in answer_cells(read_notebook(path))
    )
    raise WorkspaceError(
        f"There is no exercise {exercise!r}; those with an answer cell are: {', '.join(known) or 'none'}."
    )


def _keep(work: Path, exercise: str, text: str, *, suffix: str) -> Path:
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in range(1000):
        path = work / ".kept" / f"{exercise}-{stamp}{f'-{number}' if number else ''}{suffix}"
        if _create(path, (text + "\n").encode()):
            return path
    raise WorkspaceError(f"{work / '.kept'} holds a thousand answers of this second.")


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, path.stat().st_mode & 0o777)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _forget_progress(work: Path, exercise: str) -> None:
    from course_lib.exercises import progress

    standing = progress.read(work).get(exercise)
    if standing is not None:
        progress.write(work, dataclasses.replace(standing, state="not_attempted", score=0.0, borrowed=False))


# ---------------------------------------------------------------------------------------------------------------------
# How far one is


def overview(root: Path | None = None) -> list[dict[str, Any]]:
    """One row an exercise, in course order: unit, number, exercise, state, best, points, tries, borrowed."""
    from course_lib.exercises import exercises, progress

    standings = progress.read(work_folder(root))
    rows = []
    for name, exercise in exercises().items():
        standing = standings.get(name) or progress.Standing(name)
        row: dict[str, Any] = {
            "unit": exercise.unit,
            "number": exercise.number,
            "exercise": name,
            "title": exercise.title,
        }
        row |= {"state": standing.state, "best": standing.best, "points": exercise.points}
        rows.append(row | {"tries": standing.tries, "borrowed": standing.borrowed})
    return rows


# ---------------------------------------------------------------------------------------------------------------------
# Checking a whole notebook

_PROBE = """
import json as _json
from course_lib.exercises import exercise_named as _named
from course_lib.exercises.checking import check as _check
print("@course@" + _json.dumps(_check(_named({name!r}), {name}).as_json()))
"""


def check_notebook(path: Path) -> list[dict[str, Any]]:
    """Runs a notebook's setup, answers and added cells in a kernel of its own, then checks each exercise in it.

    Cells that show or train are not run: exercises take what they need as arguments. Progress is not touched.

    Returns:
        One result an exercise, as `course check --json` prints it, in the unit's order.

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
    found = [name for name in answer_cells(notebook) if name in known]
    found += [
        name
        for cell in notebook["cells"]
        if (name := str(_nbgrader(cell).get("grade_id", "")).removeprefix("check_")) in known and name not in found
    ]
    if not found:
        raise NotANotebookError(f"{path} holds no exercise of this course. `course exercises` lists them.")
    wanted = [name for name in known if name in found]

    parts = v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    owner: list[str] = []
    for cell in notebook["cells"]:
        tags = cell.get("metadata", {}).get("tags", [])
        shown = (
            "demo" in tags or "train" in tags or (_nbgrader(cell).get("grade") and not _nbgrader(cell).get("solution"))
        )
        if cell.get("cell_type") == "code" and not shown and source_of(cell).strip():
            parts.cells.append(v4.new_code_cell(source_of(cell)))
            owner.append(str(_nbgrader(cell).get("grade_id", "")))
    answers = len(parts.cells)
    parts.cells += [v4.new_code_cell(_PROBE.format(name=name)) for name in wanted]
    client = NotebookClient(
        parts, timeout=CELL_SECONDS, interrupt_on_timeout=True, allow_errors=True,
        extra_arguments=["--log-level=40"],
        resources={"metadata": {"path": str(path.resolve().parent)}},
    )  # fmt: skip
    died = False
    with contextlib.suppress(CellTimeoutError), debugger_silenced():
        try:
            client.execute()
        except DeadKernelError:
            died = True
    failures = {name: _failure(cell) for name, cell in zip(owner, parts.cells) if _failure(cell)}
    return [
        _result_of(known[name], cell, failures.get(name), died) for name, cell in zip(wanted, parts.cells[answers:])
    ]


@contextlib.contextmanager
def debugger_silenced() -> Iterator[None]:
    """Keeps a kernel's debugger from warning on the terminal that modules are frozen."""
    before = os.environ.get("PYDEVD_DISABLE_FILE_VALIDATION")
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYDEVD_DISABLE_FILE_VALIDATION"]
        else:
            os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = before


def _failure(cell: Any) -> str | None:
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            return f"{output.ename}: {output.evalue}".strip()
    return None


def _result_of(exercise: Any, cell: Any, failure: str | None, died: bool) -> dict[str, Any]:
    printed = "".join(o.text for o in cell.get("outputs", []) if o.output_type == "stream" and o.name == "stdout")
    for line in printed.splitlines():
        if line.startswith("@course@"):
            return json.loads(line.removeprefix("@course@"))
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


# ---------------------------------------------------------------------------------------------------------------------
# JupyterLab


def free_port(first: int = FIRST_PORT, *, tries: int = 50) -> int:
    """The first port from `first` on that nothing listens on.

    Raises:
        WorkspaceError: none of them is free.
    """
    for port in range(first, min(first + tries, 65536)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    last = min(first + tries, 65536) - 1
    what = f"Port {first} is" if tries == 1 else f"All ports from {first} to {last} are"
    raise WorkspaceError(f"{what} taken, perhaps by another JupyterLab. Choose one: course lab --port 9000")


def first_notebook(work: Path) -> str:
    """The notebook to open: the first unit's, relative to work/ with slashes."""
    copies = sorted(path for path in work.glob("[0-9]*/*.ipynb") if ".update-" not in path.name)
    return copies[0].relative_to(work).as_posix() if copies else ""


def lab_command(work: Path, *, port: int, browser: bool) -> list[str]:
    """The command line of JupyterLab on work/. Its token travels in the environment, which others cannot see."""
    command = [
        sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={work}", f"--LabApp.default_url=/lab/tree/{first_notebook(work)}", "--log-level=WARN",
    ]  # fmt: skip
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container; Jupyter refuses root unless told
        command.append("--allow-root")
    return command


def can_open_browser() -> bool:
    """Whether there is a screen to open a browser on."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER"))


def run_lab(work: Path, *, port: int, browser: bool, say: Any = print) -> int:
    """Starts JupyterLab on work/, says its address, and waits for it; returns its exit status."""
    token = secrets.token_hex(16)
    say(f"JupyterLab:  http://localhost:{port}/lab/tree/{first_notebook(work)}?token={token}")
    if not browser:
        say("Open this address in a browser. On another machine, forward the port first:")
        say(f"    ssh -L {port}:localhost:{port} this-machine")
    say("Stop it with Ctrl-C. Your notebooks are saved in " + str(work))
    variables = {**os.environ, "JUPYTER_TOKEN": token, "COURSE_WORK": str(work)}
    # A learner's JupyterLab asks about no news and has none of nbgrader's menus, which are for who teaches.
    own = [str(Path(__file__).parent / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    variables["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, own))
    process = subprocess.Popen(lab_command(work, port=port, browser=browser), cwd=work, env=variables)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())  # or JupyterLab would be left running alone
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # Jupyter had the same Ctrl-C and asks whether it is meant; a second one, or no terminal, ends it.
            if not sys.stdin.isatty():
                process.send_signal(signal.SIGTERM)
