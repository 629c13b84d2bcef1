"""Unit 07, pseudo-labels, first notebook (self-training): its exercises, in the notebook's order."""

UNIT = "07_pseudo_labels"
NOTEBOOK = "07a_self_training"
EXERCISES = (
    "pseudo_label",
    "select_confident",
    "expected_calibration_error",
    "self_training_round",
    "train_with_pseudo_labels",
    "pseudo_label_check",
)
