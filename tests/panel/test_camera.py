"""The camera's side in the kernel, with a real worker and a real peer in place of the page."""

import asyncio
from pathlib import Path

import pytest
from aiortc import RTCSessionDescription

import recordkit as rk
from recordkit.background.session import Session
from recordkit.errors import SettingsError, SourceError, StateError
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc.tracks import SyntheticMedia

from ..endpoint.rig import new_peer, offer_of, until
from ..steering import GUARD_S


@pytest.fixture
def camera():
    """A camera; what it says to its page is in ``.said``."""
    one = rk.Camera(width=160, height=90)
    one.said = []
    one.send = lambda message: one.said.append(message)
    yield one
    one.close()


def from_page(camera, **message):
    camera._from_page(camera, message, [])


def said(camera, kind):
    return [one for one in camera.said if one["type"] == kind]


async def page(camera, number):
    """Answers the ``number``-th begin: sends for a second and says goodbye."""
    media, peer = SyntheticMedia(Synthetic(width=160, height=90, fps=30, seconds=1)), new_peer()
    from_page(camera, type="offer", id=number, sdp=await offer_of(peer, *media.tracks))
    await until(lambda: len(said(camera, "answer")) == number)
    await peer.setRemoteDescription(RTCSessionDescription(said(camera, "answer")[-1]["sdp"], "answer"))
    await until(lambda: peer.connectionState == "connected")
    media.begin()
    await media.wait()
    await peer.close()
    await media.close()


def test_one_recording_after_the_other(camera, tmp_path):
    for number in (1, 2):
        session = rk.start(camera, tmp_path / f"{number}.ts")
        assert said(camera, "begin")[-1] == {"type": "begin", "id": number, "ice_servers": []}
        with pytest.raises(StateError, match="this camera is being recorded"):
            rk.start(camera, tmp_path / "other.ts")
        from_page(camera, type="failed", id=number - 1, reason="a word about the one before")
        asyncio.run(page(camera, number))
        # The page has said goodbye, and the recording ends of itself.
        assert session.wait(GUARD_S)
        assert session.stop().counters.video_units > 15
        assert len(said(camera, "end")) == number
        # A page that was loaded anew meanwhile finds it in the widget.
        assert camera.state == "off"
        assert camera.message.startswith(f"Committed: {number}.ts, 0:0")
    assert rk.verify(tmp_path / "2.ts", decode=True).ok
    from_page(camera, type="offer", id=2, sdp="a word after the end")
    camera.turn_off()
    assert camera.said[-1] == {"type": "off"}


def test_what_the_page_cannot_do_ends_the_recording_with_its_words(camera, tmp_path):
    session = rk.start(camera, tmp_path / "talk.ts")
    from_page(camera, type="failed", id=1, reason="No such device was found.")
    assert session.wait(GUARD_S)
    with pytest.raises(SourceError, match="No such device was found"):
        session.stop()
    assert list(tmp_path.iterdir()) == []
    assert camera.state == "failed"
    assert "No such device was found" in camera.message


def test_the_page_is_told_of_the_servers_to_ask(camera):
    turn = {"urls": ["turn:127.0.0.1:9"], "username": "somebody", "credential": "secret"}
    asking = rk.Camera(ice_servers=["stun:127.0.0.1:9", turn])
    asking.send = camera.said.append
    asking.connect(Session(Path("talk.ts")))
    assert camera.said[-1]["ice_servers"] == [{"urls": "stun:127.0.0.1:9"}, turn]
    asking.close()


def test_what_is_chosen_in_the_page_is_what_the_worker_expects(camera):
    camera.width, camera.height, camera.microphone = 640, 360, "none"
    feed = camera.in_worker()
    assert (feed.width, feed.height, feed.video, feed.audio) == (640, 360, True, False)


@pytest.mark.parametrize(
    "settings", [{"video": False, "audio": False}, {"width": -1}, {"ice_servers": ["no address"]}]
)
def test_settings_that_cannot_be_used(settings):
    with pytest.raises(SettingsError, match=next(iter(settings))):
        rk.Camera(**settings)


@pytest.mark.parametrize("message", [None, [], "offer", 3, ["type"]])
def test_a_message_that_is_no_object_is_left_out_and_told_of(camera, caplog, message):
    camera._session = Session(Path("talk.ts"))
    camera._from_page(camera, message, [])
    assert "no object" in caplog.text
