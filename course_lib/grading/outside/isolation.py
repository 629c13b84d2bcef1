"""Which isolation is to be had on this machine, and what to say where it is not the one asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from course_lib.grading.inside.protocol import Isolation

AUTO = "auto"  # what may be asked for besides the levels: namespaces, else Landlock, never less

HOW_TO_FIX = {
    Isolation.NAMESPACES: (
        "On Ubuntu 24.04 and later run `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, in a container "
        "allow user namespaces (Docker: --security-opt seccomp=unconfined --security-opt systempaths=unconfined), "
        "or grade with `--isolation landlock`."
    ),
    Isolation.LANDLOCK: (
        "Landlock needs Linux 5.13 or later with `landlock` among the kernel's security modules (lsm=...)."
    ),
}


class IsolationError(RuntimeError):
    """The level of isolation that was asked for is not to be had here."""


def levels_for(asked: str) -> tuple[Isolation, ...]:
    """The levels to try, best first. "auto" takes namespaces or, where those are forbidden, Landlock; never less.

    COURSE_FORBID_ISOLATION names levels to do without, as if the machine did not have them.

    Raises:
        IsolationError: not Linux, or nothing is left to try.
        ValueError: there is no such level.
    """
    if asked not in (AUTO, *Isolation):
        raise ValueError(f"there is no isolation level {asked!r}; the levels are {AUTO}, {', '.join(Isolation)}.")
    if asked == Isolation.NONE:
        return (Isolation.NONE,)
    if not sys.platform.startswith("linux"):
        raise IsolationError(
            "grading other people's code in isolation needs Linux. On Windows use WSL2, on a Mac a Linux machine "
            "or container; `--isolation none` runs the code with all your rights and is for trusted notebooks only."
        )
    forbidden = os.environ.get("COURSE_FORBID_ISOLATION", "").replace(",", " ").split()
    wanted = (Isolation.NAMESPACES, Isolation.LANDLOCK) if asked == AUTO else (Isolation(asked),)
    left = tuple(level for level in wanted if level not in forbidden)
    if not left:
        raise refusal(asked, {level: "forbidden by COURSE_FORBID_ISOLATION" for level in wanted})
    return left


def refusal(asked: str, reasons: Mapping[Isolation, str]) -> IsolationError:
    """The error that says why no level at or above the one asked for was obtained, and what to do."""
    tried = "; ".join(f"{level}: {reason}" for level, reason in reasons.items())
    fixes = " ".join(HOW_TO_FIX[level] for level in reasons if level in HOW_TO_FIX)
    return IsolationError(f"isolation {asked!r} is not to be had on this machine ({tried}). {fixes}")


def landlock_gaps() -> str:
    """What students' code can do at the level "landlock" on this kernel, and could not among namespaces."""
    from course_lib.grading.inside.system_calls import landlock_version  # of Linux alone

    gaps = [
        "fill the disk, since only the size of each file is limited",
        "send signals to other processes of this user" if landlock_version() < 6 else "",
        "see the names of files and processes",
    ]
    return f"there students' code can {', '.join(filter(None, gaps))}"
