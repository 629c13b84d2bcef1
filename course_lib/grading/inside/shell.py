"""The shell that cells run in: as a notebook's, but without history, startup files, rich output or a display."""

from __future__ import annotations

import functools
import io
import threading
from typing import Any, TextIO

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from course_lib.exercises.observing import CapturedOutput, failure_of, kept_text, text_stream


def run_cell(source: str, limit: int) -> dict[str, Any]:
    """Runs a cell as a notebook would: what it printed, and its error or None.

    Args:
        source: the cell's code.
        limit: bytes of output that are kept.
    """
    with CapturedOutput(limit, sink=MemorySink) as output:
        try:
            result = the_shell().run_cell(source, store_history=False)
            fault = result.error_before_exec or result.error_in_exec
        except BaseException as caught:
            fault = caught
    return {"printed": output.text, "error": None if fault is None else _error(fault)}


def _error(fault: BaseException) -> dict[str, Any]:
    try:
        failure = failure_of(fault, None)
        kind, text = failure.type, failure.text
    except BaseException:  # an exception that does not let itself be printed
        kind, text = "Exception", ""
    line = getattr(fault, "lineno", None)
    return {"type": kind[:100], "text": text, "line": line if type(line) is int else None}


@functools.cache
def the_shell() -> InteractiveShell:
    """The one shell of this process; `user_ns` holds the names that cells have defined."""
    settings = Config()
    settings.HistoryManager.enabled = False
    settings.HistoryManager.hist_file = ":memory:"
    settings.InteractiveShell.colors = "NoColor"
    settings.InteractiveShell.cache_size = 0
    settings.InteractiveShell.xmode = "Minimal"
    shell: InteractiveShell = Shell.instance(config=settings)
    shell.run_cell("pass", store_history=False)
    return shell


class _NoRichOutput(DisplayPublisher):
    """Drops rich output: it could hold scripts, and no page shows it."""

    def publish(self, *args: Any, **kwargs: Any) -> None:
        pass


class _NoResult(DisplayHook):
    """Does not print the value of a cell's last line."""

    def __call__(self, result: Any = None) -> None:
        pass


class Shell(InteractiveShell):
    """A shell that shows nothing; its name stands in messages of Python's that a student may read."""

    display_pub_class = _NoRichOutput
    displayhook_class = _NoResult

    def enable_gui(self, gui: Any = None) -> None:
        """Nothing: `%matplotlib inline` asks for one."""

    def init_sys_path(self) -> None:
        """Nothing: modules in the current folder must not stand in for real ones."""

    def showtraceback(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: errors are reported by the result of the cell."""

    def showsyntaxerror(self, *args: Any, **kwargs: Any) -> None:
        """Nothing, as above."""

    def showindentationerror(self) -> None:
        """Nothing, as above."""


# --- what is printed --------------------------------------------------------------------------------------------------


class MemorySink:
    """Keeps the first part of what is printed, in memory, and counts the rest: a flood of it fills no disk."""

    def __init__(self, limit: int) -> None:
        self._raw = _Kept(limit)

    def open(self) -> TextIO:
        return text_stream(self._raw)

    def close(self) -> str:
        return self._raw.text()


class _Kept(io.RawIOBase):
    def __init__(self, limit: int) -> None:
        self._limit, self._kept, self._size, self._lock = limit, bytearray(), 0, threading.Lock()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        data = memoryview(data).cast("B")
        with self._lock:
            self._size += len(data)
            if len(self._kept) < self._limit:
                self._kept += data[: self._limit - len(self._kept)]
        return len(data)

    def close(self) -> None:
        """Nothing: a cell that closes its output loses nothing."""

    def text(self) -> str:
        return kept_text(bytes(self._kept), self._size)
