"""Unit 05, contrastive learning and consistency: its exercises, in the notebook's order."""

UNIT = "05_contrastive"
EXERCISES = (
    "two_views",
    "nt_xent_loss",
    "nt_xent_loss_check",
    "simclr",
    "knn_predict",
    "negative_cosine",
    "vicreg_loss",
)
