"""What several exercises of unit 06 share: cases and observers, beside the learner's code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Diary, seeded


def whole_numbers(generator: torch.Generator) -> Callable[[int, int], int]:
    """A function that draws a whole number, both ends included."""
    return lambda low, high: int(torch.randint(low, high + 1, (), generator=generator))


class Changing(nn.Module):
    """Stands for a network in training: set to a number, all its weights and statistics are others."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(3, 2), nn.BatchNorm1d(2)

    def set_to(self, number: int) -> None:
        generator = seeded(number)
        for value in self.state_dict().values():
            value.copy_(100 * torch.rand(value.shape, generator=generator))


class Pretrained(nn.Module):
    """An encoder and a head, as a network that is fine-tuned has them."""

    def __init__(self, encoder: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


def set_values(module: nn.Module, generator: torch.Generator, scale: float = 1.0) -> None:
    """Draws all floating-point parameters and buffers of a module, variances above zero, from a CPU generator."""
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if not value.is_floating_point():
                continue
            drawn = scale * torch.randn(value.shape, generator=generator)
            value.copy_(0.5 + drawn.abs() if name.endswith("running_var") else drawn)


def flat(tensors: Any) -> Tensor:
    """Numbers of all tensors in one double vector: a copy of what they are now."""
    parts = [torch.zeros(0, dtype=torch.float64)]
    parts += [tensor.detach().double().cpu().flatten() for tensor in tensors]
    return torch.cat(parts)


def gradients_of(module: nn.Module) -> Tensor:
    """The gradients of all parameters in one vector, 0 where there is none."""
    return flat(torch.zeros_like(p) if p.grad is None else p.grad for p in module.parameters())


def parts_of(model: Any) -> dict[str, Tensor]:
    """All numbers of encoder, running statistics and head as they are now."""
    parts = {"encoder": model.encoder.parameters(), "statistics": model.encoder.buffers()}
    return {part: flat(tensors) for part, tensors in {**parts, "head": model.head.parameters()}.items()}


class WatchedBatches:
    """Batches that can be gone through again and again, and note the network's values whenever one is fetched."""

    def __init__(self, images: Tensor, labels: Tensor, size: int, model: nn.Module) -> None:
        self.batches, self.model = list(zip(images.split(size), labels.split(size), strict=True)), model
        self.diary: list[dict[str, Tensor]] = Diary()

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in self.batches:
            self.diary.append(parts_of(self.model))
            yield images.clone(), labels.clone()
