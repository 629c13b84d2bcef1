"""Figures with controls: a control is moved, and the figure is drawn again.

- latents.py: latent_explorer
- thresholds.py: threshold_slider
- pseudo_labels.py: pseudo_label_slider
- teaching.py: teaching_views
- words.py: word_explorer
- moments.py: moment_explorer
- rounds.py: round_explorer
- prompts.py: prompt_explorer
- reconstructions.py: reconstruction_explorer
- turns.py: turn_explorer
- views.py: view_explorer
- freezing.py: freeze_picker
- strengths.py: strength_explorer
- temperatures.py: temperature_explorer
- tryouts.py: tryout_explorer
- view.py: View, which every widget returns: controls, figure, and what a notebook shows of them
- controls.py: sliders and input checks that several widgets use; probabilities.py: what two of them draw

The figure is an ordinary notebook output with alt text, the controls stand above it. Where nothing can be moved (a
notebook run by nbclient, turned into a page by nbconvert, or opened without a kernel) the figure is there all the same,
as it was drawn last. `COURSE_WIDGETS=static` leaves the controls out.

A new widget is a function that checks its arguments and returns `View(draw, controls)`. `draw` takes the values of the
controls and returns a figure; it is drawn by a function with `@plots.styled` below the widget's own.
"""

from course_lib.widgets.controls import WIDE
from course_lib.widgets.freezing import freeze_picker
from course_lib.widgets.latents import latent_explorer
from course_lib.widgets.moments import moment_explorer
from course_lib.widgets.prompts import prompt_explorer
from course_lib.widgets.pseudo_labels import pseudo_label_slider
from course_lib.widgets.reconstructions import reconstruction_explorer
from course_lib.widgets.rounds import round_explorer
from course_lib.widgets.strengths import strength_explorer
from course_lib.widgets.teaching import teaching_views
from course_lib.widgets.temperatures import temperature_explorer
from course_lib.widgets.thresholds import threshold_slider
from course_lib.widgets.tryouts import tryout_explorer
from course_lib.widgets.turns import TURNS, turn_explorer
from course_lib.widgets.view import View
from course_lib.widgets.views import view_explorer
from course_lib.widgets.words import word_explorer

# In the order of the units that use them, which is that of the reference page.
__all__ = [  # noqa: RUF022
    "View", "threshold_slider", "reconstruction_explorer", "latent_explorer", "turn_explorer", "TURNS",
    "view_explorer", "freeze_picker", "strength_explorer", "pseudo_label_slider", "teaching_views",
    "temperature_explorer", "word_explorer", "moment_explorer", "prompt_explorer", "round_explorer",
    "tryout_explorer", "WIDE",
]  # fmt: skip
