"""The recorded experiments of unit 03: what its notebook quotes, for several seeds.

`course results 03_adversarial --seeds 3` runs them all; a GAN and a judge network are trained once per seed and shared
among them. Glyphs are easy ones, without clutter and noise and with a quarter of the jitter. The judge network has seen
the course's default glyphs with clutter and added noise, because samples are not clean. Samples are counted and
measured in eval mode, 2,000 at a time.
"""

from __future__ import annotations

import copy
import functools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from course_lib import protocol, settings
from course_lib.data import Batches, FewLabelSplit, ImageData, as_float, augment, load, split_labels
from course_lib.evaluation import extract_features, loss_and_accuracy, predict, probe_accuracy
from course_lib.models import Classifier, ConvDecoder, ConvEncoder, eval_mode, seeded
from course_lib.training import fit

BUDGETS = (1, 2, 5, 10, 50)  # labels per class
VALIDATION = 20  # labeled images per class, outside the pool: they choose the block that is probed
CODE_DIM = 32
BATCH = 64
MOMENTS = (100, 400, 800)  # the steps after which samples are counted; the last one ends the training
RATES = (2e-3, 4e-4)  # of the generator and of the discriminator
COVERED = 0.02  # the share of samples from which on a class counts as covered
VAE_STEPS = 3_200  # of 128 images: about the CPU time of the GAN, measured before anything was recorded
ALONE = (0, 10, 25, 100)  # steps of the discriminator alone

# Method -> key prefix in "protocol", for the course's table of results.
TABLE_ROWS = {"GAN discriminator, frozen": "protocol:gan_frozen"}


# --- data and judge -------------------------------------------------------------------------------------------------


@functools.cache
def _sets(dataset: str, seed: int, *, plain: bool = True) -> tuple[ImageData, ImageData]:
    """Training and test images; `plain` glyphs are the easy ones that the networks learn to draw."""
    options = {"clutter": 0.0, "noise": 0.0, "jitter": 0.25} if plain and dataset == "glyphs" else {}
    size = settings.by_profile(smoke=600, laptop=8_000, full=8_000)
    test_size = settings.by_profile(smoke=200, laptop=2_000, full=2_000)
    return load(dataset, n=size, seed=seed, **options), load(dataset, split="test", n=test_size, seed=seed, **options)


def _add_noise(images: Tensor, *, generator: torch.Generator) -> Tensor:
    return augment.gaussian_noise(images, std=0.1, generator=generator)


@functools.cache
def _judge(dataset: str, seed: int) -> Classifier:
    """A classifier of all labels, trained on noisy images; its features and predictions judge samples."""
    train, generator = _sets(dataset, seed, plain=False)[0], torch.Generator().manual_seed(seed)
    judge = Classifier(
        ConvEncoder(train.images.shape[1], generator=generator), len(train.class_names), generator=generator
    )
    batches = Batches(
        train.images, train.labels, batch_size=BATCH, shuffle=True, generator=generator,
        augment=augment.compose(_add_noise, augment.random_shift),
    )  # fmt: skip
    fit(judge, batches, steps=settings.by_profile(smoke=3, laptop=500, full=2_000), lr=3e-3, progress=False)
    return judge


def _frechet(first: Tensor, second: Tensor) -> float:
    """The Frechet distance of two sets of features (N, d), as normal distributions."""
    a, b = first.double().numpy(), second.double().numpy()
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.clip(np.linalg.eigvals(cov_a @ cov_b).real, 0.0, None))
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * roots.sum())


def _judged(images: Tensor, dataset: str, seed: int) -> dict[str, float]:
    """The classes that a set of images covers, the largest share of a class, and the Frechet distance to test images.

    `sure` is the share of images that the judge network is confident about.
    """
    judge, test = _judge(dataset, seed), _sets(dataset, seed)[1]
    confidence, classes = predict(judge, images).softmax(dim=1).max(dim=1)
    shares = classes.bincount(minlength=len(test.class_names)) / len(classes)
    return {
        "classes": float((shares >= COVERED).sum()),
        "largest": float(shares.max()),
        "sure": float((confidence >= 0.9).float().mean()),
        "frechet": _frechet(extract_features(judge.encoder, images), extract_features(judge.encoder, test.images)),
    }


def _nearest_other(images: Tensor) -> float:
    """The mean distance, over pixels, of an image to its nearest other image in the set."""
    distances = torch.cdist(images.flatten(1), images.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    return float(distances.fill_diagonal_(math.inf).min(dim=1).values.mean())


# --- networks -------------------------------------------------------------------------------------------------------


class Discriminator(nn.Module):
    """Three strided convolutions and a linear layer: images (N, C, H, W) -> logits (N,), above 0 for real."""

    def __init__(self, image_shape: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__()
        channels, height, width = image_shape
        with seeded(generator):
            self.blocks = nn.ModuleList(
                (
                    nn.Sequential(nn.Conv2d(channels, 24, 4, 2, 1), nn.LeakyReLU(0.2)),
                    nn.Sequential(nn.Conv2d(24, 48, 4, 2, 1), nn.BatchNorm2d(48), nn.LeakyReLU(0.2)),
                    nn.Sequential(nn.Conv2d(48, 96, 3, 2, 1), nn.BatchNorm2d(96), nn.LeakyReLU(0.2)),
                )
            )
            self.head = nn.Linear(96 * math.ceil(height / 8) * math.ceil(width / 8), 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        for block in self.blocks:
            images = block(images)
        return self.head(images.flatten(1)).squeeze(1)

    def block_features(self, images: Tensor) -> list[Tensor]:
        """The output of every block, averaged over the image."""
        features = []
        for block in self.blocks:
            images = block(images)
            features.append(images.mean(dim=(2, 3)))
        return features


class Body(nn.Module):
    """The blocks of a discriminator as an encoder: the last one's output, averaged over the image, (N, 96)."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator, self.feature_dim = discriminator, 96

    def forward(self, images: Tensor) -> Tensor:
        return self.discriminator.block_features(images)[-1]


def _convolutional(shape: tuple[int, ...], generator: torch.Generator) -> tuple[nn.Module, nn.Module]:
    """The generator and the discriminator of the unit's GAN."""
    drawing = ConvDecoder(CODE_DIM, shape, widths=(48, 24, 12), output="sigmoid", generator=generator)
    return drawing, Discriminator(shape, generator)


def _fully_connected(shape: tuple[int, ...], generator: torch.Generator) -> tuple[nn.Module, nn.Module]:
    """Smaller networks without convolutions, for the collapse."""
    d = math.prod(shape)
    with seeded(generator):
        drawing = nn.Sequential(
            *(nn.Linear(CODE_DIM, 128), nn.BatchNorm1d(128), nn.ReLU()),
            *(nn.Linear(128, 256), nn.BatchNorm1d(256), nn.ReLU()),
            *(nn.Linear(256, d), nn.Sigmoid(), nn.Unflatten(1, shape)),
        )
        telling = nn.Sequential(
            *(nn.Flatten(), nn.Linear(d, 256), nn.LeakyReLU(0.2), nn.Dropout(0.3)),
            *(nn.Linear(256, 128), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(128, 1), nn.Flatten(0)),
        )
    return drawing, telling


def _bce(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _adam(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr, betas=(0.5, 0.99))


def _drawn(model: nn.Module, count: int, *, seed: int = 7) -> Tensor:
    """Images from `count` codes, in eval mode, on the CPU."""
    codes = torch.randn(count, CODE_DIM, generator=torch.Generator().manual_seed(seed))
    device = next(model.parameters()).device
    with torch.no_grad(), eval_mode(model):
        return torch.cat([model(some.to(device)).cpu() for some in codes.split(250)])


def _adversarial(
    images: Tensor,
    networks: Callable[[tuple[int, ...], torch.Generator], tuple[nn.Module, nn.Module]],
    *,
    steps: int,
    rates: tuple[float, float],
    seed: int,
    moments: tuple[int, ...] = (),
) -> dict[str, Any]:
    """A GAN; both rates fall linearly in the second half.

    Returns its networks, both losses at every step, the CPU seconds, and copies of the generator at some `moments`.
    """
    rng, device = torch.Generator().manual_seed(seed), settings.device()
    generator, discriminator = (network.to(device).train() for network in networks(tuple(images.shape[1:]), rng))
    optimizers = _adam(generator, rates[0]), _adam(discriminator, rates[1])
    falling = [torch.optim.lr_scheduler.LambdaLR(o, lambda s: min(1.0, 2 - 2 * s / steps)) for o in optimizers]
    pool, losses, copies, spent = as_float(images).to(device), [], {}, 0.0
    with seeded(rng):  # dropout draws from torch's own generator
        for step in range(1, steps + 1):
            began = time.process_time()
            real = pool[torch.randint(0, len(pool), (BATCH,), generator=rng).to(device)]
            fake = generator(torch.randn(BATCH, CODE_DIM, generator=rng).to(device))
            d_loss = _bce(discriminator(real), 1.0) + _bce(discriminator(fake.detach()), 0.0)
            optimizers[1].zero_grad()
            d_loss.backward()
            optimizers[1].step()
            g_loss = _bce(discriminator(fake), 1.0)
            optimizers[0].zero_grad()
            g_loss.backward()
            optimizers[0].step()
            for schedule in falling:
                schedule.step()
            spent += time.process_time() - began
            losses.append((float(d_loss.detach()), float(g_loss.detach())))
            if step in moments:
                copies[step] = copy.deepcopy(generator)
    return {
        "generator": generator, "discriminator": discriminator, "losses": losses, "seconds": spent, "copies": copies
    }  # fmt: skip


def _moments() -> tuple[int, ...]:
    return settings.by_profile(smoke=(1, 2, 3), laptop=MOMENTS, full=tuple(10 * moment for moment in MOMENTS))


@functools.cache
def _gan(dataset: str, seed: int) -> dict[str, Any]:
    """The unit's GAN, trained on the pool: all training images but the validation images."""
    moments = _moments()
    pool = _pool(dataset, seed)
    return _adversarial(pool, _convolutional, steps=moments[-1], rates=RATES, seed=seed, moments=moments)


class _Vae(nn.Module):
    """The fully connected network of unit 02."""

    def __init__(self, shape: tuple[int, ...], code_dim: int) -> None:
        super().__init__()
        d, self.code_dim = math.prod(shape), code_dim
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(d, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 2 * code_dim)
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(code_dim, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, d)),
            nn.Unflatten(1, shape),
        )


def _vae_samples(pool: Tensor, *, seed: int) -> tuple[Tensor, float]:
    """The means of 2,000 images that a VAE decodes from the prior, and the CPU seconds of its training."""
    rng, done = torch.Generator().manual_seed(seed), 0
    steps = settings.by_profile(smoke=3, laptop=VAE_STEPS, full=10 * VAE_STEPS)
    with seeded(rng):
        model = _Vae(tuple(pool.shape[1:]), code_dim=20)

    def loss(model: nn.Module, images: Tensor) -> Tensor:
        nonlocal done
        weight, done = min(1.0, 2 * done / steps), done + 1  # warm-up of the KL
        mu, logvar = model.encoder(images).chunk(2, dim=1)
        z = mu + torch.exp(0.5 * logvar) * torch.randn(mu.shape, generator=rng).to(mu)
        pixels = F.binary_cross_entropy_with_logits(model.decoder(z), images, reduction="none").flatten(1).sum(dim=1)
        return (pixels + weight * 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)).mean()

    batches = Batches(pool, batch_size=128, shuffle=True, generator=rng)
    began = time.process_time()
    fit(model, batches, loss, steps=steps, lr=2e-3, progress=False)
    spent = time.process_time() - began
    codes = torch.randn(_samples(), 20, generator=torch.Generator().manual_seed(7)).to(settings.device())
    with torch.no_grad():
        return model.decoder(codes).sigmoid().cpu(), spent


def _samples() -> int:
    return settings.by_profile(smoke=200, laptop=2_000, full=2_000)


# --- what the features are worth ------------------------------------------------------------------------------------


def _split(dataset: str, seed: int, per_class: int) -> FewLabelSplit:
    return split_labels(
        _sets(dataset, seed)[0].labels, per_class=per_class, validation_per_class=VALIDATION,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip


def _pool(dataset: str, seed: int) -> Tensor:
    train = _sets(dataset, seed)[0]
    kept = torch.ones(len(train), dtype=torch.bool)
    kept[_split(dataset, seed, 1).validation] = False
    return train.images[kept]


def _rotation(dataset: str, seed: int) -> tuple[Discriminator, float]:
    """The same blocks, pretrained to tell quarter turns: as many steps of 64 images as the GAN; and the CPU seconds."""
    pool, rng = _pool(dataset, seed), torch.Generator().manual_seed(seed)
    blocks = Discriminator(tuple(pool.shape[1:]), rng)
    model = Classifier(Body(blocks), 4, generator=rng)

    def loss(model: nn.Module, images: Tensor) -> Tensor:
        turned = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
        return F.cross_entropy(model(turned), torch.arange(4, device=images.device).repeat_interleave(len(images)))

    batches = Batches(pool, batch_size=BATCH, shuffle=True, generator=rng, augment=augment.random_shift)
    began = time.process_time()
    fit(model, batches, loss, steps=_moments()[-1], lr=3e-3, precision="float32", progress=False)
    return blocks, time.process_time() - began


def _probes(encoder: Discriminator, dataset: str, seed: int, budgets: tuple[int, ...]) -> dict[str, float]:
    """Accuracy of a linear probe on each block, `block1@k`, and on the block that validation chooses, `frozen@k`."""
    train, test = _sets(dataset, seed)
    figures: dict[str, float] = {}
    best = dict.fromkeys(budgets, -1.0)
    for block in range(len(encoder.blocks)):
        features, test_x = (extract_features(encoder, part.images, block=block) for part in (train, test))
        for k in budgets:
            split = _split(dataset, seed, k)
            known = features[split.labeled], train.labels[split.labeled]
            figures[f"block{block + 1}@{k}"] = probe_accuracy(*known, test_x, test.labels)
            validated = probe_accuracy(*known, features[split.validation], train.labels[split.validation])
            if validated > best[k]:
                best[k], figures[f"frozen@{k}"] = validated, figures[f"block{block + 1}@{k}"]
    return figures


def _finetuned(start: Discriminator, dataset: str, seed: int, per_class: int) -> float:
    """Test accuracy of a copy of the blocks with a new linear layer, all of it trained on few labels."""
    train, test = _sets(dataset, seed)
    few, rng = _split(dataset, seed, per_class).labeled, torch.Generator().manual_seed(seed)
    model = Classifier(Body(copy.deepcopy(start)), len(train.class_names), generator=rng)
    batches = Batches(
        train.images[few], train.labels[few], batch_size=min(32, len(few)), shuffle=True, generator=rng,
        augment=augment.random_shift,
    )  # fmt: skip
    fit(model, batches, steps=settings.by_profile(smoke=2, laptop=300, full=2_000), lr=3e-3, progress=False)
    return loss_and_accuracy(model, test.images, test.labels)["accuracy"]


# --- experiments ----------------------------------------------------------------------------------------------------


def training(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Classes covered by samples and their Frechet distance to test images, at three moments; beside a VAE and images.

    `copying` is the mean distance of a sample to the nearest training image, `test_copying` that of a test image.
    """
    run, train, test = _gan(dataset, seed), *_sets(dataset, seed)
    figures: dict[str, float | list[float]] = {"seconds": run["seconds"]}
    for moment, generator in run["copies"].items():
        figures |= {
            f"{key}@{moment}": value for key, value in _judged(_drawn(generator, _samples()), dataset, seed).items()
        }
    vae, figures["vae_seconds"] = _vae_samples(_pool(dataset, seed), seed=seed)
    figures |= {f"vae_{key}": value for key, value in _judged(vae, dataset, seed).items()}
    real = as_float(train.images)
    figures |= {f"train_{key}": value for key, value in _judged(real[: _samples()], dataset, seed).items()}
    known, some = _pool(dataset, seed), settings.by_profile(smoke=50, laptop=500, full=500)
    for name, images in (
        ("", _drawn(run["generator"], some)), ("vae_", vae[:some]), ("test_", as_float(test.images[:some]))
    ):  # fmt: skip
        distances = torch.cdist(images.flatten(1), as_float(known).flatten(1))
        figures[f"{name}copying"] = float(distances.min(dim=1).values.mean())
    for name, column in (("d_losses", 0), ("g_losses", 1)):
        values = torch.tensor(run["losses"])[:, column]
        figures[name] = [float(part.mean()) for part in values.tensor_split(min(40, len(values)))]
    figures["judge_accuracy"] = loss_and_accuracy(_judge(dataset, seed), test.images, test.labels)["accuracy"]
    return figures


def collapse(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """A GAN whose generator learns 25 times as fast as its discriminator, beside one with equal rates.

    `nearest` is the mean distance of a sample to its nearest other sample among 500, `real_nearest` that of images.
    """
    pool, test = _pool(dataset, seed), _sets(dataset, seed)[1]
    some = settings.by_profile(smoke=50, laptop=500, full=500)
    figures: dict[str, float | list[float]] = {"real_nearest": _nearest_other(as_float(test.images[:some]))}
    for name, rates in (("balanced", (5e-4, 5e-4)), ("collapsed", (5e-3, 2e-4))):
        steps = settings.by_profile(smoke=3, laptop=1_000, full=10_000)
        run = _adversarial(pool, _fully_connected, steps=steps, rates=rates, seed=seed)
        images = _drawn(run["generator"], _samples())
        figures[f"nearest_{name}"] = _nearest_other(images[:some])
        figures |= {f"{key}_{name}": value for key, value in _judged(images, dataset, seed).items()}
        for loss, column in (("d_loss", 0), ("g_loss", 1)):
            values = torch.tensor(run["losses"])[:, column]
            figures[f"{loss}_{name}"] = float(values[-steps // 10 :].mean())
            figures[f"{loss}_curve_{name}"] = [float(part.mean()) for part in values.tensor_split(min(40, steps))]
    return figures


def _gradient(generator: nn.Module, loss: Tensor) -> Tensor:
    """The gradient of a loss at all parameters of the generator, one long vector."""
    found = torch.autograd.grad(loss, list(generator.parameters()), retain_graph=True)
    return torch.cat([part.flatten() for part in found])


def saturating(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The size of the gradient at an untrained generator, by both losses, after steps of the discriminator alone."""
    rng, device = torch.Generator().manual_seed(seed), settings.device()
    pool = as_float(_pool(dataset, seed)).to(device)
    generator, discriminator = (part.to(device).train() for part in _convolutional(tuple(pool.shape[1:]), rng))
    optimizer, figures = _adam(discriminator, RATES[1]), {}
    alone = settings.by_profile(smoke=(0, 2), laptop=ALONE, full=ALONE)
    for step in range(alone[-1] + 1):
        fake = generator(torch.randn(BATCH, CODE_DIM, generator=rng).to(device))
        if step in alone:
            logits = discriminator(fake)
            usual, other = _gradient(generator, _bce(logits, 1.0)), _gradient(generator, -_bce(logits, 0.0))
            figures[f"probability@{step}"] = float(logits.detach().sigmoid().mean())
            figures[f"non_saturating@{step}"] = float(usual.norm())
            figures[f"saturating@{step}"] = float(other.norm())
            figures[f"ratio@{step}"] = float(usual.norm() / other.norm())
        real = pool[torch.randint(0, len(pool), (BATCH,), generator=rng).to(device)]
        loss = _bce(discriminator(real), 1.0) + _bce(discriminator(fake.detach()), 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return figures


def detach(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """What the discriminator's loss sends to the generator when `detach` is forgotten, at the start of the training.

    `cosine` compares it with the generator's own gradient, `left` is the size of their sum beside the own one. `work`
    is the number of floating-point operations of the discriminator's part of a step, forward and backward, without
    detach divided by with it; `seconds` the same ratio of measured CPU times.
    """
    rng, device = torch.Generator().manual_seed(seed), settings.device()
    pool = as_float(_pool(dataset, seed)[:BATCH]).to(device)
    generator, discriminator = (part.to(device).train() for part in _convolutional(tuple(pool.shape[1:]), rng))
    codes = torch.randn(len(pool), CODE_DIM, generator=rng).to(device)

    def part(detached: bool) -> None:
        fake = generator(codes)
        fake = fake.detach() if detached else fake
        (_bce(discriminator(pool), 1.0) + _bce(discriminator(fake), 0.0)).backward()

    logits = discriminator(generator(codes))
    leaked, own = _gradient(generator, _bce(logits, 0.0)), _gradient(generator, _bce(logits, 1.0))
    work, seconds = [], []
    for detached in (True, False):
        with FlopCounterMode(display=False) as counter:
            part(detached)
        work.append(counter.get_total_flops())
        began = time.process_time()
        for _ in range(settings.by_profile(smoke=1, laptop=30, full=30)):
            part(detached)
        seconds.append(time.process_time() - began)
    return {
        "cosine": float(F.cosine_similarity(leaked, own, dim=0)),
        "left": float((leaked + own).norm() / own.norm()),
        "work": work[1] / work[0],
        "seconds": seconds[1] / max(seconds[0], 1e-6),
    }


def label_curve(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """What a discriminator's blocks are worth with few labels, beside the same blocks random and after rotation.

    All three have the same first weights. `x_frozen@k` is the block that the validation images choose.
    """
    budgets = BUDGETS if profile != "smoke" else BUDGETS[:2]
    shape = tuple(_pool(dataset, seed).shape[1:])
    rotated, seconds = _rotation(dataset, seed)
    encoders = {
        "random": Discriminator(shape, torch.Generator().manual_seed(seed)).to(settings.device()),
        "discriminator": _gan(dataset, seed)["discriminator"],
        "rotation": rotated,
    }
    figures: dict[str, float | list[float]] = {"seconds": _gan(dataset, seed)["seconds"], "rotation_seconds": seconds}
    for name, encoder in encoders.items():
        figures |= {f"{name}_{key}": value for key, value in _probes(encoder, dataset, seed, budgets).items()}
        method = "scratch" if name == "random" else f"{name}_finetuned"
        figures |= {f"{method}@{k}": _finetuned(encoder, dataset, seed, k) for k in budgets}
    return figures


def protocol_networks(
    encoder: ConvEncoder, shape: tuple[int, ...], rng: torch.Generator
) -> tuple[nn.Module, nn.Module]:
    """The unit's generator, and a discriminator whose features are those of the protocol's encoder."""
    with seeded(rng):
        head = nn.Linear(encoder.feature_dim, 1)
    drawing = ConvDecoder(CODE_DIM, shape, widths=(48, 24, 12), output="sigmoid", generator=rng)
    return drawing, nn.Sequential(encoder, head, nn.Flatten(0))


def discriminator_rows(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The row of the course's table: the protocol's encoder, trained as a discriminator on the whole pool, frozen."""
    data = protocol.setting(dataset, seed)
    encoder = data.first_weights(grid=2)
    networks = functools.partial(protocol_networks, encoder)
    _adversarial(data.pool, networks, steps=_moments()[-1], rates=RATES, seed=seed)
    found = protocol.frozen(data, encoder, protocol.budgets(data))
    return {f"gan_frozen@{k}": value for k, value in found.items()}


EXPERIMENTS = {
    "training": training,
    "label_curve": label_curve,
    "collapse": collapse,
    "saturating": saturating,
    "detach": detach,
    "protocol": discriminator_rows,
}
