"""Interlaced frames: as many as there were, at their times, without combs; progressive ones untouched."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from recordkit.encode.deinterlace import Deinterlacer, Shown
from recordkit.recorder.record import record
from recordkit.sources.media_file import MediaFile
from tests.media import make_clip


@pytest.fixture(scope="module")
def interlaced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bar that moves from field to field, 25 frames of two fields."""
    path = tmp_path_factory.mktemp("interlaced") / "clip.mpg"
    bar = "nullsrc=s=320x240:r=50:d=1,geq=lum='if(between(mod(X-N*12,280),0,60),235,16)':cb=128:cr=128"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", bar, "-vf", "interlace=lowpass=off"]
    command += ["-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ilme+ildct"]
    subprocess.run([*command, str(path)], check=True)
    return path


def frames(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def combs(frame: av.VideoFrame) -> int:
    """Pixels that differ much from the lines above and below, which are alike."""
    luma = frame.to_ndarray(format="gray").astype(int)
    above, middle, below = luma[:-2], luma[1:-1], luma[2:]
    return int(((abs(above - below) < 20) & (abs(middle - above) > 100)).sum())


def test_the_recording_of_interlaced_frames_has_no_combs(
    interlaced: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = frames(interlaced)
    assert all(frame.interlaced_frame for frame in source)
    assert max(map(combs, source)) > 1000
    recording = record(MediaFile(url=str(interlaced)), tmp_path / "out.ts")
    found = frames(tmp_path / "out.ts")
    assert len(found) == len(source) == recording.counters.video_units
    assert not any(frame.interlaced_frame for frame in found)
    assert max(map(combs, found)) < 100
    steps = {round(float(b.time - a.time), 3) for a, b in pairwise(found)}  # type: ignore[operator]
    assert steps == {0.04}
    events = recording.events
    (told,) = events[events["kind"] == "altered"]["fields"]
    assert "interlaced" in told["because"]
    assert "deinterlaced" in caplog.text


def test_interlaced_frames_that_are_passed_through_stay_as_they_are(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", audio=[], seconds=0.5, options={"x264-params": "interlaced=1"})
    record(MediaFile(url=str(clip)), tmp_path / "out.ts")
    assert all(frame.interlaced_frame for frame in frames(tmp_path / "out.ts"))


def test_progressive_frames_pass_at_once() -> None:
    frame = av.VideoFrame.from_ndarray(np.zeros((96, 128), np.uint8), format="yuv420p")
    shown = Shown(frame, 0, True)
    assert Deinterlacer().put(shown) == [shown]
    assert Deinterlacer().flush() == []


def test_times_and_gaps_stay_with_their_frames(interlaced: Path) -> None:
    told: list[str] = []
    deinterlacer = Deinterlacer(told.append)
    given = [Shown(frame, 1000 + number, number == 7) for number, frame in enumerate(frames(interlaced))]
    small = av.VideoFrame.from_ndarray(np.zeros((96, 128), np.uint8), format="yuv420p")
    small.pts, small.time_base = 99, Fraction(1, 25)
    given.append(Shown(small, 2000, True))
    found = [one for shown in given for one in deinterlacer.put(shown)] + deinterlacer.flush()
    assert [(one.ticks, one.discontinuity) for one in found] == [(one.ticks, one.discontinuity) for one in given]
    assert found[-1].frame.width == 128
    assert len(told) == 1
