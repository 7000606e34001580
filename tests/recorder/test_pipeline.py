"""The encoding thread: what it holds at the start, what it does without room, how it ends."""

import errno
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from recordkit.encode.coded import Coded
from recordkit.encode.ways import Ways
from recordkit.errors import MediaError, WriteError
from recordkit.intake import Intake
from recordkit.model import AccessUnit, EncodedUnit, EventKind
from recordkit.mpegts.packetiser import Packetiser
from recordkit.mpegts.report import TablesEvent
from recordkit.mpegts.scanner import Scanner
from recordkit.recorder.files import Files
from recordkit.recorder.layer import LONGEST_DEFERRED_S
from recordkit.recorder.opening import LONGEST_HOLD_S
from recordkit.recorder.pipeline import Pipeline
from recordkit.recorder.segment import SegmentObserver
from recordkit.recorder.state import Ending, StateTable
from recordkit.settings import AudioSettings, RecordingSettings, VideoSettings

from ..steering import (
    AUDIO,
    GUARD_S,
    VIDEO,
    FakeClock,
    FaultySystem,
    read_tail,
    recordkit_threads,
    scan,
    unit,
    units_in,
    whole,
)

KIB = 1024
ENCODE_THREAD = "recordkit-encode"
RAW = 10 * KIB

LATE_STREAM, EARLY_END = EventKind.LATE_STREAM, EventKind.EARLY_END


class FakeStreams:
    """An encoder that gives the unit it was given, and one more at the end."""

    def __init__(self):
        self.coded = 0
        self.fault = None
        self.closed = False
        self.at_end = []
        self.holds = False
        self.ways = Ways(VideoSettings(), (AudioSettings(),), None, None)
        self.video_format = VIDEO
        self.changed = threading.Condition()

    def code(self, media: AccessUnit, index, ticks, *, discontinuity, arrival=None, size=0, captured=None):
        with self.changed:
            self.coded += 1
            self.changed.notify_all()
        if self.fault is not None:
            raise self.fault
        stream_format = AUDIO if index else self.video_format
        if isinstance(media, EncodedUnit):
            media = unit(media.ticks, len(media.data), stream=index)
        return [Coded(stream_format, replace(media, discontinuity=discontinuity))]

    def settle(self):
        return []

    def flush(self):
        return self.at_end

    def close(self):
        self.closed = True

    def until_coded(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: self.coded >= count, GUARD_S)


class Rig(SegmentObserver):
    def __init__(self, path, *, expected, bound, overflow, **settings):
        self.clock = FakeClock()
        self.system = FaultySystem()
        self.intake = Intake(bound, overflow, self.clock)
        self.streams = FakeStreams()
        own = RecordingSettings(
            path=path, flush_threshold=64 * KIB, _clock=self.clock, _system=self.system, **settings
        )
        files = Files(own, Packetiser, self)
        self.writer = files.in_hand.writer
        self.states = StateTable()
        self.states.start()
        self.outcome = []
        self.events = []
        self.pipeline = Pipeline(
            "talk",
            self.intake,
            self.streams,
            files,
            self.states,
            self.clock,
            expected=expected,
            prelude=lambda: None,
            on_end=lambda: self.outcome.append(self.states.error),
            on_event=lambda kind, **fields: self.events.append((kind, fields)),
        )
        self.given = []
        self.partial, self.final = self.writer.temp_output_path, self.writer.final_output_path

    def room(self):
        self.pipeline.wake()

    def over(self, closed):
        self.pipeline.wake()

    def put(self, number, *, stream=0, size=1000, raw=RAW, entry=True):
        one = unit(number, size, stream=stream)
        taken = self.intake.put(one, stream, one.dts, raw, entry=entry)
        if taken:
            self.given.append(one)
        return taken

    def put_coded(self, number):
        """As a live source gives it, already coded."""
        assert self.intake.put(EncodedUnit("h264", bytes(100), number, is_entry=True), 0, number, 100, entry=True)

    def idle(self):
        self.clock.until_waiting(ENCODE_THREAD)

    def marker(self):
        reached = threading.Event()
        assert self.intake.put_marker(reached)
        return reached

    def end(self, *, commit=True):
        self.states.end(Ending.STOP if commit else Ending.LEAVE)
        self.intake.close()
        assert self.pipeline.join(GUARD_S)
        return self.outcome[0]

    def datas(self, stream=0):
        return [one.data for one in self.given if one.stream == stream]


@contextmanager
def rigged(path, *, expected=frozenset({0}), bound=1024 * KIB, overflow="drop", **settings):
    with recordkit_threads():
        rig = Rig(path, expected=set(expected), bound=bound, overflow=overflow, **settings)
        rig.writer.start()
        rig.pipeline.start()
        try:
            yield rig
        finally:
            rig.end()
            assert len(rig.outcome) == 1
            assert rig.intake.bytes == 0


def tables_of(data):
    """The streams that each PMT names, by their place in the file."""
    scanner = Scanner()
    events = scanner.feed(data) + scanner.close()
    return [len(event.program.streams) for event in events if isinstance(event, TablesEvent)]


# The way through.


def test_a_keyframe_is_told_with_the_byte_at_which_it_begins(tmp_path):
    with rigged(tmp_path / "talk.ts", expected={0, 1}) as rig:
        for number in range(120):
            rig.put(number, stream=0, raw=100)
            rig.put(number, stream=1, raw=100)
        assert rig.end() is None
        data = whole(rig.final)
    begun = [fields["offset"] for kind, fields in rig.events if kind is EventKind.KEYFRAME and not fields["stream"]]
    assert begun[0] == 0
    assert len(begun) == 3
    keys = [one.data for one in rig.given if one.stream == 0 and one.random_access]
    # Each has tables before it, so that a reader can start there.
    assert [units_in(data[offset:])[0] for offset in begun] == keys


def test_items_become_units_in_the_file(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        for number in range(100):
            assert rig.put(number)
        rig.streams.at_end = [Coded(VIDEO, unit(100))]
        assert rig.end() is None
        assert units_in(whole(rig.final)) == [*rig.datas(), unit(100).data]
        assert (rig.pipeline.tally.video_units, rig.pipeline.tally.audio_units) == (101, 0)
        assert rig.pipeline.tally.first_pts == unit(0).pts
        assert rig.pipeline.tally.end_pts == unit(101).pts


@pytest.mark.parametrize("together", [1, 2, 5])
def test_coded_units_that_come_together_are_made_safe_by_one_pair_of_writes(tmp_path, together):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.put_coded(0)
        rig.idle()
        before = rig.system.count("store")
        with rig.intake.changed:
            for number in range(1, 1 + together):
                rig.put_coded(number)
        rig.idle()
        # The packets, and how many of them count.
        assert rig.system.count("store") - before == 2
        tail = read_tail(rig.partial.with_suffix(".tail"))
        assert sum(len(data) for _, data in tail.slots) == rig.writer.laid_bytes


def test_coded_units_that_take_long_are_laid_before_those_behind_them_are_coded(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.put_coded(0)
        rig.idle()
        coded, laid, done, code = rig.streams.coded, [], [], rig.streams.code

        def slowly(*args, **fields):
            laid.append(rig.writer.laid_bytes)
            rig.clock.advance(LONGEST_DEFERRED_S)
            return code(*args, **fields)

        rig.streams.code = slowly
        rig.pipeline.early.look = lambda *, all_laid: done.append((all_laid, len(laid)))
        with rig.intake.changed:
            for number in range(1, 5):
                rig.put_coded(number)
        rig.streams.until_coded(coded + 4)
        rig.idle()
        assert laid == sorted(set(laid))
        # What is in hand and not coded yet is not laid: a prelude that has it must not be given up.
        assert {count for all_laid, count in done if all_laid and count} == {4}


def test_coded_bytes_take_the_place_of_raw_ones_in_the_bound(tmp_path):
    with rigged(tmp_path / "talk.ts", expected={0, 1}) as rig:
        rig.put(0, raw=500 * KIB, size=1000)
        rig.idle()
        assert rig.intake.bytes == 1000
        rig.put(0, stream=1, raw=4000, size=100)
        rig.idle()
        assert rig.intake.bytes == 0


def test_a_new_format_is_declared_before_its_first_unit(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.put(0)
        rig.idle()
        rig.streams.video_format = replace(VIDEO, width=640)
        rig.put(1)
        rig.end()
        assert scan(whole(rig.final)).problem_counts == {}


# The first half second.


def test_the_first_units_wait_for_all_streams_so_that_one_pmt_names_them(tmp_path):
    with rigged(tmp_path / "talk.ts", expected={0, 1}) as rig:
        for number in range(3):
            rig.put(number)
        rig.idle()
        assert rig.writer.laid_bytes == 0
        rig.put(0, stream=1)
        rig.idle()
        assert rig.writer.laid_bytes > 0
        rig.end()
        assert tables_of(whole(rig.final)) == [2]


@pytest.mark.parametrize("present", [0, 1])
def test_a_stream_that_does_not_come_is_waited_for_half_a_second(tmp_path, present):
    with rigged(tmp_path / "talk.ts", expected={0, 1}) as rig:
        rig.put(0, stream=present)
        rig.idle()
        rig.clock.advance(LONGEST_HOLD_S - 0.001)
        rig.idle()
        assert rig.writer.laid_bytes == 0
        rig.clock.advance(0.001)
        rig.idle()
        rig.clock.until_waiting(ENCODE_THREAD)
        assert rig.writer.laid_bytes > 0
        # The late one comes into a PMT of its own, and nothing is waited for any more.
        laid = rig.writer.laid_bytes
        rig.put(1, stream=1 - present)
        rig.idle()
        assert rig.writer.laid_bytes > laid
        rig.end()
        assert tables_of(whole(rig.final)) == [1, 2]


def test_a_stream_that_begins_late_and_one_that_ends_early_are_told(tmp_path, caplog):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.put(0)
        rig.idle()
        for number in range(120, 240):
            rig.put(number, stream=1, size=100)
        rig.end()
        told = {kind: fields["stream"] for kind, fields in rig.events if kind in (LATE_STREAM, EARLY_END)}
        assert told == {LATE_STREAM: 1, EARLY_END: 0}
    assert "-analyzeduration 100M" in caplog.text


def test_one_stream_that_stalls_holds_up_no_other(tmp_path):
    with rigged(tmp_path / "talk.ts", expected={0, 1}) as rig:
        rig.put(0)
        rig.put(0, stream=1)
        rig.idle()
        for number in range(1, 100):
            laid = rig.writer.laid_bytes
            rig.put(number)
            rig.idle()
            assert rig.writer.laid_bytes > laid


def test_the_end_during_the_hold_writes_what_there_is(tmp_path):
    with rigged(tmp_path / "talk.ts", expected={0, 1}) as rig:
        rig.put(0)
        rig.idle()
        assert rig.end() is None
        assert units_in(whole(rig.final)) == rig.datas()


def test_a_marker_during_the_hold_ends_it(tmp_path):
    with rigged(tmp_path / "talk.ts", expected={0, 1}) as rig:
        rig.put(0)
        assert rig.marker().wait(GUARD_S)
        assert rig.writer.laid_bytes > 0


def test_an_end_at_once(tmp_path):
    with rigged(tmp_path / "talk.ts", expected={0, 1}) as rig:
        assert rig.end() is None
        assert not rig.writer.committed
        assert rig.pipeline.tally.first_pts is None
    assert list(tmp_path.iterdir()) == []


# Without room.


def fill(rig):
    """Items until the queue refuses one, while the first write hangs; the count of those tried."""
    number = 0
    while True:
        while rig.intake.bytes + RAW <= rig.intake.bound:
            assert rig.put(number, size=4000)
            number += 1
            # One at a time, so that coded bytes have taken the place of raw ones.
            rig.idle()
        return number


def test_while_a_write_hangs_it_goes_on_encoding_within_the_bound_and_counts_what_it_drops(tmp_path):
    with rigged(tmp_path / "talk.ts", bound=256 * KIB) as rig:
        gate = rig.system.hold("write", 1)
        number = fill(rig)
        gate.until_reached()
        held = rig.intake.bytes
        assert rig.intake.bound - RAW < held <= rig.intake.bound
        # All were encoded, none waits raw: what waits is coded and counted.
        assert rig.streams.coded == number
        assert held % 4000 == 0
        for missing in range(50):
            assert not rig.put(number + missing, size=4000)
            assert rig.intake.bytes == held
        assert (rig.intake.taken, rig.intake.dropped) == (number, 50)
        gate.open()
        assert rig.marker().wait(GUARD_S)
        assert rig.intake.bytes == 0
        assert rig.put(number + 50)
        assert rig.put(number + 51)
        assert rig.end() is None
        data = whole(rig.final)
        assert units_in(data) == rig.datas()
        assert scan(data).problem_counts == {}
        assert rig.pipeline.tally.video_units == number + 2 == rig.intake.taken


def test_a_marker_without_room_waits_for_it(tmp_path):
    with rigged(tmp_path / "talk.ts", bound=256 * KIB) as rig:
        gate = rig.system.hold("write", 1)
        fill(rig)
        reached = rig.marker()
        rig.idle()
        assert not reached.is_set()
        gate.open()
        assert reached.wait(GUARD_S)


def test_the_end_without_room_waits_for_it(tmp_path):
    with rigged(tmp_path / "talk.ts", bound=256 * KIB) as rig:
        gate = rig.system.hold("write", 1)
        fill(rig)
        rig.states.end(Ending.STOP)
        rig.intake.close()
        assert not rig.pipeline.join(0)
        gate.open()
        assert rig.end() is None
        assert units_in(whole(rig.final)) == rig.datas()


def test_callers_that_block_go_on_when_there_is_room_again(tmp_path):
    with rigged(tmp_path / "talk.ts", bound=256 * KIB, overflow="block") as rig:
        gate = rig.system.hold("write", 1)
        caller = threading.Thread(
            target=lambda: [rig.put(number, size=4000) for number in range(1000)], name="caller"
        )
        caller.start()
        gate.until_reached()
        rig.clock.until_waiting("caller")
        assert rig.intake.bytes <= rig.intake.bound
        gate.open()
        caller.join(GUARD_S)
        assert rig.end() is None
        assert rig.intake.dropped == 0
        assert units_in(whole(rig.final)) == rig.datas()
        assert len(rig.given) == 1000


# How it fails.


@pytest.mark.parametrize("waiting", ["for items", "for room", "in the hold", "at a marker"])
def test_a_writer_that_fails_ends_it_wherever_it_waits(tmp_path, waiting):
    expected = {0, 1} if waiting == "in the hold" else {0}
    with rigged(tmp_path / "talk.ts", bound=256 * KIB, expected=expected) as rig:
        gate = rig.system.hold("write", 1)
        rig.system.fail("sync_data", 1, errno.EIO)
        reached = None
        if waiting == "for items":
            rig.put(0)
            rig.idle()
            rig.clock.until_waiting("recordkit-write")
            rig.clock.advance(2)
        elif waiting == "in the hold":
            # Nothing is laid yet that could fail: this fails at its first flush.
            rig.put(0)
            rig.idle()
            rig.clock.advance(LONGEST_HOLD_S)
            rig.idle()
            rig.clock.until_waiting("recordkit-write")
            rig.clock.advance(2)
        else:
            fill(rig)
            reached = rig.marker() if waiting == "at a marker" else None
        gate.until_reached()
        rig.idle()
        gate.open()
        assert rig.pipeline.join(GUARD_S)
        assert isinstance(rig.outcome[0], WriteError)
        assert rig.outcome[0] is rig.writer.error
        assert not rig.put(10_000)
        if reached is not None:
            assert reached.is_set()
        assert not rig.final.exists()


def test_media_that_cannot_be_encoded_end_it_with_what_came_before_in_the_partial(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.put(0)
        rig.idle()
        rig.streams.fault = MediaError("broken", 0)
        rig.put(1)
        reached = rig.marker()
        assert rig.pipeline.join(GUARD_S)
        assert rig.outcome == [rig.streams.fault]
        assert reached.is_set()
        assert units_in(whole(rig.partial)) == rig.datas()[:1]
        assert not rig.final.exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_our_own_ends_it_too(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.put(0)
        rig.idle()
        rig.streams.fault = ZeroDivisionError()
        rig.put(1)
        assert rig.pipeline.join(GUARD_S)
        assert isinstance(rig.outcome[0], MediaError)
        assert units_in(whole(rig.partial)) == rig.datas()[:1]


def test_who_waited_learns_of_the_failure_and_not_before_it_is_known(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        known = []
        rig.pipeline._on_end = lambda: (known.append(reached.is_set()), rig.outcome.append(rig.states.error))
        rig.streams.fault = MediaError("broken", 0)
        reached = threading.Event()
        with rig.intake.changed:
            rig.put(0)
            rig.intake.put_marker(reached)
        assert reached.wait(GUARD_S)
        assert known == [False]


def test_the_first_word_on_how_to_end_counts(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.put(0)
        rig.states.end(Ending.LEAVE)
        assert rig.end(commit=True) is None
        assert not rig.final.exists()
        assert units_in(whole(rig.partial)) == rig.datas()


def test_a_unit_that_cannot_be_carried_is_left_out_and_counted(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.put(0)
        rig.put(1)
        rig.put(1)
        rig.put(2)
        assert rig.end() is None
        assert rig.pipeline.layer.refused_units == 1
        assert rig.pipeline.tally.video_units == 3
    del rig.given[2]
    assert units_in(whole(rig.final)) == rig.datas()


def test_it_tells_of_streams_sizes_and_keyframes(tmp_path):
    with rigged(tmp_path / "talk.ts") as rig:
        rig.put(0)
        rig.idle()
        rig.streams.video_format = replace(VIDEO, width=VIDEO.width * 2)
        rig.put(1)
        rig.end()
    kinds = [kind.value for kind, _ in rig.events]
    assert [kind for kind in kinds if kind != "keyframe"] == ["stream", "size change"]
    sizes = [fields["width"] for kind, fields in rig.events if "width" in fields]
    assert sizes == [VIDEO.width, VIDEO.width * 2]
