"""Frames of FLAC: what an encoder wrote, and headers set by hand."""

import pytest

from recordkit.bitstream.flac import FlacHeader, flac_block, flac_depth, flac_streaminfo, parse_flac
from recordkit.model import Codec

from ..mp4 import real


def test_what_an_encoder_wrote_is_read():
    stream = real.audio(Codec.FLAC)
    headers = [parse_flac(unit.data) for unit in stream.units]
    assert all(one is not None and (one.sample_rate, one.channels) == (48_000, 2) for one in headers)
    assert {one.samples for one in headers} == {flac_block(stream.format.config)}
    assert flac_depth(stream.format.config) == 16


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xff\xf8\x1a\x18\0\0", FlacHeader(192, 48_000, 2)),
        (b"\xff\xf8\x29\x18\0\0", FlacHeader(576, 44_100, 2)),
        (b"\xff\xf9\xc0\x78\xc2\x80\0", FlacHeader(4096, 0, 8, 0x80, is_by_sample=True)),
        (b"\xff\xf8\xc9\x18\xf0\x9f\x98\x80\0", FlacHeader(4096, 44_100, 2, 0x1F600)),
        (b"\xff\xf8\x6c\x88\0\x3f\x60", FlacHeader(64, 96_000, 2)),
        (b"\xff\xf8\x7d\xa8\0\x12\x33\xac\x44", FlacHeader(0x1234, 44_100, 2)),
        (b"\xff\xf8\x9e\x08\0\x12\xc0\0", FlacHeader(512, 48_000, 1)),
        (b"\xff\xf8\x0a\x18\0\0", None),
        (b"\xff\xf8\x1f\x18\0\0", None),
        (b"\xff\xf8\x1a\xb8\0\0", None),
        (b"\xff\xfa\x1a\x18\0\0", None),
        (b"\xff\xf8\x7a\x18\0\0", None),
        (b"\xff\xf8\x1c\x18\xc2\x80", None),  # cut before its rate
        (b"\xff\xf8\x1d\x18\0\xac", None),
        (b"\xff", None),
    ],
)
def test_headers(data, expected):
    assert parse_flac(data) == expected


def test_a_recording_says_nothing_of_the_whole():
    said = bytes(range(34))
    kept = said[:13] + bytes([said[13] & 0xF0]) + bytes(20)
    assert flac_streaminfo(said) == kept
    assert flac_streaminfo(b"fLaC\x80\0\0\x22" + said) == kept
    assert flac_streaminfo(said[:33]) == b""
    assert flac_depth(b"") == 16
    assert flac_block(b"") == 0
