"""`federated_training`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.many_owners.exercise import NORM, Watched, as_state
from course_lib.exercises.observing import plain, state_of


def cases(seed: int) -> list[Case]:
    generator, uniform, _ = drawing(seed)

    def case(name: str, drawn: list[list[int]], sizes: list[int], **options: Any) -> Case:
        pixels, mode = int(torch.randint(5, 9, (), generator=generator)), options.get("mode", "train")
        inputs: Values = {"images": [uniform(n, 1, 2, pixels).to(options.get("dtype", torch.float32)) for n in sizes]}
        inputs |= {"labels": [(torch.arange(n) * 5 + k) % 3 for k, n in enumerate(sizes)], "drawn": drawn}
        inputs |= {"steps": options.get("steps", 2), "lr": 0.1, "local": list(options.get("local", ()))}
        return Case(name, inputs | {"mode_before": mode, "seed": seed + len(name)})

    everyone = [0, 1, 2]
    return [
        case("all_clients", [everyone] * 3, [4, 9, 6]),
        case("some_clients", [[1, 3], [0, 3], [2, 1], [3, 4]], [5, 8, 4, 7, 6]),
        case("local_normalization", [everyone] * 3, [5, 4, 8], local=NORM),
        case("local_and_some", [[2, 0], [1, 2], [0, 1]], [6, 5, 9, 4], local=NORM, steps=1),
        case("local_head", [[0, 1]] * 2, [7, 4], local=("head.weight", "head.bias")),
        case("one_round_in_eval_mode", [[1, 0]], [3, 8], mode="eval"),
        case("one_client", [[0], [0]], [6]),
        case("float64", [everyone] * 2, [5, 6, 4], dtype=torch.float64),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    model = Watched(given["images"][0][0].numel(), 3, given["seed"]).to(given["images"][0])
    model.train(given["mode_before"] == "train")
    drawn = [list(numbers) for numbers in given["drawn"]]
    calls: list[int] = []

    def draw() -> list[int]:
        calls.append(len(calls))
        return list(drawn[min(len(calls), len(drawn)) - 1])

    seen: Values = {"server_before": state_of(model)}
    clients = list(zip(given["images"], given["labels"], strict=True))
    options = {"rounds": len(drawn), "steps": given["steps"], "lr": given["lr"], "local": given["local"]}
    kept = fn(model, clients, draw=draw, **options)
    kept = [as_state(own) for own in kept] if isinstance(kept, (list, tuple)) else as_state(kept)
    seen |= {"kept": plain(kept), "server_after": state_of(model), "draws": len(calls)}
    # Of each step: whose images came, and the values that the network held then.
    entries = [{name: value.cpu() for name, value in entry.items()} for entry in model.diary]
    seen["clients"] = [
        next((k for k, (images, _) in enumerate(clients) if torch.equal(entry["images"], images.cpu())), -1)
        for entry in entries
    ]
    seen["held"] = [{name: value for name, value in entry.items() if name != "images"} for entry in entries]
    return seen


exercise = Exercise(
    name="federated_training",
    title="The server's loop: rounds of local training and averaging",
    signature="federated_training(model, clients, *, draw, rounds, steps, lr, local=())",
    minutes=25,
    difficulty=3,
    points=6,
    hints=Hints(
        concept=(
            "Each client has a dictionary of the tensors that stay with it; at first they are copies of the server's. "
            "In a round, every client that is drawn gets the server's state with its own tensors in place of the "
            "server's, and trains. Only when all of them are back is the average loaded into the server, without the "
            "local tensors."
        ),
        api="your `client_update` and `federated_average`, `copy.deepcopy`, `Module.load_state_dict`, `a | b` of dicts",
        skeleton=(
            "kept = [{name: ... for name in local} for _ in clients]\nown = copy.deepcopy(model)\n"
            "for _ in range(rounds):\n    states, counts = [], []\n    for k in draw():\n"
            "        own.load_state_dict(model.state_dict() | kept[k])\n"
            "        state, count = client_update(own, *clients[k], ...)\n        kept[k] = ...\n        ...\n"
            "    average = ...\n    model.load_state_dict(average | {name: ... for name in local})\nreturn kept"
        ),
    ),
    takeaway=(
        "A round costs one network to each client and one back, whatever the number of images. Every variant of "
        "federated learning changes one line of this loop."
    ),
    cases=cases,
    observe=observe,
    uses=("client_update", "federated_average"),
    may_change=("model",),
    words={
        "server_before": "the server's network before the call",
        "kept": "the list of local tensors that you return",
        "server_after": "the server's network after the call",
        "draws": "the number of times that your code calls `draw`",
        "clients": "the list of clients, in the order of their steps,",
        "held": "the list of networks, as they were before each step,",
    },
    inputs_shown=("drawn", "mode_before"),
)
