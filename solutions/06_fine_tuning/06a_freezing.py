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
# # Freezing: which layers should keep learning?
#
# *You are given a network that was trained on other classes, with thousands of labels. For your new classes you have
# five labels each. Which layers should you keep frozen, and does the answer change when you have more labels?*
#
# **You will** freeze a part of a network completely, give the optimizer exactly the trainable parameters, set a
# learning rate per layer, unfreeze blocks one after another, and tune single blocks. **You will measure** at which
# number of labels freezing helps, what it saves, and how training can damage pretrained features.
#
# **You need** PyTorch [modules](https://pytorch.org/docs/stable/notes/modules.html), a training loop (unit 00) and
# [batch normalization](https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html).
#
# **Time**: about 2 to 2.5 hours in two sittings, with a natural break after section 4. About 3 minutes of it are
# computation. The second notebook of this unit trains all layers and asks what they forget.

# %% [markdown]
# **Warm-up.** Two questions from earlier units. Answer first, then open.
#
# <details><summary>1. What does batch normalization use in train mode, and what in eval mode?</summary>
# In train mode it uses mean and variance of the current batch. In eval mode it uses its running statistics.</details>
#
# <details><summary>2. What is a linear probe, and what does it measure?</summary>
# A linear classifier trained on features of a frozen encoder. It measures how much of the class a linear layer can
# read from these features.</details>

# %% tags=["setup"]
import copy
import dataclasses

import torch
from torch import nn

from course_lib import evaluation, plots, records, settings, widgets
from course_lib.data import Batches, augment, few_label_split, load
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import Classifier, ConvEncoder, count_parameters
from course_lib.training import fit

# %% tags=["setup"]
check = checks_for("06_fine_tuning")
predict = predictions_for("06a_freezing")
# Of ten classes, these five train the encoder; of another number, every second one.
OLD = (0, 2, 3, 5, 9)


def of_classes(data, old):
    count = len(data.class_names)
    sources = OLD if count == 10 else range(1, count, 2)
    kept = torch.tensor([c for c in range(count) if (c in sources) == old])
    part = data.subset(torch.isin(data.labels, kept))
    labels = torch.searchsorted(kept, part.labels)  # renumbered from 0
    names = tuple(data.class_names[c] for c in kept)
    return dataclasses.replace(part, labels=labels, class_names=names)


both = load(n=settings.by_profile(smoke=1_000, laptop=8_000, full=8_000))
test_size = settings.by_profile(smoke=400, laptop=2_000, full=2_000)
both_test = load(split="test", n=test_size)
source, target = of_classes(both, old=True), of_classes(both, old=False)
test = of_classes(both_test, old=False)
generator = torch.Generator().manual_seed(0)
split = few_label_split(target.labels, per_class=5, generator=generator)
few = target.subset(split.labeled)
channels, num_classes = both.images.shape[1], len(target.class_names)
print(f"{both.name}: {len(source):,} labels of old classes, {len(few)} of new ones")

# %% [markdown]
# ## 1. Five new classes, five labels each
#
# *Transfer learning* uses what a network learned on one task (the *source*) for another one (the *target*). The part
# that is kept is called the *backbone* or encoder, and the new linear layer on top is called the *head*. Here are the
# old classes, which train the encoder, and the new ones. They do not overlap.

# %% tags=["demo"]
shown, names = [], []
for c in range(min(num_classes, len(source.class_names))):
    for part in (source, target):
        shown.append(part.images[part.labels == c][:2])
        names += len(shown[-1]) * [part.class_names[c]]
title = "Old classes | new classes"
plots.show(plots.image_grid(torch.cat(shown), captions=names, columns=4, title=title))

# %% [markdown]
# The two columns on the left are old classes, the two on the right are new ones. First measure the baseline, which is
# the course's encoder with random weights, trained on the few labels of the new classes. With five classes, chance is
# one in five.

# %% tags=["train"]
def first_weights():
    return ConvEncoder(channels, generator=torch.Generator().manual_seed(0))


def new_classifier(encoder):
    """A copy of an encoder with a new head: (N, C, H, W) -> (N, num_classes)."""
    generator = torch.Generator().manual_seed(0)
    return Classifier(copy.deepcopy(encoder), num_classes, generator=generator)


def all_weights(module):
    return torch.cat([weight.detach().flatten() for weight in module.parameters()])


def tune(classifier, title, *, data=few, measured_on=test, **options):
    generator = torch.Generator().manual_seed(0)
    size = min(options.pop("batch_size", 32), len(data))
    loader = {"batch_size": size, "shuffle": True, "generator": generator}
    batches = Batches(data.images, data.labels, augment=augment.random_shift, **loader)
    steps = settings.by_profile(smoke=4, laptop=300, full=1_000)
    options = {"steps": steps, "lr": 1e-3} | options
    fit(classifier, batches, label=title, **options)
    images, labels = measured_on.images, measured_on.labels
    return evaluation.evaluate(classifier, images, labels)["accuracy"]


accuracy = {"scratch": tune(new_classifier(first_weights()), "from scratch", lr=3e-3)}
print(f"from scratch, five labels per class: {accuracy['scratch']:.0%}")

# %% [markdown]
# The *recorded* mean over {{ result("label_curve", "scratch@5").n }} seeds is
# {{ result("label_curve", "scratch@5") | pm(percent=true) }}. In this notebook "recorded" always means that: mean ±
# standard deviation over seeds, from the files in `results/`. Runs of one seed share their images, so we compare them
# seed by seed.
#
# All runs here see small shifts as their only augmentation, so compare them with each other and not with units that use
# strong augmentation. Each learning rate was fixed in advance for its purpose. The split also sets 20 validation images
# per class aside, which this notebook does not use.
#
# Now train the same network on the old classes, with all their labels.

# %% tags=["train"]
steps = settings.by_profile(smoke=4, laptop=600, full=3_000)
generator = torch.Generator().manual_seed(0)
pretrained = Classifier(first_weights(), len(source.class_names), generator=generator)
loader = {"batch_size": 64, "shuffle": True, "generator": generator}
old_batches = Batches(
    source.images, source.labels, augment=augment.random_shift, **loader
)
curve = plots.live_curve(steps, title="The old classes")
fit(pretrained, old_batches, steps=steps, lr=3e-3, label="old classes", on_step=curve)
blocks = pretrained.encoder.blocks
parts = {
    f"block {number + 1}": count_parameters(block)
    for number, block in enumerate(blocks)
}
parts["head"] = count_parameters(new_classifier(pretrained.encoder).head)
print("parameters:", parts)

# %% [markdown]
# ## 2. Frozen means that nothing changes
#
# A layer can change in two ways. Its parameters follow gradients. Batch normalization also has *running statistics*,
# and in train mode each batch moves them without any gradient:
#
# $$\mu \leftarrow (1 - m)\,\mu + m\,\mu_\text{batch}$$
#
# Therefore a *frozen* part needs `requires_grad=False` *and* eval mode.

# %% tags=["demo"]
plots.show(plots.diagram_freezing())

# %% [markdown]
# The gradient stops before the frozen blocks, but in train mode a batch still changes the running statistics. In eval
# mode they are only used.
#
# Keeping a part in eval mode is the harder half, because training loops call `model.train()`, which reaches every
# submodule. There are three usual ways: call
# `backbone.eval()` after every `model.train()`, override `train` in a subclass, or give the one instance its own
# `train` attribute, which hides the method of its class. The last way works for any module that is given to you.
#
# ### Exercise 6.1: freeze (hard, 15 minutes)
#
# The function must also undo itself, because `freeze(module, frozen=False)` makes the part trainable again.

# %% nbgrader={"grade_id": "freeze", "solution": true}
def freeze(module, frozen=True):
    """Freezes a part of a network, in place, or makes it trainable again.

    When frozen, its parameters have `requires_grad=False`, and it computes as in eval
    mode even after `train()` was called on the network around it. Its weights and
    statistics keep their values; gradients still pass through to layers below.

    Args:
        module: the part: any nn.Module, with parts of its own, perhaps frozen already,
            in whole or in part, by this function or by other code.
        frozen: True freezes it; False makes all of it trainable again, and it follows
            `train()` and `eval()`, unless it lies in a part that stays frozen.
            Its mode right after that does not matter.

    Returns:
        The module itself.
    """
    ### BEGIN SOLUTION
    module.requires_grad_(not frozen)
    for part in module.modules():
        # the method of its class again, in parts frozen before too
        part.__dict__.pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module  # a call changes nothing
    return module
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_freeze", "grade": true}
check.freeze(freeze)

# %% [markdown]
# Compare three ways to freeze the encoder, with twenty training steps each. **Predict**: how probable is it that
# something in the encoder changes when only gradients are off?

# %% tags=["predict"]
predict.still_changes(...)  # how probable: 0 is no, 1 is yes

# %% tags=["train"]
check.needs("freeze")
ways = {
    "gradients off": lambda module: module.requires_grad_(False),
    "gradients off, eval() once": lambda module: module.requires_grad_(False).eval(),
    "your freeze": freeze,
}
changes = {}
for way, apply in ways.items():
    model = new_classifier(pretrained.encoder)
    apply(model.encoder)
    given = copy.deepcopy(model.encoder.state_dict())
    tune(model, way, steps=20, lr=3e-2)
    after = model.encoder.state_dict()
    running = [key for key in after if "running" in key]
    changes[way] = [
        max(float((after[key] - given[key]).abs().max()) for key in running)
    ]
plots.show(plots.bar_with_seeds(
    changes, styled_as="transfer", percent=False,
    title="What twenty steps do to a frozen encoder",
    x_label="largest change of a running mean or variance",
))  # fmt: skip
predict.still_changes.compare(changes["gradients off"][0] > 0)

# %% [markdown]
# The second way changes as much as the first, because `fit` calls `model.train()` and thereby undoes the single
# `eval()`. Only your `freeze` keeps the statistics. Here the damage is small. Recorded accuracy is
# {{ result("leaks", "no_gradient_accuracy") | pm(percent=true) }} with moving statistics and
# {{ result("leaks", "frozen_accuracy") | pm(percent=true) }} with fixed ones, which are better
# {{ every_seed("frozen_accuracy > no_gradient_accuracy", "leaks") }}. Under a *distribution shift*, where test images
# differ in kind from training images, the second notebook measures a much larger loss.
#
# ## 3. What the optimizer may touch
#
# An optimizer can change every parameter that it was given, even when the gradient is zero, because momentum and
# weight decay act without a gradient. Therefore give it the trainable parameters only.
#
# ### Exercise 6.2: trainable_parameters (warm-up, 8 minutes)

# %% nbgrader={"grade_id": "trainable_parameters", "solution": true}
def trainable_parameters(model):
    """The parameters that an optimizer should hold.

    Args:
        model: any nn.Module; parts, layers or single parameters may be frozen. It is
            not changed, nor are its gradients.

    Returns:
        A list of all its parameters with `requires_grad`, the parameters themselves,
        each once.
    """
    ### BEGIN SOLUTION
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_trainable_parameters", "grade": true}
check.trainable_parameters(trainable_parameters)

# %% [markdown]
# Now compare three runs with the baseline. The first freezes the pretrained encoder and trains only the head. The
# second trains everything. The third is the *control*: a frozen encoder with random weights, which trains as few
# parameters as the first run but contains no knowledge. What is the order of the four? **Predict** the
# accuracy of the first run.

# %% tags=["predict"]
predict.frozen_at_5(...)  # a share between 0 and 1

# %% tags=["train"]
check.needs("freeze", "trainable_parameters")


def head_only(encoder, title):
    model = new_classifier(encoder)
    freeze(model.encoder)
    optimizer = torch.optim.AdamW(
        trainable_parameters(model), lr=3e-2, weight_decay=0.0
    )
    return tune(model, title, optimizer=optimizer)


accuracy["transfer_frozen"] = head_only(pretrained.encoder, "frozen")
accuracy["transfer_finetuned"] = tune(
    new_classifier(pretrained.encoder), "all trainable"
)
accuracy["random_frozen"] = head_only(first_weights(), "random, frozen")
predict.frozen_at_5.compare(accuracy["transfer_frozen"])
title = "Five labels per class, one seed"
plots.show(plots.bar_with_seeds(accuracy, baseline=1 / num_classes, title=title))

# %% [markdown]
# {{ figures_table({"pretrained, frozen": "transfer_frozen", "pretrained, fine-tuned": "transfer_finetuned",
# "from scratch": "scratch", "control: random, frozen": "random_frozen"}, (5, 10, 20, 50)) }}
#
# With five labels per class, frozen beats fine-tuned, and fine-tuned beats scratch,
# {{ every_seed("transfer_frozen@5 > transfer_finetuned@5, transfer_finetuned@5 > scratch@5") }}. The control stays near
# chance. So the gain comes from what the encoder has learned, and not from training few parameters. With ten labels
# and more, fine-tuning is better than freezing
# {{ every_seed("transfer_frozen@10 < transfer_finetuned@10, transfer_frozen@20 < transfer_finetuned@20,
# transfer_frozen@50 < transfer_finetuned@50") }}.
#
# ## 4. How deep should you freeze?
#
# There are choices between all and nothing, because you can freeze the lowest block, or the lowest two. This *depth*
# trades two errors. A deep freeze keeps features that may not fit, while a shallow one lets few labels change many
# weights. **Predict** the best depth for five labels per class. Is it the same for fifty?

# %% tags=["predict"]
predict.depth_at_5(...)  # 0, 1, 2 or 3 frozen blocks

# %% tags=["demo"]
unit, recorded_on = "06_fine_tuning", both.name
if not records.record_path(
    unit, "freezing_depth", dataset=recorded_on, profile="laptop"
).is_file():
    recorded_on = "glyphs"  # nothing is recorded on this data set
depth = records.curves(unit, "freezing_depth", dataset=recorded_on)
lines = {f"{k} labels per class": depth[f"{k}_labels"] for k in (5, 20, 50)}
title = f"How deep to freeze (recorded on {recorded_on})"
plots.show(plots.label_curve(lines, x_label="frozen blocks", title=title))
predict.depth_at_5.compare()

# %% [markdown]
# The lines cross. With five labels per class mean accuracy rises with each frozen block, from
# {{ result("freezing_depth", "5_labels@0") | pm(percent=true) }} to
# {{ result("freezing_depth", "5_labels@3") | pm(percent=true) }}. With fifty it falls as soon as the second block is
# frozen, and a fully frozen encoder is worse than training from scratch
# {{ every_seed("transfer_frozen@50 < scratch@50") }}. Few labels cannot correct many weights, but many labels can.
#
# These runs had three hundred steps with a small, decaying rate. What happens in a short training of forty steps at a
# constant rate? Move the sliders until you find a choice that works at every rate.

# %% tags=["demo"]
hurried = records.curves(unit, "freeze_picker", dataset="glyphs")
choices = {}
for name, curve in hurried.items():  # such as "5_labels_0.01"
    labels, _, rate = name.split("_")
    choices[int(labels), float(rate)] = curve
sizes = [count_parameters(layer) for layer in (*ConvEncoder().blocks, nn.Linear(64, 5))]
glyph_parts = dict(zip(("block 1", "block 2", "block 3", "head"), sizes))
options = {"start": (5, 0.03, 0), "chance": 0.2}
options["title"] = "A short training (recorded on glyphs)"
widgets.freeze_picker(choices, glyph_parts, **options)

# %% [markdown]
# | fifty labels per class, learning rate | $0.001$ | $0.03$ | $0.1$ |
# |---|---:|---:|---:|
# | everything trainable | {{ result("freeze_picker", "50_labels_0.001@0") | pm(percent=true) }} | {{
# result("freeze_picker", "50_labels_0.03@0") | pm(percent=true) }} | {{
# result("freeze_picker", "50_labels_0.1@0") | pm(percent=true) }} |
# | head only | {{ result("freeze_picker", "50_labels_0.001@3") | pm(percent=true) }} | {{
# result("freeze_picker", "50_labels_0.03@3") | pm(percent=true) }} | {{
# result("freeze_picker", "50_labels_0.1@3") | pm(percent=true) }} |
#
# A rate of $0.1$ is fine for the head and ruins the encoder, while $0.001$ suits the encoder and is too slow for the
# head. Two explanations fit. Either the first gradients, which come from a random head, overwrite the pretrained
# features, or training simply diverges at this rate. A random encoder with the same forty steps would tell them apart,
# but we did not record it. In both cases, head and encoder need different rates.
#
# **A natural break.** The second half is about such rates and about choosing blocks.

# %% [markdown]
# ## 5. A learning rate for each layer
#
# Lower layers compute general features (edges), upper layers specific ones. So lower layers should change less. Let
# $\eta$ be the rate of the head and $\gamma$ a decay factor below 1. The part $d$ steps below the head learns at
#
# $$\eta_d = \eta\,\gamma^{\,d}, \qquad d = 0 \text{ for the head, } 1 \text{ for the last block, } \dots$$
#
# PyTorch optimizers accept *parameter groups*, a list of dictionaries with `"params"` and `"lr"`. Two numbers, $\eta$
# and $\gamma$, then set all rates, however deep the network is.
#
# ### Exercise 6.3: parameter_groups (core, 12 minutes)

# %% nbgrader={"grade_id": "parameter_groups", "solution": true}
def parameter_groups(blocks, head, *, lr, decay):
    """Groups of parameters for an optimizer, with a learning rate for each part.

    Args:
        blocks: list of modules from the input upwards: blocks[-1] is next to the head.
        head: module with the full rate.
        lr: learning rate of the head.
        decay: factor from each part to the one below it.

    Returns:
        A list of dictionaries with "params" and "lr", the head's first, then from the
        last block down to the first. It holds every parameter with `requires_grad`, and
        no frozen one; a part may have several groups, a frozen part an empty one or
        none. `blocks` is not changed.
    """
    ### BEGIN SOLUTION
    groups = []
    for distance, part in enumerate([head, *reversed(blocks)]):
        params = trainable_parameters(part)
        if params:  # nothing to do for a frozen part
            groups.append({"params": params, "lr": lr * decay**distance})
    return groups
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_parameter_groups", "grade": true}
check.parameter_groups(parameter_groups)

# %% [markdown]
# Repeat the short training with all blocks trainable: once with one rate, once with a rate for each part.

# %% tags=["train"]
check.needs("trainable_parameters", "parameter_groups")
hurry = {"batch_size": 16, "schedule": "constant"}
hurry["steps"] = settings.by_profile(smoke=2, laptop=40, full=40)
rates = {}
for name, decay in (("one rate", 1.0), ("a rate for each part", 0.3)):
    model = new_classifier(pretrained.encoder)
    groups = parameter_groups(
        list(model.encoder.blocks), model.head, lr=0.01, decay=decay
    )
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    used = ", ".join(f"{group['lr']:.5f}" for group in optimizer.param_groups)
    print(f"{name}: {used}")
    rates[name] = tune(model, name, optimizer=optimizer, **hurry)
title = "A short training, five labels per class, one seed"
plots.show(plots.bar_with_seeds(rates, styled_as="transfer", title=title))

# %% [markdown]
# With one rate, recorded accuracy is {{ result("by_layer", "hurry_one_rate@5") | pm(percent=true) }}. With a rate for
# each part it is {{ result("by_layer", "hurry_layer_rates@5") | pm(percent=true) }}, a gain
# {{ every_seed("hurry_layer_rates@5 > hurry_one_rate@5", "by_layer") }}.
#
# ## 6. Gradual unfreezing
#
# Howard and Ruder (2018) protect the encoder in another way. First they train the head alone, then they unfreeze the
# top block, then the next one. At stage $s$ the top $s$ blocks are trainable:
#
# ```
# stage 0   [block 1]  [block 2]  [block 3]   head
# stage 1   [block 1]  [block 2]   block 3    head       [ ] frozen
# stage 2   [block 1]   block 2    block 3    head
# ```
#
# By the time a block is unfrozen, the layers above it are no longer random, so its first gradients are useful.
#
# ### Exercise 6.4: gradual_unfreezing (hard, 15 minutes)
#
# The optimizer is made once, at the start, with the head. Therefore each newly unfrozen block must be added to it.

# %% nbgrader={"grade_id": "gradual_unfreezing", "solution": true}
def gradual_unfreezing(blocks, optimizer, stage, *, lr):
    """Unfreezes the top blocks of a network and adds the new ones to the optimizer.

    Called with stage 0, 1, 2, ... up to the number of blocks, with the same optimizer.

    Args:
        blocks: list of modules from the input upwards, trainable or frozen from earlier
            calls; not changed.
        optimizer: holds the head from the start, and what earlier stages have added; a
            stage may add its parameters in one group or in several.
        stage: so many blocks are trainable, counted from the top, and follow `train()`
            again; all below are frozen. Of a frozen one only `requires_grad` is looked
            at.
        lr: learning rate of the newly unfrozen blocks; what the optimizer holds already
            keeps its rate.
    """
    ### BEGIN SOLUTION
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for number, block in enumerate(blocks):
        is_open = number >= len(blocks) - stage
        freeze(block, frozen=not is_open)
        new = [p for p in block.parameters() if id(p) not in held]
        if is_open and new:
            optimizer.add_param_group({"params": new, "lr": lr})
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_gradual_unfreezing", "grade": true}
check.gradual_unfreezing(gradual_unfreezing)

# %% [markdown]
# Train in four stages. The table shows in which stage each block moved, as a share of its total distance. This is the
# quickest test of such code, because a frozen block must have moved by exactly zero.

# %% tags=["train"]
check.needs("freeze", "gradual_unfreezing")
model = new_classifier(pretrained.encoder)
blocks = list(model.encoder.blocks)
optimizer = torch.optim.AdamW(model.head.parameters(), lr=1e-2, weight_decay=0.0)
stage_steps, moved = settings.by_profile(smoke=2, laptop=75, full=250), []
before = [all_weights(block) for block in blocks]


def next_stage(model, history):
    if history.steps % stage_steps == 0:
        after = [all_weights(block) for block in blocks]
        moved.append([float((b - a).norm()) for a, b in zip(before, after)])
        before[:] = after
        gradual_unfreezing(blocks, optimizer, min(len(moved), len(blocks)), lr=1e-3)
        model.train()


gradual_unfreezing(blocks, optimizer, 0, lr=1e-3)
options = {"optimizer": optimizer, "steps": 4 * stage_steps, "on_step": next_stage}
print(f"test accuracy {tune(model, 'gradual', **options):.0%}")
stages = [f"stage {k}" for k in range(4)]
# each column adds up to 1
shares = torch.tensor(moved) / torch.tensor(moved).sum(dim=0)
plots.show(
    plots.share_table(shares, stages, list(parts)[:3], title="When each block moved")
)

# %% [markdown]
# In stage 0 no block should move, and block 1 should move in the last stage only. Does the method help?
#
# {{ figures_table({"gradual unfreezing": "gradual", "a rate for each part": "layer_rates",
# "one small rate": "one_rate"}, (5, 20), "by_layer") }}
#
# With five labels per class both methods beat one small rate
# {{ every_seed("gradual@5 > one_rate@5, layer_rates@5 > one_rate@5", "by_layer") }}, but the frozen encoder of
# section 3 is as good. With twenty, gradual unfreezing is worse than one small rate
# {{ every_seed("gradual@20 < one_rate@20", "by_layer") }}, while a rate for each part is slightly better. The
# comparison has a weakness: both methods also give the head a ten times larger rate.
#
# ## 7. Which block?
#
# Freezing from the bottom up is a habit, not a rule. Lee et al. (2023) tune a single block, wherever it is, and find
# that the best choice depends on the kind of distribution shift.
#
# ### Exercise 6.5: tune_blocks (core, 10 minutes)

# %% nbgrader={"grade_id": "tune_blocks", "solution": true}
def tune_blocks(blocks, head, chosen):
    """Makes the chosen blocks and the head trainable, and freezes all other blocks.

    What was trainable before does not matter. A trainable block follows `train()`
    again. Of a frozen one only `requires_grad` is looked at.

    Args:
        blocks: list of modules from the input upwards.
        head: module that always learns.
        chosen: list of different positions in blocks, counted from 0; it may be empty.
            It is not changed.

    Returns:
        The list of parameters for the optimizer: of the head and of the chosen blocks,
        each once.
    """
    ### BEGIN SOLUTION
    parameters = trainable_parameters(freeze(head, frozen=False))
    for number, block in enumerate(blocks):
        freeze(block, frozen=number not in chosen)
        parameters += trainable_parameters(block)
    return parameters
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_tune_blocks", "grade": true}
check.tune_blocks(tune_blocks)

# %% [markdown]
# Now the classes stay the old ones, with the old head, but the images are inverted. All edges are still there, with
# the opposite sign. You have five labels per class. **Predict** which single block is worth tuning.

# %% tags=["predict"]
predict.block_for_inverted(...)  # "block 1", "block 2" or "block 3"

# %% tags=["train"]
check.needs("freeze", "trainable_parameters", "tune_blocks")
def invert(data):
    return dataclasses.replace(data, images=255 - data.images)


inverted = invert(source)
drawn = few_label_split(
    source.labels, per_class=5, generator=torch.Generator().manual_seed(0)
)
options = {"data": inverted.subset(drawn.labeled)}
options["measured_on"] = invert(of_classes(both_test, old=True))
options["steps"] = settings.by_profile(smoke=2, laptop=200, full=1_000)
single = {}
for number, name in enumerate(list(parts)[:3]):
    model = copy.deepcopy(pretrained)
    chosen = tune_blocks(list(model.encoder.blocks), model.head, [number])
    optimizer = torch.optim.AdamW(chosen, lr=1e-3, weight_decay=0.0)
    single[name] = tune(model, f"only {name}", optimizer=optimizer, **options)
plots.show(
    plots.image_grid(inverted.images[:8], columns=8, title="The old classes, inverted")
)
predict.block_for_inverted.compare(max(single, key=single.get))
title = "Inverted images, one block tuned, one seed"
plots.show(plots.bar_with_seeds(single, styled_as="transfer", title=title))

# %% [markdown]
# Recorded with five labels per class (each column tunes the head too):
#
# {{ figures_table({"new classes": "new_classes_", "faint images, as in fog": "faint_", "inverted images": "inverted_"},
# {"head": "head", "block 1": "block1", "block 2": "block2", "block 3": "block3", "all": "all"}, "which_block",
# head="what changed") }}
#
# Among single blocks, new classes need the last one, inverted images the middle one, and faint images the first one,
# which alone beats tuning everything {{ every_seed("faint_block1 > faint_all", "which_block") }}. Without tuning, faint
# images are at {{ result("which_block", "faint_before") | pm(percent=true) }}. (For shifted images the head alone has
# the small rate too.) This suggests that changed pixels are repaired low in the network, and new classes high in it.
#
# ## 8. What freezing saves, and what the source is worth
#
# Below the lowest trainable layer, nothing has to be stored for the backward pass or computed in it. The first figure
# has the cost of a training step, the second one all label budgets.

# %% tags=["demo"]
from IPython.display import Markdown

cost = records.curves(unit, "cost", dataset="glyphs")
kinds = {"CPU time": "seconds", "gradients": "gradients", "activations": "activations"}
shares = {name: cost[key] for name, key in kinds.items()}
options = {"x_label": "frozen blocks", "y_label": "share of the cost without freezing"}
plots.show(plots.label_curve(shares, **options, title="One training step"))
curves = records.curves(unit, dataset=recorded_on)
order = ["transfer_finetuned", "transfer_frozen", "scratch", "random_frozen"]
title = f"Five new classes (recorded on {recorded_on})"
plots.show(plots.label_curve({key: curves[key] for key in order}, title=title))
Markdown(records.results_table(up_to=unit))

# %% [markdown]
# Two frozen blocks leave {{ result("cost", "seconds@2").mean | pct }} of the time of a step and
# {{ result("cost", "activations@2").mean | pct }} of the stored activations, but
# {{ result("cost", "gradients@2").mean | pct }} of the gradients. The reason is that most pixels are in the lower
# layers and most weights in the upper ones. In the course's table, the rows of this unit have five classes instead of
# ten, which is easier, so compare them with each other only.
#
# **Other data.** On MNIST, with five digits as the source and five labels per class, the fully frozen encoder has only
# {{ result("freezing_depth", "5_labels@3", dataset="mnist") | pm(percent=true) }}. Everything trainable has
# {{ result("freezing_depth", "5_labels@0", dataset="mnist") | pm(percent=true) }}, and scratch has
# {{ result("label_curve", "scratch@5", dataset="mnist") | pm(percent=true) }}. So measure the best depth on your data.

# %% [markdown]
# **A source that teaches nothing.** A source with random labels can only memorize. With twenty labels per class:
#
# {{ figures_table({"source with true labels": "true_labels", "no source (scratch)": "scratch", "random labels":
# "random_labels"}, {"all trainable": "", "two blocks frozen": "_frozen"}, "negative_transfer", head="same rate") }}
#
# Random labels give {{ result("negative_transfer", "random_labels").mean | pct }}, less than no source
# {{ every_seed("random_labels < scratch", "negative_transfer") }}, which is *negative transfer*. (At its own, larger
# rate scratch has {{ result("label_curve", "scratch@20").mean | pct }}.) In the second notebook such a source equals
# random weights, but it trained for 400 steps there and for 2,500 here. This suggests that longer memorization makes
# weights harder to retrain.
#
# ## 9. When it fails: zero gradients, moving weights
#
# Hooks set the encoder's gradients to zero, it is in eval mode, and AdamW with a weight decay of $0.1$ has all
# parameters. What happens to weights whose gradient is zero? **Predict** how much of their norm they lose.

# %% tags=["predict"]
predict.norm_lost(...)  # a share between 0 and 1

# %% tags=["train"]
check.needs("freeze")
model = new_classifier(pretrained.encoder)
freeze(model.encoder)
for parameter in model.encoder.parameters():
    parameter.requires_grad_(True)
    parameter.register_hook(torch.zeros_like)
kept = []


def measure(model, history):
    kept.append(float(all_weights(model.encoder).norm()))


wrong = tune(model, "gradients of zero", lr=3e-2, weight_decay=0.1, on_step=measure)
title = "Frozen by gradients of zero"
plots.show(
    plots.learning_curve(kept, y_label="norm of all frozen weights", title=title)
)
print(f"accuracy {wrong:.0%}, frozen properly {accuracy['transfer_frozen']:.0%}")
predict.norm_lost.compare(1 - kept[-1] / kept[0])
weight, values = nn.Parameter(torch.ones(())), []
momentum = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
(0.5 * weight).backward()
for _ in range(6):
    momentum.step()
    momentum.zero_grad(set_to_none=False)  # after the first step the gradient is zero
    values.append(round(weight.item(), 3))
print("with momentum:", values)

# %% [markdown]
# The training loss falls, and there is no warning. But the weights lose
# {{ result("leaks", "zeroed_weights").mean | pct }} of their norm.
#
# Recorded accuracy is {{ result("leaks", "zeroed_accuracy") | pm(percent=true) }} instead of
# {{ result("leaks", "frozen_accuracy") | pm(percent=true) }}, lower
# {{ every_seed("zeroed_accuracy < frozen_accuracy", "leaks") }}.
#
# The printed values show the same for momentum, because the weight keeps moving after its gradient has become zero.

# %% [markdown] nbgrader={"grade_id": "frozen_and_yet_moved", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A team fine-tunes a network for X-ray images from a second hospital with forty labels.
# They report that the backbone is frozen. In fact the gradients of its parameters are set to zero in each step, the
# optimizer is AdamW over `model.parameters()`, and the loop begins with `model.train()`. In four to six sentences, (a)
# name two different things in the backbone that change nevertheless, and the cause of each, (b) describe a test that
# would have shown it, and (c) say, with a reason, how much you would freeze with forty labels, and what you would try
# if the second hospital's images were only darker.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* The weights shrink, because AdamW's weight decay acts on everything that it holds, with or
# without a gradient. The running means and variances of batch normalization move, because `model.train()` puts the
# backbone in train mode. Copy the backbone's `state_dict` before training and compare each tensor with `torch.equal`
# after a few steps. All must be equal. With forty labels I would freeze most of it, since so few labels cannot correct
# millions of weights, and choose the depth on validation images. If the images are only darker, the classes are the
# same and the pixels are new, so I would tune the first block alone.
#
# *Sample answer (2).* Weight decay changes the weights and batch normalization changes its statistics in train mode.
# I would compare the weights before and after. I would freeze everything because there are few labels.
#
# *Sample answer (1).* The optimizer has all parameters, so it changes the frozen weights too; it should only get the
# ones of the head.
#
# *Rubric.* One point each for (a), (b) and (c). (a) Two different things with their causes (weights by weight decay or
# momentum, statistics by train mode). (b) A comparison of states before and after that covers the buffers, or all of
# the state. (c) Freezing argued by the number of labels AND the lower block for darker images (one of the two is half a
# point).
# ### END SOLUTION

# %% [markdown]
# ## 10. Quiz
#
# Ungraded. Answer first, then open. Your predictions are summed up below.
#
# <details><summary>1. You freeze the middle block only. Does the first block still get gradients?</summary>
# Yes. They pass through a frozen block, which only stores none for itself.</details>
#
# <details><summary>2. You unfreeze a block, and the loss continues exactly as before. Why?</summary>
# The block's parameters were not added to the optimizer.</details>
#
# <details><summary>3. Frozen features beat fine-tuning on your data. What will change that?</summary>
# More labels. They can correct more weights.</details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# - On glyphs, only the head with five labels per class, and everything from ten on. On MNIST, everything at five.
# - Frozen means no gradients, eval mode that survives `train()`, and not in the optimizer.
# - A rate that suits the head can ruin a pretrained encoder, so use smaller rates below.
# - Changed pixels need a low block, new classes a high one.
# - Freezing saves activations and time, but it cannot repair a bad source.

# %% [markdown]
# ## What became of it
#
# Freezing is now the normal case, because models have become so large that most people cannot train all their weights.
# *Adapters* add small trainable layers to a frozen network. *LoRA* (Hu et al. 2021) adds a trainable low-rank matrix to
# frozen weight matrices and is a standard way to fine-tune large language models on one GPU. *Prompt tuning* trains
# only some input vectors. All three answer this notebook's question by training few new parameters instead of
# selected old ones.
#
# In medical imaging, a pretrained encoder with a new head is a common first baseline, and re-estimating batch
# statistics for a new scanner is a known remedy for shift. In robotics, policies often use a frozen pretrained vision
# encoder. In finance, where labels such as confirmed fraud are few, frozen text or transaction encoders with a small
# head play the same role.

# %% [markdown]
# **Further reading.**
#
# - Yosinski et al. (2014), *How Transferable Are Features in Deep Neural Networks?* They measure general and specific
#   layers, one by one.
# - Howard and Ruder (2018), *Universal Language Model Fine-tuning*. Sections 5 and 6 of this notebook come from it.
# - Lee et al. (2023), *Surgical Fine-Tuning*. They explain which block to tune for which shift.
#
# **Challenge.** Beat gradual unfreezing with five labels per class, which has
# {{ result("by_layer", "gradual@5") | pm(percent=true) }}, in three hundred steps. Use at least three seeds.
#
# **Bonus.** (1) Exchange old and new classes. Is the best depth the same? (2) With `COURSE_DATASET=mnist`, train the
# source on more digits. Does freezing help then?
