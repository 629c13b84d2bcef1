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
# # Pseudo-labels, part 1: self-training
#
# *A network that knows a little labels thousands of images itself, and learns from its own answers. With a threshold,
# ten labels per class become worth more than twenty; without one it can teach itself nonsense, round after round.*
#
# **You will** make pseudo-labels, choose the confident ones, measure whether confidence can be trusted, write a round
# of self-training, and repair a published loop with six faults. **You will measure** what it gains at every number of
# labels, and watch it fail.
#
# **You need** PyTorch modules and a training loop (unit 00).
# **Time**: 90 minutes of reading and writing, of which 4 minutes of computing.

# %% tags=["setup"]
import copy

import torch
from torch.nn import functional as F

from course_lib import evaluation, plots, records, settings, widgets
from course_lib.data import Batches, as_float, augment, few_label_split, load
from course_lib.exercises import checks_for
from course_lib.models import Classifier, ConvEncoder
from course_lib.training import fit

# %% tags=["setup"]
unit = "07_pseudo_labels"
check = checks_for(unit)
data = load(n=settings.by_profile(smoke=800, laptop=8_000, full=8_000))
test = load(split="test", n=settings.by_profile(smoke=300, laptop=2_000, full=2_000))
device, num_classes = settings.device(), len(data.class_names)
images = as_float(data.images).to(device)  # (N, C, H, W) in [0, 1]
split = few_label_split(
    data.labels, per_class=10, generator=torch.Generator().manual_seed(0)
)
few_images, few_labels = images[split.labeled], data.labels[split.labeled].to(device)
# hidden: for measuring alone
pool, hidden = images[split.unlabeled], data.labels[split.unlabeled]
print(f"{data.name}: {len(few_images)} images with a label, {len(pool):,} without")

# %% [markdown]
# ## 1. Ten labels per class
#
# The baseline is the course's small encoder, trained on ten labeled images per class. **Predict**: of the thousands of
# images without a label, how many does it name rightly?

# %% tags=["train"]
start = Classifier(
    ConvEncoder(data.images.shape[1], generator=torch.Generator().manual_seed(0)),
    num_classes,
    generator=torch.Generator().manual_seed(0),
).to(device)  # the first weights: they stay as they are


def train(network, images, labels, *, steps=300, title="training"):
    generator = torch.Generator().manual_seed(0)
    options = {
        "batch_size": min(64, len(images)), "shuffle": True, "generator": generator
    }
    batches = Batches(images, labels, augment=augment.random_shift, **options)
    steps = settings.by_profile(smoke=2, laptop=steps, full=4 * steps)
    fit(network, batches, steps=steps, lr=3e-3, label=title)


def test_accuracy(network):
    return evaluation.evaluate(network, test.images, test.labels)["accuracy"]


model = copy.deepcopy(start)
train(model, few_images, few_labels, title="labels alone")
print(f"test accuracy with ten labels per class: {test_accuracy(model):.0%}")

# %% [markdown]
# Recorded over {{ result("label_curve", "scratch@10").n }} seeds: {{ result("label_curve", "scratch@10") |
# pm(percent=true) }}. So most of its answers on unlabeled images are right too. Could they serve as labels?
#
# ## 2. Asking the network
#
# A *pseudo-label* is the class that the network itself finds most probable, and its *confidence* is that probability:
#
# $$p(x) = \mathrm{softmax}(f(x)), \qquad \hat y = \arg\max_k p_k(x), \qquad c = \max_k p_k(x)$$
#
# ### Exercise 7.1: pseudo_label (10 minutes)
#
# At rest, without gradients, and every image keeps its place. Ask in batches of a few hundred, or memory runs short:
# the check asks about thousands. Some parts may be at rest already (a frozen one is); they stay so.
#
# Shapes: `images` `(N, C, H, W)`, logits `(N, K)`, labels and confidences `(N,)`.

# %% nbgrader={"grade_id": "pseudo_label", "solution": true}
def pseudo_label(model, images):
    """The class that the network predicts for each image in eval mode, and with which probability.

    Args:
        model: maps (n, C, H, W) to logits (n, K). It sees a few hundred images at a
            time, with gradients switched off. Afterwards it is as it was: **each
            module** in the mode that it had.
        images: (N, C, H, W) float tensor on the model's device.

    Returns:
        labels: (N,) int64, the most probable class of image i at position i.
        confidences: (N,) float, the probability of that class, without gradient.
    """
    ### BEGIN SOLUTION
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(batch) for batch in images.split(500)])  # (N, K)
    for module, was_training in modes:
        module.training = was_training
    confidences, labels = logits.softmax(dim=1).max(dim=1)  # (N,), (N,)
    return labels, confidences
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_pseudo_label", "grade": true}
check.pseudo_label(pseudo_label)

# %% [markdown]
# Here are unlabeled images from the surest to the least sure. **Predict**: where do the wrong labels stand?

# %% tags=["demo"]
check.needs("pseudo_label")
guessed, confidences = pseudo_label(model, pool)
ranked = confidences.argsort(descending=True)[:: max(1, len(pool) // 15)][:16]
captions = [
    f"{data.class_names[guessed[i]]}\n{confidences[i]:.0%}{'' if guessed[i] == hidden[i] else ' (wrong)'}"
    for i in ranked.tolist()
]
plots.show(plots.image_grid(
    pool[ranked], captions=captions, columns=8, title="From sure to unsure"
))

# %% [markdown]
# Among the surest images hardly a label is wrong. That is the whole idea: believe the network where it is sure, and
# leave the rest alone (Lee 2013; Yarowsky 1995 for text).
#
# ### Exercise 7.2: select_confident (12 minutes)
#
# Keep the images with $c \ge \tau$. With `per_class`, keep at most so many of each pseudo-label, the most confident
# ones: otherwise the classes that the network likes fill the next training set.

# %% nbgrader={"grade_id": "select_confident", "solution": true}
def select_confident(labels, confidences, tau, *, per_class=None):
    """Which pseudo-labels to believe.

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
# A high threshold lets few images through (*coverage*), most of them with the right label (*precision*). Move it.
# Which classes come in first, and which hardly ever?

# %% tags=["demo"]
check.needs("pseudo_label", "select_confident")
widgets.pseudo_label_slider(
    guessed, confidences, hidden, class_names=data.class_names, title="What the threshold lets through"
)

# %% [markdown]
# | recorded at $\tau = 0.9$ | images that pass | of these labeled right |
# |---|---:|---:|
# | ten labels per class | {{ result("threshold", "coverage_10@0.9").mean | pct }} | {{
# result("threshold", "precision_10@0.9").mean | pct }} |
# | five labels per class | {{ result("threshold", "coverage_5@0.9").mean | pct }} | {{
# result("threshold", "precision_5@0.9").mean | pct }} |
#
# ## 3. Can a confidence be trusted?
#
# A network is *calibrated* when of all images that it is 90 percent sure of, 90 percent are right. Sort $N$ images
# into $M$ bins $B_m$ by confidence, bin $m$ from $(m-1)/M$ to $m/M$, upper edge included. The *expected calibration
# error* (Guo et al. 2017) is
#
# $$\mathrm{ECE} = \sum_{m=1}^{M} \frac{|B_m|}{N} \left|\, \mathrm{acc}(B_m) - \mathrm{conf}(B_m) \,\right|$$
#
# where acc is the share of right answers in a bin, and conf the mean confidence.
#
# ### Exercise 7.3: expected_calibration_error (15 minutes)

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
# Validation images have labels, so their error can be measured honestly; the unlabeled ones we may only look at here,
# because we know them. **Predict**: is the network too bold or too modest?

# %% tags=["demo"]
check.needs("expected_calibration_error")
groups = {}
for name, positions in (
    ("validation", split.validation), ("unlabeled", split.unlabeled)
):
    logits = evaluation.predict(model, data.images[positions])
    truth = data.labels[positions]
    print(f"{name:10} {len(truth):5} images, error {expected_calibration_error(logits, truth):.3f}")
    sure, predicted = logits.softmax(dim=1).max(dim=1)
    groups[name] = sure, predicted == truth
plots.show(plots.reliability_diagram(
    groups, title="Sure, and right? (bars: right answers; hatched: the gap)"
))

# %% [markdown]
# | recorded, unlabeled images | calibration error | right where the confidence is above 90 percent |
# |---|---:|---:|
# | ten labels per class | {{ result("threshold", "error_10") | pm }} | {{
# result("threshold", "precision_10@0.9").mean | pct }} |
# | five labels per class | {{ result("threshold", "error_5") | pm }} | {{
# result("threshold", "precision_5@0.9").mean | pct }} |
#
# The errors go in opposite directions, so one threshold makes two promises.
#
# ## 4. A round of self-training
#
# Label, choose, join, train. Two rules keep it honest: labeled images keep their own labels, and pseudo-labels are
# made anew each round. One choice is open: start each round from the *first weights*, or go on with those so far?
#
# ### Exercise 7.4: self_training_round (15 minutes)
#
# `train(network, images, labels)` trains a network in place; what it does is not your concern.

# %% nbgrader={"grade_id": "self_training_round", "solution": true}
def self_training_round(
    model, start, images, labels, unlabeled, *, tau, train, restart=True
):
    """Pseudo-labels from `model`, then one training on the labeled and the chosen images.

    Args:
        model: the network so far, which labels; start: the network with the first
            weights. Both stay as they are.
        images, labels: (N, C, H, W) and (N,) int64; unlabeled: (U, C, H, W).
        tau: the threshold; a confidence of exactly tau is sure enough.
        train: a function train(network, images, labels), to be called once, also when
            no image was chosen.
        restart: True: train a copy of start; False: go on with a copy of model.

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
# Three rounds from the first weights; each trains longer, because there is more to learn from. The labeled images are
# given five times, or a thousand pseudo-labels of the easy classes would drown them. **Predict** the accuracy after
# each round.

# %% tags=["train"]
check.needs("pseudo_label", "select_confident", "self_training_round")


def self_train(model, images, labels, unlabeled, *, tau, steps, repeats=5):
    images, labels = images.repeat(repeats, 1, 1, 1), labels.repeat(repeats)
    networks, choices = [model], []
    for number, length in enumerate(steps, start=1):

        def train_round(network, x, y, length=length, number=number):
            train(network, x, y, steps=length, title=f"round {number}")

        model, chosen = self_training_round(
            model, start, images, labels, unlabeled, tau=tau, train=train_round
        )
        networks.append(model)
        choices.append(chosen.cpu())
    return networks, choices


networks, choices = self_train(
    model, few_images, few_labels, pool, tau=0.9, steps=(400, 600, 800)
)
accuracy = {number: [test_accuracy(network)] for number, network in enumerate(networks)}
print("chosen in each round:", ", ".join(f"{len(chosen):,}" for chosen in choices))
plots.show(plots.label_curve(
    {"pseudo_label": accuracy}, x_label="round", title="Ten labels per class, one seed"
))

# %% [markdown]
# The chosen set grows, since a better network is sure of more. Which classes profit?

# %% tags=["demo"]
check.needs("pseudo_label", "select_confident", "self_training_round")
recalls = {}
for name, network in (
    ("labels alone", networks[0]), ("after the last round", networks[-1])
):
    table = evaluation.confusion(
        evaluation.predict(network, test.images), test.labels, num_classes=num_classes
    )
    recalls[name] = (table.diagonal() / table.sum(dim=1).clamp(min=1)).tolist()
plots.show(plots.share_table(
    list(recalls.values()), list(recalls), data.class_names, title="Recall of each class"
))  # fmt: skip

# %% [markdown]
# Most classes gain. One that the network hardly ever names confidently gets few pseudo-labels, and may even lose.
#
# Is the restart needed, and the threshold? The recorded runs have equal steps:

# %% tags=["demo"]
rounds = records.curves(unit, "rounds")
runs = {
    "pseudo_label": rounds["restarted"],
    "pseudo_label_continued": rounds["continued"],
    "pseudo_label_all": rounds["own_argmax"],
}
plots.show(plots.label_curve(
    runs, x_label="round", title="Ten labels per class (recorded on glyphs)"
))

# %% [markdown]
# | recorded | test accuracy |
# |---|---:|
# | labels alone | {{ result("rounds", "restarted@0").mean | pct }} |
# | three rounds with threshold and restart | {{ result("rounds", "restarted@3") | pm(percent=true) }} |
# | with threshold, without restart | {{ result("rounds", "continued@3") | pm(percent=true) }} |
# | without both | {{ result("rounds", "own_argmax@3") | pm(percent=true) }} |
#
# The threshold is worth more than the restart.
#
# ## 5. Find the bugs
#
# This loop is put together from faults that circulate in published code. It runs, and its loss falls. Six things are
# wrong; change only those.
#
# ### Exercise 7.5: train_with_pseudo_labels (20 minutes)
#
# Each epoch gives *all* `unlabeled` images pseudo-labels anew, in eval mode and without gradients. Then `model`
# learns, in train mode, from every image once, labeled or not, in an order drawn once per epoch from `generator`. SGD
# with `momentum=0.9` leaves out parameters with `requires_grad=False`. The first epoch has the rate `lr`; from epoch
# to epoch it falls along half a cosine.
#
# Delete the line with `raise` first.

# %% nbgrader={"grade_id": "train_with_pseudo_labels", "solution": true}
def train_with_pseudo_labels(
    model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator
):
    """Trains `model` in place, in batches of at most batch_size; returns a list: each epoch's mean loss per image."""
    ### BEGIN SOLUTION
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_epochs)
    losses = []
    for _ in range(num_epochs):
        model.eval()
        with torch.no_grad():
            pseudo = torch.cat([model(batch) for batch in unlabeled.split(500)]).argmax(dim=1)
        model.train()
        x, y = torch.cat([images, unlabeled]), torch.cat([labels, pseudo])
        order = torch.randperm(len(x), generator=generator).to(x.device)  # one order for both
        running_loss = 0.0
        for x_batch, y_batch in zip(x[order].split(batch_size), y[order].split(batch_size)):
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
# How bad is one of the six alone? Shuffle the true labels by two separate draws, and count how often image and label
# still belong together. Then let the repaired loop go on from your last network, its first block frozen.

# %% tags=["demo"]
check.needs(
    "pseudo_label", "select_confident", "self_training_round",
    "train_with_pseudo_labels",
)  # fmt: skip
generator = torch.Generator().manual_seed(0)
one, other = (
    hidden[torch.randperm(len(hidden), generator=generator)] for _ in range(2)
)
print(
    f"image and label agree after two permutations: {(one == other).float().mean():.0%}"
)
last = copy.deepcopy(networks[-1])
last.encoder.blocks[0].requires_grad_(False)
some = pool[: settings.by_profile(smoke=50, laptop=2_000, full=8_000)]
options = {"num_epochs": 3, "lr": 0.01, "batch_size": 64, "generator": generator}
losses = train_with_pseudo_labels(last, few_images, few_labels, some, **options)
print("mean loss of each epoch:", ", ".join(f"{loss:.3f}" for loss in losses))
print(f"test accuracy: {test_accuracy(networks[-1]):.0%} before, {test_accuracy(last):.0%} after")

# %% [markdown]
# Two draws leave chance. And the repaired loop? It now does what it says, but it believes every answer; compare the
# accuracy before and after. Correct code is not yet a good method.
#
# ## 6. The question of the course: what is it worth?

# %% tags=["demo"]
from IPython.display import Markdown

name = data.name
if not records.record_path(
    unit, "label_curve", dataset=name, profile="laptop"
).is_file():
    name = "glyphs"  # nothing is recorded on this data set
curves = records.curves(unit, dataset=name)
shown = {method: curves[method] for method in ("pseudo_label", "scratch")}
plots.show(plots.label_curve(
    shown, title=f"Three rounds of self-training (recorded on {name})"
))
Markdown(records.results_table(up_to=unit))

# %% [markdown]
# | labels per class | labels alone | three rounds |
# |---|---:|---:|
# | 5 | {{ result("label_curve", "scratch@5").mean | pct }} | {{
# result("label_curve", "pseudo_label@5") | pm(percent=true) }} |
# | 10 | {{ result("label_curve", "scratch@10").mean | pct }} | {{
# result("label_curve", "pseudo_label@10") | pm(percent=true) }} |
# | 20 | {{ result("label_curve", "scratch@20").mean | pct }} | {{
# result("label_curve", "pseudo_label@20") | pm(percent=true) }} |
# | 50 | {{ result("label_curve", "scratch@50").mean | pct }} | {{
# result("label_curve", "pseudo_label@50") | pm(percent=true) }} |
#
# Self-training amplifies what is there.
#
# Small things decide. Give the labeled images once instead of five times, and twenty labels per class end at
# {{ result("label_curve", "once@20") | pm(percent=true) }}: on one seed *below* labels alone.
#
# On MNIST with a hundred labels, the network goes from
# {{ result("label_curve", "scratch@10", dataset="mnist") | pm(percent=true) }} to
# {{ result("label_curve", "pseudo_label@10", dataset="mnist") | pm(percent=true) }}.
#
# Older methods spread labels along a graph of neighbors, or put the same loop around a support vector machine.
# **Predict**: on pixels, and on the features of the network that was trained on the labels alone?

# %% tags=["demo"]
record = {
    key: records.figure(unit, "baselines", key)
    for key in records.read(unit, "baselines").keys
}
names = {"svc": "SVC, labels alone", "self_training": "SelfTrainingClassifier (SVC)"}
names |= {"propagation": "LabelPropagation", "spreading": "LabelSpreading"}
bars = {
    f"{title}, {on}": record[f"{key}_{on}"]
    for on in ("pixels", "features") for key, title in names.items()
}
bars["Network, labels alone"] = record["network"]
bars["Network, three rounds"] = records.figure(unit, "label_curve", "pseudo_label@10")
plots.show(plots.bar_with_seeds(
    bars, styled_as="pseudo_label", baseline=0.1, title="Ten labels per class (glyphs)"
))

# %% [markdown]
# | recorded | on pixels | on the network's features |
# |---|---:|---:|
# | the network itself | | {{ result("baselines", "network").mean | pct }} |
# | LabelSpreading | {{ result("baselines", "spreading_pixels").mean | pct }} | {{
# result("baselines", "spreading_features").mean | pct }} |
# | SelfTrainingClassifier | | {{ result("baselines", "self_training_features").mean | pct }} |
# | its support vector machine, labels alone | | {{ result("baselines", "svc_features").mean | pct }} |
#
# On pixels nothing comes near the network. On its features they reach what it reaches itself. Frozen features cannot
# get better, but the network's own do, and that is where the gain is.
#
# **Rare classes.** When the first class is ten times as frequent as the last, its images also dominate the
# pseudo-labels. The recorded runs have ten labels of each class, and a limit of a hundred pseudo-labels per class:

# %% tags=["demo"]
rows, columns = ("scratch", "threshold", "balanced"), ("", "_common", "_rare")
table = [
    [records.figure(unit, "imbalance", row + column).mean
    for column in columns] for row in rows
]
plots.show(plots.share_table(
    table, ["labels alone", "threshold", "threshold and limit"],
    ["all classes", "three commonest", "three rarest"],
    title="Recall when classes are rare",
))  # fmt: skip

# %% [markdown]
# | recorded | accuracy | recall of the three rarest classes |
# |---|---:|---:|
# | labels alone | | {{ result("imbalance", "scratch_rare").mean | pct }} |
# | self-training | {{ result("imbalance", "threshold").mean | pct }} | {{
# result("imbalance", "threshold_rare") | pm(percent=true) }} |
# | self-training with the limit | {{ result("imbalance", "balanced").mean | pct }} | {{
# result("imbalance", "balanced_rare") | pm(percent=true) }} |
#
# Self-training alone makes the recall of rare classes better on no seed. Overall the two look alike, so the accuracy
# alone does not show which classes lose.
#
# ## 7. When it fails: confirmation bias
#
# Five labels per class, no threshold, nothing repeated: every answer is believed as firmly as a label. **Predict** the
# accuracy of five rounds, and which classes the network will speak of in the end.

# %% tags=["train"]
check.needs("pseudo_label", "select_confident", "self_training_round")
five = few_label_split(
    data.labels, per_class=5, generator=torch.Generator().manual_seed(0)
)
five_images, five_labels = images[five.labeled], data.labels[five.labeled].to(device)
believer = copy.deepcopy(start)
train(believer, five_images, five_labels, title="labels alone")
options = {"tau": 0.0, "steps": [300] * 5, "repeats": 1}
naive, _ = self_train(
    believer, five_images, five_labels, images[five.unlabeled], **options
)
print("test accuracy:", ", ".join(f"{test_accuracy(network):.0%}" for network in naive))
said = [pseudo_label(network, images[five.unlabeled])[0].cpu() for network in naive]
shares = torch.stack(
    [labels.bincount(minlength=num_classes) / len(labels) for labels in said]
)
plots.show(plots.share_table(
    shares, ["labels alone", *(f"round {r}" for r in range(1, 6))], data.class_names,
    title="What the network calls the unlabeled images (each class should have its share)",
))  # fmt: skip

# %% [markdown]
# It falls from {{ result("naive", "naive@0") | pm(percent=true) }} to
# {{ result("naive", "naive@5") | pm(percent=true) }} (recorded). Each training is sound, but its labels are not.
#
# | pseudo-labels | first round | last round |
# |---|---:|---:|
# | right | {{ result("naive", "naive_right@1").mean | pct }} | {{ result("naive", "naive_right@5").mean | pct }} |
# | of the commonest class | {{ result("naive", "naive_largest@1").mean | pct }} | {{
# result("naive", "naive_largest@5").mean | pct }} |
# | of the rarest class | {{ result("naive", "naive_smallest@1").mean | pct(1) }} | {{
# result("naive", "naive_smallest@5").mean | pct(1) }} |
#
# A class that is seldom predicted is seldom taught, and is then predicted even less. That is *confirmation bias* (Arazo
# et al. 2020).
#
# With threshold and repeated labels, the same five per class end at
# {{ result("naive", "threshold@3") | pm(percent=true) }}.

# %% [markdown] nbgrader={"grade_id": "why_it_fell", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A clinic's network sorts skin photographs into eight diagnoses. Every month it is
# trained again on what it said itself about the month's new photographs, all of them. After half a year its training
# loss is almost zero, its mean confidence has risen, and a rare diagnosis is never made any more. In four to six
# sentences, (a) explain how that came about, step by step, (b) say how the clinic could have noticed early, and why
# loss and confidence did not show it, and (c) propose two changes to the procedure and what each of them prevents.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* At first the network took some photographs of the rare diagnosis for a common one. Those mistakes
# became next month's labels, so it was taught them, and made more of the same: the rare class lost its examples and the
# common one gained them. Loss and confidence are measured against the network's own answers; it agrees with itself
# better and better, right or wrong. A small set of photographs with diagnoses by a doctor, never trained on, would have
# shown the recall of each diagnosis falling, and so would the shares of the diagnoses, month by month. I would believe
# only answers above a threshold whose precision was measured on that set, so that fewer mistakes become labels; and
# limit the pseudo-labels of each diagnosis, so that a common one cannot crowd out a rare one. Restarting from first
# weights with the doctors' labels always included would also let old mistakes be forgotten.
#
# *Sample answer (2).* The network learns its own mistakes, and so the common classes get more and more of the labels.
# The clinic should have looked at a validation set with true labels. It should use a confidence threshold.
#
# *Sample answer (1).* This is confirmation bias: the network believes itself. More labels are needed.
#
# *Rubric.* One point each. (a) The circle: a wrong answer becomes a label, which makes more such answers, at the cost
# of the rare class (the word confirmation bias alone earns no point). (b) Labeled images that are never trained on, or
# the drift of class shares, AND that loss and confidence measure agreement with itself. (c) Two changes, each with what
# it prevents (one of them, or both without a reason, earns no point).
# ### END SOLUTION

# %% [markdown]
# ## 8. Quiz
#
# Ungraded. Answer first, then open.
#
# <details><summary>1. The loss on pseudo-labels falls to almost nothing. What do you know?</summary>
# That the network agrees with its own answers. Only images with true labels say whether they are right.</details>
#
# <details><summary>2. Why are pseudo-labels made in eval mode, though training is not?</summary>
# Dropout and batch statistics would make them noisy; the best guess that the network has is the one at rest.</details>
#
# <details><summary>3. You choose the threshold by accuracy on the test set. What is wrong?</summary>
# The test set has then taught you something; it no longer measures. Choose on validation images.</details>
#
# <details><summary>4. A network is perfectly calibrated. Is it accurate?</summary>
# No. One that always says ten percent for each of ten classes is calibrated, and knows nothing.</details>

# %% [markdown]
# ## Take away
#
# - A pseudo-label is the network's opinion at rest; image i keeps label i.
# - A threshold buys precision with coverage; what it promises depends on calibration.
# - Labeled images keep their labels, pseudo-labels are made anew in every round.
# - Without a threshold, with few labels, mistakes become labels, and labels more mistakes.
# - Loss on pseudo-labels measures agreement, not truth: keep labeled images aside.
#
# **Where this is used.** Speech (untranscribed audio), medical images, translation (back-translation), fraud (few
# confirmed cases), robotics.
#
# **Further reading.** Lee (2013), *Pseudo-Label*; Arazo et al. (2020), *Pseudo-Labeling and Confirmation Bias*; Guo et
# al. (2017), *On Calibration of Modern Neural Networks*; Xie et al. (2020), *Noisy Student*.
#
# **Bonus.** (1) Use `per_class` with five labels: does it stop the fall? (2) Choose $\tau$ for each class by its
# precision on validation images.
