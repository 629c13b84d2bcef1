"""`choose_configuration`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math

from course_lib.exercises.asking import as_expected, everywhere, named, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Passes, Trial, Values, close

DIVERGED = "all_diverged"


def reference(configurations, *, train, validate, test):
    models = {name: train(settings) for name, settings in configurations.items()}
    scores = {name: validate(model) for name, model in models.items()}
    comparable = [(-score, place, name) for place, (name, score) in enumerate(scores.items()) if not math.isnan(score)]
    if not comparable:
        raise ValueError("no training came to an end")
    name = min(comparable)[2]
    return name, models[name], scores, test(models[name])


def _where_one_is_chosen(*keys: str) -> Passes:
    same = as_expected(*keys)
    return lambda case, seen, expected: case.name == DIVERGED or same(case, seen, expected)


def _best_by_test(trial: Trial) -> bool:
    given = trial.case.inputs
    return trial.seen["name"] == given["names"][given["test"].index(max(given["test"]))] != trial.expected["name"]


def _retrained(case: Case, seen: Values, expected: Values) -> bool:
    return len(seen["train_calls"]) > len(expected["train_calls"])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("name", 2, "the configuration with the highest validation accuracy is chosen, the first of equals",
                  _where_one_is_chosen("name")),
        Criterion("test", 2, "the test is asked once, for the chosen model alone, and its answer is returned",
                  _where_one_is_chosen("test_calls", "test_accuracy")),
        Criterion("model", 1, "the very model that was validated is returned, and each configuration is trained once",
                  _where_one_is_chosen("model", "train_calls")),
        Criterion("scores", 1, "the validation accuracies of all configurations are returned, in their order",
                  _where_one_is_chosen("scores")),
        Criterion("diverged", 1, "a configuration whose score is NaN is not chosen, and where all are NaN a ValueError "
                  "is raised and nothing is tested", as_expected("name", "error", "test_calls"),
                  ("one_diverged", "the_first_diverged", "nothing_right", DIVERGED)),
    ),
    predicates={
        "chosen_by_test": everywhere(_best_by_test, "plain", "best_in_between"),
        "all_tested": everywhere(lambda t: len(t.seen["test_calls"]) > 1, "plain", "best_in_between"),
        "trained_again": everywhere(lambda t: _retrained(*t[:3]), "plain", "best_in_between"),
        "nan_first": lambda trials: (
            all(close(t.seen["name"], t.expected["name"]) for t in named(trials, "plain", "best_in_between"))
            and somewhere(lambda t: t.seen["name"] == t.case.inputs["names"][0], "the_first_diverged")(trials)
        ),
    },
)  # fmt: skip
