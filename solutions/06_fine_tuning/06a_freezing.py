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
# *You are given a network that was trained on other classes, with thousands of labels. Now you have five labels for
# each of some new classes. Which layers should you keep frozen, and does the answer change when you have more labels?*
#
# **You will** give the optimizer exactly the trainable parameters, freeze a part of a network completely, set a
# learning rate per layer, put these three together in a training loop, and unfreeze blocks one after another. **You
# will measure** at which number of labels freezing helps, and how training can damage pretrained features.
#
# **You need** PyTorch [modules](https://pytorch.org/docs/stable/notes/modules.html), a training loop (unit 00) and
# [batch normalization](https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html).
#
# **Time**: about 2 to 2.5 hours in two sittings, with a natural break after section 4. About 2 minutes of it are
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
from IPython.display import Markdown
from torch import nn
from torch.nn import functional as F

from course_lib import plots, records, settings, widgets
from course_lib.data import Batches, augment, load, split_labels
from course_lib.evaluation import accuracy_on
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import Classifier, ConvEncoder, count_parameters
from course_lib.training import fit

unit = "06_fine_tuning"
check = checks_for(unit)
predict = predictions_for("06a_freezing")

# %% tags=["setup"]
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
source, target = of_classes(both, old=True), of_classes(both, old=False)
test = of_classes(load(split="test", n=test_size), old=False)
generator = torch.Generator().manual_seed(0)
split = split_labels(target.labels, per_class=5, generator=generator)
few = target.subset(split.labeled)
channels, num_classes = both.images.shape[1], len(target.class_names)
print(f"{both.name}: {len(source):,} labels of old classes, {len(few)} of new ones")

# %% tags=["setup"]
def first_weights():
    return ConvEncoder(channels, generator=torch.Generator().manual_seed(0))


def new_classifier(encoder, classes=num_classes):
    """A copy of an encoder with a new head: (N, C, H, W) -> (N, classes)."""
    generator = torch.Generator().manual_seed(0)
    return Classifier(copy.deepcopy(encoder), classes, generator=generator)


def batches_of(data, size=32):
    loader = {"shuffle": True, "generator": torch.Generator().manual_seed(0)}
    loader |= {"batch_size": min(size, len(data)), "augment": augment.random_shift}
    return Batches(data.images, data.labels, **loader)


def all_weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def tune(classifier, title, **options):
    """Trains on the few labels in place; returns the accuracy on test images."""
    steps = settings.by_profile(smoke=4, laptop=300, full=1_000)
    options = {"steps": steps, "lr": 1e-3, "label": title} | options
    fit(classifier, batches_of(few), **options)
    return accuracy_on(classifier, test)

# %% [markdown]
# ## 1. Five new classes, five labels each
#
# *Transfer learning* uses what a network learned on one task (the *source*) for another one (the *target*). The part
# that is kept is called the *backbone* or encoder, and the new linear layer on top is called the *head*. Here are the
# old classes, which train the encoder, and the new ones. They do not overlap.

# %% tags=["demo"]
for data, title in ((source, "Old classes"), (target, "New classes")):
    pictures = data.images, data.labels, data.class_names
    plots.show(plots.class_examples(*pictures, per_class=6, title=title))

# %% [markdown]
# The shapes differ, but they consist of the same kinds of edges and corners. First measure the baseline, which is the
# course's encoder with random weights, trained on the few labels of the new classes. With five classes, chance is one
# in five.

# %% tags=["train"]
accuracy = {"scratch": tune(new_classifier(first_weights()), "from scratch", lr=3e-3)}
print(f"from scratch, five labels per class: {accuracy['scratch']:.0%}")

# %% [markdown]
# The *recorded* mean over {{ result("label_curve", "scratch@5").n }} seeds is
# {{ result("label_curve", "scratch@5") | pm(percent=true) }}. In this notebook "recorded" always means that: mean ±
# standard deviation over seeds, from the files in `results/`. Runs of one seed share their images, so we compare them
# seed by seed.
#
# All runs here see small shifts as their only augmentation, so compare them with each other and not with units that use
# strong augmentation. Each kind of run has its own learning rate, which was fixed in advance.
#
# Now train the same network on the old classes, with all their labels.

# %% tags=["train"]
steps = settings.by_profile(smoke=4, laptop=600, full=3_000)
pretrained = new_classifier(first_weights(), len(source.class_names))
curve = plots.live_curve(steps, title="The old classes")
fit(pretrained, batches_of(source, 64), steps=steps, lr=3e-3, on_step=curve)

# %% [markdown]
# ## 2. What the optimizer may touch
#
# An optimizer can change every parameter that it was given, even when the gradient is zero, because momentum and
# weight decay act without a gradient. Therefore give it the trainable parameters only. In PyTorch the flag
# `requires_grad` of a parameter is True where it should learn, and False where it is frozen.
#
# ### Exercise 6.1: trainable_parameters (warm-up, 8 minutes)

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
# ## 3. Frozen means that nothing changes
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
# The gradient stops below the lowest trainable block. But in train mode a batch still changes the running statistics
# of the frozen blocks. In eval mode they stay.
#
# Eval mode is the harder of the two conditions, because every training loop calls `model.train()`. This method calls
# `train(mode)` of each submodule, and so it undoes an earlier `eval()`. There are three usual solutions:
#
# 1. Override `train` in a subclass, so that the part never leaves eval mode.
# 2. In your own loop, call `encoder.eval()` after *every* `model.train()`.
# 3. Give one object a `train` of its own. Python looks at an object's own attributes first, so this function hides
#    the method of the class, and `del encoder.train` brings the method back.

# %% tags=["demo"]
class FixedEncoder(ConvEncoder):
    def train(self, mode=True):
        return super().train(False)  # 1: eval mode, whatever the caller asks for


fixed, patched = FixedEncoder(channels), ConvEncoder(channels).eval()
patched.train = lambda mode=True: patched  # 3: a call of train changes nothing
model = nn.ModuleList([fixed, patched, ConvEncoder(channels)])
model.train()
print("train mode after model.train():", [part.training for part in model])

# %% [markdown]
# Only the last one, an ordinary encoder, has left eval mode. Solution 1 is the cleanest if you write the class
# yourself. Solution 2 is common in training scripts, but a library's loop such as `fit` calls `train()` itself.
# Solution 3 works for any module that is given to you, which is what the next function needs. But then save its
# `state_dict`, because a module with a `lambda` cannot be pickled.
#
# ### Exercise 6.2: freeze (core, 15 minutes)
#
# The function must also work in the other direction, because `freeze(module, frozen=False)` makes the part trainable
# again. Parts inside the module may have been frozen before, each with a `train` of its own.

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
            `train()` and `eval()`, unless it lies in a part that stays frozen. Right
            after that it may be in either mode: the next call decides.

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
# Train twenty steps with `requires_grad=False` for the encoder, once after a single call of `eval()`, and once after
# your `freeze`. **Predict**: how probable is it that something in the encoder changes after the single `eval()`?

# %% tags=["predict"]
predict.still_changes(...)  # how probable: 0 is no, 1 is yes

# %% tags=["train"]
check.needs("freeze")
for way in (freeze, nn.Module.eval):
    model = new_classifier(pretrained.encoder)
    way(model.encoder.requires_grad_(False))
    tune(model, way.__name__, steps=20, lr=3e-2)
    pairs = zip(model.encoder.buffers(), pretrained.encoder.buffers())
    moved = sum(not torch.equal(after, before) for after, before in pairs)
    print(f"{way.__name__}: {moved} running statistics have changed")
predict.still_changes.compare(moved > 0)

# %% [markdown]
# After the single `eval()` all statistics change (the count of batches is one of them), because `fit` calls
# `model.train()` and thereby undoes it. Your `freeze` keeps them. Here this costs little accuracy. Recorded accuracy is
# {{ result("leaks", "no_gradient_accuracy") | pm(percent=true) }} with moving statistics and
# {{ result("leaks", "frozen_accuracy") | pm(percent=true) }} with fixed ones, which is better
# {{ every_seed("frozen_accuracy > no_gradient_accuracy", "leaks") }}. Under a *distribution shift*, where test images
# differ in kind from training images, the second notebook measures a much larger loss.
#
# Now compare three runs with the baseline. The first freezes the pretrained encoder and trains only the head. The
# second trains everything. The third is the *control*: a frozen encoder with random weights, which trains as few
# parameters as the first run but contains no knowledge. What is the order of the four? **Predict** the
# accuracy of the first run.

# %% tags=["predict"]
predict.frozen_at_5(...)  # a share between 0 and 1

# %% tags=["train"]
check.needs("freeze", "trainable_parameters")
frozen = {"transfer_frozen": pretrained.encoder, "random_frozen": first_weights()}
for name, encoder in frozen.items():
    model = new_classifier(encoder)
    freeze(model.encoder)
    parameters = trainable_parameters(model)
    optimizer = torch.optim.AdamW(parameters, lr=3e-2, weight_decay=0.0)
    accuracy[name] = tune(model, name, optimizer=optimizer)
accuracy["transfer_finetuned"] = tune(new_classifier(pretrained.encoder), "everything")
predict.frozen_at_5.compare(accuracy["transfer_frozen"])
chance = 1 / num_classes
plots.show(plots.bar_with_seeds(accuracy, baseline=chance, title="One seed"))

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
# There are choices between freezing everything and freezing nothing, because you can freeze the lowest block, or the
# lowest two. This *depth* balances two errors. If many blocks are frozen, they keep features that may not fit the new
# classes. If few are frozen, few labels change many weights. **Predict** the best depth for five labels per class. Is
# it the same for fifty?

# %% tags=["predict"]
predict.depth_at_5(...)  # 0, 1, 2 or 3 frozen blocks

# %% tags=["demo"]
lines = {f"{k} labels per class": f"{k}_labels" for k in (5, 20, 50)}
options = {"x_label": "frozen blocks", "dataset": both.name, "title": "How deep?"}
plots.show(plots.recorded_curves(unit, "freezing_depth", lines, **options))
predict.depth_at_5.compare()
Markdown(records.results_table(up_to=unit))

# %% [markdown]
# The lines cross. With five labels per class mean accuracy rises with each frozen block, from
# {{ result("freezing_depth", "5_labels@0") | pm(percent=true) }} to
# {{ result("freezing_depth", "5_labels@3") | pm(percent=true) }}. With fifty it falls as soon as the second block is
# frozen, and a fully frozen encoder is worse than training from scratch
# {{ every_seed("transfer_frozen@50 < scratch@50") }}, which is called *negative transfer*. Few labels cannot correct
# many weights, but many labels can.
#
# So choose the depth on validation images of your own data. On MNIST, with five digits as the source and five labels
# per class, the fully frozen encoder has {{ result("freezing_depth", "5_labels@3", dataset="mnist") | pm(percent=true)
# }}, less than training everything with {{ result("freezing_depth", "5_labels@0", dataset="mnist") | pm(percent=true)
# }}.
#
# In the course's table, the rows of this unit have five classes instead of ten, which is easier. Compare them with each
# other only.
#
# **A natural break.** The second half gives each layer its own learning rate, and puts everything into one loop.

# %% [markdown]
# ## 5. A learning rate for each layer
#
# The new head is random and needs large steps, while pretrained layers need small ones. Lower layers compute general
# features such as edges, and upper layers compute specific ones, so lower layers should change least. Let $\eta$ be the
# rate of the head and $\gamma$ a decay factor below 1. The part $d$ steps below the head learns at
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
# What is it worth? In a short training of forty steps at a constant rate of $0.01$ for the head, recorded accuracy
# with five labels per class is {{ result("by_layer", "hurry_one_rate@5") | pm(percent=true) }} with the same rate
# everywhere. With a rate for each part ($\gamma = 0.3$) it is {{ result("by_layer", "hurry_layer_rates@5") |
# pm(percent=true) }}, a gain {{ every_seed("hurry_layer_rates@5 > hurry_one_rate@5", "by_layer") }}. The rate that
# suits the head is too large for the pretrained blocks.
#
# ## 6. Put together: the recipe
#
# Now write the whole fine-tuning. It has three steps, and each uses one of your functions:
#
# ```
# freeze the chosen blocks --> one optimizer, a rate per part --> train, in every epoch from model.train() on
# ```
#
# The list `frozen` names positions, so any block can be frozen, not only the lowest ones.

# %% [markdown]
# ### Exercise 6.4: fine_tune (hard, 25 minutes)
#
# This is the large exercise of this notebook. What the function must do:
#
# - `model.encoder.blocks` are the blocks from the input upwards, and `model.head` is the head. Other code may have
#   frozen some of them before.
# - No weight and no running statistic of the blocks in `frozen` changes. The list holds positions, counted from 0, and
#   may be empty. All other blocks and the head learn, in train mode.
# - One AdamW (or Adam) without weight decay has the rates of `parameter_groups`. Frozen blocks count in the distance.
# - One loop over `batches` is an epoch. A batch is a pair of images and labels.
# - It returns a list of Python floats, the mean loss *per image* of each epoch.
#
# The check also trains on a small problem with five labels per class, where 90 percent of the test images must be
# right.

# %% nbgrader={"grade_id": "fine_tune", "solution": true}
def fine_tune(model, batches, *, frozen, num_epochs, lr, decay):
    """Trains a pretrained classifier in place, with some of its blocks frozen."""
    ### BEGIN SOLUTION
    blocks = list(model.encoder.blocks)
    for number, block in enumerate(blocks):
        freeze(block, frozen=number in frozen)
    freeze(model.head, frozen=False)
    groups = parameter_groups(blocks, model.head, lr=lr, decay=decay)
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    losses = []
    for _ in range(num_epochs):
        model.train()  # frozen blocks stay in eval mode
        total, count = 0.0, 0
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            count += len(labels)
        losses.append(total / count)
    return losses
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_fine_tune", "grade": true}
check.fine_tune(fine_tune)

# %% [markdown]
# Now use it on the five new classes, with the two lowest blocks frozen. **The number to reach** is what the recorded
# runs of this very call reach, {{ result("recipe", "recipe@5") | pm(percent=true) }}.

# %% tags=["train"]
check.needs("freeze", "trainable_parameters", "parameter_groups", "fine_tune")
model = new_classifier(pretrained.encoder).to(settings.device())
epochs = settings.by_profile(smoke=4, laptop=300, full=1_000)
options = {"num_epochs": epochs, "lr": 1e-2, "decay": 0.3}
losses = fine_tune(model, batches_of(few), frozen=[0, 1], **options)
reached = accuracy_on(model, test)
plots.show(plots.learning_curve(losses, title="Mean loss of each epoch"))
print(f"recipe {reached:.0%}, one small rate {accuracy['transfer_finetuned']:.0%}")

# %% [markdown]
# A single split of the labels can differ from the recorded mean by some points. If your run is far below it, look at
# the optimizer's rates, and at what moved in the frozen blocks. What does each part of the recipe add? With
# `frozen=[]` only the rates are left:
#
# {{ figures_table({"the recipe, two blocks frozen": "recipe", "the recipe, no block frozen": "recipe_open",
# "one small rate, no block frozen": "one_rate"}, (5, 20), "recipe") }}
#
# With five labels per class the rates are ahead of one small rate, with two frozen blocks or with none, both
# {{ every_seed("recipe@5 > one_rate@5, recipe_open@5 > one_rate@5", "recipe") }}. The frozen blocks help on two of the
# three seeds only, so these runs do not show that freezing adds anything. With twenty labels the order is
# reversed {{ every_seed("recipe_open@20 < one_rate@20, recipe@20 < recipe_open@20", "recipe") }}. Also, the one small
# rate falls to zero during its run.

# %% [markdown]
# ## 7. Gradual unfreezing
#
# Howard and Ruder (2018) protect the encoder in another way. They train the head alone at first, then they also
# unfreeze the top block, and then the next one. At stage $s$ the top $s$ blocks are trainable:
#
# ```
# stage 0   [block 1]  [block 2]  [block 3]   head
# stage 1   [block 1]  [block 2]   block 3    head       [ ] frozen
# stage 2   [block 1]   block 2    block 3    head
# ```
#
# By the time a block is unfrozen, the layers above it are no longer random, so its first gradients are useful.
#
# ### Exercise 6.5: gradual_unfreezing (hard, 15 minutes)
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
# Does the method help?
#
# {{ figures_table({"gradual unfreezing": "gradual", "a rate for each part": "layer_rates",
# "one small rate": "one_rate"}, (5, 20), "by_layer") }}
#
# With five labels per class both methods beat one small rate
# {{ every_seed("gradual@5 > one_rate@5, layer_rates@5 > one_rate@5", "by_layer") }}, but the frozen encoder of
# section 3 is as good. With twenty labels, gradual unfreezing is worse than one small rate
# {{ every_seed("gradual@20 < one_rate@20", "by_layer") }}, while a rate for each part is slightly better. The
# comparison has a weakness, because both methods also give the head a ten times larger rate.
#
# ## 8. When it fails: zero gradients, moving weights
#
# In this run the encoder is in eval mode, hooks set its gradients to zero, and AdamW with a weight decay of $0.1$ has
# all parameters. What happens to weights whose gradient is zero? **Predict** how much of their norm they lose.

# %% tags=["predict"]
predict.norm_lost(...)  # a share between 0 and 1

# %% tags=["train"]
check.needs("freeze")
model = new_classifier(pretrained.encoder)
freeze(model.encoder)
for parameter in model.encoder.parameters():
    parameter.requires_grad_(True).register_hook(torch.zeros_like)
wrong = tune(model, "gradients of zero", lr=3e-2, weight_decay=0.1)
norms = [all_weights(network.encoder).norm() for network in (pretrained, model)]
predict.norm_lost.compare(float(1 - norms[1] / norms[0]))
print(f"accuracy {wrong:.0%}, frozen properly {accuracy['transfer_frozen']:.0%}")

# %% [markdown]
# The training loss falls, and there is no warning. But the weights lose
# {{ result("leaks", "zeroed_weights").mean | pct }} of their norm. Momentum, too, keeps a
# weight moving after its gradient has become zero.
#
# Recorded accuracy is {{ result("leaks", "zeroed_accuracy") | pm(percent=true) }} instead of
# {{ result("leaks", "frozen_accuracy") | pm(percent=true) }}, lower
# {{ every_seed("zeroed_accuracy < frozen_accuracy", "leaks") }}.

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
# ## 9. Quiz
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
#
# <details><summary>4. Your loop calls <code>encoder.eval()</code> once, before the first epoch. What is
# wrong?</summary> The next <code>model.train()</code> undoes it, so running statistics move from then on.</details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# - On glyphs it was best to train only the head with five labels per class, and everything from ten labels on. On
#   MNIST, freezing the whole encoder was worse with five labels too.
# - Frozen means no gradients, eval mode that survives `train()`, and not in the optimizer.
# - A rate that suits the head is too large for pretrained blocks, so use smaller rates below.
# - Freezing, rates and the optimizer belong in one recipe. To check it, compare all weights and statistics before and
#   after.
# - Gradients of zero do not freeze: weight decay and momentum need none.

# %% [markdown]
# ## What became of it
#
# Freezing is now the normal case, because models have become so large that most people cannot train all their weights.
# *Adapters* add small trainable layers to a frozen network. *LoRA* (Hu et al. 2021) adds a trainable low-rank matrix to
# frozen weight matrices and is a standard way to fine-tune large language models on one GPU. All these train few new
# parameters instead of selected old ones.
#
# In medical imaging, a pretrained encoder with a new head is a common first baseline, and re-estimating batch
# statistics for a new scanner is a known remedy for shift. Robots often use a frozen vision encoder, and fraud
# detection, where labels are few, a frozen text encoder.

# %% [markdown]
# **Further reading.**
#
# - Yosinski et al. (2014), *How Transferable Are Features in Deep Neural Networks?* They measure general and specific
#   layers, one by one.
# - Howard and Ruder (2018), *Universal Language Model Fine-tuning*. Sections 5 and 7 of this notebook come from it.
# - Lee et al. (2023), *Surgical Fine-Tuning*. They explain which block to tune for which shift.
#
# **Challenge.** Beat gradual unfreezing with five labels per class, which has
# {{ result("by_layer", "gradual@5") | pm(percent=true) }}, in three hundred steps. Use at least three seeds.

# %% [markdown]
# ## Bonus (optional): rates, single blocks, cost
#
# *Depth and rate.* In forty steps at a constant rate,
# damage by the first steps is not repaired later. Move the sliders until you find a depth that works at every rate.

# %% tags=["demo"]
choices = {}
for name, curve in records.curves(unit, "freeze_picker").items():
    labels, rate = name.split("_labels_")
    choices[int(labels), float(rate)] = curve
layers = zip(("block 1", "block 2", "block 3"), ConvEncoder().blocks)
parts = {name: count_parameters(layer) for name, layer in layers} | {"head": 325}
widgets.freeze_picker(choices, parts, start=(5, 0.03, 0), chance=0.2)

# %% [markdown]
# *Which block?* Lee et al. (2023) tune a single block, wherever it is. With five labels per class (each column tunes
# the head too):
#
# {{ figures_table({"new classes": "new_classes_", "faint images, as in fog": "faint_", "inverted images": "inverted_"},
# {"head": "head", "block 1": "block1", "block 2": "block2", "block 3": "block3", "all": "all"}, "which_block",
# head="what changed") }}
#
# Among single blocks, new classes need the last one, inverted images the middle one, and faint images the first one,
# which alone beats tuning everything {{ every_seed("faint_block1 > faint_all", "which_block") }}. This suggests that
# changed pixels are repaired low in the network, and new classes high in it.
#
# *Cost.* Below the lowest trainable layer, nothing has to be stored for the backward pass. Two frozen blocks leave
# {{ result("cost", "seconds@2").mean | pct }} of the time of a step and
# {{ result("cost", "activations@2").mean | pct }} of the stored activations.
