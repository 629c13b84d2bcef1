"""Unit 06, second notebook, the independent try: answers written from the statements alone. Wrong ones are caught and
rightly named, right ones are right."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.exercises import exercise_named
from tests.exercises.known import check
from tests.exercises.shared import variants_tested

# --- l2_sp_penalty --------------------------------------------------------------------------------------------------


def measured(start, model, how=lambda w, o: ((w - o) ** 2).sum()):
    """A penalty from a list of starting weights."""

    def penalty():
        total = 0.0
        for weight, origin in zip(model.encoder.parameters(), start, strict=True):
            total = total + how(weight, origin)
        return total

    return penalty


def from_a_deep_copy(model):
    frozen = copy.deepcopy(model.encoder).requires_grad_(False)
    return measured(list(frozen.parameters()), model)


def from_numpy(model):
    return measured([torch.from_numpy(p.detach().numpy().copy()) for p in model.encoder.parameters()], model)


class ByAnObject:
    def __init__(self, model):
        self.model = model
        self.start = {k: v.clone() for k, v in model.encoder.state_dict().items()}

    def __call__(self):
        named = self.model.encoder.named_parameters()
        return torch.stack([(p - self.start[k]).square().sum() for k, p in named]).sum()


def from_a_state_dict(model):
    start = model.encoder.state_dict()

    def penalty():
        return sum(((p - start[k]) ** 2).sum() for k, p in model.encoder.named_parameters())

    return penalty


def from_data(model):
    return measured([p.data for p in model.encoder.parameters()], model)


def under_no_grad(model):
    start = [p.clone().detach() for p in model.encoder.parameters()]

    def penalty():
        with torch.no_grad():
            return sum(((p - q) ** 2).sum() for p, q in zip(model.encoder.parameters(), start))

    return penalty


def all_of_the_state_dict(model):
    start = copy.deepcopy(model.encoder.state_dict())

    def penalty():
        live = {**dict(model.encoder.named_parameters()), **dict(model.encoder.named_buffers())}
        return sum(F.mse_loss(live[k].float(), start[k].float(), reduction="sum") for k in start)

    return penalty


def weight_decay(model):
    return lambda: sum(p.square().sum() for p in model.parameters())


def whole_model(model):
    start = [p.detach().clone() for p in model.parameters()]
    return lambda: sum(((p - q) ** 2).sum() for p, q in zip(model.parameters(), start))


def with_the_usual_half(model):
    return measured([p.detach().clone() / 1 for p in model.encoder.parameters()], model,
                    lambda w, o: ((w - o) ** 2).sum() / 2)  # fmt: skip


def euclidean(model):
    origin = torch.cat([p.detach().flatten() for p in model.encoder.parameters()])
    return lambda: torch.linalg.vector_norm(torch.cat([p.flatten() for p in model.encoder.parameters()]) - origin)


# --- joint_loss -----------------------------------------------------------------------------------------------------


def both(model, batch, old_batch):
    return (
        F.cross_entropy(model.head(model.encoder(batch[0])), batch[1]),
        F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1]),
    )


def in_a_loop(model, batch, old_batch, lam):
    criterion = nn.CrossEntropyLoss()
    total = torch.zeros((), dtype=batch[0].dtype)
    for weight, head, (x, y) in [(1, model.head, batch), (lam, model.old_head, old_batch)]:
        total += weight * criterion(head(model.encoder(x)), y)
    return total


def by_nll(model, batch, old_batch, lam):
    x = model.encoder(torch.cat((batch[0], old_batch[0]), 0))
    new, old = x.split([len(batch[0]), len(old_batch[0])])
    terms = [F.nll_loss(F.log_softmax(h(z), 1), y)
             for h, z, y in ((model.head, new, batch[1]), (model.old_head, old, old_batch[1]))]  # fmt: skip
    return torch.dot(torch.stack(terms), torch.tensor([1.0, lam], dtype=terms[0].dtype))


def split_by_the_wrong_length(model, batch, old_batch, lam):
    x = model.encoder(torch.cat((old_batch[0], batch[0]), 0))
    new, old = x[: len(batch[0])], x[len(batch[0]) :]
    return F.cross_entropy(model.head(new), batch[1]) + lam * F.cross_entropy(model.old_head(old), old_batch[1])


def frozen_for_the_old(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    return task + lam * F.cross_entropy(model.old_head(model.encoder(old_batch[0]).detach()), old_batch[1])


def no_grad_for_the_old(model, batch, old_batch, lam):
    task = F.cross_entropy(model.head(model.encoder(batch[0])), batch[1])
    with torch.no_grad():
        pretraining = F.cross_entropy(model.old_head(model.encoder(old_batch[0])), old_batch[1])
    return task + lam * pretraining


def weights_that_sum_to_one(model, batch, old_batch, lam):
    task, pretraining = both(model, batch, old_batch)
    return torch.lerp(task, pretraining, lam)


def in_both_terms(model, batch, old_batch, lam):
    return lam * sum(both(model, batch, old_batch))


def unweighted(model, batch, old_batch, lam):
    return sum(both(model, batch, old_batch))


def stepped_inside(model, batch, old_batch, lam):
    task, pretraining = both(model, batch, old_batch)
    loss = task + lam * pretraining
    loss.backward()
    return loss


# --- lp_ft ----------------------------------------------------------------------------------------------------------


def steps(model, batches, parameters, lr, count, *, prepare, kind=torch.optim.Adam):
    optimizer = kind(list(parameters), lr=lr)
    for _ in range(count):
        prepare()
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()


def head_at_rest(model):
    def prepare():
        model.train()
        model.encoder.eval()

    return prepare


def two_calls(model, batches, *, head_epochs, head_lr, epochs, lr):
    steps(model, batches, model.head.parameters(), head_lr, head_epochs, prepare=head_at_rest(model))
    model.requires_grad_(True)
    steps(model, batches, model.parameters(), lr, epochs, prepare=model.train)


def no_grad_through_the_encoder(model, batches, *, head_epochs, head_lr, epochs, lr):
    optimizer = torch.optim.Adam(model.head.parameters(), lr=head_lr)
    model.encoder.eval()
    for _ in range(head_epochs):
        for x, y in batches:
            with torch.no_grad():
                z = model.encoder(x)
            loss = nn.CrossEntropyLoss()(model.head(z), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for p in model.parameters():
        p.requires_grad_()
    model.zero_grad()
    model.train()
    optimizer = torch.optim.Adam(
        [{"params": model.head.parameters()}, {"params": model.encoder.parameters(), "lr": lr}], lr=lr
    )
    for _ in range(epochs):
        for x, y in batches:
            loss = nn.CrossEntropyLoss()(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def only_requires_grad(model, batches, *, head_epochs, head_lr, epochs, lr):
    model.encoder.requires_grad_(False)
    steps(model, batches, model.head.parameters(), head_lr, head_epochs, prepare=model.train)
    model.encoder.requires_grad_(True)
    steps(model, batches, model.parameters(), lr, epochs, prepare=model.train)


def a_new_head_in_between(model, batches, *, head_epochs, head_lr, epochs, lr):
    steps(model, batches, model.head.parameters(), head_lr, head_epochs, prepare=head_at_rest(model))
    model.head.load_state_dict(nn.Linear(4, 3).to(next(model.parameters()).dtype).state_dict())
    model.requires_grad_(True)
    steps(model, batches, model.parameters(), lr, epochs, prepare=model.train)


def never_opened(model, batches, *, head_epochs, head_lr, epochs, lr):
    model.encoder.requires_grad_(False)
    steps(model, batches, model.head.parameters(), head_lr, head_epochs, prepare=head_at_rest(model))
    steps(model, batches, model.parameters(), lr, epochs, prepare=model.train)


def second_stage_of_the_head(model, batches, *, head_epochs, head_lr, epochs, lr):
    steps(model, batches, model.head.parameters(), head_lr, head_epochs, prepare=head_at_rest(model))
    model.requires_grad_(True)
    steps(model, batches, model.head.parameters(), lr, epochs, prepare=model.train)


def encoder_alone_at_last(model, batches, *, head_epochs, head_lr, epochs, lr):
    steps(model, batches, model.head.parameters(), head_lr, head_epochs, prepare=head_at_rest(model))
    model.requires_grad_(True)
    steps(model, batches, model.encoder.parameters(), lr, epochs, prepare=model.train)


def all_parameters_twice(model, batches, *, head_epochs, head_lr, epochs, lr):
    model.requires_grad_(True)
    steps(model, batches, model.parameters(), head_lr, head_epochs, prepare=head_at_rest(model))
    steps(model, batches, model.parameters(), lr, epochs, prepare=model.train)


def statistics_frozen_throughout(model, batches, *, head_epochs, head_lr, epochs, lr):
    model.requires_grad_(True)
    steps(model, batches, model.head.parameters(), head_lr, head_epochs, prepare=head_at_rest(model))
    steps(model, batches, model.parameters(), lr, epochs, prepare=head_at_rest(model))


# --- EarlyStopping --------------------------------------------------------------------------------------------------


class Stopping:
    """What the variants change one thing of."""

    def __init__(self, patience, *, min_delta=0.0, mode="max"):
        self.patience, self.min_delta, self.mode = patience, min_delta, mode
        self.best, self.bad, self.kept = None, 0, None

    def is_better(self, value):
        if self.best is None:
            return True
        return value - self.best > self.min_delta if self.mode == "max" else self.best - value > self.min_delta

    def keep(self, model):
        self.kept = copy.deepcopy(model.state_dict())

    def update(self, value, model):
        if self.is_better(value):
            self.best, self.bad = value, 0
            self.keep(model)
        else:
            self.bad += 1
        return self.bad >= self.patience

    def restore(self, model):
        model.load_state_dict(self.kept)


class KeepsTheModel(Stopping):
    def keep(self, model):
        self.kept = copy.deepcopy(model)

    def restore(self, model):
        model.load_state_dict(self.kept.state_dict())


class WithNumpyBooleans(Stopping):
    def update(self, value, model):
        return np.bool_(super().update(value, model))


class LiveDict(Stopping):
    def keep(self, model):
        self.kept = {k: v for k, v in model.state_dict().items()}


class DetachedDict(Stopping):
    def keep(self, model):
        self.kept = {k: v.detach() for k, v in model.state_dict().items()}


class WeightsOnly(Stopping):
    def keep(self, model):
        self.kept = {k: v.detach().clone() for k, v in model.named_parameters()}

    def restore(self, model):
        model.load_state_dict(self.kept, strict=False)


class OneLate(Stopping):
    def update(self, value, model):
        super().update(value, model)
        return self.bad == self.patience + 1


class CountsAll(Stopping):
    def update(self, value, model):
        if self.is_better(value):
            self.best = value
            self.keep(model)
        else:
            self.bad += 1
        return self.bad >= self.patience


class AtLeastDelta(Stopping):
    def is_better(self, value):
        if self.best is None:
            return True
        return value >= self.best + self.min_delta if self.mode == "max" else value <= self.best - self.min_delta


class Neighbors(Stopping):
    def update(self, value, model):
        self.bad = 0 if self.is_better(value) else self.bad + 1
        if self.bad == 0:
            self.keep(model)
        self.best = value
        return self.bad >= self.patience


class LossOnly(Stopping):
    def is_better(self, value):
        return self.best is None or value < self.best - self.min_delta


class SavesAlways(Stopping):
    def update(self, value, model):
        self.keep(model)
        self.best, self.bad = (value, 0) if self.is_better(value) else (self.best, self.bad + 1)
        return self.bad >= self.patience


class SaysNothing(Stopping):
    def update(self, value, model):
        super().update(value, model)


class GivesTheStateBack(Stopping):
    def restore(self, model):
        return self.kept


CASES = [
    ("l2_sp_penalty", from_a_state_dict, "start_is_alive"),
    ("l2_sp_penalty", from_data, "start_is_alive"),
    ("l2_sp_penalty", under_no_grad, "measured_without_gradient"),
    ("l2_sp_penalty", all_of_the_state_dict, "buffers_included"),
    ("l2_sp_penalty", weight_decay, "towards_zero"),
    ("l2_sp_penalty", whole_model, "head_included"),
    ("l2_sp_penalty", with_the_usual_half, "halved"),
    ("l2_sp_penalty", euclidean, "norm_not_squared"),
    ("l2_sp_penalty", lambda m: sum((p * 0).sum() for p in m.encoder.parameters()), "the_number_at_once"),
    ("l2_sp_penalty", from_a_deep_copy, None),
    ("l2_sp_penalty", from_numpy, None),
    ("l2_sp_penalty", ByAnObject, None),
    ("joint_loss", frozen_for_the_old, "old_features_detached"),
    ("joint_loss", no_grad_for_the_old, "pretraining_detached"),
    ("joint_loss", weights_that_sum_to_one, "convex_mix"),
    ("joint_loss", in_both_terms, "lambda_on_both"),
    ("joint_loss", unweighted, "lambda_forgotten"),
    ("joint_loss", lambda m, a, b, lam: both(m, a, b)[0] * lam + both(m, a, b)[1], "lambda_on_the_task"),
    ("joint_loss", stepped_inside, "backward_inside"),
    ("joint_loss", lambda m, a, b, lam: sum(both(m, a, b)).item() * lam, "losses_as_numbers"),
    ("joint_loss", in_a_loop, None),
    ("joint_loss", by_nll, None),
    ("lp_ft", only_requires_grad, "woken_by_train"),
    ("lp_ft", a_new_head_in_between, "head_drawn_again"),
    ("lp_ft", never_opened, "optimizer_of_the_head_kept"),
    ("lp_ft", second_stage_of_the_head, "optimizer_of_the_head_kept"),
    ("lp_ft", encoder_alone_at_last, "head_left_behind"),
    ("lp_ft", all_parameters_twice, "encoder_learns_from_the_start"),
    ("lp_ft", statistics_frozen_throughout, "still_at_rest"),
    ("lp_ft", two_calls, None),
    ("lp_ft", no_grad_through_the_encoder, None),
    ("EarlyStopping", LiveDict, "best_is_alive"),
    ("EarlyStopping", DetachedDict, "best_is_alive"),
    ("EarlyStopping", WeightsOnly, "parameters_only"),
    ("EarlyStopping", OneLate, "one_too_many"),
    ("EarlyStopping", CountsAll, "patience_never_reset"),
    ("EarlyStopping", AtLeastDelta, "equal_counts"),
    ("EarlyStopping", Neighbors, "compared_with_the_last"),
    ("EarlyStopping", LossOnly, "always_a_loss"),
    ("EarlyStopping", SavesAlways, "keeps_the_last"),
    ("EarlyStopping", SaysNothing, "never_stops"),
    ("EarlyStopping", GivesTheStateBack, "restores_nothing"),
    ("EarlyStopping", Stopping, None),
    ("EarlyStopping", KeepsTheModel, None),
    ("EarlyStopping", WithNumpyBooleans, None),
]


test_a_variant_is_named_and_another_right_answer_is_right = variants_tested(CASES)


def test_features_of_the_wrong_batch_lose_points():
    result = check(exercise_named("joint_loss"), split_by_the_wrong_length, seed=1)
    assert result.state == "wrong" and result.score == 0


@pytest.mark.parametrize(
    ("name", "answer", "points", "lost"),
    [
        ("l2_sp_penalty", whole_model, 2, {"encoder_only", "gradient"}),
        ("joint_loss", frozen_for_the_old, 3, {"both_teach_the_encoder"}),
        ("lp_ft", only_requires_grad, 3, {"statistics_still", "rates"}),
        ("EarlyStopping", WeightsOnly, 4, {"buffers"}),
    ],
)
def test_half_right_gets_its_share(name, answer, points, lost):
    result = check(exercise_named(name), answer, seed=1)
    assert lost <= {c.name for c in result.criteria if not c.score}
    assert math.isclose(result.score, points)


@pytest.mark.parametrize("name", ["joint_loss", "lp_ft", "EarlyStopping"])
def test_an_answer_that_does_nothing_is_not_called_a_mistake_that_it_is_not(name):
    result = check(exercise_named(name), lambda *args, **kwargs: None, seed=1)
    assert result.mistake is None and result.score < result.points, result.message.render()
