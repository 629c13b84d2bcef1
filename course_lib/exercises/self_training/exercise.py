"""The networks that answers of unit 07 are tried on: they note what they are asked."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Values, drawing
from course_lib.exercises.observing import mode_of


def modes_of(*models: nn.Module) -> list[bool]:
    """Whether each module is in train mode: networks and all their parts."""
    return [part.training for model in models for part in model.modules()]


class Watched(nn.Sequential):
    """Layers, one after the other, that note every batch, the mode, the logits and the gradient they received."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__(OrderedDict(layers))
        self.diary: list[Values] = Diary()

    def forward(self, x: Tensor) -> Tensor:
        gradients = "on" if torch.is_grad_enabled() else "off"
        entry: Values = {"images": x.detach().clone(), "mode": mode_of(self), "gradients": gradients}
        logits = super().forward(x.flatten(1))
        entry["logits"] = logits.detach().clone()
        if logits.requires_grad:
            logits.register_hook(lambda gradient: entry.__setitem__("gradient", gradient.detach().clone()))
        self.diary.append(entry)
        return logits


def classifier(case: Case) -> Watched:
    """A network whose running statistics are far from those of any batch, so that its mode shows in its answers."""
    _, uniform, normal = drawing(case.inputs["seed"])
    pixels, classes = case.inputs["images"][0].numel(), case.inputs["num_classes"]
    model = Watched(
        linear=nn.Linear(pixels, classes), norm=nn.BatchNorm1d(classes), last=nn.Sequential(nn.Dropout(0.5))
    )
    state = {"linear.weight": 3 * normal(classes, pixels) / pixels**0.5, "linear.bias": normal(classes)}
    state |= {"norm.running_mean": normal(classes), "norm.running_var": 0.5 + uniform(classes)}
    model.load_state_dict(state, strict=False)
    return model.to(case.inputs["images"].device)


def student(case: Case) -> Watched:
    """A frozen layer, dropout, and a head that can be trained."""
    normal = drawing(case.inputs["seed"]).normal
    pixels, classes = case.inputs["images"][0].numel(), case.inputs["num_classes"]
    model = Watched(body=nn.Linear(pixels, 16), tanh=nn.Tanh(), dropout=nn.Dropout(0.5), head=nn.Linear(16, classes))
    for weight in model.parameters():
        weight.data.copy_(1.5 * normal(*weight.shape) / weight.shape[-1] ** 0.5)
    model.get_submodule("body").requires_grad_(False)
    return model.to(case.inputs["images"].device)
