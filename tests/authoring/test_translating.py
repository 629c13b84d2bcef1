"""The catalogues: every sentence is there in each language and fits its English; what does not is found."""

from __future__ import annotations

import contextlib
import dataclasses
import re

import pytest
from click.testing import CliRunner

import course_lib.exercises as registry
from course_lib import settings
from course_lib.authoring import skeletons, translating
from course_lib.desk import cli
from course_lib.desk.for_authors import english_sentences
from course_lib.exercises import exercise_named, messages

OTHERS = [language for language in settings.languages() if language != "en"]
HAN = "\u4e00-\u9fff"


def test_english_and_chinese_are_there():
    assert settings.languages() == ("en", "zh_CN")


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_is_complete_up_to_date_and_fits_its_english(language):
    report = translating.examine(language, english_sentences())
    assert report.missing == (), "run `course messages --write`, then translate what it added"
    assert report.stale == (), "their English has changed: look at each, then take its mark `fuzzy` away"
    assert report.faults == ()
    assert report.unknown == (), "no sentence asks for these translations any more: take them out"


@pytest.mark.parametrize("language", OTHERS)
def test_every_translation_renders_without_a_trace_of_its_making(language):
    bad = []
    for message_id, english in english_sentences().items():
        shown = messages.translated(message_id, english, language)
        with contextlib.suppress(ValueError, KeyError, IndexError):  # a brace of its own: shown as it stands
            shown, english = (text.format_map(dict.fromkeys(_fields(english), "7")) for text in (shown, english))
        if "{" in shown and "{" not in english:
            bad.append((message_id, "a brace is left"))
        if shown != shown.strip() and not message_id.startswith("phrase."):
            bad.append((message_id, "spaces around it"))
        if re.search(r"\ufffd|  ", shown) and "skeleton" not in message_id:
            bad.append((message_id, "two spaces or a broken character"))
    assert bad == []


def _fields(text):
    return re.findall(r"(?<!\{)\{(\w+)\}", text)


def test_chinese_is_chinese():
    """A sentence with words in it has Chinese in it, and Chinese punctuation after Chinese."""
    bad = []
    for message_id, english in english_sentences().items():
        shown = messages.translated(message_id, english, "zh_CN")
        prose = re.sub(r"`[^`]*`|\{\w+\}|\$[^$]*\$", "", english)
        words = re.findall(r"[a-z]{3,}", prose)
        if not message_id.endswith("hint.skeleton") and len(words) > 2 and not re.search(f"[{HAN}]", shown):
            bad.append((message_id, "no Chinese in it"))
        if re.search(f"[{HAN}] ?[,;:?!]|[{HAN}]\\.(?!\\w)", shown):
            bad.append((message_id, "Western punctuation after Chinese"))
    assert bad == []


@pytest.fixture
def sentences():
    """All that there is to translate, in these tests."""
    return {
        "tiny.title": "Twice `x`",
        "tiny.mistake.half": "You halved {given}.",
        "tiny.hint.skeleton": "a = ...  # two",
    }


def po(**entries):
    return "".join(f'msgctxt "{k.replace("__", ".")}"\nmsgid "{v[0]}"\nmsgstr "{v[1]}"\n\n' for k, v in entries.items())


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ({}, {"missing": ("tiny.mistake.half",)}),
        ({"tiny__mistake__half": ("You halved {given}.", "")}, {"missing": ("tiny.mistake.half",)}),
        ({"tiny__mistake__half": ("You took half.", "{given}。")}, {"stale": ("tiny.mistake.half",)}),
        ({"tiny__mistake__half": ("You halved {given}.", "减半了。")}, {"faults": "fields: lacks given"}),
        ({"tiny__mistake__half": ("You halved {given}.", "{given} `x`")}, {"faults": "code in backticks"}),
        ({"tiny__mistake__half": ("You halved {given}.", "{given"), "a__b": ("c", "d")}, {"unknown": ("a.b",)}),
    ],
    ids=["absent", "empty", "stale", "other fields", "other code", "not in use"],
)
def test_what_is_wrong_with_a_catalogue_is_found(sentences, tmp_path, entries, found):
    rest = {"tiny__title": ("Twice `x`", "`x` 的两倍"), "tiny__hint__skeleton": ("a = ...  # two", "a = ...  # 二")}
    path = tmp_path / "course.po"
    path.write_text('msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n' + po(**rest, **entries))
    report = translating.examine("zh_CN", sentences, path=path)
    for what, expected in found.items():
        seen = getattr(report, what)
        if what == "faults":
            assert [message_id for message_id, _ in seen] == ["tiny.mistake.half"] and expected in seen[0][1]
        else:
            assert seen == expected
    assert not report.complete


def test_a_skeleton_needs_no_translation_until_its_author_has_written_it(monkeypatch):
    written = exercise_named("rotate_batch")
    skeleton = dataclasses.replace(
        written, takeaway=re.search('takeaway="(.*)"', (skeletons.SKELETON / "exercise.py").read_text())[1]
    )
    assert "rotate_batch.takeaway" in translating.english()
    monkeypatch.setattr(registry, "_registry", lambda: {written.unit: (skeleton,)})
    assert not [message_id for message_id in translating.english() if message_id.startswith("rotate_batch.")]


def test_only_the_comments_of_a_skeleton_may_differ():
    assert translating.faults_of("e.hint.skeleton", "a = ...  # two", "a = ...  # 二") == []
    assert translating.faults_of("e.hint.skeleton", "a = ...  # two", "b = ...  # 二")


def test_writing_a_catalogue_adds_what_is_missing_and_keeps_what_was_translated(sentences, tmp_path):
    path = tmp_path / "xx" / "course.po"
    translating.write("xx", sentences, path=path)
    assert len(translating.examine("xx", sentences, path=path).missing) == 3
    filled = path.read_text().replace('msgid "Twice `x`"\nmsgstr ""', 'msgid "Twice `x`"\nmsgstr "`x` 的两倍"')
    path.write_text(filled)
    sentences["tiny.title"] = "Two times `x`"
    translating.write("xx", sentences, path=path)
    report = translating.examine("xx", sentences, path=path)
    assert report.stale == ("tiny.title",) and len(report.missing) == 2
    assert "fuzzy" in path.read_text() and "的两倍" in path.read_text()
    before = path.read_bytes()
    translating.write("xx", sentences, path=path)
    assert path.read_bytes() == before


def test_the_command_says_how_complete_a_catalogue_is():
    done = CliRunner().invoke(cli.cli, ["messages", "zh_CN"])
    count = len(english_sentences())
    assert f"zh_CN: {count} of {count} sentences" in done.output and done.exit_code == 0
    done = CliRunner().invoke(cli.cli, ["messages", "xx"])
    assert done.exit_code == 2 and "There is no xx; there is en, zh_CN" in done.output
