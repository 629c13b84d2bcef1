"""recorded_curves: what was recorded, on the reader's data set or on glyphs."""

from __future__ import annotations

import pytest
from drawing import line, texts
from trial_course import EXPERIMENT, UNIT, run, write

from course_lib import plots, records


@pytest.fixture(autouse=True)
def course(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    write()
    run()


@pytest.mark.parametrize(("recorded", "name"), [(["glyphs", "digits"], "digits"), (["glyphs"], "glyphs")])
def test_the_title_says_which_record_is_drawn(recorded, name):
    for dataset in recorded[1:]:
        run(dataset=dataset)
    figure = plots.recorded_curves(UNIT, dataset="digits", title="A trial")
    assert f"A trial (recorded on {name})" in texts(figure)
    assert records.recorded_on(UNIT, "label_curve", "digits") == name


def test_it_draws_the_methods_that_are_asked_for_and_those_beside_them():
    mine = {"vae": {1: [0.2], 10: [0.4]}}
    figure = plots.recorded_curves(UNIT, methods=["scratch"], beside=mine, x_label="images", title="A trial")
    (ax,) = figure.axes
    recorded = records.curve(UNIT, "label_curve", "scratch")
    assert list(line(ax, "From scratch").get_ydata()) == pytest.approx(recorded.mean)
    assert list(line(ax, plots.method_style("vae").label).get_ydata()) == pytest.approx([0.2, 0.4])
    assert [drawn.get_label() for drawn in ax.lines][:1] == ["From scratch"] and ax.get_xlabel() == "images"


def test_a_method_that_is_not_recorded_is_named():
    with pytest.raises(records.RecordError, match="no keys 'rotation@"):
        plots.recorded_curves(UNIT, methods=["rotation"], title="A trial")


def test_one_number_is_a_level_line():
    write(EXPERIMENT.replace('"loss": [1.0, 0.5 + seed]', '"full_labels": 0.9'))
    run(fresh=True)
    (ax,) = plots.recorded_curves(UNIT, methods=["full_labels", "scratch"], title="A trial").axes
    level = line(ax, plots.method_style("full_labels").label)
    assert list(level.get_xdata()) == [1, 5, 10] and list(level.get_ydata()) == pytest.approx([0.9] * 3)
    assert ax.lines[0] is level


def test_a_method_may_be_recorded_under_another_name():
    methods = {"rotation": "scratch", "vae": "one"}
    write(EXPERIMENT.replace('"loss": [1.0, 0.5 + seed]', '"one": 0.9'))
    run(fresh=True)
    figure = plots.recorded_curves(UNIT, methods=methods, title="A trial", percent=False, y_label="share")
    (ax,) = figure.axes
    recorded = records.curve(UNIT, "label_curve", "scratch")
    assert list(line(ax, "Rotation").get_ydata()) == pytest.approx(recorded.mean)
    assert list(line(ax, plots.method_style("vae").label).get_ydata()) == pytest.approx([0.9] * 3)
    assert ax.get_ylabel() == "share"
