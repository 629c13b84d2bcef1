"""Figures of images: which images they show, in which order, and what is written beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawing import images, shown_image, texts

from course_lib import plots


def test_image_grid_draws_the_images_in_order():
    batch = images(5)
    axes = [ax for ax in plots.image_grid(batch, titles=list("abcde"), columns=3).axes if ax.get_visible()]
    assert len(axes) == 5
    for ax, image, title in zip(axes, batch, "abcde"):
        assert np.allclose(shown_image(ax), image[0].numpy() / 255)
        assert ax.get_title() == title and ax.images[0].get_clim() == (0.0, 1.0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("below", [False, True])
def test_image_rows_has_a_row_per_name_and_cuts_the_longer_rows(channels, below):
    batch = images(5, channels=channels)
    figure = plots.image_rows({"long": batch, "short, float": batch[3:].float() / 255}, below=below)
    axes = [ax for ax in figure.axes if ax.get_visible()]
    for ax, image in zip(axes, batch[[0, 1, 3, 4]], strict=True):
        expected = image.numpy().transpose(1, 2, 0) / 255
        assert np.allclose(shown_image(ax).reshape(expected.shape), expected)
    words = [(ax.get_xlabel() if below else ax.get_title()).replace("\n", " ") for ax in axes]
    assert words == ["long", "long", "short, float", "short, float"]
    assert not any(ax.get_title() if below else ax.get_xlabel() for ax in axes)


@pytest.mark.parametrize("rows", [{}, {"a": images(2), "none": images(0)}])
def test_image_rows_wants_an_image_in_each_row(rows):
    with pytest.raises(ValueError, match="at least one image"):
        plots.image_rows(rows)


@pytest.mark.parametrize("kind", ["float", "gradient", "bfloat16", "numpy", "no channel", "color", "not contiguous"])
def test_images_of_every_kind(kind):
    batch = images(2, channels=3 if kind == "color" else 1)
    batch = {
        "float": lambda: batch.float() / 255,
        "gradient": lambda: (batch.float() / 255).requires_grad_(),
        "bfloat16": lambda: (batch.float() / 255).bfloat16(),
        "numpy": batch.numpy,
        "no channel": lambda: batch[:, 0],
        "color": lambda: batch,
        "not contiguous": lambda: batch.transpose(2, 3),
    }[kind]()
    figure = plots.image_grid(batch)
    assert shown_image(figure.axes[1]).shape == ((28, 28, 3) if kind == "color" else (28, 28))


def test_class_examples_have_a_row_each():
    labels = torch.tensor([0, 1, 0, 1, 1, 2])
    batch = images(6)
    figure = plots.class_examples(batch, labels, ["cup", "key", "boat"], per_class=3)
    shown = [ax for ax in figure.axes if ax.images]
    assert len(shown) == 2 + 3 + 1
    assert np.allclose(shown_image(shown[0]), batch[0, 0].numpy() / 255) and np.allclose(
        shown_image(shown[1]), batch[2, 0].numpy() / 255
    )
    assert {"cup", "key", "boat"} <= set(texts(figure))


def test_reconstructions_show_input_output_and_error():
    inputs, outputs = torch.full((2, 1, 4, 4), 0.75), torch.full((2, 1, 4, 4), 0.25)
    figure = plots.reconstructions(inputs, outputs)
    rows = [shown_image(figure.axes[index]) for index in (0, 2, 4)]
    assert [float(row.mean()) for row in rows] == pytest.approx([0.75, 0.25, 0.5])
    assert "0.25" in texts(figure) and "from 0.25 to 0.25" in plots.alt_text(figure)


def test_the_error_of_a_denoiser_is_measured_against_the_clean_images():
    clean, noisy = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)
    figure = plots.reconstructions(noisy, clean, clean=clean)
    assert float(shown_image(figure.axes[6]).max()) == 0.0
    labels = [ax.get_ylabel() for ax in figure.axes[::2]][:4]
    assert labels[:3] == ["clean", "corrupted", "output"] and labels[3].startswith("error")


def test_neighbors_of_another_class_stand_out_without_color():
    queries = images(2)
    figure = plots.nearest_neighbours(
        queries, images(4).reshape(2, 2, 1, 28, 28), query_labels=[0, 1], neighbour_labels=[[0, 1], [1, 1]],
        class_names=["cup", "key"],
    )  # fmt: skip
    assert [ax.get_xlabel() for ax in figure.axes if ax.images] == ["cup", "cup", "[key]", "key", "key", "key"]
    widths = [ax.spines["top"].get_linewidth() for ax in figure.axes if ax.images]
    assert widths[2] > 2 * widths[1]
    assert "3 of 4 neighbors" in plots.alt_text(figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.image_grid(torch.rand(2, 2, 5, 5)), r"\(2, 2, 5, 5\); expected \(N, 1 or 3, H, W\)"),
        (lambda: plots.image_grid(torch.rand(0, 1, 5, 5)), "at least one image"),
        (lambda: plots.image_grid(images(3), titles=["a"]), "titles has 1 entries for 3 images"),
        (lambda: plots.class_examples(images(3), [0, 1, 5], ["a", "b"]), "from 0 to 5, but there are 2"),
        (lambda: plots.class_examples(images(3), [0, 1], ["a", "b"]), r"expected \(3,\)"),
        (lambda: plots.reconstructions(images(3), images(2)), "must have one shape"),
        (lambda: plots.nearest_neighbours(images(3), images(3)), r"expected \(3, K, C, H, W\)"),
    ],
)
def test_wrong_input_is_refused_with_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()
