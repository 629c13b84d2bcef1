"""The part of the corpus that is odd as a file, as a notebook that was edited, or as a folder."""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from class_notebooks import UNIT, answered, as_bytes, cell_of, code
from corpus import attacks
from corpus.attacks import MANY_CELLS, WAITING
from corpus.kinds import RIGHT, TRIPLES, Kind

NAME = f"{UNIT}.ipynb"
NEIGHBOR = "zed"  # an honest student of the same class
MALFORMED = ("malformed", 0.0)

# --- files ----------------------------------------------------------------------------------------------------------

# What cannot be read, with words of the reason that is given.
UNREADABLE = {
    "empty file": (b"", "empty"),
    "a list": (b"[]", "not a notebook"),
    "null": (b"null", "not a notebook"),
    "no format": (b"{}", "format None"),
    "not UTF-8": (b"\xff\xfe\x00broken", "not UTF-8"),
    "half a file": (b'{"nbformat": 4', "not valid JSON"),
    "a format of the future": (b'{"nbformat": 5, "cells": []}', "format 5"),
    "no cells": (b'{"nbformat": 4}', "no list of cells"),
    "a cell that is a number": (b'{"nbformat": 4, "cells": [1]}', "not a cell"),
    "a source that is a number": (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": 7}]}', "no text"),
    "JSON nested deep": (b'{"nbformat": 4, "cells": ' + b"[" * 200_000, "nested too deep"),
    "a number of 5,000 digits": (b'{"nbformat": ' + b"9" * 5_000 + b"}", "not valid JSON"),
}


def _format_3() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return json.dumps(nbformat.convert(nbformat.from_dict(answered()), 3)).encode()


FILES = [
    *(Kind(name, data, MALFORMED, MALFORMED) for name, (data, _) in UNREADABLE.items()),
    Kind("a byte order mark", b"\xef\xbb\xbf" + as_bytes(answered()), RIGHT),
    Kind("notebook format 3", _format_3(), RIGHT),
]


# --- edited notebooks -----------------------------------------------------------------------------------------------


def edited(change: Callable[[dict[str, Any]], Any], **answers: Any) -> dict[str, Any]:
    """A notebook with both answers right, then changed in place."""
    notebook = answered(**answers)
    change(notebook)
    return notebook


def _of_check(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda n: cell_of(n, "check_double")["metadata"]["nbgrader"].__setitem__(key, value)


def _schema_of_the_future(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        if "nbgrader" in cell["metadata"]:
            cell["metadata"]["nbgrader"]["schema_version"] = 99


def _without_metadata(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def _forged_check(notebook: dict[str, Any]) -> None:
    cell_of(notebook, "check_double")["source"] = "3.0"
    cell_of(notebook, "check_double")["metadata"]["nbgrader"].update(locked=False, solution=True)


EDITED = [
    Kind("check deleted", edited(lambda n: n["cells"].remove(cell_of(n, "check_double"))), RIGHT, tampered="missing"),
    Kind(
        "answer deleted",
        edited(lambda n: n["cells"].remove(cell_of(n, "double"))),
        ("not_attempted", 0.0),
        tampered="'double' is missing",
    ),
    Kind(
        "all cells deleted",
        edited(lambda n: n["cells"].clear()),
        ("not_attempted", 0.0),
        ("not_attempted", 0.0),
        tampered="'scale' is missing",
    ),
    Kind(
        "answer duplicated",
        edited(lambda n: n["cells"].append(copy.deepcopy(cell_of(n, "scale")))),
        RIGHT,
        tampered="'scale' is there 2 times",
    ),
    Kind(
        "check duplicated",
        edited(lambda n: n["cells"].insert(3, copy.deepcopy(cell_of(n, "check_double")))),
        RIGHT,
        tampered="'check_double' is there 2 times",
    ),
    Kind("cells moved", edited(lambda n: n["cells"].insert(1, n["cells"].pop(4))), RIGHT, tampered="were moved"),
    Kind(
        "answer turned into raw text",
        edited(lambda n: cell_of(n, "double").update(cell_type="raw")),
        RIGHT,
        tampered="turned from code into raw",
    ),
    Kind(
        "check turned into text",
        edited(lambda n: cell_of(n, "check_double").update(cell_type="markdown"), double=TRIPLES),
        ("wrong", 0.0),
        tampered="turned from code into markdown",
    ),
    Kind(
        "check edited",
        edited(lambda n: cell_of(n, "check_double").update(source="3.0"), double=TRIPLES),
        ("wrong", 0.0),
        tampered="was edited",
    ),
    Kind("check unlocked and edited", edited(_forged_check, double=TRIPLES), ("wrong", 0.0), tampered="locked"),
    Kind("a thousand points", edited(_of_check("points", 1000)), RIGHT, tampered="points"),
    Kind("check not graded", edited(_of_check("grade", False)), RIGHT, tampered="grade"),
    Kind("check renamed", edited(_of_check("grade_id", "mine")), RIGHT, tampered="'mine' was not in the released"),
    Kind("all metadata gone", edited(_without_metadata), RIGHT, tampered="missing"),
    Kind("nbgrader schema of the future", edited(_schema_of_the_future), RIGHT),
    Kind("notebook minor format of the future", edited(lambda n: n.update(nbformat_minor=99, new={"x": 1})), RIGHT),
    Kind("no cell ids", edited(lambda n: [n.update(nbformat_minor=4), *(c.pop("id") for c in n["cells"])]), RIGHT),
    Kind("all cell ids the same", edited(lambda n: [c.update(id="same") for c in n["cells"]]), RIGHT),
    Kind("a cell id that is a path", edited(lambda n: n["cells"].append(code("x = 1", "../../x"))), RIGHT),
    Kind("half a character", edited(lambda n: n["cells"].append(code("x = '\ud800'", "half"))), RIGHT),
]


# --- folders --------------------------------------------------------------------------------------------------------


def _beside(name: str, text: str) -> Callable[[Path], None]:
    def place(folder: Path) -> None:
        (folder / NAME).write_bytes(as_bytes(answered()))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return place


FOLDERS = [
    Kind("notebook missing", None, MALFORMED, MALFORMED, fill=lambda f: (f / "notes.txt").write_text("later")),
    Kind("notebook renamed", None, RIGHT, tampered="is called",
         fill=lambda f: (f / "Copy of mine.ipynb").write_bytes(as_bytes(answered()))),
    Kind("extra notebook", None, RIGHT, tampered="extra notebook",
         fill=_beside("scratch.ipynb", as_bytes(answered(TRIPLES)).decode())),
    Kind("link to another's notebook", None, MALFORMED, MALFORMED,
         fill=lambda f: (f / NAME).symlink_to(f"../../{NEIGHBOR}/{UNIT}/{NAME}")),
    Kind("link to nowhere", None, MALFORMED, MALFORMED, fill=lambda f: (f / NAME).symlink_to("nowhere")),
    Kind("pipe as notebook", None, MALFORMED, MALFORMED, fill=lambda f: os.mkfifo(f / NAME)),
    Kind("folder as notebook", None, MALFORMED, MALFORMED, fill=lambda f: (f / NAME).mkdir()),
    Kind("torch.py handed in", None, RIGHT, fill=_beside("torch.py", "1 / 0")),
    Kind("torch as a folder handed in", None, RIGHT, fill=_beside("torch/__init__.py", "1 / 0")),
    Kind("sitecustomize.py handed in", None, RIGHT, fill=_beside("sitecustomize.py", "1 / 0")),
    Kind("student called a,b", answered(), RIGHT, student='a,b "c"'),
    Kind("student called a formula", answered(), RIGHT, student="=HYPERLINK('x')"),
    Kind("student called a path", answered(), RIGHT, student="x..%2f..%2fevil"),
    Kind("student called an option", answered(), RIGHT, student="--help"),
]  # fmt: skip

HANDED_IN = [*FILES, *EDITED, *FOLDERS]
EVERYTHING = [*attacks.ALL, MANY_CELLS, *WAITING, *HANDED_IN]


def hand_in(kind: Kind, submitted: Path, student: str = "ada") -> Path:
    """Writes what a kind hands in to the folder of submissions; gives the student's folder of this unit."""
    folder = submitted / (kind.student or student) / UNIT
    folder.mkdir(parents=True)
    if kind.fill is not None:
        kind.fill(folder)
    else:
        data = kind.notebook if isinstance(kind.notebook, bytes) else as_bytes(kind.notebook)
        (folder / NAME).write_bytes(data)
    return folder
