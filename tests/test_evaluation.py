from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.linear_model import BayesianRidge
from torch import nn
from torch.nn import functional as F

from course_lib.data import load
from course_lib.evaluation import (
    accuracy,
    accuracy_on,
    auroc,
    confusion,
    extract_features,
    h_score,
    knn_accuracy,
    label_curve,
    logme,
    loss_and_accuracy,
    per_class_scores,
    predict,
    predicted_shares,
    probe_accuracy,
)
from course_lib.models import Classifier, ConvEncoder


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model() -> nn.Module:
    return Classifier(ConvEncoder(widths=(4, 8)), 5)


IMAGES = torch.rand(13, 1, 12, 12, generator=generator())
LABELS = torch.randint(0, 5, (13,), generator=generator(1))


def states(module: nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in module.state_dict().values()]


# ---------------------------------------- predict


@pytest.mark.parametrize("batch_size", [1, 5, 13, 500])
def test_predict_is_the_eval_mode_output_whatever_the_batch_size(model, batch_size):
    with torch.no_grad():
        expected = model.eval()(IMAGES)
    model.train()
    torch.testing.assert_close(predict(model, IMAGES, batch_size=batch_size), expected)


def test_predict_changes_nothing(model):
    model.train()
    model.encoder.blocks[0].eval()  # as a frozen block
    modes, before = [m.training for m in model.modules()], states(model)
    logits = predict(model, IMAGES, batch_size=4)
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(states(model), before, strict=True)), "batch statistics moved"
    assert not logits.requires_grad
    nn.functional.cross_entropy(nn.Linear(5, 2)(logits), torch.zeros(13).long()).backward()  # can be trained on


def test_predict_gives_the_modes_back_after_an_error_too(model):
    with pytest.raises(ValueError, match="channel"):
        predict(model, IMAGES.expand(-1, 3, -1, -1))
    assert all(m.training for m in model.modules())


def test_predict_takes_uint8_images_as_values_from_0_to_1(model):
    pixels = (IMAGES * 255).byte()
    assert torch.equal(predict(model, pixels), predict(model, pixels.float() / 255))


def test_predict_works_without_parameters_and_keeps_other_shapes():
    assert predict(nn.Upsample(scale_factor=2), IMAGES, batch_size=6).shape == (13, 1, 24, 24)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        ((lambda x: x, IMAGES), {}, TypeError, r"nn\.Module"),
        ((nn.Flatten(), IMAGES.numpy()), {}, TypeError, "ndarray"),
        ((nn.Flatten(), IMAGES[:0]), {}, ValueError, "at least one image"),
        ((nn.Flatten(), LABELS), {}, ValueError, r"\(13,\)"),
        ((nn.Flatten(), IMAGES.long()), {}, TypeError, "int64"),
        ((nn.Flatten(), IMAGES), {"batch_size": 0}, ValueError, "batch_size is 0"),
        ((nn.Flatten(0), IMAGES), {}, ValueError, "one row per image"),
    ],
)
def test_predict_says_what_does_not_fit(arguments, options, error, says):
    with pytest.raises(error, match=says):
        predict(*arguments, **options)


# ---------------------------------------- accuracy and loss


def test_accuracy_by_hand():
    logits = torch.tensor([[3.0, 1.0, 0.0], [0.0, -1.0, -2.0], [-5.0, -4.0, -6.0], [0.0, 0.0, 1.0]])
    assert accuracy(logits, torch.tensor([0, 1, 1, 2])) == 0.75
    assert isinstance(accuracy(logits, torch.tensor([0, 1, 1, 2])), float)
    assert accuracy(logits.double(), torch.tensor([0, 0, 1, 2], dtype=torch.int32)) == 1.0


@pytest.mark.parametrize(
    ("logits", "labels", "error", "says"),
    [
        (torch.rand(3, 2), torch.tensor([0, 1]), ValueError, r"\(2,\).*\(3,\)"),
        (torch.rand(3, 2), torch.zeros(3, 1).long(), ValueError, r"\(3, 1\)"),
        (torch.rand(3, 2), torch.zeros(3), TypeError, "float32"),
        (torch.rand(3, 2), [0, 1, 0], TypeError, "list"),
        (torch.rand(3), torch.zeros(3).long(), ValueError, r"\(N, K\)"),
        (torch.zeros(3, 2).long(), torch.zeros(3).long(), ValueError, "int64"),
        (torch.rand(0, 2), torch.zeros(0).long(), ValueError, "N, K > 0"),
        (torch.rand(2, 2), torch.tensor([0, -1]), ValueError, "count from 0"),
    ],
)
def test_accuracy_says_what_does_not_fit(logits, labels, error, says):
    with pytest.raises(error, match=says):
        accuracy(logits, labels)


@pytest.mark.parametrize("batch_size", [1, 4, 6, 13])
def test_loss_and_accuracy_is_exact_with_a_ragged_last_batch(model, batch_size):
    with torch.no_grad():
        logits = model.eval()(IMAGES)
    scores = loss_and_accuracy(model, IMAGES, LABELS, batch_size=batch_size)
    assert scores["loss"] == pytest.approx(F.cross_entropy(logits, LABELS).item(), rel=1e-6)
    assert scores["accuracy"] == pytest.approx((logits.argmax(1) == LABELS).double().mean().item())


def test_loss_and_accuracy_weights_images_not_batches():
    """64 + 64 + 1 images, the last one with a huge loss: the mean of batch means would be three times off."""
    logits = torch.zeros(129, 2)
    logits[128, 1] = 100.0
    labels = torch.zeros(129).long()
    scores = loss_and_accuracy(nn.Identity(), logits, labels, batch_size=64)
    assert scores["loss"] == pytest.approx((128 * math.log(2) + 100) / 129, rel=1e-6)
    assert scores["accuracy"] == pytest.approx(128 / 129)


def test_loss_and_accuracy_takes_another_loss(model):
    scores = loss_and_accuracy(
        model, IMAGES, LABELS, loss=lambda logits, labels: (logits.argmax(1) == labels).float().mean()
    )
    assert scores["loss"] == pytest.approx(scores["accuracy"])


def test_a_loss_that_fails_leaves_gradients_on_and_the_modes_as_they_were(model):
    def failing(logits, labels):
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom") as kept:  # as a notebook keeps the last traceback
        loss_and_accuracy(model, IMAGES, LABELS, loss=failing)
    assert torch.is_grad_enabled() and all(m.training for m in model.modules())
    del kept


def test_loss_and_accuracy_needs_a_label_for_each_image(model):
    with pytest.raises(ValueError, match=r"\(12,\).*\(13,\)"):
        loss_and_accuracy(model, IMAGES, LABELS[:12])


# ---------------------------------------- per class


def test_per_class_scores_by_counting():
    g = generator(3)
    logits, labels = torch.rand(200, 4, generator=g), torch.randint(0, 3, (200,), generator=g)  # class 3 never occurs
    logits[:, 1] = -1  # class 1 is never predicted
    scores = per_class_scores(logits, labels, class_names=["a", "b", "c", "d"])
    predicted = logits.argmax(1)
    for k, name in enumerate("abcd"):
        hit = int(((predicted == k) & (labels == k)).sum())
        said, there = int((predicted == k).sum()), int((labels == k).sum())
        precision, recall = hit / said if said else 0.0, hit / there if there else 0.0
        both = precision + recall
        assert scores[name] == pytest.approx(
            {
                "precision": precision,
                "recall": recall,
                "f1": 2 * precision * recall / both if both else 0,
                "count": there,
            }
        )


def test_per_class_scores_do_not_warn_on_classes_that_are_missing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = per_class_scores(torch.tensor([0, 0]), torch.tensor([0, 2]))
    assert scores["2"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "count": 1}


def test_confusion_by_counting():
    g = generator(4)
    predicted, labels = torch.randint(0, 3, (100,), generator=g), torch.randint(0, 3, (100,), generator=g)
    matrix = confusion(predicted, labels, num_classes=4)
    assert matrix.dtype == torch.int64 and matrix.shape == (4, 4)
    for true in range(4):
        for said in range(4):
            assert matrix[true, said] == ((labels == true) & (predicted == said)).sum()
    assert torch.equal(confusion(F.one_hot(predicted, 4).float(), labels), matrix)


def test_classes_beyond_the_number_of_classes_are_refused():
    with pytest.raises(ValueError, match="class 3 occurs, but there are 2"):
        confusion(torch.tensor([0, 1]), torch.tensor([0, 3]), num_classes=2)
    with pytest.raises(ValueError, match="class 2 occurs, but there are 2"):
        per_class_scores(torch.tensor([0, 2]), torch.tensor([0, 1]), class_names=["a", "b"])
    with pytest.raises(ValueError, match=r"\(N, K\) logits or \(N,\) classes"):
        confusion(torch.zeros(2, 2, 2), torch.tensor([0, 1]))


# ---------------------------------------- features and probes


def test_features_are_those_of_eval_mode_and_of_the_block_asked_for(model):
    encoder = model.encoder
    features = extract_features(encoder, IMAGES, batch_size=4)
    second = extract_features(encoder, IMAGES, block=1, batch_size=4)
    first = extract_features(encoder, IMAGES, block=-2)
    assert all(m.training for m in encoder.modules())
    with torch.no_grad():
        encoder.eval()
        x = encoder.blocks[0](IMAGES)
        torch.testing.assert_close(first, x.mean(dim=(2, 3)))
        torch.testing.assert_close(second, encoder.blocks[1](x).mean(dim=(2, 3)))
        torch.testing.assert_close(features, encoder(IMAGES))


def test_feature_maps_become_vectors():
    assert extract_features(nn.Conv2d(1, 2, 3), IMAGES).shape == (13, 2 * 10 * 10)


def test_a_block_that_is_not_there(model):
    with pytest.raises(ValueError, match=r"block is 2.*2 blocks, 0 to 1"):
        extract_features(model.encoder, IMAGES, block=2)
    with pytest.raises(ValueError, match=r"Flatten.*no block_features"):
        extract_features(nn.Flatten(), IMAGES, block=0)


def blobs(n: int, seed: int, distance: float = 4.0) -> tuple[torch.Tensor, torch.Tensor]:
    g = generator(seed)
    labels = torch.arange(n) % 3
    centers = torch.eye(3) * distance
    return centers[labels] + torch.randn(n, 3, generator=g), labels


def test_a_probe_reads_what_is_linear_and_is_deterministic():
    train, test = blobs(90, 0), blobs(300, 1)
    score = probe_accuracy(*train, *test)
    assert score > 0.9
    assert score == probe_accuracy(*train, *test)
    noise = torch.randn(90, 3, generator=generator(2)), train[1]
    assert probe_accuracy(*noise, *test) < 0.7


def test_a_probe_does_not_mind_units():
    """Standardized with the training features: scale and offset of a feature change nothing."""
    (train_x, train_y), (test_x, test_y) = blobs(60, 0, distance=1.5), blobs(300, 1, distance=1.5)
    scale, offset = torch.tensor([1e-3, 1.0, 1e4]), torch.tensor([5.0, 0.0, -1e5])
    plain = probe_accuracy(train_x, train_y, test_x, test_y)
    other = probe_accuracy(train_x.double() * scale + offset, train_y, test_x.double() * scale + offset, test_y)
    assert plain == pytest.approx(other, abs=0.005)


def test_a_probe_takes_the_statistics_of_the_training_features_only():
    (train_x, train_y), (test_x, test_y) = blobs(90, 0), blobs(300, 1)
    alone = [probe_accuracy(train_x, train_y, test_x[k : k + 1], test_y[k : k + 1]) for k in range(20)]
    assert np.mean(alone) == pytest.approx(probe_accuracy(train_x, train_y, test_x[:20], test_y[:20]))


def test_knn_against_a_vote_by_hand():
    (train_x, train_y), (test_x, test_y) = blobs(60, 0, distance=1.0), blobs(100, 1, distance=1.0)
    similarity = F.normalize(test_x, dim=1) @ F.normalize(train_x, dim=1).T
    votes = F.one_hot(train_y[similarity.topk(5).indices], 3).sum(1)
    expected = (votes.argmax(1) == test_y).double().mean().item()
    assert knn_accuracy(train_x, train_y, test_x, test_y) == pytest.approx(expected)
    nearest = train_y[torch.cdist(test_x, train_x).argmin(1)]
    expected = (nearest == test_y).double().mean().item()
    assert knn_accuracy(train_x, train_y, test_x, test_y, neighbors=1, metric="euclidean") == pytest.approx(expected)


@pytest.mark.parametrize("probe", [probe_accuracy, knn_accuracy])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a, b, c, d: (a[:0], b[:0], c, d), "train_x is"),
        (lambda a, b, c, d: (a, b[:-1], c, d), "train_y have shape"),
        (lambda a, b, c, d: (a, b, c[:, :2], d), "3 features per row, test_x 2"),
        (lambda a, b, c, d: (a * math.nan, b, c, d), "train_x holds NaN"),
        (lambda a, b, c, d: (a[..., None], b, c, d), r"flatten\(1\)"),
    ],
)
def test_probes_say_what_does_not_fit(probe, change, says):
    with pytest.raises(ValueError, match=says):
        probe(*change(*blobs(30, 0), *blobs(30, 1)))


def test_probes_need_something_to_learn_from():
    train_x, _ = blobs(30, 0)
    with pytest.raises(ValueError, match="all 30 training labels are 0"):
        probe_accuracy(train_x, torch.zeros(30).long(), *blobs(30, 1))
    with pytest.raises(ValueError, match="neighbors is 31; 1 to 30"):
        knn_accuracy(*blobs(30, 0), *blobs(30, 1), neighbors=31)


# ---------------------------------------- scores of encoders


def two_numbers_per_class(count=24, dims=3, apart=2.0):
    """Features around a mean per class, all moved by the same amount, and labels with a gap."""
    labels = torch.tensor([0, 3, 4])[torch.arange(count) % 3]
    means = apart * torch.randn(5, dims, generator=generator())
    return means[labels] + torch.randn(count, dims, generator=generator(1)) + 0.5, labels


def largest_evidence(features, targets):
    """The log evidence of a linear model, maximized over the two precisions by a search that knows no formula."""
    f, y = features.double().numpy(), targets.double().numpy()

    def lost(logarithms):
        alpha, beta = np.exp(np.clip(logarithms, -30, 30))
        return -multivariate_normal.logpdf(y, cov=np.eye(len(y)) / beta + f @ f.T / alpha)

    return -min(minimize(lost, (a, 1.0), method="Nelder-Mead").fun for a in (0.0, 3.0))


@pytest.mark.parametrize(("count", "dims", "apart"), [(24, 3, 2.0), (24, 3, 0.5), (12, 20, 1.0)])
def test_logme_is_the_largest_evidence_per_image(count, dims, apart):
    features, labels = two_numbers_per_class(count, dims, apart)
    found = [largest_evidence(features, labels == k) / count for k in labels.unique()]
    assert logme(features, labels) == pytest.approx(np.mean(found), abs=1e-5)


def test_logme_is_that_of_a_bayesian_ridge_without_a_bias():
    features, labels = two_numbers_per_class()
    options = dict.fromkeys(("alpha_1", "alpha_2", "lambda_1", "lambda_2"), 0.0)
    ridge = BayesianRidge(fit_intercept=False, compute_score=True, tol=1e-9, max_iter=1000, **options)
    found = [ridge.fit(features.double(), (labels == k).double()).scores_[-1] / len(labels) for k in labels.unique()]
    assert logme(features, labels) == pytest.approx(np.mean(found), abs=1e-5)
    assert abs(logme(features - features.mean(dim=0), labels) - logme(features, labels)) > 0.05  # it does not center


def test_h_score_counts_variance_between_classes_in_whitened_units():
    features, labels = two_numbers_per_class()
    white = np.linalg.cholesky(np.linalg.inv(np.cov(features.double().numpy().T, bias=True)))
    x = (features.double().numpy() - features.double().numpy().mean(axis=0)) @ white
    between = [len(own) / len(x) * (own.mean(axis=0) ** 2).sum() for k in (0, 3, 4) for own in [x[labels.numpy() == k]]]
    assert h_score(features, labels, shrinkage=0.0) == pytest.approx(sum(between))
    assert h_score(7 * features, labels) == pytest.approx(h_score(features, labels))


@pytest.mark.parametrize("score", [h_score, logme])
def test_scores_rise_with_the_distance_of_the_classes_and_say_what_does_not_fit(score):
    far, near = (two_numbers_per_class(apart=apart) for apart in (3.0, 0.3))
    assert score(*far) > score(*near)
    assert math.isfinite(score(F.one_hot(far[1]).float(), far[1]))  # the classes themselves as features
    with pytest.raises(ValueError, match=r"features are \(24,\); finite numbers \(N, d\)"):
        score(far[0][:, 0], far[1])
    with pytest.raises(ValueError, match=r"labels have shape \(23,\)"):
        score(far[0], far[1][:23])


# ---------------------------------------- anomalies


@pytest.mark.parametrize("seed", range(5))
def test_auroc_is_the_share_of_pairs_in_order_ties_half(seed):
    g = generator(seed)
    scores = torch.randint(0, 6, (40,), generator=g).float()  # many ties
    flags = torch.rand(40, generator=g) < 0.3
    flags[0], flags[1] = True, False
    anomalous, normal = scores[flags].tolist(), scores[~flags].tolist()
    pairs = [1.0 if a > n else 0.5 if a == n else 0.0 for a in anomalous for n in normal]
    assert auroc(scores, flags) == pytest.approx(sum(pairs) / len(pairs))
    assert auroc(scores.tolist(), flags.long().tolist()) == pytest.approx(sum(pairs) / len(pairs))


def test_auroc_of_constant_scores_is_chance():
    assert auroc(torch.ones(6), torch.tensor([0, 1, 0, 1, 1, 0])) == 0.5


@pytest.mark.parametrize(
    ("scores", "flags", "says"),
    [
        ([0.1, 0.2], [True], r"\(2,\).*\(1,\)"),
        ([[0.1], [0.2]], [[True], [False]], r"\(2, 1\)"),
        ([0.1, math.nan], [True, False], "1 of 2 scores are NaN"),
        ([0.1, 0.2], [True, True], "all 2 images are anomalies"),
        ([0.1, 0.2], [False, False], "all 2 images are normal"),
        ([0.1, 0.2], [0, 2], "other values"),
        ([], [], "both kinds are needed"),
    ],
)
def test_auroc_says_what_does_not_fit(scores, flags, says):
    with pytest.raises(ValueError, match=says):
        auroc(scores, flags)


# ---------------------------------------- label curves


def test_a_label_curve_keeps_budgets_and_seeds_apart():
    calls = []

    def run(budget, seed):
        calls.append((budget, seed))
        return torch.tensor(100.0 * budget + seed)

    curve = label_curve(run, [5, 1], [3, 4, 7], progress=False)
    assert curve == {5: [503.0, 504.0, 507.0], 1: [103.0, 104.0, 107.0]}
    assert sorted(calls) == sorted((b, s) for b in (5, 1) for s in (3, 4, 7))


def test_a_label_curve_shows_progress_unless_told_not_to(capsys):
    label_curve(lambda budget, seed: 0.0, [1], [0], label="my curve")
    assert "my curve" in capsys.readouterr().err
    label_curve(lambda budget, seed: 0.0, [1], [0], progress=False)
    assert capsys.readouterr().err == ""


def test_a_label_curve_says_what_does_not_fit():
    with pytest.raises(ValueError, match="budgets are"):
        label_curve(lambda b, s: 0.0, [], [0])
    with pytest.raises(ValueError, match=r"seeds are \[0, 0\]"):
        label_curve(lambda b, s: 0.0, [1], [0, 0])
    with pytest.raises(TypeError, match=r"run\(1, 0\) returned a dict"):
        label_curve(lambda b, s: {}, [1], [0], progress=False)


# ---------------------------------------- GPU


@pytest.mark.gpu
def test_results_from_the_gpu_are_those_of_the_cpu(cuda, model):
    with torch.backends.cudnn.flags(allow_tf32=False):
        on_cpu = (
            predict(model, IMAGES),
            extract_features(model.encoder, IMAGES),
            loss_and_accuracy(model, IMAGES, LABELS),
        )
        model.to(cuda)
        on_gpu = (
            predict(model, IMAGES),
            extract_features(model.encoder, IMAGES),
            loss_and_accuracy(model, IMAGES, LABELS),
        )
    assert not on_gpu[0].is_cuda
    torch.testing.assert_close(on_gpu[0], on_cpu[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(on_gpu[1], on_cpu[1], rtol=1e-4, atol=1e-4)
    assert on_gpu[2] == pytest.approx(on_cpu[2], rel=1e-4)
    assert accuracy(on_gpu[0].to(cuda), LABELS.to(cuda)) == accuracy(on_cpu[0], LABELS)


# ---------------------------------------- of a set


def test_accuracy_on_a_set_is_that_of_its_images_and_labels():
    data, network = load("glyphs", n=40), Classifier(ConvEncoder(widths=(4, 8)), 10, generator=generator())
    assert accuracy_on(network, data) == loss_and_accuracy(network, data.images, data.labels)["accuracy"] > 0


def test_predicted_shares_count_every_class():
    logits = torch.eye(5)[torch.tensor([0, 0, 0, 3])]
    assert predicted_shares(logits) == [0.75, 0, 0, 0.25, 0]
