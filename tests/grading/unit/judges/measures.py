"""The judges of the tests' unit. THE_REFERENCE_OF_DOUBLE must never be found in a student's process."""

from __future__ import annotations

import torch

from course_lib.exercises.contract import Criterion, Judge, Mistake, close


def reference_of_double(x):
    return 2 * x


def triples(x):
    return 3 * x


def squares(x):
    return x * x


def negates(x):
    return -2 * x


def adds(x):
    return x + x


def reference_of_scale(images):
    return images.to(torch.float32) / 255


def forgets_to_divide(images):
    return images.float()


def halves(images):
    return images.float() / 256


def centers(images):
    return images.float() / 127.5 - 1


def multiplies(images):
    return images.float() * (1 / 255)


def _doubled(case, seen, expected):
    return close(seen["doubled"], expected["doubled"])


JUDGES = {
    "double": Judge(
        reference=reference_of_double,
        criteria=(
            Criterion("value", 2, "values are doubled", _doubled, ("plain", "transposed")),
            Criterion("one", 1, "a batch of one works", _doubled, ("one",)),
        ),
        mistakes=(
            Mistake("triples", triples, "You tripled."),
            Mistake("squares", squares, "You squared."),
            Mistake("negates", negates, "The sign is turned round."),
        ),
        alternatives=(adds,),
    ),
    "scale": Judge(
        reference=reference_of_scale,
        criteria=(Criterion("value", 2, "from 0 to 1", lambda c, s, e: close(s["scaled"], e["scaled"])),),
        mistakes=(
            Mistake("forgets_to_divide", forgets_to_divide, "Divide by 255."),
            Mistake("halves", halves, "The largest byte is 255."),
            Mistake("centers", centers, "From 0, not from -1."),
        ),
        alternatives=(multiplies,),
    ),
}
