"""What a student's process may read: a copy of course_lib without what knows an answer, and Python's environment."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import site
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import course_lib
from course_lib.grading.outside.isolation import IsolationError

# Of course_lib, the copy leaves out what grades, authors and serves the course, and in exercises/ all that judges. A
# name with a slash is a path in course_lib; a name without one stands for every file and folder of that name.
LEFT_OUT = (
    "authoring",
    "desk",
    "grading/outside",
    "grading/exports.py",
    "grading/kernelspec.py",
    "serving",
    "exercises/card.py",
    "exercises/checking.py",
    "exercises/judging.py",
    "exercises/answers.py",
    "exercises/candidates.py",
    "judge.py",
)


def stage_library(packages: Sequence[Path], target: Path) -> Path:
    """Copies course_lib as a student's process may hold it: `LEFT_OUT` left out, and nothing but Python's source.

    Args:
        packages: the folder of course_lib, then any further folders of units.
        target: a new folder; the copy goes to target/course_lib.
    """
    package, *more = packages
    for source in sorted(package.rglob("*.py")):
        inner = source.relative_to(package)
        if not _is_left_out(inner):
            _copy(source, target / "course_lib" / inner)
    for folder in more:
        for source in sorted(folder.rglob("*.py")):
            if not _is_left_out(inner := source.relative_to(folder)):
                _copy(source, target / "course_lib" / "exercises" / inner)
    for folder_name, _, _ in os.walk(target):
        os.chmod(folder_name, 0o755)
    return target


def _is_left_out(path: Path) -> bool:
    beginnings = ["/".join(path.parts[:count]) for count in range(1, len(path.parts) + 1)]
    return any(name in LEFT_OUT for name in (*beginnings, *path.parts))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    os.chmod(target, 0o644)


# --- the folder of the copy -------------------------------------------------------------------------------------------


def stage_folder() -> Path:
    """A new folder for the copy, away from /tmp, which inside the sandbox is the student's own.

    Folders that a killed grader left behind are removed.
    """
    for parent in _stage_parents():
        with contextlib.suppress(OSError):
            for old in Path(parent).glob("course-grading-*"):
                owner = old.name.split("-")[2]
                if owner.isdigit() and not os.path.exists(f"/proc/{owner}") and old.stat().st_uid == os.geteuid():
                    shutil.rmtree(old, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix=f"course-grading-{os.getpid()}-", dir=parent))
            folder.chmod(0o755)
            return folder
    raise IsolationError("no temporary folder can be written to; set TMPDIR to one that can.")


def without_stage(text: str) -> str:
    """A text without the folders made by `stage_folder` and for submissions in it: their names are others each time.

    The text may be a student's and long: no part of the pattern can match in two ways, so the time grows with the
    length and no faster.
    """
    parents = "|".join(map(re.escape, _stage_parents()))
    return re.sub(rf"(?:{parents})/course-grading-\d+-\w+/(?:scratch/submission-\w+/?)?", "", text)


def _stage_parents() -> tuple[str, str]:
    return "/var/tmp", tempfile.gettempdir()


# --- what else may be read --------------------------------------------------------------------------------------------


def readable_paths() -> list[str]:
    """The interpreter, its environment and the system's shared libraries; no folder that holds course_lib itself."""
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths += [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        paths.append(site.getusersitepackages())
    paths += ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"]
    whole_system = {"/", "/usr", "/usr/local", "/usr/bin", "/bin", "/usr/local/bin", os.path.expanduser("~")}
    chosen: list[str] = []
    for path in sorted({os.path.abspath(p) for p in paths if p}):
        if path in whole_system or not os.path.isdir(path):
            continue
        if not any(path.startswith(other + "/") for other in chosen):
            chosen.append(path)
    return [leaf for path in chosen for leaf in _without_course(path)]


def _without_course(path: str) -> Iterator[str]:
    """The path, or its parts if course_lib was installed somewhere inside it."""
    package = os.path.dirname(os.path.abspath(course_lib.__file__))
    if not package.startswith(path + "/"):
        yield path
        return
    for name in sorted(os.listdir(path)):
        part = os.path.join(path, name)
        if part != package:
            yield from _without_course(part) if os.path.isdir(part) and not os.path.islink(part) else (part,)


def check_apart(readable: Sequence[str], protected: Sequence[str]) -> None:
    """Refuses to grade when something protected lies inside what the sandbox can read.

    Raises:
        IsolationError: names both paths.
    """
    for secret in {os.path.realpath(path) for path in protected}:
        for path in readable:
            if secret == os.path.realpath(path) or secret.startswith(os.path.realpath(path) + "/"):
                raise IsolationError(
                    f"{secret} lies inside {path}, which students' code must be able to read (Python's environment). "
                    "Move one of the two elsewhere."
                )
