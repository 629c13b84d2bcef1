"""`mask_tokens`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from course_lib.exercises.asking import everywhere, everywhere_with_dtype, inputs_kept, is_independent, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Predicate, Values
from course_lib.exercises.text.judge import repeatable

MASK, FIRST_WORD = 1, 3


def reference(ids, vocab_size, *, generator, share=0.15):
    """With one uniform draw for what becomes of a word, and random words from another one."""
    chosen = (torch.rand(ids.shape, generator=generator) < share) & (ids >= FIRST_WORD)
    fate, word = torch.rand(ids.shape, generator=generator), torch.rand(ids.shape, generator=generator)
    others = FIRST_WORD + (word * (vocab_size - FIRST_WORD)).long()
    return torch.where(chosen & (fate < 0.8), MASK, torch.where(chosen & (fate > 0.9), others, ids)), chosen


_MANY = ("plain", "many_chosen", "no_padding", "strided", "all_chosen")  # enough words to see shares
_DRAWN = ("plain", "many_chosen", "no_padding", "strided")


def _usable(case: Case, seen: Values) -> bool:
    shape = case.inputs["ids"].shape
    return all(isinstance(seen[key], Tensor) and seen[key].shape == shape for key in ("masked", "chosen"))


def _near(found: float, wanted: float, count: int) -> bool:
    """Whether a share of `count` draws is what a draw with this probability may give."""
    return abs(found - wanted) <= 5 * math.sqrt(wanted * (1 - wanted) / max(count, 1)) + 1e-9


class Shares(NamedTuple):
    """The share asked for, and that of the chosen words; how many these are, and which shares are <mask> and stay."""

    asked: float
    chosen: float
    total: int
    hidden: float
    kept: float
    special: int  # how many special entries are chosen


def shares(case: Case, seen: Values) -> Shares:
    ids, after, chosen = case.inputs["ids"], seen["masked"], seen["chosen"].bool()
    parts = (chosen[ids >= FIRST_WORD], after[chosen] == MASK, after[chosen] == ids[chosen])
    found, hidden, kept = (float(part.double().mean()) if len(part) else 0.0 for part in parts)
    special = int(chosen[ids < FIRST_WORD].sum())
    return Shares(case.inputs["share"], found, int(chosen.sum()), hidden, kept, special)


def right_choice(case: Case, seen: Values, expected: Values) -> bool:
    if not _usable(case, seen) or seen["chosen"].dtype != torch.bool:
        return False
    words, found = int((case.inputs["ids"] >= FIRST_WORD).sum()), shares(case, seen)
    return not found.special and (words < 100 or _near(found.chosen, found.asked, words))


def right_fates(case: Case, seen: Values, expected: Values) -> bool:
    if not right_choice(case, seen, expected):
        return False
    found = shares(case, seen)
    kept = 0.1 + 0.1 / (case.inputs["vocab_size"] - FIRST_WORD)
    return found.total > 100 and _near(found.hidden, 0.8, found.total) and _near(found.kept, kept, found.total)


def random_words(case: Case, seen: Values) -> Tensor:
    """What chosen words have become that are neither <mask> nor as they were."""
    changed = seen["masked"] != case.inputs["ids"]
    return seen["masked"][changed & (seen["masked"] != MASK)]


def right_words(case: Case, seen: Values, expected: Values) -> bool:
    if not _usable(case, seen):
        return False
    words, size = random_words(case, seen).double(), case.inputs["vocab_size"]
    if len(words) < 30 or words.min() < FIRST_WORD or words.max() >= size:
        return False
    middle, spread = (FIRST_WORD + size - 1) / 2, (size - FIRST_WORD) / math.sqrt(12)
    centered = abs(float(words.mean()) - middle) < 5 * spread / math.sqrt(len(words))
    return centered and abs(float(words.std()) / spread - 1) < 0.3 and right_fates(case, seen, expected)


def untouched(case: Case, seen: Values, expected: Values) -> bool:
    chosen, ids = seen["chosen"].bool(), case.inputs["ids"]
    kept = _usable(case, seen) and torch.equal(seen["masked"][~chosen], ids[~chosen]) and inputs_kept(case, seen, "ids")
    return kept and right_choice(case, seen, expected)


def drawn(case: Case, seen: Values, expected: Values) -> bool:
    chosen = seen["chosen"]
    if not repeatable(seen, "chosen") or not _usable(case, seen):
        return False
    varied = not torch.equal(chosen, seen["chosen_of_next_call"])
    if case.name == "no_padding":
        words = torch.where(case.inputs["ids"] >= FIRST_WORD, chosen.double(), case.inputs["share"])
        varied = varied and is_independent((words - words.mean()) / words.std().clamp(min=1e-9))
    return (varied or case.name not in _DRAWN) and untouched(case, seen, expected)


def _by_shares(test: Callable[[Shares], bool], *names: str) -> Predicate:
    return everywhere(lambda t: _usable(t.case, t.seen) and test(shares(t.case, t.seen)), *(names or _DRAWN))


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "chosen", 1, "`chosen` is a mask of the share `share` of the words, never a special one", right_choice
        ),
        Criterion("fates", 1, "of the chosen words 80 % become <mask> and 10 % stay", right_fates, _MANY),
        Criterion("words", 1, "10 % of the chosen words become any word, none of them special", right_words, _MANY),
        Criterion("others", 1, "all other words, and the ids that were given, stay as they are", untouched),
        Criterion("chance", 1, "all draws differ and come from the generator alone", drawn, form=True),
    ),
    predicates={
        "masked_in_place": somewhere(lambda t: not inputs_kept(t.case, t.seen, "ids")),
        "special_chosen": _by_shares(lambda s: s.special > 0, "plain", "many_chosen"),
        "mask_of_numbers": everywhere_with_dtype(lambda t: t.seen["chosen"].dtype != torch.bool, "chosen_dtype"),
        "all_become_masks": _by_shares(lambda s: s.total > 0 and s.hidden == 1.0),
        "none_stays": _by_shares(lambda s: _near(s.hidden, 0.9, s.total) and s.kept < 0.04),
        "two_coins": _by_shares(lambda s: _near(s.hidden, 0.72, s.total)),
        "masks_and_words_exchanged": _by_shares(lambda s: _near(s.hidden, 0.1, s.total) and s.kept < 0.2),
        "stays_unchosen": _by_shares(lambda s: _near(s.chosen, 0.9 * s.asked, 4_000) and s.kept < 0.04, *_MANY),
        "others_hidden": _by_shares(lambda s: abs(s.chosen - (1 - s.asked)) < 0.05, "plain", "no_padding"),
        "same_places_for_all": everywhere(
            lambda t: bool((t.seen["chosen"] == t.seen["chosen"][:1]).all()), "no_padding"
        ),
        "special_words_drawn": somewhere(lambda t: bool((random_words(t.case, t.seen) < FIRST_WORD).any()), *_MANY),
        "share_ignored": _by_shares(lambda s: _near(s.chosen, 0.15, 4_000), "many_chosen", "all_chosen"),
    },
    exact=False,
)
