"""The recorded experiments of unit 11: what its notebooks quote, for several seeds.

`course results 11_beyond_one_model --seeds 3` runs them all.

Part a, adapters and two modalities: what a few trained weights reach on a transformer for text and on an image encoder;
glyphs with captions. Part b, many owners: federated averaging.
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import protocol, settings, text_protocol
from course_lib.data import Batches, ImageData, as_float, augment, load, split_labels
from course_lib.data import captions as wording
from course_lib.data.text import Vocabulary
from course_lib.evaluation import accuracy, extract_features, predict, probe_accuracy
from course_lib.models import Classifier, ConvEncoder, TextEncoder, TwoTowers, predict_texts
from course_lib.training import fit, fit_text_classifier

DATASET = "glyphs"  # part a also reads the docstrings of unit 09, whatever the data set

# Method -> key prefix, for the course's table of results.
TABLE_ROWS = {
    "Rotation, biases only": "images:biases",
    "Rotation, low-rank adapters": "images:lora",
    "Rotation, bottleneck adapters": "images:bottleneck",
}

# --- part a, adapters: text and images ------------------------------------------------------------------------------

RANK, ALPHA, WIDTH = 4, 8.0, 16  # of the low-rank adapters, and of the bottleneck
# Fixed before the first run: the rates of earlier trials, in which only the low-rank adapters had a choice of two.
RATES = {"head": 1e-2, "biases": 1e-2, "lora": 3e-3, "lora1": 3e-3, "bottleneck": 3e-3, "full": 1e-3}
SCRATCH_RATE = 5e-3  # of all weights from random ones, where a higher one is better (unit 09)


class LowRank(nn.Module):
    """A frozen linear layer or convolution, and a trainable update of low rank beside it, zero at the start."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layer, self.scale = layer.requires_grad_(False), ALPHA / rank
        self.down: nn.Module
        self.up: nn.Module
        if isinstance(layer, nn.Conv2d):
            self.down = nn.Conv2d(layer.in_channels, rank, 3, padding=1, bias=False)
            self.up = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        else:
            self.down = nn.Linear(layer.in_features, rank, bias=False)
            self.up = nn.Linear(rank, layer.out_features, bias=False)
        weights = self.down.weight
        fan_in = weights[0].numel()
        weights.data.copy_(torch.randn(weights.shape, generator=generator) / fan_in**0.5)
        self.up.weight.data.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.scale * self.up(self.down(x))


class Bottleneck(nn.Module):
    """What comes in, and what a small network adds to it, zero at the start; vectors (..., d) or maps (N, d, H, W)."""

    def __init__(self, size: int, generator: torch.Generator, *, maps: bool) -> None:
        super().__init__()
        self.down = nn.Conv2d(size, WIDTH, 1) if maps else nn.Linear(size, WIDTH)
        self.up = nn.Conv2d(WIDTH, size, 1) if maps else nn.Linear(WIDTH, size)
        weights = self.down.weight
        weights.data.copy_(torch.randn(weights.shape, generator=generator) / size**0.5)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            zero.data.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(F.relu(self.down(x)))


def _replaced(module: nn.Module, kinds: tuple[type[nn.Module], ...], make: Callable[[Any], nn.Module]) -> None:
    """Puts `make(layer)` in the place of every layer of these kinds."""
    for name, child in list(module.named_children()):
        if isinstance(child, kinds):
            setattr(module, name, make(child)) if not name.isdigit() else module.__setitem__(int(name), make(child))
        else:
            _replaced(child, kinds, make)


def _only_biases(module: nn.Module) -> None:
    for name, parameter in module.named_parameters():
        parameter.requires_grad = "bias" in name.rpartition(".")[2]


def _adapted_text(encoder: TextEncoder, method: str, generator: torch.Generator) -> TextEncoder:
    """A copy of the encoder in which only what the method trains requires a gradient."""
    own = copy.deepcopy(encoder)
    own.requires_grad_(method == "full")
    blocks = own.layers.blocks
    if method == "biases":
        _only_biases(blocks)
    if method.startswith("lora"):
        rank = 1 if method == "lora1" else RANK
        _replaced(blocks, (nn.Linear,), lambda layer: LowRank(layer, rank, generator))
    if method == "bottleneck":
        for block in blocks:
            size = block["mlp"][-1].out_features
            for name in ("out", "mlp"):  # behind each part, before its result is added
                block[name] = nn.Sequential(block[name], Bottleneck(size, generator, maps=False))
    return own


def _trained(model: nn.Module) -> float:
    return float(sum(p.numel() for p in model.parameters() if p.requires_grad))


def _mean_of_words(features: Tensor, ids: Tensor) -> Tensor:
    there = (ids != 0).float()[..., None]
    return (features * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)


def _text_figures(
    data: text_protocol.TextSetting, encoder: TextEncoder, method: str, per_class: int, *, lr: float = 0.0
) -> dict[str, float]:
    """Test accuracy, CPU seconds of the training and trained weights, the new head among them."""
    steps = settings.by_profile(smoke=3, laptop=150, full=600)
    start = _adapted_text(encoder, method, data.generator())
    how: dict[str, Any] = {"steps": steps, "lr": lr or RATES[method], "seed": data.seed, "progress": False}
    began = time.process_time()
    model = fit_text_classifier(start, _mean_of_words, *data.few(per_class), **how)
    spent = time.process_time() - began
    right = accuracy(predict_texts(model, data.test_ids), data.test.labels)
    return {"accuracy": right, "seconds": spent, "weights": _trained(model)}


def text(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """Unit 09's pretrained transformer, adapted in several ways; and the same from random weights."""
    data, figures = text_protocol.text_setting(seed), {}
    pretrained, random = text_protocol.pretrained_encoder(seed), data.first_weights()
    figures["weights_all"] = float(sum(p.numel() for p in pretrained.parameters()))
    few = settings.by_profile(smoke=2, laptop=10, full=10)
    for method in RATES:
        for k in (few, 5 * few) if method != "lora1" else (few,):
            found = _text_figures(data, pretrained, method, k)
            figures[f"{method}@{k}"] = found["accuracy"]
            if k == few:
                figures |= {f"{method}_{key}": found[key] for key in ("seconds", "weights")}
        if method in ("head", "biases", "lora", "full"):
            lr = SCRATCH_RATE if method == "full" else 0.0
            figures[f"random_{method}@{few}"] = _text_figures(data, random, method, few, lr=lr)["accuracy"]
    return figures


def _adapted_images(
    data: protocol.Setting, encoder: ConvEncoder, method: str, generator: torch.Generator
) -> Classifier:
    """A classifier with a new head in which only what the method trains requires a gradient."""
    model = protocol.classifier(data, encoder)
    own = model.encoder.requires_grad_(method == "full")
    if method == "biases":
        _only_biases(own)
    if method == "lora":
        _replaced(own, (nn.Conv2d,), lambda layer: LowRank(layer, RANK, generator))
    if method == "bottleneck":
        for number, block in enumerate(own.blocks):
            own.blocks[number] = nn.Sequential(block, Bottleneck(protocol.WIDTHS[number], generator, maps=True))
    return model


def _image_figures(
    data: protocol.Setting, encoder: ConvEncoder, method: str, per_class: int
) -> dict[str, float]:
    """As `_text_figures`. All but "full" keep the encoder in eval mode, so that its running statistics stay."""
    generator, few = data.generator(), data.few(per_class)
    model = _adapted_images(data, encoder, method, generator)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        model.encoder.train(method == "full")
        return F.cross_entropy(model(protocol.weak(batch[0], generator=generator)), batch[1])

    size = min(protocol.LABELED, len(few))
    batches = Batches(few.images, few.labels, batch_size=size, shuffle=True, generator=generator)
    rate = RATES[method] if method in ("head", "biases") else protocol.LR
    began = time.process_time()
    fit(model, batches, loss, steps=protocol.steps(), lr=rate, progress=False)
    spent = time.process_time() - began
    return {"accuracy": protocol.test_accuracy(data, model), "seconds": spent, "weights": _trained(model)}


def images(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """The rotation encoder with weak views, adapted in several ways; and the same from random weights."""
    data, figures = protocol.setting(dataset, seed), {}
    encoder, random = protocol.rotation_encoder(dataset, seed), data.first_weights()
    few, *more = protocol.budgets(data, (10, 50))
    for method in ("head", "biases", "lora", "bottleneck", "full"):
        for k in (few, *more):
            found = _image_figures(data, encoder, method, k)
            figures[f"{method}@{k}"] = found["accuracy"]
            if k == few:
                figures |= {f"{method}_{key}": found[key] for key in ("seconds", "weights")}
        if method in ("biases", "lora", "full"):
            figures[f"random_{method}@{few}"] = _image_figures(data, random, method, few)["accuracy"]
    return figures


# --- part a, captions -----------------------------------------------------------------------------------------------

CAPTIONED, CAPTION_STEPS, PAIRS = 4_000, 600, 128
UNNAMED = "fish"


@functools.lru_cache(maxsize=2)
def _glyphs(seed: int) -> tuple[ImageData, ImageData]:
    sizes = settings.by_profile(smoke=(600, 200), laptop=(CAPTIONED, 2_000), full=(CAPTIONED, 2_000))
    train, test = (load("glyphs", split=split, n=n, seed=seed) for split, n in zip(("train", "test"), sizes))
    return train, test


def _pair_loss(model: TwoTowers, images: Tensor, ids: Tensor) -> Tensor:
    """The symmetric cross-entropy of finding the own caption and the own image in the batch."""
    i, t = (F.normalize(part, dim=1) for part in model(images, ids))
    logits = i @ t.T * model.log_scale.exp().clamp(max=100)
    own = torch.arange(len(i), device=i.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


class _Captioned:
    """Two towers trained on pairs of glyphs and captions, and what they can do without a label."""

    def __init__(self, seed: int, *, named: float = 1.0, never: Sequence[str] = (), exchanged: float = 0.0) -> None:
        self.train, self.test = _glyphs(seed)
        self.rng = torch.Generator().manual_seed(seed)
        captions = wording.describe(self.train, generator=self.rng, named=named, never=never)
        captions = wording.exchanged(captions, exchanged, generator=self.rng)
        self.vocabulary = Vocabulary(captions, size=200)
        ids = self.vocabulary.encode(captions, length=wording.LONGEST)
        self.model = TwoTowers(len(self.vocabulary), generator=self.rng)
        batches = Batches(
            self.train.images, ids, batch_size=PAIRS, shuffle=True, drop_last=True, generator=self.rng
        )
        steps = settings.by_profile(smoke=3, laptop=CAPTION_STEPS, full=4 * CAPTION_STEPS)
        how: dict[str, Any] = {"weight_decay": 1e-3, "warmup": min(50, steps - 1), "progress": False}
        self.history = fit(self.model, batches, lambda m, batch: _pair_loss(m, *batch), steps=steps, lr=3e-3, **how)
        self.images = F.normalize(predict(self.model.images, self.test.images), dim=1)

    def vectors(self, prompts: Sequence[Sequence[str]]) -> Tensor:
        """One vector per list of prompts, (K, d): the mean of their directions."""
        found = []
        for several in prompts:
            ids = self.vocabulary.encode([prompt.split() for prompt in several], length=wording.LONGEST)
            each = predict_texts(self.model.captions, ids)
            found.append(F.normalize(F.normalize(each, dim=1).mean(dim=0), dim=0))
        return torch.stack(found)

    def zero_shot(self, prompts: Sequence[Sequence[str]]) -> Tensor:
        return (self.images @ self.vectors(prompts).T).argmax(dim=1)

    def figures(self) -> dict[str, float]:
        names, labels = self.test.class_names, self.test.labels
        single = self.zero_shot([[f"a {name}"] for name in names]) == labels
        ensemble = self.zero_shot([wording.prompts_for(name) for name in names]) == labels
        where, things = wording.beside(self.test), (wording.UNNAMED, *names)
        sides = self.zero_shot([[f"a {thing} at the {side}" for thing in things] for side in ("left", "right")])
        found = {"single": single, "ensemble": ensemble, "sides": (sides == where)[where >= 0]}
        shares = {key: float(right.float().mean()) for key, right in found.items()}
        shares["unnamed"] = float(ensemble[labels == names.index(UNNAMED)].float().mean())
        return shares | {"loss": self.history.loss[-1], "scale": float(self.model.log_scale.detach().exp())}

    def probes(self, budgets: Sequence[int]) -> dict[str, float]:
        """Accuracy of logistic regression on the image encoder's features, by labels per class."""
        features = [extract_features(self.model.encoder, part.images) for part in (self.train, self.test)]
        found = {}
        for k in budgets:
            few = split_labels(
                self.train.labels, per_class=k, validation_per_class=0,
                generator=torch.Generator().manual_seed(int(self.rng.initial_seed())),
            ).labeled  # fmt: skip
            known = features[0][few], self.train.labels[few]
            found[f"probe@{k}"] = probe_accuracy(*known, features[1], self.test.labels)
        return found


def captions(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """Zero-shot accuracy by how many captions name the class, how many are exchanged, and a class never named."""
    kinds: dict[str, dict[str, Any]] = {
        "all": {}, "third": {"named": 0.3}, "tenth": {"named": 0.1}, "exchanged": {"exchanged": 0.4},
        "never": {"never": (UNNAMED,)},
    }  # fmt: skip
    figures = {}
    for name, how in kinds.items():
        pair = _Captioned(seed, **how)
        figures |= {f"{key}_{name}": value for key, value in pair.figures().items()}
        figures |= {key.replace("probe", f"probe_{name}"): value for key, value in pair.probes((1, 5, 10)).items()}
    return figures


def unnamed(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """A class that no caption names, while a fifth of the other captions name no class either.

    Without the latter, "thing" would be said of the unnamed class alone, and would simply be its name.
    """
    pair = _Captioned(seed, named=0.8, never=(UNNAMED,))
    labels, number = pair.test.labels, pair.test.class_names.index(UNNAMED)
    prompts = [wording.prompts_for(name) for name in pair.test.class_names]
    chosen = pair.zero_shot(prompts)
    as_thing = pair.zero_shot([[f"a {wording.UNNAMED}"] if k == number else each for k, each in enumerate(prompts)])
    features = [extract_features(pair.model.encoder, part.images) for part in (pair.train, pair.test)]
    rng = torch.Generator().manual_seed(seed)
    few = split_labels(pair.train.labels, per_class=5, validation_per_class=0, generator=rng).labeled
    known, is_it = (features[0][few], (pair.train.labels[few] == number).long()), (labels == number).long()
    named = labels != number
    return {
        "named": float((chosen == labels)[named].float().mean()),
        "recall": float((chosen == number)[~named].float().mean()),
        "recall_thing": float((as_thing == number)[~named].float().mean()),
        "named_thing": float((as_thing == labels)[named].float().mean()),
        "probe@5": probe_accuracy(features[0][few], pair.train.labels[few], features[1], labels),
        "probe_recall@5": probe_accuracy(*known, features[1][~named], is_it[~named]),
    }


# --- part b, many owners --------------------------------------------------------------------------------------------
#
# Ten clients have 40 labeled images each, 400 in all. A local step is a step of SGD with momentum on all images of the
# client, without augmentation. Settings were fixed after trials with seed 10. In `rounds` the learning rate of each
# seed and condition is the one of `FEDERATED_RATES` with the best accuracy on the protocol's 200 validation images.

CLIENTS, PER_CLASS = 10, 40  # 400 images, 40 per client
ROUNDS, LOCAL_STEPS, MOMENTUM = 10, 8, 0.9
FEDERATED_RATES, FEDERATED_RATE, LOW_RATE = (0.02, 0.05), 0.02, 0.005
SHOWN = (1, 2, 5, 10)  # rounds
ALONE = 2  # clients that also train for themselves
MAX_NORM = 0.5  # about the median norm of an update in the first round
NOISES = (0.0, 0.01, 0.03, 0.1)
TURN_STEPS, TURN_IMAGES = 600, 32

State = dict[str, Tensor]
Client = tuple[Tensor, Tensor]  # images, labels


def _rounds_b() -> int:
    return settings.by_profile(smoke=2, laptop=ROUNDS, full=5 * ROUNDS)


def _local_steps_b() -> int:
    return settings.by_profile(smoke=2, laptop=LOCAL_STEPS, full=LOCAL_STEPS)


def _few_b(data: protocol.Setting) -> ImageData:
    return data.few(settings.by_profile(smoke=4, laptop=PER_CLASS, full=PER_CLASS))


@functools.lru_cache(maxsize=16)
def _clients_b(dataset: str, seed: int, split: str) -> tuple[Client, ...]:
    """The images and labels of each client: "iid" deals all images alike, "two" gives each client two classes."""
    data = protocol.setting(dataset, seed)
    few, generator = _few_b(data), data.generator()
    if split == "iid":
        parts = list(torch.randperm(len(few), generator=generator).tensor_split(CLIENTS))
    else:
        seats = 2 * CLIENTS // data.num_classes
        of_class = []
        for k in range(data.num_classes):
            own = (few.labels == k).nonzero().squeeze(1)
            of_class.append(own[torch.randperm(len(own), generator=generator)].tensor_split(seats))
        dealt = [of_class[seat % data.num_classes][seat // data.num_classes] for seat in range(2 * CLIENTS)]
        parts = [torch.cat(dealt[2 * k : 2 * k + 2]) for k in range(CLIENTS)]
    images = as_float(few.images)
    return tuple((images[part], few.labels[part]) for part in parts)


@functools.lru_cache(maxsize=4)
def _turned_b(dataset: str, seed: int) -> ConvEncoder:
    """An encoder pretrained to tell quarter turns, as the protocol's, on fewer images: 600 steps of 32, each turned."""
    data = protocol.setting(dataset, seed)
    encoder, generator = data.first_weights(), data.generator()

    def which_turn(model: nn.Module, images: Tensor) -> Tensor:
        turned = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
        return F.cross_entropy(model(turned), torch.arange(4).repeat_interleave(len(images)))

    batches = Batches(
        data.pool, batch_size=min(TURN_IMAGES, len(data.pool)), shuffle=True, generator=generator,
        augment=augment.random_shift,
    )  # fmt: skip
    steps = settings.by_profile(smoke=3, laptop=TURN_STEPS, full=4 * TURN_STEPS)
    fit(Classifier(encoder, 4, generator=generator), batches, which_turn, steps=steps, lr=3e-3, progress=False)
    return encoder


def _first_b(dataset: str, seed: int, start: str) -> Classifier:
    data = protocol.setting(dataset, seed)
    return protocol.classifier(data, _turned_b(dataset, seed) if start == "rotation" else None)


def _locally_trained_b(model: nn.Module, client: Client, steps: int, lr: float) -> nn.Module:
    """A copy of the model, trained on a client's images in the mode that the model is in."""
    own = copy.deepcopy(model)
    optimizer = torch.optim.SGD(own.parameters(), lr=lr, momentum=MOMENTUM)
    for _ in range(steps):
        loss = F.cross_entropy(own(client[0]), client[1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return own


def _averaged_b(states: Sequence[State], counts: Sequence[int]) -> State:
    average = {}
    for name, first in states[0].items():
        average[name] = first
        if first.is_floating_point():
            shares = [count / sum(counts) for count in counts]
            average[name] = torch.stack([share * state[name] for share, state in zip(shares, states)]).sum(dim=0)
    return average


def _batch_norm_names_b(model: nn.Module) -> list[str]:
    """The names of everything that batch normalization holds: scale, shift, running statistics, counts."""
    norms = [name for name, part in model.named_modules() if isinstance(part, nn.BatchNorm2d)]
    return [name for name in model.state_dict() if name.rpartition(".")[0] in norms]


def _federated_b(
    model: nn.Module,
    clients: Sequence[Client],
    *,
    rounds: int,
    steps: int,
    lr: float,
    local: Sequence[str] = (),
    sent: Callable[[State], State] | None = None,
) -> Iterator[list[State]]:
    """Federated averaging of `model`, in place. After each round: the tensors named in `local`, client by client.

    sent: what a client sends instead of its update, the difference of its parameters to the server's.
    """
    kept = [{name: model.state_dict()[name].clone() for name in local} for _ in clients]
    for _ in range(rounds):
        states, server = [], {name: value.clone() for name, value in model.state_dict().items()}
        for number, client in enumerate(clients):
            own = copy.deepcopy(model)
            own.load_state_dict(server | kept[number])
            state = dict(_locally_trained_b(own, client, steps, lr).state_dict())
            if sent is not None:
                names = [name for name, _ in model.named_parameters()]
                update = sent({name: state[name] - server[name] for name in names})
                state |= {name: server[name] + update[name] for name in names}
            states.append(state)
            kept[number] = {name: state[name].clone() for name in local}
        average = _averaged_b(states, [len(labels) for _, labels in clients])
        model.load_state_dict(average | {name: server[name] for name in local})
        yield kept


def _right_b(model: nn.Module, part: ImageData) -> float:
    return accuracy(predict(model, part.images), part.labels)


def _validation_b(data: protocol.Setting) -> ImageData:
    return data.train.subset(data.split(1).validation)


@functools.cache
def _run_b(
    dataset: str, seed: int, start: str, split: str, lr: float, steps: int = 0, way: str = "averaged"
) -> dict[str, float]:
    """Federated averaging with as many local steps in all, whatever `steps` a round has; 0 are the usual ones.

    `test@r` for rounds r, and `test`, `validation` after the last; `own` and `all` are means over clients for the
    network of a client, on test images of its own classes and on all. `way`: batch normalization "averaged", "frozen"
    or "local".
    """
    data, clients = protocol.setting(dataset, seed), _clients_b(dataset, seed, split)
    model = _first_b(dataset, seed, start).train(way != "frozen")
    rounds = _rounds_b() * _local_steps_b() // (steps or _local_steps_b())
    local = _batch_norm_names_b(model) if way == "local" else []
    training = _federated_b(model, clients, rounds=rounds, steps=steps or _local_steps_b(), lr=lr, local=local)
    found, kept = {}, [State()]
    for number, latest in enumerate(training, start=1):
        kept = latest
        if number in SHOWN and not steps and way == "averaged":
            found[f"test@{number}"] = _right_b(model, data.test)
    found["test"], found["validation"] = _right_b(model, data.test), _right_b(model, _validation_b(data))
    own, everywhere, right = [], [], torch.zeros(0)
    for number, (client, tensors) in enumerate(zip(clients, kept)):
        if local or number == 0:
            model.load_state_dict(model.state_dict() | tensors)
            right = (predict(model, data.test.images).argmax(dim=1) == data.test.labels).double()
        own.append(float(right[torch.isin(data.test.labels, client[1])].mean()))
        everywhere.append(float(right.mean()))
    return found | {"own": sum(own) / len(own), "all": sum(everywhere) / len(everywhere)}


@functools.cache
def _control_b(dataset: str, seed: int, start: str, which: str, lr: float) -> dict[str, float]:
    """As many local steps in one go: on all images in one place ("pooled"), or by clients for themselves ("alone")."""
    data, clients = protocol.setting(dataset, seed), _clients_b(dataset, seed, "iid")
    owners = clients[:ALONE]
    if which == "pooled":
        owners = ((torch.cat([x for x, _ in clients]), torch.cat([y for _, y in clients])),)
    found = {"validation": 0.0, "test": 0.0}
    for owner in owners:
        steps = _rounds_b() * _local_steps_b()
        model = _locally_trained_b(_first_b(dataset, seed, start).train(), owner, steps, lr)
        found["validation"] += _right_b(model, _validation_b(data)) / len(owners)
        found["test"] += _right_b(model, data.test) / len(owners)
    return found


def rounds(*, dataset: str, profile: str, seed: int) -> dict[str, Any]:
    """Test accuracy after rounds, with the learning rate of the best validation accuracy, and the controls.

    `start_split@r` for the start "rotation" or "scratch" and the split "iid" or "two"; `start_pooled` and
    `start_alone`; for each of them `..._lr`, the learning rate that was chosen.
    """
    figures: dict[str, Any] = {}
    for start in ("rotation", "scratch"):
        for split in ("iid", "two"):
            tried = {lr: _run_b(dataset, seed, start, split, lr) for lr in FEDERATED_RATES}
            best = max(FEDERATED_RATES, key=lambda lr: tried[lr]["validation"])
            figures[f"{start}_{split}_lr"] = best
            chosen = tried[best].items()
            figures |= {key.replace("test", f"{start}_{split}"): value for key, value in chosen if "@" in key}
        for which in ("pooled", "alone"):
            controls = {lr: _control_b(dataset, seed, start, which, lr) for lr in FEDERATED_RATES}
            best = max(FEDERATED_RATES, key=lambda lr: controls[lr]["validation"])
            figures[f"{start}_{which}"], figures[f"{start}_{which}_lr"] = controls[best]["test"], best
    return figures


def learning_rate(*, dataset: str, profile: str, seed: int) -> dict[str, Any]:
    """Test accuracy after the last round by learning rate, `start_split@lr`."""
    return {
        f"{start}_{split}@{lr:g}": _run_b(dataset, seed, start, split, lr)["test"]
        for start in ("rotation", "scratch") for split in ("iid", "two") for lr in FEDERATED_RATES
    }  # fmt: skip


def local_steps(*, dataset: str, profile: str, seed: int) -> dict[str, Any]:
    """After rotation, 80 local steps per client in all: test accuracy by the steps of a round, `split@steps`."""
    per_round = (1, 0) if profile == "smoke" else (0, 40)  # 0: the usual 8, from the same run as in `rounds`
    return {
        f"{split}@{steps or _local_steps_b()}": _run_b(dataset, seed, "rotation", split, FEDERATED_RATE, steps)["test"]
        for split in ("iid", "two") for steps in per_round
    }  # fmt: skip


def batch_norm(*, dataset: str, profile: str, seed: int) -> dict[str, Any]:
    """After rotation: batch normalization that is averaged, local to each client, or frozen (eval mode).

    For each split and way: `split_way_own` on test images of a client's own classes, `split_way_all` on all of them,
    means over clients. "frozen_slow" is frozen with a quarter of the learning rate.
    """
    figures: dict[str, Any] = {}
    for split, ways in (("two", ("averaged", "local", "frozen", "frozen_slow")), ("iid", ("frozen",))):
        for way in ways:
            lr = LOW_RATE if way == "frozen_slow" else FEDERATED_RATE
            run = _run_b(dataset, seed, "rotation", split, lr, 0, way.removesuffix("_slow"))
            figures[f"{split}_{way}_own"], figures[f"{split}_{way}_all"] = run["own"], run["all"]
    return figures


def styles(*, dataset: str, profile: str, seed: int) -> dict[str, Any]:
    """After rotation, IID classes: half of the clients have filled glyphs, half outlined ones; no scene is in both.

    `way_style`: mean over the clients of a style of the accuracy of their networks on test images of this style, with
    batch normalization averaged or local.
    """
    sizes = settings.by_profile(smoke=(300, 200), laptop=(2000, 1000), full=(2000, 1000))
    per_class = settings.by_profile(smoke=4, laptop=PER_CLASS // 2, full=PER_CLASS // 2)
    clients: list[Client] = []
    tests = {}
    for number, style in enumerate(("filled", "outlined")):
        train, tests[style] = (
            load(dataset, split=split, n=n, seed=seed, style=style) for split, n in zip(("train", "test"), sizes)
        )
        generator = torch.Generator().manual_seed(seed)
        mine = torch.arange(number, len(train), 2)
        few = split_labels(train.labels[mine], per_class=per_class, validation_per_class=0, generator=generator).labeled
        few = mine[few]
        parts = few[torch.randperm(len(few), generator=generator)].tensor_split(CLIENTS // 2)
        clients += [(as_float(train.images[part]), train.labels[part]) for part in parts]
    figures: dict[str, Any] = {}
    for way in ("averaged", "local"):
        model = _first_b(dataset, seed, "rotation").train()
        local, kept = _batch_norm_names_b(model) if way == "local" else [], [State()]
        for latest in _federated_b(
            model, clients, rounds=_rounds_b(), steps=_local_steps_b(), lr=FEDERATED_RATE, local=local
        ):  # fmt: skip
            kept = latest
        for number, style in enumerate(tests):
            found = []
            for tensors in kept[number * CLIENTS // 2 : (number + 1) * CLIENTS // 2]:
                model.load_state_dict(model.state_dict() | tensors)
                found.append(_right_b(model, tests[style]))
            figures[f"{way}_{style}"] = sum(found) / len(found)
    return figures


def _clipped_and_noisy_b(update: State, noise: float, generator: torch.Generator) -> State:
    norm = float(torch.stack([value.norm() for value in update.values()]).norm())
    factor = min(1.0, MAX_NORM / max(norm, 1e-12))
    return {
        name: factor * value + noise * MAX_NORM * torch.randn(value.shape, generator=generator)
        for name, value in update.items()
    }


def privacy(*, dataset: str, profile: str, seed: int) -> dict[str, Any]:
    """After rotation, IID: test accuracy by noise, `noise@z`, all updates of parameters clipped.

    Running statistics are neither clipped nor made noisy, so this is the cost of the noise and not a guarantee.
    `unclipped` is without clipping and noise. `norm` is the median norm of an update in the first round.
    """
    data, clients = protocol.setting(dataset, seed), _clients_b(dataset, seed, "iid")
    first, steps = _first_b(dataset, seed, "rotation").train(), _local_steps_b()
    norms = []
    for client in clients:
        own = _locally_trained_b(first, client, steps, FEDERATED_RATE)
        pairs = zip(own.parameters(), first.parameters())
        norms.append(float(torch.cat([(a - b).detach().flatten() for a, b in pairs]).norm()))
    figures: dict[str, Any] = {"norm": sorted(norms)[len(norms) // 2]}
    figures["unclipped"] = _run_b(dataset, seed, "rotation", "iid", FEDERATED_RATE)["test"]
    for noise in NOISES:
        model, generator = copy.deepcopy(first), data.generator()
        sent = functools.partial(_clipped_and_noisy_b, noise=noise, generator=generator)
        for _ in _federated_b(model, clients, rounds=_rounds_b(), steps=steps, lr=FEDERATED_RATE, sent=sent):
            pass
        figures[f"noise@{noise:g}"] = _right_b(model, data.test)
    return figures


def leak(*, dataset: str, profile: str, seed: int) -> dict[str, Any]:
    """A network whose first layer is linear, on pixels: the image that an update gives away by the quotient.

    Means over 20 clients of the correlation with the nearest of the client's images: `images@n` for clients with n
    images and one step, `steps@s` for one image and s steps, `noise@z` for one image and the usual steps, clipped and
    with noise. `others@n`: with the nearest of n images that the client does not have, a control.
    """
    data = protocol.setting(dataset, seed)
    generator, few = data.generator(), _few_b(data)
    order = torch.randperm(len(few), generator=generator)
    images, labels = as_float(few.images)[order], few.labels[order]
    pixels = images[0].numel()
    model = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 64), nn.ReLU(), nn.Linear(64, data.num_classes))
    for weight in model.parameters():
        nn.init.normal_(weight, std=pixels**-0.5, generator=generator)

    def nearest(image: Tensor, among: Tensor) -> float:
        return max(float(torch.stack([image, x.flatten()]).corrcoef()[0, 1]) for x in among)

    def found(count: int, steps: int, noise: float | None = None) -> tuple[float, float]:
        mine, other = [], []
        for number in range(20):
            chosen = (torch.arange(2 * count) + number * count) % len(images)
            client = images[chosen[:count]], labels[chosen[:count]]
            after = _locally_trained_b(model, client, steps, FEDERATED_RATE).state_dict()
            update = {name: after[name] - value for name, value in model.state_dict().items()}
            if noise is not None:
                update = _clipped_and_noisy_b(update, noise, generator)
            rows, bias = update["1.weight"], update["1.bias"]
            image = (bias @ rows) / (bias @ bias)
            mine.append(nearest(image, client[0]))
            other.append(nearest(image, images[chosen[count:]]))
        return sum(mine) / len(mine), sum(other) / len(other)

    figures: dict[str, Any] = {}
    for n in (1, 2, 4, 8):
        figures[f"images@{n}"], figures[f"others@{n}"] = found(n, 1)
    figures |= {f"steps@{s}": found(1, s)[0] for s in (1, LOCAL_STEPS)}
    return figures | {f"noise@{z:g}": found(1, _local_steps_b(), z)[0] for z in NOISES}


# One statement per part, so that two authors do not meet on a line.
EXPERIMENTS_B: dict[str, Any] = {
    "rounds": rounds,
    "learning_rate": learning_rate,
    "local_steps": local_steps,
    "batch_norm": batch_norm,
    "styles": styles,
    "privacy": privacy,
    "leak": leak,
}
EXPERIMENTS_A: dict[str, Any] = {"text": text, "images": images, "captions": captions, "unnamed": unnamed}
EXPERIMENTS: dict[str, Any] = {**EXPERIMENTS_A, **EXPERIMENTS_B}
