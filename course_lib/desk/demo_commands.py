"""A command that runs beside the demo: its lines are told as they come, and its last ones say why it failed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from course_lib.desk.errors import DemoError

LAST_LINES = 40  # of a command that failed
PAUSE = 0.1  # seconds between two looks at a command


class Command:
    """A module of this Python with arguments, such as `python -m nbgrader autograde UNIT`.

    Its output goes to a file, `log`, so that neither a full pipe nor a thread is needed while two run side by side.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        folder: Path,
        log: Path,
        variables: Mapping[str, str],
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = f"{module} {' '.join(arguments)}"
        self._tell, self._log, self._told = tell, log, 0
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=folder, env=dict(variables), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def goes_on(self) -> bool:
        """Whether the command still runs; tells the lines that are new."""
        ended = self._process.poll() is not None
        lines = self._lines()
        complete = lines if ended else lines[:-1]
        for line in complete[self._told :]:
            self._tell(line)
        self._told = len(complete)
        return not ended

    def wait(self) -> None:
        """Waits for the command's end.

        Raises:
            DemoError: it failed.
        """
        while self.goes_on():
            time.sleep(PAUSE)
        if self._process.returncode:
            raise DemoError(f"{self.name} ended with status {self._process.returncode}:\n{self.last_lines()}")

    @property
    def status(self) -> int | None:
        return self._process.poll()

    def last_lines(self) -> str:
        """The end of what the command printed."""
        return "\n".join(self._lines()[-LAST_LINES:]).rstrip()

    def stop(self) -> None:
        """Ends the command if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()

    def _lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8", errors="replace").split("\n")


@contextlib.contextmanager
def stopped_at_the_end() -> Iterator[list[Command]]:
    """A list of commands; those that still run at the end, as after Ctrl-C or a failure, are stopped."""
    commands: list[Command] = []
    try:
        yield commands
    finally:
        for command in commands:
            command.stop()
