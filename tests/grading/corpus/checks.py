"""Checks that learners hand in for `accuracy_check`: honest ones, and attempts to be paid without looking at behavior.

They need the unit's own release, so they stand apart from the corpus of whole notebooks.
"""

from __future__ import annotations

from typing import NamedTuple


class Written(NamedTuple):
    """A check as it is handed in, with what its cell holds besides, and what it must get.

    Attributes:
        body: of `accuracy_check(candidate)`.
        verdict, score: out of 4 points.
        before: stands above it in its cell.
    """

    name: str
    body: str
    verdict: str
    score: float
    before: str = ""


EASY = """
value = candidate(torch.tensor([[9.0, 1, 2, 0], [0, 5, 1, 2], [3, 2, 8, 0]]), torch.tensor([0, 1, 3]))
assert isinstance(value, float) and abs(value - 2 / 3) < 1e-5
"""

HONEST = [
    Written(
        "a right check",
        f"{EASY}\nvalue = candidate(100 + torch.eye(4)[:3], torch.tensor([1, 1, 2]))\nassert abs(value - 2 / 3) < 1e-5",
        "right",
        4.0,
    ),
    Written("a check with inputs that are too easy", EASY, "wrong", 3.67),
    Written(
        "a check that compares with the learner's own answer",
        "for logits in (torch.eye(5)[[1, 2, 0, 3]], 100 + torch.eye(4)[:3]):\n"
        "    labels = torch.tensor([1, 1, 2, 0])[:len(logits)]\n"
        "    value = candidate(logits, labels)\n"
        "    assert type(value) is float and abs(value - accuracy(logits, labels)) < 1e-5",
        "right",
        4.0,
    ),
    Written(
        "a check by torch.testing, which imports for seconds when it is first called",
        "logits = torch.tensor([[9.0, 1, 2, 0], [0, 5, 1, 2], [3, 2, 8, 0]])\n"
        "for scaled in (logits, 100 + logits):\n"
        "    value = candidate(scaled, torch.tensor([0, 1, 3]))\n"
        "    assert isinstance(value, float)\n"
        "    torch.testing.assert_close(value, 2 / 3, atol=1e-5, rtol=0)",
        "right",
        4.0,
    ),
    Written("nothing written", "raise NotImplementedError('Exercise 0.5: accuracy_check')", "not_attempted", 0.0),
]

WITHOUT_BEHAVIOR = [
    Written("lets everything pass", "pass", "wrong", 0.0),
    Written("stops everything", "raise AssertionError", "wrong", 0.0),
    Written("prints the vector it would like", "print(['passed'] * 15)", "wrong", 0.0),
    Written("returns a verdict", "return True", "wrong", 0.0),
    Written("ends the interpreter", "import sys; sys.exit(0)", "wrong", 0.0),
    Written("ends the process", "import os; os._exit(0)", "crashed", 0.0),
    Written("never ends", "while True: pass", "wrong", 0.0),
    Written(
        "never ends and swallows the alarm",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "wrong",
        0.0,
    ),
    Written(
        "does not end on half of the answers",
        "value = candidate(torch.eye(4)[:3], torch.tensor([0, 1, 3]))\n"
        "while not isinstance(value, float) or abs(value - 2 / 3) > 1e-5: pass",
        "wrong",
        0.0,
    ),
    Written(
        "the library's own version", "from course_lib.evaluation import accuracy\naccuracy(*[None] * 2)", "error", 0.0
    ),
]

CODE_READERS = [
    Written("decides by the names in the code", "assert 'softmax' in candidate.__code__.co_names", "wrong", 0.0),
    Written("decides by the bytes of the code", "assert hash(candidate.__code__.co_code) % 2", "wrong", 0.0),
    Written(
        "decides by the constants of the code",
        "text = str([c.co_names for c in candidate.__code__.co_consts if hasattr(c, 'co_names')])\n"
        "assert 'sigmoid' not in text and 'round' not in text",
        "wrong",
        0.0,
    ),
    Written("decides by the source", "import inspect\nassert 'max' in inspect.getsource(candidate)", "wrong", 0.0),
    Written(
        "decides by name and docstring", "assert (candidate.__doc__ or candidate.__qualname__) == 'x'", "wrong", 0.0
    ),
    Written("decides by the closure", "assert candidate.__closure__[1].cell_contents % 2", "wrong", 0.0),
    Written("decides by the address", "assert id(candidate) // 64 % 2", "wrong", 0.0),
    Written(
        "stops those that came late in the notebook's own order",
        "STATE.append(1)\nassert len(STATE) in (1, 6, 11)",  # where the right ones stand for the public seed
        "wrong",
        0.0,
        before="STATE = []\n",
    ),
]

# The words for the decisions, as a check may write them into what goes back.
_HOW = ["passed without a call", "stopped, I swear"]

SHARED = [
    Written(
        "patches AssertionError",
        "raise AssertionError",
        "wrong",
        0.0,
        before="import builtins\nclass AssertionError(Exception): pass\nbuiltins.AssertionError = AssertionError\n",
    ),
    Written(
        "patches isinstance, so that every error is one",
        "assert candidate is None",
        "crashed",
        0.0,
        before="import builtins\nbuiltins.isinstance = lambda *_: True\n",
    ),
    Written(
        "changes what the answers call, so that wrong ones break",
        "with torch.no_grad():\n"
        "    torch.Tensor.softmax = torch.Tensor.sigmoid = torch.Tensor.round = torch.Tensor.sum = None\n"
        "    candidate(torch.eye(4)[:3], torch.tensor([0, 1, 3]))",
        "wrong",
        0.0,  # right ones break too
    ),
    Written(
        "leaves changed tensors to the next answer",
        "value = candidate(SHARED, torch.tensor([0, 1, 3]))\nSHARED.zero_()\nassert isinstance(value, float)",
        "wrong",
        0.67,
        before="SHARED = torch.eye(4)[:3].clone()\n",
    ),
    Written(
        "remembers what the answers returned, and lets repeated values pass",
        "value = candidate(torch.eye(4)[:3] * 3, torch.tensor([0, 1, 3]))\n"
        "SEEN.append(value)\n"
        "assert SEEN.count(value) > 1",
        "wrong",
        0.0,  # the first of the right ones is refused
        before="SEEN = []\n",
    ),
    Written(
        "remembers the answers themselves, and lets the last one pass again",
        "SEEN.append(candidate)\nassert SEEN[-1] is candidate and len(SEEN) > 14",
        "wrong",
        0.0,
        before="SEEN = []\n",
    ),
    Written(
        # Nothing in one process keeps a check from running every answer. It has to find inputs on which all mistakes
        # differ, so its points are for behavior, although it was not written from the statement.
        "calls all answers by their places, and lets the largest group pass",
        "import types\n"
        "def other(place):\n"
        "    names = candidate.__code__.co_freevars\n"
        "    cells = [types.CellType(place) if n == 'number' else c for n, c in zip(names, candidate.__closure__)]\n"
        "    return types.FunctionType(candidate.__code__, candidate.__globals__, 'x', None, tuple(cells))\n"
        "def returned(fn):\n"
        "    try:\n"
        "        values = [fn(x, torch.tensor([0, 1, 3])) for x in (torch.eye(4)[:3], 90 + torch.eye(4)[:3])]\n"
        "        return [(type(v).__name__, round(float(v), 5)) for v in values]\n"
        "    except Exception:\n"
        "        return None\n"
        "found = [returned(other(place)) for place in range(15)]\n"
        "groups = [v for v in found if v]\n"
        "assert returned(candidate) == max(groups, key=groups.count)",
        "right",
        4.0,
    ),
]

REACHING_OUT = [
    Written(
        "reads mistakes.md",
        "import glob, os, course_lib\n"
        "root = os.path.dirname(course_lib.__file__)\n"
        "assert glob.glob(root + '/**/mistakes.md*', recursive=True)",
        "wrong",
        0.0,
    ),
    Written(
        "imports the half that knows",
        "from course_lib.exercises import candidates\ncandidates.cases('x', 0)",
        "wrong",
        0.0,
    ),
    Written(
        "reads the frames above it",
        "import sys\n"
        "frame, right = sys._getframe(), None\n"
        "while frame:\n"
        "    for value in list(frame.f_locals.values()):\n"
        "        right = getattr(value, 'right', None) or right\n"
        "    frame = frame.f_back\n"
        "assert right",
        "wrong",
        0.0,
    ),
    Written(
        "writes the decisions into the frame above it",
        "import sys\n"
        "frame = sys._getframe()\n"
        "while frame:\n"
        "    found = frame.f_locals.get('found')\n"
        "    if isinstance(found, list):\n"
        "        found[:] = ['stopped by an assertion'] * len(found)\n"
        "    frame = frame.f_back\n"
        "raise AssertionError",
        "wrong",
        0.0,
    ),
    *(
        Written(
            f"sends {word!r} for every answer",
            "raise AssertionError",
            "wrong",
            0.0,
            before=f"from course_lib.exercises import trying_checks as t\nt._decided = lambda *_: {word!r}\n",
        )
        for word in _HOW
    ),
    Written(
        "patches what decides",
        "raise AssertionError",
        "wrong",
        0.0,
        before="from course_lib.exercises import trying_checks as t\n"
        "t._decided = lambda check, candidate, calls: t.Decision.ASSERTED\n",
    ),
    Written(
        "patches the words for decisions",
        "raise AssertionError",
        "wrong",
        0.0,
        before="from course_lib.exercises import trying_checks as t\nt.Decision.ASSERTED._value_ = 'passed'\n",
    ),
    Written(
        "sends a vector that is too long",
        "raise AssertionError",
        "wrong",
        0.0,
        before="from course_lib.exercises import trying_checks as t\n"
        "t.unpacked = lambda code, count: [(len, [])] * 999\n",
    ),
]

ALL = [*HONEST, *WITHOUT_BEHAVIOR, *CODE_READERS, *SHARED, *REACHING_OUT]
