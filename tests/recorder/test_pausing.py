"""Pauses: what is left out, that audio and video stay in sync, and that the file is sound, however often."""

import itertools
import random
from fractions import Fraction
from functools import partial

import av
import pytest

import recordkit as rk
from recordkit.errors import SettingsError, StateError
from recordkit.model import EventKind
from recordkit.recorder.pausing import Break, Pausing
from recordkit.sources.readback import read_back
from recordkit.sources.synthetic import Synthetic

from ..encode.live_units import pictures, sound
from ..media import make_clip
from ..steering import recordkit_threads

QUICK = {"sample_interval": 0.0, "durability": "process"}
FPS, AUDIO_S = 20, 0.15
"""Frames a second; and two coded frames of audio and a little."""
PAUSES = 4
FRAMES = list(Synthetic(width=64, height=48, fps=FPS, seconds=5, sample_rate=16_000, channels=1).frames())
STEP = 9000


class Judge:
    """A Pausing, and what it told and put into the queue."""

    def __init__(self):
        self.breaks, self.told = [], []
        self.pausing = Pausing(self.breaks.append, lambda kind, **fields: self.told.append((kind, fields)))

    def takes(self, stream, ticks, *, entry=True, pts=None):
        return self.pausing.takes(stream, ticks, ticks if pts is None else pts, entry=entry)


def test_all_streams_are_cut_at_one_time_and_go_on_at_one():
    judge = Judge()
    assert judge.takes(0, 0)
    assert judge.takes(0, STEP)
    assert judge.takes(1, 0)
    assert not judge.pausing.judges_each
    judge.pausing.pause("close")
    assert judge.pausing.is_paused
    assert judge.pausing.judges_each
    # Audio that comes later than video comes up to where that was cut.
    assert judge.takes(1, 2 * STEP - 1)
    assert not judge.takes(1, 2 * STEP)
    assert not judge.takes(0, 2 * STEP)
    judge.pausing.resume()
    assert not judge.takes(1, 5 * STEP)
    assert judge.pausing.wants_entry
    assert not judge.takes(0, 5 * STEP, entry=False)
    assert judge.takes(0, 6 * STEP)
    assert not judge.pausing.is_paused
    assert judge.pausing.judges_each
    assert not judge.takes(1, 6 * STEP - 1)
    assert judge.takes(1, 6 * STEP)
    # A frame that is decoded behind the keyframe and shown before it refers to what was left out.
    assert not judge.takes(0, 7 * STEP, entry=False, pts=6 * STEP - 1)
    assert [one.closed for one in judge.breaks] == [4 * STEP]
    assert judge.told == [
        (EventKind.PAUSE, {"gap": "close"}),
        (EventKind.RESUME, {"gap": "close", "seconds": 0.4, "left_out": 4}),
    ]
    assert judge.pausing.left_out == 6


def test_other_streams_do_not_wait_for_ever_for_video():
    judge = Judge()
    assert judge.takes(0, 0)
    assert judge.takes(1, 0)
    judge.pausing.pause("mark")
    judge.pausing.resume()
    assert not judge.takes(1, 90_000)
    assert judge.takes(1, 90_000 + 10 * 90_000)
    assert [(type(one), one.closed) for one in judge.breaks] == [(Break, None)]


def test_one_that_pauses_before_anything_came_begins_later():
    judge = Judge()
    judge.pausing.pause("mark")
    assert not judge.takes(0, 0)
    judge.pausing.resume()
    assert judge.takes(0, STEP)
    assert judge.breaks == []
    assert [kind for kind, _ in judge.told] == [EventKind.PAUSE, EventKind.RESUME]


def test_pausing_and_going_on_again_change_nothing():
    judge = Judge()
    judge.pausing.resume()
    assert judge.takes(0, 0)
    judge.pausing.pause("mark")
    judge.pausing.pause("close")
    judge.pausing.resume()
    judge.pausing.pause("close")
    assert not judge.takes(0, 5 * STEP)
    judge.pausing.resume()
    assert judge.takes(0, 6 * STEP)
    assert [fields.get("gap") for _, fields in judge.told] == ["mark", None, "mark"]
    with pytest.raises(SettingsError, match="gap"):
        judge.pausing.pause("cut")


def times(path):
    """The times of each stream's packets, in seconds, from the first video frame on."""
    with av.open(str(path)) as container:
        found = {"video": [], "audio": []}
        for packet in container.demux():
            if packet.size:
                found[packet.stream.type].append(packet.pts * packet.time_base)
    first = min(found["video"])
    return {kind: sorted(one - first for one in given) for kind, given in found.items()}


def events(made, kind):
    return [event.fields for event in made.log.contents.events if event.kind is kind]


@pytest.mark.parametrize(
    ("seed", "gap", "suffix"),
    [(0, "mark", ".ts"), (1, "close", ".ts"), (2, "mark", ".mp4"), (3, "close", ".mp4"), (4, "close", ".ts")],
)
def test_any_pauses_of_frames_leave_audio_and_video_in_sync(tmp_path, seed, gap, suffix):
    chance = random.Random(seed)
    # Not amid a flash or a beep: half a beep is found at another place.
    turns = sorted(
        chance.sample([second + part / 100 for second in range(5) for part in range(30, 90, 7)], 2 * PAUSES)
    )
    path = tmp_path / f"talk{suffix}"
    with recordkit_threads():
        with rk.Recorder(path, video=rk.VideoSettings(preset="ultrafast"), **QUICK) as recorder:
            waiting = [*zip(turns, itertools.cycle((partial(recorder.pause, gap), recorder.resume)), strict=False)]
            for frame in FRAMES:
                while waiting and frame.pts * frame.time_base >= waiting[0][0]:
                    waiting.pop(0)[1]()
                recorder.write(frame)
        made = recorder.stop()
    found = rk.verify(path)
    assert found.ok, found.problems
    lengths = [fields["seconds"] for fields in events(made, EventKind.RESUME)]
    assert len(lengths) == len(events(made, EventKind.PAUSE)) == PAUSES
    # Each beep is heard with its flash, to less than a frame, behind whatever pauses.
    shown = read_back(path, FPS)
    assert shown.sync_offsets_s
    assert abs(shown.sync_worst_s) < 1 / FPS
    assert (shown.damaged_packets, shown.unreadable, shown.repeated) == (0, 0, 0)
    stands = times(path)
    steps = [float(b - a) for a, b in zip(stands["video"], stands["video"][1:], strict=False)]
    wide = [step - 1 / FPS for step in steps if step > 1.1 / FPS]
    # Each gap is as long as what was left out, to a frame; closed up there is none.
    assert wide == pytest.approx([one for one in lengths if one > 0.01] if gap == "mark" else [], abs=0.001)
    assert abs(float(stands["video"][-1] + Fraction(1, FPS) - stands["audio"][-1])) < 1 / FPS + AUDIO_S
    gaps = [fields["seconds"] for fields in events(made, EventKind.GAP) if fields.get("because") == "paused"]
    assert gaps == (lengths if gap == "mark" else [])


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Four seconds with B-frames and a keyframe every 0.4 s."""
    options = {"preset": "ultrafast", "x264-params": "bframes=2:keyint=10:scenecut=0"}
    path = tmp_path_factory.mktemp("clip") / "clip.ts"
    return make_clip(path, seconds=4, fps=25, size=(64, 48), options=options)


@pytest.mark.parametrize("gap", ["mark", "close"])
def test_packets_that_are_kept_as_they_come_go_on_with_a_keyframe(tmp_path, clip, gap):
    path = tmp_path / "talk.ts"
    with rk.Recorder(path, **QUICK) as recorder, av.open(str(clip)) as container:
        for number, packet in enumerate(container.demux()):
            if number in (60, 180):
                recorder.pause(gap)
            elif number in (110, 230):
                recorder.resume()
            recorder.write_packet(packet)
    made = recorder.stop()
    found = rk.verify(path, decode=True)
    assert found.ok, found.problems
    with rk.open(path) as video:
        frames = video.frames
    assert len(frames) < 100
    left = sum(fields["seconds"] for fields in events(made, EventKind.RESUME))
    assert left > 1
    assert made.duration_s == pytest.approx(4.0 if gap == "mark" else 4.0 - left, abs=0.1)
    stands = times(path)
    assert abs(float(stands["video"][-1] - stands["audio"][-1])) < 0.12


@pytest.mark.parametrize(("codec", "gap"), [("h264", "mark"), ("h264", "close"), ("vp8", "close")])
def test_a_live_source_is_asked_for_a_keyframe(tmp_path, gap, codec):
    video = [(0, unit) for unit in pictures(codec, 90, (64, 48), group=20)]
    units = sorted(video + [(1, unit) for unit in sound("opus", 3.0)], key=lambda one: one[1].ticks)
    asked = []
    with rk.Recorder(tmp_path / "talk.ts", audio=rk.AudioSettings(codec="opus"), **QUICK) as recorder:
        for number, (kind, unit) in enumerate(units):
            if number == 60:
                recorder.pause(gap)
            elif number == 150:
                recorder.resume()
            if not recorder.write_unit(unit):
                asked.append((kind, unit.is_entry))
    made = recorder.stop()
    assert asked
    assert set(asked) == {(0, False)}
    found = rk.verify(made.path, decode=True)
    assert found.ok, found.problems
    (resumed,) = events(made, EventKind.RESUME)
    assert resumed["seconds"] > 1
    assert made.duration_s == pytest.approx(3.0 if gap == "mark" else 3.0 - resumed["seconds"], abs=0.1)
    stands = times(made.path)
    assert abs(float(stands["video"][-1] - stands["audio"][-1])) < 0.05


def test_only_what_is_kept_and_was_never_paused_takes_packets_together(tmp_path):
    opus, aac = rk.AudioSettings(codec="opus"), rk.AudioSettings()
    made = [rk.Recorder(tmp_path / "a.ts", audio=audio, **QUICK) for audio in (opus, aac, [opus, aac])]
    assert [one.takes_together for one in made] == [True, False, False]
    with made[0] as recorder:
        recorder.pause()
        assert not recorder.takes_together


def test_only_what_records_pauses(tmp_path):
    recorder = rk.Recorder(tmp_path / "talk.ts")
    for call in (recorder.pause, recorder.resume):
        with pytest.raises(StateError):
            call()
    assert not recorder.is_paused
