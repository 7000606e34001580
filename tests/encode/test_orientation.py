"""Frames that are to be shown turned: the recording carries it for every way into it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from recordkit.bitstream.sei import Orientation
from recordkit.encode.orientation import orientation_of
from recordkit.encode.video import VideoEncoder
from recordkit.recorder.record import record
from recordkit.recorder.recorder import Recorder
from recordkit.settings import VideoSettings
from recordkit.sources.media_file import MediaFile
from recordkit.sources.synthetic import Synthetic
from tests.media import make_clip

RIGHT = (0, 65_536, 0, -65_536, 0, 0, 0, 0, 1 << 30)
MIRRORED = (-65_536, 0, 0, 0, 65_536, 0, 0, 0, 1 << 30)


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
