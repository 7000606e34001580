"""What stands beside frames, by word of their container: it stands in the coded stream of the recording."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import av
import pytest

from recordkit.bitstream.sei import Orientation, sei_messages
from recordkit.encode.beside import Beside
from recordkit.encode.mastering import Mastering, mastering_of
from recordkit.model import AccessUnit, Codec, EventKind
from recordkit.mp4.boxes import box
from recordkit.recorder.record import record
from recordkit.sources.media_file import MediaFile
from recordkit.verification.verify import verify
from tests.media import make_clip

SLICE = b"\0\0\0\1\x65\x88\x84abc"
DISPLAY = (13_250, 34_500, 7_500, 3_000, 34_000, 16_000, 15_635, 16_450, 10_000_000, 50)


def test_a_frame_turned_otherwise_is_turned_otherwise() -> None:
    beside = Beside(Codec.H264)
    unit = AccessUnit(0, 0, 0, SLICE, prefix=b"sets")
    assert beside.told(unit) is unit
    beside.turn(Orientation(16_384))
    first = beside.told(unit)
    assert (first.prefix, first.data) == (b"sets\0\0\0\1" + Orientation(16_384).message(Codec.H264), SLICE)
    beside.turn(None)
    assert beside.told(unit).prefix.endswith(Orientation().message(Codec.H264))


def test_a_unit_that_says_so_itself_is_believed() -> None:
    beside = Beside(Codec.H264)
    beside.turn(Orientation(16_384))
    unit = AccessUnit(0, 0, 0, b"\0\0\0\1" + Orientation(32_768).message(Codec.H264) + SLICE)
    assert beside.told(unit) is unit


def test_the_message_stands_behind_the_sets_and_other_messages() -> None:
    beside = Beside(Codec.H264)
    beside.turn(Orientation(16_384))
    head = b"\0\0\0\1\x67\x42\0\x1e\0\0\1\x68\xce\0\0\0\1\x06\x06\x01\xc0\x80"
    unit = beside.told(AccessUnit(0, 0, 0, head + SLICE))
    assert unit.prefix == head + b"\0\0\0\1" + Orientation(16_384).message(Codec.H264)
    assert unit.data == SLICE


def test_what_is_told_of_nal_units_stays_true() -> None:
    beside = Beside(Codec.H264)
    beside.turn(Orientation(16_384))
    sets = b"\0\0\0\1\x67sets"
    unit = beside.told(AccessUnit(0, 0, 0, sets + SLICE + SLICE, nal_starts=(4, 13, 13 + len(SLICE))))
    assert unit.prefix.startswith(sets)
    assert unit.data == SLICE + SLICE
    assert unit.nal_starts == (4, 4 + len(SLICE))


def graded(path: Path, coder: str) -> Path:
    """A film whose sample entry says what display it was graded on (14496-12, 12.1.6 and 12.1.8)."""
    options = {"bf": "2", "g": "10"} if coder == "libx264" else {"x265-params": "log-level=none:keyint=10"}
    flat = make_clip(path.with_suffix(".flat.mp4"), video=coder, audio=[], seconds=1, options=options)
    data = bytearray(flat.read_bytes())
    mastering, level = Mastering(DISPLAY, (1_000, 400)).messages
    more = box("mdcv", mastering[1]) + box("clli", level[1])
    entry = data.index(b"avc1" if coder == "libx264" else b"hev1", data.index(b"stsd")) - 4
    end = entry + int.from_bytes(data[entry : entry + 4])
    data[end:end] = more
    # The entry and all that it is in grow; the media stand before them.
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", data[entry + 4 : entry + 8]):
        at = data.rindex(kind, 0, entry + 8) - 4
        data[at : at + 4] = (int.from_bytes(data[at : at + 4]) + len(more)).to_bytes(4)
    path.with_suffix(".mp4").write_bytes(data)
    if path.suffix != ".mp4":
        subprocess.run(
            ["ffmpeg", "-v", "error", "-i", path.with_suffix(".mp4"), "-c", "copy", str(path)], check=True
        )
    return path


def masterings(path: Path) -> list[Mastering]:
    """Of the keyframes: FFmpeg's decoder of H.264 says it of those that carry the message."""
    with av.open(str(path)) as container:
        return [mastering_of(frame) for frame in container.decode(video=0) if frame.key_frame]


@pytest.mark.parametrize("coder", ["libx264", "libx265"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_display_that_only_a_container_names_is_named_in_the_recording(
    coder: str, suffix: str, tmp_path: Path
) -> None:
    film = graded(tmp_path / f"film.{suffix}", coder)
    for name in ("out.ts", "out.mp4"):
        record(MediaFile(url=str(film)), tmp_path / name)
        assert masterings(tmp_path / name) == [Mastering(DISPLAY, (1_000, 400))] * 3
        assert verify(tmp_path / name, decode=True).ok


def test_a_display_is_named_where_a_decoder_can_start_and_once() -> None:
    beside = Beside(Codec.H264)
    mastering = Mastering(DISPLAY, (600, 0))
    beside.grade(mastering)
    unit = AccessUnit(0, 0, 0, SLICE)
    assert beside.told(unit) is unit
    first = beside.told(replace(unit, random_access=True))
    assert dict(sei_messages(first.prefix[4:])) == dict(mastering.messages)
    has_it = replace(unit, data=first.prefix + SLICE, random_access=True)
    assert beside.told(has_it) is has_it
    beside.grade(Mastering(level=(1, 1)))
    assert beside.told(has_it) is has_it, "what the unit says itself holds"
    beside.grade(Mastering())
    assert beside.told(replace(unit, random_access=True)).prefix == b""


def test_what_has_no_place_in_a_recording_is_told(tmp_path: Path) -> None:
    flat = make_clip(tmp_path / "flat.mp4", audio=[], seconds=0.2)
    film = tmp_path / "film.mkv"
    two_views = ["-metadata:s:v", "stereo_mode=left_right"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(flat), "-c", "copy", *two_views, str(film)], check=True)
    done = record(MediaFile(url=str(film)), tmp_path / "out.ts")
    (told,) = [one.fields["because"] for one in done.log.contents.events if one.kind is EventKind.ALTERED]
    assert "two views" in str(told)
    assert "only its container says it" in str(told)
