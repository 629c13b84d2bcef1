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
# # Generative adversarial networks: two networks in competition
#
# *One network draws, and another one learns to tell its images from real ones. Do both together learn to draw every
# kind of image, and how would you notice that they do not?*
#
# **You will** write the losses of both networks and the step in which they take turns, and draw samples. **You will
# measure** how many classes the samples cover, how far their features are from those of real images, and what the
# second network learns about classes.
#
# **You need** a training step (unit 00), a decoder (it maps a code to an image, as in unit 01), and mean, covariance
# and eigenvalues ([chapter 2 of the Deep Learning
# book](https://www.deeplearningbook.org/contents/linear_algebra.html)).
#
# **Time**: about 2 to 2.5 hours in two sittings, with a natural break after section 4. The computer needs 3 minutes of
# it. *Recorded* numbers are mean ± standard deviation over three seeds.

# %% [markdown]
# **Warm up** with two questions from earlier units.
#
# <details><summary>1. (Unit 00) Two networks share one loss. You call <code>loss.backward()</code> and step one
# optimizer. Which gradients are left in the other network?</summary> Those of this loss. They stay until they are
# cleared, and the next backward pass adds to them.</details>
#
# <details><summary>2. (Unit 02) Why are images that a VAE draws from noise often blurred?</summary> Its loss is
# a sum over pixels. Where several images are possible, their mean has the lowest loss.</details>

# %% tags=["setup"]
import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

from course_lib import evaluation, plots, settings, widgets
from course_lib.data import Batches, as_float, augment, load
from course_lib.evaluation import extract_features
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import Classifier, ConvEncoder, eval_mode, seeded
from course_lib.training import fit

# %% tags=["setup"]
check = checks_for("03_adversarial")
predict = predictions_for("03_adversarial")
glyphs = settings.dataset_name() == "glyphs"
easy = {"clutter": 0.0, "noise": 0.0, "jitter": 0.25} if glyphs else {}
data = load(n=settings.by_profile(smoke=600, laptop=8_000, full=8_000), **easy)
test = load(
    split="test", n=settings.by_profile(smoke=200, laptop=2_000, full=2_000), **easy
)
device, code_dim = settings.device(), 32
image_shape, num_classes = tuple(data.images.shape[1:]), len(data.class_names)
test_images = as_float(test.images)  # (N, C, H, W) in [0, 1]


def down(a, b, *, size=4, norm=True):
    """Halves the sides of a map, rounded up: a channels -> b channels."""
    norm = nn.BatchNorm2d(b) if norm else nn.Identity()
    return nn.Sequential(nn.Conv2d(a, b, size, 2, 1), norm, nn.LeakyReLU(0.2))


def up(a, b):
    """Doubles the sides of a map: a channels -> b channels."""
    conv, norm = nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b)
    return nn.Sequential(nn.Upsample(scale_factor=2), conv, norm, nn.ReLU())

# %% [markdown]
# ## 1. What makes a drawn image good?
#
# Unit 02 gave each image a probability. Here we only want to *draw* images that look real. The glyphs of this unit are
# easy ones, without clutter and noise, because a GAN that trains for one minute cannot learn harder ones. The cell
# draws images from PCA with a random code. What would you measure, so that the number is worse for these images than
# for the real ones?

# %% tags=["demo"]
from sklearn.decomposition import PCA

pixels = as_float(data.images).flatten(1).numpy()  # (N, C * H * W)
pca = PCA(code_dim, random_state=0).fit(pixels)
codes = torch.randn(2_000, code_dim, generator=torch.Generator().manual_seed(0))
by_pca = torch.from_numpy(
    pca.inverse_transform(codes.numpy() * pca.explained_variance_**0.5)
).float().reshape(-1, *image_shape).clamp(0, 1)
rows = torch.cat([test_images[:10], by_pca[:10]])
alt = "Two rows of ten: real images, and gray fog in which parts of several shapes mix."
plots.show(plots.image_grid(
    rows, columns=10, title="Real images; PCA with a random code", alt=alt
))  # fmt: skip

# %% [markdown]
# Mean and variance of each pixel are almost right, but no shape is a house or a key. A number can see this, if it looks
# at *features* instead of pixels. For this we train a *judge network*, an ordinary
# classifier with all labels. It judges samples and never trains the generator.
#
# The judge has to see noisy images in training, because samples are never as clean as real images.

# %% tags=["train"]
hard = load(n=len(data)) if glyphs else data  # with clutter, noise and all movements
generator = torch.Generator().manual_seed(0)


def noisy(images, *, generator):
    return augment.gaussian_noise(images, std=0.1, generator=generator)


judge = Classifier(
    ConvEncoder(image_shape[0], generator=generator), num_classes, generator=generator
)
batches = Batches(
    hard.images, hard.labels, batch_size=64, shuffle=True, generator=generator,
    augment=augment.compose(noisy, augment.random_shift),
)  # fmt: skip
judge_steps = settings.by_profile(smoke=3, laptop=500, full=2_000)
fit(judge, batches, steps=judge_steps, lr=3e-3, label="judge network")
accuracy = evaluation.loss_and_accuracy(judge, test.images, test.labels)["accuracy"]
print(f"the judge network is right for {accuracy:.1%} of the real test images")

# %% [markdown]
# ## 2. A loss that is learned
#
# Goodfellow et al. (2014) train two networks together. The *generator* $G$ maps a code
# $z \sim \mathcal N(0, 1)$ to an image. The *discriminator* $D$ maps an image to one logit, and its sigmoid is the
# probability that the image is real. So the discriminator is a loss function that is learned: it finds any difference
# between drawn and real images, and its gradient tells the generator what to change.
#
# For $N$ real images $x$ and $M$ codes, the discriminator minimizes the binary cross-entropy
#
# $$L_D = -\frac1N \sum_n \log \sigma(D(x_n)) - \frac1M \sum_m \log\big(1 - \sigma(D(G(z_m)))\big)$$
#
# Both batches count the same, whatever their sizes. A discriminator that always answers one half has the loss
# $2 \log 2$.
#
# ### Exercise 3.1: discriminator_loss (core, 12 minutes)
#
# The check tries batches of different sizes and very large logits, and looks at the gradients of both batches.

# %% nbgrader={"grade_id": "discriminator_loss", "solution": true}
def discriminator_loss(real_logits, fake_logits):
    """What the discriminator minimizes: the cross-entropy of real and generated images.

    Args:
        real_logits: (N,) float tensor, the discriminator's logits of real images.
        fake_logits: (M,) float tensor, those of generated images; M may differ from N.

    Returns:
        A tensor with a single number: the mean over the real images, target 1, plus
        the mean over the generated ones, target 0. Exact for logits of any size.
    """
    ### BEGIN SOLUTION
    bce = F.binary_cross_entropy_with_logits
    real = bce(real_logits, torch.ones_like(real_logits))
    fake = bce(fake_logits, torch.zeros_like(fake_logits))
    return real + fake
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_discriminator_loss", "grade": true}
check.discriminator_loss(discriminator_loss)

# %% [markdown]
# ## 3. The generator's loss
#
# The generator has the opposite aim, so it could minimize minus the discriminator's second term. This is the
# *saturating* loss. Goodfellow et al. (2014) use another one in practice, the *non-saturating* loss: the cross-entropy
# of the generated images with target 1.
#
# $$L_{\text{sat}} = \frac1M \sum_m \log\big(1 - \sigma(D(G(z_m)))\big), \qquad
# L_G = -\frac1M \sum_m \log \sigma(D(G(z_m)))$$
#
# Both fall when the logit rises, but their derivatives differ. With $p = \sigma(D(G(z)))$ they are $-p$ and $-(1 - p)$.
# At the start the discriminator is soon confident, so $p$ is close to 0 and the saturating loss has almost no gradient.
# The other one has its largest gradient there.
#
# ### Exercise 3.2: generator_loss (core, 12 minutes)
#
# The check tries both forms, very large logits too, and looks at the gradient.

# %% nbgrader={"grade_id": "generator_loss", "solution": true}
def generator_loss(fake_logits, *, saturating=False):
    """What the generator minimizes, in one of two forms.

    Args:
        fake_logits: (M,) float tensor, the discriminator's logits of generated images.
        saturating: False: the cross-entropy with target 1. True: minus the
            cross-entropy with target 0, which is below zero.

    Returns:
        A tensor with a single number, the mean over the images. Exact for logits of
        any size.
    """
    ### BEGIN SOLUTION
    bce = F.binary_cross_entropy_with_logits
    if saturating:
        return -bce(fake_logits, torch.zeros_like(fake_logits))
    return bce(fake_logits, torch.ones_like(fake_logits))
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_generator_loss", "grade": true}
check.generator_loss(generator_loss)

# %% [markdown]
# The cell prints the size of both gradients at one logit, from an image that is certainly drawn to one that is almost
# certainly real. Where are they equal? A second question is about whole networks. The discriminator alone
# learns for 25 steps, and the generator is untrained. **Predict** how many times as large as the saturating gradient
# the non-saturating one is then, over all the generator's parameters.

# %% tags=["predict"]
predict.ratio(...)  # times

# %% tags=["demo"]
check.needs("generator_loss")


def gradient_size(probability, saturating):
    logit = torch.tensor([math.log(probability / (1 - probability))]).requires_grad_()
    generator_loss(logit, saturating=saturating).backward()
    return float(logit.grad.abs())


print("probability   non-saturating   saturating")
for probability in (0.001, 0.01, 0.1, 0.5, 0.9):
    usual, other = (gradient_size(probability, flag) for flag in (False, True))
    print(f"{probability:11}{usual:17.3f}{other:13.3f}")
predict.ratio.compare()

# %% [markdown]
# They are equal at one half. In the first rows, where training begins, only the non-saturating loss has a gradient.
# The gradients over all parameters of the generator:
#
# | steps of the discriminator alone, recorded | 0 | 10 | 25 | 100 |
# |---|---:|---:|---:|---:|
# | probability of a drawn image | {{ result("saturating", "probability@0").mean | num(2) }} | {{
# result("saturating", "probability@10").mean | num(3) }} | {{ result("saturating", "probability@25").mean | num(3) }} |
# {{ result("saturating", "probability@100").mean | num(4) }} |
# | non-saturating gradient, times the saturating one | {{ result("saturating", "ratio@0").mean | num(1) }} | {{
# result("saturating", "ratio@10").mean | num(0) }} | {{ result("saturating", "ratio@25").mean | num(0) }} | {{
# result("saturating", "ratio@100").mean | num(0) }} |
#
# This does not show that training with the saturating loss fails, because in training both networks take turns.
#
# ## 4. Two networks take turns
#
# A step has two halves. First the discriminator learns, and the drawn images are *detached*, so the loss does not reach
# the generator. Then the generator learns. Its loss goes backward through the new discriminator, but only the
# generator's optimizer steps. Real and drawn images form two batches, because
# batch normalization would mix them.

# %% tags=["demo"]
plots.show(plots.diagram_gan())

# %% [markdown]
# Each loss ends in one network, although both pass through the discriminator. After the second half a gradient of the
# generator's loss is left in the discriminator. It has to be cleared before the discriminator learns again.
#
# A proposal for both networks, with halves rounded up ($H$ and $W$ are multiples of 4):
#
# | generator | shape | discriminator | shape |
# |---|---|---|---|
# | linear, unflatten | `(48, H/4, W/4)` | `down`, no norm | `(24, H/2, W/2)` |
# | batch norm, ReLU, `up` | `(24, H/2, W/2)` | `down` | `(48, H/4, W/4)` |
# | `up` | `(12, H, W)` | `down`, size 3 | `(96, H/8, W/8)` |
# | convolution, sigmoid | `(C, H, W)` | flatten, linear, `nn.Flatten(0)` | one logit |

# %% [markdown]
# ### Exercise 3.3: GAN (hard, 30 minutes)
#
# - `GAN(image_shape, code_dim)` has the modules `generator`, codes `(N, code_dim)` to images `(N, C, H, W)` in
#   $[0, 1]$, and `discriminator`, images to logits `(N,)`.
# - `step(images, codes, *, generator_optimizer, discriminator_optimizer)` puts both into train mode, moves the
#   discriminator, then the generator with the same codes. It returns both losses as floats, the discriminator's first.
#   The two modules may be replaced by others before it is called.
#
# The check looks at shapes and ranges, and at the weights after three steps with small networks of its own. **The
# number to reach** comes in section 5: a Fréchet distance below {{ result("training", "vae_frechet").mean | num(1) }},
# which is that of a VAE trained for the same time.

# %% nbgrader={"grade_id": "GAN", "solution": true}
class GAN(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        ### BEGIN SOLUTION
        c, h, w = image_shape
        self.generator = nn.Sequential(
            nn.Linear(code_dim, 3 * h * w), nn.Unflatten(1, (48, h // 4, w // 4)),
            nn.BatchNorm2d(48), nn.ReLU(), up(48, 24), up(24, 12),
            nn.Conv2d(12, c, 3, padding=1), nn.Sigmoid(),
        )  # fmt: skip
        self.discriminator = nn.Sequential(
            down(c, 24, norm=False), down(24, 48), down(48, 96, size=3), nn.Flatten(),
            nn.Linear(96 * math.ceil(h / 8) * math.ceil(w / 8), 1), nn.Flatten(0),
        )  # fmt: skip
        ### END SOLUTION

    def step(self, images, codes, *, generator_optimizer, discriminator_optimizer):
        ### BEGIN SOLUTION
        self.train()
        fake = self.generator(codes)  # (N, code_dim) -> (N, C, H, W)
        real, drawn = self.discriminator(images), self.discriminator(fake.detach())
        d_loss = discriminator_loss(real, drawn)
        self.zero_grad()  # also what the generator's loss left in the discriminator
        d_loss.backward()
        discriminator_optimizer.step()
        g_loss = generator_loss(self.discriminator(fake))
        g_loss.backward()
        generator_optimizer.step()
        return d_loss.item(), g_loss.item()
        ### END SOLUTION

# %% nbgrader={"grade_id": "check_GAN", "grade": true}
check.GAN(GAN)

# %% [markdown]
# What if `detach` is forgotten? Then the discriminator's loss also sends a gradient into the generator:
#
# | recorded, at the start of the training | |
# |---|---:|
# | cosine of this gradient and the generator's own | {{ result("detach", "cosine").mean | num(2) }} |
# | what is left of its own, when both are added | {{ result("detach", "left") | pm(percent=true) }} |
# | operations in the discriminator's half of a step, as a multiple of those with `detach` | {{
# result("detach", "work").mean | num(2) }} |
#
# It points against the generator's own gradient, so without `zero_grad` a part of both cancels. Where `zero_grad`
# clears it, only the cost is higher. So the samples need not show the mistake.
#
# ### Exercise 3.4: sample_images (warm-up, 8 minutes)
#
# `with eval_mode(network):` is given: inside, every module is in eval mode, and afterwards each has its old mode. The
# network is called `generator` here, so the source of random numbers is `rng`. The check looks at codes, modes and
# gradients.

# %% nbgrader={"grade_id": "sample_images", "solution": true}
def sample_images(generator, count, code_dim, *, rng):
    """New images, decoded from standard normal codes.

    Args:
        generator: nn.Module, (count, code_dim) codes to (count, C, H, W) images. It
            draws in eval mode, without gradients; afterwards it is as it was, the mode
            of each of its modules included.
        count: how many images.
        code_dim: how long a code is.
        rng: CPU torch.Generator that all random numbers come from.

    Returns:
        (count, C, H, W) tensor on the device of the network, without a gradient.
    """
    ### BEGIN SOLUTION
    codes = torch.randn(count, code_dim, generator=rng)
    with eval_mode(generator), torch.no_grad():
        return generator(codes.to(next(generator.parameters()).device))
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_sample_images", "grade": true}
check.sample_images(sample_images)

# %% [markdown]
# `train` calls your step with 64 real images and 64 codes at a time. Adam with $\beta_1 = 0.5$ is usual for GANs
# (Radford et al. 2016), and both learning rates fall in the second half. The dashed line is a discriminator that
# guesses. Will the loss of the discriminator fall while the images get better?

# %% tags=["train"]
check.needs("discriminator_loss", "generator_loss", "GAN")
images = as_float(data.images).to(device)


def train(gan, rates, steps, title, *, moments=()):
    rng, losses, copies = torch.Generator().manual_seed(0), [], {}
    networks = [gan.generator.to(device), gan.discriminator.to(device)]
    both = [
        torch.optim.Adam(network.parameters(), lr, betas=(0.5, 0.99))
        for network, lr in zip(networks, rates)
    ]
    fall = [
        torch.optim.lr_scheduler.LambdaLR(o, lambda s: min(1.0, 2 - 2 * s / steps))
        for o in both
    ]
    line = {"baseline": 2 * math.log(2), "baseline_label": "guessing"}
    curve = plots.live_curve(steps, y_label="discriminator's loss", title=title, **line)
    for step in range(1, steps + 1):
        real = images[torch.randint(0, len(images), (64,), generator=rng).to(device)]
        z = torch.randn(64, code_dim, generator=rng).to(device)
        names = ("generator_optimizer", "discriminator_optimizer")
        losses.append(gan.step(real, z, **dict(zip(names, both))))
        curve(losses[-1][0])
        [schedule.step() for schedule in fall]
        if step in moments:
            copies[step] = copy.deepcopy(gan.generator)
    return losses, copies

# %% [markdown]
# The same eight codes are decoded after three moments of the training, so each column shows one code. **Predict** how
# many of the ten classes the samples cover at the end, and how probable it is that they are closer to real images, in
# features of the judge network, than the samples of a VAE that has trained for the same time.

# %% tags=["predict"]
predict.covered(...)  # a number of classes
predict.closer(...)  # a probability

# %% tags=["train"]
check.needs("discriminator_loss", "generator_loss", "GAN", "sample_images")
moments = settings.by_profile(
    smoke=(1, 2, 4), laptop=(100, 400, 800), full=(1_000, 4_000, 8_000)
)
with seeded(torch.Generator().manual_seed(0)):
    gan = GAN(image_shape, code_dim)
losses, copies = train(
    gan, (2e-3, 4e-4), moments[-1], "GAN on easy glyphs" if glyphs else "GAN",
    moments=moments,
)  # fmt: skip
samples = {
    step: sample_images(
        network, 2_000, code_dim, rng=torch.Generator().manual_seed(1)
    ).cpu()
    for step, network in copies.items()
}
rows = torch.cat([*(drawn[:8] for drawn in samples.values()), test_images[:8]])
title = f"After {moments[0]}, {moments[1]} and {moments[2]} steps; real test images"
alt = f"{title}. Three rows that become clearer, mixtures among them, and a real row."
plots.show(plots.image_grid(rows, columns=8, title=title, alt=alt))

# %% [markdown]
# Blobs become shapes. Many are recognizable, and others remain mixtures of two. In the meantime the discriminator's
# loss falls, so it improves faster than the generator. The loss is not a measure of quality, because it compares two
# networks that both change. To know whether the samples improve, count and measure them.
#
# *A natural break.*
#
# ## 5. Count and measure
#
# The judge network predicts a class for each sample. A generator that leaves out a class is cheap to detect: count how
# many classes have a share of at least two percent of the samples.
#
# ### Exercise 3.5: classes_covered (warm-up, 8 minutes)
#
# The check tries shares that are just large enough, and classes that are never predicted.

# %% nbgrader={"grade_id": "classes_covered", "solution": true}
def classes_covered(logits, *, min_share=0.02):
    """How many classes the predictions for a set of images cover.

    Args:
        logits: (N, K) float tensor, a judge network's logits of N images.
        min_share: a class is covered when at least this share of the N images is
            predicted to be of it; above 0, at most 1.

    Returns:
        The number of covered classes, a Python int.
    """
    ### BEGIN SOLUTION
    predicted = logits.argmax(dim=1)  # (N, K) -> (N,)
    shares = torch.bincount(predicted, minlength=logits.shape[1]) / len(logits)  # (K,)
    return int((shares >= min_share).sum())
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_classes_covered", "grade": true}
check.classes_covered(classes_covered)

# %% [markdown]
# The count says nothing about how real a sample looks. The *Fréchet distance* compares two sets of features as if both
# were normally distributed (Heusel et al. 2017). With means $\mu$ and covariances $\Sigma$:
#
# $$d = \lVert \mu_1 - \mu_2 \rVert^2 + \operatorname{tr}(\Sigma_1) + \operatorname{tr}(\Sigma_2) - 2
# \operatorname{tr}\big((\Sigma_1 \Sigma_2)^{1/2}\big)$$
#
# It is zero for equal means and covariances, and it grows when samples are blurred or alike, because then their
# features vary too little. The eigenvalues of $\Sigma_1 \Sigma_2$ are real and not negative, and the last trace is the
# sum of their square roots.
#
# ### Exercise 3.6: frechet_distance (hard, 15 minutes)
#
# The check tries equal sets, correlated features, very different scales, and fewer rows than columns, where rounding
# makes some eigenvalues slightly negative. Compute in float64.

# %% nbgrader={"grade_id": "frechet_distance", "solution": true}
def frechet_distance(first, second):
    """The squared Fréchet distance of two sets of features, as normal distributions.

    Args:
        first: (N, d) float tensor on the CPU, N and d at least 2.
        second: (M, d) float tensor; M may differ from N.

    Returns:
        A Python float: 0 for equal sets, the same with the sets exchanged.
        Covariances divide by N - 1 and M - 1, as those of torch.cov.
    """
    ### BEGIN SOLUTION
    a, b = first.double(), second.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)  # (d, d)
    roots = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt()  # (d,)
    means = ((a.mean(dim=0) - b.mean(dim=0)) ** 2).sum()
    return float(means + cov_a.trace() + cov_b.trace() - 2 * roots.sum())
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_frechet_distance", "grade": true}
check.frechet_distance(frechet_distance)

# %% [markdown]
# Now measure your samples, beside PCA's and beside real training images, in the features of the judge network.

# %% tags=["demo"]
check.needs(
    "discriminator_loss", "generator_loss", "GAN", "sample_images", "classes_covered",
    "frechet_distance",
)  # fmt: skip
real_features = extract_features(judge.encoder, test_images)  # (N, d)


def measure(name, drawn):
    covered = classes_covered(evaluation.predict(judge, drawn))
    features = extract_features(judge.encoder, drawn)
    distance = max(0.0, frechet_distance(features, real_features))  # rounding aside
    print(f"{name:28} {covered:2} of {num_classes} classes, distance {distance:5.2f}")
    return covered


measure("PCA with a random code", by_pca)
covered = [measure(f"GAN, {step} steps", drawn) for step, drawn in samples.items()]
measure("real training images", as_float(data.images[:2_000]))
predict.covered.compare(covered[-1])
predict.closer.compare()

# %% [markdown]
# | recorded, glyphs | classes covered | Fréchet distance |
# |---|---:|---:|
# | GAN, 100 steps | {{ result("training", "classes@100") | pm(digits=1) }} | {{
# result("training", "frechet@100") | pm }} |
# | GAN, 400 steps | {{ result("training", "classes@400") | pm(digits=1) }} | {{
# result("training", "frechet@400") | pm }} |
# | GAN, 800 steps | {{ result("training", "classes@800") | pm(digits=1) }} | {{
# result("training", "frechet@800") | pm }} |
# | VAE of unit 02's kind, same CPU time | {{ result("training", "vae_classes") | pm(digits=1) }} | {{
# result("training", "vae_frechet") | pm }} |
# | real training images | {{ result("training", "train_classes") | pm(digits=1) }} | {{
# result("training", "train_frechet") | pm }} |
#
# The distance falls from moment to moment, and ends below that of the VAE, {{ every_seed("frechet@100 > frechet@400,
# frechet@400 > frechet@800, vae_frechet > frechet@800", "training") }}. On MNIST it ends below that of the VAE, {{
# every_seed("frechet@400 > frechet@800, vae_frechet > frechet@800", "training", dataset="mnist") }}.
# The VAE covers all classes too, and real images are far closer than both.
#
# Only {{ result("training", "sure@800").mean | pct }} of the samples are predicted
# with a probability of at least $0.9$, but {{ result("training", "train_sure").mean | pct }} of real images. PCA's fog
# gets a distance of the same size as the GAN's first blobs, so look at the samples too.

# %% [markdown]
# ### Exercise 3.7: discriminator_loss_check (core, 12 minutes)
#
# A wrong loss rarely stops with an error. So write a check of Exercise 3.1. It is given a function, `candidate`. Call
# it on logits of your choice, and `assert` what the loss must be.
#
# **What is tried.** Three right functions and twenty wrong ones, the known mistakes of Exercise 3.1, come in random
# order, to be called as `candidate(real_logits, fake_logits)` with float32 tensors. Wrong ones return another value,
# some of them only for batches of different sizes or for large logits. Others return another type or shape, or a loss
# whose gradient does not reach both batches.
#
# **Points.** If your check stops a right function, it earns nothing. Otherwise the points are given by the share of
# wrong functions that it stops with an error. What it returns or prints does not count.

# %% nbgrader={"grade_id": "discriminator_loss_check", "solution": true}
def discriminator_loss_check(candidate):
    """Raises an error if `candidate` is not a right `discriminator_loss`.

    Args:
        candidate: a function of real_logits (N,) and fake_logits (M,), float tensors.
    """
    ### BEGIN SOLUTION
    real = torch.tensor([1.0, -2.0, 300.0, -250.0], requires_grad=True)
    fake = torch.tensor([0.5, 280.0, -1.0], requires_grad=True)
    loss = candidate(real, fake)
    expected = (F.softplus(-real).mean() + F.softplus(fake).mean()).item()
    assert loss.ndim == 0, "one number is asked for"
    assert abs(loss.item() - expected) < 1e-4 * expected, f"{loss} is not {expected}"
    loss.backward()
    for logits in (real, fake):
        assert logits.grad is not None and logits.grad.any(), "no gradient"
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_discriminator_loss_check", "grade": true}
check.discriminator_loss_check(discriminator_loss_check)

# %% [markdown]
# ## 6. Look inside
#
# Do nearby codes give similar images? Walk from one code towards two others. All codes on
# the way are scaled to the typical length of a random code, $\sqrt{32}$.

# %% tags=["demo"]
check.needs("discriminator_loss", "generator_loss", "GAN", "sample_images")
corners = torch.randn(3, code_dim, generator=torch.Generator().manual_seed(5))


def decode(knobs):
    towards = (corners[1:] - corners[0])[None]  # (1, 2, code_dim)
    codes = corners[0] + (knobs[:, :, None] * towards).sum(dim=1)  # (K, code_dim)
    codes = codes / codes.norm(dim=1, keepdim=True) * math.sqrt(code_dim)
    with eval_mode(gan.generator):
        return gan.generator(codes.to(device)).cpu()


ranges = {"to the second": (0.0, 1.0), "to the third": (0.0, 1.0)}
widgets.latent_explorer(
    decode, ranges, start=(0.0, 0.0), title="A walk between three codes"
)

# %% [markdown]
# Shapes change into each other smoothly. On average a sample is farther from its nearest training image than a real
# test image is, {{ every_seed("copying > test_copying", "training") }}. Copies would be closer, so this suggests that
# the generator has not memorized images, although noise in the samples adds to the distance.
#
# ## 7. The question of the course: what does the discriminator learn without labels?
#
# The discriminator has seen thousands of images without a label. It is compared with the same network with random
# weights, and with the same network after it has predicted rotations (unit 04), for as many steps on the same images.
# **Predict** the accuracy on the discriminator's frozen features with one label per class.

# %% tags=["predict"]
predict.features(...)  # between 0 and 1

# %% tags=["demo"]
predict.features.compare()
order = {
    "rotation_frozen": "rotation_frozen", "gan_frozen": "discriminator_frozen",
    "random_frozen": "random_frozen",
}  # fmt: skip
title, on = "Linear probe of the best block, easy images", {"dataset": data.name}
plots.show(plots.recorded_curves("03_adversarial", methods=order, title=title, **on))

# %% [markdown]
# {{ figures_table({"random, frozen": "random_frozen", "discriminator, frozen": "discriminator_frozen",
# "rotation, frozen": "rotation_frozen", "discriminator, fine-tuned": "discriminator_finetuned", "rotation, fine-tuned":
# "rotation_finetuned", "from scratch": "scratch"}, (1, 2, 5, 10), "label_curve") }}
#
# Random blocks already separate easy glyphs, so ten labels leave little to gain. With few labels the discriminator's
# frozen features are far better, {{ every_seed("discriminator_frozen@1 > random_frozen@1, discriminator_frozen@2 >
# random_frozen@2, discriminator_frozen@5 > random_frozen@5", "label_curve") }}, and about as good as those after
# rotation. Fine-tuned on five labels, rotation is ahead, {{ every_seed("rotation_finetuned@5 >
# discriminator_finetuned@5", "label_curve") }}. The glyphs of the other units have clutter and noise. There, in the
# course's protocol:
#
# {{ figures_table({"random encoder": "random_frozen", "GAN discriminator": "gan_frozen", "rotation":
# "rotation_frozen"}, (1, 10, 50), "protocol", head="frozen") }}
#
# Now the discriminator's features are about as good as random ones, and rotation is far ahead, {{
# every_seed("gan_frozen@10 < rotation_frozen@10", "protocol") }}. So what a
# discriminator learns depends on the images.

# %% [markdown]
# ## 8. When it fails: a few pictures for all codes
#
# In *mode collapse* the generator maps all codes to a few images. We cause it by unequal learning rates. Two small
# networks without convolutions are trained twice: once with equal rates, and once with a generator that learns 25 times
# as fast as the discriminator. A discriminator that guesses has the loss $2 \log 2 \approx 1.39$. **Predict** the
# discriminator's loss at the end of the second run.

# %% tags=["predict"]
predict.calm(...)  # nats

# %% tags=["train"]
check.needs("discriminator_loss", "generator_loss", "GAN", "sample_images")


def small_gan():
    d = math.prod(image_shape)
    with seeded(torch.Generator().manual_seed(0)):
        gan = GAN(image_shape, code_dim)
        gan.generator = nn.Sequential(
            nn.Linear(code_dim, 128), nn.BatchNorm1d(128), nn.ReLU(),
            nn.Linear(128, 256), nn.BatchNorm1d(256), nn.ReLU(),
            nn.Linear(256, d), nn.Sigmoid(), nn.Unflatten(1, image_shape),
        )  # fmt: skip
        gan.discriminator = nn.Sequential(
            nn.Flatten(), nn.Linear(d, 256), nn.LeakyReLU(0.2), nn.Dropout(0.3),
            nn.Linear(256, 128), nn.LeakyReLU(0.2), nn.Dropout(0.3),
            nn.Linear(128, 1), nn.Flatten(0),
        )  # fmt: skip
    return gan


small_steps = settings.by_profile(smoke=3, laptop=1_000, full=10_000)
pair = {"equal rates": small_gan(), "fast generator": small_gan()}
for (title, small), rates in zip(pair.items(), ((5e-4, 5e-4), (5e-3, 2e-4))):
    losses, _ = train(small, rates, small_steps, title)
last = [d_loss for d_loss, _ in losses[-max(1, small_steps // 10) :]]
predict.calm.compare(sum(last) / len(last))

# %% [markdown]
# Look at both curves before you look at the samples. Which one would you stop?

# %% tags=["demo"]
check.needs(
    "discriminator_loss", "generator_loss", "GAN", "sample_images", "classes_covered",
    "frechet_distance",
)  # fmt: skip


def nearest_other(images):
    """The mean distance of an image to its nearest other image, over all pixels."""
    distances = torch.cdist(images.flatten(1), images.flatten(1))  # (N, N)
    return float(distances.fill_diagonal_(math.inf).min(dim=1).values.mean())


drawn = {
    title: sample_images(
        small.generator, 2_000, code_dim, rng=torch.Generator().manual_seed(1)
    ).cpu()
    for title, small in pair.items()
}
for title, images_of_one in (drawn | {"real test images": test_images}).items():
    measure(title, images_of_one)
    print(f"{'':28} nearest other image: {nearest_other(images_of_one[:500]):.2f}")
rows = torch.cat([images_of_one[:10] for images_of_one in drawn.values()])
alt = "Two rows of ten: blurred shapes that differ, and a few noisy ones that repeat."
plots.show(plots.image_grid(
    rows, columns=10, title="Samples: equal rates; fast generator", alt=alt
))  # fmt: skip

# %% [markdown]
# | recorded | equal rates | fast generator | real |
# |---|---:|---:|---:|
# | distance to the nearest other sample | {{ result("collapse", "nearest_balanced") | pm }} | {{
# result("collapse", "nearest_collapsed") | pm }} | {{ result("collapse", "real_nearest") | pm }} |
# | classes covered | {{ result("collapse", "classes_balanced").mean | num(1) }} | {{
# result("collapse", "classes_collapsed").mean | num(1) }} | {{ result("training", "train_classes").mean | num(1) }} |
# | discriminator's loss at the end | {{ result("collapse", "d_loss_balanced").mean | num(2) }} | {{
# result("collapse", "d_loss_collapsed").mean | num(2) }} | |
# | generator's loss at the end | {{ result("collapse", "g_loss_balanced").mean | num(2) }} | {{
# result("collapse", "g_loss_collapsed").mean | num(2) }} | |
#
# The samples of the fast generator repeat a few pictures, {{ every_seed("nearest_collapsed < 0.5,
# nearest_balanced > 1.0", "collapse") }}. The count of classes shows little of it, because the judge network predicts
# several classes for such pictures. The losses hardly differ either. Both discriminators are close to guessing, which
# suggests that the fast generator moves its picture before the discriminator can follow. So a loss that hardly
# changes does not show that training goes well. Draw many codes, and measure how much the samples differ.

# %% [markdown] nbgrader={"grade_id": "calm_losses", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A colleague trains a GAN on photographs of ten kinds of fruit. They report that both
# losses are calm, the discriminator's at `1.39` and the generator's at `0.69`, and they show one sample, a very good
# apple. They conclude that the training has converged. In four to six sentences, say (a) what these two losses mean and
# why they do not show that the generator has learned the data, (b) which failure would look exactly like this, and why
# the discriminator does not stop it, and (c) what you would measure, on which samples, and what you would change first.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* `1.39` is 2 log 2 and `0.69` is log 2: the discriminator answers one half for every image, so it
# guesses. This happens when generated images cannot be told from real ones, but also when the discriminator is too weak
# or too slow, so the losses do not decide. Mode collapse looks exactly like this: every code gives the same apple, and
# as soon as the discriminator has learned that this apple is drawn, the fast generator moves to another picture. The
# discriminator sees single images, and a single apple is not suspicious. I would draw a thousand codes, look at a grid
# of them, count the classes by a classifier that was trained on real fruit, and measure the distance of each sample to
# its nearest other sample, beside that of real images. First I would make the learning rate of the generator as small
# as that of the discriminator, or give the discriminator more steps.
#
# *Sample answer (2).* The losses mean that the discriminator is at 50 percent and does not know what is real. It could
# be mode collapse, where the generator always draws the same apple, and it fools the discriminator. They should look at
# many samples and not only at one.
#
# *Sample answer (1).* A GAN's losses do not say much. I would train it longer and use a better architecture.
#
# *Rubric.* One point each. (a) reads the numbers as guessing (2 log 2 and log 2, or probability one half) AND says that
# a weak or slow discriminator gives them too. (b) names mode collapse AND a reason that the discriminator does not stop
# it (it judges images one by one, or the generator moves faster). (c) measures variety over many samples (classes
# covered, or better distances between samples) AND names a change that concerns the balance of the two networks. "Train
# longer" earns no point for (c).
# ### END SOLUTION

# %% [markdown]
# ## 9. Quiz
#
# Ungraded. Answer first, then open. Your predictions are summed up below.
#
# <details><summary>1. Where does <code>detach</code> belong, and where must it not be?</summary> In the discriminator's
# loss, around the drawn images. In the generator's loss it would cut off the only gradient that the generator
# has.</details>
#
# <details><summary>2. All ten classes are covered. Can the generator have collapsed?</summary> Yes, to one picture per
# class. The count does not see it, but the distance to the nearest other sample does.</details>
#
# <details><summary>3. Your Fréchet distance is lower than that in a paper. Is your model better?</summary> You cannot
# know. The number depends on the judge network, the number of samples and the data.</details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# - Two networks in competition learn to draw easy glyphs. In 800 steps the samples cover all classes, and their Fréchet
#   distance ends below that of a VAE of the same time, {{ every_seed("vae_frechet > frechet@800", "training") }}. Real
#   images are still far closer.
# - The losses do not show a collapse, and a count of classes shows little. Measure how much samples differ.
# - Each network learns from its own loss. Drawn images are detached for the discriminator, and the generator's gradient
#   passes through it.
# - The non-saturating loss has a gradient where the discriminator is confident.
# - The discriminator's frozen features separate easy glyphs with very few labels, but fine-tuned they gain less than
#   those after rotation. On glyphs with clutter they are about as good as random ones.

# %% [markdown]
# ## What became of it
#
# For some years GANs were the **best image generators**, from DCGAN to StyleGAN. Today diffusion models and
# transformers draw most images, because they are easier to train and cover the data better. The learned loss has
# stayed: the autoencoders in front of diffusion models are trained with a discriminator. **Language models** are tuned
# by human feedback with a reward model, also a learned loss.
#
# In **medicine**, GANs translate between kinds of scans, and invented details are a danger there. In **finance** they
# simulate rare days. In **robotics** they make simulated pictures look real. Domain adaptation uses the same idea, with
# features that a discriminator cannot assign to a domain.

# %% [markdown]
# **Further reading.**
#
# - Goodfellow et al. (2014), *Generative Adversarial Nets*: the game, and why its solution is the data's distribution.
# - Radford et al. (2016), *Unsupervised Representation Learning with Deep Convolutional GANs*: the recipe of section 4,
#   and discriminator features as pretraining.
# - Lucic et al. (2018), *Are GANs Created Equal?*, which compares many losses fairly. The seed and the budget matter
#   more than the loss.
#
# **Challenge.** Get below a Fréchet distance of {{ result("training", "frechet@800").mean | num(2) }} with 800 steps of
# 64 images. You may change both networks, the rates and the loss.
#
# **Bonus.** (1) `COURSE_DATASET=mnist`: which digit is drawn worst? (2) Train with the saturating loss. Does it fail?
# (3) Give the generator of section 8 a rate of 5e-4 in the middle of its training. Does it recover?
