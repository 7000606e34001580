"""Access units: what is refused, and others that are made of one."""

from dataclasses import replace

import pytest

from recordkit.errors import MediaError
from recordkit.model import AccessUnit, Captured, CapturedBy

UNIT = AccessUnit(
    1,
    90,
    80,
    b"data",
    b"prefix",
    random_access=True,
    discontinuity=True,
    duration=3000,
    start_trim=1,
    end_trim=2,
    captured=Captured(1_700_000_000_000_000_000, CapturedBy.ARRIVAL, 0.1),
    header=b"head",
    nal_starts=(1, 2),
    is_second_field=True,
)


def test_a_unit_that_is_altered_differs_in_what_is_given_alone():
    assert UNIT.altered() == UNIT
    for changes in ({"data": b"other"}, {"prefix": b"", "random_access": False}, {"nal_starts": (), "duration": 1}):
        before = replace(UNIT)
        assert UNIT.altered(**changes) == replace(UNIT, **changes)
        assert before == UNIT


def test_a_unit_without_bytes_or_decoded_after_it_is_shown_is_refused():
    with pytest.raises(MediaError, match="without bytes"):
        AccessUnit(0, 0, 0, b"")
    with pytest.raises(MediaError, match="without bytes"):
        UNIT.altered(data=b"")
    with pytest.raises(MediaError, match="after PTS"):
        AccessUnit(0, 0, 1, b"data")
