"""Unit 07, second notebook, the independent try: answers written from the statements alone. Wrong ones are caught and
rightly named, right ones are right."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from course_lib.exercises import exercise_named
from tests.exercises.known import check
from tests.exercises.shared import variants_tested

# --- ramp_up --------------------------------------------------------------------------------------------------------


def by_a_clamp(step, ramp_steps, *, maximum=1.0):
    if not ramp_steps:
        return maximum
    t = max(0.0, min(1.0, step / ramp_steps))
    return maximum * (math.exp(-5 * (1 - t) * (1 - t)) if t else 0.0)


def by_numpy_less_power(step, ramp_steps, *, maximum=1.0):
    left = 1.0 - min(step, ramp_steps) / max(ramp_steps, 1)
    if ramp_steps == 0:
        left = 0.0
    return maximum * pow(math.e, -5.0 * left**2) * (left < 1.0)


def as_published(step, ramp_steps, *, maximum=1.0):
    """A ramp as it stands in many repositories: the share is clipped, and 0 is never reached."""
    if ramp_steps == 0:
        return maximum
    phase = 1.0 - max(0.0, min(float(step), ramp_steps)) / ramp_steps
    return maximum * float(math.exp(-5.0 * phase * phase))


def zero_after_the_ramp(step, ramp_steps, *, maximum=1.0):
    if 0 < step <= ramp_steps:
        return maximum * math.exp(-5 * (1 - step / ramp_steps) ** 2)
    return maximum if ramp_steps == 0 else 0.0


def cosine_ramp(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return maximum
    return maximum * (1 - math.cos(math.pi * min(step / ramp_steps, 1))) / 2


def no_guard(step, ramp_steps, *, maximum=1.0):
    return maximum * math.exp(-5 * (1 - min(step / ramp_steps, 1)) ** 2) * (step > 0)


def counts_from_one(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return maximum
    return 0.0 if step == 0 else maximum * math.exp(-5 * (1 - min((step + 1) / ramp_steps, 1)) ** 2)


# --- semi_supervised_loss -------------------------------------------------------------------------------------------


def entropy(p):
    return -(p * (p + 1e-9).log()).sum(dim=-1)


def a_table_of_functions(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    p = torch.softmax(unlabeled_logits, 1)
    extra = {
        "pseudo_label": lambda: F.nll_loss(unlabeled_logits.log_softmax(1), p.max(1)[1]),
        "reconstruction": lambda: ((x_hat - images) ** 2).flatten(1).mean(1).mean(),
        "clustering": lambda: entropy(p).mean() - entropy(p.mean(0)),
    }[term]()
    return F.cross_entropy(logits, labels) + extra * weight


def with_a_match(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    loss = F.cross_entropy(logits, labels)
    match term:
        case "pseudo_label":
            with torch.no_grad():
                guess = unlabeled_logits.argmax(-1)
            return loss.add(F.cross_entropy(unlabeled_logits, guess), alpha=weight)
        case "reconstruction":
            return loss.add(F.mse_loss(images, x_hat), alpha=weight)
        case "clustering":
            log_p = F.log_softmax(unlabeled_logits, 1)
            log_mean = log_p.logsumexp(0) - math.log(len(log_p))
            return loss + weight * (log_p.exp() * (log_mean - log_p)).sum(1).mean()


def variant(name):
    """A wrong answer that differs from the right one in one place."""

    def fn(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
        p = unlabeled_logits.softmax(1)
        loss = F.cross_entropy(logits, labels)
        if term == "pseudo_label":
            extra = F.cross_entropy(unlabeled_logits, p if name == "soft" else p.argmax(1))
        elif term == "reconstruction":
            extra = ((x_hat - images) ** 2).sum() if name == "sum" else F.mse_loss(x_hat, images)
            extra = F.l1_loss(x_hat, images) if name == "l1" else extra
        else:
            extra = entropy(p).mean()
            extra = extra if name == "no_balance" else extra - entropy(p.mean(0))
            extra = -extra if name == "sign" else extra
            extra = -(p * p.log()).sum(1).mean() - entropy(p.mean(0)) if name == "log_zero" else extra
            if name == "mean_log_zero":
                extra = entropy(p).mean() + (p.mean(0) * p.mean(0).log()).sum()
        if name == "convex":
            return weight * extra + (1.0 - weight) * loss
        if name == "brackets":
            return (loss + extra) * weight
        if name == "loss_detached":
            return loss.detach() + weight * extra
        if name == "unsupervised_detached":
            return loss + weight * extra.detach()
        if name == "sometimes":
            return loss if weight < 1 else loss + weight * extra
        return loss + weight * extra

    return fn


# --- fixmatch_loss --------------------------------------------------------------------------------------------------


def filled_with_zeros(weak_logits, strong_logits, *, threshold):
    with torch.no_grad():
        top, guess = F.softmax(weak_logits, -1).topk(1, dim=-1)
    losses = F.cross_entropy(strong_logits, guess.squeeze(1), reduction="none")
    return losses.masked_fill(top.squeeze(1) < threshold, 0.0).mean()


def selected_and_divided(weak_logits, strong_logits, *, threshold):
    p = weak_logits.detach().softmax(1)
    sure = p.amax(1).ge(threshold)
    return F.cross_entropy(strong_logits[sure], p.argmax(1)[sure], reduction="sum") / len(p)


def fixmatch_variant(name):
    def fn(weak_logits, strong_logits, *, threshold):
        p = torch.softmax(weak_logits, dim=-1)
        if name != "attached":
            p = p.detach()
        confidence, guess = p.max(-1)
        mask = confidence.ge(threshold).float()
        if name == "attached":
            return -((p * strong_logits.log_softmax(-1)).sum(-1) * mask).mean()
        if name == "by_index":
            keep = mask.nonzero().squeeze(1)
            return F.cross_entropy(strong_logits[keep], guess[keep])
        if name == "guarded":
            return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).sum() / (mask.sum() + 1e-8)
        if name == "swapped":
            return fn(strong_logits, weak_logits, threshold=threshold)
        if name == "logits":
            mask = weak_logits.max(-1)[0].ge(threshold)
        if name == "sigmoid":
            mask = weak_logits.detach().sigmoid().amax(1).ge(threshold)
        if name == "inverted":
            mask = 1 - mask
        if name == "if_any" and mask.sum() == 0:
            return torch.tensor(0.0)
        if name == "two_softmaxes":
            return (F.cross_entropy(strong_logits.softmax(1), guess, reduction="none") * mask).mean()
        if name == "log_after_softmax":
            chosen = strong_logits.softmax(-1).gather(1, guess[:, None])[:, 0]
            return (-chosen.log() * mask).mean()
        if name == "in_place":
            strong_logits.data.mul_(mask[:, None])
        return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()

    if name == "swapped":
        original = fixmatch_variant("plain")
        return lambda weak, strong, *, threshold: original(strong, weak, threshold=threshold)
    return fn


# --- ema_update -----------------------------------------------------------------------------------------------------


@torch.no_grad()
def by_names(teacher, student, decay):
    source = dict(student.state_dict())
    for key, target in teacher.state_dict(keep_vars=True).items():
        if target.dtype.is_floating_point:
            target.data.copy_(source[key] + decay * (target.data - source[key]))
        else:
            target.data.copy_(source[key])


def by_data(teacher, student, decay):
    for t, s in zip(teacher.parameters(), student.parameters()):
        t.data = t.data.mul_(decay) + 0  # a new tensor under the old parameter: holders of it see the change
        t.data.add_(s.data, alpha=1 - decay)
    for t, s in zip(teacher.buffers(), student.buffers()):
        t.copy_(t * decay + s * (1 - decay)) if t.is_floating_point() else t.copy_(s)


def modes_as_usual(teacher, student, decay):
    by_data(teacher, student, decay)
    student.train()


def as_in_mean_teacher(teacher, student, decay):
    for ema, param in zip(teacher.parameters(), student.parameters()):
        ema.data.mul_(decay).add_(param.data, alpha=1 - decay)


def as_in_byol(teacher, student, decay):
    for t, s in zip(teacher.parameters(), student.parameters()):
        t.data = (1 - decay) * t.data + decay * s.data


def all_of_the_state(teacher, student, decay):
    mixed = {k: decay * v + (1 - decay) * student.state_dict()[k] for k, v in teacher.state_dict().items()}
    teacher.load_state_dict(mixed)


def no_grad_forgotten(teacher, student, decay):
    for t, s in zip(teacher.parameters(), student.parameters()):
        t.copy_(decay * t + (1 - decay) * s)


def deep_copied(teacher, student, decay):
    teacher = copy.deepcopy(student)  # noqa: F841


def by_swa_utils(teacher, student, decay):
    average = AveragedModel(teacher, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    average.module = teacher
    average.n_averaged.fill_(1)
    average.update_parameters(student)


def loaded_and_shared(teacher, student, decay):
    teacher.load_state_dict(student.state_dict(), assign=True)


# --- mean_teacher_loss ----------------------------------------------------------------------------------------------


def teacher_variant(name):
    def fn(student, teacher, weak, strong):
        with torch.set_grad_enabled(name == "attached"):
            logits = (student if name == "itself" else teacher)(strong if name == "one_view" else weak)
            target = logits if name == "logits" else logits.softmax(-1)
        out = student(weak if name == "exchanged" else strong)
        p = out if name == "logits" else out.softmax(-1)
        if name == "kl":
            return F.kl_div(out.log_softmax(-1), target, reduction="batchmean")
        if name == "mse":
            return torch.nn.MSELoss()(p, target)
        if name == "eval":
            teacher.eval()
        return torch.sum((p - target) ** 2) / (1 if name == "sum" else p.shape[0])

    return fn


def brier(student, teacher, weak, strong):
    q = teacher(weak).detach().softmax(1)
    p = student(strong).softmax(1)
    return torch.einsum("nk,nk->n", p - q, p - q).mean()


def by_expanding(student, teacher, weak, strong):
    p = student(strong).softmax(1)
    with torch.no_grad():
        q = teacher(weak).softmax(1)
    return (p * p).sum(1).mean() - 2 * (p * q).sum(1).mean() + (q * q).sum(1).mean()


CASES = [
    ("ramp_up", by_a_clamp, None),
    ("ramp_up", by_numpy_less_power, None),
    ("ramp_up", as_published, "not_zero_at_first"),
    ("ramp_up", zero_after_the_ramp, "not_clipped"),
    ("ramp_up", lambda s, r, *, maximum=1.0: maximum * min(s / max(r, 1), 1), "straight_line"),
    ("ramp_up", no_guard, "divided_by_no_steps"),
    ("ramp_up", lambda s, r, *, maximum=1.0: maximum * math.exp(-5 * (s / r) ** 2) if s < r else 0.0, "ramps_down"),
    ("ramp_up", cosine_ramp, "another_curve"),
    ("ramp_up", counts_from_one, "one_step_early"),
    ("semi_supervised_loss", a_table_of_functions, None),
    ("semi_supervised_loss", with_a_match, None),
    ("semi_supervised_loss", variant("soft"), "soft_pseudo_labels"),
    ("semi_supervised_loss", variant("sum"), "reconstruction_summed"),
    ("semi_supervised_loss", variant("l1"), "absolute_errors"),
    ("semi_supervised_loss", variant("no_balance"), "entropy_alone"),
    ("semi_supervised_loss", variant("sign"), "entropies_exchanged"),
    ("semi_supervised_loss", variant("log_zero"), "log_of_zero"),
    ("semi_supervised_loss", variant("mean_log_zero"), "log_of_a_mean_of_zero"),
    ("semi_supervised_loss", variant("convex"), "mixed_instead_of_added"),
    ("semi_supervised_loss", variant("brackets"), "weight_on_everything"),
    ("semi_supervised_loss", variant("loss_detached"), "labels_forgotten"),
    ("semi_supervised_loss", variant("unsupervised_detached"), "unsupervised_part_detached"),
    ("fixmatch_loss", filled_with_zeros, None),
    ("fixmatch_loss", selected_and_divided, None),
    ("fixmatch_loss", fixmatch_variant("attached"), "soft_targets_with_gradient"),
    ("fixmatch_loss", fixmatch_variant("by_index"), "mean_of_the_sure"),
    ("fixmatch_loss", fixmatch_variant("guarded"), "mean_of_the_sure_or_zero"),
    ("fixmatch_loss", fixmatch_variant("swapped"), "strong_teaches_weak"),
    ("fixmatch_loss", fixmatch_variant("logits"), "threshold_on_logits"),
    ("fixmatch_loss", fixmatch_variant("sigmoid"), "threshold_on_sigmoids"),
    ("fixmatch_loss", fixmatch_variant("inverted"), "unsure_ones_kept"),
    ("fixmatch_loss", fixmatch_variant("if_any"), "python_zero_when_none"),
    ("fixmatch_loss", fixmatch_variant("log_after_softmax"), "log_of_softmax"),
    ("fixmatch_loss", fixmatch_variant("two_softmaxes"), "probabilities_into_cross_entropy"),
    ("ema_update", by_names, "walk_through_the_state_dict"),
    ("ema_update", by_data, None),
    ("ema_update", modes_as_usual, "modes_set"),
    ("ema_update", by_swa_utils, "count_averaged"),
    ("ema_update", as_in_mean_teacher, "buffers_forgotten"),
    ("ema_update", as_in_byol, "decay_exchanged"),
    ("ema_update", all_of_the_state, "count_averaged"),
    ("ema_update", no_grad_forgotten, "with_history"),
    ("ema_update", deep_copied, "never_written"),
    ("ema_update", loaded_and_shared, "shares_the_students_memory"),
    ("mean_teacher_loss", brier, None),
    ("mean_teacher_loss", by_expanding, None),
    ("mean_teacher_loss", teacher_variant("attached"), "gradient_into_the_teacher"),
    ("mean_teacher_loss", teacher_variant("itself"), "student_on_both_views"),
    ("mean_teacher_loss", teacher_variant("one_view"), "both_on_the_strong_view"),
    ("mean_teacher_loss", teacher_variant("logits"), "logits_compared"),
    ("mean_teacher_loss", teacher_variant("kl"), "kl_divergence"),
    ("mean_teacher_loss", teacher_variant("mse"), "mean_over_classes"),
    ("mean_teacher_loss", teacher_variant("sum"), "summed_over_images"),
    ("mean_teacher_loss", teacher_variant("eval"), "teacher_put_to_eval"),
]  # fmt: skip


test_a_variant_is_named_and_another_right_answer_is_right = variants_tested(CASES)


def test_half_right_gets_its_share():
    score = check(exercise_named("fixmatch_loss"), fixmatch_variant("guarded"))
    assert (score.score, score.points) == (4, 5)
    assert {c.name for c in score.criteria if not c.score} == {"whole_batch"}
    score = check(exercise_named("ema_update"), as_in_mean_teacher)
    assert {c.name for c in score.criteria if not c.score} == {"statistics", "counts"}


@pytest.mark.parametrize("seed", range(5))
def test_a_right_answer_never_fails_by_bad_luck(seed):
    for name, answer, mistake in CASES:
        if mistake is None:
            assert check(exercise_named(name), answer, seed=1000 + seed).state == "right", name
