"""Unit 05's checks against answers that are not written down in mistakes.md: written from the statements alone."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.models import eval_mode
from tests.exercises.shared import answers_tested

# --- 5.1 two_views


def stacked_then_split(images, augment, *, generator):
    return augment(images.repeat(2, 1, 1, 1), generator=generator).chunk(2)


def by_list(images, augment, *, generator):
    return [augment(images.clone(), generator=generator) for _ in "ab"]


def copied_generator(images, augment, *, generator):
    twin = torch.Generator().manual_seed(generator.initial_seed())
    return augment(images, generator=generator), augment(images, generator=twin)


def repeated_side_by_side(images, augment, *, generator):
    return augment(images.repeat_interleave(2, dim=0), generator=generator).chunk(2)


def mixed_with_the_image(images, augment, *, generator):
    view = augment(images, generator=generator)
    return view, (augment(images, generator=generator) + images) / 2


def shuffled(images, augment, *, generator):
    order = torch.randperm(len(images), generator=generator)
    return augment(images, generator=generator), augment(images[order], generator=generator)


# --- 5.2 nt_xent_loss


def by_log_softmax(z1, z2, temperature=0.2):
    n = z1.size(0)
    h = torch.stack([z1, z2]).reshape(2 * n, -1)
    h = h / h.norm(dim=1, keepdim=True)
    sim = h.mm(h.t()).div(temperature)
    sim = sim - 1e9 * torch.eye(2 * n, dtype=sim.dtype, device=sim.device)
    logp = sim.log_softmax(dim=-1)
    return -0.5 * (logp.diagonal(n).mean() + logp.diagonal(-n).mean())


def in_pairs(z1, z2, temperature=0.2):
    n = len(z1)
    z = F.normalize(torch.stack([z1, z2], dim=1).flatten(0, 1), dim=1)
    logits = (z @ z.T / temperature).fill_diagonal_(-math.inf)
    return F.cross_entropy(logits, torch.arange(2 * n, device=z.device) ^ 1)


def with_epsilon(z1, z2, temperature=0.2):
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    e = (z @ z.T / temperature).exp()
    n = len(z1)
    positive = torch.cat([e.diagonal(n), e.diagonal(-n)])
    return -(positive / (e.sum(dim=1) - e.diagonal() + 1e-8) + 1e-8).log().mean()


def masked_by_product(z1, z2, temperature=0.2):
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    keep = 1 - torch.eye(len(z), device=z.device, dtype=z.dtype)
    return F.cross_entropy(z @ z.T * keep / temperature, torch.arange(len(z), device=z.device).roll(len(z1)))


def mean_over_pairs(z1, z2, temperature=0.2):
    return by_log_softmax(z1, z2, temperature) * 2


def other_way(z1, z2, temperature=0.2):
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    logits = (z @ z.T / temperature).fill_diagonal_(-math.inf)
    return F.cross_entropy(logits, torch.arange(len(z), device=z.device).flip(0))


def root_of_the_temperature(z1, z2, temperature=0.2):
    return by_log_softmax(z1, z2, temperature**0.5)


# --- 5.4 SimCLR


class Plain(nn.Module):
    """A right answer; the wrong ones below exchange a method."""

    def __init__(self, encoder, hidden, outputs):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(encoder.feature_dim, hidden), nn.Tanh(), nn.Linear(hidden, outputs))

    def forward(self, images):
        return self.head(self.encoder(images))

    def loss(self, images, augment, temperature, *, generator):
        views = [augment(images, generator=generator) for _ in range(2)]
        return by_log_softmax(*self(torch.cat(views)).split(len(images)), temperature)

    def features(self, images):
        with eval_mode(self), torch.no_grad():
            return self.encoder(images)


class Normalizing(Plain):
    def __init__(self, encoder, hidden, outputs):
        super().__init__(encoder, hidden, outputs)
        self.head = nn.Sequential(
            nn.Linear(encoder.feature_dim, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True),
            nn.Linear(hidden, outputs, bias=False),
        )  # fmt: skip


class Inference(Plain):
    def features(self, images):
        return self.encoder(images).detach()


class FeaturesNormalized(Plain):
    def features(self, images):
        return F.normalize(super().features(images), dim=1)


class OneViewIsTheImage(Plain):
    def loss(self, images, augment, temperature, *, generator):
        views = torch.cat([images, augment(images, generator=generator)])
        return by_log_softmax(*self(views).chunk(2), temperature)


class Halves(Plain):
    def loss(self, images, augment, temperature, *, generator):
        z1, z2 = (self(augment(images, generator=generator)) for _ in range(2))
        return by_log_softmax(z1, z2, temperature)


class HeadOfThree(Plain):
    def __init__(self, encoder, hidden, outputs):
        super().__init__(encoder, hidden, outputs)
        self.head.append(nn.ReLU())
        self.head.append(nn.Linear(outputs, outputs))


# --- 5.5 knn_predict


def by_cosine_similarity(features, labels, queries, k):
    s = F.cosine_similarity(queries[:, None], features[None], dim=2)
    near = labels[s.argsort(dim=1, descending=True)[:, :k]]
    return torch.stack([torch.bincount(row).argmax() for row in near])


def by_sets(features, labels, queries, k):
    out = []
    for q in queries:
        cos = (features @ q) / features.norm(dim=1)
        votes = labels[cos.topk(k).indices].tolist()
        out.append(min(set(votes), key=lambda c: (-votes.count(c), c)))
    return torch.tensor(out)


def by_softmax_weights(features, labels, queries, k):
    s = F.normalize(queries, dim=1) @ F.normalize(features, dim=1).T
    value, where = s.topk(k, dim=1)
    votes = torch.zeros(len(queries), int(labels.max()) + 1, dtype=s.dtype)
    return votes.scatter_add(1, labels[where], (value / 0.1).exp()).argmax(dim=1)


def by_squared_distance(features, labels, queries, k):
    d = (queries[:, None] - features[None]).pow(2).sum(dim=2)
    return labels[d.topk(k, dim=1, largest=False).indices].mode(dim=1).values


def by_class_numbers(features, labels, queries, k):
    s = F.normalize(queries, dim=1) @ F.normalize(features, dim=1).T
    names = labels.unique()
    votes = (labels[s.topk(k, dim=1).indices][:, :, None] == names).sum(dim=1)
    return votes.argmax(dim=1)


# --- 5.6 negative_cosine


def by_einsum(p, z):
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (p, z.clone().detach()))
    return -torch.einsum("nd,nd->n", a, b).mean()


def by_loop(p, z):
    return -sum(F.cosine_similarity(a, b.detach(), dim=0) for a, b in zip(p, z)) / len(p)


def detached_at_the_end(p, z):
    return -F.cosine_similarity(p, z, dim=1).mean().detach()


def absolute(p, z):
    return -F.cosine_similarity(p, z.detach(), dim=1).abs().mean()


def one_length(p, z):
    return -(p * z.detach()).sum() / (p.norm() * z.detach().norm())


# --- 5.7 vicreg_loss


def centered_first(z1, z2, *, invariance=25.0, variance=25.0, covariance=1.0):
    n, d = z1.shape
    total = invariance * F.mse_loss(z1, z2)
    for z in (z1 - z1.mean(0, keepdim=True), z2 - z2.mean(0, keepdim=True)):
        cov = z.T.mm(z) / (n - 1)
        std = torch.sqrt(cov.diagonal() + 1e-4)
        total += variance * torch.mean(F.relu(1 - std))
        total += covariance * (cov.pow(2).sum() - cov.diagonal().pow(2).sum()) / d
    return total


def biased_variance(z1, z2, *, invariance=25.0, variance=25.0, covariance=1.0):
    loss = centered_first(z1, z2, invariance=invariance, variance=0, covariance=covariance)
    return loss + variance * sum(F.relu(1 - (z.var(0, correction=0) + 1e-4).sqrt()).mean() for z in (z1, z2))


def correlations(z1, z2, *, invariance=25.0, variance=25.0, covariance=1.0):
    loss = centered_first(z1, z2, invariance=invariance, variance=variance, covariance=0)
    for z in (z1, z2):
        c = torch.corrcoef(z.T)
        loss = loss + covariance * (c.pow(2).sum() - c.diagonal().pow(2).sum()) / z.shape[1]
    return loss


def normalized_before(z1, z2, *, invariance=25.0, variance=25.0, covariance=1.0):
    weights = {"invariance": invariance, "variance": variance, "covariance": covariance}
    return centered_first(F.normalize(z1, dim=1), F.normalize(z2, dim=1), **weights)


def half_of_the_matrix(z1, z2, *, invariance=25.0, variance=25.0, covariance=1.0):
    loss = centered_first(z1, z2, invariance=invariance, variance=variance, covariance=0)
    return loss + covariance * sum(torch.cov(z.T).triu(1).pow(2).sum() / z.shape[1] for z in (z1, z2))


RIGHT = {
    "two_views": [stacked_then_split, by_list],
    "nt_xent_loss": [by_log_softmax, in_pairs],
    "SimCLR": [Plain, Normalizing],
    "knn_predict": [by_cosine_similarity, by_sets],
    "negative_cosine": [by_einsum, by_loop],
    "vicreg_loss": [centered_first],
}
# The sentence that a wrong answer is told; None where only the values are shown.
WRONG = {
    "two_views": {
        copied_generator: "same_view_twice", repeated_side_by_side: None, mixed_with_the_image: None,
        shuffled: "rows_exchanged",
    },
    "nt_xent_loss": {
        with_epsilon: "by_exponentials", masked_by_product: "diagonal_at_zero", mean_over_pairs: "directions_added",
        other_way: None, root_of_the_temperature: None,
    },
    "SimCLR": {
        Inference: "features_in_train_mode", FeaturesNormalized: "features_normalized", Halves: "two_batches",
        OneViewIsTheImage: "images_beside_a_view", HeadOfThree: None,
    },
    "knn_predict": {
        by_softmax_weights: "exponential_votes", by_squared_distance: "euclidean",
        by_class_numbers: "numbers_of_classes",
    },
    "negative_cosine": {detached_at_the_end: "both_stopped", absolute: None, one_length: "one_cosine_of_all"},
    "vicreg_loss": {
        biased_variance: "variance_by_n", half_of_the_matrix: "each_pair_once", correlations: None,
        normalized_before: None,
    },
}  # fmt: skip
test_another_right_answer_has_full_points, test_another_wrong_answer_loses_points_and_is_told_why = answers_tested(
    RIGHT, WRONG
)
