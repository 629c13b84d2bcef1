"""`denoising_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from course_lib.exercises.autoencoders.judge import is_same
from course_lib.exercises.contract import Criterion, Judge, Trial, close
from course_lib.exercises.judging import in_all, in_any


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


def reference(model, images, corrupt, loss_fn):
    return loss_fn(model(corrupt(images)), images)


def _compared(trial: Trial) -> tuple[Tensor, Tensor]:
    (x_hat, target) = trial.seen["compared"][0]
    return x_hat, target


def _model_saw(trial: Trial, which: str) -> bool:
    inputs, corrupted = trial.seen["model_inputs"], trial.seen["corrupted"]
    wanted = trial.case.inputs["images"] if which == "clean" else (corrupted[0] if corrupted else None)
    return len(inputs) == 1 and wanted is not None and is_same(inputs[0], wanted)


def _target_is(trial: Trial, which: str) -> bool:
    clean, corrupted = trial.case.inputs["images"], trial.seen["corrupted"]
    target = _compared(trial)[1]
    if which == "clean":
        return is_same(target, clean)
    return any(is_same(target, noisy) for noisy in corrupted)


def _behaves_rescaled(trials: Sequence[Trial]) -> bool:
    return in_all(
        trials,
        lambda t: (
            _model_saw(t, "corrupted")
            and _target_is(t, "clean")
            and len(t.seen["compared"]) == 1
            and close(_compared(t)[0], t.expected["compared"][0][0])
        ),
    ) and in_any(trials, lambda t: not close(t.seen["loss"], t.expected["loss"]) and t.seen["gradient"].any())


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
        "backward_inside": lambda trials: any(t.error and "graph a second time" in t.error.text for t in trials),
        "two_losses": lambda trials: in_all(trials, lambda t: len(t.seen["compared"]) > 1),
        "corrupted_in_a_row": lambda trials: in_all(
            trials,
            lambda t: (
                len(t.seen["corrupted"]) > 1
                and is_same(t.seen["model_inputs"][0], t.seen["corrupted"][-1])
                and _target_is(t, "clean")
            ),
        ),
        "output_ignored": lambda trials: in_all(
            trials,
            lambda t: (
                bool(t.seen["model_inputs"] and t.seen["corrupted"])
                and is_same(_compared(t)[0], t.seen["corrupted"][0])
            ),
        ),
        "noisy_target": lambda trials: in_all(
            trials, lambda t: _model_saw(t, "corrupted") and _target_is(t, "corrupted")
        ),
        "clean_input": lambda trials: in_all(trials, lambda t: _model_saw(t, "clean") and _target_is(t, "clean")),
        "input_and_target_swapped": lambda trials: in_all(
            trials, lambda t: _model_saw(t, "clean") and _target_is(t, "corrupted")
        ),
        "corrupted_twice": lambda trials: in_all(
            trials, lambda t: len(t.seen["corrupted"]) > 1 and not _target_is(t, "clean")
        ),
        "noise_as_target": lambda trials: in_all(
            trials,
            lambda t: (
                bool(t.seen["corrupted"])
                and is_same(_compared(t)[1].abs(), (t.seen["corrupted"][0] - t.case.inputs["images"]).abs())
            ),
        ),
        "arguments_swapped": lambda trials: in_all(trials, lambda t: is_same(_compared(t)[0], t.case.inputs["images"])),
        "model_skipped": lambda trials: in_all(
            trials, lambda t: bool(t.seen["compared"]) and not t.seen["model_inputs"]
        ),
        "rescaled_loss": _behaves_rescaled,
        "own_loss": lambda trials: in_all(
            trials, lambda t: isinstance(t.seen["loss"], Tensor) and not t.seen["compared"]
        ),
        "left_in_eval_mode": lambda trials: in_any(trials, lambda t: t.seen["mode_after"] == "eval"),
        "without_gradient": lambda trials: in_all(
            trials,
            lambda t: _model_saw(t, "corrupted") and _target_is(t, "clean") and not t.seen["gradient"].any(),
        ),
    },
)
