"""`split_by_file`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import everywhere, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values
from course_lib.exercises.text.judge import repeatable


def reference(files, test_share, *, generator):
    """By an array of file numbers."""
    names = sorted(set(files))
    number = torch.tensor([names.index(file) for file in files])
    held_out = torch.randperm(len(names), generator=generator)[: round(test_share * len(names))]
    in_test = torch.isin(number, held_out)
    return torch.where(~in_test)[0], torch.where(in_test)[0]


_CHANCE = ("plain", "mixed_order", "not_whole", "one_text_per_file")


def _positions(part: object, count: int) -> bool:
    """Whether these are whole numbers that can be positions of texts."""
    if not isinstance(part, Tensor) or part.ndim != 1 or part.dtype not in (torch.int64, torch.int32):
        return False
    return not bool(((part < 0) | (part >= count)).any())


def _usable(t: Trial) -> bool:
    return all(_positions(t.seen[key], len(t.case.inputs["files"])) for key in ("train", "test"))


def _files_of(case: Case, part: Tensor) -> set[str]:
    return {case.inputs["files"][k] for k in part.tolist()}


def _complete(case: Case, seen: Values) -> bool:
    return sorted([*seen["train"].tolist(), *seen["test"].tolist()]) == list(range(len(case.inputs["files"])))


def _shared(t: Trial) -> set[str]:
    """Files that are on both sides."""
    return _files_of(t.case, t.seen["train"]) & _files_of(t.case, t.seen["test"])


def _number_of_test_files(t: Trial) -> int:
    return len(_files_of(t.case, t.seen["test"]))


def _wanted(case: Case) -> int:
    return round(case.inputs["test_share"] * len(set(case.inputs["files"])))


def apart(case: Case, seen: Values, expected: Values) -> bool:
    trial = Trial(case, seen, expected)
    return _usable(trial) and _complete(case, seen) and not _shared(trial)


def right_share(case: Case, seen: Values, expected: Values) -> bool:
    return apart(case, seen, expected) and len(_files_of(case, seen["test"])) == _wanted(case)


def ascending(case: Case, seen: Values, expected: Values) -> bool:
    parts = seen["train"], seen["test"]
    in_order = all(part.dtype == torch.int64 and torch.equal(part, part.sort().values) for part in parts)
    return in_order and apart(case, seen, expected)


def drawn(case: Case, seen: Values, expected: Values) -> bool:
    test, again = seen["test"], seen["test_of_next_call"]
    varied = not torch.equal(test, again) and _files_of(case, test) != set(
        sorted(set(case.inputs["files"]))[: len(test)]
    )
    return (varied or case.name not in _CHANCE) and repeatable(seen, "test") and apart(case, seen, expected)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("apart", 1, "each text is on one side, and no file is on both", apart),
        Criterion("share", 1, "`round(test_share * number of files)` files are for the test", right_share),
        Criterion("order", 1, "both sides are int64 positions in ascending order", ascending, form=True),
        Criterion("chance", 1, "the files are drawn, and the draws come from the generator alone", drawn, form=True),
    ),
    predicates={
        "split_by_text": somewhere(lambda t: _usable(t) and _complete(t.case, t.seen) and bool(_shared(t)), *_CHANCE),
        "masks": everywhere(lambda t: isinstance(t.seen["test"], Tensor) and t.seen["test"].dtype == torch.bool),
        "lists": everywhere(lambda t: isinstance(t.seen["test"], list)),
        "sides_exchanged": everywhere(
            lambda t: (
                _usable(t) and len(_files_of(t.case, t.seen["train"])) == _wanted(t.case) != _number_of_test_files(t)
            ),
            "plain",
            "mixed_order",
        ),
        "test_in_training": everywhere(
            lambda t: _usable(t) and len(t.seen["train"]) == len(t.case.inputs["files"]), *_CHANCE
        ),
        "coin_for_each_file": somewhere(
            lambda t: _usable(t) and not _shared(t) and abs(_number_of_test_files(t) - _wanted(t.case)) > 1, *_CHANCE
        ),
    },
    exact=False,
)
