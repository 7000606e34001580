"""Streams of a WHEP server: what is recorded, what a server may refuse, and that it is asked again."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from recordkit.background.description import describe, restore
from recordkit.endpoint.whep import Whep
from recordkit.errors import SettingsError, SourceError
from recordkit.recorder.record import record
from recordkit.sources.reconnect import Reconnect
from recordkit.sources.webrtc import peer_internals
from recordkit.verification.verify import verify
from tests.endpoint.rig import until
from tests.endpoint.whep_server import serving

TOKEN = "opensesame"  # noqa: S105 - of these tests


def told(events: Any, kind: str) -> list[dict[str, Any]]:
    return list(events[events["kind"] == kind]["fields"])


def test_a_server_that_goes_away_or_falls_silent_is_asked_again(tmp_path: Path) -> None:
    stop, how = threading.Event(), Reconnect("50ms", silence_s="1s")
    begun: list[Any] = []

    async def frames() -> None:
        """Until all is well, and more has come."""
        await until(lambda: bool(begun) and begun[0].degraded_because is None)
        so_far = begun[0].counters.video_units
        await until(lambda: begun[0].counters.video_units >= so_far + 5)

    async def scene() -> Any:
        async with serving() as server:
            source = Whep(server.url, token=TOKEN, audio=False, reconnect=how)
            recording = asyncio.create_task(
                asyncio.to_thread(record, source, tmp_path / "talk.ts", stop=stop, on_start=begun.append)
            )
            await frames()
            await server.peers[0].close()
            await until(lambda: len(server.peers) > 1)
            await frames()
            so_far = len(server.peers)
            peer_internals.cut_sockets(server.peers[-1])
            await until(lambda: len(server.peers) > so_far)
            await frames()
            stop.set()
            done = await recording
            assert server.shown == [f"Bearer {TOKEN}"] * len(server.peers)
            assert server.ended == len(server.peers)
            return done

    recording = asyncio.run(scene())
    events = recording.events
    # A busy machine may make pauses of its own, before and after, and one that lasts to the end.
    because = [one["because"] for one in told(events, "degraded") if one["part"] == "source"]
    silence = "the source is away: nothing came for 1 s"
    assert [one for one in because if one != silence] == ["the source is away: the server closed the connection"]
    assert because[-1] == silence
    assert len(told(events, "reconnect")) >= 2
    assert [one["part"] for one in told(events, "restored")].count("source") in (len(because), len(because) - 1)
    found = verify(tmp_path / "talk.ts", decode=True)
    assert found.ok, found.problems
    assert recording.counters.received is not None
    assert recording.counters.received.received_units >= 15
    assert TOKEN not in events.to_string() + repr(recording)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (web.Response(status=401), "wants a token"),
        (web.Response(status=404, text="no stream\n"), r"has no such stream.*\(404: no stream\)"),
        (web.Response(status=503), "is in trouble"),
        (web.Response(status=406), r"does not take the offer, and makes none itself \(406\)"),
        (web.Response(status=406, text="v=0\r\n"), r"does not say where its answer is to go"),
        (
            web.Response(status=406, text="v=0\r\n", headers={"Location": "s/1"}),
            "makes an offer that cannot be taken",
        ),
        (web.Response(status=200, text="<html>"), "is no SDP"),
        (web.Response(status=201, text="v=0\r\nm=nonsense"), "cannot be taken|neither video nor audio"),
        (web.Response(status=307, headers={"Location": "ftp://127.0.0.1/x"}), "neither http nor https"),
    ],
)
def test_what_a_server_refuses_is_told_in_words(tmp_path: Path, answer: web.Response, words: str) -> None:
    async def scene() -> None:
        async with serving(answer) as server:
            with pytest.raises(SourceError, match=words):
                await asyncio.to_thread(record, Whep(server.url, reconnect=Reconnect()), tmp_path / "talk.ts")

    asyncio.run(scene())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("audio", [True, False], ids=["both", "video alone"])
def test_a_server_that_makes_the_offer_itself_is_answered(tmp_path: Path, audio: bool) -> None:
    stop = threading.Event()
    begun: list[Any] = []

    async def scene() -> Any:
        async with serving(is_offering=True) as server:
            source = Whep(server.url, token=TOKEN, audio=audio)
            recording = asyncio.create_task(
                asyncio.to_thread(record, source, tmp_path / "talk.ts", stop=stop, on_start=begun.append)
            )
            await until(lambda: bool(begun) and begun[0].counters.video_units >= 10)
            stop.set()
            done = await recording
            (answer,) = server.took
            assert answer.count("a=recvonly") == 1 + audio
            assert "x-google" not in answer
            assert server.ended == 1
            return done

    recording = asyncio.run(scene())
    found = verify(tmp_path / "talk.ts", decode=True)
    assert found.ok, found.problems
    assert len(found.streams) == 1 + audio
    assert recording.counters.received.received_units >= 10


def test_an_answer_that_is_not_taken_is_told_in_words(tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving(is_offering=True) as server:
            server.refusal = web.Response(status=409, text="too late\n")
            with pytest.raises(SourceError, match=r"does not take the answer to its own offer \(409: too late\)"):
                await asyncio.to_thread(record, Whep(server.url), tmp_path / "talk.ts")
            assert server.ended == 1

    asyncio.run(scene())


def test_redirects_end_and_take_no_token_elsewhere(tmp_path: Path) -> None:
    async def scene() -> None:
        again = [web.Response(status=308, headers={"Location": "/cam/whep"}) for _ in range(9)]
        async with serving(*again) as server, serving(web.Response(status=404)) as other:
            source = Whep(server.url, token=TOKEN)
            with pytest.raises(SourceError, match="redirects more than 5 times"):
                await asyncio.to_thread(record, source, tmp_path / "talk.ts")
            server.answers = [web.Response(status=307, headers={"Location": other.url})]
            with pytest.raises(SourceError, match="404"):
                await asyncio.to_thread(record, source, tmp_path / "talk.ts")
            assert other.shown == [None]

    asyncio.run(scene())


def test_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be reached"):
        record(Whep("http://127.0.0.1:9/cam/whep"), tmp_path / "talk.ts")


def test_it_travels_and_shows_no_secret() -> None:
    source = Whep("whep+http://me:secret@127.0.0.1/cam", token=TOKEN, reconnect=Reconnect(give_up_after=60))
    assert source.url.startswith("http://")
    assert restore("source", describe("source", source)) == source
    assert "secret" not in repr(source) + source.name
    assert TOKEN not in repr(source)


@pytest.mark.parametrize(
    "wrong", [{"url": "cam"}, {"url": "ftp://a/b"}, {"token": "a\nb"}, {"video": False, "audio": False}]
)
def test_what_is_no_stream_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as raised:
        Whep(**{"url": "http://127.0.0.1/cam/whep", **wrong})
    assert "a\nb" not in str(raised.value)


async def _recorded(path: Path, how: Reconnect, **settings: Any) -> tuple[Any, Any]:
    """A server whose media stop after half a second while it goes on answering; what was recorded."""
    stop, begun = threading.Event(), list[Any]()
    async with serving() as server:
        for name, value in settings.items():
            setattr(server, name, value)
        source = Whep(server.url, reconnect=how)
        recording = asyncio.create_task(asyncio.to_thread(record, source, path, stop=stop, on_start=begun.append))
        await until(lambda: bool(begun) and begun[0].counters.video_units > 15)
        server.sessions.clear()
        peer_internals.cut_sockets(server.peers[0])
        await until(lambda: len(server.peers) > 1)
        so_far = begun[0].counters.video_units
        await until(lambda: begun[0].counters.video_units > so_far + 5)
        stop.set()
        return await recording, server


def test_a_server_that_does_not_know_the_session_any_more_is_asked_again_at_once(tmp_path: Path) -> None:
    recording, server = asyncio.run(_recorded(tmp_path / "talk.ts", Reconnect("50ms", silence_s=60)))
    events = recording.events
    assert [one["because"] for one in told(events, "degraded") if one["part"] == "source"] == [
        "the source is away: nothing comes, and the server does not know the session any more (404)"
    ]
    assert server.asked[0].splitlines()[0].startswith("m=")
    assert server.asked[0].endswith("a=end-of-candidates\r\n")
    (gap,) = [one for one in told(events, "gap") if one["stream"] == 0]
    assert told(events, "reconnect")[-1]["seconds"] <= gap["seconds"] + 0.1
    assert 0.4 < gap["seconds"] < 30


def test_a_server_that_never_knew_the_session_says_nothing_by_that(tmp_path: Path) -> None:
    recording, server = asyncio.run(
        _recorded(tmp_path / "talk.ts", Reconnect("50ms", silence_s=2), knows_none=True)
    )
    assert len(server.asked) >= 2
    assert [one["because"] for one in told(recording.events, "degraded") if one["part"] == "source"] == [
        "the source is away: nothing came for 2 s"
    ]
