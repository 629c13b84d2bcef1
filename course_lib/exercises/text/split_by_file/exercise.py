"""`split_by_file`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.text.exercise import observe_pairs


def cases(seed: int) -> list[Case]:
    generator, *_ = drawing(seed)

    def case(name: str, count: int, most: int, share: float, *, mixed: bool = False) -> Case:
        per_file = torch.randint(1, most + 1, (count,), generator=generator)
        number = torch.arange(count).repeat_interleave(per_file)
        if mixed:
            number = number[torch.randperm(len(number), generator=generator)]
        mark = int(torch.randint(1000, (), generator=generator))
        files = [f"lib{mark}/part{k % 3}/f{k}.py" for k in number.tolist()]
        return Case(name, {"files": files, "test_share": share, "seed": seed + len(name)})

    n = torch.randint(0, 5, (4,), generator=generator).tolist()
    return [
        case("plain", 20 + n[0], 9, 0.25),
        case("mixed_order", 30 + n[1], 6, 0.4, mixed=True),
        case("not_whole", (9, 12, 13, 16, 19)[n[2]], 7, 0.3),  # 2.7 to 5.7 files, to be rounded up
        case("one_text_per_file", 24 + n[3], 1, 0.5),
        case("two_files", 2, 12, 0.5),
        case("nothing_for_the_test", 9, 5, 0.0),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    files, share = case.inputs["files"], case.inputs["test_share"]
    return observe_pairs(
        lambda generator: fn(list(files), share, generator=generator), case.inputs["seed"], "train", "test"
    )


exercise = Exercise(
    name="split_by_file",
    title="A test set whose files the training has never seen",
    signature="split_by_file(files, test_share, *, generator)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Draw files and not texts. First list each file once, in sorted order, then shuffle this list and put the "
            "first ones aside. A text belongs to the test if its file does."
        ),
        api="`sorted(set(files))`, `torch.randperm(n, generator=...)`, `round`, `Tensor.nonzero()`",
        skeleton=(
            "names = sorted(set(files))\n"
            "order = torch.randperm(len(names), generator=...)\n"
            "held_out = {names[k] for k in order[: round(...)].tolist()}\n"
            "is_test = torch.tensor([... for file in files])\n"
            "return (~is_test).nonzero()[:, 0], ..."
        ),
    ),
    takeaway=(
        "Texts of one file repeat each other's words. A test is honest only if what is drawn is the unit in which new "
        "data will come: a file here, a patient or a customer elsewhere."
    ),
    cases=cases,
    observe=observe,
    words={
        "train": "`train`, the first of the two tensors that you return,",
        "test": "`test`, the second of the two tensors that you return,",
        "test_dtype": "the dtype of `test`",
        "test_of_next_call": "`test` of a second call",
        "test_of_same_seed": "`test` of a call with the same seed",
    },
)
