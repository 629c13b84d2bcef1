"""The recorded experiments of unit 05: what its notebook quotes, for several seeds.

`course results 05_contrastive --seeds 3` runs them all; a pretrained encoder is trained once per seed and shared among
them. Accuracies are shares of test images. All settings were fixed before the first recorded run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import protocol, settings
from course_lib.data import Batches, augment
from course_lib.evaluation import extract_features, knn_accuracy, probe_accuracy
from course_lib.models import Classifier, seeded
from course_lib.protocol import Projected, Setting, Views
from course_lib.training import contrastive_loss, fit

NEIGHBORS, KNOWN = 20, 4000  # of the vote with many labels
MOMENTS = (1, 10, 20, 50, 100)  # steps at which the spread is measured

# Method -> experiment:key prefix, for the course's table of results.
TABLE_ROWS = {
    "SimCLR, frozen": "protocol:contrastive_frozen",
    "SimCLR, fine-tuned, weak views": "protocol:contrastive_weak",
    "SimCLR, fine-tuned, strong views": "protocol:contrastive_strong",
    "SimCLR, LP-FT, weak views": "protocol:contrastive_lp_ft_weak",
    "SimCLR with its projection head, LP-FT, weak views": "protocol:contrastive_head_lp_ft_weak",
}


# --- what features are worth ----------------------------------------------------------------------------------------


def _read(data: Setting, network: nn.Module, per_class: int, block: int | None = None) -> tuple[Tensor, ...]:
    """Features and labels of the labeled and of the test images, from a block or from the network's output."""
    few = data.few(per_class)
    known, test = (extract_features(network, part.images, block=block) for part in (few, data.test))
    return known, few.labels, test, data.test.labels


def _inside(data: Setting, network: nn.Module, name: str, block: int | None = None) -> dict[str, float]:
    """Probe and nearest neighbor with ten labels per class, and a vote of 20 among 4,000 labeled images."""
    k = settings.by_profile(smoke=2, laptop=10, full=10)
    read = _read(data, network, k, block)
    figures = {f"{name}_probe": probe_accuracy(*read), f"{name}_knn": knn_accuracy(*read, neighbors=1)}
    if block is None or block == len(protocol.WIDTHS) - 1:
        some = data.train.subset(
            torch.arange(min(settings.by_profile(smoke=100, laptop=KNOWN, full=KNOWN), len(data.train)))
        )
        many = extract_features(network, some.images, block=block), some.labels, *read[2:]
        figures[f"{name}_vote"] = knn_accuracy(*many, neighbors=NEIGHBORS)
    return figures


def _with_head(data: Setting, network: Projected, per_class: int, *, head_first: bool = False) -> float:
    """Test accuracy of a copy of encoder AND projection head with a new linear layer, trained on few labels.

    The steps, rates and weak views are the protocol's.
    """
    body = Projected(data.first_weights(), generator=data.generator())
    body.load_state_dict(network.state_dict())
    model = Classifier(body, data.num_classes, generator=data.generator())
    few, steps = data.few(per_class), protocol.steps()
    train = functools.partial(protocol.train_classifier, model, few, Views.WEAK, seed=data.seed)
    if head_first:
        count = max(1, steps // 4)
        train(lr=10 * protocol.LR, count=count, frozen=True)
        train(lr=protocol.LR / 3, count=steps - count)
    else:
        train()
    return protocol.test_accuracy(data, model)


# --- experiments ----------------------------------------------------------------------------------------------------


def inside(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Where the features are, beside rotation's and random ones; and what the projection head is worth when it is kept.

    `x_block3` and `x_head` are read with ten labels per class. `head_kept@k`, `untrained_head_rotation@k` and
    `untrained_head_scratch@k` are fine-tuned with a head of the same shape between encoder and classifier.
    """
    data, network = protocol.setting(dataset, seed), protocol.contrastive_network(dataset, seed)
    rotation = protocol.rotation_encoder(dataset, seed)
    figures: dict[str, float | list[float]] = {}
    for name, encoder in (("contrastive", network.encoder), ("rotation", rotation), ("random", data.first_weights())):
        for block in range(len(encoder.blocks)):
            figures |= _inside(data, encoder, f"{name}_block{block + 1}", block)
    figures |= _inside(data, network, "contrastive_head")
    for k in protocol.budgets(data, (5,)):
        figures[f"head_kept@{k}"] = _with_head(data, network, k)
        figures[f"head_kept_lp_ft@{k}"] = _with_head(data, network, k, head_first=True)
        for name, encoder in (("rotation", rotation), ("scratch", data.first_weights())):
            figures[f"untrained_head_{name}@{k}"] = _with_head(data, Projected(encoder, generator=data.generator()), k)
    return figures


PARTS: dict[str, augment.Augmentation] = {
    "affine": functools.partial(augment.random_affine, max_degrees=25, max_shift=0.12, scale=(0.8, 1.2)),
    "flip": augment.random_horizontal_flip,
    "brightness_contrast": functools.partial(augment.random_brightness_contrast, brightness=0.2, contrast=0.5),
    "noise": functools.partial(augment.gaussian_noise, std=0.08),
}


def _loss_of(model: nn.Module, data: Setting, views: augment.Augmentation) -> float:
    """The contrastive loss of batches in train mode, as at the end of the training."""
    generator, losses = data.generator(), []
    batches = Batches(data.pool, batch_size=min(64, len(data.pool)), shuffle=True, generator=generator)
    with torch.no_grad():
        for images in batches:
            both = torch.cat([views(images, generator=generator) for _ in range(2)])
            losses.append(float(contrastive_loss(model.train()(both), temperature=protocol.TEMPERATURE)))
            if len(losses) == 10:
                break
    return sum(losses) / len(losses)


def augmentations(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Short pretrainings with one part of the augmentation left out: probe with ten labels per class, and the loss."""
    data = protocol.setting(dataset, seed)
    figures: dict[str, float | list[float]] = {}
    for left_out in ("nothing", "brightness_contrast", "noise"):
        views = augment.compose(*(part for name, part in PARTS.items() if name != left_out))
        generator = data.generator()
        model = Projected(data.first_weights(), generator=generator)
        count = settings.by_profile(smoke=2, laptop=150, full=1200)
        protocol.train_contrastive(model, data, views, count=count, generator=generator)
        figures[f"{left_out}_loss"] = _loss_of(model, data, views)
        read = _read(data, model.encoder, settings.by_profile(smoke=2, laptop=10, full=10))
        figures[f"{left_out}_probe"] = probe_accuracy(*read)
    return figures


def spread(z: Tensor) -> float:
    """The deviation of normalized outputs over images, times sqrt(d): 1 when they fill the sphere, 0 when collapsed."""
    unit = F.normalize(z.detach().float(), dim=1)
    return float(unit.std(dim=0).mean()) * unit.shape[1] ** 0.5


def _cosine(p: Tensor, z: Tensor) -> Tensor:
    return -F.cosine_similarity(p, z, dim=1).mean()


class SimSiam(nn.Module):
    """An encoder, a projection head, and a predictor behind it; `normed` puts a batch norm behind the projection."""

    def __init__(self, data: Setting, *, normed: bool) -> None:
        super().__init__()
        generator = data.generator()
        self.projected = Projected(data.first_weights(), generator=generator)
        d = self.projected.feature_dim
        with seeded(generator):
            self.norm = nn.BatchNorm1d(d, affine=False) if normed else nn.Identity()
            self.predictor = nn.Sequential(
                nn.Linear(d, d // 2, bias=False), nn.BatchNorm1d(d // 2), nn.ReLU(), nn.Linear(d // 2, d)
            )

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.projected(x))


def _siamese(model: SimSiam, both: Tensor, *, stopped: bool) -> tuple[Tensor, Tensor]:
    """The loss of SimSiam with or without stop-gradient, and the outputs that it compares."""
    z = model(both).float()
    p1, p2 = model.predictor(z).float().chunk(2)
    z1, z2 = (z.detach() if stopped else z).chunk(2)
    return (_cosine(p1, z2) + _cosine(p2, z1)) / 2, z


def _distance(model: SimSiam, both: Tensor) -> tuple[Tensor, Tensor]:
    """The squared distance of the features of two views, and nothing else."""
    features = model.projected.encoder(both).float()
    one, two = features.chunk(2)
    return (one - two).pow(2).sum(dim=1).mean(), features


def _by_statistics(model: SimSiam, both: Tensor) -> tuple[Tensor, Tensor]:
    """VICReg: squared distance, a hinge on the deviation of each output, and covariances, with the paper's weights.

    Source: Bardes, Ponce and LeCun, "VICReg: Variance-Invariance-Covariance Regularization", 2022.
    """
    z = model(both).float()
    one, two = z.chunk(2)
    loss = 25 * (one - two).pow(2).mean()
    for part in (one, two):
        centered = part - part.mean(dim=0)
        covariance = centered.T @ centered / (len(part) - 1)
        off = covariance - torch.diag(covariance.diagonal())
        loss = loss + 25 * F.relu(1 - (covariance.diagonal() + 1e-4).sqrt()).mean() / 2
        loss = loss + off.pow(2).sum() / part.shape[1]
    return loss, z


def collapse(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Methods without negatives, for 100 steps: does their output collapse? `spread_x@step`, `loss_x` and a probe.

    `stopped` is SimSiam, `open` the same without stop-gradient, `open_normed` that with a batch norm as its last layer,
    `distance` the squared distance of the features alone, `statistics` VICReg.
    """
    data = protocol.setting(dataset, seed)
    kinds: dict[str, tuple[bool, Callable[[SimSiam, Tensor], tuple[Tensor, Tensor]]]] = {
        "stopped": (False, functools.partial(_siamese, stopped=True)),
        "open": (False, functools.partial(_siamese, stopped=False)),
        "open_normed": (True, functools.partial(_siamese, stopped=False)),
        "distance": (False, _distance),
        "statistics": (False, _by_statistics),
    }
    moments = settings.by_profile(smoke=(1, 2), laptop=MOMENTS, full=MOMENTS)
    figures: dict[str, float | list[float]] = {}
    for name, (normed, method) in kinds.items():
        model, generator = SimSiam(data, normed=normed), data.generator()
        spreads, losses = _learn(model, data, method, generator, count=moments[-1])
        figures |= {f"spread_{name}@{moment}": spreads[moment - 1] for moment in moments}
        figures[f"spreads_{name}"] = spreads
        figures[f"loss_{name}"] = sum(losses[-10:]) / len(losses[-10:])
        read = _read(data, model.projected.encoder, settings.by_profile(smoke=2, laptop=10, full=10))
        figures[f"probe_{name}"] = probe_accuracy(*read)
        figures[f"deviation_{name}"] = float(read[2].std(dim=0).mean())
    return figures


def _learn(
    model: SimSiam,
    data: Setting,
    method: Callable[[SimSiam, Tensor], tuple[Tensor, Tensor]],
    generator: torch.Generator,
    *,
    count: int,
) -> tuple[list[float], Sequence[float]]:
    """Trains in place; returns the spread of the outputs and the loss at every step."""
    spreads: list[float] = []

    def loss(model: nn.Module, images: Tensor) -> Tensor:
        assert isinstance(model, SimSiam)
        both = torch.cat([protocol.contrasted(images, generator=generator) for _ in range(2)])
        value, outputs = method(model, both)
        spreads.append(spread(outputs))
        return value

    batches = Batches(data.pool, batch_size=min(64, len(data.pool)), shuffle=True, generator=generator)
    history = fit(model, batches, loss, steps=count, lr=protocol.LR, warmup=min(10, count // 10), progress=False)
    return spreads, list(history.loss)


def protocol_rows(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The rows of the course's table; and LP-FT with weak views, without and with the projection head.

    With the projection head the new linear layer stands behind it, so this network is deeper than those of other rows.
    """
    data, network = protocol.setting(dataset, seed), protocol.contrastive_network(dataset, seed)
    figures: dict[str, float | list[float]] = {**protocol.rows_of(data, "contrastive", network.encoder)}
    for k in protocol.budgets(data):
        figures[f"contrastive_lp_ft_weak@{k}"] = protocol.head_first(data, network.encoder, k, Views.WEAK)
        figures[f"contrastive_head_lp_ft_weak@{k}"] = _with_head(data, network, k, head_first=True)
    return figures


EXPERIMENTS = {
    "inside": inside,
    "collapse": collapse,
    "augmentations": augmentations,
    "protocol": protocol_rows,
}
