"""What several judges of unit 01 share."""

from __future__ import annotations

from course_lib.exercises.contract import Case, Values


def mode_restored(case: Case, seen: Values, expected: Values) -> bool:
    """Whether the network was used, and is in the mode that it came in."""
    return bool(seen["modes"]) and seen["mode_after"] == expected["mode_after"]
