"""Unit 06, first notebook, freezing: its exercises, in the notebook's order."""

UNIT = "06_fine_tuning"
EXERCISES = (
    "freeze",
    "trainable_parameters",
    "parameter_groups",
    "gradual_unfreezing",
    "tune_blocks",
)
