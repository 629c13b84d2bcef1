"""What notebook 10 asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import share

PREDICTIONS = (
    share("baseline", "accuracy of log-mel and logistic regression, ten labels per word", "logmel@10"),
    share("scratch", "accuracy from scratch, ten labels per word", "scratch@10"),
    share("cpc", "accuracy of CPC, fine-tuned, ten labels per word", "cpc@10"),
    share("untuned", "accuracy from scratch, untuned, ten labels per word", "untuned@10", "untuned"),
)
