"""NAL units, parameter sets and the framer, against encoders that really run and by hand."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordkit.bitstream.h264 import (
    H264_DELIMITER,
    H265_DELIMITER,
    ParameterSetFramer,
    annexb_parameter_sets,
    delimiter_bytes,
    nal_units,
    parse_h265_sps,
    parse_sps,
)
from recordkit.model import Codec

SPS = bytes.fromhex("6742c015d901e08fea10000003001000000303c0f162e480")
PPS = bytes.fromhex("68cb83cb20")
IDR = b"\0\0\0\1\x65\x88\x84" + bytes(range(1, 200))
INTER = b"\0\0\0\1\x41\x9a\x24" + bytes(range(1, 200))
SETS = b"\0\0\0\1" + SPS + b"\0\0\0\1" + PPS


def encoded(name: str, width: int, height: int, rate: int = 30, pix_fmt: str = "yuv420p", **options: str):
    context = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = width, height, pix_fmt
    context.time_base = Fraction(1, rate)
    context.framerate = Fraction(rate)
    context.options = options
    picture = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    units = []
    for index in range(6):
        frame = av.VideoFrame.from_ndarray(picture).reformat(format=pix_fmt)
        frame.pts = index
        units += [bytes(packet) for packet in context.encode(frame)]
    return units + [bytes(packet) for packet in context.encode(None)]


def first_of(unit: bytes, wanted: int, codec: Codec = Codec.H264) -> bytes:
    return next(unit[start:end] for kind, start, end in nal_units(unit, codec) if kind == wanted)


@pytest.mark.parametrize(
    ("width", "height", "options"),
    [
        (640, 360, {}),
        (1920, 1080, {"profile": "baseline"}),
        (1280, 720, {"profile": "high"}),
        (178, 148, {"x264-params": "interlaced=1"}),
        (322, 242, {"x264-params": "cqm=jvt:sar=11/13:colorprim=bt709:range=pc:chromaloc=1"}),
        (320, 240, {"pix_fmt": "yuv444p"}),
        (326, 246, {"pix_fmt": "yuv422p"}),
    ],
)
def test_sps_of_x264(width, height, options):
    unit = encoded("libx264", width, height, **options)[0]
    sps = parse_sps(first_of(unit, 7))
    assert sps is not None
    assert (sps.width, sps.height, sps.frame_rate) == (width, height, 30)


def test_sps_of_x265():
    unit = encoded("libx265", 322, 178, **{"x265-params": "log-level=none"})[0]
    sps = parse_h265_sps(first_of(unit, 33, Codec.H265))
    assert sps is not None
    assert (sps.width, sps.height) == (322, 178)
    assert sps.frame_rate is None


def test_sps_with_emulation_prevention():
    sps = parse_sps(SPS)
    assert sps is not None
    assert b"\0\0\3" in SPS
    assert (sps.profile, sps.level, sps.width, sps.height, sps.frame_rate) == (66, 21, 480, 270, Fraction(30))


@given(st.binary(max_size=80))
def test_sps_never_raises(data):
    parse_sps(data)
    parse_sps(b"\x67" + data)
    parse_h265_sps(b"\x42\x01" + data)
    ParameterSetFramer(Codec.H264).frame(b"\0\0\1" + data, True)
    ParameterSetFramer(Codec.H265).frame(b"\0\0\1" + data, True)


@pytest.mark.parametrize("cut", range(len(SPS)))
def test_cut_sps(cut):
    found = parse_sps(SPS[:cut])
    assert found is None or (found.width, found.height) == (480, 270)


def test_nal_units_with_both_start_codes():
    data = b"\0\0\1\x09\xf0\0\0\0\1\x67\x01\0\0\1\x68\x02\0\0\0\0\1\x65\x03"
    assert list(nal_units(data)) == [(9, 3, 5), (7, 9, 11), (8, 14, 16), (5, 21, 23)]
    assert list(nal_units(b"")) == list(nal_units(b"\0\0\1")) == list(nal_units(b"abc")) == []
    assert [kind for kind, _, _ in nal_units(H265_DELIMITER, Codec.H265)] == [35]


@given(
    st.lists(st.binary(min_size=1, max_size=30).map(lambda raw: b"\x65" + raw.replace(b"\0", b"\1")), min_size=1)
)
def test_nal_units_find_what_was_joined(nals):
    for code in (b"\0\0\1", b"\0\0\0\1"):
        data = b"".join(code + nal for nal in nals)
        assert [data[start:end] for _, start, end in nal_units(data)] == nals


def test_parameter_sets_of_a_unit():
    assert annexb_parameter_sets(H264_DELIMITER + SETS + IDR) == SETS
    assert annexb_parameter_sets(b"\0\0\1" + SPS + b"\0\0\1" + PPS + IDR) == SETS
    assert annexb_parameter_sets(IDR + SETS) == b"", "behind the first slice they belong to no one"


def test_how_long_a_delimiter_is():
    for delimiter in (H264_DELIMITER, b"\0\0\1\x09\x10", b"\0\0\1\x09\x10\0"):
        assert delimiter_bytes(delimiter + IDR) == len(delimiter)
        assert delimiter_bytes(delimiter + b"\0\0\1\x65") == len(delimiter) - (delimiter[-1] == 0)
        assert delimiter_bytes(delimiter) == 0, "a unit of a delimiter alone would be none"
    assert delimiter_bytes(H265_DELIMITER + IDR, Codec.H265) == len(H265_DELIMITER)
    for data in (b"", b"\0\0\1", IDR, b"\x09\xf0", H265_DELIMITER + IDR):
        assert delimiter_bytes(data) == 0


def written(framer: ParameterSetFramer, data: bytes, flag: bool = False) -> tuple[bytes, bool]:
    unit = framer.frame(data, flag)
    return unit.prefix + data, unit.random_access


def test_framer_puts_parameter_sets_before_an_idr():
    framer = ParameterSetFramer(Codec.H264, SETS)
    assert written(framer, INTER) == (INTER, False)
    assert written(framer, IDR) == written(framer, SETS + IDR) == (SETS + IDR, True)


def test_framer_learns_parameter_sets():
    framer = ParameterSetFramer(Codec.H264)
    assert not framer.ready
    assert written(framer, IDR) == (IDR, False), "nobody can decode it"
    written(framer, SETS + IDR)
    assert framer.ready
    assert (framer.width, framer.height) == (480, 270)
    assert written(framer, IDR) == (SETS + IDR, True)
    larger = encoded("libx264", 640, 360)[0]
    written(framer, larger)
    assert (framer.width, framer.height) == (640, 360)
    assert annexb_parameter_sets(larger) == framer.parameter_sets


def test_framer_believes_a_keyframe_flag_only_for_intra_pictures():
    framer = ParameterSetFramer(Codec.H264, SETS)
    intra = b"\0\0\0\1\x41\x88\x84" + bytes(50)  # first_mb_in_slice 0, slice_type 7
    recovery = b"\0\0\0\1\x06\x06\x01\xc4\x80" + INTER
    assert written(framer, intra, True) == (SETS + intra, True)
    assert written(framer, recovery, True)[1]
    for unit, flag in ((intra, False), (recovery, False), (INTER, True)):
        assert written(framer, unit, flag) == (unit, False)
    assert written(framer, IDR, False)[1]


def test_framer_of_h265():
    first, second = encoded("libx265", 320, 180, **{"x265-params": "log-level=none:repeat-headers=1"})[:2]
    framer = ParameterSetFramer(Codec.H265)
    data, random_access = written(framer, first)
    assert random_access
    assert data == first
    assert (framer.width, framer.height) == (320, 180)
    assert [kind for kind, _, _ in nal_units(framer.parameter_sets, Codec.H265)] == [32, 33, 34]
    assert written(framer, second, True) == (second, False)
    bare = first[first.index(framer.parameter_sets) + len(framer.parameter_sets) :]
    assert written(framer, bare)[0].startswith(framer.parameter_sets)


def test_framed_stream_decodes():
    framer = ParameterSetFramer(Codec.H264)
    decoder = av.CodecContext.create("h264", "r")
    frames = []
    for unit in encoded("libx264", 320, 180):
        data, _ = written(framer, unit)
        frames += decoder.decode(av.Packet(data))
    frames += decoder.decode(None)
    assert len(frames) == 6


def test_framer_does_not_look_behind_the_first_slice():
    framer = ParameterSetFramer(Codec.H264, SETS)
    framer.frame(IDR + b"\0\0\0\1" + encoded("libx264", 640, 360)[0], False)
    assert (framer.width, framer.height) == (480, 270)


def test_parameter_sets_of_another_layer_stay_beside_those_of_the_base_layer() -> None:
    unit = encoded("libx265", 160, 96, **{"x265-params": "log-level=none"})[0]
    base = {kind: first_of(unit, kind, Codec.H265) for kind in (32, 33, 34)}
    second = b"".join(b"\0\0\0\1" + bytes([nal[0], nal[1] | 8]) + nal[2:] for nal in (base[33], base[34]))
    sets = b"".join(b"\0\0\0\1" + nal for nal in base.values())
    alone = ParameterSetFramer(Codec.H265, second)
    assert not alone.ready
    assert alone.width == 0
    framer = ParameterSetFramer(Codec.H265, sets + second)
    assert (framer.width, framer.height, framer.ready) == (160, 96, True)
    assert framer.parameter_sets == sets + second
    slices = b"\0\0\0\1" + first_of(
        unit, 19 if any(k == 19 for k, *_ in nal_units(unit, Codec.H265)) else 20, Codec.H265
    )
    assert framer.frame(second + slices, True).prefix == sets + second
