"""Levels of isolation: which is taken, what is refused, and that each holds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import class_notebooks as notebooks
import pytest
from class_notebooks import answered

from course_lib.grading.inside import sandbox
from course_lib.grading.inside.sandbox import IsolationError
from course_lib.grading.outside import grade

HERE = Path(__file__).parent


def test_auto_never_goes_below_landlock(monkeypatch) -> None:
    assert sandbox.levels_for("auto") == ("namespaces", "landlock")
    monkeypatch.setenv("COURSE_FORBID_ISOLATION", "namespaces")
    assert sandbox.levels_for("auto") == ("landlock",)
    with pytest.raises(IsolationError, match=r"apparmor_restrict_unprivileged_userns=0"):
        sandbox.levels_for("namespaces")
    monkeypatch.setenv("COURSE_FORBID_ISOLATION", "namespaces, landlock")
    with pytest.raises(IsolationError, match=r"'auto' is not to be had"):
        sandbox.levels_for("auto")
    assert sandbox.levels_for("none") == ("none",)
    with pytest.raises(ValueError, match="no isolation level 'hope'"):
        sandbox.levels_for("hope")


def test_elsewhere_than_on_linux_it_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(IsolationError, match=r"needs Linux\. On Windows use WSL2"):
        sandbox.levels_for("auto")


def test_the_copy_holds_no_judge_and_nothing_compiled(tmp_path) -> None:
    package = tmp_path / "course_lib"
    more = tmp_path / "more"
    shown = ("exercise.py", "__init__.py")
    hidden = ("judge.py", "mistakes.md", "mistakes.md.gz", "__pycache__/judge.cpython-311.pyc", "d.json")
    for folder in (
        package,
        package / "exercises" / "unit",
        package / "exercises" / "unit" / "one",
        more / "new" / "two",
    ):
        for name in (*shown, *hidden):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("SECRET" if name in hidden else "")
    sandbox.stage_library([package, more], tmp_path / "copy")
    copied = {str(p.relative_to(tmp_path / "copy")) for p in (tmp_path / "copy").rglob("*") if p.is_file()}
    places = ("course_lib", *(f"course_lib/exercises/{place}" for place in ("unit", "unit/one", "new/two")))
    assert copied == {f"{place}/{name}" for place in places for name in shown}


def test_nothing_readable_holds_the_course_or_what_is_protected(tmp_path) -> None:
    package = Path(sandbox.__file__).parent.parent
    readable = sandbox.readable_paths()
    assert not any(package.is_relative_to(path) for path in readable)
    assert any(Path(os.__file__).is_relative_to(path) for path in readable)
    with pytest.raises(IsolationError, match="lies inside"):
        sandbox.check_apart([str(tmp_path)], [str(tmp_path / "class")])


def test_a_level_that_fails_to_start_is_refused_with_the_reason(options, monkeypatch) -> None:
    import dataclasses

    monkeypatch.setattr(grade.Zygote, "_try", lambda self, level, readable: f"{level} said no")
    with pytest.raises(IsolationError, match=r"namespaces: namespaces said no; landlock: landlock said no"):
        grade.Zygote(dataclasses.replace(options))


NOSY = """
import os, socket
def attempt(what, do):
    try: do(); print(what, 'WORKED')
    except OSError: pass
attempt('read', lambda: open({secret!r}).read())
attempt('list', lambda: os.listdir({folder!r}))
attempt('write', lambda: open({folder!r} + '/written', 'w'))
attempt('net', lambda: socket.create_connection(('127.0.0.1', {port}), 2))
attempt('udp', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port})))
attempt('service', lambda: socket.socket(socket.AF_UNIX).connect({service!r}))
attempt('kill', lambda: os.kill({pid}, 0))
one, other = socket.socketpair()
open('mine', 'w').write('x')
"""


def graded_elsewhere(prefix: list[str], isolation: str, release_folder: Path, *files: Path, **environment: str):
    command = [*prefix, sys.executable, str(HERE / "one.py"), isolation, str(release_folder), *map(str, files)]
    variables = {**os.environ, "PYTHONPATH": str(HERE.parent.parent), **environment}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=280)
    if "IsolationError" in done.stderr:
        pytest.skip(f"needs {isolation}: {done.stderr.strip().splitlines()[-1][:200]}")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def nosy(tmp_path):
    import socket

    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    service = str(tmp_path / "service")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(service, family=socket.AF_UNIX):
        os.chmod(service, 0o777)
        port = server.getsockname()[1]
        source = NOSY.format(secret=str(secret), folder=str(tmp_path), port=port, service=service, pid=os.getpid())
        path = tmp_path / "nosy.ipynb"
        path.write_bytes(notebooks.as_bytes(answered(extra=source)))
        yield path


def test_landlock_holds_where_namespaces_are_forbidden(release_folder, nosy) -> None:
    if sandbox.landlock_version() < 6:
        pytest.skip("needs a kernel with Landlock for signals (Linux 6.12)")
    (result,) = graded_elsewhere([], "auto", release_folder, nosy, COURSE_FORBID_ISOLATION="namespaces")
    assert result["isolation"] == "landlock"
    assert result["cells"]["3f2a1b"] == {"printed": "", "error": None}
    assert (result["verdict"], result["score"]) == ("right", 5)


REFUSED = """
import ctypes, os, socket, sys
sys.path.insert(0, {root!r})
from course_lib.grading.inside import sandbox
one, other = socket.socketpair()
sandbox.prctl(sandbox.PR_SET_NO_NEW_PRIVS, 1)
refused = sandbox._ALWAYS_REFUSED + sandbox._REFUSED
sandbox.refuse_calls(refused)
libc = ctypes.CDLL(None, use_errno=True)
for number in (*refused, 1 << 30 | 39):
    ctypes.set_errno(0)
    assert (libc.syscall(ctypes.c_long(number), 0, 0, 0), ctypes.get_errno()) == (-1, 13), number
one.send(b"x")
assert other.recv(1) == b"x" and socket.socketpair() and open("/dev/null") and os.fork() >= 0
"""


def test_calls_that_landlock_leaves_open_are_refused_and_no_others() -> None:
    if not sandbox._AUDIT:
        pytest.skip("no filter of system calls for this processor")
    program = REFUSED.format(root=str(HERE.parent.parent))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_doctor_says_what_the_lower_level_leaves_open(monkeypatch) -> None:
    from course_lib.desk import doctor

    monkeypatch.setenv("COURSE_FORBID_ISOLATION", "namespaces")
    monkeypatch.setattr(grade.Zygote, "__init__", lambda self, options: setattr(self, "level", "landlock"))
    monkeypatch.setattr(grade.Zygote, "close", lambda self: None)
    (finding,) = doctor._grading()
    assert finding.mark == "note"
    assert "isolation 'landlock' here, the lower level: there students' code can fill the disk" in finding.text
    monkeypatch.setattr(sandbox, "landlock_version", lambda: 4)
    assert "send signals to other processes of this user" in sandbox.landlock_gaps()
    monkeypatch.setattr(sandbox, "landlock_version", lambda: 6)
    assert "signals" not in sandbox.landlock_gaps()


def test_a_plain_user_can_grade(release_folder, nosy) -> None:
    """A user namespace in which we are nobody special stands for a plain user."""
    prefix = [shutil.which("unshare") or "", "-U", "--map-user=1000", "--map-group=1000"]
    if not prefix[0] or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces and the command unshare")
    (result,) = graded_elsewhere(prefix, "namespaces", release_folder, nosy)
    assert result["isolation"] == "namespaces"
    assert result["cells"]["3f2a1b"] == {"printed": "", "error": None}
    assert (result["verdict"], result["score"]) == ("right", 5)


def test_namespaces_hold(graded, zygote, nosy) -> None:
    if zygote.level != "namespaces":
        pytest.skip("needs namespaces")
    result = graded(nosy.read_bytes())
    assert result["cells"]["3f2a1b"] == {"printed": "", "error": None}
    assert result["score"] == 5, result


CROWD = """
import os, time
for _ in range(8):
    if not os.fork():
        time.sleep(600)
"""


def test_processes_are_counted_for_each_submission_alone(graded, zygote, release) -> None:
    """Two submissions with as many processes as one may have; each has room for the forks that grading needs."""
    if zygote.level != "namespaces":
        pytest.skip("needs namespaces; elsewhere the limit counts all processes of the user")
    crowd = grade.Session(zygote, release)
    try:
        cells, running, ended = crowd.load([("crowd", CROWD)])
        assert (running, ended, cells["crowd"]["error"]) == (None, None, None)
        assert graded(answered(extra=CROWD))["score"] == 5
        assert graded(answered())["score"] == 5
    finally:
        crowd.close()


def test_a_machine_that_is_short_of_something_is_said_to_be(monkeypatch) -> None:
    import errno
    import socket

    from course_lib.grading.inside import transport, zygote

    def no_room(flags: int) -> int:
        raise OSError(errno.ENOSPC, "clone: no user namespace is left")

    monkeypatch.setattr(sandbox, "clone_into", no_room)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        zygote._start_submission({}, [theirs.fileno()], sandbox.Sandbox("namespaces", "", []), theirs)
        assert "no user namespace is left" in transport.receive(ours)["fault"]


OWN_MOUNT = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.unshare(0x10000000 | 0x20000), libc.mount(b"x", b"/scratch", b"tmpfs", 0, b"size=8g"), ctypes.get_errno())
"""


def test_a_user_namespace_of_ones_own_brings_no_memory_that_is_not_counted(graded, zygote) -> None:
    """A file system in memory: Landlock forbids it where there is Landlock, the filter everywhere."""
    if zygote.level != "namespaces" or not sandbox._AUDIT:
        pytest.skip("needs namespaces, and a filter for this processor")
    printed = graded(answered(extra=OWN_MOUNT))["cells"]["3f2a1b"]["printed"]
    assert printed.split()[1:] == ["-1", "13"]  # EACCES is the filter's; Landlock and a lack of rights say EPERM
