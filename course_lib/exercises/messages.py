"""Messages as (id, fields) pairs, rendered only when shown: stored results are neutral, languages can be added.

The sentences of the contract itself stand in `SENTENCES`; those of criteria and mistakes are registered when their
judge is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SENTENCES = {
    "contract.right": "{takeaway}",
    "contract.borrowed": "This is the course's own version, borrowed so that you can go on. Come back to it.",
    "contract.not_attempted": (
        "Replace the line `raise NotImplementedError(...)` in the cell above by your code,"
        " run that cell, then run this one again."
    ),
    "contract.not_callable": (
        "`check.{name}` needs your function or class itself: `check.{name}({name})`. It was given {given}."
    ),
    "contract.error": "Your code stopped with {type}: {text}{where}. Inputs that led to it: {case}.",
    "contract.error_some": (
        "Your code works on some inputs, but stopped with {type}: {text}{where}. Inputs that led to it: {case}."
    ),
    "contract.interrupted": "The check was interrupted before your code finished. Is there a loop that never ends?",
    "contract.used_library": (
        "`{name}` from course_lib already does what you are asked to write here. Write it with PyTorch "
        "itself; afterwards the library's version is yours to use."
    ),
    "contract.returns_none": (
        "Your code gives back None where {expected} was expected ({key}). Is the `return` missing?"
    ),
    "contract.wrong_type": "{key} should be {expected}, but it is {given}.",
    "contract.wrong_shape": "{key} should have shape {expected}, but it has shape {given} (inputs: {case}).",
    "contract.wrong_dtype": "{key} should have dtype {expected}, but it has dtype {given} (inputs: {case}).",
    "contract.not_finite": "{key} contains {given}, which is not a finite number (inputs: {case}).",
    "contract.wrong_value": "{key} is {given}, expected {expected} (inputs: {case}).",
    "contract.wrong_values": (
        "{key} differs from what was expected in {share} of its {count} entries, by up to {gap} (inputs: {case})."
    ),
    "contract.unmet": "Not met yet: {titles}.",
    "contract.judge_failed": (
        "This check itself failed ({text}). That is a fault of the course, not of your answer: please report it."
    ),
}

_registered: dict[str, str] = {}


@dataclass(frozen=True)
class Message:
    """A sentence by its id, with the fields that go into it."""

    id: str
    fields: dict[str, Any] = field(default_factory=dict)

    def render(self) -> str:
        """The sentence in the reader's language; braces in fields are harmless."""
        template = template_of(self.id)
        try:
            return template.format_map(_Fields(self.fields))
        except (ValueError, IndexError):  # a sentence that holds a brace of its own, such as a set in code
            return template


class _Fields(dict):
    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def register(message_id: str, sentence: str) -> None:
    """Makes a sentence known under an id; the same id must keep its sentence within a process."""
    _registered[message_id] = sentence


def template_of(message_id: str) -> str:
    """The sentence of an id before its fields are filled in.

    Raises:
        KeyError: no sentence has that id.
    """
    if message_id in SENTENCES:
        return SENTENCES[message_id]
    if message_id in _registered:
        return _registered[message_id]
    raise KeyError(f"no sentence is registered under the message id {message_id!r}")


def catalogue() -> dict[str, str]:
    """Every sentence known in this process, by id."""
    return {**SENTENCES, **_registered}
