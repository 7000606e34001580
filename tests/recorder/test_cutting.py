"""When files end: by the clock, by the media, by who asks; and that nothing is begun before it is open."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from recordkit.encode.ways import Ways
from recordkit.errors import OutputAccessError
from recordkit.intake import Item
from recordkit.model import AccessUnit
from recordkit.recorder.cutting import NOW, Cutting, next_at_clock
from recordkit.settings import AudioSettings, Segments, VideoSettings

from ..steering import FakeClock

BERLIN = ZoneInfo("Europe/Berlin")
SECOND = 10**9


def ns(text, zone=UTC):
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * SECOND)


@pytest.mark.parametrize(
    ("now", "every_s", "then"),
    [
        ("2026-11-28T12:03:59", 600, "2026-11-28T12:10:00"),
        ("2026-11-28T12:10:00", 600, "2026-11-28T12:20:00"),
        ("2026-11-28T23:55:00", 600, "2026-11-29T00:00:00"),
        ("2026-11-28T12:00:00.25", 1.5, "2026-11-28T12:00:01.5"),
        # The clocks are put back at three, to two: the hour comes twice, and each time has its multiples.
        ("2026-10-25T02:55:00+02:00", 600, "2026-10-25T02:00:00+01:00"),
        ("2026-10-25T02:55:00+01:00", 600, "2026-10-25T03:00:00+01:00"),
        ("2026-10-25T00:00:00+02:00", 86_400, "2026-10-26T00:00:00+01:00"),
        ("2026-10-25T00:30:00+02:00", 3 * 3600, "2026-10-25T03:00:00+01:00"),
        # They are put forth at two, to three: the hour is missing.
        ("2026-03-29T01:55:00+01:00", 600, "2026-03-29T03:00:00+02:00"),
        ("2026-03-29T00:00:00+01:00", 86_400, "2026-03-30T00:00:00+02:00"),
        ("2026-03-29T00:30:00+01:00", 3 * 3600, "2026-03-29T03:00:00+02:00"),
    ],
)
def test_the_next_time_on_the_clock(now, every_s, then):
    assert next_at_clock(ns(now, BERLIN), every_s, BERLIN) == ns(then, BERLIN)


class WallClock(FakeClock):
    """A clock whose time of day can be set."""

    def __init__(self, time_ns):
        super().__init__()
        self.shift = time_ns - super().time_ns()

    def time_ns(self):
        return super().time_ns() + self.shift


class Streams:
    def __init__(self):
        self.wanted = []
        self.ways = Ways(VideoSettings(), (AudioSettings(),), None, None)

    def want_keyframe(self, ticks):
        self.wanted.append(ticks)
        return True


class Rig:
    """A cutting whose frames come one a second, each a keyframe, as time goes on."""

    def __init__(self, segments, start="2026-11-28T12:03:59"):
        self.clock = WallClock(ns(start))
        self.opened = []
        self.troubles = []
        self.fault = None
        self.frames = 0
        self.cutting = Cutting(
            segments, self, self.open, Streams(), self.clock, self.troubles.append, has_video=True
        )
        self.in_hand = File(1)

    def open(self, number, planned_ns):
        if self.fault is not None:
            raise self.fault
        self.opened.append(datetime.fromtimestamp(planned_ns / SECOND, UTC).strftime("%H:%M:%S"))
        return File(number)

    def frame(self, *, seconds=1.0, live=True):
        """When a file begins with the next frame, the time of day; else None."""
        arrival = round(self.clock.monotonic() * 90_000) if live else None
        self.cutting.look(Item(None, 0, None, 1, arrival=arrival))
        if self.cutting._opener is not None:
            self.cutting._opener.join()
            self.cutting.look(Item(None, 0, None, 1, arrival=arrival))
        ticks = self.frames * 90_000
        begun = self.cutting.begun_by(AccessUnit(0, ticks, ticks, b"x", random_access=True))
        found = datetime.fromtimestamp(self.clock.time_ns() / SECOND, UTC).strftime("%H:%M:%S")
        self.frames += 1
        self.clock.advance(seconds)
        return found if begun is not None else None

    def run(self, count, **options):
        return [found for _ in range(count) if (found := self.frame(**options)) is not None]


class File:
    """A file that is open, and nothing beside."""

    def __init__(self, number):
        self.number = number
        self.planned_ns = 0
        self.dropped = False
        self.writer = self
        self.laid_bytes = 0
        self.final_output_path = type("Path", (), {"name": "talk"})

    def drop(self):
        self.dropped = True

    def join(self, timeout_s=None):
        return True


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_files_end_by_the_clock_at_the_first_frame_that_is_due():
    rig = Rig(Segments(every="1min", at_clock=True))
    assert rig.run(200) == ["12:04:00", "12:05:00", "12:06:00", "12:07:00"]
    assert rig.opened[:3] == ["12:04:00", "12:05:00", "12:06:00"]


def test_a_clock_that_is_set_back_or_forth_makes_no_file_of_nothing_and_none_that_does_not_end():
    rig = Rig(Segments(every="1min", at_clock=True), "2026-11-28T12:00:30")
    assert rig.run(40) == ["12:01:00"]
    rig.clock.shift -= 3600 * SECOND
    assert rig.run(60) == ["11:02:00"]
    rig.clock.shift += 7200 * SECOND
    assert rig.run(60)[0] == "13:02:10"
    assert rig.run(60) == ["13:04:00"]


def test_a_machine_that_was_suspended_goes_on_in_one_file_more():
    rig = Rig(Segments(every="1min", at_clock=True), "2026-11-28T12:00:30")
    rig.run(10)
    rig.clock.advance(3 * 3600)
    assert rig.run(50) == ["15:00:40", "15:01:00"]


def test_files_of_media_do_not_drift():
    rig = Rig(Segments(every="10s"))
    assert [number for number in range(95) if rig.frame(live=False)] == list(range(10, 95, 10))


def test_who_asks_gets_a_file_from_the_next_frame_on():
    rig = Rig(Segments())
    assert rig.run(10) == []
    rig.cutting.ask()
    assert len(rig.run(10)) == 1


def test_the_alert_counts_from_when_a_file_was_due():
    rig = Rig(Segments(every="10s"))
    rig.fault = OutputAccessError("talk", "is read-only")
    rig.run(9)
    assert rig.cutting.overdue_s == 0.0
    assert rig.run(8) == []
    assert rig.cutting.overdue_s == pytest.approx(6.0, abs=1.1)
    assert any("read-only" in str(trouble) for trouble in rig.troubles)
    rig.fault = None
    assert len(rig.run(12)) == 1
    assert rig.cutting.overdue_s == 0.0


def test_what_was_opened_and_is_not_needed_is_dropped():
    rig = Rig(Segments(every="10s"))
    rig.run(8)
    spare = rig.cutting._spare
    assert spare is not None
    rig.cutting.close()
    assert spare.dropped


def test_who_asks_gets_a_keyframe_at_once_though_one_is_due_later():
    rig = Rig(Segments(every="60s"))
    rig.run(5)
    rig.cutting.ask()
    assert len(rig.run(2)) == 1
    # For the file that was due after a minute, for the one that was asked for, and for the next one.
    assert rig.cutting._streams.wanted == [60 * 90_000, NOW, 65 * 90_000]
