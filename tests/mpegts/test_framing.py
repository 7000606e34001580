"""What a transport stream puts before the units of each codec."""

from dataclasses import replace

import pytest

from recordkit.bitstream.h264 import H264_DELIMITER, H265_DELIMITER
from recordkit.errors import MediaError
from recordkit.model import AccessUnit, Codec, StreamFormat
from recordkit.mpegts.framing import framing, most_framing
from recordkit.mpegts.tables import CARRIED

from .units import AAC, AC3, H264, H265, MP3, OPUS, on_the_wire

UNIT = AccessUnit(0, 0, 0, b"coded")
FORMATS = [H264, H265, AAC, OPUS, MP3, AC3]


@pytest.mark.parametrize(
    ("stream_format", "before"),
    [
        (H264, H264_DELIMITER + b"sets"),
        (H265, H265_DELIMITER + b"sets"),
        (AAC, bytes.fromhex("fff14c80019ffc")),
        (OPUS, bytes.fromhex("7fe005")),
        (MP3, b""),
        (AC3, b""),
    ],
)
def test_each_codec_has_its_own(stream_format: StreamFormat, before: bytes) -> None:
    unit = replace(UNIT, prefix=b"sets") if stream_format.codec.is_video else UNIT
    assert framing(stream_format)(unit) == before
    assert len(before) <= most_framing(unit)


@pytest.mark.parametrize("stream_format", FORMATS)
def test_a_header_that_the_source_had_stays(stream_format: StreamFormat) -> None:
    unit = replace(UNIT, header=b"of its own")
    assert framing(stream_format)(unit) == b"of its own"
    assert most_framing(unit) >= len(unit.header)


@pytest.mark.parametrize("size", [1, 254, 255, 7_999, 8_000, 8_184])
def test_headers_tell_the_size(size: int) -> None:
    unit = replace(UNIT, data=bytes(size))
    for stream_format in (AAC, OPUS):
        before = framing(stream_format)(unit)
        assert before + unit.data == on_the_wire(unit, stream_format)
        assert len(before) <= most_framing(unit)


def test_trims_of_opus_are_told() -> None:
    unit = replace(UNIT, start_trim=312, end_trim=648)
    assert framing(OPUS)(unit) == bytes.fromhex("7ff8 05 0138 0288")


def test_a_configuration_is_that_of_the_headers() -> None:
    low = replace(AAC, sample_rate=44_100, config=bytes.fromhex("1388"))  # AAC-LC, 22.05 kHz, mono
    assert framing(low)(UNIT)[:4] == bytes.fromhex("fff15c40")


def test_what_has_no_place_in_a_header_is_refused() -> None:
    with pytest.raises(MediaError, match="too long for ADTS"):
        framing(AAC)(replace(UNIT, data=bytes(8_185)))
    for stream_format in (replace(AAC, config=bytes.fromhex("f8e85000")), replace(AAC, sample_rate=47_999)):
        framed = framing(stream_format)
        with pytest.raises(MediaError, match="no place in ADTS"):
            framed(UNIT)
        assert framed(replace(UNIT, header=b"adts")) == b"adts", "whoever brings a header needs no configuration"
    with pytest.raises(MediaError, match="8,191"):
        framing(OPUS)(replace(UNIT, start_trim=8_192))


def test_codecs_are_all_tried_here() -> None:
    assert {one.codec for one in FORMATS} | {Codec.MP2, Codec.EAC3, Codec.DTS} == CARRIED
