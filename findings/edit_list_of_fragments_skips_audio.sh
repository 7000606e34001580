#!/usr/bin/env bash
# libavformat takes the media time in the edit list of a fragmented MP4's audio for a number of samples to leave out,
# wherever the first fragment begins. Fragments that begin at half a second of media time, with an edit list that shows
# just that at 0 (ISO/IEC 14496-12, 8.6.6 and 8.8.12), so lose the first half second of audio. Seen with PyAV 18.1.0
# (FFmpeg 8.1 libraries); the same with libraries of FFmpeg 6.1, 7.1, 8.0 and 9.0, while 5.1 plays all of it.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0
"$folder/venv/bin/python" - "$folder" <<'PY'
import struct
import sys
from fractions import Fraction

import av

path = f"{sys.argv[1]}/moved.mp4"
LATER = 24_000  # samples: half a second
options = {"movflags": "frag_every_frame+empty_moov+delay_moov+default_base_moof"}
with av.open(path, "w", options=options) as out:
    stream = out.add_stream("aac", rate=48_000, layout="mono")
    for number in range(100):
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        for plane in frame.planes:
            plane.update(struct.pack("<1024f", *([0.25, -0.25] * 512)))
        frame.sample_rate, frame.pts, frame.time_base = 48_000, number * 1024, Fraction(1, 48_000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def samples():
    with av.open(path) as film:
        return sum(frame.samples for frame in film.decode(audio=0))


def heads(kind):
    at = data.find(kind)
    while at >= 0:
        yield at + 4
        at = data.find(kind, at + 4)


before = samples()
with open(path, "rb") as file:
    data = bytearray(file.read())
for at in heads(b"tfdt"):  # when each fragment is decoded
    size = 8 if data[at] else 4
    time = int.from_bytes(data[at + 4 : at + 4 + size])
    data[at + 4 : at + 4 + size] = (time + LATER).to_bytes(size)
(edit,) = heads(b"elst")  # one entry: how long, from which media time on
place = edit + (16 if data[edit] else 12)
size = 8 if data[edit] else 4
data[place : place + size] = (int.from_bytes(data[place : place + size]) + LATER).to_bytes(size)
with open(path, "wb") as file:
    file.write(data)
after = samples()
print(f"PyAV {av.__version__}: {before:,} samples; {after:,} when fragments and edit list begin {LATER:,} later")
sys.exit(0 if before - after == LATER else 1)
PY
