#!/usr/bin/env bash
# An audio frame of eight planar channels has nine planes in PyAV 18, the ninth without a buffer of its own: who adds
# up the sizes of the planes gets too much, who copies them copies one too many. Seven channels have seven.
# Seen with PyAV 18.1.0; the size is samples x channels x bytes of a sample.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0
"$folder/venv/bin/python" - <<'PY'
import sys

import av

seen = {}
for layout in ("6.1", "7.1"):
    frame = av.AudioFrame(format="fltp", layout=layout, samples=1024)
    seen[frame.layout.nb_channels] = len(frame.planes)
print(f"PyAV {av.__version__}: planes by channels {seen}")
sys.exit(0 if seen == {7: 7, 8: 9} else 1)
PY
