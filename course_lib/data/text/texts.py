"""A labeled set of short texts."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class TextData:
    """A labeled set of short texts.

    Attributes:
        name: what results are recorded under, such as "docstrings".
        snippets: one tuple of lower-case words per text, N of them.
        labels: int64, (N,); indices into `class_names`.
        files: the file that each text comes from, such as "scipy/stats/_qmc.py".
        class_names: one name per class.
        versions: library -> the version that was read.
    """

    name: str
    snippets: tuple[tuple[str, ...], ...]
    labels: Tensor
    files: tuple[str, ...]
    class_names: tuple[str, ...]
    versions: dict[str, str]

    def __post_init__(self) -> None:
        if self.labels.dtype != torch.int64 or self.labels.shape != (len(self.snippets),):
            raise ValueError(
                f"labels must be int64 of shape ({len(self.snippets)},), one per text; "
                f"got {self.labels.dtype} of {tuple(self.labels.shape)}."
            )
        if len(self.files) != len(self.snippets):
            raise ValueError(f"there are {len(self.snippets)} texts but {len(self.files)} files; give one per text.")

    def __len__(self) -> int:
        return len(self.snippets)

    def __repr__(self) -> str:
        return (
            f"TextData({self.name!r}, {len(self):,} texts from {len(set(self.files)):,} files, "
            f"{len(self.class_names)} classes)"
        )

    @property
    def texts(self) -> list[str]:
        """Each text as one string, its words separated by blanks: what scikit-learn's vectorizers take."""
        return [" ".join(words) for words in self.snippets]

    def subset(self, positions: Tensor) -> TextData:
        """The texts at these int64 positions, with their labels and files."""
        chosen = positions.tolist()
        return dataclasses.replace(
            self,
            snippets=tuple(self.snippets[k] for k in chosen),
            labels=self.labels[positions],
            files=tuple(self.files[k] for k in chosen),
        )
