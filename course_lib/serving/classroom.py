"""A class as the server sees it: its folder, its units and their dates, and the clock by which hand-ins are dated."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib import files
from course_lib.grading.inside.protocol import Limits
from course_lib.grading.outside import dates, results
from course_lib.grading.outside.isolation import AUTO
from course_lib.grading.outside.recognizing import Catalogue
from course_lib.grading.outside.submission import BadSubmissions, Released, read_release
from course_lib.serving.database import Database

if TYPE_CHECKING:
    from course_lib.grading.outside.options import Options

PLATFORM = "course serve"  # where attempts came from, in class/attempts
OWN = "serve"  # the server's own folder in the class folder
JUMP = timedelta(minutes=2)


@dataclass(frozen=True)
class Place:
    """Where a class lies and how it is graded: all that a worker must be told.

    Attributes:
        folder: the class folder.
        release: the folder of released notebooks.
        url: of the data base; "" for SQLite in the class folder.
        exercise_folders: further folders of units.
        scheduler: of a Dask cluster that grades; "" for this machine.
        limits: what a submission may use.
    """

    folder: Path
    release: Path
    url: str = ""
    exercise_folders: tuple[str, ...] = ()
    isolation: str = AUTO
    scheduler: str = ""
    limits: Limits = field(default_factory=Limits)

    @property
    def own(self) -> Path:
        """The server's own files: data base, secret, locks."""
        return self.folder / OWN

    @property
    def address(self) -> str:
        """The URL of the data base."""
        return self.url or f"sqlite:///{(self.own / 'serve.db').absolute()}"

    def as_json(self) -> dict[str, Any]:
        """As a worker is told it."""
        return {**asdict(self), "folder": str(self.folder), "release": str(self.release)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Place:
        """The place again."""
        known = {**told, "folder": Path(told["folder"]), "release": Path(told["release"])}
        known |= {"limits": Limits(**told["limits"]), "exercise_folders": tuple(told["exercise_folders"])}
        return cls(**known)


class Classroom:
    """A class with its data base.

    Args:
        make: whether the data base is made when it is not there.

    Raises:
        BadSubmissions: there are no released notebooks.
        DatabaseError: the data base cannot be opened.
    """

    def __init__(self, place: Place, *, make: bool = False) -> None:
        self.place, self.folder = place, place.folder
        units = sorted(path.name for path in place.release.glob("*/") if any(path.glob("*.ipynb")))
        if not units:
            raise BadSubmissions(f"there are no released notebooks in {place.release}; run `course release` first.")
        self.by_unit: dict[str, list[Released]] = {unit: read_release(place.release, unit) for unit in units}
        self.released = {(each.unit, each.notebook): each for group in self.by_unit.values() for each in group}
        self.catalogue = Catalogue(self.by_unit)
        self.database = Database(place.address, make=make)
        self.clock = Clock()
        self.calendar_fault = ""
        self._calendar: dict[str, dates.Dates] | None = None

    def calendar(self) -> dict[str, dates.Dates]:
        """The dates of the units, as the file says now; where it cannot be read, as it said before.

        Raises:
            BadSubmissions: a date cannot be read, and none was read before.
        """
        try:
            self._calendar, self.calendar_fault = dates.read(self.folder), ""
        except BadSubmissions as fault:
            self.calendar_fault = f"{fault} Until then the dates are in force that stood there before."
            if self._calendar is None:
                raise
        return self._calendar

    @cached_property
    def secret(self) -> str:
        """What links and cookies are signed with: made once, readable by its owner only.

        Raises:
            OSError: it can be neither read nor made.
        """
        path = self.place.own / "secret"
        if not path.exists():
            files.create(path, secrets.token_hex(32) + "\n", mode=0o600)
        text = path.read_text(encoding="ascii").strip()
        if len(text) < 32:
            raise BadSubmissions(f"{path} is too short to sign with; delete it, and all links are made anew.")
        return text

    def options(self) -> Options:
        """How to grade: as `course grade` does, so that a result of one is good for the other."""
        from course_lib.grading.outside.options import Options  # loads torch, which the pages do not need

        place = self.place
        protected = (place.folder, place.release, results.secret_path())
        return Options(
            isolation=place.isolation,
            limits=place.limits,
            secret=results.secret(),
            exercise_folders=place.exercise_folders,
            protected=tuple(str(path) for path in protected if path.exists()),
        )


class Clock:
    """The time of this machine, and whether it has jumped since the server started."""

    def __init__(self) -> None:
        self._offset = self._now() - self._ticks()
        self.jumps: list[str] = []

    def now(self) -> datetime:
        """The time now, in UTC."""
        now, ticks = self._now(), self._ticks()
        jumped = now - ticks - self._offset
        if abs(jumped) > JUMP:
            self._offset = now - ticks
            self.jumps.append(
                f"The clock of this machine jumped by {_signed(jumped)}, to {dates.shown(now)}. Look at the times of "
                "what was handed in about then: no attempt is lost, but one may be called late that was not."
            )
        return now

    def after(self, earlier: datetime | None) -> datetime:
        """The time now, or that of an earlier attempt where the clock went back meanwhile: the later one counts."""
        now = self.now().replace(microsecond=0)
        return max(now, earlier) if earlier else now

    def _now(self) -> datetime:
        return datetime.now(UTC)

    def _ticks(self) -> timedelta:
        """Seconds of a clock that cannot be set; those in which the machine slept count."""
        boot = getattr(time, "CLOCK_BOOTTIME", None)
        return timedelta(seconds=time.monotonic() if boot is None else time.clock_gettime(boot))


def _signed(span: timedelta) -> str:
    minutes = span.total_seconds() / 60
    return f"{minutes / 60:+.1f} hours" if abs(minutes) >= 120 else f"{minutes:+.0f} minutes"
