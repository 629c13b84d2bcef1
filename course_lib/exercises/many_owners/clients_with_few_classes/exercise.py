"""`clients_with_few_classes`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.observing import dtype_name


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, sizes: list[int], num_clients: int, classes_each: int, *, first: int = 0, gap: int = 1) -> Case:
        labels = torch.repeat_interleave(first + gap * torch.arange(len(sizes)), torch.tensor(sizes))
        if name != "sorted":
            labels = labels[torch.randperm(len(labels), generator=generator)]
        inputs = {"labels": labels, "num_clients": num_clients, "classes_each": classes_each}
        return Case(name, inputs | {"seed": seed + len(name)})

    return [
        case("usual", [12] * 5, 5, 2),
        case("sorted", [16] * 4, 4, 2),
        case("uneven_classes", [7, 13, 22, 9], 6, 2),
        case("gaps_in_the_labels", [8, 11, 9], 6, 1, first=4, gap=9),
        case("all_classes_for_each", [14, 10, 19], 4, 3),
        case("one_client", [9, 12], 1, 2),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs

    def call(seed: int) -> Any:
        return fn(given["labels"], given["num_clients"], given["classes_each"], generator=seeded(seed))

    before, parts = torch.get_rng_state(), call(given["seed"])
    parts = list(parts) if isinstance(parts, tuple) else parts
    seen: Values = {"clients": parts, "global_state_before": before, "global_state_after": torch.get_rng_state()}
    listed = list(parts) if isinstance(parts, (list, tuple)) else []
    seen |= {"dtypes": [dtype_name(part) for part in listed], "labels": given["labels"]}
    return seen | {"clients_again": call(given["seed"]), "clients_of_another_seed": call(given["seed"] + 1)}


exercise = Exercise(
    name="clients_with_few_classes",
    title="Images dealt to clients that have few classes each",
    signature="clients_with_few_classes(labels, num_clients, classes_each, *, generator)",
    minutes=15,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "There are num_clients * classes_each seats, and each class gets the same number of them. Write the "
            "classes into the seats one after the other, again and again: neighboring seats then have different "
            "classes. Then cut the shuffled images of each class into as many parts as the class has seats."
        ),
        api="`Tensor.unique`, `Tensor.nonzero`, `torch.randperm(..., generator=...)`, `Tensor.tensor_split`",
        skeleton=(
            "classes = labels.unique()\nseats = num_clients * classes_each // len(classes)  # of each class\n"
            "parts = []\nfor label in classes:\n    own = (labels == label).nonzero()...\n"
            "    own = own[torch.randperm(..., generator=generator)]\n    parts.append(own.tensor_split(...))\n"
            "dealt = [parts[seat % ...][seat // ...] for seat in range(num_clients * classes_each)]\n"
            "return [torch.cat(dealt[...]) for client in range(num_clients)]"
        ),
    ),
    takeaway=(
        "Clients with different classes are the usual case: each hospital, phone or shop has its own mix. A method "
        "that was only tried on an even split has not been tried on this."
    ),
    cases=cases,
    observe=observe,
    on_gpu=False,
    words={
        "labels": "the argument `labels`",
        "clients": "the list of positions that you return",
        "clients_again": "the list of positions for the same generator",
        "clients_of_another_seed": "the list of positions for another generator",
        "dtypes": "the list of dtypes of what you return",
    },
)
