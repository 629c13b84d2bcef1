"""Records: what is written, what is quoted, and what makes a record stale."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib import records, settings

UNIT = "00_trial"

EXPERIMENT = '''
"""A trial."""
from __future__ import annotations
import os
import numpy as np
from course_lib import settings

SLOPE = 0.1


def gain(x: float) -> float:
    """What a label brings."""
    # a comment
    return SLOPE * x


def unused():
    return 1


def label_curve(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """The trial's curve."""
    if seed > 99:
        raise ValueError("too large a seed")
    assert os.environ["COURSE_PROFILE"] == profile == settings.profile()
    assert os.environ["COURSE_DATASET"] == dataset
    return {f"scratch@{n}": np.float32(gain(n) + seed / 100) for n in (5, 1, 10)} | {"loss": [1.0, 0.5 + seed]}


EXPERIMENTS = {"label_curve": label_curve}
TABLE_ROWS = {"Supervised, from scratch": "scratch"}
'''


@pytest.fixture
def course(tmp_path, monkeypatch):
    """An empty project with one unit; returns a function that writes its experiment."""
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    folder = tmp_path / "solutions" / UNIT
    folder.mkdir(parents=True)

    def write(text: str = EXPERIMENT, *, unit: str = UNIT) -> Path:
        path = tmp_path / "solutions" / unit / "experiment.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    write()
    return write


def run(**options):
    return records.run(UNIT, progress=False, **{"seeds": 2, **options})


# ------------------------------------------------------------------------------------------------- running


def test_run_records_every_seed_with_its_circumstances(course):
    (record,) = run(seeds=3)
    content = json.loads(records.record_path(UNIT, "label_curve", dataset="glyphs", profile="laptop").read_text())
    assert sorted(content["seeds"]) == ["0", "1", "2"] == sorted(content["cpu_seconds"])
    assert content["seeds"]["1"]["scratch@10"] == pytest.approx(1.01)
    assert {"python", "torch", "torchvision", "device", "device_name", "threads", "platform"} <= set(
        content["environment"]
    )
    assert platform.node() not in json.dumps(content["environment"]) or not platform.node()
    assert records.read(UNIT, "label_curve") == record


def test_run_does_only_the_missing_seeds_and_fresh_does_all(course, tmp_path):
    count = tmp_path / "runs"
    course(EXPERIMENT.replace("    if seed", f"    open({str(count)!r}, 'a').write(str(seed))\n    if seed"))
    run(seeds=2)
    run(seeds=3)
    assert count.read_text() == "012"
    run(seeds=[1], fresh=True)
    assert count.read_text() == "0121"


def test_interrupt_keeps_the_finished_seeds_and_the_next_run_goes_on(course, tmp_path):
    switch = tmp_path / "switch"
    switch.touch()
    stop = f"    if seed == 2 and os.path.exists({str(switch)!r}):\n        raise KeyboardInterrupt\n"
    course(EXPERIMENT.replace("    if seed >", stop + "    if seed >"))
    with pytest.raises(KeyboardInterrupt):
        run(seeds=4)
    assert sorted(records.read(UNIT, "label_curve").seeds) == [0, 1]
    assert "COURSE_PROFILE" not in os.environ or os.environ["COURSE_PROFILE"] == settings.profile()
    switch.unlink()
    assert sorted(run(seeds=4)[0].seeds) == [0, 1, 2, 3]


def test_a_failed_write_leaves_the_old_record(course, monkeypatch):
    run(seeds=1)
    path = records.record_path(UNIT, "label_curve", dataset="glyphs", profile="laptop")
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        run(seeds=2)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_changed_code_begins_the_record_anew(course):
    run(seeds=3)
    course(EXPERIMENT.replace("SLOPE = 0.1", "SLOPE = 0.2"))
    (record,) = run(seeds=1)
    assert sorted(record.seeds) == [0]
    assert record.seeds[0]["scratch@10"] == pytest.approx(2.0)


def test_profile_and_dataset_have_files_of_their_own(course):
    run(seeds=1)
    run(seeds=1, dataset="mnist", profile="smoke")
    names = sorted(p.name for p in (records.results_folder() / UNIT).iterdir())
    assert names == ["label_curve.glyphs.laptop.json", "label_curve.mnist.smoke.json"]


def test_a_folder_is_recorded_under_its_own_name(course, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "cifar10-jpeg"))
    assert run(seeds=1, dataset="folder")[0].dataset == "cifar10-jpeg"


def test_a_diverged_run_is_recorded_as_not_a_number(course):
    course(EXPERIMENT.replace('"loss": [1.0,', '"diverged": float("nan"), "loss": [float("inf"),'))
    run()
    found = records.figure(UNIT, "label_curve", "diverged")
    assert found.mean != found.mean and found.n == 2
    assert records.figure(UNIT, "label_curve", "loss").values[0][0] == float("inf")


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
def test_bad_requests_are_refused_with_what_is_valid(course, options, message):
    with pytest.raises(ValueError, match=message):
        run(**options)


def test_unknown_unit_names_the_known_ones(course):
    with pytest.raises(ValueError, match=UNIT):
        records.run("09_nowhere", seeds=1)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("EXPERIMENTS = {'label_curve': lambda **_: 3.0}", "returned float; expected a dict"),
        ("EXPERIMENTS = {'label_curve': lambda **_: {'a@1': 'high'}}", "'high' under 'a@1'"),
        ("experiments = {}", "defines no EXPERIMENTS"),
    ],
)
def test_an_experiment_of_the_wrong_kind_is_named(course, code, message):
    course(code)
    with pytest.raises(ValueError, match=message):
        run()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_found_before_anything_is_computed(course, tmp_path):
    (tmp_path / "results").mkdir(mode=0o500)
    with pytest.raises(PermissionError, match="Nothing was computed"):
        run()


def test_results_in_the_way_are_reported_before_anything_is_computed(course, tmp_path):
    (tmp_path / "results").write_text("a file where the folder should be")
    with pytest.raises(PermissionError, match="Nothing was computed"):
        run()


# ------------------------------------------------------------------------------------------------- staleness


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
def test_prose_makes_no_record_stale(course, old, new):
    (record,) = run(seeds=1)
    assert EXPERIMENT.count(old) == 1
    course(EXPERIMENT.replace(old, new))
    assert not records.is_stale(record)


@pytest.mark.parametrize(("old", "new"), CODE)
def test_code_makes_a_record_stale(course, old, new):
    (record,) = run(seeds=1)
    assert EXPERIMENT.count(old) == 1
    course(EXPERIMENT.replace(old, new))
    assert records.is_stale(record)


def test_a_record_without_its_experiment_is_stale(course, tmp_path):
    (record,) = run(seeds=1)
    course("EXPERIMENTS = {}")
    assert records.is_stale(record)
    shutil.rmtree(tmp_path / "solutions")
    assert records.is_stale(record)


# ------------------------------------------------------------------------------------------------- quoting


def test_figure_gives_mean_and_spread_over_seeds(course):
    run(seeds=3)
    found = records.figure(UNIT, "label_curve", "scratch@5")
    assert found.values == pytest.approx((0.5, 0.51, 0.52))
    assert (found.mean, found.std, found.n) == (pytest.approx(0.51), pytest.approx(0.01), 3)
    losses = records.figure(UNIT, "label_curve", "loss")
    assert losses.mean == pytest.approx((1.0, 1.5)) and losses.std == pytest.approx((0.0, 1.0))


def test_one_seed_has_no_spread(course):
    run(seeds=1)
    assert records.figure(UNIT, "label_curve", "scratch@5").std == 0.0


def test_curve_is_in_order_of_x(course):
    run(seeds=2)
    found = records.curve(UNIT, "label_curve", "scratch")
    assert found.x == (1, 5, 10)
    assert found.mean == pytest.approx((0.105, 0.505, 1.005))
    assert found.values[0] == pytest.approx((0.1, 0.11)) and found.n == 2


def test_a_missing_record_names_the_command_that_makes_it(course):
    with pytest.raises(records.RecordError, match=f"course results {UNIT} --dataset mnist --profile full"):
        records.figure(UNIT, "label_curve", "scratch@5", dataset="mnist", profile="full")


def test_a_missing_key_names_the_nearest(course):
    run()
    with pytest.raises(records.RecordError, match="scratch@5"):
        records.figure(UNIT, "label_curve", "scrath@5")
    with pytest.raises(records.RecordError, match="its curves: scratch"):
        records.curve(UNIT, "label_curve", "frozen")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"unit": 3', "\x00"])
def test_a_file_that_is_no_record_is_named(course, content):
    path = records.record_path(UNIT, "label_curve", dataset="glyphs", profile="laptop")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(records.RecordError, match=r"label_curve\.glyphs\.laptop\.json is not a record"):
        records.figure(UNIT, "label_curve", "scratch@5")


def test_render_fills_placeholders(course):
    run(seeds=3)
    quote = (
        'From 5 labels: {{ result("label_curve", "scratch@5") | pm }}; {{result("label_curve", "scratch@5").mean|pct}}.'
    )
    assert records.render(quote, unit=UNIT) == "From 5 labels: 0.51 ± 0.01; 51\N{NO-BREAK SPACE}%."
    more = '{{ result("label_curve", "scratch@1").std | num(3) }} of {{ result("label_curve", "scratch@1").n }}'
    assert records.render(more, unit=UNIT) == "0.010 of 3"
    assert records.render('{{ result("label_curve", "scratch@5", unit="00_trial") | num }}', unit="01_other") == "0.51"
    assert records.render('{{ result("label_curve", "scratch@5") | pm(percent=true) }}', unit=UNIT) == "51 ± 1\u00a0%"


@pytest.mark.parametrize(
    "text",
    [
        r"$\frac{1}{2}\sum_{i}^{N} x_{i}^{2}$",
        r"$x^{{2}}$ and $\mathbb{{R}}^{{n}}$",
        r"{# no comment #} {% no block %} and a trailing newline" + "\n",
        "a dict {'a': {'b': 1}}",
    ],
)
def test_render_leaves_other_braces_alone(course, text):
    assert records.render(text, unit=UNIT) == text
    run(seeds=1)
    quote = ' {{ result("label_curve", "scratch@5").mean | num }}'
    assert records.render(text + quote, unit=UNIT) == text + " 0.50"


@pytest.mark.parametrize("placeholder", ["{{ scratch }}", "{{ result( }}", "{{ result('a') }}", "{{ 'x' | nofilter }}"])
def test_a_placeholder_that_cannot_be_filled_is_quoted(course, placeholder):
    with pytest.raises(records.RecordError) as caught:
        records.render(placeholder, unit=UNIT)
    assert placeholder in str(caught.value)


# ------------------------------------------------------------------------------------------------- table and README


def test_the_results_table_grows_with_each_unit(course):
    assert "No results are recorded yet" in records.results_table()
    run(seeds=3)
    first = records.results_table()
    assert (
        "| glyphs | laptop | 00 | Supervised, from scratch | 11 ± 1\u00a0% | 51 ± 1\u00a0% | 101 ± 1\u00a0% | 3 |"
        in first
    )
    second = EXPERIMENT.replace("(5, 1, 10)", "(5, 20)").replace("scratch", "frozen").replace("Supervised, from ", "")
    course(second, unit="01_next")
    records.run("01_next", seeds=1, progress=False)
    both = records.results_table()
    assert len(both.splitlines()) == len(first.splitlines()) + 1
    assert "| 01 | frozen | – | 50\u00a0% | – | 200\u00a0% | 1 |" in both
    assert records.results_table(up_to=UNIT) == first
    assert records.render("{{ results_table() }}", unit=UNIT) == first


def test_the_table_names_other_experiments_and_leaves_smoke_out(course):
    course(
        EXPERIMENT.replace('"label_curve": label_curve', '"other": label_curve').replace(
            ': "scratch"}', ': "other:scratch"}'
        )
    )
    run(profile="smoke")
    assert "No results" in records.results_table()
    run()
    assert "Supervised" in records.results_table()


def test_write_readme_fills_the_table_and_single_numbers(course, tmp_path):
    run(seeds=3)
    readme = tmp_path / "README.md"
    readme.write_text(
        "# Course\n\nAccuracy <!-- result('label_curve', 'scratch@5', unit='00_trial').mean | pct -->old<!-- / -->.\n\n"
        "<!-- results -->\nold table\n<!-- /results -->\n\nEnd\n"
    )
    assert records.write_readme(readme)
    text = readme.read_text()
    assert "-->51\N{NO-BREAK SPACE}%<!-- / -->" in text and "old" not in text
    assert records.results_table() in text and text.endswith("End\n")
    assert not records.write_readme(readme)


def test_a_readme_that_does_not_show_the_records_is_found(course, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# Course without marks\n")
    assert records.check_quotes() == []
    readme.write_text("<!-- results -->\n<!-- /results -->\n")
    run()
    assert [(problem.level, problem.place) for problem in records.check_quotes()] == [("error", "README.md")]
    records.write_readme(readme)
    assert records.check_quotes() == []
    readme.write_text(readme.read_text() + "<!-- result('label_curve', 'no@5', unit='00_trial').n -->3<!-- / -->\n")
    assert "no@5" in records.check_quotes()[0].message


def test_a_short_table_has_one_data_set_and_some_budgets_and_the_columns_that_differ(course, tmp_path, monkeypatch):
    def curve(*x: float, n: int = 3) -> records.Curve:
        return records.Curve(x, (0.5,) * len(x), (0.01,) * len(x), ((0.5, 0.51),) * len(x), n)

    def row(method: str, dataset: str, *x: float, n: int = 3) -> records.TableRow:
        return records.TableRow(UNIT, method, dataset, "laptop", "p", curve(*x, n=n))

    rows = [row("Both", "glyphs", 1, 5, 10), row("Five", "glyphs", 5), row("Digits", "mnist", 1)]
    monkeypatch.setattr(records, "table_rows", lambda *, up_to=None: rows)
    readme = tmp_path / "README.md"
    readme.write_text("<!-- results glyphs 1 10 -->\n<!-- /results -->\n")
    assert records.write_readme(readme)
    text = readme.read_text()
    assert "over 3 seeds, on *glyphs*" in text and "| Unit | Method | 1 | 10 |\n|---|---|---:|---:|\n" in text
    assert "| 00 | Both | 50 ± 1\u00a0% | 50 ± 1\u00a0% |\n" in text and "Five" not in text and "Digits" not in text
    rows.append(row("Twice", "glyphs", 1, n=2))
    assert "| Seeds |" in records.filled_readme(text) and "| 2 |" in records.filled_readme(text)


def test_the_table_beside_the_records_is_looked_at_too(course, tmp_path):
    run()
    (tmp_path / "results").mkdir(exist_ok=True)
    (tmp_path / "results/README.md").write_text("<!-- results -->\n<!-- /results -->\n")
    assert [problem.place for problem in records.check_quotes()] == ["results/README.md"]


def test_write_readme_without_its_marks_says_so(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# Course\n")
    with pytest.raises(ValueError, match="<!-- results -->"):
        records.write_readme(readme)


# ------------------------------------------------------------------------------------------------- check_quotes


NOTEBOOK = """# %% [markdown]
# Text
# with {{ result("label_curve", "scratch@5").mean | pct }} and {{ result("label_curve",
# "scratch@10").mean | pct }}
# %%
print(f"{{ not a placeholder }}")
# %% [markdown] tags=["x"]
# $x^{{2}}$
#
# {{ result("label_curve", "nothing@5").mean | pct }}
"""


def test_check_quotes_lists_what_is_missing_and_stale(course, tmp_path):
    notebook = tmp_path / "solutions" / UNIT / f"{UNIT}.py"
    notebook.write_text(NOTEBOOK)
    assert [p.level for p in records.check_quotes()] == ["error"] * 3
    run()
    run(profile="full")
    (problem,) = records.check_quotes()
    assert problem.level == "error" and "nothing@5" in problem.message
    assert problem.place == f"solutions/{UNIT}/{UNIT}.py:10"
    notebook.write_text(NOTEBOOK.replace("nothing@5", "scratch@1"))
    assert records.check_quotes() == []
    benchmark = tmp_path / "results" / "benchmarks" / "speed.json"
    benchmark.parent.mkdir()
    benchmark.write_text("{}")
    assert records.check_quotes() == [] and len(records.all_records()) == 2
    course(EXPERIMENT.replace("SLOPE = 0.1", "SLOPE = 0.2"))
    found = {problem.place.split(".")[-2]: problem for problem in records.check_quotes()}
    assert {name: problem.level for name, problem in found.items()} == {"laptop": "error", "full": "warning"}
    assert f"course results {UNIT} --dataset glyphs --profile full" in str(found["full"])


def test_every_number_this_course_quotes_has_a_fresh_record():
    problems = records.check_quotes()
    for problem in problems:
        if problem.level == "warning":
            print(problem)
    errors = [str(problem) for problem in problems if problem.level == "error"]
    assert not errors, "\n".join(errors)


def test_reading_records_does_not_import_torch(course):
    run(seeds=1)
    code = "import sys, course_lib.records as r; r.figure('00_trial', 'label_curve', 'scratch@5')"
    code += "; assert 'torch' not in sys.modules"
    package_root = str(Path(records.__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": package_root}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
