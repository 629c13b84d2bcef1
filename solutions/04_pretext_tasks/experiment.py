"""The recorded experiments of unit 04: what its notebook quotes, for several seeds.

`course results 04_pretext_tasks --seeds 3` runs them all; a pretrained encoder is trained once per seed and shared
among them. Everything that is trained has the same blocks (16, 32, 64 channels) and the same first weights. Only what
it is asked differs. Accuracies are shares of test images.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import protocol, settings
from course_lib.data import Batches, ImageData, augment, load, split_labels
from course_lib.evaluation import extract_features, loss_and_accuracy, predict, probe_accuracy
from course_lib.models import Classifier, ConvDecoder, ConvEncoder, seeded
from course_lib.training import fit

BUDGETS = (1, 2, 5, 10, 50)  # and all that are left when validation is set aside
VALIDATION = 20  # labeled images per class, outside the pool: they choose the block that is probed
WIDTHS = (16, 32, 64)
PATCH, RATIO = 4, 0.5

# Method -> experiment:key prefix, for the course's table of results.
TABLE_ROWS = {
    "Masked reconstruction, frozen": "protocol:masked_frozen",
    "Masked reconstruction, fine-tuned, weak views": "protocol:masked_weak",
    "Masked reconstruction, fine-tuned, strong views": "protocol:masked_strong",
    "Rotation, frozen": "protocol:rotation_frozen",
    "Rotation, fine-tuned, weak views": "protocol:rotation_weak",
    "Rotation, fine-tuned, strong views": "protocol:rotation_strong",
}


# --- data -----------------------------------------------------------------------------------------------------------


@functools.cache
def _sets(dataset: str, seed: int) -> tuple[ImageData, ImageData]:
    train_size = settings.by_profile(smoke=600, laptop=8000, full=8000)
    if dataset == "folder":
        train_size = settings.by_profile(smoke=600, laptop=4000, full=40_000)
    test_size = settings.by_profile(smoke=200, laptop=2000, full=2000)
    return load(dataset, split="train", n=train_size, seed=seed), load(dataset, split="test", n=test_size, seed=seed)


@functools.cache
def _pool(dataset: str, seed: int) -> Tensor:
    """All training images but the validation images, as uint8."""
    train = _sets(dataset, seed)[0]
    rest = torch.ones(len(train), dtype=torch.bool)
    rest[_split(dataset, seed, 1).validation] = False
    return train.images[rest]


def _split(dataset: str, seed: int, per_class: int):
    labels = _sets(dataset, seed)[0].labels
    generator = torch.Generator().manual_seed(seed)
    return split_labels(labels, per_class=per_class, validation_per_class=VALIDATION, generator=generator)


def _all_labels(dataset: str, seed: int) -> int:
    """Labels per class when every image outside the validation set has one."""
    return int(_sets(dataset, seed)[0].labels.bincount().min()) - VALIDATION


# --- pretext tasks --------------------------------------------------------------------------------------------------


def _first_weights(channels: int, seed: int, widths: tuple[int, ...] = WIDTHS, grid: int = 1) -> ConvEncoder:
    return ConvEncoder(channels, widths, grid=grid, generator=torch.Generator().manual_seed(seed))


def _turned(images: Tensor) -> tuple[Tensor, Tensor]:
    """All four turns of each image, (N, C, H, W) -> (4N, C, H, W), and the quarter turns of each, (4N,)."""
    turns = torch.arange(4, device=images.device).repeat_interleave(len(images))
    return torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)]), turns


def _flipped(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each image mirrored left to right (label 0) or upside down (label 1), as a coin says."""
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(2), images.flip(3)), labels


def _mask(images: Tensor, generator: torch.Generator) -> Tensor:
    """(N, 1, H, W) bool: True on the hidden patches, a share RATIO of each image's."""
    rows, columns = images.shape[2] // PATCH, images.shape[3] // PATCH
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(RATIO * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    return hidden.repeat_interleave(PATCH, dim=2).repeat_interleave(PATCH, dim=3)


Pretext = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]


def _four_turns(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return _turned(images)


def _pretext_classifier(
    pool: Tensor, pretext: Pretext, num_classes: int, *, seed: int, widths: tuple[int, ...] = WIDTHS, steps: int
) -> Classifier:
    """An encoder and a head, trained to answer a pretext task on 64 small-shifted images per step."""
    generator = torch.Generator().manual_seed(seed)
    model = Classifier(_first_weights(pool.shape[1], seed, widths), num_classes, generator=generator)
    batches = Batches(
        pool, batch_size=min(64, len(pool)), shuffle=True, generator=generator, augment=augment.random_shift
    )

    def loss(model: nn.Module, images: Tensor) -> Tensor:
        asked, answers = pretext(images, generator)
        return F.cross_entropy(model(asked), answers)

    fit(model, batches, loss, steps=steps, lr=3e-3, progress=False)
    return model


@functools.cache
def _rotation(dataset: str, seed: int, images: int | None = None) -> Classifier:
    """The network that was pretrained on rotations of the pool, or of its first `images`."""
    steps = settings.by_profile(smoke=3, laptop=1000, full=4000)
    return _pretext_classifier(_pool(dataset, seed)[:images], _four_turns, 4, seed=seed, steps=steps)


class _Vae(nn.Module):
    """The encoder with a Gaussian code of 32 numbers behind it, and the course's decoder."""

    def __init__(self, encoder: ConvEncoder, shape: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__()
        self.encoder = encoder
        with seeded(generator):
            self.code = nn.Linear(encoder.feature_dim, 2 * 32)
        self.decoder = ConvDecoder(32, shape, generator=generator)


@functools.cache
def _reconstruction(kind: str, dataset: str, seed: int) -> ConvEncoder:
    """The blocks of an encoder pretrained to reconstruct ("autoencoder", "vae") or to fill in ("masked")."""
    pool = _pool(dataset, seed)
    generator = torch.Generator().manual_seed(seed)
    shape = tuple(pool.shape[1:])
    # A reconstruction needs to know where things are: the last map is averaged over 2 x 2 cells, as in unit 01.
    encoder = _first_weights(shape[0], seed, grid=2)
    if kind == "vae":
        model: nn.Module = _Vae(encoder, shape, generator)
    else:
        decoder = ConvDecoder(encoder.feature_dim, shape, output="sigmoid", generator=generator)
        model = nn.Sequential(encoder, decoder)

    def loss(model: nn.Module, images: Tensor) -> Tensor:
        if kind == "autoencoder":
            return (model(images) - images).pow(2).flatten(1).sum(dim=1).mean()
        if kind == "masked":
            hidden = _mask(images, generator)
            return ((model(images.masked_fill(hidden, 0.0)) - images).pow(2) * hidden).flatten(1).sum(dim=1).mean()
        mu, logvar = model.code(model.encoder(images)).float().chunk(2, dim=1)
        epsilon = torch.randn(mu.shape, generator=generator).to(mu)
        logits = model.decoder(mu + (0.5 * logvar).exp() * epsilon).float()
        pixels = F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(dim=1)
        kl = 0.5 * (mu.pow(2) + logvar.exp() - 1 - logvar).sum(dim=1)
        return (pixels + kl).mean()

    batches = Batches(pool, batch_size=min(32, len(pool)), shuffle=True, generator=generator)
    steps = settings.by_profile(smoke=3, laptop=500, full=6000)
    fit(model, batches, loss, steps=steps, lr=2e-3, progress=False)
    return encoder


# --- what the features are worth ------------------------------------------------------------------------------------


def _finetuned(start: ConvEncoder, train: ImageData, chosen: Tensor, *, seed: int) -> Classifier:
    """A copy of the encoder's blocks with a new head, all of it trained on the chosen images; one recipe for all."""
    generator = torch.Generator().manual_seed(seed)
    encoder = ConvEncoder(train.images.shape[1], start.widths, generator=generator)
    encoder.blocks.load_state_dict(start.blocks.state_dict())
    classifier = Classifier(encoder, len(train.class_names), generator=generator)
    batches = Batches(
        train.images[chosen], train.labels[chosen], batch_size=min(32, len(chosen)), shuffle=True,
        generator=generator, augment=augment.random_shift,
    )  # fmt: skip
    passes = math.ceil(3 * len(chosen) / 32)  # with all labels 300 steps would not see every image often enough
    steps = settings.by_profile(smoke=2, laptop=max(300, passes), full=max(2000, 4 * passes))
    fit(classifier, batches, steps=steps, lr=3e-3, progress=False)
    return classifier


def _accuracy(start: ConvEncoder, dataset: str, seed: int, per_class: int) -> float:
    train, test = _sets(dataset, seed)
    classifier = _finetuned(start, train, _split(dataset, seed, per_class).labeled, seed=seed)
    return loss_and_accuracy(classifier, test.images, test.labels)["accuracy"]


def _probes(encoder: ConvEncoder, dataset: str, seed: int, budgets: tuple[int, ...]) -> dict[str, float]:
    """Accuracy of a linear probe on each block, `block1@k`, and on the block that validation chooses, `frozen@k`."""
    train, test = _sets(dataset, seed)
    figures: dict[str, float] = {}
    on_validation: dict[int, list[float]] = {k: [] for k in budgets}
    for block in range(len(encoder.blocks)):
        test_x = extract_features(encoder, test.images, block=block)
        for k in budgets:
            split = _split(dataset, seed, k)
            known = extract_features(encoder, train.images[split.labeled], block=block), train.labels[split.labeled]
            figures[f"block{block + 1}@{k}"] = probe_accuracy(*known, test_x, test.labels)
            unseen = extract_features(encoder, train.images[split.validation], block=block)
            on_validation[k].append(probe_accuracy(*known, unseen, train.labels[split.validation]))
    for k in budgets:
        best = max(range(len(encoder.blocks)), key=on_validation[k].__getitem__)
        figures[f"frozen@{k}"] = figures[f"block{best + 1}@{k}"]
    return figures


def _pretext_accuracy(model: Classifier, images: Tensor, pretext: Pretext, seed: int) -> float:
    asked, answers = pretext(images, torch.Generator().manual_seed(seed))
    return float((predict(model, asked).argmax(dim=1) == answers).float().mean())


# --- experiments ----------------------------------------------------------------------------------------------------


def label_curve(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """One encoder, from scratch and after five kinds of pretraining: fine-tuned, and probed block by block.

    The pretraining sees all training images outside the validation set, and no label. Fine-tuning has the same steps
    and learning rate for all, fixed in advance. `x_frozen@k` is the block that the validation images choose.
    """
    channels = _pool(dataset, seed).shape[1]
    encoders = {"random": _first_weights(channels, seed), "rotation": _rotation(dataset, seed).encoder}
    encoders |= {kind: _reconstruction(kind, dataset, seed) for kind in ("autoencoder", "vae", "masked")}
    budgets = (*BUDGETS, _all_labels(dataset, seed))
    if profile == "smoke" or dataset == "folder":
        budgets = BUDGETS[:3] if profile == "smoke" else (10,)
    figures: dict[str, float | list[float]] = {}
    for name, encoder in encoders.items():
        for k in budgets:
            method = "scratch" if name == "random" else f"{name}_finetuned"
            figures[f"{method}@{k}"] = _accuracy(encoder, dataset, seed, k)
        probes = _probes(encoder, dataset, seed, tuple(k for k in budgets if k in BUDGETS))
        figures |= {f"{name}_{key}": value for key, value in probes.items()}
    return figures


def pretrained_rows(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The rows of the course's table: masked reconstruction, 600 steps of 64 images, and rotation, 1,000 of 64."""
    data = protocol.setting(dataset, seed)
    generator, shape = data.generator(), tuple(data.pool.shape[1:])
    encoder = data.first_weights(grid=2)
    decoder = ConvDecoder(encoder.feature_dim, shape, output="sigmoid", generator=generator)

    def loss(model: nn.Module, images: Tensor) -> Tensor:
        hidden = _mask(images, generator)
        return ((model(images.masked_fill(hidden, 0.0)) - images).pow(2) * hidden).flatten(1).sum(dim=1).mean()

    count = settings.by_profile(smoke=3, laptop=600, full=6000)
    protocol.pretrain(nn.Sequential(encoder, decoder), data, loss, count=count, lr=2e-3, generator=generator)
    figures = protocol.rows_of(data, "masked", encoder)
    return {**figures, **protocol.rows_of(data, "rotation", protocol.rotation_encoder(dataset, seed))}


def rotation_classes(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """How often the quarter turns of test images are told, class by class; on glyphs also of ring and cross."""
    test = _sets(dataset, seed)[1]
    if dataset == "glyphs":
        test = load(dataset, split="test", n=len(test), seed=seed, anomalies=0.2)
    asked, turns = _turned(test.images)
    right = (predict(_rotation(dataset, seed), asked).argmax(dim=1) == turns).double()
    labels = test.labels.repeat(4)
    figures: dict[str, float | list[float]] = {
        name: float(right[labels == number].mean()) for number, name in enumerate(test.class_names)
    }
    return {**figures, "all": float(right[labels < 10].mean())}


def unlabeled(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Accuracy with ten labels per class against the number of unlabeled images that the rotation pretext has seen.

    The number of steps is the same for all; so fewer images are seen more often.
    """
    pool, per_class = _pool(dataset, seed), settings.by_profile(smoke=2, laptop=10, full=10)
    figures: dict[str, float | list[float]] = {}
    for count in (300, len(pool)) if profile != "smoke" else (100, len(pool)):
        encoder = _rotation(dataset, seed, None if count == len(pool) else count).encoder
        figures[f"rotation_finetuned@{count}"] = _accuracy(encoder, dataset, seed, per_class)
        figures[f"rotation_frozen@{count}"] = _probes(encoder, dataset, seed, (per_class,))[f"frozen@{per_class}"]
    return figures


def _flipped_at_random(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """All four turns; but half of the images were turned upside down beforehand, as an augmentation."""
    upside_down = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    return _turned(torch.where(upside_down[:, None, None, None], images.flip(2), images))


def _straight_or_tilted(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each image as it is, and turned by 45 degrees about its center: what comes from outside is black."""
    c = math.sqrt(0.5)
    theta = torch.tensor([[c, -c, 0.0], [c, c, 0.0]], dtype=images.dtype, device=images.device)
    grid = F.affine_grid(theta.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    tilted = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    return torch.cat([images, tilted]), torch.arange(2, device=images.device).repeat_interleave(len(images))


def artefacts(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Pretext tasks that go wrong, beside four turns with as many steps: what they score, what they are worth.

    "corners": is the image turned by 45 degrees? Black corners say so. "vflip": four turns after random vertical
    flips. `x_pretext` is the accuracy on the task itself, on test images.
    """
    pool, test = _pool(dataset, seed), _sets(dataset, seed)[1]
    per_class = settings.by_profile(smoke=2, laptop=10, full=10)
    steps = settings.by_profile(smoke=3, laptop=300, full=4000)
    figures: dict[str, float | list[float]] = {}
    for name, pretext, count in (("turns", _four_turns, 4), ("corners", _straight_or_tilted, 2),
                                 ("vflip", _flipped_at_random, 4)):  # fmt: skip
        model = _pretext_classifier(pool, pretext, count, seed=seed, steps=steps)
        figures[f"{name}_pretext"] = _pretext_accuracy(model, test.images.float() / 255, pretext, seed)
        figures[f"{name}_finetuned"] = _accuracy(model.encoder, dataset, seed, per_class)
        figures[f"{name}_frozen"] = _probes(model.encoder, dataset, seed, (per_class,))[f"frozen@{per_class}"]
    return figures


def pretexts(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Two tasks to choose from, turns and flips: the accuracy on the task itself, and what it is worth."""
    pool, test = _pool(dataset, seed), _sets(dataset, seed)[1]
    per_class = settings.by_profile(smoke=2, laptop=10, full=10)
    steps = settings.by_profile(smoke=3, laptop=1000, full=4000)
    flip = _pretext_classifier(pool, _flipped, 2, seed=seed, steps=steps)
    figures: dict[str, float | list[float]] = {}
    for name, model, pretext in (("rotation", _rotation(dataset, seed), _four_turns), ("flip", flip, _flipped)):
        figures[f"{name}_pretext"] = _pretext_accuracy(model, test.images.float() / 255, pretext, seed)
        figures[f"{name}_finetuned"] = _accuracy(model.encoder, dataset, seed, per_class)
        figures[f"{name}_frozen"] = _probes(model.encoder, dataset, seed, (per_class,))[f"frozen@{per_class}"]
    return figures


def ablation(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Depth and width: fewer steps than elsewhere, the same for encoders of two blocks and of half the width."""
    pool, per_class = _pool(dataset, seed), settings.by_profile(smoke=2, laptop=10, full=10)
    steps = settings.by_profile(smoke=3, laptop=400, full=4000)
    figures: dict[str, float | list[float]] = {}
    for widths in ((16, 32), (8, 16, 32), WIDTHS):
        name = "-".join(map(str, widths))
        model = _pretext_classifier(pool, _four_turns, 4, seed=seed, widths=widths, steps=steps)
        figures[f"{name}_finetuned"] = _accuracy(model.encoder, dataset, seed, per_class)
        figures[f"{name}_scratch"] = _accuracy(_first_weights(pool.shape[1], seed, widths), dataset, seed, per_class)
        figures[f"{name}_frozen"] = _probes(model.encoder, dataset, seed, (per_class,))[f"frozen@{per_class}"]
    return figures


EXPERIMENTS = {
    "label_curve": label_curve,
    "rotation_classes": rotation_classes,
    "pretexts": pretexts,
    "artefacts": artefacts,
    "unlabeled": unlabeled,
    "ablation": ablation,
    "protocol": pretrained_rows,
}
