"""Unit 09's checks against answers that are not written down in mistakes.md: written from the statements alone."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises import exercise_named
from tests.exercises.known import check
from tests.exercises.shared import answers_tested

# --- 9.1 split_by_file


def by_numpy_unique(files, test_share, *, generator):
    names, number = np.unique(np.array(files), return_inverse=True)
    held = torch.randperm(len(names), generator=generator)[: round(test_share * len(names))]
    test = np.isin(number, held.numpy())
    return torch.from_numpy(np.flatnonzero(~test)), torch.from_numpy(np.flatnonzero(test))


def by_popping(files, test_share, *, generator):
    left, held = sorted(set(files)), []
    for _ in range(round(test_share * len(left))):
        held.append(left.pop(int(torch.randint(len(left), (), generator=generator))))
    sides = {False: [], True: []}
    for k in range(len(files)):
        sides[files[k] in held].append(k)
    return tuple(torch.LongTensor(sides[key]) for key in (False, True))


def by_part(files, test_share, *, generator):
    folders = sorted({file.rpartition("/")[0] for file in files})
    held = {folders[int(torch.randint(len(folders), (), generator=generator))]}
    test = torch.tensor([file.rpartition("/")[0] in held for file in files])
    return (~test).nonzero()[:, 0], test.nonzero()[:, 0]


def cut_in_two(files, test_share, *, generator):
    start = round((1 - test_share) * len(files))
    return torch.arange(start), torch.arange(start, len(files))


def names_returned(files, test_share, *, generator):
    names = sorted(set(files))
    order = torch.randperm(len(names), generator=generator).tolist()
    count = round(test_share * len(names))
    return [names[k] for k in order[count:]], [names[k] for k in order[:count]]


def column_of_positions(files, test_share, *, generator):
    train, test = by_numpy_unique(files, test_share, generator=generator)
    return train[:, None], test[:, None]


# --- 9.2 ppmi_embeddings


def by_eigenvectors(counts, dim):
    c = counts.double()
    p, q = c.sum(1) / c.sum(), c.sum(0) ** 0.75
    ratio = c / c.sum() / (torch.outer(p, q / q.sum()) + 1e-15)
    m = ratio.clamp_min(1).log()
    values, vectors = torch.linalg.eigh(m @ m.T)  # of the square: S squared
    best = values.argsort(descending=True)[:dim]
    return F.normalize(vectors[:, best] * values[best].clamp(min=0) ** 0.25, dim=1, eps=1e-9).float()


def by_loops(counts, dim):
    size, total = len(counts), float(counts.sum())
    rows, columns = counts.sum(1).tolist(), (counts.sum(0) ** 0.75).tolist()
    m = torch.zeros(size, size, dtype=torch.float64)
    for w in range(size):
        for c in range(size):
            if counts[w, c] > 0:
                pmi = math.log(float(counts[w, c]) / total / (rows[w] / total * columns[c] / sum(columns)))
                m[w, c] = max(0.0, pmi)
    u, s, _ = torch.linalg.svd(m)
    found = u[:, :dim] * s[:dim] ** 0.5
    return found / found.norm(dim=1, keepdim=True).clamp(min=1e-9)


def added_one(counts, dim):
    return by_eigenvectors(counts + 1, dim)


def shifted(counts, dim):
    c = counts.double()
    q = c.sum(0) ** 0.75
    ratio = c / (torch.outer(c.sum(1), q / q.sum()) + 1e-12)
    u, s, _ = torch.linalg.svd((ratio.clamp(min=1e-9).log() - math.log(5)).clamp(min=0))
    return F.normalize(u[:, :dim] * s[:dim].sqrt(), dim=1)


def last_directions(counts, dim):
    c = counts.double()
    q = c.sum(0) ** 0.75
    u, s, _ = torch.linalg.svd((c / (torch.outer(c.sum(1), q / q.sum()) + 1e-12)).clamp(min=1).log())
    return F.normalize(u[:, -dim:] * s[-dim:].sqrt(), dim=1)


def centered(counts, dim):
    c = counts.double()
    q = c.sum(0) ** 0.75
    m = (c / (torch.outer(c.sum(1), q / q.sum()) + 1e-12)).clamp(min=1).log()
    u, s, _ = torch.linalg.svd(m - m.mean(0))
    return F.normalize(u[:, :dim] * s[:dim].sqrt(), dim=1)


def unnormalized(counts, dim):
    c = counts.double()
    q = c.sum(0) ** 0.75
    u, s, _ = torch.linalg.svd((c / (torch.outer(c.sum(1), q / q.sum()) + 1e-12)).clamp(min=1).log())
    return u[:, :dim] * s[:dim].sqrt()


# --- 9.3 pool_mean


def by_nested(features, ids):
    rows = [f[i != 0].sum(0) / max(1, int((i != 0).sum())) for f, i in zip(features, ids)]
    return torch.stack(rows)


def by_nan(features, ids):
    return features.masked_fill((ids == 0)[..., None], math.nan).nanmean(dim=1).nan_to_num()


def dot_with_ids(features, ids):
    return (features * ids[..., None]).sum(1) / ids.sum(1, keepdim=True).clamp(min=1)


def until_first_padding(features, ids):
    there = (ids != 0).long().cumprod(dim=1)[..., None]
    return (features * there).sum(1) / there.sum(1).clamp(min=1)


def last_word(features, ids):
    return features[torch.arange(len(ids)), (ids != 0).sum(1).clamp(min=1) - 1]


def root_of_count(features, ids):
    there = (ids != 0)[..., None].to(features.dtype)
    return (features * there).sum(1) / there.sum(1).clamp(min=1).sqrt()


# --- 9.4 TransformerEncoder


class Plain(nn.Module):
    """A right answer, written head by head; what is wrong in the others is one method."""

    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def attention(self, block, x, visible):
        size, answers = x.shape[-1] // self.layers.heads, []
        q, k, v = block["qkv"](x).chunk(3, dim=-1)
        hidden = torch.zeros(visible.shape, dtype=x.dtype, device=x.device).masked_fill(~visible, -1e9)
        for start in range(0, x.shape[-1], size):
            part = slice(start, start + size)
            scores = torch.einsum("nqd,nkd->nqk", q[..., part], k[..., part]) * size**-0.5 + hidden[:, None]
            answers.append(torch.einsum("nqk,nkd->nqd", scores.softmax(-1), v[..., part]))
        return block["out"](torch.cat(answers, dim=-1))

    def forward(self, ids):
        features = self.layers.embedding(ids) + self.layers.position[None, : ids.size(1)]
        for block in self.layers.blocks:
            features = self.one(block, features, ids.ne(0))
        return self.layers.norm(features)

    def one(self, block, features, visible):
        features = features + self.attention(block, block["norm1"](features), visible)
        return features + block["mlp"](block["norm2"](features))


class ByTorch(Plain):
    def attention(self, block, x, visible):
        attention = nn.MultiheadAttention(x.shape[-1], self.layers.heads, batch_first=True).to(x)
        own = {"in_proj_weight": block["qkv"].weight, "in_proj_bias": block["qkv"].bias}
        own |= {"out_proj.weight": block["out"].weight, "out_proj.bias": block["out"].bias}
        given = {"key_padding_mask": ~visible, "need_weights": False}
        return torch.func.functional_call(attention, own, (x, x, x), given)[0]


class NoOutputLayer(Plain):
    def attention(self, block, x, visible):
        n, t, d = x.shape
        q, k, v = (p.view(n, t, self.layers.heads, -1).transpose(1, 2) for p in block["qkv"](x).chunk(3, -1))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=visible[:, None, None])
        return mixed.transpose(1, 2).reshape(n, t, d)


class ScaledByAll(Plain):
    def attention(self, block, x, visible):
        n, t, d = x.shape
        q, k, v = (p.view(n, t, self.layers.heads, -1).transpose(1, 2) for p in block["qkv"](x).chunk(3, -1))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=visible[:, None, None], scale=d**-0.5)
        return block["out"](mixed.transpose(1, 2).reshape(n, t, d))


class SideBySide(Plain):
    def one(self, block, features, visible):
        answer = self.attention(block, block["norm1"](features), visible)
        return features + answer + block["mlp"](block["norm2"](features))


class OneBlock(Plain):
    def forward(self, ids):
        features = self.layers.embedding(ids) + self.layers.position[: ids.shape[1]]
        return self.layers.norm(self.one(self.layers.blocks[0], features, ids != 0))


class PaddingZeroed(Plain):
    """Features of padding become 0, and words attend to them all the same."""

    def attention(self, block, x, visible):
        return super().attention(block, x * visible[..., None], torch.ones_like(visible))


class WithoutMask(Plain):
    def attention(self, block, x, visible):
        return super().attention(block, x, torch.ones_like(visible))


class WithoutResidual(Plain):
    def one(self, block, features, visible):
        features = self.attention(block, block["norm1"](features), visible)
        return features + block["mlp"](block["norm2"](features))


class UnitNorm(Plain):
    """The last normalization, without its weights."""

    def forward(self, ids):
        features = self.layers.embedding(ids) + self.layers.position[: ids.shape[1]]
        for block in self.layers.blocks:
            features = self.one(block, features, ids != 0)
        return F.layer_norm(features, features.shape[-1:])


# --- 9.5 mask_tokens


def by_bernoulli(ids, vocab_size, *, generator, share=0.15):
    probability = torch.where(ids < 3, 0.0, float(share))
    chosen = torch.bernoulli(probability, generator=generator).bool()
    hidden = torch.bernoulli(torch.full(ids.shape, 0.8), generator=generator).bool() & chosen
    other = torch.bernoulli(torch.full(ids.shape, 0.5), generator=generator).bool() & chosen & ~hidden
    words = torch.randint(3, vocab_size, ids.shape, generator=generator)
    masked = ids.clone()
    masked[hidden], masked[other] = 1, words[other]
    return masked, chosen


def by_multinomial(ids, vocab_size, *, generator, share=0.15):
    fates = torch.tensor([1 - share, 0.8 * share, 0.1 * share, 0.1 * share])
    fate = torch.multinomial(fates, ids.numel(), replacement=True, generator=generator).view(ids.shape)
    fate = fate * (ids > 2)
    words = torch.randint(3, vocab_size, ids.shape, generator=generator)
    return torch.where(fate == 1, 1, torch.where(fate == 2, words, ids)), fate > 0


def masks_with_unknown(ids, vocab_size, *, generator, share=0.15):
    masked, chosen = by_multinomial(ids, vocab_size, generator=generator, share=share)
    return torch.where(chosen & (masked == 1), 2, masked), chosen


def one_random_word(ids, vocab_size, *, generator, share=0.15):
    chosen = (torch.rand(ids.shape, generator=generator) < share) & (ids > 2)
    coin = torch.rand(ids.shape, generator=generator)
    word = torch.randint(3, vocab_size, (1,), generator=generator)
    return torch.where(chosen & (coin < 0.8), 1, torch.where(chosen & (coin > 0.9), word, ids)), chosen


def everything_one_coin(ids, vocab_size, *, generator, share=0.15):
    coin = torch.rand(ids.shape, generator=generator)
    chosen = (coin < share) & (ids > 2)
    words = torch.randint(3, vocab_size, ids.shape, generator=generator)
    return torch.where(chosen & (coin < 0.8), 1, torch.where(chosen & (coin < 0.9), words, ids)), chosen


def chosen_is_changed(ids, vocab_size, *, generator, share=0.15):
    masked, _ = by_multinomial(ids, vocab_size, generator=generator, share=share)
    return masked, masked != ids


def words_of_the_batch(ids, vocab_size, *, generator, share=0.15):
    chosen = (torch.rand(ids.shape, generator=generator) < share) & (ids > 2)
    coin = torch.rand(ids.shape, generator=generator)
    return torch.where(chosen & (coin < 0.8), 1, torch.where(chosen & (coin > 0.9), ids.roll(1), ids)), chosen


def in_place(ids, vocab_size, *, generator, share=0.15):
    masked, chosen = by_multinomial(ids, vocab_size, generator=generator, share=share)
    ids.copy_(masked)
    return ids, chosen


# --- 9.6 masked_lm_loss


def by_log_softmax(logits, ids, chosen):
    found = -logits.log_softmax(2).gather(2, ids.unsqueeze(2)).squeeze(2)
    return (found * chosen.to(found.dtype)).sum() / chosen.sum().clamp_min(1)


def by_nonzero(logits, ids, chosen):
    rows, places = chosen.nonzero(as_tuple=True)
    if len(rows) == 0:
        return logits.sum() * 0.0
    return F.cross_entropy(logits[rows, places], ids[rows, places])


def words_ignored(logits, ids, chosen):
    return F.cross_entropy(logits.flatten(0, 1), (ids * chosen).flatten(), ignore_index=0)


def ignored_as_class_0(logits, ids, chosen):
    return F.cross_entropy(logits.flatten(0, 1), (ids * chosen).flatten())


def zeroed_logits(logits, ids, chosen):
    each = F.cross_entropy((logits * chosen[..., None]).transpose(1, 2), ids, reduction="none")
    return each.sum() / chosen.sum().clamp(min=1)


def squared(logits, ids, chosen):
    p = logits[chosen].softmax(-1)
    return ((p - F.one_hot(ids[chosen], logits.shape[-1])) ** 2).sum() / chosen.sum().clamp(min=1)


def visible_only(logits, ids, chosen):
    return by_log_softmax(logits, ids, ~chosen)


# --- 9.7 masked_lm_loss_check


def thorough(candidate):
    for count in (0, 1, 5):
        logits = (800 * torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(count))).requires_grad_()
        ids = torch.tensor([[3, 4, 3], [4, 4, 0]])
        chosen = (torch.arange(6) < count).view(2, 3)
        loss = candidate(logits, ids, chosen)
        right = by_nonzero(logits, ids, chosen)
        assert math.isclose(float(loss.detach()), float(right.detach()), rel_tol=1e-4, abs_tol=1e-6)
        assert loss.ndim == 0
        loss.backward()
        assert count == 0 or bool(logits.grad.any())


def by_expected_number(candidate):
    logits = torch.full((2, 2, 5), -400.0)
    logits[0, 0, 3], logits[0, 1, 4] = 400.0, 200.0  # right for sure, and wrong by 600
    logits = logits.requires_grad_()
    ids, chosen = torch.tensor([[3, 3], [4, 4]]), torch.tensor([[True, True], [True, False]])
    loss = candidate(logits, ids, chosen)
    expected = (0.0 + 600.0 + math.log(5)) / 3
    assert abs(loss.item() - expected) < 1e-2, loss
    loss.backward()
    assert logits.grad[1, 0].abs().sum() > 0 and logits.grad[1, 1].abs().sum() == 0
    nothing = candidate(logits, ids, chosen & False)
    assert nothing.item() == 0


def value_alone(candidate):
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    ids, chosen = torch.tensor([[3, 4, 3], [4, 4, 0]]), torch.tensor([[True, True, False], [True, False, False]])
    assert abs(float(candidate(logits, ids, chosen)) - float(by_nonzero(logits, ids, chosen))) < 1e-4


def printed(candidate):
    logits = torch.zeros(1, 2, 5)
    print(candidate(logits, torch.tensor([[3, 4]]), torch.tensor([[True, False]])) == math.log(5))


RIGHT = {
    "split_by_file": [by_numpy_unique, by_popping],
    "ppmi_embeddings": [by_eigenvectors, by_loops],
    "pool_mean": [by_nested, by_nan],
    "TransformerEncoder": [Plain, ByTorch],
    "mask_tokens": [by_bernoulli, by_multinomial],
    "masked_lm_loss": [by_log_softmax, by_nonzero],
    "masked_lm_loss_check": [thorough, by_expected_number],
}
# The sentence that a wrong answer is told; None where only the values are shown.
WRONG = {
    "split_by_file": {
        by_part: "coin_for_each_file", cut_in_two: "split_by_text",
        names_returned: "lists", column_of_positions: None,
    },
    "ppmi_embeddings": {
        added_one: None, shifted: None, last_directions: None, centered: None, unnormalized: "not_of_length_one",
    },
    "pool_mean": {
        dot_with_ids: None, until_first_padding: None, last_word: None, root_of_count: None,
    },
    "TransformerEncoder": {
        NoOutputLayer: None, ScaledByAll: None, SideBySide: None, OneBlock: None, PaddingZeroed: None,
        WithoutMask: "no_mask", WithoutResidual: "no_residual_around_attention", UnitNorm: None,
    },
    "mask_tokens": {
        masks_with_unknown: "special_words_drawn", one_random_word: None, everything_one_coin: "all_become_masks",
        chosen_is_changed: "stays_unchosen", words_of_the_batch: "special_words_drawn", in_place: "masked_in_place",
    },
    "masked_lm_loss": {
        words_ignored: "nan_where_nothing_is_chosen", ignored_as_class_0: None, zeroed_logits: None, squared: None,
        visible_only: "visible_words",
    },
    "masked_lm_loss_check": {value_alone: None, printed: "prints"},
}  # fmt: skip
test_another_right_answer_has_full_points, test_another_wrong_answer_loses_points_and_is_told_why = answers_tested(
    RIGHT, WRONG
)


def test_shares_of_a_right_answer_are_never_refused():
    """Its bounds are five standard deviations wide: on many seeds no right draw is called wrong."""
    exercise = exercise_named("mask_tokens")
    for seed in range(100, 140):
        assert check(exercise, by_multinomial, seed=seed).score == exercise.points
