"""A source that goes away and comes back, as one recording."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recordkit.errors import SourceError
from recordkit.model import EncodedUnit, EventKind
from recordkit.recorder.record import record
from recordkit.recorder.result import Recording
from recordkit.sources import returning
from recordkit.sources.connection import Slot
from recordkit.sources.media_file import MediaFile
from recordkit.sources.reconnect import Reconnect
from recordkit.sources.source import SourceItem, SourceNote
from recordkit.system import Clock
from recordkit.verification.verify import verify
from tests.media import make_clip
from tests.steering import GUARD_S

URL = "rtsp://user:secret@127.0.0.1/cam"
VIDEO, SOUND = Slot(True, 0, "h264", None, True), Slot(False, 0, "aac", None, True)
Breaks = SourceError(URL, "cannot be read on: reset")


class SleepingClock(Clock):
    """Its sleeps take no time, and are written down."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self.at_sleep: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, interrupt: threading.Event) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.at_sleep()


class Scripted:
    """Connections as ``script`` says: an error if there is none, or how many seconds of media come of it."""

    def __init__(self, clock: SleepingClock, script: Sequence[Any]) -> None:
        self._clock = clock
        self._script = list(script)
        self.closed = 0

    def __call__(self, file: MediaFile, carried: object, before: Sequence[Slot] = (), kind: object = None) -> Any:
        step = self._script.pop(0) if self._script else Breaks
        if isinstance(step, Exception):
            raise step
        slots, seconds, end = step
        lost = tuple(one for one in before if one not in slots)
        container = SimpleNamespace(format=SimpleNamespace(name="rtsp", flags=1), size=0, duration=None)
        return SimpleNamespace(
            container=container, slots=slots, lost=lost, items=lambda: self._items(seconds, end), close=self._close
        )

    def _items(self, seconds: float, end: Exception | None) -> Iterator[SourceItem]:
        for number in range(round(seconds * 10)):
            self._clock.now += 0.1
            yield SourceItem(EncodedUnit("h264", b"unit", number * 9000, is_entry=True, duration=9000))
        if end is not None:
            raise end

    def _close(self) -> None:
        self.closed += 1


@pytest.fixture
def clock() -> SleepingClock:
    return SleepingClock()


def given(
    monkeypatch: pytest.MonkeyPatch,
    clock: SleepingClock,
    script: Sequence[Any],
    stop: threading.Event | None = None,
    **how: Any,
) -> list[SourceItem | SourceNote]:
    scripted = Scripted(clock, script)
    monkeypatch.setattr(returning, "Connection", scripted)
    file = MediaFile(URL, reconnect=Reconnect(**how))
    source = returning.Returning(file, (), clock, stop or threading.Event())
    came = list(source.items())
    assert scripted.closed == len(script) - sum(isinstance(one, Exception) for one in script)
    return came


def events(came: list[SourceItem | SourceNote]) -> list[tuple[EventKind, dict[str, Any]]]:
    return [(one.kind, dict(one.fields)) for one in came if isinstance(one, SourceNote) and one.kind is not None]


def test_it_goes_away_comes_back_and_is_given_up(monkeypatch: pytest.MonkeyPatch, clock: SleepingClock) -> None:
    script = [((VIDEO, SOUND), 3, Breaks), Breaks, ((VIDEO,), 3, None), Breaks, ((VIDEO, SOUND), 2, Breaks)]
    came = given(monkeypatch, clock, script, give_up_after=4)
    told = events(came)
    assert [kind for kind, _ in told] == [
        *(EventKind.DEGRADED, EventKind.RECONNECT, EventKind.RESTORED, EventKind.DEGRADED, EventKind.GAP),
        *(EventKind.DEGRADED, EventKind.RECONNECT, EventKind.RESTORED, EventKind.RESTORED, EventKind.GAP),
        *(EventKind.DEGRADED, EventKind.SOURCE_ENDED),
    ]
    assert told[0][1] == {"part": "source", "because": "the source is away: cannot be read on: reset"}
    assert told[1][1]["tries"] == 2
    assert told[3][1] == {"part": "audio 0", "because": "the source came back without it"}
    assert told[4][1] == {"stream": 0, "seconds": pytest.approx(1.05, abs=0.11), "filled": False}
    assert told[5][1]["because"] == "the source is away: the connection was closed"
    assert told[-1][1]["because"].startswith("the source did not come back within 4 s: ")
    # The waits begin anew once it has been there for longer than they were.
    assert clock.slept[:4] == pytest.approx([0.5, 0.525, 0.5, 0.525])
    assert sum(clock.slept[4:]) == pytest.approx(4)
    assert sum(isinstance(one, SourceItem) for one in came) == 80


def test_one_that_comes_and_goes_is_asked_for_less_and_less(
    monkeypatch: pytest.MonkeyPatch, clock: SleepingClock
) -> None:
    given(monkeypatch, clock, [((VIDEO,), 0.1, Breaks)] * 5, give_up_after=3)
    assert clock.slept[:4] == pytest.approx([0.5, 0.525, 0.55125, 0.5788125])


def test_the_end_of_the_recording_ends_the_waiting(monkeypatch: pytest.MonkeyPatch, clock: SleepingClock) -> None:
    stop = threading.Event()
    clock.at_sleep = lambda: stop.set() if len(clock.slept) == 3 else None
    came = given(monkeypatch, clock, [((VIDEO,), 2, Breaks)], stop)
    assert len(clock.slept) == 3
    reached = [one.reached_s for one in came if isinstance(one, SourceNote) and one.reached_s is not None]
    # It gets on in its own time meanwhile, by which a recording of some seconds ends.
    assert reached[0] == pytest.approx(1.9, abs=0.15)
    assert reached[-1] == pytest.approx(1.9 + sum(clock.slept[:2]), abs=0.15)


@contextmanager
def server(stop: threading.Event, *answers: bytes, head: bytes = b"", is_asked: bool = False) -> Iterator[int]:
    """A port at which each that connects is sent the next of ``answers``; who comes once more sets ``stop``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                with listener.accept()[0] as peer:
                    if head or is_asked:
                        peer.recv(65_536)
                    peer.sendall(head + answer)
            listener.accept()[0].close()
            stop.set()
            listener.close()

        thread = threading.Thread(target=serve, name="server", daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(GUARD_S)


def fields(recording: Recording, kind: str) -> list[dict[str, Any]]:
    table = recording.events
    return list(table[table["kind"] == kind]["fields"])


def test_what_comes_back_otherwise_goes_on_in_the_same_file(tmp_path: Path) -> None:
    before = make_clip(tmp_path / "a.ts", seconds=1)
    after = make_clip(tmp_path / "b.ts", seconds=1, size=(320, 240), sample_rate=44_100)
    stop, how = threading.Event(), Reconnect("50ms", "50ms")
    with server(stop, before.read_bytes(), after.read_bytes()) as port:
        recording = record(MediaFile(f"tcp://127.0.0.1:{port}", reconnect=how), tmp_path / "talk.ts", stop=stop)
    assert recording.ended_because is None
    assert recording.counters.video_units == 60
    assert recording.streams[0].width == 320
    assert recording.streams[1].sample_rate == 44_100
    assert [one["stream"] for one in fields(recording, "discontinuity")] == [0, 1]
    assert [one["part"] for one in fields(recording, "degraded")] == ["source", "source"]
    assert len(fields(recording, "reconnect")) == len(fields(recording, "restored")) == 1
    assert verify(tmp_path / "talk.ts", decode=True).ok


def test_what_is_secret_reaches_neither_log_nor_event_nor_file_nor_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "recordkit")
    clip = make_clip(tmp_path / "a.ts", seconds=1).read_bytes()
    other = make_clip(tmp_path / "b.ts", seconds=1, size=(320, 240), sample_rate=44_100).read_bytes()
    head = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"
    stop, how = threading.Event(), Reconnect("50ms", "50ms")
    with server(stop, clip, other, head=head) as port:
        url = f"http://admin:hunter2@127.0.0.1:{port}/cam.ts?pwd=hunter3&size=2"
        source = MediaFile(url, reconnect=how, options={"headers": "X-Key: hunter4\r\n"})
        recording = record(source, tmp_path / "talk.ts", stop=stop)
    with pytest.raises(SourceError) as raised:
        record(MediaFile(url), tmp_path / "none.ts")
    chain = repr(raised.value) + str(raised.value) + repr(raised.value.__cause__) + str(raised.value.__cause__)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".ts").decode("latin-1")
    shown = caplog.text + chain + kept + recording.events.to_string() + repr(recording) + repr(source) + source.name
    assert "hunter" not in shown
    assert f"***@127.0.0.1:{port}/cam.ts?pwd=***&size=2" in caplog.text
    assert len(fields(recording, "reconnect")) == 1


def test_a_server_that_lies_is_asked_until_it_gives_media_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "recordkit")
    head = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"
    clip = head + make_clip(tmp_path / "a.ts", seconds=1).read_bytes()
    page = head + b"<!doctype html><html><body>Please log in</body></html>" * 20
    circle = b"HTTP/1.0 302 Found\r\nLocation: /cam.ts?token=hunter2\r\n\r\n"
    refusal = b"HTTP/1.0 503 Service Unavailable\r\n\r\n"
    sound = head + make_clip(tmp_path / "b.ts", seconds=1, video=None).read_bytes()
    stop, how = threading.Event(), Reconnect("50ms", "50ms")
    lies = (page, refusal, b"", *[circle] * 10)
    with server(stop, clip, *lies, sound, clip, is_asked=True) as port:
        source = MediaFile(f"http://127.0.0.1:{port}/cam.ts?token=hunter2", reconnect=how)
        recording = record(source, tmp_path / "talk.ts", stop=stop)
    assert recording.counters.video_units == 60
    assert len(fields(recording, "reconnect")) == 2
    assert fields(recording, "reconnect")[0]["tries"] >= 4
    assert [one["part"] for one in fields(recording, "degraded")].count("video") == 1
    assert "is not back yet" in caplog.text
    assert "hunter" not in caplog.text + recording.events.to_string()
    assert verify(tmp_path / "talk.ts", decode=True).ok


def test_one_that_does_not_come_back_ends_the_recording_which_is_committed(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.ts", seconds=1).read_bytes()
    with server(threading.Event(), clip) as port:
        source = MediaFile(f"tcp://127.0.0.1:{port}", reconnect=Reconnect("50ms", "50ms", give_up_after=0.3))
        recording = record(source, tmp_path / "talk.ts")
    assert recording.path == tmp_path / "talk.ts"
    assert recording.ended_because is not None
    (ended,) = fields(recording, "source ended")
    assert ended["because"].startswith("the source did not come back within 0.3 s: ")


def test_what_has_an_end_is_not_asked_for_again_and_that_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "recordkit")
    film = make_clip(tmp_path / "a.mp4", seconds=1)
    record(MediaFile(film, reconnect=Reconnect()), tmp_path / "talk.ts")
    assert re.search(r"a\.mp4 says that it has an end, 1\.?\d* s: it is not asked for again", caplog.text)
