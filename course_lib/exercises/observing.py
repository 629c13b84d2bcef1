"""Runs an answer on a case and brings back raw values. This is the half that runs beside the learner's code.

Nothing here knows a reference, an expected value or a criterion: in grading this module runs in the student's sandbox.
"""

from __future__ import annotations

import contextlib
import enum
import inspect
import io
import linecache
import math
import os
import pkgutil
import random
import re
import sys
import sysconfig
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
import torch

from course_lib.exercises.conduct import Conduct
from course_lib.exercises.contract import Case, Exercise, Other, Values

PRINT_LIMIT = 20_000  # characters of a learner's output that are kept


class LibraryRefused(RuntimeError):
    """Raised by a function of course_lib that does just what the learner is being asked to write."""


class Place(enum.StrEnum):
    """Where an exception was raised."""

    ANSWER = "answer"  # in the learner's code, or below it
    CALL = "call"  # where the check calls the answer: it takes other arguments
    CHECK = "check"  # in the check's own code, or below it, with what the answer returned


@dataclass(frozen=True)
class Failure:
    """An exception that an answer led to.

    Attributes:
        line, source: the line of the learner's that led to it; where there is none, `source` is the library's function
            that raised it, such as "SGD.__init__".
        library_name: the refused function of course_lib that was called, if that is what happened.
    """

    type: str
    text: str
    line: int | None = None
    source: str = ""
    library_name: str = ""
    place: Place = Place.ANSWER

    def is_stub_of(self, name: str) -> bool:
        """Whether nothing was written in this exercise's cell; an answer may also call one that is not written yet."""
        return _says_stub(self.type, self.text) and self.text.partition(": ")[2] in ("", name)


def is_stub(fault: BaseException) -> bool:
    """Whether an exception is that of a cell in which nothing was written."""
    return _says_stub(type(fault).__name__, str(fault))


def _says_stub(type_name: str, text: str) -> bool:
    return type_name == "NotImplementedError" and text.startswith("Exercise")


@dataclass(frozen=True)
class Observation:
    """What one case brought: values, or a failure; what the code printed; and what else it did, see `Conduct`.

    `seconds` is the CPU time that it took. `changed` names arguments that the code changed and must not, `left` modes
    of torch that it left switched.
    """

    case: Case
    values: Values
    error: Failure | None = None
    printed: str = ""
    changed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    seconds: float = field(default=0.0, compare=False)


def observe_all(
    exercise: Exercise,
    fn: Callable[..., Any],
    cases: Sequence[Case],
    *,
    guard: bool = True,
    device: torch.device | str | None = None,
    capture: Callable[[], CapturedOutput] | None = None,
) -> list[Observation]:
    """Observes `fn` on a copy of every case: output captured, torch's state put back, the library's own refused.

    Args:
        guard: False lets the library's own versions run, for a reference that is one of them.
        device: where the copies' tensors go; observed values come back to the CPU all the same.
        capture: makes what captures the output of one case; `CapturedOutput` if not given.
    """
    capture = capture or CapturedOutput
    refused = library_refused(exercise.library) if guard else contextlib.nullcontext()
    with refused, _random_state_restored(), default_modes(device):
        return [_observe_one(exercise, fn, case, device, capture()) for case in cases]


def _observe_one(
    exercise: Exercise, fn: Callable[..., Any], case: Case, device: torch.device | str | None, output: CapturedOutput
) -> Observation:
    seed_everything(0)
    values: Values = {}
    error = None
    conduct = Conduct(exercise.signature, exercise.may_change)
    begun = time.process_time()
    with output:
        try:
            # What a check does to the modes is what it calls does, which are right and wrong answers.
            watched = fn if exercise.check_of else conduct.watched(fn)
            seen = exercise.observe(watched, case.copy(device))
            values = {str(key): plain(value) for key, value in seen.items()}
        except BaseException as caught:  # SystemExit and KeyboardInterrupt too: a check never raises
            error = failure_of(caught, fn, check=source_file(exercise.observe))
    seconds = time.process_time() - begun
    return Observation(case, values, error, output.text, tuple(conduct.changed), tuple(conduct.left), seconds)


def failure_of(caught: BaseException, fn: Any, *, check: str | None = None) -> Failure:
    """Describes an exception, pointing at the last line of the learner's own source that it passed through.

    Args:
        check: the file of the check's own code; an exception that was raised with no learner's code at work is its.
    """
    line, source = None, ""
    filename = source_file(fn)
    for frame in traceback.extract_tb(caught.__traceback__):
        if filename is not None and frame.filename == filename:
            line, source = frame.lineno, (frame.line or linecache.getline(filename, frame.lineno or 0)).strip()
    text = " ".join(str(caught).split())[:500]
    library_name = text if isinstance(caught, LibraryRefused) else ""
    place = _place_of(caught, fn, filename, check)
    if check and place is not Place.ANSWER:
        line, source = None, _raised_by(caught, check)
    return Failure(type(caught).__name__, text, line, source, library_name, place)


def _place_of(caught: BaseException, fn: Any, answer: str | None, check: str | None) -> Place:
    """Where an exception was raised, by the files that its traceback leads through."""
    passed = {frame.filename for frame in traceback.extract_tb(caught.__traceback__)}
    others = passed - {check}
    if answer is None or check is None or answer in passed or not all(f.startswith(_INSTALLED) for f in others):
        return Place.ANSWER
    name = re.escape(getattr(fn, "__name__", ""))
    called = isinstance(caught, TypeError) and re.match(rf"(.*\.)?{name}(\.__init__)?\(\) ", str(caught))
    return Place.CALL if called else Place.CHECK


# The course, and what is installed beside Python and beside torch: no learner writes there.
_COURSE = str(Path(__file__).resolve().parents[1])
_INSTALLED = (_COURSE, sysconfig.get_path("stdlib"), str(Path(torch.__file__).resolve().parents[1]), "<frozen ")


def _raised_by(caught: BaseException, check: str) -> str:
    """The library's function that the check had called, such as "SGD" or "Tensor.backward"; "" for look-ups."""
    names: list[str] = []
    for frame, _ in traceback.walk_tb(caught.__traceback__):
        code = frame.f_code
        if code.co_filename == check or code.co_filename.startswith(_COURSE):
            names = []
        elif "<locals>" not in code.co_qualname:
            names.append(code.co_qualname.removesuffix(".__init__"))
    return names[0] if names and not re.search(r"\b_", names[0]) else ""


def source_file(fn: Any) -> str | None:
    """The file a function or class was written in (in a notebook: the cell), or None."""
    with contextlib.suppress(Exception):
        if isinstance(fn, type):
            code = next(v.__code__ for v in vars(fn).values() if inspect.isfunction(v))
        else:
            code = inspect.unwrap(fn).__code__
        return code.co_filename
    return None


def plain(value: Any) -> Any:
    """A raw value as data: tensors detached, cloned, on the CPU; numbers, strings, lists, dicts; else a type's name."""
    if isinstance(value, torch.Tensor):
        with torch._C.DisableTorchFunctionSubclass():  # a subclass may answer every call as it likes: read the memory
            return torch.Tensor.clone(torch.Tensor.cpu(torch.Tensor.detach(value))).as_subclass(torch.Tensor)
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.generic):
        return Other(f"numpy.{type(value).__name__}", ())
    if isinstance(value, np.ndarray):
        return Other("numpy.ndarray", value.shape)
    if type(value) is dict:
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return Other(type(value).__name__)


def given_names() -> dict[str, Any]:
    """What a notebook's setup cell imports: an answer may use no other names."""
    return {"torch": torch, "nn": torch.nn, "F": torch.nn.functional, "math": math}


# --- for the exercises' own observers -------------------------------------------------------------------------------


def two_values(result: Any, first: str, second: str) -> Values:
    """A pair under two names; what is not a pair stands under the first."""
    if isinstance(result, (tuple, list)) and len(result) == 2:
        return {first: result[0], second: result[1]}
    return {first: result, second: None}


def number_and_kind(value: Any) -> tuple[Any, str]:
    """What is to be a single number: as a float where it can be one, and its type, "float" or another."""
    kind = "float" if isinstance(value, float) else type(value).__name__  # numpy.float64 is a float
    number = value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else value
    if isinstance(number, complex):
        return "a complex number", kind
    return float(number) if isinstance(number, (int, float)) else number, kind


def dtype_name(value: Any) -> str:
    """A tensor's dtype, such as "torch.int64"; of anything else its type."""
    return str(value.dtype) if isinstance(value, torch.Tensor) else type(value).__name__


def mode_of(module: torch.nn.Module) -> str:
    """The mode that a module is in: "train" or "eval"."""
    return "train" if module.training else "eval"


def state_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all that a network holds, parameters and buffers, as it is now."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def gradient_of(leaf: torch.Tensor) -> torch.Tensor:
    """The gradient that has reached a leaf; zeros stand for none: raw values, so that a judge can compare shapes."""
    return leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)


# --- the library's own versions refuse while an answer is observed --------------------------------------------------


def _refuse(*args: Any, **kwargs: Any) -> None:
    import sys

    from course_lib.exercises.observing import LibraryRefused

    raise LibraryRefused(sys._getframe().f_code.co_name)


def resolve(name: str) -> Any:
    """The object behind a dotted name in course_lib, such as "course_lib.evaluation.accuracy".

    Raises:
        AttributeError, ImportError: there is no such thing.
    """
    return pkgutil.resolve_name(name)


def called(name: str) -> str:
    """What a learner calls the object behind a dotted name; a network, refused by its `forward`, by its class."""
    return name.removesuffix(".forward").rpartition(".")[2]


@contextlib.contextmanager
def library_refused(names: Sequence[str]) -> Iterator[None]:
    """While open, the named functions and classes of course_lib raise LibraryRefused, however they were imported.

    The code object itself is exchanged, because the learner's cell may hold a reference that patching the module would
    miss.
    """
    changed: list[tuple[Any, Any]] = []
    try:
        for name in names:
            thing = resolve(name)
            function = inspect.unwrap(vars(thing)["__init__"] if isinstance(thing, type) else thing)
            if function.__code__.co_freevars:
                raise TypeError(
                    f"{name} is a closure and cannot be refused; list a plain function in Exercise.library."
                )
            changed.append((function, function.__code__))
            function.__code__ = _refuse.__code__.replace(co_name=called(name))
        yield
    finally:
        for function, code in reversed(changed):
            function.__code__ = code


# --- output ---------------------------------------------------------------------------------------------------------


class Sink(Protocol):
    """What keeps captured output: `open` gives the stream to write to, `close` what was kept of it, as text."""

    def open(self) -> TextIO: ...

    def close(self) -> str: ...


class CapturedOutput:
    """Context manager: nothing written to stdout or stderr inside reaches the notebook; `text` holds it afterwards.

    ipykernel's own stream objects, which a logging handler may hold, are redirected as well as the Python streams.

    Args:
        limit: bytes that are kept.
        sink: makes what keeps them; `DescriptorSink` if not given.
    """

    def __init__(self, limit: int = PRINT_LIMIT, *, sink: Callable[[int], Sink] | None = None) -> None:
        self.text = ""
        self._sink = (sink or DescriptorSink)(limit)

    def __enter__(self) -> CapturedOutput:
        self._streams = sys.stdout, sys.stderr
        stream = self._sink.open()
        self._redirected = [s for s in self._streams if hasattr(s, "pub_thread")]  # ipykernel's OutStream
        for notebooks in self._redirected:
            notebooks.write = stream.write  # type: ignore[method-assign]
        sys.stdout = sys.stderr = stream
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout, sys.stderr = self._streams
        for notebooks in self._redirected:
            with contextlib.suppress(AttributeError):
                del notebooks.write
        self.text = self._sink.close()


class DescriptorSink:
    """Keeps output in a file, and what is written to the file descriptors of stdout and stderr with it.

    nbgrader takes a byte on stderr for a failed check, and a library in C or a child process writes past Python.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def open(self) -> TextIO:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        self._saved = []
        for descriptor in (1, 2):
            with contextlib.suppress(OSError):
                self._saved.append((descriptor, os.dup(descriptor)))
                os.dup2(self._file.fileno(), descriptor)
        self._stream = text_stream(os.fdopen(os.dup(self._file.fileno()), "wb", 0))
        return self._stream

    def close(self) -> str:
        text = ""
        with contextlib.suppress(Exception):
            self._stream.flush()
        for descriptor, saved in self._saved:
            os.dup2(saved, descriptor)
            os.close(saved)
        with contextlib.suppress(Exception):
            size = self._file.seek(0, os.SEEK_END)
            self._file.seek(0)
            text = kept_text(self._file.read(self._limit), size)
        with contextlib.suppress(Exception):
            self._stream.close()
        self._file.close()
        return text


def text_stream(raw: io.RawIOBase) -> TextIO:
    """A stream of text whose bytes go to `raw` at once."""
    return io.TextIOWrapper(raw, "utf-8", "replace", write_through=True)  # type: ignore[type-var]


def kept_text(kept: bytes, size: int) -> str:
    """The beginning of what was printed, as text that says how many of its `size` bytes are missing."""
    text = kept.decode("utf-8", "replace")
    return text if size <= len(kept) else f"{text}\n[... {size - len(kept):,} more bytes of output]"


# --- torch's state --------------------------------------------------------------------------------------------------


def manual_seed(seed: int) -> None:
    """As `torch.manual_seed`, which stores a stack trace per call for a GPU that was not used yet: a ms or so each."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


def seed_everything(seed: int) -> None:
    """Seeds the generators of Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    manual_seed(seed)


@contextlib.contextmanager
def _random_state_restored() -> Iterator[None]:
    states = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=list(devices)):
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


@contextlib.contextmanager
def default_modes(device: torch.device | str | None = None) -> Iterator[None]:
    """What is switched for a whole notebook, as it is in a fresh one; in the end as it was before.

    A cell that turns gradients off, or warnings into errors, must not cost an answer that has nothing to do with it;
    and an answer may switch what it likes.

    Args:
        device: where tensors are made that name no device, if the notebook has chosen another one than the CPU.
    """
    recording, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    with contextlib.ExitStack() as switched:
        switched.callback(torch.set_grad_enabled, recording)
        switched.callback(torch.set_default_dtype, dtype)
        switched.callback(_use_deterministic_algorithms, *deterministic)
        if torch.is_inference_mode_enabled():
            switched.enter_context(torch.inference_mode(False))
        if torch.is_anomaly_enabled():
            switched.enter_context(torch.autograd.set_detect_anomaly(False))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                switched.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            switched.enter_context(torch.device(device or "cpu"))
        switched.enter_context(np.errstate(all="warn", under="ignore"))
        switched.enter_context(warnings.catch_warnings())
        if any(action == "error" for action, *_ in warnings.filters):
            warnings.filters[:] = [each for each in warnings.filters if each[0] != "error"]  # type: ignore[index]
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        _use_deterministic_algorithms(False, False)
        yield


def _use_deterministic_algorithms(mode: bool, warn_only: bool) -> None:
    """Switches only what is not so: torch imports its compiler for it, which takes a first check 1.5 s of CPU."""
    now = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if now != (mode, warn_only):
        torch.use_deterministic_algorithms(mode, warn_only=warn_only)
