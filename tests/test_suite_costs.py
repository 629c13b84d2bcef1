"""What a run of the suite says about its own costs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """import os, subprocess, sys, time
BUSY = "import time\\nwhile time.process_time() < 0.4: pass"
def test_idle(): time.sleep(0.4)
def test_busy():
    start = time.process_time()
    while time.process_time() < start + 0.2: pass
def test_busy_in_a_child(): subprocess.run([sys.executable, "-c", BUSY])
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_cpu_seconds_of_tests_and_of_their_children_are_told(tmp_path, workers):
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "suite_costs", "-n", workers, "--costs"]
    done = subprocess.run(
        [*command, "--costs-to", "costs.tsv"], cwd=tmp_path, capture_output=True, text=True,
        env={"PYTHONPATH": str(Path(__file__).parent), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^0\.\d CPU minutes, 0\.0 in tests$", done.stdout, re.M), done.stdout
    rows = [line.split("\t") for line in (tmp_path / "costs.tsv").read_text().splitlines()]
    seconds = {name.partition("::")[2]: float(cost) for cost, name in rows}
    assert seconds["test_idle"] < 0.15 and seconds["test_busy"] >= 0.15 and seconds["test_busy_in_a_child"] >= 0.35
    listed = [line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line]
    assert listed == sorted(seconds, key=seconds.__getitem__, reverse=True)
