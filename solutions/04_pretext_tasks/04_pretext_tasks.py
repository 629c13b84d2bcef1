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
# # Pretext tasks: questions that label themselves
#
# *Turn an image and ask which way it was turned. No person has to label the images, but a network that answers must
# know what a house looks like. With ten labels per class this is worth more than any reconstruction.*
#
# **You will** turn, flip and mask batches of images, write a loss that ignores what can be seen, and build the linear
# probe. **You will measure** what each task is worth at every number of labels, and see two that cheat.
#
# **You need** PyTorch modules and a training loop (unit 00). Unit 01 helps, but is not needed.
# **Time**: 90 minutes of reading and writing, of which 4 minutes of computing.

# %% tags=["setup"]
import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

from course_lib import evaluation, plots, records, settings, widgets
from course_lib.data import Batches, as_float, augment, few_label_split, load
from course_lib.exercises import checks_for
from course_lib.models import Classifier, ConvDecoder, ConvEncoder
from course_lib.training import fit

# %% tags=["setup"]
check = checks_for("04_pretext_tasks")
data = load(n=settings.by_profile(smoke=1_000, laptop=8_000, full=8_000))
test = load(split="test", n=settings.by_profile(smoke=300, laptop=2_000, full=2_000))
device, channels, num_classes = settings.device(), data.images.shape[1], len(
    data.class_names
)
test_images = as_float(test.images).to(device)  # (N, C, H, W) in [0, 1]
split = few_label_split(
    data.labels, per_class=10, generator=torch.Generator().manual_seed(0)
)
few = data.subset(split.labeled)
pool = data.images[torch.cat([split.labeled, split.unlabeled])]
print(f"{data.name}: {len(few)} images with a label, {len(pool):,} images without")

# %% [markdown]
# ## 1. Ten labels per class
#
# This is the baseline of the unit: the course's small encoder, three blocks of convolutions, trained from random
# weights on ten labeled images per class. **Predict** how many of the test images it gets right.
#
# The second function is for later. It trains the same encoder, from the same first weights, on a task of *your* making.

# %% tags=["train"]
def first_weights(grid=1):
    return ConvEncoder(channels, grid=grid, generator=torch.Generator().manual_seed(0))


def finetune(encoder, title):
    generator = torch.Generator().manual_seed(0)
    classifier = Classifier(copy.deepcopy(encoder), num_classes, generator=generator)
    options = {"batch_size": min(32, len(few)), "shuffle": True, "generator": generator}
    batches = Batches(few.images, few.labels, augment=augment.random_shift, **options)
    fit(
        classifier, batches, steps=settings.by_profile(smoke=2, laptop=300, full=2_000),
        lr=3e-3, label=title,
    )  # fmt: skip
    return evaluation.evaluate(classifier, test.images, test.labels)["accuracy"]


def pretrain(model, loss_fn, title, *, steps, baseline=None):
    batches = Batches(pool, batch_size=64, shuffle=True, augment=augment.random_shift)
    line = {} if baseline is None else {
        "baseline": baseline, "baseline_label": "guessing"
    }
    curve = plots.live_curve(steps, title=title, **line)
    fit(model, batches, loss_fn, steps=steps, lr=3e-3, label=title, on_step=curve)
    return model


accuracy = {"scratch": finetune(first_weights(), "from scratch")}
print(f"test accuracy with ten labels per class: {accuracy['scratch']:.0%}")
print(f"guessing: {1 / num_classes:.0%}")

# %% [markdown]
# Far from useless, far from good: recorded over {{ result("label_curve", "scratch@10").n }} seeds,
# {{ result("label_curve", "scratch@10") | pm(percent=true) }}. With all labels it would be
# {{ result("label_curve", "scratch@780").mean | pct }}: the network is not too small, the labels are too few.
#
# ## 2. Which way is up?
#
# A *pretext task* asks something that we know without labels, because we did it ourselves. Gidaris et al. (2018) turn
# each image $x$ by $k$ quarter turns and ask for $k$:
#
# $$L = -\frac{1}{4N} \sum_{n=1}^{N} \sum_{k=0}^{3} \log p\,(k \mid R^k x_n), \qquad R = \text{a quarter turn}$$
#
# Brightness, place and clutter do not answer that. The shape does.
#
# ### Exercise 4.1: rotate_batch (8 minutes)
#
# Counterclockwise, as mathematicians turn. Mind the dimensions.

# %% nbgrader={"grade_id": "rotate_batch", "solution": true}
def rotate_batch(images, k):
    """All images of a batch, turned by k quarter turns counterclockwise.

    Args:
        images: (N, C, H, W) float tensor; it is not changed.
        k: any whole number; -1 is a quarter turn clockwise, and 5 is the same as 1.

    Returns:
        (N, C, H, W) tensor, or (N, C, W, H) after an odd number of quarter turns.
    """
    ### BEGIN SOLUTION
    return torch.rot90(images, k, dims=(2, 3))
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_rotate_batch", "grade": true}
check.rotate_batch(rotate_batch)

# %% [markdown]
# Try the task yourself before a network does. **Predict**: which images have no answer?

# %% tags=["demo"]
check.needs("rotate_batch")
secret = torch.randint(0, 4, (16,), generator=torch.Generator().manual_seed(3)).tolist()
puzzle = torch.cat(
    [rotate_batch(test_images[i : i + 1], k) for i, k in enumerate(secret)]
)
answers = [("upright", "1 quarter", "2 quarters", "3 quarters")[k] for k in secret]
plots.show(plots.image_grid(
    puzzle, captions=answers, columns=8, title="By how many quarter turns?"
))

# %% [markdown]
# You can tell most of them, because you know houses, trees and cups. That knowledge is what we want the network to
# acquire.
#
# ### Exercise 4.2: rotation_pretext (10 minutes)
#
# All four turns of every image in one batch, with their answers. Every class then occurs equally often, and the network
# compares the four on the spot. Images are square here.
#
# Shapes: `images` `(N, C, H, H)`, `x` `(4N, C, H, H)` and `labels` `(4N,)`. Row $kN + i$ is image $i$, turned $k$
# times.

# %% nbgrader={"grade_id": "rotation_pretext", "solution": true}
def rotation_pretext(images):
    """Four copies of a batch: upright, turned counterclockwise by 1, 2 and 3 quarters.

    Args:
        images: (N, C, H, H) float tensor; it is not changed.

    Returns:
        x: (4N, C, H, H), copy after copy: row k * N + i is image i turned k times.
        labels: (4N,) int64 tensor on the device of the images: k for each row.
    """
    ### BEGIN SOLUTION
    # (N, C, H, H) -> (4N, C, H, H)
    x = torch.cat([rotate_batch(images, k) for k in range(4)])
    # (4N,)
    labels = torch.arange(4, device=images.device).repeat_interleave(len(images))
    return x, labels
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_rotation_pretext", "grade": true}
check.rotation_pretext(rotation_pretext)

# %% [markdown]
# Train it, on thousands of images and no label. The dashed line is what guessing costs, $\log 4$. **Predict**: how many
# turns will it tell in the end? And which class will be hardest?

# %% tags=["train"]
check.needs("rotate_batch", "rotation_pretext")


def which_turn(model, images):
    x, labels = rotation_pretext(images)
    return F.cross_entropy(model(x), labels)


turn_steps = settings.by_profile(smoke=4, laptop=1_000, full=4_000)
rotation = Classifier(first_weights(), 4, generator=torch.Generator().manual_seed(0))
pretrain(
    rotation, which_turn, "Which way is up?", steps=turn_steps, baseline=math.log(4)
)
# ring and cross among them
seen = load(split="test", n=len(test), anomalies=0.2) if data.name == "glyphs" else test
x, labels = rotation_pretext(as_float(seen.images).to(device))
right = (evaluation.predict(rotation, x).argmax(dim=1) == labels.cpu()).float()  # (4N,)
by_class = {
    name: float(right[seen.labels.repeat(4) == c].mean())
    for c, name in enumerate(seen.class_names)
}
plots.show(plots.bar_with_seeds(
    by_class, styled_as="rotation", baseline=0.25, baseline_label="guessing",
    x_label="turns told",
    title="Whose turns can be told?",
))  # fmt: skip

# %% [markdown]
# | class, recorded | turns predicted right |
# |---|---:|
# | all | {{ result("rotation_classes", "all").mean | pct }} |
# | star | {{ result("rotation_classes", "star").mean | pct }} |
# | ring (not in training) | {{ result("rotation_classes", "ring").mean | pct }} |
# | cross (not in training) | {{ result("rotation_classes", "cross").mean | pct }} |
#
# The star looks much the same in all four positions. The ring and the cross are exactly symmetric, so no network can do
# better than guess, and every step spent on such images teaches nothing.
#
# Between two quarter turns the network was never asked. Turn an image slowly: where does it change its mind, and how
# abruptly?

# %% tags=["demo"]
check.needs("rotate_batch", "rotation_pretext")


def turn_probabilities(images):
    return evaluation.predict(rotation, images).softmax(dim=1)


widgets.turn_explorer(
    test.images[:40], turn_probabilities, start=30, title="How far was it turned?"
)

# %% [markdown]
# Near the quarter turns it is sure, and in between it changes from one answer to the next: it has learned what is on
# top, not four pictures by heart.
#
# ## 3. Another question: mirrored or upside down?
#
# Any change with a known answer will do. Take the direction of a flip: a fair coin $c_n$ for each image says whether it
# is mirrored left to right ($c_n = 0$) or stands upside down ($c_n = 1$). All images are flipped, so nothing but the
# direction can be told.
#
# ### Exercise 4.3: flip_pretext (12 minutes)
#
# Chance enters, and with it the most expensive error of this unit: the label must come from the very coin that flipped
# its image.

# %% nbgrader={"grade_id": "flip_pretext", "solution": true}
def flip_pretext(images, *, generator):
    """Each image flipped one of two ways, and which.

    Args:
        images: (N, C, H, W) float tensor; it is not changed.
        generator: CPU torch.Generator that the coins come from.

    Returns:
        flipped: (N, C, H, W), each image mirrored left to right (label 0) or upside
            down (label 1).
        labels: (N,) int64 tensor on the device of the images, a fair coin of its own
            for each image.
    """
    ### BEGIN SOLUTION
    # (N,)
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    upside_down = labels[:, None, None, None] == 1  # (N,) -> (N, 1, 1, 1)
    return torch.where(upside_down, images.flip(2), images.flip(3)), labels
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_flip_pretext", "grade": true}
check.flip_pretext(flip_pretext)

# %% [markdown]
# Here is your batch. **Predict**: which of the two tasks, turns or flips, teaches more? And can you choose by how well
# the network solves the task itself?

# %% tags=["demo"]
check.needs("flip_pretext")
flipped, coins = flip_pretext(
    test_images[8:16], generator=torch.Generator().manual_seed(2)
)
told = ["upside down" if coin else "mirrored" for coin in coins.tolist()]
plots.show(
    plots.image_grid(flipped, captions=told, columns=8, title="Flips and their labels")
)

# %% [markdown]
# | recorded, as many steps | accuracy on the task | fine-tuned, ten labels per class |
# |---|---:|---:|
# | turns | {{ result("pretexts", "rotation_pretext").mean | pct }} | {{
# result("pretexts", "rotation_finetuned") | pm(percent=true) }} |
# | flips | {{ result("pretexts", "flip_pretext").mean | pct }} | {{
# result("pretexts", "flip_finetuned") | pm(percent=true) }} |
#
# So the score on a task does not show what the task is worth: the easier one is solved better and teaches less. Choose
# by a probe on a few validation labels, or by thinking about which knowledge the answer needs.
#
# ## 4. Fill in the holes
#
# A third task hides part of the image and asks for it. Cut the image into square patches, hide a share of them, and
# reconstruct (Pathak et al. 2016; He et al. 2022).
#
# ### Exercise 4.4: mask_patches (15 minutes)
#
# Shapes: with patches of $p$ pixels per side there are $H/p$ rows and $W/p$ columns, and `mask` is `(N, 1, H, W)`.

# %% nbgrader={"grade_id": "mask_patches", "solution": true}
def mask_patches(images, patch_size, ratio, *, generator):
    """Hides the same number of random patches in each image.

    Args:
        images: (N, C, H, W) float tensor; H and W are multiples of patch_size. It is
            not changed.
        patch_size: pixels per side of a patch; the patches lie side by side on a grid.
        ratio: share of the patches that is hidden: in every image Python's
            `round(ratio * patches)`, from none to all.
        generator: CPU torch.Generator that all random numbers come from.

    Returns:
        masked: (N, C, H, W), the images with hidden pixels at 0.
        mask: (N, 1, H, W) bool tensor, True where a pixel is hidden.
    """
    ### BEGIN SOLUTION
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(
        dim=1
    ).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(
        images.device
    )
    # (N, 1, H, W)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(
        patch_size, dim=3
    )
    return images.masked_fill(mask, 0.0), mask
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_mask_patches", "grade": true}
check.mask_patches(mask_patches)

# %% [markdown]
# The loss looks at hidden pixels only. With $m_{np} = 1$ where pixel $p$ of image $n$ is hidden, and 0 elsewhere:
#
# $$L = \frac{\sum_{n,p} m_{np} (\hat x_{np} - x_{np})^2}{\sum_{n,p} m_{np}}, \qquad
# \frac{\partial L}{\partial \hat x_{np}} = 0 \;\text{ wherever }\; m_{np} = 0$$
#
# Otherwise most of the loss would be about copying what is in plain view. A color pixel counts once for each channel.
#
# ### Exercise 4.5: masked_loss (10 minutes)

# %% nbgrader={"grade_id": "masked_loss", "solution": true}
def masked_loss(x_hat, images, mask):
    """Mean squared error over the hidden pixels of the batch, every channel counted.

    Args:
        x_hat: (N, C, H, W) float tensor, the reconstructions.
        images: (N, C, H, W) float tensor, the whole images.
        mask: (N, 1, H, W) bool tensor, True where a pixel was hidden.

    Returns:
        A tensor with a single number, 0 when nothing is hidden; no gradient reaches
        visible pixels of x_hat.
    """
    ### BEGIN SOLUTION
    hidden = mask.expand_as(images)  # (N, 1, H, W) -> (N, C, H, W)
    squared = (x_hat - images) ** 2 * hidden
    return squared.sum() / hidden.sum().clamp(min=1)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_masked_loss", "grade": true}
check.masked_loss(masked_loss)

# %% [markdown]
# Half of each image is hidden. **Predict**: what will the network draw into a hole that covers the door of a house?

# %% tags=["train"]
check.needs("mask_patches", "masked_loss")
generator = torch.Generator().manual_seed(0)
# a picture must know where things are: features of 2 x 2 cells
encoder = first_weights(grid=2)
decoder = ConvDecoder(
    encoder.feature_dim, tuple(data.images.shape[1:]), output="sigmoid",
    generator=generator,
)  # fmt: skip
filler = nn.Sequential(encoder, decoder)


def fill_in(model, images):
    masked, mask = mask_patches(images, 4, 0.5, generator=generator)
    return masked_loss(model(masked), images, mask)


fill_steps = settings.by_profile(smoke=4, laptop=500, full=6_000)
pretrain(filler, fill_in, "Fill in the holes", steps=fill_steps)
masked, mask = mask_patches(
    test_images[:8], 4, 0.5, generator=torch.Generator().manual_seed(1)
)
x_hat = evaluation.predict(filler, masked).to(device)
# what was visible, and the network's guesses in the holes
shown = torch.where(mask, x_hat, test_images[:8])
plots.show(plots.reconstructions(
    masked, shown, clean=test_images[:8], title="Half of the image is enough to guess"
))

# %% [markdown]
# Background and large forms are continued plausibly; corners and doors are smoothed over. Guessing a gray level is
# possible without knowing the class: keep that in mind for the comparison.
#
# ## 5. Look inside: the linear probe
#
# What has each network learned? The usual instrument is a *linear probe*: freeze the encoder, train one linear layer on
# its features with the few labels, and read the test accuracy. It measures how plainly the classes are laid out.
#
# ### Exercise 4.6: linear_probe (15 minutes)
#
# `evaluation.extract_features(encoder, images)` gives the features at rest. Standardize with the *training* features'
# mean and deviation. One linear layer; any optimizer, or scikit-learn.

# %% nbgrader={"grade_id": "linear_probe", "solution": true}
def linear_probe(encoder, images, labels, test_images, test_labels):
    """Test accuracy of a linear classifier on an encoder's frozen features.

    Args:
        encoder: maps (n, C, H, W) to features (n, d). It works in eval mode, without
            gradients; afterwards it is as it was, `encoder.training` included. Features
            may have any scale, and one may be the same for all images.
        images, labels: (N, C, H, W) float and (N,) int64, to train the linear layer on,
            until its loss no longer falls (for example 200 steps of Adam at a rate of
            0.05, on standardized features).
        test_images, test_labels: (M, C, H, W), (M,), only to measure; no other classes.

    Returns:
        The share of test images that are right, a float from 0 to 1.
    """
    ### BEGIN SOLUTION
    train_x = evaluation.extract_features(encoder, images)  # (N, d)
    test_x = evaluation.extract_features(encoder, test_images)  # (M, d)
    mean, std = train_x.mean(dim=0), train_x.std(dim=0) + 1e-6  # for both
    head = nn.Linear(train_x.shape[1], int(labels.max()) + 1)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05, weight_decay=1e-3)
    for _ in range(200):
        loss = F.cross_entropy(head((train_x - mean) / std), labels.cpu())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = head((test_x - mean) / std).argmax(dim=1) == test_labels.cpu()
    return right.float().mean().item()
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_linear_probe", "grade": true}
check.linear_probe(linear_probe)

# %% [markdown]
# Now probe block by block: the encoder has three, and the honest control is the same encoder with its random first
# weights. **Predict**: in which block are the classes plainest? In the random encoder too?

# %% tags=["demo"]
check.needs(
    "rotate_batch", "rotation_pretext", "mask_patches", "masked_loss", "linear_probe"
)


class Block(nn.Module):
    """The first blocks of an encoder, averaged over space: (N, C, H, W) -> (N, d)."""

    def __init__(self, encoder, number):
        super().__init__()
        self.encoder, self.number = encoder, number

    def forward(self, images):
        return self.encoder.block_features(images)[self.number - 1]


few_images, curves = as_float(few.images).to(device), {}
measured_on = few_images, few.labels, test_images, test.labels
encoders = {"rotation": rotation.encoder, "masked": filler[0]}
encoders["random"] = first_weights().to(device)
for name, source in encoders.items():
    curves[f"{name}_frozen"] = {
        number: [linear_probe(Block(source, number), *measured_on)]
        for number in (1, 2, 3)
    }
title = "What a linear layer can read (ten labels per class)"
plots.show(plots.label_curve(curves, x_label="block", title=title))

# %% [markdown]
# | block, recorded | 1 | 2 | 3 |
# |---|---:|---:|---:|
# | after rotation | {{ result("label_curve", "rotation_block1@10").mean | pct }} | {{
# result("label_curve", "rotation_block2@10").mean | pct }} | {{
# result("label_curve", "rotation_block3@10").mean | pct }} |
# | random | {{ result("label_curve", "random_block1@10").mean | pct }} | {{
# result("label_curve", "random_block2@10").mean | pct }} | {{
# result("label_curve", "random_block3@10").mean | pct }} |
# | masked | | | {{ result("label_curve", "masked_block3@10").mean | pct }} |
#
# In deep networks the best block is often an inner one, because the last ones specialize in the pretext. Here there are
# too few blocks for that.

# %% [markdown]
# ## 6. The question of the course: does it help with few labels?
#
# Fine-tune: a new head, all weights trained on the ten labels per class, steps and learning rate as from scratch.
# **Predict** the order of the three.

# %% tags=["train"]
check.needs(
    "rotate_batch", "rotation_pretext", "mask_patches", "masked_loss", "linear_probe"
)
blocks_of_filler = first_weights()
# the same blocks, averaged over the image
blocks_of_filler.blocks.load_state_dict(filler[0].blocks.state_dict())
accuracy["rotation_finetuned"] = finetune(rotation.encoder, "after rotation")
accuracy["masked_finetuned"] = finetune(blocks_of_filler, "after filling in")
accuracy["rotation_frozen"] = curves["rotation_frozen"][3][0]
accuracy["random_frozen"] = curves["random_frozen"][3][0]
plots.show(plots.bar_with_seeds(
    accuracy, baseline=1 / num_classes, title="Ten labels per class, one seed"
))

# %% [markdown]
# One seed is an anecdote. Here are {{ result("label_curve", "scratch@10").n }} recorded seeds at all label budgets,
# with an autoencoder (unit 01) and a variational one for comparison; each had thousands of images to learn from, and
# the last budget labels all of them.

# %% tags=["demo"]
unit, name = "04_pretext_tasks", data.name
if not records.record_path(
    unit, "label_curve", dataset=name, profile="laptop"
).is_file():
    name = "glyphs"  # nothing is recorded on this data set
recorded = records.curves(unit, dataset=name)
order = [
    "rotation_finetuned", "masked_finetuned", "vae_finetuned", "autoencoder_finetuned",
    "scratch",
]  # fmt: skip
order += ["rotation_frozen", "random_frozen"]
plots.show(
    plots.label_curve({key: recorded[key]
    for key in order}, title=f"Pretext tasks (recorded on {name})")
)

# %% [markdown]
# | ten labels per class | trained | frozen, best block |
# |---|---:|---:|
# | random weights | {{ result("label_curve", "scratch@10") | pm(percent=true) }} | {{
# result("label_curve", "random_frozen@10") | pm(percent=true) }} |
# | rotation | {{ result("label_curve", "rotation_finetuned@10") | pm(percent=true) }} | {{
# result("label_curve", "rotation_frozen@10") | pm(percent=true) }} |
# | autoencoder | {{ result("label_curve", "autoencoder_finetuned@10").mean | pct }} | |
# | variational autoencoder | {{ result("label_curve", "vae_finetuned@10").mean | pct }} | |
# | masked | {{ result("label_curve", "masked_finetuned@10").mean | pct }} | |
#
# Rotation helps, and the reconstructions do not. With a single label per class the frozen probe even beats fine-tuning.
#
# | | rotation | scratch |
# |---|---:|---:|
# | fifty labels per class | {{ result("label_curve", "rotation_finetuned@50").mean | pct }} | {{
# result("label_curve", "scratch@50").mean | pct }} |
# | all labels | {{ result("label_curve", "rotation_finetuned@780").mean | pct(1) }} | {{
# result("label_curve", "scratch@780").mean | pct(1) }} |
# | ten, but four times as many images in training | {{
# result("longer", "rotation_finetuned") | pm(percent=true) }} | {{
# result("longer", "scratch") | pm(percent=true) }} |
#
# **The crossover**: only with all labels do both nearly meet. Would longer training do instead? In the last row both
# were fine-tuned on four times as many images.

# %% [markdown]
# | other data, ten labels per class | rotation | scratch |
# |---|---:|---:|
# | MNIST | {{ result("label_curve", "rotation_finetuned@10", dataset="mnist") | pm(percent=true) }} | {{
# result("label_curve", "scratch@10", dataset="mnist") | pm(percent=true) }} |
# | CIFAR-10 as JPEG files | {{
# result("label_curve", "rotation_finetuned@10", dataset="cifar10-jpeg") | pm(percent=true)
# }} | {{ result("label_curve", "scratch@10", dataset="cifar10-jpeg") | pm(percent=true) }} |
#
# On MNIST the gain is small, because zeros, ones and eights have no up. On small color photographs a network this
# small, trained for a minute, stays far from the large gain that is published (Gidaris et al. 2018).
#
# The other axis is *unlabeled* images. **Predict**: how many does the pretext need?

# %% tags=["demo"]
from IPython.display import Markdown

amount = records.curves(unit, "unlabeled", dataset="glyphs")
plots.show(plots.label_curve(
    amount, x_label="unlabeled images",
    title="Ten labels per class (recorded on glyphs)",
))  # fmt: skip
Markdown(records.results_table(up_to=unit))

# %% [markdown]
# | unlabeled images, equal steps | fine-tuned | frozen |
# |---|---:|---:|
# | 300 | {{ result("unlabeled", "rotation_finetuned@300").mean | pct }} | {{
# result("unlabeled", "rotation_frozen@300").mean | pct }} |
# | all | {{ result("unlabeled", "rotation_finetuned@7800").mean | pct }} | {{
# result("unlabeled", "rotation_frozen@7800").mean | pct }} |
#
# Three hundred unlabeled images already give most of what fine-tuning gains, but the frozen features need more. The
# course's table, in the output above, has grown.
#
# | encoder, shorter pretraining | fine-tuned | from scratch |
# |---|---:|---:|
# | two blocks | {{ result("ablation", "16-32_finetuned").mean | pct }} | {{
# result("ablation", "16-32_scratch").mean | pct }} |
# | three of half the width | {{ result("ablation", "8-16-32_finetuned").mean | pct }} | {{
# result("ablation", "8-16-32_scratch").mean | pct }} |
# | ours | {{ result("ablation", "16-32-64_finetuned").mean | pct }} | {{
# result("ablation", "16-32-64_scratch").mean | pct }} |
#
# Pretraining helps each of them, but it does not replace depth.
#
# ## 7. When it fails: a network that cheats
#
# Why only quarter turns? Ask for a turn by 45 degrees, and the corners of the turned image come from nowhere: they are
# black. **Predict** the accuracy of this task after a few steps, and what the features will be worth.

# %% tags=["train"]
def straight_or_tilted(images):
    turn = torch.tensor([[0.7071, -0.7071, 0.0], [0.7071, 0.7071, 0.0]])
    turns = turn.to(images.device).expand(len(images), 2, 3)
    grid = F.affine_grid(turns, images.shape, align_corners=False)
    tilted = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    labels = torch.arange(2, device=images.device).repeat_interleave(len(images))
    return torch.cat([images, tilted]), labels


def is_tilted(model, images):
    x, labels = straight_or_tilted(images)
    return F.cross_entropy(model(x), labels)


cheat = Classifier(first_weights(), 2, generator=torch.Generator().manual_seed(0))
tilt_steps = settings.by_profile(smoke=4, laptop=250, full=1_000)
floor = math.log(2)
pretrain(cheat, is_tilted, "Tilted by 45 degrees?", steps=tilt_steps, baseline=floor)
white, _ = straight_or_tilted(torch.ones_like(test_images))
corners = white[len(test_images) :] < 0.5  # where nothing is
painted = test_images.masked_fill(corners, 0.0)  # upright, with black corners
kinds = {"upright": test_images, "upright, corners painted black": painted}
for name, pictures in kinds.items():
    called = (evaluation.predict(cheat, pictures).argmax(dim=1) == 1).float().mean()
    print(f"{name:31} called tilted: {called:.0%}")
title = "Upright, with black corners: the network predicts tilted"
plots.show(plots.image_grid(painted[:8], columns=8, title=title))

# %% [markdown]
# The pretext is solved almost perfectly, and the network looked at four triangles, because painting them black changes
# its prediction.
#
# | recorded, as many steps | task | frozen | fine-tuned |
# |---|---:|---:|---:|
# | tilted by 45 degrees | {{ result("artefacts", "corners_pretext").mean | pct }} | {{
# result("artefacts", "corners_frozen").mean | pct }} | {{
# result("artefacts", "corners_finetuned") | pm(percent=true) }} |
# | four turns | {{ result("artefacts", "turns_pretext").mean | pct }} | {{
# result("artefacts", "turns_frozen").mean | pct }} | {{
# result("artefacts", "turns_finetuned") | pm(percent=true) }} |
# | four turns, flipped before | {{ result("artefacts", "vflip_pretext").mean | pct }} | {{
# result("artefacts", "vflip_frozen").mean | pct }} | |
#
# Frozen, the features of the cheat are worth less than the random encoder's. Fine-tuned, they are no better than
# scratch.
#
# The last row is the opposite error, because it asks for what cannot be known. Images were flipped upside down at
# random *before* the turns, as an innocent augmentation. But half a turn and an upside-down flip differ by a mirror
# only, so the accuracy on the task falls, and the probe with it.

# %% [markdown] nbgrader={"grade_id": "pretext_for_microscopy", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A colleague has thousands of microscope images of cells and a handful of labels. He
# pretrains with the rotation task; it reaches almost full accuracy within minutes, and fine-tuning gains nothing. In
# four to six sentences, (a) explain how the pretext can be solved although cells have no up, and why that teaches
# nothing, (b) say how he could have found out without more labels, and (c) propose another pretext task for these
# images and say which knowledge its answer needs.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* Cells have no way up, so their shape cannot give the turn away; something else must, for example
# a stamp, uneven light from one side, or the scanner's black border, which turn with the image. The encoder only needs
# to find that one trace, and need not describe a single cell. He could cover borders or flatten the light and see
# whether the accuracy falls to one in four, or look at which pixels change the answer. I would hide patches and have
# them reconstructed, with large patches, or ask for the relative position of two of them: to continue a cell one must
# know how cells are built.
#
# *Sample answer (2).* There is probably an artefact such as a border that shows the rotation, so the network does not
# need the cells. He could cut the border off and look whether the accuracy stays. He should use masked reconstruction
# instead.
#
# *Sample answer (1).* Rotation does not work for cells because they look the same from all sides, so he should use
# another method.
#
# *Rubric.* One point each. (a) names a possible shortcut AND says that it makes knowledge of cells unnecessary. (b) is
# a test that removes or isolates the shortcut, and what one would see (asking for more labels earns no point). (c) is a
# task that is not rotation, with the knowledge that its answer needs (the task alone earns no point).
# ### END SOLUTION

# %% [markdown]
# ## 8. Quiz
#
# Ungraded. Answer first, then open.
#
# <details><summary>1. Your rotation loss stays at log 4 from beginning to end. What do you check first?</summary>
# Whether image and label belong together: print a few turned images with their labels.</details>
#
# <details><summary>2. Why is the head of the pretext thrown away?</summary>
# It answers how far an image was turned; the classes are asked for by a new head.</details>
#
# <details><summary>3. Pretext A is solved nearly always, pretext B often. Which one is better?</summary>
# One cannot know. Probe both.</details>
#
# <details><summary>4. The masked loss falls quickly when visible pixels count too. Why is that no progress?</summary>
# Visible pixels can be copied; they fill the loss with what needs no knowledge.</details>

# %% [markdown]
# ## Take away
#
# - A pretext task makes a classification problem out of unlabeled images; its answers are free.
# - It teaches what its answer needs: turns need shape, holes need gray levels, black corners need nothing.
# - Image and label come from the same draw, in the same order.
# - A probe: encoder at rest, one linear layer, training statistics, the random encoder beside it.
# - The gain is large with few labels and gone with many; accuracy on the pretext does not measure it.
#
# **Where this is used.** Satellite images (turns), video (order of frames), text (missing words), speech
# (missing sounds), robots (what moved me).
#
# **Further reading.** Gidaris et al. (2018), *Unsupervised Representation Learning by Predicting Image Rotations*; He
# et al. (2022), *Masked Autoencoders Are Scalable Vision Learners*.
#
# **Bonus.** (1) `COURSE_DATASET=mnist`: why do black corners not betray a tilt there? (2) Leave the star out of the
# pretext: does the probe gain?
