"""`ema_update`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.asking import all_of, as_expected, failed_with, in_any, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Passes, Trial, Values, close


def reference(teacher, student, decay):
    theirs = dict(student.named_parameters()) | dict(student.named_buffers())
    with torch.no_grad():
        for name, value in (*teacher.named_parameters(), *teacher.named_buffers()):
            value.copy_(torch.lerp(theirs[name], value, decay) if value.is_floating_point() else theirs[name])


def _averaged(*names: str) -> Passes:
    """Of the teacher's tensors, these are as expected, where there are such."""
    return lambda _, seen, expected: all(
        close(seen["teacher_after"][name], value) for name, value in expected["teacher_after"].items() if name in names
    )


def _own_tensors(case: Case, seen: Values, expected: Values) -> bool:
    written = close(seen["held_after"], seen["teacher_after"]) and not close(seen["held_after"], seen["teacher_before"])
    alone = close(seen["teacher_when_student_moves"], seen["teacher_after"])
    return written and alone and close(seen["student_after"], expected["student_before"])


def _decay_exchanged(trial: Trial) -> bool:
    teacher, student = trial.seen["teacher_before"], trial.seen["student_before"]
    exchanged = teacher["linear.weight"].lerp(student["linear.weight"], trial.case.inputs["decay"])
    return close(trial.seen["teacher_after"]["linear.weight"], exchanged)


_TRAINED = ("linear.weight", "linear.bias", "norm.weight", "norm.bias")
_parameters = _averaged(*_TRAINED, "scale")
_statistics = _averaged("norm.running_mean", "norm.running_var", "history", "more")
_counts = all_of(_averaged("norm.num_batches_tracked"), as_expected("dtypes_after"))
_settings = all_of(as_expected("requires_grad_after", "with_history", "mode_after"), _averaged(*_TRAINED))

judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "parameters",
            1,
            "every parameter is decay times its own value plus (1 - decay) times the student's",
            _parameters,
        ),
        Criterion(
            "statistics", 1, "running statistics and other buffers with decimals are averaged the same way", _statistics
        ),
        Criterion(
            "counts", 1, "buffers of whole numbers are taken over from the student, and stay whole numbers", _counts
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
            _settings,
            ("usual", "teacher_with_gradients_on", "three_times"),
        ),
    ),
    predicates={
        "student_averaged_first": somewhere(lambda t: not close(t.seen["student_after"], t.seen["student_before"])),
        "shares_the_students_memory": somewhere(
            lambda t: not close(t.seen["teacher_when_student_moves"], t.seen["teacher_after"])
        ),
        "new_tensors": somewhere(
            lambda t: _parameters(*t[:3]) and close(t.seen["held_after"], t.seen["teacher_before"]), "usual"
        ),
        "with_history": lambda trials: (
            in_any(trials, lambda t: t.seen["with_history"]) or failed_with(trials, "leaf Variable that requires grad")
        ),
        "decay_exchanged": somewhere(_decay_exchanged, "usual"),
        "modes_set": somewhere(lambda t: t.seen["mode_after"] != t.expected["mode_after"]),
    },
)
