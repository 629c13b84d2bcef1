"""Unit 08's checks against answers that are not written down in mistakes.md: written from the statements alone."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import confusion_matrix, pairwise_distances_argmin
from torch import nn
from torch.nn import functional as F

from course_lib import evaluation
from course_lib.exercises import exercise_named
from course_lib.models import Classifier, eval_mode
from tests.exercises.known import check
from tests.exercises.shared import answers_tested

# --- 8.1, the loss


def difference_of_cross_entropies(student_logits, teacher_logits, *, temperature):
    t = teacher_logits.detach().double() / temperature
    p = t.softmax(1)
    return temperature**2 * (F.cross_entropy(student_logits.double() / temperature, p) - F.cross_entropy(t, p))


def by_distributions(student_logits, teacher_logits, *, temperature):
    with torch.no_grad():
        p = torch.distributions.Categorical(logits=teacher_logits / temperature)
    q = torch.distributions.Categorical(logits=student_logits / temperature)
    return torch.distributions.kl_divergence(p, q).mean() * temperature**2


def half_of_it(student_logits, teacher_logits, *, temperature):
    return by_distributions(student_logits, teacher_logits, temperature=temperature) / 2


def mean_without_a_batch(student_logits, teacher_logits, *, temperature):
    q, p = F.log_softmax(student_logits / temperature, 1), F.softmax(teacher_logits.detach() / temperature, 1)
    return nn.KLDivLoss()(q, p) * temperature**2


def reversed_divergence(student_logits, teacher_logits, *, temperature):
    q, p = (F.softmax(x / temperature, 1) for x in (student_logits, teacher_logits.detach()))
    return temperature**2 * (q * (q.log() - p.log())).sum(1).mean()


def jensen_shannon(student_logits, teacher_logits, *, temperature):
    q, p = (F.softmax(x / temperature, 1) for x in (student_logits, teacher_logits.detach()))
    m = (p + q) / 2
    return temperature**2 * sum((x * (x / m).log()).sum(1).mean() / 2 for x in (p, q))


def with_epsilon(student_logits, teacher_logits, *, temperature):
    q, p = (F.softmax(x / temperature, 1) for x in (student_logits, teacher_logits.detach()))
    return temperature**2 * (p * ((p + 1e-8).log() - (q + 1e-8).log())).sum(1).mean()


def factor_on_the_wrong_side(student_logits, teacher_logits, *, temperature):
    return by_distributions(student_logits, teacher_logits, temperature=temperature) / temperature**2


# --- 8.3, a teacher's outputs


def in_small_batches(teacher, images, *, kind="logits"):
    out = []
    with eval_mode(teacher), torch.no_grad():
        for k in range(0, len(images), 32):
            out.append(teacher(images[k : k + 32]))
    z = torch.cat(out)
    return {"logits": z, "probabilities": z.softmax(-1), "one_hot": (z == z.max(1, keepdim=True)[0]).float()}[kind]


def eval_without_return(teacher, images, *, kind="logits"):
    teacher.eval()
    z = teacher(images).detach()
    return {"logits": z, "probabilities": z.softmax(-1), "one_hot": F.one_hot(z.argmax(1), z.shape[1]).float()}[kind]


def eval_then_train(teacher, images, *, kind="logits"):
    teacher.eval()
    z = evaluation.predict(teacher, images)
    teacher.train()
    return {"logits": z, "probabilities": z.softmax(-1), "one_hot": F.one_hot(z.argmax(1), z.shape[1]).float()}[kind]


def centered_logits(teacher, images, *, kind="logits"):
    z = evaluation.predict(teacher, images)
    forms = {"probabilities": z.softmax(-1), "one_hot": F.one_hot(z.argmax(1), z.shape[1]).float()}
    return forms.get(kind, z - z.mean(1, keepdim=True))


def labels_alone(teacher, images, *, kind="logits"):
    z = evaluation.predict(teacher, images)
    return {"logits": z, "probabilities": z.softmax(-1), "one_hot": z.argmax(1)}[kind]


# --- 8.4, k-means


def by_sklearn(features, centers):
    clusters = torch.from_numpy(pairwise_distances_argmin(features.numpy(), centers.numpy()).astype(np.int64))
    new = [features[clusters == k].mean(0) if (clusters == k).any() else centers[k] for k in range(len(centers))]
    return clusters, torch.stack(new)


def nan_repaired(features, centers):
    clusters = ((features[:, None] - centers) ** 2).sum(2).argmin(1)
    new = torch.stack([features[clusters == k].mean(0) for k in range(len(centers))])
    return clusters, torch.where(new.isnan(), centers, new)


def random_image_for_the_empty(features, centers):
    clusters, new = nan_repaired(features, centers)
    for k in range(len(centers)):
        if not (clusters == k).any():
            new[k] = features[0]
    return clusters, new


def one_too_many(features, centers):
    clusters, _ = nan_repaired(features, centers)
    sums = torch.zeros_like(centers).index_add(0, clusters, features)
    return clusters, sums / (clusters.bincount(minlength=len(centers)) + 1)[:, None]


def into_the_argument(features, centers):
    clusters, new = nan_repaired(features, centers)
    centers.copy_(new)
    return clusters, centers


def of_first_dimension(features, centers):
    return (features[:, :1] - centers[:, 0]).abs().argmin(1), nan_repaired(features, centers)[1]


# --- 8.5, clusters and classes


def by_confusion(clusters, labels):
    table = confusion_matrix(labels.numpy(), clusters.numpy())
    rows, columns = linear_sum_assignment(-table)
    return table[rows, columns].sum().item() / table.sum().item()


def first_come(clusters, labels):
    taken, right = set(), 0
    for k in clusters.unique():
        counts = labels[clusters == k].bincount()
        for c in counts.argsort(descending=True).tolist():
            if c not in taken:
                taken.add(c)
                right += int(counts[c])
                break
    return right / len(labels)


def sorted_numbers(clusters, labels):
    a, b = (x.unique(return_inverse=True)[1] for x in (clusters, labels))
    return (a == b).float().mean().item()


def most_frequent(clusters, labels):
    return sum(labels[clusters == k].bincount().max().item() for k in clusters.unique()) / len(labels)


# --- 8.6, a round


def by_a_sampler(encoder, images, num_clusters, *, cluster, train, generator):
    with eval_mode(encoder), torch.no_grad():
        assigned = cluster(encoder(images), num_clusters)
    counts = assigned.bincount(minlength=num_clusters).double()
    sampler = torch.utils.data.WeightedRandomSampler(1 / counts[assigned], len(images), generator=generator)
    index = torch.tensor(list(sampler))
    model = Classifier(encoder, num_clusters, generator=generator)
    train(model, images[index], assigned[index])
    return model, assigned


def equal_parts(encoder, images, num_clusters, *, cluster, train, generator):
    assigned = cluster(evaluation.extract_features(encoder, images), num_clusters)
    model = Classifier(encoder, num_clusters, generator=generator)
    wanted = torch.arange(len(images)) % num_clusters
    index = torch.empty_like(wanted)
    for k in range(num_clusters):
        own = torch.where(assigned == k)[0]
        index[wanted == k] = own[torch.randint(len(own), (int((wanted == k).sum()),), generator=generator)]
    train(model, images[index], assigned[index])
    return model, assigned


def global_head(encoder, images, num_clusters, *, cluster, train, generator):
    assigned = cluster(evaluation.extract_features(encoder, images), num_clusters)
    model = nn.Sequential(encoder, nn.Linear(encoder.feature_dim, num_clusters))
    index = torch.multinomial(1 / assigned.bincount()[assigned], len(images), True, generator=generator)
    train(model, images[index], assigned[index])
    return model, assigned


def two_draws(encoder, images, num_clusters, *, cluster, train, generator):
    assigned = cluster(evaluation.extract_features(encoder, images), num_clusters)
    model = Classifier(encoder, num_clusters, generator=generator)
    weights = 1 / assigned.bincount()[assigned]
    index, other = (torch.multinomial(weights, len(images), True, generator=generator) for _ in range(2))
    train(model, images[index], assigned[other])
    return model, assigned


def clusters_of_a_sample(encoder, images, num_clusters, *, cluster, train, generator):
    order = torch.randperm(len(images), generator=generator)
    assigned = cluster(evaluation.extract_features(encoder, images[order]), num_clusters)
    model = Classifier(encoder, num_clusters, generator=generator)
    index = torch.multinomial(1 / assigned.bincount()[assigned], len(images), True, generator=generator)
    train(model, images[order][index], assigned[index])
    return model, assigned


def every_image_once(encoder, images, num_clusters, *, cluster, train, generator):
    assigned = cluster(evaluation.extract_features(encoder, images), num_clusters)
    model = Classifier(encoder, num_clusters, generator=generator)
    order = torch.randperm(len(images), generator=generator)
    train(model, images[order], assigned[order])
    return model, assigned


# --- 8.7, the score


def by_numpy(features, labels, *, shrinkage=0.1):
    f = features.numpy().astype(np.float64)
    f = f - f.mean(axis=0)
    g = np.zeros_like(f)
    for k in np.unique(labels.numpy()):
        g[labels.numpy() == k] = f[labels.numpy() == k].mean(axis=0)
    cov = np.cov(f, rowvar=False, bias=True)
    cov = (1 - shrinkage) * cov + shrinkage * np.trace(cov) / len(cov) * np.eye(len(cov))
    return float(np.trace(np.linalg.inv(cov) @ np.cov(g, rowvar=False, bias=True)))


def by_between_loop(features, labels, *, shrinkage=0.1):
    f, total = features.double(), 0.0
    cov = torch.cov(f.T, correction=0)
    d = f.shape[1]
    inverse = torch.linalg.pinv((1 - shrinkage) * cov + shrinkage * cov.diagonal().mean() * torch.eye(d).double())
    for k in labels.unique():
        gap = f[labels == k].mean(0) - f.mean(0)
        total += float((labels == k).double().mean() * (gap @ inverse @ gap))
    return total


def two_corrections(features, labels, *, shrinkage=0.1):
    f = features.double() - features.double().mean(0)
    g = torch.stack([f[labels == k].mean(0) for k in labels])
    cov = torch.cov(f.T)
    cov = (1 - shrinkage) * cov + shrinkage * cov.trace() / len(cov) * torch.eye(len(cov)).double()
    return float(torch.linalg.solve(cov, g.T @ g / len(g)).trace())


def shrunk_to_the_diagonal(features, labels, *, shrinkage=0.1):
    f = features.double() - features.double().mean(0)
    g = torch.stack([f[labels == k].mean(0) for k in labels])
    cov = f.T @ f / len(f)
    cov = (1 - shrinkage) * cov + shrinkage * cov.diagonal().diag() + 1e-9 * torch.eye(len(cov)).double()
    return float(torch.linalg.solve(cov, g.T @ g / len(g)).trace())


def default_only(features, labels, *, shrinkage=0.1):
    return by_numpy(features, labels)


RIGHT = {
    "distillation_loss": [difference_of_cross_entropies],
    "teacher_features": [in_small_batches],
    "kmeans_step": [by_sklearn, nan_repaired],
    "cluster_accuracy": [by_confusion],
    "cluster_round": [by_a_sampler, equal_parts],
    "h_score": [by_numpy, by_between_loop],
}
# The sentence that a wrong answer is told; None where only the values are shown.
WRONG = {
    "distillation_loss": {
        by_distributions: "log_of_softmax",  # whose divergence is infinite where a probability rounds to 0
        half_of_it: None, mean_without_a_batch: "mean_over_classes", reversed_divergence: "arguments_exchanged",
        jensen_shannon: None, with_epsilon: "log_of_softmax", factor_on_the_wrong_side: "t_squared_forgotten",
    },
    "teacher_features": {
        eval_without_return: "gradients_recorded", eval_then_train: "put_into_train_mode", centered_logits: None,
        labels_alone: "predicted_numbers",
    },
    "kmeans_step": {random_image_for_the_empty: None, one_too_many: None, of_first_dimension: None},
    "cluster_accuracy": {first_come: None, sorted_numbers: "not_matched", most_frequent: "majority"},
    "cluster_round": {
        global_head: "global_generator", two_draws: "not_paired", clusters_of_a_sample: None,
        every_image_once: "not_balanced",
    },
    "h_score": {two_corrections: None, shrunk_to_the_diagonal: None, default_only: "shrinkage_fixed"},
}  # fmt: skip
test_another_right_answer_has_full_points, test_another_wrong_answer_loses_points_and_is_told_why = answers_tested(
    RIGHT, WRONG
)


def test_an_answer_that_writes_into_the_centers_is_told():
    exercise = exercise_named("kmeans_step")
    result = check(exercise, into_the_argument, seed=0)
    assert result.state == "wrong" and "`centers`" in result.message.render()
