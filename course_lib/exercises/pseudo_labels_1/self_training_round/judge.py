"""`self_training_round`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_any, ran
from course_lib.exercises.pseudo_labels_1.judge import Pairs, reference_pseudo_label, reference_select, rows_of


def reference(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    guessed, confidences = reference_pseudo_label(model, unlabeled)
    chosen = reference_select(guessed, confidences, tau)
    network = copy.deepcopy(start if restart else model)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return network, chosen


_ROUNDS = ("first", "second")


def _pairs(case: Case, seen: Values, number: str) -> tuple[Pairs, Pairs] | None:
    """What was trained on in a round: (image, label) of the labeled images, and of the unlabeled ones; sorted."""
    training = seen.get(f"{number}_training")
    if not training or not isinstance(training["labels"], Tensor):
        return None
    given = torch.cat([case.inputs["images"], case.inputs["unlabeled"]])
    rows, count = rows_of(training["images"], given), len(case.inputs["images"])
    if len(rows) != len(training["labels"]) or training["labels"].ndim != 1:
        return None
    found = sorted(zip(rows, (int(label) for label in training["labels"])))
    return [p for p in found if p[0] < count], [(row - count, label) for row, label in found if row >= count]


def _own(case: Case) -> Pairs:
    return [(i, int(label)) for i, label in enumerate(case.inputs["labels"])]


def _in_both_rounds(check: Callable[[Case, Values, Values, str], bool]) -> Callable[[Case, Values, Values], bool]:
    return lambda case, seen, expected: all(check(case, seen, expected, number) for number in _ROUNDS)


def _labeled_fine(case: Case, seen: Values, expected: Values, number: str) -> bool:
    found = _pairs(case, seen, number)
    return found is not None and found[0] == _own(case)


def _guessed_by(weight: Tensor, case: Case) -> tuple[Tensor, Tensor]:
    """Labels and confidences that a matrix gives the unlabeled images."""
    confidences, guessed = (case.inputs["unlabeled"].flatten(1) @ weight.T).softmax(dim=1).max(dim=1)
    return guessed, confidences


def _wanted(case: Case, weight: Tensor) -> Pairs:
    guessed, confidences = _guessed_by(weight, case)
    return [(i, int(guessed[i])) for i in range(len(guessed)) if confidences[i] >= case.inputs["tau"]]


def _pseudo_fine(case: Case, seen: Values, expected: Values, number: str) -> bool:
    found = _pairs(case, seen, number)
    # judged by the network that was handed in, so that a wrong first round costs nothing twice
    return found is not None and found[1] == _wanted(case, seen[f"{number}_weight_before"])


def _chosen_fine(case: Case, seen: Values, expected: Values, number: str) -> bool:
    wanted = torch.tensor([i for i, _ in _wanted(case, seen[f"{number}_weight_before"])], dtype=torch.int64)
    return close(seen[f"{number}_chosen"], wanted)


def _begins_with(case: Case, seen: Values, number: str) -> Tensor:
    return case.inputs["first_weight"] if case.inputs["restart"] else seen[f"{number}_weight_before"]


def _begin_fine(case: Case, seen: Values, expected: Values, number: str) -> bool:
    training = seen[f"{number}_training"]
    begin = _begins_with(case, seen, number)
    return close(training["weight_before"], begin) and close(
        seen[f"{number}_returned_weight"], begin + case.inputs["step"]
    )


def _left_alone(case: Case, seen: Values, expected: Values, number: str) -> bool:
    return (
        close(seen[f"{number}_weight_after"], seen[f"{number}_weight_before"])
        and close(seen[f"{number}_start_after"], case.inputs["first_weight"])
        and seen[f"{number}_modes_after"] == seen[f"{number}_modes_before"]
        and seen[f"{number}_calls"] == 1
    )


def _first_pseudo(t: Trial) -> Pairs | None:
    found = _pairs(t.case, t.seen, "first")
    return found[1] if found else None


def _plain_rounds(trials: Sequence[Trial]) -> list[Trial]:
    """Rounds in which somebody is sure."""
    return [t for t in ran(trials) if t.case.name != "nobody_is_sure"]


def _everywhere(trials: Sequence[Trial], predicate: Callable[[Trial], bool]) -> bool:
    found = _plain_rounds(trials)
    return bool(found) and all(predicate(t) for t in found)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "pseudo_labels",
            1,
            "trained on: every unlabeled image that the network so far is sure of, with its label, and no other",
            _in_both_rounds(_pseudo_fine),
        ),
        Criterion(
            "labeled",
            1,
            "trained on as well: each labeled image once, with its own label",
            _in_both_rounds(_labeled_fine),
        ),
        Criterion(
            "begin",
            1,
            "training begins with the first weights after a restart, else with those of the network so "
            "far; what was trained is returned",
            _in_both_rounds(_begin_fine),
        ),
        Criterion(
            "chosen",
            1,
            "the positions of the chosen images are returned too",
            _in_both_rounds(_chosen_fine),
            ("restarted", "continued", "color_at_rest", "continued_at_rest", "nobody_is_sure"),
        ),
        Criterion(
            "left_alone",
            1,
            "the network so far and the first weights stay as they were, mode included; there is one training",
            _in_both_rounds(_left_alone),
        ),
    ),
    predicates={
        "start_trained_itself": lambda trials: in_any(
            trials, lambda t: not close(t.seen["first_start_after"], t.case.inputs["first_weight"])
        ),
        "never_restarted": lambda trials: _everywhere(
            trials, lambda t: close(t.seen["first_training"]["weight_before"], t.case.inputs["weight"])
        ),
        "all_of_them_trained_on": lambda trials: _everywhere(
            trials, lambda t: len(_first_pseudo(t) or []) == len(t.case.inputs["unlabeled"])
        ),
    },
    exact=False,
)
