"""What an answer does too much: one part of its code without which it would be right.

Only in self-study, where an answer runs in the learner's own process: it is run again, with one part after the other
left out. What is said of it was tried, so it is true whatever the exercise is.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any

from course_lib.exercises.contract import Case, Exercise, Judge, State, Trial, close, with_a_repeat
from course_lib.exercises.judging import Known, judge_observations
from course_lib.exercises.observing import observe_all

# A loop that only its own body ends may run for ever without a part of it.
_ENDLESS = (ast.While, ast.Break, ast.Global, ast.Nonlocal, ast.Yield, ast.YieldFrom, ast.Await)
_WITHOUT_END = {"count", "cycle", "repeat", "iter"}
_LOOPS = (ast.For, ast.comprehension)
_REMOVABLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.If)
_EITHER_SIDE = (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr)  # without the left side, the right one is a value of its own
_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.BitAnd: "&", ast.BitOr: "|", ast.Pow: "**"}
_SHOWN = 60  # characters of a part


@dataclass(frozen=True)
class TooMuch:
    """A part of an answer's code, and its line in the cell or file."""

    part: str
    line: int


def one_part_too_much(
    exercise: Exercise, judge: Judge, fn: Any, trial: Trial, *, seconds: float, seeds: Sequence[int] = (0, 1)
) -> TooMuch | None:
    """The first part of a function without which it is right on the cases of all `seeds`; None where there is none.

    Args:
        trial: a case that the answer fails; what fails it too is not tried on others.
        seconds: of CPU time, how long to look.
    """
    original = inspect.unwrap(fn)
    tree, until = _tree_of(original), time.process_time() + seconds
    if tree is None:
        return None
    judge = replace(judge, mistakes=())  # right or not is all that is asked
    observe, every = Known(), [with_a_repeat(exercise.cases(seed)) for seed in seeds]
    for part, line, shorter in _shortened(tree):
        if time.process_time() > until:
            return None
        try:
            variant = _function(shorter, original)
        except Exception:  # not every part can be left out
            continue
        if _is_right(exercise, judge, variant, trial, every, observe):
            return TooMuch(part, original.__code__.co_firstlineno + line - 1)
    return None


def _is_right(
    exercise: Exercise, judge: Judge, fn: Any, trial: Trial, every: Sequence[list[Case]], observe: Known
) -> bool:
    first = observe_all(exercise, fn, [trial.case])[0]
    if first.error and first.error.type == "KeyboardInterrupt":
        raise KeyboardInterrupt
    if first.error or (judge.exact and not close(first.values, trial.expected)):
        return False
    seen = (observe_all(exercise, fn, cases) for cases in every)
    return all(judge_observations(exercise, judge, each, observe=observe).state is State.RIGHT for each in seen)


def _tree_of(fn: Any) -> ast.FunctionDef | None:
    """The code of a plain function of a cell or file; None for all else, and where a part may end a loop."""
    if not isinstance(fn, FunctionType) or fn.__closure__:
        return None
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(fn))).body[0]
    except (OSError, SyntaxError, IndexError):
        return None
    calls = {getattr(part.func, "id", "") for part in ast.walk(node) if isinstance(part, ast.Call)}
    endless = calls & _WITHOUT_END or any(isinstance(part, _ENDLESS) for part in ast.walk(node))
    return node if isinstance(node, ast.FunctionDef) and not endless else None


def _function(tree: ast.FunctionDef, fn: FunctionType) -> Any:
    """A function from its code, with the names that another one knows."""
    scope = dict(fn.__globals__)
    module = ast.fix_missing_locations(ast.Module([tree], []))
    exec(compile(module, fn.__code__.co_filename, "exec"), scope)  # the learner's own code, a part of it left out
    return scope[tree.name]


def _shortened(tree: ast.FunctionDef) -> Iterator[tuple[str, int, ast.FunctionDef]]:
    """What is left out, its line, and a copy of the code without it; one part after the other."""
    inside = {node for statement in tree.body for node in ast.walk(statement) if hasattr(node, "lineno")}
    # what a loop goes through is left as it is: another number of rounds may be right by accident
    inside -= {node for loop in ast.walk(tree) if isinstance(loop, _LOOPS) for node in ast.walk(loop.iter)}
    own = {arg.arg for arg in ast.walk(tree) if isinstance(arg, ast.arg)}
    own |= {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for node in sorted(inside, key=_place):
        for part, kept in _parts_of(node, own):
            twins: dict[int, Any] = {}
            twin = copy.deepcopy(tree, twins)
            new = twins.get(id(kept)) or copy.deepcopy(kept)
            yield _shown(part), node.lineno, _Exchange(twins[id(node)], new).visit(twin)


def _place(node: Any) -> tuple[int, int, int, int, bool]:
    """Where a node begins; of those that begin together the longest first, and a statement before its expression."""
    return node.lineno, node.col_offset, -node.end_lineno, -node.end_col_offset, not isinstance(node, ast.stmt)


def _shown(part: str) -> str:
    line, _, more = part.partition("\n")
    return f"{line[:_SHOWN]} ..." if more or len(line) > _SHOWN else line


class _Exchange(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.old else self.generic_visit(node)


def _parts_of(node: ast.AST, own: set[str]) -> Iterator[tuple[str, ast.AST]]:
    """The parts of a statement or expression that can be left out, and what then stands in its place.

    `own` are the names that the function itself gives to values.
    """
    if isinstance(node, _REMOVABLE) and not isinstance(getattr(node, "value", None), ast.Constant):
        yield ast.unparse(node), ast.Pass()
    elif isinstance(node, ast.Call):
        yield from _parts_of_call(node, own)
    elif isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        sign = _SIGNS[type(node.op)]
        yield f"{sign} {ast.unparse(node.right)}", node.left
        if isinstance(node.op, _EITHER_SIDE):
            yield f"{ast.unparse(node.left)} {sign}", node.right
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        yield ast.unparse(node), node.operand
    elif isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
        for number, loop in enumerate(node.generators):
            if loop.ifs:
                without = copy.deepcopy(node)
                without.generators[number].ifs = []
                yield f"if {ast.unparse(loop.ifs[0])}", without


def _parts_of_call(node: ast.Call, own: set[str]) -> Iterator[tuple[str, ast.AST]]:
    called = ast.unparse(node.func)
    # `x.clamp(0, 1)` is a method of a value, `torch.clamp(x, 0, 1)` a function of a module
    if isinstance(node.func, ast.Attribute) and (called.split(".")[0] in own or not called[0].isalpha()):
        yield f".{node.func.attr}(...)", node.func.value
    elif not called.endswith("where"):  # its first argument is not a value that it gives
        for argument in node.args if called in ("min", "max") else node.args[:1]:
            yield f"{called}(...)", argument
    for keyword in node.keywords if node.args else []:
        without = copy.deepcopy(node)
        without.keywords = [k for k in without.keywords if k.arg != keyword.arg]
        yield ast.unparse(keyword), without
