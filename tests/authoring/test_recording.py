"""Recording: what is written, what is run again, and what makes a record stale."""

from __future__ import annotations

import json
import os
import platform
import shutil

import pytest
from trial_course import EXPERIMENT, UNIT, run, write

from course_lib import records, settings
from course_lib.authoring import recording


@pytest.fixture(autouse=True)
def course(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    write()


def test_run_records_every_seed_with_its_circumstances():
    (record,) = run(seeds=3)
    content = json.loads(records.record_path(UNIT, "label_curve", dataset="glyphs", profile="laptop").read_text())
    assert sorted(content["seeds"]) == ["0", "1", "2"] == sorted(content["cpu_seconds"])
    assert content["seeds"]["1"]["scratch@10"] == pytest.approx(1.01)
    assert {"python", "torch", "torchvision", "device", "device_name", "threads", "platform"} <= set(
        content["environment"]
    )
    assert platform.node() not in json.dumps(content["environment"]) or not platform.node()
    assert records.read(UNIT, "label_curve") == record


def test_run_does_only_the_missing_seeds_and_fresh_does_all(tmp_path):
    count = tmp_path / "runs"
    write(EXPERIMENT.replace("    if seed", f"    open({str(count)!r}, 'a').write(str(seed))\n    if seed"))
    run(seeds=2)
    run(seeds=3)
    assert count.read_text() == "012"
    run(seeds=[1], fresh=True)
    assert count.read_text() == "0121"


def test_interrupt_keeps_the_finished_seeds_and_the_next_run_goes_on(tmp_path):
    switch = tmp_path / "switch"
    switch.touch()
    stop = f"    if seed == 2 and os.path.exists({str(switch)!r}):\n        raise KeyboardInterrupt\n"
    write(EXPERIMENT.replace("    if seed >", stop + "    if seed >"))
    with pytest.raises(KeyboardInterrupt):
        run(seeds=4)
    assert sorted(records.read(UNIT, "label_curve").seeds) == [0, 1]
    assert "COURSE_PROFILE" not in os.environ or os.environ["COURSE_PROFILE"] == settings.profile()
    switch.unlink()
    assert sorted(run(seeds=4)[0].seeds) == [0, 1, 2, 3]


def test_a_failed_write_leaves_the_old_record(monkeypatch):
    run(seeds=1)
    path = records.record_path(UNIT, "label_curve", dataset="glyphs", profile="laptop")
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        run(seeds=2)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_changed_code_begins_the_record_anew():
    run(seeds=3)
    write(EXPERIMENT.replace("SLOPE = 0.1", "SLOPE = 0.2"))
    (record,) = run(seeds=1)
    assert sorted(record.seeds) == [0]
    assert record.seeds[0]["scratch@10"] == pytest.approx(2.0)


def test_profile_and_dataset_have_files_of_their_own():
    run(seeds=1)
    run(seeds=1, dataset="mnist", profile="smoke")
    names = sorted(p.name for p in (records.results_folder() / UNIT).iterdir())
    assert names == ["label_curve.glyphs.laptop.json", "label_curve.mnist.smoke.json"]


def test_a_folder_is_recorded_under_its_own_name(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "cifar10-jpeg"))
    assert run(seeds=1, dataset="folder")[0].dataset == "cifar10-jpeg"


@pytest.mark.parametrize("per_class", [3, 4, 50])
def test_nothing_is_recorded_of_fewer_labels_than_the_figures_name(per_class):
    """A small class gives fewer labels with a warning; a figure such as `scratch@50` must not say otherwise."""
    draw = f"split_labels(torch.arange(9) % 3, per_class={per_class}, validation_per_class=0, generator=generator)"
    lines = ["import torch", "from course_lib.data import split_labels", "generator = torch.Generator()", draw]
    text = "".join(f"    {each}\n" for each in lines)
    write(EXPERIMENT.replace("    if seed >", text + "    if seed >"))
    path = records.record_path(UNIT, "label_curve", dataset="glyphs", profile="laptop")
    if per_class == 3:
        run(seeds=1)
        assert path.exists()
    else:
        with pytest.raises(ValueError, match=r"classes have too few.* so nothing is recorded"):
            run(seeds=1)
        assert not path.exists()


def test_the_rows_of_the_table_are_noted_in_their_order_and_only_when_they_change():
    run(seeds=1)
    before = records.table_path().stat().st_mtime_ns
    run(seeds=2)
    assert records.table_path().stat().st_mtime_ns == before
    write(EXPERIMENT.replace("TABLE_ROWS = {", "TABLE_ROWS = {'Öther': 'other@', "))
    run(seeds=1)
    assert list(records.listed_methods()[UNIT].items()) == [
        ("Öther", "other@"),
        ("Supervised, from scratch", "scratch"),
    ]
    assert "Öther" in records.table_path().read_text(encoding="utf-8")
    write(EXPERIMENT[: EXPERIMENT.index("TABLE_ROWS")])
    run(seeds=1)
    assert records.listed_methods() == {}


def test_rows_of_the_table_that_are_no_literal_are_refused():
    write(EXPERIMENT.replace("TABLE_ROWS = {", "TABLE_ROWS = 3 * {"))
    with pytest.raises(ValueError, match="must be a literal dictionary"):
        recording.methods_of(UNIT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "quick"}, "smoke, laptop, full"),
        ({"experiment": "nothing"}, "it has label_curve"),
        ({"seeds": 0}, "at least 1"),
        ({"seeds": [-1]}, "0 and above"),
        ({"record_as": "a/b"}, "letters, digits"),
    ],
)
def test_bad_requests_are_refused_with_what_is_valid(options, message):
    with pytest.raises(ValueError, match=message):
        run(**options)


def test_unknown_unit_names_the_known_ones():
    with pytest.raises(ValueError, match=UNIT):
        recording.run("09_nowhere", seeds=1)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("EXPERIMENTS = {'label_curve': lambda **_: 3.0}", "returned float; expected a dict"),
        ("EXPERIMENTS = {'label_curve': lambda **_: {'a@1': 'high'}}", "'high' under 'a@1'"),
        ("experiments = {}", "defines no EXPERIMENTS"),
    ],
)
def test_an_experiment_of_the_wrong_kind_is_named(code, message):
    write(code)
    with pytest.raises(ValueError, match=message):
        run()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_found_before_anything_is_computed(tmp_path):
    (tmp_path / "results").mkdir(mode=0o500)
    with pytest.raises(PermissionError, match="Nothing was computed"):
        run()


def test_results_in_the_way_are_reported_before_anything_is_computed(tmp_path):
    (tmp_path / "results").write_text("a file where the folder should be")
    with pytest.raises(PermissionError, match="Nothing was computed"):
        run()


# --- what makes a record stale ---


PROSE = [
    ("# a comment", "# another comment"),
    ('"""What a label brings."""', '"""Other words."""'),
    ("def gain(x: float) -> float:", "def gain(x):"),
    ("too large a seed", "this seed is too large"),
    ("    return 1\n", "    return 2\n"),  # a function that the experiment does not call
    ("TABLE_ROWS = {", "TABLE_ROWS = {'Other': 'other', "),
]
CODE = [
    ("SLOPE = 0.1", "SLOPE = 0.2"),
    ("SLOPE * x", "SLOPE / x"),
    ("import numpy as np", "import math as np"),
    ("seed / 100", "seed / 10"),
    ("from course_lib import settings", "from course_lib import plots as settings"),
]


@pytest.mark.parametrize(("old", "new"), PROSE)
def test_prose_makes_no_record_stale(old, new):
    (record,) = run(seeds=1)
    assert EXPERIMENT.count(old) == 1
    write(EXPERIMENT.replace(old, new))
    assert not recording.is_stale(record)


@pytest.mark.parametrize(("old", "new"), CODE)
def test_code_makes_a_record_stale(old, new):
    (record,) = run(seeds=1)
    assert EXPERIMENT.count(old) == 1
    write(EXPERIMENT.replace(old, new))
    assert recording.is_stale(record)


def test_a_record_without_its_experiment_is_stale(tmp_path):
    (record,) = run(seeds=1)
    write("EXPERIMENTS = {}")
    assert recording.is_stale(record)
    shutil.rmtree(tmp_path / "solutions")
    assert recording.is_stale(record)
