"""A recording in several files: put together they are the recording in one, and each plays alone."""

import errno
import random
import threading
import time

import av
import pytest

import recordkit as rk
from recordkit.errors import SettingsError
from recordkit.model import EventKind
from recordkit.sources.synthetic import Synthetic
from recordkit.telemetry.frames import read_flush_log

from ..encode.live_units import pictures, sound
from ..media import make_clip
from ..steering import GUARD_S, FakeClock, FaultySystem, recordkit_threads

QUICK = {"sample_interval": 0.0, "durability": "process"}
FRAMES = list(Synthetic(width=64, height=48, fps=10, seconds=4, sample_rate=8000).frames())


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Six seconds with B-frames, a keyframe every 0.4 s, and two streams of audio."""
    options = {"preset": "ultrafast", "x264-params": "bframes=2:keyint=10:scenecut=0"}
    path = tmp_path_factory.mktemp("clip") / "clip.ts"
    return make_clip(path, audio=("aac", "mp2"), seconds=6, fps=25, size=(64, 48), options=options)


def packets(path):
    """The packets of each stream: bytes, and times less those of the file's first."""
    with av.open(str(path)) as container:
        found = {stream.index: [] for stream in container.streams}
        for packet in container.demux():
            if packet.size:
                found[packet.stream.index].append(bytes(packet))
    return found


def joined(paths):
    together = {}
    for path in paths:
        for index, coded in packets(path).items():
            together.setdefault(index, []).extend(coded)
    return together


def passed_through(clip, path, cut_before=(), **settings):
    """Record the clip's packets as they are, asking for a cut before some of them."""
    audio = (rk.AudioSettings(), rk.AudioSettings())
    with rk.Recorder(path, audio=audio, **QUICK, **settings) as recorder, av.open(str(clip)) as container:
        for number, packet in enumerate(container.demux()):
            if number in cut_before:
                recorder.cut()
            recorder.write_packet(packet)
    return recorder.stop()


def opened():
    """Wait for a file that is being opened."""
    for thread in threading.enumerate():
        if thread.name == "recordkit-open":
            thread.join(GUARD_S)


def are_sound(paths):
    for path in paths:
        found = rk.verify(path, decode=True)
        assert found.ok, (path, found.problems)


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_put_together_the_files_are_unit_for_unit_the_recording_in_one(clip, tmp_path, suffix):
    whole = passed_through(clip, tmp_path / f"whole{suffix}")
    chance = random.Random(7)
    for trial in range(2):
        cuts = {chance.randrange(400) for _ in range(chance.randrange(1, 9))}
        made = passed_through(
            clip, tmp_path / f"{trial}-{{number}}{suffix}", cuts, segments=rk.Segments(), flush_interval=0.05
        )
        assert len(made.segments) > 1
        paths = [one.path for one in made.segments]
        assert joined(paths) == packets(whole.path)
        assert made.duration_s == whole.duration_s
        assert made.bytes == sum(path.stat().st_size for path in paths)
        assert made.counters.video_units == whole.counters.video_units
        are_sound(paths)


def test_a_cut_lies_where_it_was_asked_for_however_far_behind_the_encoder_is(tmp_path):
    pattern = tmp_path / "{number}.ts"
    with rk.Recorder(pattern, audio=None, segments=rk.Segments(), **QUICK) as recorder:
        video = [frame for frame in FRAMES if isinstance(frame, av.VideoFrame)]
        with recorder._parts.intake.changed:  # so that the encoder takes nothing yet
            recorder.cut()
            for number, frame in enumerate(video):
                if number == 25:
                    recorder.cut()
                recorder.write(frame)
    made = recorder.stop()
    with rk.open(made.segments[0].path) as first:
        assert len(first) in (24, 25)
    assert len(made.segments) == 2


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_frames_that_are_encoded_are_cut_at_the_very_first_that_is_due(tmp_path, suffix):
    pattern = tmp_path / f"{{number:02d}}{suffix}"
    with recordkit_threads():
        with rk.Recorder(pattern, segments=rk.Segments(every="1.5s"), **QUICK) as recorder:
            for frame in FRAMES:
                recorder.write(frame)
        made = recorder.stop()
    assert [one.path.name for one in made.segments] == [f"{number:02d}{suffix}" for number in (1, 2, 3)]
    counts = []
    for one in made.segments:
        with rk.open(one.path) as video:
            counts.append(len(video))
            assert video.frames["keyframe"].iloc[0]
            assert one.duration_s == pytest.approx(video.duration_s, abs=0.2)
    assert counts == [15, 15, 10]
    assert [one.committed for one in made.segments] == [True] * 3
    are_sound(one.path for one in made.segments)


def test_each_log_is_of_its_own_file(tmp_path):
    with rk.Recorder(tmp_path / "{number}.ts", segments=rk.Segments(every=1, at_marks=True), **QUICK) as recorder:
        for number, frame in enumerate(FRAMES):
            recorder.write(frame)
            if number == 30:
                recorder.flush()
                recorder.mark("the door")
    made = recorder.stop()
    logs = [read_flush_log(one.path) for one in made.segments]
    assert len({log.header["recording_id"] for log in logs}) == 1
    assert [log.header["path"] for log in logs] == [str(one.path) for one in made.segments]
    for one, log in zip(made.segments, logs, strict=True):
        kinds = [event.kind for event in log.contents.events]
        assert kinds[-1] is EventKind.COMMIT
        assert kinds.count(EventKind.SEGMENT) == 1
        assert kinds.count(EventKind.STREAM) == 2
        assert sum(record.flush_bytes for record in log.contents.flushes) == one.bytes
        key = next(event for event in log.contents.events if event.kind is EventKind.KEYFRAME)
        assert key.fields["media_s"] == pytest.approx(0, abs=0.2)
    marked = [event for log in logs for event in log.contents.events if event.kind is EventKind.MARK]
    assert [(event.fields["name"], event.fields["media_s"]) for event in marked] == [("the door", 0.0)]
    whole = made.log.contents
    assert [record.index for record in whole.flushes] == list(range(len(whole.flushes)))
    firsts = [event.fields["pts"] for event in whole.events if event.kind is EventKind.SEGMENT]
    for pts, one in zip(firsts[1:], made.segments[1:], strict=True):
        # A file begins with a frame, and with the audio that comes later and is heard before.
        assert one.begins_s == pytest.approx((pts - firsts[0]) / 90_000, abs=0.5)
    assert [one.begins_s for one in made.segments] == sorted(one.begins_s for one in made.segments)


def test_nothing_is_ever_overwritten(tmp_path):
    (tmp_path / "cam 2.ts").write_bytes(b"kept")
    for _ in range(2):
        with rk.Recorder(tmp_path / "cam {number}.ts", segments=rk.Segments(every=1), **QUICK) as recorder:
            for frame in FRAMES[:100]:
                recorder.write(frame)
    assert sorted(path.name for path in tmp_path.glob("*.ts")) == [f"cam {number}.ts" for number in (1, 2, 3, 4, 5)]
    assert (tmp_path / "cam 2.ts").read_bytes() == b"kept"
    for _ in range(2):
        with rk.Recorder(tmp_path / "{start:%Y}.ts", segments=rk.Segments(every=1), **QUICK) as recorder:
            for frame in FRAMES[:100]:
                recorder.write(frame)
    year = recorder.stop().segments[0].path.name[:4]
    assert {path.name for path in tmp_path.glob("2*.ts")} == {
        f"{year}.ts", f"{year} (2).ts", f"{year} (3).ts", f"{year} (4).ts"
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["talk.ts", "{name}.ts", "{number!r}.ts", "{number:%H}.ts", "{start:%D}.ts", "{.ts"]
)
def test_a_name_that_cannot_tell_the_files_apart_is_refused(tmp_path, name):
    with pytest.raises(SettingsError, match=r"put \{start"):
        rk.Recorder(tmp_path / name, segments=rk.Segments(every=10))


def test_settings_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="divides a day"):
        rk.Segments(every="7min", at_clock=True)
    with pytest.raises(SettingsError, match="folder"):
        rk.Recorder(tmp_path / "{number}.ts", segments=rk.Segments(), flush_log=tmp_path / "one.jsonl")
    with rk.Recorder(tmp_path / "one.ts", **QUICK) as recorder, pytest.raises(SettingsError, match="Segments"):
        recorder.cut()


def test_what_comes_live_and_coded_is_cut_at_a_keyframe_that_is_asked_for(tmp_path):
    film = list(pictures("h264", 30, (64, 48)))
    keyframes = [number for number, unit in enumerate(film) if unit.is_entry]
    asked = []
    with rk.Recorder(tmp_path / "{number}.ts", audio=None, segments=rk.Segments(), **QUICK) as recorder:
        for number, unit in enumerate(film):
            if number == 5:
                recorder.cut()
            asked.append(not recorder.write_unit(unit, live=True))
            recorder.flush()
            opened()
    made = recorder.stop()
    assert keyframes == [0, 15]
    # With the frame before or the next one: the encoding thread may look at once, or when that is written.
    assert asked in [[first <= number < 15 for number in range(30)] for first in (6, 7)]
    assert made.counters.video_units == 30
    with rk.open(made.segments[1].path) as video:
        assert len(video) == 15


def test_audio_alone_is_cut_anywhere(tmp_path):
    units = list(sound("opus", 3.0))
    with rk.Recorder(
        tmp_path / "{number}.ogg", audio=rk.AudioSettings(codec="opus"), segments=rk.Segments(every=1), **QUICK
    ) as recorder:
        for unit in units:
            recorder.write_unit(unit)
    made = recorder.stop()
    assert len(made.segments) == 3
    assert joined(one.path for one in made.segments)[0] == [unit.data for unit in units]
    are_sound(one.path for one in made.segments)


def test_files_do_not_grow_beyond_their_bound(tmp_path):
    with rk.Recorder(
        tmp_path / "{number:03d}.mp4",
        video=rk.VideoSettings(crf=1, size="320x240", keyframe_interval=0.5),
        segments=rk.Segments(max_bytes=100_000),
        **QUICK,
    ) as recorder:
        for frame in FRAMES:
            recorder.write(frame)
    made = recorder.stop()
    assert len(made.segments) > 1
    assert all(one.bytes <= 100_000 for one in made.segments)


def test_while_a_file_cannot_be_opened_the_one_in_hand_goes_on(tmp_path):
    system, clock = FaultySystem(), FakeClock()
    with rk.Recorder(
        tmp_path / "{number}.ts", segments=rk.Segments(), _system=system, _clock=clock, **QUICK
    ) as recorder:
        for frame in FRAMES[:40]:
            recorder.write(frame)
        recorder.flush()
        system.fail("open 2.recording.ts", 1, errno.EROFS)
        recorder.cut()
        for frame in FRAMES[40:80]:
            recorder.write(frame)
        recorder.flush()
        assert "next file cannot be opened" in recorder.degraded_because
        clock.advance(60.0)
        for frame in FRAMES[80:]:
            recorder.write(frame)
        recorder.flush()
    made = recorder.stop()
    assert [one.path.name for one in made.segments] == ["1.ts", "2.ts"]
    assert made.counters.video_units == 40
    assert recorder.degraded_because is None


def test_laying_waits_for_no_commit(tmp_path):
    system = FaultySystem()
    gate = system.hold("rename", 1)
    with rk.Recorder(tmp_path / "{number}.ts", segments=rk.Segments(every=1), _system=system, **QUICK) as recorder:
        for frame in FRAMES:
            recorder.write(frame)
        gate.until_reached()
        deadline = time.monotonic() + GUARD_S
        while recorder.counters.video_units < 40 and time.monotonic() < deadline:
            time.sleep(0.001)
        units, names = recorder.counters.video_units, sorted(path.name for path in tmp_path.glob("*.ts"))
        gate.open()
    made = recorder.stop()
    assert units == 40
    assert "1.recording.ts" in names
    assert [one.committed for one in made.segments] == [True] * 4


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("talk.ts", "each segment has a name of its own"),
        ("{foo}.ts", "{foo} is no field of it"),
        ("{start:%Q}.ts", "is the same at all times"),
        ("{start:%Z} {number}.ts", "is the same at all times"),
        ("{start:%Y/%m}.ts", "is no part of a name"),
    ],
)
def test_a_pattern_that_tells_no_files_apart_is_refused(tmp_path, name, words):
    with pytest.raises(SettingsError, match=words):
        rk.Recorder(tmp_path / name, segments=rk.Segments(every=1))


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_each_file_lasts_as_long_as_players_say(tmp_path, suffix):
    """An MP4 hides the priming of its audio, in the first file only: in the others nothing is hidden."""
    source = Synthetic(width=64, height=48, fps=10, seconds=3, realtime=False)
    recording = rk.record(source, tmp_path / f"{{number}}{suffix}", segments=rk.Segments(every=1), **QUICK)
    for file in recording.segments:
        with av.open(str(file.path)) as container:
            assert file.duration_s == pytest.approx(container.duration / av.time_base, abs=1e-3), file
        assert file.duration_s == pytest.approx(rk.verify(file.path).duration_s, abs=1e-3), file
