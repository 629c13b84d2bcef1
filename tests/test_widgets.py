"""Widgets: a control is moved, and other pixels are drawn; and there is a picture where nothing can be moved."""

from __future__ import annotations

import io

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from PIL import Image

from course_lib import plots, records, widgets


def pixels(view: widgets.View) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(view.png)).convert("RGB"))


def decode(codes: torch.Tensor) -> torch.Tensor:
    """Code (x, y) -> an image whose left half is as bright as x, its right half as y."""
    image = torch.zeros(len(codes), 1, 8, 8)
    image[..., :4] = codes[:, 0, None, None, None]
    image[..., 4:] = codes[:, 1, None, None, None]
    return image


SCORES = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.35, 0.6, 0.8, 0.9])
POSITIVE = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1], dtype=torch.bool)


def latent():
    return widgets.latent_explorer(decode, {"left": (0.0, 1.0), "right": (0.0, 1.0)}, start=(0.25, 0.5))


def threshold():
    return widgets.threshold_slider(SCORES, POSITIVE, start=0.5)


def reconstruction():
    images = torch.linspace(0, 1, 3)[:, None, None, None].expand(3, 1, 8, 8)
    return widgets.reconstruction_explorer(images, lambda x: x.mean(dim=(2, 3), keepdim=True).expand_as(x))


def brightest_side(images: torch.Tensor) -> torch.Tensor:
    """For images with one bright side: how much of the light lies at the top, left, bottom and right."""
    halves = [images[:, :, :4], images[..., :4], images[:, :, 4:], images[..., 4:]]
    return torch.stack([half.sum(dim=(1, 2, 3)) for half in halves], dim=1).softmax(dim=1)


def turning():
    images = torch.zeros(2, 1, 8, 8)
    images[:, :, :2] = torch.tensor([1.0, 0.5])[:, None, None, None]  # bright at the top
    return widgets.turn_explorer(images, brightest_side)


def strength():
    held = {"in domain": {0.0: [0.9, 0.7], 0.1: [0.6], 1.0: [0.5]}, "other": {0.0: [0.2], 0.1: [0.3], 1.0: [0.4]}}
    curves = {
        "L2-SP": {**held, "moved": {0.0: [4.0], 0.1: [2.0], 1.0: [1.0]}},
        "joint": {**held, "moved": {0.0: [4.0], 0.1: [3.0], 1.0: [2.5]}},
    }
    return widgets.strength_explorer(curves, beside="moved")


PSEUDO = {
    "labels": torch.tensor([0, 0, 1, 1, 2, 2, 2, 2]),
    "confidences": torch.tensor([0.95, 0.5, 0.75, 0.6, 0.99, 0.9, 0.85, 0.4]),
    "true_labels": torch.tensor([0, 1, 1, 0, 2, 2, 0, 1]),
}


def pseudo_labels():
    return widgets.pseudo_label_slider(**PSEUDO, class_names=("cup", "key", "fish"), start=0.75)


@pytest.mark.parametrize(
    ("make", "control", "value"),
    [
        (strength, "chosen", 1.0),
        (strength, "method", "joint"),
        (pseudo_labels, "tau", 0.95),
        (turning, "angle", 90.0),
        (turning, "image", 1),
        (latent, "left", 0.75),
        (latent, "right", 0.0),
        (threshold, "threshold", 0.7),
        (reconstruction, "image", 2),
        (reconstruction, "level", 0.9),
    ],
)
def test_moving_a_control_redraws_the_picture_and_its_words(make, control, value):
    view = make()
    before, words = pixels(view), view.alt_text
    view.controls[control].value = value
    after = pixels(view)
    assert before.shape == after.shape and (before != after).any()
    assert view.alt_text != words


def test_latent_explorer_decodes_what_the_sliders_say():
    view = latent()
    big = np.asarray(view.figure.axes[0].images[0].get_array())
    assert big[0, 0] == pytest.approx(0.25) and big[0, -1] == pytest.approx(0.5)
    view.controls["left"].value = 0.75
    big = np.asarray(view.figure.axes[0].images[0].get_array())
    assert big[0, 0] == pytest.approx(0.75) and big[0, -1] == pytest.approx(0.5)


def test_latent_explorer_shows_the_images_along_each_slider():
    rows = [np.asarray(ax.images[0].get_array()) for ax in latent().figure.axes[1:]]
    assert [row[0, 0] for row in rows[:7]] == pytest.approx(np.linspace(0, 1, 7))
    assert {float(row[0, 0]) for row in rows[7:]} == {0.25}
    assert [row[0, -1] for row in rows[7:]] == pytest.approx(np.linspace(0, 1, 7))


def test_threshold_slider_counts_both_sides():
    view = threshold()
    table = view.figure.axes[1]
    assert [text.get_text() for text in table.texts] == ["4", "0", "1", "3"]
    assert table.get_title(loc="left") == "precision 100 %\nrecall 75 %"
    view.controls["threshold"].value = view.controls["threshold"].min
    assert [text.get_text() for text in view.figure.axes[1].texts] == ["0", "4", "0", "4"]
    assert "Precision 50 %, recall 100 %." in view.alt_text
    view.controls["threshold"].value = view.controls["threshold"].max
    assert "Precision none called, recall 0 %." in view.alt_text


def test_the_first_threshold_is_chosen_on_normal_images_only():
    one = widgets.threshold_slider(SCORES, POSITIVE).values["threshold"]
    assert one == pytest.approx(float(np.quantile(SCORES[:4], 0.95)))
    assert widgets.threshold_slider(SCORES + 5 * POSITIVE, POSITIVE).values["threshold"] == pytest.approx(one, abs=0.02)


def test_pseudo_label_slider_counts_what_the_threshold_lets_through():
    view = pseudo_labels()
    histogram, classes = view.figure.axes
    assert classes.get_title(loc="left") == "coverage 62 %\nprecision 80 %"  # 5 of 8, and 4 of those
    right, wrong = classes.containers
    assert [bar.get_width() for bar in right] == [1, 1, 2] and [bar.get_width() for bar in wrong] == [0, 0, 1]
    assert sum(bar.get_height() for bars in histogram.containers for bar in bars) == 8
    assert "fish (3), fewest cup (1)" in view.alt_text
    view.controls["tau"].value = 1.0
    assert "precision none chosen" in view.alt_text and "0 of 8 unlabeled images" in view.alt_text
    view.controls["tau"].value = 0.0
    assert view.figure.axes[1].get_title(loc="left") == "coverage 100 %\nprecision 50 %"


def test_pseudo_label_slider_marks_wrong_labels_and_pales_what_is_left_out():
    def ink(view, color):
        return int((np.abs(pixels(view).astype(int) - np.array(color)).sum(axis=-1) < 30).sum())

    view = pseudo_labels()
    strong_wrong = (224, 133, 63)  # the color of wrong labels as it is drawn, not paled
    view.controls["tau"].value = 0.0
    all_of_it = ink(view, strong_wrong)
    view.controls["tau"].value = 0.99
    assert all_of_it > 500 and ink(view, strong_wrong) < all_of_it / 5  # only the legend is left


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": torch.tensor([0, 1])}, "2 labels"),
        ({"confidences": torch.linspace(-3, 3, 8)}, "probabilities"),
        ({"true_labels": torch.tensor([0, 1, 1, 0, 2, 2, 0, 3])}, "from 0 to 2"),
    ],
)
def test_pseudo_label_slider_says_what_does_not_fit(change, said):
    with pytest.raises(ValueError, match=said):
        widgets.pseudo_label_slider(**{**PSEUDO, **change}, class_names=("cup", "key", "fish"))


def test_reconstruction_explorer_destroys_and_mends():
    view = reconstruction()
    view.controls["level"].value = 0.0
    clean, corrupted, output, error = (np.asarray(ax.images[0].get_array()) for ax in view.figure.axes[:4])
    assert (clean == corrupted).all() and (output == clean).all() and error.max() == 0
    view.controls["image"].value = 1
    view.controls["level"].value = 0.3
    clean, corrupted, output, error = (np.asarray(ax.images[0].get_array()) for ax in view.figure.axes[:4])
    assert clean.mean() == 0.5 and corrupted.std() > 0.1 and output.std() < 1e-6


def test_turn_explorer_turns_counterclockwise_like_rot90_and_asks_the_network_about_it():
    seen = []
    images = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def probabilities(turned):
        seen.append(turned)
        return torch.tensor([[0.1, 0.2, 0.3, 0.4]])

    view = widgets.turn_explorer(images, probabilities)
    for k in range(4):
        view.controls["angle"].value = 90.0 * k
        assert torch.allclose(seen[-1], torch.rot90(images, k, (2, 3)), atol=1e-5)
    assert "turned by 270 degrees" in view.alt_text and "three quarters 40 %" in view.alt_text
    assert [text.get_text() for text in view.figure.axes[1].texts] == ["10 %", "20 %", "30 %", "40 %"]
    bright = turning()
    bright.controls["angle"].value = 90.0  # what was at the top lies to the left
    widths = [bar.get_width() for bar in bright.figure.axes[1].patches]
    assert widths.index(max(widths)) == 1


RECORDED = {
    (labels, rate): {depth: [base + 0.1 * depth, base + 0.1 * depth + 0.02] for depth in (0, 1, 2)}
    for (labels, rate), base in {(5, 0.01): 0.3, (5, 0.1): 0.2, (50, 0.01): 0.7, (50, 0.1): 0.6}.items()
}
PARTS = {"block 1": 100, "block 2": 2000, "head": 30}


def picking(**options):
    return widgets.freeze_picker(RECORDED, PARTS, start=(5, 0.01, 1), **options)


@pytest.mark.parametrize(("control", "value"), [("labels", 50), ("rate", 0.1), ("depth", 2), ("depth", 0)])
def test_freeze_picker_redraws_the_picture_and_its_words(control, value):
    view = picking()
    before, words = pixels(view), view.alt_text
    view.controls[control].value = value
    after = pixels(view)
    assert before.shape == after.shape and (before != after).any()
    assert view.alt_text != words


def test_freeze_picker_shows_what_learns_and_what_was_recorded():
    view = picking()
    network, table = view.figure.axes
    words = [text.get_text() for text in network.texts]
    assert words == ["block 1: frozen\n100", "block 2: learns\n2,000", "head: learns\n30"]
    assert [bool(bar.get_hatch()) for bar in network.patches] == [True, False, False]
    assert network.get_title() == "trained: 2,030 of 2,130 parameters"
    shown = [text.get_text() for text in table.texts]
    assert shown == ["31 %", "41 %", "51 %", "21 %", "31 %", "41 %"]  # the lowest rate first, depths side by side
    assert [text.get_fontweight() for text in table.texts].index("bold") == 1
    assert table.get_title() == "5 labels a class: test accuracy 41 %, seeds from 40 to 42 %"
    assert "Best with as many labels: rate 0.01 and 2 frozen blocks, 51 %." in view.alt_text
    view.controls["labels"].value, view.controls["depth"].value = 50, 2
    network, table = view.figure.axes
    assert network.get_title() == "trained: 30 of 2,130 parameters"
    assert table.get_title().startswith("50 labels a class: test accuracy 91 %")


def test_freeze_picker_marks_the_choice_in_its_pixels():
    """Counted in the right half of the picture, where the frame around the choice is the only thing in its color."""
    accent = np.array([int(plots.ACCENT[i : i + 2], 16) for i in (1, 3, 5)])
    places = []
    for depth in (0, 2):
        view = picking()
        view.controls["depth"].value = depth
        image = pixels(view).astype(int)
        image = image[:, int(image.shape[1] * 0.4) :]
        columns = (abs(image - accent).max(axis=-1) < 25).any(axis=0).nonzero()[0]
        assert len(columns) > 20
        places.append(columns.mean())
    assert places[1] > places[0] + 100


def test_freeze_picker_takes_recorded_curves():
    curve = records.Curve(x=(0.0, 1.0), mean=(0.5, 0.6), std=(0.0, 0.0), values=((0.5,), (0.6,)), n=1)
    view = widgets.freeze_picker({(5, 0.1): curve}, {"block": 7, "head": 2})
    assert view.values == {"labels": 5, "rate": 0.1, "depth": 0}
    assert [text.get_text() for text in view.figure.axes[1].texts] == ["50 %", "60 %"]


@pytest.mark.parametrize(
    ("recorded", "options", "message"),
    [
        ({}, {}, "recorded is empty"),
        ({**RECORDED, (20, 0.01): {0: [0.5]}}, {}, "Nothing is recorded for 20 labels, rate 0.01 and 1 frozen"),
        ({(5, 0.1): {3: [0.5]}}, {}, "3 frozen blocks leave no part"),
        (RECORDED, {"start": (7, 0.1, 0)}, "start is"),
    ],
)
def test_freeze_picker_refuses_what_it_cannot_show(recorded, options, message):
    with pytest.raises(ValueError, match=message):
        widgets.freeze_picker(recorded, PARTS, **options)


def test_strength_explorer_reads_the_numbers_at_the_chosen_strength():
    view = strength()
    assert "lambda 0.1: in domain 60 %, other 30 %; moved 2.00" in view.alt_text
    view.controls["chosen"].value = 0.0  # means over the seeds
    assert "in domain 80 %, other 20 %; moved 4.00" in view.alt_text
    left, right = view.figure.axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["in domain: 80 %", "other: 20 %"]
    accent = [bar.get_facecolor() != right.patches[1].get_facecolor() for bar in right.patches]
    assert accent == [True, False, False], "the bar of the chosen strength alone is filled"
    view.controls["method"].value = "joint"
    assert [bar.get_height() for bar in view.figure.axes[1].patches] == [4.0, 3.0, 2.5]


def test_strength_explorer_shows_the_nearest_strength_that_a_method_has():
    curves = {
        "a": {"in": {0.0: [0.5], 1.0: [0.6]}, "moved": {0.0: [2], 1.0: [1]}},
        "b": {"in": {0.0: [0.7], 0.3: [0.8]}, "moved": {0.0: [2], 0.3: [1]}},
    }
    view = widgets.strength_explorer(curves, beside="moved", start=0.3)
    assert [value for _, value in view.controls["chosen"].options] == [0.0, 0.3, 1.0]
    assert "a with lambda 0: in 50 %" in view.alt_text
    view.controls["method"].value = "b"
    assert "b with lambda 0.3: in 80 %" in view.alt_text


def test_strength_explorer_paints_the_chosen_bar():
    """By its pixels: moving the slider moves the filled bar, and with it the colored part of the picture."""
    accent = np.array([0x88, 0x22, 0x55])
    centers = []
    for value in (0.0, 0.1, 1.0):
        view = strength()
        view.controls["chosen"].value = value
        painted = (np.abs(pixels(view).astype(int) - accent).sum(axis=2) < 30)[:, 620:]  # the right half: the bars
        assert painted.sum() > 500
        centers.append(np.median(np.nonzero(painted)[1]))
    assert centers == sorted(centers) and centers[2] > centers[0] + 80


def test_reconstruction_explorer_takes_another_corruption():
    images = torch.full((1, 1, 4, 4), 200, dtype=torch.uint8)
    view = widgets.reconstruction_explorer(images, lambda x: x, corrupt=lambda x, level: x * (1 - level), start=0.5)
    assert np.asarray(view.figure.axes[1].images[0].get_array()).mean() == pytest.approx(200 / 255 / 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: widgets.latent_explorer(decode, []), "ranges is empty"),
        (lambda: widgets.latent_explorer(decode, [(1, 0), (0, 1)]), "'number 1' is"),
        (lambda: widgets.latent_explorer(decode, [(0, 1), (0, 1)], start=[0.5]), "1 numbers for 2 ranges"),
        (lambda: widgets.latent_explorer(lambda z: decode(z)[:1], [(0, 1), (0, 1)]), "1 images for 15 codes"),
        (lambda: widgets.threshold_slider(SCORES, POSITIVE[:3]), r"expected \(8,\)"),
        (lambda: widgets.threshold_slider(SCORES / 0, POSITIVE), "NaN or infinite"),
        (lambda: widgets.reconstruction_explorer(torch.rand(3, 8, 8), lambda x: x), r"expected \(N, C, H, W\)"),
        (lambda: widgets.reconstruction_explorer(torch.rand(1, 1, 8, 8), lambda x: x[..., :2]), "returned shape"),
        (lambda: widgets.reconstruction_explorer(torch.rand(1, 1, 8, 8), lambda x: x, levels=(1, 1)), "levels is"),
        (lambda: widgets.turn_explorer(torch.rand(1, 1, 8, 6), brightest_side), r"expected \(N, C, H, H\)"),
        (lambda: widgets.turn_explorer(torch.rand(1, 1, 8, 8), lambda x: torch.rand(1, 3)), r"expected \(1, 4\)"),
        (lambda: widgets.strength_explorer({}, beside="moved"), "curves is empty"),
        (lambda: widgets.strength_explorer({"a": {"in": {0.0: [1]}}}, beside="moved"), "expected 'moved'"),
        (lambda: widgets.strength_explorer({"a": {"in": {0.0: [1]}, "b": {1.0: [1]}}}, beside="b"), "others at"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


VIEW = """
from course_lib import widgets
view = widgets.threshold_slider([0.1, 0.2, 0.3, 0.9], [False, False, True, True], start=0.25)
view
"""


def test_in_a_notebook_the_picture_is_an_output_that_the_controls_redraw():
    cells = [
        VIEW,
        "view.controls['threshold'].value = 0.8",
        "import os; os.environ['COURSE_WIDGETS'] = 'static'",
        "view",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    controls, picture = notebook.cells[0].outputs
    assert (
        "application/vnd.jupyter.widget-view+json" in controls["data"] and "VBox" not in controls["data"]["text/plain"]
    )
    # The second cell moved the slider: the picture under the first one shows it.
    assert picture["metadata"]["image/png"]["alt"].startswith("Threshold at 0.8")
    # Without controls only the picture is shown, and a page made from the notebook has it with its words.
    assert [list(output["data"]) for output in notebook.cells[3].outputs] == [["text/html", "image/png", "text/plain"]]
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert page.count('alt="Threshold at 0.8') == 2
