"""What notebook 07b asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import chance, share

PREDICTIONS = (
    share("strong_views", "accuracy with strong views, five labels per class", "scratch_strong@5", "protocol"),
    chance("pseudo_labels_help", "pseudo-labels beat labels alone", "pseudo_label > labels_alone", "terms"),
    share("fixmatch_at_5", "accuracy of FixMatch, five labels per class", "fixmatch@5", "protocol"),
    share(
        "rotation_first",
        "accuracy of FixMatch after rotation, five labels per class",
        "rotation_fixmatch@5",
        "protocol",
    ),
    share("weight_100", "accuracy at weight 100", "accuracy@100", "collapse"),
)
