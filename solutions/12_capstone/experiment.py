"""The recorded experiments of unit 12: what its notebook quotes, for several seeds.

`course results 12_capstone --seeds 3` runs them all. The images are scikit-learn's digits, which no other unit begins
with: 40 labels to train on, 100 to choose with, and the 360 test images. The seed draws the labels, the first weights
and the glyphs of two sources. Settings were written down before anything was recorded. Encoders and classifiers of a
seed are shared among the experiments.
"""

from __future__ import annotations

import functools
import math
import time

import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional as F

from course_lib import capstone, settings
from course_lib.capstone import Configuration, Project, Rule, Way
from course_lib.evaluation import accuracy, accuracy_on, extract_features, h_score, logme, predict, probe_accuracy
from course_lib.models import Classifier, ConvEncoder

DATASET = "digits"
TRIED = (1, 20, 100)  # configurations among which the best is taken
DRAWS = 1000  # tests that are drawn
HALVES = 200  # ways to halve the test


@functools.lru_cache(maxsize=3)
def _project(dataset: str, seed: int) -> Project:
    return capstone.project(dataset, seed)


@functools.lru_cache(maxsize=3)
def _sources(dataset: str, seed: int) -> dict[str, ConvEncoder]:
    return capstone.sources(_project(dataset, seed))


@functools.lru_cache(maxsize=3)
def _models(dataset: str, seed: int) -> dict[Configuration, Classifier]:
    return capstone.train_all(_project(dataset, seed), _sources(dataset, seed))


def _key(name: object) -> str:
    return str(name).replace(", ", "+").replace(" ", "_")


# --- how much the best of many overstates ---------------------------------------------------------------------------


def _gaps(right: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """For each draw of a test of `count` images: what the best there has more there than on the other images; that."""
    gaps, others = [], []
    for _ in range(DRAWS):
        order = torch.randperm(right.shape[1], generator=generator)
        here, there = (right[:, part].double().mean(dim=1) for part in (order[:count], order[count:]))
        best = int(here.argmax())
        gaps.append(here[best] - there[best])
        others.append(there[best])
    return torch.stack(gaps), torch.stack(others)


def optimism(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """How much the best of K classifiers by a test of n images has more there than on other images, over 1,000 draws.

    `k20@n` is the mean gap for K = 20; `spread20@n` the standard deviation of single draws, `above20@n` the share of
    single draws that are above 0. `chosen20@n` is what the chosen one has on the other images.
    """
    data = _project(dataset, seed)
    right = capstone.many_probes(data, _sources(dataset, seed)["glyphs, rotation"], max(TRIED))
    figures = {"best20": float(right[:20].double().mean(dim=1).max()), "mean20": float(right[:20].double().mean())}
    for tried in TRIED:
        for count in settings.by_profile(smoke=(40,), laptop=(40, 100, 200, 500), full=(40, 100, 200, 500)):
            gaps, others = _gaps(right[:tried], count, data.generator())
            figures[f"k{tried}@{count}"] = float(gaps.mean())
            figures[f"spread{tried}@{count}"] = float(gaps.std())
            figures[f"above{tried}@{count}"] = float((gaps > 0).double().mean())
            figures[f"chosen{tried}@{count}"] = float(others.mean())
    return figures


# --- scores before training -----------------------------------------------------------------------------------------


def sources(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """Five encoders, four scores of each, and the test accuracy after each way to train on 40 labels.

    Scores: H-score and LogME of the labeled images, a probe judged by the validation images, and 60 steps of
    fine-tuning judged by them. `rank:s:w` is Spearman's correlation over the encoders, `seconds:s` CPU time per
    encoder.
    """
    data, models = _project(dataset, seed), _models(dataset, seed)
    labeled, checked = data.labeled, data.validation
    table: dict[str, dict[str, float]] = {}
    spent: dict[str, float] = {}
    for name, encoder in _sources(dataset, seed).items():

        def features(images: Tensor, encoder: ConvEncoder = encoder) -> Tensor:
            return extract_features(encoder, images)

        scores = {
            "h_score": lambda: h_score(features(labeled.images), labeled.labels),
            "logme": lambda: logme(features(labeled.images), labeled.labels),
            "probe": lambda: probe_accuracy(
                features(labeled.images), labeled.labels, features(checked.images), checked.labels
            ),
            "short": lambda encoder=encoder: capstone.short_score(data, encoder),
        }
        row = table[name] = {}
        for score, function in scores.items():
            began = time.process_time()
            row[score] = function()
            spent[score] = spent.get(score, 0.0) + time.process_time() - began
        for way in Way:
            row[_key(way)] = accuracy_on(models[Configuration(name, way, Rule.LABELS)], data.test)
    figures = {f"{figure}:{_key(name)}": value for name, row in table.items() for figure, value in row.items()}
    for score in ("h_score", "logme", "probe", "short"):
        for way in Way:
            figures[f"rank:{score}:{_key(way)}"] = _rank([(row[score], row[_key(way)]) for row in table.values()])
    return figures | {f"seconds:{score}": total / len(table) for score, total in spent.items()}


def _rank(pairs: list[tuple[float, float]]) -> float:
    """Spearman's correlation; 0 where all of one side are equal."""
    found = float(spearmanr(pairs)[0])
    return 0.0 if math.isnan(found) else found


# --- choosing -------------------------------------------------------------------------------------------------------


def choice(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """All sources, ways and rules: what is reported and what is so, when the best is chosen by validation or by test.

    The test is halved at random 200 times. One half chooses and reports (`by_test_reported`), the other half measures
    the chosen one (`by_test`). `by_validation_reported` is the validation accuracy of the one that validation chooses,
    `by_validation` what it has on the halves that measure. `best` is the best on these, `average` the mean over all
    configurations. `test:x` and `validation:x` are those of configuration x.
    """
    data, models = _project(dataset, seed), _models(dataset, seed)
    names = list(models)
    right = torch.stack([predict(m, data.test.images).argmax(dim=1) == data.test.labels for m in models.values()])
    on_validation = torch.tensor([accuracy_on(model, data.validation) for model in models.values()])
    chosen = int(on_validation.argmax())
    generator = data.generator()
    found: dict[str, list[float]] = {}
    for _ in range(HALVES):
        order = torch.randperm(right.shape[1], generator=generator)
        half = len(order) // 2
        here, there = (right[:, part].double().mean(dim=1) for part in (order[:half], order[half:]))
        best = int(here.argmax())
        row = {
            "by_test_reported": here[best], "by_test": there[best], "by_validation": there[chosen],
            "best": there.max(), "average": there.mean(),
        }  # fmt: skip
        for name, value in row.items():
            found.setdefault(name, []).append(float(value))
    figures = {name: sum(values) / len(values) for name, values in found.items()}
    figures["by_validation_reported"] = float(on_validation[chosen])
    figures["chosen"] = float(right[chosen].double().mean())
    for k, name in enumerate(names):
        figures[f"validation:{_key(name)}"] = float(on_validation[k])
        figures[f"test:{_key(name)}"] = float(right[k].double().mean())
    for part in (*Way, *Rule):
        figures[f"mean:{_key(part)}"] = float(
            torch.stack([right[k].double().mean() for k, n in enumerate(names) if part in (n.way, n.rule)]).mean()
        )
    return figures


# --- calibration ----------------------------------------------------------------------------------------------------


def calibration(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """A temperature fitted on the 100 validation images: calibration error and loss of the test before and after.

    For the model that validation chooses (`chosen`), for fine-tuning from scratch on the labels alone (`scratch`), and
    for FixMatch from scratch (`fixmatch`). `helps` is 1 where each half of the validation images judges a temperature
    that was fitted on the other half better than none.
    """
    data, models = _project(dataset, seed), _models(dataset, seed)
    chosen = max(models, key=lambda name: accuracy_on(models[name], data.validation))
    looked_at = {
        "chosen": chosen,
        "scratch": Configuration("random", Way.FINE_TUNING, Rule.LABELS),
        "fixmatch": Configuration("random", Way.FINE_TUNING, Rule.FIXMATCH),
    }
    figures = {}
    for name, configuration in looked_at.items():
        known, test = (predict(models[configuration], part.images).float() for part in (data.validation, data.test))
        t = capstone.best_temperature(known, data.validation.labels)
        figures[f"accuracy:{name}"] = accuracy(test, data.test.labels)
        figures[f"temperature:{name}"] = t
        figures[f"helps:{name}"] = float(capstone.temperature_helps(known, data.validation.labels))
        for when, temperature in (("before", 1.0), ("after", t)):
            error = capstone.calibration_error(test, data.test.labels, temperature=temperature)
            figures[f"error_{when}:{name}"] = error
            figures[f"loss_{when}:{name}"] = float(F.cross_entropy(test / temperature, data.test.labels))
    return figures


EXPERIMENTS = {"optimism": optimism, "sources": sources, "choice": choice, "calibration": calibration}
