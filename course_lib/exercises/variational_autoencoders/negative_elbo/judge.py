"""`negative_elbo`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, close
from course_lib.exercises.judging import failed_with, in_all, in_any, ran
from course_lib.exercises.variational_autoencoders.judge import finite


def reference(logits, images, kl, *, beta=1.0):
    pixels = torch.distributions.Bernoulli(logits=logits, validate_args=False)
    log_likelihood = pixels.log_prob(images).flatten(1).sum(dim=1)
    return -(log_likelihood - beta * kl.sum(dim=1)).mean()


def _loss_of(t: Trial) -> Tensor:
    """The loss as a tensor, whatever it came as."""
    loss = t.seen["loss"]
    return loss.double() if isinstance(loss, Tensor) else torch.tensor(float(loss), dtype=torch.float64)


def _weights(trials: Sequence[Trial], pixels: Callable[[Case], float], latents: Callable[[Case], float]) -> bool:
    """Whether the loss is everywhere the right cross-entropy times one factor, plus the right KL times another."""

    def fits(t: Trial) -> bool:
        beta, cost = t.case.inputs["beta"], t.case.inputs["kl"].double().sum(dim=1).mean()
        reconstruction = t.expected["loss"].double() - beta * cost
        return close(_loss_of(t), pixels(t.case) * reconstruction + latents(t.case) * beta * cost)

    return in_all(trials, fits)


def _pixels(case: Case) -> int:
    return case.inputs["images"][0].numel()


def _count(case: Case) -> int:
    return len(case.inputs["images"])


def _latents(case: Case) -> int:
    return case.inputs["kl"].shape[1]


def _beta(case: Case) -> float:
    return case.inputs["beta"]


def _right_elsewhere(trials: Sequence[Trial]) -> bool:
    return all(close(t.seen["loss"], t.expected["loss"]) for t in ran(trials) if t.case.name != "confident")


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "reconstruction",
            1,
            "cross-entropy, summed over the pixels of each image, averaged over the images",
            lambda c, s, e: close(s["loss"], e["loss"]),
            ("collapsed",),
        ),
        Criterion(
            "kl",
            1,
            "the KL is summed over latents, averaged over images, and added",
            lambda c, s, e: close(s["loss"], e["loss"]),
            ("perfect", "plain", "twice_the_batch", "one", "gray"),
        ),
        Criterion(
            "beta",
            1,
            "`beta` multiplies the KL, and nothing else",
            lambda c, s, e: close(s["loss"], e["loss"]),
            ("beta_small", "beta_large", "as_many_latents_as_images"),
        ),
        Criterion(
            "stable",
            1,
            "very large logits give the right number too",
            lambda c, s, e: close(s["loss"], e["loss"]),
            ("confident",),
        ),
        Criterion(
            "gradient",
            1,
            "gradients reach `logits` and `kl`",
            lambda c, s, e: (
                close(s["logits_gradient"], e["logits_gradient"]) and close(s["kl_gradient"], e["kl_gradient"])
            ),
            ("plain", "twice_the_batch", "one", "color", "transposed", "float64"),
        ),
    ),
    predicates={
        "not_squashed": lambda trials: (
            failed_with(trials, "between 0 and 1") or failed_with(trials, "element of input")
        ),
        "pair_of_terms": lambda trials: in_any(trials, lambda t: isinstance(t.seen["loss"], (list, dict))),
        "plain_number": lambda trials: in_any(trials, lambda t: isinstance(t.seen["loss"], float)),
        "one_number_an_image": lambda trials: in_any(
            trials,
            lambda t: isinstance(t.seen["loss"], Tensor) and t.seen["loss"].shape == (_count(t.case),) != (1,),
        ),
        "logarithm_of_zero": lambda trials: (
            _right_elsewhere([t for t in trials if t.case.name != "perfect"])
            and in_any(trials, lambda t: not finite(_loss_of(t)))
        ),
        "squashed_first": lambda trials: (
            _right_elsewhere(trials)
            and in_any(trials, lambda t: t.case.name == "confident" and not close(t.seen["loss"], t.expected["loss"]))
        ),
        "cut_from_the_graph": lambda trials: in_all(trials, lambda t: close(t.seen["loss"], t.expected["loss"])),
        "mean_over_pixels": lambda trials: _weights(trials, lambda c: 1 / _pixels(c), lambda c: 1),
        "mean_of_everything": lambda trials: _weights(trials, lambda c: 1 / _pixels(c), lambda c: 1 / _latents(c)),
        "mean_over_latents": lambda trials: _weights(trials, lambda c: 1, lambda c: 1 / _latents(c)),
        "kl_divided_by_pixels": lambda trials: _weights(trials, lambda c: 1, lambda c: 1 / _pixels(c)),
        "everything_by_pixel": lambda trials: _weights(trials, lambda c: 1 / _pixels(c), lambda c: 1 / _pixels(c)),
        "summed_over_batch": lambda trials: _weights(trials, _count, _count),
        "only_kl_summed_over_batch": lambda trials: _weights(trials, lambda c: 1, _count),
        "only_pixels_summed_over_batch": lambda trials: _weights(trials, _count, lambda c: 1),
        "beta_on_the_reconstruction": lambda trials: _weights(trials, _beta, lambda c: 1 / _beta(c)),
        "beta_on_both": lambda trials: _weights(trials, _beta, lambda c: 1),
        "beta_ignored": lambda trials: _weights(trials, lambda c: 1, lambda c: 1 / _beta(c)),
        "divided_by_beta": lambda trials: _weights(trials, lambda c: 1, lambda c: _beta(c) ** -2),
        "one_minus_beta": lambda trials: _weights(trials, lambda c: 1 - _beta(c), lambda c: 1),
        "channels_averaged": lambda trials: _weights(trials, lambda c: 1 / c.inputs["images"].shape[1], lambda c: 1),
        "kl_subtracted": lambda trials: _weights(trials, lambda c: 1, lambda c: -1),
        "elbo_itself": lambda trials: _weights(trials, lambda c: -1, lambda c: -1),
        "reconstruction_subtracted": lambda trials: _weights(trials, lambda c: -1, lambda c: 1),
        "kl_forgotten": lambda trials: _weights(trials, lambda c: 1, lambda c: 0),
        "reconstruction_forgotten": lambda trials: _weights(trials, lambda c: 0, lambda c: 1),
    },
)
