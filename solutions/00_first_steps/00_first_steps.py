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
# # First steps: what few labels cost
#
# *How much accuracy does a network lose when it has ten labels per class instead of thousands? And how can you tell
# that the number you measured is right?*
#
# **You will** measure accuracy, write a check for it, evaluate a network, make one training step, and choose a few
# labels fairly. **You will see** what labels are worth, and three mistakes that give no error message.
#
# **You need** Python and a little PyTorch: tensors, `nn.Module`, `loss.backward()` ([to refresh
# it](https://pytorch.org/tutorials/beginner/basics/intro.html)), shapes that
# [broadcast](https://pytorch.org/docs/stable/notes/broadcasting.html), and
# [convolutions](https://cs231n.github.io/convolutional-networks/). [Ten questions](prerequisites.md) test it.
#
# **Time**: about 1.75 to 2 hours in two sittings, with a break after section 4 (3 minutes of computing).
#
# **How a unit works.** Shift-Enter runs a cell. Replace `raise NotImplementedError(...)` by your own code. The cell
# below it checks your code at once, says what is wrong, and offers hints. Try as often as you like.

# %% tags=["setup"]
import copy
import math

import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_lib import evaluation, plots, settings, widgets
from course_lib.data import Batches, as_float, augment, endless, load
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import Classifier, ConvEncoder, count_parameters

# %% tags=["setup"]
check = checks_for("00_first_steps")
predict = predictions_for("00_first_steps")
data = load(n=settings.by_profile(smoke=1_000, laptop=8_000, full=8_000))
test = load(split="test", n=settings.by_profile(smoke=300, laptop=2_000, full=2_000))
steps = settings.by_profile(smoke=4, laptop=300, full=2_000)
num_classes = len(data.class_names)

# %% [markdown]
# ## 1. From logits to accuracy
#
# A classifier outputs $K$ numbers per image, one for each class, called *logits*. The *softmax* turns them into
# probabilities, $p_k = e^{z_k} / \sum_j e^{z_j}$. Because it keeps the order, the predicted class is the one with the
# highest logit. *Accuracy* is the share of images for which the prediction equals the label.
#
# $$\hat y_n = \arg\max_k z_{nk}, \qquad \text{accuracy} = \frac{1}{N} \sum_{n=1}^{N} [\hat y_n = y_n]$$
#
# Shapes: `logits` $z$ is `(N, K)`, one row per image, and `labels` $y$ is `(N,)`.
#
# ### Exercise 0.1: accuracy (warm-up, 2 minutes)
#
# One line is enough. Compare `logits.argmax(dim=1)`, the predictions, with `labels`. This gives a Boolean tensor, and
# its `.float().mean().item()` is the share of `True` entries, as a plain Python number.

# %% nbgrader={"grade_id": "accuracy", "solution": true}
def accuracy(logits, labels):
    """The share of images that are classified correctly.

    Args:
        logits: (N, K) float tensor; the highest entry of a row is the prediction.
        labels: (N,) int64 tensor of classes from 0 to K - 1.

    Returns:
        A Python float between 0 and 1.
    """
    ### BEGIN SOLUTION
    predicted = logits.argmax(dim=1)  # (N, K) -> (N,)
    return (predicted == labels).float().mean().item()
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_accuracy", "grade": true}
check.accuracy(accuracy)

# %% [markdown]
# **Warm up.** Now that you have seen a check, two questions about what you need in this unit. (Later units begin with
# questions about earlier ones.)
#
# <details><summary>1. <code>x</code> has shape (8, 5). What is the shape of <code>x.argmax(dim=1)</code>?</summary>
# (8,): dimension 1 is the one that disappears.</details>
#
# <details><summary>2. Why do you call <code>optimizer.zero_grad()</code> before
# <code>loss.backward()</code>?</summary> PyTorch adds new gradients to those that are already stored.</details>

# %% [markdown]
# **What every check tries.** Besides ordinary inputs, every check also tries the following where it makes sense. The
# exercises do not repeat it:
#
# - *Inputs*: a single image, color, images that are not square, float64, and memory that is not contiguous (a
#   transposed tensor, on which `.view` fails).
# - *Numbers*: class labels above 9 and with gaps, an argument of 0, a value exactly at a threshold, very large and very
#   small values.
# - *A second call* with other values in the same shapes, so your code must not store results of the first.
# - *What must stay*: your inputs, unless the statement asks for a change. A tensor keeps its values and
#   `requires_grad`. A network also keeps the mode of each module. Afterwards gradients are recorded as before.
# - *What you return*: tensors in, tensors out, on the device of the inputs. "A Python float" means `.item()`, not a
#   tensor.

# %% [markdown]
# ## 2. The data
#
# The course draws its own pictures, called *glyphs*: small gray images of ten kinds of things, shifted, rotated, faint,
# noisy and cluttered. Nothing is downloaded. If you prefer real images, set `COURSE_DATASET=digits` before you start:
# these are handwritten digits, also without a download.
#
# **How to read the numbers.** A *recorded* number comes from runs that were made before, with three seeds, and is given
# as mean ± standard deviation over them. Your own run has one seed, so it will differ a little. Where the text says
# *predict*, put your guess in place of the dots. It is stored, and shown beside the result and the recorded number.

# %% tags=["demo"]
shape = tuple(data.images.shape[1:])
print(f"{data.name}: {len(data):,} images of shape {shape}, {len(test):,} to test on")
plots.show(plots.class_examples(data.images, data.labels, data.class_names))

# %% [markdown]
# Position, size, contrast and clutter differ from image to image, and none of these differences depends on the class.
# Therefore a classifier has to learn from examples what matters.
#
# The simplest classifier needs no training: it gives each test image the label of the most similar labeled image,
# compared pixel by pixel (*nearest neighbor*). **Predict**: with ten labeled images per class, for what share of the
# test images will this be right? Guessing is right for one tenth.

# %% tags=["predict"]
predict.nearest_neighbor(...)  # a share between 0 and 1

# %% tags=["demo"]
of_each = [torch.nonzero(data.labels == k).squeeze(1)[:10] for k in range(num_classes)]
first = torch.cat(of_each)  # (100,)
pixels = as_float(data.images[first]).flatten(1)  # (100, 784)
test_pixels = as_float(test.images).flatten(1)  # (N, 784)
nearest = evaluation.knn_accuracy(
    pixels, data.labels[first], test_pixels, test.labels,
    neighbors=1, metric="euclidean",
)  # fmt: skip
print(f"guessing: {1 / num_classes:.0%}")
print(f"nearest of {len(first)} labeled images: {nearest:.0%}")
predict.nearest_neighbor.compare(nearest)

# %% [markdown]
# Over {{ result("label_curve", "pixels_knn@10").n }} recorded draws of ten glyphs per class, the nearest neighbor
# reaches {{ result("label_curve", "pixels_knn@10") | pm(percent=true) }}. This is low because pixels are compared at
# fixed places: a boat that has moved by two pixels is far from its own copy. It is the first baseline to beat.
#
# Now the network of this course. It has three blocks of convolution, batch normalization (explained in section 3) and
# ReLU, and then a linear layer. Here it is untrained, so your `accuracy` should find about one image in ten.

# %% tags=["demo"]
check.needs("accuracy")


def new_classifier(seed=0):
    generator = torch.Generator().manual_seed(seed)
    # (N, 1, 28, 28) -> (N, 64) -> (N, 10)
    encoder = ConvEncoder(data.images.shape[1], generator=generator)
    network = Classifier(encoder, num_classes, generator=generator)
    return network.to(settings.device())


model = new_classifier()
logits = evaluation.predict(model, test.images)  # (N, 10)
print(f"{count_parameters(model):,} weights, untrained")
print(f"accuracy {accuracy(logits, test.labels):.1%}")

# %% [markdown]
# The accuracy is at the level of chance. With random weights the network predicts the same class for nearly every
# image, and about one test image in ten has this class.
#
# ## 3. A measurement you can trust
#
# A network learns from the *training set*. Settings, such as the number of steps, are chosen on a *validation set*. The
# *test set* is used once, for the result. If you also use it to choose settings, the accuracy that you report is too
# high.
#
# Images come in batches, and the last batch is often smaller: 2,000 is not a multiple of 64. Suppose a network has
# these mean losses on three batches of 64, 64 and 1 images. What is the mean loss over the 129 images?

# %% tags=["demo"]
batch_sizes = torch.tensor([64.0, 64.0, 1.0])
batch_losses = torch.tensor([1.0, 1.1, 9.0])
over_images = (batch_losses * batch_sizes).sum() / batch_sizes.sum()
print(f"mean of the batch means: {batch_losses.mean():.2f}")
print(f"mean over the images:    {over_images:.2f}")

# %% [markdown]
# When batch means are averaged, one hard image that is alone in its batch counts as much as 64 others. Therefore add up
# over images and divide once. With $n_b$ the size of batch $b$ and $L_b$ its mean loss:
#
# $$L = \frac{\sum_b n_b L_b}{\sum_b n_b}$$
#
# **Two modes.** *Batch normalization* gives each channel mean 0 and variance 1. In *train mode* (`model.train()`) it
# computes mean and variance from the current batch, and it also collects them in *running statistics*. In *eval mode*
# (`model.eval()`) it uses the stored running statistics. So only in eval mode is the prediction for an image
# independent of the other images in its batch.

# %% [markdown]
# ### Exercise 0.2: evaluate (core, 15 minutes)
#
# Evaluation must not change the model. Therefore switch to eval mode, and switch off gradient recording with
# `torch.no_grad()`. Afterwards, restore the mode that the model was in (`model.training`).
#
# The loss is the *cross-entropy*, $-\log p_y$: minus the logarithm of the probability that the model gives to the
# label. `F.cross_entropy(logits, labels)` takes the logits as they are, applies softmax itself, and returns the mean
# over the batch.

# %% nbgrader={"grade_id": "evaluate", "solution": true}
def evaluate(model, batches):
    """Mean loss and accuracy over all images: every image counts once.

    Args:
        model: maps images (n, C, H, W) to logits (n, K). It is measured in eval mode
            and without gradients; afterwards `model.training` is what it was.
        batches: an iterable of (images, labels), gone through once; the last batch may
            be smaller than the others.

    Returns:
        {"loss": mean cross-entropy, "accuracy": share of correct images}, both floats.
    """
    ### BEGIN SOLUTION
    was_training = model.training
    model.eval()
    total_loss, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)  # (n, C, H, W) -> (n, K)
            total_loss += F.cross_entropy(logits, labels).item() * len(labels)
            correct += (logits.argmax(dim=1) == labels).sum().item()
            count += len(labels)
    model.train(was_training)
    return {"loss": total_loss / count, "accuracy": correct / count}
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_evaluate", "grade": true}
check.evaluate(evaluate)

# %% [markdown]
# ## 4. One step of learning
#
# The *gradient* $\partial L / \partial w$ tells how the loss changes with each weight. An *optimizer* uses it to change
# all weights a little, so that the loss falls. The simplest one subtracts the gradient times a *learning rate* $\eta$:
#
# $$w \leftarrow w - \eta \, \frac{\partial L}{\partial w}$$
#
# We use AdamW, which also adapts the size of the step for each weight.
#
# ### Exercise 0.3: train_step (core, 10 minutes)
#
# Three things are easily forgotten. First, the model must be in train mode. Second, old gradients must be cleared,
# because PyTorch *adds* new ones to them. Third, return a plain number, because a loss that is kept as a tensor keeps
# its whole graph in memory.

# %% nbgrader={"grade_id": "train_step", "solution": true}
def train_step(model, images, labels, optimizer):
    """One step on one batch: a forward pass in train mode, a backward pass, a step.

    Args:
        model: maps images to logits (N, K); afterwards it is in train mode. Old
            gradients that its parameters may hold must not count.
        images: (N, C, H, W) float tensor.
        labels: (N,) int64 tensor.
        optimizer: holds the model's parameters.

    Returns:
        The mean cross-entropy of the batch before the step, a Python float.
    """
    ### BEGIN SOLUTION
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_train_step", "grade": true}
check.train_step(train_step)

# %% [markdown]
# Now put it together and train on **all** labels. The learning rate falls along half a cosine. Each image is also
# shifted a little at random: this is *data augmentation*, and it needs no additional label. **Predict**: what share of
# the test images will be right?

# %% tags=["predict"]
predict.all_labels(...)  # a share between 0 and 1

# %% tags=["train"]
check.needs("accuracy", "evaluate", "train_step")


def train(model, labeled, steps, *, curve=None, seed=0):
    """Trains `model` on the images and labels of `labeled`, in batches of up to 64."""
    batches = Batches(
        labeled.images, labeled.labels, batch_size=min(64, len(labeled)),
        shuffle=True, drop_last=True, augment=augment.random_shift,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    steps_and_batches = zip(tqdm(range(steps), leave=False), endless(batches))
    for _, (images, labels) in steps_and_batches:
        loss = train_step(model, images, labels, optimizer)
        schedule.step()
        if curve is not None:
            curve(loss)


train(model, data, steps, curve=plots.live_curve(steps, title="All labels"))
test_batches = Batches(test.images, test.labels, batch_size=64)
print(found := evaluate(model, test_batches))
predict.all_labels.compare(found["accuracy"])

# %% [markdown]
# The loss falls steeply at first, then slowly while the learning rate goes to zero. The curve is noisy because each
# point is the loss of a single batch. On glyphs this network reaches {{ result("failures", "logits_accuracy") |
# pm(percent=true) }} after 300 steps (recorded). So the network is large enough for the task, which matters in section
# 6, where the same network fails with few labels.
#
# Next, check that your `evaluate` does not depend on how the images are cut into batches. The cell takes the 128 test
# images with the lowest loss, and puts the image with the highest loss after them.

# %% tags=["demo"]
check.needs("accuracy", "evaluate")
logits = evaluation.predict(model, test.images)
losses = F.cross_entropy(logits, test.labels, reduction="none")  # (N,)
order = losses.argsort()
chosen = torch.cat([order[:128], order[-1:]])
for batch_size in (129, 64, 32, 4):
    batches = Batches(test.images[chosen], test.labels[chosen], batch_size=batch_size)
    means = [evaluate(model, [batch])["loss"] for batch in batches]
    naive = sum(means) / len(means)
    honest = evaluate(model, batches)["loss"]
    print(f"batches of {batch_size:3}: evaluate {honest:.4f}, batch means {naive:.4f}")

# %% [markdown]
# `evaluate` gives the same number four times. The mean of batch means changes with the batch size, although the network
# stays the same. With batches of 64 it is {{ result("failures", "loss_by_batch_means").mean | num(2) }} (recorded),
# while the mean over images is {{ result("failures", "loss_of_all_images").mean | num(2) }}.
#
# The second trap is the mode. **Predict** the accuracy in *train* mode, with the test images sorted by class.

# %% tags=["predict"]
predict.train_mode_sorted(...)  # a share between 0 and 1

# %% tags=["demo"]
check.needs("accuracy", "evaluate", "train_step")
in_eval_mode = evaluate(model, test_batches)["accuracy"]
orders = {"shuffled": torch.arange(len(test)), "sorted by class": test.labels.argsort()}
for name, order in orders.items():
    careless = copy.deepcopy(model).train()  # a copy: train mode changes the network
    batches = Batches(test.images[order], test.labels[order], batch_size=100)
    correct = 0.0
    with torch.no_grad():
        for images, labels in batches:
            correct += accuracy(careless(images), labels) * len(labels)
    print(f"{name:16} train {correct / len(test):.1%}, eval {in_eval_mode:.1%}")
predict.train_mode_sorted.compare(correct / len(test))

# %% [markdown]
# | recorded | test accuracy |
# |---|---:|
# | eval mode | {{ result("failures", "logits_accuracy") | pm(percent=true) }} |
# | train mode, shuffled | {{ result("failures", "train_mode_accuracy") | pm(percent=true) }} |
# | train mode, sorted by class | {{ result("failures", "train_mode_sorted_accuracy") | pm(percent=true) }} |
#
# In train mode the mean of the batch is subtracted. If the batch holds one class only, this removes what these images
# have in common, and the accuracy collapses. With shuffled images train mode is even a little better than eval mode, {{
# every_seed("train_mode_accuracy > logits_accuracy", "failures") }}, so the trap is easily overlooked. A possible
# reason is that the statistics of large mixed batches fit the test images well. (On MNIST train mode is worse on one
# seed of three.) But the result still depends on which images share a batch.
#
# *A natural break.*
#
# ## 5. Look inside
#
# Accuracy hides which classes are mixed up. A *confusion matrix* counts images by true class (row) and predicted class
# (column).

# %% tags=["demo"]
check.needs("accuracy", "evaluate")
matrix = evaluation.confusion(logits, test.labels)
plots.show(plots.confusion_matrix(matrix, test.class_names, title="All labels"))

# %% [markdown]
# Correct predictions are on the diagonal. The mistakes are not spread evenly. Many belong to a few pairs of classes,
# among the glyphs above all to lamp and umbrella. This suggests that these share a part of their shape.
#
# The highest softmax probability is the *confidence* of a prediction. Below, one minus the confidence is the score:
# high where the network is uncertain.

# %% tags=["demo"]
check.needs("accuracy", "evaluate")
probabilities = logits.softmax(dim=1)  # (N, 10)
uncertainty = 1 - probabilities.max(dim=1).values  # (N,)
is_wrong = probabilities.argmax(dim=1) != test.labels
options = {"names": ("right", "wrong"), "x_label": "1 - confidence"}
widgets.threshold_slider(uncertainty, is_wrong, **options)

# %% [markdown]
# Move the threshold. Wrong predictions are much less confident than right ones. So if a person labels the uncertain
# images, the network is right more often on the remaining ones. Unit 07 builds a method on this.
#
# ## 6. Few labels
#
# So far you had thousands of labels. In practice each one has to be given by a person, often by an expert. A *label
# budget* says how many labels per class a method may use. We keep `per_class` labels of each class and hide the rest.
# The split is *stratified*: it takes the same number from every class, because otherwise chance decides which classes
# are learned. The two parts are disjoint. All random numbers come from a generator with a *seed*, so that two methods
# can be given the same labels.
#
# ### Exercise 0.4: few_label_split (core, 15 minutes)
#
# Return positions, so that `labels[labeled]` are the labels that are kept.

# %% nbgrader={"grade_id": "few_label_split", "solution": true}
def few_label_split(labels, per_class, generator):
    """Draws `per_class` positions of each class, each with the same chance.

    Args:
        labels: (N,) int64 tensor; any classes (such as 2, 5 and 90), in any order, each
            at least `per_class` times.
        per_class: how many positions of each class to draw.
        generator: torch.Generator that all random numbers come from.

    Returns:
        (labeled, rest): two int64 tensors of positions, each in any order. Together
            they hold every position from 0 to N - 1 once.
    """
    ### BEGIN SOLUTION
    labeled, rest = [], []
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)  # (n_k,)
        positions = positions[torch.randperm(len(positions), generator=generator)]
        labeled.append(positions[:per_class])
        rest.append(positions[per_class:])
    return torch.cat(labeled), torch.cat(rest)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_few_label_split", "grade": true}
check.few_label_split(few_label_split)

# %% [markdown]
# Now the experiment from which the whole course starts. Network and number of steps stay the same, and only the label
# budget changes: 1, 2, 5, 10, 20 or 50 labels per class. The figure will also have recorded runs, and a *control*: the
# same encoder with random weights, frozen, with only a linear layer trained on top. A control tells how much of a
# result comes from something simpler than the idea that is tested. **Predict** the accuracy at ten labels per class.

# %% tags=["predict"]
predict.scratch_at_10(...)  # a share between 0 and 1

# %% tags=["train"]
check.needs("accuracy", "evaluate", "train_step", "few_label_split")
budgets = (1, 2, 5, 10, 20, 50)
mine = {}
for budget in tqdm(budgets, desc="labels per class"):
    generator = torch.Generator().manual_seed(0)
    labeled, _ = few_label_split(data.labels, budget, generator)
    few_label_model = new_classifier(seed=1)
    train(few_label_model, data.subset(labeled), steps)
    mine[budget] = [evaluate(few_label_model, test_batches)["accuracy"]]
predict.scratch_at_10.compare(mine[10][0])
options = {"dataset": data.name, "beside": {"this_notebook": mine}}
plots.show(plots.recorded_curves(
    "00_first_steps", methods=["full_labels", "scratch", "random_probe"],
    title="Accuracy by label budget", **options,
))  # fmt: skip

# %% [markdown]
# One seed is not enough: at ten labels per class, the {{ result("label_curve", "scratch@10").n }} recorded seeds range
# from {{ result("label_curve", "scratch@10").values | min | pct }} to {{ result("label_curve", "scratch@10").values |
# max | pct }}.
#
# With all labels and 600 steps the network reaches {{ result("label_curve", "full_labels") | pm(percent=true) }}. With
# one label per class even the nearest neighbor on pixels is better, {{ every_seed("pixels_knn@1 > scratch@1",
# "label_curve") }}. From two labels per class on, the trained network is better, also {{ every_seed("scratch@2 >
# pixels_knn@2, scratch@5 > pixels_knn@5, scratch@10 > pixels_knn@10, scratch@20 > pixels_knn@20, scratch@50 >
# pixels_knn@50", "label_curve") }}. The control stays far below it: random features are not enough.
#
# **The gap between few labels and all labels is what this course is about.** You have thousands of images, but their
# labels are missing. Does the gap come from our drawn glyphs? Here are real digits, written by hand.

# %% tags=["demo"]
digits = load("digits")
plots.show(plots.image_grid(
    digits.images[:20], captions=digits.labels[:20].tolist(), columns=10,
    title=f"{len(digits):,} handwritten digits for training, from scikit-learn",
))  # fmt: skip
options = {"dataset": "digits", "title": "The same experiment"}
methods = ["scratch", "pixels_knn", "random_probe"]
plots.show(plots.recorded_curves("00_first_steps", methods=methods, **options))

# %% [markdown]
# Digits are easier, because they are centered and upright. So a nearest neighbor on pixels is about as good as the
# network, and better at one label, {{ every_seed("pixels_knn@1 > scratch@1", "label_curve", dataset="digits") }}.
# `COURSE_DATASET=digits` runs any notebook on digits.
#
# **The table of the course** (data set, labels per class):
#
# {{ results_table() }}
#
# Each unit adds rows, and all share one recipe of 800 steps. *Weak views* are shifted images, as in your run. (Your run
# is shorter, so its accuracy is lower.) *Strong views* are also turned, scaled, changed in contrast, and partly
# covered. Another 20 labels per class are set aside for *validation*, for choices such as which block to freeze.

# %% [markdown]
# ## 7. Check the check
#
# A wrong measurement rarely stops with an error, as section 4 has shown. Therefore people who measure also write small
# checks of their own functions, with inputs so small that the right result can be counted by hand. A check can be wrong
# in two ways. If it refuses right code, you search for a mistake that does not exist. If it lets wrong code pass, you
# trust a wrong number. So a check is tested like any other code: it must let several right functions pass, and stop
# wrong ones that people really write.
#
# ### Exercise 0.5: accuracy_check (core, 12 minutes)
#
# Your check is given a function, `candidate`, that should do what `accuracy` of Exercise 0.1 does. Call it on inputs of
# your choice, and `assert` what the results must be.

# %% [markdown]
# **What is tried.** Three right functions and twelve wrong ones, the known mistakes of Exercise 0.1, come in random
# order. For float32 `logits` and int64 `labels`, a wrong function returns a wrong number, or something that is not a
# float. Some do this only for certain shapes, accuracies or sizes of the logits. Looking at a function's name or code
# does not help.
#
# **Points.** A function is stopped if your check raises an error, for example an AssertionError. If your check stops a
# right function, it gets no points. Otherwise the points depend on the share of wrong functions that it stops. What
# your check returns or prints does not count.

# %% nbgrader={"grade_id": "accuracy_check", "solution": true}
def accuracy_check(candidate):
    """Raises an error if `candidate` is not a right `accuracy`; lets a right one pass.

    Args:
        candidate: a function of logits, an (N, K) float tensor, and labels, an (N,)
            int64 tensor; it should return the share of correct images as a float.
    """
    ### BEGIN SOLUTION
    logits = torch.tensor([[9.0, 1, 2, 0], [0, 5, 1, 2], [3, 2, 8, 0]])  # (3, 4)
    value = candidate(logits, torch.tensor([0, 1, 3]))
    assert isinstance(value, float), f"{value!r} is not a float"
    assert abs(value - 2 / 3) < 1e-5, f"{value} is not 2 / 3"
    # Far from 0 a sigmoid is 1 everywhere, so these logits look equal to it.
    value = candidate(logits + 100, torch.tensor([1, 1, 2]))
    assert abs(value - 2 / 3) < 1e-5, f"{value} is not 2 / 3"
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_accuracy_check", "grade": true}
check.accuracy_check(accuracy_check)

# %% [markdown]
# ## 8. When it fails
#
# A colleague has read that a classifier ends in a softmax, so they put one behind the network. They train twice as long
# as you did, and everything else is as in your run. Will the network learn anything? At what value will the loss stop
# falling? **Predict** the test accuracy.

# %% tags=["predict"]
predict.two_softmaxes(...)  # a share between 0 and 1

# %% tags=["train"]
check.needs("accuracy", "evaluate", "train_step")
colleagues_model = nn.Sequential(new_classifier(), nn.Softmax(dim=1))
floor = math.log(1 + (num_classes - 1) / math.e)
line = {"baseline": floor, "baseline_label": "what is this line?"}
curve = plots.live_curve(2 * steps, title="Their loss", **line)
train(colleagues_model, data, 2 * steps, curve=curve)
print(theirs := evaluate(colleagues_model, test_batches))
predict.two_softmaxes.compare(theirs["accuracy"])

# %% [markdown]
# | at the end, recorded | training loss | test accuracy |
# |---|---:|---:|
# | your network, 300 steps | {{ result("failures", "logits_loss").mean | num(2) }} | {{
# result("failures", "logits_accuracy").mean | pct }} |
# | your network, 600 steps | | {{ result("label_curve", "full_labels").mean | pct }} |
# | the colleague's, 600 steps | {{ result("failures", "softmax_loss").mean | num(2) }} | {{
# result("failures", "softmax_accuracy").mean | pct }} |
#
# After twice as many steps the loss is still just above the dashed line. Yet the accuracy is as good as that of your
# network after 600 steps. The colleague lowers the learning rate and then doubles the size of the network, but the loss
# does not fall below the line.

# %% [markdown] nbgrader={"grade_id": "why_the_loss_sticks", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** Explain to them in four to six sentences (a) why no network, however good, can get
# below that line, and how high it is for $K$ classes, (b) how the accuracy can be good all the same, and (c) what they
# should change, and what goes wrong if they keep this loss.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* `F.cross_entropy` applies softmax itself, so it sees a softmax of a softmax. Their outputs lie
# between 0 and 1; the best possible output is 1 for the true class and 0 for the others, and the second softmax makes
# only $e / (e + K - 1)$ of that. So the loss cannot fall below $\log(1 + (K - 1) / e)$, about $1.46$ for ten classes.
# Softmax keeps the order of the classes, so the argmax, and with it the accuracy, can become as good as ever. They
# should hand the logits to the loss and use softmax only to read probabilities. If they leave it, the probabilities
# behind the loss never exceed about a quarter, so the loss cannot tell a confident network from an uncertain one;
# gradients are smaller too, and an image that is wrong with full confidence hardly teaches anything.
#
# *Sample answer (2).* Softmax is applied twice, the inputs of the second are between 0 and 1, so the probability of the
# right class never gets near 1 and the loss stays above zero. They must remove their softmax.
#
# *Sample answer (1).* They should not use softmax because cross-entropy already has it.
#
# *Rubric.* 3: double softmax named, the floor derived or its height stated with the reason (inputs in [0, 1]), order
# kept, so accuracy can be good, and the remedy with one harm (loss says little, small gradients, no usable
# probabilities).
# 2: double softmax and remedy, and one of floor, order and harm explained. 1: double softmax or remedy named without a
# reason. 0: learning rate, network size or data blamed, or blank.
# ### END SOLUTION

# %% [markdown]
# ## 9. Quiz
#
# Ungraded. Answer first, then open.
#
# <details><summary>1. You add 100 to every logit. What happens to accuracy and to the loss?</summary> Nothing, because
# argmax and softmax depend on differences only.</details>
#
# <details><summary>2. Why must <code>evaluate</code> restore the mode instead of calling <code>model.train()</code> at
# the end?</summary> A network that was in eval mode would end in train mode, and its next prediction would depend on
# the batch.</details>
#
# <details><summary>3. Why is one test set of 2,000 images enough, but one draw of ten labels per class is
# not?</summary> Other test images change the result by about a point. Other labeled images change the network
# itself.</details>
#
# <details><summary>4. May you choose the number of steps by test accuracy?</summary> No, because then the test images
# take part in training. Use a validation set.</details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# - With ten labels per class the network loses about a quarter of its test accuracy, and with one label it is little
#   better than chance. The network is not too small, because with all labels it is nearly perfect.
# - A number is right if every image counts once, and if the model is in eval mode, without gradients, and in its old
#   mode afterwards.
# - Train mode, clear the gradients, forward, backward, step: this trains every network of the course.
# - Cross-entropy takes logits. If a loss stops falling at a constant above zero, look for a mistake in the formula.
# - Few labels are drawn stratified, disjoint and seeded. Compare methods seed by seed, and beside a control.

# %% [markdown]
# ## What became of it
#
# **Foundation models** are pretrained on huge amounts of data without labels for your task, and then adapted with few
# or none: CLIP classifies images from a description alone, and large language models learn from a few examples in the
# prompt. The accuracy depends on which examples are shown and in which order, so several draws are needed, as here.
#
# In **medicine** a label costs the time of a specialist, so hospitals have many more scans than labels. In **robotics**
# a camera films all day, but each demonstration by a person is expensive.

# %% [markdown]
# **Further reading.**
#
# - Oliver et al. (2018), *Realistic Evaluation of Deep Semi-Supervised Learning Algorithms*: why tuned baselines and
#   small validation sets change which method wins.
# - Ioffe and Szegedy (2015), *Batch Normalization*: where the two modes come from.
# - Bouthillier et al. (2021), *Accounting for Variance in Machine Learning Benchmarks*: how much seeds and splits
#   matter.
#
# **Challenge.** Beat {{ result("label_curve", "scratch@10").mean | pct }} at ten labels per class with the same labels,
# from scratch and without other images. Strong views reach {{ result("protocol", "scratch_strong@10").mean | pct }}.
#
# **Bonus.** Leave `augment=` out of `train`. What were the shifts worth at five labels per class?
