"""Finding transport packets in a byte stream: packet size, sync, and sync again after damage."""

from __future__ import annotations

from collections.abc import Iterator
from math import lcm
from typing import Final

import numpy as np
import numpy.typing as npt

from ..telemetry.words import count_text
from .payload import HEADER_BYTES
from .report import ProblemEvent, ProblemKind

PACKET_BYTES: Final = 188
SYNC_BYTE: Final = 0x47

Rows = npt.NDArray[np.uint8]
"""Transport packets, one per row of 188 bytes."""
Headers = npt.NDArray[np.uint32]
"""The first four bytes of each packet as one number, the first byte lowest."""
Packets = tuple[int, Rows, Headers]
"""The offset of the first one, and all of them."""

_STRIDES = (188, 192, 204)
PIECE_BYTES: Final = 12 * lcm(*_STRIDES)
"""Some 2 MB of whole packets of each of these sizes: a file that is read so is not cut within one."""
_SYNCS = 5
"""Sync bytes in a row that make a transport stream."""
_IN_PHASE = 3
"""Of the next five sync bytes, how many must be in place for only this packet to be damaged, not the phase."""
_SEARCH_BYTES = 1 << 16
STAMPED_BYTES: Final = 192
STAMP_BYTES: Final = 4
"""A packet of 192 bytes has its time stamp of four bytes in front."""


def headers_of(rows: Rows) -> Headers:
    """The headers: to take each of their bytes from where it lies costs three times as much."""
    headers: Headers = rows[:, :HEADER_BYTES].view("<u4")[:, 0].copy()
    return headers


class PacketFramer:
    """Cuts bytes into transport packets; the result does not depend on how the bytes were cut.

    ``stride`` is the distance of two sync bytes: 188, 192 (with a time stamp in front) or 204
    (with parity behind); 0 while unknown. The first byte is that at ``offset`` of the file.
    """

    def __init__(self, offset: int = 0) -> None:
        self.stride = 0
        self._rest = b""
        self._offset = offset  # of the first byte in _rest
        self._lost_at: int | None = offset

    @property
    def bytes_fed(self) -> int:
        """Bytes fed until now."""
        return self._offset + len(self._rest)

    def feed(self, data: bytes | memoryview) -> Iterator[Packets | ProblemEvent]:
        """The packets in ``data`` and where sync was lost.

        The rows are views of ``data``: valid until the next item is asked for.
        """
        return self._cut(b"".join((self._rest, data)) if self._rest else data, final=False)

    def close(self) -> Iterator[Packets | ProblemEvent]:
        """What was held back in case more came, and how the stream ends."""
        yield from self._cut(self._rest, final=True)
        left, at = len(self._rest), self._offset
        self._rest, self._offset = b"", at + left
        if self._lost_at is not None:
            yield from self._ends_out_of_sync(at + left)
        elif left:
            yield ProblemEvent(ProblemKind.CUT_PACKET, at, None, f"the last packet has {left} bytes only")

    def _ends_out_of_sync(self, end: int) -> Iterator[ProblemEvent]:
        lost_at = self._lost_at or 0
        if self.stride:
            detail = f"{count_text(end - lost_at, 'byte')} up to the end without transport packets"
            yield ProblemEvent(ProblemKind.SYNC_LOST, lost_at, None, detail)
        else:
            detail = f"no transport packets in {end} bytes" if end else "there are no bytes at all"
            yield ProblemEvent(ProblemKind.NOT_TRANSPORT_STREAM, 0, None, detail)

    def _cut(self, data: bytes | memoryview, final: bool) -> Iterator[Packets | ProblemEvent]:
        array = np.frombuffer(data, np.uint8)
        begin, at = self._offset, 0
        while True:
            if self._lost_at is not None:
                at, found = self._search(array, at, final)
                if not found:
                    break
                problem = self._found(begin + at)
                if problem is not None:
                    yield problem
            rows, headers, stop = self._good_rows(array, at, final)
            if len(rows):
                yield begin + at, rows, headers
                at = min(at + len(rows) * self.stride, len(array))
            in_phase = self._still_in_phase(array, at, final) if stop else None
            if in_phase is None:
                break
            if in_phase:
                detail = f"{self.stride} bytes skipped: a packet without its sync byte"
                yield ProblemEvent(ProblemKind.SYNC_LOST, begin + at, None, detail)
                at += self.stride
            else:
                self._lost_at = begin + at
                at += 1
        self._rest, self._offset = bytes(array[at:]), begin + at

    def _found(self, offset: int) -> ProblemEvent | None:
        lost_at, self._lost_at = self._lost_at or 0, None
        expected = STAMP_BYTES if self.stride == STAMPED_BYTES and lost_at == 0 else 0
        if offset - lost_at <= expected:
            return None
        detail = f"{count_text(offset - lost_at, 'byte')} skipped"
        return ProblemEvent(ProblemKind.SYNC_LOST, lost_at, None, detail)

    def _good_rows(self, array: Rows, at: int, final: bool) -> tuple[Rows, Headers, bool]:
        """The packets in sync that lie from ``at`` on, and whether one out of sync follows."""
        needed = PACKET_BYTES if final else self.stride  # the last one may lack what surrounds it
        count = max((len(array) - at - needed) // self.stride + 1, 0)
        place = min(at, len(array))
        rows: Rows = np.ndarray((count, PACKET_BYTES), np.uint8, array, place, (self.stride, 1))
        headers = headers_of(rows)
        bad = np.flatnonzero(headers.view(np.uint8)[::HEADER_BYTES] != SYNC_BYTE)
        stop = int(bad[0]) if len(bad) else count
        return rows[:stop], headers[:stop], len(bad) > 0

    def _still_in_phase(self, array: Rows, at: int, final: bool) -> bool | None:
        """Whether only the packet at ``at`` is damaged; None if more bytes are needed to tell."""
        places = array[at + self.stride : at + _SYNCS * self.stride + 1 : self.stride]
        if len(places) < _SYNCS and not final:
            return None
        return int(np.count_nonzero(places == SYNC_BYTE)) >= min(_IN_PHASE, max(len(places), 1))

    def _search(self, array: Rows, at: int, final: bool) -> tuple[int, bool]:
        """Where the next run of sync bytes begins; or how far one can be ruled out."""
        strides = (self.stride,) if self.stride else _STRIDES
        sure = max(len(array) - (_SYNCS - 1) * strides[-1], at)
        for begin in range(at, sure, _SEARCH_BYTES):
            best, chosen = min(begin + _SEARCH_BYTES, sure), 0
            for stride in strides:
                run = array[begin:best] == SYNC_BYTE
                for index in range(1, _SYNCS):
                    run &= array[begin + index * stride : best + index * stride] == SYNC_BYTE
                places = np.flatnonzero(run)
                if len(places):
                    best, chosen = begin + int(places[0]), stride
            if chosen:
                self.stride = chosen
                return best, True
        return self._search_end(array, sure, strides) if final else (sure, False)

    def _search_end(self, array: Rows, at: int, strides: tuple[int, ...]) -> tuple[int, bool]:
        """The same at the stream's end, where fewer sync bytes fit: all that fit have to be there."""
        for place in range(at, len(array) - PACKET_BYTES + 1):
            enough = 2 if self._offset + place else 1
            for stride in strides:
                syncs = array[place::stride]
                if len(syncs) >= enough and bool((syncs == SYNC_BYTE).all()):
                    self.stride = stride
                    return place, True
        return len(array), False
