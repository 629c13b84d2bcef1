"""Unit 07, second notebook, consistency: its exercises, in the notebook's order."""

UNIT = "07_pseudo_labels"
EXERCISES = (
    "ramp_up",
    "semi_supervised_loss",
    "fixmatch_loss",
    "ema_update",
    "mean_teacher_loss",
)
