"""Cells as the sandbox runs them: what they print is kept in memory, and whatever they do ends as data."""

from __future__ import annotations

import os
import sys

import pytest

from course_lib.exercises.observing import CapturedOutput
from course_lib.grading.inside.shell import MemorySink, Shell, run_cell, the_shell


@pytest.fixture(autouse=True)
def _no_shell_is_left():
    """A shell stays, as the only one of its process, and tests of other modules would run as in a notebook."""
    yield
    Shell.clear_instance()
    the_shell.cache_clear()


def test_a_flood_is_cut_in_memory_and_what_is_missing_is_counted(monkeypatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", None)  # no file is made
    with CapturedOutput(100, sink=MemorySink) as output:
        for _ in range(1000):
            print("x" * 999)
        print("y", file=sys.stderr)
    assert output.text == f"{'x' * 100}\n[... 999,902 more bytes of output]"


def test_output_that_a_cell_closes_is_kept_and_the_streams_come_back() -> None:
    before = sys.stdout, sys.stderr
    done = run_cell("import sys\nprint('a')\nsys.stdout.close()\nprint('b')", 100)
    assert done == {"printed": "a\nb\n", "error": None}
    assert (sys.stdout, sys.stderr) == before


def test_errors_are_told_by_type_text_and_line() -> None:
    error = run_cell("1 / 0", 100)["error"]
    assert error == {"type": "ZeroDivisionError", "text": "division by zero", "line": 1, "source": "1 / 0"}
    assert run_cell("\n\nx = 1\nf = lambda: x / 0\nf()", 100)["error"]["source"] == "f()"
    assert run_cell("x = 1\ny = = 2", 100)["error"]["line"] == 2
    assert run_cell("raise SystemExit(3)", 100)["error"]["type"] == "SystemExit"
    silent = "class E(Exception):\n    def __str__(self): raise self\nraise E"
    assert run_cell(silent, 100)["error"] == {"type": "Exception", "text": "", "line": 3, "source": "raise E"}


def test_rich_output_and_values_of_last_lines_are_dropped(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))\n%matplotlib inline\n42"
    assert run_cell(source, 100) == {"printed": "", "error": None}
    assert os.listdir() == []
