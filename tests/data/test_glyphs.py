"""Glyphs: the same bytes for a seed, factors that are those of the pictures, variations that do what they say."""

from __future__ import annotations

import dataclasses
import inspect
import re

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from torch import Tensor

from course_lib.data import ANOMALIES, CLASSES, ImageData, Variation, as_float, draw_glyphs, load

PLAIN = {"clutter": 0, "noise": 0}
STILL = {"clutter": 0, "noise": 0, "jitter": 0}


def ink(**options) -> tuple[ImageData, Tensor]:
    """Images without clutter and noise, and how much each pixel differs from the plane that fits the image's border."""
    data = load("glyphs", clutter=0, noise=0, **options)
    x = as_float(data.images)[:, 0].double()
    rows, columns = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    border = (rows < 1) | (rows > 26) | (columns < 1) | (columns > 26)
    design = torch.stack([torch.ones(28, 28), rows, columns], dim=-1).double()
    plane = torch.linalg.lstsq(design[border].expand(len(x), -1, -1), x[:, border].unsqueeze(-1)).solution  # (N, 3, 1)
    rest = (x - (design.reshape(-1, 3) @ plane).reshape(-1, 28, 28)).abs()
    return data, torch.where(rest > 0.1, rest, 0.0)


def center(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Center of mass of each (28, 28) picture, in pixels from the middle, right and up."""
    across = torch.arange(28, dtype=weight.dtype) - 13.5
    total = weight.sum((1, 2))
    return (weight.sum(1) * across).sum(1) / total, -(weight.sum(2) * across).sum(1) / total


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    first, again, other = (load("glyphs", n=60, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.images, again.images) and torch.equal(first.labels, again.labels)
    assert all(torch.equal(first.factors[key], again.factors[key]) for key in first.factors)
    assert (first.images != other.images).float().mean() > 0.5


def test_the_global_random_state_neither_matters_nor_changes():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = load("glyphs", n=10)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(load("glyphs", n=10).images, first.images)


def test_an_image_does_not_depend_on_how_many_are_asked_for():
    many, some = load("glyphs", n=700, seed=1), load("glyphs", n=510, seed=1)
    assert torch.equal(many.images[:510], some.images)
    assert torch.equal(many.labels[:510], some.labels)
    assert torch.equal(many.factors["tilt"][:510], some.factors["tilt"])


def test_the_thread_count_does_not_change_a_byte():
    one = load("glyphs", n=500, seed=5).images
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = load("glyphs", n=500, seed=5).images
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(one, two)


def test_splits_are_different_streams():
    train, validation, test = (load("glyphs", split=split, n=100).images for split in ("train", "validation", "test"))
    for a, b in ((train, validation), (train, test), (validation, test)):
        assert not (a[:, None] == b[None]).flatten(2).all(2).any()


def test_shapes_types_and_names():
    data = load("glyphs", n=7)
    assert data.images.shape == (7, 1, 28, 28) and data.images.dtype == torch.uint8
    assert data.labels.dtype == torch.int64 and data.class_names == CLASSES and len(CLASSES) == 10
    assert data.name == "glyphs" and all(value.shape == (7,) for value in data.factors.values())
    assert len(load("glyphs", split="test")) == 2000


def test_classes_are_balanced_unless_told_otherwise():
    assert load("glyphs", n=1000).labels.bincount().tolist() == [100] * 10
    counts = load("glyphs", n=5000, imbalance=10).labels.bincount(minlength=10)
    assert (counts[:-1] >= counts[1:] - 40).all()
    assert 7 < counts[0] / counts[-1] < 14


@pytest.mark.parametrize("style", ["filled", "outlined"])
def test_position_factors_are_where_the_shape_is(style):
    data, weight = ink(n=500, style=style)
    x, y = center(weight)
    for label in range(10):  # a class has its own center of mass, so its images are compared with each other
        chosen = (data.labels == label) & (data.factors["mirrored"] == 0)
        assert pearsonr(x[chosen], data.factors["x"][chosen])[0] > 0.9
        assert pearsonr(y[chosen], data.factors["y"][chosen])[0] > 0.9
        slope = np.polyfit(data.factors["y"][chosen].numpy(), y[chosen].numpy(), 1)[0]
        assert 0.7 < slope < 1.3  # pixels for pixels


def test_scale_is_how_large_the_shape_is():
    data, weight = ink(n=1000)
    area = (weight > 0.1).double().sum((1, 2)).sqrt()
    for label in range(10):
        chosen = data.labels == label
        assert pearsonr(area[chosen], data.factors["scale"][chosen])[0] > 0.8


def test_tilt_is_the_angle_counterclockwise():
    """The axis of a key, from its second moments: an estimate that knows nothing of how keys are drawn."""
    data, weight = ink(n=500, classes=["key"])
    x, y = center(weight)
    across = torch.arange(28, dtype=torch.float64) - 13.5
    right, up = across - x[:, None], -across - y[:, None]
    xx = (weight.sum(1) * right**2).sum(1)
    yy = (weight.sum(2) * up**2).sum(1)
    xy = (weight * up[:, :, None] * right[:, None, :]).sum((1, 2))
    lean = -0.5 * torch.atan2(2 * xy, yy - xx)  # an axis that leans left is a turn counterclockwise
    assert pearsonr(lean, data.factors["tilt"])[0] > 0.85


def test_noise_contrast_and_background_are_in_gray_levels():
    quiet = load("glyphs", n=500, clutter=0, noise=0)
    noisy = load("glyphs", n=500, clutter=0, noise=1)
    inside = ((quiet.images > 40) & (quiet.images < 215) & (noisy.images > 0) & (noisy.images < 255)).double()
    change = (as_float(noisy.images) - as_float(quiet.images)).double()
    std = ((change**2 * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3))).sqrt()
    keep = (noisy.factors["noise"] > 0.02) & (inside.sum((1, 2, 3)) > 300)
    assert keep.sum() > 100
    assert ((std / noisy.factors["noise"])[keep] - 1).abs().median() < 0.1
    still = load("glyphs", n=500, classes=["house"], **STILL)
    middle = as_float(still.images)[:, 0, 13:15, 13:15].mean((1, 2))  # in the wall of the house
    assert (middle - (still.factors["background"] + still.factors["contrast"])).abs().max() < 0.01


def test_clutter_counts_the_stray_things():
    with_clutter, without = load("glyphs", n=500, noise=0), load("glyphs", n=500, noise=0, clutter=0)
    changed = (with_clutter.images != without.images).flatten(1).sum(1)
    assert (changed[with_clutter.factors["clutter"] == 0] == 0).all()
    assert pearsonr(changed, with_clutter.factors["clutter"])[0] > 0.5
    assert without.factors["clutter"].sum() == 0


def test_classes_are_told_apart_and_upright():
    """A nearest-template classifier that allows for no shift is right on clean images, and knows which way is up."""
    templates = as_float(load("glyphs", n=500, seed=1, **STILL).images)
    labels = load("glyphs", n=500, seed=1, **STILL).labels
    mean = torch.stack([templates[labels == k].mean(0) for k in range(10)]).flatten(1)
    mean = torch.nn.functional.normalize(mean - mean.mean(1, keepdim=True), dim=1)
    assert ((mean @ mean.T).fill_diagonal_(0) < 0.97).all()

    data = load("glyphs", n=500, seed=2, jitter=0.3, **PLAIN)
    mirrored = data.factors["mirrored"].bool()[:, None, None, None]
    x = as_float(torch.where(mirrored, data.images.flip(3), data.images))
    score = torch.stack([torch.rot90(x, k, (2, 3)).flatten(1) - x.flatten(1).mean(1, keepdim=True) for k in range(4)])
    match = torch.nn.functional.normalize(score, dim=2) @ mean.T  # (4 turns, N, 10)
    upright = match[0].argmax(1) == data.labels
    assert upright.float().mean() > 0.85
    right_way_up = match[torch.arange(4)[:, None], torch.arange(500), data.labels].argmax(0) == 0
    for label in range(10):
        assert right_way_up[data.labels == label].float().mean() > 0.9, CLASSES[label]


def test_up_is_up():
    """What anybody knows of these things: a roof, a sail and a star are pointed above, a tree is widest below."""
    data, weight = ink(n=500, jitter=0)
    narrow_above, wide_below = [], []
    for widths in (weight > 0.1).sum(2):  # width of each row
        used = widths[widths > 0].double()
        quarter = max(len(used) // 4, 1)
        narrow_above.append(bool(used[:quarter].mean() < used[-quarter:].mean()))
        wide_below.append(bool(used.argmax() > len(used) / 2))
    for name in ("house", "boat", "star"):
        assert all(narrow_above[i] for i in range(500) if data.labels[i] == CLASSES.index(name)), name
    for name in ("cup", "umbrella", "mushroom", "lamp"):
        assert not any(narrow_above[i] for i in range(500) if data.labels[i] == CLASSES.index(name)), name
    assert all(wide_below[i] for i in range(500) if data.labels[i] == CLASSES.index("tree"))
    assert not any(wide_below[i] for i in range(500) if data.labels[i] == CLASSES.index("key"))


def test_anomalies_look_the_same_when_turned_and_the_classes_do_not():
    data, weight = ink(n=600, classes=[*CLASSES, *ANOMALIES], style="outlined", jitter=0)
    weight = weight / weight.sum((1, 2), keepdim=True)
    moved = (weight - torch.rot90(weight, 1, (1, 2))).abs().sum((1, 2)) / 2  # share of ink that is elsewhere
    for label, name in enumerate(data.class_names):
        share = moved[data.labels == label].mean()
        assert share < 0.12 if name in ANOMALIES else share > 0.25, (name, float(share))


def test_the_two_styles_show_the_same_scene_inverted():
    filled, outlined = (load("glyphs", n=500, noise=0, style=style) for style in ("filled", "outlined"))
    assert torch.equal(filled.labels, outlined.labels)
    assert all(torch.equal(filled.factors[key], outlined.factors[key]) for key in filled.factors)
    assert as_float(filled.images).mean() < 0.45 and as_float(outlined.images).mean() > 0.55
    border = (as_float(filled.images) + as_float(outlined.images))[:, 0, 0]
    assert (border - 1).abs().median() < 0.01  # the background is the same, inverted


def test_class_subsets_are_drawn_in_the_order_given():
    data = load("glyphs", n=300, classes=["fish", 0])
    assert data.class_names == ("fish", "house") and set(data.labels.tolist()) == {0, 1}
    whole = load("glyphs", n=500, **STILL)
    fish = load("glyphs", n=10, classes=["fish"], **STILL)
    mean = torch.stack([as_float(whole.images[whole.labels == k]).mean(0) for k in range(10)]).flatten(1)
    correlation = torch.corrcoef(torch.cat([as_float(fish.images).mean(0).flatten()[None], mean]))[0, 1:]
    assert correlation.argmax() == CLASSES.index("fish")


def test_anomalies_are_further_classes_and_marked():
    data, normal = load("glyphs", n=1000, anomalies=0.2), load("glyphs", n=1000)
    odd = data.factors["anomaly"].bool()
    assert data.class_names == (*CLASSES, *ANOMALIES)
    assert 0.15 < odd.float().mean() < 0.25 and torch.equal(odd, data.labels >= 10)
    assert set(data.labels[odd].tolist()) == {10, 11}
    assert torch.equal(data.images[~odd], normal.images[~odd])


def test_label_noise_changes_the_share_asked_for_and_keeps_the_truth():
    data, clean = load("glyphs", n=2000, label_noise=0.3), load("glyphs", n=2000)
    wrong = data.labels != clean.labels
    assert 0.26 < wrong.float().mean() < 0.34
    assert torch.equal(data.images, clean.images) and torch.equal(data.factors["true_label"], clean.labels)
    assert len(set(data.labels[wrong & (clean.labels == 3)].tolist())) == 9  # any other class


def test_a_few_thousand_images_a_second():
    import time

    load("glyphs", n=500)
    began = time.process_time()
    load("glyphs", n=3000)
    assert 3000 / (time.process_time() - began) > 2000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"style": "dotted"}, "filled and outlined"),
        ({"classes": ["house", "dragon"]}, "'dragon'.*house, tree"),
        ({"classes": "house"}, r"\['house', 'tree'\]"),
        ({"classes": [11]}, "0 to 9"),
        ({"classes": ["house", "house"]}, "none twice"),
        ({"classes": []}, "at least one class"),
        ({"noise": -1}, "noise must be between 0"),
        ({"label_noise": 1.5}, "label_noise must be between 0 and 1; got 1.5"),
        ({"imbalance": 0.5}, "imbalance must be between 1"),
        ({"classes": ["house"], "label_noise": 0.1}, "two classes"),
        ({"split": "training"}, "train, validation, test"),
        ({"n": 0}, "at least 1"),
        ({"n": 2.5}, "whole number"),
    ],
)
def test_bad_options_say_what_is_expected(options, says):
    with pytest.raises(ValueError, match=says):
        load("glyphs", **{"n": 5, **options})


def test_an_unknown_option_is_named_with_those_that_there_are():
    with pytest.raises(TypeError, match=r"'cluter'\. Did you mean 'clutter'\?.*anomalies"):
        load("glyphs", n=5, cluter=0)


def test_what_varies_can_be_one_object_and_keywords_go_first():
    faint = Variation(contrast=0.25, classes=["house", "tree"], noise=0.0)
    by_keyword = draw_glyphs(n=9, seed=3, contrast=0.25, classes=["house", "tree"], noise=0.0)
    assert torch.equal(draw_glyphs(n=9, seed=3, variation=faint).images, by_keyword.images)
    assert torch.equal(load("glyphs", n=9, seed=3, variation=faint).images, by_keyword.images)
    assert draw_glyphs(n=9, variation=faint, classes=["boat"]).class_names == ("boat",)
    assert len(inspect.signature(draw_glyphs).parameters) <= 8
    for field in dataclasses.fields(Variation):
        assert re.search(rf"\b{field.name}\b", draw_glyphs.__doc__), f"draw_glyphs? does not show {field.name}"
