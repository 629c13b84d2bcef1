"""How to grade: what of it a result depends on, and the exercises that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import course_lib
from course_lib import exercises as registry
from course_lib.grading.inside.protocol import Limits
from course_lib.grading.outside.isolation import AUTO


class GraderFault(RuntimeError):
    """Something of the grader's own does not work; not the fault of any submission."""


@dataclass(frozen=True)
class Options:
    """How to grade; everything here that can change a result is part of its key.

    Attributes:
        isolation: a level's name, or "auto".
        limits: what a submission may use.
        profile: COURSE_PROFILE while a student's code runs.
        secret: what hidden inputs are drawn from; never in a log.
        exercise_folders: further folders of units, laid out as course_lib/exercises is.
        protected: folders that no student's process may be able to read.
    """

    isolation: str = AUTO
    limits: Limits = field(default_factory=Limits)
    profile: str = "smoke"
    secret: bytes = field(default=b"", repr=False)
    exercise_folders: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()

    def packages(self) -> list[Path]:
        """The folder of course_lib, then the further folders of exercises."""
        return [Path(course_lib.__file__).parent, *map(Path, self.exercise_folders)]


def use_exercise_folders(folders: Sequence[str]) -> None:
    """Makes the units of further folders known in this process, their judges too."""
    for folder in folders:
        if folder not in registry.__path__:
            registry.__path__.append(folder)
            registry.forget_units()
