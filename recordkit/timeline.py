"""One timeline for all streams of a recording: source times in, unwrapped 90 kHz ticks out."""

from __future__ import annotations

from .mpegts.clock import TICKS_PER_SECOND

START = 2 * TICKS_PER_SECOND
"""Where a recording begins: room before it for the PCR's lead and for an encoder's priming."""
RESTART = TICKS_PER_SECOND
"""A step back of less is disorder, and the item is late; of more, the source began anew."""


class _Stream:
    __slots__ = ("last", "offset", "step")

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.last: int | None = None
        self.step = TICKS_PER_SECOND // 30  # where neither times nor durations tell


class Timeline:
    """Places the times of several streams, which share one origin: that of the first item placed.

    A source that begins anew (its times go back by a second or more) goes on right behind what
    was placed last, all its streams by the same shift, so that they stay in sync. ``late_items``
    counts items that had to be dropped because their time went back by less; ``restarts`` counts
    new beginnings, ``untimed_items`` items that came without a time.
    """

    def __init__(self) -> None:
        self.late_items = 0
        self.restarts = 0
        self.untimed_items = 0
        self._offset: int | None = None
        self._streams: dict[int, _Stream] = {}

    def place(self, index: int, ticks: int | None, duration: int) -> int | None:
        """Where an item of stream ``index`` goes, or None where it comes too late to have a place.

        ``ticks`` is its time by the source, None where it has none: then it follows the item
        before it, and the first of a stream stands beside the newest of the others. ``duration``
        is its own length, or 0 where that is not known.
        """
        if self._offset is None:
            self._offset = START - (ticks or 0)
        stream = self._streams.get(index)
        if stream is None:
            stream = self._streams[index] = _Stream(self._offset)
        if ticks is None:
            self.untimed_items += 1
            place = self._newest() if stream.last is None else stream.last + stream.step
        else:
            place = ticks + stream.offset
            if stream.last is not None and place <= stream.last:
                if stream.last - place < RESTART:
                    self.late_items += 1
                    return None
                place = self._begin_anew(stream, ticks)
        if duration:
            stream.step = duration
        elif stream.last is not None:
            stream.step = max(1, min(place - stream.last, TICKS_PER_SECOND))
        stream.last = place
        return place

    def _begin_anew(self, stream: _Stream, ticks: int) -> int:
        shared = self._offset
        last = stream.last or 0
        if shared is None or not last < ticks + shared < last + RESTART:
            self.restarts += 1
            shared = self._offset = self._newest() + stream.step - ticks
        stream.offset = shared
        return ticks + shared

    def _newest(self) -> int:
        return max((stream.last for stream in self._streams.values() if stream.last is not None), default=START)

    def shift(self, index: int) -> int:
        """What is added to the source times of stream ``index`` now, in ticks."""
        return self._streams[index].offset
