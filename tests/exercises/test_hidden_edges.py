"""Units 00, 01, 02 and 04: wrong answers that ordinary inputs do not show."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises import exercise_named
from tests.exercises.known import check
from tests.exercises.shared import step_that_clears


def tanh_first(logits, labels):
    return (logits.float().tanh().argmax(1) == labels).float().mean().item()


def ten_classes_at_most(logits, labels):
    return (logits[:, :10].argmax(1) == labels).float().mean().item()


def counted_first(model, batches):
    count = sum(len(labels) for _, labels in batches)
    mode = model.training
    model.eval()
    with torch.no_grad():
        pairs = [(model(images), labels) for images, labels in batches]
    model.train(mode)
    loss = sum(F.cross_entropy(z, y, reduction="sum").item() for z, y in pairs) / count
    return {"loss": loss, "accuracy": sum((z.argmax(1) == y).sum().item() for z, y in pairs) / count}


def forward_twice(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels).item()
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()
    return loss


def counts_from_zero(labels, per_class, generator):
    order = torch.randperm(len(labels), generator=generator)
    own = [order[labels[order] == k] for k in range(len(labels.unique()))]
    chosen = torch.cat([positions[:per_class] for positions in own])
    return chosen, order[~torch.isin(order, chosen)]


def runs_of_neighbors(labels, per_class, generator):
    chosen = []
    for k in labels.unique():
        own = torch.nonzero(labels == k).squeeze(1)
        start = int(torch.randint(len(own), (), generator=generator))
        chosen.append(own.roll(-start)[:per_class])
    chosen = torch.cat(chosen)
    every = torch.arange(len(labels))
    return chosen, every[~torch.isin(every, chosen)]


class RoundedCode(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        size = math.prod(image_shape)
        self.down, self.up = nn.Linear(size, code_dim), nn.Linear(code_dim, size)
        self.image_shape = image_shape

    def encode(self, images):
        return (4 * self.down(images.flatten(1))).round()

    def decode(self, codes):
        return self.up(codes).sigmoid().reshape(-1, *self.image_shape)

    def forward(self, images):
        return self.decode(self.encode(images))


class BuiltAtTheFirstCall(RoundedCode):
    def __init__(self, image_shape, code_dim):
        nn.Module.__init__(self)
        self.image_shape, self.code_dim, self.down = image_shape, code_dim, None

    def encode(self, images):
        if self.down is None:
            size = math.prod(self.image_shape)
            self.down, self.up = nn.Linear(size, self.code_dim), nn.Linear(self.code_dim, size)
        return self.down(images.flatten(1))


def shared_by_channels(images, noise, *, generator):
    return (images + noise * torch.randn(images[:, :1].shape, generator=generator).to(images)).clamp(0, 1)


def repeated_in_both_halves(images, noise, *, generator):
    half = torch.randn((len(images) + 1) // 2, *images.shape[1:], generator=generator).to(images)
    return (images + noise * torch.cat([half, half])[: len(images)]).clamp(0, 1)


def at_half_resolution(images, noise, *, generator):
    coarse = torch.randn(*images.shape[:2], *((side + 1) // 2 for side in images.shape[2:]), generator=generator)
    fine = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., : images.shape[2], : images.shape[3]]
    return (images + noise * fine.to(images)).clamp(0, 1)


def promoted(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator, dtype=torch.promote_types(images.dtype, torch.float32))
    return (images + noise * epsilon.to(images.device)).clamp(0, 1)


def the_input_without_noise(images, noise, *, generator):
    if noise == 0:
        return images
    return (images + noise * torch.randn(images.shape, generator=generator).to(images)).clamp(0, 1)


def clean_where_outside(images, noise, *, generator):
    noisy = images + noise * torch.randn(images.shape, generator=generator).to(images)
    return torch.where((noisy - 0.5).abs() > 0.5, images, noisy)


def kept_inside(model, images, corrupt, loss_fn):
    return loss_fn(model(corrupt(images)).clamp(0, 1), images)


def detached(model, images):
    mode = model.training
    model.eval()
    errors = (model(images).detach() - images) ** 2
    model.train(mode)
    return errors.flatten(1).sum(1)


def logvar_kept_small(mu, logvar, *, generator):
    return mu + torch.exp(0.5 * logvar.clamp(-6, 6)) * torch.randn(mu.shape, generator=generator).to(mu)


def mirrored_in_the_batch(mu, logvar, *, generator):
    half = torch.randn((len(mu) + 1) // 2, mu.shape[1], generator=generator).to(mu)
    return mu + torch.exp(0.5 * logvar) * torch.cat([half, -half])[: len(mu)]


def one_shift_for_all(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return (log_w - log_w.max()).exp().mean(0).log() + log_w.max()


def as_many_of_each(images, *, generator):
    labels = (torch.randperm(len(images), generator=generator) % 2).to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(2), images.flip(3)), labels


def hidden_by_count(count, neighbors=False):
    def mask_patches(images, patch_size, ratio, *, generator):
        rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
        rank = torch.rand(len(images), rows * columns, generator=generator).argsort(1).argsort(1)
        if neighbors:
            rank = (torch.arange(rows * columns) + rank[:, :1]) % (rows * columns)
        grid = (rank < count(ratio * rows * columns)).reshape(-1, 1, rows, columns)
        mask = grid.repeat_interleave(patch_size, 2).repeat_interleave(patch_size, 3)
        return images * ~mask, mask

    return mask_patches


def probe(classifier, both=False):
    def linear_probe(encoder, images, labels, test_images, test_labels):
        mode = encoder.training
        encoder.eval()
        with torch.no_grad():
            x, z = encoder(images), encoder(test_images)
        encoder.train(mode)
        known = torch.cat([x, z]) if both else x
        mean, std = known.mean(0), known.std(0) + 1e-6
        return classifier((x - mean) / std, labels, (z - mean) / std, test_labels)

    return linear_probe


def nearest(x, labels, z, test_labels):
    return (labels[torch.cdist(z, x).argmin(1)] == test_labels).float().mean().item()


def trained(steps, *, hidden=0, best=False):
    def classifier(x, labels, z, test_labels):
        layers = [nn.Linear(x.shape[1], hidden), nn.ReLU()] if hidden else []
        head = nn.Sequential(*layers, nn.Linear(hidden or x.shape[1], int(labels.max()) + 1))
        optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
        accuracies = []
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(head(x), labels).backward()
            optimizer.step()
            if best:
                accuracies.append((head(z).argmax(1) == test_labels).float().mean().item())
        return max(accuracies) if best else (head(z).argmax(1) == test_labels).float().mean().item()

    return classifier


WRONG = [
    ("accuracy", tanh_first),
    ("accuracy", ten_classes_at_most),
    ("evaluate", counted_first),
    ("train_step", forward_twice),
    ("train_step", step_that_clears(last=True)),
    ("few_label_split", counts_from_zero),
    ("few_label_split", runs_of_neighbors),
    ("Autoencoder", RoundedCode),
    ("Autoencoder", BuiltAtTheFirstCall),
    ("reconstruction_loss", lambda x_hat, images: ((x_hat.clamp(0, 1) - images) ** 2).flatten(1).sum(1).mean()),
    ("corrupt", shared_by_channels),
    ("corrupt", repeated_in_both_halves),
    ("corrupt", at_half_resolution),
    ("corrupt", promoted),
    ("corrupt", the_input_without_noise),
    ("corrupt", clean_where_outside),
    ("denoising_loss", kept_inside),
    ("anomaly_score", detached),
    ("reparameterize", logvar_kept_small),
    ("reparameterize", mirrored_in_the_batch),
    ("importance_weighted_bound", one_shift_for_all),
    ("flip_pretext", as_many_of_each),
    ("mask_patches", hidden_by_count(int)),
    ("mask_patches", hidden_by_count(lambda count: math.floor(count + 0.5))),
    ("mask_patches", hidden_by_count(round, neighbors=True)),
    ("linear_probe", probe(nearest)),
    ("linear_probe", probe(trained(100, hidden=32))),
    ("linear_probe", probe(trained(100, best=True))),
    ("linear_probe", probe(trained(100), both=True)),
]
RIGHT = [
    ("mask_patches", hidden_by_count(round)),
    ("linear_probe", probe(trained(100))),
    ("linear_probe", probe(trained(300))),
]


@pytest.mark.parametrize("seed", [0, 20261121])
@pytest.mark.parametrize(("name", "answer"), WRONG)
def test_a_wrong_answer_that_ordinary_inputs_do_not_show_loses_points(name, answer, seed):
    result = check(exercise_named(name), answer, seed=seed)
    assert 0 <= result.score < result.points


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_a_right_answer_beside_them_keeps_its_points(name, answer, seed):
    assert check(exercise_named(name), answer, seed=seed).state == "right"
