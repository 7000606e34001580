"""Streams of a growing MP4 that begin late are read with the others: what is kept of a ring has them."""

from __future__ import annotations

import io
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import recordkit as rk
from recordkit.mp4.boxes import top_level
from recordkit.reading.units import Source
from tests.encode.live_units import picture


def silence(samples: int, at: int = 0) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.float32), "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
    return frame


def growing(*, audio: bool) -> list[bytes]:
    """The boxes of a second of video in fragments, with audio or without."""
    file = io.BytesIO()
    with av.open(file, "w", "mp4", options={"movflags": "empty_moov+frag_keyframe+default_base_moof"}) as container:
        video = container.add_stream("libx264", 30, width=64, height=48, pix_fmt="yuv420p", gop_size=5)
        sound = container.add_stream("aac", 48_000, layout="mono") if audio else None
        for number in range(30):
            container.mux(video.encode(picture(number, 64, 48)))
        container.mux(video.encode(None))
        if sound is not None:
            container.mux(sound.encode(silence(48_000)))
            container.mux(sound.encode(None))
    data = file.getvalue()
    return [data[at : at + count] for _, at, count in top_level(lambda a, b: data[a:b], len(data))]


def of_kind(boxes: list[bytes], kind: bytes) -> list[bytes]:
    return [one for one in boxes if one[4:8] == kind]


def test_the_moov_that_first_has_all_streams_stands_in_front(tmp_path: Path) -> None:
    alone, both = growing(audio=False), growing(audio=True)
    moov = of_kind(both, b"moov")
    rest = [one for one in both if one[4:8] in (b"moof", b"mdat")]
    path = tmp_path / "talk.recording.mp4"
    path.write_bytes(b"".join([*of_kind(alone, b"ftyp"), *of_kind(alone, b"moov"), *moov, *rest]))
    source = Source(path, size=path.stat().st_size)
    units = source.units()
    assert units.ids == (1, 2)
    found = Counter(coded.unit.stream for coded in units)
    source.close()
    assert found[0] == 30
    assert found[1] >= 47


@pytest.mark.parametrize("name", ["copy.ts", "copy.mp4"])
def test_an_export_of_fragments_has_audio_that_began_late(name: str, tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    with rk.Recorder(path, finish="fragmented") as recorder:
        for number in range(15 * 30):
            frame = picture(number, 64, 48)
            frame.pts, frame.time_base = number, Fraction(1, 30)
            recorder.write(frame)
            if number == 12 * 30:
                recorder.flush()
            if number >= 12 * 30:
                recorder.write(silence(1600, number * 1600))
    made = rk.export(path, tmp_path / name).path
    assert [one.codec for one in rk.verify(made).streams] == ["h264", "aac"]
    with av.open(str(path)) as container:
        assert not container.streams.audio, "libavformat finds it by itself: this module is of no more use"
