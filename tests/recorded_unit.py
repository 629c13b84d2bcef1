"""What the tests of all units ask: an experiment run on a small scale, recorded figures, and what a notebook quotes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from course_lib import records
from course_lib.authoring import recording, release

_RESULT = re.compile(r'result\(\s*"(\w+)",\s+"([\w@.:-]+)"(?:,\s+dataset="([\w-]+)")?\s*\)')
_TABLE = re.compile(r'figures_table\([^}]*\},\s+(?:\([\d, ]+\)|\{[^}]*\}),\s+"(\w+)"')
_CURVES = re.compile(r'curves\(unit, "(\w+)"')


@dataclass(frozen=True)
class RecordedUnit:
    """A unit, and the notebook of it whose text is tested."""

    unit: str
    notebook: str
    dataset: str = "glyphs"  # that its experiments are recorded on

    @property
    def source(self) -> str:
        """The notebook's text, a paragraph per line."""
        return release.folder_of(self.unit).joinpath(f"{self.notebook}.py").read_text().replace("\n# ", " ")

    def quoted(self) -> list[tuple[str, str, dict[str, str]]]:
        """Experiment, key and data set (where one is named) of every number in the text.

        Numbers of other units (`unit="..."`) are theirs to guard.
        """
        found = _RESULT.findall(self.source)
        return [(name, key, {"dataset": data} if data else {}) for name, key, data in found]

    def shown(self) -> set[str]:
        """The experiments that the text quotes, has a table of, or draws as curves."""
        return {name for name, *_ in self.quoted()} | {*_TABLE.findall(self.source), *_CURVES.findall(self.source)}

    def figure(self, experiment: str, key: str, **where: Any) -> Any:
        """A recorded figure; `where` may name another data set."""
        return records.figure(self.unit, experiment, key, **{"dataset": self.dataset, **where})

    def mean(self, experiment: str, key: str, **where: Any) -> float:
        return self.figure(experiment, key, **where).mean

    def always(self, experiment: str, larger: str, smaller: str) -> bool:
        """Whether the first of two figures is the larger one on every seed."""
        return min(self.gaps(f"{experiment}:{larger}", f"{experiment}:{smaller}")) > 0

    def gaps(self, better: str, worse: str, **where: Any) -> list[float]:
        """On each seed, how much larger the first of two figures is, each of them "experiment:key"."""
        found = [self.figure(*name.split(":"), **where).values for name in (better, worse)]
        return [a - b for a, b in zip(*found, strict=True)]

    def runs(
        self, experiment: str, *, twice: bool = True, varies: Callable[[str], bool] = lambda key: False
    ) -> dict[str, Any]:
        """The figures of an experiment in the smoke profile, all numbers finite.

        Args:
            twice: run it again, with the experiments loaded afresh (they keep what they have trained), and ask for the
                same figures.
            varies: of which keys the figures may differ from run to run, such as times.
        """

        def run() -> dict[str, Any]:
            # The module is kept until its experiment has run: what it holds may be looked up late.
            module = recording.load_experiments(self.unit)
            return dict(module.EXPERIMENTS[experiment](dataset=self.dataset, profile="smoke", seed=3))

        def steady(figures: dict[str, Any]) -> dict[str, Any]:
            return {key: value for key, value in figures.items() if not varies(key)}

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COURSE_PROFILE", "smoke")
            figures = run()
            if twice:
                assert steady(figures) == steady(run())
        assert figures and all(map(math.isfinite, numbers_in(figures)))
        return figures

    def assert_every_seed_is_recorded(self) -> None:
        """Every quoted number has three seeds or more."""
        quoted = self.quoted()
        assert quoted and all(self.figure(name, key, **where).n >= 3 for name, key, where in quoted)


def numbers_in(figures: dict[str, Any]) -> list[float]:
    """All numbers of an experiment's figures, those in lists too."""
    return [n for value in figures.values() for n in (value if isinstance(value, list) else [value])]
