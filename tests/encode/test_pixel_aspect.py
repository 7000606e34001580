"""Pixels that are not square, and only the container says so: the recording says it itself."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import pytest

from recordkit.encode.pixel_aspect import PixelAspect, pixel_aspect
from recordkit.model import Codec
from recordkit.recorder.record import record
from recordkit.sources.media_file import MediaFile
from recordkit.verification.verify import verify
from tests.media import coded_packets, make_clip

OPTIONS = {"libx264": {"bf": "2", "g": "10"}, "libx265": {"x265-params": "log-level=none:keyint=10"}}


def anamorphic(path: Path, coder: str) -> Path:
    """A film of square pixels, of which its container says that they are 4:3."""
    flat = make_clip(path.with_name("flat.mp4"), video=coder, audio=[], seconds=1, options=OPTIONS[coder])
    # 160x120 shown 16 to 9
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(flat), "-c", "copy", "-aspect", "16:9", str(path)], check=True
    )
    return path


def aspects(path: Path) -> tuple[Fraction | None, int]:
    """What the coded stream says, and how many frames can be decoded."""
    with av.open(str(path)) as container:
        count = sum(1 for _ in container.decode(video=0))
        return pixel_aspect(container.streams.video[0]), count


@pytest.mark.parametrize("coder", OPTIONS)
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
@pytest.mark.parametrize("transcode", [False, True], ids=["passed through", "encoded"])
def test_the_recording_shows_pixels_as_the_container_does(
    coder: str, suffix: str, transcode: bool, tmp_path: Path
) -> None:
    film = anamorphic(tmp_path / f"film.{suffix}", coder)
    record(MediaFile(url=str(film), transcode=transcode), tmp_path / "out.ts")
    assert aspects(tmp_path / "out.ts") == (Fraction(4, 3), 30)
    assert verify(tmp_path / "out.ts", decode=True).ok


def test_what_agrees_is_left_as_it_is(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", audio=[], seconds=0.2)
    with av.open(str(clip)) as container:
        assert PixelAspect.needed(container.streams.video[0], Codec.H264, 4) is None


def test_frames_without_parameter_sets_and_damaged_ones_are_left_as_they_are(tmp_path: Path) -> None:
    film = anamorphic(tmp_path / "film.mkv", "libx264")
    with av.open(str(film)) as container:
        aspect = PixelAspect.needed(container.streams.video[0], Codec.H264, 4)
    assert aspect is not None
    for unit in (b"\0\0\0\1\x41\x9aabc", b"\0\0\0\1\x67\0\0\0\1\x41abc"):
        assert aspect.rewritten(unit) == unit
    assert len(coded_packets(film, "video")) == 30
