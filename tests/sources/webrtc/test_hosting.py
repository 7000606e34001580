"""The event loop in its thread: units get out in order, faults and ends get through, nothing is left."""

import asyncio
import threading

import av
import pytest

from recordkit.errors import SettingsError, SourceError
from recordkit.model import EncodedUnit, EventKind
from recordkit.sources.webrtc import hosting
from recordkit.sources.webrtc.hosting import hosted
from tests.steering import GUARD_S, recordkit_threads

KIB = 1024


def picture(ticks, *, entry=False, size=100):
    return EncodedUnit("h264", bytes([1]) * size, ticks, is_entry=entry)


def sound(ticks):
    return EncodedUnit("opus", b"\x01", ticks, is_entry=True)


@pytest.fixture(autouse=True)
def threads():
    """Gives the threads of these sources that run; at the end there is none."""
    with recordkit_threads() as running:
        yield running


async def forever(outlet):
    outlet.ready()
    await asyncio.Event().wait()


def test_units_come_out_in_order_and_the_items_end_with_the_source(threads):
    async def run(outlet):
        outlet.ready()
        for ticks in range(3):
            assert outlet.put(picture(ticks))
            assert outlet.put(sound(ticks), stream=2)
            await asyncio.sleep(0)

    with hosted("here", run) as outlet:
        items = [(item.media.codec, item.media.ticks, item.stream) for item in outlet.items()]
    assert items == [(codec, ticks, n) for ticks in range(3) for codec, n in (("h264", 0), ("opus", 2))]
    assert outlet.waiting_bytes == 0
    assert threads() == []


def test_a_source_that_cannot_be_opened_says_so_at_once(threads):
    async def run(outlet):
        raise SourceError("here", "nobody answers")

    with pytest.raises(SourceError, match="nobody answers"), hosted("here", run):
        pytest.fail("was opened")
    assert threads() == []


def test_a_source_that_ends_unopened_is_none():
    async def run(outlet):
        pass

    with pytest.raises(SourceError, match="ended before it was open"), hosted("here", run):
        pytest.fail("was opened")


@pytest.mark.parametrize(
    ("error", "words"),
    [(SourceError("here", "went away"), "went away"), (ConnectionError("reset"), "the connection failed: reset")],
)
def test_a_fault_comes_out_after_what_came_before_it(error, words):
    async def run(outlet):
        outlet.ready()
        outlet.put(picture(1))
        raise error

    with hosted("here", run) as outlet:
        items = outlet.items()
        assert next(items).media.ticks == 1
        with pytest.raises(SourceError, match=words):
            next(items)


def test_a_fault_of_our_own_is_told_to_the_thread_hook_and_ends_the_items(monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", told.append)

    async def run(outlet):
        outlet.ready()
        raise ZeroDivisionError

    with hosted("here", run) as outlet, pytest.raises(SourceError, match="fault of its own"):
        list(outlet.items())
    assert [each.exc_type for each in told] == [ZeroDivisionError]


def test_where_nobody_takes_units_they_are_dropped_to_the_next_entry_and_counted():
    filled = threading.Event()

    async def run(outlet):
        outlet.ready()
        given = [outlet.put(picture(ticks, entry=ticks % 5 == 0, size=16 * KIB)) for ticks in range(8)]
        assert given == 3 * [True] + 5 * [False], "an entry is refused too until half of the queue is free"
        assert outlet.put(sound(99)), "sound has its own fate"
        assert outlet.waiting_bytes <= 64 * KIB
        filled.set()
        while outlet.waiting_bytes > 32 * KIB:
            await asyncio.sleep(0.001)
        assert not outlet.put(picture(8))
        assert outlet.put(picture(10, entry=True))

    with hosted("here", run, queue_bytes=64 * KIB) as outlet:
        assert filled.wait(GUARD_S)
        taken = [item.media for item in outlet.items()]
    assert [unit.ticks for unit in taken] == [0, 1, 2, 99, 10]
    assert [unit.discontinuity for unit in taken] == 4 * [False] + [True]
    assert outlet.dropped == 6


def test_an_entry_that_is_asked_for_is_wanted_until_it_comes():
    async def run(outlet):
        outlet.ready()
        assert outlet.put(picture(0, entry=True))
        outlet.request_entry(is_video=True, stream=0)
        assert [outlet.put(picture(1)), outlet.put(sound(1)), outlet.put(picture(2, entry=True))] == [
            False,
            True,
            True,
        ]

    with hosted("here", run) as outlet:
        assert len(list(outlet.items())) == 4, "nothing of it was dropped"


def test_events_wait_for_somebody_to_be_told():
    told = []

    async def run(outlet):
        outlet.note(EventKind.RECONNECT, seconds=1.0)
        outlet.ready()

    with hosted("here", run) as outlet:
        outlet.tell(lambda kind, **fields: told.append((kind, fields)))
        outlet.note(EventKind.GAP, seconds=2.0)
    assert told == [(EventKind.RECONNECT, {"seconds": 1.0}), (EventKind.GAP, {"seconds": 2.0})]


def test_frames_keep_the_time_they_are_given():
    async def run(outlet):
        outlet.ready()
        assert outlet.put_frame(av.VideoFrame(64, 48, "yuv420p"), 90_000)

    with hosted("here", run) as outlet:
        (item,) = outlet.items()
    assert (item.ticks, item.media.width) == (90_000, 64)


def test_closing_cancels_a_source_that_never_ends(threads):
    cancelled = []

    async def run(outlet):
        try:
            await forever(outlet)
        finally:
            cancelled.append(True)

    with hosted("here", run):
        assert threads() == ["recordkit-webrtc"]
    assert cancelled == [True]
    assert threads() == []


def test_an_interrupt_ends_items_that_wait():
    with hosted("here", forever) as outlet:
        taken = []
        reader = threading.Thread(target=lambda: taken.extend(outlet.items()))
        reader.start()
        outlet.interrupt()
        reader.join(GUARD_S)
        assert not reader.is_alive()
    assert taken == []


def test_an_interrupt_loses_nothing_that_waits_or_that_the_source_still_holds():
    async def run(outlet):
        outlet.hands_on = lambda: [outlet.put(picture(ticks)) for ticks in (2, 3)]
        outlet.ready()
        outlet.put(picture(0, entry=True))
        outlet.put(picture(1))
        await asyncio.Event().wait()

    with hosted("here", run) as outlet:
        items = outlet.items()
        assert next(items).media.ticks == 0
        outlet.interrupt()
        outlet.interrupt()
        assert [item.media.ticks for item in items] == [1, 2, 3]
        assert not outlet.put(picture(4)), "what comes after is not taken any more"


def test_a_loop_that_does_not_come_to_it_is_not_waited_for_long(monkeypatch, caplog):
    monkeypatch.setattr(hosting, "_LONGEST_HAND_ON_S", 0.1)
    let_go = threading.Event()

    async def run(outlet):
        outlet.ready()
        outlet.put(picture(0))
        let_go.wait(GUARD_S)

    with hosted("here", run) as outlet:
        outlet.interrupt()
        assert [item.media.ticks for item in outlet.items()] == [0]
        let_go.set()
    assert "did not come within 0.1 s" in caplog.text


def test_a_source_that_has_ended_by_itself_is_interrupted_without_harm():
    async def run(outlet):
        outlet.ready()
        outlet.put(picture(0))

    with hosted("here", run) as outlet:
        items = outlet.items()
        assert next(items).media.ticks == 0
        assert list(items) == []
        outlet.interrupt()
        assert list(outlet.items()) == []


def test_a_queue_that_holds_nothing_is_refused():
    with pytest.raises(SettingsError, match="queue_bytes"), hosted("here", forever, queue_bytes=1):
        pytest.fail("was opened")
