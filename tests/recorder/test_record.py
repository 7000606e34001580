"""A source into a recording: its length, its ends of all kinds, its pace."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from recordkit.errors import OutputExistsError, SettingsError, SourceError, StateError
from recordkit.model import EncodedUnit, EventKind, Received
from recordkit.recorder import feed
from recordkit.recorder import record as record_module
from recordkit.recorder.record import record
from recordkit.recorder.recorder import Recorder
from recordkit.recorder.result import Recording
from recordkit.settings import VideoSettings
from recordkit.sources.readback import read_back
from recordkit.sources.source import OpenSource, SourceItem
from recordkit.sources.synthetic import Synthetic
from recordkit.system import Clock

from ..steering import GUARD_S

FAST = VideoSettings(preset="ultrafast")


class InstantClock(Clock):
    """A clock whose sleeps take no time and are written down."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, interrupt: threading.Event) -> None:
        self.slept.append(seconds)
        self.now += max(0.0, seconds)


class Live:
    """What a feed may ask of a live source, written down."""

    received = Received(packets=7)

    def __init__(self) -> None:
        self.interrupted = threading.Event()
        self.asked: list[tuple[bool, int]] = []

    def interrupt(self) -> None:
        self.interrupted.set()

    def request_entry(self, *, is_video: bool, stream: int) -> None:
        self.asked.append((is_video, stream))

    def tell(self, note: Callable[..., None]) -> None:
        note(EventKind.RECONNECT, seconds=1.5)


@dataclass
class Scripted:
    """The synthetic source, with something that happens after ``after`` items."""

    after: int
    event: Exception | None = None
    action: threading.Event | None = None
    name: str = "scripted"
    closed: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def open(self) -> Iterator[OpenSource]:
        try:
            yield OpenSource(self._items(), has_video=True, has_audio=True)
        finally:
            self.closed.set()

    def _items(self) -> Iterator[SourceItem]:
        source = Synthetic(width=64, height=48, seconds=60)
        for number, frame in enumerate(source.frames()):
            if number == self.after:
                if self.event is not None:
                    raise self.event
                if self.action is not None:
                    self.action.set()
            yield SourceItem(frame)


def synthetic(**settings: object) -> Synthetic:
    return Synthetic(**({"width": 64, "height": 48, "realtime": False} | settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "count"), [(2.0, 60), (0.2, 6), (1 / 30, 1)])
def test_seconds_are_those_of_the_media(seconds: float, count: int, tmp_path: Path) -> None:
    recording = record(synthetic(), tmp_path / "out.ts", seconds=seconds, video=FAST)
    assert recording.counters.video_units == count
    assert recording.path is not None
    assert read_back(recording.path).lost == 0
    # Audio comes in chunks of 20 ms, and AAC in units of 1024 samples after one of priming.
    assert seconds <= recording.duration_s <= seconds + 0.02 + 2 * 1024 / 48_000


@pytest.mark.parametrize(("name", "settings"), [("talk.wav", {}), ("talk.ts", {"video": None})])
def test_video_that_is_not_to_be_recorded_is_left_out_without_a_word(
    tmp_path: Path, name: str, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    recording = record(synthetic(seconds=1), tmp_path / name, **settings)
    assert recording.duration_s == pytest.approx(1, abs=0.05)
    # Of the memory that this process has and of the disk alerts may be told.
    words = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert not [one for one in words if not one.startswith("Alert: ")]
    assert "degraded" not in set(recording.events["kind"])
    with pytest.raises(SourceError, match="has video alone, and audio alone is to be recorded"):
        record(synthetic(seconds=1, audio=False), tmp_path / f"none-{name}", **settings)
    assert not list(tmp_path.glob("none*"))


def test_the_loop_that_waits_for_the_recording_is_not_said_to_lag(tmp_path: Path) -> None:
    async def cell() -> Recording:
        return record(synthetic(realtime=True, seconds=1), tmp_path / "out.ts", sample_interval=0.1)

    recording = asyncio.run(cell())
    assert len(recording.samples) > 3
    assert recording.samples["loop_lag_s"].isna().all()
    # Not of memory or the disk: what else goes on in this process and on this machine is no matter here.
    assert "loop_lag_s" not in set(recording.alerts["rule"])


@dataclass
class Silenced:
    """The synthetic source, whose microphone is unplugged after a second."""

    name: str = "silenced"

    @contextmanager
    def open(self) -> Iterator[OpenSource]:
        frames = Synthetic(width=64, height=48, seconds=60).frames()
        heard = (one for one in frames if isinstance(one, av.VideoFrame) or (one.pts or 0) < 48_000)
        yield OpenSource((SourceItem(frame) for frame in heard), has_video=True, has_audio=True)


def test_seconds_end_it_where_one_stream_falls_silent(tmp_path: Path) -> None:
    recording = record(Silenced(), tmp_path / "out.ts", seconds=4, video=FAST)
    assert 4 <= recording.duration_s < 5.5


def test_a_source_that_ends_is_committed(tmp_path: Path) -> None:
    recording = record(synthetic(seconds=1), tmp_path / "out.ts", video=FAST)
    assert recording.path == tmp_path / "out.ts"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.flushes.jsonl", "out.frames", "out.ts"]


def test_a_stop_ends_it(tmp_path: Path) -> None:
    stop = threading.Event()
    source = Scripted(after=50, action=stop)
    recording = record(source, tmp_path / "out.ts", stop=stop, video=FAST)
    assert recording.counters.taken_items == 50
    assert source.closed.wait(GUARD_S)


def test_a_live_source_is_interrupted_and_closed_before_the_end(tmp_path: Path) -> None:
    stop, closed, live = threading.Event(), threading.Event(), Live()

    def items() -> Iterator[SourceItem]:
        yield from (
            SourceItem(frame) for frame in Synthetic(width=64, height=48, seconds=0.2, audio=False).frames()
        )
        stop.set()
        live.interrupted.wait()

    @contextmanager
    def opened() -> Iterator[OpenSource]:
        yield OpenSource(items(), has_video=True, has_audio=False, live=live)
        closed.set()

    recording = record(SimpleNamespace(name="silent", open=opened), tmp_path / "a.ts", stop=stop, video=FAST)
    assert closed.is_set()
    assert recording.counters.received == live.received
    (reconnect,) = recording.events[recording.events["kind"] == "reconnect"].to_dict("records")
    assert reconnect["fields"] == {"seconds": 1.5}


def test_a_live_source_is_asked_for_an_entry_where_a_unit_could_not_be_decoded(tmp_path: Path) -> None:
    live = Live()

    def items() -> Iterator[SourceItem]:
        # The encoding thread finds out at its own time that this is no frame.
        for number in range(5000):
            if live.asked:
                return
            yield SourceItem(EncodedUnit("vp8", b"\x01 no frame", number, is_entry=number == 0))
            time.sleep(0.001)

    @contextmanager
    def opened() -> Iterator[OpenSource]:
        yield OpenSource(items(), has_video=True, has_audio=False, live=live)

    record(SimpleNamespace(name="broken", open=opened), tmp_path / "a.ts", video=FAST)
    assert live.asked[0] == (True, 0)


def test_a_start_is_told_before_the_first_frame(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    record(
        synthetic(seconds=0.2),
        tmp_path / "out.ts",
        video=FAST,
        on_start=lambda recorder: told.append((recorder.state, recorder.counters.taken_items)),
    )
    assert told == [("recording", 0)]


def test_its_first_bytes_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a file to look at does not wait for the next progress, which here never comes."""
    monkeypatch.setattr(record_module, "PROGRESS_INTERVAL_S", 10 * GUARD_S)
    told = threading.Event()

    def items() -> Iterator[SourceItem]:
        yield from (SourceItem(frame) for frame in Synthetic(width=64, height=48, seconds=0.5).frames())
        assert told.wait(GUARD_S)

    @contextmanager
    def opened() -> Iterator[OpenSource]:
        yield OpenSource(items(), has_video=True, has_audio=True)

    def look(recorder: Recorder) -> None:
        if recorder.bytes_since_last_flush:
            told.set()

    record(SimpleNamespace(name="short", open=opened), tmp_path / "out.ts", video=FAST, on_progress=look)


@dataclass
class Hanging:
    """A source that hangs while it is opened, or later, until its test is over."""

    opens: bool
    stop: threading.Event
    over: threading.Event = field(default_factory=threading.Event)
    name: str = "hanging"

    @contextmanager
    def open(self) -> Iterator[OpenSource]:
        if not self.opens:
            self.hang()
        yield OpenSource(self._items(), has_video=True, has_audio=False)

    def _items(self) -> Iterator[SourceItem]:
        yield from map(SourceItem, islice(Synthetic(width=64, height=48, audio=False).frames(), 5))
        self.hang()

    def hang(self) -> None:
        self.stop.set()
        assert self.over.wait(GUARD_S)


def test_a_source_that_hangs_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    source = Hanging(opens=True, stop=threading.Event())
    recording = record(source, tmp_path / "out.ts", stop=source.stop, video=FAST)
    source.over.set()
    assert recording.counters.video_units == 5


def test_one_that_hangs_while_it_is_opened_does_not_either(tmp_path: Path) -> None:
    source = Hanging(opens=False, stop=threading.Event())
    with pytest.raises(StateError, match="stopped before it was open"):
        record(source, tmp_path / "out.ts", stop=source.stop)
    source.over.set()
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_fails_is_told_and_what_came_before_is_committed(tmp_path: Path) -> None:
    source = Scripted(after=100, event=SourceError("scripted", "the cable came loose"))
    with pytest.raises(SourceError, match="cable"):
        record(source, tmp_path / "out.ts", video=FAST)
    assert source.closed.is_set()
    back = read_back(tmp_path / "out.ts")
    given = list(islice(Synthetic(width=64, height=48).frames(), 100))
    assert back.frames == sum(isinstance(frame, av.VideoFrame) for frame in given)
    assert back.lost == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_source_with_a_fault_of_its_own_is_told_too(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="fault of its own"):
        record(Scripted(after=100, event=ZeroDivisionError()), tmp_path / "out.ts", video=FAST)
    assert (tmp_path / "out.ts").exists()


def test_an_interrupt_ends_it_and_commits(tmp_path: Path) -> None:
    def interrupt(recorder: Recorder) -> None:
        if recorder.counters.taken_items and not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    interrupted = threading.Event()
    recording = record(synthetic(), tmp_path / "out.ts", on_progress=interrupt, video=FAST)
    assert interrupted.is_set()
    assert recording.path is not None


def test_a_progress_callback_that_fails_is_told_and_the_recording_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(recorder: Recorder) -> None:
        raise LookupError("a fault in the caller's code")

    made = record(synthetic(seconds=1.0), tmp_path / "out.ts", on_progress=fail, video=FAST)
    assert made.path == tmp_path / "out.ts"
    assert read_back(tmp_path / "out.ts").lost == 0
    assert [one.getMessage() for one in caplog.records if "on_progress" in one.getMessage()] == [
        "on_progress failed; the recording goes on"
    ]


def test_a_name_that_is_taken_closes_the_source(tmp_path: Path) -> None:
    (tmp_path / "out.ts").write_bytes(b"precious")
    source = Scripted(after=1)
    with pytest.raises(OutputExistsError):
        record(source, tmp_path / "out.ts")
    assert source.closed.is_set()
    assert (tmp_path / "out.ts").read_bytes() == b"precious"


def test_a_live_source_is_paced_by_its_own_times(tmp_path: Path) -> None:
    clock = InstantClock()
    record(synthetic(realtime=True), tmp_path / "out.ts", seconds=1, _clock=clock, video=FAST, sample_interval=0)
    assert clock.now == pytest.approx(101.0, abs=0.05)
    assert all(seconds <= 0.034 for seconds in clock.slept)


def test_no_seconds_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        record(synthetic(), tmp_path / "out.ts", seconds=0)


@dataclass
class Ending:
    """The synthetic source over a connection that ends after a second."""

    may_end: bool
    is_live: bool = True
    name: str = "tcp://camera"

    @contextmanager
    def open(self) -> Iterator[OpenSource]:
        frames = Synthetic(width=64, height=48, seconds=1).frames()
        items = (SourceItem(frame) for frame in frames)
        yield OpenSource(items, has_video=True, has_audio=True, is_live=self.is_live, may_end=self.may_end)


def ends_told(recording: Recording) -> list[object]:
    return [one.fields["because"] for one in recording.log.contents.events if one.kind is EventKind.SOURCE_ENDED]


@pytest.mark.parametrize(
    ("source", "seconds", "because", "told"),
    [
        (Ending(may_end=False), None, "the source ended", ["the source ended"]),
        (Ending(may_end=True), None, None, ["the source ended"]),
        (Ending(may_end=True), 60, "the source ended before the 60 s asked for", [None]),
        (Ending(may_end=False, is_live=False), None, None, []),
    ],
)
def test_a_connection_that_ends_is_told(
    source: Ending, seconds: float | None, because: str | None, told: list[str | None], tmp_path: Path
) -> None:
    recording = record(source, tmp_path / "out.ts", seconds=seconds, video=FAST)
    assert recording.path is not None
    assert recording.ended_because == because
    assert ends_told(recording) == [one or because for one in told]


class Refused:
    """Video beside audio that no recorder takes."""

    name = "refused"

    @contextmanager
    def open(self) -> Iterator[OpenSource]:
        yield OpenSource(self._items(), has_video=True, has_audio=True)

    @staticmethod
    def _items() -> Iterator[SourceItem]:
        for frame in Synthetic(width=64, height=48, seconds=2).frames():
            if isinstance(frame, av.AudioFrame):
                frame.sample_rate = 1
            yield SourceItem(frame)


def test_a_stream_that_is_refused_does_not_end_the_others(tmp_path: Path) -> None:
    recording = record(Refused(), tmp_path / "out.ts", video=FAST)
    assert (recording.counters.video_units, recording.counters.audio_units) == (60, 0)
    told = [one.fields["part"] for one in recording.log.contents.events if one.kind is EventKind.DEGRADED]
    assert told == ["audio 0"]


@dataclass
class Absent:
    """A source that names two audio streams, of which the second never comes, or comes very late."""

    is_live: bool = False
    comes: bool = False
    name: str = "absent"

    @contextmanager
    def open(self) -> Iterator[OpenSource]:
        yield OpenSource(
            self._items(),
            has_video=True,
            has_audio=True,
            languages=("deu", "eng"),
            is_live=self.is_live,
        )

    def _items(self) -> Iterator[SourceItem]:
        for frame in Synthetic(width=64, height=48, seconds=1).frames():
            yield SourceItem(frame)
        if self.comes:
            for frame in Synthetic(width=64, height=48, seconds=0.5, video=False).frames():
                yield SourceItem(frame, 1)


@pytest.mark.parametrize("is_live", [False, True])
def test_a_stream_that_is_named_and_never_comes_is_told(is_live: bool, tmp_path: Path) -> None:
    recording = record(Absent(is_live), tmp_path / "out.ts", video=FAST)
    (told,) = (one.fields for one in recording.log.contents.events if one.kind is EventKind.DEGRADED)
    assert told["part"] == "audio 1"
    assert str(told["because"]).startswith("the source names it, and nothing of it has come")
    assert ("scrambled" in str(told["because"])) == is_live


def test_a_live_stream_that_comes_late_after_all_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_LONGEST_ABSENCE_S", 0.0)
    recording = record(Absent(is_live=True, comes=True), tmp_path / "out.ts", video=FAST)
    kinds = [one.kind for one in recording.log.contents.events if one.fields.get("part") == "audio 1"]
    assert kinds == [EventKind.DEGRADED, EventKind.RESTORED]
