"""The two peers: real ones, connected by 127.0.0.1 alone, and nothing left of them afterwards."""

import asyncio
import threading

import psutil
import pytest
from aiortc.mediastreams import MediaStreamError

from recordkit.errors import SourceError
from recordkit.sources.marks import read_frame_number
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc import peer_internals
from recordkit.sources.webrtc.peers import connected_peers
from recordkit.sources.webrtc.tracks import SyntheticMedia

SMALL = Synthetic(width=320, height=180, seconds=2)


async def numbers(track, count):
    return [read_frame_number(await track.recv()) for _ in range(count)]


async def exhausted(track):
    while True:
        await track.recv()


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_what_one_peer_sends_the_other_decodes_and_nothing_is_left(codec):
    async def run():
        media = SyntheticMedia(SMALL, codec=codec)
        async with connected_peers(media.tracks, codec=codec) as peers:
            video, audio = peers.tracks
            assert (video.kind, audio.kind) == ("video", "audio")
            assert f" {codec}/".upper() in video_line(peers.receiver.localDescription.sdp).upper()
            media.begin()
            assert await numbers(video, 12) == list(range(12))
            assert (await audio.recv()).sample_rate == 48_000
            addresses = {candidate_address(line) for line in candidates(peers)}
            assert addresses == {"127.0.0.1"}
        await media.close()
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    before = set(threading.enumerate()), set(psutil.Process().net_connections("udp"))
    assert asyncio.run(run()) == 1
    assert set(threading.enumerate()) <= before[0]
    assert set(psutil.Process().net_connections("udp")) <= before[1]


def candidates(peers):
    for connection in (peers.sender, peers.receiver):
        yield from (line for line in connection.localDescription.sdp.splitlines() if "a=candidate:" in line)


def candidate_address(line):
    return line.split()[4]


def video_line(sdp):
    """The rtpmap line of the payload type preferred for video."""
    lines = sdp.splitlines()
    preferred = next(line for line in lines if line.startswith("m=video")).split()[3]
    return next(line for line in lines if line.startswith(f"a=rtpmap:{preferred} "))


def test_a_track_added_later_is_negotiated_anew_while_the_first_goes_on():
    async def run():
        media = SyntheticMedia(SMALL)
        async with connected_peers([media.audio]) as peers:
            media.begin()
            await peers.tracks[0].recv()
            await peers.add(media.video)
            assert await numbers(peers.tracks[1], 5) == list(range(5))
            assert (await peers.tracks[0].recv()).samples == 960
        await media.close()

    asyncio.run(run())


def test_the_receivers_tracks_end_with_the_peers():
    async def run():
        media = SyntheticMedia(SMALL)
        async with connected_peers(media.tracks) as peers:
            media.begin()
            await peers.tracks[0].recv()
        with pytest.raises(MediaStreamError):
            await exhausted(peers.tracks[0])
        await media.close()

    asyncio.run(run())


def test_a_killed_sender_says_no_goodbye_and_closes_all_the_same():
    async def run():
        media = SyntheticMedia(SMALL)
        async with connected_peers(media.tracks) as peers:
            media.begin()
            await numbers(peers.tracks[0], 3)
            peers.kill_sender()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(exhausted(peers.tracks[0]), 0.5)
            # What the receiver sees for half a minute yet: all is well, and nothing comes.
            assert peers.receiver.connectionState == "connected"
        await media.close()

    asyncio.run(run())


def test_another_aiortc_is_refused_by_name():
    class Changed:
        pass

    with pytest.raises(SourceError, match=r"has no Changed\._send_keyframe any more; .*aiortc 1\.16"):
        peer_internals.on_keyframe_request(Changed(), lambda: None)
