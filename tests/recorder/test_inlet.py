"""From one recorder into the next at a keyframe: each unit is in one of them, and in one alone."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from recordkit.errors import MediaError, StateError
from recordkit.model import EncodedUnit, EventKind
from recordkit.recorder import inlet
from recordkit.recorder.inlet import Change, Inlet
from tests.steering import GUARD_S


class Taker:
    """Stands for a recorder."""

    def __init__(self, name="a.ts", fault=None):
        self.final_output_path = SimpleNamespace(name=name)
        self.units, self.events, self.fault = [], [], fault
        self.takes_together = True

    def write_unit(self, unit, stream, *, live):
        assert live
        if self.fault is not None:
            raise self.fault
        self.units.append((unit.codec, stream, unit.ticks))
        return True

    def gather(self):
        pass

    def write(self, frame, stream, *, ticks):
        self.units.append((frame, stream, ticks))
        return True

    def note(self, kind, **fields):
        self.events.append(kind)


def video(ticks, *, entry=False):
    return EncodedUnit("h264", b"x", ticks, is_entry=entry)


def audio(ticks):
    return EncodedUnit("opus", b"x", ticks, is_entry=True)


def changing(*, has_video=True):
    old, new, begun = Taker("a.ts"), Taker("b.ts"), []
    into = Inlet(old, [].append)
    change = Change(new, lambda: begun.append(1), has_video=has_video)
    into.change(change)
    return old, new, into, change, begun


def test_the_next_file_begins_with_a_keyframe_and_audio_goes_over_at_its_time():
    old, new, into, change, begun = changing()
    into.note(EventKind.GAP)
    for unit, stream in (
        (audio(100), 0),
        (audio(100), 1),
        (video(100), 0),
        (video(200, entry=True), 0),
        (audio(180), 0),
        (audio(200), 0),
        (video(190), 0),  # shown before, decoded after
        (audio(199), 1),
    ):
        into.put(unit, stream)
    assert begun == [1]
    into.note(EventKind.RECONNECT)
    assert old.units == [("opus", 0, 100), ("opus", 1, 100), ("h264", 0, 100), ("opus", 0, 180), ("opus", 1, 199)]
    assert new.units == [("h264", 0, 200), ("opus", 0, 200), ("h264", 0, 190)]
    assert (old.events, new.events) == ([EventKind.GAP], [EventKind.RECONNECT])

    async def wait():
        # The second audio stream lags behind: then it has its time for that.
        await change.over()
        into.put(audio(201), 1)
        await change.over()

    asyncio.run(wait())
    into.complete()
    into.put(audio(10), 1)
    assert new.units[-2:] == [("opus", 1, 201), ("opus", 1, 10)]


def test_audio_is_not_taken_together_while_one_file_follows_another():
    old, new, into, *_ = changing()
    assert not into.takes_together()
    into.put(video(200, entry=True), 0)
    into.complete()
    assert into.takes_together()
    new.takes_together = False
    assert not into.takes_together()
    assert old.takes_together


def test_without_video_any_unit_is_as_good():
    old, new, into, _, begun = changing(has_video=False)
    into.put(audio(100), 0)
    into.put(audio(90), 1)
    into.put(audio(110), 1)
    assert begun == [1]
    assert (old.units, new.units) == ([("opus", 1, 90)], [("opus", 0, 100), ("opus", 1, 110)])


def test_a_video_that_is_switched_off_keeps_no_audio_from_going_on():
    async def run():
        _, new, into, change, _ = changing()
        waiting = asyncio.create_task(change.wait_until_begun(0.1))
        while not waiting.done():
            into.put(audio(100), 0)
            await asyncio.sleep(0.01)
        await waiting
        assert new.units

    asyncio.run(run())


@pytest.mark.parametrize("comes", [True, False])
def test_without_a_keyframe_all_stays_as_it_was(comes):
    async def run():
        old, new, into, change, begun = changing()
        if comes:
            into.put(video(100), 0)
        with pytest.raises(MediaError, match="nothing that a file can begin with"):
            await change.wait_until_begun(0.05)
        into.complete()
        into.put(video(200, entry=True), 0)
        assert begun == new.units == []
        assert old.units[-1] == ("h264", 0, 200)

    asyncio.run(run())


def test_units_that_come_in_one_turn_of_the_loop_are_handed_over_together():
    told, soon = [], []
    taker = Taker()
    taker.gather, taker.hand_over = lambda: told.append("gathers"), lambda: told.append(len(taker.units))
    into = Inlet(taker, soon.append)
    for count in (3, 2):
        for ticks in range(count):
            into.put(audio(ticks), 0)
        assert told.pop() == "gathers"
        assert told == []
        soon.pop()()
        assert soon == []
        assert told.pop() == len(taker.units)


def test_a_recorder_that_takes_nothing_is_told_once(caplog):
    into = Inlet(Taker(fault=StateError("failed", "recording", "it has ended")), [].append)
    assert into.put(video(1), 0)
    assert into.put(video(2), 0)
    assert caplog.text.count("a.ts: nothing is recorded any more") == 1


def test_a_stream_that_lags_is_waited_for_no_longer_than_that(monkeypatch):
    monkeypatch.setattr(inlet, "LONGEST_LAG_S", 0.05)

    async def run():
        _, _, into, change, _ = changing()
        into.put(audio(1), 0)
        into.put(video(2, entry=True), 0)
        async with asyncio.timeout(GUARD_S):
            await change.over()

    asyncio.run(run())
