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
# # Consistency: two views, one prediction
#
# *A cup that is shifted, rotated and half covered is still a cup. Can a network learn from thousands of unlabeled
# images by making the same prediction for two views of each? And how much of the gain comes from the views alone?*
#
# **You will** implement the parts of *consistency regularization* (the name of this idea), which are a weight that
# grows, a loss with three ways to use unlabeled images, FixMatch, an averaged teacher, and Mean Teacher. **You will
# measure** each one beside a control that sees the same views and no unlabeled image.
#
# **You need** PyTorch [modules](https://pytorch.org/docs/stable/notes/modules.html), a [training
# loop](https://pytorch.org/tutorials/beginner/basics/optimization_tutorial.html) (unit 00) and
# [cross-entropy](https://pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html). The first notebook
# of this unit helps, but is not needed.
#
# **Time**: about 2 to 2.5 hours in two sittings, with a natural break after section 3. About 4 minutes of it are
# computation.

# %% [markdown]
# **Warm-up.** Two questions from earlier notebooks. Answer first, then open.
#
# <details><summary>1. What is a pseudo-label, and what is its confidence?</summary>
# The class that the model predicts for an unlabeled image, and the probability that it gives to this class.</details>
#
# <details><summary>2. What is a control?</summary>
# The same network, data and number of steps, without the idea that is tested. Only a difference from the control can be
# due to the idea.</details>

# %% tags=["setup"]
import copy
import itertools
import math
from functools import partial

import torch
from IPython.display import Markdown
from torch.nn import functional as F

from course_lib import evaluation, plots, records, settings, widgets
from course_lib.data import Batches, as_float, augment, load, split_labels
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import Classifier, ConvDecoder, ConvEncoder
from course_lib.training import fit

# %% tags=["setup"]
check = checks_for("07_pseudo_labels")
predict = predictions_for("07b_consistency")
data = load(n=settings.by_profile(smoke=1_000, laptop=8_000, full=8_000))
test = load(split="test", n=settings.by_profile(smoke=300, laptop=2_000, full=2_000))
device, channels = settings.device(), data.images.shape[1]
num_classes = len(data.class_names)
test_images = as_float(test.images).to(device)  # (N, C, H, W) in [0, 1]
split = split_labels(
    data.labels, per_class=5, generator=torch.Generator().manual_seed(0)
)
few_images = as_float(data.images[split.labeled]).to(device)
few_labels, pool = data.labels[split.labeled].to(device), data.images[split.unlabeled]
print(
    f"{data.name}: {len(few_images)} images with a label, {len(pool):,} images without"
)

# %% [markdown]
# ## 1. Two views of an image
#
# With five labels per class, what else do we know? We know that some changes of an image keep its class. *Data
# augmentation* uses this and trains on randomly changed images. A *weak view* shifts the image by a pixel or two. A
# *strong view* also rotates and scales it, changes its contrast and covers a square.

# %% tags=["demo"]
generator = torch.Generator().manual_seed(0)
bent = partial(augment.random_affine, max_degrees=25, max_shift=0.12, scale=(0.8, 1.2))
contrast = partial(augment.random_brightness_contrast, brightness=0.2, contrast=0.5)
weak_view = partial(augment.random_shift, generator=generator)
strong = augment.compose(bent, contrast, augment.cutout)
strong_view = partial(strong, generator=generator)
rows = {"the image": test_images[:8], "weak view": weak_view(test_images[:8])}
rows["strong view"] = strong_view(test_images[:8])
title = "An image, a weak and a strong view of it"
plots.show(plots.image_rows(rows, below=True, title=title))

# %% [markdown]
# You still recognize nearly all strong views, so the label of an image is also right for its views. Therefore even the
# few labeled images can be shown in many different strong views. This costs no label and needs no unlabeled image.
# Training on such views is the *control* of this notebook, and every method that uses unlabeled images must beat it.
#
# Train with five labels per class, once with weak views alone, once with weak and strong views. **Predict** the test
# accuracy with both.

# %% tags=["predict"]
predict.strong_views(...)  # a share between 0 and 1

# %% tags=["train"]
steps = settings.by_profile(smoke=6, laptop=800, full=4_000)


def labeled_batch(*views):
    chosen = torch.randint(0, len(few_images), (32,), generator=generator).to(device)
    x = torch.cat([view(few_images[chosen]) for view in views])
    return x, few_labels[chosen].repeat(len(views))


def new_network():
    seeded = torch.Generator().manual_seed
    encoder = ConvEncoder(channels, generator=seeded(0))
    return Classifier(encoder, num_classes, generator=seeded(0)).to(device)


def train(loss_fn, title, *, model=None, steps=steps, on_step=None):
    model = model or new_network()
    unlabeled = Batches(pool, batch_size=64, shuffle=True, drop_last=True)
    fit(model, unlabeled, loss_fn, steps=steps, lr=3e-3, label=title, on_step=on_step)
    return model, evaluation.accuracy_on(model, test)


def from_labels(model, images, views=(weak_view, strong_view)):
    x, y = labeled_batch(*views)  # the unlabeled images are not used
    return F.cross_entropy(model(x), y)


accuracy = {"scratch": train(partial(from_labels, views=(weak_view,)), "weak views")[1]}
accuracy["augmented"] = train(from_labels, "weak and strong views")[1]
for name, value in accuracy.items():
    print(f"{plots.method_style(name).label}: {value:.0%}")
predict.strong_views.compare(accuracy["augmented"])

# %% [markdown]
# Strong views of labeled images help a lot. (A step with both views has 64 images, one with weak views 32.) The
# *recorded* accuracy is {{ result("protocol", "scratch_weak@5") | pm(percent=true) }} with weak views and {{
# result("protocol", "scratch_strong@5") | pm(percent=true) }} with strong ones. In this notebook "recorded" always
# means the mean ± standard deviation over {{ result("protocol", "scratch_strong@5").n }} seeds, from the files in
# `results/`.
#
# If a baseline lacks strong views, their effect is easily mistaken for an effect of unlabeled images.

# %% [markdown]
# ## 2. One loss, one weight
#
# Now use the unlabeled images. Nearly every method of this kind is a sum of two losses:
#
# $$L = L_\text{labeled} + \lambda(t)\, L_\text{unlabeled}, \qquad
# \lambda(t) = \lambda_\text{max}\, e^{-5 (1 - t)^2}, \quad t = \min(\text{step} / \text{ramp steps},\; 1)$$
#
# $L_\text{unlabeled}$ uses the predictions of the network itself, which are useless at first. Therefore its weight
# starts at 0 and grows (Laine and Aila 2017).
#
# ### Exercise 7.8: ramp_up (warm-up, 8 minutes)
#
# At $t = 0$ the formula gives $0.0067$ of the maximum, which is not quite 0. We want a purely supervised first step, so
# step 0 gets exactly 0.

# %% nbgrader={"grade_id": "ramp_up", "solution": true}
def ramp_up(step, ramp_steps, *, maximum=1.0):
    """The weight of the unlabeled loss: a Gaussian curve from 0 up to the maximum.

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
# Plot it before you use it. A ramp that falls again after its end is a common mistake, and a log does not show it.

# %% tags=["demo"]
check.needs("ramp_up")
weights = [ramp_up(step, 300) for step in range(500)]
plots.show(plots.schedule(weights, marked=300, title="A ramp of 300 steps"))

# %% [markdown]
# During the first third of the ramp the weight stays near 0. Then it rises steeply, and after the ramp it stays at the
# maximum.
#
# What may $L_\text{unlabeled}$ be? Here are three choices for unlabeled images $u_1 \dots u_M$ with predicted
# probabilities $p_m$:
#
# - *pseudo_label* trains on the predicted class $\hat y_m$ (Lee 2013): $\;\frac1M \sum_m -\log p_m(\hat y_m)$
# - *reconstruction* decodes the features: the mean of $(\hat x - x)^2$ over all pixels
# - *clustering* asks that each image has one class and that all classes are used (Krause et al. 2010):
#   $\;\frac1M \sum_m H(p_m) - H(\bar p)$, with $H(p) = -\sum_k p_k \log p_k$ and $\bar p$ the mean of all $p_m$
#
# The first loss and the first term of the third make predictions more confident. This is called *entropy minimization*.
# Without its second term, clustering would be minimal when all images have one class.

# %% [markdown]
# ### Exercise 7.9: semi_supervised_loss (core, 15 minutes)
#
# Return $L_\text{labeled} + \lambda\, L_\text{unlabeled}$ with one of these three terms. In an entropy, $0 \log 0$
# counts as 0. Each call uses only the arguments that its term needs.
#
# Shapes: `logits` `(N, K)`, `unlabeled_logits` `(M, K)`, `x_hat` and `images` `(M, C, H, W)`.

# %% nbgrader={"grade_id": "semi_supervised_loss", "solution": true}
def semi_supervised_loss(
    logits, labels, unlabeled_logits, x_hat, images, *, term, weight
):
    """Cross-entropy of labeled images plus weight times a loss of unlabeled ones.

    Args:
        logits, labels: (N, K) float and (N,) int64, of the labeled images.
        unlabeled_logits: (M, K) float, of the unlabeled images; a logit may be hundreds
            above another.
        x_hat, images: (M, C, H, W) float, their reconstructions and themselves; images
            carry no gradient.
        term: always "pseudo_label", "reconstruction" or "clustering".
        weight: a number, 0 or more.

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
# Try all three with your ramp, with weak views only and few steps. The weights bring the three losses to a similar
# size, and were set by hand. Which of them help? **Predict**: how probable is it that pseudo-labels beat the labels
# alone?

# %% tags=["predict"]
predict.pseudo_labels_help(...)  # how probable: 0 is no, 1 is yes

# %% tags=["train"]
check.needs("ramp_up", "semi_supervised_loss")
short = settings.by_profile(smoke=4, laptop=200, full=2_000)


def with_decoder():
    network, shape = new_network(), tuple(data.images.shape[1:])
    decoder = ConvDecoder(network.encoder.feature_dim, shape, output="sigmoid")
    network.decoder = decoder.to(device)
    return network


def one_view(model, images, term, maximum, step):
    (x, y), u = labeled_batch(weak_view), weak_view(images)
    codes = model.encoder(torch.cat([x, u]))  # one batch for both kinds
    logits, unlabeled_logits = model.head(codes).split([len(x), len(u)])
    x_hat = model.decoder(codes[len(x) :]) if term == "reconstruction" else u
    options = {"term": term, "weight": ramp_up(next(step), short // 2, maximum=maximum)}
    return semi_supervised_loss(logits, y, unlabeled_logits, x_hat, u, **options)


losses = {"labels alone": ("pseudo_label", 0.0), "pseudo_label": ("pseudo_label", 1.0)}
losses["reconstruction"] = ("reconstruction", 10.0)
losses["clustering"] = ("clustering", 1.0)
found = {}
for name, (term, weight) in losses.items():
    loss_fn = partial(one_view, term=term, maximum=weight, step=itertools.count())
    found[name] = train(loss_fn, name, model=with_decoder(), steps=short)[1]
plots.show(plots.bar_with_seeds(found, styled_as="pseudo_label", title="One seed"))
predict.pseudo_labels_help.compare(found["pseudo_label"] > found["labels alone"])

# %% [markdown]
# | recorded, weak views, 200 steps | test accuracy |
# |---|---:|
# | labels alone | {{ result("terms", "labels_alone") | pm(percent=true) }} |
# | pseudo-labels | {{ result("terms", "pseudo_label") | pm(percent=true) }} |
# | reconstruction | {{ result("terms", "reconstruction") | pm(percent=true) }} |
# | clustering | {{ result("terms", "clustering") | pm(percent=true) }} |
#
# Pseudo-labels and clustering make it worse {{ every_seed("pseudo_label < labels_alone, clustering < labels_alone",
# "terms") }}, and reconstruction makes no clear difference. Early in training, most predictions are wrong. This
# suggests that training on them, in the same view, only makes wrong predictions more confident.

# %% [markdown]
# ## 3. FixMatch: the weak view teaches the strong view
#
# Training on a prediction for the *same* view mostly repeats what the network already computes. FixMatch (Sohn et al.
# 2020) changes two things. The pseudo-label comes from the weak view and is learned on the strong view, and it counts
# only if its confidence is at least $\tau$.

# %% tags=["demo"]
plots.show(plots.diagram_fixmatch())

# %% [markdown]
# Both views go through the same weights. The gradient flows back through the strong view alone, because the
# pseudo-label is a fixed target.
#
# With probabilities $p_n$ of the weak view and $q_n$ of the strong view:
#
# $$L_\text{unlabeled} = \frac1N \sum_{n=1}^{N} \mathbb{1}\big[\max_k p_n(k) \ge \tau\big]
# \cdot \big(-\log q_n(\hat y_n)\big), \qquad \hat y_n = \arg\max_k p_n(k)$$
#
# The sum is divided by all $N$ images, also those below the threshold. So the loss is small while few predictions are
# confident, which acts like a ramp.
#
# ### Exercise 7.10: fixmatch_loss (core, 15 minutes)
#
# Both logits are `(N, K)`. At the start of training no prediction is confident. Then the loss is 0, and `backward()`
# must still work.

# %% nbgrader={"grade_id": "fixmatch_loss", "solution": true}
def fixmatch_loss(weak_logits, strong_logits, *, threshold):
    """The strong views learn the classes of confident predictions on the weak views.

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
# Train with it. Which share of the unlabeled images will be above the threshold after a hundred steps, and at the end?
#
# Our recipe is smaller than the paper's (Sohn et al. 2020), which has $\tau = 0.95$, seven unlabeled images per labeled
# one and RandAugment. We use $\tau = 0.8$, because a training of one minute hardly reaches higher confidence. It was
# set by hand, and no search is recorded. **Predict** the test accuracy.

# %% tags=["predict"]
predict.fixmatch_at_5(...)  # a share between 0 and 1

# %% tags=["train"]
check.needs("fixmatch_loss")
confident = []  # the share of weak views above the threshold, step by step


def fixmatch(model, images):
    x, y = labeled_batch(weak_view, strong_view)
    with torch.no_grad():
        weak_logits = model(weak_view(images))
    both = torch.cat([x, strong_view(images)])
    logits, strong_logits = model(both).split([len(x), len(images)])
    best = weak_logits.softmax(dim=1).amax(dim=1)
    confident.append((best >= 0.8).float().mean().item())
    unlabeled = fixmatch_loss(weak_logits, strong_logits, threshold=0.8)
    return F.cross_entropy(logits, y) + unlabeled


curve = plots.live_curve(steps, title="FixMatch, five labels per class")
student, accuracy["fixmatch"] = train(fixmatch, "FixMatch", on_step=curve)
labels = {"y_label": "share above the threshold", "title": "Confident predictions"}
plots.show(plots.learning_curve(confident, **labels))
predict.fixmatch_at_5.compare(accuracy["fixmatch"])
title = "Five labels per class, one seed"
plots.show(plots.bar_with_seeds(accuracy, baseline=1 / num_classes, title=title))

# %% [markdown]
# The share grows as the network becomes better. So the threshold works like a ramp, and the weight can be 1 from the
# first step.
#
# The next figure shows single pairs of views. Move the threshold, and look at which weak views still teach and whether
# their predictions are right.

# %% tags=["demo"]
check.needs("fixmatch_loss")
shown, labels = test_images[16:25], test.labels[16:25]
probabilities = evaluation.predict(student, weak_view(shown)).softmax(dim=1)
widgets.teaching_views(
    weak_view(shown), strong_view(shown), probabilities, labels=labels,
    class_names=data.class_names, start=0.8, title="Who teaches whom",
)  # fmt: skip

# %% [markdown]
# A high threshold lets few predictions pass, and most of them are right. A low threshold lets many pass, and more of
# them are wrong. A wrong prediction that is learned becomes more confident, so it can stay until the end.
#
# **A natural break.**
#
# ## 4. Mean Teacher: an average as a teacher
#
# The weights of a network fluctuate from step to step, so an average over recent steps often gives more stable
# predictions. The old weights need not be stored, because an *exponential moving average* (EMA) is updated in place.
# With student weights $\theta$ and a *decay* $\alpha$ near 1:
#
# $$\theta'_\text{teacher} = \alpha\, \theta_\text{teacher} + (1 - \alpha)\, \theta_\text{student}$$

# %% tags=["demo"]
plots.show(plots.diagram_ema_teacher())

# %% [markdown]
# The teacher sees the weak view and gives the target, and no gradient reaches it. It changes only by the average, after
# each step of the student.
#
# ### Exercise 7.11: ema_update (hard, 12 minutes)
#
# A network has more than parameters. Batch normalization keeps running statistics and a count of batches, which are
# *buffers*.

# %% nbgrader={"grade_id": "ema_update", "solution": true}
def ema_update(teacher, student, decay):
    """Moves a teacher towards its student, in place: an exponential moving average.

    Args:
        teacher, student: two networks of the same build. Only values of the teacher's
            own tensors change: the student, all modes and every `requires_grad` stay as
            they are, and autograd records nothing.
        decay: the share of itself that the teacher keeps, from 0 to 1. It holds for
            every parameter and every floating-point buffer. Each is updated once, also
            where two modules share it. Integer buffers are copied from the student.
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
# In *Mean Teacher* (Tarvainen and Valpola 2017) this average predicts one view, and the student learns to agree on the
# other. All probabilities count, without a threshold:
#
# $$L_\text{unlabeled} = \frac1N \sum_{n=1}^{N} \sum_{k=1}^{K} \big(q_n(k) - p_n(k)\big)^2, \qquad
# p_n \text{ of the teacher, without gradient}$$
#
# In the paper both views have the same kind of random noise. We give the teacher the weak view and the student the
# strong one, so that the method can be compared with FixMatch.
#
# ### Exercise 7.12: mean_teacher_loss (core, 10 minutes)
#
# A known mistake is to compare the student with itself. Check which network sees which view.

# %% nbgrader={"grade_id": "mean_teacher_loss", "solution": true}
def mean_teacher_loss(student, teacher, weak, strong):
    """How far the student's predictions on strong views are from the teacher's on weak.

    Args:
        student, teacher: networks, (N, C, H, W) -> logits (N, K). Each is called once,
            in the mode that it is in; no gradient reaches the teacher.
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
# Put ramp, teacher and loss together. A second teacher is followed beside it. Its parameters are averaged too, but its
# buffers are not updated, which is a common mistake.

# %% tags=["train"]
check.needs("ramp_up", "ema_update", "mean_teacher_loss")
student = new_network()
teacher = copy.deepcopy(student).requires_grad_(False)
no_buffers = copy.deepcopy(teacher)  # only its parameters are averaged
networks = {"student": student, "teacher": teacher, "without_buffers": no_buffers}
followed, steps_before = {name: {} for name in networks}, itertools.count()


def mean_teacher(model, images):
    x, y = labeled_batch(weak_view, strong_view)
    weight = ramp_up(next(steps_before), 2 * steps // 5, maximum=3.0)
    weak, strong = weak_view(images), strong_view(images)
    unlabeled = mean_teacher_loss(model, teacher, weak, strong)
    return F.cross_entropy(model(x), y) + weight * unlabeled


def follow(model, history):
    step = len(history.sizes)
    decay = min(0.99, 1 - 1 / (step + 1))  # at first an average over few steps
    ema_update(teacher, model, decay)
    for slow, fast in zip(no_buffers.parameters(), model.parameters()):
        slow.lerp_(fast.detach(), 1 - decay)
    if step % (steps // 4 or 1) == 0:
        for name, network in networks.items():
            followed[name][step] = [evaluation.accuracy_on(network, test)]


train(mean_teacher, "Mean Teacher", model=student, on_step=follow)
title = "Student and teachers, one seed"
plots.show(plots.label_curve(followed, x_label="step", title=title))

# %% [markdown]
# {{ figures_table({"student": "student", "teacher": "teacher", "teacher without buffers": "without_buffers"},
# (100, 200, 400, 800), "teachers", head="recorded, step") }}
#
# At the end student and teacher are equal, at {{ result("teachers", "teacher@800") | pm(percent=true) }}. The teacher
# without buffers stays at chance. Its weights are as good, but it normalizes by its initial running statistics.
#
# Averaging shows no gain here. A likely reason is that the student hardly changes at the end, when the learning rate is
# near 0. Mean Teacher is also no better than the control, which has {{ result("protocol", "scratch_strong@5").mean |
# pct }}. The authors (Tarvainen and Valpola 2017) report gains from each in far longer trainings.
#
# ## 5. The question of the course: what is it worth?
#
# The course's table has the control and FixMatch, each from scratch and after pretraining by rotation (unit 04), with
# one recipe. **Predict** the accuracy of FixMatch after rotation with five labels per class.

# %% tags=["predict"]
predict.rotation_first(...)  # a share between 0 and 1

# %% tags=["demo"]
order = ["rotation_fixmatch", "fixmatch", "rotation_strong", "scratch_strong"]
unit = "07_pseudo_labels"
on = {"dataset": data.name, "title": "FixMatch"}
plots.show(plots.recorded_curves(unit, "protocol", order, **on))
predict.rotation_first.compare()
Markdown(records.results_table(up_to=unit))

# %% [markdown]
# {{ figures_table({"control: labels alone, strong views": "scratch_strong", "FixMatch": "fixmatch", "rotation, then
# labels alone, strong views": "rotation_strong", "rotation, then FixMatch": "rotation_fixmatch"}, (1, 2, 5, 10, 20,
# 50), "protocol") }}
#
# From five to twenty labels per class FixMatch beats the control, {{ every_seed("fixmatch@5 > scratch_strong@5,
# fixmatch@10 > scratch_strong@10, fixmatch@20 > scratch_strong@20", "protocol") }}, and after rotation it beats
# rotation with strong views alone, also {{ every_seed("rotation_fixmatch@5 > rotation_strong@5, rotation_fixmatch@10 >
# rotation_strong@10, rotation_fixmatch@20 > rotation_strong@20", "protocol") }}. FixMatch after rotation also beats
# FixMatch from scratch, {{ every_seed("rotation_fixmatch@5 > fixmatch@5, rotation_fixmatch@10 > fixmatch@10,
# rotation_fixmatch@20 > fixmatch@20", "protocol") }}. So pretraining, data augmentation and consistency add up.
#
# With one label per class FixMatch is *worse* than its control, {{ every_seed("fixmatch@1 < scratch_strong@1,
# rotation_fixmatch@1 < rotation_strong@1", "protocol") }}. Without pretraining it is also worse with two, {{
# every_seed("fixmatch@2 < scratch_strong@2", "protocol") }}. With fifty there is no clear difference. This suggests
# that with very few labels it learns its own early mistakes (*confirmation bias*).
#
# No search over settings is recorded, and validation images choose nothing here.

# %% [markdown]
# On digits the control is right twice as often with one label per class, and there FixMatch beats it already with one,
# {{ every_seed("fixmatch@1 > scratch_strong@1", "protocol", dataset="digits") }}.
#
# Which weight should the unlabeled loss have? And must both losses be in every step, or can they alternate? These runs
# draw other batches than those of the table, so the same method has slightly other figures.

# %% tags=["demo"]
weights = records.figures(unit, "weights")
bars = {f"weight {key.partition('@')[2]}": found for key, found in weights.items()}
both = records.figures(unit, "alternating")
bars |= {"both in every step": both["joint"], "alternating steps": both["alternating"]}
title = "Five labels per class (recorded on glyphs)"
plots.show(plots.bar_with_seeds(bars, styled_as="fixmatch", title=title))

# %% [markdown]
# Some weight is needed, because {{ result("weights", "fixmatch@1") | pm(percent=true) }} at weight 1 beats weight 0
# {{ every_seed("fixmatch@1 > fixmatch@0", "weights") }}. Between 1 and 3 the seeds disagree, so the exact weight
# matters little.
#
# Alternating steps reach {{ result("alternating", "alternating") | pm(percent=true) }}, better than both in every step
# {{ every_seed("alternating > joint", "alternating") }}. But then the optimizer takes twice as many steps. So this only
# shows that the two losses need not be in one sum.
#
# **MNIST with a hundred labels.** The test error is {{ result("hundred_labels", "augmented_error", dataset="mnist") |
# pm(1, percent=true) }} for the control and {{ result("hundred_labels", "fixmatch_error", dataset="mnist") | pm(1,
# percent=true) }} for FixMatch, lower {{ every_seed("fixmatch_error < augmented_error", "hundred_labels",
# dataset="mnist") }}. In these runs the encoder keeps coarse positions, unlike above.

# %% [markdown]
# **CIFAR-10.** `course results 07_pseudo_labels --experiment consistency --dataset cifar10 --profile full` runs a
# ResNet-18 with 40 and 250 labels. It takes hours on a GPU and is not recorded here.
#
# ## 6. When it fails: perfect agreement, wrong predictions
#
# There is an easy way to agree on two views, which is to predict the same class for every image. Only the labels
# prevent it. So let the unlabeled loss dominate, with weight 100 from the first step, no ramp and no threshold.
# **Predict** the accuracy.

# %% tags=["predict"]
predict.weight_100(...)  # a share between 0 and 1

# %% tags=["train"]
check.needs("mean_teacher_loss")
disagreement, agree_steps = [], settings.by_profile(smoke=6, laptop=200, full=200)


def agree(model, images, weight):
    x, y = labeled_batch(weak_view, strong_view)
    unlabeled = mean_teacher_loss(model, model, weak_view(images), strong_view(images))
    disagreement.append(unlabeled.item())
    return F.cross_entropy(model(x), y) + weight * unlabeled


shares = {}
for weight in (1, 100):
    disagreement.clear()
    title = f"weight {weight}"
    model, score = train(partial(agree, weight=weight), title, steps=agree_steps)
    last = torch.tensor(disagreement[-20:]).mean()
    print(f"{title}: accuracy {score:.0%}, disagreement at the end {last:.3f}")
    shares[title] = evaluation.predicted_shares(evaluation.predict(model, test_images))
predict.weight_100.compare(score)
title = "Share of test images predicted as each class"
plots.show(plots.score_table(shares, data.class_names, title=title))

# %% [markdown]
# | recorded | accuracy | disagreement |
# |---|---:|---:|
# | weight 1 | {{ result("collapse", "accuracy@1") | pm(percent=true) }} | {{
# result("collapse", "disagreement@1").mean | num(3) }} |
# | weight 100 | {{ result("collapse", "accuracy@100") | pm(percent=true) }} | {{
# result("collapse", "disagreement@100").mean | num(3) }} |
#
# This is *collapse*. At weight 100 one class is predicted for {{ result("collapse", "largest@100").mean | pct }} of all
# test images. The consistency loss is lower {{ every_seed("disagreement@100 < disagreement@1", "collapse") }}, but the
# classifier is worse {{ every_seed("accuracy@100 < accuracy@1", "collapse") }}. No gradient reached the targets, so
# detaching them does not prevent collapse when labels hardly count.

# %% [markdown] nbgrader={"grade_id": "unanimous_and_wrong", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A team trains with a consistency loss on thousands of unlabeled X-rays and thirty
# labeled ones. After an hour the consistency loss is close to 0, and they report that the network has become robust. On
# the labeled validation images it is no better than chance. In four to six sentences, (a) explain what the network
# probably does, and why both numbers fit it, (b) name one measurement that needs no label and would have shown it, and
# (c) propose two changes to their training, and say for each why it works against this.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* It probably makes the same prediction, or nearly, for every X-ray: two views of an image then
# agree perfectly, so the consistency loss is 0, and one constant prediction is right as often as chance. They could
# count how often each class is predicted on the unlabeled images, or the entropy of the mean prediction: one class for
# nearly all shows it. The weight of the consistency loss should be lower or ramped up, so that the labels have shaped
# the predictions before agreement counts. And only confident predictions should teach, or the mean prediction should be
# kept spread over the classes, so that the constant prediction no longer is a minimum of the loss.
#
# *Sample answer (2).* The network has collapsed to one class, so it agrees with itself. One can see it when one counts
# the predicted classes. They should ramp the weight up.
#
# *Sample answer (1).* A loss of 0 means overfitting; they need more labels or a smaller network.
#
# *Rubric.* One point each. (a) The constant prediction AND that it satisfies the consistency loss while being as good
# as chance. (b) A measurement on predictions that needs no label (accuracy earns no point). (c) Two changes, each with
# its reason (lower or ramped weight, threshold, balance of classes, more weight on labels; more labels earns no point).
# ### END SOLUTION

# %% [markdown]
# ## 7. Quiz
#
# Ungraded. Answer first, then open. Your predictions are summed up below.
#
# <details><summary>1. Your FixMatch loss is NaN in the first step. What have you probably written?</summary>
# A mean over the confident images only. There are none yet, and the mean of an empty tensor is NaN.</details>
#
# <details><summary>2. Mean Teacher's consistency loss is exactly 0 in step 2. Is that good?</summary>
# No. Teacher and student differ by then, so the loss probably compares a network with itself.</details>
#
# <details><summary>3. Why does the weak view teach the strong one and not the other way round?</summary>
# Predictions on weak views are right more often, and on strong views there is more to learn.</details>
#
# <details><summary>4. A paper's baseline uses no strong views. What would you ask?</summary>
# How good the same network is with strong views of the labeled images alone.</details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# Can a network learn from unlabeled images by agreeing on two views?
#
# - Yes, from five to twenty labels per class. There FixMatch beat the control in all recorded runs, by most with five.
#   With fifty the difference was not clear, and with one label FixMatch was worse. Strong views of labeled images alone
#   are already a strong baseline.
# - FixMatch has a weak view that teaches, a strong view that learns, no gradient to the teacher, a threshold, and a
#   mean over the whole batch.
# - In one view, early pseudo-labels and clustering made the network worse. A ramp or a threshold is meant to limit
#   early errors.
# - An averaged teacher needs averaged running statistics too. Here it was no better than its student.
# - Agreement is not accuracy. Count the predicted classes to detect collapse.

# %% [markdown]
# ## What became of it
#
# *FlexMatch* gives each class a threshold of its own, lower for classes that are learned slowly, and *FreeMatch* adapts
# its thresholds during training. *Distribution alignment* keeps the predicted class frequencies close to the expected
# ones, like the second term of clustering.
#
# The EMA teacher became a standard part of self-supervised learning. *BYOL* and *DINO* train a student to match an EMA
# teacher on another view, without labels, and they need their own measures against collapse. EMA weights are also
# commonly used for sampling from diffusion models. Language models are trained on their own filtered outputs, where
# tests, or agreement between samples, play the role of the threshold.
#
# Consistency training is used for medical images, where expert labels are few, for satellite images, for speech and in
# robotics. In finance the difficulty is to find changes of a transaction that surely keep its label.

# %% [markdown]
# **Further reading.**
#
# - Sohn et al. (2020), *FixMatch*. Its ablations show which part matters.
# - Tarvainen and Valpola (2017), *Mean teachers are better role models*, for the averaged teacher.
# - Oliver et al. (2018), *Realistic evaluation of deep semi-supervised learning algorithms*, for the control of section
#   1 and for a critique of large validation sets.
#
# **Challenge.** Beat FixMatch after rotation with five labels per class, which has {{
# result("protocol", "rotation_fixmatch@5") | pm(percent=true) }}. Use at least three seeds, and no more than 1,800
# steps in all, as it has (1,000 for rotation and 800 for FixMatch).
#
# **Bonus.** (1) Run FixMatch with a threshold of 0. How does the share of right pseudo-labels change? (2) Raise the
# threshold during training.
