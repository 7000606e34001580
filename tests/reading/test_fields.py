"""Interlaced video whose fields come one by one: a row, and a number, is a frame all the same."""

from __future__ import annotations

import io
import itertools
from fractions import Fraction
from pathlib import Path

import av
import pytest

import recordkit as rk
from recordkit.mp4.report import ChunkEvent
from recordkit.mp4.scanner import Scanner
from recordkit.reading.chunks import ChunkReader
from recordkit.ticks import TICKS_PER_SECOND
from tests.bitstream.interlaced import frames

FRAMES = 30
FIELD = TICKS_PER_SECOND // 50


def recorded(path: Path, *, joined: bool) -> rk.Recording:
    units = [first + second for first, second in frames(FRAMES)] if joined else itertools.chain(*frames(FRAMES))
    step = 2 * FIELD if joined else FIELD
    with rk.Recorder(path, audio=None) as recorder:
        for place, data in enumerate(units):
            is_entry = place * step % (20 * FIELD) == 0
            recorder.write_unit(rk.EncodedUnit("h264", data, place * step, is_entry, duration=step))
    return recorder.stop()


def levels(path: Path) -> list[int]:
    with rk.open(path) as video:
        assert [frame.number for frame in video] == list(range(len(video)))
        return [int(frame.frame.to_ndarray()[0, 0]) for frame in video]


@pytest.mark.parametrize("joined", [False, True], ids=["apart", "together"])
@pytest.mark.parametrize("name", ["talk.ts", "talk.mp4"])
def test_rows_are_frames(tmp_path: Path, name: str, joined: bool) -> None:
    path = tmp_path / name
    recording = recorded(path, joined=joined)
    expected = [20 + number for number in range(FRAMES)]
    rows = recording.frames
    assert len(rows) == FRAMES
    assert rows.lost_before.sum() == 0
    assert rows.media_s.tolist() == pytest.approx([number / 25 for number in range(FRAMES)])
    assert levels(path) == expected
    with rk.open(path) as video:
        assert (video.fps, video.duration_s) == (pytest.approx(25), pytest.approx(FRAMES / 25))
        assert int(video[17].frame.to_ndarray()[0, 0]) == 37
        assert video.at(16.9 / 25).number == 16
        reader = ChunkReader(video)
        reader.begin(0)
        piece = reader.more(1 << 20)
    assert list(piece.numbers) == list(range(FRAMES))
    events = [event for event in Scanner().feed(piece.data) if isinstance(event, ChunkEvent)]
    samples = [one for event in events for one in event.samples]
    assert all(one.pts + one.duration == following.pts for one, following in itertools.pairwise(samples))
    verification = rk.verify(path, decode=True)
    assert verification.ok
    (stream,) = verification.streams
    assert (stream.frames, stream.frame_rate) == (FRAMES, pytest.approx(25))
    path.with_suffix(".frames").unlink()  # its rows are found again in the file
    assert levels(path) == expected
    assert (rk.open(path).frames.media_s == rows.media_s).all()


def test_files_of_others(tmp_path: Path) -> None:
    """Fields in samples of their own, as libavformat writes them, and a transport stream of its making."""
    raw = b"".join(itertools.chain(*frames(FRAMES)))
    for name in ("film.mp4", "film.ts", "film.mkv"):
        path = tmp_path / name
        with av.open(io.BytesIO(raw), format="h264") as source, av.open(str(path), "w") as output:
            stream = output.add_stream_from_template(source.streams.video[0])
            packets = [packet for packet in source.demux() if packet.size]
            assert len(packets) == 2 * FRAMES
            for place, packet in enumerate(packets):
                packet.stream, packet.time_base = stream, Fraction(1, 50)
                packet.pts = packet.dts = place
                output.mux(packet)
        assert levels(path) == [20 + number for number in range(FRAMES)], name
