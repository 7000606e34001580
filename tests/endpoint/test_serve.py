"""Publishers into a folder: real peers, real files, judged; from the first picture to the commit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import av
import pytest

from recordkit.endpoint import endpoint as face
from recordkit.endpoint.gate import RateLimit
from recordkit.endpoint.serve import serve
from recordkit.endpoint.whip import Whip
from recordkit.errors import OutputAccessError, SettingsError
from recordkit.sources.readback import read_back
from recordkit.sources.webrtc import direct, drain
from recordkit.verification.verify import verify

from ..steering import GUARD_S, FakeClock
from .rig import SDP, an_offer, synthetic, tls_files, until

ROOT = Path(__file__).parents[2]
NAMES = "{stream}-{counter}.ts"
FFMPEG_9 = int(av.__version__.split(".")[0]) >= 19
TOKEN = "t0ken"  # noqa: S105 - of these tests alone
pytestmark = pytest.mark.usefixtures("no_frame_stands")


@contextmanager
def serving(folder: Path, **settings: object) -> Iterator[str]:
    """``serve`` in a thread, told to stop at the end; gives its URL."""
    urls: list[str] = []
    ready, stop, errors = threading.Event(), threading.Event(), []

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    def run() -> None:
        try:
            serve(folder, Whip(port=0, name_template=NAMES, **settings), stop=stop, on_ready=on_ready)  # type: ignore[arg-type]
        except BaseException as error:
            errors.append(error)
            raise
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(GUARD_S)
        assert not errors
        yield urls[0]
    finally:
        stop.set()
        thread.join(GUARD_S)
        assert not thread.is_alive()
        for one in threading.enumerate():
            if one.name.startswith("recordkit-webrtc"):
                one.join(GUARD_S)
                assert not one.is_alive(), one.name


def assert_whole(path: Path, pictures: int) -> None:
    found = verify(path, decode=True)
    assert found.ok, found.problems
    back = read_back(path)
    assert (back.lost, back.repeated, back.out_of_order, back.unreadable) == (0, 0, 0, 0)
    assert (back.numbers_ok, back.first_number, back.last_number) == (pictures, 0, pictures - 1)
    assert back.sync_worst_s is None or abs(back.sync_worst_s) < 0.02


def test_each_publisher_has_a_file_and_bad_requests_disturb_nobody(tmp_path: Path) -> None:
    async def bad_requests(url: str) -> set[int]:
        offer = await an_offer()
        statuses = set()
        async with aiohttp.ClientSession(url) as client:
            for _ in range(100):
                for path, data, headers in (
                    ("/whip/talk", "nothing", SDP),
                    ("/whip/talk", offer[:300], SDP),
                    ("/whip/..%2fx", offer, SDP),
                    ("/whip/talk", "x" * 100_000, SDP),
                    ("/whip/talk", offer, {}),
                    ("/nowhere", offer, SDP),
                ):
                    async with client.post(path, data=data, headers=headers) as response:
                        statuses.add(response.status)
        return statuses

    async def published(url: str, seconds: int, begun: asyncio.Event) -> None:
        # Each goes when it has sent all: of one that stays silent the last frame stands.
        async with synthetic(url, seconds=seconds) as one:
            begun.set()
            await one.wait()

    async def scene(url: str) -> None:
        has_begun = [asyncio.Event(), asyncio.Event()]
        first = asyncio.create_task(published(url, 3, has_begun[0]))
        await has_begun[0].wait()
        second = asyncio.create_task(published(url, 2, has_begun[1]))
        await has_begun[1].wait()
        assert await bad_requests(url) == {400, 404, 413, 415, 429}
        await asyncio.gather(first, second)

    with serving(tmp_path / "made", max_sdp_bytes=20_000) as url:
        asyncio.run(scene(url))
    names = sorted(path.name for path in (tmp_path / "made").iterdir())
    kinds = (".flushes.jsonl", ".frames", ".ts")
    assert names == [f"talk-{number}{kind}" for number in (1, 2) for kind in kinds]
    assert_whole(tmp_path / "made" / "talk-1.ts", 90)
    assert_whole(tmp_path / "made" / "talk-2.ts", 60)


def test_stopping_commits_what_is_being_recorded(tmp_path: Path) -> None:
    async def scene(url: str, stop: threading.Event) -> None:
        async with synthetic(url):
            await until(lambda: any(path.stat().st_size for path in tmp_path.glob("*.recording.ts")))
            stop.set()
            await until(lambda: (tmp_path / "talk-1.ts").exists())

    stop, urls, ready = threading.Event(), [], threading.Event()
    whip = Whip(port=0, name_template=NAMES)
    thread = threading.Thread(
        target=serve,
        args=(tmp_path, whip),
        kwargs={"stop": stop, "on_ready": lambda url: (urls.append(url), ready.set()), "flush_interval": 0.2},
    )
    thread.start()
    assert ready.wait(GUARD_S)
    asyncio.run(scene(urls[0], stop))
    thread.join(GUARD_S)
    assert not thread.is_alive()
    assert verify(tmp_path / "talk-1.ts", decode=True).ok
    assert not list(tmp_path.glob("*.recording.*"))


def test_a_file_that_reaches_its_limit_is_followed_by_the_next_with_nothing_between(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(url: str) -> None:
        async with synthetic(url, seconds=6) as media:
            await media.wait()

    caplog.set_level("INFO")
    with serving(tmp_path, max_seconds=1.5) as url:
        asyncio.run(scene(url))
    files = sorted(tmp_path.glob("*.ts"))
    assert len(files) >= 2  # four, but a busy machine begins each later
    # Each begins with a keyframe right behind the last frame of the one before it.
    reached = -1
    for path in files:
        found = verify(path, decode=True)
        assert found.ok, found.problems
        back = read_back(path)
        assert (back.lost, back.repeated, back.out_of_order, back.unreadable) == (0, 0, 0, 0)
        assert back.first_number is not None
        assert back.last_number is not None
        assert back.first_number == reached + 1
        reached = back.last_number
    assert reached == 179
    assert "received frames were dropped" not in caplog.text
    assert "Stream talk goes on in talk-2.ts: talk-1.ts reached max_seconds=1.5" in caplog.text


def test_what_lies_in_the_socket_when_the_endpoint_is_stopped_is_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Media is read a little later than it comes: here so late that nobody would read it any more."""

    def patience_s(self: direct.DirectTransport) -> float:
        are_both_known = len(self._routes) == 2  # the first packet of each goes through aiortc's tasks
        return GUARD_S if are_both_known else 0.004

    monkeypatch.setattr(direct.DirectTransport, "patience_s", property(patience_s))
    monkeypatch.setattr(drain, "_BURST_BYTES", 1)

    async def scene(url: str) -> None:
        async with synthetic(url, seconds=1.0) as media:
            await media.wait()

    with serving(tmp_path) as url:
        asyncio.run(scene(url))
    assert_whole(tmp_path / "talk-1.ts", 30)


def test_a_publisher_whose_tracks_stop_gives_its_place_back_where_that_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The camera was unplugged; the page and its connection stay."""

    async def scene(url: str) -> None:
        async with synthetic(url, seconds=1.0) as media:
            await media.wait()
            await until(lambda: (tmp_path / "talk-1.ts").exists())

    caplog.set_level("INFO", "recordkit.endpoint")
    with serving(tmp_path, max_silence=1.0) as url:
        asyncio.run(scene(url))
    back = read_back(tmp_path / "talk-1.ts")
    # The last one may stand there once more: nothing followed it.
    assert (back.numbers_ok - back.repeated, back.first_number, back.last_number) == (30, 0, 29)
    assert "Stream talk ended: nothing came of it for " in caplog.text


@pytest.mark.parametrize("on_partial", ["error", "recover"])
def test_what_an_earlier_run_has_left_is_told_and_recovered_if_wanted(
    on_partial: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed = (
        "import os, signal, sys; import recordkit as rk\n"
        "session = rk.start(rk.Synthetic(width=64, height=64), sys.argv[1])\n"
        "while not session.figures.duration_s: session.wait(0.05)\n"
        "os.kill(session.worker_pid, signal.SIGKILL)\nsession.wait()"
    )
    subprocess.run([sys.executable, "-c", killed, str(tmp_path / "old.ts")], check=True, timeout=60, cwd=ROOT)
    stop = threading.Event()
    stop.set()
    caplog.set_level("INFO", "recordkit")
    serve(tmp_path, Whip(port=0), stop=stop, on_partial=on_partial)
    if on_partial == "recover":
        assert verify(tmp_path / "old.ts", decode=True).ok
        assert not list(tmp_path.glob("*.recording.*"))
        assert "old.recording.ts: " in caplog.text
    else:
        assert "old.recording.ts is unfinished: " in caplog.text
        assert "--on-partial recover" in caplog.text
        assert not (tmp_path / "old.ts").exists()


def test_who_never_sends_leaves_nothing_behind(tmp_path: Path) -> None:
    async def scene(url: str) -> None:
        async with aiohttp.ClientSession(url) as client:
            offer = await an_offer()
            for _ in range(5):
                async with client.post("/whip/talk", data=offer, headers=SDP) as response:
                    assert response.status == 201

    before = len(list(Path("/proc/self/fd").iterdir()))
    with serving(tmp_path) as url:
        asyncio.run(scene(url))
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_settings_that_cannot_be_used_are_refused_before_anybody_comes(tmp_path: Path) -> None:
    for settings, words in (
        ({"host": "0.0.0.0"}, "give a token"),  # noqa: S104
        ({"ice_servers": ["http://x"]}, "stun:HOST:PORT"),
        ({"certificate": "missing.pem", "key": "missing.pem"}, "cannot be used"),
    ):
        with pytest.raises(SettingsError, match=words):
            serve(tmp_path, Whip(port=0, **settings))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="flush_interval"):
        serve(tmp_path, Whip(port=0), flush_interval=-1)
    (tmp_path / "file").touch()
    with pytest.raises(OutputAccessError):
        serve(tmp_path / "file" / "folder", Whip(port=0))


def test_it_speaks_tls(tmp_path: Path) -> None:
    certificate = tls_files(tmp_path)

    async def scene(url: str) -> None:
        async with aiohttp.ClientSession() as client, client.get(url, ssl=False) as response:
            assert response.status == 200

    with serving(tmp_path / "out", certificate=certificate[0], key=certificate[1]) as url:
        assert url.startswith("https://127.0.0.1:")
        asyncio.run(scene(url))


def ffmpeg(url: str, *certificate: str) -> subprocess.CompletedProcess[str]:
    """Two seconds of the synthetic source, published by libavformat's own WHIP muxer."""
    client = [sys.executable, "-m", "tests.endpoint.ffmpeg_client", f"{url}/whip/ffmpeg", TOKEN, *certificate, "2"]
    return subprocess.run(client, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


def test_ffmpeg_publishes_by_its_own_whip(tmp_path: Path) -> None:
    with serving(tmp_path / "out", token=TOKEN) as url:
        done = ffmpeg(url, *tls_files(tmp_path))
        assert done.returncode == 0, done.stderr
    found = verify(tmp_path / "out" / "ffmpeg-1.ts", decode=True)
    assert found.ok, found.problems
    assert [stream.codec for stream in found.streams] == ["h264", "aac"]
    back = read_back(tmp_path / "out" / "ffmpeg-1.ts")
    assert (back.lost, back.repeated, back.out_of_order) == (0, 0, 0)
    assert back.numbers_ok == int(done.stdout)


def test_the_certificate_that_ffmpeg_makes_itself_is_refused_in_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "recordkit.endpoint")
    with serving(tmp_path / "out", token=TOKEN) as url:
        done = ffmpeg(url, "", "")
    if FFMPEG_9:  # its certificate is one that OpenSSL takes
        (path,) = (tmp_path / "out").glob("*.ts")
        assert verify(path).streams[0].frames == int(done.stdout)
        return
    assert done.returncode != 0
    assert "Stream ffmpeg: a publisher comes from 127.0.0.1" in caplog.text
    assert "DTLS failed: the handshake broke off at the publisher's certificate, ECDSA secp224r1" in caplog.text
    assert "the options cert_file and key_file" in caplog.text
    assert list((tmp_path / "out").iterdir()) == []


def test_each_publisher_has_its_lines_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With time more refusals would be logged: here it stands.
    monkeypatch.setattr(face, "RateLimit", lambda clock, **share: RateLimit(FakeClock(), **share))

    async def scene(url: str) -> None:
        async with aiohttp.ClientSession(url) as client:
            for _ in range(30):
                await client.post("/whip/talk", data="v=0", headers=SDP)
        async with synthetic(url, seconds=1) as media:
            await media.wait()
        # Its goodbye is heard before the endpoint's own.
        await until(lambda: (tmp_path / "out" / "talk-1.ts").exists())

    caplog.set_level("INFO", "recordkit.endpoint")
    with serving(tmp_path / "out") as url:
        asyncio.run(scene(url))
    lines = [record.getMessage() for record in caplog.records if record.name == "recordkit.endpoint"]
    # Whoever knocks on and on does not fill the log.
    refusals = [
        line for line in lines if line.startswith("Refused /whip/talk from 127.0.0.1: 400, The body is no SDP")
    ]
    assert len(refusals) == 20
    comes, records, ends = (line for line in lines if line.startswith("Stream talk"))
    assert comes == "Stream talk: a publisher comes from 127.0.0.1"
    assert records == "Stream talk is being recorded into talk-1.ts"
    assert ends.startswith("Stream talk ended: the publisher went away (talk-1.ts, 0:01, ")
