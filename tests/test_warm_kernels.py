"""A kernel that is forked from a warm process is a fresh one all the same."""

from __future__ import annotations

import json
import os
import sys
import time

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

CELLS = [
    "import json, os, subprocess, sys",
    "subprocess.run(['/bin/sh', '-c', 'exit 3']).returncode",
    "spoilt = 1; os.environ['COURSE_PROFILE'] = 'changed'; sys.modules['spoilt'] = sys",
    """print(json.dumps({
        "process": os.getpid(), "folder": os.getcwd(), "profile": os.environ["COURSE_PROFILE"],
        "course": sorted(name for name in sys.modules if name.startswith("course_lib")),
        "torch": "torch" in sys.modules, "path": sys.path,
    }))""",
    "[name for name in ('spoilt', 'json') if name in vars()]",
]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")


def told(folder, cells):
    """What the cells of a notebook show, each by its last output, and in which process."""
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(folder)}}).execute()
    return [cell.outputs[-1] if cell.outputs else None for cell in notebook.cells]


def test_a_forked_kernel_has_its_own_process_folder_variables_and_modules(warm, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    before, here = told(tmp_path, [CELLS[0], CELLS[3]]), json.loads
    _, code, _, changed, _ = told(tmp_path, CELLS)
    assert code.data["text/plain"] == "3", "children are waited for"
    first, second = here(before[1].text), here(changed.text)
    assert (first["folder"], first["profile"], second["profile"]) == (os.path.realpath(tmp_path), "smoke", "changed")
    assert first["torch"] and not first["course"] and first["process"] != second["process"]
    assert not [folder for folder in first["path"] if folder.endswith("/tests")]
    (names,) = told(tmp_path, [CELLS[4]])
    assert names.data["text/plain"] == "[]"
    until = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{seen['process']}") for seen in (first, second)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(os.path.exists(f"/proc/{seen['process']}") for seen in (first, second)), "a kernel is left over"
