"""The endpoint as a source: publishers one after the other into one file."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from recordkit.endpoint import single
from recordkit.endpoint.whip import Whip
from recordkit.errors import SettingsError
from recordkit.model import EncodedUnit, EventKind
from recordkit.recorder.record import record
from recordkit.recorder.recorder import Recorder
from recordkit.recorder.result import Recording
from recordkit.sources.readback import read_back
from recordkit.verification.verify import verify

from ..steering import GUARD_S, FakeClock
from .rig import SDP, an_offer, packets_sent, synthetic, until

pytestmark = pytest.mark.usefixtures("no_frame_stands")


class Recorded:
    """``record`` in a thread, at a URL that is known once it listens."""

    def __init__(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.recordings: list[Recording] = []
        self.recorders: list[Recorder] = []
        self.stop = threading.Event()
        self._caplog = caplog
        self._before = set(threading.enumerate())
        self._thread = threading.Thread(target=self._run, args=(path,))

    def _run(self, path: Path) -> None:
        self.recordings.append(
            record(Whip(port=0), path, stop=self.stop, on_start=self.recorders.append, flush_interval=0.2)
        )

    async def url(self) -> str:
        self._thread.start()
        await until(lambda: "Publish to" in self._caplog.text)
        return next(word for word in self._caplog.text.split() if word.startswith("http")).partition("/whip")[0]

    async def all_arrived(self, count: int) -> None:
        """Wait until so many packets have come: what reception still holds is a matter of the stop."""
        counters = lambda: self.recorders[0].counters.received  # noqa: E731
        await until(lambda: (received := counters()) is not None and received.packets >= count)

    def end(self) -> Recording:
        self.stop.set()
        self._thread.join(GUARD_S)
        assert not self._thread.is_alive()
        for one in set(threading.enumerate()) - self._before:
            if one.name.startswith("recordkit"):
                one.join(GUARD_S)  # its last word was heard, and it is on its way out
                assert not one.is_alive(), one.name
        return self.recordings[0]


def test_a_publisher_comes_goes_and_another_goes_on_with_the_recording(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        url = await recorded.url()
        async with synthetic(url, seconds=1.5) as first:
            # While it sends nobody else may.
            async with (
                aiohttp.ClientSession(url) as client,
                client.post("/whip/other", data=await an_offer(), headers=SDP) as response,
            ):
                assert response.status == 409
                assert response.headers["Retry-After"].isdecimal()
            await first.wait()
            count = await packets_sent(first)
        await asyncio.sleep(1.0)
        async with synthetic(url, seconds=1.5) as second:
            await second.wait()
            await recorded.all_arrived(count + await packets_sent(second))

    caplog.set_level("INFO", "recordkit.endpoint")
    recorded = Recorded(tmp_path / "talk.ts", caplog)
    asyncio.run(scene())
    recording = recorded.end()
    found = verify(tmp_path / "talk.ts", decode=True)
    assert found.ok, found.problems
    assert found.streams[0].frames == 90
    assert found.duration_s > 4.0
    # A machine with much to do may make pauses of its own.
    assert max(back["seconds"] for back in recording.events.query("kind == 'reconnect'")["fields"]) > 0.9
    assert recording.counters.received is not None
    assert recording.counters.received.lost_packets == 0
    # 45 frames and 75 of audio of each, though the stop came while the last ones were still waited with.
    assert recording.counters.received.received_units == 240
    assert recording.counters.taken_items == 240


def test_a_stop_while_somebody_publishes_keeps_all_that_has_been_received(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits to be put in order, for the end of its frame or for the recorder, at the moment of the stop."""

    async def scene() -> None:
        url = await recorded.url()
        async with synthetic(url, seconds=1.0) as media:
            await media.wait()
            await recorded.all_arrived(await packets_sent(media))
            counters = recorded.recorders[0].counters
            assert counters.received is not None
            recorded.stop.set()
            await until(lambda: recorded.recordings)
            assert recorded.recordings[0].counters.received == replace(counters.received, received_units=80)

    caplog.set_level("INFO", "recordkit.endpoint")
    recorded = Recorded(tmp_path / "talk.ts", caplog)
    asyncio.run(scene())
    recording = recorded.end()
    assert recording.counters.taken_items == 80
    back = read_back(tmp_path / "talk.ts")
    assert (back.numbers_ok, back.last_number, back.lost) == (30, 29, 0)


def test_one_that_has_fallen_silent_gives_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch
) -> None:
    monkeypatch.setattr(single, "SILENCE_S", 0.5)

    async def scene() -> None:
        url = await recorded.url()
        async with synthetic(url, seconds=1) as dead:
            await dead.wait()
            await asyncio.sleep(1.0)
            # Its connection still stands: nobody has said goodbye.
            async with synthetic(url, seconds=1) as alive:
                await alive.wait()

    caplog.set_level("INFO", "recordkit.endpoint")
    recorded = Recorded(tmp_path / "talk.ts", caplog)
    asyncio.run(scene())
    recorded.end()
    found = verify(tmp_path / "talk.ts", decode=True)
    assert found.ok, found.problems
    assert found.streams[0].frames == 60


def test_nobody_comes_and_nothing_is_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "recordkit.endpoint")
    recorded = Recorded(tmp_path / "talk.ts", caplog)
    asyncio.run(recorded.url())
    assert recorded.end().path is None
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_a_setting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "recordkit.endpoint")
    recorded = Recorded(tmp_path / "talk.ts", caplog)
    url = asyncio.run(recorded.url())
    with pytest.raises(SettingsError, match="cannot listen"):
        record(Whip(port=int(url.rpartition(":")[2])), tmp_path / "other.ts")
    recorded.end()
    assert list(tmp_path.iterdir()) == []


class Noted:
    """An outlet that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[tuple[EventKind, object]] = []

    def put(self, unit: EncodedUnit, stream: int) -> bool:
        return True

    def note(self, kind: EventKind, **fields: object) -> None:
        self.notes.append((kind, fields["seconds"]))


def test_how_long_the_source_was_away_counts_from_what_came_last_not_from_where_that_stood() -> None:
    outlet, clock = Noted(), FakeClock()

    def sink(before: single.Last) -> single.TurnSink:
        return single.TurnSink("talk", outlet, clock, before)  # type: ignore[arg-type]

    def unit(ticks: int, data: bytes = b"\0\0\1\x65") -> EncodedUnit:
        return EncodedUnit("h264", data, ticks=ticks, is_entry=True, duration=3000)

    first = sink(single.Last())
    for ticks in (0, 3000):
        first.put(unit(ticks), 0)
    first.put(unit(93_000, b""), 0)  # the last frame still stands
    assert outlet.notes == []
    sink(first.last).put(unit(3000 + 108_000), 0)
    assert outlet.notes == [(EventKind.RECONNECT, 1.2), (EventKind.GAP, (108_000 - 3000) / 90_000)]
