"""`predict.scratch_at_10(0.6)`, `predict.scratch_at_10.compare(mine)` and `predict.summary()` in a notebook.

Nothing here raises on what a learner gives, and a prediction that is left out is one quiet line.
"""

from __future__ import annotations

from typing import Any

from course_lib import records, settings
from course_lib.exercises.messages import say
from course_lib.exercises.predicting import calibration, store
from course_lib.exercises.predicting.questions import Answer, Kind, Question, questions_of
from course_lib.records import Figure


class Predictions:
    """The predictions of one notebook by their names."""

    def __init__(self, notebook: str) -> None:
        self._questions = {question.name: question for question in questions_of(notebook)}
        self._notebook = notebook

    def __dir__(self) -> list[str]:
        return [*self._questions, "summary"]

    def __getattr__(self, name: str) -> Asked:
        questions = self.__dict__.get("_questions", {})
        if name not in questions:
            known = ", ".join(questions)
            raise AttributeError(
                say("predict.unknown", notebook=self.__dict__.get("_notebook"), name=name, known=known)
            )
        return Asked(questions[name])

    def summary(self) -> Text:
        """The notebook's predictions as a table, and how good all predictions so far are."""
        for name in self._questions:  # the table shows the results of all that was predicted
            store.note_shown(store.read(self._notebook, name))
        made = [calibration.compared(question) for question in self._questions.values()]
        head = " | ".join(say(f"predict.head_{column}") for column in ("what", "said", "recorded", "off"))
        lines = [f"| {head} |", "|---|---:|---:|---:|"]
        for one in made:
            question, seen = one.question, one.said is not None
            said = spoken(question, one.said) if one.said is not None else "–"
            # A result that was not predicted stays hidden, so that it can still be predicted.
            found = recorded(question, one.recorded) if one.recorded and seen else "–"
            lines.append(f"| {question.text} | {said} | {found} | {off(one)} |")
        so_far = calibration.sentences(calibration.everything())
        lines += ["", say("predict.so_far", sentences=" ".join(so_far)) if so_far else say("predict.nothing")]
        return Text("\n".join(lines))


class Text(str):
    """Markdown that a notebook shows as such, and a terminal as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


class Asked:
    """One question: call it with a prediction, then compare."""

    def __init__(self, question: Question) -> None:
        self._question = question

    def __call__(self, value: Any = ...) -> None:
        """Stores a prediction and says it. The dots that a notebook comes with store nothing.

        A second call before the result replaces what counts; a call after it is kept, and does not count.
        """
        question = self._question
        entry = store.read(question.notebook, question.name)
        if value is ...:
            if entry.counts is None:
                print(say("predict.left_out", expected=_expected(question)))
            else:
                print(say("predict.said", value=spoken(question, entry.counts)))
            return
        understood = _understood(question, value)
        if understood is None:
            print(say("predict.not_understood", given=repr(value)[:60], expected=_expected(question)))
            return
        before, entry = entry.counts, store.add(entry, understood)
        said = spoken(question, understood)
        if entry.counts is not None and entry.shown:
            print(say("predict.too_late", value=said, counts=spoken(question, entry.counts)))
        elif before is not None and before != understood:
            print(say("predict.changed", value=said, before=spoken(question, before)))
        else:
            print(say("predict.said", value=said))

    def compare(self, own: Any = None) -> None:
        """Prints what was said beside what is recorded, and beside the result of this run, where that is given."""
        question = self._question
        entry = store.note_shown(store.read(question.notebook, question.name))
        found = calibration.compared(question).recorded
        said = entry.counts
        parts = [say("predict.part_none") if said is None else say("predict.part_said", value=spoken(question, said))]
        if found:
            parts.append(say("predict.part_recorded", value=recorded(question, found)))
            if found.dataset != settings.dataset_name():
                parts[-1] += say("predict.part_on", dataset=found.dataset)
        if own is not None and (run := _understood(question, own)) is not None:
            parts.append(say("predict.part_own", value=_run(question, run)))
        print(say("predict.line", what=question.text, parts=say("predict.comma").join(parts)))


# --- how values are written ---


def spoken(question: Question, value: Any) -> str:
    """A prediction in words: "60 %", "71.5 nats", "star"."""
    if question.kind is Kind.CHOICE:
        return str(value)
    if question.kind is Kind.NUMBER:
        return f"{records.num(value, question.digits)} {question.of}"
    return records.pct(value)


def _run(question: Question, value: Any) -> str:
    """What one run gave. Of a chance it is whether the statement was true in it."""
    if question.kind is Kind.CHANCE and value in (0.0, 1.0):
        return say("predict.true" if value else "predict.false")
    return spoken(question, value)


def recorded(question: Question, found: Answer) -> str:
    """What is recorded, in words: "73 ± 4 %", "true on 3 of 3 seeds"."""
    value = found.value
    if isinstance(value, Figure):
        if question.kind is Kind.NUMBER:
            return f"{records.pm(value, question.digits)} {question.of}"
        return records.pm(value, percent=True)
    if question.kind is Kind.CHANCE:
        return say("predict.seeds", count=round(float(value) * found.seeds), of=found.seeds)
    return str(value)


def off(one: calibration.Compared) -> str:
    """How far a prediction is off, in words."""
    question, error = one.question, one.error
    if error is None:
        return "–"
    if question.kind is Kind.CHOICE:
        return say("predict.not_right" if error else "predict.right")
    if question.kind is Kind.CHANCE:
        return say("predict.brier", score=f"{error:.2f}")
    if question.kind is Kind.SHARE:
        return say("predict.points", points=f"{100 * error:+.0f}")
    return f"{error:+,.{question.digits}f} {question.of}"


# --- what a learner gives ---


def _understood(question: Question, value: Any) -> store.Value | None:
    """What was given, as it is stored; None where it cannot be a prediction here."""
    if question.kind is Kind.CHOICE:
        wanted = str(value).strip().casefold()
        return next((known for known in question.choices if known.casefold() == wanted), None)
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):  # a tensor of many numbers among them
        return None
    if question.kind is Kind.NUMBER:
        return number if abs(number) < float("inf") else None
    number = number / 100 if 1 < number <= 100 else number  # 60 can only mean 60 percent
    return number if 0 <= number <= 1 else None


def _expected(question: Question) -> str:
    if question.kind is Kind.CHOICE:
        return say("predict.expected_choice", choices=", ".join(f'"{name}"' for name in question.choices))
    if question.kind is Kind.NUMBER:
        return say("predict.expected_number", of=question.of)
    return say(f"predict.expected_{question.kind}")
