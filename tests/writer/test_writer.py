"""The writer: when it flushes, how it ends, and what it does when the disk fails or stands still."""

import errno
import logging
import os
import re
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from recordkit.errors import DiskSpaceError, MediaError, OutputExistsError, StateError, WriteError
from recordkit.model import FlushReason
from recordkit.settings import RecordingSettings
from recordkit.writer.buffer import Laid, NotLaid
from recordkit.writer.observer import Closed, Observer
from recordkit.writer.writer import Writer

from ..steering import (
    GUARD_S,
    PACKET,
    FaultySystem,
    packetiser,
    read_tail,
    recordkit_threads,
    recovered,
    scan,
    unit,
    units_in,
    whole,
)
from .rig import SMALL, WRITE_THREAD, Rig, rigged

DEFAULT_THRESHOLD = RecordingSettings(path="talk.ts").flush_threshold


def datas(units):
    return [one.data for one in units]


# When it flushes.


def test_defaults_are_4_mib_or_2_seconds(tmp_path):
    writer = Writer(RecordingSettings(path=tmp_path / "talk.ts"), packetiser())
    settings = writer.settings
    assert (settings.flush_threshold, settings.flush_interval, settings.durability) == (
        DEFAULT_THRESHOLD,
        2.0,
        "flush",
    )
    assert DEFAULT_THRESHOLD == 4 * 1024 * 1024
    assert writer.temp_output_path == tmp_path / "talk.recording.ts"
    assert writer.final_output_path == tmp_path / "talk.ts"
    assert list(tmp_path.iterdir()) == []


def test_each_flush_by_threshold_is_one_write_that_ends_on_a_packet(tmp_path):
    with rigged(tmp_path / "talk.ts", flush_threshold=DEFAULT_THRESHOLD) as rig:
        for _ in range(3):
            before = len(rig.records)
            while rig.writer.bytes_since_last_flush + 120_000 < DEFAULT_THRESHOLD:
                assert rig.lay(1, 100_000)
            rig.lay(2, 100_000)
            rig.until_flushed(before + 1)
        assert [call.size for call in rig.system.named("write")] == [one.flush_bytes for one in rig.records]
        for record in rig.records:
            assert record.reason is FlushReason.THRESHOLD
            assert record.flush_bytes % PACKET == 0
            assert DEFAULT_THRESHOLD <= record.flush_bytes < DEFAULT_THRESHOLD + 110_000
        assert rig.records[-1].file_bytes == rig.partial.stat().st_size == rig.writer.file_bytes
        assert rig.writer.laid_bytes == rig.writer.file_bytes + rig.writer.bytes_since_last_flush


def test_a_flush_comes_when_the_interval_is_over_and_none_while_idle(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.lay()
        rig.idle()
        rig.clock.advance(1.999)
        rig.idle()
        assert rig.records == []
        rig.clock.advance(0.001)
        record = rig.until_flushed(1)
        assert (record.reason, record.interval_s, record.elapsed_s) == (FlushReason.INTERVAL, 2.0, 2.0)
        rig.idle()
        rig.clock.advance(1000)
        rig.idle()
        assert len(rig.records) == 1
        assert len(rig.system.named("write")) == 1
        # After a rest the first unit goes to disk at once, rather than being two seconds old.
        rig.lay()
        assert rig.until_flushed(2).interval_s == 1000.0


def test_the_interval_counts_from_the_flush_before(tmp_path):
    with rigged(tmp_path / "talk.ts", flush_interval=0.5) as rig:
        for number in range(1, 5):
            rig.lay(3)
            rig.idle()
            rig.clock.advance(0.5)
            assert rig.until_flushed(number).interval_s == 0.5
            rig.idle()


def test_an_explicit_flush_writes_what_is_there(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.lay(5)
        assert rig.writer.flush(GUARD_S)
        assert units_in(whole(rig.partial)) == datas(rig.laid)
        assert rig.until_flushed(1).reason is FlushReason.EXPLICIT
        assert rig.writer.bytes_since_last_flush == 0
        assert rig.writer.flush()
        assert len(rig.system.named("write")) == 1


def test_an_explicit_flush_gives_up_after_its_timeout(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        gate = rig.system.hold("write", 1)
        rig.lay()
        outcome = []
        thread = threading.Thread(target=lambda: outcome.append(rig.writer.flush(5.0)), name="caller")
        thread.start()
        gate.until_reached()
        rig.clock.until_waiting("caller")
        rig.clock.advance(5.0)
        thread.join(GUARD_S)
        assert outcome == [False]
        gate.open()
        assert rig.writer.flush(GUARD_S)


def test_an_explicit_flush_during_another_flush_takes_what_came_since(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        gate = rig.system.hold("write", 1)
        rig.lay(80)
        gate.until_reached()
        rig.lay(3)
        thread = threading.Thread(target=rig.writer.flush, name="caller")
        thread.start()
        rig.clock.until_waiting("caller")
        gate.open()
        thread.join(GUARD_S)
        assert units_in(whole(rig.partial)) == datas(rig.laid)
        assert [one.reason for one in rig.records] == [FlushReason.THRESHOLD, FlushReason.EXPLICIT]


def test_the_record_of_a_flush(tmp_path):
    with rigged(tmp_path / "talk.ts", audio=True) as rig:
        rig.writer.lay(unit(0))
        rig.writer.lay(unit(0, stream=1))
        rig.writer.lay(unit(1))
        rig.idle()
        rig.clock.advance(2)
        first = rig.until_flushed(1)
        assert (first.index, first.video_units, first.audio_units) == (0, 2, 1)
        assert first.media_s == pytest.approx(6000 / 90_000)
        assert first.time_ns == rig.clock.time_ns()
        assert (first.queue_bytes, first.dropped_units) == (17, 3)
        assert first.bytes_at_risk == first.flush_bytes == first.file_bytes
        assert first.rss_bytes > 1_000_000
        rig.writer.lay(unit(2))
        rig.writer.flush()
        second = rig.until_flushed(2)
        assert (second.index, second.video_units, second.audio_units) == (1, 1, 0)
        assert second.file_bytes == first.file_bytes + second.flush_bytes
        assert second.bytes_at_risk == second.flush_bytes


def test_without_syncs_everything_written_is_at_risk(tmp_path):
    with rigged(tmp_path / "talk.ts", durability="process") as rig:
        for number in (1, 2):
            rig.lay()
            rig.writer.flush()
            assert rig.until_flushed(number).bytes_at_risk == rig.writer.file_bytes
        assert [call.name for call in rig.system.calls if call.name.startswith("sync")] == []


def test_the_log_names_the_way_of_writing_and_each_flush(tmp_path, caplog):
    caplog.set_level(logging.INFO, "recordkit")
    with rigged(tmp_path / "talk.ts", flush_threshold=4 * 1024 * 1024) as rig:
        rig.lay()
        rig.writer.flush()
    messages = [one.getMessage() for one in caplog.records if one.name == "recordkit"]
    assert messages[0] == "Using DIRECT FILE WRITING with buffered flushing (4MB threshold)"
    assert re.match(r"Flushed buffer: [\d,]+ bytes \(explicit\)", messages[1])


class Broken(Observer):
    """Raises whatever it is told."""

    def flushed(self, record):
        raise ValueError("broken observer")

    room = waiting = over = flushed

    def full(self):
        raise ValueError("broken observer")

    queue = full


@pytest.mark.parametrize("room", [None, 1000])
def test_an_observer_that_raises_does_not_end_the_recording(tmp_path, caplog, room):
    system = FaultySystem()
    with recordkit_threads():
        writer = Writer(RecordingSettings(path=tmp_path / "talk.ts", _system=system), packetiser(), Broken())
        writer.start()
        system.room = room
        for number in range(2):
            assert isinstance(writer.lay(unit(number)), Laid) is (room is None or number == 0)
            assert writer.flush(GUARD_S)
        writer.close(commit=True)
        assert writer.join(GUARD_S)
        assert writer.committed
    assert "an observer failed" in caplog.text
    assert "broken observer" in caplog.text


def test_an_observer_may_close_the_writer_and_cannot_wait_for_it(tmp_path):
    caught = []

    class Greedy(Observer):
        def flushed(self, record):
            for call in (writer.flush, writer.join):
                with pytest.raises(StateError) as error:
                    call()
                caught.append(error.value.wanted)
            writer.close(commit=True)

    with recordkit_threads():
        writer = Writer(RecordingSettings(path=tmp_path / "talk.ts"), packetiser(), Greedy())
        writer.start()
        writer.lay(unit(0))
        assert writer.flush(GUARD_S)
        assert writer.join(GUARD_S)
        assert writer.committed
    assert caught == ["another thread"] * 2


# How it ends.


def test_a_commit_syncs_renames_and_syncs_the_folder_and_only_then_removes_the_tail(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        begun = len(rig.system.calls)
        rig.lay(3)
        assert rig.close(commit=True)
        calls = rig.system.calls[begun:]
        assert [call.name for call in calls] == ["write", "sync_data", "sync", "rename", "sync_folder", "unlink"]
        before, after = ("talk.recording.tail", "talk.recording.ts"), ("talk.recording.tail", "talk.ts")
        assert [call.names for call in calls] == [before] * 4 + [after] * 2
        assert [one.name for one in tmp_path.iterdir()] == ["talk.ts"]
        assert rig.until_flushed(1).reason is FlushReason.STOP
        assert units_in(whole(rig.final)) == datas(rig.laid)
        assert rig.writer.committed
        assert rig.writer.error is None


def test_without_syncs_at_flushes_the_commit_still_syncs(tmp_path):
    with rigged(tmp_path / "talk.ts", durability="process") as rig:
        rig.lay(3)
        rig.close(commit=True)
        assert [call.name for call in rig.system.calls][-5:] == ["write", "sync", "rename", "sync_folder", "unlink"]


def test_left_without_commit_the_partial_is_whole_and_synced_and_needs_no_tail(tmp_path):
    with rigged(tmp_path / "talk.ts", durability="process") as rig:
        rig.lay(3)
        rig.close(commit=False)
        assert [call.name for call in rig.system.calls][-3:] == ["write", "sync", "unlink"]
        assert [one.name for one in tmp_path.iterdir()] == ["talk.recording.ts"]
        assert units_in(whole(rig.partial)) == datas(rig.laid)
        assert not rig.writer.committed
        assert rig.writer.error is None


@pytest.mark.parametrize("commit", [True, False])
def test_a_recording_without_a_byte_leaves_no_file(tmp_path, commit):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.close(commit=commit)
        assert list(tmp_path.iterdir()) == []
        assert not rig.writer.committed
        assert rig.writer.error is None


def test_closing_again_changes_nothing(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.lay()
        assert rig.close(commit=False)
        assert rig.close(commit=True)
        assert not rig.final.exists()
        assert rig.writer.flush()
        assert rig.writer.bytes_since_last_flush == 0
        with pytest.raises(StateError) as caught:
            rig.lay()
        assert (caught.value.state, caught.value.wanted) == ("closed", "started")


def test_before_the_start_nothing_can_be_laid(tmp_path):
    rig = Rig(tmp_path / "talk.ts")
    with pytest.raises(StateError) as caught:
        rig.lay()
    assert (caught.value.state, caught.value.wanted) == ("new", "started")
    assert rig.writer.bytes_since_last_flush == rig.writer.file_bytes == 0
    rig.close(commit=True)
    assert list(tmp_path.iterdir()) == []


def test_closing_gives_up_after_its_timeout_and_goes_on_behind(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        gate = rig.system.hold("sync", 1)
        rig.lay()
        assert not rig.close(commit=True, timeout_s=0.0)
        gate.until_reached()
        gate.open()
        assert rig.close(commit=True)
        assert rig.final.exists()


def test_one_that_was_closed_is_followed_by_the_next_without_waiting_for_its_end(tmp_path):
    with rigged(tmp_path / "one.ts") as one:
        gate = one.system.hold("sync", 1)
        one.lay(3)
        one.writer.close(commit=True)
        gate.until_reached()
        with rigged(tmp_path / "two.ts") as two:
            two.lay(3)
            assert two.close(commit=True)
            assert two.until_over() == Closed(two.final, two.final.stat().st_size, True, None, None)
        assert one.closed == []
        gate.open()
        assert one.until_over() == Closed(one.final, one.final.stat().st_size, True, None, None)
        assert units_in(whole(one.final)) == datas(one.laid)


@pytest.mark.parametrize("count", [0, 3])
def test_what_is_left_uncommitted_is_told_too(tmp_path, count):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.lay(count)
        rig.close(commit=False)
        path = rig.partial if count else None
        assert rig.until_over() == Closed(path, rig.writer.file_bytes, False, None, None)


def test_a_name_taken_while_recording_is_not_overwritten(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.lay(3)
        rig.system.do("rename", 1, lambda: rig.final.write_bytes(b"somebody else's"))
        rig.close(commit=True)
        assert isinstance(rig.writer.error, OutputExistsError)
        assert rig.writer.error.path == rig.final
        assert rig.final.read_bytes() == b"somebody else's"
        assert units_in(whole(rig.partial)) == datas(rig.laid)
        with pytest.raises(OutputExistsError):
            rig.lay()


def test_overwriting_replaces_the_file_at_the_commit_and_not_before(tmp_path):
    (tmp_path / "talk.ts").write_bytes(b"old")
    with rigged(tmp_path / "talk.ts", overwrite=True) as rig:
        rig.lay(3)
        rig.writer.flush()
        assert rig.final.read_bytes() == b"old"
        rig.close(commit=True)
        assert units_in(whole(rig.final)) == datas(rig.laid)


# When it cannot begin.


def test_too_little_room_is_found_before_anything_is_made(tmp_path):
    rig = Rig(tmp_path / "new" / "talk.ts")
    rig.system.free = 1_000_000
    with pytest.raises(DiskSpaceError) as caught:
        rig.writer.start()
    assert caught.value.path == rig.final
    assert caught.value.free_bytes == 1_000_000
    assert caught.value.needed_bytes > 2 * SMALL
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "number", "error"),
    [
        ("allocate", errno.ENOSPC, DiskSpaceError),
        ("allocate", errno.EDQUOT, DiskSpaceError),
        ("sync_folder", errno.EIO, WriteError),
    ],
)
def test_a_start_that_fails_leaves_nothing_and_may_be_tried_again(tmp_path, name, number, error):
    with recordkit_threads():
        rig = Rig(tmp_path / "talk.ts")
        rig.system.fail(name, 1, number)
        with pytest.raises(error):
            rig.writer.start()
        assert list(tmp_path.iterdir()) == []
        rig.writer.start()
        rig.lay()
        rig.close(commit=True)
        assert rig.final.exists()


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENODEV, errno.EINVAL])
def test_where_no_tail_can_be_written_it_records_all_the_same_and_warns(tmp_path, number, caplog):
    with recordkit_threads():
        rig = Rig(tmp_path / "talk.ts")
        rig.system.fail("store", 1, number)
        rig.writer.start()
        assert "the crash-proof buffer cannot be written to" in caplog.text
        assert not rig.tail.exists()
        rig.lay(200)
        rig.close(commit=True)
        assert units_in(whole(rig.final)) == datas(rig.laid)
        assert [one.name for one in tmp_path.iterdir()] == ["talk.ts"]


# When the disk fails.

NUMBERS = [errno.EIO, errno.ENOSPC, errno.EFBIG, errno.EDQUOT]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("nth", [1, 3])
def test_a_write_that_fails_ends_it_with_whole_packets_in_the_partial(tmp_path, number, nth):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.system.fail("write", nth, number, lasting=True)
        for flushed in range(1, nth):
            rig.lay(10)
            rig.writer.flush()
            rig.until_flushed(flushed)
        rig.lay(10)
        with pytest.raises(WriteError) as caught:
            rig.writer.flush(GUARD_S)
        error = caught.value
        assert rig.failure() is error
        assert (error.path, error.errno, error.offset) == (rig.partial, number, rig.writer.file_bytes)
        assert isinstance(error.__cause__, OSError)
        with pytest.raises(WriteError) as caught:
            rig.lay()
        assert caught.value is error
        assert rig.until_over().error is error
        assert not rig.final.exists()
        assert rig.system.named("rename") == rig.system.named("sync") == []
        if number in (errno.EIO, errno.EFBIG):
            assert len(rig.system.named("write")) == nth
        assert units_in(whole(rig.partial)) == datas(rig.laid[: 10 * (nth - 1)])
        # What the partial has not got is in the tail.
        assert units_in(recovered(rig.partial, rig.tail)) == datas(rig.laid)


@pytest.mark.parametrize("cut_fails", [False, True])
def test_a_write_cut_short_in_a_packet_is_cut_back_to_a_whole_one(tmp_path, cut_fails):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.system.shorten(1, 1000)
        rig.system.fail("write", 2, errno.EIO)
        if cut_fails:
            rig.system.fail("truncate", 1, errno.EIO)
        rig.lay(10)
        with pytest.raises(WriteError) as caught:
            rig.writer.flush(GUARD_S)
        assert caught.value.offset == 940
        assert rig.partial.stat().st_size == (1000 if cut_fails else 940)
        assert units_in(recovered(rig.partial, rig.tail)) == datas(rig.laid)


def test_short_writes_are_gone_on_with(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.system.shorten(1, 777, lasting=True)
        rig.lay(20)
        rig.writer.flush(GUARD_S)
        calls = rig.system.named("write")
        assert [call.offset for call in calls] == list(range(0, rig.writer.file_bytes, 777))
        assert units_in(whole(rig.partial)) == datas(rig.laid)


def test_a_write_that_takes_nothing_is_a_failure_and_no_endless_loop(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.system.shorten(1, 0, lasting=True)
        rig.lay()
        with pytest.raises(WriteError) as caught:
            rig.writer.flush(GUARD_S)
        assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("name", ["sync_data", "sync"])
@pytest.mark.parametrize("commit", [True, False])
def test_a_sync_that_failed_once_is_never_taken_for_done(tmp_path, name, commit):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.system.fail(name, 1, errno.EIO)
        rig.lay(3)
        rig.close(commit=commit)
        error = rig.failure()
        assert isinstance(error, WriteError)
        assert error.errno == errno.EIO
        assert len(rig.system.named(name)) == 1
        assert rig.system.named("rename") == []
        assert not rig.writer.committed
        assert rig.tail.exists()
        assert units_in(recovered(rig.partial, rig.tail)) == datas(rig.laid)


def test_a_rename_that_fails_leaves_the_partial(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.system.fail("rename", 1, errno.EROFS)
        rig.lay(3)
        rig.close(commit=True)
        assert rig.failure().errno == errno.EROFS
        assert units_in(whole(rig.partial)) == datas(rig.laid)


def test_a_folder_that_cannot_be_synced_after_the_rename_is_told(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.system.fail("sync_folder", 2, errno.EIO)
        rig.lay(3)
        rig.close(commit=True)
        assert rig.failure().path == tmp_path
        assert not rig.writer.committed
        assert units_in(whole(rig.final)) == datas(rig.laid)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("closing", [True, False])
def test_a_fault_of_our_own_in_the_thread_is_an_error_too(tmp_path, closing):
    def fault():
        raise ZeroDivisionError

    with rigged(tmp_path / "talk.ts") as rig:
        rig.system.do("write", 1, fault)
        rig.lay(3)
        if not closing:
            with pytest.raises(WriteError):
                rig.writer.flush(GUARD_S)
        rig.close(commit=True)
        assert isinstance(rig.failure(), WriteError)
        assert not rig.writer.committed
        assert rig.until_over().error is rig.writer.error
        assert units_in(recovered(rig.partial, rig.tail)) == datas(rig.laid)


def test_a_unit_that_cannot_be_carried_is_refused_and_leaves_no_trace(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.lay(2)
        with pytest.raises(MediaError) as caught:
            rig.writer.lay(unit(0))
        assert caught.value.stream == 0
        rig.lay(2)
        rig.close(commit=True)
        assert units_in(whole(rig.final)) == datas(rig.laid)


# When the disk stands still.


def test_while_a_write_hangs_the_other_slot_fills_and_then_lay_says_no(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        gate = rig.system.hold("write", 1)
        assert rig.lay(100_000, 5000) < 100_000
        gate.until_reached()
        held = rig.writer.laid_bytes
        assert held > 2 * SMALL
        assert rig.writer.bytes_since_last_flush < held
        assert rig.writer.lay(unit(len(rig.laid), 5000)) is NotLaid.FULL
        assert rig.writer.laid_bytes == held
        assert not rig.writer.flush(0.0)
        assert rig.rooms == 0
        gate.open()
        rig.until_room()
        assert rig.lay(1, 5000)
        rig.close(commit=True)
        assert units_in(whole(rig.final)) == datas(rig.laid)
        assert scan(whole(rig.final)).problem_counts == {}


def test_a_write_that_hangs_and_then_fails_wakes_who_waits_for_room(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        gate = rig.system.hold("write", 1)
        rig.system.fail("sync_data", 1, errno.EIO)
        rig.lay(100_000, 5000)
        gate.open()
        assert not rig.until_over().committed
        assert not rig.writer.is_full
        with pytest.raises(WriteError):
            rig.lay()
        assert units_in(recovered(rig.partial, rig.tail)) == datas(rig.laid)


@pytest.mark.parametrize("kept", [True, False])
def test_a_unit_larger_than_a_slot_goes_through_in_pieces(tmp_path, kept):
    with recordkit_threads():
        rig = Rig(tmp_path / "talk.ts")
        if not kept:
            rig.system.fail("store", 1, errno.EOPNOTSUPP)
        rig.writer.start()
        rig.lay(3)
        for _ in range(2):
            # Not at the first asking where something lies in the slot and the other is being written.
            while not rig.lay(1, 5_000_000):
                rig.writer.flush()
            while not rig.lay(1):
                rig.writer.flush()
        rig.close(commit=True)
        assert units_in(whole(rig.final)) == datas(rig.laid)
        assert scan(whole(rig.final)).problem_counts == {}
        assert sum(one.video_units for one in rig.records) == len(rig.laid)


def test_it_tells_at_which_byte_each_unit_begins(tmp_path):
    with rigged(tmp_path / "talk.ts", audio=True) as rig:
        for number in range(120):
            while not rig.lay(1, 5_000_000 if number == 60 else 900, stream=number % 2):
                rig.writer.flush()
        rig.close(commit=True)
        data = whole(rig.final)
        for number in (0, 1, 59, 60, 61, 100, 119):
            before = units_in(data[: rig.offsets[number]])
            assert sorted(before) == sorted(datas(rig.laid[:number]))


def test_a_writer_closed_in_the_middle_of_a_unit_leaves_the_unit_out(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.lay(3)
        gate = rig.system.hold("write", 1)
        laying = threading.Thread(target=rig.lay, args=(1, 6_000_000))
        laying.start()
        gate.until_reached()
        rig.clock.until_waiting(laying.name)
        assert not rig.close(commit=True, timeout_s=0.0)
        gate.open()
        laying.join(GUARD_S)
        assert rig.refused is NotLaid.ENDED
        assert rig.close(commit=True)
        assert rig.writer.ended_because is None
        assert units_in(whole(rig.final)) == datas(rig.laid)


def test_a_write_that_fails_ends_the_wait_of_a_unit_larger_than_a_slot(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.system.fail("write", 2, errno.EIO)
        with pytest.raises(WriteError):
            rig.lay(1, 5_000_000)
        data = recovered(rig.partial, rig.tail)
        assert len(data) % PACKET == 0
        assert len(data) > 1_000_000


# The tail.


def test_the_tail_is_true_after_each_unit_and_over_each_swap(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        for number in range(300):
            while not rig.lay(1, 700):
                rig.writer.flush()
            if number % 10 == 0:
                rig.idle()
                data = recovered(rig.partial, rig.tail)
                assert len(data) == rig.writer.laid_bytes
                assert units_in(data) == datas(rig.laid)
        assert read_tail(rig.tail).inode == rig.partial.stat().st_ino
        assert len(rig.records) >= 3


def test_the_tail_has_everything_while_a_write_hangs(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        gate = rig.system.hold("write", 2)
        rig.lay(40)
        rig.writer.flush()
        rig.lay(70)
        gate.until_reached()
        rig.lay(20)
        state = read_tail(rig.tail)
        assert all(data for _, data in state.slots)
        assert units_in(recovered(rig.partial, rig.tail)) == datas(rig.laid)
        gate.open()


def test_the_tails_file_is_given_back_at_the_end(tmp_path):
    def opened() -> list[str]:
        names = []
        for one in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # the descriptor of the list itself
                names.append(os.readlink(one))  # noqa: PTH115 - a pipe's is no path
        return names

    with rigged(tmp_path / "talk.ts") as rig:
        rig.lay()
        assert str(rig.tail) in opened()
        rig.close(commit=True)
        assert not [one for one in opened() if one.startswith(str(rig.tail))]


# A tail that cannot be written to any more.


@pytest.mark.parametrize("nth", [9, 12, 13, 14, 15, 16, 25, 40])
@pytest.mark.parametrize("lasting", [True, False])
def test_a_store_that_fails_costs_nothing_but_the_promise_for_a_kill(tmp_path, nth, lasting, caplog):
    """What the file says stays true: with the partial it is the beginning of what was laid, at each moment."""
    with rigged(
        tmp_path / "talk.ts", prepare=lambda one: one.fail("store", nth, errno.ENOSPC, lasting=lasting)
    ) as rig:
        for number in range(60):
            rig.lay(1, 3000)
            if number % 10 == 9:
                rig.writer.flush(GUARD_S)
            if rig.tail.exists():
                state = recovered(rig.partial, rig.tail)
                units = units_in(state[: len(state) // PACKET * PACKET])
                assert units == datas(rig.laid)[: len(units)]
                assert len(units) >= number // 10 * 10
        assert rig.close(commit=True)
        assert rig.writer.committed
        assert units_in(whole(rig.final)) == datas(rig.laid)
        assert caplog.text.count("the crash-proof buffer cannot be written to") == 1
        assert [one.name for one in tmp_path.iterdir()] == ["talk.ts"]


def test_flush_and_close_from_many_threads_at_once(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        stop = threading.Event()

        def keep_flushing():
            while not stop.is_set():
                rig.writer.flush(GUARD_S)

        threads = [threading.Thread(target=keep_flushing) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(1000):
            while not rig.lay(1, 500):
                rig.writer.flush()
        stop.set()
        for thread in threads:
            thread.join(GUARD_S)
        closers = [threading.Thread(target=lambda: rig.close(commit=True)) for _ in range(4)]
        for thread in closers:
            thread.start()
        for thread in closers:
            thread.join(GUARD_S)
        assert units_in(whole(rig.final)) == datas(rig.laid)
        assert all(record.flush_bytes for record in rig.records)


def test_two_writers_at_once_do_not_mix(tmp_path):
    with rigged(tmp_path / "one.ts") as one, rigged(tmp_path / "two.ts") as two:
        for _ in range(200):
            for rig in (one, two):
                while not rig.lay(1, 900):
                    rig.writer.flush()
        for rig in (one, two):
            rig.close(commit=True)
            assert units_in(whole(rig.final)) == datas(rig.laid)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.ts", "two.ts"]


def test_the_thread_bears_the_recordings_name(tmp_path):
    with recordkit_threads() as running, rigged(tmp_path / "talk.ts") as rig:
        assert running() == [f"{WRITE_THREAD}:talk.ts"]
        rig.close(commit=True)


def test_a_writer_needs_neither_clock_nor_system_nor_observers(tmp_path):
    writer = Writer(RecordingSettings(path=tmp_path / "talk.ts"), packetiser())
    writer.start()
    writer.lay(unit(0))
    writer.close(commit=True)
    assert writer.join(GUARD_S)
    assert units_in(whole(tmp_path / "talk.ts")) == [unit(0).data]
