"""The endpoint as a source: publishers one after the other into one file."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import aiohttp
import pytest

from recordkit.endpoint import single
from recordkit.endpoint.whip import Whip
from recordkit.errors import SettingsError
from recordkit.recorder.record import record
from recordkit.recorder.recorder import Recorder
from recordkit.recorder.result import Recording
from recordkit.verification.verify import verify

from .rig import SDP, an_offer, synthetic, until


class Recorded:
    """``record`` in a thread, at a URL that is known once it listens."""

    def __init__(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.recordings: list[Recording] = []
        self.recorders: list[Recorder] = []
        self.stop = threading.Event()
        self._caplog = caplog
        self._thread = threading.Thread(target=self._run, args=(path,))

    def _run(self, path: Path) -> None:
        self.recordings.append(
            record(Whip(port=0), path, stop=self.stop, on_start=self.recorders.append, flush_interval=0.2)
        )

    async def url(self) -> str:
        self._thread.start()
        await until(lambda: "Publish to" in self._caplog.text)
        return next(word for word in self._caplog.text.split() if word.startswith("http")).partition("/whip")[0]

    def end(self) -> Recording:
        self.stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert not [one for one in threading.enumerate() if one.name.startswith("recordkit")]
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
        await asyncio.sleep(1.0)
        async with synthetic(url, seconds=1.5) as second:
            await second.wait()
        # 45 frames and 75 of audio of each. The last one comes when the connection has ended, and a stop would not
        # wait for it.
        await until(lambda: recorded.recorders[0].counters.taken_items == 240)

    caplog.set_level("INFO", "recordkit.endpoint")
    recorded = Recorded(tmp_path / "talk.ts", caplog)
    asyncio.run(scene())
    recording = recorded.end()
    found = verify(tmp_path / "talk.ts", decode=True)
    assert found.ok, found.problems
    assert found.streams[0].pictures == 90
    assert found.duration_s > 4.0
    # A machine with much to do may make pauses of its own.
    assert max(back["seconds"] for back in recording.events.query("kind == 'reconnect'")["fields"]) > 0.9
    assert recording.counters.received is not None
    assert recording.counters.received.lost_packets == 0


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
    assert found.streams[0].pictures == 60


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
