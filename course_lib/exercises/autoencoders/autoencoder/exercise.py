"""`Autoencoder`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.autoencoders.exercise import WORDS, gradients, squashed
from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing


def cases(seed: int) -> list[Case]:
    generator, draw, _ = drawing(seed)
    n = torch.randint(0, 4, (9,), generator=generator).tolist()  # sizes are drawn too
    pictures = draw(7 + n[0], 1, 4, 4 + n[1] % 3 * 2).round().repeat_interleave(2, 2).repeat_interleave(2, 3)
    return [
        Case("gray", {"images": draw(4 + n[2], 1, 28, 28), "code_dim": 6 + 2 * n[3]}),
        Case("color_wide", {"images": draw(3 + n[4], 3, 12, 16 + 4 * n[5]), "code_dim": 4 + n[6]}),
        Case("one", {"images": draw(1, 1, 8 + 4 * n[7], 12), "code_dim": 1}),
        Case("transposed", {"images": draw(3, 2, 16, 8).transpose(2, 3), "code_dim": 4 + n[8]}),
        Case("learning", {"images": pictures, "code_dim": 6}),
    ]


def observe(make: Callable[..., Any], case: Case) -> Values:
    images, code_dim = case.inputs["images"], case.inputs["code_dim"]
    model = make(tuple(images.shape[1:]), code_dim)
    as_made = {id(parameter) for parameter in model.parameters()}
    if case.name == "color_wide":  # a second network of another shape must not change the first
        make((1, *images.shape[:1:-1]), code_dim + 1)
    model.to(images.device).eval()
    with torch.no_grad():
        codes = model.encode(images)
        seen = {"x_hat": model(images), "codes": codes}
        model.encode(torch.zeros_like(images))  # a decoder that peeks at what the encoder saw last now shows
        seen["decoded"] = model.decode(codes)
        seen |= squashed(model, images, model.decode, codes, far=case.name == "color_wide")
    seen["made_late"] = sum(id(p) not in as_made for p in model.parameters())
    seen |= gradients(model, images)
    if case.name == "learning":
        seen["outputs"] = _learn(model, images)
    return {**seen, "images_after": images}


def _learn(model: nn.Module, images: Tensor) -> list[Tensor]:
    """The output for a few pictures before and after some steps, small ones for networks of any size."""
    on_cpu = images.device.type == "cpu"  # there, one kernel for all of Adam's arithmetic takes half the time
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=on_cpu)
    outputs = []
    for _ in range(11):  # ten steps, and a look at what they did
        outputs.append(model(images))
        optimizer.zero_grad()
        (outputs[-1] - images).pow(2).mean().backward()
        optimizer.step()
    return [outputs[0], outputs[-1]]


exercise = Exercise(
    name="Autoencoder",
    title="An encoder, a narrow code, a decoder",
    signature="Autoencoder(image_shape, code_dim)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Everything that the decoder learns about an image must pass through `code_dim` numbers. The encoder "
            "flattens and narrows, the decoder widens again; a last squashing function keeps pixels between 0 and 1."
        ),
        api="`nn.Sequential`, `nn.Flatten`, `nn.Linear`, `nn.ReLU`, `nn.Sigmoid`, `nn.Unflatten`, `math.prod`",
        skeleton=(
            "num_pixels = math.prod(image_shape)\n"
            "self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, 256), ..., nn.Linear(..., code_dim))\n"
            "self.decoder = nn.Sequential(nn.Linear(code_dim, ...), ..., nn.Linear(..., ...), ..., "
            "nn.Unflatten(1, ...))\n# encode: the encoder's output; decode: the decoder's; forward: one after the other"
        ),
    ),
    takeaway="The narrow code is the whole idea: a network that could copy its input would have nothing to learn.",
    cases=cases,
    observe=observe,
    words={
        **WORDS,
        "codes": "the result of `encode`",
        "decoded": "the result of `decode`",
        "outputs": "the list of the results of `forward` before and after some training",
    },
    inputs_shown=("images",),
)
