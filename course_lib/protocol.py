"""The protocol of the course's results table: what all its rows share, so that only the method differs.

One encoder with one set of first weights, one split, one optimizer, one number of steps and one batch size. A unit
records its rows with the functions below; `results/README.md` says the protocol in words.

The two kinds of views are controls of each other: a pretrained encoder has to be compared with an encoder from scratch
that sees the same views, since strong views alone are worth many labels.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import settings
from course_lib.data import Batches, FewLabelSplit, ImageData, augment, load, split_labels
from course_lib.evaluation import extract_features, loss_and_accuracy, probe_accuracy
from course_lib.models import Classifier, ConvEncoder, seeded
from course_lib.training import contrastive_loss, fit

BUDGETS = (1, 2, 5, 10, 20, 50)  # labels per class
VALIDATION = 20  # labeled images per class outside the pool; they choose the block of a frozen row, and nothing else
WIDTHS = (16, 32, 64)
LR = 3e-3
LABELED, UNLABELED = 32, 64  # images per step

weak = augment.random_shift
# No flip: a mirrored glyph or digit can be another one.
strong = augment.compose(
    functools.partial(augment.random_affine, max_degrees=25, max_shift=0.12, scale=(0.8, 1.2)),
    functools.partial(augment.random_brightness_contrast, brightness=0.2, contrast=0.5),
    functools.partial(augment.cutout, size=8),
)

# What the two views of contrastive pretraining differ by. Without the change of brightness and contrast, or without the
# noise, the gray levels tell images apart, and the features are worth far less (unit 05 records it). A mirrored image
# counts as the same one here.
contrasted = augment.compose(
    functools.partial(augment.random_affine, max_degrees=25, max_shift=0.12, scale=(0.8, 1.2)),
    augment.random_horizontal_flip,
    functools.partial(augment.random_brightness_contrast, brightness=0.2, contrast=0.5),
    functools.partial(augment.gaussian_noise, std=0.08),
)
TEMPERATURE = 0.2
PROJECTION = (128, 64)  # hidden units and outputs of the projection head


class Views(StrEnum):
    """How the labeled images of a step are augmented: shifted, or shifted and, a second time, strongly augmented."""

    WEAK = "weak"
    STRONG = "strong"

    def of(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The augmented images, (N, C, H, W) -> (N, C, H, W) for weak views, (2N, C, H, W) for strong ones."""
        if self is Views.WEAK:
            return weak(images, generator=generator)
        return torch.cat([weak(images, generator=generator), strong(images, generator=generator)])


@dataclasses.dataclass(frozen=True, eq=False)
class Setting:
    """The images of one data set and seed."""

    train: ImageData
    test: ImageData
    seed: int

    @property
    def num_classes(self) -> int:
        return len(self.train.class_names)

    def split(self, per_class: int) -> FewLabelSplit:
        """Labeled, validation and unlabeled positions; the validation images are the same at every budget."""
        return split_labels(
            self.train.labels, per_class=per_class, validation_per_class=VALIDATION, generator=self.generator()
        )

    def few(self, per_class: int) -> ImageData:
        """The labeled images."""
        return self.train.subset(self.split(per_class).labeled)

    @functools.cached_property
    def pool(self) -> Tensor:
        """What pretraining sees: all training images but the validation images, uint8 (N, C, H, W)."""
        kept = torch.ones(len(self.train), dtype=torch.bool)
        kept[self.split(1).validation] = False
        return self.train.images[kept]

    def generator(self) -> torch.Generator:
        """A new CPU generator with the setting's seed."""
        return torch.Generator().manual_seed(self.seed)

    def first_weights(self, *, grid: int = 1) -> ConvEncoder:
        """The encoder as every row begins with it. `grid=2` keeps coarse positions, which a decoder needs."""
        return ConvEncoder(self.pool.shape[1], WIDTHS, grid=grid, generator=self.generator())


@functools.lru_cache(maxsize=4)
def setting(dataset: str, seed: int) -> Setting:
    """The images of a data set: at most 8,000 for training, 2,000 for the test."""
    sizes: tuple[int | None, int | None] = settings.by_profile(smoke=(600, 200), laptop=(8000, 2000), full=(8000, 2000))
    if dataset == "digits" and settings.profile() != "smoke":
        sizes = (None, None)  # all there are: 1,437 and 360
    train, test = (load(dataset, split=split, n=n, seed=seed) for split, n in zip(("train", "test"), sizes))
    return Setting(train, test, seed)


def steps() -> int:
    """The steps in which the network of a row learns from labels."""
    return settings.by_profile(smoke=3, laptop=800, full=4000)


def budgets(data: Setting, wanted: Sequence[int] = BUDGETS) -> tuple[int, ...]:
    """Those numbers of labels per class that the data set has; few of them in the profile smoke."""
    most = int(data.train.labels.bincount().min()) - VALIDATION
    wanted = wanted if settings.profile() != "smoke" else wanted[:2]
    return tuple(k for k in wanted if k <= most)


def classifier(data: Setting, encoder: ConvEncoder | None = None) -> Classifier:
    """A copy of the encoder's blocks (None: the first weights) with a new linear head."""
    own = data.first_weights()
    if encoder is not None:
        own.blocks.load_state_dict(encoder.blocks.state_dict())
    return Classifier(own, data.num_classes, generator=data.generator())


def train_classifier(
    model: Classifier, few: ImageData, views: Views, *, seed: int, lr: float = LR, count: int = 0, frozen: bool = False
) -> Classifier:
    """Trains `model` in place on labeled images.

    Args:
        count: how many steps; 0 are the protocol's.
        frozen: only the head learns; the encoder keeps its weights and its running statistics.
    """
    generator = torch.Generator().manual_seed(seed)
    model.encoder.requires_grad_(not frozen)

    def loss(_: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        model.encoder.train(not frozen)
        seen = views.of(batch[0], generator)
        return F.cross_entropy(model(seen), batch[1].repeat(len(seen) // len(batch[0])))

    batches = Batches(few.images, few.labels, batch_size=min(LABELED, len(few)), shuffle=True, generator=generator)
    fit(model, batches, loss, steps=count or steps(), lr=lr, progress=False)
    return model


def test_accuracy(data: Setting, model: nn.Module) -> float:
    """The share of test images that the model classifies rightly."""
    return loss_and_accuracy(model, data.test.images, data.test.labels)["accuracy"]


def fine_tuned(data: Setting, encoder: ConvEncoder | None, per_class: int, views: Views) -> float:
    """Test accuracy of the encoder (None: from scratch) with a new head, all of it trained on few labels."""
    return test_accuracy(data, train_classifier(classifier(data, encoder), data.few(per_class), views, seed=data.seed))


def frozen(data: Setting, encoder: ConvEncoder, per_class: Sequence[int]) -> dict[int, float]:
    """Test accuracy of a linear probe of the block that does best on the validation images, by labels per class."""
    blocks = range(len(encoder.blocks))
    train, test = (
        [extract_features(encoder, part.images, block=block) for block in blocks] for part in (data.train, data.test)
    )
    found = {}
    for k in per_class:
        split = data.split(k)
        few, labels = split.labeled, data.train.labels
        on_validation = [
            probe_accuracy(train[b][few], labels[few], train[b][split.validation], labels[split.validation])
            for b in blocks
        ]
        best = max(blocks, key=on_validation.__getitem__)
        found[k] = probe_accuracy(train[best][few], labels[few], test[best], data.test.labels)
    return found


def rows_of(data: Setting, name: str, encoder: ConvEncoder) -> dict[str, float]:
    """All rows of one pretrained encoder: `name_frozen@k`, and fine-tuned `name_weak@k` and `name_strong@k`."""
    figures = {f"{name}_frozen@{k}": value for k, value in frozen(data, encoder, budgets(data)).items()}
    for views in Views:
        figures |= {f"{name}_{views}@{k}": fine_tuned(data, encoder, k, views) for k in budgets(data)}
    return figures


@functools.lru_cache(maxsize=4)
def rotation_encoder(dataset: str, seed: int) -> ConvEncoder:
    """The encoder pretrained to tell quarter turns: 1,000 steps of 64 images, each in all four turns.

    Here and not in its unit because three units begin with it.
    Source: Gidaris, Singh and Komodakis, "Unsupervised Representation Learning by Predicting Image Rotations", 2018.
    """
    data = setting(dataset, seed)
    generator = data.generator()
    encoder = data.first_weights()
    model = Classifier(encoder, 4, generator=generator)

    def which_turn(model: nn.Module, images: Tensor) -> Tensor:
        turned = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
        return F.cross_entropy(model(turned), torch.arange(4, device=images.device).repeat_interleave(len(images)))

    pretrain(model, data, which_turn, count=settings.by_profile(smoke=3, laptop=1000, full=4000), generator=generator)
    return encoder


class Projected(nn.Module):
    """An encoder with a projection head behind it, as contrastive pretraining has: linear, batch norm, ReLU, linear.

    Attributes:
        feature_dim: the length of the head's output.
    """

    def __init__(self, encoder: ConvEncoder, *, generator: torch.Generator) -> None:
        super().__init__()
        hidden, self.feature_dim = PROJECTION
        self.encoder = encoder
        with seeded(generator):
            self.head = nn.Sequential(
                nn.Linear(encoder.feature_dim, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(),
                nn.Linear(hidden, self.feature_dim),
            )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))  # (N, C, H, W) -> (N, feature_dim)


def contrastive_encoder(dataset: str, seed: int) -> ConvEncoder:
    """The encoder pretrained by SimCLR: 1,000 steps of 64 images in two views each; the projection head is left out.

    A step has 128 images in two views, where one of `rotation_encoder` has 256 in four turns.
    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020.
    """
    return contrastive_network(dataset, seed).encoder


@functools.lru_cache(maxsize=4)
def contrastive_network(dataset: str, seed: int) -> Projected:
    """The encoder of `contrastive_encoder` with the projection head that it was trained with."""
    data = setting(dataset, seed)
    generator = data.generator()
    model = Projected(data.first_weights(), generator=generator)
    train_contrastive(model, data, contrasted, count=contrastive_steps(), generator=generator)
    return model


def contrastive_steps() -> int:
    """The steps in which contrastive pretraining learns from pairs of views."""
    return settings.by_profile(smoke=3, laptop=1000, full=4000)


def train_contrastive(
    model: nn.Module, data: Setting, views: augment.Augmentation, *, count: int, generator: torch.Generator
) -> None:
    """Trains `model` in place to find the other view of each image of the pool; 64 images per step."""

    def loss(model: nn.Module, images: Tensor) -> Tensor:
        both = torch.cat([views(images, generator=generator) for _ in range(2)])
        return contrastive_loss(model(both), temperature=TEMPERATURE)

    batches = Batches(data.pool, batch_size=min(UNLABELED, len(data.pool)), shuffle=True, generator=generator)
    fit(model, batches, loss, steps=count, lr=LR, warmup=min(50, count // 10), progress=False)


def pretrain(
    model: nn.Module,
    data: Setting,
    loss: Callable[[nn.Module, Tensor], Tensor],
    *,
    count: int,
    generator: torch.Generator,
    lr: float = LR,
    augmented: bool = True,
) -> None:
    """Trains `model` in place on the pool, 64 images per step, `loss(model, images)`; without labels."""
    batches = Batches(
        data.pool, batch_size=min(UNLABELED, len(data.pool)), shuffle=True, generator=generator,
        augment=weak if augmented else None,
    )  # fmt: skip
    fit(model, batches, loss, steps=count, lr=lr, progress=False)


def head_first(data: Setting, encoder: ConvEncoder, per_class: int, views: Views) -> float:
    """Test accuracy after LP-FT: a quarter of the steps train the head on the frozen encoder, the others everything.

    The head has ten times the protocol's learning rate, the second stage a third of it. Source: Kumar et al.,
    "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", 2022, section 3.4.
    """
    model, few, head_steps = classifier(data, encoder), data.few(per_class), max(1, steps() // 4)
    train_classifier(model, few, views, seed=data.seed, lr=10 * LR, count=head_steps, frozen=True)
    train_classifier(model, few, views, seed=data.seed, lr=LR / 3, count=steps() - head_steps)
    return test_accuracy(data, model)
