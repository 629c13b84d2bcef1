"""What notebook 10 asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import chance, share

PREDICTIONS = (
    share("baseline", "accuracy of log-mel and logistic regression, ten labels per word", "logmel@10"),
    share("scratch", "accuracy from scratch, ten labels per word", "scratch@10"),
    share("cpc", "accuracy of CPC, fine-tuned, ten labels per word", "cpc@10"),
    share("guessed", "how often the own code is found among those of other recordings", "guessed_others", "negatives"),
    chance(
        "others",
        "negatives from other recordings give a lower accuracy after fine-tuning",
        "finetuned_others@10 < finetuned_same@10",
        "negatives",
    ),
)
