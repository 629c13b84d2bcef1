"""`self_training_round`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch

from course_lib.exercises.asking import everywhere, somewhere
from course_lib.exercises.contract import Criterion, Judge, Passes, Values, close
from course_lib.exercises.self_training.judge import Pairs, reference_pseudo_label, reference_select, trained_on


def building_on(pseudo_label=reference_pseudo_label, select_confident=reference_select):
    def self_training_round(model, start, images, labels, unlabeled, *, tau, train, restart=True):
        guessed, confidences = pseudo_label(model, unlabeled)
        chosen = select_confident(guessed, confidences, tau)
        network = copy.deepcopy(start if restart else model)
        train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
        return network, chosen

    return self_training_round


def _in_both_rounds(test: Callable[[Values, Values], bool]) -> Passes:
    return lambda c, s, e: all(test(c.inputs, {k.removeprefix(n): s[k] for k in s}) for n in ("first_", "second_"))


def _sure(given: Values, seen: Values) -> Pairs:
    """The unlabeled images above the threshold, by the network handed in: a wrong first round costs nothing twice."""
    confidences, labels = (given["unlabeled"].flatten(1) @ seen["weight_before"].T).softmax(dim=1).max(dim=1)
    return [(i, int(labels[i])) for i in range(len(labels)) if confidences[i] >= given["tau"]]


def _right_begin(given: Values, seen: Values) -> bool:
    begin = given["first_weight"] if given["restart"] else seen["weight_before"]
    return close(seen["training"]["weight_before"], begin) and close(seen["returned_weight"], begin + given["step"])


def _left_alone(given: Values, seen: Values) -> bool:
    weights = close(seen["weight_after"], seen["weight_before"]) and close(seen["start_after"], given["first_weight"])
    return weights and seen["modes_after"] == seen["modes_before"] and seen["calls"] == 1


_pseudo_labels = _in_both_rounds(lambda given, seen: trained_on(given, seen["training"])[1] == _sure(given, seen))
_labeled = _in_both_rounds(lambda c, s: trained_on(c, s["training"])[0] == [*enumerate(c["labels"].tolist())])
_chosen = _in_both_rounds(lambda given, seen: seen["chosen"].tolist() == [i for i, _ in _sure(given, seen)])

judge = Judge(
    reference=building_on(),
    building_on=building_on,
    criteria=(
        Criterion(
            "pseudo_labels",
            1,
            "trained on: every unlabeled image that the current model predicts with a confidence of at least tau, "
            "with that label, and no other",
            _pseudo_labels,
        ),
        Criterion("labeled", 1, "trained on as well: each labeled image once, with its own label", _labeled),
        Criterion(
            "begin",
            1,
            "training begins with the first weights after a restart, else with those of the network so far; "
            "what was trained is returned",
            _in_both_rounds(_right_begin),
        ),
        Criterion("chosen", 1, "the positions of the chosen images are returned too", _chosen),
        Criterion(
            "left_alone",
            1,
            "the network so far and the first weights stay as they were, mode included; there is one training",
            _in_both_rounds(_left_alone),
        ),
    ),
    predicates={
        "trained_one_after_the_other": somewhere(lambda t: t.seen["first_calls"] > 1),
        "start_trained_itself": somewhere(
            lambda t: not close(t.seen["first_start_after"], t.case.inputs["first_weight"])
        ),
        "never_restarted": everywhere(
            lambda t: close(t.seen["first_training"]["weight_before"], t.case.inputs["weight"])
        ),
        "all_of_them_trained_on": everywhere(
            lambda t: len(trained_on(t.case.inputs, t.seen["first_training"])[1]) == len(t.case.inputs["unlabeled"])
        ),
    },
    exact=False,
)
