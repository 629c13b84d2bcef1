# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Teachers and clusters: targets that are not labels
#
# *A network can learn from another network's outputs, or from clusters of its own features. How good can a student
# become that never sees a label, and where does the gain come from?*
#
# **You will** write the distillation loss and a check of it, use a teacher's outputs as features, cluster features by
# k-means, match clusters with classes, train a network on its own clusters, and score encoders. **You will measure**
# when the temperature matters, and whether new clusters in each round improve the features.
#
# **You need** the KL divergence (unit 02), rotation as a pretext task (unit 04), pseudo-labels (unit 07), and
# covariances ([chapter 3 of the Deep Learning book](https://www.deeplearningbook.org/contents/prob.html)).
#
# **Time**: about 2.5 hours in two sittings, with a natural break after section 4. The computer needs 6 minutes of it.
# *Recorded* numbers are mean ± standard deviation over three seeds.

# %% [markdown]
# **Warm up** with two questions from earlier units.
#
# <details><summary>1. (Unit 02) Is KL(p || q) the same as KL(q || p)?</summary> No. KL(p || q) weights the difference
# of the logarithms with p, so it is large where p is large and q is small.</details>
#
# <details><summary>2. (Unit 04) What does a linear probe train, and what stays as it is?</summary> A linear classifier
# on features. The encoder is frozen, in eval mode.</details>

# %% tags=["setup"]
import copy

import torch
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import kmeans_plusplus
from torch import nn
from torch.nn import functional as F

from course_lib import evaluation, plots, protocol, settings, widgets
from course_lib.data import Batches, augment
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import Classifier, ConvEncoder
from course_lib.training import fit

check = checks_for("08_teachers")
predict = predictions_for("08_teachers")

# %% tags=["setup"]
data = protocol.setting(settings.dataset_name(), 0)  # the images of the course's table
test, num_classes, names = data.test, data.num_classes, data.train.class_names
outside = torch.ones(len(data.train), dtype=torch.bool)
outside[data.split(1).validation] = False
pool, hidden = data.pool, data.train.labels[outside]  # (N, C, H, W) and their classes


def new_network(classes, seed):
    generator = torch.Generator().manual_seed(seed)
    encoder = ConvEncoder(pool.shape[1], generator=generator)
    return Classifier(encoder, classes, generator=generator)


def train(network, images, targets, loss, *, steps, title):
    options = {"shuffle": True, "generator": torch.Generator().manual_seed(0)}
    options |= {"batch_size": min(64, len(images)), "augment": augment.random_shift}
    batches = Batches(images, targets, **options)
    steps = settings.by_profile(smoke=2, laptop=steps, full=4 * steps)
    fit(
        network, batches, lambda network, batch: loss(network(batch[0]), batch[1]),
        steps=steps, lr=3e-3, label=title, on_step=plots.live_curve(steps, title=title),
    )  # fmt: skip
    return network

# %% tags=["setup"]
def whiten(features):
    x = features - features.mean(dim=0)
    _, sizes, directions = torch.linalg.svd(x, full_matrices=False)
    dims = min(32, len(sizes))
    return F.normalize(x @ directions[:dims].T / (sizes[:dims] + 1e-6), dim=1)


def k_means(step, prepare=whiten):
    """A function of features and k: the best of three starts, fifty steps each."""

    def cluster(features, k):
        x, found = prepare(features.float()), []
        for seed in range(3):
            centers, _ = kmeans_plusplus(x.numpy(), k, random_state=seed)
            centers = torch.from_numpy(centers)
            for _ in range(50):
                clusters, centers = step(x, centers)
            found.append((float(((x - centers[clusters]) ** 2).sum()), seed, clusters))
        return min(found)[2]

    return cluster


def standardize(features):
    x = features - features.mean(dim=0)
    return F.normalize(x / (features.std(dim=0) + 1e-6), dim=1)

# %% tags=["setup"]
labeled = data.few(settings.by_profile(smoke=2, laptop=10, full=10))


def learner(rounds):
    rng = torch.Generator().manual_seed(0)
    steps = settings.by_profile(smoke=2, laptop=120, full=480)

    def learn(model, images, labels):
        options = {"shuffle": True, "generator": rng, "augment": protocol.contrasted}
        batches = Batches(images, labels, batch_size=min(64, len(images)), **options)
        options = {"lr": 2e-3, "schedule": "constant", "label": f"{rounds} round(s)"}
        fit(model, batches, steps=rounds * steps, **options)

    return learn


def probe(encoder: nn.Module):
    sets = (evaluation.extract_features(encoder, x.images) for x in (labeled, test))
    x, test_x = sets
    return evaluation.probe_accuracy(x, labeled.labels, test_x, test.labels)

# %% [markdown]
# ## 1. What does a network know besides its answer?
#
# Until now a target was a label, a part of the image itself, or a confident prediction. Now it is the output of another
# network, the *teacher*. Here the teacher is trained on all labels of the pool. In practice it is a large network,
# several networks together, or a network whose training images are no longer available.
#
# Below the training curve you see the teacher's probabilities for single images. Most of them are close to 0. Dividing
# the logits by a *temperature* above 1 before the softmax makes the small probabilities visible. Choose an image, raise
# the temperature, and look at the second and third class.

# %% tags=["train"]
title = "the teacher"
teacher = train(
    new_network(num_classes, 0), pool, hidden, F.cross_entropy, steps=600, title=title
)
teacher_logits = evaluation.predict(teacher, pool).float()  # (N, K)
print(f"test accuracy of the teacher: {evaluation.accuracy_on(teacher, test):.1%}")
shown = evaluation.predict(teacher, test.images[:30])
title = "What the teacher knows"
widgets.temperature_explorer(
    test.images[:30], shown, class_names=names, title=title, start=4.0
)

# %% [markdown]
# The classes in second place often look similar to the image. A label does not show this, and the teacher's
# probabilities do. Hinton et al. (2015) call it *dark knowledge*.
#
# A *student* of the same size now sees the pool without any label, only with the teacher's outputs. The teacher is
# right for {{ result("distillation", "teacher") | pm(percent=true, digits=1) }} of the test images (recorded).
# **Predict** the test accuracy of this student.

# %% tags=["predict"]
predict.student(...)  # between 0 and 1

# %% [markdown]
# ## 2. The distillation loss
#
# With logits $z$ the *softened* probabilities are $\mathrm{softmax}(z / T)$. The teacher's are $p$, the student's are
# $q$. The loss of $N$ images is
#
# $$L = T^2 \, \frac1N \sum_{n=1}^N \mathrm{KL}(p_n \,\|\, q_n) = T^2 \, \frac1N \sum_{n=1}^N \sum_{k=1}^K p_{nk}
# \,(\log p_{nk} - \log q_{nk})$$
#
# The teacher is the target, so $p$ weights the logarithms, and no gradient reaches the teacher.

# %% tags=["demo"]
plots.show(plots.diagram_distillation())

# %% [markdown]
# Why the factor? The gradient of the divergence at a student's logit is $(q_k - p_k) / T$. At high temperatures the
# difference $q_k - p_k$ itself is about proportional to $1 / T$. So the gradient shrinks with $1 / T^2$, and the factor
# restores its size.
#
# ### Exercise 8.1: distillation_loss (core, 15 minutes)
#
# The check tries low and high temperatures and very large logits. It looks at both gradients.

# %% nbgrader={"grade_id": "distillation_loss", "solution": true}
def distillation_loss(student_logits, teacher_logits, *, temperature):
    """How far the student's softened probabilities are from the teacher's.

    Args:
        student_logits: (N, K) float tensor.
        teacher_logits: (N, K) float tensor; it is a target and gets no gradient.
        temperature: T, a number above 0, for both.

    Returns:
        A tensor with a single number: T squared times the mean over the images of
        KL(teacher || student). Exact for logits of any size.
    """
    ### BEGIN SOLUTION
    log_student = F.log_softmax(student_logits / temperature, dim=1)
    teacher = F.softmax(teacher_logits.detach() / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, teacher, reduction="batchmean")
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_distillation_loss", "grade": true}
check.distillation_loss(distillation_loss)

# %% [markdown]
# | recorded, size of the gradient at an untrained student's logits | T = 1 | T = 2 | T = 4 | T = 8 |
# |---|---:|---:|---:|---:|
# | with T squared | {{ result("distillation", "gradient@1").mean | num(2) }} | {{
# result("distillation", "gradient@2").mean | num(2) }} | {{ result("distillation", "gradient@4").mean | num(2) }} | {{
# result("distillation", "gradient@8").mean | num(2) }} |
# | T squared forgotten | {{ result("distillation", "plain_gradient@1").mean | num(2) }} | {{
# result("distillation", "plain_gradient@2").mean | num(2) }} | {{
# result("distillation", "plain_gradient@4").mean | num(2) }} | {{
# result("distillation", "plain_gradient@8").mean | num(2) }} |
#
# The cross-entropy with labels has a gradient of {{ result("distillation", "label_gradient").mean | num(2) }} there.
# The second row is exactly $1 / T^2$ of the first. So if you add a cross-entropy with labels, a distillation loss
# without the factor hardly counts at $T = 8$. Adam divides by the size of the gradient. Therefore it hides the mistake
# where no other loss is added.
#
# ### Exercise 8.2: distillation_loss_check (core, 12 minutes)
#
# A wrong loss rarely stops with an error. So write a check of Exercise 8.1.

# %% [markdown]
# Your check is given a function, `candidate`. Call it on logits of your choice, and `assert` what the loss must be.
#
# **What is tried.** Your check gets four right functions and twenty-four wrong ones, the known mistakes of Exercise
# 8.1, in random order. Call each as `candidate(student_logits, teacher_logits, temperature=T)` with float32 tensors.
# Most wrong functions return another value, some of them only at some temperatures or for large logits. Others
# return another type or shape, send a gradient to the teacher, or send none to the student.
#
# **Points.** If your check stops a right function, it earns nothing. Otherwise the points are given by the share of
# wrong functions that it stops with an error. What it returns or prints does not count.

# %% nbgrader={"grade_id": "distillation_loss_check", "solution": true}
def distillation_loss_check(candidate):
    """Raises an error if `candidate` is not a right `distillation_loss`.

    Args:
        candidate: a function of student_logits (N, K), teacher_logits (N, K) and
            temperature.
    """
    ### BEGIN SOLUTION
    student = torch.tensor([[1.0, -2.0, 0.5], [700.0, -300.0, 10.0]]).requires_grad_()
    teacher = torch.tensor([[0.0, 2.0, -1.0], [-500.0, 200.0, 400.0]]).requires_grad_()
    loss = candidate(student, teacher, temperature=3.0)
    log_q, log_p = (F.log_softmax(x.detach() / 3.0, dim=1) for x in (student, teacher))
    expected = float(9 * (log_p.exp() * (log_p - log_q)).sum(dim=1).mean())
    assert loss.ndim == 0, "one number is asked for"
    assert abs(loss.item() - expected) < 1e-3 * expected, f"{loss} is not {expected}"
    loss.backward()
    assert student.grad is not None and student.grad.any(), "no gradient"
    assert teacher.grad is None or not teacher.grad.any(), "the teacher learns too"
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_distillation_loss_check", "grade": true}
check.distillation_loss_check(distillation_loss_check)

# %% [markdown]
# ## 3. A student without labels, and one that never saw a class
#
# Now train the student on the pool, which is its *transfer set*. The teacher's outputs are the targets.

# %% tags=["train"]
check.needs("distillation_loss")


def soft(temperature):
    return lambda mine, its: distillation_loss(mine, its, temperature=temperature)


student = train(
    new_network(num_classes, 100), pool, teacher_logits, soft(1.0), steps=600,
    title="the student",
)  # fmt: skip
predict.student.compare(evaluation.accuracy_on(student, test))

# %% [markdown]
# | recorded, test accuracy | |
# |---|---:|
# | teacher, all labels | {{ result("distillation", "teacher") | pm(percent=true, digits=1) }} |
# | student, hard targets (the predicted classes) | {{ result("distillation", "hard") | pm(percent=true, digits=1) }} |
# | student, soft targets (probabilities), T = 1 | {{ result("distillation", "t1") | pm(percent=true, digits=1) }} |
# | student, soft targets, T = 4 | {{ result("distillation", "t4") | pm(percent=true, digits=1) }} |
#
# With hard targets or at $T = 1$ the student is within a point of its teacher. A high temperature gains nothing
# here. So where does dark knowledge help? Take all images of one class out of the transfer set, so that the student
# never sees this class. Its probability of the class can still be a score that detects the class among the test
# images. **Predict** the AUROC of this score (unit 01) at $T = 4$.

# %% tags=["predict"]
predict.unseen(...)  # 0.5 is chance, 1 is perfect

# %% tags=["train"]
check.needs("distillation_loss")
missing = 7 * num_classes // 10  # of the glyphs it is the fish
kept, is_missing = hidden != missing, test.labels == missing
for t in (1.0, 4.0):
    network = train(
        new_network(num_classes, 100), pool[kept], teacher_logits[kept], soft(t),
        steps=300, title=f"T = {t:g}, without {names[missing]}",
    )  # fmt: skip
    logits = evaluation.predict(network, test.images).float()
    found = evaluation.auroc(logits.log_softmax(dim=1)[:, missing], is_missing)
    called = (logits.argmax(dim=1) == missing)[is_missing].float().mean()
    print(f"T = {t:g}: AUROC of {names[missing]} {found:.2f}, predicted {called:.0%}")
predict.unseen.compare(found)

# %% [markdown]
# | recorded, the student's targets | AUROC of the unseen class | its recall | its recall with a higher bias |
# |---|---:|---:|---:|
# | hard | {{ result("missing_class", "hard_auroc") | pm }} | {{ result("missing_class", "hard_predicted") |
# pm(percent=true) }} | {{ result("missing_class", "hard_recall") | pm(percent=true) }} |
# | soft, T = 1 | {{ result("missing_class", "t1_auroc") | pm }} | {{ result("missing_class", "t1_predicted") |
# pm(percent=true) }} | {{ result("missing_class", "t1_recall") | pm(percent=true) }} |
# | soft, T = 4 | {{ result("missing_class", "t4_auroc") | pm }} | {{ result("missing_class", "t4_predicted") |
# pm(percent=true) }} | {{ result("missing_class", "t4_recall") | pm(percent=true) }} |
#
# No student predicts the class, because its logit is always low. But the logit is higher for images of this class than
# for other images, and the AUROC rises with the temperature, {{
# every_seed("hard_auroc < t1_auroc, t1_auroc < t4_auroc", "missing_class") }}. For the last column we raise the bias of
# the class until it is predicted as often as it occurs. So the student learned about this class from the teacher's
# probabilities for images of other classes. On digits the AUROC rises too, {{
# every_seed("hard_auroc < t1_auroc, t1_auroc < t4_auroc", "missing_class", dataset="digits") }}.

# %% [markdown]
# ## 4. A teacher of other classes
#
# A teacher can also help with classes that it does not know. Train it on the first six of ten classes, and then
# classify images of the other four, with five labels each. The teacher's outputs are the *input features* of a new
# classifier. Which form of them is best: logits, probabilities, or the predicted class as a one-hot vector?
#
# ### Exercise 8.3: teacher_features (warm-up, 10 minutes)
#
# `evaluation.predict(teacher, images)` may be used. It runs in eval mode, without gradients, and restores all modes.

# %% nbgrader={"grade_id": "teacher_features", "solution": true}
def teacher_features(teacher, images, *, kind="logits"):
    """A teacher's outputs as features.

    Args:
        teacher: an nn.Module, (N, C, H, W) images to (N, K) logits. It is used in eval
            mode and without gradients; afterwards it is as it was, modes included.
        images: (N, C, H, W) float tensor.
        kind: "logits", "probabilities", or "one_hot" with 1 at the predicted class.

    Returns:
        (N, K) float tensor without a gradient, row n for image n.
    """
    ### BEGIN SOLUTION
    logits = evaluation.predict(teacher, images)
    if kind == "probabilities":
        return logits.softmax(dim=1)
    if kind == "one_hot":
        return F.one_hot(logits.argmax(dim=1), logits.shape[1]).float()
    return logits
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_teacher_features", "grade": true}
check.teacher_features(teacher_features)

# %% [markdown]
# The teacher of some classes is trained here, and then a linear probe on each kind of its outputs.

# %% tags=["train"]
check.needs("teacher_features")
known = 6 * num_classes // 10
old = hidden < known
other = train(
    new_network(known, 0), pool[old], hidden[old], F.cross_entropy, steps=600,
    title="a teacher of some classes",
)  # fmt: skip
few = data.few(settings.by_profile(smoke=2, laptop=5, full=5))
few = few.subset((few.labels >= known).nonzero().squeeze(1))
new = test.subset((test.labels >= known).nonzero().squeeze(1))
for kind in ("logits", "probabilities", "one_hot"):
    x, new_x = (teacher_features(other, part.images, kind=kind) for part in (few, new))
    score = evaluation.probe_accuracy(x, few.labels, new_x, new.labels)
    print(f"probe on {kind:14} {score:.0%}")

# %% [markdown]
# | recorded, five labels for each of the new classes | test accuracy |
# |---|---:|
# | probe on the logits | {{ result("features", "logits@5") | pm(percent=true) }} |
# | probe on the probabilities | {{ result("features", "probabilities@5") | pm(percent=true) }} |
# | probe on the one-hot predicted class | {{ result("features", "one_hot@5") | pm(percent=true) }} |
# | probe on the teacher's last block | {{ result("features", "block3@5") | pm(percent=true) }} |
# | a network from scratch | {{ result("features", "scratch@5") | pm(percent=true) }} |
# | the teacher's encoder, fine-tuned | {{ result("features", "finetuned@5") | pm(percent=true) }} |
#
# Logits are better than probabilities, and probabilities are better than one-hot classes, {{
# every_seed("logits@5 > probabilities@5, probabilities@5 > one_hot@5", "features") }}. Logits are also better than both
# networks in the last two rows, {{ every_seed("logits@5 > scratch@5, logits@5 > finetuned@5", "features") }}. So a
# model
# is useful for new classes even where only its logits are available.
#
# *A natural break.*

# %% [markdown]
# ## 5. Clusters instead of a teacher
#
# Without a teacher, structure in the features can serve as targets. *K-means* looks for $k$ centers such that the sum
# of squared distances of each image's features to the nearest center is small. It repeats two halves of a step. First
# assign each image to its nearest center. Then move each center to the mean of its images.
#
# ### Exercise 8.4: kmeans_step (core, 12 minutes)
#
# The check tries centers that get no image, and features of different scales.

# %% nbgrader={"grade_id": "kmeans_step", "solution": true}
def kmeans_step(features, centers):
    """One step of k-means.

    Args:
        features: (N, d) float tensor.
        centers: (k, d) float tensor; it is not changed.

    Returns:
        clusters: (N,) int64, for each image the number of its nearest center in
            `centers`, by Euclidean distance.
        new_centers: (k, d), the mean of each cluster's features; a center without
            images stays where it is.
    """
    ### BEGIN SOLUTION
    clusters = torch.cdist(features, centers).argmin(dim=1)  # (N, k) -> (N,)
    new_centers = centers.clone()
    for k in clusters.unique():
        new_centers[k] = features[clusters == k].mean(dim=0)
    return clusters, new_centers
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_kmeans_step", "grade": true}
check.kmeans_step(kmeans_step)

# %% [markdown]
# How good are clusters? Their numbers mean nothing: cluster 3 need not be class 3. Therefore first match clusters and
# classes one to one, such that as many images as possible are in matched pairs. This uses all labels, so it is a
# measure
# and not a method for few labels. The *Hungarian algorithm* finds the matching. `linear_sum_assignment(table)`
# returns its rows and columns for the smallest sum, and for the largest with
# `maximize=True`.
#
# ### Exercise 8.5: cluster_accuracy (core, 12 minutes)

# %% nbgrader={"grade_id": "cluster_accuracy", "solution": true}
def cluster_accuracy(clusters, labels):
    """The share of images in matched pairs of a cluster and a class.

    Args:
        clusters: (N,) int64 on the CPU, numbers from 0, perhaps with gaps.
        labels: (N,) int64, the same; there may be more or fewer classes than clusters.

    Returns:
        A Python float from 0 to 1. No cluster and no class is in two pairs.
    """
    ### BEGIN SOLUTION
    size = int(max(clusters.max(), labels.max())) + 1
    pairs = torch.bincount(clusters * size + labels, minlength=size**2)
    table = pairs.reshape(size, size).numpy()  # row = cluster, column = class
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum() / len(labels))
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_cluster_accuracy", "grade": true}
check.cluster_accuracy(cluster_accuracy)

# %% [markdown]
# K-means treats a feature of large variance as important, and correlated features count several times. So
# features are *whitened* first: `whiten` rotates them to uncorrelated directions of variance 1 and keeps 32 of them.
# It also divides each row by its norm. `k_means` (both are in the setup) repeats your step from three starts and keeps
# the clusters with the smallest sum.
#
# The encoder has learned to predict rotations, as in unit 04. The cell compares whitened features with features that
# only have mean 0 and variance 1 each, and shows eight images of some clusters. **Predict** the share of images in
# matched clusters.

# %% tags=["predict"]
predict.clusters(...)  # between 0 and 1

# %% tags=["train"]
check.needs("kmeans_step", "cluster_accuracy")
encoder = protocol.rotation_encoder(settings.dataset_name(), 0)  # two minutes
cluster, without = k_means(kmeans_step), k_means(kmeans_step, standardize)
features = evaluation.extract_features(encoder, pool)  # (N, d)
clusters, plain = cluster(features, num_classes), without(features, num_classes)
print(f"whitened {cluster_accuracy(clusters, hidden):.2f}")
print(f"standardized only {cluster_accuracy(plain, hidden):.2f}")
chosen = [(clusters == k).nonzero()[:8, 0] for k in range(min(4, num_classes))]
plots.show(plots.image_grid(
    pool[torch.cat(chosen)], columns=8, title="Four clusters of rotation features",
    alt="Four rows of eight images. Some rows show one shape, others mix several.",
))  # fmt: skip
predict.clusters.compare(cluster_accuracy(clusters, hidden))

# %% [markdown]
# | recorded, images in matched clusters | whitened | standardized only |
# |---|---:|---:|
# | pixels | {{ result("clusters", "pixels") | pm(percent=true) }} | {{
# result("clusters", "standardized_pixels") | pm(percent=true) }} |
# | encoder with random weights | {{ result("clusters", "random") | pm(percent=true) }} | {{
# result("clusters", "standardized_random") | pm(percent=true) }} |
# | rotation (unit 04) | {{ result("clusters", "rotation") | pm(percent=true) }} | {{
# result("clusters", "standardized_rotation") | pm(percent=true) }} |
# | SimCLR (unit 05) | {{ result("clusters", "contrastive") | pm(percent=true) }} | {{
# result("clusters", "standardized_contrastive") | pm(percent=true) }} |
#
# Each row of the picture is a cluster. Some clusters hold one class, others mix shapes that look alike.
#
# Pretrained features have better clusters than pixels, {{
# every_seed("rotation > pixels, contrastive > pixels", "clusters") }}. SimCLR has a higher mean than rotation, but the
# seeds disagree. Without whitening much of this is lost, {{
# every_seed("rotation > standardized_rotation, contrastive > standardized_contrastive", "clusters") }}. Clusters of
# random weights are worse than those of pixels, {{ every_seed("random < pixels", "clusters") }}, so they are a poor
# start.
#
# ## 6. Train on clusters as if they were classes
#
# DeepCluster (Caron et al. 2018) trains the encoder to predict its own clusters from augmented views, clusters the new
# features, and so on.

# %% tags=["demo"]
plots.show(plots.diagram_cluster_round())

# %% [markdown]
# Two details matter. Each round numbers its clusters anew, so the head of the round before would begin with wrong
# predictions. Therefore the head is new. And a network that puts most images into one large cluster is often right, so
# each cluster is drawn equally often: an image of a cluster with $n$ images has the weight $1 / n$.
#
# ### Exercise 8.6: cluster_round (hard, 30 minutes)
#
# - `cluster(features, num_clusters)` returns the cluster of each row, `(N,)` int64.
# - `train(model, images, labels)` trains a model in place, and chooses mode and views by itself.
# - All random numbers, the head's first weights included, come from `generator`.
#
# The check calls two rounds, and looks at what it gives to `cluster` and `train`. **The number to reach** comes below:
# a probe of {{ result("rounds", "rounds_probe@1").mean | pct }} with ten labels per class after a round, and {{
# result("rounds", "rounds_probe@5").mean | pct }} after five.

# %% nbgrader={"grade_id": "cluster_round", "solution": true}
def cluster_round(encoder, images, num_clusters, *, cluster, train, generator):
    """A round of DeepCluster.

    Args:
        encoder: nn.Module, images (N, C, H, W) to features (N, d), with `feature_dim`
            d. Its features are computed in eval mode and without gradients.
        images: (N, C, H, W) tensor on the CPU.
        num_clusters: k.
        cluster, train: functions, see above; each is called once.
        generator: CPU torch.Generator.

    Returns:
        model: `encoder` itself, then a new nn.Linear with k outputs, trained on N
            images that are drawn with replacement, each cluster equally often.
        clusters: (N,) int64, those of all images, in their order.
    """
    ### BEGIN SOLUTION
    features = evaluation.extract_features(encoder, images)  # (N, d)
    clusters = cluster(features, num_clusters)
    model = Classifier(encoder, num_clusters, generator=generator)
    weights = 1 / torch.bincount(clusters)[clusters]
    drawn = torch.multinomial(
        weights, len(images), replacement=True, generator=generator
    )
    train(model, images[drawn], clusters[drawn])
    return model, clusters
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_cluster_round", "grade": true}
check.cluster_round(cluster_round)

# %% [markdown]
# Now five rounds, and beside them the control: the clusters of the first round, kept for as many steps. The views are
# those of contrastive learning (shifts, rotations, mirror images, brightness, noise). A probe is trained on ten labels
# per class, which are used for nothing else. **Predict** how probable it is that new clusters in each round end with
# the better probe.

# %% tags=["predict"]
predict.rounds(...)  # how probable: 0 is no, 1 is yes

# %% tags=["train"]
check.needs("kmeans_step", "cluster_accuracy", "cluster_round")
begin, ends, history = probe(encoder), {}, []
for name, rounds, each in (("new clusters", 5, 1), ("fixed clusters", 1, 5)):
    network, rng = copy.deepcopy(encoder), torch.Generator().manual_seed(0)
    for _ in range(rounds):
        model, clusters = cluster_round(
            network, pool, num_classes, cluster=cluster, train=learner(each),
            generator=rng,
        )  # fmt: skip
        if name == "new clusters":
            history.append((copy.deepcopy(model), clusters))
    ends[name] = probe(network)
    print(f"{name:15} probe {begin:.1%} before, {ends[name]:.1%} afterwards")
guessed = evaluation.predict(model, pool).argmax(dim=1)
print(f"the fixed clusters match the classes: {cluster_accuracy(clusters, hidden):.1%}")
print(f"the network's predictions: {cluster_accuracy(guessed, hidden):.1%}")
predict.rounds.compare()

# %% [markdown]
# {{ figures_table({"new clusters in each round": "rounds_probe", "clusters of the first round": "fixed_probe"}, (0, 1,
# 3, 5), "rounds", head="probe, rounds done") }}
#
# The probe rises with both targets, {{
# every_seed("rounds_probe@5 > rounds_probe@0, fixed_probe@5 > fixed_probe@0", "rounds") }}.
# The control ends within two points of the rounds. Therefore the rise is real, but new clusters are not its cause. Both
# have a target that is the same for all views of an image. This suggests that the views cause the rise.
#
# | recorded, images in matched pairs with classes | |
# |---|---:|
# | the fixed clusters that were the labels | {{ result("rounds", "its_labels") | pm(percent=true) }} |
# | predictions of the network that learned from them | {{ result("rounds", "pupil") | pm(percent=true) }} |
# | clusters of its features afterwards | {{ result("rounds", "fixed_clusters") | pm(percent=true) }} |
#
# The network agrees with the classes better than its labels do, {{ every_seed("pupil > its_labels", "rounds") }}. So
# errors in labels need not be learned.

# %% [markdown]
# ## 7. Which encoder should you start from?
#
# Many encoders are at hand, and fine-tuning all of them is expensive. A *score* rates an encoder from the features of
# the labeled images. Let $\Sigma$ be the covariance of the features, and $\Sigma_B$ that of the features with each row
# replaced by the mean of its class. The *H-score* (Bao et al. 2019) is large when classes lie apart in directions in
# which the features vary little:
#
# $$H = \operatorname{tr}(\tilde\Sigma^{-1} \Sigma_B), \qquad \tilde\Sigma = (1 - s) \, \Sigma + s \,
# \frac{\operatorname{tr} \Sigma}{d} \, I$$
#
# With few images $\Sigma$ can hardly be inverted, so it is *shrunk* towards a multiple of the identity.
#
# ### Exercise 8.7: h_score (hard, 15 minutes)

# %% nbgrader={"grade_id": "h_score", "solution": true}
def h_score(features, labels, *, shrinkage=0.1):
    """The H-score of features for the classes in `labels`.

    Args:
        features: (N, d) float tensor on the CPU; they need not be centered.
        labels: (N,) int64 classes, perhaps with gaps; each class counts with its
            number of images.
        shrinkage: s, from 0 to 1.

    Returns:
        A Python float. Both covariances divide by N; compute in float64.
    """
    ### BEGIN SOLUTION
    f = features.double() - features.double().mean(dim=0)
    means = torch.zeros_like(f)
    for k in labels.unique():
        means[labels == k] = f[labels == k].mean(dim=0)
    cov, between = f.T @ f / len(f), means.T @ means / len(f)  # (d, d)
    d = f.shape[1]
    cov = (1 - shrinkage) * cov
    cov += shrinkage * (f**2).mean() * torch.eye(d, dtype=f.dtype)
    return torch.linalg.solve(cov, between).trace().item()
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_h_score", "grade": true}
check.h_score(h_score)

# %% [markdown]
# Which encoder is the best start? The table has two ways to train. LP-FT (unit 06) trains first the head and then
# everything, and fine-tuning trains all layers at once.
#
# {{ figures_table({"LP-FT": "lp_ft", "fine-tuning": "finetuned"}, {"random weights": ":random", "rotation":
# ":rotation", "rotation, then its clusters": ":clusters", "SimCLR": ":contrastive"}, "sources",
# head="recorded test accuracy, ten labels per class") }}
#
# A score should find the same order at less cost. *LogME* (You et al. 2021) is a second score without training. It asks
# how probable the labels are under a Bayesian linear regression on the features. Two other scores use validation
# images. They are the accuracy of a probe, and the accuracy after only 60 steps of fine-tuning. **Predict** which of
# the four scores orders the encoders as fine-tuning does. Spearman's correlation compares two orders. It is 1 for the
# same order, and 0 for no relation.

# %% tags=["predict"]
predict.score(...)  # "H-score", "LogME", "probe" or "60 steps"

# %% tags=["demo"]
check.needs("kmeans_step", "cluster_accuracy", "cluster_round", "h_score")
encoders = {"random": data.first_weights(), "rotation": encoder, "clusters": network}
for name, one in encoders.items():
    x = evaluation.extract_features(one, labeled.images)
    scores = h_score(x, labeled.labels), evaluation.logme(x, labeled.labels)
    print(f"{name:9} H-score {scores[0]:.2f}, LogME {scores[1]:.2f}")
predict.score.compare()

# %% [markdown]
# | recorded, Spearman's correlation | order after LP-FT | order after fine-tuning | CPU seconds per encoder |
# |---|---:|---:|---:|
# | H-score | {{ result("sources", "rank:h_score:lp_ft") | pm }} | {{ result("sources", "rank:h_score:finetuned") | pm
# }} | {{ result("sources", "seconds:h_score").mean | num(3) }} |
# | LogME | {{ result("sources", "rank:logme:lp_ft") | pm }} | {{ result("sources", "rank:logme:finetuned") | pm }} | {{
# result("sources", "seconds:logme").mean | num(3) }} |
# | probe, validation images | {{ result("sources", "rank:probe:lp_ft") | pm }} | {{
# result("sources", "rank:probe:finetuned") | pm }} | {{ result("sources", "seconds:probe").mean | num(3) }} |
# | 60 steps of fine-tuning | {{ result("sources", "rank:short:lp_ft") | pm }} | {{
# result("sources", "rank:short:finetuned") | pm }} | {{ result("sources", "seconds:short").mean | num(1) }} |
# | fine-tuning itself | | | {{ result("sources", "seconds:finetuned").mean | num(1) }} |
#
# All four scores rate the best encoder highest. But the first three look at frozen features, and they rate SimCLR above
# rotation, while fine-tuning ends lower from SimCLR, {{
# every_seed("h_score:contrastive > h_score:rotation, logme:contrastive > logme:rotation,
# probe:contrastive > probe:rotation, finetuned:contrastive < finetuned:rotation", "sources") }}. The 60 steps
# also rate it lower, {{ every_seed("short:contrastive < short:rotation", "sources") }}. So use a score of what you will
# do.
#
# ## 8. When it fails: the numbers of clusters switch
#
# Take the clusters of the second round, and the network of the first round with its head. Nothing is trained here.

# %% tags=["demo"]
check.needs("kmeans_step", "cluster_accuracy", "cluster_round")
(model, before), (_, after) = history[:2]
logits = evaluation.predict(model, pool).float()
same = (before == after).float().mean()
print(f"same number as in the round before: {same:.0%}, chance {1 / num_classes:.0%}")
print(f"same cluster after matching: {cluster_accuracy(after, before):.0%}")
print(f"loss of the old head on its own clusters {F.cross_entropy(logits, before):.2f}")
print(f"on the new numbers {F.cross_entropy(logits, after):.2f}", end=", ")
print(f"of a head that guesses {torch.tensor(float(num_classes)).log():.2f}")
predict.summary()

# %% [markdown]
# | recorded, second round | |
# |---|---:|
# | images with the number of the round before | {{ result("rounds", "same@1") | pm(percent=true) }} |
# | images with the cluster of the round before, after matching | {{ result("rounds", "matched@1") | pm(percent=true) }}
# |
# | first loss with a new head | {{ result("rounds", "rounds_first_loss@2") | pm }} |
# | first loss with the head kept | {{ result("rounds", "kept_first_loss@2") | pm }} |
# | probe after two rounds, new head | {{ result("rounds", "rounds_probe@2") | pm(percent=true) }} |
# | probe after two rounds, head kept | {{ result("rounds", "kept_probe@2") | pm(percent=true) }} |
#
# Most images stay with the same neighbors, but the number of their cluster is another one. The old head is confident
# and wrong, so its first loss is above that of a new head, {{
# every_seed("kept_first_loss@2 > rounds_first_loss@2", "rounds") }}, and its gradients go into the encoder. After
# that round the probe is lower with the old head, {{ every_seed("rounds_probe@2 > kept_probe@2", "rounds") }}.

# %% [markdown] nbgrader={"grade_id": "missing_control", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A colleague trains an encoder by twenty rounds of DeepCluster. Their report says: "The
# probe rose from 55 to 80 percent, which shows that improving the clusters improves the features. Only 9 percent of the
# images keep their cluster from round to round, so the clusters are still unstable. Our encoder has the highest H-score
# of four, so we will fine-tune all of its layers." In five to seven sentences, say (a) which control is missing, and
# which result of it would contradict the first sentence, (b) what is wrong with the second sentence, and how to measure
# it instead, and (c) why the H-score does not decide the last one, and what you would do at little cost.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* The control is a network that trains for as many steps on the clusters of the first round, with
# the same views. If its probe also reaches 80 percent, better clusters are not the cause, and training on any fixed
# clusters of these features is enough. The 9 percent compares numbers of clusters, and k-means numbers them in a
# random order each time, so with ten clusters about 10 percent agree by chance. Match the clusters of two rounds one to
# one with the Hungarian algorithm and count the images in matched pairs. The H-score looks at frozen features, so it
# tells how good a linear classifier on them would be. Fine-tuning changes the features, and its order of encoders can
# be another one. I would fine-tune all four for some sixty steps and compare them on validation images.
#
# *Sample answer (2).* They should train on fixed clusters for the same number of steps and see if the probe is lower.
# Cluster numbers are arbitrary, so one has to match them first. The H-score is a good measure, but it has an error.
#
# *Sample answer (1).* They need more seeds. The clusters switch their labels, so the 9 percent mean nothing.
#
# *Rubric.* One point each. (a) names the control with fixed clusters AND equal steps, AND says that an equal probe
# contradicts. (b) numbers are arbitrary, or 9 percent is chance, AND a matching (Hungarian, or mutual information).
# (c) the score measures frozen features while fine-tuning changes them, AND a cheap test such as a short fine-tuning
# judged on validation images. Test images as judge earn no point for (c).
# ### END SOLUTION

# %% [markdown]
# ## 9. Quiz
#
# Ungraded. Answer first, then open. Your predictions are summed up above.
#
# <details><summary>1. T grows from 2 to 8, and T squared is forgotten. What happens to the gradient?</summary> It
# becomes about 16 times as small, since it falls with the square of T.</details>
#
# <details><summary>2. Two hundred clusters of 4,000 images have a purity of 95 percent. Is that good?</summary> You
# cannot tell. Purity rises with the number of clusters. The matching gives no class twice.</details>
#
# <details><summary>3. Why are logits better features than probabilities for new classes?</summary> The softmax keeps
# only differences to the largest logit that are not tiny. The other differences are information about a new
# class.</details>

# %% [markdown]
# ## Key takeaways
#
# - A student of its teacher's size that saw no label comes within a point of it.
# - The temperature matters where a class is missing from the student's images. With all classes a high one gains
#   nothing here.
# - The factor $T^2$ keeps the size of the gradient. Without it, a loss of labels outweighs the teacher.
# - Training on clusters of pretrained, whitened features improves the features. Clusters that stay fixed do as well, so
#   new clusters in each round are not the cause.
# - Match clusters before you compare them, make the head new, and choose an encoder by what you will do with it.

# %% [markdown]
# ## What became of it
#
# Distillation is how **large language models** become small: a student learns from the probabilities of a teacher, or
# from texts that it writes. There the teacher's texts are hard targets. **DINO** and similar vision models join both
# halves of this notebook: a student predicts soft cluster-like targets of a teacher, which is its own moving average.
#
# **Speech** models such as HuBERT learn by predicting clusters of audio frames, first of simple features and then of
# their own. In **medicine** a teacher's outputs can leave a hospital where images must not. In **finance**, clusters of
# customers have to be matched from month to month before anything is compared.

# %% [markdown]
# **Further reading.**
#
# - Hinton, Vinyals and Dean (2015), *Distilling the Knowledge in a Neural Network*: temperature, dark knowledge, and
#   the experiment with a digit that the student never saw.
# - Caron et al. (2018), *Deep Clustering for Unsupervised Learning of Visual Features*: the method of section 6, with
#   its ways to avoid trivial solutions.
# - Bao et al. (2019), *An Information-Theoretic Approach to Transferability in Task Transfer Learning*: where the
#   H-score comes from.
#
# **Challenge.** Train on fixed clusters for 600 steps and beat a probe of {{ result("rounds",
# "fixed_probe@5").mean | pct }} with ten labels per class. You may change features, clusters, views and weights.
#
# **Bonus.** (1) Take another class out of section 3. Which ones are found? (2) Cluster into 50. What happens to the
# probe? (3) Distill the teacher of section 4 into a student of half its width.
