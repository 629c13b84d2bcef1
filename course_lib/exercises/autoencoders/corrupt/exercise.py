"""`corrupt`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from course_lib.exercises.autoencoders.exercise import corrupt_cases, observe_corrupt
from course_lib.exercises.contract import Exercise, Hints

exercise = Exercise(
    name="corrupt",
    title="Add Gaussian noise, and stay an image",
    signature="corrupt(images, noise, *, generator)",
    minutes=10,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "Every pixel of every image gets a random number of its own, drawn from a normal distribution with "
            "standard deviation `noise`. What leaves the range from 0 to 1 is cut off. The clean images are still "
            "needed later."
        ),
        api="`torch.randn(shape, generator=...)`, `Tensor.to`, `Tensor.clamp`",
        skeleton=(
            "epsilon = torch.randn(..., generator=generator)  # drawn on the CPU\n"
            "epsilon = epsilon.to(images)                     # the images' device and dtype\n"
            "return (... + ...).clamp(...)"
        ),
    ),
    takeaway=(
        "Fresh noise for every pixel, from a generator that you pass: the run can be repeated, and the clean images "
        "are still there to serve as the target."
    ),
    cases=corrupt_cases,
    observe=observe_corrupt,
    library=("course_lib.data.augment.gaussian_noise",),
)
