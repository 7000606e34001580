"""What only the container says of its video, the recording says itself: pixels that are not square, colours."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import pytest

from recordkit.encode.vui import VuiWriter, colours, lacking_aspect, pixel_aspect
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
        assert lacking_aspect(container.streams.video[0]) == {}


def test_frames_without_parameter_sets_and_damaged_ones_are_left_as_they_are(tmp_path: Path) -> None:
    film = anamorphic(tmp_path / "film.mkv", "libx264")
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        aspect = VuiWriter(stream, Codec.H264, 4, lacking_aspect(stream))
    for unit in (b"\0\0\0\1\x41\x9aabc", b"\0\0\0\1\x67\0\0\0\1\x41abc"):
        assert aspect.rewritten(unit) == unit
    assert len(coded_packets(film, "video")) == 30


@pytest.mark.parametrize("coder", OPTIONS)
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_colours_that_only_a_container_names_are_named_in_the_recording(
    coder: str, suffix: str, tmp_path: Path
) -> None:
    flat = make_clip(tmp_path / "flat.mp4", video=coder, audio=[], seconds=1, options=OPTIONS[coder])
    film = tmp_path / f"film.{suffix}"
    # FFmpeg 9 heeds what the frames say, those before it what the command does.
    told = {"color_primaries": "bt2020", "color_trc": "arib-std-b67", "colorspace": "bt2020nc"}
    named = [word for name, value in told.items() for word in (f"-{name}", value)]
    named += ["-vf", "setparams=" + ":".join(f"{name}={value}" for name, value in told.items())]
    coding = ["-c:v", coder, "-color_range", "pc", *(["-x265-params", "log-level=none"] if "265" in coder else [])]
    filters = {"libx264": "h264_metadata", "libx265": "hevc_metadata"}
    bare = "colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2:video_full_range_flag=0"
    command = ["ffmpeg", "-v", "error", "-i", str(flat), *coding, *named, "-bsf:v", f"{filters[coder]}={bare}"]
    subprocess.run([*command, str(film)], check=True)
    record(MediaFile(url=str(film)), tmp_path / "out.ts")
    with av.open(str(film)) as container:
        wanted = colours(container.streams.video[0].codec_context)
    with av.open(str(tmp_path / "out.ts")) as container:
        found = [colours(frame) for frame in container.decode(video=0)]
    assert {"colour_primaries", "transfer_characteristics", "matrix_coefficients"} <= wanted.keys()
    assert found == [wanted] * 30
    assert verify(tmp_path / "out.ts", decode=True).ok
