"""Unit 07, pseudo-labels, first notebook: references, criteria with points, known mistakes, other right answers.

Mistakes and alternatives use only torch, F, nn and math, because a demo submission is made of their source.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Mistake, Trial, Values, close
from course_lib.exercises.judging import as_number, in_all, in_any, ran


def _vectors(*values: object) -> bool:
    """Whether all are tensors with one entry an image."""
    return all(isinstance(v, Tensor) and v.ndim == 1 for v in values)


# --- 7.1 pseudo_label -----------------------------------------------------------------------------------------------


def _reference_pseudo_label(model, images):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        probabilities = torch.cat([model(batch) for batch in images.split(500)]).softmax(dim=1)
    for module, was_training in modes:
        module.training = was_training
    confidences, labels = probabilities.max(dim=1)
    return labels, confidences


def batch_after_batch(model, images):
    at_work = [module for module in model.modules() if module.training]
    model.eval()
    labels, confidences = [], []
    with torch.inference_mode():
        for start in range(0, len(images), 100):
            logits = model(images[start : start + 100])
            labels.append(logits.argmax(dim=1))
            confidences.append(torch.exp(logits.max(dim=1).values - logits.logsumexp(dim=1)))
    for module in at_work:
        module.training = True
    return torch.cat(labels), torch.cat(confidences)


def on_a_resting_copy(model, images):
    import copy

    resting = copy.deepcopy(model).eval()
    with torch.no_grad():
        log_probabilities = torch.cat([F.log_softmax(resting(batch), dim=-1) for batch in images.split(256)])
    confidences, labels = log_probabilities.topk(1, dim=1)
    return labels[:, 0], confidences[:, 0].exp()


def asked_in_train_mode(model, images):
    with torch.no_grad():
        confidences, labels = model(images).softmax(dim=1).max(dim=1)
    return labels, confidences


def gradients_on(model, images):
    was_training = model.training
    model.eval()
    confidences, labels = model(images).softmax(dim=1).max(dim=1)
    model.train(was_training)
    return labels, confidences


def gradients_cut_afterwards(model, images):
    was_training = model.training
    model.eval()
    confidences, labels = model(images).detach().softmax(dim=1).max(dim=1)
    model.train(was_training)
    return labels, confidences


def gradients_off_for_good(model, images):
    was_training = model.training
    model.eval()
    torch.set_grad_enabled(False)
    confidences, labels = model(images).softmax(dim=1).max(dim=1)
    model.train(was_training)
    return labels, confidences


def weights_frozen_for_good(model, images):
    was_training = model.training
    model.eval().requires_grad_(False)
    with torch.no_grad():
        confidences, labels = model(images).softmax(dim=1).max(dim=1)
    model.train(was_training)
    return labels, confidences


def left_in_eval_mode(model, images):
    model.eval()
    with torch.no_grad():
        confidences, labels = model(images).softmax(dim=1).max(dim=1)
    return labels, confidences


def woken_up(model, images):
    model.eval()
    with torch.no_grad():
        confidences, labels = model(images).softmax(dim=1).max(dim=1)
    model.train()
    return labels, confidences


def parts_woken_up(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, labels = torch.cat([model(part) for part in images.split(256)]).softmax(dim=1).max(dim=1)
    model.train(was_training)
    return labels, confidences


def all_at_once(model, images):
    modes = {module: module.training for module in model.modules()}
    model.eval()
    with torch.no_grad():
        confidences, labels = model(images).softmax(dim=1).max(dim=1)
    for module, mode in modes.items():
        module.training = mode
    return labels, confidences


def last_batch_dropped(model, images):
    modes = {module: module.training for module in model.modules()}
    model.eval()
    size = min(256, len(images))
    with torch.no_grad():
        logits = torch.cat([model(images[i * size : (i + 1) * size]) for i in range(len(images) // size)])
    for module, mode in modes.items():
        module.training = mode
    confidences, labels = logits.softmax(dim=1).max(dim=1)
    return labels, confidences


def in_shuffled_order(model, images):
    was_training = model.training
    model.eval()
    order = torch.randperm(len(images), device=images.device)
    with torch.no_grad():
        confidences, labels = model(images[order]).softmax(dim=1).max(dim=1)
    model.train(was_training)
    return labels, confidences


def two_permutations(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, labels = model(images).softmax(dim=1).max(dim=1)
    model.train(was_training)
    return labels, confidences[torch.randperm(len(images), device=images.device)]


def largest_logit(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, labels = model(images).max(dim=1)
    model.train(was_training)
    return labels, confidences


def largest_log_probability(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, labels = model(images).log_softmax(dim=1).max(dim=1)
    model.train(was_training)
    return labels, confidences


def softmax_over_images(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, labels = model(images).softmax(dim=0).max(dim=1)
    model.train(was_training)
    return labels, confidences


def maximum_over_images(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, labels = model(images).softmax(dim=1).max(dim=0)
    model.train(was_training)
    return labels, confidences


def sigmoid_of_logits(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, labels = model(images).sigmoid().max(dim=1)
    model.train(was_training)
    return labels, confidences


def softmax_twice(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, labels = model(images).softmax(dim=1).softmax(dim=1).max(dim=1)
    model.train(was_training)
    return labels, confidences


def confidences_first(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, labels = model(images).softmax(dim=1).max(dim=1)
    model.train(was_training)
    return confidences, labels


def probabilities_as_labels(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        probabilities = model(images).softmax(dim=1)
    model.train(was_training)
    return probabilities, probabilities.max(dim=1).values


def labels_as_floats(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, labels = model(images).softmax(dim=1).max(dim=1)
    model.train(was_training)
    return labels.float(), confidences


def margin_of_the_best_two(model, images):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        best, labels = model(images).softmax(dim=1).topk(2, dim=1)
    model.train(was_training)
    return labels[:, 0], best[:, 0] - best[:, 1]


def _resting_logits(case: Case) -> Tensor:
    """The logits of the case's network at rest; the judge builds the network again."""
    from course_lib.exercises.pseudo_labels_1 import _Watched

    model = _Watched(case.inputs["images"][0].numel(), case.inputs["num_classes"], case.inputs["seed"]).eval()
    with torch.no_grad():
        return model(case.inputs["images"])


def _confidences_are(trials: Sequence[Trial], of_logits: Callable[[Tensor], Tensor]) -> bool:
    found = ran(trials)
    return bool(found) and all(
        isinstance(t.seen["confidences"], Tensor) and close(t.seen["confidences"], of_logits(_resting_logits(t.case)))
        for t in found
    )


def _same_but_elsewhere(seen: object, expected: Tensor) -> bool:
    """The right numbers in another order."""
    return (
        isinstance(seen, Tensor) and seen.shape == expected.shape and not close(seen, expected)
        and close(seen.double().sort().values, expected.double().sort().values)
    )  # fmt: skip


pseudo_label = Judge(
    reference=_reference_pseudo_label,
    criteria=(
        Criterion(
            "labels", 1, "image i gets the class that the network at rest finds most probable, int64",
            lambda c, s, e: close(s["labels"], e["labels"]) and s["labels_dtype"] == "torch.int64",
        ),
        Criterion(
            "confidences", 1, "its confidence is the probability of that class",
            lambda c, s, e: close(s["confidences"], e["confidences"]),
        ),
        Criterion(
            "at_rest", 1, "the network is asked in eval mode, and none of its numbers moves",
            lambda c, s, e: s["modes"] == ["eval"] and close(s["running_mean_after"], e["running_mean_after"])
            and s["weights_require_grad_after"] == e["weights_require_grad_after"],
        ),
        Criterion(
            "no_gradients", 1, "memory is spared: no gradients are kept meanwhile (afterwards they are on again), and "
            "many images are asked in batches",
            lambda c, s, e: s["gradients"] == ["off"] and s["confidences_graph"] == "none"
            and s["grad_mode_after"] == "on" and s.get("most_at_once", 0) < 2_000,
        ),
        Criterion(
            "mode_restored", 1, "afterwards the network, and each part of it, is in the mode that it was in",
            lambda c, s, e: bool(s["modes"]) and s["mode_after"] == c.inputs["mode_before"]
            and s["modes_of_parts"] == e["modes_of_parts"],
        ),
    ),
    mistakes=(
        Mistake(
            "asked_in_train_mode", asked_in_train_mode,
            "The network is asked in train mode: dropout blots numbers out, and batch normalization judges an image "
            "by its neighbors. Switch to eval mode first.",
            # batch normalization refuses a single image in train mode
            behaves=lambda trials: in_any(trials, lambda t: "train" in t.seen["modes"])
            or any(t.error and "more than 1 value per channel" in t.error.text for t in trials),
        ),
        Mistake(
            "gradients_off_for_good", gradients_off_for_good,
            "Gradients are still off when you return, so nothing can be trained afterwards. `with torch.no_grad():` "
            "puts them back by itself.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen["grad_mode_after"] == "off"),
        ),
        Mistake(
            "weights_frozen_for_good", weights_frozen_for_good,
            "You switch `requires_grad` of the weights off, and it stays off: the network can no longer learn. Asking "
            "it needs `torch.no_grad()` only.",
            behaves=lambda trials: in_any(trials, lambda t: 0 in t.seen["weights_require_grad_after"]),
        ),
        Mistake(
            "gradients_on", gradients_on,
            "The confidences still hang on the graph: memory for gradients is kept for thousands of images, and a "
            "loss could pull its own target along. Ask without gradients.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen["confidences_graph"] == "kept"),
        ),
        Mistake(
            "gradients_cut_afterwards", gradients_cut_afterwards,
            "You cut the graph after it has been built: for thousands of images the memory is spent by then. Do not "
            "build it at all.",
            behaves=lambda trials: in_any(trials, lambda t: "on" in t.seen["gradients"]),
        ),
        Mistake(
            "left_in_eval_mode", left_in_eval_mode,
            "Afterwards the network is still in eval mode, and training that goes on would go on wrongly. Put back "
            "the mode that you found.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["mode_before"] == "train" and t.seen["mode_after"] == "eval"
            ),
        ),
        Mistake(
            "woken_up", woken_up,
            "A network that came in eval mode leaves in train mode. Remember `model.training` before you change it.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["mode_before"] == "eval" and t.seen["mode_after"] == "train"
            ),
        ),
        Mistake(
            "confidences_first", confidences_first,
            "Labels and confidences are exchanged: labels come first. `max` gives values first, then indices.",
            behaves=lambda trials: in_all(
                trials, lambda t: close(t.seen["labels"], t.expected["confidences"])
                and close(t.seen["confidences"], t.expected["labels"]),
            ),
        ),
        Mistake(
            "probabilities_as_labels", probabilities_as_labels,
            "Your labels have a number for every class. A pseudo-label is the one class with the largest, `(N,)`.",
            behaves=lambda trials: in_all(
                trials, lambda t: isinstance(t.seen["labels"], Tensor) and t.seen["labels"].ndim == 2
                and t.seen["labels"].shape[1] == t.case.inputs["num_classes"],
            ),
        ),
        Mistake(
            "labels_as_floats", labels_as_floats,
            "Your labels are {dtype}. Classes are whole numbers, int64: a loss takes nothing else, and nothing can be "
            "indexed by it.",
            behaves=lambda trials: in_all(
                trials, lambda t: close(t.seen["labels"], t.expected["labels"])
                and t.seen["labels_dtype"] != "torch.int64",
            ) and {"dtype": ran(trials)[0].seen["labels_dtype"].removeprefix("torch.")},
        ),
        Mistake(
            "maximum_over_images", maximum_over_images,
            "You take the maximum over the images: one image for each class. Wanted is one class for each image: the "
            "classes are dimension 1.",
            behaves=lambda trials: in_all(
                trials, lambda t: _vectors(t.seen["labels"])
                and len(t.seen["labels"]) == t.case.inputs["num_classes"],
            ),
        ),
        Mistake(
            "softmax_over_images", softmax_over_images,
            "Your probabilities sum to one over the images of the batch, so each image is judged by its company. They "
            "must sum to one over the classes: dimension 1.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name == "one" and close(t.seen["confidences"], torch.ones(1))
            ),
        ),
        Mistake(
            "largest_logit", largest_logit,
            "Your confidences are logits: they are not between 0 and 1, and a threshold on them means nothing. Make "
            "probabilities of them first.",
            behaves=lambda trials: _confidences_are(trials, lambda z: z.max(dim=1).values),
        ),
        Mistake(
            "largest_log_probability", largest_log_probability,
            "Your confidences are logarithms of probabilities, all below zero: no threshold is ever reached. Take the "
            "probabilities themselves.",
            behaves=lambda trials: _confidences_are(trials, lambda z: z.log_softmax(dim=1).max(dim=1).values),
        ),
        Mistake(
            "sigmoid_of_logits", sigmoid_of_logits,
            "A sigmoid looks at each class by itself, and several can be near 1 at once. The classes exclude each "
            "other: their probabilities sum to one.",
            behaves=lambda trials: _confidences_are(trials, lambda z: z.sigmoid().max(dim=1).values),
        ),
        Mistake(
            "softmax_twice", softmax_twice,
            "A softmax of probabilities flattens them: nobody ever gets sure. One softmax, of the logits.",
            behaves=lambda trials: _confidences_are(trials, lambda z: z.softmax(1).softmax(1).max(dim=1).values),
        ),
        Mistake(
            "margin_of_the_best_two", margin_of_the_best_two,
            "That is the lead of the best class over the second. The confidence asked for is the probability of the "
            "best.",
            behaves=lambda trials: _confidences_are(
                trials, lambda z: z.softmax(1).topk(2, dim=1).values @ torch.tensor([1.0, -1.0])
            ),
        ),
        Mistake(
            "in_shuffled_order", in_shuffled_order,
            "The right labels, in another order: image i gets the label of another. Ask the images in the order in "
            "which they came.",
            behaves=lambda trials: in_any(
                trials, lambda t: _same_but_elsewhere(t.seen["confidences"], t.expected["confidences"])
            ) and in_any(trials, lambda t: not close(t.seen["labels"], t.expected["labels"])),
        ),
        Mistake(
            "two_permutations", two_permutations,
            "The labels are in place, but their confidences stand in another order. Shuffle neither.",
            behaves=lambda trials: in_any(
                trials, lambda t: _same_but_elsewhere(t.seen["confidences"], t.expected["confidences"])
            ),
        ),
        Mistake(
            "last_batch_dropped", last_batch_dropped,
            "Images are missing at the end: your batches stop before the last one, which is not full. Every image gets "
            "its label.",
            behaves=lambda trials: in_any(
                trials, lambda t: _vectors(t.seen["labels"]) and 0 < len(t.seen["labels"]) < len(t.expected["labels"])
            ),
        ),
        Mistake(
            "parts_woken_up", parts_woken_up,
            "`model.train(mode)` gives all parts one mode, and wakes up a part that was at rest, such as a frozen one. "
            "Note the mode of each of `model.modules()`, and put each back.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.seen["mode_after"] == t.case.inputs["mode_before"]
                and t.seen["modes_of_parts"] != t.expected["modes_of_parts"]
            ),
        ),
        Mistake(
            "all_at_once", all_at_once,
            "All images go through the network in one go: with thousands of real ones the memory does not hold what "
            "its layers compute. Ask in batches, and join the answers.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen.get("most_at_once", 0) >= 2_000),
        ),
    ),
    alternatives=(batch_after_batch, on_a_resting_copy),
)  # fmt: skip


# --- 7.2 select_confident -------------------------------------------------------------------------------------------


def _reference_select(labels, confidences, tau, *, per_class=None):
    positions = (confidences >= tau).nonzero().squeeze(1)
    if per_class is None:
        return positions
    kept = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
    for k in labels[positions].unique():
        own = positions[labels[positions] == k]
        kept[own[confidences[own].argsort(descending=True)[:per_class]]] = True
    return kept.nonzero().squeeze(1)


def counted_down_the_ranking(labels, confidences, tau, *, per_class=None):
    taken: dict = {}
    kept = []
    for i in confidences.argsort(descending=True).tolist():
        label = int(labels[i])
        if confidences[i] >= tau and (per_class is None or taken.get(label, 0) < per_class):
            taken[label] = taken.get(label, 0) + 1
            kept.append(i)
    return torch.tensor(sorted(kept), dtype=torch.int64, device=labels.device)


def by_rank_within_the_class(labels, confidences, tau, *, per_class=None):
    sure = confidences >= tau
    better = (labels[None, :] == labels[:, None]) & (confidences[None, :] > confidences[:, None])  # (N, N)
    if per_class is not None:
        sure = sure & (better.sum(dim=1) < per_class)
    return torch.where(sure)[0]


def strictly_above(labels, confidences, tau, *, per_class=None):
    positions = (confidences > tau).nonzero().squeeze(1)
    if per_class is None:
        return positions
    parts = [positions[labels[positions] == k] for k in labels[positions].unique()]
    parts = [own[confidences[own].argsort(descending=True)[:per_class]] for own in parts]
    return torch.cat([positions[:0], *parts]).sort().values


def the_unsure_ones(labels, confidences, tau, *, per_class=None):
    positions = (confidences < tau).nonzero().squeeze(1)
    if per_class is None:
        return positions
    parts = [positions[labels[positions] == k] for k in labels[positions].unique()]
    parts = [own[confidences[own].argsort(descending=True)[:per_class]] for own in parts]
    return torch.cat([positions[:0], *parts]).sort().values


def limit_ignored(labels, confidences, tau, *, per_class=None):
    return (confidences >= tau).nonzero().squeeze(1)


def limit_over_all_classes(labels, confidences, tau, *, per_class=None):
    positions = (confidences >= tau).nonzero().squeeze(1)
    if per_class is None:
        return positions
    best = confidences[positions].argsort(descending=True)
    return positions[best[: per_class * len(labels.unique())]].sort().values


def limit_for_all_together(labels, confidences, tau, *, per_class=None):
    positions = (confidences >= tau).nonzero().squeeze(1)
    if per_class is None:
        return positions
    return positions[confidences[positions].argsort(descending=True)[:per_class]].sort().values


def threshold_dropped_with_a_limit(labels, confidences, tau, *, per_class=None):
    if per_class is None:
        return (confidences >= tau).nonzero().squeeze(1)
    everyone = torch.arange(len(labels), device=labels.device)
    parts = [everyone[labels == k] for k in labels.unique()]
    return torch.cat([own[confidences[own].argsort(descending=True)[:per_class]] for own in parts]).sort().values


def the_first_ones(labels, confidences, tau, *, per_class=None):
    positions = (confidences >= tau).nonzero().squeeze(1)
    if per_class is None:
        return positions
    parts = [positions[labels[positions] == k][:per_class] for k in labels[positions].unique()]
    return torch.cat([positions[:0], *parts]).sort().values


def the_least_sure_ones(labels, confidences, tau, *, per_class=None):
    positions = (confidences >= tau).nonzero().squeeze(1)
    if per_class is None:
        return positions
    parts = [positions[labels[positions] == k] for k in labels[positions].unique()]
    parts = [own[confidences[own].argsort()[:per_class]] for own in parts]
    return torch.cat([positions[:0], *parts]).sort().values


def class_after_class(labels, confidences, tau, *, per_class=None):
    positions = (confidences >= tau).nonzero().squeeze(1)
    if per_class is None:
        return positions
    parts = [positions[labels[positions] == k] for k in labels[positions].unique()]
    parts = [own[confidences[own].argsort(descending=True)[:per_class]] for own in parts]
    return torch.cat([positions[:0], *parts])


def in_order_of_confidence(labels, confidences, tau, *, per_class=None):
    positions = (confidences >= tau).nonzero().squeeze(1)
    if per_class is not None:
        parts = [positions[labels[positions] == k] for k in labels[positions].unique()]
        parts = [own[confidences[own].argsort(descending=True)[:per_class]] for own in parts]
        positions = torch.cat([positions[:0], *parts])
    return positions[confidences[positions].argsort(descending=True)]


def zero_for_no_limit(labels, confidences, tau, *, per_class=None):
    positions = (confidences >= tau).nonzero().squeeze(1)
    if not per_class:
        return positions
    parts = [positions[labels[positions] == k] for k in labels[positions].unique()]
    parts = [own[confidences[own].argsort(descending=True)[:per_class]] for own in parts]
    return torch.cat([positions[:0], *parts]).sort().values


def a_number_for_a_single_one(labels, confidences, tau, *, per_class=None):
    positions = (confidences >= tau).nonzero().squeeze()
    if per_class is None:
        return positions
    kept = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
    for k in labels[positions].unique():
        own = positions[labels[positions] == k]
        kept[own[confidences[own].argsort(descending=True)[:per_class]]] = True
    return kept.nonzero().squeeze()


def a_mask(labels, confidences, tau, *, per_class=None):
    kept = confidences >= tau
    if per_class is not None:
        better = (labels[None, :] == labels[:, None]) & (confidences[None, :] > confidences[:, None])
        kept = kept & (better.sum(dim=1) < per_class)
    return kept


def positions_within_the_selection(labels, confidences, tau, *, per_class=None):
    sure = confidences >= tau
    labels, confidences = labels[sure], confidences[sure]
    if per_class is None:
        return torch.arange(len(labels), device=labels.device)
    better = (labels[None, :] == labels[:, None]) & (confidences[None, :] > confidences[:, None])
    return (better.sum(dim=1) < per_class).nonzero().squeeze(1)


def positions_in_a_column(labels, confidences, tau, *, per_class=None):
    kept = confidences >= tau
    if per_class is not None:
        better = (labels[None, :] == labels[:, None]) & (confidences[None, :] > confidences[:, None])
        kept = kept & (better.sum(dim=1) < per_class)
    return kept.nonzero()


def the_chosen_labels(labels, confidences, tau, *, per_class=None):
    kept = confidences >= tau
    if per_class is not None:
        better = (labels[None, :] == labels[:, None]) & (confidences[None, :] > confidences[:, None])
        kept = kept & (better.sum(dim=1) < per_class)
    return labels[kept]


def everyone_when_nobody_is_sure(labels, confidences, tau, *, per_class=None):
    kept = confidences >= tau
    if not kept.any():
        return torch.arange(len(labels), device=labels.device)
    if per_class is not None:
        better = (labels[None, :] == labels[:, None]) & (confidences[None, :] > confidences[:, None])
        kept = kept & (better.sum(dim=1) < per_class)
    return kept.nonzero().squeeze(1)


def fails_when_nobody_is_sure(labels, confidences, tau, *, per_class=None):
    positions = (confidences >= tau).nonzero().squeeze(1)
    if per_class is None:
        return positions
    parts = [positions[labels[positions] == k] for k in labels[positions].unique()]
    return torch.cat([own[confidences[own].argsort(descending=True)[:per_class]] for own in parts]).sort().values


_NO_LIMIT = ("plain", "exactly_the_threshold", "nobody_is_sure")
_NOBODY = ("nobody_is_sure", "nobody_is_sure_with_a_limit")


def _positions(trial: Trial) -> list[int]:
    """The positions seen, as numbers; empty where there is no vector of them."""
    seen = trial.seen["positions"]
    if isinstance(seen, Tensor):
        return [int(i) for i in seen.flatten().tolist()] if seen.dtype not in (torch.bool,) else []
    return [int(i) for i in seen] if isinstance(seen, list) else []


def _as_asked(case: Case, seen: Values, expected: Values) -> bool:
    return seen["dtype"] == "torch.int64" and close(seen["positions"], expected["positions"])


def _sorted_as_asked(case: Case, seen: Values, expected: Values) -> bool:
    """The right images, whatever their order."""
    return close(seen["positions"].long().sort().values, expected["positions"])


def _chooses_as(trials: Sequence[Trial], fn: Callable[..., Tensor]) -> bool:
    """Whether every case comes out as `fn` would choose, order aside."""

    def same(t: Trial) -> bool:
        try:
            theirs = fn(*(t.case.inputs[key] for key in ("labels", "confidences", "tau")),
                        per_class=t.case.inputs["per_class"])  # fmt: skip
        except Exception:
            return False
        return sorted(_positions(t)) == sorted(theirs.tolist())

    return in_all(trials, lambda t: isinstance(t.seen["positions"], (Tensor, list)) and same(t)) and in_any(
        trials, lambda t: sorted(_positions(t)) != t.expected["positions"].tolist()
    )


def _chosen_right(trials: Sequence[Trial]) -> bool:
    return in_all(trials, lambda t: sorted(_positions(t)) == t.expected["positions"].tolist())


select_confident = Judge(
    reference=_reference_select,
    criteria=(
        Criterion(
            "threshold", 1, "without a limit: all whose confidence is at least tau", _sorted_as_asked, _NO_LIMIT[:2]
        ),
        Criterion(
            "limit", 1, "with a limit: of each class the most confident of those, and no more than per_class",
            _sorted_as_asked,
            ("limit", "most_say_one_class", "limit_of_one", "limit_not_reached", "float64", "limit_of_zero"),
        ),
        Criterion(
            "nobody", 1, "where nobody is sure, there is an empty tensor of positions",
            lambda c, s, e: _as_asked(c, s, e) and bool(s["labels_after"].shape), _NOBODY,
        ),
        Criterion(
            "in_order", 1, "positions, int64, one dimension, ascending; what was given stays as it was",
            lambda c, s, e: _as_asked(c, s, e) and close(s["labels_after"], c.inputs["labels"])
            and close(s["confidences_after"], c.inputs["confidences"]),
            ("plain", "limit", "most_say_one_class", "float64", "one_is_sure"),
        ),
    ),
    mistakes=(
        Mistake(
            "a_mask", a_mask,
            "You return a mask of true and false. Positions are asked for: `nonzero()` finds them.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["dtype"] == "torch.bool"),
        ),
        Mistake(
            "positions_in_a_column", positions_in_a_column,
            "Your positions stand in a column, `(M, 1)`, as `nonzero()` gives them. One dimension is asked for.",
            behaves=lambda trials: in_all(
                trials, lambda t: isinstance(t.seen["positions"], Tensor) and t.seen["positions"].ndim == 2
            ),
        ),
        Mistake(
            "the_chosen_labels", the_chosen_labels,
            "You return the labels of the chosen images. Return their positions, so that the images can be found too.",
            behaves=lambda trials: in_all(
                trials, lambda t: _vectors(t.seen["positions"])
                and close(t.seen["positions"], t.case.inputs["labels"][t.expected["positions"]]),
            ),
        ),
        Mistake(
            "positions_within_the_selection", positions_within_the_selection,
            "You count within the images that passed the threshold. Positions are those among all images.",
            behaves=lambda trials: _chooses_as(trials, positions_within_the_selection),
        ),
        Mistake(
            "the_unsure_ones", the_unsure_ones,
            "You keep the images that the network is not sure of: the comparison is the wrong way round.",
            behaves=lambda trials: _chooses_as(trials, the_unsure_ones),
        ),
        Mistake(
            "strictly_above", strictly_above,
            "An image whose confidence is exactly tau is left out. At least tau: equal counts too.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name == "exactly_the_threshold"
                and sorted(_positions(t)) == (t.case.inputs["confidences"] > 0.75).nonzero().squeeze(1).tolist(),
            ),
        ),
        Mistake(
            "everyone_when_nobody_is_sure", everyone_when_nobody_is_sure,
            "When nobody is sure you take everyone, the very images that the threshold is there to keep out. Return "
            "an empty tensor of positions.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name in _NOBODY and bool(_positions(t))
            ) and not in_any(trials, lambda t: t.case.name not in _NOBODY and not _sorted_as_asked(*t[:3])),
        ),
        Mistake(
            "limit_ignored", limit_ignored,
            "`per_class` changes nothing: a class that the network likes fills the selection. Keep at most that many "
            "of each class.",
            behaves=lambda trials: _chooses_as(trials, limit_ignored),
        ),
        Mistake(
            "zero_for_no_limit", zero_for_no_limit,
            "A limit of 0 means none of each class, but you take it for no limit at all: `if per_class` is false for "
            "0 too. Ask whether it `is None`.",
            behaves=lambda trials: {
                t.case.name for t in ran(trials) if sorted(_positions(t)) != t.expected["positions"].tolist()
            } == {"limit_of_zero"} and in_any(trials, lambda t: t.case.name == "limit_of_zero" and bool(_positions(t))),
        ),
        Mistake(
            "a_number_for_a_single_one", a_number_for_a_single_one,
            "When a single image is chosen you return a number, not a tensor with one entry: `squeeze()` drops every "
            "dimension of size 1. Tell it which, `squeeze(1)`.",
            behaves=lambda trials: in_any(
                trials, lambda t: isinstance(t.seen["positions"], Tensor) and t.seen["positions"].ndim == 0
            ),
        ),
        Mistake(
            "limit_for_all_together", limit_for_all_together,
            "You keep `per_class` images in all. The limit is for each class by itself.",
            behaves=lambda trials: _chooses_as(trials, limit_for_all_together),
        ),
        Mistake(
            "limit_over_all_classes", limit_over_all_classes,
            "You rank all images together, so a class that the network is fond of takes the places of the others. "
            "Rank each class by itself.",
            behaves=lambda trials: _chooses_as(trials, limit_over_all_classes),
        ),
        Mistake(
            "threshold_dropped_with_a_limit", threshold_dropped_with_a_limit,
            "With a limit, images below the threshold come in: classes are filled up with guesses. The threshold "
            "holds for all, the limit after it.",
            behaves=lambda trials: _chooses_as(trials, threshold_dropped_with_a_limit),
        ),
        Mistake(
            "the_first_ones", the_first_ones,
            "You keep the first images of each class, not the most confident ones. Rank by confidence before you cut.",
            behaves=lambda trials: _chooses_as(trials, the_first_ones),
        ),
        Mistake(
            "the_least_sure_ones", the_least_sure_ones,
            "Of each class you keep the least confident that pass. `argsort` ascends unless it is told to descend.",
            behaves=lambda trials: _chooses_as(trials, the_least_sure_ones),
        ),
        Mistake(
            "in_order_of_confidence", in_order_of_confidence,
            "The right images, but in order of confidence. Ascending positions are asked for, so that they can be "
            "compared and joined.",
            behaves=lambda trials: _chosen_right(trials) and in_any(
                trials, lambda t: t.case.name == "plain" and not close(t.seen["positions"], t.expected["positions"])
            ),
        ),
        Mistake(
            "class_after_class", class_after_class,
            "The right images, but class after class. Put the positions back in ascending order at the end.",
            behaves=lambda trials: _chosen_right(trials) and in_any(
                trials, lambda t: isinstance(t.seen["positions"], Tensor)
                and not close(t.seen["positions"], t.expected["positions"]),
            ),
        ),
        Mistake(
            "fails_when_nobody_is_sure", fails_when_nobody_is_sure,
            "It works until no image passes the threshold: then there is nothing to join, and it stops. An empty "
            "selection is an answer too.",
            behaves=lambda trials: any(t.error and t.case.name in _NOBODY for t in trials)
            and not any(t.error for t in trials if t.case.name not in _NOBODY),
        ),
    ),
    alternatives=(counted_down_the_ranking, by_rank_within_the_class),
)  # fmt: skip


# --- 7.3 expected_calibration_error ---------------------------------------------------------------------------------


def _reference_calibration(logits, labels, *, num_bins=10):
    """By numpy's histograms, so that it shares no line with what a learner writes."""
    values = logits.double().numpy()
    shifted = np.exp(values - values.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    confidences = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == labels.numpy()).astype(float)
    edges = np.linspace(0, 1, num_bins + 1)
    by_right, _ = np.histogram(confidences, edges, weights=right)
    by_confidence, _ = np.histogram(confidences, edges, weights=confidences)
    return float(np.abs(by_right - by_confidence).sum() / len(labels))


def bin_by_bin(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    right = (predicted == labels).to(confidences.dtype)
    error = 0.0
    for m in range(num_bins):
        inside = (confidences > m / num_bins) & (confidences <= (m + 1) / num_bins)
        if inside.any():
            share = inside.sum().item() / len(labels)
            error += share * abs(right[inside].mean().item() - confidences[inside].mean().item())
    return error


def sums_by_index_add(logits, labels, *, num_bins=10):
    confidences, predicted = F.softmax(logits, dim=-1).max(dim=-1)
    place = (confidences * num_bins).long().clamp(max=num_bins - 1)
    right = (predicted == labels).to(confidences.dtype)
    gap = torch.zeros(num_bins, dtype=confidences.dtype).index_add(0, place, right - confidences)
    return (gap.abs().sum() / len(labels)).item()


def mean_of_bins(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    right = (predicted == labels).to(confidences.dtype)
    gaps = []
    for m in range(num_bins):
        inside = (confidences > m / num_bins) & (confidences <= (m + 1) / num_bins)
        if inside.any():
            gaps.append(abs(right[inside].mean().item() - confidences[inside].mean().item()))
    return sum(gaps) / len(gaps)


def mean_of_all_bins(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    right = (predicted == labels).to(confidences.dtype)
    total = 0.0
    for m in range(num_bins):
        inside = (confidences > m / num_bins) & (confidences <= (m + 1) / num_bins)
        if inside.any():
            total += abs(right[inside].mean().item() - confidences[inside].mean().item())
    return total / num_bins


def largest_gap(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    right = (predicted == labels).to(confidences.dtype)
    worst = 0.0
    for m in range(num_bins):
        inside = (confidences > m / num_bins) & (confidences <= (m + 1) / num_bins)
        if inside.any():
            worst = max(worst, abs(right[inside].mean().item() - confidences[inside].mean().item()))
    return worst


def sum_of_gaps(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    right = (predicted == labels).to(confidences.dtype)
    total = 0.0
    for m in range(num_bins):
        inside = (confidences > m / num_bins) & (confidences <= (m + 1) / num_bins)
        if inside.any():
            total += abs(right[inside].mean().item() - confidences[inside].mean().item())
    return total


def gaps_with_signs(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    right = (predicted == labels).to(confidences.dtype)
    error = 0.0
    for m in range(num_bins):
        inside = (confidences > m / num_bins) & (confidences <= (m + 1) / num_bins)
        if inside.any():
            share = inside.sum().item() / len(labels)
            error += share * (right[inside].mean().item() - confidences[inside].mean().item())
    return error


def sign_dropped_at_the_end(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    return abs((predicted == labels).to(confidences.dtype).mean().item() - confidences.mean().item())


def gaps_squared(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    right = (predicted == labels).to(confidences.dtype)
    error = 0.0
    for m in range(num_bins):
        inside = (confidences > m / num_bins) & (confidences <= (m + 1) / num_bins)
        if inside.any():
            share = inside.sum().item() / len(labels)
            error += share * (right[inside].mean().item() - confidences[inside].mean().item()) ** 2
    return error


def image_by_image(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    return ((predicted == labels).to(confidences.dtype) - confidences).abs().mean().item()


def bins_of_logits(logits, labels, *, num_bins=10):
    confidences, predicted = logits.max(dim=1)
    right = (predicted == labels).to(confidences.dtype)
    error = 0.0
    for m in range(num_bins):
        inside = (confidences > m / num_bins) & (confidences <= (m + 1) / num_bins)
        if inside.any():
            share = inside.sum().item() / len(labels)
            error += share * abs(right[inside].mean().item() - confidences[inside].mean().item())
    return error


def probability_of_the_label(logits, labels, *, num_bins=10):
    probabilities = logits.softmax(dim=1)
    confidences = probabilities.gather(1, labels[:, None]).squeeze(1)
    right = (probabilities.argmax(dim=1) == labels).to(confidences.dtype)
    error = 0.0
    for m in range(num_bins):
        inside = (confidences > m / num_bins) & (confidences <= (m + 1) / num_bins)
        if inside.any():
            share = inside.sum().item() / len(labels)
            error += share * abs(right[inside].mean().item() - confidences[inside].mean().item())
    return error


def middle_of_the_bin(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    right = (predicted == labels).to(confidences.dtype)
    error = 0.0
    for m in range(num_bins):
        inside = (confidences > m / num_bins) & (confidences <= (m + 1) / num_bins)
        if inside.any():
            share = inside.sum().item() / len(labels)
            error += share * abs(right[inside].mean().item() - (m + 0.5) / num_bins)
    return error


def nan_of_empty_bins(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    right = (predicted == labels).to(confidences.dtype)
    error = 0.0
    for m in range(num_bins):
        inside = (confidences > m / num_bins) & (confidences <= (m + 1) / num_bins)
        share = inside.sum().item() / len(labels)
        error += share * abs(right[inside].mean().item() - confidences[inside].mean().item())
    return error


def certain_ones_left_out(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    right = (predicted == labels).to(confidences.dtype)
    error = 0.0
    for m in range(num_bins):
        inside = (confidences >= m / num_bins) & (confidences < (m + 1) / num_bins)
        if inside.any():
            share = inside.sum().item() / len(labels)
            error += share * abs(right[inside].mean().item() - confidences[inside].mean().item())
    return error


def certain_ones_beyond_the_last_bin(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    place = (confidences * num_bins).long()
    right = (predicted == labels).to(confidences.dtype)
    gap = torch.zeros(num_bins, dtype=confidences.dtype).index_add(0, place, right - confidences)
    return (gap.abs().sum() / len(labels)).item()


def ten_bins_whatever_is_asked(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    right = (predicted == labels).to(confidences.dtype)
    error = 0.0
    for m in range(10):
        inside = (confidences > m / 10) & (confidences <= (m + 1) / 10)
        if inside.any():
            share = inside.sum().item() / len(labels)
            error += share * abs(right[inside].mean().item() - confidences[inside].mean().item())
    return error


def bins_from_chance_to_one(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    right = (predicted == labels).to(confidences.dtype)
    edges = torch.linspace(1 / logits.shape[1], 1, num_bins + 1).tolist()
    error = 0.0
    for m in range(num_bins):
        inside = (confidences > edges[m]) & (confidences <= edges[m + 1])
        if inside.any():
            share = inside.sum().item() / len(labels)
            error += share * abs(right[inside].mean().item() - confidences[inside].mean().item())
    return error


def error_in_percent(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    place = (confidences * num_bins).long().clamp(max=num_bins - 1)
    right = (predicted == labels).to(confidences.dtype)
    gap = torch.zeros(num_bins, dtype=confidences.dtype).index_add(0, place, right - confidences)
    return 100 * (gap.abs().sum() / len(labels)).item()


def error_as_a_tensor(logits, labels, *, num_bins=10):
    confidences, predicted = logits.softmax(dim=1).max(dim=1)
    place = (confidences * num_bins).long().clamp(max=num_bins - 1)
    right = (predicted == labels).to(confidences.dtype)
    gap = torch.zeros(num_bins, dtype=confidences.dtype).index_add(0, place, right - confidences)
    return gap.abs().sum() / len(labels)


def _error_fine(case: Case, seen: Values, expected: Values) -> bool:
    return math.isclose(as_number(seen["error"]), expected["error"], rel_tol=1e-3, abs_tol=1e-4)


def _measures_as(trials: Sequence[Trial], fn: Callable[..., float]) -> bool:
    """Whether every case that works comes out as `fn` would measure it, tensors taken for numbers."""

    def same(t: Trial) -> bool:
        theirs = as_number(fn(t.case.inputs["logits"], t.case.inputs["labels"], num_bins=t.case.inputs["num_bins"]))
        return math.isclose(as_number(t.seen["error"]), theirs, rel_tol=1e-3, abs_tol=1e-4)

    return in_all(trials, same) and in_any(trials, lambda t: not _error_fine(*t[:3]))


def _measured_alike(name: str, fn: Callable[..., float], text: str) -> Mistake:
    return Mistake(name, fn, text, behaves=lambda trials: _measures_as(trials, fn))


_CERTAIN = "certain"

expected_calibration_error = Judge(
    reference=_reference_calibration,
    criteria=(
        Criterion(
            "value", 1, "the gaps between confidence and accuracy, without sign, each with its bin's share of images",
            _error_fine, ("plain", "modest_when_right", "fifteen_bins", "one_bin", "float64"),
        ),
        Criterion(
            "empty_bins", 1, "bins that nobody fell into count nothing", _error_fine, ("more_bins_than_images", "one")
        ),
        Criterion(_CERTAIN, 1, "a confidence of exactly 1 belongs to the last bin", _error_fine, ("certain",)),
        Criterion(
            "number", 1, "a plain number, from 0 to 1",
            lambda c, s, e: isinstance(s["error"], float) and 0 <= s["error"] <= 1,
        ),
    ),
    mistakes=(
        Mistake(
            "error_as_a_tensor", error_as_a_tensor,
            "You give back a tensor. Return a plain number: `.item()`.",
            behaves=lambda trials: in_all(trials, lambda t: isinstance(t.seen["error"], Tensor)),
        ),
        _measured_alike(
            "error_in_percent", error_in_percent,
            "Your error is in percent. Shares in this course go from 0 to 1.",
        ),
        Mistake(
            "nan_of_empty_bins", nan_of_empty_bins,
            "An empty bin has no mean: it makes NaN of everything. Leave out bins that nobody fell into.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name in ("more_bins_than_images", "one")
                and isinstance(t.seen["error"], (float, Tensor)) and math.isnan(as_number(t.seen["error"])),
            ),
        ),
        Mistake(
            "certain_ones_beyond_the_last_bin", certain_ones_beyond_the_last_bin,
            "It stops where a confidence is exactly 1: times the number of bins that is one place beyond the last. "
            "Such images belong to the last bin.",
            behaves=lambda trials: any(t.error and t.case.name == "certain" for t in trials)
            and not any(t.error for t in trials if t.case.name != "certain"),
        ),
        _measured_alike(
            "certain_ones_left_out", certain_ones_left_out,
            "Images with a confidence of exactly 1 fall out of your last bin, and they are the ones that a threshold "
            "lets through first. Close the bins at their upper edge.",
        ),
        _measured_alike(
            "bins_of_logits", bins_of_logits,
            "You put logits into the bins. A confidence is a probability: take the softmax first.",
        ),
        _measured_alike(
            "probability_of_the_label", probability_of_the_label,
            "You bin the probability of the TRUE class. Whoever sets a threshold does not know that class: the "
            "confidence is the largest probability.",
        ),
        _measured_alike(
            "gaps_with_signs", gaps_with_signs,
            "Gaps above and below cancel out: a network that is too modest here and too bold there looks perfect. "
            "Take each bin's gap without its sign.",
        ),
        _measured_alike(
            "sign_dropped_at_the_end", sign_dropped_at_the_end,
            "That is the gap of the two averages over all images, as if there were one bin. Compare bin by bin, and "
            "drop each bin's sign.",
        ),
        _measured_alike(
            "image_by_image", image_by_image,
            "You compare image by image: one image is right or wrong, never right to seventy percent. Average within "
            "a bin before you take the gap.",
        ),
        _measured_alike(
            "gaps_squared", gaps_squared,
            "You square the gaps. The error is their mean size: take absolute values.",
        ),
        _measured_alike(
            "largest_gap", largest_gap,
            "That is the largest gap of any bin. It is a measure too, but the EXPECTED error is the mean over images.",
        ),
        _measured_alike(
            "sum_of_gaps", sum_of_gaps,
            "You add the gaps up without weights. Each bin counts by its share of the images.",
        ),
        _measured_alike(
            "mean_of_bins", mean_of_bins,
            "All bins count alike, the one with three images as much as the one with three hundred. Weigh each by its "
            "share of the images.",
        ),
        _measured_alike(
            "mean_of_all_bins", mean_of_all_bins,
            "You divide by the number of bins, so empty bins lower the error. Weigh each bin by its share of the "
            "images.",
        ),
        _measured_alike(
            "middle_of_the_bin", middle_of_the_bin,
            "You compare with the middle of the bin. Compare with the mean confidence of the images in it.",
        ),
        _measured_alike(
            "ten_bins_whatever_is_asked", ten_bins_whatever_is_asked,
            "There are always ten bins, whatever is asked for. Use `num_bins`.",
        ),
        _measured_alike(
            "bins_from_chance_to_one", bins_from_chance_to_one,
            "Your bins begin at the lowest possible confidence. Divide the whole range from 0 to 1, or two networks "
            "cannot be compared.",
        ),
    ),
    alternatives=(bin_by_bin, sums_by_index_add),
)  # fmt: skip


# --- 7.4 self_training_round ----------------------------------------------------------------------------------------


def _reference_round(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    guessed, confidences = _reference_pseudo_label(model, unlabeled)
    chosen = _reference_select(guessed, confidences, tau)
    network = copy.deepcopy(start if restart else model)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return network, chosen


def pseudo_labels_first_in_the_batch(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    network = copy.deepcopy(start) if restart else copy.deepcopy(model)
    with torch.no_grad():
        confidences, guessed = copy.deepcopy(model).eval()(unlabeled).softmax(dim=1).max(dim=1)
    sure = confidences >= tau
    x, y = torch.cat([unlabeled[sure], images]), torch.cat([guessed[sure], labels])
    order = torch.randperm(len(x))
    train(network, x[order], y[order])
    return network, torch.where(sure)[0]


def weights_loaded_into_a_copy(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    network = copy.deepcopy(model)
    if restart:
        network.load_state_dict(start.state_dict())
    chosen = (confidences >= tau).nonzero().squeeze(1)
    x, y = images, labels
    if len(chosen):
        x, y = torch.cat([x, unlabeled[chosen]]), torch.cat([y, guessed[chosen]])
    train(network, x, y)
    return network, chosen


def restarted_before_asking(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    network = copy.deepcopy(start if restart else model)
    was_training = network.training
    network.eval()
    with torch.no_grad():
        confidences, guessed = network(unlabeled).softmax(dim=1).max(dim=1)
    network.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return network, chosen


def asked_while_training(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(start if restart else model)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return network, chosen


def start_trained_itself(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = start if restart else copy.deepcopy(model)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return network, chosen


def model_trained_itself(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    if restart:
        model.load_state_dict(start.state_dict())
    train(model, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return model, chosen


def always_restarted(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(start)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return network, chosen


def never_restarted(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(model)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return network, chosen


def restart_the_wrong_way_round(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(model if restart else start)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return network, chosen


def labeled_left_out(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(start if restart else model)
    train(network, unlabeled[chosen], guessed[chosen])
    return network, chosen


def labeled_relabeled(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
        again = model(images).argmax(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(start if restart else model)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([again, guessed[chosen]]))
    return network, chosen


def all_of_them_trained_on(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(start if restart else model)
    train(network, torch.cat([images, unlabeled]), torch.cat([labels, guessed]))
    return network, chosen


def labels_of_the_first_images(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(start if restart else model)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[: len(chosen)]]))
    return network, chosen


def joined_the_other_way_round(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(start if restart else model)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([guessed[chosen], labels]))
    return network, chosen


def earlier_pseudo_labels_kept(
    model,
    start,
    images,
    labels,
    unlabeled,
    *,
    tau,
    train,
    restart=True,
    kept=[],  # noqa: B006  the mistake itself
):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(start if restart else model)
    kept.append((unlabeled[chosen], guessed[chosen]))
    same = [(x, y) for x, y in kept if x.shape[1:] == images.shape[1:]]
    train(network, torch.cat([images, *(x for x, _ in same)]), torch.cat([labels, *(y for _, y in same)]))
    if len(kept) == 2:
        kept.clear()
    return network, chosen


def labeled_by_the_student(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    network = copy.deepcopy(start if restart else model)
    train(network, images, labels)
    mode = network.training
    network.eval()
    with torch.no_grad():
        confidences, guessed = network(unlabeled).softmax(dim=1).max(dim=1)
    network.train(mode)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return network, chosen


def trained_one_after_the_other(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(start if restart else model)
    train(network, images, labels)
    train(network, unlabeled[chosen], guessed[chosen])
    return network, chosen


def old_network_returned(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(start if restart else model)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return model, chosen


def result_of_train_returned(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    was_training = model.training
    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    model.train(was_training)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(start if restart else model)
    network = train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return network, chosen


def network_left_at_rest(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    import copy

    model.eval()
    with torch.no_grad():
        confidences, guessed = model(unlabeled).softmax(dim=1).max(dim=1)
    chosen = (confidences >= tau).nonzero().squeeze(1)
    network = copy.deepcopy(start if restart else model)
    train(network, torch.cat([images, unlabeled[chosen]]), torch.cat([labels, guessed[chosen]]))
    return network, chosen


_ROUNDS = ("first", "second")
Pairs = list[tuple[int, int]]


def _rows(seen: object, among: Tensor) -> list[int]:
    """For each image seen, which of `among` it is; -1 for none of them."""
    if not isinstance(seen, Tensor) or seen.shape[1:] != among.shape[1:]:
        return []
    flat, known = seen.flatten(1), among.flatten(1)
    same = (flat[:, None, :] == known[None, :, :]).all(dim=2)  # (n, m)
    return [int(row.nonzero()[0]) if row.any() else -1 for row in same]


def _pairs(case: Case, seen: Values, number: str) -> tuple[Pairs, Pairs] | None:
    """What was trained on in a round: (image, label) of the labeled images, and of the unlabeled ones; sorted."""
    training = seen.get(f"{number}_training")
    if not training or not isinstance(training["labels"], Tensor):
        return None
    given = torch.cat([case.inputs["images"], case.inputs["unlabeled"]])
    rows, count = _rows(training["images"], given), len(case.inputs["images"])
    if len(rows) != len(training["labels"]) or training["labels"].ndim != 1:
        return None
    found = sorted(zip(rows, (int(label) for label in training["labels"])))
    return [p for p in found if p[0] < count], [(row - count, label) for row, label in found if row >= count]


def _own(case: Case) -> Pairs:
    return [(i, int(label)) for i, label in enumerate(case.inputs["labels"])]


def _in_both_rounds(check: Callable[[Case, Values, Values, str], bool]) -> Callable[[Case, Values, Values], bool]:
    return lambda case, seen, expected: all(check(case, seen, expected, number) for number in _ROUNDS)


def _labeled_fine(case: Case, seen: Values, expected: Values, number: str) -> bool:
    found = _pairs(case, seen, number)
    return found is not None and found[0] == _own(case)


def _guessed_by(weight: Tensor, case: Case) -> tuple[Tensor, Tensor]:
    """Labels and confidences that a matrix gives the unlabeled images."""
    confidences, guessed = (case.inputs["unlabeled"].flatten(1) @ weight.T).softmax(dim=1).max(dim=1)
    return guessed, confidences


def _wanted(case: Case, weight: Tensor) -> Pairs:
    guessed, confidences = _guessed_by(weight, case)
    return [(i, int(guessed[i])) for i in range(len(guessed)) if confidences[i] >= case.inputs["tau"]]


def _pseudo_fine(case: Case, seen: Values, expected: Values, number: str) -> bool:
    found = _pairs(case, seen, number)
    # judged by the network that was handed in, so that a wrong first round costs nothing twice
    return found is not None and found[1] == _wanted(case, seen[f"{number}_weight_before"])


def _chosen_fine(case: Case, seen: Values, expected: Values, number: str) -> bool:
    wanted = torch.tensor([i for i, _ in _wanted(case, seen[f"{number}_weight_before"])], dtype=torch.int64)
    return close(seen[f"{number}_chosen"], wanted)


def _begins_with(case: Case, seen: Values, number: str) -> Tensor:
    return case.inputs["first_weight"] if case.inputs["restart"] else seen[f"{number}_weight_before"]


def _begin_fine(case: Case, seen: Values, expected: Values, number: str) -> bool:
    training = seen[f"{number}_training"]
    begin = _begins_with(case, seen, number)
    return close(training["weight_before"], begin) and close(
        seen[f"{number}_returned_weight"], begin + case.inputs["step"]
    )


def _left_alone(case: Case, seen: Values, expected: Values, number: str) -> bool:
    return (
        close(seen[f"{number}_weight_after"], seen[f"{number}_weight_before"])
        and close(seen[f"{number}_start_after"], case.inputs["first_weight"])
        and seen[f"{number}_modes_after"] == seen[f"{number}_modes_before"]
        and seen[f"{number}_calls"] == 1
    )


def _first_pseudo(t: Trial) -> Pairs | None:
    found = _pairs(t.case, t.seen, "first")
    return found[1] if found else None


def _plain_rounds(trials: Sequence[Trial]) -> list[Trial]:
    """Rounds in which somebody is sure."""
    return [t for t in ran(trials) if t.case.name != "nobody_is_sure"]


def _everywhere(trials: Sequence[Trial], predicate: Callable[[Trial], bool]) -> bool:
    found = _plain_rounds(trials)
    return bool(found) and all(predicate(t) for t in found)


self_training_round = Judge(
    reference=_reference_round,
    criteria=(
        Criterion(
            "pseudo_labels", 1,
            "trained on: every unlabeled image that the network so far is sure of, with its label, and no other",
            _in_both_rounds(_pseudo_fine),
        ),
        Criterion(
            "labeled", 1, "trained on as well: each labeled image once, with its own label",
            _in_both_rounds(_labeled_fine),
        ),
        Criterion(
            "begin", 1, "training begins with the first weights after a restart, else with those of the network so "
            "far; what was trained is returned", _in_both_rounds(_begin_fine),
        ),
        Criterion(
            "chosen", 1, "the positions of the chosen images are returned too", _in_both_rounds(_chosen_fine),
            ("restarted", "continued", "color_at_rest", "continued_at_rest", "nobody_is_sure"),
        ),
        Criterion(
            "left_alone", 1, "the network so far and the first weights stay as they were, mode included; there is one "
            "training", _in_both_rounds(_left_alone),
        ),
    ),
    mistakes=(
        Mistake(
            "result_of_train_returned", result_of_train_returned,
            "`train` changes the network in place and returns nothing: you have stored that nothing. Return the "
            "network that you gave it.",
            behaves=lambda trials: _everywhere(
                trials, lambda t: t.seen["first_calls"] == 1 and t.seen["first_returned_weight"] is None
            ),
        ),
        Mistake(
            "trained_one_after_the_other", trained_one_after_the_other,
            "You train on the labeled images first and on the chosen ones after: what is learned last covers what came "
            "before. There is one training, on both joined.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen["first_calls"] > 1)
            and _everywhere(trials, lambda t: _chosen_fine(*t[:3], "first")),
        ),
        Mistake(
            "labeled_by_the_student", labeled_by_the_student,
            "You train twice in a round. The labels come from the network of the round BEFORE, `model`; there is one "
            "training, on both kinds of images.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen["first_calls"] > 1),
        ),
        Mistake(
            "start_trained_itself", start_trained_itself,
            "You train `start` itself: from the second round on it no longer holds the first weights, and nothing "
            "restarts. Train a copy.",
            behaves=lambda trials: in_any(
                trials, lambda t: not close(t.seen["first_start_after"], t.case.inputs["first_weight"])
            ),
        ),
        Mistake(
            "model_trained_itself", model_trained_itself,
            "The network that was handed to you has changed. It may be needed again, to compare: train a copy.",
            behaves=lambda trials: in_any(
                trials, lambda t: not close(t.seen["first_weight_after"], t.seen["first_weight_before"])
            ),
        ),
        Mistake(
            "old_network_returned", old_network_returned,
            "You return the network of the round before. The one that was trained in this round is wanted.",
            behaves=lambda trials: _everywhere(
                trials, lambda t: close(t.seen["first_returned_weight"], t.case.inputs["weight"])
            ),
        ),
        Mistake(
            "restarted_before_asking", restarted_before_asking,
            "The pseudo-labels come from the first weights, which have learned nothing. Ask the network so far, "
            "`model`, and go back to the start only then.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["restart"] == 1 and bool(_first_pseudo(t))
                and _first_pseudo(t) == _wanted(t.case, t.case.inputs["first_weight"]),
            ),
        ),
        Mistake(
            "network_left_at_rest", network_left_at_rest,
            "The network so far is left in another mode than it came in. Put it back: your `pseudo_label` does.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.seen["first_modes_after"] != t.seen["first_modes_before"]
            ),
        ),
        Mistake(
            "restart_the_wrong_way_round", restart_the_wrong_way_round,
            "`restart` is taken the wrong way round: True means the first weights, False those of the network so far.",
            behaves=lambda trials: _everywhere(
                trials, lambda t: close(
                    t.seen["first_training"]["weight_before"],
                    t.case.inputs["weight" if t.case.inputs["restart"] else "first_weight"],
                ),
            ),
        ),
        Mistake(
            "always_restarted", always_restarted,
            "Every round begins with the first weights, also when `restart` is False. Then the network so far goes on.",
            behaves=lambda trials: _everywhere(
                trials, lambda t: close(t.seen["first_training"]["weight_before"], t.case.inputs["first_weight"])
            ),
        ),
        Mistake(
            "never_restarted", never_restarted,
            "Every round goes on with the weights so far, also when `restart` is True. Then training begins with a "
            "copy of `start`.",
            behaves=lambda trials: _everywhere(
                trials, lambda t: close(t.seen["first_training"]["weight_before"], t.case.inputs["weight"])
            ),
        ),
        Mistake(
            "labeled_left_out", labeled_left_out,
            "The labeled images are missing from training: only guesses are left, and nothing holds them to the "
            "truth. Join both.",
            behaves=lambda trials: _everywhere(
                trials, lambda t: (_pairs(t.case, t.seen, "first") or ([(0, 0)], []))[0] == []
            ),
        ),
        Mistake(
            "labeled_relabeled", labeled_relabeled,
            "The labeled images have got new labels from the network. Their own are the only ones that are certain: "
            "keep them.",
            behaves=lambda trials: in_any(
                trials, lambda t: _pairs(t.case, t.seen, "first") is not None and not _labeled_fine(*t[:3], "first")
            ) and in_all(trials, lambda t: _pseudo_fine(*t[:3], "first")),
        ),
        Mistake(
            "joined_the_other_way_round", joined_the_other_way_round,
            "Images are joined in one order and labels in the other, so almost every image gets the label of another. "
            "Labeled first in both, or second in both.",
            behaves=lambda trials: in_any(
                trials, lambda t: _pairs(t.case, t.seen, "first") is not None and not _labeled_fine(*t[:3], "first")
            ),
        ),
        Mistake(
            "all_of_them_trained_on", all_of_them_trained_on,
            "All unlabeled images are trained on, the unsure ones too. Take the chosen ones only.",
            behaves=lambda trials: _everywhere(
                trials, lambda t: len(_first_pseudo(t) or []) == len(t.case.inputs["unlabeled"])
            ),
        ),
        Mistake(
            "earlier_pseudo_labels_kept", earlier_pseudo_labels_kept,
            "The second round trains on pseudo-labels of the first as well: an image comes twice, perhaps with two "
            "labels. Make them anew each round and keep nothing.",
            behaves=lambda trials: _everywhere(trials, lambda t: _pseudo_fine(*t[:3], "first"))
            and in_any(
                trials, lambda t: len((_pairs(t.case, t.seen, "second") or ([], []))[1])
                > len(_wanted(t.case, t.seen["second_weight_before"])),
            ),
        ),
        Mistake(
            "labels_of_the_first_images", labels_of_the_first_images,
            "The right images are chosen, but their labels are taken from the beginning of the list. Index labels "
            "and images by the same positions.",
            behaves=lambda trials: in_any(
                trials, lambda t: [i for i, _ in _first_pseudo(t) or []] == [i for i, _ in _wanted(
                    t.case, t.case.inputs["weight"])] and not _pseudo_fine(*t[:3], "first"),
            ),
        ),
        Mistake(
            "asked_while_training", asked_while_training,
            "The choice is another one than the network at rest would make: it was asked in train mode. Your "
            "`pseudo_label` takes care of that.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name == "restarted" and not _chosen_fine(*t[:3], "first")
            ) and in_any(trials, lambda t: t.case.name == "color_at_rest" and _chosen_fine(*t[:3], "first")),
        ),
    ),
    alternatives=(pseudo_labels_first_in_the_batch, weights_loaded_into_a_copy),
    exact=False,
)  # fmt: skip


# --- 7.5 train_with_pseudo_labels -----------------------------------------------------------------------------------


def _reference_loop(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
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


def batches_of_positions(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
    optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda epoch: 0.5 * (1 + math.cos(math.pi * epoch / num_epochs))
    )
    x, losses = torch.cat([images, unlabeled]), []
    for _ in range(num_epochs):
        model.train(False)
        with torch.no_grad():
            pseudo = torch.cat([model(part) for part in unlabeled.split(5)]).argmax(dim=1)
        model.train(True)
        y, total, count = torch.cat([labels, pseudo]), 0.0, 0
        for chosen in torch.randperm(len(x), generator=generator).split(batch_size):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[chosen]), y[chosen], reduction="sum")
            (loss / len(chosen)).backward()
            optimizer.step()
            total, count = total + loss.item(), count + len(chosen)
        losses.append(total / count)
        scheduler.step()
    return losses


def by_a_data_loader(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
    from torch.utils.data import DataLoader, TensorDataset

    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr, momentum=0.9)
    losses = []
    for epoch in range(num_epochs):
        for group in optimizer.param_groups:
            group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * epoch / num_epochs))
        model.eval()
        with torch.inference_mode():
            pseudo = model(unlabeled).argmax(dim=1)
        model.train()
        data = TensorDataset(torch.cat([images, unlabeled]), torch.cat([labels, pseudo.clone()]))
        weighted = []
        for x, y in DataLoader(data, batch_size, shuffle=True, generator=generator):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            weighted.append(loss.item() * len(y))
        losses.append(sum(weighted) / len(data))
    return losses


def untouched(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_epochs)  # noqa: F841
    losses = []
    model.train()
    for _ in range(num_epochs):
        pseudo = model(unlabeled).argmax(dim=1)
        x, y = torch.cat([images, unlabeled]), torch.cat([labels, pseudo])
        x = x[torch.randperm(len(x), generator=generator)]
        y = y[torch.randperm(len(y), generator=generator)]
        batches = list(zip(x.split(batch_size), y.split(batch_size)))
        running_loss = 0.0
        for x_batch, y_batch in batches:
            loss = F.cross_entropy(model(x_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * len(x_batch)
        losses.append(running_loss / len(batches))
    return losses


def two_permutations_left(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
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
        x = x[torch.randperm(len(x), generator=generator)]
        y = y[torch.randperm(len(y), generator=generator)]
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


def not_shuffled_at_all(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
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


def generator_ignored(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
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
        order = torch.randperm(len(x))
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


def last_batch_left_out(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
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
        order = torch.randperm(len(x), generator=generator)
        running_loss, count = 0.0, 0
        for start in range(0, len(x) - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size]
            loss = F.cross_entropy(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running_loss, count = running_loss + loss.item() * len(chosen), count + len(chosen)
        scheduler.step()
        losses.append(running_loss / count)
    return losses


def pseudo_labels_made_once(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_epochs)
    losses = []
    model.eval()
    with torch.no_grad():
        pseudo = model(unlabeled).argmax(dim=1)
    model.train()
    for _ in range(num_epochs):
        x, y = torch.cat([images, unlabeled]), torch.cat([labels, pseudo])
        order = torch.randperm(len(x), generator=generator)
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


def pseudo_labels_in_train_mode(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_epochs)
    losses = []
    model.train()
    for _ in range(num_epochs):
        with torch.no_grad():
            pseudo = model(unlabeled).argmax(dim=1)
        x, y = torch.cat([images, unlabeled]), torch.cat([labels, pseudo])
        order = torch.randperm(len(x), generator=generator)
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


def trained_in_eval_mode(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_epochs)
    losses = []
    model.train()
    for _ in range(num_epochs):
        model.eval()
        with torch.no_grad():
            pseudo = model(unlabeled).argmax(dim=1)
        x, y = torch.cat([images, unlabeled]), torch.cat([labels, pseudo])
        order = torch.randperm(len(x), generator=generator)
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


def pseudo_labels_with_gradients(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_epochs)
    losses = []
    for _ in range(num_epochs):
        model.eval()
        pseudo = model(unlabeled).argmax(dim=1)
        model.train()
        x, y = torch.cat([images, unlabeled]), torch.cat([labels, pseudo])
        order = torch.randperm(len(x), generator=generator)
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


def scheduler_never_stepped(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=lr, momentum=0.9)
    losses = []
    for _ in range(num_epochs):
        model.eval()
        with torch.no_grad():
            pseudo = model(unlabeled).argmax(dim=1)
        model.train()
        x, y = torch.cat([images, unlabeled]), torch.cat([labels, pseudo])
        order = torch.randperm(len(x), generator=generator)
        x, y = x[order], y[order]
        running_loss = 0.0
        for x_batch, y_batch in zip(x.split(batch_size), y.split(batch_size)):
            loss = F.cross_entropy(model(x_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * len(x_batch)
        losses.append(running_loss / len(x))
    return losses


def scheduler_stepped_each_batch(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
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
        order = torch.randperm(len(x), generator=generator)
        x, y = x[order], y[order]
        running_loss = 0.0
        for x_batch, y_batch in zip(x.split(batch_size), y.split(batch_size)):
            loss = F.cross_entropy(model(x_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            running_loss += loss.item() * len(x_batch)
        losses.append(running_loss / len(x))
    return losses


def scheduler_stepped_first(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_epochs)
    losses = []
    for _ in range(num_epochs):
        scheduler.step()
        model.eval()
        with torch.no_grad():
            pseudo = model(unlabeled).argmax(dim=1)
        model.train()
        x, y = torch.cat([images, unlabeled]), torch.cat([labels, pseudo])
        order = torch.randperm(len(x), generator=generator)
        x, y = x[order], y[order]
        running_loss = 0.0
        for x_batch, y_batch in zip(x.split(batch_size), y.split(batch_size)):
            loss = F.cross_entropy(model(x_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * len(x_batch)
        losses.append(running_loss / len(x))
    return losses


def divided_by_batches(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
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
        order = torch.randperm(len(x), generator=generator)
        x, y = x[order], y[order]
        running_loss, batches = 0.0, list(zip(x.split(batch_size), y.split(batch_size)))
        for x_batch, y_batch in batches:
            loss = F.cross_entropy(model(x_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * len(x_batch)
        scheduler.step()
        losses.append(running_loss / len(batches))
    return losses


def mean_of_batch_means(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
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
        order = torch.randperm(len(x), generator=generator)
        x, y = x[order], y[order]
        running_loss, batches = 0.0, list(zip(x.split(batch_size), y.split(batch_size)))
        for x_batch, y_batch in batches:
            loss = F.cross_entropy(model(x_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        scheduler.step()
        losses.append(running_loss / len(batches))
    return losses


def loss_of_the_last_batch(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
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
        order = torch.randperm(len(x), generator=generator)
        x, y = x[order], y[order]
        for x_batch, y_batch in zip(x.split(batch_size), y.split(batch_size)):
            loss = F.cross_entropy(model(x_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


def all_parameters_left(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_epochs)
    losses = []
    for _ in range(num_epochs):
        model.eval()
        with torch.no_grad():
            pseudo = model(unlabeled).argmax(dim=1)
        model.train()
        x, y = torch.cat([images, unlabeled]), torch.cat([labels, pseudo])
        order = torch.randperm(len(x), generator=generator)
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


def thawed_instead(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator):
    model.requires_grad_(True)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_epochs)
    losses = []
    for _ in range(num_epochs):
        model.eval()
        with torch.no_grad():
            pseudo = model(unlabeled).argmax(dim=1)
        model.train()
        x, y = torch.cat([images, unlabeled]), torch.cat([labels, pseudo])
        order = torch.randperm(len(x), generator=generator)
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
        rows = _rows(forward["images"], given)
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


def _losses_like(of: Callable[[list[tuple[float, int]]], float]) -> Callable[[Sequence[Trial]], bool]:
    return lambda trials: (
        in_all(trials, lambda t: _losses_are(t.case, t.seen, of))
        and in_any(trials, lambda t: not _losses_are(t.case, t.seen, _mean_of_images))
    )


train_with_pseudo_labels = Judge(
    reference=_reference_loop,
    criteria=(
        Criterion(
            "image_keeps_label", 1,
            "every epoch shows each image once, in a new order from the generator, with its own label or its latest "
            "pseudo-label",
            lambda c, s, e: _all_there(c, s) and _aligned(c, s) and _shuffled(c, s) and _from_the_generator(c, s),
        ),
        Criterion(
            "at_rest", 1, "pseudo-labels are made anew each epoch in eval mode, and training happens in train mode",
            lambda c, s, e: _modes(_asked(s)) == {"eval"} and _modes(_taught(s)) == {"train"} and _renewed(c, s),
        ),
        Criterion(
            "no_gradients", 1, "no graph is built for the pseudo-labels",
            lambda c, s, e: bool(_asked(s)) and all(f["gradients"] == "off" for f in _asked(s)) and bool(_taught(s)),
        ),
        Criterion(
            "schedule", 1, "the learning rate falls from epoch to epoch along the half cosine",
            lambda c, s, e: _rates_fine(c, s),
        ),
        Criterion(
            "loss_of_an_epoch", 1, "an epoch's loss is the mean over its images",
            lambda c, s, e: _losses_are(c, s, _mean_of_images), ("ragged_last_batch", "came_at_rest"),
        ),
        Criterion(
            "trainable_only", 1, "the optimizer holds the trainable weights only, and frozen ones stay frozen",
            lambda c, s, e: _held_fine(s) and close(s["frozen_after"], s["frozen_before"])
            and s["frozen_requires_grad"] == [0, 0],
        ),
    ),
    mistakes=(
        Mistake(
            "untouched", untouched,
            "The loop is as it was published: all six faults are still in it. Read it from top to bottom, and ask of "
            "each line which images, which labels, which mode.",
            behaves=lambda trials: in_all(
                trials, lambda t: not _held_fine(t.seen) and _never(t.case, t.seen)
                and "train" in _modes(_asked(t.seen)) and not _aligned(t.case, t.seen)
                and not _losses_are(t.case, t.seen, _mean_of_images),
            ),
        ),
        Mistake(
            "two_permutations_left", two_permutations_left,
            "Images and labels are shuffled by two different draws, so image i learns the label of image j. Draw one "
            "order and use it for both.",
            behaves=lambda trials: in_any(
                trials, lambda t: _all_there(t.case, t.seen) and not _aligned(t.case, t.seen)
            ),
        ),
        Mistake(
            "not_shuffled_at_all", not_shuffled_at_all,
            "Image and label are together again, but every epoch has the same order: first all labeled images, then "
            "the others. Shuffle both by one order.",
            behaves=lambda trials: in_any(
                trials, lambda t: _all_there(t.case, t.seen) and not _shuffled(t.case, t.seen)
            ),
        ),
        Mistake(
            "generator_ignored", generator_ignored,
            "The order of the images does not come from `generator`, so nobody can repeat your run. Hand it to "
            "`torch.randperm`.",
            behaves=lambda trials: in_all(
                trials, lambda t: _shuffled(t.case, t.seen) and not _from_the_generator(t.case, t.seen)
            ),
        ),
        Mistake(
            "last_batch_left_out", last_batch_left_out,
            "The last batch of an epoch is left out when it is not full, so some images are missing. A small batch is "
            "a batch too.",
            behaves=lambda trials: in_any(trials, lambda t: _last_batch_missing(t.case, t.seen))
            and not in_any(trials, lambda t: t.case.name == "one_batch_an_epoch" and not _all_there(t.case, t.seen)),
        ),
        Mistake(
            "pseudo_labels_made_once", pseudo_labels_made_once,
            "The pseudo-labels are made once, by the untrained network, and never again. Renew them in every epoch.",
            behaves=lambda trials: in_any(trials, lambda t: not _renewed(t.case, t.seen)),
        ),
        Mistake(
            "pseudo_labels_in_train_mode", pseudo_labels_in_train_mode,
            "The pseudo-labels are made in train mode: dropout has thrown half of the features away when the network "
            "decides. Put it at rest for that.",
            behaves=lambda trials: in_any(trials, lambda t: "train" in _modes(_asked(t.seen))),
        ),
        Mistake(
            "trained_in_eval_mode", trained_in_eval_mode,
            "After the pseudo-labels the network stays in eval mode, so it is trained without dropout. Wake it up "
            "again before the batches, in every epoch.",
            behaves=lambda trials: in_any(trials, lambda t: "eval" in _modes(_taught(t.seen))),
        ),
        Mistake(
            "pseudo_labels_with_gradients", pseudo_labels_with_gradients,
            "A graph is built for all unlabeled images at once and never used: with real images the memory runs out "
            "here. Make the pseudo-labels without gradients.",
            behaves=lambda trials: in_any(trials, lambda t: any(f["gradients"] == "on" for f in _asked(t.seen))),
        ),
        Mistake(
            "scheduler_never_stepped", scheduler_never_stepped,
            "The scheduler is built and never used: the learning rate stays where it began. It has to step.",
            behaves=lambda trials: in_all(trials, lambda t: _never(t.case, t.seen)),
        ),
        Mistake(
            "scheduler_stepped_first", scheduler_stepped_first,
            "The scheduler steps before the first epoch has used its learning rate, so all are one epoch too low. "
            "Step it after the epoch.",
            behaves=lambda trials: in_any(
                trials, lambda t: bool(t.seen["steps"]) and max(_rates(t.case, t.seen)) < 0.9 * t.case.inputs["lr"]
            ),
        ),
        Mistake(
            "scheduler_stepped_each_batch", scheduler_stepped_each_batch,
            "The scheduler counts epochs but steps with every batch: the learning rate is at zero after a few of "
            "them, and then rises again. Step it once an epoch.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name != "one_batch_an_epoch" and len(
                    {round(rate, 6) for rate in _rates(t.case, t.seen)[: _batches_an_epoch(t.case, t.seen)]}
                ) > 1,
            ),
        ),
        Mistake(
            "divided_by_batches", divided_by_batches,
            "The sum counts every image, and is divided by the number of batches: the loss is as many times too large "
            "as a batch has images. Divide by the number of images.",
            behaves=_losses_like(lambda batches: sum(loss * n for loss, n in batches) / len(batches)),
        ),
        Mistake(
            "loss_of_the_last_batch", loss_of_the_last_batch,
            "You report the last batch's loss as the epoch's. Average over all images of the epoch.",
            behaves=_losses_like(lambda batches: batches[-1][0]),
        ),
        Mistake(
            "mean_of_batch_means", mean_of_batch_means,
            "You average the means of batches, so an image of the small last batch counts for more. Average over "
            "images.",
            behaves=_losses_like(lambda batches: sum(loss for loss, _ in batches) / len(batches)),
        ),
        Mistake(
            "thawed_instead", thawed_instead,
            "The frozen weights now learn: that is another method, not a repair. Leave them frozen, and give the "
            "optimizer the others only.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.seen["frozen_requires_grad"] != [0, 0]
                or not close(t.seen["frozen_after"], t.seen["frozen_before"]),
            ),
        ),
        Mistake(
            "all_parameters_left", all_parameters_left,
            "The optimizer still holds the frozen weights. They keep still only as long as nothing gives them a "
            "gradient: hand over those that require one.",
            behaves=lambda trials: in_any(trials, lambda t: bool(t.seen["steps"]) and not _held_fine(t.seen)),
        ),
    ),
    alternatives=(batches_of_positions, by_a_data_loader),
    exact=False,
)  # fmt: skip

JUDGES = {
    "pseudo_label": pseudo_label,
    "select_confident": select_confident,
    "expected_calibration_error": expected_calibration_error,
    "self_training_round": self_training_round,
    "train_with_pseudo_labels": train_with_pseudo_labels,
}
