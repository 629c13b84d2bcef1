"""Unit 08, teachers and clusters: its exercises, in the notebook's order."""

UNIT = "08_teachers"
EXERCISES = (
    "distillation_loss",
    "distillation_loss_check",
    "teacher_features",
    "kmeans_step",
    "cluster_accuracy",
    "cluster_round",
    "h_score",
)
