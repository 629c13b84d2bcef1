"""Texts and encoders from the Hugging Face hub, for those who are online; the course does not need them.

The packages `datasets` and `transformers` are not among the course's own. They are imported inside the functions.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_lib import settings
from course_lib.data.errors import DataNotFound
from course_lib.data.text.cleaning import words_of
from course_lib.data.text.texts import TextData

_ADVICE = (
    "Without it, the same exercise runs offline on the docstrings of installed libraries: "
    "course_lib.data.text.load_docstrings()."
)


def load_hub_texts(
    name: str | os.PathLike[str] = "fancyzhx/ag_news",
    *,
    split: str = "train",
    n: int | None = None,
    seed: int = 0,
    text: str = "text",
    label: str = "label",
) -> TextData:
    """Texts with labels from the hub, or from a local folder of files that `datasets.load_dataset` reads.

    Args:
        name: of the data set, such as "fancyzhx/ag_news" (120,000 news in four classes), or a folder.
        split: "train" or "test".
        n: at most so many, drawn at random; None takes all.
        seed: of the draw.
        text, label: the columns; labels are whole numbers, or names.

    Raises:
        DataNotFound: the package is missing, or the data set cannot be fetched. The message names what works offline.
        ValueError: it has no such column.
    """
    datasets = _package("datasets")
    try:
        rows = datasets.load_dataset(os.fspath(name), split=split)
    except Exception as error:  # many kinds, of several packages
        raise DataNotFound(f"The data set {os.fspath(name)!r} could not be loaded ({error}). {_ADVICE}") from error
    missing = [column for column in (text, label) if column not in rows.column_names]
    if missing:
        raise ValueError(f"{os.fspath(name)!r} has the columns {', '.join(rows.column_names)}, not {missing[0]!r}.")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()[:n]
    chosen = rows.select(order)
    values = list(chosen[label])
    names = list(getattr(rows.features[label], "names", None) or map(str, sorted(set(rows[label]))))
    numbers = [value if isinstance(value, int) and value < len(names) else names.index(str(value)) for value in values]
    snippets = tuple(tuple(words_of(words, hide_names=False)) for words in chosen[text])
    files = tuple(f"row {row}" for row in order)
    short = Path(name).name
    labels = torch.tensor(numbers, dtype=torch.int64)
    return TextData(short, snippets, labels, files, tuple(names), {"datasets": datasets.__version__})


class HubEncoder:
    """A pretrained encoder from the hub, or from a local folder, that stays frozen.

    Args:
        name: of the model, such as "distilbert/distilbert-base-uncased" (66 million parameters), or a folder that
            `save_pretrained` has written, its tokenizer included.

    Raises:
        DataNotFound: the package is missing, or the model cannot be fetched. The message names what works offline.
    """

    def __init__(self, name: str | os.PathLike[str] = "distilbert/distilbert-base-uncased") -> None:
        transformers = _package("transformers")
        try:
            self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(os.fspath(name))
            self.model: Any = transformers.AutoModel.from_pretrained(os.fspath(name))
        except (OSError, ValueError) as error:
            raise DataNotFound(f"The model {os.fspath(name)!r} could not be loaded ({error}). {_ADVICE}") from error
        self.model.to(settings.device()).eval()

    @torch.no_grad()
    def features(self, texts: Sequence[str], *, batch_size: int = 32, length: int = 64) -> Tensor:
        """The mean of the last layer over the words of each text: float (N, d) on the CPU.

        Args:
            texts: as `TextData.texts`.
            length: longer texts are cut after so many tokens.
        """
        found = []
        for start in range(0, len(texts), batch_size):
            some = list(texts[start : start + batch_size])
            batch = self.tokenizer(some, padding=True, truncation=True, max_length=length, return_tensors="pt")
            batch = {key: value.to(settings.device()) for key, value in batch.items()}
            hidden = self.model(**batch).last_hidden_state  # (n, T, d)
            there = batch["attention_mask"][..., None].to(hidden.dtype)
            found.append(((hidden * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)).float().cpu())
        return torch.cat(found)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DataNotFound(f"The package {name} is not installed: pip install {name}. {_ADVICE}") from error
