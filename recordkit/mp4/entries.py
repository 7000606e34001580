"""Sample entries: what a decoder is told before the first sample (ISO/IEC 14496-12, 8.5.2; -14; -15).

H.264 and H.265 have their parameter sets here **and** in the samples before each keyframe: the form
of a change that FFmpeg, GStreamer and Chromium all follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from ..bitstream.audio import OPUS_RATE, aac_config
from ..bitstream.flac import flac_depth
from ..bitstream.h264 import nal_units
from ..bitstream.sps import SequenceParameterSet, parse_h265_sps, parse_sps, unescape
from ..errors import MediaError
from ..model import Codec, StreamFormat
from .boxes import Box, BoxError, box, boxes, full_head
from .records import av1c, dfla, read_record, vpcc

_OPUS_PRE_SKIP = 312
"""Samples at 48 kHz that libopus needs to settle, where nobody says how many (RFC 7845, 4.2)."""
_PLAIN_MAPPINGS = 2
_AAC_OBJECT, _MPEG1_AUDIO, _MPEG2_AUDIO, _DTS_AUDIO = 0x40, 0x6B, 0x69, 0xA9
_AUDIO_STREAM = 0x15
_VISUAL = Struct(">6xH16xHHIII H32sHh")
_AUDIO = Struct(">6xH8xHHII")
_VISUAL_BYTES, _AUDIO_BYTES = _VISUAL.size, _AUDIO.size
_DPI72 = 72 << 16
_WITHOUT_CHROMA = frozenset({66, 77, 88})
"""Profiles of H.264 whose record ends with the picture parameter sets."""
_H264_SPS, _H264_PPS, _H264_EXTENSION = 7, 8, 13
_H265_VPS, _H265_SPS, _H265_PPS = 32, 33, 34


@dataclass(frozen=True, slots=True)
class Entry:
    """A sample entry: its bytes, the frame's size, and the format that it says."""

    box: bytes
    width: int = 0
    height: int = 0


def media_rate(stream_format: StreamFormat) -> int:
    """The time scale of a track: exact for the stream's own clock."""
    if stream_format.codec.is_video:
        return 90_000
    return OPUS_RATE if stream_format.codec is Codec.OPUS else stream_format.sample_rate


def priming(stream_format: StreamFormat) -> int:
    """Samples at the track's beginning that are decoded and not heard."""
    if stream_format.codec is Codec.OPUS:
        return _opus_head(stream_format)[0]
    return stream_format.priming


def sample_entry(stream_format: StreamFormat, sets: bytes = b"") -> Entry:
    """The sample entry of a stream; ``sets`` are its parameter sets as an Annex B byte stream.

    Of VP9 and AV1 they are what ``records.beginning`` finds in a keyframe.
    """
    size = stream_format.width, stream_format.height
    match stream_format.codec:
        case Codec.H264:
            return _visual("avc1", stream_format, *_avcc(sets))
        case Codec.H265:
            return _visual("hvc1", stream_format, *_hvcc(sets))
        case Codec.VP9:
            return _visual("vp09", stream_format, *vpcc(sets, stream_format.config, size))
        case Codec.AV1:
            return _visual("av01", stream_format, *av1c(sets or stream_format.config, size))
        case Codec.AAC:
            config = stream_format.config or _aac_config(stream_format.sample_rate, stream_format.channels)
            return _audio("mp4a", stream_format, _esds(_AAC_OBJECT, config))
        case Codec.AC3:
            return _audio("ac-3", stream_format, box("dac3", stream_format.config))
        case Codec.EAC3:
            return _audio("ec-3", stream_format, box("dec3", stream_format.config))
        case Codec.MP3 | Codec.MP2:
            object_type = _MPEG1_AUDIO if stream_format.sample_rate >= 32_000 else _MPEG2_AUDIO
            return _audio("mp4a", stream_format, _esds(object_type, b""))
        case Codec.DTS:
            return _audio("mp4a", stream_format, _esds(_DTS_AUDIO, b""))
        case Codec.OPUS:
            return _audio("Opus", stream_format, _dops(stream_format))
        case Codec.FLAC:
            return _audio("fLaC", stream_format, dfla(stream_format.config), flac_depth(stream_format.config))
        case _:
            raise MediaError(f"{stream_format.codec} has no place in MP4")


def _visual(kind: str, stream_format: StreamFormat, config: bytes, width: int, height: int) -> Entry:
    width, height = width or stream_format.width, height or stream_format.height
    head = _VISUAL.pack(1, width, height, _DPI72, _DPI72, 0, 1, b"", 0x18, -1)
    return Entry(box(kind, head, config), width, height)


def _audio(kind: str, stream_format: StreamFormat, config: bytes, depth: int = 16) -> Entry:
    rate = media_rate(stream_format)
    head = _AUDIO.pack(1, stream_format.channels, depth, 0, rate << 16 if rate <= 0xFFFF else 0)
    return Entry(box(kind, head, config))


def _avcc(sets: bytes) -> tuple[bytes, int, int]:
    """AVCDecoderConfigurationRecord (-15, 5.3.3.1.2) in its box, and the size of frames."""
    found: dict[int, list[bytes]] = {_H264_SPS: [], _H264_PPS: [], _H264_EXTENSION: []}
    for kind, start, end in nal_units(sets):
        if kind in found:
            found[kind].append(sets[start:end])
    first = found[_H264_SPS][0] if found[_H264_SPS] else b"\x67\x42\0\x1e"
    parts = [b"\1", first[1:4], b"\xff", bytes([0xE0 | len(found[_H264_SPS])]), *_listed(found[_H264_SPS])]
    parts += [bytes([len(found[_H264_PPS])]), *_listed(found[_H264_PPS])]
    sps = parse_sps(first)
    if sps is not None and sps.profile not in _WITHOUT_CHROMA:
        parts += [_chroma(sps), bytes([len(found[_H264_EXTENSION])]), *_listed(found[_H264_EXTENSION])]
    return box("avcC", *parts), sps.width if sps else 0, sps.height if sps else 0


def _chroma(sps: SequenceParameterSet) -> bytes:
    """Chroma format and the two depths, each with its reserved bits."""
    return bytes([0xFC | sps.chroma_format, 0xF8 | sps.luma_depth - 8, 0xF8 | sps.chroma_depth - 8])


def _listed(nals: list[bytes]) -> list[bytes]:
    return [len(nal).to_bytes(2) + nal for nal in nals]


def _hvcc(sets: bytes) -> tuple[bytes, int, int]:
    """HEVCDecoderConfigurationRecord (-15, 8.3.3.1.2) in its box, and the size of frames."""
    found: dict[int, list[bytes]] = {_H265_VPS: [], _H265_SPS: [], _H265_PPS: []}
    for kind, start, end in nal_units(sets, Codec.H265):
        if kind in found:
            found[kind].append(sets[start:end])
    sps_nal = found[_H265_SPS][0] if found[_H265_SPS] else b""
    # Two header bytes, four bits of id, three of sub-layers and one of nesting; then profile, tier and level.
    plain = unescape(sps_nal)
    layers = plain[2] if len(plain) > 15 else 1
    profile = plain[3:15] if len(plain) > 15 else bytes(12)
    sps = parse_h265_sps(sps_nal)
    last = (layers >> 1 & 7) + 1 << 3 | (layers & 1) << 2 | 3
    head = b"\1" + profile + bytes.fromhex("F000 FC")
    head += (_chroma(sps) if sps else b"\xfd\xf8\xf8") + bytes([0, 0, last])
    arrays = [(kind, nals) for kind, nals in found.items() if nals]
    parts = [head, bytes([len(arrays)])]
    for kind, nals in arrays:
        parts += [bytes([kind]), len(nals).to_bytes(2), *_listed(nals)]
    return box("hvcC", *parts), sps.width if sps else 0, sps.height if sps else 0


def _aac_config(rate: int, channels: int) -> bytes:
    config = aac_config(rate, channels)
    if not config:
        raise MediaError(f"AAC with {rate} Hz and {channels} channels needs its AudioSpecificConfig")
    return config


def _descriptor(tag: int, *payload: bytes) -> bytes:
    """A descriptor of 14496-1 (8.3.3), its size in four bytes as everybody writes it."""
    size = sum(map(len, payload))
    sizes = bytes([0x80 | size >> 21 & 0x7F, 0x80 | size >> 14 & 0x7F, 0x80 | size >> 7 & 0x7F, size & 0x7F])
    return b"".join((bytes([tag]), sizes, *payload))


def _esds(object_type: int, config: bytes) -> bytes:
    """The elementary stream descriptor (14496-14, 3.1.2) in its box."""
    specific = [_descriptor(5, config)] if config else []
    decoder = _descriptor(4, bytes([object_type, _AUDIO_STREAM]), bytes(11), *specific)
    stream = _descriptor(3, b"\0\0\0", decoder, _descriptor(6, b"\2"))
    return box("esds", bytes(4), stream)


def _opus_head(stream_format: StreamFormat) -> tuple[int, int, int, bytes]:
    """Pre-skip, rate of the input, gain and the mapping (RFC 7845, 5.1) of a stream, or what is usual."""
    head = stream_format.config
    if len(head) >= 19 and head.startswith(b"OpusHead"):
        pre_skip, rate = int.from_bytes(head[10:12], "little"), int.from_bytes(head[12:16], "little")
        return pre_skip, rate, int.from_bytes(head[16:18], "little"), head[18:]
    if stream_format.channels > _PLAIN_MAPPINGS:
        raise MediaError(f"Opus with {stream_format.channels} channels needs its OpusHead")
    return _OPUS_PRE_SKIP, OPUS_RATE, 0, b"\0"


def _dops(stream_format: StreamFormat) -> bytes:
    """OpusSpecificBox (Encapsulation of Opus in ISO Base Media File Format, 4.3.2): big-endian."""
    pre_skip, rate, gain, mapping = _opus_head(stream_format)
    head = bytes([0, stream_format.channels]) + pre_skip.to_bytes(2) + rate.to_bytes(4) + gain.to_bytes(2)
    return box("dOps", head, mapping)


def description_box(entries: list[Entry]) -> bytes:
    """The ``stsd`` of a track (8.5.2)."""
    payload = b"".join(entry.box for entry in entries)
    return full_head("stsd", 16 + len(payload), count=len(entries)) + payload


@dataclass(frozen=True, slots=True)
class Described:
    """What a sample entry says: the four letters, and what of it recordkit can write again.

    ``codec`` is None for a coding that recordkit does not know; ``sets`` are parameter sets as an
    Annex B byte stream, ``length_bytes`` how long a NAL unit's length is in the samples.
    """

    kind: str
    codec: Codec | None
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    config: bytes = b""
    sets: bytes = b""
    length_bytes: int = 0


_AUDIO_KINDS = {
    "Opus": Codec.OPUS,
    ".mp3": Codec.MP3,
    "ac-3": Codec.AC3,
    "ec-3": Codec.EAC3,
    "fLaC": Codec.FLAC,
}
_OBJECTS = {_AAC_OBJECT: Codec.AAC, _MPEG1_AUDIO: Codec.MP3, _MPEG2_AUDIO: Codec.MP3, _DTS_AUDIO: Codec.DTS}
_VIDEO_KINDS = {
    "avc1": Codec.H264,
    "avc3": Codec.H264,
    "hvc1": Codec.H265,
    "hev1": Codec.H265,
    "vp09": Codec.VP9,
    "av01": Codec.AV1,
}


def parse_entry(data: bytes, entry: Box) -> Described:
    """Reads one sample entry; what is unknown in it is passed over. Raises BoxError when it is cut."""
    start, end = entry.start, entry.end
    codec = _VIDEO_KINDS.get(entry.kind)
    if codec is not None or (end - start >= _VISUAL_BYTES and entry.kind in ("vp08", "mp4v", "encv")):
        if end - start < _VISUAL_BYTES:
            raise BoxError(f"{entry.kind} is too short")
        _, width, height, *_ = _VISUAL.unpack_from(data, start)
        length, sets, config = 4, b"", b""
        for one in boxes(data, start + _VISUAL_BYTES, end):
            if one.kind == "avcC":
                length, sets = _read_avcc(data[one.start : one.end])
            elif one.kind == "hvcC":
                length, sets = _read_hvcc(data[one.start : one.end])
            else:
                config = read_record(one.kind, data[one.start : one.end]) or config
        return Described(entry.kind, codec, width, height, config=config, sets=sets, length_bytes=length)
    if entry.kind not in ("mp4a", "Opus", ".mp3", "fLaC", "ac-3", "ec-3", "alac"):
        return Described(entry.kind, None)
    return _read_audio(data, entry)


def _read_audio(data: bytes, entry: Box) -> Described:
    start, end = entry.start, entry.end
    if end - start < _AUDIO_BYTES:
        raise BoxError(f"{entry.kind} is too short")
    channels, rate = int.from_bytes(data[start + 16 : start + 18]), int.from_bytes(data[start + 24 : start + 26])
    # QuickTime's version 1 has sixteen bytes more, version 2 thirty-six.
    at = start + _AUDIO_BYTES + (0, 16, 36)[min(2, int.from_bytes(data[start + 8 : start + 10]))]
    codec, config = _AUDIO_KINDS.get(entry.kind), b""
    for one in boxes(data, at, end):
        payload = data[one.start : one.end]
        if one.kind == "esds":
            object_type, config = _read_esds(payload)
            codec = _OBJECTS.get(object_type)
        elif one.kind in ("dac3", "dec3"):
            config = payload
        elif one.kind == "dfLa":
            config = read_record(one.kind, payload) or b""
            rate = rate or int.from_bytes(config[10:13]) >> 4
        elif one.kind == "dOps" and len(payload) >= 11:
            channels, rate = payload[1], OPUS_RATE
            little = b"".join(payload[a:b][::-1] for a, b in ((2, 4), (4, 8), (8, 10)))
            config = b"OpusHead\1" + payload[1:2] + little + payload[10:]
    return Described(entry.kind, codec, sample_rate=rate, channels=channels, config=config)


def _read_avcc(record: bytes) -> tuple[int, bytes]:
    if len(record) < 7:
        raise BoxError("avcC is too short")
    at, sets = 5, b""
    for _ in range(2):
        if at >= len(record):
            break
        count, at = record[at] & 0x1F, at + 1
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2])
            sets += b"\0\0\0\1" + record[at + 2 : at + 2 + size]
            at += 2 + size
    return (record[4] & 3) + 1, sets


def _read_hvcc(record: bytes) -> tuple[int, bytes]:
    if len(record) < 23:
        raise BoxError("hvcC is too short")
    at, sets = 23, b""
    for _ in range(record[22]):
        count, at = int.from_bytes(record[at + 1 : at + 3]), at + 3
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2])
            sets += b"\0\0\0\1" + record[at + 2 : at + 2 + size]
            at += 2 + size
            if at > len(record):
                raise BoxError("hvcC is too short")
    return (record[21] & 3) + 1, sets


def _read_esds(payload: bytes) -> tuple[int, bytes]:
    """Kind of object (objectTypeIndication) and DecoderSpecificInfo of an elementary stream descriptor."""
    object_type, config, at = 0, b"", 4
    while at + 2 <= len(payload):
        tag, size, at = payload[at], 0, at + 1
        for _ in range(4):
            if at >= len(payload):
                return object_type, config
            byte, at = payload[at], at + 1
            size = size << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        if tag == 3:
            at += 3  # ES_ID and flags; nobody writes what the flags could bring
        elif tag == 4 and at < len(payload):
            object_type = payload[at]
            at += 13
        elif tag == 5:
            return object_type, payload[at : at + size]
        else:
            at += size
    return object_type, config
