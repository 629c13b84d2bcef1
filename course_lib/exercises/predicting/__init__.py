"""Predictions: a learner says a number before a measurement, and later sees what was recorded.

- questions.py: the four kinds of question, the record that answers each, the questions of a notebook
- store.py: what a learner said, one small file per prediction in work/.progress/predictions/
- asking.py: `predict.scratch_at_10(0.6)`, `.compare()` and `predict.summary()` in a notebook
- calibration.py: how far predictions are off, over all notebooks

Nothing here is graded. In the sandbox of a grader `predictions_for` gives an object that does nothing.
"""
