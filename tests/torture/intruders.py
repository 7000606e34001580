"""Hostile requests, offers and connections to an endpoint that records: it goes on, says no, and grows by nothing.

All come from addresses of 127.0.0.0/8, so that no limit for one address keeps them from what lies behind it.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

import psutil

import recordkit as rk
from recordkit.endpoint.serve import serve
from recordkit.endpoint.whip import Whip
from recordkit.system import give_back_freed_memory

from ..endpoint.rig import an_offer, synthetic
from .children import Child, Nursery
from .outcome import Kind, Outcome, Trial

REQUESTS, CONNECTIONS = 100, 20
_ABREAST = 10
_MOST_MEMORY_BYTES = 400_000_000
_ANSWER_S = 30.0
_HEAD = "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
_PATHS = (
    "/",
    "/whip/a",
    "/whip/../x",
    "/whip/%00",
    "/whip/" + "a" * 3000,
    "/whip/a/b",
    "/whip/é",
    "//",
    "*",
    "/look.css",
)
_METHODS = ("GET", "POST", "DELETE", "PATCH", "OPTIONS", "PUT", "HEAD", "TRACE", "CONNECT", "BREW", "\x00")
_FIELDS = (
    "Content-Length: 99999999999", "Content-Length: -1", "Transfer-Encoding: chunked", "Content-Encoding: gzip",
    "Content-Type: application/sdp", "Content-Type: " + "x" * 9000, "Host: evil.example", "Origin: null",
    "Authorization: Bearer \xff", "Authorization: Basic ====", "Expect: 100-continue", "Upgrade: websocket",
    "Range: bytes=0-",
)  # fmt: skip


def serving(folder: str, told: str) -> None:
    """Serve into ``folder`` until interrupted; the URL is told in the file ``told``."""

    def ready(url: str) -> None:
        new = Path(told).with_suffix(".new")
        new.write_text(url)
        new.rename(told)

    give_back_freed_memory()
    whip = Whip(port=0, name_template="{stream}-{counter}.ts", connect_timeout=1)
    serve(folder, whip, on_ready=ready, flush_interval=0.25)


def _damaged(chance: random.Random, offer: str) -> bytes:
    """An offer of which some lines are gone, cut, doubled, with other numbers or other characters."""
    lines = offer.splitlines()
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(lines))
        way = chance.randrange(6)
        if way == 0 and len(lines) > 1:
            del lines[at]
        elif way == 1:
            lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
        elif way == 2:
            lines.insert(at, chance.choice(lines))
        elif way == 3:
            lines[at] = re.sub(r"\d+", lambda _: str(chance.choice([-1, 0, 300, 10**30])), lines[at])
        elif way == 4:
            lines[at:at] = [f"a=candidate:1 1 udp 1 127.0.0.1 {port} typ host" for port in range(1, 200)]
        else:
            lines[at] = "".join(chr(chance.choice([9, 32, 58, 61, 0x20AC, 0])) for _ in range(9)) + lines[at]
    return ("\r\n".join(lines) + "\r\n").encode()


def _offer(chance: random.Random, offer: str) -> bytes:
    body = _damaged(chance, offer)
    head = _HEAD.format(method="POST", path=f"/whip/in{chance.randrange(99)}")
    return f"{head}Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _request(chance: random.Random) -> bytes:
    head = _HEAD.format(method=chance.choice(_METHODS), path=chance.choice(_PATHS))
    fields = "".join(f"{one}\r\n" for one in chance.sample(_FIELDS, chance.randrange(5)))
    data = bytearray(
        f"{head}{fields}\r\n".encode("utf-8", "replace") + chance.randbytes(chance.choice([0, 10, 100_000]))
    )
    for _ in range(chance.choice([0, 0, 0, 3])):
        data[chance.randrange(min(len(data), 200))] = chance.randrange(256)
    return bytes(data)


async def _answered(port: int, address: str, data: bytes, *, is_all: bool = True) -> int | None:
    """The status that the endpoint answers with; None if it only closes. Raises TimeoutError.

    If the data ``is_all`` no more of it is waited for, and the sender says that it sends no more.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        async with asyncio.timeout(_ANSWER_S):
            with suppress(ConnectionError):
                writer.write(data)
                if is_all:
                    writer.write_eof()
                found = re.match(rb"HTTP/1\.1 (\d{3})", await reader.read(1 << 16))
                return int(found[1]) if found else None
    finally:
        writer.close()
    return None


def _address(chance: random.Random) -> str:
    return f"127.{chance.randrange(1, 200)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"


async def _asked(seed: int, port: int, offer: str) -> list[str]:
    """One batch of requests, half of them offers; what was answered as it should not be."""
    chance = random.Random(seed)
    faults: list[str] = []
    turns = asyncio.Semaphore(_ABREAST)

    async def one(address: str, data: bytes, *, is_all: bool) -> None:
        async with turns:
            try:
                status = await _answered(port, address, data, is_all=is_all)
            except TimeoutError:
                faults.append(f"no answer to {data[:200]!r}")
                return
            if status == 500:
                faults.append(f"500 to {data[:2000]!r}")

    made = [
        (number % 2 == 0, _request(chance) if number % 2 == 0 else _offer(chance, offer))
        for number in range(REQUESTS)
    ]
    await asyncio.gather(*(one(_address(chance), data, is_all=is_all) for is_all, data in made))
    return faults


async def _connected(seed: int, port: int, _: str) -> list[str]:
    """One batch of connections at once that are silent, stop in the middle, or send what is no HTTP."""
    chance = random.Random(seed)
    writers: list[asyncio.StreamWriter] = []
    for _number in range(CONNECTIONS):
        address = _address(chance) if chance.random() < 0.5 else "127.0.0.9"
        _reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        writers.append(writer)
        beginning = (
            b"",
            b"GET / HT",
            b"\x16\x03\x01\x02\x00\x01\x00",
            chance.randbytes(500),
            b"POST /whip/a HTTP/1.1\r\n",
        )
        with suppress(ConnectionError):
            writer.write(chance.choice(beginning))
            if chance.random() < 0.3:
                writer.transport.abort()
    await asyncio.sleep(0)
    for writer in writers:
        writer.close()
    return []


_Batch = Callable[[int, int, str], Awaitable[list[str]]]


@contextmanager
def _intruded(folder: Path, batch: _Batch) -> Iterator[Trial]:
    out, told = folder / "out", folder / "url"
    with Nursery(folder / "children.log") as nursery, asyncio.Runner() as runner:
        child = nursery.start("torture.intruders:serving", str(out), str(told))
        child.until(told.exists)
        url = told.read_text()
        port = int(url.rpartition(":")[2])
        offer = runner.run(an_offer())
        stack, said_before = AsyncExitStack(), 0
        runner.run(stack.enter_async_context(synthetic(url)))

        async def trial_of(seed: int) -> list[str]:
            before, page = _recorded(out), _HEAD.format(method="GET", path="/").encode() + b"\r\n"
            faults = list(await batch(seed, port, offer))
            async with asyncio.timeout(_ANSWER_S):
                if await _answered(port, "127.0.0.1", page, is_all=False) != 200:
                    faults.append("the status page is not there any more")
                while _recorded(out) <= before:
                    await asyncio.sleep(0.05)
            return faults

        def trial(seed: int, _: Path) -> Outcome:
            nonlocal said_before
            try:
                faults = runner.run(trial_of(seed))
            except TimeoutError:
                faults = ["the recording does not grow any more"]
            # The partial of one who never connected goes with him.
            faults += [f"recorded {one.name}" for one in out.glob("in*.ts") if ".recording." not in one.name]
            said = nursery.log.read_text(errors="replace")
            if (begins := said.find("Traceback", said_before)) >= 0:
                faults.append(said[begins : begins + 3000])
            said_before = len(said)
            memory = 0 if child.has_ended() else psutil.Process(child.pid).memory_info().rss
            if not 0 < memory < _MOST_MEMORY_BYTES:
                faults.append(f"it takes {memory / 1e6:.0f} MB")
            return Outcome(seed, tuple(faults), figures={"memory_MB": round(memory / 1e6)})

        yield trial
        runner.run(stack.aclose())
        _end(child, out)


def _recorded(out: Path) -> int:
    """Bytes of the recording that is under way."""
    return sum(one.stat().st_size for one in out.glob("talk-1.recording.ts"))


def _end(child: Child, out: Path) -> None:
    """End it as Ctrl-C does: what was recorded meanwhile is whole."""
    os.kill(child.pid, signal.SIGINT)
    assert child.wait() == 0
    assert rk.verify(out / "talk-1.ts", decode=True).ok
    assert not [one for one in out.iterdir() if not one.name.startswith("talk-1.") or ".recording." in one.name]


@contextmanager
def requests(folder: Path) -> Iterator[Trial]:
    """Each trial ``REQUESTS`` of them."""
    with _intruded(folder, _asked) as trial:
        yield trial


@contextmanager
def connections(folder: Path) -> Iterator[Trial]:
    """Each trial ``CONNECTIONS`` of them."""
    with _intruded(folder, _connected) as trial:
        yield trial


KINDS = [
    Kind(f"hostile requests and offers, {REQUESTS} a trial", "no recording ended", requests, 1000, (0,)),
    Kind(f"hostile connections, {CONNECTIONS} a trial", "no recording ended", connections, 500, (0,)),
]
