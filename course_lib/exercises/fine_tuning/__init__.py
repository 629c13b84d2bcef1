"""Unit 06, second notebook, fine-tuning without forgetting: its exercises, in the notebook's order."""

UNIT = "06_fine_tuning"
NOTEBOOK = "06b_fine_tuning"
EXERCISES = (
    "l2_sp_penalty",
    "joint_loss",
    "lp_ft",
    "early_stopping",
    "adapt_statistics",
)
