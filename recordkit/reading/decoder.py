"""Single frames out of a track: begins at the keyframe before, goes on where it stands, keeps a few frames."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import av

from ..demux import settle
from ..errors import MediaError
from .index import Index
from .track import Track

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

    Packet = av.Packet[Any]

_MOST_KEPT_BYTES = 128 * 1024 * 1024
_BACK = 64
"""Who asks for a frame so little before the last one goes backwards, and will want all before it."""
_UNREFERRED = frozenset({"h264", "mpeg2video"})
"""In these a frame that says that none refers to it can be left out; in H.265 those of higher sub-layers may refer
to it all the same (ITU-T H.265, 7.4.2.2)."""
_MOST_BEYOND = 64
"""So many units behind its own a frame may come out of the decoder; then it does not come at all."""
_MOST_HELD = 24
"""So many units behind its own a frame may come out behind those that are shown later, if the file's times say
another order than the frames: 16 that are reordered (ITU-T H.264, A.3.1), and what threads hold."""
_MOST_BEFORE = 300
"""A gradual refresh (ITU-T H.264, D.2.8) may begin so many units before the frame, or at the keyframe before."""
_ONE = Fraction(1)


class FrameDecoder:
    """Decodes frames of ``track`` by their numbers. Not thread-safe.

    ``beside`` decodes several frames beside each other, which is faster, but needs the frames behind the one
    that is wanted: not for a recording whose newest frame is wanted. ``is_in_order`` says that none is asked for
    that comes before an earlier one.

    Frames on the way to the one that is wanted are let go at once: a decoder that gets their memory back is nearly
    twice as fast as one that has to be given more.
    """

    def __init__(self, track: Track, *, beside: bool = True, is_in_order: bool = False) -> None:
        self._track = track
        self._kept: OrderedDict[int, VideoFrame] = OrderedDict()
        self._kept_bytes = 0
        self._beside = beside
        self._is_in_order = is_in_order
        self._last = self._first_kept = 0
        self._decoder: VideoCodecContext | None = None
        self._packets: Iterator[Packet] = iter(())
        self._next = 0
        self._newest = -1
        self._can_skip = False
        self._is_beside = False
        self._waiting: set[int] = set()
        self._lost = _Lost()

    def frame(self, number: int) -> VideoFrame:
        """Frame ``number``; raises MediaError if it cannot be decoded, SourceError if it cannot be read."""
        self._expect(number)
        kept = self._kept.get(number)
        if kept is not None:
            self._kept.move_to_end(number)
            return kept
        index = self._track.index
        unit = int(index.order[number])
        entry = int(index.entry[unit])
        if self._lost.has(number, index, entry):
            raise MediaError(f"frame {number} of {self._track.name} cannot be decoded")
        # One that is decoded alone for the sake of a frame before it need not be so for those behind a keyframe.
        is_alone = self._beside and not self._is_beside and unit == entry
        if self._decoder is not None and not is_alone and (number in self._waiting or entry <= self._next <= unit):
            found = self._go_on(number, unit)
            if found is not None:
                return found
        until = len(index)
        for begin in _entries(index, unit):
            # One that cannot be decoded costs those beside it, and at the end of the file all that are left.
            for beside in (True, False) if self._beside else (False,):
                self._begin(begin, beside=beside)
                found = self._go_on(number, unit)
                if found is not None:
                    return found
                until = min(until, self._next_that_came(number))
        self._lost = _Lost(number, until, index, entry)
        raise MediaError(f"frame {number} of {self._track.name} cannot be decoded")

    def _next_that_came(self, number: int) -> int:
        """Behind ``number``, which has not come: all before it have not, either."""
        over = len(self._track.index) if self._decoder is None else number + 1
        return min((one for one in self._kept if one > number), default=over)

    def _expect(self, number: int) -> None:
        """Keep what may be wanted next, if ``number`` is wanted now."""
        goes_back = self._last - _BACK <= number < self._last
        self._last = number
        if self._is_in_order:
            self._first_kept = number
            for one in [one for one in self._kept if one < number]:
                del self._kept[one]
        else:
            self._first_kept = 0 if goes_back else number

    def restart(self) -> None:
        """The track has other frames than before: forget all."""
        self._kept.clear()
        self._kept_bytes = 0
        self._let_go()

    def __del__(self) -> None:
        """Wait for the threads."""
        self._let_go()

    def _let_go(self) -> None:
        settle(self._decoder)
        self._decoder = None

    def _go_on(self, number: int, unit: int) -> VideoFrame | None:
        """Decode until frame ``number`` comes, or a later one does, or so many units that it will not come."""
        while self._next <= unit + _MOST_BEYOND:
            is_over = not self._feed()
            is_past = self._newest > number and self._next > unit + _MOST_HELD
            found = self._kept.get(number)
            if found is not None or is_over or is_past:
                return found
        return None

    def _begin(self, entry: int, *, beside: bool) -> None:
        # A new one each time: what is left in an old one may be wrong without its references.
        self._let_go()
        self._decoder = self._track.decoder()
        if self._decoder.codec.canonical_name == "h264" and self._track.index.is_reordered:
            # Else a stream that does not state how far its frames are reordered (E.2.1) loses the first of them.
            self._decoder.options = {**self._decoder.options, "strict": "1"}
        self._is_beside = beside
        self._decoder.thread_type = "AUTO" if beside else "SLICE"
        if self._is_in_order:
            # While one waits for what this thread does with a frame.
            self._decoder.thread_count += 1
        self._can_skip = self._decoder.codec.canonical_name in _UNREFERRED
        self._packets = self._track.packets(entry)
        self._next = entry
        self._newest = -1
        self._waiting.clear()

    def _feed(self) -> bool:
        """Decode one more unit; False once there are no more."""
        decoder, index = self._decoder, self._track.index
        if decoder is None:
            return False
        packet = next(self._packets, None)
        number = -1
        if packet is not None:
            number = int(index.number[self._next])
            packet.pts, packet.dts = number, None
            packet.time_base = _ONE
            self._next += 1
            if number >= self._first_kept:
                self._waiting.add(number)
            if self._can_skip:
                decoder.skip_frame = "NONREF" if number < self._first_kept else "DEFAULT"
        try:
            frames = decoder.decode(packet)
        except av.FFmpegError:
            self._waiting.discard(number)
            frames = []
        for frame in frames:
            if frame.pts is not None and frame.pts >= 0:
                self._waiting.discard(frame.pts)
                self._newest = max(self._newest, frame.pts)
                if frame.pts >= self._first_kept:
                    self._keep(frame.pts, frame)
        if packet is None:
            self._let_go()
            self._waiting.clear()
        return packet is not None

    def _keep(self, number: int, frame: VideoFrame) -> None:
        frame.pts = int(self._track.index.pts[self._track.index.order[number]])
        frame.time_base = self._track.index.time_base
        self._kept[number] = frame
        if self._is_in_order:
            return  # few: decoding stops at the one that is wanted
        self._kept_bytes += _bytes(frame)
        while self._kept_bytes > _MOST_KEPT_BYTES and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= _bytes(dropped)


class _Lost(NamedTuple):
    """Frames from ``begin`` to before ``end`` that cannot be decoded from ``entry``, nor from before it."""

    begin: int = 0
    end: int = 0
    of: Index | None = None
    entry: int = 0

    def has(self, number: int, index: Index, entry: int) -> bool:
        """Whether frame ``number``, which is decoded from ``entry``, is one of them."""
        return self.begin <= number < self.end and index is self.of and entry == self.entry


def _entries(index: Index, unit: int) -> Iterator[int]:
    """Where a decoder may begin for ``unit``: at its own keyframe, and at earlier ones, each twice as far away."""
    entry = int(index.entry[unit])
    yield entry
    keys = index.keys_before(entry)
    while len(keys) and unit - entry <= _MOST_BEFORE:
        far = keys[keys <= unit - 2 * (unit - entry)]
        entry = int(far[-1] if len(far) else keys[0])
        yield entry
        keys = keys[keys < entry]


def _bytes(frame: VideoFrame) -> int:
    return sum(plane.buffer_size for plane in frame.planes)
