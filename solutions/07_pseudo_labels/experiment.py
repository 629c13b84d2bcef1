"""The recorded experiments of unit 07: what its notebooks quote, for several seeds.

`course results 07_pseudo_labels --seeds 3` runs them all; a network that two experiments need is trained once per seed.
Accuracies are shares of test images.

Names that end in `_1` belong to the first notebook, self-training. There, every network has the same first weights and
is trained in the same way; what differs is which images it is taught, and with whose labels.

Names that end in `_2` belong to the second notebook, consistency. All its experiments share the encoder (16, 32, 64
channels), its first weights, the views, the learning rate and the number of steps; what differs is the unlabeled loss.
"""

from __future__ import annotations

import copy
import functools
import itertools
import math
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import protocol, settings
from course_lib.data import Batches, ImageData, as_float, augment, load, split_labels
from course_lib.evaluation import confusion, extract_features, loss_and_accuracy, predict
from course_lib.models import Classifier, ConvDecoder, ConvEncoder, torchvision_backbone
from course_lib.training import History, fit

# --- first notebook: self-training ----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4)
def _sets_1(dataset: str, seed: int, imbalance: float = 1.0) -> tuple[ImageData, ImageData]:
    """Training and test images; glyphs may have rare classes in training."""
    train_size = settings.by_profile(smoke=800, laptop=8000, full=8000)
    test_size = settings.by_profile(smoke=200, laptop=2000, full=2000)
    options = {"imbalance": imbalance} if imbalance > 1 else {}
    train = load(dataset, split="train", n=train_size, seed=seed, **options)
    return train, load(dataset, split="test", n=test_size, seed=seed)


def _split_1(train: ImageData, seed: int, per_class: int) -> tuple[ImageData, ImageData, ImageData]:
    """Labeled, unlabeled (labels kept for measuring alone) and validation images."""
    validation = settings.by_profile(smoke=5, laptop=20, full=20)
    generator = torch.Generator().manual_seed(seed)
    split = split_labels(
        train.labels, per_class=per_class, validation_per_class=validation, generator=generator
    )  # fmt: skip
    return train.subset(split.labeled), train.subset(split.unlabeled), train.subset(split.validation)


def _first_weights_1(train: ImageData, seed: int) -> Classifier:
    generator = torch.Generator().manual_seed(seed)
    encoder = ConvEncoder(train.images.shape[1], generator=generator)
    return Classifier(encoder, len(train.class_names), generator=generator)


def _steps_1(round_: int) -> int:
    """Steps of a round; 0 is the one on labels alone. They grow because the training set does."""
    laptop = (300, 400, 600, 800)[min(round_, 3)]
    return settings.by_profile(smoke=2, laptop=laptop, full=4 * laptop)


def _train_1(network: Classifier, images: Tensor, labels: Tensor, *, seed: int, steps: int) -> Classifier:
    """64 images per step, shifted a little; in place."""
    batches = Batches(
        images, labels, batch_size=min(64, len(images)), shuffle=True,
        generator=torch.Generator().manual_seed(seed), augment=augment.random_shift,
    )  # fmt: skip
    fit(network, batches, steps=steps, lr=3e-3, progress=False)
    return network


@functools.lru_cache(maxsize=8)
def _labels_only_1(dataset: str, seed: int, per_class: int, imbalance: float = 1.0) -> Classifier:
    train = _sets_1(dataset, seed, imbalance)[0]
    few = _split_1(train, seed, per_class)[0]
    return _train_1(_first_weights_1(train, seed), few.images, few.labels, seed=seed, steps=_steps_1(0))


def _chosen_1(labels: Tensor, confidences: Tensor, tau: float, per_class: int | None) -> Tensor:
    """Positions of confident images, ascending; with `per_class`, the most confident of each class and no more."""
    sure = confidences >= tau
    if per_class is None:
        return sure.nonzero().squeeze(1)
    kept = torch.zeros(len(labels), dtype=torch.bool)
    for k in labels[sure].unique():
        own = (sure & (labels == k)).nonzero().squeeze(1)
        kept[own[confidences[own].argsort(descending=True)[:per_class]]] = True
    return kept.nonzero().squeeze(1)


def _self_training_1(
    dataset: str, seed: int, per_class: int, *, tau: float = 0.9, restart: bool = True, rounds: int = 3,
    repeats: int = 5, limit: int | None = None, imbalance: float = 1.0, steps: int | None = None,
) -> tuple[Classifier, dict[str, float | list[float]]]:  # fmt: skip
    """Rounds of self-training.

    Labeled images are taught `repeats` times as often as chosen ones, so that a thousand pseudo-labels of a few classes
    do not drown them. After round r: `accuracy@r`; of its pseudo-labels `chosen@r` (share of the unlabeled images),
    `right@r`, `largest@r` and `smallest@r`, the shares of the commonest and the rarest class in them, and `shares_r`,
    those of all classes.
    """
    train, test = _sets_1(dataset, seed, imbalance)
    few, unlabeled, _ = _split_1(train, seed, per_class)
    network = _labels_only_1(dataset, seed, per_class, imbalance)
    figures: dict[str, float | list[float]] = {
        "accuracy@0": loss_and_accuracy(network, test.images, test.labels)["accuracy"]
    }
    for round_ in range(1, rounds + 1):
        confidences, labels = predict(network, unlabeled.images).softmax(dim=1).max(dim=1)
        chosen = _chosen_1(labels, confidences, tau, limit)
        shares = labels[chosen].bincount(minlength=len(train.class_names)) / max(1, len(chosen))
        figures[f"chosen@{round_}"] = len(chosen) / len(labels)
        figures[f"right@{round_}"] = int((labels[chosen] == unlabeled.labels[chosen]).sum()) / max(1, len(chosen))
        figures[f"largest@{round_}"], figures[f"smallest@{round_}"] = float(shares.max()), float(shares.min())
        figures[f"shares_{round_}"] = shares.tolist()
        network = _first_weights_1(train, seed) if restart else copy.deepcopy(network)
        images = torch.cat([few.images.repeat(repeats, 1, 1, 1), unlabeled.images[chosen]])
        _train_1(
            network, images, torch.cat([few.labels.repeat(repeats), labels[chosen]]), seed=seed + round_,
            steps=_steps_1(round_) if steps is None else settings.by_profile(smoke=2, laptop=steps, full=4 * steps),
        )  # fmt: skip
        figures[f"accuracy@{round_}"] = loss_and_accuracy(network, test.images, test.labels)["accuracy"]
    return network, figures


@functools.lru_cache(maxsize=4)
def _restarted_1(dataset: str, seed: int, per_class: int) -> tuple[Classifier, dict[str, float | list[float]]]:
    """Three rounds with a threshold of 0.9, every one from the first weights."""
    return _self_training_1(dataset, seed, per_class)


def _budget_1(laptop: int) -> int:
    return settings.by_profile(smoke=2, laptop=laptop, full=laptop)


def rounds(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Ten labels per class, round by round: threshold 0.9 with restart and without, and everything without either."""
    per_class = _budget_1(10)
    runs = {
        "restarted": _restarted_1(dataset, seed, per_class)[1],
        "continued": _self_training_1(dataset, seed, per_class, restart=False)[1],
        "own_argmax": _self_training_1(dataset, seed, per_class, tau=0.0, restart=False)[1],
    }
    figures: dict[str, float | list[float]] = {}
    for name, run in runs.items():
        for key, value in run.items():
            what, _, round_ = key.partition("@")
            if round_:
                figures[f"{name}@{round_}" if what == "accuracy" else f"{name}_{what}@{round_}"] = value
    return figures


def label_curve(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Pseudo-labels after three rounds with restart, and the same network on the labels alone.

    `once`: labeled images are taught no more often than the chosen ones.
    """
    figures: dict[str, float | list[float]] = {}
    budgets = (5, 10, 20, 50) if dataset == "glyphs" else (10,)
    for per_class in budgets if profile != "smoke" else (2, 5):
        run = _restarted_1(dataset, seed, per_class)[1]
        figures[f"scratch@{per_class}"], figures[f"pseudo_label@{per_class}"] = run["accuracy@0"], run["accuracy@3"]
        figures[f"right@{per_class}"], figures[f"chosen@{per_class}"] = run["right@1"], run["chosen@1"]
    if 20 in budgets:
        per_class = _budget_1(20)
        figures[f"once@{per_class}"] = _self_training_1(dataset, seed, per_class, repeats=1)[1]["accuracy@3"]
    return figures


def threshold(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The network trained on labels alone: what a threshold would choose, how much of it is right, and calibration.

    `coverage_k@t` and `precision_k@t` for k labels per class; `error_k`: expected calibration error in ten bins on the
    unlabeled images, `validation_error_k` on the validation images.
    """
    figures: dict[str, float | list[float]] = {}
    for per_class in (_budget_1(5), _budget_1(10) + (profile == "smoke")):
        train = _sets_1(dataset, seed)[0]
        _, unlabeled, validation = _split_1(train, seed, per_class)
        network = _labels_only_1(dataset, seed, per_class)
        for name, part in (("error", unlabeled), ("validation_error", validation)):
            confidences, labels = predict(network, part.images).softmax(dim=1).max(dim=1)
            right = (labels == part.labels).double()
            place = (confidences.double() * 10).ceil().long().clamp(1, 10) - 1
            gaps = torch.zeros(10, dtype=torch.float64).index_add(0, place, right - confidences.double())
            figures[f"{name}_{per_class}"] = float(gaps.abs().sum() / len(right))
            if part is unlabeled:
                for tau in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99):
                    sure = confidences >= tau
                    figures[f"coverage_{per_class}@{tau:g}"] = float(sure.double().mean())
                    figures[f"precision_{per_class}@{tau:g}"] = float(right[sure].mean()) if sure.any() else 1.0
    return figures


def _temperature_1(logits: Tensor, labels: Tensor) -> float:
    """The T that minimizes the mean cross-entropy of logits / T (Guo et al. 2017), by bisection on 1 / T.

    In 1 / T the loss is convex; its slope is the mean logit under the model minus that of the right class.
    """
    logits, own = logits.double(), logits.double()[torch.arange(len(labels)), labels]
    low, high = 1e-3, 1e3
    for _ in range(60):
        middle = (low * high) ** 0.5
        slope = ((middle * logits).softmax(dim=1) * logits).sum(dim=1) - own
        low, high = (middle, high) if slope.mean() < 0 else (low, middle)
    return 1 / middle


def temperature(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Temperature scaling of the network trained on labels alone, T fitted on the validation images.

    For k labels per class: `temperature_k`; on the unlabeled images, before and after it, the calibration error in ten
    bins (`error_k`, `scaled_error_k`), and what a threshold of 0.9 chooses (`coverage_k`, `precision_k`, `scaled_...`).
    """
    figures: dict[str, float | list[float]] = {}
    for per_class in (_budget_1(5), _budget_1(10) + (profile == "smoke")):
        _, unlabeled, validation = _split_1(_sets_1(dataset, seed)[0], seed, per_class)
        network = _labels_only_1(dataset, seed, per_class)
        fitted = _temperature_1(predict(network, validation.images), validation.labels)
        figures[f"temperature_{per_class}"] = fitted
        logits = predict(network, unlabeled.images)
        for prefix, divided in (("", logits), ("scaled_", logits / fitted)):
            confidences, labels = divided.double().softmax(dim=1).max(dim=1)
            right = (labels == unlabeled.labels).double()
            place = (confidences * 10).ceil().long().clamp(1, 10) - 1
            gaps = torch.zeros(10, dtype=torch.float64).index_add(0, place, right - confidences)
            sure = confidences >= 0.9
            figures[f"{prefix}error_{per_class}"] = float(gaps.abs().sum() / len(right))
            figures[f"{prefix}coverage_{per_class}"] = float(sure.double().mean())
            figures[f"{prefix}precision_{per_class}"] = float(right[sure].mean()) if sure.any() else 1.0
    return figures


def naive(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Five labels per class, five rounds, every pseudo-label believed: no threshold, and labeled images are taught no
    more often than the others. Beside it three rounds with threshold 0.9 and all that belongs to it.

    `shares_r`: the share of each class among the pseudo-labels of round r, sorted by falling share in the last round;
    `taken_for_commonest`: the share of test images that the last network calls its favorite class.
    """
    per_class, count = _budget_1(5), settings.by_profile(smoke=2, laptop=5, full=5)
    network, run = _self_training_1(dataset, seed, per_class, tau=0.0, rounds=count, repeats=1, steps=300)
    figures: dict[str, float | list[float]] = {
        f"naive@{key.partition('@')[2]}": value for key, value in run.items() if key.startswith("accuracy@")
    }
    figures |= {f"naive_{key}": value for key, value in run.items() if "@" in key and not key.startswith("accuracy")}
    last = run[f"shares_{count}"]
    assert isinstance(last, list)
    order = sorted(range(len(last)), key=last.__getitem__, reverse=True)
    for round_ in range(1, count + 1):
        shares = run[f"shares_{round_}"]
        assert isinstance(shares, list)
        figures[f"shares_{round_}"] = [shares[k] for k in order]
    test = _sets_1(dataset, seed)[1]
    table = confusion(predict(network, test.images), test.labels, num_classes=len(last))
    figures["taken_for_commonest"] = float(table.sum(dim=0).max() / table.sum())
    figures["hardly_said"] = float((table.sum(dim=0) < 0.01 * table.sum()).sum())  # classes, under one percent each
    kept = _restarted_1(dataset, seed, per_class)[1]
    return figures | {f"threshold@{r}": kept[f"accuracy@{r}"] for r in range(4)}


def imbalance(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Glyphs whose first class is ten times as frequent as the last; ten labels of each. Threshold 0.9, two rounds.

    `x_common`, `x_rare`: recall of the three most frequent and the three rarest classes on the balanced test set.
    """
    per_class, limit = _budget_1(10), settings.by_profile(smoke=5, laptop=100, full=100)
    test = _sets_1(dataset, seed, 10.0)[1]
    networks = {
        "scratch": (_labels_only_1(dataset, seed, per_class, 10.0), {}),
        "threshold": _self_training_1(dataset, seed, per_class, rounds=2, imbalance=10.0),
        "balanced": _self_training_1(dataset, seed, per_class, rounds=2, imbalance=10.0, limit=limit),
    }
    figures: dict[str, float | list[float]] = {}
    for name, (network, run) in networks.items():
        table = confusion(predict(network, test.images), test.labels, num_classes=10).double()
        recall = table.diagonal() / table.sum(dim=1)
        figures[name] = float(table.diagonal().sum() / table.sum())
        figures[f"{name}_common"], figures[f"{name}_rare"] = float(recall[:3].mean()), float(recall[-3:].mean())
        figures |= {f"{name}_{key}": run[f"{key}@2"] for key in ("largest", "smallest", "right") if run}
    return figures


def baselines(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """scikit-learn's semi-supervised classifiers, ten labels per class and 2,000 unlabeled images, on two kinds of
    features: 50 principal components of the pixels, and those of the network that was trained on the labels alone.

    `svc`: the support vector machine on the labels alone; `self_training`: around it (probabilities by Platt scaling,
    threshold 0.75, which is its default); `propagation`, `spreading`: along a graph of seven neighbors.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.decomposition import PCA
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler
    from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier
    from sklearn.svm import SVC

    per_class, count = _budget_1(10), settings.by_profile(smoke=100, laptop=2000, full=2000)
    train, test = _sets_1(dataset, seed)
    few, unlabeled, _ = _split_1(train, seed, per_class)
    unlabeled = unlabeled.subset(torch.arange(count))
    network = _labels_only_1(dataset, seed, per_class)

    def pixels(images: Tensor) -> np.ndarray:
        return as_float(images).flatten(1).numpy()

    pca = PCA(50, random_state=seed).fit(pixels(unlabeled.images))

    def as_components(images: Tensor) -> np.ndarray:
        return pca.transform(pixels(images))

    def as_features(images: Tensor) -> np.ndarray:
        return extract_features(network.encoder, images).numpy()

    figures: dict[str, float | list[float]] = {
        "network": loss_and_accuracy(network, test.images, test.labels)["accuracy"]
    }
    targets = np.concatenate([few.labels.numpy(), np.full(count, -1)])
    folds = min(5, per_class)
    for name, features in (("pixels", as_components), ("features", as_features)):
        scaler = StandardScaler().fit(features(unlabeled.images))
        known, unknown, held_out = (
            scaler.transform(features(part.images)) for part in (few, unlabeled, test)
        )  # fmt: skip
        both = np.concatenate([known, unknown])
        machine = CalibratedClassifierCV(SVC(C=10.0), ensemble=False, cv=folds)
        models = {
            "self_training": SelfTrainingClassifier(machine, threshold=0.75),
            "propagation": LabelPropagation(kernel="knn", n_neighbors=7, max_iter=2000),
            "spreading": LabelSpreading(kernel="knn", n_neighbors=7, alpha=0.2),
        }
        figures[f"svc_{name}"] = float(SVC(C=10.0).fit(known, few.labels.numpy()).score(held_out, test.labels.numpy()))
        with warnings.catch_warnings():
            # A graph with an island that no label reaches gives 0 / 0 there; scikit-learn goes on with it.
            warnings.simplefilter("ignore", RuntimeWarning)
            warnings.simplefilter("ignore", ConvergenceWarning)
            for kind, model in models.items():
                figures[f"{kind}_{name}"] = float(model.fit(both, targets).score(held_out, test.labels.numpy()))
    return figures


# --- second notebook: consistency -----------------------------------------------------------------------------------

VALIDATION_2 = 20  # images per class that no experiment here trains on; the same ones as in unit 04
THRESHOLD_2 = 0.8  # lower than the paper's 0.95: a run of a minute never gets that sure
TABLE_BUDGETS_2 = (5, 10, 20)  # labels per class
LABELED_2, UNLABELED_2 = 32, 64  # images per step


# --- data and views -------------------------------------------------------------------------------------------------


@functools.cache
def _sets_2(dataset: str, seed: int) -> tuple[ImageData, ImageData]:
    train_size = settings.by_profile(smoke=600, laptop=8000, full=None if dataset == "cifar10" else 8000)
    test_size = settings.by_profile(smoke=200, laptop=2000, full=None if dataset == "cifar10" else 2000)
    return load(dataset, split="train", n=train_size, seed=seed), load(dataset, split="test", n=test_size, seed=seed)


def _split_2(dataset: str, seed: int, per_class: int):
    generator = torch.Generator().manual_seed(seed)
    labels = _sets_2(dataset, seed)[0].labels
    return split_labels(labels, per_class=per_class, validation_per_class=VALIDATION_2, generator=generator)


_weak_2 = augment.random_shift
_strong_2 = augment.compose(
    functools.partial(augment.random_affine, max_degrees=25, max_shift=0.12, scale=(0.8, 1.2)),
    functools.partial(augment.random_brightness_contrast, brightness=0.2, contrast=0.5),
    functools.partial(augment.cutout, size=8),
)


def _steps_2() -> int:
    return settings.by_profile(smoke=3, laptop=800, full=20_000)


# --- training -------------------------------------------------------------------------------------------------------

UnlabeledLoss_2 = Callable[[nn.Module, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(model, labeled views, weak views, strong views) -> logits of the labeled views, and the loss of the others.

Labeled and strong views go through the network together, so that batch normalization sees one mixture.
"""


def _large_2(dataset: str) -> bool:
    """Whether the experiment is the published one: photographs, a residual network, hours on a GPU."""
    return dataset == "cifar10" and settings.profile() == "full"


def _encoder_2(dataset: str, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    if _large_2(dataset):
        return torchvision_backbone("resnet18", num_classes=1, small_images=True, generator=generator).encoder
    return ConvEncoder(_sets_2(dataset, seed)[0].images.shape[1], generator=generator)


def _network_2(dataset: str, seed: int, start: nn.Module | None = None) -> Classifier:
    """The encoder with its first weights, or with those of `start`, and a new head."""
    encoder = _encoder_2(dataset, seed)
    if start is not None:
        encoder.load_state_dict(start.state_dict())
    generator = torch.Generator().manual_seed(seed)
    return Classifier(encoder, len(_sets_2(dataset, seed)[0].class_names), generator=generator)


def _train_2(
    model: Classifier,
    dataset: str,
    seed: int,
    per_class: int,
    unlabeled_loss: UnlabeledLoss_2 | None,
    *,
    weight: Callable[[int], float] = lambda step: 1.0,
    steps: int | None = None,
    alternating: bool = False,
    views: tuple[Callable[..., Tensor], Callable[..., Tensor]] = (_weak_2, _strong_2),
    on_step: Callable[[nn.Module, History], None] | None = None,
) -> Classifier:
    """Trains on labeled images in both views, plus `weight(step)` times a loss of unlabeled ones (None: without it).

    Alternating: the two losses take turns, a step each, in twice as many steps; so both see as many images as before.
    """
    train, split = _sets_2(dataset, seed)[0], _split_2(dataset, seed, per_class)
    generator = torch.Generator().manual_seed(seed)
    x, y = as_float(train.images[split.labeled]).to(settings.device()), train.labels[split.labeled]
    y = y.to(x.device)
    few, many = (64, 448) if _large_2(dataset) else (LABELED_2, UNLABELED_2)
    counter = itertools.count()

    def loss(model: nn.Module, images: Tensor) -> Tensor:
        step = next(counter)
        chosen = torch.randint(0, len(x), (few,), generator=generator).to(x.device)
        labeled = torch.cat([view(x[chosen], generator=generator) for view in views])
        targets = y[chosen].repeat(len(views))
        if unlabeled_loss is None or (alternating and step % 2 == 0):
            return F.cross_entropy(model(labeled), targets)
        weak, strong = (view(images, generator=generator) for view in views)
        if alternating:
            return weight(step // 2) * unlabeled_loss(model, labeled[:0], weak, strong)[1]
        logits, unlabeled = unlabeled_loss(model, labeled, weak, strong)
        return F.cross_entropy(logits, targets) + weight(step) * unlabeled

    pool = train.images[split.unlabeled]
    batches = Batches(pool, batch_size=min(many, len(pool)), shuffle=True, generator=generator, drop_last=True)
    steps = (steps or _steps_2()) * (2 if alternating else 1)
    fit(model, batches, loss, steps=steps, lr=3e-3, progress=False, on_step=on_step)
    return model


def _fixmatch_loss_2(model: nn.Module, labeled: Tensor, weak: Tensor, strong: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        confidence, guess = model(weak).float().softmax(dim=1).max(dim=1)
    logits, pupil = model(torch.cat([labeled, strong])).split([len(labeled), len(strong)])
    losses = F.cross_entropy(pupil, guess, reduction="none")
    return logits, (losses * (confidence >= THRESHOLD_2)).mean()


def _test_accuracy_2(model: nn.Module, dataset: str, seed: int) -> float:
    test = _sets_2(dataset, seed)[1]
    return loss_and_accuracy(model, test.images, test.labels)["accuracy"]


@functools.cache
def _fixmatch_2(dataset: str, seed: int, per_class: int, weight: float) -> float:
    """Test accuracy after FixMatch; weight 0 is the control, which sees the same labeled views and nothing else."""
    loss = _fixmatch_loss_2 if weight else None
    model = _train_2(_network_2(dataset, seed), dataset, seed, per_class, loss, weight=lambda step: weight)
    return _test_accuracy_2(model, dataset, seed)


@functools.cache
def _rotation_2(dataset: str, seed: int) -> nn.Module:
    """An encoder pretrained to tell quarter turns, as in unit 04, on all images outside the validation set."""
    train = _sets_2(dataset, seed)[0]
    pool = torch.ones(len(train), dtype=torch.bool)
    pool[_split_2(dataset, seed, 1).validation] = False
    generator = torch.Generator().manual_seed(seed)
    model = Classifier(_encoder_2(dataset, seed), 4, generator=generator)

    def which_turn(model: nn.Module, images: Tensor) -> Tensor:
        turned = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
        return F.cross_entropy(model(turned), torch.arange(4, device=images.device).repeat_interleave(len(images)))

    batches = Batches(train.images[pool], batch_size=32, shuffle=True, generator=generator, augment=_weak_2)
    steps = settings.by_profile(smoke=3, laptop=500, full=4000)
    fit(model, batches, which_turn, steps=steps, lr=3e-3, progress=False)
    return model.encoder


# --- experiments ----------------------------------------------------------------------------------------------------


def consistency(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """FixMatch at several label budgets; the same network and views without unlabeled images; FixMatch after rotation.

    On CIFAR-10 the budgets are the published ones, 40 and 250 labels in all.
    """
    budgets = (4, 25) if dataset == "cifar10" else TABLE_BUDGETS_2
    figures: dict[str, float | list[float]] = {}
    for k in budgets[:2] if profile == "smoke" else budgets:
        figures[f"augmented@{k}"] = _fixmatch_2(dataset, seed, k, 0.0)
        figures[f"fixmatch@{k}"] = _fixmatch_2(dataset, seed, k, 1.0)
        model = _network_2(dataset, seed, _rotation_2(dataset, seed))
        _train_2(model, dataset, seed, k, _fixmatch_loss_2)
        figures[f"rotation_fixmatch@{k}"] = _test_accuracy_2(model, dataset, seed)
    return figures


def weights(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """FixMatch with five labels per class and several weights of its unlabeled loss."""
    per_class = settings.by_profile(smoke=2, laptop=5, full=5)
    return {f"fixmatch@{weight:g}": _fixmatch_2(dataset, seed, per_class, weight) for weight in (0.0, 1.0, 3.0)}


def alternating(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Both losses in every step, or in turns, for as many images of each kind; five labels per class."""
    per_class = settings.by_profile(smoke=2, laptop=5, full=5)
    model = _network_2(dataset, seed)
    _train_2(model, dataset, seed, per_class, _fixmatch_loss_2, alternating=True)
    turns = _test_accuracy_2(model, dataset, seed)
    return {"joint": _fixmatch_2(dataset, seed, per_class, 1.0), "alternating": turns}


def teachers(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Mean Teacher (Tarvainen and Valpola 2017), five labels per class: `x@step` for the student, its averaged teacher,
    and a teacher whose parameters are averaged and whose buffers are forgotten."""
    per_class = settings.by_profile(smoke=2, laptop=5, full=5)
    steps = _steps_2()
    model = _network_2(dataset, seed)
    teacher = copy.deepcopy(model).requires_grad_(False).to(settings.device())
    half = copy.deepcopy(teacher)
    figures: dict[str, float | list[float]] = {}

    def distance(model: nn.Module, labeled: Tensor, weak: Tensor, strong: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            target = teacher(weak).float().softmax(dim=1)
        logits, pupil = model(torch.cat([labeled, strong])).split([len(labeled), len(strong)])
        return logits, (pupil.softmax(dim=1) - target).pow(2).sum(dim=1).mean()

    @torch.no_grad()
    def follow(model: nn.Module, history: History) -> None:
        step = len(history.sizes)
        decay = min(0.99, 1 - 1 / (step + 1))  # a young teacher has little to remember
        for slow, fast in zip(teacher.state_dict().values(), model.state_dict().values(), strict=True):
            slow.mul_(decay).add_(fast, alpha=1 - decay) if slow.is_floating_point() else slow.copy_(fast)
        for slow, fast in zip(half.parameters(), model.parameters(), strict=True):
            slow.mul_(decay).add_(fast, alpha=1 - decay)
        if step in (steps // 8, steps // 4, steps // 2, steps):
            for name, network in (("student", model), ("teacher", teacher), ("without_buffers", half)):
                figures[f"{name}@{step}"] = _test_accuracy_2(network, dataset, seed)

    def ramp(step: int) -> float:
        return 3.0 * math.exp(-5 * (1 - min(step / (0.4 * steps), 1)) ** 2) if step else 0.0

    _train_2(model, dataset, seed, per_class, distance, weight=ramp, on_step=follow)
    return figures


@functools.cache
def _digits_2(dataset: str, seed: int, unlabeled: bool) -> float:
    """Ten labels per class, an encoder that keeps coarse positions (2 x 2 cells): digits differ by place of strokes."""
    per_class = settings.by_profile(smoke=2, laptop=10, full=10)
    train = _sets_2(dataset, seed)[0]
    encoder = ConvEncoder(train.images.shape[1], grid=2, generator=torch.Generator().manual_seed(seed))
    model = Classifier(encoder, len(train.class_names), generator=torch.Generator().manual_seed(seed))
    _train_2(model, dataset, seed, per_class, _fixmatch_loss_2 if unlabeled else None)
    return _test_accuracy_2(model, dataset, seed)


def hundred_labels(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Test ERROR with a hundred labels in all, for MNIST: FixMatch, and its labeled half alone."""
    return {
        "augmented_error": 1 - _digits_2(dataset, seed, False),
        "fixmatch_error": 1 - _digits_2(dataset, seed, True),
    }


def terms(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Three unlabeled losses of one view, five labels per class, 200 steps: pseudo-labels, reconstruction, clusters."""
    per_class = settings.by_profile(smoke=2, laptop=5, full=5)
    steps = settings.by_profile(smoke=3, laptop=200, full=2000)

    def ramp(step: int, maximum: float) -> float:
        return maximum * math.exp(-5 * (1 - min(step / (steps // 2), 1)) ** 2) if step else 0.0

    def unlabeled(term: str, decoder: nn.Module) -> UnlabeledLoss_2:
        def loss(model: nn.Module, labeled: Tensor, weak: Tensor, again: Tensor) -> tuple[Tensor, Tensor]:
            codes = model.encoder(torch.cat([labeled, weak]))
            logits, guessed = model.head(codes).float().split([len(labeled), len(weak)])
            if term == "reconstruction":
                return logits, F.mse_loss(decoder(codes[len(labeled) :]).float(), weak)
            if term == "pseudo_label":
                return logits, F.cross_entropy(guessed, guessed.argmax(dim=1))
            p = guessed.softmax(dim=1)
            of_each = -(p * guessed.log_softmax(dim=1)).sum(dim=1)
            return logits, of_each.mean() - torch.special.entr(p.mean(dim=0)).sum()

        return loss

    figures: dict[str, float | list[float]] = {}
    weights = {"labels_alone": 0.0, "pseudo_label": 1.0, "reconstruction": 10.0, "clustering": 1.0}
    for term, maximum in weights.items():
        model = _network_2(dataset, seed)
        shape = tuple(_sets_2(dataset, seed)[0].images.shape[1:])
        model.decoder = ConvDecoder(model.encoder.feature_dim, shape, output="sigmoid")  # trained with the rest
        _train_2(
            model, dataset, seed, per_class, unlabeled(term, model.decoder) if maximum else None, steps=steps,
            views=(_weak_2, _weak_2), weight=functools.partial(ramp, maximum=maximum),
        )  # fmt: skip
        figures[term] = _test_accuracy_2(model, dataset, seed)
    return figures


def collapse(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """A network that must agree with itself on two views, at weights 1 and 100, without ramp or threshold, 200 steps.

    `disagreement@w`: the mean squared distance of the two answers, over the last 20 steps; `largest@w`: the share of
    test images that are given the most frequent answer.
    """
    per_class = settings.by_profile(smoke=2, laptop=5, full=5)
    steps = settings.by_profile(smoke=3, laptop=200, full=200)
    test = _sets_2(dataset, seed)[1]
    distances: list[float] = []

    def agree(model: nn.Module, labeled: Tensor, weak: Tensor, strong: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            target = model(weak).float().softmax(dim=1)
        logits, pupil = model(torch.cat([labeled, strong])).split([len(labeled), len(strong)])
        distance = (pupil.softmax(dim=1) - target).pow(2).sum(dim=1).mean()
        distances.append(float(distance.detach()))
        return logits, distance

    figures: dict[str, float | list[float]] = {}
    for weight in (1.0, 100.0):
        model = _network_2(dataset, seed)
        _train_2(model, dataset, seed, per_class, agree, steps=steps, weight=lambda _, fixed=weight: fixed)
        answers = predict(model, test.images).argmax(dim=1)
        figures[f"accuracy@{weight:g}"] = float((answers == test.labels).double().mean())
        figures[f"disagreement@{weight:g}"] = sum(distances[-20:]) / len(distances[-20:])
        figures[f"largest@{weight:g}"] = int(answers.bincount().max()) / len(answers)
    return figures


# --- both notebooks: the rows of the course's table -----------------------------------------------------------------


def _self_trained(data: protocol.Setting, per_class: int, views: protocol.Views) -> float:
    """Test accuracy after three rounds of self-training with a threshold of 0.9, each from the first weights.

    Labeled images are taught five times as often as chosen ones, as in the notebook.
    """
    few, pool = data.few(per_class), data.train.images[data.split(per_class).unlabeled]
    model = protocol.train_classifier(protocol.classifier(data), few, views, seed=data.seed)
    for _ in range(3):
        confidences, labels = predict(model, pool).softmax(dim=1).max(dim=1)
        chosen = _chosen_1(labels, confidences, 0.9, None)
        both = ImageData(
            few.name,
            torch.cat([few.images.repeat(5, 1, 1, 1), pool[chosen]]),
            torch.cat([few.labels.repeat(5), labels[chosen]]),
            few.class_names,
        )
        model = protocol.train_classifier(protocol.classifier(data), both, views, seed=data.seed)
    return protocol.test_accuracy(data, model)


def _fixmatched(data: protocol.Setting, per_class: int, encoder: ConvEncoder | None = None) -> float:
    """Test accuracy after FixMatch: the strong row's labeled images, and 64 unlabeled images per step beside them."""
    generator = data.generator()
    few, model = data.few(per_class), protocol.classifier(data, encoder)
    x, y = as_float(few.images).to(settings.device()), few.labels.to(settings.device())
    pool = data.train.images[data.split(per_class).unlabeled]

    def loss(model: nn.Module, images: Tensor) -> Tensor:
        chosen = torch.randint(0, len(x), (protocol.LABELED,), generator=generator).to(x.device)
        labeled = protocol.Views.STRONG.of(x[chosen], generator)
        weak, strong = (view(images, generator=generator) for view in (protocol.weak, protocol.strong))
        logits, unlabeled = _fixmatch_loss_2(model, labeled, weak, strong)
        return F.cross_entropy(logits, y[chosen].repeat(2)) + unlabeled

    batches = Batches(pool, batch_size=min(protocol.UNLABELED, len(pool)), shuffle=True, generator=generator)
    fit(model, batches, loss, steps=protocol.steps(), lr=protocol.LR, progress=False)
    return protocol.test_accuracy(data, model)


def protocol_rows(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The rows of the course's table: self-training by either kind of views, FixMatch, and FixMatch after rotation."""
    data, rotation = protocol.setting(dataset, seed), protocol.rotation_encoder(dataset, seed)
    figures: dict[str, float | list[float]] = {}
    for k in protocol.budgets(data):
        figures |= {f"self_training_{views}@{k}": _self_trained(data, k, views) for views in protocol.Views}
        figures[f"fixmatch@{k}"] = _fixmatched(data, k)
        figures[f"rotation_fixmatch@{k}"] = _fixmatched(data, k, rotation)
    return figures


# One entry per line, so that both notebooks' parts stand here side by side.
EXPERIMENTS = {
    "label_curve": label_curve,
    "rounds": rounds,
    "threshold": threshold,
    "temperature": temperature,
    "naive": naive,
    "imbalance": imbalance,
    "baselines": baselines,
    "consistency": consistency,
    "weights": weights,
    "alternating": alternating,
    "teachers": teachers,
    "terms": terms,
    "collapse": collapse,
    "hundred_labels": hundred_labels,
    "protocol": protocol_rows,
}

# Method -> experiment:key prefix, for the course's table of results.
TABLE_ROWS = {
    "Self-training, weak views": "protocol:self_training_weak",
    "Self-training, strong views": "protocol:self_training_strong",
    "FixMatch": "protocol:fixmatch",
    "Rotation, then FixMatch": "protocol:rotation_fixmatch",
}
