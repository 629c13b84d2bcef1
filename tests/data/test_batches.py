"""Batches: every image once, with its own label, in an order that only the generator decides."""

from __future__ import annotations

import pytest
import torch

from course_lib.data import Batches, SequenceBatches, endless
from course_lib.data.augment import random_shift


def marked(count: int) -> torch.Tensor:
    """Images that carry their position in their pixels."""
    return torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, 1, 4, 4).contiguous()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("count", "size"), [(10, 3), (9, 3), (2, 5)])
def test_every_image_comes_once_with_its_label(count, size, shuffle):
    batches = Batches(marked(count), torch.arange(count) * 10, batch_size=size, shuffle=shuffle, generator=generator())
    for _ in range(2):
        seen = list(batches)
        assert len(seen) == len(batches)
        positions = torch.cat([(x[:, 0, 0, 0] * 255).round() for x, _ in seen])
        assert sorted(positions.tolist()) == list(range(count))
        assert torch.equal(torch.cat([y for _, y in seen]), positions.to(torch.int64) * 10)
        assert shuffle or positions.tolist() == list(range(count))


def test_each_pass_is_shuffled_anew_and_a_seed_repeats_it():
    def passes(seed):
        batches = Batches(marked(50), batch_size=50, shuffle=True, generator=generator(seed))
        return [next(iter(batches))[:, 0, 0, 0] for _ in range(2)]

    first, again = passes(1), passes(1)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], passes(2)[0])


def test_batches_are_float_in_0_to_1_and_uint8_is_what_is_kept():
    batches = Batches(marked(200), batch_size=64)
    x = next(iter(batches))
    assert x.dtype == torch.float32 and x.min() >= 0 and x.max() <= 1
    assert batches.images.dtype == torch.uint8


def test_drop_last_leaves_out_the_ragged_batch():
    batches = Batches(marked(10), batch_size=4, drop_last=True)
    assert [len(x) for x in batches] == [4, 4] and len(batches) == 2


def test_augment_sees_float_batches_and_the_generator():
    images = torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8, generator=generator())

    def run(seed):
        return torch.cat(list(Batches(images, batch_size=8, augment=random_shift, generator=generator(seed))))

    assert torch.equal(run(1), run(1)) and not torch.equal(run(1), run(2))


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    list(Batches(marked(10), batch_size=4, shuffle=True))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"images": torch.zeros(3, 4, 4)}, r"\(N, C, H, W\).*\(3, 4, 4\)"),
        ({"images": torch.zeros(3, 1, 4, 4, dtype=torch.int32)}, "uint8 or float.*int32"),
        ({"images": marked(3), "labels": torch.arange(4)}, "3 images but 4 labels"),
        ({"images": marked(3), "batch_size": 0}, "at least 1; got 0"),
        ({"images": marked(0)}, "0 images make no batch"),
        ({"images": marked(3), "batch_size": 4, "drop_last": True}, "drop_last=False"),
    ],
)
def test_what_makes_no_batches_is_said(arguments, says):
    with pytest.raises(ValueError, match=says):
        Batches(**{"batch_size": 2, **arguments})


@pytest.mark.gpu
def test_the_gpu_sees_the_same_batches(cuda):
    images = torch.randint(0, 256, (50, 1, 8, 8), dtype=torch.uint8, generator=generator())

    def run(device):
        options = {"batch_size": 16, "shuffle": True, "augment": random_shift, "generator": generator(3)}
        return torch.cat([x.cpu() for x in Batches(images, device=device, **options)])

    torch.testing.assert_close(run("cpu"), run(cuda))


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32], ids=str)
def test_sequences_come_once_with_their_labels_in_the_generators_order(dtype):
    sequences = torch.arange(80, dtype=dtype).view(40, 2)
    labels = torch.arange(40) * 2
    batches = SequenceBatches(sequences, labels, batch_size=3, shuffle=True, generator=generator(1))
    first, second = list(batches), list(batches)
    assert len(batches) == len(first) == 14 and first[0][0].dtype == dtype
    for drawn in (first, second):
        assert sorted(int(k) for _, y in drawn for k in y) == labels.tolist()
        assert all(torch.equal(x[:, 0].long(), y) for x, y in drawn)
    assert not torch.equal(first[0][0], second[0][0])
    unlabeled = SequenceBatches(sequences, batch_size=3, shuffle=True, generator=generator(1))
    assert torch.equal(next(iter(unlabeled)), first[0][0])
    assert torch.equal(next(iter(SequenceBatches(sequences, batch_size=3))), sequences[:3])


def test_sequences_are_augmented_batch_by_batch():
    def added(x, *, generator):
        return x + torch.randint(0, 2, (len(x), 1), generator=generator)

    drawn = torch.cat(
        list(SequenceBatches(torch.zeros(40, 2).long(), batch_size=7, generator=generator(), augment=added))
    )
    assert set(drawn[:, 0].tolist()) == {0, 1} and torch.equal(drawn[:, 0], drawn[:, 1])


@pytest.mark.parametrize(
    ("sequences", "labels", "size", "message"),
    [
        (torch.zeros(3, 1, 5), None, 2, r"\(N, T\)"),
        (torch.zeros(3, 5, dtype=torch.uint8), None, 2, "int64 or float"),
        (torch.zeros(3, 5), torch.zeros(2), 2, "3 sequences but 2 labels"),
        (torch.zeros(0, 5), None, 2, "at least one"),
        (torch.zeros(3, 5), None, 0, "at least one"),
    ],
    ids=str,
)
def test_what_makes_no_batches_of_sequences_is_said(sequences, labels, size, message):
    with pytest.raises(ValueError, match=message):
        SequenceBatches(sequences, labels, batch_size=size)


def test_endless_batches_begin_again_in_a_new_order():
    images = torch.arange(6, dtype=torch.uint8).reshape(6, 1, 1, 1)
    options = {"batch_size": 4, "shuffle": True}
    stream, batches = endless(Batches(images, **options)), Batches(images, **options)
    for _ in range(3):
        for expected in batches:
            assert torch.equal(next(stream), expected)


def test_endless_wants_what_can_be_gone_through_again():
    stream = endless(iter([1]))
    assert next(stream) == 1
    with pytest.raises(ValueError, match="no batch to repeat"):
        next(stream)
