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
# *A pretrained network can do more than your few labels show. What does it forget when you fine-tune all of it on these
# labels, and which way of training forgets least?*
#
# **You will** write a penalty that ties weights to their start, a joint loss that keeps the old task, fine-tuning in
# two stages (LP-FT), early stopping, and adaptation at test time. **You will measure** each method in distribution and
# out of distribution, and choose among source models before any training.
#
# **You need** PyTorch [modules](https://pytorch.org/docs/stable/notes/modules.html), a [training
# loop](https://pytorch.org/tutorials/beginner/basics/optimization_tutorial.html) (unit 00) and [batch
# normalization](https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html).
#
# **Time**: about 2 to 2.5 hours in two sittings, with a natural break after section 5. About 2 minutes of it are
# computation.

# %% [markdown]
# **Warm-up.** Two questions from earlier units. Answer first, then open.
#
# <details><summary>1. What are running statistics, and when do they change?</summary>
# The means and variances that batch normalization uses in eval mode. They change with every batch in train mode, with
# or without gradients.</details>
#
# <details><summary>2. Why do we compare two methods on the same seed?</summary>
# Both runs then share images and random draws, so the method is what differs. Means over few seeds can also differ by
# chance.</details>

# %% tags=["setup"]
import copy
import dataclasses
import math

import torch
from IPython.display import Markdown
from torch import nn
from torch.nn import functional as F

from course_lib import evaluation, plots, records, settings, widgets
from course_lib.data import (
    Batches, as_float, augment, endless, joined, load, split_labels
)  # fmt: skip
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import Classifier, ConvEncoder, torchvision_backbone
from course_lib.training import fit

check = checks_for("06_fine_tuning")
predict = predictions_for("06b_fine_tuning")
device, dataset = settings.device(), settings.dataset_name()
train_size, test_size = settings.by_profile(
    smoke=(300, 100), laptop=(4_000, 1_000), full=(20_000, 2_000)
)

# %% tags=["setup"]
CLASSES = {
    "old": ("house", "boat", "cup", "umbrella", "star"),
    "new": ("tree", "key", "mushroom", "fish", "lamp"),
}
DOMAINS = {"filled": {}, "outlined": {"style": "outlined"}, "faint": {"contrast": 0.3}}


def pictures(part, domain, *, split="train", n=train_size):
    """n images of the old or the new classes, in one of three domains."""
    if dataset == "glyphs":
        options = {"classes": CLASSES[part], **DOMAINS[domain]}
        return load(dataset, split=split, n=n, **options)
    # Elsewhere, every second class is old, and the negative stands for the outline.
    data, odd = load(dataset, split=split, n=2 * n), int(part == "old")
    data = data.subset(torch.nonzero(data.labels % 2 == odd).squeeze(1)[:n])
    faint = (64 + 0.3 * (data.images.float() - 64)).to(torch.uint8)
    images = {"filled": data.images, "outlined": 255 - data.images, "faint": faint}
    changed = {"images": images[domain], "labels": data.labels // 2, "factors": {}}
    return dataclasses.replace(data, class_names=data.class_names[odd::2], **changed)


new = pictures("new", "filled")
generator = torch.Generator().manual_seed(0)
split = split_labels(new.labels, per_class=20, generator=generator)
few, validation = new.subset(split.labeled), new.subset(split.validation)
tests = {name: pictures("new", name, split="test", n=test_size) for name in DOMAINS}

# %% [markdown]
# ## 1. In distribution and out of distribution
#
# A *source* network learns five old classes in three *domains*, which are filled images, outlined images, and faint
# ones as in fog. Then come five new classes with twenty labeled images each, all of them filled. For a network trained
# on these, filled test images are *in distribution* (ID), and outlined and faint ones are *out of distribution* (OOD).
# Such a difference between training and test images is called a *distribution shift*.
#
# Will a network that was fine-tuned on filled images recognize an outlined tree?

# %% tags=["demo"]
rows = {
    f"{part}, {domain}": pictures(part, domain, n=5).images
    for part in CLASSES for domain in DOMAINS
}
alt = "Six rows: old classes filled, outlined and faint; the same for new classes."
title = "Labels of new classes: fourth row only"
plots.show(plots.image_rows(rows, title=title, alt=alt))

# %% [markdown]
# The first three rows have thousands of labels, and the fourth has a hundred. The last two rows have none, because we
# use them for testing only. Another hundred filled images of the new classes are validation images, twenty per class.
# Now train the source.

# %% tags=["train"]
def batches_of(data, size=50):
    options = {"shuffle": True, "augment": augment.random_shift}
    return Batches(data.images, data.labels, batch_size=size, **options)


old = joined([pictures("old", domain) for domain in DOMAINS])
generator = torch.Generator().manual_seed(0)
encoder = ConvEncoder(old.images.shape[1], generator=generator)
source = Classifier(encoder, len(old.class_names), generator=generator)
source_steps = settings.by_profile(smoke=4, laptop=1_000, full=4_000)
curve = plots.live_curve(source_steps, title="The source learns the old classes")
options = {"steps": source_steps, "lr": 3e-3, "label": "source", "on_step": curve}
fit(source, batches_of(old, 64), **options)
for domain in DOMAINS:
    test = pictures("old", domain, split="test", n=test_size)
    print(f"old classes, {domain}: {evaluation.accuracy_on(source, test):.0%}")

# %% [markdown]
# The source is good in all three domains. Its *recorded* accuracy is {{ result("forgetting", "source_in").mean | pct }}
# on filled, {{ result("forgetting", "source_out").mean | pct }} on outlined and {{
# result("forgetting", "source_faint").mean | pct }} on faint images. In this notebook "recorded" always means the mean
# (± standard deviation) over three seeds, from the files in `results/`.
#
# ## 2. The baseline: full fine-tuning
#
# The usual way is *full fine-tuning*. You add a new head with random weights and train all weights on the hundred
# images. **Predict** the accuracy on outlined images.

# %% tags=["predict"]
predict.outlined(...)  # a share between 0 and 1

# %% tags=["train"]
tune_steps = settings.by_profile(smoke=3, laptop=150, full=1_000)


def start():
    """The pretrained encoder with a new head, on the course's device."""
    encoder, generator = copy.deepcopy(source.encoder), torch.Generator().manual_seed(1)
    return Classifier(encoder, len(few.class_names), generator=generator).to(device)


def measure(model):
    return [evaluation.accuracy_on(model, test) for test in tests.values()]


def distance(model):
    pairs = zip(model.encoder.parameters(), source.encoder.parameters())
    return sum(float((a.detach() - b.detach()).pow(2).sum()) for a, b in pairs) ** 0.5


finetuned = start()
fit(finetuned, batches_of(few), steps=tune_steps, lr=1e-3, label="full fine-tuning")
found = {"full fine-tuning": measure(finetuned)}
predict.outlined.compare(found["full fine-tuning"][1])
plots.show(plots.score_table(found, DOMAINS, title="New classes, test accuracy"))

# %% [markdown]
# {{ figures_table({"full fine-tuning": "ft"}, {"filled (ID)": "_in", "outlined (OOD)": "_out", "faint (OOD)":
# "_faint"}, "forgetting", head="recorded") }}
#
# Accuracy is high in distribution and low elsewhere (chance is one in five). The network fails in domains where the
# source did well, because the labels never show them. Losing earlier abilities while learning something new is called
# *catastrophic forgetting*.
#
# ## 3. Hold the weights: L2-SP
#
# Ordinary weight decay pulls weights towards zero. For pretrained weights there is a better target, namely their own
# *starting point* $w^0$ (Li et al. 2018). With $w_i$ running over all parameters of the encoder, without the head:
#
# $$\Omega(w) = \sum_i (w_i - w_i^0)^2, \qquad L = L_\text{task} + \lambda\, \Omega(w), \qquad
# \frac{\partial\, \Omega}{\partial w_i} = 2\,(w_i - w_i^0)$$
#
# ### Exercise 6.6: l2_sp_penalty (core, 15 minutes)
#
# Call the function before training. It returns another function, which measures $\Omega$ whenever you call it. Each
# $w^0$ has the shape of its weight, and $\Omega$ is one number.

# %% nbgrader={"grade_id": "l2_sp_penalty", "solution": true}
def l2_sp_penalty(model):
    """Remembers the encoder's weights; what it returns measures how far they moved.

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
# {{ figures_table({"filled (ID)": "l2sp_in", "outlined (OOD)": "l2sp_out", "faint (OOD)": "l2sp_faint"}, (0, 0.1, 1),
# "anchors", head="recorded, weight of L2-SP") }}
#
# Weight 0 is full fine-tuning. At $\lambda = 0.1$ the encoder moves by {{ result("anchors", "l2sp_moved@0.1").mean |
# num(1) }} instead of {{ result("anchors", "l2sp_moved@0").mean | num(1) }}, but filled and outlined both get worse {{
# every_seed("l2sp_in@0.1 < l2sp_in@0, l2sp_out@0.1 < l2sp_out@0", "anchors") }}.
#
# With weight 1, outlined is better than with weight 0 {{ every_seed("l2sp_out@1 > l2sp_out@0", "anchors") }}, at a high
# price on filled. The gains of the paper (Li et al. 2018) were in distribution, with much larger networks.

# %% [markdown]
# ## 4. Keep the old task: a joint loss
#
# If you still have the old data, the network can keep training on the old task. With one encoder $f$, a new head $g$
# and the old head $h$:
#
# $$L = \underbrace{\text{CE}\big(g(f(x)),\, y\big)}_{\text{new task}} +
# \lambda\, \underbrace{\text{CE}\big(h(f(x_\text{old})),\, y_\text{old}\big)}_{\text{old task}}$$
#
# Unlike L2-SP, this loss does not say where the weights must be. It says what the encoder must still be able to do.
#
# ### Exercise 6.7: joint_loss (core, 10 minutes)
#
# You may send both batches through the encoder together, so that batch normalization sees the mixture. The features
# then have the shape `(N + M, d)`, and the first `N` rows belong to the new task.

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
        train the encoder. The model is called in the mode that it is in, and keeps it.
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
# The old images come in all three domains, so the encoder must keep features for outlined and faint images.
# **Predict**: how probable is it that this helps new classes whose outlines were never labeled?

# %% tags=["predict"]
predict.joint_helps(...)  # how probable: 0 is no, 1 is yes

# %% tags=["train"]
check.needs("l2_sp_penalty", "joint_loss")
joint, stream = start(), endless(batches_of(old, 64))
joint.old_head = copy.deepcopy(source.head)


def both_tasks(model, batch):
    return joint_loss(model, batch, next(stream), 0.3)


fit(joint, batches_of(few), both_tasks, steps=tune_steps, lr=1e-3, label="joint loss")
found["joint loss"] = measure(joint)
better = found["joint loss"][1] > found["full fine-tuning"][1]
predict.joint_helps.compare(better)
plots.show(plots.score_table(found, DOMAINS, title="New classes, test accuracy"))

# %% [markdown]
# {{ figures_table({"filled (ID)": "joint_in", "outlined (OOD)": "joint_out", "faint (OOD)": "joint_faint"},
# (0, 0.1, 0.3, 1), "anchors", head="recorded, weight of the old task") }}
#
# It helps. At $\lambda = 0.3$ outlined and faint improve {{ every_seed("joint_out@0.3 > joint_out@0, joint_faint@0.3 >
# joint_faint@0", "anchors") }}, and filled stays equal in the mean. With weight 1, filled gets worse {{
# every_seed("joint_in@1 < joint_in@0", "anchors") }}.
#
# Move the slider. Compare accuracy with the distance that the encoder moved.

# %% tags=["demo"]
unit = "06_fine_tuning"
recorded, held_by = records.curves(unit, "anchors"), {"L2-SP": {}, "joint loss": {}}
measures = {"filled": "in", "outlined": "out", "faint": "faint"}
for name, key in (measures | {"distance moved": "moved"}).items():
    held_by["L2-SP"][name] = recorded[f"l2sp_{key}"]
    held_by["joint loss"][name] = recorded[f"joint_{key}"]
widgets.strength_explorer(
    held_by, beside="distance moved", start=0.1, title="How strongly held? (glyphs)"
)

# %% [markdown]
# With the joint loss at $\lambda = 0.1$, the encoder moves by {{ result("anchors", "joint_moved@0.1").mean | num(1) }},
# nearly as far as without it, and forgets less. With L2-SP at the same weight it stays close, but forgets as much. So
# the distance alone does not decide what is forgotten.
#
# ## 5. Two stages: LP-FT
#
# Why does full fine-tuning change the encoder so much? At the start the new head is random. Therefore the first
# gradients that reach the encoder are also random, and they can damage useful features. Kumar et al. (2022) avoid this
# with two stages, called *LP-FT*.
#
# 1. *Linear probing (LP).* Keep the encoder fixed and train only the head.
# 2. *Fine-tuning (FT).* Start from this head and train all parameters.

# %% tags=["demo"]
plots.show(plots.diagram_lp_ft())

# %% [markdown]
# In stage 1 the gradient stops before the encoder, so the random head cannot damage it. In stage 2 the gradients come
# from a head that already fits the features.
#
# ### Exercise 6.8: lp_ft (hard, 20 minutes)
#
# Both stages minimize the mean cross-entropy of each batch. In stage 1 neither the encoder's weights nor its running
# statistics may change. Create a new Adam optimizer for each stage.

# %% nbgrader={"grade_id": "lp_ft", "solution": true}
def lp_ft(model, batches, *, head_epochs, head_lr, epochs, lr):
    """Trains a model in place: first the head alone, then everything from there.

    Args:
        model: `model(images)` gives logits; it has `model.encoder` and `model.head`.
            The encoder's parameters may come with `requires_grad=False`, and the model
            in eval mode.
        batches: pairs of images (n, C, H, W) and labels (n,); can be gone through again
            and again.
        head_epochs, head_lr: passes over the batches (0: none), and the rate of an Adam
            without weight decay, while the head learns alone. The encoder is in eval
            mode: its weights and its running statistics stay as they are.
        epochs, lr: the same for the second stage, with a new Adam, in train mode:
            everything learns, from that head.
    """
    ### BEGIN SOLUTION
    for stage, (count, rate) in enumerate(((head_epochs, head_lr), (epochs, lr))):
        model.train().requires_grad_(True)
        model.encoder.train(stage == 1).requires_grad_(stage == 1)
        trainable = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(trainable, lr=rate)
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
# With no epochs in the second stage, `lp_ft` is a linear probe. To compare fairly, the second stage has the learning
# rate and the number of steps of full fine-tuning. Only the head that it starts from differs. **Predict** which is best
# on outlined images, the linear probe, full fine-tuning or LP-FT.

# %% tags=["predict"]
predict.best_outlined(...)  # "linear probe", "full fine-tuning" or "LP-FT"

# %% tags=["train"]
check.needs("l2_sp_penalty", "joint_loss", "lp_ft")
tune_epochs = math.ceil(tune_steps / len(batches_of(few)))  # as many steps as before
head = {"head_epochs": tune_epochs, "head_lr": 3e-2}
probe, two_stages = start(), start()
lp_ft(probe, batches_of(few), **head, epochs=0, lr=1e-3)
lp_ft(two_stages, batches_of(few), **head, epochs=tune_epochs, lr=1e-3)
found |= {"linear probe": measure(probe), "LP-FT": measure(two_stages)}
print(f"LP-FT moved by {distance(two_stages):.2f}")
print(f"full fine-tuning moved by {distance(finetuned):.2f}")
three = ("linear probe", "full fine-tuning", "LP-FT")
predict.best_outlined.compare(max(three, key=lambda name: found[name][1]))
plots.show(plots.score_table(found, DOMAINS, title="New classes, test accuracy"))

# %% [markdown]
# {{ figures_table({"linear probe": "lp", "full fine-tuning": "ft", "LP-FT": "lp_ft", "full, a third of the learning
# rate": "ft_low", "LP-FT, a third of the learning rate": "lp_ft_low"}, {"filled (ID)": "_in", "outlined (OOD)": "_out",
# "faint (OOD)": "_faint"}, "forgetting", head="recorded") }}
#
# LP-FT matches full fine-tuning in distribution and is better on outlined images
# {{ every_seed("lp_ft_out > ft_out", "forgetting") }}, on faint ones only in the mean. Out of distribution the linear
# probe is still better {{ every_seed("lp_out > lp_ft_out, lp_faint > lp_ft_faint", "forgetting") }}. In the paper
# (Kumar et al. 2022) LP-FT beats it there too.
#
# Could a lower learning rate replace the two stages? At a third of the learning rate, full fine-tuning moves the
# encoder by {{ result("forgetting", "ft_low_moved").mean | num(1)  }}, as far as LP-FT does ({{
# result("forgetting", "lp_ft_moved").mean | num(1) }}), but after as many steps it is worse everywhere. So a lower
# learning rate does not replace the two stages here.

# %% [markdown]
# **A natural break.**
#
# ## 6. Early stopping
#
# The number of steps is a choice too. *Early stopping* watches validation images, remembers the best weights, and stops
# after `patience` validations without a new best. Its price is labels. Here it needs twenty validation labels per
# class, which is as many as the training set has, and the network does not learn from them.
#
# ### Exercise 6.9: EarlyStopping (hard, 20 minutes)
#
# A value is a new best if it is better than the best so far by *more than* `min_delta`, and the first value always is
# one. With `mode="min"`, lower is better. For example, with `patience=2` the accuracies `0.5`, `0.7`, `0.7`, `0.6`
# stop at the fourth value, and `restore` goes back to the second.

# %% nbgrader={"grade_id": "EarlyStopping", "solution": true}
class EarlyStopping:
    """Watches a validation value, keeps the best weights, and says when to stop."""

    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        """patience: validations in a row without a new best; mode: "max" or "min".

        update(value, model): True when it is time to stop, a bool. A new best is better
            by more than min_delta than the best so far; the first value always is one,
            and its weights are copied.
        restore(model): puts the best weights back, as often as it is called.
        """
        ### BEGIN SOLUTION
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1 if mode == "max" else -1
        self.best_value, self.best_state, self.waited = None, None, 0
        ### END SOLUTION

    def update(self, value, model):
        """Takes a validation value and its model. Returns True to stop training."""
        ### BEGIN SOLUTION
        value = self.sign * value
        if self.best_value is None or value > self.best_value + self.min_delta:
            self.best_value, self.waited = value, 0
            state = model.state_dict()
            self.best_state = {name: x.detach().clone() for name, x in state.items()}
        else:
            self.waited += 1
        return self.waited >= self.patience
        ### END SOLUTION

    def restore(self, model):
        """Puts the best weights and statistics back; never called before an update."""
        ### BEGIN SOLUTION
        model.load_state_dict(self.best_state)
        ### END SOLUTION

# %% nbgrader={"grade_id": "check_EarlyStopping", "grade": true}
check.EarlyStopping(EarlyStopping)

# %% [markdown]
# Use it for full fine-tuning. The most common fault is `best = model.state_dict()` without a copy, because
# `restore` then returns the weights of the last epoch.

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
        value = evaluation.accuracy_on(stopped, validation)
        accuracies.append((len(losses), value))
        if stopping.update(value, stopped):
            break
stopping.restore(stopped)
labels = {"validation_label": "validation accuracy"}
labels["title"] = f"Stopped after {epoch} epochs, best weights restored"
plots.show(plots.learning_curve(losses, validation=accuracies, **labels))

# %% [markdown]
# The training loss keeps falling long after validation accuracy has stopped rising.
#
# {{ figures_table({"frozen encoder": "transfer_frozen", "fine-tuned": "transfer_finetuned", "from scratch": "scratch"},
# (5, 15, 30, 50, 75), "epochs", head="validation accuracy, epochs") }}
#
# The frozen encoder is fast. In the end fine-tuning has overtaken it in the mean, but one of the three seeds disagrees.
#
# ## 7. Adapt at test time, without labels
#
# Faint images come, without labels. The weights may still be good, while batch normalization subtracts the mean of
# filled images and divides by their standard deviation. *Test-time adaptation* replaces these running statistics by
# those of the new images (Schneider et al. 2020), in one forward pass without gradients.
#
# In that pass each layer should see what it will see later. So batch normalization already normalizes by the new
# images, and dropout is off.
#
# ### Exercise 6.10: adapt_statistics (core, 15 minutes)

# %% nbgrader={"grade_id": "adapt_statistics", "solution": true}
def adapt_statistics(model, images):
    """A copy of a network whose batch norm has the statistics of these images alone.

    Args:
        model: contains `nn.BatchNorm1d` or `nn.BatchNorm2d`, also inside of other
            modules, and perhaps dropout. It stays as it is, statistics and mode too.
        images: (N, C, H, W) float tensor, all in one batch.

    Returns:
        The copy, in eval mode, with the weights of the model.
    """
    ### BEGIN SOLUTION
    adapted = copy.deepcopy(model).eval()
    for layer in adapted.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.reset_running_stats()
            layer.momentum = None  # the mean over all batches since the reset
            layer.train()
    with torch.no_grad():
        adapted(images)
    return adapted.eval()
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_adapt_statistics", "grade": true}
check.adapt_statistics(adapt_statistics)

# %% [markdown]
# {{ figures_table({"filled (ID)": "in", "outlined (OOD)": "out", "faint (OOD)": "faint"}, {"as trained": "_before",
# "5 images": "_statistics@5", "20": "_statistics@20", "200": "_statistics@200", "200, then entropy": "_entropy",
# "200 of one class": "_one_class"}, "test_time", head="recorded, adapted to") }}
#
# No test image is among them. Five images are enough to recognize most faint ones, {{
# every_seed("faint_statistics@5 > faint_before", "test_time") }}. Outlined images also have other edges, and most are
# still wrong. *Entropy* also trains scale and shift until predictions are confident (Wang et al. 2021), and adds
# nothing clear here.
#
# The last column is the danger. If all images show one class, adaptation removes what they have in common, and filled
# images become worse, {{ every_seed("in_one_class < in_before", "test_time") }}.
#
# ## 8. Look inside: which classes are lost?
#
# The *recall* of a class is the share of its images that are found, and its *precision* is the share of its predictions
# that are right.

# %% tags=["demo"]
check.needs("l2_sp_penalty", "joint_loss", "lp_ft")
table = {}
for name, model in (("full fine-tuning", finetuned), ("LP-FT", two_stages)):
    for domain in ("filled", "outlined"):
        logits = evaluation.predict(model, tests[domain].images)
        scores = evaluation.per_class_scores(logits, tests[domain].labels).values()
        for score in ("precision", "recall"):
            table[f"{name}, {domain}: {score}"] = [found[score] for found in scores]
title = "Precision and recall of each class"
plots.show(plots.score_table(table, few.class_names, title=title))

# %% [markdown]
# {{ figures_table({"full, filled (ID)": "ft_in_recall", "full, outlined (OOD)": "ft_out_recall",
# "LP-FT, outlined (OOD)": "lp_ft_out_recall"}, {"tree": "_tree", "key": "_key", "mushroom": "_mushroom", "fish":
# "_fish", "lamp": "_lamp"}, "classes", head="recorded recall") }}
#
# Accuracy is lost very unevenly. After full fine-tuning most outlined mushrooms are found, but almost no keys. LP-FT
# improves *lamp* {{ every_seed("lp_ft_out_recall_lamp > ft_out_recall_lamp", "classes") }}.

# %% [markdown]
# ## 9. Experiment: which source, before any training?
#
# Model hubs offer thousands of sources, and fine-tuning each would take days. Can the hundred labeled images choose?
# Three scores need only forward passes of the source.
#
# - *Nearest neighbors*: leave-one-out accuracy of the nearest labeled image.
# - *Linear probe*: cross-validated accuracy of a linear classifier.
# - *H-score* (Bao et al. 2019): $\mathrm{tr}\big(\mathrm{cov}(f)^{-1}\, \mathrm{cov}(\mathbb{E}[f \mid y])\big)$. It
#   sums, over whitened directions of the features, the share of variance that lies between classes.
#
# **Predict** the best of seven sources after fine-tuning. They were trained on *filled* or *outlined* images, on *all
# domains*, on *two classes*, by *rotation*, on *random labels*, or not at all (*random weights*).

# %% tags=["predict"]
predict.best_source(...)  # one of the seven names, in quotes

# %% tags=["demo"]
random_encoder = ConvEncoder(few.images.shape[1]).to(device)
for kind, encoder in (("source", source.encoder), ("random weights", random_encoder)):
    x, z = (evaluation.extract_features(encoder, d.images) for d in (few, validation))
    score = evaluation.knn_accuracy(x, few.labels, z, validation.labels)
    print(f"{kind}: nearest neighbors {score:.0%} of the validation images")
predict.best_source.compare()
Markdown(records.results_table(up_to=unit))

# %% [markdown]
# {{ figures_table({"filled": "filled", "all domains": "all_domains", "rotation (no labels)": "rotation", "outlined":
# "outlined", "two classes only": "two_classes", "random labels": "random_labels", "random weights": "random_weights"},
# {"linear probe, before": "_probe", "test accuracy, fine-tuned": "_finetuned"}, "sources", head="recorded, source") }}
#
# All three scores rank the sources well. Their rank correlation with fine-tuned accuracy (Spearman) is {{
# result("sources", "rank_knn").mean | num }} for neighbors, {{ result("sources", "rank_probe").mean | num }} for the
# probe and {{ result("sources", "rank_h_score").mean | num }} for the H-score, all in distribution. But a score
# measures the features before fine-tuning. *Rotation* has a lower probe than *all domains*, but after fine-tuning both
# are equal.

# %% [markdown]
# The course's table has two rows of this notebook, with ten classes and an encoder pretrained on rotations
# (unit 04). All rows have the same steps, and LP-FT spends a quarter of them on the head.
#
# {{ figures_table({"rotation, full fine-tuning, weak views": "rotation_weak", "rotation, LP-FT, weak views":
# "rotation_lp_ft_weak", "rotation, full fine-tuning, strong views": "rotation_strong", "rotation, LP-FT, strong views":
# "rotation_lp_ft_strong", "from scratch, strong views": "scratch_strong"}, (1, 10, 50), "protocol") }}
#
# With one label per class LP-FT is better, {{ every_seed("rotation_lp_ft_weak@1 > rotation_weak@1,
# rotation_lp_ft_strong@1 > rotation_strong@1", "protocol") }}. From ten labels on it is worse, also {{
# every_seed("rotation_lp_ft_weak@10 < rotation_weak@10, rotation_lp_ft_strong@10 < rotation_strong@10,
# rotation_lp_ft_weak@50 < rotation_weak@50", "protocol") }}.
#
# ## 10. The same code on a large network
#
# Your functions work on any model with `encoder` and `head`, such as a ResNet with downloaded ImageNet weights.
# Offline, put `resnet18.pth` into `COURSE_DATA`, or skip this cell.

# %% tags=["train"]
check.needs("l2_sp_penalty", "lp_ft")
kind = settings.by_profile(smoke="resnet18", laptop="resnet18", full="resnet50")
weights = settings.by_profile(smoke=None, laptop="DEFAULT", full="DEFAULT")
folder = settings.data_folder()
if folder and (folder / f"{kind}.pth").is_file():
    weights = folder / f"{kind}.pth"
try:
    resnet = torchvision_backbone(
        kind, weights=weights, num_classes=len(few.class_names)
    )
except ConnectionError as problem:
    print(f"This cell goes no further without pretrained weights: {problem}")
else:
    penalty = l2_sp_penalty(resnet.to(device))
    count = settings.by_profile(smoke=1, laptop=10, full=100)
    stages = {"head_epochs": count, "head_lr": 3e-3, "epochs": count, "lr": 1e-4}
    lp_ft(resnet, batches_of(few), **stages)
    print(f"{kind} ({weights or 'random weights'}): moved by {penalty() ** 0.5:.2f}")
    for domain, value in zip(DOMAINS, measure(resnet)):
        print(f"  {domain}: {value:.0%}")

# %% [markdown]
# ## 11. When it fails: a frozen encoder that still changes
#
# Train a linear probe once more, with all encoder weights frozen by `requires_grad=False`. This time the encoder is
# never put into eval mode, and `fit`, like every training loop, calls `model.train()`. **Predict** its
# accuracy on faint images.

# %% tags=["predict"]
predict.probe_in_train_mode(...)  # a share between 0 and 1

# %% tags=["train"]
check.needs("l2_sp_penalty", "joint_loss", "lp_ft", "adapt_statistics")
following = start()
following.encoder.requires_grad_(False)
fit(following, batches_of(few), steps=tune_steps, lr=3e-2, label="probe in train mode")
found["probe in train mode"] = measure(following)
predict.probe_in_train_mode.compare(found["probe in train mode"][2])
before, now = source.encoder.state_dict(), following.encoder.state_dict()
moved = [key for key in now if not torch.equal(now[key].cpu(), before[key].cpu())]
print(f"weights moved by {distance(following):.2f}")
print(f"entries that changed: {', '.join(moved[:3])}, ...")
faint = as_float(pictures("new", "faint").images[-200:]).to(device)
found["then adapted to faint"] = measure(adapt_statistics(following, faint))
table = {name: found[name] for name in ("linear probe", *list(found)[-2:])}
plots.show(plots.score_table(table, DOMAINS, title="Frozen encoder, new classes"))

# %% [markdown]
# {{ figures_table({"linear probe": "lp", "probe in train mode": "lp_following", "full fine-tuning": "ft",
# "full, fixed statistics": "ft_at_rest", "LP-FT": "lp_ft", "LP-FT, fixed statistics": "lp_ft_at_rest"}, {"filled (ID)":
# "_in", "outlined (OOD)": "_out", "faint (OOD)": "_faint"}, "forgetting", head="recorded") }}
#
# No weight has moved, but the running statistics have become those of filled images. Accuracy drops by little on filled
# and by much on faint images, {{ every_seed("lp_faint > lp_following_faint, lp_in > lp_following_in", "forgetting") }}.
#
# Do changing statistics explain what fine-tuning forgets? Only partly. With *fixed statistics*, the encoder in eval
# mode, LP-FT is better on faint images {{ every_seed("lp_ft_at_rest_faint > lp_ft_faint", "forgetting") }}, and full
# fine-tuning is worse on the others.

# %% [markdown] nbgrader={"grade_id": "frozen_and_yet", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A clinic takes a network that was pretrained on X-ray images of many machines, freezes
# its encoder with `requires_grad = False`, and trains a new head on images of its own, new machine. There the network
# works well. A partner with an older machine, whose images are paler, reports that it fails, although the pretrained
# network handled pale images. The engineer replies that the cause cannot be the encoder, because not one weight has
# changed. In four to six sentences, (a) explain what may have changed in the encoder all the same, and why the clinic
# does not notice it on its own images, (b) say how to prove it, and (c) say how to prevent it, and why calling
# `encoder.eval()` once, before training, may not be enough.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* Batch normalization has running statistics besides its weights. They are buffers, updated in
# every forward pass in train mode, with or without gradients. They now describe the new machine's images, so those are
# fine, and pale images are shifted and scaled by numbers that do not fit them. To prove it, compare
# `encoder.state_dict()` with the pretrained file. The weights agree, `running_mean` and `running_var` do not, and
# putting the old ones back should bring the pale images back. To prevent it, keep the encoder in eval mode during
# training. Calling it once is undone by the next `model.train()`, which training loops call at each epoch, so do it
# after that, or override `train` of the frozen part.
#
# *Sample answer (2).* The batch norm statistics were updated by the new images because the model was in train mode, so
# they no longer fit pale images. One sees it when one compares the buffers before and after. The encoder should be set
# to eval.
#
# *Sample answer (1).* The network has overfitted to the new machine. It should be trained with images of both machines.
#
# *Rubric.* One point each for (a), (b) and (c). (a) Running statistics (buffers) AND that they now fit one domain only.
# (b) A comparison of buffers before and after, or putting the old ones back (testing the accuracy alone earns no
# point). (c) Eval mode during training AND that `model.train()` undoes it (eval mode alone earns no point).
# ### END SOLUTION

# %% [markdown]
# ## 12. Quiz
#
# Ungraded. Answer first, then open.
#
# <details><summary>1. Your L2-SP penalty is zero in every step. What has happened?</summary>
# The start was not copied, so it is the current weights themselves.</details>
#
# <details><summary>2. You have the pretrained weights, but not the data. Which methods can you use?</summary>
# L2-SP and LP-FT. The joint loss needs the old data.</details>
#
# <details><summary>3. Two methods have the same validation accuracy. Are they equally good?</summary>
# On images like the validation images, yes. Out of distribution they can differ a lot.</details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# - Full fine-tuning forgets domains that its labels do not show, and validation images of the same kind do not reveal
#   it.
# - A joint loss with the old task forgot less, but it needs the old data. L2-SP helped only at a high price.
# - LP-FT matched full fine-tuning in distribution and beat it on outlined images. Out of distribution the linear probe
#   alone, which does not change the encoder, was best.
# - Where only contrast had changed, five images without labels repaired a fine-tuned network. Images of a single class
#   did harm.
# - Frozen means weights *and* running statistics, and saved best weights must be a *copy*.

# %% [markdown]
# ## What became of it
#
# The trade-off returned with foundation models. Fine-tuning CLIP on one data set raises accuracy there and lowers it
# under distribution shift. *WiSE-FT* (Wortsman et al. 2022) averages the weights before and after fine-tuning, and
# *model soups* average several networks.
#
# **Further reading.**
#
# - Kumar et al. (2022), *Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution*: LP-FT.
# - Li et al. (2018), *Explicit Inductive Bias for Transfer Learning with Convolutional Networks*: L2-SP.
# - Schneider et al. (2020), *Improving robustness against common corruptions by covariate shift adaptation*: statistics
#   at test time.
#
# **Challenge.** Reach the filled accuracy of full fine-tuning, {{ result("forgetting", "ft_in").mean | pct }}, and beat
# the linear probe on outlined images, {{ result("forgetting", "lp_out").mean | pct }}, without old data, on three
# seeds.
