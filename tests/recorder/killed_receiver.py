"""The child of test_media_recorder: receives and records, and says how many seconds are packetised.

python killed_receiver.py FILE
"""

import asyncio
import sys

import recordkit as rk
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc.peers import connected_peers
from recordkit.sources.webrtc.tracks import SyntheticMedia


async def main(path: str) -> None:
    media = SyntheticMedia(Synthetic(width=320, height=180, seconds=60))
    recorder = rk.MediaRecorder(path)
    async with connected_peers(media.tracks) as peers:
        for track in peers.tracks:
            recorder.addTrack(track)
        await recorder.start()
        media.begin()
        while True:
            await asyncio.sleep(0.02)
            print(recorder.recorder.duration_s, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
