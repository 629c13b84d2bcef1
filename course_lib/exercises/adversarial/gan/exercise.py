"""`GAN`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.adversarial.exercise import WORDS_OF_GAN, seen_of_networks, seen_of_steps
from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing

STEPS = 3  # how often `step` is called, so that gradients can pile up


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    n = torch.randint(0, 4, (6,), generator=generator).tolist()

    def networks(name: str, shape: tuple[int, ...], code_dim: int) -> Case:
        return Case(name, {"images": uniform(5, *shape), "codes": normal(5, code_dim), "optimizer": "none"})

    def steps(name: str, shape: tuple[int, ...], counts: tuple[int, int], optimizer: str, mode: str = "train") -> Case:
        images, codes = uniform(STEPS * counts[0], *shape), normal(STEPS * counts[1], 3 + n[0])
        given: Values = {"images": images, "codes": codes, "optimizer": optimizer, "mode_before": mode}
        return Case(name, given | {"seed": int(torch.randint(2**31, (), generator=generator))})

    double = steps("double", (1, 4, 8), (5, 5), "adam")
    double.inputs.update({key: double.inputs[key].double() for key in ("images", "codes")})
    return [
        networks("gray", (1, 28, 28), 8 + n[1]),
        networks("color_wide", (3, 12, 16 + 4 * n[2]), 4 + n[3]),
        steps("plain", (1, 8, 4), (6 + n[4], 6 + n[4]), "sgd"),
        steps("more_codes", (2, 4, 4), (4, 9), "sgd"),
        steps("momentum", (1, 4, 12), (7, 5 + n[5]), "momentum"),
        double,
        steps("in_eval_mode", (1, 4, 8), (6, 6), "sgd", "eval"),
    ]


def observe(make: Callable[..., Any], case: Case) -> Values:
    images, codes = case.inputs["images"], case.inputs["codes"]
    gan = make(tuple(images.shape[1:]), codes.shape[1])
    return seen_of_networks(gan, images, codes) if "seed" not in case.inputs else seen_of_steps(gan, case, STEPS)


exercise = Exercise(
    name="GAN",
    title="Two networks and one alternating step",
    signature="GAN(image_shape, code_dim)",
    minutes=30,
    difficulty=3,
    points=8,
    hints=Hints(
        concept=(
            "The generator is a decoder that ends in a sigmoid, and the discriminator is a classifier with one logit. "
            "First the discriminator learns from real images and from generated ones, which are cut off from the "
            "generator. Then the generator learns through the discriminator as it is now."
        ),
        api=(
            "`nn.Sequential`, `nn.Unflatten`, `nn.Upsample`, `nn.Conv2d`, `nn.BatchNorm2d`, `nn.LeakyReLU`, "
            "`nn.Flatten(0)`, `Tensor.detach()`, `optimizer.zero_grad()`"
        ),
        skeleton=(
            "self.train()\n"
            "fake = self.generator(codes)\n"
            "d_loss = discriminator_loss(self.discriminator(images), self.discriminator(fake....()))\n"
            "discriminator_optimizer....(); d_loss....(); discriminator_optimizer....()\n"
            "g_loss = generator_loss(self.discriminator(...))\n"
            "...  # the same three calls, for the generator\n"
            "return d_loss.item(), ..."
        ),
    ),
    takeaway=(
        "Two losses, two optimizers and one `detach`: each network learns from its own loss alone, although both "
        "losses pass through the discriminator."
    ),
    cases=cases,
    observe=observe,
    uses=("discriminator_loss", "generator_loss"),
    words=WORDS_OF_GAN,
    inputs_shown=("images", "codes", "optimizer", "mode_before"),
)
