"""A real JupyterLab, as `course lab` starts it on a throw-away course, and a real Chromium that looks at it.

`make test-browser` runs these tests; `make test` leaves them out. COURSE_SCREENSHOTS names a folder for the pictures
that they take; without it pytest's own temporary folder has them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
WAIT = 30_000  # milliseconds

# What the console may say: nothing of ours. Each with its reason.
ALLOWED = {
    r"net::ERR_\w+.*cdnjs\.cloudflare\.com/ajax/libs/mathjax": "nbgrader's pages fetch MathJax; no network, none",
    r"MathJax is not defined[^$]*formgrade\.js": "so nbgrader's script does not find it",
}

FAILED = pytest.StashKey[bool]()


class Course:
    """A throw-away course in a folder with a blank and an umlaut: the real notebooks, sources and records."""

    def __init__(self, root: Path, *folders: str) -> None:
        self.root, self.work = root, root / "work"
        for name in folders:
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.smoke.json"))
        own = root / "jupyter"  # nothing of the person's own settings is read or written
        self.variables = {key: value for key, value in os.environ.items() if not key.startswith(("COURSE_", "JUPYTER"))}
        self.variables |= {
            "COURSE_ROOT": str(root), "COURSE_PROFILE": "smoke", "COURSE_LANGUAGE": "en", "COURSE_DEVICE": "cpu",
            "COURSE_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1",
            "COURSE_SECRET": str(root / "secret"), "IPYTHONDIR": str(own / "ipython"),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }  # fmt: skip
        for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"):
            self.variables[f"JUPYTER_{name}"] = str(own / name)
        for name in ("SETTINGS_DIR", "WORKSPACES_DIR"):
            self.variables[f"JUPYTERLAB_{name}"] = str(own / name)

    def run(self, *arguments: str) -> str:
        """Runs `course ...` and returns what it says."""
        return self._run("course_lib", *arguments)

    def nbgrader(self, *arguments: str) -> str:
        """Runs `nbgrader ...` and returns what it says."""
        return self._run("nbgrader", *arguments)

    def _run(self, *words: str) -> str:
        command = [sys.executable, "-m", *words]
        done = subprocess.run(
            command, cwd=self.root, env=self.variables, capture_output=True, text=True, timeout=300
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


class Server:
    """A server that is started from the command line, as a person does it."""

    def __init__(self, command: list[str], course: Course) -> None:
        self.command, self.course = command, course
        self.log = course.root / "server.log"
        self.seconds = 0.0

    def start(self) -> None:
        began = time.monotonic()
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.course.root, env=self.course.variables, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
                # Where these tests run in the background, Ctrl-C would be ignored by all that they start.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip
        while True:
            found = re.search(r"(http://\S+?)(/lab\S*)?\?token=(\w+)", self.said)
            if found:
                self.address, self.opens, self.token = found[1], found[2] or "/lab", found[3]
                with contextlib.suppress(OSError):
                    self.ask("/api/status")
                    break
            assert self.process.poll() is None and time.monotonic() - began < 120, self.said
            time.sleep(0.1)
        self.seconds = time.monotonic() - began

    def stop(self, *, by: signal.Signals = signal.SIGINT) -> None:
        """Ctrl-C, which all that the command started have too; or SIGTERM, which the command has alone."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if by == signal.SIGINT else os.kill)(self.process.pid, by)
            try:
                self.process.wait(30)
                assert not self._is_left(), f"after {by.name} to the command, its server goes on"
            finally:
                if self._is_left():
                    os.killpg(self.process.pid, signal.SIGKILL)

    def _is_left(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def ask(self, path: str, method: str = "GET") -> Any:
        """A question to the server's own interface."""
        request = urllib.request.Request(
            self.address + path, method=method, headers={"Authorization": f"token {self.token}"}
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read().decode()
        return json.loads(text) if text else None

    def end_kernels(self) -> None:
        for session in self.ask("/api/sessions"):
            self.ask(f"/api/sessions/{session['id']}", "DELETE")


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Course:
    """A course of its own for each file of tests."""
    return Course(tmp_path_factory.mktemp("Über uns, my course"), "notebooks", "solutions", "results")


@pytest.fixture(scope="module")
def serve(course) -> Iterator[Callable[..., Server]]:
    """Starts a server by its command line; stops it after the last test of the file."""
    with contextlib.ExitStack() as stack:

        def start(*command: str) -> Server:
            server = Server([sys.executable, "-m", *command], course)
            stack.callback(server.stop)
            server.start()
            return server

        yield start


@pytest.fixture(scope="module")
def lab(serve) -> Server:
    """`course lab`."""
    return serve("course_lib", "lab", "--no-browser")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium, this machine's own; without one, or without Playwright, the tests skip and say so."""
    driver = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install -e '.[browser]'")
    program = os.environ.get("COURSE_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if program is None:
        pytest.skip(f"needs one of {', '.join(CHROMIUMS)}, or COURSE_CHROMIUM=/path/to/it")
    # Chromium's own sandbox does not run as root, as in a container.
    flags = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(request, chromium, screenshots) -> Iterator[Any]:
    """An empty page; whatever the console says against it until the end of the test fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-US", reduced_motion="reduce")
    page, errors = context.new_page(), []
    page.set_default_timeout(WAIT)
    page.on("console", lambda said: errors.append(f"{said.text} {said.location}") if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(f"{error.name}: {error.message}\n{error.stack}"))
    yield page
    if request.node.stash.get(FAILED, False):
        name = re.sub(r"\W+", "_", request.node.name)
        page.screenshot(path=screenshots / f"failed_{name}.png")
    context.close()
    ours = [error for error in errors if not any(re.search(pattern, error) for pattern in ALLOWED)]
    assert not ours, "the browser's console says:\n" + "\n".join(ours)


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory, pytestconfig) -> Path:
    """The folder that pictures go to."""
    named = os.environ.get("COURSE_SCREENSHOTS", "").strip()
    folder = Path(named).expanduser() if named else tmp_path_factory.getbasetemp() / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    pytestconfig.screenshots = folder
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    folder = getattr(config, "screenshots", None)
    if folder:
        terminalreporter.write_line(f"Screenshots: {folder}")
