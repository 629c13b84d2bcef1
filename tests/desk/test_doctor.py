"""The isolation that `course doctor` reports is the one that grading gets."""

from __future__ import annotations

import sys

import pytest

from course_lib.desk import doctor


@pytest.mark.skipif(sys.platform != "linux", reason="isolated grading needs Linux")
def test_the_isolation_that_grading_gets(monkeypatch, tmp_path) -> None:
    (tmp_path / "solutions").mkdir()
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    monkeypatch.setenv("COURSE_FORBID_ISOLATION", "namespaces")
    (lower,) = doctor._grading()
    if "no isolation" in lower.text:
        assert "Landlock needs Linux" in lower.fix
    else:
        assert "isolation 'landlock'" in lower.text and "sysctl" in lower.fix
    monkeypatch.setenv("COURSE_FORBID_ISOLATION", "namespaces landlock")
    (none,) = doctor._grading()
    assert none.mark == "note" and "refuses to grade" in none.text and "COURSE_FORBID_ISOLATION" in none.fix
