"""Unit 01's checks against answers that are not written down in mistakes.md: variants of the mistakes, and right
ones."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises import exercise_named
from tests.exercises.known import check
from tests.exercises.shared import variants_tested


def fully_connected(image_shape, code_dim):
    d = math.prod(image_shape)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(d, 64), nn.GELU(), nn.Linear(64, code_dim))
    decoder = nn.Sequential(nn.Linear(code_dim, 64), nn.GELU(), nn.Linear(64, d), nn.Unflatten(1, tuple(image_shape)))
    return encoder, decoder


class Base(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        self.encoder, self.decoder = fully_connected(image_shape, code_dim)

    def encode(self, images):
        return self.encoder(images)

    def decode(self, codes):
        return self.decoder(codes).sigmoid()

    def forward(self, images):
        return self.decode(self.encode(images))


def of_layers(*widths, activation=nn.ReLU, norm=None):
    """An autoencoder of this size; all of them are right, and learn fast or slowly."""

    class Stacked(Base):
        def __init__(self, image_shape, code_dim):
            nn.Module.__init__(self)
            d = math.prod(image_shape)
            self.encoder = nn.Sequential(nn.Flatten(), *self.stack(d, *widths), nn.Linear(widths[-1], code_dim))
            back = self.stack(code_dim, *reversed(widths))
            self.decoder = nn.Sequential(*back, nn.Linear(widths[0], d), nn.Unflatten(1, tuple(image_shape)))

        def stack(self, *sizes):
            for a, b in itertools.pairwise(sizes):
                yield nn.Linear(a, b)
                if norm:
                    yield norm(b)
                yield activation()

    return Stacked


class IgnoresTheCode(Base):
    def decode(self, codes):
        return self.decoder(0 * codes).sigmoid()


class Tanh(Base):
    def decode(self, codes):
        return self.decoder(codes).tanh()


class Relu(Base):
    def decode(self, codes):
        return self.decoder(codes).relu().clamp(max=1)


class AddsTheImage(Base):
    def forward(self, images):
        return (super().forward(images) + images) / 2


class CodeCutOff(Base):
    def forward(self, images):
        return self.decode(self.encode(images).detach())


class ReshapedTo784(Base):
    def __init__(self, image_shape, code_dim):
        super().__init__((1, 28, 28), code_dim)

    def encode(self, images):
        return self.encoder(images.reshape(-1, 784))


class CodeOfTwiceTheSize(Base):
    def __init__(self, image_shape, code_dim):
        super().__init__(image_shape, 2 * code_dim)


class ModuleDict(Base):
    def __init__(self, image_shape, code_dim):
        super().__init__(image_shape, code_dim)
        self.parts = nn.ModuleDict({"down": self.encoder, "up": self.decoder})


class PeeksAtTheEncoder(Base):
    """A way round the code that a look at one forward pass does not show: decode uses what encode left behind."""

    def encode(self, images):
        self.left_behind = images.mean()
        return self.encoder(images)

    def decode(self, codes):
        return (self.decoder(codes) + self.left_behind).sigmoid()


class LayersInLists(Base):
    """Parameters that have gradients, and that the optimizer never sees."""

    def __init__(self, image_shape, code_dim):
        nn.Module.__init__(self)
        self.pair = list(fully_connected(image_shape, code_dim))

    def encode(self, images):
        return self.pair[0](images)

    def decode(self, codes):
        return self.pair[1](codes).sigmoid()


class Conv(nn.Module):
    """A right answer to ConvAutoencoder; `wide` and `squash` are what variants change."""

    wide, squash, before, activation = 16, nn.Sigmoid, None, nn.ReLU

    def __init__(self, image_shape, feature_dim):
        super().__init__()
        self.channels, *size = image_shape
        wide, h, w = self.wide, *(side // 4 for side in size)
        down = [nn.Conv2d(self.before or self.channels, wide, 4, 2, 1), self.activation()]
        down += [nn.Conv2d(wide, wide, 4, 2, 1), self.activation(), nn.Flatten()]
        self.encoder = nn.Sequential(*down, nn.Linear(wide * h * w, feature_dim))
        self.decoder = nn.Sequential(
            *(nn.Linear(feature_dim, wide * h * w), nn.Unflatten(1, (wide, h, w)), self.activation()),
            *(nn.Upsample(scale_factor=4), nn.Conv2d(wide, wide, 3, padding=1), self.activation()),
            *(nn.Conv2d(wide, self.channels, 3, padding=1), self.squash()),
        )

    def forward(self, images):
        return self.decoder(self.encoder(images))


class OnlyGray(Conv):
    before = 1


class SquashedByRelu(Conv):
    squash = nn.ReLU6


class TooFewChannels(Conv):
    wide = 1


class HeightForWidth(Conv):
    def __init__(self, image_shape, feature_dim):
        channels, height, width = image_shape
        super().__init__((channels, width, height), feature_dim)


class NearestOnly(Conv):
    """Its decoder is linear, and enlarges."""

    def __init__(self, image_shape, feature_dim):
        super().__init__(image_shape, feature_dim)
        half = (image_shape[0], image_shape[1] // 2, image_shape[2] // 2)
        shape = [nn.Unflatten(1, half), nn.Upsample(scale_factor=2)]
        self.decoder = nn.Sequential(nn.Linear(feature_dim, math.prod(half)), *shape, nn.Sigmoid())


class LooksBack(Conv):
    """A way round the features: the decoder uses what the encoder saw last."""

    def __init__(self, image_shape, feature_dim):
        super().__init__(image_shape, feature_dim)
        self.encoder[0].register_forward_hook(self.keep)
        self.decoder[-2].register_forward_hook(lambda module, given, out: out + self.kept)

    def keep(self, module, given, out):
        self.kept = given[0].mean()


class UnderNoGrad(Conv):
    def forward(self, images):
        with torch.no_grad():
            features = self.encoder(images)
        return self.decoder(features)


class NeverDark(Conv):
    def __init__(self, image_shape, feature_dim):
        super().__init__(image_shape, feature_dim)
        self.decoder.insert(-1, nn.ReLU())


class FrozenEncoder(Conv):
    def __init__(self, image_shape, feature_dim):
        super().__init__(image_shape, feature_dim)
        self.encoder.requires_grad_(False)


class DecoderOfAnotherName(Conv):
    def __init__(self, image_shape, feature_dim):
        super().__init__(image_shape, feature_dim)
        self.dec = self.decoder
        del self.decoder

    def forward(self, images):
        return self.dec(self.encoder(images))


class WithDropout(Conv):
    def __init__(self, image_shape, feature_dim):
        super().__init__(image_shape, feature_dim)
        self.encoder.insert(4, nn.Dropout(0.2))


class ByFunctions(nn.Module):
    """Kernels of its own and `F.conv2d`, no layer of torch's."""

    class Half(nn.Module):
        def __init__(self, before, after, run):
            super().__init__()
            self.kernel = nn.Parameter(0.2 * torch.randn(after, before, 3, 3))
            self.run = run

        def forward(self, x):
            return self.run(self, x)

    def __init__(self, image_shape, feature_dim):
        super().__init__()
        channels, height, width = image_shape
        self.encoder = self.Half(channels, 12, lambda half, x: half.last(half.conv(x).relu().flatten(1)))
        self.encoder.conv = lambda x: F.conv2d(x, self.encoder.kernel, stride=2, padding=1)
        self.encoder.last = nn.Linear(3 * height * width, feature_dim)
        self.decoder = self.Half(
            12, channels, lambda half, z: F.conv2d(half.enlarged(z), half.kernel, padding=1).sigmoid()
        )
        self.decoder.first = nn.Linear(feature_dim, 3 * height * width)
        self.decoder.enlarged = lambda z: F.interpolate(
            self.decoder.first(z).relu().reshape(-1, 12, height // 2, width // 2), scale_factor=2
        )

    def forward(self, images):
        return self.decoder(self.encoder(images))


def loss_by_module(x_hat, images):
    return nn.MSELoss()(x_hat, images)


def distance_squared(x_hat, images):
    return torch.dist(x_hat, images) ** 2


def detached_at_the_end(x_hat, images):
    return (x_hat - images).square().flatten(1).sum(1).mean().detach()


def as_python_float(x_hat, images):
    return float((x_hat - images).square().flatten(1).sum(1).mean())


def loss_in_a_loop(x_hat, images):
    total = 0
    for ours, theirs in zip(x_hat, images):
        total = total + ((ours - theirs) ** 2).sum()
    return total / len(images)


def added_in_place(images, noise, *, generator):
    images.add_(noise * torch.randn(images.shape, generator=generator).to(images))
    return images.clip(0, 1)


def clamped_below_only(images, noise, *, generator):
    return (images + noise * torch.randn(images.shape, generator=generator).to(images)).clamp(min=0)


def own_generator(images, noise, *, generator):
    mine = torch.Generator().manual_seed(42)
    return (images + noise * torch.randn(images.shape, generator=mine).to(images)).clamp(0, 1)


def global_generator(images, noise, *, generator):
    torch.manual_seed(generator.initial_seed())
    return (images + noise * torch.randn(images.shape).to(images)).clamp(0, 1)


def one_picture_of_noise(images, noise, *, generator):
    return (images + noise * torch.randn(1, *images.shape[1:], generator=generator).to(images)).clamp(0, 1)


def noise_of_variance(images, noise, *, generator):
    return (images + torch.randn(images.shape, generator=generator).to(images) * noise**0.5).clip(0, 1)


def image_by_image_noise(images, noise, *, generator):
    noisy = [x + noise * torch.randn(x.shape, generator=generator).to(x) for x in images]
    return torch.stack(noisy).clamp(0, 1)


def copy_of_noisy_as_target(model, images, corrupt, loss_fn):
    noisy = corrupt(images)
    target = noisy.clone().detach()
    return loss_fn(model(noisy), target)


def a_second_corruption(model, images, corrupt, loss_fn):
    first, second = corrupt(images), corrupt(images)
    return loss_fn(model(first), second)


def loss_as_number(model, images, corrupt, loss_fn):
    return loss_fn(model(corrupt(images)), images).item()


def never_corrupted(model, images, corrupt, loss_fn):
    x_hat = model(images.clone())
    return loss_fn(x_hat, images)


def named_arguments(model, images, corrupt, loss_fn):
    return loss_fn(x_hat=model(corrupt(images)), target=images)


def goes_backward(model, images, corrupt, loss_fn):
    loss = loss_fn(model(corrupt(images)), images)
    loss.sum().backward()
    return loss


def noise_cut_first(images, noise, *, generator):
    return images + torch.clip(noise * torch.randn(images.shape, generator=generator).to(images), min=0)


def at_rest(score):
    def scored(model, images):
        mode = model.training
        model.eval()
        with torch.no_grad():
            x_hat = model(images)
        model.train(mode)
        return score(x_hat, images)

    return scored


CASES = [
    ("Autoencoder", Tanh, "without_sigmoid"),
    ("Autoencoder", Relu, "clamped"),
    ("Autoencoder", AddsTheImage, "skips_the_code"),
    ("Autoencoder", CodeCutOff, "detached_code"),
    ("Autoencoder", ReshapedTo784, "hard_coded_size"),
    ("Autoencoder", CodeOfTwiceTheSize, "wide_code"),
    ("Autoencoder", ModuleDict, None),
    ("Autoencoder", PeeksAtTheEncoder, "skips_the_code"),
    ("Autoencoder", LayersInLists, "plain_list"),
    ("ConvAutoencoder", NearestOnly, "no_convolutions"),
    ("ConvAutoencoder", OnlyGray, "hard_coded_size"),
    ("ConvAutoencoder", HeightForWidth, "hard_coded_size"),
    ("ConvAutoencoder", LooksBack, "skips_the_features"),
    ("ConvAutoencoder", UnderNoGrad, "features_cut_off"),
    ("ConvAutoencoder", SquashedByRelu, "without_sigmoid"),
    ("ConvAutoencoder", TooFewChannels, "does_not_learn"),
    ("ConvAutoencoder", NeverDark, "clamped"),
    ("ConvAutoencoder", FrozenEncoder, "unused_weights"),
    ("ConvAutoencoder", DecoderOfAnotherName, "methods_instead_of_modules"),
    ("ConvAutoencoder", ByFunctions, None),
    ("ConvAutoencoder", WithDropout, None),
    ("corrupt", noise_cut_first, "cut_too_early"),
    ("denoising_loss", goes_backward, "backward_inside"),
    ("reconstruction_loss", loss_by_module, "mean_of_everything"),
    ("reconstruction_loss", distance_squared, "sum_of_everything"),
    ("reconstruction_loss", detached_at_the_end, "cut_from_the_graph"),
    ("reconstruction_loss", as_python_float, "plain_number"),
    ("reconstruction_loss", loss_in_a_loop, None),
    ("corrupt", added_in_place, "into_the_input"),
    ("corrupt", clamped_below_only, "without_clamp"),
    ("corrupt", own_generator, "seeded_inside"),
    ("corrupt", global_generator, "seeded_inside"),
    ("corrupt", one_picture_of_noise, "same_noise_for_all"),
    ("corrupt", noise_of_variance, "noise_as_variance"),
    ("corrupt", image_by_image_noise, None),
    ("denoising_loss", copy_of_noisy_as_target, "noisy_target"),
    ("denoising_loss", a_second_corruption, "corrupted_twice"),
    ("denoising_loss", loss_as_number, "without_gradient"),
    ("denoising_loss", never_corrupted, "clean_input"),
    ("denoising_loss", named_arguments, None),
    ("anomaly_score", at_rest(lambda y, x: F.mse_loss(y, x, reduction="none").mean((1, 2, 3))), "mean_over_pixels"),
    ("anomaly_score", at_rest(lambda y, x: 1 / (1 + (y - x).square().flatten(1).sum(1))), "upside_down"),
    ("anomaly_score", at_rest(lambda y, x: (y - x).square().sum((2, 3))), "map_of_pixels"),
    ("anomaly_score", at_rest(lambda y, x: F.mse_loss(y, x)), "one_score_for_the_batch"),
    ("anomaly_score", lambda m, x: (m(x) - x).detach().square().flatten(1).sum(1), "scored_in_train_mode"),
    ("anomaly_score", at_rest(lambda y, x: torch.linalg.vector_norm(y - x, dim=(1, 2, 3)) ** 2), None),
]


SIZES = {
    "wide": of_layers(2048, 1024),
    "deep": of_layers(256, 128, 64, 32, activation=nn.Tanh),
    "slow": of_layers(256, 64, activation=nn.Sigmoid),
    "narrow": of_layers(16),
    "narrow_and_deep": of_layers(32, 16),
    "normalized": of_layers(256, 128, norm=nn.BatchNorm1d),
}


@pytest.mark.parametrize("size", SIZES)
def test_an_autoencoder_of_any_size_is_right(size):
    """Trained too fast, wide and deep ones blew up and lost the point for learning."""
    for seed in (0, 1, 7):
        result = check(exercise_named("Autoencoder"), SIZES[size], seed=seed)
        assert result.state == "right", result.as_json()


def test_what_the_encoder_of_a_convolutional_one_must_be():
    """A copy of it alone goes into a classifier, and a decoder that ignores the features is not an autoencoder."""

    class OfTheWhole(Conv):
        def __init__(self, image_shape, feature_dim):
            super().__init__(image_shape, feature_dim)
            self.encoder.register_forward_hook(lambda module, given, out: out * (1 if module is self.encoder else 2))

    class Ignores(Conv):
        def forward(self, images):
            return self.decoder(0 * self.encoder(images))

    copied, ignoring = (check(exercise_named("ConvAutoencoder"), answer).criteria for answer in (OfTheWhole, Ignores))
    assert [c.name for c in copied if not c.score] == ["shapes"]
    assert {c.name for c in ignoring if not c.score} >= {"code", "learns"}


def test_a_decoder_that_ignores_its_code_is_no_bottleneck():
    result = check(exercise_named("Autoencoder"), IgnoresTheCode)
    assert {c.name for c in result.criteria if not c.score} >= {"bottleneck"}


test_a_variant_is_named_and_another_right_answer_is_right = variants_tested(CASES)


def test_half_right_gets_its_share():
    score = check(exercise_named("anomaly_score"), at_rest(lambda y, x: (y - x).square().flatten(1).mean(1)))
    assert (score.score, score.points) == (2, 3)  # all but the value
    names = {c.name for c in score.criteria if not c.score}
    assert names == {"value"}


def test_gradients_switched_off_by_an_answer_come_back():
    def switches_off(model, images):
        torch.set_grad_enabled(False)
        return (model(images) - images).square().flatten(1).sum(1)

    assert check(exercise_named("anomaly_score"), switches_off).state == "wrong"
    assert torch.is_grad_enabled()
