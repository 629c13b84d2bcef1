"""What notebook 06a asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import chance, choice, share

PREDICTIONS = (
    chance("still_changes", "with gradients off, the encoder still changes", "no_gradient_statistics > 0", "leaks"),
    share("frozen_at_5", "accuracy of the pretrained frozen encoder, five labels per class", "transfer_frozen@5"),
    choice(
        "depth_at_5",
        "the best number of frozen blocks, five labels per class",
        {str(k): f"5_labels@{k}" for k in range(4)},
        "freezing_depth",
    ),
    share("norm_lost", "norm that weights with gradients of zero lose", "zeroed_weights", "leaks", good=0),
)
