"""`train_with_pseudo_labels`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.judging import in_all, in_any
from course_lib.exercises.pseudo_labels_1.judge import Pairs, rows_of


def reference(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_epochs)
    losses = []
    for _ in range(num_epochs):
        model.eval()
        with torch.no_grad():
            pseudo = model(unlabeled).argmax(dim=1)
        model.train()
        x, y = torch.cat([images, unlabeled]), torch.cat([labels, pseudo])
        order = torch.randperm(len(x), generator=generator).to(x.device)
        x, y = x[order], y[order]
        running_loss = 0.0
        for x_batch, y_batch in zip(x.split(batch_size), y.split(batch_size)):
            loss = F.cross_entropy(model(x_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * len(x_batch)
        scheduler.step()
        losses.append(running_loss / len(x))
    return losses


def _asked(seen: Values) -> list[Values]:
    """The forward passes that no gradient came back to: those that made pseudo-labels."""
    return [f for f in seen["forwards"] if not isinstance(f.get("gradient"), Tensor)]


def _taught(seen: Values) -> list[Values]:
    return [f for f in seen["forwards"] if isinstance(f.get("gradient"), Tensor)]


def _count(case: Case) -> int:
    return len(case.inputs["images"]) + len(case.inputs["unlabeled"])


def _batches_an_epoch(case: Case, seen: Values) -> int:
    """As many as there were, where all epochs can have as many; else as many as there should be."""
    each, rest = divmod(len(_taught(seen)), case.inputs["num_epochs"])
    return each if each and not rest else math.ceil(_count(case) / case.inputs["batch_size"])


def _last_batch_missing(case: Case, seen: Values) -> bool:
    """Whether the epochs consist of full batches only, where one that is not full belongs to each."""
    size = case.inputs["batch_size"]
    full = case.inputs["num_epochs"] * (_count(case) // size)
    return _count(case) % size > 0 and [len(f["images"]) for f in _taught(seen)] == [size] * full


def _from_the_generator(case: Case, seen: Values) -> bool:
    """Whether something was drawn from the generator: its next number is no longer its first."""
    return seen["next_draw"] != float(torch.rand((), generator=torch.Generator().manual_seed(case.inputs["seed"])))


def _targets(forward: Values) -> list[int]:
    """The class that each image of a batch was taught: where the gradient of its cross-entropy is negative."""
    return forward["gradient"].argmin(dim=1).tolist()


def _epochs(case: Case, seen: Values) -> list[tuple[Pairs, dict[int, int]]]:
    """For each epoch: (image, class taught) in order, and the pseudo-labels that were made latest before it."""
    given = torch.cat([case.inputs["images"], case.inputs["unlabeled"]])
    count, per_epoch = len(case.inputs["images"]), _batches_an_epoch(case, seen)
    latest: dict[int, int] = {}
    epochs: list[tuple[Pairs, dict[int, int]]] = []
    taught = 0
    for forward in seen["forwards"]:
        rows = rows_of(forward["images"], given)
        if not isinstance(forward.get("gradient"), Tensor):
            latest |= {row - count: int(z.argmax()) for row, z in zip(rows, forward["logits"]) if row >= count}
            continue
        if taught % per_epoch == 0:
            epochs.append(([], dict(latest)))
        epochs[-1][0].extend(zip(rows, _targets(forward)))
        taught += 1
    return epochs


def _all_there(case: Case, seen: Values) -> bool:
    """Whether each epoch teaches every image exactly once."""
    everyone = list(range(_count(case)))
    epochs = _epochs(case, seen)
    return len(epochs) == case.inputs["num_epochs"] and all(sorted(i for i, _ in e) == everyone for e, _ in epochs)


def _aligned(case: Case, seen: Values) -> bool:
    count = len(case.inputs["images"])
    return all(
        label == (int(case.inputs["labels"][i]) if i < count else made.get(i - count))
        for pairs, made in _epochs(case, seen) for i, label in pairs
    )  # fmt: skip


def _shuffled(case: Case, seen: Values) -> bool:
    orders = [[i for i, _ in pairs] for pairs, _ in _epochs(case, seen)]
    return all(order != sorted(order) for order in orders) and len({tuple(order) for order in orders}) == len(orders)


def _renewed(case: Case, seen: Values) -> bool:
    """Whether all unlabeled images were asked about again before each epoch."""
    return sum(len(f["images"]) for f in _asked(seen)) >= case.inputs["num_epochs"] * len(case.inputs["unlabeled"])


def _modes(forwards: list[Values]) -> set[str]:
    return {f["mode"] for f in forwards}


def _rates(case: Case, seen: Values) -> list[float]:
    return [rate for step in seen["steps"] for rate in step["lr"]]


def _rates_fine(case: Case, seen: Values) -> bool:
    per_epoch, num_epochs = _batches_an_epoch(case, seen), case.inputs["num_epochs"]
    wanted = [
        case.inputs["lr"] * 0.5 * (1 + math.cos(math.pi * epoch / num_epochs))
        for epoch in range(num_epochs) for _ in range(per_epoch)
    ]  # fmt: skip
    return close(_rates(case, seen), wanted)


def _batch_losses(case: Case, seen: Values) -> list[list[tuple[float, int]]]:
    """For each epoch the mean loss and the size of every batch, recomputed from logits and what was taught."""
    per_epoch, taught = _batches_an_epoch(case, seen), _taught(seen)
    found = [
        (F.cross_entropy(f["logits"], torch.tensor(_targets(f))).item(), len(f["logits"])) for f in taught
    ]  # fmt: skip
    return [found[i : i + per_epoch] for i in range(0, len(found), per_epoch)]


def _losses_are(case: Case, seen: Values, of: Callable[[list[tuple[float, int]]], float]) -> bool:
    epochs = _batch_losses(case, seen)
    losses = seen["losses"]
    return (
        isinstance(losses, list) and len(losses) == case.inputs["num_epochs"] == len(epochs)
        and close([float(v) for v in losses], [of(e) for e in epochs], rtol=1e-3)
    )  # fmt: skip


def _mean_of_images(batches: list[tuple[float, int]]) -> float:
    return sum(loss * n for loss, n in batches) / sum(n for _, n in batches)


def _held_fine(seen: Values) -> bool:
    return bool(seen["steps"]) and all(step["held"] == ["head.bias", "head.weight"] for step in seen["steps"])


def _never(case: Case, seen: Values) -> bool:
    rates = _rates(case, seen)
    return bool(rates) and close(rates, [case.inputs["lr"]] * len(rates))


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "image_keeps_label",
            1,
            "every epoch shows each image once, in a new order from the generator, with its own label or its latest "
            "pseudo-label",
            lambda c, s, e: _all_there(c, s) and _aligned(c, s) and _shuffled(c, s) and _from_the_generator(c, s),
        ),
        Criterion(
            "at_rest",
            1,
            "pseudo-labels are made anew each epoch in eval mode, and training happens in train mode",
            lambda c, s, e: _modes(_asked(s)) == {"eval"} and _modes(_taught(s)) == {"train"} and _renewed(c, s),
        ),
        Criterion(
            "no_gradients",
            1,
            "no graph is built for the pseudo-labels",
            lambda c, s, e: bool(_asked(s)) and all(f["gradients"] == "off" for f in _asked(s)) and bool(_taught(s)),
        ),
        Criterion(
            "schedule",
            1,
            "the learning rate falls from epoch to epoch along the half cosine",
            lambda c, s, e: _rates_fine(c, s),
        ),
        Criterion(
            "loss_of_an_epoch",
            1,
            "an epoch's loss is the mean over its images",
            lambda c, s, e: _losses_are(c, s, _mean_of_images),
            ("ragged_last_batch", "came_at_rest"),
        ),
        Criterion(
            "trainable_only",
            1,
            "the optimizer holds the trainable weights only, and frozen ones stay frozen",
            lambda c, s, e: (
                _held_fine(s) and close(s["frozen_after"], s["frozen_before"]) and s["frozen_requires_grad"] == [0, 0]
            ),
        ),
    ),
    predicates={
        "untouched": lambda trials: in_all(
            trials,
            lambda t: (
                not _held_fine(t.seen)
                and _never(t.case, t.seen)
                and "train" in _modes(_asked(t.seen))
                and not _aligned(t.case, t.seen)
                and not _losses_are(t.case, t.seen, _mean_of_images)
            ),
        ),
        "two_permutations_left": lambda trials: in_any(
            trials, lambda t: _all_there(t.case, t.seen) and not _aligned(t.case, t.seen)
        ),
        "generator_ignored": lambda trials: in_all(
            trials, lambda t: _shuffled(t.case, t.seen) and not _from_the_generator(t.case, t.seen)
        ),
        "last_batch_left_out": lambda trials: (
            in_any(trials, lambda t: _last_batch_missing(t.case, t.seen))
            and not in_any(trials, lambda t: t.case.name == "one_batch_an_epoch" and not _all_there(t.case, t.seen))
        ),
        "pseudo_labels_in_train_mode": lambda trials: in_any(trials, lambda t: "train" in _modes(_asked(t.seen))),
    },
    exact=False,
)
