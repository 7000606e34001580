"""The tables of a stream that has lost its own: its PMTs put right, or made of what its PES packets tell."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..bitstream.audio import parse_adts, parse_mp3, parse_opus_control_header
from ..bitstream.dts import parse_dts
from ..mpegts.batch import Batch, Index
from ..mpegts.laying import section_packets
from ..mpegts.pes_header import parse_pes_header
from ..mpegts.sync import PACKET_BYTES
from ..mpegts.tables import (
    NO_PCR_PID,
    PAT_PID,
    PMT_PID,
    ProgramMap,
    build_pat,
    build_pmt_of,
    crc32,
    parse_pat,
    parse_pmt,
    registration,
)

_PMT_TABLE = 0x02
_UNITS_KEPT = 16
_SECTIONS_KEPT = 64
_PES_PREFIX = b"\0\0\1"
_H264, _HEVC, _MPEG2 = 0x1B, 0x24, 0x02
_MP3, _AAC, _LATM, _AC3, _EAC3, _PRIVATE = 0x03, 0x0F, 0x11, 0x81, 0x87, 0x06
_HEVC_NALS = frozenset({0x00, 0x02, 0x26, 0x28, 0x2A, 0x40, 0x42, 0x44, 0x46, 0x4E})
"""First bytes of the NAL units that H.265 begins an access unit with; the second is 1 in the base layer."""

Entry = tuple[int, int, bytes]
"""PID, stream_type, descriptors."""


class TableFinder:
    """Looks at the packets of a whole file, and then says which tables it can be given."""

    def __init__(self) -> None:
        self._units: dict[int, list[bytes]] = {}
        self._pcrs: Counter[int] = Counter()
        self._sections: dict[int, Counter[bytes]] = {}
        self._good: dict[int, bytes] = {}

    def note(self, batch: Batch) -> None:
        """Takes the next packets."""
        rows: Index = np.flatnonzero(batch.usable & batch.unit_start & (batch.size > 0) & ~batch.scrambled)
        self._pcrs.update(batch.pid[batch.pcrs(np.flatnonzero(batch.usable))[0]].tolist())
        full = [pid for pid, units in self._units.items() if len(units) >= _UNITS_KEPT]
        rows = rows[~np.isin(batch.pid[rows], full)] if full else rows
        for row in rows.tolist():
            pid, payload = int(batch.pid[row]), batch.payload(row)
            if payload.startswith(_PES_PREFIX):
                units = self._units.setdefault(pid, [])
                if len(units) < _UNITS_KEPT:
                    units.append(payload)
            else:
                self._note_section(pid, payload, batch.rows[row].tobytes())

    def _note_section(self, pid: int, payload: bytes, packet: bytes) -> None:
        section = payload[1 + payload[0] :]
        section = section[: 3 + (int.from_bytes(section[1:3]) & 0x0FFF)]
        if len(section) < 12 or section[0] != (0x00 if pid == PAT_PID else _PMT_TABLE):
            return
        parsed = parse_pat(section) if pid == PAT_PID else parse_pmt(section)
        if parsed is None:
            return
        kept = self._sections.setdefault(pid, Counter())
        if section[:-4] in kept or len(kept) < _SECTIONS_KEPT:
            kept[section[:-4]] += 1
        if not crc32(section) and pid not in self._good:
            self._good[pid] = packet

    def first_packets(self) -> bytes:
        """The file's own PAT and PMTs, each as if it came just before its first one; nothing if it lacks them."""
        if PAT_PID not in self._good or len(self._good) < 2:
            return b""
        packets = [self._good[pid] for pid in sorted(self._good)]
        return b"".join(one[:3] + bytes([one[3] & 0xF0 | (one[3] - 1) & 15]) + one[4:] for one in packets)

    def make(self) -> tuple[list[tuple[int, bytes]], frozenset[int]]:
        """Sections by PID, the PAT first, and the PIDs of the tables that they stand for; none without media."""
        maps = {pid: found for pid in self._sections if (found := self._put_right(pid)) is not None}
        old = frozenset({PAT_PID, *maps})
        if not maps:
            entries = [self._entry(pid, units) for pid, units in sorted(self._units.items())]
            if not entries:
                return [], frozenset()
            pcr = next((pid for pid, _ in self._pcrs.most_common(1)), NO_PCR_PID)
            pid = next(pid for pid in range(PMT_PID, NO_PCR_PID) if pid not in self._units)
            maps = {pid: build_pmt_of(entries, pcr, 0)}
        programs = {int.from_bytes(section[3:5]): pid for pid, section in maps.items()}
        return [(PAT_PID, build_pat(0, programs)), *maps.items()], old

    def _put_right(self, pid: int) -> bytes | None:
        """The PMT that is read most often on a PID, with its CRC_32; None where it is none of this stream."""
        for body, _ in self._sections[pid].most_common(1):
            section = body + crc32(body).to_bytes(4)
            program = parse_pmt(section)
            if program is not None and self._fits(program):
                return section
        return None

    def _fits(self, program: ProgramMap) -> bool:
        return any(mapped.pid in self._units for mapped in program.streams)

    def _entry(self, pid: int, units: list[bytes]) -> Entry:
        kinds = Counter(_coding(unit) for unit in units)
        (type_, descriptors), _ = kinds.most_common(1)[0]
        return pid, type_, descriptors


def _coding(unit: bytes) -> tuple[int, bytes]:
    """stream_type and descriptors of the coding that a PES packet begins with."""
    header = parse_pes_header(unit)
    if header is None:
        return _PRIVATE, b""
    data, stream_id = unit[header.header_length :], header.stream_id
    if stream_id & 0xF0 == 0xE0:
        return _video(data), b""
    if data.startswith(b"\x0b\x77"):
        return (_AC3, registration(b"AC-3")) if len(data) > 5 and data[5] >> 3 <= 10 else (_EAC3, b"")
    if parse_dts(data) is not None:
        return _PRIVATE, registration(b"DTS1")
    if stream_id & 0xE0 == 0xC0:
        if parse_adts(data) is not None:
            return _AAC, b""
        return (_LATM if data[:1] == b"\x56" else _MP3 if parse_mp3(data) is not None else _PRIVATE), b""
    opus = parse_opus_control_header(data)
    if opus is not None and opus[0] < len(data):
        channels = 2 if data[opus[0]] & 4 else 1  # RFC 6716, 3.1
        return _PRIVATE, registration(b"Opus") + bytes([0x7F, 2, 0x80, channels])
    return _PRIVATE, b""


def _video(data: bytes) -> int:
    at = data.find(b"\0\0\1")
    head = data[at + 3 : at + 5] if 0 <= at <= 1 else b""
    if len(head) < 2:
        return _H264
    if head[0] in (0x00, 0xB3, 0xB8) and head != b"\0\1":
        return _MPEG2
    return _HEVC if head[0] in _HEVC_NALS and head[1] == 1 else _H264


class TablePackets:
    """Packets of the given sections, again and again, each time with the counters that follow."""

    def __init__(self, sections: list[tuple[int, bytes]]) -> None:
        self._sections = sections
        self._counters = dict.fromkeys((pid for pid, _ in sections), 0)

    def next(self) -> bytes:
        """All of them, once more."""
        packets = b""
        for pid, section in self._sections:
            laid = bytes(section_packets(pid, section, self._counters[pid]))
            self._counters[pid] += len(laid) // PACKET_BYTES
            packets += laid
        return packets
