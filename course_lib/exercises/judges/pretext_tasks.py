"""Unit 04, pretext tasks: references, criteria with points, known mistakes, other right answers.

Mistakes and alternatives use only torch, F, nn and math, because a demo submission is made of their source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib import evaluation
from course_lib.exercises.contract import Case, Criterion, Judge, Mistake, Trial, Values, close
from course_lib.exercises.judging import as_number, failed_with, in_all, in_any, named, ran

# --- 4.1 rotate_batch -----------------------------------------------------------------------------------------------


def _reference_rotate(images, k):
    return torch.rot90(images, k, (2, 3))


def transposed_and_flipped(images, k):
    for _ in range(k % 4):
        images = images.transpose(2, 3).flip(2)
    return images


def image_by_image(images, k):
    return torch.stack([torch.rot90(image, k, (1, 2)) for image in images])


def counted_from_behind(images, k):
    return torch.rot90(images, k, [-2, -1])


def clockwise(images, k):
    return torch.rot90(images, k, (3, 2))


def default_dims(images, k):
    return torch.rot90(images, k)


def channels_and_rows(images, k):
    return torch.rot90(images, k, (1, 2))


def transposed_only(images, k):
    return images.transpose(2, 3) if k % 2 else images


def always_one_turn(images, k):
    return torch.rot90(images, 1, (2, 3))


def never_turned(images, k):
    return images


def half_turns(images, k):
    return torch.rot90(images, 2 * k, (2, 3))


def upside_down(images, k):
    return images.flip(2) if k % 2 else images


def shape_forced_back(images, k):
    return torch.rot90(images, k, (2, 3)).reshape(images.shape)


def negative_ignored(images, k):
    for _ in range(k):
        images = torch.rot90(images, 1, (2, 3))
    return images


def table_of_four(images, k):
    turns = [images, images.rot90(1, (2, 3)), images.rot90(2, (2, 3)), images.rot90(3, (2, 3))]
    return turns[k]


def other_turns_left_out(images, k):
    if k == 1:
        return torch.rot90(images, 1, (2, 3))
    if k == 2:
        return torch.rot90(images, 2, (2, 3))
    if k == 3:
        return torch.rot90(images, 3, (2, 3))
    return images


def written_into_the_input(images, k):
    images.set_(torch.rot90(images, k, (2, 3)).contiguous())
    return images


def _rotated(case: Case, seen: Values, expected: Values) -> bool:
    return close(seen["rotated"], expected["rotated"])


def _keeps_shape(trials: Sequence[Trial]) -> bool:
    return in_any(
        trials,
        lambda t: (
            t.case.inputs["k"] % 2 == 1
            and t.case.inputs["images"].shape[2] != t.case.inputs["images"].shape[3]
            and t.seen["rotated"].shape == t.case.inputs["images"].shape
        ),
    )


def _turns_as(trials: Sequence[Trial], fn: Callable[[Tensor, int], Tensor]) -> bool:
    """Whether every case comes out as `fn` would turn it, errors aside."""
    return in_all(trials, lambda t: close(t.seen["rotated"], fn(t.case.inputs["images"].clone(), t.case.inputs["k"])))


_PLAIN_TURNS = ("quarter_turn", "half_turn", "three_quarters", "no_turn", "one", "transposed", "float64")


def _only_plain_turns_right(trials: Sequence[Trial]) -> bool:
    plain = [t for t in trials if t.case.name in _PLAIN_TURNS]
    return all(not t.error and close(t.seen["rotated"], t.expected["rotated"]) for t in plain)


rotate_batch = Judge(
    reference=_reference_rotate,
    criteria=(
        Criterion(
            "quarter_turn", 1, "one quarter turn is counterclockwise, in height and width",
            _rotated, ("quarter_turn", "as_many_images_as_channels", "transposed", "float64"),
        ),
        Criterion(
            "other_turns", 1, "so are none, two and three", _rotated, ("no_turn", "half_turn", "three_quarters", "one"),
        ),
        Criterion(
            "any_k", 1, "any whole number will do: backward, and more than once around",
            _rotated, ("backward", "more_than_once_around"),
        ),
        Criterion(
            "images_kept", 1, "dtype and number of pixels stay, and the images given stay as they are",
            lambda c, s, e: s["rotated"].numel() == e["rotated"].numel() and s["rotated"].dtype == e["rotated"].dtype
            and s["images_after"].shape == e["images_after"].shape and close(s["images_after"], e["images_after"]),
        ),
    ),
    mistakes=(
        Mistake(
            "written_into_the_input", written_into_the_input,
            "You change the images that were given to you. Make a new tensor: the upright copy is needed too.",
            behaves=lambda trials: in_any(trials, lambda t: not close(t.seen["images_after"], t.case.inputs["images"])),
        ),
        Mistake(
            "clockwise", clockwise,
            "Your images turn clockwise. Counterclockwise is from height towards width: exchange the two dimensions.",
            behaves=lambda trials: _turns_as(trials, clockwise),
        ),
        Mistake(
            "default_dims", default_dims,
            "You turn the first two dimensions, images and channels, which are the defaults of `torch.rot90`. Height "
            "and width are dimensions 2 and 3.",
            behaves=lambda trials: _turns_as(trials, default_dims),
        ),
        Mistake(
            "channels_and_rows", channels_and_rows,
            "You turn channels into rows. Counting starts at 0: in `(N, C, H, W)` height and width are dimensions 2 "
            "and 3.",
            behaves=lambda trials: _turns_as(trials, channels_and_rows),
        ),
        Mistake(
            "never_turned", never_turned,
            "The images come back as they were. Tensor methods give back a new tensor: return that one.",
            behaves=lambda trials: _turns_as(trials, never_turned),
        ),
        Mistake(
            "always_one_turn", always_one_turn,
            "Whatever `k` is, the images are turned once. Hand `k` on.",
            behaves=lambda trials: _turns_as(trials, always_one_turn),
        ),
        Mistake(
            "half_turns", half_turns,
            "Your images turn by half turns: one step is twice too far. A quarter turn is 90 degrees.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name == "quarter_turn"
                and close(t.seen["rotated"], t.case.inputs["images"].flip(2, 3)),
            ),
        ),
        Mistake(
            "transposed_only", transposed_only,
            "Exchanging rows and columns mirrors the image at its diagonal. For a quarter turn one axis has to be "
            "flipped as well.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name == "quarter_turn"
                and close(t.seen["rotated"], t.case.inputs["images"].transpose(2, 3)),
            ),
        ),
        Mistake(
            "upside_down", upside_down,
            "A flip is no turn: a letter R that is flipped reads wrongly from every side. Turn the images.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name == "quarter_turn"
                and any(close(t.seen["rotated"], t.case.inputs["images"].flip(d)) for d in (2, 3)),
            ),
        ),
        Mistake(
            "shape_forced_back", shape_forced_back,
            "After an odd number of quarter turns height and width have changed places, `(N, C, W, H)`. You keep the "
            "old shape, which scrambles or cuts images that are not square.",
            behaves=_keeps_shape,
        ),
        Mistake(
            "table_of_four", table_of_four,
            "It works up to `k = 3` and fails beyond. After four quarter turns an image is where it was: think of "
            "`k % 4`.",
            behaves=lambda trials: _only_plain_turns_right(trials)
            and any(t.error for t in trials if t.case.name == "more_than_once_around"),
        ),
        Mistake(
            "other_turns_left_out", other_turns_left_out,
            "Zero to three turns are right, but other numbers leave the images as they are. Five turns are one, and "
            "minus one is three: think of `k % 4`.",
            behaves=lambda trials: _only_plain_turns_right(trials)
            and in_any(
                trials, lambda t: t.case.name == "more_than_once_around"
                and close(t.seen["rotated"], t.case.inputs["images"]),
            ),
        ),
        Mistake(
            "negative_ignored", negative_ignored,
            "A negative `k` leaves the images as they are: `range(k)` is empty then. Minus one quarter turn is three: "
            "think of `k % 4`.",
            behaves=lambda trials: _only_plain_turns_right(trials)
            and in_any(trials, lambda t: t.case.name == "backward" and not _rotated(t.case, t.seen, t.expected)),
        ),
    ),
    alternatives=(transposed_and_flipped, image_by_image, counted_from_behind),
)  # fmt: skip


# --- 4.2 rotation_pretext -------------------------------------------------------------------------------------------


def _reference_pretext(images):
    labels = torch.arange(4, device=images.device).repeat_interleave(len(images))
    return torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)]), labels


def copies_in_a_loop(images):
    x, labels = [], []
    for k in range(4):
        x += [torch.rot90(image, k, (1, 2)) for image in images]
        labels += [k] * len(images)
    return torch.stack(x), torch.tensor(labels, device=images.device)


def by_transposing(images):
    turned = images.transpose(2, 3)
    x = torch.stack([images, turned.flip(2), images.flip(2, 3), turned.flip(3)]).flatten(0, 1)
    labels = torch.arange(4 * len(images), device=images.device) // len(images)
    return x, labels


def labels_interleaved(images):
    x = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
    return x, torch.arange(4, device=images.device).repeat(len(images))


def images_interleaved(images):
    x = torch.stack([torch.rot90(images, k, (2, 3)) for k in range(4)], dim=1).flatten(0, 1)
    return x, torch.arange(4, device=images.device).repeat_interleave(len(images))


def both_interleaved(images):
    x = torch.stack([torch.rot90(images, k, (2, 3)) for k in range(4)], dim=1).flatten(0, 1)
    return x, torch.arange(4, device=images.device).repeat(len(images))


def turned_clockwise(images):
    x = torch.cat([torch.rot90(images, k, (3, 2)) for k in range(4)])
    return x, torch.arange(4, device=images.device).repeat_interleave(len(images))


def one_turn_each(images):
    labels = torch.randint(0, 4, (len(images),), device=images.device)
    return torch.stack([torch.rot90(image, int(k), (1, 2)) for image, k in zip(images, labels)]), labels


def same_turn_for_all(images):
    k = int(torch.randint(0, 4, ()))
    return torch.rot90(images, k, (2, 3)), torch.full((len(images),), k, device=images.device)


def upright_left_out(images):
    x = torch.cat([torch.rot90(images, k, (2, 3)) for k in (1, 2, 3)])
    return x, torch.arange(1, 4, device=images.device).repeat_interleave(len(images))


def turned_again_and_again(images):
    x = []
    for k in range(4):
        images = torch.rot90(images, k, (2, 3))
        x.append(images)
    return torch.cat(x), torch.arange(4, device=images.device).repeat_interleave(len(images))


def labels_from_one(images):
    x = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
    return x, torch.arange(1, 5, device=images.device).repeat_interleave(len(images))


def labels_in_degrees(images):
    x = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
    return x, torch.tensor([0, 90, 180, 270], device=images.device).repeat_interleave(len(images))


def labels_as_floats(images):
    x = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
    return x, torch.arange(4.0, device=images.device).repeat_interleave(len(images))


def one_hot_labels(images):
    x = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
    labels = torch.arange(4, device=images.device).repeat_interleave(len(images))
    return x, F.one_hot(labels, 4)


def four_labels_only(images):
    x = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
    return x, torch.arange(4, device=images.device)


def labels_in_a_list(images):
    x = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
    return x, [k for k in range(4) for _ in images]


def copies_stacked(images):
    x = torch.stack([torch.rot90(images, k, (2, 3)) for k in range(4)])
    return x, torch.arange(4, device=images.device).repeat_interleave(len(images))


def labels_shifted(images):
    x = torch.cat([torch.rot90(images, k, (2, 3)) for k in (1, 2, 3, 4)])
    return x, torch.arange(4, device=images.device).repeat_interleave(len(images))


def labels_first(images):
    x = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
    return torch.arange(4, device=images.device).repeat_interleave(len(images)), x


def never_turned_copies(images):
    labels = torch.arange(4, device=images.device).repeat_interleave(len(images))
    return torch.cat([images for k in range(4)]), labels


def default_dims_of_copies(images):
    x = torch.cat([torch.rot90(images, k) for k in range(4)])
    return x, torch.arange(4, device=images.device).repeat_interleave(len(images))


def shuffled_apart(images):
    x = torch.cat([torch.rot90(images, k, (2, 3)) for k in range(4)])
    labels = torch.arange(4, device=images.device).repeat_interleave(len(images))
    return x[torch.randperm(len(x))], labels[torch.randperm(len(labels))]


def _turn_of_rows(case: Case, seen: Values) -> list[tuple[int, int] | None]:
    """For each row of x, which image it shows and by how many quarter turns; None for a row that shows none."""
    images, x = case.inputs["images"], seen["x"]
    if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[1:] != images.shape[1:]:
        return []
    turns = [[torch.rot90(image, k, (1, 2)) for k in range(4)] for image in images]
    known = [(i, k) for i in range(len(images)) for k in range(4)]
    return [next(((i, k) for i, k in known if close(row, turns[i][k])), None) for row in x]


def _all_four(case: Case, seen: Values, expected: Values) -> bool:
    rows = _turn_of_rows(case, seen)
    return None not in rows and sorted(row for row in rows if row) == [
        (i, k) for i in range(len(case.inputs["images"])) for k in range(4)
    ]


def _labels_fine(case: Case, seen: Values, expected: Values) -> bool:
    labels = seen["labels"]
    return (
        seen["labels_dtype"] == "torch.int64"
        and labels.shape == (4 * len(case.inputs["images"]),)
        and labels.bincount(minlength=4).tolist() == [len(case.inputs["images"])] * 4
    )


def _labels_tell_the_turn(case: Case, seen: Values, expected: Values) -> bool:
    rows, labels = _turn_of_rows(case, seen), seen["labels"]
    return len(rows) == len(labels) > 0 and all(
        row is not None and row[1] == int(label) for row, label in zip(rows, labels)
    )


def _labels_are(trials: Sequence[Trial], labels: Callable[[int], list[float]]) -> bool:
    """Whether all copies are there and the labels are those of a formula of N."""
    return in_all(
        trials,
        lambda t: (
            _all_four(*t[:3])
            and isinstance(t.seen["labels"], Tensor)
            and t.seen["labels"].double().tolist() == labels(len(t.case.inputs["images"]))
        ),
    )


def _in_blocks(labels: Sequence[float]) -> Callable[[int], list[float]]:
    return lambda n: [label for label in labels for _ in range(n)]


rotation_pretext = Judge(
    reference=_reference_pretext,
    criteria=(
        Criterion("all_four", 1, "`x` holds each image in all four turns, `(4N, C, H, W)`", _all_four),
        Criterion("labels", 1, "`labels` are N each of the whole numbers 0 to 3, `(4N,)`, int64", _labels_fine),
        Criterion("told_apart", 1, "each label is the number of counterclockwise quarter turns of its row",
                  _labels_tell_the_turn),
        Criterion(
            "order", 1, "copy after copy: row k * N + i is image i, turned k times; the images given stay as they are",
            lambda c, s, e: close(s["x"], e["x"]) and s["x"].dtype == e["x"].dtype
            and close(s["images_after"], e["images_after"]),
        ),
    ),
    mistakes=(
        Mistake(
            "labels_first", labels_first,
            "Images and labels are exchanged: `x` comes first, then `labels`.",
            behaves=lambda trials: in_all(
                trials, lambda t: isinstance(t.seen["labels"], Tensor) and t.seen["labels"].ndim == 4
            ),
        ),
        Mistake(
            "labels_in_a_list", labels_in_a_list,
            "Your labels are a Python list. A loss needs a tensor of whole numbers, `(4N,)`.",
            behaves=lambda trials: in_all(trials, lambda t: isinstance(t.seen["labels"], list)),
        ),
        Mistake(
            "copies_stacked", copies_stacked,
            "`torch.stack` made a fifth dimension, `(4, N, C, H, W)`. A network wants one batch of 4N images: "
            "`torch.cat`, or flatten the first two dimensions.",
            behaves=lambda trials: in_all(trials, lambda t: isinstance(t.seen["x"], Tensor) and t.seen["x"].ndim == 5),
        ),
        Mistake(
            "same_turn_for_all", same_turn_for_all,
            "All images of the batch get the same turn: the network could then read it from the batch as a whole. "
            "Give back every image in all four turns.",
            behaves=lambda trials: in_all(
                trials, lambda t: len(t.seen["x"]) == len(t.case.inputs["images"])
                and len({row[1] for row in _turn_of_rows(t.case, t.seen) if row}) == 1,
            ),
        ),
        Mistake(
            "one_turn_each", one_turn_each,
            "You give each image one turn. Here every image comes in all four, so `x` has 4N rows: no chance is "
            "needed, and each batch is balanced.",
            behaves=lambda trials: in_all(trials, lambda t: len(t.seen["x"]) == len(t.case.inputs["images"])),
        ),
        Mistake(
            "upright_left_out", upright_left_out,
            "One of the four copies is missing: `x` has 3N rows. Not being turned is an answer too, with label 0.",
            behaves=lambda trials: in_all(trials, lambda t: len(t.seen["x"]) == 3 * len(t.case.inputs["images"])),
        ),
        Mistake(
            "default_dims_of_copies", default_dims_of_copies,
            "`torch.rot90` turned images into channels: its default dims are the first two. Height and width are "
            "dimensions 2 and 3.",
            behaves=lambda trials: failed_with(trials, "Sizes of tensors must match")
            or failed_with(trials, "stack expects each tensor"),
        ),
        Mistake(
            "turned_again_and_again", turned_again_and_again,
            "You turn copies that have been turned already, so the turns add up. Start from the upright images each "
            "time.",
        ),
        Mistake(
            "never_turned_copies", never_turned_copies,
            "All four copies are upright: nothing was turned.",
            behaves=lambda trials: in_all(
                trials, lambda t: {row and row[1] for row in _turn_of_rows(t.case, t.seen)} == {0}
            ),
        ),
        Mistake(
            "turned_clockwise", turned_clockwise,
            "Your copies turn clockwise, so label 1 stands for three quarter turns and label 3 for one. Use your "
            "`rotate_batch`.",
            behaves=lambda trials: in_all(
                trials, lambda t: [row and -row[1] % 4 for row in _turn_of_rows(t.case, t.seen)]
                == t.seen["labels"].tolist(),
            ),
        ),
        Mistake(
            "four_labels_only", four_labels_only,
            "You give back four labels for 4N images. Every row of `x` needs its own.",
            behaves=lambda trials: in_all(trials, lambda t: tuple(t.seen["labels"].shape) == (4,)),
        ),
        Mistake(
            "one_hot_labels", one_hot_labels,
            "Your labels are rows of zeros and ones. `F.cross_entropy` wants the number of the class, `(4N,)`.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["labels"].ndim == 2),
        ),
        Mistake(
            "labels_in_degrees", labels_in_degrees,
            "Your labels are degrees. `F.cross_entropy` takes them for class numbers and has no class 270: count "
            "quarter turns.",
            behaves=lambda trials: _labels_are(trials, _in_blocks([0, 90, 180, 270])),
        ),
        Mistake(
            "labels_from_one", labels_from_one,
            "Your labels count from 1. Class numbers begin at 0: no turn has label 0.",
            behaves=lambda trials: _labels_are(trials, _in_blocks([1, 2, 3, 4])),
        ),
        Mistake(
            "labels_as_floats", labels_as_floats,
            "Your labels are {dtype}. Class numbers are whole numbers of dtype int64.",
            behaves=lambda trials: _labels_are(trials, _in_blocks([0, 1, 2, 3]))
            and {"dtype": ran(trials)[0].seen["labels_dtype"].removeprefix("torch.")},
        ),
        Mistake(
            "labels_interleaved", labels_interleaved,
            "Your images come copy after copy, but your labels run 0, 1, 2, 3, 0, 1, ...: image i meets the label of "
            "another. `repeat_interleave` repeats each number before it goes on.",
            behaves=lambda trials: in_all(
                trials, lambda t: close(t.seen["x"], t.expected["x"])
                and t.seen["labels"].tolist() == list(range(4)) * len(t.case.inputs["images"]),
            ),
        ),
        Mistake(
            "images_interleaved", images_interleaved,
            "Your labels stand copy after copy, but your images come image after image, with their four turns side by "
            "side. Make both the same.",
            behaves=lambda trials: _labels_are(trials, _in_blocks([0, 1, 2, 3])),
        ),
        Mistake(
            "both_interleaved", both_interleaved,
            "Each label fits its image, so a network would learn. But the order asked for is copy after copy: row "
            "k * N + i is image i, turned k times.",
            behaves=lambda trials: in_all(trials, lambda t: _all_four(*t[:3]) and _labels_tell_the_turn(*t[:3])),
        ),
        Mistake(
            "labels_shifted", labels_shifted,
            "Label and turn are shifted against each other: label 0 belongs to the upright copy, label 1 to one "
            "quarter turn.",
            behaves=lambda trials: in_all(
                trials, lambda t: _labels_fine(*t[:3]) and len(
                    {row and (int(label) - row[1]) % 4 for row, label in zip(_turn_of_rows(t.case, t.seen),
                                                                             t.seen["labels"])} - {None}
                ) == 1,
            ),
        ),
        Mistake(
            "shuffled_apart", shuffled_apart,
            "The labels do not belong to their rows: this is what two separate shuffles do. There is no need to "
            "shuffle inside a batch at all.",
            behaves=lambda trials: in_all(
                trials, lambda t: _all_four(*t[:3]) and _labels_fine(*t[:3])
            ) and not in_all(trials, lambda t: _labels_tell_the_turn(*t[:3])),
        ),
    ),
    alternatives=(copies_in_a_loop, by_transposing),
)  # fmt: skip


# --- 4.3 flip_pretext -----------------------------------------------------------------------------------------------


def _reference_flip(images, *, generator):
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(2), images.flip(3)), labels


def coins_from_uniform_numbers(images, *, generator):
    upside_down = torch.rand(len(images), generator=generator) < 0.5
    labels = upside_down.long().to(images.device)
    flipped = images.flip(3)
    flipped[labels == 1] = images[labels == 1].flip(2)
    return flipped, labels


def flipped_one_by_one(images, *, generator):
    flipped, labels = [], []
    for image in images:
        coin = int(torch.randint(2, (1,), generator=generator))
        flipped.append(torch.flip(image, [1] if coin else [2]))
        labels.append(coin)
    return torch.stack(flipped), torch.tensor(labels, device=images.device)


def two_draws(images, *, generator):
    coins = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return torch.where(coins[:, None, None, None] == 1, images.flip(2), images.flip(3)), labels


def directions_exchanged(images, *, generator):
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(3), images.flip(2)), labels


def zero_left_alone(images, *, generator):
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(2), images), labels


def mirrored_left_alone(images, *, generator):
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(3), images), labels


def turned_by_half(images, *, generator):
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(2, 3), images.flip(3)), labels


def dims_off_by_one(images, *, generator):
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(1), images.flip(2)), labels


def batch_reversed(images, *, generator):
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(0), images.flip(1)), labels


def one_coin_for_all(images, *, generator):
    coin = int(torch.randint(0, 2, (), generator=generator))
    flipped = images.flip(2) if coin else images.flip(3)
    return flipped, torch.full((len(images),), coin, device=images.device)


def coins_without_generator(images, *, generator):
    labels = torch.randint(0, 2, (len(images),)).to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(2), images.flip(3)), labels


def coins_seeded_inside(images, *, generator):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(2), images.flip(3)), labels


def in_turns(images, *, generator):
    labels = torch.arange(len(images), device=images.device) % 2
    return torch.where(labels[:, None, None, None] == 1, images.flip(2), images.flip(3)), labels


def both_flips_of_each(images, *, generator):
    labels = torch.arange(2, device=images.device).repeat_interleave(len(images))
    return torch.cat([images.flip(3), images.flip(2)]), labels


def flipped_in_place(images, *, generator):
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    images[labels == 0] = images[labels == 0].flip(3)
    images[labels == 1] = images[labels == 1].flip(2)
    return images, labels


def labels_not_whole(images, *, generator):
    labels = torch.rand(len(images), generator=generator).round().to(images.device)
    return torch.where(labels[:, None, None, None] == 1, images.flip(2), images.flip(3)), labels


def coins_first(images, *, generator):
    labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return labels, torch.where(labels[:, None, None, None] == 1, images.flip(2), images.flip(3))


def labels_as_a_column(images, *, generator):
    labels = torch.randint(0, 2, (len(images), 1), generator=generator).to(images.device)
    return torch.where(labels[:, :, None, None] == 1, images.flip(2), images.flip(3)), labels


def _flips_of(images: Tensor) -> dict[str, Tensor]:
    return {
        "mirrored": images.flip(3), "upside_down": images.flip(2), "as_it_was": images, "turned": images.flip(2, 3),
    }  # fmt: skip


def _shows(case: Case, seen: Values, one: str, zero: str) -> bool:
    """Whether images with label 1 were treated like `one` and the others like `zero`."""
    labels, flipped, kinds = seen["labels"], seen["flipped"], _flips_of(case.inputs["images"])
    if len(labels) != len(flipped) or len(labels) != len(case.inputs["images"]):
        return False
    where = labels.reshape(-1, 1, 1, 1) == 1
    return close(flipped, torch.where(where, kinds[one], kinds[zero]))


def _only_the_two_flips(case: Case, seen: Values, expected: Values) -> bool:
    kinds = _flips_of(case.inputs["images"])
    return seen["flipped"].shape == case.inputs["images"].shape and all(
        close(row, mirrored) or close(row, upside_down)
        for row, mirrored, upside_down in zip(seen["flipped"], kinds["mirrored"], kinds["upside_down"])
    )


def _coins_fine(labels: Tensor) -> bool:
    heads = float(labels.double().mean())
    return abs(heads - 0.5) < 5 * 0.5 / math.sqrt(len(labels))


def _coin_for_each(case: Case, seen: Values, expected: Values) -> bool:
    labels, following = seen["labels"], seen["labels_of_next_call"]
    return _coins_fine(labels) and _coins_fine(following) and not torch.equal(labels, following)


def _drawn_from_the_generator(case: Case, seen: Values, expected: Values) -> bool:
    return (
        torch.equal(seen["labels"], seen["labels_of_same_seed"])
        and torch.equal(seen["global_state_before"], seen["global_state_after"])
        and torch.equal(seen["images_after"], case.inputs["images"])
        and (case.name != "many" or not torch.equal(seen["labels"], seen["labels_of_next_call"]))
        and len(seen["labels"]) == len(case.inputs["images"])
    )


def _regular(labels: Tensor) -> bool:
    """Labels that follow a rule instead of chance: few or very many changes along the batch."""
    changes = int((labels.flatten().diff() != 0).sum())
    return changes <= 1 or changes == labels.numel() - 1


def _in_many(trials: Sequence[Trial], predicate: Callable[[Trial], bool]) -> bool:
    return any(predicate(t) for t in ran(trials) if t.case.name == "many")


flip_pretext = Judge(
    reference=_reference_flip,
    criteria=(
        Criterion("flips", 1, "every image is mirrored left to right, or stands upside down", _only_the_two_flips),
        Criterion(
            "labels", 1, "label 0 is mirrored, label 1 upside down, for every image; `(N,)`, int64",
            lambda c, s, e: _shows(c, s, "upside_down", "mirrored") and s["labels_dtype"] == "torch.int64"
            and s["labels"].ndim == 1 and bool(((s["labels"] == 0) | (s["labels"] == 1)).all()),
        ),
        Criterion("coin", 1, "a fair coin for each image, thrown again at each call", _coin_for_each,
                  ("many",)),
        Criterion(
            "generator", 1, "all chance comes from the generator, and the images given stay as they are",
            _drawn_from_the_generator,
        ),
    ),
    mistakes=(
        Mistake(
            "coins_first", coins_first,
            "Images and labels are exchanged: `flipped` comes first, then `labels`.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["labels"].shape == t.case.inputs["images"].shape),
        ),
        Mistake(
            "flipped_in_place", flipped_in_place,
            "You change the images that were given to you. Build a new tensor: whoever called you still needs them "
            "upright.",
            behaves=lambda trials: in_any(
                trials, lambda t: not torch.equal(t.seen["images_after"], t.case.inputs["images"])
            ),
        ),
        Mistake(
            "both_flips_of_each", both_flips_of_each,
            "You give back both flips of each image, 2N rows. Here a coin chooses one for each: `flipped` has the "
            "shape of `images`.",
            behaves=lambda trials: in_all(
                trials, lambda t: len(t.seen["flipped"]) == 2 * len(t.case.inputs["images"])
            ),
        ),
        Mistake(
            "labels_as_a_column", labels_as_a_column,
            "Your labels stand in a column, `(N, 1)`. `F.cross_entropy` wants them flat, `(N,)`: add dimensions only "
            "where you compare.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["labels"].ndim > 1),
        ),
        Mistake(
            "one_coin_for_all", one_coin_for_all,
            "One coin decides for the whole batch. Draw one for each image: `(N,)` numbers.",
            behaves=lambda trials: _in_many(
                trials, lambda t: len(t.seen["labels"].unique()) == 1 and len(t.seen["labels_of_next_call"].unique())
                == 1,
            ),
        ),
        Mistake(
            "in_turns", in_turns,
            "Your labels follow a rule, not chance: the same places of every batch get the same flip. Draw them from "
            "the generator.",
            behaves=lambda trials: _in_many(
                trials, lambda t: torch.equal(t.seen["labels"], t.seen["labels_of_next_call"])
                and _regular(t.seen["labels"]),
            ),
        ),
        Mistake(
            "coins_without_generator", coins_without_generator,
            "Your coins do not come from `generator`, so the run cannot be repeated. Pass it to the function that "
            "draws.",
            behaves=lambda trials: in_any(
                trials, lambda t: not torch.equal(t.seen["global_state_before"], t.seen["global_state_after"])
            ) or _in_many(trials, lambda t: not torch.equal(t.seen["labels"], t.seen["labels_of_same_seed"])),
        ),
        Mistake(
            "coins_seeded_inside", coins_seeded_inside,
            "The same coins fall at every call: you seed a generator inside. Take the one that is passed to you, and "
            "leave its seed alone.",
            behaves=lambda trials: _in_many(
                trials, lambda t: torch.equal(t.seen["labels"], t.seen["labels_of_next_call"])
            ),
        ),
        Mistake(
            "labels_not_whole", labels_not_whole,
            "Your labels are {dtype}. Class numbers are whole numbers of dtype int64.",
            behaves=lambda trials: in_all(
                trials, lambda t: t.seen["labels_dtype"] != "torch.int64" and _shows(*t[:2], "upside_down", "mirrored")
            ) and {"dtype": ran(trials)[0].seen["labels_dtype"].removeprefix("torch.")},
        ),
        Mistake(
            "directions_exchanged", directions_exchanged,
            "The two directions are exchanged: your label 0 stands upside down. In `(N, C, H, W)`, flipping dimension "
            "2 turns the rows over, dimension 3 mirrors left to right.",
            behaves=lambda trials: in_all(trials, lambda t: _shows(*t[:2], "mirrored", "upside_down")),
        ),
        Mistake(
            "zero_left_alone", zero_left_alone,
            "Images with label 0 come back unflipped. Both labels are flips, in different directions: so no label is "
            "betrayed by the mere fact that something was done.",
            behaves=lambda trials: in_all(trials, lambda t: _shows(*t[:2], "upside_down", "as_it_was")),
        ),
        Mistake(
            "mirrored_left_alone", mirrored_left_alone,
            "You mirror the images with label 1 and leave the others alone, so none stands upside down. Label 0: left "
            "to right; label 1: upside down.",
            behaves=lambda trials: in_all(trials, lambda t: _shows(*t[:2], "mirrored", "as_it_was")),
        ),
        Mistake(
            "turned_by_half", turned_by_half,
            "You flip both ways for label 1, and that is half a turn. Upside down means that rows change places and "
            "columns stay.",
            behaves=lambda trials: in_all(
                trials, lambda t: any(_shows(*t[:2], "turned", zero) for zero in ("mirrored", "as_it_was"))
            ),
        ),
        Mistake(
            "dims_off_by_one", dims_off_by_one,
            "A flip of yours goes through the channels. Counting starts at 0: height is dimension 2, width dimension "
            "3.",
            behaves=lambda trials: any(
                t.case.name == "color" and any(
                    close(row, image.flip(0)) for row, image in zip(t.seen["flipped"], t.case.inputs["images"])
                ) for t in ran(trials)
            ),
        ),
        Mistake(
            "batch_reversed", batch_reversed,
            "Dimension 0 are the images: flipping it puts them in reverse order. Flip inside each image, dimension 2 "
            "or 3.",
            behaves=lambda trials: _in_many(
                trials, lambda t: any(
                    close(row, image) for row, image in zip(t.seen["flipped"], t.case.inputs["images"].flip(0))
                ),
            ),
        ),
        Mistake(
            "two_draws", two_draws,
            "Each image is flipped, but the labels do not say how: flips and labels come from two different draws. "
            "Draw once and use it for both.",
            behaves=lambda trials: in_all(trials, lambda t: _only_the_two_flips(*t[:3])),
        ),
    ),
    alternatives=(coins_from_uniform_numbers, flipped_one_by_one),
    exact=False,
)  # fmt: skip


# --- 4.4 mask_patches -----------------------------------------------------------------------------------------------


def _reference_mask(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images.masked_fill(mask, 0.0), mask


def patch_by_patch(images, patch_size, ratio, *, generator):
    n, _, height, width = images.shape
    columns = width // patch_size
    patches = columns * (height // patch_size)
    mask = torch.zeros(n, 1, height, width, dtype=torch.bool, device=images.device)
    for i in range(n):
        for patch in torch.randperm(patches, generator=generator)[: round(ratio * patches)].tolist():
            top, left = patch // columns * patch_size, patch % columns * patch_size
            mask[i, :, top : top + patch_size, left : left + patch_size] = True
    masked = images.clone()
    masked[mask.expand_as(images)] = 0
    return masked, mask


def enlarged_by_interpolation(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    order = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1)
    cells = torch.zeros(len(images), rows * columns)
    cells.scatter_(1, order[:, : round(ratio * rows * columns)], 1.0)
    cells = cells.reshape(-1, 1, rows, columns).to(images.device)
    mask = F.interpolate(cells, scale_factor=patch_size, mode="nearest") > 0.5
    return torch.where(mask, torch.zeros_like(images), images), mask


def pixel_by_pixel(images, patch_size, ratio, *, generator):
    n, _, height, width = images.shape
    rank = torch.rand(n, height * width, generator=generator).argsort(dim=1).argsort(dim=1)
    mask = (rank < round(ratio * height * width)).reshape(n, 1, height, width).to(images.device)
    return images.masked_fill(mask, 0.0), mask


def same_patches_for_all(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(1, rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    mask = mask.expand(len(images), -1, -1, -1)
    return images.masked_fill(mask, 0.0), mask


def mask_says_visible(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images.masked_fill(mask, 0.0), ~mask


def ratio_kept_visible(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank >= round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images.masked_fill(mask, 0.0), mask


def coin_for_each_patch(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    hidden = (torch.rand(len(images), 1, rows, columns, generator=generator) < ratio).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images.masked_fill(mask, 0.0), mask


def tiled(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat(1, 1, patch_size, patch_size)
    return images.masked_fill(mask, 0.0), mask


def masked_in_place(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images.masked_fill_(mask, 0.0), mask


def patches_without_generator(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images.masked_fill(mask, 0.0), mask


def patches_seeded_inside(images, patch_size, ratio, *, generator):
    generator = torch.Generator().manual_seed(0)
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images.masked_fill(mask, 0.0), mask


def first_patches(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    hidden = torch.arange(rows * columns, device=images.device) < round(ratio * rows * columns)
    mask = hidden.reshape(1, 1, rows, columns).repeat_interleave(patch_size, dim=2)
    mask = mask.repeat_interleave(patch_size, dim=3).repeat(len(images), 1, 1, 1)
    return images.masked_fill(mask, 0.0), mask


def mask_for_every_channel(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3).expand_as(images)
    return images.masked_fill(mask, 0.0), mask


def mask_without_channel(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=1).repeat_interleave(patch_size, dim=2)
    return images.masked_fill(mask[:, None], 0.0), mask


def mask_of_numbers(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images * ~mask, mask.float()


def nothing_is_hidden(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images, mask


def visible_hidden(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images * mask, mask


def filled_with_gray(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images.masked_fill(mask, 0.5), mask


def rows_and_columns_exchanged(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[3] // patch_size, images.shape[2] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images.masked_fill(mask, 0.0), mask


def mask_first(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return mask, images.masked_fill(mask, 0.0)


def ratio_as_a_count(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1)
    hidden = (rank < ratio).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images.masked_fill(mask, 0.0), mask


_CHANCE = ("wide", "square", "color", "tall_patches_of_three", "transposed", "float64")  # several images, some hidden


def _cells(case: Case, mask: Tensor) -> Tensor:
    """(N, patches, pixels of a patch) of a mask (N, 1, H, W)."""
    size = case.inputs["patch_size"]
    return mask.unfold(2, size, size).unfold(3, size, size).flatten(4).flatten(1, 3)


def _shape_fine(case: Case, seen: Values) -> bool:
    images, mask = case.inputs["images"], seen["mask"]
    return isinstance(mask, Tensor) and mask.shape == (len(images), 1, *images.shape[2:])


def _whole_patches(case: Case, seen: Values, expected: Values) -> bool:
    if not _shape_fine(case, seen) or seen["mask_dtype"] != "torch.bool":
        return False
    cells = _cells(case, seen["mask"])
    return bool((cells == cells[..., :1]).all())


def _share(case: Case, mask: Tensor) -> list[float]:
    return mask.double().flatten(1).mean(dim=1).tolist()


def _share_right(case: Case, seen: Values, expected: Values) -> bool:
    return (
        _shape_fine(case, seen)
        and seen["masked"].shape == case.inputs["images"].shape
        and all(abs(share - case.inputs["ratio"]) < 1e-6 for share in _share(case, seen["mask"]))
    )


def _each_its_own(case: Case, seen: Values, expected: Values) -> bool:
    mask = seen["mask"]
    fresh = case.name not in _CHANCE or (
        not (mask == mask[:1]).all() and not torch.equal(mask, seen["mask_of_next_call"])
    )
    return (
        bool(fresh)
        and len(mask) == len(case.inputs["images"])
        and torch.equal(mask, seen["mask_of_same_seed"])
        and torch.equal(seen["global_state_before"], seen["global_state_after"])
    )


def _hidden_are_zero(case: Case, seen: Values, expected: Values) -> bool:
    images, masked = case.inputs["images"], seen["masked"]
    mask = seen["mask"] if seen["mask"].ndim == 4 else seen["mask"][:, None]
    return (
        torch.equal(masked, images.masked_fill(mask.bool(), 0.0))
        and masked.dtype == images.dtype
        and torch.equal(seen["images_after"], images)
    )


def _for_chance(trials: Sequence[Trial], predicate: Callable[[Trial], bool]) -> bool:
    found = [t for t in ran(trials) if t.case.name in _CHANCE]
    return bool(found) and all(predicate(t) for t in found)


def _hides_share(trials: Sequence[Trial], wanted: Callable[[float], float]) -> bool:
    return _for_chance(
        trials,
        lambda t: all(abs(s - wanted(t.case.inputs["ratio"])) < 1e-6 for s in _share(t.case, t.seen["mask"])),
    )


def _only_squares_work(trials: Sequence[Trial]) -> bool:
    broken = [t for t in trials if t.error]
    return bool(broken) and all(
        t.error.type == "RuntimeError" and t.case.inputs["images"].shape[2] != t.case.inputs["images"].shape[3]
        for t in broken
    ) and any(_whole_patches(*t[:3]) for t in ran(trials))  # fmt: skip


mask_patches = Judge(
    reference=_reference_mask,
    criteria=(
        Criterion(
            "patches", 1, "`mask` is bool, `(N, 1, H, W)`, and hides whole patches of the grid", _whole_patches,
        ),
        Criterion("share", 1, "in every image exactly the share `ratio` of the patches is hidden", _share_right),
        Criterion(
            "chance", 1, "other patches in each image and at each call, drawn from the generator alone", _each_its_own,
        ),
        Criterion(
            "hidden", 1, "pixels are 0 where `mask` is True and unchanged elsewhere; the images given stay as they are",
            _hidden_are_zero,
        ),
    ),
    mistakes=(
        Mistake(
            "mask_first", mask_first,
            "Images and mask are exchanged: `masked` comes first, then `mask`.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["masked"].dtype == torch.bool),
        ),
        Mistake(
            "masked_in_place", masked_in_place,
            "You blacken the images that were given to you, and they are needed as the target later. Make a new "
            "tensor: `masked_fill` without the underscore.",
            behaves=lambda trials: in_any(
                trials, lambda t: not torch.equal(t.seen["images_after"], t.case.inputs["images"])
            ),
        ),
        Mistake(
            "patches_without_generator", patches_without_generator,
            "The patches do not come from `generator`, so the run cannot be repeated. Pass it to the function that "
            "draws.",
            behaves=lambda trials: in_any(
                trials, lambda t: not torch.equal(t.seen["global_state_before"], t.seen["global_state_after"])
            ) or _for_chance(trials, lambda t: not torch.equal(t.seen["mask"], t.seen["mask_of_same_seed"])),
        ),
        Mistake(
            "first_patches", first_patches,
            "Every image of every batch loses the same patches: nothing is drawn at all. Which ones are hidden is left "
            "to chance, image by image.",
            behaves=lambda trials: _for_chance(
                trials, lambda t: torch.equal(t.seen["mask"], t.seen["mask_of_next_call"])
                and bool((t.seen["mask"] == t.seen["mask"][:1]).all()),
            ),
        ),
        Mistake(
            "patches_seeded_inside", patches_seeded_inside,
            "The same patches are hidden at every call: you seed a generator inside. Take the one that is passed to "
            "you, and leave its seed alone.",
            behaves=lambda trials: _for_chance(
                trials, lambda t: torch.equal(t.seen["mask"], t.seen["mask_of_next_call"])
            ),
        ),
        Mistake(
            "same_patches_for_all", same_patches_for_all,
            "All images of a batch lose the same patches. Draw a row of numbers for each image.",
            behaves=lambda trials: _for_chance(trials, lambda t: bool((t.seen["mask"] == t.seen["mask"][:1]).all())),
        ),
        Mistake(
            "mask_for_every_channel", mask_for_every_channel,
            "Your mask has a channel for each of the image's. A patch is hidden in all channels at once: one channel "
            "says it, `(N, 1, H, W)`.",
            behaves=lambda trials: in_all(
                trials, lambda t: t.seen["mask"].shape == t.case.inputs["images"].shape
            ),
        ),
        Mistake(
            "mask_without_channel", mask_without_channel,
            "Your mask is `(N, H, W)`. With one channel, `(N, 1, H, W)`, it fits the images without a word more.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["mask"].ndim == 3),
        ),
        Mistake(
            "nothing_is_hidden", nothing_is_hidden,
            "The images come back as they were: the mask is made but not used. What the network must not see has to "
            "be 0.",
            behaves=lambda trials: _for_chance(
                trials, lambda t: torch.equal(t.seen["masked"], t.case.inputs["images"])
            ),
        ),
        Mistake(
            "filled_with_gray", filled_with_gray,
            "Hidden pixels are not 0 in your images. Fill them with 0, so that nothing of the image is left there.",
            behaves=lambda trials: _for_chance(
                trials, lambda t: bool((t.seen["masked"] != 0).all())
                and not torch.equal(t.seen["masked"], t.case.inputs["images"]),
            ),
        ),
        Mistake(
            "mask_says_visible", mask_says_visible,
            "Your mask is True where the image can be seen. It is to be True where it is hidden.",
            behaves=lambda trials: _for_chance(
                trials, lambda t: torch.equal(t.seen["masked"], t.case.inputs["images"] * t.seen["mask"].bool())
                and _hides_share([t], lambda ratio: 1 - ratio),
            ),
        ),
        Mistake(
            "visible_hidden", visible_hidden,
            "You blacken the pixels where the mask is False: what should be hidden is all that is left. Fill where "
            "the mask is True.",
            behaves=lambda trials: _for_chance(
                trials, lambda t: torch.equal(t.seen["masked"], t.case.inputs["images"] * t.seen["mask"].bool())
            ),
        ),
        Mistake(
            "mask_of_numbers", mask_of_numbers,
            "Your mask is {dtype}. A mask of True and False (bool) can be used as an index and inverted by `~`.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["mask_dtype"] != "torch.bool")
            and {"dtype": ran(trials)[0].seen["mask_dtype"].removeprefix("torch.")},
        ),
        Mistake(
            "tiled", tiled,
            "`repeat` lays the whole grid side by side, so single pixels are hidden in a pattern. "
            "`repeat_interleave` makes each cell of the grid larger.",
        ),
        Mistake(
            "pixel_by_pixel", pixel_by_pixel,
            "You hide single pixels, which can be guessed from their neighbors. Hide whole squares of `patch_size` "
            "pixels a side, side by side on a grid.",
            behaves=lambda trials: _for_chance(trials, lambda t: not _whole_patches(*t[:3])),
        ),
        Mistake(
            "rows_and_columns_exchanged", rows_and_columns_exchanged,
            "It works for square images only: rows and columns of the grid are exchanged. Rows come from the height, "
            "dimension 2.",
            behaves=_only_squares_work,
        ),
        Mistake(
            "ratio_kept_visible", ratio_kept_visible,
            "`ratio` is the share that is hidden; you leave that share visible and hide the rest.",
            behaves=lambda trials: _hides_share(trials, lambda ratio: 1 - ratio),
        ),
        Mistake(
            "ratio_as_a_count", ratio_as_a_count,
            "One patch is hidden in each image, whatever `ratio` says. It is a share of all patches: multiply.",
            behaves=lambda trials: _for_chance(
                trials, lambda t: {int(n) for n in _cells(t.case, t.seen["mask"])[..., 0].sum(dim=1)} == {1}
            ),
        ),
        Mistake(
            "coin_for_each_patch", coin_for_each_patch,
            "One image loses more patches than another, as with a coin for each patch, or when one is drawn twice. "
            "Hide the same number in all: take the lowest of random ranks.",
            behaves=lambda trials: in_any(trials, lambda t: len(set(_share(t.case, t.seen["mask"]))) > 1),
        ),
    ),
    alternatives=(patch_by_patch, enlarged_by_interpolation),
    exact=False,
)  # fmt: skip


# --- 4.5 masked_loss ------------------------------------------------------------------------------------------------


def _reference_masked(x_hat, images, mask):
    hidden = mask.expand_as(images)
    return ((x_hat - images) ** 2 * hidden).sum() / hidden.sum().clamp(min=1)


def picked_by_the_mask(x_hat, images, mask):
    mask = mask.expand(-1, images.shape[1], -1, -1)
    if not mask.any():
        return x_hat.sum() * 0
    return F.mse_loss(x_hat[mask], images[mask])


def counted_by_hand(x_hat, images, mask):
    errors = F.mse_loss(x_hat, images, reduction="none")
    errors = torch.where(mask, errors, torch.zeros_like(errors))
    return errors.sum() / max(int(mask.sum()) * images.shape[1], 1)


def all_pixels(x_hat, images, mask):
    return F.mse_loss(x_hat, images)


def visible_pixels(x_hat, images, mask):
    visible = ~mask.expand_as(images)
    return ((x_hat - images) ** 2 * visible).sum() / visible.sum().clamp(min=1)


def divided_by_everything(x_hat, images, mask):
    return ((x_hat - images) ** 2 * mask).mean()


def summed_not_averaged(x_hat, images, mask):
    return ((x_hat - images) ** 2 * mask).sum()


def divided_by_images(x_hat, images, mask):
    return ((x_hat - images) ** 2 * mask).sum() / len(images)


def channels_not_counted(x_hat, images, mask):
    return ((x_hat - images) ** 2 * mask).sum() / mask.sum().clamp(min=1)


def mean_of_image_means(x_hat, images, mask):
    hidden = mask.expand_as(images)
    errors = ((x_hat - images) ** 2 * hidden).flatten(1).sum(dim=1)
    return (errors / hidden.flatten(1).sum(dim=1).clamp(min=1)).mean()


def index_that_does_not_fit(x_hat, images, mask):
    if not mask.any():
        return x_hat.sum() * 0
    return ((x_hat[mask] - images[mask]) ** 2).mean()


def nan_without_holes(x_hat, images, mask):
    mask = mask.expand_as(images)
    return ((x_hat[mask] - images[mask]) ** 2).mean()


def absolute_errors(x_hat, images, mask):
    hidden = mask.expand_as(images)
    return ((x_hat - images).abs() * hidden).sum() / hidden.sum().clamp(min=1)


def errors_that_cancel(x_hat, images, mask):
    hidden = mask.expand_as(images)
    return (((x_hat - images) * hidden).sum() / hidden.sum().clamp(min=1)) ** 2


def root_of_the_mean(x_hat, images, mask):
    hidden = mask.expand_as(images)
    return (((x_hat - images) ** 2 * hidden).sum() / hidden.sum().clamp(min=1)).sqrt()


def target_blackened(x_hat, images, mask):
    hidden = mask.expand_as(images)
    return ((x_hat - images.masked_fill(mask, 0)) ** 2 * hidden).sum() / hidden.sum().clamp(min=1)


def loss_of_each_pixel(x_hat, images, mask):
    return (x_hat - images) ** 2 * mask


def loss_as_a_number(x_hat, images, mask):
    hidden = mask.expand_as(images)
    return float(((x_hat - images) ** 2 * hidden).sum() / hidden.sum().clamp(min=1))


def loss_off_the_graph(x_hat, images, mask):
    hidden = mask.expand_as(images)
    with torch.no_grad():
        return ((x_hat - images) ** 2 * hidden).sum() / hidden.sum().clamp(min=1)


def _loss_is(trials: Sequence[Trial], value: Callable[[Tensor, Tensor, Tensor], Tensor]) -> bool:
    """Whether the loss is this function's on every case with holes, and not the right one everywhere."""
    found = [t for t in ran(trials) if t.case.name != "nothing_hidden"]
    inputs = ("x_hat", "images", "mask")
    return (
        bool(found)
        and all(close(t.seen["loss"], value(*(t.case.inputs[key].clone() for key in inputs)).detach()) for t in found)
        and not all(close(t.seen["loss"], t.expected["loss"]) for t in found)
    )


def _gradient_on_hidden_only(case: Case, seen: Values, expected: Values) -> bool:
    hidden = case.inputs["mask"].expand_as(case.inputs["images"])
    gradient = seen["gradient"]
    return bool((gradient[~hidden] == 0).all() and (not hidden.any() or gradient[hidden].any())) and close(
        seen["images_after"], case.inputs["images"]
    )


_GRAY = ("plain", "one", "uneven", "float64")
_COLOR = ("color", "as_many_images_as_channels", "transposed")


masked_loss = Judge(
    reference=_reference_masked,
    criteria=(
        Criterion(
            "value", 1, "the mean squared error of all hidden pixels",
            lambda c, s, e: close(s["loss"], e["loss"]), _GRAY,
        ),
        Criterion(
            "channels", 1, "with several channels every hidden value counts once",
            lambda c, s, e: close(s["loss"], e["loss"]), _COLOR,
        ),
        Criterion(
            "gradient", 1, "the gradient is zero on visible pixels, and only there", _gradient_on_hidden_only,
            (*_GRAY, *_COLOR),
        ),
        Criterion(
            "nothing_hidden", 1, "where nothing is hidden the loss is 0, not NaN",
            lambda c, s, e: close(s["loss"], e["loss"]) and not s["gradient"].any(), ("nothing_hidden",),
        ),
    ),
    mistakes=(
        Mistake(
            "index_that_does_not_fit", index_that_does_not_fit,
            "As an index, the mask `(N, 1, H, W)` fits images of one channel only. Expand it to the images' shape "
            "first.",
            behaves=lambda trials: any(t.error and t.error.type == "IndexError" for t in trials),
        ),
        Mistake(
            "loss_as_a_number", loss_as_a_number,
            "You give back a plain Python number, and with it the gradient is gone. Return the tensor.",
            behaves=lambda trials: in_any(trials, lambda t: isinstance(t.seen["loss"], float)),
        ),
        Mistake(
            "loss_of_each_pixel", loss_of_each_pixel,
            "You give back a number for each pixel or image. Training needs a single one: the mean over all that is "
            "hidden.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen["loss"].numel() > 1),
        ),
        Mistake(
            "loss_off_the_graph", loss_off_the_graph,
            "The value is right, but no gradient reaches `x_hat`: `detach`, `no_grad` or `.data` cuts it off, and "
            "nothing would be learned.",
            behaves=lambda trials: in_all(
                trials, lambda t: close(t.seen["loss"], t.expected["loss"]) and not t.seen["gradient"].any()
            ),
        ),
        Mistake(
            "all_pixels", all_pixels,
            "Visible pixels count in your loss too. They are easy to copy and far from the point: only hidden ones "
            "count.",
            behaves=lambda trials: _loss_is(trials, all_pixels),
        ),
        Mistake(
            "visible_pixels", visible_pixels,
            "You measure the visible pixels and leave the hidden ones out. `mask` is True where a pixel is hidden.",
            behaves=lambda trials: _loss_is(trials, visible_pixels),
        ),
        Mistake(
            "divided_by_everything", divided_by_everything,
            "The right errors, divided by the number of all pixels: hide less, and the loss shrinks by itself. Divide "
            "by the number of hidden ones.",
            behaves=lambda trials: _loss_is(trials, divided_by_everything),
        ),
        Mistake(
            "channels_not_counted", channels_not_counted,
            "With three channels your loss is three times too large: the sum runs over all channels, the count over "
            "the mask's only one.",
            behaves=lambda trials: _loss_is(trials, channels_not_counted),
        ),
        Mistake(
            "summed_not_averaged", summed_not_averaged,
            "You sum over the hidden pixels. A larger batch or mask would mean a larger loss: take the mean.",
            behaves=lambda trials: _loss_is(trials, summed_not_averaged),
        ),
        Mistake(
            "divided_by_images", divided_by_images,
            "You divide by the number of images. The mean over hidden pixels is asked for, in the whole batch.",
            behaves=lambda trials: _loss_is(trials, divided_by_images),
        ),
        Mistake(
            "mean_of_image_means", mean_of_image_means,
            "You average within each image first, then over images: a hole in an image with few holes counts for "
            "more. Every hidden pixel of the batch counts alike.",
            behaves=lambda trials: _loss_is(trials, mean_of_image_means),
        ),
        Mistake(
            "absolute_errors", absolute_errors,
            "You average absolute errors. The squared error is asked for.",
            behaves=lambda trials: _loss_is(trials, absolute_errors),
        ),
        Mistake(
            "errors_that_cancel", errors_that_cancel,
            "You average first and square afterwards, so errors of opposite sign cancel. Square every pixel's error.",
            behaves=lambda trials: _loss_is(trials, errors_that_cancel),
        ),
        Mistake(
            "root_of_the_mean", root_of_the_mean,
            "There is a square root at the end. Leave it out: the mean squared error is asked for.",
            behaves=lambda trials: _loss_is(trials, root_of_the_mean),
        ),
        Mistake(
            "target_blackened", target_blackened,
            "You compare with blackened images, so the network learns to draw black holes. The target is the whole "
            "image.",
            behaves=lambda trials: _loss_is(trials, target_blackened),
        ),
        Mistake(
            "nan_without_holes", nan_without_holes,
            "Where nothing is hidden the mean of nothing is NaN, and one such batch spoils all weights. Keep the "
            "divisor at 1 or more, or give back 0.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name == "nothing_hidden" and bool(t.seen["loss"].isnan())
            ),
        ),
    ),
    alternatives=(picked_by_the_mask, counted_by_hand),
)  # fmt: skip


# --- 4.6 linear_probe -----------------------------------------------------------------------------------------------


def _reference_probe(encoder, images, labels, test_images, test_labels):
    train_x, test_x = (evaluation.extract_features(encoder, x) for x in (images, test_images))
    return evaluation.linear_probe(train_x, labels, test_x, test_labels)


def probe_by_gradient_descent(encoder, images, labels, test_images, test_labels):
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        train_x, test_x = encoder(images), encoder(test_images)
    encoder.train(was_training)
    mean, std = train_x.mean(dim=0), train_x.std(dim=0) + 1e-6
    head = nn.Linear(train_x.shape[1], int(labels.max()) + 1).to(images.device)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(100):
        loss = F.cross_entropy(head((train_x - mean) / std), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (head((test_x - mean) / std).argmax(dim=1) == test_labels).float().mean().item()


def probe_by_least_squares(encoder, images, labels, test_images, test_labels):
    mode = encoder.training
    encoder.train(False)
    with torch.no_grad():
        x, z = encoder(images), encoder(test_images)
    encoder.train(mode)
    mean, std = x.mean(dim=0), x.std(dim=0).clamp(min=1e-8)
    x, z = (x - mean) / std, (z - mean) / std
    targets = F.one_hot(labels).float()
    eye = torch.eye(x.shape[1], device=x.device)
    weight = torch.linalg.solve(x.T @ x + eye, x.T @ (targets - targets.mean(dim=0)))
    guesses = (z @ weight + targets.mean(dim=0)).argmax(dim=1)
    return float((guesses == test_labels).float().mean())


def probe_by_sklearn(encoder, images, labels, test_images, test_labels):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    mode = encoder.training
    encoder.eval()
    with torch.no_grad():
        x, z = encoder(images).cpu().numpy(), encoder(test_images).cpu().numpy()
    encoder.train(mode)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, labels.cpu().numpy())
    return probe.score(z, test_labels.cpu().numpy())


def encoder_trained_too(encoder, images, labels, test_images, test_labels):
    mode = encoder.training
    encoder.eval()
    head = nn.Linear(encoder(images).shape[1], int(labels.max()) + 1).to(images.device)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=0.01)
    for _ in range(20):
        loss = F.cross_entropy(head(encoder(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (head(encoder(test_images)).argmax(dim=1) == test_labels).float().mean().item()
    encoder.train(mode)
    return accuracy


def features_in_train_mode(encoder, images, labels, test_images, test_labels):
    with torch.no_grad():
        x, z = encoder(images), encoder(test_images)
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, z = (x - mean) / std, (z - mean) / std
    weight = torch.linalg.solve(x.T @ x + torch.eye(x.shape[1], device=x.device), x.T @ F.one_hot(labels).float())
    return ((z @ weight).argmax(dim=1) == test_labels).float().mean().item()


def encoder_left_in_eval(encoder, images, labels, test_images, test_labels):
    encoder.eval()
    with torch.no_grad():
        x, z = encoder(images), encoder(test_images)
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, z = (x - mean) / std, (z - mean) / std
    weight = torch.linalg.solve(x.T @ x + torch.eye(x.shape[1], device=x.device), x.T @ F.one_hot(labels).float())
    return ((z @ weight).argmax(dim=1) == test_labels).float().mean().item()


def encoder_woken_up(encoder, images, labels, test_images, test_labels):
    encoder.eval()
    with torch.no_grad():
        x, z = encoder(images), encoder(test_images)
    encoder.train()
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, z = (x - mean) / std, (z - mean) / std
    weight = torch.linalg.solve(x.T @ x + torch.eye(x.shape[1], device=x.device), x.T @ F.one_hot(labels).float())
    return ((z @ weight).argmax(dim=1) == test_labels).float().mean().item()


def frozen_for_good(encoder, images, labels, test_images, test_labels):
    mode = encoder.training
    encoder.eval().requires_grad_(False)
    x, z = encoder(images), encoder(test_images)
    encoder.train(mode)
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, z = (x - mean) / std, (z - mean) / std
    weight = torch.linalg.solve(x.T @ x + torch.eye(x.shape[1], device=x.device), x.T @ F.one_hot(labels).float())
    return ((z @ weight).argmax(dim=1) == test_labels).float().mean().item()


def not_standardized(encoder, images, labels, test_images, test_labels):
    mode = encoder.training
    encoder.eval()
    with torch.no_grad():
        x, z = encoder(images), encoder(test_images)
    encoder.train(mode)
    head = nn.Linear(x.shape[1], int(labels.max()) + 1).to(images.device)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(40):
        loss = F.cross_entropy(head(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (head(z).argmax(dim=1) == test_labels).float().mean().item()


def test_by_its_own_statistics(encoder, images, labels, test_images, test_labels):
    mode = encoder.training
    encoder.eval()
    with torch.no_grad():
        x, z = encoder(images), encoder(test_images)
    encoder.train(mode)
    x, z = (x - x.mean(dim=0)) / (x.std(dim=0) + 1e-6), (z - z.mean(dim=0)) / (z.std(dim=0) + 1e-6)
    weight = torch.linalg.solve(x.T @ x + torch.eye(x.shape[1], device=x.device), x.T @ F.one_hot(labels).float())
    return ((z @ weight).argmax(dim=1) == test_labels).float().mean().item()


def accuracy_on_training_images(encoder, images, labels, test_images, test_labels):
    mode = encoder.training
    encoder.eval()
    with torch.no_grad():
        x, z = encoder(images), encoder(test_images)
    encoder.train(mode)
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, z = (x - mean) / std, (z - mean) / std
    weight = torch.linalg.solve(x.T @ x + torch.eye(x.shape[1], device=x.device), x.T @ F.one_hot(labels).float())
    return ((x @ weight).argmax(dim=1) == labels).float().mean().item()


def taught_by_the_test_labels(encoder, images, labels, test_images, test_labels):
    mode = encoder.training
    encoder.eval()
    with torch.no_grad():
        x, z = encoder(images), encoder(test_images)
    encoder.train(mode)
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, z = (x - mean) / std, (z - mean) / std
    targets = F.one_hot(test_labels).float()
    weight = torch.linalg.solve(z.T @ z + 0.001 * torch.eye(z.shape[1], device=z.device), z.T @ targets)
    return ((z @ weight).argmax(dim=1) == test_labels).float().mean().item()


def labels_of_other_images(encoder, images, labels, test_images, test_labels):
    mode = encoder.training
    encoder.eval()
    with torch.no_grad():
        x, z = encoder(images), encoder(test_images)
    encoder.train(mode)
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, z = (x - mean) / std, (z - mean) / std
    x = x[torch.randperm(len(x))]
    weight = torch.linalg.solve(x.T @ x + torch.eye(x.shape[1], device=x.device), x.T @ F.one_hot(labels).float())
    return ((z @ weight).argmax(dim=1) == test_labels).float().mean().item()


def head_never_trained(encoder, images, labels, test_images, test_labels):
    mode = encoder.training
    encoder.eval()
    with torch.no_grad():
        x, z = encoder(images), encoder(test_images)
    encoder.train(mode)
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, z = (x - mean) / std, (z - mean) / std
    head = nn.Linear(x.shape[1], int(labels.max()) + 1).to(images.device)
    return (head(z).argmax(dim=1) == test_labels).float().mean().item()


def number_of_right_ones(encoder, images, labels, test_images, test_labels):
    mode = encoder.training
    encoder.eval()
    with torch.no_grad():
        x, z = encoder(images), encoder(test_images)
    encoder.train(mode)
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, z = (x - mean) / std, (z - mean) / std
    weight = torch.linalg.solve(x.T @ x + torch.eye(x.shape[1], device=x.device), x.T @ F.one_hot(labels).float())
    return ((z @ weight).argmax(dim=1) == test_labels).sum().item()


def accuracy_in_percent(encoder, images, labels, test_images, test_labels):
    mode = encoder.training
    encoder.eval()
    with torch.no_grad():
        x, z = encoder(images), encoder(test_images)
    encoder.train(mode)
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, z = (x - mean) / std, (z - mean) / std
    weight = torch.linalg.solve(x.T @ x + torch.eye(x.shape[1], device=x.device), x.T @ F.one_hot(labels).float())
    return 100 * ((z @ weight).argmax(dim=1) == test_labels).float().mean().item()


def accuracy_as_a_tensor(encoder, images, labels, test_images, test_labels):
    mode = encoder.training
    encoder.eval()
    with torch.no_grad():
        x, z = encoder(images), encoder(test_images)
    encoder.train(mode)
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, z = (x - mean) / std, (z - mean) / std
    weight = torch.linalg.solve(x.T @ x + torch.eye(x.shape[1], device=x.device), x.T @ F.one_hot(labels).float())
    return ((z @ weight).argmax(dim=1) == test_labels).float().mean()


_TOLERANCE = 0.06  # two or three of the test images: any linear classifier that was fitted is nearer than this
_ORDINARY = ("plain", "already_in_eval_mode")


def _off(trial: Trial) -> float:
    """How far the accuracy is above what it should be."""
    return as_number(trial.seen["accuracy"]) - float(trial.expected["accuracy"])


def _accuracy_fine(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["accuracy"], float) and abs(seen["accuracy"] - expected["accuracy"]) < _TOLERANCE


def _encoder_at_rest(case: Case, seen: Values, expected: Values) -> bool:
    return (
        seen["modes"] == ["eval"]
        and close(seen["weights_after"], seen["weights_before"])
        and close(seen["running_mean_after"], expected["running_mean_after"])
        and seen["weights_require_grad_after"] == expected["weights_require_grad_after"]
        and seen["grad_mode_after"] == 1
    )


linear_probe = Judge(
    reference=_reference_probe,
    criteria=(
        Criterion(
            "accuracy", 1, "a linear layer on the training features, and its accuracy on the test images, from 0 to 1",
            _accuracy_fine, _ORDINARY,
        ),
        Criterion(
            "standardized", 1, "features are standardized, so that their scale does not matter", _accuracy_fine,
            ("far_from_zero",),
        ),
        Criterion(
            "training_statistics", 1, "mean and deviation are the training features', for the test features too",
            _accuracy_fine, ("one_class_in_the_test_set",),
        ),
        Criterion("at_rest", 1, "the encoder works in eval mode, and none of its numbers moves", _encoder_at_rest),
        Criterion(
            "mode_restored", 1, "afterwards the encoder is in the mode that it was in",
            lambda c, s, e: s["mode_after"] == c.inputs["mode_before"] and bool(s["modes"]),
        ),
    ),
    mistakes=(
        Mistake(
            "encoder_trained_too", encoder_trained_too,
            "The encoder's weights have moved: this is fine-tuning. A probe measures the encoder as it is; only the "
            "linear layer learns.",
            behaves=lambda trials: in_any(
                trials, lambda t: not close(t.seen["weights_after"], t.seen["weights_before"], rtol=1e-6, atol=1e-7)
            ),
        ),
        Mistake(
            "features_in_train_mode", features_in_train_mode,
            "The encoder works in train mode: dropout blots features out, and batch normalization learns from the "
            "test images. Switch to eval mode.",
            behaves=lambda trials: in_any(trials, lambda t: "train" in t.seen["modes"]),
        ),
        Mistake(
            "frozen_for_good", frozen_for_good,
            "You switch `requires_grad` of the weights off, and it stays off: the encoder can never be fine-tuned "
            "again. A measurement needs `torch.no_grad()` only.",
            behaves=lambda trials: in_any(trials, lambda t: 0 in t.seen["weights_require_grad_after"]),
        ),
        Mistake(
            "encoder_left_in_eval", encoder_left_in_eval,
            "Afterwards the encoder is still in eval mode, and training that goes on would go on wrongly. Put back "
            "the mode that you found.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["mode_before"] == "train" and t.seen["mode_after"] == "eval"
            ),
        ),
        Mistake(
            "encoder_woken_up", encoder_woken_up,
            "An encoder that came in eval mode leaves in train mode. Remember `encoder.training` before you change "
            "it.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.inputs["mode_before"] == "eval" and t.seen["mode_after"] == "train"
            ),
        ),
        Mistake(
            "accuracy_as_a_tensor", accuracy_as_a_tensor,
            "You give back a tensor. Return a plain number, so that it can be written down: `.item()`.",
            behaves=lambda trials: in_all(trials, lambda t: isinstance(t.seen["accuracy"], Tensor)),
        ),
        Mistake(
            "accuracy_in_percent", accuracy_in_percent,
            "Your accuracy is in percent. Accuracies of this course are shares, from 0 to 1.",
            behaves=lambda trials: all(
                as_number(t.seen["accuracy"]) > 1.5 and abs(t.seen["accuracy"] / 100 - t.expected["accuracy"])
                < _TOLERANCE for t in named(trials, *_ORDINARY)
            ),
        ),
        Mistake(
            "number_of_right_ones", number_of_right_ones,
            "You count the images that are right. Divide by how many there are.",
            behaves=lambda trials: all(as_number(t.seen["accuracy"]) > 1.5 for t in named(trials, *_ORDINARY)),
        ),
        Mistake(
            "accuracy_on_training_images", accuracy_on_training_images,
            "Every image is right, which no honest probe can reach here. Either this is the accuracy on the training "
            "images, or the test labels have taught the linear layer: they are for measuring alone.",
            behaves=lambda trials: in_all(trials, lambda t: as_number(t.seen["accuracy"]) > 0.99),
        ),
        Mistake(
            "taught_by_the_test_labels", taught_by_the_test_labels,
            "It is better than any honest probe can be here: the test labels must have taught it. They are for "
            "measuring alone.",
            behaves=lambda trials: all(_off(t) > 0.02 for t in named(trials, *_ORDINARY)),
        ),
        Mistake(
            "labels_of_other_images", labels_of_other_images,
            "It does no better than guessing, or hardly. Do features and labels stand in the same order? A shuffled "
            "loader gives every image the label of another.",
        ),
        Mistake(
            "head_never_trained", head_never_trained,
            "It does no better than guessing, or hardly: the linear layer has not learned. Does its optimizer step, "
            "often enough, on the training features and their own labels?",
            behaves=lambda trials: all(_off(t) < -0.2 for t in named(trials, *_ORDINARY)),
        ),
        Mistake(
            "test_by_its_own_statistics", test_by_its_own_statistics,
            "The test features are standardized by their own mean and deviation. When the test set is composed "
            "otherwise, that moves it under the classifier: use those of the training features for both.",
            behaves=lambda trials: _off(named(trials, "one_class_in_the_test_set")[0]) < -_TOLERANCE
            and all(abs(_off(t)) < _TOLERANCE for t in named(trials, *_ORDINARY, "far_from_zero")),
        ),
        Mistake(
            "not_standardized", not_standardized,
            "Features that are small, or far from zero, defeat your classifier: within its steps it learns nothing. "
            "Standardize them by the training features' mean and deviation.",
            behaves=lambda trials: _off(named(trials, "far_from_zero")[0]) < -_TOLERANCE
            and all(abs(_off(t)) < _TOLERANCE for t in named(trials, *_ORDINARY)),
        ),
    ),
    alternatives=(probe_by_gradient_descent, probe_by_least_squares, probe_by_sklearn),
    exact=False,
)  # fmt: skip

JUDGES = {
    "rotate_batch": rotate_batch,
    "rotation_pretext": rotation_pretext,
    "flip_pretext": flip_pretext,
    "mask_patches": mask_patches,
    "masked_loss": masked_loss,
    "linear_probe": linear_probe,
}
