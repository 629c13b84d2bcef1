"""What notebook 04 asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import choice, share

PREDICTIONS = (
    choice(
        "hardest",
        "the class whose rotation is hardest to predict",
        {
            name: name
            for name in ("house", "tree", "boat", "cup", "key", "umbrella", "mushroom", "fish", "lamp", "star")
        },
        "rotation_classes",
        lowest=True,
    ),
    choice(
        "worth_more",
        "the task that is worth more after fine-tuning",
        {"rotations": "rotation_finetuned", "flips": "flip_finetuned"},
        "pretexts",
    ),
    choice(
        "best_block",
        "the best block after rotation, by a probe",
        {f"block {k}": f"rotation_block{k}@10" for k in (1, 2, 3)},
    ),
    share("after_rotation", "accuracy after rotation, ten labels per class", "rotation_weak@10", "protocol"),
    share("tilt_features", "accuracy of a probe on the features of the tilt", "corners_frozen", "artefacts"),
)
