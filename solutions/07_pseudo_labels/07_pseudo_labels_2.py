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
# # Consistency: two views, one answer
#
# *A cup that is moved, turned and half covered is still a cup. A network that is sure of the easy view can teach itself
# the hard one, and thousands of images without a label join the lesson.*
#
# **You will** write a weight that grows, a loss with three ways to use unlabeled images, FixMatch, a teacher that is
# the average of its student, and the loss of Mean Teacher. **You will measure** what each is worth beside a control
# that sees the same distortions and no unlabeled image.
#
# **You need** PyTorch modules and a training loop (unit 00). The first notebook of this unit helps, but is not needed.
# **Time**: 90 minutes of reading and writing, of which 4 minutes of computing.

# %% tags=["setup"]
import copy
import math
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from course_lib import evaluation, plots, records, settings, widgets
from course_lib.data import Batches, as_float, augment, few_label_split, load
from course_lib.exercises import checks_for
from course_lib.models import Classifier, ConvDecoder, ConvEncoder
from course_lib.training import fit

# %% tags=["setup"]
check = checks_for("07_pseudo_labels")
data = load(n=settings.by_profile(smoke=1_000, laptop=8_000, full=8_000))
test = load(split="test", n=settings.by_profile(smoke=300, laptop=2_000, full=2_000))
device, channels, num_classes = settings.device(), data.images.shape[1], len(
    data.class_names
)
test_images = as_float(test.images).to(device)  # (N, C, H, W) in [0, 1]
split = few_label_split(
    data.labels, per_class=5, generator=torch.Generator().manual_seed(0)
)
few_images = as_float(data.images[split.labeled]).to(device)
few_labels, pool = data.labels[split.labeled].to(device), data.images[split.unlabeled]
print(
    f"{data.name}: {len(few_images)} images with a label, {len(pool):,} images without"
)

# %% [markdown]
# ## 1. The same image twice
#
# Five labels per class. What else do we know? That a class survives some changes of the image. A *weak view* moves it
# by a pixel or two. A *strong view* also turns and scales it, changes its contrast and covers a square.

# %% tags=["demo"]
generator = torch.Generator().manual_seed(0)
bent = partial(augment.random_affine, max_degrees=25, max_shift=0.12, scale=(0.8, 1.2))
contrast = partial(augment.random_brightness_contrast, brightness=0.2, contrast=0.5)
weak_view = partial(augment.random_shift, generator=generator)
strong_view = partial(
    augment.compose(bent, contrast, augment.cutout), generator=generator
)
rows = torch.cat(
    [test_images[:8], weak_view(test_images[:8]), strong_view(test_images[:8])]
)
names = ["the image"] * 8 + ["weak view"] * 8 + ["strong view"] * 8
plots.show(plots.image_grid(
    rows, captions=names, columns=8, title="An image, a weak and a strong view of it"
))

# %% [markdown]
# You still recognize nearly all of them. So a label that is right for the image is right for both views, and already
# the few labeled images can be shown in ever new strong views. That costs nothing and needs no unlabeled image: it is
# the honest control of this notebook, and whatever uses unlabeled images has to beat it.
#
# **Predict** the test accuracy with five labels per class, from weak views alone, and with strong views too.

# %% tags=["train"]
steps = settings.by_profile(smoke=6, laptop=800, full=4_000)


def labeled_batch(*views):
    chosen = torch.randint(0, len(few_images), (32,), generator=generator).to(device)
    return torch.cat([view(few_images[chosen]) for view in views]), few_labels[chosen].repeat(len(views))


def new_network():
    encoder = ConvEncoder(channels, generator=torch.Generator().manual_seed(0))
    return Classifier(encoder, num_classes, generator=torch.Generator().manual_seed(0)).to(device)


def train(loss_fn, title, *, model=None, steps=steps, on_step=None):
    model = model or new_network()
    batches = Batches(pool, batch_size=64, shuffle=True, drop_last=True)  # unlabeled images
    fit(model, batches, loss_fn, steps=steps, lr=3e-3, label=title, on_step=on_step)
    return model, evaluation.evaluate(model, test.images, test.labels)["accuracy"]


def from_labels(model, images, views=(weak_view, strong_view)):  # the unlabeled images are not looked at
    x, y = labeled_batch(*views)
    return F.cross_entropy(model(x), y)


accuracy = {"scratch": train(partial(from_labels, views=(weak_view,)), "weak views")[1]}
accuracy["augmented"] = train(from_labels, "weak and strong views")[1]
print(", ".join(f"{plots.method_style(name).label}: {value:.0%}" for name, value in accuracy.items()))

# %% [markdown]
# Strong views of labeled images are worth a lot. Recorded over {{ result("consistency", "augmented@5").n }} seeds, the
# control has {{ result("consistency", "augmented@5") | pm(percent=true) }} with five labels per class; unit 04, with
# weak views alone and fewer steps, had {{ result("label_curve", "scratch@5", unit="04_pretext_tasks").mean | pct }}. A
# paper whose baseline lacks them credits unlabeled images with what augmentation has done.
#
# ## 2. One frame, one weight
#
# Now the unlabeled images. Nearly every method of this kind is one sum:
#
# $$L = L_\text{labeled} + \lambda(t)\, L_\text{unlabeled}, \qquad
# \lambda(t) = \lambda_\text{max}\, e^{-5 (1 - t)^2}, \quad t = \min(\text{step} / \text{ramp steps},\; 1)$$
#
# $L_\text{unlabeled}$ is built on the network's own opinion, which is worthless at first. So the weight starts at 0 and
# grows (Laine and Aila 2017).
#
# ### Exercise 7.6: ramp_up (8 minutes)
#
# The formula does not quite reach 0: at $t = 0$ it gives $0.0067$ of the maximum. We want the first step to be
# supervised and nothing else, so step 0 gets exactly 0.

# %% nbgrader={"grade_id": "ramp_up", "solution": true}
def ramp_up(step, ramp_steps, *, maximum=1.0):
    """The weight of the unlabeled loss in a step: a Gaussian curve from 0 up to the maximum, where it stays.

    Args:
        step: whole number from 0; exactly 0 in step 0.
        ramp_steps: the step in which the maximum is reached; 0 means no ramp, the
            maximum from step 0 on.
        maximum: the weight at the end of the ramp and after it; it may be 0.

    Returns:
        A plain number.
    """
    ### BEGIN SOLUTION
    if ramp_steps == 0:
        return maximum
    if step == 0:
        return 0.0
    t = min(step / ramp_steps, 1.0)
    return maximum * math.exp(-5.0 * (1.0 - t) ** 2)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_ramp_up", "grade": true}
check.ramp_up(ramp_up)

# %% [markdown]
# Look at it before you use it: a ramp that falls again after its end is easily written, and never noticed in a log.

# %% tags=["demo"]
check.needs("ramp_up")
figure = plots.new_figure(6.0, 3.0)
ax = figure.subplots()
ax.plot([ramp_up(step, 300) for step in range(500)])
ax.axvline(300, color=plots.ACCENT, linestyle="--")
ax.set(xlabel="step", ylabel="weight", title="A ramp of 300 steps")
words = ", ".join(
    f"{ramp_up(step, 300):.2f} at step {step}" for step in (0, 100, 200, 300, 499)
)
plots.show(
    figure,
    f"Line chart of the weight: {words}; a dashed line marks the end of the ramp.",
)  # fmt: skip

# %% [markdown]
# For a third of the ramp almost nothing happens, then the weight rises steeply and stays.
#
# What may $L_\text{unlabeled}$ be? Three beliefs, for unlabeled images $u_1 \dots u_M$ with probabilities $p_m$:
#
# - *pseudo_label* assumes that the network's best class $\hat y_m$ is right (Lee 2013):
#   $\;\frac1M \sum_m -\log p_m(\hat y_m)$
# - *reconstruction* assumes that what helps to redraw an image helps to classify it: the mean of $(\hat x - x)^2$ over
#   all pixels
# - *clustering* assumes that each image belongs to one class, and all are used (Krause et al. 2010):
#   $\;\frac1M \sum_m H(p_m) - H(\bar p)$, with $H(p) = -\sum_k p_k \log p_k$ and $\bar p$ the mean of all $p_m$
#
# Without its second term the last one is content when all images are in one class. In an entropy $0 \log 0$ is 0.
#
# ### Exercise 7.7: semi_supervised_loss (15 minutes)
#
# Shapes: `logits` `(N, K)`, `unlabeled_logits` `(M, K)`, `x_hat` and `images` `(M, C, H, W)`.

# %% nbgrader={"grade_id": "semi_supervised_loss", "solution": true}
def semi_supervised_loss(
    logits, labels, unlabeled_logits, x_hat, images, *, term, weight
):
    """Cross-entropy of labeled images plus weight times one of three losses of unlabeled images.

    Args:
        logits, labels: (N, K) float and (N,) int64, of the labeled images.
        unlabeled_logits: (M, K) float, of the unlabeled images; a logit may be hundreds
            above another.
        x_hat, images: (M, C, H, W) float, their reconstructions and themselves; images
        carry no gradient.
        term: "pseudo_label", "reconstruction" or "clustering", and nothing else.
        weight: a number from 0.

    Returns:
        A tensor with a single number. Pseudo-labels are targets: they carry no
        gradient.
    """
    ### BEGIN SOLUTION
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p = unlabeled_logits.softmax(dim=1)  # (M, K)
        of_each = -(p * F.log_softmax(unlabeled_logits, dim=1)).sum(dim=1)  # (M,)
        unsupervised = of_each.mean() - torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_semi_supervised_loss", "grade": true}
check.semi_supervised_loss(semi_supervised_loss)

# %% [markdown]
# Try all three, with your ramp and weak views only. **Predict** which belief pays.

# %% tags=["train"]
check.needs("ramp_up", "semi_supervised_loss")
short = settings.by_profile(smoke=4, laptop=200, full=2_000)


def with_decoder():
    network = new_network()
    shape = tuple(data.images.shape[1:])
    network.decoder = ConvDecoder(network.encoder.feature_dim, shape, output="sigmoid").to(device)
    return network


def frame(model, images, term, weight, counter):
    x, y = labeled_batch(weak_view)
    u = weak_view(images)
    codes = model.encoder(torch.cat([x, u]))  # one batch for both kinds
    logits, unlabeled_logits = model.head(codes).split([len(x), len(u)])
    x_hat = model.decoder(codes[len(x) :]) if term == "reconstruction" else u
    counter.append(ramp_up(len(counter), short // 2, maximum=weight))
    parts = {"term": term, "weight": counter[-1]}
    return semi_supervised_loss(logits, y, unlabeled_logits, x_hat, u, **parts)


beliefs = {"labels alone": ("pseudo_label", 0.0), "pseudo_label": ("pseudo_label", 1.0)}
beliefs |= {"reconstruction": ("reconstruction", 10.0), "clustering": ("clustering", 1.0)}
found = {}
for name, (term, weight) in beliefs.items():
    loss_fn = partial(frame, term=term, weight=weight, counter=[])
    found[name] = train(loss_fn, name, model=with_decoder(), steps=short)[1]
plots.show(plots.bar_with_seeds(found, styled_as="pseudo_label", title="Three beliefs, one seed"))

# %% [markdown]
# | recorded, {{ result("terms", "labels_alone").n }} seeds, weak views, 200 steps | test accuracy |
# |---|---:|
# | labels alone | {{ result("terms", "labels_alone") | pm(percent=true) }} |
# | pseudo-labels | {{ result("terms", "pseudo_label") | pm(percent=true) }} |
# | reconstruction | {{ result("terms", "reconstruction") | pm(percent=true) }} |
# | clustering | {{ result("terms", "clustering") | pm(percent=true) }} |
#
# None of the three helps, and two do harm.

# %% tags=["demo"]
kinds = ("labels_alone", "pseudo_label", "reconstruction", "clustering")
bars = {kind: records.figure("07_pseudo_labels", "terms", kind) for kind in kinds}
title = "Three beliefs (recorded on glyphs)"
plots.show(plots.bar_with_seeds(bars, styled_as="pseudo_label", title=title))

# %% [markdown]
# So early, in one and the same view, the network's own opinion is mostly wrong, and learning it makes the error firm. A
# decoder is harmless and useless, as in unit 04.
#
# ## 3. The weak view teaches the strong view
#
# A network that learns from its own opinion about the *same* view learns what it believes already. FixMatch (Sohn et
# al. 2020) changes two things: the opinion is formed on the weak view and learned on the strong one, and only opinions
# of at least a confidence $\tau$ count. With probabilities $p_n$ of the weak view and $q_n$ of the strong one:
#
# $$L_\text{unlabeled} = \frac1N \sum_{n=1}^{N} \mathbb{1}\big[\max_k p_n(k) \ge \tau\big]
# \cdot \big(-\log q_n(\hat y_n)\big), \qquad \hat y_n = \arg\max_k p_n(k)$$
#
# The sum is divided by all $N$ images, the silent ones too.
#
# ### Exercise 7.8: fixmatch_loss (15 minutes)
#
# Shapes: both logits `(N, K)`. At the beginning no image is confident: then the loss is 0, and can still go backward.

# %% nbgrader={"grade_id": "fixmatch_loss", "solution": true}
def fixmatch_loss(weak_logits, strong_logits, *, threshold):
    """The strong views learn the classes that the weak views are sure of.

    Args:
        weak_logits: (N, K) float, of the weak views; no gradient reaches them.
        strong_logits: (N, K) float, of the strong views of the same images, in the same
            order; a logit may be hundreds above another.
        threshold: an image counts when its weak view's best probability is at least
            this.

    Returns:
        A tensor with a single number, the mean over all N images; 0 when none counts.
    """
    ### BEGIN SOLUTION
    confidence, guess = weak_logits.detach().softmax(dim=1).max(dim=1)  # (N,), (N,)
    losses = F.cross_entropy(strong_logits, guess, reduction="none")  # (N,)
    return (losses * (confidence >= threshold)).mean()
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_fixmatch_loss", "grade": true}
check.fixmatch_loss(fixmatch_loss)

# %% [markdown]
# Train with it. The control has set the mark. **Predict**: what share of the unlabeled images teaches after a hundred
# steps, and at the end?

# %% tags=["train"]
check.needs("fixmatch_loss")
teaching = []  # the share of weak views that are sure, step by step


def fixmatch(model, images):
    x, y = labeled_batch(weak_view, strong_view)
    with torch.no_grad():
        weak_logits = model(weak_view(images))
    logits, strong_logits = model(torch.cat([x, strong_view(images)])).split(
        [len(x), len(images)]
    )
    teaching.append(
        (weak_logits.softmax(dim=1).amax(dim=1) >= 0.8).float().mean().item()
    )
    return F.cross_entropy(logits, y) + fixmatch_loss(
        weak_logits, strong_logits, threshold=0.8
    )


curve = plots.live_curve(steps, title="FixMatch, five labels per class")
student, accuracy["fixmatch"] = train(fixmatch, "FixMatch", on_step=curve)
plots.show(plots.learning_curve(
    teaching, y_label="share that teaches", title="Who is sure of the weak view?"
))
plots.show(plots.bar_with_seeds(
    accuracy, baseline=1 / num_classes, title="Five labels per class, one seed"
))

# %% [markdown]
# The share grows by itself: the mask is a ramp-up without a setting, and the weight stays 1 from the first step.
#
# Now meet the teachers. Move the threshold. **Predict** first: do the images that fall silent last teach rightly?

# %% tags=["demo"]
check.needs("fixmatch_loss")
shown = slice(16, 25)
probabilities = evaluation.predict(student, weak_view(test_images[shown])).softmax(
    dim=1
)
widgets.teaching_views(
    weak_view(test_images[shown]), strong_view(test_images[shown]), probabilities,
    class_names=data.class_names, labels=test.labels[shown], start=0.8,
    title="Who teaches whom",
)  # fmt: skip

# %% [markdown]
# A high threshold means few teachers and good ones; a low one means many, and some teach errors. What is taught wrongly
# in one step makes the next one surer of it, so a threshold that is too low does harm that no later step mends.
#
# ## 4. A teacher that is an average
#
# A single network changes its mind from step to step. The average of the last ones is calmer. It needs no memory of
# them: with student weights $\theta$ and a *decay* $\alpha$ near 1,
#
# $$\theta'_\text{teacher} = \alpha\, \theta_\text{teacher} + (1 - \alpha)\, \theta_\text{student}$$
#
# ### Exercise 7.9: ema_update (12 minutes)
#
# A network is more than its parameters: batch normalization keeps running statistics, and a count of batches, in
# *buffers*.

# %% nbgrader={"grade_id": "ema_update", "solution": true}
def ema_update(teacher, student, decay):
    """Moves a teacher towards its student, in place: an exponential moving average of all that the student holds.

    Args:
        teacher, student: two networks of the same build. Only values of the teacher's
        own tensors change: the student,
            all modes and every `requires_grad` stay as they are, and autograd records
            nothing.
        decay: the share of itself that the teacher keeps, from 0 to 1. It holds for
            every parameter and for buffers with decimals, each once, also where two
            modules share it; buffers of whole numbers are taken over from the student.
            Buffers that are not in the `state_dict` count too.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        mine, theirs = (
            [*network.parameters(), *network.buffers()]
            for network in (teacher, student)
        )
        for slow, fast in zip(mine, theirs):
            if slow.is_floating_point():
                slow.mul_(decay).add_(fast, alpha=1 - decay)
            else:
                slow.copy_(fast)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_ema_update", "grade": true}
check.ema_update(ema_update)

# %% [markdown]
# Mean Teacher (Tarvainen and Valpola 2017) lets this average judge the weak view, and asks the student to agree on the
# strong one. All probabilities count, and no threshold:
#
# $$L_\text{unlabeled} = \frac1N \sum_{n=1}^{N} \sum_{k=1}^{K} \big(q_n(k) - p_n(k)\big)^2, \qquad
# p_n \text{ of the teacher, without gradient}$$
#
# ### Exercise 7.10: mean_teacher_loss (10 minutes)
#
# In a library that many used, the student's logits stood in for the teacher's, for years: a loss of exactly 0.

# %% nbgrader={"grade_id": "mean_teacher_loss", "solution": true}
def mean_teacher_loss(student, teacher, weak, strong):
    """How far the student's answers to the strong views are from the teacher's answers to the weak views.

    Args:
        student, teacher: networks, (N, C, H, W) -> logits (N, K). Each is called once,
        in the mode that it is in; no
            gradient reaches the teacher.
        weak, strong: (N, C, H, W) float, two views of the same images.

    Returns:
        A tensor with a single number: squared differences of probabilities, summed over
        classes, mean over images.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)  # (N, K)
    return (student(strong).softmax(dim=1) - target).pow(2).sum(dim=1).mean()
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_mean_teacher_loss", "grade": true}
check.mean_teacher_loss(mean_teacher_loss)

# %% [markdown]
# Everything together: ramp, teacher, loss. Beside it runs a second teacher, made as it is often published: its
# parameters are averaged, its buffers are forgotten. **Predict** the accuracy of all three at the end.

# %% tags=["train"]
check.needs("ramp_up", "ema_update", "mean_teacher_loss")
student = new_network()
teacher = copy.deepcopy(student).requires_grad_(False)
forgetful = copy.deepcopy(teacher)  # what is averaged here: parameters alone
followed = {"student": {}, "teacher": {}, "without_buffers": {}}


def mean_teacher(model, images, counter=[]):  # noqa: B006 (the list is meant to last)
    x, y = labeled_batch(weak_view, strong_view)
    weight = ramp_up(len(counter), 2 * steps // 5, maximum=3.0)
    counter.append(weight)
    unlabeled = mean_teacher_loss(model, teacher, weak_view(images), strong_view(images))
    return F.cross_entropy(model(x), y) + weight * unlabeled


def follow(model, history):
    step = len(history.sizes)
    decay = min(0.99, 1 - 1 / (step + 1))  # a young teacher has little to remember
    ema_update(teacher, model, decay)
    ema_update(nn.ParameterList(forgetful.parameters()), nn.ParameterList(model.parameters()), decay)
    if step % (steps // 4 or 1) == 0:
        for name, network in (("student", model), ("teacher", teacher), ("without_buffers", forgetful)):
            score = evaluation.evaluate(network, test.images, test.labels)["accuracy"]
            followed[name][step] = [score]


train(mean_teacher, "Mean Teacher", model=student, on_step=follow)
plots.show(plots.label_curve(followed, x_label="step", title="Student and teachers, one seed"))

# %% [markdown]
# At the end the student has {{ result("teachers", "student@800") | pm(percent=true) }}, the teacher
# {{ result("teachers", "teacher@800") | pm(percent=true) }} and the teacher without buffers
# {{ result("teachers", "without_buffers@800") | pm(percent=true) }} (recorded), which is chance. Its weights are as
# good as the other's, but it normalizes by its first running statistics.
#
# The average itself shows no gain over three seeds: the learning rate fades to 0, so at the end there is little left to
# average. And Mean Teacher is no better than the control, which has
# {{ result("consistency", "augmented@5").mean | pct }}. Its authors saw gains from both, in far longer trainings
# (Tarvainen and Valpola 2017).
#
# ## 5. The question of the course: what is it worth?
#
# One seed is an anecdote. Recorded at three label budgets: the control, FixMatch, and FixMatch that starts from an
# encoder pretrained by rotation (unit 04). **Predict** their order, and where the gap closes.

# %% tags=["demo"]
from IPython.display import Markdown

unit = "07_pseudo_labels"
recorded = records.curves(unit, "consistency", dataset="glyphs")
order = ["rotation_fixmatch", "fixmatch", "augmented"]
title = "FixMatch (recorded on glyphs)"
plots.show(plots.label_curve({key: recorded[key] for key in order}, title=title))
Markdown(records.results_table(up_to=unit))

# %% [markdown]
# {{ figures_table({"control: labels alone, strong views": "augmented", "FixMatch": "fixmatch",
# "FixMatch after rotation": "rotation_fixmatch"}, (5, 10, 20), "consistency") }}
#
# {{ every_seed("augmented@5 < fixmatch@5, augmented@10 < fixmatch@10, augmented@20 < fixmatch@20, fixmatch@5 <
# rotation_fixmatch@5, fixmatch@10 < rotation_fixmatch@10, fixmatch@20 < rotation_fixmatch@20", "consistency") | capitalize }}
# both steps help, and both help most where labels are fewest. Pretraining and consistency do not replace
# each other: this is the best row of the course. It is also the honest size of the effect: most of the way from weak
# views to FixMatch is made by strong views of labeled images.
#
# How much should the unlabeled images weigh? And is it the sum that matters, or would the two losses do as well in
# turns, one step each?

# %% tags=["demo"]
by_weight = records.read(unit, "weights").keys
bars = {key: records.figure(unit, "weights", key) for key in by_weight}
turns = {
    key: records.figure(unit, "alternating", key) for key in ("joint", "alternating")
}
words = {key: "weight " + key.partition("@")[2] for key in by_weight}
words |= {"joint": "both in every step", "alternating": "in turns"}
plots.show(plots.bar_with_seeds(
    bars | turns, styled_as="fixmatch", labels=words,
    title="Five labels per class (recorded on glyphs)",
))  # fmt: skip

# %% [markdown]
# | recorded | test accuracy |
# |---|---:|
# | weight 0, the control | {{ result("weights", "fixmatch@0").mean | pct }} |
# | weight 1 | {{ result("weights", "fixmatch@1") | pm(percent=true) }} |
# | weight 3 | {{ result("weights", "fixmatch@3") | pm(percent=true) }} |
# | both losses in every step | {{ result("alternating", "joint") | pm(percent=true) }} |
# | both in turns, as many images of each kind | {{ result("alternating", "alternating") | pm(percent=true) }} |
#
# In turns it is better {{ every_seed("alternating > joint", "alternating") }}. But then the optimizer takes twice as many steps, so this shows only that nothing
# depends on the sum.
# Between 1 and 3 the seeds do not agree which is better: the mask has made the choice of the weight easy.
#
# **MNIST with a hundred labels**, test error: labels alone {{ result("hundred_labels", "augmented_error",
# dataset="mnist") | pm(1, percent=true) }}, FixMatch {{ result("hundred_labels", "fixmatch_error", dataset="mnist") |
# pm(1, percent=true) }}.
#
# **CIFAR-10.** `course results 07_pseudo_labels --experiment consistency --dataset cifar10 --profile full` runs a
# ResNet-18 with 40 and 250 labels. It takes hours on a GPU and is not recorded here.

# %% [markdown]
# ## 6. When it fails: unanimous and wrong
#
# To agree with oneself on two views is easy: always give the same answer. Only the labels stand against that. Let us
# drown them: weight 100 from the first step, no ramp, no threshold. **Predict** the two curves, agreement and accuracy.

# %% tags=["train"]
check.needs("mean_teacher_loss")
disagreement, agree_steps = [], settings.by_profile(smoke=6, laptop=200, full=200)


def agree(model, images, weight):
    x, y = labeled_batch(weak_view, strong_view)
    unlabeled = mean_teacher_loss(model, model, weak_view(images), strong_view(images))
    disagreement.append(unlabeled.item())
    return F.cross_entropy(model(x), y) + weight * unlabeled


answers = {}
for weight in (1, 100):
    disagreement.clear()
    model, score = train(
        partial(agree, weight=weight), f"weight {weight}", steps=agree_steps
    )
    last = torch.tensor(disagreement[-20:]).mean()
    print(f"weight {weight}: accuracy {score:.0%}, disagreement in the last steps {last:.3f}")
    counts = evaluation.predict(model, test_images).argmax(dim=1).bincount(
        minlength=num_classes
    )
    answers[f"weight {weight}"] = (counts / len(test_images)).tolist()
plots.show(plots.share_table(
    list(answers.values()), list(answers), data.class_names,
    title="Share of test images given each answer",
))  # fmt: skip

# %% [markdown]
# | recorded | accuracy | disagreement |
# |---|---:|---:|
# | weight 1 | {{ result("collapse", "accuracy@1") | pm(percent=true) }} | {{
# result("collapse", "disagreement@1").mean | num(3) }} |
# | weight 100 | {{ result("collapse", "accuracy@100") | pm(percent=true) }} | {{
# result("collapse", "disagreement@100").mean | num(3) }} |
#
# At weight 100, {{ result("collapse", "largest@100").mean | pct }} of all images get the same answer. What was
# minimized is better, but the network is worse. No gradient ran through the targets: detaching them does not help when
# labels do not count.

# %% [markdown] nbgrader={"grade_id": "unanimous_and_wrong", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A colleague trains with a consistency loss on thousands of unlabeled X-rays and thirty
# labeled ones. After an hour the consistency loss is close to 0, and she reports that the network has learned to be
# robust. On the labeled validation images it is no better than guessing. In four to six sentences, (a) explain what the
# network probably does, and why both numbers fit it, (b) name one measurement that needs no label and would have shown
# it, and (c) propose two changes to her training, and say for each why it works against this.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* It probably gives the same answer, or nearly, to every X-ray: two views of an image then agree
# perfectly, so the consistency loss is 0, and one constant answer is right as often as guessing. She could count how
# often each class is predicted on the unlabeled images, or the entropy of the mean prediction: one class for nearly all
# shows it. The weight of the consistency loss should be lower or ramped up, so that the labels have shaped the answers
# before agreement counts. And only confident answers should teach, or the mean prediction should be kept spread over
# the classes, so that the constant answer no longer is a minimum of the loss.
#
# *Sample answer (2).* The network has collapsed to one class, so it agrees with itself. One can see it when one counts
# the predicted classes. She should ramp the weight up.
#
# *Sample answer (1).* A loss of 0 means overfitting; she needs more labels or a smaller network.
#
# *Rubric.* One point each. (a) The constant answer AND that it satisfies the consistency loss while being as good as
# guessing. (b) A measurement on predictions that needs no label (accuracy earns no point). (c) Two changes, each with
# its reason (lower or ramped weight, threshold, balance of classes, more weight on labels; more labels earns no point).
# ### END SOLUTION

# %% [markdown]
# ## 7. Quiz
#
# Ungraded. Answer first, then open.
#
# <details><summary>1. Your FixMatch loss is NaN in the first step. What have you probably written?</summary>
# A mean over the images that are sure. No image is confident yet, and a mean of nothing is NaN.</details>
#
# <details><summary>2. Mean Teacher's consistency loss is exactly 0 in step 2. Is that good?</summary>
# No: teacher and student differ by then. Here a network is compared with itself.</details>
#
# <details><summary>3. Why does the weak view teach the strong one and not the other way round?</summary>
# Answers to the weak view are right more often, and the strong view is where there is something to learn.</details>
#
# <details><summary>4. A paper's baseline uses no strong views. What would you ask?</summary>
# How the same network does with strong views of the labeled images alone.</details>

# %% [markdown]
# ## Take away
#
# - Unlabeled images enter as one term with a weight; the weight needs a ramp or a mask, for at first it is nonsense.
# - FixMatch: weak teaches strong, no gradient to the teacher, a threshold, the mean over the whole batch.
# - An averaged teacher averages buffers too.
# - The control sees the same views; only what remains is due to unlabeled images.
# - Agreement does not measure accuracy: count the answers.
#
# **Where this is used.** Medical images with few expert labels, speech with accents, satellite images, fraud with few
# confirmed cases, robots in new rooms.
#
# **Further reading.** Sohn et al. (2020), *FixMatch*. Tarvainen and Valpola (2017), *Mean teachers are better role
# models*. Oliver et al. (2018), *Realistic evaluation of deep semi-supervised learning algorithms*.
#
# **Bonus.** (1) Run FixMatch with a threshold of 0: what does the share of right teachers do? (2) Raise the threshold
# as the training goes on.
