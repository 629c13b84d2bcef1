"""`ema_update`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any
from course_lib.exercises.pseudo_labels_2.judge import all_named


def reference(teacher, student, decay):
    with torch.no_grad():
        theirs = dict(student.named_parameters()) | dict(student.named_buffers())
        for name, value in [*teacher.named_parameters(), *teacher.named_buffers()]:
            if value.is_floating_point():
                value.mul_(decay).add_(theirs[name], alpha=1 - decay)
            else:
                value.copy_(theirs[name])


_WEIGHTS = ("linear.weight", "linear.bias", "norm.weight", "norm.bias", "scale")
_TRAINED = ("linear.weight", "linear.bias", "norm.weight", "norm.bias")
_STATISTICS = ("norm.running_mean", "norm.running_var", "history")
_COUNT = "norm.num_batches_tracked"


def _kept(seen: Values, expected: Values, names: Sequence[str], *, key: str = "teacher_after") -> bool:
    return all(close(seen[key][name], expected["teacher_after"][name]) for name in names)


def _own_tensors(case: Case, seen: Values, expected: Values) -> bool:
    return (
        close(seen["held_after"], seen["teacher_after"])
        and close(seen["teacher_when_student_moves"], seen["teacher_after"])
        and close(seen["student_after"], seen["student_before"])
        and not close(seen["teacher_after"], seen["teacher_before"])
    )


def _as_it_was(case: Case, seen: Values, expected: Values) -> bool:
    return (
        seen["requires_grad_after"] == seen["requires_grad_before"]
        and not seen["with_history"]
        and seen["mode_after"] == case.inputs["modes"].split()
        and _kept(seen, expected, _TRAINED)
    )


def _mix(trial: Trial, names: Sequence[str], mix: Callable[[Tensor, Tensor, float], Tensor]) -> bool:
    """Whether the teacher holds `mix(teacher before, student before, decay)` under these names."""
    seen, decay = trial.seen, trial.case.inputs["decay"]
    return all(
        close(seen["teacher_after"][n], mix(seen["teacher_before"][n], seen["student_before"][n], decay)) for n in names
    )


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "parameters",
            1,
            "every parameter is decay times its own value plus (1 - decay) times the student's",
            lambda c, s, e: _kept(s, e, _WEIGHTS),
        ),
        Criterion(
            "statistics",
            1,
            "running statistics and other buffers with decimals are averaged the same way",
            lambda c, s, e: _kept(s, e, _STATISTICS),
        ),
        Criterion(
            "counts",
            1,
            "buffers of whole numbers are taken over from the student, and stay whole numbers",
            lambda c, s, e: _kept(s, e, (_COUNT,)) and s["dtypes_after"] == e["dtypes_after"],
        ),
        Criterion(
            "own_tensors",
            1,
            "the teacher's own tensors are written; it shares none, and the student stays as it is",
            _own_tensors,
            ("usual", "follows_at_once", "three_times", "float64"),
        ),
        Criterion(
            "autograd",
            1,
            "no autograd history, and `requires_grad` and modes as they were",
            _as_it_was,
            ("usual", "teacher_with_gradients_on", "three_times"),
        ),
    ),
    predicates={
        "student_averaged_first": lambda trials: in_any(
            trials, lambda t: not close(t.seen["student_after"], t.seen["student_before"])
        ),
        "shares_the_students_memory": lambda trials: in_any(
            trials, lambda t: not close(t.seen["teacher_when_student_moves"], t.seen["teacher_after"])
        ),
        "with_history": lambda trials: (
            in_any(trials, lambda t: bool(t.seen["with_history"]))
            or any(t.error and "leaf Variable that requires grad" in t.error.text for t in trials)
        ),
        "decay_exchanged": lambda trials: all_named(
            trials, lambda t: _mix(t, _TRAINED, lambda a, b, d: (1 - d) * a + d * b), "usual", "slow", "float64"
        ),
        "modes_set": lambda trials: (
            in_any(trials, lambda t: t.seen["mode_after"] != t.case.inputs["modes"].split())
            and in_all(trials, lambda t: close(t.seen["teacher_after"], t.expected["teacher_after"]))
        ),
    },
)
