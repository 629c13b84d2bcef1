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
# # Contrastive learning: two views of one image
#
# *Change each image of a batch twice, at random, and let a network find out which two views belong together. Are its
# features better than those of rotation, also when all weights are trained later? And what happens without the other
# images?*
#
# **You will** write the contrastive loss, SimCLR, a vote of nearest neighbors, and two losses that need no negatives.
# **You will measure** what the features are worth, which augmentation makes them, and how a network collapses.
#
# **You need** a pretext task and a probe (unit 04), [cosine
# similarity](https://pytorch.org/docs/stable/generated/torch.nn.functional.cosine_similarity.html), and
# [cross-entropy](https://pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html).
#
# **Time**: about 2 to 2.5 hours in two sittings, with a natural break after section 4. The computer needs 3 minutes of
# it. *Recorded* numbers are mean ± standard deviation over three seeds.

# %% [markdown]
# **Warm up** with two questions from earlier units.
#
# <details><summary>1. (Unit 04) A network predicts rotations almost perfectly, and its features are useless. How can
# that be?</summary> It uses a shortcut, a hint that solves the task and says nothing about the class.</details>
#
# <details><summary>2. (Unit 00) A network gives each of 128 classes the same probability. What is its
# cross-entropy?</summary> <code>log(128)</code>, almost 5.</details>

# %% tags=["setup"]
import math

import torch
from torch import nn
from torch.nn import functional as F

from course_lib import evaluation, plots, settings, widgets
from course_lib.data import Batches, as_float, augment, load, split_labels
from course_lib.evaluation import extract_features, probe_accuracy
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import ConvEncoder, eval_mode, seeded
from course_lib.training import fit, fit_classifier

# %% tags=["setup"]
check = checks_for("05_contrastive")
predict = predictions_for("05_contrastive")
data = load(n=settings.by_profile(smoke=600, laptop=8_000, full=8_000))
test = load(split="test", n=settings.by_profile(smoke=200, laptop=2_000, full=2_000))
device, channels = settings.device(), data.images.shape[1]
split = split_labels(
    data.labels, per_class=10, generator=torch.Generator().manual_seed(0)
)
few = data.subset(split.labeled)
pool = data.images[torch.cat([split.labeled, split.unlabeled])]
few_images, test_images = as_float(few.images), as_float(test.images)
print(f"{data.name}: {len(few)} images with a label, {len(pool):,} images without")

# %% [markdown]
# ## 1. What should a feature ignore?
#
# A shifted, tilted or darker house is still a house. We know this without a label, so we can teach it to a network
# without labels: the features of two *views* of an image should be similar. A view is the image after a random
# *augmentation*.
#
# The baselines are those of unit 04, with ten labels per class. From scratch with weak views the encoder reaches {{
# result("protocol", "scratch_weak@10").mean | pct }}. A probe on the frozen features after rotation reaches {{
# result("protocol", "rotation_frozen@10").mean | pct }}, and on random features {{ result("protocol",
# "random_frozen@10").mean | pct }}. Contrastive features have to beat them.
#
# ### Exercise 5.1: two_views (warm-up, 8 minutes)
#
# Row $n$ of both views must be image $n$, because the loss has no other label than this pairing. The check looks at the
# order of the rows, and at where the random numbers come from.

# %% nbgrader={"grade_id": "two_views", "solution": true}
def two_views(images, augment, *, generator):
    """Two augmented views of every image, drawn apart from each other.

    Args:
        images: (N, C, H, W) float tensor; it is not changed.
        augment: `augment(images, generator=generator)` returns a new tensor of the
            same shape, in which each image has been changed at random.
        generator: CPU torch.Generator that all random numbers come from.

    Returns:
        view1, view2: (N, C, H, W) each; row n of both is image n, augmented once.
    """
    ### BEGIN SOLUTION
    view1 = augment(images, generator=generator)
    view2 = augment(images, generator=generator)
    return view1, view2
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_two_views", "grade": true}
check.two_views(two_views)

# %% [markdown]
# `augmented` is the augmentation of this unit. It turns, moves and scales an image, mirrors it with probability one
# half, changes brightness and contrast, and adds noise. Can you still tell which views belong together?

# %% tags=["demo"]
check.needs("two_views")


def moved(x, *, generator):
    options = {"max_degrees": 25, "max_shift": 0.12, "scale": (0.8, 1.2)}
    return augment.random_affine(x, **options, generator=generator)


def brightened(x, *, generator):
    return augment.random_brightness_contrast(
        x, brightness=0.2, contrast=0.5, generator=generator
    )


def noisy(x, *, generator):
    return augment.gaussian_noise(x, std=0.08, generator=generator)


augmented = augment.compose(moved, augment.random_horizontal_flip, brightened, noisy)
generator = torch.Generator().manual_seed(1)
rows = [test_images[:8], *two_views(test_images[:8], augmented, generator=generator)]
alt = "Three rows of eight: images, and two views of each, tilted, moved and noisy."
plots.show(plots.image_grid(
    torch.cat(rows), columns=8, title="Images, and two views of each", alt=alt
))  # fmt: skip

# %% [markdown]
# The shape stays, but the gray levels change. So it should be the shape that the network looks at.
#
# ## 2. Find the other view
#
# A network maps the $2N$ views of $N$ images to outputs $z_1, \dots, z_{2N}$. The first views come first, then the
# second views. Each view has to find its partner among all *other* views. This is a classification, whose logits are
# cosines divided by a *temperature* $\tau$ (NT-Xent, Chen et al. 2020).
#
# $$L = -\frac{1}{2N} \sum_{i=1}^{2N} \log \frac{\exp(s_{i,p(i)} / \tau)}{\sum_{k \ne i} \exp(s_{ik} / \tau)}, \qquad
# s_{ik} = \frac{z_i^\top z_k}{\|z_i\| \, \|z_k\|}$$
#
# The partner $p(i)$, $i + N$ or $i - N$, is the *positive*, and the views of other images are *negatives*. Longer
# outputs alone do not change a cosine. A view is not compared with itself, because it would always win.
#
# ### Exercise 5.2: nt_xent_loss (core, 20 minutes)
#
# Shapes: `z1` and `z2` are `(N, d)`, the table of logits is `(2N, 2N)`. The check tries rows of all lengths and a
# temperature below `0.01`.

# %% nbgrader={"grade_id": "nt_xent_loss", "solution": true}
def nt_xent_loss(z1, z2, temperature=0.2):
    """The cross-entropy of finding the other view of each image among all other views.

    Args:
        z1, z2: (N, d) float tensors; row n of both belongs to image n.
        temperature: a number above 0 that the cosines are divided by.

    Returns:
        A tensor with a single number, the mean over all 2N views. A view is never
        compared with itself. Exact for very small temperatures too.
    """
    ### BEGIN SOLUTION
    n = len(z1)
    z = F.normalize(torch.cat([z1, z2]), dim=1)  # (2N, d)
    logits = z @ z.T / temperature  # (2N, 2N)
    itself = torch.eye(2 * n, dtype=torch.bool, device=z.device)
    logits = logits.masked_fill(itself, float("-inf"))
    target = torch.arange(2 * n, device=z.device).roll(n)  # row i finds row i + N
    return F.cross_entropy(logits, target)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_nt_xent_loss", "grade": true}
check.nt_xent_loss(nt_xent_loss)

# %% [markdown]
# ### Exercise 5.3: nt_xent_loss_check (core, 12 minutes)
#
# Write the check yourself. `nt_xent_loss_check(candidate)` calls a function that may be right or wrong, and stops with
# an error if it is wrong. `assert condition, message` is enough. Which inputs make mistakes visible?
#
# **What is tried.** Three right functions and twenty-two wrong ones, the known mistakes of Exercise 5.2, come in random
# order, to be called as `candidate(z1, z2, temperature)` with float32 tensors. Some wrong ones differ only for rows of
# other lengths or for a temperature such as `0.005`. Others return another shape or type, or a loss whose gradient does
# not reach both views.
#
# **Points.** If your check stops a right function, it earns nothing. Otherwise the points are given by the share of
# wrong functions that it stops with an error. What it returns or prints does not count.

# %% nbgrader={"grade_id": "nt_xent_loss_check", "solution": true}
def nt_xent_loss_check(candidate):
    """Raises an error if `candidate` is not a right `nt_xent_loss`.

    Args:
        candidate: a function of z1 (N, d), z2 (N, d) and a temperature.
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(0)
    for temperature in (0.5, 0.005):
        z1 = (3 * torch.randn(5, 4, generator=generator)).requires_grad_()
        z2 = (z1.detach() + torch.randn(5, 4, generator=generator)).requires_grad_()
        loss = candidate(z1, z2, temperature)
        z, expected = torch.cat([z1, z2]).detach(), 0.0
        for i in range(10):
            s = F.cosine_similarity(z[i], z, dim=1) / temperature
            others = torch.cat([s[:i], s[i + 1 :]])
            expected += float(others.logsumexp(0) - s[(i + 5) % 10]) / 10
        assert loss.ndim == 0, "one number is asked for"
        assert abs(loss.item() - expected) < 1e-3 * max(1.0, expected), "value"
        loss.backward()
        for z in (z1, z2):
            assert z.grad is not None and z.grad.any(), "no gradient"
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_nt_xent_loss_check", "grade": true}
check.nt_xent_loss_check(nt_xent_loss_check)

# %% [markdown]
# ## 3. A head that is thrown away
#
# The loss asks the outputs to be equal for both views. If it looked at the features themselves, they would have to
# forget everything that the views do not share. Therefore SimCLR puts a small network between them, the *projection
# head*. The loss sees the head's outputs. Later tasks read the encoder's features, and the head is thrown away.

# %% tags=["demo"]
plots.show(plots.diagram_two_views())

# %% [markdown]
# Both views go through the network in one batch, so they share the batch statistics. The gradient reaches head and
# encoder.
#
# ### Exercise 5.4: SimCLR (hard, 25 minutes)
#
# - `SimCLR(encoder, hidden, outputs)` has the modules `encoder`, which is the given one, and `head`: two linear layers,
#   `encoder.feature_dim` to `hidden` to `outputs`, with a nonlinearity between them. Batch normalization before the
#   nonlinearity is usual.
# - `forward(images)` returns the head's outputs, `(N, outputs)`.
# - `loss(images, augment, temperature, *, generator)` returns the contrastive loss of two views, in one batch.
# - `features(images)` returns the encoder's features in eval mode and without gradient. Afterwards each module has its
#   old mode, as `with eval_mode(self):` takes care of.
#
# For the last two, the check puts small networks in the places of `encoder` and `head`. **The number to reach** comes
# in section 4: a probe above {{ result("protocol", "rotation_frozen@10").mean | pct }}, which is that of rotation.

# %% nbgrader={"grade_id": "SimCLR", "solution": true}
class SimCLR(nn.Module):
    def __init__(self, encoder, hidden, outputs):
        super().__init__()
        ### BEGIN SOLUTION
        self.encoder = encoder
        self.head = nn.Sequential(
            nn.Linear(encoder.feature_dim, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
            nn.Linear(hidden, outputs),
        )  # fmt: skip
        ### END SOLUTION

    def forward(self, images):
        ### BEGIN SOLUTION
        return self.head(self.encoder(images))  # (N, C, H, W) -> (N, outputs)
        ### END SOLUTION

    def loss(self, images, augment, temperature, *, generator):
        ### BEGIN SOLUTION
        views = torch.cat(two_views(images, augment, generator=generator))
        z1, z2 = self(views).chunk(2)  # (2N, C, H, W) -> twice (N, outputs)
        return nt_xent_loss(z1, z2, temperature)
        ### END SOLUTION

    def features(self, images):
        ### BEGIN SOLUTION
        with eval_mode(self), torch.no_grad():
            return self.encoder(images)
        ### END SOLUTION

# %% nbgrader={"grade_id": "check_SimCLR", "grade": true}
check.SimCLR(SimCLR)

# %% [markdown]
# ## 4. Train and probe
#
# A step has 64 images in two views. That is half of the images of a rotation step, which has four copies of 64, and the
# number of steps is the same. The dashed line is the loss of guessing.

# %% tags=["train"]
check.needs("two_views", "nt_xent_loss", "SimCLR")


def first_weights():
    return ConvEncoder(channels, generator=torch.Generator().manual_seed(0))


def pretrain(model, loss_fn, title, *, steps, **line):
    batches = Batches(pool, batch_size=64, shuffle=True, drop_last=True)
    curve = plots.live_curve(steps, title=title, **line)
    options = {"warmup": min(50, steps // 10), "label": title, "on_step": curve}
    fit(model, batches, loss_fn, steps=steps, lr=3e-3, **options)
    return model


def contrast(model, images):
    return model.loss(images, augmented, 0.2, generator=generator)


generator, steps = torch.Generator().manual_seed(0), settings.by_profile(
    smoke=4, laptop=1_000, full=4_000
)
with seeded(torch.Generator().manual_seed(0)):
    simclr = SimCLR(first_weights(), 128, 64)
line = {"baseline": math.log(127), "baseline_label": "guessing"}
pretrain(simclr, contrast, "Find the other view", steps=steps, **line)

# %% [markdown]
# The loss is far below that of guessing, and far above 0. This number alone does not say what the features are worth,
# so we train linear probes on them. **Predict** where the probe is best: on block 1, 2 or 3 of the encoder, or on the
# head's outputs? And predict the accuracy on block 3.

# %% tags=["predict"]
predict.frozen(...)  # a share between 0 and 1
predict.place(...)  # "block 1", "block 2", "block 3" or "head"

# %% tags=["demo"]
check.needs("two_views", "nt_xent_loss", "SimCLR")


def probe(network, block=None):
    known, unseen = (
        extract_features(network, images, block=block)
        for images in (few_images, test_images)
    )
    return probe_accuracy(known, few.labels, unseen, test.labels)


found = {f"block {block + 1}": probe(simclr.encoder, block) for block in range(3)}
found["head"] = probe(simclr)
random = probe(first_weights())
plots.show(plots.bar_with_seeds(
    found, styled_as="contrastive", baseline=random, baseline_label="random encoder",
    title="Linear probe, ten labels per class",
))  # fmt: skip
predict.place.compare(max(found, key=found.get))
predict.frozen.compare(found["block 3"])

# %% [markdown]
# {{ figures_table({"SimCLR": "contrastive", "rotation": "rotation", "random": "random"}, {"block 1": "_block1_probe",
# "block 2": "_block2_probe", "block 3": "_block3_probe"}, "inside", head="probe, ten labels per class") }}
#
# SimCLR's block 3 is ahead of rotation's, {{ every_seed("contrastive_block3_probe > rotation_block3_probe", "inside")
# }}, at half of the images. In the head a probe reads {{ result("inside", "contrastive_head_probe") |
# pm(percent=true) }}. In the literature the head is worse than the features in front of it (Chen et al. 2020). Here it
# is not, so measure it for your data.
#
# *A natural break.*

# %% [markdown]
# ## 5. Ask the neighbors
#
# A probe trains weights. A vote of the nearest neighbors trains nothing, so it shows which features are close to each
# other without any help. Find the $k$ known images with the largest cosine, and take the label that most of them have.
#
# ### Exercise 5.5: knn_predict (core, 12 minutes)
#
# The check tries labels with gaps, and ties.

# %% nbgrader={"grade_id": "knn_predict", "solution": true}
def knn_predict(features, labels, queries, k):
    """The label that most of the k nearest known features have.

    Args:
        features: (N, d) float tensor, features of known images; it is not changed.
        labels: (N,) int64 tensor, their labels: any whole numbers.
        queries: (M, d) float tensor.
        k: how many of the nearest vote, from 1 to N; near is a large cosine.

    Returns:
        (M,) int64 tensor. Each of the k has one vote. Where several labels have the
        most votes, the smallest of them.
    """
    ### BEGIN SOLUTION
    # (M, d) and (N, d) -> (M, N)
    similarity = F.normalize(queries, dim=1) @ F.normalize(features, dim=1).T
    nearest = similarity.topk(k, dim=1).indices  # (M, k)
    return torch.mode(labels[nearest], dim=1).values
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_knn_predict", "grade": true}
check.knn_predict(knn_predict)

# %% [markdown]
# The cell votes with the ten labeled images per class, and with 2,000 labeled images.

# %% tags=["demo"]
check.needs("two_views", "nt_xent_loss", "SimCLR", "knn_predict")
known = data.subset(torch.arange(min(2_000, len(data))))


def read(images):
    parts = as_float(images).split(500)
    return torch.cat([simclr.features(part.to(device)).cpu() for part in parts])


def pixels(images):
    return as_float(images).flatten(1)


for name, reader in {"pixels": pixels, "SimCLR": read}.items():
    queries = reader(test.images)
    shares = []
    for some, k in ((few, 1), (known, 20)):
        guesses = knn_predict(reader(some.images), some.labels, queries, k)
        shares.append((guesses == test.labels).float().mean())
    print(f"{name:8} nearest of {len(few)}: {shares[0]:.0%}", end="   ")
    print(f"vote of 20 among {len(known):,}: {shares[1]:.0%}")

# %% [markdown]
# {{ figures_table({"SimCLR": "contrastive_block3", "rotation": "rotation_block3", "random": "random_block3",
# "SimCLR, head": "contrastive_head"}, {"nearest of 10 per class": "_knn", "vote of 20 among 4,000": "_vote"}, "inside",
# head="recorded") }}
#
# SimCLR is ahead of rotation here too, {{ every_seed("contrastive_block3_knn > rotation_block3_knn,
# contrastive_block3_vote > rotation_block3_vote", "inside") }}. Now choose an image and look at two views of it. Are
# their nearest images the image itself, or images of the same class?

# %% tags=["demo"]
check.needs("two_views", "nt_xent_loss", "SimCLR")


def encode(images):
    return simclr.features(images.to(device)).cpu()


title = "Two views and their nearest images"
widgets.view_explorer(test.images[:200], augmented, encode, title=title)

# %% [markdown]
# Try several images. Where a view is close to another class, look at what the augmentation has changed.
#
# ## 6. The question of the course: does it help with few labels?
#
# Frozen features are one use. The other one is fine-tuning all weights with a new classifier. **Predict** the accuracy
# after plain fine-tuning with weak views and five labels per class. (Rotation has {{ result("protocol",
# "rotation_weak@5").mean | pct }} there, and training from scratch {{ result("protocol", "scratch_weak@5").mean | pct
# }}.) And predict which part
# of the augmentation is missed more when it is left out (section 7), brightness and contrast or noise.

# %% tags=["predict"]
predict.tuned(...)  # a share between 0 and 1
predict.left_out(...)  # "brightness and contrast" or "noise"

# %% tags=["train"]
check.needs("two_views", "nt_xent_loss", "SimCLR")
steps = settings.by_profile(smoke=2, laptop=800, full=4_000)
model = fit_classifier(simclr.encoder, few, steps=steps, label="fine-tuning")
accuracy = evaluation.accuracy_on(model, test)
print(f"ten labels per class, fine-tuned: {accuracy:.0%}")
print(f"a probe on the frozen features:   {found['block 3']:.0%}")
predict.tuned.compare()
predict.left_out.compare()

# %% [markdown]
# {{ figures_table({"SimCLR": "contrastive_frozen", "rotation": "rotation_frozen", "random": "random_frozen"}, (1, 5,
# 10, 50), "protocol", head="frozen, recorded") }}
#
# Frozen, SimCLR is ahead of rotation at every one of these budgets, {{ every_seed("contrastive_frozen@1 >
# rotation_frozen@1, contrastive_frozen@5 > rotation_frozen@5, contrastive_frozen@10 > rotation_frozen@10,
# contrastive_frozen@50 > rotation_frozen@50", "protocol") }}.
#
# {{ figures_table({"SimCLR": "contrastive_weak", "rotation": "rotation_weak", "from scratch": "scratch_weak"}, (1, 5,
# 10, 50), "protocol", head="fine-tuned, weak views") }}
#
# After plain fine-tuning the order is reversed. Rotation is ahead at every one of these budgets, {{
# every_seed("contrastive_weak@1 < rotation_weak@1, contrastive_weak@5 < rotation_weak@5, contrastive_weak@10 <
# rotation_weak@10, contrastive_weak@50 < rotation_weak@50", "protocol") }}, and with strong views at five labels too,
# {{ every_seed("contrastive_strong@5 < rotation_strong@5", "protocol") }}. So better frozen features are not always a
# better start for training all weights.

# %% [markdown]
# Two ways keep more of what SimCLR has learned. *LP-FT* trains the classifier first, on the frozen encoder, and then
# everything with a smaller learning rate (Kumar et al. 2022; unit 06 has it). Besides, the projection head can be kept,
# with the new classifier behind it (Chen et al. 2020b).
#
# {{ figures_table({"SimCLR": "contrastive_lp_ft_weak", "SimCLR with its head": "contrastive_head_lp_ft_weak",
# "rotation": "rotation_lp_ft_weak"}, (1, 5, 10, 50), "protocol", head="LP-FT, weak views") }}
#
# With one and with five labels per class SimCLR gains much from its head, {{
# every_seed("contrastive_head_lp_ft_weak@1 > contrastive_lp_ft_weak@1, contrastive_head_lp_ft_weak@5 >
# contrastive_lp_ft_weak@5", "protocol") }}. With 50 it gains nothing.

# %% [markdown]
# But a deeper classifier alone may help. The fair control is an *untrained* head of the same shape.
#
# | five labels per class, fine-tuned, weak views | accuracy |
# |---|---:|
# | SimCLR, head thrown away | {{ result("protocol", "contrastive_weak@5") | pm(percent=true) }} |
# | SimCLR, head kept | {{ result("inside", "head_kept@5") | pm(percent=true) }} |
# | rotation, untrained head | {{ result("inside", "untrained_head_rotation@5") | pm(percent=true) }} |
# | from scratch, untrained head | {{ result("inside", "untrained_head_scratch@5") | pm(percent=true) }} |
#
# With its head kept, SimCLR is ahead of the control, {{ every_seed("head_kept@5 > untrained_head_rotation@5", "inside")
# }}. Training from scratch gains almost nothing from an untrained head. This suggests that a part of what SimCLR
# learned is in the head, and a fair comparison has the same shape on both sides.

# %% [markdown]
# ## 7. Which augmentation teaches what?
#
# The views decide what the features ignore. The record has short pretrainings of 150 steps, each with one part of the
# augmentation left out.
#
# | augmentation, recorded | contrastive loss at the end | probe, ten labels per class |
# |---|---:|---:|
# | all four parts | {{ result("augmentations", "nothing_loss").mean | num(2) }} | {{ result("augmentations",
# "nothing_probe") | pm(percent=true) }} |
# | without noise | {{ result("augmentations", "noise_loss").mean | num(2) }} | {{ result("augmentations",
# "noise_probe") | pm(percent=true) }} |
# | without brightness and contrast | {{ result("augmentations", "brightness_contrast_loss").mean | num(2) }} | {{
# result("augmentations", "brightness_contrast_probe") | pm(percent=true) }} |
#
# Without brightness and contrast the probe reads less, {{ every_seed("brightness_contrast_probe < nothing_probe",
# "augmentations") }}, although the loss is about half, {{ every_seed("brightness_contrast_loss < nothing_loss",
# "augmentations") }}. This suggests a shortcut, in which gray levels identify the image and no shape is needed. Without
# noise the loss is lower too, and the probe reads less on two of three seeds. So a lower loss can come from an easier
# task that teaches less.

# %% [markdown]
# ## 8. When it fails: all outputs become equal
#
# Are the negatives needed at all? It seems enough to ask both views for the same features, with the loss $\|f(x) -
# f(x')\|^2$. This is *consistency regularization* as the only loss, and it has a trivial solution, the same output for
# every image. Such a result is called a *collapse*. We measure it by the *spread*, which is the standard deviation of
# the normalized outputs over images, times $\sqrt d$. It is about 1 when the outputs point in all directions, and 0
# when all outputs are equal.
#
# SimSiam (Chen and He 2021) has no negatives either. A small network, the *predictor* $h$, takes the output of one view
# and predicts the output of the other. The other side is the target. A *stop-gradient* keeps it from moving towards the
# prediction.

# %% tags=["demo"]
plots.show(plots.diagram_simsiam())

# %% [markdown]
# BYOL (Grill et al. 2020) takes the target from a second network instead, an exponential moving average of the first.
# Unit 07 builds one with `ema_update`.
#
# ### Exercise 5.6: negative_cosine (core, 8 minutes)
#
# The loss of one direction is minus the cosine of the prediction $p$ and the target $z$. The best value is $-1$.

# %% nbgrader={"grade_id": "negative_cosine", "solution": true}
def negative_cosine(p, z):
    """Minus the mean cosine of predictions and targets, with a stop-gradient.

    Args:
        p: (N, d) float tensor, the predictions; a gradient reaches them.
        z: (N, d) float tensor, the targets; no gradient reaches them.

    Returns:
        A tensor with a single number between -1 and 1, the mean over the N rows.
    """
    ### BEGIN SOLUTION
    return -F.cosine_similarity(p, z.detach(), dim=1).mean()
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_negative_cosine", "grade": true}
check.negative_cosine(negative_cosine)

# %% [markdown]
# Now train three networks for 100 steps each, one with the distance alone, one with SimSiam, and one with SimSiam
# without its stop-gradient. **Predict** the spread of the last one at the end.

# %% tags=["predict"]
predict.spread(...)  # between 0 and 1

# %% tags=["train"]
check.needs("two_views", "nt_xent_loss", "SimCLR", "negative_cosine")


def distance(z1, z2, predictor):
    return (z1 - z2).pow(2).sum(dim=1).mean()


def simsiam(z1, z2, predictor):
    return (negative_cosine(predictor(z1), z2) + negative_cosine(predictor(z2), z1)) / 2


def without_stop(z1, z2, predictor):
    both = predictor(torch.cat([z1, z2]))
    return -F.cosine_similarity(both, torch.cat([z2, z1]), dim=1).mean()


def spread(z):
    return F.normalize(z, dim=1).std(dim=0).mean().item() * z.shape[1] ** 0.5


moments = settings.by_profile(smoke=(1, 2), laptop=(1, 20, 100), full=(1, 20, 100))
losses = {"distance": distance, "SimSiam": simsiam, "no stop": without_stop}

# %% [markdown]
# `follow` trains a new network with one of these losses and notes the spread of its outputs in every step. The
# predictor is a small network of two layers.

# %% tags=["train"]
check.needs("two_views", "nt_xent_loss", "SimCLR", "negative_cosine")


def follow(loss_of, title):
    with seeded(torch.Generator().manual_seed(0)):
        network = SimCLR(first_weights(), 128, 64)
        network.predictor = nn.Sequential(
            nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 64)
        )
    generator, spreads = torch.Generator().manual_seed(0), []

    def loss(network, images):
        views = torch.cat(two_views(images, augmented, generator=generator))
        z = network(views)
        spreads.append(spread(z.detach().float()))
        return loss_of(*z.chunk(2), network.predictor)

    batches = Batches(pool, batch_size=64, shuffle=True, drop_last=True)
    history = fit(network, batches, loss, steps=moments[-1], lr=3e-3, label=title)
    at = "   ".join(f"step {step}: {spreads[step - 1]:.2f}" for step in moments)
    print(f"{title:10} spread at {at}   loss: {history.loss[-1]:.2f}")
    return spreads[-1]


last = {name: follow(loss_of, name) for name, loss_of in losses.items()}
predict.spread.compare(last["no stop"])

# %% [markdown]
# | spread, recorded | step 1 | step 20 | step 100 | loss |
# |---|---:|---:|---:|---:|
# | distance of the features alone | {{ result("collapse", "spread_distance@1").mean | num(2) }} | {{
# result("collapse", "spread_distance@20").mean | num(2) }} | {{ result("collapse", "spread_distance@100") | pm }} | {{
# result("collapse", "loss_distance").mean | num(2) }} |
# | SimSiam | {{ result("collapse", "spread_stopped@1").mean | num(2) }} | {{ result("collapse",
# "spread_stopped@20").mean | num(2) }} | {{ result("collapse", "spread_stopped@100") | pm }} | {{ result("collapse",
# "loss_stopped").mean | num(2) }} |
# | without stop-gradient | {{ result("collapse", "spread_open@1").mean | num(2) }} | {{ result("collapse",
# "spread_open@20").mean | num(2) }} | {{ result("collapse", "spread_open@100") | pm }} | {{ result("collapse",
# "loss_open").mean | num(2) }} |
# | the same, batch norm at the end | {{ result("collapse", "spread_open_normed@1").mean | num(2) }} | {{
# result("collapse", "spread_open_normed@20").mean | num(2) }} | {{ result("collapse", "spread_open_normed@100") | pm
# }} | {{ result("collapse", "loss_open_normed").mean | num(2) }} |
#
# Without the stop-gradient the outputs collapse, {{ every_seed("spread_open@100 < 0.15, spread_stopped@100 > 0.5",
# "collapse") }}, and the loss is almost perfect, {{ every_seed("loss_open < -0.95", "collapse") }}. The distance alone
# collapses too, {{ every_seed("spread_distance@100 < 0.15", "collapse") }}. So the best loss belongs to a network that
# knows nothing.

# %% [markdown]
# The last row has no stop-gradient either, but a batch norm as last layer. This layer gives each output the deviation 1
# within a batch. Therefore the outputs cannot all be equal there, whatever the layers in front do, and the loss does
# not reach $-1$ in these steps. So the spread behind a batch norm cannot show a collapse. Measure it in front of such a
# layer.
#
# A collapse of the outputs is not yet one of the features. Without the stop-gradient, the deviation of the encoder's
# features over images is {{ result("collapse", "deviation_open") | pm }} after 100 steps, and with it {{
# result("collapse", "deviation_stopped") | pm }}.
#
# These 100 steps are too few for pretraining. SimSiam and BYOL need far more steps than a notebook has.

# %% [markdown]
# ## 9. A remedy by statistics
#
# VICReg (Bardes et al. 2022) has neither negatives nor a stop-gradient. It makes a collapse expensive. Beside the
# distance of the views, it has two terms for each view $Z$, a matrix with one row per image:
#
# $$L = \frac{\lambda}{Nd} \|Z - Z'\|^2 + \sum_{Y \in \{Z, Z'\}} \Big( \frac{\mu}{d} \sum_j \max(0, 1 -
# \sqrt{\mathrm{Var}(Y_j) + 10^{-4}}) + \frac{\nu}{d} \sum_{i \ne j} \mathrm{Cov}(Y_i, Y_j)^2 \Big)$$
#
# The *variance* term is 0 when each column has a deviation of at least 1 over the images. The *covariance* term is 0
# when different columns are uncorrelated. Without it, one feature could be copied into all $d$ columns.
#
# ### Exercise 5.7: vicreg_loss (hard, 18 minutes)
#
# Variance and covariance divide by $N - 1$, as `Tensor.var` does. The check tries each term alone, and a column that is
# the same for all images.

# %% nbgrader={"grade_id": "vicreg_loss", "solution": true}
def vicreg_loss(z1, z2, *, invariance=25.0, variance=25.0, covariance=1.0):
    """Distance of two views, and a variance and a covariance term for each of them.

    Args:
        z1, z2: (N, d) float tensors; row n of both belongs to image n.
        invariance: weight of the mean squared difference, over all N * d numbers.
        variance: weight of the mean over columns of max(0, 1 - sqrt(var + 1e-4)),
            added for both views.
        covariance: weight of the sum of squared covariances of different columns,
            divided by d, added for both views.

    Returns:
        A tensor with a single number, with a gradient for both views.
    """
    ### BEGIN SOLUTION
    loss = invariance * (z1 - z2).pow(2).mean()
    for z in (z1, z2):
        std = (z.var(dim=0) + 1e-4).sqrt()  # (d,)
        loss = loss + variance * F.relu(1 - std).mean()
        centered = z - z.mean(dim=0)
        c = centered.T @ centered / (len(z) - 1)  # (d, d)
        off = c - torch.diag(c.diagonal())
        loss = loss + covariance * off.pow(2).sum() / z.shape[1]
    return loss
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_vicreg_loss", "grade": true}
check.vicreg_loss(vicreg_loss)

# %% [markdown]
# | after 100 steps, recorded | spread of the outputs | probe on the encoder |
# |---|---:|---:|
# | VICReg | {{ result("collapse", "spread_statistics@100") | pm }} | {{ result("collapse", "probe_statistics") |
# pm(percent=true) }} |
# | SimSiam | {{ result("collapse", "spread_stopped@100") | pm }} | {{ result("collapse", "probe_stopped") |
# pm(percent=true) }} |
# | distance of the features alone | {{ result("collapse", "spread_distance@100") | pm }} | {{ result("collapse",
# "probe_distance") | pm(percent=true) }} |
#
# With VICReg the spread stays, {{ every_seed("spread_statistics@100 > 0.5", "collapse") }}. After so few steps its
# features are ahead of SimSiam's, {{ every_seed("probe_statistics > probe_stopped", "collapse") }}. The last row is a
# warning. Its outputs have collapsed, and still a probe is better than with SimSiam, {{
# every_seed("probe_distance > probe_stopped", "collapse") }}. A probe rescales the features, so very small differences
# are enough for it. Therefore a probe cannot rule out a collapse.
#
# Consistency is useful when something else prevents the collapse. In unit 07 labels do: FixMatch asks two views of an
# unlabeled image for the same prediction, beside the loss of the labeled ones.

# %% [markdown] nbgrader={"grade_id": "calm_siamese", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A colleague pretrains on photographs of insects without negatives. After 200 steps the
# loss is `-0.999`, the best possible is `-1`, and they stop because it has converged. A linear probe on the features is
# better than chance, from which they conclude that nothing has collapsed. In four to six sentences, say (a) what has
# probably happened, and why the loss cannot tell, (b) why the probe cannot tell either, and what you would measure in
# place of
# it, and (c) two changes that would prevent it, with the reason for each.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* The network has probably collapsed: it gives almost the same output for every insect, and then
# two views always agree, so the loss is perfect without any knowledge. A probe rescales the features, so it can read
# very small differences, and even an untrained network is better than chance. I would measure the spread of the
# normalized outputs over images, beside the spread in the first step. A stop-gradient on the target side with a
# predictor on the other prevents it, because the target then does not move towards the prediction. A variance term as
# in VICReg prevents it too, since the deviation of each output is part of the loss.
#
# *Sample answer (2).* The outputs are all equal (collapse), and equal outputs have the best loss. The probe works with
# small differences too, so look at the spread. They should use negatives or a stop-gradient.
#
# *Sample answer (1).* All outputs are the same, and this has the best loss. Train with more augmentation, and use more
# labels for the probe.
#
# *Rubric.* One point each. (a) names the collapse AND says that equal outputs minimize the loss. (b) says that a probe
# rescales small differences, or that random features are better than chance too, AND names a measurement that is not
# rescaled, such as the spread of the outputs. (c) two changes out of stop-gradient with predictor, moving average,
# negatives, variance term, each with its reason. "More augmentation" earns no point for (c).
# ### END SOLUTION

# %% [markdown]
# ## 10. Quiz
#
# Ungraded. Answer first, then open. Your predictions are summed up below.
#
# <details><summary>1. The contrastive loss is almost 0 in the first step. What do you check?</summary> Whether the
# diagonal is masked. A view that may find itself has an easy task.</details>
#
# <details><summary>2. Pretext loss A is half of pretext loss B. Which features are better?</summary> You cannot know.
# Here the lower loss had the worse features.</details>
#
# <details><summary>3. Where is the stop-gradient in SimCLR?</summary> Nowhere. Its negatives prevent the collapse.
# </details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# - Yes for frozen features: SimCLR's are far ahead of rotation's, {{ every_seed("contrastive_frozen@10 >
#   rotation_frozen@10", "protocol") }}, at half of the images per step.
# - No for plain fine-tuning, where rotation is the better start. With its projection head kept, SimCLR is ahead of
#   rotation with a head of the same shape, measured with five labels per class.
# - The augmentation decides what is learned. A pretext task with a lower loss can teach less.
# - Agreement alone collapses. Negatives, a stop-gradient with a predictor, or variance and covariance prevent it.
# - Neither a low loss nor a probe rules a collapse out. Measure the spread of the outputs, in front of any batch norm.

# %% [markdown]
# ## What became of it
#
# Contrastive learning made frozen features strong enough to be used as they are. **CLIP** uses almost the same loss,
# with an image and its caption as the two views. DINO has no negatives: it learns from a moving average of itself.
# DINOv2 adds masked patches and far more images. **Language models** use contrastive losses for search: embedding
# models are trained on pairs of a question and a passage that answers it, with other passages as negatives.
#
# In other fields two views need no augmentation. In **medicine** they are two slides of one patient, in **finance** two
# months of one customer's transactions, in **robotics** two frames of a video that are close in time, and in **speech**
# a piece of a recording and what follows it.

# %% [markdown]
# **Further reading.**
#
# - Chen et al. (2020), *A Simple Framework for Contrastive Learning of Visual Representations*: SimCLR, with careful
#   studies of augmentation and head.
# - Chen and He (2021), *Exploring Simple Siamese Representation Learning*: what the stop-gradient does.
# - Bardes et al. (2022), *VICReg*: three terms, each with its reason.
#
# **Challenge.** Beat a probe of {{ result("protocol", "contrastive_frozen@10").mean | pct }} at ten labels per class
# with 1,000 steps of 64 images. You may change augmentation, head, temperature and loss.
#
# **Bonus.** (1) Leave the mirror out of `augmented`. What do you lose? (2) Train `simsiam` for 1,000 steps and probe
# it. (3) `COURSE_DATASET=mnist`: which augmentation of this unit is harmful for digits?
