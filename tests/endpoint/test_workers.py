"""Several processes behind one endpoint: real publishers, real files, and workers that end before their time."""

from __future__ import annotations

import asyncio
import errno
import itertools
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil
import pytest

from recordkit.background.process import WorkerProcess, start_worker
from recordkit.endpoint.serve import serve
from recordkit.endpoint.whip import Whip
from recordkit.endpoint.workers import crew as crew_module
from recordkit.endpoint.workers import member as member_module
from recordkit.endpoint.workers.beginning import beginning
from recordkit.endpoint.workers.messages import Account
from recordkit.endpoint.workers.publisher import RemotePublisher
from recordkit.errors import RecordkitError, SettingsError
from recordkit.sources.readback import read_back
from recordkit.verification.verify import verify

from ..steering import GUARD_S
from .lossy import standing_frames
from .rig import SDP, an_offer, synthetic, until

ROOT = Path(__file__).parents[2]
NAMES = "{stream}-{counter}.ts"


@dataclass
class Served:
    """An endpoint in this process, and its workers."""

    folder: Path
    url: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    ready: threading.Event = field(default_factory=threading.Event)
    errors: list[BaseException] = field(default_factory=list)

    @property
    def workers(self) -> dict[int, psutil.Process]:
        """Those that run."""
        found = {}
        for one in psutil.Process().children():
            with suppress(psutil.Error):  # it has just ended
                if "workers.worker" in " ".join(one.cmdline()):
                    found[one.pid] = one
        return found

    def worker_of(self, stream: str) -> psutil.Process | None:
        """The one that records this stream: it has its partial open."""
        for one in self.workers.values():
            if any(Path(file.path).name.startswith(f"{stream}-") for file in one.open_files()):
                return one
        return None


@contextmanager
def serving(folder: Path, workers: int = 2, **settings: object) -> Iterator[Served]:
    served = Served(folder)
    own = {name: settings.pop(name) for name in ("on_partial", "flush_interval", "segments") if name in settings}

    def on_ready(url: str) -> None:
        served.url = url
        served.ready.set()

    def run() -> None:
        try:
            whip = Whip(port=0, **({"name_template": NAMES} | settings))  # type: ignore[arg-type]
            serve(folder, whip, stop=served.stop, on_ready=on_ready, workers=workers, **own)  # type: ignore[arg-type]
        except BaseException as error:  # noqa: BLE001 - the test is told
            served.errors.append(error)
        finally:
            served.ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert served.ready.wait(GUARD_S)
        if served.errors:
            raise served.errors[0]
        yield served
    finally:
        served.stop.set()
        thread.join(GUARD_S)
        assert not thread.is_alive()
        assert not served.workers


async def recorded(served: Served, *streams: str) -> None:
    """Come back when something of each is on the disk."""
    await until(lambda: all(any(one.stat().st_size for one in _partials(served.folder, name)) for name in streams))


def _partials(folder: Path, stream: str) -> list[Path]:
    return list(folder.glob(f"{stream}-*.recording.ts"))


async def page(served: Served) -> str:
    async with aiohttp.ClientSession(served.url) as client, client.get("/") as response:
        return await response.text()


def assert_whole(path: Path) -> int:
    found = verify(path, decode=True)
    assert found.ok, found.problems
    back, standing = read_back(path), standing_frames(path)
    assert (back.lost, back.repeated, back.out_of_order, back.unreadable) == (0, standing, 0, 0)
    return back.numbers_ok - standing


def test_publishers_are_shared_out_and_each_is_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def published(served: Served, stream: str) -> None:
        async with synthetic(served.url, seconds=2, stream=stream) as one:
            await one.wait()

    async def scene(served: Served) -> None:
        async with synthetic(served.url, stream="long"), synthetic(served.url, stream="other"):
            await recorded(served, "long", "other")
            first, second = served.worker_of("long"), served.worker_of("other")
            assert first is not None
            assert second is not None
            assert first.pid != second.pid
            # The page of the one process tells of both, with what is on the disk.
            shown: list[str] = []

            async def look() -> bool:
                shown[:] = [await page(served)]
                return all(f"{name}-" in shown[0] for name in ("long", "other")) and "recording" in shown[0]

            async with asyncio.timeout(GUARD_S):
                while not await look():
                    await asyncio.sleep(0.05)
        await published(served, "talk")
        await until(lambda: len(list(tmp_path.glob("*[0-9].ts"))) == 3)

    caplog.set_level("INFO", "recordkit.endpoint")
    with serving(tmp_path) as served:
        asyncio.run(scene(served))
    assert assert_whole(next(tmp_path.glob("talk-*.ts"))) == 60
    for stream in ("long", "other"):
        assert_whole(next(tmp_path.glob(f"{stream}-*.ts")))
    # What a worker says stands in the log of the endpoint.
    assert re.search(r"Stream talk is being recorded into talk-[12].ts", caplog.text)
    assert re.search(r"Stream talk ended: .*talk-[12].ts, 0:02", caplog.text)


def test_the_limit_is_that_of_all_and_refusals_come_through(tmp_path: Path) -> None:
    async def scene(served: Served) -> None:
        async with aiohttp.ClientSession(served.url) as client:
            offer = await an_offer()
            for expected in (201, 201, 201, 503):
                async with client.post("/whip/talk", data=offer, headers=SDP) as response:
                    assert response.status == expected, await response.text()
                    location = response.headers.get("Location", "")
                    if expected == 201:
                        last = f"/whip/{location}"
            async with client.delete(last) as response:
                assert response.status == 200
            async with client.delete(last) as response:
                assert response.status == 404
            # An offer that only the peer connection finds wanting is refused by its worker, in its words.
            broken = re.sub(r"(?m)^a=rtpmap:(\d+) \S+", r"a=rtpmap:\1 nothing/90000", offer)
            async with client.post("/whip/talk", data=broken, headers=SDP) as response:
                assert response.status == 422
                assert "no codec that can be received" in await response.text()

    with serving(tmp_path, max_publishers=3) as served:
        asyncio.run(scene(served))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("on_partial", ["error", "recover"])
def test_a_killed_worker_costs_its_own_recordings_alone(
    on_partial: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(served: Served) -> None:
        async with synthetic(served.url, stream="gone"), synthetic(served.url, stream="stays"):
            await recorded(served, "gone", "stays")
            before = set(served.workers)
            victim = served.worker_of("gone")
            assert victim is not None
            victim.kill()
            if on_partial == "recover":
                await until(lambda: list(tmp_path.glob("gone-[0-9].ts")))
            # Another is in its place, and takes who comes next.
            await until(lambda: len(set(served.workers) - before) == 1 and "is there again" in caplog.text)
            async with synthetic(served.url, stream="next"):
                await recorded(served, "next")
            assert "killed by signal 9" in await page(served)

    caplog.set_level("INFO", "recordkit")
    with serving(tmp_path, on_partial=on_partial) as served:
        asyncio.run(scene(served))
    assert re.search(r"Worker \d was killed by signal 9 \(SIGKILL\); it was recording gone-\d.ts", caplog.text)
    for stream in ("stays", "next", *(["gone"] if on_partial == "recover" else [])):
        assert_whole(next(tmp_path.glob(f"{stream}-[0-9].ts")))
    if on_partial == "error":
        assert re.search(r"gone-\d.recording.ts is unfinished: ", caplog.text)
        assert not list(tmp_path.glob("gone-[0-9].ts"))


def test_a_worker_that_hangs_gets_nobody_and_is_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew_module, "LOOK_S", 0.6)
    monkeypatch.setattr(crew_module, "ABSENT_LOOKS", 2)
    monkeypatch.setattr(crew_module, "HUNG_LOOKS", 5)

    async def scene(served: Served) -> None:
        async with synthetic(served.url, stream="gone"), synthetic(served.url, stream="stays"):
            await recorded(served, "gone", "stays")
            victim = served.worker_of("gone")
            assert victim is not None
            victim.send_signal(signal.SIGSTOP)
            await until(lambda: "said nothing for" in caplog.text)
            await until(lambda: list(tmp_path.glob("gone-[0-9].ts")))

    caplog.set_level("INFO", "recordkit")
    with serving(tmp_path, on_partial="recover") as served:
        asyncio.run(scene(served))
    assert "Worker 1 said nothing for 3 s and was killed by signal 9" in caplog.text
    for stream in ("stays", "gone"):
        assert_whole(next(tmp_path.glob(f"{stream}-[0-9].ts")))


def test_a_worker_that_is_told_to_stop_commits_what_it_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(served: Served) -> None:
        async with synthetic(served.url, stream="talk"):
            await recorded(served, "talk")
            (worker,) = [one for one in served.workers.values() if one == served.worker_of("talk")]
            worker.terminate()
            await until(lambda: list(tmp_path.glob("talk-[0-9].ts")))
            await until(lambda: "is there again" in caplog.text)

    caplog.set_level("INFO", "recordkit")
    with serving(tmp_path) as served:
        asyncio.run(scene(served))
    assert_whole(next(tmp_path.glob("talk-*.ts")))
    assert "ended: the process that recorded it was stopped" in caplog.text


CHILD = """
import signal, sys, threading
import recordkit as rk
signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
whip = rk.Whip(port=0, name_template="{stream}-{counter}.ts")
rk.serve(sys.argv[1], whip, workers=2, on_ready=lambda url: print(url, flush=True))
print("over", flush=True)
"""


@pytest.mark.parametrize(
    ("number", "to_all"), [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGKILL, False)]
)
def test_all_is_committed_when_the_endpoint_ends(number: int, to_all: bool, tmp_path: Path) -> None:
    """Told to, by systemd with all its processes; or killed: then its workers find themselves alone."""

    async def scene(url: str, served: subprocess.Popen[str]) -> list[psutil.Process]:
        async with synthetic(url, stream="one"), synthetic(url, stream="two"):
            await until(lambda: len([path for path in tmp_path.glob("*.recording.ts") if path.stat().st_size]) == 2)
            workers = psutil.Process(served.pid).children()
            for one in [*(workers if to_all else []), served]:
                one.send_signal(number)
            await until(lambda: len(list(tmp_path.glob("*-[0-9].ts"))) == 2)
        return workers

    command, errors = [sys.executable, "-c", CHILD, str(tmp_path)], tmp_path / "errors.txt"
    with (
        errors.open("wb") as words,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=words, text=True) as served,
    ):
        assert served.stdout is not None
        workers = asyncio.run(scene(served.stdout.readline().strip(), served))
        assert served.stdout.read() == ("over\n" if number == signal.SIGTERM else "")
        assert served.wait(GUARD_S) == (0 if number == signal.SIGTERM else -number)
    _, alive = psutil.wait_procs(workers, GUARD_S)
    assert not alive
    assert "Worker" not in errors.read_text()
    for stream in ("one", "two"):
        assert_whole(next(tmp_path.glob(f"{stream}-[0-9].ts")))


def test_a_file_that_reaches_its_limit_is_followed_by_one_of_the_same_worker(tmp_path: Path) -> None:
    async def published(served: Served, begun: asyncio.Event) -> None:
        # Two of one name at the same time: no two workers begin files of one name.
        async with synthetic(served.url, seconds=4) as one:
            begun.set()
            await one.wait()

    async def scene(served: Served) -> None:
        begun = asyncio.Event()
        first = asyncio.create_task(published(served, begun))
        await begun.wait()
        await published(served, asyncio.Event())
        await first
        await until(lambda: not list(tmp_path.glob("*.recording.ts")))

    with serving(tmp_path, max_seconds=1.5) as served:
        asyncio.run(scene(served))
    files = sorted(tmp_path.glob("*.ts"))
    assert {int(path.stem.rpartition("-")[2]) % 2 for path in files} == {0, 1}
    assert len(files) >= 4
    assert sum(map(assert_whole, files)) == 240


@pytest.mark.parametrize("settings", [{"on_flush": print}, {"on_commit": print}, {"on_alert": print}])
def test_functions_cannot_be_sent(settings: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be sent to workers"):
        serve(tmp_path, Whip(port=0), workers=2, **settings)  # type: ignore[arg-type]


def test_no_secret_goes_to_a_worker(tmp_path: Path) -> None:
    whip = Whip(port=0, host="0.0.0.0", token="s3cret")  # noqa: S104, S106
    line = beginning(tmp_path, whip, {"video": None}, "silence", None, 2)(1)
    assert b"s3cret" not in line
    assert b'"video":null' in line


def test_a_worker_that_cannot_begin_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member_module, "MODULE", "recordkit.no_such_module")
    with pytest.raises(RecordkitError, match="ended before it was ready"), serving(tmp_path):
        pass


def test_one_that_is_on_its_way_when_another_fails_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins, has_failed = itertools.count(), threading.Event()
    late: list[WorkerProcess] = []

    def start(module: str) -> WorkerProcess:
        if next(begins) == 0:
            has_failed.set()
            raise OSError(errno.EAGAIN, "no further process")
        assert has_failed.wait(GUARD_S)
        late.append(start_worker(module))
        return late[0]

    monkeypatch.setattr(member_module, "start_worker", start)
    with pytest.raises(RecordkitError, match="no further process"), serving(tmp_path):
        pass
    assert late[0].popen.returncode == -signal.SIGKILL
    assert late[0].words.closed


def test_what_a_worker_does_not_tell_any_more_is_failed() -> None:
    asyncio.run(_a_worker_falls_silent())


async def _a_worker_falls_silent() -> None:
    ended: list[object] = []
    publisher = RemotePublisher("talk", lambda line: True, ended.append)
    answering = asyncio.create_task(publisher.answer(None, "v=0"))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    publisher.stands(Account("talk-1.ts", 5))
    publisher.lost("its worker was killed")
    publisher.lost("again")
    with pytest.raises(aiohttp.web.HTTPServiceUnavailable):
        await answering
    await publisher.end("the endpoint was stopped")
    assert ended == [publisher]
    assert (publisher.sink.state, publisher.sink.file_bytes, publisher.reason) == (
        "failed",
        5,
        "its worker was killed",
    )
