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
# # Fine-tuning without forgetting
#
# *A pretrained network knows more than your few labels can tell it. Fine-tune all of it at once, and it forgets what
# they do not show; keep the old task going, or go in the right order, and more of that stays.*
#
# **You will** write a penalty that ties weights to their start, a loss that keeps the old task alive, fine-tuning in
# two stages, and early stopping. **You will measure** what each keeps on images that the labels never showed, and
# choose among source models before training.
#
# **You need** PyTorch modules and a training loop (unit 00). The first notebook of this unit helps, but is not needed.
# **Time**: 90 minutes of reading and writing, of which 2 minutes of computing.

# %% tags=["setup"]
import copy
import dataclasses

import torch
from torch.nn import functional as F

from course_lib import evaluation, plots, records, settings, widgets
from course_lib.data import Batches, augment, few_label_split, load
from course_lib.exercises import checks_for
from course_lib.models import Classifier, ConvEncoder, torchvision_backbone
from course_lib.training import fit

# %% tags=["setup"]
check = checks_for("06_fine_tuning")
device, dataset = settings.device(), settings.dataset_name()
train_size, test_size = settings.by_profile(smoke=(300, 100), laptop=(4_000, 1_000), full=(20_000, 2_000))
CLASSES = {"old": ("house", "boat", "cup", "umbrella", "star"), "new": ("tree", "key", "mushroom", "fish", "lamp")}
DOMAINS = {"filled": {}, "outlined": {"style": "outlined"}, "faint": {"contrast": 0.3}}


def pictures(part, domain, *, split="train", n=train_size):
    """n images of the old or the new classes, in one of three domains."""
    if dataset == "glyphs":
        return load(dataset, split=split, n=n, classes=CLASSES[part], **DOMAINS[domain])
    data, odd = load(dataset, split=split, n=2 * n), int(part == "old")  # elsewhere, every second class is old,
    data = data.subset(torch.nonzero(data.labels % 2 == odd).squeeze(1)[:n])
    faint = (64 + 0.3 * (data.images.float() - 64)).to(torch.uint8)  # and the negative stands for the outline
    images = {"filled": data.images, "outlined": 255 - data.images, "faint": faint}[domain]
    names = data.class_names[odd::2]
    return dataclasses.replace(data, images=images, labels=data.labels // 2, class_names=names, factors={})


new = pictures("new", "filled")
split = few_label_split(new.labels, per_class=20, generator=torch.Generator().manual_seed(0))
few, validation = new.subset(split.labeled), new.subset(split.validation)
tests = {domain: pictures("new", domain, split="test", n=test_size) for domain in DOMAINS}

# %% [markdown]
# ## 1. What the network knew
#
# A *source* network learns five old classes in three *domains*: filled, outlined, and faint as in fog. Then come five
# new classes, twenty labeled images each, all of them filled. But in use the new classes will turn up outlined and
# faint as well. **Predict**: will a network fine-tuned on filled images recognize an outlined tree?

# %% tags=["demo"]
rows = {
    f"{part}, {domain}": pictures(part, domain, n=5).images
    for part in CLASSES for domain in DOMAINS
}
columns = min(map(len, rows.values()))
shown = torch.cat([images[:columns] for images in rows.values()])
titles = [title for title in rows for _ in range(columns)]
alt = "Six rows of images: old classes filled, outlined and faint; new classes filled, outlined and faint."
grid = plots.image_grid(
    shown, titles=titles, columns=columns,
    title="Labels of new classes: fourth row only", alt=alt,
)  # fmt: skip
plots.show(grid)

# %% [markdown]
# The first three rows have thousands of labels, the fourth has a hundred, the last two have none: they are for testing.
# Train the source.

# %% tags=["train"]
def batches_of(data, size=50):
    options = {
        "shuffle": True, "generator": torch.Generator().manual_seed(0),
        "augment": augment.random_shift,
    }  # fmt: skip
    return Batches(data.images, data.labels, batch_size=min(size, len(data)), **options)


parts = [pictures("old", domain) for domain in DOMAINS]
images = torch.cat([p.images for p in parts])
labels = torch.cat([p.labels for p in parts])
old = dataclasses.replace(parts[0], images=images, labels=labels, factors={})
generator = torch.Generator().manual_seed(0)
source = Classifier(
    ConvEncoder(images.shape[1], generator=generator), len(old.class_names),
    generator=generator,
)  # fmt: skip
source_steps = settings.by_profile(smoke=4, laptop=1_000, full=4_000)
curve = plots.live_curve(source_steps, title="The source learns the old classes")
fit(
    source, batches_of(old, 64), steps=source_steps, lr=3e-3, label="source",
    on_step=curve,
)  # fmt: skip
for domain in DOMAINS:
    test = pictures("old", domain, split="test", n=test_size)
    print(f"old classes, {domain}: {evaluation.evaluate(source, test.images, test.labels)['accuracy']:.0%}")

# %% [markdown]
# It knows all three domains: recorded, {{ result("forgetting", "source_in").mean | pct }},
# {{ result("forgetting", "source_out").mean | pct }} and {{ result("forgetting", "source_faint").mean | pct }}.
#
# ## 2. The baseline: everything at once
#
# Full fine-tuning, as most people do it: a new head with random weights, and all weights trained on the hundred images.

# %% tags=["train"]
tune_steps = settings.by_profile(smoke=3, laptop=150, full=1_000)


def start():
    """The pretrained encoder with a new head, on the course's device."""
    generator = torch.Generator().manual_seed(1)
    return Classifier(
        copy.deepcopy(source.encoder), len(few.class_names), generator=generator
    ).to(device)


def measure(model):
    return [
        evaluation.evaluate(model, test.images, test.labels)["accuracy"]
        for test in tests.values()
    ]


finetuned = start()
fit(finetuned, batches_of(few), steps=tune_steps, lr=1e-3, label="full fine-tuning")
found = {"everything at once": measure(finetuned)}
plots.show(plots.share_table(
    list(found.values()), list(found), list(DOMAINS), title="New classes, test accuracy"
))

# %% [markdown]
# Good where there were labels, poor elsewhere. Over {{ result("forgetting", "ft_in").n }} recorded seeds: filled
# {{ result("forgetting", "ft_in") | pm(percent=true) }}, outlined
# {{ result("forgetting", "ft_out") | pm(percent=true) }}, faint
# {{ result("forgetting", "ft_faint") | pm(percent=true) }}. With five classes, guessing gives a fifth.
#
# ## 3. Hold the weights: L2-SP
#
# Weight decay draws weights towards zero. Pretrained weights have a better place to be drawn to: their *starting
# point* $w^0$ (Li et al. 2018). With $w_i$ running over all parameters of the encoder, the head left out:
#
# $$\Omega(w) = \sum_i (w_i - w_i^0)^2, \qquad L = L_\text{task} + \lambda\, \Omega(w), \qquad
# \frac{\partial\, \Omega}{\partial w_i} = 2\,(w_i - w_i^0)$$
#
# ### Exercise 6.6: l2_sp_penalty (15 minutes)
#
# Called before training, it returns a function that measures $\Omega$ whenever it is called. Shapes: each $w^0$ has
# its weight's; the result is one number.

# %% nbgrader={"grade_id": "l2_sp_penalty", "solution": true}
def l2_sp_penalty(model):
    """Remembers where the encoder's weights are now, and returns a function that measures how far they have moved.

    Args:
        model: has `model.encoder` and `model.head`. The parameters of the encoder
            count, all of them; its buffers and the head do not.

    Returns:
        penalty: a function without arguments. `penalty()` is a tensor with a single
            number, the sum of the squared differences between the encoder's weights at
            that moment and those at the start; its gradient reaches the encoder.
    """
    ### BEGIN SOLUTION
    start = [weight.detach().clone() for weight in model.encoder.parameters()]

    def penalty():
        pairs = zip(model.encoder.parameters(), start)
        return sum((weight - origin).pow(2).sum() for weight, origin in pairs)

    return penalty
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_l2_sp_penalty", "grade": true}
check.l2_sp_penalty(l2_sp_penalty)

# %% [markdown]
# The same fine-tuning with the penalty, $\lambda = 0.1$. **Predict**: how much nearer to the start will the weights
# stay, and what will that be worth on outlined images?

# %% tags=["train"]
check.needs("l2_sp_penalty")
held = start()
penalty = l2_sp_penalty(held)  # before the first step


def task_and_penalty(model, batch):
    images, labels = batch
    return F.cross_entropy(model(images), labels) + 0.1 * penalty()


def distance(model):
    pairs = zip(model.encoder.parameters(), source.encoder.parameters())
    return sum(float((a.detach() - b.detach()).pow(2).sum()) for a, b in pairs) ** 0.5


fit(held, batches_of(few), task_and_penalty, steps=tune_steps, lr=1e-3, label="L2-SP")
found["L2-SP"] = measure(held)
print(
    f"moved by {distance(held):.2f}; without the penalty by {distance(finetuned):.2f}"
)
plots.show(plots.share_table(
    list(found.values()), list(found), list(DOMAINS), title="New classes, test accuracy"
))

# %% [markdown]
# Recorded, the weights move by {{ result("anchors", "l2sp_moved@0.1").mean | num }} instead of
# {{ result("anchors", "l2sp_moved@0").mean | num }}. One run may gain in one domain and lose in another; over the
# seeds it buys nothing here: filled
# {{ result("anchors", "l2sp_in@0.1").mean | pct }} (without: {{ result("anchors", "l2sp_in@0").mean | pct }}), outlined
# {{ result("anchors", "l2sp_out@0.1").mean | pct }} ({{ result("anchors", "l2sp_out@0").mean | pct }}), faint
# {{ result("anchors", "l2sp_faint@0.1").mean | pct }} ({{ result("anchors", "l2sp_faint@0").mean | pct }}). A
# shorter way to the same place. The paper's gains (Li et al. 2018) were in domain, with larger networks.
#
# ## 4. Keep the old task: a joint loss
#
# If the old data are at hand, let the network go on with the old question. With one encoder $f$, a new head $g$ and
# the old head $h$:
#
# $$L = \underbrace{\text{CE}\big(g(f(x)),\, y\big)}_{\text{new task}} +
# \lambda\, \underbrace{\text{CE}\big(h(f(x_\text{old})),\, y_\text{old}\big)}_{\text{old task}}$$
#
# ### Exercise 6.7: joint_loss (10 minutes)
#
# Send both batches through the encoder together, if you like: batch normalization then sees the mixture that it will
# be used on. Shapes: features `(N + M, d)`, of which the first `N` are new.

# %% nbgrader={"grade_id": "joint_loss", "solution": true}
def joint_loss(model, batch, old_batch, lam):
    """The loss of the new task, plus lam times that of the old one.

    Args:
        model: has `encoder`, `head` (new classes) and `old_head` (old classes).
        batch: images (N, C, H, W) and labels (N,) of the new task.
        old_batch: images (M, C, H, W) and labels (M,) of the old task.
        lam: how much the old task counts, 0 or more.

    Returns:
        A tensor with a single number. Both terms are mean cross-entropies, and both
        teach the encoder. The model is called in the mode that it is in, and keeps it.
    """
    ### BEGIN SOLUTION
    images, labels = batch
    old_images, old_labels = old_batch
    features = model.encoder(torch.cat([images, old_images]))  # (N + M, d)
    task = F.cross_entropy(model.head(features[: len(images)]), labels)
    pretraining = F.cross_entropy(model.old_head(features[len(images) :]), old_labels)
    return task + lam * pretraining
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_joint_loss", "grade": true}
check.joint_loss(joint_loss)

# %% [markdown]
# The old images come in all three domains, so an encoder that must go on naming them cannot forget outlines.
# **Predict**: does that help new classes whose outlines were never labeled?

# %% tags=["train"]
check.needs("l2_sp_penalty", "joint_loss")


def endless(batches):
    while True:
        yield from batches


joint, stream = start(), endless(batches_of(old, 64))
joint.old_head = copy.deepcopy(source.head)


def both_tasks(model, batch):
    return joint_loss(model, batch, next(stream), 0.3)


fit(joint, batches_of(few), both_tasks, steps=tune_steps, lr=1e-3, label="joint loss")
found["joint loss"] = measure(joint)
plots.show(plots.share_table(
    list(found.values()), list(found), list(DOMAINS), title="New classes, test accuracy"
))

# %% [markdown]
# It does, with every recorded seed: outlined {{ result("anchors", "joint_out@0.3").mean | pct }} instead of
# {{ result("anchors", "joint_out@0").mean | pct }}, faint
# {{ result("anchors", "joint_faint@0.3") | pm(percent=true) }} instead of
# {{ result("anchors", "joint_faint@0") | pm(percent=true) }}, and filled stays at
# {{ result("anchors", "joint_in@0.3").mean | pct }}.
#
# Which $\lambda$? Choose, and watch what is learned, what is kept, and how far the encoder goes: recorded, mean of
# {{ result("anchors", "l2sp_in@0").n }} seeds. Zero is full fine-tuning.

# %% tags=["demo"]
unit = "06_fine_tuning"
measures = {
    "filled": "in", "outlined": "out", "faint": "faint", "distance moved": "moved"
}
recorded = records.curves(unit, "anchors")
held_by = {
    method: {shown: recorded[f"{key}_{name}"] for shown, name in measures.items()}
    for method, key in (("L2-SP", "l2sp"), ("joint loss", "joint"))
}
widgets.strength_explorer(
    held_by, beside="distance moved", start=0.1, title="How strongly held? (glyphs)"
)

# %% [markdown]
# With the joint loss at $\lambda = 0.1$ the encoder goes nearly as far as without
# ({{ result("anchors", "joint_moved@0.1").mean | num(1) }} of
# {{ result("anchors", "joint_moved@0").mean | num(1) }}) and forgets less; with L2-SP it stays at
# {{ result("anchors", "l2sp_moved@0.1").mean | num(1) }} and forgets as much.
# What counts is not how far the weights go, but where.
#
# ## 5. The right order: LP-FT
#
# Why does fine-tuning move so far? The new head is random, and so are the first gradients that it sends into the
# encoder. Kumar et al. (2022) let the head learn first, with the encoder at rest (a *linear probe*, LP), and then
# fine-tune everything from that head (FT), at a much lower rate.
#
# ### Exercise 6.8: lp_ft (20 minutes)
#
# At rest means weights *and* running statistics. Each stage has a new Adam of its own.

# %% nbgrader={"grade_id": "lp_ft", "solution": true}
def lp_ft(model, batches, *, head_epochs, head_lr, epochs, lr):
    """Trains a model in place: first the head alone, then everything from there.

    Args:
        model: `model(images)` gives logits; it has `model.encoder` and `model.head`. The encoder's parameters may come
            with `requires_grad=False`, and the model in eval mode.
        batches: pairs of images (n, C, H, W) and labels (n,); can be gone through again and again.
        head_epochs, head_lr: passes over the batches (0: none), and the rate of an Adam without weight decay, while the
            head learns alone. The encoder is in eval mode: its weights and its running statistics stay as they are.
        epochs, lr: the same for the second stage, with a new Adam, in train mode: everything learns, from that head.
    """
    ### BEGIN SOLUTION
    for stage, (count, rate) in enumerate(((head_epochs, head_lr), (epochs, lr))):
        model.train().requires_grad_(True)
        model.encoder.train(stage == 1).requires_grad_(stage == 1)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_lp_ft", "grade": true}
check.lp_ft(lp_ft)

# %% [markdown]
# With no epochs in the second stage, it is a linear probe. The second stage gets the rate that everything at once had:
# so the head is all that differs. **Predict** the order of the three on filled images, and on outlined ones.

# %% tags=["train"]
check.needs("l2_sp_penalty", "joint_loss", "lp_ft")
tune_epochs = -(-tune_steps // len(batches_of(few)))  # as many steps as before
head = {"head_epochs": tune_epochs, "head_lr": 3e-2}
probe, head_first = start(), start()
lp_ft(probe, batches_of(few), **head, epochs=0, lr=1e-3)
lp_ft(head_first, batches_of(few), **head, epochs=tune_epochs, lr=1e-3)
found |= {"head alone": measure(probe), "head first": measure(head_first)}
print(f"moved by {distance(head_first):.2f}; everything at once moved by {distance(finetuned):.2f}")
plots.show(plots.share_table(
    list(found.values()), list(found), list(DOMAINS), title="New classes, test accuracy"
))

# %% [markdown]
# Recorded, the probe, everything at once, head first. Filled:
# {{ result("forgetting", "lp_in").mean | pct }}, {{ result("forgetting", "ft_in").mean | pct }},
# {{ result("forgetting", "lp_ft_in").mean | pct }}. Outlined:
# {{ result("forgetting", "lp_out").mean | pct }}, {{ result("forgetting", "ft_out").mean | pct }},
# {{ result("forgetting", "lp_ft_out").mean | pct }}. Faint:
# {{ result("forgetting", "lp_faint").mean | pct }}, {{ result("forgetting", "ft_faint").mean | pct }},
# {{ result("forgetting", "lp_ft_faint").mean | pct }}. Head first is as good at home and keeps more abroad, on outlines
# with every seed; the encoder moves by {{ result("forgetting", "lp_ft_moved").mean | num(1) }} instead of
# {{ result("forgetting", "ft_moved").mean | num(1) }}.
#
# But abroad the probe stays best. In the paper (Kumar et al. 2022) LP-FT beat it there too; here it does not. And would
# a lower rate do instead? At a third of it, everything at once moves by
# {{ result("forgetting", "ft_low_moved").mean | num(1) }} too, and has
# {{ result("forgetting", "ft_low_in").mean | pct }} at home after as many steps, outlined
# {{ result("forgetting", "ft_low_out").mean | pct }}. It does not replace the order.

# %% [markdown]
# ## 6. Stop in time
#
# How long to train is a choice too. *Early stopping* looks at validation images (here as many as there are to learn
# from, and they teach nothing), remembers the best weights, and gives up after `patience` validations without a new
# best.
#
# ### Exercise 6.9: EarlyStopping (20 minutes)
#
# A value is a new best if it is better than the best so far by *more than* `min_delta`; the first always is. With
# `mode="min"`, lower is better.

# %% nbgrader={"grade_id": "EarlyStopping", "solution": true}
class EarlyStopping:
    """Watches a validation value, keeps the best weights, and says when to stop."""

    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        """patience: validations in a row without a new best; mode: "max" for an accuracy, "min" for a loss.

        update(value, model): True when it is time to stop, a bool. A new best is better by more than min_delta than
            the best so far; the first value always is one, and its weights are copied.
        restore(model): puts the best weights back, as often as it is called; never called before an update.
        """
        ### BEGIN SOLUTION
        self.patience, self.min_delta, self.sign = patience, min_delta, 1 if mode == "max" else -1
        self.best_value, self.best_state, self.waited = None, None, 0
        ### END SOLUTION

    def update(self, value, model):
        """Takes the value of one validation, and the model that reached it. Returns True if training should stop."""
        ### BEGIN SOLUTION
        value = self.sign * value
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value, self.waited = value, 0
            self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience
        ### END SOLUTION

    def restore(self, model):
        """Puts the weights and running statistics of the best validation back into the model."""
        ### BEGIN SOLUTION
        model.load_state_dict(self.best_state)
        ### END SOLUTION

# %% nbgrader={"grade_id": "check_EarlyStopping", "grade": true}
check.EarlyStopping(EarlyStopping)

# %% [markdown]
# Let it decide. The most common fault is `best = model.state_dict()` without a copy: nothing fails, and what is
# restored is the last epoch. **Predict**: after how many epochs does fine-tuning stop gaining?

# %% tags=["train"]
check.needs("EarlyStopping")
stopping, stopped, batches = EarlyStopping(6), start(), batches_of(few)
optimizer = torch.optim.Adam(stopped.parameters(), lr=1e-3)
losses, accuracies = [], []
for epoch in range(1, 1 + settings.by_profile(smoke=5, laptop=150, full=1_000)):
    stopped.train()
    for x, y in batches:
        loss = F.cross_entropy(stopped(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if epoch % 5 == 0:
        value = evaluation.evaluate(
            stopped, validation.images, validation.labels
        )["accuracy"]
        accuracies.append((len(losses), value))
        if stopping.update(value, stopped):
            break
stopping.restore(stopped)
title = f"Stopped after {epoch} epochs, best weights put back"
line = plots.learning_curve(
    losses, validation=accuracies, validation_label="validation accuracy", title=title
)
plots.show(line)

# %% [markdown]
# The loss goes on falling long after the validation accuracy has stopped rising. How many epochs does it take to get
# somewhere, from each start? Recorded, on the same validation images:

# %% tags=["demo"]
speed = records.curves(unit, "epochs")
marks = (5, 10, 15, 20, 30, 50, 75)  # more would crowd the axis
shown = {
    key: {x: values for x, values in zip(speed[key].x, speed[key].values) if x in marks}
    for key in ("transfer_finetuned", "transfer_frozen", "scratch")
}
plots.show(plots.label_curve(
    shown, x_label="epochs", y_label="validation accuracy",
    title="Twenty labels per class (recorded on glyphs)",
))  # fmt: skip

# %% [markdown]
# Epochs until four in five are right: frozen {{ result("epochs", "transfer_frozen_until80").mean | num(0) }} (the first
# look), fine-tuned {{ result("epochs", "transfer_finetuned_until80").mean | num(0) }}, from scratch
# {{ result("epochs", "scratch_until80").mean | num(0) }}. At the end: frozen
# {{ result("epochs", "transfer_frozen_last").mean | pct }}, fine-tuned
# {{ result("epochs", "transfer_finetuned_last").mean | pct }}, scratch
# {{ result("epochs", "scratch_last").mean | pct }}. The frozen encoder is there first, and is overtaken.
#
# ## 7. Look inside: which classes are lost?
#
# One accuracy hides much. *Recall* is the share of all trees that are called trees, *precision* the share of all
# images called tree that are trees. **Predict**: when fine-tuning fails on outlines, does it err evenly?

# %% tags=["demo"]
check.needs("l2_sp_penalty", "joint_loss", "lp_ft")
rows, table = [], []
for name, model in (("at once", finetuned), ("head first", head_first)):
    for domain in ("filled", "outlined"):
        test = tests[domain]
        scores = evaluation.per_class_scores(
            evaluation.predict(model, test.images), test.labels, class_names=test.class_names
        )
        for score in ("precision", "recall"):
            rows.append(f"{name}, {domain}: {score}")
            table.append([found_scores[score] for found_scores in scores.values()])
plots.show(plots.share_table(
    table, rows, list(test.class_names), title="Precision and recall of each class"
))

# %% [markdown]
# Very unevenly. Recorded, fine-tuned at once, {{ result("classes", "ft_out_recall_mushroom").mean | pct }} of outlined
# mushrooms are found, and {{ result("classes", "ft_out_recall_key").mean | pct }} of the keys: far too much is called a
# mushroom, at a precision of {{ result("classes", "ft_out_precision_mushroom").mean | pct }}. Filled, the same two
# classes have a recall of {{ result("classes", "ft_in_recall_mushroom").mean | pct }} and
# {{ result("classes", "ft_in_recall_key").mean | pct }}. Head first, keys rise to
# {{ result("classes", "lp_ft_out_recall_key").mean | pct }}, but with one seed only; lamps from
# {{ result("classes", "ft_out_recall_lamp").mean | pct }} to
# {{ result("classes", "lp_ft_out_recall_lamp").mean | pct }}, with every seed. Look at classes before you trust a mean.
#
# ## 8. Experiment: which source, before any training?
#
# Model hubs hold thousands of sources, and fine-tuning each would take days. Can the hundred labeled images choose?
# Three scores need forward passes only: leave-one-out nearest neighbors; a cross-validated linear probe; the *H-score*
# (Bao et al. 2019), the share of the features' variance that lies between classes. **Predict** the best and the worst
# of seven sources.

# %% tags=["demo"]
names = ("filled", "outlined", "all_domains", "two_classes", "rotation", "random_labels", "random_weights")


@plots.styled
def source_map():
    figure = plots.new_figure(7.6, 4.2)
    ax = figure.subplots()
    for name, color, marker in zip(names, plots.CLASS_COLORS, plots.CLASS_MARKERS):
        score, reached = (records.figure(unit, "sources", f"{name}_{key}") for key in ("probe", "finetuned"))
        ax.scatter(score.values, reached.values, color=color, marker=marker, s=28, alpha=0.5)
        ax.scatter(score.mean, reached.mean, color=color, marker=marker, s=90, label=name.replace("_", " "))
        figure.alt_text += f" {name}: {score.mean:.2f} before, {reached.mean:.2f} after."
    ax.set(xlabel="linear probe of the labeled images, before fine-tuning", ylabel="test accuracy, fine-tuned")
    ax.set_title("Recorded on glyphs: small marks are seeds, large ones means")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.alt_text = "Seven sources, probe before and accuracy after fine-tuning." + figure.alt_text
    return figure


plots.show(source_map())
for kind, encoder in (("this source", source.encoder), ("random weights", ConvEncoder(few.images.shape[1]).to(device))):
    x, z = (evaluation.extract_features(encoder, data.images) for data in (few, validation))
    print(f"{kind}: nearest neighbors {evaluation.knn_accuracy(x, few.labels, z, validation.labels):.0%}")

# %% [markdown]
# All three choose well. Spearman's rank correlation with the fine-tuned accuracy, mean of
# {{ result("sources", "rank_knn").n }} seeds: neighbors {{ result("sources", "rank_knn").mean | num }}, probe
# {{ result("sources", "rank_probe").mean | num }}, H-score {{ result("sources", "rank_h_score").mean | num }}.
# Fine-tuned, other filled classes give {{ result("sources", "filled_finetuned").mean | pct }}, all domains
# {{ result("sources", "all_domains_finetuned").mean | pct }}, rotation
# {{ result("sources", "rotation_finetuned").mean | pct }}, random labels
# {{ result("sources", "random_labels_finetuned").mean | pct }}, random weights
# {{ result("sources", "random_weights_finetuned").mean | pct }}. But a score sees what lies ready, not what can be
# tuned: rotation, without one label, has a probe of {{ result("sources", "rotation_probe").mean | pct }}, all domains
# {{ result("sources", "all_domains_probe").mean | pct }}, and fine-tuned they are equal. And it sees one domain only.
#
# The course's table, with a row of this notebook: ten classes, after the rotations of unit 04, head first.

# %% tags=["demo"]
from IPython.display import Markdown

Markdown(records.results_table(up_to=unit))

# %% [markdown]
# With ten labels per class, head first gives {{ result("rotation_lp_ft", "rotation_lp_ft@10") | pm(percent=true) }};
# everything at once (unit 04)
# {{ result("label_curve", "rotation_finetuned@10", unit="04_pretext_tasks") | pm(percent=true) }}; the head alone
# {{ result("rotation_lp_ft", "rotation_lp@10") | pm(percent=true) }}. In domain the order is worth next to nothing here
# too: its worth lies elsewhere.
#
# ## 9. The same code on a large network
#
# Nothing above knows which encoder it works on: `model.encoder` and `model.head` are all it needs. Here is a ResNet
# with torchvision's ImageNet weights, which are downloaded once. Without a network, put the file `resnet18.pth` into
# the folder that `COURSE_DATA` names.

# %% tags=["train"]
check.needs("l2_sp_penalty", "lp_ft")
kind = settings.by_profile(smoke="resnet18", laptop="resnet18", full="resnet50")
folder, resnet = settings.data_folder(), None
file = None if folder is None else folder / f"{kind}.pth"
# None is random: only to see it run
weights = settings.by_profile(smoke=None, laptop="DEFAULT", full="DEFAULT")
weights = file if file is not None and file.is_file() else weights
try:
    resnet = torchvision_backbone(
        kind, weights=weights, num_classes=len(few.class_names)
    ).to(device)
except ConnectionError as problem:
    print(f"This cell goes no further without pretrained weights, and nothing below needs it: {problem}")
if resnet is not None:
    penalty = l2_sp_penalty(resnet)
    count = settings.by_profile(smoke=1, laptop=10, full=100)
    lp_ft(
        resnet, batches_of(few), head_epochs=count, head_lr=3e-3, epochs=count, lr=1e-4
    )
    print(f"{kind} ({weights or 'random weights'}): moved by {penalty().item() ** 0.5:.2f}")
    for domain, value in zip(DOMAINS, measure(resnet)):
        print(f"  {domain}: {value:.0%}")

# %% [markdown]
# ## 10. When it fails: frozen, and yet it learns
#
# A linear probe once more, and again the encoder is frozen: no weight requires a gradient. But it was never put
# into eval mode, and `fit`, like every training loop, calls `model.train()`. **Predict**: what will differ from the
# probe above?

# %% tags=["train"]
check.needs("l2_sp_penalty", "joint_loss", "lp_ft")
following = start()
following.encoder.requires_grad_(False)
fit(following, batches_of(few), steps=tune_steps, lr=3e-2, label="frozen, not at rest")
found["head alone, not at rest"] = measure(following)
kept = ("head alone", "head alone, not at rest")
pairs = list(
    zip(following.encoder.state_dict().items(), source.encoder.state_dict().values())
)
moved = [
    name for (name, now), before in pairs if not torch.equal(now.cpu(), before.cpu())
]
print(f"weights moved by {distance(following):.2f}; entries that changed: {', '.join(moved[:3])}, ...")
table = [found[name] for name in kept]
plots.show(plots.share_table(
    table, list(kept), list(DOMAINS), title="Frozen encoder, new classes"
))

# %% [markdown]
# No weight has moved, and yet the encoder is another: its running statistics have become those of filled images.
# Recorded, filled {{ result("forgetting", "lp_in").mean | pct }} becomes
# {{ result("forgetting", "lp_following_in").mean | pct }}, outlined
# {{ result("forgetting", "lp_out").mean | pct }} becomes
# {{ result("forgetting", "lp_following_out").mean | pct }}; but faint
# {{ result("forgetting", "lp_faint") | pm(percent=true) }} becomes
# {{ result("forgetting", "lp_following_faint") | pm(percent=true) }}. At home it costs a few points,
# which is hard to trace to this. That is what makes it dangerous.
#
# Statistics also explain part of what fine-tuning forgets: with them kept at rest in the second stage of LP-FT, faint
# rises from {{ result("forgetting", "lp_ft_faint").mean | pct }} to
# {{ result("forgetting", "lp_ft_at_rest_faint").mean | pct }}, outlined from
# {{ result("forgetting", "lp_ft_out").mean | pct }} to {{ result("forgetting", "lp_ft_at_rest_out").mean | pct }}.

# %% [markdown] nbgrader={"grade_id": "frozen_and_yet", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A clinic takes a network that was pretrained on X-ray images of many machines, freezes
# its encoder with `requires_grad = False`, and trains a new head on images of its own, new machine. There it does well.
# A partner with an older machine, whose images are paler, reports that it fails, although the pretrained network coped
# with pale images. "It cannot be the encoder", says the engineer, "not one weight has changed." In four to six
# sentences: (a) explain what may have changed in the encoder all the same, and why it shows on pale images and not at
# home; (b) say how to prove it; (c) say how to prevent it, and why calling `encoder.eval()` once, before training, may
# not be enough.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* Batch normalization has running statistics besides its weights; they are buffers, updated in
# every forward pass in train mode, with or without gradients. They now describe the new machine's images: at home that
# fits, and pale images are shifted and scaled by numbers that belong to others. To prove it, compare
# `encoder.state_dict()` with the pretrained file: the weights agree, `running_mean` and `running_var` do not; putting
# the old ones back should bring the pale images back. To prevent it, keep the encoder in eval mode during training.
# Calling it once is undone by the next `model.train()`, which training loops call at each epoch: so do it after that,
# or override `train` of the frozen part.
#
# *Sample answer (2).* The batch norm statistics were updated by the new images because the model was in train mode, so
# they no longer fit pale images. One sees it when one compares the buffers before and after. The encoder should be set
# to eval.
#
# *Sample answer (1).* The network has overfitted to the new machine. It should be trained with images of both machines.
#
# *Rubric.* One point each: (a) running statistics (buffers) AND that they now fit one domain only; (b) a comparison of
# buffers before and after, or putting the old ones back (testing the accuracy alone earns no point); (c) eval mode
# during training AND that `model.train()` undoes it (eval mode alone earns no point).
# ### END SOLUTION

# %% [markdown]
# ## 11. Quiz
#
# Ungraded. Answer first, then open.
#
# <details><summary>1. Your L2-SP penalty is zero in every step. What has happened?</summary>
# The start is the live weights themselves: it was not copied.</details>
#
# <details><summary>2. Why is the head left out of L2-SP?</summary>
# Its start is random. There is nothing in it worth staying near.</details>
#
# <details><summary>3. You have the pretrained weights, but not the data. Which methods are left?</summary>
# L2-SP and LP-FT; the joint loss needs the old data.</details>
#
# <details><summary>4. Validation says that two methods are equal. Are they?</summary>
# On images like the validation images, yes. It says nothing of another domain.</details>

# %% [markdown]
# ## Take away
#
# - Full fine-tuning forgets what its labels do not show, and validation images of their kind never tell.
# - L2-SP held the weights near their start here, and kept nothing else.
# - A joint loss keeps the old knowledge, and with it much for new classes; it needs the old data.
# - Head first, then everything: as good at home, better elsewhere. There the probe alone is best.
# - Frozen means weights *and* statistics; best weights are a *copy*.
#
# **Where this is used.** Another scanner's medical images, language models for one task, one speaker's speech, robots
# that leave the simulator, new kinds of fraud.
#
# **Further reading.** Kumar et al. (2022), *Fine-Tuning can Distort Pretrained Features and Underperform
# Out-of-Distribution*; Li et al. (2018), on L2-SP.
#
# **Bonus.** (1) Join L2-SP and LP-FT. (2) Average the weights of the source and the fine-tuned network (Wortsman et
# al. 2022).
