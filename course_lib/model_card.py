"""The model card: what a model learned from, how good it is with an interval, and what its author has to add.

Source: Mitchell et al., "Model Cards for Model Reporting", 2019.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

TO_WRITE = "*To be written.*"


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """Wilson's confidence interval of an accuracy, at 95 %: both ends, from 0 to 1.

    >>> [round(end, 3) for end in wilson_interval(90, 100)]
    [0.826, 0.945]

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.

    Raises:
        ValueError: not 0 to `total` right ones, or no image.
    """
    if not 0 <= right <= total or total < 1:
        raise ValueError(f"{right} of {total} are right; 0 to {max(total, 1)} of at least one image is expected.")
    from scipy.stats import binomtest  # slow to import

    low, high = binomtest(right, total).proportion_ci(method="wilson")
    return float(low), float(high)


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model. `markdown` writes it down.

    Attributes:
        name: of the model.
        data: of the data set, and how it was split.
        chosen: the configuration, and among how many it was chosen by which images.
        right, total: of the test images.
        shape: (C, H, W) of the images.
        class_names: in the order of the probabilities.
        recall: by class, the share of its test images that are predicted rightly.
        temperature: what the logits are divided by; 1 is none.
        labels, validation: labeled images that it was trained on, and that it was chosen with.
        written: answers of the author by the headings of `QUESTIONS`.
    """

    name: str
    data: str
    chosen: str
    right: int
    total: int
    shape: tuple[int, ...]
    class_names: tuple[str, ...]
    recall: Mapping[str, float]
    labels: int
    validation: int
    temperature: float = 1.0
    written: Mapping[str, str] = field(default_factory=dict)

    def markdown(self) -> str:
        """The card as Markdown; what only the author can know is marked as to be written."""
        accuracy, (low, high) = self.right / self.total, wilson_interval(self.right, self.total)
        worst = sorted(self.recall, key=self.recall.__getitem__)[:2]
        rows = {
            "Input": f"uint8 images, {' x '.join(map(str, self.shape))} (channels, height, width)",
            "Output": f"probabilities of {len(self.class_names)} classes: {', '.join(self.class_names)}",
            "Data": self.data,
            "Labels": f"{self.labels} to train on, and {self.validation} to choose with",
            "Chosen": self.chosen,
            "Test accuracy": f"{accuracy:.1%} of {self.total:,} images, 95 % interval {low:.1%} to {high:.1%}",
            "Worst classes": ", ".join(f"{name} ({self.recall[name]:.0%} found)" for name in worst),
            "Temperature": "none" if self.temperature == 1 else f"{self.temperature:.2f}, fitted on validation images",
            "Versions": f"Python {platform.python_version()}, torch {torch.__version__}",
        }  # fmt: skip
        lines = [f"# {self.name}", "", "| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows.items())]
        for heading, question in QUESTIONS.items():
            lines += ["", f"## {heading}", "", f"*{question}*", "", self.written.get(heading) or TO_WRITE]
        return "\n".join(lines) + "\n"


# What a program cannot fill in.
QUESTIONS = {
    "Intended use": "What is it for, and what is it not for?",
    "Limits": "On which images was it not tested, and what happens there?",
    "How the number came about": "What was tried, who chose, and how often were the test images looked at?",
}
