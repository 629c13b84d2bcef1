"""The rules of wording: each finds what breaks it, leaves alone what does not, and holds in the whole tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tiny_course

from course_lib.authoring import rules, sources, translating, wording

ROOT = Path(__file__).resolve().parent.parent.parent
READ = {".py", ".md", ".po", ".tsv", ".toml", ".yml", ".yaml", ".cff", ".css", ".js", ".ts", ".txt", ""}
FOLDERS = ("course_lib", "docs", "solutions", "tests", "results", ".ci")
# The list of the words and its test name them; verdicts.tsv is made of names alone; what others have written is theirs.
LEFT_OUT = {"LICENSE", "course_lib/authoring/wording.py", "tests/authoring/test_wording.py"}
LEFT_OUT |= {"tests/exercises/verdicts.tsv"}


def found(name: str, text: str) -> list[str]:
    (rule,) = [each for each in (*wording.WORDS, *wording.SENTENCES, *wording.CODE) if each.name == name]
    return [place for _, place in rule.places(text)]


@pytest.mark.parametrize(
    ("name", "broken", "place"),
    [
        ("whoever", "Leave it to whoever calls.", "whoever"),
        ("nobody", "Nobody knows.", "Nobody"),
        ("nobody", 'f("nobody knows")', "nobody"),
        ("somebody", "It is somebody's.", "somebody"),
        ("shall", "We\n# shall see.", "shall"),
        ("from memory", "(Lee 2013, quoted\n# from memory)", "quoted from memory"),
        ("a for per", "With ten labels a class it works.", "labels a class"),
        ("a for per", "# with five labels a\n# class", "labels a class"),
        ("a for per", '"with five labels "\n    "a class"', "labels a class"),
        ("a for per", "Fifty labels a class", "labels a class"),
        ("a for per", "nats an image", "nats an image"),
        ("a for per", "one folder a unit", "one folder a unit"),
        ("a for per", "a page a student", "a page a student"),
        ("a for per", "a single label a class", "a single label a class"),
        ("a for per", "once an epoch, five times a second", "once an epoch"),
        ("is no", "2,000 is no multiple of 64", "is no multiple"),
        ("is no", "They are no\n# parameters", "are no parameters"),
        ("marks", "Two things: first a; second b.", "Two things: first a; second b."),
        ("marks", "One: two.\nThe next one: it\nhas more; and more.", "The next one: it"),
        ("recorded", "Recorded, it is 5.", "Recorded, it is 5."),
        ("every seed", "It is better on every seed.", "every seed"),
        ("every seed", "With all three seeds it helps.", "all three seeds"),
        ("recorded", "- Recorded, it is 5.", "- Recorded, it is 5."),
        ("placeholders", "{{ a }}, {{ b }}, {{\nc }} and {{ d }}.", "4 placeholders"),
        ("long lines", "x = 1\n" + "y" * 89, "y" * 89),
    ],
)
def test_what_breaks_a_rule_is_found(name, broken, place):
    assert place in found(name, broken)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("nobody", 'Criterion("nobody", 1) and nobody_is_sure, `nobody`, x.criterion.nobody'),
        ("shall", "a shallow copy, marshalling"),
        ("from memory", "copied from memory to the GPU"),
        ("a for per", "An exercise is a function. One is a class. It makes a class. How many images a bin has."),
        ("a for per", "a step takes a second; in one folder of a student; ten labels per class"),
        ("is no", "There is no gradient. It is no longer so, no better than a guess and is no higher than 3."),
        ("is no", "there\n# are no labels"),
        ("marks", "**Predict**: is it a, or b: what?"),
        ("marks", "One: two. The next: three (Lee 2013; Kim 2014).\n\nA third: `a: b; c: d`, $a: b; c$, 3:1."),
        ("recorded", "The recorded runs. Recorded on glyphs."),
        ("every seed", 'It is better {{ every_seed("a@5 > b@5") }}. Seeds differ.'),
        ("placeholders", "{{ a }}, {{ b }} and {{ c }}.\n\n{{ d }}"),
        ("placeholders", "| {{ a }} | {{ b }} | {{ c }} | {{ d }} |"),
        ("long lines", "y" * 88),
    ],
)
def test_what_keeps_a_rule_is_left_alone(name, kept):
    assert found(name, kept) == []


def test_a_place_is_found_on_its_own_line():
    (rule,) = [rule for rule in wording.WORDS if rule.name == "shall"]
    ((line, said),) = rule.broken_in("one\ntwo\nthree shall be\n")
    assert line == 2 and said == f"'shall': {rule.instead}"
    (rule,) = [rule for rule in wording.SENTENCES if rule.name == "marks"]
    assert [line for line, _ in rule.broken_in("First.\n\nIt ends. But\nthis: is; so.\n")] == [2]


def texts() -> list[Path]:
    paths = [path for path in ROOT.iterdir() if path.is_file()]
    paths += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    kept = [path for path in paths if path.suffix in READ and "__pycache__" not in path.parts]
    return [path for path in kept if path.relative_to(ROOT).as_posix() not in LEFT_OUT]


def test_no_word_of_the_list_stands_anywhere():
    paths = texts()
    assert {"Makefile", "README.md", "course.po", "sentences.tsv", "mistakes.md"} <= {path.name for path in paths}
    broken = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for rule in wording.WORDS:
            broken += [f"{path.relative_to(ROOT)}:{1 + line}: {said}" for line, said in rule.broken_in(text)]
    assert broken == []


# --- at a release ---


def broken_in_tiny(folder: Path, sentence: str) -> str:
    tiny_course.write_unit(folder, tiny_course.SOURCE.replace("# It is used here.", f"# {sentence}"))
    with pytest.raises(sources.ReleaseError) as raised:
        rules.read_unit(tiny_course.UNIT, root=folder, exercises=tiny_course.EXERCISES)
    return str(raised.value)


def test_a_release_names_what_breaks_a_rule(tmp_path):
    line = tiny_course.line_of(tiny_course.SOURCE, "# It is used here")
    said = broken_in_tiny(tmp_path, "It is used here: once; and there.")
    assert f"{line}: 'It is used here: once; and there.': more than one colon" in said
    assert "whoever" in broken_in_tiny(tmp_path, "It is for whoever reads.")


def test_the_words_of_an_exercise_are_read_at_its_release(tmp_path, monkeypatch):
    (tmp_path / "mistakes.md").write_text("# Mistakes\n\n## late\nIt shall come first.\n")
    tiny_course.write_unit(tmp_path)
    monkeypatch.setattr(rules, "exercise_files", lambda unit: [tmp_path / "mistakes.md"])
    monkeypatch.setattr(rules, "exercises_by_name", lambda unit: tiny_course.EXERCISES)
    with pytest.raises(sources.ReleaseError, match=r"mistakes\.md:4: 'shall': write should"):
        rules.read_unit(tiny_course.UNIT, root=tmp_path)


# Words for which the field has a term that a learner can search for.
HOME_MADE = re.compile(r"\bat rest\b|\b(un)?sure[rs]?\b|\bdear(er)?\b|\bawake\b|\bwants? a gradient\b", re.IGNORECASE)


def test_sentences_and_texts_have_the_terms_of_the_field():
    said = dict(translating.english())
    for path in sorted((ROOT / "solutions").glob("*/*.py")):
        text = "\n".join(line for line in path.read_text().split("\n") if line.startswith("# "))
        said[path.name] = re.sub(r"\{\{.*?\}\}", "", text, flags=re.DOTALL)  # keys of records stay
    assert len(said) > 1_000
    assert {key: found[0] for key, text in said.items() if (found := HOME_MADE.search(text))} == {}
