"""Quoted numbers: placeholders, tables in Markdown files, and what is wrong with either."""

from __future__ import annotations

import pytest
from trial_course import EXPERIMENT, UNIT, run, write

from course_lib import records
from course_lib.authoring import quoting


@pytest.fixture(autouse=True)
def course(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    write()


def test_render_fills_placeholders():
    run(seeds=3)
    quote = (
        'From 5 labels: {{ result("label_curve", "scratch@5") | pm }}; {{result("label_curve", "scratch@5").mean|pct}}.'
    )
    assert quoting.render(quote, unit=UNIT) == "From 5 labels: 0.51 ± 0.01; 51\N{NO-BREAK SPACE}%."
    more = '{{ result("label_curve", "scratch@1").std | num(3) }} of {{ result("label_curve", "scratch@1").n }}'
    assert quoting.render(more, unit=UNIT) == "0.010 of 3"
    assert quoting.render('{{ result("label_curve", "scratch@5", unit="00_trial") | num }}', unit="01_other") == "0.51"
    assert quoting.render('{{ result("label_curve", "scratch@5") | pm(percent=true) }}', unit=UNIT) == "51 ± 1\u00a0%"


@pytest.mark.parametrize(
    "text",
    [
        r"$\frac{1}{2}\sum_{i}^{N} x_{i}^{2}$",
        r"$x^{{2}}$ and $\mathbb{{R}}^{{n}}$",
        r"{# no comment #} {% no block %} and a trailing newline" + "\n",
        "a dict {'a': {'b': 1}}",
    ],
)
def test_render_leaves_other_braces_alone(text):
    assert quoting.render(text, unit=UNIT) == text
    run(seeds=1)
    quote = ' {{ result("label_curve", "scratch@5").mean | num }}'
    assert quoting.render(text + quote, unit=UNIT) == text + " 0.50"


@pytest.mark.parametrize("placeholder", ["{{ scratch }}", "{{ result( }}", "{{ result('a') }}", "{{ 'x' | nofilter }}"])
def test_a_placeholder_that_cannot_be_filled_is_quoted(placeholder):
    with pytest.raises(records.RecordError) as caught:
        quoting.render(placeholder, unit=UNIT)
    assert placeholder in str(caught.value)


def test_on_every_seed_is_written_only_where_it_is_so():
    run(seeds=3)
    assert quoting.render('{{ every_seed("scratch@5 > scratch@1") }}', unit=UNIT) == "on every seed"
    assert quoting.render('{{ every_seed("scratch@5 < 0.9, scratch@5 > 0.1") }}', unit=UNIT) == "on every seed"
    middle = sorted(records.figure(UNIT, "label_curve", "scratch@5").values)[1]
    with pytest.raises(records.RecordError, match=r"is not so on every seed: \d\.\d+ > "):
        quoting.render(f'{{{{ every_seed("scratch@5 > {middle}") }}}}', unit=UNIT)
    with pytest.raises(records.RecordError, match="comparison has two keys"):
        quoting.render('{{ every_seed("scratch@5") }}', unit=UNIT)


def test_a_table_of_some_figures():
    run(seeds=3)
    text = quoting.render('{{ figures_table({"from\nscratch": "scratch"}, (1, 5)) }}', unit=UNIT)
    ones, fives = (records.pm(records.figure(UNIT, "label_curve", f"scratch@{x}"), percent=True) for x in (1, 5))
    assert text.splitlines() == [
        "| labels per class | 1 | 5 |", "|---|---:|---:|", f"| from scratch | {ones} | {fives} |"
    ]  # fmt: skip
    named = '{{ figures_table({"from scratch": "scratch"}, {"five labels": "@5"}, head="method") }}'
    assert quoting.render(named, unit=UNIT).splitlines() == [
        "| method | five labels |", "|---|---:|", f"| from scratch | {fives} |"
    ]  # fmt: skip


# --- Markdown files ---


def test_write_readme_fills_the_table_and_single_numbers(tmp_path):
    run(seeds=3)
    readme = tmp_path / "README.md"
    readme.write_text(
        "# Course\n\nAccuracy <!-- result('label_curve', 'scratch@5', unit='00_trial').mean | pct -->old<!-- / -->.\n\n"
        "<!-- results -->\nold table\n<!-- /results -->\n\nEnd\n"
    )
    assert quoting.write_readme(readme)
    text = readme.read_text()
    assert "-->51\N{NO-BREAK SPACE}%<!-- / -->" in text and "old" not in text
    assert records.results_table(columns=None) in text and text.endswith("End\n")
    assert not quoting.write_readme(readme)


def test_a_readme_that_does_not_show_the_records_is_found(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# Course without marks\n")
    assert quoting.check_quotes() == []
    readme.write_text("<!-- results -->\n<!-- /results -->\n")
    run()
    assert [(problem.level, problem.place) for problem in quoting.check_quotes()] == [("error", "README.md")]
    quoting.write_readme(readme)
    assert quoting.check_quotes() == []
    readme.write_text(readme.read_text() + "<!-- result('label_curve', 'no@5', unit='00_trial').n -->3<!-- / -->\n")
    assert "no@5" in quoting.check_quotes()[0].message


def test_a_short_table_has_one_data_set_and_some_budgets_and_the_columns_that_differ(tmp_path, monkeypatch):
    def curve(*x: float, n: int = 3) -> records.Curve:
        return records.Curve(x, (0.5,) * len(x), (0.01,) * len(x), ((0.5, 0.51),) * len(x), n)

    def row(method: str, dataset: str, *x: float, n: int = 3) -> records.TableRow:
        return records.TableRow(UNIT, method, dataset, "laptop", "p", curve(*x, n=n))

    rows = [row("Both", "glyphs", 1, 5, 10), row("Five", "glyphs", 5), row("Digits", "mnist", 1)]
    monkeypatch.setattr(records.table, "table_rows", lambda *, up_to=None: rows)
    readme = tmp_path / "README.md"
    readme.write_text("<!-- results glyphs 1 10 -->\n<!-- /results -->\n")
    assert quoting.write_readme(readme)
    text = readme.read_text()
    assert "over 3 seeds, on *glyphs*" in text and "| Unit | Method | 1 | 10 |\n|---|---|---:|---:|\n" in text
    assert "| 00 | Both | 50 ± 1\u00a0% | 50 ± 1\u00a0% |\n" in text and "Five" not in text and "Digits" not in text
    rows.append(row("Twice", "glyphs", 1, n=2))
    assert "over 2 to 3 seeds, on *glyphs*" in quoting.filled_readme(text)
    readme.write_text("<!-- results glyphs 5 10 mnist 1 -->\n<!-- /results -->\n")
    assert quoting.write_readme(readme)
    text = readme.read_text()
    assert "over 3 seeds.\n\n| Unit | Method | glyphs, 5 | glyphs, 10 | mnist, 1 |\n" in text
    assert "| 00 | Five | 50 ± 1\u00a0% | – | – |\n| 00 | Digits | – | – | 50 ± 1\u00a0% |\n" in text


def test_the_table_beside_the_records_is_looked_at_too(tmp_path):
    run()
    (tmp_path / "results").mkdir(exist_ok=True)
    (tmp_path / "results/README.md").write_text("<!-- results -->\n<!-- /results -->\n")
    assert [problem.place for problem in quoting.check_quotes()] == ["results/README.md"]


def test_write_readme_without_its_marks_says_so(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# Course\n")
    with pytest.raises(ValueError, match="<!-- results -->"):
        quoting.write_readme(readme)


# --- what is wrong ---


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


def test_check_quotes_lists_what_is_missing_and_stale(tmp_path):
    notebook = tmp_path / "solutions" / UNIT / f"{UNIT}.py"
    notebook.write_text(NOTEBOOK)
    assert [p.level for p in quoting.check_quotes()] == ["error"] * 3
    run()
    run(profile="full")
    (problem,) = quoting.check_quotes()
    assert problem.level == "error" and "nothing@5" in problem.message
    assert problem.place == f"solutions/{UNIT}/{UNIT}.py:10"
    notebook.write_text(NOTEBOOK.replace("nothing@5", "scratch@1"))
    assert quoting.check_quotes() == []
    benchmark = tmp_path / "results" / "benchmarks" / "speed.json"
    benchmark.parent.mkdir()
    benchmark.write_text("{}")
    assert quoting.check_quotes() == [] and len(records.all_records()) == 2
    write(EXPERIMENT.replace("SLOPE = 0.1", "SLOPE = 0.2"))
    found = {problem.place.split(".")[-2]: problem for problem in quoting.check_quotes()}
    assert {name: problem.level for name, problem in found.items()} == {"laptop": "error", "full": "warning"}
    assert f"course results {UNIT} --dataset glyphs --profile full" in str(found["full"])


def test_rows_of_the_table_that_are_not_noted_are_found():
    run()
    write(EXPERIMENT.replace("Supervised, from scratch", "From scratch"))
    (problem,) = quoting.check_quotes()
    assert str(problem).startswith("error: results/table.json: TABLE_ROWS of 00_trial has changed")
    run()
    assert quoting.check_quotes() == []


def test_every_number_this_course_quotes_has_a_fresh_record(monkeypatch):
    monkeypatch.delenv("COURSE_ROOT")  # the course itself, not the made one that the other tests of this file look at
    assert len(records.record_files()) > 50
    problems = quoting.check_quotes()
    for problem in problems:
        if problem.level == "warning":
            print(problem)
    errors = [str(problem) for problem in problems if problem.level == "error"]
    assert not errors, "\n".join(errors)
