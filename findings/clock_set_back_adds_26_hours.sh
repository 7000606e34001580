#!/usr/bin/env bash
# Two transport streams of one sender, one behind the other, the second with a clock 90 s earlier (a camera that
# was set right): libavformat takes the step back for a wrap of the 33-bit counter and adds 2^33 ticks, so that four
# seconds of media last 26.5 hours. With the option correct_ts_overflow=0 the times come as they are in the file.
# Seen with PyAV 18.1.0 (FFmpeg 8.1 libraries).
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
from fractions import Fraction

import av

folder = sys.argv[1]


def seconds(start_s):
    name = f"{folder}/{start_s}.ts"
    with av.open(name, "w", format="mpegts") as out:
        stream = out.add_stream("libx264", rate=25, options={"tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(50):
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts, frame.time_base = start_s * 25 + number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with open(name, "rb") as file:
        return file.read()


with open(f"{folder}/both.ts", "wb") as file:
    file.write(seconds(200) + seconds(110))


def span_s(**options):
    with av.open(f"{folder}/both.ts", options=options) as film:
        times = [packet.pts for packet in film.demux(video=0) if packet.pts is not None]
    return (max(times) - min(times)) / 90_000


as_it_comes, raw = span_s(), span_s(correct_ts_overflow="0")
print(f"PyAV {av.__version__}: 4 s of media span {as_it_comes / 3600:.2f} h; {raw:.2f} s with correct_ts_overflow=0")
sys.exit(0 if as_it_comes > 26 * 3600 and raw < 100 else 1)
PY
