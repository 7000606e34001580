"""When frames were taken, as senders tell it: by abs-capture-time, by reports, or by how quickly packets came.

Abs-capture-time is a header extension of RTP: an NTP time in 64 bits, and how far that clock is off, which is 0
unless somebody stands between. Browsers that offer it send it about once a second; Chromium does so when its page
asks for that. aiortc neither asks for it nor reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from aiortc.rtp import unpack_header_extensions

from ...model import Captured, CapturedBy
from ...ticks import TICKS_PER_SECOND
from .clock import StreamClock
from .description import sections
from .internals import private

URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
_EXTENSIONS = "_rtp_header_extensions_map"
_EXTENSION = re.compile(r"^a=extmap:(\d+)(?:/\w+)? (\S+)", re.MULTILINE)
_SECOND_NS = 1_000_000_000
_EPOCH_S = 2_208_988_800
"""From 1900, where NTP begins, to 1970."""
_LONGEST_WAY_NS = 10 * _SECOND_NS
"""A sender that says that its frames took longer has a clock that is wrong."""
_ERROR_S = {CapturedBy.ABS_CAPTURE_TIME: 0.05, CapturedBy.SENDER_REPORT: 0.04}
"""So far senders were seen to be off, and some more: Chromium's extension by up to 34 ms on a machine that had
five times the work it could do, 4 ms else; reports name the moment of sending in place of that of taking."""


def asked_for(answer: str, offer: str) -> tuple[str, int | None]:
    """``answer`` with the extension in those sections of video in which it was offered, and its number if it was.

    An answer may name nothing that was not offered (RFC 8285, 6): Firefox refuses all of it then.
    """
    (head, *answered), (_, *offered) = sections(answer), sections(offer)
    number = None
    for place, (section, of_offer) in enumerate(zip(answered, offered, strict=False)):
        found = next((int(number) for number, uri in _EXTENSION.findall(of_offer) if uri == URI), None)
        if found is not None and section.startswith("m=video"):
            number = found
            if URI not in section:
                answered[place] = f"{section}a=extmap:{number} {URI}\r\n"
    return "".join([head, *answered]), number


def listen(transports: Iterable[Any], number: int) -> None:
    """Let packets of these transports (aiortc's, of DTLS) say when they were taken, by extension ``number``.

    Raises TapError if aiortc is not built as expected.
    """
    for transport in transports:
        there = private(transport, _EXTENSIONS, lambda one: callable(getattr(one, "get", None)))
        setattr(transport, _EXTENSIONS, _Extensions(getattr(there, "aiortcs", there), number))


class _Extensions:
    """In the place of aiortc's map of header extensions: reads one more."""

    def __init__(self, aiortcs: Any, number: int) -> None:  # noqa: ANN401 - untyped over there
        self.aiortcs = aiortcs
        self.number = number

    def get(self, profile: int, value: bytes) -> Any:  # noqa: ANN401 - as aiortc's own
        found = self.aiortcs.get(profile, value)
        for number, content in unpack_header_extensions(profile, value):
            if number == self.number and len(content) >= 8:
                found.capture_ntp = int.from_bytes(content[:8])
        return found

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all else is as aiortc has it
        return getattr(self.aiortcs, name)


def capture_ntp(packet: Any) -> int | None:  # noqa: ANN401 - aiortc's packet
    """The NTP time (64 bits, the upper half seconds) at which the packet's frame was taken, if it says so."""
    ntp = getattr(getattr(packet, "extensions", None), "capture_ntp", None)
    return ntp if isinstance(ntp, int) and ntp else None


class TakenTimes:
    """When the frames of one stream were taken, by what is known best.

    The times of a stream advance as its frames are taken, so that one time that is told dates all. The sender's
    clock is believed as long as frames take no longer than ten seconds. Not thread-safe.
    """

    def __init__(self, clock: StreamClock) -> None:
        self._clock = clock
        self._told: tuple[int, int, int] | None = None

    def told(self, ntp: int, ticks: int) -> None:
        """The frame whose time is ``ticks``, as its stream counts, was taken at ``ntp``."""
        self._told = (self._clock.jumps, ticks, _unix_ns(ntp))

    def of(self, ticks: int, wall_ns: int) -> Captured:
        """When the frame of ``ticks`` was taken; ``wall_ns`` is what UTC is ahead of the monotonic clock."""
        clock = self._clock
        came_ns = _nanoseconds(ticks + clock.transit) + wall_ns
        by, taken_ns = CapturedBy.ARRIVAL, came_ns
        if self._told is not None and self._told[0] == clock.jumps:
            by, taken_ns = CapturedBy.ABS_CAPTURE_TIME, self._told[2] + _nanoseconds(ticks - self._told[1])
        elif clock.has_reports:
            # The earliest: reports are late by what lies between taking a frame and telling of it.
            by = CapturedBy.SENDER_REPORT
            taken_ns = _nanoseconds(ticks + clock.earliest_ntp_offset) - _EPOCH_S * _SECOND_NS
        way_ns = came_ns - taken_ns
        if by is CapturedBy.ARRIVAL or abs(way_ns) > _LONGEST_WAY_NS:
            return Captured(came_ns, CapturedBy.ARRIVAL)
        # None is taken after it came. A clock that is behind makes the way longer, by as much.
        return Captured(min(taken_ns, came_ns), by, max(_ERROR_S[by], abs(way_ns) / _SECOND_NS))


def _unix_ns(ntp: int) -> int:
    return ((ntp >> 32) - _EPOCH_S) * _SECOND_NS + ((ntp & 0xFFFF_FFFF) * _SECOND_NS >> 32)


def _nanoseconds(ticks: int) -> int:
    return ticks * _SECOND_NS // TICKS_PER_SECOND
