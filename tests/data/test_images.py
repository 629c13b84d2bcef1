"""ImageData and as_float."""

from __future__ import annotations

import pytest
import torch

from course_lib.data import ImageData, as_float, joined, load


def test_subset_takes_images_labels_and_factors_together():
    data = load("glyphs", n=50)
    chosen = torch.tensor([7, 3, 41])
    part = data.subset(chosen)
    assert len(part) == 3 and part.class_names == data.class_names
    assert torch.equal(part.images, data.images[chosen]) and torch.equal(part.labels, data.labels[chosen])
    assert torch.equal(part.factors["tilt"], data.factors["tilt"][chosen])
    mask = data.labels == 2
    assert len(data.subset(mask)) == int(mask.sum())
    assert len(data.subset([])) == 0


@pytest.mark.parametrize("indices", [torch.tensor([0.5]), torch.tensor([[0]]), torch.ones(3, dtype=torch.bool)])
def test_subset_refuses_what_is_no_index(indices):
    with pytest.raises(ValueError, match=r"indices must be|the mask has 3 entries for 5"):
        load("glyphs", n=5).subset(indices)


def test_to_moves_every_tensor():
    moved = load("glyphs", n=5).to("meta")
    assert moved.images.device.type == moved.labels.device.type == moved.factors["x"].device.type == "meta"


def test_repr_is_short():
    assert "5 images of 1x28x28, 10 classes" in repr(load("glyphs", n=5))


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (torch.zeros(4, 1, 2, 2), torch.zeros(4, dtype=torch.int64), "uint8.*float32"),
        (torch.zeros(4, 2, 2, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64), r"\(N, C, H, W\).*\(4, 2, 2\)"),
        (torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), r"\(4,\), one per image"),
        (torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.zeros(4), "int64.*float32"),
    ],
)
def test_wrong_types_and_shapes_are_refused(images, labels, says):
    with pytest.raises(ValueError, match=says):
        ImageData("mine", images, labels, ("a",))


def test_as_float_maps_0_to_255_to_0_to_1():
    values = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    x = as_float(values)
    assert x.dtype == torch.float32 and x.shape == values.shape
    assert x.min() == 0 and x.max() == 1
    assert torch.equal((x * 255).round().to(torch.uint8), values)
    assert torch.equal(as_float(x.double()), x)


@pytest.mark.parametrize(
    ("images", "says"),
    [(torch.zeros(1, 1, 2, 2, dtype=torch.int64), "int64"), (torch.zeros(2, 2, dtype=torch.uint8), r"image\[None\]")],
)
def test_as_float_refuses_other_types_and_shapes(images, says):
    with pytest.raises(ValueError, match=says):
        as_float(images)


def test_joined_sets_stand_one_after_the_other():
    one, two = load("glyphs", n=5), load("glyphs", n=4, seed=1)
    both = joined([one, two])
    assert torch.equal(both.images, torch.cat([one.images, two.images]))
    assert torch.equal(both.labels, torch.cat([one.labels, two.labels]))
    assert both.class_names == one.class_names and not both.factors


@pytest.mark.parametrize("classes", [[], [["cup"], ["key"]]])
def test_only_sets_of_the_same_classes_are_joined(classes):
    with pytest.raises(ValueError, match="same classes"):
        joined([load("glyphs", n=3, classes=names) for names in classes])
