"""Every figure: its texts fit, its alt text says what it shows, its look does not depend on the learner's settings."""

from __future__ import annotations

import importlib
import pkgutil

import matplotlib
import numpy as np
import pytest
from drawing import NAMES, History, accuracies, images, pixels, texts
from matplotlib.text import Text

from course_lib import plots

DIAGRAMS = [name for name in plots.__all__ if name.startswith("diagram_")]


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
        "schedule": plots.schedule([0.0, 0.1, 0.7, 1.0], marked=3, y_label="weight of the KL", title=title),
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
        "reliability_diagram": plots.reliability_diagram(
            {"in distribution": (scores, positive), "out of distribution": (scores, ~positive)}, title=title
        ),
        "spectrograms": plots.spectrograms(
            np.arange(120.0).reshape(5, 6, 4), seconds=0.6, titles=["a word, speaker 36"] * 5, title=title
        ),
        "accuracy_intervals": plots.accuracy_intervals(
            {f"rotation, LP-FT, rule {k}": (0.5 + k / 40, 0.6 + k / 40, 0.68 + k / 40) for k in range(12)},
            chosen="rotation, LP-FT, rule 11", title=title,
        ),
        **{name: getattr(plots, name)(title=title) for name in DIAGRAMS},
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
    "schedule",
    "label_curve",
    "bar_with_seeds",
    "latent_map",
    "latent_costs",
    "share_table",
    "confusion_matrix",
    "confusion_matrix_of_two",
    "histogram_of_scores",
    "roc_curve",
    "reliability_diagram",
    "spectrograms",
    "accuracy_intervals",
    *DIAGRAMS,
]
# The numbers of images above the bars of a reliability diagram.
SMALLEST_TEXT = {"reliability_diagram": 7.5}


def test_the_list_of_figures_is_complete(figures):
    assert sorted(FIGURES) == sorted(figures)


def test_every_figure_function_is_at_hand_and_drawn_here():
    modules = [
        importlib.import_module(f"course_lib.plots.{found.name}") for found in pkgutil.iter_modules(plots.__path__)
    ]
    functions = {
        name
        for module in modules
        for name, value in vars(module).items()
        if hasattr(value, "__wrapped__") and value.__module__ == module.__name__  # it has @styled above it
    }
    assert len(functions) >= 13
    assert functions <= set(plots.__all__)
    assert not [name for name in functions if not any(drawn.startswith(name) for drawn in FIGURES)]


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


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_off_or_too_small(figures, name):
    figure = figures[name]
    width, height = figure.canvas.get_width_height()
    for text in shown_texts(figure):
        box = text.get_window_extent()
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, (name, text.get_text(), box)
        assert text.get_fontsize() >= SMALLEST_TEXT.get(name, 9), (name, text.get_text())


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
    plain = pixels(plots.png(plots.label_curve(accuracies(scratch=0.3))))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "lines.linewidth": 9}):
        assert (pixels(plots.png(plots.label_curve(accuracies(scratch=0.3)))) == plain).all()
        assert matplotlib.rcParams["font.size"] == 30


def test_an_alt_text_of_ones_own_replaces_the_automatic_one():
    assert plots.alt_text(plots.image_grid(images(2), alt="Two\n   noise images.")) == "Two noise images."
