"""The worker's own side: what it says to whom, when it is told nonsense, and when nobody listens."""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest

import recordkit as rk
from recordkit.background import worker
from recordkit.background.description import describe, restore
from recordkit.background.protocol import PROTOCOL, Type, encode
from recordkit.background.session import Session
from recordkit.background.sessions import take_up
from recordkit.sources.readback import read_back
from recordkit.sources.source import Channel, OpenSource, SourceItem

from ..steering import GUARD_S, recordkit_threads

ROOT = Path(__file__).parents[2]
SMALL = rk.Synthetic(width=64, height=48, sample_rate=16_000, channels=1)


def request(path: Path, given: object = SMALL, /, **changes: object) -> bytes:
    settings = {"video": describe("video", rk.VideoSettings(preset="ultrafast", keyframe_interval=0.1))}
    message = {
        "protocol": PROTOCOL,
        "recordkit": "0",
        "source": describe("source", given),
        "path": str(path),
        "settings": settings,
        "on_parent_exit": "finish",
        "log_level": logging.WARNING,
    }
    return encode(Type.START, **(message | changes))


@contextmanager
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", "recordkit.background.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def told(line: bytes) -> dict[str, Any]:
    return json.loads(line)


def test_nonsense_is_passed_over_and_the_recording_goes_on(tmp_path: Path) -> None:
    with child() as process:
        process.stdin.write(b"\x00\xff\n[]\n" + request(tmp_path / "talk.ts") + request(tmp_path / "other.ts"))
        process.stdin.flush()
        lines = [told(process.stdout.readline())]
        while lines[-1]["type"] != "started":
            lines.append(told(process.stdout.readline()))
        process.stdin.write(b'{"type":"mark","name":7}\n{"type":"signal"}\n{"type":"dance"}\nnonsense\n')
        process.stdin.write(b"x" * 3_000_000 + b"\n" + encode(Type.MARK, name="sense") + encode(Type.STOP))
        process.stdin.flush()
        lines += map(told, process.stdout)
        assert process.wait(GUARD_S) == 0
    words = [line["words"] for line in lines if line["type"] == "log"]
    assert sum("does not understand" in one for one in words) == 1
    assert sum("mark was not noted" in one for one in words) == 1
    marks = [line["fields"]["name"] for line in lines if line.get("kind") == "mark"]
    assert marks == ["sense"]
    assert (lines[-1]["type"], "error" in lines[-1]) == ("ended", False)
    assert not (tmp_path / "other.ts").exists()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"protocol": PROTOCOL + 1, "recordkit": "9.9"}, "StateError", "9.9"),
        ({"source": {"type": "Popen", "fields": {}}}, "SettingsError", "describes nothing"),
        ({"settings": None}, "RecordkitError", "fault of its own"),
    ],
    ids=["another version", "no source", "no settings"],
)
def test_a_request_that_makes_no_sense_is_refused_in_words(
    tmp_path: Path, changes: dict[str, object], error: str, words: str
) -> None:
    with child() as process:
        output, _ = process.communicate(request(tmp_path / "talk.ts", **changes), GUARD_S)
        assert process.returncode == 0
    last = told(output.splitlines()[-1])
    assert last["error"]["name"] == error
    assert words in last["error"]["words"]
    assert list(tmp_path.iterdir()) == []


def test_a_parent_who_goes_before_it_has_said_anything(tmp_path: Path) -> None:
    with child() as process:
        output, _ = process.communicate(b"", GUARD_S)
        assert (process.returncode, output) == (0, b"")


def taken_up(path: Path) -> Session:
    """The session of a recording that waits, as soon as it does."""
    for _ in range(int(GUARD_S / 0.05)):
        try:
            return take_up(path)
        except rk.StateError:
            threading.Event().wait(0.05)
    raise AssertionError("it does not wait for anybody")


def test_one_that_waits_is_taken_up_by_one_at_a_time_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "talk.ts"
    with child() as process:
        process.stdin.write(request(path, on_parent_exit="wait", alone_s=60))
        process.stdin.flush()
        assert told(process.stdout.readline())["type"] == "started"
        for seek in (take_up, rk.attach):  # it has somebody
            with pytest.raises(rk.StateError):
                seek(path)
        process.stdin.close()
        process.stdout.close()
        first = taken_up(path)
        assert first.worker_pid == process.pid
        with pytest.raises(rk.StateError):
            take_up(path)
        # The one who has come back goes too.
        with socket.socket(fileno=os.dup(first._link._reading)) as connection:
            connection.shutdown(socket.SHUT_RDWR)
        recording = taken_up(path).stop(timeout=GUARD_S)
        assert process.wait(GUARD_S) == 0
    back = read_back(path)
    assert (back.first_number, back.lost, back.repeated) == (0, 0, 0)
    assert recording.counters.video_units == back.frames


def test_one_that_waits_in_vain_is_committed(tmp_path: Path) -> None:
    path = tmp_path / "talk.ts"
    with child() as process:
        # Longer than what is asked for below by all that a busy machine may need to begin.
        process.stdin.write(request(path, on_parent_exit="wait", alone_s=4.0))
        process.stdin.flush()
        assert told(process.stdout.readline())["type"] == "started"
        process.communicate(timeout=GUARD_S)
        assert process.returncode == 0
    assert rk.verify(path, decode=True).duration_s > 0.8
    assert not path.with_suffix(".recording.ts").exists()


def test_a_parent_who_never_reads_holds_nothing_up(tmp_path: Path) -> None:
    """Eight hundred keyframes are more lines than a pipe holds."""
    source = rk.Synthetic(width=64, height=48, audio=False, seconds=80, realtime=False)
    with child() as process:
        process.stdin.write(request(tmp_path / "talk.ts", source))
        process.stdin.flush()
        while not (tmp_path / "talk.ts").exists():
            assert process.poll() is None
            threading.Event().wait(0.01)
        assert read_back(tmp_path / "talk.ts").frames == 2400
        assert process.poll() is None  # it still has to tell
        lines = process.stdout.readlines()
        assert process.wait(GUARD_S) == 0
    assert sum(map(len, lines)) > 65536
    assert told(lines[-1])["recording"]["fields"]["counters"]["fields"]["video_units"] == 2400


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_and_commits(tmp_path: Path, number: signal.Signals) -> None:
    with child() as process:
        process.stdin.write(request(tmp_path / "talk.ts"))
        process.stdin.flush()
        while b'"first byte"' not in process.stdout.readline():
            pass
        process.send_signal(number)
        last = told(process.stdout.readlines()[-1])
        assert process.wait(GUARD_S) == 0
    assert last["recording"]["fields"]["path"]["value"] == str(tmp_path / "talk.ts")
    assert read_back(tmp_path / "talk.ts").lost == 0


@dataclass(frozen=True)
class Answering:
    """Asks on its channel whether it may begin, and gives as many pictures as it is told; then comes loose."""

    name: str = "answering"

    @contextmanager
    def open_on(self, channel: Channel) -> Iterator[OpenSource]:
        answers: queue.Queue[dict[str, Any]] = queue.Queue()
        channel.listen(answers.put)
        channel.send({"offer": "pictures"})
        count = answers.get(timeout=GUARD_S)["pictures"]
        yield OpenSource(self._items(count), has_video=True, has_audio=False)

    def _items(self, count: int) -> Iterator[SourceItem]:
        for frame in rk.Synthetic(width=64, height=48, audio=False, seconds=60).frames():
            if count == 0:
                raise rk.SourceError(self.name, "came loose")
            assert isinstance(frame, av.VideoFrame)
            count -= 1
            yield SourceItem(frame)


@dataclass(frozen=True)
class Silent:
    """A source that opens, and gives nothing until its test is over."""

    over: threading.Event
    name: str = "silent"

    @contextmanager
    def open(self) -> Iterator[OpenSource]:
        yield OpenSource(self._items(), has_video=True, has_audio=True)

    def _items(self) -> Iterator[SourceItem]:
        assert self.over.wait(GUARD_S)
        yield from ()


@contextmanager
def within(
    monkeypatch: pytest.MonkeyPatch, source: object, path: Path, over: threading.Event | None = None
) -> Iterator[Session]:
    """A session and a worker in this process, on two pipes, with a source that cannot travel; not yet begun."""

    def restored(name: str, document: object) -> object:
        return source if name == "source" else restore(name, document)

    monkeypatch.setattr(worker, "restore", restored)
    with recordkit_threads():
        (hearing, telling), (listening, speaking) = os.pipe(), os.pipe()
        side = worker.Worker(hearing, speaking)
        thread = threading.Thread(target=side.run)
        thread.start()
        session = Session(path)
        os.write(telling, request(path, log_level=logging.CRITICAL))
        yield session
        session_end = threading.Thread(target=session.connect, args=(listening, telling))
        session_end.start()
        thread.join(GUARD_S)
        session_end.join(GUARD_S)
        assert session.wait(GUARD_S)
        if over is not None:
            over.set()
        for one in threading.enumerate():
            if one.name.startswith("recordkit"):
                one.join(GUARD_S)


def test_a_source_speaks_with_its_session_and_what_came_before_its_end_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers: list[object] = []
    with within(monkeypatch, Answering(), tmp_path / "talk.ts") as session:

        def answer(message: dict[str, Any]) -> None:
            offers.append(message)
            session.signal({"pictures": 20})

        session.on_signal = answer
    assert offers == [{"offer": "pictures"}]
    assert session.state == "failed"
    with pytest.raises(rk.SourceError, match="came loose"):
        session.stop()
    assert session.recording is not None
    assert session.recording.counters.video_units == 20
    assert read_back(tmp_path / "talk.ts").frames == 20


def test_a_source_that_gives_nothing_is_stopped_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    with within(monkeypatch, Silent(over), tmp_path / "talk.ts", over) as session:
        # Degraded at once, where the tests before have left an alert's worth of memory.
        session.on_change(lambda one: one.ask_to_stop() if one.state in ("recording", "degraded") else None)
    assert session.state == "stopped"
    assert session.recording is not None
    assert session.recording.path is None


def test_a_signal_that_cannot_travel_is_refused_where_it_is_sent(tmp_path: Path) -> None:
    with pytest.raises(rk.SettingsError, match="JSON"):
        Session(tmp_path / "talk.ts").signal({"frame": object()})
