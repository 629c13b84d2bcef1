"""mistakes.md: right answers, and mistakes as a sentence and a diff of a right answer."""

from __future__ import annotations

import gzip
import inspect
import re
import traceback
from pathlib import Path

import pytest

from course_lib.exercises import exercises, judge_module, judge_of
from course_lib.exercises.answers import AnswersError, answers_beside, judge_with, parse_answers, read_answers
from course_lib.exercises.contract import Judge

PATH = Path("rooms/double/mistakes.md")
RIGHT = """# Right answers

## in_steps
```python
def double(x):
    y = x
    y = y + x
    y = y + 0
    return y
```

## of_a_class
```python
class double(nn.Module):
    def __call__(self, x):
        return 2 * x
```

# Mistakes

"""


def with_mistake(block: str, sentence: str = "It is wrong.", name: str = "wrong") -> str:
    return f"{RIGHT}## {name}\n{sentence}\n{block}\n"


def source_of(block: str) -> list[str]:
    (mistake,) = parse_answers(with_mistake(block), PATH).mistakes
    return mistake.source.splitlines()[1:]


def test_the_file_is_read_as_it_is_written():
    block = "```diff\n-    y = y + x\n+    y = y - x\n```"
    answers = parse_answers(with_mistake(block, "It subtracts.\nAdd."), PATH)
    assert [(a.name, a.text, a.line) for a in answers.right] == [("in_steps", "", 3), ("of_a_class", "", 12)]
    (mistake,) = answers.mistakes
    assert (mistake.name, mistake.text, mistake.diff) == ("wrong", "It subtracts. Add.", block[8:-4])
    assert answers.function(mistake, "double")(3) == 0 and answers.function(answers.right[0], "double")(3) == 6
    assert answers.function(answers.right[1], "double")()(3) == 6


@pytest.mark.parametrize(
    ("block", "source"),
    [
        ("```diff\n-    y = y + x\n```", ["    y = x", "    y = y + 0", "    return y"]),
        (
            "```diff\n     y = x\n+    y += 1\n```",
            ["    y = x", "    y += 1", "    y = y + x", "    y = y + 0", "    return y"],
        ),
        (
            "```diff\n-    y = x\n+    y = 1\n-    return y\n+    return -y\n```",
            ["    y = 1", "    y = y + x", "    y = y + 0", "    return -y"],
        ),
        ("```diff\n-    y = x\n@@\n-    y = y + 0\n```", ["    y = y + x", "    return y"]),
        (
            "```diff of of_a_class\n-        return 2 * x\n+        return x\n```",
            ["    def __call__(self, x):", "        return x"],
        ),
        ("```python\ndef double(x):\n    return 3\n```", ["    return 3"]),
    ],
    ids=["deletion", "insertion", "two hunks", "two deletions", "of another answer", "in full"],
)
def test_a_diff_edits_the_answer(block, source):
    assert source_of(block) == source


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (with_mistake("```diff\n-    y = y * x\n+    y = 1\n```"), 24, "applies 0 times; once is expected"),
        (with_mistake("```diff\n-    y = x\n-    y = y + 0\n```"), 24, "applies 0 times"),
        (with_mistake("```diff\n+    y = 1\n```"), 24, "names no line of the answer"),
        (with_mistake("```diff\n-    y = x\n+    y = 1\n     y = x\n+    y = 2\n```"), 24, "change the same line"),
        (with_mistake("```diff\n-    y = x\n+    y = 1\nreturn\n```"), 26, "begins with none of"),
        (with_mistake("```diff of nothing\n-    y = x\n```"), 21, "there is in_steps, of_a_class"),
        (with_mistake("```diff\n-    y = x\n```", name="in_steps"), 21, "used a second time"),
        (with_mistake("```diff\n-    y = x\n```", sentence=""), 21, "expected a sentence for the learner"),
        (with_mistake("```diff\n-    y = x\n```\nMore."), 21, "nothing after it"),
        (with_mistake("No code."), 21, "needs one block of code"),
        (with_mistake("```text\nno code\n```"), 21, "expected python or diff"),
        (RIGHT + "# More\n", 21, "no part 'More'"),
        ("## lonely\n```python\n1\n```\n", 1, "stands before the heading"),
        ("# Mistakes\n\n## first\nIt is.\n```diff\n-1\n```\n", 3, "there is none"),
    ],
)
def test_what_breaks_a_rule_is_named_by_file_and_line(text, line, said):
    with pytest.raises(AnswersError, match=f"^{re.escape(str(PATH))}:{line}: .*{re.escape(said)}"):
        parse_answers(text, PATH)


def test_a_diff_that_applies_twice_is_named():
    twice = RIGHT.replace("    y = y + 0\n", "    y = y + x\n")
    with pytest.raises(AnswersError, match=r":24: .*applies 2 times"):
        parse_answers(twice + "## wrong\nIt is.\n```diff\n-    y = y + x\n+    y = 1\n```\n", PATH)


@pytest.mark.parametrize(
    ("code", "said"),
    [("def double(x:\n    pass", "does not run: SyntaxError"), ("def half(x):\n    return x", "defines no double")],
)
def test_an_answer_that_cannot_be_used_is_named(code, said):
    answers = parse_answers(with_mistake(f"```python\n{code}\n```"), PATH)
    with pytest.raises(AnswersError, match=f":21: wrong {said}"):
        answers.function(answers.mistakes[0], "double")


def test_tracebacks_and_inspect_show_the_lines_of_an_edited_answer():
    answers = parse_answers(with_mistake("```diff\n-    y = y + x\n+    y = y / 0\n```"), PATH)
    wrong = answers.function(answers.mistakes[0], "double")
    assert inspect.getsource(wrong) == answers.mistakes[0].source
    assert inspect.getsource(answers.function(answers.right[1], "double")) == answers.right[1].source
    try:
        wrong(1)
    except ZeroDivisionError as fault:
        last = traceback.extract_tb(fault.__traceback__)[-1]
    assert (last.filename, last.lineno, last.line) == (f"{PATH}:wrong", 3, "y = y / 0")


def test_a_packed_file_is_read_too(tmp_path):
    (tmp_path / "mistakes.md.gz").write_bytes(gzip.compress(with_mistake("```diff\n-    y = x\n```").encode()))
    assert [answer.name for answer in read_answers(tmp_path / "mistakes.md").mistakes] == ["wrong"]


def test_a_predicate_needs_its_mistake():
    judge = Judge(reference=abs, criteria=(), predicates={"gone": lambda trials: True})
    with pytest.raises(AnswersError, match=r"predicate for gone, not in here"):
        judge_with(judge, parse_answers(RIGHT, PATH), "double")


def test_a_judge_has_the_answers_of_its_folder_in_their_order():
    for exercise in exercises().values():
        known, judge = answers_beside(judge_module(exercise)), judge_of(exercise)
        assert [(m.name, m.text) for m in judge.mistakes] == [(a.name, a.text) for a in known.mistakes]
        assert [a.name for a in judge.alternatives] == [a.name for a in known.right]
        assert all(inspect.getsource(m.fn) in a.source for m, a in zip(judge.mistakes, known.mistakes, strict=True))
