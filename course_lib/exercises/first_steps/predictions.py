"""What notebook 00 asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import share

PREDICTIONS = (
    share("nearest_neighbor", "accuracy of the nearest neighbor, ten labels per class", "pixels_knn@10"),
    share("all_labels", "accuracy with all labels, 300 steps", "logits_accuracy", "failures"),
    share("train_mode_sorted", "accuracy in train mode, sorted by class", "train_mode_sorted_accuracy", "failures"),
    share("scratch_at_10", "accuracy from scratch, ten labels per class", "scratch@10"),
    share("two_softmaxes", "accuracy of the colleague's network", "softmax_accuracy", "failures"),
)
