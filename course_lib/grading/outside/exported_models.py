"""The hidden test of the open brief: exported models are run in the sandbox, on images that they have not seen.

A model that is handed in is data, but its file may hold code, so none of it is read outside. Inside, `exported.loads`
refuses what is not arithmetic, and what comes back is a list of predicted classes. The labels stay here, so code that
ran all the same could only guess.
"""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_lib.data import ImageData, draw_glyphs
from course_lib.grading.inside.protocol import Limits
from course_lib.grading.outside.cells import Cell
from course_lib.grading.outside.options import Options
from course_lib.grading.outside.sessions import Session
from course_lib.grading.outside.submission import BadSubmissions, Released
from course_lib.grading.outside.zygotes import Zygote
from course_lib.model_card import wilson_interval
from course_lib.notebooks import CellKind

UNIT, FILE = "12_capstone", "model.pt2"
BRIEF: dict[str, Any] = {"clutter": 2, "noise": 2}  # how the images of the brief are drawn, see docs/open_brief.md
IMAGES = 1000
MOST_BYTES = 4 << 20  # of a file
LIMITS = Limits(cells_seconds=60, wall_seconds=180.0)

# Loading a program loads a compiler, some seconds: once for all models. It is imported by its own name, because an
# export would leave it half imported where it is switched off, as it is in the sandbox.
_SETUP = """
import base64, json, torch
import torch._inductor.cpp_builder
from course_lib import exported
"""
_RUN = """
classifier = exported.loads(base64.b64decode({model!r}), name="the model")
images = torch.frombuffer(bytearray(base64.b64decode({pixels!r})), dtype=torch.uint8).reshape({shape})
found = torch.cat([classifier(part).argmax(dim=1) for part in images.split(100)])
print(json.dumps([list(classifier.class_names), found.tolist()]))
"""


@dataclasses.dataclass(frozen=True)
class Score:
    """What a model of one student has on the hidden test; `problem` says why there is no score."""

    student: str
    right: int = 0
    total: int = 0
    problem: str = ""

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval; (0, 0) without a score."""
        return wilson_interval(self.right, self.total) if self.total else (0.0, 0.0)


def hidden_images(secret: bytes, count: int = IMAGES) -> ImageData:
    """The hidden test of a class: the same for all its students, and another one for another secret."""
    seed = int.from_bytes(hashlib.sha256(b"hidden test of the open brief" + secret).digest()[:6], "big")
    return draw_glyphs(n=count, split="test", seed=seed, **BRIEF)


def files_in(submissions: Path) -> dict[str, Path]:
    """The model of each student in a folder `student/12_capstone/model.pt2`.

    Raises:
        BadSubmissions: there is no such folder, or no model in it.
    """
    found = {path.parts[-3]: path for path in sorted(submissions.glob(f"*/{UNIT}/{FILE}"))}
    if not found:
        raise BadSubmissions(f"{submissions} holds no model; expected a folder STUDENT/{UNIT}/{FILE} for each student.")
    return found


def scores(files: dict[str, Path], options: Options, *, count: int = IMAGES) -> list[Score]:
    """The score of each model, the best lower end of its interval first, then those without a score.

    Raises:
        IsolationError, GraderFault: nothing can be run here.
    """
    data = hidden_images(options.secret, count)
    options = dataclasses.replace(options, limits=LIMITS)
    released = Released(UNIT, "hidden_test", (Cell(CellKind.SETUP, "code", _SETUP),), "hidden test")
    with Zygote(options) as zygote:
        found = [_score(zygote, released, student, path, data) for student, path in files.items()]
    return sorted(found, key=lambda score: (-score.interval[0], score.problem, score.student))


def _score(zygote: Zygote, released: Released, student: str, path: Path, data: ImageData) -> Score:
    if path.stat().st_size > MOST_BYTES:
        return Score(student, problem=f"the file has more than {MOST_BYTES >> 20} MB")
    fields = {"model": path.read_bytes(), "pixels": data.images.numpy().tobytes()}
    text = {name: base64.b64encode(content).decode() for name, content in fields.items()}
    session = Session(zygote, released)
    try:
        loaded = session.load([("model", _RUN.format(**text, shape=tuple(data.images.shape)))], {})
    finally:
        session.close()
    if loaded.ending is not None:
        return Score(student, problem=loaded.ending.message.render())
    record = loaded.cells.get("model", {})
    if record.get("error"):
        return Score(student, problem=f"{record['error']['type']}: {record['error']['text']}")
    predicted = _predicted(record.get("printed", ""), data)
    if predicted is None:
        return Score(student, problem="the model gives no class of the brief for each image")
    right = sum(name == data.class_names[label] for name, label in zip(predicted, data.labels.tolist(), strict=True))
    return Score(student, right, len(data))


def _predicted(printed: str, data: ImageData) -> list[str] | None:
    """The predicted name of each image; None if what came back is anything else."""
    try:
        names, found = json.loads(printed)
        if sorted(names) != sorted(data.class_names) or len(found) != len(data):
            return None
        return [names[k] for k in found] if all(type(k) is int and 0 <= k < len(names) for k in found) else None
    except (ValueError, TypeError):
        return None


def as_table(found: Sequence[Score], *, named: bool = True) -> list[str]:
    """Lines of a leaderboard; without names it can be shown to a class."""
    lines = [f"{'':>3}  {'95 % interval':<16}  accuracy  {'student' if named else ''}".rstrip()]
    for rank, score in enumerate(found, start=1):
        low, high = score.interval
        who = score.student if named else ""
        what = f"{low:6.1%} to {high:6.1%}  {score.right / score.total:8.1%}" if score.total else f"{score.problem:>26}"
        lines.append(f"{rank if score.total else '-':>3}  {what}  {who}".rstrip())
    return lines


def as_csv(found: Sequence[Score]) -> str:
    """A row per student: student, right, total, accuracy, low, high, problem."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["student", "right", "total", "accuracy", "low", "high", "problem"])
    for score in found:
        accuracy = f"{score.right / score.total:.4f}" if score.total else ""
        ends = [f"{end:.4f}" if score.total else "" for end in score.interval]
        writer.writerow([score.student, score.right, score.total, accuracy, *ends, score.problem])
    return out.getvalue()
