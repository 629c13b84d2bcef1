"""Unit 06, first notebook, freezing: what a learner is asked for, and how an answer is observed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import state_of

UNIT = "06_fine_tuning"


def _pretrain(module: nn.Module, generator: torch.Generator) -> None:
    """Weights and statistics as if they had been learned: nothing is left at the values that layers begin with."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator) + 0.1)
        for name, buffer in module.named_buffers():
            if name.endswith("num_batches_tracked"):
                buffer.fill_(7)
            else:
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))


def _requires_grad(module: nn.Module) -> dict[str, int]:
    return {name: int(parameter.requires_grad) for name, parameter in module.named_parameters()}


def _is_it(result: Any, module: nn.Module, name: str) -> str:
    """The name when the result is that module, "another module" for another, else the name of its type."""
    if isinstance(result, nn.Module):
        return name if result is module else "another module"
    return "None" if result is None else type(result).__name__


_SHARED = (nn.Module, nn.Sequential, nn.BatchNorm1d, nn.BatchNorm2d, nn.modules.batchnorm._BatchNorm, nn.Conv2d,
           nn.Linear, nn.Dropout, nn.ReLU)  # fmt: skip


@contextlib.contextmanager
def _classes_left_alone() -> Iterator[None]:
    """Undoes what an answer does to classes of torch and of ours: it would reach every network of the process."""
    names = ("train", "eval", "forward", "requires_grad_", "__call__")
    before = [(kind, name, vars(kind).get(name)) for kind in (*_SHARED, _OwnPart) for name in names]
    try:
        yield
    finally:
        for kind, name, value in before:
            if vars(kind).get(name) is not value:
                if value is None:
                    delattr(kind, name)
                else:
                    setattr(kind, name, value)


# --- 6.1 freeze -----------------------------------------------------------------------------------------------------


class _OwnPart(nn.Module):
    """A part with a weight of its own and dropout by its own mode, beside the layers inside it."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, width, 1, 1))
        self.layers = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.weight * self.layers(x), 0.4, self.training)


class _Net(nn.Module):
    """A stem, a part to freeze, and a head. All have batch normalization; the part has dropout too."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        images, kind = case.inputs["images"], case.inputs["part"]
        channels, width, classes = images.shape[1], 3, 3
        self.stem: nn.Module = nn.Identity()
        if kind == "middle":
            self.stem = nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))
            channels = width
        if kind == "vectors":
            self.stem = nn.Flatten()
            layers: list[nn.Module] = [nn.Linear(images[0].numel(), width), nn.BatchNorm1d(width)]
        else:
            layers = [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width)]
        layers += [nn.Sequential(nn.ReLU(), nn.Dropout(0.4))]
        if kind == "nested":
            layers = [nn.Sequential(*layers), nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width))]
        self.part = _OwnPart(channels, width) if kind == "own class" else nn.Sequential(*layers)
        self.pool = nn.Flatten() if kind == "vectors" else nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, classes))
        _pretrain(self, seeded(case.inputs["seed"]))
        self.to(images.dtype).to(images.device)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.part(self.stem(x))))


def _freeze_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, part: str, images: Tensor, mode: str = "train", opened: str = "never") -> Case:
        inputs: Values = {"images": images, "labels": torch.arange(len(images)) % 3, "part": part}
        return Case(name, {**inputs, "mode_before": mode, "opened": opened, "seed": seed + 1})

    return [
        case("first_layers", "first", draw(8, 1, 5, 6), opened="in the end"),
        case("in_the_middle", "middle", draw(6, 3, 6, 4)),
        case("nested", "nested", draw(7, 1, 4, 4).double(), "eval"),
        case("vectors", "vectors", draw(6, 1, 3, 4), opened="frozen again before"),
        case("own_class", "own class", draw(6, 2, 4, 5)),
        case("frozen_by_another", "first", draw(5, 1, 4, 3), opened="in the beginning"),
    ]


def _train_for(model: _Net, case: Case, steps: int) -> None:
    """As a fine-tuning does it: validation in between, weight decay, every parameter handed to the optimizer."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.2)
    for _ in range(steps):
        model.eval()
        model.train()
        loss = F.cross_entropy(model(case.inputs["images"]), case.inputs["labels"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _rest(model: _Net) -> dict[str, Tensor]:
    return {name: value for name, value in state_of(model).items() if not name.startswith("part.")}


def _open(fn: Callable[..., Any], model: _Net, case: Case) -> Values:
    """Lets the answer open the part, then trains for a step."""
    before = state_of(model.part)
    fn(model.part, frozen=False)
    seen: Values = {"state_before_opening": before, "requires_grad_open": _requires_grad(model.part)}
    seen["mode_when_open"] = "train" if model.train().part.training else "eval"
    seen["mode_at_rest"] = "train" if model.eval().part.training else "eval"
    _train_for(model, case, 1)
    return {**seen, "state_trained_on": state_of(model.part)}


def _observe_freeze(fn: Callable[..., Any], case: Case) -> Values:
    images, opened = case.inputs["images"], case.inputs["opened"]
    torch.manual_seed(case.inputs["seed"])  # for the dropout of a part that is not at rest
    with _classes_left_alone(), torch.enable_grad():
        model = _Net(case)
        part = model.part
        seen: Values = {}
        attributes = set(vars(part))
        if opened == "in the beginning":
            part.requires_grad_(False)
            seen |= _open(fn, model, case)
            part.requires_grad_(True)  # from here on as in the other cases
        model.train(case.inputs["mode_before"] == "train")
        given = state_of(part)
        returned = _is_it(fn(part), part, "the module")
        seen |= {
            "returned": returned,
            "requires_grad": _requires_grad(part),
            "requires_grad_elsewhere": {**_requires_grad(model.stem), **_requires_grad(model.head)},
            "modes_when_frozen": sorted({"train" if m.training else "eval" for m in part.modules()}),
            "new_attributes": sorted(set(vars(part)) - attributes),
            "state_given": given,
            "state_when_frozen": state_of(part),
            "rest_given": _rest(model),
        }
        model.train()
        seen["modes_after_train"] = {
            name: "train" if layer.training else "eval"
            for name, layer in part.named_modules()
            if not isinstance(layer, nn.Sequential)
        }
        x = model.stem(images).detach()
        seen["output_after_train"] = part(x).detach().clone()
        _train_for(model, case, 2)
        seen |= {"state_after_training": state_of(part), "rest_after_training": _rest(model)}
        if opened == "frozen again before":
            fn(part)
        if opened in ("in the end", "frozen again before"):
            seen |= _open(fn, model, case)
    return seen


freeze = Exercise(
    name="freeze",
    unit=UNIT,
    title="Freeze a part of a network, and open it again",
    signature="freeze(module, frozen=True)",
    minutes=15,
    difficulty=3,
    points=6,
    hints=Hints(
        concept=(
            "A layer learns in two ways: by gradients, and, if it is batch normalization, by the statistics that it "
            "gathers in train mode. A frozen part does neither. Eval mode alone does not last, since the next "
            "`model.train()` reaches every module below it: so the part itself must answer that call differently."
        ),
        api=(
            "`module.requires_grad_(...)`, `module.eval()`. `model.train(mode)` calls `train(mode)` of each child: an "
            "attribute `train` of your own on one module hides the method of its class, and `del module.train` or "
            '`module.__dict__.pop("train", None)` brings that back.'
        ),
        skeleton=(
            "module.requires_grad_(...)\n"
            'module.__dict__.pop("train", None)  # the method of the class again\n'
            "if frozen:\n"
            "    module.eval()\n"
            "    module.train = lambda mode=True: ...\n"
            "return module"
        ),
    ),
    takeaway=(
        "Frozen means that not a bit changes: no weight, no running mean, no count of batches. Compare the part's "
        "state_dict before and after training; that one line finds every leak."
    ),
    cases=_freeze_cases,
    observe=_observe_freeze,
)


# --- 6.2 trainable_parameters ---------------------------------------------------------------------------------------


class _Tied(nn.Module):
    """Blocks with batch normalization and a head; if wanted, two layers share one weight."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        generator = seeded(case.inputs["seed"])
        width = case.inputs["width"]
        self.scale = nn.Parameter(torch.ones(1))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width)) for _ in range(case.inputs["blocks"])
        )
        self.head = nn.Linear(width, width)
        if case.inputs["tied"] == "yes":
            self.head.weight = self.blocks[-1].get_submodule("0").get_parameter("weight")
        _pretrain(self, generator)
        for name in case.inputs["frozen"].split():
            self.get_parameter(name).requires_grad_(False) if name.endswith(("weight", "bias", "scale")) else (
                self.get_submodule(name).requires_grad_(False)
            )

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.scale
        for block in self.blocks:
            x = block(x).relu()
        return self.head(x)


def _trainable_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(
        name: str, frozen: str, *, blocks: int = 2, width: int = 3, tied: str = "no", at_rest: str = ""
    ) -> Case:  # fmt: skip
        inputs: Values = {"x": draw(5, width), "frozen": frozen, "blocks": blocks, "width": width, "tied": tied}
        return Case(name, {**inputs, "at_rest": at_rest, "seed": seed + len(name)})

    return [
        case("lower_blocks_frozen", "scale blocks.0", width=4),
        case("a_middle_block_frozen", "blocks.1", blocks=3, at_rest="blocks.2"),
        case("head_only", "scale blocks"),
        case("head_frozen", "head"),
        case("single_layers_frozen", "blocks.0.0.weight blocks.1.1", width=5),
        case("nothing_frozen", ""),
        case("two_layers_share_a_weight", "scale blocks.0", tied="yes"),
    ]


def _observe_trainable(fn: Callable[..., Any], case: Case) -> Values:
    with torch.enable_grad():
        model = _Tied(case)
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        # Everything has been trained before, and has gradients from then, set to zero: so frozen weights that get
        # into the optimizer are moved by its weight decay.
        # The head is new: only what lies below it has any.
        for name, parameter in model.named_parameters():
            parameter.grad = None if name.startswith("head") else torch.zeros_like(parameter)
        for name in case.inputs["at_rest"].split():
            model.get_submodule(name).eval()
        result = fn(model)
        seen: Values = {"parameters": None}
        seen |= {"type": type(result).__name__, "requires_grad_after": _requires_grad(model)}
        seen["gradients_after"] = sum(p.grad is not None for p in model.parameters())
        try:
            first, second = list(result), list(result)
        except TypeError:
            return {**seen, "parameters": result, "parameters_again": None, "moved": None}
        seen["parameters"] = [names.get(id(p), f"another {type(p).__name__}") for p in first]
        seen["parameters_again"] = [names.get(id(p), f"another {type(p).__name__}") for p in second]
        # By way of a dictionary, since an optimizer complains about one that comes twice.
        unique = [p for p in {id(p): p for p in first}.values() if id(p) in names]
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        optimizer = torch.optim.AdamW(unique or [torch.zeros(1)], lr=0.1, weight_decay=0.5)
        optimizer.step()
        seen["moved"] = {name: float((p.detach() - before[name]).abs().max()) for name, p in model.named_parameters()}
    return seen


trainable_parameters = Exercise(
    name="trainable_parameters",
    unit=UNIT,
    title="What the optimizer may touch",
    signature="trainable_parameters(model)",
    minutes=8,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "Every parameter knows whether it wants a gradient. Keep those that do, wherever they are: weights, "
            "biases, and the scale and shift of batch normalization as well."
        ),
        api="`model.parameters()` (goes through all submodules, each parameter once), `Parameter.requires_grad`",
        skeleton="return [parameter for parameter in ... if ...]",
    ),
    takeaway=(
        "An optimizer moves what it is given: weight decay and momentum need no gradient. Hand it exactly what may "
        "move."
    ),
    cases=_trainable_cases,
    observe=_observe_trainable,
)


# --- blocks and a head, for the last three --------------------------------------------------------------------------


class _Stack(nn.Module):
    """Blocks of a linear layer and a normalization each, and a linear head."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        width = case.inputs["x"].shape[1]
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width)) for _ in range(case.inputs["blocks"])
        )
        self.head = nn.Linear(width, 3)
        _pretrain(self, seeded(case.inputs["seed"]))
        self.to(case.inputs["x"].dtype).to(case.inputs["x"].device)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x)

    def parts(self) -> dict[str, nn.Module]:
        return {**{f"block {i}": block for i, block in enumerate(self.blocks)}, "head": self.head}

    def open_parts(self) -> dict[str, str]:
        """Part -> "open", "closed", or "partly" by the gradients of its parameters."""
        words = {1: "open", 0: "closed"}
        found = {name: set(_requires_grad(part).values()) for name, part in self.parts().items()}
        return {name: words[flags.pop()] if len(flags) == 1 else "partly" for name, flags in found.items()}


def _learn(model: _Stack, case: Case, optimizer: torch.optim.Optimizer, steps: int = 1) -> dict[str, str]:
    """Part -> "moved", "stayed" or "partly": which of its weights one step of training changed."""
    before = {name: [p.detach().clone() for p in part.parameters()] for name, part in model.parts().items()}
    x = case.inputs["x"]
    for _ in range(steps):
        loss = F.cross_entropy(model(x), torch.arange(len(x), device=x.device) % 3)
        optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()
        optimizer.step()
    moved = {}
    for name, part in model.parts().items():
        flags = {not torch.equal(p.detach(), old) for p, old in zip(part.parameters(), before[name])}
        moved[name] = "partly" if len(flags) > 1 else "moved" if flags.pop() else "stayed"
    return moved


# --- 6.3 parameter_groups -------------------------------------------------------------------------------------------


def _groups_cases(seed: int) -> list[Case]:
    generator, draw, _ = drawing(seed)

    def number(low: float, high: float) -> float:
        return round(low + (high - low) * float(torch.rand((), generator=generator)), 4)

    def case(name: str, blocks: int, decay: float, *, frozen: str = "", width: int = 3) -> Case:
        inputs: Values = {"x": draw(4, width), "blocks": blocks, "decay": decay, "lr": number(0.001, 0.01)}
        return Case(name, {**inputs, "frozen": frozen, "seed": seed + len(name)})

    return [
        case("three_blocks", 3, number(0.3, 0.6)),
        case("five_blocks", 5, number(0.6, 0.8), width=4),
        case("one_block", 1, number(0.2, 0.4)),
        case("no_decay", 2, 1.0),
        case("lowest_block_frozen", 3, number(0.3, 0.6), frozen="block 0"),
        case("a_bias_frozen", 2, number(0.4, 0.6), frozen="bias"),
        case("middle_block_frozen", 3, number(0.3, 0.6), frozen="block 1"),
        case("a_bias_of_the_head_frozen", 2, number(0.4, 0.6), frozen="head bias"),
    ]


def _observe_groups(fn: Callable[..., Any], case: Case) -> Values:
    lr, decay = case.inputs["lr"], case.inputs["decay"]
    with torch.enable_grad():
        model = _Stack(case)
        if case.inputs["frozen"].endswith("bias"):
            part = model.head if case.inputs["frozen"] == "head bias" else model.blocks[-1].get_submodule("0")
            part.get_parameter("bias").requires_grad_(False)
        elif case.inputs["frozen"]:
            model.parts()[case.inputs["frozen"]].requires_grad_(False)
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        result = fn(list(model.blocks), model.head, lr=lr, decay=decay)
        if result is None:
            return {"groups": None}
        seen: Values = {"groups": "returned", "type": type(result).__name__}
        if isinstance(result, list):
            seen["keys"] = [sorted(map(str, group)) if isinstance(group, dict) else [] for group in result]
        optimizer = torch.optim.SGD(result, lr=1e3, weight_decay=0.0)  # a rate that nobody would give
        groups = optimizer.param_groups
        # Divided by the rate asked for, so that a small difference between two small numbers is still seen.
        seen["rate"] = {names.get(id(p), "another"): group["lr"] / lr for group in groups for p in group["params"]}
        seen["rates_in_order"] = [group["lr"] / lr for group in groups if group["params"]]
        seen["weight_decays"] = [float(group["weight_decay"]) for group in groups if group["params"]]
    return seen


parameter_groups = Exercise(
    name="parameter_groups",
    unit=UNIT,
    title="A learning rate for each layer",
    signature="parameter_groups(blocks, head, *, lr, decay)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Count how far a block is from the head: the last block one step, the one before it two. Each step "
            "multiplies the rate by `decay`. The new head knows nothing yet and gets the full rate."
        ),
        api='a group is a dictionary, `{"params": [...], "lr": ...}`; `reversed`, `enumerate(..., start=1)`',
        skeleton=(
            "groups = []\n"
            "for distance, part in enumerate([head, *reversed(blocks)]):\n"
            "    params = [p for p in part.parameters() if ...]\n"
            "    if params:\n"
            '        groups.append({"params": params, "lr": ...})\n'
            "return groups"
        ),
    ),
    takeaway=(
        "The lower a block, the more general what it knows, and the smaller its steps. An optimizer does not complain "
        "about a key that it does not know: read the rates back from `optimizer.param_groups`."
    ),
    cases=_groups_cases,
    observe=_observe_groups,
)


# --- 6.4 gradual_unfreezing -----------------------------------------------------------------------------------------


def _unfreezing_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, blocks: int, *, kind: str = "momentum", width: int = 3, lr: float = 0.01) -> Case:
        inputs: Values = {"x": draw(6, width), "blocks": blocks, "optimizer": kind, "lr": lr}
        return Case(name, {**inputs, "seed": seed + len(name)})

    return [
        case("three_blocks", 3),
        case("four_blocks", 4, width=4, lr=0.02),
        case("one_block", 1),
        case("adamw", 2, kind="adamw", lr=0.004),
    ]


_OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.05),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.1),
}


def _observe_unfreezing(fn: Callable[..., Any], case: Case) -> Values:
    lr = case.inputs["lr"]
    with torch.enable_grad():
        model = _Stack(case)
        names = {id(p): (part, p) for part, module in model.parts().items() for p in module.parameters()}
        optimizer = _OPTIMIZERS[case.inputs["optimizer"]](list(model.head.parameters()))
        blocks = list(model.blocks)
        seen: Values = {"open": [], "moved": [], "held": [], "rates": [], "state_of_head": [], "returned": []}
        for stage in range(len(blocks) + 1):
            seen["returned"].append(type(fn(blocks, optimizer, stage, lr=lr)).__name__)
            seen["open"].append(model.open_parts())
            held: dict[str, int] = dict.fromkeys(model.parts(), 0)
            rates: dict[str, float] = {}
            for group in optimizer.param_groups:
                for p in group["params"]:
                    part = names[id(p)][0] if id(p) in names else "another"
                    held[part] = held.get(part, 0) + 1
                    rates[part] = group["lr"]
            seen["held"].append(held)
            seen["rates"].append(rates)
            seen["moved"].append(_learn(model, case, optimizer))
            # Momentum and the like of the head: it goes on from stage to stage.
            seen["state_of_head"].append(len(optimizer.state.get(model.head.weight, {})))
    return seen


gradual_unfreezing = Exercise(
    name="gradual_unfreezing",
    unit=UNIT,
    title="Open the blocks one after another, from the top",
    signature="gradual_unfreezing(blocks, optimizer, stage, *, lr)",
    minutes=15,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Two things for each block: is it open at this stage, and does the optimizer know it? Opening without "
            "handing over changes nothing, and handing over twice is an error. Mind stage 0: `blocks[-0:]` is the "
            "whole list."
        ),
        api=(
            "your `freeze(block, frozen)`, `enumerate`, `optimizer.param_groups`, "
            '`optimizer.add_param_group({"params": [...], "lr": lr})`'
        ),
        skeleton=(
            'known = {id(p) for group in optimizer.param_groups for p in group["params"]}\n'
            "for number, block in enumerate(blocks):\n"
            "    is_open = number >= ...\n"
            "    freeze(block, frozen=...)\n"
            "    new = [p for p in block.parameters() if id(p) not in ...]\n"
            "    if is_open and new:\n"
            "        optimizer.add_param_group(...)"
        ),
    ),
    takeaway=(
        "An unfrozen layer that the optimizer does not hold stays where it is, without a word of warning. After each "
        "stage look at what has moved."
    ),
    cases=_unfreezing_cases,
    observe=_observe_unfreezing,
)


# --- 6.5 tune_blocks ------------------------------------------------------------------------------------------------


def _tune_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, blocks: int, first: str, then: str, *, width: int = 3) -> Case:
        """`first` and `then` are block numbers with spaces: two calls on one network."""
        return Case(
            name, {"x": draw(6, width), "blocks": blocks, "first": first, "then": then, "seed": seed + len(name)}
        )

    return [
        case("the_middle_of_three", 3, "1", "0"),
        case("two_of_five", 5, "1 3", "2", width=4),
        case("neighbors", 4, "1 2", "0 3"),
        case("the_lowest", 3, "0", "2"),
        case("none", 3, "", "1"),
        case("all", 2, "0 1", ""),
    ]


def _observe_tune(fn: Callable[..., Any], case: Case) -> Values:
    with torch.enable_grad():
        model = _Stack(case)
        names = {id(p): name for name, p in model.named_parameters()}
        if case.name == "the_lowest":
            model.head.requires_grad_(False)  # it comes frozen, and is to learn
        seen: Values = {}
        for call in ("first", "then"):
            chosen = [int(number) for number in case.inputs[call].split()]
            result = fn(list(model.blocks), model.head, chosen)
            seen[f"open_{call}"] = model.open_parts()
            listed = list(result) if isinstance(result, (list, tuple)) or hasattr(result, "__next__") else result
            seen[f"returned_{call}"] = (
                sorted(names.get(id(p), f"another {type(p).__name__}") for p in listed)
                if isinstance(listed, list)
                else type(listed).__name__
            )
            known = [p for p in listed if id(p) in names] if isinstance(listed, list) else []
            unique = list({id(p): p for p in known}.values())
            optimizer = torch.optim.SGD(unique or [torch.zeros(1)], lr=0.1)
            seen[f"moved_{call}"] = _learn(model, case, optimizer)
    return seen


tune_blocks = Exercise(
    name="tune_blocks",
    unit=UNIT,
    title="Train only the blocks that you choose",
    signature="tune_blocks(blocks, head, chosen)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Each block is either chosen or frozen, whatever stands above it: gradients pass through a frozen block "
            "on their way down, they just leave nothing behind. The head is always trained."
        ),
        api="your `freeze(block, frozen)` and `trainable_parameters(module)`, `enumerate`, `in`",
        skeleton=(
            "parameters = trainable_parameters(freeze(head, frozen=...))\n"
            "for number, block in enumerate(blocks):\n"
            "    freeze(block, frozen=...)\n"
            "    parameters += ...\n"
            "return parameters"
        ),
    ),
    takeaway=(
        "Freezing need not stop at a certain depth. Which block to tune depends on what is new: other pixels are a "
        "matter of the lower blocks, other answers of the upper ones."
    ),
    cases=_tune_cases,
    observe=_observe_tune,
)

EXERCISES: Sequence[Exercise] = (freeze, trainable_parameters, parameter_groups, gradual_unfreezing, tune_blocks)
