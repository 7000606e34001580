#!/usr/bin/env bash
# A fragmented MP4 that broke off inside the header (moof) of its last fragment cannot be opened at all, if it broke
# off at the wrong byte of it, although every fragment before it is whole; cut inside that fragment's media (mdat) the
# same file opens. So fragmentation alone does not make an MP4 safe against a crash. Seen with PyAV 18.1.0 (FFmpeg 8.1 libraries).
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
from fractions import Fraction

import av

folder = sys.argv[1]
options = {"movflags": "frag_every_frame+empty_moov+default_base_moof"}
with av.open(f"{folder}/whole.mp4", "w", options=options) as out:
    stream = out.add_stream("libx264", rate=25, options={"tune": "zerolatency"})
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    for number in range(50):
        frame = av.VideoFrame(64, 64, "yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
with open(f"{folder}/whole.mp4", "rb") as file:
    data = file.read()
moof = data.rindex(b"moof") - 4
mdat = data.rindex(b"mdat") - 4


def frames(end):
    with open(f"{folder}/cut.mp4", "wb") as file:
        file.write(data[:end])
    try:
        with av.open(f"{folder}/cut.mp4") as film:
            return sum(1 for packet in film.demux(video=0) if packet.size)
    except av.FFmpegError as error:
        return type(error).__name__


whole, in_media = frames(len(data)), frames(mdat + 10)
in_header = [frames(end) for end in range(moof + 1, mdat)]
refused = sum(isinstance(seen, str) for seen in in_header)
print(
    f"PyAV {av.__version__}: whole {whole} frames; cut in the last mdat {in_media}; "
    f"cut in the last moof: not opened at {refused} of {len(in_header)} places"
)
sys.exit(0 if whole == 50 and in_media in (49, 50) and refused > 0 else 1)
PY
