"""The recorded experiments of unit 06: what its notebooks quote, for several seeds.

`course results 06_fine_tuning --seeds 3` runs them all.

Part 1, freezing: an encoder learns five classes (the source) from thousands of labels, and is then asked for five
others (the target) with few. Accuracies are shares of the target's test images, means over two draws of the labeled
images.

Part 2, fine-tuning without forgetting: a source and what is fine-tuned from it are trained once per seed and shared
among the experiments. The source has learned five classes of glyphs in three domains: filled, outlined, and faint. The
target is five other classes, of which filled images alone have labels. "in" is accuracy on filled test images, "out" on
outlined and "faint" on faint ones. On other data sets every second class is a source class, and outlined means the
negative image.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import protocol, settings
from course_lib.data import Batches, ImageData, as_float, augment, endless, load, split_labels
from course_lib.evaluation import (
    extract_features, knn_accuracy, loss_and_accuracy, per_class_scores, predict, probe_accuracy,
)  # fmt: skip
from course_lib.models import Classifier, ConvEncoder
from course_lib.training import History, fit

# --- part 1, freezing: data and encoders ----------------------------------------------------------------------------

BUDGETS_1 = (5, 10, 20, 50)
DRAWS_1 = 2  # of the labeled images; at five per class they differ more than the methods do
# Of ten classes, five teach the encoder and five are asked for. On glyphs each target class has a relative among them.
SOURCE_1 = (0, 2, 3, 5, 9)
RATE_1, HEAD_RATE_1, SCRATCH_RATE_1 = 1e-3, 3e-2, 3e-3  # each one good for its purpose, fixed in advance
DEPTHS_1 = (0, 1, 2, 3)
TOP_RATE_1, DECAY_1 = 1e-2, 0.3  # where each part has a rate of its own: of the head, and from part to part
PICKED_RATES_1 = (0.001, 0.003, 0.01, 0.03, 0.1)
PICKED_BUDGETS_1 = (5, 20, 50)


def _of_classes_1(data: ImageData, classes: Sequence[int]) -> ImageData:
    """The images of these classes, which are counted anew from 0."""
    known = torch.tensor(sorted(classes))
    part = data.subset(torch.isin(data.labels, known))
    names = tuple(data.class_names[int(c)] for c in known)
    return dataclasses.replace(part, labels=torch.searchsorted(known, part.labels), class_names=names)


@functools.cache
def _sets_1(dataset: str, seed: int) -> dict[str, ImageData]:
    """Training and test images of the source's classes and of the target's."""
    sizes = {"train": settings.by_profile(smoke=1000, laptop=8000, full=8000)}
    sizes["test"] = settings.by_profile(smoke=400, laptop=2000, full=2000)
    found: dict[str, ImageData] = {}
    for split, size in sizes.items():
        both = load(dataset, split=split, n=size, seed=seed)
        target = [c for c in range(len(both.class_names)) if c not in SOURCE_1]
        found[f"source_{split}"] = _of_classes_1(both, SOURCE_1)
        found[f"target_{split}"] = _of_classes_1(both, target)
    return found


def _few_1(data: ImageData, seed: int, per_class: int, draw: int) -> ImageData:
    generator = torch.Generator().manual_seed(100 * seed + draw)
    return data.subset(split_labels(data.labels, per_class=per_class, generator=generator).labeled)


def _random_1(dataset: str, seed: int) -> ConvEncoder:
    channels = _sets_1(dataset, seed)["source_train"].images.shape[1]
    return ConvEncoder(channels, generator=torch.Generator().manual_seed(seed))


@functools.cache
def _pretrained_1(dataset: str, seed: int) -> Classifier:
    """Encoder and head after the source's classes, all labels known."""
    source = _sets_1(dataset, seed)["source_train"]
    generator = torch.Generator().manual_seed(seed)
    model = Classifier(_random_1(dataset, seed), len(source.class_names), generator=generator)
    batches = Batches(
        source.images, source.labels, batch_size=64, shuffle=True, generator=generator, augment=augment.random_shift
    )
    fit(model, batches, steps=settings.by_profile(smoke=4, laptop=600, full=3000), lr=3e-3, progress=False)
    return model


# --- part 1: freezing and tuning ------------------------------------------------------------------------------------


def _freeze_1(module: nn.Module) -> None:
    """No gradients, and at rest for good: `train()` of the whole network no longer reaches the part."""
    module.requires_grad_(False)
    module.eval()
    module.train = lambda mode=True: module  # type: ignore[method-assign]


def _tuned_1(
    start: nn.Module,
    labeled: ImageData,
    *,
    seed: int,
    frozen: Sequence[int] = (),
    lr: float = RATE_1,
    steps: int | None = None,
    batch_size: int = 32,
    schedule: str = "cosine",
    **options: float,
) -> Classifier:
    """A copy of an encoder with a new head, or of a classifier, trained on the labeled images; frozen blocks stay."""
    generator = torch.Generator().manual_seed(seed)
    classifier = copy.deepcopy(start)
    if not isinstance(classifier, Classifier):
        classifier = Classifier(classifier, len(labeled.class_names), generator=generator)
    for block in frozen:
        _freeze_1(classifier.encoder.blocks[block])
    batches = Batches(
        labeled.images, labeled.labels, batch_size=min(batch_size, len(labeled)), shuffle=True, generator=generator,
        augment=augment.random_shift,
    )  # fmt: skip
    steps = steps or settings.by_profile(smoke=2, laptop=300, full=1000)
    fit(classifier, batches, steps=steps, lr=lr, schedule=schedule, progress=False, **options)
    return classifier


def _mean_accuracy_1(
    tune: Callable[[ImageData, int], nn.Module], train: ImageData, test: ImageData, seed: int, k: int,
    draws: int = DRAWS_1,
) -> float:  # fmt: skip
    """The test accuracy of what `tune(labeled images, seed)` gives back, a mean over draws of k labels per class."""
    reached = []
    for draw in range(draws):
        model = tune(_few_1(train, seed, k, draw), 100 * seed + draw)
        reached.append(loss_and_accuracy(model, test.images, test.labels)["accuracy"])
    return statistics.fmean(reached)


def _on_target_1(start: nn.Module, dataset: str, seed: int, k: int, *, draws: int = DRAWS_1, **options) -> float:
    sets = _sets_1(dataset, seed)
    return _mean_accuracy_1(
        lambda labeled, draw: _tuned_1(start, labeled, seed=draw, **options),
        sets["target_train"], sets["target_test"], seed, k, draws,
    )  # fmt: skip


@functools.cache
def _by_depth_1(dataset: str, seed: int, k: int, depth: int) -> float:
    """Accuracy with the lowest `depth` blocks frozen; when only the head is left it gets a larger rate."""
    rate = HEAD_RATE_1 if depth == max(DEPTHS_1) else RATE_1
    return _on_target_1(_pretrained_1(dataset, seed).encoder, dataset, seed, k, frozen=range(depth), lr=rate)


def _budgets_1(profile: str, budgets: tuple[int, ...]) -> tuple[int, ...]:
    return budgets if profile != "smoke" else budgets[:2]


# --- part 1: experiments --------------------------------------------------------------------------------------------


def label_curve(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Five new classes: the encoder of the old ones, frozen and fine-tuned; a random one, frozen; from scratch."""
    figures: dict[str, float | list[float]] = {}
    random, all_blocks = _random_1(dataset, seed), range(max(DEPTHS_1))
    for k in _budgets_1(profile, BUDGETS_1):
        figures[f"scratch@{k}"] = _on_target_1(random, dataset, seed, k, lr=SCRATCH_RATE_1)
        figures[f"random_frozen@{k}"] = _on_target_1(random, dataset, seed, k, frozen=all_blocks, lr=HEAD_RATE_1)
        figures[f"transfer_frozen@{k}"] = _by_depth_1(dataset, seed, k, max(DEPTHS_1))
        figures[f"transfer_finetuned@{k}"] = _by_depth_1(dataset, seed, k, 0)
    return figures


def freezing_depth(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Accuracy against the number of frozen blocks, counted from the input, at each number of labels per class."""
    budgets = _budgets_1(profile, BUDGETS_1)
    return {f"{k}_labels@{depth}": _by_depth_1(dataset, seed, k, depth) for k in budgets for depth in DEPTHS_1}


def freeze_picker(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """A fine-tuning in a hurry, forty steps of sixteen images at a constant rate: depth, rate, labels per class.

    Nothing mends what the first steps break. Means over three draws of the labels.
    """
    encoder, figures = _pretrained_1(dataset, seed).encoder, {}
    steps = settings.by_profile(smoke=2, laptop=40, full=40)
    hurried = {"steps": steps, "batch_size": 16, "schedule": "constant", "draws": 3}
    for k in _budgets_1(profile, PICKED_BUDGETS_1):
        for rate in PICKED_RATES_1:
            for depth in DEPTHS_1:
                figures[f"{k}_labels_{rate:g}@{depth}"] = _on_target_1(
                    encoder, dataset, seed, k, frozen=range(depth), lr=rate, **hurried
                )
    return figures


def _faint_1(data: ImageData) -> ImageData:
    """As if in fog: contrast 0.3 about a dark gray."""
    return dataclasses.replace(data, images=(64 + 0.3 * (data.images.float() - 64)).round().to(torch.uint8))


def _inverted_1(data: ImageData) -> ImageData:
    return dataclasses.replace(data, images=255 - data.images)


def which_block(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """A single block (and the head) tuned with five labels per class, when something else is new each time.

    New classes: as in the other experiments, with a new head. Faint and inverted: the OLD classes with their head, in
    pictures that look different.
    """
    old, sets = _pretrained_1(dataset, seed), _sets_1(dataset, seed)
    k, steps = settings.by_profile(smoke=2, laptop=5, full=5), settings.by_profile(smoke=2, laptop=200, full=1000)
    changes: dict[str, Callable[[ImageData], ImageData]] = {"faint": _faint_1, "inverted": _inverted_1}
    choices = {"head": (), "block1": (0,), "block2": (1,), "block3": (2,), "all": (0, 1, 2)}
    figures: dict[str, float | list[float]] = {}
    for name, chosen in choices.items():
        frozen = tuple(block for block in range(3) if block not in chosen)
        rate = HEAD_RATE_1 if name == "head" else RATE_1
        figures[f"new_classes_{name}"] = _on_target_1(old.encoder, dataset, seed, k, frozen=frozen, lr=rate)
        for change, applied in changes.items():
            train, test = applied(sets["source_train"]), applied(sets["source_test"])
            figures[f"{change}_{name}"] = _mean_accuracy_1(
                lambda labeled, draw, frozen=frozen: _tuned_1(old, labeled, seed=draw, frozen=frozen, steps=steps),
                train, test, seed, k,
            )  # fmt: skip
    for change, applied in changes.items():
        test = applied(sets["source_test"])
        figures[f"{change}_before"] = loss_and_accuracy(old, test.images, test.labels)["accuracy"]
    return figures


def _saved_bytes_1(loss: Callable[[], Tensor], parameters: Sequence[Tensor]) -> int:
    """Bytes of all tensors that autograd keeps for the backward pass, the parameters themselves not counted."""
    own = {p.untyped_storage().data_ptr() for p in parameters}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = loss()
    total = sum(kept.values())
    result.backward()
    return total


def cost(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """What freezing saves, by depth, for batches of 64: CPU seconds of a step and bytes, as shares of those at depth 0.

    Bytes: `gradients`, `optimizer` (Adam's two running means), `activations` (what autograd keeps for the backward
    pass). `parameters` is the number of trainable ones.
    """
    target = _sets_1(dataset, seed)["target_train"]
    images, labels = as_float(target.images[:64]), target.labels[:64]
    figures: dict[str, float | list[float]] = {}
    models, optimizers = {}, {}
    for depth in DEPTHS_1:
        generator = torch.Generator().manual_seed(seed)
        model = Classifier(_random_1(dataset, seed), len(target.class_names), generator=generator)
        for block in range(depth):
            _freeze_1(model.encoder.blocks[block])
        trainable = [p for p in model.parameters() if p.requires_grad]
        models[depth], optimizers[depth] = model, torch.optim.AdamW(trainable, lr=1e-3)
    seconds: dict[int, list[float]] = {depth: [] for depth in DEPTHS_1}
    for _ in range(settings.by_profile(smoke=2, laptop=40, full=40)):
        for depth, model in models.items():  # in turns, so that a busy moment of the machine hits all alike
            model.train()
            began = time.process_time()
            loss = F.cross_entropy(model(images), labels)
            optimizers[depth].zero_grad()
            loss.backward()
            optimizers[depth].step()
            seconds[depth].append(time.process_time() - began)
    for depth, model in models.items():
        trainable = [p for p in model.parameters() if p.requires_grad]
        state = optimizers[depth].state
        kept = _saved_bytes_1(lambda model=model: F.cross_entropy(model(images), labels), list(model.parameters()))
        measured = {
            "seconds": statistics.median(seconds[depth]),
            "parameters": sum(p.numel() for p in trainable),
            "gradients": sum(p.nbytes for p in trainable),
            "optimizer": sum(v.nbytes for p in trainable for v in state[p].values() if v.ndim),
            "activations": kept,
        }
        for name, value in measured.items():
            figures[f"{name}@{depth}"] = value
    for name in ("seconds", "gradients", "optimizer", "activations"):
        whole = figures[f"{name}@0"]
        for depth in DEPTHS_1:
            figures[f"{name}@{depth}"] /= whole
    return figures


def leaks(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The whole encoder "frozen" in three ways, the head trained on five labels per class with a weight decay of 0.1.

    `frozen`: as it should be. `zeroed`: gradients set to zero, all parameters in the optimizer. `no_gradient`: no
    gradients, but batch normalization in train mode. `x_weights` and `x_statistics` are relative changes of the
    encoder's weights and of its running means and variances.
    """
    sets, k = _sets_1(dataset, seed), settings.by_profile(smoke=2, laptop=5, full=5)
    encoder = _pretrained_1(dataset, seed).encoder
    given = encoder.state_dict()
    figures: dict[str, float | list[float]] = {}

    def tune(way: str, labeled: ImageData, draw: int) -> nn.Module:
        model = Classifier(copy.deepcopy(encoder), 5, generator=torch.Generator().manual_seed(draw))
        if way == "zeroed":
            model.encoder.eval()
            model.encoder.train = lambda mode=True: model.encoder  # type: ignore[method-assign]
            for parameter in model.encoder.parameters():
                parameter.register_hook(torch.zeros_like)
        elif way == "no_gradient":
            model.encoder.requires_grad_(False)
        else:
            _freeze_1(model.encoder)
        options = {"batch_size": len(labeled), "shuffle": True, "generator": torch.Generator().manual_seed(draw)}
        batches = Batches(labeled.images, labeled.labels, augment=augment.random_shift, **options)
        steps = settings.by_profile(smoke=2, laptop=300, full=1000)
        fit(model, batches, steps=steps, lr=HEAD_RATE_1, weight_decay=0.1, progress=False)
        after = model.encoder.state_dict()
        for kind, endings in (("weights", ("weight", "bias")), ("statistics", ("running_mean", "running_var"))):
            names = [name for name in given if name.endswith(endings)]
            moved = torch.cat([(after[name] - given[name]).flatten() for name in names])
            figures[f"{way}_{kind}"] = float(moved.norm() / torch.cat([given[n].flatten() for n in names]).norm())
        return model

    for way in ("frozen", "zeroed", "no_gradient"):
        figures[f"{way}_accuracy"] = _mean_accuracy_1(
            functools.partial(tune, way), sets["target_train"], sets["target_test"], seed, k
        )
    return figures


def _in_stages_1(start: nn.Module, labeled: ImageData, draw: int, steps: int) -> Classifier:
    """Gradual unfreezing: a quarter of the steps for the head alone, then a block more each quarter."""
    generator = torch.Generator().manual_seed(draw)
    classifier = Classifier(copy.deepcopy(start), len(labeled.class_names), generator=generator)
    blocks = list(classifier.encoder.blocks)
    for block in blocks:
        _freeze_1(block)
    optimizer = torch.optim.AdamW(classifier.head.parameters(), lr=TOP_RATE_1, weight_decay=0.0)

    def open_the_next(model: nn.Module, history) -> None:
        if history.steps % max(steps // 4, 1) == 0 and any("train" in vars(block) for block in blocks):
            block = [block for block in blocks if "train" in vars(block)][-1]
            del block.train
            block.requires_grad_(True).train()
            optimizer.add_param_group({"params": list(block.parameters()), "lr": RATE_1})

    batches = Batches(
        labeled.images, labeled.labels, batch_size=min(32, len(labeled)), shuffle=True, generator=generator,
        augment=augment.random_shift,
    )  # fmt: skip
    fit(classifier, batches, steps=steps, optimizer=optimizer, progress=False, on_step=open_the_next)
    return classifier


def _layer_rates_1(start: nn.Module, labeled: ImageData, draw: int, steps: int, lr: float, **options) -> Classifier:
    """The head at `lr`, each part below at DECAY_1 times the rate of the one above it."""
    generator = torch.Generator().manual_seed(draw)
    classifier = Classifier(copy.deepcopy(start), len(labeled.class_names), generator=generator)
    parts = [classifier.head, *reversed(list(classifier.encoder.blocks))]
    groups = [{"params": list(part.parameters()), "lr": lr * DECAY_1**k} for k, part in enumerate(parts)]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    size = min(options.pop("batch_size", 32), len(labeled))
    batches = Batches(
        labeled.images, labeled.labels, batch_size=size, shuffle=True, generator=generator,
        augment=augment.random_shift,
    )  # fmt: skip
    fit(classifier, batches, steps=steps, optimizer=optimizer, progress=False, **options)
    return classifier


def by_layer(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """A rate for each layer, and blocks opened one after another, beside one rate for all, with as many steps.

    `hurry`: forty steps at a constant rate of 0.01 (for the head), as in freeze_picker.
    """
    sets, encoder = _sets_1(dataset, seed), _pretrained_1(dataset, seed).encoder
    steps = settings.by_profile(smoke=4, laptop=300, full=1000)
    short = settings.by_profile(smoke=2, laptop=40, full=40)
    hurried = {"batch_size": 16, "schedule": "constant"}
    figures: dict[str, float | list[float]] = {}
    for k in _budgets_1(profile, (5, 20)):
        measure = functools.partial(
            _mean_accuracy_1, train=sets["target_train"], test=sets["target_test"], seed=seed, k=k
        )
        figures[f"one_rate@{k}"] = _by_depth_1(dataset, seed, k, 0)
        figures[f"layer_rates@{k}"] = measure(lambda few, draw: _layer_rates_1(encoder, few, draw, steps, TOP_RATE_1))
        figures[f"gradual@{k}"] = measure(lambda few, draw: _in_stages_1(encoder, few, draw, steps))
        figures[f"hurry_one_rate@{k}"] = _on_target_1(
            encoder, dataset, seed, k, lr=TOP_RATE_1, steps=short, draws=3, **hurried
        )
        figures[f"hurry_layer_rates@{k}"] = measure(
            lambda few, draw: _layer_rates_1(encoder, few, draw, short, TOP_RATE_1, **hurried), draws=3
        )
    return figures


def recipe(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """What an answer to the exercise `fine_tune` reaches as its notebook calls it, beside one small rate for all.

    `recipe`: the two lowest blocks frozen, the others and the head at constant rates of their own. `recipe_open`: the
    same with no block frozen. All have as many steps.
    """
    sets, encoder = _sets_1(dataset, seed), _pretrained_1(dataset, seed).encoder
    lower_frozen = copy.deepcopy(encoder)
    for block in lower_frozen.blocks[:2]:
        _freeze_1(block)
    steps = settings.by_profile(smoke=4, laptop=300, full=1000)
    figures: dict[str, float | list[float]] = {}
    for k in _budgets_1(profile, (5, 20)):
        figures[f"one_rate@{k}"] = _by_depth_1(dataset, seed, k, 0)
        for name, start in (("recipe", lower_frozen), ("recipe_open", encoder)):
            figures[f"{name}@{k}"] = _mean_accuracy_1(
                lambda few, draw, start=start: _layer_rates_1(
                    start, few, draw, steps, TOP_RATE_1, schedule="constant"
                ),
                sets["target_train"], sets["target_test"], seed, k,
            )  # fmt: skip
    return figures


# --- part 2, fine-tuning without forgetting --------------------------------------------------------------------------

OLD_2 = ("house", "boat", "cup", "umbrella", "star")
NEW_2 = ("tree", "key", "mushroom", "fish", "lamp")
DOMAINS_2 = {"in": "filled", "out": "outlined", "faint": "faint"}
STYLES_2 = tuple(DOMAINS_2.values())
PER_CLASS_2 = 20
BATCH_2, EVERY_2 = 50, 10  # images per step; steps between two validations


def _generator_2(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- data -----------------------------------------------------------------------------------------------------------


@functools.cache
def _images_2(dataset: str, seed: int, part: str, split: str, style: str, n: int) -> ImageData:
    """n images of the old or the new classes in one style: "filled", "outlined" or "faint"."""
    if dataset == "glyphs":
        classes = OLD_2 if part == "old" else NEW_2
        options = {"contrast": 0.3} if style == "faint" else {"style": style}
        return load(dataset, split=split, n=n, seed=seed, classes=classes, **options)
    data = load(dataset, split="test" if split == "test" else "train", n=2 * n, seed=seed)
    chosen = data.subset(torch.nonzero(data.labels % 2 == int(part == "old")).squeeze(1)[:n])
    images = chosen.images
    if style != "filled":
        images = 255 - images if style == "outlined" else (64 + 0.3 * (images.float() - 64)).to(torch.uint8)
    names = chosen.class_names[int(part == "old") :: 2]
    return ImageData(chosen.name, images, chosen.labels // 2, names, {})


def _source_size_2() -> int:
    return settings.by_profile(smoke=200, laptop=4000, full=20_000)


def _test_size_2() -> int:
    return settings.by_profile(smoke=100, laptop=1000, full=2000)


def _target_2(dataset: str, seed: int) -> tuple[ImageData, ImageData]:
    """The labeled images of the new classes, filled, and validation images of the same kind."""
    data = _images_2(dataset, seed, "new", "train", "filled", _source_size_2())
    split = split_labels(data.labels, per_class=PER_CLASS_2, validation_per_class=20, generator=_generator_2(seed))
    return data.subset(split.labeled), data.subset(split.validation)


# --- sources --------------------------------------------------------------------------------------------------------


def _fresh_2(channels: int, seed: int, num_classes: int = 5) -> Classifier:
    generator = _generator_2(seed)
    return Classifier(ConvEncoder(channels, generator=generator), num_classes, generator=generator)


def _pretrained_2(images: Tensor, labels: Tensor, *, seed: int, steps: int, num_classes: int = 5) -> Classifier:
    model = _fresh_2(images.shape[1], seed, num_classes)
    batches = Batches(
        images, labels, batch_size=64, shuffle=True, generator=_generator_2(seed), augment=augment.random_shift
    )
    fit(model, batches, steps=steps, lr=3e-3, progress=False)
    return model


@functools.cache
def _source_2(dataset: str, seed: int, styles: tuple[str, ...] = STYLES_2, steps: int | None = None) -> Classifier:
    """A classifier of the old classes, from labeled images in the styles given."""
    parts = [_images_2(dataset, seed, "old", "train", style, _source_size_2()) for style in styles]
    images, labels = torch.cat([p.images for p in parts]), torch.cat([p.labels for p in parts])
    steps = steps or settings.by_profile(smoke=3, laptop=1000, full=4000)
    return _pretrained_2(images, labels, seed=seed, steps=steps)


def _rotation_source_2(dataset: str, seed: int, steps: int) -> Classifier:
    """Pretrained to tell quarter turns of the old classes, without labels."""
    data = _images_2(dataset, seed, "old", "train", "filled", _source_size_2())
    return _rotation_2(data.images, seed=seed, steps=steps)


def _rotation_2(images: Tensor, *, seed: int, steps: int) -> Classifier:
    model = _fresh_2(images.shape[1], seed, 4)
    batches = Batches(images, batch_size=64, shuffle=True, generator=_generator_2(seed), augment=augment.random_shift)

    def loss(model: nn.Module, x: Tensor) -> Tensor:
        turned = torch.cat([torch.rot90(x, k, (2, 3)) for k in range(4)])
        return F.cross_entropy(model(turned), torch.arange(4, device=x.device).repeat_interleave(len(x)))

    fit(model, batches, loss, steps=steps, lr=3e-3, progress=False)
    return model


# --- fine-tuning ----------------------------------------------------------------------------------------------------


def _moved_2(model: Classifier, source: nn.Module) -> float:
    """The distance of an encoder's weights from the source's, the root of the sum of squares."""
    pairs = zip(model.encoder.parameters(), source.parameters(), strict=True)
    return sum(float((a.detach().cpu() - b.detach().cpu()).pow(2).sum()) for a, b in pairs) ** 0.5


def _tuned_2(
    model: Classifier,
    labeled: ImageData,
    *,
    seed: int,
    lr: float,
    frozen: bool = False,
    at_rest: bool = False,
    anchor: float = 0.0,
    joint: float = 0.0,
    old: tuple[Batches, nn.Module] | None = None,
    validation: ImageData | None = None,
    steps: int | None = None,
) -> tuple[Classifier, History]:
    """Trains a model in place on the labeled images.

    Args:
        frozen: the encoder's weights stay; at_rest: its running statistics stay.
        anchor: lambda of L2-SP.
        joint: lambda of the old task, whose batches and head are `old`.
        validation: its accuracy is noted now and then, with the epoch; nothing is chosen by it.
    """
    generator = _generator_2(1000 + seed)
    model.encoder.requires_grad_(not frozen)
    start = [weight.detach().clone() for weight in model.encoder.parameters()]
    batches = Batches(
        labeled.images, labeled.labels, batch_size=min(BATCH_2, len(labeled)), shuffle=True, generator=generator,
        augment=augment.random_shift,
    )  # fmt: skip
    stream: Iterator = iter(())
    if old:
        model.old_head = old[1]  # a module of the model, so that it is trained with it

    def loss(_: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        nonlocal stream
        model.encoder.train(not at_rest)
        images, labels = batch
        if not joint or old is None:
            value = F.cross_entropy(model(images), labels)
        else:
            known = next(stream, None)
            if known is None:
                stream = iter(old[0])
                known = next(stream)
            # Together, so that batch normalization sees old and new images alike.
            features = model.encoder(torch.cat([images, known[0]]))
            value = F.cross_entropy(model.head(features[: len(images)]), labels)
            value = value + joint * F.cross_entropy(old[1](features[len(images) :]), known[1])
        if anchor:
            pairs = zip(model.encoder.parameters(), start, strict=True)
            value = value + anchor * sum((a - b.to(a.device)).pow(2).sum() for a, b in pairs)
        return value

    noted: list[tuple[int, float]] = []

    def note(_: nn.Module, history: History) -> None:
        if validation is not None and history.steps % EVERY_2 == 0:
            accuracy = loss_and_accuracy(model, validation.images, validation.labels)["accuracy"]
            noted.append((history.steps * BATCH_2 // len(labeled), accuracy))

    steps = steps or settings.by_profile(smoke=EVERY_2, laptop=150, full=1000)
    history = fit(model, batches, loss, steps=steps, lr=lr, progress=False, on_step=note)
    history.validation = noted
    return model, history


# The head alone bears a high rate. One rate for everything else; the low one only to see what the rate does.
HEAD_LR_2, LR_2, LOW_LR_2 = 3e-2, 1e-3, 3e-4


def _on_source_2(source: Classifier, seed: int, num_classes: int = 5) -> Classifier:
    """A copy of the source's encoder with a new head."""
    return Classifier(copy.deepcopy(source.encoder), num_classes, generator=_generator_2(seed))


@functools.cache
def _method_2(dataset: str, seed: int, method: str, strength: float = 0.0) -> tuple[Classifier, History]:
    """What is trained on the labeled images; see `forgetting` for the methods."""
    labeled, validation = _target_2(dataset, seed)
    source = _source_2(dataset, seed)
    run = functools.partial(_tuned_2, labeled=labeled, seed=seed)
    if method == "scratch":
        return run(_fresh_2(labeled.images.shape[1], seed), lr=3e-3, validation=validation)
    if method == "lp":
        return run(_on_source_2(source, seed), lr=HEAD_LR_2, frozen=True, at_rest=True, validation=validation)
    if method == "lp_following":
        return run(_on_source_2(source, seed), lr=HEAD_LR_2, frozen=True)
    if method.startswith("lp_ft"):
        probed = copy.deepcopy(_method_2(dataset, seed, "lp")[0])
        return run(probed, lr=strength or LR_2, at_rest=method.endswith("at_rest"))
    if method.startswith("ft"):
        watched = validation if method == "ft" and not strength else None
        return run(
            _on_source_2(source, seed), lr=strength or LR_2, at_rest=method.endswith("at_rest"), validation=watched
        )
    if method == "l2sp":
        return run(_on_source_2(source, seed), lr=LR_2, anchor=strength)
    parts = [_images_2(dataset, seed, "old", "train", style, _source_size_2()) for style in STYLES_2]
    images, labels = torch.cat([p.images for p in parts]), torch.cat([p.labels for p in parts])
    batches = Batches(
        images, labels, batch_size=64, shuffle=True, generator=_generator_2(seed), augment=augment.random_shift
    )
    old = batches, copy.deepcopy(source.head)
    return run(_on_source_2(source, seed), lr=LR_2, joint=strength, old=old)


def _figures_2(dataset: str, seed: int, model: Classifier) -> dict[str, float]:
    """Accuracy on test images of each domain, and how far the encoder is from the source's."""
    figures = {}
    for domain, style in DOMAINS_2.items():
        test = _images_2(dataset, seed, "new", "test", style, _test_size_2())
        figures[domain] = loss_and_accuracy(model, test.images, test.labels)["accuracy"]
    return {**figures, "moved": _moved_2(model, _source_2(dataset, seed).encoder)}


# --- experiments ----------------------------------------------------------------------------------------------------


def forgetting(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """In and out of domain with twenty labels per class.

    lp: the head alone, encoder at rest. lp_following: the same, but the frozen encoder's batch normalization follows
    the labeled images. ft: everything at once. lp_ft: everything, from the head of lp, at the rate of ft.
    x_at_rest: the same with the source's statistics kept; x_low: at a lower rate.
    """
    rates = {"ft_low": ("ft", LOW_LR_2), "lp_ft_low": ("lp_ft", LOW_LR_2)}
    figures: dict[str, float | list[float]] = {}
    for name in ("lp", "lp_following", "ft", "ft_low", "ft_at_rest", "lp_ft", "lp_ft_low", "lp_ft_at_rest"):
        model, _ = _method_2(dataset, seed, *rates.get(name, (name,)))
        figures |= {f"{name}_{key}": value for key, value in _figures_2(dataset, seed, model).items()}
    source = _source_2(dataset, seed)
    for domain, style in DOMAINS_2.items():
        test = _images_2(dataset, seed, "old", "test", style, _test_size_2())
        figures[f"source_{domain}"] = loss_and_accuracy(source, test.images, test.labels)["accuracy"]
    return figures


def anchors(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """L2-SP and the joint loss at several weights lambda: in domain, out of domain, and distance moved.

    Both start from full fine-tuning: lambda 0 is the same run.
    """
    figures: dict[str, float | list[float]] = {}
    for method, weights in (("l2sp", (0.001, 0.01, 0.1, 1.0)), ("joint", (0.03, 0.1, 0.3, 1.0))):
        for weight in (0.0, *weights):
            chosen = ("ft",) if weight == 0 else (method, weight)
            for key, value in _figures_2(dataset, seed, _method_2(dataset, seed, *chosen)[0]).items():
                figures[f"{method}_{key}@{weight:g}"] = value
    return figures


def epochs(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Validation accuracy every five epochs from scratch, frozen and fine-tuned, and the epochs until 80 % are right.

    `x_until80` is the first epoch noted that has 80 % or more; a run that never has counts with all its epochs.
    """
    figures: dict[str, float | list[float]] = {}
    for name, method in (("scratch", "scratch"), ("transfer_frozen", "lp"), ("transfer_finetuned", "ft")):
        noted = _method_2(dataset, seed, method)[1].validation
        figures |= {f"{name}@{epoch}": accuracy for epoch, accuracy in noted}
        reached = [epoch for epoch, accuracy in noted if accuracy >= 0.8]
        figures[f"{name}_until80"] = float(reached[0] if reached else noted[-1][0])
        figures[f"{name}_last"] = noted[-1][1]
    return figures


def scores_by_class(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Precision and recall of each class, in and out of domain: `ft_out_recall_tree`."""
    figures: dict[str, float | list[float]] = {}
    for method in ("scratch", "lp", "ft", "lp_ft"):
        model, _ = _method_2(dataset, seed, method)
        for domain, style in DOMAINS_2.items():
            test = _images_2(dataset, seed, "new", "test", style, _test_size_2())
            scores = per_class_scores(predict(model, test.images), test.labels, class_names=test.class_names)
            for name, found in scores.items():
                for score in ("precision", "recall"):
                    figures[f"{method}_{domain}_{score}_{name}"] = found[score]
    return figures


def _h_score_2(features: Tensor, labels: Tensor) -> float:
    """The H-score (Bao et al. 2019): how much of the features' variance lies between the classes.

    The covariance of so few images has no inverse, so a tenth of its mean variance is added on the diagonal.
    """
    x = features.double() - features.double().mean(dim=0)
    means = torch.stack([x[labels == k].mean(dim=0) for k in labels.tolist()])
    covariance, between = x.T @ x / len(x), means.T @ means / len(x)
    ridge = 0.1 * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
    return float(torch.linalg.solve(covariance + ridge, between).trace())


def _scores_2(encoder: nn.Module, labeled: ImageData) -> dict[str, float]:
    """What the labeled images alone say about an encoder, before any fine-tuning."""
    x, y = extract_features(encoder, labeled.images), labeled.labels
    everyone = torch.arange(len(y))
    neighbors = [knn_accuracy(x[everyone != i], y[everyone != i], x[i : i + 1], y[i : i + 1]) for i in everyone]
    folds = [everyone % 5 == fold for fold in range(5)]
    probes = [probe_accuracy(x[~fold], y[~fold], x[fold], y[fold]) for fold in folds]
    return {"knn": sum(neighbors) / len(neighbors), "probe": sum(probes) / 5, "h_score": _h_score_2(x, y)}


def _rank_correlation_2(a: list[float], b: list[float]) -> float:
    """Spearman's: the correlation of ranks, ties sharing the mean of theirs; 0 where one side is all ties."""
    values = torch.tensor([a, b], dtype=torch.float64)
    ranks = (values[:, :, None] > values[:, None]).sum(2) + 0.5 * (values[:, :, None] == values[:, None]).sum(2)
    return float(torch.corrcoef(ranks)[0, 1].nan_to_num())


def sources(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """Seven source models, scored by the labeled images before fine-tuning; and what fine-tuning then reaches.

    `rank_x` is Spearman's rank correlation of a score with the fine-tuned accuracy over the seven. All sources have
    the same encoder and as many steps of pretraining, but the random one.
    """
    steps = settings.by_profile(smoke=3, laptop=400, full=4000)
    labeled, _ = _target_2(dataset, seed)
    test = _images_2(dataset, seed, "new", "test", "filled", _test_size_2())
    old = _images_2(dataset, seed, "old", "train", "filled", _source_size_2())
    shuffled = old.labels[torch.randperm(len(old), generator=_generator_2(seed))]
    two = torch.nonzero(old.labels < 2).squeeze(1)
    candidates = {
        "filled": _source_2(dataset, seed, ("filled",), steps),
        "outlined": _source_2(dataset, seed, ("outlined",), steps),
        "all_domains": _source_2(dataset, seed, STYLES_2, steps),
        "two_classes": _pretrained_2(old.images[two], old.labels[two], seed=seed, steps=steps, num_classes=2),
        "rotation": _rotation_source_2(dataset, seed, steps),
        "random_labels": _pretrained_2(old.images, shuffled, seed=seed, steps=steps),
        "random_weights": _fresh_2(old.images.shape[1], seed),
    }
    found: dict[str, dict[str, float]] = {}
    for name, source in candidates.items():
        found[name] = _scores_2(source.encoder, labeled)
        tuned, _ = _tuned_2(_on_source_2(source, seed), labeled, seed=seed, lr=LR_2)
        found[name]["finetuned"] = loss_and_accuracy(tuned, test.images, test.labels)["accuracy"]
    figures: dict[str, float | list[float]] = {
        f"{name}_{key}": value for name, values in found.items() for key, value in values.items()
    }
    reached = [values["finetuned"] for values in found.values()]
    for score in ("knn", "probe", "h_score"):
        figures[f"rank_{score}"] = _rank_correlation_2([values[score] for values in found.values()], reached)
    return figures


# Images without labels that a network adapts to at test time, and steps and learning rate of entropy minimization.
ADAPTED_2, ENTROPY_STEPS_2, ENTROPY_LR_2 = (5, 20, 200), 30, 1e-3


def test_time(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The fully fine-tuned network on each domain, after it has seen images of that domain without labels.

    before: as it is. statistics@n: batch normalization has the statistics of n images. entropy: after that, scale and
    shift are trained to lower the entropy of the predictions (Wang et al. 2021). one_class: the statistics of the
    largest n images, all of one class. The images are other ones than the test images.
    """
    model, _ = _method_2(dataset, seed, "ft")
    largest = max(ADAPTED_2)
    figures: dict[str, float | list[float]] = {}
    for domain, style in DOMAINS_2.items():
        test = _images_2(dataset, seed, "new", "test", style, _test_size_2())
        new = _images_2(dataset, seed, "new", "train", style, _source_size_2())

        def measured(network: nn.Module, test: ImageData = test) -> float:
            return loss_and_accuracy(network, test.images, test.labels)["accuracy"]

        figures[f"{domain}_before"] = measured(model)
        for n in ADAPTED_2:
            figures[f"{domain}_statistics@{n}"] = measured(_adapted_2(model, new.images[-n:]))
        alone = new.images[new.labels == 0][-largest:]
        figures[f"{domain}_one_class"] = measured(_adapted_2(model, alone))
        figures[f"{domain}_entropy"] = measured(_sharpened_2(_adapted_2(model, new.images[-largest:]), new, seed))
    return figures


def _adapted_2(model: nn.Module, images: Tensor) -> nn.Module:
    """A copy whose batch normalization has the statistics of these images."""
    adapted = copy.deepcopy(model).eval()
    for layer in adapted.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
            layer.train()
    with torch.no_grad():
        adapted(as_float(images).to(settings.device()))
    return adapted.eval()


def _sharpened_2(model: nn.Module, data: ImageData, seed: int) -> nn.Module:
    """Scale and shift of batch normalization, trained to lower the mean entropy; the statistics follow each batch."""
    model.requires_grad_(False)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in layers:
        layer.requires_grad_(True)
    optimizer = torch.optim.Adam([p for layer in layers for p in layer.parameters()], lr=ENTROPY_LR_2)
    batches = endless(
        Batches(data.images[-max(ADAPTED_2) :], batch_size=BATCH_2, shuffle=True, generator=_generator_2(seed))
    )
    for layer in layers:
        layer.train()
    for _ in range(settings.by_profile(smoke=2, laptop=ENTROPY_STEPS_2, full=ENTROPY_STEPS_2)):
        log_p = F.log_softmax(model(next(batches)), dim=1)
        optimizer.zero_grad()
        (-(log_p.exp() * log_p).sum(dim=1).mean()).backward()
        optimizer.step()
    return _adapted_2(model, data.images[-max(ADAPTED_2) :])


def protocol_rows(*, dataset: str, profile: str, seed: int) -> dict[str, float | list[float]]:
    """The rows of the course's table: the rotation encoder, the head first and then everything."""
    data, encoder = protocol.setting(dataset, seed), protocol.rotation_encoder(dataset, seed)
    return {
        f"rotation_lp_ft_{views}@{k}": protocol.head_first(data, encoder, k, views)
        for views in protocol.Views
        for k in protocol.budgets(data)
    }


# One entry per line, so that both notebooks' parts stand here side by side.
EXPERIMENTS = {
    "label_curve": label_curve,
    "freezing_depth": freezing_depth,
    "freeze_picker": freeze_picker,
    "by_layer": by_layer,
    "recipe": recipe,
    "which_block": which_block,
    "cost": cost,
    "leaks": leaks,
    "forgetting": forgetting,
    "anchors": anchors,
    "epochs": epochs,
    "classes": scores_by_class,
    "sources": sources,
    "test_time": test_time,
    "protocol": protocol_rows,
}

# Method -> experiment:key prefix, for the course's table of results.
TABLE_ROWS = {
    "Rotation, LP-FT, weak views": "protocol:rotation_lp_ft_weak",
    "Rotation, LP-FT, strong views": "protocol:rotation_lp_ft_strong",
}
