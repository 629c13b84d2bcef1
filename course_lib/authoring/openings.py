"""What the opening of each notebook says: title, time, what learners will do; and which exercises stand in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from course_lib.authoring import quoting
from course_lib.authoring.sources import source_files, unit_folders


@dataclass(frozen=True)
class Notebook:
    """What the opening and the cells of a source say: `outcomes` is its "You will", as a clause that follows "can"."""

    number: str
    link: str
    title: str
    time: str
    outcomes: str
    exercises: tuple[str, ...]
    written_points: int


def notebooks(root: Path) -> Iterator[Notebook]:
    """The course's notebooks in their order.

    Raises:
        ValueError: an opening lacks a title, a claim, what learners will do or the time.
    """
    for unit, folder in unit_folders(root).items():
        for source in source_files(folder):
            text = source.read_text(encoding="utf-8")
            opening = re.sub(r"^# ?", "", text.partition("# %% [markdown]\n")[2].partition("\n# %%")[0], flags=re.M)
            opening = " ".join(quoting.render(opening, unit=unit).replace("\n\n", " | ").split())
            title = re.search(r"# ([^|]+?) \|", opening)
            claim = re.search(r"\| \*([^*].*?[^*])\* \|", opening)
            will = re.search(r"\*\*You will\*\* (.+?) \|", opening)
            time = re.search(r"\*\*Time\*\*: (?:about )?([\d.]+(?: to [\d.]+)? (?:minutes|hours))", opening)
            if not title or not claim or not will or not time:
                needs = "a title, *a claim*, **You will** and **Time**: 2 to 2.5 hours"
                raise ValueError(f"{source}: its first cell must hold {needs}.")
            written = re.findall(r"^# %% \[markdown\] nbgrader=.*?\"points\": (\d+)", text, re.MULTILINE)
            yield Notebook(
                number=source.stem.partition("_")[0],
                link=f"notebooks/{unit}/{source.stem}.ipynb",
                title=title[1],
                time=time[1],
                outcomes=re.sub(r"\.? \*\*You will (\w+)\*\*", r"; \1", will[1]).rstrip("."),
                exercises=tuple(re.findall(r'^# %% .*"grade_id": "check_(\w+)"', text, re.MULTILINE)),
                written_points=sum(map(int, written)),
            )
