"""Headers of VP9: what encoders wrote, and bits set by hand."""

import pytest

from recordkit.bitstream.vp9 import Vp9Header, vp9_frames, vp9_keyframe, vp9_shown
from recordkit.model import Codec

from ..mp4 import real
from .writing import bits


def keyframe(profile: int, color: list[tuple[int, int]], width: int = 64, height: int = 48) -> bytes:
    """Frame marker, profile with its low bit first, keyframe, shown; then sync code, colours, size."""
    head = [
        (2, 2),
        (profile & 1, 1),
        (profile >> 1, 1),
        *([(0, 1)] if profile == 3 else []),
        (0, 1),
        (0, 1),
        (2, 2),
    ]
    return bits(*head, (0x498342, 24), *color, (width - 1, 16), (height - 1, 16))


def test_what_an_encoder_wrote_is_read():
    units = real.video(Codec.VP9).units
    assert vp9_keyframe(units[0].data) == Vp9Header(0, 8, 0, False, (1, 1), 320, 180)
    assert [vp9_keyframe(unit.data) is not None for unit in units] == [unit.random_access for unit in units]
    assert sum(vp9_shown(unit.data) for unit in units) == len(units)


@pytest.mark.parametrize(
    ("profile", "color", "expected"),
    [
        (0, [(2, 3), (1, 1)], (8, 2, True, (1, 1))),
        (1, [(1, 3), (0, 1), (1, 1), (0, 1), (0, 1)], (8, 1, False, (1, 0))),
        (1, [(7, 3), (0, 1)], (8, 7, True, (0, 0))),
        (2, [(0, 1), (5, 3), (0, 1)], (10, 5, False, (1, 1))),
        (3, [(1, 1), (5, 3), (0, 1), (0, 1), (0, 1), (0, 1)], (12, 5, False, (0, 0))),
    ],
)
def test_profiles_have_depths_and_subsamplings(profile, color, expected):
    assert vp9_keyframe(keyframe(profile, color)) == (profile, *expected, 64, 48)


def test_what_is_no_keyframe_has_no_header():
    whole = keyframe(0, [(1, 3), (0, 1)])
    assert vp9_keyframe(whole[:6]) is None
    assert vp9_keyframe(b"") is None
    assert vp9_keyframe(bytes([whole[0] | 4]) + whole[1:]) is None
    assert vp9_keyframe(bytes([0]) + whole[1:]) is None


def test_a_superframe_holds_hidden_frames_and_one_that_is_shown():
    """One that refers to others and is not shown, one that is, and one that shows a frame that was there before."""
    hidden, shown, again = (
        bits((2, 2), (0, 2), (0, 1), (1, 1), (0, 2)),
        bits((2, 2), (0, 2), (0, 1), (1, 1), (1, 1)),
        b"\x88",
    )
    sizes = b"".join(len(one).to_bytes(2, "little") for one in (hidden, shown))
    packet = hidden + shown + bytes([0xC9]) + sizes + bytes([0xC9])
    assert vp9_frames(packet) == [hidden, shown]
    assert vp9_shown(packet) == 1
    assert vp9_shown(hidden) == 0
    assert vp9_shown(again) == 1


def test_a_list_that_lies_is_none():
    frame = keyframe(0, [(1, 3), (0, 1)])
    lying = frame + bytes([0xC1, 200, 200, 0xC1])
    assert vp9_frames(lying) == [lying]
    assert vp9_frames(b"") == []
