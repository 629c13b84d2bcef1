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
import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from course_lib import files as course_files
from course_lib import settings
from course_lib.data.errors import DataNotFound, DataWarning
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
PAD, MASK, UNKNOWN = 0, 1, 2  # the first three entries of every vocabulary
SPECIAL = ("<pad>", "<mask>", "<unknown>")
NUMBER, NAME = "<number>", "<library>"  # words that stand for every number, and for every name of a library


@dataclasses.dataclass(frozen=True, eq=False)
class TextData:
    """A labeled set of short texts.

    Attributes:
        name: what results are recorded under, such as "docstrings".
        snippets: one tuple of lower-case words per text, N of them.
        labels: int64, (N,); indices into `class_names`.
        files: the file that each text comes from, such as "scipy/stats/_qmc.py".
        class_names: one name per class.
        versions: library -> the version that was read.
    """

    name: str
    snippets: tuple[tuple[str, ...], ...]
    labels: Tensor
    files: tuple[str, ...]
    class_names: tuple[str, ...]
    versions: dict[str, str]

    def __post_init__(self) -> None:
        if self.labels.dtype != torch.int64 or self.labels.shape != (len(self.snippets),):
            raise ValueError(
                f"labels must be int64 of shape ({len(self.snippets)},), one per text; "
                f"got {self.labels.dtype} of {tuple(self.labels.shape)}."
            )
        if len(self.files) != len(self.snippets):
            raise ValueError(f"there are {len(self.snippets)} texts but {len(self.files)} files; give one per text.")

    def __len__(self) -> int:
        return len(self.snippets)

    def __repr__(self) -> str:
        return (
            f"TextData({self.name!r}, {len(self):,} texts from {len(set(self.files)):,} files, "
            f"{len(self.class_names)} classes)"
        )

    @property
    def texts(self) -> list[str]:
        """Each text as one string, its words separated by blanks: what scikit-learn's vectorizers take."""
        return [" ".join(words) for words in self.snippets]

    def subset(self, positions: Tensor) -> TextData:
        """The texts at these int64 positions, with their labels and files."""
        chosen = positions.tolist()
        return dataclasses.replace(
            self,
            snippets=tuple(self.snippets[k] for k in chosen),
            labels=self.labels[positions],
            files=tuple(self.files[k] for k in chosen),
        )


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
        DataWarning: a library is not installed, so there is one class less.

    Raises:
        DataNotFound: fewer than two classes are left.
        ValueError: an argument that is not one of the choices, or a number below 1.
    """
    if classes not in ("library", "subpackage"):
        raise ValueError(f"classes is {classes!r}; it must be 'library' or 'subpackage'.")
    for name, number in (("files_per_library", files_per_library), ("length", length), ("minimum", minimum)):
        if number is not None and number < 1:
            raise ValueError(f"{name} is {number}; it must be at least 1.")
    found: dict[str, str] = {}
    rows: list[tuple[str, str, tuple[str, ...]]] = []  # class, file, words
    seen: set[tuple[str, ...]] = set()
    for library in libraries:
        if (root := _folder_of(library)) is None:
            warnings.warn(f"{library} is not installed, so its class is left out.", DataWarning, stacklevel=2)
            continue
        found[library] = _version_of(library)
        for file, text in _read(library, found[library], root, files_per_library):
            words = words_of(text, hide_names=hide_names)
            name = library if classes == "library" else file.partition("/")[0]
            for start in range(0, len(words), length):
                snippet = tuple(words[start : start + length])
                if len(snippet) >= minimum and snippet not in seen:
                    seen.add(snippet)
                    rows.append((name, f"{library}/{file}", snippet))
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


class Vocabulary:
    """The most frequent words of some texts, with a number each; 0, 1 and 2 are <pad>, <mask> and <unknown>.

    >>> vocabulary = Vocabulary([("a", "matrix", "a"), ("a", "graph")], size=5)
    >>> vocabulary.encode([("a", "graph", "matrix")], length=4)
    tensor([[3, 2, 4, 0]])

    Args:
        snippets: the texts whose words are counted: those for training.
        size: how many entries, the three special ones included.

    Attributes:
        words: the entries, in the order of their numbers.
    """

    def __init__(self, snippets: Iterable[Sequence[str]], *, size: int = 4_000) -> None:
        if size <= len(SPECIAL):
            raise ValueError(f"size is {size}; it must be above {len(SPECIAL)}, the number of special entries.")
        counts = Counter(word for words in snippets for word in words)
        self.words = (*SPECIAL, *(word for word, _ in counts.most_common(size - len(SPECIAL))))
        self._number = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def number(self, word: str) -> int:
        """The number of a word; that of <unknown> for one that is not in the vocabulary."""
        return self._number.get(word, UNKNOWN)

    def encode(self, snippets: Sequence[Sequence[str]], *, length: int = 32) -> Tensor:
        """Texts as numbers: int64 (N, length). A longer text is cut, and a shorter one ends with 0."""
        ids = torch.zeros(len(snippets), length, dtype=torch.int64)
        for row, words in enumerate(snippets):
            numbers = [self.number(word) for word in words[:length]]
            ids[row, : len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
        return ids

    def decode(self, ids: Tensor) -> str:
        """The words of one text (T,), without the padding."""
        return " ".join(self.words[number] for number in ids.tolist() if number != PAD)


class TextBatches:
    """Iterates over `(ids, labels)` in batches, or over `ids` when there are no labels; again and again.

    The order is drawn on the CPU, so CPU and GPU see the same batches.

    Args:
        ids: int64 (N, T), word numbers.
        labels: (N,) or None.
        batch_size: texts per batch; the last batch may be smaller.
        shuffle: draw a new order at each pass.
        generator: CPU generator for order and augmentation; None starts one from seed 0.
        augment: `augment(ids, generator=generator)`, such as `drop_words`; it is given a batch on the CPU.

    Raises:
        ValueError: shapes do not fit together, or there is nothing to iterate over.
    """

    def __init__(
        self,
        ids: Tensor,
        labels: Tensor | None = None,
        *,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        augment: Callable[..., Tensor] | None = None,
    ) -> None:
        if ids.dtype != torch.int64 or ids.ndim != 2:
            raise ValueError(f"ids must be int64 of shape (N, T); got {ids.dtype} of {tuple(ids.shape)}.")
        if labels is not None and len(labels) != len(ids):
            raise ValueError(f"there are {len(ids)} texts but {len(labels)} labels; give one label per text.")
        if batch_size < 1 or len(ids) == 0:
            raise ValueError(f"{len(ids)} texts make no batch of {batch_size}; give at least one of each.")
        self.ids, self.labels, self.batch_size, self.shuffle = ids.cpu(), labels, batch_size, shuffle
        self.generator = generator if generator is not None else torch.Generator().manual_seed(0)
        self.augment = augment

    def __len__(self) -> int:
        return -(-len(self.ids) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor | tuple[Tensor, Tensor]]:
        count, device = len(self.ids), settings.device()
        order = torch.randperm(count, generator=self.generator) if self.shuffle else torch.arange(count)
        for chosen in order.split(self.batch_size):
            ids = self.ids[chosen]
            if self.augment is not None:
                ids = self.augment(ids, generator=self.generator)
            ids = ids.to(device)
            yield ids if self.labels is None else (ids, self.labels[chosen].to(device))


def drop_words(ids: Tensor, *, generator: torch.Generator, share: float = 0.1) -> Tensor:
    """A copy of ids (N, T) in which each word is <mask> with probability `share`: augmentation for text."""
    dropped = torch.rand(ids.shape, generator=generator) < share
    return ids.masked_fill(dropped & (ids != PAD), MASK)


def neighbor_counts(ids: Tensor, size: int, *, window: int = 8) -> Tensor:
    """How often two words stand at most `window` places apart: float (size, size), symmetric.

    Special entries are not counted.

    Args:
        ids: int64 (N, T), word numbers below `size`.
    """
    counts = torch.zeros(size * size)
    for distance in range(1, min(window, ids.shape[1] - 1) + 1):
        left, right = ids[:, :-distance].flatten(), ids[:, distance:].flatten()
        both = (left >= len(SPECIAL)) & (right >= len(SPECIAL))
        pairs = left[both] * size + right[both]
        counts += torch.bincount(pairs, minlength=size * size)
    counts = counts.reshape(size, size)
    return counts + counts.T


# --- reading ---


def words_of(text: str, *, hide_names: bool = True) -> list[str]:
    """The lower-case words of a cleaned docstring.

    >>> words_of("NumPy's LinearModel, 3.5 times np.dot")
    ['<library>', 's', 'linear', 'model', '<number>', '<number>', 'times', '<library>', 'dot']
    """
    if hide_names:
        text = _NAMES.sub(" LIBRARYNAME ", text)
    found = []
    for word in re.findall(r"[A-Za-z]+|[0-9]+", _CAMEL.sub(" ", text)):
        if word[0].isdigit():
            found.append(NUMBER)
        elif word == "LIBRARYNAME" or (hide_names and _NAMES.fullmatch(word)):
            found.append(NAME)
        else:
            found.append(word.lower())
    return found


_OWN = (
    "numpy|np|scipy|sklearn|scikit[ -]?learn|scikit|matplotlib|mpl|plt|pyplot|pylab|torch|pytorch|libtorch|aten|sympy"
    "|sympify|isympy|networkx|nx|sqlalchemy|sqla"
)
_NAMES = re.compile(rf"(?i)(?<![a-z])(?:{_OWN})(?![a-z])")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ROLE = re.compile(r":[a-zA-Z:+_-]+:`~?\.?([^`<]*)(?:<[^`]*>)?`")
_NOT_WORDS = re.compile(r"\$[^$]*\$|:math:`[^`]*`|\\[a-zA-Z]+|https?://\S+")
_UNDERLINE = re.compile(r"[-=~^\"'*#+|\s]+")


def cleaned(docstring: str) -> str:
    """A docstring's prose: without examples and their output, underlines, directives, formulas and links."""
    lines, in_example = [], False
    for line in map(str.strip, docstring.split("\n")):
        if line.startswith((">>>", "...", ".. ", "http")):
            in_example = line.startswith((">>>", "..."))
        elif not line:
            in_example = False
        elif not in_example and not _UNDERLINE.fullmatch(line):
            lines.append(re.sub(r"^:(?:param|type)\s+", "", line))
    return _NOT_WORDS.sub(" ", _ROLE.sub(r"\1", "\n".join(lines)))


def docstrings_in(source: bytes) -> Iterator[str]:
    """The docstrings of a module, its classes and its functions, in order; the source is parsed and not run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escapes in strings
            waiting: list[ast.AST] = [ast.parse(source)]
    except (SyntaxError, ValueError, RecursionError):
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


def _folder_of(library: str) -> Path | None:
    """The folder of an installed library, found without importing it."""
    try:
        spec = importlib.util.find_spec(library)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin else None


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
    paths = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    kept = [
        file
        for file in paths
        if not set(file.split("/")[:-1]) & _SKIPPED and not file.rpartition("/")[2].startswith("test_")
    ]
    kept.sort(key=lambda file: hashlib.sha256(file.encode()).hexdigest())
    return [(file, paths[file]) for file in kept[:limit]]
