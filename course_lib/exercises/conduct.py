"""What an answer does besides its result: to what it was given, and to torch's own modes.

Every check looks at it, so that no exercise has to: the caller's tensors, lists and flags are as they were, and nothing
stays switched. This runs beside the learner's code; what it finds is raw, and `judging` decides what it is worth.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class Conduct:
    """Watches the calls of an answer: `changed` names arguments, `left` modes of torch that were not put back.

    Args:
        signature: the exercise's, such as "corrupt(images, noise, *, generator)": it names the arguments.
        may_change: names of arguments that the answer is asked to change.
    """

    def __init__(self, signature: str, may_change: Iterable[str] = ()) -> None:
        self.changed: list[str] = []
        self.left: list[str] = []
        self._names = names_in(signature)
        self._may_change = frozenset(may_change)

    def watched(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """The answer as a function that is watched in every call; a class is left alone, for its calls come later."""
        if isinstance(fn, type):
            return fn

        def call(*args: Any, **kwargs: Any) -> Any:
            given = {**dict(zip(self._names, args)), **kwargs}
            before = {name: self._state_of(name, value) for name, value in given.items()}
            modes = _modes()
            try:
                return fn(*args, **kwargs)
            finally:
                now = {name: self._state_of(name, value) for name, value in given.items()}
                self._note(self.changed, [name for name in given if not _same(now[name], before[name])])
                self._note(self.left, [name for name, mode in _modes().items() if mode != modes[name]])

        return call

    def _state_of(self, name: str, value: Any) -> Any:
        """What must not change in an argument; of one that the answer may change, which things a list of it holds."""
        if name not in self._may_change:
            return _state(value)
        return [id(item) for item in value] if isinstance(value, (list, tuple)) else None

    @staticmethod
    def _note(found: list[str], names: Iterable[str]) -> None:
        found.extend(name for name in names if name not in found)


@functools.cache
def names_in(signature: str) -> tuple[str, ...]:
    """The names of the parameters in "corrupt(images, noise, *, generator)", in their order.

    >>> names_in("kl_warmup(step, warmup_steps, *, beta=1.0)")
    ('step', 'warmup_steps', 'beta')
    """
    inside = signature.partition("(")[2].rpartition(")")[0]
    function: dict[str, Any] = {}
    exec(f"def f({inside}): pass", function)  # the course's own text, not a learner's
    return tuple(inspect.signature(function["f"]).parameters)


MODES: dict[str, Callable[[], Any]] = {
    "gradients": torch.is_grad_enabled,
    "inference": torch.is_inference_mode_enabled,
    "dtype": torch.get_default_dtype,
    "deterministic": torch.are_deterministic_algorithms_enabled,
}


def _modes() -> dict[str, Any]:
    return {name: mode() for name, mode in MODES.items()}


def _state(value: Any) -> Any:
    """A copy of what must not change in an argument; None for what has no such thing, as a generator or a number."""
    if isinstance(value, Tensor):
        return value.detach().clone(), value.requires_grad
    if isinstance(value, nn.Module):
        flags = [parameter.requires_grad for parameter in value.parameters()]
        return [module.training for module in value.modules()], flags
    if isinstance(value, (list, tuple)):
        return [id(item) for item in value], [_state(item) for item in value]
    if isinstance(value, dict):
        return [*value], [_state(item) for item in value.values()]
    return None


def _same(now: Any, before: Any) -> bool:
    if isinstance(now, Tensor) and isinstance(before, Tensor):
        return (
            now.dtype == before.dtype
            and now.shape == before.shape
            and torch.allclose(now.to(torch.float64), before.to(torch.float64), rtol=0, atol=0, equal_nan=True)
        )
    if isinstance(now, (list, tuple)) and isinstance(before, (list, tuple)):
        return len(now) == len(before) and all(_same(a, b) for a, b in zip(now, before))
    return type(now) is type(before) and bool(now == before)
