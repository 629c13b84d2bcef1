"""What a learner has tried and reached: one small file per exercise in work/.progress/, written atomically."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from course_lib import files, settings
from course_lib.exercises.contract import TRIED, State

FOLDER = ".progress"
TRIES_BEFORE_SOLUTION = 3


@dataclass(frozen=True)
class Standing:
    """How far one exercise has come. `tries` counts judged attempts that were not right; blank ones do not count."""

    exercise: str
    state: State = State.NOT_ATTEMPTED
    score: float = 0.0
    points: float = 0.0
    best: float = 0.0
    tries: int = 0
    borrowed: bool = False


def work_folder(start: Path | None = None) -> Path | None:
    """The `work` folder around the current notebook (`COURSE_WORK` overrides); None elsewhere: graders keep none."""
    named = os.environ.get("COURSE_WORK", "").strip()
    if named:
        return Path(named).expanduser()
    try:
        here = (start or Path.cwd()).resolve()
    except FileNotFoundError:  # the notebook's folder was removed or replaced while its kernel ran
        return None
    for folder in (here, *here.parents):
        if folder == settings.root():  # a project that lies in a user's ~/work is not work of the course
            return None
        if folder.name == "work":
            return folder
    return None


def read(folder: Path | None) -> dict[str, Standing]:
    """Every standing recorded under a work folder, by exercise; unreadable files are passed over."""
    standings: dict[str, Standing] = {}
    for path in sorted((folder / FOLDER).glob("*.json")) if folder else ():
        try:
            recorded = json.loads(path.read_text(encoding="utf-8"))
            standing = Standing(**{**recorded, "state": State(recorded["state"])})
        except (KeyError, ValueError, TypeError, OSError):
            continue
        standings[standing.exercise] = standing
    return standings


def note(
    before: Standing | None, exercise: str, *, state: State, score: float, points: float, borrowed: bool = False
) -> Standing:
    """The standing after one more check; what was reached before is never lost."""
    before = before or Standing(exercise)
    return Standing(
        exercise=exercise,
        state=state if before.state != State.RIGHT or borrowed else State.RIGHT,
        score=score,
        points=points,
        best=max(before.best, score),
        tries=before.tries + (state in TRIED),
        borrowed=borrowed or (before.borrowed and state != State.RIGHT),
    )


def write(folder: Path, standing: Standing) -> None:
    """Writes one standing, whole or not at all."""
    files.replace(folder / FOLDER / f"{standing.exercise}.json", json.dumps(asdict(standing)))
