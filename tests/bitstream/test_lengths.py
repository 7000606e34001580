"""Lengths in place of start codes, and the records that say so, against FFmpeg's own filters."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordkit.bitstream.h264 import nal_units
from recordkit.bitstream.lengths import parse_configuration, with_start_codes
from recordkit.errors import MediaError
from recordkit.model import Codec
from tests.media import make_clip

CODERS = {Codec.H264: "libx264", Codec.H265: "libx265"}
FILTERS = {Codec.H264: "h264_mp4toannexb", Codec.H265: "hevc_mp4toannexb"}


def nals(annexb: bytes, codec: Codec) -> list[bytes]:
    return [annexb[start:end] for _, start, end in nal_units(annexb, codec)]


@pytest.mark.parametrize("codec", CODERS)
def test_sets_and_frames_are_those_that_ffmpeg_finds(codec: Codec, tmp_path: Path) -> None:
    options = {"x265-params": "log-level=none"} if codec is Codec.H265 else {}
    clip = make_clip(tmp_path / "clip.mp4", video=CODERS[codec], audio=[], seconds=0.5, options=options)
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        record = parse_configuration(stream.codec_context.extradata or b"", codec)
        assert record is not None
        bitstream = av.BitStreamFilterContext(FILTERS[codec], stream)
        for number, packet in enumerate(container.demux(stream)):
            if not packet.size:
                continue
            mine, starts = with_start_codes(bytes(packet), record.length_bytes)
            assert [start for _, start, _ in nal_units(mine, codec)] == list(starts)
            theirs = nals(b"".join(map(bytes, bitstream.filter(packet))), codec)
            # The filter puts the sets before the first keyframe, behind its messages.
            sets = nals(record.parameter_sets, codec) if number == 0 else []
            assert sorted(theirs) == sorted(sets + nals(mine, codec))


def test_annex_b_is_no_record() -> None:
    assert parse_configuration(b"\0\0\0\1\x67\x42\0\x1e\x80", Codec.H264) is None
    assert parse_configuration(b"", Codec.H264) is None
    assert parse_configuration(b"\1" + bytes(10), Codec.H265) is None


@given(st.binary(max_size=60), st.sampled_from(list(CODERS)))
def test_a_damaged_record_is_read_as_far_as_it_goes(rest: bytes, codec: Codec) -> None:
    record = parse_configuration(b"\1" + rest, codec)
    assert record is None or 1 <= record.length_bytes <= 4


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.sampled_from([1, 2, 4]))
def test_each_length_becomes_a_start_code(units: list[bytes], length_bytes: int) -> None:
    data = b"".join(len(unit).to_bytes(length_bytes) + unit for unit in units)
    made, starts = with_start_codes(data, length_bytes)
    assert made == b"".join(b"\0\0\0\1" + unit for unit in units)
    whole = [unit for unit in units if unit]
    assert [made[start : start + len(unit)] for start, unit in zip(starts, whole, strict=True)] == whole


def test_a_length_that_reaches_beyond_the_packet_is_refused() -> None:
    with pytest.raises(MediaError, match="3 of 9 bytes"):
        with_start_codes(b"\0\0\0\x09abc", 4)
