"""Collected attempts: every one is kept as it came, and the one that counts is what is graded.

    class/attempts/<student>/<unit>/<notebook>.001.ipynb   an attempt, never changed again
    class/attempts/<student>/<unit>/<notebook>.001.json    where it came from and when
    class/submitted/<student>/<unit>/<notebook>.ipynb      a copy of the attempt that counts
    class/submitted/<student>/<unit>/timestamp.txt         when that was handed in, as nbgrader reads it

Attempts are numbered in the order in which they are collected, so a clock that jumps changes nothing here. The latest
one counts: by the times that the platform gives, else by its number of the attempt, else the one collected last.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from course_lib import files
from course_lib.grading.outside.recognizing import Which, holds_cells
from course_lib.grading.outside.roster import time_of

SCHEMA = 1
BY_HAND = "by hand"
STAMP, SECRET = "timestamp.txt", "submission_secret.txt"
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Attempt:
    """One attempt of a student at a notebook.

    Attributes:
        number: by the order of collecting, from 1.
        digest: of the file's bytes.
        record: where it came from: platform, key, names, ids, identifier, time, late, attempt, file.
        readable: whether it holds cells.
    """

    number: int
    digest: str
    record: dict[str, Any] = field(default_factory=dict)
    readable: bool = True

    @property
    def time(self) -> datetime | None:
        """When it was handed in, where the platform says so."""
        return time_of(str(self.record.get("time") or ""))

    def is_later_than(self, other: Attempt) -> bool:
        """Whether it counts rather than another one that was collected before it."""
        if self.readable != other.readable:
            return self.readable
        if self.time and other.time:
            return self.time >= other.time
        mine, theirs = self.record.get("attempt"), other.record.get("attempt")
        if mine and theirs and mine != theirs and self.record.get("platform") == other.record.get("platform"):
            return bool(mine > theirs)
        return True


class Shelf:
    """The attempts of one student at one notebook.

    Args:
        folder: the class folder.
    """

    def __init__(self, folder: Path, student: str, which: Which) -> None:
        self._attempts = folder / "attempts" / student / which.unit
        self.submitted = folder / "submitted" / student / which.unit / f"{which.notebook}.ipynb"
        self._notebook = which.notebook
        self.attempts = self._read()

    def _read(self) -> list[Attempt]:
        found = []
        pattern = re.compile(re.escape(self._notebook) + r"\.(\d{3,9})\.ipynb")
        for path in sorted(self._attempts.glob("*.ipynb")) if self._attempts.is_dir() else ():
            match = pattern.fullmatch(path.name)
            if match:
                data = path.read_bytes()
                record = read_record(path.with_suffix(".json"))
                found.append(Attempt(int(match[1]), digest_of(data), record, holds_cells(data)))
        return sorted(found, key=lambda each: each.number)

    def known(self, data: bytes) -> Attempt | None:
        """The attempt that has these bytes."""
        wanted = digest_of(data)
        return next((each for each in self.attempts if each.digest == wanted), None)

    def adopt(self, *, but: Collection[str] = (), write: bool) -> Attempt | None:
        """Keeps what lies in class/submitted and is not an attempt yet, such as a file put there by hand.

        Args:
            but: digests of files that are collected now, and need not be kept twice.
        """
        if not self.submitted.is_file() or self.submitted.is_symlink():
            return None
        data = self.submitted.read_bytes()
        if self.known(data) or digest_of(data) in but:
            return None
        record: dict[str, Any] = {"platform": BY_HAND}
        with contextlib.suppress(OSError, UnicodeDecodeError):
            time = time_of(self.submitted.with_name(STAMP).read_text(encoding="utf-8").strip())
            record["time"] = stamp_of(time) if time else None
        with contextlib.suppress(OSError, UnicodeDecodeError):
            record["secret"] = self.submitted.with_name(SECRET).read_text(encoding="utf-8").strip()
        return self.add(data, record, write=write)

    def add(self, data: bytes, record: dict[str, Any], *, write: bool) -> Attempt:
        """Keeps an attempt under the next number that is free.

        Raises:
            OSError: it cannot be written; what was kept before is as it was.
        """
        number = max((each.number for each in self.attempts), default=0) + 1
        if write:
            while not files.create(self.path(number), data):  # another one was kept meanwhile
                number += 1
            self.note(number, record)
        attempt = Attempt(number, digest_of(data), record, holds_cells(data))
        self.attempts.append(attempt)
        return attempt

    def note(self, number: int, record: dict[str, Any]) -> None:
        """Writes down where an attempt came from, unless a platform stands there already."""
        text = json.dumps({"schema": SCHEMA, **record}, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        path = self.path(number).with_suffix(".json")
        if read_record(path).get("platform") == BY_HAND:
            files.replace(path, text)
        else:
            files.create(path, text)

    def counting(self) -> Attempt | None:
        """The attempt that counts."""
        best: Attempt | None = None
        for attempt in self.attempts:
            if best is None or attempt.is_later_than(best):
                best = attempt
        return best

    def put_out(self) -> None:
        """Brings the attempt that counts into class/submitted, where it is not there yet.

        Raises:
            OSError: it cannot be written; an older attempt is there as it was.
        """
        best = self.counting()
        if best is None:
            return
        there = digest_of(self.submitted.read_bytes()) if self.submitted.is_file() else ""
        if there != best.digest:
            files.replace(self.submitted, self.path(best.number).read_bytes())

    def path(self, number: int) -> Path:
        """Where an attempt's notebook lies."""
        return self._attempts / f"{self._notebook}.{number:03}.ipynb"


def put_out_marks(folder: Path, student: str, unit: str, notebooks: Iterable[str]) -> None:
    """Writes when a student handed a unit in, and the secret of nbgrader's exchange, as nbgrader reads them.

    There is no such file where no platform says it.

    Raises:
        OSError: it cannot be written.
    """
    found = [Shelf(folder, student, Which(unit, notebook)).counting() for notebook in notebooks]
    counting = sorted((each for each in found if each is not None), key=lambda each: each.time or _NEVER)
    times = [each.time for each in counting if each.time]
    secrets = [str(each.record["secret"]) for each in counting if each.record.get("secret")]
    place = folder / "submitted" / student / unit
    _mark(place / STAMP, stamp_of(times[-1]) + "\n" if times else "")
    _mark(place / SECRET, secrets[-1] if secrets else "")


def _mark(path: Path, text: str) -> None:
    there = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if text and there != text:
        files.replace(path, text)
    elif not text and path.is_file():
        path.unlink()


def records(folder: Path) -> dict[tuple[str, str, str], list[Attempt]]:
    """All attempts that were collected, by student, unit and notebook. Their notebooks are not read."""
    found: dict[tuple[str, str, str], list[Attempt]] = {}
    for path in sorted((folder / "attempts").glob("*/*/*.json")):
        notebook, _, number = path.stem.rpartition(".")
        if number.isdecimal():
            record = read_record(path)
            key = (path.parent.parent.name, path.parent.name, notebook)
            found.setdefault(key, []).append(Attempt(int(number), "", record, record.get("readable", True)))
    return found


def read_record(path: Path) -> dict[str, Any]:
    """Where an attempt came from; {} where that is not known."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def stamp_of(time: datetime) -> str:
    """A time as nbgrader's timestamp.txt has it.

    >>> stamp_of(datetime(2026, 3, 1, 12, tzinfo=UTC))
    '2026-03-01 12:00:00 UTC'
    """
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def digest_of(data: bytes) -> str:
    """What a file is known by."""
    return hashlib.sha256(data).hexdigest()
