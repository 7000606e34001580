"""partials: what lies unfinished in a folder, without touching it."""

import fcntl
import json
import os

import pytest

import recordkit as rk

from ..steering import PACKET, FakeClock
from .material import Lying, media, unit_starts


def test_a_folder_with_one_of_each_kind(tmp_path):
    data = media()
    cut = unit_starts(data)[50]
    Lying(tmp_path, "a").lay(data[:cut], [(cut, data[cut:])])
    Lying(tmp_path, "b").lay(data[:cut] + b"\0" * 50)
    Lying(tmp_path, "c").lay(b"")
    moved = Lying(tmp_path, "d").lay(data, [(0, data)])
    moved.partial.unlink()
    Lying(tmp_path, "e").partial.symlink_to(tmp_path / "b.recording.ts")
    (tmp_path / "f.ts").write_bytes(data)
    before = {one.name: one.lstat().st_mtime_ns for one in tmp_path.iterdir()}
    found = rk.partials(tmp_path)
    assert {one.name: one.lstat().st_mtime_ns for one in tmp_path.iterdir()} == before
    assert [one.final_path.name for one in found] == ["a.ts", "b.ts", "c.ts", "d.ts", "e.ts"]
    a, b, c, d, e = found
    assert (a.path, a.bytes, a.tail_bytes) == (tmp_path / "a.recording.ts", cut, len(data) - cut)
    assert (a.recoverable_bytes, a.problem, a.is_recording, a.last_flush_ns) == (len(data), None, False, None)
    assert b.recoverable_bytes == cut
    assert b.problem == "50 bytes cannot be used: zeros"
    assert (c.bytes, c.recoverable_bytes) == (0, 0)
    assert c.problem == "nothing had been recorded"
    assert (d.bytes, d.tail_bytes) == (0, len(data))
    assert "the partial is gone" in d.problem
    assert "link" in e.problem
    assert json.dumps([one.to_dict() for one in found])


def test_a_living_one(tmp_path):
    data = media()
    cut = unit_starts(data)[50]
    lying = Lying(tmp_path).lay(data[:cut], [(cut, data[cut : cut + PACKET])])
    with lying.partial.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        (found,) = rk.partials(tmp_path)
    assert found.is_recording
    assert found.recoverable_bytes == cut + PACKET
    assert found.problem is None


def test_its_age_and_its_last_flush(tmp_path):
    clock = FakeClock()
    recorder = rk.Recorder(tmp_path / "talk.ts", video=None, _clock=clock)
    with recorder:
        for frame in rk.Synthetic(seconds=0.3, video=False).frames():
            recorder.write(frame)
        recorder.stop(commit=False)
    os.utime(tmp_path / "talk.recording.ts", ns=(clock.time_ns(), clock.time_ns()))
    clock.advance(90)
    (found,) = rk.partials(tmp_path, _clock=clock)
    assert found.age_s == pytest.approx(90)
    assert found.last_flush_ns == clock.time_ns() - 90_000_000_000
    assert found.recoverable_bytes == found.bytes > 0
    assert not found.is_recording


@pytest.mark.parametrize("log", [b"", b"{}\n", b"\xff" * 100, None])
def test_a_log_that_is_none(tmp_path, log):
    Lying(tmp_path).lay(media())
    path = tmp_path / "talk.flushes.jsonl"
    if log is None:
        os.mkfifo(path)
    else:
        path.write_bytes(log)
    assert rk.partials(tmp_path)[0].last_flush_ns is None


def test_what_cannot_be_listed(tmp_path):
    assert rk.partials(tmp_path) == []
    with pytest.raises(rk.RecoveryError):
        rk.partials(tmp_path / "nothing")
    (tmp_path / ".recording.ts").write_bytes(b"")
    assert rk.partials(tmp_path) == []


@pytest.mark.parametrize("where", ["partial", "tail"])
def test_a_hole_of_a_terabyte_takes_no_time(tmp_path, where):
    data = media()
    cut = unit_starts(data)[50]
    Lying(tmp_path).lay(data[:cut], [(cut, data[cut:])])
    path = tmp_path / ("talk.recording.ts" if where == "partial" else "talk.recording.tail")
    before = rk.partials(tmp_path)[0].recoverable_bytes
    if where == "tail":
        path.write_bytes(b"")
        (tmp_path / "talk.recording.ts").write_bytes(data)
        before = len(data)
    else:
        (tmp_path / "talk.recording.tail").unlink()
        before = cut
    os.truncate(path, 1 << 40)
    (found,) = rk.partials(tmp_path)
    assert found.recoverable_bytes == before
