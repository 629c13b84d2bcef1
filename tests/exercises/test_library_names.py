"""What learners implement has another name than anything of the library with another signature."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil

import pytest

import course_lib
from course_lib.exercises import exercise_named, exercises, judge_of

NOT_THE_LIBRARY = {"exercises", "grading", "authoring", "desk", "__main__"}


def library_modules():
    for found in pkgutil.walk_packages(course_lib.__path__, "course_lib."):
        parts = found.name.split(".")
        if parts[1] not in NOT_THE_LIBRARY and not any(part.startswith("_") for part in parts):
            yield importlib.import_module(found.name)


SHARED = sorted({
    (name, inspect.unwrap(vars(module)[name])) for module in library_modules() for name in exercises()
    if callable(vars(module).get(name))
}, key=lambda pair: pair[0])  # fmt: skip


def parameters_of(signature: str) -> list[str]:
    """The names of the parameters in `f(a, b, *, c)`, in order."""
    function = ast.parse(f"def {signature}: ...").body[0]
    return [argument.arg for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]


def test_the_library_is_searched():
    assert "accuracy" in {name for name, _ in SHARED}


@pytest.mark.parametrize(("name", "function"), SHARED, ids=[name for name, _ in SHARED])
def test_a_name_of_an_exercise_and_of_the_library_has_one_signature(name, function):
    exercise = exercise_named(name)
    assert parameters_of(exercise.signature) == list(inspect.signature(function).parameters)
    case = exercise.cases(0)[0]
    kinds = [
        {key: type(value) for key, value in exercise.observe(fn, case).items()}
        for fn in (function, judge_of(exercise).reference)
    ]
    assert kinds[0] == kinds[1]
