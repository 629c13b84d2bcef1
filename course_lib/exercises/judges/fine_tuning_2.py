"""Unit 06, second notebook, fine-tuning without forgetting: references, criteria with points, known mistakes.

Mistakes and alternatives use only torch, F, nn and math, because a demo submission is made of their source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Criterion, Judge, Mistake, Trial, Values, close
from course_lib.exercises.judging import as_number, failed_with, in_all, in_any, named, ran


def _near(seen: object, expected: float) -> bool:
    return math.isclose(as_number(seen), expected, rel_tol=1e-4, abs_tol=1e-5)


# --- l2_sp_penalty --------------------------------------------------------------------------------------------------


def _reference_penalty(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters()]

    def penalty():
        pairs = zip(model.encoder.parameters(), start, strict=True)
        return sum((weight - origin).pow(2).sum() for weight, origin in pairs)

    return penalty


def by_names(model):
    start = {name: weight.detach().clone() for name, weight in model.encoder.named_parameters()}

    def penalty():
        total = torch.zeros(())
        for name, weight in model.encoder.named_parameters():
            total = total + F.mse_loss(weight, start[name], reduction="sum")
        return total

    return penalty


def as_one_vector(model):
    origin = nn.utils.parameters_to_vector(model.encoder.parameters()).detach().clone()

    def penalty():
        moved = nn.utils.parameters_to_vector(model.encoder.parameters()) - origin
        return moved @ moved

    return penalty


def norms_squared(model):
    start = [torch.tensor(weight.tolist(), dtype=weight.dtype) for weight in model.encoder.parameters()]

    def penalty():
        return sum(((w - s) * (w - s)).sum() for w, s in zip(model.encoder.parameters(), start))

    return penalty


def start_is_alive(model):
    start = list(model.encoder.parameters())

    def penalty():
        return sum((weight - origin).pow(2).sum() for weight, origin in zip(model.encoder.parameters(), start))

    return penalty


def clone_on_the_graph(model):
    start = [weight.clone() for weight in model.encoder.parameters()]

    def penalty():
        return sum((weight - origin).pow(2).sum() for weight, origin in zip(model.encoder.parameters(), start))

    return penalty


def towards_zero(model):
    def penalty():
        return sum(weight.pow(2).sum() for weight in model.encoder.parameters())

    return penalty


def head_included(model):
    start = [weight.detach().clone() for weight in model.parameters()]

    def penalty():
        return sum((weight - origin).pow(2).sum() for weight, origin in zip(model.parameters(), start))

    return penalty


def head_towards_zero(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters()]

    def penalty():
        pairs = zip(model.encoder.parameters(), start)
        moved = sum((weight - origin).pow(2).sum() for weight, origin in pairs)
        return moved + sum(weight.pow(2).sum() for weight in model.head.parameters())

    return penalty


def buffers_included(model):
    start = {name: value.detach().clone().float() for name, value in model.encoder.state_dict().items()}

    def penalty():
        now = model.encoder.state_dict(keep_vars=True)
        return sum((value - start[name]).pow(2).sum() for name, value in now.items())

    return penalty


def norm_not_squared(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters()]

    def penalty():
        return sum((w - s).pow(2).sum() for w, s in zip(model.encoder.parameters(), start)).sqrt()

    return penalty


def sum_of_norms(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters()]

    def penalty():
        return sum((w - s).norm() for w, s in zip(model.encoder.parameters(), start))

    return penalty


def mean_for_sum(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters()]

    def penalty():
        return sum((w - s).pow(2).mean() for w, s in zip(model.encoder.parameters(), start))

    return penalty


def mean_of_everything(model):
    origin = nn.utils.parameters_to_vector(model.encoder.parameters()).detach().clone()

    def penalty():
        return (nn.utils.parameters_to_vector(model.encoder.parameters()) - origin).pow(2).mean()

    return penalty


def halved(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters()]

    def penalty():
        return 0.5 * sum((w - s).pow(2).sum() for w, s in zip(model.encoder.parameters(), start))

    return penalty


def absolute_differences(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters()]

    def penalty():
        return sum((w - s).abs().sum() for w, s in zip(model.encoder.parameters(), start))

    return penalty


def square_of_the_sum(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters()]

    def penalty():
        return sum((w - s).sum().pow(2) for w, s in zip(model.encoder.parameters(), start))

    return penalty


def measured_without_gradient(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters()]

    def penalty():
        return sum((w.detach() - s).pow(2).sum() for w, s in zip(model.encoder.parameters(), start))

    return penalty


def a_plain_number(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters()]

    def penalty():
        return sum((w - s).pow(2).sum() for w, s in zip(model.encoder.parameters(), start)).item()

    return penalty


def start_of_the_first_call(model):
    start: list = []

    def penalty():
        if not start:
            start.extend(weight.detach().clone() for weight in model.encoder.parameters())
        return sum((weight - origin).pow(2).sum() for weight, origin in zip(model.encoder.parameters(), start))

    return penalty


def start_follows(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters()]

    def penalty():
        value = sum((w - s).pow(2).sum() for w, s in zip(model.encoder.parameters(), start))
        for origin, weight in zip(start, model.encoder.parameters()):
            origin.copy_(weight.detach())
        return value

    return penalty


def biases_left_out(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters() if weight.ndim > 1]

    def penalty():
        weights = [weight for weight in model.encoder.parameters() if weight.ndim > 1]
        return sum((weight - origin).pow(2).sum() for weight, origin in zip(weights, start))

    return penalty


def the_number_at_once(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters()]
    return sum((weight - origin).pow(2).sum() for weight, origin in zip(model.encoder.parameters(), start))


_EVERYTHING = ("everything_moved", "convolutions", "float64")
_MOVED = (*_EVERYTHING, "encoder_moved")


def _zero(value: object) -> bool:
    return _near(value, 0.0)


def _right_value(case: Case, seen: Values, expected: Values) -> bool:
    value = seen["penalty"]
    return isinstance(value, Tensor) and value.numel() == 1 and _near(value, float(expected["penalty"]))


def _encoder_only(trials: Sequence[Trial]) -> list[Trial]:
    """Where nothing but the encoder's parameters moved."""
    return named(trials, "encoder_moved")


def _value_is(trials: Sequence[Trial], factor: Callable[[float], float]) -> bool:
    found = _encoder_only(trials)
    return bool(found) and all(_near(t.seen["penalty"], factor(float(t.expected["penalty"]))) for t in found)


l2_sp_penalty = Judge(
    reference=_reference_penalty,
    criteria=(
        Criterion(
            "distance", 1, "the sum of squared differences between the encoder's weights and their start",
            _right_value, ("encoder_moved", "frozen_at_the_start"),
        ),
        Criterion(
            "encoder_only", 1, "neither the head nor running statistics count", _right_value,
            (*_EVERYTHING, "head_moved", "buffers_moved"),
        ),
        Criterion(
            "gradient", 1, "its gradient draws every weight of the encoder back to its start, and nothing else",
            lambda c, s, e: close(s["encoder_gradient"], e["encoder_gradient"])
            and close(s["head_gradient"], e["head_gradient"]),
            _MOVED,
        ),
        Criterion(
            "start_stays", 1, "the start stays the start: a second look gives the same, and the model is left alone",
            lambda c, s, e: _near(s["called_again"], float(e["called_again"]))
            and _near(s["after_another_move"], float(e["after_another_move"]))
            and close(s["model_after"], s["model_moved"]),
            ("encoder_moved",),
        ),
    ),
    mistakes=(
        Mistake(
            "start_of_the_first_call", start_of_the_first_call,
            "The start is taken when the penalty is first called; by then training may have moved the weights. Take "
            "it when `l2_sp_penalty` is called.",
            behaves=lambda trials: bool(named(trials, *_MOVED))
            and all(_zero(t.seen["penalty"]) and not _zero(t.seen["after_another_move"])
                    for t in named(trials, *_MOVED)),
        ),
        Mistake(
            "start_is_alive", start_is_alive,
            "The penalty is zero wherever the weights go: they are compared with themselves. A list of parameters, a "
            "state dict and `detach()` all show the live weights: remember a copy of their numbers.",
            behaves=lambda trials: bool(named(trials, *_MOVED))
            and all(_zero(t.seen["penalty"]) and _zero(t.seen["after_another_move"]) for t in named(trials, *_MOVED)),
        ),
        Mistake(
            "start_follows", start_follows,
            "The second look gives another number: your start moves along with the weights. It is taken once and "
            "never again.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name in _MOVED
                and not _near(t.seen["called_again"], as_number(t.seen["penalty"]))
            ),
        ),
        Mistake(
            "clone_on_the_graph", clone_on_the_graph,
            "The number is right, but its gradient is zero: your copy still hangs on the graph, and the gradient "
            "through it cancels the other. Cut it off before you copy.",
            behaves=lambda trials: all(
                _right_value(t.case, t.seen, t.expected) and bool((t.seen["encoder_gradient"] == 0).all())
                and t.seen["on_the_graph"]
                for t in _encoder_only(trials)
            ) and bool(_encoder_only(trials)),
        ),
        Mistake(
            "a_plain_number", a_plain_number,
            "You give back a plain number, which has no gradient: added to a loss it would change nothing. Return the "
            "tensor.",
            behaves=lambda trials: in_all(trials, lambda t: isinstance(t.seen["penalty"], float)),
        ),
        Mistake(
            "measured_without_gradient", measured_without_gradient,
            "The distance is right, but the weights of today are cut off the graph, so it pulls at nothing. Only the "
            "start has no gradient.",
            behaves=lambda trials: all(
                _right_value(t.case, t.seen, t.expected) and not t.seen["on_the_graph"] for t in _encoder_only(trials)
            ) and bool(_encoder_only(trials)),
        ),
        Mistake(
            "towards_zero", towards_zero,
            "This is plain weight decay: it measures the distance to zero. SP stands for the starting point: take the "
            "difference to the pretrained weights first.",
            behaves=lambda trials: bool(named(trials, "head_moved", "buffers_moved"))
            and all(
                not _zero(t.seen["penalty"]) and bool((t.seen["encoder_gradient"] != 0).any())
                for t in named(trials, "head_moved", "buffers_moved")
            ),
        ),
        Mistake(
            "buffers_included", buffers_included,
            "Running statistics of batch normalization are counted too. They are buffers that follow the data, no "
            "weights that learn: take `parameters()`.",
            behaves=lambda trials: all(not _zero(t.seen["penalty"]) for t in named(trials, "buffers_moved"))
            and all(_zero(t.seen["penalty"]) for t in named(trials, "head_moved")) and bool(ran(trials)),
        ),
        Mistake(
            "head_included", head_included,
            "The head is counted. It is new, its first weights are random, and to stay near them is no use: measure "
            "the encoder alone.",
            behaves=lambda trials: all(not _zero(t.seen["penalty"]) for t in named(trials, "head_moved"))
            and _value_is(trials, lambda v: v),
        ),
        Mistake(
            "head_towards_zero", head_towards_zero,
            "The encoder is measured rightly, but a weight decay of the head is added. The paper does so with a "
            "weight of its own; here the head is left out.",
        ),
        Mistake(
            "norm_not_squared", norm_not_squared,
            "You take the root: this is the distance, not its square. The root has no gradient at the start, where it "
            "gives NaN.",
            behaves=lambda trials: _value_is(trials, math.sqrt),
        ),
        Mistake(
            "sum_of_norms", sum_of_norms,
            "You add up the norms of the layers. Square every difference and add the squares; no root is taken.",
        ),
        Mistake(
            "halved", halved,
            "Your penalty is half of what is asked for. Here the weight is left to lambda: no factor in front.",
            behaves=lambda trials: _value_is(trials, lambda v: 0.5 * v),
        ),
        Mistake(
            "mean_for_sum", mean_for_sum,
            "You average the squares of each layer, so a weight of a large layer counts less than one of a small "
            "layer. Add them all up.",
        ),
        Mistake(
            "mean_of_everything", mean_of_everything,
            "You average over all weights: the larger the network, the weaker the pull on each. Add the squares up.",
        ),
        Mistake(
            "absolute_differences", absolute_differences,
            "You add absolute differences. Square them: the pull shall grow with the distance.",
        ),
        Mistake(
            "square_of_the_sum", square_of_the_sum,
            "You add the differences first, where plus and minus cancel, and square afterwards. Square each one first.",
        ),
        Mistake(
            "biases_left_out", biases_left_out,
            "Only matrices and filters are counted. Biases and the weights of the normalization were pretrained too: "
            "every parameter of the encoder counts.",
        ),
        Mistake(
            "the_number_at_once", the_number_at_once,
            "What comes back is no function. A number measured at once says nothing, for nothing has moved yet: "
            "return a function that measures whenever it is called.",
            behaves=lambda trials: failed_with(trials, "not callable"),
        ),
    ),
    alternatives=(by_names, as_one_vector, norms_squared),
)  # fmt: skip


# --- joint_loss -----------------------------------------------------------------------------------------------------


def _reference_joint(model, batch, old_batch, lam):
    images, labels = batch
    old_images, old_labels = old_batch
    task = F.cross_entropy(model.head(model.encoder(images)), labels)
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_images)), old_labels)
    return task + lam * pretraining


def both_at_once(model, batch, old_batch, lam):
    features = model.encoder(torch.cat([batch[0], old_batch[0]]))
    new, old = features[: len(batch[0])], features[len(batch[0]) :]
    return F.cross_entropy(model.head(new), batch[1]) + lam * F.cross_entropy(model.old_head(old), old_batch[1])


def by_log_probabilities(model, batch, old_batch, lam):
    total = 0
    for head, (images, labels), weight in ((model.head, batch, 1.0), (model.old_head, old_batch, lam)):
        logs = head(model.encoder(images)).log_softmax(dim=1)
        total = total - weight * logs[torch.arange(len(labels)), labels].mean()
    return total


def lambda_on_the_task(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1])
    return lam * task + pretraining


def convex_mix(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1])
    return (1 - lam) * task + lam * pretraining


def lambda_forgotten(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1])
    return task + pretraining


def lambda_on_both(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1])
    return lam * (task + pretraining)


def pretraining_left_out(model, batch, old_batch, lam):
    return F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])


def pretraining_detached(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1])
    return task + lam * pretraining.detach()


def old_features_detached(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    with torch.no_grad():
        features = model.encoder(old_batch[0])
    return task + lam * F.cross_entropy(model.old_head(features), old_batch[1])


def task_features_detached(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0]).detach()), batch[1])
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1])
    return task + lam * pretraining


def old_head_frozen(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    logits = F.linear(model.encoder(old_batch[0]), model.old_head.weight.detach(), model.old_head.bias.detach())
    return task + lam * F.cross_entropy(logits, old_batch[1])


def one_head_for_both(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    pretraining = F.cross_entropy(model.head(model.encoder(old_batch[0])), old_batch[1])
    return task + lam * pretraining


def heads_exchanged(model, batch, old_batch, lam):
    task = F.cross_entropy(model.old_head(model.encoder(batch[0])), batch[1])
    pretraining = F.cross_entropy(model.head(model.encoder(old_batch[0])), old_batch[1])
    return task + lam * pretraining


def new_images_twice(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    pretraining = F.cross_entropy(model.old_head(model.encoder(batch[0])), old_batch[1])
    return task + lam * pretraining


def sums_over_batches(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1], reduction="sum")
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1], reduction="sum")
    return task + lam * pretraining


def mean_over_both_batches(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1], reduction="sum")
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1], reduction="sum")
    return (task + lam * pretraining) / (len(batch[1]) + len(old_batch[1]))


def softmax_twice(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])).softmax(dim=1), batch[1])
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_batch[0])).softmax(dim=1), old_batch[1])
    return task + lam * pretraining


def backward_inside(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    task.backward()
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1])
    (lam * pretraining).backward()
    return task.detach() + lam * pretraining.detach()


def losses_as_numbers(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1])
    return task.item() + lam * pretraining.item()


def both_losses(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1])
    return task, lam * pretraining


_WITH_WEIGHT = (
    "plain", "unequal_batches", "other_number_of_classes", "heavy", "transposed", "one_image_each", "float64",
)  # fmt: skip


def _same_parts(seen: Values, expected: Values, *parts: str) -> bool:
    return all(close(seen[f"{part}_gradient"], expected[f"{part}_gradient"]) for part in parts)


def _no_gradient(seen: Values, part: str) -> bool:
    return bool((seen[f"{part}_gradient"] == 0).all())


def _right_loss(trial: Trial) -> bool:
    return close(trial.seen["loss"], trial.expected["loss"])


def _weighed(trials: Sequence[Trial]) -> list[Trial]:
    return named(trials, *_WITH_WEIGHT)


def _ratio(trial: Trial, part: str) -> float:
    """How many times as large a part's gradient is as it should be; NaN when it points elsewhere."""
    seen, expected = trial.seen[f"{part}_gradient"], trial.expected[f"{part}_gradient"]
    factor = float(seen @ expected) / float(expected @ expected)
    return factor if close(seen, factor * expected) else math.nan


def _ratios(trials: Sequence[Trial], head: Callable[[float], float], old: Callable[[float], float]) -> bool:
    """Whether both heads' gradients are off by these functions of lambda, in every case with both terms."""
    return bool(_weighed(trials)) and all(
        math.isclose(_ratio(t, "head"), head(t.case.inputs["lam"]), rel_tol=1e-3, abs_tol=1e-6)
        and math.isclose(_ratio(t, "old_head"), old(t.case.inputs["lam"]), rel_tol=1e-3, abs_tol=1e-6)
        for t in _weighed(trials)
    )


joint_loss = Judge(
    reference=_reference_joint,
    criteria=(
        Criterion(
            "value", 1, "the task's cross-entropy, plus lambda times that of the old task",
            lambda c, s, e: close(s["loss"], e["loss"]), _WITH_WEIGHT,
        ),
        Criterion(
            "task_counts_in_full", 1, "whatever lambda is, the new task counts in full",
            lambda c, s, e: _same_parts(s, e, "head") and (c.inputs["lam"] or close(s["loss"], e["loss"])),
            (*_WITH_WEIGHT, "nothing_of_the_old", "equal_weights"),
        ),
        Criterion(
            "both_teach_the_encoder", 1, "gradients of both terms reach the encoder",
            lambda c, s, e: _same_parts(s, e, "encoder"),
        ),
        Criterion(
            "own_heads", 1, "each task learns its own head, and nothing happens before backward is called",
            lambda c, s, e: _same_parts(s, e, "old_head") and bool((s["gradient_before_backward"] == 0).all())
            and s["weights_require_grad_after"] == e["weights_require_grad_after"],
        ),
    ),
    mistakes=(
        Mistake(
            "backward_inside", backward_inside,
            "Gradients are there before anybody called `backward()`. Return the sum and let the training loop go "
            "backward, once.",
            behaves=lambda trials: in_any(trials, lambda t: bool((t.seen["gradient_before_backward"] != 0).any()))
            or failed_with(trials, "backward through the graph a second time"),
        ),
        Mistake(
            "both_losses", both_losses,
            "You return two losses. The training loop needs one number: their weighted sum.",
            behaves=lambda trials: in_all(trials, lambda t: isinstance(t.seen["loss"], list)),
        ),
        Mistake(
            "losses_as_numbers", losses_as_numbers,
            "`item()` gives plain numbers, which no gradient flows from. Add the tensors.",
            behaves=lambda trials: in_all(trials, lambda t: isinstance(t.seen["loss"], float)),
        ),
        Mistake(
            "pretraining_left_out", pretraining_left_out,
            "The old task does not count at all. Add its loss, times lambda: it is what holds the features.",
            behaves=lambda trials: _ratios(trials, lambda lam: 1.0, lambda lam: 0.0)
            and not any(_right_loss(t) for t in _weighed(trials)),
        ),
        Mistake(
            "pretraining_detached", pretraining_detached,
            "The number is right, but the old task's loss is cut off the graph: it teaches nobody. Gradients of both "
            "terms must reach the encoder.",
            behaves=lambda trials: bool(_weighed(trials))
            and all(_right_loss(t) and _no_gradient(t.seen, "old_head") and not _no_gradient(t.seen, "head")
                    for t in _weighed(trials)),
        ),
        Mistake(
            "old_features_detached", old_features_detached,
            "The old task teaches its head alone: no gradient of it reaches the encoder, so it holds nothing. Let the "
            "old images through the encoder with gradients.",
            behaves=lambda trials: bool(_weighed(trials))
            and all(_right_loss(t) and _same_parts(t.seen, t.expected, "head", "old_head")
                    and not _same_parts(t.seen, t.expected, "encoder") for t in _weighed(trials)),
        ),
        Mistake(
            "task_features_detached", task_features_detached,
            "The new task teaches its head alone: no gradient of it reaches the encoder. Nothing is detached in a "
            "joint loss.",
        ),
        Mistake(
            "old_head_frozen", old_head_frozen,
            "The old head gets no gradient. When the encoder moves, the old head must follow, or the old loss blames "
            "the encoder for it: let both heads learn.",
            behaves=lambda trials: bool(_weighed(trials))
            and all(_right_loss(t) and _same_parts(t.seen, t.expected, "head", "encoder")
                    and _no_gradient(t.seen, "old_head") for t in _weighed(trials)),
        ),
        Mistake(
            "lambda_on_the_task", lambda_on_the_task,
            "Lambda weighs the wrong term. It says how much the old task counts; the new task counts in full.",
            behaves=lambda trials: _ratios(trials, lambda lam: lam, lambda lam: 1 / lam),
        ),
        Mistake(
            "convex_mix", convex_mix,
            "You mix with weights `1 - lam` and `lam`. With a lambda above 1 the new task would be unlearned: it "
            "counts in full here.",
            behaves=lambda trials: _ratios(trials, lambda lam: 1 - lam, lambda lam: 1.0),
        ),
        Mistake(
            "lambda_forgotten", lambda_forgotten,
            "Both terms count alike, whatever lambda is. Weigh the old one.",
            behaves=lambda trials: _ratios(trials, lambda lam: 1.0, lambda lam: 1 / lam),
        ),
        Mistake(
            "lambda_on_both", lambda_on_both,
            "Lambda weighs the whole sum, which only changes the learning rate. It belongs to the old task alone.",
            behaves=lambda trials: _ratios(trials, lambda lam: lam, lambda lam: 1.0),
        ),
        Mistake(
            "heads_exchanged", heads_exchanged,
            "New images go to the old head and old images to the new one. Each batch has its own head.",
            behaves=lambda trials: failed_with(trials, "Target", "out of bounds")
            and all(t.error for t in trials if t.case.name == "other_number_of_classes")
            and not any(_same_parts(t.seen, t.expected, "head") for t in _weighed(trials)),
        ),
        Mistake(
            "one_head_for_both", one_head_for_both,
            "One head answers both tasks. Class 2 of the old task is not class 2 of the new one: use "
            "`model.old_head` for the old batch.",
            behaves=lambda trials: bool(named(trials, "plain"))
            and all(_no_gradient(t.seen, "old_head") and not _no_gradient(t.seen, "head") and not _right_loss(t)
                    and _ratio(t, "head") != 1.0 for t in named(trials, "plain", "heavy", "float64")),
        ),
        Mistake(
            "new_images_twice", new_images_twice,
            "The old head is asked about the new images. Old labels belong to old images: send `old_batch` through.",
            behaves=lambda trials: any(
                t.error and "batch_size" in t.error.text for t in trials if t.case.name == "unequal_batches"
            ),
        ),
        Mistake(
            "mean_over_both_batches", mean_over_both_batches,
            "You average over both batches together, so the larger one outweighs the other whatever lambda says. "
            "Take the mean of each batch, then weigh.",
        ),
        Mistake(
            "sums_over_batches", sums_over_batches,
            "You add up over the images of a batch. Take means, or the batch sizes would weigh the tasks.",
        ),
        Mistake(
            "softmax_twice", softmax_twice,
            "Cross-entropy takes logits: it has the softmax in it, and yours would be the second.",
        ),
    ),
    alternatives=(both_at_once, by_log_probabilities),
)  # fmt: skip


# --- lp_ft ----------------------------------------------------------------------------------------------------------


def _reference_lp_ft(model, batches, *, head_epochs, head_lr, epochs, lr):
    stages = ((model.head.parameters(), head_epochs, head_lr), (model.parameters(), epochs, lr))
    for stage, (parameters, count, rate) in enumerate(stages):
        model.train()
        model.encoder.train(stage == 1)
        model.encoder.requires_grad_(stage == 1)
        optimizer = torch.optim.Adam(parameters, lr=rate)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def features_at_rest(model, batches, *, head_epochs, head_lr, epochs, lr):
    optimizer = torch.optim.Adam(model.head.parameters(), lr=head_lr)
    model.eval()
    for _ in range(head_epochs):
        for images, labels in batches:
            with torch.no_grad():
                features = model.encoder(images)
            optimizer.zero_grad()
            F.cross_entropy(model.head(features), labels).backward()
            optimizer.step()
    model.train()
    for weight in model.parameters():
        weight.requires_grad = True
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(epochs):
        for images, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
    return model


def features_computed_once(model, batches, *, head_epochs, head_lr, epochs, lr):
    model.encoder.eval()
    with torch.no_grad():
        known = [(model.encoder(images), labels) for images, labels in batches]
    head = torch.optim.Adam(model.head.parameters(), lr=head_lr)
    for _ in range(head_epochs):
        for features, labels in known:
            head.zero_grad()
            F.cross_entropy(model.head(features), labels).backward()
            head.step()
    model.train().requires_grad_(True)
    groups = [{"params": model.encoder.parameters()}, {"params": model.head.parameters()}]
    everything = torch.optim.AdamW(groups, lr=lr, weight_decay=0.0)
    for _ in range(epochs):
        for images, labels in batches:
            everything.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            everything.step()


def head_drawn_again(model, batches, *, head_epochs, head_lr, epochs, lr):
    model.encoder.eval()
    model.encoder.requires_grad_(False)
    optimizer = torch.optim.Adam(model.head.parameters(), lr=head_lr)
    for _ in range(head_epochs):
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.head.reset_parameters()
    model.train()
    model.encoder.requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(epochs):
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def encoder_learns_from_the_start(model, batches, *, head_epochs, head_lr, epochs, lr):
    model.train().requires_grad_(True)
    for count, rate in ((head_epochs, head_lr), (epochs, lr)):
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def statistics_move(model, batches, *, head_epochs, head_lr, epochs, lr):
    model.train()
    model.encoder.requires_grad_(False)
    optimizer = torch.optim.Adam(model.head.parameters(), lr=head_lr)
    for _ in range(head_epochs):
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.encoder.requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(epochs):
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def woken_by_train(model, batches, *, head_epochs, head_lr, epochs, lr):
    model.encoder.eval()
    model.encoder.requires_grad_(False)
    optimizer = torch.optim.Adam(model.head.parameters(), lr=head_lr)
    for _ in range(head_epochs):
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.train()
    model.train().requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(epochs):
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def never_unfrozen(model, batches, *, head_epochs, head_lr, epochs, lr):
    model.train()
    model.encoder.eval()
    model.encoder.requires_grad_(False)
    for count, rate in ((head_epochs, head_lr), (epochs, lr)):
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def optimizer_of_the_head_kept(model, batches, *, head_epochs, head_lr, epochs, lr):
    optimizer = torch.optim.Adam(model.head.parameters(), lr=head_lr)
    for stage, count in enumerate((head_epochs, epochs)):
        model.train()
        model.encoder.train(stage == 1)
        model.encoder.requires_grad_(stage == 1)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def momentum_kept(model, batches, *, head_epochs, head_lr, epochs, lr):
    optimizer = torch.optim.Adam(model.head.parameters(), lr=head_lr)
    for stage, count in enumerate((head_epochs, epochs)):
        model.train()
        model.encoder.train(stage == 1)
        model.encoder.requires_grad_(stage == 1)
        if stage == 1:
            optimizer.add_param_group({"params": model.encoder.parameters()})
            for group in optimizer.param_groups:
                group["lr"] = lr
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def head_rate_for_both(model, batches, *, head_epochs, head_lr, epochs, lr):
    for stage, count in enumerate((head_epochs, epochs)):
        model.train()
        model.encoder.train(stage == 1)
        model.encoder.requires_grad_(stage == 1)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=head_lr)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def rates_exchanged(model, batches, *, head_epochs, head_lr, epochs, lr):
    for stage, (count, rate) in enumerate(((head_epochs, lr), (epochs, head_lr))):
        model.train()
        model.encoder.train(stage == 1)
        model.encoder.requires_grad_(stage == 1)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def head_left_behind(model, batches, *, head_epochs, head_lr, epochs, lr):
    stages = ((model.head.parameters(), head_epochs, head_lr), (model.encoder.parameters(), epochs, lr))
    for stage, (parameters, count, rate) in enumerate(stages):
        model.train()
        model.encoder.train(stage == 1)
        model.encoder.requires_grad_(stage == 1)
        model.head.requires_grad_(stage == 0)
        optimizer = torch.optim.Adam(parameters, lr=rate)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def still_at_rest(model, batches, *, head_epochs, head_lr, epochs, lr):
    model.eval()
    for stage, (count, rate) in enumerate(((head_epochs, head_lr), (epochs, lr))):
        model.encoder.requires_grad_(stage == 1)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def everything_then_the_head(model, batches, *, head_epochs, head_lr, epochs, lr):
    for stage, (count, rate) in enumerate(((epochs, lr), (head_epochs, head_lr))):
        model.train()
        model.encoder.train(stage == 0)
        model.encoder.requires_grad_(stage == 0)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def gradients_pile_up(model, batches, *, head_epochs, head_lr, epochs, lr):
    for stage, (count, rate) in enumerate(((head_epochs, head_lr), (epochs, lr))):
        model.train()
        model.encoder.train(stage == 1)
        model.encoder.requires_grad_(stage == 1)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
        for _ in range(count):
            for images, labels in batches:
                F.cross_entropy(model(images), labels).backward()
                optimizer.step()


def one_pass_each(model, batches, *, head_epochs, head_lr, epochs, lr):
    for stage, rate in enumerate((head_lr, lr)):
        model.train()
        model.encoder.train(stage == 1)
        model.encoder.requires_grad_(stage == 1)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def plain_descent(model, batches, *, head_epochs, head_lr, epochs, lr):
    for stage, (count, rate) in enumerate(((head_epochs, head_lr), (epochs, lr))):
        model.train()
        model.encoder.train(stage == 1)
        model.encoder.requires_grad_(stage == 1)
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=rate)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def decay_of_adamw(model, batches, *, head_epochs, head_lr, epochs, lr):
    for stage, (count, rate) in enumerate(((head_epochs, head_lr), (epochs, lr))):
        model.train()
        model.encoder.train(stage == 1)
        model.encoder.requires_grad_(stage == 1)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def first_stage_missing(model, batches, *, head_epochs, head_lr, epochs, lr):
    model.train().requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(epochs):
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def second_stage_missing(model, batches, *, head_epochs, head_lr, epochs, lr):
    model.train()
    model.encoder.eval()
    model.encoder.requires_grad_(False)
    optimizer = torch.optim.Adam(model.head.parameters(), lr=head_lr)
    for _ in range(head_epochs):
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.train().requires_grad_(True)


def epochs_exchanged(model, batches, *, head_epochs, head_lr, epochs, lr):
    for stage, (count, rate) in enumerate(((epochs, head_lr), (head_epochs, lr))):
        model.train()
        model.encoder.train(stage == 1)
        model.encoder.requires_grad_(stage == 1)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def _kept(trial: Trial, part: str, one: str, other: str) -> bool:
    return close(trial.seen[f"{part}_{one}"], trial.seen[f"{part}_{other}"], rtol=1e-9, atol=1e-9)


def _jumps(case: Case, seen: Values) -> bool:
    """Whether the head is, at the switch, farther from where it was a batch earlier than a step of Adam can take it."""
    step = (seen["head_at_the_switch"] - seen["head_one_batch_earlier"]).abs().max()
    return float(step) > 4 * case.inputs["head_lr"]


def _batches(trial: Trial) -> int:
    return math.ceil(len(trial.case.inputs["labels"]) / trial.case.inputs["batch_size"])


def _encoder_never_moved(trials: Sequence[Trial]) -> bool:
    return in_all(
        trials,
        lambda t: (
            _kept(t, "encoder", "before", "at_the_switch")
            and _kept(t, "encoder", "before", "after")
            and not _kept(t, "head", "before", "after")
        ),
    )


lp_ft = Judge(
    reference=_reference_lp_ft,
    criteria=(
        Criterion(
            "weights_still", 1, "while the head learns, the encoder's weights stay as they are",
            lambda c, s, e: close(s["encoder_at_the_switch"], s["encoder_before"], rtol=1e-9, atol=1e-9)
            and not close(s["head_at_the_switch"], s["head_before"]),
        ),
        Criterion(
            "statistics_still", 1, "so do the running statistics of its batch normalization",
            lambda c, s, e: close(s["statistics_at_the_switch"], s["statistics_before"], rtol=1e-9, atol=1e-9)
            and not close(s["head_at_the_switch"], s["head_before"]),
        ),
        Criterion(
            "head_kept", 1, "the second stage begins with the head that the first has taught",
            lambda c, s, e: close(s["head_at_the_switch"], e["head_at_the_switch"], rtol=1e-3, atol=1e-4)
            or (not close(s["head_at_the_switch"], s["head_before"]) and not _jumps(c, s)),
        ),
        Criterion(
            "everything_learns", 1, "in the second stage encoder, statistics and head all change",
            lambda c, s, e: all(
                not close(s[f"{part}_after"], s[f"{part}_at_the_switch"], rtol=1e-9, atol=1e-9)
                for part in ("encoder", "statistics", "head")
            ),
        ),
        Criterion(
            "rates", 1, "each stage runs its own number of epochs with Adam at its own rate",
            lambda c, s, e: all(
                close(s[f"{part}_after"], e[f"{part}_after"], rtol=1e-3, atol=1e-4) for part in ("encoder", "head")
            ),
        ),
    ),
    mistakes=(
        Mistake(
            "second_stage_missing", second_stage_missing,
            "This is a linear probe: the head learns, and then nothing more happens. Go on with everything, from that "
            "head.",
            behaves=lambda trials: in_all(
                trials, lambda t: t.seen["batches_fetched"] == t.case.inputs["head_epochs"] * _batches(t)
                and _kept(t, "encoder", "before", "after") and not _kept(t, "head", "before", "after")
            ),
        ),
        Mistake(
            "first_stage_missing", first_stage_missing,
            "This is plain fine-tuning: nothing is learned before the encoder moves. First train the head alone.",
            behaves=lambda trials: in_all(
                trials, lambda t: t.seen["batches_fetched"] == t.case.inputs["epochs"] * _batches(t)
                and not _kept(t, "encoder", "before", "after")
            ),
        ),
        Mistake(
            "one_pass_each", one_pass_each,
            "Each stage goes through the batches once. It shall do so `head_epochs` times, and then `epochs` times.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["batches_fetched"] == 2 * _batches(t)),
        ),
        Mistake(
            "everything_then_the_head", everything_then_the_head,
            "The stages are in the wrong order: by the time the head learns alone, the encoder has moved. The head "
            "comes first.",
            behaves=lambda trials: in_all(
                trials, lambda t: not _kept(t, "encoder", "before", "at_the_switch")
                and t.case.inputs["head_epochs"] >= t.case.inputs["epochs"]
                and _kept(t, "encoder", "at_the_switch", "after")
            ),
        ),
        Mistake(
            "encoder_learns_from_the_start", encoder_learns_from_the_start,
            "The encoder's weights move in the first stage, drawn by a head that is still random. Give the optimizer "
            "of that stage the head alone.",
            behaves=lambda trials: in_any(trials, lambda t: not _kept(t, "encoder", "before", "at_the_switch")),
        ),
        Mistake(
            "never_unfrozen", never_unfrozen,
            "The encoder never moves, and at the end it is still frozen. Switch `requires_grad` on again before the "
            "second optimizer is made.",
            behaves=lambda trials: _encoder_never_moved(trials)
            and in_any(trials, lambda t: 0 in t.seen["weights_require_grad_after"]),
        ),
        Mistake(
            "optimizer_of_the_head_kept", optimizer_of_the_head_kept,
            "The encoder is open in the second stage, but it never moves: the optimizer still holds the head alone. "
            "Make a new one, of all parameters.",
            behaves=_encoder_never_moved,
        ),
        Mistake(
            "woken_by_train", woken_by_train,
            "The first epoch leaves the running statistics alone, later ones do not: `model.train()` wakes the whole "
            "network, the encoder too. Put the encoder to rest after it, every time.",
            behaves=lambda trials: in_all(
                trials, lambda t: _kept(t, "statistics", "before", "at_the_switch")
                == (t.case.inputs["head_epochs"] == 1)
            ),
        ),
        Mistake(
            "statistics_move", statistics_move,
            "The encoder's weights stay, but its batch normalization goes on following the batches: those statistics "
            "are no parameters. Put the encoder into eval mode while the head learns.",
            behaves=lambda trials: in_any(trials, lambda t: not _kept(t, "statistics", "before", "at_the_switch")),
        ),
        Mistake(
            "head_left_behind", head_left_behind,
            "In the second stage only the encoder moves. Everything learns then, the head too.",
            behaves=lambda trials: in_all(
                trials, lambda t: _kept(t, "head", "at_the_switch", "after")
                and not _kept(t, "encoder", "at_the_switch", "after")
            ),
        ),
        Mistake(
            "still_at_rest", still_at_rest,
            "The second stage runs in eval mode, so the running statistics stay those of the source. Call "
            "`model.train()` before it.",
            behaves=lambda trials: in_all(
                trials, lambda t: _kept(t, "statistics", "at_the_switch", "after")
                and not _kept(t, "encoder", "at_the_switch", "after")
            ),
        ),
        Mistake(
            "momentum_kept", momentum_kept,
            "The second stage goes on with the first one's optimizer, whose moments of the head come from another "
            "stage. Make a new Adam.",
        ),
        Mistake(
            "head_rate_for_both", head_rate_for_both,
            "The second stage runs at the head's rate, which is far too high for pretrained weights. Use `lr` there.",
        ),
        Mistake(
            "rates_exchanged", rates_exchanged,
            "The two rates have changed places: `head_lr` is for the head alone, `lr` for everything.",
        ),
        Mistake(
            "epochs_exchanged", epochs_exchanged,
            "The two numbers of epochs have changed places: `head_epochs` is how long the head learns alone.",
        ),
        Mistake(
            "gradients_pile_up", gradients_pile_up,
            "Gradients of earlier batches are still there at every step. Clear them with `zero_grad()` first.",
        ),
        Mistake(
            "plain_descent", plain_descent,
            "The steps are those of plain gradient descent. Use Adam, for which the rates are meant.",
        ),
        Mistake(
            "decay_of_adamw", decay_of_adamw,
            "Weights are drawn a little towards zero: AdamW has a weight decay unless told otherwise. Use Adam, or set "
            "`weight_decay=0`.",
        ),
        Mistake(
            "head_drawn_again", head_drawn_again,
            "Between the stages the head jumps: it is drawn anew, and what the first stage has taught it is lost. Go "
            "on with the head that you have.",
            behaves=lambda trials: in_all(
                trials, lambda t: not _kept(t, "head", "before", "at_the_switch") and _jumps(t.case, t.seen)
            ),
        ),
    ),
    alternatives=(features_at_rest, features_computed_once),
)  # fmt: skip


# --- EarlyStopping --------------------------------------------------------------------------------------------------


class _Reference:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        value = self.sign * value
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value, self.waited = value, 0
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


class ByHistory:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta, self.mode = patience, min_delta, mode
        self.best, self.best_at, self.count = math.inf if mode == "min" else -math.inf, 0, 0
        self.state: tuple[list, list] = [], []

    def update(self, value, model):
        self.count += 1
        better = value > self.best + self.min_delta if self.mode == "max" else value < self.best - self.min_delta
        if better:
            self.best, self.best_at = value, self.count
            weights = [weight.detach().clone() for weight in model.parameters()]
            self.state = weights, [buffer.detach().clone() for buffer in model.buffers()]
        return self.count - self.best_at >= self.patience

    def restore(self, model):
        with torch.no_grad():
            for targets, kept in zip((model.parameters(), model.buffers()), self.state):
                for target, value in zip(targets, kept):
                    target.copy_(value)


class ByNumpy:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.left = self.patience = patience
        self.better = (lambda new, old: new - old > min_delta) if mode == "max" else (lambda n, o: o - n > min_delta)
        self.best: tuple = ()

    def update(self, value, model):
        if not self.best or self.better(value, self.best[0]):
            self.best = value, {k: torch.from_numpy(v.cpu().numpy().copy()) for k, v in model.state_dict().items()}
            self.left = self.patience
        else:
            self.left -= 1
        return self.left == 0

    def restore(self, model):
        model.load_state_dict(self.best[1])
        return model


class BestIsAlive:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        value = self.sign * value
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value, self.waited = value, 0
            self.best_state = model.state_dict()
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


class RestoresNothing:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        value = self.sign * value
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value, self.waited = value, 0
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        return self.best_state


class ParametersOnly:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.best_weights, self.waited = None, [], 0

    def update(self, value, model):
        value = self.sign * value
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value, self.waited = value, 0
            self.best_weights = [weight.detach().clone() for weight in model.parameters()]
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        with torch.no_grad():
            for weight, best in zip(model.parameters(), self.best_weights):
                weight.copy_(best)


class KeepsTheLast:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.state, self.waited = None, None, 0

    def update(self, value, model):
        value = self.sign * value
        self.state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value, self.waited = value, 0
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.state)


class KeepsTheFirst:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.state, self.waited = None, None, 0

    def update(self, value, model):
        value = self.sign * value
        if self.state is None:
            self.state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value, self.waited = value, 0
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.state)


class PatienceNeverReset:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        value = self.sign * value
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value = value
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


class StopsAtOnce:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.min_delta = min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.best_state = None, None

    def update(self, value, model):
        value = self.sign * value
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value = value
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            return False
        return True

    def restore(self, model):
        model.load_state_dict(self.best_state)


class OneTooMany:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        value = self.sign * value
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value, self.waited = value, 0
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        return self.waited > self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


class NeverStops:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        value = self.sign * value
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value, self.waited = value, 0
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        self.stopped = self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


class EqualCounts:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        value = self.sign * value
        if self.best_value is None or value >= self.best_value + self.min_delta:
            self.best_value, self.waited = value, 0
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


class ComparedWithTheLast:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.last_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        value = self.sign * value
        if self.last_value is None or value > self.last_value + self.min_delta:
            self.waited = 0
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        self.last_value = value
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


class ModeIgnored:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.best_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value, self.waited = value, 0
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


class AlwaysALoss:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.best_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        if self.best_value is None or value < self.best_value - self.min_delta:
            self.best_value, self.waited = value, 0
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


class DeltaForgotten:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience = patience
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        value = self.sign * value
        if self.best_value is None or value > self.best_value:
            self.best_value, self.waited = value, 0
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


class DeltaTheWrongWay:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta, self.mode = patience, min_delta, mode
        self.best_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        if self.mode == "max":
            better = self.best_value is None or value > self.best_value - self.min_delta
        else:
            better = self.best_value is None or value < self.best_value + self.min_delta
        if better:
            self.best_value, self.waited = value, 0
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


class BestCreepsAlong:
    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.best_state, self.waited = None, None, 0

    def update(self, value, model):
        value = self.sign * value
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.waited = 0
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        self.best_value = value if self.best_value is None else max(value, self.best_value)
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


_OF_ACCURACY = (
    "rises_and_falls", "recovers_in_time", "patience_of_one", "plateau", "recovers_below_the_best", "never_stops",
    "below_zero", "best_at_zero",
)  # fmt: skip
_WITH_DELTA = ("small_gains", "small_gains_are_none", "small_losses")
_OF_LOSS = ("a_loss", "a_loss_with_min_delta")
_RESTORED = ("weights_restored", "norm_weights_restored", "statistics_restored", "batches_counted_restored")


def _in_time(case: Case, seen: Values, expected: Values) -> bool:
    return seen["validations"] == expected["validations"]


def _best_back(case: Case, seen: Values, expected: Values) -> bool:
    return all(close(seen[key], expected[key]) for key in _RESTORED[:2])


def _timely(trials: Sequence[Trial]) -> bool:
    return in_all(trials, lambda t: _in_time(t.case, t.seen, t.expected))


def _restored_is(trial: Trial, number: float) -> bool:
    return all(bool((trial.seen[key] == number).all()) for key in _RESTORED[:2])


early_stopping = Judge(
    reference=_Reference,
    criteria=(
        Criterion(
            "stops_in_time", 1, "it stops after `patience` validations in a row without a new best, and not before",
            _in_time, _OF_ACCURACY,
        ),
        Criterion(
            "best_weights", 1, "`restore` puts the weights of the best validation back, copied when they were best",
            _best_back, _OF_ACCURACY,
        ),
        Criterion(
            "buffers", 1, "and with them the running statistics of that moment",
            lambda c, s, e: all(close(s[key], e[key]) for key in _RESTORED[2:]), _OF_ACCURACY,
        ),
        Criterion(
            "min_delta", 1, "a gain counts when it is larger than `min_delta`, measured from the best",
            lambda c, s, e: _in_time(c, s, e) and _best_back(c, s, e), _WITH_DELTA,
        ),
        Criterion(
            "a_loss", 1, "with `mode='min'` lower is better",
            lambda c, s, e: _in_time(c, s, e) and _best_back(c, s, e), _OF_LOSS,
        ),
    ),
    mistakes=(
        Mistake(
            "best_is_alive", BestIsAlive,
            "After `restore` the network is as training left it: `state_dict()` shows the live weights, and so does a "
            "copy of the dictionary, so your best has changed along with them. Copy every tensor.",
            behaves=lambda trials: in_all(
                trials, lambda t: _restored_is(t, 99) and bool((t.seen["weights_given_to_another"] == 99).all())
            ),
        ),
        Mistake(
            "restores_nothing", RestoresNothing,
            "After `restore` the network is as training left it: nothing is loaded into the model that is given. "
            "Returning the best state does not put it back.",
            behaves=lambda trials: in_all(
                trials, lambda t: _restored_is(t, 99) and bool((t.seen["weights_given_to_another"] == 55).all())
            ),
        ),
        Mistake(
            "parameters_only", ParametersOnly,
            "The weights come back, the running statistics do not: they are buffers, and a network whose statistics "
            "belong to another moment answers otherwise. A state dict has both.",
            behaves=lambda trials: in_all(trials, lambda t: _best_back(t.case, t.seen, t.expected)
                                           and not close(t.seen["statistics_restored"],
                                                         t.expected["statistics_restored"])),
        ),
        Mistake(
            "keeps_the_last", KeepsTheLast,
            "What comes back are the weights of the last validation. Keep a copy only when the value is a new best.",
            behaves=lambda trials: _timely(trials)
            and in_all(trials, lambda t: _restored_is(t, t.seen["validations"])),
        ),
        Mistake(
            "keeps_the_first", KeepsTheFirst,
            "What comes back are the weights of the first validation. Replace the copy whenever there is a new best.",
            behaves=lambda trials: _timely(trials) and in_all(trials, lambda t: _restored_is(t, 1)),
        ),
        Mistake(
            "never_stops", NeverStops,
            "`update` never says stop. Return True once `patience` validations have brought nothing new.",
            behaves=lambda trials: in_all(
                trials, lambda t: t.seen["validations"] == len(t.case.inputs["values"])
            ),
        ),
        Mistake(
            "stops_at_once", StopsAtOnce,
            "It stops at the first value that is no better. Accuracies of small validation sets jump: wait for "
            "`patience` of them.",
            behaves=lambda trials: bool(named(trials, "rises_and_falls"))
            and all(t.seen["validations"] == 4 for t in named(trials, "rises_and_falls"))
            and all(t.seen["validations"] == 3 for t in named(trials, "plateau")),
        ),
        Mistake(
            "one_too_many", OneTooMany,
            "It stops one validation too late. With a patience of one, the first value that brings nothing is enough.",
            behaves=lambda trials: in_any(trials, lambda t: t.case.name == "patience_of_one"
                                        and t.seen["validations"] == 5)
            and all(t.seen["validations"] == t.expected["validations"] + 1
                    for t in named(trials, "rises_and_falls", "a_loss")),
        ),
        Mistake(
            "patience_never_reset", PatienceNeverReset,
            "Bad validations are counted over the whole training. After a new best the count starts at zero again.",
        ),
        Mistake(
            "equal_counts", EqualCounts,
            "A value that only equals the best counts as a new best, so a plateau never ends and later weights "
            "replace earlier ones. Ask for more than the best.",
            behaves=lambda trials: all(t.seen["validations"] == 7 for t in named(trials, "plateau"))
            and all(_in_time(t.case, t.seen, t.expected) for t in named(trials, "rises_and_falls", "a_loss"))
            and bool(named(trials, "plateau")),
        ),
        Mistake(
            "compared_with_the_last", ComparedWithTheLast,
            "Each value is compared with the one before, so a small recovery after a fall counts as progress. Compare "
            "with the best so far.",
            behaves=lambda trials: bool(named(trials, "recovers_below_the_best"))
            and all(t.seen["validations"] > t.expected["validations"]
                    for t in named(trials, "recovers_below_the_best"))
            and all(_in_time(t.case, t.seen, t.expected) for t in named(trials, "plateau")),
        ),
        Mistake(
            "mode_ignored", ModeIgnored,
            "A loss is better when it is lower, but higher is taken for better whatever `mode` says. Mind "
            "`mode='min'`.",
            behaves=lambda trials: all(_in_time(t.case, t.seen, t.expected) and _best_back(t.case, t.seen, t.expected)
                                       for t in named(trials, *_OF_ACCURACY))
            and all(_restored_is(t, 1) for t in named(trials, "a_loss_with_min_delta"))
            and len(named(trials, *_OF_LOSS)) == 2,
        ),
        Mistake(
            "always_a_loss", AlwaysALoss,
            "Lower is taken for better whatever `mode` says. An accuracy, `mode='max'`, is better when it is higher.",
            behaves=lambda trials: all(_in_time(t.case, t.seen, t.expected) and _best_back(t.case, t.seen, t.expected)
                                       for t in named(trials, *_OF_LOSS)) and len(named(trials, *_OF_LOSS)) == 2
            and not any(_in_time(t.case, t.seen, t.expected) and _best_back(t.case, t.seen, t.expected)
                        for t in named(trials, *_WITH_DELTA)),
        ),
        Mistake(
            "delta_the_wrong_way", DeltaTheWrongWay,
            "With your sign of `min_delta` a value may even be worse and count as a new best. A gain must exceed it.",
            behaves=lambda trials: bool(named(trials, "small_losses"))
            and all(t.seen["validations"] == 5 for t in named(trials, "small_losses")),
        ),
        Mistake(
            "delta_forgotten", DeltaForgotten,
            "Every gain counts, however small. One of `min_delta` or less is no new best.",
            behaves=lambda trials: all(_in_time(t.case, t.seen, t.expected) and _best_back(t.case, t.seen, t.expected)
                                       for t in named(trials, *_OF_ACCURACY))
            and all(t.seen["validations"] == 6 for t in named(trials, "small_gains_are_none")) and bool(ran(trials)),
        ),
        Mistake(
            "best_creeps_along", BestCreepsAlong,
            "The best value is replaced by gains that do not count, so many small ones never add up to one that does. "
            "Move value and weights together.",
        ),
    ),
    alternatives=(ByHistory, ByNumpy),
)  # fmt: skip

JUDGES = {
    "l2_sp_penalty": l2_sp_penalty,
    "joint_loss": joint_loss,
    "lp_ft": lp_ft,
    "EarlyStopping": early_stopping,
}
