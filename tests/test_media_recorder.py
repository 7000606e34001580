"""aiortc's interface on recordkit's recorder: real peers, what they send, and what is left of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

import recordkit as rk
from recordkit.sources.readback import read_back
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc.peers import connected_peers
from recordkit.sources.webrtc.tracks import SyntheticMedia

SMALL = {"width": 320, "height": 180, "fps": 30}
LONGEST_FLIGHT_S = 0.4


def verified(path):
    found = rk.verify(path, decode=True)
    assert found.ok, str(found)
    return found


@asynccontextmanager
async def sending(recorder, *, seconds=2.0, codec="h264", network=None, begin=True, **media_settings):
    """Peers that send ``seconds`` of small synthetic media to a recorder that has begun."""
    media = SyntheticMedia(Synthetic(seconds=seconds, **SMALL), codec=codec, **media_settings)
    async with connected_peers(media.tracks, codec=codec, network=network) as peers:
        for track in peers.tracks:
            recorder.addTrack(track)
        await recorder.start()
        if begin:
            media.begin()
            if network is not None:
                network.begin()
        yield media, peers
        recorder_was = await recorder.stop()
        assert recorder_was is await recorder.stop()
    await media.close()


async def record_all(recorder, **settings):
    async with sending(recorder, **settings) as (media, _):
        await media.wait()
        await asyncio.sleep(LONGEST_FLIGHT_S)
    return await recorder.stop(), media


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_what_a_peer_sends_is_in_the_file_whole_and_in_sync(tmp_path, codec):
    path = tmp_path / "talk.ts"
    recording, _ = asyncio.run(record_all(rk.MediaRecorder(path), seconds=2.5, codec=codec))
    verified(path)
    back = read_back(path, fps=30)
    assert (back.numbers_ok, back.first_number, back.last_number, back.lost) == (75, 0, 74, 0)
    assert back.picture_jitter_s < 0.001
    assert back.sync_offsets_s
    assert abs(back.sync_worst_s) < 0.02
    received = recording.counters.received
    assert (received.lost_packets, received.dropped_units, received.refused_units) == (0, 0, 0)
    assert received.received_units == 75 + 125
    assert {"stream", "keyframe", "commit"} <= set(recording.events["kind"])
