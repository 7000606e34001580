"""Headers of AC-3 and E-AC-3, against an encoder that really runs and by hand."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordkit.bitstream.ac3 import ac3_configuration, parse_ac3

LAYOUTS = {"mono": 1, "stereo": 2, "3.0": 3, "4.0": 4, "5.0": 5, "5.1": 6, "2.1": 3}


def coded(name: str, rate: int, layout: str, bit_rate: int) -> list[bytes]:
    context = av.AudioCodecContext.create(name, "w")
    context.sample_rate, context.layout, context.format = rate, layout, "fltp"
    context.bit_rate, context.time_base = bit_rate, Fraction(1, rate)
    noise = np.random.default_rng(1).standard_normal((LAYOUTS[layout], 1536)).astype(np.float32) / 8
    packets = []
    for number in range(6):
        frame = av.AudioFrame.from_ndarray(noise, "fltp", layout)
        frame.sample_rate, frame.pts = rate, number * 1536
        packets += context.encode(frame)
    return [bytes(packet) for packet in packets]


@pytest.mark.parametrize("name", ["ac3", "eac3"])
@pytest.mark.parametrize("rate", [48_000, 44_100, 32_000])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_headers_say_what_the_encoder_was_told(name: str, rate: int, layout: str) -> None:
    for unit in coded(name, rate, layout, 448_000):
        header = parse_ac3(b"ab" + unit, 2)
        assert header is not None
        assert header.frame_length == len(unit)
        assert (header.sample_rate, header.channels, header.samples) == (rate, LAYOUTS[layout], 1536)


@pytest.mark.parametrize("bit_rate", [32_000, 96_000, 192_000, 640_000])
def test_lengths_follow_the_bit_rate(bit_rate: int) -> None:
    units = coded("ac3", 44_100, "mono", bit_rate)
    assert [parse_ac3(unit).frame_length for unit in units] == [len(unit) for unit in units]  # type: ignore[union-attr]


def test_a_frame_that_only_adds_channels_has_no_samples_of_its_own() -> None:
    (unit, *_) = coded("eac3", 48_000, "stereo", 192_000)
    dependent = unit[:2] + bytes([unit[2] | 0x40]) + unit[3:]
    assert parse_ac3(dependent).samples == 0  # type: ignore[union-attr]


def test_half_rates() -> None:
    (unit, *_) = coded("ac3", 48_000, "stereo", 192_000)
    halved = unit[:5] + bytes([9 << 3 | unit[5] & 7]) + unit[6:]
    assert parse_ac3(halved).sample_rate == 24_000  # type: ignore[union-attr]
    (unit, *_) = coded("eac3", 48_000, "stereo", 192_000)
    halved = unit[:4] + bytes([0xC0 | unit[4] & 0x0F]) + unit[5:]
    header = parse_ac3(halved)
    assert header is not None
    assert (header.sample_rate, header.samples) == (24_000, 1536)


@given(st.binary(max_size=12))
def test_nonsense_is_refused_or_read_without_a_fault(rest: bytes) -> None:
    header = parse_ac3(b"\x0b\x77" + rest)
    assert header is None or (header.frame_length > 0 and header.sample_rate > 0 and 1 <= header.channels <= 6)
    assert parse_ac3(rest, -1) is None


def written_by_ffmpeg(name: str, layout: str, folder: Path) -> bytes:
    """The content of dac3 or dec3 in an MP4 of libavformat's."""
    path = folder / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(name, rate=48_000, layout=layout)
        stream.bit_rate = 192_000
        for number in range(6):
            frame = av.AudioFrame.from_ndarray(np.zeros((LAYOUTS[layout], 1536), np.float32), "fltp", layout)
            frame.sample_rate, frame.pts = 48_000, number * 1536
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    at = data.index(b"dac3" if name == "ac3" else b"dec3")
    return data[at + 4 : at - 4 + int.from_bytes(data[at - 4 : at])]


@pytest.mark.parametrize("name", ["ac3", "eac3"])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_what_an_mp4_says_beforehand_is_what_ffmpeg_says(name: str, layout: str, tmp_path: Path) -> None:
    (unit, *_) = coded(name, 48_000, layout, 192_000)
    assert ac3_configuration(unit) == written_by_ffmpeg(name, layout, tmp_path)
    assert ac3_configuration(b"nothing") == b""
