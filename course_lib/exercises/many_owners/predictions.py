"""What notebook 11b asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import share

PREDICTIONS = (
    share("even_split", "accuracy after ten rounds, even split, pretrained", "rotation_iid@10", "rounds"),
    share("two_classes", "accuracy after ten rounds, two classes per client, pretrained", "rotation_two@10", "rounds"),
)
