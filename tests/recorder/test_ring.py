"""A ring holds the newest media, and what somebody asks to keep is, unit for unit, a part of the recording."""

import random
from fractions import Fraction

import av
import numpy as np
import pytest

import recordkit as rk
from recordkit.errors import SettingsError, StateError
from recordkit.model import EventKind
from recordkit.telemetry.frames import read_flush_log

from ..media import make_clip
from ..steering import GUARD_S, FakeClock, recordkit_threads
from .test_segments import FRAMES, QUICK, packets

BOTH = (rk.AudioSettings(), rk.AudioSettings())


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Six seconds with B-frames, a keyframe every 0.4 s, and two streams of audio; its packets."""
    options = {"preset": "ultrafast", "x264-params": "bframes=2:keyint=10:scenecut=0"}
    path = tmp_path_factory.mktemp("clip") / "clip.ts"
    return make_clip(path, audio=("aac", "mp2"), seconds=6, fps=25, size=(64, 48), options=options)


def fed(clip, recorder, asks=()):
    """Record the clip's packets; ``asks`` are called before some of them, each with the recorder."""
    asks = dict(asks)
    with av.open(str(clip)) as container:
        for number, packet in enumerate(container.demux()):
            if number in asks:
                recorder.flush()
                asks[number](recorder)
            recorder.write_packet(packet)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def is_part(part, whole):
    """Where ``part`` lies in ``whole``, coded frame by coded frame; None if it is no part of it."""
    width = len(part)
    return next((at for at in range(len(whole) - width + 1) if whole[at : at + width] == part), None)


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_what_is_kept_is_unit_for_unit_a_part_of_the_recording_and_never_shorter_than_asked(clip, tmp_path, suffix):
    with rk.Recorder(tmp_path / f"whole{suffix}", audio=BOTH, **QUICK) as recorder:
        fed(clip, recorder)
    whole = packets(recorder.stop().path)
    chance = random.Random(3)
    asked = []

    def ask(recorder):
        if asked:
            asked[-1][-1].wait(GUARD_S)
        before, after = chance.uniform(0.1, 1.5), chance.uniform(0.0, 0.3)
        asked.append((recorder.duration_s, before, after, recorder.keep(before=before, after=after)))

    ring = rk.Ring(seconds=1.5)
    with rk.Recorder(
        tmp_path / f"{{number}}{suffix}", audio=BOTH, ring=ring, _clock=FakeClock(), **QUICK
    ) as recorder:
        fed(clip, recorder, [(number, ask) for number in range(200, 500, 100)])
    made = recorder.stop()
    assert len(made.segments) == len(asked) == 3
    for one, (moment_s, before, after, kept) in zip(made.segments, asked, strict=True):
        assert kept.wait(0).path == one.path == kept.path
        assert kept.lacks_s == 0.0
        assert one.begins_s <= moment_s - before
        assert one.begins_s > moment_s - before - 1.0
        found = packets(one.path)
        for index, coded in found.items():
            assert is_part(coded, whole[index]) is not None
        with rk.open(one.path) as video:
            assert video.frames["keyframe"].iloc[0]
            assert one.begins_s + video.duration_s >= moment_s + after
        problems = rk.verify(one.path, decode=True).problems
        assert not problems
    assert not [name for name in names(tmp_path) if ".ring-" in name]


def test_asks_that_overlap_become_one_file_and_marks_lie_where_they_were_made(tmp_path):
    commits = []
    with recordkit_threads():
        with rk.Recorder(
            tmp_path / "{number}.ts", ring=rk.Ring(seconds=2), on_commit=commits.append, _clock=FakeClock(), **QUICK
        ) as recorder:
            for number, frame in enumerate(FRAMES):
                recorder.write(frame)
                if number in (150, 165):
                    recorder.flush()
                    recorder.mark(f"at {number}")
                    kept = recorder.keep(before=0.5 if number == 150 else 1.5, after=0.5)
        made = recorder.stop()
        assert recorder.wait_for_hooks()
    assert [one.path.name for one in made.segments] == ["1.ts"]
    assert [one.path.name for one in commits] == ["1.ts"]
    with rk.open(kept.path) as video:
        marks = video.marks
    log = read_flush_log(kept.path)
    marked = [event for event in recorder.log.contents.events if event.kind is EventKind.MARK]
    begins_s = made.segments[0].begins_s
    assert marks["media_s"].tolist() == pytest.approx(
        [one.fields["media_s"] - begins_s for one in marked], abs=0.01
    )
    assert [event.kind for event in log.contents.events][-1] is EventKind.COMMIT
    assert begins_s == pytest.approx(kept.begins_s)


def test_more_than_there_is_gives_what_there_is_and_says_so(tmp_path, caplog):
    with rk.Recorder(tmp_path / "{number}.ts", ring=rk.Ring(seconds=6), _clock=FakeClock(), **QUICK) as recorder:
        for frame in FRAMES:
            recorder.write(frame)
        recorder.flush()
        assert all(one.is_recording for one in rk.partials(tmp_path))  # nobody recovers what is in use
        kept = recorder.keep(before=30)
    made = recorder.stop()
    assert kept.lacks_s == pytest.approx(26, abs=0.5)
    assert "more were asked for than the ring" in caplog.text
    told = [event.fields for event in made.log.contents.events if event.kind is EventKind.KEEP]
    assert told[0]["lacks_s"] == kept.lacks_s
    assert made.segments[0].duration_s == pytest.approx(4, abs=0.3)


def test_a_bound_in_bytes_that_makes_it_shorter_is_told_and_kept_to(tmp_path, caplog):
    sizes, noise = [], random.Random(1)
    with rk.Recorder(
        tmp_path / "{number}.mp4",
        video=rk.VideoSettings(crf=0, keyframe_interval=0.2, preset="ultrafast"),
        audio=None,
        ring=rk.Ring(seconds=60, max_bytes="1M"),
        _clock=FakeClock(),
        **QUICK,
    ) as recorder:
        for number in range(60):
            frame = av.VideoFrame.from_ndarray(
                np.frombuffer(noise.randbytes(96 * 96 * 3), np.uint8).reshape(96, 96, 3), format="rgb24"
            )
            frame.pts, frame.time_base = number, Fraction(1, 10)
            recorder.write(frame)
            recorder.flush()
            sizes.append(sum(path.stat().st_size for path in tmp_path.glob("*.recording.mp4")))
        assert "max_bytes=1000000 is too little" in recorder.degraded_because
        kept = recorder.keep(before=60)
    made = recorder.stop()
    assert 500_000 < max(sizes) <= 1_000_000
    assert kept.lacks_s > 50
    assert any(event.kind is EventKind.DEGRADED for event in made.log.contents.events)


def test_nobody_who_asks_for_nothing_gets_a_file(tmp_path):
    with rk.Recorder(tmp_path / "{number}.ts", ring=rk.Ring(seconds=1), _clock=FakeClock(), **QUICK) as recorder:
        for frame in FRAMES:
            recorder.write(frame)
        with pytest.raises(SettingsError, match="before"):
            recorder.keep(before=0)
        with pytest.raises(SettingsError, match="after"):
            recorder.keep(after="soon")
    made = recorder.stop()
    assert made.path is None
    assert names(tmp_path) == []
    with pytest.raises(StateError):
        recorder.keep()


def test_without_a_commit_it_leaves_the_ring_to_be_recovered(tmp_path):
    recorder = rk.Recorder(tmp_path / "{number}.ts", ring=rk.Ring(seconds=2), _clock=FakeClock(), **QUICK)
    recorder.start()
    for frame in FRAMES:
        recorder.write(frame)
    recorder.flush()
    kept = recorder.keep(before=1, after=10)
    recorder.stop(commit=False)
    with pytest.raises(StateError, match="uncommitted"):
        kept.wait(0)
    left = rk.partials(tmp_path)
    assert len(left) >= 3
    assert all(one.is_of_ring and one.to_dict()["is_of_ring"] and "of a ring" in repr(one) for one in left)
    rk.recover(tmp_path)
    with rk.open(tmp_path) as video:
        assert 2.0 <= video.duration_s <= 3.0


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"seconds": 0}, "seconds"),
        ({"seconds": "long"}, "seconds"),
        ({"seconds": 10, "max_bytes": 5}, "max_bytes"),
        ({"seconds": 10, "size": 5}, "size"),
    ],
)
def test_what_is_no_ring_is_refused_by_name(settings, name):
    with pytest.raises(SettingsError, match=name):
        rk.Ring(**settings)


def test_a_ring_beside_what_it_contradicts_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="one of them"):
        rk.Recorder(tmp_path / "{number}.ts", ring=rk.Ring(seconds=5), segments=rk.Segments())
    with pytest.raises(SettingsError, match=r"put \{start"):
        rk.Recorder(tmp_path / "one.ts", ring=rk.Ring(seconds=5))
    with pytest.raises(SettingsError, match=r"ends in \.ts or \.mp4"):
        rk.Recorder(tmp_path / "{number}.wav", ring=rk.Ring(seconds=5))
    with rk.Recorder(tmp_path / "one.ts", **QUICK) as recorder, pytest.raises(SettingsError, match="Ring"):
        recorder.keep()
