"""What notebook 12 asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import share

PREDICTIONS = (
    share(
        "baseline", "validation accuracy of fine-tuning from random weights, 40 labels",
        "validation:random+fine-tuning+labels_only", "choice",
    ),
    share("optimism", "mean optimism of the best of 20 on a test of 100 images", "k20@100", "optimism"),
    share("chosen", "test accuracy of the configuration that validation chooses", "chosen", "choice"),
)  # fmt: skip
