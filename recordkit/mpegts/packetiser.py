"""Access units in, transport packets out, laid straight into memory that the caller lends.

The layout of one access unit (ISO/IEC 13818-1, 2.4.3): a PES packet of its own, so that a unit is
whole in the buffer the moment it was laid. All stuffing stands in its last transport packet, which
leaves the packets between the first and the last free of adaptation fields: their headers are one
slice of a ready-made table of continuity counters, their payloads one slice of the unit.

Time runs by the units themselves. The programme clock before a unit is its DTS less ``LEAD``, and
never goes back; where units of one stream come up to 0.8 s later than those of another, the clock
is still behind their DTS. So nothing is held back to be sorted, and nothing encoded waits outside
the buffer.
"""

from __future__ import annotations

from struct import Struct

import numpy as np
from numpy.typing import NDArray

from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat
from .clock import TICKS_PER_SECOND, pcr_bytes
from .tables import FIRST_STREAM_PID, PAT_PID, PMT_PID, build_pat, build_pmt

PACKET_BYTES = 188
PAYLOAD_BYTES = PACKET_BYTES - 4
LEAD = TICKS_PER_SECOND * 9 // 10
"""How far the PCR runs behind the newest DTS: 0.9 s, so that 0.1 s is left for a unit 0.8 s late."""
LEAST_LEAD = TICKS_PER_SECOND // 10
PCR_INTERVAL = TICKS_PER_SECOND * 40 // 1000
TABLES_INTERVAL = TICKS_PER_SECOND * 100 // 1000
_TABLES_PACE = TABLES_INTERVAL - PCR_INTERVAL
"""A reader takes the time from the last PCR, and the next one may be so far away."""
LONGEST_PACED_GAP = TICKS_PER_SECOND * 10
"""A longer gap in time is jumped over, with discontinuity_indicator, instead of paced through."""
MOST_STREAMS = 32

_RUN = 4096
_NUMPY_PAYS = 8
"""From so many packets on, two numpy copies cost less than a copy for each packet."""
_STUFFING = tuple(
    b"" if size == 0 else b"\0" if size == 1 else bytes([size - 1, 0]) + b"\xff" * (size - 2)
    for size in range(PACKET_BYTES)
)
"""A whole adaptation field that only stuffs, by its size in bytes (2.4.3.4)."""

_DISCONTINUITY, _RANDOM_ACCESS, _PCR = 0x80, 0x40, 0x10
_FIELD_FLAGS = tuple(tuple(bytes([size, flags]) for flags in range(256)) for size in range(8))
_PES_WITH_PTS = Struct(">4sHHBBHH").pack
_PES_WITH_BOTH = Struct(">4sHHBBHHBHH").pack
"""PES headers (2.4.3.6): stream_id, lengths and flags, then the 3, 15 and 15 bits of each time."""
_LONGEST_PREFIX = 128
"""A longer one is joined to the unit: the headers and the prefix must fit into one packet."""
_PAYLOAD = np.dtype((np.void, PAYLOAD_BYTES))
_PACKET = np.dtype([("head", np.uint32), ("payload", _PAYLOAD)])


class PacketBuffer:
    """Memory lent to the packetiser: ``rows`` is uint8, shape (packets, 188), C-contiguous.

    ``used`` counts the packets laid so far. The views are made once, because making a numpy view
    costs as much as laying a small unit.
    """

    __slots__ = ("bytes", "capacity", "heads", "payloads", "used")

    def __init__(self, rows: NDArray[np.uint8]) -> None:
        self.capacity = len(rows)
        self.used = 0
        packets = np.ndarray((len(rows),), _PACKET, rows)
        self.heads = packets["head"]
        # One item a payload, not 184: numpy then copies each by one memcpy.
        self.payloads = packets["payload"]
        self.bytes = rows.data.cast("B")

    @property
    def used_bytes(self) -> int:
        """Bytes laid so far."""
        return self.used * PACKET_BYTES


class _Stream:
    """What the packetiser keeps for one elementary stream: ready-made headers and where it stands."""

    __slots__ = ("bodies", "continuity", "format", "heads", "is_video", "last_dts", "pid", "run", "start")

    def __init__(self, index: int, stream_format: StreamFormat, stream_id: int) -> None:
        self.pid = FIRST_STREAM_PID + index
        self.format = stream_format
        self.is_video = stream_format.codec.is_video
        self.start = b"\0\0\1" + bytes([stream_id])
        self.continuity = 0
        self.last_dts: int | None = None
        # Indexed by continuity counter; from 16 on with an adaptation field before the payload.
        self.heads = tuple(_head(self.pid, at & 15, start=True, field=at > 15) for at in range(32))
        self.bodies = tuple(_head(self.pid, at & 15, field=at > 15) for at in range(32))
        self.run: NDArray[np.uint32] = np.tile(np.frombuffer(b"".join(self.bodies[:16]), np.uint32), _RUN // 16 + 1)


def _head(pid: int, counter: int, *, start: bool = False, field: bool = False) -> bytes:
    """A packet header with payload (2.4.3.2), with an adaptation field before it or not."""
    return bytes([0x47, (0x40 if start else 0) | pid >> 8, pid & 0xFF, (0x30 if field else 0x10) | counter])


class Packetiser:
    """Lays access units as transport packets. Not thread-safe; does no I/O and reads no clock.

    ``late_units`` counts units that came so late that less than 0.1 s was left before their DTS.
    """

    def __init__(self) -> None:
        self.late_units = 0
        self._streams: dict[int, _Stream] = {}
        self._tables = bytearray()
        self._tables_version = 0
        self._tables_laid = False
        self._tables_due = 0
        self._pcr_stream: _Stream | None = None
        self._pcr_due = 0
        self._clock: int | None = None

    @property
    def streams(self) -> dict[int, StreamFormat]:
        """The streams declared so far, by index."""
        return {index: stream.format for index, stream in self._streams.items()}

    def format(self, index: int) -> StreamFormat | None:
        """The format of stream ``index``, None where it was not declared."""
        stream = self._streams.get(index)
        return None if stream is None else stream.format

    def is_video(self, index: int) -> bool:
        """Whether stream ``index``, which was declared, carries pictures."""
        return self._streams[index].is_video

    def declare(self, index: int, stream_format: StreamFormat) -> None:
        """Add a stream, or give a declared one a new format; the next unit is preceded by a new PMT.

        Raises MediaError for more than 32 streams, or a change from one codec to another.
        """
        known = self._streams.get(index)
        if known is None:
            if not 0 <= index < MOST_STREAMS:
                raise MediaError(f"streams are numbered from 0 to {MOST_STREAMS - 1}", index)
            self._streams[index] = _Stream(index, stream_format, self._stream_id(stream_format.codec))
        elif known.format.codec is not stream_format.codec:
            raise MediaError(f"cannot change from {known.format.codec} to {stream_format.codec}", index)
        else:
            known.format = stream_format
        ordered = sorted(self._streams.values(), key=lambda stream: stream.pid)
        pcr_stream = self._pcr_stream
        if pcr_stream is None or self._clock is None:
            # The PCR goes with the pictures, where there are any from the start; then it stays
            # where it is, because few readers follow it to another PID.
            pcr_stream = next((stream for stream in ordered if stream.is_video), ordered[0])
            self._pcr_stream = pcr_stream
        if self._tables_laid:
            self._tables_version = (self._tables_version + 1) & 31
            self._tables_laid = False
        formats = [(stream.pid, stream.format) for stream in ordered]
        pmt = build_pmt(formats, pcr_stream.pid, self._tables_version)
        pat_counter, pmt_counter = self._tables[3::PACKET_BYTES][:2] or (0, 0)
        self._tables = _section_packets(PAT_PID, build_pat(), pat_counter)
        self._tables += _section_packets(PMT_PID, pmt, pmt_counter)

    def _stream_id(self, codec: Codec) -> int:
        """stream_id (table 2-22): 0xE0 and on for video, 0xC0 and on for audio, 0xBD for private data."""
        if codec is Codec.OPUS:
            return 0xBD
        earlier = sum(stream.is_video is codec.is_video for stream in self._streams.values())
        return (0xE0 | earlier & 0x0F) if codec.is_video else (0xC0 | earlier & 0x1F)

    def packets_for(self, unit: AccessUnit) -> int:
        """How many packets ``lay`` may need for ``unit`` at the most, tables and PCRs included."""
        gap = 0 if self._clock is None else unit.dts - LEAD - self._clock
        paced = gap if 0 < gap <= LONGEST_PACED_GAP else 0
        tables = len(self._tables) // PACKET_BYTES * (paced // _TABLES_PACE + 2)
        # 32 bytes: the longest PES header (19) and adaptation field (8) that we lay, and some.
        unit_packets = (len(unit.data) + len(unit.prefix) + 32) // PAYLOAD_BYTES + 1
        return unit_packets + tables + paced // PCR_INTERVAL + 2

    def lay(self, unit: AccessUnit, buffer: PacketBuffer) -> None:
        """Lay ``unit`` at the end of ``buffer``, which must have room for ``packets_for(unit)``.

        Raises MediaError, with nothing laid, for a stream that was not declared, a DTS that does
        not increase, or an audio unit that no PES packet can hold.
        """
        stream = self._checked_stream(unit)
        time, clock, last_dts = unit.dts - LEAD, self._clock, stream.last_dts
        jump = False
        if clock is None:
            self._tables_due = time + _TABLES_PACE
        elif time < clock:
            time = clock
            self.late_units += unit.dts - time < LEAST_LEAD
        elif time - clock > LONGEST_PACED_GAP:
            jump = True
        elif time > self._pcr_due or time > self._tables_due:
            self._pace(time, buffer)
        self._clock = time
        stream.last_dts = unit.dts
        is_entry = unit.random_access and stream.is_video
        if not self._tables_laid or jump or is_entry:
            self._lay_tables(time, buffer)
        flags = _RANDOM_ACCESS if is_entry else 0
        # A stream that was silent for long, while others went on, jumps as well: say so.
        if unit.discontinuity or (last_dts is not None and unit.dts - last_dts > LONGEST_PACED_GAP):
            flags |= _DISCONTINUITY
        field = _FIELD_FLAGS[1][flags] if flags else b""
        if stream is self._pcr_stream:
            last_pcr = self._pcr_due - PCR_INTERVAL
            if clock is None or jump or flags or time > last_pcr:
                if clock is not None and time <= last_pcr:
                    # Another stream has brought the clock here already; a PCR must not stand still.
                    time = self._clock = last_pcr + 1
                flags |= _PCR | (_DISCONTINUITY if jump else 0)
                field = _FIELD_FLAGS[7][flags] + pcr_bytes(time)
                self._pcr_due = time + PCR_INTERVAL
        elif clock is None or jump:
            self._lay_pcr(time, buffer, discontinuity=jump)
        self._lay_unit(unit, stream, buffer, field)

    def _checked_stream(self, unit: AccessUnit) -> _Stream:
        stream = self._streams.get(unit.stream)
        if stream is None:
            raise MediaError("was never declared", unit.stream)
        if stream.last_dts is not None and unit.dts <= stream.last_dts:
            raise MediaError(f"DTS {unit.dts} does not come after {stream.last_dts}", unit.stream)
        if not stream.is_video and len(unit.data) + len(unit.prefix) > 0xFFFF - 16:
            raise MediaError(f"an audio unit of {len(unit.data):,} bytes is too long", unit.stream)
        return stream

    def _pace(self, time: int, buffer: PacketBuffer) -> None:
        """Lay the PCRs and tables that fall due before ``time``, in the order of their times."""
        while True:
            pcr_due, tables_due = self._pcr_due, self._tables_due
            if pcr_due < time and pcr_due <= tables_due:
                self._lay_pcr(pcr_due, buffer, discontinuity=False)
            elif tables_due < time:
                self._lay_tables(tables_due, buffer)
            else:
                return

    def _lay_pcr(self, time: int, buffer: PacketBuffer, *, discontinuity: bool) -> None:
        """Lay a packet of an adaptation field alone: 183 bytes, continuity counter unchanged (2.4.3.3)."""
        stream = self._pcr_stream
        if stream is not None:
            flags = _PCR | (_DISCONTINUITY if discontinuity else 0)
            head = bytes([0x47, stream.pid >> 8, stream.pid & 0xFF, 0x20 | (stream.continuity - 1) & 15])
            packet = head + bytes([183, flags]) + pcr_bytes(time)
            at = buffer.used * PACKET_BYTES
            buffer.bytes[at : at + PACKET_BYTES] = packet.ljust(PACKET_BYTES, b"\xff")
            buffer.used += 1
            self._pcr_due = time + PCR_INTERVAL

    def _lay_tables(self, time: int, buffer: PacketBuffer) -> None:
        """Lay PAT and PMT, and count on in the packets that are kept ready."""
        tables = self._tables
        at, size = buffer.used * PACKET_BYTES, len(tables)
        buffer.bytes[at : at + size] = tables
        buffer.used += size // PACKET_BYTES
        pmt_packets = size // PACKET_BYTES - 1
        tables[3] = 0x10 | (tables[3] + 1) & 15
        for place in range(PACKET_BYTES + 3, size, PACKET_BYTES):
            tables[place] = 0x10 | (tables[place] + pmt_packets) & 15
        self._tables_due = time + _TABLES_PACE
        self._tables_laid = True

    def _lay_unit(self, unit: AccessUnit, stream: _Stream, buffer: PacketBuffer, field: bytes) -> None:
        """Lay the unit's packets, the first with ``field`` as its adaptation field."""
        data = unit.data
        start = _pes_header(stream, unit)
        if len(unit.prefix) <= _LONGEST_PREFIX:
            start += unit.prefix
        else:
            data = unit.prefix + data
        laid, counter = buffer.bytes, stream.continuity
        at = buffer.used * PACKET_BYTES
        room = PAYLOAD_BYTES - len(field) - len(start)
        left = len(data) - room
        if left <= 0:
            if left:
                field = bytes([field[0] - left]) + field[1:] + b"\xff" * -left if field else _STUFFING[-left]
            laid[at : at + PACKET_BYTES] = stream.heads[counter + 16 if field else counter] + field + start + data
            stream.continuity = (counter + 1) & 15
            buffer.used += 1
            return
        parts = [stream.heads[counter + 16 if field else counter], field, start, data[:room]]
        counter = (counter + 1) & 15
        whole, rest = divmod(left, PAYLOAD_BYTES)
        if whole >= _NUMPY_PAYS:
            laid[at : at + PACKET_BYTES] = b"".join(parts)
            parts.clear()
            at += PACKET_BYTES
            while whole:
                run = min(whole, _RUN)
                row = at // PACKET_BYTES
                buffer.heads[row : row + run] = stream.run[counter : counter + run]
                buffer.payloads[row : row + run] = np.ndarray((run,), _PAYLOAD, data, room)
                counter = (counter + run) & 15
                at += run * PACKET_BYTES
                room += run * PAYLOAD_BYTES
                whole -= run
        for _ in range(whole):
            parts += stream.bodies[counter], data[room : room + PAYLOAD_BYTES]
            counter = (counter + 1) & 15
            room += PAYLOAD_BYTES
        if rest:
            parts += stream.bodies[counter + 16], _STUFFING[PAYLOAD_BYTES - rest], data[room:]
            counter = (counter + 1) & 15
        packets = b"".join(parts)
        laid[at : at + len(packets)] = packets
        stream.continuity = counter
        buffer.used = (at + len(packets)) // PACKET_BYTES


def _pes_header(stream: _Stream, unit: AccessUnit) -> bytes:
    """PES header (2.4.3.6), aligned with the access unit; its length left open (0) only where it must be."""
    pts, dts = unit.pts, unit.dts
    size = len(unit.prefix) + len(unit.data)
    if pts == dts:
        length = size + 8 if size <= 0xFFFF - 8 else 0
        return _PES_WITH_PTS(
            stream.start, length, 0x8480, 5,
            0x21 | pts >> 29 & 14, 1 | pts >> 14 & 0xFFFE, 1 | pts << 1 & 0xFFFE,
        )  # fmt: skip
    length = size + 13 if size <= 0xFFFF - 13 else 0
    return _PES_WITH_BOTH(
        stream.start, length, 0x84C0, 10,
        0x31 | pts >> 29 & 14, 1 | pts >> 14 & 0xFFFE, 1 | pts << 1 & 0xFFFE,
        0x11 | dts >> 29 & 14, 1 | dts >> 14 & 0xFFFE, 1 | dts << 1 & 0xFFFE,
    )  # fmt: skip


def _section_packets(pid: int, section: bytes, counter: int) -> bytearray:
    """A section in as many packets as it takes, 0xFF behind it, pointer_field 0 before it (2.4.4.1)."""
    content = b"\0" + section
    packets = bytearray()
    for number, at in enumerate(range(0, len(content), PAYLOAD_BYTES)):
        head = _head(pid, (counter + number) & 15, start=number == 0)
        packets += (head + content[at : at + PAYLOAD_BYTES]).ljust(PACKET_BYTES, b"\xff")
    return packets
