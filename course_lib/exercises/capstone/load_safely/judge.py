"""`load_safely`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import pickle

import torch

from course_lib.exercises.asking import as_expected, in_any, named, of_this_case, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values

GOOD = ("whole", "float64")
UNREADABLE = ("pickled_module", "code", "cut_short", "no_file_of_weights")
OTHER_CONTENT = ("one_missing", "one_too_many", "another_shape", "list_of_numbers", "not_a_dict")
NOT_FINITE = ("one_nan", "one_infinite")


def reference(file, model):
    own = model.state_dict()
    try:
        state = torch.load(file, weights_only=True, map_location="cpu")
        shapes = {name: tuple(value.shape) for name, value in state.items()}
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, AttributeError, KeyError, OSError) as error:
        raise ValueError(f"no file of weights: {error}") from error
    for name in sorted({*own, *shapes}):
        here, there = shapes.get(name), tuple(own[name].shape) if name in own else None
        if here != there:
            raise ValueError(f"{name} is {here} in the file and {there} in the model")
        if not bool(state[name].isfinite().all()):
            raise ValueError(f"{name} holds values that are not finite")
    model.load_state_dict(state)
    return model


def _refused(case: Case, seen: Values, expected: Values) -> bool:
    return seen["outcome"] == "ValueError" and not seen["moved"]


def _nothing_ran(case: Case, seen: Values, expected: Values) -> bool:
    return seen["ran"] == [] and seen["outcome"] != "the model"


def _half_loaded(trial: Trial) -> bool:
    return trial.case.name not in GOOD and bool(trial.seen["moved"]) and trial.seen["outcome"] != "the model"


def _taken(trial: Trial) -> bool:
    return trial.seen["outcome"] == "the model"


judge = Judge(
    reference=reference,
    criteria=of_this_case("after",
        Criterion("loaded", 2, "the weights of a right file are in the model, and the model is returned",
                  as_expected("outcome", "after"), GOOD),
        Criterion("code", 1, "no code in the file runs, and a file with code is refused", _nothing_ran,
                  ("code", "pickled_module"), form=True),
        Criterion("unreadable", 1, "a file that cannot be read as weights raises a ValueError", _refused, UNREADABLE),
        Criterion("content", 2, "other names, other shapes and what is not a dict of tensors raise a ValueError, and "
                  "the model is as it was", _refused, OTHER_CONTENT),
        Criterion("finite", 1, "weights that are NaN or infinite raise a ValueError, and the model is as it was",
                  _refused, NOT_FINITE),
    ),
    predicates={
        "pickles_loaded": somewhere(lambda t: bool(t.seen["ran"])),
        "half_loaded": somewhere(_half_loaded, "one_missing", "one_too_many", "another_shape", *NOT_FINITE),
        "not_strict": lambda trials: in_any(named(trials, "one_missing", "one_too_many"), _taken),
        "not_finite_taken": lambda trials: in_any(named(trials, *NOT_FINITE), _taken),
        "torchs_error": somewhere(lambda t: t.seen["outcome"] == "UnpicklingError", *UNREADABLE),
    },
)  # fmt: skip
