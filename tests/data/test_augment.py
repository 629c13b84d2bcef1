"""Augmentation: one parameter per image, same shape, type and device, the same for a seed."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from course_lib.data import augment
from course_lib.data.augment import (
    compose,
    cutout,
    gaussian_noise,
    random_affine,
    random_brightness_contrast,
    random_crop,
    random_horizontal_flip,
    random_shift,
)

ALL = (
    random_shift,
    random_crop,
    random_horizontal_flip,
    random_affine,
    cutout,
    random_brightness_contrast,
    gaussian_noise,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def one_image(count: int = 32, channels: int = 1, height: int = 20, width: int = 20, **kind) -> torch.Tensor:
    """The same image `count` times, so that every difference between the results is the augmentation's."""
    return torch.rand(1, channels, height, width, generator=generator(5)).to(**kind).repeat(count, 1, 1, 1)


@pytest.mark.parametrize("function", ALL)
def test_each_image_draws_its_own_parameters(function):
    out = function(one_image(), generator=generator())
    assert len(out.flatten(1).unique(dim=0)) > (1 if function is random_horizontal_flip else 4)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_type_and_input_are_kept(function, dtype):
    x = one_image(4, 3, 12, 18, dtype=dtype)
    before = x.clone()
    out = function(x, generator=generator())
    assert out.shape == x.shape and out.dtype == dtype and out.device == x.device
    assert torch.equal(x, before)


@pytest.mark.parametrize("function", ALL)
def test_non_contiguous_images_and_batches_of_one(function):
    x = torch.rand(1, 16, 12, 3, generator=generator()).permute(0, 3, 2, 1)
    expected = function(x.contiguous(), generator=generator(1))
    torch.testing.assert_close(function(x, generator=generator(1)), expected)


@pytest.mark.parametrize("function", ALL)
def test_a_seed_repeats_it_and_the_global_state_is_left_alone(function):
    before = torch.get_rng_state()
    x = one_image()
    assert torch.equal(function(x, generator=generator(2)), function(x, generator=generator(2)))
    assert not torch.equal(function(x, generator=generator(2)), function(x, generator=generator(3)))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize(
    ("x", "says"), [(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), "as_float"), (torch.zeros(8, 8), r"\(8, 8\)")]
)
def test_other_types_and_shapes_are_refused(function, x, says):
    with pytest.raises(ValueError, match=says):
        function(x, generator=generator())


def test_shift_moves_by_whole_pixels_up_to_the_limit():
    x = torch.zeros(300, 1, 15, 15)
    x[:, :, 7, 7] = 1
    out = random_shift(x, max_shift=3, generator=generator())
    place = out.flatten(1).argmax(1)
    assert (out.flatten(1).sum(1) == 1).all()
    assert sorted(set((place // 15).tolist())) == sorted(set((place % 15).tolist())) == list(range(4, 11))


def test_shift_repeats_the_border():
    assert random_shift(torch.full((20, 1, 6, 6), 0.3), max_shift=3, generator=generator()).unique().numel() == 1


def test_crop_windows_are_windows_of_the_padded_image():
    x = torch.rand(40, 2, 10, 10, generator=generator(1))
    out = random_crop(x, size=8, padding=2, generator=generator())
    assert out.shape == (40, 2, 8, 8)
    windows = F.pad(x, (2, 2, 2, 2)).unfold(2, 8, 1).unfold(3, 8, 1)  # (N, C, 7, 7, 8, 8)
    same = (windows == out[:, :, None, None]).flatten(4).all(4).all(1)
    assert same.flatten(1).any(1).all()


def test_flip_mirrors_the_share_asked_for():
    x = torch.rand(1000, 1, 4, 4, generator=generator(1))
    out = random_horizontal_flip(x, probability=0.3, generator=generator())
    flipped = (out == x.flip(3)).flatten(1).all(1)
    kept = (out == x).flatten(1).all(1)
    assert (flipped ^ kept).all() and 0.24 < flipped.float().mean() < 0.36


def test_affine_without_room_changes_nothing():
    x = torch.rand(3, 1, 9, 13, generator=generator(1))
    out = random_affine(x, max_degrees=0, max_shift=0, scale=(1, 1), generator=generator())
    torch.testing.assert_close(out, x)


def test_affine_turns_by_up_to_the_angle_also_in_oblong_images():
    """A dot on the right of the center: where it lands is the angle, whatever the shape of the image."""
    x = torch.zeros(200, 1, 41, 61)
    x[:, :, 19:22, 44:47] = 1  # 15 pixels right of the center
    out = random_affine(x, max_degrees=30, max_shift=0, scale=(1, 1), generator=generator())[:, 0]
    rows, columns = torch.arange(41.0) - 20, torch.arange(61.0) - 30
    mass = out.sum((1, 2))
    down, right = (out.sum(2) * rows).sum(1) / mass, (out.sum(1) * columns).sum(1) / mass
    assert ((down**2 + right**2).sqrt() - 15).abs().max() < 0.3
    angle = torch.atan2(down, right) * 180 / math.pi
    assert angle.abs().max() < 30.5 and angle.min() < -25 and angle.max() > 25


def test_affine_scale_and_shift_mean_what_they_say():
    x = torch.zeros(1, 1, 40, 40)
    x[:, :, 10:30, 10:30] = 1
    large = random_affine(x, max_degrees=0, max_shift=0, scale=(1.5, 1.5), generator=generator())
    assert 0.95 < large.sum() / (x.sum() * 1.5**2) < 1.05
    dots = torch.zeros(200, 1, 40, 40)
    dots[:, :, 20, 20] = 1
    moved = random_affine(dots, max_degrees=0, max_shift=0.25, scale=(1, 1), generator=generator())
    place = moved[:, 0].sum(1) @ torch.arange(40.0) / moved.sum((1, 2, 3)) - 20
    assert place.abs().max() <= 10.5 and place.min() < -8 and place.max() > 8


def test_cutout_covers_one_square_an_image():
    x = torch.rand(200, 2, 16, 16, generator=generator(1)) + 0.5
    out = cutout(x, size=4, fill=0.0, generator=generator())
    gone = (out == 0).all(1)
    assert torch.equal(out[:, 0] == 0, out[:, 1] == 0)
    assert gone.flatten(1).sum(1).max() == 16 and (gone.flatten(1).sum(1) >= 4).all()
    rows, columns = gone.any(2).sum(1), gone.any(1).sum(1)
    assert torch.equal(rows * columns, gone.flatten(1).sum(1))  # a rectangle
    assert torch.equal(out[~gone[:, None].expand_as(out)], x[~gone[:, None].expand_as(x)])


def test_brightness_and_contrast_stay_within_their_limits():
    x = 0.5 + 0.1 * (torch.rand(500, 1, 8, 8, generator=generator(1)) - 0.5)
    out = random_brightness_contrast(x, brightness=0.2, contrast=0.3, generator=generator())
    move = out.mean((1, 2, 3)) - x.mean((1, 2, 3))
    gain = out.std((1, 2, 3)) / x.std((1, 2, 3))
    assert move.abs().max() <= 0.2 + 1e-6 and move.min() < -0.15 and move.max() > 0.15
    assert 0.7 - 1e-4 <= gain.min() < 0.75 and 1.25 < gain.max() <= 1.3 + 1e-4
    assert random_brightness_contrast(x, brightness=1.0, generator=generator()).amin() >= 0


def test_noise_has_the_standard_deviation_asked_for():
    x = torch.full((20, 1, 50, 50), 0.5)
    out = gaussian_noise(x, std=0.05, generator=generator())
    assert abs(float((out - x).std()) - 0.05) < 0.002 and abs(float((out - x).mean())) < 0.002


def test_compose_applies_in_order_with_one_generator():
    x, shared = one_image(), generator(4)
    expected = gaussian_noise(random_shift(x, generator=shared), generator=shared)
    assert torch.equal(compose(random_shift, gaussian_noise)(x, generator=generator(4)), expected)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x, g: random_crop(x, size=30, padding=2, generator=g), "30x30 does not fit 20x20"),
        (lambda x, g: cutout(x, size=0, generator=g), "at least 1 pixel"),
        (lambda x, g: random_affine(x, scale=(0, 1), generator=g), "above 0"),
        (lambda x, g: gaussian_noise(x, std=-1, generator=g), "must not be negative"),
    ],
)
def test_bad_parameters_are_said(call, says):
    with pytest.raises(ValueError, match=says):
        call(one_image(), generator())


@pytest.mark.gpu
@pytest.mark.parametrize("function", ALL)
def test_the_gpu_draws_the_same(function, cuda):
    x = one_image(8, 3)
    out = function(x.to(cuda), generator=generator(1))
    assert out.device.type == "cuda"
    torch.testing.assert_close(out.cpu(), function(x, generator=generator(1)), atol=1e-4, rtol=1e-4)


def test_all_public_augmentations_are_tested():
    public = {name for name, value in vars(augment).items() if callable(value) and name[0] != "_" and
              getattr(value, "__module__", "") == augment.__name__}  # fmt: skip
    assert public == {function.__name__ for function in ALL} | {"compose", "turned"}


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_turned_by_quarters_is_rot90(quarters):
    x = torch.rand(3, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(augment.turned(x, 90 * quarters), torch.rot90(x, quarters, dims=(2, 3)), atol=1e-5)


def test_turned_images_have_black_corners_or_repeated_borders():
    x = torch.ones(2, 1, 12, 12)
    assert augment.turned(x, 45)[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].abs().max() == 0
    assert torch.allclose(augment.turned(x, 45, padding="border"), x)


def test_turned_keeps_the_aspect_ratio():
    x = torch.zeros(1, 1, 9, 17)
    x[..., 4, 10] = 1.0  # two to the right of the center
    assert augment.turned(x, 90)[0, 0].flatten().argmax() == 2 * 17 + 8  # two above it
