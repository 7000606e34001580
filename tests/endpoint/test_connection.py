"""Publishers whose connection does not come about, and the words for it."""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import UTC, datetime, timedelta

import aiohttp
import aioice.mdns
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.rtcdtlstransport import RTCCertificate
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from recordkit.endpoint import connection
from recordkit.endpoint import endpoint as face
from recordkit.endpoint.endpoint import Endpoint
from recordkit.endpoint.publisher import Publisher
from tests.steering import FakeClock

from .rig import SDP, CountingDesk, new_peer, offer_of, running, until


def certificate(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> RTCCertificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "publisher")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
    return RTCCertificate(key, made.sign(key, hashes.SHA256()))  # type: ignore[arg-type]


def peer_with(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> RTCPeerConnection:
    """A peer that signs with ``key``, and whose suites as a server are for it."""
    peer, own = new_peer(), certificate(key)
    made = own._create_ssl_context

    def with_all_suites(srtp_profiles: object) -> object:
        context = made(srtp_profiles)  # type: ignore[arg-type]
        context.set_cipher_list(b"ECDHE+AESGCM")
        return context

    own._create_ssl_context = with_all_suites  # type: ignore[method-assign, assignment]
    peer._RTCPeerConnection__certificates = [own]  # type: ignore[attr-defined]
    return peer


async def published(
    endpoint: Endpoint, client: aiohttp.ClientSession, peer: RTCPeerConnection, *, setup: str, change: object = str
) -> str:
    """Publish with this a=setup, and wait until connected or gone; gives the reason of the end, or nothing."""
    offer = (await offer_of(peer)).replace("a=setup:actpass", f"a=setup:{setup}")
    async with client.post("/whip/talk", data=change(offer), headers=SDP) as response:  # type: ignore[operator]
        assert response.status == 201, await response.text()
        await peer.setRemoteDescription(RTCSessionDescription(sdp=await response.text(), type="answer"))
    await until(lambda: not endpoint.publishers or endpoint.publishers[0].was_live)
    reason = endpoint.ended[0].reason if endpoint.ended else ""
    await peer.close()
    return reason


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
@pytest.mark.parametrize("kind", ["P-256", "RSA"])
def test_publishers_with_certificates_of_both_kinds_connect_in_each_role(kind: str, setup: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "P-256" else rsa.generate_private_key(65537, 2048)

    async def scene() -> None:
        async with running(CountingDesk()) as (endpoint, client):
            assert await published(endpoint, client, peer_with(key), setup=setup) == ""

    asyncio.run(scene())


def is_shaking_hands(publisher: Publisher) -> bool:
    receivers = publisher._peer.getReceivers()
    return publisher.was_answered and bool(receivers) and receivers[0].transport.state != "new"


@pytest.mark.parametrize("setup", ["actpass", "passive"])
def test_a_certificate_that_openssl_refuses_is_named_with_what_would_do(
    setup: str, caplog: pytest.LogCaptureFixture
) -> None:
    # FFmpeg's WHIP muxer makes itself one of this kind; see test_serve.py for its own.
    key = ec.generate_private_key(ec.SECP224R1())

    async def scene() -> None:
        clock = FakeClock()
        async with running(CountingDesk(), clock=clock, connect_timeout=3.0) as (endpoint, client):
            publishing = asyncio.create_task(published(endpoint, client, peer_with(key), setup=setup))
            # Its time runs out once the handshake has begun, however long a busy machine took to come so far.
            await until(lambda: endpoint.ended or any(map(is_shaking_hands, endpoint.publishers)))
            clock.advance(3.1)
            reason = await publishing
            assert "DTLS failed" in reason
            assert "cert_file" in reason or "does not answer" in reason
            assert [row.state for row in endpoint.ended] == ["not connected"]

    with caplog.at_level(logging.INFO, "recordkit"):
        asyncio.run(scene())
    assert "Stream talk ended, and nothing of it was recorded: " in caplog.text
    assert "DTLS failed" in caplog.text


def test_a_certificate_that_is_not_the_one_of_the_offer() -> None:
    def other(offer: str) -> str:
        return re.sub(r"(a=fingerprint:\S+ )..", r"\g<1>00", offer)

    async def scene() -> None:
        async with running(CountingDesk()) as (endpoint, client):
            reason = await published(endpoint, client, new_peer(), setup="actpass", change=other)
            assert "certificate is not the one that its offer names" in reason

    asyncio.run(scene())


@pytest.mark.parametrize(
    "change",
    [
        lambda offer: re.sub(r"(?m)^a=candidate:.*\r\n", "", offer),
        lambda offer: re.sub(r"(a=candidate:\S+ \d+ udp \d+ )\S+", r"\g<1>0123-4567.local", offer),
        lambda offer: re.sub(r"(a=candidate:\S+ \d+ udp \d+ )\S+", r"\g<1>0.0.0.0", offer),
    ],
    ids=["none", "a name that says nothing here", "nobody's address"],
)
def test_who_names_no_address_that_is_of_use_connects_by_its_own_checks(
    change: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(aioice.mdns.MDnsProtocol, "resolve", unknown)

    async def scene() -> None:
        async with running(CountingDesk()) as (endpoint, client):
            assert await published(endpoint, client, new_peer(), setup="actpass", change=change) == ""

    asyncio.run(scene())


def test_a_publisher_that_cannot_verify_this_endpoints_certificate_yet_is_said_so() -> None:
    peer, own = new_peer(), certificate(ec.generate_private_key(ec.SECP256R1()))
    made = own._create_ssl_context

    def in_doubt(srtp_profiles: object) -> SSL.Context:
        context = made(srtp_profiles)  # type: ignore[arg-type]
        context.set_verify(SSL.VERIFY_PEER, lambda *_: False)
        return context

    own._create_ssl_context = in_doubt  # type: ignore[method-assign, assignment]
    peer._RTCPeerConnection__certificates = [own]  # type: ignore[attr-defined]

    async def scene() -> None:
        async with running(CountingDesk()) as (endpoint, client):
            reason = await published(endpoint, client, peer, setup="actpass")
            assert "the publisher refused the handshake" in reason
            assert "does not take this endpoint's certificate" in reason
            assert "cert_file" not in reason

    asyncio.run(scene())


def test_a_publisher_has_time_to_read_the_answer_to_its_end_before_it_sees_the_certificate() -> None:
    async def scene() -> float:
        peer, time = new_peer(), asyncio.get_running_loop().time
        async with running(CountingDesk()) as (endpoint, client):
            offering = await offer_of(peer)
            transport = peer.getTransceivers()[0].sender.transport
            at = {}
            transport.transport.on("statechange", lambda: at.setdefault(transport.transport.state, time()))
            transport.on("statechange", lambda: at.setdefault(transport.state, time()))
            async with client.post("/whip/talk", data=offering, headers=SDP) as response:
                answer = await response.text()
            await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
            await until(lambda: endpoint.publishers[0].was_live and "connected" in at)
            await peer.close()
        return at["connected"] - at["completed"]

    # Each side learns by itself that ICE is through: this one a round trip before the other, or after it.
    assert asyncio.run(scene()) > connection.BEFORE_HANDSHAKE_S / 2


@pytest.mark.parametrize("ports", [None, (42000, 42010)])
def test_media_that_cannot_come_through_say_which_ports_to_open(
    ports: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face, "LOOK_INTERVAL_S", 0.05)

    def nowhere(offer: str) -> str:
        return re.sub(r"(a=candidate:\S+ \d+ udp \d+ )\S+ \d+", r"\g<1>127.0.0.1 9", offer)

    async def scene() -> str:
        async with running(CountingDesk(), connect_timeout=0.3, media_ports=ports) as (endpoint, client):
            peer = new_peer()
            async with client.post("/whip/talk", data=nowhere(await offer_of(peer)), headers=SDP) as response:
                assert response.status == 201
            await peer.close()
            await until(lambda: endpoint.ended)
            return endpoint.ended[0].reason

    reason = asyncio.run(scene())
    assert "no datagram came through between the publisher (UDP 127.0.0.1:9) and this endpoint (UDP" in reason
    assert ("set media_ports" if ports is None else "let UDP ports 42000 to 42010 through") in reason
    assert "announced_address" in reason
    assert "ice_servers" in reason


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            SSL.Error([("SSL routines", "", "sslv3 alert handshake failure")]),
            "the publisher refused the handshake (sslv3",
        ),
        (
            SSL.Error([("SSL routines", "", "tlsv1 alert unknown ca")]),
            "the publisher refused the handshake (tlsv1 alert unknown ca). It does not take this endpoint's",
        ),
        (SSL.Error([("SSL routines", "", "no shared cipher")]), "the handshake broke off (no shared cipher)"),
        (SSL.Error([]), "the handshake broke off. Give the publisher an ECDSA P-256 certificate"),
        (SSL.ZeroReturnError(), "the publisher closed the connection"),
    ],
)
def test_what_openssl_says_is_put_in_words(error: SSL.Error, words: str) -> None:
    assert connection._words(error, None).startswith(words)
