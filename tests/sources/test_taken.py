"""When frames were taken, by the clocks of drivers and by what cameras report."""

import struct
from fractions import Fraction
from types import SimpleNamespace

import pytest

from recordkit.demux import demux, open_media
from recordkit.model import Captured, CapturedBy
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.taken import Taken
from tests.media import make_clip

NOW_NS, MONOTONIC_S = 1_795_780_800_000_000_000, 5_000.0
CLOCK = SimpleNamespace(time_ns=lambda: NOW_NS, monotonic=lambda: MONOTONIC_S)


def taken(name="video4linux2,v4l2", flags=1, *, is_live=False):
    container = SimpleNamespace(format=SimpleNamespace(name=name, flags=flags))
    return Taken(container, is_live=is_live, clock=CLOCK)


def frame(time_s):
    one = next(iter(Synthetic(64, 48, audio=False).frames()))
    one.pts, one.time_base = round(time_s * 1e6), Fraction(1, 1_000_000)
    return one


@pytest.mark.parametrize("since_s", [NOW_NS / 1e9, MONOTONIC_S])
def test_a_driver_stamps_by_either_clock(since_s):
    found = taken().frame(frame(since_s - 0.25))
    assert found.by is CapturedBy.DEVICE
    assert abs(found.time_ns - (NOW_NS - 250_000_000)) < 1_000


@pytest.mark.parametrize(
    ("name", "flags", "time_s"),
    [("v4l2", 1, 3.0), ("lavfi", 1, MONOTONIC_S), ("matroska,webm", 0, MONOTONIC_S)],
)
def test_other_times_are_no_times_of_capture(name, flags, time_s):
    assert taken(name, flags).frame(frame(time_s)) is None


@pytest.mark.parametrize(
    ("is_live", "expected"), [(True, (CapturedBy.SENDER_REPORT, 0.04)), (False, (CapturedBy.SOURCE, None))]
)
def test_reference_times_beside_packets(tmp_path, is_live, expected):
    clip = make_clip(tmp_path / "clip.mp4", seconds=0.2, size=(64, 48))
    with open_media(str(clip)) as container:
        packet = next(one for one in demux(container, container.streams.video) if one.size)
        found = Taken(container, is_live=is_live, clock=CLOCK)
        assert found.packet(packet) is None
        told = SimpleNamespace(
            stream=packet.stream,
            has_sidedata=lambda name: name == "prft",
            get_sidedata=lambda name: struct.pack("=qi4x", NOW_NS // 1000, 24),
        )
        assert found.packet(told) == Captured(NOW_NS, *expected)
