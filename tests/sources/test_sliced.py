"""Keyframes of several slices, with parameter sets between them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import pytest

from recordkit.bitstream.h264 import is_slice, nal_units
from recordkit.errors import SourceError
from recordkit.model import Codec
from recordkit.sources.sliced import whole_keyframes
from recordkit.sources.synthetic import Synthetic


@pytest.fixture(scope="module")
def coded() -> list[av.Packet]:
    """Ten frames of several slices each, every fifth a keyframe."""
    container = av.open("/dev/null", "w", format="mpegts")
    stream = container.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 128, "yuv420p", 5
    stream.options = {"tune": "zerolatency", "x264-params": "slices=4:sliced-threads=0:scenecut=0"}
    frames = Synthetic(160, 128, fps=Fraction(25), seconds=0.4, audio=False, realtime=False).frames()
    return [one for frame in frames for one in stream.encode(frame.reformat(format="yuv420p"))]


def slices(data: bytes) -> list[bytes]:
    return [data[start:end] for kind, start, end in nal_units(data) if is_slice(kind, Codec.H264)]


def piece(packet: av.Packet, data: bytes, pts: int | None) -> av.Packet:
    made = av.Packet(data)
    made.stream, made.time_base, made.is_keyframe, made.pts, made.dts = (
        packet.stream,
        packet.time_base,
        True,
        pts,
        pts,
    )
    return made


def sent(coded: list[av.Packet], *, first_has_time: bool) -> list[av.Packet]:
    """As GStreamer sends them with ``config-interval=-1``: SPS and PPS before each slice of a keyframe."""
    came = []
    for packet in coded:
        if not packet.is_keyframe:
            came.append(packet)
            continue
        data = bytes(packet)
        sets = b"".join(b"\0\0\1" + data[a:b] for kind, a, b in nal_units(data) if kind in (7, 8))
        for number, one in enumerate(slices(data)):
            pts = packet.pts if (number == 0) is first_has_time else None
            came.append(piece(packet, sets + b"\0\0\1" + one, pts))
    return came


@pytest.mark.parametrize("first_has_time", [True, False])
def test_slices_of_a_keyframe_are_one_packet(coded: list[av.Packet], first_has_time: bool) -> None:
    came = sent(coded, first_has_time=first_has_time)
    assert len(came) > len(coded) + 1
    given = list(whole_keyframes(iter(came)))
    assert [slices(bytes(one)) for one in given] == [slices(bytes(one)) for one in coded]
    assert [one.pts for one in given] == [one.pts for one in coded]
    assert [one.is_keyframe for one in given] == [one.is_keyframe for one in coded]
    kinds = [kind for kind, _, _ in nal_units(bytes(given[0]))]
    assert kinds == [7, 8, *[5] * len(slices(bytes(coded[0])))]


def test_what_has_lost_its_first_slice_is_not_joined_to_the_keyframe_before(coded: list[av.Packet]) -> None:
    key, other = coded[0], coded[1]
    rest = b"".join(b"\0\0\1" + one for one in slices(bytes(other))[1:])
    cut = av.Packet(rest)
    cut.stream, cut.time_base, cut.pts, cut.dts = other.stream, other.time_base, other.pts, other.dts
    late = piece(coded[5], b"".join(b"\0\0\1" + one for one in slices(bytes(coded[5]))[1:]), coded[5].pts)
    assert list(whole_keyframes(iter([key, cut]))) == [key, cut]
    assert list(whole_keyframes(iter([key, late]))) == [key, late]
    assert list(whole_keyframes(iter(coded))) == coded


def test_a_keyframe_before_a_break_is_not_lost(coded: list[av.Packet]) -> None:
    def broken() -> Iterator[av.Packet]:
        yield coded[0]
        raise SourceError("camera", "the connection was closed")

    given = whole_keyframes(broken())
    assert next(given) is coded[0]
    with pytest.raises(SourceError):
        next(given)


@pytest.mark.parametrize("end", [b"\0\0\1\x65", b"\0\0\1\x65\0", b"\0\0\1\x67\x42\0\0\1\x65"])
def test_a_slice_that_is_cut_behind_its_header_goes_on_with_nothing(coded: list[av.Packet], end: bytes) -> None:
    cut = piece(coded[5], end, coded[0].pts)
    assert list(whole_keyframes(iter([coded[0], cut]))) == [coded[0], cut]
