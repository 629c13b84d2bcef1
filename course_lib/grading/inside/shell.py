"""The shell that cells run in: as a notebook's, but without history, startup files, rich output or a display."""

from __future__ import annotations

import ast
import functools
import io
import threading
from typing import Any, TextIO

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from course_lib.exercises.observing import CapturedOutput, failure_of, kept_text, text_stream

MOST_NOT_RUN = 10  # statements of a cell that did not run and are told


def run_cell(source: str, limit: int) -> dict[str, Any]:
    """Runs a cell as a notebook would: what it printed, its error or None, and what of it did not run, if anything.

    A statement that fails because of this machine, such as a shell command or an import of a module that is not
    installed here, does not end the cell: those below it run all the same.

    Args:
        source: the cell's code.
        limit: bytes of output that are kept.
    """
    shell = the_shell()
    shell.begin_cell()
    with CapturedOutput(limit, sink=MemorySink) as output:
        try:
            result = shell.run_cell(source, store_history=False)  # type: ignore[no-untyped-call]
            fault = result.error_before_exec or result.error_in_exec
        except BaseException as caught:
            fault = caught
    lines = _Lines(source)
    error = None if fault is None else _error(fault, _line_of(fault, shell.cell_name), lines)
    not_run = [_error(why, node.lineno, lines) for node, why in shell.not_run[:MOST_NOT_RUN]]
    return {"printed": output.text, "error": error, **({"not_run": not_run} if not_run else {})}


def _error(fault: BaseException, line: int | None, lines: _Lines) -> dict[str, Any]:
    try:
        failure = failure_of(fault, None)
        kind, text = failure.type, failure.text
    except BaseException:  # an exception that does not let itself be printed
        kind, text = "Exception", ""
    return {"type": kind[:100], "text": text, "line": lines.number(line), "source": lines.text(line)}


def _line_of(fault: BaseException, cell_name: str | None) -> int | None:
    """The line of the cell that failed: the first that the traceback passes through, or that of a wrong syntax."""
    trace = fault.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == cell_name:
            return trace.tb_lineno
        trace = trace.tb_next
    line = getattr(fault, "lineno", None)
    return line if type(line) is int else None


class _Lines:
    """The lines of a cell as the student wrote them; IPython runs a text without the empty lines at its top."""

    def __init__(self, source: str) -> None:
        self._lines = source.splitlines()
        self._empty = next((n for n, line in enumerate(self._lines) if line.strip()), 0)

    def number(self, line: int | None) -> int | None:
        return None if line is None else line + self._empty

    def text(self, line: int | None) -> str:
        number = self.number(line)
        return self._lines[number - 1].strip() if number is not None and 0 < number <= len(self._lines) else ""


@functools.cache
def the_shell() -> Shell:
    """The one shell of this process; `user_ns` holds the names that cells have defined."""
    settings = Config()
    settings.HistoryManager.enabled = False
    settings.HistoryManager.hist_file = ":memory:"
    settings.InteractiveShell.colors = "NoColor"
    settings.InteractiveShell.cache_size = 0
    settings.InteractiveShell.xmode = "Minimal"
    shell: Shell = Shell.instance(config=settings)
    shell.begin_cell()
    shell.run_cell("pass", store_history=False)  # type: ignore[no-untyped-call]
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

    def begin_cell(self) -> None:
        """Forgets what did not run of the cell before."""
        self.cell_name: str | None = None  # the file name that Python knows the cell by
        self.not_run: list[tuple[ast.stmt, BaseException]] = []

    async def run_ast_nodes(
        self,
        nodelist: list[ast.stmt],
        cell_name: str,
        interactivity: str = "last_expr",
        compiler: Any = compile,
        result: Any = None,
    ) -> bool:
        """Runs statements one by one; after one that this machine cannot run, all that can be run."""
        self.cell_name = self.cell_name or cell_name
        for node in nodelist:
            if not await super().run_ast_nodes([node], cell_name, "none", compiler, result):
                continue
            fault = None if result is None else result.error_in_exec
            if not isinstance(fault, Exception) or not (self.not_run or _is_due_to_this_machine(node, fault)):
                return True
            self.not_run.append((node, fault))
            result.error_in_exec = None
        return False

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


def _is_due_to_this_machine(node: ast.stmt, fault: Exception) -> bool:
    """Whether a statement failed for want of a module, a file, a network or a shell: the student's machine had them."""
    is_import = isinstance(node, (ast.Import, ast.ImportFrom))
    return is_import or isinstance(fault, (ImportError, OSError)) or _is_magic(node)


def _is_magic(node: ast.stmt) -> bool:
    """Whether a statement is a magic or a shell command, as IPython writes them: `get_ipython().system('ls')`."""
    value = node.value if isinstance(node, (ast.Expr, ast.Assign)) else None
    function = value.func if isinstance(value, ast.Call) else None
    shell = function.value if isinstance(function, ast.Attribute) else None
    return isinstance(shell, ast.Call) and isinstance(shell.func, ast.Name) and shell.func.id == "get_ipython"


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
