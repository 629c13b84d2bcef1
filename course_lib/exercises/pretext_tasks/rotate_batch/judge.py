"""`rotate_batch`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.answers import known_answers
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any

answer = known_answers(__file__, "rotate_batch")


def reference(images, k):
    return torch.rot90(images, k, (2, 3))


def _rotated(case: Case, seen: Values, expected: Values) -> bool:
    return close(seen["rotated"], expected["rotated"])


def _keeps_shape(trials: Sequence[Trial]) -> bool:
    return in_any(
        trials,
        lambda t: (
            t.case.inputs["k"] % 2 == 1
            and t.case.inputs["images"].shape[2] != t.case.inputs["images"].shape[3]
            and t.seen["rotated"].shape == t.case.inputs["images"].shape
        ),
    )


def _turns_as(trials: Sequence[Trial], fn: Callable[[Tensor, int], Tensor]) -> bool:
    """Whether every case comes out as `fn` would turn it, errors aside."""
    return in_all(trials, lambda t: close(t.seen["rotated"], fn(t.case.inputs["images"].clone(), t.case.inputs["k"])))


_PLAIN_TURNS = ("quarter_turn", "half_turn", "three_quarters", "no_turn", "one", "transposed", "float64")


def _only_plain_turns_right(trials: Sequence[Trial]) -> bool:
    plain = [t for t in trials if t.case.name in _PLAIN_TURNS]
    return all(not t.error and close(t.seen["rotated"], t.expected["rotated"]) for t in plain)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "quarter_turn",
            1,
            "one quarter turn is counterclockwise, in height and width",
            _rotated,
            ("quarter_turn", "as_many_images_as_channels", "transposed", "float64"),
        ),
        Criterion(
            "other_turns",
            1,
            "so are none, two and three",
            _rotated,
            ("no_turn", "half_turn", "three_quarters", "one"),
        ),
        Criterion(
            "any_k",
            1,
            "any whole number will do: backward, and more than once around",
            _rotated,
            ("backward", "more_than_once_around"),
        ),
        Criterion(
            "images_kept",
            1,
            "dtype and number of pixels stay, and the images given stay as they are",
            lambda c, s, e: (
                s["rotated"].numel() == e["rotated"].numel()
                and s["rotated"].dtype == e["rotated"].dtype
                and s["images_after"].shape == e["images_after"].shape
                and close(s["images_after"], e["images_after"])
            ),
        ),
    ),
    predicates={
        "written_into_the_input": lambda trials: in_any(
            trials, lambda t: not close(t.seen["images_after"], t.case.inputs["images"])
        ),
        "clockwise": lambda trials: _turns_as(trials, answer("clockwise")),
        "default_dims": lambda trials: _turns_as(trials, answer("default_dims")),
        "channels_and_rows": lambda trials: _turns_as(trials, answer("channels_and_rows")),
        "never_turned": lambda trials: _turns_as(trials, answer("never_turned")),
        "always_one_turn": lambda trials: _turns_as(trials, answer("always_one_turn")),
        "half_turns": lambda trials: in_any(
            trials,
            lambda t: t.case.name == "quarter_turn" and close(t.seen["rotated"], t.case.inputs["images"].flip(2, 3)),
        ),
        "transposed_only": lambda trials: in_any(
            trials,
            lambda t: (
                t.case.name == "quarter_turn" and close(t.seen["rotated"], t.case.inputs["images"].transpose(2, 3))
            ),
        ),
        "upside_down": lambda trials: in_any(
            trials,
            lambda t: (
                t.case.name == "quarter_turn"
                and any(close(t.seen["rotated"], t.case.inputs["images"].flip(d)) for d in (2, 3))
            ),
        ),
        "shape_forced_back": _keeps_shape,
        "table_of_four": lambda trials: (
            _only_plain_turns_right(trials) and any(t.error for t in trials if t.case.name == "more_than_once_around")
        ),
        "other_turns_left_out": lambda trials: (
            _only_plain_turns_right(trials)
            and in_any(
                trials,
                lambda t: t.case.name == "more_than_once_around" and close(t.seen["rotated"], t.case.inputs["images"]),
            )
        ),
        "negative_ignored": lambda trials: (
            _only_plain_turns_right(trials)
            and in_any(trials, lambda t: t.case.name == "backward" and not _rotated(t.case, t.seen, t.expected))
        ),
    },
)
