"""Values as a reader sees them: what a value is, all of it where it is short, and two values so that they differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from course_lib.exercises.conduct import names_in
from course_lib.exercises.contract import Case, Exercise, Other

IN_A_SENTENCE = 12  # entries of a tensor or list that a sentence shows in full
WINDOW = 60  # characters of a long text that are shown around the first difference
DIGITS = (4, 6, 9, 17)  # significant digits, tried until two numbers look different


def kind(value: Any) -> str:
    """What a value is, as a phrase of the catalogue.

    >>> kind(torch.zeros(4, 10)), kind(torch.tensor(1.0)), kind([1, 2]), kind(0.5), kind(None)
    ('a tensor of shape (4, 10)', 'a tensor with a single number', 'a list of length 2', 'a float', 'None')
    """
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}" if value.ndim else "a tensor with a single number"
    if isinstance(value, list):
        return f"a list of length {len(value)}"
    if value is None:
        return "None"
    noun = value.type_name if isinstance(value, Other) else type(value).__name__
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def shown(value: Any, digits: int = DIGITS[0]) -> str:
    """A value in one line of Python, tensors as nested lists, numbers to so many significant digits.

    >>> shown(torch.tensor([[1.0, 2 / 3]])), shown({"loss": 0.25, "ids": [1, 2]}), shown("train")
    ('[[1.0, 0.6667]]', "{'loss': 0.25, 'ids': [1, 2]}", 'train')
    """
    if isinstance(value, torch.Tensor):
        return shown(value.tolist(), digits)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {shown(item, digits)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(shown(item, digits) for item in value) + "]"
    if isinstance(value, float):
        text = f"{value:.{digits}g}"
        return f"{text}.0" if text.lstrip("-").isdigit() else text
    if value == "":
        return "nothing"  # a phrase of the catalogue
    return kind(value) if isinstance(value, Other) else str(value)


def shown_apart(seen: Any, expected: Any) -> tuple[str, str]:
    """Two values that differ, rounded alike and to enough digits to look different; of long texts the first difference.

    >>> shown_apart(1.36231, 1.36249), shown_apart(0.5, 0.25)
    (('1.36231', '1.36249'), ('0.5', '0.25'))
    """
    pair = shown(seen), shown(expected)
    for digits in DIGITS[1:]:
        if pair[0] != pair[1]:
            break
        pair = shown(seen, digits), shown(expected, digits)
    if max(map(len, pair)) <= WINDOW or not isinstance(seen, str):
        return pair
    same = next((at for at, (a, b) in enumerate(zip(*pair, strict=False)) if a != b), min(map(len, pair)))
    return _cut(pair[0], same), _cut(pair[1], same)


def _cut(text: str, at: int) -> str:
    """The part of a text around a place, dots where something is left out."""
    start = max(0, at - WINDOW // 3)
    end = start + WINDOW
    return ("..." if start else "") + text[start:end] + ("..." if end < len(text) else "")


def widest_gap(seen: torch.Tensor, expected: torch.Tensor) -> tuple[list[int], torch.Tensor]:
    """Where two tensors of one shape differ most, and how much they differ everywhere; NaN against a number is most."""
    wide = torch.complex128 if seen.is_complex() or expected.is_complex() else torch.float64
    gap = (seen.to(wide) - expected.to(wide)).abs()
    both = (seen == expected) | (seen.isnan() & expected.isnan())
    gap = torch.where(both, 0.0, gap.nan_to_num(nan=math.inf, posinf=math.inf))
    place = torch.unravel_index(gap.argmax(), gap.shape)
    return [int(at) for at in place], gap


# --- inputs ---------------------------------------------------------------------------------------------------------


def arguments_of(exercise: Exercise, case: Case) -> dict[str, Any]:
    """The inputs of a case that an answer receives, by the names that a learner knows; others are the check's own."""
    known = [*names_in(exercise.signature), *exercise.inputs_shown]
    return {name: value for name, value in case.inputs.items() if name in known}


def input_name(exercise: Exercise, name: str) -> str:
    """What an input is called: an argument by its name, another one in words."""
    return name if name in names_in(exercise.signature) else name.replace("_", " ")


def describe_case(exercise: Exercise, case: Case) -> str:
    """The case and its arguments: "half turn: images (3, 1, 6, 4) float32, k = 2"."""
    parts = []
    for name, value in arguments_of(exercise, case).items():
        called = input_name(exercise, name)
        if isinstance(value, torch.Tensor):
            parts.append(f"{called} {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}")
        elif isinstance(value, (list, tuple)) and len(value) > IN_A_SENTENCE:
            parts.append(f"{called} ({len(value)})")
        else:
            parts.append(f"{called} = {shown(value)}")
    title = case.name.replace("_", " ")
    return f"{title}: {', '.join(parts)}" if parts else title


def in_code(names: Sequence[str], most: int = 8) -> str:
    """Names as code, dots for those beyond the first few."""
    listed = [f"`{name}`" for name in names[:most]]
    return ", ".join(listed + ["..."] * (len(names) > most))
