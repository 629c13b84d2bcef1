"""The calls of the Linux kernel that a sandbox is built of: namespaces, mounts, limits, Landlock.

They go through ctypes, since Python 3.11 has no unshare, mount or pivot_root of its own. Imports no torch.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import stat
import struct

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = -100, 0x8000, 1, 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 1, 4, 8
PR_GET_SECCOMP, PR_SET_SECCOMP = 21, 22
PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 24, 36, 38
CAP_DAC_READ_SEARCH = 1 << 2
MACHINE = os.uname().machine if hasattr(os, "uname") else ""

_PIVOT_ROOT, _CAPSET, _CLONE = (155, 126, 56) if MACHINE == "x86_64" else (41, 91, 220)
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


# --- processes and namespaces -----------------------------------------------------------------------------------------


def unshare(flags: int) -> None:
    """Moves this process into new namespaces."""
    assert _libc is not None
    _call("unshare", _libc.unshare(flags))


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
    return int(pid)


def map_user(processes: int, user: int, group: int) -> None:
    """Makes a user and a group of the namespace outside known in the new one that this process is in.

    Args:
        processes: a descriptor of /proc.
    """
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        descriptor = os.open(f"self/{name}", os.O_WRONLY, dir_fd=processes)
        os.write(descriptor, text.encode())
        os.close(descriptor)


def prctl(option: int, value: int = 0, address: int = 0) -> None:
    """A process control call of two arguments, or three."""
    assert _libc is not None
    zero = ctypes.c_ulong(0)
    _call(f"prctl {option}", _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(address), zero, zero))


def set_capabilities(kept: int) -> None:
    """Keeps these capabilities of this process and no others."""
    _syscall("capset", _CAPSET, struct.pack("Ii", 0x20080522, 0), struct.pack("6I", kept, kept, 0, 0, 0, 0))


def drop_capabilities() -> None:
    """Gives up every capability, for good."""
    for number in range(64):
        with contextlib.suppress(OSError):
            prctl(PR_CAPBSET_DROP, number)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    set_capabilities(0)


# --- mounts -----------------------------------------------------------------------------------------------------------


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mounts a file system or binds a path."""
    assert _libc is not None
    names = [text.encode() or None for text in (source, target, kind)]
    result = _libc.mount(names[0], names[1], names[2], ctypes.c_ulong(flags), options.encode() or None)
    _call(f"mount {target}", result)


def make_read_only(path: str, *, recursive: bool) -> None:
    """Lets nothing be written beneath a mount."""
    attributes = struct.pack("QQQQ", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, 0)
    flags = AT_RECURSIVE if recursive else 0
    _syscall(f"read-only {path}", _MOUNT_SETATTR, AT_FDCWD, path.encode(), flags, attributes, len(attributes))


def pivot_root() -> None:
    """Makes the current folder, a mount, the root of this process; the old root is gone."""
    assert _libc is not None
    _syscall("pivot_root", _PIVOT_ROOT, b".", b".")
    _call("umount2", _libc.umount2(b".", MNT_DETACH))
    os.chdir("/")


# --- limits -----------------------------------------------------------------------------------------------------------


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


# --- Landlock ---------------------------------------------------------------------------------------------------------

_READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, list a folder
_FILE_RIGHTS = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15


def landlock_version() -> int:
    """The version of the kernel's Landlock, 0 where there is none."""
    try:
        return _syscall("landlock", _LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    except (OSError, AssertionError):
        return 0


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


def landlock_enforce(ruleset: int) -> None:
    """Puts this process under a set of rules, for good, and closes the set."""
    _syscall("landlock_restrict_self", _LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _rights() -> int:
    version = landlock_version()
    count = 13 + (version >= 2) + (version >= 3) + (version >= 5)
    return (1 << count) - 1
