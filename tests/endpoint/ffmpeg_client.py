"""Publishes the synthetic source by libavformat's own WHIP muxer, in a process of its own: it holds the GIL.

    python ffmpeg_client.py URL TOKEN CERTIFICATE KEY SECONDS

It says how many pictures it has sent. With CERTIFICATE "" libavformat makes itself one.
"""

import sys
import time

import av

from recordkit.sources.synthetic import Synthetic


def main(url: str, token: str, certificate: str, key: str, seconds: str) -> None:
    options = {"authorization": token} | ({"cert_file": certificate, "key_file": key} if certificate else {})
    source = Synthetic(width=160, height=90, fps=30, seconds=float(seconds))
    coding = {"tune": "zerolatency", "profile": "baseline", "bf": "0"}
    with av.open(url, "w", format="whip", options=options) as publisher:
        video = publisher.add_stream("libx264", rate=30, options=coding)
        video.width, video.height, video.pix_fmt, video.gop_size = 160, 90, "yuv420p", 30
        sound = publisher.add_stream("libopus", rate=48_000)
        sound.layout = "stereo"
        publisher.start_encoding()
        began = time.monotonic()
        for frame in source.frames():
            time.sleep(max(0.0, began + source.due_s(frame) - time.monotonic()))
            publisher.mux((video if isinstance(frame, av.VideoFrame) else sound).encode(frame))
        time.sleep(0.5)
    print(source.picture_count)


if __name__ == "__main__":
    main(*sys.argv[1:])
