"""Notebooks that steal from others, or break what is not theirs."""

from __future__ import annotations

from class_notebooks import answered
from corpus.kinds import RIGHT, TRIPLES, Kind, body

# Runs the answer of any other student who handed something in, as stock nbgrader's folders lie, or under any folder
# there is.
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
        answered(body("from course_lib.exercises.measures.double import judge", "return judge.reference_of_double(x)")),
        ("error", 0.0),
    ),
    Kind(
        "the judge through the registry",
        answered(
            body(
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
            body(
                "import glob, os, course_lib",
                "names = {}",
                "for path in glob.glob(os.path.dirname(course_lib.__file__) + '/exercises/measures/double/judge.py'):",
                "    exec(open(path).read(), names)",
                "return names.get('reference_of_' + 'double', abs)(x)",
            )
        ),
        ("wrong", 0.0),
    ),
    Kind(
        "the reference through gc",
        answered(
            body(
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
            body(
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
            body(
                "shell = get_ipython()",
                "try: lines = [*shell.user_ns.get('In', []), *(r[2] for r in shell.history_manager.get_range())]",
                "except Exception: lines = []",
                "return 2 * x if any('reference_of' + '_double' in line for line in lines) else x",
            )
        ),
        ("wrong", 0.0),
    ),
    Kind("another student's file", answered(body("return theirs(x)", before=STEAL)), ("wrong", 0.0)),
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
