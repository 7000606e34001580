"""Frames that are to be shown turned: the recording carries it for every way into it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from recordkit.bitstream.sei import Orientation
from recordkit.encode.orientation import Turning, orientation_of
from recordkit.encode.video import VideoEncoder
from recordkit.model import AccessUnit, Codec
from recordkit.recorder.record import record
from recordkit.recorder.recorder import Recorder
from recordkit.settings import VideoSettings
from recordkit.sources.media_file import MediaFile
from recordkit.sources.synthetic import Synthetic
from tests.media import make_clip

RIGHT = (0, 65_536, 0, -65_536, 0, 0, 0, 0, 1 << 30)
MIRRORED = (-65_536, 0, 0, 0, 65_536, 0, 0, 0, 1 << 30)
SLICE = b"\0\0\0\1\x65\x88\x84abc"


def film(path: Path, matrix: tuple[int, ...], coder: str = "libx264") -> Path:
    """One whose container says that it is to be turned."""
    options = {"bf": "2", "g": "10"} if coder == "libx264" else {"x265-params": "log-level=none:keyint=10"}
    flat = make_clip(path.with_name("flat.mp4"), video=coder, audio=[], seconds=1, options=options)
    with av.open(str(flat)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_matrix(list(matrix))
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return path


def orientations(path: Path) -> list[Orientation | None]:
    with av.open(str(path)) as container:
        return [orientation_of(frame) for frame in container.decode(video=0)]


def passed(film: Path, path: Path) -> None:
    record(MediaFile(url=str(film)), path)


def encoded(film: Path, path: Path) -> None:
    record(MediaFile(url=str(film), transcode=True), path)


def paced(film: Path, path: Path) -> None:
    record(MediaFile(url=str(film), fps=30), path)


def packets(film: Path, path: Path) -> None:
    with Recorder(path, audio=None) as recorder, av.open(str(film)) as container:
        for packet in container.demux(video=0):
            recorder.write_packet(packet)


def frames(film: Path, path: Path) -> None:
    with Recorder(path, audio=None) as recorder, av.open(str(film)) as container:
        for frame in container.decode(video=0):
            recorder.write(frame)


@pytest.mark.parametrize("way", [passed, encoded, paced, packets, frames])
@pytest.mark.parametrize("matrix", [RIGHT, MIRRORED], ids=["right", "mirrored"])
def test_every_frame_of_the_recording_is_turned(
    way: Callable[[Path, Path], None], matrix: tuple[int, ...], tmp_path: Path
) -> None:
    source = film(tmp_path / "film.mp4", matrix)
    way(source, tmp_path / "out.ts")
    assert orientations(tmp_path / "out.ts") == [Orientation.of_matrix(matrix)] * 30


def test_h265_is_turned_as_well(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", RIGHT, "libx265")
    passed(source, tmp_path / "out.ts")
    assert orientations(tmp_path / "out.ts") == [Orientation.of_matrix(RIGHT)] * 30


def test_a_film_is_not_decoded_for_it_if_its_reader_decodes_it_already(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", RIGHT)
    decoded = 0
    with Recorder(tmp_path / "out.ts", audio=None) as recorder, av.open(str(source)) as container:
        for packet in container.demux(video=0):
            decoded += len(packet.decode())
            recorder.write_packet(packet)
    assert (decoded, len(orientations(tmp_path / "out.ts"))) == (30, 30)


def test_a_film_that_is_upright_gets_no_message(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", audio=[], seconds=0.5)
    passed(clip, tmp_path / "out.ts")
    assert orientations(tmp_path / "out.ts") == [None] * 15


def test_a_frame_turned_otherwise_is_turned_otherwise() -> None:
    turning = Turning(Codec.H264)
    unit = AccessUnit(0, 0, 0, SLICE, prefix=b"sets")
    assert turning.turned(unit) is unit
    turning.turn(Orientation(16_384))
    first = turning.turned(unit)
    assert (first.prefix, first.data) == (b"sets\0\0\0\1" + Orientation(16_384).message(Codec.H264), SLICE)
    turning.turn(None)
    assert turning.turned(unit).prefix.endswith(Orientation().message(Codec.H264))


def test_a_unit_that_says_so_itself_is_believed() -> None:
    turning = Turning(Codec.H264)
    turning.turn(Orientation(16_384))
    unit = AccessUnit(0, 0, 0, b"\0\0\0\1" + Orientation(32_768).message(Codec.H264) + SLICE)
    assert turning.turned(unit) is unit


def test_the_message_stands_behind_the_sets_and_other_messages() -> None:
    turning = Turning(Codec.H264)
    turning.turn(Orientation(16_384))
    head = b"\0\0\0\1\x67\x42\0\x1e\0\0\1\x68\xce\0\0\0\1\x06\x06\x01\xc0\x80"
    unit = turning.turned(AccessUnit(0, 0, 0, head + SLICE))
    assert unit.prefix == head + b"\0\0\0\1" + Orientation(16_384).message(Codec.H264)
    assert unit.data == SLICE


def test_frames_that_were_encoded_are_let_go_of_at_once():
    encoder = VideoEncoder(VideoSettings(preset="ultrafast"), 0)
    gc.collect()
    gc.disable()
    before = sum(isinstance(one, av.VideoFrame) for one in gc.get_objects())
    try:
        for number, frame in enumerate(Synthetic(64, 48, fps=10, seconds=2, audio=False).frames()):
            encoder.encode(frame, number * 9000)
        del frame
        left = sum(isinstance(one, av.VideoFrame) for one in gc.get_objects()) - before
        assert left <= 2, "the one that is repeated, and what it was made of"
    finally:
        gc.enable()


def test_what_is_told_of_nal_units_stays_true() -> None:
    turning = Turning(Codec.H264)
    turning.turn(Orientation(16_384))
    sets = b"\0\0\0\1\x67sets"
    unit = turning.turned(AccessUnit(0, 0, 0, sets + SLICE + SLICE, nal_starts=(4, 13, 13 + len(SLICE))))
    assert unit.prefix.startswith(sets)
    assert unit.data == SLICE + SLICE
    assert unit.nal_starts == (4, 4 + len(SLICE))
