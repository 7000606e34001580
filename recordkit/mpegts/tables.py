"""PAT and PMT: the sections that say what is in a transport stream (ISO/IEC 13818-1, 2.4.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ..errors import MediaError
from ..model import Codec, StreamFormat

PAT_PID = 0x0000
PMT_PID = 0x1000
NO_PCR_PID = 0x1FFF
"""PCR_PID of a program without a clock (2.4.4.9)."""
FIRST_STREAM_PID = 0x0100
PROGRAM_NUMBER = 1
TRANSPORT_STREAM_ID = 1
_ONE_PROGRAM = MappingProxyType({PROGRAM_NUMBER: PMT_PID})

_REGISTRATION, _LANGUAGE, _TELETEXT, _SUBTITLING, _DTS, _EXTENSION = 0x05, 0x0A, 0x56, 0x59, 0x7B, 0x7F

STREAM_TYPES: dict[int, str] = {
    0x01: "mpeg1video",
    0x02: "mpeg2video",
    0x03: Codec.MP3,
    0x04: Codec.MP3,
    0x06: "private",
    0x0F: Codec.AAC,
    0x10: "mpeg4",
    0x11: "aac_latm",
    0x15: "metadata",
    0x1B: Codec.H264,
    0x24: Codec.H265,
    0x33: "vvc",
    0x81: Codec.AC3,
    0x86: "scte35",
    0x87: Codec.EAC3,
    # Blu-ray's and FFmpeg's, and the one that others use.
    0x82: Codec.DTS,
    0x8A: Codec.DTS,
}
"""stream_type (table 2-34) to the coding's name; a private stream is named by its descriptors."""

_OWN_TYPES = {
    Codec.H264: 0x1B,
    Codec.H265: 0x24,
    Codec.AAC: 0x0F,
    Codec.OPUS: 0x06,
    Codec.DTS: 0x06,
    # ATSC A/52, annexes A and G: more readers know these than DVB's private data with a descriptor.
    Codec.AC3: 0x81,
    Codec.EAC3: 0x87,
}
CARRIED = frozenset({*_OWN_TYPES, Codec.MP3, Codec.MP2})
"""The codings that we write."""
_REGISTRATIONS = {Codec.H265: b"HEVC", Codec.AC3: b"AC-3", Codec.EAC3: b"EAC3"}
_REGISTERED = {
    b"Opus": Codec.OPUS,
    b"HEVC": Codec.H265,
    b"AC-3": Codec.AC3,
    b"EAC3": Codec.EAC3,
    b"AC-4": "ac4",
    b"DTS1": Codec.DTS,
    b"DTS2": Codec.DTS,
    b"DTS3": Codec.DTS,
    b"BSSD": "s302m",
    b"KLVA": "klv",
}


def _crc_table() -> tuple[int, ...]:
    table = []
    for index in range(256):
        value = index << 24
        for _ in range(8):
            value = (value << 1) ^ 0x04C1_1DB7 if value & 0x8000_0000 else value << 1
        table.append(value & 0xFFFF_FFFF)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc32(data: bytes) -> int:
    """CRC_32 of a section (annex A); 0 over a section that carries its own right CRC_32."""
    value = 0xFFFF_FFFF
    for byte in data:
        value = ((value << 8) & 0xFFFF_FFFF) ^ _CRC_TABLE[(value >> 24) ^ byte]
    return value


def _section(table_id: int, identifier: int, version: int, body: bytes) -> bytes:
    """A long-form section that applies now, number 0 of 0 (2.4.4.4), with its CRC_32."""
    head = bytes([table_id]) + (0xB000 | (len(body) + 9)).to_bytes(2) + identifier.to_bytes(2)
    section = head + bytes([0xC1 | (version & 31) << 1, 0, 0]) + body
    return section + crc32(section).to_bytes(4)


def stream_type(stream: StreamFormat) -> int:
    """stream_type of a stream that we write (table 2-34)."""
    if stream.codec in (Codec.MP2, Codec.MP3):  # ISO/IEC 11172-3 has 32 kHz and above, 13818-3 the halves
        return 0x03 if stream.sample_rate >= 32_000 else 0x04
    if stream.codec not in _OWN_TYPES:
        raise MediaError(f"{stream.codec} has no place in a transport stream: choose a name that ends in .mp4")
    return _OWN_TYPES[stream.codec]


def registration(identifier: bytes) -> bytes:
    """The registration descriptor (2.6.8)."""
    return bytes([_REGISTRATION, len(identifier)]) + identifier


def _descriptors(stream: StreamFormat) -> bytes:
    descriptors = b""
    if stream.codec is Codec.OPUS:
        descriptors += registration(b"Opus") + bytes([_EXTENSION, 2, 0x80, stream.channels])
    elif stream.codec in _REGISTRATIONS:
        descriptors += registration(_REGISTRATIONS[stream.codec])
    elif stream.codec is Codec.DTS:
        descriptors += _dts_descriptors(stream.config)
    if stream.language is not None:
        descriptors += bytes([_LANGUAGE, 4]) + stream.language.lower().encode("ascii") + b"\0"
    return descriptors


def _dts_descriptors(config: bytes) -> bytes:
    """What DVB's readers look for, and what others do, which names the samples of a frame (512, 1024, 2048)."""
    blocks = (int.from_bytes(config) >> 23 & 0x7F) + 1
    identifier = b"DTS1" if blocks <= 16 else b"DTS2" if blocks <= 32 else b"DTS3"
    return registration(identifier) + (bytes([_DTS, len(config)]) + config if config else b"")


def build_pat(version: int = 0, programs: Mapping[int, int] = _ONE_PROGRAM) -> bytes:
    """The program association section: the PIDs of the PMTs by program number; one at ``PMT_PID`` by default."""
    body = b"".join(number.to_bytes(2) + (0xE000 | pid).to_bytes(2) for number, pid in programs.items())
    return _section(0x00, TRANSPORT_STREAM_ID, version, body)


def build_pmt(streams: Sequence[tuple[int, StreamFormat]], pcr_pid: int, version: int) -> bytes:
    """The program map section for ``streams`` (pairs of PID and format); ``version`` counts modulo 32."""
    entries = [(pid, stream_type(stream), _descriptors(stream)) for pid, stream in streams]
    return build_pmt_of(entries, pcr_pid, version)


def build_pmt_of(entries: Iterable[tuple[int, int, bytes]], pcr_pid: int, version: int) -> bytes:
    """The program map section for streams given by PID, stream_type and descriptors."""
    body = (0xE000 | pcr_pid).to_bytes(2) + (0xF000).to_bytes(2)
    for pid, type_, descriptors in entries:
        body += bytes([type_]) + (0xE000 | pid).to_bytes(2)
        body += (0xF000 | len(descriptors)).to_bytes(2) + descriptors
    return _section(0x02, PROGRAM_NUMBER, version, body)


_OF_DVB = {
    0x45: "vbi",
    0x46: "dvb_teletext",
    _TELETEXT: "dvb_teletext",
    _SUBTITLING: "dvb_subtitle",
    0x6A: Codec.AC3,
    0x7A: Codec.EAC3,
    _DTS: Codec.DTS,
    0x7C: Codec.AAC,
}
"""The codings that a descriptor of EN 300 468 (6.1, annex D) names in private streams, by its tag."""
_OF_DVB_EXTENSION = {0x0E: Codec.DTS, 0x0F: Codec.DTS, 0x15: "ac4", 0x20: "ttml", 0x21: Codec.DTS, 0x80: Codec.OPUS}
"""Likewise by the tag behind that of the extension descriptor (6.4); Opus is not DVB's."""


@dataclass(frozen=True, slots=True)
class ProgramAssociation:
    """A PAT as read: program numbers and the PIDs of their PMTs (the network PID left out)."""

    version: int
    programs: dict[int, int]


@dataclass(frozen=True, slots=True)
class MappedStream:
    """One elementary stream of a PMT as read. ``channels`` is known for Opus only (0 elsewhere)."""

    pid: int
    stream_type: int
    codec: str
    language: str | None
    channels: int

    @property
    def is_told(self) -> bool:
        """Whether the table tells what it is coded in; if not, only a look at its bytes does."""
        return not self.codec.startswith(("private", "type "))


@dataclass(frozen=True, slots=True)
class ProgramMap:
    """A PMT as read."""

    program: int
    version: int
    pcr_pid: int
    streams: tuple[MappedStream, ...]


def parse_pat(section: bytes) -> ProgramAssociation | None:
    """Reads a PAT whose CRC_32 was checked; returns None if it is no PAT or is inconsistent."""
    if len(section) < 12 or section[0] != 0x00 or (len(section) - 12) % 4:
        return None
    programs = {}
    for at in range(8, len(section) - 4, 4):
        number = int.from_bytes(section[at : at + 2])
        if number:
            programs[number] = int.from_bytes(section[at + 2 : at + 4]) & 0x1FFF
    return ProgramAssociation(section[5] >> 1 & 31, programs)


def parse_pmt(section: bytes) -> ProgramMap | None:
    """Reads a PMT whose CRC_32 was checked; returns None if it is no PMT or is inconsistent."""
    if len(section) < 16 or section[0] != 0x02:
        return None
    end = len(section) - 4
    at = 12 + (int.from_bytes(section[10:12]) & 0x0FFF)
    streams = []
    while at + 5 <= end:
        pid = int.from_bytes(section[at + 1 : at + 3]) & 0x1FFF
        stop = at + 5 + (int.from_bytes(section[at + 3 : at + 5]) & 0x0FFF)
        if stop > end:
            return None
        streams.append(_mapped(section[at], pid, section[at + 5 : stop]))
        at = stop
    if at != end:
        return None
    pcr_pid = int.from_bytes(section[8:10]) & 0x1FFF
    return ProgramMap(int.from_bytes(section[3:5]), section[5] >> 1 & 31, pcr_pid, tuple(streams))


def _mapped(type_: int, pid: int, descriptors: bytes) -> MappedStream:
    codec = STREAM_TYPES.get(type_, f"type 0x{type_:02X}")
    language, channels, at = None, 0, 0
    while at + 2 <= len(descriptors):
        tag, body = descriptors[at], descriptors[at + 2 : at + 2 + descriptors[at + 1]]
        if tag == _REGISTRATION and (type_ == 0x06 or type_ >= 0x80):
            codec = _REGISTERED.get(body[:4], codec)
        elif type_ == 0x06 and tag in _OF_DVB:
            codec = _OF_DVB[tag]
        elif type_ == 0x06 and tag == _EXTENSION and body:
            codec = _OF_DVB_EXTENSION.get(body[0], codec)
        if tag == _LANGUAGE or (tag in (_TELETEXT, _SUBTITLING) and language is None):
            language = body[:3].decode("latin-1") if len(body) >= 3 else language
        elif tag == _EXTENSION and body[:1] == b"\x80" and len(body) >= 2:
            channels = body[1]
        at += 2 + len(body)
    return MappedStream(pid, type_, str(codec), language, channels)
