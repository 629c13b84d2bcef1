"""What an answer cell of a source holds: the answer between its marks, and code that a learner may start from.

    def total(x):
        ### BEGIN SOLUTION
        return x.sum()
        ### STARTING CODE
        # return x
        ### END SOLUTION

Starting code, such as a loop to repair, is commented out so that the source runs. Learners get it behind the stub,
which they delete when they begin.
"""

from __future__ import annotations

import ast
import re

BEGIN, END = "BEGIN SOLUTION", "END SOLUTION"
START = "STARTING CODE"
_ANSWER = re.compile(rf"^([ \t]*)[^\n]*{BEGIN}.*?{END}[^\n]*", re.MULTILINE | re.DOTALL)
_STARTING = re.compile(rf"^[ \t]*#+ *{START}[^\n]*\n(.*?)(?=^[ \t]*#+ *{END})", re.MULTILINE | re.DOTALL)


def is_mark(line: str) -> bool:
    """Whether a line says where an answer or starting code begins or ends."""
    return BEGIN in line or END in line or START in line


def solved(source: str) -> str:
    """The cell as it is solved: without starting code and marks."""
    return "\n".join(line for line in without_starting_code(source).split("\n") if not is_mark(line))


def as_given(source: str) -> str:
    """The cell as a learner gets it: a `raise` in place of the answer, then the starting code."""

    def stub(match: re.Match[str]) -> str:
        lines = ["raise NotImplementedError", *starting_code(match.group()).splitlines()]
        return "\n".join(match.group(1) + line for line in lines)

    return _ANSWER.sub(stub, source)


def starting_code(source: str) -> str:
    """What a learner is given to begin with in an answer cell, uncommented and without its indentation; "" for none.

    >>> starting_code("    ### STARTING CODE\\n    # for x in y:\\n    #     x\\n    ### END SOLUTION")
    'for x in y:\\n    x'
    """
    found = _STARTING.search(source)
    lines = found.group(1).splitlines() if found else []
    return "\n".join(re.sub(r"^[ \t]*# ?", "", line) for line in lines)


def without_starting_code(source: str) -> str:
    """The cell as its author wrote the answer, with the marks around it."""
    return _STARTING.sub("", source)


def without_answer(text: str) -> str:
    """A written answer's cell without its sample answers and rubric, which learners do not read."""
    return re.sub(rf"{BEGIN}.*?{END}", "", text, flags=re.DOTALL)


def starting_code_fault(source: str) -> str:
    """What is wrong with starting code, in words; "" when nothing is."""
    found = _STARTING.search(source)
    if found is None or any(line.strip() and not line.lstrip().startswith("#") for line in found.group(1).splitlines()):
        return "must be comments, each line behind a #, and stand last before the end of the solution"
    try:
        ast.parse(as_given(source))
    except SyntaxError as error:
        return f"is not Python once it is uncommented: {error.msg}"
    return ""


def stops_when_run(source: str) -> bool:
    """Whether a cleared cell stops while it is run: a stub outside a function, or what remains is not Python."""
    cleared = _ANSWER.sub(r"\1raise NotImplementedError", source)
    try:
        waiting: list[ast.AST] = list(ast.parse(cleared).body)
    except SyntaxError:
        return True
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Raise):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)
    return False
