"""Where a student's code runs: Linux namespaces with a root of their own, Landlock, limits. Imports no torch.

Three levels. "namespaces": user, mount, pid, net and ipc namespaces and a pivoted root that holds only the interpreter,
the environment and a copy of course_lib without its judges, read-only, plus Landlock where the kernel has it and
resource limits. "landlock": the same files by Landlock alone, and resource limits. "none": resource limits; only for a
machine that has nothing to lose, and only when asked for by name.

The calls go through ctypes, since Python 3.11 has no unshare, mount or pivot_root of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import resource
import shutil
import site
import stat
import struct
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LEVELS = ("namespaces", "landlock", "none")
SCRATCH = "/scratch"  # the one folder that a student's code may write to, inside the pivoted root
NOBODY = 65534
SCRATCH_BYTES = 64 << 20

HOW_TO_FIX = {
    "namespaces": (
        "On Ubuntu 24.04 and later run `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, in a container "
        "allow user namespaces (Docker: --security-opt seccomp=unconfined --security-opt systempaths=unconfined), "
        "or grade with `--isolation landlock`."
    ),
    "landlock": "Landlock needs Linux 5.13 or later with `landlock` among the kernel's security modules (lsm=...).",
}


class IsolationError(RuntimeError):
    """The level of isolation that was asked for is not to be had here."""


@dataclass(frozen=True)
class Limits:
    """What one process of a student may use. Seconds are CPU seconds, except `wall_seconds`.

    Attributes:
        cells_seconds: for all cells of a submission together.
        exercise_seconds: for observing one exercise.
        wall_seconds: how long either may take on the clock, asleep or waiting; generous, for loaded machines.
        memory_bytes: beyond what the loaded libraries take already.
        processes: processes and threads of one submission.
        file_bytes: the size of one file.
        printed: characters of a cell's output that are kept.
    """

    cells_seconds: int = 30
    exercise_seconds: int = 10
    wall_seconds: float = 60.0
    memory_bytes: int = 2 << 30
    processes: int = 64
    file_bytes: int = 32 << 20
    printed: int = 20_000


# --- which level ----------------------------------------------------------------------------------------------------


def levels_for(asked: str) -> tuple[str, ...]:
    """The levels to try, best first. "auto" takes namespaces or, where those are forbidden, Landlock; never less.

    COURSE_FORBID_ISOLATION names levels to do without, as if the machine did not have them.

    Raises:
        IsolationError: not Linux, or nothing is left to try.
        ValueError: there is no such level.
    """
    if asked not in ("auto", *LEVELS):
        raise ValueError(f"there is no isolation level {asked!r}; the levels are auto, {', '.join(LEVELS)}.")
    if asked == "none":
        return ("none",)
    if not sys.platform.startswith("linux"):
        raise IsolationError(
            "grading other people's code in isolation needs Linux. On Windows use WSL2, on a Mac a Linux machine "
            "or container; `--isolation none` runs the code with all your rights and is for trusted notebooks only."
        )
    forbidden = os.environ.get("COURSE_FORBID_ISOLATION", "").replace(",", " ").split()
    wanted = ("namespaces", "landlock") if asked == "auto" else (asked,)
    left = tuple(level for level in wanted if level not in forbidden)
    if not left:
        raise refusal(asked, {level: "forbidden by COURSE_FORBID_ISOLATION" for level in wanted})
    return left


def refusal(asked: str, reasons: dict[str, str]) -> IsolationError:
    """The error that says why no level at or above the one asked for was obtained, and what to do."""
    tried = "; ".join(f"{level}: {reason}" for level, reason in reasons.items())
    fixes = " ".join(HOW_TO_FIX[level] for level in reasons if level in HOW_TO_FIX)
    return IsolationError(f"isolation {asked!r} is not to be had on this machine ({tried}). {fixes}")


# --- system calls ---------------------------------------------------------------------------------------------------

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = -100, 0x8000, 1, 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 1, 4, 8
PR_GET_SECCOMP, PR_SET_SECCOMP = 21, 22
PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 24, 36, 38
_MACHINE = os.uname().machine if hasattr(os, "uname") else ""
_PIVOT_ROOT, _CAPSET, _CLONE = (155, 126, 56) if _MACHINE == "x86_64" else (41, 91, 220)
# By number: what Landlock leaves open, which is socket (other sockets than TCP's, and those of the user's own services,
# which take commands), keyctl (the user's keys), io_uring_setup (a way around a filter); and what is refused at every
# level, which is shmget, memfd_create, memfd_secret, mount and fsopen (memory that no limit and no count of a process
# sees; a file system in memory, where a user namespace of one's own allows it) and ptrace.
_AUDIT, _REFUSED, _ALWAYS_REFUSED = {
    "x86_64": (0xC000003E, (41, 250, 425), (29, 319, 447, 165, 430, 101)),
    "aarch64": (0xC00000B7, (198, 219, 425), (194, 279, 447, 40, 430, 117)),
}.get(_MACHINE, (0, (), ()))
_MOUNT_SETATTR, _LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 442, 444, 445, 446

_libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None


def _call(what: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _syscall(what: str, number: int, *arguments: object) -> int:
    assert _libc is not None
    return _call(what, _libc.syscall(ctypes.c_long(number), *arguments))


def unshare(flags: int) -> None:
    """Moves this process into new namespaces."""
    assert _libc is not None
    _call("unshare", _libc.unshare(flags))


def prctl(option: int, value: int = 0, address: int = 0) -> None:
    """A process control call of two arguments, or three."""
    assert _libc is not None
    zero = ctypes.c_ulong(0)
    _call(f"prctl {option}", _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(address), zero, zero))


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mounts a file system or binds a path."""
    assert _libc is not None
    names = [text.encode() or None for text in (source, target, kind)]
    result = _libc.mount(names[0], names[1], names[2], ctypes.c_ulong(flags), options.encode() or None)
    _call(f"mount {target}", result)


def _read_only(path: str, *, recursive: bool) -> None:
    attributes = struct.pack("QQQQ", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, 0)
    flags = AT_RECURSIVE if recursive else 0
    _syscall(f"read-only {path}", _MOUNT_SETATTR, AT_FDCWD, path.encode(), flags, attributes, len(attributes))


def drop_capabilities() -> None:
    """Gives up every capability, for good."""
    for number in range(64):
        with contextlib.suppress(OSError):
            prctl(PR_CAPBSET_DROP, number)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    _syscall("capset", _CAPSET, struct.pack("Ii", 0x20080522, 0), struct.pack("6I", *[0] * 6))


def clone_into(flags: int) -> int:
    """Forks into new namespaces: the child's pid, or 0 in the child."""
    if not flags:
        return os.fork()
    api = ctypes.pythonapi
    interpreter = ctypes.PyDLL(None, use_errno=True)  # keeps Python's lock, as os.fork does
    api.PyOS_BeforeFork()
    zero = ctypes.c_long(0)
    pid = interpreter.syscall(ctypes.c_long(_CLONE), ctypes.c_long(flags | 17), zero, zero, zero, zero)  # 17: SIGCHLD
    number = ctypes.get_errno()
    if pid == 0:
        api.PyOS_AfterFork_Child()
        return 0
    api.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, f"clone: {os.strerror(number)}")
    return pid


# --- what may be read -----------------------------------------------------------------------------------------------


def stage_library(packages: Sequence[Path], target: Path) -> Path:
    """Copies course_lib without what a student's process must not hold: judges, mistakes, anything but source.

    Args:
        packages: the folder of course_lib, then any further folders of units.
        target: a new folder; the copy goes to target/course_lib.
    """
    package, *more = packages
    for folder, place in ((package, target / "course_lib"), *((f, target / "course_lib" / "exercises") for f in more)):
        for source in sorted(folder.rglob("*.py")):
            if source.name != "judge.py":
                _copy(source, place / source.relative_to(folder))
    for place, _, _ in os.walk(target):
        os.chmod(place, 0o755)
    return target


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    os.chmod(target, 0o644)


def stage_folder() -> Path:
    """A new folder for the copy, away from /tmp, which inside the sandbox is the student's own.

    Folders that a killed grader left behind are removed.
    """
    for parent in _stage_parents():
        with contextlib.suppress(OSError):
            for old in Path(parent).glob("course-grading-*"):
                owner = old.name.split("-")[2]
                if owner.isdigit() and not os.path.exists(f"/proc/{owner}") and old.stat().st_uid == os.geteuid():
                    shutil.rmtree(old, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix=f"course-grading-{os.getpid()}-", dir=parent))
            folder.chmod(0o755)
            return folder
    raise IsolationError("no temporary folder can be written to; set TMPDIR to one that can.")


def _stage_parents() -> tuple[str, str]:
    return "/var/tmp", tempfile.gettempdir()


def without_stage(text: str) -> str:
    """A text without the folders made by `stage_folder` and for submissions in it: their names are others each time.

    The text may be a student's and long: no part of the pattern can match in two ways, so the time grows with the
    length and no faster.
    """
    parents = "|".join(map(re.escape, _stage_parents()))
    return re.sub(rf"(?:{parents})/course-grading-\d+-\w+/(?:scratch/submission-\w+/?)?", "", text)


def readable_paths() -> list[str]:
    """The interpreter, its environment and the system's shared libraries; no folder that holds course_lib itself."""
    places = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    places += [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        places.append(site.getusersitepackages())
    places += ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"]
    whole_system = {"/", "/usr", "/usr/local", "/usr/bin", "/bin", "/usr/local/bin", os.path.expanduser("~")}
    chosen: list[str] = []
    for place in sorted({os.path.abspath(p) for p in places if p}):
        if place in whole_system or not os.path.isdir(place):
            continue
        if not any(place.startswith(other + "/") for other in chosen):
            chosen.append(place)
    return [leaf for place in chosen for leaf in _without_course(place)]


def _without_course(place: str) -> Iterator[str]:
    """The place, or its parts if course_lib was installed somewhere inside it."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if not package.startswith(place + "/"):
        yield place
        return
    for name in sorted(os.listdir(place)):
        path = os.path.join(place, name)
        if path != package:
            yield from _without_course(path) if os.path.isdir(path) and not os.path.islink(path) else (path,)


def check_apart(readable: Sequence[str], protected: Sequence[str]) -> None:
    """Refuses to grade when something protected lies inside what the sandbox can read.

    Raises:
        IsolationError: names both paths.
    """
    for secret in {os.path.realpath(p) for p in protected}:
        for place in readable:
            if secret == os.path.realpath(place) or secret.startswith(os.path.realpath(place) + "/"):
                raise IsolationError(
                    f"{secret} lies inside {place}, which students' code must be able to read (Python's environment). "
                    "Move one of the two elsewhere."
                )


# --- entering -------------------------------------------------------------------------------------------------------


class Sandbox:
    """The isolation of one zygote: entered once by it, then once more by each submission.

    Args:
        level: one of LEVELS.
        stage: the folder that holds the copy of course_lib.
        readable: paths that stay readable; see `readable_paths`.
    """

    def __init__(self, level: str, stage: str, readable: Sequence[str]) -> None:
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
        return CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC if self.level == "namespaces" else 0

    def enter(self) -> None:
        """Takes the zygote, a process of one thread, into its namespaces.

        Raises:
            OSError: the system does not allow it.
        """
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # short of memory, the system ends a student's process and not the grader
        os.umask(0o022)
        if self.level == "namespaces":
            self._enter_namespaces()
        elif self.level == "landlock":
            os.close(landlock_ruleset())  # raises where there is none
            prctl(PR_GET_SECCOMP)  # so does this
            if not _AUDIT:
                raise OSError(f"no filter of system calls for {_MACHINE}")
        if os.geteuid() == 0:
            _become_nobody(still_reading=True)
        self._user, self._group = os.getuid(), os.getgid()
        prctl(PR_SET_DUMPABLE, 0)

    def _enter_namespaces(self) -> None:
        self._processes = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
        rest = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
        if os.geteuid() == 0:  # root can read what nobody cannot: bind first, then become nobody
            unshare(rest)
            self._build_root()
            _become_nobody()
            prctl(PR_SET_DUMPABLE, 1)
            self._new_user_namespace(rest)
        else:
            self._new_user_namespace(rest)
            self._build_root()

    def _new_user_namespace(self, rest: int) -> None:
        user, group = os.getuid(), os.getgid()
        unshare(CLONE_NEWUSER | rest)
        _map_user(self._processes, user, group)

    def _build_root(self) -> None:
        mount("", "/", flags=MS_REC | MS_PRIVATE)
        root = os.path.join(self.stage, "root")
        os.makedirs(root, exist_ok=True)
        mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
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
        _syscall("pivot_root", _PIVOT_ROOT, b".", b".")
        assert _libc is not None
        _call("umount2", _libc.umount2(b".", MNT_DETACH))
        os.chdir("/")
        _read_only("/", recursive=False)

    def prepare_submission(self) -> str:
        """A fresh folder to write to, in the first process of a submission; gives its path."""
        if self.level == "namespaces":
            prctl(PR_SET_DUMPABLE, 1)  # or its own files in /proc would be root's
            _map_user(self._processes, self._user, self._group)
            prctl(PR_SET_DUMPABLE, 0)
            options = f"size={SCRATCH_BYTES},nr_inodes=4096,mode=777"
            mount("tmpfs", SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV, options)
            return SCRATCH
        return tempfile.mkdtemp(prefix="submission-", dir=os.path.join(self.stage, "scratch"))

    def confine(self, limits: Limits, scratch: str) -> None:
        """The last step before a student's code runs: folder, environment, limits, no capabilities, Landlock."""
        os.chdir(scratch)
        os.environ.update(HOME=scratch, TMPDIR=scratch, IPYTHONDIR=scratch)
        tempfile.tempdir = scratch
        limit(resource.RLIMIT_DATA, self.base["VmData"] + limits.memory_bytes)
        limit(resource.RLIMIT_AS, self.base["VmSize"] + limits.memory_bytes + (1 << 30))  # shared mappings too
        # where there are no namespaces, the limit counts this user's other processes too, as many as there are just now
        others = 0 if self.level == "namespaces" else _threads_of(os.getuid())
        limit(resource.RLIMIT_NPROC, limits.processes + others)
        limit(resource.RLIMIT_FSIZE, limits.file_bytes)
        limit(resource.RLIMIT_NOFILE, 128)
        limit(resource.RLIMIT_CORE, 0)
        limit(resource.RLIMIT_STACK, 8 << 20)  # of each thread as well
        limit_cpu(limits.cells_seconds)
        if self.level == "namespaces":
            drop_capabilities()
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        prctl(PR_SET_DUMPABLE, 1)  # a grader that is no root may then see, from outside, how much memory it uses
        if self.level != "none":
            with contextlib.suppress(OSError) if self.level == "namespaces" else contextlib.nullcontext():
                self._landlock(scratch)
        with contextlib.suppress(OSError) if self.level != "landlock" else contextlib.nullcontext():
            if _AUDIT:
                refuse_calls(_ALWAYS_REFUSED + (_REFUSED if self.level == "landlock" else ()))

    def _landlock(self, scratch: str) -> None:
        ruleset = landlock_ruleset()
        if self.level == "namespaces":
            readable = ["/"]
        else:
            extra = ["/dev/zero", "/dev/random", "/dev/urandom", "/proc/self", "/proc/cpuinfo", "/proc/meminfo"]
            readable = [*self.readable, os.path.join(self.stage, "library"), *extra]
        for path in readable:
            landlock_allow(ruleset, path, writing=False)
        for path in (scratch, "/dev/null"):
            landlock_allow(ruleset, path, writing=True)
        _syscall("landlock_restrict_self", _LANDLOCK_RESTRICT, ruleset, 0)
        os.close(ruleset)


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
    mount(path, target, flags=MS_BIND | MS_REC)
    if read_only:
        _read_only(target, recursive=True)


def _map_user(processes: int, user: int, group: int) -> None:
    """Makes a user and a group of the namespace outside known in the new one that this process is in."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        descriptor = os.open(f"self/{name}", os.O_WRONLY, dir_fd=processes)
        os.write(descriptor, text.encode())
        os.close(descriptor)


def _become_nobody(*, still_reading: bool = False) -> None:
    """Gives up being root; `still_reading` keeps the right to read an environment under root's own folders."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    if still_reading:
        prctl(PR_SET_KEEPCAPS, 1)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    if still_reading:
        kept = 1 << 2  # CAP_DAC_READ_SEARCH; what may be read is for Landlock to say
        _syscall("capset", _CAPSET, struct.pack("Ii", 0x20080522, 0), struct.pack("6I", kept, kept, 0, 0, 0, 0))


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


# --- limits ---------------------------------------------------------------------------------------------------------


def limit(what: int, value: int) -> None:
    """Sets a resource limit for good, or the lower one that holds already."""
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def limit_cpu(seconds: int) -> None:
    """CPU seconds of this process: SIGXCPU, which code may catch, then a second later SIGKILL, which it may not."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    top = seconds + 1 if hard == resource.RLIM_INFINITY else min(seconds + 1, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (min(seconds, top), top))


# --- Landlock -------------------------------------------------------------------------------------------------------

_READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, list a folder
_FILE_RIGHTS = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15


def landlock_version() -> int:
    """The version of the kernel's Landlock, 0 where there is none."""
    try:
        return _syscall("landlock", _LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    except (OSError, AssertionError):
        return 0


def _rights() -> int:
    version = landlock_version()
    count = 13 + (version >= 2) + (version >= 3) + (version >= 5)
    return (1 << count) - 1


def landlock_ruleset() -> int:
    """A set of rules that denies every file, TCP, abstract sockets and signals to other processes.

    Raises:
        OSError: the kernel has no Landlock.
    """
    version = landlock_version()
    if not version:
        raise OSError("the kernel has no Landlock")
    attributes = [_rights(), 3 if version >= 4 else 0, 3 if version >= 6 else 0]
    size = 8 if version < 4 else 16 if version < 6 else 24
    packed = struct.pack("3Q", *attributes)
    return _syscall("landlock_create_ruleset", _LANDLOCK_CREATE, packed, ctypes.c_size_t(size), ctypes.c_uint(0))


def landlock_allow(ruleset: int, path: str, *, writing: bool) -> None:
    """Allows reading (and writing) beneath a path; a path that is not there is passed over."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rights = _rights() if writing else _READ
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        rights &= _FILE_RIGHTS
    try:
        rule = struct.pack("=Qi", rights, descriptor)
        _syscall("landlock_add_rule", _LANDLOCK_ADD, ruleset, ctypes.c_int(1), rule, ctypes.c_uint(0))
    finally:
        os.close(descriptor)


def landlock_gaps() -> str:
    """What students' code can do at the level "landlock" on this kernel, and could not among namespaces."""
    version = landlock_version()
    gaps = [
        "fill the disk, since only the size of each file is limited",
        "send signals to other processes of this user" if version < 6 else "",
        "see the names of files and processes",
    ]
    return f"there students' code can {', '.join(filter(None, gaps))}"


# --- a filter of system calls ---------------------------------------------------------------------------------------


def refuse_calls(numbers: Sequence[int]) -> None:
    """Makes some system calls fail with "permission denied", for this process and all that it starts, for good."""
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06  # of a filter's four kinds of instruction
    allow, deny = 0x7FFF0000, 0x00050000 | errno.EACCES
    program = [(load, 0, 0, 4), (equal, 0, len(numbers) + 3, _AUDIT)]  # another architecture: to the last line
    program += [(load, 0, 0, 0), (at_least, len(numbers) + 1, 0, 0x40000000)]  # x32, which has numbers of its own
    program += [(equal, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    program += [(answer, 0, 0, allow), (answer, 0, 0, deny)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    header = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
    prctl(PR_SET_SECCOMP, 2, ctypes.addressof(header))
