"""The recorded experiments of unit 11: what its notebooks quote, for several seeds.

`course results 11_beyond_one_model --seeds 3` runs them all.

Part a, adapters and two modalities: what a few trained weights reach on a transformer for text and on an image encoder;
glyphs with captions. Part b, many owners: federated averaging.
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import protocol, settings, text_protocol
from course_lib.data import Batches, ImageData, load, split_labels
from course_lib.data import captions as wording
from course_lib.data.text import Vocabulary
from course_lib.evaluation import accuracy, extract_features, predict, probe_accuracy
from course_lib.models import Classifier, ConvEncoder, TextEncoder, TwoTowers, predict_texts
from course_lib.training import fit, fit_text_classifier

DATASET = "glyphs"  # part a also reads the docstrings of unit 09, whatever the data set

# Method -> key prefix, for the course's table of results.
TABLE_ROWS = {
    "Rotation, biases only": "images:biases",
    "Rotation, low-rank adapters": "images:lora",
    "Rotation, bottleneck adapters": "images:bottleneck",
}

# --- part a, adapters: text and images ------------------------------------------------------------------------------

RANK, ALPHA, WIDTH = 4, 8.0, 16  # of the low-rank adapters, and of the bottleneck
# Fixed before the first run: the rates of earlier trials, in which only the low-rank adapters had a choice of two.
RATES = {"head": 1e-2, "biases": 1e-2, "lora": 3e-3, "lora1": 3e-3, "bottleneck": 3e-3, "full": 1e-3}
SCRATCH_RATE = 5e-3  # of all weights from random ones, where a higher one is better (unit 09)


class LowRank(nn.Module):
    """A frozen linear layer or convolution, and a trainable update of low rank beside it, zero at the start."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layer, self.scale = layer.requires_grad_(False), ALPHA / rank
        self.down: nn.Module
        self.up: nn.Module
        if isinstance(layer, nn.Conv2d):
            self.down = nn.Conv2d(layer.in_channels, rank, 3, padding=1, bias=False)
            self.up = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        else:
            self.down = nn.Linear(layer.in_features, rank, bias=False)
            self.up = nn.Linear(rank, layer.out_features, bias=False)
        weights = self.down.weight
        fan_in = weights[0].numel()
        weights.data.copy_(torch.randn(weights.shape, generator=generator) / fan_in**0.5)
        self.up.weight.data.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.scale * self.up(self.down(x))


class Bottleneck(nn.Module):
    """What comes in, and what a small network adds to it, zero at the start; vectors (..., d) or maps (N, d, H, W)."""

    def __init__(self, size: int, generator: torch.Generator, *, maps: bool) -> None:
        super().__init__()
        self.down = nn.Conv2d(size, WIDTH, 1) if maps else nn.Linear(size, WIDTH)
        self.up = nn.Conv2d(WIDTH, size, 1) if maps else nn.Linear(WIDTH, size)
        weights = self.down.weight
        weights.data.copy_(torch.randn(weights.shape, generator=generator) / size**0.5)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            zero.data.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(F.relu(self.down(x)))


def _replaced(module: nn.Module, kinds: tuple[type[nn.Module], ...], make: Callable[[Any], nn.Module]) -> None:
    """Puts `make(layer)` in the place of every layer of these kinds."""
    for name, child in list(module.named_children()):
        if isinstance(child, kinds):
            setattr(module, name, make(child)) if not name.isdigit() else module.__setitem__(int(name), make(child))
        else:
            _replaced(child, kinds, make)


def _only_biases(module: nn.Module) -> None:
    for name, parameter in module.named_parameters():
        parameter.requires_grad = "bias" in name.rpartition(".")[2]


def _adapted_text(encoder: TextEncoder, method: str, generator: torch.Generator) -> TextEncoder:
    """A copy of the encoder in which only what the method trains requires a gradient."""
    own = copy.deepcopy(encoder)
    own.requires_grad_(method == "full")
    blocks = own.layers.blocks
    if method == "biases":
        _only_biases(blocks)
    if method.startswith("lora"):
        rank = 1 if method == "lora1" else RANK
        _replaced(blocks, (nn.Linear,), lambda layer: LowRank(layer, rank, generator))
    if method == "bottleneck":
        for block in blocks:
            size = block["mlp"][-1].out_features
            for name in ("out", "mlp"):  # behind each part, before its result is added
                block[name] = nn.Sequential(block[name], Bottleneck(size, generator, maps=False))
    return own


def _trained(model: nn.Module) -> float:
    return float(sum(p.numel() for p in model.parameters() if p.requires_grad))


def _mean_of_words(features: Tensor, ids: Tensor) -> Tensor:
    there = (ids != 0).float()[..., None]
    return (features * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)


def _text_figures(
    data: text_protocol.TextSetting, encoder: TextEncoder, method: str, per_class: int, *, lr: float = 0.0
) -> dict[str, float]:
    """Test accuracy, CPU seconds of the training and trained weights, the new head among them."""
    steps = settings.by_profile(smoke=3, laptop=150, full=600)
    start = _adapted_text(encoder, method, data.generator())
    how: dict[str, Any] = {"steps": steps, "lr": lr or RATES[method], "seed": data.seed, "progress": False}
    began = time.process_time()
    model = fit_text_classifier(start, _mean_of_words, *data.few(per_class), **how)
    spent = time.process_time() - began
    right = accuracy(predict_texts(model, data.test_ids), data.test.labels)
    return {"accuracy": right, "seconds": spent, "weights": _trained(model)}


def text(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """Unit 09's pretrained transformer, adapted in several ways; and the same from random weights."""
    data, figures = text_protocol.text_setting(seed), {}
    pretrained, random = text_protocol.pretrained_encoder(seed), data.first_weights()
    figures["weights_all"] = float(sum(p.numel() for p in pretrained.parameters()))
    few = settings.by_profile(smoke=2, laptop=10, full=10)
    for method in RATES:
        for k in (few, 5 * few) if method != "lora1" else (few,):
            found = _text_figures(data, pretrained, method, k)
            figures[f"{method}@{k}"] = found["accuracy"]
            if k == few:
                figures |= {f"{method}_{key}": found[key] for key in ("seconds", "weights")}
        if method in ("head", "biases", "lora", "full"):
            lr = SCRATCH_RATE if method == "full" else 0.0
            figures[f"random_{method}@{few}"] = _text_figures(data, random, method, few, lr=lr)["accuracy"]
    return figures


def _adapted_images(
    data: protocol.Setting, encoder: ConvEncoder, method: str, generator: torch.Generator
) -> Classifier:
    """A classifier with a new head in which only what the method trains requires a gradient."""
    model = protocol.classifier(data, encoder)
    own = model.encoder.requires_grad_(method == "full")
    if method == "biases":
        _only_biases(own)
    if method == "lora":
        _replaced(own, (nn.Conv2d,), lambda layer: LowRank(layer, RANK, generator))
    if method == "bottleneck":
        for number, block in enumerate(own.blocks):
            own.blocks[number] = nn.Sequential(block, Bottleneck(protocol.WIDTHS[number], generator, maps=True))
    return model


def _image_figures(
    data: protocol.Setting, encoder: ConvEncoder, method: str, per_class: int
) -> dict[str, float]:
    """As `_text_figures`. All but "full" keep the encoder in eval mode, so that its running statistics stay."""
    generator, few = data.generator(), data.few(per_class)
    model = _adapted_images(data, encoder, method, generator)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        model.encoder.train(method == "full")
        return F.cross_entropy(model(protocol.weak(batch[0], generator=generator)), batch[1])

    size = min(protocol.LABELED, len(few))
    batches = Batches(few.images, few.labels, batch_size=size, shuffle=True, generator=generator)
    rate = RATES[method] if method in ("head", "biases") else protocol.LR
    began = time.process_time()
    fit(model, batches, loss, steps=protocol.steps(), lr=rate, progress=False)
    spent = time.process_time() - began
    return {"accuracy": protocol.test_accuracy(data, model), "seconds": spent, "weights": _trained(model)}


def images(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """The rotation encoder with weak views, adapted in several ways; and the same from random weights."""
    data, figures = protocol.setting(dataset, seed), {}
    encoder, random = protocol.rotation_encoder(dataset, seed), data.first_weights()
    few, *more = protocol.budgets(data, (10, 50))
    for method in ("head", "biases", "lora", "bottleneck", "full"):
        for k in (few, *more):
            found = _image_figures(data, encoder, method, k)
            figures[f"{method}@{k}"] = found["accuracy"]
            if k == few:
                figures |= {f"{method}_{key}": found[key] for key in ("seconds", "weights")}
        if method in ("biases", "lora", "full"):
            figures[f"random_{method}@{few}"] = _image_figures(data, random, method, few)["accuracy"]
    return figures


# --- part a, captions -----------------------------------------------------------------------------------------------

CAPTIONED, CAPTION_STEPS, PAIRS = 4_000, 600, 128
UNNAMED = "fish"


@functools.lru_cache(maxsize=2)
def _glyphs(seed: int) -> tuple[ImageData, ImageData]:
    sizes = settings.by_profile(smoke=(600, 200), laptop=(CAPTIONED, 2_000), full=(CAPTIONED, 2_000))
    train, test = (load("glyphs", split=split, n=n, seed=seed) for split, n in zip(("train", "test"), sizes))
    return train, test


def _pair_loss(model: TwoTowers, images: Tensor, ids: Tensor) -> Tensor:
    """The symmetric cross-entropy of finding the own caption and the own image in the batch."""
    i, t = (F.normalize(part, dim=1) for part in model(images, ids))
    logits = i @ t.T * model.log_scale.exp().clamp(max=100)
    own = torch.arange(len(i), device=i.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


class _Captioned:
    """Two towers trained on pairs of glyphs and captions, and what they can do without a label."""

    def __init__(self, seed: int, *, named: float = 1.0, never: Sequence[str] = (), exchanged: float = 0.0) -> None:
        self.train, self.test = _glyphs(seed)
        self.rng = torch.Generator().manual_seed(seed)
        captions = wording.describe(self.train, generator=self.rng, named=named, never=never)
        captions = wording.exchanged(captions, exchanged, generator=self.rng)
        self.vocabulary = Vocabulary(captions, size=200)
        ids = self.vocabulary.encode(captions, length=wording.LONGEST)
        self.model = TwoTowers(len(self.vocabulary), generator=self.rng)
        batches = Batches(
            self.train.images, ids, batch_size=PAIRS, shuffle=True, drop_last=True, generator=self.rng
        )
        steps = settings.by_profile(smoke=3, laptop=CAPTION_STEPS, full=4 * CAPTION_STEPS)
        how: dict[str, Any] = {"weight_decay": 1e-3, "warmup": min(50, steps - 1), "progress": False}
        self.history = fit(self.model, batches, lambda m, batch: _pair_loss(m, *batch), steps=steps, lr=3e-3, **how)
        self.images = F.normalize(predict(self.model.images, self.test.images), dim=1)

    def vectors(self, prompts: Sequence[Sequence[str]]) -> Tensor:
        """One vector per list of prompts, (K, d): the mean of their directions."""
        found = []
        for several in prompts:
            ids = self.vocabulary.encode([prompt.split() for prompt in several], length=wording.LONGEST)
            each = predict_texts(self.model.captions, ids)
            found.append(F.normalize(F.normalize(each, dim=1).mean(dim=0), dim=0))
        return torch.stack(found)

    def zero_shot(self, prompts: Sequence[Sequence[str]]) -> Tensor:
        return (self.images @ self.vectors(prompts).T).argmax(dim=1)

    def figures(self) -> dict[str, float]:
        names, labels = self.test.class_names, self.test.labels
        single = self.zero_shot([[f"a {name}"] for name in names]) == labels
        ensemble = self.zero_shot([wording.prompts_for(name) for name in names]) == labels
        where, things = wording.beside(self.test), (wording.UNNAMED, *names)
        sides = self.zero_shot([[f"a {thing} at the {side}" for thing in things] for side in ("left", "right")])
        found = {"single": single, "ensemble": ensemble, "sides": (sides == where)[where >= 0]}
        shares = {key: float(right.float().mean()) for key, right in found.items()}
        shares["unnamed"] = float(ensemble[labels == names.index(UNNAMED)].float().mean())
        return shares | {"loss": self.history.loss[-1], "scale": float(self.model.log_scale.detach().exp())}

    def probes(self, budgets: Sequence[int]) -> dict[str, float]:
        """Accuracy of logistic regression on the image encoder's features, by labels per class."""
        features = [extract_features(self.model.encoder, part.images) for part in (self.train, self.test)]
        found = {}
        for k in budgets:
            few = split_labels(
                self.train.labels, per_class=k, validation_per_class=0,
                generator=torch.Generator().manual_seed(int(self.rng.initial_seed())),
            ).labeled  # fmt: skip
            known = features[0][few], self.train.labels[few]
            found[f"probe@{k}"] = probe_accuracy(*known, features[1], self.test.labels)
        return found


def captions(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """Zero-shot accuracy by how many captions name the class, how many are exchanged, and a class never named."""
    kinds: dict[str, dict[str, Any]] = {
        "all": {}, "third": {"named": 0.3}, "tenth": {"named": 0.1}, "exchanged": {"exchanged": 0.4},
        "never": {"never": (UNNAMED,)},
    }  # fmt: skip
    figures = {}
    for name, how in kinds.items():
        pair = _Captioned(seed, **how)
        figures |= {f"{key}_{name}": value for key, value in pair.figures().items()}
        figures |= {key.replace("probe", f"probe_{name}"): value for key, value in pair.probes((1, 5, 10)).items()}
    return figures


def unnamed(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """A class that no caption names, while a fifth of the other captions name no class either.

    Without the latter, "thing" would be said of the unnamed class alone, and would simply be its name.
    """
    pair = _Captioned(seed, named=0.8, never=(UNNAMED,))
    labels, number = pair.test.labels, pair.test.class_names.index(UNNAMED)
    prompts = [wording.prompts_for(name) for name in pair.test.class_names]
    chosen = pair.zero_shot(prompts)
    as_thing = pair.zero_shot([[f"a {wording.UNNAMED}"] if k == number else each for k, each in enumerate(prompts)])
    features = [extract_features(pair.model.encoder, part.images) for part in (pair.train, pair.test)]
    rng = torch.Generator().manual_seed(seed)
    few = split_labels(pair.train.labels, per_class=5, validation_per_class=0, generator=rng).labeled
    known, is_it = (features[0][few], (pair.train.labels[few] == number).long()), (labels == number).long()
    named = labels != number
    return {
        "named": float((chosen == labels)[named].float().mean()),
        "recall": float((chosen == number)[~named].float().mean()),
        "recall_thing": float((as_thing == number)[~named].float().mean()),
        "named_thing": float((as_thing == labels)[named].float().mean()),
        "probe@5": probe_accuracy(features[0][few], pair.train.labels[few], features[1], labels),
        "probe_recall@5": probe_accuracy(*known, features[1][~named], is_it[~named]),
    }


# --- part b, many owners --------------------------------------------------------------------------------------------

# One statement per part, so that two authors do not meet on a line.
EXPERIMENTS_A: dict[str, Any] = {"text": text, "images": images, "captions": captions, "unnamed": unnamed}
EXPERIMENTS_B: dict[str, Any] = {}
EXPERIMENTS: dict[str, Any] = {**EXPERIMENTS_A, **EXPERIMENTS_B}
