"""Real text without a download: the docstrings of installed libraries, in snippets, with their library as the label.

The files are parsed by `ast` and never imported. What they say depends on the installed versions, which `TextData`
holds and records note.

>>> data = load_docstrings(libraries=("networkx", "sqlalchemy"), files_per_library=3)
>>> data.class_names, len(data) == len(data.labels) == len(data.files)
(('networkx', 'sqlalchemy'), True)
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from course_lib import files as course_files
from course_lib.data.errors import DataNotFound, DataWarning
from course_lib.data.text.cleaning import cleaned, words_of
from course_lib.data.text.texts import TextData
from course_lib.data.torchvision_sets import download_folder

# Library as it is imported -> the distribution that it comes from. The course depends on all of them, some by others.
LIBRARIES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
    "torch": "torch",
    "sympy": "sympy",
    "networkx": "networkx",
    "sqlalchemy": "SQLAlchemy",
}


def load_docstrings(
    *,
    libraries: Sequence[str] = tuple(LIBRARIES),
    classes: str = "library",
    files_per_library: int | None = 150,
    length: int = 32,
    minimum: int = 12,
    hide_names: bool = True,
) -> TextData:
    """The docstrings of installed libraries, cut into snippets of `length` words.

    Examples, formulas, links and underlines are left out, a word written in CamelCase becomes several, all letters are
    lower case, and a snippet that occurs twice is taken once. The words are kept in the course's cache folder, under
    the installed versions, so the second call takes a second.

    Args:
        libraries: names as they are imported.
        classes: "library", or "subpackage": the first folder below the library, such as "stats" of scipy. Subpackages
            with fewer than 200 snippets are left out.
        files_per_library: at most so many, the first ones in the order of their path's SHA-256, which is the same on
            every machine; None takes all.
        length: words per snippet.
        minimum: the shortest snippet that is kept, in words.
        hide_names: put <library> in the place of the libraries' own names, such as "numpy" and "np".

    Warns:
        DataWarning: a library is not installed, or has no docstring that is long enough; there is one class less.

    Raises:
        DataNotFound: fewer than two classes are left.
        ValueError: an argument that is not one of the choices, or a number below 1.
    """
    if inner := [library for library in libraries if "." in library]:
        raise ValueError(f"libraries has {inner[0]!r}; give whole libraries, such as {inner[0].partition('.')[0]!r}.")
    if classes not in ("library", "subpackage"):
        raise ValueError(f"classes is {classes!r}; it must be 'library' or 'subpackage'.")
    for name, number in (("files_per_library", files_per_library), ("length", length), ("minimum", minimum)):
        if number is not None and number < 1:
            raise ValueError(f"{name} is {number}; it must be at least 1.")
    found: dict[str, str] = {}
    rows: list[tuple[str, str, tuple[str, ...]]] = []  # class, file, words
    seen: set[tuple[str, ...]] = set()
    for library in libraries:
        if (root := _place_of(library)) is None:
            warnings.warn(f"{library} is not installed, so its class is left out.", DataWarning, stacklevel=2)
            continue
        version, before = _version_of(library), len(rows)
        for file, text in _read(library, version, root, files_per_library):
            words = words_of(text, hide_names=hide_names)
            name = library if classes == "library" else file.partition("/")[0]
            for start in range(0, len(words), length):
                snippet = tuple(words[start : start + length])
                if len(snippet) >= minimum and snippet not in seen:
                    seen.add(snippet)
                    rows.append((name, f"{library}/{file}", snippet))
        if len(rows) > before:
            found[library] = version
        else:
            why = f"{library} has no docstring of at least {minimum} words that no other library has"
            warnings.warn(f"{why}, so its class is left out.", DataWarning, stacklevel=2)
    names = tuple(found)
    if classes == "subpackage":
        counts = Counter(name for name, *_ in rows if not name.endswith(".py"))
        names = tuple(sorted(name for name, count in counts.items() if count >= _SMALLEST_SUBPACKAGE))
        rows = [row for row in rows if row[0] in names]
    if len(names) < 2:
        raise DataNotFound(
            f"Docstrings of {', '.join(libraries)} give {len(names)} classes, and at least two are needed. Install "
            f"more of {', '.join(LIBRARIES.values())}; the course itself depends on all of them."
        )
    labels = torch.tensor([names.index(name) for name, *_ in rows], dtype=torch.int64)
    snippets, files = tuple(words for *_, words in rows), tuple(file for _, file, _ in rows)
    return TextData("docstrings", snippets, labels, files, names, found)


_SMALLEST_SUBPACKAGE = 200


# --- reading ---


def docstrings_in(source: bytes) -> Iterator[str]:
    """The docstrings of a module, its classes and its functions, in order; the source is parsed and not run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escapes in strings
            waiting: list[ast.AST] = [ast.parse(source)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two for deep nesting
        return
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            docstring := ast.get_docstring(node)
        ):
            yield docstring
        inner = getattr(node, "body", [])
        waiting += [child for child in reversed(inner) if isinstance(child, _OPENED)]


_OPENED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.If, ast.Try, ast.With)
_SKIPPED = {"tests", "test", "testing", "__pycache__", "_vendor", "externals", "_lib", "benchmarks"}
_FORMAT = 1  # of what lies in the cache


def _place_of(library: str) -> Path | None:
    """The folder of an installed library, or its file if it is a single one, found without importing it."""
    try:
        spec = importlib.util.find_spec(library)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.has_location or spec.origin is None:  # some of Python's own have no file
        return None
    return Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)


def _version_of(library: str) -> str:
    try:
        return importlib.metadata.version(LIBRARIES.get(library, library))
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _read(library: str, version: str, root: Path, limit: int | None) -> list[tuple[str, str]]:
    """File and cleaned docstring of each docstring of a library; from the cache, where it was read before."""
    cache: Path | None = None
    with contextlib.suppress(RuntimeError):  # no home folder
        name = re.sub(r"[^\w.-]", "_", f"{library}-{version}-{limit or 'all'}-{_FORMAT}")
        cache = download_folder() / "docstrings" / f"{name}.json"
    if cache is not None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            return [(str(file), str(text)) for file, text in json.loads(cache.read_text(encoding="utf-8"))]
    rows = [(file, text) for file, path in _chosen(root, limit) for text in _texts(path)]
    if cache is not None and version != "unknown":
        with contextlib.suppress(OSError):  # a folder that cannot be written to: read again next time
            course_files.replace(cache, json.dumps(rows))
    return rows


def _texts(path: Path) -> Iterator[str]:
    try:
        source = path.read_bytes()
    except OSError:
        return
    yield from map(cleaned, docstrings_in(source))


def _chosen(root: Path, limit: int | None) -> list[tuple[str, Path]]:
    if root.is_file():
        return [(root.name, root)]
    paths = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    kept = [
        file
        for file in paths
        if not set(file.split("/")[:-1]) & _SKIPPED and not file.rpartition("/")[2].startswith("test_")
    ]
    kept.sort(key=lambda file: hashlib.sha256(file.encode()).hexdigest())
    return [(file, paths[file]) for file in kept[:limit]]
