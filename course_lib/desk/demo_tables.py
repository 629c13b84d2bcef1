"""The gradebook of a demo class as text, and where it is not what the judges say."""

from __future__ import annotations

from collections.abc import Sequence

from course_lib.desk.demo_answers import Line


def totals_table(lines: Sequence[Line], grader: str) -> list[str]:
    """One line per unit, one column per student; autograded points only, and "-" where nothing was handed in."""
    students = list(dict.fromkeys(line.student for line in lines))
    units = list(dict.fromkeys(line.unit for line in lines))
    width = max(map(len, [*units, "autograded points"]))
    text = [f"{'autograded points':<{width}}" + "".join(f"  {student:>11}" for student in students)]
    for name, here in [*((unit, [line for line in lines if line.unit == unit]) for unit in units), ("total", lines)]:
        sums = (_sum([line for line in here if line.student == student], grader) for student in students)
        text.append(f"{name:<{width}}" + "".join(f"  {each.strip():>11}" for each in sums))
    return text


def gradebook_table(lines: Sequence[Line], grader: str) -> list[str]:
    """One line per exercise, one total per unit and one per student; autograded points only."""
    width = max(len(line.exercise) for line in lines)
    text = []
    for student in dict.fromkeys(line.student for line in lines):
        mine = [line for line in lines if line.student == student]
        text.append(student)
        for unit in dict.fromkeys(line.unit for line in mine):
            here = [line for line in mine if line.unit == unit]
            text.append(f"  {unit:<{width + 2}}  {_sum(here, grader)}")
            for line in here:
                found = line.recorded[grader]
                if line.written:
                    text.append(f"    {line.exercise:<{width}}  {'-':>5} /{line.points:>4g}  {found.state}")
                else:
                    awarded = "none" if found.points is None else f"{found.points:g}"
                    handed_in = f"  (handed in: {line.plan})" if student == "half-right" else ""
                    text.append(
                        f"    {line.exercise:<{width}}  {awarded:>5} /{line.points:>4g}  {found.state}{handed_in}"
                    )
        text.append(f"  {'autograded':<{width + 2}}  {_sum(mine, grader)}")
    return text


def _sum(lines: Sequence[Line], grader: str) -> str:
    coded = [line for line in lines if not line.written]
    if not coded:
        return "-"
    awarded = sum(line.recorded[grader].points or 0.0 for line in coded)
    return f"{awarded:>5g} /{sum(line.points for line in coded):>4g}"


def differences(lines: Sequence[Line]) -> list[str]:
    """Where a gradebook and the judges disagree, in sentences; empty when nowhere."""
    return [sentence for line in lines for grader in line.recorded for sentence in _differences(line, grader)]


def _differences(line: Line, grader: str) -> list[str]:
    where, recorded = f"{line.student}, {line.unit}, {line.exercise}", line.recorded[grader]
    if line.written:
        wanted = "no answer" if line.student == "blank" else "awaiting a person"
        is_so = recorded.state == wanted
        state = recorded.state or "not graded"
        return [] if is_so else [f"{where}: {grader} has the written answer as {state}, expected {wanted}"]
    found = []
    if recorded.points is None:
        found.append(f"{where}: {grader} recorded no grade, expected {line.expected:g}")
    elif abs(recorded.points - line.expected) > 0.005:
        found.append(f"{where}: {grader} recorded {recorded.points:g} points, the judge gives {line.expected:g}")
    if recorded.state != line.state:
        found.append(f"{where}: the card of {grader} says {recorded.state}, expected {line.state}")
    return found
