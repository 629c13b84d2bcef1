"""Result files: one per submission, written whole or not at all, and good for exactly what it was computed from."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from course_lib import files
from course_lib.grading.outside.locks import try_lock

SCHEMA = 1


class Verdict(StrEnum):
    """What became of an answer; of a submission, the gravest one of its answers. By gravity."""

    RIGHT = "right"
    NOT_ATTEMPTED = "not_attempted"
    WRONG = "wrong"
    ERROR = "error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASHED = "crashed"
    MALFORMED = "malformed"


class ResultsError(RuntimeError):
    """Results that cannot be written or kept; the text says what to do."""


def path_of(folder: Path, *, unit: str, notebook: str, student: str) -> Path:
    """Where the result of a submission lies. A student's name may hold anything, so the file's name is made safe."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", student)[:60]
    if plain != student:
        plain += "-" + hashlib.sha256(student.encode("utf-8", "replace")).hexdigest()[:12]
    return folder / unit / notebook / f"{plain}.json"


def text_of(result: dict[str, Any]) -> str:
    """The bytes of a result file, as text: the same for the same result, wherever and however often it is graded."""
    return json.dumps(result, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def write(folder: Path, result: dict[str, Any]) -> Path:
    """Writes a result, whole or not at all.

    Raises:
        ResultsError: the disk is full or the folder cannot be written to; an older result stays as it was.
    """
    path = path_of(folder, unit=result["unit"], notebook=result["notebook"], student=result["student"])
    try:
        files.replace(path, text_of(result))
    except OSError as fault:
        raise ResultsError(
            f"the result of {result['student']!r} could not be written to {path.parent}: {fault.strerror}. What was "
            "graded before is kept; make room or choose another folder with --out, then run the same command again."
        ) from None
    return path


def read(path: Path) -> dict[str, Any] | None:
    """A result file, or None if it is missing or not one of ours."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(result, dict) and result.get("schema") == SCHEMA and isinstance(result.get("key"), str)
    return result if whole else None


def all_results(folder: Path) -> Iterator[dict[str, Any]]:
    """Every result in a folder, in the order of units, notebooks and students' files."""
    for path in sorted(folder.glob("*/*/*.json")):
        result = read(path)
        if result is not None:
            yield result


def still_good(folder: Path, *, unit: str, notebook: str, student: str, key: str) -> dict[str, Any] | None:
    """The result already there, if it was computed from the very same things."""
    result = read(path_of(folder, unit=unit, notebook=notebook, student=student))
    return result if result is not None and result["key"] == key and result.get("student") == student else None


def merge(folders: Sequence[Path], target: Path) -> int:
    """Copies the results of several folders (of shards) into one; gives how many there were."""
    count = 0
    for folder in folders:
        for result in all_results(folder):
            write(target, result)
            count += 1
    return count


def in_shard(name: str, shard: tuple[int, int] | None) -> bool:
    """Whether a submission belongs to shard k of n (k from 1); every submission belongs to exactly one."""
    if shard is None:
        return True
    number = int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:8], "big")
    return number % shard[1] == shard[0] - 1


# --- what a result depends on -----------------------------------------------------------------------------------------


def key_of(**parts: Any) -> str:
    """The hash of everything a result was computed from."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def hash_of_code(folders: Sequence[Path]) -> str:
    """A hash of all code in some folders: exercises, judges and their known mistakes, the library that they call."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for kind in ("*.py", "mistakes.md") for path in folder.rglob(kind)):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def secret_path() -> Path:
    """Where the instructor's secret lies: COURSE_SECRET names a file; the default is in the user's own settings."""
    named = os.environ.get("COURSE_SECRET", "").strip()
    base = os.environ.get("XDG_CONFIG_HOME", "").strip() or "~/.config"
    return Path(named or f"{base}/few-labels/grading-secret").expanduser()


def secret(path: Path | None = None) -> bytes:
    """The instructor's secret, made when there is none; hidden inputs are drawn from it.

    Raises:
        ResultsError: it cannot be read or made.
    """
    path = path or secret_path()
    try:
        if not path.exists():  # where another grader is first meanwhile, its secret counts
            files.create(path, secrets.token_hex(32) + "\n", mode=0o600)
        held = path.read_bytes().strip()
    except OSError as fault:
        raise ResultsError(f"the grading secret {path} cannot be used: {fault.strerror}. Set COURSE_SECRET.") from None
    if len(held) < 16:
        raise ResultsError(f"the grading secret {path} is shorter than 16 bytes; delete it, and a new one is made.")
    return held


def seed_for(held: bytes, exercise: str) -> int:
    """The hidden seed of an exercise: the same for every student, unknown without the secret."""
    return int.from_bytes(hmac.new(held, exercise.encode(), hashlib.sha256).digest()[:4], "big") | 1 << 31


# --- one grader at a time ---------------------------------------------------------------------------------------------

_held: list[IO[str]] = []


def _close_held() -> None:
    for file in _held:
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        after_in_child=_close_held
    )  # the lock must not outlive a grader that is killed before its workers


@contextlib.contextmanager
def only_grader(folder: Path, shard: tuple[int, int] | None) -> Iterator[None]:
    """Holds a folder of results, or a shard of it, against a second grader.

    Raises:
        ResultsError: another one is at work there, or the folder cannot be written to.
    """
    name = f".grading-{shard[0]}-of-{shard[1]}.lock" if shard else ".grading.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / name, "w")  # noqa: SIM115
    except OSError as fault:
        raise ResultsError(f"{folder} cannot be written to: {fault.strerror}. Choose another with --out.") from None
    with file:
        if not try_lock(file):
            raise ResultsError(
                f"another grader is at work on {folder}. Wait for it, or give this one its own folder with --out."
            )
        _held.append(file)
        try:
            yield
        finally:
            _held.remove(file)
