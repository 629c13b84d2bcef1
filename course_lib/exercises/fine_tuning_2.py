"""Unit 06, second notebook, fine-tuning without forgetting: what is asked for, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Exercise, Hints, Values, seeded

UNIT = "06_fine_tuning"


def _set_to(module: nn.Module, generator: torch.Generator, scale: float = 1.0) -> None:
    """Draws all floating-point parameters and buffers of a module, variances above zero, from a CPU generator."""
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if not value.is_floating_point():
                continue
            drawn = scale * torch.randn(value.shape, generator=generator)
            value.copy_(0.5 + drawn.abs() if name.endswith("running_var") else drawn)


def _flat(tensors: Any) -> Tensor:
    """Numbers of all tensors in one double vector: a copy of what they are now."""
    parts = [torch.zeros(0, dtype=torch.float64)]
    parts += [tensor.detach().double().cpu().flatten() for tensor in tensors]
    return torch.cat(parts)


def _gradients(module: nn.Module) -> Tensor:
    """The gradients of all parameters in one vector, 0 where there is none."""
    return _flat(torch.zeros_like(p) if p.grad is None else p.grad for p in module.parameters())


# --- l2_sp_penalty --------------------------------------------------------------------------------------------------


class _Dense(nn.Module):
    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(5, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 3))
        self.head = nn.Linear(3, num_classes)


class _Convolutional(nn.Module):
    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, width, 3, bias=False), nn.BatchNorm2d(width), nn.PReLU())
        self.head = nn.Linear(width, num_classes)


# What is moved between the start and the measurement.
_MOVES = {
    "everything": ("encoder", "head", "buffers"),
    "encoder": ("encoder",),
    "head": ("head",),
    "buffers": ("buffers",),
}


def _penalty_cases(seed: int) -> list[Case]:
    def case(
        name: str, moved: str, kind: str = "dense", dtype: str = "float32", width: int = 4, came: str = "open"
    ) -> Case:
        inputs = {"encoder": kind, "moved": moved, "dtype": dtype, "width": width, "encoder_came": came}
        return Case(name, {**inputs, "seed": seed + 7 * len(name)})

    return [
        case("everything_moved", "everything"),
        case("encoder_moved", "encoder", width=6),
        case("head_moved", "head"),
        case("buffers_moved", "buffers"),
        case("convolutions", "everything", "convolutional", width=3),
        case("float64", "everything", dtype="float64"),
        case("frozen_at_the_start", "encoder", came="frozen"),
    ]


def _observe_penalty(fn: Callable[..., Any], case: Case) -> Values:
    inputs, generator = case.inputs, seeded(case.inputs["seed"])
    kind = _Dense if inputs["encoder"] == "dense" else _Convolutional
    model = kind(inputs["width"], 4).to(getattr(torch, inputs["dtype"]))
    _set_to(model, generator)
    model.encoder.requires_grad_(inputs["encoder_came"] == "open")
    penalty = fn(model)
    model.encoder.requires_grad_(True)
    for part in _MOVES[inputs["moved"]]:
        with torch.no_grad():
            if part == "buffers":
                for buffer in model.encoder.buffers():
                    buffer.add_(2 if not buffer.is_floating_point() else 0.7)
            else:
                for parameter in getattr(model, part).parameters():
                    parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator).to(parameter))
    moved = _flat(model.state_dict().values())
    value = penalty()
    seen: Values = {"penalty": value, "called_again": penalty(), "model_moved": moved}
    if isinstance(value, Tensor):
        seen["penalty"] = value.detach().clone()
    seen["model_after"] = _flat(model.state_dict().values())
    if isinstance(value, Tensor) and value.requires_grad and value.numel() == 1:
        value.backward()
    seen["encoder_gradient"], seen["head_gradient"] = _gradients(model.encoder), _gradients(model.head)
    seen["on_the_graph"] = int(isinstance(value, Tensor) and value.requires_grad)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(0.25)
    seen["after_another_move"] = penalty()
    return seen


l2_sp_penalty = Exercise(
    name="l2_sp_penalty",
    unit=UNIT,
    title="How far has the encoder moved from its start?",
    signature="l2_sp_penalty(model)",
    minutes=15,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Two moments matter. Now, before any training: remember the encoder's weights, as numbers of their own "
            "that no optimizer touches. Later, in every step: compare the weights as they are then with what you "
            "remembered."
        ),
        api="`model.encoder.parameters()`, `Tensor.detach()`, `Tensor.clone()`, `zip`, `Tensor.pow(2).sum()`",
        skeleton=(
            "start = [weight....clone() for weight in model.encoder.parameters()]\n"
            "\n"
            "def penalty():\n"
            "    pairs = zip(model.encoder.parameters(), ...)\n"
            "    return sum((... - ...).pow(2).sum() for weight, origin in pairs)\n"
            "\n"
            "return penalty"
        ),
    ),
    takeaway=(
        "Plain weight decay pulls towards zero, which for a pretrained network is a place it never was. This pulls "
        "towards what it knew."
    ),
    cases=_penalty_cases,
    observe=_observe_penalty,
    on_gpu=False,
)


# --- joint_loss -----------------------------------------------------------------------------------------------------


class _TwoHeaded(nn.Module):
    """A linear encoder and two heads; it notes the modes it is used in. No batch normalization: whether both batches
    go through together or one after the other is the answer's own affair."""

    def __init__(self, pixels: int, num_classes: int, num_old: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 6), nn.Tanh())
        self.head = nn.Linear(6, num_classes)
        self.old_head = nn.Linear(6, num_old)


def _joint_cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(
        name: str, sizes: tuple[int, int], classes: tuple[int, int], lam: float, *,
        shape: tuple[int, int, int] = (1, 3, 4), dtype: torch.dtype = torch.float32,
    ) -> Case:  # fmt: skip
        inputs: Values = {}
        for part, count, num_classes in zip(("", "old_"), sizes, classes, strict=True):
            inputs[f"{part}images"] = torch.rand(count, *shape, generator=generator, dtype=dtype)
            inputs[f"{part}labels"] = torch.randint(0, num_classes, (count,), generator=generator)
        inputs |= {"classes": classes[0], "old_classes": classes[1], "lam": lam, "seed": seed + len(name)}
        return Case(name, inputs)

    transposed = case("transposed", (3, 4), (3, 3), 2.0)
    for key in ("images", "old_images"):
        transposed.inputs[key] = transposed.inputs[key].transpose(2, 3)
    return [
        case("plain", (5, 5), (4, 4), 0.3),
        case("unequal_batches", (3, 8), (4, 4), 0.7),
        case("other_number_of_classes", (6, 4), (3, 5), 0.5),
        case("heavy", (4, 6), (4, 4), 3.0),
        transposed,
        case("one_image_each", (1, 1), (3, 3), 0.25, shape=(2, 3, 3)),
        case("float64", (4, 3), (5, 5), 0.6, dtype=torch.float64),
        case("nothing_of_the_old", (5, 4), (4, 4), 0.0),
        case("equal_weights", (4, 4), (4, 4), 1.0),
    ]


def _observe_joint(fn: Callable[..., Any], case: Case) -> Values:
    inputs = case.inputs
    images = inputs["images"]
    model = _TwoHeaded(images[0].numel(), inputs["classes"], inputs["old_classes"])
    _set_to(model, seeded(inputs["seed"]))
    model.to(images)
    batch, old_batch = (images, inputs["labels"]), (inputs["old_images"], inputs["old_labels"])
    loss = fn(model, batch, old_batch, inputs["lam"])
    seen: Values = {"loss": loss, "gradient_before_backward": _gradients(model)}
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
    seen["encoder_gradient"] = _gradients(model.encoder)
    seen["head_gradient"], seen["old_head_gradient"] = _gradients(model.head), _gradients(model.old_head)
    seen["mode_after"] = "train" if model.training else "eval"
    seen["weights_require_grad_after"] = [int(p.requires_grad) for p in model.parameters()]
    return seen


joint_loss = Exercise(
    name="joint_loss",
    unit=UNIT,
    title="Learn the new task, and go on with the old one",
    signature="joint_loss(model, batch, old_batch, lam)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Two classifications share one encoder: each batch goes through the encoder and then through its own "
            "head. The new task counts in full, the old one by its weight, and gradients of both reach the encoder."
        ),
        api="`model.encoder`, `model.head`, `model.old_head`, `F.cross_entropy` (a mean over the batch)",
        skeleton=(
            "images, labels = batch\n"
            "old_images, old_labels = ...\n"
            "features = model.encoder(torch.cat([images, ...]))  # (N + M, d)\n"
            "task = F.cross_entropy(model.head(features[: len(images)]), labels)\n"
            "pretraining = F.cross_entropy(...)\n"
            "return ... + lam * ..."
        ),
    ),
    takeaway=(
        "The second term needs the old data, labels and all; that is what it costs. L2-SP asks for nothing but the old "
        "weights."
    ),
    cases=_joint_cases,
    observe=_observe_joint,
)


# --- lp_ft ----------------------------------------------------------------------------------------------------------


class _Watched(nn.Module):
    """A small network with batch normalization, that notes which parameters require gradients when it is used."""

    def __init__(self, pixels: int, num_classes: int) -> None:
        super().__init__()
        # No bias before the normalization: its gradient would be rounding noise, which Adam turns into full steps.
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, 6, bias=False), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 4), nn.Tanh()
        )
        self.head = nn.Linear(4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


class _WatchedBatches:
    """Batches that can be gone through again and again, and note the network's weights whenever one is fetched."""

    def __init__(self, batches: list[tuple[Tensor, Tensor]], model: _Watched) -> None:
        self.batches, self.model = batches, model
        self.diary: list[dict[str, Tensor]] = Diary()

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in self.batches:
            self.diary.append(_state_of(self.model))
            yield images.clone(), labels.clone()


def _state_of(model: _Watched) -> dict[str, Tensor]:
    return {
        "encoder": _flat(model.encoder.parameters()),
        "statistics": _flat(model.encoder.buffers()),
        "head": _flat(model.head.parameters()),
    }


def _lp_ft_cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(
        name: str, count: int, batch_size: int, epochs: tuple[int, int], rates: tuple[float, float], *,
        came: str = "open", mode: str = "train", dtype: torch.dtype = torch.float32,
    ) -> Case:  # fmt: skip
        inputs: Values = {
            "images": torch.rand(count, 1, 2, 4, generator=generator, dtype=dtype),
            "labels": torch.arange(count) % 3,
            "batch_size": batch_size, "head_epochs": epochs[0], "head_lr": rates[0], "epochs": epochs[1],
            "lr": rates[1], "encoder_came": came, "mode_before": mode, "seed": seed + len(name),
        }  # fmt: skip
        return Case(name, inputs)

    return [
        case("plain", 12, 6, (2, 1), (0.1, 0.02)),
        case("ragged_last_batch", 7, 4, (1, 2), (0.08, 0.01)),
        case("came_frozen", 8, 8, (3, 1), (0.1, 0.03), came="frozen", mode="eval"),
        case("float64", 6, 6, (1, 2), (0.05, 0.01), dtype=torch.float64),
    ]


def _observe_lp_ft(fn: Callable[..., Any], case: Case) -> Values:
    inputs = case.inputs
    images, labels = inputs["images"], inputs["labels"]
    model = _Watched(images[0].numel(), 3)
    _set_to(model, seeded(inputs["seed"]), 0.8)
    model.to(images).train(inputs["mode_before"] == "train")
    if inputs["encoder_came"] == "frozen":
        model.encoder.requires_grad_(False)
    size = inputs["batch_size"]
    batches = _WatchedBatches(list(zip(images.split(size), labels.split(size), strict=True)), model)
    before = _state_of(model)
    options = {key: inputs[key] for key in ("head_epochs", "head_lr", "epochs", "lr")}
    with torch.enable_grad():
        fn(model, batches, **options)
    after = _state_of(model)
    # Counted from the end: how often the first stage goes to the batches is the answer's own affair.
    steps, fetched = inputs["epochs"] * len(batches), len(batches.diary)
    switch = batches.diary[max(fetched - steps, 0)] if fetched else after
    seen: Values = {"batches_fetched": fetched}
    for part in before:
        seen[f"{part}_before"], seen[f"{part}_at_the_switch"] = before[part], switch[part]
        seen[f"{part}_after"] = after[part]
    seen["head_one_batch_earlier"] = batches.diary[fetched - steps - 1]["head"] if fetched > steps else switch["head"]
    seen["weights_require_grad_after"] = [int(p.requires_grad) for p in model.parameters()]
    return seen


lp_ft = Exercise(
    name="lp_ft",
    unit=UNIT,
    title="First the head alone, then everything from there",
    signature="lp_ft(model, batches, *, head_epochs, head_lr, epochs, lr)",
    minutes=20,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Two trainings in a row, each with an optimizer of its own. In the first only the head may change: the "
            "encoder's weights stay, and so do the running statistics of its batch normalization, which gradients have "
            "nothing to do with. The second goes on from that head, with everything awake and at the small rate."
        ),
        api=(
            "`requires_grad_(False)` and `requires_grad_(True)` of a module, `model.train()`, `model.encoder.eval()`, "
            "`torch.optim.Adam`, `F.cross_entropy`"
        ),
        skeleton=(
            "model.train()\n"
            "model.encoder....()  # at rest: its statistics must not move\n"
            "model.encoder.requires_grad_(...)\n"
            "optimizer = torch.optim.Adam(model.head.parameters(), lr=...)\n"
            "for _ in range(head_epochs):\n"
            "    for images, labels in batches:\n"
            "        ...  # loss, zero_grad, backward, step\n"
            "model....()  # awake\n"
            "model.requires_grad_(...)\n"
            "optimizer = torch.optim.Adam(..., lr=...)\n"
            "..."
        ),
    ),
    takeaway=(
        "A random head sends random gradients into the encoder. One that has learned already asks for small changes "
        "only, and the features stay nearer to where they were."
    ),
    cases=_lp_ft_cases,
    observe=_observe_lp_ft,
)


# --- EarlyStopping --------------------------------------------------------------------------------------------------


class _Trained(nn.Module):
    """Stands for a network in training: every weight and statistic is the number of the validation it was seen at."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.norm = nn.BatchNorm1d(2)

    def set_to(self, number: float) -> None:
        with torch.no_grad():
            for value in self.state_dict().values():
                value.fill_(number)


def _stopping_cases(seed: int) -> list[Case]:
    generator = seeded(seed)
    a, b, c, d = (0.5 + 0.01 * torch.randperm(10, generator=generator)[:4].sort().values.double()).tolist()

    def case(name: str, values: list[float], patience: int, *, min_delta: float = 0.0, mode: str = "max") -> Case:
        return Case(name, {"values": values, "patience": patience, "min_delta": min_delta, "mode": mode})

    return [
        case("rises_and_falls", [a, c, d, b, c, a, a, d + 0.2], 3),
        case("recovers_in_time", [b, d, a, c, d + 0.1, a, b, a, c, b], 3),
        case("patience_of_one", [a, b, c, b, d], 1),
        case("plateau", [a, d, d, d, d, d, d + 0.3], 3),
        case("recovers_below_the_best", [d, a, b, c, d + 0.3, d], 3),
        case("small_gains", [b, b + 0.004, b + 0.008, b + 0.012, b + 0.016, b + 0.5], 3, min_delta=0.01),
        case("small_gains_are_none", [b, b + 0.002, b + 0.004, b + 0.006, b + 0.5, b], 2, min_delta=0.01),
        case("small_losses", [b, b - 0.004, b - 0.008, b - 0.006, b - 0.002], 2, min_delta=0.01),
        case("a_loss", [d + 1, c + 1, a + 1, b + 1, c + 1, d + 1, a], 3, mode="min"),
        case("a_loss_with_min_delta", [d + 1, d + 0.996, a + 0.5, a + 0.496, a + 0.494, 0.0], 2, min_delta=0.01,
             mode="min"),
        case("never_stops", [a, b, c, d], 2),
        case("below_zero", [-1 - a, -1 - b, -1 - c, -1 - d, -1 - d], 3),
        case("best_at_zero", [-a, 0.0, -b, -c, -d, -a], 3),
    ]  # fmt: skip


def _observe_stopping(fn: Callable[..., Any], case: Case) -> Values:
    inputs = case.inputs
    model = _Trained()
    stopping = fn(inputs["patience"], min_delta=inputs["min_delta"], mode=inputs["mode"])
    answers: list[Any] = []
    for number, value in enumerate(inputs["values"], start=1):
        model.set_to(number)
        answers.append(stopping.update(value, model))
        if answers[-1]:
            break
    model.set_to(99)  # training has gone on a little when the decision comes
    stopping.restore(model)
    state = {name: value.double() for name, value in model.state_dict().items()}
    model.set_to(77)  # what is kept must not be what was given back
    another = _Trained()
    another.set_to(55)
    stopping.restore(another)
    return {
        "weights_given_to_another": _flat(another.layer.parameters()),
        "validations": len(answers),
        "weights_restored": _flat(value for name, value in state.items() if name.startswith("layer")),
        "norm_weights_restored": _flat([state["norm.weight"], state["norm.bias"]]),
        "statistics_restored": _flat([state["norm.running_mean"], state["norm.running_var"]]),
        "batches_counted_restored": _flat([state["norm.num_batches_tracked"]]),
    }


early_stopping = Exercise(
    name="EarlyStopping",
    unit=UNIT,
    title="Stop in time, and go back to the best weights",
    signature="EarlyStopping(patience, *, min_delta=0.0, mode='max')",
    minutes=20,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Keep three things: the best value so far, a copy of the network as it was then, and how many validations "
            "have passed since. Every new value is compared with the best one, not with the one before; if it is "
            "better by more than `min_delta`, all three start afresh."
        ),
        api="`model.state_dict()`, `copy.deepcopy` or `Tensor.clone()`, `model.load_state_dict(...)`",
        skeleton=(
            "def __init__(self, patience, *, min_delta=0.0, mode='max'):\n"
            "    self.patience, self.min_delta = patience, min_delta\n"
            "    self.sign = 1 if mode == 'max' else ...\n"
            "    self.best_value, self.best_state, self.waited = None, None, 0\n"
            "\n"
            "def update(self, value, model):\n"
            "    value = self.sign * value\n"
            "    if self.best_value is None or value > ...:\n"
            "        self.best_value, self.waited = ...\n"
            "        self.best_state = {name: tensor....clone() for name, tensor in ...}\n"
            "    else:\n"
            "        self.waited += 1\n"
            "    return self.waited >= ...\n"
            "\n"
            "def restore(self, model):\n"
            "    model....(self.best_state)"
        ),
    ),
    takeaway=(
        "`state_dict()` is a window, not a photograph: it shows the weights as they are when you look. A best model "
        "must be copied at the moment it is best."
    ),
    cases=_stopping_cases,
    observe=_observe_stopping,
    on_gpu=False,
)

EXERCISES = (l2_sp_penalty, joint_loss, lp_ft, early_stopping)
