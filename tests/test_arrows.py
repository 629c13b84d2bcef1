"""The arrows between the wings of course_lib, drawn from its imports, all run one way.

notebooks -> library and exercises; desk -> authoring, grading -> exercises -> library. The lazy imports inside
functions count too: what a module knows is what it names.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "course_lib"

# Each wing, and the wings that it may import besides itself. What is in no wing below is the library.
MAY_IMPORT = {
    "library": (),
    "exercises": ("library",),
    "grading.inside": ("library", "exercises"),
    "grading.outside": ("library", "exercises", "grading.inside"),
    "grading": ("grading.outside",),
    "authoring": ("library", "exercises"),
    "serving": ("library", "exercises", "grading.inside", "grading.outside", "authoring"),
    "desk": ("library", "exercises", "grading.inside", "grading.outside", "authoring", "serving"),
}
# These parts of the library do not know, besides, that there are notebooks.
PLUMBING = ("data", "models", "training")
# What knows an answer, and is not at hand beside students' code; the judge of an exercise, wherever it stands, besides.
KNOWS_ANSWERS = ("exercises.judging", "exercises.answers", "grading.outside", "authoring")

# Arrows that still run back, each with what takes it out: (importing module, imported module).
STILL_WRONG: dict[tuple[str, str], str] = {}
# Modules of a wing that import each other while they are imported.
STILL_ROUND: dict[frozenset[str], str] = {}


@dataclass(frozen=True)
class Arrow:
    """One module that imports another; names are those under course_lib, "" for course_lib itself."""

    source: str
    target: str
    at_import: bool  # or only when a function runs, or a type is checked


def modules_in(package: Path) -> dict[str, Path]:
    found = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def arrows_in(package: Path) -> list[Arrow]:
    modules = modules_in(package)
    found = set()
    for name, path in modules.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node, at_import in _imports(tree):
            for target in _targets(node, name, path.name == "__init__.py", modules, package.name):
                if target != name:
                    found.add(Arrow(name, target, at_import))
    return sorted(found, key=lambda arrow: (arrow.source, arrow.target, arrow.at_import))


def _imports(node: ast.AST, at_import: bool = True) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, at_import
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _imports(child, False)
        else:
            later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, at_import and not later)


def _targets(
    node: ast.Import | ast.ImportFrom, name: str, is_package: bool, modules: dict[str, Path], package: str
) -> Iterable[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            first, _, rest = alias.name.partition(".")
            if first == package:
                yield rest
        return
    if node.level:
        above = name.split(".") if is_package else name.split(".")[:-1]
        base = ".".join([*above[: len(above) - node.level + 1], *([node.module] if node.module else [])])
    elif (node.module or "").split(".")[0] == package:
        base = (node.module or "").partition(".")[2]
    else:
        return
    for alias in node.names:
        inner = f"{base}.{alias.name}".lstrip(".")
        yield inner if inner in modules else base


def wing_of(module: str) -> str:
    if module == "__main__":
        return "desk"
    found = [wing for wing in MAY_IMPORT if wing != "library" and is_within(module, wing)]
    return max(found, key=len, default="library")


def is_within(module: str, folder: str) -> bool:
    return module == folder or module.startswith(f"{folder}.")


def knows_answers(module: str) -> bool:
    is_judge = is_within(module, "exercises") and module.endswith(".judge")
    return is_judge or any(is_within(module, part) for part in KNOWS_ANSWERS)


def backward(arrows: Iterable[Arrow]) -> set[tuple[str, str]]:
    """The arrows that the wings forbid."""
    found = set()
    for arrow in arrows:
        source, target = wing_of(arrow.source), wing_of(arrow.target)
        wrong = target != source and target not in MAY_IMPORT[source]
        if any(is_within(arrow.source, part) for part in PLUMBING):
            wrong |= arrow.target == "notebooks"
        if wrong:
            found.add((arrow.source, arrow.target))
    return found


def answers_within_reach(arrows: Iterable[Arrow]) -> set[tuple[str, str]]:
    """Modules that know an answer and come along when one of grading/inside/ runs, with the module that brings them."""
    later: dict[str, set[str]] = {}
    at_import: dict[str, set[str]] = {}
    for arrow in arrows:
        later.setdefault(arrow.source, set()).add(arrow.target)
        if arrow.at_import:
            at_import.setdefault(arrow.source, set()).add(arrow.target)
    found: set[tuple[str, str]] = set()
    inside = {module for module in later if wing_of(module) == "grading.inside"}
    # What stands inside may run all its functions; of what it imports, only what importing runs comes along for sure.
    waiting, seen = [(module, target) for module in inside for target in later[module]], set(inside)
    while waiting:
        source, target = waiting.pop()
        if knows_answers(target):
            found.add((source, target))
        elif target not in seen:
            seen.add(target)
            waiting += [(target, each) for each in at_import.get(target, ())]
    return found


def rounds(arrows: Iterable[Arrow]) -> set[frozenset[str]]:
    """Modules of one wing that cannot be imported one after the other."""
    graph: dict[str, set[str]] = {}
    for arrow in arrows:
        if arrow.at_import and wing_of(arrow.source) == wing_of(arrow.target):
            graph.setdefault(arrow.source, set()).add(arrow.target)
    found = set()
    while True:
        try:
            TopologicalSorter(graph).prepare()
            return found
        except CycleError as error:
            circle = error.args[1]
            found.add(frozenset(circle))
            for imported, importing in itertools.pairwise(circle):
                graph[importing].discard(imported)


# --- course_lib ---


@pytest.fixture(scope="module")
def arrows() -> list[Arrow]:
    return arrows_in(PACKAGE)


def test_every_arrow_between_the_wings_runs_forward(arrows):
    wrong = backward(arrows) | answers_within_reach(arrows)
    assert wrong - STILL_WRONG.keys() == set(), "these imports run against the arrows of the wings"
    assert STILL_WRONG.keys() - wrong == set(), "these run right now: take them out of STILL_WRONG"


def test_no_modules_of_a_wing_import_each_other(arrows):
    found = rounds(arrows)
    assert found - STILL_ROUND.keys() == set(), "these modules import each other while they are imported"
    assert STILL_ROUND.keys() - found == set(), "these no longer do: take them out of STILL_ROUND"


def test_notebooks_and_experiments_import_the_library_and_the_exercises():
    sources = list(PACKAGE.parent.glob("solutions/*/*.py"))
    assert sources
    for path in sources:
        imports = [node for node, _ in _imports(ast.parse(path.read_text(encoding="utf-8")))]
        targets = {t for node in imports for t in _targets(node, "notebook", False, modules_in(PACKAGE), PACKAGE.name)}
        assert {wing_of(target) for target in targets} <= {"library", "exercises"}, path


def test_every_wing_is_there_and_read(arrows):
    assert {wing_of(name) for name in modules_in(PACKAGE)} == set(MAY_IMPORT)
    assert len(arrows) > 100


# --- the test itself ---


def write(package: Path, **modules: str) -> list[Arrow]:
    for name, text in modules.items():
        path = package.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for folder in {path.parent for path in package.rglob("*.py")} | {package}:
        (folder / "__init__.py").touch()
    return arrows_in(package)


@pytest.mark.parametrize(
    ("module", "text", "target"),
    [
        ("exercises__check", "from course_lib.grading.outside import grade", "grading.outside.grade"),
        ("exercises__check", "def f():\n    import course_lib.authoring.release", "authoring.release"),
        ("authoring__site", "class A:\n    def f(self):\n        from ..desk import cli", "desk.cli"),
        ("grading__outside__demo", "from course_lib.authoring.release import build_unit", "authoring.release"),
        ("grading__inside__zygote", "from course_lib.exercises import judging", "exercises.judging"),
        ("grading__inside__zygote", "from course_lib.exercises import checking", "exercises.judging"),
        ("grading__inside__zygote", "from course_lib.exercises.tiny import judge", "exercises.tiny.judge"),
        ("data__glyphs", "from course_lib import notebooks", "notebooks"),
        ("training", "if TYPE_CHECKING:\n    from course_lib.exercises.contract import Case", "exercises.contract"),
        ("records", "from .authoring.code_hash import code_hash", "authoring.code_hash"),
    ],
)
def test_an_arrow_that_runs_back_is_found(tmp_path, module, text, target):
    names = (
        "exercises__judging", "exercises__contract", "exercises__tiny__judge", "grading__outside__grade",
        "authoring__release", "authoring__code_hash", "desk__cli", "notebooks",
    )  # fmt: skip
    there = dict.fromkeys(names, "") | {"exercises__checking": "from . import judging"}
    package = tmp_path / "course_lib"
    assert backward(write(package, **there)) == set()
    arrows = write(package, **{module: text})
    assert target in {found for _, found in backward(arrows) | answers_within_reach(arrows)}


def test_what_runs_forward_is_allowed(tmp_path):
    arrows = write(
        tmp_path / "course_lib",
        desk__cli="from course_lib.authoring import release\nfrom course_lib.grading.outside import grade",
        authoring__release="from course_lib import records\nfrom course_lib.exercises import contract",
        grading__outside__grade="from course_lib.grading.inside import sandbox\nfrom ...exercises import contract",
        grading__inside__sandbox="from course_lib.exercises.contract import Case",
        exercises__contract="from course_lib import records",
        records="import json",
    )
    assert len(arrows) == 8 and backward(arrows) == answers_within_reach(arrows) == rounds(arrows) == set()


def test_modules_that_import_each_other_are_found_unless_one_waits(tmp_path):
    package = tmp_path / "course_lib"
    assert (
        rounds(write(package, desk__a="from course_lib.desk import b", desk__b="def f():\n    from . import a"))
        == set()
    )
    found = rounds(write(package, desk__b="from course_lib.desk import c", desk__c="from course_lib.desk.a import f"))
    assert found == {frozenset({"desk.a", "desk.b", "desk.c"})}
