"""Headers of DTS, against an encoder that really runs and by hand."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordkit.bitstream.counter import AudioFrameCounter
from recordkit.bitstream.dts import dts_configuration, parse_dts
from recordkit.model import Codec

SYNC = b"\x7f\xfe\x80\x01"
LAYOUTS = {"mono": 1, "stereo": 2, "5.0(side)": 5, "5.1(side)": 6}


def coded(layout: str, rate: int = 48_000) -> bytes:
    source = f"anoisesrc=d=0.05:r={rate}:a=0.1:seed=1"
    way = ["-f", "lavfi", "-i", source, "-af", f"aformat=channel_layouts={layout}", "-c:a", "dca", "-strict", "-2"]
    command = ["ffmpeg", "-nostdin", "-v", "error", *way, "-f", "dts", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def frames(data: bytes) -> list[bytes]:
    """The frames of an elementary stream, each of which begins with the sync word."""
    return [SYNC + one for one in data.split(SYNC)[1:]]


@pytest.mark.judge
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rate", [48_000, 44_100, 32_000])
def test_headers_say_what_the_encoder_was_told(layout: str, rate: int) -> None:
    for unit in frames(coded(layout, rate)):
        header = parse_dts(b"ab" + unit, 2)
        assert header is not None
        assert header.frame_length == len(unit)
        assert (header.sample_rate, header.channels, header.samples) == (rate, LAYOUTS[layout], 512)


@pytest.mark.judge
def test_the_descriptor_has_the_fields_of_the_header() -> None:
    unit = frames(coded("5.1(side)"))[0]
    fields = int.from_bytes(dts_configuration(unit))
    # 48 kHz, 16 blocks, the length less one, five channels and one of low frequencies.
    assert (fields >> 36, fields >> 23 & 0x7F, fields >> 9 & 0x3FFF) == (13, 15, len(unit) - 1)
    assert (fields >> 3 & 0x3F, fields >> 2 & 1, fields & 3) == (9, 1, 0)
    assert dts_configuration(b"no header at all") == b""


@pytest.mark.judge
def test_frames_are_counted_one_by_one() -> None:
    units = frames(coded("stereo"))
    counter = AudioFrameCounter(Codec.DTS)
    data = b"".join(units)
    found = [counter.feed(data[:100]), counter.feed(data[100:])]
    assert sum(one.frames for one in found) == len(units)
    assert sum(one.samples for one in found) == 512 * len(units)
    assert (counter.sample_rate, counter.channels) == (48_000, 2)


@given(st.binary(max_size=20))
def test_no_bytes_are_taken_for_more_than_they_are(data: bytes) -> None:
    header = parse_dts(b"\x7f\xfe\x80\x01" + data)
    assert header is None or (header.frame_length >= 96 and header.samples >= 192)
    assert parse_dts(data) is None


def extension(size: int, *, is_long: bool) -> bytes:
    """An extension of so many bytes (ETSI TS 102 114, 7.4.1), with nothing but the lengths in its header."""
    lengths = 1 << 37 | 31 << 25 | (size - 1) << 5 if is_long else 31 << 29 | (size - 1) << 13
    return (b"\x64\x58\x20\x25\0" + lengths.to_bytes(5)).ljust(size, b"\x7f")


@pytest.mark.judge
@pytest.mark.parametrize("is_long", [False, True])
def test_extensions_belong_to_the_frames_before_them(is_long: bool) -> None:
    units = frames(coded("stereo"))
    counter = AudioFrameCounter(Codec.DTS)
    found = [counter.feed(unit + extension(116, is_long=is_long)) for unit in units]
    assert [(one.frames, one.samples, one.lost_bytes) for one in found] == [(1, 512, 0)] * len(units)
    assert (counter.sample_rate, counter.channels) == (48_000, 2)
