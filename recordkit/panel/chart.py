"""A chart on the panel's page, with a name that a screen reader tells: ipywidgets' Image has none."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

from ..playback.script import script
from ..plots.live import Drawn

_HERE = Path(__file__).parent


class Chart(anywidget.AnyWidget):
    """Shows ``picture`` (PNG; empty: nothing yet), and says ``words`` of it."""

    _esm = script(_HERE / "chart.js")

    picture = traitlets.Bytes(b"").tag(sync=True)
    words = traitlets.Unicode("").tag(sync=True)

    def show(self, drawn: Drawn) -> None:
        """Show another one, in one message."""
        with self.hold_sync():
            self.picture, self.words = drawn
