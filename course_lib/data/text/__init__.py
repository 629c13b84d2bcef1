"""Texts with labels, as words and as numbers.

- docstrings.py: real text without a download: the docstrings of installed libraries
- hugging_face.py: texts and encoders from the hub, for those who are online
- texts.py: `TextData`, a labeled set of short texts
- cleaning.py: which words a docstring has
- vocabulary.py: words as numbers, words dropped at random, and which words are neighbors
"""

from course_lib.data.text.cleaning import NAME, NUMBER, cleaned, words_of
from course_lib.data.text.docstrings import LIBRARIES, docstrings_in, load_docstrings
from course_lib.data.text.texts import TextData
from course_lib.data.text.vocabulary import MASK, PAD, SPECIAL, UNKNOWN, Vocabulary, drop_words, neighbor_counts

__all__ = [
    "LIBRARIES",
    "MASK",
    "NAME",
    "NUMBER",
    "PAD",
    "SPECIAL",
    "UNKNOWN",
    "TextData",
    "Vocabulary",
    "cleaned",
    "docstrings_in",
    "drop_words",
    "load_docstrings",
    "neighbor_counts",
    "words_of",
]
