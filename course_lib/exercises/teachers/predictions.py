"""What notebook 08 asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import chance, choice, number, share

SCORES = {"H-score": "h_score", "LogME": "logme", "probe": "probe", "60 steps": "short"}

PREDICTIONS = (
    share("student", "accuracy of a student that never saw a label", "t1", "distillation"),
    number("unseen", "unseen class detected at T = 4", "t4_auroc", "missing_class", of="AUROC", digits=2),
    share("clusters", "share of images in matched clusters of rotation features", "rotation", "clusters"),
    chance("rounds", "new clusters in each round beat fixed ones", "rounds_probe@5 > fixed_probe@5", "rounds"),
    choice(
        "score",
        "which score orders encoders as fine-tuning does",
        {name: f"rank:{key}:finetuned" for name, key in SCORES.items()},
        "sources",
    ),
)
