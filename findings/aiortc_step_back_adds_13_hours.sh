#!/usr/bin/env bash
# aiortc counts the times of a track on from its RTP timestamps. One timestamp that is older than the one before it
# by 40 ms (a frame that came out of order, a sender that starts over) is taken for a wrap of the 32-bit counter: all
# times from there on are 2^32 ticks, 13 hours and 15 minutes, late. Seen with aiortc 1.16.0.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet aiortc==1.16.0
"$folder/venv/bin/python" - <<'PY'
import sys
from importlib.metadata import version

from aiortc.rtcrtpreceiver import TimestampMapper

mapper = TimestampMapper()
times = [mapper.map(timestamp) / 90_000 for timestamp in (900_000, 903_600, 900_000, 907_200)]
print(f"aiortc {version('aiortc')}: times {', '.join(f'{time:.2f} s' for time in times)}")
sys.exit(0 if times[1] == 0.04 and times[2] > 13 * 3600 and times[3] > 13 * 3600 else 1)
PY
