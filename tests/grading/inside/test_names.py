"""Which answers are looked at a second time because a name stands for something else in the end."""

from __future__ import annotations

from typing import Any

import pytest

from course_lib.grading.inside.names import Names


def of_a_shell() -> tuple[dict[str, Any], Names]:
    """A namespace with what the shell itself puts there."""
    namespace: dict[str, Any] = {"open": object(), "exit": object(), "helper": 1}
    return namespace, Names(namespace, {"open", "exit"})


@pytest.mark.parametrize(
    ("below", "changed"),
    [({}, []), ({"other": 1}, []), ({"helper": 1}, []), ({"helper": 2}, ["double"]), ({"sum": 0}, ["double"])],
)
def test_only_what_cells_change_counts(below: dict[str, Any], changed: list[str]) -> None:
    namespace, names = of_a_shell()
    namespace["double"] = len
    names.keep("double")
    namespace.update(below)
    names.end()
    assert names.changed() == changed and names.redefined() == []


def test_the_shells_own_name_that_a_cell_takes_counts() -> None:
    namespace, names = of_a_shell()
    namespace["double"] = len
    names.keep("double")
    namespace["open"] = 0
    names.end()
    assert names.changed() == ["double"]
