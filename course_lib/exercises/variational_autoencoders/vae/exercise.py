"""`VAE`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import two_values
from course_lib.exercises.variational_autoencoders.exercise import Draws, in_train_mode, learned, sampled, scaled


def cases(seed: int) -> list[Case]:
    generator, draw, normal = drawing(seed)
    n = torch.randint(0, 4, (6,), generator=generator).tolist()  # sizes are drawn too
    kinds = draw(6, 1, 4, 4).round().repeat_interleave(2, 2).repeat_interleave(2, 3)
    pictures = (kinds.repeat(4, 1, 1, 1) - (draw(24, 1, 8, 8) < 0.05).float()).abs()

    def case(name: str, images: Tensor, code_dim: int, count: int) -> Case:
        codes = 2 * normal(len(images), code_dim)
        return Case(name, {"images": images, "code_dim": code_dim, "codes": codes, "count": count, "seed": seed})

    return [
        case("gray", draw(4 + n[0], 1, 28, 28).round(), 16 + n[1], 3),
        case("color_wide", draw(3 + n[2], 3, 8, 12).round(), 4 + n[3], 2),
        case("one", draw(1, 1, 12, 8).round(), 1, 1),
        case("transposed", draw(3 + n[4], 2, 8, 4).transpose(2, 3).round(), 5 + n[5], 400),
        case("learning", pictures, 6, 2),
    ]


def observe(make: Callable[..., Any], case: Case) -> Values:
    images, code_dim, codes = case.inputs["images"], case.inputs["code_dim"], case.inputs["codes"]
    model = make(tuple(images.shape[1:]), code_dim)
    as_made = {id(parameter) for parameter in model.parameters()}
    if case.name == "color_wide":  # a second network of another shape must not change the first
        make((1, *images.shape[:1:-1]), code_dim + 1)
    model.to(images.device).eval()
    draws = Draws(codes)
    with torch.no_grad():
        seen = two_values(model.encode(images), "mu", "logvar")
        result = model(images, draws)
        triple = isinstance(result, (tuple, list)) and len(result) == 3
        seen |= dict(zip(("logits", "returned_mu", "returned_logvar"), result)) if triple else {"result": result}
        model.encode(torch.zeros_like(images))  # a decoder that peeks at what the encoder saw last now shows
        seen |= {"drawn_from": draws.given, "decoded": model.decode(codes)}
        seen["of_the_prior"] = model.decode(torch.randn(case.inputs["count"], code_dim).to(codes)).sigmoid()
        with scaled(model, 8.0):
            seen["large_logits"] = model.decode(codes)
    seen |= sampled(model, case.inputs["count"], case.inputs["seed"])
    seen["made_late"] = sum(id(parameter) not in as_made for parameter in model.parameters())
    if len(images) > 1:  # one is too few for batch normalization in train mode
        seen |= in_train_mode(model, images)
    if case.name == "learning":
        seen["bounds"] = learned(model, images)
    return {**seen, "images_after": images}


exercise = Exercise(
    name="VAE",
    title="The whole model: two heads, a draw, a decoder, and images from noise",
    signature="VAE(image_shape, code_dim)",
    minutes=25,
    difficulty=3,
    points=6,
    hints=Hints(
        concept=(
            "The encoder is one body with two linear heads, or with one head of twice the length that is cut in two. "
            "`forward` only connects: encode, draw, decode. `sample` needs no image: its codes come from the prior."
        ),
        api="`nn.Linear`, `Tensor.chunk(2, dim=1)`, `torch.randn(..., generator=generator)`, `eval_mode`, `sigmoid`",
        skeleton=(
            "# forward\nmu, logvar = self.encode(images)\nreturn self.decode(draw(..., ...)), mu, logvar\n# sample\n"
            "z = torch.randn(count, ..., generator=generator).to(next(self.parameters()))\n"
            "with eval_mode(self), torch.no_grad():\n    return self.decode(...)..."
        ),
    ),
    takeaway="Encode, draw, decode. Without the encoder, the same decoder draws new images from noise.",
    cases=cases,
    observe=observe,
    words={
        "mu": "the first result of `encode`",
        "logvar": "the second result of `encode`",
        "sample": "the result of `sample`",
        "logits": "the first result of `forward`",
        "returned_mu": "the second result of `forward`",
        "returned_logvar": "the third result of `forward`",
        "drawn_from": "the list of what `draw` was called with",
        "decoded": "the result of `decode`",
        "of_the_prior": "the images that `decode` gives for codes from the prior",
        "large_logits": "the result of `decode` with large weights",
        "modes_after": "the list of the modes before and after `sample`",
        "sample_requires_grad": "`requires_grad` of the result of `sample`",
        "next_sample": "the result of a second call of `sample`",
        "made_late": "the number of parameters that come with the first images",
        "unknown_weights": "the number of weights that are not among the model's parameters",
        "gradient_sums": "the list of the gradients that reach the parameters",
        "draws_in_train_mode": "the number of calls of `draw` in train mode",
        "images_after": "your argument `images` after the call",
        "bounds": "the list of the bounds during some training",
    },
    inputs_shown=("images",),
)
