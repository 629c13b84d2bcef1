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
# *An autoencoder copies. Let its code be a little uncertain, make every nat of it cost, and it can also invent: new
# pictures, drawn from nothing but noise, and a bound on how probable each picture is.*
#
# **You will** draw codes through which gradients flow, write the loss and its tighter sibling, and turn single knobs
# of a code. **You will measure** nats per image, which factors the code knows, and how a code dies.
#
# **You need** the autoencoder of unit 01, and probabilities: mean, variance, Bayes.
# **Time**: 90 minutes of reading and writing, of which 3 minutes of computing.

# %% tags=["setup"]
import itertools
import math

import torch
from torch import nn
from torch.nn import functional as F

from course_lib import plots, records, settings, widgets
from course_lib.data import Batches, as_float, load
from course_lib.exercises import checks_for
from course_lib.models import seeded
from course_lib.training import fit

# %% tags=["setup"]
check = checks_for("02_variational_autoencoders")
plain = {"clutter": 0.0, "noise": 0.0} if settings.dataset_name() == "glyphs" else {}
data = load(n=settings.by_profile(smoke=1_000, laptop=10_000, full=40_000), **plain)
test = load(
    split="test", n=settings.by_profile(smoke=300, laptop=2_000, full=2_000), **plain
)
device = settings.device()
steps = settings.by_profile(smoke=4, laptop=1_500, full=10_000)
image_shape, num_pixels, code_dim = tuple(data.images.shape[1:]), math.prod(
    data.images.shape[1:]
), 10


def chances(data):
    """How likely each pixel is white: 0 or 1 in a silhouette, else the gray value."""
    images = as_float(data.images)  # (N, C, H, W) in [0, 1]
    if data.name != "glyphs":
        return images
    level = data.factors["background"] + 0.75 * data.factors["contrast"]
    return (images > level[:, None, None, None]).float()


def black_or_white(chances, *, generator):
    return (
        torch.rand(chances.shape, generator=generator).to(chances) < chances
    ).float()

# %% [markdown]
# ## 1. What does a picture cost?
#
# In this unit every pixel is black or white. A model that gives an image probability $p(x)$ needs $-\log p(x)$ *nats*
# to write it down (a nat is a bit over one bit): few for what it expects, many for what surprises it. So nats per image
# measure how much a model knows about pictures.
#
# The least that a model can know is how often each pixel is white, each by itself. **Predict**: what will pictures look
# like that are drawn from that? And pictures from PCA, with random numbers for a code?

# %% tags=["demo"]
from sklearn.decomposition import PCA

generator = torch.Generator().manual_seed(0)
train_chances = chances(data)
test_images = black_or_white(chances(test), generator=generator).to(device)
often = train_chances.mean(dim=0, keepdim=True).clamp(1e-3, 1 - 1e-3)
by_pixel = F.binary_cross_entropy(
    often.expand(test_images.shape), test_images.cpu(), reduction="sum"
) / len(test)
print(f"each pixel by itself: {by_pixel:.1f} nats per image")
print(f"a fair coin for each: {num_pixels * math.log(2):.1f}")

pca = PCA(code_dim, random_state=0).fit(train_chances.flatten(1).numpy())
codes = torch.randn(
    8, code_dim, generator=generator
).numpy() * pca.explained_variance_**0.5
by_pca = torch.from_numpy(pca.inverse_transform(codes)).float().reshape(8, *image_shape)
by_coin = black_or_white(often.expand(8, *image_shape), generator=generator)
rows = torch.cat([test_images[:8].cpu(), by_coin, by_pca])
title = "Real; each pixel by itself; PCA with a random code"
plots.show(plots.image_grid(
    rows, columns=8, title=title,
    alt=f"Three rows. {title}: shapes, then dust, then fog.",
))  # fmt: skip

# %% [markdown]
# The samples are dust and fog. The nats above are the baseline that a better model must beat. PCA gives no probability
# at all, and a random code gives no picture, because nothing was asked of the codes between those of real images.
#
# ## 2. A code with a little doubt
#
# A *variational autoencoder* (Kingma and Welling 2014) fills those gaps. Its encoder gives not a point but a small
# cloud of codes, $q(z|x) = \mathcal N(\mu, \sigma^2)$; the decoder must be able to draw the image from anywhere in it.
# And all clouds together must fill the *prior* $p(z) = \mathcal N(0, 1)$, from which we will later draw.
#
# The encoder gives `mu` and `logvar` $= \log \sigma^2$, both `(N, code_dim)`, because a logarithm may be any number. A
# draw by itself has no gradient, but this has:
#
# $$z = \mu + \sigma \varepsilon, \qquad \varepsilon \sim \mathcal N(0, 1)$$
#
# ### Exercise 2.1: reparameterize (12 minutes)

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
# Nothing stops the encoder yet from making its clouds tiny and far apart, an autoencoder again. So a code has to pay
# for what it tells: the *Kullback-Leibler divergence* from the prior. For normal distributions, for each latent
#
# $$\mathrm{KL} = \tfrac12 \left( \mu^2 + \sigma^2 - 1 - \log \sigma^2 \right)$$
#
# It is zero for a latent that ignores the image ($\mu = 0$, $\sigma = 1$), and grows the farther and the sharper the
# cloud is.
#
# ### Exercise 2.2: kl_divergence (10 minutes)

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
# With it we can write down the loss. For every $q$,
#
# $$\log p(x) \;\ge\; \underbrace{\mathbb E_{q(z|x)} \log p(x|z)}_{\text{how well it is drawn}} \;-\;
# \underbrace{\mathrm{KL}\big(q(z|x) \,\|\, p(z)\big)}_{\text{what the code costs}}$$
#
# The right side is the *evidence lower bound*, ELBO. We minimize its negative. With logits $\ell$ from the decoder,
# $-\log p(x|z)$ is the binary cross-entropy of all pixels, and one draw of $z$ stands for the expectation:
#
# $$L = \frac1N \sum_{n=1}^{N} \Big[ \sum_{p} \mathrm{BCE}(\ell_{np}, x_{np}) + \beta \sum_{j} \mathrm{KL}_{nj} \Big]$$
#
# Mind the sums: pixels and latents are summed, images averaged. With $\beta = 1$ this is the bound; other weights come
# later.
#
# ### Exercise 2.3: negative_elbo (15 minutes)

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
# ## 4. Put together
#
# In the first steps the decoder cannot use a code yet, but the code is charged already. So the cheapest thing is to
# switch latents off, and some never come back. A *warm-up* lets the KL in slowly.
#
# ### Exercise 2.4: kl_warmup (8 minutes)

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
# The network is two small ones; your functions are all the rest.

# %% tags=["demo"]
check.needs("reparameterize")


class VAE(nn.Module):
    """forward(images, generator): (N, C, H, W) -> logits (N, C, H, W), mu, logvar."""

    def __init__(self, image_shape, code_dim):
        super().__init__()
        d = math.prod(image_shape)
        down = [
            nn.Linear(d, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(),
            nn.Linear(256, 2 * code_dim),
        ]  # fmt: skip
        up = [
            nn.Linear(code_dim, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU(),
            nn.Linear(512, d),
        ]  # fmt: skip
        self.encoder = nn.Sequential(nn.Flatten(), *down)
        self.decoder = nn.Sequential(*up, nn.Unflatten(1, tuple(image_shape)))

    def encode(self, images):
        return self.encoder(images).chunk(2, dim=1)  # (N, 2 * code_dim) -> mu, logvar

    def forward(self, images, generator):
        mu, logvar = self.encode(images)
        z = reparameterize(mu, logvar, generator=generator)
        return self.decoder(z), mu, logvar

# %% [markdown]
# Pixels are flipped anew in each batch, as chances say. The dashed line is the baseline. **Predict**: how far below it
# will the loss get? And why may it rise in the first half of the run?

# %% tags=["train"]
check.needs("reparameterize", "kl_divergence", "negative_elbo", "kl_warmup")


def train(
    chances, title, *, loss_fn=negative_elbo, code_dim=code_dim, steps=steps, beta=1.0
):
    generator, done = torch.Generator().manual_seed(0), itertools.count()
    with seeded(generator):
        model = VAE(image_shape, code_dim).to(device)

    def loss(model, images):
        logits, mu, logvar = model(images, generator)
        weight = kl_warmup(next(done), steps // 2, beta=beta)
        return loss_fn(logits, images, kl_divergence(mu, logvar), beta=weight)

    batches = Batches(
        chances, batch_size=128, shuffle=True, generator=generator,
        augment=black_or_white,
    )  # fmt: skip
    line = {"baseline": float(by_pixel), "baseline_label": "each pixel by itself"}
    line = line if loss_fn is negative_elbo else {}
    curve = plots.live_curve(
        steps, y_label="loss (nats per image)", title=title, **line
    )
    fit(model, batches, loss, steps=steps, lr=2e-3, label=title, on_step=curve)
    return model


vae = train(train_chances, "Variational autoencoder")

# %% [markdown]
# While the KL is let in, the loss may rise: the same code costs more every step. Now the bound on test images, and the
# real question: what does it draw from noise alone?

# %% tags=["demo"]
check.needs("reparameterize", "kl_divergence", "negative_elbo", "kl_warmup")


@torch.no_grad()
def measure(model, images, *, seed=0):
    """The bound and its parts in nats per image, latents' costs, codes, pictures."""
    logits, mu, logvar = model(images, torch.Generator().manual_seed(seed))
    kl = kl_divergence(mu, logvar)  # (N, code_dim)
    loss, costs = float(negative_elbo(logits, images, kl)), kl.mean(dim=0).cpu()
    code = costs.sum()
    print(f"{loss:.1f} nats per image: picture {loss - code:.1f}, code {code:.1f}")
    return {
        "loss": loss, "costs": costs, "mu": mu.cpu(), "x_hat": logits.sigmoid().cpu()
    }


found = measure(vae, test_images)
with torch.no_grad():
    z = torch.randn(24, code_dim, generator=torch.Generator().manual_seed(1)).to(device)
    samples = vae.decoder(z).sigmoid().cpu()
plots.show(plots.reconstructions(
    test_images[:8], found["x_hat"][:8], title=f"Through {code_dim} uncertain numbers"
))
plots.show(plots.image_grid(samples, columns=12, title="Drawn from noise"))

# %% [markdown]
# About half of the samples are glyphs, the others mixtures of two, and none is dust.
#
# | recorded, nats per image | this VAE | pixels by themselves |
# |---|---:|---:|
# | glyphs | {{ result("bound", "negative_elbo") | pm(digits=1) }} | {{ result("bound", "by_pixel").mean | num(1) }} |
# | binarized MNIST | **{{ result("bound", "negative_elbo", dataset="mnist") | pm(digits=1) }}** | {{
# result("bound", "by_pixel", dataset="mnist").mean | num(1) }} |
#
# On MNIST the VAE has twenty latents and more steps. A bound below 75 or above 200 there means that a reduction is
# probably wrong.
#
# Does the warm-up matter? In shorter runs on MNIST (recorded):
#
# | nats per image | bound | of which the code |
# |---|---:|---:|
# | with warm-up | {{ result("warmup", "negative_elbo_with", dataset="mnist") | pm(digits=1) }} | {{
# result("warmup", "kl_with", dataset="mnist").mean | num(1) }} |
# | full KL from the start | {{ result("warmup", "negative_elbo_without", dataset="mnist") | pm(digits=1) }} | {{
# result("warmup", "kl_without", dataset="mnist").mean | num(1) }} |
#
# ## 5. Look inside
#
# What does a single latent mean? Take the code of an image, set one latent to several values, leave the others, and
# decode.
#
# ### Exercise 2.5: latent_traversal (8 minutes)

# %% nbgrader={"grade_id": "latent_traversal", "solution": true}
def latent_traversal(code, dim, values):
    """Copies of a code in which one latent takes other values.

    Args:
        code: (code_dim,) float tensor; it is not changed.
        dim: which latent, from 0.
        values: (K,) float tensor.

    Returns:
        (K, code_dim) tensor: row k is `code` with values[k] at place dim.
    """
    ### BEGIN SOLUTION
    codes = code.repeat(len(values), 1)  # (code_dim,) -> (K, code_dim)
    codes[:, dim] = values
    return codes
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_latent_traversal", "grade": true}
check.latent_traversal(latent_traversal)

# %% [markdown]
# A row for each latent, from $-2$ to $2$: the three that cost most, then the two that cost least. **Predict**: what
# will the last rows look like?

# %% tags=["demo"]
check.needs(
    "reparameterize", "kl_divergence", "negative_elbo", "kl_warmup", "latent_traversal"
)
order = found["costs"].argsort(descending=True)  # (code_dim,)
shown, values = [*order[:3], *order[-2:]], torch.linspace(-2, 2, 11)
# (5 * 11, code_dim)
table = torch.cat([latent_traversal(found["mu"][0], int(dim), values) for dim in shown])
with torch.no_grad():
    pictures = vae.decoder(table.to(device)).sigmoid()
costs = [text for dim in shown for text in [
    f"{found['costs'][dim]:.2f} nats", *[""] * (len(values) - 1)
]]
alt = "Five rows, a latent each: the shape changes along three, not along two."
plots.show(plots.image_grid(
    pictures, columns=len(values), captions=costs, title="Each row: one latent", alt=alt
))

# %% [markdown]
# Dear latents change the picture, cheap ones do nothing: the decoder does not look at them. Few change one thing only;
# place, size and kind of shape are mixed. Turn the knobs yourself:

# %% tags=["demo"]
check.needs(
    "reparameterize", "kl_divergence", "negative_elbo", "kl_warmup", "latent_traversal"
)
dearest, start = order[:4].tolist(), found["mu"][0]


def decode(knobs):
    codes = start.repeat(len(knobs), 1)  # (K, code_dim)
    codes[:, dearest] = knobs
    return vae.decoder(codes.to(device)).sigmoid().cpu()


ranges = {f"latent {dim + 1}": (-3.0, 3.0) for dim in dearest}
widgets.latent_explorer(
    decode, ranges, start=start[dearest].clamp(-3, 3).tolist(),
    title="The four dearest latents",
)  # fmt: skip

# %% [markdown]
# With two latents the whole space can be drawn. We take glyphs that hardly move, so that two numbers are enough.
# **Predict**: it was not given the classes. Will it sort by them?

# %% tags=["train"]
check.needs("reparameterize", "kl_divergence", "negative_elbo", "kl_warmup")
still = {**plain, "jitter": 0.3} if plain else {}
quiet = load(n=len(data) // 2, **still), load(split="test", n=len(test), **still)
flat = train(
    chances(quiet[0]), "Two latents", code_dim=2,
    steps=settings.by_profile(smoke=4, laptop=1_000, full=5_000),
)  # fmt: skip
# evenly spread under the prior
quantiles = torch.distributions.Normal(0, 1).icdf(torch.linspace(0.04, 0.96, 9))
# (81, 2)
grid = torch.stack([torch.stack([x, y]) for y in quantiles.flip(0) for x in quantiles])
with torch.no_grad():
    mu, _ = flat.encode(black_or_white(
        chances(quiet[1]), generator=torch.Generator().manual_seed(0)
    ).to(device))
    pictures = flat.decoder(grid.to(device)).sigmoid()
names = ("first latent", "second latent")
plots.show(plots.latent_map(
    mu, quiet[1].labels, data.class_names, axis_names=names,
    title="Codes of test images",
))  # fmt: skip
alt = "Nine by nine pictures: classes turn into each other by way of mixtures."
plots.show(
    plots.image_grid(pictures, columns=9, title="Decoded from an even grid", alt=alt)
)

# %% [markdown]
# Here class is the cheapest thing to say, so classes form islands without any label. Between islands the decoder
# mixes: the prior has no gaps, the pictures have.
#
# ## 6. A tighter bound
#
# The ELBO is below $\log p(x)$ by just as much as $q$ misses the true posterior. Several draws tighten it (Burda et
# al. 2016). Draw $z_1, \dots, z_K$ from $q(z|x)$, weigh each, and take the logarithm of the *mean weight*:
#
# $$\log p(x) \ge \mathbb E \log \frac1K \sum_{k=1}^{K} w_k, \qquad w_k = \frac{p(x|z_k)\, p(z_k)}{q(z_k|x)}$$
#
# ### Exercise 2.6: importance_weighted_bound (12 minutes)
#
# You are given logarithms, `(K, N)` each: the weights themselves are far too small for a computer.

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
# On some test images, beside it the recorded bound. **Predict**: how much is the ELBO off?

# %% tags=["demo"]
check.needs(
    "reparameterize", "kl_divergence", "negative_elbo", "kl_warmup",
    "importance_weighted_bound",
)  # fmt: skip


@torch.no_grad()
def log_terms(model, images, num_samples, *, generator):
    """log p(x|z), log p(z) and log q(z|x), each (num_samples, N)."""
    mu, logvar = (part.repeat(num_samples, 1) for part in model.encode(images))
    z = reparameterize(mu, logvar, generator=generator)  # (K * N, code_dim)
    x = images.repeat(num_samples, 1, 1, 1)  # (K * N, C, H, W)
    loss = F.binary_cross_entropy_with_logits(model.decoder(z), x, reduction="none")
    log_px, prior = -loss.flatten(1).sum(dim=1), torch.distributions.Normal(0.0, 1.0)
    posterior = torch.distributions.Normal(mu, torch.exp(0.5 * logvar))
    terms = log_px, prior.log_prob(z).sum(dim=1), posterior.log_prob(z).sum(dim=1)
    return [term.view(num_samples, len(images)) for term in terms]


for count in (1, 10, 100):
    generator = torch.Generator().manual_seed(0)
    terms = log_terms(vae, test_images[:200], count, generator=generator)
    bound = importance_weighted_bound(*terms).mean()
    print(f"{count:4} samples: log p(x) is at least {bound:.1f} nats")
curve = records.curve("02_variational_autoencoders", "bound", "nats", dataset="glyphs")
bounds = {x: [-nats for nats in seeds] for x, seeds in zip(curve.x, curve.values)}
labels = {"x_label": "samples per image", "y_label": "bound on log p(x), nats"}
title = "More samples, a tighter bound (recorded)"
plots.show(plots.label_curve({"vae": bounds}, title=title, percent=False, **labels))

# %% [markdown]
# The model has not changed, only our knowledge of it.
#
# | recorded, nats per image | one sample | a hundred samples |
# |---|---:|---:|
# | glyphs | {{ result("bound", "nats@1").mean | num(1) }} | {{ result("bound", "nats@100").mean | num(1) }} |
# | MNIST | {{ result("bound", "nats@1", dataset="mnist").mean | num(1) }} | {{
# result("bound", "nats@100", dataset="mnist").mean | num(1) }} |
#
# Say which bound you report.
#
# ## 7. Has it found the factors?
#
# Glyphs are drawn from known factors. For each factor and latent: how much of the factor does a straight line in that
# latent explain ($R^2$, on images that the line has not seen)? In the last row, all latents together. `contrast` is not
# in silhouettes: a control.

# %% tags=["demo"]
check.needs("reparameterize", "kl_divergence", "negative_elbo", "kl_warmup")
from sklearn.linear_model import LinearRegression

names = ("x", "y", "scale", "aspect", "tilt", "shape", "mirrored", "contrast")
factors = {name: test.factors[name] for name in names if name in test.factors}
factors |= {
    name: (test.labels == label).float()
    for label, name in enumerate(data.class_names) if not test.factors
}
order, half = found["costs"].argsort(descending=True), len(test) // 2


def explained(codes, values):
    """R2 of a linear regression, fitted on one half, scored on the other, or 0."""
    codes, values = codes.numpy(), values.numpy()
    return max(0.0, LinearRegression().fit(codes[:half], values[:half]).score(
        codes[half:], values[half:]
    ))


columns = [found["mu"][:, [dim]] for dim in order] + [found["mu"]]
shares = [
    [explained(codes, values) for values in factors.values()] for codes in columns
]
rows = [f"latent {dim + 1}" for dim in order] + ["all latents"]
plots.show(plots.share_table(
    shares, rows, list(factors), title="How much of each factor is known (R²)"
))

# %% [markdown]
# Place and size can be read off the code as a whole, but hardly from a single latent: *known* is not *disentangled*. A
# larger $\beta$ is said to disentangle (Higgins et al. 2017). Recorded for three seeds, the mean over place and size
# (`x`, `y`, `scale`), beside two controls: PCA's code, and the code of an untrained encoder.

# %% tags=["demo"]
print("code         nats  in use   all latents   best single    gap (MIG)")
codes = {
    "beta = 1": "@1", "beta = 4": "@4", "beta = 10": "@10", "PCA": "_pca",
    "untrained": "_random",
}  # fmt: skip
for name, end in codes.items():
    keys = ["negative_elbo", "in_use", "all", "single", "mig"] if "@" in end else [
        "all", "single", "mig"
    ]
    row = {
        key: records.figure("02_variational_autoencoders", "disentanglement", key + end)
        for key in keys
    }
    known = "   ".join(
        f"{row[key].mean:.2f} ± {row[key].std:.2f}" for key in ("all", "single", "mig")
    )
    nats, used = (
        f"{row[key].mean:.1f}" if key in row else "-"
        for key in ("negative_elbo", "in_use")
    )
    print(f"{name:10} {nats:>6}  {used:>6}   {known}")

# %% [markdown]
# | recorded | $R^2$, all latents | $R^2$, best single latent | bound, nats |
# |---|---:|---:|---:|
# | PCA | {{ result("disentanglement", "all_pca").mean | num(2) }} | {{
# result("disentanglement", "single_pca") | pm }} | |
# | $\beta = 1$ | {{ result("disentanglement", "all@1").mean | num(2) }} | {{
# result("disentanglement", "single@1") | pm }} | {{
# result("disentanglement", "negative_elbo@1").mean | num(0) }} |
# | $\beta = 4$ | | {{ result("disentanglement", "single@4") | pm }} | {{
# result("disentanglement", "negative_elbo@4").mean | num(0) }} |
#
# From all its latents, place and size can be read better than from PCA's. Are they also sorted by latent? The seed
# matters as much as $\beta$, as Locatello et al. (2019) found on a larger scale, while the bound worsens with $\beta$.
# PCA was not made to disentangle. Without labels nothing in the loss asks for *our* axes.

# %% [markdown]
# ## 8. When it fails: the code dies
#
# In *posterior collapse* the code does not depend on the image, and the decoder draws the same picture for every image.
# We make it twice on purpose. The first way is the commonest slip of all: the cross-entropy is averaged over pixels
# while the KL is summed. The second is a large $\beta$. **Predict**: how many latents will be left?

# %% tags=["train"]
check.needs("reparameterize", "kl_divergence", "negative_elbo", "kl_warmup")


def wrong_reduction(logits, images, kl, *, beta=1.0):
    return F.binary_cross_entropy_with_logits(logits, images) + beta * kl.sum(
        dim=1
    ).mean()


short = settings.by_profile(smoke=3, laptop=400, full=2_000)
collapsed = train(
    train_chances, "Averaged over pixels", loss_fn=wrong_reduction, steps=short
)
dear = train(train_chances, "A code thirty times as dear", beta=30.0, steps=short)
models = {"a healthy code": vae, "pixels averaged": collapsed, "beta is 30": dear}
ends = {name: measure(model, test_images) for name, model in models.items()}
plots.show(
    plots.latent_costs({name: end["costs"]
    for name, end in ends.items()}, title="What is left of the code")
)
rows = torch.cat([test_images[:8].cpu(), *(end["x_hat"][:8] for end in ends.values())])
alt = "Four rows: test images; nearly the same; one gray blur; hardly more than that."
title = "Test images; healthy; pixels averaged; beta is 30"
plots.show(plots.image_grid(rows, columns=8, title=title, alt=alt))

# %% [markdown]
# Recorded: of {{ result("collapse", "in_use_healthy").mean | num(1) }} latents in use the wrong reduction leaves
# {{ result("collapse", "in_use_wrong_reduction").mean | num(1) }}, $\beta = 30$ leaves
# {{ result("collapse", "in_use_large_beta").mean | num(1) }}. Nothing crashed, and both curves fell smoothly; the one
# number that shows it is the KL of each latent. Log it.

# %% [markdown] nbgrader={"grade_id": "why_the_code_died", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A colleague's VAE draws the same gray blur for every image. His loss is
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
# too big. The encoder therefore gives the prior. He should sum instead and look at the KL per dimension.
#
# *Sample answer (1).* It is posterior collapse; he should use a smaller beta or KL annealing.
#
# *Rubric.* One point each. (a) gives 384, or 12,288 / 32, with the reason that both means count. (b) trades nats of
# code against nats of picture, and says what the decoder then draws. (c) logs the KL of each latent (or both terms
# apart) AND repairs the reduction before turning knobs. Warm-up or beta alone earns no point for (c).
# ### END SOLUTION

# %% [markdown]
# ## 9. Quiz
#
# Ungraded. Answer first, then open.
#
# <details><summary>1. Your KL is negative. What is wrong?</summary>
# Its sign, or you estimate it from single draws. The KL of two distributions is never below zero.</details>
#
# <details><summary>2. Why is <code>logvar</code> predicted, not the variance?</summary>
# It may be any number; the variance, its exponential, is positive by itself.</details>
#
# <details><summary>3. Reconstructions are perfect, samples are dust. Where do you look?</summary>
# At the KL: too cheap (divided by pixels, a tiny beta), so the codes do not fill the prior.</details>
#
# <details><summary>4. With more samples the importance-weighted bound rose. Is the model better?</summary>
# No. The bound is tighter; the model is the same.</details>

# %% [markdown]
# ## Take away
#
# - Draw noise from outside, stretch and move it: gradients pass.
# - The loss is nats: pixels and latents summed, images averaged. The reduction decides who wins.
# - The KL of each latent shows which are in use. Log it.
# - Several samples tighten the bound, not the model.
# - Known is not disentangled; compare with PCA and with an untrained encoder.
#
# **Where this is used.** Molecules proposed from a smooth space, single cells in biology, compression, anomalies by
# bound, the first stage of image generators.
#
# **Further reading.** Kingma and Welling (2014), *Auto-Encoding Variational Bayes*; Burda et al. (2016), *Importance
# Weighted Autoencoders*; Locatello et al. (2019), *Challenging Common Assumptions in the Unsupervised Learning of
# Disentangled Representations*.
#
# **Bonus.** (1) `COURSE_DATASET=mnist`: which digits are neighbors on the map? (2) Train on the importance-weighted
# bound. (3) Score the ring and the cross by the bound.
