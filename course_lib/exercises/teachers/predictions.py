"""What notebook 08 asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import chance, share

PREDICTIONS = (
    share("student", "accuracy of a student that never saw a label", "t1", "distillation"),
    share("unseen", "AUROC of the class that the student never saw, at T = 4", "t4_auroc", "missing_class"),
    share("clusters", "share of images in matched clusters of rotation features", "rotation", "clusters"),
    chance("rounds", "new clusters in each round beat fixed ones", "rounds_probe@5 > fixed_probe@5", "rounds"),
)
