"""`ppmi_embeddings`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import dtype_name


def cases(seed: int) -> list[Case]:
    generator, uniform, _ = drawing(seed)

    def case(name: str, size: int, dim: int, most: float, *, symmetric: bool = True) -> Case:
        counts = (most * uniform(size, size) ** 3 * (0.1 + uniform(size, 1)) * (0.1 + uniform(1, size))).round()
        counts = counts + counts.T if symmetric else counts
        counts.fill_diagonal_(1.0)
        return Case(name, {"counts": counts, "dim": dim})

    n = torch.randint(0, 3, (4,), generator=generator).tolist()
    double, unseen = case("float64", 9 + n[0], 3, 200), case("unseen_words", 10 + n[1], 4, 90)
    double.inputs["counts"] = double.inputs["counts"].double()
    for word in (0, 5 + n[2]):
        unseen.inputs["counts"][word] = unseen.inputs["counts"][:, word] = 0.0
    strided = case("every_second_row", 20, 3, 60)
    strided.inputs["counts"] = strided.inputs["counts"][::2, ::2]
    return [
        case("plain", 9 + n[3], 3, 60),
        case("large_counts", 11, 4, 1e6),
        case("not_symmetric", 10, 3, 80, symmetric=False),
        case("rare_words", 12, 4, 4),
        strided,
        double,
        unseen,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    counts = case.inputs["counts"]
    found = fn(counts, case.inputs["dim"])
    seen: Values = {"embeddings_dtype": dtype_name(found), "counts_after": counts}
    if not isinstance(found, torch.Tensor) or found.ndim != 2:
        return {**seen, "shape": [], "similarities": None}
    # signs and rotations of the columns do not matter: what words have in common does
    return {**seen, "shape": list(found.shape), "similarities": found @ found.T}


exercise = Exercise(
    name="ppmi_embeddings",
    title="Embeddings from counting",
    signature="ppmi_embeddings(counts, dim)",
    minutes=20,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Compare how often two words are neighbors with how often they would be by chance. What is more frequent "
            "than chance counts with the logarithm of the ratio, and all else with 0. A ratio below 1 can be raised to "
            "1 before the logarithm, which also takes care of counts of 0."
        ),
        api=(
            "`Tensor.sum(dim=...)`, `Tensor.clamp(min=...)`, `Tensor.log()`, "
            "`randomized_svd(array, dim, random_state=0)` of scikit-learn, `torch.from_numpy`, `F.normalize`"
        ),
        skeleton=(
            "word = counts.sum(dim=1) / counts.sum()  # (V,)\n"
            "context = counts.sum(dim=0) ** 0.75\n"
            "context = context / ...\n"
            "ratio = counts / counts.sum() / (word[:, None] * ...).clamp(min=1e-12)\n"
            "ppmi = ratio.clamp(min=...).log()\n"
            "u, s, _ = randomized_svd(ppmi.numpy(), dim, random_state=0)\n"
            "return F.normalize(torch.from_numpy(u * ...), dim=1)"
        ),
    ),
    takeaway=(
        "Words with the same neighbors get similar vectors. This needs seconds and no gradient, and it is what a "
        "pretrained network has to beat."
    ),
    cases=cases,
    observe=observe,
    words={
        "similarities": "the matrix of products of your embeddings, `E @ E.T`,",
        "shape": "the shape of your embeddings",
        "embeddings_dtype": "the dtype of your embeddings",
    },
)
