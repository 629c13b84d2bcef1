"""Unit 06, first notebook, freezing: its exercises, in the notebook's order."""

UNIT = "06_fine_tuning"
NOTEBOOK = "06a_freezing"
EXERCISES = (
    "freeze",
    "trainable_parameters",
    "parameter_groups",
    "gradual_unfreezing",
    "tune_blocks",
)
