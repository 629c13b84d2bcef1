"""What the two halves agree on: levels of isolation, limits, the kinds of message. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Isolation(StrEnum):
    """What stands between a student's code and the machine, strongest first."""

    NAMESPACES = "namespaces"  # a root, processes and a network of its own; Landlock where the kernel has it; limits
    LANDLOCK = "landlock"  # the same files by Landlock alone, a filter of system calls, limits
    NONE = "none"  # limits; only when asked for by name, on a machine that has nothing to lose


@dataclass(frozen=True)
class Limits:
    """What one process of a student may use. Seconds are CPU seconds, except `wall_seconds`.

    Attributes:
        cells_seconds: for all cells of a submission together.
        exercise_seconds: for observing one exercise.
        wall_seconds: how long either may take on the clock, asleep or waiting; generous, for loaded machines.
        memory_bytes: beyond what the loaded libraries take already.
        processes: processes and threads of one submission.
        file_bytes: the size of one file.
        printed: bytes of a cell's output that are kept.
    """

    cells_seconds: int = 30
    exercise_seconds: int = 10
    wall_seconds: float = 60.0
    memory_bytes: int = 2 << 30
    processes: int = 64
    file_bytes: int = 32 << 20
    printed: int = 20_000


class Request(StrEnum):
    """What the outside asks a trusted process for: the value of "op" in a message."""

    ZYGOTE = "zygote"
    UNIT = "unit"
    SUBMISSION = "submission"


class View(StrEnum):
    """With what an exercise is observed: the names of a notebook may stand for one thing and later for another."""

    ANSWER = "answer"  # as the cell of its answer left them
    END = "end"  # as all cells together left them


class Report(StrEnum):
    """What a process of a submission reports: the key by which its message is known."""

    RUNNING = "running"  # the id of the cell that begins
    RAN = "ran"  # the id of the cell that has ended; with what it printed, and its error
    LOADED = "loaded"  # all cells have run; with the exercises whose names the notebook has redefined or changed
    ENDED = "ended"  # how a process ended
    FAULT = "fault"  # the machine is short of something


def without_surrogates(text: str) -> str:
    """A text with "?" for halves of characters, which JSON can spell and no file can hold."""
    return text.encode("utf-8", "replace").decode()
