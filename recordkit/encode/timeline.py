"""One timeline for all streams of a recording: source times in, unwrapped 90 kHz ticks out."""

from __future__ import annotations

from ..ticks import TICKS_PER_SECOND

START = 2 * TICKS_PER_SECOND
"""Where a recording begins: room before it for the PCR's lead and for an encoder's priming."""
RESTART = TICKS_PER_SECOND
"""A step back of less is disorder, and the item is late; of more, the source may have begun anew."""
JUMP = 10 * TICKS_PER_SECOND
"""A step forward of more may be a gap, or one damaged timestamp."""


class _Stream:
    __slots__ = ("last", "offset", "step", "stride", "suspect")

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.last: int | None = None
        self.step = TICKS_PER_SECOND // 30  # where neither times nor durations tell
        self.stride = 0  # the last step forward that was believed
        self.suspect: int | None = None  # the source time of the item before, where it was not believed


class Timeline:
    """Places the times of several streams, which share one origin: that of the first item placed.

    A step of over ten seconds forward, or a second back, is believed when a second item confirms
    it: a single damaged timestamp moves nothing but its own item, which goes right behind the one
    before (``mistimed_items``). A source that begins anew goes on behind what was placed last, all
    its streams by the same shift, so that they stay in sync (``restarts``). ``late_items`` counts
    items whose time went back by less, ``untimed_items`` items that came without a time.
    """

    def __init__(self) -> None:
        self.late_items = 0
        self.mistimed_items = 0
        self.restarts = 0
        self.untimed_items = 0
        self._offset: int | None = None
        self._streams: dict[int, _Stream] = {}

    def place(
        self, index: int, ticks: int | None, duration: int, *, keep_late: bool = False, trusted: bool = False
    ) -> int | None:
        """Where an item of stream ``index`` goes, or None where it comes too late to have a place.

        ``ticks`` is its time by the source, None where it has none: then it follows the item
        before it, and the first of a stream stands beside the newest of the others. ``duration``
        is its own length, or 0 where that is not known. With ``keep_late`` a late item goes right
        behind the one before it instead: a coded picture that others refer to must not be lost.
        ``trusted`` times have been judged by who gives them: a step forward is believed at once.
        """
        if self._offset is None:
            self._offset = START - (ticks or 0)
        stream = self._streams.get(index)
        if stream is None:
            stream = self._streams[index] = _Stream(self._offset)
        last = stream.last
        if ticks is None:
            self.untimed_items += 1
            place = self._newest() if last is None else last + stream.step
        elif last is None:
            place = ticks + stream.offset
        else:
            step = ticks + stream.offset - last
            believed = last + step if trusted and step > 0 else self._believed(stream, last, ticks)
            if believed is None and not keep_late:
                self.late_items += 1
                return None
            place = last + 1 if believed is None else believed
            self.late_items += believed is None
        if duration:
            stream.step = duration
        elif last is not None:
            stream.step = max(1, min(place - last, TICKS_PER_SECOND))
        stream.last = place
        return place

    def _believed(self, stream: _Stream, last: int, ticks: int) -> int | None:
        """The place of an item at ``ticks`` that has one before it; None where it is late."""
        step = ticks + stream.offset - last
        suspect, stream.suspect = stream.suspect, None
        if -RESTART < step <= 0:
            return None
        if 0 < step <= max(JUMP, 2 * stream.stride):
            stream.stride = step
            return last + step
        if suspect is None or ticks <= suspect:
            self.mistimed_items += 1
            stream.suspect = ticks
            return last + stream.step
        if step > 0:
            stream.stride = step
            return last + step
        return self._begin_anew(stream, last, ticks)

    def _begin_anew(self, stream: _Stream, last: int, ticks: int) -> int:
        shared = self._offset
        if shared is None or not last < ticks + shared < last + RESTART:
            self.restarts += 1
            shared = self._offset = self._newest() + stream.step - ticks
        stream.offset = shared
        return ticks + shared

    def _newest(self) -> int:
        return max((stream.last for stream in self._streams.values() if stream.last is not None), default=START)

    def has_begun(self, index: int) -> bool:
        """Whether an item of stream ``index`` has been placed."""
        return index in self._streams

    def shift(self, index: int) -> int:
        """What is added to the source times of stream ``index`` now, in ticks."""
        return self._streams[index].offset
