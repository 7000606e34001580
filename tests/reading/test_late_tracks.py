"""Streams of a growing MP4 that begin late are read with the others: what is kept of a ring has them."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import av

from recordkit.mp4.boxes import top_level
from recordkit.reading.units import Source
from tests.encode.live_units import picture


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
            frame = av.AudioFrame(format="fltp", layout="mono", samples=48_000)
            frame.sample_rate = 48_000
            container.mux(sound.encode(frame))
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
