"""Records: what is read of them, also where there is nothing but the records."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from trial_course import EXPERIMENT, UNIT, run, write

from course_lib import records
from course_lib.authoring import quoting, recording


@pytest.fixture(autouse=True)
def course(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    write()


def test_figure_gives_mean_and_spread_over_seeds():
    run(seeds=3)
    found = records.figure(UNIT, "label_curve", "scratch@5")
    assert found.values == pytest.approx((0.5, 0.51, 0.52))
    assert (found.mean, found.std, found.n) == (pytest.approx(0.51), pytest.approx(0.01), 3)
    losses = records.figure(UNIT, "label_curve", "loss")
    assert losses.mean == pytest.approx((1.0, 1.5)) and losses.std == pytest.approx((0.0, 1.0))


def test_one_seed_has_no_spread():
    run(seeds=1)
    assert records.figure(UNIT, "label_curve", "scratch@5").std == 0.0


def test_figures_are_all_numbers_of_a_record_by_key():
    run(seeds=2)
    found = records.figures(UNIT, "label_curve")
    assert list(found) == list(records.read(UNIT, "label_curve").keys)
    assert found["scratch@5"] == records.figure(UNIT, "label_curve", "scratch@5")


def test_curve_is_in_order_of_x():
    run(seeds=2)
    found = records.curve(UNIT, "label_curve", "scratch")
    assert found.x == (1, 5, 10)
    assert found.mean == pytest.approx((0.105, 0.505, 1.005))
    assert found.values[0] == pytest.approx((0.1, 0.11)) and found.n == 2


@pytest.mark.parametrize(
    ("dataset", "command"),
    [
        ("mnist", "course results {} --dataset mnist --profile full"),
        ("digits", "course results {} --dataset digits --profile full"),
        ("pets", "COURSE_DATA=.../pets course results {} --dataset folder --profile full"),
    ],
)
def test_a_missing_record_names_the_command_that_makes_it(dataset, command):
    with pytest.raises(records.RecordError, match=re.escape(command.format(UNIT))):
        records.figure(UNIT, "label_curve", "scratch@5", dataset=dataset, profile="full")


def test_a_missing_key_names_the_nearest():
    run()
    with pytest.raises(records.RecordError, match="scratch@5"):
        records.figure(UNIT, "label_curve", "scrath@5")
    with pytest.raises(records.RecordError, match="its curves: scratch"):
        records.curve(UNIT, "label_curve", "frozen")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"unit": 3', "\x00"])
def test_a_file_that_is_no_record_is_named(content):
    path = records.record_path(UNIT, "label_curve", dataset="glyphs", profile="laptop")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(records.RecordError, match=r"label_curve\.glyphs\.laptop\.json is not a record"):
        records.figure(UNIT, "label_curve", "scratch@5")


def test_a_diverged_run_is_recorded_as_not_a_number():
    write(EXPERIMENT.replace('"loss": [1.0,', '"diverged": float("nan"), "loss": [float("inf"),'))
    run()
    found = records.figure(UNIT, "label_curve", "diverged")
    assert found.mean != found.mean and found.n == 2
    assert records.figure(UNIT, "label_curve", "loss").values[0][0] == float("inf")


# --- the table ---


def test_the_results_table_grows_with_each_unit():
    assert "No results are recorded yet" in records.results_table(columns=None)
    run(seeds=3)
    first = records.results_table(columns=None)
    assert (
        "| glyphs | laptop | 00 | Supervised, from scratch | 11 ± 1\u00a0% | 51 ± 1\u00a0% | 101 ± 1\u00a0% | 3 |"
        in first
    )
    second = EXPERIMENT.replace("(5, 1, 10)", "(5, 20)").replace("scratch", "frozen").replace("Supervised, from ", "")
    write(second, unit="01_next")
    recording.run("01_next", seeds=1, progress=False)
    both = records.results_table(columns=None)
    assert len(both.splitlines()) == len(first.splitlines()) + 1
    assert "| 01 | frozen | – | 50\u00a0% | – | 200\u00a0% | 1 |" in both
    assert records.results_table(up_to=UNIT, columns=None) == first
    short = quoting.render("{{ results_table() }}", unit=UNIT)
    assert (
        short == records.results_table(up_to=UNIT)
        and "| 00 | Supervised, from scratch | 11 ± 1\u00a0% | 101 ± 1\u00a0% |" in short
    )


def record_the_protocol_of_two_units(*, seeds: int, of_the_next: int) -> None:
    """A row of this unit and a row of the next one, in one table."""
    named = EXPERIMENT.replace('"label_curve": label_curve', '"protocol": label_curve')
    write(named)
    run(seeds=seeds)
    write(named.replace("scratch", "frozen"), unit="01_next")
    recording.run("01_next", seeds=of_the_next, progress=False)


def test_the_protocol_is_one_record_of_all_units():
    record_the_protocol_of_two_units(seeds=2, of_the_next=1)
    assert set(records.curves("01_next", "protocol")) == set(records.curves(UNIT, "protocol")) == {"scratch", "frozen"}
    assert records.figure("01_next", "protocol", "scratch@5").n == 1, "of the seeds that the unit has"
    assert records.figure(UNIT, "protocol", "scratch@5").n == 2
    with pytest.raises(records.RecordError, match="No record of 'protocol' of unit 02_none"):
        records.figure("02_none", "protocol", "scratch@5")


def test_rows_of_two_units_are_compared_by_their_seeds_not_by_their_places():
    record_the_protocol_of_two_units(seeds=3, of_the_next=3)
    theirs = records.record_path("01_next", "protocol", dataset="glyphs", profile="laptop")
    whole = json.loads(theirs.read_text())

    def keep(*seeds: int, shift: float = 0.0) -> None:
        kept = {str(k): dict(whole["seeds"][str(k)]) for k in seeds}
        for figures in kept.values():
            figures["frozen@5"] += shift
        theirs.write_text(json.dumps(whole | {"seeds": kept}))

    keep(2, 0, 1, shift=0.005)  # less than what lies between two seeds
    own, other = (records.figure(UNIT, "protocol", key).values for key in ("scratch@5", "frozen@5"))
    assert records.holds("frozen@5 > scratch@5", UNIT, "protocol") == [(b, a, True) for a, b in zip(own, other)]
    found = records.difference("frozen@5", "scratch@5", UNIT, "protocol")
    assert found.values == pytest.approx((0.005,) * 3) and found.std == pytest.approx(0.0)
    for seeds, missing in (((1, 2), "0"), ((0, 1), "2"), ((1,), "0, 2")):
        keep(*seeds)
        for comparison in ("frozen@5 > scratch@1", "scratch@1 < frozen@5", "frozen@5 > 0"):
            with pytest.raises(records.RecordError, match=f"'frozen@5' is compared .* but seeds {missing} have no"):
                quoting.render(f'{{{{ every_seed("{comparison}", "protocol") }}}}', unit=UNIT)
    assert records.holds("scratch@5 > scratch@1", UNIT, "protocol") != []
    with pytest.raises(records.RecordError, match="'loss' is compared seed by seed, but seeds 0, 1, 2"):
        records.holds("loss > 0", UNIT, "protocol")


def test_the_table_names_other_experiments_and_leaves_smoke_out():
    write(
        EXPERIMENT.replace('"label_curve": label_curve', '"other": label_curve').replace(
            ': "scratch"}', ': "other:scratch"}'
        )
    )
    run(profile="smoke")
    assert "No results" in records.results_table(columns=None)
    run()
    assert "Supervised" in records.results_table(columns=None)


def test_the_table_needs_the_records_alone(tmp_path):
    """A student's copy has results/, but no experiments and no authoring."""
    run(seeds=3)
    write(EXPERIMENT.replace("scratch", "frozen"), unit="01_next")
    recording.run("01_next", seeds=1, progress=False)
    whole = records.results_table(columns=None)
    assert whole.count("Supervised") == 2
    shutil.rmtree(tmp_path / "solutions")
    assert records.results_table(columns=None) == whole
    assert records.table_rows(up_to=UNIT)[0].prefix == "scratch"


@pytest.mark.parametrize("content", ["", "[]", '{"00_trial": 3}'])
def test_a_list_of_methods_that_cannot_be_read_is_named(content):
    run()
    records.table_path().write_text(content)
    with pytest.raises(records.RecordError, match=r"results/table\.json cannot be read"):
        records.results_table(columns=None)


def test_reading_records_imports_neither_torch_nor_what_an_author_has():
    run(seeds=1)
    code = f"""
import sys
import course_lib.records as records
records.figure('{UNIT}', 'label_curve', 'scratch@5')
records.results_table(columns=None)
assert 'torch' not in sys.modules
assert not [name for name in sys.modules if name.startswith(('course_lib.authoring', 'course_lib.grading'))]
"""
    package_root = str(Path(records.__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": package_root}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_unit_about_text_is_recorded_and_shown_apart():
    """It says its data set; numbers of it are found without naming that, and its methods are a table of their own."""
    run(seeds=1)
    about_text = EXPERIMENT + 'DATASET = "docstrings"\n'
    about_text = about_text.replace("Supervised, from scratch", "Counting words")
    about_text = about_text.replace("(5, 1, 10)", "(5, 10, 200)") + '\ndef environment():\n    return {"numpy": "2"}\n'
    write(about_text, unit="01_next")
    (recorded,) = recording.run("01_next", seeds=1, progress=False)
    assert recorded.dataset == "docstrings" and recorded.environment["numpy"] == "2"
    assert recorded.command == "course results 01_next --dataset docstrings --profile laptop"
    assert (records.main_dataset(UNIT), records.main_dataset("01_next")) == ("glyphs", "docstrings")
    assert records.recorded_on("01_next", "label_curve", "mnist") == "docstrings"
    quoted = '{{ result("label_curve", "scratch@200").mean | num(0) }} {{ every_seed("scratch@10 > scratch@5") }}'
    assert quoting.render(quoted, unit="01_next") == "20 on every seed"
    images, text = records.results_table().split("\n\nTest accuracy")
    assert "Supervised" in images and "docstrings" not in images and "200" not in images
    assert ", on *docstrings*.\n\n| Unit | Method | 10 | 50 | 200 |\n" in text and "| 01 | Counting words |" in text
    assert "| docstrings | laptop | 01 | Counting words |" in records.results_table(columns=None).split("\n\n| ")[-1]
    with pytest.raises(ValueError, match="about text, and mnist is images"):
        recording.run("01_next", dataset="mnist", progress=False)
