"""Notebooks that reach around the limits: memory and keys of the kernel, values beyond reason, the observer's code."""

from __future__ import annotations

import copy

from class_notebooks import answered, code
from corpus.kinds import RIGHT, TRIPLES, Kind, body

CALL = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    done = libc.syscall(ctypes.c_long(number), *arguments)
    return done if done >= 0 else -ctypes.get_errno()
"""


def _with_cells(*sources: str) -> dict:
    notebook = copy.deepcopy(answered())
    notebook["cells"][1:1] = [code(source, f"own-{number}") for number, source in enumerate(sources)]
    return notebook


# On other processors these are other calls, or none; they must do no harm there either.
KERNEL = [
    Kind(
        "a key in the session's keyring",
        answered(extra=f"{CALL}print(call(248, b'user', b'hidden', b'x' * 8, 8, -3), call(250, 0, -3, 1))"),
        RIGHT,
    ),
    Kind("a queue that outlives the run", answered(extra=f"{CALL}print(call(68, 4711, 0o1666))"), RIGHT),
    Kind(
        "packet rings in a network namespace of its own",
        answered(extra=f"{CALL}import socket\nprint(libc.unshare(0x50000000))\ntry:\n"
                 "    rings = [socket.socket(17, 3, 768) for _ in range(20)]\nexcept OSError as e: print(e.errno)"),
        RIGHT,
    ),
    Kind("io_uring", answered(extra=f"{CALL}print(call(425, 4096, ctypes.create_string_buffer(120)))"), RIGHT),
]  # fmt: skip

BEYOND_REASON = [
    Kind("ten million rows without columns", answered(body("return torch.empty(10**7, 0)")), ("wrong", 0.0)),
    Kind("a class number of 250 million", answered(body("return torch.full((4,), 250_000_000)")), ("wrong", 0.0)),
    Kind("an integer of four hundred digits", answered(body("return 10**400")), ("wrong", 0.0)),
    Kind("a list of a hundred thousand", answered(body("return [0.0] * 10**5")), ("wrong", 0.0)),
    Kind(
        "a text that is a sentence's id", answered(body("raise ValueError('double.mistake.triples')")), ("error", 0.0)
    ),
]

OWN_CELLS = [
    Kind("three cells that end the process", _with_cells(*["import os; os._exit(0)"] * 3), RIGHT),
    Kind("three cells over the limit", _with_cells(*["while True: pass"] * 3), RIGHT),
]

OBSERVER = [
    Kind(
        "the observing function replaced everywhere",
        answered(
            TRIPLES,
            extra="import gc, types\nfrom course_lib.exercises import observing\n"
            "real = observing.observe_all\n"
            "def forged(exercise, fn, cases, **kwargs):\n"
            "    return real(exercise, lambda x: torch.ones(3), cases, **kwargs)\n"
            "for holder in gc.get_referrers(real):\n"
            "    if isinstance(holder, dict):\n"
            "        for name in [n for n, v in holder.items() if v is real and n != 'real']: holder[name] = forged",
        ),
        ("wrong", 0.0),
    ),
]

BEYOND = [*KERNEL, *BEYOND_REASON, *OWN_CELLS, *OBSERVER]
