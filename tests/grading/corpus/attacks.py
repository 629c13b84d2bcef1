"""Hostile, broken and merely unusual notebooks, each with the verdicts and scores it must get.

Where the attack stands in a cell of its own, both answers are right and must get full marks. Files and folders that are
odd as such are in `handed_in.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from class_notebooks import RIGHT_DOUBLE, answered, code


class Kind(NamedTuple):
    """What is handed in, and what it must get.

    Attributes:
        notebook: as a dict, or the bytes of the file.
        double: verdict and score out of 3.
        scale: verdict and score out of 2.
        tampered: words that the report of what was changed holds; nothing must be reported where it is empty.
        place: fills the student's folder instead of writing the notebook to it.
        student: the folder's name, where that is what is odd.
        disputed: more points could be defended too: the values are right, the manner is not.
    """

    name: str
    notebook: Any
    double: tuple[str, float]
    scale: tuple[str, float] = ("right", 2.0)
    tampered: str = ""
    place: Callable[[Path], None] | None = None
    student: str = ""
    disputed: bool = False


RIGHT = ("right", 3.0)
TRIPLES = "def double(x):\n    return 3 * x\n"


def _body(*lines: str, before: str = "") -> str:
    return before + "def double(x):\n" + "".join(f"    {line}\n" for line in lines)


LOOPS = [
    Kind("infinite loop", answered(_body("while True: pass")), ("timeout", 0.0)),
    Kind(
        "loop that swallows everything, SIGXCPU too",
        answered(
            _body(
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
        answered(_body("return L()", before="class L(list):\n    def __iter__(self):\n        while True: pass\n")),
        ("timeout", 0.0),
    ),
    Kind("loop in a cell of its own", answered(extra="while True: pass"), RIGHT),
    Kind("loop in the cell of an answer", answered(RIGHT_DOUBLE + "while True: pass"), ("timeout", 0.0), disputed=True),
]

BURN = "import time\nstart = time.process_time()\nwhile time.process_time() < start + 0.6: pass"
BURNING = answered()
BURNING["cells"][1:1] = [code(BURN, f"b{n}") for n in range(16)]
MANY_CELLS = Kind("many cells each just under the limit", BURNING, ("timeout", 0.0), ("timeout", 0.0), disputed=True)

# These wait rather than compute, so they are graded with little time on the clock.
WAITING = [
    Kind("sleep", answered(_body("import time; time.sleep(10**6)")), ("timeout", 0.0)),
    Kind("SIGSTOP to self", answered(_body("import os; os.kill(os.getpid(), 19)", "return 2 * x")), ("timeout", 0.0)),
    Kind("sleep in a cell", answered(extra="import time; time.sleep(10**6)"), RIGHT),
    Kind(
        "fork bomb",
        answered(
            _body(
                "while True:", "    try: os.fork()", "    except OSError: time.sleep(0.1)", before="import os, time\n"
            )
        ),
        ("timeout", 0.0),
    ),
]

ENDINGS = [
    Kind("sys.exit in an answer", answered(_body("import sys; sys.exit(0)")), ("error", 0.0)),
    Kind("sys.exit in a cell", answered(extra="import sys; sys.exit(1)"), RIGHT),
    Kind("os._exit in an answer", answered(_body("import os; os._exit(0)")), ("crashed", 0.0)),
    Kind("os._exit in a cell", answered(extra="import os; os._exit(0)"), RIGHT),
    Kind("quit in a cell", answered(extra="quit"), RIGHT),
    Kind("SIGKILL to self", answered(_body("import os; os.kill(os.getpid(), 9)")), ("crashed", 0.0)),
    Kind("SIGKILL to all", answered(_body("import os; os.kill(-1, 9)")), ("crashed", 0.0)),
    Kind(
        "SIGKILL to the parent",
        answered(_body("import os; os.kill(os.getppid(), 9)", "while True: pass")),
        ("crashed", 0.0),
    ),
    Kind("segfault", answered(_body("import ctypes; ctypes.string_at(0)")), ("crashed", 0.0)),
    Kind("abort", answered(_body("import os; os.abort()")), ("crashed", 0.0)),
    Kind("recursion", answered(_body("return double(x)")), ("error", 0.0)),
    Kind(
        "recursion without a limit",
        answered(_body("return list(map(double, [x]))[0]", before="import sys; sys.setrecursionlimit(10**9)\n")),
        ("crashed", 0.0),
    ),
    Kind("stop iteration as an error", answered(_body("raise StopIteration")), ("error", 0.0)),
    Kind(
        "error that cannot be printed",
        answered(_body("raise E", before="class E(Exception):\n    def __str__(self): raise self\n")),
        ("crashed", 0.0),
    ),
    Kind(
        "every channel closed",
        answered(_body("import os; os.closerange(0, 4000)", "return 2 * x")),
        ("crashed", 0.0),
        disputed=True,
    ),
    Kind("breakpoint", answered(_body("breakpoint()", "return 2 * x")), RIGHT),
    Kind("an error of 5 MB", answered(_body("raise ValueError('E' * 5_000_000)")), ("error", 0.0)),
    Kind(
        "a tensor whose memory is gone",
        answered(_body("y = 2 * x", "y.untyped_storage().resize_(0)", "return y")),
        ("crashed", 0.0),
    ),
    Kind("input", answered(_body("return float(input()) * x")), ("error", 0.0)),
]

HOGS = [
    Kind("memory in one call", answered(_body("return torch.empty(10**11)")), ("memory", 0.0)),
    Kind("memory, slowly", answered(_body("hog = []", "while True: hog.append(bytes(4 * 10**7))")), ("memory", 0.0)),
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
    Kind("40 MB of output in one line", answered(_body("print('x' * 40_000_000)", "return 2 * x")), RIGHT),
    Kind(
        "memory that no process holds",
        answered(
            extra="import os\ntry:\n    for i in range(60): os.write(os.memfd_create('x'), bytes(7 << 20))\n"
            "except OSError as e: print(e.errno)"
        ),
        RIGHT,
    ),
    Kind("a huge tensor that costs nothing", answered(_body("return torch.zeros(1).expand(10**12)")), ("memory", 0.0)),
    Kind("too large a value", answered(_body("return torch.zeros(17_000_000)")), ("wrong", 0.0)),
    Kind("a value nested deep", answered(_body("v = []", "for _ in range(50): v = [v]", "return v")), ("wrong", 0.0)),
    Kind("a value that contains itself", answered(_body("v = []", "v.append(v)", "return v")), ("error", 0.0)),
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
            _body("import threading, time", "threading.Thread(target=time.sleep, args=(9999,)).start()", "return 2 * x")
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
        answered(_body("import ctypes, os", "ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)", "return 2 * x")),
        RIGHT,
    ),
    Kind(
        "fork left in an answer",
        answered(_body("if not forks: forks.append(os.fork())", "return 2 * x", before="import os\nforks = []\n")),
        RIGHT,
    ),
    Kind("exit handlers", answered(extra="import atexit, time\natexit.register(time.sleep, 9999)"), RIGHT),
]

LIES = [
    Kind(
        "equal to everything",
        answered(
            _body(
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
            _body(
                "return x.as_subclass(Liar)",
                before="class Liar(torch.Tensor):\n    @classmethod\n"
                "    def __torch_function__(cls, *a, **k): return True\n",
            )
        ),
        ("wrong", 0.0),
    ),
    Kind(
        "a str that lies",
        answered(_body("return S('x')", before="class S(str):\n    __eq__ = lambda *a: True\n")),
        ("wrong", 0.0),
    ),
    Kind("NaN", answered(_body("return x * float('nan')")), ("wrong", 0.0)),
    Kind("infinity", answered(_body("return float('inf')")), ("wrong", 0.0)),
    Kind("a score as the answer", answered(_body("return {'score': 3, 'points': 3}")), ("wrong", 0.0)),
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
            extra="from course_lib.exercises import measures as m\n"
            "for e in m.EXERCISES:\n    object.__setattr__(e, 'observe', lambda fn, case: {'doubled': True})\n"
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
            _body(
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
            _body(
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
        answered(_body("return P()", before="class P:\n    def __reduce__(self): return (print, ('pwned',))\n")),
        ("wrong", 0.0),
    ),
    Kind(
        "outputs of the public cases",
        answered(
            _body(
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
        answered(_body("calls.append(1)", "return (2 if len(calls) <= 3 else 3) * x", before="calls = []\n")),
        ("wrong", 0.0),
    ),
    Kind(
        "other values in the second run, by a file",
        answered(_body("import os", "n = len(os.listdir())", "open(f'{n}', 'w').close()", "return (2 + n // 3) * x")),
        ("wrong", 0.0),
    ),
    Kind(
        "forged end of an exercise",
        answered(
            _body(
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
    Kind("a batch of one only", answered(_body("return 2 * x if len(x) == 1 else x")), ("wrong", 1.0)),
]

# Runs the answer of whoever else handed something in, as stock nbgrader's folders lie, or under any folder there is.
STEAL = """
import glob, json
def theirs(x):
    for place in ("../../../submitted", "/course/class/submitted", "/scratch/..", "/tmp", "/home"):
        for path in glob.glob(place + "/*/97_measures/*.ipynb"):
            text = open(path).read()
            if "def theirs" in text:
                continue
            for cell in json.loads(text)["cells"]:
                if "def double" in "".join(cell["source"]):
                    names = {}
                    exec("".join(cell["source"]), names)
                    return names["double"](x)
    return x
"""
REWRITE = """
import glob, sqlite3
for path in glob.glob("../../../*.db"):
    try:
        with sqlite3.connect(path, timeout=3) as book:
            book.execute("UPDATE grade SET manual_score = 100, auto_score = 100")
    except sqlite3.Error as fault:
        print(fault)
"""
REWRITE_LATER = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    for _ in range(40):
        time.sleep(0.5)
        {REWRITE.strip().replace(chr(10), chr(10) + "        ")}
    os._exit(0)
"""

THEFTS = [
    Kind(
        "the judge imported",
        answered(_body("from course_lib.exercises.judges.measures import reference_of_double as f", "return f(x)")),
        ("error", 0.0),
    ),
    Kind(
        "the judge through the registry",
        answered(
            _body(
                "from course_lib.exercises import judge_of, exercise_named",
                "return judge_of(exercise_named('double')).reference(x)",
            )
        ),
        ("error", 0.0),
    ),
    Kind(
        "the library's own version",
        answered(scale="def scale(images):\n    from course_lib.data import as_float\n    return as_float(images)"),
        RIGHT,
        ("error", 0.0),
    ),
    Kind(
        "the library's own version, kept from before",
        answered(scale="from course_lib.data import as_float\ndef scale(images):\n    return as_float(images)"),
        RIGHT,
        ("error", 0.0),
    ),
]

THEFTS += [
    Kind(
        "the judge's file",
        answered(
            _body(
                "import glob, os, course_lib",
                "names = {}",
                "for path in glob.glob(os.path.dirname(course_lib.__file__) + '/exercises/judges/measures.py'):",
                "    exec(open(path).read(), names)",
                "return names.get('reference_of_' + 'double', abs)(x)",
            )
        ),
        ("wrong", 0.0),
    ),
    Kind(
        "the reference through gc",
        answered(
            _body(
                "import gc",
                "for o in gc.get_objects():",
                "    if type(o).__name__ == 'Judge' and 'double' in o.reference.__name__: return o.reference(x)",
                "return x",
            )
        ),
        ("wrong", 0.0),
    ),
    Kind(
        "the reference through frames",
        answered(
            _body(
                "import sys",
                "frame = sys._getframe()",
                "while frame:",
                "    for value in list(frame.f_locals.values()):",
                "        if type(value).__name__ == 'Judge': return value.reference(x)",
                "        if 'reference_of_' + 'double' in str(value)[:1000]: return x * 2",
                "    frame = frame.f_back",
                "return x",
            )
        ),
        ("wrong", 0.0),
    ),
    Kind(
        "the tests through the history",
        answered(
            _body(
                "shell = get_ipython()",
                "try: lines = [*shell.user_ns.get('In', []), *(r[2] for r in shell.history_manager.get_range())]",
                "except Exception: lines = []",
                "return 2 * x if any('reference_of' + '_double' in line for line in lines) else x",
            )
        ),
        ("wrong", 0.0),
    ),
    Kind("another student's file", answered(_body("return theirs(x)", before=STEAL)), ("wrong", 0.0)),
    Kind("the gradebook, written to", answered(TRIPLES, extra=REWRITE), ("wrong", 0.0)),
    Kind("the gradebook, written to later", answered(TRIPLES, extra=REWRITE_LATER), ("wrong", 0.0)),
]

VANDALS = [
    Kind(
        "rmtree of everything",
        answered(
            extra="import shutil, os\nfor p in ('/etc', '/usr/lib/python3', os.path.expanduser('~'), os.getcwd()):\n"
            "    shutil.rmtree(p, ignore_errors=True)"
        ),
        RIGHT,
    ),
    Kind("torch.py in the folder", answered(extra="open('torch.py', 'w').write('1/0')\nimport torch"), RIGHT),
    Kind(
        "modules of its own",
        answered(
            extra="open('sitecustomize.py', 'w').write('1/0')\nimport os\nos.makedirs('.ipython/profile_default/"
            "startup')\nopen('.ipython/profile_default/startup/x.py', 'w').write('1/0')"
        ),
        RIGHT,
    ),
    Kind(
        "network",
        answered(
            extra="import socket\ntry:\n    socket.create_connection(('1.1.1.1', 53), timeout=3); print('REACHED')"
            "\nexcept OSError as e: print('unreachable')"
        ),
        RIGHT,
    ),
    Kind(
        "threads of torch changed",
        answered(
            extra="torch.set_num_threads(8)\n"
            "(torch.ones(300, 300, requires_grad=True) @ torch.ones(300, 300)).sum().backward()"
        ),
        RIGHT,
    ),
]

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
            _body(
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
        "a helper in a cell of its own", answered(_body("return helper(x)"), extra="def helper(x): return x + x"), RIGHT
    ),
    Kind("a helper defined below", answered(_body("return helper(x)"), after="def helper(x): return x + x"), RIGHT),
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
        answered(_body("y = x.clone().requires_grad_()", "(y ** 2).sum().backward()", "return y.grad")),
        RIGHT,
    ),
    Kind("a compiled answer", answered("@torch.jit.script\ndef double(x):\n    return 2 * x\n"), RIGHT),
    Kind("its own source", answered(_body("import inspect; inspect.getsource(double)", "return 2 * x")), RIGHT),
    Kind("another default type", answered(extra="torch.set_default_dtype(torch.float64)"), RIGHT),
    Kind("float64 inside", answered(_body("return (x.double() * 2).float()")), RIGHT),
    Kind("an answer that spoils the next one", answered(_body("globals()['scale'] = None", "return 2 * x")), RIGHT),
]

ALL = [*HONEST, *LOOPS, *ENDINGS, *HOGS, *LEFTOVERS, *LIES, *THEFTS, *VANDALS]
