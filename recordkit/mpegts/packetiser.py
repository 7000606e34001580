"""Access units in, transport packets out, laid straight into memory that the caller lends.

Time runs by the units themselves. The programme clock before a unit is its DTS less ``LEAD``, and
never goes back; where units of one stream come up to 0.8 s later than those of another, the clock
is still behind their DTS. So nothing is held back to be sorted, and nothing encoded waits outside
the buffer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..container import Finish, listed
from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat
from ..ticks import TICKS_PER_SECOND, WRAP
from .framing import most_framing
from .laying import (
    FIELD,
    NEVER,
    PACKET_BYTES,
    PAYLOAD,
    PAYLOAD_BYTES,
    ElementaryStream,
    PacketBuffer,
    section_packets,
)
from .tables import PAT_PID, PMT_PID, build_pat, build_pmt

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

_LEAST_PACKETS = 11
"""libavformat does not look for a transport stream in files of less than ten times 204 bytes."""
NULL_PACKET = b"\x47\x1f\xff\x10" + b"\xff" * PAYLOAD_BYTES

_DISCONTINUITY, _RANDOM_ACCESS, _PCR = 0x80, 0x40, 0x10
_BASE = WRAP - 1
"""The bits of a PCR in ticks."""
_PCR_FIELD, _PCR_ALONE = (7 << 8 | _PCR) << 48 | 0x7E00, (183 << 8 | _PCR) << 48 | 0x7E00
"""The first 8 bytes of an adaptation field with a PCR of 0 (2.4.3.5), with payload behind it, or none."""


class Packetiser:
    """Lays access units as transport packets. Not thread-safe; does no I/O and reads no clock.

    ``late_units`` counts units that came so late that less than 0.1 s was left before their DTS. See ``Packager``
    for ``order``.
    """

    packet_bytes = PACKET_BYTES

    def __init__(self) -> None:
        self.late_units = 0
        self.lead_bytes = self.unit_bytes = 0
        self.order: tuple[int, ...] = ()
        self._streams: dict[int, ElementaryStream] = {}
        self._tables = bytearray()
        self._counters = range(0)
        self._tables_version = 0
        self._tables_laid = False
        self._tables_due = NEVER
        self._pcr_stream: ElementaryStream | None = None
        self._pcr_due = NEVER
        self._clock = NEVER

    @property
    def streams(self) -> dict[int, StreamFormat]:
        """The streams declared so far, by index."""
        return {index: stream.format for index, stream in self._streams.items()}

    def format(self, index: int) -> StreamFormat | None:
        """The format of stream ``index``, None where it was not declared."""
        stream = self._streams.get(index)
        return None if stream is None else stream.format

    def is_video(self, index: int) -> bool:
        """Whether stream ``index``, which was declared, carries frames."""
        return self._streams[index].is_video

    def declare(self, index: int, stream_format: StreamFormat) -> None:
        """Add a stream, or give a declared one a new format; the next unit is preceded by a new PMT.

        Raises MediaError for more than 32 streams, or a change from one codec to another.
        """
        known = self._streams.get(index)
        if known is None:
            if not 0 <= index < MOST_STREAMS:
                raise MediaError(f"streams are numbered from 0 to {MOST_STREAMS - 1}", index)
            self._streams[index] = ElementaryStream(index, stream_format, self._stream_id(stream_format.codec))
        elif known.format.codec is not stream_format.codec:
            raise MediaError(f"cannot change from {known.format.codec} to {stream_format.codec}", index)
        else:
            known.take(stream_format)
        ordered = sorted(self._streams.values(), key=lambda stream: stream.pid)
        pcr_stream = self._pcr_stream
        if pcr_stream is None or self._clock == NEVER:
            # The PCR goes with the frames, where there are any from the start; then it stays
            # where it is, because few readers follow it to another PID.
            pcr_stream = next((stream for stream in ordered if stream.is_video), ordered[0])
            self._pcr_stream = pcr_stream
        if self._tables_laid:
            self._tables_version = (self._tables_version + 1) & 31
            self._tables_laid = False
        streams = [self._streams[one] for one in listed(self._streams, self.order)]
        formats = [(stream.pid, stream.format) for stream in streams]
        pmt = build_pmt(formats, pcr_stream.pid, self._tables_version)
        pat_counter, pmt_counter = self._tables[3::PACKET_BYTES][:2] or (0, 0)
        self._tables = section_packets(PAT_PID, build_pat(), pat_counter)
        self._tables += section_packets(PMT_PID, pmt, pmt_counter)
        # Where the continuity counters of the PMT's packets stand.
        self._counters = range(PACKET_BYTES + 3, len(self._tables), PACKET_BYTES)

    def _stream_id(self, codec: Codec) -> int:
        """stream_id (table 2-22): 0xE0 and on for video, 0xC0 and on for audio, 0xBD for private data."""
        if codec in (Codec.OPUS, Codec.AC3, Codec.EAC3, Codec.DTS):
            return 0xBD
        earlier = sum(stream.is_video is codec.is_video for stream in self._streams.values())
        return (0xE0 | earlier & 0x0F) if codec.is_video else (0xC0 | earlier & 0x1F)

    def begin_at(self, ticks: int) -> None:
        """A transport stream begins with whatever comes first."""

    def decode_from(self, ticks: int) -> None:
        """Its times are those of the units."""

    def heard(self, unit: AccessUnit) -> int:
        """A transport stream hides nothing."""
        return unit.pts

    def until(self, unit: AccessUnit) -> int:
        """Players show a transport stream to the end of its last unit."""
        return unit.pts + unit.duration

    def lend(self, rows: NDArray[np.uint8]) -> PacketBuffer:
        """Memory to lay into: ``rows`` is uint8, shape (packets, 188), C-contiguous."""
        return PacketBuffer(rows)

    def show(self, begin: int, end: int) -> bool:
        """A transport stream has no word for units that are decoded and not shown."""
        return False

    def finish(self, file_bytes: int) -> Finish:
        """What makes a partial of ``file_bytes`` the final file: null packets, if it is very short."""
        missing = padding(file_bytes)
        return Finish((missing,)) if missing else Finish()

    def packets_for(self, unit: AccessUnit) -> int:
        """How many packets ``lay`` may need for ``unit`` at the most, tables and PCRs included."""
        gap = unit.dts - LEAD - self._clock
        paced = gap if 0 < gap <= LONGEST_PACED_GAP else 0
        tables = len(self._tables) // PACKET_BYTES * (paced // _TABLES_PACE + 2)
        # 32 bytes: the longest PES header (19) and adaptation field (8) that we lay, and some.
        unit_packets = (len(unit.data) + most_framing(unit) + 32) // PAYLOAD_BYTES + 1
        return unit_packets + tables + paced // PCR_INTERVAL + 2

    def lay(self, unit: AccessUnit, buffer: PacketBuffer) -> None:
        """Lay ``unit`` at the end of ``buffer``, which must have room for ``packets_for(unit)``.

        Raises MediaError, with nothing laid, for a stream that was not declared, a DTS that does
        not increase, or an audio unit that its header or a PES packet cannot hold.
        """
        stream, dts = self._streams.get(unit.stream), unit.dts
        if stream is None or dts <= (last := stream.last_dts):
            raise _refusal(unit, stream)
        front = stream.framed(unit)
        size = len(unit.data) + len(front)
        if size > stream.most_bytes:
            raise _refusal(unit, stream)
        begin, time, jump = buffer.used, dts - LEAD, 0
        if time < self._clock:
            time = self._clock
            self.late_units += dts - time < LEAST_LEAD
        elif time > self._pcr_due or time > self._tables_due:
            if time - self._clock <= LONGEST_PACED_GAP:
                self._pace(time, buffer)
            else:
                self._tables_laid = False
                if self._clock != NEVER:
                    jump = _DISCONTINUITY
        self._clock = time
        is_entry = stream.is_video and unit.random_access
        if is_entry or not self._tables_laid:
            self._lay_tables(time, buffer)
        flags = _RANDOM_ACCESS if is_entry else 0
        # A stream that was silent for long, while others went on, jumps as well: say so.
        if unit.discontinuity or (dts - last > LONGEST_PACED_GAP and last != NEVER):
            flags |= _DISCONTINUITY
        stream.last_dts = dts
        field, field_bytes = (0x100 | flags, 2) if flags else (0, 0)
        if stream is self._pcr_stream:
            last_pcr = self._pcr_due - PCR_INTERVAL
            if flags or time > last_pcr:
                if time <= last_pcr:
                    # Another stream has brought the clock here already; a PCR must not stand still.
                    time = self._clock = last_pcr + 1
                field, field_bytes = _PCR_FIELD | (flags | jump) << 48 | (time & _BASE) << 15, 8
                self._pcr_due = time + PCR_INTERVAL
        elif time > self._pcr_due:  # not paced up to here: a new time base begins
            self._lay_pcr(time, buffer, jump)
        self.lead_bytes, self.unit_bytes = (buffer.used - begin) * PACKET_BYTES, size
        stream.lay(unit, front, size, buffer, field, field_bytes)

    def _pace(self, time: int, buffer: PacketBuffer) -> None:
        """Lay the PCRs and tables that fall due before ``time``, in the order of their times."""
        while True:
            pcr_due, tables_due = self._pcr_due, self._tables_due
            if pcr_due < time and pcr_due <= tables_due:
                self._lay_pcr(pcr_due, buffer)
            elif tables_due < time:
                self._lay_tables(tables_due, buffer)
            else:
                return

    def _lay_pcr(self, time: int, buffer: PacketBuffer, flags: int = 0) -> None:
        """Lay a packet of an adaptation field alone: 183 bytes, continuity counter unchanged (2.4.3.3)."""
        stream = self._pcr_stream
        if stream is not None:
            head = stream.head ^ PAYLOAD ^ FIELD | (stream.continuity - 1) & 15
            packet = head << 64 | _PCR_ALONE | flags << 48 | (time & _BASE) << 15
            at = buffer.used * PACKET_BYTES
            buffer.bytes[at : at + PACKET_BYTES] = packet.to_bytes(12).ljust(PACKET_BYTES, b"\xff")
            buffer.used += 1
            self._pcr_due = time + PCR_INTERVAL

    def _lay_tables(self, time: int, buffer: PacketBuffer) -> None:
        """Lay PAT and PMT, and count on in the packets that are kept ready."""
        tables, counters = self._tables, self._counters
        at, packets = buffer.used * PACKET_BYTES, len(counters)
        buffer.bytes[at : at + len(tables)] = tables
        buffer.used += packets + 1
        tables[3] = 0x10 | (tables[3] + 1) & 15
        for place in counters:
            tables[place] = 0x10 | (tables[place] + packets) & 15
        self._tables_due = time + _TABLES_PACE
        self._tables_laid = True


def padding(file_bytes: int) -> bytes:
    """The null packets (2.4.3.3) that a file of ``file_bytes`` lacks to be taken for a transport stream."""
    return NULL_PACKET * max(0, _LEAST_PACKETS - file_bytes // PACKET_BYTES)


def _refusal(unit: AccessUnit, stream: ElementaryStream | None) -> MediaError:
    if stream is None:
        return MediaError("was never declared", unit.stream)
    if unit.dts <= stream.last_dts:
        return MediaError(f"DTS {unit.dts} does not come after {stream.last_dts}", unit.stream)
    return MediaError(f"an audio unit of {len(unit.data):,} bytes is too long", unit.stream)
