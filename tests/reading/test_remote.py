"""Recordings at a URL, read by ranges."""

import asyncio
import shutil
import threading
from contextlib import contextmanager, suppress

import fsspec
import pandas as pd
import pytest
from aiohttp import web
from fsspec.implementations.memory import MemoryFileSystem

import recordkit as rk
from recordkit.errors import SourceError
from recordkit.playback.film import Film
from recordkit.reading.remote import RangeStore, remote
from recordkit.sources.marks import read_frame_number
from tests.media import make_clip

FINE = rk.VideoSettings(preset="ultrafast", crf=4)
"""So that there are more bytes than opening looks at."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("remote") / "talk.ts"
    rk.record(rk.Synthetic(320, 180, seconds=3, realtime=False), path, video=FINE)
    return path


@pytest.fixture
def there(recorded, monkeypatch):
    """A folder in fsspec's memory, and how many bytes were asked of it."""
    files = fsspec.filesystem("memory")
    for path in (recorded, recorded.with_suffix(".frames")):
        files.pipe_file(f"/folder/{path.name}", path.read_bytes())
    asked = []
    whole = MemoryFileSystem.cat_file

    def counted(self, path, start=None, end=None, **options):
        data = whole(self, path, start=start, end=end, **options)
        asked.append((path, len(data)))
        return data

    monkeypatch.setattr(MemoryFileSystem, "cat_file", counted)
    yield asked
    files.rm("/folder", recursive=True)


@contextmanager
def served(folder, answer=None):
    """The files of a folder by HTTP, which knows ranges, on a thread of its own; the server's address.

    With ``answer``, what that makes of each request instead.
    """
    loop, begun, address = asyncio.new_event_loop(), threading.Event(), []

    async def begin():
        app = web.Application()
        if answer is None:
            app.router.add_static("/", folder)
        else:
            app.router.add_get("/{name}", answer)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address.append(runner.addresses[0][1])
        begun.set()
        return runner

    def serve():
        runner = loop.run_until_complete(begin())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve, name="files by HTTP")
    thread.start()
    assert begun.wait(60)
    try:
        yield f"http://127.0.0.1:{address[0]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)


def test_a_recording_is_opened_by_its_frame_table_and_read_by_blocks(recorded, there, monkeypatch):
    monkeypatch.setattr("recordkit.reading.remote._BLOCK_BYTES", 4096)
    with rk.open(recorded) as here, rk.open("memory://folder/talk.ts") as video:
        assert video._track.is_from_table
        opened = sum(count for path, count in there if path.endswith(".ts"))
        assert opened < recorded.stat().st_size / 2
        pd.testing.assert_frame_equal(video.frames, here.frames)
        assert [read_frame_number(video[number].frame) for number in (80, 3, 81)] == [80, 3, 81]
        samples, rate = video.audio(1, 2)
        assert (samples.shape, rate) == ((48_000, 2), 48_000)
        assert abs(samples).max() > 0.01


def test_an_mp4_is_opened_by_its_tables(there, tmp_path):
    path = make_clip(tmp_path / "clip.mp4", seconds=2, size=(320, 180), options={"bf": "2"})
    fsspec.filesystem("memory").pipe_file("/folder/clip.mp4", path.read_bytes())
    with rk.open("memory://folder/clip.mp4") as video:
        assert video._track.is_from_table
        assert [read_frame_number(video[number].frame) for number in (50, 3, 51)] == [50, 3, 51]
        assert video.audio(0.5, 1)[1] == 48_000


def test_over_http_with_ranges(recorded):
    with served(recorded.parent) as address:
        with rk.open(f"{address}/talk.ts") as video:
            assert video._track.is_from_table
            assert read_frame_number(video[70].frame) == 70
        with rk.open(f"{address}/talk.ts?signed={'0' * 300}") as video:
            assert video._track.is_from_table
            with pytest.raises(IndexError, match=rf"^{address}/talk.ts.signed=\*\*\* has no frame 90:"):
                video[90]
        with pytest.raises(SourceError):
            rk.open(f"{address}/none.ts")


@pytest.mark.parametrize("name", ["talk.ts", "talk.mp4"])
def test_what_is_secret_in_a_url_is_not_shown(recorded, tmp_path, name):
    shutil.copy(recorded, tmp_path / "talk.ts")
    rk.export(recorded, tmp_path / "talk.mp4")
    with served(tmp_path) as address:
        url = f"{address.replace('://', '://joe:pw1@')}/{name}?token=t0ken"
        with rk.open(url) as video:
            assert repr(video).startswith(f"<Video {address.replace('://', '://***@')}/{name}?token=***, 90 frames")
            with pytest.raises(IndexError) as told:
                video.at(99)
            # What reads it again has them, though.
            assert {task[1].path for task in dict(video.to_dask().dask).values()} == {url}
            with rk.open(video) as again:
                assert (again.place, len(again)) == (url, 90)
            film = Film(video)
            assert (film.title, film.refresh()) == (name, 90)
            film.close()
        with pytest.raises(SourceError) as refused:
            rk.open(url.replace(name, "none.ts"))
        assert "pw1" not in str(refused.value)
        assert "t0ken" not in str(refused.value)
    assert "pw1" not in str(told.value)
    assert "t0ken" not in str(told.value)


def test_blocks_are_kept_and_let_go(there):
    store = RangeStore("memory://folder/talk.ts")
    before = len(there)
    assert store.read(10, 20) == store.read(0, 40)[10:20]
    assert len(there) == before + 1
    assert store.read(store.size - 3, store.size + 99) == store.read(0, store.size)[-3:]
    assert store.read(store.size, store.size + 1) == b""
    store.close()
    store.read(0, 1)
    assert len(there) > before + 1


def test_what_is_changed_or_gone_is_told(there):
    store = RangeStore("memory://folder/talk.ts")
    store.close()
    fsspec.filesystem("memory").pipe_file("/folder/talk.ts", b"short")
    with pytest.raises(SourceError, match="has changed"):
        store.read(0, 100)
    fsspec.filesystem("memory").rm("/folder/talk.ts")
    with pytest.raises(SourceError, match=r"memory://folder/talk.ts.*cannot be read"):
        RangeStore("memory://folder/talk.ts")


@pytest.mark.parametrize("url", ["rtsp://camera/1", "http://server/live.m3u8", "unheard-of://x/y.ts", "talk.ts"])
def test_what_has_no_ranges_is_left_to_libavformat(url):
    assert remote(url) is None


def test_a_server_that_knows_no_ranges_is_told_of_before_all_comes():
    sent = []

    async def all_of_it(request):
        response = web.StreamResponse(headers={"Content-Length": str(1 << 30)})
        await response.prepare(request)
        with suppress(ConnectionError):
            while request.method == "GET":
                await response.write(bytes(1 << 20))
                sent.append(request.path)
        return response

    with (
        served(None, all_of_it) as address,
        pytest.raises(SourceError, match="server sends no part of it"),
    ):
        rk.open(f"{address}/talk.ts")
    assert len(sent) < 100


def test_what_has_no_length_is_told():
    async def endless(request):
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(bytes(4096))
        return response

    with served(None, endless) as address, pytest.raises(SourceError, match="does not say how long it is"):
        rk.open(f"{address}/talk.ts")


@pytest.mark.parametrize("text", ["#EXTM3U\n", "\ufeff#EXTM3U\n", "v=0\r\n", '<?xml version="1.0"?>\n<MPD>'])
def test_a_playlist_is_known_by_its_words(there, text):
    fsspec.filesystem("memory").pipe_file("/folder/live", text.encode())
    assert remote("memory://folder/live") is None


def test_what_is_no_film_is_told_by_its_url(there):
    fsspec.filesystem("memory").pipe_file("/folder/text.ts", b"not a film")
    with pytest.raises(SourceError, match=r"^memory://folder/text\.ts: cannot be opened"):
        rk.open("memory://folder/text.ts")


def test_errors_of_any_file_system_are_told(there, monkeypatch):
    class NoCredentialsError(Exception):
        """As botocore's: of no family."""

    def refuse(*_, **__):
        raise NoCredentialsError("Unable to locate credentials")

    with monkeypatch.context() as patched:
        patched.setattr(MemoryFileSystem, "info", refuse)
        with pytest.raises(SourceError, match=r"talk\.ts: cannot be read: Unable to locate credentials"):
            rk.open("memory://folder/talk.ts")


def test_of_a_table_that_is_none_only_the_head_is_read(there):
    fsspec.filesystem("memory").pipe_file("/folder/talk.frames", b"no table" * 100_000)
    with rk.open("memory://folder/talk.ts") as video:
        assert not video._track.is_from_table
    assert [count for path, count in there if path.endswith(".frames")] == [40]
