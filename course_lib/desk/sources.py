"""Whether this copy of the course has its sources, which a student's has not, and which units they are."""

from __future__ import annotations

from pathlib import Path

import click


def units_named(chosen: tuple[str, ...]) -> list[str]:
    """The units that a command was given, or all.

    Raises:
        click.UsageError: there is no such unit.
        click.ClickException: there are no units at all.
    """
    from course_lib.authoring.sources import unit_folders

    known = list(unit_folders())
    if not known:
        raise click.ClickException("There are no units under solutions/. A student's copy of the course has none.")
    for unit in chosen:
        if unit not in known:
            raise click.UsageError(f"There is no unit {unit}; the units are {', '.join(known)}.")
    return list(chosen) or known


def only_with_sources() -> None:
    """Refuses a command that a student's copy cannot do.

    Raises:
        click.ClickException: authoring/ is not there.
    """
    if not (Path(__file__).parent.parent / "authoring").is_dir():
        raise click.ClickException("A student's copy of the course has no sources, so this command does nothing here.")
