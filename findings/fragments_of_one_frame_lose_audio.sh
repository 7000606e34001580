#!/usr/bin/env bash
# A fragmented MP4 that libavformat writes with a frame a fragment (movflags frag_every_frame) lacks a third of its audio
# when libavformat reads it. Where two fragments of audio follow each other, the first states when it ends in place of
# when it begins (tfdt, ISO/IEC 14496-12, 8.8.12), so both have one time, and the second is not decoded.
# Seen with PyAV 18.1.0 (FFmpeg 8.1 libraries). All packets are in the file, and demuxed, with a flag that discards them.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0
"$folder/venv/bin/python" - "$folder" <<'PY'
import struct
import sys
from fractions import Fraction

import av

RATE, BLOCK, SECONDS = 48_000, 1024, 2


def written(name, flags):
    path = f"{sys.argv[1]}/{name}.mp4"
    with av.open(path, "w", options={"movflags": flags}) as out:
        video, audio = out.add_stream("mpeg4", rate=30), out.add_stream("aac", rate=RATE, layout="mono")
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        packets = []
        for number in range(30 * SECONDS):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            packets += video.encode(frame)
        for number in range(RATE * SECONDS // BLOCK):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=BLOCK)
            for plane in frame.planes:
                plane.update(struct.pack(f"<{BLOCK}f", *([0.25, -0.25] * (BLOCK // 2))))
            frame.sample_rate, frame.pts, frame.time_base = RATE, number * BLOCK, Fraction(1, RATE)
            packets += audio.encode(frame)
        packets += video.encode(None) + audio.encode(None)
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            out.mux(packet)
    with av.open(path) as film:
        flagged = [packet.is_discard for packet in film.demux(audio=0) if packet.size]
    with av.open(path) as film:
        samples = sum(frame.samples for frame in film.decode(audio=0))
    return len(flagged), sum(flagged), samples


shared = "empty_moov+default_base_moof"
for name, flags in (("each", f"frag_every_frame+{shared}"), ("groups", f"frag_keyframe+{shared}")):
    found = written(name, flags)
    print(f"PyAV {av.__version__}: {flags}: {found[0]} packets, {found[1]} of them discarded, {found[2]:,} samples")
    each = found if name == "each" else each
sys.exit(0 if each[1] * 4 > each[0] and found[2] - each[2] == each[1] * BLOCK else 1)
PY
