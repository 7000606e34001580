"""The thread that reads a source: what it hands on, what it is refused, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from recordkit.errors import MediaError, RecordkitError, SourceError, StateError
from recordkit.model import Captured, CapturedBy, EncodedUnit, EventKind, Received
from recordkit.recorder.feed import Feed
from recordkit.recorder.state import State
from recordkit.sources.source import OpenSource, SourceItem, SourceNote
from recordkit.system import Clock

HANG_GUARD_S = 60
TROUBLE = MediaError("of no use")


class InstantClock(Clock):
    """Its sleeps take no time, and are written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return 50.0

    def time_ns(self) -> int:
        return 1_000

    def sleep(self, seconds: float, interrupt: threading.Event) -> None:
        self.slept.append(seconds)


class Taker:
    """A recorder as far as a feed knows one; ``refuses`` are the numbers of the items that it refuses."""

    state, error = State.RECORDING, None

    def __init__(self, refuses: Iterable[int] = (), duration_s: float = 0.0) -> None:
        self.duration_s = duration_s
        self.taken: list[tuple[EncodedUnit, int, bool]] = []
        self.told: list[tuple[Any, ...]] = []
        self.received: Any = None
        self._refuses = frozenset(refuses)
        self._came = 0

    def write_unit(self, unit: EncodedUnit, stream: int = 0, *, live: bool = False) -> bool:
        self._came += 1
        if self._came - 1 in self._refuses:
            raise TROUBLE
        self.taken.append((unit, stream, live))
        return True

    def degrade(self, part: str, because: str) -> None:
        self.told.append(("degrade", part, because))

    def restore(self, part: str) -> None:
        self.told.append(("restore", part))

    def note(self, kind: EventKind, **fields: Any) -> None:
        self.told.append((kind, fields))


@dataclass
class Given:
    """A source of ``items``, then ``fault``; more of what an open source says in ``more``."""

    items: Iterable[SourceItem | SourceNote] = ()
    fault: Exception | None = None
    more: dict[str, Any] = field(default_factory=dict)
    name: str = "given"
    closed: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def open(self) -> Iterator[OpenSource]:
        try:
            yield OpenSource(self._items(), **({"has_video": True, "has_audio": False} | self.more))
        finally:
            self.closed.set()

    def _items(self) -> Iterator[SourceItem | SourceNote]:
        yield from self.items
        if self.fault is not None:
            raise self.fault


def unit(second: float = 0.0, codec: str = "h264") -> EncodedUnit:
    return EncodedUnit(codec, b"coded", round(second * 90_000), is_entry=True)


def fed(
    source: Given, taker: Taker | None = None, seconds: float | None = None, clock: Clock | None = None
) -> Feed:
    """A feed that has handed on all that it will."""
    feed = Feed(source, seconds, threading.Event(), clock or InstantClock())
    feed.open()
    feed.begin(taker or Taker())  # type: ignore[arg-type] # as far as a feed knows one
    feed._thread.join(HANG_GUARD_S)
    assert feed.ended.is_set()
    assert source.closed.is_set()
    return feed


def test_items_are_handed_on_in_order_each_to_its_stream() -> None:
    taker, units = Taker(), [unit(0), unit(0, "opus"), unit(1)]
    feed = fed(Given([SourceItem(units[0]), SourceItem(units[1], 2), SourceItem(units[2])]), taker)
    assert taker.taken == [(units[0], 0, False), (units[1], 2, False), (units[2], 0, False)]
    assert (feed.error, feed.ended_because) == (None, None)


def test_notes_are_handed_on_in_their_places_and_time_that_passes_counts() -> None:
    notes = [
        SourceNote(EventKind.RECONNECT, {"seconds": 2.0}),
        SourceNote(reached_s=4.9),
        SourceNote(reached_s=6.0),
    ]
    taker = Taker()
    fed(Given([SourceItem(unit(1)), *notes, SourceItem(unit(2))]), taker, seconds=5)
    assert taker.told == [(EventKind.RECONNECT, {"seconds": 2.0})]
    assert len(taker.taken) == 1


def test_a_source_that_is_given_up_says_why_and_is_no_fault() -> None:
    ended = SourceNote(EventKind.SOURCE_ENDED, {"because": "it did not come back"})
    feed = fed(Given([SourceItem(unit(0)), ended], more={"is_live": True}))
    assert (feed.error, feed.ended_because) == (None, "it did not come back")


def test_what_is_due_at_a_time_waits_for_it_and_was_taken_then() -> None:
    clock, frames = InstantClock(), []
    taker = Taker()
    taker.write = lambda media, stream, **known: frames.append(known["captured"])  # type: ignore[attr-defined]
    own = Captured(7, CapturedBy.CALLER)
    media: Any = type("Frame", (), {"pts": 0, "time_base": 1})()
    fed(Given([SourceItem(media, due_s=0.25), SourceItem(media, due_s=0.5, captured=own)]), taker, clock=clock)
    assert clock.slept == [0.25, 0.5]
    assert frames == [Captured(1_000 + 250_000_000, CapturedBy.DEVICE, 0.001), own]


def test_each_stream_gives_the_seconds_that_were_asked_for() -> None:
    taker = Taker()
    items = [SourceItem(unit(second, codec)) for second in range(5) for codec in ("h264", "opus")]
    fed(Given(items, more={"has_audio": True}), taker, seconds=2)
    assert [one.ticks for one, *_ in taker.taken] == [0, 0, 90_000, 90_000]


def test_a_recording_that_is_long_enough_ends_whatever_the_times_say() -> None:
    taker = Taker(duration_s=3.0)
    feed = fed(Given(SourceItem(unit()) for _ in range(100)), taker, seconds=2)
    assert taker.taken == []
    assert feed.error is None


def test_a_stream_that_is_refused_is_told_and_told_again_once_it_goes() -> None:
    taker = Taker(refuses=[0])
    feed = fed(Given([SourceItem(unit()), SourceItem(unit(1)), SourceItem(unit(2))]), taker)
    assert taker.told == [("degrade", "video", str(TROUBLE)), ("restore", "video")]
    assert (len(taker.taken), feed.error) == (2, None)


def test_if_nothing_else_is_there_refusals_end_it() -> None:
    taker = Taker(refuses=range(100))
    feed = fed(Given(SourceItem(unit(number)) for number in range(100)), taker)
    assert feed.error is TROUBLE
    assert len(taker.told) == 30


@pytest.mark.parametrize(
    ("fault", "words"), [(SourceError("given", "cable out"), "cable out"), (KeyError(1), "own")]
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_the_source_fails_with_is_kept(fault: Exception, words: str) -> None:
    feed = fed(Given([SourceItem(unit())], fault))
    assert isinstance(feed.error, RecordkitError)
    assert words in str(feed.error)


@pytest.mark.parametrize(
    ("more", "seconds", "because"),
    [
        ({"may_end": False}, None, "the source ended"),
        ({}, None, None),
        ({}, 9.0, "the source ended before the 9 s asked for"),
    ],
)
def test_a_connection_that_ends_says_so(more: dict[str, Any], seconds: float | None, because: str | None) -> None:
    taker = Taker()
    feed = fed(Given([SourceItem(unit())], more={"is_live": True} | more), taker, seconds)
    assert feed.ended_because == because
    assert [kind for kind, *_ in taker.told] == [EventKind.SOURCE_ENDED]
    assert taker.taken[0][2], "it comes as it is taken"


def test_what_is_wrong_with_a_source_from_the_start_is_told() -> None:
    class Live:
        received = Received(packets=7)

        def tell(self, note: Any) -> None:
            note(EventKind.RECONNECT, seconds=1.5)

        def interrupt(self) -> None:
            pass

    taker = Taker()
    feed = fed(Given(more={"troubles": (("audio 1", "too many"),), "live": Live()}), taker)
    assert taker.told == [("degrade", "audio 1", "too many"), (EventKind.RECONNECT, {"seconds": 1.5})]
    assert taker.received() == Received(packets=7)
    feed.close()


def test_a_source_that_cannot_be_opened_is_told_by_open() -> None:
    class Closed(Given):
        @contextmanager
        def open(self) -> Iterator[OpenSource]:
            raise SourceError("given", "no such file")
            yield

    with pytest.raises(SourceError, match="no such file"):
        Feed(Closed(), None, threading.Event(), InstantClock()).open()


def test_a_stop_gets_through_while_a_source_is_being_opened() -> None:
    stop, go_on = threading.Event(), threading.Event()

    class Slow(Given):
        @contextmanager
        def open(self) -> Iterator[OpenSource]:
            stop.set()
            go_on.wait(HANG_GUARD_S)
            yield OpenSource(iter(()), has_video=True, has_audio=False)

    feed = Feed(Slow(), None, stop, InstantClock())
    threading.Timer(0.3, go_on.set).start()
    with pytest.raises(StateError, match="stopped before it was open"):
        feed.open()
    assert feed.ended.wait(HANG_GUARD_S)
