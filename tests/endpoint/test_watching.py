"""Recordings over HTTP: chunks for the player, files to download, and nothing that the folder does not list."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

import recordkit as rk
from recordkit.endpoint import screening as shown
from recordkit.endpoint import watching
from recordkit.endpoint.screening import Screening
from recordkit.endpoint.shelf import Shelf
from tests.steering import FakeClock

from .rig import CountingDesk, running

ODD = "ümlaut #1 & 50%.ts"
TOKEN = "t0ken-of-the-test"  # noqa: S105 - of these tests alone
FRAMES = 60


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "talk.ts"
    source = rk.Synthetic(width=160, height=90, seconds=FRAMES / 30, realtime=False)
    with rk.Recorder(path) as recorder:
        for frame in source.frames():
            recorder.write(frame)
        recorder.flush()
        recorder.mark("the end")
    recorder.stop()
    return path


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    """A recording with its log, one with an odd name, and what is none: a link, a folder, a pipe, hidden files."""
    inner = tmp_path / "recordings"
    inner.mkdir()
    for file in recorded.parent.iterdir():
        os.link(file, inner / file.name)
    (inner / ODD).write_bytes(recorded.read_bytes())
    (tmp_path / "secret.ts").write_bytes(recorded.read_bytes())
    (inner / "link.ts").symlink_to(tmp_path / "secret.ts")
    (inner / "folder.ts").mkdir()
    os.mkfifo(inner / "pipe.ts")
    for name in (".hidden.ts", "notes.txt", "left.recording.ts"):
        (inner / name).write_bytes(b"x")
    return inner


@asynccontextmanager
async def served(
    folder: Path, clock: FakeClock | None = None, **settings: object
) -> AsyncIterator[aiohttp.ClientSession]:
    screening = Screening(folder, clock or FakeClock())
    async with running(CountingDesk(), screening, **settings) as (_, client):
        yield client


async def ask(
    client: aiohttp.ClientSession, name: str, view: str = "v", **asked: object
) -> tuple[dict, list[bytes]]:  # type: ignore[type-arg]
    parameters = {"view": view} | {key: str(value).lower() for key, value in asked.items()}
    async with client.get(f"/watch/{quote(name)}", params=parameters) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        head, _, rest = (await response.read()).partition(b"\n")
    content, parts = json.loads(head), []
    for size in content.pop("sizes"):
        parts.append(rest[:size])
        rest = rest[size:]
    assert not rest
    return content, parts


async def refused(client: aiohttp.ClientSession, address: str, **options: object) -> tuple[int, str]:
    async with client.get(aiohttp.client.URL(address, encoded=True), **options) as response:  # type: ignore[arg-type]
        return response.status, await response.text()


def test_a_player_gets_what_a_notebook_s_gets(folder: Path) -> None:
    async def scene() -> None:
        async with served(folder) as client:
            status, _ = await ask(client, "talk.ts", ask="open", known=0)
            assert (status["count"], status["growing"], status["width"]) == (FRAMES, False, 160)
            assert status["video"].startswith("avc1.")
            assert [mark["name"] for mark in status["marks"]] == ["the end"]
            content, (data, numbers, *_) = await ask(
                client, "talk.ts", ask="media", number=0, audio=True, bytes=1 << 20
            )
            assert (content["first"], content["next"], content["over"]) == (0, FRAMES, True)
            assert (data[4:8], len(numbers)) == (b"ftyp", 4 * FRAMES)
            content, (image,) = await ask(client, "talk.ts", ask="image", number=7, width=80, known=1)
            assert (content["number"], image[:2]) == (7, b"\xff\xd8")
            assert "marks" not in content  # they are known
            assert (await ask(client, ODD, "w", ask="open"))[0]["count"] == FRAMES
            # No more than asked for, however much that is.
            _, (data, *_) = await ask(client, "talk.ts", ask="media", unit=0, bytes=1 << 40)
            assert len(data) < 2 << 20
            for view, words in (("v", "chunks"), ("w", "left.recording")):
                assert "no player knows" in (await ask(client, "talk.ts", view, ask=words))[0]["fault"]

    asyncio.run(scene())


@pytest.mark.parametrize(
    "name",
    [
        "none.ts",
        "link.ts",
        "folder.ts",
        "pipe.ts",
        ".hidden.ts",
        "notes.txt",
        "..%2Fsecret.ts",
        "%2Fetc%2Fpasswd",
        "%00",
        "talk.flushes.jsonl",
    ],
)
def test_what_the_folder_does_not_list_is_not_there(folder: Path, name: str) -> None:
    async def scene() -> None:
        async with served(folder) as client:
            for address in (f"/watch/{name}?view=v&ask=open", f"/recordings/{name}"):
                status, words = await refused(client, address)
                assert status == 404
                assert "There is no recording of this name" in words

    asyncio.run(scene())


def test_what_is_unfinished_is_not_downloaded_and_says_what_is_wrong_with_it(folder: Path) -> None:
    async def scene() -> None:
        async with served(folder) as client:
            assert "there is no file of this name yet" in (await refused(client, "/recordings/left.ts"))[1]
            fault = (await ask(client, "left.ts", ask="open"))[0]["fault"]
            assert fault.startswith("left.recording.ts: ")
            assert str(folder) not in fault

    asyncio.run(scene())


@pytest.mark.parametrize(
    "query",
    [
        "ask=open",
        "view=&ask=open",
        "view=a/b&ask=open",
        "view=v&ask=media&number=x",
        "view=v&ask=media&number=-2",
        "view=v&ask=media&media_s=nan",
        "view=v&ask=media&unit=-1",
        "view=v&ask=image&width=100000",
    ],
)
def test_questions_that_no_player_asks(folder: Path, query: str) -> None:
    async def scene() -> None:
        async with served(folder) as client:
            assert (await refused(client, f"/watch/talk.ts?{query}"))[0] == 400

    asyncio.run(scene())


def test_downloads(folder: Path, recorded: Path) -> None:
    data = recorded.read_bytes()

    async def scene() -> None:
        async with served(folder) as client:
            async with client.get("/recordings/talk.ts") as response:
                assert (response.status, await response.read()) == (200, data)
                assert response.content_type == "video/mp2t"
                assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''talk.ts"
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                tag = response.headers["ETag"]
            async with client.head("/recordings/talk.ts", headers={"Range": "bytes=0-9"}) as response:
                assert (response.status, response.headers["Content-Length"]) == (200, str(len(data)))
                assert response.headers["Accept-Ranges"] == "bytes"
            for more in ({}, {"If-Range": tag}):
                async with client.get("/recordings/talk.ts", headers={"Range": "bytes=188-375"} | more) as response:
                    assert (response.status, await response.read()) == (206, data[188:376])
                    assert response.headers["Content-Range"] == f"bytes 188-375/{len(data)}"
            async with client.get(
                "/recordings/talk.ts", headers={"Range": "bytes=9-", "If-Range": '"old"'}
            ) as response:
                assert (response.status, len(await response.read())) == (200, len(data))
            async with client.get("/recordings/talk.ts", headers={"Range": f"bytes={len(data)}-"}) as response:
                assert (response.status, response.headers["Content-Range"]) == (416, f"bytes */{len(data)}")
                assert f"has {len(data)} bytes" in await response.text()
            async with client.get(f"/recordings/{quote(ODD, safe='')}") as response:
                assert response.headers["Content-Disposition"].endswith(quote(ODD, safe=""))
                assert await response.read() == data

    asyncio.run(scene())


def test_a_recording_that_is_deleted_while_it_is_watched(folder: Path) -> None:
    async def scene() -> None:
        clock = FakeClock()
        async with served(folder, clock) as client:
            await ask(client, "talk.ts", ask="open")
            (folder / "talk.ts").unlink()
            clock.advance(1)
            content, (data, *_) = await ask(client, "talk.ts", ask="media", number=0, bytes=0)
            assert "was deleted meanwhile" in content["words"]
            assert data
            status, words = await refused(client, "/watch/talk.ts?view=new&ask=open")
            assert (status, "deleted or renamed" in words) == (404, True)
            # Another one of that name is another recording, though somebody still watches the old one.
            os.link(folder / ODD, folder / "talk.ts")
            clock.advance(1)
            assert "was deleted" not in (await ask(client, "talk.ts", "new", ask="open"))[0]["words"]

    asyncio.run(scene())


def test_the_token_is_asked_for_and_no_other_page_may_read(folder: Path) -> None:
    async def scene() -> None:
        here = {"Origin": "https://here.example"}
        async with served(folder, token=TOKEN, allowed_origins=["*"]) as client:
            for address in (
                "/recordings/talk.ts",
                "/watch/talk.ts?view=v&ask=open",
                "/watch/talk.ts?view=v&ask=gone",
            ):
                assert (await refused(client, address))[0] == 401
                async with client.get(address, headers=here | {"Authorization": f"Bearer {TOKEN}"}) as response:
                    assert response.status in (200, 204)
                    assert "Access-Control-Allow-Origin" not in response.headers
                    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        async with served(folder) as client:
            assert (await refused(client, "/recordings/talk.ts", headers={"Host": "evil.example"}))[0] == 403

    asyncio.run(scene())


def test_too_many_are_told_so_and_who_asks_no_more_makes_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "MOST_VIEWS", 2)
    monkeypatch.setattr(watching, "MOST_DOWNLOADS", 0)

    async def scene() -> None:
        clock = FakeClock()
        screening = Screening(folder, clock)
        async with running(CountingDesk(), screening) as (_, client):
            for view in ("one", "two"):
                await ask(client, "talk.ts", view, ask="open")
            status, words = await refused(client, "/watch/talk.ts?view=three&ask=open")
            assert (status, "2 players are open already" in words) == (503, True)
            assert (await refused(client, "/watch/talk.ts?view=two&ask=gone"))[0] == 204
            await ask(client, "talk.ts", "three", ask="open")
            clock.advance(shown.IDLE_S + 1)
            screening.look()
            assert screening.watched == 0
            await ask(client, "talk.ts", "four", ask="look")
            assert "are being downloaded already" in (await refused(client, "/recordings/talk.ts"))[1]

    asyncio.run(scene())


def test_the_page_lists_what_is_finished_with_links_that_stay_under_its_path(folder: Path) -> None:
    async def scene() -> None:
        async with served(folder) as client, client.get("/") as response:
            text = await response.text()
            assert f'href="recordings/{quote(ODD, safe="")}"' in text
            assert 'aria-label="Play talk.ts"' in text
            assert "0:02<small>duration" in text
            for name in ("link.ts", "secret", ".hidden.ts", "pipe.ts", "left"):
                assert name not in text
            links = re.findall(r"""(?:href|src|import|address)[=(]["'`]([^"'`]+)""", text)
            assert len(links) > 5
            assert not [one for one in links if one.startswith(("/", "http"))]
            for address, kind in (("player.js", "text/javascript"), ("player.css", "text/css")):
                async with client.get(f"/{address}") as got:
                    assert (got.status, got.content_type) == (200, kind)

    asyncio.run(scene())


def test_the_newest_come_first_and_only_logs_tell_durations(folder: Path) -> None:
    os.utime(folder / ODD, (1e9, 1e9))
    shelf = Shelf(folder)
    entries = list(shelf.entries().values())
    assert [one.name for one in entries if one.is_finished] == ["talk.ts", ODD]
    for _ in range(2):  # the second time without a look at the log
        told = {one.name: one.duration_s for one in shelf.durations(entries)}
        assert told[ODD] is None
        assert told["talk.ts"] == pytest.approx(2.0, abs=0.1)
        (folder / "talk.flushes.jsonl").unlink(missing_ok=True)
