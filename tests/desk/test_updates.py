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


# --- copies that were changed more than the course expects ------------------------------------------------------------

MINE = "def double(x):\n    return x + x  # mine"
HELPER = "def twice(x):\n    return x + x"


def update_of(root, releases, change) -> workspace.Offer:
    """The update that is offered for a copy that was changed so; the copy itself stays as it is."""
    workspace.prepare(root)
    notebook = json.loads(tiny_work.copy_of(root).read_text())
    change(notebook)
    tiny_work.copy_of(root).write_text(json.dumps(notebook))
    before = tiny_work.copy_of(root).read_bytes()
    tiny_work.put_out(root, releases["later"])
    (offer,) = workspace.prepare(root).offers
    assert tiny_work.copy_of(root).read_bytes() == before
    return offer


def _answer_cells(*sources: str | None, name: str = "double"):
    """Makes several cells of one, as splitting and copying do; None is a copy of the stub."""

    def change(notebook):
        at = next(n for n, cell in enumerate(notebook["cells"]) if cell["id"] == name)
        stub = notebook["cells"][at]
        notebook["cells"][at : at + 1] = [
            {**stub, "id": f"{name}{n or ''}", "source": stub["source"] if source is None else source}
            for n, source in enumerate(sources)
        ]

    return change


def _own_below(first: str, *own: str):
    def change(notebook):
        _answer_cells(first)(notebook)
        at = next(n for n, cell in enumerate(notebook["cells"]) if cell["id"] == "double") + 1
        cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        notebook["cells"][at:at] = [{**cell, "id": f"own{n}", "source": source} for n, source in enumerate(own)]

    return change


@pytest.mark.parametrize(
    ("change", "carried"),
    [
        (_answer_cells(MINE, "# notes to myself\n"), f"{MINE}\n\n# notes to myself"),
        (_answer_cells("# notes to myself\n", MINE), f"# notes to myself\n\n{MINE}"),
        (_answer_cells(HELPER, "double = twice"), f"{HELPER}\n\ndouble = twice"),
        (_answer_cells(*MINE.split("\n")), "def double(x):\n\n    return x + x  # mine"),
        (_answer_cells(MINE, None), MINE),
        (_answer_cells(None, MINE), MINE),
        (_answer_cells(MINE, MINE), MINE),
        (_answer_cells(MINE, ""), MINE),
        (_answer_cells(MINE, "def double(x):\n    raise NotImplementedError('later')"),
         f"def double(x):\n    raise NotImplementedError('later')\n\n{MINE}"),
        (_own_below("# first the idea", MINE), f"# first the idea\n\n{MINE}"),
        (_own_below("# first the idea", HELPER, "double = twice", "double(2)"),
         f"# first the idea\n\n{HELPER}\n\ndouble = twice"),
        (_own_below(MINE, "double(2)"), MINE),
    ],
)  # fmt: skip
def test_an_answer_in_several_cells_is_carried_over_whole(root, releases, change, carried):
    offer = update_of(root, releases, change)
    assert offer.carried == ("double",) and tiny_work.sources_of(offer.update)["double"] == carried


def test_a_written_answer_in_two_cells_is_carried_over_whole(root, releases):
    offer = update_of(root, releases, _answer_cells("Because.", "And so.", name="why"))
    assert tiny_work.sources_of(offer.update)["why"] == "Because.\n\nAnd so."


def test_a_stub_that_was_split_is_no_answer(root, releases):
    def change(notebook):
        stub = next(cell["source"] for cell in notebook["cells"] if cell["id"] == "double")
        lines = "".join(stub).split("\n")
        _answer_cells("\n".join(lines[:1]), "\n".join(lines[1:]))(notebook)

    offer = update_of(root, releases, change)
    assert offer.carried == () and "NotImplementedError" in tiny_work.sources_of(offer.update)["double"]


def _without_ids(notebook):
    notebook["nbformat_minor"] = 4
    for cell in notebook["cells"]:
        del cell["id"]


def _with_other_ids(notebook):
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"{number:08x}"


def _as_colab(notebook):
    for number, cell in enumerate(notebook["cells"]):
        cell["id"], cell["metadata"] = f"Xy{number}", {**cell["metadata"], "id": f"Xy{number}"}


@pytest.mark.parametrize("forget", [_without_ids, _with_other_ids, _as_colab])
@pytest.mark.parametrize("own", [0, 2])
def test_cells_without_their_ids_were_not_added(root, releases, forget, own):
    def change(notebook):
        forget(notebook)
        like = {key: value for key, value in notebook["cells"][1].items() if key in ("id", "outputs")}
        more = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], **like}
        for number in range(own):
            notebook["cells"].insert(3, {**more, "cell_type": "code", "outputs": [], "source": f"helper_{number} = 1"})

    assert len(update_of(root, releases, change).added) == own


@pytest.mark.parametrize(
    "saved",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-be").join([b"\xfe\xff", b""]),
        lambda text: text.encode("latin-1", "backslashreplace"),
        lambda text: text.encode("cp1252", "backslashreplace"),
    ],
    ids=["byte order mark", "UTF-16", "UTF-16 big end first", "latin-1", "Windows"],
)
def test_a_copy_in_another_encoding_is_read_and_left_as_it_is(root, releases, saved):
    workspace.prepare(root)
    notebook = json.loads(tiny_work.copy_of(root).read_text())
    mine = "def double(x):\n    return x + x  # größer"
    _answer_cells(mine)(notebook)
    data = saved(json.dumps(notebook, ensure_ascii=False))
    tiny_work.copy_of(root).write_bytes(data)
    tiny_work.put_out(root, releases["later"])
    (offer,) = workspace.prepare(root).offers
    assert tiny_work.copy_of(root).read_bytes() == data
    assert tiny_work.sources_of(offer.update)["double"] == mine


def test_a_notebook_that_was_renamed_brings_its_answers_along(root, releases):
    workspace.prepare(root)
    mine = "def double(x):\n    return x + x  # mine"
    tiny_work.answer(tiny_work.copy_of(root), double=mine)
    released = next((root / "notebooks").glob("*/*.ipynb"))
    released.rename(released.with_name("97a_renamed.ipynb"))
    before = tiny_work.copy_of(root).read_bytes()
    (copied,) = workspace.prepare(root).copied
    assert copied.name == "97a_renamed.ipynb" and tiny_work.sources_of(copied)["double"] == mine
    assert tiny_work.copy_of(root).read_bytes() == before
    assert workspace.prepare(root).copied == ()


def test_a_broken_copy_under_a_former_name_does_not_stop_a_new_one(root, releases):
    workspace.prepare(root)
    tiny_work.copy_of(root).write_text("no notebook")
    released = next((root / "notebooks").glob("*/*.ipynb"))
    released.rename(released.with_name("97a_renamed.ipynb"))
    (copied,) = workspace.prepare(root).copied
    assert copied.read_bytes() == released.with_name("97a_renamed.ipynb").read_bytes()
