"""One training loop for the whole course: `fit`, in loop.py. `fit_classifier` and its twin for texts use it."""

from __future__ import annotations

from course_lib import settings
from course_lib.training.checkpoints import CheckpointError
from course_lib.training.classifier import fit_classifier
from course_lib.training.history import History, LossNotFiniteError, Stopped
from course_lib.training.loop import fit
from course_lib.training.losses import contrastive_loss, cross_entropy
from course_lib.training.optimization import learning_rate_factor
from course_lib.training.options import Options
from course_lib.training.text_classifier import fit_text_classifier

__all__ = [
    "CheckpointError",
    "History",
    "LossNotFiniteError",
    "Options",
    "Stopped",
    "contrastive_loss",
    "cross_entropy",
    "fit",
    "fit_classifier",
    "fit_text_classifier",
    "learning_rate_factor",
]

settings.configure_threads()
