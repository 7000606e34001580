"""The video encoder: any format, size and frame rate; key pictures by time; nothing held back."""

from __future__ import annotations

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace

from recordkit.bitstream.h264 import annexb_parameter_sets, nal_units
from recordkit.encode.coded import Coded
from recordkit.encode.video import VideoEncoder
from recordkit.errors import MediaError, SettingsError
from recordkit.model import Codec, StreamFormat
from recordkit.settings import VideoSettings

FAST = VideoSettings(preset="ultrafast")
NAL_AUD, NAL_SPS, NAL_PPS, NAL_IDR = 9, 7, 8, 5


def picture(width: int = 64, height: int = 48, pixel_format: str = "yuv420p", value: int = 90) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, pixel_format)
    for plane in frame.planes:
        plane.update(bytes([value]) * plane.buffer_size)
    return frame


def nal_types(data: bytes) -> list[int]:
    types, at = [], data.find(b"\0\0\1")
    while at >= 0:
        types.append(data[at + 3] & 31)
        at = data.find(b"\0\0\1", at + 3)
    return types


def decoded(coded: list[Coded]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    frames = []
    for one in coded:
        frames += decoder.decode(av.Packet(one.unit.data))
    return frames + decoder.decode(None)


def test_each_frame_gives_its_unit_at_once_and_keeps_its_time() -> None:
    encoder = VideoEncoder(FAST, 0)
    times = [180_000, 183_003, 186_006, 250_001]
    for ticks in times:
        (coded,) = encoder.encode(picture(), ticks)
        assert (coded.unit.pts, coded.unit.dts) == (ticks, ticks)
    assert encoder.flush() == []


def test_a_frame_of_even_size_is_not_copied_and_stays_as_it_is() -> None:
    encoder, frame = VideoEncoder(FAST, 0), picture()
    frame.pts, frame.time_base, frame.pict_type = 7, Fraction(1, 30), PictureType.B
    own = encoder._converted(frame)
    samples, same = (np.frombuffer(memoryview(one.planes[0]), np.uint8) for one in (frame, own))
    assert np.shares_memory(samples, same)
    first, second = (encoder.encode(frame, ticks)[0].unit.pts for ticks in (3000, 6000))
    assert (first, second) == (3000, 6000)
    assert (frame.pts, frame.time_base, frame.pict_type) == (7, Fraction(1, 30), PictureType.B)


def test_an_idr_begins_with_its_parameter_sets_and_each_unit_says_where_its_nal_units_are() -> None:
    encoder = VideoEncoder(FAST, 0)
    coded = [encoder.encode(picture(), ticks)[0] for ticks in (0, 3000)]
    first, second = (one.unit for one in coded)
    assert nal_types(first.data)[:2] == [NAL_SPS, NAL_PPS]
    for one in coded:
        assert one.format.config == annexb_parameter_sets(first.data)
        assert one.unit.nal_starts == tuple(start for _, start, _ in nal_units(one.unit.data))
    assert NAL_IDR in nal_types(first.data)
    assert first.random_access
    assert NAL_AUD not in nal_types(first.data) + nal_types(second.data)
    assert not second.random_access


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(30000, 1001), Fraction(60), Fraction(120), Fraction(3, 2)])
def test_key_pictures_come_by_time_not_by_count(fps: Fraction) -> None:
    encoder = VideoEncoder(FAST, 0)
    times = [round(number * 90_000 / fps) for number in range(int(fps * 5) + 1)]
    keys = [ticks for ticks in times if encoder.encode(picture(), ticks)[0].unit.random_access]
    assert keys[0] == 0
    gaps = [later - earlier for earlier, later in itertools.pairwise(keys)]
    assert all(180_000 <= gap < 180_000 + 90_000 / fps for gap in gaps)
    assert len(keys) >= 2


def test_a_new_size_goes_on_with_an_idr_in_the_new_size() -> None:
    encoder = VideoEncoder(FAST, 0)
    coded = [
        *encoder.encode(picture(64, 48), 0),
        *encoder.encode(picture(64, 48), 3000),
        *encoder.encode(picture(128, 96), 6000),
        *encoder.encode(picture(64, 48), 9000),
    ]
    assert [one.unit.random_access for one in coded] == [True, False, True, True]
    assert [one.format for one in coded[1:]] == [
        StreamFormat(Codec.H264, 64, 48),
        StreamFormat(Codec.H264, 128, 96),
        StreamFormat(Codec.H264, 64, 48),
    ]
    assert [(frame.width, frame.height) for frame in decoded(coded)] == [(64, 48), (64, 48), (128, 96), (64, 48)]


@pytest.mark.parametrize(
    "pixel_format", ["rgb24", "bgra", "gray", "nv12", "yuv422p", "yuv444p10le", "yuvj420p", "pal8"]
)
def test_any_pixel_format_is_taken(pixel_format: str) -> None:
    coded = VideoEncoder(FAST, 0).encode(picture(64, 48, pixel_format), 0)
    (frame,) = decoded(coded)
    assert (frame.format.name, frame.width, frame.height) == ("yuv420p", 64, 48)


@pytest.mark.parametrize("size", [(65, 49), (64, 49), (65, 48), (33, 17)])
def test_an_odd_size_is_made_even_by_doubling_the_last_line(size: tuple[int, int]) -> None:
    rows = np.arange(size[1], dtype=np.uint8)[:, None] * 3 + 40
    source = av.VideoFrame.from_ndarray(np.repeat(rows, size[0], 1), "gray")
    coded = VideoEncoder(VideoSettings(preset="ultrafast", crf=1), 0).encode(source, 0)
    (frame,) = decoded(coded)
    even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert (frame.width, frame.height) == even
    luma = np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(-1, frame.planes[0].line_size)
    expected = np.pad(rows[:, 0].astype(int), (0, even[1] - size[1]), mode="edge")
    # Full-range grey becomes video range: compared by its slope.
    scaled = 16 + expected * 219 / 255
    assert np.abs(luma[: even[1], : even[0]] - scaled[:, None]).max() <= 3


def test_rgb_of_hd_size_is_converted_and_tagged_as_bt709() -> None:
    (frame,) = decoded(VideoEncoder(FAST, 0).encode(picture(1280, 720, "rgb24", 200), 0))
    assert frame.colorspace == Colorspace.ITU709
    assert frame.color_range == ColorRange.MPEG


def test_the_callers_frame_stays_as_it_was() -> None:
    frame = picture()
    frame.pts, frame.time_base = 77, Fraction(1, 25)
    before = bytes(frame.planes[0])
    VideoEncoder(FAST, 0).encode(frame, 123_456)
    assert (frame.pts, frame.time_base, bytes(frame.planes[0])) == (77, Fraction(1, 25), before)


def test_a_discontinuity_is_marked_and_starts_with_an_idr() -> None:
    encoder = VideoEncoder(FAST, 0)
    encoder.encode(picture(), 0)
    (coded,) = encoder.encode(picture(), 9000, discontinuity=True)
    assert coded.unit.discontinuity
    assert coded.unit.random_access


def test_the_bit_rate_is_met_at_a_frame_rate_that_nobody_told() -> None:
    noise = np.random.default_rng(7).integers(0, 255, (240 + 60, 320 + 60), np.uint8)
    encoder = VideoEncoder(VideoSettings(preset="ultrafast", bit_rate=400_000), 0)
    sizes = []
    for number in range(60 * 8):
        view = np.ascontiguousarray(noise[number % 60 : number % 60 + 240, number % 60 : number % 60 + 320])
        for coded in encoder.encode(av.VideoFrame.from_ndarray(view, "gray"), number * 1500):
            sizes.append((number, len(coded.unit.data)))
    later = sum(size for number, size in sizes if number >= 120) * 8 / 6
    assert later == pytest.approx(400_000, rel=0.15)


def test_a_size_can_be_asked_for() -> None:
    (coded,) = VideoEncoder(VideoSettings(preset="ultrafast", size=(32, 24)), 0).encode(picture(), 0)
    assert coded.format == StreamFormat(Codec.H264, 32, 24)


def test_what_the_codec_refuses_is_an_error_of_ours() -> None:
    with pytest.raises(MediaError) as caught:
        VideoEncoder(FAST, 3).encode(av.VideoFrame(0, 0, "yuv420p"), 0)
    assert caught.value.stream == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("preset", "warp"),
        ("bit_rate", 1),
        ("crf", 52.0),
        ("keyframe_interval", 0),
        ("size", (8, 8)),
        ("frame_rate", Fraction(0)),
    ],
)
def test_unusable_settings_say_which(name: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        VideoSettings(**{name: value})  # type: ignore[arg-type]
    assert (caught.value.name, caught.value.value) == (name, value)


LOOKS = {
    "limited 709": (ColorRange.MPEG, 1),
    "full 709": (ColorRange.JPEG, 1),
    "limited 601": (ColorRange.MPEG, 5),
    "full 601": (ColorRange.JPEG, 5),
    "not said": (ColorRange.UNSPECIFIED, 2),
}


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p"])
@pytest.mark.parametrize("before", LOOKS)
@pytest.mark.parametrize("after", LOOKS)
def test_a_new_range_or_matrix_is_that_of_the_stream_from_there_on(
    before: str, after: str, pixel_format: str
) -> None:
    encoder, decoder = VideoEncoder(FAST, 0), av.VideoCodecContext.create("h264", "r")
    units = []
    for number in range(8):
        frame = picture(128, 96, pixel_format, value=100)
        frame.color_range, frame.colorspace = LOOKS[before if number < 4 else after]
        units += encoder.encode(frame, number * 3600)
    units += encoder.flush()
    shown = [frame for one in units for frame in decoder.decode(av.Packet(one.unit.data))] + decoder.decode(None)
    assert [bytes(frame.planes[0])[5000] for frame in shown] == [100] * 8
    # What says nothing is limited, and 601 at this size, as players assume it.
    assumed = LOOKS["not said" if before == after == "not said" else "limited 601"]
    wanted = [LOOKS[before]] * 4 + [assumed if after == "not said" else LOOKS[after]] * 4
    # 5 and 6 are one matrix (H.264, table E-5).
    assert [(frame.color_range, 5 if frame.colorspace == 6 else frame.colorspace) for frame in shown] == wanted
    assert sum(one.unit.random_access for one in units) == len(set(wanted))


def test_samples_of_more_than_eight_bits_are_told_once() -> None:
    told: list[str] = []
    encoder = VideoEncoder(FAST, 0, told.append)
    for number, pixel_format in enumerate(["yuv420p", "yuv420p10le", "yuv420p", "yuv422p10le", "yuv420p12le"]):
        encoder.encode(picture(64, 48, pixel_format), number * 3600)
    assert [words.split(" a ")[0] for words in told] == ["its 10 bits", "its 12 bits"]


def test_odd_sizes_become_even_which_is_told_once() -> None:
    told: list[str] = []
    encoder = VideoEncoder(VideoSettings(), 0, told.append)
    for number in range(3):
        frame = av.VideoFrame.from_ndarray(np.zeros((3, 5, 3), np.uint8), format="rgb24")
        coded = encoder.encode(frame, number * 3_000)
        assert (coded[0].format.width, coded[0].format.height) == (6, 4)
    assert told == ["its 5x3 pixels are encoded as 6x4: 4:2:0 has even sizes only"]
