"""Unit 12's checks against answers that are not written down in mistakes.md: written from the statements alone."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises import exercise_named, judge_of
from course_lib.exercises.capstone.exercise import Exporter
from tests.exercises.shared import answers_tested

# --- 12.1 accuracy_interval


def by_statistics(right, total, *, z=1.96):
    from statistics import NormalDist

    from scipy.stats import binomtest

    level = 2 * NormalDist().cdf(z) - 1
    found = binomtest(right, total).proportion_ci(confidence_level=min(max(level, 0.0), 1.0), method="wilson")
    return float(found.low), float(found.high)


def by_two_roots(right, total, *, z=1.96):
    p, k = right / total, z * z / total
    root = math.sqrt(k * k / 4 + k * p * (1 - p))
    return (p + k / 2 - root) / (1 + k), (p + k / 2 + root) / (1 + k)


def agresti_coull(right, total, *, z=1.96):
    n = total + z**2
    p = (right + z**2 / 2) / n
    half = z * math.sqrt(p * (1 - p) / n)
    return p - half, p + half


def two_added(right, total, *, z=1.96):
    p = (right + 2) / (total + 4)
    half = z * math.sqrt(p * (1 - p) / (total + 4))
    return max(0.0, p - half), min(1.0, p + half)


def clopper_pearson(right, total, *, z=1.96):
    from scipy.stats import beta

    low = 0.0 if right == 0 else float(beta.ppf(0.025, right, total - right + 1))
    high = 1.0 if right == total else float(beta.ppf(0.975, right + 1, total - right))
    return low, high


def one_over_root(right, total, *, z=1.96):
    p = right / total
    return max(0.0, p - z / (2 * math.sqrt(total))), min(1.0, p + z / (2 * math.sqrt(total)))


def whole_numbers(right, total, *, z=1.96):
    low, high = by_two_roots(right, total, z=z)
    return round(low * total), round(high * total)


# --- 12.2 optimism


def by_masks(right, drawn):
    inside = torch.zeros(len(drawn), right.shape[1], dtype=torch.bool, device=right.device)
    inside[torch.arange(len(drawn))[:, None], drawn] = True
    found = []
    for mask in inside:
        here = right.float()[:, mask].mean(1).tolist()
        best = max(range(len(here)), key=here.__getitem__)
        found.append(here[best] - float(right[best][~mask].float().mean()))
    return sum(found) / len(found)


def by_counting(right, drawn):
    total = 0.0
    for positions in drawn.tolist():
        hits = [int(row[positions].sum()) for row in right]
        best = hits.index(max(hits))
        rest = int(right[best].sum()) - hits[best]
        total += hits[best] / len(positions) - rest / (right.shape[1] - len(positions))
    return total / len(drawn)


def against_the_mean_of_the_test(right, drawn):
    gaps = [right[:, p].double().mean(1).max() - right[:, p].double().mean() for p in drawn]
    return torch.stack(gaps).mean().item()


def divided_by_all(right, drawn):
    total = 0.0
    for positions in drawn.tolist():
        hits = [int(row[positions].sum()) for row in right]
        best = hits.index(max(hits))
        total += hits[best] / len(positions) - (int(right[best].sum()) - hits[best]) / right.shape[1]
    return total / len(drawn)


def only_above_zero(right, drawn):
    gaps = [max(0.0, by_counting(right, one[None])) for one in drawn]
    return sum(gaps) / len(gaps)


def in_points(right, drawn):
    return 100 * by_counting(right, drawn)


def last_one(right, drawn):
    return by_counting(right.flip(0), drawn)


# --- 12.3 choose_configuration


def by_sorting(configurations, *, train, validate, test):
    rows = []
    for place, (name, settings) in enumerate(configurations.items()):
        model = train(settings)
        rows.append((validate(model), -place, name, model))
    usable = [row for row in rows if not math.isnan(row[0])]
    if not usable:
        raise ValueError("nothing to choose")
    _, _, name, model = sorted(usable, key=lambda row: row[:2])[-1]
    return name, model, {row[2]: row[0] for row in rows}, test(model)


def with_minus_infinity(configurations, *, train, validate, test):
    best, best_score, kept, scores = None, -math.inf, None, {}
    for name in configurations:
        model = train(configurations[name])
        scores[name] = score = validate(model)
        if score > best_score:
            best, best_score, kept = name, score, model
    if best is None:
        raise ValueError
    return best, kept, scores, test(kept)


def zero_to_begin_with(configurations, *, train, validate, test):
    best, best_score, kept, scores = None, 0.0, None, {}
    for name in configurations:
        model = train(configurations[name])
        scores[name] = score = validate(model)
        if score > best_score:
            best, best_score, kept = name, score, model
    if best is None:
        raise ValueError
    return best, kept, scores, test(kept)


def all_tested_in_the_end(configurations, *, train, validate, test):
    kept = {}
    found = with_minus_infinity(
        configurations, train=lambda one: kept.setdefault(str(one), train(one)), validate=validate, test=lambda m: 0.0
    )
    accuracies = {name: test(kept[str(one)]) for name, one in configurations.items()}
    return (*found[:3], accuracies[found[0]])


def asks_twice(configurations, *, train, validate, test):
    found = with_minus_infinity(configurations, train=train, validate=validate, test=test)
    return (*found[:3], test(found[1]))


def model_of_the_name(configurations, *, train, validate, test):
    scores = {name: validate(train(settings)) for name, settings in configurations.items()}
    name = max((k for k in scores if not math.isnan(scores[k])), key=scores.get)
    model = train(configurations[name])
    return name, model, scores, test(model)


def another_error(configurations, *, train, validate, test):
    try:
        return with_minus_infinity(configurations, train=train, validate=validate, test=test)
    except ValueError:
        return None


# --- 12.4 export_classifier


class Scaled(nn.Module):
    def __init__(self, body, temperature):
        super().__init__()
        self.body, self.factor = body, 1 / (255 * 1.0)
        self.temperature = temperature

    def forward(self, x):
        return torch.softmax(self.body(x.to(torch.float32) * self.factor).div(self.temperature), dim=-1)


def by_a_class_outside(model, images, *, temperature=1.0, export):
    wrapped = Scaled(copy.deepcopy(model), temperature)
    wrapped.eval()
    return export(wrapped, args=(images,), dynamic_shapes={"x": {0: torch.export.Dim.AUTO}})


def by_layers_in_a_row(model, images, *, temperature=1.0, export):
    class First(nn.Module):
        def forward(self, x):
            return x / 255.0

    class Last(nn.Module):
        def forward(self, x):
            return F.softmax(x / temperature, 1)

    net = nn.Sequential(First(), copy.deepcopy(model), Last()).eval()
    return export(net, (images,), dynamic_shapes=[{0: torch.export.Dim.DYNAMIC}], strict=False)


def standardized(model, images, *, temperature=1.0, export):
    class Net(Scaled):
        def forward(self, x):
            x = x.float() / 255
            return torch.softmax(self.body((x - x.mean()) / x.std()) / self.temperature, dim=1)

    net = Net(copy.deepcopy(model), temperature).eval()
    return export(net, (images,), dynamic_shapes=({0: torch.export.Dim.AUTO},))


def model_itself(model, images, *, temperature=1.0, export):
    return export(copy.deepcopy(model).eval(), (images.float(),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))


def no_export(model, images, *, temperature=1.0, export):
    return Scaled(copy.deepcopy(model), temperature).eval()


def half_of_the_range(model, images, *, temperature=1.0, export):
    class Net(Scaled):
        def forward(self, x):
            return torch.softmax(self.body(x.float() / 127.5 - 1) / self.temperature, dim=1)

    net = Net(copy.deepcopy(model), temperature).eval()
    return export(net, (images,), dynamic_shapes=({0: torch.export.Dim.AUTO},))


def only_the_outer_module_in_eval_mode(model, images, *, temperature=1.0, export):
    wrapped = Scaled(copy.deepcopy(model).train(), temperature)
    wrapped.training = False
    return export(wrapped, (images,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))


def modes_lost(model, images, *, temperature=1.0, export):
    return export(Scaled(model.eval(), temperature), (images,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))


# --- 12.5 load_safely


def in_one_pass(file, model):
    try:
        found = torch.load(file, weights_only=True)
        own = model.state_dict()
        assert isinstance(found, dict) and set(found) == set(own)
        assert all(found[name].shape == own[name].shape and found[name].isfinite().all() for name in own)
    except Exception as fault:
        raise ValueError(str(fault) or "other weights") from fault
    model.load_state_dict(found)
    return model


def put_back(file, model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        for name, value in model.named_parameters():
            if not torch.isfinite(value).all():
                raise RuntimeError(name)
        for name, value in model.named_buffers():
            if not torch.isfinite(value.float()).all():
                raise RuntimeError(name)
    except Exception as fault:
        model.load_state_dict(before)
        raise ValueError("not loaded") from fault
    return model


def just_loaded(file, model):
    model.load_state_dict(torch.load(file, weights_only=True))
    return model


def the_old_way(file, model):
    model.load_state_dict(torch.load(file, weights_only=False))
    return model


def parameters_alone(file, model):
    try:
        found = torch.load(file, weights_only=True)
        for name, value in model.named_parameters():
            if found[name].shape != value.shape or not found[name].isfinite().all():
                raise RuntimeError(name)
    except Exception as fault:
        raise ValueError("other weights") from fault
    model.load_state_dict(found, strict=False)
    return model


def another_model(file, model):
    return in_one_pass(file, copy.deepcopy(model))


def zeros_for_nan(file, model):
    try:
        found = torch.load(file, weights_only=True)
        model_copy = copy.deepcopy(model)
        model_copy.load_state_dict(found)
    except Exception as fault:
        raise ValueError("other weights") from fault
    model.load_state_dict({name: value.nan_to_num() for name, value in found.items()})
    return model


RIGHT = {
    "accuracy_interval": [by_statistics, by_two_roots],
    "optimism": [by_masks, by_counting],
    "choose_configuration": [by_sorting, with_minus_infinity],
    "export_classifier": [by_a_class_outside, by_layers_in_a_row],
    "load_safely": [in_one_pass, put_back],
}
WRONG = {
    "accuracy_interval": {
        agresti_coull: "outside",
        two_added: None,
        clopper_pearson: None,
        one_over_root: None,
        whole_numbers: None,
    },
    "optimism": {
        against_the_mean_of_the_test: None,
        divided_by_all: None,
        only_above_zero: None,
        in_points: None,
        last_one: "last_of_equals",
    },
    "choose_configuration": {
        zero_to_begin_with: "zero_is_nothing",
        all_tested_in_the_end: "all_tested",
        asks_twice: "all_tested",
        model_of_the_name: "trained_again",
        another_error: None,
    },
    "export_classifier": {
        standardized: None,
        model_itself: "float_example",
        no_export: None,
        half_of_the_range: None,
        only_the_outer_module_in_eval_mode: "train_mode",
        modes_lost: "original_in_eval_mode",
    },
    "load_safely": {
        just_loaded: "torchs_error",
        the_old_way: "pickles_loaded",
        parameters_alone: "not_strict",
        another_model: None,
        zeros_for_nan: "not_finite_taken",
    },
}
test_a_right_answer_written_another_way_has_full_points, test_a_wrong_answer_loses_points_and_is_told_why = (
    answers_tested(RIGHT, WRONG)
)


@pytest.mark.slow
def test_the_stand_in_admits_and_refuses_what_a_real_export_does():
    """The first real export loads a compiler, about eight seconds."""
    exercise = exercise_named("export_classifier")
    judge = judge_of(exercise)
    case = exercise.cases(0)[0]
    from course_lib.exercises.capstone.exercise import small_classifier

    model = small_classifier(1, 4, 3)
    images, unseen = case.inputs["images"], case.inputs["unseen"]
    answers = {one.name: one.fn for one in (*judge.alternatives, *judge.mistakes)}
    names = ("a_module_around_a_copy", "modes_put_back", "batch_fixed", "one_image_as_example", "float_example")
    for name in names:
        stand_in = Exporter()
        answers[name](model, images, temperature=2.0, export=stand_in)
        program = answers[name](model, images, temperature=2.0, export=torch.export.export)
        for batch in (unseen, unseen[:1], unseen[:2]):
            expected = stand_in.programs[-1].run(batch)
            try:
                with torch.no_grad():
                    found = program.module()(batch)
            except (AssertionError, RuntimeError):
                found = "refused"
            assert isinstance(found, str) == isinstance(expected, str), (name, len(batch))
            if not isinstance(found, str):
                torch.testing.assert_close(found, expected)
