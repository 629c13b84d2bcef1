"""`accuracy_check`: what learners see. What their check is tried on are right and wrong answers of `accuracy`."""

from __future__ import annotations

from course_lib.exercises.contract import Hints
from course_lib.exercises.trying_checks import writes_check

exercise = writes_check(
    of="accuracy",
    name="accuracy_check",
    title="A check that tells a right accuracy from a wrong one",
    signature="accuracy_check(candidate)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Choose a small batch whose accuracy you can count by hand, and ask what a wrong function would return for "
            "it. With as many images as classes, or with all images right, many wrong functions return the right "
            "number. So take different numbers, and a share that is not whole."
        ),
        api="`assert condition, message`, `isinstance(value, float)`, `abs(a - b) < 1e-6`, `math.isclose`",
        skeleton=(
            "logits = torch.tensor([[...], [...], [...]])  # (3, 4): classes ..., ..., ... are predicted\n"
            "value = candidate(logits, torch.tensor([...]))\n"
            "assert isinstance(value, ...), f'{value!r} is not a float'\n"
            "assert abs(value - ... / 3) < ..., f'{value} is not ...'\n"
            "logits = torch.tensor([[50.0, 60.0, ...], ...])  # far above what a sigmoid can tell apart\n"
            "assert candidate(logits, ...) == ..."
        ),
    ),
    takeaway=(
        "A check is as good as its inputs: it stops a wrong function only where that gives another result. A tolerance "
        "keeps it from refusing right ones."
    ),
    library=("course_lib.evaluation.accuracy",),
)
