"""Evaluation: predictions, accuracy, per-class scores, probes of features, curves over label budgets and seeds.

Models run in eval mode and without gradients; afterwards every submodule has the mode that it had before.
Results are on the CPU. Images are float `(N, C, H, W)` in [0, 1], or uint8, which is turned into that batch by batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_lib.models import eval_mode

if TYPE_CHECKING:
    from course_lib.data import ImageData

__all__ = [
    "accuracy",
    "accuracy_on",
    "auroc",
    "confusion",
    "extract_features",
    "h_score",
    "knn_accuracy",
    "label_curve",
    "logme",
    "loss_and_accuracy",
    "per_class_scores",
    "predict",
    "predicted_shares",
    "probe_accuracy",
]


def predict(model: nn.Module, images: Tensor, *, batch_size: int = 512) -> Tensor:
    """The model's output for all images, computed in batches: `(N, C, H, W)` -> `(N, ...)` on the CPU, such as logits.

    The model stays on its device and keeps its mode, submodule by submodule.

    >>> predict(nn.Flatten(), torch.zeros(3, 1, 2, 2)).shape
    torch.Size([3, 4])

    Raises:
        TypeError: not a model, or not a tensor.
        ValueError: no images, or a batch size below 1.
    """
    return _outputs(model, model, images, batch_size=batch_size)


def _outputs(model: nn.Module, function: Callable[[Tensor], Any], images: Tensor, *, batch_size: int) -> Tensor:
    """`function` of all images, batch by batch, with `model` in eval mode; on the CPU."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}; an nn.Module is expected.")
    if not isinstance(images, Tensor):
        raise TypeError(f"images are a {type(images).__name__}; a tensor (N, C, H, W) is expected.")
    if images.ndim < 2 or len(images) == 0:
        raise ValueError(f"images have shape {tuple(images.shape)}; at least one image, (N, C, H, W), is expected.")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise TypeError(f"images are {images.dtype}; floats in [0, 1] or uint8 are expected.")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; at least 1 is expected.")
    weight = next(model.parameters(), None)
    device = images.device if weight is None else weight.device
    outputs = []
    with eval_mode(model), torch.no_grad():
        for batch in images.split(batch_size):
            batch = batch.to(device)
            out = function(batch.float().div(255) if batch.dtype == torch.uint8 else batch)
            if not isinstance(out, Tensor) or out.ndim == 0 or len(out) != len(batch):
                shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
                raise ValueError(
                    f"the model returned {shape} for {len(batch)} images; a tensor with one row per image is expected."
                )
            outputs.append(out.cpu())
    return torch.cat(outputs)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The share of images whose highest logit is that of their label, between 0 and 1.

    logits: float `(N, K)`; labels: int64 `(N,)`.

    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    0.5

    Raises:
        TypeError, ValueError: shapes or types that do not fit, or no image.
    """
    labels = _check_labels(labels, len(_check_logits(logits)))
    return (logits.argmax(dim=1).cpu() == labels).double().mean().item()


def loss_and_accuracy(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    batch_size: int = 512,
) -> dict[str, float]:
    """`{"loss": ..., "accuracy": ...}` of a classifier, both means over images: a small last batch counts for less.

    Args:
        model: `(N, C, H, W)` images -> `(N, K)` logits.
        images, labels: the images, and int64 `(N,)` classes.
        loss: `loss(logits, labels)` -> the mean over a batch.
        batch_size: images at a time; the result does not depend on it.
    """
    labels = _check_labels(labels, len(images))
    logits = _check_logits(_outputs(model, model, images, batch_size=batch_size))
    with torch.no_grad():
        total_loss, correct = 0.0, 0
        for some_logits, some_labels in zip(logits.split(batch_size), labels.split(batch_size), strict=True):
            total_loss += float(loss(some_logits, some_labels)) * len(some_labels)
            correct += int((some_logits.argmax(dim=1) == some_labels).sum())
    return {"loss": total_loss / len(labels), "accuracy": correct / len(labels)}


def accuracy_on(model: nn.Module, data: ImageData) -> float:
    """The share of a set's images that a classifier predicts rightly, between 0 and 1."""
    return loss_and_accuracy(model, data.images, data.labels)["accuracy"]


def predicted_shares(logits: Tensor) -> list[float]:
    """The share of images that are predicted as each class: logits `(N, K)` -> K numbers, 1 in sum.

    >>> predicted_shares(torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 0.0], [1.0, 0.0]]))
    [0.75, 0.25]
    """
    counts = _check_logits(logits).argmax(dim=1).bincount(minlength=logits.shape[1])
    return (counts.double() / len(logits)).tolist()


def per_class_scores(
    predictions: Tensor, labels: Tensor, *, class_names: Sequence[str] | None = None
) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and number of images of every class (scikit-learn's).

    Args:
        predictions: `(N, K)` logits, or int64 `(N,)` predicted classes.
        labels: int64 `(N,)`.
        class_names: names in the order of the class numbers; default "0", "1", ...

    Returns:
        `{name: {"precision": p, "recall": r, "f1": f, "count": n}}`. A class that was never predicted has precision
        0, one without images has recall 0.
    """
    from sklearn.metrics import precision_recall_fscore_support

    predicted, labels, num_classes = _predicted_classes(predictions, labels, class_names)
    names = list(class_names) if class_names is not None else [str(k) for k in range(num_classes)]
    precision, recall, f1, count = precision_recall_fscore_support(
        labels.numpy(), predicted.numpy(), labels=list(range(num_classes)), zero_division=0.0
    )
    return {
        name: {"precision": float(precision[k]), "recall": float(recall[k]), "f1": float(f1[k]), "count": int(count[k])}
        for k, name in enumerate(names)
    }


def confusion(predictions: Tensor, labels: Tensor, *, num_classes: int | None = None) -> Tensor:
    """The confusion matrix, int64 `(K, K)`: row = true class, column = predicted class.

    predictions: `(N, K)` logits, or int64 `(N,)` predicted classes; labels: int64 `(N,)`.

    >>> confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]))
    tensor([[1, 1],
            [0, 1]])
    """
    from sklearn.metrics import confusion_matrix

    names = None if num_classes is None else range(num_classes)
    predicted, labels, num_classes = _predicted_classes(predictions, labels, names)
    matrix = confusion_matrix(labels.numpy(), predicted.numpy(), labels=list(range(num_classes)))
    return torch.from_numpy(matrix.astype(np.int64))


def _predicted_classes(
    predictions: Tensor, labels: Tensor, class_names: Sequence[Any] | None
) -> tuple[Tensor, Tensor, int]:
    """Predicted classes, labels and the number of classes."""
    if not isinstance(predictions, Tensor) or predictions.ndim not in (1, 2):
        shape = tuple(predictions.shape) if isinstance(predictions, Tensor) else type(predictions).__name__
        raise ValueError(f"predictions are {shape}; (N, K) logits or (N,) classes are expected.")
    labels = _check_labels(labels, len(predictions))
    if predictions.ndim == 2:
        predicted, num_classes = _check_logits(predictions).argmax(dim=1).cpu(), predictions.shape[1]
    else:
        predicted = _check_labels(predictions, len(predictions), name="predictions")
        num_classes = 1 + int(torch.maximum(predicted.max(), labels.max()))
    if class_names is not None:
        num_classes = len(class_names)
    highest = int(torch.maximum(predicted.max(), labels.max()))
    if highest >= num_classes:
        raise ValueError(f"class {highest} occurs, but there are {num_classes} classes (0 to {num_classes - 1}).")
    return predicted, labels, num_classes


def extract_features(encoder: nn.Module, images: Tensor, *, block: int | None = None, batch_size: int = 512) -> Tensor:
    """Frozen features: float `(N, d)` on the CPU, from the encoder in eval mode without gradients.

    Args:
        encoder: maps images to features; for `block` it needs `block_features(x)`, as this course's encoders have.
        images: `(N, C, H, W)`.
        block: which block's output, averaged over the image: 0 is the first, -1 the last. Default: the encoder's
            output.
        batch_size: images at a time.

    Raises:
        ValueError: the encoder has no such block, or no blocks at all.
    """
    if block is None:
        return _outputs(encoder, encoder, images, batch_size=batch_size).flatten(1)
    block_features = getattr(encoder, "block_features", None)
    if block_features is None:
        raise ValueError(
            f"{type(encoder).__name__} has no block_features(x), so block={block} cannot be chosen; leave block out."
        )

    def chosen(batch: Tensor) -> Tensor:
        features = block_features(batch)
        if not -len(features) <= block < len(features):
            raise ValueError(f"block is {block}; this encoder has {len(features)} blocks, 0 to {len(features) - 1}.")
        return features[block]

    return _outputs(encoder, chosen, images, batch_size=batch_size)


def probe_accuracy(
    train_x: Tensor,
    train_y: Tensor,
    test_x: Tensor,
    test_y: Tensor,
    *,
    regularization: float = 1.0,
    max_iterations: int = 2000,
) -> float:
    """How much a linear classifier can read from frozen features: its accuracy on the test features.

    Features are standardized with the mean and deviation of the TRAINING features; the classifier is scikit-learn's
    LogisticRegression. Deterministic.

    Args:
        train_x, test_x: float `(N, d)` and `(M, d)`.
        train_y, test_y: int64 `(N,)` and `(M,)`.
        regularization: strength of the L2 penalty, 1 / C of scikit-learn.
        max_iterations: of the solver.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, or a single class to learn from.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = _check_features(train_x, train_y, test_x, test_y)
    if len(np.unique(train[1])) < 2:
        raise ValueError(
            f"all {len(train[1])} training labels are {int(train[1][0])}; a probe needs at least two classes."
        )
    if not regularization > 0:
        raise ValueError(f"regularization is {regularization!r}; a number above 0 is expected.")
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1 / regularization, max_iter=max_iterations))
    return float(probe.fit(*train).score(*test))


def h_score(features: Tensor, labels: Tensor, *, shrinkage: float = 0.1) -> float:
    """The H-score of an encoder's features: large where classes lie apart in directions of little variance.

    The trace of the inverse covariance of the features times the covariance of their class means, where the first one
    is mixed with a multiple of the identity. It ranks encoders by what a linear probe can read, and runs no training.
    Source: Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning", 2019.

    Args:
        features: float `(N, d)`.
        labels: int64 `(N,)`.
        shrinkage: the weight of the identity, 0 to 1.

    >>> h_score(torch.tensor([[0.0], [2.0], [4.0], [6.0]]), torch.tensor([0, 0, 1, 1]), shrinkage=0.0)
    0.8
    """
    f, members = _features_and_members(features, labels)
    f = f - f.mean(dim=0)
    means = members @ (members.T @ f / members.sum(dim=0)[:, None])  # each row: the mean of its class
    covariance, between = (x.T @ x / len(f) for x in (f, means))  # (d, d)
    target = covariance.diagonal().mean() * torch.eye(len(covariance), dtype=f.dtype)
    return float(torch.linalg.solve(torch.lerp(covariance, target, shrinkage), between).trace())


def logme(features: Tensor, labels: Tensor) -> float:
    """LogME of an encoder's features: the largest log evidence, per image, of linear models of the classes.

    For each class, a Bayesian linear regression of its indicator, with no bias and features as they are: weights
    w ~ N(0, I / alpha), targets y ~ N(F w, I / beta). Alpha and beta maximize the evidence log p(y), and the score is
    its mean over classes, divided by N. It ranks encoders by what a linear probe can read, and runs no training.
    Source: You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", 2021, algorithm 1.

    Args:
        features: float `(N, d)`.
        labels: int64 `(N,)`.
    """
    f, members = _features_and_members(features, labels)
    n, d = f.shape
    u, singular, _ = torch.linalg.svd(f, full_matrices=False)
    s = singular**2  # (r,)
    inside = (u.T @ members).T ** 2  # (K, r), what each direction of the features holds of each class
    outside = (members.sum(dim=0) - inside.sum(dim=1))[:, None].clamp(min=0.0)  # (K, 1)

    def regression(alpha: Tensor, beta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of each class (K, 1): directions in use, squared length of the mean weights, squared error."""
        kept = beta * s / (alpha + beta * s)  # (K, r), the share of a direction that the regression fits
        length = (inside * kept * beta / (alpha + beta * s)).sum(dim=1, keepdim=True)
        error = (inside * (1 - kept) ** 2).sum(dim=1, keepdim=True) + outside
        return kept.sum(dim=1, keepdim=True), length.clamp(min=_TINY), error.clamp(min=_TINY)

    alpha = beta = torch.ones(len(outside), 1, dtype=f.dtype)
    for _ in range(200):
        used, length, error = regression(alpha, beta)
        alpha, beta = used / length, (n - used).clamp(min=_TINY) / error
    _, length, error = regression(alpha, beta)
    log_det = (alpha + beta * s).log().sum(dim=1, keepdim=True) + (d - len(s)) * alpha.log()
    evidence = d * alpha.log() + n * (beta / (2 * math.pi)).log() - beta * error - alpha * length - log_det
    return float(evidence.mean() / (2 * n))


_TINY = 1e-9  # a class that the features give exactly has no finite evidence


def _features_and_members(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Features `(N, d)`, and 1 where image n is of the k-th of the classes that occur, `(N, K)`; float64 on the CPU."""
    if not isinstance(features, Tensor) or features.ndim != 2 or not bool(torch.isfinite(features).all()):
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(f"features are {shape}; finite numbers (N, d) with one row per image are expected.")
    classes = _check_labels(labels, len(features)).unique(return_inverse=True)[1]
    return features.detach().cpu().double(), F.one_hot(classes).double()


def knn_accuracy(
    train_x: Tensor, train_y: Tensor, test_x: Tensor, test_y: Tensor, *, neighbors: int = 5, metric: str = "cosine"
) -> float:
    """Accuracy on the test features of a vote of the nearest training features (scikit-learn's KNeighborsClassifier).

    Args:
        train_x, test_x: float `(N, d)` and `(M, d)`.
        train_y, test_y: int64 `(N,)` and `(M,)`.
        neighbors: how many vote.
        metric: "cosine" or "euclidean".

    Raises:
        ValueError: shapes that do not fit, or more neighbors than training features.
    """
    from sklearn.neighbors import KNeighborsClassifier

    train, test = _check_features(train_x, train_y, test_x, test_y)
    if not 1 <= neighbors <= len(train[0]):
        raise ValueError(f"neighbors is {neighbors}; 1 to {len(train[0])} (the training features) is expected.")
    return float(KNeighborsClassifier(n_neighbors=neighbors, metric=metric).fit(*train).score(*test))


def auroc(scores: Tensor | Sequence[float], is_anomaly: Tensor | Sequence[bool]) -> float:
    """The area under the ROC curve: the probability that an anomaly scores above a normal image; ties count half.

    scores: `(N,)`, higher means more anomalous; is_anomaly: `(N,)`, True or 1 for anomalies. 0.5 is chance, 1 is
        perfect.

    >>> auroc([0.1, 0.4, 0.4, 0.9], [False, False, True, True])
    0.875

    Raises:
        ValueError: shapes that do not fit, scores that are not finite, or only one kind.
    """
    from sklearn.metrics import roc_auc_score

    values = np.asarray(scores.detach().cpu() if isinstance(scores, Tensor) else scores, dtype=np.float64)
    flags = np.asarray(is_anomaly.detach().cpu() if isinstance(is_anomaly, Tensor) else is_anomaly)
    if values.ndim != 1 or flags.shape != values.shape:
        raise ValueError(
            f"scores have shape {values.shape}, is_anomaly {flags.shape}; one score and one flag per image, both "
            "(N,), are expected."
        )
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} of {len(values)} scores are NaN or infinite.")
    if not np.isin(flags, (0, 1)).all():
        raise ValueError("is_anomaly holds other values than False and True (or 0 and 1).")
    flags = flags.astype(bool)
    if flags.all() or not flags.any():
        raise ValueError(
            f"all {len(flags)} images are {'anomalies' if len(flags) and flags.all() else 'normal'}; both kinds are "
            "needed."
        )
    return float(roc_auc_score(flags, values))


def label_curve(
    run: Callable[[int, int], float],
    budgets: Sequence[int],
    seeds: Sequence[int] = (0, 1, 2),
    *,
    progress: bool = True,
    label: str = "label curve",
) -> dict[int, list[float]]:
    """The values of `run(budget, seed)` for every label budget and seed.

    A budget is a number of labels per class. Returns `{budget: [value of each seed, in order]}`.

    >>> label_curve(lambda budget, seed: budget + seed / 10, [1, 5], [0, 1], progress=False)
    {1: [1.0, 1.1], 5: [5.0, 5.1]}

    Raises:
        ValueError: no budgets or seeds, or one twice.
        TypeError: `run` returned something else than a number.
    """
    for name, values in (("budgets", budgets), ("seeds", seeds)):
        if not len(values) or len(set(values)) != len(values):
            raise ValueError(f"{name} are {list(values)}; at least one is expected, and none twice.")
    curve: dict[int, list[float]] = {budget: [] for budget in budgets}
    with tqdm(total=len(budgets) * len(seeds), desc=label, unit="run", disable=not progress) as bar:
        # Seed by seed: when it is stopped early, every budget has as many values, give or take one.
        for seed in seeds:
            for budget in budgets:
                value = run(budget, seed)
                try:
                    curve[budget].append(float(value))
                except (TypeError, ValueError):
                    raise TypeError(
                        f"run({budget}, {seed}) returned a {type(value).__name__}; one number is expected, such as "
                        "an accuracy."
                    ) from None
                bar.update(1)
    return curve


def _check_logits(logits: Tensor) -> Tensor:
    if not isinstance(logits, Tensor):
        raise TypeError(f"logits are a {type(logits).__name__}; a float tensor (N, K) is expected.")
    if logits.ndim != 2 or 0 in logits.shape or not logits.is_floating_point():
        raise ValueError(
            f"logits are {logits.dtype} of shape {tuple(logits.shape)}; floats (N, K) with N, K > 0 are expected."
        )
    return logits


def _check_labels(labels: Tensor, count: int, *, name: str = "labels") -> Tensor:
    """The labels on the CPU."""
    if not isinstance(labels, Tensor):
        raise TypeError(f"{name} are a {type(labels).__name__}; an int64 tensor (N,) is expected.")
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise TypeError(f"{name} are {labels.dtype}; whole numbers (int64) are expected.")
    if tuple(labels.shape) != (count,) or count == 0:
        raise ValueError(
            f"{name} have shape {tuple(labels.shape)}; ({count},) with at least one is expected, one for each image."
        )
    if int(labels.min()) < 0:
        raise ValueError(f"{name} hold {int(labels.min())}; classes count from 0.")
    return labels.cpu().long()


def _check_features(
    train_x: Tensor, train_y: Tensor, test_x: Tensor, test_y: Tensor
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """((train_x, train_y), (test_x, test_y)) as numpy arrays."""
    pairs = []
    for name, x, y in (("train", train_x, train_y), ("test", test_x, test_y)):
        if not isinstance(x, Tensor) or x.ndim != 2 or len(x) == 0:
            shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(
                f"{name}_x is {shape}; features (N, d) with at least one row are expected (images need flatten(1))."
            )
        if not bool(torch.isfinite(x).all()):
            raise ValueError(f"{name}_x holds NaN or infinite values.")
        pairs.append((x.detach().cpu().double().numpy(), _check_labels(y, len(x), name=f"{name}_y").numpy()))
    if train_x.shape[1] != test_x.shape[1]:
        raise ValueError(
            f"train_x has {train_x.shape[1]} features per row, test_x {test_x.shape[1]}; they must be of the same kind."
        )
    return pairs[0], pairs[1]
