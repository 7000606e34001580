"""Options: one recording in many files, or a ring of which what is asked for is kept."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Annotated

import typer

from ..errors import RecordkitError
from ..recorder.recorder import Recorder
from ..settings import Ring, Segments

log = logging.getLogger("recordkit")

SegmentOption = Annotated[
    str | None,
    typer.Option(help="Begin a file this often, such as 10min; OUTPUT needs {start:%H-%M-%S} or {number:04d}."),
]
SegmentBytesOption = Annotated[
    str | None, typer.Option(help="Begin another file before one is larger than this, such as 4GB.")
]
AtClockOption = Annotated[
    bool, typer.Option("--at-clock", help="Files begin when the clock shows a multiple of --segment.")
]
RingOption = Annotated[
    str | None,
    typer.Option(
        help="Hold only the last seconds, such as 60 or 5min; each SIGUSR1 keeps them in a file; OUTPUT as for "
        "--segment."
    ),
]
RingBytesOption = Annotated[str | None, typer.Option(help="The most that --ring may hold, such as 200MB.")]


def segments_of(every: str | None, max_bytes: str | None, *, at_clock: bool) -> Segments | None:
    """When a recording goes on in another file; None if it has one. Raises SettingsError."""
    if every is None and max_bytes is None and not at_clock:
        return None
    return Segments(every=every, max_bytes=max_bytes, at_clock=at_clock)


def ring_of(seconds: str | None, max_bytes: str | None) -> Ring | None:
    """What a ring holds; None if all is recorded. Raises SettingsError."""
    if seconds is None and max_bytes is None:
        return None
    return Ring(seconds=seconds or "", max_bytes=max_bytes)


class Asks:
    """SIGUSR1 asks a ``ring`` to keep what it holds; without one the signal does what it does."""

    def __init__(self, ring: Ring | None) -> None:
        self.is_asked = threading.Event()
        if ring is not None:
            # No more than this: whoever is interrupted by it may hold any lock.
            signal.signal(signal.SIGUSR1, lambda number, frame: self.is_asked.set())

    def pass_on(self, recorder: Recorder) -> None:
        """Keep what the ring of ``recorder`` holds if that was asked for since the last time."""
        if self.is_asked.is_set():
            self.is_asked.clear()
            try:
                kept = recorder.keep()
            except RecordkitError as error:
                log.error("Nothing is kept: %s", error)
                return
            log.warning("What the ring holds is kept in %s", kept.path)
