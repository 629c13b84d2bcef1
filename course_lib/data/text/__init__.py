"""Texts with labels, as words and as numbers.

- docstrings.py: real text without a download: the docstrings of installed libraries
- hugging_face.py: texts and encoders from the hub, for those who are online
- texts.py: `TextData`, a labeled set of short texts
- cleaning.py: which words a docstring has
- vocabulary.py: words as numbers, and which words are neighbors
- batches.py: texts in batches, words dropped at random
"""

from course_lib.data.text.batches import TextBatches, drop_words
from course_lib.data.text.cleaning import NAME, NUMBER, cleaned, words_of
from course_lib.data.text.docstrings import LIBRARIES, docstrings_in, load_docstrings
from course_lib.data.text.texts import TextData
from course_lib.data.text.vocabulary import MASK, PAD, SPECIAL, UNKNOWN, Vocabulary, neighbor_counts

__all__ = [
    "LIBRARIES",
    "MASK",
    "NAME",
    "NUMBER",
    "PAD",
    "SPECIAL",
    "UNKNOWN",
    "TextBatches",
    "TextData",
    "Vocabulary",
    "cleaned",
    "docstrings_in",
    "drop_words",
    "load_docstrings",
    "neighbor_counts",
    "words_of",
]
