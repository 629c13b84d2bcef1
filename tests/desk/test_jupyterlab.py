"""JupyterLab's port and command line."""

from __future__ import annotations

import socket

import pytest
import tiny_course
import tiny_work

from course_lib.desk import jupyterlab, workspace
from course_lib.desk.errors import WorkspaceError

UNIT = tiny_course.UNIT


def test_a_taken_port_is_passed_over_or_refused_with_a_way_out():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert jupyterlab.free_port(port) > port
        with pytest.raises(WorkspaceError, match=f"Port {port} is taken.*--port"):
            jupyterlab.free_port(port, tries=1)


def test_lab_opens_the_first_unit_and_keeps_its_token_out_of_the_command_line(root):
    workspace.prepare(root)
    work = root / "work"
    (work / UNIT / f"{UNIT}.update-abcdef.ipynb").write_text("{}")
    command = jupyterlab.lab_command(work, port=9123, browser=False, notebook=jupyterlab.notebook_of(work))
    assert f"--LabApp.default_url=/lab/tree/{UNIT}/{tiny_work.NAME}" in command
    assert "--no-browser" in command and "--port=9123" in command
    assert not any("token" in part for part in command)


def test_lab_opens_the_unit_that_is_asked_for(tmp_path):
    for unit, notebooks in {
        "00_first_steps": ["00_first_steps"],
        "06_fine_tuning": ["06_former_name", "06a_freezing", "06a_freezing.update-0a", "06b_fine_tuning"],
        "11_active_2": ["11_active_2"],
    }.items():
        (tmp_path / unit).mkdir()
        for name in notebooks:
            (tmp_path / unit / f"{name}.ipynb").touch()
    for asked, opened in {
        "": "00_first_steps/00_first_steps",
        "06": "06_fine_tuning/06a_freezing",
        "6": "06_fine_tuning/06a_freezing",
        "06a": "06_fine_tuning/06a_freezing",
        "06b": "06_fine_tuning/06b_fine_tuning",
        "06_fine_tuning": "06_fine_tuning/06a_freezing",
        "11": "11_active_2/11_active_2",
    }.items():
        assert jupyterlab.notebook_of(tmp_path, asked) == f"{opened}.ipynb", asked
    for asked in ("05", "06c", "00.1", "fine", "."):
        with pytest.raises(WorkspaceError, match=r"no unit .*; there is 00, 06, 06a, 06b, 11\."):
            jupyterlab.notebook_of(tmp_path, asked)
    (tmp_path / "empty").mkdir()
    assert jupyterlab.notebook_of(tmp_path / "empty") == ""
