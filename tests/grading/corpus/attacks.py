"""Hostile and broken notebooks, each with the verdicts and scores it must get.

Where the attack stands in a cell of its own, both answers are right and must get full marks. Files and folders that are
odd as such are in `handed_in.py`.
"""

from __future__ import annotations

from class_notebooks import RIGHT_DOUBLE, answered, code
from corpus.beyond import BEYOND
from corpus.honest import HONEST
from corpus.kinds import RIGHT, TRIPLES, Kind, body
from corpus.thefts import THEFTS, VANDALS

LOOPS = [
    Kind("infinite loop", answered(body("while True: pass")), ("timeout", 0.0)),
    Kind(
        "loop that swallows everything, SIGXCPU too",
        answered(
            body(
                "import signal",
                "signal.signal(signal.SIGXCPU, signal.SIG_IGN)",
                "while True:",
                "    try:",
                "        while True: pass",
                "    except BaseException: pass",
            )
        ),
        ("timeout", 0.0),
    ),
    Kind(
        "a list that never says what it holds",
        answered(body("return L()", before="class L(list):\n    def __iter__(self):\n        while True: pass\n")),
        ("timeout", 0.0),
    ),
    Kind("loop in a cell of its own", answered(extra="while True: pass"), RIGHT),
    Kind("loop in the cell of an answer", answered(RIGHT_DOUBLE + "while True: pass"), ("timeout", 0.0), disputed=True),
]

BURN = "import time\nstart = time.process_time()\nwhile time.process_time() < start + 0.6: pass"
BURNING = answered()
BURNING["cells"][1:1] = [code(BURN, f"b{n}") for n in range(16)]
MANY_CELLS = Kind("many cells each just under the limit", BURNING, RIGHT)

# These wait rather than compute, so they are graded with little time on the clock.
WAITING = [
    Kind("sleep", answered(body("import time; time.sleep(10**6)")), ("timeout", 0.0)),
    Kind("SIGSTOP to self", answered(body("import os; os.kill(os.getpid(), 19)", "return 2 * x")), ("timeout", 0.0)),
    Kind("sleep in a cell", answered(extra="import time; time.sleep(10**6)"), RIGHT),
    Kind(
        "fork bomb",
        answered(
            body("while True:", "    try: os.fork()", "    except OSError: time.sleep(0.1)", before="import os, time\n")
        ),
        ("timeout", 0.0),
    ),
]

ENDINGS = [
    Kind("sys.exit in an answer", answered(body("import sys; sys.exit(0)")), ("error", 0.0)),
    Kind("sys.exit in a cell", answered(extra="import sys; sys.exit(1)"), RIGHT),
    Kind("os._exit in an answer", answered(body("import os; os._exit(0)")), ("crashed", 0.0)),
    Kind("os._exit in a cell", answered(extra="import os; os._exit(0)"), RIGHT),
    Kind("quit in a cell", answered(extra="quit"), RIGHT),
    Kind("SIGKILL to self", answered(body("import os; os.kill(os.getpid(), 9)")), ("crashed", 0.0)),
    Kind("SIGKILL to all", answered(body("import os; os.kill(-1, 9)")), ("crashed", 0.0)),
    Kind(
        "SIGKILL to the parent",
        answered(body("import os; os.kill(os.getppid(), 9)", "while True: pass")),
        ("crashed", 0.0),
    ),
    Kind("segfault", answered(body("import ctypes; ctypes.string_at(0)")), ("crashed", 0.0)),
    Kind("abort", answered(body("import os; os.abort()")), ("crashed", 0.0)),
    Kind("recursion", answered(body("return double(x)")), ("error", 0.0)),
    Kind(
        "recursion without a limit",
        answered(body("return list(map(double, [x]))[0]", before="import sys; sys.setrecursionlimit(10**9)\n")),
        ("crashed", 0.0),
    ),
    Kind("stop iteration as an error", answered(body("raise StopIteration")), ("error", 0.0)),
    Kind(
        "error that cannot be printed",
        answered(body("raise E", before="class E(Exception):\n    def __str__(self): raise self\n")),
        ("crashed", 0.0),
    ),
    Kind(
        "every channel closed",
        answered(body("import os; os.closerange(0, 4000)", "return 2 * x")),
        ("crashed", 0.0),
        disputed=True,
    ),
    Kind("breakpoint", answered(body("breakpoint()", "return 2 * x")), RIGHT),
    Kind("an error of 5 MB", answered(body("raise ValueError('E' * 5_000_000)")), ("error", 0.0)),
    Kind(
        "a tensor whose memory is gone",
        answered(body("y = 2 * x", "y.untyped_storage().resize_(0)", "return y")),
        ("crashed", 0.0),
    ),
    Kind("input", answered(body("return float(input()) * x")), ("error", 0.0)),
]

HOGS = [
    Kind("memory in one call", answered(body("return torch.empty(10**11)")), ("memory", 0.0)),
    Kind("memory, slowly", answered(body("hog = []", "while True: hog.append(bytes(4 * 10**7))")), ("memory", 0.0)),
    Kind("memory in a cell", answered(extra="hog = torch.ones(10**9)"), RIGHT),
    Kind(
        "disk filler",
        answered(
            extra="for i in range(20):\n  try:\n    open(f'{i}', 'wb').write(bytes(6 << 20))\n"
            "  except OSError as e: print('full', e.errno)"
        ),
        RIGHT,
    ),
    Kind("many files", answered(extra="for i in range(20000): open(f'{i}', 'w').close()"), RIGHT),
    Kind("200 MB of output in lines", answered(extra="for _ in range(200): print('x' * 1_000_000)"), RIGHT),
    Kind("200 MB of output in one line", answered(extra="print('x' * 200_000_000)"), RIGHT),
    Kind("40 MB of output in one line", answered(body("print('x' * 40_000_000)", "return 2 * x")), RIGHT),
    Kind(
        "memory that no process holds",
        answered(
            extra="import os\ntry:\n    for i in range(60): os.write(os.memfd_create('x'), bytes(7 << 20))\n"
            "except OSError as e: print(e.errno)"
        ),
        RIGHT,
    ),
    Kind("a huge tensor that costs nothing", answered(body("return torch.zeros(1).expand(10**12)")), ("memory", 0.0)),
    Kind("too large a value", answered(body("return torch.zeros(17_000_000)")), ("wrong", 0.0)),
    Kind("a value nested deep", answered(body("v = []", "for _ in range(50): v = [v]", "return v")), ("wrong", 0.0)),
    Kind("a value that contains itself", answered(body("v = []", "v.append(v)", "return v")), ("error", 0.0)),
]

LEFTOVERS = [
    Kind(
        "thread that never ends",
        answered(extra="import threading, time\nthreading.Thread(target=time.sleep, args=(9999,)).start()"),
        RIGHT,
    ),
    Kind(
        "thread in an answer",
        answered(
            body("import threading, time", "threading.Thread(target=time.sleep, args=(9999,)).start()", "return 2 * x")
        ),
        RIGHT,
    ),
    Kind(
        "detached process",
        answered(extra="import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(9999)"),
        RIGHT,
    ),
    Kind("fork left in a cell", answered(extra="import os\npid = os.fork()"), RIGHT),
    Kind(
        "another program in its place",
        answered(
            extra="import os, sys\nfor fd in range(3, 60):\n    try: os.set_inheritable(fd, True)\n"
            "    except OSError: pass\nos.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(1)'])"
        ),
        RIGHT,
    ),
    Kind(
        "ptrace of the parent",
        answered(body("import ctypes, os", "ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)", "return 2 * x")),
        RIGHT,
    ),
    Kind(
        "fork left in an answer",
        answered(body("if not forks: forks.append(os.fork())", "return 2 * x", before="import os\nforks = []\n")),
        RIGHT,
    ),
    Kind("exit handlers", answered(extra="import atexit, time\natexit.register(time.sleep, 9999)"), RIGHT),
]

LIES = [
    Kind(
        "equal to everything",
        answered(
            body(
                "return Yes()",
                before="class Yes:\n    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = lambda *a: True\n"
                "    shape = property(lambda s: s)\n    def __float__(self): return 0.0\n",
            )
        ),
        ("wrong", 0.0),
    ),
    Kind(
        "tensor that answers as it likes",
        answered(
            body(
                "return x.as_subclass(Liar)",
                before="class Liar(torch.Tensor):\n    @classmethod\n"
                "    def __torch_function__(cls, *a, **k): return True\n",
            )
        ),
        ("wrong", 0.0),
    ),
    Kind(
        "a str that lies",
        answered(body("return S('x')", before="class S(str):\n    __eq__ = lambda *a: True\n")),
        ("wrong", 0.0),
    ),
    Kind("NaN", answered(body("return x * float('nan')")), ("wrong", 0.0)),
    Kind("infinity", answered(body("return float('inf')")), ("wrong", 0.0)),
    Kind("a score as the answer", answered(body("return {'score': 3, 'points': 3}")), ("wrong", 0.0)),
    Kind(
        "patched comparisons",
        answered(
            TRIPLES,
            extra="import builtins, math\ntorch.allclose = torch.equal = torch.testing.assert_close = "
            "lambda *a, **k: True\nmath.isclose = lambda *a, **k: True\nbuiltins.all = lambda *a: True\n"
            "torch.Tensor.__eq__ = lambda *a: True\nimport numpy.testing\n"
            "numpy.testing.assert_allclose = lambda *a, **k: None",
        ),
        ("wrong", 0.0),
    ),
    Kind(
        "patched observe and cases",
        answered(
            TRIPLES,
            extra="from course_lib.exercises import exercises\n"
            "from course_lib.exercises.measures.double.exercise import exercise\n"
            "for e in [exercise, exercises()['double']]:\n"
            "    object.__setattr__(e, 'observe', lambda fn, case: {'doubled': True})\n"
            "    object.__setattr__(e, 'points', 1000)\n    object.__setattr__(e, 'cases', lambda seed: [])",
        ),
        ("wrong", 0.0),
        ("right", 2.0),
    ),
    Kind(
        "patched code of the judge",
        answered(
            TRIPLES,
            extra="from course_lib.exercises import contract\n"
            "contract.close.__code__ = (lambda *a, **k: True).__code__\n"
            "from course_lib.exercises import judging\n"
            "judging.judge_observations.__code__ = (lambda *a: 1).__code__",
        ),
        ("wrong", 0.0),
    ),
    Kind(
        "forged message of a cell",
        answered(
            TRIPLES,
            extra="import os, socket\nfrom course_lib.grading.inside import transport\nfor fd in range(3, 100):\n"
            "    try: transport.send(socket.socket(fileno=os.dup(fd)), {'score': 1000, 'verdict': 'right'})\n"
            "    except Exception: pass",
        ),
        ("wrong", 0.0),
    ),
    Kind(
        "forged reply of an exercise",
        answered(
            body(
                "import os, socket",
                "from course_lib.grading.inside import transport",
                "good = {'values': {'doubled': x * 2}, 'error': None, 'printed': '', 'score': 3}",
                "reply = {'defined': True, 'callable': True, 'observations': [good] * 3}",
                "for fd in range(3, 100):",
                "    try: transport.send(socket.socket(fileno=os.dup(fd)), reply)",
                "    except Exception: pass",
                "return 3 * x",
            )
        ),
        ("crashed", 0.0),
    ),
    Kind(
        "garbage on every channel",
        answered(
            body(
                "import os",
                "for fd in range(3, 100):",
                "    try: os.write(fd, b'A' * 1000)",
                "    except OSError: pass",
                "return 2 * x",
            )
        ),
        ("crashed", 0.0),
        disputed=True,
    ),
    Kind(
        "code transformers",
        answered(TRIPLES, extra="ip = get_ipython()\nip.input_transformers_cleanup.append(lambda lines: ['pass\\n'])"),
        ("error", 0.0),
        ("error", 0.0),
    ),
    Kind(
        "a transformer of syntax trees",
        answered(
            TRIPLES,
            extra="import ast\nclass T(ast.NodeTransformer):\n    def visit_Call(self, node):\n"
            "        return ast.Constant(3.0) if ast.unparse(node) == 'check.double(double)' else node\n"
            "get_ipython().ast_transformers.append(T())",
        ),
        ("wrong", 0.0),
    ),
    *(
        Kind(
            f"a check of its own that says {score}",
            answered(TRIPLES, extra=f"class check:\n    double = scale = staticmethod(lambda fn: {score})"),
            ("wrong", 0.0),
        )
        for score in ("2.0", "1000.0", "float('nan')", "float('inf')")
    ),
    Kind(
        "forged display of the score",
        answered(
            TRIPLES,
            extra="shown = get_ipython().display_formatter\n"
            "type(shown).format = lambda *a, **k: ({'text/plain': '2.0'}, {})",
        ),
        ("wrong", 0.0),
    ),
    Kind(
        "forged output of the check",
        answered(
            TRIPLES,
            extra="from IPython.display import publish_display_data\nimport course_lib.exercises.checking as c\n"
            "c.Checks._show = lambda *a: publish_display_data({'text/plain': '3.0'})",
        ),
        ("wrong", 0.0),
    ),
    Kind(
        "pickle that would run code",
        answered(body("return P()", before="class P:\n    def __reduce__(self): return (print, ('pwned',))\n")),
        ("wrong", 0.0),
    ),
    Kind(
        "outputs of the public cases",
        answered(
            body(
                "for known in answers:",
                "    if known.shape == x.shape: return known",
                before="from course_lib.exercises import exercise_named\n"
                "answers = [2 * c.inputs['x'] for c in exercise_named('double').cases(0)]\n",
            )
        ),
        ("wrong", 0.0),
    ),
    Kind(
        "other values in the second run",
        answered(body("calls.append(1)", "return (2 if len(calls) <= 4 else 3) * x", before="calls = []\n")),
        ("wrong", 0.0),
    ),
    Kind(
        "other values in the second run, by a file",
        answered(body("import os", "n = len(os.listdir())", "open(f'{n}', 'w').close()", "return (2 + n // 4) * x")),
        ("wrong", 0.0),
    ),
    Kind(
        "forged end of an exercise",
        answered(
            body(
                "import os, socket",
                "from course_lib.grading.inside import transport",
                "for fd in range(3, 100):",
                "    try: transport.send(socket.socket(fileno=os.dup(fd)), {'ended': {'signal': 0, 'status': 0}})",
                "    except Exception: pass",
                "return 2 * x",
            )
        ),
        ("crashed", 0.0),
        disputed=True,
    ),
    Kind("a batch of one only", answered(body("return 2 * x if len(x) == 1 else x")), ("wrong", 1.0)),
]

ALL = [*HONEST, *LOOPS, *ENDINGS, *HOGS, *LEFTOVERS, *LIES, *THEFTS, *VANDALS, *BEYOND]
