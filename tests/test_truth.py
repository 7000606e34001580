"""What the instruments say is what an outside observer sees."""

import gc
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from recordkit.recorder.recorder import Recorder
from recordkit.settings import VideoSettings
from recordkit.sources.synthetic import Synthetic
from recordkit.system import Clock, System
from recordkit.telemetry.frames import read_flush_log
from recordkit.telemetry.process import ProcessProbe
from recordkit.telemetry.sampler import Sampler, Standing

from .judges import judge, run
from .steering import FaultySystem, recordkit_threads

ROOT = Path(__file__).parents[1]
FPS = 25
SOURCE = Synthetic(width=160, height=96, fps=FPS, seconds=4)
VIDEO = VideoSettings(preset="ultrafast", crf=8)
RECORD = f"""
import sys
from recordkit.recorder.recorder import Recorder
from recordkit.settings import VideoSettings
from recordkit.sources.synthetic import Synthetic
with Recorder(sys.argv[1], video=VideoSettings(preset="ultrafast", crf=8), flush_threshold=64 * 1024) as one:
    for number, frame in enumerate(Synthetic(width=160, height=96, fps={FPS}, seconds=4).frames()):
        one.write(frame)
        if number % 100 == 99:
            one.flush()
"""


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    with recordkit_threads():
        yield


def record(path, **settings):
    with Recorder(path, **{"video": VIDEO, "flush_threshold": 64 * 1024} | settings) as one:
        for number, frame in enumerate(SOURCE.frames()):
            one.write(frame)
            if number % 100 == 99:
                one.flush()
    return one.stop()


# Flushes.


@pytest.mark.judge
def test_strace_sees_the_same_writes_to_the_byte(tmp_path):
    path, trace = tmp_path / "talk.ts", tmp_path / "trace"
    calls = "trace=write,pwrite64,writev,pwritev,pwritev2,ftruncate,fallocate"
    command = [judge("strace"), "-f", "-qq", "-o", trace, "-P", tmp_path / "talk.recording.ts", "-e", calls]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([*command, sys.executable, "-c", RECORD, path], check=True, env=environment, timeout=120)
    seen = re.findall(r"(\w+)\(\d+, .*?, (\d+), (\d+)\) = (\d+)$", trace.read_text(), re.MULTILINE)
    assert {name for name, *_ in seen} == {"pwrite64"}
    assert len(seen) == len(trace.read_text().splitlines())
    flushes = read_flush_log(path).flushes
    assert len(flushes) > 4
    assert {"threshold", "explicit", "stop"} & set(flushes["reason"])
    assert [int(size) for _, size, _, _ in seen] == flushes["flush_bytes"].tolist()
    assert [int(written) for *_, written in seen] == flushes["flush_bytes"].tolist()
    assert [int(offset) + int(size) for _, size, offset, _ in seen] == flushes["file_bytes"].tolist()
    assert flushes["flush_bytes"].sum() == path.stat().st_size


def test_an_injected_system_sees_the_same_writes_to_the_byte(tmp_path):
    system = FaultySystem()
    recording = record(tmp_path / "talk.ts", _system=system)
    writes = system.named("write")
    assert [call.size for call in writes] == recording.flushes["flush_bytes"].tolist()
    assert [call.offset + call.size for call in writes] == recording.flushes["file_bytes"].tolist()
    assert len(system.named("sync_data")) == len(writes)


def test_file_bytes_is_what_stat_says_at_each_flush(tmp_path):
    path = tmp_path / "talk.ts"
    seen = []

    def look(flush):
        seen.append((flush.file_bytes, os.stat(path.with_name("talk.recording.ts")).st_size))  # noqa: PTH116

    recording = record(path, on_flush=look)
    assert len(seen) == len(recording.flushes) > 4
    for told, found in seen:
        assert told == found
    assert recording.samples["file_bytes"].iloc[-1] == recording.bytes == path.stat().st_size


def test_bytes_at_risk_is_what_lies_behind_the_last_sync(tmp_path):
    class Watching(FaultySystem):
        def sync_data(self, descriptor):
            super().sync_data(descriptor)
            synced.append(os.fstat(descriptor).st_size)

    synced = []
    recording = record(tmp_path / "talk.ts", _system=Watching())
    flushes = recording.flushes
    before = np.array([0, *synced[:-1]])
    # At the least what it wrote itself; what was laid meanwhile comes on top.
    assert (flushes["bytes_at_risk"] >= flushes["file_bytes"] - before).all()
    assert (flushes["bytes_at_risk"] <= recording.bytes - before).all()


# Memory.


def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


def private():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return (
        sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:"))) * 1024
    )


def truth():
    return {
        "rss_bytes": status("VmRSS"),
        "uss_bytes": private(),
        "peak_rss_bytes": status("VmHWM"),
        "threads": status("Threads") // 1024,
        "open_files": len(os.listdir("/proc/self/fd")) - 1,  # noqa: PTH208 - the listing counts itself
    }


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="there is no such thing as /proc here")
@pytest.mark.parametrize("megabytes", [0, 50, 200])
def test_memory_is_what_proc_says_at_the_same_moment(tmp_path, megabytes):
    gc.collect()
    held = bytearray(b"\1") * (megabytes * 1_000_000)
    sampler = Sampler(lambda: Standing(tmp_path / "none"), ProcessProbe(Clock()), Clock(), System(), None)
    before = truth()
    sample = sampler.sample(0.0)
    after = truth()
    del held  # a failure would keep it, and with it the alerts of later tests
    for name, found in before.items():
        # Between two readings, should a thread of another test still be on its way out.
        least, most = sorted((found, after[name]))
        slack = 0.02 if name.endswith("_bytes") else 0
        assert least * (1 - slack) <= getattr(sample, name) <= most * (1 + slack), name


def test_memory_of_each_flush_is_what_proc_says_at_the_same_moment(tmp_path):
    seen = []
    path = tmp_path / "talk.ts"
    recording = record(path, on_flush=lambda flush: seen.append((flush.rss_bytes, status("VmRSS"))))
    assert len(seen) == len(recording.flushes)
    close = [told for told, found in seen if told == pytest.approx(found, rel=0.02)]
    # The encoder may take a lot between the one reading and the other, while it starts.
    assert len(close) >= len(seen) - 1


def test_the_samples_are_of_the_process_that_records(tmp_path):
    """Taken in its own thread at a moment of its own: so the highest of it lies between two readings of ours."""
    gc.collect()  # what earlier tests have left is not to be given back meanwhile
    before = status("VmRSS")
    recording = record(tmp_path / "talk.ts", sample_interval=0.01)
    after = status("VmHWM")
    assert before * 0.95 <= recording.samples["rss_bytes"].min()
    assert recording.samples["rss_bytes"].max() <= after * 1.02
    assert recording.samples["threads"].max() > threading.active_count()


# Time.


def stream_seconds(path, kind):
    """ffprobe's duration of a stream, from the first packet's time to the end of the last one."""
    entries = ("-show_entries", "packet=pts_time,duration_time", "-of", "csv=p=0")
    done = run("ffprobe", "-v", "error", "-select_streams", kind, *entries, path)
    assert not done.stderr, done.stderr
    rows = [line.strip(",").split(",") for line in done.stdout.split()]
    times = [(float(row[0]), float(row[1]) if len(row) > 1 and row[1] != "N/A" else 1 / FPS) for row in rows]
    return min(begin for begin, _ in times), max(begin + length for begin, length in times)


@pytest.mark.judge
def test_durations_are_those_of_ffprobe_within_a_frame(tmp_path):
    recording = record(tmp_path / "talk.ts")
    spans = [stream_seconds(recording.path, kind) for kind in ("v:0", "a:0")]
    whole_s = max(end for _, end in spans) - min(begin for begin, _ in spans)
    frame_s = 1 / FPS
    assert recording.duration_s == pytest.approx(whole_s, abs=frame_s)
    assert 4 <= recording.duration_s < 4.2
    told = read_flush_log(recording.path).events.iloc[-1]["fields"]["duration_s"]
    assert told == recording.duration_s
    done = run("ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", recording.path)
    assert recording.duration_s == pytest.approx(float(done.stdout.strip().strip(",")), abs=frame_s)
    # The flushes together cover it: each unit is in one, and neighbours meet within two of its frames.
    assert recording.flushes["media_s"].sum() == pytest.approx(whole_s, abs=2 * frame_s * len(recording.flushes))
    assert recording.flushes["video_units"].sum() == 4 * FPS
