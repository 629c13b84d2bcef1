"""`zero_shot`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    n = torch.randint(0, 4, (3,), generator=generator).tolist()

    def case(name: str, images: int, dim: int, counts: list[int]) -> Case:
        """`counts`: how many prompts each class has."""
        prompts = [[f"prompt {k} of class {c}" for k in range(count)] for c, count in enumerate(counts)]
        lengths = 0.1 + 5 * uniform(sum(counts), 1)  # so that a mean of vectors is not one of directions
        features = (normal(sum(counts), dim) + 0.3) * lengths
        image_features = normal(images, dim) * (0.2 + 4 * uniform(images, 1))
        return Case(name, {"image_features": image_features, "prompts": prompts, "text_features": features})

    double = case("float64", 4, 5, [3, 2, 4])
    double.inputs.update({k: v.double() for k, v in double.inputs.items() if isinstance(v, Tensor)})
    return [
        case("one_prompt_each", 6 + n[0], 4, [1, 1, 1]),
        case("square", 4, 4, [1, 1, 1, 1]),
        case("ensembles", 5 + n[1], 6, [3, 3, 3, 3]),
        case("different_counts", 7, 5 + n[2], [4, 1, 6, 2, 3]),
        case("one_image", 1, 3, [2, 5]),
        case("one_class", 5, 6, [4]),
        double,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    known = [prompt for prompts in given["prompts"] for prompt in prompts]
    number = {prompt: k for k, prompt in enumerate(known)}
    asked: list[str] = []

    def encode(prompts: list[str]) -> Tensor:
        if isinstance(prompts, str) or not all(isinstance(prompt, str) for prompt in prompts):
            raise TypeError("encode takes a list of strings")
        asked.extend(prompts)
        if unknown := [prompt for prompt in prompts if prompt not in number]:
            raise ValueError(f"encode was given {unknown[0]!r}, which is not one of the prompts")
        return given["text_features"][[number[prompt] for prompt in prompts]]

    scores = fn(given["image_features"], encode, given["prompts"])
    return {"scores": scores, "asked": len(set(asked)), "image_features_after": given["image_features"]}


exercise = Exercise(
    name="zero_shot",
    title="Classify by prompts, without any label",
    signature="zero_shot(image_features, encode, prompts)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "A class is a direction: the mean of the directions of its prompts. Directions are vectors of length 1, so "
            "normalize each prompt's vector first, then take the mean, and normalize this again. The score of an image "
            "is its cosine with the direction."
        ),
        api="`encode([...])` gives one row per prompt. `F.normalize(..., dim=-1)`, `Tensor.mean(dim=0)`, `torch.stack`",
        skeleton=(
            "classes = []\nfor several in prompts:\n"
            "    each = F.normalize(encode(...), dim=...)  # (M, d)\n"
            "    classes.append(F.normalize(each.mean(dim=...), dim=...))\n"
            "images = F.normalize(image_features, dim=...)\nreturn images @ torch.stack(classes).T"
        ),
    ),
    takeaway=(
        "The classifier is written in words and can be changed in a second. It knows only what captions have named."
    ),
    cases=cases,
    observe=observe,
    words={
        "scores": "the table of scores that you return",
        "asked": "the number of different prompts given to `encode`",
        "image_features_after": "your argument `image_features` after the call",
    },
)
