"""Offers that are no offers, whatever they are made of, and answers that ask for the right thing."""

from __future__ import annotations

import asyncio
import random
import re

import pytest
from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from recordkit.endpoint.negotiation import accept, answer, ice_configuration, read_offer
from recordkit.errors import SettingsError

from .rig import new_peer, offer_of, until


@pytest.fixture(scope="module")
def offer() -> str:
    async def scene() -> str:
        peer = new_peer()
        text = await offer_of(peer)
        await peer.close()
        return text

    return asyncio.run(scene())


def without(offer: str, line: str) -> str:
    return re.sub(rf"(?m)^{line}.*\r?\n", "", offer)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (lambda text: text.replace("v=0", "v=1"), 400, "v=0"),
        (lambda text: without(text, "a=mid"), 400, "a=mid"),
        (lambda text: text.replace("a=mid:1", "a=mid:0"), 400, "a=mid"),
        (lambda text: without(text, "a=ice-ufrag"), 400, "ice-ufrag"),
        (lambda text: without(text, "a=fingerprint"), 400, "fingerprint"),
        (lambda text: without(text, "a=rtcp-mux"), 400, "rtcp-mux"),
        (lambda text: without(text, "a=sendonly"), 400, "a=sendonly"),
        (lambda text: without(text, "a=group"), 400, "BUNDLE"),
        (lambda text: text.replace("BUNDLE 0 1", "BUNDLE 0 2"), 400, "BUNDLE"),
        (lambda text: text[: text.rindex("m=")], 400, "BUNDLE"),
        (lambda text: text.replace("a=sendonly", "a=recvonly"), 422, "neither"),
        (lambda text: text.replace("m=video", "m=text"), 422, "audio and video"),
        (lambda text: text.replace("m=audio", "m=video"), 422, "one video: publish each further one by itself"),
        (lambda text: text + text[text.index("m=") :] * 4, 422, "8 media sections"),
    ],
)
def test_offers_that_cannot_be_recorded_say_why(offer: str, change: object, status: int, words: str) -> None:
    with pytest.raises(web.HTTPException) as caught:
        read_offer(change(offer))  # type: ignore[operator]
    assert caught.value.status == status
    assert words in (caught.value.text or "")


def test_an_offer_without_a_known_codec_is_refused(offer: str) -> None:
    async def scene() -> None:
        text = re.sub(r"(?i)(a=rtpmap:\d+ )(VP8|H264|rtx)/", r"\1AV9/", offer)
        peer = RTCPeerConnection(ice_configuration(()))
        with pytest.raises(web.HTTPUnprocessableEntity) as caught:
            await accept(peer, read_offer(text), text)
        await peer.close()
        words = caught.value.text or ""
        assert "Offered: AV9, opus/48000/2, G722/8000" in words
        assert "Taken: H.264 of any profile, VP8, Opus" in words

    asyncio.run(scene())


@pytest.mark.parametrize("component", ["0", "2", "1000000000000000000000"])
def test_an_offer_without_a_candidate_for_media_is_refused(component: str, offer: str) -> None:
    async def scene() -> None:
        text = re.sub(r"(a=candidate:\S+) 1 ", rf"\g<1> {component} ", offer)
        peer = RTCPeerConnection(ice_configuration(()))
        await accept(peer, read_offer(text), text)
        with pytest.raises(web.HTTPBadRequest) as caught:
            await answer(peer, text, 1_000_000)
        await peer.close()
        assert "no candidate for component 1" in (caught.value.text or "")

    asyncio.run(scene())


def test_garbage_of_all_kinds_is_refused_or_taken_but_is_no_fault(offer: str) -> None:
    random_ = random.Random(7)
    lines = offer.splitlines()

    def damaged() -> str:
        kept = list(lines)
        for _ in range(random_.randint(1, 6)):
            at = random_.randrange(len(kept))
            kind = random_.randrange(5)
            if kind == 0:
                del kept[at]
            elif kind == 1:
                kept[at] = kept[at][: random_.randrange(len(kept[at]) + 1)]
            elif kind == 2:
                kept.insert(at, random_.choice(lines))
            elif kind == 3:
                kept[at] = re.sub(r"\d+", lambda _: str(random_.choice([-1, 0, 300, 10**30])), kept[at])
            else:
                kept[at] = "".join(chr(random_.choice([9, 32, 58, 61, 0x20AC, 0])) for _ in range(9)) + kept[at]
        return "\r\n".join(kept) + "\r\n"

    async def scene() -> tuple[int, int]:
        taken = refused = 0
        for _ in range(120):
            text = damaged()
            peer = RTCPeerConnection(ice_configuration(()))
            try:
                await accept(peer, read_offer(text), text)
                await answer(peer, text, 1_000_000)
                taken += 1
            except (web.HTTPBadRequest, web.HTTPUnprocessableEntity):
                refused += 1
            finally:
                await peer.close()
        return taken, refused

    taken, refused = asyncio.run(scene())
    assert taken > 8
    assert refused > 20


def test_h264_comes_first_and_the_bit_rate_is_asked_for(offer: str) -> None:
    async def scene() -> str:
        # As browsers do, VP8 stands first.
        video = re.search(r"m=video \d+ \S+ (.*)", offer)
        assert video is not None
        peer = RTCPeerConnection(ice_configuration(()))
        await accept(peer, read_offer(offer), offer)
        text = await answer(peer, offer, 2_500_000)
        await peer.close()
        return text

    assert re.findall(r"a=rtpmap:\d+ (\w+)/90000", offer)[0] == "VP8"
    text = asyncio.run(scene())
    assert re.findall(r"a=rtpmap:\d+ (\w+)/90000", text)[0] == "H264"
    assert "VP8" in text
    assert text.count("a=recvonly") == 2
    h264 = re.findall(r"a=fmtp:(\d+) .*packetization-mode=1.*;x-google-start-bitrate=2500\r\n", text)
    vp8 = re.findall(r"a=rtpmap:(\d+) VP8/90000\r\na=fmtp:\1 x-google-start-bitrate=2500\r\n", text)
    assert h264
    assert vp8
    audio = text[text.index("m=audio") :].split("m=video")[0]
    assert "x-google" not in audio
    read_offer(text.replace("a=recvonly", "a=sendonly"))


@pytest.mark.parametrize("servers", [("http://x",), ("stun:",), ({"url": "stun:x:1"},), ({"urls": 5},)])
def test_ice_servers_that_cannot_be_used(servers: tuple[object, ...]) -> None:
    with pytest.raises(SettingsError, match="stun:HOST:PORT"):
        ice_configuration(servers)  # type: ignore[arg-type]


def test_no_server_is_asked_unless_it_was_given() -> None:
    assert ice_configuration(()).iceServers == []
    (server,) = ice_configuration(("stun:127.0.0.1:3478",)).iceServers or []
    assert server.urls == "stun:127.0.0.1:3478"


def test_tracks_that_are_muted_or_sent_both_ways_are_taken() -> None:
    async def scene() -> None:
        peer = new_peer()
        peer.addTransceiver(VideoStreamTrack(), direction="sendrecv")
        peer.addTransceiver(AudioStreamTrack(), direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        assert [section.kind for section in read_offer(peer.localDescription.sdp).media] == ["video", "audio"]
        await peer.close()

    asyncio.run(scene())


def test_each_of_several_audio_sections_comes_by_the_one_transport() -> None:
    async def scene() -> list[str]:
        source, peer = new_peer(), RTCPeerConnection(ice_configuration(()))
        text = await offer_of(source, VideoStreamTrack(), AudioStreamTrack(), AudioStreamTrack())
        await accept(peer, read_offer(text), text)
        answered = await answer(peer, text, 1_000_000)
        await source.setRemoteDescription(RTCSessionDescription(sdp=answered, type="answer"))
        receivers = peer.getReceivers()
        assert len({receiver.transport for receiver in receivers}) == 1
        await until(lambda: set(receivers) <= set(receivers[0].transport._rtp_router.ssrc_table.values()))
        await source.close()
        await peer.close()
        return re.findall(r"(?m)^m=\S+ (\d+)", answered)

    video, first, second = asyncio.run(scene())
    assert video == first == second != "9"
