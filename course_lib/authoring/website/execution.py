"""The outputs on the pages: each solution notebook is executed once for its code, data and profile."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

import course_lib
from course_lib import files, settings
from course_lib.authoring import code_hash
from course_lib.authoring.website.page import Page, SiteError
from course_lib.notebooks import QUIET_DEBUGGER


@dataclass(frozen=True)
class Execution:
    """How notebooks are executed.

    Attributes:
        root: the project folder.
        kept: the folder that keeps the outputs of earlier builds, of all profiles.
        profile: the profile that notebooks are executed in.
        execute: False executes nothing: only kept outputs are shown.
        fresh: execute again what was kept.
        say: gets a line for every notebook.
    """

    root: Path
    kept: Path
    profile: str
    execute: bool
    fresh: bool
    say: Callable[[str], None]


def outputs_of(page: Page, how: Execution) -> list[Any] | None:
    """The outputs of a notebook's code cells: kept ones where nothing that they depend on has changed, else new ones.

    They are written to disk when the notebook is done, so that an interrupted build goes on with the next notebook.
    None where nothing is kept and nothing may be executed.

    Raises:
        SiteError: the notebook fails.
    """
    key = _key(page.solution, how)
    file = how.kept / how.profile / f"{page.stem}.json"
    if not how.fresh and file.is_file():
        with contextlib.suppress(ValueError, KeyError):  # a file that cannot be read is made anew
            found = json.loads(file.read_text(encoding="utf-8"))
            if found["key"] == key:
                return [[nbformat.from_dict(output) for output in cell] for cell in found["outputs"]]
    if not how.execute:
        return None
    began = time.monotonic()
    outputs = executed(page.solution, how.root, page.stem, how.profile)
    files.replace(file, json.dumps({"key": key, "outputs": outputs}))
    how.say(f"{page.stem}: executed in {time.monotonic() - began:.0f} s")
    return outputs


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells of a notebook that have outputs."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _key(notebook: NotebookNode, how: Execution) -> str:
    """Changes when outputs may: with the code, what it calls in course_lib, the unit's exercises and its records."""
    # `...` is a statement that does nothing: it marks where a cell ends.
    code = "\n...\n".join(cell.source for cell in code_cells(notebook))
    plain = "\n".join(line for line in code.split("\n") if not line.lstrip().startswith(("%", "!")))
    parts = [how.profile, code_hash.text_hash(plain, library=Path(course_lib.__file__).parent)]
    unit = notebook.metadata["course"]["unit"]
    paths = sorted((how.root / "results" / unit).glob("*.json"))
    with contextlib.suppress(ValueError):  # a unit without exercises
        from course_lib import exercises

        paths += sorted({Path(e.cases.__code__.co_filename) for e in exercises.exercises_of(unit)})
    parts += [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def executed(notebook: NotebookNode, root: Path, name: str, profile: str) -> list[Any]:
    """The outputs of a notebook, executed in a kernel and a folder of its own.

    Raises:
        SiteError: a cell stops with an error, or the kernel dies.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from tqdm import tqdm

    def start() -> None:
        # nbclient answers Ctrl-C by ending the kernel and failing over its absence. We want a KeyboardInterrupt; the
        # kernel ends at exit.
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)

    notebook = copy.deepcopy(notebook)
    with (
        tempfile.TemporaryDirectory(prefix="course-site-", ignore_cleanup_errors=True) as folder,
        tqdm(total=len(notebook.cells), desc=name, unit="cell", leave=False) as bar,
        settings.variables(**QUIET_DEBUGGER),
    ):
        client = NotebookClient(
            notebook, timeout=None, extra_arguments=["--log-level=40"], resources={"metadata": {"path": folder}},
            on_notebook_start=lambda notebook: start(),
            on_cell_complete=lambda cell, cell_index: bar.update(cell_index + 1 - bar.n),
        )  # fmt: skip
        try:
            client.execute(env=_variables(root, profile), stderr=subprocess.DEVNULL)
        except CellExecutionError as error:
            raise SiteError(f"{name} stops with an error in the profile {profile}:\n{error}") from error
        except DeadKernelError as error:
            raise SiteError(f"{name} ended its kernel in the profile {profile}; is there enough memory?") from error
    return [cell.outputs for cell in code_cells(notebook)]


def _variables(root: Path, profile: str) -> dict[str, str]:
    """A kernel's environment. Pages are the same on every machine: English, the default data, no controls that
    nothing answers, no bars."""
    kept = {"COURSE_DEVICE", "COURSE_THREADS"}
    found = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_") or name in kept}
    found |= {"COURSE_PROFILE": profile, "COURSE_ROOT": str(root), "COURSE_LANGUAGE": "en"}
    found |= {"COURSE_WIDGETS": "static", "TQDM_DISABLE": "1"}
    library = str(Path(course_lib.__file__).resolve().parent.parent)
    return found | {"PYTHONPATH": os.pathsep.join(filter(None, [library, os.environ.get("PYTHONPATH")]))}
