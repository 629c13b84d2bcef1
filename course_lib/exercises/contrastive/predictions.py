"""What notebook 05 asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import choice, number, share

PREDICTIONS = (
    share("frozen", "accuracy on SimCLR's frozen features, ten labels per class", "contrastive_frozen@10", "protocol"),
    choice(
        "place",
        "where a probe reads most",
        {
            "block 1": "contrastive_block1_probe",
            "block 2": "contrastive_block2_probe",
            "block 3": "contrastive_block3_probe",
            "head": "contrastive_head_probe",
        },
        "inside",
    ),
    share("tuned", "accuracy after plain fine-tuning, five labels per class", "contrastive_weak@5", "protocol"),
    choice(
        "left_out",
        "which part of the augmentation is missed more",
        {"brightness and contrast": "brightness_contrast_probe", "noise": "noise_probe"},
        "augmentations",
        lowest=True,
    ),
    number("spread", "spread without stop-gradient", "spread_open@100", "collapse", of="(0 to 1)", digits=2),
)
