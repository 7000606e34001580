#!/usr/bin/env bash
# An offer of video and two audio tracks in one bundle (RFC 9143), which is made of aiortc's own: its answerer moves the
# first section of each kind to the transport of the bundle, and leaves the second audio track at one of its own, which
# it closes as soon as it is connected. All packets of that track come by the other transport and are thrown away, and
# `recv` waits for ever. Seen with aiortc 1.16.0.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet aiortc==1.16.0
"$folder/venv/bin/python" - <<'PY'
import asyncio
import sys
from importlib.metadata import version

from aiortc import RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, VideoStreamTrack


async def comes(track):
    try:
        async with asyncio.timeout(5):
            await track.recv()
    except (TimeoutError, MediaStreamError):
        return False
    return True


async def main():
    sender, receiver, tracks = RTCPeerConnection(), RTCPeerConnection(), []
    receiver.on("track", tracks.append)
    for track in (VideoStreamTrack(), AudioStreamTrack(), AudioStreamTrack()):
        sender.addTrack(track)
    await sender.setLocalDescription(await sender.createOffer())
    await receiver.setRemoteDescription(sender.localDescription)
    await receiver.setLocalDescription(await receiver.createAnswer())
    await sender.setRemoteDescription(receiver.localDescription)
    came = await asyncio.gather(*map(comes, tracks))
    transports = len({one.transport for one in receiver.getReceivers()})
    await sender.close()
    await receiver.close()
    return came, transports


came, transports = asyncio.run(main())
words = ", ".join("comes" if one else "nothing" for one in came)
print(f"aiortc {version('aiortc')}: video, audio, audio: {words}; {transports} transports in one bundle")
sys.exit(0 if came == [True, True, False] else 1)
PY
