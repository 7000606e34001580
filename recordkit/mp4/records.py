"""What a sample entry says of VP9, AV1 and FLAC: each codec's own box, and what of a sample stands in it."""

from __future__ import annotations

from struct import Struct

from ..bitstream.av1 import av1_sequence, av1_units, parse_av1_sequence
from ..bitstream.flac import STREAMINFO_BYTES, flac_streaminfo
from ..bitstream.vp9 import vp9_keyframe
from ..errors import MediaError
from ..model import Codec
from .boxes import box

_VP9 = Struct(">BBBBBHH")
_VPCC = Struct(">B3xBBBBBBH")
_LEVEL_FRAME_RATE = 60
"""Nobody states the frame rate beforehand; a level that is too high plays, one that is too low may not."""
_LEVELS = (
    (829_440, 36_864, 10),
    (2_764_800, 73_728, 11),
    (4_608_000, 122_880, 20),
    (9_216_000, 245_760, 21),
    (20_736_000, 552_960, 30),
    (36_864_000, 983_040, 31),
    (83_558_400, 2_228_224, 40),
    (160_432_128, 2_228_224, 41),
    (311_951_360, 8_912_896, 50),
    (588_251_136, 8_912_896, 51),
    (1_176_502_272, 8_912_896, 52),
    (2_353_004_544, 35_651_584, 61),
)
"""Luma samples a second and a frame at the most, and the level (VP9 Levels, annex A), times ten."""
_HIGHEST_LEVEL = 62
_420, _422, _444, _440 = 1, 2, 3, 4
_SUBSAMPLINGS = {(1, 1): _420, (1, 0): _422, (0, 0): _444, (0, 1): _440}
_COLORS = {1: b"\6\6\6", 2: b"\1\1\1", 3: b"\6\6\6", 4: b"\7\7\7", 5: b"\11\16\11", 7: b"\1\15\0"}
"""By color_space: primaries, transfer and matrix of ISO/IEC 23091-2."""
_UNSPECIFIED = b"\2\2\2"
_AV1C_BYTES = 4


def beginning(data: bytes, codec: Codec) -> bytes:
    """What of a keyframe stands in the sample entry: as long as it is the same, so is the entry."""
    if codec is Codec.AV1:
        return av1_sequence(data)
    header = vp9_keyframe(data) if codec is Codec.VP9 else None
    if header is None:
        return b""
    subsampling = _SUBSAMPLINGS[header.subsampling]
    return _VP9.pack(
        header.profile,
        header.depth,
        header.color_space,
        header.full_range,
        subsampling,
        header.width & 0xFFFF,
        header.height & 0xFFFF,
    )


def known_beforehand(keyframe: bytes, codec: Codec, config: bytes) -> bytes:
    """``config`` of a stream that begins with ``keyframe``, where the container said ``config``."""
    found = beginning(keyframe, codec)
    return (config or _UNSPECIFIED) + found if codec is Codec.VP9 else found or config


def sets_in(codec: Codec, config: bytes) -> bytes:
    """What is known of video before its first keyframe, as ``beginning`` or the parameter sets say it."""
    return config[len(_UNSPECIFIED) :] if codec is Codec.VP9 else config


def vpcc(begin: bytes, colors: bytes, size: tuple[int, int]) -> tuple[bytes, int, int]:
    """``vpcC`` (VP Codec ISO Media File Format Binding, 1.0, 2.2), and the size of frames.

    The first three of ``colors`` are those that somebody knows better than the keyframes: BT.2020 says nothing
    of its transfer.
    """
    profile, depth, space, full_range, subsampling, width, height = (
        _VP9.unpack(begin) if begin else (0, 8, 0, 0, _420, *size)
    )
    stated = _COLORS.get(space, _UNSPECIFIED)
    colors = bytes(
        mine if mine not in (0, 2) else its for mine, its in zip(colors[:3] or _UNSPECIFIED, stated, strict=True)
    )
    samples = width * height
    level = next(
        (level for rate, most, level in _LEVELS if samples <= most and samples * _LEVEL_FRAME_RATE <= rate),
        _HIGHEST_LEVEL,
    )
    packed = depth << 4 | subsampling << 1 | full_range
    return box("vpcC", _VPCC.pack(1, profile, level, packed, *colors, 0)), width, height


def av1c(sequence: bytes, size: tuple[int, int]) -> tuple[bytes, int, int]:
    """``av1C`` (AV1 Codec ISO Media File Format Binding, 2.3) of a sequence header, and the size of frames."""
    header = parse_av1_sequence(sequence)
    if header is None:
        return box("av1C", b"\x81\0\x0c\0"), *size
    return box("av1C", header.description, sequence), header.width, header.height


def dfla(config: bytes) -> bytes:
    """``dfLa`` (Encapsulation of FLAC in ISO Base Media File Format, 3.3.2) of a STREAMINFO."""
    streaminfo = flac_streaminfo(config)
    if not streaminfo:
        raise MediaError("FLAC without its STREAMINFO cannot be told to a decoder")
    return box("dfLa", bytes(4), b"\x80" + STREAMINFO_BYTES.to_bytes(3), streaminfo)


def read_record(kind: str, payload: bytes) -> bytes | None:
    """What StreamFormat has as ``config``, out of one of these boxes; None if it is another."""
    if kind == "vpcC" and len(payload) >= _VPCC.size:
        return payload[7:10]
    if kind == "av1C":
        return next(
            (payload[_AV1C_BYTES + a : _AV1C_BYTES + b] for _, a, b in av1_units(payload[_AV1C_BYTES:])), b""
        )
    if kind == "dfLa":
        return flac_streaminfo(payload[8:])
    return None
