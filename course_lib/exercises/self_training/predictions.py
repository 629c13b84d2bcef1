"""What notebook 07a asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import chance, share

PREDICTIONS = (
    share("labels_alone", "accuracy of labels alone, ten per class", "scratch@10"),
    chance("underconfident", "at 0.9 it is right more often than it claims", "precision_10@0.9 > 0.9", "threshold"),
    share("three_rounds", "accuracy after three rounds, ten labels per class", "restarted@3", "rounds"),
    share("no_threshold", "accuracy after five rounds without a threshold", "naive@5", "naive"),
)
