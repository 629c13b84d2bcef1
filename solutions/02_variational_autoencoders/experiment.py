"""The recorded experiments of unit 02: what its notebook quotes, for several seeds.

`course results 02_variational_autoencoders --seeds 3` runs them all; `--dataset mnist --experiment bound` (and
`warmup`) those on MNIST. All bounds are nats per image: summed over pixels and latents, averaged over images. Images
are black or white: glyphs as silhouettes, MNIST flipped anew for each batch with the gray value as the chance (Burda et
al., 2016); the test set is flipped once.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mutual_info_score
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import protocol, settings
from course_lib.data import Batches, ImageData, as_float, load
from course_lib.evaluation import extract_features, probe_accuracy
from course_lib.models import ConvDecoder, seeded
from course_lib.training import fit

CODE_DIM = {"glyphs": 10}  # on other data sets LARGE_CODE
LARGE_CODE = 20
IN_USE = 0.05  # nats per image that a latent must cost to count as in use
SAMPLES = (1, 10, 100)
BETAS = (1, 4, 10)
FOUND = ("x", "y", "scale")  # the factors of place and size
BINS = 20


class VAE(nn.Module):
    """The notebook's network: fully connected, 512 and 256 units on the way to the code, and back."""

    def __init__(self, image_shape: tuple[int, ...], code_dim: int) -> None:
        super().__init__()
        d = math.prod(image_shape)
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(d, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 2 * code_dim)
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(code_dim, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, d)),
            nn.Unflatten(1, image_shape),
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = self.encoder(images).chunk(2, dim=1)
        return mu, logvar

    def forward(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.encode(images)
        return self.decoder(_draw(mu, logvar, generator)), mu, logvar


def _draw(mu: Tensor, logvar: Tensor, generator: torch.Generator) -> Tensor:
    return mu + torch.exp(0.5 * logvar) * torch.randn(mu.shape, generator=generator).to(mu)


def _kl(mu: Tensor, logvar: Tensor) -> Tensor:
    return 0.5 * (mu**2 + torch.exp(logvar) - 1 - logvar)


def _black_or_white(chances: Tensor, *, generator: torch.Generator) -> Tensor:
    return (torch.rand(chances.shape, generator=generator).to(chances) < chances).float()


def _chances(data: ImageData) -> Tensor:
    images = as_float(data.images)
    if data.name != "glyphs":
        return images
    level = data.factors["background"] + 0.75 * data.factors["contrast"]
    return (images > level[:, None, None, None]).float()


def _sets(dataset: str, seed: int) -> tuple[ImageData, ImageData]:
    """Training and test images: glyphs without clutter and noise, other sets whole."""
    if dataset != "glyphs":
        size = settings.by_profile(smoke=500, laptop=None, full=None)
        test_size = settings.by_profile(smoke=200, laptop=None, full=None)
        return load(dataset, n=size, seed=seed), load(dataset, split="test", n=test_size, seed=seed)
    size = settings.by_profile(smoke=500, laptop=20_000, full=100_000)
    test_size = settings.by_profile(smoke=200, laptop=2_000, full=10_000)
    plain = {"clutter": 0.0, "noise": 0.0}
    return load(n=size, seed=seed, **plain), load(split="test", n=test_size, seed=seed, **plain)


def _flipped_test(data: ImageData, seed: int) -> Tensor:
    return _black_or_white(_chances(data), generator=torch.Generator().manual_seed(1000 + seed)).to(settings.device())


def _trained(
    chances: Tensor,
    *,
    code_dim: int,
    steps: int,
    seed: int,
    beta: float = 1.0,
    warmup: float = 0.5,
    average_pixels: bool = False,
) -> VAE:
    """A VAE; the weight of the KL rises to `beta` in the first `warmup` of the steps.

    `average_pixels` is the wrong reduction that kills the code: cross-entropy averaged over pixels, KL summed.
    """
    generator, done = torch.Generator().manual_seed(seed), 0
    with seeded(generator):
        model = VAE(tuple(chances.shape[1:]), code_dim)

    def loss(model: nn.Module, images: Tensor) -> Tensor:
        nonlocal done
        weight = beta * (min(1.0, done / (warmup * steps)) if warmup else 1.0)
        done += 1
        logits, mu, logvar = model(images, generator)
        pixels = F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1)
        reconstruction = pixels.mean(dim=1) if average_pixels else pixels.sum(dim=1)
        return (reconstruction + weight * _kl(mu, logvar).sum(dim=1)).mean()

    batches = Batches(chances, batch_size=128, shuffle=True, generator=generator, augment=_black_or_white)
    # On the machine of the records bfloat16 takes three quarters of the time for these layers.
    fit(model, batches, loss, steps=steps, lr=2e-3, precision="bfloat16", progress=False)
    return model


@torch.no_grad()
def _measured(model: VAE, images: Tensor) -> tuple[dict[str, float], Tensor, Tensor]:
    """The bound and its parts, the cost of each latent (code_dim,), and the mean codes (N, code_dim)."""
    logits, mu, logvar = model(images, torch.Generator().manual_seed(0))
    kl = _kl(mu, logvar)
    pixels = float(F.binary_cross_entropy_with_logits(logits, images, reduction="sum")) / len(images)
    costs = kl.mean(dim=0).cpu()
    total = float(costs.sum())
    figures = {
        "negative_elbo": pixels + total,
        "reconstruction": pixels,
        "kl": total,
        "in_use": float((costs >= IN_USE).sum()),
    }
    return figures, costs, mu.cpu()


@torch.no_grad()
def _importance_weighted(model: VAE, images: Tensor, samples: int, *, seed: int) -> float:
    """Nats per image by the importance-weighted bound; a few images at a time."""
    generator, total = torch.Generator().manual_seed(seed), 0.0
    for x in images.split(50):
        mu, logvar = (part.repeat(samples, 1) for part in model.encode(x))  # (K * n, code_dim)
        z = _draw(mu, logvar, generator)
        pixels = F.binary_cross_entropy_with_logits(model.decoder(z), x.repeat(samples, 1, 1, 1), reduction="none")
        log_pz = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(dim=1)
        log_qz = torch.distributions.Normal(mu, torch.exp(0.5 * logvar)).log_prob(z).sum(dim=1)
        log_w = (log_pz - log_qz - pixels.flatten(1).sum(dim=1)).view(samples, len(x))
        total -= float((torch.logsumexp(log_w, dim=0) - math.log(samples)).sum())
    return total / len(images)


def bound(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The bound in nats, with one sample and with many, beside pixels each by itself."""
    train, test = _sets(dataset, seed)
    chances, images = _chances(train), _flipped_test(test, seed)
    often = chances.mean(dim=0).clamp(1e-3, 1 - 1e-3).to(images)
    by_pixel = F.binary_cross_entropy(often.expand(images.shape), images, reduction="sum") / len(images)
    steps = settings.by_profile(smoke=5, laptop=2_500 if dataset == "glyphs" else 6_000, full=100_000)
    model = _trained(chances, code_dim=CODE_DIM.get(dataset, LARGE_CODE), steps=steps, seed=seed)
    figures, costs, _ = _measured(model, images)
    few = images[: settings.by_profile(smoke=50, laptop=1_000, full=10_000)]
    return {
        "by_pixel": float(by_pixel),
        **figures,
        "costs": costs.sort(descending=True).values.tolist(),
        **{f"nats@{count}": _importance_weighted(model, few, count, seed=seed) for count in SAMPLES},
    }


def warmup(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The same short training with the KL let in slowly, and with its full weight from the first step."""
    train, test = _sets(dataset, seed)
    chances, images = _chances(train), _flipped_test(test, seed)
    figures: dict[str, float | list[float]] = {}
    steps = settings.by_profile(smoke=5, laptop=1_500, full=20_000)
    for name, share in (("with", 0.5), ("without", 0.0)):
        model = _trained(chances, code_dim=LARGE_CODE, steps=steps, seed=seed, warmup=share)
        figures |= {f"{key}_{name}": value for key, value in _measured(model, images)[0].items()}
    return figures


def collapse(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """A healthy code, one killed by averaging over pixels, and one by a large beta."""
    train, test = _sets(dataset, seed)
    chances, images = _chances(train), _flipped_test(test, seed)
    figures: dict[str, float | list[float]] = {}
    steps = settings.by_profile(smoke=5, laptop=400, full=2_000)
    for name, options in (
        ("healthy", {}),
        ("wrong_reduction", {"average_pixels": True}),
        ("large_beta", {"beta": 30.0}),
    ):
        model = _trained(chances, code_dim=CODE_DIM.get(dataset, LARGE_CODE), steps=steps, seed=seed, **options)
        found, costs, _ = _measured(model, images)
        figures |= {f"{key}_{name}": value for key, value in found.items()}
        figures[f"costs_{name}"] = costs.sort(descending=True).values.tolist()
    return figures


def disentanglement(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """How well place and size are known from a code, from its best single latent, and by how much that one leads.

    For several weights of the KL, and as controls for PCA's code and that of an untrained encoder.
    """
    if dataset != "glyphs":
        raise ValueError(f"{dataset} has no known factors; this experiment needs glyphs.")
    train, test = _sets(dataset, seed)
    chances, images = _chances(train), _flipped_test(test, seed)
    code_dim, figures = CODE_DIM[dataset], {}
    steps = settings.by_profile(smoke=5, laptop=1_200, full=10_000)
    for beta in BETAS:
        model = _trained(chances, code_dim=code_dim, steps=steps, seed=seed, beta=float(beta))
        found, _, mu = _measured(model, images)
        figures |= {f"{key}@{beta}": value for key, value in found.items()}
        figures |= {f"{key}@{beta}": value for key, value in _known(mu, test).items()}
    with seeded(torch.Generator().manual_seed(seed)):
        untrained = VAE(tuple(chances.shape[1:]), code_dim).to(images.device)
    pca = PCA(code_dim, random_state=0).fit(chances.flatten(1).numpy())
    codes = torch.from_numpy(pca.transform(images.cpu().flatten(1).numpy())).float()
    figures |= {f"{key}_pca": value for key, value in _known(codes, test).items()}
    figures |= {f"{key}_random": value for key, value in _known(_measured(untrained, images)[2], test).items()}
    return figures


def _known(codes: Tensor, data: ImageData) -> dict[str, float | list[float]]:
    """Means over place and size: R2 from all latents, from the best one, and the mutual information gap."""
    factors = {name: data.factors[name].numpy() for name in FOUND}
    every = {name: _explained(codes, values) for name, values in factors.items()}
    single = {name: max(_explained(codes[:, [j]], v) for j in range(codes.shape[1])) for name, v in factors.items()}
    gaps = [_gap(codes, values) for values in factors.values()]
    means = {"all": np.mean(list(every.values())), "single": np.mean(list(single.values())), "mig": np.mean(gaps)}
    return {key: float(value) for key, value in means.items()} | {f"all_{name}": r2 for name, r2 in every.items()}


def _explained(codes: Tensor, values: np.ndarray) -> float:
    """R2 of a linear regression, fitted on one half of the images and scored on the other; at least 0."""
    x, half = codes.numpy(), len(values) // 2
    return max(0.0, float(LinearRegression().fit(x[:half], values[:half]).score(x[half:], values[half:])))


def _gap(codes: Tensor, values: np.ndarray) -> float:
    """By how much of the factor's entropy the most informative latent leads the second (Chen et al., 2018)."""

    def binned(column: np.ndarray) -> np.ndarray:
        return np.digitize(column, np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1]))

    factor = binned(values)
    shared = sorted(mutual_info_score(factor, binned(column)) for column in codes.T.numpy())
    return float((shared[-1] - shared[-2]) / mutual_info_score(factor, factor))


class _ConvVae(nn.Module):
    """The course's encoder with a Gaussian code of 32 numbers behind it, and its decoder."""

    def __init__(self, encoder: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__()
        self.encoder = encoder
        with seeded(generator):
            self.code = nn.Linear(encoder.feature_dim, 2 * 32)
        self.decoder = ConvDecoder(32, shape, generator=generator)

    def forward(self, images: Tensor) -> Tensor:
        """The means of the code, (N, 32)."""
        return self.code(self.encoder(images)).chunk(2, dim=1)[0]


def pretrained_rows(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The rows of the course's table: the encoder pretrained as that of a VAE, 600 steps of 64 images.

    `mu_frozen@k`: a linear probe of the means of the code (Kingma et al., 2014, model M1).
    """
    data = protocol.setting(dataset, seed)
    generator, shape = data.generator(), tuple(data.pool.shape[1:])
    model = _ConvVae(data.first_weights(grid=2), shape, generator)

    def loss(model: nn.Module, images: Tensor) -> Tensor:
        mu, logvar = model.code(model.encoder(images)).float().chunk(2, dim=1)
        logits = model.decoder(_draw(mu, logvar, generator)).float()
        pixels = F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(dim=1)
        return (pixels + _kl(mu, logvar).sum(dim=1)).mean()

    count = settings.by_profile(smoke=3, laptop=600, full=6000)
    protocol.pretrain(model, data, loss, count=count, lr=2e-3, generator=generator)
    figures: dict[str, float | list[float]] = {}
    codes, test_codes = extract_features(model, data.train.images), extract_features(model, data.test.images)
    for k in protocol.budgets(data):
        few = data.split(k).labeled
        figures[f"mu_frozen@{k}"] = probe_accuracy(codes[few], data.train.labels[few], test_codes, data.test.labels)
    return {**figures, **protocol.rows_of(data, "vae", model.encoder)}


EXPERIMENTS = {
    "bound": bound,
    "warmup": warmup,
    "disentanglement": disentanglement,
    "collapse": collapse,
    "protocol": pretrained_rows,
}

# Method -> experiment:key prefix, for the course's table of results.
TABLE_ROWS = {
    "Variational autoencoder, probe on mu": "protocol:mu_frozen",
    "Variational autoencoder, frozen": "protocol:vae_frozen",
    "Variational autoencoder, fine-tuned, weak views": "protocol:vae_weak",
    "Variational autoencoder, fine-tuned, strong views": "protocol:vae_strong",
}
