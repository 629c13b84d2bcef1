"""Wrong answers that only seldom inputs show, kind by kind and in several exercises; and right answers beside them."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises import exercise_named
from tests.exercises.known import check

# --- classes from 128 on: predictions or labels in a narrow type ------------------------------------------------------


def accuracy_in(narrow):
    return lambda logits, labels: (logits.argmax(1).to(narrow) == labels).float().mean().item()


def predictions_in_bytes(model, batches):
    mode = model.training
    model.eval()
    with torch.no_grad():
        pairs = [(model(images), labels) for images, labels in batches]
    model.train(mode)
    z, y = torch.cat([z for z, _ in pairs]), torch.cat([y for _, y in pairs])
    right = z.argmax(1).to(torch.uint8) == y
    return {"loss": F.cross_entropy(z, y).item(), "accuracy": right.float().mean().item()}


def step_with_bytes(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels.to(torch.uint8).long())
    loss.backward()
    optimizer.step()
    return loss.item()


def split_with_bytes(labels, per_class, generator):
    narrow = labels.to(torch.int8)
    order = torch.randperm(len(labels), generator=generator)
    chosen = torch.cat([order[narrow[order] == k][:per_class] for k in narrow[narrow >= 0].unique()])
    every = torch.arange(len(labels))
    return chosen, every[~torch.isin(every, chosen)]


def select_with_bytes(labels, confidences, tau, *, per_class=None):
    kept = confidences >= tau
    if per_class is not None:
        for k in labels[labels < 128].unique():
            own = (kept & (labels == k)).nonzero().squeeze(1)
            kept[own[confidences[own].argsort(descending=True)[per_class:]]] = False
    return kept.nonzero().squeeze(1)


def calibration_with_bytes(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    right = (predicted.to(torch.int8) == labels).to(confidences.dtype)
    place = (confidences * num_bins).ceil().clamp(min=1, max=num_bins)
    gaps = [(right - confidences)[place == m].sum().abs().item() for m in range(1, num_bins + 1)]
    return sum(gaps) / len(labels)


def joint_with_bytes(model, batch, old_batch, lam):
    old_labels = old_batch[1].to(torch.uint8).long()
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    return task + lam * F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_labels)


def fixmatch_with_bytes(weak_logits, strong_logits, *, threshold):
    confidence, guess = weak_logits.detach().softmax(dim=1).max(dim=1)
    losses = F.cross_entropy(strong_logits, guess.to(torch.uint8).long(), reduction="none")
    return (losses * (confidence >= threshold)).mean()


# --- a single feature, latent or number of a code ---------------------------------------------------------------------


def squeezed_kl(mu, logvar):
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).squeeze(1)


def squeezed_elbo(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(1)
    return (per_pixel + beta * kl.squeeze().sum(-1)).mean()


def squeezed_code(mu, logvar, *, generator):
    return (mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=generator).to(mu)).squeeze(1)


def autoencoder(squash, *, squeeze=False):
    class Autoencoder(nn.Module):
        def __init__(self, image_shape, code_dim):
            super().__init__()
            size = math.prod(image_shape)
            self.down = nn.Sequential(nn.Flatten(), nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, code_dim))
            self.up = nn.Sequential(nn.Linear(code_dim, 64), nn.ReLU(), nn.Linear(64, size))
            self.image_shape, self.code_dim = image_shape, code_dim

        def encode(self, images):
            return self.down(images).squeeze(1) if squeeze else self.down(images)

        def decode(self, codes):
            return squash(self.up(codes.reshape(-1, self.code_dim))).reshape(-1, *self.image_shape)

        def forward(self, images):
            return self.decode(self.encode(images))

    return Autoencoder


# --- modes: of the whole, of a part, during and after -----------------------------------------------------------------


def denoised_in(mode, *, put_back=False):
    def denoising_loss(model, images, corrupt, loss_fn):
        modes = [(part, part.training) for part in model.modules()]
        x_hat = model.train(mode)(corrupt(images))
        for part, was_training in modes if put_back else ():
            part.training = was_training
        return loss_fn(x_hat, images)

    return denoising_loss


def joint_in(mode):
    def joint_loss(model, batch, old_batch, lam):
        was_training = model.encoder.training
        model.encoder.train(mode)
        task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
        old = F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1])
        model.encoder.train(was_training)
        return task + lam * old

    return joint_loss


def student_woken_up(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)
    return (student.train()(strong).softmax(dim=1) - target).pow(2).sum(dim=1).mean()


def mode_put_back(model, images, labels, optimizer):
    was_training = model.training
    loss = F.cross_entropy(model.train()(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    model.train(was_training)
    return loss.item()


def labeled_with_modes_of(parts):
    """Pseudo-labels after which just these parts have the mode that they had."""

    def pseudo_label(model, images):
        modes = [(part, part.training) for part in parts(model)]
        model.eval()
        with torch.no_grad():
            confidences, labels = torch.cat([model(x) for x in images.split(100)]).softmax(dim=1).max(dim=1)
        for part, was_training in modes:
            part.train(was_training)
        return labels, confidences

    return pseudo_label


def round_with_one_mode(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    was_training = model.training
    with torch.no_grad():
        confidences, guessed = model.eval()(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(start if restart else model)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return network, chosen


def average_with_one_mode(teacher, student, decay):
    with torch.no_grad():
        mine, theirs = ([*network.parameters(), *network.buffers()] for network in (teacher, student))
        for slow, fast in zip(mine, theirs):
            slow.copy_(decay * slow + (1 - decay) * fast if slow.is_floating_point() else fast)
    teacher.train(teacher.training)


# --- types of results -------------------------------------------------------------------------------------------------


def stopping(as_answer):
    class EarlyStopping:
        def __init__(self, patience, *, min_delta=0.0, mode="max"):
            self.patience, self.min_delta, self.sign = patience, min_delta, 1 if mode == "max" else -1
            self.best, self.waited = None, 0

        def update(self, value, model):
            self.waited += 1
            if self.best is None or self.sign * (value - self.best) > self.min_delta:
                self.best, self.state, self.waited = value, copy.deepcopy(model.state_dict()), 0
            return as_answer(self.waited >= self.patience)

        def restore(self, model):
            model.load_state_dict(self.state)

    return EarlyStopping


def warmup(as_answer):
    def kl_warmup(step, warmup_steps, *, beta=1.0):
        return as_answer(beta * (min(step / warmup_steps, 1.0) if warmup_steps else 1.0))

    return kl_warmup


def ramp(as_answer):
    def ramp_up(step, ramp_steps, *, maximum=1.0):
        if step == 0 and ramp_steps:
            return as_answer(0.0)
        t = min(step / ramp_steps, 1.0) if ramp_steps else 1.0
        return as_answer(maximum * math.exp(-5.0 * (1.0 - t) ** 2))

    return ramp_up


def calibration(as_answer):
    def expected_calibration_error(logits, labels, *, num_bins=10):
        confidences, predicted = logits.softmax(dim=1).max(dim=1)
        right = (predicted == labels).to(confidences.dtype)
        place = torch.bucketize(confidences, torch.linspace(0, 1, num_bins + 1).to(confidences))
        return as_answer(
            sum((right - confidences)[place == m].sum().abs().item() for m in place.unique()) / len(labels)
        )

    return expected_calibration_error


# --- equal numbers, one number far above the others, classes of very unequal size -------------------------------------


def selected(first):
    """Of each class those that are `first` by confidence, a tensor, and position, a tensor: a key to sort by."""

    def select_confident(labels, confidences, tau, *, per_class=None):
        kept = (confidences >= tau).tolist()
        keys = first(confidences, torch.arange(len(labels)).to(labels.device)).tolist()
        chosen = []
        for k in labels.unique().tolist():
            own = sorted((key, i) for i, key in enumerate(keys) if kept[i] and int(labels[i]) == k)
            chosen += [i for _, i in own[:per_class]]
        return torch.tensor(sorted(chosen), dtype=torch.int64, device=labels.device)

    return select_confident


def all_equal_ones(labels, confidences, tau, *, per_class=None):
    kept = confidences >= tau
    if per_class is not None:
        better = (labels[None] == labels[:, None]) & (confidences[None] > confidences[:, None])
        kept = kept & (better.sum(dim=1) < per_class)
    return kept.nonzero().squeeze(1)


def bound_around(center):
    def importance_weighted_bound(log_px_given_z, log_pz, log_qz):
        log_w = log_px_given_z + log_pz - log_qz
        return (log_w - center(log_w)).exp().mean(dim=0).log() + center(log_w)

    return importance_weighted_bound


def split_among(part):
    """A split of which the labeled positions come from one part of each class."""

    def few_label_split(labels, per_class, generator):
        chosen, smallest = [], int(labels.unique(return_counts=True)[1].min())
        for k in labels.unique():
            own = part(torch.nonzero(labels == k).squeeze(1), smallest)
            chosen.append(own[torch.randperm(len(own), generator=generator)[:per_class]])
        chosen = torch.cat(chosen)
        every = torch.arange(len(labels))
        return chosen, every[~torch.isin(every, chosen)]

    return few_label_split


# Which of an exercise's answers hold classes in a narrow type, and which lose a dimension of size one.
NARROW = {
    "evaluate": predictions_in_bytes,
    "train_step": step_with_bytes,
    "few_label_split": split_with_bytes,
    "select_confident": select_with_bytes,
    "expected_calibration_error": calibration_with_bytes,
    "joint_loss": joint_with_bytes,
    "fixmatch_loss": fixmatch_with_bytes,
}
SQUEEZED = {
    "kl_divergence": squeezed_kl,
    "negative_elbo": squeezed_elbo,
    "reparameterize": squeezed_code,
    "Autoencoder": autoencoder(torch.sigmoid, squeeze=True),
}
WRONG = {
    **{f"{name} in a narrow type": (name, fn) for name, fn in NARROW.items()},
    **{f"{name} squeezed": (name, fn) for name, fn in SQUEEZED.items()},
    "accuracy in int8": ("accuracy", accuracy_in(torch.int8)),
    "accuracy in uint8": ("accuracy", accuracy_in(torch.uint8)),
    "denoised in train mode": ("denoising_loss", denoised_in(True)),
    "denoised in train mode for a while": ("denoising_loss", denoised_in(True, put_back=True)),
    "denoised in eval mode for a while": ("denoising_loss", denoised_in(False, put_back=True)),
    "joint_loss, encoder in train mode": ("joint_loss", joint_in(True)),
    "joint_loss, encoder in eval mode": ("joint_loss", joint_in(False)),
    "student in train mode": ("mean_teacher_loss", student_woken_up),
    "train_step puts the mode back": ("train_step", mode_put_back),
    "modes of children": ("pseudo_label", labeled_with_modes_of(lambda model: [model, *model.children()])),
    "mode of the whole": ("pseudo_label", labeled_with_modes_of(lambda model: [model])),
    "round, mode of the whole": ("self_training_round", round_with_one_mode),
    "average, mode of the whole": ("ema_update", average_with_one_mode),
    "None for False": ("EarlyStopping", stopping(lambda stop: stop or None)),
    "1 for True": ("EarlyStopping", stopping(int)),
    "a tensor for a bool": ("EarlyStopping", stopping(torch.tensor)),
    "warm-up as a tensor": ("kl_warmup", warmup(torch.tensor)),
    "warm-up as an array": ("kl_warmup", warmup(np.array)),
    "ramp as a tensor": ("ramp_up", ramp(torch.tensor)),
    "calibration as a tensor": ("expected_calibration_error", calibration(torch.tensor)),
    "all equal ones": ("select_confident", all_equal_ones),
    "around the mean": ("importance_weighted_bound", bound_around(lambda log_w: log_w.mean(dim=0))),
    "around the first": ("importance_weighted_bound", bound_around(lambda log_w: log_w[0])),
    "around the smallest": ("importance_weighted_bound", bound_around(lambda log_w: log_w.amin(dim=0))),
    "early positions": ("few_label_split", split_among(lambda own, count: own[:count])),
    "late positions": ("few_label_split", split_among(lambda own, count: own[-count:])),
    "hard sigmoid": ("Autoencoder", autoencoder(F.hardsigmoid)),
    "hard tanh": ("Autoencoder", autoencoder(lambda x: (F.hardtanh(x) + 1) / 2)),
    "clamped around a half": ("Autoencoder", autoencoder(lambda x: (x + 0.5).clamp(0, 1))),
}
RIGHT = {
    "numpy's bool": ("EarlyStopping", stopping(np.bool_)),
    "warm-up by numpy": ("kl_warmup", warmup(np.float64)),
    "ramp by numpy": ("ramp_up", ramp(np.float64)),
    "calibration by numpy": ("expected_calibration_error", calibration(np.float64)),
    "of equal ones the first": ("select_confident", selected(lambda p, i: -p.double() + 1e-9 * i)),
    "of equal ones the last": ("select_confident", selected(lambda p, i: -p.double() - 1e-9 * i)),
    "around the largest": ("importance_weighted_bound", bound_around(lambda log_w: log_w.amax(dim=0))),
    "squashed by tanh": ("Autoencoder", autoencoder(lambda x: (x.tanh() + 1) / 2)),
    "squashed by erf": ("Autoencoder", autoencoder(lambda x: (x.erf() + 1) / 2)),
    "squashed by a sine": ("Autoencoder", autoencoder(lambda x: (x.sin() + 1) / 2)),
    "modes of all parts": ("pseudo_label", labeled_with_modes_of(lambda model: [*model.modules()])),
}


@pytest.mark.parametrize("seed", [0, 20261121])
@pytest.mark.parametrize("answer", WRONG)
def test_a_wrong_answer_that_seldom_inputs_show_loses_points(answer, seed):
    name, fn = WRONG[answer]
    result = check(exercise_named(name), fn, seed=seed)
    assert result.state == "wrong" and result.score < result.points


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("answer", RIGHT)
def test_a_right_answer_beside_them_keeps_its_points(answer, seed):
    name, fn = RIGHT[answer]
    assert check(exercise_named(name), fn, seed=seed).state == "right"
