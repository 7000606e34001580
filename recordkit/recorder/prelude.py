"""What live media brings before the clocks of its streams are known: laid as it came, until it has its places.

A sender's streams are put beside each other by its reports, which may take seconds to come; till then their units
wait, each in its sender's own time. What waits would be lost with the process. So it is laid besides, by its
arrival, into the half of the tail that is still free: a recording of its own, which recovery takes. It goes on
while what has waited is laid in its true places, which takes a busy machine a while; then it is given up.

Nothing is coded anew for it that can be carried as it came: Opus stays Opus.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ..container import Packager
from ..encode.coded import Coded
from ..encode.streams import Streams
from ..errors import MediaError, RecordkitError
from ..model import EncodedUnit
from ..system import Clock
from ..writer.writer import Writer

log = logging.getLogger("recordkit")

LONGEST_WAIT_S = 0.25
"""So long the first of its units waits for those of other streams, which the first tables had better name."""


@dataclass(frozen=True, slots=True)
class AllPlaced:
    """All that has waited for its place has come with it."""


class Prelude:
    """Lays early units; called from one thread. Nothing that goes wrong in here harms the recording itself.

    ``streams`` and ``packager`` are its own. ``has_room`` may be read from any thread: without it what waits had
    better wait no longer.
    """

    def __init__(
        self, streams: Streams, packager: Packager, writer: Writer, expected: set[int], clock: Clock
    ) -> None:
        self.has_room = True
        self._streams = streams
        self._packager = packager
        self._writer = writer
        self._expected = expected
        self._clock = clock
        self._pending: list[Coded] = []
        self._first_s = clock.monotonic()
        self._has_begun = False
        self._has_ended = False

    def add(self, unit: EncodedUnit, index: int) -> None:
        """Lay a unit of stream ``index`` behind those before."""
        if not self.has_room:
            return
        try:
            self._pending += self._streams.code(unit, index, unit.ticks, discontinuity=unit.discontinuity)
            if self._may_begin():
                self._lay()
        except RecordkitError as error:
            log.debug("what waits for its clocks cannot be laid early: %s", error)
            self.has_room = False

    def end(self) -> None:
        """All of it is in its true place: give it up. May be called again."""
        if self._has_ended:
            return
        self._has_ended = True
        self.has_room = False
        self._pending.clear()
        self._streams.close()
        self._writer.end_early()

    def _may_begin(self) -> bool:
        if not self._has_begun:
            known = {coded.unit.stream for coded in self._pending}
            waited_s = self._clock.monotonic() - self._first_s
            self._has_begun = bool(known) and (self._expected <= known or waited_s >= LONGEST_WAIT_S)
            if self._has_begun:
                for index in sorted(known):
                    self._declare(next(coded for coded in self._pending if coded.unit.stream == index))
        return self._has_begun

    def _declare(self, coded: Coded) -> None:
        if self._packager.format(coded.unit.stream) != coded.format:
            self._packager.declare(coded.unit.stream, coded.format)

    def _lay(self) -> None:
        pending, self._pending = self._pending, []
        for coded in pending:
            try:
                self._declare(coded)
                self.has_room = self._writer.lay_early(self._packager, coded.unit)
            except MediaError:
                continue  # it is told when it comes with its place
            if not self.has_room:
                return
