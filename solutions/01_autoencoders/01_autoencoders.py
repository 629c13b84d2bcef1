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
# # Autoencoders: learning from images alone
#
# *An autoencoder compresses images to a few numbers, and rebuilds them without any labels. Does it learn to remove
# noise, to find anomalies, to classify with few labels?*
#
# **You will** build an autoencoder, write its loss, train a denoiser, score anomalies, and build a convolutional
# encoder. **You will measure** it against PCA and, with ten labels per class, against training from scratch.
#
# **You need** PyTorch modules and a training step (unit 00), and [some linear
# algebra](https://www.deeplearningbook.org/contents/linear_algebra.html).
#
# **Time**: about 2 to 2.5 hours in two sittings, with a natural break after section 4 (3 minutes of computing).
#
# <details><summary>Warm-up 1. In which mode do you measure a network, and what do you do afterwards?</summary> Eval
# mode, without gradients. Then restore the mode.</details>
#
# <details><summary>Warm-up 2. Two methods differ by two points at ten labels per class. What do you look at?</summary>
# Several seeds, compared one by one.</details>

# %% tags=["setup"]
import copy
import math

import torch
from IPython.display import Markdown
from sklearn.decomposition import PCA
from torch import nn
from torch.nn import functional as F

from course_lib import evaluation, plots, records, settings, widgets
from course_lib.data import Batches, as_float, load, split_labels
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import LinearAutoencoder, eval_mode, seeded
from course_lib.training import fit, fit_classifier

# %% tags=["setup"]
check = checks_for("01_autoencoders")
predict = predictions_for("01_autoencoders")
data = load(n=settings.by_profile(smoke=1_000, laptop=8_000, full=8_000))
test = load(split="test", n=settings.by_profile(smoke=300, laptop=2_000, full=2_000))
device = settings.device()
steps = settings.by_profile(smoke=4, laptop=1_500, full=6_000)
image_shape, code_dim = tuple(data.images.shape[1:]), 32
test_images = as_float(test.images).to(device)  # (N, C, H, W) in [0, 1]
num_pixels = math.prod(image_shape)
print(f"{data.name}: {len(data):,} images of shape {image_shape}")

# %% [markdown]
# ## 1. How many numbers is an image?
#
# An image here has several hundred pixels, but most combinations of pixel values do not look like any image. How few
# numbers describe one? The classical tool is *principal component analysis* (PCA). It writes an image as the mean image
# plus a weighted sum of `code_dim` fixed patterns. Among all *linear* methods it has the lowest squared error. The cell
# shows what remains of an image when PCA describes it by 32 numbers.

# %% tags=["demo"]
pca = PCA(code_dim, random_state=0).fit(as_float(data.images).flatten(1).numpy())


def pca_reconstruct(images):
    flat = images.cpu().flatten(1).numpy()  # (N, C, H, W) -> (N, C * H * W)
    rebuilt = pca.inverse_transform(pca.transform(flat))
    return torch.from_numpy(rebuilt).float().reshape(images.shape).to(images.device)


mean_image = as_float(data.images).mean(dim=0, keepdim=True).to(device)
by_pca = pca_reconstruct(test_images)
for name, x_hat in (("the mean image", mean_image), ("PCA", by_pca)):
    error = num_pixels * F.mse_loss(x_hat.expand_as(test_images), test_images)
    print(f"{name:15} squared error per image: {error:.1f}")
title = f"PCA, {code_dim} numbers"
plots.show(plots.reconstructions(test_images[:8], by_pca[:8], title=title))

# %% [markdown]
# Large shapes are kept, but blurred. The last row shows where the error is: at edges and at small details. This is the
# baseline.
#
# ## 2. Encoder, code, decoder
#
# An *autoencoder* replaces the linear maps by networks. An *encoder* $f$ maps the image to a short vector, the *code*
# (its numbers are called *latents*). A *decoder* $g$ rebuilds the image from the code alone.

# %% tags=["demo"]
plots.show(plots.diagram_autoencoder())

# %% [markdown]
# The code is the only way from the image to its copy, so what does not fit into it is lost. The image is also the
# target, therefore no label is needed.
#
# $$z = f(x), \qquad \hat x = g(z)$$
#
# Shapes: `images` $x$ is `(N, C, H, W)`, `codes` $z$ is `(N, code_dim)`, and `x_hat` $\hat x$ is `(N, C, H, W)` again.
# Pixels lie between 0 and 1, so the decoder ends in a sigmoid or a similar smooth function.
#
# ### Exercise 1.1: Autoencoder (core, 12 minutes)
#
# Use any layers you like. Two hidden layers each way, of 256 and 128 units, do well. It must work for every
# `image_shape`. Height and width may differ, and both are multiples of 4, so convolutions with pooling work too.

# %% nbgrader={"grade_id": "Autoencoder", "solution": true}
class Autoencoder(nn.Module):
    """Images through a narrow code and back.

    Every weight is made in `__init__` and gets a gradient, and a few training steps
    lower the error.

    Args:
        image_shape: (C, H, W); H and W may differ, multiples of 4. Any memory layout.
        code_dim: how many numbers the code has.

    encode(images): (N, C, H, W) -> codes (N, code_dim)
    decode(codes): (N, code_dim) -> x_hat (N, C, H, W), squashed to between 0 and 1
        smoothly (a clamp has no gradient)
    forward(images): (N, C, H, W) -> x_hat (N, C, H, W), through the code alone
    """

    def __init__(self, image_shape, code_dim):
        super().__init__()
        ### BEGIN SOLUTION
        d, unflatten = math.prod(image_shape), nn.Unflatten(1, tuple(image_shape))
        down = [nn.Linear(d, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU()]
        self.encoder = nn.Sequential(nn.Flatten(), *down, nn.Linear(128, code_dim))
        up = [nn.Linear(code_dim, 128), nn.ReLU(), nn.Linear(128, 256), nn.ReLU()]
        self.decoder = nn.Sequential(*up, nn.Linear(256, d), nn.Sigmoid(), unflatten)
        ### END SOLUTION

    def encode(self, images):
        ### BEGIN SOLUTION
        return self.encoder(images)
        ### END SOLUTION

    def decode(self, codes):
        ### BEGIN SOLUTION
        return self.decoder(codes)
        ### END SOLUTION

    def forward(self, images):
        ### BEGIN SOLUTION
        return self.decode(self.encode(images))
        ### END SOLUTION

# %% nbgrader={"grade_id": "check_Autoencoder", "grade": true}
check.Autoencoder(Autoencoder)

# %% [markdown]
# ## 3. What counts as a good copy
#
# The *reconstruction error* of an image is the squared difference between image and copy, summed over the pixels $p$.
# The loss is its mean over the $N$ images of a batch:
#
# $$L = \frac{1}{N} \sum_{n=1}^{N} \sum_{p} (\hat x_{np} - x_{np})^2$$
#
# Pay attention to the reduction. `F.mse_loss` averages over pixels too, which makes the loss several hundred times
# smaller. For this loss alone, the factor changes little: with plain SGD it rescales the learning rate, and the step of
# AdamW, our optimizer, hardly depends on the scale of the loss. But as soon as a second term is added, as in unit 02,
# the scale decides which term dominates.
#
# ### Exercise 1.2: reconstruction_loss (warm-up, 8 minutes)

# %% nbgrader={"grade_id": "reconstruction_loss", "solution": true}
def reconstruction_loss(x_hat, images):
    """Squared error: summed over the pixels of each image, averaged over the images.

    Args:
        x_hat: (N, C, H, W) float tensor, the reconstructions.
        images: (N, C, H, W) float tensor, what they should be.

    Returns:
        A tensor with a single number and no dimensions, shape (), through which
        gradients flow to x_hat.
    """
    ### BEGIN SOLUTION
    squared = (x_hat - images) ** 2  # (N, C, H, W)
    per_image = squared.flatten(1).sum(dim=1)  # (N, C, H, W) -> (N,)
    return per_image.mean()
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_reconstruction_loss", "grade": true}
check.reconstruction_loss(reconstruction_loss)

# %% [markdown]
# Now train it. `fit` runs a loop like the one of unit 00, with your loss. The dashed line is the error of PCA with a
# code of the same length. **Predict**: how probable is it that a network with about half a million
# weights gets below it?

# %% tags=["predict"]
predict.below_pca(...)  # how probable: 0 is no, 1 is yes

# %% tags=["train"]
check.needs("Autoencoder", "reconstruction_loss")
pca_error = float(reconstruction_loss(pca_reconstruct(test_images), test_images))


def new_autoencoder(seed=0):
    with seeded(torch.Generator().manual_seed(seed)):
        return Autoencoder(image_shape, code_dim).to(device)


def train(model, images, loss_fn, title, *, steps=steps, batch_size=128, lr=2e-3):
    batches = Batches(images, batch_size=batch_size, shuffle=True)
    line = {"baseline": pca_error, "baseline_label": f"PCA, {code_dim} numbers"}
    options = {"title": title, **(line if loss_fn is copy_loss else {})}
    curve = plots.live_curve(steps, y_label="squared error per image", **options)
    fit(model, batches, loss_fn, steps=steps, lr=lr, label=title, on_step=curve)
    return model


def copy_loss(model, images):
    return reconstruction_loss(model(images), images)


autoencoder = train(new_autoencoder(), data.images, copy_loss, "Autoencoder")
x_hat = evaluation.predict(autoencoder, test_images).to(device)
error = reconstruction_loss(x_hat, test_images)
print(f"squared error per image: autoencoder {error:.1f}, PCA {pca_error:.1f}")
title = f"Autoencoder, {code_dim} numbers"
plots.show(plots.reconstructions(test_images[:8], x_hat[:8], title=title))
predict.below_pca.compare(bool(error < pca_error))

# %% [markdown]
# The loss falls steeply at first, and then slowly. On glyphs PCA has the lower error, {{ every_seed("pca_error_normal <
# error_normal", "anomaly") }}. The error of PCA is {{ result("anomaly", "pca_error_normal") | pm(digits=1) }}, and that
# of the autoencoder is {{ result("anomaly", "error_normal") | pm(digits=1) }} (*recorded*, which means mean ± standard
# deviation over three seeds). The autoencoder was trained for 1,500 steps only, and we recorded no run with more steps.
# So this does not show that PCA is better in principle. Hinton and Salakhutdinov (2006) report deep autoencoders that
# beat PCA.
#
# The copies look smooth and clean. This suggests that the network keeps place, size, brightness and a rough outline,
# and leaves out clutter and detail. Remember this for sections 6 and 8.
#
# How are PCA and the autoencoder related? Remove the nonlinearities: the *linear* autoencoder below is trained by
# gradient descent, while PCA is computed by linear algebra. Will they find the same patterns?

# %% tags=["train"]
check.needs("Autoencoder", "reconstruction_loss")
centered = as_float(data.images) - mean_image.cpu()  # as PCA does
linear = LinearAutoencoder(num_pixels, 6, generator=torch.Generator().manual_seed(0))
batches = Batches(centered, batch_size=64, shuffle=True)
linear_steps = settings.by_profile(smoke=4, laptop=2_500, full=2_500)
fit(linear, batches, copy_loss, steps=linear_steps, lr=1e-2, label="linear")
weight = linear.decoder.weight.detach().cpu()  # (pixels, 6)
basis = torch.linalg.qr(weight).Q  # (pixels, 6), orthonormal
patterns = torch.from_numpy(pca.components_[:6]).float()  # (6, pixels), the strongest
cosines = torch.linalg.svdvals(patterns @ basis)
print("cosines of the principal angles:", [round(float(c), 3) for c in cosines])
pictures = torch.cat([patterns, basis.T]).reshape(12, *image_shape)
strongest = pictures.abs().amax(dim=(1, 2, 3), keepdim=True)
pictures = 0.5 + 0.5 * pictures / strongest  # gray is zero
title = "Upper row: PCA. Lower row: the linear autoencoder's basis"
alt = "Six smooth light and dark patterns by PCA; below, other mixtures of the same."
plots.show(plots.image_grid(pictures, columns=6, title=title, alt=alt))

# %% [markdown]
# *Principal angles* compare two subspaces. A cosine of one means that they share a direction. The smallest of the six
# cosines is {{ result("linear_pca", "smallest_cosine").mean | num(4) }} (recorded), and the errors on test images are
# {{ result("linear_pca", "error_linear").mean | num(2) }} and {{ result("linear_pca", "error_pca").mean | num(2) }}. So
# **the linear autoencoder spans the subspace of PCA** (Baldi and Hornik 1989). Its patterns look different, because
# every basis of this subspace gives the same copies.
#
# ## 4. Make copying impossible
#
# An autoencoder with a wide code could learn to copy. A *denoising autoencoder* (Vincent et al. 2008) cannot, because
# it sees a corrupted image $\tilde x$ and must return the clean one:
#
# $$\tilde x = \text{clamp}(x + \sigma \varepsilon, 0, 1), \qquad \varepsilon \sim \mathcal N(0, 1)$$
#
# ### Exercise 1.3: corrupt (warm-up, 10 minutes)
#
# Every pixel of every image gets its own noise. Do not change the clean images, which are still needed. Draw on the CPU
# from the generator that you are given, then move the noise to the device of the images.

# %% nbgrader={"grade_id": "corrupt", "solution": true}
def corrupt(images, noise, *, generator):
    """Adds Gaussian noise and cuts off at 0 and 1.

    Args:
        images: (N, C, H, W) float tensor in [0, 1], on any device; it is not changed.
        noise: standard deviation of the noise.
        generator: CPU torch.Generator that all random numbers come from, in any order
            of draws.

    Returns:
        A new tensor, also when noise is 0: shape, dtype and device of `images`, values
        in [0, 1].
    """
    ### BEGIN SOLUTION
    epsilon = torch.randn(images.shape, generator=generator)
    epsilon = epsilon.to(images)  # its device and dtype
    return (images + noise * epsilon).clamp(0, 1)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_corrupt", "grade": true}
check.corrupt(corrupt)

# %% [markdown]
# ### Exercise 1.4: denoising_loss (core, 8 minutes)
#
# $$L = \ell\,(g(f(\tilde x)),\; x)$$
#
# This is short, and often written wrongly. For each argument, ask which image it is: the corrupted or the clean one.
# The corruption and the loss $\ell$ are passed in as functions.

# %% nbgrader={"grade_id": "denoising_loss", "solution": true}
def denoising_loss(model, images, corrupt, loss_fn):
    """The loss of a denoising autoencoder on one batch.

    Args:
        model: maps images (N, C, H, W) to reconstructions of that shape; call it once,
            and do not change its mode.
        images: (N, C, H, W) float tensor, clean.
        corrupt: corrupt(images) -> corrupted images of the same shape; call it
            once, and again when the next batch comes.
        loss_fn: loss_fn(x_hat, target) -> a tensor with a single number; call it once.

    Returns:
        The tensor that loss_fn gives, so that gradients flow to the model.
    """
    ### BEGIN SOLUTION
    corrupted = corrupt(images)
    x_hat = model(corrupted)
    return loss_fn(x_hat, images)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_denoising_loss", "grade": true}
check.denoising_loss(denoising_loss)

# %% [markdown]
# The noise is strong: its standard deviation is half of the range from black to white. The denoiser is compared with
# three alternatives: no denoising, a Gaussian blur of the best width (recorded, not run here), and your first
# autoencoder, which was trained without noise. **Predict**: how probable is it that this first autoencoder beats the
# best blur?

# %% tags=["predict"]
predict.beats_the_blur(...)  # how probable: 0 is no, 1 is yes

# %% tags=["train"]
check.needs("Autoencoder", "reconstruction_loss", "corrupt", "denoising_loss")
noise, generator = 0.5, torch.Generator().manual_seed(1)


def clean_from_noisy(model, images):
    def damage(x):
        return corrupt(x, noise, generator=generator)

    return denoising_loss(model, images, damage, reconstruction_loss)


title = "Denoising autoencoder"
denoiser = train(new_autoencoder(), data.images, clean_from_noisy, title)
noisy = corrupt(test_images, noise, generator=torch.Generator().manual_seed(2))
denoised = evaluation.predict(denoiser, noisy).to(device)
copied = evaluation.predict(autoencoder, noisy).to(device)
rivals = {"do nothing": noisy, "first autoencoder": copied, "denoiser": denoised}
for name, x_hat in rivals.items():
    error = reconstruction_loss(x_hat, test_images)
    print(f"{name:18} squared error per image: {error:.1f}")
options = {"clean": test_images[:8], "title": "Denoising"}
plots.show(plots.reconstructions(noisy[:8], denoised[:8], **options))
predict.beats_the_blur.compare()

# %% [markdown]
# | recorded | squared error per image |
# |---|---:|
# | nothing | {{ result("denoising", "nothing").mean | num(1) }} |
# | three-by-three mean | {{ result("denoising", "mean_filter").mean | num(1) }} |
# | best Gaussian blur | {{ result("denoising", "gaussian_filter").mean | num(1) }} |
# | first autoencoder | {{ result("denoising", "autoencoder").mean | num(1) }} |
# | **denoiser** | **{{ result("denoising", "denoising").mean | num(1) }}** |
#
# Even the first autoencoder is slightly better than the best blur, {{ every_seed("autoencoder < gaussian_filter,
# denoising < autoencoder", "denoising") }}. A filter uses only the similarity of neighboring pixels. The denoiser has
# also learned this data set. Where noise hides everything, it draws an average of what could be there. In medical
# imaging this is dangerous.
#
# *A natural break.*
#
# ## 5. Look inside: what the code knows
#
# The outputs of an encoder are called *features* when another model uses them. Measure them as in unit 00: eval mode,
# no gradients, mode restored. The course provides this as `with eval_mode(model), torch.no_grad():`.
#
# The cell shows the training images with the closest codes (*nearest neighbors*). Do they have the same class, or only
# the same brightness and place?

# %% tags=["demo"]
check.needs("Autoencoder", "reconstruction_loss")
train_images = as_float(data.images).to(device)
with eval_mode(autoencoder), torch.no_grad():
    codes = autoencoder.encode(train_images)  # (N, code_dim)
    queries = autoencoder.encode(test_images[:5])  # (5, code_dim)
nearest = torch.cdist(queries, codes).topk(6, largest=False).indices.cpu()  # (5, 6)
plots.show(plots.nearest_neighbours(
    test.images[:5], data.images[nearest], title="Nearest in the code",
    query_labels=test.labels[:5], neighbour_labels=data.labels[nearest],
    class_names=data.class_names,
))  # fmt: skip

# %% [markdown]
# A thick frame marks another class. The neighbors are similar in place, size and brightness, and often in class too.
# When the five nearest vote, {{ result("neighbors", "all").mean | pct }} of the test images are classified correctly
# with all labels, but only {{ result("neighbors", "10").mean | pct }} with ten per class (recorded). A possible reason:
# with few labels the nearest *labeled* image is far away, so place or brightness decide.
#
# ## 6. How unusual is this image?
#
# The code was learned from the training images. A different kind of image is rebuilt badly, so its reconstruction error
# can serve as an *anomaly score*:
#
# $$s_n = \sum_{p} (\hat x_{np} - x_{np})^2$$
#
# This is the loss without the mean over images, `(N, C, H, W) -> (N,)`. The score of an image must not depend on the
# rest of the batch.
#
# ### Exercise 1.5: anomaly_score (core, 8 minutes)

# %% nbgrader={"grade_id": "anomaly_score", "solution": true}
def anomaly_score(model, images):
    """The squared error of each image's reconstruction, summed over its pixels.

    Args:
        model: maps images (N, C, H, W) to reconstructions. It works in eval mode with
            gradients switched off; afterwards `model.training` is what it was, and
            its weights stay trainable. `eval_mode` may be used.
        images: (N, C, H, W) float tensor, on the model's device.

    Returns:
        (N,) tensor without gradient: the higher, the stranger.
    """
    ### BEGIN SOLUTION
    with eval_mode(model), torch.no_grad():
        x_hat = model(images)
    return ((x_hat - images) ** 2).flatten(1).sum(dim=1)  # (N, C, H, W) -> (N,)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_anomaly_score", "grade": true}
check.anomaly_score(anomaly_score)

# %% [markdown]
# There are two glyphs that no training image shows, the ring and the cross. (On other data, one class is left out of
# training.) The *AUROC* is the chance that a random anomaly has a higher score than a random normal image. A score that
# ignores the image has an AUROC of one half. PCA has the lower reconstruction error. **Predict** which detects
# anomalies better, PCA or the autoencoder.

# %% tags=["predict"]
predict.detector(...)  # "PCA" or "autoencoder"

# %% tags=["train"]
check.needs("Autoencoder", "reconstruction_loss", "anomaly_score")
if data.name == "glyphs":
    seen, normal, detector = data.images, test_images, autoencoder
    unseen = load(split="test", n=len(test) // 5, classes=["ring", "cross"])
    anomalies = as_float(unseen.images).to(device)
else:
    held_out = min(4, len(data.class_names) - 1)
    print("held out:", data.class_names[held_out])
    seen = data.images[data.labels != held_out]
    normal = test_images[test.labels != held_out]
    anomalies = test_images[test.labels == held_out]
    detector = train(new_autoencoder(), seen, copy_loss, "Without the held-out class")
candidates = torch.cat([normal, anomalies])
is_anomaly = torch.arange(len(candidates)) >= len(normal)
pca = PCA(code_dim, random_state=0).fit(as_float(seen).flatten(1).numpy())
scores = {
    "autoencoder": anomaly_score(detector, candidates),
    "pca": (pca_reconstruct(candidates) - candidates).pow(2).flatten(1).sum(dim=1),
}
plots.show(plots.roc_curve(scores, is_anomaly, title="Shapes that were never seen"))
predict.detector.compare()

# %% [markdown]
# On glyphs the AUROC is {{ result("anomaly", "autoencoder") | pm }} for the autoencoder and {{ result("anomaly", "pca")
# | pm }} for PCA (recorded), so the autoencoder detects better, {{ every_seed("autoencoder > pca", "anomaly") }},
# although PCA copies better. This suggests that PCA can rebuild rings and crosses too, while the autoencoder replaces
# them by shapes that it knows.
#
# A detector also needs a threshold, and you choose it *without* anomalies. Below, it starts above the scores of
# nineteen in twenty normal images. Move it: to find more anomalies, how many more false alarms must you accept?

# %% tags=["demo"]
check.needs("Autoencoder", "reconstruction_loss", "anomaly_score")
x_label = "squared error per image"
widgets.threshold_slider(scores["autoencoder"], is_anomaly, x_label=x_label)

# %% [markdown]
# The two histograms overlap widely: the errors of many anomalies are as low as those of many normal images. So the
# score is useful to rank images, but no threshold separates the two kinds.
#
# ## 7. The question of the course: does pretraining help with few labels?
#
# The plan is to pretrain on thousands of images without labels, and then to train further with ten labels per class
# (*fine-tuning*). The encoder should now be convolutional: one small filter moves over the whole image, so what it
# learns at one place helps at all others. It must also work without the decoder, because afterwards a classifier takes
# the decoder's place.

# %% [markdown]
# ### Exercise 1.6: ConvAutoencoder (hard, 25 minutes)
#
# Any layers will do, if both modules have convolutions. This is a good start, with a *block* of 3x3 convolution, batch
# normalization and ReLU:
#
# - encoder: block, 2x2 max pooling, block, pooling, block (16, 32 and `feature_dim / 4` channels), then the mean over a
#   grid of 2x2 cells, flattened
# - decoder: a linear layer to `(N, 64, H/4, W/4)`, batch normalization and ReLU, then twice upsampling by 2 and a block
#   (32 and 16 channels), then a convolution and a sigmoid
#
# The check also uses a copy of `encoder` alone and, in eval mode, a single image. Pixels are squashed smoothly (a clamp
# has no gradient). Every weight is made in `__init__` and gets a gradient. It trains on a few pictures of 8 by 8 pixels
# with `Adam(lr=0.005)`: after 80 steps the squared error must be below `0.8` times the error of their mean picture.

# %% nbgrader={"grade_id": "ConvAutoencoder", "solution": true}
class ConvAutoencoder(nn.Module):
    """A convolutional encoder and decoder, each a module that works alone.

    Args:
        image_shape: (C, H, W); H and W may differ, multiples of 4. Any memory layout.
        feature_dim: the length of a feature vector, a multiple of 4.

    encoder(images): (N, C, H, W) -> features (N, feature_dim)
    decoder(features): (N, feature_dim) -> x_hat (N, C, H, W), between 0 and 1
    forward(images): (N, C, H, W) -> x_hat (N, C, H, W), through the features alone
    """

    def __init__(self, image_shape, feature_dim):
        super().__init__()
        ### BEGIN SOLUTION
        c, h, w = image_shape

        def block(before, after):
            conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
            return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU())

        half, up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
        down = [block(c, 16), half, block(16, 32), half, block(32, feature_dim // 4)]
        self.encoder = nn.Sequential(*down, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        # (N, feature_dim) -> (N, 64, H / 4, W / 4) -> (N, 16, H, W)
        start = [nn.Linear(feature_dim, 4 * h * w)]
        start += [nn.Unflatten(1, (64, h // 4, w // 4)), nn.BatchNorm2d(64), nn.ReLU()]
        rest = [up, block(64, 32), up, block(32, 16), nn.Conv2d(16, c, 3, padding=1)]
        self.decoder = nn.Sequential(*start, *rest, nn.Sigmoid())
        ### END SOLUTION

    def forward(self, images):
        ### BEGIN SOLUTION
        return self.decoder(self.encoder(images))
        ### END SOLUTION

# %% nbgrader={"grade_id": "check_ConvAutoencoder", "grade": true}
check.ConvAutoencoder(ConvAutoencoder)

# %% [markdown]
# Pretrain *your* network with *your* loss. **The number to reach** on glyphs is a squared error of {{
# result("label_curve", "error") | pm(digits=1) }} per test image after 600 steps, recorded for the network with blocks
# described above and 256 features. A copy of the encoder with its random initial weights is kept as the control.

# %% tags=["train"]
check.needs("Autoencoder", "reconstruction_loss", "ConvAutoencoder")
feature_dim = min(256, num_pixels // 12 * 4)  # at most a third of the pixels
with seeded(torch.Generator().manual_seed(0)):
    pretrained = ConvAutoencoder(image_shape, feature_dim)
pretrained.to(device, memory_format=torch.channels_last)  # on a CPU up to twice as fast
encoder = pretrained.encoder
encoder.feature_dim = feature_dim  # Classifier reads it
random_encoder = copy.deepcopy(encoder)
pretrain_steps = settings.by_profile(smoke=3, laptop=600, full=6_000)
options = {"steps": pretrain_steps, "batch_size": 64}
train(pretrained, data.images, copy_loss, "Convolutional autoencoder", **options)
x_hat = evaluation.predict(pretrained, test_images).to(device)
print(f"squared error per image: {reconstruction_loss(x_hat, test_images):.1f}")
title = f"Your convolutional autoencoder, {feature_dim} features"
plots.show(plots.reconstructions(test_images[:8], x_hat[:8], title=title))

# %% [markdown]
# The dashed line is still PCA with 32 numbers. Your network may use up to 256, but 600 steps do not bring the recorded
# runs below the line. This does not matter here, because we want the encoder, and not the copies. Now classify with ten
# labels per class, in four ways. *From scratch* and *fine-tuned* have the same steps and learning rate. On a *frozen*
# encoder, random or pretrained, only a linear classifier is trained. The recorded curves are of the network with blocks
# that is described above. What is the order of the four? **Predict** the
# accuracy on the pretrained frozen encoder.

# %% tags=["predict"]
predict.pretrained_frozen(...)  # a share between 0 and 1

# %% tags=["train"]
check.needs("Autoencoder", "reconstruction_loss", "ConvAutoencoder")
generator = torch.Generator().manual_seed(0)
split = split_labels(data.labels, per_class=10, generator=generator)
few = data.subset(split.labeled)
accuracy = {}
few_steps = settings.by_profile(smoke=2, laptop=300, full=2_000)
for name, start in (("scratch", random_encoder), ("autoencoder_finetuned", encoder)):
    model = fit_classifier(start, few, steps=few_steps, batch_size=64, label=name)
    accuracy[name] = evaluation.accuracy_on(model, test)
kinds = {"random_frozen": random_encoder, "autoencoder_frozen": encoder}
for name, frozen in kinds.items():
    x, test_x = (evaluation.extract_features(frozen, d.images) for d in (few, test))
    accuracy[name] = evaluation.probe_accuracy(x, few.labels, test_x, test.labels)
predict.pretrained_frozen.compare(accuracy["autoencoder_frozen"])
title = "10 labels per class, one seed"
chance = 1 / len(data.class_names)
plots.show(plots.bar_with_seeds(accuracy, baseline=chance, title=title))
unit, title = "01_autoencoders", "Pretraining by reconstruction"
plots.show(plots.recorded_curves(unit, dataset=data.name, title=title))
Markdown(records.results_table(up_to=unit))

# %% [markdown]
# Your bars show one seed. The curves show {{ result("label_curve", "scratch@10").n }} seeds with 300 steps, and the
# course's table has 800:
#
# {{ figures_table({"from scratch, weak views": "scratch_weak", "autoencoder, weak views":
# "autoencoder_weak", "from scratch, strong views": "scratch_strong", "autoencoder, strong views":
# "autoencoder_strong"}, (1, 2, 5, 10, 50), "protocol") }}
#
# - **Fine-tuned, 300 steps**: a small gain, about two points at ten labels, positive {{
#   every_seed("autoencoder_finetuned@1 > scratch@1, autoencoder_finetuned@2 > scratch@2, autoencoder_finetuned@5 >
#   scratch@5, autoencoder_finetuned@10 > scratch@10", "label_curve") }} from one to ten (on MNIST {{
#   every_seed("autoencoder_finetuned@2 > scratch@2, autoencoder_finetuned@5 > scratch@5, autoencoder_finetuned@10 >
#   scratch@10", "label_curve", dataset="mnist") }} from two to ten).
# - **800 steps**: with weak views, fine-tuning is better at five labels, {{ every_seed("autoencoder_weak@5 >
#   scratch_weak@5", "protocol") }}, worse at two, also {{ every_seed("autoencoder_weak@2 < scratch_weak@2", "protocol")
#   }}, and equal at ten. *Strong views* are worth far more.
# - **Frozen**: far above random features. In the figure they beat scratch up to two labels only, {{
#   every_seed("autoencoder_frozen@10 > random_frozen@10, autoencoder_frozen@1 > scratch@1, autoencoder_frozen@2 >
#   scratch@2, autoencoder_frozen@5 < scratch@5, autoencoder_frozen@10 < scratch@10, autoencoder_frozen@20 < scratch@20,
#   autoencoder_frozen@50 < scratch@50", "label_curve") }}.

# %% [markdown]
# ## 8. When it fails: what the loss looks at
#
# Why does reconstruction help so little with the class? Look at the loss. The cell moves a test image by three pixels,
# so it still shows the same thing. Then it looks for the training image of *another* class that is closest to the
# original. **Predict** for what share of the images the other class is closer.

# %% tags=["predict"]
predict.closer(...)  # a share between 0 and 1

# %% tags=["demo"]
count = min(200, len(test))
some = test_images[:count]
moved = F.pad(some, (3, 0, 0, 0), mode="replicate")[..., :-3]  # to the right
own_error = (moved - some).pow(2).flatten(1).sum(dim=1)  # (count,)
train_images = as_float(data.images).to(device)
distances = torch.cdist(some.flatten(1), train_images.flatten(1)).pow(2)  # (count, N)
same_class = test.labels[:count, None] == data.labels[None]  # (count, N)
distances[same_class.to(device)] = math.inf
other_error, other = distances.min(dim=1)
share = (other_error < own_error).float().mean()
print(f"another class is closer than the moved image itself: {share:.0%} of images")
predict.closer.compare(share)
rows = torch.cat([some[:6], moved[:6], train_images[other[:6]]])
shown = torch.cat([own_error[:6], other_error[:6]])
errors = [f"{e:.0f}" for e in shown]
by_move, by_class = ", ".join(errors[:6]), ", ".join(errors[6:])
alt = f"Test images; moved, errors {by_move}; another class, errors {by_class}."
options = {"title": "Below: squared error to the first row", "alt": alt}
plots.show(plots.image_grid(rows, captions=[""] * 6 + errors, columns=6, **options))

# %% [markdown]
# The rows are test images, the same images moved, and the nearest images of another class. Another class is *closer*
# for {{ result("closeness", "other_class_closer").mean | pct }} of the images (recorded). So squared error cares more
# about place than about class. This suggests why the code keeps place, size and brightness first: they save more
# squared error than the class does.

# %% [markdown] nbgrader={"grade_id": "why_reconstruction_is_not_class", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A colleague has ten labels per class and plans to train a larger autoencoder for
# longer, "because its reconstructions are still blurred". In four to six sentences, say (a) why sharper reconstructions
# may not improve the classifier, (b) which two controls must stand beside the result, and what each rules out, and (c)
# name one change of the *task*, not of the size, that you would try, and why it should help.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* Squared error rewards every pixel alike, so extra capacity goes into clutter, brightness and
# exact edges, which differ between images of one class; nothing in the loss asks that images of one class get similar
# codes. Beside the result belong the same network trained from scratch with the same labels and steps (else the gain
# may be the architecture's or the training's), and the same encoder random and frozen (else the gain may be what any
# random features give to a linear layer). I would change what has to be predicted, for example which way round an
# image was turned: that cannot be answered from brightness or clutter, only from the shape, which is what the class
# depends on.
#
# *Sample answer (2).* The loss only cares about pixels, and pixels are not classes, so blur is not the problem. They
# should compare with training from scratch. Instead they could use contrastive learning, so that two views of an image
# agree.
#
# *Sample answer (1).* Reconstruction does not use labels, so they need more labels or a better method.
#
# *Rubric.* One point each. (a) says what the loss spends capacity on, and that it is not class. (b) names scratch AND
# random frozen, with what each rules out (one of the two earns no point). (c) names a change of task (denoising,
# masking, rotation, two views, labels in the loss) with a reason tied to (a). No point for "more data" or "more
# layers". ### END SOLUTION

# %% [markdown]
# ## 9. Quiz
#
# Ungraded. Answer first, then open. Your predictions are summed up below.
#
# <details><summary>1. Your loss is hundreds of times smaller than your neighbor's, but the reconstructions are
# identical. Why?</summary> You average over pixels, and your neighbor sums.</details>
#
# <details><summary>2. The code has as many numbers as the image has pixels. What will plain training learn, and what
# will denoising learn?</summary> Plain training learns to copy. Denoising still learns something about images, because
# copying the input does not give the target.</details>
#
# <details><summary>3. Scores of the same image differ between two batches. What is wrong?</summary> The model is in
# train mode, or the score is relative to the batch.</details>
#
# <details><summary>4. Why keep a copy of the encoder from before pretraining?</summary> It is the control: the same
# network and the same initial weights, without pretraining.</details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# - An autoencoder learns what lowers its loss. With squared error this is place, size and brightness before class.
# - It removes noise better than filters, if the corrupted image is the input and the clean one is the target.
# - It finds anomalies better than PCA here, although PCA has the lower reconstruction error. A linear autoencoder spans
#   the subspace of PCA.
# - With few labels it helps a little after a short fine-tuning, and hardly after a longer one. Data augmentation is
#   worth far more. Its frozen features are clearly better than random ones, but from five labels per class on, training
#   from scratch is better still.
# - Features and scores are measurements: eval mode, no gradients, mode restored.

# %% [markdown]
# ## What became of it
#
# Today reconstruction is used for pretraining again, with harder tasks. **BERT** fills in hidden words, and **masked
# autoencoders** (He et al. 2022) fill in hidden patches with a transformer that sees only the visible ones; unit 04
# tries a small version. **Diffusion models** are denoisers, trained for all strengths of noise. Image generators such
# as Stable Diffusion work in the code of an autoencoder (unit 02). **Sparse autoencoders**, whose codes are mostly
# zero, are used to interpret what the layers of language models represent.
#
# In **medicine** and in factories, reconstruction error marks unusual scans and defects, and in **finance** unusual
# payments. In each case you must first check what counts as normal. In **robotics**, world models compress camera
# images to a code and plan with it.

# %% [markdown]
# **Further reading.**
#
# - Vincent et al. (2008), *Extracting and Composing Robust Features with Denoising Autoencoders*: the paper behind
#   `denoising_loss`.
# - Hinton and Salakhutdinov (2006), *Reducing the Dimensionality of Data with Neural Networks*: deep autoencoders that
#   beat PCA.
# - Ruff et al. (2021), *A Unifying Review of Deep and Shallow Anomaly Detection*: what scores other than the
#   reconstruction error can do.
#
# **Challenge.** Get below the error of PCA with the same 32 numbers: {{ result("anomaly", "pca_error_normal").mean |
# num(1) }} per test image. Try more steps, wider layers or convolutions.
#
# **Bonus.** (1) `COURSE_DATASET=mnist`: leave out each digit in turn. Which one is never detected? (2) Pretrain the
# convolutional encoder with `clean_from_noisy`. Does it help?
