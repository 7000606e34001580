"""The HTTP face: each request gets the status that RFC 9725 and HTTP have for it, and bad ones begin nothing."""

from __future__ import annotations

import asyncio
import logging
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urljoin

import aiohttp
import pytest
from aiohttp import web
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

from recordkit.endpoint import endpoint as face
from recordkit.endpoint import listener
from recordkit.endpoint import publisher as publishing
from recordkit.endpoint.present import Present, Sink
from recordkit.errors import DiskSpaceError, SettingsError, StateError
from tests.steering import GUARD_S, FakeClock

from .rig import SDP, CountingDesk, CountingSink, an_offer, new_peer, offer_of, publish, running, until

TOKEN = "t0ken-of-the-test"  # noqa: S105 - of these tests alone
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_a_publisher_is_taken_and_its_delete_ends_it() -> None:
    async def scene() -> None:
        desk = CountingDesk()
        async with running(desk, token=TOKEN) as (endpoint, client):
            peer = new_peer()
            offer = await offer_of(peer)
            async with client.post("/whip/talk", data=offer, headers=SDP | BEARER) as response:
                answer, location = await response.text(), response.headers["Location"]
                assert (response.status, response.content_type) == (201, "application/sdp")
            assert re.fullmatch(r"talk/[\w-]{20,}", location)
            location = f"/whip/{location}"
            assert "a=recvonly" in answer
            assert "a=sendonly" not in answer
            await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
            (publisher,) = endpoint.publishers
            await until(lambda: publisher.stage == "live")
            # Its session answers to nothing but DELETE, and only with the token.
            for method, headers, status in (
                ("PATCH", BEARER, 405),
                ("GET", BEARER, 405),
                ("POST", BEARER | SDP, 405),
                ("DELETE", {}, 401),
                ("DELETE", {"Authorization": "Bearer wrong"}, 401),
            ):
                async with client.request(method, location, headers=headers) as response:
                    assert response.status == status, method
                    assert status != 405 or "DELETE" in response.headers["Allow"]
            assert desk.sinks[0].stops == 0
            async with client.delete(location, headers=BEARER) as response:
                assert response.status == 200
            assert endpoint.publishers == []
            assert (desk.sinks[0].starts, desk.sinks[0].stops) == (1, 1)
            async with client.delete(location, headers=BEARER) as response:
                assert response.status == 404
            await peer.close()

    asyncio.run(scene())


BAD = [
    ("no token", "/whip/talk", {}, None, 401),
    ("a wrong token", "/whip/talk", {"Authorization": "Bearer nope"}, None, 401),
    ("a token that is no text", "/whip/talk", {"Authorization": "Bearer \udcff"}, None, 401),
    ("a password where a token belongs", "/whip/talk", {"Authorization": "Basic OnQwa2Vu"}, None, 401),
    ("JSON", "/whip/talk", BEARER | {"Content-Type": "application/json"}, "{}", 415),
    ("no content type", "/whip/talk", BEARER | {"Content-Type": ""}, None, 415),
    ("a compressed body", "/whip/talk", BEARER | {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08", 415),
    ("nothing", "/whip/talk", BEARER, "", 400),
    ("no SDP", "/whip/talk", BEARER, "hello", 400),
    ("no UTF-8", "/whip/talk", BEARER, b"v=0\r\n\xff\xfe", 400),
    ("no media", "/whip/talk", BEARER, "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", 400),
    ("a huge offer", "/whip/talk", BEARER, "v=0\r\n" + "a=x\r\n" * 40_000, 413),
    ("a name that climbs", "/whip/..%2f..%2fetc%2fpasswd", BEARER, None, 400),
    ("a name of dots", "/whip/%2e%2e", BEARER, None, 400),
    ("a name with a zero", "/whip/a%00b", BEARER, None, 400),
    ("a hidden name", "/whip/.hidden", BEARER, None, 400),
    ("a long name", f"/whip/{'a' * 65}", BEARER, None, 400),
    ("no name", "/whip/", BEARER, None, 404),
    ("a folder", "/whip/a/b/c", BEARER, None, 404),
]


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_bad_requests_get_their_status_and_begin_nothing(
    path: str, headers: dict[str, str], body: str | bytes | None, status: int
) -> None:
    async def scene() -> None:
        desk = CountingDesk()
        async with running(desk, token=TOKEN) as (endpoint, client):
            data = await an_offer() if body is None else body
            async with client.post(aiohttp.client.URL(path, encoded=True), data=data, headers=SDP | headers) as got:
                assert got.status == status, await got.text()
                assert status != 401 or got.headers["WWW-Authenticate"].startswith("Bearer")
                assert status != 415 or got.headers["Accept-Post"] == "application/sdp"
            assert endpoint.publishers == []
            assert all(sink.starts == 0 for sink in desk.sinks)

    asyncio.run(scene())


def test_blanks_behind_attributes_are_no_part_of_them() -> None:
    """Pion writes a=rtcp-fb so where there is no parameter; with it taken by the word nothing was sent again."""

    async def scene() -> None:
        async with running(CountingDesk()) as (_, client):
            offer = re.sub(r"(?m)^(a=.*?)\r$", "\\1 \t\r", await an_offer())
            async with client.post("/whip/talk", data=offer, headers=SDP) as response:
                assert response.status == 201, await response.text()
                answer = await response.text()
            for number in re.findall(r"a=rtpmap:(\d+) (?:H264|VP8)/", answer):
                told = re.findall(rf"a=rtcp-fb:{number} (.*)\r\n", answer)
                assert {"nack", "nack pli", "goog-remb"} <= set(told), answer
            assert "a=recvonly" in answer

    asyncio.run(scene())


def test_methods_that_do_not_exist_are_refused_and_options_tell() -> None:
    async def scene() -> None:
        async with running(CountingDesk(), token=TOKEN) as (_, client):
            for method in ("GET", "PUT", "PATCH", "DELETE"):
                async with client.request(method, "/whip/talk", headers=BEARER) as response:
                    assert response.status == 405
                    assert "POST" in response.headers["Allow"]
            async with client.options("/whip/talk") as response:
                assert response.status == 204
                assert response.headers["Accept-Post"] == "application/sdp"
                assert "Access-Control-Allow-Origin" not in response.headers

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("allowed", "origin", "shown"),
    [
        ((), "https://here.example", None),
        (("https://here.example",), "https://here.example", "https://here.example"),
        (("https://here.example",), "https://there.example", None),
        (("*",), "https://there.example", "*"),
    ],
)
def test_pages_of_other_origins_need_leave(allowed: tuple[str, ...], origin: str, shown: str | None) -> None:
    async def scene() -> None:
        async with running(CountingDesk(), token=TOKEN, allowed_origins=allowed) as (_, client):
            for response in (
                await client.options("/whip/talk", headers={"Origin": origin}),
                await client.post("/whip/talk", data="x", headers=SDP | {"Origin": origin}),
            ):
                assert response.headers.get("Access-Control-Allow-Origin") == shown
                exposed = response.headers.get("Access-Control-Expose-Headers", "")
                assert ("Location" in exposed) == (shown is not None)

    asyncio.run(scene())


def test_a_page_may_send_what_trickle_ice_sends_and_reads_the_refusal() -> None:
    async def scene() -> None:
        here = {"Origin": "https://here.example"}
        asked = {
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "content-type,if-match",
        }
        async with running(CountingDesk(), token=TOKEN, allowed_origins=(here["Origin"],)) as (_, client):
            preflight = (await client.options("/whip/talk/abc", headers=here | asked)).headers
            assert "PATCH" in preflight["Access-Control-Allow-Methods"].split(", ")
            assert {"Authorization", "Content-Type", "If-Match"} <= set(
                preflight["Access-Control-Allow-Headers"].split(", ")
            )
            # What is allowed to be sent is still not done.
            assert preflight["Allow"] == "DELETE, OPTIONS"
            fragment = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*"}
            async with client.patch("/whip/talk/abc", headers=here | fragment, data="a=ice-ufrag:new") as response:
                assert response.status == 405
                assert response.headers["Allow"] == "DELETE,OPTIONS"
                assert response.headers["Access-Control-Allow-Origin"] == here["Origin"]
                assert "no ICE restart" in await response.text()

    asyncio.run(scene())


@asynccontextmanager
async def behind_a_path(target: str, prefix: str) -> AsyncIterator[str]:
    """A proxy that hands on what comes under ``prefix`` without it, and the answers as they are; gives its URL."""

    async def hand_on(request: web.Request) -> web.Response:
        url, body = f"{target}/{request.match_info['rest']}", await request.read()
        async with aiohttp.request(
            request.method, url, headers={"Content-Type": request.content_type}, data=body
        ) as got:
            kept = {name: got.headers[name] for name in ("Content-Type", "Location") if name in got.headers}
            return web.Response(status=got.status, body=await got.read(), headers=kept)

    application = web.Application()
    application.router.add_route("*", prefix + "/{rest:.*}", hand_on)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}"
    finally:
        await runner.cleanup()


def test_behind_a_proxy_with_a_path_all_links_stay_under_it() -> None:
    async def scene() -> None:
        async with (
            running(CountingDesk(), publish_page=True) as (endpoint, client),
            behind_a_path(endpoint.url, "/user/me/proxy/8080") as outside,
        ):
            for page in ("/", "/publish"):
                async with client.get(outside + page) as response:
                    text = await response.text()
                links = re.findall(r'''(?:href|src|fetch|new URL)[=(]"([^"]+)"''', text)
                assert len(links) >= 3
                for link in links:
                    assert link == "data:," or urljoin(outside + page, link).startswith(f"{outside}/"), link
            async with client.post(f"{outside}/whip/talk", data=await an_offer(), headers=SDP) as response:
                session = urljoin(str(response.url), response.headers["Location"])
            assert len(endpoint.publishers) == 1
            async with client.delete(session) as response:
                assert response.status == 200
            assert endpoint.publishers == []

    asyncio.run(scene())


def test_the_limit_of_publishers_and_the_disk_give_503_and_when_to_come_back() -> None:
    async def scene() -> None:
        desk = CountingDesk(free=10**9)
        async with running(desk, max_publishers=2) as (endpoint, client):
            offer = await an_offer()
            statuses = []
            for _ in range(3):
                async with client.post("/whip/talk", data=offer, headers=SDP) as response:
                    statuses.append(response.status)
            assert statuses == [201, 201, 503]
            assert response.headers["Retry-After"].isdecimal()
            assert len(endpoint.publishers) == 2
        assert [(sink.starts, sink.stops) for sink in desk.sinks] == [(1, 1), (1, 1)]
        async with (
            running(CountingDesk(free=1000), min_free_bytes=1001) as (_, client),
            client.post("/whip/talk", data=offer, headers=SDP) as response,
        ):
            assert response.status == 503
            assert "nearly full" in await response.text()

    asyncio.run(scene())


def test_offers_that_come_at_once_do_not_slip_past_the_limit() -> None:
    async def scene() -> None:
        desk = CountingDesk()
        async with running(desk, max_publishers=3) as (endpoint, client):
            offer = await an_offer()

            async def one() -> int:
                async with client.post("/whip/talk", data=offer, headers=SDP) as response:
                    return response.status

            statuses = await asyncio.gather(*(one() for _ in range(20)))
            assert sorted(statuses) == [201] * 3 + [503] * 17
            assert len(endpoint.publishers) == len(desk.sinks) == 3

    asyncio.run(scene())


def test_a_recording_that_cannot_begin_is_an_error_of_the_server(
    caplog: pytest.LogCaptureFixture, tmp_path
) -> None:
    async def scene() -> None:
        for fault, status in ((StateError("new", "x", "no"), 500), (DiskSpaceError(tmp_path / "x.ts", 9, 1), 503)):
            desk = CountingDesk(fault=fault)
            async with running(desk) as (endpoint, client):
                async with client.post("/whip/talk", data=await an_offer(), headers=SDP) as response:
                    assert response.status == status
                    assert str(tmp_path) not in await response.text()
                assert endpoint.publishers == []
                assert desk.sinks[0].stops == 1

    with caplog.at_level(logging.CRITICAL, "recordkit"):
        asyncio.run(scene())


def test_thousands_of_requests_are_slowed_down_and_disturb_no_publisher() -> None:
    async def scene() -> None:
        desk = CountingDesk()
        # On a clock that stands, however long so many take: more would be answered with time.
        async with running(desk, clock=FakeClock(), token=None, max_publishers=2) as (endpoint, client):
            peer = new_peer()
            await publish(endpoint, client, peer)
            statuses: list[int] = []

            async def flood() -> None:
                for _ in range(100):
                    async with client.post("/whip/x", data="v=0", headers=SDP) as response:
                        statuses.append(response.status)

            await asyncio.gather(*(flood() for _ in range(20)))
            assert len(statuses) == 2000
            assert set(statuses) == {400, 429}
            assert statuses.count(429) > 1500
            assert [one.stage for one in endpoint.publishers] == ["live"]
            assert len(desk.sinks) == 1
            await peer.close()

    asyncio.run(scene())


def test_who_never_connects_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face, "LOOK_INTERVAL_S", 0.05)

    async def scene() -> None:
        desk, clock = CountingDesk(), FakeClock()
        async with running(desk, clock=clock, connect_timeout=0.2) as (endpoint, client):
            async with client.post("/whip/talk", data=await an_offer(), headers=SDP) as response:
                assert response.status == 201
            clock.advance(0.3)
            await until(lambda: not endpoint.publishers)
            assert desk.sinks[0].stops == 1
            # Whoever wonders where the recording is learns why there is none.
            (row,) = endpoint.ended
            assert row.state == "not connected"
            assert row.reason.startswith("it did not connect within 0.2 s: no datagram came through")

    asyncio.run(scene())


def test_who_sends_nothing_is_ended_where_that_is_asked_for_and_not_before_it_was_connected_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(face, "LOOK_INTERVAL_S", 0.05)

    async def scene() -> None:
        desk, clock, looks = CountingDesk(), FakeClock(), 0
        async with running(desk, clock=clock, max_silence="400ms") as (endpoint, client):
            peer = new_peer()
            await publish(endpoint, client, peer)
            (publisher,) = endpoint.publishers
            look = publisher.look

            def counted() -> None:
                nonlocal looks
                look()
                looks += 1

            monkeypatch.setattr(publisher, "look", counted)
            (sink,) = desk.sinks
            for silent_s, passed_s in ((60.0, 0.3), (0.3, 10.0)):  # at first with all the time that connecting took
                sink.silent_s = silent_s
                clock.advance(passed_s)
                before = looks
                await until(lambda before=before: looks > before + 1)
                assert sink.stops == 0
            sink.silent_s = 0.5
            await until(lambda: not endpoint.publishers)
            assert sink.stops == 1
            (row,) = endpoint.ended
            assert row.reason == "nothing came of it for 0.5 s (max_silence=0.4)"
            await peer.close()

    asyncio.run(scene())


@pytest.mark.parametrize("limit", [{"max_seconds": 0.3}, {"max_bytes": 1000}])
@pytest.mark.parametrize("has_files", [True, False])
def test_a_limit_begins_a_new_file_or_ends_who_can_have_none(
    limit: dict[str, float], has_files: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face, "LOOK_INTERVAL_S", 0.05)

    async def scene() -> None:
        desk = CountingDesk()
        async with running(desk, **limit) as (endpoint, client):
            peer = new_peer()
            await publish(endpoint, client, peer)
            sink = desk.sinks[0]
            sink.has_files, sink.file_bytes, sink.duration_s = has_files, 1000, 0.4
            await until(lambda: sink.renewals)
            if has_files:
                sink.file_bytes, sink.duration_s = 2000, 0.8
                await until(lambda: sink.renewals == 2)
                assert (sink.stops, peer.connectionState) == (0, "connected")
            else:
                await until(lambda: not endpoint.publishers)
                assert next(iter(limit)) in endpoint.ended[0].reason
            await peer.close()
        assert sink.stops == 1

    asyncio.run(scene())


def test_a_full_disk_ends_a_recording_and_closes_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face, "LOOK_INTERVAL_S", 0.05)

    async def scene() -> None:
        desk = CountingDesk(free=10**9)
        async with running(desk, min_free_bytes=1001) as (endpoint, client):
            peer = new_peer()
            await publish(endpoint, client, peer)
            desk.free = 1000
            await until(lambda: not endpoint.publishers)
            await until(lambda: peer.connectionState == "closed")
            assert desk.sinks[0].stops == 1
            assert "disk" in endpoint.ended[0].reason
            await peer.close()

    asyncio.run(scene())


def test_who_is_ended_while_his_answer_is_made_leaves_no_recording_behind() -> None:
    calls: list[str] = []

    class Slow(CountingSink):
        async def start(self, peer: RTCPeerConnection, tracks: list[MediaStreamTrack]) -> None:
            calls.append("start")
            endpoints[0].publishers[0].begin_end("the disk is nearly full")
            for _ in range(10):
                await asyncio.sleep(0)
            calls.append("started")

        async def stop(self) -> None:
            calls.append("stop")

    class SlowDesk(CountingDesk):
        def admit(self, stream: str, present: Sequence[Present]) -> Sink:
            return Slow()

    async def scene() -> None:
        async with running(SlowDesk()) as (endpoint, client):
            endpoints.append(endpoint)
            async with client.post("/whip/talk", data=await an_offer(), headers=SDP) as response:
                assert response.status == 503
                assert "ended before its answer was made: the disk is nearly full" in await response.text()
            await until(lambda: not endpoint.publishers)

    endpoints: list[face.Endpoint] = []
    asyncio.run(scene())
    assert calls == ["start", "started", "stop"]


def test_a_disk_that_hangs_and_a_publisher_whose_look_fails_hold_up_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(face, "LOOK_INTERVAL_S", 0.02)

    class Hanging(CountingDesk):
        looks = 0

        async def free_bytes(self) -> int | None:
            self.looks += 1
            if self.looks > 1:
                await asyncio.Event().wait()
            return None

    async def scene() -> None:
        desk, clock = Hanging(), FakeClock()
        async with running(desk, clock=clock, connect_timeout=0.3) as (endpoint, client):
            for name in ("one", "two"):
                async with client.post(f"/whip/{name}", data=await an_offer(), headers=SDP) as response:
                    assert response.status == 201
            first, second = endpoint.publishers
            looks = 0

            def fail() -> None:
                nonlocal looks
                looks += 1
                raise ValueError

            monkeypatch.setattr(first, "look", fail)
            clock.advance(0.4)
            await until(lambda: second not in endpoint.publishers)
            assert any(one.reason.startswith("it did not connect within 0.3 s") for one in endpoint.ended)
            assert desk.looks == 2
            assert looks

    asyncio.run(scene())
    assert caplog.text.count("The look at the publisher of one failed") == 1


def test_a_publisher_that_closes_its_connection_is_ended() -> None:
    async def scene() -> None:
        desk = CountingDesk()
        async with running(desk) as (endpoint, client):
            peer = new_peer()
            await publish(endpoint, client, peer)
            await peer.close()
            await until(lambda: not endpoint.publishers)
            assert desk.sinks[0].stops == 1

    asyncio.run(scene())


def test_half_open_connections_are_closed_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "IDLE_S", 0.5)
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 20)
    monkeypatch.setattr(face, "_LONGEST_BODY_S", 0.5)

    async def scene() -> None:
        desk = CountingDesk()
        async with running(desk) as (endpoint, client):
            host, port = endpoint.url.removeprefix("http://").split(":")
            opened = [await asyncio.open_connection(host, int(port)) for _ in range(30)]
            heads = [b"", b"POST /whip/talk HT", b"POST /whip/talk HTTP/1.1\r\nHost: localhost\r\nX-Slow: "]
            for number, (_, writer) in enumerate(opened):
                writer.write(heads[number % 3])
            # The ten beyond the bound are closed at once, the others when their time is over.
            async with asyncio.timeout(GUARD_S):
                ends = await asyncio.gather(*(reader.read() for reader, _ in opened), return_exceptions=True)
            assert len(ends) == 30
            for _, writer in opened:
                writer.close()
            async with client.options("/whip/talk") as response:
                assert response.status == 204
        # An offer of which only a part comes; its head has all the time that a busy machine may take for it.
        monkeypatch.setattr(listener, "IDLE_S", GUARD_S)
        async with running(desk) as (endpoint, client):
            host, port = endpoint.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            head = "POST /whip/talk HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp\r\n"
            writer.write(f"{head}Content-Length: 999\r\n\r\nv=0".encode())
            async with asyncio.timeout(GUARD_S):
                assert (await reader.readline()).split()[1] == b"408"
            writer.close()
            async with client.options("/whip/talk") as response:
                assert response.status == 204
            assert desk.sinks == []

    asyncio.run(scene())


def test_the_pages_are_for_who_has_the_token_or_without_one_for_this_machine() -> None:
    async def scene() -> None:
        async with running(CountingDesk(), token=TOKEN, publish_page=True) as (_, client):
            for path in ("/", "/publish"):
                elsewhere = {"Host": "records.example"}
                # A proxy on this machine passes others on under the name that it has for it.
                for host in ({}, {"Host": "localhost"}, elsewhere):
                    refused = await client.get(path, headers=host)
                    assert (refused.status, refused.headers["WWW-Authenticate"][:5]) == (401, "Basic")
                    assert refused.headers["Server"] == "recordkit"
                password = {"Authorization": f"Basic {b64encode(f'anybody:{TOKEN}'.encode()).decode()}"}
                assert (await client.get(path, headers=elsewhere | password)).status == 200
                shown = await client.get(path, headers=elsewhere | BEARER)
                assert (shown.status, shown.headers["Server"]) == (200, "recordkit")
        # A page of another name that leads here: with no token it gets nothing at all.
        async with running(CountingDesk()) as (_, client):
            for path in ("/", "/whip/talk"):
                request = client.get if path == "/" else client.post
                assert (await request(path, headers=SDP | {"Host": "evil.example"})).status == 403
            assert (await client.get("/publish")).status == 404

    asyncio.run(scene())


def test_the_token_is_in_no_log_and_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with running(CountingDesk(), token=TOKEN, publish_page=True) as (endpoint, client):
            texts = [repr(endpoint._settings)]
            for path in ("/", "/publish", "/whip/talk"):
                texts.append(await (await client.get(path, headers=BEARER)).text())
            async with client.post("/whip/talk", data=await an_offer(), headers=SDP | BEARER) as response:
                texts.append(await response.text() + str(response.headers))
        assert not any(TOKEN in text for text in texts)

    with caplog.at_level(logging.DEBUG):
        asyncio.run(scene())
    assert TOKEN not in caplog.text


def test_an_address_that_cannot_be_listened_at_is_a_setting() -> None:
    async def scene() -> None:
        async with running(CountingDesk()) as (endpoint, _):
            port = int(endpoint.url.rpartition(":")[2])
            for host in ("127.0.0.1", "192.0.2.77"):
                with pytest.raises(SettingsError, match="cannot listen"):
                    async with running(CountingDesk(), host=host, port=port, token=TOKEN):
                        pass

    asyncio.run(scene())


def test_shutting_down_commits_all_and_takes_nobody_more() -> None:
    async def scene() -> None:
        desk = CountingDesk()
        async with running(desk) as (endpoint, client):
            peers = [new_peer() for _ in range(3)]
            for peer in peers:
                await publish(endpoint, client, peer)
            await endpoint.stop()
            assert [sink.stops for sink in desk.sinks] == [1, 1, 1]
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.get("/")
            await asyncio.gather(*(peer.close() for peer in peers))
            assert not [task for task in asyncio.all_tasks() if "recordkit" in task.get_name()]

    asyncio.run(scene())


def test_what_was_sent_before_the_word_that_it_is_over_is_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine has the word, which comes by another way, before it has read the media."""
    monkeypatch.setattr(publishing, "_LONGEST_READING_S", GUARD_S)

    async def scene() -> None:
        desk = CountingDesk()
        async with running(desk) as (endpoint, client):
            peer = new_peer()
            try:
                location = await publish(endpoint, client, peer)
                (publisher,) = endpoint.publishers
                connection = publisher._peer.getReceivers()[0].transport.transport._connection
                protocols = [
                    one for one in connection._protocols if one.transport.get_extra_info("socket").fileno() >= 0
                ]
                loop = asyncio.get_running_loop()
                readers = [(one.transport, one.transport.get_extra_info("socket").fileno()) for one in protocols]
                for _, number in readers:
                    loop._remove_reader(number)  # type: ignore[attr-defined]
                sending = peer.getSenders()[0].transport.transport._connection
                await sending.send(bytes([0x80]) + bytes(99))
                ending = asyncio.create_task(client.delete(location))
                await asyncio.sleep(0.2)
                assert (desk.sinks[0].stops, publisher.stage) == (0, "live")
                for transport, number in readers:
                    loop._add_reader(number, transport._read_ready)  # type: ignore[attr-defined]
                assert (await ending).status == 200
                assert desk.sinks[0].stops == 1
            finally:
                await peer.close()

    asyncio.run(scene())
