"""`client_update`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.many_owners.exercise import Watched, as_state
from course_lib.exercises.observing import number_and_kind, plain, state_of, two_values


def cases(seed: int) -> list[Case]:
    generator, uniform, _ = drawing(seed)

    def case(name: str, count: int, steps: int, mode: str = "train", **options: Any) -> Case:
        pixels = int(torch.randint(5, 9, (), generator=generator))
        inputs: Values = {"images": uniform(count, 1, 2, pixels).to(options.get("dtype", torch.float32))}
        inputs |= {"labels": torch.arange(count) * 7 % 3, "steps": steps, "lr": options.get("lr", 0.1)}
        inputs |= {"mode_before": mode, "frozen": options.get("frozen", "")}
        return Case(name, inputs | {"seed": seed + len(name)})

    return [
        case("usual", 6, 3),
        case("one_step", 9, 1, lr=0.5),
        case("many_steps", 4, 7, lr=0.05),
        case("eval_mode", 5, 4, "eval"),
        case("one_image", 1, 3, "eval"),
        case("normalization_in_eval_mode", 8, 3, "train, but norm in eval"),
        case("a_frozen_layer", 7, 3, frozen="body"),
        case("no_steps", 5, 0),
        case("float64", 6, 2, dtype=torch.float64),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given, images = case.inputs, case.inputs["images"]
    model = Watched(images[0].numel(), 3, given["seed"]).to(images).train(given["mode_before"] != "eval")
    model.norm.train(given["mode_before"] == "train")
    if given["frozen"]:
        model.get_submodule(given["frozen"]).requires_grad_(False)

    def call() -> Values:
        result = fn(model, images, given["labels"], steps=given["steps"], lr=given["lr"])
        found = two_values(result, "state", "count")
        return found | {"state": as_state(found["state"])}

    seen: Values = {"server_before": state_of(model)}
    found = call()
    seen["state"] = plain(found["state"])
    seen["count"], seen["count_kind"] = number_and_kind(found["count"])
    seen["server_after"] = state_of(model)
    seen["gradients_after"] = [name for name, p in model.named_parameters() if p.grad is not None]
    seen["state_of_a_second_call"] = plain(call()["state"])
    with torch.no_grad():
        for value in model.state_dict().values():
            value.add_(5)  # the server goes on
    return seen | {"state_when_server_moves": found["state"]}


exercise = Exercise(
    name="client_update",
    title="What a client does in a round",
    signature="client_update(model, images, labels, *, steps, lr)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "The client works on a copy, with an optimizer of its own that starts anew in each round. Each step uses "
            "all images of the client. What goes back is everything that the copy holds, as copies of the tensors, "
            "and the number of images."
        ),
        api="`copy.deepcopy`, `torch.optim.SGD(..., momentum=0.9)`, `F.cross_entropy`, `Module.state_dict`, `len`",
        skeleton=(
            "own = copy....(model)\noptimizer = torch.optim.SGD(..., lr=lr, momentum=0.9)\n"
            "for _ in range(steps):\n    loss = ...\n    optimizer.zero_grad()\n    ...\n"
            "return own....(), len(...)"
        ),
    ),
    takeaway=(
        "Images and labels never leave the client. What leaves it is a network and a number, and the second half of "
        "this notebook asks what these give away."
    ),
    cases=cases,
    observe=observe,
    words={
        "server_before": "the server's network before the call",
        "state": "the state that you return",
        "count": "the number of images that you return",
        "count_kind": "the type of this number",
        "server_after": "the server's network after the call",
        "gradients_after": "the list of the server's parameters that have a gradient",
        "state_of_a_second_call": "the state that a second call returns",
        "state_when_server_moves": "the state that you returned, when the server's network changes,",
    },
    inputs_shown=("mode_before", "frozen"),
)
