"""The command that compares the judges' verdicts with those kept: which exercises it takes, and what it writes."""

from __future__ import annotations

import shutil

import pytest
from click.testing import CliRunner, Result

from tests.exercises import verdicts


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Copies of both tables, whose verdicts cost nothing: `run(*arguments)` runs the command on them."""
    for name in ("VERDICTS", "SENTENCES"):
        path = getattr(verdicts, name)
        shutil.copy(path, tmp_path)
        monkeypatch.setattr(verdicts, name, tmp_path / path.name)
    kept = verdicts.read(verdicts.VERDICTS)

    def as_kept(exercise, kind, fn, seed):
        names = [name for _, name, other in verdicts.known_answers(exercise) if other is fn] or ["blank"]
        return kept.get(f"{exercise.unit}\t{exercise.name}\t{kind}\t{names[0]}\t{seed}", "new")

    monkeypatch.setattr(verdicts, "verdict", as_kept)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(verdicts.main, arguments)

    return run


def test_several_words_take_the_exercises_of_each(tables):
    one, other, both = (tables(*words) for words in (("-k", "ramp"), ("-k", "warmup"), ("-k", "ramp", "-k", "warmup")))

    def rows(result: Result) -> int:
        assert result.exit_code == 0 and "0 rows differ" in result.output, result.output
        return int(result.output.split("verdicts.tsv: ")[1].split()[0])

    assert rows(both) == rows(one) + rows(other) > rows(one) > 0


def test_writing_some_exercises_leaves_all_other_rows(tables):
    path, changed = verdicts.VERDICTS, "kl_warmup\tright\treference\t0\t"
    whole = path.read_text()
    path.write_text(whole.replace(f"{changed}right", f"{changed}wrong"))
    assert path.read_text() != whole and tables("-k", "ramp").exit_code == 0
    assert tables("-k", "warmup").exit_code == 1
    tables("--write", "-k", "ramp", "-k", "warmup")
    assert sorted(path.read_text().splitlines()) == sorted(whole.splitlines())


def test_a_word_that_no_exercise_has_is_refused(tables):
    done = tables("-k", "ramp", "-k", "nothing_such")
    assert done.exit_code == 2 and "no exercise has 'nothing_such' in its name" in done.output
