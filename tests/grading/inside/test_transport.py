"""What crosses between a judge and a student's process, and what does not get through."""

from __future__ import annotations

import json
import socket
import time

import pytest
import torch

from course_lib.exercises.contract import Other
from course_lib.grading.inside import transport
from course_lib.grading.inside.transport import Caps, TransportError


def sent(message, **options):
    here, there = socket.socketpair()
    with here, there:
        transport.send(here, message)
        return transport.receive(there, **options)


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.stride() == b.stride() and torch.equal(a.nan_to_num(), b.nan_to_num())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


BASE = torch.arange(24).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "tensor",
    [
        BASE.float(),
        BASE.double().transpose(0, 2),
        BASE.to(torch.bfloat16)[:, ::2],
        BASE > 3,
        BASE.to(torch.complex64),
        torch.ones(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        torch.tensor(3.5),
        torch.zeros(0, 3),
        torch.tensor([1.0, float("inf")]),
        torch.ones(2, 3, requires_grad=True).detach(),
    ],
    ids=lambda t: f"{t.dtype}{tuple(t.stride())}",
)
def test_tensors_arrive_as_they_were_strides_too(tensor) -> None:
    assert same(sent({"x": tensor})["x"], tensor)


def test_several_tensors_arrive_each_as_it_was() -> None:
    tensors = [torch.arange(5), torch.empty(0), torch.tensor([True, False]), torch.rand(2, 3)]
    assert all(map(same, sent(tensors), tensors))


def test_plain_values_arrive_as_they_were() -> None:
    message = {"a": [1, 2.5, None, True, "ü", {"deep": {}}], "o": Other("numpy.ndarray", (2, 3)), "\0kind": "tensor"}
    assert sent(message) == message


def test_an_expanded_tensor_arrives_with_its_values() -> None:
    assert torch.equal(sent(torch.ones(1).expand(5)), torch.ones(5))


def test_what_is_not_data_cannot_be_sent() -> None:
    with pytest.raises(TransportError, match="cannot be sent"):
        transport.pack({"fn": print})
    assert isinstance(sent({"x": torch.eye(2).to_sparse()})["x"], Other)


def frame(body: bytes, *blobs: bytes) -> bytes:
    return transport.HEADER.pack(transport.MAGIC, len(body), len(blobs)) + body + b"".join(blobs)


def tensor_frame(size: int, **fields) -> bytes:
    tensor = {transport.TAG: "tensor", "dtype": "float32", "shape": [2], "stride": [1], **fields}
    return frame(json.dumps({"message": tensor, "sizes": [size]}).encode(), b"\0" * size)


@pytest.mark.parametrize(
    "data",
    [
        b"A" * 100,
        frame(b"not JSON"),
        frame(b"{}"),
        frame(b'{"sizes": []}'),
        frame(b'{"message": {"no": "tag"}, "sizes": []}'),
        frame(b'{"message": {"\\u0000kind": "what"}, "sizes": []}'),
        frame(b'{"message": 1, "sizes": [5]}'),
        frame(b'{"message": 1, "sizes": [-1]}', b""),
        frame(b'{"message": ' + b"[" * 5000 + b"]" * 5000 + b', "sizes": []}'),
        frame(b'{"message": ' + b"[" * 60 + b"]" * 60 + b', "sizes": []}'),
        frame(b'{"message": ' + b"9" * 5000 + b', "sizes": []}'),
        tensor_frame(9),
        tensor_frame(8, shape=[10**9, 10**9]),
        tensor_frame(8, shape=[-2]),
        tensor_frame(8, shape=["2"]),
        tensor_frame(8, dtype="object"),
        tensor_frame(8, shape=[1] * 5 + [2] + [1] * 60),
        transport.HEADER.pack(transport.MAGIC, 2**31, 0),
        transport.HEADER.pack(transport.MAGIC, 10, 2**31),
    ],
)
def test_frames_that_are_none_are_refused(data: bytes) -> None:
    here, there = socket.socketpair()
    with there:
        with here:
            here.sendall(data)
        with pytest.raises(TransportError):
            transport.receive(there)


@pytest.mark.parametrize("stride", [[0], [-1], [2**39], [1, 1], []])
def test_strange_strides_change_no_value(stride) -> None:
    here, there = socket.socketpair()
    with here, there:
        here.sendall(tensor_frame(8, stride=stride))
        try:
            assert torch.equal(transport.receive(there), torch.zeros(2))
        except TransportError:
            assert stride == [-1]


def test_too_much_is_refused_before_it_is_read() -> None:
    caps = Caps(json_bytes=1000, tensor_bytes=100)
    with pytest.raises(TransportError, match="longer than allowed"):
        sent("x" * 2000, caps=caps)
    with pytest.raises(TransportError, match="more than allowed"):
        sent(torch.zeros(100), caps=caps)


def test_waiting_ends() -> None:
    here, there = socket.socketpair()
    with here, there:
        start = time.monotonic()
        with pytest.raises(transport.Late):
            transport.receive(there, deadline=start + 0.05)
        here.sendall(b"CGR")  # begins, and never goes on
        with pytest.raises(transport.Late):
            transport.receive(there, deadline=start + 0.1)
        with pytest.raises(transport.Late):
            transport.send(here, torch.zeros(4_000_000), deadline=time.monotonic() + 0.1)


def test_the_end_of_the_process_counts_though_the_channel_stays_open() -> None:
    here, there = socket.socketpair()
    watched, other = socket.socketpair()
    with here, there, watched:
        transport.send(here, 1)
        other.close()
        assert transport.receive(there, ended=watched.fileno()) == 1  # what was said before still counts
        with pytest.raises(transport.Closed):
            transport.receive(there, ended=watched.fileno())
