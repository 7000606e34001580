"""When frames were taken: what a caller may say, and what stands in the coded frame afterwards."""

from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pytest

from recordkit.bitstream.captured import captured_in, captured_nal
from recordkit.encode.captured import CaptureTimes, captured_of
from recordkit.encode.coded import Coded
from recordkit.errors import SettingsError
from recordkit.model import AccessUnit, Captured, CapturedBy, Codec, StreamFormat

START = b"\0\0\0\1"
DELIMITER, SLICE = START + b"\x09\xf0", START + b"\x41\x9a"
FORMAT = StreamFormat(Codec.H264, width=64, height=48)
NOON_NS = 1_795_780_800_000_000_000


@pytest.mark.parametrize(
    "value",
    [
        NOON_NS + 500_000_000,
        datetime(2026, 11, 27, 12, 0, 0, 500_000, UTC),
        datetime(2026, 11, 27, 13, 0, 0, 500_000, timezone(timedelta(hours=1))),
        pd.Timestamp("2026-11-27T12:00:00.5Z"),
    ],
)
def test_what_a_caller_may_say(value):
    assert captured_of(value) == Captured(NOON_NS + 500_000_000, CapturedBy.CALLER)


def test_nanoseconds_and_who_says_so_are_kept():
    assert captured_of(pd.Timestamp("2026-11-27T12:00:00.123456789Z")).time_ns == NOON_NS + 123_456_789
    given = Captured(NOON_NS, CapturedBy.DEVICE, 0.002)
    assert captured_of(given) is given


@pytest.mark.parametrize("value", [datetime(2026, 11, 27), 1.5, "noon", True, -1, 1 << 70])
def test_what_is_no_time_is_told(value):
    with pytest.raises(SettingsError, match="captured"):
        captured_of(value)


def noted(captured, *, embeds=True, data=DELIMITER + SLICE):
    unit = AccessUnit(0, 0, 0, data, captured=captured)
    (coded,) = CaptureTimes(embeds=embeds).noted([Coded(FORMAT, unit)])
    return coded.unit, coded.unit.prefix + coded.unit.data


def test_the_message_stands_before_the_first_slice():
    captured = Captured(NOON_NS, CapturedBy.DEVICE, 0.001)
    unit, data = noted(captured)
    assert unit.captured == captured
    assert data.startswith(DELIMITER)
    assert data.endswith(SLICE)
    assert captured_in(data, Codec.H264) == captured


@pytest.mark.parametrize(
    ("captured", "embeds"),
    [(Captured(NOON_NS, CapturedBy.SOURCE), True), (Captured(NOON_NS, CapturedBy.DEVICE), False), (None, True)],
)
def test_no_byte_changes_where_none_is_to(captured, embeds):
    unit, data = noted(captured, embeds=embeds)
    assert (unit.captured, data) == (captured, DELIMITER + SLICE)


@pytest.mark.parametrize(
    ("beside", "best"),
    [(CapturedBy.ARRIVAL, CapturedBy.SOURCE), (CapturedBy.SENDER_REPORT, CapturedBy.SENDER_REPORT)],
)
def test_the_better_of_what_is_told_holds(beside, best):
    inside = Captured(NOON_NS, CapturedBy.SOURCE)
    own = START + captured_nal(inside, Codec.H264)
    unit, data = noted(Captured(NOON_NS + 5, beside), data=DELIMITER + own + SLICE)
    assert unit.captured.by == captured_in(data, Codec.H264).by == best


def test_a_stream_that_says_nothing_is_not_searched_for_ever():
    times = CaptureTimes(embeds=True)
    plain = Coded(FORMAT, AccessUnit(0, 0, 0, SLICE))
    said = Coded(
        FORMAT, AccessUnit(0, 0, 0, START + captured_nal(Captured(1, CapturedBy.CALLER), Codec.H264) + SLICE)
    )
    times.noted([plain] * 20)
    assert times.noted([said])[0].unit.captured is None
