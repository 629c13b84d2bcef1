"""Each level of isolation holds against a submission that looks around."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import class_notebooks as notebooks
import pytest
from class_notebooks import answered

from course_lib.grading.inside import call_filter, system_calls, transport
from course_lib.grading.inside import zygote as processes
from course_lib.grading.inside.protocol import Isolation
from course_lib.grading.inside.sandbox import Sandbox
from course_lib.grading.outside.sessions import Session

TESTS, ROOT = Path(__file__).parents[1], Path(__file__).parents[3]

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
    command = [*prefix, sys.executable, str(TESTS / "one.py"), isolation, str(release_folder), *map(str, files)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=280)
    if "IsolationError" in done.stderr:
        pytest.skip(f"needs {isolation}: {done.stderr.strip().splitlines()[-1][:200]}")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def nosy(tmp_path):
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
    if system_calls.landlock_version() < 6:
        pytest.skip("needs a kernel with Landlock for signals (Linux 6.12)")
    (result,) = graded_elsewhere([], "auto", release_folder, nosy, COURSE_FORBID_ISOLATION="namespaces")
    assert result["isolation"] == "landlock"
    assert result["cells"]["3f2a1b"] == {"printed": "", "error": None}
    assert (result["verdict"], result["score"]) == ("right", 5)


def test_a_plain_user_can_grade(release_folder, nosy) -> None:
    """A user namespace in which we have no privileges stands for a plain user."""
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
    crowd = Session(zygote, release)
    try:
        loaded = crowd.load([("crowd", CROWD)], {})
        assert (loaded.culprit, loaded.ending, loaded.cells["crowd"]["error"]) == (None, None, None)
        assert graded(answered(extra=CROWD))["score"] == 5
        assert graded(answered())["score"] == 5
    finally:
        crowd.close()


def test_a_machine_that_is_short_of_something_is_said_to_be(monkeypatch) -> None:
    def no_room(flags: int) -> int:
        raise OSError(errno.ENOSPC, "clone: no user namespace is left")

    monkeypatch.setattr(system_calls, "clone_into", no_room)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        processes._start_submission({}, [theirs.fileno()], Sandbox(Isolation.NAMESPACES, "", []), theirs)
        assert "no user namespace is left" in transport.receive(ours)["fault"]


OWN_MOUNT = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.unshare(0x10000000 | 0x20000), libc.mount(b"x", b"/scratch", b"tmpfs", 0, b"size=8g"), ctypes.get_errno())
"""


def test_a_user_namespace_of_ones_own_brings_no_memory_that_is_not_counted(graded, zygote) -> None:
    """A file system in memory: Landlock forbids it where there is Landlock, the filter everywhere."""
    if zygote.level != "namespaces" or not call_filter.AUDIT:
        pytest.skip("needs namespaces, and a filter for this processor")
    printed = graded(answered(extra=OWN_MOUNT))["cells"]["3f2a1b"]["printed"]
    assert printed.split()[1:] == ["-1", "13"]  # EACCES is the filter's; Landlock and a lack of rights say EPERM
