"""The task of unit 09 for units that begin with its encoder: texts, their split by file, and a pretrained encoder.

Which library is a docstring from? The encoder begins with counted embeddings and is then trained on masked words. Both
are taught in unit 09; here they are ready, so that a later unit can ask what becomes of a pretrained encoder.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import settings
from course_lib.data import SequenceBatches, split_labels
from course_lib.data.text import MASK, SPECIAL, TextData, Vocabulary, load_docstrings, neighbor_counts
from course_lib.models import TextEncoder, TransformerLayers
from course_lib.training import fit

DIM = 64
_TEST_FILES, _TESTED = 0.25, 250  # the share of the files for the test; at most so many of their texts per class


@dataclasses.dataclass(frozen=True, eq=False)
class TextSetting:
    """The texts of one seed, split by file, as word numbers.

    Attributes:
        train, test: the texts.
        vocabulary: of the texts for training.
        ids, test_ids: int64 (N, 32), the texts as numbers.
        seed: of the split, the labels and the first weights.
    """

    train: TextData
    test: TextData
    vocabulary: Vocabulary
    ids: Tensor
    test_ids: Tensor
    seed: int

    def generator(self) -> torch.Generator:
        """A new CPU generator with the setting's seed."""
        return torch.Generator().manual_seed(self.seed)

    def few(self, per_class: int) -> tuple[Tensor, Tensor]:
        """The labeled texts, as numbers, and their labels."""
        labels = self.train.labels
        chosen = split_labels(labels, per_class=per_class, validation_per_class=0, generator=self.generator()).labeled
        return self.ids[chosen], labels[chosen]

    def first_weights(self, *, embeddings: Tensor | None = None) -> TextEncoder:
        """The encoder as it is before any training; without `embeddings` these are random too."""
        layers = TransformerLayers(
            len(self.vocabulary), dim=DIM, embeddings=embeddings, generator=self.generator()
        )
        return TextEncoder(layers)


@functools.lru_cache(maxsize=4)
def text_setting(seed: int = 0) -> TextSetting:
    """The docstrings of the installed libraries, a quarter of the files for the test."""
    data = load_docstrings(files_per_library=settings.by_profile(smoke=25, laptop=150, full=300))
    rng = torch.Generator().manual_seed(seed)
    names = sorted(set(data.files))
    order = torch.randperm(len(names), generator=rng).tolist()
    held_out = {names[k] for k in order[: round(_TEST_FILES * len(names))]}
    is_test = torch.tensor([file in held_out for file in data.files])
    train, test = data.subset((~is_test).nonzero()[:, 0]), data.subset(is_test.nonzero()[:, 0])
    most = settings.by_profile(smoke=20, laptop=_TESTED, full=_TESTED)
    order_of_test = torch.randperm(len(test), generator=rng)
    classes = range(len(data.class_names))
    test = test.subset(torch.cat([order_of_test[test.labels[order_of_test] == k][:most] for k in classes]))
    vocabulary = Vocabulary(train.snippets, size=4_000)
    ids, test_ids = vocabulary.encode(train.snippets), vocabulary.encode(test.snippets)
    return TextSetting(train, test, vocabulary, ids, test_ids, seed)


@functools.lru_cache(maxsize=4)
def pretrained_encoder(seed: int = 0) -> TextEncoder:
    """An encoder with counted embeddings, after 200 steps of 64 texts on masked words. Copy it before you train it.

    Source: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2019, from counted embeddings.
    """
    data = text_setting(seed)
    encoder, rng = data.first_weights(embeddings=_counted(data.ids, len(data.vocabulary))), data.generator()

    def masked_words(model: nn.Module, ids: Tensor) -> Tensor:
        chosen = (torch.rand(ids.shape, generator=rng) < 0.15).to(ids.device) & (ids >= len(SPECIAL))
        hidden = ids.masked_fill(chosen, MASK)  # all of them; unit 09 leaves some visible
        return F.cross_entropy(encoder.layers.words(model(hidden)[chosen]), ids[chosen])

    batches = SequenceBatches(data.ids, batch_size=64, shuffle=True, generator=rng)
    steps = settings.by_profile(smoke=3, laptop=200, full=1_000)
    fit(encoder, batches, masked_words, steps=steps, lr=2e-3, warmup=min(50, steps - 1), progress=False)
    return encoder


def _counted(ids: Tensor, size: int) -> Tensor:
    """Embeddings (size, DIM): positive pointwise mutual information, cut to its largest singular values."""
    from sklearn.utils.extmath import randomized_svd

    counts = neighbor_counts(ids, size)
    context = counts.sum(dim=0) ** 0.75
    expected = counts.sum(dim=1)[:, None] * (context / context.sum())
    ratio = (counts / expected.clamp(min=1e-12)).clamp(min=1)
    u, s, _ = randomized_svd(ratio.log().numpy(), DIM, n_iter=3, random_state=0)
    return F.normalize(torch.from_numpy(u * np.sqrt(s)).float(), dim=1)
