"""The rules of a source: each broken one is told with its file and line."""

from __future__ import annotations

import pytest
import tiny_course

from course_lib.authoring import rules, sources

UNIT = tiny_course.UNIT

TWO_CODE_CELLS = '# %% tags=["demo"]\nprint(1)\n\n# %% tags=["demo"]\nprint(2)\n'
LONG = '# %% tags=["demo"]\n' + "".join(f"a{i} = {i}\n" for i in range(26))
CHECK_CELL = '# %% nbgrader={"grade_id": "check_d'


@pytest.mark.parametrize(
    ("old", "new", "said", "where"),
    [
        ('# %% tags=["demo"]\ncheck', TWO_CODE_CELLS + "\ncheck", "two code cells", '# %% tags=["demo"]\nprint(2)'),
        ('# %% tags=["train"]\n', LONG, "code cell of 27 lines", LONG),
        ("# It is used here.", "# " + "word " * 151, "text cell of 151 words", "# %% [markdown]\n# word"),
        ('# %% tags=["train"]', "# %%", "code cell without a kind", "# %%\nraise"),
        ("# It is used here.", "# Right in 71.5 % of cases.", "'71.5 %' is typed by hand", "# Right in"),
        ("# It is used here.", "# ### Exercise 90.2: double (1 minutes)", "Exercise 90.1: double (1", "# ### Exercise"),
        ("# It is used here.", "# ### Exercise 90.1: double (9 minutes)", "double (1 minutes)'", "# ### Exercise"),
        ("check.double(double)", "check.double(double);", "must end with a bare call", CHECK_CELL),
        ("check.double(double)", "score = check.double(double)", "bare call", CHECK_CELL),
        ('"check_double"', '"check_doubel"', "names no exercise", CHECK_CELL),
        ('"grade_id": "double"', '"grade_id": "twice"', "not an exercise of", '# %% nbgrader={"grade_id": "twice'),
        ("    ### END SOLUTION\n\n# %% nbg", "\n# %% nbg", "needs lines ###", '# %% nbgrader={"grade_id": "double'),
        ('"grade_id": "why"', '"grade_id": "total"', "used twice", "# %% [markdown] nbgrader"),
        (', "points": 3}', "}", "needs points", "# %% [markdown] nbgrader"),
        ('"grade_id": "why"', '"grade_id": "wh y"', "must be 1 to 64 letters", "# %% [markdown] nbgrader"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_reported_with_file_and_line(tmp_path, old, new, said, where):
    source = tiny_course.SOURCE.replace(old, new, 1)
    assert source != tiny_course.SOURCE
    path = tiny_course.write_unit(tmp_path, source)
    with pytest.raises(sources.ReleaseError) as raised:
        rules.read_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
    breaches = [line for line in str(raised.value).splitlines() if said in line]
    assert breaches, str(raised.value)
    assert breaches[0].startswith(f"{path}:{tiny_course.line_of(source, where)}: ")


NEEDS_MORE = """check.needs("double")
made = double(torch.ones(2))

# %% [markdown]
# Text.

# %% tags=["demo"]
print(made, total(torch.ones(2)))

# %% [markdown]
# Text.

# %% tags=["demo"]
made = 3

# %% [markdown]
# Text.

# %% tags=["demo"]
print(made)
"""


def test_a_cell_that_builds_on_an_answer_must_ask_for_it(tmp_path):
    source = tiny_course.SOURCE.replace('check.needs("double")\n', NEEDS_MORE)
    path = tiny_course.write_unit(tmp_path, source)
    with pytest.raises(sources.ReleaseError) as raised:
        rules.read_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
    said = [line for line in str(raised.value).splitlines() if "begin it with" in line]
    where = tiny_course.line_of(source, "print(made, total") - 1
    assert said[0].startswith(f"{path}:{where}: uses made, total") and 'check.needs("double", "total")' in said[0]
    # The old demo, further down, has lost its check.needs; `made` is free again once it is 3.
    assert len(said) == 2 and "uses double" in said[1]


def test_a_stub_must_not_stop_the_cell_itself(tmp_path):
    cell = 'def double(x):\n    """Twice x, as a new tensor: (N,) float32 -> (N,) float32."""\n    ### BEGIN SOLUTION\n'
    assert cell in tiny_course.SOURCE
    outside = "    ### BEGIN SOLUTION\n    two = 2\n    ### END SOLUTION\n\n    def forward(self, x):\n"
    source = tiny_course.SOURCE.replace(cell, f"class double:\n{outside}        ### BEGIN SOLUTION\n")
    source = source.replace("    twice_as_much = x + x\n    return", "        twice_as_much = x + x\n        return", 1)
    tiny_course.write_unit(tmp_path, source)
    with pytest.raises(sources.ReleaseError, match="'double' would stop while it is run"):
        rules.read_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
    tiny_course.write_unit(tmp_path, source.replace(outside, "    def forward(self, x):\n"))
    assert rules.read_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)


def test_an_exercise_without_a_cell_is_reported(tmp_path):
    start = tiny_course.SOURCE.index("# %% [markdown]\n# ## The sum")
    end = tiny_course.SOURCE.index("# %% [markdown]\n# Train for")
    tiny_course.write_unit(tmp_path, tiny_course.SOURCE[:start] + tiny_course.SOURCE[end:])
    with pytest.raises(sources.ReleaseError, match="'total' has no answer cell"):
        rules.read_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("    # return wrong\n", "    return wrong\n", "must be comments"),
        ("    # for number in x:\n", "    # for number in\n", "is not Python"),
        ("    # wrong = 0.0\n", "    # wrong = 0.0\n" * 30, "lines; 25 at most"),
    ],
)
def test_starting_code_that_cannot_be_given_is_reported(tmp_path, before, after, said):
    tiny_course.write_unit(tmp_path, source=tiny_course.WITH_STARTING_CODE.replace(before, after))
    with pytest.raises(sources.ReleaseError, match=said):
        rules.read_unit(UNIT, root=tmp_path, exercises=tiny_course.EXERCISES)
