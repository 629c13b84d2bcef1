"""Unit 07, pseudo-labels, first notebook (self-training): what a learner is asked for, how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from course_lib.exercises.contract import Case, Diary, Exercise, Hints, Values, seeded
from course_lib.exercises.observing import dtype_name, two_values

UNIT = "07_pseudo_labels"


class _Watched(nn.Module):
    """A linear classifier with batch normalization and dropout that notes in which state it was asked."""

    def __init__(self, pixels: int, num_classes: int, seed: int) -> None:
        super().__init__()
        generator = seeded(seed)
        self.linear = nn.Linear(pixels, num_classes)
        self.norm = nn.BatchNorm1d(num_classes)
        self.dropout = nn.Dropout(0.5)
        self.modes: list[str] = Diary()
        self.gradients: list[str] = Diary()
        self.sizes: list[int] = Diary()
        with torch.no_grad():
            self.linear.weight.copy_(3 * torch.randn(num_classes, pixels, generator=generator) / pixels**0.5)
            self.linear.bias.copy_(torch.randn(num_classes, generator=generator))
            # running statistics far from those of any batch, so that the mode is seen in the labels
            self.norm.get_buffer("running_mean").copy_(torch.randn(num_classes, generator=generator))
            self.norm.get_buffer("running_var").copy_(0.5 + torch.rand(num_classes, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append("train" if self.training else "eval")
        self.gradients.append("on" if torch.is_grad_enabled() else "off")
        self.sizes.append(len(x))
        return self.dropout(self.norm(self.linear(x.flatten(1))))


# --- 7.1 pseudo_label -----------------------------------------------------------------------------------------------


def _pseudo_label_cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, shape: tuple[int, ...], num_classes: int, mode: str = "train", at_rest: str = "") -> Case:
        images = 2 * torch.rand(*shape, generator=generator)
        inputs: Values = {"images": images, "num_classes": num_classes, "seed": seed + len(name), "mode_before": mode}
        return Case(name, {**inputs, "at_rest": at_rest})

    strided = case("transposed", (7, 2, 4, 6), 5, "eval")
    strided.inputs["images"] = strided.inputs["images"].transpose(2, 3)
    return [
        case("plain", (24, 1, 5, 6), 4),
        case("already_in_eval_mode", (15, 1, 6, 5), 6, "eval"),
        case("as_many_images_as_classes", (6, 3, 4, 4), 6),
        case("one", (1, 1, 5, 5), 3, "eval"),
        case("many", (2053, 1, 3, 3), 4),  # more than a batch of any size, and none that fits exactly
        strided,
        case("a_part_at_rest", (9, 1, 4, 5), 4, at_rest="norm"),
    ]


def _observe_pseudo_label(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    model = _Watched(images[0].numel(), case.inputs["num_classes"], case.inputs["seed"]).to(images.device)
    model.train(case.inputs["mode_before"] == "train")
    for name in case.inputs["at_rest"].split():
        model.get_submodule(name).eval()
    with torch.enable_grad():  # an answer that switches gradients off for good harms nobody else
        seen = two_values(fn(model, images), "labels", "confidences")
        grad_mode_after = "on" if torch.is_grad_enabled() else "off"
    confidences = seen["confidences"]
    if case.name == "many":
        seen["most_at_once"] = max(model.sizes, default=0)
    return {
        **seen,
        "labels_dtype": dtype_name(seen["labels"]),
        "confidences_graph": "kept" if isinstance(confidences, Tensor) and confidences.requires_grad else "none",
        "modes": sorted(set(model.modes)),
        "gradients": sorted(set(model.gradients)),
        "mode_after": "train" if model.training else "eval",
        "modes_of_parts": {name: "train" if part.training else "eval" for name, part in model.named_children()},
        "grad_mode_after": grad_mode_after,
        "running_mean_after": model.norm.get_buffer("running_mean"),
        "weights_require_grad_after": [int(p.requires_grad) for p in model.parameters()],
    }


pseudo_label = Exercise(
    name="pseudo_label",
    unit=UNIT,
    title="What the network thinks an unlabeled image is",
    signature="pseudo_label(model, images)",
    minutes=10,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "Ask the network at rest, without gradients, all images in their order, a batch at a time. Its logits "
            "become probabilities; the largest one of an image is the confidence, and where it stands is the label. "
            "Each part of the network has a mode of its own: note them all before."
        ),
        api=(
            "`model.modules()`, `module.training`, `model.eval()`, `torch.no_grad()`, `Tensor.split`, `torch.cat`, "
            "`Tensor.softmax(dim=...)`, `Tensor.max(dim=...)`"
        ),
        skeleton=(
            "modes = [(module, module.training) for module in ...]\n"
            "model.eval()\n"
            "with torch.no_grad():\n"
            "    logits = torch.cat([model(batch) for batch in ...])  # (N, K)\n"
            "for module, was_training in modes:\n"
            "    module.training = ...\n"
            "confidences, labels = logits.softmax(dim=...).max(dim=...)\n"
            "return labels, confidences"
        ),
    ),
    takeaway=(
        "A pseudo-label is the network's opinion at rest: no dropout, no statistics of this batch, no gradient. Image "
        "and label keep their place, so nothing can come apart on the way."
    ),
    cases=_pseudo_label_cases,
    observe=_observe_pseudo_label,
    library=("course_lib.evaluation.predict",),
)


# --- 7.2 select_confident -------------------------------------------------------------------------------------------


def _select_cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, n: int, num_classes: int, tau: float, per_class: int | None = None) -> Case:
        # all different, so that no ranking is a matter of taste; and none so near the threshold that rounding decides
        confidences = 0.2 + 0.8 * (torch.randperm(8 * n, generator=generator)[:n] + 0.5) / (8 * n)
        confidences = torch.where((confidences - tau).abs() < 1e-4, confidences + 2e-4, confidences)
        labels = torch.randint(0, num_classes, (n,), generator=generator)
        return Case(name, {"labels": labels, "confidences": confidences, "tau": tau, "per_class": per_class})

    exact = case("exactly_the_threshold", 12, 3, 0.75)
    exact.inputs["confidences"][torch.randperm(12, generator=generator)[:4]] = 0.75
    none = case("nobody_is_sure", 9, 3, 0.95)
    none.inputs["confidences"] *= 0.9
    skewed = case("most_say_one_class", 40, 4, 0.5, 3)
    skewed.inputs["labels"][:26] = 1
    double = case("float64", 20, 4, 0.5, 2)
    double.inputs["confidences"] = double.inputs["confidences"].double()
    capped_none = case("nobody_is_sure_with_a_limit", 8, 3, 0.95, 2)
    capped_none.inputs["confidences"] *= 0.9
    single = case("one_is_sure", 11, 3, 0.9)
    single.inputs["confidences"] *= 0.85
    single.inputs["confidences"][int(torch.randint(11, (), generator=generator))] = 0.97
    return [
        case("plain", 30, 4, 0.6),
        exact,
        none,
        case("limit", 36, 3, 0.4, 4),
        skewed,
        case("limit_of_one", 20, 5, 0.5, 1),
        case("limit_not_reached", 15, 4, 0.8, 15),
        double,
        capped_none,
        single,
        case("limit_of_zero", 14, 3, 0.4, 0),
    ]


def _observe_select(fn: Callable[..., Any], case: Case) -> Values:
    labels, confidences = case.inputs["labels"], case.inputs["confidences"]
    positions = fn(labels, confidences, case.inputs["tau"], per_class=case.inputs["per_class"])
    return {
        "positions": positions,
        "dtype": dtype_name(positions),
        "labels_after": labels,
        "confidences_after": confidences,
    }


select_confident = Exercise(
    name="select_confident",
    unit=UNIT,
    title="Keep the labels that the network is sure of",
    signature="select_confident(labels, confidences, tau, *, per_class=None)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "The threshold comes first, for all. Where there is a limit, each class is looked at by itself: of its "
            "images that passed, the most confident ones stay. At the end put all positions back in order."
        ),
        api="`Tensor.nonzero`, `Tensor.argsort(descending=True)`, `Tensor.unique`, `torch.cat`, `Tensor.sort`",
        skeleton=(
            "positions = (confidences ... tau).nonzero().squeeze(1)\n"
            "if per_class is None:\n"
            "    return positions\n"
            "kept = positions.new_zeros(len(labels), dtype=torch.bool)\n"
            "for k in labels[positions].unique():\n"
            "    own = positions[labels[positions] == k]\n"
            "    best = own[confidences[own].argsort(...)[: ...]]\n"
            "    kept[best] = True\n"
            "return ..."
        ),
    ),
    takeaway=(
        "The threshold asks for quality, the limit for balance: without it the classes that the network likes fill "
        "the next training set, and it likes them more."
    ),
    cases=_select_cases,
    observe=_observe_select,
)


# --- 7.3 expected_calibration_error ---------------------------------------------------------------------------------


def _calibration_cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, n: int, num_classes: int, num_bins: int, *, spread: float = 2.0, right: float = 0.6) -> Case:
        """Logits whose confidences keep away from the edges of bins; a share `right` of the labels is the argmax."""
        logits = spread * torch.randn(20 * n, num_classes, generator=generator)
        place = logits.softmax(dim=1).max(dim=1).values * num_bins
        logits = logits[(place - place.round()).abs() > 0.02][:n].contiguous()
        other = torch.randint(1, num_classes, (n,), generator=generator)
        wrong = torch.rand(n, generator=generator) >= right
        labels = (logits.argmax(dim=1) + wrong * other) % num_classes
        return Case(name, {"logits": logits, "labels": labels, "num_bins": num_bins})

    crossed = case("modest_when_right", 80, 3, 10, right=1.0)
    sure = crossed.inputs["logits"].softmax(dim=1).max(dim=1).values > 0.7
    crossed.inputs["labels"][sure] = (crossed.inputs["labels"][sure] + 1) % 3
    certain = case("certain", 40, 4, 10)
    certain.inputs["logits"][::3] = 200.0 * nn.functional.one_hot(certain.inputs["labels"][::3], 4).float()
    certain.inputs["labels"][::6] = (certain.inputs["labels"][::6] + 1) % 4  # certain, and half of them wrong
    double = case("float64", 50, 4, 8)
    double.inputs["logits"] = double.inputs["logits"].double()
    return [
        case("plain", 200, 5, 10, spread=1.2),
        crossed,
        case("fifteen_bins", 120, 10, 15, right=0.5),
        case("more_bins_than_images", 6, 3, 20),
        case("one", 1, 4, 10, right=0.0),
        certain,
        double,
        case("one_bin", 60, 3, 1),
    ]


def _observe_calibration(fn: Callable[..., Any], case: Case) -> Values:
    error = fn(case.inputs["logits"], case.inputs["labels"], num_bins=case.inputs["num_bins"])
    return {"error": error}


expected_calibration_error = Exercise(
    name="expected_calibration_error",
    unit=UNIT,
    title="Does 90 percent sure mean right in nine of ten?",
    signature="expected_calibration_error(logits, labels, *, num_bins=10)",
    minutes=15,
    difficulty=3,
    points=4,
    hints=Hints(
        concept=(
            "Sort the images into bins by confidence. In each bin compare two averages: how sure the network was, and "
            "how often it was right. A bin counts by its share of the images, so an empty one counts nothing."
        ),
        api=(
            "`Tensor.softmax(dim=1)`, `Tensor.max(dim=1)`, `Tensor.ceil` or `torch.bucketize`, a mask for each bin, "
            "`Tensor.abs`, `.item()`"
        ),
        skeleton=(
            "confidences, predicted = logits.softmax(dim=1).max(dim=1)\n"
            "right = (predicted == labels).to(confidences.dtype)\n"
            "error = 0.0\n"
            "for m in range(num_bins):\n"
            "    inside = (confidences > m / num_bins) & (confidences <= ...)\n"
            "    if inside.any():\n"
            "        gap = ...\n"
            "        error += inside.sum().item() / len(labels) * gap\n"
            "return error"
        ),
    ),
    takeaway=(
        "A threshold of 0.9 promises nine right labels of ten only as far as the network is calibrated. Measure it on "
        "validation images before you trust it on images whose labels nobody knows."
    ),
    cases=_calibration_cases,
    observe=_observe_calibration,
)


# --- 7.4 self_training_round ----------------------------------------------------------------------------------------


class _Labeler(nn.Module):
    """Images to logits by one matrix; dropout shows who asks in train mode."""

    def __init__(self, weight: Tensor, mode: str) -> None:
        super().__init__()
        self.linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        self.dropout = nn.Dropout(0.6)
        with torch.no_grad():
            self.linear.weight.copy_(weight)
        self.train(mode == "train")

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.linear(x.flatten(1)))


def _round_cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(
        name: str, restart: bool, *, shape: tuple[int, ...] = (1, 4, 5), tau: float = 0.7, mode: str = "train",
        labeled: int = 6,
    ) -> Case:  # fmt: skip
        pixels, num_classes = torch.Size(shape).numel(), 3
        # matrices of the network so far, of the first weights, and what "training" adds to a matrix
        weights = [4 * torch.randn(num_classes, pixels, generator=generator) / pixels**0.5 for _ in range(3)]
        images = torch.rand(labeled, *shape, generator=generator)
        labels = torch.arange(labeled) % num_classes
        return Case(
            name,
            {
                "images": images, "labels": labels, "unlabeled": torch.rand(30, *shape, generator=generator),
                "weight": weights[0], "first_weight": weights[1], "step": weights[2], "tau": tau,
                "restart": int(restart), "mode_before": mode,
            },
        )  # fmt: skip

    return [
        case("restarted", True),
        case("continued", False),
        case("color_at_rest", True, shape=(3, 3, 4), tau=0.6, mode="eval"),
        case("continued_at_rest", False, tau=0.5, mode="eval", labeled=3),
        case("nobody_is_sure", True, tau=1.1),
    ]


def _weight_of(network: Any) -> Any:
    """The matrix of a `_Labeler` as it is now; None where there is no network."""
    return network.linear.weight.detach().clone() if network is not None else None


def _observe_round(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    device = given["images"].device
    model = _Labeler(given["weight"], given["mode_before"]).to(device)
    start = _Labeler(given["first_weight"], given["mode_before"]).to(device)
    calls: list[Values] = []

    def train(network: Any, images: Tensor, labels: Tensor) -> None:
        calls.append(
            {
                "images": images.detach().clone(),
                "labels": labels.detach().clone() if isinstance(labels, Tensor) else labels,
                "weight_before": _weight_of(network),
                "is_model": int(network is model),
                "is_start": int(network is start),
            }
        )
        with torch.no_grad():
            network.linear.weight.add_(given["step"])

    seen: Values = {}
    network: Any = model
    for number in ("first", "second"):  # the second round shows what an answer keeps of the first
        inputs = [given[key].clone() for key in ("images", "labels", "unlabeled")]
        before = _weight_of(network)
        modes = [("train" if m.training else "eval") for m in (network, start)]
        calls.clear()
        result = fn(network, start, *inputs, tau=given["tau"], train=train, restart=bool(given["restart"]))
        pair = two_values(result, "network", "chosen")
        trained = pair["network"] if isinstance(pair["network"], nn.Module) else None
        seen[f"{number}_calls"] = len(calls)
        seen[f"{number}_training"] = dict(calls[0]) if calls else None
        seen[f"{number}_chosen"] = pair["chosen"]
        seen[f"{number}_weight_before"] = before
        seen[f"{number}_weight_after"] = _weight_of(network)
        seen[f"{number}_returned_weight"] = _weight_of(trained)
        seen[f"{number}_modes_before"] = modes
        seen[f"{number}_modes_after"] = [("train" if m.training else "eval") for m in (network, start)]
        seen[f"{number}_start_after"] = _weight_of(start)
        if trained is None:
            break
        network = trained
        network.train(given["mode_before"] == "train")
    return seen


self_training_round = Exercise(
    name="self_training_round",
    unit=UNIT,
    title="One round of self-training",
    signature="self_training_round(model, start, images, labels, unlabeled, *, tau, train, restart=True)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "First the network so far gives its labels and its confidences, and the sure ones are chosen. Only then a "
            "copy is made, of the first weights or of the network so far, and trained: on the labeled images with "
            "their own labels, and on the chosen ones with theirs."
        ),
        api="your `pseudo_label` and `select_confident`, `copy.deepcopy`, `torch.cat`",
        skeleton=(
            "guessed, confidences = pseudo_label(...)\n"
            "chosen = select_confident(...)\n"
            "network = copy.deepcopy(... if restart else ...)\n"
            "train(network, torch.cat([images, ...]), torch.cat([labels, ...]))\n"
            "return network, chosen"
        ),
    ),
    takeaway=(
        "Every round makes its pseudo-labels anew. With fresh weights the network must relearn everything from the "
        "labels, so a mistake can be forgotten; weights that go on have it in their bones."
    ),
    cases=_round_cases,
    observe=_observe_round,
)


# --- 7.5 train_with_pseudo_labels: find the bugs --------------------------------------------------------------------


class _Student(nn.Module):
    """A frozen layer, dropout, and a head; notes every batch, the logits it gave, and the gradient they received."""

    def __init__(self, case: Case, device: torch.device) -> None:
        super().__init__()
        generator = seeded(case.inputs["seed"])
        pixels, num_classes = case.inputs["images"][0].numel(), case.inputs["num_classes"]
        self.body = nn.Linear(pixels, 16)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(16, num_classes)
        self.diary: list[Values] = Diary()
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(1.5 * torch.randn(weight.shape, generator=generator) / weight.shape[-1] ** 0.5)
        self.body.requires_grad_(False)
        self.to(device)

    def forward(self, x: Tensor) -> Tensor:
        entry: Values = {
            "images": x.detach().clone(),
            "mode": "train" if self.training else "eval",
            "gradients": "on" if torch.is_grad_enabled() else "off",
        }
        logits = self.head(self.dropout(torch.tanh(self.body(x.flatten(1)))))
        entry["logits"] = logits.detach().clone()
        if logits.requires_grad:
            logits.register_hook(lambda gradient: entry.__setitem__("gradient", gradient.detach().clone()))
        self.diary.append(entry)
        return logits


def _loop_cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, labeled: int, unlabeled: int, batch_size: int, num_epochs: int, mode: str = "train") -> Case:
        images = torch.rand(labeled + unlabeled, 1, 3, 4, generator=generator) * 2 - 1
        return Case(
            name,
            {
                "images": images[:labeled], "labels": torch.arange(labeled) % 3, "unlabeled": images[labeled:],
                "num_epochs": num_epochs, "batch_size": batch_size, "lr": 0.25, "num_classes": 3,
                "seed": seed + len(name), "mode_before": mode,
            },
        )  # fmt: skip

    return [
        case("ragged_last_batch", 6, 12, 7, 3),
        case("one_batch_an_epoch", 3, 9, 12, 4),
        case("came_at_rest", 6, 13, 6, 2, "eval"),
    ]


def _observe_loop(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    model = _Student(case, given["images"].device)
    model.train(given["mode_before"] == "train")
    names = {id(p): name for name, p in model.named_parameters()}
    steps: list[Values] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        held = [names.get(id(p), "another") for group in optimizer.param_groups for p in group["params"]]
        steps.append({"lr": [float(group["lr"]) for group in optimizer.param_groups], "held": sorted(held)})

    handle = register_optimizer_step_pre_hook(note)
    before = model.body.weight.detach().clone()
    generator = seeded(given["seed"])
    try:
        with torch.enable_grad():
            losses = fn(
                model, given["images"], given["labels"], given["unlabeled"], num_epochs=given["num_epochs"],
                lr=given["lr"], batch_size=given["batch_size"], generator=generator,
            )  # fmt: skip
    finally:
        handle.remove()
    return {
        "losses": losses,
        "forwards": [dict(entry) for entry in model.diary],
        "steps": steps,
        "next_draw": float(torch.rand((), generator=generator)),  # says whether the answer has drawn from it
        "frozen_before": before,
        "frozen_after": model.body.weight,
        "frozen_requires_grad": [int(p.requires_grad) for p in model.body.parameters()],
    }


train_with_pseudo_labels = Exercise(
    name="train_with_pseudo_labels",
    unit=UNIT,
    title="Find the bugs: a published loop, repaired",
    signature=("train_with_pseudo_labels(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator)"),
    minutes=20,
    difficulty=3,
    points=6,
    hints=Hints(
        concept=(
            "Read it line by line and ask of each: which images, which labels, in which mode, with which gradients? "
            "What is built and then never used? And of the number at the end: what is in the sum, and by what is it "
            "divided? There are six faults, in five places."
        ),
        api=(
            "`torch.randperm` (how often?), `model.eval()` and `model.train()`, `torch.no_grad()`, "
            "`scheduler.step()`, `p.requires_grad`, `len`"
        ),
        skeleton=(
            "trainable = [p for p in model.parameters() if ...]\n"
            "...\n"
            "for epoch in range(num_epochs):\n"
            "    model.eval()\n"
            "    with ...:\n"
            "        pseudo = ...\n"
            "    model.train()\n"
            "    ...\n"
            "    order = torch.randperm(len(x), generator=generator)\n"
            "    ...\n"
            "    losses.append(running_loss / ...)\n"
            "    scheduler...."
        ),
    ),
    takeaway=(
        "None of the six stopped the program: it ran, and its loss even fell. Such loops are found by asking what "
        "should be true of every line, and by a check that looks."
    ),
    cases=_loop_cases,
    observe=_observe_loop,
)

EXERCISES = (pseudo_label, select_confident, expected_calibration_error, self_training_round, train_with_pseudo_labels)
