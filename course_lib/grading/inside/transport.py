"""Messages between the grader and a student's process: length-capped JSON and raw tensor bytes, never pickle.

A frame is a magic number, the length of its JSON, and the lengths of the byte strings that follow. Whatever arrives is
data: only None, booleans, numbers, strings, lists, dicts, dense tensors and `Other` can come out of `receive`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import select
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from course_lib.exercises.contract import Other
from course_lib.grading.inside.protocol import without_surrogates

HEADER = struct.Struct(">4sII")
MAGIC = b"CGR1"
EMPTY_SIZE = 1 << 16
TAG = "\x00kind"  # the key that marks a dict as the stand-in of something JSON does not have
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
        torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128,
    )
}  # fmt: skip


class TransportError(ValueError):
    """What arrived is not a message: too long, cut short, or not of the agreed form."""


class Closed(TransportError):
    """The other side is gone."""


class Late(TransportError):
    """Nothing complete arrived in time."""


@dataclass(frozen=True)
class Caps:
    """What a message may hold at most."""

    json_bytes: int = 4_000_000
    tensor_bytes: int = 64_000_000
    tensors: int = 4_000
    depth: int = 24


CAPS = Caps()


def send(
    channel: socket.socket, message: Any, descriptors: Sequence[int] = (), *, deadline: float | None = None
) -> None:
    """Writes a message, with file descriptors beside it if need be.

    Raises:
        Closed: the other side is gone.
        Late: it does not read.
    """
    send_packed(channel, pack(message), descriptors, deadline=deadline)


def send_packed(
    channel: socket.socket, chunks: Sequence[bytes], descriptors: Sequence[int] = (), *, deadline: float | None = None
) -> None:
    """Writes what `pack` gave; as `send`, for a message that is sent more than once."""
    header, *rest = chunks
    try:
        channel.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0.01))
        if descriptors:
            socket.send_fds(channel, [header], list(descriptors))
            header = b""
        channel.sendall(b"".join([header, *rest]))  # at once: each piece would wake the reader
    except TimeoutError:
        raise Late("the other side does not read") from None
    except OSError as fault:
        raise Closed(str(fault)) from None
    finally:
        _blocking(channel)


def _blocking(channel: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed meanwhile
        channel.settimeout(None)


def receive(
    channel: socket.socket, *, caps: Caps = CAPS, deadline: float | None = None, ended: int | None = None
) -> Any:
    """Reads one message.

    Args:
        caps: a longer message is refused before it is read.
        deadline: a time of `time.monotonic()`.
        ended: a second file descriptor; when that becomes readable and nothing is left to read here, the other side
            counts as gone, even if some process still holds the channel open.

    Raises:
        Closed, Late, TransportError: see there.
    """
    return receive_frame(channel, caps=caps, deadline=deadline, ended=ended).message()


def receive_frame(
    channel: socket.socket, *, caps: Caps = CAPS, deadline: float | None = None, ended: int | None = None
) -> Frame:
    """Reads one message and leaves it packed; otherwise as `receive`."""
    header = _exactly(channel, HEADER.size, deadline, ended)
    return _rest(channel, header, caps, deadline, ended)


def receive_with_descriptors(channel: socket.socket, *, caps: Caps = CAPS) -> tuple[Any, list[int]]:
    """Reads one message and the file descriptors beside it; for the inside, which trusts the outside."""
    try:
        header, descriptors, _, _ = socket.recv_fds(channel, HEADER.size, 4)
    except OSError as fault:
        raise Closed(str(fault)) from None
    if len(header) != HEADER.size:
        raise Closed("the other side is gone")
    return _rest(channel, header, caps, None, None).message(), descriptors


def _rest(channel: socket.socket, header: bytes, caps: Caps, deadline: float | None, ended: int | None) -> Frame:
    magic, length, count = HEADER.unpack(header)
    if magic != MAGIC or length > caps.json_bytes or count > caps.tensors:
        raise TransportError("not a message, or one longer than allowed")
    body = _exactly(channel, length, deadline, ended)
    try:
        read = json.loads(body)
        sizes = read["sizes"]
        fits = len(sizes) == count and all(type(n) is int and n >= 0 for n in sizes) and sum(sizes) <= caps.tensor_bytes
    except Exception:
        fits = False
    if not fits:
        raise TransportError("the lengths in the message do not fit, or are more than allowed")
    blobs = _exactly(channel, sum(sizes), deadline, ended)
    ends = list(itertools.accumulate(sizes))
    return Frame(body, tuple(blobs[end - size : end] for end, size in zip(ends, sizes)), read, caps)


def _exactly(channel: socket.socket, count: int, deadline: float | None, ended: int | None) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        _wait(channel, deadline, ended)
        try:
            piece = channel.recv(min(count - len(parts), 1 << 20))
        except OSError as fault:
            raise Closed(str(fault)) from None
        if not piece:
            raise Closed("the other side is gone")
        parts += piece
    return bytes(parts)


def _wait(channel: socket.socket, deadline: float | None, ended: int | None) -> None:
    if deadline is None and ended is None:
        return
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    if ended is not None:
        poll.register(ended, select.POLLIN)
    left = None if deadline is None else max(deadline - time.monotonic(), 0) * 1000
    ready = {fd for fd, _ in poll.poll(left)}
    if not ready:
        raise Late("nothing arrived in time")
    if channel.fileno() not in ready:
        poll.unregister(ended)  # type: ignore[arg-type]
        if not poll.poll(0):
            raise Closed("the other process has ended")


# --- messages as bytes ------------------------------------------------------------------------------------------------


def pack(message: Any) -> list[bytes]:
    """The frame of a message, as chunks to be written one after another.

    Raises:
        TransportError: it holds something that cannot be sent.
    """
    blobs: list[bytes] = []
    body = json.dumps({"message": _encode(message, blobs), "sizes": [len(b) for b in blobs]}).encode()
    return [HEADER.pack(MAGIC, len(body), len(blobs)), body, *blobs]


def _encode(value: Any, blobs: list[bytes], depth: int = CAPS.depth) -> Any:
    if depth < 0:
        raise TransportError(f"nested more than {CAPS.depth} deep")
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, torch.Tensor):
        return _encode_tensor(value, blobs)
    if isinstance(value, Other):
        return {TAG: "other", "type": value.type_name, "shape": None if value.shape is None else list(value.shape)}
    if type(value) is dict:
        return {TAG: "dict", "items": [[str(key), _encode(item, blobs, depth - 1)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_encode(item, blobs, depth - 1) for item in value]
    raise TransportError(f"a {type(value).__name__} cannot be sent; only plain values and tensors can.")


def _encode_tensor(tensor: torch.Tensor, blobs: list[bytes]) -> Any:
    name = str(tensor.dtype).removeprefix("torch.")
    if tensor.layout != torch.strided or tensor.is_quantized or name not in DTYPES or tensor.device.type != "cpu":
        return _encode(Other(f"torch.Tensor of {name}, {tensor.layout}, on {tensor.device.type}"), blobs)
    flat = tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
    blobs.append(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return {TAG: "tensor", "dtype": name, "shape": list(tensor.shape), "stride": list(tensor.stride())}


@dataclass(frozen=True)
class Frame:
    """A frame as it arrived. Two that are equal hold the same message."""

    body: bytes
    blobs: tuple[bytes, ...]
    read: Any = field(compare=False, repr=False)  # the JSON of the body
    caps: Caps = CAPS

    def message(self) -> Any:
        """What the frame says.

        Raises:
            TransportError: it is not of the agreed form.
        """
        try:
            return _decode(self.read["message"], list(self.blobs), self.caps.depth)
        except TransportError:
            raise
        except Exception as fault:  # nested too deep, wrong keys, numbers too long
            raise TransportError(f"not a message: {type(fault).__name__}") from None


def _decode(value: Any, blobs: list[bytes], depth: int) -> Any:
    if depth < 0:
        raise TransportError("nested too deep")
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [_decode(item, blobs, depth - 1) for item in value]
    kind = value[TAG]
    if kind == "dict":
        return {_decode(str(k), blobs, depth): _decode(v, blobs, depth - 1) for k, v in value["items"]}
    if kind == "other":
        shape = value["shape"]
        return Other(_decode(str(value["type"])[:200], blobs, 0), None if shape is None else tuple(map(int, shape)))
    if kind == "tensor":
        return _decode_tensor(value, blobs)
    raise TransportError("an unknown kind of value")


def _decode_tensor(value: dict[str, Any], blobs: list[bytes]) -> torch.Tensor | Other:
    dtype, shape, stride = DTYPES[value["dtype"]], value["shape"], value["stride"]
    if not all(type(n) is int and 0 <= n < 2**40 for n in (*shape, *stride)) or len(shape) > 12:
        raise TransportError("a tensor of impossible shape")
    blob = blobs.pop(0)
    if math.prod(shape) * dtype.itemsize != len(blob):
        raise TransportError("a tensor whose bytes do not fit its shape")
    if not blob:
        if max(shape) > EMPTY_SIZE:  # rows without columns cost no bytes, but a loop over them takes minutes
            return Other("torch.Tensor far larger than asked for")
        return torch.empty(shape, dtype=dtype)
    flat = torch.frombuffer(bytearray(blob), dtype=torch.uint8)
    if dtype == torch.bool:
        flat = flat.ne(0)  # a byte other than 0 and 1 is undefined behavior as a bool
    tensor = flat.view(dtype).reshape(shape)
    span = 1 + sum((n - 1) * s for n, s in zip(shape, stride))
    wanted = len(stride) == len(shape) and tensor.stride() != tuple(stride)
    if wanted and span <= 8 * tensor.numel() + 64 and _no_overlap(shape, stride):
        return torch.empty_strided(shape, stride, dtype=dtype).copy_(tensor)
    return tensor


def _no_overlap(shape: Sequence[int], stride: Sequence[int]) -> bool:
    reach = 0
    for step, n in sorted((s, n) for n, s in zip(shape, stride) if n > 1):
        if step <= reach:
            return False
        reach += (n - 1) * step
    return True
