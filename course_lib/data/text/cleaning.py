"""The words of a docstring: what is left of it without code, formulas and links, in lower case."""

from __future__ import annotations

import re

NUMBER, NAME = "<number>", "<library>"  # words that stand for every number, and for every name of a library


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
