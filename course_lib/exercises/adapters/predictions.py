"""What notebook 11a asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import chance, share

PREDICTIONS = (
    share("biases", "accuracy of biases only, ten labels per class", "biases@10", "text"),
    chance("lora", "low-rank adapters are better than training all weights", "lora@10 > full@10", "text"),
    share("random", "accuracy of low-rank adapters on random weights", "random_lora@10", "text"),
    share("zero_shot", "zero-shot accuracy with one prompt per class", "single_all", "captions"),
    share("tenth", "the same when a tenth of the captions name the class", "single_tenth", "captions"),
)
