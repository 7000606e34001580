"""The buffer of two slots: what fills, what is handed on, and a unit that is larger than both."""

import pytest

from recordkit.errors import MediaError, StateError
from recordkit.model import FlushReason
from recordkit.mpegts.laying import PACKET_BYTES
from recordkit.system import System
from recordkit.writer.buffer import Buffer, NotLaid
from recordkit.writer.output import Output
from recordkit.writer.tail import Tail

from ..steering import FakeClock, packetiser, unit, units_in

PACKETS = 40
THRESHOLD = 20 * PACKET_BYTES


class Rig:
    def __init__(self, tail):
        self.clock = FakeClock()
        self.tail = tail
        self.changes = 0
        self.waits = 0
        self.gives_up = False
        self.file = bytearray()
        self.buffer = Buffer(packetiser(), THRESHOLD, self.clock, wait=self._wait, on_change=self._changed)
        self.buffer.open(tail.slots, self.clock.monotonic())

    def _changed(self):
        self.changes += 1

    def _wait(self):
        self.waits += 1
        if not self.gives_up:
            self.flush()
        return not self.gives_up

    def flush(self):
        job = self.buffer.jobs.popleft()
        assert job.slot.offset == len(self.file)
        self.file += job.slot.buffer.bytes[: job.slot.buffer.used_bytes]
        self.buffer.give_back(job.slot)
        return job


@pytest.fixture
def rig(tmp_path):
    output = Output(tmp_path / "talk.ts", System())
    output.open(overwrite=True, needed_bytes=0)
    yield Rig(Tail(output, PACKETS, System()))
    output.close()


def test_nothing_is_laid_before_it_is_open(rig):
    closed = Buffer(packetiser(), THRESHOLD, rig.clock, wait=lambda: True, on_change=lambda: None)
    assert closed.used_bytes == 0
    with pytest.raises(StateError, match="call start"):
        closed.lay(unit(0))


def test_the_first_unit_of_a_slot_is_told_and_the_threshold_hands_the_slot_on(rig):
    assert rig.buffer.lay(unit(0)).offset == 0
    assert rig.changes == 1
    second = rig.buffer.laid_bytes
    assert rig.buffer.lay(unit(1)).offset == second
    assert (rig.changes, len(rig.buffer.jobs)) == (1, 0)
    rig.clock.advance(1.5)
    third = rig.buffer.laid_bytes
    assert rig.buffer.lay(unit(2, 3000)).offset == third
    (job,) = rig.buffer.jobs
    assert (job.reason, job.interval_s, job.slot.units, job.slot.video_units) == (FlushReason.THRESHOLD, 1.5, 3, 3)
    assert rig.buffer.last_flush_s == rig.clock.monotonic()
    assert rig.buffer.used_bytes == 0
    assert rig.buffer.laid_bytes == job.slot.buffer.used_bytes


def test_without_a_free_slot_a_flush_is_only_wanted_and_a_full_one_takes_nothing(rig):
    rig.buffer.lay(unit(0, 4000))
    assert len(rig.buffer.jobs) == 1
    rig.buffer.lay(unit(1, 4000))
    assert (len(rig.buffer.jobs), rig.buffer.flush_wanted) == (1, FlushReason.THRESHOLD)
    rig.buffer.swap_if_free(FlushReason.EXPLICIT)
    assert rig.buffer.flush_wanted is FlushReason.THRESHOLD
    laid = rig.buffer.laid_bytes
    assert rig.buffer.lay(unit(2, 3000)) is NotLaid.FULL
    assert rig.buffer.laid_bytes == laid
    rig.flush()
    assert rig.buffer.lay(unit(2, 3000)).offset == laid
    assert [job.reason for job in rig.buffer.jobs] == [FlushReason.THRESHOLD]
    assert rig.buffer.flush_wanted is None


def test_an_empty_buffer_is_not_handed_on(rig):
    rig.buffer.swap_if_free(FlushReason.EXPLICIT)
    assert not rig.buffer.jobs
    rig.buffer.lay(unit(0))
    rig.buffer.swap_if_free(FlushReason.EXPLICIT)
    assert [job.reason for job in rig.buffer.jobs] == [FlushReason.EXPLICIT]


def test_a_unit_larger_than_both_slots_goes_through_them_in_turn(rig):
    wanted = unit(0, 5 * PACKETS * PACKET_BYTES)
    assert rig.buffer.lay(wanted).offset == 0
    assert rig.waits > 2
    rig.buffer.swap_if_free(FlushReason.STOP)
    while rig.buffer.jobs:
        rig.flush()
    rig.buffer.swap_if_free(FlushReason.STOP)
    while rig.buffer.jobs:
        rig.flush()
    assert units_in(bytes(rig.file)) == [wanted.data]
    assert len(rig.file) == rig.buffer.laid_bytes
    assert rig.buffer.whole_bytes == rig.buffer.laid_bytes


def test_a_unit_that_does_not_come_to_its_end_is_to_be_cut(rig):
    rig.buffer.lay(unit(0))
    whole = rig.buffer.laid_bytes
    rig.gives_up = True
    assert rig.buffer.lay(unit(1, 5 * PACKETS * PACKET_BYTES)) is NotLaid.ENDED
    assert rig.buffer.whole_bytes == whole < rig.buffer.laid_bytes


def test_a_unit_of_a_stream_that_was_never_declared_changes_nothing(rig):
    with pytest.raises(MediaError):
        rig.buffer.lay(unit(0, stream=7))
    assert (rig.buffer.laid_bytes, rig.buffer.used_bytes, rig.changes) == (0, 0, 0)


def test_what_was_let_go_is_empty(rig):
    rig.buffer.lay(unit(0, 4000))
    rig.buffer.let_go()
    assert (rig.buffer.used_bytes, len(rig.buffer.jobs)) == (0, 0)
