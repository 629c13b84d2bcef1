"""Unit 10's checks against answers that are not written down in mistakes.md: written from the statements alone."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tests.exercises.shared import answers_tested

# --- 10.1 frames


def by_strides(waves, *, length, hop):
    waves = waves.contiguous()
    count = (waves.shape[1] - length) // hop + 1
    return waves.as_strided((len(waves), count, length), (waves.shape[1], hop, 1)).clone()


def by_convolution(waves, *, length, hop):
    kernel = torch.eye(length, dtype=waves.dtype, device=waves.device)[:, None]
    return F.conv1d(waves[:, None], kernel, stride=hop).transpose(1, 2)


def by_numpy(waves, *, length, hop):
    view = np.lib.stride_tricks.sliding_window_view(waves.cpu().numpy(), length, axis=1)[:, ::hop]
    return torch.from_numpy(view.copy()).to(waves)


def overlap_is_the_hop(waves, *, length, hop):
    return waves.unfold(1, length, max(1, length - hop))


def last_frame_twice(waves, *, length, hop):
    whole = waves.unfold(1, length, hop)
    return torch.cat([whole, waves[:, None, -length:]], dim=1)


def one_sample_late(waves, *, length, hop):
    return F.pad(waves[:, 1:], (0, 1)).unfold(1, length, hop)


def frames_in_a_list(waves, *, length, hop):
    return list(waves.unfold(1, length, hop).unbind(1))


def numbers_of_float32(waves, *, length, hop):
    return waves.float().unfold(1, length, hop)


# --- 10.2 log_mel


def by_matrices(waves, filters, *, window, hop):
    times = torch.arange(window, dtype=torch.float64, device=waves.device)
    fade = 0.5 - 0.5 * torch.cos(2 * math.pi * times / window)
    angles = 2 * math.pi * torch.arange(window // 2 + 1, device=waves.device)[:, None] * times / window
    pieces = waves.double().unfold(1, window, hop) * fade
    power = (pieces @ angles.cos().T) ** 2 + (pieces @ angles.sin().T) ** 2
    return (power @ filters.double() + 0.001).log().to(waves.dtype)


def by_loops(waves, filters, *, window, hop):
    rows = []
    for start in range(0, waves.shape[1] - window + 1, hop):
        piece = waves[:, start : start + window] * torch.hann_window(window).to(waves)
        spectrum = torch.view_as_real(torch.fft.rfft(piece)).norm(dim=-1)
        rows.append(torch.log(spectrum.pow(2) @ filters + 1e-3))
    return torch.stack(rows, dim=1)


def power_over_window(waves, filters, *, window, hop):
    pieces = waves.unfold(1, window, hop) * torch.hann_window(window).to(waves)
    return (torch.fft.rfft(pieces).abs().square() / window @ filters + 1e-3).log()


def standardized(waves, filters, *, window, hop):
    found = by_loops(waves, filters, window=window, hop=hop)
    return (found - found.mean()) / found.std()


def filters_summed_to_one(waves, filters, *, window, hop):
    return by_loops(waves, filters / filters.sum(dim=0, keepdim=True).clamp(min=1e-6), window=window, hop=hop)


def smaller_floor(waves, filters, *, window, hop):
    pieces = waves.unfold(1, window, hop) * torch.hann_window(window).to(waves)
    return (torch.fft.rfft(pieces).abs().square() @ filters + 1e-6).log()


def in_float32(waves, filters, *, window, hop):
    return by_loops(waves.float(), filters.float(), window=window, hop=hop)


# --- 10.3 pool_in_time


def by_running_sums(features, *, parts):
    sums = F.pad(features.cumsum(dim=1), (0, 0, 1, 0))  # (N, F + 1, d)
    edges = torch.tensor([p * features.shape[1] // parts for p in range(parts + 1)], device=features.device)
    return ((sums[:, edges[1:]] - sums[:, edges[:-1]]) / edges.diff()[:, None]).flatten(1)


def by_nested_lists(features, *, parts):
    length = features.shape[1]
    rows = []
    for recording in features:
        pieces = [recording[p * length // parts : (p + 1) * length // parts] for p in range(parts)]
        rows.append(torch.cat([piece.sum(0) / len(piece) for piece in pieces]))
    return torch.stack(rows)


def rounded_edges(features, *, parts):
    edges = [round(p * features.shape[1] / parts + 1e-9) for p in range(parts + 1)]
    return torch.cat([features[:, a:b].mean(1) for a, b in itertools.pairwise(edges)], dim=1)


def by_chunks(features, *, parts):
    pieces = features.split(max(1, features.shape[1] // parts), dim=1)[:parts]
    return torch.cat([piece.mean(1) for piece in pieces], dim=1)


def last_part_first(features, *, parts):
    edges = [p * features.shape[1] // parts for p in range(parts + 1)]
    return torch.cat([features[:, a:b].mean(1) for a, b in itertools.pairwise(edges)][::-1], dim=1)


def deviations(features, *, parts):
    edges = [p * features.shape[1] // parts for p in range(parts + 1)]
    return torch.cat([features[:, a:b].std(1, correction=0) for a, b in itertools.pairwise(edges)], dim=1)


def divided_by_the_mean_length(features, *, parts):
    edges = [p * features.shape[1] // parts for p in range(parts + 1)]
    sums = [features[:, a:b].sum(1) for a, b in itertools.pairwise(edges)]
    return torch.cat(sums, dim=1) * parts / features.shape[1]


# --- 10.4 CPC


class Given(nn.Module):
    """The `__init__` of the notebook, and right methods that wrong answers change."""

    def __init__(self, *, channels=48, context=64, ahead=6):
        super().__init__()
        sizes = ((1, 16, 8), (channels, 8, 4), (channels, 4, 2))
        self.convs = nn.ModuleList(nn.Conv1d(c, channels, k, s, padding=k // 4) for c, k, s in sizes)
        self.norms = nn.ModuleList(nn.GroupNorm(1, channels) for _ in sizes)
        self.gru = nn.GRU(channels, context, batch_first=True)
        self.steps = nn.ModuleList(nn.Linear(context, channels, bias=False) for _ in range(ahead))

    def encode(self, waves):
        x = (waves / waves.std(1, keepdim=True)).unsqueeze(1)
        for layer in range(3):
            x = torch.relu(self.norms[layer](self.convs[layer](x)))
        return x.mT

    def forward(self, waves):
        return self.gru(self.encode(waves))[0]

    def pairs(self, waves):
        z = self.encode(waves)
        c = self.gru(z)[0]
        found = []
        for number in range(len(self.steps)):
            k = number + 1
            found.append((self.steps[number](c)[:, : z.shape[1] - k], z[:, k:]))
        return found


class ByTuples(Given):
    def pairs(self, waves):
        z, c = self.encode(waves), self(waves)
        return tuple([self.steps[k](c[:, : -k - 1]), z[:, k + 1 :]] for k in range(len(self.steps)))


class Whitened(Given):
    """The mean is taken off too: asked for is the division alone."""

    def encode(self, waves):
        return super().encode(waves - waves.mean(1, keepdim=True))


class PredictsFromCodes(Given):
    def pairs(self, waves):
        z = self.encode(waves)
        wide = F.pad(z, (0, self.gru.hidden_size))[:, :, : self.gru.hidden_size]
        return [(step(wide[:, :-k]), z[:, k:]) for k, step in enumerate(self.steps, 1)]


class StepsChained(Given):
    """Each layer's prediction is for one frame more, and is compared with the next frame alone."""

    def pairs(self, waves):
        z, c = self.encode(waves), self(waves)
        return [(step(c[:, :-1]), z[:, 1:]) for step in self.steps]


class NoGradient(Given):
    def pairs(self, waves):
        with torch.no_grad():
            z = self.encode(waves)
        return [(step(self.gru(z)[0][:, :-k]), z[:, k:]) for k, step in enumerate(self.steps, 1)]


class BiggestAhead(Given):
    def pairs(self, waves):
        z, c = self.encode(waves), self(waves)
        k = len(self.steps)
        return [(step(c[:, :-k]), z[:, k:]) for step in self.steps]


class CodesNormalized(Given):
    def encode(self, waves):
        return F.normalize(super().encode(waves), dim=-1)


# --- 10.5 info_nce_loss


def by_recordings(predicted, true, *, temperature=0.1):
    losses = []
    for p, z in zip(predicted, true):
        scores = F.cosine_similarity(p[:, None], z[None], dim=2) / temperature
        losses.append(F.cross_entropy(scores, torch.arange(len(p), device=p.device)))
    return sum(losses) / len(losses)


def by_softmax(predicted, true, *, temperature=0.1):
    p = predicted / predicted.norm(dim=2, keepdim=True)
    z = true / true.norm(dim=2, keepdim=True)
    table = torch.bmm(p, z.mT).div(temperature)
    return F.nll_loss(table.log_softmax(2).flatten(0, 1), torch.arange(table.shape[1]).repeat(len(p)).to(p.device))


def both_directions(predicted, true, *, temperature=0.1):
    there = by_softmax(predicted, true, temperature=temperature)
    return (there + by_softmax(true, predicted, temperature=temperature)) / 2


def earlier_frames_alone(predicted, true, *, temperature=0.1):
    p, z = F.normalize(predicted, dim=2), F.normalize(true, dim=2)
    table = p @ z.mT / temperature
    later = torch.ones_like(table[0], dtype=torch.bool).triu(1)
    table = table.masked_fill(later, -1e9)
    return F.cross_entropy(table.flatten(0, 1), torch.arange(table.shape[1]).repeat(len(p)).to(p.device))


def root_of_the_temperature(predicted, true, *, temperature=0.1):
    return by_softmax(predicted, true, temperature=temperature**0.5)


def temperature_is_fixed(predicted, true, *, temperature=0.1):
    return by_softmax(predicted, true, temperature=0.1)


def binary(predicted, true, *, temperature=0.1):
    p, z = F.normalize(predicted, dim=2), F.normalize(true, dim=2)
    table = p @ z.mT / temperature
    return F.binary_cross_entropy_with_logits(table, torch.eye(table.shape[1]).to(table).expand_as(table))


def log_of_softmax(predicted, true, *, temperature=0.1):
    p, z = F.normalize(predicted, dim=2), F.normalize(true, dim=2)
    chances = (p @ z.mT / temperature).softmax(2)
    return -(chances.diagonal(dim1=1, dim2=2) + 1e-6).log().mean()


RIGHT = {
    "frames": [by_strides, by_convolution, by_numpy],
    "log_mel": [by_matrices, by_loops],
    "pool_in_time": [by_running_sums, by_nested_lists],
    "CPC": [Given, ByTuples],
    "info_nce_loss": [by_recordings, by_softmax],
}
WRONG = {
    "frames": {
        overlap_is_the_hop: "hop_is_the_overlap",
        last_frame_twice: None,
        one_sample_late: "first_sample_left_out",
        frames_in_a_list: None,
        numbers_of_float32: "another_dtype",
    },
    "log_mel": {
        power_over_window: "divided_by_the_window",
        standardized: None,
        filters_summed_to_one: None,
        smaller_floor: "smaller_number_added",
        in_float32: "another_dtype",
    },
    "pool_in_time": {
        rounded_edges: "rounded_borders",
        by_chunks: "rest_dropped",
        last_part_first: "last_part_first",
        deviations: None,
        divided_by_the_mean_length: "divided_by_a_mean_length",
    },
    "CPC": {
        Whitened: "mean_removed",
        PredictsFromCodes: None,
        StepsChained: None,
        NoGradient: "codes_detached",
        BiggestAhead: None,
        CodesNormalized: None,
    },
    "info_nce_loss": {
        both_directions: "both_directions",
        earlier_frames_alone: "earlier_frames_alone",
        root_of_the_temperature: None,
        temperature_is_fixed: "temperature_is_fixed",
        binary: None,
        log_of_softmax: "by_exponentials",
    },
}
test_a_right_answer_written_another_way_has_full_points, test_a_wrong_answer_loses_points_and_is_told_why = (
    answers_tested(RIGHT, WRONG)
)
