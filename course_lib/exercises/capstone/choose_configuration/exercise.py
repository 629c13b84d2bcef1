"""`choose_configuration`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded

NAMES = ("probe", "LP-FT", "fine-tuning", "FixMatch", "scratch", "rotation", "SimCLR", "glyphs")
KEYS = ("name", "model", "scores", "test_accuracy")


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def numbers(count: int) -> list[float]:
        """Different accuracies in random order."""
        return ((torch.randperm(60, generator=generator)[:count] + 30) / 100).tolist()

    def case(name: str, validation: list[float], test: list[float] | None = None, best: int | None = None) -> Case:
        count = len(validation)
        test = numbers(count) if test is None else test
        if best is not None:  # the test prefers another one than validation does
            validation[best], test[best] = 0.93, 0.29
        names = [NAMES[k] for k in torch.randperm(len(NAMES), generator=generator)[:count].tolist()]
        return Case(name, {"names": names, "validation": validation, "test": test})

    def place(count: int) -> int:
        return int(torch.randint(1, count - 1, (), generator=generator))

    tie = numbers(6)
    tie[2] = tie[4] = 0.95
    diverged, first = numbers(5), numbers(4)
    diverged[3], first[0] = math.nan, math.nan
    return [
        case("plain", numbers(6), best=place(6)),
        case("best_in_between", numbers(4), best=place(4)),
        case("best_is_the_first", numbers(5), best=0),
        case("equally_good", tie, [0.5, 0.4, 0.3, 0.8, 0.9, 0.6]),
        case("one_diverged", diverged, best=place(4)),
        case("the_first_diverged", first, best=2),
        case("nothing_right", [math.nan, 0.0, math.nan], [0.5, 0.1, 0.6]),
        case("one_configuration", numbers(1)),
        case("all_diverged", [math.nan] * 3),
    ]


class Trained:
    """Stands for a model: which configuration it was trained with, and the how manieth training it was."""

    def __init__(self, configuration: str, number: int) -> None:
        self.configuration, self.number = configuration, number

    def __repr__(self) -> str:
        return f"<model of {self.configuration}, training {self.number}>"


def observe(fn: Callable[..., Any], case: Case) -> Values:
    names = case.inputs["names"]
    scores = {part: dict(zip(names, case.inputs[part], strict=True)) for part in ("validation", "test")}
    configurations = {name: {"settings of": name} for name in names}
    diary: list[str] = []

    def train(configuration: dict[str, str]) -> Trained:
        name = configuration["settings of"]
        diary.append(f"train {name}")
        return Trained(name, len([note for note in diary if note.startswith("train")]))

    def scored(part: str) -> Callable[[Trained], float]:
        def score(model: Trained) -> float:
            diary.append(f"{part} {model.configuration}")
            return scores[part][model.configuration]

        return score

    error = ""
    try:
        result = fn(configurations, train=train, validate=scored("validation"), test=scored("test"))
    except ValueError as fault:
        result, error = None, f"ValueError: {fault}"
    found = result if isinstance(result, (tuple, list)) and len(result) == len(KEYS) else [result]
    seen: Values = {**dict.fromkeys(KEYS), **dict(zip(KEYS, found, strict=False))}
    if isinstance(seen["model"], Trained):
        seen["model"] = [seen["model"].configuration, seen["model"].number]
    kept = seen["scores"]
    seen["scores"] = [[str(name), value] for name, value in kept.items()] if isinstance(kept, dict) else kept
    for part in ("train", "validation", "test"):
        seen[f"{part}_calls"] = [note.partition(" ")[2] for note in diary if note.startswith(part)]
    return seen | {"error": error[:10]}


exercise = Exercise(
    name="choose_configuration",
    title="The best configuration by validation, measured once on the test",
    signature="choose_configuration(configurations, *, train, validate, test)",
    minutes=20,
    difficulty=2,
    points=7,
    hints=Hints(
        concept=(
            "Train each configuration once and keep its validation accuracy. Remember the model and the name of the "
            "best one so far. NaN is not larger than any number, so begin with no best one, and skip NaN. After the "
            "loop call `test` for the best model alone."
        ),
        api="`dict.items()`, `math.isnan(x)`, `raise ValueError(...)`",
        skeleton=(
            "scores, best = {}, None\n"
            "for name, configuration in configurations.items():\n"
            "    model = train(...)\n"
            "    scores[name] = validate(...)\n"
            "    if not math.isnan(...) and (best is None or scores[name] > scores[best[0]]):\n"
            "        best = name, ...\n"
            "if best is None:\n    raise ValueError(...)\n"
            "return *best, scores, test(...)"
        ),
    ),
    takeaway=(
        "The test was asked once, about one model, so its answer needs no discount. The validation accuracy of the "
        "chosen one is the best of many, and overstates."
    ),
    cases=cases,
    observe=observe,
    on_gpu=False,
    words={
        "name": "the name that you return",
        "model": "the model that you return",
        "scores": "the set of scores that you return",
        "test_accuracy": "the test accuracy that you return",
        "train_calls": "the list of configurations that you train",
        "validation_calls": "the list of models that you validate",
        "test_calls": "the list of models that you test",
        "error": "the error that you raise",
    },
    inputs_shown=("names", "validation"),
)
