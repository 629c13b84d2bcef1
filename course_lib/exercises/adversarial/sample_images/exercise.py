"""`sample_images`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Exercise, Hints, Values, seeded
from course_lib.exercises.observing import mode_of


def cases(seed: int) -> list[Case]:
    draw = seeded(seed)
    n = torch.randint(0, 5, (4,), generator=draw).tolist()

    def case(name: str, count: int, code_dim: int, mode: str, part: str) -> Case:
        weight = torch.randn(4, code_dim, generator=draw)
        inputs = {"count": count, "code_dim": code_dim, "mode_before": mode, "mode_of_a_part": part}
        return Case(name, inputs | {"weight": weight, "seed": int(torch.randint(2**31, (), generator=draw))})

    return [
        case("plain", 700 + n[0], 9, "train", "train"),
        case("in_eval_mode", 40 + n[1], 3 + n[2], "eval", "eval"),
        case("part_in_eval_mode", 30 + n[3], 5, "train", "eval"),
        case("one", 1, 7, "train", "train"),
    ]


class Drawing(nn.Module):
    """A generator whose images are 2 x 2 x 1: linear in the codes, which it keeps; dropout shows train mode."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(weight.shape[1], 4, bias=False)
        self.norm, self.dropout = nn.BatchNorm1d(4), nn.Dropout(0.5)
        with torch.no_grad():
            self.linear.weight.copy_(weight)
            self.norm.get_buffer("running_mean").fill_(0.3)
        self.codes: list[Tensor] = Diary()
        self.modes: list[str] = Diary()
        self.recording: list[str] = Diary()

    def forward(self, codes: Tensor) -> Tensor:
        self.codes.append(codes.detach().clone())
        self.modes.append("+".join(sorted({mode_of(part) for part in (self, self.norm, self.dropout)})))
        self.recording.append("on" if torch.is_grad_enabled() else "off")
        x = self.linear(codes)
        if len(codes) > 1 or not self.norm.training:
            x = self.norm(x)
        return self.dropout(x).sigmoid().unflatten(1, (1, 2, 2))


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    network = Drawing(given["weight"]).to(given["weight"].device)
    network.train(given["mode_before"] == "train")
    network.norm.train(given["mode_of_a_part"] == "train")
    modes = [module.training for module in network.modules()]
    rng, again = seeded(given["seed"]), seeded(given["seed"])
    torch_before = torch.get_rng_state()
    first = fn(network, given["count"], given["code_dim"], rng=rng)
    untouched = torch.equal(torch_before, torch.get_rng_state())
    codes = torch.cat([torch.zeros(0, given["code_dim"]), *(some.cpu() for some in network.codes)])
    second = fn(network, given["count"], given["code_dim"], rng=rng)
    torch.manual_seed(given["seed"] % 1000)
    repeated = fn(network, given["count"], given["code_dim"], rng=again)
    with torch.no_grad():
        expected = Drawing(given["weight"].cpu()).eval()(codes)
    return {
        "images": first,
        "images_of_the_first_codes": expected,
        "next_images": second,
        "images_of_the_same_seed": repeated,
        "codes": codes,
        "weights_before": given["weight"],
        "modes_during": "/".join(sorted(set(network.modes))),
        "modes_before": [int(mode) for mode in modes],
        "modes_after": [int(module.training) for module in network.modules()],
        "gradients_during": "+".join(sorted(set(network.recording))),
        "images_require_grad": int(isinstance(first, Tensor) and first.requires_grad),
        "weights_require_grad_after": [int(parameter.requires_grad) for parameter in network.parameters()],
        "global_generator": "untouched" if untouched else "used",
    }


exercise = Exercise(
    name="sample_images",
    title="New images from a generator, in eval mode",
    signature="sample_images(generator, count, code_dim, *, rng)",
    minutes=8,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "Draw one standard normal code per image, and let the network decode them. A picture should not depend on "
            "the other pictures in its batch, so batch normalization has to use its running statistics."
        ),
        api="`torch.randn(..., generator=rng)`, `with eval_mode(generator):`, `torch.no_grad()`",
        skeleton=(
            "codes = torch.randn(..., ..., generator=rng)  # (count, code_dim)\n"
            "with eval_mode(...), torch....():\n"
            "    return generator(codes.to(...))"
        ),
    ),
    takeaway=(
        "Sampling leaves no trace: no gradients, the mode as it was, and all randomness from the `rng` that is passed."
    ),
    cases=cases,
    observe=observe,
    words={
        "images": "the tensor of images that you return",
        "images_of_the_first_codes": "the tensor of images that your first codes give in eval mode",
        "next_images": "the tensor of images of a second call",
        "images_of_the_same_seed": "the tensor of images of a third call, with a new `rng` of the first one's seed",
        "codes": "the tensor of codes that reaches the network",
        "weights_before": "the tensor of the network's weights before the calls",
        "modes_during": "the mode of the network while it draws",
        "modes_before": "the list of the modes of the network's parts before the calls (1 is train)",
        "modes_after": "the list of the modes of the network's parts after the calls (1 is train)",
        "gradients_during": "the recording of gradients while the network draws",
        "images_require_grad": "`requires_grad` of the images",
        "weights_require_grad_after": "`requires_grad` of the network's weights after the calls",
        "global_generator": "the state of torch's global generator",
    },
    inputs_shown=("mode_before", "mode_of_a_part"),
)
