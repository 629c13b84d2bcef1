"""What notebook 11b asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import choice, share

PREDICTIONS = (
    share("even_split", "accuracy after ten rounds, even split, pretrained", "rotation_iid@10", "rounds"),
    share("two_classes", "accuracy after ten rounds, two classes per client, pretrained", "rotation_two@10", "rounds"),
    share("with_noise", "accuracy with clipped updates and noise of 0.03", "noise@0.03", "privacy"),
    choice(
        "normalization",
        "the best treatment of batch normalization with two classes per client",
        {"averaged": "two_averaged_all", "local": "two_local_all", "frozen": "two_frozen_all"},
        "batch_norm",
    ),
)
