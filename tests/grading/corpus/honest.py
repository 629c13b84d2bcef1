"""Honest notebooks, some of them unusual."""

from __future__ import annotations

from class_notebooks import RIGHT_DOUBLE, answered
from corpus.kinds import RIGHT, Kind, body

HONEST = [
    Kind("plain", answered(), RIGHT),
    Kind(
        "blank",
        answered("def double(x):\n    raise NotImplementedError('Exercise 97: double')", ""),
        ("not_attempted", 0.0),
        ("not_attempted", 0.0),
    ),
    Kind(
        "warns on stderr",
        answered(
            body(
                "import sys, warnings",
                "warnings.warn('careful')",
                "print('hm', file=sys.stderr)",
                "import os; os.write(2, b'raw')",
                "return 2 * x",
            )
        ),
        RIGHT,
    ),
    Kind("closed output", answered(extra="import sys, os\nsys.stdout.close()\nos.close(1)\nos.close(2)"), RIGHT),
    Kind(
        "magics and shell escapes",
        answered(
            extra="%matplotlib inline\n!ls\nimport matplotlib.pyplot as plt\nplt.plot([1]); plt.show()\n"
            "%config InlineBackend.figure_format = 'svg'"
        ),
        RIGHT,
    ),
    Kind(
        "rich output with a script",
        answered(extra="from IPython.display import HTML, display\ndisplay(HTML('<script>alert(1)</script>'))"),
        RIGHT,
    ),
    Kind("await at the top", answered(extra="import asyncio\nawait asyncio.sleep(0)\nfactor = 2"), RIGHT),
    Kind(
        "a helper in a cell of its own", answered(body("return helper(x)"), extra="def helper(x): return x + x"), RIGHT
    ),
    Kind("a helper defined below", answered(body("return helper(x)"), after="def helper(x): return x + x"), RIGHT),
    Kind("an error in a cell of its own", answered(extra="1 / 0"), RIGHT),
    Kind("a check inside the answer's cell", answered(RIGHT_DOUBLE + "check.double(double)"), RIGHT),
    Kind("syntax error", answered("def double(x) return x"), ("error", 0.0)),
    Kind("another name", answered("def doubled(x):\n    return 2 * x"), ("error", 0.0)),
    Kind("not a function", answered("double = 2"), ("wrong", 0.0)),
    Kind(
        "a class that is called",
        answered("class Double:\n    def __call__(self, x): return 2 * x\ndouble = Double()"),
        RIGHT,
    ),
    Kind(
        "gradients",
        answered(body("y = x.clone().requires_grad_()", "(y ** 2).sum().backward()", "return y.grad")),
        RIGHT,
    ),
    Kind("a compiled answer", answered("@torch.jit.script\ndef double(x):\n    return 2 * x\n"), RIGHT),
    Kind("its own source", answered(body("import inspect; inspect.getsource(double)", "return 2 * x")), RIGHT),
    Kind("another default type", answered(extra="torch.set_default_dtype(torch.float64)"), RIGHT),
    Kind("float64 inside", answered(body("return (x.double() * 2).float()")), RIGHT),
    Kind("an answer that spoils the next one", answered(body("globals()['scale'] = None", "return 2 * x")), RIGHT),
]
