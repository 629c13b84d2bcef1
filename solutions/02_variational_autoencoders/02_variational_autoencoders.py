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
# # Variational autoencoders: learning to draw
#
# *An autoencoder copies images. What has to change so that it can also draw new ones from noise, and tell how probable
# an image is?*
#
# **You will** draw codes through which gradients flow, write the loss of a variational autoencoder, the model itself
# and a tighter bound. **You will measure** nats per image, what the code knows about known factors and about classes,
# and how a code becomes useless.
#
# **You need** encoder and decoder of an autoencoder (one network maps an image to a short code and one maps it back, as
# in unit 01), and mean, variance and Bayes' rule ([chapter 3 of the Deep Learning
# book](https://www.deeplearningbook.org/contents/prob.html)).
#
# **Time**: about 2 to 2.5 hours in two sittings, with a natural break after section 4. The computer needs 3 minutes of
# it. *Recorded* numbers are mean ± standard deviation over three seeds.

# %% [markdown]
# **Warm up** with two questions from earlier units.
#
# <details><summary>1. <code>F.mse_loss</code> of two batches of 28 by 28 gray images: how much smaller is it than the
# squared error per image?</summary> 784 times, because it also averages over the pixels.</details>
#
# <details><summary>2. What is the input of a denoising autoencoder, and what is its target?</summary> The corrupted
# image is the input, and the clean one is the target.</details>

# %% tags=["setup"]
import functools
import itertools
import math

import torch
from torch import nn
from torch.distributions import Bernoulli, Normal
from torch.nn import functional as F

from course_lib import evaluation, plots, settings, widgets
from course_lib.data import Batches, as_float, load, split_labels
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import eval_mode, seeded
from course_lib.training import fit

# %% tags=["setup"]
check = checks_for("02_variational_autoencoders")
predict = predictions_for("02_variational_autoencoders")
plain = {"clutter": 0.0, "noise": 0.0} if settings.dataset_name() == "glyphs" else {}
data = load(n=settings.by_profile(smoke=1_000, laptop=10_000, full=40_000), **plain)
test = load(
    split="test", n=settings.by_profile(smoke=300, laptop=2_000, full=2_000), **plain
)
device = settings.device()
steps = settings.by_profile(smoke=4, laptop=1_500, full=10_000)
image_shape, code_dim = tuple(data.images.shape[1:]), 10


def pixel_probs(data):
    """How probable a pixel is white: 0 or 1 in a silhouette, else its gray value."""
    images = as_float(data.images)  # (N, C, H, W) in [0, 1]
    if data.name != "glyphs":
        return images
    level = data.factors["background"] + 0.75 * data.factors["contrast"]
    return (images > level[:, None, None, None]).float()


def black_or_white(probs, *, generator):
    """Black or white pixels, drawn with these probabilities."""
    return (torch.rand(probs.shape, generator=generator).to(probs) < probs).float()

# %% [markdown]
# ## 1. What does an image cost?
#
# In this unit every pixel is black or white. A model gives an image a probability $p(x)$, and $-\log p(x)$ is the
# number of *nats* that it takes to write the image down. A nat is a unit of information, $1/\log 2 \approx 1.44$ bits.
# Expected images cost few nats, and surprising ones cost many. So nats per image measure how much a model knows about
# images; fewer is better.
#
# The simplest model knows only how often each pixel is white, independently of the others. The cell measures this model
# and draws images from it. It also draws random codes and decodes them with *PCA*, which is a linear autoencoder.

# %% tags=["demo"]
from sklearn.decomposition import PCA

generator = torch.Generator().manual_seed(0)
train_probs = pixel_probs(data)
test_images = black_or_white(pixel_probs(test), generator=generator).to(device)
often = train_probs.mean(dim=0).clamp(1e-3, 1 - 1e-3)  # (C, H, W)
cost = F.binary_cross_entropy(often.expand(test_images.shape), test_images.cpu())
by_pixel = float(cost) * math.prod(image_shape)
print(f"each pixel by itself: {by_pixel:.1f} nats per image")
pca = PCA(code_dim, whiten=True, random_state=0).fit(train_probs.flatten(1).numpy())
by_pca = pca.inverse_transform(torch.randn(8, code_dim, generator=generator).numpy())
rows = {
    "real": test_images[:8],
    "by pixel": black_or_white(often.expand(8, *image_shape), generator=generator),
    "PCA": by_pca.reshape(8, *image_shape).clip(0, 1),
}
alt = "Three rows: real shapes, then scattered pixels, then blurred shapes."
plots.show(plots.image_rows(rows, title="Real, and drawn by two models", alt=alt))

# %% [markdown]
# The pixel model draws scattered pixels, and PCA draws blurred shapes. The number above is our baseline. PCA gives no
# probability of an image. Its random codes rarely decode to a real-looking image, because its training does not
# constrain the codes between those of real images.
#
# ## 2. A code with noise
#
# A *variational autoencoder* (VAE; Kingma and Welling 2014) trains these codes too. Its encoder gives a distribution
# of codes for each image, $q(z|x) = \mathcal N(\mu, \sigma^2)$, and the decoder must rebuild the image from any code
# drawn from it. A *latent* is one of the numbers of a code.
#
# The encoder returns `mu` and the *log-variance* `logvar` $= \log \sigma^2$, both `(N, code_dim)`. A variance must be
# positive, but its logarithm may be any number. No gradient passes through a random draw. Therefore the
# *reparameterization trick* moves the randomness into $\varepsilon$:
#
# $$z = \mu + \sigma \varepsilon, \qquad \varepsilon \sim \mathcal N(0, 1)$$
#
# ### Exercise 2.1: reparameterize (core, 12 minutes)

# %% nbgrader={"grade_id": "reparameterize", "solution": true}
def reparameterize(mu, logvar, *, generator):
    """Draws a code for each image, so that gradients reach mu and logvar.

    Args:
        mu: (N, code_dim) float tensor, the means; it is not changed.
        logvar: (N, code_dim) float tensor, logarithms of the variances; it is not
            changed.
        generator: CPU torch.Generator that all random numbers come from.

    Returns:
        (N, code_dim) tensor: normal, with these means and variances, every entry with
        noise of its own.
    """
    ### BEGIN SOLUTION
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)  # its device and dtype
    return mu + torch.exp(0.5 * logvar) * epsilon
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_reparameterize", "grade": true}
check.reparameterize(reparameterize)

# %% [markdown]
# ## 3. What a code costs
#
# So far nothing prevents the encoder from making $\sigma$ tiny and the means far apart, and then the model is an
# ordinary autoencoder again. Therefore each code has a price. It is the *Kullback-Leibler divergence* (KL) from the
# *prior* $p(z) = \mathcal N(0, 1)$, the distribution from which codes will later be drawn. For each latent it is
#
# $$\mathrm{KL} = \tfrac12 \left( \mu^2 + \sigma^2 - 1 - \log \sigma^2 \right)$$
#
# It is zero for a latent that ignores the image ($\mu = 0$, $\sigma = 1$), and grows when $\mu$ moves away from zero or
# $\sigma$ shrinks. The KL pulls the $q(z|x)$ of *each* image towards the prior. As a result, codes drawn from the prior
# lie near codes of images.

# %% tags=["demo"]
plots.show(plots.diagram_vae())

# %% [markdown]
# Gradients reach $\mu$ and $\sigma$ through the code, because the noise is an input. The lower row shows the purpose of
# the KL. The codes of all images together (the *aggregate posterior*) should be distributed like the prior.
#
# ### Exercise 2.2: kl_divergence (warm-up, 10 minutes)

# %% nbgrader={"grade_id": "kl_divergence", "solution": true}
def kl_divergence(mu, logvar):
    """What each latent of each image costs: KL(N(mu, exp(logvar)) || N(0, 1)).

    Args:
        mu: (N, code_dim) float tensor.
        logvar: (N, code_dim) float tensor, logarithms of the variances.

    Returns:
        (N, code_dim) tensor in nats, nothing summed; gradients flow to both.
    """
    ### BEGIN SOLUTION
    return 0.5 * (mu**2 + torch.exp(logvar) - 1 - logvar)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_kl_divergence", "grade": true}
check.kl_divergence(kl_divergence)

# %% [markdown]
# Why is this the right price? By *Jensen's inequality* the logarithm of a mean is at least the mean of the logarithms,
# so for every $q$
#
# $$\log p(x) = \log \mathbb E_{q(z|x)} \frac{p(x|z)\, p(z)}{q(z|x)} \;\ge\;
# \mathbb E_{q(z|x)} \log \frac{p(x|z)\, p(z)}{q(z|x)}$$
#
# $$= \underbrace{\mathbb E_{q(z|x)} \log p(x|z)}_{\text{reconstruction}} -
# \underbrace{\mathrm{KL}\big(q(z|x) \,\|\, p(z)\big)}_{\text{cost of the code}}$$
#
# The last line is the *evidence lower bound* (ELBO). The gap is $\mathrm{KL}(q(z|x) \,\|\, p(z|x))$: how far $q$ is
# from the true *posterior*. We minimize the negative ELBO. With logits $\ell$ from the decoder, $-\log p(x|z)$ is the
# binary cross-entropy of all pixels, and one draw of $z$ stands for the expectation:
#
# $$L = \frac1N \sum_{n=1}^{N} \Big[ \sum_{p} \mathrm{BCE}(\ell_{np}, x_{np}) + \beta \sum_{j} \mathrm{KL}_{nj} \Big]$$
#
# Pixels and latents are summed, and images are averaged. Only then are both terms in nats. With $\beta = 1$ this is the
# bound.
#
# ### Exercise 2.3: negative_elbo (core, 15 minutes)

# %% nbgrader={"grade_id": "negative_elbo", "solution": true}
def negative_elbo(logits, images, kl, *, beta=1.0):
    """The loss of a VAE in nats per image.

    Args:
        logits: (N, C, H, W) float tensor, before any squashing; they may be large.
        images: (N, C, H, W) float tensor with values in [0, 1].
        kl: (N, code_dim) float tensor, what each latent costs.
        beta: weight of the KL.

    Returns:
        A tensor with a single number: summed over pixels and latents, averaged over
        images.
    """
    ### BEGIN SOLUTION
    # (N, C, H, W)
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    reconstruction = per_pixel.flatten(1).sum(dim=1)  # (N, C, H, W) -> (N,)
    return (reconstruction + beta * kl.sum(dim=1)).mean()
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_negative_elbo", "grade": true}
check.negative_elbo(negative_elbo)

# %% [markdown]
# ## 4. Putting it together
#
# In the first steps the decoder cannot use the code yet, but the code already costs nats. So the loss falls fastest
# when the encoder sets the KL of latents to zero, and some of these latents are never used again. *KL warm-up* should
# avoid this: the weight of the KL rises from 0 during the first steps.
#
# ### Exercise 2.4: kl_warmup (warm-up, 8 minutes)

# %% nbgrader={"grade_id": "kl_warmup", "solution": true}
def kl_warmup(step, warmup_steps, *, beta=1.0):
    """The weight of the KL at a step: a straight line from 0 to beta, then beta.

    Args:
        step: how many steps are done, from 0.
        warmup_steps: at this step beta is reached, and it stays; 0 means no warm-up,
            beta from the start.
        beta: the final weight.

    Returns:
        A plain number between 0 and beta.
    """
    ### BEGIN SOLUTION
    if warmup_steps == 0:
        return beta
    return beta * min(1.0, step / warmup_steps)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_kl_warmup", "grade": true}
check.kl_warmup(kl_warmup)

# %% [markdown]
# `encode` ends in two linear layers, or in one of twice the length that is cut in two, so each latent has a mean and a
# variance of its own.
#
# ### Exercise 2.5: VAE (hard, 25 minutes)
#
# Any layers will do, such as two hidden ones each way (512 and 256 units). `draw(mu, logvar)` returns codes, as
# your `reparameterize` does. Call it once per `forward`, in train and eval mode. `sample` draws codes from the prior on
# the CPU from `generator`, moves them to the device of the weights, and returns the probability that each pixel is
# white, in eval mode with the mode restored (`eval_mode`).
#
# The check uses several image shapes, and one image in eval mode. Every weight is made in `__init__` and gets a
# gradient. In 100 steps of `Adam(lr=0.005)` on a few small pictures the bound must fall below `0.9` of the cost by
# pixel.

# %% nbgrader={"grade_id": "VAE", "solution": true}
class VAE(nn.Module):
    """encode(images): (N, C, H, W) -> mu, logvar, both (N, code_dim), of any sign
    decode(z): (N, code_dim) -> logits (N, C, H, W), not squashed
    forward(images, draw): -> logits, mu, logvar, where z is draw(mu, logvar)
    sample(count, generator): -> probabilities (count, C, H, W), without gradient
    """

    def __init__(self, image_shape, code_dim):
        super().__init__()
        ### BEGIN SOLUTION
        self.code_dim, d = code_dim, math.prod(image_shape)
        down = [nn.Linear(d, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU()]
        self.encoder = nn.Sequential(nn.Flatten(), *down, nn.Linear(256, 2 * code_dim))
        up = [nn.Linear(code_dim, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU()]
        last = [nn.Linear(512, d), nn.Unflatten(1, tuple(image_shape))]
        self.decoder = nn.Sequential(*up, *last)
        ### END SOLUTION

    def encode(self, images):
        ### BEGIN SOLUTION
        return self.encoder(images).chunk(2, dim=1)  # (N, 2 * code_dim) -> mu, logvar
        ### END SOLUTION

    def decode(self, z):
        ### BEGIN SOLUTION
        return self.decoder(z)
        ### END SOLUTION

    def forward(self, images, draw):
        ### BEGIN SOLUTION
        mu, logvar = self.encode(images)
        return self.decode(draw(mu, logvar)), mu, logvar
        ### END SOLUTION

    def sample(self, count, *, generator):
        ### BEGIN SOLUTION
        z = torch.randn(count, self.code_dim, generator=generator)
        with eval_mode(self), torch.no_grad():
            return self.decode(z.to(next(self.parameters()))).sigmoid()
        ### END SOLUTION

# %% nbgrader={"grade_id": "check_VAE", "grade": true}
check.VAE(VAE)

# %% [markdown]
# In each batch the black and white pixels are drawn again from their probabilities. The dashed line of the figure is
# the baseline. Why may the loss rise in the first half of the run? **Predict** the nats per test image at the end.

# %% tags=["predict"]
predict.nats(...)  # nats per image

# %% tags=["train"]
check.needs("reparameterize", "kl_divergence", "negative_elbo", "kl_warmup", "VAE")


def train(
    probs, title, *, loss_fn=negative_elbo, code_dim=code_dim, steps=steps, beta=1.0,
    **baseline,
):  # fmt: skip
    generator, done = torch.Generator().manual_seed(0), itertools.count()
    with seeded(generator):
        model = VAE(image_shape, code_dim)
    draw = functools.partial(reparameterize, generator=generator)

    def loss(model, images):
        logits, mu, logvar = model(images, draw)
        weight = kl_warmup(next(done), steps // 2, beta=beta)
        return loss_fn(logits, images, kl_divergence(mu, logvar), beta=weight)

    options = {"shuffle": True, "generator": generator, "augment": black_or_white}
    batches = Batches(probs, batch_size=128, **options)
    curve = plots.live_curve(steps, y_label="nats per image", title=title, **baseline)
    fit(model, batches, loss, steps=steps, lr=2e-3, label=title, on_step=curve)
    return model.eval()


vae = train(
    train_probs, "VAE", baseline=by_pixel, baseline_label="each pixel by itself"
)

# %% [markdown]
# While the weight of the KL grows, the loss may rise, because the same code costs more at every step. Next come the
# bound on test images, and images that are drawn from noise alone.

# %% tags=["demo"]
check.needs("reparameterize", "kl_divergence", "negative_elbo", "kl_warmup", "VAE")


@torch.no_grad()
def measure(model, images):
    """Nats per image, the KL of each latent, the means mu, the reconstructions."""
    generator = torch.Generator().manual_seed(0)
    draw = functools.partial(reparameterize, generator=generator)
    logits, mu, logvar = model(images, draw)
    kl = kl_divergence(mu, logvar)  # (N, code_dim)
    nats, costs = float(negative_elbo(logits, images, kl)), kl.mean(dim=0).cpu()
    print(f"{nats:.1f} nats per image, of which the code takes {costs.sum():.1f}")
    return nats, costs, mu.cpu(), logits.sigmoid().cpu()


nats, costs, mu, x_hat = measure(vae, test_images)
predict.nats.compare(nats)
plots.show(plots.reconstructions(
    test_images[:8], x_hat[:8], title=f"Through {code_dim} uncertain numbers"
))
samples = vae.sample(24, generator=torch.Generator().manual_seed(1))
plots.show(plots.image_grid(samples, columns=12, title="Drawn from noise"))

# %% [markdown]
# The reconstructions show the right shapes, but edges are blurred, because the code is short and uncertain. Of the
# samples some look like glyphs and others like mixtures of two. Compare them with the two models of section 1. The
# table has the negative ELBO, which bounds $-\log p(x)$ from above, so lower is better. More steps make it lower:
#
# | recorded, 20,000 glyphs | pixels alone | 400 steps | 1,200 steps | 2,500 steps |
# |---|---:|---:|---:|---:|
# | nats per image | {{ result("bound", "by_pixel").mean | num(1) }} | {{
# result("collapse", "negative_elbo_healthy").mean | num(1) }} | {{
# result("disentanglement", "negative_elbo@1").mean | num(1) }} | {{ result("bound", "negative_elbo").mean | num(1) }} |
#
# Your run has 10,000 images and 1,500 steps, so expect a higher number than the last one. On binarized MNIST, twenty
# latents and 6,000 steps reach **{{ result("bound", "negative_elbo", dataset="mnist") | pm(digits=1) }}** nats. A bound
# below 75 or above 200 there means that a reduction is probably wrong.

# %% [markdown]
# In shorter runs on MNIST warm-up lowers the negative ELBO, and more of the code is used, {{
# every_seed("negative_elbo_with < negative_elbo_without, kl_with > kl_without", "warmup", dataset="mnist") }}:
#
# | recorded, nats per image | negative ELBO | of which KL |
# |---|---:|---:|
# | with warm-up | {{ result("warmup", "negative_elbo_with", dataset="mnist") | pm(digits=1) }} | {{
# result("warmup", "kl_with", dataset="mnist").mean | num(1) }} |
# | full KL from the start | {{ result("warmup", "negative_elbo_without", dataset="mnist") | pm(digits=1) }} | {{
# result("warmup", "kl_without", dataset="mnist").mean | num(1) }} |
#
# *A natural break.*
#
# ## 5. Look inside
#
# What does one latent mean? A *latent traversal* takes the code of an image, sets one latent to several values, leaves
# the others as they are, and decodes each code.
#
# Each row is one latent, from $-3$ to $3$. The first three have the highest KL, and the last two have the lowest. What
# will the last rows look like? **Predict** how many of the ten latents cost at least $0.05$ nats.

# %% tags=["predict"]
predict.used(...)  # a number of latents

# %% tags=["demo"]
check.needs("reparameterize", "kl_divergence", "negative_elbo", "kl_warmup", "VAE")
predict.used.compare((costs >= 0.05).sum())
order = costs.argsort(descending=True)  # (code_dim,)
shown = torch.cat([order[:3], order[-2:]])


def decode(values):
    codes = mu[0].repeat(len(values), 1)  # (K, code_dim)
    codes[:, shown] = values
    return vae.decode(codes.to(device)).sigmoid().cpu()


ranges = {f"latent {dim + 1}: {costs[dim]:.2f} nats": (-3.0, 3.0) for dim in shown}
start = mu[0, shown].clamp(-3, 3).tolist()
widgets.latent_explorer(decode, ranges, start=start, title="Each row: one latent")

# %% [markdown]
# High-KL latents change the image most, and low-KL latents change it less. A latent with a KL of zero is not used at
# all. A row rarely changes one thing only, since place, size and kind of shape are mixed. Move a slider, and the other
# rows change too, because they start from the new code.

# %% [markdown]
# With two latents the whole space of codes can be drawn. The cell trains on glyphs that hardly move, so that two
# numbers are enough. The model sees no labels. Will the classes form clusters?

# %% tags=["train"]
check.needs("reparameterize", "kl_divergence", "negative_elbo", "kl_warmup", "VAE")
still = {**plain, "jitter": 0.3} if plain else {}
quiet, quiet_test = load(n=len(data) // 2, **still), load(split="test", **still)
steps_of_two = settings.by_profile(smoke=4, laptop=1_000, full=5_000)
flat = train(pixel_probs(quiet), "Two latents", code_dim=2, steps=steps_of_two)
generator = torch.Generator().manual_seed(0)
shapes = black_or_white(pixel_probs(quiet_test), generator=generator).to(device)
names = ("first latent", "second latent")
plots.show(plots.latent_map(
    measure(flat, shapes)[2], quiet_test.labels, data.class_names, axis_names=names,
    title="Codes of test images",
))  # fmt: skip
ticks = Normal(0, 1).icdf(torch.linspace(0.04, 0.96, 9))  # even under the prior
grid = torch.cartesian_prod(ticks.flip(0), ticks).flip(1)  # (81, 2)
with torch.no_grad():
    pictures = flat.decode(grid.to(device)).sigmoid()
alt = "Nine by nine pictures: classes turn into each other by way of mixtures."
title = "Decoded from an even grid of codes"
plots.show(plots.image_grid(pictures, columns=9, title=title, alt=alt))

# %% [markdown]
# On glyphs that hardly move, most of what differs between images is the class. So classes form clusters, without any
# label. The clusters lie side by side and leave little room in the middle of the prior, but codes between two clusters
# decode to mixtures that are not valid glyphs.
#
# ## 6. A tighter bound
#
# The ELBO is below $\log p(x)$ by the gap of section 3. Several draws per image make the gap smaller (Burda et al.
# 2016). Draw $z_1, \dots, z_K$ from $q(z|x)$, weight each draw, and take the logarithm of the *mean weight*. With
# $K = 1$ it is the ELBO again.
#
# $$\log p(x) \ge \mathbb E \log \frac1K \sum_{k=1}^{K} w_k, \qquad w_k = \frac{p(x|z_k)\, p(z_k)}{q(z_k|x)}$$
#
# ### Exercise 2.6: importance_weighted_bound (hard, 12 minutes)
#
# You are given logarithms, `(K, N)` each, because the weights themselves are too small for floating-point numbers.

# %% nbgrader={"grade_id": "importance_weighted_bound", "solution": true}
def importance_weighted_bound(log_px_given_z, log_pz, log_qz):
    """The importance-weighted bound on log p(x), for each image.

    Args:
        log_px_given_z: (K, N) float tensor, log p(x|z) of K samples for each of N
            images.
        log_pz: (K, N), log p(z) of the same samples.
        log_qz: (K, N), log q(z|x), under the distribution that they were drawn from.

    Returns:
        (N,) tensor in nats, also where the weights under- or overflow; gradients flow
        to all three.
    """
    ### BEGIN SOLUTION
    log_w = log_px_given_z + log_pz - log_qz  # (K, N)
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_importance_weighted_bound", "grade": true}
check.importance_weighted_bound(importance_weighted_bound)

# %% [markdown]
# The cell computes the bound for some test images, and draws the recorded bound. Both are written as a bound on
# $-\log p(x)$, so lower is tighter. **Predict**: how many nats lower is it with a hundred samples than with one?

# %% tags=["predict"]
predict.gap(...)  # nats per image

# %% tags=["demo"]
check.needs(
    "reparameterize", "kl_divergence", "negative_elbo", "kl_warmup", "VAE",
    "importance_weighted_bound",
)  # fmt: skip


@torch.no_grad()
def log_terms(model, images, num_samples):
    """log p(x|z), log p(z) and log q(z|x), each (num_samples, N)."""
    generator, terms = torch.Generator().manual_seed(0), []
    mean, logvar = model.encode(images)
    prior, posterior = Normal(0.0, 1.0), Normal(mean, torch.exp(0.5 * logvar))
    for _ in range(num_samples):
        z = reparameterize(mean, logvar, generator=generator)  # (N, code_dim)
        pixels = Bernoulli(logits=model.decode(z)).log_prob(images)  # (N, C, H, W)
        each = pixels, prior.log_prob(z), posterior.log_prob(z)
        terms.append([log_p.flatten(1).sum(dim=1) for log_p in each])
    return [torch.stack(term) for term in zip(*terms)]


for count in (1, 10, 100):
    bound = importance_weighted_bound(*log_terms(vae, test_images[:200], count)).mean()
    print(f"{count:4} samples: -log p(x) is at most {-bound:.1f} nats")
predict.gap.compare()
labels = {"x_label": "samples per image", "y_label": "bound on -log p(x), nats"}
plots.show(plots.recorded_curves(
    "02_variational_autoencoders", "bound", {"vae": "nats"}, dataset=data.name,
    title="More samples, a tighter bound", percent=False, **labels,
))  # fmt: skip

# %% [markdown]
# | recorded, nats per image | one sample | a hundred samples |
# |---|---:|---:|
# | glyphs | {{ result("bound", "nats@1").mean | num(1) }} | {{ result("bound", "nats@100").mean | num(1) }} |
# | MNIST | {{ result("bound", "nats@1", dataset="mnist").mean | num(1) }} | {{
# result("bound", "nats@100", dataset="mnist").mean | num(1) }} |
#
# The curve falls and becomes flatter, so each further sample helps less. The model has not changed. Only the bound is
# tighter, so always say which bound you report.
#
# ## 7. Has it found the factors?
#
# Glyphs are drawn from known factors. How much of a factor does a straight line in one latent explain ($R^2$, on images
# that were not used to fit the line)? The last row of the figure uses all latents together. The factor `contrast` is
# not visible in silhouettes, so it is a control.

# %% tags=["demo"]
check.needs("reparameterize", "kl_divergence", "negative_elbo", "kl_warmup", "VAE")
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score

names = ("x", "y", "scale", "aspect", "tilt", "shape", "mirrored", "contrast")
factors = {name: test.factors[name] for name in names if name in test.factors} or {
    name: (test.labels == k).float() for k, name in enumerate(data.class_names)
}
columns = {f"latent {dim + 1}": mu[:, [dim]] for dim in order} | {"all latents": mu}


def explained(codes, values):
    """R2 of a linear regression on images that were not used to fit it, or 0."""
    scores = cross_val_score(LinearRegression(), codes.numpy(), values.numpy(), cv=2)
    return max(0.0, scores.mean())


shares = [[explained(codes, v) for v in factors.values()] for codes in columns.values()]
title = "How much of each factor is known (R²)"
plots.show(plots.share_table(shares, list(columns), list(factors), title=title))

# %% [markdown]
# The control `contrast` should be near zero. Elsewhere the last row is the highest, because a factor is spread over
# several latents.
#
# *Disentanglement* means one latent per factor. A larger $\beta$ should help (Higgins et al. 2017). Recorded means over
# `x`, `y` and `scale`, in percent:
#
# {{ figures_table({"$R^2$, all latents": "all", "$R^2$, best single latent": "single", "mutual information gap (MIG)":
# "mig"}, {"PCA": "_pca", "untrained": "_random", "$\\beta = 1$": "@1", "$\\beta = 4$": "@4", "$\\beta = 10$": "@10"},
# "disentanglement", head="of place and size") }}
#
# MIG is the lead of the most informative latent over the second, as a share of the factor's entropy (Chen et al. 2018).
# With all latents the VAE beats PCA, {{ every_seed("all@1 > all_pca", "disentanglement") }}, but by MIG PCA is ahead of
# $\beta = 1$, also {{ every_seed("mig_pca > mig@1", "disentanglement") }}. For single latents the seed matters as much
# as $\beta$ (Locatello et al. 2019). The negative ELBO worsens to {{ result("disentanglement", "negative_elbo@10").mean
# | num(0) }} nats at $\beta = 10$.

# %% [markdown]
# **The question of the course: does it help with few labels?** Kingma et al. (2014) train a VAE on all images without
# labels and then a classifier on the means `mu` of the labeled ones (their model *M1*). The cell does so with your VAE
# and a linear classifier (*linear probe*), beside the same encoder with random weights.

# %% tags=["demo"]
check.needs("reparameterize", "kl_divergence", "negative_elbo", "kl_warmup", "VAE")
generator = torch.Generator().manual_seed(0)
few = split_labels(data.labels, per_class=10, generator=generator).labeled
with seeded(generator):
    untrained = VAE(image_shape, code_dim).to(device).eval()
for name, model in (("trained", vae), ("random", untrained)):
    with torch.no_grad():
        few_mu = model.encode(train_probs[few].to(device))[0].cpu()  # (100, code_dim)
        test_mu = model.encode(test_images)[0].cpu()
    accuracy = evaluation.probe_accuracy(few_mu, data.labels[few], test_mu, test.labels)
    print(f"{name:8} encoder, probe on mu, ten labels per class: {accuracy:.0%}")

# %% [markdown]
# Recorded by the protocol of the course's table (its convolutional encoder, glyphs with clutter, 32 latents):
#
# {{ figures_table({"probe on `mu`": "mu_frozen", "probe on the encoder's features": "vae_frozen",
# "probe on random frozen features": "random_frozen", "from scratch, weak views": "scratch_weak"}, (1, 10, 50),
# "protocol") }}
#
# The 32 means are better than random features with one, ten and fifty labels per class. With one label per class they
# beat training from scratch, but with ten they are far below it. With one label they also beat the 256 features that
# they are computed from, {{ every_seed("mu_frozen@1 > vae_frozen@1", "protocol") }}. With fifty the features are
# better, also {{ every_seed("vae_frozen@50 > mu_frozen@50", "protocol") }}.

# %% [markdown]
# ## 8. When it fails: the code dies
#
# In *posterior collapse* the encoder ignores the image and returns the prior, so the decoder draws the same picture for
# every image. We cause it in two ways. First, the cross-entropy is averaged over pixels while the KL is summed, which
# is a common mistake. Second, $\beta$ is large. **Predict**: how many latents are still in use in the first case?

# %% tags=["predict"]
predict.used_after(...)  # a number of latents

# %% tags=["train"]
check.needs("reparameterize", "kl_divergence", "negative_elbo", "kl_warmup", "VAE")


def wrong_reduction(logits, images, kl, *, beta=1.0):
    pixels = F.binary_cross_entropy_with_logits(logits, images)  # a mean over pixels
    return pixels + beta * kl.sum(dim=1).mean()


short = settings.by_profile(smoke=3, laptop=400, full=2_000)
wrong = train(train_probs, "Pixels averaged", loss_fn=wrong_reduction, steps=short)
strong = train(train_probs, "KL weight 30", beta=30.0, steps=short)
models = {"healthy": vae, "pixels averaged": wrong, "beta is 30": strong}
found = {name: measure(model, test_images) for name, model in models.items()}
predict.used_after.compare((found["pixels averaged"][1] >= 0.05).sum())
costs_of = {name: costs for name, (_, costs, _, _) in found.items()}
plots.show(plots.latent_costs(costs_of, title="What is left of the code"))
rows = {"test": test_images[:8]} | {name: found[name][3][:8] for name in models}
alt = "Four rows: test images; nearly the same; one gray blur; hardly more than that."
plots.show(plots.image_rows(rows, title="Test images and reconstructions", alt=alt))

# %% [markdown]
# | recorded, 400 steps | latents in use | of |
# |---|---:|---:|
# | healthy | {{ result("collapse", "in_use_healthy").mean | num(1) }} | 10 |
# | pixels averaged | {{ result("collapse", "in_use_wrong_reduction").mean | num(1) }} | 10 |
# | $\beta = 30$ | {{ result("collapse", "in_use_large_beta").mean | num(1) }} | 10 |
#
# A latent is *in use* if its KL is at least $0.05$ nats. In the figures the healthy model has more steps than the other
# two, but in the table all three have 400. There is no error message, and both losses fall smoothly. Only the KL of
# each latent shows the collapse, so log it.

# %% [markdown] nbgrader={"grade_id": "why_the_code_died", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A colleague's VAE draws the same gray blur for every image. Their loss is
# `F.binary_cross_entropy_with_logits(logits, x) + kl.mean()` on color images of 64 by 64 pixels with 32 latents. In
# four to six sentences, say (a) how large the weight of the KL really is, compared with the bound, and how you know,
# (b) why a code that says nothing wins, and (c) what you would log and what you would change, in which order.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* The cross-entropy is divided by the 3 * 64 * 64 = 12,288 pixels and the KL by the 32 latents, so
# against the bound, where both are summed, the KL weighs 12,288 / 32 = 384 times too much: beta is 384. A nat of code
# then has to save 384 nats of picture; no latent can do that, so the optimum is mu = 0 and variance 1, cost zero, and
# the decoder draws the mean image, which is the best without a code. I would log the KL of each latent and the
# cross-entropy apart, both in nats per image. First I would repair the reduction (sum pixels, sum latents, average
# images); only then, if latents still die, add a warm-up or a smaller beta.
#
# *Sample answer (2).* The mean is over pixels, so the reconstruction is thousands of times too small and beta is much
# too big. The encoder therefore gives the prior. They should sum instead and look at the KL per dimension.
#
# *Sample answer (1).* It is posterior collapse; they should use a smaller beta or KL annealing.
#
# *Rubric.* One point each. (a) gives 384, or 12,288 / 32, with the reason that both means count. (b) trades nats of
# code against nats of picture, and says what the decoder then draws. (c) logs the KL of each latent (or both terms
# apart) AND repairs the reduction before turning knobs. Warm-up or beta alone earns no point for (c).
# ### END SOLUTION

# %% [markdown]
# ## 9. Quiz
#
# Ungraded. Answer first, then open. Your predictions are summed up below.
#
# <details><summary>1. Your KL is negative. What is wrong?</summary> Its sign, or you estimate it from single draws. The
# KL of two distributions is never below zero.</details>
#
# <details><summary>2. Why does the encoder predict <code>logvar</code> and not the variance?</summary> It may be any
# number, and its exponential, the variance, is always positive.</details>
#
# <details><summary>3. Reconstructions are perfect, but samples are noise. Where do you look?</summary> At the KL. Its
# weight is too small (the sum was divided by the pixels, or beta is tiny), so the codes of images are far from the
# prior.</details>
#
# <details><summary>4. With more samples the importance-weighted bound rose. Is the model better?</summary> No. The
# bound is tighter, but the model is the same.</details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# - To draw new images, the code needs noise and a price. The KL pulls the code of each image towards a prior, and
#   decoding draws from that prior gives new images.
# - The ELBO bounds how probable an image is. More samples tighten the bound, but do not improve the model.
# - Gradients pass through a random draw if the noise comes from outside.
# - Pixels and latents are summed and images averaged; a wrong reduction makes the code useless. The KL of each latent
#   shows it.
# - From all latents place and size can be predicted, but single latents are not disentangled. A probe on the means
#   beats random features, and with one label per class training from scratch, but not with ten.

# %% [markdown]
# ## What became of it
#
# **Image generators** such as Stable Diffusion first compress images with an autoencoder that has a small KL term, and
# a diffusion model draws its codes. With discrete codes (VQ-VAE), images and sounds become tokens that **language
# models** can read and write. The KL is everywhere: when a language model is tuned by human feedback, a KL penalty
# keeps it near the model it began with. Gradients through random draws train policies in reinforcement learning.
#
# In **medicine** and biology, VAEs describe single cells by their gene counts (scVI), and propose molecules. In
# **finance** they fill in prices that were not observed, such as missing points of a volatility surface. In
# **robotics**, world models such as Dreamer learn a latent state with a KL term, and plan in it.

# %% [markdown]
# **Further reading.**
#
# - Kingma and Welling (2014), *Auto-Encoding Variational Bayes*: the paper behind exercises 1 to 3, eight pages.
# - Burda et al. (2016), *Importance Weighted Autoencoders*: why more samples give a tighter bound.
# - Locatello et al. (2019), *Challenging Common Assumptions in the Unsupervised Learning of Disentangled
#   Representations*: thousands of models, and why the seed matters.
#
# **Challenge.** Get below {{ result("bound", "negative_elbo").mean | num(1) }} nats per test image with ten latents.
# You may change layers, steps and the number of images.
#
# **Bonus.** (1) `COURSE_DATASET=mnist`: which digits are neighbors on the map? (2) Train on the importance-weighted
# bound. (3) Use the bound as the anomaly score of the ring and the cross.
