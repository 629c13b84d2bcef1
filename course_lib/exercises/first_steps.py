"""Unit 00, first steps: what a learner is asked for, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Exercise, Hints, Values
from course_lib.exercises.observing import manual_seed

UNIT = "00_first_steps"


def _number(value: Any) -> Any:
    """A subclass of float (numpy.float64) as the float that it is; anything else as it came."""
    return float.__pos__(value) if isinstance(value, float) else value


def _draw_labels(count: int, num_classes: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, num_classes, (count,), generator=generator)


# --- 0.1 accuracy ---------------------------------------------------------------------------------------------------


def _accuracy_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def case(name: str, count: int, num_classes: int, correct: int, *, dtype: torch.dtype = torch.float32) -> Case:
        """`correct` of the labels are the class with the highest logit, the others are the next class."""
        logits = 3 * torch.randn(count, num_classes, generator=generator, dtype=dtype)
        is_wrong = torch.randperm(count, generator=generator) >= correct
        labels = (logits.argmax(dim=1) + is_wrong.long()) % num_classes
        return Case(name, {"logits": logits, "labels": labels})

    plain = case("plain", 8, 5, 5)
    square = case("as_many_images_as_classes", 6, 6, 4)
    wide = case("transposed", 12, 7, 7)
    wide.inputs["logits"] = wide.inputs["logits"].t().contiguous().t()
    return [
        plain,
        square,
        wide,
        case("double", 37, 10, 30, dtype=torch.float64),
        case("all_right", 5, 3, 5),
        case("one_image", 1, 4, 1),
    ]


def _observe_accuracy(fn: Callable[..., Any], case: Case) -> Values:
    return {"accuracy": _number(fn(case.inputs["logits"], case.inputs["labels"]))}


accuracy = Exercise(
    name="accuracy",
    unit=UNIT,
    title="The share of images that are classified correctly",
    signature="accuracy(logits, labels)",
    minutes=2,
    difficulty=1,
    points=2,
    hints=Hints(
        concept=(
            "The predicted class of an image is the one with the highest logit in its row. Compare the predictions "
            "with the labels; the accuracy is the share of agreements."
        ),
        api="`Tensor.argmax(dim=...)`, `==`, `Tensor.float()`, `Tensor.mean()`, `Tensor.item()`",
        skeleton="predicted = logits.argmax(dim=...)  # (N, K) -> (N,)\nreturn (... == ...).float().mean().item()",
    ),
    takeaway="Accuracy looks only at which logit is highest: adding 100 to all of them changes nothing.",
    cases=_accuracy_cases,
    observe=_observe_accuracy,
    library=("course_lib.evaluation.accuracy",),
)


# --- a small network that keeps a diary -----------------------------------------------------------------------------


class _Watched(nn.Module):
    """A linear classifier, with batch normalization in front if wanted, that notes how it was called."""

    def __init__(self, weight: Tensor, bias: Tensor, *, normalized: bool) -> None:
        super().__init__()
        num_classes, num_pixels = weight.shape
        self.norm: nn.Module = nn.BatchNorm1d(num_pixels) if normalized else nn.Identity()
        self.head = nn.Linear(num_pixels, num_classes)
        with torch.no_grad():
            self.head.weight.copy_(weight)
            self.head.bias.copy_(bias)
            if isinstance(self.norm, nn.BatchNorm1d):  # as if it had learned these statistics before
                self.norm.running_mean = torch.full((num_pixels,), 0.5)
                self.norm.running_var = torch.full((num_pixels,), 2.0)
        self.to(weight.dtype).to(weight.device)
        self.modes: list[str] = Diary()
        self.gradients: list[str] = Diary()
        self.events: list[str] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append("train" if self.norm.training else "eval")
        self.gradients.append("on" if torch.is_grad_enabled() else "off")
        self.events.append("forward")
        return self.head(self.norm(x.flatten(1)))

    def parameter_vector(self) -> Tensor:
        return torch.cat([parameter.detach().flatten() for parameter in self.parameters()])


def _watched_case(
    name: str,
    generator: torch.Generator,
    *,
    shape: tuple[int, int, int],
    count: int,
    num_classes: int,
    dtype: torch.dtype = torch.float32,
    transposed: bool = False,
    **inputs: Any,
) -> Case:
    channels, height, width = shape
    if transposed:
        images = torch.rand(count, channels, width, height, generator=generator, dtype=dtype).transpose(2, 3)
    else:
        images = torch.rand(count, channels, height, width, generator=generator, dtype=dtype)
    weight = torch.randn(num_classes, channels * height * width, generator=generator, dtype=dtype)
    values = {
        "images": images,
        "labels": _draw_labels(count, num_classes, generator),
        "weight": 2 * weight / weight.shape[1] ** 0.5,
        "bias": torch.randn(num_classes, generator=generator, dtype=dtype),
    }
    return Case(name, values | inputs)


def _watched(case: Case) -> _Watched:
    model = _Watched(case.inputs["weight"], case.inputs["bias"], normalized=case.inputs["normalized"] == "yes")
    return model.train(case.inputs["mode_before"] == "train")


# --- 0.2 evaluate ---------------------------------------------------------------------------------------------------


def _evaluate_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def case(name: str, batch_size: int, mode_before: str, normalized: str = "no", **options: Any) -> Case:
        return _watched_case(
            name, generator, batch_size=batch_size, mode_before=mode_before, normalized=normalized, **options
        )

    return [
        case("ragged_last_batch", 5, "train", shape=(1, 4, 4), count=13, num_classes=4),
        case("last_batch_of_one", 4, "eval", shape=(2, 3, 5), count=9, num_classes=3, transposed=True),
        case("equal_batches", 4, "train", shape=(1, 3, 4), count=8, num_classes=4),
        case("one_batch", 6, "eval", shape=(3, 2, 2), count=6, num_classes=5, dtype=torch.float64),
        case("normalized_in_train_mode", 4, "train", "yes", shape=(1, 2, 5), count=10, num_classes=3),
        case("normalized_in_eval_mode", 3, "eval", "yes", shape=(1, 4, 2), count=8, num_classes=4),
    ]


def _observe_evaluate(fn: Callable[..., Any], case: Case) -> Values:
    inputs = case.inputs
    model, size = _watched(case), inputs["batch_size"]
    batches = list(zip(inputs["images"].split(size), inputs["labels"].split(size)))
    result = fn(model, batches)
    if isinstance(result, dict):
        result = {key: _number(value) for key, value in result.items()}
    seen = {
        "result": result,
        "mode_during": "+".join(sorted(set(model.modes))),
        "gradients_during": "+".join(sorted(set(model.gradients))),
        "mode_after": "train" if model.training else "eval",
    }
    if isinstance(model.norm, nn.BatchNorm1d):
        seen["running_mean_after"] = model.norm.running_mean
    return seen


evaluate = Exercise(
    name="evaluate",
    unit=UNIT,
    title="Loss and accuracy over all batches",
    signature="evaluate(model, batches)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "Every image counts once, whichever batch it is in: add up over images, divide by the number of images at "
            "the end. And a measurement leaves no trace: switch to eval mode, switch gradients off, put the mode back."
        ),
        api="`model.training`, `model.eval()`, `model.train(mode)`, `torch.no_grad()`, `F.cross_entropy`, `len(...)`",
        skeleton=(
            "was_training = model.training\n"
            "model.eval()\n"
            "total_loss, correct, count = 0.0, 0, 0\n"
            "with torch.no_grad():\n"
            "    for images, labels in batches:\n"
            "        logits = ...\n"
            "        total_loss += ... * len(labels)  # the mean of the batch, times its size\n"
            "        correct += ...\n"
            "        count += len(labels)\n"
            "model.train(...)\n"
            'return {"loss": ..., "accuracy": ...}'
        ),
    ),
    takeaway="Weigh every batch by its size, and the result no longer depends on how the images were cut into batches.",
    cases=_evaluate_cases,
    observe=_observe_evaluate,
    library=("course_lib.evaluation.evaluate", "course_lib.evaluation.predict"),
)


# --- 0.3 train_step -------------------------------------------------------------------------------------------------

STEPS = 3  # how often the answer is called on one model, so that gradients can pile up


def _train_step_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def case(name: str, optimizer: str, normalized: str = "no", **options: Any) -> Case:
        options["count"] *= STEPS
        return _watched_case(name, generator, optimizer=optimizer, mode_before="eval", normalized=normalized, **options)

    return [
        case("plain", "sgd", shape=(1, 4, 4), count=6, num_classes=4),
        case("momentum", "momentum", shape=(2, 3, 5), count=5, num_classes=3, transposed=True),
        case("double", "adam", shape=(1, 3, 4), count=4, num_classes=10, dtype=torch.float64),
        case("one_image", "sgd", shape=(3, 2, 2), count=1, num_classes=5),
        case("normalized", "sgd", "yes", shape=(1, 2, 5), count=7, num_classes=3),
    ]


_OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.5),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.2, momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.05),
}


def _observe_train_step(fn: Callable[..., Any], case: Case) -> Values:
    model = _watched(case)
    optimizer = _OPTIMIZERS[case.inputs["optimizer"]](model.parameters())
    model.head.weight.register_hook(lambda gradient: model.events.append("backward"))
    optimizer.register_step_pre_hook(lambda *_: model.events.append("step"))
    losses, weights = [], [model.parameter_vector()]
    for images, labels in zip(case.inputs["images"].chunk(STEPS), case.inputs["labels"].chunk(STEPS)):
        losses.append(_number(fn(model, images, labels, optimizer)))
        weights.append(model.parameter_vector())
    return {
        "loss": losses[0],
        "later_losses": losses[1:],
        "weights_before": weights[0],
        "weights_after_one_step": weights[1],
        "weights_after_all_steps": weights[-1],
        "mode_during": "+".join(sorted(set(model.modes))),
        "events": " ".join(model.events),
    }


train_step = Exercise(
    name="train_step",
    unit=UNIT,
    title="One step of training",
    signature="train_step(model, images, labels, optimizer)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Forward, loss, backward, step. Gradients add up in PyTorch until somebody clears them, and some layers "
            "behave differently in training, so say which mode you are in."
        ),
        api=(
            "`model.train()`, `optimizer.zero_grad()`, `F.cross_entropy(logits, labels)`, `loss.backward()`, "
            "`optimizer.step()`, `loss.item()`"
        ),
        skeleton=(
            "model....()\n"
            "optimizer....()\n"
            "logits = model(images)  # (N, C, H, W) -> (N, K)\n"
            "loss = F.cross_entropy(..., ...)\n"
            "loss....()\n"
            "optimizer....()\n"
            "return loss....()"
        ),
    ),
    takeaway="These few lines train every network of this course; from now on only the loss changes.",
    cases=_train_step_cases,
    observe=_observe_train_step,
    library=("course_lib.training.fit",),
)


# --- 0.4 few_label_split --------------------------------------------------------------------------------------------

DRAWS = 60  # splits drawn in a row from one generator, to see whether every image has its chance
DRAWN_CASES = ("plain", "sorted")


def _few_label_split_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def case(name: str, class_sizes: list[int], per_class: int, *, mixed: bool = True) -> Case:
        labels = torch.repeat_interleave(torch.arange(len(class_sizes)), torch.tensor(class_sizes))
        if mixed:
            labels = labels[torch.randperm(len(labels), generator=generator)]
        draw_seed = int(torch.randint(1, 2**31, (1,), generator=generator))
        return Case(name, {"labels": labels, "per_class": per_class, "seed": draw_seed})

    strided = case("every_second_label", [10, 14, 8, 12], 4)
    strided.inputs["labels"] = strided.inputs["labels"].repeat_interleave(2)[::2]
    return [
        case("plain", [9, 12, 15], 3),
        case("sorted", [8, 8, 8, 8], 2, mixed=False),
        case("one_a_class", [7, 20, 5, 11, 9], 1),
        case("twelve_classes", [6 + k % 3 for k in range(12)], 2),
        strided,
        case("all_of_the_smallest_class", [4, 10], 4),
    ]


def _observe_few_label_split(fn: Callable[..., Any], case: Case) -> Values:
    labels, per_class, seed = case.inputs["labels"], case.inputs["per_class"], case.inputs["seed"]

    def split(generator: torch.Generator, global_seed: int) -> Values:
        manual_seed(global_seed)
        pair = fn(labels, per_class, generator)
        if isinstance(pair, (tuple, list)) and len(pair) == 2:
            return {"labeled": pair[0], "rest": pair[1]}
        return {"labeled": None, "rest": None, "returned": pair}

    seen = split(torch.Generator().manual_seed(seed), 1)
    again = split(torch.Generator().manual_seed(seed), 2)
    other = split(torch.Generator().manual_seed(seed + 1), 1)
    seen |= {"labeled_again": again["labeled"], "rest_again": again["rest"], "labeled_other_seed": other["labeled"]}
    counts = torch.zeros(len(labels), dtype=torch.int64)
    generator = torch.Generator().manual_seed(seed)
    manual_seed(seed)
    for _ in range(DRAWS if case.name in DRAWN_CASES else 0):
        pair = fn(labels, per_class, generator)
        labeled = pair[0] if isinstance(pair, (tuple, list)) and len(pair) == 2 else None
        if not isinstance(labeled, Tensor) or labeled.dtype != torch.int64 or labeled.ndim != 1:
            break
        counts += torch.bincount(labeled.clamp(0, len(labels) - 1), minlength=len(labels))
    seen["times_labeled"] = counts
    return seen


few_label_split = Exercise(
    name="few_label_split",
    unit=UNIT,
    title="A few labels of each class, the rest without",
    signature="few_label_split(labels, per_class, generator)",
    minutes=15,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Go through the classes one by one. Shuffle the positions of a class; the first few are labeled, the "
            "others belong to the rest."
        ),
        api=(
            "`labels.unique()`, `torch.nonzero(labels == k).squeeze(1)`, `torch.randperm(n, generator=generator)`, "
            "`torch.cat`"
        ),
        skeleton=(
            "labeled, rest = [], []\n"
            "for k in labels.unique():\n"
            "    positions = ...  # where the labels are k\n"
            "    positions = positions[torch.randperm(..., generator=generator)]\n"
            "    labeled.append(positions[...])\n"
            "    rest.append(positions[...])\n"
            "return torch.cat(labeled), torch.cat(rest)"
        ),
    ),
    takeaway=(
        "Stratified, disjoint, and drawn from a generator that you pass: now two methods can be compared on the very "
        "same few labels."
    ),
    cases=_few_label_split_cases,
    observe=_observe_few_label_split,
    library=("course_lib.data.splits.few_label_split",),
    on_gpu=False,  # labels stay on the CPU, where the generator is
)


EXERCISES = (accuracy, evaluate, train_step, few_label_split)
