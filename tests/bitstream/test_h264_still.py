"""A frame that shows the one before it once more: bit for bit, by the decoder that everybody has."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from recordkit.bitstream.h264_still import StillFrames


def frame(number, width, height, form):
    luma = np.tile((np.arange(width) * 5 + number * 3) % 256, (height, 1)).astype(np.uint8)
    luma[height // 4 : height // 2, number * 7 % (width - 20) :][:, :20] = 200
    chroma = np.full((height // 2, width), 128, np.uint8)
    made = av.VideoFrame.from_ndarray(np.vstack([luma, chroma]), format="yuv420p").reformat(format=form)
    made.pts, made.time_base = number, Fraction(1, 30)
    return made


def film(count, *, size=(128, 64), form="yuv420p", bframes=0, **options):
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = *size, form
    context.time_base, context.framerate = Fraction(1, 30), Fraction(30)
    context.max_b_frames, context.gop_size, context.thread_count = bframes, 250, 1
    context.options = {"preset": "veryfast"} | options
    packets = [one for number in range(count) for one in context.encode(frame(number, *size, form))]
    return [bytes(one) for one in (*packets, *context.encode(None))]


def shown(units):
    decoder = av.CodecContext.create("h264", "r")
    decoder.options, decoder.thread_count = {"err_detect": "explode"}, 1
    frames = [one for unit in units for one in decoder.decode(av.Packet(unit))]
    return [one.to_ndarray() for one in (*frames, *decoder.decode(None))]


def followed(units):
    still = StillFrames()
    for unit in units:
        still.follow(unit)
    return still


CODINGS = {
    "live": {"preset": "ultrafast", "tune": "zerolatency"},
    "cabac, weights, several references": {"preset": "medium", "x264-params": "weightp=2:ref=4"},
    "B-frames": {"bframes": 3, "preset": "medium"},
    "order counts that wrap": {"count": 300, "bframes": 2},
    "slices": {"x264-params": "slices=4"},
    "intra refresh": {"x264-params": "intra-refresh=1"},
    "cropped": {"size": (160, 90)},
    "4:4:4": {"form": "yuv444p"},
    "intra only": {"x264-params": "keyint=1"},
    "interlaced, top field first": {"x264-params": "tff=1"},
    "interlaced, bottom field first, B-frames": {"bframes": 2, "x264-params": "bff=1", "count": 40},
    "interlaced, live": {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "tff=1"},
}


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS)
def test_still_frames_show_the_last_one_again_as_often_as_wanted(coding):
    units = film(**{"count": 20} | coding)
    still = followed(units)
    stills = [still.still() for _ in range(40)]
    assert None not in stills
    frames = shown([*units, *stills])
    assert len(frames) == len(units) + 40
    assert all((one == frames[len(units) - 1]).all() for one in frames[len(units) :])


@pytest.mark.parametrize("coding", [one for one in CODINGS.values() if "bframes" not in one])
def test_the_stream_goes_on_behind_them_as_if_there_were_none(coding):
    units = film(**{"count": 20} | coding)
    still = followed(units[:10])
    frames, alone = shown([*units[:10], *(still.still() for _ in range(4)), *units[10:]]), shown(units)
    assert len(frames) == 24
    assert all((one == other).all() for one, other in zip([*frames[:10], *frames[14:]], alone, strict=True))
    assert all((one == alone[9]).all() for one in frames[10:14])


@pytest.mark.parametrize(
    "units", [[], [b"\0\0\0\1\x65"], [b"\0\0\0\1\x67\x42", b"\0\0\0\1\x41\x9a"], [b"\xff" * 40]]
)
def test_of_what_is_unknown_there_is_none(units):
    assert followed(units).still() is None


def test_whatever_comes_it_raises_nothing():
    dice = np.random.default_rng(3)
    units = film(10, bframes=2)
    still = StillFrames()
    for _ in range(300):
        data = bytearray(units[dice.integers(len(units))])
        for at in dice.integers(0, len(data), 3):
            data[at] = dice.integers(256)
        still.follow(bytes(data[: dice.integers(1, len(data))]))
        still.still()


PYRAMIDS = {
    "progressive": {"x264-params": "b-pyramid=normal:b-adapt=0:bframes=3"},
    "interlaced": {"x264-params": "bff=1:b-pyramid=normal:b-adapt=0:bframes=3"},
}


@pytest.mark.parametrize("options", PYRAMIDS.values(), ids=PYRAMIDS)
def test_among_b_frames_that_others_refer_to_the_one_that_is_shown_last_stands(options):
    units = film(14, bframes=3, preset="medium", **options)
    for count in range(2, len(units)):
        still = followed(units[:count]).still()
        frames, alone = shown([*units[:count], still]), shown(units[:count])
        assert len(frames) == len(alone) + 1
        assert (frames[-1] == alone[-1]).all()
