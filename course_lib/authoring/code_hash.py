"""The hash of an experiment's code and of all that it calls: it tells that a recorded number is out of date.

The text that is hashed is the experiment's own code, followed by that of every definition that it reaches. A name that
means something outside of a definition is replaced by what it means: a number, given in the order in which the code
mentions the definitions, or the full name of what another library offers. So the hash depends on what is called, but
neither on the file, module or name under which it stands, nor on how it was imported.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FunctionType
from typing import Any

from course_lib.authoring import parsing

PACKAGE = "course_lib"


def code_hash(function: Callable[..., Any], *, library: Path | None = None) -> str:
    """A hash of a function and of all that it calls, in its own module and in course_lib.

    Read from the source, not run: functions, classes and constants of a module are followed through imports, aliases
    and re-exports, each once. Comments, docstrings, annotations and the words of raised errors do not count, nor what
    other libraries do (a record names their versions).

    Args:
        function: an experiment; a `functools.partial` or a closure counts with its values.
        library: the folder of the package course_lib (default: this one).

    Returns:
        16 hexadecimal digits.

    Raises:
        ValueError: it is not written in Python.
    """
    reader = _Reader(library or Path(__file__).resolve().parents[1])
    values: list[str] = []
    waiting: list[Any] = [function]
    seen: list[Any] = []
    while waiting:
        current = waiting.pop(0)
        if any(current is other for other in seen):
            continue
        seen.append(current)
        if isinstance(current, functools.partial):
            held = [*current.args, *(value for _, value in sorted(current.keywords.items()))]
            values.append(repr((len(current.args), sorted(current.keywords))))
            values += [repr(value) for value in held if not _has_code(value)]
            waiting += [current.func, *filter(_has_code, held)]
        elif hasattr(current, "__wrapped__"):
            waiting.append(inspect.unwrap(current))
        elif not inspect.isfunction(current):
            raise ValueError(
                f"{current!r} is not a Python function, so its code cannot be read; define the experiment by def."
            )
        else:
            held = [cell.cell_contents for cell in current.__closure__ or ()]
            values += [
                repr(value) for value in held if isinstance(value, str | int | float | bool | tuple | type(None))
            ]
            waiting += filter(_has_code, held)
            values += _numbered(reader, current)
    return _digest([*values, *reader.texts()])


def _has_code(value: Any) -> bool:
    return inspect.isfunction(value) or isinstance(value, functools.partial) or hasattr(value, "__wrapped__")


def _numbered(reader: _Reader, function: FunctionType) -> list[str]:
    """Numbers the definition that a function stands in; returns what else of the experiment's file counts with it."""
    module = reader.module_at(Path(function.__code__.co_filename))
    name = function.__qualname__.split(".")[0]
    # A lambda has no name to be found by: its whole module counts.
    reader.number(_Definition(module, name) if reader.statements(module, name) else _Module(module))
    if module:
        return []
    # Such as `torch.use_deterministic_algorithms(True)` at the top of an experiment.
    return [_Printer(reader, module).text(call) for call in reader.source(module).calls]


def text_hash(text: str, *, library: Path | None = None) -> str:
    """As `code_hash`, of the text of a program, such as the code cells of a notebook, and of all that it calls.

    Raises:
        SyntaxError: the text is not Python.
    """
    reader = _Reader(library or Path(__file__).resolve().parents[1])
    program = reader.modules[""] = parsing.parsed(text)
    start = _Printer(reader, "").text(program.tree.body, (_Scope(parsing.bound_in(program.tree.body)),))
    return _digest([start, *reader.texts()])


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


# --- what a name means ---


@dataclasses.dataclass(frozen=True)
class _Definition:
    """A function, class or constant at the top of a module of the library, or of the experiment's own ("")."""

    module: str
    name: str


@dataclasses.dataclass(frozen=True)
class _Module:
    """A module of the library."""

    name: str


@dataclasses.dataclass(frozen=True)
class _Foreign:
    """Something of another library, by its full name: which one it is counts, its code does not."""

    name: str


_Meaning = _Definition | _Module | _Foreign


class _Reader:
    """Finds what names mean, and numbers the definitions in the order in which they are asked for."""

    def __init__(self, library: Path) -> None:
        self.library = library.resolve()
        self.modules: dict[str, parsing.Source] = {}
        self.numbers: dict[_Definition | _Module, int] = {}

    def number(self, meaning: _Definition | _Module) -> int:
        return self.numbers.setdefault(meaning, len(self.numbers))

    def texts(self) -> list[str]:
        """The texts of all numbered definitions, and of those that they mention, in the order of their numbers."""
        texts: list[str] = []
        while len(texts) < len(self.numbers):
            meaning = list(self.numbers)[len(texts)]
            texts.append(self._text_of(meaning))
        return texts

    def _text_of(self, meaning: _Definition | _Module) -> str:
        if isinstance(meaning, _Module):  # handed on as a value: everything in it
            source = self.source(meaning.name)
            names = parsing.listed(source) or [name for name in source.definitions if not name.startswith("_")]
            held = {name: self.meaning_in(meaning.name, name) for name in names}
            return " ".join(f"{k}={self.shown(v)}" for k, v in sorted(held.items()) if isinstance(v, _Definition))
        printer = _Printer(self, meaning.module)
        parts = []
        for statement in self.statements(meaning.module, meaning.name):
            if isinstance(statement, parsing.Import):
                parts.append(self.shown(self.imported(meaning.module, statement, meaning.name)))
            else:
                parts.append(printer.text(statement, (), top=True))
        return " ".join(parts)

    def shown(self, meaning: _Meaning | None) -> str:
        if isinstance(meaning, _Foreign):
            return meaning.name
        return "?" if meaning is None else f"@{self.number(meaning)}"

    # --- files ---

    def module_at(self, path: Path) -> str:
        """The name of the module in a file: dotted for one of the library, "" for the experiment's own."""
        path = path.resolve()
        if path.is_relative_to(self.library):
            inner = path.relative_to(self.library).with_suffix("").parts
            name = ".".join((PACKAGE, *(part for part in inner if part != "__init__")))
            self.source(name)
            return name
        self.modules[""] = parsing.parsed(path.read_text(encoding="utf-8"))
        return ""

    def file_of(self, module: str) -> Path | None:
        """The file of a module of the library, or None for any other module."""
        first, *inner = module.split(".")
        if first != PACKAGE:
            return None
        base = self.library.joinpath(*inner)
        return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)

    def source(self, module: str) -> parsing.Source:
        if module not in self.modules:
            path = self.file_of(module)
            assert path is not None, module
            self.modules[module] = parsing.parsed(
                path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py"
            )
        return self.modules[module]

    # --- names ---

    def statements(self, module: str, name: str) -> list[ast.stmt]:
        """What defines a name in a module, without imports of a package's own submodule under its name."""
        return [s for s in self.source(module).definitions.get(name, []) if not self._is_own_submodule(module, s, name)]

    def _is_own_submodule(self, module: str, statement: ast.stmt, name: str) -> bool:
        """`from course_lib.data import augment` in course_lib/data/__init__.py."""
        return (
            isinstance(statement, ast.ImportFrom)
            and self.absolute(module, statement) == module
            and any(alias.name == name and alias.asname in (None, name) for alias in statement.names)
        )

    def meaning_in(self, module: str, name: str, on_the_way: tuple[tuple[str, str], ...] = ()) -> _Meaning | None:
        """What a name means in a module of the library or in the experiment's; None when it is not defined there."""
        if (module, name) in on_the_way:  # two modules that import a name from each other
            return None
        on_the_way = (*on_the_way, (module, name))
        statements = self.statements(module, name)
        if statements:
            imports = [s for s in statements if isinstance(s, parsing.Import)]
            meanings = {self.imported(module, statement, name, on_the_way) for statement in imports}
            if len(imports) == len(statements) and len(meanings) == 1:
                return meanings.pop()
            return _Definition(module, name)
        if name in self.source(module).definitions and self.file_of(f"{module}.{name}") is not None:
            return _Module(f"{module}.{name}")
        origins = [self.absolute(module, star) for star in self.source(module).stars]
        found = (self.meaning_in(origin, name, on_the_way) for origin in origins if self.file_of(origin) is not None)
        return next((meaning for meaning in found if meaning is not None), None)

    def imported(
        self,
        module: str,
        statement: parsing.Import,
        name: str,
        on_the_way: tuple[tuple[str, str], ...] = (),
    ) -> _Meaning | None:
        """What an import statement in a module binds a name to."""
        meaning: _Meaning | None = None
        for alias in statement.names:
            if isinstance(statement, ast.ImportFrom):
                if (alias.asname or alias.name) == name:
                    meaning = self.attribute(self.whole(self.absolute(module, statement)), alias.name, on_the_way)
            elif (alias.asname or alias.name.split(".")[0]) == name:
                meaning = self.whole(alias.name if alias.asname else name)
        return meaning

    def whole(self, module: str) -> _Meaning:
        return _Foreign(module) if self.file_of(module) is None else _Module(module)

    def attribute(
        self, of: _Meaning | None, name: str, on_the_way: tuple[tuple[str, str], ...] = ()
    ) -> _Meaning | None:
        """What an attribute of a module means: a definition, a submodule, or None."""
        if isinstance(of, _Foreign):
            return _Foreign(f"{of.name}.{name}")
        if not isinstance(of, _Module):
            return None
        found = self.meaning_in(of.name, name, on_the_way)
        if found is None and self.file_of(f"{of.name}.{name}") is not None:
            return _Module(f"{of.name}.{name}")
        return found or (self.meaning_in(of.name, "__getattr__") if name != "__getattr__" else None)

    def absolute(self, module: str, statement: ast.ImportFrom) -> str:
        """The module that a `from ... import` names, relative ones included."""
        if not statement.level:
            return statement.module or ""
        package = module.split(".")
        keep = len(package) - statement.level + (1 if self.source(module).is_package else 0)
        return ".".join([*package[: max(keep, 0)], *([statement.module] if statement.module else [])])


# --- the text of a definition ---


@dataclasses.dataclass
class _Scope:
    """The names that a function, class or comprehension binds; with the statement where it is an import."""

    names: dict[str, list[parsing.Import]]
    is_class: bool = False  # its names are seen in its body, but not in the functions there


class _Printer:
    """Writes syntax trees of one module, with every name from outside replaced by what it means.

    The text is the same for every Python version of the course (that of `ast.dump` is not).
    """

    def __init__(self, reader: _Reader, module: str) -> None:
        self.reader = reader
        self.module = module

    def text(self, node: Any, scopes: tuple[_Scope, ...] = (), *, top: bool = False) -> str:
        """The text of a node; `top`: of one whose own name does not count, since it is known by its number."""
        if isinstance(node, list):  # an import counts by what is used of it
            items = [item for item in node if not isinstance(item, parsing.Import)]
            return f"[{','.join(self.text(item, scopes) for item in items)}]"
        if not isinstance(node, ast.AST):
            return repr(node)
        if isinstance(node, ast.Constant):
            return f"Constant({node.value!r})"
        if isinstance(node, ast.Name | ast.Attribute):
            return self.name(node, scopes)
        inner = self.scopes_of(node, scopes)
        parts = []
        for field, value in ast.iter_fields(node):
            if field in ("ctx", "kind", "type_comment", "type_ignores") or value is None or value == []:
                continue
            if field == "name" and top:
                continue
            if isinstance(node, ast.JoinedStr):
                value = _merged(value)
            within = inner if _is_inside(node, field) else scopes
            parts.append(f"{field}={self.text(value, within)}")
        return f"{type(node).__name__}({','.join(parts)})"

    def scopes_of(self, node: ast.AST, scopes: tuple[_Scope, ...]) -> tuple[_Scope, ...]:
        """The scopes inside of a node, innermost last."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            body = node.body if isinstance(node.body, list) else [node.body]
            return (*scopes, _Scope(parsing.bound_in([node.args, *body])))
        if isinstance(node, ast.ClassDef):
            return (*scopes, _Scope(parsing.bound_in(node.body), is_class=True))
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            return (*scopes, _Scope(parsing.bound_in([generator.target for generator in node.generators])))
        return scopes

    def name(self, node: ast.expr, scopes: tuple[_Scope, ...]) -> str:
        """A name with the attributes taken of it, such as `data.load`: what it means, and what is left of it."""
        attributes: list[str] = []
        root = node
        while isinstance(root, ast.Attribute):
            attributes.insert(0, root.attr)
            root = root.value
        if not isinstance(root, ast.Name):
            return ".".join([self.text(root, scopes), *attributes])
        return "|".join(
            ".".join(self.followed(meaning, root.id, attributes)) for meaning in self.meanings(root.id, scopes)
        )

    def followed(self, meaning: _Meaning | None, name: str, attributes: list[str]) -> list[str]:
        """A meaning, followed through its attributes as far as they name modules and definitions; then the rest."""
        if meaning is None:
            return [name, *attributes]
        while attributes and isinstance(meaning, _Module | _Foreign):
            found = self.reader.attribute(meaning, attributes[0])
            if found is None:
                return ["module", *attributes]  # such as __name__
            meaning, attributes = found, attributes[1:]
        return [self.reader.shown(meaning), *attributes]

    def meanings(self, name: str, scopes: tuple[_Scope, ...]) -> list[_Meaning | None]:
        """What a name can mean at a place; None for a local variable and for Python's own names."""
        for scope in reversed(scopes):
            if name in scope.names and not (scope.is_class and scope is not scopes[-1]):
                imports = scope.names[name]
                found = {self.reader.imported(self.module, statement, name): None for statement in imports}
                return list(found) or [None]
        return [self.reader.meaning_in(self.module, name)]


def _is_inside(node: ast.AST, field: str) -> bool:
    """Whether a field of a node is seen from inside of the scope that the node opens."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
        return field == "body"  # defaults, decorators and bases belong outside
    return True


def _merged(values: list[ast.expr]) -> list[ast.expr]:
    """The pieces of an f-string, neighboring texts as one: how they are split is up to the version of Python."""
    merged: list[ast.expr] = []
    for value in values:
        before = merged[-1] if merged else None
        if isinstance(value, ast.Constant) and isinstance(before, ast.Constant):
            merged[-1] = ast.Constant(value=str(before.value) + str(value.value))
        else:
            merged.append(value)
    return merged
