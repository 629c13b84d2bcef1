"""`load_safely`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from course_lib.exercises.capstone.exercise import small_classifier
from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import state_of

ran: list[str] = []  # what the code in a file has left behind


def leave_behind(what: str) -> dict[str, torch.Tensor]:
    """Stands for any code that a pickle can run while it is loaded."""
    ran.append(what)
    return {}


class Pickled:
    """An object whose pickle runs a function when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return leave_behind, ("the code in the file",)


# Name of a case, and what is done to a whole file of weights.
KINDS = (
    "whole", "float64", "one_missing", "one_too_many", "another_shape", "one_nan", "one_infinite", "list_of_numbers",
    "not_a_dict", "pickled_module", "code", "cut_short", "no_file_of_weights",
)  # fmt: skip


def cases(seed: int) -> list[Case]:
    generator = drawing(seed).generator
    seeds = torch.randint(2**31, (len(KINDS),), generator=generator).tolist()
    place = int(torch.randint(0, 5, (), generator=generator))
    return [Case(name, {"seed": number, "place": place}) for name, number in zip(KINDS, seeds, strict=True)]


def _content(name: str, source: nn.Module, place: int) -> Any:
    state = state_of(source)
    key = list(state)[min(place, 3)]  # one with values that are not whole
    if name == "float64":
        return {each: value.double() if value.is_floating_point() else value for each, value in state.items()}
    if name == "one_missing":
        del state[key]
    elif name == "one_too_many":
        state["5.extra"] = torch.zeros(2)
    elif name == "another_shape":
        state["6.bias"] = state["6.bias"][:1].clone()  # would broadcast
    elif name in ("one_nan", "one_infinite"):
        state[key].view(-1)[0] = float(name.removeprefix("one_")[:3])
    elif name == "list_of_numbers":
        return {**state, "6.bias": state["6.bias"].tolist()}
    elif name == "not_a_dict":
        return list(state.values())
    elif name == "pickled_module":
        return source
    elif name == "code":
        return Pickled()
    return state


def _file(name: str, source: nn.Module, place: int) -> io.BytesIO:
    if name == "no_file_of_weights":
        return io.BytesIO(b"PNG and other bytes" * 20)
    buffer = io.BytesIO()
    torch.save(_content(name, source, place), buffer)
    whole = buffer.getvalue()
    return io.BytesIO(whole[: len(whole) // 2] if name == "cut_short" else whole)


def observe(fn: Callable[..., Any], case: Case) -> Values:
    seed = case.inputs["seed"] % 10_007
    source, model = small_classifier(1, 3, seed), small_classifier(1, 3, seed + 1)
    before = state_of(model)
    ran.clear()
    try:
        result = fn(_file(case.name, source, case.inputs["place"]), model)
        outcome, text = "the model" if result is model else type(result).__name__, ""
    except (NotImplementedError, NameError, SyntaxError, AssertionError):
        raise
    except Exception as fault:
        outcome, text = type(fault).__name__, " ".join(str(fault).split())[:300]
    after = state_of(model)
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    return {"outcome": outcome, "message": text, "after": after, "moved": moved, "ran": list(ran)}


exercise = Exercise(
    name="load_safely",
    title="Weights from a file that may be wrong, or hostile",
    signature="load_safely(file, model)",
    minutes=20,
    difficulty=2,
    points=7,
    hints=Hints(
        concept=(
            "A pickle can run any code while it is loaded, so load with `weights_only=True`, and turn every error into "
            "a ValueError. Then check all before you change anything: a dict with the model's own names, a tensor for "
            "each, of the same shape, with finite values. Copy the weights at the end."
        ),
        api=(
            '`torch.load(file, map_location="cpu", weights_only=True)`, `model.state_dict()`, `isinstance`, '
            "`torch.isfinite(x).all()`, `model.load_state_dict(state)`, `raise ValueError(...) from error`"
        ),
        skeleton=(
            "try:\n    state = torch.load(file, map_location=..., weights_only=...)\n"
            "except Exception as error:\n    raise ValueError(...) from error\n"
            "own = model.state_dict()\n"
            "if not isinstance(state, dict) or state.keys() != ...:\n    raise ValueError(...)\n"
            "for name, value in own.items():\n"
            "    if not isinstance(state[name], torch.Tensor) or state[name].shape != ...:\n"
            "        raise ValueError(...)\n"
            "    if not torch.isfinite(...).all():\n        raise ValueError(...)\n"
            "model.load_state_dict(...)\nreturn model"
        ),
    ),
    takeaway=(
        "With `weights_only=True` a file can hold wrong numbers, but it cannot run code. All checks come before the "
        "first change, so a bad file leaves a good model as it was."
    ),
    cases=cases,
    observe=observe,
    may_change=("model",),
    on_gpu=False,
    words={
        "outcome": "what comes back, or the error", "message": "the text of the error",
        "after": "the state of the model afterwards", "moved": "the list of tensors that have changed",
        "ran": "what the code in the file has left behind",
    },
)  # fmt: skip
