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
# *The same network that is nearly perfect with all labels is little better than guessing with one label per class.
# Closing that gap is what this course is about.*
#
# **You will** write the four functions that every later unit uses: measure accuracy, evaluate a network, train it by
# one step, and choose a few labels fairly. **You will see** how much each label is worth, and three ways in which a
# measurement goes wrong without any error message.
#
# **You need** Python and a little PyTorch: tensors, `nn.Module`, `loss.backward()`.
# **Time**: 70 minutes of reading and writing, of which 3 minutes of computing.

# %% [markdown]
# **How a unit works.** Shift-Enter runs a cell. You replace `raise NotImplementedError(...)` by your own code; the
# line below checks it at once, says what is wrong if something is, and offers hints. Try as often as you like.

# %% tags=["setup"]
import copy
import itertools
import math

import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_lib import evaluation, plots, records, settings, widgets
from course_lib.data import Batches, as_float, augment, load
from course_lib.exercises import checks_for
from course_lib.models import Classifier, ConvEncoder, count_parameters

# %% tags=["setup"]
check = checks_for("00_first_steps")
data = load(n=settings.by_profile(smoke=1_000, laptop=8_000, full=8_000))
test = load(split="test", n=settings.by_profile(smoke=300, laptop=2_000, full=2_000))
steps = settings.by_profile(smoke=4, laptop=300, full=2_000)
num_classes = len(data.class_names)

# %% [markdown]
# ## 1. From logits to accuracy
#
# Your first check. A classifier turns each image into $K$ numbers, one per class, called *logits*. The prediction is
# the class with the highest logit, and accuracy is the share of images for which it is the label:
#
# $$\hat y_n = \arg\max_k z_{nk}, \qquad \text{accuracy} = \frac{1}{N} \sum_{n=1}^{N} [\hat y_n = y_n]$$
#
# Shapes: `logits` $z$ is `(N, K)`, one row per image, and `labels` $y$ is `(N,)`.
#
# ### Exercise 0.1: accuracy (2 minutes)
#
# One line is enough. `logits.argmax(dim=1)` are the predictions; compare them with `labels`. Of what comes out,
# `.float().mean().item()` is the share that is true, as a plain Python number.

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
# ## 2. The data
#
# The course draws its own pictures, called *glyphs*: small gray images of ten kinds of things, shifted, turned, faint,
# noisy and cluttered. Nothing is downloaded. (`COURSE_DATASET=digits` takes real handwritten digits instead,
# also without a download.)

# %% tags=["demo"]
shape = tuple(data.images.shape[1:])
print(f"{data.name}: {len(data):,} images of shape {shape}, {len(test):,} to test on")
plots.show(plots.class_examples(data.images, data.labels, data.class_names))

# %% [markdown]
# No two images of a class are alike: position, size, contrast and clutter change, and none of that tells the class. A
# learner has to find out from examples what matters.
#
# Where the text says *predict*, write your guess down before you run the cell: a wrong guess teaches more than a number
# that was read. **Predict**: take ten labeled images of each class, and give each test image the label of the one it is
# most like, pixel by pixel. How many of ten test images will be right? Guessing gets one.

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

# %% [markdown]
# Recorded over {{ result("label_curve", "pixels_knn@10").n }} draws of ten glyphs per class:
# {{ result("label_curve", "pixels_knn@10") | pm(percent=true) }}. A boat that is moved by two pixels is far from
# itself, as pixels go. This is the baseline to beat.

# %% [markdown]
# Back to your `accuracy`. Here is the network of this course: three blocks of convolution, batch normalization and
# ReLU, then a linear layer. It has never seen an image. **Predict** its accuracy.

# %% tags=["demo"]
check.needs("accuracy")


def new_classifier(seed=0):
    generator = torch.Generator().manual_seed(seed)
    in_channels = data.images.shape[1]
    encoder = ConvEncoder(in_channels, generator=generator)  # (N, 1, 28, 28) -> (N, 64)
    # (N, 64) -> (N, 10)
    network = Classifier(encoder, num_classes, generator=generator)
    return network.to(settings.device())


model = new_classifier()
logits = evaluation.predict(model, test.images)  # (N, 10)
print(f"{count_parameters(model):,} weights, untrained")
print(f"accuracy {accuracy(logits, test.labels):.1%}")

# %% [markdown]
# Chance, give or take: random weights prefer some class for nearly every image, and that is right one time in ten.
#
# ## 3. A measurement you can trust
#
# Images come in batches, and 2,000 is not a multiple of 64: the last batch is smaller. Suppose a network has these mean
# losses on three batches of 64, 64 and 1 images. **Predict** the mean loss over the 129 images: nearer to 1, or to 4?

# %% tags=["demo"]
batch_sizes = torch.tensor([64.0, 64.0, 1.0])
batch_losses = torch.tensor([1.0, 1.1, 9.0])
over_images = (batch_losses * batch_sizes).sum() / batch_sizes.sum()
print(f"mean of the batch means: {batch_losses.mean():.2f}")
print(f"mean over the images:    {over_images:.2f}")

# %% [markdown]
# One hard image alone in its batch weighs as much as 64 others when batch means are averaged. So add up over images and
# divide once. With $n_b$ the size of batch $b$ and $L_b$ its mean loss:
#
# $$L = \frac{\sum_b n_b L_b}{\sum_b n_b}$$
#
# ### Exercise 0.2: evaluate (15 minutes)
#
# A measurement also leaves no trace. While it runs, the network is in *eval mode* (batch normalization then uses what
# it learned instead of the batch at hand) and no gradients are recorded. Afterwards it has the mode that it had before.
# `F.cross_entropy(logits, labels)` gives the mean loss of a batch; it takes the logits as they are.

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
# Cross-entropy is the surprise at the true label, $L = -\log p_{y}$ with $p = \text{softmax}(z)$. A step moves all
# weights $w$ a little downhill, $w \leftarrow w - \eta \, \partial L / \partial w$, or whatever refinement of that the
# optimizer has.
#
# ### Exercise 0.3: train_step (10 minutes)
#
# Three things are easily forgotten: train mode, old gradients (PyTorch *adds* new ones to them), and that a loss kept
# as a tensor keeps its whole graph in memory.

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
# Now all of it together, on **all** labels. The learning rate falls along half a cosine, and small random shifts are
# added to the images: they cost no label. **Predict**: how many of the 2,000 test images will be right?

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
    endless = itertools.chain.from_iterable(itertools.repeat(batches))
    for _, (images, labels) in zip(tqdm(range(steps), leave=False), endless):
        loss = train_step(model, images, labels, optimizer)
        schedule.step()
        if curve is not None:
            curve(loss)


train(model, data, steps, curve=plots.live_curve(steps, title="All labels"))
test_batches = Batches(test.images, test.labels, batch_size=64)
print(evaluate(model, test_batches))

# %% [markdown]
# The loss falls steeply, then slowly as the learning rate goes to zero; the jitter is that of single batches. Recorded
# on glyphs, this network gets {{ result("failures", "logits_accuracy") | pm(percent=true) }} of the test images right
# after 300 steps. It *is able to* do it: remember that when it fails below.
#
# Is your `evaluate` really indifferent to how images are cut into batches? Take the 128 easiest test images and put the
# hardest of all behind them. **Predict** which of the two columns stays the same.

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
# `evaluate` says the same four times. The mean of batch means depends on the batch size, which is not a property of the
# network: recorded with batches of 64, it is {{ result("failures", "loss_by_batch_means").mean | num(2) }} where the
# truth is {{ result("failures", "loss_of_all_images").mean | num(2) }}.
#
# The next trap. **Predict** the accuracy in *train* mode: with the test images shuffled, then sorted by class.

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

# %% [markdown]
# In train mode, batch normalization subtracts the mean of the batch it is given. When the batch holds one class only,
# what is subtracted is what the class has in common. Recorded:
# {{ result("failures", "train_mode_accuracy").mean | pct }} shuffled,
# {{ result("failures", "train_mode_sorted_accuracy").mean | pct }} sorted, against
# {{ result("failures", "logits_accuracy").mean | pct }} in eval mode. Many test sets are stored sorted, and no error is
# raised; the number is just not about your network.
#
# ## 5. Look inside
#
# One number hides which classes are mixed up. In the *confusion matrix*, row is truth and column is prediction.
# **Predict** two classes of the first figure that are easily confused.

# %% tags=["demo"]
check.needs("accuracy", "evaluate")
matrix = evaluation.confusion(logits, test.labels)
plots.show(plots.confusion_matrix(matrix, test.class_names, title="All labels"))

# %% [markdown]
# The diagonal holds what is right. The few mistakes beside it are not spread evenly: they gather in pairs of classes
# that share a part of their shape.
#
# A network can also say how sure it is, by its highest softmax probability. Call one minus that its *doubt*.

# %% tags=["demo"]
check.needs("accuracy", "evaluate")
probabilities = logits.softmax(dim=1)  # (N, 10)
doubt = 1 - probabilities.max(dim=1).values  # (N,)
is_wrong = probabilities.argmax(dim=1) != test.labels
if is_wrong.any():
    names = ("right", "wrong")
    view = widgets.threshold_slider(doubt, is_wrong, names=names, x_label="doubt")
else:
    view = "Not a single mistake to look at."
view

# %% [markdown]
# Move the threshold. Most right answers come with little doubt, most wrong ones with much. So a network that may refuse
# the doubtful images is right more often about the others.
#
# ## 6. Few labels
#
# So far thousands of labels were free. In practice an expert writes each of them. To study few labels, keep
# `per_class` of each class and hide the rest: *stratified* (or luck decides which class is learned), *disjoint*, and
# *random from a generator that is passed in* (so that two methods can be given the same few labels).
#
# ### Exercise 0.4: few_label_split (15 minutes)
#
# Return positions: `labels[labeled]` are then the labels that are kept.

# %% nbgrader={"grade_id": "few_label_split", "solution": true}
def few_label_split(labels, per_class, generator):
    """Draws `per_class` positions of each class; the others are the rest.

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
# Now the experiment that the whole course starts from: the same network, the same number of steps, and 1, 2, 5, 10, 20
# or 50 labels per class. **Predict**: draw the curve on paper, accuracy against labels, before you run the cell.

# %% tags=["train"]
check.needs("accuracy", "evaluate", "train_step", "few_label_split")
budgets = (1, 2, 5, 10, 20, 50)
mine = {}
for budget in tqdm(budgets, desc="labels per class"):
    generator = torch.Generator().manual_seed(0)
    labeled, rest = few_label_split(data.labels, budget, generator)
    few_label_model = new_classifier(seed=1)
    train(few_label_model, data.subset(labeled), steps)
    reached = evaluate(few_label_model, test_batches)["accuracy"]
    mine[budget] = [reached]
    print(f"{budget:2} labels per class, {len(rest):,} images without: {reached:.1%}")

# %% [markdown]
# One seed is an anecdote: at ten labels per class, {{ result("label_curve", "scratch@10").n }} recorded draws range
# from {{ result("label_curve", "scratch@10").values | min | pct }} to
# {{ result("label_curve", "scratch@10").values | max | pct }}. The next figure sets yours beside them and beside an
# honest control: the same encoder, random and frozen, with only a linear layer trained on top.

# %% tags=["demo"]
check.needs("accuracy", "evaluate", "train_step", "few_label_split")
unit, name = "00_first_steps", data.name
path = records.record_path(unit, "label_curve", dataset=name, profile="laptop")
if not path.is_file():
    name = "glyphs"  # nothing is recorded on this data set
curves = records.curves(unit, dataset=name)
all_labels = records.figure(unit, "label_curve", "full_labels", dataset=name).values
shown = {"full_labels": {budget: all_labels for budget in budgets}}
shown |= {method: curves[method] for method in ("scratch", "random_probe")}
shown["this_notebook"] = mine
plots.show(plots.label_curve(shown, title=f"What labels buy (recorded on {name})"))

# %% [markdown]
# | labels per class | from scratch |
# |---|---:|
# | all | {{ result("label_curve", "full_labels") | pm(percent=true) }} |
# | 50 | {{ result("label_curve", "scratch@50") | pm(percent=true) }} |
# | 10 | {{ result("label_curve", "scratch@10") | pm(percent=true) }} |
# | 1 | {{ result("label_curve", "scratch@1") | pm(percent=true) }} |
#
# With one label per class even the nearest neighbor on pixels does better than the network
# ({{ result("label_curve", "pixels_knn@1").mean | pct }}). A linear layer on random, frozen features comes to
# {{ result("label_curve", "random_probe@10") | pm(percent=true) }} at ten labels per class.
#
# **The gap between the black line and the dashed one, at five or ten labels, is what this course is about.** The images
# are there, by the thousand, but their labels are missing.

# %% [markdown]
# {{ results_table() }}
#
# Each unit adds rows to this table. Photographs show the same: on CIFAR-10 with 20, 100, 400, 1000 and 5000 labels per
# class, the test error is 66.3, 52.7, 25.8, 16.5 and 6.9 % (Gidaris 2018).

# %% [markdown]
# ## 7. When it fails
#
# A colleague has read that a classifier ends in a softmax, so she puts one behind the network. All else is as yours,
# your training step included. **Predict**: will the network learn anything? Where will the loss go?

# %% tags=["train"]
check.needs("accuracy", "evaluate", "train_step")
colleagues_model = nn.Sequential(new_classifier(), nn.Softmax(dim=1))
floor = math.log(1 + (num_classes - 1) / math.e)
line = {"baseline": floor, "baseline_label": "what is this line?"}
curve = plots.live_curve(2 * steps, title="Her loss", **line)
train(colleagues_model, data, 2 * steps, curve=curve)
print(evaluate(colleagues_model, test_batches))

# %% [markdown]
# She trains twice as long as you did, and the loss sticks just above the dashed line. It is
# {{ result("failures", "softmax_loss").mean | num(2) }} at the end (recorded), where yours was down to
# {{ result("failures", "logits_loss").mean | num(2) }} in half the time.
#
# Yet her accuracy is {{ result("failures", "softmax_accuracy").mean | pct }}, and a network without her softmax has
# {{ result("label_curve", "full_labels").mean | pct }} after as many steps. She lowers the learning rate, then she
# doubles the network, but nothing gets below the line.

# %% [markdown] nbgrader={"grade_id": "why_the_loss_sticks", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** Explain to her in four to six sentences (a) why no network, however good, can get
# below that line, and how high it is for $K$ classes, (b) how the accuracy can be good all the same, and (c) what she
# should change, and what harm her loss would do if she left it.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* `F.cross_entropy` applies softmax itself, so it sees a softmax of a softmax. Her outputs lie
# between 0 and 1; the best possible output is 1 for the true class and 0 for the others, and the second softmax makes
# only $e / (e + K - 1)$ of that. So the loss cannot fall below $\log(1 + (K - 1) / e)$, about $1.46$ for ten classes.
# Softmax keeps the order of the classes, so the argmax, and with it the accuracy, can become as good as ever. She
# should hand the logits to the loss and use softmax only to read probabilities. If she leaves it, the probabilities
# behind her loss never exceed about a quarter, so her loss cannot tell a sure network from an unsure one; gradients are
# smaller too, and an image that is wrong with full confidence hardly teaches anything.
#
# *Sample answer (2).* Softmax is applied twice, the inputs of the second are between 0 and 1, so the probability of the
# right class never gets near 1 and the loss stays above zero. She must remove her softmax.
#
# *Sample answer (1).* She should not use softmax because cross-entropy already has it.
#
# *Rubric.* 3: double softmax named, the floor derived or its height stated with the reason (inputs in [0, 1]), order
# kept, so accuracy can be good, and the remedy with one harm (loss says little, small gradients, no usable
# probabilities).
# 2: double softmax and remedy, and one of floor, order and harm explained. 1: double softmax or remedy named without a
# reason. 0: learning rate, network size or data blamed, or blank.
# ### END SOLUTION

# %% [markdown]
# ## 8. Quiz
#
# Ungraded. Answer first, then open.
#
# <details><summary>1. You add 100 to every logit. What happens to accuracy and to the loss?</summary>
# Nothing: argmax and softmax depend on differences only.</details>
#
# <details><summary>2. Why must <code>evaluate</code> restore the mode instead of calling <code>model.train()</code> at
# the end?</summary>
# A network that is being used, not trained, would leave in train mode, and its next prediction would depend on the
# batch.</details>
#
# <details><summary>3. Why is one test set of 2,000 images enough, but one draw of ten labels per class
# is not?</summary>
# Other test images change the result by about a point. Other labeled images change the network itself.</details>
#
# <details><summary>4. May you choose the number of steps by test accuracy?</summary>
# No: then the test images take part in training. Set images aside for validation.</details>

# %% [markdown]
# ## Take away
#
# - Accuracy asks only which logit is highest.
# - Weigh batches by size; eval mode, no gradients, mode restored. Then a number is about the network.
# - Train mode, clear, forward, backward, step: this trains every network of the course.
# - Cross-entropy takes logits. A loss that sticks at a constant is a formula to be found.
# - Few labels are drawn stratified, disjoint and seeded. Use several seeds before you believe a difference.
#
# **Where this is used.** Hospitals have millions of scans and labels for hundreds. Banks know few frauds among billions
# of payments. A robot's camera films all day, without labels.
#
# **Further reading.** Oliver et al. (2018), *Realistic Evaluation of Deep Semi-Supervised Learning Algorithms*.
#
# **Bonus.** (1) Run this unit with `COURSE_DATASET=mnist`: is one label worth more there? (2) Leave `augment=` out of
# `train`: what were the shifts worth at five labels per class?
