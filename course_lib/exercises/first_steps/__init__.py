"""Unit 00, first steps: its exercises, in the notebook's order."""

UNIT = "00_first_steps"
EXERCISES = (
    "accuracy",
    "evaluate",
    "train_step",
    "few_label_split",
    "accuracy_check",
)
