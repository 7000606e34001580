"""Live packets without a time: that of the next one says theirs."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import pytest

from recordkit.encode.timeline import Timeline
from recordkit.errors import SourceError
from recordkit.sources.untimed import timed_by_next
from recordkit.ticks import TICKS_PER_SECOND

STEP = TICKS_PER_SECOND // 25


def packets(times: list[int | None], kind: str = "h264") -> list[av.Packet]:
    container = av.open("/dev/null", "w", format="mpegts")
    stream = container.add_stream(kind, rate=25 if kind == "h264" else 48_000)
    made = []
    for time in times:
        packet = av.Packet(b"x")
        packet.stream, packet.time_base = stream, Fraction(1, TICKS_PER_SECOND)
        packet.duration, packet.pts, packet.dts = STEP, time, time
        made.append(packet)
    return made


@pytest.mark.parametrize(
    ("kind", "came", "given"),
    [
        ("h264", [0, None, 2 * STEP], [0, STEP, 2 * STEP]),
        ("h264", [None, 900, 900 + STEP], [900 - STEP, 900, 900 + STEP]),
        ("h264", [0, None, 50 * STEP], [0, 49 * STEP, 50 * STEP]),  # lost is what came before it
        ("aac", [0, None, 50 * STEP], [0, STEP, 50 * STEP]),
        ("h264", [0, None, None, 3 * STEP], [0, None, None, 3 * STEP]),
        ("h264", [9000, None, 900], [9000, None, 900]),
        ("h264", [0, None], [0, None]),
    ],
)
def test_a_packet_without_a_time_is_as_much_before_the_next_as_it_lasts(
    kind: str, came: list[int | None], given: list[int | None]
) -> None:
    assert [one.dts for one in timed_by_next(iter(packets(came, kind)))] == given


def test_one_that_comes_late_moves_nothing_behind_it() -> None:
    """As after a server has stood still: the frames that it has in store come at once, the first without a time."""
    timeline = Timeline[int]()
    times = [number * STEP for number in range(100)]
    came: list[int | None] = list(times)
    came[50] = None
    placed = []
    for number, packet in enumerate(timed_by_next(iter(packets(came)))):
        arrival = times[number] if number < 50 else times[49] + 6 * TICKS_PER_SECOND + number
        placed += timeline.put(0, number, packet.dts, STEP, arrival=arrival)
    assert [one.place - placed[0].place for one in placed] == times
    assert timeline.restarts == 0


def test_a_packet_before_a_break_is_not_lost() -> None:
    came = packets([0, None])

    def broken() -> Iterator[av.Packet]:
        yield from came
        raise SourceError("camera", "the connection was closed")

    given = timed_by_next(broken())
    assert [next(given), next(given)] == came
    with pytest.raises(SourceError):
        next(given)
