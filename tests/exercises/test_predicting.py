"""Predictions: stored, compared with what is recorded, summed up; never graded, never in the way."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner

from course_lib import records
from course_lib.desk import cli
from course_lib.exercises import predictions_for
from course_lib.exercises.messages import SENTENCES
from course_lib.exercises.predicting import calibration, questions, store
from course_lib.exercises.predicting.questions import MAX_QUESTIONS, all_questions, answer_on

RECORDED = records.pm(records.figure("00_first_steps", "label_curve", "scratch@10"), percent=True).replace("\xa0", " ")


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A learner's folder of its own."""
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    monkeypatch.setenv("COURSE_LANGUAGE", "en")
    monkeypatch.setenv("COURSE_DATASET", "glyphs")
    return tmp_path


@pytest.fixture
def heard(capsys):
    """What was printed since the last call, its no-break spaces as plain ones."""

    def read() -> str:
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out.replace("\xa0", " ")

    return read


def plain(text: str) -> str:
    return text.replace("\xa0", " ")


def first_steps():
    return predictions_for("00_first_steps")


def test_a_prediction_is_said_stored_and_compared(work, heard):
    first_steps().scratch_at_10(0.6)
    assert heard() == "You said 60 %.\n"
    first_steps().scratch_at_10.compare(torch.tensor(0.7))  # another kernel finds what this one has stored
    assert heard().endswith(f": you said 60 %, recorded {RECORDED}, this run 70 %.\n")
    (path,) = (work / ".progress" / "predictions").iterdir()
    assert path.name == "00_first_steps.scratch_at_10.json"
    assert json.loads(path.read_text())["said"][0]["value"] == 0.6


def test_the_last_prediction_before_the_result_counts_and_all_are_kept(work, heard):
    asked = first_steps().scratch_at_10
    asked(0.2)
    asked(30)  # percent
    assert "You said 30 % now, and 20 % before." in heard()
    asked.compare()
    asked(0.73)
    assert "73 % after the result was shown" in heard()
    asked(...)
    assert heard() == "You said 30 %.\n"
    entry = store.read("00_first_steps", "scratch_at_10")
    assert [each.value for each in entry.said] == [0.2, 0.3, 0.73]
    assert entry.counts == 0.3


def test_a_prediction_that_is_left_out_is_one_quiet_line(work, heard):
    first_steps().scratch_at_10(...)
    said = heard()
    assert said.count("\n") == 1 and "a share between 0 and 1" in said
    first_steps().scratch_at_10.compare(0.7)
    assert f"nothing said, recorded {RECORDED}, this run 70 %" in heard()
    assert not (work / ".progress").exists()
    assert "nothing to compare" in first_steps().summary()
    first_steps().scratch_at_10(0.5)  # a result that was shown without a prediction does not shut it out
    assert store.read("00_first_steps", "scratch_at_10").counts == 0.5


@pytest.mark.parametrize("given", ["many", -0.1, 1e9, None, [1, 2], torch.zeros(3), float("nan")])
def test_what_cannot_be_a_prediction_is_told_and_not_stored(work, heard, given):
    first_steps().scratch_at_10(given)
    assert "is not a prediction that fits here" in heard()
    assert store.read("00_first_steps", "scratch_at_10").counts is None


def test_choices_chances_and_numbers_in_words(work, heard):
    predict = predictions_for("04_pretext_tasks")
    predict.hardest("STAR")
    predict.hardest("violin")
    predict.hardest.compare()
    said = heard()
    assert "You said star." in said and 'Give one of "house", "tree"' in said
    assert "you said star, recorded star." in said
    predict = predictions_for("01_autoencoders")
    predict.below_pca(0.9)
    predict.below_pca.compare(True)
    assert "you said 90 %, recorded true on 0 of 3 seeds, this run true." in heard()
    predict = predictions_for("02_variational_autoencoders")
    predict.gap(5)
    predict.gap.compare()
    figures = [records.figure("02_variational_autoencoders", "bound", f"nats@{k}").mean for k in (1, 100)]
    assert f"you said 5.0 nats, recorded {figures[0] - figures[1]:.1f} ±" in heard()


def test_the_summary_shows_what_was_predicted_and_hides_the_rest(work, heard):
    predict = first_steps()
    predict.scratch_at_10(0.6)
    mean = records.figure("00_first_steps", "label_curve", "scratch@10").mean
    text = predict.summary()
    assert repr(text) == text._repr_markdown_() == str(text)
    text = plain(text)
    assert f"| 60 % | {RECORDED} | {60 - 100 * mean:+.0f} points |" in text
    assert text.count("| – | – | – |") == 4, "a result that was not predicted can still be"
    assert f"Shares (1): off by {100 * mean - 60:.0f} points" in text and "pessimistic" not in text


def answered(notebook, name):
    """The mean of what is recorded for a question."""
    (question,) = (each for each in questions.questions_of(notebook) if each.name == name)
    return answer_on(question, records.main_dataset(question.unit)).value.mean


def said(notebook, **values):
    for name, value in values.items():
        getattr(predictions_for(notebook), name)(value)
        getattr(predictions_for(notebook), name).compare()


def test_calibration_over_all_notebooks(work, heard):
    curve = answered("00_first_steps", "scratch_at_10"), answered("04_pretext_tasks", "after_rotation")
    said("00_first_steps", scratch_at_10=round(curve[0], 4) + 0.1)
    said("04_pretext_tasks", after_rotation=round(curve[1], 4) + 0.04, worth_more="flips")
    said("01_autoencoders", below_pca=0.8, closer=0.1, detector="autoencoder")  # closer: neither good nor bad
    told = " ".join(calibration.sentences(calibration.everything()))
    closer = 100 * answered("01_autoencoders", "closer") - 10
    assert f"Shares (3): off by {(10 + 4 + closer) / 3:.0f} points" in told
    assert "You are optimistic by 7 points" in told
    assert "a Brier score of 0.64" in told and "Choices: 1 of 2 right." in told
    assert "All your predictions so far: Shares (3)" in predictions_for("07b_consistency").summary()
    assert "All your predictions so far: Shares (3)" in CliRunner().invoke(cli.cli, ["progress"]).output


def test_a_brier_score_counts_each_seed():
    question = questions.chance("x", "x", "a > b")
    mixed = questions.Answer(2 / 3, 3, "glyphs")
    assert calibration.Compared(question, 0.5, mixed).error == pytest.approx(0.25)
    assert calibration.Compared(question, 1.0, mixed).error == pytest.approx(1 / 3)


def test_without_records_a_comparison_says_what_it_has(work, heard, monkeypatch):
    monkeypatch.setenv("COURSE_ROOT", str(work / "elsewhere"))
    first_steps().scratch_at_10(0.6)
    first_steps().scratch_at_10.compare(0.7)
    assert heard().endswith(": you said 60 %, this run 70 %.\n")
    assert "| 60 % | – | – |" in plain(first_steps().summary())


def test_a_data_set_without_a_record_is_compared_on_glyphs(work, heard, monkeypatch):
    monkeypatch.setenv("COURSE_DATASET", "folder")
    first_steps().scratch_at_10(0.6)
    first_steps().scratch_at_10.compare()
    assert f"recorded {RECORDED} (on glyphs)" in heard()


def test_a_file_that_cannot_be_read_is_kept_aside(work, heard):
    first_steps().scratch_at_10(0.6)
    (path,) = (work / ".progress" / "predictions").iterdir()
    path.write_text("{")
    first_steps().scratch_at_10(0.4)
    assert path.with_suffix(".unreadable").read_text() == "{"
    assert store.read("00_first_steps", "scratch_at_10").counts == 0.4


def test_a_folder_that_cannot_be_written_to_costs_the_record_only(tmp_path, monkeypatch, heard):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "file"))
    first_steps().scratch_at_10(0.6)
    first_steps().scratch_at_10.compare()
    assert "You said 60 %." in heard()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match=r"asks for no prediction scratch; it asks for .*scratch_at_10"):
        first_steps().scratch  # noqa: B018


SILENT = """
from course_lib import exercises
exercises.silence_checks()
predict = exercises.predictions_for("00_first_steps")
assert predict.scratch_at_10(0.6) is None and predict.no_such_name("x", 3) is None
assert predict.scratch_at_10.compare(1 / 3) is None and predict.summary() is None
"""


def test_in_grading_predictions_do_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", SILENT], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("notebook", all_questions())
def test_every_question_of_the_course_has_an_answer(notebook):
    asked = all_questions()[notebook]
    assert 0 < len(asked) <= MAX_QUESTIONS
    assert len({question.name for question in asked}) == len(asked)
    for question in asked:
        found = answer_on(question, records.main_dataset(question.unit))
        assert found.seeds >= 3
        assert question.unit[:2] == notebook[:2]


def test_messages_are_not_typed_elsewhere():
    assert {f"predict.expected_{kind}" for kind in questions.Kind} <= SENTENCES.keys()
