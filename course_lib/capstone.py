"""What unit 12 chooses among: encoders to start from, ways to train them, rules for images without labels.

All of it was written by learners in earlier units, so the capstone takes it from here and asks what to choose, how to
measure the choice, and how to hand the model on.
"""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Callable, Mapping
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import protocol, settings
from course_lib.data import Batches, DataWarning, ImageData, endless, load, split_labels
from course_lib.data.medmnist import CLASSES as MEDMNIST
from course_lib.data.medmnist import load_medmnist
from course_lib.evaluation import accuracy_on, extract_features
from course_lib.models import Classifier, ConvEncoder
from course_lib.training import contrastive_loss, fit

LABELS, VALIDATION = 40, 100  # labeled images in all: to train on, and to choose with
UNLABELED = 64  # images per step
LR, HEAD_LR = 3e-3, 1e-2
THRESHOLD = 0.8  # of FixMatch
PENALTIES = (0.1, 1.0, 10.0, 100.0)  # of logistic regression


class Way(StrEnum):
    """Which parameters learn."""

    PROBE = "linear probing"  # the head alone, on the frozen encoder
    LP_FT = "LP-FT"  # the head first, then everything with a lower learning rate
    FINE_TUNING = "fine-tuning"  # everything at once


class Rule(StrEnum):
    """What the images without labels are used for."""

    LABELS = "labels only"
    FIXMATCH = "FixMatch"


@dataclasses.dataclass(frozen=True)
class Configuration:
    """One way through the pipeline: where the encoder comes from, what learns, and what the unlabeled images do."""

    source: str
    way: Way
    rule: Rule

    def __str__(self) -> str:
        return f"{self.source}, {self.way}, {self.rule}"


@dataclasses.dataclass(frozen=True, eq=False)
class Project:
    """The images of one project: few labeled ones, some to choose with, many without labels, and the test.

    Attributes:
        pool: images without labels, uint8 (N, C, H, W), and the labeled ones before them.
        hidden: the classes of `pool`, which a real project does not have: they measure here, and nothing learns from
            them.
    """

    labeled: ImageData
    validation: ImageData
    pool: Tensor
    hidden: Tensor
    test: ImageData
    seed: int

    @property
    def num_classes(self) -> int:
        return len(self.test.class_names)

    def generator(self) -> torch.Generator:
        """A new CPU generator with the project's seed."""
        return torch.Generator().manual_seed(self.seed)

    def first_weights(self) -> ConvEncoder:
        """An untrained encoder."""
        return ConvEncoder(self.pool.shape[1], protocol.WIDTHS, generator=self.generator())


def project(dataset: str, seed: int = 0) -> Project:
    """The images of a data set, with 40 labels to train on and 100 to choose with, evenly over the classes.

    The set may also be one of MedMNIST, such as "bloodmnist". Where the classes do not divide these numbers, there are
    a few fewer; at least one per class.
    """
    sizes = settings.by_profile(smoke=(500, 100), laptop=(8000, 2000), full=(8000, 2000))
    train, test = (_images(dataset, split, n, seed) for split, n in zip(("train", "test"), sizes, strict=True))
    classes = len(train.class_names)
    split = split_labels(
        train.labels, per_class=max(1, LABELS // classes), validation_per_class=max(1, VALIDATION // classes),
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    rest = torch.cat([split.labeled, split.unlabeled])
    return Project(
        train.subset(split.labeled), train.subset(split.validation), train.images[rest], train.labels[rest], test, seed
    )


def _images(dataset: str, split: str, n: int, seed: int) -> ImageData:
    """At most n images of a set that `load` knows, or of one of MedMNIST."""
    if dataset in MEDMNIST:
        data = load_medmnist(dataset, split=split)
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
        return data.subset(order[:n])
    with warnings.catch_warnings():
        if dataset == "digits":  # there are fewer, and all are taken
            warnings.simplefilter("ignore", DataWarning)
        return load(dataset, split=split, n=n, seed=seed)


# --- encoders to start from -----------------------------------------------------------------------------------------


def sources(data: Project) -> dict[str, ConvEncoder]:
    """Five encoders by name: first weights, two trained on drawn glyphs, two on the project's images without labels.

    Each pretraining has 250 steps.
    """
    count = settings.by_profile(smoke=300, laptop=4000, full=4000)
    glyphs = load("glyphs", n=count, seed=data.seed)
    drawn = glyphs.images.expand(-1, data.pool.shape[1], -1, -1)
    return {
        "random": data.first_weights(),
        "glyphs, labels": _supervised(data, drawn, glyphs.labels, len(glyphs.class_names)),
        "glyphs, rotation": _rotation(data, drawn),
        "rotation": _rotation(data, data.pool),
        "SimCLR": _contrastive(data, data.pool),
    }


def _pretrain(model: nn.Module, batches: Batches, loss: Callable[..., Tensor]) -> None:
    steps = settings.by_profile(smoke=2, laptop=250, full=2000)
    fit(model, batches, loss, steps=steps, lr=LR, warmup=min(20, steps // 10), progress=False)


def _batches(data: Project, images: Tensor, labels: Tensor | None = None, *, shift: bool = True) -> Batches:
    augment = protocol.weak if shift else None
    size = min(UNLABELED, len(images))
    return Batches(images, labels, batch_size=size, shuffle=True, generator=data.generator(), augment=augment)


def _supervised(data: Project, images: Tensor, labels: Tensor, classes: int) -> ConvEncoder:
    encoder = data.first_weights()
    model = Classifier(encoder, classes, generator=data.generator())
    _pretrain(model, _batches(data, images, labels), lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]))
    return encoder


def _rotation(data: Project, images: Tensor) -> ConvEncoder:
    encoder = data.first_weights()

    def which_turn(model: nn.Module, images: Tensor) -> Tensor:
        turned = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
        return F.cross_entropy(model(turned), torch.arange(4, device=images.device).repeat_interleave(len(images)))

    _pretrain(Classifier(encoder, 4, generator=data.generator()), _batches(data, images), which_turn)
    return encoder


def _contrastive(data: Project, images: Tensor) -> ConvEncoder:
    encoder, generator = data.first_weights(), data.generator()

    def same_image(model: nn.Module, images: Tensor) -> Tensor:
        both = torch.cat([protocol.contrasted(images, generator=generator) for _ in range(2)])
        return contrastive_loss(model(both), temperature=protocol.TEMPERATURE)

    model = protocol.Projected(encoder, generator=generator)
    _pretrain(model, _batches(data, images, shift=False), same_image)
    return encoder


# --- training a configuration ---------------------------------------------------------------------------------------


def trained(data: Project, encoder: ConvEncoder, way: Way, rule: Rule = Rule.LABELS, *, steps: int = 200) -> Classifier:
    """A classifier from a copy of the encoder and a new head, trained on the labeled images; in eval mode.

    LP-FT trains the head alone for 30 % of the steps, and then everything at a third of the learning rate.
    """
    model = Classifier(copy.deepcopy(encoder), data.num_classes, generator=data.generator())
    steps = settings.by_profile(smoke=2, laptop=steps, full=4 * steps)
    first = max(1, 3 * steps // 10)
    stages = {
        Way.PROBE: [(steps, HEAD_LR, True)],
        Way.FINE_TUNING: [(steps, LR, False)],
        Way.LP_FT: [(first, HEAD_LR, True), (steps - first, LR / 3, False)],
    }[way]
    generator = data.generator()
    for count, lr, frozen in stages:
        model.encoder.requires_grad_(not frozen)
        loss = _loss(data, rule, generator, frozen)
        fit(model, _batches(data, data.labeled.images, data.labeled.labels), loss, steps=count, lr=lr, progress=False)
    return model.requires_grad_(True).to(memory_format=torch.contiguous_format).eval()


def _loss(data: Project, rule: Rule, generator: torch.Generator, frozen: bool) -> Callable[..., Tensor]:
    """The loss of a step; a frozen encoder stays in eval mode."""
    unlabeled = endless(_batches(data, data.pool, shift=False)) if rule is Rule.FIXMATCH else None

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        model.encoder.train(not frozen)  # type: ignore[operator, union-attr]
        images, labels = batch
        if unlabeled is None:
            return F.cross_entropy(model(images), labels)
        more = next(unlabeled)
        weak, strong = (views(more, generator=generator) for views in (protocol.weak, protocol.strong))  # type: ignore[arg-type]
        logits = model(torch.cat([images, weak, strong]))  # one batch for all statistics
        known, weak_logits, strong_logits = logits.split([len(images), len(more), len(more)])
        confidence, guessed = weak_logits.detach().softmax(dim=1).max(dim=1)
        losses = F.cross_entropy(strong_logits, guessed, reduction="none")
        return F.cross_entropy(known, labels) + (losses * (confidence >= THRESHOLD)).mean()

    return loss


def train_all(
    data: Project, encoders: Mapping[str, ConvEncoder], progress: Callable[[str], None] = lambda _: None
) -> dict[Configuration, Classifier]:
    """A classifier for each source, way and rule."""
    models = {}
    for name, encoder in encoders.items():
        for way in Way:
            for rule in Rule:
                configuration = Configuration(name, way, rule)
                progress(str(configuration))
                models[configuration] = trained(data, encoder, way, rule)
    return models


def short_score(data: Project, encoder: ConvEncoder) -> float:
    """Validation accuracy after 60 steps of fine-tuning."""
    return accuracy_on(trained(data, encoder, Way.FINE_TUNING, steps=60), data.validation)


def many_probes(data: Project, encoder: ConvEncoder, count: int) -> Tensor:
    """Whether each of many classifiers is right, for every image it was not trained on or chosen with: bool (K, N).

    A classifier is a logistic regression on a random half of the features of all blocks, with a random penalty. The
    images are those of the pool, with their hidden labels, and of the test.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    images = torch.cat([data.pool[len(data.labeled) :], data.test.images])
    labels = torch.cat([data.hidden[len(data.labeled) :], data.test.labels])
    x, known = (
        torch.cat([extract_features(encoder, part, block=k) for k in range(len(encoder.blocks))], dim=1)
        for part in (images, data.labeled.images)
    )
    generator, rows = data.generator(), []
    for _ in range(count):
        chosen = torch.randperm(x.shape[1], generator=generator)[: x.shape[1] // 2]
        penalty = PENALTIES[int(torch.randint(len(PENALTIES), (), generator=generator))]
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / penalty, max_iter=2000))
        model.fit(known[:, chosen].numpy(), data.labeled.labels.numpy())
        rows.append(torch.from_numpy(model.predict(x[:, chosen].numpy())) == labels)
    return torch.stack(rows)


# --- calibration ----------------------------------------------------------------------------------------------------


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature from 0.2 to 5 with the lowest negative log-likelihood; logits (N, K), labels int64 (N,)."""
    tried = torch.logspace(-0.7, 0.7, 141).tolist()
    return min(tried, key=lambda t: float(F.cross_entropy(logits.double() / t, labels)))


def temperature_helps(logits: Tensor, labels: Tensor) -> bool:
    """Whether a fitted temperature lowers the loss of images that it was not fitted on: each half judges the other."""
    parts = [slice(None, None, 2), slice(1, None, 2)]
    before = after = 0.0
    for fitted, judged in (parts, parts[::-1]):
        t = best_temperature(logits[fitted], labels[fitted])
        before += float(F.cross_entropy(logits[judged].double(), labels[judged]))
        after += float(F.cross_entropy(logits[judged].double() / t, labels[judged]))
    return after < before


def calibration_error(logits: Tensor, labels: Tensor, *, temperature: float = 1.0, num_bins: int = 10) -> float:
    """The mean gap between confidence and accuracy over bins of equal width, weighted by images (Guo et al. 2017)."""
    confidence, predicted = (logits.double() / temperature).softmax(dim=1).max(dim=1)
    right = (predicted == labels).double()
    place = (confidence * num_bins).ceil().long().clamp(1, num_bins) - 1
    gaps = [float((confidence[place == m] - right[place == m]).sum().abs()) for m in place.unique()]
    return sum(gaps) / len(labels)
