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

import numpy as np
from numpy.typing import NDArray

from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat
from .clock import TICKS_PER_SECOND, pcr_bytes, timestamp_bytes
from .tables import FIRST_STREAM_PID, PAT_PID, PMT_PID, build_pat, build_pmt

PACKET_BYTES = 188
PAYLOAD_BYTES = PACKET_BYTES - 4
LEAD = TICKS_PER_SECOND * 9 // 10
"""How far the PCR runs behind the newest DTS: 0.9 s, so that 0.1 s is left for a unit 0.8 s late."""
LEAST_LEAD = TICKS_PER_SECOND // 10
PCR_INTERVAL = TICKS_PER_SECOND * 40 // 1000
TABLES_INTERVAL = TICKS_PER_SECOND * 100 // 1000
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
        self._tables: list[tuple[int, bytes]] = []
        self._tables_version = 0
        self._tables_counter = {PAT_PID: 0, PMT_PID: 0}
        self._tables_laid = False
        self._tables_time = 0
        self._pcr_stream: _Stream | None = None
        self._pcr_time = 0
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
        self._tables = _section_packets(PAT_PID, build_pat()) + _section_packets(PMT_PID, pmt)

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
        tables = len(self._tables) * (paced // TABLES_INTERVAL + 2)
        # 32 bytes: the longest PES header (19) and adaptation field (8) that we lay, and some.
        unit_packets = (len(unit.data) + len(unit.prefix) + 32) // PAYLOAD_BYTES + 1
        return unit_packets + tables + paced // PCR_INTERVAL + 2

    def lay(self, unit: AccessUnit, buffer: PacketBuffer) -> None:
        """Lay ``unit`` at the end of ``buffer``, which must have room for ``packets_for(unit)``.

        Raises MediaError, with nothing laid, for a stream that was not declared, a DTS that does
        not increase, or an audio unit that no PES packet can hold.
        """
        stream = self._checked_stream(unit)
        time = unit.dts - LEAD
        first, jump = self._clock is None, False
        if self._clock is None:
            self._tables_time = time
        elif time < self._clock:
            time = self._clock
            self.late_units += unit.dts - time < LEAST_LEAD
        elif time - self._clock > LONGEST_PACED_GAP:
            jump = True
            self._tables_time = time
        else:
            self._pace(time, buffer)
        self._clock = time
        # A stream that was silent for long, while others went on, jumps as well: say so.
        silent = stream.last_dts is not None and unit.dts - stream.last_dts > LONGEST_PACED_GAP
        discontinuity = unit.discontinuity or silent
        stream.last_dts = unit.dts
        if not self._tables_laid or jump or (unit.random_access and stream.is_video):
            self._lay_tables(time, buffer)
        restart = first or jump
        pcr = None
        if stream is self._pcr_stream:
            if restart or discontinuity or time > self._pcr_time:
                pcr = self._pcr_time = time
        elif restart:
            self._lay_pcr(time, buffer, discontinuity=jump)
        self._lay_unit(unit, stream, buffer, pcr, discontinuity=discontinuity or (jump and pcr is not None))

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
            pcr_due = self._pcr_time + PCR_INTERVAL
            tables_due = self._tables_time + TABLES_INTERVAL
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
            _lay_packet(packet + b"\xff" * (PACKET_BYTES - len(packet)), buffer)
            self._pcr_time = time

    def _lay_tables(self, time: int, buffer: PacketBuffer) -> None:
        for pid, packet in self._tables:
            counter = self._tables_counter[pid]
            _lay_packet(packet[:3] + bytes([0x10 | counter]) + packet[4:], buffer)
            self._tables_counter[pid] = (counter + 1) & 15
        self._tables_time = time
        self._tables_laid = True

    def _lay_unit(
        self, unit: AccessUnit, stream: _Stream, buffer: PacketBuffer, pcr: int | None, *, discontinuity: bool
    ) -> None:
        flags = _DISCONTINUITY if discontinuity else 0
        if unit.random_access and stream.is_video:
            flags |= _RANDOM_ACCESS
        if pcr is not None:
            field = _FIELD_FLAGS[7][flags | _PCR] + pcr_bytes(pcr)
        else:
            field = _FIELD_FLAGS[1][flags] if flags else b""
        data = unit.data
        pes = _pes_header(stream, unit)
        if len(unit.prefix) <= _LONGEST_PREFIX:
            pes += unit.prefix
        else:
            data = unit.prefix + data
        room = PAYLOAD_BYTES - len(field) - len(pes)
        laid = buffer.bytes
        at = buffer.used * PACKET_BYTES
        counter = stream.continuity
        if (spare := room - len(data)) >= 0:
            stuffed = bytes([field[0] + spare]) + field[1:] + b"\xff" * spare if field else b""
            field = stuffed or _STUFFING[spare]
            laid[at : at + PACKET_BYTES] = stream.heads[counter + 16 if field else counter] + field + pes + data
            stream.continuity = (counter + 1) & 15
            buffer.used += 1
            return
        laid[at : at + PACKET_BYTES] = stream.heads[counter + 16 if field else counter] + field + pes + data[:room]
        counter = (counter + 1) & 15
        at += PACKET_BYTES
        whole, rest = divmod(-spare, PAYLOAD_BYTES)
        while whole >= _NUMPY_PAYS:
            run = min(whole, _RUN)
            row = at // PACKET_BYTES
            buffer.heads[row : row + run] = stream.run[counter : counter + run]
            buffer.payloads[row : row + run] = np.ndarray((run,), _PAYLOAD, data, room)
            counter = (counter + run) & 15
            at += run * PACKET_BYTES
            room += run * PAYLOAD_BYTES
            whole -= run
        for _ in range(whole):
            laid[at : at + PACKET_BYTES] = stream.bodies[counter] + data[room : room + PAYLOAD_BYTES]
            counter = (counter + 1) & 15
            at += PACKET_BYTES
            room += PAYLOAD_BYTES
        if rest:
            laid[at : at + PACKET_BYTES] = (
                stream.bodies[counter + 16] + _STUFFING[PAYLOAD_BYTES - rest] + data[room:]
            )
            counter = (counter + 1) & 15
            at += PACKET_BYTES
        stream.continuity = counter
        buffer.used = at // PACKET_BYTES


def _pes_header(stream: _Stream, unit: AccessUnit) -> bytes:
    """PES header (2.4.3.6), aligned with the access unit; its length left open (0) only where it must be."""
    if unit.pts == unit.dts:
        times = b"\x84\x80\x05" + timestamp_bytes(2, unit.pts)
    else:
        times = b"\x84\xc0\x0a" + timestamp_bytes(3, unit.pts) + timestamp_bytes(1, unit.dts)
    length = len(times) + len(unit.prefix) + len(unit.data)
    return stream.start + (length if length <= 0xFFFF else 0).to_bytes(2) + times


def _lay_packet(packet: bytes, buffer: PacketBuffer) -> None:
    at = buffer.used * PACKET_BYTES
    buffer.bytes[at : at + PACKET_BYTES] = packet
    buffer.used += 1


def _section_packets(pid: int, section: bytes) -> list[tuple[int, bytes]]:
    """A section in as many packets as it takes, 0xFF behind it, pointer_field 0 before it (2.4.4.1)."""
    content = b"\0" + section
    pieces = [content[at : at + PAYLOAD_BYTES] for at in range(0, len(content), PAYLOAD_BYTES)]
    return [
        (pid, (_head(pid, 0, start=number == 0) + piece).ljust(PACKET_BYTES, b"\xff"))
        for number, piece in enumerate(pieces)
    ]
