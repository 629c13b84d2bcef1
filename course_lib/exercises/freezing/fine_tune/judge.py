"""`fine_tune`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from course_lib.exercises.asking import as_expected, everywhere, of_this_network, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Passes, Trial, Values, close
from course_lib.exercises.freezing.freeze.judge import reference as right_freeze
from course_lib.exercises.freezing.judge import changed_parts, freezes_others, frozen_parts, keeps_batches
from course_lib.exercises.freezing.parameter_groups.judge import building_on as groups_building_on
from course_lib.exercises.freezing.trainable_parameters.judge import reference as right_parameters

TO_REACH = 0.9  # right answers have 0.98 and more; a head that was never trained has 0.25


def building_on(freeze=right_freeze, trainable_parameters=right_parameters, parameter_groups=None):
    groups = parameter_groups or groups_building_on(trainable_parameters)

    def fine_tune(model, batches, *, frozen, num_epochs, lr, decay):
        blocks, count = [*model.encoder.blocks], sum(len(labels) for _, labels in batches)
        for number, block in enumerate([*blocks, model.head]):
            freeze(block, frozen=number in frozen)
        optimizer = torch.optim.Adam(groups(blocks, model.head, lr=lr, decay=decay))
        losses = num_epochs * [0.0]
        for epoch in range(num_epochs):
            for images, labels in batches:
                loss = F.cross_entropy(model.train()(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses[epoch] += loss.item() * len(labels) / count
        return losses

    return fine_tune


def _fixed(case: Case, seen: Values, expected: Values) -> bool:
    """Also asks that something learns: what does nothing earns nothing."""
    moved = changed_parts(seen, "weights")
    return bool(moved) and not frozen_parts(case, seen) & (moved | changed_parts(seen, "statistics"))


def _learns(case: Case, seen: Values, expected: Values) -> bool:
    rest, moving = seen["weights_before"].keys() - frozen_parts(case, seen), changed_parts(seen, "statistics")
    return rest <= changed_parts(seen, "weights") and rest & seen["statistics_before"].keys() <= moving


def _mean_losses(case: Case, seen: Values, expected: Values) -> bool:
    """Of an answer's own steps: wrong ones cost their points elsewhere. Also asks that there are steps."""
    numbers = [type(loss) for loss in seen["losses"]] == case.inputs["num_epochs"] * [float]
    known = expected["losses"], seen["losses_of_its_steps"]
    right = any(close(seen["losses"], losses, rtol=1e-3, atol=1e-4) for losses in known)
    return numbers and right and bool(changed_parts(seen, "weights"))


def _rates(case: Case, seen: Values, expected: Values) -> bool:
    """In all epochs, each of them a loop over the batches, which may come in another order then."""
    looped = seen["loops"] >= case.inputs["num_epochs"]
    return looped and as_expected("weights_after", atol=1e-4)(case, seen, expected)


_SMALL = ("two_lowest", "in_the_middle", "from_above", "none", "head_only", "came_frozen", "float64")
_SOME_FROZEN = tuple(name for name in _SMALL if name != "none")


def _part(name: str, title: str, passes: Passes, cases: tuple[str, ...] = _SMALL) -> Criterion:
    return Criterion(name, 1, title, of_this_network(passes, "weights_before"), cases)


def _statistics_alone(t: Trial) -> bool:
    """Whether of the frozen blocks only running statistics move."""
    frozen = frozen_parts(t.case, t.seen)
    return frozen <= changed_parts(t.seen, "statistics") and not frozen & changed_parts(t.seen, "weights")


_REACHES = "trained on five labels per class, the network is right on 90 percent of the test images"

_reaches = of_this_network(lambda case, seen, expected: seen["accuracy"] >= TO_REACH, "images_after")

judge = Judge(
    reference=building_on(),
    building_on=building_on,
    criteria=(
        _part("frozen", "the frozen blocks keep every weight and every running statistic", _fixed, _SOME_FROZEN),
        _part("learns", "all other blocks, with their statistics, and the head change", _learns),
        _part("rates", "every part learns with Adam at its own rate, without weight decay, in all epochs", _rates),
        _part("losses", "the mean loss per image of each epoch is returned, as Python floats", _mean_losses),
        Criterion("reaches", 2, _REACHES, _reaches, ("the_number_to_reach",)),
    ),
    predicates={
        "statistics_move": everywhere(_statistics_alone, *_SOME_FROZEN),
        "nothing_learns": everywhere(lambda t: not changed_parts(t.seen, "weights"), *_SMALL),
        "all_in_eval_mode": everywhere(lambda t: not changed_parts(t.seen, "statistics"), *_SMALL),
        "others_frozen": somewhere(freezes_others, *_SOME_FROZEN),
        "batches_kept": everywhere(keeps_batches, *_SMALL),
        "head_left_out": everywhere(lambda t: "head" not in str(changed_parts(t.seen, "weights")), *_SMALL),
    },
)
