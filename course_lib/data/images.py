"""`ImageData`: a set of images that lives in one uint8 tensor, with its labels, class names and known factors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImageData:
    """A labeled set of images.

    Attributes:
        name: what results are recorded under, for example "glyphs" or "mnist".
        images: uint8, (N, C, H, W).
        labels: int64, (N,); indices into `class_names`.
        class_names: one name per class.
        factors: known factors of variation, one (N,) tensor each; empty for real images.
    """

    name: str
    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    factors: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise ValueError(
                f"images must be uint8 of shape (N, C, H, W); got {self.images.dtype} of {tuple(self.images.shape)}."
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels must be int64 of shape ({len(self.images)},), one per image; "
                f"got {self.labels.dtype} of {tuple(self.labels.shape)}."
            )
        for key, value in self.factors.items():
            if value.shape != self.labels.shape:
                raise ValueError(f"factor {key!r} must hold one value per image; got shape {tuple(value.shape)}.")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = "x".join(str(size) for size in self.images.shape[1:])
        return (
            f"ImageData({self.name!r}, {len(self)} images of {shape}, {len(self.class_names)} classes, "
            f"{len(self.factors)} known factors, on {self.images.device})"
        )

    def subset(self, indices: Tensor) -> ImageData:
        """The images at `indices` (int64 positions or a boolean mask of length N), with their labels and factors.

        Raises:
            ValueError: `indices` are neither whole numbers nor a mask of the right length.
        """
        indices = torch.as_tensor(indices, device=self.labels.device)
        if indices.ndim == 1 and len(indices) == 0:
            indices = indices.to(torch.int64)
        if indices.ndim != 1 or indices.is_floating_point():
            raise ValueError(
                "indices must be a one-dimensional tensor of whole numbers, or a mask; "
                f"got {indices.dtype} of {tuple(indices.shape)}."
            )
        if indices.dtype == torch.bool and len(indices) != len(self):
            raise ValueError(f"the mask has {len(indices)} entries for {len(self)} images.")
        return dataclasses.replace(
            self,
            images=self.images[indices],
            labels=self.labels[indices],
            factors={key: value[indices] for key, value in self.factors.items()},
        )

    def to(self, device: torch.device | str) -> ImageData:
        """The same set with all its tensors on `device`."""
        return dataclasses.replace(
            self,
            images=self.images.to(device),
            labels=self.labels.to(device),
            factors={key: value.to(device) for key, value in self.factors.items()},
        )


def joined(parts: Sequence[ImageData]) -> ImageData:
    """All images of several sets of the same classes, one set after the other, without their factors.

    Raises:
        ValueError: no set, or sets of different classes.
    """
    if not parts or any(part.class_names != parts[0].class_names for part in parts):
        raise ValueError("give at least one set, and sets of the same classes only.")
    images, labels = torch.cat([p.images for p in parts]), torch.cat([p.labels for p in parts])
    return dataclasses.replace(parts[0], images=images, labels=labels, factors={})


def as_float(images: Tensor) -> Tensor:
    """uint8 images in 0..255 as float32 in [0, 1], same shape and device. Float images pass through as float32.

    >>> as_float(torch.tensor([[[[0, 255]]]], dtype=torch.uint8)).tolist()
    [[[[0.0, 1.0]]]]

    Raises:
        ValueError: the tensor is neither uint8 nor floating point, or is not of shape (N, C, H, W).
    """
    if images.ndim != 4:
        raise ValueError(f"images must have shape (N, C, H, W); got {tuple(images.shape)}. One image: image[None].")
    if images.is_floating_point():
        return images.to(torch.float32)
    if images.dtype != torch.uint8:
        raise ValueError(f"images must be uint8 (0..255) or float ([0, 1]); got {images.dtype}.")
    return images.to(torch.float32) / 255
