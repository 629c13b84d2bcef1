"""Unit 07, second notebook, consistency: references, criteria with points, known mistakes, other right answers.

Mistakes and alternatives use only torch, F, nn and math, because a demo submission is made of their source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Criterion, Judge, Mistake, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any, named, ran


def _all_named(trials: Sequence[Trial], predicate: Callable[[Trial], bool], *names: str) -> bool:
    found = named(trials, *names)
    return bool(found) and all(predicate(t) for t in found)


# --- ramp_up --------------------------------------------------------------------------------------------------------


def _reference_ramp(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return float(maximum)
    if step == 0:
        return 0.0
    return maximum * math.exp(-5.0 * (1.0 - min(step / ramp_steps, 1.0)) ** 2)


def ramp_by_cases(step, ramp_steps, *, maximum=1.0):
    if step >= ramp_steps:
        return maximum
    return 0.0 if step == 0 else maximum * math.exp(-5 * ((ramp_steps - step) / ramp_steps) ** 2)


def ramp_by_torch(step, ramp_steps, *, maximum=1.0):
    left = 0.0 if ramp_steps == 0 else max(1 - step / ramp_steps, 0.0)
    return 0.0 if left == 1 else (maximum * torch.tensor(-5 * left**2, dtype=torch.float64).exp()).item()


def not_clipped(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return maximum
    return 0.0 if step == 0 else maximum * math.exp(-5 * (1 - step / ramp_steps) ** 2)


def step_for_share(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return maximum
    return 0.0 if step == 0 else maximum * math.exp(-5 * (1 - min(step, 1)) ** 2)


def whole_number_division(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return maximum
    return 0.0 if step == 0 else maximum * math.exp(-5 * (1 - min(step // ramp_steps, 1)) ** 2)


def sign_lost(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return maximum
    return 0.0 if step == 0 else maximum * math.exp(5 * (1 - min(step / ramp_steps, 1)) ** 2)


def ramps_down(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return maximum
    return maximum * math.exp(-5 * min(step / ramp_steps, 1) ** 2)


def not_zero_at_first(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return maximum
    return maximum * math.exp(-5 * (1 - min(step / ramp_steps, 1)) ** 2)


def maximum_left_out(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return 1.0
    return 0.0 if step == 0 else math.exp(-5 * (1 - min(step / ramp_steps, 1)) ** 2)


def straight_line(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return maximum
    return maximum * min(step / ramp_steps, 1)


def square_left_out(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return maximum
    return 0.0 if step == 0 else maximum * math.exp(-5 * (1 - min(step / ramp_steps, 1)))


def divided_by_no_steps(step, ramp_steps, *, maximum=1.0):
    share = min(step / ramp_steps, 1)
    return 0.0 if step == 0 else maximum * math.exp(-5 * (1 - share) ** 2)


def zero_without_a_ramp(step, ramp_steps, *, maximum=1.0):
    if step == 0 or ramp_steps == 0:
        return 0.0
    return maximum * math.exp(-5 * (1 - min(step / ramp_steps, 1)) ** 2)


def zero_wins_over_no_ramp(step, ramp_steps, *, maximum=1.0):
    if step == 0:
        return 0.0
    return maximum if step >= ramp_steps else maximum * math.exp(-5 * (1 - step / ramp_steps) ** 2)


def another_curve(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return maximum
    return maximum * (1 - math.cos(math.pi * min(step / ramp_steps, 1))) / 2


def weight_as_a_tensor(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return torch.tensor(float(maximum))
    if step == 0:
        return torch.tensor(0.0)
    return maximum * torch.exp(torch.tensor(-5.0 * (1 - min(step / ramp_steps, 1)) ** 2))


def _weight(trial: Trial) -> float:
    """The weight as a number, a tensor with a single one included; NaN for anything else."""
    value = trial.seen.get("weight")
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def _weighs(trial: Trial, value: float) -> bool:
    return math.isclose(_weight(trial), value, rel_tol=1e-4, abs_tol=1e-6)


def _ramp_right(case: Case, seen: Values, expected: Values) -> bool:
    value = seen["weight"]
    return isinstance(value, (int, float)) and math.isclose(value, expected["weight"], rel_tol=1e-5, abs_tol=1e-7)


_ON_THE_WAY = ("first_step", "early", "half_way", "late")


def _on_the_way(trials: Sequence[Trial], curve: Callable[[float], float]) -> bool:
    """Whether the weights during the ramp follow `curve` of the share t, up to the maximum's factor."""
    return _all_named(
        trials,
        lambda t: _weighs(t, t.case.inputs["maximum"] * curve(t.case.inputs["step"] / t.case.inputs["ramp_steps"])),
        *_ON_THE_WAY,
    )


ramp_up = Judge(
    reference=_reference_ramp,
    criteria=(
        Criterion("begins_at_zero", 1, "the weight is exactly 0 in step 0", _ramp_right, ("begins",)),
        Criterion("curve", 1, "on the way it follows the curve, times the maximum", _ramp_right, _ON_THE_WAY),
        Criterion(
            "stays", 1, "at the end of the ramp it is the maximum, and stays there", _ramp_right,
            ("ends", "a_little_after", "long_after"),
        ),
        Criterion(
            "no_ramp", 1, "without a ramp it is the maximum from step 0", _ramp_right, ("no_ramp", "no_ramp_begins"),
        ),
    ),
    mistakes=(
        Mistake(
            "weight_as_a_tensor", weight_as_a_tensor,
            "The weight is a tensor. Steps are counted in Python: return a plain number, with `math.exp`.",
            behaves=lambda trials: in_all(trials, lambda t: isinstance(t.seen["weight"], Tensor)),
        ),
        Mistake(
            "not_clipped", not_clipped,
            "After the ramp your weight falls back towards 0: the curve is a bell when t goes on beyond 1. The share "
            "of the ramp ends at 1.",
            behaves=lambda trials: _on_the_way(trials, lambda t: math.exp(-5 * (1 - t) ** 2))
            and _all_named(trials, lambda t: not _ramp_right(t.case, t.seen, t.expected), "long_after"),
        ),
        Mistake(
            "whole_number_division", whole_number_division,
            "On the way the weight stands still near 0 and jumps at the end: `//` cuts the share to a whole number. "
            "Divide with `/`.",
            behaves=lambda trials: _on_the_way(trials, lambda t: math.exp(-5)),
        ),
        Mistake(
            "step_for_share", step_for_share,
            "The weight is at its maximum after a single step: t is the number of the step here. It should be the "
            "share of the ramp that is done.",
            behaves=lambda trials: _on_the_way(trials, lambda t: 1.0),
        ),
        Mistake(
            "sign_lost", sign_lost,
            "The weight begins far above the maximum and comes down to it: the exponent is positive. A minus belongs "
            "before the 5.",
            behaves=lambda trials: _all_named(
                trials, lambda t: _weight(t) > 1.01 * t.case.inputs["maximum"], "first_step", "early", "half_way"
            ),
        ),
        Mistake(
            "ramps_down", ramps_down,
            "Your weight begins at its maximum and fades. The distance that is squared is the one to the END of the "
            "ramp.",
            behaves=lambda trials: _all_named(trials, lambda t: _weighs(t, t.case.inputs["maximum"]), "begins")
            and _all_named(trials, lambda t: _weight(t) < 0.5 * t.case.inputs["maximum"], "ends", "late"),
        ),
        Mistake(
            "straight_line", straight_line,
            "You rise along a straight line. That is a ramp too, and used; this one is the Gaussian curve of the "
            "formula above, which stays low for longer.",
            behaves=lambda trials: _on_the_way(trials, lambda t: t),
        ),
        Mistake(
            "square_left_out", square_left_out,
            "Beginning and end are right, the way between is too steep: the distance to the end of the ramp is "
            "squared.",
            behaves=lambda trials: _on_the_way(trials, lambda t: math.exp(-5 * (1 - t))),
        ),
        Mistake(
            "maximum_left_out", maximum_left_out,
            "Your weight ends at 1 whatever `maximum` is. The whole curve is multiplied by it.",
            behaves=lambda trials: _all_named(
                trials, lambda t: _weighs(t, t.expected["weight"] / t.case.inputs["maximum"]), "ends", "late", "early"
            ) and any(t.case.inputs["maximum"] != 1.0 for t in trials),
        ),
        Mistake(
            "not_zero_at_first", not_zero_at_first,
            "In step 0 your weight is {weight:.4f}: the formula never quite reaches 0. Give the first step the exact "
            "0 that is asked for.",
            behaves=lambda trials: next(
                ({"weight": _weight(t)} for t in named(trials, "begins")
                 if _weighs(t, t.case.inputs["maximum"] * math.exp(-5))), False,
            ),
        ),
        Mistake(
            "divided_by_no_steps", divided_by_no_steps,
            "A ramp of 0 steps stops you with a division by zero. It means no ramp at all: the maximum from the "
            "first step on.",
            behaves=lambda trials: any(
                t.error and t.error.type == "ZeroDivisionError" for t in trials if t.case.name.startswith("no_ramp")
            ),
        ),
        Mistake(
            "zero_without_a_ramp", zero_without_a_ramp,
            "Without a ramp your weight stays 0, so the unlabeled images never count. No ramp means the maximum at "
            "once.",
            behaves=lambda trials: _all_named(trials, lambda t: _weighs(t, 0.0), "no_ramp", "no_ramp_begins"),
        ),
        Mistake(
            "zero_wins_over_no_ramp", zero_wins_over_no_ramp,
            "Without a ramp there is no first step that is special: the weight is the maximum in step 0 too. Ask for "
            "the length of the ramp first.",
            behaves=lambda trials: _all_named(trials, lambda t: _weighs(t, 0.0), "no_ramp_begins")
            and _all_named(trials, lambda t: _ramp_right(t.case, t.seen, t.expected), "no_ramp"),
        ),
        Mistake(
            "another_curve", another_curve,
            "Beginning and end are right, but on the way the weight follows another curve. Compute t and the exponent "
            "for a step in the middle by hand and compare.",
            behaves=lambda trials: _all_named(
                trials, lambda t: _ramp_right(t.case, t.seen, t.expected), "begins", "ends", "long_after"
            ) and not any(_ramp_right(t.case, t.seen, t.expected) for t in named(trials, *_ON_THE_WAY)),
        ),
    ),
    alternatives=(ramp_by_cases, ramp_by_torch),
)  # fmt: skip


# --- semi_supervised_loss -------------------------------------------------------------------------------------------


def _reference_semi(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def terms_by_hand(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    log_p = F.log_softmax(unlabeled_logits, dim=1)
    mean = log_p.exp().mean(dim=0)
    terms = {
        "pseudo_label": -log_p.max(dim=1).values.mean(),
        "reconstruction": (x_hat - images).pow(2).mean(),
        "clustering": -(log_p.exp() * log_p).sum(dim=1).mean() + torch.xlogy(mean, mean).sum(),
    }
    loss = -F.log_softmax(logits, dim=1)[torch.arange(len(labels), device=labels.device), labels].mean()
    return loss + weight * terms[term]


def terms_by_distributions(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    loss = F.nll_loss(F.log_softmax(logits, dim=-1), labels)
    if term == "reconstruction":
        return loss + weight * ((x_hat - images) ** 2).sum() / images.numel()
    if term == "pseudo_label":
        guesses = F.one_hot(unlabeled_logits.detach().argmax(dim=1), unlabeled_logits.shape[1])
        return loss + weight * F.cross_entropy(unlabeled_logits, guesses.to(unlabeled_logits.dtype))
    one = torch.distributions.Categorical(logits=unlabeled_logits)
    all_of_them = torch.distributions.Categorical(probs=one.probs.mean(dim=0))
    return loss + weight * (one.entropy().mean() - all_of_them.entropy())


def mixed_instead_of_added(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return (1 - weight) * F.cross_entropy(logits, labels) + weight * unsupervised


def weight_on_the_labels(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return weight * F.cross_entropy(logits, labels) + unsupervised


def weight_ignored(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits, labels) + unsupervised


def weight_on_everything(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return weight * (F.cross_entropy(logits, labels) + unsupervised)


def unlabeled_images_ignored(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    return F.cross_entropy(logits, labels)


def labels_forgotten(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return weight * unsupervised


def softmax_before_cross_entropy(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(p, p.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits.softmax(dim=1), labels) + weight * unsupervised


def soft_pseudo_labels(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, p)
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def pseudo_labels_across_the_batch(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
    if term == "pseudo_label":
        best = torch.zeros_like(unlabeled_logits)
        best[unlabeled_logits.argmax(dim=0), torch.arange(best.shape[1], device=best.device)] = 1
        unsupervised = F.cross_entropy(unlabeled_logits, best)
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def one_mean_for_both(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
    if term == "pseudo_label":
        both, targets = torch.cat([logits, unlabeled_logits]), torch.cat([labels, unlabeled_logits.argmax(dim=1)])
        factor = torch.cat([torch.ones(len(logits)), torch.full((len(unlabeled_logits),), float(weight))])
        return (F.cross_entropy(both, targets, reduction="none") * factor.to(both)).mean()
    if term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def reconstruction_summed(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = (x_hat - images).pow(2).flatten(1).sum(dim=1).mean()
    else:
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def absolute_errors(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.l1_loss(x_hat, images)
    else:
        p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def unsupervised_part_detached(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    with torch.no_grad():
        if term == "pseudo_label":
            unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
        elif term == "reconstruction":
            unsupervised = F.mse_loss(x_hat, images)
        else:
            p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
            unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def entropy_alone(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        unsupervised = -(unlabeled_logits.softmax(dim=1) * unlabeled_logits.log_softmax(dim=1)).sum(dim=1).mean()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def entropies_exchanged(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
        unsupervised = torch.special.entr(p.mean(dim=0)).sum() + (p * log_p).sum(dim=1).mean()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def entropies_added(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
        unsupervised = -(p * log_p).sum(dim=1).mean() + torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def entropy_averaged_over_classes(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p = unlabeled_logits.softmax(dim=1)
        unsupervised = torch.special.entr(p).mean() - torch.special.entr(p.mean(dim=0)).mean()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def log_of_zero(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p = unlabeled_logits.softmax(dim=1)
        mean = p.mean(dim=0)
        unsupervised = -(p * p.log()).sum(dim=1).mean() + (mean * mean.log()).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def log_of_a_mean_of_zero(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
        mean = p.mean(dim=0)
        unsupervised = -(p * log_p).sum(dim=1).mean() + (mean * mean.log()).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def all_terms_at_once(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
    unsupervised = F.cross_entropy(unlabeled_logits, p.argmax(dim=1)) + F.mse_loss(x_hat, images)
    unsupervised = unsupervised - (p * log_p).sum(dim=1).mean()
    unsupervised = unsupervised - torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def _semi_fine(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["loss"], Tensor) and close(seen["loss"], expected["loss"])


_GRADIENTS = ("gradient_logits", "gradient_unlabeled_logits", "gradient_x_hat")


def _semi_gradients_fine(case: Case, seen: Values, expected: Values) -> bool:
    return seen["went_backward"] == "yes" and all(close(seen[key], expected[key], atol=1e-6) for key in _GRADIENTS)


def _arguments(case: Case) -> Values:
    return {key: value for key, value in case.inputs.items() if key != "constant"}


def _as_semi(fn: Callable[..., Tensor], *names: str) -> Callable[[Sequence[Trial]], bool]:
    """A predicate: on the named cases the loss is that of `fn`, which is not the right one."""

    def behaves(trials: Sequence[Trial]) -> bool:
        found = named(trials, *names)
        return bool(found) and all(
            close(t.seen["loss"], fn(**_arguments(t.case))) and not _semi_fine(t.case, t.seen, t.expected)
            for t in found
        )

    return behaves


_PSEUDO, _RECONSTRUCTION = ("pseudo_label", "as_many_of_both"), ("reconstruction", "reconstruction_color")
_CLUSTERING = ("clustering", "clustering_float64")

semi_supervised_loss = Judge(
    reference=_reference_semi,
    criteria=(
        Criterion(
            "labeled_part", 1, "the labeled images count by their cross-entropy, whatever the weight",
            lambda c, s, e: close(s["gradient_logits"], e["gradient_logits"], atol=1e-6)
            and s["went_backward"] == "yes",
        ),
        Criterion(
            "pseudo_label", 1, "pseudo_label: cross-entropy with the network's own best class, times the weight",
            lambda c, s, e: _semi_fine(c, s, e) and _semi_gradients_fine(c, s, e),
            ("pseudo_label", "pseudo_label_weight_0", "one_of_each", "as_many_of_both"),
        ),
        Criterion(
            "reconstruction", 1, "reconstruction: mean squared error over all pixels, times the weight",
            lambda c, s, e: _semi_fine(c, s, e) and _semi_gradients_fine(c, s, e), _RECONSTRUCTION,
        ),
        Criterion(
            "clustering", 1, "clustering: mean entropy of an image, minus the entropy of the mean",
            lambda c, s, e: _semi_fine(c, s, e) and _semi_gradients_fine(c, s, e),
            ("clustering", "clustering_float64", "one_class_everywhere"),
        ),
        Criterion(
            "certain", 1, "clustering with probabilities of exactly 0 and 1 is a finite number, its gradient too",
            lambda c, s, e: _semi_fine(c, s, e) and _semi_gradients_fine(c, s, e), ("certain", "a_class_of_nobody"),
        ),
    ),
    mistakes=(
        Mistake(
            "log_of_zero", log_of_zero,
            "When the network is certain, your clustering term or its gradient is NaN: a probability of 0 meets its "
            "logarithm. `F.log_softmax` gives that logarithm without first making the 0.",
            behaves=lambda trials: _all_named(
                trials, lambda t: isinstance(t.seen["loss"], Tensor)
                and not (t.seen["loss"].isfinite().all() and t.seen["gradient_unlabeled_logits"].isfinite().all()),
                "certain",
            ) and _all_named(trials, lambda t: _semi_fine(t.case, t.seen, t.expected), *_CLUSTERING),
        ),
        Mistake(
            "log_of_a_mean_of_zero", log_of_a_mean_of_zero,
            "When no image is of some class, the mean probability of that class is 0, and 0 times its logarithm is NaN "
            "for a computer. In an entropy it counts as 0: `torch.special.entr` knows that.",
            behaves=lambda trials: _all_named(
                trials, lambda t: isinstance(t.seen["loss"], Tensor) and not t.seen["loss"].isfinite().all(),
                "a_class_of_nobody",
            ) and _all_named(trials, lambda t: _semi_fine(t.case, t.seen, t.expected), "certain", *_CLUSTERING),
        ),
        Mistake(
            "mixed_instead_of_added", mixed_instead_of_added,
            "You mix the two losses, (1 - weight) of one and weight of the other: a weight above 1 then unlearns the "
            "labels. The supervised loss always counts whole.",
            behaves=_as_semi(mixed_instead_of_added, *_PSEUDO),
        ),
        Mistake(
            "weight_on_the_labels", weight_on_the_labels,
            "The weight stands at the supervised loss. It belongs to the part without labels.",
            behaves=_as_semi(weight_on_the_labels, *_PSEUDO),
        ),
        Mistake(
            "weight_on_everything", weight_on_everything,
            "Your weight multiplies the whole sum, so it only changes the step size. Mind the brackets: it belongs to "
            "the unsupervised part alone.",
            behaves=_as_semi(weight_on_everything, *_PSEUDO),
        ),
        Mistake(
            "weight_ignored", weight_ignored,
            "The weight has no effect: even at 0 the unlabeled images count. Multiply the unsupervised part by it.",
            behaves=lambda trials: _as_semi(weight_ignored, *_PSEUDO)(trials)
            or _as_semi(weight_ignored, *_RECONSTRUCTION)(trials),
        ),
        Mistake(
            "unlabeled_images_ignored", unlabeled_images_ignored,
            "Your loss is the same whatever the unlabeled images are. Add the term that is named, times its weight.",
            behaves=_as_semi(unlabeled_images_ignored, *_PSEUDO, *_RECONSTRUCTION, *_CLUSTERING),
        ),
        Mistake(
            "labels_forgotten", labels_forgotten,
            "No gradient reaches the logits of the labeled images. The sum begins with their cross-entropy.",
            behaves=lambda trials: in_all(trials, lambda t: float(t.seen["gradient_logits"].abs().sum()) == 0),
        ),
        Mistake(
            "all_terms_at_once", all_terms_at_once,
            "All three terms are added, whatever `term` says. Only the one that is named counts.",
            behaves=_as_semi(all_terms_at_once, *_PSEUDO, *_RECONSTRUCTION),
        ),
        Mistake(
            "softmax_before_cross_entropy", softmax_before_cross_entropy,
            "`F.cross_entropy` is given probabilities and takes the softmax of a softmax. It wants logits.",
            behaves=lambda trials: _all_named(
                trials, lambda t: close(
                    t.seen["loss"], F.cross_entropy(t.case.inputs["logits"].softmax(dim=1), t.case.inputs["labels"])
                ), "pseudo_label_weight_0",
            ),
        ),
        Mistake(
            "soft_pseudo_labels", soft_pseudo_labels,
            "Your targets are the probabilities themselves, and move along with the network: that is an entropy. A "
            "pseudo-label is one class, the most probable one.",
            behaves=lambda trials: _as_semi(soft_pseudo_labels, *_PSEUDO)(trials),
        ),
        Mistake(
            "pseudo_labels_across_the_batch", pseudo_labels_across_the_batch,
            "The best is sought down the batch: for each class the image that fits it most. Each image needs its best "
            "class, along `dim=1`.",
        ),
        Mistake(
            "one_mean_for_both", one_mean_for_both,
            "Labeled and unlabeled images share one mean: more unlabeled images a batch make the labels count less. "
            "Take two means, then add.",
            behaves=_as_semi(one_mean_for_both, *_PSEUDO),
        ),
        Mistake(
            "reconstruction_summed", reconstruction_summed,
            "You sum the squared errors over pixels, so a weight of 1 means something else for every size of image. "
            "Here the mean over all pixels is asked for.",
            behaves=lambda trials: _all_named(
                trials, lambda t: isinstance(t.seen["loss"], Tensor)
                and float(t.seen["loss"]) > float(t.expected["loss"]) + 1e-3
                and any(
                    close(
                        t.seen["loss"], F.cross_entropy(t.case.inputs["logits"], t.case.inputs["labels"])
                        + t.case.inputs["weight"] * F.mse_loss(t.case.inputs["x_hat"], t.case.inputs["images"]) * count,
                    )
                    for count in (t.case.inputs["images"].numel(), t.case.inputs["images"][0].numel())
                ), *_RECONSTRUCTION,
            ),
        ),
        Mistake(
            "absolute_errors", absolute_errors,
            "Your reconstruction term is the mean absolute error. The squared error is asked for.",
            behaves=_as_semi(absolute_errors, *_RECONSTRUCTION),
        ),
        Mistake(
            "unsupervised_part_detached", unsupervised_part_detached,
            "The sum is right, but no gradient leaves its second part: it is only printed, nothing learns from it. At "
            "most the pseudo-labels may be detached.",
            behaves=lambda trials: _all_named(
                trials, lambda t: _semi_fine(t.case, t.seen, t.expected)
                and float(t.seen["gradient_unlabeled_logits"].abs().sum() + t.seen["gradient_x_hat"].abs().sum()) == 0,
                *_PSEUDO, *_RECONSTRUCTION,
            ),
        ),
        Mistake(
            "entropy_averaged_over_classes", entropy_averaged_over_classes,
            "You divide the entropies by the number of classes. An entropy is a sum over classes; means are taken over "
            "images only.",
            behaves=_as_semi(entropy_averaged_over_classes, *_CLUSTERING),
        ),
        Mistake(
            "entropy_alone", entropy_alone,
            "Your clustering term wants every image in one class, and is happy when all are in the same. Reward that "
            "all classes are used: the entropy of the mean.",
            behaves=_as_semi(entropy_alone, *_CLUSTERING),
        ),
        Mistake(
            "entropies_exchanged", entropies_exchanged,
            "Your clustering term pays for unsure images and for a single class used by all. The signs of the two "
            "entropies are exchanged.",
            behaves=_as_semi(entropies_exchanged, *_CLUSTERING),
        ),
        Mistake(
            "entropies_added", entropies_added,
            "Both entropies are added, so using all classes is punished. The entropy of the mean is subtracted.",
            behaves=_as_semi(entropies_added, *_CLUSTERING),
        ),
    ),
    alternatives=(terms_by_hand, terms_by_distributions),
)  # fmt: skip


# --- fixmatch_loss --------------------------------------------------------------------------------------------------


def _reference_fixmatch(weak_logits, strong_logits, *, threshold):
    with torch.no_grad():
        confidence, guess = weak_logits.softmax(dim=1).max(dim=1)
        mask = (confidence >= threshold).to(strong_logits.dtype)
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()


def sum_over_the_batch_size(weak_logits, strong_logits, *, threshold):
    probabilities = torch.exp(F.log_softmax(weak_logits.detach(), dim=-1))
    guess = probabilities.argmax(dim=-1)
    sure = probabilities.gather(1, guess[:, None])[:, 0] >= threshold
    log_p = F.log_softmax(strong_logits, dim=-1)
    picked = log_p[torch.arange(len(guess), device=guess.device), guess]
    return -torch.where(sure, picked, torch.zeros_like(picked)).sum() / len(guess)


def unsure_ones_ignored(weak_logits, strong_logits, *, threshold):
    confidence, guess = torch.max(weak_logits.detach().softmax(1), 1)
    guess = guess.masked_fill(confidence < threshold, -100)
    return F.cross_entropy(strong_logits, guess, ignore_index=-100, reduction="sum") / strong_logits.shape[0]


def one_hot_targets(weak_logits, strong_logits, *, threshold):
    p = weak_logits.softmax(dim=1).detach()
    targets = F.one_hot(p.argmax(dim=1), p.shape[1]) * (p.amax(dim=1, keepdim=True) >= threshold)
    return -(targets * strong_logits.log_softmax(dim=1)).sum(dim=1).mean()


def mean_of_the_sure(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().softmax(dim=1).max(dim=1)
    mask = confidence >= threshold
    return F.cross_entropy(strong_logits, guess, reduction="none")[mask].mean()


def mean_of_the_sure_or_zero(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().softmax(dim=1).max(dim=1)
    mask = (confidence >= threshold).to(strong_logits.dtype)
    losses = F.cross_entropy(strong_logits, guess, reduction="none")
    return (losses * mask).sum() / mask.sum().clamp(min=1)


def python_zero_when_none(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().softmax(dim=1).max(dim=1)
    mask = confidence >= threshold
    if not mask.any():
        return torch.tensor(0.0)
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()


def strong_teaches_weak(weak_logits, strong_logits, *, threshold):
    confidence, guess = strong_logits.detach().softmax(dim=1).max(dim=1)
    mask = confidence >= threshold
    return (F.cross_entropy(weak_logits, guess, reduction="none") * mask).mean()


def weak_view_trained(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().softmax(dim=1).max(dim=1)
    mask = confidence >= threshold
    return (F.cross_entropy(weak_logits, guess, reduction="none") * mask).mean()


def strong_view_teaches_itself(weak_logits, strong_logits, *, threshold):
    confidence, guess = strong_logits.detach().softmax(dim=1).max(dim=1)
    mask = confidence >= threshold
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()


def confidence_of_the_strong_view(weak_logits, strong_logits, *, threshold):
    guess = weak_logits.detach().argmax(dim=1)
    mask = strong_logits.detach().softmax(dim=1).amax(dim=1) >= threshold
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()


def soft_targets_with_gradient(weak_logits, strong_logits, *, threshold):
    targets = weak_logits.softmax(dim=1)
    mask = targets.amax(dim=1) >= threshold
    return (F.cross_entropy(strong_logits, targets, reduction="none") * mask).mean()


def soft_targets(weak_logits, strong_logits, *, threshold):
    targets = weak_logits.detach().softmax(dim=1)
    mask = targets.amax(dim=1) >= threshold
    return (F.cross_entropy(strong_logits, targets, reduction="none") * mask).mean()


def weighted_by_confidence(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.softmax(dim=1).max(dim=1)
    mask = confidence >= threshold
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask * confidence).mean()


def threshold_on_logits(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().max(dim=1)
    mask = confidence >= threshold
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()


def threshold_on_sigmoids(weak_logits, strong_logits, *, threshold):
    guess = weak_logits.detach().argmax(dim=1)
    mask = weak_logits.detach().sigmoid().amax(dim=1) >= threshold
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()


def unsure_ones_kept(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().softmax(dim=1).max(dim=1)
    mask = confidence < threshold
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()


def strictly_above(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().softmax(dim=1).max(dim=1)
    mask = confidence > threshold
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()


def threshold_left_out(weak_logits, strong_logits, *, threshold):
    return F.cross_entropy(strong_logits, weak_logits.detach().argmax(dim=1))


def softmax_over_the_batch(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().softmax(dim=0).max(dim=1)
    mask = confidence >= threshold
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()


def summed_over_the_batch(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().softmax(dim=1).max(dim=1)
    mask = confidence >= threshold
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).sum()


def probabilities_into_cross_entropy(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().softmax(dim=1).max(dim=1)
    mask = confidence >= threshold
    return (F.cross_entropy(strong_logits.softmax(dim=1), guess, reduction="none") * mask).mean()


def mean_before_the_mask(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().softmax(dim=1).max(dim=1)
    mask = confidence >= threshold
    return (F.cross_entropy(strong_logits, guess) * mask).mean()


def log_of_softmax(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().softmax(dim=1).max(dim=1)
    mask = confidence >= threshold
    losses = -strong_logits.softmax(dim=1).log()[torch.arange(len(guess), device=guess.device), guess]
    return torch.where(mask, losses, 0.0 * losses).mean()


def both_views_detached(weak_logits, strong_logits, *, threshold):
    with torch.no_grad():
        confidence, guess = weak_logits.softmax(dim=1).max(dim=1)
        mask = confidence >= threshold
        return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()


def one_loss_an_image(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().softmax(dim=1).max(dim=1)
    mask = confidence >= threshold
    return F.cross_entropy(strong_logits, guess, reduction="none") * mask


def _fixmatch_fine(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["loss"], Tensor) and close(seen["loss"], expected["loss"])


def _teaches_strong(case: Case, seen: Values, expected: Values) -> bool:
    return seen["went_backward"] == "yes" and close(seen["gradient_strong"], expected["gradient_strong"], atol=1e-6)


def _as_fixmatch(fn: Callable[..., Tensor], *names: str) -> Callable[[Sequence[Trial]], bool]:
    """A predicate: on the named cases the loss is that of `fn`, and on one of them it is not the right one."""

    def behaves(trials: Sequence[Trial]) -> bool:
        found = named(trials, *names)
        return (
            bool(found)
            and all(close(t.seen["loss"], fn(**t.case.inputs)) for t in found)
            and any(not _fixmatch_fine(t.case, t.seen, t.expected) for t in found)
        )

    return behaves


def _touches_weak(trial: Trial) -> bool:
    return float(trial.seen["gradient_weak"].abs().sum()) > 0


_SOME = ("some_sure", "as_many_images_as_classes", "transposed", "float64")

fixmatch_loss = Judge(
    reference=_reference_fixmatch,
    criteria=(
        Criterion(
            "sure_ones", 1, "images that are sure in the weak view pay the cross-entropy of the strong view",
            lambda c, s, e: _fixmatch_fine(c, s, e) and _teaches_strong(c, s, e),
            ("all_sure", "one_sure", "certain_of_something_else"),
        ),
        Criterion(
            "whole_batch", 1, "the mean is over the whole batch, sure or not",
            lambda c, s, e: _fixmatch_fine(c, s, e) and _teaches_strong(c, s, e), _SOME,
        ),
        Criterion(
            "empty_mask", 1, "with nobody sure the loss is a tensor 0 that can go backward",
            lambda c, s, e: _fixmatch_fine(c, s, e) and _teaches_strong(c, s, e), ("none_sure", "one_unsure"),
        ),
        Criterion(
            "threshold", 1, "the best probability is compared with the threshold, and as much is enough",
            _fixmatch_fine, ("low_threshold", "large_logits", "exactly_at_the_threshold"),
        ),
        Criterion(
            "no_gradient_to_weak", 1, "no gradient reaches the weak view",
            lambda c, s, e: float(s["gradient_weak"].abs().sum()) == 0 and s["went_backward"] == "yes",
            ("some_sure", "all_sure"),
        ),
    ),
    mistakes=(
        Mistake(
            "one_loss_an_image", one_loss_an_image,
            "You give back one number an image. The loss is a single number: the mean over the batch.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen["loss"].ndim > 0),
        ),
        Mistake(
            "weak_view_trained", weak_view_trained,
            "The weak view learns from itself and the strong view is never used. Both labels and confidence come from "
            "the weak view; what is trained is the strong one.",
            behaves=lambda trials: any(map(_touches_weak, ran(trials)))
            and _as_fixmatch(weak_view_trained, *_SOME)(trials),
        ),
        Mistake(
            "strong_teaches_weak", strong_teaches_weak,
            "The strong view teaches the weak one: the network learns from its answers to the distorted images, where "
            "it errs most. Exchange the two.",
            behaves=lambda trials: any(map(_touches_weak, ran(trials)))
            and not in_any(trials, lambda t: float(t.seen["gradient_strong"].abs().sum()) > 0),
        ),
        Mistake(
            "strong_view_teaches_itself", strong_view_teaches_itself,
            "The strong view teaches itself, and the weak view is not looked at. Label and confidence come from the "
            "weak view.",
            behaves=_as_fixmatch(strong_view_teaches_itself, *_SOME),
        ),
        Mistake(
            "confidence_of_the_strong_view", confidence_of_the_strong_view,
            "The guess is the weak view's, but who counts is decided by the strong view. It is the guess that must be "
            "sure: ask the weak view.",
            behaves=_as_fixmatch(confidence_of_the_strong_view, *_SOME),
        ),
        Mistake(
            "weighted_by_confidence", weighted_by_confidence,
            "Each loss is multiplied by the confidence, and through it a gradient reaches the weak view. The mask is 0 "
            "or 1, and comes from a detached tensor.",
            behaves=lambda trials: _as_fixmatch(weighted_by_confidence, *_SOME)(trials),
        ),
        Mistake(
            "soft_targets_with_gradient", soft_targets_with_gradient,
            "A gradient flows through the targets: teacher and pupil may meet halfway, and the easiest meeting point "
            "is the same answer for every image. Detach the weak view, and take its best class.",
            behaves=lambda trials: any(map(_touches_weak, ran(trials))),
        ),
        Mistake(
            "soft_targets", soft_targets,
            "The targets are probabilities. FixMatch takes the single best class, which makes the network surer than "
            "its teacher.",
            behaves=_as_fixmatch(soft_targets, *_SOME),
        ),
        Mistake(
            "python_zero_when_none", python_zero_when_none,
            "When nobody is sure you return a number without history, and `backward()` fails if this is all there is. "
            "Multiply by the mask: 0 comes by itself.",
            behaves=lambda trials: _all_named(
                trials, lambda t: t.seen["went_backward"] == "no", "none_sure", "one_unsure"
            ) and _all_named(trials, lambda t: t.seen["went_backward"] == "yes", *_SOME),
        ),
        Mistake(
            "both_views_detached", both_views_detached,
            "The loss is cut off from the network: nothing can be learned from it. Only the weak view is taken "
            "without gradient.",
            behaves=lambda trials: in_all(
                trials, lambda t: t.seen["went_backward"] == "no" and isinstance(t.seen["loss"], Tensor)
                and t.seen["loss"].numel() == 1
            ),
        ),
        Mistake(
            "log_of_softmax", log_of_softmax,
            "Where the strong view is certain of another class, the probability of the guess is 0 for a computer, and "
            "the loss infinite. `F.cross_entropy`, or `F.log_softmax`, takes that logarithm without making the 0.",
            behaves=lambda trials: _all_named(
                trials, lambda t: isinstance(t.seen["loss"], Tensor)
                and not (t.seen["loss"].isfinite().all() and t.seen["gradient_strong"].isfinite().all()),
                "certain_of_something_else",
            ) and _all_named(trials, lambda t: _fixmatch_fine(t.case, t.seen, t.expected), "all_sure", *_SOME),
        ),
        Mistake(
            "mean_of_the_sure", mean_of_the_sure,
            "When nobody is sure, which is how every training begins, your loss is NaN: a mean of nothing. Multiply "
            "by the mask, and divide by the whole batch.",
            behaves=lambda trials: _all_named(trials, lambda t: bool(t.seen["loss"].isnan()), "none_sure"),
        ),
        Mistake(
            "mean_of_the_sure_or_zero", mean_of_the_sure_or_zero,
            "You divide by the number of sure images: a single one that is sure, and perhaps wrong, weighs as much as "
            "a whole batch. Divide by all.",
            behaves=_as_fixmatch(mean_of_the_sure_or_zero, *_SOME),
        ),
        Mistake(
            "summed_over_the_batch", summed_over_the_batch,
            "The losses are summed, so the weight grows with the batch. Take the mean over all images.",
            behaves=_as_fixmatch(summed_over_the_batch, *_SOME),
        ),
        Mistake(
            "mean_before_the_mask", mean_before_the_mask,
            "The losses are averaged before the mask: unsure images teach after all, and only the strength is "
            "masked. Use `reduction='none'`, then the mask, then the mean.",
            behaves=_as_fixmatch(mean_before_the_mask, *_SOME),
        ),
        Mistake(
            "threshold_left_out", threshold_left_out,
            "Every image counts, however unsure. Compare the confidence with the threshold.",
            behaves=_as_fixmatch(threshold_left_out, *_SOME, "none_sure"),
        ),
        Mistake(
            "unsure_ones_kept", unsure_ones_kept,
            "The mask is the wrong way round: the unsure images teach. Keep those that reach the threshold.",
            behaves=_as_fixmatch(unsure_ones_kept, *_SOME, "none_sure"),
        ),
        Mistake(
            "threshold_on_logits", threshold_on_logits,
            "You compare a logit with the threshold, and logits have no scale. Adding the same number to all of them "
            "changes no probability, but your mask: take the softmax first.",
            behaves=_as_fixmatch(threshold_on_logits, "large_logits", "none_sure"),
        ),
        Mistake(
            "threshold_on_sigmoids", threshold_on_sigmoids,
            "A sigmoid looks at each logit alone: an image can be sure of several classes at once. Among classes that "
            "exclude each other the probabilities come from the softmax.",
            behaves=_as_fixmatch(threshold_on_sigmoids, "large_logits", *_SOME),
        ),
        Mistake(
            "softmax_over_the_batch", softmax_over_the_batch,
            "Your probabilities sum to 1 over the images of the batch. They belong to an image: the softmax runs over "
            "its classes, `dim=1`.",
        ),
        Mistake(
            "probabilities_into_cross_entropy", probabilities_into_cross_entropy,
            "`F.cross_entropy` is given probabilities and takes the softmax of a softmax. It wants the logits of the "
            "strong view.",
            behaves=_as_fixmatch(probabilities_into_cross_entropy, *_SOME),
        ),
        Mistake(
            "strictly_above", strictly_above,
            "An image whose confidence equals the threshold is left out. As much is enough: `>=`.",
            behaves=lambda trials: _as_fixmatch(strictly_above, "exactly_at_the_threshold")(trials)
            and _all_named(trials, lambda t: _fixmatch_fine(t.case, t.seen, t.expected), *_SOME),
        ),
    ),
    alternatives=(sum_over_the_batch_size, unsure_ones_ignored, one_hot_targets),
)  # fmt: skip


# --- ema_update -----------------------------------------------------------------------------------------------------


def _reference_ema(teacher, student, decay):
    with torch.no_grad():
        theirs = dict(student.named_parameters()) | dict(student.named_buffers())
        for name, value in [*teacher.named_parameters(), *teacher.named_buffers()]:
            if value.is_floating_point():
                value.mul_(decay).add_(theirs[name], alpha=1 - decay)
            else:
                value.copy_(theirs[name])


def ema_by_state_dicts(teacher, student, decay):
    for slow, fast in zip(teacher.state_dict().values(), student.state_dict().values(), strict=True):
        slow.copy_(decay * slow + (1 - decay) * fast if slow.is_floating_point() else fast)


def ema_by_lerp(teacher, student, decay):
    with torch.no_grad():
        for slow, fast in zip(teacher.parameters(), student.parameters()):
            slow.lerp_(fast, 1 - decay)
        for slow, fast in zip(teacher.buffers(), student.buffers()):
            slow.lerp_(fast, 1 - decay) if slow.is_floating_point() else slow.copy_(fast)


def ema_by_loading(teacher, student, decay):
    theirs = student.state_dict()
    mixed = {
        name: decay * slow + (1 - decay) * theirs[name] if torch.is_floating_point(slow) else theirs[name].clone()
        for name, slow in teacher.state_dict().items()
    }
    teacher.load_state_dict(mixed)


def decay_exchanged(teacher, student, decay):
    with torch.no_grad():
        for slow, fast in zip(teacher.state_dict().values(), student.state_dict().values()):
            slow.copy_((1 - decay) * slow + decay * fast if slow.is_floating_point() else fast)


def buffers_forgotten(teacher, student, decay):
    with torch.no_grad():
        for slow, fast in zip(teacher.parameters(), student.parameters()):
            slow.mul_(decay).add_(fast, alpha=1 - decay)


def buffers_copied(teacher, student, decay):
    with torch.no_grad():
        for slow, fast in zip(teacher.parameters(), student.parameters()):
            slow.mul_(decay).add_(fast, alpha=1 - decay)
        for slow, fast in zip(teacher.buffers(), student.buffers()):
            slow.copy_(fast)


def count_averaged(teacher, student, decay):
    with torch.no_grad():
        for slow, fast in zip(teacher.state_dict().values(), student.state_dict().values()):
            slow.copy_(decay * slow + (1 - decay) * fast)


def count_left_behind(teacher, student, decay):
    with torch.no_grad():
        for slow, fast in zip(teacher.state_dict().values(), student.state_dict().values()):
            if slow.is_floating_point():
                slow.mul_(decay).add_(fast, alpha=1 - decay)


def count_made_a_float(teacher, student, decay):
    for slow, fast in zip(teacher.modules(), student.modules()):
        for name, value in list(slow.named_parameters(recurse=False)):
            value.data.mul_(decay).add_(getattr(fast, name).data, alpha=1 - decay)
        for name, value in list(slow.named_buffers(recurse=False)):
            setattr(slow, name, decay * value + (1 - decay) * getattr(fast, name))


def only_what_is_trained(teacher, student, decay):
    with torch.no_grad():
        for slow, fast in zip(teacher.parameters(), student.parameters()):
            if fast.requires_grad:
                slow.mul_(decay).add_(fast, alpha=1 - decay)
        for slow, fast in zip(teacher.buffers(), student.buffers()):
            slow.copy_(decay * slow + (1 - decay) * fast if slow.is_floating_point() else fast)


def copied_whole(teacher, student, decay):
    teacher.load_state_dict(student.state_dict())


def shares_the_students_memory(teacher, student, decay):
    for slow, fast in zip(teacher.parameters(), student.parameters()):
        slow.data = fast.data
    for slow, fast in zip(teacher.buffers(), student.buffers()):
        slow.data = fast.data


def student_averaged(teacher, student, decay):
    with torch.no_grad():
        for slow, fast in zip(teacher.state_dict().values(), student.state_dict().values()):
            fast.copy_(decay * slow + (1 - decay) * fast if slow.is_floating_point() else fast)


def student_averaged_first(teacher, student, decay):
    with torch.no_grad():
        for slow, fast in zip(teacher.state_dict().values(), student.state_dict().values()):
            if fast.is_floating_point():
                fast.mul_(1 - decay).add_(slow, alpha=decay)
            slow.copy_(fast)


def with_history(teacher, student, decay):
    for slow, fast in zip(teacher.parameters(), student.parameters()):
        slow.requires_grad_(False)
        slow.mul_(decay).add_(fast, alpha=1 - decay)
    with torch.no_grad():
        for slow, fast in zip(teacher.buffers(), student.buffers()):
            slow.copy_(decay * slow + (1 - decay) * fast if slow.is_floating_point() else fast)


def modes_set(teacher, student, decay):
    teacher.eval()
    with torch.no_grad():
        for slow, fast in zip(teacher.state_dict().values(), student.state_dict().values()):
            slow.copy_(decay * slow + (1 - decay) * fast if slow.is_floating_point() else fast)


def gradients_switched_off(teacher, student, decay):
    teacher.requires_grad_(False)
    with torch.no_grad():
        for slow, fast in zip(teacher.state_dict().values(), student.state_dict().values()):
            slow.copy_(decay * slow + (1 - decay) * fast if slow.is_floating_point() else fast)


def new_tensors(teacher, student, decay):
    with torch.no_grad():
        for slow, fast in zip(teacher.modules(), student.modules()):
            for name, value in list(slow.named_parameters(recurse=False)):
                mixed = decay * value + (1 - decay) * getattr(fast, name)
                setattr(slow, name, nn.Parameter(mixed, requires_grad=value.requires_grad))
            for name, value in list(slow.named_buffers(recurse=False)):
                other = getattr(fast, name)
                mixed = decay * value + (1 - decay) * other if value.is_floating_point() else other.clone()
                setattr(slow, name, mixed)


def never_written(teacher, student, decay):
    with torch.no_grad():
        for slow, fast in zip(teacher.parameters(), student.parameters()):
            slow = decay * slow + (1 - decay) * fast


def added_without_scaling(teacher, student, decay):
    with torch.no_grad():
        for slow, fast in zip(teacher.state_dict().values(), student.state_dict().values()):
            if slow.is_floating_point():
                slow.add_(fast, alpha=1 - decay)
            else:
                slow.copy_(fast)


_WEIGHTS = ("linear.weight", "linear.bias", "norm.weight", "norm.bias", "scale")
_TRAINED = ("linear.weight", "linear.bias", "norm.weight", "norm.bias")
_STATISTICS = ("norm.running_mean", "norm.running_var", "history")
_COUNT = "norm.num_batches_tracked"
_MIXED = ("usual", "slow", "float64", "teacher_with_gradients_on")  # one call, and a decay that is neither 0 nor 1


def _kept(seen: Values, expected: Values, names: Sequence[str], *, key: str = "teacher_after") -> bool:
    return all(close(seen[key][name], expected["teacher_after"][name]) for name in names)


def _own_tensors(case: Case, seen: Values, expected: Values) -> bool:
    return (
        close(seen["held_after"], seen["teacher_after"])
        and close(seen["teacher_when_student_moves"], seen["teacher_after"])
        and close(seen["student_after"], seen["student_before"])
        and not close(seen["teacher_after"], seen["teacher_before"])
    )


def _as_it_was(case: Case, seen: Values, expected: Values) -> bool:
    return (
        seen["requires_grad_after"] == seen["requires_grad_before"]
        and not seen["with_history"]
        and seen["mode_after"] == case.inputs["modes"].split()
        and _kept(seen, expected, _TRAINED)
    )


def _stays(trial: Trial, names: Sequence[str]) -> bool:
    """Whether the teacher's tensors of these names have not moved."""
    return all(close(trial.seen["teacher_after"][n], trial.seen["teacher_before"][n]) for n in names)


def _mix(trial: Trial, names: Sequence[str], mix: Callable[[Tensor, Tensor, float], Tensor]) -> bool:
    """Whether the teacher holds `mix(teacher before, student before, decay)` under these names."""
    seen, decay = trial.seen, trial.case.inputs["decay"]
    return all(
        close(seen["teacher_after"][n], mix(seen["teacher_before"][n], seen["student_before"][n], decay)) for n in names
    )


ema_update = Judge(
    reference=_reference_ema,
    criteria=(
        Criterion(
            "parameters", 1, "every parameter is decay times its own value plus (1 - decay) times the student's",
            lambda c, s, e: _kept(s, e, _WEIGHTS),
        ),
        Criterion(
            "statistics", 1, "running statistics and other buffers with decimals are averaged the same way",
            lambda c, s, e: _kept(s, e, _STATISTICS),
        ),
        Criterion(
            "counts", 1, "buffers of whole numbers are taken over from the student, and stay whole numbers",
            lambda c, s, e: _kept(s, e, (_COUNT,)) and s["dtypes_after"] == e["dtypes_after"],
        ),
        Criterion(
            "own_tensors", 1, "the teacher's own tensors are written; it shares none, and the student stays as it is",
            _own_tensors, ("usual", "follows_at_once", "three_times", "float64"),
        ),
        Criterion(
            "autograd", 1, "no autograd history, and `requires_grad` and modes as they were", _as_it_was,
            ("usual", "teacher_with_gradients_on", "three_times"),
        ),
    ),
    mistakes=(
        Mistake(
            "student_averaged", student_averaged,
            "It is the student whose weights have changed. The student learns by gradients alone; write into the "
            "teacher.",
            behaves=lambda trials: in_any(
                trials, lambda t: not close(t.seen["student_after"], t.seen["student_before"])
            ) and _all_named(trials, lambda t: _stays(t, _WEIGHTS), *_MIXED),
        ),
        Mistake(
            "student_averaged_first", student_averaged_first,
            "The student's weights change too: an in-place operation works on its tensors. Only the teacher is "
            "written.",
            behaves=lambda trials: in_any(
                trials, lambda t: not close(t.seen["student_after"], t.seen["student_before"])
            ),
        ),
        Mistake(
            "shares_the_students_memory", shares_the_students_memory,
            "When the student learns on, the teacher moves along: they share memory, and there is no average. Copy "
            "values into the teacher's tensors.",
            behaves=lambda trials: in_any(
                trials, lambda t: not close(t.seen["teacher_when_student_moves"], t.seen["teacher_after"])
            ),
        ),
        Mistake(
            "with_history", with_history,
            "Autograd records your average, and the teacher's weights drag a history along that grows with every step. "
            "Do it under `torch.no_grad()`.",
            behaves=lambda trials: in_any(trials, lambda t: bool(t.seen["with_history"]))
            or any(t.error and "leaf Variable that requires grad" in t.error.text for t in trials),
        ),
        Mistake(
            "never_written", never_written,
            "The teacher has not moved at all: `slow = ...` gives a new tensor a name and forgets it. Write into the "
            "tensor, with `copy_` or `mul_` and `add_`.",
            behaves=lambda trials: _all_named(
                trials, lambda t: _stays(t, (*_WEIGHTS, *_STATISTICS)) and close(
                    t.seen["student_after"], t.seen["student_before"]), *_MIXED,
            ),
        ),
        Mistake(
            "copied_whole", copied_whole,
            "Your teacher is a copy of the student, whatever the decay. It should keep decay of itself.",
            behaves=lambda trials: _all_named(trials, lambda t: _mix(t, _TRAINED, lambda a, b, d: b), *_MIXED),
        ),
        Mistake(
            "decay_exchanged", decay_exchanged,
            "Decay is exchanged: with 0.99 your teacher takes nearly all from the student each step. It should keep "
            "that share of itself.",
            behaves=lambda trials: _all_named(
                trials, lambda t: _mix(t, _TRAINED, lambda a, b, d: (1 - d) * a + d * b), "usual", "slow", "float64"
            ),
        ),
        Mistake(
            "added_without_scaling", added_without_scaling,
            "The student's share is added, but the teacher's own is not reduced: its weights grow without end. The two "
            "shares sum to 1.",
            behaves=lambda trials: _all_named(
                trials, lambda t: _mix(t, _TRAINED, lambda a, b, d: a + (1 - d) * b), *_MIXED
            ),
        ),
        Mistake(
            "new_tensors", new_tensors,
            "You put new tensors into the teacher. Whoever holds its old ones, an optimizer or an evaluation, never "
            "hears of the average: write in place.",
            behaves=lambda trials: in_any(trials, lambda t: not close(t.seen["held_after"], t.seen["teacher_after"])
                                        and not any("float" in d for n, d in t.seen["dtypes_after"].items()
                                                    if n == _COUNT)),
        ),
        Mistake(
            "count_made_a_float", count_made_a_float,
            "The count of batches has become a number with decimals, in a new tensor. Whole numbers are not averaged "
            "but taken over: ask `is_floating_point()`.",
            behaves=lambda trials: in_any(trials, lambda t: "float" in t.seen["dtypes_after"][_COUNT]),
        ),
        Mistake(
            "buffers_forgotten", buffers_forgotten,
            "Only parameters are averaged. Batch normalization keeps its running statistics in buffers: without them "
            "the teacher normalizes by those it was born with, and guesses.",
            behaves=lambda trials: _all_named(trials, lambda t: _stays(t, _STATISTICS), *_MIXED),
        ),
        Mistake(
            "buffers_copied", buffers_copied,
            "Running statistics are copied from the student, while the weights are averaged: statistics of one "
            "network for the weights of another. Average them too.",
            behaves=lambda trials: _all_named(trials, lambda t: _mix(t, _STATISTICS, lambda a, b, d: b), *_MIXED),
        ),
        Mistake(
            "only_what_is_trained", only_what_is_trained,
            "A parameter that the student does not train (`requires_grad` off) is left out of the average. The teacher "
            "must follow in everything.",
            behaves=lambda trials: _all_named(trials, lambda t: _stays(t, ("scale",)), *_MIXED)
            and _all_named(trials, lambda t: _kept(t.seen, t.expected, _TRAINED), *_MIXED),
        ),
        Mistake(
            "count_averaged", count_averaged,
            "The count of batches is averaged, and cut to a whole number in silence. Whole numbers cannot be mixed: "
            "take over the student's.",
            behaves=lambda trials: _all_named(
                trials, lambda t: not _stays(t, (_COUNT,)) and not _kept(t.seen, t.expected, (_COUNT,)), "usual",
                "three_times",
            ),
        ),
        Mistake(
            "count_left_behind", count_left_behind,
            "Buffers of whole numbers stay as they were. They cannot be averaged, but they can be taken over from the "
            "student.",
            behaves=lambda trials: _all_named(trials, lambda t: _stays(t, (_COUNT,)), "usual", "three_times"),
        ),
        Mistake(
            "modes_set", modes_set,
            "You put a network in another mode, perhaps the one that it mostly has. Averaging needs no mode: leave "
            "them as they are.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen["mode_after"] != t.case.inputs["modes"].split())
            and in_all(trials, lambda t: close(t.seen["teacher_after"], t.expected["teacher_after"])),
        ),
        Mistake(
            "gradients_switched_off", gradients_switched_off,
            "You switch `requires_grad` of the teacher off for good. That is for its owner to decide; the update only "
            "needs `torch.no_grad()` around it.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.seen["requires_grad_after"] != t.seen["requires_grad_before"]
            ),
        ),
    ),
    alternatives=(ema_by_state_dicts, ema_by_lerp, ema_by_loading),
)  # fmt: skip


# --- mean_teacher_loss ----------------------------------------------------------------------------------------------


def _reference_teacher(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)
    return (student(strong).softmax(dim=1) - target).pow(2).sum(dim=1).mean()


def teacher_by_mse(student, teacher, weak, strong):
    p, q = F.softmax(student(strong), dim=-1), F.softmax(teacher(weak).detach(), dim=-1)
    return F.mse_loss(p, q, reduction="sum") / len(weak)


def teacher_by_distances(student, teacher, weak, strong):
    p = student(strong).log_softmax(dim=1).exp()
    with torch.no_grad():
        q = teacher(weak).log_softmax(dim=1).exp()
    return torch.linalg.vector_norm(p - q, dim=1).square().mean()


def student_for_teacher(student, teacher, weak, strong):
    p = student(strong).softmax(dim=1)
    target = p.detach()
    return (p - target).pow(2).sum(dim=1).mean()


def student_on_both_views(student, teacher, weak, strong):
    with torch.no_grad():
        target = student(weak).softmax(dim=1)
    return (student(strong).softmax(dim=1) - target).pow(2).sum(dim=1).mean()


def teacher_on_both_views(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)
    return (teacher(strong).softmax(dim=1) - target).pow(2).sum(dim=1).mean()


def views_exchanged(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(strong).softmax(dim=1)
    return (student(weak).softmax(dim=1) - target).pow(2).sum(dim=1).mean()


def both_on_the_strong_view(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(strong).softmax(dim=1)
    return (student(strong).softmax(dim=1) - target).pow(2).sum(dim=1).mean()


def both_on_the_weak_view(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)
    return (student(weak).softmax(dim=1) - target).pow(2).sum(dim=1).mean()


def gradient_into_the_teacher(student, teacher, weak, strong):
    return (student(strong).softmax(dim=1) - teacher(weak).softmax(dim=1)).pow(2).sum(dim=1).mean()


def student_detached(student, teacher, weak, strong):
    with torch.no_grad():
        p = student(strong).softmax(dim=1)
    return (p - teacher(weak).softmax(dim=1)).pow(2).sum(dim=1).mean()


def all_detached(student, teacher, weak, strong):
    with torch.no_grad():
        target, p = teacher(weak).softmax(dim=1), student(strong).softmax(dim=1)
        return (p - target).pow(2).sum(dim=1).mean()


def logits_compared(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak)
    return (student(strong) - target).pow(2).sum(dim=1).mean()


def mean_over_classes(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)
    return F.mse_loss(student(strong).softmax(dim=1), target)


def summed_over_images(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)
    return (student(strong).softmax(dim=1) - target).pow(2).sum()


def root_of_the_sum(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)
    return ((student(strong).softmax(dim=1) - target).pow(2).sum(dim=1) + 1e-12).sqrt().mean()


def soft_cross_entropy(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)
    return F.cross_entropy(student(strong), target)


def kl_divergence(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)
    return F.kl_div(student(strong).log_softmax(dim=1), target, reduction="batchmean")


def hard_targets(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak).argmax(dim=1)
    return F.cross_entropy(student(strong), target)


def softmax_down_the_batch(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak).softmax(dim=0)
    return (student(strong).softmax(dim=0) - target).pow(2).sum(dim=1).mean()


def modes_changed(student, teacher, weak, strong):
    student.train()
    teacher.train()
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)
    return (student(strong).softmax(dim=1) - target).pow(2).sum(dim=1).mean()


def teacher_put_to_eval(student, teacher, weak, strong):
    teacher.eval()
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)
    return (student(strong).softmax(dim=1) - target).pow(2).sum(dim=1).mean()


def teacher_frozen_for_good(student, teacher, weak, strong):
    teacher.requires_grad_(False)
    target = teacher(weak).softmax(dim=1)
    return (student(strong).softmax(dim=1) - target).pow(2).sum(dim=1).mean()


def _teacher_fine(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["loss"], Tensor) and close(seen["loss"], expected["loss"])


def _loss_of(trial: Trial) -> float:
    loss = trial.seen["loss"]
    return float(loss) if isinstance(loss, (Tensor, int, float)) else math.nan


def _times(trials: Sequence[Trial], factor: Callable[[Case], float]) -> bool:
    """Whether every loss is the right one times a factor that the case decides."""
    return in_all(trials, lambda t: math.isclose(_loss_of(t), float(t.expected["loss"]) * factor(t.case), rel_tol=1e-4))


_DIFFERENT_VIEWS = ("plain", "alive", "color", "float64")

mean_teacher_loss = Judge(
    reference=_reference_teacher,
    criteria=(
        Criterion(
            "value", 1, "squared distance of the probabilities, summed over classes, averaged over images",
            _teacher_fine, ("plain", "alive", "color", "float64"),
        ),
        Criterion(
            "same_view", 1, "two networks that differ disagree, even when both see the same view", _teacher_fine,
            ("same_view",),
        ),
        Criterion(
            "student_learns", 1, "the gradient reaches the student, and nothing of it the teacher",
            lambda c, s, e: s["went_backward"] == "yes" and s["gradient_teacher"] == 0
            and close(s["gradient_student"], e["gradient_student"], atol=1e-6),
        ),
        Criterion(
            "left_alone", 1, "each network is asked once and keeps its mode, its weights and what it lets be trained",
            lambda c, s, e: s["calls"] == [1, 1] and s["mode_after"] == e["mode_after"]
            and s["requires_grad_after"] == e["requires_grad_after"]
            and close(s["weights_after"], s["weights_before"])
            and close(s["teacher_mean_after"], e["teacher_mean_after"])
            and close(s["student_mean_after"], e["student_mean_after"]),
        ),
    ),
    mistakes=(
        Mistake(
            "student_for_teacher", student_for_teacher,
            "The loss is exactly 0: the student is compared with itself, and the teacher is never asked. A well-known "
            "library shipped this for years.",
            behaves=lambda trials: in_all(trials, lambda t: _loss_of(t) == 0),
        ),
        Mistake(
            "student_on_both_views", student_on_both_views,
            "The teacher is never asked: both views go through the student. The target is the teacher's answer.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["calls"][1] == 0),
        ),
        Mistake(
            "teacher_on_both_views", teacher_on_both_views,
            "The student is never asked: both views go through the teacher, who does not learn. The strong view is for "
            "the student.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["calls"][0] == 0),
        ),
        Mistake(
            "all_detached", all_detached,
            "No gradient leaves your loss: the student is inside `torch.no_grad()` too. Only the teacher belongs "
            "there.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["went_backward"] == "no"),
        ),
        Mistake(
            "student_detached", student_detached,
            "The wrong one learns: a gradient reaches the teacher, none the student. `torch.no_grad()` belongs around "
            "the teacher.",
            behaves=lambda trials: in_all(
                trials, lambda t: float(t.seen["gradient_student"].abs().sum()) == 0
            ) and in_any(trials, lambda t: t.seen["gradient_teacher"] > 0),
        ),
        Mistake(
            "gradient_into_the_teacher", gradient_into_the_teacher,
            "A gradient reaches the teacher. It follows the student by averaging, and by nothing else: ask it without "
            "gradient.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen["gradient_teacher"] > 0),
        ),
        Mistake(
            "both_on_the_strong_view", both_on_the_strong_view,
            "Teacher and student both see the strong view. The teacher is given the weak one: its answer is better "
            "there.",
        ),
        Mistake(
            "both_on_the_weak_view", both_on_the_weak_view,
            "Teacher and student both see the weak view, so the student practices nothing that it does not know. It is "
            "given the strong one.",
        ),
        Mistake(
            "views_exchanged", views_exchanged,
            "The views are exchanged: the teacher judges the distorted image, the student the easy one. Weak for the "
            "teacher, strong for the student.",
        ),
        Mistake(
            "logits_compared", logits_compared,
            "You compare logits. They may be as large as they like and still mean the same: compare probabilities.",
        ),
        Mistake(
            "softmax_down_the_batch", softmax_down_the_batch,
            "Your probabilities sum to 1 over the images of the batch. The softmax runs over the classes of an image, "
            "`dim=1`.",
        ),
        Mistake(
            "mean_over_classes", mean_over_classes,
            "You also average over the classes, so the weight fades as classes are added. Sum over classes, mean over "
            "images.",
            behaves=lambda trials: _times(trials, lambda c: 1 / c.inputs["num_classes"]),
        ),
        Mistake(
            "summed_over_images", summed_over_images,
            "You sum over the images too, so the weight grows with the batch. Sum over classes, mean over images.",
            behaves=lambda trials: _times(trials, lambda c: len(c.inputs["weak"])),
        ),
        Mistake(
            "root_of_the_sum", root_of_the_sum,
            "You take the root, the distance itself. The squared distance is asked for, whose gradient fades as the "
            "two agree.",
        ),
        Mistake(
            "soft_cross_entropy", soft_cross_entropy,
            "This is a cross-entropy: it is not 0 when both agree, and rewards being sure. Take the squared distance "
            "of the probabilities.",
        ),
        Mistake(
            "kl_divergence", kl_divergence,
            "This is a Kullback-Leibler divergence: a good consistency loss too, but it has no bound, and a student "
            "that is surely wrong dominates the batch. The squared distance is asked for.",
        ),
        Mistake(
            "hard_targets", hard_targets,
            "The teacher's best class is the target: that is FixMatch without its threshold. Here all of its "
            "probabilities are compared.",
        ),
        Mistake(
            "modes_changed", modes_changed,
            "You put the teacher into train mode, which the caller did not. Leave the modes as they are.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["teacher_mode"] == "eval" and t.seen["mode_after"][1] == "train"
            ),
        ),
        Mistake(
            "teacher_put_to_eval", teacher_put_to_eval,
            "A teacher that came in train mode leaves in eval mode, or was judged there. Leave the modes to the "
            "caller: here it is his choice.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["teacher_mode"] == "train" and t.seen["mode_after"][1] == "eval"
            ),
        ),
        Mistake(
            "teacher_frozen_for_good", teacher_frozen_for_good,
            "You switch the teacher's `requires_grad` off, and it stays off. `torch.no_grad()` does it for one call.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["frozen"] == "no" and 0 in t.seen["requires_grad_after"]
            ),
        ),
    ),
    alternatives=(teacher_by_mse, teacher_by_distances),
)  # fmt: skip

JUDGES = {
    "ramp_up": ramp_up,
    "semi_supervised_loss": semi_supervised_loss,
    "fixmatch_loss": fixmatch_loss,
    "ema_update": ema_update,
    "mean_teacher_loss": mean_teacher_loss,
}
