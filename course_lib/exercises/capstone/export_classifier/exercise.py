"""`export_classifier`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from course_lib.exercises.capstone.exercise import Exporter, described, small_classifier
from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.observing import dtype_name, mode_of, state_of


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, shape: tuple[int, ...], classes: int, temperature: float, mode: str = "train") -> Case:
        def pixels(count: int) -> torch.Tensor:
            return torch.randint(0, 256, (count, *shape), generator=generator).to(torch.uint8)

        inputs: Values = {"images": pixels(2), "unseen": pixels(5), "temperature": temperature, "mode_before": mode}
        inputs["unseen"][1] //= 8  # a dark one
        return Case(name, inputs | {"classes": classes, "seed": int(torch.randint(2**31, (), generator=generator))})

    t = 1.5 + float(torch.rand((), generator=generator))
    return [
        case("plain", (1, 8, 8), 4, 1.0),
        case("temperature", (1, 6, 6), 5, t),
        case("below_one", (1, 6, 6), 3, 0.5, "eval"),
        case("color", (3, 6, 9), 6, 2.0),
        case("partly_frozen", (1, 7, 5), 4, 3.0, "mixed"),
    ]


def _set_mode(model: nn.Sequential, mode: str) -> None:
    model.train(mode != "eval")
    if mode == "mixed":
        model[1].eval()  # a frozen normalization


def _modes(model: nn.Module) -> str:
    return " ".join(mode_of(part) for part in model.modules())


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given, exporter = case.inputs, Exporter()
    model = small_classifier(given["images"].shape[1], given["classes"], given["seed"] % 10_007)
    _set_mode(model, given["mode_before"])
    before, modes = state_of(model), _modes(model)
    options = {} if given["temperature"] == 1.0 else {"temperature": given["temperature"]}
    result = fn(model, given["images"], **options, export=exporter)
    seen: Values = {"returned": described(result, exporter), "exports": len(exporter.programs)}
    seen |= dict.fromkeys(("together", "alone", "modes", "example", "dynamic"), "nothing exported")
    if exporter.programs:
        program = exporter.programs[-1]
        alone = [program.run(given["unseen"][k : k + 1]) for k in range(5)]
        seen["together"] = program.run(given["unseen"])
        seen["alone"] = torch.cat(alone) if all(isinstance(one, torch.Tensor) for one in alone) else alone[0]
        seen |= {"modes": program.modes, "example": dtype_name(program.example), "dynamic": program.dynamic}
    seen |= {"modes_before": modes, "modes_after": _modes(model)}
    return seen | {"state_before": before, "state_after": state_of(model)}


exercise = Exercise(
    name="export_classifier",
    title="A classifier exported for any batch, from bytes to probabilities",
    signature="export_classifier(model, images, *, temperature=1.0, export)",
    minutes=30,
    difficulty=3,
    points=8,
    hints=Hints(
        concept=(
            "Write a small module that holds the model. Its `forward` takes uint8 images, divides them by 255, divides "
            "the logits by the temperature and applies the softmax. Put a copy of the model into it, so that eval mode "
            "does not reach the original, and export it with the first dimension dynamic."
        ),
        api=(
            "`copy.deepcopy(model)`, `module.eval()`, `Tensor.float()`, `Tensor.softmax(dim=1)`, "
            "`torch.export.Dim.DYNAMIC`, `export(module, (images,), dynamic_shapes=({0: ...},))`"
        ),
        skeleton=(
            "class Exportable(nn.Module):\n"
            "    def __init__(self, classifier):\n"
            "        super().__init__()\n"
            "        self.classifier = classifier\n\n"
            "    def forward(self, images):\n"
            "        logits = self.classifier(images.float() / ...)\n"
            "        return (logits / ...).softmax(dim=...)\n\n"
            "module = Exportable(copy.deepcopy(...))....()  # eval mode\n"
            "return export(module, (...,), dynamic_shapes=({...: torch.export.Dim.DYNAMIC},))"
        ),
    ),
    takeaway=(
        "Everything between the bytes of a picture and the probabilities is inside the program, so no user can forget "
        "the division or the temperature."
    ),
    cases=cases,
    observe=observe,
    may_change=("model",),  # a criterion looks at it
    on_gpu=False,
    words={
        "returned": "the kind of thing that you return", "exports": "the number of exports",
        "example": "the dtype of the example", "together": "the tensor of probabilities of five images in one batch",
        "alone": "the tensor of probabilities of five images, each alone",
        "modes": "the mode that is exported", "dynamic": "the list of dynamic dimensions",
        "modes_before": "the modes of the model before", "modes_after": "the modes of the model afterwards",
        "state_before": "the state of the model before", "state_after": "the state of the model afterwards",
    },
    inputs_shown=("mode_before",),
)  # fmt: skip
