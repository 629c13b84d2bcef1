"""The corpus as two graders are given it: its cases, a course to grade them in, and what an outcome is called."""

from __future__ import annotations

import compileall
import contextlib
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat

from course_lib import files
from course_lib.grading.outside import results
from course_lib.grading.outside.standings import standings
from course_lib.notebooks import tools_on_path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "grading")]

import class_notebooks as notebooks  # noqa: E402
import tiny_course  # noqa: E402
from class_notebooks import UNIT  # noqa: E402
from corpus import handed_in  # noqa: E402
from corpus.handed_in import NAME, NEIGHBOR  # noqa: E402
from corpus.kinds import Kind  # noqa: E402

POINTS = {"double": 3.0, "scale": 2.0}
NEIGHBORS_LINE = "# written by the neighbor and no other student"
SECRET = "5ec2e7" * 11

# Looks into every file that it can open for what it must not see; the parts are put together so that the notebook's
# own text, which is on the feedback page, does not count.
SEARCH = f"""
import glob, os
marks = ["THE_REFERENCE" + "_OF_DOUBLE", {NEIGHBORS_LINE[:20]!r} + {NEIGHBORS_LINE[20:]!r}, "5ec2e7" * 10]
paths = glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline")
for folder, inside, names in os.walk("/"):
    inside[:] = [name for name in inside if name not in ("site-packages", "usr", "lib", "lib64", "proc", "sys", "dev")]
    paths += [os.path.join(folder, name) for name in names]
for path in paths:
    try:
        text = open(path, "rb").read(2_000_000) if os.path.isfile(path) else b""
    except OSError:
        continue
    for mark in marks:
        if mark.encode() in text:
            print("FOUND", path, mark)
"""
SEARCHING = Kind("a search of every file", notebooks.answered(extra=SEARCH), handed_in.RIGHT)


def cases() -> list[Kind]:
    """The whole corpus, and the search."""
    return [*handed_in.EVERYTHING, SEARCHING]


def zips() -> dict[str, dict[str, bytes]]:
    """Archives of a class, which nbgrader does not take: what is in each beside an honest student's work."""
    return {
        "zip bomb": {f"bomb/{UNIT}/{NAME}": bytes(200 << 20)},
        "zip with paths that leave it": {
            f"{top}/{UNIT}/{NAME}": notebooks.as_bytes(notebooks.answered())
            for top in ("../evil", "/abs", "a/../..", "C:", "..\\evil")
        },
    }


def slug(name: str) -> str:
    return re.sub(r"\W+", "-", name.lower()).strip("-")


def graded_cells(notebook: Any) -> Any:
    """The notebook without the release's demo and train cells, whatever was done to their metadata."""
    if not isinstance(notebook, dict):
        return notebook
    left_out = [
        c["source"] for c in notebooks.released()["cells"] if {"demo", "train"} & {*c["metadata"].get("tags", ())}
    ]
    return {**notebook, "cells": [cell for cell in notebook["cells"] if cell["source"] not in left_out]}


def put(kind: Kind, submitted: Path, student: str) -> str:
    """Hands a case in; its digest, by which a record knows whether it is still about the same case."""
    folder = handed_in.hand_in(kind._replace(notebook=graded_cells(kind.notebook)), submitted, student)
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(path.relative_to(folder).as_posix().encode())
        if path.is_symlink():
            digest.update(os.readlink(path).encode())
        elif path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def digests() -> dict[str, str]:
    """The digest of each case as it is in the corpus now."""
    with tempfile.TemporaryDirectory() as folder:
        return {kind.name: put(kind, Path(folder), slug(kind.name)) for kind in cases()}


# --- a course for either side ---------------------------------------------------------------------------------------


def make_course(root: Path) -> Path:
    """A project whose only unit is the corpus's, released, its gradebook made, the neighbor's work handed in."""
    tiny_course.write_project(root)
    shutil.rmtree(root / "course_lib" / "exercises" / "tiny")
    shutil.copytree(TESTS / "grading" / "unit", root / "course_lib" / "exercises", dirs_exist_ok=True)
    shutil.rmtree(root / "solutions")
    blank = graded_cells(notebooks.released())
    path = root / "notebooks" / UNIT / NAME
    files.replace(path, notebooks.as_bytes(blank))
    fill_gradebook(root / "class" / "gradebook.db", path)
    compileall.compile_dir(root / "course_lib", quiet=1)  # once, and not in every kernel
    honest = notebooks.answered(f"{NEIGHBORS_LINE}\n{notebooks.RIGHT_DOUBLE}")
    put(Kind("", honest, handed_in.RIGHT), root / "class" / "submitted", NEIGHBOR)
    return root


def fill_gradebook(book: Path, released: Path) -> None:
    """nbgrader's gradebook with the released notebook in it, as `nbgrader generate_assignment` would leave it."""
    from nbgrader.api import Gradebook
    from nbgrader.preprocessors import ComputeChecksums, SaveCells

    book.parent.mkdir(parents=True)
    with tools_on_path():
        with Gradebook(f"sqlite:///{book}") as made:
            made.add_assignment(UNIT)
        page, _ = ComputeChecksums().preprocess(nbformat.read(released, as_version=4), {})
        about = {"notebook": UNIT, "assignment": UNIT, "db_url": f"sqlite:///{book}"}
        SaveCells().preprocess(page, {"nbgrader": about})


def hidden_numbers(secret: Path) -> list[str]:
    """The hidden inputs of `double` as they could be printed."""
    from course_lib.grading.outside.hidden_cases import under_test
    from course_lib.grading.outside.options import use_exercise_folders

    use_exercise_folders([str(TESTS / "grading" / "unit")])
    hidden = under_test("double", results.secret(secret)).cases
    return [f"{abs(value):.4f}"[:6] for case in hidden for value in case.inputs["x"].flatten().tolist()]


def leaks(text: str, hidden: Sequence[str] = ()) -> list[str]:
    """What of the hidden material stands in what a student gets back."""
    marks = {"reference": ["THE_REFERENCE_OF_DOUBLE"], "neighbor": [NEIGHBORS_LINE], "secret": [SECRET[:40]]}
    return [what for what, words in {**marks, "hidden input": hidden}.items() if any(word in text for word in words)]


def scores_of(book: Path, student: str) -> dict[str, float | None]:
    """The points that count in a gradebook, a person's included, by exercise; none where there is no grade."""
    found = {s.name.removeprefix("check_"): s.score for s in standings(book, student=student)}
    return {name: found[name] for name in POINTS if name in found}


def outcome(kind: Kind, scores: dict[str, float | None], neighbor: dict[str, float | None], graded: bool) -> str:
    """What happened to a case; see the top."""
    deserved = {"double": kind.double[1], "scale": kind.scale[1]}
    if not graded or any(scores.get(name) is None for name in POINTS):
        whole = all(neighbor.get(name) is not None for name in POINTS)
        return "ungraded" if whole else "aborted"
    if neighbor != POINTS:
        return "fooled" if neighbor else "aborted"
    differences = [float(scores[name] or 0) - deserved[name] for name in POINTS]
    if any(not abs(d) < 1e9 for d in differences):  # NaN as well
        return "fooled"
    if max(differences) > 0:
        return "not counted" if kind.disputed else "fooled"
    return "marked down" if min(differences) < 0 else "right"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="grading-corpus-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
