"""One access unit as transport packets, in memory that is lent (ISO/IEC 13818-1, 2.4.3).

It is a PES packet of its own, so that a unit is whole in the buffer the moment it was laid. All
stuffing stands in its last transport packet, which leaves the packets between the first and the
last free of adaptation fields: their headers are one slice of a ready-made table of continuity
counters, their payloads one slice of the unit.
"""

from __future__ import annotations

import sys
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from ..model import AccessUnit, StreamFormat
from .framing import framing
from .tables import FIRST_STREAM_PID

PACKET_BYTES = 188
PAYLOAD_BYTES = PACKET_BYTES - 4
UNIT_START, FIELD, PAYLOAD = 0x40_0000, 0x20, 0x10
"""In a packet header of 32 bits: payload_unit_start_indicator and adaptation_field_control."""
NEVER = -(1 << 62)
"""Before any time."""

_RUN = 4096
_NUMPY_PAYS = 8
"""From so many packets on, two numpy copies cost less than a copy for each packet."""
_STUFFING = tuple(
    b"" if size == 0 else b"\0" if size == 1 else bytes([size - 1, 0]) + b"\xff" * (size - 2)
    for size in range(PACKET_BYTES)
)
"""A whole adaptation field that only stuffs, by its size in bytes (2.4.3.4)."""

_PTS_ALONE, _PTS_AND_DTS = 0x8480_0521, 0x84C0_0A31
"""Of a PES header (2.4.3.6): its flags (data_alignment_indicator, and which times follow), the length of what
follows, and the bits before the PTS."""
_FIELDS = {0: "0s", 2: "H", 8: "Q"}
"""How an adaptation field is packed, by its bytes: none, flags alone, and a PCR with them."""
_PACK_PTS = {size: Struct(f">I{field}IHIHH").pack for size, field in _FIELDS.items()}
_PACK_PTS_AND_DTS = {size: Struct(f">I{field}IHIHHBHH").pack for size, field in _FIELDS.items()}
"""What packs the headers of a first packet: its own, the adaptation field, and that of the PES packet, with 3, 15
and 15 bits of each time."""
_LONGEST_FRONT = 128
"""A longer one is joined to the unit: the headers and what is put before the unit must fit into one packet."""
_PAYLOADS = np.dtype((np.void, PAYLOAD_BYTES))
_PACKETS = np.dtype([("head", np.uint32), ("payload", _PAYLOADS)])


class PacketBuffer:
    """Memory lent to the packetiser: ``rows`` is uint8, shape (packets, 188), C-contiguous.

    ``used`` counts the packets laid so far. The views are made once, because making a numpy view
    costs as much as laying a small unit.
    """

    __slots__ = ("bytes", "capacity", "heads", "payloads", "used")

    def __init__(self, rows: NDArray[np.uint8]) -> None:
        self.capacity = len(rows)
        self.used = 0
        packets = np.ndarray((len(rows),), _PACKETS, rows)
        self.heads = packets["head"]
        # One item a payload, not 184: numpy then copies each by one memcpy.
        self.payloads = packets["payload"]
        self.bytes = rows.data.cast("B")

    @property
    def used_bytes(self) -> int:
        """Bytes laid so far."""
        return self.used * PACKET_BYTES


class ElementaryStream:
    """What the packetiser keeps for one elementary stream: ready-made headers and where it stands."""

    __slots__ = (
        "_bodies",
        "_heads",
        "_lasts",
        "_run",
        "_start_code",
        "continuity",
        "format",
        "framed",
        "head",
        "is_video",
        "last_dts",
        "most_bytes",
        "pid",
    )

    def __init__(self, index: int, stream_format: StreamFormat, stream_id: int) -> None:
        self.pid = FIRST_STREAM_PID + index
        self.take(stream_format)
        self.is_video = stream_format.codec.is_video
        self.most_bytes = sys.maxsize if self.is_video else 0xFFFF - 16
        self._start_code = 0x100 | stream_id
        self.continuity = 0
        self.last_dts = NEVER
        self.head = 0x47 << 24 | self.pid << 8 | PAYLOAD
        # Indexed by continuity counter, where it may not have been folded since the unit began: the header of a
        # first packet, as a number, of those that follow, and of a last one, which has an adaptation field.
        self._heads = tuple(self.head | UNIT_START | at for at in range(16))
        self._bodies = tuple((self.head | at & 15).to_bytes(4) for at in range(32))
        self._lasts = tuple((self.head | FIELD | at & 15).to_bytes(4) for at in range(32))
        self._run: NDArray[np.uint32] = np.frombuffer(b"".join(self._bodies) * (_RUN // 32 + 1), np.uint32)

    def take(self, stream_format: StreamFormat) -> None:
        """From the next unit on the stream has this format."""
        self.format = stream_format
        self.framed = framing(stream_format)

    def lay(
        self, unit: AccessUnit, front: bytes, size: int, buffer: PacketBuffer, field: int, field_bytes: int
    ) -> None:
        """Lay the unit's packets, ``front`` before its data, ``size`` bytes together.

        ``field`` is its adaptation field, a number of 0, 2 or 8 bytes.
        """
        data, pts, dts, counter, row = unit.data, unit.pts, unit.dts, self.continuity, buffer.used
        if len(front) > _LONGEST_FRONT:
            data, front = front + data, b""
        head = self._heads[counter] | (FIELD if field else 0)
        # PES_packet_length is left open only where it must be.
        if pts == dts:
            lead = _PACK_PTS[field_bytes](
                head, field or b"", self._start_code, size + 8 if size <= 0xFFFF - 8 else 0,
                _PTS_ALONE | pts >> 29 & 14, 1 | pts >> 14 & 0xFFFE, 1 | pts << 1 & 0xFFFE,
            )  # fmt: skip
        else:
            lead = _PACK_PTS_AND_DTS[field_bytes](
                head, field or b"", self._start_code, size + 13 if size <= 0xFFFF - 13 else 0,
                _PTS_AND_DTS | pts >> 29 & 14, 1 | pts >> 14 & 0xFFFE, 1 | pts << 1 & 0xFFFE,
                0x11 | dts >> 29 & 14, 1 | dts >> 14 & 0xFFFE, 1 | dts << 1 & 0xFFFE,
            )  # fmt: skip
        room = PACKET_BYTES - len(lead) - len(front)
        left = len(data) - room
        at, number = row * PACKET_BYTES, counter + 1
        if left < 0:
            buffer.bytes[at : at + PACKET_BYTES] = _stuffed(lead, 4 + field_bytes, -left) + front + data
            row += 1
        elif left < _NUMPY_PAYS * PAYLOAD_BYTES:
            parts = [lead, front, data[:room]]
            while left >= PAYLOAD_BYTES:
                end = room + PAYLOAD_BYTES
                parts += self._bodies[number], data[room:end]
                room, left, number = end, left - PAYLOAD_BYTES, number + 1
            if left:
                parts += self._lasts[number], _STUFFING[PAYLOAD_BYTES - left], data[room:]
                number += 1
            row += number - counter
            buffer.bytes[at : row * PACKET_BYTES] = b"".join(parts)
        else:
            buffer.bytes[at : at + PACKET_BYTES] = b"".join((lead, front, data[:room]))
            row += 1
            while left >= PAYLOAD_BYTES:
                run, number = min(left // PAYLOAD_BYTES, _RUN), number & 15
                # The headers after the payloads: they fall into cache lines that are at hand by then.
                buffer.payloads[row : row + run] = np.frombuffer(data, _PAYLOADS, run, room)
                buffer.heads[row : row + run] = self._run[number : number + run]
                row, number = row + run, number + run
                room += run * PAYLOAD_BYTES
                left -= run * PAYLOAD_BYTES
            if left:
                at, last = row * PACKET_BYTES, self._lasts[number & 15]
                buffer.bytes[at : at + PACKET_BYTES] = last + _STUFFING[PAYLOAD_BYTES - left] + data[room:]
                row, number = row + 1, number + 1
        self.continuity = number & 15
        buffer.used = row


def _stuffed(lead: bytes, front: int, size: int) -> bytes:
    """The headers ``lead`` with ``size`` bytes stuffed behind ``front``, where the adaptation field ends."""
    if front == 4:
        return lead[:3] + bytes((lead[3] | FIELD,)) + _STUFFING[size] + lead[4:]
    return lead[:4] + bytes((lead[4] + size,)) + lead[5:front] + b"\xff" * size + lead[front:]


def section_packets(pid: int, section: bytes, counter: int) -> bytearray:
    """A section in as many packets as it takes, 0xFF behind it, pointer_field 0 before it (2.4.4.1)."""
    content = b"\0" + section
    packets = bytearray()
    for number, at in enumerate(range(0, len(content), PAYLOAD_BYTES)):
        head = 0x47 << 24 | pid << 8 | PAYLOAD | (counter + number) & 15 | (0 if number else UNIT_START)
        packets += (head.to_bytes(4) + content[at : at + PAYLOAD_BYTES]).ljust(PACKET_BYTES, b"\xff")
    return packets
