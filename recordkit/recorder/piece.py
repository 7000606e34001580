"""One file of a ring, and what is known of the units in it: where a copy may begin, what the file does not say."""

from __future__ import annotations

import fcntl
import logging
import os
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from ..model import AccessUnit, StreamFormat
from ..system import System
from ..writer.identity import lock
from .segment import Segment

log = logging.getLogger("recordkit")


class Entry(NamedTuple):
    """A unit that what is kept may begin with.

    ``pts`` is when it is shown; from ``whole`` on, in ticks, all streams are there behind it, and from ``heard`` on
    some of them. ``counts`` are the units of each stream before it in its file.
    """

    pts: int
    whole: int
    heard: int
    counts: Mapping[int, int]


class Piece:
    """One file of the ring, and what is known of the units in it, stream by stream in the order of the file.

    ``formats`` are the formats and from which unit on each holds, ``firsts`` the times of the first units.
    ``marked`` are units of which a file does not say all: a copy has it from here. ``uses`` counts the copies under
    way.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.entries: list[Entry] = []
        self.counts: dict[int, int] = {}
        self.formats: dict[int, list[tuple[int, StreamFormat]]] = {}
        self.firsts: dict[int, int] = {}
        self.marked: dict[tuple[int, int], AccessUnit] = {}
        self.uses = 0
        self._descriptor: int | None = None
        self.is_over = False

    def hold(self, system: System) -> None:
        """Lock its file, which is closed, so that nobody takes it for one that was left; see ``let_go``."""
        try:
            self._descriptor = system.open(self.segment.writer.temp_output_path, os.O_RDWR)
            lock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            log.debug("%s: cannot be locked: %s", self.segment.writer.temp_output_path, error.strerror)

    def let_go(self, system: System) -> None:
        """Whoever comes may have its file, if it is there. May be called again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            system.close(descriptor)

    def add(self, unit: AccessUnit) -> None:
        """A unit was laid into it."""
        stream = unit.stream
        count = self.counts.get(stream, 0)
        self.counts[stream] = count + 1
        self.firsts.setdefault(stream, unit.pts)
        formats, stream_format = self.formats.setdefault(stream, []), self.segment.formats[stream]
        if not formats or formats[-1][1] is not stream_format:
            formats.append((count, stream_format))
        if unit.discontinuity or unit.is_second_field or unit.start_trim or unit.end_trim:
            self.marked[stream, count] = replace(unit, data=b"\0", prefix=b"", header=b"", nal_starts=())

    def format_of(self, stream: int, number: int) -> StreamFormat:
        """The format of a unit."""
        formats = self.formats[stream]
        return formats[bisect_right(formats, number, key=lambda one: one[0]) - 1][1]


class Span(NamedTuple):
    """What is to be copied: units of ``pieces``, from ``first`` in the first of them up to ``ends`` in the last."""

    pieces: tuple[Piece, ...]
    first: Entry
    ends: Mapping[int, int]
