"""What the figures show: which data, which labels, which look, and the words for a screen reader."""

from __future__ import annotations

import base64
import html
import io
import re

import matplotlib
import nbformat
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.text import Text
from nbclient import NotebookClient
from PIL import Image

from course_lib import plots, records

NAMES = ("house", "tree", "a boat with sails", "cup", "key", "umbrella", "mushroom", "fish", "lamp", "star")


def images(n: int = 12, channels: int = 1, size: int = 28) -> torch.Tensor:
    """uint8 (n, channels, size, size)."""
    return torch.randint(
        0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )


def accuracies(**methods: float) -> dict[str, dict[int, list[float]]]:
    return {
        name: {n: [base + n / 100 + s / 50 for s in range(3)] for n in (1, 5, 50)} for name, base in methods.items()
    }


class History:
    """As `fit` returns it, as far as the figures read it."""

    def __init__(self, steps: int = 300) -> None:
        self.loss = [2.3 * 0.99**step for step in range(steps)]
        self.validation = [(step, step / 400) for step in range(50, steps + 1, 50)]
        self.best_step = steps


def every_figure() -> dict[str, plots.Figure]:
    labels = np.arange(60) % 10
    scores = np.linspace(0, 1, 60) ** 2
    positive = np.arange(60) >= 40
    codes = np.stack([np.cos(labels), np.sin(labels)], axis=1) + np.linspace(0, 0.5, 60)[:, None]
    pictures = images(60)
    lines = accuracies(
        scratch=0.3, autoencoder_finetuned=0.28, autoencoder_frozen=0.35, random_frozen=0.1, rotation=0.4
    )
    title = "A title"
    return {
        "image_grid": plots.image_grid(pictures[:11], titles=["a title"] * 11, captions=["caption"] * 11, title=title),
        "image_grid_wordy": plots.image_grid(pictures[:8], titles=["true house, called a boat with sails"] * 8),
        "class_examples": plots.class_examples(pictures, labels, NAMES, title=title),
        "reconstructions": plots.reconstructions(pictures[:8], pictures[1:9], title=title),
        "denoising": plots.reconstructions(pictures[:3], pictures[1:4], clean=pictures[2:5]),
        "nearest_neighbours": plots.nearest_neighbours(
            pictures[:3],
            pictures[:15].reshape(3, 5, 1, 28, 28),
            query_labels=labels[:3],
            neighbour_labels=labels[:15].reshape(3, 5),
            class_names=NAMES,
            title=title,
        ),
        "learning_curve": plots.learning_curve(History(), baseline=2.3, y_label="cross-entropy (nats)", title=title),
        "learning_curve_alone": plots.learning_curve([3.0, 2.0], total_steps=10),
        "label_curve": plots.label_curve(lines, title=title),
        "bar_with_seeds": plots.bar_with_seeds(
            {"pca": [0.7, 0.8], "denoising_frozen": [0.9]}, baseline=0.5, title=title
        ),
        "latent_map": plots.latent_map(codes, labels, NAMES, title=title),
        "latent_costs": plots.latent_costs(
            {"a healthy one": [2.0, 0.001, 1.0], "collapsed, by a wrong reduction": [0.01, 0.0, 0.02]}, title=title
        ),
        "share_table": plots.share_table(
            np.eye(4, 7) * 0.9, [f"latent {i}" for i in range(1, 4)] + ["all of them"], NAMES[:7], y_label="known from"
        ),
        "confusion_matrix": plots.confusion_matrix(np.eye(10) * 70 + 3, NAMES, title=title),
        "confusion_matrix_of_two": plots.confusion_matrix([[90, 10], [5, 20]], ["normal", "anomaly"]),
        "histogram_of_scores": plots.histogram_of_scores(scores, positive, threshold=0.4, title=title),
        "roc_curve": plots.roc_curve({"autoencoder": scores, "pca": -scores}, positive, title=title),
    }


@pytest.fixture(scope="module")
def figures() -> dict[str, plots.Figure]:
    found = every_figure()
    for figure in found.values():
        figure.canvas.draw()
    return found


FIGURES = [
    "image_grid",
    "image_grid_wordy",
    "class_examples",
    "reconstructions",
    "denoising",
    "nearest_neighbours",
    "learning_curve",
    "learning_curve_alone",
    "label_curve",
    "bar_with_seeds",
    "latent_map",
    "latent_costs",
    "share_table",
    "confusion_matrix",
    "confusion_matrix_of_two",
    "histogram_of_scores",
    "roc_curve",
]


def test_the_list_of_figures_is_complete(figures):
    assert sorted(FIGURES) == sorted(figures)


def texts(figure: plots.Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def shown_texts(figure: plots.Figure) -> list[Text]:
    """Every text that is drawn: tick labels outside the axes' limits are not."""
    found = [figure._suptitle] if figure._suptitle else []
    for ax in (ax for ax in figure.axes if ax.get_visible()):
        found += [*ax.texts, *(ax.get_legend().get_texts() if ax.get_legend() else [])]
        if not ax.axison:
            continue
        found += [ax.xaxis.label, ax.yaxis.label, ax.title, ax._left_title]
        for labels, limits, at in ((ax.get_xticklabels(), ax.get_xlim(), 0), (ax.get_yticklabels(), ax.get_ylim(), 1)):
            found += [label for label in labels if min(limits) <= label.get_position()[at] <= max(limits)]
    return [text for text in found if text.get_text() and text.get_visible()]


def pixels(figure: plots.Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(plots.png(figure))).convert("RGB"))


def line(ax: Axes, label: str):
    return next(found for found in ax.lines if found.get_label() == label)


# ------------------------------------------------------------------------------------------------- all figures


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_off_or_too_small(figures, name):
    figure = figures[name]
    width, height = figure.canvas.get_width_height()
    for text in shown_texts(figure):
        box = text.get_window_extent()
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, (name, text.get_text(), box)
        assert text.get_fontsize() >= 9, (name, text.get_text())


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_in_words_what_it_shows(figures, name):
    words = plots.alt_text(figures[name])
    assert len(words) > 40 and words.endswith(".") and "\n" not in words and "  " not in words
    assert words.startswith("A title") == ("A title" in texts(figures[name]))


@pytest.mark.parametrize("name", ["learning_curve", "label_curve", "bar_with_seeds", "latent_map", "roc_curve"])
def test_axes_are_labeled(figures, name):
    for ax in figures[name].axes:
        assert ax.get_xlabel(), name
        assert ax.get_ylabel() or name == "bar_with_seeds"


def test_the_look_does_not_depend_on_the_learners_settings():
    plain = pixels(plots.label_curve(accuracies(scratch=0.3)))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "lines.linewidth": 9}):
        assert (pixels(plots.label_curve(accuracies(scratch=0.3))) == plain).all()
        assert matplotlib.rcParams["font.size"] == 30


def test_an_alt_text_of_ones_own_replaces_the_automatic_one():
    assert plots.alt_text(plots.image_grid(images(2), alt="Two\n   noise images.")) == "Two noise images."


# ------------------------------------------------------------------------------------------------- one look a method


def test_every_method_has_a_look_of_its_own():
    looks = [(style.color, style.marker, style.linestyle) for style in plots.METHOD_STYLE.values()]
    assert len(set(looks)) == len(looks)
    assert len({style.label for style in plots.METHOD_STYLE.values()}) == len(looks)
    # In gray, or to someone who sees no color, marker and line alone still tell them apart.
    assert len({look[1:] for look in looks}) == len(looks)


def luminance(color: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("color", sorted({s.color for s in plots.METHOD_STYLE.values()} | set(plots.CLASS_COLORS)))
def test_every_color_stands_out_on_white(color):
    assert 1.05 / (luminance(color) + 0.05) >= 3


# How a color looks with one kind of cone missing (Machado, Oliveira and Fernandes 2009, full severity).
MISSING = {
    "none": np.eye(3),
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def seen(color: str, missing: str) -> np.ndarray:
    """CIELAB of a color as seen with one kind of cone missing."""
    linear = np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)])
    linear = np.clip(np.array(MISSING[missing]) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(np.maximum(xyz / (0.9505, 1.0, 1.089), 0.008856))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("missing", MISSING)
def test_colors_of_a_figure_are_far_apart_for_color_blind_eyes(missing):
    methods = ("scratch", "random", "pca", "linear_autoencoder", "autoencoder", "denoising")
    together = [[plots.METHOD_STYLE[m].color for m in methods], [plots.NORMAL, plots.ANOMALY], list(plots.CLASS_COLORS)]
    for colors in together:
        for i, one in enumerate(colors):
            for other in colors[:i]:
                distance = np.linalg.norm(seen(one, missing) - seen(other, missing))
                assert distance > (20 if len(colors) < 10 else 9), (one, other)


def test_frozen_is_the_same_color_dashed_and_hollow():
    trained, frozen = plots.method_style("autoencoder"), plots.method_style("autoencoder_frozen")
    assert frozen.color == trained.color and frozen.marker == trained.marker
    assert (frozen.linestyle, frozen.hollow, frozen.label) == ("--", True, "Autoencoder, frozen")
    assert plots.method_style("autoencoder_finetuned").color == trained.color


def test_an_unknown_method_keeps_its_look():
    assert plots.method_style("my_idea") == plots.method_style("my_idea")
    assert plots.method_style("my_idea").label == "My idea"


def test_lines_without_a_style_of_their_own_are_told_apart_without_color():
    names = ["cpu_time", "gradients", "activations", "5_labels", "20_labels", "50_labels"]
    ax = plots.label_curve(accuracies(**dict.fromkeys(names, 0.5))).axes[0]
    drawn = [each for each in ax.lines if not each.get_label().startswith("_")]
    assert len({each.get_marker() for each in drawn}) == len({each.get_color() for each in drawn}) == len(names)
    assert (
        plots.label_curve(accuracies(my_idea=0.5)).axes[0].lines[0].get_marker() == plots.method_style("my_idea").marker
    )


@pytest.mark.parametrize(("low", "high"), [(0.69, 0.89), (0.1, 0.99), (0.95, 0.97)])
def test_ticks_in_percent_say_where_they_stand(low, high):
    figure = plots.label_curve({"scratch": {1: [low], 10: [high]}})
    figure.canvas.draw()
    for tick in figure.axes[0].yaxis.get_major_ticks():
        assert float(tick.label1.get_text().rstrip("%")) == pytest.approx(100 * tick.get_loc(), abs=1e-6)


def test_a_method_has_one_color_in_every_figure():
    color = plots.METHOD_STYLE["autoencoder"].color
    curve = plots.label_curve(accuracies(scratch=0.2, autoencoder=0.3)).axes[0]
    roc = plots.roc_curve({"pca": [0.1, 0.2, 0.3], "autoencoder": [0.1, 0.3, 0.2]}, [False, True, True]).axes[0]
    bars = plots.bar_with_seeds({"autoencoder": [0.5], "pca": [0.4]}).axes[0]
    assert line(curve, "Autoencoder").get_color() == color
    assert [found.get_color() for found in roc.lines if found.get_label().startswith("Autoencoder")] == [color]
    assert to_hex(bars.patches[0].get_facecolor()).upper() == color
    classes = plots.bar_with_seeds({"house": [0.5], "star": [0.4]}, styled_as="autoencoder").axes[0]
    assert {to_hex(bar.get_facecolor()).upper() for bar in classes.patches} == {color}
    assert [tick.get_text() for tick in classes.get_yticklabels()] == ["house", "star"]


# ------------------------------------------------------------------------------------------------- in a notebook


def test_png_is_the_same_for_the_same_content_and_carries_the_words():
    one, two = (plots.png(plots.image_grid(images(3))) for _ in range(2))
    assert one == two
    assert Image.open(io.BytesIO(one)).text["Description"] == "Image grid: 3 images in 1 row."


def test_a_shown_figure_carries_its_words_in_every_form():
    alt = 'Loss "falls" from 3 to 1 & stays <there>.'
    data, metadata = plots.mime_bundle(plots.image_grid(images(1), alt=alt))
    assert html.unescape(re.search(r'alt="([^"]*)"', data["text/html"])[1]) == alt
    assert metadata["image/png"]["alt"] == alt and data["text/plain"] == alt
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")


def test_a_figure_without_words_is_not_shown():
    with pytest.raises(ValueError, match="no alt text"):
        plots.show(matplotlib.figure.Figure())


def test_a_script_prints_the_words(capsys):
    plots.show(plots.image_grid(images(1)))
    assert capsys.readouterr().out == "Image grid: 1 image in 1 row.\n"


def run_notebook(*cells: str) -> list[list[dict]]:
    """The outputs of code cells run in a kernel of their own."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    return [cell.outputs for cell in notebook.cells]


def test_figures_and_live_curves_in_a_notebook():
    outputs = run_notebook(
        "from course_lib import plots",
        "plots.image_grid([[[0.0, 1.0], [1.0, 0.0]]])",
        """
live = plots.live_curve(40, seconds=0)
for step in range(40):
    live(3.0 - step / 20)
""",
        "print(live.redraws)",
        """
import matplotlib.pyplot as plt
figure, ax = plt.subplots()
plots.show(figure, 'Empty axes.')
plt.close(figure)
""",
    )
    assert outputs[0] == []
    (shown,) = outputs[1]
    assert shown["data"]["text/plain"] == "Image grid: 1 image in 1 row." and "alt=" in shown["data"]["text/html"]
    # One picture that was redrawn, and at last shows the last step although nobody called finish().
    (curve,) = outputs[2]
    assert "at step 40" in curve["metadata"]["image/png"]["alt"] and "to 1.05" in curve["data"]["text/plain"]
    assert int(outputs[3][0]["text"]) >= 2
    assert outputs[4][0]["metadata"]["image/png"]["alt"] == "Empty axes."


# ------------------------------------------------------------------------------------------------- images


def drawn(ax: Axes) -> np.ndarray:
    return np.asarray(ax.images[0].get_array())


def test_image_grid_draws_the_images_in_order():
    batch = images(5)
    axes = [ax for ax in plots.image_grid(batch, titles=list("abcde"), columns=3).axes if ax.get_visible()]
    assert len(axes) == 5
    for ax, image, title in zip(axes, batch, "abcde"):
        assert np.allclose(drawn(ax), image[0].numpy() / 255)
        assert ax.get_title() == title and ax.images[0].get_clim() == (0.0, 1.0)


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
    assert drawn(figure.axes[1]).shape == ((28, 28, 3) if kind == "color" else (28, 28))


def test_class_examples_have_a_row_each():
    labels = torch.tensor([0, 1, 0, 1, 1, 2])
    batch = images(6)
    figure = plots.class_examples(batch, labels, ["cup", "key", "boat"], per_class=3)
    shown = [ax for ax in figure.axes if ax.images]
    assert len(shown) == 2 + 3 + 1
    assert np.allclose(drawn(shown[0]), batch[0, 0].numpy() / 255) and np.allclose(
        drawn(shown[1]), batch[2, 0].numpy() / 255
    )
    assert {"cup", "key", "boat"} <= set(texts(figure))


def test_reconstructions_show_input_output_and_error():
    inputs, outputs = torch.full((2, 1, 4, 4), 0.75), torch.full((2, 1, 4, 4), 0.25)
    figure = plots.reconstructions(inputs, outputs)
    rows = [drawn(figure.axes[index]) for index in (0, 2, 4)]
    assert [float(row.mean()) for row in rows] == pytest.approx([0.75, 0.25, 0.5])
    assert "0.25" in texts(figure) and "from 0.25 to 0.25" in plots.alt_text(figure)


def test_the_error_of_a_denoiser_is_measured_against_the_clean_images():
    clean, noisy = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)
    figure = plots.reconstructions(noisy, clean, clean=clean)
    assert float(drawn(figure.axes[6]).max()) == 0.0
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


# ------------------------------------------------------------------------------------------------- training


def test_learning_curve_draws_every_step_and_a_running_mean():
    history = History(300)
    figure = plots.learning_curve(history, y_label="loss (nats)")
    ax, validation = figure.axes
    assert list(line(ax, "each step").get_ydata()) == pytest.approx(history.loss)
    smooth = line(ax, "mean of 12 steps").get_ydata()
    assert smooth[0] == pytest.approx(history.loss[0]) and smooth[100] == pytest.approx(np.mean(history.loss[89:101]))
    assert list(validation.lines[0].get_ydata()) == [value for _, value in history.validation]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("loss (nats)", "step")


def test_learning_curve_takes_plain_losses_and_survives_a_divergence():
    assert len(plots.learning_curve([3.0, 2.0]).axes) == 1
    assert "nan" in plots.alt_text(plots.learning_curve([1.0] * 30 + [float("nan")] * 30))


@pytest.mark.parametrize(("seconds", "redraws"), [(1000, 2), (0, 18)])
def test_live_curve_is_a_callback_of_fit_and_takes_little_time(monkeypatch, seconds, redraws):
    # A clock that goes on by a second whenever it is read: so a step takes a second and a drawing two.
    monkeypatch.setattr(plots.time, "monotonic", iter(range(10_000)).__next__)
    live = plots.live_curve(150, seconds=seconds)
    history = History(0)
    with live:
        for step in range(150):
            history.loss.append(float(150 - step))
            live(None, history)
    assert live.redraws <= redraws  # the first step and the end; or as many as a tenth of the time allows
    assert line(live.figure.axes[0], "each step").get_ydata()[-1] == 1.0
    assert live.figure.axes[0].get_xlim() == (0, 150)


# ------------------------------------------------------------------------------------------------- comparisons


def test_label_curve_shows_mean_spread_and_every_seed():
    curves = accuracies(scratch=0.3, autoencoder_frozen=0.4)
    ax = plots.label_curve(curves).axes[0]
    mean = line(ax, "From scratch")
    assert list(mean.get_xdata()) == [1, 5, 50]
    assert list(mean.get_ydata()) == pytest.approx([np.mean(curves["scratch"][n]) for n in (1, 5, 50)])
    dots = [c for c in ax.collections if len(c.get_offsets()) == 9]
    assert len(dots) == 2
    assert sorted(dots[0].get_offsets()[:, 1]) == pytest.approx(
        sorted(v for seeds in curves["scratch"].values() for v in seeds)
    )
    bands = [c for c in ax.collections if len(c.get_offsets()) != 9]
    top = max(path.vertices[:, 1].max() for path in bands[0].get_paths())
    assert top == pytest.approx(np.mean(curves["scratch"][50]) + np.std(curves["scratch"][50], ddof=1))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "5", "50"]


def test_label_curve_takes_recorded_curves_and_says_how_many_seeds():
    curve = records.Curve(x=(5.0, 10.0), mean=(0.5, 0.6), std=(0.0, 0.0), values=((0.5,), (0.6,)), n=1)
    figure = plots.label_curve({"scratch": curve})
    assert "mean of 1 seed" in texts(figure)
    assert "mean of 1 to 2 seeds" in texts(plots.label_curve({"scratch": curve, "vae": {5: [0.4, 0.5]}}))
    assert "From scratch: 50 % at 5, 60 % at 10." in plots.alt_text(figure)


def test_bars_show_mean_and_every_seed():
    found = records.Figure(mean=0.8, std=0.1, values=(0.7, 0.9), n=2)
    figure = plots.bar_with_seeds({"pca": [0.4, 0.5, 0.6], "denoising": found}, baseline=0.5)
    ax = figure.axes[0]
    assert [patch.get_width() for patch in ax.patches] == pytest.approx([0.5, 0.8])
    assert [sorted(dots.get_offsets()[:, 0]) for dots in ax.collections] == [[0.4, 0.5, 0.6], [0.7, 0.9]]
    assert {"50 %", "80 %", "PCA", "Denoising autoencoder", "chance"} <= set(texts(figure))


# ------------------------------------------------------------------------------------------------- inside, scores


def test_latent_map_has_a_marker_and_a_name_for_each_class():
    codes, labels = torch.rand(90, 2, generator=torch.Generator().manual_seed(0)), torch.arange(90) % 3
    figure = plots.latent_map(codes, labels, ["cup", "key", "boat"])
    ax = figure.axes[0]
    assert [len(points.get_offsets()) for points in ax.collections] == [30, 30, 30]
    assert np.allclose(ax.collections[1].get_offsets(), codes[1::3])
    shapes = {points.get_paths()[0].vertices.tobytes() for points in ax.collections}
    assert len(shapes) == 3
    assert [text.get_text() for text in ax.texts] == ["cup", "key", "boat"]


def test_names_on_a_latent_map_do_not_cover_each_other():
    figure = plots.latent_map(np.random.default_rng(0).normal(size=(100, 2)), np.arange(100) % 5, NAMES[:5])
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for i, one in enumerate(boxes):
        assert not any(one.y0 < other.y1 - 4 and other.y0 < one.y1 - 4 for other in boxes[:i])


def test_latent_costs_are_sorted_and_counted():
    figure = plots.latent_costs({"one": torch.tensor([0.01, 2.0, 1.0]), "other": [0.0, 0.0, 0.0]})
    first, second = figure.axes
    assert [bar.get_height() for bar in first.patches[:2]] == [2.0, 1.0]
    hollow = [bar.get_facecolor()[:3] == (1, 1, 1) for bar in [*first.patches, *second.patches]]
    assert hollow == [False, False, True, True, True, True]
    assert to_hex(first.patches[0].get_facecolor()).upper() == plots.METHOD_STYLE["vae"].color
    assert "one\n2 of 3 in use, 3.0 nats" in texts(figure) and "other\n0 of 3 in use, 0.0 nats" in texts(figure)
    assert first.get_ylim() == second.get_ylim()


def test_a_share_table_writes_and_shades_every_number():
    figure = plots.share_table([[0.25, 0.0], [0.5, 0.75]], ["a", "b"], ["x", "y"])
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["0.25", "0.00", "0.50", "0.75"]
    assert np.asarray(ax.images[0].get_array()).tolist() == [[0.25, 0.0], [0.5, 0.75]]
    assert plots.alt_text(figure).endswith("x 0.50 in b, y 0.75 in b.")


def test_confusion_matrix_writes_counts_and_shades_shares():
    figure = plots.confusion_matrix([[8, 2], [0, 1]], ["cup", "key"])
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["8", "2", "1"]
    assert np.allclose(drawn(ax), [[0.8, 0.2], [0, 1]])
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("true class", "predicted class")
    assert "82 % of 11 images" in plots.alt_text(figure) and "cup taken for key, 2 times" in plots.alt_text(figure)


@pytest.mark.parametrize("right", range(0, 101, 5))
def test_numbers_can_be_read_on_every_shade(right):
    def luminance(color):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in matplotlib.colors.to_rgb(color)]
        return np.dot([0.2126, 0.7152, 0.0722], linear)

    ax = plots.confusion_matrix([[right, 100 - right], [0, 1]], ["cup", "key"]).axes[0]
    shades = ax.images[0].to_rgba(ax.images[0].get_array())
    for text in ax.texts:
        column, row = text.get_position()
        dark, light = sorted(luminance(color) for color in (text.get_color(), shades[row, column][:3]))
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_histogram_shows_the_threshold_and_what_it_cuts():
    figure = plots.histogram_of_scores([0.1, 0.2, 0.3, 0.9], [False, False, True, True], threshold=0.25)
    assert line(figure.axes[0], "threshold 0.25").get_xdata()[0] == 0.25
    assert {"normal (2)", "anomaly (2)"} <= set(texts(figure))
    assert "2 of 2 anomaly and 0 of 2 normal" in plots.alt_text(figure)


def test_roc_curve_knows_ties_and_gives_the_area():
    figure = plots.roc_curve({"autoencoder": [0.0, 1.0, 1.0, 2.0]}, [False, False, True, True])
    assert "Autoencoder: AUROC 0.88" in texts(figure)
    assert list(line(figure.axes[0], "Autoencoder: AUROC 0.88").get_ydata()) == [0.0, 0.5, 1.0, 1.0]
    assert figure.axes[0].get_legend().get_lines()[0].get_marker() == plots.METHOD_STYLE["autoencoder"].marker


# ------------------------------------------------------------------------------------------------- bad input


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
        (lambda: plots.learning_curve([]), "no losses yet"),
        (lambda: plots.label_curve({}), "at least one method"),
        (lambda: plots.label_curve({"scratch": {}}), "'scratch' has no points"),
        (lambda: plots.bar_with_seeds({}), "at least one method"),
        (lambda: plots.bar_with_seeds({"pca": []}), "one number a seed"),
        (lambda: plots.latent_map(torch.rand(3, 5), [0, 1, 2], NAMES), "e.g. by PCA"),
        (lambda: plots.latent_map(torch.rand(3, 2), [0, 1, 20], NAMES), "indices of 10 class names"),
        (lambda: plots.latent_costs({}), "at least one model"),
        (lambda: plots.latent_costs({"one": [[0.1]]}), "expected one number"),
        (lambda: plots.share_table([[0.1, 0.2]], ["a"], ["x"]), r"expected \(1, 1\)"),
        (lambda: plots.confusion_matrix([[1, 2]], ["a", "b"]), r"expected \(2, 2\)"),
        (lambda: plots.histogram_of_scores(torch.rand(3, 2), [1, 0, 1]), "one number an image"),
        (lambda: plots.histogram_of_scores(torch.rand(3), [1, 0]), r"expected \(3,\)"),
        (lambda: plots.roc_curve([0.1, 0.2], [True, True]), "one kind of image only"),
    ],
)
def test_wrong_input_is_refused_with_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_reliability_diagram_shows_each_bins_accuracy_and_its_gap():
    sure = torch.tensor([0.55, 0.57, 0.95, 0.95, 0.95, 0.95, 1.0])
    right = torch.tensor([1, 1, 1, 0, 0, 0, 0], dtype=torch.bool)
    figure = plots.reliability_diagram({"few": (sure, right)}, title="Trust")
    ax = figure.axes[0]
    bars, gaps = ax.patches[0::2], ax.patches[1::2]
    assert [bar.get_height() for bar in bars] == pytest.approx([1.0, 0.2])
    assert [bar.get_x() for bar in bars] == pytest.approx([0.504, 0.904])
    assert [(gap.get_y(), gap.get_height()) for gap in gaps] == [
        pytest.approx((0.56, 0.44)),
        pytest.approx((0.2, 0.76)),
    ]
    error = (2 * 0.44 + 5 * 0.76) / 7
    assert ax.get_title(loc="left") == f"few: error {error:.3f}"
    assert "43 % right, 85 % sure on average, too bold" in plots.alt_text(figure)
    with pytest.raises(ValueError, match="at least one group"):
        plots.reliability_diagram({})


def test_a_calibrated_network_has_no_gaps():
    figure = plots.reliability_diagram({"even": (torch.full((10,), 0.5), torch.arange(10) < 5)})
    assert figure.axes[0].get_title(loc="left") == "even: error 0.000" and "about right" in plots.alt_text(figure)
