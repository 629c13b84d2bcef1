"""The recorded experiments of unit 09: what its notebook quotes, for several seeds.

`course results 09_text --seeds 3` runs them all. The text is the docstrings of the installed libraries, split by file;
the seed draws the split, the labels and all first weights. Counting and one pretraining per seed are shared among the
experiments. No setting was chosen on these figures: learning rates and steps come from earlier trials.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import settings
from course_lib.data import SequenceBatches, split_labels
from course_lib.data.text import (
    MASK,
    SPECIAL,
    TextData,
    Vocabulary,
    load_docstrings,
    neighbor_counts,
)
from course_lib.evaluation import accuracy, probe_accuracy
from course_lib.models import TextFeatures, TransformerLayers, predict_texts, predict_words
from course_lib.training import fit, fit_text_classifier

DATASET = "docstrings"
BUDGETS = (10, 50, 200)  # labels per class
MANY = 1_000  # where counting words is best
WORDS, LENGTH, DIM, HEADS, LAYERS = 4_000, 32, 64, 4, 2
TEST_FILES = 0.25  # the share of the files that is for testing
TESTED = 250  # test snippets per class, at most
MASKED_STEPS = 200  # of 64 snippets
LR, SCRATCH_LR = 1e-3, 5e-3  # of fine-tuning; without pretraining a higher one is better

# Method -> key prefix, for the course's table of results.
TABLE_ROWS = {
    "TF-IDF and logistic regression": "tfidf",
    "Counted embeddings and logistic regression": "counted",
    "Transformer, from scratch": "scratch",
    "Transformer, from counted embeddings": "from_counted",
    "Transformer, counted and masked words, frozen": "masked_frozen",
    "Transformer, counted and masked words, fine-tuned": "masked",
}


def environment() -> dict[str, str]:
    """The versions of the libraries whose docstrings are read."""
    return dict(_text("library", True).versions)


# --- text -----------------------------------------------------------------------------------------------------------


@functools.cache
def _text(classes: str, hidden: bool) -> TextData:
    few = settings.by_profile(smoke=25, laptop=150, full=300)
    if classes == "library":
        return load_docstrings(files_per_library=few, hide_names=hidden)
    return load_docstrings(libraries=("scipy",), classes=classes, files_per_library=None, hide_names=hidden)


class Corpus:
    """One split of the texts: numbers of words and labels for training and for the test."""

    def __init__(self, data: TextData, seed: int, *, by_file: bool = True) -> None:
        self.seed, self.num_classes = seed, len(data.class_names)
        rng = self.rng()
        units = data.files if by_file else tuple(map(str, range(len(data))))
        names = sorted(set(units))
        order = torch.randperm(len(names), generator=rng).tolist()
        held_out = {names[k] for k in order[: round(TEST_FILES * len(names))]}
        is_test = torch.tensor([unit in held_out for unit in units])
        self.train = data.subset((~is_test).nonzero()[:, 0])
        test = data.subset(is_test.nonzero()[:, 0])
        tested = settings.by_profile(smoke=20, laptop=TESTED, full=TESTED)
        order = torch.randperm(len(test), generator=rng)
        self.test = test.subset(
            torch.cat([order[test.labels[order] == k][:tested] for k in range(self.num_classes)])
        )
        self.vocabulary = Vocabulary(self.train.snippets, size=WORDS)
        self.ids, self.test_ids = (self.vocabulary.encode(part.snippets) for part in (self.train, self.test))

    def rng(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def few(self, per_class: int) -> Tensor:
        """Positions of the labeled snippets."""
        labels = self.train.labels
        return split_labels(labels, per_class=per_class, validation_per_class=0, generator=self.rng()).labeled

    @functools.cached_property
    def embeddings(self) -> Tensor:
        """Counted embeddings (V, DIM): positive pointwise mutual information, cut to its largest singular values."""
        return _counted(neighbor_counts(self.ids, len(self.vocabulary)))

    @functools.cached_property
    def rarity(self) -> Tensor:
        """The inverse document frequency of each word, 0 for the special entries."""
        found = torch.zeros(len(self.vocabulary))
        for part in self.ids.split(2_000):
            there = torch.zeros(len(part), len(found)).scatter_(1, part, 1.0)
            found += there.sum(dim=0)
        rarity = torch.log(len(self.ids) / (1 + found))
        rarity[: len(SPECIAL)] = 0.0
        return rarity

    def mean_embeddings(self, ids: Tensor) -> Tensor:
        """The mean embedding of each text, weighted by rarity."""
        means = []
        for part in ids.split(500):
            weights = self.rarity[part]  # (N, T)
            summed = torch.einsum("ntd,nt->nd", self.embeddings[part], weights)
            means.append(summed / weights.sum(dim=1, keepdim=True).clamp(min=1e-6))
        return torch.cat(means)


@functools.lru_cache(maxsize=6)
def _corpus(seed: int, classes: str = "library", by_file: bool = True, hidden: bool = True) -> Corpus:
    return Corpus(_text(classes, hidden), seed, by_file=by_file)


def _counted(counts: Tensor) -> Tensor:
    """Embeddings (V, DIM) from neighbor counts (V, V), rows of length 1."""
    from sklearn.utils.extmath import randomized_svd

    total, of_word = counts.sum(), counts.sum(dim=1)
    context = of_word**0.75
    expected = (of_word[:, None] / total) * (context / context.sum())[None, :]
    ratio = (counts / total) / expected.clamp(min=1e-12)
    ppmi = torch.where(counts > 0, ratio, torch.ones(())).log().clamp(min=0)
    u, s, _ = randomized_svd(ppmi.numpy(), DIM, n_iter=3, random_state=0)
    found = torch.from_numpy(u * np.sqrt(s)).float()
    return F.normalize(found, dim=1)


# --- networks -------------------------------------------------------------------------------------------------------


class Encoder(nn.Module):
    """A transformer encoder: word numbers (N, T) -> features (N, T, DIM)."""

    def __init__(self, layers: TransformerLayers) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, ids: Tensor) -> Tensor:
        x, visible = self.layers.embedding(ids) + self.layers.position[: ids.shape[1]], ids != 0
        for block in self.layers.blocks:
            n, t, d = x.shape
            q, k, v = block["qkv"](block["norm1"](x)).view(n, t, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=visible[:, None, None, :])
            x = x + block["out"](mixed.transpose(1, 2).reshape(n, t, d))
            x = x + block["mlp"](block["norm2"](x))
        return self.layers.norm(x)


def _mean(features: Tensor, ids: Tensor) -> Tensor:
    """The mean feature of a text's words."""
    there = (ids != 0).float()[..., None]
    return (features * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)


def _started(corpus: Corpus, *, counted: bool) -> Encoder:
    """An encoder with the first weights of a seed, its embeddings random or counted."""
    shape: Any = {"dim": DIM, "heads": HEADS, "layers": LAYERS, "max_length": LENGTH}
    embeddings = corpus.embeddings if counted else None
    return Encoder(
        TransformerLayers(len(corpus.vocabulary), embeddings=embeddings, generator=corpus.rng(), **shape)
    )


def masked(ids: Tensor, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ids with 15 % of the words chosen: 80 % of these become <mask>, 10 % a random word, 10 % stay."""
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & (ids >= len(SPECIAL))
    coin = torch.rand(ids.shape, generator=generator)
    others = torch.randint(len(SPECIAL), size, ids.shape, generator=generator)
    hidden = torch.where(chosen & (coin < 0.8), MASK, ids)
    return torch.where(chosen & (coin >= 0.9), others, hidden), chosen


def _pretrain(corpus: Corpus, encoder: Encoder, *, all_tokens: bool = False) -> Encoder:
    """Trains `encoder` in place to predict masked words; with `all_tokens` the loss is over every word."""
    rng, size = corpus.rng(), len(corpus.vocabulary)

    def loss(_: nn.Module, ids: Tensor) -> Tensor:
        hidden, chosen = (part.to(ids.device) for part in masked(ids.cpu(), size, rng))
        at = ids != 0 if all_tokens else chosen
        return F.cross_entropy(encoder.layers.words(encoder(hidden)[at]), ids[at])

    batches = SequenceBatches(corpus.ids, batch_size=64, shuffle=True, generator=rng)
    steps = settings.by_profile(smoke=3, laptop=MASKED_STEPS, full=5 * MASKED_STEPS)
    fit(encoder, batches, loss, steps=steps, lr=2e-3, warmup=min(50, steps - 1), progress=False)
    return encoder


@functools.lru_cache(maxsize=6)
def _after_masking(seed: int, classes: str = "library") -> Encoder:
    corpus = _corpus(seed, classes)
    return _pretrain(corpus, _started(corpus, counted=True))


def _steps(per_class: int) -> int:
    by_budget = 150 if per_class <= 50 else 300
    return settings.by_profile(smoke=3, laptop=by_budget, full=4 * by_budget)


def _fine_tuned(corpus: Corpus, start: Encoder, per_class: int, *, lr: float = LR) -> float:
    """Test accuracy of a copy of the encoder with a new linear layer, all of it trained on few labels."""
    few, how = corpus.few(per_class), {"seed": corpus.seed, "progress": False}
    known = corpus.ids[few], corpus.train.labels[few]
    model = fit_text_classifier(start, _mean, *known, steps=_steps(per_class), lr=lr, **how)
    return accuracy(predict_texts(model, corpus.test_ids), corpus.test.labels)


def _probe(corpus: Corpus, features: Callable[[Tensor], Tensor], per_class: int) -> float:
    """Test accuracy of a logistic regression on features of few texts."""
    few = corpus.few(per_class)
    known = features(corpus.ids[few]), corpus.train.labels[few]
    return probe_accuracy(*known, features(corpus.test_ids), corpus.test.labels, regularization=10.0)


def _frozen(corpus: Corpus, encoder: Encoder, per_class: int) -> float:
    features = TextFeatures(encoder, _mean).to(settings.device())
    return _probe(corpus, lambda ids: predict_texts(features, ids), per_class)


def _tfidf(corpus: Corpus, per_class: int) -> float:
    """Test accuracy of TF-IDF, its word counts taken from all training texts, and logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectorizer = TfidfVectorizer(token_pattern=r"\S+", sublinear_tf=True).fit(corpus.train.texts)
    few = corpus.train.subset(corpus.few(per_class))
    probe = LogisticRegression(C=10.0, max_iter=2_000).fit(vectorizer.transform(few.texts), few.labels.numpy())
    return float(probe.score(vectorizer.transform(corpus.test.texts), corpus.test.labels.numpy()))


# --- experiments ----------------------------------------------------------------------------------------------------


def _budgets(*more: int) -> tuple[int, ...]:
    return settings.by_profile(smoke=(2, 5), laptop=(*BUDGETS, *more), full=(*BUDGETS, *more))


def label_curve(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """Which library is it from: accuracy by labels per class, of counting and of transformers."""
    corpus = _corpus(seed)
    figures: dict[str, float] = {}
    pretrained, random = _after_masking(seed), _started(corpus, counted=False)
    for k in _budgets(MANY):
        figures[f"tfidf@{k}"] = _tfidf(corpus, k)
        figures[f"counted@{k}"] = _probe(corpus, corpus.mean_embeddings, k)
        figures[f"masked_frozen@{k}"] = _frozen(corpus, pretrained, k)
        figures[f"masked@{k}"] = _fine_tuned(corpus, pretrained, k)
        if k < MANY:
            figures[f"random_frozen@{k}"] = _frozen(corpus, random, k)
            figures[f"scratch@{k}"] = _fine_tuned(corpus, random, k, lr=SCRATCH_LR)
            figures[f"from_counted@{k}"] = _fine_tuned(corpus, _started(corpus, counted=True), k)
    figures["texts"], figures["files"] = float(len(corpus.train)), float(len(set(corpus.train.files)))
    return figures


def all_tokens(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """The loss over masked words only, beside the loss over all words: what each looks like, and what it teaches.

    `accuracy` is what a training would show, over the words that are in the loss; `at_masked` is of the chosen words.
    """
    corpus, figures = _corpus(seed), {}
    both = {
        "masked": _after_masking(seed),
        "all": _pretrain(corpus, _started(corpus, counted=True), all_tokens=True),
    }
    hidden, chosen = masked(corpus.test_ids, len(corpus.vocabulary), corpus.rng())
    for name, encoder in both.items():
        counted = corpus.test_ids != 0 if name == "all" else chosen
        losses, right = [], []
        for ids, words in zip(corpus.test_ids.split(250), hidden.split(250)):
            logits = predict_words(encoder, words)
            losses.append(F.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="none").view_as(ids))
            right.append(logits.argmax(dim=-1) == ids)
        loss, hits = torch.cat(losses), torch.cat(right).float()
        figures[f"loss_{name}"] = float(loss[counted].mean())
        figures[f"accuracy_{name}"] = float(hits[counted].mean())
        figures[f"at_masked_{name}"] = float(hits[chosen].mean())
        figures[f"replaced_{name}"] = float(hits[hidden == MASK].mean())
        few = _budgets()[0]
        figures[f"finetuned_{name}@{few}"] = _fine_tuned(corpus, encoder, few)
        figures[f"frozen_{name}@{few}"] = _frozen(corpus, encoder, few)
    return figures


def splits(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """How much TF-IDF gains by two leaks: snippets of one file on both sides, and the libraries' names left in."""
    figures = {}
    for name, where in (("file", {}), ("snippet", {"by_file": False}), ("names", {"hidden": False})):
        corpus = Corpus(_text("library", where.get("hidden", True)), seed, by_file=where.get("by_file", True))
        for k in _budgets(MANY):
            figures[f"{name}@{k}"] = _tfidf(corpus, k)
    return figures


def harder(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """Which subpackage of scipy: classes whose words are alike."""
    corpus, figures = _corpus(seed, "subpackage"), {}
    pretrained = _after_masking(seed, "subpackage")
    for k in settings.by_profile(smoke=(2,), laptop=(10, 50), full=(10, 50)):
        figures[f"tfidf@{k}"] = _tfidf(corpus, k)
        figures[f"counted@{k}"] = _probe(corpus, corpus.mean_embeddings, k)
        figures[f"scratch@{k}"] = _fine_tuned(corpus, _started(corpus, counted=False), k, lr=SCRATCH_LR)
        figures[f"masked@{k}"] = _fine_tuned(corpus, pretrained, k)
    figures["classes"] = float(corpus.num_classes)
    return figures


EXPERIMENTS: dict[str, Any] = {
    "label_curve": label_curve,
    "all_tokens": all_tokens,
    "splits": splits,
    "harder": harder,
}
