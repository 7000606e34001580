"""How parts of a recording tell of what happens: an EventKind, and what belongs to it by name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..model import EventKind, Field, Sample
from ..telemetry.instruments import Instruments
from .state import State, StateTable

log = logging.getLogger("recordkit")


class Tell(Protocol):
    """Takes an event; from any thread."""

    def __call__(self, kind: EventKind, **fields: Field) -> object:
        """Note that something happened."""


class Telling(Tell):
    """Puts what happens to one recording into its log; a trouble, or its end, into its state as well.

    ``path`` returns what the recording is called at this moment, ``instruments`` what keeps its log.
    """

    def __init__(
        self, path: Callable[[], Path], states: StateTable, instruments: Callable[[], Instruments]
    ) -> None:
        self._path = path
        self._states = states
        self._instruments = instruments

    def __call__(self, kind: EventKind, **fields: Field) -> None:
        """Note an event."""
        part = str(fields.get("part", ""))
        if kind is EventKind.DEGRADED:
            self.degrade(part, str(fields.get("because", "")))
        elif kind is EventKind.RESTORED:
            self.restore(part)
        else:
            self._instruments().event(kind, **fields)

    def degrade(self, part: str, because: str) -> None:
        """A part does not work; the rest goes on."""
        if self._states.degrade(part, because):
            log.warning("%s: degraded: %s", self._path(), because)
            self._instruments().event(EventKind.DEGRADED, part=part, because=because)

    def restore(self, part: str) -> None:
        """The part works again."""
        if self._states.restore(part):
            log.info("%s: %s works again", self._path(), part)
            self._instruments().event(EventKind.RESTORED, part=part)

    def stands(self, part: str, because: str | None) -> None:
        """What is wrong with a part, None if it works."""
        if because is None:
            self.restore(part)
        else:
            self.degrade(part, because)

    def gap(self, stream: int, seconds: float, is_filled: bool) -> None:
        """Media is missing in a stream."""
        self(EventKind.GAP, stream=stream, seconds=seconds, filled=is_filled)

    def altered(self, stream: int, because: str) -> None:
        """What a stream shows is not quite what was given."""
        log.warning("%s: stream %d: %s", self._path(), stream, because)
        self(EventKind.ALTERED, stream=stream, because=because)

    def given_up(self, stream: int, because: str) -> None:
        """Nothing more of a stream can be recorded."""
        self.degrade(f"stream {stream}", because)

    def degraded(self, _: Sample) -> str | None:
        """A rule for an alert: why the recording is degraded."""
        return self._states.degraded_because if self._states.state is State.DEGRADED else None
