"""What notebook 06b asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import chance, choice, share

PREDICTIONS = (
    share("outlined", "accuracy on outlined images after full fine-tuning", "ft_out", "forgetting"),
    chance("joint_helps", "the joint loss helps on outlined images", "joint_out@0.3 > joint_out@0", "anchors"),
    choice(
        "best_outlined",
        "the best of three on outlined images",
        {"linear probe": "lp_out", "full fine-tuning": "ft_out", "LP-FT": "lp_ft_out"},
        "forgetting",
    ),
    choice(
        "best_source",
        "the best source after fine-tuning",
        {
            "filled": "filled_finetuned",
            "outlined": "outlined_finetuned",
            "all domains": "all_domains_finetuned",
            "two classes": "two_classes_finetuned",
            "rotation": "rotation_finetuned",
            "random labels": "random_labels_finetuned",
            "random weights": "random_weights_finetuned",
        },
        "sources",
    ),
    share("probe_in_train_mode", "accuracy on faint images, probe in train mode", "lp_following_faint", "forgetting"),
)
