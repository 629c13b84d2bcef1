"""The recorded experiments of unit 11: what its notebooks quote, for several seeds.

`course results 11_beyond_one_model --seeds 3` runs them all.

Part a, adapters and two modalities: what a few trained weights reach on a transformer for text and on an image encoder;
glyphs with captions. Part b, many owners: federated averaging.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import protocol, settings
from course_lib.data import Batches, ImageData, as_float, augment, load, split_labels
from course_lib.evaluation import accuracy, predict
from course_lib.models import Classifier, ConvEncoder
from course_lib.training import fit

DATASET = "glyphs"  # part a also reads the docstrings of unit 09, whatever the data set

# --- part a, adapters: text and images ------------------------------------------------------------------------------

# --- part a, captions -----------------------------------------------------------------------------------------------

# --- part b, many owners --------------------------------------------------------------------------------------------
#
# Ten clients have 40 labeled images each, 400 in all. A local step is a step of SGD with momentum on all images of the
# client, without augmentation. Settings were fixed after trials with seed 10. In `rounds` the learning rate of each
# seed and condition is the one of `RATES` with the best accuracy on the protocol's 200 validation images.

CLIENTS, PER_CLASS = 10, 40  # 400 images, 40 per client
ROUNDS, LOCAL_STEPS, MOMENTUM = 10, 8, 0.9
RATES, RATE, LOW_RATE = (0.02, 0.05), 0.02, 0.005
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
            tried = {lr: _run_b(dataset, seed, start, split, lr) for lr in RATES}
            best = max(RATES, key=lambda lr: tried[lr]["validation"])
            figures[f"{start}_{split}_lr"] = best
            chosen = tried[best].items()
            figures |= {key.replace("test", f"{start}_{split}"): value for key, value in chosen if "@" in key}
        for which in ("pooled", "alone"):
            controls = {lr: _control_b(dataset, seed, start, which, lr) for lr in RATES}
            best = max(RATES, key=lambda lr: controls[lr]["validation"])
            figures[f"{start}_{which}"], figures[f"{start}_{which}_lr"] = controls[best]["test"], best
    return figures


def learning_rate(*, dataset: str, profile: str, seed: int) -> dict[str, Any]:
    """Test accuracy after the last round by learning rate, `start_split@lr`."""
    return {
        f"{start}_{split}@{lr:g}": _run_b(dataset, seed, start, split, lr)["test"]
        for start in ("rotation", "scratch") for split in ("iid", "two") for lr in RATES
    }  # fmt: skip


def local_steps(*, dataset: str, profile: str, seed: int) -> dict[str, Any]:
    """After rotation, 80 local steps per client in all: test accuracy by the steps of a round, `split@steps`."""
    per_round = (1, 0) if profile == "smoke" else (0, 40)  # 0: the usual 8, from the same run as in `rounds`
    return {
        f"{split}@{steps or _local_steps_b()}": _run_b(dataset, seed, "rotation", split, RATE, steps)["test"]
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
            lr = LOW_RATE if way == "frozen_slow" else RATE
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
            model, clients, rounds=_rounds_b(), steps=_local_steps_b(), lr=RATE, local=local
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
    """After rotation, IID, batch normalization frozen: test accuracy by noise, `noise@z`, all updates clipped.

    Frozen, because running statistics are means of the clients' data and are neither clipped nor made noisy.
    `unclipped` is without clipping and noise. `norm` is the median norm of an update in the first round.
    """
    data, clients = protocol.setting(dataset, seed), _clients_b(dataset, seed, "iid")
    first, steps = _first_b(dataset, seed, "rotation").eval(), _local_steps_b()
    norms = []
    for client in clients:
        own = _locally_trained_b(first, client, steps, RATE)
        pairs = zip(own.parameters(), first.parameters())
        norms.append(float(torch.cat([(a - b).detach().flatten() for a, b in pairs]).norm()))
    figures: dict[str, Any] = {"norm": sorted(norms)[len(norms) // 2]}
    figures["unclipped"] = _run_b(dataset, seed, "rotation", "iid", RATE, 0, "frozen")["test"]
    for noise in NOISES:
        model, generator = copy.deepcopy(first), data.generator()
        sent = functools.partial(_clipped_and_noisy_b, noise=noise, generator=generator)
        for _ in _federated_b(model, clients, rounds=_rounds_b(), steps=steps, lr=RATE, sent=sent):
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
            after = _locally_trained_b(model, client, steps, RATE).state_dict()
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


# One line per part, so that two authors do not meet on a line.
EXPERIMENTS_A: dict[str, Any] = {}
EXPERIMENTS_B: dict[str, Any] = {
    "rounds": rounds,
    "learning_rate": learning_rate,
    "local_steps": local_steps,
    "batch_norm": batch_norm,
    "styles": styles,
    "privacy": privacy,
    "leak": leak,
}
EXPERIMENTS: dict[str, Any] = {**EXPERIMENTS_A, **EXPERIMENTS_B}
