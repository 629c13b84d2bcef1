"""A hash of a function's code and of all that it calls: how `records` knows that a number is out of date."""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def code_hash(function: Callable[..., Any], *, library: Path | None = None) -> str:
    """A hash of a function and of all that it calls, in its own module and in course_lib.

    Read from the source, not run: functions, classes and module-level constants are followed by name, through imports
    and module aliases (`data.load`, `from course_lib import training`), each once. Comments, docstrings, annotations
    and the words of raised errors do not count, nor what other libraries do (a record names their versions).

    Args:
        function: an experiment; a `functools.partial` or a closure counts with its values.
        library: the folder of the package course_lib (default: this one).

    Returns:
        16 hexadecimal digits.
    """
    sources = _Sources(library or Path(__file__).resolve().parents[1])
    bound: list[str] = []
    while True:
        if isinstance(function, functools.partial):
            bound.append(repr((function.args, sorted(function.keywords.items()))))
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = inspect.unwrap(function)
        else:
            break
    code = getattr(function, "__code__", None)
    if code is None:
        raise ValueError(
            f"{function!r} is not a Python function, so its code cannot be read; define the experiment by def."
        )
    for cell in getattr(function, "__closure__", None) or ():
        value = cell.cell_contents
        if isinstance(value, str | int | float | bool | tuple | type(None)):
            bound.append(repr(value))
    module = sources.by_path(Path(code.co_filename))
    sources.follow(module, function.__qualname__.split(".")[0], ())
    text = "\n".join([*bound, *(f"{place}: {sources.parts[place]}" for place in sorted(sources.parts))])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def text_hash(text: str, *, library: Path | None = None) -> str:
    """As `code_hash`, of the text of a program, such as the code cells of a notebook, and of all that it calls.

    Raises:
        SyntaxError: the text is not Python.
    """
    sources = _Sources(library or Path(__file__).resolve().parents[1])
    tree = _without_prose(ast.parse(text))
    program = _Source("", False, {}, [])
    sources._collect(program, tree.body)
    sources.follow_uses(program, tree)
    parts = [_canonical(tree.body), *(f"{place}: {sources.parts[place]}" for place in sorted(sources.parts))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@dataclasses.dataclass
class _Source:
    name: str  # dotted; "" for the experiment's own module
    is_package: bool
    definitions: dict[str, list[ast.stmt]]
    stars: list[str]


class _Sources:
    """Parsed modules, and the definitions reached so far: `parts` maps place -> canonical text."""

    def __init__(self, library: Path) -> None:
        self.library = library
        self.modules: dict[str, _Source] = {}
        self.parts: dict[str, str] = {}

    def by_path(self, path: Path) -> _Source:
        """A module given by its file: one of the library under its dotted name, any other under the name ""."""
        path = path.resolve()
        library = self.library.resolve()
        if path.is_relative_to(library):
            inner = path.relative_to(library).with_suffix("").parts
            return self.by_name(".".join(("course_lib", *(part for part in inner if part != "__init__"))))
        return self._parsed("", path)

    def file_of(self, name: str) -> Path | None:
        """The file of a module of the library, or None for any other module."""
        first, *inner = name.split(".")
        if first != "course_lib":
            return None
        base = self.library.joinpath(*inner)
        return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)

    def by_name(self, name: str) -> _Source:
        path = self.file_of(name)
        assert path is not None, name
        return self._parsed(name, path)

    def _parsed(self, name: str, path: Path) -> _Source:
        if name not in self.modules:
            tree = _without_prose(ast.parse(path.read_text(encoding="utf-8")))
            source = _Source(name, path.name == "__init__.py", {}, [])
            self._collect(source, tree.body)
            self.modules[name] = source
        return self.modules[name]

    def _collect(self, source: _Source, body: list[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, ast.ImportFrom) and any(alias.name == "*" for alias in statement.names):
                source.stars.append(_absolute(source, statement))
            for name in defined_by(statement):
                source.definitions.setdefault(name, []).append(statement)
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            for field in ("body", "orelse", "finalbody"):  # if, try, with and for at module level
                self._collect(source, getattr(statement, field, []))
            for handler in getattr(statement, "handlers", []):
                self._collect(source, handler.body)

    def follow(self, source: _Source, name: str, rest: tuple[str, ...]) -> bool:
        """Counts what `name` means in a module (`name.rest` where that is a module); False when it is not defined."""
        statements = [s for s in source.definitions.get(name, []) if not _fetches_submodule(source, s, name)]
        if not statements:
            for star in source.stars:
                if self.file_of(star) is not None and self.follow(self.by_name(star), name, rest):
                    return True
            return False
        for statement in statements:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                self.follow_import(source, statement, name, rest)
        code = [s for s in statements if not isinstance(s, ast.Import | ast.ImportFrom)]
        place = f"{source.name}:{name}"
        if code and place not in self.parts:
            self.parts[place] = " ".join(_canonical(s) for s in code)
            for statement in code:
                self.follow_uses(source, statement)
        return True

    def follow_uses(self, source: _Source, node: ast.AST) -> None:
        local_imports: dict[str, list[ast.Import | ast.ImportFrom]] = {}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import | ast.ImportFrom):
                for name in defined_by(inner):
                    local_imports.setdefault(name, []).append(inner)
        for chain in _chains(node):
            for statement in local_imports.get(chain[0], []):
                self.follow_import(source, statement, chain[0], chain[1:])
            # A local variable that shadows a name of the module is followed too: better stale once too often than once
            # too rarely.
            self.follow(source, chain[0], chain[1:])

    def follow_import(
        self, source: _Source, statement: ast.Import | ast.ImportFrom, name: str, rest: tuple[str, ...]
    ) -> None:
        for alias in statement.names:
            if isinstance(statement, ast.ImportFrom):
                if (alias.asname or alias.name) == name:
                    self.follow_module(_absolute(source, statement), (alias.name, *rest), as_name=name, source=source)
            elif alias.asname == name:
                self.follow_module(alias.name, rest, as_name=name, source=source)
            elif alias.asname is None and alias.name.split(".")[0] == name:
                self.follow_module(name, rest, as_name=name, source=source)

    def follow_module(self, module: str, rest: tuple[str, ...], *, as_name: str, source: _Source) -> None:
        """Counts `rest` of a module: a submodule, a definition, or, for the module itself, everything in it."""
        if self.file_of(module) is None:
            # Another library: which one hides behind the name counts, its code does not.
            used = module if not rest else f"{module}.{rest[0]}"
            self.parts[f"{source.name}:{as_name} -> {used}"] = ""
            return
        target = self.by_name(module)
        if not rest:
            place = f"{module}:*"
            if place not in self.parts:
                self.parts[place] = ""
                for name in list(target.definitions):
                    self.follow(target, name, ())
            return
        if self.follow(target, rest[0], rest[1:]):
            return
        if self.file_of(f"{module}.{rest[0]}") is not None:
            self.follow_module(f"{module}.{rest[0]}", rest[1:], as_name=as_name, source=source)
        else:
            self.follow(target, "__getattr__", ())


def _fetches_submodule(source: _Source, statement: ast.stmt, name: str) -> bool:
    """`from course_lib.data import augment` in course_lib/data/__init__.py: the name is the submodule."""
    return (
        isinstance(statement, ast.ImportFrom)
        and _absolute(source, statement) == source.name
        and any(alias.name == name and alias.asname in (None, name) for alias in statement.names)
    )


def _absolute(source: _Source, statement: ast.ImportFrom) -> str:
    if not statement.level:
        return statement.module or ""
    package = source.name.split(".")
    keep = len(package) - statement.level + (1 if source.is_package else 0)
    return ".".join([*package[: max(keep, 0)], *([statement.module] if statement.module else [])])


def defined_by(statement: ast.stmt) -> list[str]:
    """The names that a statement at module level defines, or (`TABLE["x"] = 1`, `TABLE.append(...)`) changes."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import):
        return [alias.asname or alias.name.split(".")[0] for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        return [alias.asname or alias.name for alias in statement.names if alias.name != "*"]
    if isinstance(statement, ast.Assign):
        return [name for target in statement.targets for name in _roots(target)]
    if isinstance(statement, ast.AnnAssign | ast.AugAssign):
        return _roots(statement.target)
    if isinstance(statement, ast.For):
        return [*_roots(statement.target), *(name for inner in statement.body for name in defined_by(inner))]
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _roots(statement.value.func) if isinstance(statement.value.func, ast.Attribute) else []
    return []


def _roots(target: ast.expr) -> list[str]:
    if isinstance(target, ast.Tuple | ast.List):
        return [name for item in target.elts for name in _roots(item)]
    while isinstance(target, ast.Attribute | ast.Subscript | ast.Starred):
        target = target.value
    return [target.id] if isinstance(target, ast.Name) else []


def _chains(node: ast.AST) -> Iterator[tuple[str, ...]]:
    """Every name used in a piece of code, with the attributes taken of it: `data.load(n)` is (data, load) and (n,)."""
    if isinstance(node, ast.Attribute):
        names: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            names.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            yield (inner.id, *reversed(names))
        else:
            yield from _chains(inner)
        return
    if isinstance(node, ast.Name):
        yield (node.id,)
        return
    for child in ast.iter_child_nodes(node):
        yield from _chains(child)


def _without_prose(tree: ast.Module) -> ast.Module:
    """The tree without docstrings, annotations and the words of raised errors: better prose makes no number stale."""

    class Cut(ast.NodeTransformer):
        def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                return None
            return self.generic_visit(node)

        def visit_arg(self, node: ast.arg) -> ast.AST:
            node.annotation = None
            return node

        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
            node.returns = None
            return self.generic_visit(node)

        def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
            node.returns = None
            return self.generic_visit(node)

        def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
            node.annotation = ast.Constant(value=None)
            return self.generic_visit(node)

        def visit_Raise(self, node: ast.Raise) -> ast.AST:
            for inner in ast.walk(node):
                if isinstance(inner, ast.JoinedStr):
                    inner.values = []
                elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    inner.value = ""
            return node

    return Cut().visit(tree)


def _canonical(node: Any) -> str:
    """A text of the syntax tree that is the same for every Python version of the course (`ast.dump` is not)."""
    if isinstance(node, ast.JoinedStr):
        merged: list[Any] = []  # how literal pieces of an f-string are split is up to the version
        for value in node.values:
            if isinstance(value, ast.Constant) and merged and isinstance(merged[-1], ast.Constant):
                merged[-1] = ast.Constant(value=str(merged[-1].value) + str(value.value))
            else:
                merged.append(value)
        return f"JoinedStr({','.join(_canonical(value) for value in merged)})"
    if isinstance(node, ast.AST):
        fields = (
            (name, value)
            for name, value in ast.iter_fields(node)
            if name not in ("ctx", "kind", "type_comment", "type_ignores") and value is not None and value != []
        )
        if isinstance(node, ast.Constant):
            return f"Constant({node.value!r})"
        return f"{type(node).__name__}({','.join(f'{name}={_canonical(value)}' for name, value in fields)})"
    if isinstance(node, list):
        return f"[{','.join(_canonical(item) for item in node)}]"
    return repr(node)
