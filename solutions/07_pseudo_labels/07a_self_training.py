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
# # Self-training: labels that a model gives itself
#
# *A network with some accuracy can label thousands of images itself, and train on its own predictions. When does that
# make it better, how much is it worth, and when does it make the network worse?*
#
# **You will** predict pseudo-labels, select the confident ones, measure and repair calibration, write a round of
# self-training, repair a training loop with six faults, and write a check that finds such faults. **You will
# measure** the gain at each number of labels, and see self-training fail.
#
# **You need** PyTorch [modules](https://pytorch.org/docs/stable/notes/modules.html), a training loop (unit 00) and
# [softmax](https://pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html).
#
# **Time**: about 2.5 to 3 hours in two sittings, with a natural break after section 4. About 4 minutes of it are
# computation.

# %% [markdown]
# **Warm-up.** Two questions from earlier units. Answer first, then open.
#
# <details><summary>1. What is a validation set for?</summary>
# Settings are chosen by it, such as a learning rate or a threshold. Then the test set is used once, for the
# result.</details>
#
# <details><summary>2. Why do we evaluate a model in eval mode and under <code>torch.no_grad()</code>?</summary>
# In eval mode batch normalization uses its running statistics, so a prediction does not depend on the rest of the
# batch. Without gradients, no memory is spent on a graph.</details>

# %% tags=["setup"]
import copy
from functools import partial

import torch
from IPython.display import Markdown
from torch import nn
from torch.nn import functional as F

from course_lib import evaluation, plots, records, settings, widgets
from course_lib.data import Batches, as_float, augment, load, split_labels
from course_lib.evaluation import accuracy_on
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import Classifier, ConvEncoder, eval_mode
from course_lib.training import fit

# %% tags=["setup"]
unit = "07_pseudo_labels"
check = checks_for(unit)
predict = predictions_for("07a_self_training")
data = load(n=settings.by_profile(smoke=800, laptop=8_000, full=8_000))
test = load(split="test", n=settings.by_profile(smoke=300, laptop=2_000, full=2_000))
device, num_classes = settings.device(), len(data.class_names)
images = as_float(data.images).to(device)  # (N, C, H, W) in [0, 1]
split = split_labels(
    data.labels, per_class=10, generator=torch.Generator().manual_seed(0)
)
few_images, few_labels = images[split.labeled], data.labels[split.labeled].to(device)
pool, hidden = images[split.unlabeled], data.labels[split.unlabeled]  # to measure only
print(f"{data.name}: {len(few_images)} images with a label, {len(pool):,} without")

# %% [markdown]
# ## 1. Ten labels per class
#
# *Semi-supervised learning* uses a few labeled and many unlabeled images together. The split has three parts. The
# network trains on the labeled images. The labels of the unlabeled images stay hidden and only serve to measure. Twenty
# labeled validation images per class are set aside, and section 3 uses these for calibration. They are labels too,
# twice as many as the network trains on.
#
# The baseline is the course's small encoder, trained on ten labeled images per class with small shifts as
# augmentation. **Predict**: for which share of the test images does it predict the right class?

# %% tags=["predict"]
predict.labels_alone(...)  # a share between 0 and 1

# %% tags=["train"]
first_weights = torch.Generator().manual_seed(0)
encoder = ConvEncoder(data.images.shape[1], generator=first_weights)
start = Classifier(encoder, num_classes, generator=first_weights).to(device)


def train(network, images, labels, *, steps=300, title="training"):
    options = {"shuffle": True, "generator": torch.Generator().manual_seed(0)}
    options |= {"batch_size": min(64, len(images)), "augment": augment.random_shift}
    steps = settings.by_profile(smoke=2, laptop=steps, full=4 * steps)
    fit(network, Batches(images, labels, **options), steps=steps, lr=3e-3, label=title)


model = copy.deepcopy(start)  # start keeps the initial weights
train(model, few_images, few_labels, title="labels alone")
print(f"test accuracy with ten labels per class: {accuracy_on(model, test):.0%}")
predict.labels_alone.compare(accuracy_on(model, test))

# %% [markdown]
# The *recorded* accuracy is {{ result("label_curve", "scratch@10") | pm(percent=true) }}. In this notebook "recorded"
# always means the mean ± standard deviation over {{ result("label_curve", "scratch@10").n }} seeds, from the files in
# `results/`. So most predictions on unlabeled images should be right too. Could they serve as labels?
#
# ## 2. Pseudo-labels and confidence
#
# A *pseudo-label* is the class that the model predicts for an unlabeled image. Its *confidence* is the predicted
# probability of that class:
#
# $$p(x) = \mathrm{softmax}(f(x)), \qquad \hat y = \arg\max_k p_k(x), \qquad c = \max_k p_k(x)$$
#
# ### Exercise 7.1: pseudo_label (core, 10 minutes)
#
# Predict in eval mode and without gradients, in batches of a few hundred images, because thousands at once need too
# much memory. Some submodules may already be in eval mode, for example frozen ones. Therefore use `with
# eval_mode(model), torch.no_grad():`, which restores the mode of **each** module, not only of the whole model.
#
# Shapes: `images` `(N, C, H, W)`, logits `(N, K)`, labels and confidences `(N,)`.

# %% nbgrader={"grade_id": "pseudo_label", "solution": true}
def pseudo_label(model, images):
    """The class predicted for each image in eval mode, and its probability.

    Args:
        model: maps (n, C, H, W) to logits (n, K). It sees a few hundred images at a
            time, with gradients switched off. Afterwards it is as it was: **each
            module** in the mode that it had (`eval_mode` does this).
        images: (N, C, H, W) float tensor on the model's device.

    Returns:
        labels: (N,) int64, the most probable class of image i at position i.
        confidences: (N,) float, the probability of that class, without gradient.
    """
    ### BEGIN SOLUTION
    with eval_mode(model), torch.no_grad():
        logits = torch.cat([model(batch) for batch in images.split(500)])  # (N, K)
    confidences, labels = logits.softmax(dim=1).max(dim=1)  # (N,), (N,)
    return labels, confidences
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_pseudo_label", "grade": true}
check.pseudo_label(pseudo_label)

# %% [markdown]
# Here are sixteen unlabeled images, ordered from the most to the least confident prediction.

# %% tags=["demo"]
check.needs("pseudo_label")
guessed, confidences = pseudo_label(model, pool)
ranks = torch.linspace(0, len(pool) - 1, 16).long()  # evenly spaced
ranked = confidences.cpu().argsort(descending=True)[ranks].tolist()
captions = [
    f"{data.class_names[guessed[i]]}\n{confidences[i]:.0%}"
    + (" (wrong)" if guessed[i] != hidden[i] else "")
    for i in ranked
]
title = "From confident to not confident"
plots.show(plots.image_grid(pool[ranked], captions=captions, columns=8, title=title))

# %% [markdown]
# Confident predictions are mostly right, and most wrong labels are in the second row. This suggests a rule, which is to
# accept confident pseudo-labels and to ignore the other images (Lee 2013, and Yarowsky 1995 for text).
#
# ### Exercise 7.2: select_confident (core, 12 minutes)
#
# Keep the images with $c \ge \tau$. With `per_class`, keep at most that many of each pseudo-label, the most confident
# ones. Without such a limit, classes that are often predicted can fill the next training set.

# %% nbgrader={"grade_id": "select_confident", "solution": true}
def select_confident(labels, confidences, tau, *, per_class=None):
    """Which pseudo-labels to accept.

    Args:
        labels: (N,) int64, pseudo-labels.
        confidences: (N,) float, from 0 to 1.
        tau: the threshold; a confidence of exactly tau passes.
        per_class: at most so many of each class, its most confident ones, any of equal
            ones (0: none); None: no limit.

    Returns:
        Positions of the chosen images, int64 `(M,)`, ascending. M may be 0.
    """
    ### BEGIN SOLUTION
    positions = (confidences >= tau).nonzero().squeeze(1)  # (M,)
    if per_class is None:
        return positions
    kept = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
    for k in labels[positions].unique():
        own = positions[labels[positions] == k]
        kept[own[confidences[own].argsort(descending=True)[:per_class]]] = True
    return kept.nonzero().squeeze(1)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_select_confident", "grade": true}
check.select_confident(select_confident)

# %% [markdown]
# *Coverage* is the share of images that pass the threshold, and *precision* is the share of these with the right label.
# A higher threshold lowers coverage and usually raises precision. Move the threshold. Which classes pass at a high
# threshold, and which hardly ever pass?

# %% tags=["demo"]
check.needs("pseudo_label", "select_confident")
title = "What the threshold lets through"
widgets.pseudo_label_slider(
    guessed, confidences, hidden, class_names=data.class_names, title=title
)

# %% [markdown]
# | recorded at $\tau = 0.9$ | images that pass | of these labeled right |
# |---|---:|---:|
# | ten labels per class | {{ result("threshold", "coverage_10@0.9") | pm(percent=true) }} | {{
# result("threshold", "precision_10@0.9") | pm(percent=true) }} |
# | five labels per class | {{ result("threshold", "coverage_5@0.9") | pm(percent=true) }} | {{
# result("threshold", "precision_5@0.9") | pm(percent=true) }} |
#
# Coverage is similar, but with five labels per class many more accepted labels are wrong.
#
# ## 3. Can a confidence be trusted?
#
# A model is *calibrated* if, of all images with a confidence of 90 percent, 90 percent are right. To measure it, sort
# $N$ images by confidence into $M$ bins $B_m$, from $(m-1)/M$ to $m/M$, upper edge included. The *expected calibration
# error* (Guo et al. 2017) is
#
# $$\mathrm{ECE} = \sum_{m=1}^{M} \frac{|B_m|}{N} \left|\, \mathrm{acc}(B_m) - \mathrm{conf}(B_m) \,\right|$$
#
# Here acc is the accuracy in a bin, and conf the mean confidence. A bin counts by its number of images, so rare
# confidences matter little.
#
# ### Exercise 7.3: expected_calibration_error (hard, 15 minutes)

# %% nbgrader={"grade_id": "expected_calibration_error", "solution": true}
def expected_calibration_error(logits, labels, *, num_bins=10):
    """How far confidence and accuracy are apart, on average over images.

    Args:
        logits: (N, K) float.
        labels: (N,) int64, the true classes.
        num_bins: bins of equal width between 0 and 1.

    Returns:
        A float from 0 (calibrated) to 1.
    """
    ### BEGIN SOLUTION
    confidences, predicted = logits.softmax(dim=1).max(dim=1)  # (N,), (N,)
    right = (predicted == labels).to(confidences.dtype)
    error = 0.0
    for m in range(num_bins):
        inside = (confidences > m / num_bins) & (confidences <= (m + 1) / num_bins)
        if inside.any():
            gap = abs(right[inside].mean().item() - confidences[inside].mean().item())
            error += inside.sum().item() / len(labels) * gap
    return error
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_expected_calibration_error", "grade": true}
check.expected_calibration_error(expected_calibration_error)

# %% [markdown]
# In practice only the validation images have labels for this. Here we also know the hidden labels of the unlabeled
# images, so we can look at both. Is the model overconfident (confidence above accuracy) or underconfident? **Predict**:
# of the images with a confidence of at least $0.9$, how probable is it that more than 90 percent are right?

# %% tags=["predict"]
predict.underconfident(...)  # how probable: 0 is no, 1 is yes

# %% tags=["demo"]
check.needs("expected_calibration_error")
groups = {}
for name in ("validation", "unlabeled"):
    positions = getattr(split, name)
    logits, truth = evaluation.predict(model, images[positions]), data.labels[positions]
    error = expected_calibration_error(logits, truth)
    print(f"{name:10} {len(truth):5} images, calibration error {error:.3f}")
    confident, predicted = logits.softmax(dim=1).max(dim=1)
    groups[name] = confident, predicted == truth
plots.show(plots.reliability_diagram(
    groups, title="Confidence and accuracy (bars: accuracy; hatched: the gap)"
))
predict.underconfident.compare()

# %% [markdown]
# | recorded, unlabeled images | ECE | accuracy where confidence is at least $0.9$ |
# |---|---:|---:|
# | ten labels per class | {{ result("threshold", "error_10") | pm }} | {{
# result("threshold", "precision_10@0.9") | pm(percent=true) }} |
# | five labels per class | {{ result("threshold", "error_5") | pm }} | {{
# result("threshold", "precision_5@0.9") | pm(percent=true) }} |
#
# In the figure, bars above the diagonal mean underconfident, and bars below it overconfident. At this threshold the
# model of ten labels per class is underconfident, and that of five is overconfident {{ every_seed("precision_10@0.9 >
# 0.9, precision_5@0.9 < 0.9", "threshold") }}. So the same threshold means different things for different models.
#
# *Temperature scaling* (Guo et al. 2017) divides all logits by one number $T > 0$. The predicted class stays, and a
# $T$ above 1 lowers each confidence. On $n$ labeled images with logits $z_i$, the best $T$ minimizes the cross-entropy:
#
# $$T^* = \arg\min_T \; -\frac{1}{n} \sum_{i=1}^{n} \log \mathrm{softmax}(z_i / T)_{y_i}$$
#
# ### Exercise 7.4: fit_temperature (core, 10 minutes)

# %% nbgrader={"grade_id": "fit_temperature", "solution": true}
def fit_temperature(logits, labels):
    """The temperature that minimizes the mean cross-entropy of logits / T.

    Args:
        logits: (n, K) float, of images that did not train the network.
        labels: (n,) int64, their true classes.

    Returns:
        T as a Python float, within 2 percent, found by any method. The best T may be
        anywhere from 0.05 to 20.
    """
    ### BEGIN SOLUTION
    log_t = torch.zeros((), device=logits.device, requires_grad=True)  # T = 1
    optimizer = torch.optim.Adam([log_t], lr=0.1)
    for _ in range(200):
        loss = F.cross_entropy(logits / log_t.exp(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return log_t.exp().item()  # the exponential keeps T above 0
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_fit_temperature", "grade": true}
check.fit_temperature(fit_temperature)

# %% [markdown]
# Fit $T$ on validation images. On the images that trained the network nearly all predictions are right, so a $T$ fitted
# there should be far too small. The cell fits both.

# %% tags=["demo"]
check.needs("expected_calibration_error", "fit_temperature")
fitted = {}
for name in ("labeled", "validation"):
    known, truth = (part[getattr(split, name)] for part in (images, data.labels))
    fitted[name] = fit_temperature(evaluation.predict(model, known), truth)
logits = evaluation.predict(model, pool)
for name, T in {"no scaling": 1.0, **fitted}.items():
    error = expected_calibration_error(logits / T, hidden)
    passed = ((logits / T).softmax(dim=1).amax(dim=1) >= 0.9).float().mean()
    print(f"{name:10} T = {T:5.2f}, unlabeled: ECE {error:.3f}, {passed:.0%} pass 0.9")

# %% [markdown]
# | recorded | ECE | pass $0.9$ | of these right |
# |---|---:|---:|---:|
# | ten labels, $T = 1$ | {{ result("temperature", "error_10") | pm }} | {{
# result("temperature", "coverage_10") | pm(percent=true) }} | {{
# result("temperature", "precision_10") | pm(percent=true) }} |
# | ten labels, $T$ = {{ result("temperature", "temperature_10") | pm }} | {{
# result("temperature", "scaled_error_10") | pm }} | {{
# result("temperature", "scaled_coverage_10") | pm(percent=true) }} | {{
# result("temperature", "scaled_precision_10") | pm(percent=true) }} |
# | five labels, $T = 1$ | {{ result("temperature", "error_5") | pm }} | {{
# result("temperature", "coverage_5") | pm(percent=true) }} | {{
# result("temperature", "precision_5") | pm(percent=true) }} |
# | five labels, $T$ = {{ result("temperature", "temperature_5") | pm }} | {{
# result("temperature", "scaled_error_5") | pm }} | {{
# result("temperature", "scaled_coverage_5") | pm(1, percent=true) }} | {{
# result("temperature", "scaled_precision_5") | pm(percent=true) }} |
#
# Scaling lowers the ECE {{ every_seed("scaled_error_10 < error_10, scaled_error_5 < error_5", "temperature") }}. With
# five labels per class, more of the accepted labels are right but almost no image passes, both
# {{ every_seed("scaled_precision_5 > precision_5, scaled_coverage_5 < 0.01", "temperature") }}, so self-training would
# need a lower threshold. With ten, more images pass and fewer of these are right, also
# {{ every_seed("scaled_coverage_10 > coverage_10, scaled_precision_10 < precision_10", "temperature") }}. We have not
# recorded self-training after scaling.
#
# ## 4. A round of self-training
#
# One round of *self-training* predicts pseudo-labels, selects the confident ones, adds them to the labeled set, and
# trains.

# %% tags=["demo"]
plots.show(plots.diagram_self_training())

# %% [markdown]
# In every round the labeled images keep their own labels, and pseudo-labels are predicted anew, so that a wrong one
# can change. Gradients exist only inside the training, so a pseudo-label is a plain number there. One choice remains.
# Each round can *restart* from the initial weights, or continue from the current ones.
#
# ### Exercise 7.5: self_training_round (core, 15 minutes)
#
# `train(network, images, labels)` trains a network in place. Your function passes it the right images and labels.

# %% nbgrader={"grade_id": "self_training_round", "solution": true}
def self_training_round(
    model, start, images, labels, unlabeled, *, tau, train, restart=True
):
    """Pseudo-labels from `model`, then one training on labeled and chosen images.

    Args:
        model: the current model, which predicts pseudo-labels; start: the network with
            the initial weights. Both stay as they are.
        images, labels: (N, C, H, W) and (N,) int64; unlabeled: (U, C, H, W).
        tau: the threshold; a confidence of exactly tau passes.
        train: a function train(network, images, labels), to be called once, also when
            no image was chosen.
        restart: True: train a copy of start; False: continue with a copy of model.

    Returns:
        The trained network, and the positions of the unlabeled images that were chosen,
        int64 (M,), ascending.
    """
    ### BEGIN SOLUTION
    guessed, confidences = pseudo_label(model, unlabeled)
    chosen = select_confident(guessed, confidences, tau)
    network = copy.deepcopy(start if restart else model)
    train(
        network, torch.cat([images, unlabeled[chosen]]),
        torch.cat([labels, guessed[chosen]]),
    )  # fmt: skip
    return network, chosen
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_self_training_round", "grade": true}
check.self_training_round(self_training_round)

# %% [markdown]
# Run three rounds with restart. Each round trains longer, because there are more images to learn from. The labeled
# images are repeated five times, because otherwise thousands of pseudo-labels, most of easy classes, would outweigh
# them. The threshold of $0.9$ and the five repeats were set by hand, and no search over them is recorded. **Predict**
# the accuracy after the third round.

# %% tags=["predict"]
predict.three_rounds(...)  # a share between 0 and 1

# %% tags=["train"]
check.needs("pseudo_label", "select_confident", "self_training_round")


def self_train(model, images, labels, unlabeled, *, tau, steps, repeats=5):
    images, labels = images.repeat(repeats, 1, 1, 1), labels.repeat(repeats)
    networks, sizes = [model], []
    for number, length in enumerate(steps, start=1):
        learn = partial(train, steps=length, title=f"round {number}")
        network, chosen = self_training_round(
            networks[-1], start, images, labels, unlabeled, tau=tau, train=learn
        )
        networks.append(network)
        sizes.append(len(chosen))
    return networks, sizes


networks, sizes = self_train(
    model, few_images, few_labels, pool, tau=0.9, steps=(400, 600, 800)
)
accuracy = [accuracy_on(network, test) for network in networks]
print("chosen in each round:", sizes)
predict.three_rounds.compare(accuracy[3])
rounds = {"pseudo_label": {number: [value] for number, value in enumerate(accuracy)}}
title = "Ten labels per class, one seed"
plots.show(plots.label_curve(rounds, x_label="round", title=title))

# %% [markdown]
# Accuracy rises, and the chosen set grows, because a better model is confident on more images. A class with few
# confident predictions gets few pseudo-labels and may gain little, which section 6 measures.
#
# Which part helps, the restart or the threshold? The recorded runs differ only in these, with the same number of steps.
#
# {{ figures_table({"threshold and restart": "restarted", "threshold, no restart": "continued", "neither":
# "own_argmax"}, (0, 1, 2, 3), "rounds", head="recorded, after round") }}
#
# The restart made no difference here, because it is better on one seed and worse on another. The threshold is worth
# {{ ((result("rounds", "continued@3").mean - result("rounds", "own_argmax@3").mean) * 100) | num(1) }} points in the
# mean, and helps {{ every_seed("continued@3 > own_argmax@3", "rounds") }}. Without it, accuracy still rises
# {{ every_seed("own_argmax@3 > own_argmax@0", "rounds") }}, because most pseudo-labels are right here.
#
# **A natural break.**

# %% [markdown]
# ## 5. Find the bugs
#
# This loop combines six faults that are common in published code. It runs, and its loss falls. Each repair earns its
# own point. Change nothing else.
#
# ### Exercise 7.6: train_with_pseudo_labels (hard, 20 minutes)
#
# The right loop does this:
#
# - In each epoch, *all* images in `unlabeled` get new pseudo-labels, in eval mode and without gradients.
# - Then `model` learns, in train mode, from every image once, labeled or not. The order is drawn once per epoch from
#   `generator`, and each image keeps its label.
# - The optimizer is SGD with `momentum=0.9`, without the parameters that have `requires_grad=False`.
# - The first epoch has the rate `lr`. From epoch to epoch the rate falls along half a cosine.
# - It returns a list of Python floats, the mean loss *per image* in each epoch.
#
# Shapes: `images` `(N, C, H, W)`, `labels` `(N,)`, `unlabeled` `(U, C, H, W)`. Delete the line with `raise` first.

# %% nbgrader={"grade_id": "train_with_pseudo_labels", "solution": true}
def train_with_pseudo_labels(
    model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator
):
    """Trains `model` in place, in batches of at most batch_size; returns the losses."""
    ### BEGIN SOLUTION
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_epochs)
    losses = []
    for _ in range(num_epochs):
        model.eval()
        with torch.no_grad():
            logits = torch.cat([model(batch) for batch in unlabeled.split(500)])
        model.train()
        x, y = torch.cat([images, unlabeled]), torch.cat([labels, logits.argmax(dim=1)])
        order = torch.randperm(len(x), generator=generator).to(x.device)
        x, y, running_loss = x[order], y[order], 0.0  # one order for both
        for x_batch, y_batch in zip(x.split(batch_size), y.split(batch_size)):
            loss = F.cross_entropy(model(x_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * len(x_batch)
        scheduler.step()
        losses.append(running_loss / len(x))
    return losses
    ### STARTING CODE
    # optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    # scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_epochs)
    # losses = []
    # model.train()
    # for epoch in range(num_epochs):
    #     pseudo = model(unlabeled).argmax(dim=1)
    #     x, y = torch.cat([images, unlabeled]), torch.cat([labels, pseudo])
    #     x = x[torch.randperm(len(x), generator=generator).to(x.device)]
    #     y = y[torch.randperm(len(y), generator=generator).to(y.device)]
    #     batches = list(zip(x.split(batch_size), y.split(batch_size)))
    #     running_loss = 0.0
    #     for x_batch, y_batch in batches:
    #         loss = F.cross_entropy(model(x_batch), y_batch)
    #         optimizer.zero_grad()
    #         loss.backward()
    #         optimizer.step()
    #         running_loss += loss.item() * len(x_batch)
    #     losses.append(running_loss / len(batches))
    # return losses
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_train_with_pseudo_labels", "grade": true}
check.train_with_pseudo_labels(train_with_pseudo_labels)

# %% [markdown]
# Two of the faults give an image the label of another one. After two independent permutations only about one pair in
# ten still matches, as by chance. Now continue from your last network with the repaired loop.

# %% tags=["demo"]
check.needs(
    "pseudo_label", "select_confident", "self_training_round",
    "train_with_pseudo_labels",
)  # fmt: skip
last = copy.deepcopy(networks[-1])
some = pool[: settings.by_profile(smoke=50, laptop=2_000, full=8_000)]
options = {"num_epochs": 3, "lr": 0.01, "batch_size": 64}
losses = train_with_pseudo_labels(
    last, few_images, few_labels, some, generator=torch.Generator().manual_seed(0),
    **options,
)  # fmt: skip
print("mean loss of each epoch:", ", ".join(f"{loss:.3f}" for loss in losses))
print(f"test accuracy {accuracy_on(networks[-1], test):.0%} before,")
print(f"              {accuracy_on(last, test):.0%} after")

# %% [markdown]
# The loss falls and the loop is correct, but it accepts every pseudo-label without a threshold. Therefore the accuracy
# need not rise. Compare it before and after. Correct code does not make a method good.

# %% [markdown]
# **A check finds such faults earlier.** Usually a fault stays for weeks, because a training loop with a wrong label
# or a wrong mode still runs, and its accuracy is only a little lower. Therefore functions that a result depends on
# get a check, which runs again after each change. For `pseudo_label` it looks at two things. The first is the result,
# compared with what you compute yourself for a small model. The second is what the caller finds afterwards, such as
# the mode of each module, because this fault shows only later and in other code.
#
# ### Exercise 7.7: pseudo_label_check (hard, 20 minutes)
#
# Your check is given a `candidate` that should do what `pseudo_label` of Exercise 7.1 does. Build a small model and
# images inside the check (a wrong candidate may change them), call `candidate(model, images)`, and `assert` what must
# hold.

# %% [markdown]
# **What is tried.** Three right functions and twenty wrong ones, the known mistakes of Exercise 7.1, come in random
# order. They return wrong labels, confidences, types or orders, or too few of them, predict in train mode, or leave
# modes, gradients or `requires_grad` changed. Some of them are right if all modules have the same mode, if no module
# depends on the mode, or if all images fit in one batch of 256. Two mistakes that only use too much memory are not
# among them.
#
# **Points.** A function is stopped if your check raises an error. If it stops a right function, it earns nothing.
# Otherwise the points are given by the share of wrong functions that it stops. Assert only what the statement of
# `pseudo_label` promises, so allow for rounding.

# %% nbgrader={"grade_id": "pseudo_label_check", "solution": true}
def pseudo_label_check(candidate):
    """Raises an error if `candidate` is not a right `pseudo_label`; lets a right one
    pass.

    Args:
        candidate: a function of a model and of (N, C, H, W) images; it should return
            labels (N,) and confidences (N,), and leave the model as it was.
    """
    ### BEGIN SOLUTION
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.Dropout(0.5))
    model[1].weight.data *= 10  # so that several classes are predicted
    images = torch.rand(300, 1, 4, 4)
    best = model.eval()(images).softmax(dim=1).max(dim=1)
    for mode in (True, False):
        model.train(mode)
        model[1].eval()  # one module that must stay in eval mode
        modes = [module.training for module in model.modules()]
        labels, confidences = candidate(model, images)
        assert torch.is_grad_enabled(), "gradients stay switched off"
        assert labels.dtype == torch.int64, f"labels are {labels.dtype}"
        assert torch.equal(labels, best.indices), "other labels"
        assert torch.allclose(confidences, best.values, atol=1e-5), "other confidences"
        assert not confidences.requires_grad, "the graph is kept"
        assert all(weight.requires_grad for weight in model.parameters()), "frozen"
        assert modes == [module.training for module in model.modules()], "other modes"
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_pseudo_label_check", "grade": true}
check.pseudo_label_check(pseudo_label_check)

# %% [markdown]
# The result alone is not enough. A function that leaves the model in another mode passes every comparison of labels.
#
# ## 6. The question of the course: what is it worth?

# %% tags=["demo"]
order = ["self_training_strong", "scratch_strong"]
order += ["self_training_weak", "scratch_weak"]
options = {"dataset": data.name, "title": "Three rounds of self-training"}
plots.show(plots.recorded_curves(unit, "protocol", order, **options))
Markdown(records.results_table(up_to=unit))

# %% [markdown]
# {{ figures_table({"labels alone, weak views": "scratch_weak", "self-training, weak views": "self_training_weak",
# "control: labels alone, strong views": "scratch_strong", "self-training, strong views": "self_training_strong"},
# (1, 5, 10, 20, 50), "protocol") }}
#
# Each network has 800 steps, and self-training trains four. *Weak views* are shifted images. With weak views
# self-training beats labels alone, {{ every_seed("self_training_weak@5 > scratch_weak@5, self_training_weak@10 >
# scratch_weak@10, self_training_weak@20 > scratch_weak@20", "protocol") }} from five to twenty labels per class. With
# one label it is worse, also {{ every_seed("self_training_weak@1 < scratch_weak@1", "protocol") }}. This suggests that
# self-training needs a fairly good first model.
#
# *Strong views* (second notebook) change the images more, and the control needs no unlabeled image. Self-training with
# weak views is ahead of this control at ten labels, and behind it at five, both {{ every_seed("self_training_weak@10 >
# scratch_strong@10, self_training_weak@5 < scratch_strong@5", "protocol") }}. With strong views it gains at five and
# *loses* at twenty, both {{ every_seed("self_training_strong@5 > scratch_strong@5, self_training_strong@20 <
# scratch_strong@20", "protocol") }}. We have not found the reason.

# %% [markdown]
# **Details matter.** In the shorter recipe of this notebook, twenty labels per class end at
# {{ result("label_curve", "pseudo_label@20") | pm(percent=true) }} after three rounds. With the labeled images once
# instead of five times it is {{ result("label_curve", "once@20") | pm(percent=true) }}, on one seed *below* labels
# alone.
#
# On MNIST, a hundred labels go from {{ result("label_curve", "scratch@10", dataset="mnist") | pm(percent=true) }}
# to {{ result("label_curve", "pseudo_label@10", dataset="mnist") | pm(percent=true) }}.
#
# **Older methods** spread labels along a graph of neighbors, or run self-training around a support vector machine
# (SVC), on pixels or on the features of the network that was trained on the labels alone:
#
# {{ figures_table({"SVC, labels alone": "svc", "SVC, self-training": "self_training", "LabelPropagation":
# "propagation", "LabelSpreading": "spreading"}, {"on pixels": "_pixels", "on features": "_features"}, "baselines") }}
#
# This network alone has {{ result("baselines", "network").mean | pct }}. On pixels all are far below, and on its
# features close to it, but not clearly above. This suggests that self-training gains because its features continue to
# change.

# %% [markdown]
# **Rare classes.** Now the first class is ten times as frequent as the last in the unlabeled set. The limit is a
# hundred pseudo-labels per class.
#
# {{ figures_table({"labels alone": "scratch", "threshold": "threshold", "threshold and limit": "balanced"},
# {"all classes": "", "three commonest": "_common", "three rarest": "_rare"}, "imbalance", head="recorded recall") }}
#
# The threshold alone lowers the recall of the rarest classes, and the limit raises it above labels alone, both
# {{ every_seed("threshold_rare < scratch_rare, balanced_rare > scratch_rare", "imbalance") }}. Overall accuracy hides
# this.
#
# ## 7. When it fails: confirmation bias
#
# Use five labels per class, no threshold and no repeats, so every pseudo-label counts as much as a true label. Will the
# network still predict all classes in the end? **Predict** the accuracy after five rounds.

# %% tags=["predict"]
predict.no_threshold(...)  # a share between 0 and 1

# %% tags=["train"]
check.needs("pseudo_label", "select_confident", "self_training_round")
generator = torch.Generator().manual_seed(0)
five = split_labels(data.labels, per_class=5, generator=generator)
few, unlabeled = images[five.labeled], images[five.unlabeled]
few_labels = data.labels[five.labeled].to(device)
first = copy.deepcopy(start)
train(first, few, few_labels, title="labels alone")
options = {"tau": 0.0, "steps": [300] * 5, "repeats": 1}
naive, _ = self_train(first, few, few_labels, unlabeled, **options)
accuracy = [accuracy_on(network, test) for network in naive]
print("test accuracy:", ", ".join(f"{value:.0%}" for value in accuracy))
predict.no_threshold.compare(accuracy[-1])
every = [evaluation.predict(network, unlabeled) for network in naive]
shares = [evaluation.predicted_shares(logits) for logits in every]
rows = ["labels alone", *(f"round {number}" for number in range(1, 6))]
title = "Share of unlabeled images predicted as each class"
plots.show(plots.share_table(shares, rows, data.class_names, title=title))

# %% [markdown]
# In each row the shares of some classes grow at the cost of others, although the true classes are about equally
# frequent. Recorded accuracy falls with each round, from {{ result("naive", "naive@0") | pm(percent=true) }} to
# {{ result("naive", "naive@5") | pm(percent=true) }}. Each training run works, but the labels it is given are wrong:
#
# | recorded pseudo-labels | first round | last round |
# |---|---:|---:|
# | right | {{ result("naive", "naive_right@1").mean | pct }} | {{ result("naive", "naive_right@5").mean | pct }} |
# | of the most frequent class | {{ result("naive", "naive_largest@1").mean | pct }} | {{
# result("naive", "naive_largest@5").mean | pct }} |
# | of the rarest class | {{ result("naive", "naive_smallest@1").mean | pct(1) }} | {{
# result("naive", "naive_smallest@5").mean | pct(1) }} |
#
# A class that is rarely predicted gets few pseudo-labels, and then it is predicted even less. This is *confirmation
# bias* (Arazo et al. 2020). With threshold and repeats, the same labels end at
# {{ result("naive", "threshold@3") | pm(percent=true) }}, better than at the start
# {{ every_seed("threshold@3 > threshold@0", "naive") }}.

# %% [markdown] nbgrader={"grade_id": "why_it_fell", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A clinic's network sorts skin photographs into eight diagnoses. Every month it is
# trained again on its own predictions for the month's new photographs, all of them. After half a year its training loss
# is almost zero, its mean confidence has risen, and a rare diagnosis is never predicted any more. In four to six
# sentences, (a) explain how that happened, step by step, (b) say how the clinic could have noticed early, and why loss
# and confidence did not show it, and (c) propose two changes to the procedure and what each of them prevents.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* At first the network took some photographs of the rare diagnosis for a common one. Those mistakes
# became next month's labels, so it was taught them, and made more of the same: the rare class lost its examples and the
# common one gained them. Loss and confidence are measured against the network's own answers; it agrees with itself
# better and better, right or wrong. A small set of photographs with diagnoses by a doctor, never trained on, would have
# shown the recall of each diagnosis falling, and so would the shares of the diagnoses, month by month. I would accept
# only predictions above a threshold whose precision was measured on that set, so that fewer mistakes become labels; and
# limit the pseudo-labels of each diagnosis, so that a common one cannot crowd out a rare one. Always including the
# doctors' labels would also limit the harm of old mistakes.
#
# *Sample answer (2).* The network learns its own mistakes, and so the common classes get more and more of the labels.
# The clinic should have looked at a validation set with true labels. It should use a confidence threshold.
#
# *Sample answer (1).* This is confirmation bias: the network believes itself. More labels are needed.
#
# *Rubric.* One point each. (a) The circle: a wrong prediction becomes a label, which makes more such predictions, at
# the cost of the rare class (the word confirmation bias alone earns no point). (b) Labeled images that are never
# trained on, or the drift of class shares, AND that loss and confidence measure agreement with itself. (c) Two changes,
# each with what it prevents (one of them, or both without a reason, earns no point).
# ### END SOLUTION

# %% [markdown]
# ## 8. Quiz
#
# Ungraded. Answer first, then open. Your predictions are summed up below.
#
# <details><summary>1. The loss on pseudo-labels falls to almost nothing. What do you know?</summary>
# The network agrees with its own predictions. Only images with true labels show whether these are right.</details>
#
# <details><summary>2. Why are pseudo-labels predicted in eval mode, although training is not?</summary>
# Dropout and batch statistics would make them noisy. Eval mode gives the best prediction of the model.</details>
#
# <details><summary>3. You choose the threshold by accuracy on the test set. What is wrong?</summary>
# The test set then takes part in the choice, so it no longer measures the result. Use validation images.</details>
#
# <details><summary>4. A network is perfectly calibrated. Is it accurate?</summary>
# Not necessarily. With ten equally frequent classes, always predicting ten percent for each is calibrated and
# useless.</details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# When does a model get better from its own predictions?
#
# - When its accepted pseudo-labels are mostly right. With weak views, three rounds gained from five labels per
#   class on, and cost accuracy with one.
# - A threshold helped in the recorded comparison, but what it promises depends on calibration. The restart made no
#   difference.
# - Strong views of the labels alone are the control. It was ahead with five labels per class and behind with ten.
# - Without a threshold and with few labels, mistakes become labels, and labels cause more mistakes.
# - The loss on pseudo-labels measures agreement, not accuracy. Keep labeled images aside, and look at each class.

# %% [markdown]
# ## What became of it
#
# Self-training returned at large scale. *Noisy Student* (Xie et al. 2020) trained ImageNet models on pseudo-labels for
# hundreds of millions of images, with strong augmentation of the student. In speech recognition pseudo-labels for
# untranscribed audio are common, and in translation *back-translation* is the same idea.
#
# Language models now produce labels too. They annotate data for smaller models, and *self-instruct* trains a model on
# filtered outputs of its own. Confirmation bias returned as well. Training generation after generation on model outputs
# is known as *model collapse*, in which rare content disappears first. The remedies are those of this notebook, which
# are filtering and keeping real data.
#
# In medicine pseudo-labels need an audit of each rare diagnosis. In finance confirmed fraud cases are few, and in
# robotics a policy can label its own successful attempts.

# %% [markdown]
# **Further reading.**
#
# - Lee (2013), *Pseudo-Label*, a short paper that introduced the method for deep networks.
# - Arazo et al. (2020), *Pseudo-Labeling and Confirmation Bias*. They measure the bias of section 7 and reduce it.
# - Guo et al. (2017), *On Calibration of Modern Neural Networks*, for the ECE and temperature scaling.
#
# **Challenge.** Beat three rounds with five labels per class, which reach {{ result("protocol", "self_training_weak@5")
# | pm(percent=true) }}, with small shifts as the only augmentation. Use at least three seeds.
#
# **Bonus.** (1) Use `per_class` with five labels. Does it stop the fall of section 7? (2) Divide the
# logits by $T$ before you select, with a threshold of $0.9$ and a lower one. Do three rounds gain from it?
