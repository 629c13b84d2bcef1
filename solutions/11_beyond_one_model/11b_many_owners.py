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
# # Many owners: training together on images that stay apart
#
# *Ten hospitals have forty labeled images each and may not share them. Can they train one network together? And if only
# networks are sent, what do these networks give away?*
#
# **You will** write *federated averaging*, which is a split of the images among clients, a client's round, the average
# of networks, and the server's loop. Then you read an image out of a gradient, and write a protection against this.
# **You will measure** federated training beside two controls: one client alone, and all images in one place.
#
# **You need** PyTorch [modules](https://pytorch.org/docs/stable/notes/modules.html), a [training
# loop](https://pytorch.org/tutorials/beginner/basics/optimization_tutorial.html) (unit 00) and [batch
# normalization](https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html). The first notebook of this unit
# is not needed.
#
# **Time**: about 2 to 2.5 hours in two sittings, with a natural break after section 3. About 3 minutes of it are
# computation.

# %% [markdown]
# **Warm-up.** Two questions from earlier notebooks. Answer first, then open.
#
# <details><summary>1. Which numbers of a network does no gradient change?</summary>
# Its buffers, such as the running statistics of batch normalization and the count of batches.</details>
#
# <details><summary>2. What does an encoder learn by predicting the rotation of an image?</summary>
# Features of shapes and of their usual orientation, without any label. Units 04 and 06 begin with such an
# encoder.</details>

# %% tags=["setup"]
import copy

import torch
from torch import nn
from torch.nn import functional as F

from course_lib import evaluation, plots, settings, widgets
from course_lib.data import Batches, as_float, augment, load, split_labels
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import Classifier, ConvEncoder
from course_lib.training import fit

# %% tags=["setup"]
check = checks_for("11_beyond_one_model")
predict = predictions_for("11b_many_owners")
data = load(n=settings.by_profile(smoke=800, laptop=8_000, full=8_000))
test = load(split="test", n=settings.by_profile(smoke=200, laptop=1_000, full=2_000))
device, num_classes = settings.device(), len(data.class_names)
channels, seeded = data.images.shape[1], torch.Generator().manual_seed
per_class = settings.by_profile(smoke=10, laptop=40, full=40)
split = split_labels(data.labels, per_class=per_class, generator=seeded(0))
few = data.subset(split.labeled)
few_images, few_labels = as_float(few.images).to(device), few.labels.to(device)
rounds = settings.by_profile(smoke=2, laptop=10, full=20)
per_round = {"steps": settings.by_profile(smoke=1, laptop=8, full=8), "lr": 0.02}

print(f"{data.name}: {len(few)} images with a label, {len(data):,} for pretraining")

# %% [markdown]
# ## 1. Images that stay with their owners
#
# A *client* owns a few labeled images, and a *server* coordinates the training but sees no image. There are as many
# clients as classes, with forty labels each on average. In addition there are public images without labels. We use them
# first, and pretrain an encoder by rotation (unit 04).

# %% tags=["train"]
turn_steps = settings.by_profile(smoke=4, laptop=600, full=2_400)


def which_turn(model, images):
    turned = torch.cat([torch.rot90(images, k, dims=(2, 3)) for k in range(4)])
    turns = torch.arange(4, device=device).repeat_interleave(len(images))
    return F.cross_entropy(model(turned), turns)


encoder = ConvEncoder(channels, generator=seeded(0))
options = {"batch_size": 32, "shuffle": True, "augment": augment.random_shift}
unlabeled = Batches(data.images, **options)
curve = plots.live_curve(turn_steps, title="Rotation, without labels")
options = {"steps": turn_steps, "lr": 3e-3, "label": "rotation", "on_step": curve}
fit(Classifier(encoder, 4, generator=seeded(0)), unlabeled, which_turn, **options)


def new_network():
    own = copy.deepcopy(encoder)
    return Classifier(own, num_classes, generator=seeded(1)).to(device)


def accuracy_of(state):
    network = new_network()
    network.load_state_dict(state)
    return evaluation.accuracy_on(network, test)


# %% [markdown]
# How are the labeled images divided? In the *even split* every client has all classes, as if the images had been
# shuffled. The usual term is *IID*, for independent and identically distributed. In practice each hospital has its own
# patients. We take an extreme case, in which each client has images of only two classes.
#
# ### Exercise 11.7: clients_with_few_classes (core, 15 minutes)
#
# There are `num_clients * classes_each` *seats*, and each of the $K$ classes gets equally many of them. The images of a
# class are divided at random among its seats, in parts that differ by at most one image. Which classes meet at a client
# is up to you, but they must be different ones.
#
# Shapes: `labels` is `(N,)`. You return a list of `num_clients` tensors with positions, and each position of `labels`
# is in exactly one of them.

# %% nbgrader={"grade_id": "clients_with_few_classes", "solution": true}
def clients_with_few_classes(labels, num_clients, classes_each, *, generator):
    """Divides images among clients that have images of few classes each.

    Args:
        labels: (N,) int64; the classes are its different values, which may have gaps.
        num_clients: how many clients there are.
        classes_each: how many classes each client has, at most K. num_clients *
            classes_each is a multiple of K.
        generator: a torch.Generator; decides which images of a class go together.

    Returns:
        A list of num_clients int64 tensors: positions in labels, in any order.
    """
    ### BEGIN SOLUTION
    classes = labels.unique()
    seats = num_clients * classes_each // len(classes)  # of each class
    parts = []
    for label in classes:
        own = (labels == label).nonzero().squeeze(1)
        own = own[torch.randperm(len(own), generator=generator)]
        parts.append(own.tensor_split(seats))
    every_seat = range(num_clients * classes_each)
    dealt = [parts[s % len(classes)][s // len(classes)] for s in every_seat]
    firsts = every_seat[::classes_each]
    return [torch.cat(dealt[first : first + classes_each]) for first in firsts]
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_clients_with_few_classes", "grade": true}
check.clients_with_few_classes(clients_with_few_classes)

# %% [markdown]
# Look at the images of some clients, in both splits.

# %% tags=["demo"]
check.needs("clients_with_few_classes")


def owners(classes_each):
    """A list of (images, labels), one pair per client."""
    drawn = {"generator": seeded(0)}
    parts = clients_with_few_classes(few.labels, num_classes, classes_each, **drawn)
    return [(few_images[part], few_labels[part]) for part in parts]


even, two = owners(num_classes), owners(2)
rows = {f"client {k + 1}, even": even[k][0] for k in range(2)}
rows |= {f"client {k + 1}, two classes": two[k][0] for k in range(3)}
rows = {name: own[:: max(len(own) // 10, 1)][:10] for name, own in rows.items()}
plots.show(plots.image_rows(rows, title="What clients own"))

# %% [markdown]
# In the even split a client has a few images of each class. With two classes per client, no client could train a
# classifier for all classes alone.
#
# ## 2. A round
#
# In *federated averaging*, or FedAvg (McMahan et al. 2017), the server sends its network to the clients. Each client
# trains a copy on its own images and sends the copy back. The server averages the copies, and the next round begins.

# %% tags=["demo"]
plots.show(plots.diagram_federated(title="A round of federated averaging"))

# %% [markdown]
# The gradient stays inside each client, and so do images and labels. Only networks and numbers of images are sent.
#
# Client $k$ has $n_k$ images and sends the weights $w_k$. Then the server's new weights are
#
# $$w = \sum_{k} \frac{n_k}{n}\, w_k, \qquad n = \sum_k n_k .$$
#
# Why these shares? If each client takes one step of plain gradient descent on all its images, $w$ is exactly what one
# step on all images together gives. With many local steps this is only an approximation, but it needs far fewer rounds.
#
# A network also has buffers. Running statistics have decimals and are averaged in the same way. A whole number, such as
# `num_batches_tracked`, cannot be averaged.
#
# ### Exercise 11.8: federated_average (core, 12 minutes)
#
# Average everything with decimals, and take over whole numbers and masks from the first client. Each value of a state
# is a tensor of any shape.

# %% nbgrader={"grade_id": "federated_average", "solution": true}
def federated_average(states, counts):
    """The average of the clients' networks, weighted by their numbers of images.

    Args:
        states: a list of dicts, name -> tensor, as `state_dict` gives them. All have
            the same names, shapes and dtypes; they stay as they are.
        counts: a list of whole numbers, the images of each client; one of them may be
            0, but not all.

    Returns:
        A new dict with the same names. Floating-point tensors are averaged and keep
        their dtype, all others are copies of the first client's.
    """
    ### BEGIN SOLUTION
    total = sum(counts)
    average = {}
    for name, first in states[0].items():
        average[name] = first.clone()
        if first.is_floating_point():
            pairs = zip(counts, states)
            average[name] = sum(n / total * state[name] for n, state in pairs)
    return average
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_federated_average", "grade": true}
check.federated_average(federated_average)

# %% [markdown]
# ### Exercise 11.9: client_update (core, 15 minutes)
#
# The client trains a copy of the server's network. Its optimizer is its own and new in each round, because the network
# is new too. With so few images each step can use all of them. The loss is the mean cross-entropy.
#
# The modes stay as they are. In train mode running statistics move, in eval mode they do not, and this is the server's
# decision.

# %% nbgrader={"grade_id": "client_update", "solution": true}
def client_update(model, images, labels, *, steps, lr):
    """A client's part of a round: local steps on a copy of the server's network.

    Args:
        model: the server's network, (N, C, H, W) -> logits (N, K); it stays as it is.
        images: (N, C, H, W) float, all images of the client.
        labels: (N,) int64, their classes.
        steps: how many steps of SGD with momentum 0.9, each on all images.
        lr: the learning rate.

    Returns:
        (state, count): the state_dict of the trained copy, and N as a whole number.
    """
    ### BEGIN SOLUTION
    own = copy.deepcopy(model)
    optimizer = torch.optim.SGD(own.parameters(), lr=lr, momentum=0.9)
    for _ in range(steps):
        loss = F.cross_entropy(own(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return own.state_dict(), len(images)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_client_update", "grade": true}
check.client_update(client_update)

# %% [markdown]
# This function also gives the two controls, with as many steps as all rounds together have. One client trains alone,
# and one owner has all images in one place (*pooled*). `look` is for later: it measures the server's network at the
# start of a round, each client's, and their average.

# %% tags=["train"]
check.needs("clients_with_few_classes", "client_update", "federated_average")


def look(model, clients):
    sent = [client_update(model, *owned, **per_round) for owned in clients]
    states, counts = zip(*sent)
    seen = {"start": evaluation.accuracy_on(model, test)}
    seen["average"] = accuracy_of(federated_average(states, counts))
    return seen | {"clients": [accuracy_of(state) for state in states]}


found = {}
for name, owned in {"alone": even[0], "pooled": (few_images, few_labels)}.items():
    options = per_round | {"steps": rounds * per_round["steps"]}
    state, count = client_update(new_network(), *owned, **options)
    found[name] = accuracy_of(state)
    print(f"{name}: {count} images, accuracy {found[name]:.0%}")

# %% [markdown]
# Federated training should come close to the pooled network. If it is not better than a client alone, there is no
# reason to join. **Predict** the accuracy of federated averaging after ten rounds in the even split, and with two
# classes per client.

# %% tags=["predict"]
predict.even_split(...)  # a share between 0 and 1
predict.two_classes(...)  # a share between 0 and 1

# %% [markdown]
# ## 3. The server's loop
#
# Two things are missing. Not every client has time in every round, so `draw()` returns the numbers of the clients that
# take part in the next one. And some tensors may stay with their clients. `local` has their names, and section 5 uses
# it. A client that has such tensors gets the server's network with its own local tensors put in, and keeps them when
# its round is over.
#
# ### Exercise 11.10: federated_training (hard, 25 minutes)
#
# Use your `client_update` and `federated_average`. All clients of a round begin with the same weights of the server,
# apart from their local tensors. Before its first round a client's local tensors are those of `model` as it came. The
# local tensors of `model` itself never change.

# %% nbgrader={"grade_id": "federated_training", "solution": true}
def federated_training(model, clients, *, draw, rounds, steps, lr, local=()):
    """Federated averaging; the server's network, model, is trained in place.

    clients: a list of (images, labels), one pair per client.
    draw: a function without arguments, called once per round; gives a list of the
        numbers of the clients that take part in this round.
    steps, lr: for client_update.
    local: names in the state_dict that stay with each client.
    Returns a list of dicts, one per client, name -> tensor, for the names in local:
        what the client keeps after its last round.
    """
    ### BEGIN SOLUTION
    kept = [{name: model.state_dict()[name].clone() for name in local} for _ in clients]
    own = copy.deepcopy(model)
    for _ in range(rounds):
        states, counts = [], []
        for k in draw():
            own.load_state_dict(model.state_dict() | kept[k])
            state, count = client_update(own, *clients[k], steps=steps, lr=lr)
            kept[k] = {name: state[name] for name in local}
            states, counts = [*states, state], [*counts, count]
        average, mine = federated_average(states, counts), model.state_dict()
        model.load_state_dict(average | {name: mine[name] for name in local})
    return kept
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_federated_training", "grade": true}
check.federated_training(federated_training)

# %% [markdown]
# Train with both splits, with all clients in each round. The bars of the figure show the server's network beside one
# client alone and all images in one place. Then move through the rounds. There each bar is a client's network after its
# local steps, and the lines are the server before and after the round.

# %% tags=["train"]
check.needs("clients_with_few_classes", "federated_average")
check.needs("client_update", "federated_training")
runs, everyone = {}, list(range(num_classes))
for name, clients in {"even split": even, "two classes per client": two}.items():
    server, runs[name] = new_network(), {}
    for number in range(1, rounds + 1):
        if number in (1, 2, 5, rounds):
            runs[name][number] = look(server, clients)
        options = {"draw": lambda: everyone, "rounds": 1, **per_round}
        federated_training(server, clients, **options)
    found[name] = evaluation.accuracy_on(server, test)
plots.show(plots.bar_with_seeds(found, styled_as="rotation", title="One seed"))
predict.even_split.compare(found["even split"])
predict.two_classes.compare(found["two classes per client"])
widgets.round_explorer(runs, title="What each client knows, and what the average knows")

# %% [markdown]
# With two classes per client, a client's network after its steps is much worse than the one that it was given, because
# it forgets the classes that it does not see. This is called *client drift*. The average of all these networks is
# better than each of them.
#
# *This is a good place for a break.*
#
# ## 4. What is pretraining worth here?
#
# The *recorded* runs also have ten rounds, on three seeds with other images, splits and first weights. In this notebook
# "recorded" always means the mean ± standard deviation over these seeds, from the files in `results/`. The learning
# rate is chosen per seed and row, among two values, on validation images.

# %% tags=["demo"]
unit = "11_beyond_one_model"
order = ["rotation_iid", "rotation_two", "scratch_iid", "scratch_two"]
on = {"dataset": data.name, "x_label": "round", "title": "Federated averaging"}
plots.show(plots.recorded_curves(unit, "rounds", order, **on))

# %% [markdown]
# {{ figures_table({"even split, rotation": "rotation_iid", "even split, from scratch": "scratch_iid", "two classes per
# client, rotation": "rotation_two", "two classes per client, from scratch": "scratch_two"}, (1, 2, 5, 10), "rounds",
# head="recorded, round") }}
#
# | recorded controls, as many steps | rotation | from scratch |
# |---|---:|---:|
# | one client alone | {{ result("rounds", "rotation_alone") | pm(percent=true) }} | {{
# result("rounds", "scratch_alone") | pm(percent=true) }} |
# | pooled | {{ result("rounds", "rotation_pooled") | pm(percent=true) }} | {{
# result("rounds", "scratch_pooled") | pm(percent=true) }} |
#
# Pretraining helps with both splits, {{ every_seed("rotation_iid@10 > scratch_iid@10, rotation_two@10 >
# scratch_two@10", "rounds") }}. In the even split, federated training after rotation is far better than a client alone,
# {{ every_seed("rotation_iid@10 > rotation_alone", "rounds") }}, and comes close to the pooled network, which is better
# {{ every_seed("rotation_pooled > rotation_iid@10", "rounds") }}.
#
# With two classes per client it is much worse than in the even split, {{ every_seed("rotation_iid@10 >
# rotation_two@10", "rounds") }}. It is still far above what a client with two of ten classes could reach alone, which
# is two tenths at most.

# %% [markdown]
# How much a round can do depends on the learning rate.
#
# {{ figures_table({"even split, rotation": "rotation_iid", "two classes per client, rotation": "rotation_two", "even
# split, from scratch": "scratch_iid", "two classes per client, from scratch": "scratch_two"}, {"0.02": "@0.02", "0.05":
# "@0.05"}, "learning_rate", head="recorded, learning rate") }}
#
# After rotation the higher rate is better in the even split and worse with two classes per client, {{
# every_seed("rotation_iid@0.05 > rotation_iid@0.02, rotation_two@0.02 > rotation_two@0.05", "learning_rate") }}. Longer
# steps move all clients further, and with two classes per client they move apart.
#
# In each round the whole network travels to every client and back. Can there be fewer rounds with more steps each? The
# columns have equally many steps in all.
#
# {{ figures_table({"even split": "iid", "two classes per client": "two"}, {"10 rounds of 8 steps": "@8", "2 rounds of
# 40 steps": "@40"}, "local_steps", head="recorded, after rotation") }}
#
# Fewer rounds are worse, {{ every_seed("iid@8 > iid@40, two@8 > two@40", "local_steps") }}. So accuracy is
# paid for with communication.

# %% [markdown]
# ## 5. Whose batch normalization?
#
# What should the server do with a client's normalization?
#
# - *averaged*: like everything else, as above.
# - *local*: each client keeps its own, by the names in `local`. This is *FedBN* (Li et al. 2021), made for images that
#   look different, such as scans of two devices.
# - *frozen*: all networks stay in eval mode (section 7).
#
# {{ figures_table({"averaged": "two_averaged", "local (FedBN)": "two_local"}, {"own two classes": "_own", "all
# classes":
# "_all"}, "batch_norm", head="recorded, two classes per client") }}
#
# Local normalization is better on a client's own classes, {{ every_seed("two_local_own > two_averaged_own",
# "batch_norm") }}, and worse on all, {{ every_seed("two_averaged_all > two_local_all", "batch_norm") }}.
#
# And where images look different? Now half of the clients have filled glyphs, the others outlined ones.
#
# {{ figures_table({"averaged": "averaged", "local (FedBN)": "local"}, {"filled": "_filled", "outlined": "_outlined"},
# "styles", head="recorded, two styles") }}
#
# Here local normalization is worse on both styles, {{ every_seed("averaged_filled > local_filled, averaged_outlined >
# local_outlined", "styles") }}. The paper reports the opposite, with far more images per client.

# %% [markdown]
# ## 6. What a network gives away
#
# Images never left their clients. Does this mean that they are secret? Consider a client whose network begins with a
# linear layer on the pixels, $a = Wx + b$. For one image, the chain rule gives for each output $h$
#
# $$\frac{\partial L}{\partial W_h} = \frac{\partial L}{\partial a_h}\, x, \qquad
# \frac{\partial L}{\partial b_h} = \frac{\partial L}{\partial a_h} .$$
#
# So each row of the first gradient is the image, times a number, and the second gradient is this number. The quotient
# is the image itself. For other networks an attacker searches an image whose gradient matches the one that was sent
# (Zhu et al. 2019).
#
# ### Exercise 11.11: image_from_gradient (core, 10 minutes)
#
# Some rows are zero, because a unit behind a ReLU may be inactive. At least one row is not. Shapes: `(H, D)` and `(H,)`
# go in, `(D,)` comes out.

# %% nbgrader={"grade_id": "image_from_gradient", "solution": true}
def image_from_gradient(weight_grad, bias_grad):
    """The image that the gradient of a linear layer gives away.

    Args:
        weight_grad: (H, D) float, the gradient of the loss of ONE image with respect to
            the weight of a layer on its D pixels.
        bias_grad: (H,) float, the gradient with respect to the bias of this layer. Some
            of its entries may be 0, but not all; they may sum to 0.

    Returns:
        (D,) float: the pixels.
    """
    ### BEGIN SOLUTION
    row = bias_grad.abs().argmax()
    return weight_grad[row] / bias_grad[row]
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_image_from_gradient", "grade": true}
check.image_from_gradient(image_from_gradient)

# %% [markdown]
# A client does not send a gradient but a network, after several steps. The difference to the server's network is a sum
# of gradients, and each of them has the same image as a factor. So the same quotient works. Try it on clients with one,
# two and eight images.

# %% tags=["demo"]
check.needs("client_update", "image_from_gradient")
torch.manual_seed(0)
layers = [nn.Flatten(), nn.Linear(few_images[0].numel(), 64), nn.ReLU()]
small = nn.Sequential(*layers, nn.Linear(64, num_classes)).to(device)


def update_of(count, first=0):
    """What a client with these images sends, less what it was sent."""
    own = slice(first, first + count)
    owned = few_images[own], few_labels[own]
    state, _ = client_update(small, *owned, **per_round)
    return {name: state[name] - value for name, value in small.state_dict().items()}


def image_in(update):
    pixels = image_from_gradient(update["1.weight"], update["1.bias"])
    return pixels.reshape(few_images[0].shape).clamp(0, 1)


firsts = [k * per_class for k in range(min(6, num_classes))]
rows = {"its first image": few_images[firsts]}
for count in (1, 2, 8) if per_class >= 8 else (1, 2):
    read = [image_in(update_of(count, first)) for first in firsts]
    rows[f"read, {count} in all"] = torch.stack(read)
plots.show(plots.image_rows(rows, title="Images read out of what clients send"))

# %% [markdown]
# With one image the result is the image, pixel by pixel, although the client took eight steps.
#
# | recorded: correlation of the result with | the nearest image of the client | the nearest of as many others |
# |---|---:|---:|
# | 1 image | {{ result("leak", "images@1") | pm(2) }} | {{ result("leak", "others@1") | pm(2) }} |
# | 2 images | {{ result("leak", "images@2") | pm(2) }} | {{ result("leak", "others@2") | pm(2) }} |
# | 8 images | {{ result("leak", "images@8") | pm(2) }} | {{ result("leak", "others@8") | pm(2) }} |
#
# With more images the result is a mixture. It is still more similar to the client's own images than to others, {{
# every_seed("images@2 > others@2, images@8 > others@8", "leak") }}. A hospital with a single patient of a kind is
# therefore the worst case.

# %% [markdown]
# What can a client do? In *DP-FedAvg* (McMahan et al. 2018) an update $\Delta$, the difference of all weights, is
# clipped to a maximal length $C$, and noise hides what is left:
#
# $$\tilde\Delta = \Delta \cdot \min\Big(1, \frac{C}{\lVert \Delta \rVert}\Big) + z\, C\, \varepsilon, \qquad
# \varepsilon \sim \mathcal{N}(0, I)$$
#
# The norm is taken over all tensors together, and $\varepsilon$ has an independent number for each weight. Clipping
# bounds what one client can change. Therefore the same noise hides any update. In the paper the server adds the noise,
# to the average. Here each client adds it, so that the server cannot see the clipped update either.
#
# ### Exercise 11.12: clip_and_noise (core, 12 minutes)
#
# Shapes: a dict of tensors of any shape goes in, a new one with the same shapes comes out.

# %% nbgrader={"grade_id": "clip_and_noise", "solution": true}
def clip_and_noise(update, max_norm, noise, *, generator):
    """What a client sends instead of its update: shortened, and hidden in noise.

    Args:
        update: a dict, name -> float tensor on the CPU; it stays as it is, and all of
            its numbers may be 0.
        max_norm: C, above 0. One norm over all tensors together is clipped to it.
        noise: z, 0 or more; the standard deviation of the noise is noise * max_norm.
        generator: a torch.Generator on the CPU, for the noise.

    Returns:
        A new dict with the same names, shapes and dtypes.
    """
    ### BEGIN SOLUTION
    norm = sum(value.pow(2).sum().item() for value in update.values()) ** 0.5
    factor = min(1.0, max_norm / max(norm, 1e-12))
    sent = {}
    for name, value in update.items():
        drawn = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        sent[name] = factor * value + noise * max_norm * drawn
    return sent
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_clip_and_noise", "grade": true}
check.clip_and_noise(clip_and_noise)

# %% [markdown]
# Protect clients with one image, and read again.

# %% tags=["demo"]
check.needs("client_update", "image_from_gradient", "clip_and_noise")
rows = {"its image": few_images[firsts]}
for noise in (0.0, 0.003, 0.01, 0.03):
    updates = [update_of(1, first) for first in firsts]
    updates = [{name: value.cpu() for name, value in u.items()} for u in updates]
    drawn = seeded(0)
    sent = [clip_and_noise(u, 0.5, noise, generator=drawn) for u in updates]
    rows[f"noise {noise:g}"] = torch.stack([image_in(u) for u in sent])
plots.show(plots.image_rows(rows, title="What noise hides"))

# %% [markdown]
# | recorded, clipped to $C = 0.5$ | correlation with the image | accuracy of federated training |
# |---|---:|---:|
# | no noise | {{ result("leak", "noise@0") | pm(2) }} | {{ result("privacy", "noise@0") | pm(percent=true) }} |
# | $z = 0.01$ | {{ result("leak", "noise@0.01") | pm(2) }} | {{ result("privacy", "noise@0.01") | pm(percent=true) }} |
# | $z = 0.03$ | {{ result("leak", "noise@0.03") | pm(2) }} | {{ result("privacy", "noise@0.03") | pm(percent=true) }} |
# | $z = 0.1$ | {{ result("leak", "noise@0.1") | pm(2) }} | {{ result("privacy", "noise@0.1") | pm(percent=true) }} |
#
# Clipping alone hides nothing, because the factor cancels in the quotient. The recorded attack averages noise over all
# rows. Still, $z = 0.03$ leaves little of the image, {{ every_seed("noise@0 > noise@0.01, noise@0.01 > noise@0.03",
# "leak") }}. The last column is the price for ten clients in the even split, who reach {{ result("privacy",
# "unclipped") | pm(percent=true) }} without all this. More noise costs more, {{ every_seed("noise@0 > noise@0.01,
# noise@0.01 > noise@0.03, noise@0.03 > noise@0.1", "privacy") }}. A guarantee (*differential privacy*) needs far more
# noise per client, or many more clients.
#
# ## 7. When it fails: frozen statistics, two classes
#
# Frozen batch normalization looks attractive, because two classes cannot skew it. Use your loop in eval mode.

# %% tags=["train"]
check.needs("clients_with_few_classes", "federated_average")
check.needs("client_update", "federated_training")
failing = {}
for name, clients in {"even split": even, "two classes per client": two}.items():
    server = new_network().eval()
    options = per_round | {"rounds": rounds, "draw": lambda: everyone}
    federated_training(server, clients, **options)
    logits = evaluation.predict(server, as_float(test.images))
    failing[name] = evaluation.predicted_shares(logits)
    accuracy = evaluation.accuracy(logits, test.labels)
    print(f"{name}, frozen: {accuracy:.0%}, averaged: {found[name]:.0%}")
title = "Share of test images predicted as each class, frozen"
plots.show(plots.score_table(failing, data.class_names, title=title))

# %% [markdown]
# The recorded accuracy with two classes per client is {{ result("batch_norm", "two_frozen_all") | pm(percent=true) }},
# and
# with a quarter of the learning rate {{ result("batch_norm", "two_frozen_slow_all") | pm(percent=true) }}. Both are
# worse than averaging, {{ every_seed("two_averaged_all > two_frozen_all, two_averaged_all > two_frozen_slow_all",
# "batch_norm") }}. This suggests that without the statistics of its batches a client can shift all features towards its
# two classes, and such networks cannot be averaged.

# %% [markdown] nbgrader={"grade_id": "ten_hospitals", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** Ten hospitals train a classifier for X-rays by federated averaging. Their report says:
# "No image ever leaves a hospital, so the training is private. We clip each update, which protects patients in
# addition. Each hospital joins every round with all of its images, and one of them has a single patient with a rare
# disease." In four to six sentences, (a) explain why the first sentence of the report does not follow, (b) say what
# clipping does here and what it does not do, and (c) propose two measures, and name for each what it costs.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* What leaves the hospital is a network, and its difference to the network that was sent is a sum
# of gradients of the hospital's images. For one image and a linear first layer the image can be computed from it, and
# for other networks it can be searched for, so "no image leaves" does not mean that nothing about it leaves. Clipping
# bounds how far one hospital can move the average, but it multiplies the update by one number: the direction, and with
# it the quotient that gives the image, stays the same. They could add noise to each clipped update, which costs
# accuracy, and the more the fewer hospitals there are. They could also add up the updates with secure aggregation, so
# that the server sees the sum alone, which costs communication and does not help where one hospital is the only one
# with a disease.
#
# *Sample answer (2).* Gradients can give images away, so the training is not private. Clipping makes updates shorter
# but hides nothing. They should add noise.
#
# *Sample answer (1).* The server could be hacked; they should encrypt the connection.
#
# *Rubric.* One point each. (a) The update is a function of the images (gradients), and an image can be computed from
# it. (b) Clipping bounds the influence of a client AND does not hide the direction. (c) Two measures with their costs,
# such as noise, secure aggregation, fewer rounds, or leaving the single patient out. Encryption of the connection alone
# earns no point.
# ### END SOLUTION

# %% [markdown]
# ## 8. Quiz
#
# Ungraded. Answer first, then open. Your predictions are summed up below.
#
# <details><summary>1. Why are the clients' networks weighted by their numbers of images?</summary>
# After one step of plain gradient descent the average is then the step on all images together.</details>
#
# <details><summary>2. Your server's network is at chance, but every client's network is fine. What may be
# missing?</summary>
# The running statistics in the average. The server then normalizes by its old ones.</details>
#
# <details><summary>3. Why does a client make a new optimizer in each round?</summary>
# Its momentum belongs to the network of the round before, and the server has sent another one.</details>
#
# <details><summary>4. A client sends the network after eight steps instead of a gradient. Is its only image
# safe?</summary> No. The difference is a sum of gradients, and the image is a factor of each.</details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# Can clients train one network together, and what do they give away?
#
# - Yes. In the even split, ten rounds after rotation came close to training on all images in one place, and were far
#   better than a client alone. With two classes per client they lost much of this.
# - Pretraining on public images without labels helped with both splits.
# - The server averages parameters and running statistics, weighted by numbers of images. Each client has an optimizer
#   of its own, new in each round.
# - Clients with few classes pull the network apart during their local steps, which is called client drift.
# - An update of one image gives this image away. Clipping alone hides nothing. Noise hides the image and costs
#   accuracy.

# %% [markdown]
# ## What became of it
#
# Phones train next-word models for their keyboards by federated averaging, with noise as above and thousands of phones
# per round. Then each phone can add a small part of the noise. With ten clients, as here, a formal guarantee would need
# far more noise than this training survives.
#
# In medicine, hospitals have trained networks for tumors and for X-rays together, because laws forbid to pool the
# images. In finance, banks do it to detect fraud. *Secure aggregation* lets the server see only the sum of all updates.
#
# Large models change what is sent. Clients fine-tune adapters, such as those of the first notebook of this unit, so a
# round costs megabytes instead of gigabytes. The question of this notebook stays the same for language models, since
# their gradients give away texts as well.

# %% [markdown]
# **Further reading.**
#
# - McMahan et al. (2017), *Communication-efficient learning of deep networks from decentralized data*, for federated
#   averaging and its experiments with clients of two classes.
# - Zhu, Liu and Han (2019), *Deep leakage from gradients*, for images and texts read out of gradients.
# - McMahan et al. (2018), *Learning differentially private recurrent language models*, for clipping, noise and what
#   they guarantee.
#
# **Challenge.** Beat {{ result("rounds", "rotation_two@10") | pm(percent=true) }} with two classes per client, in at
# most ten rounds of eight local steps, on three seeds. The server may also change what it does with the average,
# such as momentum of its own.
#
# **Bonus.** (1) Draw three clients per round. How many rounds more do you need? (2) Keep the classifier of each client
# local instead of its batch normalization.
