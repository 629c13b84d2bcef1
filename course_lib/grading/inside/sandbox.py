"""Where a student's code runs: Linux namespaces with a root of their own, Landlock, limits. Imports no torch.

The root holds only the interpreter, its environment and the copy of course_lib that the outside has put together
(outside/staging.py), read-only; one folder can be written to, which ends with the submission.
"""

from __future__ import annotations

import contextlib
import os
import resource
import tempfile
from collections.abc import Sequence
from pathlib import Path

from course_lib.grading.inside import call_filter
from course_lib.grading.inside import system_calls as system
from course_lib.grading.inside.protocol import Isolation, Limits

SCRATCH = "/scratch"  # the one folder that a student's code may write to, inside the pivoted root
NOBODY = 65534
SCRATCH_BYTES = 64 << 20


class Sandbox:
    """The isolation of one zygote: entered once by it, then once more by each submission.

    Args:
        level: what isolates it.
        stage: the folder that holds the copy of course_lib.
        readable: the other paths that stay readable.
    """

    def __init__(self, level: Isolation, stage: str, readable: Sequence[str]) -> None:
        self.level, self.stage, self.readable = level, stage, list(readable)
        self.base = {name: _status_bytes(name) for name in ("VmData", "VmSize")}
        self._processes = -1  # the machine's /proc, out of sight later; no student's process keeps it
        self._user = self._group = 0

    @property
    def clone_flags(self) -> int:
        """New namespaces for each submission, so that nothing of it outlives it.

        A user namespace too, since the limit on processes counts those of a user within one: in a namespace that all
        submissions share, each would be counted against the others, and the grader's own processes against all.
        """
        if self.level != Isolation.NAMESPACES:
            return 0
        return system.CLONE_NEWUSER | system.CLONE_NEWPID | system.CLONE_NEWNS | system.CLONE_NEWIPC

    def enter(self) -> None:
        """Takes the zygote, a process of one thread, into its namespaces.

        Raises:
            OSError: the system does not allow it.
        """
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # short of memory, the system ends a student's process and not the grader
        os.umask(0o022)
        if self.level == Isolation.NAMESPACES:
            self._enter_namespaces()
        elif self.level == Isolation.LANDLOCK:
            os.close(system.landlock_ruleset())  # raises where there is none
            system.prctl(system.PR_GET_SECCOMP)  # so does this
            if not call_filter.AUDIT:
                raise OSError(f"no filter of system calls for {system.MACHINE}")
        if os.geteuid() == 0:
            _become_nobody(still_reading=True)
        self._user, self._group = os.getuid(), os.getgid()
        system.prctl(system.PR_SET_DUMPABLE, 0)

    def _enter_namespaces(self) -> None:
        self._processes = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
        rest = system.CLONE_NEWNS | system.CLONE_NEWNET | system.CLONE_NEWIPC | system.CLONE_NEWUTS
        if os.geteuid() == 0:  # root can read what the user `nobody` cannot: bind first, then change user
            system.unshare(rest)
            self._build_root()
            _become_nobody()
            system.prctl(system.PR_SET_DUMPABLE, 1)
            self._new_user_namespace(rest)
        else:
            self._new_user_namespace(rest)
            self._build_root()

    def _new_user_namespace(self, rest: int) -> None:
        user, group = os.getuid(), os.getgid()
        system.unshare(system.CLONE_NEWUSER | rest)
        system.map_user(self._processes, user, group)

    def _build_root(self) -> None:
        system.mount("", "/", flags=system.MS_REC | system.MS_PRIVATE)
        root = os.path.join(self.stage, "root")
        os.makedirs(root, exist_ok=True)
        system.mount("tmpfs", root, "tmpfs", system.MS_NOSUID | system.MS_NODEV, "size=1m,mode=755")
        devices = [f"/dev/{name}" for name in ("null", "zero", "random", "urandom")]
        for path in (*self.readable, os.path.join(self.stage, "library"), *devices):
            _bind(path, root, read_only=path not in devices)
        os.makedirs(root + "/etc", exist_ok=True)
        Path(root, "etc/passwd").write_text(f"student:x:{os.getuid()}:{os.getgid()}::{SCRATCH}:/bin/sh\n")
        os.makedirs(root + SCRATCH, exist_ok=True)
        for link in ("/tmp", "/dev/shm", "/var/tmp"):
            if not os.path.lexists(root + link):
                os.makedirs(os.path.dirname(root + link), exist_ok=True)
                os.symlink(SCRATCH, root + link)
        os.chdir(root)
        system.pivot_root()
        system.make_read_only("/", recursive=False)

    def prepare_submission(self) -> str:
        """A fresh folder to write to, made by a submission's keeper; returns its path."""
        if self.level == Isolation.NAMESPACES:
            system.prctl(system.PR_SET_DUMPABLE, 1)  # or its own files in /proc would be root's
            system.map_user(self._processes, self._user, self._group)
            system.prctl(system.PR_SET_DUMPABLE, 0)
            options = f"size={SCRATCH_BYTES},nr_inodes=4096,mode=777"
            system.mount("tmpfs", SCRATCH, "tmpfs", system.MS_NOSUID | system.MS_NODEV, options)
            return SCRATCH
        return tempfile.mkdtemp(prefix="submission-", dir=os.path.join(self.stage, "scratch"))

    def confine(self, limits: Limits, scratch: str) -> None:
        """The last step before a student's code runs: folder, environment, limits, no capabilities, Landlock."""
        os.chdir(scratch)
        os.environ.update(HOME=scratch, TMPDIR=scratch, IPYTHONDIR=scratch)
        tempfile.tempdir = scratch  # the module's own switch: it may have chosen another folder before
        self._limit(limits)
        if self.level == Isolation.NAMESPACES:
            system.drop_capabilities()
        system.prctl(system.PR_SET_NO_NEW_PRIVS, 1)
        # A grader that is not root may then see, from outside, how much memory it uses.
        system.prctl(system.PR_SET_DUMPABLE, 1)
        # What a level rests on must be had; what only adds to it may be missing.
        if self.level != Isolation.NONE:
            with contextlib.suppress(OSError) if self.level == Isolation.NAMESPACES else contextlib.nullcontext():
                self._landlock(scratch)
            with contextlib.suppress(OSError) if self.level == Isolation.NAMESPACES else contextlib.nullcontext():
                # In namespaces there is no network, and no other process's socket has a name to be found by.
                own = self.level == Isolation.NAMESPACES
                call_filter.allow_only((call_filter.UNIX, *call_filter.INTERNET) if own else ())

    def _limit(self, limits: Limits) -> None:
        # RLIMIT_DATA is the limit of memory: RLIMIT_AS under 4 GB breaks importing torch for CUDA, so it stands above
        # what is loaded, for shared mappings, which RLIMIT_DATA does not count.
        system.limit(resource.RLIMIT_DATA, self.base["VmData"] + limits.memory_bytes)
        system.limit(resource.RLIMIT_AS, self.base["VmSize"] + limits.memory_bytes + (1 << 30))
        # Without namespaces, the limit counts this user's other processes too, as many as there are just now.
        others = 0 if self.level == Isolation.NAMESPACES else _threads_of(os.getuid())
        system.limit(resource.RLIMIT_NPROC, limits.processes + others)
        system.limit(resource.RLIMIT_FSIZE, limits.file_bytes)
        system.limit(resource.RLIMIT_NOFILE, 128)
        system.limit(resource.RLIMIT_CORE, 0)
        system.limit(resource.RLIMIT_STACK, 8 << 20)  # of each thread as well
        system.limit_cpu(limits.cells_seconds)

    def _landlock(self, scratch: str) -> None:
        ruleset = system.landlock_ruleset()
        if self.level == Isolation.NAMESPACES:
            readable = ["/"]
        else:
            extra = ["/dev/zero", "/dev/random", "/dev/urandom", "/proc/self", "/proc/cpuinfo", "/proc/meminfo"]
            readable = [*self.readable, os.path.join(self.stage, "library"), *extra]
        for path in readable:
            system.landlock_allow(ruleset, path, writing=False)
        for path in (scratch, "/dev/null"):
            system.landlock_allow(ruleset, path, writing=True)
        system.landlock_enforce(ruleset)


def _bind(path: str, root: str, *, read_only: bool) -> None:
    target = root + path
    if os.path.islink(path) and not os.path.exists(target):  # such as /lib -> usr/lib
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        Path(target).touch()
    system.mount(path, target, flags=system.MS_BIND | system.MS_REC)
    if read_only:
        system.make_read_only(target, recursive=True)


def _become_nobody(*, still_reading: bool = False) -> None:
    """Gives up being root; `still_reading` keeps the right to read an environment under root's own folders."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    if still_reading:
        system.prctl(system.PR_SET_KEEPCAPS, 1)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    if still_reading:
        system.set_capabilities(system.CAP_DAC_READ_SEARCH)  # what may be read is for Landlock to say


def _threads_of(user: int) -> int:
    count = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid == user:
                count += len(os.listdir(f"/proc/{pid}/task"))
    return count


def _status_bytes(name: str) -> int:
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 4 << 30
