"""A program that records in the background, for test_session: a plain script without a guard.

    python parent.py FILE WHAT [SETTING=VALUE...]

It says "recording PID" once its worker records, and then does WHAT.
"""

import json
import os
import re
import resource
import signal
import sys
import time

import recordkit as rk

path, what, *given = sys.argv[1:]
settings = {name: json.loads(value) for name, _, value in (one.partition("=") for one in given)}
source = rk.Synthetic(width=64, height=48, sample_rate=16_000, channels=1)
if what == "hanging":
    source = rk.MediaFile(url=path + ".fifo")
if what == "limited":
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_400_000, 2_400_000))
    source = rk.Synthetic(width=640, height=360, realtime=False)
    settings |= {"flush_threshold": 65536, "video": rk.VideoSettings(preset="ultrafast", crf=1)}

print("starting", flush=True)
session = rk.start(source, path, **settings)
if what != "interrupted":
    print("recording", session.worker_pid, flush=True)

if what == "interrupted":
    try:
        print("recording", session.worker_pid, flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    signal.pause()
elif what == "forked" and os.fork() == 0:
    # A child that has the same pipes, lives on, and must not touch the session.
    try:
        session.stop()
    except rk.StateError as error:
        print("forked", error.state, flush=True)
    signal.pause()
elif what == "holding":
    # One call into C that never lets another thread run.
    began = time.monotonic()
    held = 0
    while time.monotonic() - began < 6:
        re.match(r"(a?){24}a{24}", "a" * 24)
        held += 1
    print("held", held, flush=True)
    print("stopped", session.stop().bytes, flush=True)
elif what == "limited":
    session.wait()
    print("failed", type(session.error).__name__, session.error.errno, session.state, flush=True)
elif what != "leaving":
    signal.pause()
