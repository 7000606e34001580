#!/usr/bin/env bash
# Motion JPEG as network cameras send it over HTTP (multipart/x-mixed-replace) has no times, and
# use_wallclock_as_timestamps gives each frame that of its arrival. libavformat counts them in 1/25 s all the same,
# whatever comes: of a camera with 30 frames a second one frame in six has the time of the one before it. Seen with
# PyAV 18.1.0 (FFmpeg 8.1).
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0
"$folder/venv/bin/python" - <<'PY'
import os
import sys
import threading
import time
from fractions import Fraction

import av

FRAMES = 60
context = av.CodecContext.create("mjpeg", "w")
context.width, context.height, context.pix_fmt, context.time_base = 64, 48, "yuvj420p", Fraction(1, 30)
frame = av.VideoFrame(64, 48, "yuvj420p")
frame.pts = 0
picture = bytes(context.encode(frame)[0])
part = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode() + picture + b"\r\n"
reading, writing = os.pipe()


def camera():
    began = time.monotonic()
    for number in range(FRAMES):
        time.sleep(max(0.0, began + number / 30 - time.monotonic()))
        os.write(writing, part)
    os.close(writing)


threading.Thread(target=camera).start()
options = {"use_wallclock_as_timestamps": "1"}
with av.open(f"pipe:{reading}", format="mpjpeg", options=options) as container:
    base = container.streams.video[0].time_base
    times = [packet.pts for packet in container.demux(video=0) if packet.size]
same = len(times) - len(set(times))
print(f"PyAV {av.__version__}: {len(times)} frames in ticks of {base} s, {same} with the time of another one")
sys.exit(0 if base == Fraction(1, 25) and len(times) >= FRAMES - 1 and same >= FRAMES // 12 else 1)
PY
