"""When a frame was taken goes into the stream and comes out again, through other people's decoders too."""

from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordkit.bitstream.captured import TIME_UUID, captured_in, captured_nal
from recordkit.model import Captured, CapturedBy, Codec
from recordkit.sources.synthetic import Synthetic

START = b"\0\0\0\1"
SLICE = {Codec.H264: b"\x65\x88", Codec.H265: b"\x26\x01\x88"}


@given(
    st.sampled_from([Codec.H264, Codec.H265]),
    st.integers(0, 4_000_000_000_000_000_000),
    st.sampled_from(CapturedBy),
    st.one_of(st.none(), st.integers(0, 10**9).map(lambda micros: micros / 1e6)),
)
def test_what_goes_in_comes_out(codec, time_ns, by, error_s):
    captured = Captured(time_ns, by, error_s)
    nal = captured_nal(captured, codec)
    assert not any(nal[at : at + 3] in (b"\0\0\0", b"\0\0\1", b"\0\0\2") for at in range(len(nal)))
    found = captured_in(START + nal + START + SLICE[codec], codec)
    assert (found.time_ns, found.by) == (time_ns, by)
    assert found.error_s == pytest.approx(error_s)


def message(content):
    payload = TIME_UUID + content
    return START + b"\x06\x05" + bytes([len(payload)]) + payload + b"\x80" + START + SLICE[Codec.H264]


def test_the_time_alone_as_obs_writes_it():
    found = captured_in(message(b"\0\x01\x01" + b"2026-11-27T12:00:00.5Z\0"), Codec.H264)
    assert found == Captured(1_795_780_800_500_000_000, CapturedBy.SOURCE, None)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\x01\x01", b"\0\x02\x01" + bytes(8), b"\0\x01\x01yesterday\0", b"\0\x01\x012026-11-27T12:00:00.xZ\0"],
)
def test_what_is_no_time_is_none(content):
    assert captured_in(message(content), Codec.H264) is None


def test_nothing_behind_the_first_slice_is_looked_at():
    nal = captured_nal(Captured(1, CapturedBy.CALLER), Codec.H264)
    assert captured_in(START + SLICE[Codec.H264] + START + nal, Codec.H264) is None


@pytest.mark.parametrize(("encoder", "codec"), [("libx264", Codec.H264), ("libx265", Codec.H265)])
def test_decoders_find_the_message_and_decode_the_frame(encoder, codec):
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = 64, 48, "yuv420p"
    context.time_base = Fraction(1, 30)
    context.options = {"tune": "zerolatency", "x265-params": "log-level=none:repeat-headers=1"}
    frame = next(iter(Synthetic(64, 48, audio=False).frames())).reformat(format="yuv420p")
    frame.pts = 0
    coded = b"".join(map(bytes, [*context.encode(frame), *context.encode(None)]))
    nal = captured_nal(Captured(1_795_780_800_123_456_789, CapturedBy.DEVICE, 0.001), codec)
    decoder = av.CodecContext.create(codec.value, "r")
    frames = [*decoder.decode(av.Packet(START + nal + coded)), *decoder.decode(None)]
    assert len(frames) == 1
    said = [bytes(frames[0].side_data[at]) for at in range(len(frames[0].side_data))]
    assert any(one.startswith(TIME_UUID) and b"2026-11-27T12:00:00.123456789Z" in one for one in said)
