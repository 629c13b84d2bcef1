"""Settings from environment variables: profile, data set, device, threads, folders, language.

This module imports nothing of the course, and torch only inside the functions that need it.
"""

from __future__ import annotations

import contextlib
import functools
import locale
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

PROFILES = ("smoke", "laptop", "full")
DATASETS = ("glyphs", "digits", "mnist", "fashion_mnist", "cifar10", "folder")
# What is recorded on something else than images: kind -> its data sets. `COURSE_DATASET` chooses among images alone.
OTHER_DATASETS = {"text": ("docstrings",), "sound": ("words",)}


def profile() -> str:
    """The profile in force, `COURSE_PROFILE`: "smoke" (a few steps per training), "laptop" (default) or "full" (GPU).

    Raises:
        ValueError: the variable names no profile.
    """
    name = os.environ.get("COURSE_PROFILE", "").strip() or "laptop"
    if name not in PROFILES:
        raise ValueError(f"COURSE_PROFILE is {name!r}; it must be one of {', '.join(PROFILES)} (unset means laptop).")
    return name


def by_profile(*, smoke: T, laptop: T, full: T) -> T:
    """The value for the profile in force: `steps = by_profile(smoke=3, laptop=600, full=10_000)`."""
    return {"smoke": smoke, "laptop": laptop, "full": full}[profile()]


def dataset_name() -> str:
    """The data set in force, from `COURSE_DATASET`; "glyphs" when unset. The loader checks that it exists."""
    return os.environ.get("COURSE_DATASET", "").strip() or "glyphs"


def kind_of(dataset: str) -> str:
    """The kind of a data set: "images", or another that `OTHER_DATASETS` lists.

    >>> kind_of("mnist"), kind_of("docstrings"), kind_of("words")
    ('images', 'text', 'sound')
    """
    return next((kind for kind, names in OTHER_DATASETS.items() if dataset in names), "images")


def data_folder() -> Path | None:
    """The folder with local data sets, from `COURSE_DATA`, or None when unset."""
    value = os.environ.get("COURSE_DATA", "").strip()
    return Path(value).expanduser() if value else None


def root() -> Path:
    """The project folder (it holds notebooks/, results/ and work/): `COURSE_ROOT`, else the parent of the package."""
    value = os.environ.get("COURSE_ROOT", "").strip()
    return Path(value).expanduser().resolve() if value else Path(__file__).resolve().parent.parent


@functools.cache
def device() -> torch.device:
    """The device of the course, resolved once: `COURSE_DEVICE`, else cuda, mps or cpu, the first that is there.

    Raises:
        ValueError: `COURSE_DEVICE` names a device that this machine or this torch does not have.
    """
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    wanted = os.environ.get("COURSE_DEVICE", "").strip().lower()
    if wanted:
        kind = wanted.split(":")[0]
        if not available.get(kind, False):
            usable = ", ".join(name for name, here in available.items() if here)
            raise ValueError(f"COURSE_DEVICE is {wanted!r}, which cannot be used here; usable: {usable}.")
        try:
            chosen = torch.device(wanted)
        except RuntimeError as error:
            raise ValueError(
                f"COURSE_DEVICE is {wanted!r}; cpu, mps, cuda or one GPU such as cuda:0 is expected."
            ) from error
        if kind == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
            raise ValueError(
                f"COURSE_DEVICE is {wanted!r}, but this machine has {torch.cuda.device_count()} GPU(s), from cuda:0."
            )
        return chosen
    return torch.device(next(name for name, here in available.items() if here))


def thread_count() -> int:
    """Torch threads to use: `COURSE_THREADS`, else 1 on one or two cores and half the cores, at most 4, above.

    Two OpenMP threads on a busy two-core machine wait for each other and can be tens of times slower than one.

    Raises:
        ValueError: `COURSE_THREADS` is not a whole number of at least 1.
    """
    wanted = os.environ.get("COURSE_THREADS", "").strip()
    if wanted:
        if not (wanted.isascii() and wanted.isdigit()) or int(wanted) < 1:
            raise ValueError(f"COURSE_THREADS is {wanted!r}; it must be a whole number of at least 1.")
        return int(wanted)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return 1 if cores <= 2 else min(4, cores // 2)


@functools.cache
def configure_threads() -> int:
    """Sets torch's thread count to `thread_count()`, once per process; returns it."""
    import torch

    count = thread_count()
    torch.set_num_threads(count)
    return count


@functools.cache
def languages() -> tuple[str, ...]:
    """The languages that the checks speak: English, and each that has a folder in course_lib/locale."""
    return ("en", *sorted(path.parent.parent.name for path in _LOCALE.glob("*/LC_MESSAGES/course.po*")))


def language() -> str:
    """The language of checks, cards and feedback: `COURSE_LANGUAGE`, else the system's; English where it has no other.

    The system's is read as gettext reads it, from LANGUAGE, LC_ALL, LC_MESSAGES or LANG; on Windows, where these are
    seldom set, the language of the desktop.

    Raises:
        ValueError: `COURSE_LANGUAGE` names a language that the course does not speak.
    """
    if not _is_there(_LOCALE):  # a copy without catalogues, as in the sandbox of a grader, where no message is shown
        return "en"
    wanted = os.environ.get("COURSE_LANGUAGE", "").strip()
    if wanted:
        found = _spoken(wanted)
        if found is None:
            raise ValueError(f"COURSE_LANGUAGE is {wanted!r}; the course speaks {', '.join(languages())}.")
        return found
    for variable in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        names = os.environ.get(variable, "").strip()
        if names:
            return next((found for name in names.split(":") if (found := _spoken(name))), "en")
    if sys.platform == "win32":
        import ctypes

        return _spoken(locale.windows_locale.get(ctypes.windll.kernel32.GetUserDefaultUILanguage(), "")) or "en"
    return "en"


_LOCALE = Path(__file__).resolve().parent / "locale"


@functools.cache  # a page of feedback asks 300 times, which was half of what it cost
def _is_there(folder: Path) -> bool:
    return folder.is_dir()


@functools.cache
def _spoken(name: str) -> str | None:
    """The language of the course that a locale's name means, such as "zh_CN.UTF-8", "zh-Hans" or "en_GB"."""
    plain = locale.normalize(name.strip().replace("-", "_").replace("_Hans", ""))
    plain = plain.partition(".")[0].partition("@")[0]
    if plain in ("C", "POSIX") or plain.split("_")[0] == "en":
        return "en"
    return next((known for known in languages() if plain in (known, known.partition("_")[0])), None)


@contextlib.contextmanager
def variables(**values: str) -> Iterator[None]:
    """Sets environment variables while it is open; afterwards they are what they were.

    >>> with variables(COURSE_PROFILE="smoke"):
    ...     profile()
    'smoke'
    """
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
