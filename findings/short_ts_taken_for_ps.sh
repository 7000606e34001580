#!/usr/bin/env bash
# A valid transport stream of a few packets (program tables, a moment of AAC) is opened as an MPEG program stream
# ("mpeg"), not as "mpegts" as a second of the same audio is.
# Seen with PyAV 18.1.0 (FFmpeg 8.1 libraries). It matters for recordings that ended after a moment.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
from fractions import Fraction

import av

folder = sys.argv[1]


def write(name, frames):
    with av.open(f"{folder}/{name}", "w", format="mpegts") as out:
        stream = out.add_stream("aac", rate=48_000, layout="mono")
        for number in range(frames):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.planes[0].update(bytes(4096))
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 1024 * number, Fraction(1, 48_000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with open(f"{folder}/{name}", "rb") as file:
        packets = len(file.read()) / 188
    try:
        with av.open(f"{folder}/{name}") as opened:
            seen = opened.format.name
            streams = len(opened.streams)
    except av.FFmpegError as error:
        seen, streams = type(error).__name__, 0
    print(f"PyAV {av.__version__}: {packets:g} packets, opened as {seen!r}, {streams} streams")
    return packets, seen


few, first = write("short.ts", 2)
many, second = write("longer.ts", 47)
sys.exit(0 if few < 11 and first != "mpegts" and second == "mpegts" else 1)
PY
