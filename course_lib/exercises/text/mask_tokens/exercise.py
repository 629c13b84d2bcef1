"""`mask_tokens`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.text.exercise import observe_pairs, texts


def cases(seed: int) -> list[Case]:
    generator, *_ = drawing(seed)
    n = torch.randint(0, 20, (4,), generator=generator).tolist()

    def case(name: str, count: int, length: int, size: int, share: float = 0.15, **how: bool) -> Case:
        ids = texts(generator, count, length, size, **how)
        return Case(name, {"ids": ids, "vocab_size": size, "share": share, "seed": seed + len(name)})

    only_padding = case("only_padding", 3, 6, 12)
    only_padding.inputs["ids"].fill_(0)
    strided = case("strided", 500, 60, 90)
    strided.inputs["ids"] = strided.inputs["ids"][:, ::2]
    return [
        case("plain", 400 + n[0], 32, 60 + n[1]),
        case("many_chosen", 300, 24 + n[2], 200, 0.5),
        case("no_padding", 250 + n[3], 30, 40, 0.3, padded=False),
        strided,
        case("one_text", 1, 9, 12),
        case("nothing_chosen", 20, 10, 15, 0.0),
        case("all_chosen", 300, 20, 50, 1.0),
        only_padding,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    ids, size, share, seed = (case.inputs[key] for key in ("ids", "vocab_size", "share", "seed"))
    options = {} if share == 0.15 else {"share": share}

    def draw(generator: torch.Generator) -> Any:
        return fn(case.copy().inputs["ids"], size, generator=generator, **options)

    seen = observe_pairs(draw, seed, "masked", "chosen")
    fn(ids, size, generator=seeded(seed), **options)
    return {**seen, "ids_after": ids}


exercise = Exercise(
    name="mask_tokens",
    title="Hide some words of each text",
    signature="mask_tokens(ids, vocab_size, *, generator, share=0.15)",
    minutes=15,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Two independent draws per place. The first decides whether a word is chosen. The second decides what a "
            "chosen word becomes: below 0.8 the mask, from 0.8 to 0.9 a random word, and otherwise it stays."
        ),
        api="`torch.rand`, `torch.randint(low, high, ids.shape, generator=...)`, `torch.where`, `Tensor.masked_fill`",
        skeleton=(
            "chosen = (torch.rand(ids.shape, generator=generator) < ...) & (ids > 2)\n"
            "coin = torch.rand(...)\n"
            "random_words = torch.randint(3, ..., ids.shape, generator=generator)\n"
            "masked = ids.masked_fill(chosen & (coin < 0.8), ...)\n"
            "masked = torch.where(chosen & (...), random_words, masked)\n"
            "return masked, chosen"
        ),
    ),
    takeaway=(
        "Some chosen words stay and some become random ones, so the network cannot rely on the sign <mask>, which is "
        "never there when it is used."
    ),
    cases=cases,
    observe=observe,
    may_change=("ids",),
    words={
        "masked": "`masked`, the first of the two tensors that you return,",
        "chosen": "`chosen`, the second of the two tensors that you return,",
        "chosen_dtype": "the dtype of `chosen`",
        "chosen_of_next_call": "`chosen` of a second call",
        "chosen_of_same_seed": "`chosen` of a call with the same seed",
    },
)
