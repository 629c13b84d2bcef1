"""Figures of what was recorded: the curves of an experiment, on the reader's data set where it has been run there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from course_lib import records
from course_lib.plots.comparisons import label_curve
from course_lib.plots.figure import Figure


def recorded_curves(
    unit: str,
    experiment: str = records.MAIN_EXPERIMENT,
    methods: Sequence[str] | Mapping[str, str] | None = None,
    *,
    dataset: str = "",
    beside: Mapping[str, Any] | None = None,
    title: str,
    **options: Any,
) -> Figure:
    """The recorded curves of an experiment; the title ends with the data set that they were recorded on.

    Args:
        unit, experiment: the record, of the profile laptop.
        methods: the curves to draw, in this order, or method -> the name that it is recorded under; None draws all.
            What is recorded as one number, without a number of labels, becomes a level line.
        dataset: where nothing is recorded on it, or none is named, the record on the unit's own is drawn.
        beside: more curves, drawn after the recorded ones, as `label_curve` takes them.
        title, options: as for `label_curve`.

    Raises:
        records.RecordError: no such record on the unit's own either, or a method that is not in it.
    """
    name = records.recorded_on(unit, experiment, dataset)
    recorded, numbers = records.curves(unit, experiment, dataset=name), records.figures(unit, experiment, dataset=name)
    methods = list(recorded) if methods is None else methods
    drawn = methods if isinstance(methods, Mapping) else {method: method for method in methods}
    positions = sorted({x for key in drawn.values() if key in recorded for x in recorded[key].x})
    curves: dict[str, Any] = {}
    for method, key in drawn.items():
        if key in numbers:  # one number, whatever the number of labels
            curves[method] = {x: numbers[key].values for x in positions}
        else:
            curves[method] = records.curve(unit, experiment, key, dataset=name)
    return label_curve(curves | dict(beside or {}), title=f"{title} (recorded on {name})", **options)
