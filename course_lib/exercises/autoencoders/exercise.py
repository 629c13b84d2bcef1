"""What several exercises of unit 01 share: a network that notes how it is used, beside the learner's code."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, seeded
from course_lib.exercises.observing import mode_of


class Stateful(nn.Module):
    """Batch normalization and dropout, which behave differently in train mode, and a record of every call."""

    def __init__(self, channels: int, out_channels: int, seed: int, *, pool: bool) -> None:
        super().__init__()
        generator = seeded(seed)
        self.conv = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.dropout = nn.Dropout(0.3)
        self.pool = pool
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randn(p.shape, generator=generator) * 0.5)
            self.norm.get_buffer("running_mean").copy_(torch.randn(out_channels, generator=generator) * 0.2)
            self.norm.get_buffer("running_var").copy_(torch.rand(out_channels, generator=generator) + 0.5)
        self.batch_sizes: list[int] = Diary()
        self.modes: list[str] = Diary()
        self.recording: list[str] = Diary()

    def forward(self, x: Tensor) -> Tensor:
        self.batch_sizes.append(len(x))
        self.modes.append(mode_of(self.norm))
        self.recording.append("on" if torch.is_grad_enabled() else "off")
        x = self.dropout(self.norm(self.conv(x)))
        return x.relu().mean(dim=(2, 3)) if self.pool else x.sigmoid()

    def state(self) -> dict[str, Any]:
        """Where it stands after a call: raw values."""
        return {
            "mode_after": mode_of(self),
            "modes": list(self.modes),
            "gradients_during": "+".join(sorted(set(self.recording))),
            "batch_sizes": list(self.batch_sizes),
            "running_mean_after": self.norm.get_buffer("running_mean").clone(),
            "weights_require_grad_after": [int(p.requires_grad) for p in self.parameters()],
            "gradients_after": [int(p.grad is not None) for p in self.parameters()],
            "grad_mode_after": int(torch.is_grad_enabled()),
        }


def stateful(case: Case, channels: int, *, pool: bool) -> Stateful:
    images = case.inputs["images"]
    out_channels = case.inputs.get("feature_dim", channels)
    model = Stateful(channels, out_channels, case.inputs["seed"], pool=pool).to(images.device, images.dtype)
    model.train(case.inputs["mode_before"] == "train")
    return model
