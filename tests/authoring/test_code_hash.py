"""The hash of an experiment's code: what may move without changing it, and what may not change without changing it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import course_lib
from course_lib.authoring import code_hash, recording

EXPERIMENT = '''
import numpy as np
from course_lib import data, settings
from course_lib.training import fit

RATE = 1

def experiment(*, seed):
    """What is recorded."""
    model = data.load("glyphs", size=2)
    settings.apply(seed)
    return fit(model, rate=RATE, weights=np.zeros(3))

def other():
    return 4
'''
LIBRARY = {
    "__init__.py": "",
    "settings.py": """
        LIMIT = 101
        def apply(value, limit=102):
            return step(value) if value < limit else LIMIT
        def step(value):
            return value + 103
        """,
    "data/__init__.py": """
        from course_lib.data import augment
        from course_lib.data.drawing import draw
        from .sets import *
        LOADERS = {}
        LOADERS["glyphs"] = draw
        def load(name, *, size):
            return LOADERS[name](size), augment.turn(named()), from_a_star()
        def named():
            return "unturned" + str(104)
        def unused():
            return 901
        """,
    "data/augment.py": """
        import math
        def turn(image):
            return image, math.pi, 105
        def mirror(image):
            return image, 902
        """,
    "data/drawing.py": """
        import functools
        @functools.lru_cache(maxsize=106)
        def draw(n):
            return again(n)
        def again(n):
            return draw(n - 107) if n else pen()
        def pen():
            try:
                from course_lib.training import INK as ink
            finally:
                pass
            return ink
        """,
    "data/sets.py": """
        def from_a_star():
            return 108
        """,
    "training.py": "",  # put together from the pieces below
    "plots.py": """
        def draw(n):
            return n + 905
        def step(image):
            return image + 118
        """,
}


INK = "INK = 109\n"
BASE = "class Base:\n    decay = 110\n"
LOOP = """class Loop(Base):
    length: int = 111
    def __init__(self, rate: float):
        self.rate = rate
    def run(self, model):
        total = [step(image) for image in model if image != 112]
        best = max(total, key=lambda value: value * 113)
        match best:
            case 114:
                return f"{best:>115}"
        return self.rate
"""
STEP = """def step(image):
    def inner(value=116):
        return value + WIDTH
    return inner(image)
WIDTH = 117
"""
FIT = """def fit(model, *, rate, weights=None):
    if rate < 0:
        raise ValueError(f"a rate of {rate} is below 903")
    return Loop(rate).run(model)
def unused():
    return 904
"""
LIBRARY["training.py"] = "from course_lib import settings\n" + INK + BASE + LOOP + STEP + FIT


def written(folder: Path, files: dict[str, str]) -> Path:
    """A library of the given files."""
    library = folder / "course_lib"
    shutil.rmtree(library, ignore_errors=True)
    for name, text in files.items():
        path = library / name
        path.parent.mkdir(exist_ok=True, parents=True)
        lines = text.strip("\n").split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        path.write_text("\n".join(line[indent:] for line in lines) + "\n", encoding="utf-8")
    return library


def function_at(path: Path, name: str) -> Callable[..., Any]:
    """Stands for a function of a file that need not run: the hash reads the file."""
    namespace: dict[str, Any] = {}
    exec(compile(f"def {name}(): pass", str(path), "exec"), namespace)
    return namespace[name]


@pytest.fixture
def hashed(tmp_path):
    """The hash of an experiment on a library; files can be replaced, and left out by None."""

    def hash_of(
        files: dict[str, str | None] | None = None, experiment: str = EXPERIMENT, name: str = "experiment"
    ) -> str:
        merged = LIBRARY | (files or {})
        library = written(tmp_path, {name: text for name, text in merged.items() if text is not None})
        (tmp_path / "experiment.py").write_text(experiment, encoding="utf-8")
        return code_hash.code_hash(function_at(tmp_path / "experiment.py", name), library=library)

    return hash_of


def changed(file: str, *edits: tuple[str, str]) -> dict[str, str | None]:
    """A file of the library with pieces replaced, each of which it must hold once."""
    text = LIBRARY[file]
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return {file: text}


def edited(*edits: tuple[str, str]) -> str:
    text = EXPERIMENT
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_every_constant_that_is_reached_counts_and_no_other(hashed):
    before = hashed()
    for file, text in LIBRARY.items():
        for number in re.findall(r"\b[19]\d\d\b", text):
            differs = hashed(changed(file, (number, "999"))) != before
            reached = number.startswith("1") and number != "118"
            assert differs == reached, f"{file}: {number}"


# --- moves ---

MOVES: dict[str, tuple[dict[str, str | None], str]] = {
    "a function moves to another module": (
        changed("settings.py", ("def step(value):\n            return value + 103", "from .tools import step"))
        | {"tools.py": "def step(value):\n    return value + 103"},
        EXPERIMENT,
    ),
    "a class moves to where other things have the names of its variables": (
        {
            "training.py": INK + BASE + STEP + "from course_lib.moved import Loop\n" + FIT,
            "moved.py": "from course_lib.training import Base, step\nfrom course_lib.plots import draw as total\n"
            "def best(): pass\ndef image(): pass\nvalue = self = 3\n" + LOOP,
        },
        EXPERIMENT,
    ),
    "a module gets another name": (
        {"training.py": None, "learning.py": LIBRARY["training.py"]}
        | changed("data/drawing.py", ("course_lib.training", "course_lib.learning")),
        edited(("course_lib.training", "course_lib.learning")),
    ),
    "a module becomes a package that offers the same names": (
        {
            "training.py": None,
            "training/__init__.py": "from course_lib.training.loop import Loop, fit\nfrom .constants import INK",
            "training/constants.py": INK,
            "training/loop.py": "from course_lib.training.parts.looping import Loop\n" + FIT,
            "training/parts/__init__.py": STEP,
            "training/parts/looping.py": "from . import step\nfrom .base import *\n" + LOOP,
            "training/parts/base.py": BASE,
        },
        EXPERIMENT,
    ),
    "the experiment imports from where a name is offered again": (
        {"__init__.py": "from course_lib.training import fit"},
        edited(("from course_lib.training import fit", "from course_lib import fit")),
    ),
    "an import under another name": (
        {},
        edited(("import fit", "import fit as train"), ("return fit(", "return train(")),
    ),
    "a module under another name": (
        {},
        edited(
            ("from course_lib.training import fit", "import course_lib.training as t"),
            ("return fit(", "return t.fit("),
            ("from course_lib import data, settings", "from course_lib import data as images\nimport course_lib"),
            ("data.load", "images.load"),
            ("    settings.apply", "    course_lib.settings.apply"),
        ),
    ),
    "an import inside of the function": (
        {},
        edited(
            ("from course_lib.training import fit\n", ""),
            ("    model =", "    from course_lib.training import fit\n    model ="),
        ),
    ),
    "another library's function, imported in another way": (
        changed("data/augment.py", ("import math", "from math import pi"), ("math.pi", "pi")),
        edited(("import numpy as np", "from numpy import zeros as z"), ("np.zeros", "z")),
    ),
    "a relative import": (changed("data/__init__.py", ("from course_lib.data.drawing", "from .drawing")), EXPERIMENT),
    "a helper gets another name": (
        changed("settings.py", ("return step(value)", "return advance(value)"), ("def step", "def advance")),
        EXPERIMENT,
    ),
    "a table gets another name": (
        {"data/__init__.py": LIBRARY["data/__init__.py"].replace("LOADERS", "READERS")},
        EXPERIMENT,
    ),
    "other order in a file": ({"training.py": FIT + STEP + LOOP + BASE + INK}, EXPERIMENT),
    "a module does something when it is imported": (
        changed("training.py", ("INK = 109", "INK = 109\nsettings.apply(1)")),
        EXPERIMENT,
    ),
}  # fmt: skip


@pytest.mark.parametrize("move", MOVES)
def test_a_move_changes_nothing(hashed, move):
    files, experiment = MOVES[move]
    assert (hashed(files, experiment)) == hashed()


@pytest.mark.parametrize(
    ("files", "experiment"),
    [
        (changed("training.py", ("class Loop(Base):", 'class Loop(Base):\n    """Trains."""')), EXPERIMENT),
        (changed("training.py", ("    if rate < 0", '    """Trains."""\n    # why\n    if rate < 0')), EXPERIMENT),
        (changed("training.py", ("is below 903", "must not be negative")), EXPERIMENT),
        (changed("training.py", ("length: int", "length: float"), ("rate: float", "rate")), EXPERIMENT),
        ({}, edited(("What is recorded.", "In other words."))),
        ({}, edited(("return 4", "return 5"))),
        ({}, edited(("RATE = 1", "RATE = 1  # per step\nUNUSED = 3"))),
    ],
)  # fmt: skip
def test_prose_and_what_is_not_called_change_nothing(hashed, files, experiment):
    assert hashed(files, experiment) == hashed()


# --- changes ---

CHANGES: dict[str, tuple[dict[str, str | None], str]] = {
    "a function of the same name, of another module": (
        changed("training.py", ("from course_lib import settings", "from course_lib.plots import step"),
                ("def step(image)", "def own_step(image)")),
        EXPERIMENT,
    ),
    "the experiment's code": ({}, edited(("size=2", "size=3"))),
    "a constant of the experiment": ({}, edited(("RATE = 1", "RATE = 2"))),
    "a constant taken out of use": ({}, edited(("rate=RATE", "rate=1"))),
    "what another library is asked for": ({}, edited(("np.zeros", "np.ones"))),
    "another library under the same name": ({}, edited(("import numpy as np", "import math as np"))),
    "another module under the same name": ({}, edited(("import data, settings", "import data, plots as settings"))),
    "an entry of a table": (changed("data/__init__.py", ('["glyphs"] = draw', '["glyphs"] = 3')), EXPERIMENT),
    "a default": (changed("training.py", ("weights=None", "weights=0")), EXPERIMENT),
    "a decorator": (changed("data/drawing.py", ("@functools.lru_cache(maxsize=106)", "@functools.cache")), EXPERIMENT),
    "a base class": (changed("training.py", ("class Loop(Base)", "class Loop")), EXPERIMENT),
    "the name of an argument": (
        changed("settings.py", ("value, limit=102", "value, most=102"), ("value < limit", "value < most")),
        EXPERIMENT,
    ),
    "the name of an attribute": (changed("training.py", ("decay = 110", "weight_decay = 110")), EXPERIMENT),
    "a call when the experiment's file is read": ({}, edited(("RATE = 1", "RATE = 1\nnp.random.seed(0)"))),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(hashed, change):
    files, experiment = CHANGES[change]
    assert hashed(files, experiment) != hashed()


TWICE = """
from course_lib import first, second

def experiment():
    return first.step(1), second.step(2)
"""


def test_functions_of_the_same_name_from_two_modules_count_both(hashed):
    files = {"first.py": "def step(n):\n    return n + 1", "second.py": "def step(n):\n    return n + 2"}
    before = hashed(files, TWICE)
    assert hashed(files | {"first.py": "def step(n):\n    return n + 3"}, TWICE) != before
    assert hashed(files | {"second.py": "def step(n):\n    return n + 3"}, TWICE) != before
    exchanged = {"first.py": files["second.py"], "second.py": files["first.py"]}
    assert hashed(exchanged, TWICE) != before
    assert hashed(exchanged, TWICE.replace("first, second", "second as first, first as second")) == before


def test_a_module_handed_on_as_a_value_counts_with_all_that_it_offers(hashed):
    experiment = (
        "from course_lib import zoo\ndef experiment():\n    return run(zoo)\ndef run(module):\n    return module"
    )
    zoo = {"zoo.py": "def encoder():\n    return _width()\ndef _width():\n    return 1\ndef decoder():\n    return 2"}
    before = hashed(zoo, experiment)
    assert hashed({"zoo.py": zoo["zoo.py"].replace("1", "3")}, experiment) != before
    assert hashed({"zoo.py": zoo["zoo.py"].replace("2", "3")}, experiment) != before
    split = {
        "zoo/__init__.py": "from .parts import decoder, encoder",
        "zoo/parts.py": zoo["zoo.py"],
    }
    assert hashed(split, experiment) == before


def test_modules_that_import_from_each_other_are_read_once(hashed):
    files = {"first.py": "from course_lib.second import step", "second.py": "from course_lib.first import step"}
    assert hashed(files, TWICE) == hashed(files, TWICE)


def test_a_name_that_several_imports_may_bind_counts_with_each(hashed):
    experiment = (
        "try:\n    from course_lib.first import step\nexcept ImportError:\n    from course_lib.second import step\n"
        "def experiment():\n    return step()"
    )
    files = {"first.py": "def step():\n    return 1", "second.py": "def step():\n    return 2"}
    before = hashed(files, experiment)
    for file in files:
        assert hashed(files | {file: "def step():\n    return 3"}, experiment) != before


# --- what an experiment can be ---


def test_partials_and_closures_count_with_their_values_and_functions(tmp_path, monkeypatch):
    unit = tmp_path / "solutions" / "00_trial"
    unit.mkdir(parents=True)
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    text = """
import functools
def make(rate, step=None):
    def run(*, dataset, profile, seed):
        return {"rate": rate, "step": step}
    return run
def run(scale, step=None, *, dataset, profile, seed):
    return {"rate": scale}
def double(x):
    return 2 * x
def triple(x):
    return 3 * x
@functools.cache
def cached(x):
    return 4 * x
EXPERIMENTS = {
    "a": make(1.0), "b": make(2.0), "c": make(1.0, double), "d": make(1.0, triple), "e": make(1.0, cached),
    "f": functools.partial(run, 1.0), "g": functools.partial(run, 2.0), "h": functools.partial(run, 1.0, double),
    "i": functools.partial(run, 1.0, triple), "j": functools.partial(run, 1.0, step=triple), "k": cached,
}
"""
    (unit / "experiment.py").write_text(text)

    def hashes() -> dict[str, str]:
        experiments = recording.load_experiments("00_trial").EXPERIMENTS
        return {name: code_hash.code_hash(function) for name, function in experiments.items()}

    before = hashes()
    assert len(set(before.values())) == len(before) == 11
    assert hashes() == before
    (unit / "experiment.py").write_text(text.replace("2 * x", "5 * x"))
    assert {name for name, value in hashes().items() if value != before[name]} == {"c", "h"}


def test_a_lambda_counts_with_all_of_its_file(tmp_path):
    path = tmp_path / "experiment.py"

    def hash_of(text: str) -> str:
        path.write_text(text)
        namespace: dict[str, Any] = {}
        exec(compile(text, str(path), "exec"), namespace)
        return code_hash.code_hash(namespace["EXPERIMENTS"]["a"])

    text = "EXPERIMENTS = {'a': lambda **_: {'loss': 1.0}}"
    assert hash_of(text) != hash_of(text.replace("1.0", "2.0"))


def test_what_is_not_a_python_function_cannot_be_hashed():
    with pytest.raises(ValueError, match="define the experiment by def"):
        code_hash.code_hash(len)


# --- the hash of a program ---


def test_the_hash_of_a_text_follows_what_it_calls_and_not_its_comments(tmp_path):
    def hash_of(text: str, helper: str = "def used(x):\n    return x + 1\n\n\ndef other(x):\n    return x\n") -> str:
        library = written(tmp_path, {"__init__.py": "", "helper.py": helper})
        return code_hash.text_hash(text, library=library)

    text = "from course_lib import helper\ndef twice(x):\n    return 2 * helper.used(x)\nprint(twice(1))"
    before = hash_of(text)
    assert hash_of(f"# a comment\n{text}") == before
    assert hash_of(text.replace("twice(1)", "twice(2)")) != before
    assert hash_of(text.replace("2 * helper", "3 * helper")) != before
    assert hash_of(text, "def used(x):\n    return x + 1\n\n\ndef other(x):\n    return -x\n") == before
    assert hash_of(text, "def used(x):\n    return x + 2\n\n\ndef other(x):\n    return x\n") != before
    moved = text.replace("import helper", "import tools as helper")
    library = written(tmp_path, {"__init__.py": "", "tools.py": "def used(x):\n    return x + 1\n"})
    assert code_hash.text_hash(moved, library=library) == before


# --- the course's own experiments ---


def test_the_modules_of_this_library_can_be_renamed_without_a_record_going_stale(tmp_path):
    """The whole library in a copy, its modules under other names; the experiments import from there."""
    names = {"data": "images", "training": "learning", "models": "networks", "evaluation": "measures"}
    root = Path(course_lib.__file__).parents[1]
    unit = "00_first_steps"
    shutil.copytree(root / "course_lib", tmp_path / "course_lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "solutions" / unit, tmp_path / "solutions")

    def hash_of(name: str) -> str:
        function = function_at(tmp_path / "solutions" / "experiment.py", name)
        return code_hash.code_hash(function, library=tmp_path / "course_lib")

    experiments = recording.load_experiments(unit).EXPERIMENTS
    before = {name: hash_of(function.__qualname__) for name, function in experiments.items()}
    assert before == {name: code_hash.code_hash(function) for name, function in experiments.items()}
    for path in [*(tmp_path / "course_lib").rglob("*.py"), tmp_path / "solutions" / "experiment.py"]:
        text = path.read_text(encoding="utf-8")
        for old, new in names.items():
            text = re.sub(rf"^(\s*(?:from|import) course_lib\.){old}\b", rf"\g<1>{new}", text, flags=re.MULTILINE)
        path.write_text(text, encoding="utf-8")
    for old, new in names.items():
        for path in (tmp_path / "course_lib" / old, tmp_path / "course_lib" / f"{old}.py"):
            if path.exists():
                path.rename(path.with_name(path.name.replace(old, new)))
    assert {name: hash_of(function.__qualname__) for name, function in experiments.items()} == before
