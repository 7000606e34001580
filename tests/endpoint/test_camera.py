"""A camera's feed, opened on a channel with a real peer at the other end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from recordkit.endpoint.camera import CameraFeed
from recordkit.errors import SettingsError, SourceError
from recordkit.sources.source import SourceItem
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc import peer_internals
from recordkit.sources.webrtc.tracks import SyntheticMedia

from .rig import an_offer, new_peer, offer_of, until

FEED = CameraFeed(width=160, height=90)
pytestmark = pytest.mark.usefixtures("no_frame_stands")


class Line:
    """The channel between the two: what the feed says is kept, what the page says is handed over."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.say: Callable[[dict[str, Any]], None] = lambda message: None

    def send(self, message: dict[str, Any]) -> None:
        self.answers.append(message)

    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None:
        self.say = listener


@asynccontextmanager
async def sending(line: Line, peer: RTCPeerConnection) -> AsyncIterator[SyntheticMedia]:
    """A page that sends for a second; it has not said goodbye."""
    media = SyntheticMedia(Synthetic(width=160, height=90, fps=30, seconds=1))
    known = len(line.answers)
    line.say({"type": "offer", "sdp": await offer_of(peer, *media.tracks)})
    await until(lambda: len(line.answers) > known)
    await peer.setRemoteDescription(RTCSessionDescription(line.answers[-1]["sdp"], "answer"))
    await until(lambda: peer.connectionState == "connected")
    for sender in peer.getSenders():
        if isinstance(sender.track, type(media.video)):
            peer_internals.on_keyframe_request(sender, media.video.request_keyframe)
    media.begin()
    try:
        await media.wait()
        yield media
    finally:
        await media.close()


def pictures(items: list[SourceItem]) -> int:
    return sum(getattr(item.media, "is_video", False) for item in items)


def test_what_the_page_sends_is_given_and_its_goodbye_is_the_end() -> None:
    async def page() -> None:
        peer = new_peer()
        async with sending(line, peer):
            await peer.close()

    line = Line()
    with FEED.open_on(line) as given:
        assert (given.has_video, given.has_audio) == (True, True)
        line.say({"type": "a word of a page that is newer than this"})
        asyncio.run(page())
        items = list(given.items)
    assert pictures(items) == 30
    assert len(items) > 60
    assert "x-google-start-bitrate" in line.answers[0]["sdp"]


def test_a_second_offer_takes_the_place_of_the_first() -> None:
    async def page() -> None:
        first, second = new_peer(), new_peer()
        async with sending(line, first), sending(line, second):
            await until(lambda: first.connectionState == "closed")
            await second.close()

    line = Line()
    with FEED.open_on(line) as given:
        asyncio.run(page())
        items = list(given.items)
    assert pictures(items) == 60


def test_a_page_that_cannot_send_says_why() -> None:
    line = Line()
    with FEED.open_on(line) as given:
        line.say({"type": "failed", "reason": "The browser was not allowed to use it."})
        with pytest.raises(SourceError, match="camera: The browser was not allowed to use it"):
            list(given.items)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda sdp: "", "no SDP offer"),
        (lambda sdp: "nonsense", "no SDP offer"),
        (lambda sdp: sdp.partition("m=")[0], "no media section"),
        (lambda sdp: sdp.replace("a=sendonly", "a=recvonly"), "neither video nor audio"),
        (lambda sdp: sdp.replace("a=fingerprint", "a=no-fingerprint"), "must come encrypted"),
        (lambda sdp: None, "no SDP offer"),
    ],
)
def test_an_offer_that_cannot_be_taken(spoil: Callable[[str], str | None], words: str) -> None:
    line = Line()
    with FEED.open_on(line) as given:
        line.say({"type": "offer", "sdp": spoil(asyncio.run(an_offer()))})
        with pytest.raises(SourceError, match=words):
            list(given.items)
    assert line.answers == []


def test_a_word_after_the_end_is_harmless() -> None:
    line = Line()
    with FEED.open_on(line) as given:
        given.live.interrupt()
        assert list(given.items) == []
    line.say({"type": "offer", "sdp": "too late"})


@pytest.mark.parametrize(
    "settings",
    [
        {"video": False, "audio": False},
        {"width": 0},
        {"fps": 29.97},
        {"height": 100_000},
        {"ice_servers": ("example.org",)},
        {"ice_servers": ({"username": "somebody"},)},
        {"ice_servers": ({"urls": ["stun:example.org", "https://example.org"]},)},
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(settings))):
        CameraFeed(**settings)


def test_a_password_is_not_shown() -> None:
    servers = ({"urls": "turn:example.org", "username": "somebody", "credential": "secret"},)
    assert "secret" not in repr(CameraFeed(ice_servers=servers))
