"""A source that is opened again each time it has gone away, as one source."""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Iterator
from threading import Event

import av

from ..encode.routing import FIRST_AUDIO, VIDEO
from ..errors import SourceError
from ..model import Codec, EventKind, Field
from ..system import Clock
from .connection import Connection, Slot
from .lasting import comes_back, is_finished, waits_for_its_sender
from .lasting import segment_s as segment_s_of
from .media_settings import MediaFileSettings
from .reconnect import Reconnect, Waits
from .rejoin import Gap, Rejoin
from .source import SourceItem, SourceNote
from .torn import without_torn

log = logging.getLogger("recordkit")

_PART = "source"
_LOOK_S = 1.0
"""So often a recording that ends after some time is told how far the source would be."""


class Returning:
    """The connections of ``file``: one, or if it says ``reconnect`` and does not end by itself one after the other.

    Waits by ``clock`` until ``stop`` is set. Raises SourceError if the first cannot be made.
    """

    def __init__(self, file: MediaFileSettings, carried: Collection[Codec], clock: Clock, stop: Event) -> None:
        self._file = file
        self._carried = carried
        self._clock = clock
        self._stop = stop
        self.connection = Connection(file, carried)
        self._slots: tuple[Slot, ...] = ()
        self._kind: str | None = None
        self._rejoin = Rejoin(file.name, clock)
        self._away_s: float | None = None
        self._because = ""
        self._tries = 0
        self._lost: set[str] = set()

    def close(self) -> None:
        """Close the connection that there is."""
        self.connection.close()

    def items(self) -> Iterator[SourceItem | SourceNote]:
        """What it gives. Without ``reconnect``, or if it ends by itself, it raises SourceError where it breaks."""
        how = self._file.reconnect
        container = self.connection.container
        if how is None or not comes_back(container, self._file.url):
            if how is not None:
                lasts = f", {container.duration / av.time_base:g} s" if container.duration else ""
                log.warning("%s says that it has an end%s: it is not asked for again", self._file.name, lasts)
            yield from self.connection.items()
            return
        waits = Waits(how)
        while True:
            began_s = self._clock.monotonic()
            is_over = yield from self._until_it_breaks()
            self.connection.close()
            self._slots = self._slots or self.connection.slots
            self._kind = self.connection.container.format.name
            if is_over or self._stop.is_set():
                return
            now_s = self._clock.monotonic()
            if self._away_s is None:
                self._away_s, self._tries = now_s, 0
                yield _note(EventKind.DEGRADED, part=_PART, because=f"the source is away: {self._because}")
                waits.came(now_s - began_s)
            is_back = yield from self._ask_again(how, waits)
            if not is_back:
                return

    def _until_it_breaks(self) -> Generator[SourceItem | SourceNote, None, bool]:
        """What the connection gives; True if it is over then, and not only away."""
        container = self.connection.container
        segment_s = segment_s_of(self._file) if container.format.name == "hls" else 0.0
        try:
            for one in self._rejoin.joined(without_torn(self.connection.items()), segment_s):
                if self._away_s is not None:
                    yield from self._back(self._away_s)
                if isinstance(one, SourceItem):
                    yield one
                elif (note := self._gap(one)) is not None:
                    yield note
        except SourceError as error:
            self._because = str(error).removeprefix(f"{error.source}: ")
            return False
        self._because = "the connection was closed"
        if not is_finished(container, self._file):
            return False
        log.info("%s: its playlist says that it is finished", self._file.name)
        return True

    def _gap(self, gap: Gap) -> SourceNote | None:
        """The event of a gap; None if whoever encodes the stream tells it."""
        is_video, number = gap.key
        passed = {(one.is_video, one.number): one.is_passed for one in self.connection.slots}
        if not is_video and not passed.get(gap.key):
            return None
        stream = VIDEO if is_video else FIRST_AUDIO + number
        return _note(EventKind.GAP, stream=stream, seconds=gap.seconds, filled=False)

    def _back(self, away_s: float) -> Iterator[SourceNote]:
        """It gives media again."""
        self._away_s = None
        yield _note(EventKind.RECONNECT, seconds=self._clock.monotonic() - away_s, tries=self._tries)
        yield _note(EventKind.RESTORED, part=_PART)
        lost = {one.part for one in self.connection.lost}
        for part in sorted(lost - self._lost):
            yield _note(EventKind.DEGRADED, part=part, because="the source came back without it")
        for part in sorted(self._lost - lost):
            yield _note(EventKind.RESTORED, part=part)
        self._lost = lost

    def _ask_again(self, how: Reconnect, waits: Waits) -> Generator[SourceNote, None, bool]:
        """Open it, as often as it takes; False if it is to be given up, or the recording ends."""
        since_s = self._clock.monotonic() if self._away_s is None else self._away_s
        is_called = waits_for_its_sender(self._file)
        wait_s = 0.0 if is_called else waits.next()
        while True:
            if how.give_up_after is not None:
                left_s = since_s + how.give_up_after - self._clock.monotonic()
                if left_s <= 0:
                    because = f"the source did not come back within {how.give_up_after:g} s: {self._because}"
                    yield _note(EventKind.SOURCE_ENDED, because=because)
                    return False
                wait_s = min(wait_s, left_s)
            yield from self._wait(wait_s)
            if self._stop.is_set():
                return False
            self._tries += 1
            tried_s = self._clock.monotonic()
            try:
                self.connection = Connection(self._file, self._carried, self._slots, self._kind)
            except SourceError as error:
                self._because = str(error).removeprefix(f"{error.source}: ")
                log.info("%s: is not back yet: %s", self._file.name, self._because)
            else:
                return True
            has_waited = self._clock.monotonic() - tried_s >= how.first_s
            wait_s = 0.0 if is_called and has_waited else waits.next()

    def _wait(self, seconds: float) -> Iterator[SourceNote]:
        until_s = self._clock.monotonic() + seconds
        while not self._stop.is_set():
            yield SourceNote(reached_s=self._rejoin.reached_s)
            left_s = until_s - self._clock.monotonic()
            if left_s <= 0:
                return
            self._clock.sleep(min(left_s, _LOOK_S), self._stop)


def _note(kind: EventKind, **fields: Field) -> SourceNote:
    return SourceNote(kind, fields)
