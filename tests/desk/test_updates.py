"""A newer version is offered beside the old one, with the answers in it."""

from __future__ import annotations

import json

import pytest
import tiny_course
import tiny_work

from course_lib.desk import workspace

UNIT = tiny_course.UNIT


def test_a_newer_version_is_offered_beside_the_old_one_with_the_answers_in_it(root, releases):
    workspace.prepare(root)
    mine = "def double(x):\n    return x + x  # mine"
    tiny_work.answer(tiny_work.copy_of(root), double=mine, why="Because.")
    notebook = json.loads(tiny_work.copy_of(root).read_text())
    added = {"cell_type": "code", "id": "a1b2c3d4", "metadata": {}, "outputs": [], "execution_count": None}
    notebook["cells"].insert(3, added | {"source": ["my_helper = 1\n"]})
    tiny_work.copy_of(root).write_text(json.dumps(notebook))
    before = tiny_work.copy_of(root).read_bytes()

    tiny_work.put_out(root, releases["later"])
    (offer,) = workspace.prepare(root).offers
    assert tiny_work.copy_of(root).read_bytes() == before
    release_hash = json.loads(releases["later"])["metadata"]["course"]["release"]
    assert offer.update.name == f"{UNIT}.update-{release_hash[:6]}.ipynb"
    assert offer.carried == ("double", "why") and offer.no_longer_asked == () and offer.added == ("my_helper = 1",)
    updated = tiny_work.sources_of(offer.update)
    assert updated["double"] == mine and updated["why"] == "Because."
    assert "The whole sum" in updated["total"]  # what was not attempted is the new stub
    assert "It is used there" in offer.update.read_text()


def test_a_newer_version_is_offered_once_even_when_it_was_deleted(root, releases):
    workspace.prepare(root)
    tiny_work.put_out(root, releases["later"])
    (offer,) = workspace.prepare(root).offers
    tiny_work.answer(offer.update, total="mine too")
    kept = offer.update.read_bytes()
    assert workspace.prepare(root).offers == ()
    assert offer.update.read_bytes() == kept
    offer.update.unlink()
    assert workspace.prepare(root).offers == ()
    assert not offer.update.exists()


def test_an_answer_that_the_newer_version_does_not_ask_for_is_reported(root, releases):
    workspace.prepare(root)
    tiny_work.answer(tiny_work.copy_of(root), double="def double(x):\n    return x + x")
    later = json.loads(releases["later"])
    later["cells"] = [cell for cell in later["cells"] if cell["id"] != "double"]
    tiny_work.put_out(root, json.dumps(later).encode())
    (offer,) = workspace.prepare(root).offers
    assert offer.no_longer_asked == ("double",) and offer.carried == ()


@pytest.mark.parametrize(
    "content", [b"", b"not json", b"[]", b'{"cells": 3}', b"\xff\xfe", b'{"nbformat": 3, "cells": []}']
)
def test_a_copy_that_cannot_be_read_is_left_as_it_is_and_reported(root, releases, content):
    workspace.prepare(root)
    tiny_work.copy_of(root).write_bytes(content)
    tiny_work.put_out(root, releases["later"])
    done = workspace.prepare(root)
    assert tiny_work.copy_of(root).read_bytes() == content and done.offers == ()
    assert len(done.problems) == 1 and "left as it is" in done.problems[0]
