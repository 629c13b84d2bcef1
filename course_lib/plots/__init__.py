"""The figures of the course: one function per figure, arrays or tensors in, a Matplotlib figure with alt text out.

- images.py: image_grid, image_rows, class_examples, reconstructions, nearest_neighbours
- training_curves.py: learning_curve, live_curve, schedule
- comparisons.py: label_curve and bar_with_seeds, methods side by side
- recorded.py: recorded_curves, a label_curve of what was recorded
- latent_spaces.py: latent_map, latent_costs
- tables.py: share_table, score_table, confusion_matrix
- scores.py: histogram_of_scores, roc_curve
- calibration.py: reliability_diagram
- sounds.py: spectrograms, and diagram_cpc
- choices.py: accuracy_intervals, and diagram_choice
- diagrams.py: diagram_autoencoder, diagram_vae and so on, one per method; diagram_parts.py: what they are drawn with
- adapter_diagrams.py: diagram_adapters, diagram_two_towers; federated_diagrams.py: diagram_federated
- style.py: one color, marker and line per method (METHOD_STYLE), colors of classes, `styled`
- figure.py: new_figure, finished, alt_text, show, png, mime_bundle
- inputs.py: what figures take becomes NumPy arrays, or an error that says what was expected

A new figure is a function with `@styled` above it. It takes keyword-only `title` and `alt`, draws on a `new_figure` and
returns `finished(figure, "its content in words", alt, title=title)`. Import it here, and in notebooks and widgets use
`from course_lib import plots`.
"""

from course_lib.plots.adapter_diagrams import diagram_adapters, diagram_two_towers
from course_lib.plots.calibration import reliability_diagram
from course_lib.plots.choices import accuracy_intervals, diagram_choice
from course_lib.plots.comparisons import bar_with_seeds, label_curve
from course_lib.plots.diagrams import (
    diagram_autoencoder,
    diagram_cluster_round,
    diagram_distillation,
    diagram_ema_teacher,
    diagram_fixmatch,
    diagram_freezing,
    diagram_gan,
    diagram_lp_ft,
    diagram_masking,
    diagram_rotation_batch,
    diagram_self_training,
    diagram_simsiam,
    diagram_two_views,
    diagram_vae,
)
from course_lib.plots.federated_diagrams import diagram_federated
from course_lib.plots.figure import Figure, alt_text, finished, legend_above, mime_bundle, new_figure, png, show
from course_lib.plots.images import (
    absolute_error,
    class_examples,
    draw_picture,
    frame,
    image_grid,
    image_rows,
    nearest_neighbours,
    reconstructions,
)
from course_lib.plots.inputs import Baseline, as_array, as_flags, as_pictures, as_vector, curve_points
from course_lib.plots.latent_spaces import latent_costs, latent_map
from course_lib.plots.recorded import recorded_curves
from course_lib.plots.scores import draw_histogram, histogram_of_scores, roc_curve
from course_lib.plots.sounds import diagram_cpc, draw_spectrogram, mark_sounds, spectrograms
from course_lib.plots.style import (
    ACCENT,
    ANOMALY,
    ANOMALY_HATCH,
    CLASS_COLORS,
    CLASS_MARKERS,
    FRAME,
    FROZEN,
    FROZEN_HATCH,
    METHOD_STYLE,
    NORMAL,
    NOTE,
    MethodStyle,
    method_style,
    styled,
)
from course_lib.plots.tables import bare_axes, confusion_matrix, ink_on, score_table, share_table, write_in_cell
from course_lib.plots.text_diagrams import diagram_masked_words, diagram_transformer
from course_lib.plots.training_curves import LiveCurve, learning_curve, live_curve, schedule

# In the order of the reference page: figures, then what they are made with.
__all__ = [  # noqa: RUF022
    "image_grid", "image_rows", "class_examples", "reconstructions", "nearest_neighbours",
    "learning_curve", "live_curve", "LiveCurve", "schedule",
    "label_curve", "recorded_curves", "bar_with_seeds", "Baseline",
    "latent_map", "latent_costs", "share_table", "score_table", "confusion_matrix",
    "histogram_of_scores", "roc_curve", "reliability_diagram", "spectrograms",
    "accuracy_intervals",
    "diagram_autoencoder", "diagram_vae", "diagram_gan", "diagram_rotation_batch", "diagram_masking",
    "diagram_two_views", "diagram_simsiam", "diagram_freezing", "diagram_lp_ft", "diagram_self_training",
    "diagram_fixmatch", "diagram_ema_teacher",
    "diagram_distillation", "diagram_cluster_round",
    "diagram_transformer", "diagram_masked_words",
    "diagram_cpc", "diagram_adapters", "diagram_two_towers", "diagram_federated", "diagram_choice",
    "MethodStyle", "METHOD_STYLE", "method_style", "styled", "CLASS_COLORS", "CLASS_MARKERS",
    "NORMAL", "ANOMALY", "ACCENT", "NOTE", "FRAME", "FROZEN", "ANOMALY_HATCH", "FROZEN_HATCH",
    "Figure", "new_figure", "finished", "legend_above", "alt_text", "show", "png", "mime_bundle",
    "as_array", "as_pictures", "as_vector", "as_flags", "curve_points",
    "draw_picture", "frame", "absolute_error", "draw_histogram", "write_in_cell", "ink_on", "bare_axes",
    "draw_spectrogram", "mark_sounds",
]  # fmt: skip
