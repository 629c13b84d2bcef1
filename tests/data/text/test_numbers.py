"""Texts as numbers: what fits together, the vocabulary, dropped words, and neighbors."""

from __future__ import annotations

import pytest
import torch

from course_lib.data import text


def test_labels_and_files_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="labels must be int64"):
        text.TextData("x", (("a",),), torch.zeros(1), ("f",), ("k",), {})
    with pytest.raises(ValueError, match="give one per text"):
        text.TextData("x", (("a",),), torch.zeros(1).long(), (), ("k",), {})


def test_a_vocabulary_numbers_the_most_frequent_words():
    vocabulary = text.Vocabulary([("b", "a", "a"), ("c", "a", "b")], size=5)
    assert vocabulary.words == (*text.SPECIAL, "a", "b") and len(vocabulary) == 5
    ids = vocabulary.encode([("a", "c", "b"), (), ("b",) * 9], length=4)
    assert ids.tolist() == [[3, text.UNKNOWN, 4, 0], [0] * 4, [4] * 4] and ids.dtype == torch.int64
    assert vocabulary.decode(ids[0]) == "a <unknown> b" and vocabulary.number("zzz") == text.UNKNOWN
    with pytest.raises(ValueError, match="above 3"):
        text.Vocabulary([("a",)], size=3)


def test_dropped_words_become_masks_and_padding_stays():
    ids = torch.randint(3, 50, (200, 20), generator=torch.Generator().manual_seed(0))
    ids[:, 15:] = text.PAD
    dropped = text.drop_words(ids, generator=torch.Generator().manual_seed(0), share=0.2)
    changed = dropped != ids
    assert (dropped[changed] == text.MASK).all() and not changed[:, 15:].any()
    assert abs(float(changed[:, :15].float().mean()) - 0.2) < 0.03


def test_neighbor_counts_are_symmetric_and_leave_special_entries_out():
    ids = torch.tensor([[3, 4, 0, 3], [5, 2, 4, 4]])
    counts = text.neighbor_counts(ids, 6, window=2)
    expected = torch.zeros(6, 6)
    for a, b in ((3, 4), (4, 3), (5, 4), (4, 4)):
        expected[a, b] += 1
        expected[b, a] += 1
    assert torch.equal(counts, expected) and torch.equal(counts, counts.T)
    assert text.neighbor_counts(ids[:, :1], 6).sum() == 0
