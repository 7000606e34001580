"""Parameter sets that stand in the session description alone (RFC 6184, 8.1)."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import av
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

import recordkit as rk
from recordkit.bitstream.h264 import nal_units
from recordkit.sources.readback import read_back
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc.description import parameter_sets, trimmed
from recordkit.sources.webrtc.peers import Peers
from recordkit.sources.webrtc.tracks import SyntheticMedia
from tests.steering import GUARD_S

SETS = (7, 8)
pytestmark = pytest.mark.usefixtures("no_frame_stands")
START_CODE = b"\0\0\0\1"


class Bare(MediaStreamTrack):
    """The synthetic video without its parameter sets."""

    kind = "video"

    def __init__(self, media):
        super().__init__()
        self.media = media

    async def recv(self):
        packet = await self.media.video.recv()
        data = bytes(packet)
        nals = [(kind, data[start:end]) for kind, start, end in nal_units(data)]
        bare = av.Packet(b"".join(START_CODE + nal for kind, nal in nals if kind not in SETS))
        bare.pts, bare.dts, bare.time_base = packet.pts, packet.pts, packet.time_base
        return bare

    def request_keyframe(self):
        self.media.video.request_keyframe()


async def sets_of(source):
    """The parameter sets with which the video of ``source`` begins."""
    media = SyntheticMedia(source)
    media.begin()
    try:
        data = bytes(await media.video.recv())
    finally:
        await media.close()
    return [data[start:end] for kind, start, end in nal_units(data) if kind in SETS]


def with_sets(sdp, sets):
    """The description as a sender writes it that tells its parameter sets here and nowhere else."""
    told = ",".join(b64encode(one).decode() for one in sets)
    lines = [
        f"{line};sprop-parameter-sets={told}" if line.startswith("a=fmtp:") and "profile-level-id" in line else line
        for line in sdp.splitlines()
    ]
    return "\r\n".join(lines) + "\r\n"


@pytest.mark.parametrize("is_told", [True, False])
def test_a_sender_of_sets_in_its_description_alone_is_recorded_from_its_first_idr(tmp_path, is_told):
    path = tmp_path / "talk.ts"

    async def run():
        source = Synthetic(width=160, height=90, fps=30, seconds=1.0, audio=False)
        sets, media = await sets_of(source), SyntheticMedia(source)
        peers, recorder = Peers(), rk.MediaRecorder(path, audio=None)
        take = peers.receiver.setRemoteDescription

        async def take_told(description):
            sdp = with_sets(description.sdp, sets) if is_told else description.sdp
            await take(RTCSessionDescription(sdp, description.type))

        peers.receiver.setRemoteDescription = take_told
        # As most programs do: before the description is known as a whole.
        peers.receiver.on("track", lambda track: recorder.addTrack(track, peer=peers.receiver))
        await peers.add(Bare(media))
        await recorder.start()
        async with asyncio.timeout(GUARD_S):
            # What is sent before both ends have their keys reaches nobody.
            while {peers.sender.connectionState, peers.receiver.connectionState} != {"connected"}:
                await asyncio.sleep(0.01)
            media.begin()
            await media.wait()
            while is_told and recorder.counters.video_units < 29:
                await asyncio.sleep(0.01)
        recording = await recorder.stop()
        await peers.close()
        await media.close()
        return recording

    recording = asyncio.run(run())
    if is_told:
        back = read_back(path, fps=30)
        assert (back.numbers_ok, back.first_number, back.lost) == (30, 0, 0)
        assert recording.counters.received.dropped_units == 0
    else:
        assert recording.path is None
        assert "parameter sets" in recording.ended_because


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (
            "Z0LAHtkA,aM48gA==",
            [START_CODE + bytes.fromhex("6742c01ed900") + START_CODE + bytes.fromhex("68ce3c80")],
        ),
        ("not base64", [b""]),
        ("", [b""]),
        (None, []),
    ],
)
def test_sets_are_found_by_payload_type_and_nonsense_is_told(told, found, caplog):
    async def run():
        sender, receiver = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
        media = SyntheticMedia(Synthetic(seconds=1.0))
        try:
            for track in media.tracks:
                sender.addTrack(track)
            await sender.setLocalDescription(await sender.createOffer())
            tracks = []
            receiver.on("track", tracks.append)
            assert parameter_sets(receiver, media.video) == {}, "nothing is described yet"
            sdp = "".join(
                f"{line}\r\n"
                for line in sender.localDescription.sdp.splitlines()
                if "H264" in line or not line.startswith(("a=rtpmap:9", "a=rtpmap:10", "a=fmtp:", "a=rtcp-fb"))
            )
            number = next(line[9:].split()[0] for line in sdp.splitlines() if "H264" in line)
            stated = "" if told is None else f"; sprop-parameter-sets={told}"
            line = f"a=fmtp:{number} packetization-mode=1;profile-level-id=42e01f{stated}\r\n"
            sdp = sdp.replace(f"a=rtpmap:{number} H264/90000\r\n", f"a=rtpmap:{number} H264/90000\r\n{line}")
            await receiver.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            by_kind = {track.kind: track for track in tracks}
            assert parameter_sets(receiver, by_kind["audio"]) == {}
            return list(parameter_sets(receiver, by_kind["video"]).values())
        finally:
            await sender.close()
            await receiver.close()
            await media.close()

    assert asyncio.run(run()) == found
    assert ("cannot be read" in caplog.text) == (told == "not base64")


def test_blanks_at_the_end_are_taken_off_attributes_alone():
    told = "v=0\r\ns= \r\na=mid:0 \t\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 nack \na=x: \rb=\r\na=end "
    assert trimmed(told) == "v=0\r\ns= \r\na=mid:0\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 nack\na=x:\rb=\r\na=end"
