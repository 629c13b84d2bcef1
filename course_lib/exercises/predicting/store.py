"""What a learner said: one small file per prediction in work/.progress/predictions/, written whole or not at all.

Everything that was ever said is kept. What counts is the last prediction before its result was shown.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from course_lib import files
from course_lib.exercises import progress

FOLDER = "predictions"
Value = float | str


@dataclass(frozen=True)
class Said:
    """One prediction: its value, when it was made, and whether its result had been shown before."""

    value: Value
    at: float
    after_result: bool = False


@dataclass(frozen=True)
class Entry:
    """All that was said to one question, in order."""

    notebook: str
    name: str
    said: tuple[Said, ...] = field(default_factory=tuple)
    shown: bool = False

    @property
    def counts(self) -> Value | None:
        """The last prediction before the result; None where there is none."""
        return next((each.value for each in reversed(self.said) if not each.after_result), None)


_remembered: dict[tuple[str, str], Entry] = {}  # where no progress is kept


def read(notebook: str, name: str, folder: Path | None = None) -> Entry:
    """What was said to a question so far. A file that cannot be read counts as nothing said.

    Args:
        folder: the learner's folder; None is the one around the notebook, or memory where there is none.
    """
    folder = folder or progress.work_folder()
    if folder is None:
        return _remembered.get((notebook, name), Entry(notebook, name))
    try:
        content = json.loads(_path(folder, notebook, name).read_text(encoding="utf-8"))
        said = tuple(
            Said(_value(each["value"]), float(each["at"]), bool(each["after_result"])) for each in content["said"]
        )
        return Entry(notebook, name, said, bool(content["shown"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Entry(notebook, name)


def add(entry: Entry, value: Value) -> Entry:
    """Stores one more prediction."""
    said = Said(value, round(time.time(), 3), after_result=entry.shown)
    return _write(Entry(entry.notebook, entry.name, (*entry.said, said), entry.shown))


def note_shown(entry: Entry) -> Entry:
    """Notes that the result of a prediction has been shown. Without a prediction there is nothing to note."""
    if entry.shown or not entry.said:
        return entry
    return _write(Entry(entry.notebook, entry.name, entry.said, shown=True))


def _write(entry: Entry) -> Entry:
    folder = progress.work_folder()
    if folder is None:
        _remembered[entry.notebook, entry.name] = entry
        return entry
    path = _path(folder, entry.notebook, entry.name)
    with contextlib.suppress(OSError):  # a read-only folder costs the record, not the cell
        if path.is_file() and not read(entry.notebook, entry.name).said:
            os.replace(path, path.with_suffix(".unreadable"))
        files.replace(path, json.dumps(asdict(entry)))
    return entry


def _path(folder: Path, notebook: str, name: str) -> Path:
    return folder / progress.FOLDER / FOLDER / f"{notebook}.{name}.json"


def _value(value: object) -> Value:
    return value if isinstance(value, str) else float(value)  # type: ignore[arg-type]
