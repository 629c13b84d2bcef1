"""`pseudo_label_check`: a reference, and what recognizes variants of the mistakes."""

from __future__ import annotations

import torch
from torch import nn

from course_lib.exercises.candidates import judge_for_check, lets_pass, refuses_some

# Wrong answers whose result is right, and that change something for the caller.
_MODES = ("left_in_eval_mode", "woken_up", "parts_woken_up")
_GRADIENTS = ("gradients_off_for_good", "weights_frozen_for_good", "gradients_on")
_CONFIDENCES = ("sigmoid_of_logits", "softmax_twice", "margin_of_the_best_two")
_MORE_CONFIDENCES = ("two_permutations", "largest_logit", "largest_log_probability", "softmax_over_images")

_OTHER_LABELS = ("labels_as_floats", "asked_in_train_mode", "last_batch_dropped", "maximum_over_images")


def reference(candidate):
    """Models with a BatchNorm and a Dropout in every combination of modes, and numbers of images around a batch."""
    generator = torch.Generator().manual_seed(1)
    linear, norm, dropout = nn.Linear(12, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)
    linear.weight.data = torch.randn(4, 12, generator=generator)
    norm.running_mean = torch.randn(4, generator=generator)
    model = nn.Sequential(nn.Flatten(), linear, norm, nn.Sequential(dropout))
    for count, resting in ((300, None), (9, norm), (20, dropout), (7, model)):
        images = torch.rand(count, 3, 2, 2, generator=generator)
        with torch.no_grad():
            best = model.eval()(images).softmax(dim=1).max(dim=1)
        model.train()
        if resting is not None:
            resting.eval()
        state = [(module, module.training) for module in model.modules()]
        numbers = {name: value.clone() for name, value in model.state_dict().items()}
        labels, confidences = candidate(model, images)
        assert torch.is_grad_enabled() and all(weight.requires_grad for weight in model.parameters())
        assert labels.dtype == torch.int64 and not confidences.requires_grad
        assert torch.equal(labels, best.indices) and torch.allclose(confidences, best.values, atol=1e-5)
        assert state == [(module, module.training) for module in model.modules()]
        assert all(torch.equal(value, numbers[name]) for name, value in model.state_dict().items())


judge = judge_for_check(
    points=5,
    reference=reference,
    left_out=("gradients_cut_afterwards", "all_at_once"),  # they cost memory alone, and return what is right
    predicates={
        "compared_exactly": refuses_some,
        "only_the_form": lets_pass(
            *("softmax_twice", "sigmoid_of_logits", "in_shuffled_order", "two_permutations", *_MODES),
            and_maybe=(*_CONFIDENCES, *_MORE_CONFIDENCES, *_GRADIENTS, *_OTHER_LABELS),
        ),
        "result_alone": lets_pass(
            *_MODES, *_GRADIENTS, and_maybe=("asked_in_train_mode", "last_batch_dropped", "labels_as_floats")
        ),
        "equal_images": lets_pass(
            "in_shuffled_order", "two_permutations", and_maybe=("maximum_over_images", "last_batch_dropped")
        ),
        "labels_alone": lets_pass(*_CONFIDENCES, and_maybe=(*_MORE_CONFIDENCES, *_MODES, *_GRADIENTS)),
        "no_module_that_depends_on_the_mode": lets_pass("asked_in_train_mode", and_maybe=("last_batch_dropped",)),
        "train_mode_alone": lets_pass("woken_up", and_maybe=("parts_woken_up", "last_batch_dropped")),
        "eval_mode_alone": lets_pass(
            "asked_in_train_mode", "left_in_eval_mode", and_maybe=("parts_woken_up", "last_batch_dropped")
        ),
        "one_mode_for_all_modules": lets_pass("parts_woken_up", and_maybe=("left_in_eval_mode", "last_batch_dropped")),
        "trainable_unseen": lets_pass("weights_frozen_for_good", and_maybe=("gradients_off_for_good", "gradients_on")),
        "few_images": lets_pass("last_batch_dropped"),
    },
)
