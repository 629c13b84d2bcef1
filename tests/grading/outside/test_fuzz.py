"""Notebooks with anything in any field: what cannot be read is `Malformed`, and nothing else can come out."""

from __future__ import annotations

import copy
import json
from typing import Any

import class_notebooks as notebooks
import pytest

from course_lib.grading.outside import pages
from course_lib.grading.outside.cells import Malformed
from course_lib.grading.outside.submission import parse

hypothesis = pytest.importorskip("hypothesis", reason="the extra dev has it")
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from random_examples import drawn  # noqa: E402

NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, -(10**400), 2**63, True, float("nan")]))
TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(["\ud800", "code", "markdown", "solution", "double", "4"]))
KEYS = st.one_of(TEXTS, st.sampled_from(["nbgrader", "tags", "cell_type", "source", "metadata", "points", "grade_id"]))
ANYTHING = st.recursive(
    st.one_of(st.none(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)


def places(part: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every field of a notebook."""
    inside = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [path, *(found for key, value in inside for found in places(value, (*path, key)))]


PLACES = places(notebooks.answered())


@st.composite
def strange_notebooks(draw: Any) -> bytes:
    """A right notebook in which up to three fields hold anything, or are gone."""
    notebook: Any = copy.deepcopy(notebooks.answered())
    for *above, last in draw(st.lists(st.sampled_from(PLACES[1:]), min_size=1, max_size=3)):
        holder = notebook
        try:
            for key in above:
                holder = holder[key]
            if draw(st.booleans()):
                holder[last] = draw(ANYTHING)
            else:
                del holder[last]
        except (LookupError, TypeError):  # another change has taken this field away
            continue
    if draw(st.booleans()):
        notebook["nbformat"] = draw(st.sampled_from([3, 4]))
    return json.dumps(notebook).encode("utf-8", "surrogatepass")


def read(data: bytes, release: Any) -> None:
    """Reads a notebook as the grader does, and as its pages do, which show as much of it as can be shown."""
    for cell in pages.handed_in(data):
        assert cell["source"].encode() is not None and pages.inert.pictures_of(cell["attachments"]) is not None
    try:
        parsed = parse(data, release)
    except Malformed as fault:
        assert str(fault).encode()
        return
    assert all(source.encode() is not None and name.encode() for name, source in parsed.cells)
    assert all(sentence.encode() for sentence in parsed.tampered)


NASTY = [10**400, -1, 1e400, float("nan"), True, None, "", "\ud800", "\0", [], {}, [[]], {"a": {}}, [10**400], ["a", 1]]


@pytest.mark.parametrize("value", NASTY, ids=lambda value: repr(value)[:20])
def test_every_field_with_something_nasty(value: Any, release: Any) -> None:
    for *above, last in PLACES[1:]:
        notebook: Any = copy.deepcopy(notebooks.answered())
        holder = notebook
        for key in above:
            holder = holder[key]
        holder[last] = value
        read(json.dumps(notebook).encode("utf-8", "surrogatepass"), release)


@drawn(200)
@given(data=strange_notebooks())
def test_strange_fields(data: bytes, release: Any) -> None:
    read(data, release)


@drawn(100)
@given(notebook=ANYTHING)
def test_strange_files(notebook: Any, release: Any) -> None:
    read(json.dumps(notebook).encode("utf-8", "surrogatepass"), release)
    read(json.dumps({"nbformat": 4, "cells": notebook}).encode("utf-8", "surrogatepass"), release)
    read(json.dumps({"nbformat": 4, "cells": [notebook]}).encode("utf-8", "surrogatepass"), release)
    read(json.dumps({"nbformat": 3, "worksheets": [{"cells": [notebook]}]}).encode("utf-8", "surrogatepass"), release)


@drawn(200)
@given(start=st.integers(0, 3000), gone=st.integers(0, 40), put=st.binary(max_size=10))
def test_damaged_bytes(start: int, gone: int, put: bytes, release: Any) -> None:
    data = notebooks.as_bytes(notebooks.answered())
    read(data[:start] + put + data[start + gone :], release)
