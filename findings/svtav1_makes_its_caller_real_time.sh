#!/usr/bin/env bash
# An AV1 encoder that is opened by root (every container's user) makes the whole process that opened it a real-time
# one: SCHED_FIFO at priority 99, above all else on the machine. It stays so when the encoder is gone, and what the
# process starts afterwards inherits it, so that a busy child keeps a processor from everything else. Seen with
# libsvtav1 of PyAV 18.1.0's wheel; without root nothing happens.
set -euo pipefail
[ "$(id -u)" -eq 0 ] || { echo "needs root: only for root the encoder asks for it"; exit 1; }
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0
SVT_LOG=1 "$folder/venv/bin/python" - <<'PY'
import os
import subprocess
import sys
from fractions import Fraction

import av

NAMES = {os.SCHED_OTHER: "SCHED_OTHER", os.SCHED_FIFO: "SCHED_FIFO"}


def standing(process: int) -> tuple[str, int]:
    return NAMES[os.sched_getscheduler(process)], os.sched_getparam(process).sched_priority


before = standing(0)
encoder = av.CodecContext.create("libsvtav1", "w")
encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuv420p"
encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
encoder.options = {"preset": "12"}
encoder.open()
del encoder
after = standing(0)
with subprocess.Popen(["sleep", "5"]) as child:
    inherited = standing(child.pid)
    child.kill()
print(f"PyAV {av.__version__}: before {before}, after the encoder {after}, a child started then {inherited}")
sys.exit(0 if before[0] == "SCHED_OTHER" and after == inherited == ("SCHED_FIFO", 99) else 1)
PY
