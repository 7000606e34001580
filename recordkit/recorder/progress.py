"""How a recording goes on, in the notebook cell that waits for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..printable import for_page
from ..telemetry.words import size_text, time_text
from .state import State

if TYPE_CHECKING:
    from .recorder import Recorder

_DOTS = {State.RECORDING: "●", State.DEGRADED: "▲", State.STOPPED: "✔", State.FAILED: "✘"}


def cell_progress() -> Callable[[Recorder], None] | None:
    """Called with a recorder, again and again, this shows how it stands; None if no notebook cell runs this."""
    # Where nobody has loaded IPython there is no cell, and it is not loaded for that.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return _Line()


class _Line:
    """One line of output, which changes in its place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, recorder: Recorder) -> None:
        """Show how ``recorder`` stands."""
        from IPython.display import display

        plain = line(recorder)
        shown = {"text/plain": plain, "text/html": f"<code>{for_page(plain)}</code>"}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(shown, raw=True)


def line(recorder: Recorder) -> str:
    """``recorder`` in one line: state, file, seconds of media, bytes, what was dropped."""
    state = recorder.state
    parts = [
        f"{_DOTS.get(state, '…')} {state} {recorder.final_output_path.name}",
        time_text(recorder.duration_s),
        size_text(recorder.file_bytes + recorder.bytes_since_last_flush),
    ]
    if dropped := recorder.counters.dropped_items:
        parts.append(f"{dropped:,} dropped")
    return "   ".join(parts)
