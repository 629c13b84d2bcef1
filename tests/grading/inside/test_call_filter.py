"""The filter of system calls, each time in a process of its own, since nothing takes it off again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.grading.inside import call_filter

ROOT = Path(__file__).resolve().parents[3]

START = f"""
import ctypes, errno, os, socket, sys
sys.path.insert(0, {str(ROOT)!r})
from course_lib.grading.inside import call_filter, system_calls
system_calls.prctl(system_calls.PR_SET_NO_NEW_PRIVS, 1)
libc = ctypes.CDLL(None, use_errno=True)
def said(number, *arguments):
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(number), *(arguments or (0, 0, 0)))
    return "done" if done >= 0 else errno.errorcode[ctypes.get_errno()]
"""


def printed(program: str, families: str) -> list[str]:
    if not call_filter.AUDIT:
        pytest.skip("no filter of system calls for this processor")
    source = f"{START}families = {families}\ncall_filter.allow_only(families)\n{program}"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# By number on x86_64: what no limit counts, what outlives its process, what reaches others, and a number of the future.
REFUSED = {
    "io_uring_setup": 425,
    "userfaultfd": 323,
    "keyctl": 250,
    "add_key": 248,
    "request_key": 249,
    "shmget": 29,
    "semget": 64,
    "msgget": 68,
    "mq_open": 240,
    "memfd_create": 319,
    "memfd_secret": 447,
    "mount": 165,
    "fsopen": 430,
    "unshare": 272,
    "setns": 308,
    "ptrace": 101,
    "process_vm_readv": 310,
    "pidfd_getfd": 438,
    "bpf": 321,
    "perf_event_open": 298,
    "name_to_handle_at": 303,
    "personality": 135,
    "one of the x32 ABI": 1 << 30 | 39,
    "one of tomorrow": 999,
}


@pytest.mark.skipif(call_filter.MACHINE != "x86_64", reason="these are the numbers of x86_64")
@pytest.mark.parametrize("families", ["()", "(1, 2, 10)"])
def test_what_is_not_on_the_list_is_refused(families):
    answers = printed(f"for number in {list(REFUSED.values())}: print(said(number))", families)
    assert dict(zip(REFUSED, answers)) == dict.fromkeys(REFUSED, "EACCES")


def test_a_process_gets_no_namespaces_of_its_own():
    user, network = 0x10000000, 0x40000000
    program = f"for flags in ({user}, {user | network}): print(said(call_filter.CLONE, flags | 17, 0, 0, 0, 0))"
    assert printed(program, "()") == ["EACCES", "EACCES"]


SOCKETS = """
for family, kind in ((1, 1), (2, 1), (10, 2), (16, 3), (17, 3), (38, 5), (40, 1)):  # ..., netlink, packet, alg, vsock
    try:
        socket.socket(family, kind).close()
        print("opened")
    except OSError as error:
        print(errno.errorcode[error.errno])
for kind in (1, 5, 2):
    try:
        one, other = socket.socketpair(1, kind)
        print(one.send(b"xyz"))
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


@pytest.mark.parametrize(("families", "opened"), [("()", 0), ("(1, 2, 10)", 3)])
def test_sockets_are_of_a_few_kinds_only(families, opened):
    assert printed(SOCKETS, families) == ["opened"] * opened + ["EACCES"] * (7 - opened) + ["3", "3", "EACCES"]


HONEST = """
import asyncio, multiprocessing, subprocess, tempfile, threading, time, signal
from concurrent.futures import ProcessPoolExecutor
thread = threading.Thread(target=time.sleep, args=(0.01,)); thread.start(); thread.join()
assert asyncio.run(asyncio.sleep(0.01, "slept")) == "slept"
with multiprocessing.Pool(2) as pool: assert pool.map(abs, [-1, -2]) == [1, 2]
with ProcessPoolExecutor(2) as pool: assert list(pool.map(abs, [-3])) == [3]
assert subprocess.run(["/bin/sh", "-c", "ls / | sort | head -n 1"], capture_output=True).stdout
with tempfile.TemporaryDirectory() as folder:
    open(folder + "/a", "w").close(); os.rename(folder + "/a", folder + "/b"); assert os.listdir(folder) == ["b"]
signal.setitimer(signal.ITIMER_REAL, 0.01); signal.signal(signal.SIGALRM, lambda *_: None); time.sleep(0.02)
import torch
torch.set_num_threads(2)
network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 2))
network(torch.rand(64, 1, 8, 8)).sum().backward()
torch.save(network.state_dict(), tempfile.mktemp())
if call_filter.UNIX in families:  # workers send tensors through a socket that has a name
    loader = torch.utils.data.DataLoader(torch.arange(8), batch_size=4, num_workers=1)
    assert sum(batch.sum().item() for batch in loader) == 28
import matplotlib; matplotlib.use("agg")
import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.savefig(tempfile.mktemp(suffix=".png"))
print("all")
"""


@pytest.mark.parametrize("families", ["()", "(1, 2, 10)"])
def test_what_honest_code_does_goes_on_working(families):
    assert printed(HONEST, families) == ["all"]
