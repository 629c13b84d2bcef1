"""Unit 07, second notebook, consistency: its exercises, in the notebook's order."""

UNIT = "07_pseudo_labels"
NOTEBOOK = "07b_consistency"
EXERCISES = (
    "ramp_up",
    "semi_supervised_loss",
    "fixmatch_loss",
    "ema_update",
    "mean_teacher_loss",
)
