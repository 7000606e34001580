"""The child of test_limits: a recording in a process that the system gives nothing more.

python limited.py LIMIT, in the folder to record into; says in JSON how that went.
"""

import json
import os
import resource
import sys
import threading
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

import recordkit as rk

FAST = rk.VideoSettings(preset="ultrafast")
FRAMES = 40
ALL_CLOSED_S = 0.3
"""So long a measurement that has begun may take to close what it reads."""


def frame(number):
    made = av.VideoFrame.from_ndarray(np.full((90, 160, 3), number % 200, np.uint8), "rgb24")
    made.pts, made.time_base = number, Fraction(1, 20)
    return made


def no_descriptors():
    """Open files until there are no more, those included that another thread had open at the first try."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    held = []
    until_s = time.monotonic() + ALL_CLOSED_S
    while time.monotonic() < until_s:
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
                until_s = time.monotonic() + ALL_CLOSED_S
        time.sleep(0.005)
    return held


def no_threads():
    """No further thread, which root is never refused: so as another user."""
    if os.geteuid() == 0:
        os.chown(".", 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))


def no_memory():
    """A little more address space than is taken, and then no more."""
    with Path("/proc/self/statm").open() as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 1_000_000, taken + 1_000_000))


def recording(limit):
    """A recording under way when the limit comes: all its flushes, and the commit, with nothing new to be had."""
    recorder = rk.Recorder("talk.ts", video=FAST, audio=None, flush_interval=0.05, sample_interval=0.02)
    recorder.start()
    for number in range(FRAMES):
        recorder.write(frame(number))
        if number % 5 == 0:
            recorder.flush(30)
        if number == FRAMES // 2:
            recorder.flush(30)
            before = len(recorder.flush_records)
            held = limit()
    recorder.flush(30)
    taken = recorder.counters.taken_items
    made = recorder.stop()
    del held
    return {
        "committed": made.path is not None and made.path.name == "talk.ts",
        "units": made.counters.video_units,
        "taken": taken,
        "memory": [one.rss_bytes for one in recorder.flush_records[before:]],
    }


def beginning(limit):
    """A recording that begins when nothing is to be had any more."""
    recorder = rk.Recorder("talk.ts", video=FAST, audio=None)
    held = limit()
    try:
        recorder.start()
    except rk.RecordkitError as error:
        return {"error": type(error).__name__, "message": str(error), "threads": threading.active_count()}
    finally:
        del held
    return {"error": None, "path": str(recorder.stop(timeout=30).path)}


LIMITS = {"descriptors": no_descriptors, "threads": no_threads, "memory": no_memory}
SCENES = {"recording": recording, "beginning": beginning}

if __name__ == "__main__":
    print(json.dumps(SCENES[sys.argv[1]](LIMITS[sys.argv[2]])))
