"""What notebook 09 asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import chance, share

PREDICTIONS = (
    share("baseline", "accuracy of TF-IDF, ten labels per class", "tfidf@10"),
    share("scratch", "accuracy of a transformer from scratch, ten labels per class", "scratch@10"),
    share("masked", "accuracy after masked words, ten labels per class", "masked@10"),
    chance("many", "TF-IDF is better than the transformer with 1,000 labels per class", "tfidf@1000 > masked@1000"),
    share("copied", "accuracy over all words when the loss is over all words", "accuracy_all", "all_tokens", good=-1),
)
