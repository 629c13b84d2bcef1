"""The catalogues of translations: what they lack, what has become stale, and where a translation does not fit.

English is extracted from the code: the contract and every exercise with its judge here. What the grader says is handed
in, since authoring does not know the grader. A catalogue is a gettext file,
course_lib/locale/LANGUAGE/LC_MESSAGES/course.po, that any editor of such files can open; `msgctxt` is the message id. A
sentence whose English has changed keeps its translation, marked fuzzy, and is shown in English until it has been
looked at.
"""

from __future__ import annotations

import io
import re
import string
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from course_lib import exercises as registry
from course_lib import files
from course_lib.authoring import skeletons
from course_lib.exercises import judging, messages

HEADER = r"""# Learning with Few Labels: what checks, cards and feedback say.
# `course messages` says what is missing or stale here; `course messages --write` adds it.
msgid ""
msgstr ""
"Project-Id-Version: learning-with-few-labels\n"
"Language: {language}\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=utf-8\n"
"Content-Transfer-Encoding: 8bit\n"

"""


@dataclass(frozen=True)
class Report:
    """How complete a catalogue is: ids of sentences; `faults` are (id, what is wrong with its translation)."""

    language: str
    count: int
    missing: tuple[str, ...]
    stale: tuple[str, ...]
    unknown: tuple[str, ...]
    faults: tuple[tuple[str, str], ...]

    @property
    def complete(self) -> bool:
        return not (self.missing or self.stale or self.faults)


def english(graders: Mapping[str, str] | None = None) -> dict[str, str]:
    """Every sentence that a learner or an instructor may be shown, by message id, in the order of the course.

    A skeleton that `course new` wrote is left out until its author has put a takeaway in place of the skeleton's.

    Args:
        graders: what the grader says, by message id.
    """
    found = {**messages.SENTENCES, **(graders or {})}
    skeleton = (skeletons.SKELETON / "exercise.py").read_text(encoding="utf-8")
    for exercise in registry.exercises().values():
        if exercise.takeaway not in skeleton:
            found |= judging.sentences_of(exercise, registry.judge_of(exercise))
    return found


def read(path: Path) -> Catalog:
    """A catalogue; an empty one where there is none yet.

    Raises:
        ValueError: the file is not a gettext catalogue.
    """
    if not path.is_file():
        return Catalog()
    try:
        return read_po(io.BytesIO(path.read_bytes()), abort_invalid=True)
    except Exception as error:  # Babel raises many kinds
        raise ValueError(f"{path} cannot be read as a gettext catalogue: {error}") from error


def examine(language: str, sentences: Mapping[str, str], *, path: Path | None = None) -> Report:
    """Holds the catalogue of a language against the English of today, as `english` gives it.

    Raises:
        ValueError: the catalogue cannot be read.
    """
    entries = {entry.context: entry for entry in read(path or messages.catalogue_file(language)) if entry.context}
    missing, stale, faults = [], [], []
    for message_id, sentence in sentences.items():
        entry = entries.get(message_id)
        if entry is None or not entry.string:
            missing.append(message_id)
        elif entry.id != sentence or entry.fuzzy:
            stale.append(message_id)
        else:
            faults += [(message_id, fault) for fault in faults_of(message_id, sentence, str(entry.string))]
    unknown = tuple(message_id for message_id in entries if message_id not in sentences)
    return Report(language, len(sentences), tuple(missing), tuple(stale), unknown, tuple(faults))


def faults_of(message_id: str, sentence: str, translation: str) -> list[str]:
    """What a translation must share with the English: its fields, its code, its formulas."""
    faults = []
    for what, of in (("fields", _fields), ("code in backticks", _code), ("formulas", _formulas)):
        theirs, ours = of(sentence), of(translation)
        if theirs != ours:
            lost, added = (", ".join(sorted((a - b).elements())) for a, b in ((theirs, ours), (ours, theirs)))
            faults.append(f"other {what}: lacks {lost or 'nothing'}; has besides {added or 'nothing'}")
    if message_id.endswith("hint.skeleton") and _without_comments(sentence) != _without_comments(translation):
        faults.append("other code: only the comments of a skeleton are translated")
    return faults


def _fields(text: str) -> Counter[str]:
    try:
        return Counter(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)
    except ValueError:  # a brace of its own: such a sentence is shown as it stands
        return Counter(["a brace that is not a field"])


def _code(text: str) -> Counter[str]:
    return Counter(text.split("`")[1::2]) + Counter({"an odd backtick": text.count("`") % 2})


def _formulas(text: str) -> Counter[str]:
    return Counter(re.findall(r"\$[^$]+\$", text))


def _without_comments(code: str) -> list[str]:
    return [line.partition("#")[0].rstrip() for line in code.splitlines()]


def write(language: str, sentences: Mapping[str, str], *, path: Path | None = None) -> Path:
    """Brings a catalogue up to date, or begins one: adds what is missing, marks what is stale as fuzzy.

    What no sentence of today asks for stays at the end, to be taken out by hand.

    Raises:
        ValueError: the catalogue cannot be read.
    """
    path = path or messages.catalogue_file(language)
    before = {entry.context: entry for entry in read(path) if entry.context}
    catalogue = Catalog()
    for message_id, sentence in sentences.items():
        entry = before.get(message_id)
        flags = set(entry.flags) if entry else set()
        if entry and entry.string and entry.id != sentence:
            flags.add("fuzzy")
        catalogue.add(sentence, entry.string if entry else "", flags=flags, context=message_id)
    for message_id, entry in before.items():
        if message_id not in sentences:
            catalogue.add(entry.id, entry.string, context=message_id)
    for entry in catalogue:
        entry.flags -= {"python-format", "python-brace-format"}  # Babel's guesses, which other tools may doubt
    stream = io.BytesIO()
    write_po(stream, catalogue, width=110, omit_header=True)
    files.replace(path, HEADER.format(language=language).encode() + stream.getvalue())
    return path
