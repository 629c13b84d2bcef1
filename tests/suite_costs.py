"""CPU minutes of a run of the suite, and the files and tests that cost most: `make test` shows them.

    python -m pytest -q --costs tests/data
    python -m pytest -q --costs-to costs.tsv -n 2     a row for every test

A test's seconds are user and system time of its process and of the children that ended in it, with the fixtures that
it set up or took down. A process that serves many tests, such as the grader's zygote, counts where it ends.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAME = "cpu_seconds"
LONGEST = 10


def cpu_seconds() -> float:
    """What this process and its ended children have used."""
    return sum(os.times()[:4])


class Costs:
    """Measures in the process that runs tests; adds up in the one that reports."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.by_test: dict[str, float] = defaultdict(float)
        self.workers: list[float] = []
        self.seen = cpu_seconds()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        self.seen = cpu_seconds()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        report: Any = yield
        now = cpu_seconds()
        report.cpu_seconds, self.seen = now - self.seen, now  # xdist sends every attribute along
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.by_test[report.nodeid] += getattr(report, NAME, 0.0)
        if report.when == "teardown" and self.config.getoption("costs_to"):
            with Path(self.config.getoption("costs_to")).open("a", encoding="utf-8") as table:
                table.write(f"{self.by_test[report.nodeid]:.2f}\t{report.nodeid}\n")

    def pytest_sessionfinish(self) -> None:
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput[NAME] = cpu_seconds()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.workers.append(getattr(node, "workeroutput", {}).get(NAME, 0.0))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.config.getoption("costs"):
            return
        user, system, *of_children = os.times()[:4]
        total = user + system + max(sum(of_children), sum(self.workers))
        terminalreporter.write_line(f"{total / 60:.1f} CPU minutes, {sum(self.by_test.values()) / 60:.1f} in tests")
        by_file: dict[str, float] = defaultdict(float)
        for test, seconds in self.by_test.items():
            by_file[test.partition("::")[0]] += seconds
        for title, table in (("files", by_file), ("tests", self.by_test)):
            terminalreporter.write_line(f"CPU seconds of the {title} that cost most")
            for name in sorted(table, key=table.__getitem__, reverse=True)[:LONGEST]:
                terminalreporter.write_line(f"{table[name]:8.1f}  {name}")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("course")
    group.addoption("--costs", action="store_true", help="CPU minutes, and the files and tests that cost most")
    group.addoption("--costs-to", metavar="FILE", help="adds CPU seconds and name of every test to this file")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Costs(config), "costs")
