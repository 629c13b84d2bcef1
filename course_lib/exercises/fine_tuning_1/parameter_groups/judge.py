"""`parameter_groups`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import failed_with, in_all, in_any


def reference(blocks, head, *, lr, decay):
    groups = []
    for distance, part in enumerate([head, *reversed(blocks)]):
        params = [p for p in part.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr * decay**distance})
    return groups


def _part_of(name: str) -> str:
    pieces = name.split(".")
    return "head" if pieces[0] == "head" else f"block {pieces[1]}" if pieces[0] == "blocks" else name


def _rates(t: Trial) -> dict[str, float]:
    """Part -> its rate, in units of the rate asked for; parts with several rates or of which a parameter is missing
    count by their first."""
    found: dict[str, float] = {}
    for name, rate in t.seen["rate"].items():
        found.setdefault(_part_of(name), rate)
    return found


def _rates_are(trials: Sequence[Trial], rate: Callable[[int, int, float], float], *, head: float | None = 1.0) -> bool:
    """Whether every block's rate is `rate(number, blocks, decay)`, in units of lr, and the head's is `head`."""

    def fits(t: Trial) -> bool:
        count, decay, rates = t.case.inputs["blocks"], t.case.inputs["decay"], _rates(t)
        expected = {f"block {i}": rate(i, count, decay) for i in range(count) if f"block {i}" in rates}
        if head is not None:
            expected["head"] = head
        return bool(expected) and close({part: rates[part] for part in expected}, expected)

    return in_all(trials, fits)


def _rate_of(part: str) -> Callable[[Case, Values, Values], bool]:
    def passes(case: Case, seen: Values, expected: Values) -> bool:
        def own(values: Values) -> dict[str, float]:
            return {n: rate for n, rate in values["rate"].items() if _part_of(n).startswith(part)}

        there = {name: rate for name, rate in own(expected).items() if name in own(seen)}
        return bool(there) and close({name: own(seen)[name] for name in there}, there)

    return passes


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("head", 1, "the head gets the full rate", _rate_of("head")),
        Criterion("falls", 1, "each block gets `decay` times the rate of the part above it", _rate_of("block")),
        Criterion(
            "complete",
            1,
            "all parameters that want a gradient are there, and no others",
            lambda c, s, e: s["rate"].keys() == e["rate"].keys(),
        ),
        Criterion(
            "groups",
            1,
            "a list of dictionaries with `params` and `lr`, the head's first, then downwards",
            lambda c, s, e: (
                s["type"] == "list"
                and all("lr" in keys for keys in s["keys"])
                and all(a >= b - 1e-9 for a, b in zip(s["rates_in_order"], s["rates_in_order"][1:]))
                and not any(s["weight_decays"])
            ),
        ),
    ),
    predicates={
        "pairs_of_params_and_rate": lambda trials: (
            failed_with(trials, "can only optimize Tensors", "params is float")
            or failed_with(trials, "can only optimize Tensors", "params is list")
        ),
        "modules_as_params": lambda trials: (
            failed_with(trials, "can only optimize Tensors", "torch.nn.modules")
            or failed_with(trials, "'Linear' object is not iterable")
        ),
        "an_optimizer": lambda trials: any(
            failed_with(trials, f"'{kind}' object is not iterable") for kind in ("Adam", "AdamW", "SGD", "RMSprop")
        ),
        "key_that_nobody_reads": lambda trials: in_all(
            trials, lambda t: all("lr" not in keys for keys in t.seen["keys"])
        ),
        "decay_of_the_weights": lambda trials: in_all(trials, lambda t: any(t.seen["weight_decays"])),
        "head_forgotten": lambda trials: in_all(trials, lambda t: "head" not in _rates(t)),
        "one_rate": lambda trials: _rates_are(trials, lambda i, n, decay: 1.0),
        "divided": lambda trials: _rates_are(trials, lambda i, n, decay: decay ** (i - n)),
        "head_slowest": lambda trials: (
            _rates_are(trials, lambda i, n, decay: decay**i, head=None)
            and in_any(trials, lambda t: _rates(t)["head"] < 0.99)
        ),
        "counted_from_the_input": lambda trials: _rates_are(trials, lambda i, n, decay: decay ** (i + 1)),
        "decay_on_the_head": lambda trials: in_all(trials, lambda t: close(_rates(t)["head"], t.case.inputs["decay"])),
        "last_block_at_full_rate": lambda trials: _rates_are(trials, lambda i, n, decay: decay ** (n - 1 - i)),
        "decayed_once": lambda trials: _rates_are(trials, lambda i, n, decay: decay),
        "times_the_distance": lambda trials: _rates_are(trials, lambda i, n, decay: decay * (n - i)),
        "one_minus_decay": lambda trials: _rates_are(trials, lambda i, n, decay: (1 - decay) ** (n - i)),
        "frozen_ones_too": lambda trials: in_any(
            trials, lambda t: bool(t.seen["rate"].keys() - t.expected["rate"].keys())
        ),
        "weights_alone": lambda trials: in_all(
            trials,
            lambda t: (
                bool(t.expected["rate"].keys() - t.seen["rate"].keys())
                and all(name.endswith("bias") for name in t.expected["rate"].keys() - t.seen["rate"].keys())
            ),
        ),
        "from_the_input": lambda trials: in_all(
            trials,
            lambda t: (
                close(t.seen["rate"], t.expected["rate"])
                and t.seen["rates_in_order"] == sorted(t.seen["rates_in_order"])
            ),
        ),
    },
)
