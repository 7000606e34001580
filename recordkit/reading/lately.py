"""Coded audio at the end of a transport stream that grows: what was cut out for one reader is kept for the next.

Who follows a recording asks ten times a second for what is new. By the frame table alone it could only be read
from one and a half seconds before: audio and video of one time may lie so far apart in a file.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from operator import attrgetter

import numpy as np

from ..model import Codec, StreamFormat
from ..mpegts.report import PesEvent
from ..mpegts.scanner import Scanner
from ..mpegts.sync import PACKET_BYTES
from ..ticks import TICKS_PER_SECOND, WRAP
from .elementary import of_pid, tables
from .sound import Heard, SoundCutter
from .store import Store

_KEPT = 10 * TICKS_PER_SECOND
_PIECE_PACKETS = 2800
_SYNC_BYTE = 0x47


class Lately:
    """All audio in ``pid`` that is heard from ``begin`` ticks on and lies behind byte ``place`` of ``store``.

    ``begin`` moves on with what is written: ten seconds are kept. ``carried`` is what the tables say of it.
    """

    def __init__(self, store: Store, pid: int, codec: Codec, carried: StreamFormat, begin: int, place: int) -> None:
        self.begin = begin
        self._store = store
        self._pid = pid
        self._place = place
        self._scanner = Scanner()
        self._scanner.feed(tables(pid, carried))
        self._cutter = SoundCutter(codec)
        self._found: list[Heard] = []

    def read(self) -> bool:
        """Cut out what was written meanwhile; False if that is no row of whole packets, as recordkit writes them.

        Raises SourceError.
        """
        size = self._store.size
        end = size - (size - self._place) % PACKET_BYTES
        while self._place < end:
            data = self._store.read(self._place, min(self._place + _PIECE_PACKETS * PACKET_BYTES, end))
            if not data or len(data) % PACKET_BYTES:
                return False
            rows = np.frombuffer(data, np.uint8).reshape(-1, PACKET_BYTES)
            if (rows[:, 0] != _SYNC_BYTE).any():
                return False
            self._place += len(data)
            for event in self._scanner.feed(of_pid(rows, self._pid)):
                if isinstance(event, PesEvent) and event.pts is not None and event.complete:
                    self._take(event.data, event.pts)
        return True

    def _take(self, data: bytes, pts: int) -> None:
        near = self._found[-1].pts if self._found else self.begin
        self._found += self._cutter.feed(data, pts + round((near - pts) / WRAP) * WRAP)
        while self._found and self._found[-1].pts - self._found[0].pts > 2 * _KEPT:
            newest = self._found[-1].pts
            self._found = [one for one in self._found if newest - one.pts <= _KEPT]
            self.begin = max(self.begin, newest - _KEPT)

    def between(self, begin: int, end: int) -> Iterator[Heard]:
        """What is heard from ``begin`` on and before ``end``."""
        first = bisect_left(self._found, begin, key=attrgetter("pts"))
        for one in self._found[first:]:
            if one.pts >= end:
                return
            yield one
