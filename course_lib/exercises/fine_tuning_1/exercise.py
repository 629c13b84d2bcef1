"""What several exercises of unit 06 share: cases and observers, beside the learner's code."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.exercises.contract import Case, seeded


def pretrain(module: nn.Module, generator: torch.Generator) -> None:
    """Weights and statistics as if they had been learned: nothing is left at the values that layers begin with."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator) + 0.1)
        for name, buffer in module.named_buffers():
            if name.endswith("num_batches_tracked"):
                buffer.fill_(7)
            else:
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))


def requires_grad(module: nn.Module) -> dict[str, int]:
    return {name: int(parameter.requires_grad) for name, parameter in module.named_parameters()}


class Stack(nn.Module):
    """Blocks of a linear layer and a normalization each, and a linear head."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        width = case.inputs["x"].shape[1]
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width)) for _ in range(case.inputs["blocks"])
        )
        self.head = nn.Linear(width, 3)
        pretrain(self, seeded(case.inputs["seed"]))
        self.to(case.inputs["x"].dtype).to(case.inputs["x"].device)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x)

    def parts(self) -> dict[str, nn.Module]:
        return {**{f"block {i}": block for i, block in enumerate(self.blocks)}, "head": self.head}

    def open_parts(self) -> dict[str, str]:
        """Part -> "open", "closed", or "partly" by the gradients of its parameters."""
        words = {1: "open", 0: "closed"}
        found = {name: set(requires_grad(part).values()) for name, part in self.parts().items()}
        return {name: words[flags.pop()] if len(flags) == 1 else "partly" for name, flags in found.items()}


def learn(model: Stack, case: Case, optimizer: torch.optim.Optimizer, steps: int = 1) -> dict[str, str]:
    """Part -> "moved", "stayed" or "partly": which of its weights one step of training changed."""
    before = {name: [p.detach().clone() for p in part.parameters()] for name, part in model.parts().items()}
    x = case.inputs["x"]
    for _ in range(steps):
        loss = F.cross_entropy(model(x), torch.arange(len(x), device=x.device) % 3)
        optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()
        optimizer.step()
    moved = {}
    for name, part in model.parts().items():
        flags = {not torch.equal(p.detach(), old) for p, old in zip(part.parameters(), before[name])}
        moved[name] = "partly" if len(flags) > 1 else "moved" if flags.pop() else "stayed"
    return moved
