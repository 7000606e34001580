"""What aiortc is given to read of an offer, and what the publisher reads of its answer."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from recordkit.endpoint.dialect import codings, for_aiortc, for_publisher, with_one_fingerprint
from recordkit.endpoint.negotiation import accept, answer, ice_configuration, read_offer

from .rig import new_peer, offer_of

HEAD = "v=0\r\na=setup:actpass\r\n"
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96 102 103\r\na=rtpmap:96 VP8/90000\r\n"


async def answered(offer: str) -> str:
    from aiortc import RTCPeerConnection

    peer = RTCPeerConnection(ice_configuration(()))
    try:
        await accept(peer, read_offer(offer), offer)
        return await answer(peer, offer, 2_000_000)
    finally:
        await peer.close()


def offer_with(*codings_: str, kind: str = "video") -> str:
    """A whole offer of aiortc's with these ``a=rtpmap`` and ``a=fmtp`` in the place of its own."""

    async def scene() -> str:
        peer = new_peer()
        track = VideoStreamTrack() if kind == "video" else AudioStreamTrack()
        text = await offer_of(peer, track)
        await peer.close()
        return text

    text = re.sub(r"(?m)^a=(rtpmap|fmtp|rtcp-fb):.*\r?\n", "", asyncio.run(scene()))
    numbers = " ".join(dict.fromkeys(re.findall(r"a=rtpmap:(\d+)", "\n".join(codings_))))
    text = re.sub(rf"m={kind} (\d+) (\S+) .*", rf"m={kind} \1 \2 {numbers}\r", text)
    return text + "".join(f"{line}\r\n" for line in codings_)


@pytest.mark.parametrize(
    "profile",
    ["42001f", "42c01f", "4d001f", "640c1f", "64001f", "640032", "6e0032", "7a1032", "f4001f"],
    ids=lambda profile: profile,
)
@pytest.mark.parametrize("mode", ["0", "1"])
def test_any_profile_and_both_packetization_modes_are_taken_and_answered_as_they_were_offered(
    profile: str, mode: str
) -> None:
    told = f"a=fmtp:102 packetization-mode={mode};profile-level-id={profile};sprop-parameter-sets=Z0LAH9oB,aM48gA=="
    text = asyncio.run(answered(offer_with("a=rtpmap:102 H264/90000", told)))
    (parameters,) = re.findall(r"a=fmtp:102 (.*)\r\n", text)
    assert parameters.split(";") == [
        "level-asymmetry-allowed=1",
        f"packetization-mode={mode}",
        f"profile-level-id={profile}",
        "x-google-start-bitrate=2000",
    ]


def test_h264_without_parameters_is_mode_0_of_no_stated_profile() -> None:
    text = asyncio.run(answered(offer_with("a=rtpmap:102 H264/90000")))
    (parameters,) = re.findall(r"a=fmtp:102 (.*)\r\n", text)
    assert "packetization-mode=0" in parameters
    assert "profile-level-id" not in parameters


def test_all_h264_that_is_offered_stays_in_the_answer_but_the_interleaved_mode() -> None:
    offer = offer_with(
        "a=rtpmap:96 VP8/90000",
        "a=rtpmap:97 H264/90000",
        "a=fmtp:97 packetization-mode=2;profile-level-id=42e01f",
        "a=rtpmap:102 H264/90000",
        "a=fmtp:102 packetization-mode=1;profile-level-id=64001f",
        "a=rtpmap:103 rtx/90000",
        "a=fmtp:103 apt=102",
        "a=rtpmap:104 H264/90000",
        "a=fmtp:104 packetization-mode=0;profile-level-id=64001f",
    )
    text = asyncio.run(answered(offer))
    # H.264 comes first, what repairs it stays beside it, and the order of the offer is kept.
    assert re.findall(r"a=rtpmap:(\d+)", text) == ["102", "104", "96", "103"]
    assert "a=fmtp:103 apt=102\r\n" in text


def test_what_the_sender_says_of_its_parameter_sets_reaches_aiortc() -> None:
    line = "a=fmtp:102 packetization-mode=1;profile-level-id=64001f;sprop-parameter-sets=Z2QAHw==,aO4="
    text = for_aiortc(f"{HEAD}{VIDEO}a=rtpmap:102 H264/90000\r\n{line}\r\n")
    assert "a=fmtp:102 packetization-mode=1;profile-level-id=42e01f;sprop-parameter-sets=Z2QAHw==,aO4=\r\n" in text


def test_the_endpoint_is_the_dtls_server_when_it_may_choose() -> None:
    for setup, role in (("actpass", "passive"), ("active", "passive"), ("passive", "active")):
        offer = offer_with("a=rtpmap:96 VP8/90000").replace("a=setup:actpass", f"a=setup:{setup}")
        assert set(re.findall(r"a=setup:(\w+)", asyncio.run(answered(offer)))) == {role}


@pytest.mark.parametrize("told", ["", "minptime=10;useinbandfec=1", "stereo=0;sprop-stereo=0"])
def test_opus_is_asked_for_in_stereo(told: str) -> None:
    lines = ["a=rtpmap:111 opus/48000/2", *([f"a=fmtp:111 {told}"] if told else [])]
    text = asyncio.run(answered(offer_with(*lines, kind="audio")))
    assert re.findall(r"a=fmtp:111 (.*)\r\n", text) == ["stereo=1"]
    assert "x-google" not in text


def test_an_answer_of_more_sections_than_the_offer_is_kept_whole() -> None:
    text = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 8\r\na=rtpmap:8 PCMA/8000\r\n"
    assert for_publisher(text, "", 1_000_000) == text


def test_codings_are_named_for_people() -> None:
    offer = (
        f"{HEAD}{VIDEO}a=rtpmap:102 H264/90000\r\na=fmtp:102 profile-level-id=640c1f\r\na=rtpmap:103 rtx/90000\r\n"
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"
    )
    assert codings(offer) == ["VP8", "H264 (profile 640c1f, packetization-mode 0)", "opus/48000/2"]


def test_the_answer_states_one_fingerprint_for_who_cannot_choose_among_several() -> None:
    text = asyncio.run(answered(offer_with("a=rtpmap:96 VP8/90000")))
    assert re.findall(r"(?m)^a=fingerprint:(\S+)", text) == ["sha-256"]


def test_a_description_without_sha_256_keeps_the_fingerprints_that_it_has() -> None:
    text = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=fingerprint:sha-384 AA\r\na=fingerprint:sha-512 BB\r\n"
    assert with_one_fingerprint(text) == text


@pytest.mark.parametrize("line", ["a=rtpmap:96 H264/90000\r\n", "a=rtpmap:{} H264/90000\r\n"])
def test_an_offer_that_states_a_coding_thousands_of_times_holds_nothing_up(line):
    began_s = time.process_time()
    for_aiortc("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" + "".join(line.format(1_000 + one) for one in range(20_000)))
    assert time.process_time() - began_s < 5  # some milliseconds; once a minute
