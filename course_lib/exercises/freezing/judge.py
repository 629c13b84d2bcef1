"""What judges of unit 06 ask of the state of a network, before and after training."""

from __future__ import annotations

from course_lib.exercises.asking import changed
from course_lib.exercises.contract import Values


def all_changed(seen: Values, before: str, after: str) -> bool:
    """Whether of two states that were seen every tensor differs."""
    return changed(seen[before], seen[after]) == seen[before].keys() == seen[after].keys()


def moved(seen: Values, *, statistics: bool) -> list[str]:
    """The weights, or the statistics, of the frozen part that training has changed."""
    names = changed(seen["state_given"], seen["state_after_training"])
    return [n for n in names if n.endswith(("running_mean", "running_var", "num_batches_tracked")) == statistics]
