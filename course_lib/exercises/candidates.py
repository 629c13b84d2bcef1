"""Write the check: the answers that a learner's check is tried on, and what its decisions on them are worth.

The judge's half of `trying_checks`: it knows which answers are right and which are known mistakes, from the mistakes.md
of the exercise that the check is of. They are handed over as compiled code that tells neither.
"""

from __future__ import annotations

import ast
import base64
import dataclasses
import html
import inspect
import marshal
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.exercises import exercise_named, judge_module, judge_of, shrinking
from course_lib.exercises.answers import Answer, AnswersError, answers_beside
from course_lib.exercises.contract import (
    Case,
    Criterion,
    Exercise,
    Judge,
    Other,
    Predicate,
    Trial,
    Values,
    with_a_repeat,
)
from course_lib.exercises.explaining import explain
from course_lib.exercises.messages import Message, said, say
from course_lib.exercises.observing import Observation, observe_all, plain
from course_lib.exercises.showing import DIGITS, kind, shown
from course_lib.exercises.smallest import as_code, fits
from course_lib.exercises.trying_checks import PASSED, SECONDS, STOPPED, Decision, call, unpacked_answer

LOOKED_AT = 0.5  # seconds for the example on a card


@dataclass(frozen=True)
class Answers(Case):
    """A case of an exercise that is a check. What it knows beyond the code never reaches a learner's process.

    Attributes:
        known: the answers in the order in which they are tried.
        right: whether each of them is a right one.
    """

    known: tuple[Answer, ...] = ()
    right: tuple[bool, ...] = ()


def cases(name: str, seed: int) -> list[Case]:
    """The answers that a check is tried on, in an order drawn from a seed.

    Args:
        name: of the exercise that is a check.
    """
    check = exercise_named(name)
    of = exercise_named(check.check_of)
    answers, left_out = answers_beside(judge_module(of)), judge_of(check).left_out
    known = [(answer, True) for answer in answers.right]
    known += [(answer, False) for answer in answers.mistakes if answer.name not in left_out]
    random.Random(seed).shuffle(known)
    inputs = {"code": packed(of, [answer.source for answer, _ in known]), "count": len(known)}
    return [Answers("answers", inputs, tuple(a for a, _ in known), tuple(right for _, right in known))]


# --- the code that is handed over -------------------------------------------------------------------------------------


def packed(exercise: Exercise, sources: Sequence[str]) -> str:
    """Answers to an exercise as one compiled function that does what the answer of a number does.

    What a notebook could read of a function is the same for all of them: they share one code object, which has no
    docstring, no lines and no file.

    Raises:
        AnswersError: an answer is not a function, so that it cannot be tried.
    """
    head: Any = ast.parse(f"def {exercise.signature}: pass").body[0]
    given = [argument.arg for argument in (*head.args.posonlyargs, *head.args.args)]
    given += [f"{argument.arg}={argument.arg}" for argument in head.args.kwonlyargs]
    lines = ["def made(number, calls):", f"    def {exercise.signature}:", "        calls.append(None)"]
    for number in range(len(sources)):
        lines += [f"        if number == {number}:", "            pass"]
    lines += [f"        return body({', '.join(given)})", f"    return {exercise.name}"]
    tree = ast.parse("\n".join(lines))
    outer: Any = tree.body[0]
    for branch, source in zip(outer.body[0].body[1:], sources):
        branch.body = [_body(exercise, source)]
    ast.fix_missing_locations(tree)
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            vars(node).update(lineno=1, end_lineno=1, col_offset=0, end_col_offset=0)
    return base64.b64encode(marshal.dumps(compile(tree, "<answer>", "exec", dont_inherit=True))).decode("ascii")


def _body(exercise: Exercise, source: str) -> ast.FunctionDef:
    """An answer as a function called `body`, what it defines besides moved inside, docstrings taken out."""
    statements = ast.parse(source).body
    own = [each for each in statements if isinstance(each, ast.FunctionDef) and each.name == exercise.name]
    if len(own) != 1:
        raise AnswersError(f"{exercise.name} is not a function in every answer: no check of it can be written.")
    body = own[0]
    body.name = "body"
    body.body = [each for each in statements if each is not body] + body.body
    for node in ast.walk(body):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node, clean=False) is not None:
            node.body = [each for each in node.body if not _is_text(each)] or [ast.Pass()]
    return body


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


# --- what decisions are worth -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Count:
    """How many of the answers a check has stopped.

    Attributes:
        refused, right: right answers that do not pass, of all.
        stopped, wrong: wrong answers that are stopped, of all.
        endless: answers on which the check does not end.
    """

    refused: int
    right: int
    stopped: int
    wrong: int
    endless: int

    @property
    def share(self) -> float:
        """The share of the points."""
        return 0.0 if self.refused else self.stopped / self.wrong


def count(case: Case, seen: Values) -> Count:
    """What a vector of decisions comes to; what is not a decision lets nothing pass, and stops nothing."""
    assert isinstance(case, Answers)
    listed = seen.get("decisions")
    decisions = listed if isinstance(listed, list) and len(listed) == len(case.right) else [""] * len(case.right)
    pairs = list(zip(decisions, case.right, strict=True))
    return Count(
        refused=sum(right and decision not in PASSED for decision, right in pairs),
        right=sum(case.right),
        stopped=sum(not right and decision in STOPPED for decision, right in pairs),
        wrong=len(case.right) - sum(case.right),
        endless=decisions.count(Decision.ENDLESS),
    )


def judge_for_check(
    *,
    points: float,
    reference: Callable[..., Any],
    predicates: Mapping[str, Predicate],
    left_out: tuple[str, ...] = (),
) -> Judge:
    """The judge of an exercise that is a check: its points times the share of wrong answers that it stops.

    A check that does not let every right answer pass has no points.

    Args:
        predicates: of the mistakes that only checks of this exercise have; those in `COMMON` all checks have.
        left_out: names of known mistakes of the other exercise that no check is asked to stop.
    """

    def share(case: Case, seen: Values, expected: Values) -> float:
        return count(case, seen).share

    title = "every right answer passes, and every wrong one is stopped, each of which is worth the same"
    return Judge(
        reference=reference,
        criteria=(Criterion("decisions", points, title, lambda *given: share(*given) == 1, share=share),),
        predicates={**COMMON, **predicates},
        says=_says,
        left_out=left_out,
    )


def _says(trials: Sequence[Trial]) -> Message:
    found = count(trials[0].case, trials[0].seen)
    if found.endless:
        fields = {"endless": found.endless, "count": found.right + found.wrong, "seconds": SECONDS}
        return Message("contract.check_endless", fields)
    if found.refused:
        return Message("contract.check_refuses", {"refused": found.refused, "right": found.right})
    return Message("contract.check_lets_pass", {"stopped": found.stopped, "wrong": found.wrong})


# --- known mistakes of a check ----------------------------------------------------------------------------------------


def asserts_nothing(how: Decision) -> Predicate:
    """What recognizes a check without an assertion that fails, which lets some answers pass in this way."""

    def behaves(trials: Sequence[Trial]) -> bool:
        decided, others = {*trials[0].seen["decisions"]}, {Decision.PASSED, Decision.BROKE, Decision.RAISED}
        return how in decided and decided <= {how, *others} and not _refused(trials)

    return behaves


def never_calls(trials: Sequence[Trial]) -> bool:
    """Recognizes a check that calls no answer."""
    return {*trials[0].seen["decisions"]} <= {Decision.PASSED_UNCALLED, Decision.ASSERTED_UNCALLED}


def refuses_some(trials: Sequence[Trial]) -> bool:
    """Recognizes a check that refuses some right answers by an assertion, and lets others pass."""
    found = _on_right_ones(trials)
    return Decision.ASSERTED in found and bool(found & {*PASSED}) and found <= {Decision.ASSERTED, *PASSED}


def refuses_all(decision: Decision) -> Predicate:
    """What recognizes a check that makes this decision about every right answer."""
    return lambda trials: _on_right_ones(trials) == {decision}


def lets_pass(*names: str, and_maybe: tuple[str, ...] = ()) -> Predicate:
    """What recognizes a check by the wrong answers that it lets pass; it must refuse no right one.

    Args:
        names: these pass.
        and_maybe: these may pass too, and no others.
    """

    def behaves(trials: Sequence[Trial]) -> bool:
        passed = {name for name, decision, right in _each(trials) if not right and decision in PASSED}
        return {*names} <= passed <= {*names, *and_maybe} and not _refused(trials)

    return behaves


def refuses(*names: str) -> Predicate:
    """What recognizes a check that refuses these right answers by an assertion, and no other one."""

    def behaves(trials: Sequence[Trial]) -> bool:
        refused = {(name, d) for name, d, right in _each(trials) if right and d not in PASSED}
        return refused == {(name, Decision.ASSERTED) for name in names}

    return behaves


COMMON: dict[str, Predicate] = {
    "never_calls": never_calls,
    "returns_the_verdict": asserts_nothing(Decision.PASSED_WITH_VALUE),
    "prints": asserts_nothing(Decision.PASSED_AND_PRINTED),
    "asserts_nothing": asserts_nothing(Decision.PASSED),
    "wrong_call": refuses_all(Decision.BROKE),
    "wrong_expectation": refuses_all(Decision.ASSERTED),
}


def _each(trials: Sequence[Trial]) -> list[tuple[str, str, bool]]:
    """Name of each answer, the decision on it, and whether it is a right one."""
    case = trials[0].case
    assert isinstance(case, Answers)
    names = (answer.name for answer in case.known)
    return list(zip(names, trials[0].seen["decisions"], case.right, strict=True))


def _on_right_ones(trials: Sequence[Trial]) -> set[str]:
    return {decision for _, decision, right in _each(trials) if right}


def _refused(trials: Sequence[Trial]) -> bool:
    """Whether a check does not let every right answer pass, or does not end."""
    found = count(trials[0].case, trials[0].seen)
    return bool(found.refused or found.endless)


# --- an example for the card, in self-study alone ---------------------------------------------------------------------


@dataclass(frozen=True)
class CheckExample:
    """What a card shows of a check: how many answers it stops, and one that it should not, or should.

    Attributes:
        title: what the example is.
        shown: its inputs and what comes out, a line each.
    """

    found: Count
    title: str
    shown: tuple[str, ...]

    def lines(self) -> list[str]:
        """How many, what the example is, and the example."""
        fields = {name: getattr(self.found, name) for name in ("refused", "right", "stopped", "wrong")}
        return [say("check_example.counts", **fields), self.title, *self.shown]

    def as_html(self) -> str:
        """The same lines as a part of the card."""
        counts, title, *shown_lines = (html.escape(line) for line in self.lines())
        paragraph = '<p style="margin:.3em 0">'
        text = "\n".join(shown_lines)
        return (
            f'<div class="course-smallest" style="margin:.5em 0">{paragraph}{counts}</p>{paragraph}{title}</p>'
            f'<pre style="margin:.2em 0;white-space:pre-wrap;overflow-x:auto">{text}</pre></div>'
        )


def example(exercise: Exercise, check: Callable[..., Any], observation: Observation) -> CheckExample | None:
    """A right answer that a check refuses, or else a wrong one that it lets pass, by what these return.

    Args:
        observation: of the check on a case of `cases`.
    """
    case = observation.case
    assert isinstance(case, Answers)
    if observation.error:
        return None
    found, decisions = count(case, observation.values), observation.values["decisions"]
    for number, (decision, right) in enumerate(zip(decisions, case.right)):
        if right and decision in STOPPED:
            return CheckExample(found, say("check_example.refused"), _last_call(exercise, check, case, number))
    title = say("check_example.passes", number=exercise_named(exercise.check_of).number)
    for number in sorted(range(len(decisions)), key=lambda n: case.known[n].line):  # as they stand in mistakes.md
        if not case.right[number] and decisions[number] in PASSED:
            return CheckExample(found, title, _where_it_is_wrong(exercise, case, number))
    return None


def _last_call(exercise: Exercise, check: Callable[..., Any], case: Case, number: int) -> tuple[str, ...]:
    """What a check has called an answer with at last, what it got, and how the check then stopped."""
    answer = unpacked_answer(case.inputs["code"], number)
    last: list[str] = []

    def heard(*args: Any, **kwargs: Any) -> Any:
        given = inspect.signature(answer).bind(*args, **kwargs).arguments
        last[:] = [f"{name} = {_as_given(plain(value))}" for name, value in given.items()]
        result = answer(*args, **kwargs)
        last.append(say("check_example.returns", value=_as_returned(plain(result))))
        return result

    alone = dataclasses.replace(exercise, observe=lambda fn, _: {"value": call(fn, heard)})
    error = observe_all(alone, check, [case], guard=False)[0].error
    if error is None:
        return tuple(last)
    where = f" (line {error.line}: `{error.source}`)" if error.line and error.source else ""
    return (*last, say("check_example.stops", type=error.type, text=error.text or "-", where=where))


def _as_given(value: Any) -> str:
    return str(said(kind(value))) if isinstance(value, Other) else as_code(value)


def _as_returned(value: Any) -> str:
    """What an answer has returned, with all digits where it is short; of a pair, each part."""
    if isinstance(value, list):
        return ", ".join(map(_as_returned, value))
    return shown(value, DIGITS[-1]) if fits(value) else str(said(kind(value)))


def _where_it_is_wrong(exercise: Exercise, case: Case, number: int) -> tuple[str, ...]:
    """What a check of the other exercise would say of an answer that is known to be wrong, by its values alone."""
    of = exercise_named(exercise.check_of)
    judge = judge_of(of)
    answer = unpacked_answer(case.inputs["code"], number)
    trials = [
        Trial(seen.case, {} if seen.error else seen.values, expected.values, seen.error)
        for seen, expected in zip(
            *(observe_all(of, fn, with_a_repeat(of.cases(0)), guard=False) for fn in (answer, judge.reference))
        )
    ]
    explanation = explain(of, judge, trials)
    smallest = shrinking.smallest_case(of, judge, answer, explanation, trials, seconds=LOOKED_AT)
    return (*smallest.inputs(), *smallest.outcome()) if smallest else (explanation.message.render(),)
