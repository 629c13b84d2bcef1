"""A figure together with the controls that redraw it, and what a notebook shows of both."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets

from course_lib import plots
from course_lib.plots import Figure


class View:
    """Controls and the figure that they redraw. Shown as the last line of a notebook cell.

    Attributes:
        controls: name -> ipywidget. Setting `view.controls["threshold"].value = 0.3` does what moving it does.
        figure: the figure as it is now.
    """

    def __init__(
        self, draw: Callable[..., Figure], controls: Mapping[str, ipywidgets.ValueWidget], *, hint: str = ""
    ) -> None:
        self.controls = dict(controls)
        self.figure = draw(**self.values)
        self._draw = draw
        self._hint = hint
        self._handle: Any = None
        for control in self.controls.values():
            control.observe(self._redraw, names="value")

    @property
    def values(self) -> dict[str, Any]:
        """What the controls are set to."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def png(self) -> bytes:
        """The figure as it is now, as PNG."""
        return plots.png(self.figure)

    @property
    def alt_text(self) -> str:
        """The figure as it is now, in words."""
        return plots.alt_text(self.figure)

    def _redraw(self, _change: Any) -> None:
        self.figure = self._draw(**self.values)
        if self._handle is not None:
            data, metadata = plots.mime_bundle(self.figure)
            self._handle.update(data, metadata=metadata, raw=True)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if os.environ.get("COURSE_WIDGETS", "").strip() != "static":
            hint = [ipywidgets.HTML(f"<small>{self._hint}</small>")] if self._hint else []
            display(_Controls(ipywidgets.VBox([*hint, *self.controls.values()])))
        self._handle = plots.show(self.figure, display_id=True)


class _Controls:
    """A widget that is described in a sentence, not as `VBox(children=...)`, where it cannot be shown."""

    def __init__(self, widget: ipywidgets.Widget) -> None:
        self.widget = widget

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = self.widget._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        note = (
            "(The controls appear here in a live notebook: run this cell. Below is the picture as it was drawn last.)"
        )
        return {**data, "text/plain": note}, metadata
