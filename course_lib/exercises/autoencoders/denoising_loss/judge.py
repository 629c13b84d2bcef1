"""`denoising_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from course_lib.exercises.autoencoders.judge import for_uncut, residual_of
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any, ran


def normal_around_the_image(images, noise, *, generator):
    mean = images.detach().cpu()
    drawn = torch.normal(mean, torch.full_like(mean, noise), generator=generator)
    return torch.clip(drawn, 0.0, 1.0).to(images.device)


def noise_on_a_copy(images, noise, *, generator):
    epsilon = torch.empty(images.shape, dtype=images.dtype).normal_(0.0, 1.0, generator=generator)
    result = images.clone()
    result += epsilon.to(images.device) * noise
    return result.clamp_(min=0, max=1)


def without_clamp(images, noise, *, generator):
    return images + noise * torch.randn(images.shape, generator=generator).to(images)


def into_the_input(images, noise, *, generator):
    images += noise * torch.randn(images.shape, generator=generator).to(images)
    return images.clamp_(0, 1)


def same_noise_for_all(images, noise, *, generator):
    epsilon = torch.randn(images.shape[1:], generator=generator).to(images)
    return (images + noise * epsilon).clamp(0, 1)


def one_number_for_each_image(images, noise, *, generator):
    epsilon = torch.randn(len(images), 1, 1, 1, generator=generator).to(images)
    return (images + noise * epsilon).clamp(0, 1)


def uniform_noise(images, noise, *, generator):
    epsilon = torch.rand(images.shape, generator=generator).to(images)
    return (images + noise * epsilon).clamp(0, 1)


def uniform_around_zero(images, noise, *, generator):
    epsilon = 2 * torch.rand(images.shape, generator=generator).to(images) - 1
    return (images + noise * epsilon).clamp(0, 1)


def generator_ignored(images, noise, *, generator):
    return (images + noise * torch.randn_like(images)).clamp(0, 1)


def seeded_inside(images, noise, *, generator):
    generator.manual_seed(0)
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images + noise * epsilon).clamp(0, 1)


def noise_as_variance(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images + math.sqrt(noise) * epsilon).clamp(0, 1)


def squared_deviation(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images + noise**2 * epsilon).clamp(0, 1)


def multiplied(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images * (1 + noise * epsilon)).clamp(0, 1)


def noise_only(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (noise * epsilon).clamp(0, 1)


def images_as_they_are(images, noise, *, generator):
    return images.clamp(0, 1)


def _spread(case: Case, seen: Values) -> float:
    """Standard deviation of what was added, as a multiple of `noise`."""
    return float(residual_of(case, seen).std()) / case.inputs["noise"]


def _behaves_not_fresh(trials: Sequence[Trial]) -> bool:
    """The same noise in every image of a batch: after the batch mean is taken away nothing is left."""

    def shared(t: Trial) -> bool:
        residual = residual_of(t.case, t.seen)
        rest = (residual - residual.mean(dim=0, keepdim=True)).abs().max()
        return len(residual) == 1 or bool(rest < 0.05 * t.case.inputs["noise"] and residual.std() > 0)

    return for_uncut(trials, shared)


def _behaves_one_number(trials: Sequence[Trial]) -> bool:
    def flat(t: Trial) -> bool:
        residual = residual_of(t.case, t.seen).flatten(1)
        return bool((residual.std(dim=1) < 0.05 * t.case.inputs["noise"]).all() and residual.abs().max() > 0)

    return for_uncut(trials, flat)


def _behaves_uniform(trials: Sequence[Trial]) -> bool:
    # a uniform distribution has no tails: nothing lies further out than 1.8 standard deviations
    def no_tails(t: Trial) -> bool:
        residual = residual_of(t.case, t.seen)
        centered = (residual - residual.mean()).abs()
        return bool(residual.std() > 0 and centered.max() < 1.85 * residual.std())

    return for_uncut(trials, no_tails)


def _behaves_spread(trials: Sequence[Trial], wanted) -> bool:
    return for_uncut(trials, lambda t: abs(_spread(t.case, t.seen) / wanted(t.case.inputs["noise"]) - 1) < 0.15)


def _behaves_global(trials: Sequence[Trial]) -> bool:
    return in_any(
        trials,
        lambda t: (
            not torch.equal(t.seen["global_state_before"], t.seen["global_state_after"])
            or not torch.equal(t.seen["corrupted"], t.seen["same_seed"])
        ),
    )


def cut_too_early(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return images + (noise * epsilon).clamp(0, 1)


def only_brighter(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).abs().to(images)
    return (images + noise * epsilon).clamp(0, 1)


def stretched(images, noise, *, generator):
    noisy = images + noise * torch.randn(images.shape, generator=generator).to(images)
    return (noisy - noisy.min()) / (noisy.max() - noisy.min())


def blended(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return ((1 - noise) * images + noise * epsilon).clamp(0, 1)


def masked(images, noise, *, generator):
    keep = torch.rand(images.shape, generator=generator).to(images) >= noise
    return images * keep


def not_scaled(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images + epsilon).clamp(0, 1)


def _behaves_stretched(trials: Sequence[Trial]) -> bool:
    return for_uncut(trials, lambda t: t.seen["corrupted"].min() == 0 and t.seen["corrupted"].max() == 1) and any(
        t.case.name == "no_noise" and residual_of(t.case, t.seen).any() for t in ran(trials)
    )


def _behaves_not_scaled(trials: Sequence[Trial]) -> bool:
    return any(
        t.case.name == "no_noise" and residual_of(t.case, t.seen).std() > 0.2 for t in ran(trials)
    ) and for_uncut(
        trials, lambda t: float(((t.seen["corrupted"] == 0) | (t.seen["corrupted"] == 1)).double().mean()) > 0.4
    )


def _behaves_masked(trials: Sequence[Trial]) -> bool:
    def kept_or_black(t: Trial) -> bool:
        seen, black = t.seen["corrupted"], t.seen["corrupted"] == 0
        return bool((black | (seen == t.case.inputs["images"])).all() and black.any())

    return for_uncut(trials, kept_or_black)


def _behaves_only_brighter(trials: Sequence[Trial]) -> bool:
    def beyond_uniform(t: Trial) -> bool:
        residual = residual_of(t.case, t.seen)
        return bool((residual > -1e-6).all() and residual.max() > 1.5 * t.case.inputs["noise"])

    return for_uncut(trials, beyond_uniform)


def _behaves_blended(trials: Sequence[Trial]) -> bool:
    def darker(t: Trial) -> bool:
        expected = float(t.case.inputs["images"].mean())
        shift = -float(residual_of(t.case, t.seen).mean()) / t.case.inputs["noise"]
        return abs(shift - expected) < 0.2 and abs(_spread(t.case, t.seen) - 1) < 0.2

    return for_uncut(trials, darker)


def reference(model, images, corrupt, loss_fn):
    return loss_fn(model(corrupt(images)), images)


def _is(seen: Tensor, other: Tensor) -> bool:
    return seen.shape == other.shape and close(seen, other)


def _compared(trial: Trial) -> tuple[Tensor, Tensor]:
    (x_hat, target) = trial.seen["compared"][0]
    return x_hat, target


def _model_saw(trial: Trial, which: str) -> bool:
    inputs, corrupted = trial.seen["model_inputs"], trial.seen["corrupted"]
    wanted = trial.case.inputs["images"] if which == "clean" else (corrupted[0] if corrupted else None)
    return len(inputs) == 1 and wanted is not None and _is(inputs[0], wanted)


def _target_is(trial: Trial, which: str) -> bool:
    clean, corrupted = trial.case.inputs["images"], trial.seen["corrupted"]
    target = _compared(trial)[1]
    if which == "clean":
        return _is(target, clean)
    return any(_is(target, noisy) for noisy in corrupted)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "input",
            1,
            "the model is given the corrupted images",
            lambda c, s, e: close(s["model_inputs"], e["model_inputs"]),
        ),
        Criterion(
            "target",
            1,
            "its output is compared with the clean images, by `loss_fn(x_hat, target)`",
            lambda c, s, e: len(s["compared"]) == 1 and close(s["compared"][0][1], c.inputs["images"]),
        ),
        Criterion(
            "gradient",
            1,
            "the loss that comes back trains the model",
            lambda c, s, e: (
                close(s["loss"], e["loss"]) and close(s["gradient"], e["gradient"]) and s["mode_after"] == "train"
            ),
        ),
    ),
    predicates={
        "without_gradient": lambda trials: in_all(
            trials,
            lambda t: _model_saw(t, "corrupted") and _target_is(t, "clean") and not t.seen["gradient"].any(),
        ),
    },
)
