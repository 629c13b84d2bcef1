"""A mistake in an earlier exercise costs its points once: an answer that calls it right has all of its own."""

from __future__ import annotations

import pytest

from course_lib.exercises import exercise_named, exercises, judge_of
from course_lib.exercises.checking import check
from tests.benchmarks.charged_twice import notebook_with, pairs, solutions

SOURCES = solutions()
USES = {exercise.name: exercise.uses for exercise in exercises().values() if exercise.uses}

# For each pair some mistakes of the earlier exercise that make the later one's values others.
MISTAKES = [
    ("rotation_pretext", "rotate_batch", "clockwise"),
    ("rotation_pretext", "rotate_batch", "written_into_the_input"),
    ("parameter_groups", "trainable_parameters", "all_parameters"),
    ("parameter_groups", "trainable_parameters", "data_of_parameters"),
    ("gradual_unfreezing", "freeze", "never_opened"),
    ("gradual_unfreezing", "freeze", "opened_for_gradients_only"),
    ("fine_tune", "trainable_parameters", "linear_layers_only"),
    ("fine_tune", "parameter_groups", "decayed_once"),
    ("fine_tune", "freeze", "gradients_only"),
    ("self_training_round", "select_confident", "strictly_above"),
    ("self_training_round", "pseudo_label", "asked_in_train_mode"),
    ("GAN", "discriminator_loss", "summed_not_averaged"),
    ("SimCLR", "two_views", "augmented_twice"),
    ("SimCLR", "nt_xent_loss", "diagonal_not_masked"),
]


def test_every_exercise_whose_solution_calls_another_one_says_so():
    assert {name: set(used) for name, used in pairs(SOURCES)} == {name: set(used) for name, used in USES.items()}
    assert all(judge_of(exercise_named(name)).building_on for name in USES)


@pytest.mark.parametrize(("later", "earlier", "mistake"), MISTAKES)
def test_a_known_mistake_costs_points_in_its_own_exercise_alone(later, earlier, mistake):
    names = notebook_with(SOURCES, later, USES[later], earlier, mistake)
    first, second = (check(exercise_named(name), names[name]) for name in (earlier, later))
    assert first.score < first.points and first.mistake == mistake
    assert (second.state, second.score) == ("right", second.points), second.as_json()


CHANGED = {  # one more mistake, in the later answer itself
    "rotation_pretext": ("repeat_interleave(len(images))", "repeat(len(images))"),
    "parameter_groups": ("decay**distance", "decay**(distance + 1)"),
    "gradual_unfreezing": ("len(blocks) - stage", "len(blocks) - stage - 1"),
    "fine_tune": ("total += loss.item() * len(labels)", "total += loss.item()"),
    "self_training_round": ("start if restart else model", "model"),
    "GAN": ("fake.detach()", "fake"),
    "SimCLR": ("torch.no_grad()", "torch.enable_grad()"),
}


@pytest.mark.parametrize(("later", "earlier", "mistake"), MISTAKES)
def test_a_mistake_of_the_later_answer_still_costs_points(later, earlier, mistake):
    sources = {**SOURCES, later: SOURCES[later].replace(*CHANGED[later])}
    assert sources[later] != SOURCES[later]
    names = notebook_with(sources, later, USES[later], earlier, mistake)
    result = check(exercise_named(later), names[later])
    assert result.state in ("wrong", "error") and result.score < result.points


def test_an_error_excuses_nothing():
    """Any answer may stop where the earlier function cannot be used."""
    names = notebook_with(SOURCES, "parameter_groups", USES["parameter_groups"], "trainable_parameters", "how_many")
    assert check(exercise_named("parameter_groups"), names["parameter_groups"]).state == "error"


def test_an_answer_that_calls_nothing_is_not_excused():
    """The same threshold written out: here it is the answer's own mistake."""
    names = notebook_with(SOURCES, "self_training_round", USES["self_training_round"], "select_confident",
                          "strictly_above")  # fmt: skip
    source = SOURCES["self_training_round"].replace(
        "select_confident(guessed, confidences, tau)", "(confidences > tau).nonzero().squeeze(1)"
    )
    exec(source, names)
    assert check(exercise_named("self_training_round"), names["self_training_round"]).mistake == "strictly_above"


def test_a_right_earlier_answer_excuses_nothing():
    names = notebook_with(SOURCES, "fine_tune", USES["fine_tune"])
    exec(SOURCES["fine_tune"].replace("number in frozen", "number not in frozen"), names)
    assert check(exercise_named("fine_tune"), names["fine_tune"]).state == "wrong"
