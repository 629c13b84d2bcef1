"""Levels of isolation: which is taken, what is refused, and what is said of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from course_lib.desk import doctor
from course_lib.grading.inside import system_calls
from course_lib.grading.inside.protocol import Isolation
from course_lib.grading.outside import isolation
from course_lib.grading.outside.isolation import IsolationError
from course_lib.grading.outside.zygotes import Zygote


def test_auto_never_goes_below_landlock(monkeypatch) -> None:
    assert isolation.levels_for("auto") == ("namespaces", "landlock")
    monkeypatch.setenv("COURSE_FORBID_ISOLATION", "namespaces")
    assert isolation.levels_for("auto") == ("landlock",)
    with pytest.raises(IsolationError, match=r"apparmor_restrict_unprivileged_userns=0"):
        isolation.levels_for("namespaces")
    monkeypatch.setenv("COURSE_FORBID_ISOLATION", "namespaces, landlock")
    with pytest.raises(IsolationError, match=r"'auto' is not to be had"):
        isolation.levels_for("auto")
    assert isolation.levels_for("none") == ("none",)
    with pytest.raises(ValueError, match="no isolation level 'hope'"):
        isolation.levels_for("hope")


def test_elsewhere_than_on_linux_it_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(IsolationError, match=r"needs Linux\. On Windows use WSL2"):
        isolation.levels_for("auto")


def test_a_level_that_fails_to_start_is_refused_with_the_reason(options, monkeypatch) -> None:
    monkeypatch.setattr(Zygote, "_try", lambda self, level, readable: f"{level} said no")
    with pytest.raises(IsolationError, match=r"namespaces: namespaces said no; landlock: landlock said no"):
        Zygote(options)


def test_the_doctor_says_what_the_lower_level_leaves_open(monkeypatch) -> None:
    monkeypatch.setenv("COURSE_FORBID_ISOLATION", "namespaces")
    monkeypatch.setattr(Zygote, "__init__", lambda self, options: setattr(self, "level", Isolation.LANDLOCK))
    monkeypatch.setattr(Zygote, "close", lambda self: None)
    (finding,) = doctor._grading()
    assert finding.mark == "note"
    assert "isolation 'landlock' here, the lower level: there students' code can fill the disk" in finding.text
    monkeypatch.setattr(system_calls, "landlock_version", lambda: 4)
    assert "send signals to other processes of this user" in isolation.landlock_gaps()
    monkeypatch.setattr(system_calls, "landlock_version", lambda: 6)
    assert "signals" not in isolation.landlock_gaps()


def test_where_linux_modules_are_missing_the_refusal_can_still_be_said() -> None:
    program = (
        "import sys; sys.modules.update(resource=None, fcntl=None)\n"
        "from course_lib.grading.outside import command, isolation, pool\n"
        "sys.platform = 'win32'\n"
        "try: isolation.levels_for('auto')\n"
        "except isolation.IsolationError as refused: print(refused)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "needs Linux. On Windows use WSL2" in done.stdout, done.stderr
