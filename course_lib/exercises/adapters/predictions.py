"""What notebook 11a asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import share

PREDICTIONS = (
    share("zero_shot", "zero-shot accuracy with one prompt per class", "single_all", "captions"),
    share("tenth", "the same when a tenth of the captions name the class", "single_tenth", "captions"),
)
