"""A recording as MP4 chunks: every frame of it, from any frame on, with its audio and at its times."""

import io
from itertools import pairwise

import av
import numpy as np
import pytest

import recordkit as rk
from recordkit.errors import MediaError
from recordkit.model import Codec
from recordkit.mp4.report import ChunkEvent
from recordkit.mp4.scanner import Scanner
from recordkit.reading.chunks import DAMAGED, KEYFRAME, ChunkReader, silent_frame
from recordkit.sources.marks import read_frame_number
from tests.media import make_clip

FRAMES = 150


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("chunks")
    rk.record(rk.Synthetic(width=320, height=180, realtime=False, seconds=FRAMES / 30), path / "talk.ts")
    rk.record(path / "talk.ts", path / "talk.mp4")
    return path


@pytest.fixture(params=["talk.ts", "talk.mp4"])
def video(folder, request):
    with rk.open(folder / request.param) as opened:
        yield opened


def read(reader, limit=20_000):
    """All that comes, and its pieces."""
    pieces = []
    while not pieces or not pieces[-1].is_over:
        pieces.append(reader.more(limit))
    return b"".join(one.data for one in pieces), pieces


def frames_in(data, kind="video"):
    with av.open(io.BytesIO(data)) as container:
        return list(container.decode(**{kind: 0}))


def test_all_of_it_at_its_times(video):
    reader = ChunkReader(video)
    assert reader.video_codec.startswith("avc1.")
    assert reader.audio_codec == "mp4a.40.2"
    reader.begin(0)
    data, pieces = read(reader)
    assert len(pieces) > 3
    assert [one.is_fresh for one in pieces] == [True] + [False] * (len(pieces) - 1)
    assert [read_frame_number(one) for one in frames_in(data)] == list(range(FRAMES))
    assert [number for one in pieces for number in one.numbers] == list(range(FRAMES))
    times = np.array([time for one in pieces for time in one.times])
    assert np.allclose(times, video.frames["media_s"])
    samples = [one for event in Scanner().feed(data) if isinstance(event, ChunkEvent) for one in event.samples]
    assert sum(one.duration for one in samples if one.track == 2) == pytest.approx(FRAMES / 30 * 48_000, rel=0.02)
    assert [bool(flags & KEYFRAME) for one in pieces for flags in one.flags] == video.frames["keyframe"].tolist()


def test_from_any_frame_on(video):
    reader = ChunkReader(video)
    reader.begin(100, audio=False)
    piece = reader.more(1 << 20)
    # At the keyframe that frame 100 needs.
    assert piece.is_fresh
    assert (piece.numbers[0], piece.numbers[-1]) == (60, FRAMES - 1)
    decoded = frames_in(piece.data)
    assert [read_frame_number(one) for one in decoded] == list(range(60, FRAMES))
    assert not av.open(io.BytesIO(piece.data)).streams.audio
    # Behind damage, at the next one.
    reader.begin(61, after=True)
    assert reader.more(1).numbers[0] == 120
    reader.begin(121, after=True)
    assert reader.more(1).is_over


def test_an_answer_that_was_lost_is_given_again(video):
    reader = ChunkReader(video)
    reader.begin(0)
    reader.more(1)
    lost = reader.more(20_000)
    again = reader.more(20_000, lost.first)
    # It begins at a keyframe, with a moov of its own: the page may know nothing.
    assert again.is_fresh
    assert again.first <= lost.first < again.next


def test_audio_that_is_not_there_is_silence(folder, tmp_path):
    source = make_clip(tmp_path / "late.mkv", seconds=4)
    with rk.open(source) as video:
        reader = ChunkReader(video)
        sound = video._track.coded_audio
        # A hole of a second, as a stream that stopped for a while has it.
        video._track.coded_audio = lambda begin, end: (
            one for one in sound(begin, end) if not 90_000 <= one.pts < 180_000
        )
        reader.begin(0)
        data, _ = read(reader)
    heard = frames_in(data, "audio")
    gaps = np.diff([float(one.pts * one.time_base) for one in heard])
    assert gaps.max() < 0.05


@pytest.mark.parametrize(("codec", "channels"), [(Codec.AAC, 1), (Codec.AAC, 2), (Codec.OPUS, 1), (Codec.OPUS, 2)])
def test_silence_decodes_as_silence(codec, channels):
    data, duration = silent_frame(codec, 48_000, channels)
    assert duration in (1920, 1800)
    assert 0 < len(data) < 64
    assert silent_frame(Codec.MP3, 48_000, 2) is None
    assert silent_frame(Codec.AAC, 48_000, 6) is None


def test_what_is_not_carried_is_refused(tmp_path):
    clip = make_clip(tmp_path / "clip.avi", video="mpeg4", seconds=1)
    with rk.open(clip) as video, pytest.raises(MediaError, match="the video is in mpeg4"):
        ChunkReader(video)


def test_its_tables_do_not_grow_for_ever(video, monkeypatch):
    monkeypatch.setattr("recordkit.reading.chunks._MOST_UNITS", 100)
    reader = ChunkReader(video)
    reader.begin(0)
    _, pieces = read(reader, 1 << 20)
    assert [one.numbers[0] for one in pieces if one.is_fresh] == [0, 120]
    assert [number for one in pieces for number in one.numbers] == list(range(FRAMES))
    fresh = b"".join(one.data for one in pieces if one.first >= 120)
    assert [read_frame_number(one) for one in frames_in(fresh)] == list(range(120, FRAMES))


def test_what_damage_reaches_is_flagged(folder, tmp_path):
    data = bytearray((folder / "talk.ts").read_bytes())
    # Within the second group of frames.
    with rk.open(folder / "talk.ts") as video:
        begin, end = (video.frames["offset"].iloc[number] for number in (80, 90))
    data[begin:end] = bytes(end - begin)
    (tmp_path / "damaged.ts").write_bytes(data)
    with rk.open(tmp_path / "damaged.ts") as video:
        reader = ChunkReader(video)
        reader.begin(0)
        _, pieces = read(reader)
    damaged = [time for one in pieces for time, flags in zip(one.times, one.flags, strict=True) if flags & DAMAGED]
    assert 2.6 < damaged[0] < 3.1
    assert damaged[-1] < 4.05


def test_frames_are_shown_until_the_next_one(tmp_path):
    """Matroska does not tell when frames are decoded; those of the first ones are made up."""
    with rk.open(make_clip(tmp_path / "b.mkv", options={"bf": "3"}, seconds=1)) as video:
        reader = ChunkReader(video)
        reader.begin(0, audio=False)
        piece = reader.more(1 << 20)
    samples = [
        one for event in Scanner().feed(piece.data) if isinstance(event, ChunkEvent) for one in event.samples
    ]
    shown = sorted(samples, key=lambda one: one.pts)
    assert len(shown) == 30
    assert all(one.pts + one.duration == following.pts for one, following in pairwise(shown))
