"""What ``recordkit record`` shows: a line while it records, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..errors import SettingsError
from ..recorder.recorder import Recorder
from ..recorder.result import Recording
from ..telemetry.process import resident_bytes
from ..telemetry.words import count_text, size_text
from .report import flush_table, time_text

_WORTH_TELLING = {
    "dropped_items": "dropped because the queue was full",
    "late_items": "arrived out of order",
    "mistimed_items": "with an impossible time",
    "rejected_items": "could not be encoded",
    "skipped_units": "skipped before the first keyframe",
    "restarts": "restarts of the source",
    "late_units": "late behind another stream",
    "gap_count": "gaps in the audio",
    "abandoned_items": "left out at the end",
}
"""Counters that are shown at the end if they are not 0, with what is counted."""


def progress(recorder: Recorder) -> Text:
    """The line that stands there while ``recorder`` records."""
    counters = recorder.counters
    memory = resident_bytes(psutil.Process())
    parts: list[str | tuple[str, str]] = [
        ("● REC ", "bold red"),
        (time_text(recorder.duration_s), "bold"),
        "   file ",
        (size_text(recorder.file_bytes), "bold"),
        "   flushes ",
        (str(len(recorder.flush_records)), "bold"),
        "   memory ",
        ("—" if memory is None else size_text(memory), "bold"),
    ]
    if counters.dropped_items:
        parts += ["   dropped ", (str(counters.dropped_items), "bold yellow")]
    return Text.assemble(*parts)


@contextmanager
def progress_line(console: Console) -> Iterator[Callable[[Recorder], None]]:
    """Shows how far a recording is, for which it gives what to call; what comes next begins a line of its own."""
    line = Text()
    try:
        with Live(line, console=console, auto_refresh=False) as live:

            def look(recorder: Recorder) -> None:
                nonlocal line
                line = progress(recorder)
                live.update(line, refresh=True)

            yield look
    finally:
        if line and not console.is_terminal:
            console.print()  # it has no end of its own there


def show(console: Console, recording: Recording) -> None:
    """Print what was recorded, and what was lost or is worth to know."""
    if recording.path is None:
        words = "Nothing was asked for" if recording.counters.video_units + recording.counters.audio_units else None
        console.print(f"{words or 'No media arrived'}, so no file was written.")
        return
    console.print(flush_table(recording))
    line = Text.assemble(
        ("✔ ", "bold green"),
        (str(recording.path), "bold"),
        f" and {count_text(len(recording.segments) - 1, 'file')} before it" if len(recording.segments) > 1 else "",
        f"   {time_text(recording.duration_s)}, {size_text(recording.bytes)}",
    )
    console.print(line, soft_wrap=True)
    if recording.ended_because is not None:
        console.print(
            Text.assemble(("note ", "yellow"), f"the recording ended by itself: {recording.ended_because}")
        )
    counters = asdict(recording.counters)
    told = [f"{words}: {counters[name]:,}" for name, words in _WORTH_TELLING.items() if counters[name]]
    if told:
        console.print(Text.assemble(("note ", "yellow"), ", ".join(told)), soft_wrap=True)


def plot(recording: Recording, path: Path) -> None:
    """Draw it into the image file ``path``. Raises SettingsError if that cannot be written."""
    from ..plots.charts import plot_overview
    from ..plots.style import page

    figure = page(10, 5.6)
    plot_overview(recording, figure=figure)
    try:
        figure.savefig(path, dpi=110, facecolor="white")
    except (OSError, ValueError) as error:
        raise SettingsError("plot", str(path), f"cannot be written: {error}") from error
