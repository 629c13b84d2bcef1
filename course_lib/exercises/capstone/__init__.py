"""Unit 12, the capstone: its exercises, in the notebook's order."""

UNIT = "12_capstone"
EXERCISES = ("accuracy_interval", "optimism", "choose_configuration", "export_classifier", "load_safely")
