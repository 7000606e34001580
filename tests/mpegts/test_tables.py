"""PAT and PMT: built, read back, damaged."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordkit.model import Codec, StreamFormat
from recordkit.mpegts.tables import (
    PMT_PID,
    build_pat,
    build_pmt,
    build_pmt_of,
    crc32,
    parse_pat,
    parse_pmt,
    stream_type,
)

from .builder import with_crc

SOUND = {"sample_rate": 48_000, "channels": 2}
FORMATS = [
    (0x100, StreamFormat(Codec.H264, 1280, 720), 0x1B, "h264", 0),
    (0x101, StreamFormat(Codec.H265), 0x24, "hevc", 0),
    (0x102, StreamFormat(Codec.AAC, language="eng", **SOUND), 0x0F, "aac", 0),
    (0x103, StreamFormat(Codec.MP3, language="DEU", **SOUND), 0x03, "mp3", 0),
    (0x104, StreamFormat(Codec.MP3, sample_rate=22_050, channels=1), 0x04, "mp3", 0),
    (0x105, StreamFormat(Codec.OPUS, language="fra", sample_rate=48_000, channels=6), 0x06, "opus", 6),
]


def test_crc_known_answers():
    assert crc32(b"") == 0xFFFF_FFFF
    assert crc32(b"123456789") == 0x0376_E6E7  # the catalogue's check value of CRC-32/MPEG-2
    assert crc32(bytes.fromhex("00B00D0001C100000001F000") + bytes.fromhex("2AB104B2")) == 0


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2**32), st.integers(0, 7))
def test_crc_finds_every_flipped_bit(body, where, bit):
    section = with_crc(body)
    assert crc32(section) == 0
    damaged = bytearray(section)
    damaged[where % len(section)] ^= 1 << bit
    assert crc32(bytes(damaged)) != 0


def test_pat_known_answer():
    assert build_pat() == bytes.fromhex("00B00D0001C100000001F0002AB104B2")
    found = parse_pat(build_pat(5))
    assert found is not None
    assert (found.version, found.programs) == (5, {1: PMT_PID})


def test_pat_leaves_the_network_out():
    section = with_crc(bytes.fromhex("00B0110001C100000000E0100007E123"))
    found = parse_pat(section)
    assert found is not None
    assert found.programs == {7: 0x123}


@pytest.mark.parametrize("version", [0, 1, 31])
def test_pmt_round_trip(version):
    section = build_pmt([(pid, stream) for pid, stream, *_ in FORMATS], 0x100, version)
    assert crc32(section) == 0
    assert int.from_bytes(section[1:3]) & 0x0FFF == len(section) - 3
    found = parse_pmt(section)
    assert found is not None
    assert (found.program, found.version, found.pcr_pid) == (1, version, 0x100)
    assert [(one.pid, one.stream_type, one.codec, one.channels) for one in found.streams] == [
        (pid, type_, codec, channels) for pid, _, type_, codec, channels in FORMATS
    ]
    assert [one.language for one in found.streams] == [None, None, "eng", "deu", None, "fra"]
    assert [stream_type(stream) for _, stream, *_ in FORMATS] == [type_ for _, _, type_, *_ in FORMATS]


@pytest.mark.parametrize("section", [build_pat(), build_pmt([(0x100, FORMATS[2][1])], 0x100, 0)])
def test_sections_that_are_cut_or_of_another_kind(section):
    parse = parse_pat if section[0] == 0 else parse_pmt
    assert parse(section) is not None
    assert parse(bytes([0x42]) + section[1:]) is None
    assert parse(b"") is None
    for cut in range(1, len(section)):
        assert parse(section[:cut]) is None or (section[0] == 0 and cut % 4 == 0) or cut == 16


@settings(deadline=None)
@given(st.binary(max_size=120))
def test_parsing_never_raises(body):
    for table in (b"\0", b"\2"):
        parse_pat(table + body)
        parse_pmt(table + body)


def test_pmt_that_contradicts_itself():
    section = build_pmt([(0x100, FORMATS[2][1])], 0x100, 0)
    longer = section[:15] + b"\xf0\xff" + section[17:]
    assert parse_pmt(longer) is None
    programs = section[:10] + b"\xf0\xff" + section[12:]
    assert parse_pmt(programs) is None


def test_unknown_stream_types_are_named_by_number():
    section = build_pmt([(0x100, StreamFormat(Codec.H264))], 0x100, 0)
    found = parse_pmt(section[:12] + b"\xc5" + section[13:])
    assert found is not None
    assert found.streams[0].codec == "type 0xC5"


def mapped(type_: int, descriptors: str):
    section = build_pmt_of([(0x100, type_, bytes.fromhex(descriptors))], 0x100, 0)
    found = parse_pmt(section)
    assert found is not None
    (stream,) = found.streams
    return stream.codec, stream.language


@pytest.mark.parametrize(
    ("descriptors", "codec", "language"),
    [
        ("6A 01 00 0A 04 656E67 00", "ac3", "eng"),
        ("0A 04 646575 00 7A 01 00", "eac3", "deu"),
        ("7B 05 0000000000", "dts", None),
        ("7C 02 5800", "aac", None),
        ("56 05 656E67 09 00", "dvb_teletext", "eng"),
        ("46 05 667261 09 00", "dvb_teletext", None),
        ("59 08 646575 10 0001 0001", "dvb_subtitle", "deu"),
        ("45 02 0100", "vbi", None),
        ("7F 02 15 00", "ac4", None),
        ("7F 02 0E 00", "dts", None),
        ("7F 02 06 00", "private", None),
        ("05 04 44545331", "dts", None),
        ("05 04 44545333", "dts", None),
        ("52 01 07", "private", None),
        ("", "private", None),
        ("6A", "private", None),
        ("59 00", "dvb_subtitle", None),
    ],
)
def test_private_streams_are_named_by_their_descriptors(descriptors, codec, language):
    """EN 300 468, 6.1 and annex D; a descriptor that is cut says nothing."""
    assert mapped(0x06, descriptors) == (codec, language)


@pytest.mark.parametrize(("type_", "codec"), [(0x1B, "h264"), (0x0F, "aac"), (0x05, "type 0x05")])
def test_descriptors_name_private_streams_only(type_, codec):
    assert mapped(type_, "6A 01 00 7C 02 5800")[0] == codec
