"""Words as numbers: the vocabulary of some texts, and how often two of its words are neighbors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

PAD, MASK, UNKNOWN = 0, 1, 2  # the first three entries of every vocabulary
SPECIAL = ("<pad>", "<mask>", "<unknown>")


class Vocabulary:
    """The most frequent words of some texts, with a number each; 0, 1 and 2 are <pad>, <mask> and <unknown>.

    >>> vocabulary = Vocabulary([("a", "matrix", "a"), ("a", "graph")], size=5)
    >>> vocabulary.encode([("a", "graph", "matrix")], length=4)
    tensor([[3, 2, 4, 0]])

    Args:
        snippets: the texts whose words are counted: those for training.
        size: how many entries, the three special ones included.

    Attributes:
        words: the entries, in the order of their numbers.
    """

    def __init__(self, snippets: Iterable[Sequence[str]], *, size: int = 4_000) -> None:
        if size <= len(SPECIAL):
            raise ValueError(f"size is {size}; it must be above {len(SPECIAL)}, the number of special entries.")
        counts = Counter(word for words in snippets for word in words)
        self.words = (*SPECIAL, *(word for word, _ in counts.most_common(size - len(SPECIAL))))
        self._number = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def number(self, word: str) -> int:
        """The number of a word; that of <unknown> for one that is not in the vocabulary."""
        return self._number.get(word, UNKNOWN)

    def encode(self, snippets: Sequence[Sequence[str]], *, length: int = 32) -> Tensor:
        """Texts as numbers: int64 (N, length). A longer text is cut, and a shorter one ends with 0."""
        ids = torch.zeros(len(snippets), length, dtype=torch.int64)
        for row, words in enumerate(snippets):
            numbers = [self.number(word) for word in words[:length]]
            ids[row, : len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
        return ids

    def decode(self, ids: Tensor) -> str:
        """The words of one text (T,), without the padding."""
        return " ".join(self.words[number] for number in ids.tolist() if number != PAD)


def neighbor_counts(ids: Tensor, size: int, *, window: int = 8) -> Tensor:
    """How often two words stand at most `window` places apart: float (size, size), symmetric.

    Special entries are not counted.

    Args:
        ids: int64 (N, T), word numbers below `size`.
    """
    counts = torch.zeros(size * size)
    for distance in range(1, min(window, ids.shape[1] - 1) + 1):
        left, right = ids[:, :-distance].flatten(), ids[:, distance:].flatten()
        both = (left >= len(SPECIAL)) & (right >= len(SPECIAL))
        pairs = left[both] * size + right[both]
        counts += torch.bincount(pairs, minlength=size * size)
    counts = counts.reshape(size, size)
    return counts + counts.T


def drop_words(ids: Tensor, *, generator: torch.Generator, share: float = 0.1) -> Tensor:
    """A copy of ids (N, T) in which each word is <mask> with probability `share`: augmentation for text."""
    dropped = torch.rand(ids.shape, generator=generator) < share
    return ids.masked_fill(dropped.to(ids.device) & (ids != PAD), MASK)
