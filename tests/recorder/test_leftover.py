"""An unfinished recording in the way of a new one: refused, recovered or moved aside."""

import errno
import fcntl
import os
from collections import Counter
from contextlib import ExitStack

import numpy as np
import pytest

import recordkit as rk
from recordkit.errors import (
    OutputAccessError,
    OutputBusyError,
    OutputExistsError,
    PartialExistsError,
    SettingsError,
)
from recordkit.mpegts.packetiser import PacketBuffer
from recordkit.recorder.leftover import clear_the_way
from recordkit.system import System

from ..recovery.material import Lying
from ..steering import PACKET, FaultySystem, packetiser, unit, units_in, whole
from ..writer.rig import rigged

FRAMES = list(rk.Synthetic(width=64, height=48, fps=10, seconds=1, audio=False).frames())


DEAD_UNITS = [unit(number).data for number in range(40)]


def dead(path):
    """An unfinished recording that nobody writes: 30 units in the partial, 10 in the tail."""
    made = packetiser()
    buffer = PacketBuffer(np.empty((1000, PACKET), np.uint8))
    for number in range(40):
        if number == 30:
            end = buffer.used_bytes
        made.lay(unit(number), buffer)
    data = bytes(buffer.bytes[: buffer.used_bytes])
    Lying(path.parent).lay(data[:end], [(end, data[end:])])


def names(folder):
    return sorted(one.name for one in folder.iterdir())


def record(path, **settings):
    with rk.Recorder(path, audio=None, **settings) as recorder:
        for frame in FRAMES:
            recorder.write(frame)
    return recorder.stop()


def test_by_default_it_is_refused_with_the_choices_and_nothing_is_touched(tmp_path):
    dead(tmp_path / "talk.ts")
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    with pytest.raises(PartialExistsError) as caught:
        record(tmp_path / "talk.ts")
    for word in ('"recover"', '"rename"', '"error"', "recordkit recover talk.ts"):
        assert word in str(caught.value)
    assert before == {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}


def test_a_choice_that_does_not_exist(tmp_path):
    with pytest.raises(SettingsError, match="on_partial"):
        rk.Recorder(tmp_path / "talk.ts", on_partial="overwrite")


def test_recover_finishes_the_old_one_first_and_the_new_one_gets_the_name(tmp_path):
    dead(tmp_path / "talk.ts")
    (tmp_path / "talk.flushes.jsonl").write_text("the old one's\n")
    recording = record(tmp_path / "talk.ts", on_partial="recover", flush_log=False)
    assert recording.path == tmp_path / "talk.ts"
    assert names(tmp_path) == ["talk (recovered).flushes.jsonl", "talk (recovered).ts", "talk.frames", "talk.ts"]
    assert units_in(whole(tmp_path / "talk (recovered).ts")) == DEAD_UNITS
    assert rk.verify(tmp_path / "talk.ts").ok
    dead(tmp_path / "talk.ts")
    record(tmp_path / "talk.ts", on_partial="recover", overwrite=True, flush_log=False)
    assert units_in(whole(tmp_path / "talk (recovered 2).ts")) == DEAD_UNITS


def test_rename_moves_it_aside_still_to_be_recovered(tmp_path):
    dead(tmp_path / "talk.ts")
    (tmp_path / "talk (1).ts").write_bytes(b"another's")
    (tmp_path / "talk (2).flushes.jsonl").write_bytes(b"another's")
    record(tmp_path / "talk.ts", on_partial="rename", flush_log=False)
    assert names(tmp_path) == [
        "talk (1).ts",
        "talk (2).flushes.jsonl",
        "talk (3).recording.tail",
        "talk (3).recording.ts",
        "talk.frames",
        "talk.ts",
    ]
    found = rk.recover(tmp_path / "talk (3).recording.ts")
    assert found.tail_bytes > 0
    assert units_in(whole(tmp_path / "talk (3).ts")) == DEAD_UNITS
    assert (tmp_path / "talk (1).ts").read_bytes() == b"another's"


@pytest.mark.parametrize("how", ["error", "recover", "rename"])
def test_one_that_is_recorded_at_this_moment_is_never_touched(tmp_path, how):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.lay(10)
        before = names(tmp_path)
        with pytest.raises(OutputBusyError):
            record(tmp_path / "talk.ts", on_partial=how)
        with pytest.raises(OutputBusyError):
            clear_the_way(tmp_path / "talk.ts", "rename", System())
        assert names(tmp_path) == before


@pytest.mark.parametrize("how", ["recover", "rename"])
def test_a_finished_recording_of_the_name_is_looked_at_first(tmp_path, how):
    dead(tmp_path / "talk.ts")
    (tmp_path / "talk.ts").write_bytes(b"finished")
    before = names(tmp_path)
    with pytest.raises(OutputExistsError):
        record(tmp_path / "talk.ts", on_partial=how)
    assert names(tmp_path) == before


@pytest.mark.parametrize("how", ["recover", "rename"])
def test_a_tail_alone_is_moved_aside(tmp_path, how):
    dead(tmp_path / "talk.ts")
    (tmp_path / "talk.recording.ts").rename(tmp_path / "elsewhere")
    record(tmp_path / "talk.ts", on_partial=how, flush_log=False)
    (aside,) = [name for name in names(tmp_path) if name.endswith(".tail")]
    (tmp_path / "elsewhere").rename(tmp_path / aside.replace(".tail", ".ts"))
    rk.recover(tmp_path / aside.replace(".tail", ".ts"))
    (found,) = [name for name in names(tmp_path) if "(" in name]
    assert units_in(whole(tmp_path / found)) == DEAD_UNITS


@pytest.mark.parametrize("call", ["link", "rename", "unlink", "sync_folder"])
@pytest.mark.parametrize("number", [errno.EIO, errno.EPERM])
def test_where_moving_fails_at_any_point_all_is_still_recoverable(tmp_path, call, number):
    dead(tmp_path / "talk.ts")
    system = FaultySystem()
    system.fail(call, 1, number)
    with pytest.raises(OutputAccessError):
        clear_the_way(tmp_path / "talk.ts", "rename", system)
    rk.recover(tmp_path)
    (found,) = [name for name in names(tmp_path) if name in ("talk.ts", "talk (1).ts")]
    assert units_in(whole(tmp_path / found)) == DEAD_UNITS


@pytest.mark.parametrize("number", [errno.EPERM, errno.EIO, errno.ERANGE, errno.ENOENT])
def test_where_no_links_can_be_made_it_is_moved_aside_all_the_same(tmp_path, number, monkeypatch):
    def refused(*_, **__):
        raise OSError(number, "")

    dead(tmp_path / "talk.ts")
    monkeypatch.setattr(os, "link", refused)
    clear_the_way(tmp_path / "talk.ts", "rename", FaultySystem())
    assert rk.recover(tmp_path / "talk (1).ts").ok
    assert units_in(whole(tmp_path / "talk (1).ts")) == DEAD_UNITS


class Stop(BaseException):
    """Ends a run in the middle, as a kill would."""


def stop():
    raise Stop


@pytest.mark.parametrize("how", ["recover", "rename"])
def test_a_kill_at_each_call_leaves_what_recover_brings_together_and_nothing_else(tmp_path, how):
    calls = FaultySystem()
    (tmp_path / "first").mkdir()
    dead(tmp_path / "first" / "talk.ts")
    clear_the_way(tmp_path / "first" / "talk.ts", how, calls)
    counts = Counter(call.name for call in calls.calls)
    assert counts["link"] == 1
    for name, count in counts.items():
        for nth in range(1, count + 1):
            folder = tmp_path / f"{name} {nth}"
            folder.mkdir()
            dead(folder / "talk.ts")
            system = FaultySystem()
            system.do(name, nth, stop)
            with pytest.raises(Stop):
                clear_the_way(folder / "talk.ts", how, system)
            rk.recover(folder)
            rk.recover(folder)
            (found,) = folder.iterdir()
            assert units_in(whole(found)) == DEAD_UNITS


def test_a_recording_that_begins_while_a_tail_is_looked_at_is_not_moved_away(tmp_path):
    path = tmp_path / "talk.ts"
    dead(path)
    (tmp_path / "talk.recording.ts").rename(tmp_path / "elsewhere")
    with ExitStack() as stack:
        system = FaultySystem()

        def begin():
            (tmp_path / "talk.recording.tail").unlink()
            rig = stack.enter_context(rigged(path))
            rig.lay(10)

        # Neither at the first look nor when the name is to be had.
        system.do("open talk.recording.ts", 2, begin)
        with pytest.raises(OutputBusyError):
            clear_the_way(path, "rename", system)
        assert names(tmp_path) == ["elsewhere", "talk.recording.tail", "talk.recording.ts"]


def test_a_tail_alone_has_its_name_kept_while_it_is_moved(tmp_path):
    path = tmp_path / "talk.ts"
    dead(path)
    (tmp_path / "talk.recording.ts").rename(tmp_path / "elsewhere")
    system = FaultySystem()
    refused = []

    def begin():
        for how in ("error", "rename"):
            with pytest.raises(OutputBusyError) as caught:
                record(path, on_partial=how)
            refused.append(caught.value)

    system.do("link", 1, begin)
    clear_the_way(path, "rename", system)
    assert len(refused) == 2
    assert names(tmp_path) == ["elsewhere", "talk (1).recording.tail"]


def test_where_somebody_else_recovers_it_the_new_one_begins_all_the_same(tmp_path):
    path = tmp_path / "talk.ts"
    dead(path)
    held = []
    system = FaultySystem()

    def hold():
        held.append(os.open(tmp_path / "talk (recovered).recording.ts", os.O_RDWR))
        fcntl.flock(held[0], fcntl.LOCK_EX)

    system.do("open talk (recovered).recording.ts", 1, hold)
    try:
        clear_the_way(path, "recover", system)
    finally:
        os.close(held[0])
    rk.recover(tmp_path)
    assert names(tmp_path) == ["talk (recovered).ts"]


def test_a_partial_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere.ts").write_bytes(b"precious")
    (tmp_path / "talk.recording.ts").symlink_to("elsewhere.ts")
    with pytest.raises(rk.RecoveryError):
        record(tmp_path / "talk.ts", on_partial="rename")
    assert (tmp_path / "elsewhere.ts").read_bytes() == b"precious"
    assert os.path.lexists(tmp_path / "talk.recording.ts")


def test_a_lock_that_is_only_looked_with_is_waited_for(tmp_path):
    dead(tmp_path / "talk.ts")
    descriptor = os.open(tmp_path / "talk.recording.ts", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    system = FaultySystem()
    system.do("open talk.recording.ts", 1, lambda: os.close(descriptor))
    clear_the_way(tmp_path / "talk.ts", "rename", system)
    assert names(tmp_path) == ["talk (1).recording.tail", "talk (1).recording.ts"]
