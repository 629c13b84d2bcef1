"""The recorded experiments of unit 08: what its notebook quotes, for several seeds.

`course results 08_teachers --seeds 3` runs them all; a teacher and the pretrained encoders are trained once per seed
and shared among them. Images, split, first weights and the encoder are those of the course's protocol. All settings
were fixed before anything was recorded, the views of clustered images on seed 7.
"""

from __future__ import annotations

import copy
import functools
import math
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import protocol, settings
from course_lib.data import Batches, as_float
from course_lib.evaluation import (
    accuracy, auroc, extract_features, h_score, logme, predict, probe_accuracy,
)  # fmt: skip
from course_lib.models import Classifier, ConvEncoder, seeded
from course_lib.training import fit

BATCH = 64
KNOWN = 6  # the teacher of `features` knows these first classes, and the others are new
MISSING = 7  # the class that no image of the transfer set has; of the glyphs it is the fish
ROUNDS = 5
DIMENSIONS = 32  # of the whitened features
PER_CLASS = 10  # labels per class, where there is no curve


def _steps(laptop: int) -> int:
    return settings.by_profile(smoke=2, laptop=laptop, full=4 * laptop)


@functools.lru_cache(maxsize=2)
def _pool_labels(dataset: str, seed: int) -> Tensor:
    """The classes of the pool's images: they measure, and only the teacher is trained on them."""
    data = protocol.setting(dataset, seed)
    kept = torch.ones(len(data.train), dtype=torch.bool)
    kept[data.split(1).validation] = False
    return data.train.labels[kept]


def _block_probe(data: protocol.Setting, encoder: nn.Module, per_class: int = PER_CLASS) -> float:
    """Test accuracy of a linear probe of the last block."""
    few = data.few(per_class)
    features, test = (extract_features(encoder, part.images, block=-1) for part in (few, data.test))
    return probe_accuracy(features, few.labels, test, data.test.labels)


# --- a teacher and its students -------------------------------------------------------------------------------------


def _learn(
    model: nn.Module, images: Tensor, targets: Tensor, loss: Callable[..., Tensor], *, seed: int, steps: int
) -> nn.Module:
    """Trains on weak views of 64 images per step, with the protocol's optimizer; returns the model."""
    batches = Batches(
        images, targets, batch_size=min(BATCH, len(images)), shuffle=True,
        generator=torch.Generator().manual_seed(seed), augment=protocol.weak,
    )  # fmt: skip
    fit(
        model, batches, lambda model, batch: loss(model(batch[0]), batch[1]), steps=steps, lr=protocol.LR,
        progress=False,
    )  # fmt: skip
    return model


def _distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    soft, targets = (student / temperature).log_softmax(dim=1), (teacher / temperature).log_softmax(dim=1)
    return temperature**2 * F.kl_div(soft, targets, log_target=True, reduction="batchmean")


def _hard_loss(student: Tensor, teacher: Tensor) -> Tensor:
    return F.cross_entropy(student, teacher.argmax(dim=1))


LOSSES: dict[str, Callable[..., Tensor]] = {
    "hard": _hard_loss,
    "t1": functools.partial(_distillation_loss, temperature=1.0),
    "t4": functools.partial(_distillation_loss, temperature=4.0),
}


@functools.lru_cache(maxsize=1)
def _teacher(dataset: str, seed: int) -> tuple[nn.Module, Tensor]:
    """A classifier that was trained on all labels of the pool, and its logits of the pool's images."""
    data = protocol.setting(dataset, seed)
    model = protocol.classifier(data)
    labels = _pool_labels(dataset, seed)
    _learn(model, data.pool, labels, F.cross_entropy, seed=seed, steps=_steps(600))
    return model, predict(model, data.pool).float()


def _student(data: protocol.Setting) -> Classifier:
    """A network of the teacher's size with other first weights."""
    generator = torch.Generator().manual_seed(data.seed + 100)
    encoder = ConvEncoder(data.pool.shape[1], protocol.WIDTHS, generator=generator)
    return Classifier(encoder, data.num_classes, generator=generator)


def _test_logits(data: protocol.Setting, model: nn.Module) -> Tensor:
    return predict(model, data.test.images).float()


def distillation(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Students that saw the pool without a label, beside their teacher; and what the temperature does to gradients.

    `gradient@T` is the mean size of the gradient of an image's loss at the logits of an untrained student;
    `plain_gradient@T` is the same without the factor T squared, `label_gradient` that of the cross-entropy with labels.
    """
    data = protocol.setting(dataset, seed)
    teacher, logits = _teacher(dataset, seed)
    figures: dict[str, float | list[float]] = {
        "teacher": accuracy(_test_logits(data, teacher), data.test.labels),
        "teacher_on_pool": accuracy(logits, _pool_labels(dataset, seed)),
    }
    for name, loss in LOSSES.items():
        student = _learn(_student(data), data.pool, logits, loss, seed=seed, steps=_steps(600))
        figures[name] = accuracy(_test_logits(data, student), data.test.labels)
    some, classes = logits[:512], _pool_labels(dataset, seed)[:512]
    untrained = predict(_student(data), data.pool[:512]).float()

    def size(loss: Callable[[Tensor], Tensor]) -> float:
        at = untrained.clone().requires_grad_()
        loss(at).backward()
        assert at.grad is not None
        return float(at.grad.norm(dim=1).mean()) * len(at)  # the loss is a mean over the images

    figures["label_gradient"] = size(lambda at: F.cross_entropy(at, classes))
    for t in (1, 2, 4, 8):
        figures[f"gradient@{t}"] = size(functools.partial(_distillation_loss, teacher=some, temperature=t))
        figures[f"plain_gradient@{t}"] = float(figures[f"gradient@{t}"]) / t**2  # type: ignore[arg-type]
    return figures


def missing_class(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Students that saw no image of one class: how well the logit of this class detects it all the same.

    `auroc` is that of the log probability of the class. `recall` is the share of its images that are predicted as it
    after its bias has been raised until as many test images are predicted as it as there are of it.
    """
    data = protocol.setting(dataset, seed)
    _, logits = _teacher(dataset, seed)
    kept, is_missing = _pool_labels(dataset, seed) != MISSING, data.test.labels == MISSING
    figures: dict[str, float | list[float]] = {}
    for name, loss in LOSSES.items():
        student = _learn(_student(data), data.pool[kept], logits[kept], loss, seed=seed, steps=_steps(300))
        found = _test_logits(data, student)
        others = found.clone()
        others[:, MISSING] = -math.inf
        margin = found[:, MISSING] - others.max(dim=1).values
        chosen = margin.topk(int(is_missing.sum())).indices
        figures[f"{name}_auroc"] = auroc(found.log_softmax(dim=1)[:, MISSING], is_missing)
        figures[f"{name}_predicted"] = float((margin[is_missing] > 0).float().mean())
        figures[f"{name}_recall"] = float(is_missing[chosen].float().mean())
        figures[f"{name}_others"] = accuracy(others[~is_missing], data.test.labels[~is_missing])
    return figures


def features(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The outputs of a teacher of six classes as features of new classes, with few labels, beside its last block.

    `x@k` is the test accuracy of a linear probe on x, among the new classes. `scratch` and `finetuned` train a network
    on the labeled images, 300 steps with weak views, from first weights and from the teacher's blocks.
    """
    data = protocol.setting(dataset, seed)
    labels, generator = _pool_labels(dataset, seed), torch.Generator().manual_seed(seed)
    old, new = labels < KNOWN, data.test.labels >= KNOWN
    teacher = Classifier(data.first_weights(), KNOWN, generator=generator)
    _learn(teacher, data.pool[old], labels[old], F.cross_entropy, seed=seed, steps=_steps(600))
    test, test_y = data.test.images[new], data.test.labels[new] - KNOWN
    figures: dict[str, float | list[float]] = {}
    for k in (5,) if profile != "smoke" else (2,):
        few = data.few(k)
        few = few.subset((few.labels >= KNOWN).nonzero().squeeze(1))
        y = few.labels - KNOWN
        forms = [_forms(teacher, part) for part in (few.images, test)]
        for name in forms[0]:
            figures[f"{name}@{k}"] = probe_accuracy(forms[0][name], y, forms[1][name], test_y)
        for name, start in (("scratch", data.first_weights()), ("finetuned", copy.deepcopy(teacher.encoder))):
            model = Classifier(start, data.num_classes - KNOWN, generator=torch.Generator().manual_seed(seed))
            batches = Batches(
                few.images, y, batch_size=min(protocol.LABELED, len(few)), shuffle=True,
                generator=torch.Generator().manual_seed(seed), augment=protocol.weak,
            )  # fmt: skip
            fit(model, batches, steps=_steps(300), lr=protocol.LR, progress=False)
            figures[f"{name}@{k}"] = accuracy(predict(model, test).float(), test_y)
    return figures


def _forms(teacher: Classifier, images: Tensor) -> dict[str, Tensor]:
    logits = predict(teacher, images).float()
    return {
        "logits": logits,
        "probabilities": logits.softmax(dim=1),
        "one_hot": F.one_hot(logits.argmax(dim=1), KNOWN).float(),
        "block3": extract_features(teacher.encoder, images, block=-1),
    }


# --- clusters -------------------------------------------------------------------------------------------------------


def _prepared(features: Tensor, *, whiten: bool = True) -> Tensor:
    """Whitened by PCA, or standardized, and every row divided by its norm."""
    features = features.float() - features.float().mean(dim=0)
    if whiten:
        dims = min(DIMENSIONS, *features.shape)
        _, singular, directions = torch.linalg.svd(features, full_matrices=False)
        features = features @ directions[:dims].T / (singular[:dims] + 1e-6)
    else:
        features = features / (features.std(dim=0) + 1e-6)
    return F.normalize(features, dim=1)


def _clusters(features: Tensor, count: int, *, seed: int) -> Tensor:
    from sklearn.cluster import KMeans

    found = KMeans(count, n_init=3, max_iter=50, random_state=seed).fit(features.numpy())
    return torch.from_numpy(found.labels_.astype(np.int64))


def _matched(clusters: Tensor, classes: Tensor) -> float:
    """The share of images whose cluster is that of their class, in the best matching of clusters and classes."""
    count = int(torch.maximum(clusters.max(), classes.max())) + 1
    table = torch.bincount(clusters * count + classes, minlength=count**2).reshape(count, count).numpy()
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum()) / len(classes)


def _clustered(features: Tensor, dataset: str, seed: int, name: str) -> dict[str, float]:
    """How well k-means matches the classes, on whitened features and on features that are only standardized."""
    classes, figures = _pool_labels(dataset, seed), {}
    for prefix, whiten in (("", True), ("standardized_", False)):
        labels = _clusters(_prepared(features, whiten=whiten), int(classes.max()) + 1, seed=seed)
        figures[f"{prefix}{name}"] = _matched(labels, classes)
    return figures


def clusters(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Accuracy of k-means after the best matching, k the number of classes: pixels and the features of three encoders.

    Features are the encoder's output, whitened to 32 dimensions; `standardized_x` are the same without whitening.
    """
    data = protocol.setting(dataset, seed)
    figures: dict[str, float | list[float]] = {**_clustered(as_float(data.pool).flatten(1), dataset, seed, "pixels")}
    for name, encoder in (
        ("random", data.first_weights()),
        ("rotation", protocol.rotation_encoder(dataset, seed)),
        ("contrastive", protocol.contrastive_encoder(dataset, seed)),
    ):
        figures |= _clustered(extract_features(encoder, data.pool), dataset, seed, name)
    return figures


def _cluster_the_pool(data: protocol.Setting, encoder: nn.Module, *, seed: int) -> Tensor:
    return _clusters(_prepared(extract_features(encoder, data.pool)), data.num_classes, seed=seed)


def _train_on_clusters(
    model: Classifier, images: Tensor, clusters: Tensor, *, steps: int, generator: torch.Generator
) -> list[float]:
    """Trains on the views of contrastive pretraining, every cluster drawn equally often; returns the loss of each step.

    With the protocol's strong views, which cut a square out, the network's predictions for whole images were worse than
    the clusters that it had learned from (seed 7: .57 instead of .75, at .63).
    """
    weights = 1.0 / torch.bincount(clusters)[clusters].double()
    drawn = torch.multinomial(weights, len(images), replacement=True, generator=generator)
    batches = Batches(
        images[drawn], clusters[drawn], batch_size=BATCH, shuffle=True, generator=generator,
        augment=protocol.contrasted,
    )  # fmt: skip
    history = fit(model, batches, steps=steps, lr=2e-3, schedule="constant", progress=False)
    return [float(loss) for loss in history.loss]


@functools.lru_cache(maxsize=1)
def _fixed(dataset: str, seed: int) -> tuple[Classifier, list[Tensor], list[float]]:
    """The rotation encoder after training on its own clusters, which stay fixed; the clusters; probes after each part.

    As many steps as all rounds of `rounds` together, in as many parts.
    """
    data, generator = protocol.setting(dataset, seed), torch.Generator().manual_seed(seed)
    model = Classifier(copy.deepcopy(protocol.rotation_encoder(dataset, seed)), data.num_classes, generator=generator)
    labels = _cluster_the_pool(data, model.encoder, seed=seed)
    probes = []
    for _ in range(ROUNDS):
        _train_on_clusters(model, data.pool, labels, steps=_steps(120), generator=generator)
        probes.append(_block_probe(data, model.encoder))
    return model, [labels, _cluster_the_pool(data, model.encoder, seed=seed)], probes


def rounds(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Clusters as classes, from the rotation encoder: new clusters every round, or those of the first round kept.

    `x_probe@r` is the test accuracy of a probe of the last block with ten labels per class after r rounds of 120 steps;
    `x_clusters@r` how well the clusters match the classes then. `same@r` is the share of images with the same cluster
    number as a round before, `matched@r` the same after the best matching. `pupil` is how well the predictions of the
    network that learned from the fixed clusters match the classes, `its_labels` how well those clusters do. `kept` has
    the head of the round before, for two rounds.
    """
    data, classes = protocol.setting(dataset, seed), _pool_labels(dataset, seed)
    start = protocol.rotation_encoder(dataset, seed)
    before = _block_probe(data, start)
    figures: dict[str, float | list[float]] = {f"{name}_probe@0": before for name in ("rounds", "fixed", "kept")}
    for name, count in (("rounds", ROUNDS), ("kept", 2)):
        generator, previous = torch.Generator().manual_seed(seed), None
        model = Classifier(copy.deepcopy(start), data.num_classes, generator=generator)
        for r in range(count + 1):
            labels = _cluster_the_pool(data, model.encoder, seed=seed * 100 + r)
            figures[f"{name}_clusters@{r}"] = _matched(labels, classes)
            if previous is not None and name == "rounds":
                figures[f"same@{r}"] = float((labels == previous).float().mean())
                figures[f"matched@{r}"] = _matched(labels, previous)
            previous = labels
            if r == count:
                break
            if r and name == "rounds":
                with seeded(generator):
                    model.head = nn.Linear(model.encoder.feature_dim, data.num_classes)
            losses = _train_on_clusters(model, data.pool, labels, steps=_steps(120), generator=generator)
            figures[f"{name}_first_loss@{r + 1}"], figures[f"{name}_last_loss@{r + 1}"] = losses[0], _mean(losses[-10:])
            figures[f"{name}_probe@{r + 1}"] = _block_probe(data, model.encoder)
    model, (labels, afterwards), probes = _fixed(dataset, seed)
    figures |= {f"fixed_probe@{r + 1}": probe for r, probe in enumerate(probes)}
    figures["its_labels"], figures["fixed_clusters"] = _matched(labels, classes), _matched(afterwards, classes)
    figures["pupil"] = _matched(predict(model, data.pool).argmax(dim=1), classes)
    return figures


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


# --- which encoder to begin with ------------------------------------------------------------------------------------


def _pretrained(dataset: str, seed: int) -> dict[str, ConvEncoder]:
    """Four encoders to choose from: the first weights, and three kinds of pretraining without a label."""
    learned = _fixed(dataset, seed)[0].encoder
    assert isinstance(learned, ConvEncoder)
    return {
        "random": protocol.setting(dataset, seed).first_weights(),
        "rotation": protocol.rotation_encoder(dataset, seed),
        "clusters": learned,
        "contrastive": protocol.contrastive_encoder(dataset, seed),
    }


def sources(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Four encoders, four scores of each, and what each is worth after training on ten labels per class.

    Scores: LogME and H-score of the last block, a probe of it on the validation images, and 60 steps of fine-tuning
    judged by the validation images. Worth: test accuracy after the protocol's fine-tuning (`finetuned`) and LP-FT
    (`lp_ft`). `rank:s:w` is Spearman's correlation over the four encoders, `picked:s:w` the worth of the encoder that s
    rates best, `best:w` that of the best one. `seconds:x` is the CPU time of a score or of fine-tuning, per encoder.
    """
    data, per_class = protocol.setting(dataset, seed), settings.by_profile(smoke=2, laptop=PER_CLASS, full=PER_CLASS)
    few, checked, views = data.few(per_class), data.train.subset(data.split(per_class).validation), protocol.Views.WEAK

    def probe(known: Tensor, seen: Tensor) -> float:
        return probe_accuracy(known, few.labels, seen, checked.labels)

    def short(encoder: ConvEncoder) -> float:
        model = protocol.train_classifier(protocol.classifier(data, encoder), few, views, seed=seed, count=_steps(60))
        return accuracy(predict(model, checked.images).float(), checked.labels)

    table: dict[str, dict[str, float]] = {}
    spent: dict[str, float] = {}
    for name, encoder in _pretrained(dataset, seed).items():
        known, seen = (extract_features(encoder, part.images, block=-1) for part in (few, checked))
        figures_of: dict[str, Callable[[], float]] = {
            "logme": functools.partial(logme, known, few.labels),
            "h_score": functools.partial(h_score, known, few.labels),
            "probe": functools.partial(probe, known, seen),
            "short": functools.partial(short, encoder),
            "finetuned": functools.partial(protocol.fine_tuned, data, encoder, per_class, views),
            "lp_ft": functools.partial(protocol.head_first, data, encoder, per_class, views),
        }
        table[name] = {}
        for figure, function in figures_of.items():
            began = time.process_time()
            table[name][figure] = function()
            spent[figure] = spent.get(figure, 0.0) + time.process_time() - began
    figures: dict[str, float | list[float]] = {
        f"{figure}:{name}": value for name, row in table.items() for figure, value in row.items()
    }
    for worth in ("finetuned", "lp_ft"):
        figures[f"best:{worth}"] = max(row[worth] for row in table.values())
        for score in ("logme", "h_score", "probe", "short"):
            pairs = [(row[score], row[worth]) for row in table.values()]
            figures[f"rank:{score}:{worth}"] = _rank(pairs)
            figures[f"picked:{score}:{worth}"] = max(pairs, key=lambda pair: pair[0])[1]
    return figures | {f"seconds:{figure}": total / len(table) for figure, total in spent.items()}


def _rank(pairs: list[tuple[float, float]]) -> float:
    """Spearman's correlation of scores and worths; 0 where all of one are equal."""
    found = float(spearmanr(pairs)[0])
    return 0.0 if math.isnan(found) else found


EXPERIMENTS = {
    "distillation": distillation,
    "missing_class": missing_class,
    "features": features,
    "clusters": clusters,
    "rounds": rounds,
    "sources": sources,
}
