"""What judges of unit 06 ask of the state of a network, before and after training."""

from __future__ import annotations

import torch

from course_lib.exercises.asking import changed
from course_lib.exercises.contract import Case, Trial, Values


def all_changed(seen: Values, before: str, after: str) -> bool:
    """Whether of two states that were seen every tensor differs."""
    return changed(seen[before], seen[after]) == seen[before].keys() == seen[after].keys()


def moved(seen: Values, *, statistics: bool) -> list[str]:
    """The weights, or the statistics, of the frozen part that training has changed."""
    names = changed(seen["state_given"], seen["state_after_training"])
    return [n for n in names if n.endswith(("running_mean", "running_var", "num_batches_tracked")) == statistics]


# --- for fine_tune, where `kind` is "weights" or "statistics" -------------------------------------------------------


def changed_parts(seen: Values, kind: str) -> set[str]:
    """The parts whose weights, or statistics, are not the same to the last bit."""
    before, after = seen[f"{kind}_before"], seen[f"{kind}_after"]
    return {name for name in before if not torch.equal(before[name], after[name])}


def frozen_parts(case: Case, seen: Values) -> set[str]:
    """The names of the frozen parts, as they are seen."""
    blocks = tuple(f"block {number} of" for number in case.inputs["frozen"])
    return {name for name in seen["weights_before"] if blocks and name.startswith(blocks)}


def freezes_others(trial: Trial) -> bool:
    """Whether a block stays that should learn, while one learns that should stay."""
    blocks = trial.seen["statistics_before"].keys()
    kept = blocks - changed_parts(trial.seen, "weights")
    frozen = frozen_parts(trial.case, trial.seen)
    return bool(kept - frozen and frozen - kept)


def keeps_batches(trial: Trial) -> bool:
    """Whether all epochs were run over the batches of a single loop."""
    return len(trial.seen["losses_of_its_steps"]) == trial.case.inputs["num_epochs"] > trial.seen["loops"]
