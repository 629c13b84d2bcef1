"""Python code without its prose: what each name of a module is defined by, and which names a function binds."""

from __future__ import annotations

import ast
import dataclasses
import functools
from collections.abc import Iterable

Import = ast.Import | ast.ImportFrom


@dataclasses.dataclass
class Source:
    """A parsed module.

    Attributes:
        tree: all of it, without prose.
        is_package: whether it is the `__init__.py` of a folder.
        definitions: by name, the statements that define it or change its value, in order.
        stars: `from ... import *`.
        calls: calls at module level that change no value of the module's own, so they were made for their effect.
    """

    tree: ast.Module
    is_package: bool
    definitions: dict[str, list[ast.stmt]]
    stars: list[ast.ImportFrom]
    calls: list[ast.Expr]


@functools.lru_cache(maxsize=256)
def parsed(text: str, *, is_package: bool = False) -> Source:
    """The module of a text.

    Raises:
        SyntaxError: the text is not Python.
    """
    source = Source(_without_prose(ast.parse(text)), is_package, {}, [], [])
    _collect(source, source.tree.body)
    for name, statements in source.definitions.items():
        if any(isinstance(statement, Import) for statement in statements):
            # No module changes what it imports: `settings.configure_threads()` is not a part of what `settings` means.
            source.definitions[name] = [s for s in statements if not isinstance(s, ast.Expr)]
    changes = [statement for statements in source.definitions.values() for statement in statements]
    source.calls = [call for call in source.calls if call not in changes]
    return source


def _collect(source: Source, body: list[ast.stmt]) -> None:
    for statement in body:
        if isinstance(statement, ast.ImportFrom) and any(alias.name == "*" for alias in statement.names):
            source.stars.append(statement)
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            source.calls.append(statement)
        for name in defined_by(statement):
            source.definitions.setdefault(name, []).append(statement)
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for field in ("body", "orelse", "finalbody"):  # if, try, with and for at module level
            _collect(source, getattr(statement, field, []))
        for handler in getattr(statement, "handlers", []):
            _collect(source, handler.body)


def listed(source: Source) -> list[str]:
    """The names in `__all__`, where it is a plain list."""
    for statement in source.definitions.get("__all__", []):
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.List | ast.Tuple):
            return [str(item.value) for item in statement.value.elts if isinstance(item, ast.Constant)]
    return []


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


def bound_in(body: Iterable[ast.AST]) -> dict[str, list[Import]]:
    """The names that code binds in its own scope, with the statements that import them."""
    names: dict[str, list[Import]] = {}
    elsewhere: set[str] = set()
    waiting = list(body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.setdefault(node.name, [])
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            waiting += [inner for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)]
            continue
        if isinstance(node, Import):
            for name in defined_by(node):
                names.setdefault(name, []).append(node)
        elif isinstance(node, ast.arg):
            names.setdefault(node.arg, [])
        elif isinstance(node, ast.Global | ast.Nonlocal):
            elsewhere.update(node.names)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.setdefault(node.id, [])
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            names.setdefault(node.name, [])
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names.setdefault(node.rest, [])
        waiting += ast.iter_child_nodes(node)
    return {name: imports for name, imports in names.items() if name not in elsewhere}


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
