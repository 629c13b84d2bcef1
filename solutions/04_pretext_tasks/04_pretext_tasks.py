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
# *Rotate an image and ask by how much: this task needs no label. Does a network that solves it need fewer labels for
# another task? And which pretext task should you choose?*
#
# **You will** rotate, flip and mask batches of images, write a loss for hidden pixels only, and build a linear probe.
# **You will measure** what each task is worth at every label budget, and see two tasks that mislead.
#
# **You need** PyTorch [modules](https://pytorch.org/docs/stable/notes/modules.html), a [training
# loop](https://pytorch.org/tutorials/beginner/basics/optimization_tutorial.html) (unit 00) and
# [convolutions](https://cs231n.github.io/convolutional-networks/).
#
# **Time**: about 2 to 2.5 hours in two sittings, with a natural break after section 4 (4 minutes of computing).
#
# <details><summary>Warm-up 1 (unit 00). What is a control?</summary> The same network, data and steps without the idea
# that is tested.</details>
#
# <details><summary>Warm-up 2 (unit 01). Why did reconstruction help little with the class?</summary> Squared error
# cares more about place and brightness.</details>

# %% tags=["setup"]
import math

import torch
from IPython.display import Markdown
from torch import nn
from torch.nn import functional as F

from course_lib import evaluation, plots, records, settings, widgets
from course_lib.data import Batches, as_float, augment, load, split_labels
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import Classifier, ConvDecoder, ConvEncoder, eval_mode
from course_lib.training import fit, fit_classifier

# %% tags=["setup"]
check = checks_for("04_pretext_tasks")
predict = predictions_for("04_pretext_tasks")
data = load(n=settings.by_profile(smoke=1_000, laptop=8_000, full=8_000))
test = load(split="test", n=settings.by_profile(smoke=300, laptop=2_000, full=2_000))
device, channels, num_classes = settings.device(), data.images.shape[1], len(
    data.class_names
)
test_images = as_float(test.images).to(device)  # (N, C, H, W) in [0, 1]
split = split_labels(
    data.labels, per_class=10, generator=torch.Generator().manual_seed(0)
)
few = data.subset(split.labeled)
pool = data.images[torch.cat([split.labeled, split.unlabeled])]
print(f"{data.name}: {len(few)} images with a label, {len(pool):,} images without")

# %% [markdown]
# ## 1. Ten labels per class
#
# The baseline of this unit is the small encoder of the course, three blocks of convolutions, trained from random
# weights on ten labeled images per class. `finetune` trains any encoder in this way. `pretrain` is for later: it trains
# the same encoder, from the same initial weights, on a pretext task that *you* write.

# %% tags=["train"]
def first_weights(grid=1):
    return ConvEncoder(channels, grid=grid, generator=torch.Generator().manual_seed(0))


def finetune(encoder, title):
    steps = settings.by_profile(smoke=2, laptop=800, full=4_000)
    model = fit_classifier(encoder, few, steps=steps, label=title)
    return evaluation.accuracy_on(model, test)


def pretrain(model, loss_fn, title, *, steps, **baseline):
    batches = Batches(pool, batch_size=64, shuffle=True, augment=augment.random_shift)
    curve = plots.live_curve(steps, title=title, **baseline)
    fit(model, batches, loss_fn, steps=steps, lr=3e-3, label=title, on_step=curve)
    return model


accuracy = {"scratch": finetune(first_weights(), "from scratch")}
print(f"test accuracy with ten labels per class: {accuracy['scratch']:.0%}")
print(f"guessing: {1 / num_classes:.0%}")

# %% [markdown]
# From scratch the encoder reaches {{ result("protocol", "scratch_weak@10") | pm(percent=true) }} (*recorded*, which
# means mean ± standard deviation over three seeds). With fifty labels per class it is {{ result("protocol",
# "scratch_weak@50").mean | pct }}. So the network is large enough, and the labels are too few.
#
# ## 2. Which way is up?
#
# *Self-supervised learning* computes labels from the images themselves. A *pretext task* is a question whose answer is
# known without labels, because we changed the image ourselves. Gidaris et al. (2018) rotate each image $x$ by $k$
# quarter turns and ask for $k$:
#
# $$L = -\frac{1}{4N} \sum_{n=1}^{N} \sum_{k=0}^{3} \log p\,(k \mid R^k x_n), \qquad R = \text{a quarter turn}$$
#
# Why this task? Brightness, place and clutter do not tell how far the image was rotated, but the shape does.
#
# ### Exercise 4.1: rotate_batch (warm-up, 8 minutes)
#
# Rotate counterclockwise, from height towards width. Pay attention to the dimensions.

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
# Try the task yourself before a network does. Are there images for which you cannot give an answer?

# %% tags=["demo"]
check.needs("rotate_batch")
secret = torch.randint(0, 4, (16,), generator=torch.Generator().manual_seed(3)).tolist()
puzzle = [rotate_batch(test_images[i : i + 1], k) for i, k in enumerate(secret)]
answers = [("upright", "1 quarter", "2 quarters", "3 quarters")[k] for k in secret]
title = "By how many quarter turns?"
plots.show(plots.image_grid(torch.cat(puzzle), captions=answers, title=title))

# %% [markdown]
# You can answer for most images, because you know houses, trees and cups. This knowledge is what we want the network to
# acquire.
#
# ### Exercise 4.2: rotation_pretext (core, 10 minutes)
#
# Next, put all four rotations of every image into one batch, with their labels. This has two advantages: the four
# labels are balanced, and all four versions share the same batch statistics. Images are square here.

# %% tags=["demo"]
plots.show(plots.diagram_rotation_batch())

# %% [markdown]
# The label of a row is the number of quarter turns, so it needs no person. After pretraining the encoder is kept, and
# the head is thrown away.
#
# Shapes: `images` `(N, C, H, H)`, `x` `(4N, C, H, H)` and `labels` `(4N,)`. Row $kN + i$ is image $i$, rotated $k$
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
# Now train on thousands of images without labels. The dashed line is the loss of guessing, $\log 4$. **Predict**: for
# which class will the network make most mistakes?

# %% tags=["predict"]
predict.hardest(...)  # a class, such as "house"

# %% tags=["train"]
check.needs("rotate_batch", "rotation_pretext")


def which_turn(model, images):
    x, labels = rotation_pretext(images)
    return F.cross_entropy(model(x), labels)


steps = settings.by_profile(smoke=4, laptop=1_000, full=4_000)
rotation = Classifier(first_weights(), 4, generator=torch.Generator().manual_seed(0))
line = {"baseline": math.log(4), "baseline_label": "guessing"}
pretrain(rotation, which_turn, "Which way is up?", steps=steps, **line)
# ring and cross among them
seen = load(split="test", n=len(test), anomalies=0.2) if data.name == "glyphs" else test
x, labels = rotation_pretext(as_float(seen.images).to(device))
right = evaluation.predict(rotation, x).argmax(dim=1) == labels.cpu()  # (4N,)
by_class = {
    name: right[seen.labels.repeat(4) == k].double().mean().item()
    for k, name in enumerate(seen.class_names)
}
plots.show(plots.bar_with_seeds(
    by_class, styled_as="rotation", baseline=0.25, baseline_label="guessing",
    x_label="rotation accuracy",
    title="For which classes can the rotation be predicted?",
))  # fmt: skip
predict.hardest.compare()

# %% [markdown]
# | class, recorded | rotation accuracy |
# |---|---:|
# | all | {{ result("rotation_classes", "all").mean | pct }} |
# | house | {{ result("rotation_classes", "house").mean | pct }} |
# | star | {{ result("rotation_classes", "star").mean | pct }} |
# | ring (not in training) | {{ result("rotation_classes", "ring").mean | pct }} |
# | cross (not in training) | {{ result("rotation_classes", "cross").mean | pct }} |
#
# The star looks almost the same in all four positions. The ring and the cross are exactly symmetric, so no network can
# do better than guessing. Training steps on such images teach nothing.
#
# The network was never trained on angles between the quarter turns. Rotate an image slowly. At which angles does the
# prediction change?

# %% tags=["demo"]
check.needs("rotate_batch", "rotation_pretext")


def turn_probabilities(images):
    return evaluation.predict(rotation, images).softmax(dim=1)


widgets.turn_explorer(
    test.images[:40], turn_probabilities, start=30, title="How far was it turned?"
)

# %% [markdown]
# Near the quarter turns the prediction is confident. In between it changes from one quarter turn to the next. This
# suggests that the network uses the direction of the shape, and has not only memorized four pictures.
#
# ## 3. Another question: mirrored or upside down?
#
# Any change with a known answer can be a pretext task. A fair coin $c_n$ for each image decides whether it is mirrored
# left to right ($c_n = 0$) or flipped upside down ($c_n = 1$). Every image is flipped in one of the two ways, so the
# network has to find the direction.
#
# ### Exercise 4.3: flip_pretext (core, 12 minutes)
#
# This task needs random numbers, and they make the most harmful mistake of this unit possible. The label of an image
# must be the coin that flipped it, and not a second draw.

# %% nbgrader={"grade_id": "flip_pretext", "solution": true}
def flip_pretext(images, *, generator):
    """Flips each image in one of two ways, and labels it with the way.

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
# The cell shows such a batch, made by your function. **Predict**: which task will help more with the classes after
# fine-tuning, rotations or flips? Can you tell from the accuracy on the task itself?

# %% tags=["predict"]
predict.worth_more(...)  # "rotations" or "flips"

# %% tags=["demo"]
check.needs("flip_pretext")
generator = torch.Generator().manual_seed(2)
flipped, coins = flip_pretext(test_images[8:16], generator=generator)
told = ["upside down" if coin else "mirrored" for coin in coins.tolist()]
plots.show(plots.image_grid(flipped, captions=told, title="Flips and their labels"))
predict.worth_more.compare()

# %% [markdown]
# {{ figures_table({"rotations": "rotation", "flips": "flip"}, {"the task itself": "_pretext", "probe, 10 labels":
# "_frozen", "fine-tuned, 10 labels": "_finetuned"}, "pretexts", head="recorded, equal steps") }}
#
# Flips are predicted more accurately, but rotations are worth more, {{ every_seed("flip_pretext > rotation_pretext,
# rotation_finetuned > flip_finetuned, rotation_frozen > flip_frozen", "pretexts") }}. So the accuracy on a pretext task
# does not measure its value. (Fine-tuning has 300 steps in this table, and 800 in section 6.) Choose by a *probe* on
# validation labels, which is a linear classifier on frozen features (section 5), or think about which knowledge the
# answer needs.
#
# ## 4. Fill in the holes
#
# A third task is *masked reconstruction*: hide patches of an image, and fill them in (Pathak et al. 2016; He et al.
# 2022).

# %% tags=["demo"]
plots.show(plots.diagram_masking())

# %% [markdown]
# The network sees the image without its hidden patches, and the loss looks at these patches only. So the gradient comes
# from pixels that the network had to guess.
#
# ### Exercise 4.4: mask_patches (hard, 15 minutes)
#
# Shapes: with patches of $p$ pixels per side there are $H/p$ rows and $W/p$ columns, and `mask` is `(N, 1, H, W)`.

# %% nbgrader={"grade_id": "mask_patches", "solution": true}
def mask_patches(images, patch_size, ratio, *, generator):
    """Hides the same number of patches in each image, drawn anew for each image.

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
# The loss uses hidden pixels only. With $m_{np} = 1$ where pixel $p$ of image $n$ is hidden, and 0 elsewhere:
#
# $$L = \frac{\sum_{n,p} m_{np} (\hat x_{np} - x_{np})^2}{\sum_{n,p} m_{np}}, \qquad
# \frac{\partial L}{\partial \hat x_{np}} = 0 \;\text{ wherever }\; m_{np} = 0$$
#
# Otherwise a large part of the loss would only reward copying visible pixels. A color pixel counts once for each
# channel.
#
# ### Exercise 4.5: masked_loss (core, 10 minutes)

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
# Half of each image is hidden. What will the network draw into a hole that covers the door of a house?

# %% tags=["train"]
check.needs("mask_patches", "masked_loss")
generator = torch.Generator().manual_seed(0)
# a picture must know where things are: features of 2 x 2 cells
encoder = first_weights(grid=2)
options = {"output": "sigmoid", "generator": generator}
decoder = ConvDecoder(encoder.feature_dim, tuple(data.images.shape[1:]), **options)
filler = nn.Sequential(encoder, decoder)


def fill_in(model, images):
    masked, mask = mask_patches(images, 4, 0.5, generator=generator)
    return masked_loss(model(masked), images, mask)


fill_steps = settings.by_profile(smoke=4, laptop=500, full=6_000)
pretrain(filler, fill_in, "Fill in the holes", steps=fill_steps)
clean, title = test_images[:8], "Half of the image is hidden"
masked, mask = mask_patches(clean, 4, 0.5, generator=torch.Generator().manual_seed(1))
x_hat = evaluation.predict(filler, masked).to(device)
# what was visible, and the network's guesses in the holes
shown = torch.where(mask, x_hat, clean)
plots.show(plots.reconstructions(masked, shown, clean=clean, title=title))

# %% [markdown]
# Background and large shapes are continued plausibly, but corners and doors are blurred. This suggests that a gray
# level can often be guessed without knowing the class. (In masked autoencoders a transformer sees only the visible
# patches, and 75 % are hidden (He et al. 2022). Our convolutions see zeros in the holes.)
#
# *A natural break.*
#
# ## 5. Look inside: the linear probe
#
# A *linear probe* is a linear classifier on frozen features, trained with the few labels. Its test accuracy measures
# how well a linear layer can separate the classes.
#
# ### Exercise 4.6: linear_probe (hard, 15 minutes)
#
# `evaluation.extract_features(encoder, images)` computes features under `eval_mode` and without gradients. Standardize
# training *and* test features with the mean and standard deviation of the *training* features. Then train one linear
# layer, with any optimizer. The check compares your accuracy with that of a layer that fits well, so train long enough
# and regularize weakly.

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
    with eval_mode(encoder), torch.no_grad():
        train_x, test_x = encoder(images).cpu(), encoder(test_images).cpu()  # (n, d)
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
# Now probe the three blocks. The control is the same encoder with its random initial weights. **Predict** which block
# has the highest accuracy after rotation.

# %% tags=["predict"]
predict.best_block(...)  # "block 1", "block 2" or "block 3"

# %% tags=["demo"]
check.needs(
    "rotate_batch", "rotation_pretext", "mask_patches", "masked_loss", "linear_probe"
)


def first_blocks(encoder, number):
    """The first blocks, averaged over the image: (N, C, H, W) -> (N, d)."""
    pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*encoder.blocks[:number], *pooled)


few_images, curves = as_float(few.images).to(device), {}
encoders = {"rotation": rotation.encoder, "masked": filler[0]}
encoders["random"] = first_weights().to(device)
for name, encoder in encoders.items():
    curve = curves[f"{name}_frozen"] = {}
    for number in (1, 2, 3):
        frozen = first_blocks(encoder, number)
        found = linear_probe(frozen, few_images, few.labels, test_images, test.labels)
        curve[number] = [found]
title = "What a linear layer can read (ten labels per class)"
plots.show(plots.label_curve(curves, x_label="block", title=title))
mine = max((1, 2, 3), key=lambda number: curves["rotation_frozen"][number][0])
predict.best_block.compare(f"block {mine}")

# %% [markdown]
# {{ figures_table({"after rotation": "rotation", "after masking": "masked", "random": "random"}, {"1": "_block1@10",
# "2": "_block2@10", "3": "_block3@10"}, "label_curve", head="block, recorded") }}
#
# After rotation the last block is best, {{ every_seed("rotation_block3@10 > rotation_block2@10, rotation_block2@10 >
# rotation_block1@10", "label_curve") }}. After masking, the features are hardly better than random ones. In deeper
# networks an inner block is often better, because the last ones specialize in the pretext task.
#
# ## 6. The question of the course: does it help with few labels?
#
# Here is *pretraining* followed by fine-tuning: the encoder gets a new head, and all weights are trained on the ten
# labels per class, with the steps and learning rate of training from scratch. What is the order of
# rotation, masked and from scratch? **Predict** the accuracy after rotation.

# %% tags=["predict"]
predict.after_rotation(...)  # a share between 0 and 1

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
title = "Ten labels per class, one seed"
plots.show(plots.bar_with_seeds(accuracy, baseline=1 / num_classes, title=title))
predict.after_rotation.compare(accuracy["rotation_finetuned"])

# %% [markdown]
# Your bars show one seed, and that is not enough. The next figure shows {{ result("protocol", "rotation_weak@10").n }}
# recorded seeds of the recipe that the whole course shares: every curve has the same encoder, labels, steps and batch
# size. The figure also has a control, which is data augmentation. *Weak views* are shifted images, as in your run.
# *Strong views* are also turned, scaled, changed in contrast, and partly covered. Such data augmentation needs no
# unlabeled images.

# %% tags=["demo"]
order = ["rotation_strong", "scratch_strong", "rotation_weak", "scratch_weak"]
order += ["masked_weak", "rotation_frozen", "random_frozen"]
plots.show(plots.recorded_curves(
    "04_pretext_tasks", "protocol", order, dataset=data.name, title="Pretext tasks"
))

# %% [markdown]
# {{ figures_table({"rotation, strong views": "rotation_strong", "from scratch, strong views": "scratch_strong",
# "rotation, weak views": "rotation_weak", "masked, weak views": "masked_weak", "autoencoder, weak views":
# "autoencoder_weak", "VAE, weak views": "vae_weak", "from scratch, weak views": "scratch_weak", "rotation, frozen":
# "rotation_frozen", "random, frozen": "random_frozen"}, (1, 5, 10, 50), "protocol") }}
#
# With the same views, rotation beats scratch at every budget, {{ every_seed("rotation_weak@1 > scratch_weak@1,
# rotation_weak@2 > scratch_weak@2, rotation_weak@5 > scratch_weak@5, rotation_weak@10 > scratch_weak@10,
# rotation_weak@20 > scratch_weak@20, rotation_weak@50 > scratch_weak@50, rotation_strong@1 > scratch_strong@1,
# rotation_strong@2 > scratch_strong@2, rotation_strong@5 > scratch_strong@5, rotation_strong@10 > scratch_strong@10,
# rotation_strong@20 > scratch_strong@20, rotation_strong@50 > scratch_strong@50", "protocol") }}. **The gap closes with
# more labels**: at fifty it is {{ result("protocol", "rotation_weak@50").mean | pct(1) }} against {{ result("protocol",
# "scratch_weak@50").mean | pct(1) }}. The three kinds of reconstruction gain little or nothing on glyphs.
#
# "Frozen" means the best of three blocks, chosen on 20 *validation* labels per class. So these rows have used more
# labels than the column says. With one label, frozen rotation features beat fine-tuning with weak views, {{
# every_seed("rotation_frozen@1 > rotation_weak@1", "protocol") }}.

# %% [markdown]
# **Read the gain against the right baseline.** Strong views of the labeled images alone reach {{ result("protocol",
# "scratch_strong@10").mean | pct }} at ten labels. Rotation with weak views reaches {{ result("protocol",
# "rotation_weak@10").mean | pct }}. So at ten labels data augmentation is worth about as much as this pretraining. The
# two add up: rotation with strong views is better than either alone, {{ every_seed("rotation_strong@5 >
# rotation_weak@5, rotation_strong@10 > rotation_weak@10, rotation_strong@10 > scratch_strong@10, rotation_strong@5 >
# scratch_strong@5", "protocol") }}.
#
# On real digits rotation gains nothing clear beside scratch with the same views. Strong views still do:
#
# {{ figures_table({"rotation, weak views": "rotation_weak", "from scratch, weak views": "scratch_weak",
# "from scratch, strong views": "scratch_strong"}, (1, 5, 10, 50), "protocol", dataset="digits") }}
#
# On small photographs (CIFAR-10, 300 steps, ten labels) rotation reaches {{ result("label_curve",
# "rotation_finetuned@10", dataset="cifar10-jpeg").mean | pct }} and scratch {{ result("label_curve", "scratch@10",
# dataset="cifar10-jpeg").mean | pct }}, a gain {{ every_seed("rotation_finetuned@10 > scratch@10", "label_curve",
# dataset="cifar10-jpeg") }}.
#
# Next: how many *unlabeled* images are needed?

# %% tags=["demo"]
options = {"dataset": data.name, "x_label": "unlabeled images"}
plots.show(plots.recorded_curves(
    "04_pretext_tasks", "unlabeled", title="Ten labels per class", **options
))
Markdown(records.results_table(up_to="04_pretext_tasks"))

# %% [markdown]
# {{ figures_table({"fine-tuned": "rotation_finetuned", "frozen": "rotation_frozen"}, (300, 7800), "unlabeled",
# head="unlabeled images, equal steps") }}
#
# Here fine-tuning has 300 steps (scratch: {{ result("label_curve", "scratch@10").mean | pct }}). So 300 unlabeled
# images already give most of the gain. Frozen features need more. Other networks, with shorter pretraining:
#
# {{ figures_table({"two blocks": "16-32", "three, half the width": "8-16-32", "ours": "16-32-64"}, {"scratch":
# "_scratch", "fine-tuned": "_finetuned", "frozen": "_frozen"}, "ablation", head="encoder") }}
#
# Pretraining helps each of them, {{ every_seed("16-32_finetuned > 16-32_scratch, 8-16-32_finetuned > 8-16-32_scratch,
# 16-32-64_finetuned > 16-32-64_scratch", "ablation") }}. But with two blocks fine-tuning ends far *below* the probe on
# the same features, {{ every_seed("16-32_finetuned < 16-32_frozen", "ablation") }}. This suggests that fine-tuning can
# damage what was learned, which is the theme of unit 06.
#
# ## 7. When it fails: a network that cheats
#
# Why only quarter turns? After a rotation by 45 degrees the corners of the image are black. How well can a network
# predict this tilt? **Predict** the accuracy of a probe on its features, at ten labels per class.

# %% tags=["predict"]
predict.tilt_features(...)  # a share between 0 and 1

# %% tags=["train"]
def is_tilted(model, images):
    x = torch.cat([images, augment.turned(images, 45)])  # with black corners
    labels = torch.arange(2, device=images.device).repeat_interleave(len(images))
    return F.cross_entropy(model(x), labels)


cheat = Classifier(first_weights(), 2, generator=torch.Generator().manual_seed(0))
steps = settings.by_profile(smoke=4, laptop=250, full=1_000)
line = {"baseline": math.log(2), "baseline_label": "guessing"}
pretrain(cheat, is_tilted, "Tilted by 45 degrees?", steps=steps, **line)
corners = augment.turned(torch.ones_like(test_images), 45) < 0.5  # where nothing is
painted = test_images.masked_fill(corners, 0.0)  # upright, with black corners
kinds = {"upright": test_images, "upright, corners painted black": painted}
for name, pictures in kinds.items():
    tilted = evaluation.predicted_shares(evaluation.predict(cheat, pictures))[1]
    print(f"{name:31} predicted tilted: {tilted:.0%}")
predict.tilt_features.compare()
title = "Upright, with black corners: the network predicts tilted"
plots.show(plots.image_grid(painted[:8], title=title))

# %% [markdown]
# {{ figures_table({"tilted by 45 degrees": "corners", "four rotations": "turns", "four, flipped before": "vflip"},
# {"the task": "_pretext", "frozen": "_frozen", "fine-tuned": "_finetuned"}, "artefacts", head="recorded, equal steps")
# }}
#
# The tilt is predicted almost perfectly, but only by the corners: painting them black flips the prediction. This is a
# *shortcut*, a hint that solves the task and teaches nothing about the image. A probe on these features is worse than
# on random ones, and fine-tuning ends below scratch ({{ result("label_curve", "scratch@10").mean | pct }}).
#
# The last row is the opposite mistake, a question that cannot always be answered. Images were flipped upside down at
# random *before* rotating. An upside-down flip and a half turn differ only by a mirror image, so at best about half of
# the answers are right. The task accuracy falls, and that of the probe a little, {{ every_seed("vflip_frozen <
# turns_frozen", "artefacts") }}. Yet after fine-tuning the flips cost nothing. This suggests that the answerable half
# is enough.

# %% [markdown] nbgrader={"grade_id": "pretext_for_microscopy", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A colleague has thousands of microscope images of cells and a handful of labels. They
# pretrain a network with the rotation task. It predicts almost all rotations correctly within minutes, but fine-tuning
# gains nothing. In four to six sentences, (a) explain how the network can solve the task although a cell has no upper
# side, and why that teaches nothing, (b) say how they could have found out without more labels, and (c) propose another
# pretext task for these images and say which knowledge its answer needs.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* Cells have no way up, so their shape cannot give the turn away; something else must, for example
# a stamp, uneven light from one side, or the scanner's black border, which turn with the image. The encoder only needs
# to find that one trace, and need not describe a single cell. They could cover borders or flatten the light and see
# whether the accuracy falls to one in four, or look at which pixels change the answer. I would hide patches and have
# them reconstructed, with large patches, or ask for the relative position of two of them: to continue a cell one must
# know how cells are built.
#
# *Sample answer (2).* There is probably an artefact such as a border that shows the rotation, so the network does not
# need the cells. He could cut the border off and look whether the accuracy stays. They should use masked reconstruction
# instead.
#
# *Sample answer (1).* Rotation does not work for cells because they look the same from all sides, so they should use
# another method.
#
# *Rubric.* One point each. (a) names a possible shortcut AND says that it makes knowledge of cells unnecessary. (b) is
# a test that removes or isolates the shortcut, and what one would see (asking for more labels earns no point). (c) is a
# task that is not rotation, with the knowledge that its answer needs (the task alone earns no point).
# ### END SOLUTION

# %% [markdown]
# ## 8. Quiz
#
# Ungraded. Answer first, then open. Your predictions are summed up below.
#
# <details><summary>1. Your rotation loss stays at log 4 from beginning to end. What do you check first?</summary>
# Whether image and label belong together: print a few rotated images with their labels.</details>
#
# <details><summary>2. Why is the head of the pretext task thrown away?</summary> It predicts rotations. For the classes
# you need a new head.</details>
#
# <details><summary>3. The accuracy on pretext task A is high, on B it is lower. Which task is better?</summary> You
# cannot know. Probe both.</details>
#
# <details><summary>4. The masked loss falls quickly when visible pixels count too. Why is this not progress?</summary>
# Visible pixels can be copied, which needs no knowledge.</details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# - Yes, it needs fewer labels: on glyphs, rotation is ahead of scratch at every budget. The gap is largest at five
#   labels per class and closes with more.
# - Data augmentation alone is worth about as much as rotation on glyphs, and the two add up. On small photographs
#   rotation gains little.
# - A task teaches what its answer needs. Rotations need shape, holes need mostly gray levels, and black corners need no
#   image content at all. So choose by a probe, not by the accuracy on the task.
# - Image and label come from the same draw, in the same order.
# - A probe has a frozen encoder in eval mode, one linear layer, the statistics of the training features, and a random
#   encoder as control.

# %% [markdown]
# ## What became of it
#
# After rotation came **contrastive learning** (SimCLR): two views of an image should have similar features, and views
# of other images different ones. BYOL and DINO work without the comparison with other images, and masked autoencoders
# fill in patches with a transformer. Today's vision foundation models, such as DINOv2, combine these tasks on very many
# images. **Language models** are first trained by pretext tasks alone: BERT fills in hidden words, and GPT predicts the
# next one.
#
# In **medicine**, pathology models are pretrained on slides without labels, and then a probe needs only a few labels.
# In **finance**, models predict hidden or next transactions of a customer. In **speech**, wav2vec fills in hidden
# sounds. In **robotics**, a network predicts which action lies between two frames.

# %% [markdown]
# **Further reading.**
#
# - Gidaris et al. (2018), *Unsupervised Representation Learning by Predicting Image Rotations*: the method of this unit
#   on photographs, and where the features are best.
# - He et al. (2022), *Masked Autoencoders Are Scalable Vision Learners*: why most patches have to be hidden.
# - Balestriero et al. (2023), *A Cookbook of Self-Supervised Learning*: what came after, with practical advice.
#
# **Challenge.** Beat {{ result("protocol", "rotation_weak@10").mean | pct }} at ten labels per class with a
# pretext task of your own, or with two of them together. Keep steps and learning rate of the fine-tuning.
#
# **Bonus.** (1) `COURSE_DATASET=mnist`: why do black corners not betray a tilt there? (2) Leave the star out of the
# pretext task. Does the probe gain?
