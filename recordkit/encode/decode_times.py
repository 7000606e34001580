"""When frames are decoded, told by when they are shown and by the order in which they come (B-frames).

A live source gives presentation times only (RFC 6184, 5.1). A stream may show up to ``reorder`` frames
later than they are decoded (max_num_reorder_frames; ITU-T H.264, E.2.1): the frame that comes as number
n is decoded no later than the one that is shown as number n - ``reorder``.
"""

from __future__ import annotations

import logging
from collections import deque
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

from ..bitstream.h264 import nal_units
from ..bitstream.sps import parse_sps
from ..ticks import TICKS_PER_SECOND

log = logging.getLogger("recordkit")

_MOST_REORDERED = 16
_MOST_GUESSED = 4
_APART = TICKS_PER_SECOND // 2
_RESTART = TICKS_PER_SECOND
_USUAL_STEPS = 4
_SPS = 7

T = TypeVar("T")


class Timed(NamedTuple, Generic[T]):
    """A frame with its times in ticks; ``is_late`` says that ``pts`` is not its own, for which it came too late."""

    item: T
    pts: int
    dts: int
    is_late: bool


class DecodeTimes(Generic[T]):
    """Finds the DTS of the frames of one stream, given in decoding order.

    ``reorder`` is by how many places frames are reordered, None where the stream does not say: then
    it is learned, and the first frames that show it come late. Where frames are reordered the first
    ones wait for each other, ``reorder`` at the most.
    """

    def __init__(self) -> None:
        self.reorder: int | None = None
        self._depth = 0
        self._step = TICKS_PER_SECOND // 30
        self._newest: deque[int] = deque(maxlen=_MOST_REORDERED + 1)
        self._held: list[tuple[T, int]] | None = []
        self._last: int | None = None

    @property
    def reorders(self) -> bool:
        """Whether frames are shown in another order than they come."""
        return self._depth > 0

    def learn(self, data: bytes) -> None:
        """See how far an H.264 unit (Annex B) says that its stream is reordered."""
        for kind, start, end in nal_units(data):
            if kind == _SPS:
                sps = parse_sps(data[start:end])
                self.assume(sps.reorder or 0 if sps is not None else 0)
                self.reorder = sps.reorder if sps is not None else None
            elif 1 <= kind < _SPS - 1:
                return

    def assume(self, reorder: int) -> None:
        """Take it from elsewhere how far the stream is reordered."""
        self.reorder = reorder
        self._depth = min(reorder, _MOST_REORDERED)

    def put(self, item: T, pts: int) -> list[Timed[T]]:
        """Take the next frame, shown at ``pts`` (ticks); returns those whose times are known now."""
        if self._held is None:
            return [self._timed(item, pts)]
        self._held.append((item, pts))
        return self.flush() if len(self._held) > self._depth else []

    def flush(self) -> list[Timed[T]]:
        """The frames that wait."""
        held, self._held = self._held, None
        if not held:
            return []
        times = sorted({pts for _, pts in held})
        steps = [after - before for before, after in pairwise(times)]
        self._step = min(steps, default=self._step)
        first = times[0]
        self._newest.extend(first - number * self._step for number in range(self._depth, 0, -1))
        return [self._timed(item, pts) for item, pts in held]

    def _timed(self, item: T, pts: int) -> Timed[T]:
        newest = max(self._newest, default=pts)
        usual = _USUAL_STEPS * self._step
        if not self._depth and newest < pts < newest + max(_APART, usual):  # as it mostly is
            self._newest.append(pts)
            self._last = dts = pts if self._last is None else max(pts, self._last + 1)
            return Timed(item, dts, dts, pts < dts)
        if not newest - max(_RESTART, usual) < pts < newest + max(_APART, usual):
            # A gap, or a source that counts anew: what was before says nothing.
            if pts < newest:
                self._last = None
            self._newest.clear()
            self._newest.extend(pts - number * self._step for number in range(self._depth, 0, -1))
        elif self.reorder is None:
            needed = sum(before > pts for before in self._newest)
            if self._depth < needed <= _MOST_GUESSED:
                if not self._depth:
                    log.info("frames are shown in another order than they come (B-frames): DTS follows from it")
                self._depth = needed
        self._newest.append(pts)
        in_order = sorted(self._newest)
        dts = in_order[max(0, len(in_order) - 1 - self._depth)]
        dts = dts if self._last is None else max(dts, self._last + 1)
        self._last = dts
        return Timed(item, max(pts, dts), dts, pts < dts)
