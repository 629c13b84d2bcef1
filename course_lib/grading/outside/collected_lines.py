"""What `course collect` prints: a line per notebook, then what a person has to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from course_lib.grading.outside import attempts
from course_lib.grading.outside.collecting import NEEDS_A_PERSON, Fate, Outcome, Report
from course_lib.grading.outside.roster import LEAVE_OUT
from course_lib.grading.outside.terminal import one_line

MOST_NAMED = 10


def as_lines(report: Report, *, dry_run: bool = False) -> list[str]:
    """A report in lines for a terminal; what needs a person comes last."""
    lines = []
    for each in report.outcomes:
        if each.fate in (Fate.COUNTS, Fate.EARLIER, Fate.THERE):
            when = f", {attempts.stamp_of(each.time)}" if each.time else ""
            note = f" ({one_line(each.why)})" if each.why else ""
            what = f"{each.unit}/{each.notebook}  attempt {each.attempt}, {each.fate}"
            lines.append(f"{one_line(each.student)}  {what}{when}{note}  <- {one_line(each.path)}")
    lines += _counted("left out, as the mapping file says", [e for e in report.outcomes if e.fate == Fate.LEFT_OUT])
    lines += _counted("passed over, no notebook", [e for e in report.outcomes if e.fate == Fate.PASSED])
    for unit, students in report.nothing_from.items():
        if students:
            named = ", ".join(one_line(each, 60) for each in students[:MOST_NAMED])
            more = f" and {len(students) - MOST_NAMED} more" if len(students) > MOST_NAMED else ""
            lines.append(f"nothing of {unit} from {len(students)} of the roster: {named}{more}")
    counted = Counter(each.fate for each in report.outcomes)
    collected = {each.student for each in report.outcomes if each.student}
    new = counted[Fate.COUNTS] + counted[Fate.EARLIER]
    would = "would be collected (nothing was written)" if dry_run else "collected"
    lines.append(
        f"{new} attempts {would}, {counted[Fate.THERE]} were there before; {len(collected)} students, "
        f"{len({each.unit for each in report.outcomes if each.unit})} units."
    )
    return lines


def problems(report: Report, *, dry_run: bool = False) -> list[str]:
    """What a person has to look at, as lines, and what to do about it."""
    lines = [
        f"{each.fate}: {one_line(each.path, 300)}: {one_line(each.why, 600)}."
        for each in report.outcomes
        if each.fate in NEEDS_A_PERSON
    ]
    unclear = any(each.fate == Fate.UNCLEAR for each in report.outcomes)
    if unclear and report.mapping is not None:
        verb = "would be listed" if dry_run else "are listed"
        lines.append(
            f"These uploads {verb} in {report.mapping}. Fill in its column student (and notebook, where that is not "
            f"clear; {LEAVE_OUT} leaves an upload out), then run the same command again."
        )
    if report.stopped:
        lines.append(f"stopped: {report.stopped}")
    return lines


def _counted(words: str, outcomes: Sequence[Outcome]) -> list[str]:
    if not outcomes:
        return []
    named = ", ".join(one_line(each.path.rpartition("/")[2], 60) for each in outcomes[:MOST_NAMED])
    more = f" and {len(outcomes) - MOST_NAMED} more" if len(outcomes) > MOST_NAMED else ""
    return [f"{words}: {len(outcomes)} ({named}{more})"]
