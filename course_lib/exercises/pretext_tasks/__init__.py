"""Unit 04, pretext tasks: its exercises, in the notebook's order."""

UNIT = "04_pretext_tasks"
EXERCISES = (
    "rotate_batch",
    "rotation_pretext",
    "flip_pretext",
    "mask_patches",
    "masked_loss",
    "linear_probe",
)
