"""The system calls that a student's code may make, as a filter of the Linux kernel's (seccomp). Imports no torch.

The list says what is allowed, so that a call which this file has never heard of is refused: io_uring and
userfaultfd, keys, shared memory and queues that no limit counts and that outlive their process, mounts, namespaces
of one's own.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterator, Sequence

from course_lib.grading.inside.system_calls import MACHINE, PR_SET_SECCOMP, prctl

AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}.get(MACHINE, 0)  # 0 where there is no filter for the processor

# name:number:number, on x86_64 and on aarch64 (asm/unistd_64.h and asm-generic/unistd.h of Linux).
_NAMES = """
# reading and writing
read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 preadv:295:69 pwritev:296:70
preadv2:327:286 pwritev2:328:287 lseek:8:62 sendfile:40:71 splice:275:76 tee:276:77 vmsplice:278:75
copy_file_range:326:285 fsync:74:82 fdatasync:75:83 sync_file_range:277:84 syncfs:306:267 sync:162:81
fadvise64:221:223 readahead:187:213 ioctl:16:29
# files by descriptor and by name
open:2:- openat:257:56 openat2:437:437 creat:85:- close:3:57 close_range:436:436 dup:32:23 dup2:33:- dup3:292:24
fcntl:72:25 flock:73:32 truncate:76:45 ftruncate:77:46 fallocate:285:47 access:21:- faccessat:269:48
faccessat2:439:439 stat:4:- lstat:6:- fstat:5:80 newfstatat:262:79 statx:332:291 statfs:137:43 fstatfs:138:44
getdents:78:- getdents64:217:61 getcwd:79:17 chdir:80:49 fchdir:81:50 mkdir:83:- mkdirat:258:34 rmdir:84:- unlink:87:-
unlinkat:263:35 rename:82:- renameat:264:38 renameat2:316:276 link:86:- linkat:265:37 symlink:88:- symlinkat:266:36
readlink:89:- readlinkat:267:78 chmod:90:- fchmod:91:52 fchmodat:268:53 chown:92:- fchown:93:55 lchown:94:-
fchownat:260:54 utime:132:- utimes:235:- futimesat:261:- utimensat:280:88 umask:95:166 mknod:133:- mknodat:259:33
getxattr:191:8 lgetxattr:192:9 fgetxattr:193:10 listxattr:194:11 llistxattr:195:12 flistxattr:196:13 setxattr:188:5
lsetxattr:189:6 fsetxattr:190:7 removexattr:197:14 lremovexattr:198:15 fremovexattr:199:16 fchmodat2:452:452
cachestat:451:451
# waiting for descriptors
poll:7:- ppoll:271:73 select:23:- pselect6:270:72 epoll_create:213:- epoll_create1:291:20 epoll_ctl:233:21
epoll_wait:232:- epoll_pwait:281:22 epoll_pwait2:441:441 eventfd:284:- eventfd2:290:19 signalfd:282:- signalfd4:289:74
timerfd_create:283:85 timerfd_settime:286:86 timerfd_gettime:287:87 inotify_init:253:- inotify_init1:294:26
inotify_add_watch:254:27 inotify_rm_watch:255:28 pipe:22:- pipe2:293:59
# memory of the process
brk:12:214 mmap:9:222 munmap:11:215 mremap:25:216 mprotect:10:226 madvise:28:233 mincore:27:232 msync:26:227
mlock:149:228 mlock2:325:284 munlock:150:229 mlockall:151:230 munlockall:152:231 pkey_mprotect:329:288
pkey_alloc:330:289 pkey_free:331:290 membarrier:324:283 get_mempolicy:239:236 set_mempolicy:238:237 mbind:237:235
# threads and processes
fork:57:- vfork:58:- execve:59:221 execveat:322:281 exit:60:93 exit_group:231:94 wait4:61:260 waitid:247:95
getpid:39:172 getppid:110:173 gettid:186:178 getpgid:121:155 setpgid:109:154 getpgrp:111:- getsid:124:156
setsid:112:157 set_tid_address:218:96 set_robust_list:273:99 get_robust_list:274:100 futex:202:98 futex_waitv:449:449
rseq:334:293 arch_prctl:158:- prctl:157:167 capget:125:90 capset:126:91 getpriority:140:141 setpriority:141:140
ioprio_get:252:31 ioprio_set:251:30 sched_yield:24:124 sched_getaffinity:204:123 sched_setaffinity:203:122
sched_getparam:143:121 sched_setparam:142:118 sched_getscheduler:145:120 sched_setscheduler:144:119
sched_getattr:315:275 sched_setattr:314:274 sched_get_priority_max:146:125 sched_get_priority_min:147:126
sched_rr_get_interval:148:127 getcpu:309:168 pidfd_open:434:434 pidfd_send_signal:424:424 getrlimit:97:163
setrlimit:160:164 prlimit64:302:261 getrusage:98:165 times:100:153 sysinfo:99:179 uname:63:160 restart_syscall:219:128
futex_wake:454:454 futex_wait:455:455 futex_requeue:456:456
# users, as far as one has rights
getuid:102:174 geteuid:107:175 getgid:104:176 getegid:108:177 getresuid:118:148 getresgid:120:150 getgroups:115:158
setuid:105:146 setgid:106:144 setreuid:113:145 setregid:114:143 setresuid:117:147 setresgid:119:149 setfsuid:122:151
setfsgid:123:152 setgroups:116:159
# signals
kill:62:129 tkill:200:130 tgkill:234:131 rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139
rt_sigpending:127:136 rt_sigtimedwait:128:137 rt_sigsuspend:130:133 rt_sigqueueinfo:129:138 rt_tgsigqueueinfo:297:240
sigaltstack:131:132 pause:34:- alarm:37:-
# time
time:201:- gettimeofday:96:169 clock_gettime:228:113 clock_getres:229:114 clock_nanosleep:230:115 nanosleep:35:101
getitimer:36:102 setitimer:38:103 timer_create:222:107 timer_settime:223:110 timer_gettime:224:108
timer_getoverrun:225:109 timer_delete:226:111
# sockets between the processes of one submission
connect:42:203 bind:49:200 listen:50:201 accept:43:202 accept4:288:242 getsockname:51:204 getpeername:52:205
getsockopt:55:209 setsockopt:54:208 sendto:44:206 recvfrom:45:207 sendmsg:46:211 recvmsg:47:212 sendmmsg:307:269
recvmmsg:299:243 shutdown:48:210
# random numbers
getrandom:318:278
"""

# Allowed with some arguments only.
CLONE, CLONE3, SOCKET, SOCKETPAIR = (56, 435, 41, 53) if MACHINE == "x86_64" else (220, 435, 198, 199)
NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW... flag: in a namespace of one's own, one has rights
UNIX, INTERNET = 1, (2, 10)  # families of sockets
_STREAM, _SEQPACKET = 1, 5

_LOAD, _EQUAL, _AT_LEAST, _MORE, _ANY_BIT, _AND, _ANSWER = 0x20, 0x15, 0x35, 0x25, 0x45, 0x54, 0x06
_CALL, _PROCESSOR, _FIRST, _SECOND = 0, 4, 16, 24  # where the kernel puts the number and the arguments of a call
_ALLOW, _DENY, _UNKNOWN = 0x7FFF0000, 0x00050000 | errno.EACCES, 0x00050000 | errno.ENOSYS

Line = tuple[int, int, int, int]  # what to do, lines to skip if so and if not, the operand


def allowed_numbers() -> list[int]:
    """The numbers on this processor of the calls that are allowed with any arguments, ascending."""
    column = 1 if MACHINE == "x86_64" else 2
    words = [word.split(":") for line in _NAMES.splitlines() if not line.startswith("#") for word in line.split()]
    return sorted(int(word[column]) for word in words if word[column] != "-")


def allow_only(families: Sequence[int]) -> None:
    """Refuses every other system call, for this process and all that it starts, for good: "permission denied".

    Args:
        families: of sockets that may be opened.

    Raises:
        OSError: the kernel has no filter of system calls, or there is none here for this processor.
    """
    if not AUDIT:
        raise OSError(f"no filter of system calls for {MACHINE}")
    lines = [*_program(families)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    header = ctypes.create_string_buffer(struct.pack("HP", len(lines), ctypes.addressof(code)))
    prctl(PR_SET_SECCOMP, 2, ctypes.addressof(header))


def _program(families: Sequence[int]) -> Iterator[Line]:
    yield from [(_LOAD, 0, 0, _PROCESSOR), (_EQUAL, 1, 0, AUDIT), (_ANSWER, 0, 0, _DENY)]
    yield from [(_LOAD, 0, 0, _CALL), (_AT_LEAST, 0, 1, 0x40000000), (_ANSWER, 0, 0, _DENY)]  # x32 has its own numbers
    # Its flags lie in memory, where a filter cannot look; glibc then uses clone.
    yield from [(_EQUAL, 0, 1, CLONE3), (_ANSWER, 0, 0, _UNKNOWN)]
    yield from _where(CLONE, [(_LOAD, 0, 0, _FIRST), (_ANY_BIT, 0, 1, NEW_NAMESPACES), (_ANSWER, 0, 0, _DENY)])
    yield from _where(SOCKET, [(_LOAD, 0, 0, _FIRST), *_one_of(families)])
    # Datagrams could be sent to any socket that has a name in the file system.
    kinds = [(_LOAD, 0, 0, _SECOND), (_AND, 0, 0, 0xF), *_one_of([_STREAM, _SEQPACKET])]
    yield from _where(SOCKETPAIR, [(_LOAD, 0, 0, _FIRST), *_one_of([UNIX]), *kinds])
    for first, last in _ranges(allowed_numbers()):
        yield from [(_AT_LEAST, 0, 2, first), (_MORE, 1, 0, last), (_ANSWER, 0, 0, _ALLOW)]
    yield _ANSWER, 0, 0, _DENY


def _where(number: int, test: list[Line]) -> Iterator[Line]:
    """For one call: allowed if the test, which answers where it refuses, comes to its end."""
    yield _EQUAL, 0, len(test) + 1, number
    yield from test
    yield _ANSWER, 0, 0, _ALLOW


def _one_of(values: Sequence[int]) -> Iterator[Line]:
    """Goes on if what was loaded is one of these values, else refuses."""
    for index, value in enumerate(values):
        yield _EQUAL, len(values) - index, 0, value
    yield _ANSWER, 0, 0, _DENY


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of neighbours, each by its first and last number."""
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last
