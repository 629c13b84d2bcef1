"""`negative_elbo`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of
from course_lib.exercises.variational_autoencoders.exercise import backward, changed


def cases(seed: int) -> list[Case]:
    _, uniform, normal = drawing(seed)

    def case(name: str, *shape: int, latents: int = 3, beta: float = 1.0, gray: bool = False) -> Case:
        images = uniform(*shape) if gray else uniform(*shape).round()
        inputs = {"logits": 2 * normal(*shape), "images": images, "kl": 3 * uniform(shape[0], latents), "beta": beta}
        return Case(name, inputs)

    plain, collapsed = case("plain", 4, 1, 5, 7), case("collapsed", 5, 1, 4, 6, latents=2)
    perfect, confident = case("perfect", 4, 1, 6, 5, latents=5), case("confident", 3, 1, 6, 4)
    turned = changed(case("transposed", 3, 1, 4, 8, latents=4), lambda v: v.transpose(2, 3) if v.ndim == 4 else v)
    doubled = changed(case("float64", 6, 1, 3, 5, latents=2, beta=1.5), Tensor.double)
    twice = Case("twice_the_batch", changed(plain, lambda v: torch.cat([v, v])).inputs)
    collapsed.inputs["kl"].zero_()
    perfect.inputs["logits"] = 28 * perfect.inputs["images"] - 14  # costs nothing, and a plain log does not fail yet
    confident.inputs["logits"] *= 30
    others = [
        case("one", 1, 1, 6, 4, latents=6),
        case("color", 5, 3, 4, 6, latents=4),
        case("beta_zero", 3, 1, 4, 5, beta=0.0),
        case("beta_small", 4, 1, 6, 5, beta=0.25),
        case("beta_large", 3, 2, 5, 5, latents=5, beta=6.0),
        case("as_many_latents_as_images", 4, 1, 4, 5, latents=4, beta=2.0),
        case("gray", 4, 1, 5, 6, latents=1, gray=True),
    ]
    return [plain, twice, collapsed, perfect, *others, confident, turned, doubled]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    logits, kl = case.inputs["logits"].requires_grad_(), case.inputs["kl"].requires_grad_()
    loss = fn(logits, case.inputs["images"], kl, beta=case.inputs["beta"])
    if isinstance(loss, Tensor) and loss.numel() == 1:
        backward(loss)
    return {"loss": loss, "logits_gradient": gradient_of(logits), "kl_gradient": gradient_of(kl)}


exercise = Exercise(
    name="negative_elbo",
    title="The loss: reconstruction and KL, in the same unit",
    signature="negative_elbo(logits, images, kl, *, beta=1.0)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "Both terms are numbers per image before anything is averaged: cross-entropy summed over its pixels, KL "
            "summed over its latents. Weigh the second by `beta`, add them, and only then take the mean over images."
        ),
        api=(
            '`F.binary_cross_entropy_with_logits(..., reduction="none")`, `Tensor.flatten(1)`, `Tensor.sum(dim=1)`, '
            "`Tensor.mean`"
        ),
        skeleton=(
            "per_pixel = F.binary_cross_entropy_with_logits(..., ..., reduction=...)  # (N, C, H, W)\n"
            "reconstruction = per_pixel...   # (N,)\n"
            "cost = kl...                    # (N,)\n"
            "return (... + beta * ...)...    # one number"
        ),
    ),
    takeaway=(
        "Summed over pixels, summed over latents, averaged over images: both terms are nats per image, and `beta` says "
        "what a nat of code is worth in nats of picture."
    ),
    cases=cases,
    observe=observe,
)
