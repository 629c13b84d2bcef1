"""Unit 07, first notebook, the independent try: answers written from the statements alone. Wrong ones are caught and
rightly named, right ones are right."""

from __future__ import annotations

import copy
import time

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from course_lib.exercises import exercise_named
from course_lib.models import eval_mode
from tests.exercises.known import check
from tests.exercises.shared import variants_tested

# --- pseudo_label ---------------------------------------------------------------------------------------------------


def at_rest(model, images):
    resting = copy.deepcopy(model).eval()
    with torch.no_grad():
        return torch.cat([resting(part) for part in images.chunk(8)])


def shuffled_loader(model, images):
    labels, sure = [], []
    training = model.training
    model.eval()
    with torch.no_grad():
        for (x,) in DataLoader(TensorDataset(images), batch_size=5, shuffle=True):
            p = model(x).softmax(-1)
            labels.append(p.argmax(-1))
            sure.append(p.amax(-1))
    model.train(training)
    return torch.cat(labels), torch.cat(sure)


def no_switch(model, images):
    with torch.no_grad():
        p = F.softmax(model(images), 1)
    return p.argmax(1), p.max(1).values


def one_at_a_time_in_train_mode(model, images):
    p = torch.stack([F.softmax(model(x[None]), 1)[0].detach() for x in images])
    return p.argmax(1), p.max(1).values


def forgets_to_go_back(model, images):
    model.eval()
    with torch.inference_mode():
        p = model(images).softmax(1)
    return p.argmax(1), p.amax(1)


def in_eval_mode_by_the_library(model, images):
    with eval_mode(model), torch.no_grad():
        p = torch.cat([model(batch) for batch in images.split(200)]).softmax(1)
    return p.argmax(1), p.amax(1)


def plain_logits(model, images):
    z = at_rest(model, images)
    return z.argmax(1), z.amax(1)


def graph_kept(model, images):
    training = model.training
    p = model.eval()(images).softmax(1)
    model.train(training)
    return p.argmax(1), p.max(1).values


def one_mode_for_all_parts(model, images):
    training = model.training
    model.eval()
    with torch.no_grad():
        p = torch.cat([model(x).softmax(1) for x in images.split(256)])
    model.train(training)
    return p.argmax(1), p.amax(1)


def in_one_go(model, images):
    resting = copy.deepcopy(model).eval()
    with torch.no_grad():
        p = resting(images).softmax(1)
    return p.argmax(1), p.amax(1)


def full_batches_only(model, images):
    z = at_rest(model, images[: max(1, len(images) // 64 * 64)])
    return z.argmax(1), z.softmax(1).amax(1)


def wrong_dimension(model, images):
    p = at_rest(model, images).softmax(0)
    return p.argmax(1), p.max(1).values


def pair_of_max(model, images):
    return at_rest(model, images).softmax(1).max(1)


def as_floats(model, images):
    p = at_rest(model, images).softmax(1)
    return p.argmax(1).float(), p.amax(1)


def by_hand(model, images):
    z = at_rest(model, images)
    p = (z - z.amax(1, keepdim=True)).exp()
    p = p / p.sum(1, keepdim=True)
    labels = p.argmax(1)
    return [labels, p[torch.arange(len(p)), labels]]


def every_module_put_back(model, images):
    modes = [m.training for m in model.modules()]
    for m in model.modules():
        m.training = False
    with torch.no_grad():
        loader = DataLoader(TensorDataset(images), batch_size=4)
        p = torch.cat([model(x).softmax(1) for (x,) in loader])
    for m, mode in zip(model.modules(), modes):
        m.training = mode
    return p.argmax(1), p.gather(1, p.argmax(1, keepdim=True)).squeeze(1)


# --- select_confident -----------------------------------------------------------------------------------------------


def per_class_of_everyone(labels, confidences, tau, *, per_class=None):
    if per_class is None:
        return torch.where(confidences >= tau)[0]
    keep = []
    for k in range(int(labels.max()) + 1):
        own = torch.where(labels == k)[0]
        keep += own[confidences[own].sort(descending=True).indices[:per_class]].tolist()
    return torch.tensor(sorted(keep))


def greater(labels, confidences, tau, *, per_class=None):
    order = confidences.argsort(descending=True)
    kept = []
    for i in order.tolist():
        if confidences[i] > tau and (per_class is None or sum(labels[j] == labels[i] for j in kept) < per_class):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.long).sort().values


def best_first(labels, confidences, tau, *, per_class=None):
    kept = []
    for i in confidences.argsort(descending=True).tolist():
        if confidences[i] >= tau and (per_class is None or sum(labels[j] == labels[i] for j in kept) < per_class):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.long)


def topk_of_all(labels, confidences, tau, *, per_class=None):
    idx = torch.where(confidences >= tau)[0]
    if per_class is not None:
        idx = idx[confidences[idx].topk(min(per_class, len(idx))).indices].sort().values
    return idx


def cut_in_order(labels, confidences, tau, *, per_class=None):
    counts, kept = {}, []
    for i, (label, sure) in enumerate(zip(labels.tolist(), confidences.tolist())):
        if sure >= tau and (per_class is None or counts.get(label, 0) < per_class):
            counts[label] = counts.get(label, 0) + 1
            kept.append(i)
    return torch.tensor(kept, dtype=torch.long)


def truth_values(labels, confidences, tau, *, per_class=None):
    mask = confidences >= tau
    if per_class is not None:
        for k in labels.unique():
            sure = torch.where(mask & (labels == k))[0]
            mask[sure[confidences[sure].argsort(descending=True)[per_class:]]] = False
    return mask


def falls_over(labels, confidences, tau, *, per_class=None):
    idx = (confidences >= tau).nonzero()[:, 0]
    if per_class is None:
        return idx
    return torch.cat([idx[labels[idx] == k][confidences[idx[labels[idx] == k]].argsort().flip(0)[:per_class]]
                      for k in labels[idx].unique()]).sort()[0]  # fmt: skip


def by_numpy(labels, confidences, tau, *, per_class=None):
    y, c = labels.numpy(), confidences.numpy()
    idx = np.flatnonzero(c >= tau)
    if per_class is not None:
        idx = np.sort(np.concatenate([idx[:0], *(s[np.argsort(-c[s])][:per_class]
                                                 for s in (idx[y[idx] == k] for k in np.unique(y[idx])))]))  # fmt: skip
    return torch.from_numpy(idx)


def squeezed(labels, confidences, tau, *, per_class=None):
    return masked_out(labels, confidences, tau, per_class=per_class).squeeze()


def zero_is_no_limit(labels, confidences, tau, *, per_class=None):
    return masked_out(labels, confidences, tau, per_class=per_class or None)


def masked_out(labels, confidences, tau, *, per_class=None):
    return truth_values(labels, confidences, tau, per_class=per_class).nonzero().flatten()


# --- expected_calibration_error -------------------------------------------------------------------------------------


def bins_of(logits, labels, num_bins):
    p, y = logits.softmax(1).max(1)
    place = torch.bucketize(p, torch.linspace(0, 1, num_bins + 1)[1:-1].to(p))
    return p, (y == labels).to(p), place


def by_bucketize(logits, labels, *, num_bins=10):
    p, right, place = bins_of(logits, labels, num_bins)
    return float(sum((right - p)[place == m].sum().abs() for m in range(num_bins)) / len(p))


def by_numpy_digitize(logits, labels, *, num_bins=10):
    p = logits.double().softmax(1).numpy()
    conf, right = p.max(1), p.argmax(1) == labels.numpy()
    where = np.digitize(conf, np.linspace(0, 1, num_bins + 1), right=True)
    return sum(np.mean(where == m) * abs(right[where == m].mean() - conf[where == m].mean())
               for m in np.unique(where)).item()  # fmt: skip


def unweighted(logits, labels, *, num_bins=10):
    p, right, place = bins_of(logits, labels, num_bins)
    gaps = [(right - p)[place == m].mean().abs() for m in range(num_bins) if (place == m).any()]
    return float(torch.stack(gaps).mean())


def signed(logits, labels, *, num_bins=10):
    p, right, _ = bins_of(logits, labels, num_bins)
    return float((right - p).mean())


def worst(logits, labels, *, num_bins=10):
    p, right, place = bins_of(logits, labels, num_bins)
    return max(float((right - p)[place == m].mean().abs()) for m in place.unique())


def with_nan(logits, labels, *, num_bins=10):
    p, right, place = bins_of(logits, labels, num_bins)
    return float(sum((place == m).float().mean() * (right - p)[place == m].mean().abs() for m in range(num_bins)))


def of_the_label(logits, labels, *, num_bins=10):
    p = logits.softmax(1)
    own, right = p[torch.arange(len(p)), labels], (p.argmax(1) == labels).to(p)
    place = (own * num_bins).ceil().clamp(1, num_bins)
    return float(sum((right - own)[place == m].sum().abs() for m in place.unique()) / len(p))


def half_open(logits, labels, *, num_bins=10):
    p, right, _ = bins_of(logits, labels, num_bins)
    place = (p * num_bins).floor()
    return float(sum((right - p)[place == m].sum().abs() for m in range(num_bins)) / len(p))


# --- self_training_round --------------------------------------------------------------------------------------------


def guess(model, x):
    model = copy.deepcopy(model).eval()
    with torch.no_grad():
        return model(x).softmax(1).max(1)


def fine_round(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    sure, said = guess(model, unlabeled)
    keep = sure >= tau
    student = copy.deepcopy([model, start][int(restart)])
    train(student, torch.cat((unlabeled[keep], images)), torch.cat((said[keep], labels)))
    return student, keep.nonzero().flatten()


def fine_round_from_state(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    sure, said = guess(model, unlabeled)
    idx = [i for i, c in enumerate(sure) if c >= tau]
    student = copy.deepcopy(model)
    if restart:
        student.load_state_dict({k: v.clone() for k, v in start.state_dict().items()})
    x = torch.stack([*images, *(unlabeled[i] for i in idx)])
    y = torch.tensor([*labels.tolist(), *(int(said[i]) for i in idx)])
    train(student, x, y)
    return student, torch.tensor(idx, dtype=torch.int64)


def untrained_labels(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    student = copy.deepcopy(start if restart else model)
    sure, said = guess(student, unlabeled)
    keep = torch.where(sure >= tau)[0]
    train(student, torch.cat([images, unlabeled[keep]]), torch.cat([labels, said[keep]]))
    return student, keep


def only_pseudo(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    sure, said = guess(model, unlabeled)
    keep = torch.where(sure >= tau)[0]
    student = copy.deepcopy(start if restart else model)
    train(student, unlabeled[keep], said[keep])
    return student, keep


def no_copy(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    sure, said = guess(model, unlabeled)
    keep = torch.where(sure >= tau)[0]
    student = start if restart else model
    train(student, torch.cat([images, unlabeled[keep]]), torch.cat([labels, said[keep]]))
    return student, keep


def everything_relabeled(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    keep = torch.where(guess(model, unlabeled)[0] >= tau)[0]
    x = torch.cat([images, unlabeled[keep]])
    student = copy.deepcopy(start if restart else model)
    train(student, x, guess(model, x)[1])
    return student, keep


def no_threshold(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    _, said = guess(model, unlabeled)
    student = copy.deepcopy(start if restart else model)
    train(student, torch.cat([images, unlabeled]), torch.cat([labels, said]))
    return student, torch.arange(len(unlabeled))


def surer_than_tau(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    sure, said = guess(model, unlabeled)
    keep = torch.where(sure > tau)[0]
    student = copy.deepcopy(start if restart else model)
    train(student, torch.cat([images, unlabeled[keep]]), torch.cat([labels, said[keep]]))
    return student, keep


def two_trainings(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    sure, said = guess(model, unlabeled)
    keep = torch.where(sure >= tau)[0]
    student = copy.deepcopy(start if restart else model)
    train(student, images, labels)
    train(student, unlabeled[keep], said[keep])
    return student, keep


def restart_forgotten(model, start, images, labels, unlabeled, *, tau, train, restart=True):
    return fine_round(model, model, images, labels, unlabeled, tau=tau, train=train)


def test_a_strict_threshold_is_named_in_a_round_too():
    result = check(exercise_named("self_training_round"), surer_than_tau, seed=1)
    assert (result.mistake, result.score) == ("strictly_above", 3)


def test_no_exercise_costs_a_class_of_a_thousand_much_time():
    for name in ("pseudo_label", "select_confident", "expected_calibration_error", "self_training_round",
                 "train_with_pseudo_labels"):  # fmt: skip
        exercise = exercise_named(name)
        from course_lib.exercises import judge_of
        from course_lib.exercises.observing import observe_all

        cases = exercise.cases(1)
        observe_all(exercise, judge_of(exercise).reference, cases)
        began = time.process_time()
        observe_all(exercise, judge_of(exercise).reference, cases)
        assert time.process_time() - began < 0.15, name  # a few tens of milliseconds, and slack for a busy machine


CASES = [
    ("pseudo_label", shuffled_loader, "in_shuffled_order"),
    ("pseudo_label", no_switch, "asked_in_train_mode"),
    ("pseudo_label", one_at_a_time_in_train_mode, "asked_in_train_mode"),
    ("pseudo_label", forgets_to_go_back, "left_in_eval_mode"),
    ("pseudo_label", in_eval_mode_by_the_library, None),
    ("pseudo_label", plain_logits, "largest_logit"),
    ("pseudo_label", graph_kept, "gradients_on"),
    ("pseudo_label", wrong_dimension, "softmax_over_images"),
    ("pseudo_label", pair_of_max, "confidences_first"),
    ("pseudo_label", as_floats, "labels_as_floats"),
    ("pseudo_label", one_mode_for_all_parts, "parts_woken_up"),
    ("pseudo_label", in_one_go, "all_at_once"),
    ("pseudo_label", full_batches_only, "last_batch_dropped"),
    ("pseudo_label", by_hand, None),
    ("pseudo_label", every_module_put_back, None),
    ("select_confident", per_class_of_everyone, "threshold_dropped_with_a_limit"),
    ("select_confident", greater, "strictly_above"),
    ("select_confident", best_first, "in_order_of_confidence"),
    ("select_confident", topk_of_all, "limit_for_all_together"),
    ("select_confident", cut_in_order, "the_first_ones"),
    ("select_confident", truth_values, "a_mask"),
    ("select_confident", falls_over, "fails_when_nobody_is_sure"),
    ("select_confident", squeezed, "a_number_for_a_single_one"),
    ("select_confident", zero_is_no_limit, "zero_for_no_limit"),
    ("select_confident", by_numpy, None),
    ("select_confident", masked_out, None),
    ("expected_calibration_error", unweighted, "mean_of_bins"),
    ("expected_calibration_error", signed, "gaps_with_signs"),
    ("expected_calibration_error", worst, "largest_gap"),
    ("expected_calibration_error", with_nan, "nan_of_empty_bins"),
    ("expected_calibration_error", of_the_label, "probability_of_the_label"),
    ("expected_calibration_error", half_open, "certain_ones_left_out"),
    ("expected_calibration_error", by_bucketize, None),
    ("expected_calibration_error", by_numpy_digitize, None),
    ("self_training_round", untrained_labels, "restarted_before_asking"),
    ("self_training_round", only_pseudo, "labeled_left_out"),
    ("self_training_round", no_copy, "start_trained_itself"),
    ("self_training_round", everything_relabeled, "labeled_relabeled"),
    ("self_training_round", no_threshold, "all_of_them_trained_on"),
    ("self_training_round", restart_forgotten, "never_restarted"),
    ("self_training_round", two_trainings, "trained_one_after_the_other"),
    ("self_training_round", fine_round, None),
    ("self_training_round", fine_round_from_state, None),
]


test_a_variant_is_named_and_another_right_answer_is_right = variants_tested(CASES)
