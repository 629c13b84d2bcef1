"""Notebook 11a's checks against answers that are not written down in mistakes.md: written from the statements alone."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

from tests.exercises.shared import answers_tested

# --- 11.1 trainable_biases


def by_sets(model, head=None):
    chosen = {id(p) for m in model.modules() for n, p in m._parameters.items() if p is not None and "bias" in n}
    chosen |= {id(p) for p in (head.parameters() if head is not None else ())}
    result = []
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in chosen)
        if id(parameter) in chosen:
            result.append(parameter)
    return result


def by_a_comprehension(model, head=None):
    inside = [] if head is None else [id(p) for p in head.parameters()]
    for name, p in model.named_parameters():
        p.requires_grad = "bias" in name[name.rfind(".") + 1 :] or id(p) in inside
    return tuple(p for p in model.parameters() if p.requires_grad)


def norms_too(model, head=None):
    found = by_sets(model, head)
    for module in model.modules():
        if isinstance(module, (nn.LayerNorm, nn.BatchNorm2d)):
            module.requires_grad_(True)
            found.extend(module.parameters())
    return found


def on_a_copy(model, head=None):
    return by_sets(copy.deepcopy(model), None)


def a_dictionary(model, head=None):
    return {id(p): p for p in by_sets(model, head)}


def head_twice(model, head=None):
    return by_sets(model, head) + (list(head.parameters()) if head is not None else [])


def by_attribute(model, head=None):
    model.requires_grad_(False)
    if head is not None:
        head.requires_grad_(True)
    for module in model.modules():
        if isinstance(getattr(module, "bias", None), nn.Parameter):
            module.bias.requires_grad_(True)
    return [p for p in model.parameters() if p.requires_grad]


# --- 11.2 LoRALinear


class ByLayers(nn.Module):
    """The two matrices are weights of linear layers, and also at hand as `a` and `b`."""

    def __init__(self, linear, rank, *, alpha=8.0, generator):
        super().__init__()
        self.linear = linear
        self.linear.requires_grad_(False)
        drawn = torch.randn((rank, linear.in_features), generator=generator).mul_(linear.in_features**-0.5)
        self.register_parameter("a", nn.Parameter(drawn.to(linear.weight)))
        self.register_parameter("b", nn.Parameter(linear.weight.new_zeros((linear.out_features, rank))))
        self.rank, self.alpha = rank, alpha

    def forward(self, x):
        return self.linear(x) + self.alpha * (x @ self.a.t()) @ self.b.t() / self.rank

    def merged(self):
        result = copy.deepcopy(self.linear)
        result.weight.data += self.alpha / self.rank * (self.b.data @ self.a.data)
        return result


class ByEinsum(ByLayers):
    def forward(self, x):
        update = torch.einsum("...i,ri,or->...o", x, self.a, self.b)
        return self.linear(x).add(update, alpha=self.alpha / self.rank)


class RankOverAlpha(ByLayers):
    def forward(self, x):
        return self.linear(x) + self.rank / self.alpha * (x @ self.a.t()) @ self.b.t()


class UpdateOfTheOutput(ByLayers):
    def forward(self, x):
        update = F.linear(F.linear(x, self.a), self.b)
        return self.linear(x) * (1 + self.alpha / self.rank * update)


class Unfrozen(ByLayers):
    def __init__(self, linear, rank, *, alpha=8.0, generator):
        super().__init__(linear, rank, alpha=alpha, generator=generator)
        self.linear.requires_grad_(True)


class WithDropout(ByLayers):
    def forward(self, x):
        return self.linear(x) + self.alpha / self.rank * (F.dropout(x, 0.5) @ self.a.t()) @ self.b.t()


class MergesItself(ByLayers):
    def merged(self):
        self.linear.weight.data += self.alpha / self.rank * (self.b.data @ self.a.data)
        return self.linear


class MergesTransposed(ByLayers):
    def merged(self):
        result = copy.deepcopy(self.linear)
        update = self.alpha / self.rank * (self.b.data @ self.a.data)
        result.weight.data += update.t() if update.shape[0] == update.shape[1] else 0 * update
        return result


# --- 11.3 add_adapters


def by_parents(model, make):
    for p in model.parameters():
        p.requires_grad = False
    made, parents = {}, list(model.modules())
    for parent in parents:
        for name in list(parent._modules):
            layer = parent._modules[name]
            if isinstance(layer, nn.Linear):
                made.setdefault(layer, None)
                made[layer] = made[layer] or make(layer)
                parent.add_module(name, made[layer])
    return len(made)


def by_two_passes(model, make):
    model.requires_grad_(False)
    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    new = {layer: make(layer) for layer in linear}
    old = set(new)
    for parent in [m for m in model.modules() if m not in old]:
        for name, child in parent._modules.items():
            if child in old:
                parent._modules[name] = new[child]
    return len(new)


def trains_before(model, make):
    count = by_two_passes(model, make)
    return model.requires_grad_(True) and count


def frozen_with_what_was_made(model, make):
    return by_two_passes(model, lambda layer: make(layer).requires_grad_(False))


def without_the_first(model, make):
    first = next(layer for layer in model.modules() if isinstance(layer, nn.Linear))
    return by_two_passes(model, lambda layer: layer if layer is first else make(layer))


def by_children(model, make):
    model.requires_grad_(False)
    count = 0
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                setattr(parent, name, make(child))
                count += 1
    return count


def a_list(model, make):
    made = []
    by_two_passes(model, lambda layer: made.append(make(layer)) or made[-1])
    return made


# --- 11.4 BottleneckAdapter


class WithSequential(nn.Module):
    def __init__(self, dim, width):
        super().__init__()
        self.down = nn.Linear(dim, width)
        self.up = nn.Linear(width, dim)
        for p in self.up.parameters():
            nn.init.constant_(p, 0.0)

    def forward(self, x):
        return torch.add(x, self.up(nn.functional.relu(self.down(x))))


class ByMaximum(WithSequential):
    def forward(self, x):
        h = self.down(x)
        return self.up(torch.where(h > 0, h, torch.zeros_like(h))) + x


class NearlyZero(WithSequential):
    def __init__(self, dim, width):
        super().__init__(dim, width)
        nn.init.normal_(self.up.weight, std=1e-2)


class LeakyInside(WithSequential):
    def forward(self, x):
        return x + self.up(F.leaky_relu(self.down(x)))


class HalfResidual(WithSequential):
    def forward(self, x):
        return 0.5 * x + self.up(F.relu(self.down(x)))


class FrozenFirst(WithSequential):
    def __init__(self, dim, width):
        super().__init__(dim, width)
        self.down.requires_grad_(False)


class Multiplied(WithSequential):
    def forward(self, x):
        return x * (1 + self.up(F.relu(self.down(x))))


# --- 11.5 clip_loss


def by_nll(image_features, text_features, log_scale, *, largest=100.0):
    i = image_features / image_features.norm(dim=-1, keepdim=True)
    t = text_features / text_features.norm(dim=-1, keepdim=True)
    table = i.mm(t.t()) * torch.exp(log_scale).clamp_max(largest)
    own = torch.arange(table.shape[0], device=table.device)
    return sum(F.nll_loss(x.log_softmax(1), own) for x in (table, table.t())).div(2)


def by_loops(image_features, text_features, log_scale, *, largest=100.0):
    s = torch.minimum(log_scale.exp(), torch.full_like(log_scale, largest))
    losses = []
    for n in range(len(image_features)):
        row = s * F.cosine_similarity(image_features[n : n + 1], text_features, dim=1)
        column = s * F.cosine_similarity(text_features[n : n + 1], image_features, dim=1)
        losses.append(row.logsumexp(0) - row[n] + column.logsumexp(0) - column[n])
    return torch.stack(losses).mean() / 2


def batch_as_one_list(image_features, text_features, log_scale, *, largest=100.0):
    z = F.normalize(torch.cat([image_features, text_features]), dim=1)
    table = z @ z.T * log_scale.exp().clamp(max=largest)
    table = table.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -1e9)
    return F.cross_entropy(table, torch.arange(len(z), device=z.device).roll(len(z) // 2))


def both_softmaxes(image_features, text_features, log_scale, *, largest=100.0):
    i, t = F.normalize(image_features, dim=1), F.normalize(text_features, dim=1)
    table = i @ t.T * log_scale.exp().clamp(max=largest)
    return -(table.softmax(0) * table.softmax(1)).diagonal().log().mean()


def fixed_temperature(image_features, text_features, log_scale, *, largest=100.0):
    return by_nll(image_features, text_features, torch.zeros_like(log_scale) + math.log(1 / 0.07), largest=largest)


def limited_from_below(image_features, text_features, log_scale, *, largest=100.0):
    i, t = F.normalize(image_features, dim=1), F.normalize(text_features, dim=1)
    table = i @ t.T * log_scale.exp().clamp(min=1, max=largest)
    own = torch.arange(len(i), device=i.device)
    return (F.cross_entropy(table, own) + F.cross_entropy(table.T, own)) / 2


def one_direction(image_features, text_features, log_scale, *, largest=100.0):
    i, t = F.normalize(image_features, dim=1), F.normalize(text_features, dim=1)
    table = i @ t.T * log_scale.exp().clamp(max=largest)
    return (table.logsumexp(1) - table.diagonal()).mean()


# --- 11.6 zero_shot


def by_sums(image_features, encode, prompts):
    directions = []
    for several in prompts:
        vectors = encode(list(several))
        directions.append((vectors / vectors.norm(dim=1, keepdim=True)).sum(dim=0))
    return F.cosine_similarity(image_features.unsqueeze(1), torch.stack(directions).unsqueeze(0), dim=2)


def one_prompt_at_a_time(image_features, encode, prompts):
    images = image_features / image_features.norm(dim=1, keepdim=True)
    columns = []
    for several in prompts:
        each = torch.cat([F.normalize(encode([prompt]), dim=1) for prompt in several])
        mean = each.mean(0)
        columns.append(images @ (mean / mean.norm()))
    return torch.stack(columns, dim=1)


def mean_of_cosines(image_features, encode, prompts):
    images = F.normalize(image_features, dim=1)
    return torch.stack([(images @ F.normalize(encode(p), dim=1).T).mean(dim=1) for p in prompts], dim=1)


def highest_cosine(image_features, encode, prompts):
    images = F.normalize(image_features, dim=1)
    return torch.stack([(images @ F.normalize(encode(p), dim=1).T).amax(dim=1) for p in prompts], dim=1)


def last_prompt(image_features, encode, prompts):
    classes = torch.stack([encode(p)[-1] for p in prompts])
    return F.normalize(image_features, dim=1) @ F.normalize(classes, dim=1).T


def raw_means(image_features, encode, prompts):
    classes = torch.stack([encode(p).mean(0) for p in prompts])
    return F.cosine_similarity(image_features[:, None], classes[None], dim=2)


def scaled_by_a_temperature(image_features, encode, prompts):
    return 100 * by_sums(image_features, encode, prompts)


RIGHT = {
    "trainable_biases": [by_sets, by_a_comprehension],
    "LoRALinear": [ByLayers, ByEinsum],
    "add_adapters": [by_parents, by_two_passes],
    "BottleneckAdapter": [WithSequential, ByMaximum],
    "clip_loss": [by_nll, by_loops],
    "zero_shot": [by_sums, one_prompt_at_a_time],
}
WRONG = {
    "trainable_biases": {
        norms_too: None,
        on_a_copy: None,
        a_dictionary: "not_a_list",
        head_twice: "head_twice",
        by_attribute: "exactly_bias",
    },
    "LoRALinear": {
        RankOverAlpha: None,
        UpdateOfTheOutput: None,
        Unfrozen: "linear_not_frozen",
        WithDropout: None,
        MergesItself: "merged_in_place",
        MergesTransposed: None,
    },
    "add_adapters": {
        trains_before: "own_weights_trained",
        frozen_with_what_was_made: "adapters_frozen",
        without_the_first: None,
        by_children: "children_of_each_parent",
        a_list: None,
    },
    "BottleneckAdapter": {
        NearlyZero: None,
        LeakyInside: None,
        HalfResidual: None,
        FrozenFirst: None,
        Multiplied: None,
    },
    "clip_loss": {
        batch_as_one_list: None,
        both_softmaxes: "summed_not_averaged",
        fixed_temperature: "temperature_is_fixed",
        limited_from_below: None,
        one_direction: "images_only",
    },
    "zero_shot": {
        mean_of_cosines: "mean_not_normalized",
        highest_cosine: "best_prompt",
        last_prompt: None,
        raw_means: "lengths_count",
        scaled_by_a_temperature: None,
    },
}
test_a_right_answer_written_another_way_has_full_points, test_a_wrong_answer_loses_points_and_is_told_why = (
    answers_tested(RIGHT, WRONG)
)
