"""Colors, markers, lines and hatches of all figures, and the Matplotlib settings they are drawn with.

The color of a method says how the network was pretrained, a dashed line with hollow markers that it was frozen. No
meaning depends on color alone: markers, lines, hatches and names tell apart what the colors do. Every color has a
contrast of at least 3 : 1 on white; those of the methods of units 00 and 01 are far apart for color-blind readers too.
This is the only file of plots/ and widgets/ with a color value in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import matplotlib

P = ParamSpec("P")
R = TypeVar("R")


@dataclasses.dataclass(frozen=True)
class MethodStyle:
    """How a method is drawn in every figure of the course."""

    label: str
    color: str
    marker: str | tuple[int, int, int]  # Matplotlib's, or (points, 1 for a star, angle)
    linestyle: str = "-"
    hollow: bool = False

    @property
    def line(self) -> dict[str, Any]:
        """Keyword arguments for `Axes.plot`."""
        return {
            "color": self.color,
            "marker": self.marker,
            "linestyle": self.linestyle,
            "markerfacecolor": "white" if self.hollow else self.color,
            "markeredgecolor": self.color,
        }


METHOD_STYLE: dict[str, MethodStyle] = {
    "scratch": MethodStyle("From scratch", "#000000", "o"),
    "random": MethodStyle("Random weights", "#8C8C8C", "X"),
    "pca": MethodStyle("PCA", "#57330F", "d", ":"),
    "linear_autoencoder": MethodStyle("Linear autoencoder", "#946638", "<"),
    "autoencoder": MethodStyle("Autoencoder", "#0072B2", "s"),
    "denoising": MethodStyle("Denoising autoencoder", "#6600CC", "D"),
    "vae": MethodStyle("Variational autoencoder", "#D000A0", "^"),
    "gan": MethodStyle("GAN discriminator", "#7A6A00", "p"),
    "masked": MethodStyle("Masked reconstruction", "#0F3357", "h"),
    "rotation": MethodStyle("Rotation", "#D55E00", "v"),
    "rotation_lp_ft": MethodStyle("Rotation, LP-FT", "#94384F", "v", "--"),
    "mu": MethodStyle("Latent means", "#D000A0", "<", "--"),
    "pixels": MethodStyle("Pixels", "#57330F", "."),
    "contrastive": MethodStyle("Contrastive", "#117733", "P"),
    "consistency": MethodStyle("Stop-gradient pair", "#44885A", ">"),
    "transfer": MethodStyle("Supervised transfer", "#882255", "*"),
    "pseudo_label": MethodStyle("Pseudo-labels", "#94384F", "8"),
    "pseudo_label_continued": MethodStyle("Pseudo-labels, continued", "#0072B2", ">", "-."),
    "pseudo_label_all": MethodStyle("All pseudo-labels, no threshold", "#D55E00", "x", ":"),
    "self_training": MethodStyle("Self-training", "#94384F", "H"),
    "fixmatch": MethodStyle("FixMatch", "#330066", (4, 1, 0)),
    "mean_teacher": MethodStyle("Mean teacher", "#0000E0", "1"),
    "augmented": MethodStyle("Labels alone, strong views", "#6B6B6B", "o", "--"),
    "rotation_fixmatch": MethodStyle("Rotation, then FixMatch", "#D55E00", "H", "--"),
    "student": MethodStyle("Student", "#000000", "|", ":"),
    "teacher": MethodStyle("Averaged teacher", "#0000E0", "1", "--"),
    "without_buffers": MethodStyle("Teacher without buffers", "#D55E00", "x", "-"),
    "distillation": MethodStyle("Distillation", "#B85C2E", "2"),
    "clustering": MethodStyle("Deep clustering", "#4F6F00", "3"),
    "tfidf": MethodStyle("TF-IDF", "#946638", "4", "-."),
    "counted": MethodStyle("Counted embeddings", "#0072B2", "+"),
    "from_counted": MethodStyle("Transformer from counted embeddings", "#117733", "x", "--"),
    "masked_words": MethodStyle("Masked words", "#D55E00", (6, 1, 0)),
    "log_mel": MethodStyle("Log-mel and logistic regression", "#57330F", "+", ":"),
    "gru": MethodStyle("GRU on log-mel", "#0072B2", "4", "--"),
    "cpc": MethodStyle("CPC", "#117733", (5, 1, 0)),
    "rotation_iid": MethodStyle("Rotation, even split", "#D55E00", (3, 1, 0)),
    "rotation_two": MethodStyle("Rotation, two classes per client", "#D55E00", (3, 1, 0), "--", hollow=True),
    "scratch_iid": MethodStyle("From scratch, even split", "#000000", (8, 1, 0)),
    "scratch_two": MethodStyle("From scratch, two classes per client", "#000000", (8, 1, 0), "--", hollow=True),
    "head": MethodStyle("Head only", "#8C8C8C", "s", ":", hollow=True),
    "biases": MethodStyle("Biases only", "#946638", "d", "--"),
    "lora": MethodStyle("Low-rank adapters", "#0072B2", "D", "--"),
    "bottleneck": MethodStyle("Bottleneck adapters", "#6600CC", "p", "-."),
    "full": MethodStyle("All weights", "#000000", "h", ":"),
    "captions": MethodStyle("Captions", "#0072B2", (7, 1, 0)),
    "full_labels": MethodStyle("All labels", "#555555", "_", "--"),
}
"""Method -> how it is drawn. A unit that adds a method adds a line here, and nowhere else."""

# Colors of classes: always together with the class's name or a marker of its own.
CLASS_COLORS = (
    "#0072B2", "#D55E00", "#000000", "#8C8C8C", "#6600CC", "#57330F", "#C8009A", "#946638", "#8A2846", "#0F3357",
)  # fmt: skip
CLASS_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")

NORMAL, ANOMALY, ACCENT = "#0072B2", "#D55E00", "#882255"
LOSS, VALIDATION = "#0072B2", "#117733"
CHANCE, REFERENCE = "#777777", "#333333"  # lines to compare with
FROZEN = "#777777"  # outlines of frozen parts, always with FROZEN_HATCH
NOTE, SINGLE_STEPS, FRAME, CELL_BORDER = "#555555", "#9A9A9A", "#BBBBBB", "#E5E5E5"  # grays; text in the darkest

# Diagrams: text and white ground, arrows of data and of gradients, and the fill of what is frozen.
INK, PAPER, FORWARD, GRADIENT, FROZEN_FILL = "#000000", "#FFFFFF", "#333333", "#B23A00", "#EEEEEE"

ANOMALY_HATCH, FROZEN_HATCH = "////", "///"

# For methods that are in no table: colors, and markers that are told apart without them.
_SPARE = (("#0072B2", "o"), ("#D55E00", "s"), ("#117733", "^"), ("#AA3377", "D"), ("#332288", "v"), ("#882255", "P"))
_SUFFIXES = {
    "frozen": "frozen", "finetuned": "fine-tuned", "probe": "linear probe", "knn": "kNN", "weak": "weak views",
    "strong": "strong views",
}  # fmt: skip

_RC = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": "#DDDDDD",
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "legend.frameon": False,
    "axes.titlelocation": "left",
}
_STYLE: Any = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")} | _RC


def method_style(method: str) -> MethodStyle:
    """The style of a method, the same in every figure.

    `METHOD_STYLE` is the table. `name_frozen`, `name_probe`, `name_knn` and `name_weak` take the color and marker of
    `name`, a dashed or dotted line and hollow markers; `name_finetuned` and `name_strong` are drawn as `name`. A name
    that is in no table gets a style computed from the name, so that it too stays the same from figure to figure.

    >>> method_style("autoencoder_frozen").label
    'Autoencoder, frozen'
    """
    if method in METHOD_STYLE:
        return METHOD_STYLE[method]
    base, _, suffix = method.rpartition("_")
    if base and suffix in _SUFFIXES:
        parent = method_style(base)
        label = f"{parent.label}, {_SUFFIXES[suffix]}"
        if suffix in ("finetuned", "strong"):
            return dataclasses.replace(parent, label=label)
        return dataclasses.replace(parent, label=label, linestyle="--" if suffix == "frozen" else ":", hollow=True)
    color, marker = _SPARE[zlib.crc32(method.encode()) % len(_SPARE)]
    label = method.replace("_", " ")
    return MethodStyle(label[:1].upper() + label[1:], color, marker, "-.")


def method_styles(methods: Sequence[str]) -> dict[str, MethodStyle]:
    """The styles of the methods of one figure; computed ones differ from each other as long as there are enough."""
    styles: dict[str, MethodStyle] = {}
    for method in methods:
        style = method_style(method)
        taken = {(other.color, other.marker) for other in styles.values()}
        if (style.color, style.marker) in _SPARE and (style.color, style.marker) in taken:
            free = [pair for pair in _SPARE if pair not in taken]
            if free:
                style = dataclasses.replace(style, color=free[0][0], marker=free[0][1])
        styles[method] = style
    return styles


def class_style(index: int) -> tuple[str, str]:
    """Color and marker of a class; no two of the first hundred classes have both in common."""
    color = CLASS_COLORS[index % len(CLASS_COLORS)]
    return color, CLASS_MARKERS[(index + index // len(CLASS_COLORS)) % len(CLASS_MARKERS)]


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: draws with the course's fonts and lines, whatever the learner's own settings are, and keeps those."""

    @functools.wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> R:
        with course_style():
            return function(*args, **kwargs)

    return draw


def course_style() -> contextlib.AbstractContextManager[None]:
    """Context in which Matplotlib uses the course's settings and none of the learner's."""
    return matplotlib.rc_context(_STYLE)
