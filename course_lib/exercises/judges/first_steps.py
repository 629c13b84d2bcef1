"""Unit 00, first steps: references, criteria, the mistakes that people make, and other right answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.exercises.contract import Case, Criterion, Judge, Mistake, Trial, Values, close
from course_lib.exercises.first_steps import DRAWN_CASES, DRAWS
from course_lib.exercises.judging import in_any


def _all(trials: Sequence[Trial], says: Callable[[Trial], bool]) -> bool:
    """Whether it holds in every one of some trials that all came to an end."""
    return bool(trials) and all(not t.error and says(t) for t in trials)


def _named(trials: Sequence[Trial], *names: str) -> list[Trial]:
    return [t for t in trials if t.case.name in names]


def _is_float(value: Any) -> bool:
    return type(value) is float


def _value_of(value: Any) -> float:
    """A number, also when it came as a tensor with one entry; NaN for anything else."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    return float(value) if type(value) in (int, float) else math.nan


# --- 0.1 accuracy ---------------------------------------------------------------------------------------------------


def accuracy_reference(logits, labels):
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels.cpu().numpy(), logits.topk(1, dim=1).indices.squeeze(1).cpu().numpy()))


def accuracy_counted(logits, labels):
    correct = 0
    for row, label in zip(logits, labels):
        if int(torch.argmax(row)) == int(label):
            correct += 1
    return correct / len(labels)


def accuracy_by_max(logits, labels):
    _, predicted = torch.max(logits, 1)
    return (predicted == labels).sum().item() / labels.size(0)


def accuracy_of_probabilities(logits, labels):
    return (F.softmax(logits, dim=-1).argmax(-1) == labels).double().mean().item()


def accuracy_over_dim_0(logits, labels):
    return (logits.argmax(dim=0) == labels).float().mean().item()


def accuracy_of_the_flat_argmax(logits, labels):
    return (logits.argmax() == labels).float().mean().item()


def accuracy_in_percent(logits, labels):
    return 100 * (logits.argmax(dim=1) == labels).float().mean().item()


def accuracy_as_a_count(logits, labels):
    return float((logits.argmax(dim=1) == labels).sum())


def accuracy_as_a_tensor(logits, labels):
    return (logits.argmax(dim=1) == labels).float().mean()


def error_rate(logits, labels):
    return (logits.argmax(dim=1) != labels).float().mean().item()


def accuracy_of_the_highest_values(logits, labels):
    return (logits.max(dim=1).values == labels).float().mean().item()


def accuracy_divided_by_classes(logits, labels):
    return (logits.argmax(dim=1) == labels).sum().item() / logits.shape[1]


def accuracy_in_whole_numbers(logits, labels):
    return float((logits.argmax(dim=1) == labels).sum().item() // len(labels))


def accuracy_rounded(logits, labels):
    return round((logits.argmax(dim=1) == labels).float().mean().item(), 2)


def mean_probability_of_the_label(logits, labels):
    return logits.softmax(dim=1).gather(1, labels[:, None]).mean().item()


accuracy = Judge(
    reference=accuracy_reference,
    criteria=(
        Criterion(
            "share", 1, "the share of images whose highest logit is that of their label, for every shape",
            passes=lambda case, seen, expected: close(_value_of(seen["accuracy"]), expected["accuracy"]),
        ),
        Criterion(
            "plain_number", 1, "a Python float between 0 and 1",
            passes=lambda case, seen, expected: _is_float(seen["accuracy"]) and 0 <= seen["accuracy"] <= 1,
        ),
    ),
    mistakes=(
        Mistake(
            "tensor", accuracy_as_a_tensor,
            "The value is right, but it is a tensor, which keeps memory and its device with it. `.item()` turns it "
            "into a Python number.",
            behaves=lambda trials: _all(
                trials,
                lambda t: isinstance(t.seen["accuracy"], Tensor)
                and close(_value_of(t.seen["accuracy"]), t.expected["accuracy"]),
            ),
        ),
        Mistake(
            "percent", accuracy_in_percent,
            "You return a percentage. The share between 0 and 1 is asked for; whoever prints it can multiply by 100.",
            behaves=lambda trials: _all(
                trials,
                lambda t: close(_value_of(t.seen["accuracy"]), 100 * t.expected["accuracy"], rtol=0.01, atol=0.6),
            ),
        ),
        Mistake(
            "error_rate", error_rate,
            "You return the error rate, the share of wrong predictions. Accuracy counts the right ones.",
            behaves=lambda trials: _all(
                trials, lambda t: close(_value_of(t.seen["accuracy"]), 1 - t.expected["accuracy"], atol=1e-3)
            ),
        ),
        Mistake(
            "count", accuracy_as_a_count,
            "You return how many are right. Divide by the number of images to get the share.",
            behaves=lambda trials: _all(
                trials,
                lambda t: close(
                    _value_of(t.seen["accuracy"]), len(t.case.inputs["labels"]) * t.expected["accuracy"], rtol=1e-3
                ),
            ),
        ),
        Mistake(
            "divided_by_classes", accuracy_divided_by_classes,
            "You divide by the number of classes, `logits.shape[1]`. Divide by the number of images.",
        ),
        Mistake(
            "rounded", accuracy_rounded,
            "You round inside. Return the share as it is; whoever prints it can round.",
            behaves=lambda trials: _all(
                trials,
                lambda t: type(t.seen["accuracy"]) is float
                and any(t.seen["accuracy"] == round(t.expected["accuracy"], digits) for digits in (1, 2, 3)),
            ),
        ),
        Mistake(
            "over_dim_0", accuracy_over_dim_0,
            "Your argmax runs down the columns: it picks an image for each class. It should pick a class for each "
            "image, so it runs over dim=1.",
            behaves=lambda trials: _all(
                _named(trials, "as_many_images_as_classes"),
                lambda t: close(
                    _value_of(t.seen["accuracy"]), accuracy_over_dim_0(t.case.inputs["logits"], t.case.inputs["labels"])
                ),
            ),
        ),
        Mistake(
            "flat_argmax", accuracy_of_the_flat_argmax,
            "argmax without `dim` gives one position in the whole batch. You need one prediction for each row.",
        ),
        Mistake(
            "highest_values", accuracy_of_the_highest_values,
            "You compare the highest logit itself with the label. Compare its position, which argmax gives.",
        ),
        Mistake(
            "mean_probability", mean_probability_of_the_label,
            "You average the probability of the right class. Accuracy does not ask how sure the network is: an image "
            "is right or wrong.",
        ),
        Mistake(
            "whole_numbers", accuracy_in_whole_numbers,
            "Your division drops what is behind the point (`//`, or integers), so anything short of perfect becomes "
            "0. Use `/`.",
            behaves=lambda trials: _all(
                trials, lambda t: _value_of(t.seen["accuracy"]) == float(t.expected["accuracy"] == 1)
            ),
        ),
    ),
    alternatives=(accuracy_counted, accuracy_by_max, accuracy_of_probabilities),
)  # fmt: skip


# --- 0.2 evaluate ---------------------------------------------------------------------------------------------------


def evaluate_reference(model, batches):
    """All images at once, by scikit-learn's metrics, with the modes put back."""
    from sklearn.metrics import accuracy_score, log_loss

    was_training = model.training
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(images) for images, _ in batches]).double().cpu()
    model.train(was_training)
    labels = torch.cat([labels for _, labels in batches]).cpu().numpy()
    probabilities = logits.softmax(dim=1).numpy()
    return {
        "loss": float(log_loss(labels, probabilities, labels=list(range(logits.shape[1])))),
        "accuracy": float(accuracy_score(labels, probabilities.argmax(axis=1))),
    }


def evaluate_all_at_once(model, batches):
    before = model.training
    model.eval()
    with torch.inference_mode():
        logits = torch.cat([model(images) for images, _ in batches])
        labels = torch.cat([labels for _, labels in batches])
        loss = F.cross_entropy(logits, labels).item()
        correct = (logits.argmax(dim=1) == labels).float().mean().item()
    if before:
        model.train()
    return {"accuracy": correct, "loss": loss}


def evaluate_with_sums(model, batches):
    was_training = model.training
    try:
        model.train(False)
        losses, hits = [], []
        for images, labels in batches:
            with torch.no_grad():
                logits = model(images)
            losses += F.cross_entropy(logits, labels, reduction="none").tolist()
            hits += (logits.max(dim=1).indices == labels).tolist()
        return {"loss": sum(losses) / len(losses), "accuracy": sum(hits) / len(hits)}
    finally:
        model.train(was_training)


def mean_of_batch_means(model, batches):
    was_training = model.training
    model.eval()
    losses, accuracies = [], []
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            losses.append(F.cross_entropy(logits, labels).item())
            accuracies.append((logits.argmax(dim=1) == labels).float().mean().item())
    model.train(was_training)
    return {"loss": sum(losses) / len(losses), "accuracy": sum(accuracies) / len(accuracies)}


def weighted_sum_over_batches(model, batches):
    was_training = model.training
    model.eval()
    total, correct, num_batches = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            total += F.cross_entropy(logits, labels).item() * len(labels)
            correct += (logits.argmax(dim=1) == labels).sum().item()
            num_batches += 1
    model.train(was_training)
    return {"loss": total / num_batches, "accuracy": correct / num_batches}


def sum_of_batch_means_over_images(model, batches):
    was_training = model.training
    model.eval()
    total, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            total += F.cross_entropy(logits, labels).item()
            correct += (logits.argmax(dim=1) == labels).sum().item()
            count += len(labels)
    model.train(was_training)
    return {"loss": total / count, "accuracy": correct / count}


def evaluated_in_train_mode(model, batches):
    total, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            total += F.cross_entropy(logits, labels).item() * len(labels)
            correct += (logits.argmax(dim=1) == labels).sum().item()
            count += len(labels)
    return {"loss": total / count, "accuracy": correct / count}


def evaluated_with_gradients(model, batches):
    was_training = model.training
    model.eval()
    total, correct, count = 0.0, 0, 0
    for images, labels in batches:
        logits = model(images)
        total += F.cross_entropy(logits, labels).item() * len(labels)
        correct += (logits.argmax(dim=1) == labels).sum().item()
        count += len(labels)
    model.train(was_training)
    return {"loss": total / count, "accuracy": correct / count}


def left_in_eval_mode(model, batches):
    model.eval()
    total, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            total += F.cross_entropy(logits, labels).item() * len(labels)
            correct += (logits.argmax(dim=1) == labels).sum().item()
            count += len(labels)
    return {"loss": total / count, "accuracy": correct / count}


def always_back_to_train_mode(model, batches):
    model.eval()
    total, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            total += F.cross_entropy(logits, labels).item() * len(labels)
            correct += (logits.argmax(dim=1) == labels).sum().item()
            count += len(labels)
    model.train()
    return {"loss": total / count, "accuracy": correct / count}


def last_batch_only(model, batches):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            loss = F.cross_entropy(logits, labels).item()
            correct = (logits.argmax(dim=1) == labels).float().mean().item()
    model.train(was_training)
    return {"loss": loss, "accuracy": correct}


def first_batch_only(model, batches):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            loss = F.cross_entropy(logits, labels).item()
            correct = (logits.argmax(dim=1) == labels).float().mean().item()
            model.train(was_training)
            return {"loss": loss, "accuracy": correct}


def evaluated_on_probabilities(model, batches):
    was_training = model.training
    model.eval()
    total, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in batches:
            probabilities = model(images).softmax(dim=1)
            total += F.cross_entropy(probabilities, labels).item() * len(labels)
            correct += (probabilities.argmax(dim=1) == labels).sum().item()
            count += len(labels)
    model.train(was_training)
    return {"loss": total / count, "accuracy": correct / count}


def evaluated_in_percent(model, batches):
    was_training = model.training
    model.eval()
    total, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            total += F.cross_entropy(logits, labels).item() * len(labels)
            correct += (logits.argmax(dim=1) == labels).sum().item()
            count += len(labels)
    model.train(was_training)
    return {"loss": total / count, "accuracy": 100 * correct / count}


def evaluated_to_tensors(model, batches):
    was_training = model.training
    model.eval()
    total = correct = torch.zeros(())
    count = 0
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            total = total + F.cross_entropy(logits, labels) * len(labels)
            correct = correct + (logits.argmax(dim=1) == labels).sum()
            count += len(labels)
    model.train(was_training)
    return {"loss": total / count, "accuracy": correct / count}


def evaluated_to_a_pair(model, batches):
    was_training = model.training
    model.eval()
    total, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            total += F.cross_entropy(logits, labels).item() * len(labels)
            correct += (logits.argmax(dim=1) == labels).sum().item()
            count += len(labels)
    model.train(was_training)
    return total / count, correct / count


def evaluated_under_other_names(model, batches):
    was_training = model.training
    model.eval()
    total, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            total += F.cross_entropy(logits, labels).item() * len(labels)
            correct += (logits.argmax(dim=1) == labels).sum().item()
            count += len(labels)
    model.train(was_training)
    return {"loss": total / count, "acc": correct / count}


def _figure(t: Trial, key: str) -> Any:
    result = t.seen.get("result")
    return result.get(key) if isinstance(result, dict) else None


def _agrees(t: Trial, key: str) -> bool:
    return close(_value_of(_figure(t, key)), t.expected["result"][key])


def _measures(key: str) -> Callable[[Case, Values, Values], bool]:
    def passes(case: Case, seen: Values, expected: Values) -> bool:
        value = seen["result"][key] if isinstance(seen["result"], dict) else None
        return _is_float(value) and close(value, expected["result"][key])

    return passes


def _other_keys(trials: Sequence[Trial]) -> bool | Values:
    if not _all(trials, lambda t: isinstance(t.seen["result"], dict)):
        return False
    keys = trials[0].seen["result"].keys()
    if {"loss", "accuracy"} <= keys:
        return False
    return {"keys": ", ".join(f'"{key}"' for key in keys) or "none"}


def _right_only_for_equal_batches(trials: Sequence[Trial]) -> bool:
    ragged = _named(trials, "ragged_last_batch", "last_batch_of_one")
    equal = _named(trials, "equal_batches", "one_batch")
    right = _all(equal, lambda t: _agrees(t, "loss") and _agrees(t, "accuracy"))
    return right and (
        _all(ragged, lambda t: not _agrees(t, "loss")) or _all(ragged, lambda t: not _agrees(t, "accuracy"))
    )


_PLAIN_CASES = ("ragged_last_batch", "last_batch_of_one", "equal_batches", "one_batch")


def never_divided(model, batches):
    was_training = model.training
    model.eval()
    total, correct = 0.0, 0
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            total += F.cross_entropy(logits, labels).item() * len(labels)
            correct += (logits.argmax(dim=1) == labels).sum().item()
    model.train(was_training)
    return {"loss": total, "accuracy": float(correct)}


def asks_for_the_data_set(model, batches):
    was_training = model.training
    model.eval()
    total, correct = 0.0, 0
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images)
            total += F.cross_entropy(logits, labels, reduction="sum").item()
            correct += (logits.argmax(dim=1) == labels).sum().item()
    model.train(was_training)
    return {"loss": total / len(batches.dataset), "accuracy": correct / len(batches.dataset)}


evaluate = Judge(
    reference=evaluate_reference,
    criteria=(
        Criterion(
            "loss", 1, '"loss" is the mean cross-entropy over images, a float: every image counts once',
            passes=_measures("loss"), cases=_PLAIN_CASES,
        ),
        Criterion(
            "accuracy", 1, '"accuracy" is the share of all images that are right, a float',
            passes=_measures("accuracy"), cases=_PLAIN_CASES,
        ),
        Criterion(
            "eval_mode", 1, "the model is in eval mode while it is measured, and nothing in it changes",
            passes=lambda case, seen, expected: seen["mode_during"] == "eval"
            and close(seen.get("running_mean_after"), expected.get("running_mean_after")),
        ),
        Criterion(
            "no_gradients", 1, "no gradients are recorded",
            passes=lambda case, seen, expected: seen["gradients_during"] == "off",
        ),
        # A model that was never switched has the right mode afterwards by accident.
        Criterion(
            "mode_restored", 1, "afterwards the model has the mode that it had before",
            passes=lambda case, seen, expected: "eval" in seen["mode_during"]
            and seen["mode_after"] == expected["mode_after"],
        ),
    ),
    mistakes=(
        Mistake(
            "asks_for_the_data_set", asks_for_the_data_set,
            "You ask `batches` for something that only a `DataLoader` has. Any sequence of pairs may come: count the "
            "images as they pass.",
            behaves=lambda trials: any(
                t.error and t.error.type == "AttributeError" and "'list' object" in t.error.text for t in trials
            ),
        ),
        Mistake(
            "never_divided", never_divided,
            "You add up over images and stop there. Divide both sums by the number of images at the end.",
            behaves=lambda trials: _all(
                trials,
                lambda t: close(
                    _value_of(t.seen["result"]["loss"]), t.expected["result"]["loss"] * len(t.case.inputs["labels"])
                ),
            ),
        ),
        Mistake(
            "train_mode", evaluated_in_train_mode,
            "The model is measured in train mode: dropout still drops, batch normalization uses the batch and learns "
            "from the test images. Call `model.eval()` first.",
            behaves=lambda trials: in_any(trials, lambda t: "train" in t.seen["mode_during"]),
        ),
        Mistake(
            "mean_of_batch_means", mean_of_batch_means,
            "Right for batches of one size, wrong when the last one is smaller: its few images count as much as a full "
            "batch. Weigh each batch by its number of images, or add up over images.",
            behaves=_right_only_for_equal_batches,
        ),
        Mistake(
            "weighted_over_batches", weighted_sum_over_batches,
            "You add up over images but divide by the number of batches. Divide by the number of images.",
            behaves=lambda trials: _all(
                _named(trials, *_PLAIN_CASES),
                lambda t: close(
                    _value_of(_figure(t, "loss")),
                    t.expected["result"]["loss"] * len(t.case.inputs["labels"])
                    / math.ceil(len(t.case.inputs["labels"]) / t.case.inputs["batch_size"]),
                ),
            ),
        ),
        Mistake(
            "means_over_images", sum_of_batch_means_over_images,
            "You add up the mean losses of the batches and divide by the number of images. A batch's mean must be "
            "multiplied by the batch's size before it is added.",
            behaves=lambda trials: _all(
                _named(trials, "equal_batches", "one_batch"),
                lambda t: close(
                    _value_of(_figure(t, "loss")), t.expected["result"]["loss"] / t.case.inputs["batch_size"]
                ),
            ),
        ),
        Mistake(
            "last_batch_only", last_batch_only,
            "Your figures are those of the last batch. Add up in the loop, and divide after it.",
        ),
        Mistake(
            "first_batch_only", first_batch_only,
            "Your figures are those of the first batch: is the `return` inside the loop?",
        ),
        Mistake(
            "softmax_before_loss", evaluated_on_probabilities,
            "Your loss is that of probabilities. `F.cross_entropy` applies the softmax itself, so give it the logits.",
            behaves=lambda trials: _all(_named(trials, *_PLAIN_CASES), lambda t: not _agrees(t, "loss"))
            and _all(
                _named(trials, "one_batch"),
                lambda t: close(_value_of(_figure(t, "loss")), evaluated_on_probabilities_of(t.case)),
            ),
        ),
        Mistake(
            "percent", evaluated_in_percent,
            "Your accuracy is a percentage. The share between 0 and 1 is asked for.",
            behaves=lambda trials: _all(
                _named(trials, *_PLAIN_CASES),
                lambda t: close(
                    _value_of(_figure(t, "accuracy")), 100 * t.expected["result"]["accuracy"], rtol=0.01, atol=0.6
                ),
            ),
        ),
        Mistake(
            "tensors", evaluated_to_tensors,
            "The figures are right, but they are tensors. Plain numbers are asked for: `.item()` makes them.",
            behaves=lambda trials: _all(
                _named(trials, *_PLAIN_CASES),
                lambda t: _agrees(t, "loss")
                and _agrees(t, "accuracy")
                and (isinstance(_figure(t, "loss"), Tensor) or isinstance(_figure(t, "accuracy"), Tensor)),
            ),
        ),
        Mistake(
            "pair", evaluated_to_a_pair,
            'You return two figures side by side. Return them under their names: `{{"loss": ..., "accuracy": ...}}`.',
            behaves=lambda trials: _all(trials, lambda t: isinstance(t.seen["result"], list)),
        ),
        Mistake(
            "other_keys", evaluated_under_other_names,
            'The dictionary needs the keys "loss" and "accuracy"; yours has {keys}.',
            behaves=_other_keys,
        ),
        Mistake(
            "left_in_eval_mode", left_in_eval_mode,
            "A model that came in train mode leaves in eval mode, so training that goes on would go on wrongly. Put "
            "the mode back at the end.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["mode_before"] == "train" and t.seen["mode_after"] == "eval"
            ),
        ),
        Mistake(
            "always_train", always_back_to_train_mode,
            "A model that came in eval mode leaves in train mode. Remember `model.training` before you change it, and "
            "put back just that.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["mode_before"] == "eval" and t.seen["mode_after"] == "train"
            ),
        ),
        Mistake(
            "with_gradients", evaluated_with_gradients,
            "Gradients are recorded while you only measure, which costs memory and time for nothing. Put the loop "
            "under `torch.no_grad()`.",
            behaves=lambda trials: in_any(trials, lambda t: "on" in t.seen["gradients_during"]),
        ),
    ),
    alternatives=(evaluate_all_at_once, evaluate_with_sums),
)  # fmt: skip


def evaluated_on_probabilities_of(case: Case) -> float:
    """The loss of a softmax before the cross-entropy, for a case without normalization."""
    inputs = case.inputs
    logits = inputs["images"].flatten(1) @ inputs["weight"].t() + inputs["bias"]
    return float(F.cross_entropy(logits.softmax(dim=1), inputs["labels"]))


# --- 0.3 train_step -------------------------------------------------------------------------------------------------


def train_step_reference(model, images, labels, optimizer):
    """The gradients by hand for cross-entropy: autograd of the negative log-likelihood written out."""
    model.train()
    log_probabilities = torch.log_softmax(model(images), dim=1)
    loss = -log_probabilities[torch.arange(len(labels), device=labels.device), labels].mean()
    for parameter in model.parameters():
        parameter.grad = None
    loss.backward()
    optimizer.step()
    return loss.item()


def train_step_plain(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def train_step_cleared_at_the_end(model, images, labels, optimizer):
    model.train(True)
    loss = nn.CrossEntropyLoss()(model(images), labels)
    loss.backward()
    optimizer.step()
    model.zero_grad()
    return loss.detach().item()


def without_zero_grad(model, images, labels, optimizer):
    model.train()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def without_backward(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    optimizer.step()
    return loss.item()


def without_step(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    return loss.item()


def step_before_backward(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    optimizer.step()
    loss.backward()
    return loss.item()


def late_step_before_backward(model, images, labels, optimizer):
    model.train()
    loss = F.cross_entropy(model(images), labels)
    optimizer.step()
    optimizer.zero_grad()
    loss.backward()
    return loss.item()


def cleared_before_the_step(model, images, labels, optimizer):
    model.train()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


def trained_in_eval_mode(model, images, labels, optimizer):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def trained_on_probabilities(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images).softmax(dim=1), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def trained_on_raw_likelihood(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.nll_loss(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def trained_on_the_sum(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels, reduction="sum")
    loss.backward()
    optimizer.step()
    return loss.item()


def loss_as_a_tensor(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss


def loss_after_the_step(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()
    with torch.no_grad():
        return F.cross_entropy(model(images), labels).item()


_LINEAR_CASES = ("plain", "momentum", "double", "one_image")


def _stood_still(t: Trial) -> bool:
    same = close(t.seen["weights_after_all_steps"], t.seen["weights_before"], rtol=1e-9, atol=1e-9)
    return same and "forward" in _events(t)


def _events(t: Trial) -> list[str]:
    return str(t.seen["events"]).split()


def _one_sided(t: Trial, key: str) -> bool:
    return close(t.seen[key], t.expected[key])


def _on_probabilities(t: Trial) -> bool:
    return close(_value_of(t.seen["loss"]), evaluated_on_probabilities_of(t.case))


def by_hand(model, images, labels, optimizer):
    model.train()
    model.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.1 * parameter.grad
    return loss.item()


def backward_twice(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward(retain_graph=True)
    loss.backward()
    optimizer.step()
    return loss.item()


def trained_on_squared_error(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    logits = model(images)
    loss = F.mse_loss(logits, F.one_hot(labels, logits.shape[1]).to(logits))
    loss.backward()
    optimizer.step()
    return loss.item()


def labels_first(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(labels, model(images))
    loss.backward()
    optimizer.step()
    return loss.item()


def loss_times_the_batch(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item() * len(labels)


train_step = Judge(
    reference=train_step_reference,
    criteria=(
        Criterion(
            "one_step", 1, "one call moves the weights by one step down the cross-entropy",
            passes=lambda case, seen, expected: close(
                seen["weights_after_one_step"], expected["weights_after_one_step"]
            ),
            cases=_LINEAR_CASES,
        ),
        Criterion(
            "every_step", 1, "so do the calls after it: no gradient is left over from the step before",
            passes=lambda case, seen, expected: close(
                seen["weights_after_all_steps"], expected["weights_after_all_steps"]
            ),
            cases=_LINEAR_CASES,
        ),
        Criterion(
            "loss", 1, "the loss of the batch, before the step, as a Python float",
            passes=lambda case, seen, expected: _is_float(seen["loss"]) and close(seen["loss"], expected["loss"]),
            cases=_LINEAR_CASES,
        ),
        # Without a step that learns, being in train mode is worth nothing.
        Criterion(
            "train_mode", 1, "the network learns in train mode",
            passes=lambda case, seen, expected: seen["mode_during"] == "train" and len(seen["events"]) > 0
            and not close(seen["weights_after_all_steps"], seen["weights_before"], rtol=1e-9, atol=1e-9),
        ),
    ),
    mistakes=(
        Mistake(
            "labels_first", labels_first,
            "The arguments of `F.cross_entropy` are exchanged. The logits come first, then the labels.",
            behaves=lambda trials: bool(trials)
            and all(t.error and "not implemented for 'Long'" in t.error.text for t in trials),
        ),
        Mistake(
            "by_hand", by_hand,
            "The weights move, but not by the optimizer that you were given: its learning rate and momentum count for "
            "nothing. Let it make the step.",
            behaves=lambda trials: _all(
                trials, lambda t: "step" not in _events(t) and "backward" in _events(t) and not _stood_still(t)
            ),
        ),
        Mistake(
            "backward_twice", backward_twice,
            "You go backward twice in one step, so every gradient counts double. Once is enough.",
            behaves=lambda trials: _all(
                trials, lambda t: _events(t).count("backward") == 2 * _events(t).count("step") > 0
            ),
        ),
        Mistake(
            "no_backward", without_backward,
            "The weights never move, because no gradient is ever computed. Call `loss.backward()` before the "
            "optimizer's step.",
            behaves=lambda trials: _all(trials, lambda t: _stood_still(t) and "backward" not in _events(t)),
        ),
        Mistake(
            "no_step", without_step,
            "Gradients are computed, but the weights never move. It is `optimizer.step()` that moves them.",
            behaves=lambda trials: _all(
                trials, lambda t: _stood_still(t) and "backward" in _events(t) and "step" not in _events(t)
            ),
        ),
        Mistake(
            "step_before_backward", step_before_backward,
            "The optimizer steps before this batch's gradients are there, so it steps on nothing, or on those of the "
            "batch before. The order is: backward, then step.",
            behaves=lambda trials: _all(
                [t for t in trials if not t.error],  # batch normalization makes it stop with an error
                lambda t: {"step", "backward"} <= set(_events(t))
                and _events(t).index("step") < _events(t).index("backward"),
            ),
        ),
        Mistake(
            "cleared_before_step", cleared_before_the_step,
            "You clear the gradients after backward and before the step, so the step has nothing to go by. Clear them "
            "before backward.",
            behaves=lambda trials: _all(trials, lambda t: _stood_still(t) and "backward step" in t.seen["events"]),
        ),
        Mistake(
            "softmax_before_loss", trained_on_probabilities,
            "Your loss gets probabilities. `F.cross_entropy` applies the softmax itself; a second one flattens the "
            "gradients. Give it the logits.",
            behaves=lambda trials: _all(_named(trials, *_LINEAR_CASES), _on_probabilities),
        ),
        Mistake(
            "raw_likelihood", trained_on_raw_likelihood,
            "`F.nll_loss` expects log-probabilities, and you give it logits, so the loss has no floor. Use "
            "`F.cross_entropy` on the logits.",
            behaves=lambda trials: in_any(trials, lambda t: _value_of(t.seen["loss"]) < 0),
        ),
        Mistake(
            "squared_error", trained_on_squared_error,
            "This is a squared error between logits and labels. Classes are learned with the cross-entropy.",
        ),
        Mistake(
            "loss_times_the_batch", loss_times_the_batch,
            "The weights are right, but the loss you return is multiplied by the size of the batch. Return the mean "
            "that you went backward from.",
            behaves=lambda trials: _all(
                _named(trials, "plain", "momentum", "double"),
                lambda t: _one_sided(t, "weights_after_all_steps")
                and close(_value_of(t.seen["loss"]), t.expected["loss"] * len(t.case.inputs["labels"]) / 3),
            ),
        ),
        Mistake(
            "sum_over_batch", trained_on_the_sum,
            "You add the losses of the batch up, so a batch twice as large steps twice as far. Take the mean, as "
            "`F.cross_entropy` does by itself.",
            behaves=lambda trials: _all(
                _named(trials, "plain", "momentum", "double"),
                lambda t: close(_value_of(t.seen["loss"]), t.expected["loss"] * len(t.case.inputs["labels"]) / 3),
            ),
        ),
        Mistake(
            "no_zero_grad", without_zero_grad,
            "The first step is right, the following ones are not: PyTorch adds each new gradient to the old ones. "
            "Clear them in every step, with `optimizer.zero_grad()`.",
            behaves=lambda trials: _all(
                _named(trials, *_LINEAR_CASES), lambda t: _one_sided(t, "weights_after_one_step")
            )
            and _all(_named(trials, *_LINEAR_CASES), lambda t: not _one_sided(t, "weights_after_all_steps")),
        ),
        Mistake(
            "loss_after_step", loss_after_the_step,
            "The weights are right, but the loss is computed again after the step, at the price of a second pass. "
            "Return the loss that you went backward from.",
            behaves=lambda trials: _all(
                _named(trials, *_LINEAR_CASES), lambda t: _one_sided(t, "weights_after_all_steps")
            )
            and _all(_named(trials, "plain"), lambda t: _value_of(t.seen["loss"]) < t.expected["loss"]),
        ),
        Mistake(
            "tensor", loss_as_a_tensor,
            "The loss comes back as a tensor; keep a list of those and the graph of every step may stay in memory. "
            "`.item()` gives the number.",
            behaves=lambda trials: _all(trials, lambda t: isinstance(t.seen["loss"], Tensor)),
        ),
        Mistake(
            "eval_mode", trained_in_eval_mode,
            "A network that comes in eval mode is trained in eval mode, and its batch normalization learns no "
            "statistics. Begin with `model.train()`.",
            behaves=lambda trials: in_any(trials, lambda t: "eval" in t.seen["mode_during"]),
        ),
    ),
    alternatives=(train_step_plain, train_step_cleared_at_the_end),
)  # fmt: skip


# --- 0.4 few_label_split --------------------------------------------------------------------------------------------


def few_label_split_reference(labels, per_class, generator):
    """A random order of everything, then a stable sort by class: the first of each class are labeled."""
    order = torch.randperm(len(labels), generator=generator)
    seen = dict.fromkeys(labels.tolist(), 0)
    labeled: list[int] = []
    rest: list[int] = []
    for position in order.tolist():
        label = int(labels[position])
        (labeled if seen[label] < per_class else rest).append(position)
        seen[label] += 1
    return torch.tensor(labeled, dtype=torch.int64), torch.tensor(rest, dtype=torch.int64)


def split_class_by_class(labels, per_class, generator):
    labeled, rest = [], []
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)
        positions = positions[torch.randperm(len(positions), generator=generator)]
        labeled.append(positions[:per_class])
        rest.append(positions[per_class:])
    return torch.cat(labeled), torch.cat(rest)


def split_by_a_mask(labels, per_class, generator):
    is_labeled = torch.zeros(len(labels), dtype=torch.bool)
    for k in range(int(labels.max()) + 1):
        positions = torch.where(labels == k)[0]
        is_labeled[positions[torch.randperm(positions.numel(), generator=generator)[:per_class]]] = True
    return torch.nonzero(is_labeled).flatten(), torch.nonzero(~is_labeled).flatten()


def split_by_multinomial(labels, per_class, generator):
    labeled = torch.cat(
        [torch.multinomial((labels == k).double(), per_class, generator=generator) for k in labels.unique()]
    )
    rest = [i for i in range(len(labels)) if i not in set(labeled.tolist())]
    return labeled, torch.tensor(rest, dtype=torch.int64)


def first_of_each_class(labels, per_class, generator):
    labeled, rest = [], []
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)
        labeled.append(positions[:per_class])
        rest.append(positions[per_class:])
    return torch.cat(labeled), torch.cat(rest)


def not_stratified(labels, per_class, generator):
    order = torch.randperm(len(labels), generator=generator)
    count = per_class * len(labels.unique())
    return order[:count], order[count:]


def per_class_in_all(labels, per_class, generator):
    order = torch.randperm(len(labels), generator=generator)
    return order[:per_class], order[per_class:]


def overlapping_sets(labels, per_class, generator):
    labeled = []
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)
        labeled.append(positions[torch.randperm(len(positions), generator=generator)[:per_class]])
    return torch.cat(labeled), torch.arange(len(labels))


def shuffled_twice(labels, per_class, generator):
    labeled, rest = [], []
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)
        labeled.append(positions[torch.randperm(len(positions), generator=generator)[:per_class]])
        rest.append(positions[torch.randperm(len(positions), generator=generator)[per_class:]])
    return torch.cat(labeled), torch.cat(rest)


def drawn_with_replacement(labels, per_class, generator):
    drawn = []
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)
        drawn.append(positions[torch.randint(len(positions), (per_class,), generator=generator)])
    labeled = torch.cat(drawn)
    is_rest = torch.ones(len(labels), dtype=torch.bool)
    is_rest[labeled] = False
    return labeled, torch.nonzero(is_rest).squeeze(1)


def from_the_global_generator(labels, per_class, generator):
    labeled, rest = [], []
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)
        positions = positions[torch.randperm(len(positions))]
        labeled.append(positions[:per_class])
        rest.append(positions[per_class:])
    return torch.cat(labeled), torch.cat(rest)


def always_the_same_seed(labels, per_class, generator):
    generator = torch.Generator().manual_seed(0)
    labeled, rest = [], []
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)
        positions = positions[torch.randperm(len(positions), generator=generator)]
        labeled.append(positions[:per_class])
        rest.append(positions[per_class:])
    return torch.cat(labeled), torch.cat(rest)


def seeded_from_the_generator(labels, per_class, generator):
    generator = torch.Generator().manual_seed(generator.initial_seed())
    labeled, rest = [], []
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)
        positions = positions[torch.randperm(len(positions), generator=generator)]
        labeled.append(positions[:per_class])
        rest.append(positions[per_class:])
    return torch.cat(labeled), torch.cat(rest)


def positions_within_the_class(labels, per_class, generator):
    labeled, rest = [], []
    for k in labels.unique():
        order = torch.randperm(int((labels == k).sum()), generator=generator)
        labeled.append(order[:per_class])
        rest.append(order[per_class:])
    return torch.cat(labeled), torch.cat(rest)


def labels_instead_of_positions(labels, per_class, generator):
    labeled, rest = [], []
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)
        positions = positions[torch.randperm(len(positions), generator=generator)]
        labeled.append(positions[:per_class])
        rest.append(positions[per_class:])
    return labels[torch.cat(labeled)], labels[torch.cat(rest)]


def always_ten_classes(labels, per_class, generator):
    labeled, rest = [], []
    for k in range(10):
        positions = torch.nonzero(labels == k).squeeze(1)
        positions = positions[torch.randperm(len(positions), generator=generator)]
        labeled.append(positions[:per_class])
        rest.append(positions[per_class:])
    return torch.cat(labeled), torch.cat(rest)


def masks_instead_of_positions(labels, per_class, generator):
    is_labeled = torch.zeros(len(labels), dtype=torch.bool)
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)
        is_labeled[positions[torch.randperm(len(positions), generator=generator)[:per_class]]] = True
    return is_labeled, ~is_labeled


def sets_exchanged(labels, per_class, generator):
    labeled, rest = [], []
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)
        positions = positions[torch.randperm(len(positions), generator=generator)]
        labeled.append(positions[:per_class])
        rest.append(positions[per_class:])
    return torch.cat(rest), torch.cat(labeled)


def labeled_set_only(labels, per_class, generator):
    labeled = []
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)
        labeled.append(positions[torch.randperm(len(positions), generator=generator)[:per_class]])
    return torch.cat(labeled)


def _set(value: Any) -> list[int]:
    """Positions, sorted. Raises for anything that is no int64 vector; then a criterion is not met."""
    if not isinstance(value, Tensor) or value.dtype != torch.int64 or value.ndim != 1:
        raise TypeError("no positions")
    return sorted(value.tolist())


def _per_class_counts(case: Case, positions: Any) -> list[int]:
    labels = case.inputs["labels"]
    chosen = labels[torch.tensor(sorted(set(_set(positions))), dtype=torch.int64)]
    return [int((chosen == k).sum()) for k in labels.unique()]


def _is_stratified(case: Case, positions: Any) -> bool:
    return all(count == case.inputs["per_class"] for count in _per_class_counts(case, positions))


def _stratified(case: Case, seen: Values, expected: Values) -> bool:
    return _is_stratified(case, seen["labeled"]) and _is_stratified(case, seen["labeled_other_seed"])


def _complete(case: Case, seen: Values, expected: Values) -> bool:
    labeled, rest = set(_set(seen["labeled"])), set(_set(seen["rest"]))
    once = len(rest) == len(seen["rest"])
    return bool(labeled) and once and not labeled & rest and labeled | rest == set(range(len(case.inputs["labels"])))


def _random(case: Case, seen: Values, expected: Values) -> bool:
    """Each image of a class is labeled about as often as any other, over many draws: within 6 standard deviations."""
    labels = case.inputs["labels"]
    if int(seen["times_labeled"].sum()) != DRAWS * case.inputs["per_class"] * len(labels.unique()):
        return False
    for k in labels.unique():
        counts = seen["times_labeled"][labels == k].double()
        share = case.inputs["per_class"] / len(counts)
        tolerance = 6 * math.sqrt(DRAWS * share * (1 - share))
        if bool(((counts - DRAWS * share).abs() > tolerance).any()):
            return False
    return True


def _from_the_generator(case: Case, seen: Values, expected: Values) -> bool:
    same = _set(seen["labeled"]) == _set(seen["labeled_again"]) and _set(seen["rest"]) == _set(seen["rest_again"])
    return same and _set(seen["labeled"]) != _set(seen["labeled_other_seed"])


def _some_other_seed_differs(trials: Sequence[Trial]) -> bool:
    return in_any(trials, lambda t: _set(t.seen["labeled"]) != _set(t.seen["labeled_other_seed"]))


def _first_positions(case: Case) -> list[int]:
    labeled, _ = first_of_each_class(case.inputs["labels"], case.inputs["per_class"], None)
    return sorted(labeled.tolist())


def _last_positions(case: Case) -> list[int]:
    labels, k = case.inputs["labels"], case.inputs["per_class"]
    return sorted(torch.cat([torch.nonzero(labels == c).squeeze(1)[-k:] for c in labels.unique()]).tolist())


def a_class_forgotten(labels, per_class, generator):
    labeled, rest = [], []
    for k in range(int(labels.max())):
        positions = torch.nonzero(labels == k).squeeze(1)
        positions = positions[torch.randperm(len(positions), generator=generator)]
        labeled.append(positions[:per_class])
        rest.append(positions[per_class:])
    return torch.cat(labeled), torch.cat(rest)


def one_lost_at_the_cut(labels, per_class, generator):
    labeled, rest = [], []
    for k in labels.unique():
        positions = torch.nonzero(labels == k).squeeze(1)
        positions = positions[torch.randperm(len(positions), generator=generator)]
        labeled.append(positions[:per_class])
        rest.append(positions[per_class + 1 :])
    return torch.cat(labeled), torch.cat(rest)


def columns_of_positions(labels, per_class, generator):
    labeled, rest = [], []
    for k in labels.unique():
        positions = torch.nonzero(labels == k)
        positions = positions[torch.randperm(len(positions), generator=generator)]
        labeled.append(positions[:per_class])
        rest.append(positions[per_class:])
    return torch.cat(labeled), torch.cat(rest)


few_label_split = Judge(
    reference=few_label_split_reference,
    exact=False,
    criteria=(
        Criterion("stratified", 1, "labeled holds exactly per_class different images of each class", _stratified),
        Criterion("complete", 1, "every position is in one of the two sets, and in only one", passes=_complete),
        Criterion(
            "random", 1, "every image of a class has the same chance", passes=_random, cases=DRAWN_CASES,
        ),
        Criterion(
            "from_the_generator", 1, "the generator decides: same seed, same split; another seed, another split",
            passes=_from_the_generator, cases=DRAWN_CASES,
        ),
    ),
    mistakes=(
        Mistake(
            "labeled_only", labeled_set_only,
            "You return one thing. Two are asked for, `return labeled, rest`: the images without labels are what this "
            "course lives on.",
            behaves=lambda trials: _all(trials, lambda t: isinstance(t.seen.get("returned"), Tensor)),
        ),
        Mistake(
            "masks", masks_instead_of_positions,
            "You return masks of True and False. Positions are asked for: `torch.nonzero(mask).squeeze(1)` makes them.",
            behaves=lambda trials: _all(
                trials, lambda t: isinstance(t.seen["labeled"], Tensor) and t.seen["labeled"].dtype == torch.bool
            ),
        ),
        Mistake(
            "columns_of_positions", columns_of_positions,
            "Your positions stand in columns `(n, 1)`, because `torch.nonzero` gives a row for each hit. Drop the last "
            "dimension.",
            behaves=lambda trials: _all(
                trials, lambda t: isinstance(t.seen["labeled"], Tensor) and t.seen["labeled"].ndim == 2
            ),
        ),
        Mistake(
            "a_class_forgotten", a_class_forgotten,
            "One class gets no labels at all: your loop ends before the last one. Ask the labels which classes there "
            "are.",
            behaves=lambda trials: _all(
                trials, lambda t: _per_class_counts(t.case, t.seen["labeled"]).count(0) == 1
            ),
        ),
        Mistake(
            "one_lost_at_the_cut", one_lost_at_the_cut,
            "Some images are in neither set. What is not labeled belongs to the rest, down to the last image.",
            behaves=lambda trials: _all(
                trials,
                lambda t: _is_stratified(t.case, t.seen["labeled"])
                and not set(_set(t.seen["labeled"])) & set(_set(t.seen["rest"])),
            )
            and in_any(trials, lambda t: len(t.seen["rest"]) < len(t.expected["rest"])),
        ),
        Mistake(
            "first_of_each_class", first_of_each_class,
            "You always take the same images of a class, as they stand in the file. Files are often sorted, by writer "
            "or by day: shuffle a class's positions before you take some.",
            behaves=lambda trials: _all(
                trials, lambda t: _set(t.seen["labeled"]) in (_first_positions(t.case), _last_positions(t.case))
            ),
        ),
        Mistake(
            "per_class_in_all", per_class_in_all,
            "You take `per_class` images in all. It is that many of each class.",
            behaves=lambda trials: _all(trials, lambda t: len(t.seen["labeled"]) == t.case.inputs["per_class"]),
        ),
        Mistake(
            "sets_exchanged", sets_exchanged,
            "The two sets are exchanged: labeled comes first.",
            behaves=lambda trials: _all(trials, lambda t: _is_stratified(t.case, t.seen["rest"]))
            and not _all(trials, lambda t: _is_stratified(t.case, t.seen["labeled"])),
        ),
        Mistake(
            "labels_instead_of_positions", labels_instead_of_positions,
            "You return labels. Return the positions of the images, so that one can pick images and labels with them.",
            behaves=lambda trials: _all(
                _named(trials, "plain", "twelve_classes"),
                lambda t: sorted(t.seen["labeled"].tolist() + t.seen["rest"].tolist())
                == sorted(t.case.inputs["labels"].tolist()),
            ),
        ),
        Mistake(
            "positions_within_the_class", positions_within_the_class,
            "You shuffle 0, 1, 2... within a class and take those numbers for positions in the whole set. Use them to "
            "pick from the class's own positions.",
            behaves=lambda trials: _all(
                _named(trials, "sorted"),
                lambda t: max(_set(t.seen["labeled"])) < int((t.case.inputs["labels"] == 0).sum()),
            ),
        ),
        Mistake(
            "ten_classes", always_ten_classes,
            "You count on ten classes; one test has twelve, and two of them get no labels. Ask the labels which "
            "classes there are.",
            behaves=lambda trials: _all(
                _named(trials, "twelve_classes"), lambda t: 0 in _per_class_counts(t.case, t.seen["labeled"])
            )
            and _all(_named(trials, "plain", "sorted"), lambda t: _is_stratified(t.case, t.seen["labeled"])),
        ),
        Mistake(
            "with_replacement", drawn_with_replacement,
            "Some images are drawn twice, so a class has fewer different images than it should. Draw without putting "
            "back: shuffle, then cut.",
            behaves=lambda trials: in_any(
                trials,
                lambda t: len(set(_set(t.seen["labeled"]))) < len(t.seen["labeled"])
                and len(t.seen["labeled"]) == len(t.expected["labeled"]),
            ),
        ),
        Mistake(
            "not_stratified", not_stratified,
            "The number of labels is right, but some classes get more than others. Choose `per_class` from each class.",
            behaves=lambda trials: _all(trials, lambda t: len(t.seen["labeled"]) == len(t.expected["labeled"]))
            and in_any(trials, lambda t: not _is_stratified(t.case, t.seen["labeled"])),
        ),
        Mistake(
            "shuffled_twice", shuffled_twice,
            "The two sets are cut from two different shuffles, so some images are in both and some in none. Shuffle "
            "once, cut once.",
            behaves=lambda trials: _all(
                trials,
                lambda t: len(t.seen["rest"]) == len(t.expected["rest"]) and _is_stratified(t.case, t.seen["labeled"]),
            )
            and in_any(trials, lambda t: bool(set(_set(t.seen["labeled"])) & set(_set(t.seen["rest"])))),
        ),
        Mistake(
            "overlapping_sets", overlapping_sets,
            "Labeled images are in the rest as well. Keep the two sets apart, or what you measure on one is known "
            "from the other.",
            behaves=lambda trials: _all(
                trials, lambda t: bool(set(_set(t.seen["labeled"])) & set(_set(t.seen["rest"])))
            ),
        ),
        Mistake(
            "always_the_same_seed", always_the_same_seed,
            "Two different generators give the same split: yours is seeded anew inside. Draw from the generator that "
            "you are given, as it comes.",
            behaves=lambda trials: not _some_other_seed_differs(trials)
            and _all(trials, lambda t: _is_stratified(t.case, t.seen["labeled"])),
        ),
        Mistake(
            "generator_stands_still", seeded_from_the_generator,
            "Called twice with one generator, you give the same split twice: only its seed is used. Draw from the "
            "generator itself, so that it moves on.",
            behaves=lambda trials: _some_other_seed_differs(trials)
            and _all(
                _named(trials, *DRAWN_CASES),
                lambda t: _is_stratified(t.case, t.seen["labeled"])
                and set(t.seen["times_labeled"].tolist()) == {0, DRAWS},
            ),
        ),
        Mistake(
            "global_generator", from_the_global_generator,
            "Your shuffle does not use the generator, so the split changes with whatever else draws random numbers. "
            "Pass it on: `generator=generator`.",
            behaves=lambda trials: in_any(trials, lambda t: _set(t.seen["labeled"]) != _set(t.seen["labeled_again"])),
        ),
    ),
    alternatives=(split_class_by_class, split_by_a_mask, split_by_multinomial),
)  # fmt: skip


JUDGES = {
    "accuracy": accuracy,
    "evaluate": evaluate,
    "train_step": train_step,
    "few_label_split": few_label_split,
}
