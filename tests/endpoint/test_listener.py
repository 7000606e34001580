"""Connections count from their first moment on, in fair shares, and never take what a recording needs."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from recordkit.endpoint import listener as listening
from recordkit.endpoint.listener import Listener
from recordkit.endpoint.settings import WhipSettings
from recordkit.recorder.capacity import Capacity
from tests.endpoint.rig import tls_files
from tests.steering import GUARD_S

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Left(Capacity):
    """A process that may open so many files more."""

    def __init__(self, descriptors: int | None = None) -> None:
        super().__init__()
        self.left = descriptors

    def descriptors(self) -> int | None:
        return self.left


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate and its key."""
    return tls_files(tmp_path_factory.mktemp("tls"))


@contextlib.asynccontextmanager
async def serving(capacity: Capacity | None = None, pem: tuple[str, str] | None = None) -> AsyncIterator[Listener]:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    application = web.Application()
    application.add_routes([web.get("/", hello)])
    files = {} if pem is None else dict(zip(("certificate", "key"), pem, strict=True))
    one = Listener(WhipSettings(port=0, **files), application, capacity or Left())  # type: ignore[arg-type]
    await one.start()
    try:
        yield one
    finally:
        await one.stop()
        assert len(one._shares) == 0
        assert not [task for task in asyncio.all_tasks() if "recordkit" in task.get_name()]


async def silent(one: Listener, address: str, count: int) -> list[Streams]:
    """Connections from ``address`` that send nothing."""
    port = int(one.url.rpartition(":")[2])
    return [await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0)) for _ in range(count)]


async def is_answered(one: Listener, address: str, pem: tuple[str, str] | None = None) -> bool:
    tls = True if pem is None else ssl.create_default_context(cafile=pem[0])
    if isinstance(tls, ssl.SSLContext):
        tls.check_hostname = False
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(address, 0), ssl=tls)) as client,
            client.get(one.url) as response,
        ):
            return await response.text() == "hello"
    except aiohttp.ClientError:
        return False


@pytest.mark.parametrize("path", [b"/", b"/nothing"])
@pytest.mark.parametrize(
    ("expected", "status"),
    [(b"100-continue", b"100"), (b"100-Continue", b"100"), (b"a miracle", b"417"), (b"10\xac", b"417")],
)
def test_what_cannot_be_expected_is_refused_whatever_its_bytes_are(
    path: bytes, expected: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with asyncio.timeout(GUARD_S), serving() as one:
            reader, writer = (await silent(one, "127.0.0.2", 1))[0]
            writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nExpect: " + expected + b"\r\n\r\n")
            assert (await reader.readline()).split()[1] == status
            writer.close()

    asyncio.run(scene())
    assert not caplog.records


@pytest.mark.parametrize("is_secure", [False, True])
def test_silent_connections_of_one_address_do_not_keep_others_out(
    monkeypatch: pytest.MonkeyPatch, pem: tuple[str, str], *, is_secure: bool
) -> None:
    monkeypatch.setattr(listening, "MOST_CONNECTIONS", 16)

    async def scene() -> None:
        files = pem if is_secure else None
        async with asyncio.timeout(GUARD_S), serving(pem=files) as one:
            opened = await silent(one, "127.0.0.2", 16)
            while len(one._shares) < 16:
                await asyncio.sleep(0)
            # Its own seventeenth is one too many, whether or not any of them has shaken hands.
            reader, writer = (await silent(one, "127.0.0.2", 1))[0]
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            assert await is_answered(one, "127.0.0.3", files)
            with contextlib.suppress(ConnectionError):
                assert await opened[0][0].read() == b""  # the oldest had to go
            for _, writer in opened:
                writer.close()
            while len(one._shares):
                await asyncio.sleep(0)
            assert await is_answered(one, "127.0.0.2", files)

    asyncio.run(scene())


def test_a_handshake_that_never_comes_is_counted_until_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch, pem: tuple[str, str]
) -> None:
    monkeypatch.setattr(listening, "_TLS_HANDSHAKE_S", 0.05)

    async def scene() -> None:
        async with asyncio.timeout(GUARD_S), serving(pem=pem) as one:
            entered, enter = [], one._shares.enter
            monkeypatch.setattr(one._shares, "enter", lambda *given: entered.append(enter(*given)) or entered[-1])
            ((reader, writer),) = await silent(one, "127.0.0.2", 1)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            assert entered != [None]
            assert (len(entered), len(one._shares)) == (1, 0)
            writer.close()

    asyncio.run(scene())


def test_what_is_no_http_is_told_in_words_and_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with asyncio.timeout(GUARD_S), serving() as one:
            for _ in range(8):
                ((reader, writer),) = await silent(one, "127.0.0.2", 1)
                writer.write(b"HEAD /\xc3\xa9\x1b[2J HTTP/1.1\r\n\r\n")
                assert (await reader.read()).startswith(b"HTTP/1.0 400")
                writer.close()
            assert await is_answered(one, "127.0.0.2")

    asyncio.run(scene())
    told = [one for one in caplog.records if "is no HTTP" in one.getMessage()]
    assert [one.getMessage()[-10:] for one in told] == [f"({count} so far)" for count in (1, 2, 4, 8)]
    assert all(one.exc_info is None and "\x1b" not in one.getMessage() for one in caplog.records)


def test_nobody_comes_in_with_what_recordings_need(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        capacity = Left(listening.RESERVED_DESCRIPTORS - 1)
        async with asyncio.timeout(GUARD_S), serving(capacity) as one:
            for _ in range(5):
                assert not await is_answered(one, "127.0.0.2")
            capacity.left = listening.RESERVED_DESCRIPTORS
            assert await is_answered(one, "127.0.0.2")
        told = [int(count) for count in re.findall(r"too few descriptors are left \((\d+) so far", caplog.text)]
        assert told[:3] == [1, 2, 4]  # a client may ask more than once
        assert set(told[3:]) <= {8, 16}

    asyncio.run(scene())


def test_it_goes_on_listening_after_the_system_gave_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_RETRY_S", 0.0)

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        accept, failures = loop.sock_accept, [OSError(24, "none"), ConnectionAbortedError()]

        async def faulty(listener):  # type: ignore[no-untyped-def]
            if failures:
                raise failures.pop()
            return await accept(listener)

        monkeypatch.setattr(loop, "sock_accept", faulty)
        async with asyncio.timeout(GUARD_S), serving() as one:
            assert await is_answered(one, "127.0.0.2")
            assert not failures

    asyncio.run(scene())
