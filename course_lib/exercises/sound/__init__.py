"""Unit 10, sound with few labels: its exercises, in the notebook's order."""

UNIT = "10_sound"
EXERCISES = ("frames", "log_mel", "pool_in_time", "cpc", "info_nce_loss")
