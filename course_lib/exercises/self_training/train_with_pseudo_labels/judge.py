"""`train_with_pseudo_labels`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from course_lib.exercises.answers import known_answers
from course_lib.exercises.asking import all_of, as_expected, ran
from course_lib.exercises.contract import Criterion, Judge, Passes, Trial
from course_lib.exercises.self_training.judge import Training


def _test(test: Callable[[Training], bool]) -> Passes:
    return lambda case, seen, expected: (training := Training(case.inputs, seen)).of_this_case and test(training)


def _trainings(trials: Sequence[Trial]) -> list[Training]:
    return [Training(t.case.inputs, t.seen) for t in ran(trials)]


_keeps_label = _test(lambda t: t.complete and t.aligned and t.shuffled and t.used_generator)
_modes = _test(lambda t: {f["mode"] for f in t.asked} == {"eval"} and {f["mode"] for f in t.taught} == {"train"})
_no_gradients = _test(lambda t: bool(t.taught) and {f["gradients"] for f in t.asked} == {"off"})
_schedule = _test(lambda t: t.falling_rates)
_held = _test(lambda t: {tuple(step["held"]) for step in t.seen["steps"]} == {("head.bias", "head.weight")})
_frozen = all_of(_held, as_expected("frozen_after", "frozen_requires_grad"))

judge = Judge(
    reference=known_answers(__file__, "train_with_pseudo_labels")("batches_of_positions"),
    criteria=(
        Criterion(
            "image_keeps_label",
            1,
            "every epoch shows each image once, in a new order from the generator, with its own label or its latest "
            "pseudo-label",
            _keeps_label,
        ),
        Criterion(
            "at_rest",
            1,
            "pseudo-labels are made anew each epoch in eval mode, and training happens in train mode",
            all_of(_modes, _test(lambda t: t.renewed)),
        ),
        Criterion("no_gradients", 1, "no graph is built for the pseudo-labels", _no_gradients),
        Criterion("schedule", 1, "the learning rate falls from epoch to epoch along the half cosine", _schedule),
        Criterion(
            "loss_of_an_epoch",
            1,
            "an epoch's loss is the mean over its images",
            _test(lambda t: t.mean_losses),
            ("ragged_last_batch", "came_at_rest"),
        ),
        Criterion(
            "trainable_only", 1, "the optimizer holds the trainable weights only, and frozen ones stay frozen", _frozen
        ),
    ),
    predicates={
        "two_permutations_left": lambda trials: any(t.exchanged for t in _trainings(trials)),
        "labeled_get_pseudo_labels": lambda trials: any(t.relabeled for t in _trainings(trials)),
        "generator_ignored": lambda trials: (
            {(t.shuffled, t.used_generator) for t in _trainings(trials)} == {(True, False)}
        ),
        "last_batch_left_out": lambda trials: any(t.full_batches_only for t in _trainings(trials)),
        "pseudo_labels_in_train_mode": lambda trials: (
            "train" in {f["mode"] for t in _trainings(trials) for f in t.asked}
        ),
    },
    exact=False,
)
