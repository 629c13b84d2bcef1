"""`zero_shot`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import as_expected, everywhere, failed_with, inputs_kept
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close


def reference(image_features, encode, prompts):
    columns = []
    for several in prompts:
        total = torch.zeros_like(image_features[0])
        for prompt in several:
            (vector,) = encode([prompt])
            total = total + vector / vector.norm()
        columns.append(torch.cosine_similarity(image_features, total[None], dim=1))
    return torch.stack(columns, dim=1)


_scores = as_expected("scores")
_SINGLE, _SEVERAL = ("one_prompt_each", "square"), ("ensembles", "different_counts", "one_class", "float64")


def _same_order(case: Case, seen: Values, expected: Values) -> bool:
    return _scores(case, seen, expected) and inputs_kept(case, seen, "image_features")


def _is(seen: object, expected: Tensor) -> bool:
    return isinstance(seen, Tensor) and close(seen.double(), expected.double())


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("single", 2, "with a prompt per class the score is the cosine of image and prompt", _scores, _SINGLE),
        Criterion("several", 2, "several prompts are one direction, the mean of their directions", _scores, _SEVERAL),
        Criterion("one_image", 1, "one image works too, and the features stay the same", _same_order, ("one_image",)),
    ),
    predicates={
        "classes_returned": everywhere(lambda t: _is(t.seen["scores"], t.expected["scores"].argmax(dim=1))),
        "probabilities": everywhere(lambda t: _is(t.seen["scores"], t.expected["scores"].softmax(dim=1)), *_SINGLE),
        "rows_are_classes": everywhere(
            lambda t: (
                isinstance(t.seen["scores"], Tensor)
                and t.seen["scores"].ndim == 2
                and close(t.seen["scores"].mT, t.expected["scores"])
            )
        ),
        "prompt_as_a_string": lambda trials: failed_with(trials, "encode takes a list of strings"),
        "prompts_joined": lambda trials: failed_with(trials, "which is not one of the prompts"),
    },
)  # fmt: skip
