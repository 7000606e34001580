"""Ranges of bytes (RFC 9110, 14)."""

import pytest

from recordkit.endpoint.ranges import BeyondError, asked_range


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("Bytes = 1-2 ", (1, 3)),
        # Ignored: another unit, several, backwards, nothing, no numbers, and more digits than a file has bytes.
        ("lines=1-2", None),
        ("bytes=0-1,5-6", None),
        ("bytes=20-10", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=" + "9" * 40 + "-", None),
    ],
)
def test_what_a_field_asks_for(field, expected):
    assert asked_range(field, 100) == expected


@pytest.mark.parametrize(
    ("field", "size"), [("bytes=100-", 100), ("bytes=500-600", 100), ("bytes=-0", 100), ("bytes=0-", 0)]
)
def test_beyond_the_end(field, size):
    with pytest.raises(BeyondError):
        asked_range(field, size)
