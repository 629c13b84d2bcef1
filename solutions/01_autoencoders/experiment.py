"""The recorded experiments of unit 01: what its notebook quotes, for several seeds.

`course results 01_autoencoders --seeds 3` runs them all. Errors are squared errors per image: summed over pixels,
averaged over images, pixels in [0, 1].
"""

from __future__ import annotations

import copy
import math

import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import protocol, settings
from course_lib.data import Batches, ImageData, as_float, augment, load, split_labels
from course_lib.evaluation import auroc, extract_features, knn_accuracy, loss_and_accuracy, predict, probe_accuracy
from course_lib.models import Classifier, ConvDecoder, ConvEncoder, LinearAutoencoder, seeded
from course_lib.training import fit

BUDGETS = (1, 2, 5, 10, 20, 50)
CODE_DIM = 32
LINEAR_DIM = 6
NOISE = 0.5
HELD_OUT = 4  # the class kept out of training, on data sets that have no anomalies of their own

# Method -> experiment:key prefix, for the course's table of results.
TABLE_ROWS = {
    "Autoencoder, frozen": "protocol:autoencoder_frozen",
    "Autoencoder, fine-tuned, weak views": "protocol:autoencoder_weak",
    "Autoencoder, fine-tuned, strong views": "protocol:autoencoder_strong",
}


class Autoencoder(nn.Module):
    """The notebook's solution: fully connected, 256 and 128 units on the way to the code, and back."""

    def __init__(self, image_shape: tuple[int, ...], code_dim: int) -> None:
        super().__init__()
        num_pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(
            nn.Flatten(),
            nn.Linear(num_pixels, 256),
            nn.ReLU(),
            nn.Linear(256, 128),
            nn.ReLU(),
            nn.Linear(128, code_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code_dim, 128),
            nn.ReLU(),
            nn.Linear(128, 256),
            nn.ReLU(),
            nn.Linear(256, num_pixels),
            nn.Sigmoid(),
            nn.Unflatten(1, image_shape),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


def _sets(dataset: str, seed: int) -> tuple[ImageData, ImageData]:
    train_size = settings.by_profile(smoke=500, laptop=8000, full=8000)
    test_size = settings.by_profile(smoke=200, laptop=2000, full=2000)
    return load(dataset, split="train", n=train_size, seed=seed), load(dataset, split="test", n=test_size, seed=seed)


def _error(x_hat: Tensor, images: Tensor) -> float:
    return float((x_hat - images).pow(2).flatten(1).sum(dim=1).mean())


def _squared_error(model: nn.Module, images: Tensor) -> Tensor:
    return (model(images) - images).pow(2).flatten(1).sum(dim=1).mean()


def _scores(model: nn.Module, images: Tensor) -> Tensor:
    return (predict(model, images) - images).pow(2).flatten(1).sum(dim=1)


def _pca_scores(pca: PCA, images: Tensor) -> Tensor:
    flat = images.flatten(1).numpy()
    return torch.from_numpy(((pca.inverse_transform(pca.transform(flat)) - flat) ** 2).sum(axis=1))


def _trained(images: Tensor, *, noise: float, seed: int, code_dim: int = CODE_DIM) -> Autoencoder:
    """The fully connected autoencoder, trained to reconstruct, or with noise to denoise, uint8 images."""
    generator = torch.Generator().manual_seed(seed)
    with seeded(generator):
        model = Autoencoder(tuple(images.shape[1:]), code_dim)

    def loss(model: nn.Module, clean: Tensor) -> Tensor:
        noisy = augment.gaussian_noise(clean, std=noise, generator=generator) if noise else clean
        return (model(noisy) - clean).pow(2).flatten(1).sum(dim=1).mean()

    batches = Batches(images, batch_size=128, shuffle=True, generator=generator)
    steps = settings.by_profile(smoke=5, laptop=1500, full=6000)
    fit(model, batches, loss, steps=steps, lr=2e-3, progress=False)
    return model


def linear_pca(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """A linear autoencoder against PCA with as many components: error, and the angles between the two subspaces."""
    train, test = _sets(dataset, seed)
    mean = as_float(train.images).mean(dim=0)
    x, x_test = as_float(train.images) - mean, as_float(test.images) - mean  # PCA subtracts the mean image too
    generator = torch.Generator().manual_seed(seed)
    model = LinearAutoencoder(mean.numel(), LINEAR_DIM, generator=generator)
    batches = Batches(x, batch_size=64, shuffle=True, generator=generator)
    # The directions are found one after another, the strongest first (Saxe et al., 2014): the last one needs patience.
    steps = settings.by_profile(smoke=5, laptop=2500, full=10_000)
    fit(model, batches, _squared_error, steps=steps, lr=1e-2, progress=False)
    pca = PCA(LINEAR_DIM, random_state=0).fit(x.flatten(1).numpy())
    basis = torch.linalg.qr(model.decoder.weight.detach().cpu()).Q  # (pixels, LINEAR_DIM)
    cosines = torch.linalg.svdvals(torch.from_numpy(pca.components_).float() @ basis).clamp(max=1)
    return {
        "error_mean_image": float(x_test.pow(2).flatten(1).sum(dim=1).mean()),
        "error_linear": _error(predict(model, x_test), x_test),
        "error_pca": float(_pca_scores(pca, x_test).mean()),
        "cosines": cosines.tolist(),
        "smallest_cosine": float(cosines.min()),
    }


def denoising(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """What is left of the noise: by a denoising autoencoder, by filters, by doing nothing."""
    train, test = _sets(dataset, seed)
    clean = as_float(test.images)
    noisy = augment.gaussian_noise(clean, std=NOISE, generator=torch.Generator().manual_seed(1000 + seed))
    denoiser = _trained(train.images, noise=NOISE, seed=seed)
    copier = _trained(train.images, noise=0.0, seed=seed)
    blurred = {width: _gaussian_blur(noisy, width) for width in (0.7, 1.0, 1.3, 1.6, 2.0)}
    errors = {
        "nothing": _error(noisy, clean),
        "mean_filter": _error(F.avg_pool2d(noisy, 3, stride=1, padding=1, count_include_pad=False), clean),
        "gaussian_filter": min(_error(picture, clean) for picture in blurred.values()),  # the best width, to be fair
        "autoencoder": _error(predict(copier, noisy), clean),
        "denoising": _error(predict(denoiser, noisy), clean),
    }
    return {**errors, "autoencoder_on_clean": _error(predict(copier, clean), clean)}


def _gaussian_blur(images: Tensor, width: float) -> Tensor:
    radius = math.ceil(3 * width)
    weights = torch.exp(-(torch.arange(-radius, radius + 1).float() ** 2) / (2 * width**2))
    weights = weights / weights.sum()
    channels = images.shape[1]
    rows = weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    padded = F.pad(images, (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, rows, groups=channels), rows.transpose(2, 3), groups=channels)


def anomaly(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """AUROC of the reconstruction error for shapes that were not in the training set, beside PCA's."""
    train, test = _sets(dataset, seed)
    if dataset == "glyphs":
        strange = load("glyphs", split="test", n=len(test) // 5, seed=seed, classes=["ring", "cross"]).images
        seen, normal = train.images, test.images
    else:
        seen = train.images[train.labels != HELD_OUT]
        normal, strange = test.images[test.labels != HELD_OUT], test.images[test.labels == HELD_OUT]
    images = as_float(torch.cat([normal, strange]))
    is_anomaly = torch.arange(len(images)) >= len(normal)
    model = _trained(seen, noise=0.0, seed=seed)
    pca = PCA(CODE_DIM, random_state=0).fit(as_float(seen).flatten(1).numpy())
    scores, pca_scores = _scores(model, images), _pca_scores(pca, images)
    return {
        "autoencoder": auroc(scores, is_anomaly),
        "pca": auroc(pca_scores, is_anomaly),
        "error_normal": float(scores[~is_anomaly].mean()),
        "error_anomaly": float(scores[is_anomaly].mean()),
        "pca_error_normal": float(pca_scores[~is_anomaly].mean()),
    }


def label_curve(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """One encoder, four ways: from scratch, random and frozen, pretrained as autoencoder and frozen, and fine-tuned.

    The pretraining sees all training images and no label. Both trained networks have the same steps and learning rate,
    fixed in advance; the frozen encoders get a linear probe.
    """
    train, test = _sets(dataset, seed)
    generator = torch.Generator().manual_seed(seed)
    shape = tuple(train.images.shape[1:])
    random_encoder = ConvEncoder(shape[0], grid=2, generator=generator)
    pretrained = copy.deepcopy(random_encoder)
    decoder = ConvDecoder(pretrained.feature_dim, shape, output="sigmoid", generator=generator)
    model = nn.Sequential(pretrained, decoder)
    batches = Batches(train.images, batch_size=64, shuffle=True, generator=generator)
    steps = settings.by_profile(smoke=3, laptop=600, full=6000)
    fit(model, batches, _squared_error, steps=steps, lr=2e-3, progress=False)

    figures: dict[str, float | list[float]] = {"error": _error(predict(model, test.images), as_float(test.images))}
    encoders = {"random": random_encoder, "autoencoder": pretrained}
    features = {
        name: (extract_features(encoder, train.images), extract_features(encoder, test.images))
        for name, encoder in encoders.items()
    }
    for per_class in BUDGETS if profile != "smoke" else BUDGETS[:3]:
        split = split_labels(train.labels, per_class=per_class, generator=torch.Generator().manual_seed(seed))
        chosen, labels = split.labeled, train.labels[split.labeled]
        for name, (train_x, test_x) in features.items():
            figures[f"{name}_frozen@{per_class}"] = probe_accuracy(train_x[chosen], labels, test_x, test.labels)
        for name, encoder in (("scratch", random_encoder), ("autoencoder_finetuned", pretrained)):
            classifier = _finetuned(encoder, train.images[chosen], labels, len(train.class_names), seed=seed)
            figures[f"{name}@{per_class}"] = loss_and_accuracy(classifier, test.images, test.labels)["accuracy"]
    return figures


def _finetuned(encoder: nn.Module, images: Tensor, labels: Tensor, num_classes: int, *, seed: int) -> nn.Module:
    """A copy of the encoder with a new head, all of it trained on a few labels; the same recipe for both starts."""
    generator = torch.Generator().manual_seed(seed)
    classifier = Classifier(copy.deepcopy(encoder), num_classes, generator=generator)
    batches = Batches(
        images, labels, batch_size=min(64, len(images)), shuffle=True, generator=generator, augment=augment.random_shift
    )
    steps = settings.by_profile(smoke=2, laptop=300, full=2000)
    fit(classifier, batches, steps=steps, lr=3e-3, progress=False)
    return classifier


def pretrained_rows(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The rows of the course's table: the encoder pretrained as an autoencoder, 600 steps of 64 images."""
    data = protocol.setting(dataset, seed)
    generator, shape = data.generator(), tuple(data.pool.shape[1:])
    encoder = data.first_weights(grid=2)  # a reconstruction needs to know where things are
    decoder = ConvDecoder(encoder.feature_dim, shape, output="sigmoid", generator=generator)
    count = settings.by_profile(smoke=3, laptop=600, full=6000)
    protocol.pretrain(
        nn.Sequential(encoder, decoder), data, _squared_error, count=count, lr=2e-3, generator=generator
    )  # fmt: skip
    return {**protocol.rows_of(data, "autoencoder", encoder)}


def closeness(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """How often a training image of another class is closer to a test image than its own copy, three pixels further."""
    train, test = _sets(dataset, seed)
    x, x_test = as_float(train.images).flatten(1), as_float(test.images)
    moved = F.pad(x_test, (3, 0, 0, 0), mode="replicate")[..., :-3]
    own = (moved - x_test).pow(2).flatten(1).sum(dim=1)
    distances = torch.cdist(x_test.flatten(1), x).pow(2)
    distances[test.labels[:, None] == train.labels[None]] = math.inf
    return {"other_class_closer": float((distances.min(dim=1).values < own).float().mean())}


def neighbors(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Accuracy of the five nearest neighbors in the autoencoder's code: among all training images, and among few."""
    train, test = _sets(dataset, seed)
    encoder = _trained(train.images, noise=0.0, seed=seed).encoder
    codes, test_codes = extract_features(encoder, train.images), extract_features(encoder, test.images)
    few = split_labels(train.labels, per_class=10, generator=torch.Generator().manual_seed(seed)).labeled
    return {
        "all": knn_accuracy(codes, train.labels, test_codes, test.labels, metric="euclidean"),
        "10": knn_accuracy(codes[few], train.labels[few], test_codes, test.labels, metric="euclidean"),
    }


EXPERIMENTS = {
    "label_curve": label_curve,
    "linear_pca": linear_pca,
    "denoising": denoising,
    "anomaly": anomaly,
    "closeness": closeness,
    "neighbors": neighbors,
    "protocol": pretrained_rows,
}
