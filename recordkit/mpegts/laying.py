"""One access unit as transport packets, in memory that is lent (ISO/IEC 13818-1, 2.4.3).

It is a PES packet of its own, so that a unit is whole in the buffer the moment it was laid. All
stuffing stands in its last transport packet, which leaves the packets between the first and the
last free of adaptation fields: their headers are one slice of a ready-made table of continuity
counters, their payloads one slice of the unit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from struct import Struct, calcsize

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

_PTS_ALONE, _PTS_AND_DTS = 0x8480, 0x84C0
"""Flags of a PES header: data_alignment_indicator, and which times follow."""
_FIELDS = ("", "H", "", "HIH")
"""How adaptation fields are packed, by the number of values: length and flags, then the PCR."""
_PES_HEADERS = {_PTS_ALONE: "IHHBBHH", _PTS_AND_DTS: "IHHBBHHBHH"}
"""How PES headers are packed (2.4.3.6): stream_id, lengths and flags, then 3, 15 and 15 bits of each time."""
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


_Layout = tuple[Callable[..., None], int, int]
"""What packs a packet, the bytes before its PES header, and how many of the unit's bytes go into it."""


class ElementaryStream:
    """What the packetiser keeps for one elementary stream: ready-made headers and where it stands."""

    __slots__ = (
        "_bodies",
        "_layouts",
        "_run",
        "_start_code",
        "continuity",
        "format",
        "framed",
        "head",
        "is_video",
        "jumps_after",
        "least_dts",
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
        self.least_dts = NEVER
        self.jumps_after = -NEVER
        self.head = 0x47 << 24 | self.pid << 8 | PAYLOAD
        # Indexed by continuity counter; from 16 on with an adaptation field before the payload.
        self._bodies = tuple((self.head | at & 15 | (FIELD if at > 15 else 0)).to_bytes(4) for at in range(32))
        self._run: NDArray[np.uint32] = np.frombuffer(b"".join(self._bodies[:16]) * (_RUN // 16 + 1), np.uint32)
        self._layouts: dict[tuple[int, int, int], _Layout] = {}

    def take(self, stream_format: StreamFormat) -> None:
        """From the next unit on the stream has this format."""
        self.format = stream_format
        self.framed = framing(stream_format)

    def _layout(self, field: int, times: int, front: int) -> _Layout:
        """How a first packet is packed.

        ``field`` is the number of values in its adaptation field, ``times`` the flags of its PES
        header, ``front`` the bytes that are put before the unit.
        """
        before = f">I{_FIELDS[field]}"
        headers = f"{before}{_PES_HEADERS[times]}{front}s"
        room = PACKET_BYTES - calcsize(headers)
        made = self._layouts[field, times, front] = Struct(f"{headers}{room}s").pack_into, calcsize(before), room
        return made

    def lay(self, unit: AccessUnit, front: bytes, buffer: PacketBuffer, field: tuple[int, ...]) -> None:
        """Lay the unit's packets, ``front`` before its data; ``field`` are the values of its adaptation field."""
        data, pts, dts = unit.data, unit.pts, unit.dts
        size = len(data) + len(front)
        if len(front) > _LONGEST_FRONT:
            data, front = front + data, b""
        laid, at, counter = buffer.bytes, buffer.used * PACKET_BYTES, self.continuity
        head = self.head | UNIT_START | (FIELD if field else 0) | counter
        times = _PTS_ALONE if pts == dts else _PTS_AND_DTS
        key = len(field), times, len(front)
        pack_into, before, room = self._layouts.get(key) or self._layout(*key)
        # struct cuts off what of the data has no room. PES_packet_length is left open only where it must be.
        if pts == dts:
            pack_into(
                laid, at, head, *field, self._start_code, size + 8 if size <= 0xFFFF - 8 else 0, times, 5,
                0x21 | pts >> 29 & 14, 1 | pts >> 14 & 0xFFFE, 1 | pts << 1 & 0xFFFE, front, data,
            )  # fmt: skip
        else:
            pack_into(
                laid, at, head, *field, self._start_code, size + 13 if size <= 0xFFFF - 13 else 0, times, 10,
                0x31 | pts >> 29 & 14, 1 | pts >> 14 & 0xFFFE, 1 | pts << 1 & 0xFFFE,
                0x11 | dts >> 29 & 14, 1 | dts >> 14 & 0xFFFE, 1 | dts << 1 & 0xFFFE, front, data,
            )  # fmt: skip
        row, left, counter = buffer.used + 1, len(data) - room, (counter + 1) & 15
        if left < 0:
            _stuff(laid[at : at + PACKET_BYTES], before, -left)
        while left >= _NUMPY_PAYS * PAYLOAD_BYTES:
            run = min(left // PAYLOAD_BYTES, _RUN)
            # The headers after the payloads: they fall into cache lines that are at hand by then.
            buffer.payloads[row : row + run] = np.frombuffer(data, _PAYLOADS, run, room)
            buffer.heads[row : row + run] = self._run[counter : counter + run]
            row, counter = row + run, (counter + run) & 15
            room += run * PAYLOAD_BYTES
            left -= run * PAYLOAD_BYTES
        at = row * PACKET_BYTES
        while left > 0:
            payload = data[room : room + PAYLOAD_BYTES]
            if left < PAYLOAD_BYTES:
                payload = _STUFFING[PAYLOAD_BYTES - left] + payload
                counter += 16
            laid[at : at + PACKET_BYTES] = self._bodies[counter] + payload
            row, counter = row + 1, (counter + 1) & 15
            at += PACKET_BYTES
            room += PAYLOAD_BYTES
            left -= PAYLOAD_BYTES
        self.continuity = counter
        buffer.used = row


def _stuff(packet: memoryview, front: int, size: int) -> None:
    """Move what stands behind the adaptation field to the packet's end, and stuff ``size`` bytes before it."""
    packet[front + size :] = bytes(packet[front:-size])
    if front == 4:
        packet[3] |= FIELD
        packet[4 : 4 + size] = _STUFFING[size]
    else:
        packet[4] += size
        packet[front : front + size] = b"\xff" * size


def section_packets(pid: int, section: bytes, counter: int) -> bytearray:
    """A section in as many packets as it takes, 0xFF behind it, pointer_field 0 before it (2.4.4.1)."""
    content = b"\0" + section
    packets = bytearray()
    for number, at in enumerate(range(0, len(content), PAYLOAD_BYTES)):
        head = 0x47 << 24 | pid << 8 | PAYLOAD | (counter + number) & 15 | (0 if number else UNIT_START)
        packets += (head.to_bytes(4) + content[at : at + PAYLOAD_BYTES]).ljust(PACKET_BYTES, b"\xff")
    return packets
