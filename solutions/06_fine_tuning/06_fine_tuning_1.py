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
# *A network has been trained on other classes, with thousands of labels. You have five labels per class. How much
# of that network do you leave alone? The fewer labels you have, the more of it.*
#
# **You will** freeze a part so that not one bit of it changes, hand the optimizer exactly the rest, give each layer
# its own learning rate, open blocks one after another, and tune single blocks. **You will measure** at which number
# of labels freezing stops paying, what it saves, and how pretrained features are destroyed.
#
# **You need** PyTorch modules and a training loop (unit 00).
#
# **Time**: 90 minutes of reading and writing, of which 3 minutes of computing. The second notebook of this unit is
# about strategies when all layers are open.

# %% tags=["setup"]
import copy
import dataclasses

import torch
from torch import nn

from course_lib import evaluation, plots, records, settings, widgets
from course_lib.data import Batches, augment, few_label_split, load
from course_lib.exercises import checks_for
from course_lib.models import Classifier, ConvEncoder, count_parameters
from course_lib.training import fit

# %% tags=["setup"]
check = checks_for("06_fine_tuning")
OLD = (0, 2, 3, 5, 9)  # of ten classes, these five teach the encoder; of any other number, every second


def of_classes(data, old):
    count = len(data.class_names)
    teachers = OLD if count == 10 else range(1, count, 2)
    kept = torch.tensor([c for c in range(count) if (c in teachers) == old])
    part = data.subset(torch.isin(data.labels, kept))
    labels, names = torch.searchsorted(kept, part.labels), [data.class_names[c] for c in kept]  # counted anew from 0
    return dataclasses.replace(part, labels=labels, class_names=tuple(names))


both = load(n=settings.by_profile(smoke=1_000, laptop=8_000, full=8_000))
both_test = load(split="test", n=settings.by_profile(smoke=400, laptop=2_000, full=2_000))
source, target = of_classes(both, old=True), of_classes(both, old=False)
test = of_classes(both_test, old=False)
split = few_label_split(target.labels, per_class=5, generator=torch.Generator().manual_seed(0))
few, channels, num_classes = target.subset(split.labeled), both.images.shape[1], len(target.class_names)
print(f"{both.name}: {len(source):,} labels of old classes, {len(few)} labels of new ones")

# %% [markdown]
# ## 1. Five new classes, five labels each
#
# The old classes stand on the left, the new ones on the right. No class is on both sides.

# %% tags=["demo"]
shown, names = [], []
for c in range(min(num_classes, len(source.class_names))):
    for part in (source, target):
        shown.append(part.images[part.labels == c][:2])
        names += len(shown[-1]) * [part.class_names[c]]
title = "Old classes | new classes"
plots.show(plots.image_grid(torch.cat(shown), captions=names, columns=4, title=title))

# %% [markdown]
# The baseline: the course's encoder, from random weights, on the few labels of the new classes. **Predict** its
# accuracy; guessing gets one in five.

# %% tags=["train"]
def first_weights():
    return ConvEncoder(channels, generator=torch.Generator().manual_seed(0))


def new_classifier(encoder):
    """A copy of an encoder with a new head: (N, C, H, W) -> (N, num_classes)."""
    generator = torch.Generator().manual_seed(0)
    return Classifier(copy.deepcopy(encoder), num_classes, generator=generator)


def all_weights(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def tune(classifier, title, *, data=few, measured_on=test, **options):
    generator = torch.Generator().manual_seed(0)
    size = options.pop("batch_size", 32)
    loader = {"batch_size": min(size, len(data)), "shuffle": True, "generator": generator}
    batches = Batches(data.images, data.labels, augment=augment.random_shift, **loader)
    options = {"steps": settings.by_profile(smoke=4, laptop=300, full=1_000), "lr": 1e-3} | options
    fit(classifier, batches, label=title, **options)
    return evaluation.evaluate(classifier, measured_on.images, measured_on.labels)["accuracy"]


accuracy = {"scratch": tune(new_classifier(first_weights()), "from scratch", lr=3e-3)}
print(f"from scratch, five labels per class: {accuracy['scratch']:.0%}")

# %% [markdown]
# Recorded over {{ result("label_curve", "scratch@5").n }} seeds:
# {{ result("label_curve", "scratch@5") | pm(percent=true) }}.
#
# Now the encoder that was trained before: the same network, trained on the old classes with all their labels.

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
# ## 2. Frozen means: not one bit
#
# A layer learns in two ways. Weights follow gradients. Batch normalization also keeps running statistics, and in
# train mode it moves them at every batch, without any gradient:
#
# $$\mu \leftarrow (1 - m)\,\mu + m\,\mu_\text{batch}$$
#
# So a frozen part must want no gradients *and* stay in eval mode. The second is the hard one: the training loop calls
# `model.train()`, which reaches every module below.
#
# ### Exercise 6.1: freeze (15 minutes)
#
# Keep a way back: `freeze(module, frozen=False)` opens the part again.

# %% nbgrader={"grade_id": "freeze", "solution": true}
def freeze(module, frozen=True):
    """Freezes a part of a network, in place, or opens it again.

    Frozen, its parameters want no gradient, and it computes as in eval mode even after
    `train()` was called on the network around it. Its weights and statistics stay what
    they are; gradients still pass through to layers below.

    Args:
        module: the part: any nn.Module, with parts of its own, perhaps frozen already,
            in whole or in part, by this function or by other code.
        frozen: True freezes it; False makes all of it learn again and follow `train()`
            and `eval()`, unless it lies in a part that stays frozen.
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
# Three ways to "freeze" the encoder, twenty steps of training each. **Predict**: in which of them does something in
# the encoder change?

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

# %% [markdown]
# The second way fails like the first: `fit`, as any training loop, calls `model.train()`. With five labels per class in
# the same pictures the damage is small: recorded,
# {{ result("leaks", "no_gradient_accuracy") | pm(percent=true) }} with moving statistics and
# {{ result("leaks", "frozen_accuracy") | pm(percent=true) }} without. Under a domain shift it is not; the second
# notebook measures that.
#
# ## 3. What the optimizer may touch
#
# An optimizer moves what it holds. Momentum and weight decay need no gradient for that.
#
# ### Exercise 6.2: trainable_parameters (8 minutes)

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
# Put together: freeze the whole encoder and train the head; open everything; and, as the honest control, the same
# encoder with its random first weights, frozen. **Predict** the order, and where scratch comes.

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
accuracy["transfer_finetuned"] = tune(new_classifier(pretrained.encoder), "all open")
accuracy["random_frozen"] = head_only(first_weights(), "random, frozen")
title = "Five labels per class, one seed"
plots.show(plots.bar_with_seeds(accuracy, baseline=1 / num_classes, title=title))

# %% [markdown]
# Recorded: frozen {{ result("label_curve", "transfer_frozen@5") | pm(percent=true) }}, all open
# {{ result("label_curve", "transfer_finetuned@5") | pm(percent=true) }}, scratch
# {{ result("label_curve", "scratch@5") | pm(percent=true) }}, random and frozen
# {{ result("label_curve", "random_frozen@5") | pm(percent=true) }}. What helps is what the encoder has learned, not
# that few weights are trained.
#
# ## 4. How deep?
#
# Between all and nothing there are more choices: freeze the lowest block, or two. **Predict** the best depth with
# five labels per class, and with fifty.

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

# %% [markdown]
# **The crossover.** With five labels per class it pays to freeze deep: all three blocks
# {{ result("freezing_depth", "5_labels@3") | pm(percent=true) }}, two
# {{ result("freezing_depth", "5_labels@2") | pm(percent=true) }}, none
# {{ result("freezing_depth", "5_labels@0") | pm(percent=true) }}. With fifty it is the other way round: none
# {{ result("freezing_depth", "50_labels@0") | pm(percent=true) }}, two
# {{ result("freezing_depth", "50_labels@2") | pm(percent=true) }}, and all three
# ({{ result("freezing_depth", "50_labels@3") | pm(percent=true) }}) are worse than starting from scratch
# ({{ result("label_curve", "scratch@50") | pm(percent=true) }}). Few labels cannot correct many weights; many can.
#
# Three hundred gentle steps are behind these lines. Now be in a hurry: forty steps at a constant rate. Move the
# sliders until you find a choice that is safe at every rate.

# %% tags=["demo"]
hurried = records.curves(unit, "freeze_picker", dataset="glyphs")
choices = {}
for name, curve in hurried.items():  # such as "5_labels_0.01"
    labels, _, rate = name.split("_")
    choices[int(labels), float(rate)] = curve
sizes = [count_parameters(layer) for layer in (*ConvEncoder().blocks, nn.Linear(64, 5))]
glyph_parts = dict(zip(("block 1", "block 2", "block 3", "head"), sizes))
options = {
    "start": (5, 0.03, 0), "chance": 0.2, "title": "In a hurry (recorded on glyphs)"
}
widgets.freeze_picker(choices, glyph_parts, **options)

# %% [markdown]
# **A learning rate that destroys.** With all blocks open and fifty labels per class, a rate of $0.001$ gives
# {{ result("freeze_picker", "50_labels_0.001@0") | pm(percent=true) }}, $0.03$ gives
# {{ result("freeze_picker", "50_labels_0.03@0") | pm(percent=true) }} and $0.1$
# {{ result("freeze_picker", "50_labels_0.1@0") | pm(percent=true) }}: the first steps, taken for a head that knows
# nothing yet, overwrite what was learned. The head alone takes a rate of $0.1$ without harm,
# {{ result("freeze_picker", "50_labels_0.1@3") | pm(percent=true) }}, and a rate of $0.001$ is too slow for it
# ({{ result("freeze_picker", "50_labels_0.001@3") | pm(percent=true) }}). So different parts want different rates.
#
# ## 5. A rate for each layer
#
# Let $\eta$ be the rate of the head and $\gamma$ the decay. The part $d$ steps below the head learns at
#
# $$\eta_d = \eta\,\gamma^{\,d}, \qquad d = 0 \text{ for the head, } 1 \text{ for the last block, } \dots$$
#
# ### Exercise 6.3: parameter_groups (12 minutes)

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
# The hurried training once more, all blocks open, with one rate and with four. **Predict** what the smaller rates of
# the lower blocks are worth.

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
    print(
        f"{name}: " + ", ".join(f"{group['lr']:.5f}"
        for group in optimizer.param_groups)
    )
    rates[name] = tune(model, name, optimizer=optimizer, **hurry)
title = "In a hurry, five labels per class, one seed"
plots.show(plots.bar_with_seeds(rates, styled_as="transfer", title=title))

# %% [markdown]
# Recorded: one rate {{ result("by_layer", "hurry_one_rate@5") | pm(percent=true) }}, a rate for each part
# {{ result("by_layer", "hurry_layer_rates@5") | pm(percent=true) }}.
#
# ## 6. One block after another
#
# Howard and Ruder (2018) avoid the first bad steps in another way: train the head alone, then open the top block,
# then the next. At stage $s$ the top $s$ blocks are open.
#
# ### Exercise 6.4: gradual_unfreezing (15 minutes)
#
# An optimizer is made once, at the start, with the head. A block that opens must be handed over to it.

# %% nbgrader={"grade_id": "gradual_unfreezing", "solution": true}
def gradual_unfreezing(blocks, optimizer, stage, *, lr):
    """Opens the top blocks of a network and hands those that are new to the optimizer.

    Called with stage 0, 1, 2, ... up to the number of blocks, with the same optimizer.

    Args:
        blocks: list of modules from the input upwards, open or frozen from earlier
            calls; not changed.
        optimizer: holds the head from the start, and what earlier stages have handed
            over; a stage may add its parameters in one group or in several.
        stage: so many blocks are open, counted from the top, and follow `train()`
            again; all below are frozen. Of a frozen one only `requires_grad` is looked
            at.
        lr: learning rate of the blocks that open; what the optimizer holds already
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
# Four stages in one training. The table says which share of its way each block went in which stage: the quickest test
# of such code. **Predict** where it must be zero.

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
reached = tune(
    model, "gradual", optimizer=optimizer, steps=4 * stage_steps, on_step=next_stage
)
print(f"test accuracy {reached:.0%}")
stages = [f"stage {k}" for k in range(4)]
# each column adds up to 1
shares = torch.tensor(moved) / torch.tensor(moved).sum(dim=0)
plots.show(
    plots.share_table(shares, stages, list(parts)[:3], title="When each block moved")
)

# %% [markdown]
# Zero above the staircase, as it must be. Is it worth the trouble? Recorded with five labels per class and as many
# steps: gradual {{ result("by_layer", "gradual@5") | pm(percent=true) }}, a rate for each part
# {{ result("by_layer", "layer_rates@5") | pm(percent=true) }}, one small rate for all
# {{ result("by_layer", "one_rate@5") | pm(percent=true) }}. That is a gain, but the head alone reached as much. With
# twenty labels it is {{ result("by_layer", "gradual@20") | pm(percent=true) }},
# {{ result("by_layer", "layer_rates@20") | pm(percent=true) }} and
# {{ result("by_layer", "one_rate@20") | pm(percent=true) }}: the rates still help a little, the stages cost more than
# they give.
#
# ## 7. Which block?
#
# Freezing from below is a habit, no law. Lee et al. (2023) tune a single block, wherever it is, and find that the
# best one depends on what has changed.
#
# ### Exercise 6.5: tune_blocks (10 minutes)

# %% nbgrader={"grade_id": "tune_blocks", "solution": true}
def tune_blocks(blocks, head, chosen):
    """Opens the chosen blocks and the head, and freezes all other blocks, whatever was open before.

    An open block follows `train()` again. Of a frozen one only `requires_grad` is
    looked at.

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
# The old classes again, with the old head, in inverted pictures: all edges are there, with the sign changed. Five
# labels per class. **Predict**: which single block is worth tuning?

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
title = "Inverted pictures, one block tuned, one seed"
plots.show(plots.bar_with_seeds(single, styled_as="transfer", title=title))

# %% [markdown]
# Recorded, for three kinds of news: new classes; the old classes in faint pictures, as if in fog; and inverted ones.
# Rows are what is new, columns what is tuned (always with the head).

# %% tags=["demo"]
news = {
    "new_classes": "new classes", "faint": "faint pictures",
    "inverted": "inverted pictures",
}  # fmt: skip
tuned = {
    "head": "head only", "block1": "block 1", "block2": "block 2", "block3": "block 3"
}
tuned["all"] = "all blocks"
keys = [[f"{row}_{column}" for column in tuned] for row in news]
table = [[records.figure(unit, "which_block", key).mean for key in row] for row in keys]
names = list(news.values()), list(tuned.values())
alt = "Accuracy with five labels per class. "
for name, row in zip(names[0], table):
    alt += f"{name}: " + ", ".join(
        f"{what} {x:.0%}" for what, x in zip(names[1], row)
    ) + ". "
plots.show(plots.share_table(table, *names, title="Five labels per class", alt=alt))

# %% [markdown]
# For new classes the last block is the best of the three
# ({{ result("which_block", "new_classes_block3") | pm(percent=true) }}), and with so few labels the head alone is
# better still ({{ result("which_block", "new_classes_head") | pm(percent=true) }}). Inverted pictures want the middle
# block ({{ result("which_block", "inverted_block2") | pm(percent=true) }}), faint ones the first
# ({{ result("which_block", "faint_block1") | pm(percent=true) }}). The right block alone does about as well as all of
# them, or better.
#
# ## 8. What it saves, and what the source is worth
#
# Below the lowest open layer nothing need be kept for the backward pass, nor computed in it. **Predict** what is
# saved first: time, gradients or activations?

# %% tags=["demo"]
from IPython.display import Markdown

cost = records.curves(unit, "cost", dataset="glyphs")
kinds = {"CPU time": "seconds", "gradients": "gradients", "activations": "activations"}
shares = {name: cost[key] for name, key in kinds.items()}
options = {"x_label": "frozen blocks", "y_label": "share of what all open takes"}
plots.show(plots.label_curve(shares, **options, title="One training step"))
curves = records.curves(unit, dataset=recorded_on)
order = ["transfer_finetuned", "transfer_frozen", "scratch", "random_frozen"]
title = f"Five new classes (recorded on {recorded_on})"
plots.show(plots.label_curve({key: curves[key] for key in order}, title=title))
Markdown(records.results_table(up_to=unit))

# %% [markdown]
# Two frozen blocks leave {{ result("cost", "seconds@2").mean | pct }} of a step's time and
# {{ result("cost", "activations@2").mean | pct }} of the activations, but
# {{ result("cost", "gradients@2").mean | pct }} of the gradients (and as much of Adam's two averages): most weights
# are high up, most pixels low down. The rows of this unit in the table are for five classes instead of ten, which is
# easier; compare them with each other.
#
# **On other data the lines cross elsewhere.** On MNIST, five digits teach and five are asked for. With five labels
# each, two frozen blocks cost nothing
# ({{ result("freezing_depth", "5_labels@2", dataset="mnist") | pm(percent=true) }}, all open
# {{ result("freezing_depth", "5_labels@0", dataset="mnist") | pm(percent=true) }}), but three
# ({{ result("freezing_depth", "5_labels@3", dataset="mnist") | pm(percent=true) }}) are no better than scratch
# ({{ result("label_curve", "scratch@5", dataset="mnist") | pm(percent=true) }}). Perhaps digits have less in common
# than pictograms; measure on your own data.

# %% [markdown]
# **A source that teaches nothing.** Give the old pictures labels drawn by lot; they can only be learned by heart. An
# encoder from that source, fine-tuned with twenty labels per class, reaches
# {{ result("negative_transfer", "random_labels") | pm(percent=true) }}; from scratch at the same rate it is
# {{ result("negative_transfer", "scratch") | pm(percent=true) }} (at a larger one
# {{ result("label_curve", "scratch@20").mean | pct }}), from the true source
# {{ result("negative_transfer", "true_labels") | pm(percent=true) }}. That is *negative transfer*. With two blocks
# frozen the three are {{ result("negative_transfer", "random_labels_frozen") | pm(percent=true) }},
# {{ result("negative_transfer", "scratch_frozen") | pm(percent=true) }} and
# {{ result("negative_transfer", "true_labels_frozen") | pm(percent=true) }}: what the source did not teach, freezing
# keeps out.

# %% [markdown]
# ## 9. When it fails: frozen, and yet it moves
#
# A colleague "freezes" the encoder with hooks that set its gradients to zero, and gives all parameters to AdamW with
# a weight decay of $0.1$. The encoder is in eval mode. **Predict**: what happens to weights whose gradient is zero?

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
    plots.learning_curve(kept, y_label="length of all frozen weights", title=title)
)
print(f"accuracy {wrong:.0%}, frozen properly {accuracy['transfer_frozen']:.0%}")
weight = nn.Parameter(torch.ones(()))
momentum = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
(0.5 * weight).backward()
momentum.step()  # one step of training; from here on the gradient is zero
momentum.zero_grad(set_to_none=False)
print(
    "with momentum:", [round(weight.item(), 3)
    for _ in range(5) if momentum.step() is None]
)

# %% [markdown]
# The loss falls, nothing warns. Recorded, the weights lose {{ result("leaks", "zeroed_weights").mean | pct }} of
# their length, and the accuracy is {{ result("leaks", "zeroed_accuracy") | pm(percent=true) }} instead of
# {{ result("leaks", "frozen_accuracy") | pm(percent=true) }}. Momentum does the same to a layer that is frozen in the
# middle of training with its gradients set to zero instead of taken away.

# %% [markdown] nbgrader={"grade_id": "frozen_and_yet_moved", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A team fine-tunes a network for X-ray images from a second hospital with forty
# labels. "The backbone is frozen", they say: the gradients of its parameters are set to zero in each step, the
# optimizer is AdamW over `model.parameters()`, and the loop begins with `model.train()`. In four to six sentences:
# (a) name two different things in the backbone that change nevertheless, and what moves each; (b) give a test that
# would have shown it; (c) say, with a reason, how much you would freeze with forty labels, and what you would try if
# the second hospital's images were only darker.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* The weights shrink, because AdamW's weight decay acts on everything that it holds, with or
# without a gradient; and the running means and variances of batch normalization move, because `model.train()` puts
# the backbone in train mode. Copy the backbone's `state_dict` before training and compare each tensor with
# `torch.equal` after a few steps: all must be equal. With forty labels I would freeze most of it, since so few labels
# cannot correct millions of weights, and choose the depth on validation images. If the images are only darker, the
# answers are the same and the pixels are new, so I would tune the first block alone.
#
# *Sample answer (2).* Weight decay changes the weights and batch normalization changes its statistics in train mode.
# I would compare the weights before and after. I would freeze everything because there are few labels.
#
# *Sample answer (1).* The optimizer has all parameters, so it changes the frozen weights too; it should only get the
# ones of the head.
#
# *Rubric.* One point each: (a) two different things with their causes (weights by weight decay or momentum;
# statistics by train mode); (b) a comparison of states before and after that covers the buffers, or all of the state;
# (c) freezing argued by the number of labels AND the lower block for darker images (one of the two is half a point).
# ### END SOLUTION

# %% [markdown]
# ## 10. Quiz
#
# Ungraded. Answer first, then open.
#
# <details><summary>1. Your frozen encoder's outputs differ from step to step for the same image. What do you
# suspect?</summary>Train mode: dropout, or batch statistics.</details>
#
# <details><summary>2. You freeze the middle block only. Does the first block still get gradients?</summary>Yes: they
# pass through a frozen block; it only keeps none for itself.</details>
#
# <details><summary>3. You open a block, and the loss goes on exactly as before. What was forgotten?</summary>To hand it
# to the optimizer.</details>
#
# <details><summary>4. Frozen features beat fine-tuning on your data. What will change that?</summary>More
# labels.</details>

# %% [markdown]
# ## Take away
#
# - Frozen: no gradients, eval mode that survives `train()`, not in the optimizer; compare `state_dict`s to be sure.
# - Few labels: freeze deep; many: open all. In between, choose by validation.
# - A rate that suits the head destroys pretrained blocks: small rates below, or open them later.
# - What is new decides which block to tune: pixels below, classes above.
# - Freezing saves activations and time; it cannot repair a source that taught nothing.
#
# **Where this is used.** Medical images from another scanner, a new speaker, language models with adapters,
# robots with a fixed visual system.
#
# **Further reading.** Yosinski et al. (2014), *How Transferable Are Features in Deep Neural Networks?*; Howard and
# Ruder (2018), *Universal Language Model Fine-tuning*; Lee et al. (2023), *Surgical Fine-Tuning*.
#
# **Bonus.** (1) Exchange old and new classes: is the best depth the same? (2) `COURSE_DATASET=mnist`: teach more
# digits. Does freezing pay then?
