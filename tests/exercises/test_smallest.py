"""The smallest case that differs: found in bounded time, judged by the reference, shown in full, only in self-study."""

from __future__ import annotations

import base64
import io
import re
import signal
import sys
import time

import pytest
import torch
from PIL import Image

from course_lib.exercises import exercise_named, judge_of, shrinking
from course_lib.exercises.card import card, text_card
from course_lib.exercises.checking import check
from course_lib.exercises.progress import Standing


def looked_at(name, answer, seconds=2.0):
    return check(exercise_named(name), answer, seconds_for_smallest=seconds)


def card_of(result):
    return card(exercise_named(result.exercise), result, standing=Standing(result.exercise, tries=1))


def too_low(logits, labels):
    return 0.9 * float((logits.argmax(1) == labels).double().mean())


def zero_without_a_hit(logits, labels):
    hits = (logits.argmax(1) == labels).double()
    return float(hits.mean()) if len(hits) > 1 else 0.5


def shifts_squares(images, k):
    square = images.shape[2] == images.shape[3]
    return images.roll(1, 3) if square else torch.rot90(images, k, (2, 3))


def mixes_channels(images, k):
    return torch.rot90(images, k, (2, 3)).flip(1)


def one_more(x_hat, images, mask):
    return ((x_hat - images).square() * mask).sum() / (mask.sum() + 1)


def two_steps_longer(step, warmup_steps, *, beta=1.0):
    return beta * min(1.0, step / (warmup_steps + 2) if warmup_steps else 1.0)


SHRUNK = [
    ("accuracy", too_low, {"logits": (1, 1)}),
    ("accuracy", zero_without_a_hit, {"logits": (1, 1)}),
    ("rotate_batch", shifts_squares, {"images": (1, 1, 2, 2)}),
    ("rotate_batch", mixes_channels, {"images": (1, 2, 1, 1)}),
    ("masked_loss", one_more, {"images": (1, 1, 1, 1), "mask": (1, 1, 1, 1)}),
    ("kl_warmup", two_steps_longer, {"steps": 1}),
]


@pytest.mark.parametrize(("name", "answer", "sizes"), SHRUNK)
def test_a_case_is_shrunk_to_what_the_difference_needs(name, answer, sizes):
    smallest = looked_at(name, answer).smallest
    inputs = smallest.trial.case.inputs
    assert {
        key: tuple(inputs[key].shape) if torch.is_tensor(inputs[key]) else len(inputs[key]) for key in sizes
    } == sizes
    for value in inputs.values():
        if torch.is_tensor(value) and value.is_floating_point():
            assert torch.equal(value, value.round(decimals=1)), "round numbers"


@pytest.mark.parametrize(("name", "answer", "sizes"), [row for row in SHRUNK if row[0] != "kl_warmup"])
def test_the_inputs_shown_can_be_copied_and_give_what_is_shown(name, answer, sizes):
    smallest = looked_at(name, answer).smallest
    given, wanted = (line.partition(marks)[2] for line, marks in zip(smallest.outcome(), (" = ", ": "), strict=True))
    arguments = {}
    exec("\n".join(smallest.inputs()), {"torch": torch}, arguments)
    for fn, text in ((answer, given), (judge_of(exercise_named(name)).reference, wanted)):
        result = torch.as_tensor(fn(**arguments)).double()
        assert torch.allclose(result, torch.tensor(eval(text.partition(", shape")[0])).double(), atol=1e-3)


def hangs(logits, labels):
    while logits.shape[1] == 1:
        time.sleep(0.001)
    return too_low(logits, labels)


def hangs_and_holds_on(logits, labels):
    while logits.shape[1] == 1:
        try:
            time.sleep(0.001)
        except Exception:
            break
    return too_low(logits, labels)


def raises(logits, labels):
    return too_low(logits, labels) / (logits.shape[1] > 1)


def leaves(logits, labels):
    return too_low(logits, labels) if logits.shape[1] > 1 else sys.exit(3)


def grows(logits, labels):
    return too_low(logits, labels) if logits.shape[1] > 1 else torch.zeros(3, 3)


@pytest.mark.parametrize("answer", [hangs, hangs_and_holds_on, raises, leaves, grows])
def test_what_goes_wrong_on_smaller_inputs_only_is_not_shown(answer):
    plain = check(exercise_named("accuracy"), too_low)
    cases = exercise_named("accuracy").cases(0)
    assert min(case.inputs["logits"].shape[1] for case in cases) > 1, "the check itself has no such case"
    begun = time.perf_counter()
    result = looked_at("accuracy", answer)
    assert time.perf_counter() - begun < 15
    assert result == plain and result.message == plain.message
    assert result.smallest is None or result.smallest.trial.case.inputs["logits"].shape[1] > 1


def test_a_search_ends_in_time_and_prints_nothing(capfd):
    def answer(logits, labels):
        print("here")
        sum(range(60_000))
        return too_low(logits, labels)

    begun = time.process_time()
    check(exercise_named("accuracy"), answer)
    alone = time.process_time() - begun
    begun = time.process_time()
    looked_at("accuracy", answer, seconds=0.1)
    assert time.process_time() - begun < 2 * alone + 0.1 + 2 * shrinking.ONE_CALL
    assert capfd.readouterr() == ("", "")


def test_nothing_is_searched_for_a_right_a_named_or_a_graded_answer(monkeypatch):
    def search(*args, **kwargs):
        raise AssertionError("searched")

    monkeypatch.setattr(shrinking, "smallest_case", search)
    monkeypatch.setattr(shrinking, "changed_when_called_again", search)
    for answer in (lambda images, k: torch.rot90(images, k, (2, 3)), lambda images, k: torch.rot90(images, -k, (2, 3))):
        assert looked_at("rotate_batch", answer).smallest is None
    graded = check(exercise_named("rotate_batch"), shifts_squares, seed=5)
    assert graded.smallest is None and "smallest_case" not in graded.as_json()


def failing_with(fault):
    def search(*args, **kwargs):
        raise fault

    return search


def test_a_search_that_fails_costs_nothing_but_the_case(monkeypatch):
    monkeypatch.setattr(shrinking, "smallest_case", failing_with(MemoryError("no")))
    assert looked_at("rotate_batch", shifts_squares) == check(exercise_named("rotate_batch"), shifts_squares)


@pytest.mark.parametrize("fault", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_of_the_search_is_not_swallowed(monkeypatch, fault):
    monkeypatch.setattr(shrinking, "smallest_case", failing_with(fault))
    with pytest.raises(fault):
        looked_at("rotate_batch", shifts_squares)


def test_an_interrupt_while_the_answer_runs_on_smaller_inputs_is_not_swallowed(capfd):
    def answer(logits, labels):
        if logits.shape[1] == 1:
            signal.raise_signal(signal.SIGINT)
        return too_low(logits, labels)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a run in the background does without
    try:
        with pytest.raises(KeyboardInterrupt):
            looked_at("accuracy", answer, seconds=60.0)
    finally:
        signal.signal(signal.SIGINT, before)
    print("still here")
    assert capfd.readouterr().out == "still here\n"


def remembers_the_first():
    kept = []

    def answer(logits, labels):
        kept.append(float((logits.argmax(1) == labels).double().mean()))
        return kept[0]

    return answer


def counts_calls():
    calls = []

    def answer(logits, labels):
        calls.append(1)
        return float((logits.argmax(1) == labels).double().mean()) + (len(calls) > 3) * len(calls)

    return answer


@pytest.mark.parametrize("make", [counts_calls, remembers_the_first])
def test_an_answer_that_depends_on_earlier_calls_is_told_so_or_shown_a_case(make):
    result = looked_at("accuracy", make())
    assert result.state == "wrong"
    assert result.message.id == "contract.keeps_state" or result.smallest is None or result.smallest.lines()


def test_images_are_shown_as_pictures_with_their_numbers_as_alternative_text():
    page = card_of(looked_at("rotate_batch", shifts_squares))
    pictures = re.findall(r'<img alt="([^"]*)" src="data:image/png;base64,([^"]*)"', page)
    assert [alt.split(",")[0] for alt, _ in pictures] == ["images", "yours", "expected"]
    assert all(re.search(r"2 by 2 pixels \[\[", alt) for alt, _ in pictures)
    images = [Image.open(io.BytesIO(base64.b64decode(data))).convert("L") for _, data in pictures]
    assert [image.size for image in images] == [(2, 2)] * 3
    assert images[1].tobytes() != images[2].tobytes()
    assert "Black is 0, white is 1." in page


def test_the_case_stands_on_the_card_and_in_the_terminal():
    result = looked_at("accuracy", too_low)
    for text in (
        card_of(result),
        text_card(exercise_named("accuracy"), result),
        "\n".join(result.as_json()["smallest_case"]),
    ):
        assert "labels = torch.tensor([0])" in text and "expected: 1.0" in text
