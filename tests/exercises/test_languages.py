"""Languages: every sentence is there in each, fits its English, and is chosen by the reader; results stay neutral."""

from __future__ import annotations

import ast
import dataclasses
import html
import inspect
import re
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from course_lib import settings
from course_lib.desk import cli
from course_lib.exercises import checks_for, exercise_named, explaining, judge_of, messages
from course_lib.exercises.card import card, text_card
from course_lib.exercises.checking import ExerciseNeeded, check
from course_lib.exercises.contract import Trial
from course_lib.exercises.messages import Message
from course_lib.exercises.observing import observe_all
from course_lib.exercises.progress import Standing
from course_lib.grading.outside import cells, explain, feedback, finding, public_sentences, staging, submission

VARIABLES = ("COURSE_LANGUAGE", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
HAN = "\u4e00-\u9fff"


@pytest.fixture
def reads(monkeypatch):
    def choose(**variables):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return choose


def clockwise(images, k):
    return torch.rot90(images, -k, dims=(2, 3))


# --- which language --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh_CN"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN"}, "zh_CN"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "de:zh_CN:en"}, "zh_CN"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_TW.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "COURSE_LANGUAGE": "en"}, "en"),
        ({"LANG": "en_US.UTF-8", "COURSE_LANGUAGE": "zh_CN"}, "zh_CN"),
        ({"COURSE_LANGUAGE": "zh"}, "zh_CN"),
        ({"COURSE_LANGUAGE": "zh-CN"}, "zh_CN"),
        ({"COURSE_LANGUAGE": "zh-Hans-CN"}, "zh_CN"),
        ({"COURSE_LANGUAGE": " "}, "en"),
    ],
)
def test_the_language_is_the_switchs_else_the_systems_else_english(reads, variables, expected):
    reads(**variables)
    assert settings.language() == expected


@pytest.mark.parametrize("name", ["tlh", "zh_TW", "../../etc", "z", "_"])
def test_an_unknown_language_is_answered_with_those_there_are(reads, name):
    reads(COURSE_LANGUAGE=name)
    with pytest.raises(ValueError, match="the course speaks en, zh_CN"):
        settings.language()
    with pytest.raises(ValueError, match="the course speaks en, zh_CN"):
        checks_for("04_pretext_tasks")
    done = CliRunner().invoke(cli.cli, ["exercises"])
    assert done.exit_code == 2 and "the course speaks en, zh_CN" in done.output
    # a check itself never raises
    assert "Your images turn clockwise" in check(exercise_named("rotate_batch"), clockwise).message.render()


def test_a_copy_without_catalogues_speaks_english_whatever_is_asked(reads, monkeypatch, tmp_path):
    """In the sandbox of a grader there are none; a submission must not fail for the grader's language."""
    staging.stage_library([Path(settings.__file__).parent], tmp_path / "staged")
    staged = tmp_path / "staged" / "course_lib"
    assert not list(staged.rglob("*.po*"))
    monkeypatch.setattr(settings, "_LOCALE", staged / "locale")
    reads(COURSE_LANGUAGE="zh_CN")
    assert settings.language() == "en" and checks_for("04_pretext_tasks")


# --- what the reader sees --------------------------------------------------------------------------------------------


def shown(page: str) -> str:
    """The words of a card: no tags, no code."""
    return html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<code\b[^>]*>.*?</code>", "", page, flags=re.DOTALL)))


@pytest.mark.parametrize(
    "answer",
    [
        clockwise,
        lambda images, k: images.rot90(k, dims=(2, 3)),
        lambda images, k: None,
        lambda images, k: images[..., :1],
    ],
    ids=["known mistake", "right", "None", "wrong shape"],
)
def test_a_card_is_all_in_chinese_and_says_so(reads, answer):
    reads(COURSE_LANGUAGE="zh_CN")
    exercise = exercise_named("rotate_batch")
    result = check(exercise, answer)
    page = card(exercise, result, standing=Standing("rotate_batch", tries=3))
    assert 'lang="zh-CN"' in page
    english = set(re.findall(r"[A-Za-z_]{3,}", shown(page)))
    # names of what is observed and of the inputs are names in the code
    assert english <= {"dtype", "None", "rotated", "quarter", "turn", "images", "float"}, english
    assert not re.findall(r"[A-Za-z]{3,}", text_card(exercise, result).partition("\n")[0].replace("rotate_batch", ""))


def test_the_value_of_a_check_is_the_bare_number_in_every_language(reads):
    reads(COURSE_LANGUAGE="zh_CN")
    score = checks_for("04_pretext_tasks").rotate_batch(clockwise)
    assert repr(score) == "1.0" and "顺时针" in score.html


def test_results_are_the_same_whatever_the_reader_reads(reads):
    exercise = exercise_named("rotate_batch")
    answers = (
        clockwise,
        lambda images, k: None,
        lambda images, k: images.nothing(),
        lambda images, k: images.rot90(k, (2, 3)),
    )
    for answer in answers:
        found = []
        for language in ("en", "zh_CN"):
            reads(COURSE_LANGUAGE=language)
            found.append(check(exercise, answer))
        assert found[0] == found[1]
        assert found[0].message.render("en") != found[0].message.render("zh_CN")
        assert not re.search(f"[{HAN}]", repr(found[1].message.fields))
    judge = judge_of(exercise)
    never = dataclasses.replace(judge.criteria[0], passes=lambda case, seen, expected: False)
    right = observe_all(exercise, judge.reference, exercise.cases(0), guard=False)
    trials = [Trial(o.case, o.values, o.values) for o in right]
    unmet = explaining.explain(exercise, dataclasses.replace(judge, criteria=(never,)), trials).message
    assert not re.search(f"[{HAN}]", repr(unmet)) and "一个四分之一圈是逆时针的" in unmet.render()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            Message("contract.is_none", {"key": "loss", "part": "", "expected": "a tensor of shape (4, 10)"}),
            "形状为 (4, 10) 的张量",
        ),
        (Message("contract.wrong_type", {"key": "loss", "expected": "a float", "given": "an int"}), "float 类型的值"),
        (
            Message("contract.error", {"type": "E", "text": "t", "where": " (line 3: `x = 1`)", "case": "c"}),
            "第 3 行：`x = 1`",
        ),
        (Message("contract.unmet", {"titles": "card.met; card.not_met", "case": ""}), "已满足；未满足"),
    ],
)
def test_what_fields_say_is_said_in_the_readers_language(message, said):
    assert said in message.render("zh_CN")
    assert not re.search(f"[{HAN}]", message.render("en"))


def test_a_demo_cell_says_in_chinese_what_it_needs(reads, monkeypatch):
    reads(COURSE_LANGUAGE="zh_CN")
    check_ = checks_for("04_pretext_tasks")
    with pytest.raises(ExerciseNeeded, match=r"练习 4\.1 的 `rotate_batch`（尚未定义）"):
        check_.needs("rotate_batch")


def test_feedback_and_explain_are_in_chinese_and_still_quote_nothing_hidden(reads):
    reads(COURSE_LANGUAGE="zh_CN")
    exercise = exercise_named("rotate_batch")
    fields = {"key": "rotated", "given": "a tensor of shape (4, 1, 9, 9)", "expected": "a float"}
    entry = {"exercise": "rotate_batch", "verdict": "wrong", "score": 0.0, "criteria": []}
    entry["message"] = {"id": "contract.wrong_type", "fields": fields}
    assert feedback.public_message(exercise, entry) == "rotated 应当是 float 类型的值，但实际是 tensor 类型的值。"
    assert set(re.findall(r"[A-Za-z]{3,}", shown(feedback.card(exercise, entry)))) <= {
        "rotated",
        "tensor",
        "float",
        "dtype",
    }
    told = explain.explain("ada", "rotate_batch", [{"student": "ada", "unit": exercise.unit, "exercises": [entry]}])
    assert told.startswith("ada，04_pretext_tasks，练习 4.1 rotate_batch：不正确，4 分中得 0 分。")
    assert "形状为 (4, 1, 9, 9) 的张量" in told and "学生看到的是：rotated 应当是" in told


def test_what_a_result_says_of_a_notebook_is_known_to_the_catalogue():
    """Those sentences are stored in English: every one that the grader makes must be found again by its pattern."""
    sources = [inspect.getsource(module) for module in (cells, submission, finding)]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    joined = [node.values for node in nodes if isinstance(node, ast.JoinedStr)]
    made = ["".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in parts) for parts in joined]
    inside = {id(part) for parts in joined for part in parts}
    made += [str(node.value) for node in nodes if isinstance(node, ast.Constant) and id(node) not in inside]
    begins = r"(cells?|locked cell|an extra notebook|the (notebook|file|folder)|one of the) [^\n]*\w"
    sentences = [text for text in made if re.match(begins, text)]
    assert len(sentences) >= len(public_sentences.NOTES)
    for sentence in sentences:
        assert re.search(f"[{HAN}]", messages.said(sentence, "zh_CN")), sentence
        assert messages.said(sentence, "en") == sentence


def test_a_sentence_without_translation_is_shown_in_english():
    messages.register("not.translated", "Twice {x}.")
    assert Message("not.translated", {"x": 2}).render("zh_CN") == "Twice 2."


def test_a_stale_translation_is_never_shown(monkeypatch):
    monkeypatch.setitem(messages.SENTENCES, "card.met", "fulfilled")
    assert messages.template_of("card.met", "zh_CN") == "fulfilled"
