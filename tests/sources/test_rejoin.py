"""The media of several connections on one time line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from recordkit.errors import SourceError
from recordkit.model import EncodedUnit
from recordkit.sources.rejoin import Gap, Rejoin
from recordkit.sources.source import SourceItem
from recordkit.system import Clock

FRAME, SOUND = 3000, 1920


class SetClock(Clock):
    """Stands where it is put."""

    now = 5000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, interrupt: threading.Event) -> None:
        self.now += seconds


def live(
    clock: SetClock, at_s: float, begin: int, seconds: float, *, burst_s: float = 0.0, group: int = 1
) -> Iterator[SourceItem]:
    """Video of 30 fps and audio that come as they are taken, from ``at_s`` on; what is older than that at once.

    Audio begins 20 ms before the video, and each ``group``th frame is a keyframe.
    """
    frames = [(number * FRAME, "h264", number % group == 0) for number in range(round(seconds * 30))]
    sounds = [(number * SOUND - 1800, "aac", True) for number in range(round(seconds * 90_000 / SOUND))]
    for ticks, codec, is_entry in sorted(frames + sounds):
        clock.now = max(clock.now, at_s, at_s + ticks / 90_000 - burst_s)
        length = FRAME if codec == "h264" else SOUND
        yield SourceItem(EncodedUnit(codec, b"unit", begin + ticks, is_entry=is_entry, duration=length))


def told(rejoin: Rejoin, items: Iterator[SourceItem], **more: float) -> tuple[list[SourceItem], dict[bool, float]]:
    """The items as they are placed, and the gap of each stream (True: video)."""
    came = list(rejoin.joined(items, **more))
    gaps = {one.key[0]: one.seconds for one in came if isinstance(one, Gap)}
    return [one for one in came if isinstance(one, SourceItem)], gaps


def ticks(items: list[SourceItem], codec: str = "h264") -> list[int]:
    return [one.media.ticks for one in items if isinstance(one.media, EncodedUnit) and one.media.codec == codec]


@pytest.mark.parametrize("begin", [0, 126_000, 7_000_000_000])
@pytest.mark.parametrize("burst_s", [0.0, 1.5])
def test_a_gap_is_as_long_as_it_was_whatever_the_new_clock_says(begin: int, burst_s: float) -> None:
    clock = SetClock()
    rejoin = Rejoin("cam", clock)
    before, gaps = told(rejoin, live(clock, 5000, 126_000, 4))
    assert (len(before), gaps) == (308, {})
    # It returns seven seconds after it went away, with what its server has had in store.
    after, gaps = told(rejoin, live(clock, 5011 + burst_s, begin, 4, burst_s=burst_s))
    assert gaps[True] == pytest.approx(7, abs=1 / 30)
    assert len(after) == 308
    assert after[0].discontinuity
    assert [one.discontinuity for one in after[:4]].count(True) == 2
    # Audio and video are as far apart as before.
    assert ticks(after)[0] - ticks(after, "aac")[0] == ticks(before)[0] - ticks(before, "aac")[0] == 1800
    assert ticks(after)[0] - ticks(before)[-1] == pytest.approx(7 * 90_000, abs=2 * FRAME)


def test_a_first_packet_without_a_time_has_that_of_the_next_less_a_step() -> None:
    clock = SetClock()
    rejoin = Rejoin("cam", clock)
    before, _ = told(rejoin, live(clock, 5000, 0, 2))
    items = list(live(clock, 5004, 0, 2))
    first = next(number for number, one in enumerate(items) if one.media.is_video)  # type: ignore[union-attr]
    items[first] = items[first]._replace(media=replace(items[first].media, ticks=None))  # type: ignore[type-var]
    clock.now = 5004.0

    def coming() -> Iterator[SourceItem]:
        for number, one in enumerate(items):
            clock.now = 5004 + 2 * number / len(items)
            yield one

    after, gaps = told(rejoin, coming())
    assert len(after) == len(items)
    assert ticks(after)[1] - ticks(after)[0] == FRAME
    assert ticks(after)[0] - ticks(after, "aac")[0] == ticks(before)[0] - ticks(before, "aac")[0]
    assert gaps[True] == pytest.approx(2, abs=0.1)


def test_a_clock_that_went_on_is_believed_to_the_tick() -> None:
    clock = SetClock()
    rejoin = Rejoin("cam", clock)
    told(rejoin, live(clock, 5000, 90_000, 4))
    # The network is slower than before by 0.1 s.
    after, gaps = told(rejoin, live(clock, 5006.1, 90_000 + 6 * 90_000, 2))
    assert gaps[True] == 2.0
    assert ticks(after)[0] == 7 * 90_000


def test_what_a_playlist_still_has_is_taken_and_what_was_there_is_left_out() -> None:
    clock = SetClock()
    rejoin = Rejoin("cam", clock)
    before, _ = told(rejoin, live(clock, 5000, 0, 8), segment_s=2.0)
    # Opened again 3 s later, it begins 6 s back: half of that is there already.
    after, gaps = told(rejoin, live(clock, 5011, 5 * 90_000, 8, burst_s=6), segment_s=2.0)
    assert gaps == {}
    assert not any(one.discontinuity for one in after)
    assert ticks(before + after) == [number * FRAME for number in range(13 * 30)]
    assert ticks(after, "aac")[0] - ticks(before, "aac")[-1] == pytest.approx(SOUND, abs=SOUND)


def test_frames_that_refer_to_what_is_missing_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    clock = SetClock()
    rejoin = Rejoin("cam", clock)
    told(rejoin, live(clock, 5000, 0, 2))
    items = list(live(clock, 5004, 0, 3, group=20))
    after, _ = told(rejoin, iter(items[13:]))
    first = next(one.media for one in after if isinstance(one.media, EncodedUnit) and one.media.is_video)
    assert first.is_entry  # type: ignore[union-attr]
    assert "frames before the first keyframe" in caplog.text


def test_a_sender_that_begins_anew_within_a_connection_is_placed_as_well() -> None:
    clock = SetClock()
    rejoin = Rejoin("cam", clock)

    def both() -> Iterator[SourceItem]:
        yield from live(clock, 5000, 126_000, 4)
        yield from live(clock, 5006, 126_000, 4)

    came, gaps = told(rejoin, both())
    assert gaps[True] == pytest.approx(2, abs=1 / 30)
    assert ticks(came)[120] - ticks(came)[119] == pytest.approx(2 * 90_000 + FRAME, abs=FRAME)
    assert len(came) == 616


def test_a_sender_that_begins_anew_is_seen_though_it_has_come_as_far_as_before_already() -> None:
    clock = SetClock()
    rejoin = Rejoin("cam", clock)

    def both() -> Iterator[SourceItem]:
        yield from live(clock, 5000, 126_000, 2)
        # Nobody had time to read: what it sent meanwhile comes at once, up to where the other had come.
        yield from live(clock, 5005, 126_000, 4, burst_s=2)

    came, gaps = told(rejoin, both())
    assert gaps[True] == pytest.approx(1, abs=0.1)
    assert ticks(came)[60] - ticks(came)[59] == pytest.approx(90_000, abs=3 * FRAME)
    assert ticks(came)[60] - ticks(came, "aac")[94] == pytest.approx(1800, abs=SOUND)


def test_one_damaged_time_moves_nothing() -> None:
    clock = SetClock()
    rejoin = Rejoin("cam", clock)

    def items() -> Iterator[SourceItem]:
        for number, item in enumerate(live(clock, 5000, 0, 4)):
            if number == 100:
                yield SourceItem(EncodedUnit("h264", b"unit", 900_000_000, is_entry=True))
            yield item

    came, gaps = told(rejoin, items())
    assert gaps == {}
    assert [one for one in ticks(came) if one != 900_000_000] == [number * FRAME for number in range(120)]


def test_what_came_before_a_break_is_given() -> None:
    clock = SetClock()
    rejoin = Rejoin("cam", clock)
    told(rejoin, live(clock, 5000, 0, 2))

    def breaks() -> Iterator[SourceItem]:
        yield from live(clock, 5004, 0, 0.2)
        raise SourceError("cam", "broke")

    came = []

    def take() -> None:
        for one in rejoin.joined(breaks()):
            came.append(one)

    with pytest.raises(SourceError):
        take()
    assert len(came) >= 6


def test_a_source_that_is_away_gets_on_in_time() -> None:
    clock = SetClock()
    rejoin = Rejoin("cam", clock)
    assert rejoin.reached_s is None
    told(rejoin, live(clock, 5000, 90_000, 2))
    clock.now = 5012.0
    assert rejoin.reached_s == pytest.approx(13, abs=0.05)
