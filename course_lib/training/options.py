"""The options of `fit`, and the checks of what it is given."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from typing import Any

import torch
from torch import Tensor, nn

from course_lib import keywords
from course_lib.training.history import History

OptimizerMaker = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """How `fit` trains, beside the model, the batches, the loss, the number of steps and the learning rate.

    Attributes:
        optimizer: an optimizer of your own (it has its own learning rates), or a function from parameters to one.
            Default: AdamW (Loshchilov and Hutter, 2019) with `lr` and `weight_decay`.
        weight_decay: of the default optimizer.
        schedule: "cosine" (down to 0 along half a cosine), "constant", or `factor(step, total)` with steps from 0; it
            multiplies the learning rate of each parameter group. Afterwards the optimizer has the rates that it had
            before.
        warmup: steps in which the learning rate first rises linearly.
        validate: `validate(model)` -> a number, called in eval mode without gradients. The weights that did best are
            COPIED, and put back at the end.
        validate_every: steps between validations. Default: each epoch with `num_epochs`, ten times in the run with
            `steps`. The last step is always validated.
        higher_is_better: True for an accuracy, False for a loss.
        patience: stop after so many validations without a new best.
        precision: "auto", "float32", "bfloat16" or "float16" for the model's forward pass; losses are computed in
            float32 either way. "auto" takes bfloat16 where it was measured to pay: on GPUs that have it, and for
            convolutions on CPUs with avx512_bf16; float16 with a gradient scaler on older GPUs; float32 elsewhere.
        checkpoint: a file to save the run in, written atomically every `checkpoint_every` steps (default: after each
            validation or epoch), at the end and when interrupted. If it is there and `resume`, the run goes on from
            it, and a finished run is only loaded. A resumed run equals an uninterrupted one.
        checkpoint_every: steps between two checkpoints.
        resume: False starts anew and replaces a checkpoint that is there.
        generators: further generators that your loss draws from, saved with the checkpoint; that of `batches` is
            found by itself.
        progress: show a progress bar.
        label: its title.
        on_step: `on_step(model, history)` after every step, for a moving average of weights, say, or a live curve.
    """

    optimizer: torch.optim.Optimizer | OptimizerMaker | None = None
    weight_decay: float = 0.0
    schedule: str | Callable[[int, int], float] = "cosine"
    warmup: int = 0
    validate: Callable[[nn.Module], float] | None = None
    validate_every: int | None = None
    higher_is_better: bool = True
    patience: int | None = None
    precision: str = "auto"
    checkpoint: str | os.PathLike[str] | None = None
    checkpoint_every: int | None = None
    resume: bool = True
    generators: Sequence[torch.Generator] = ()
    progress: bool = True
    label: str = "training"
    on_step: Callable[[nn.Module, History], None] | None = None

    @classmethod
    def of(cls, options: Options | None, more: Mapping[str, Any]) -> Options:
        """The options of a call of `fit`: single ones go before those of the object.

        Raises:
            TypeError: a keyword that is not an option, or another kind of object.
        """
        return keywords.merged(cls, options, more, function="fit", besides=("num_epochs", "steps", "lr", "options"))

    def check(self) -> None:
        """Checks what can be checked without the model.

        Raises:
            TypeError, ValueError: an option that does not fit; the message says what is expected.
        """
        if self.validate is not None and not callable(self.validate):
            kind = describe(self.validate)
            raise TypeError(f"validate is a {kind}; a function validate(model) -> number is expected.")
        for name in ("validate_every", "patience", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} is {value!r}; a whole number of at least 1 is expected.")
        if self.validate is None and (self.patience is not None or self.validate_every is not None):
            raise ValueError("patience and validate_every need validate=, a function validate(model) -> number.")


def total_steps(model: Any, batches: Any, *, num_epochs: int | None, steps: int | None) -> int:
    """The number of steps of a run.

    Raises:
        TypeError, ValueError: model, batches or length do not fit; the message says what is expected.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {describe(model)}; an nn.Module is expected.")
    if (num_epochs is None) == (steps is None):
        given = "neither" if steps is None else "both"
        raise ValueError(f"num_epochs or steps must be given, exactly one of them; {given} was.")
    name, value = ("steps", steps) if num_epochs is None else ("num_epochs", num_epochs)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; a whole number of at least 1 is expected.")
    if not isinstance(batches, Iterable) or isinstance(batches, (Tensor, str, dict)):
        raise TypeError(
            f"batches is a {describe(batches)}; an iterable of batches is expected, such as "
            "course_lib.data.Batches(...) or a list of (x, y)."
        )
    if steps is not None:
        return steps
    if not isinstance(batches, Sized):
        kind = describe(batches)
        raise TypeError(f"num_epochs needs batches with a length, and a {kind} has none; give steps= instead.")
    if len(batches) == 0:
        raise ValueError("there are no batches: the data set is empty, or drop_last dropped the only one.")
    return value * len(batches)


def check_loss(loss: Any) -> None:
    """The loss must be one number that gradients can flow from.

    Raises:
        TypeError, ValueError: it is not; the message says what to write.
    """
    if not isinstance(loss, Tensor):
        kind = describe(loss)
        raise TypeError(
            f"loss_fn returned a {kind}; a scalar tensor is expected: return the loss itself, without .item()."
        )
    if loss.numel() != 1:
        raise ValueError(
            f"loss_fn returned a tensor of shape {tuple(loss.shape)}; one number is expected: take the mean over the "
            "batch."
        )
    if not loss.requires_grad:
        raise ValueError(
            "the loss has no gradient: it was detached, or computed under torch.no_grad(), or the model was not used."
        )


def number(value: Any) -> float:
    """What a validation returned, as a float.

    Raises:
        TypeError: it is not one number.
    """
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    try:
        return float(value)
    except (TypeError, ValueError):
        kind = describe(value)
        raise TypeError(f"validate returned a {kind}; one number is expected, such as an accuracy.") from None


def describe(value: Any) -> str:
    """What kind of thing a value is, for a message: "tensor of shape (3, 4)", "tuple of 2", "int"."""
    if isinstance(value, Tensor):
        return f"tensor of shape {tuple(value.shape)}"
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__
