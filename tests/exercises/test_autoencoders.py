"""Unit 01's checks against answers that are not written down in mistakes.md: variants of the mistakes, and right
ones."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises import exercise_named
from tests.exercises.known import check


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


@torch.no_grad()
def eval_forgotten(encoder, images, batch_size):
    return torch.cat([encoder(b) for b in torch.split(images, batch_size)])


def requires_grad_switched_off(encoder, images, batch_size):
    mode = encoder.training
    encoder.eval().requires_grad_(False)
    features = torch.cat([encoder(b) for b in images.split(batch_size)])
    encoder.train(mode)
    return features


def steps_of_the_range(encoder, images, batch_size):
    mode = encoder.training
    encoder.eval()
    out = []
    with torch.no_grad():
        for start in range(0, len(images) - batch_size + 1, batch_size):
            out.append(encoder(images[start : start + batch_size]))
    encoder.train(mode)
    return torch.cat(out) if out else torch.zeros(0)


def trains_afterwards(encoder, images, batch_size):
    with torch.no_grad():
        encoder.eval()
        features = torch.cat([encoder(b) for b in images.chunk(math.ceil(len(images) / batch_size))])
        encoder.train(True)
    return features


def one_image_at_a_time(encoder, images, batch_size):
    mode = encoder.training
    encoder.eval()
    with torch.no_grad():
        features = torch.stack([encoder(image.unsqueeze(0)).squeeze(0) for image in images])
    encoder.train(mode)
    return features


def in_so_many_parts(encoder, images, batch_size):
    mode = encoder.training
    with torch.no_grad():
        features = torch.cat([encoder.eval()(b) for b in torch.chunk(images, batch_size)])
    encoder.train(mode)
    return features


def on_a_copy(encoder, images, batch_size):
    frozen = copy.deepcopy(encoder).eval()
    with torch.no_grad():
        return torch.cat([frozen(b) for b in images.split(batch_size)])


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
    ("corrupt", noise_cut_first, "cut_too_early"),
    ("denoising_loss", goes_backward, "backward_inside"),
    ("extract_features", in_so_many_parts, "batch_size_as_a_count"),
    ("extract_features", on_a_copy, None),
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
    ("extract_features", eval_forgotten, "in_train_mode"),
    ("extract_features", requires_grad_switched_off, "weights_frozen_for_good"),
    ("extract_features", steps_of_the_range, "last_batch_dropped"),
    ("extract_features", trains_afterwards, "always_back_to_train"),
    ("extract_features", one_image_at_a_time, None),
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


def test_a_decoder_that_ignores_its_code_is_no_bottleneck():
    result = check(exercise_named("Autoencoder"), IgnoresTheCode)
    assert {c.name for c in result.criteria if not c.score} >= {"bottleneck"}


@pytest.mark.parametrize(("name", "answer", "mistake"), CASES, ids=lambda v: getattr(v, "__name__", v) or "right")
def test_a_variant_is_named_and_another_right_answer_is_right(name, answer, mistake):
    result = check(exercise_named(name), answer, seed=1)
    assert result.mistake == mistake, result.message.render()
    assert (result.state == "right") == (mistake is None), result.as_json()


def test_half_right_gets_its_share():
    score = check(exercise_named("anomaly_score"), at_rest(lambda y, x: (y - x).square().flatten(1).mean(1)))
    assert (score.score, score.points) == (3, 4)  # all but the value
    names = {c.name for c in score.criteria if not c.score}
    assert names == {"value"}


def test_gradients_switched_off_by_an_answer_come_back():
    def switches_off(encoder, images, batch_size):
        torch.set_grad_enabled(False)
        return encoder(images)

    assert check(exercise_named("extract_features"), switches_off).state == "wrong"
    assert torch.is_grad_enabled()
