"""Unit 06, first notebook, freezing: its exercises, in the notebook's order."""

UNIT = "06_fine_tuning"
NOTEBOOK = "06a_freezing"
EXERCISES = (
    "trainable_parameters",
    "freeze",
    "parameter_groups",
    "fine_tune",
    "gradual_unfreezing",
)
