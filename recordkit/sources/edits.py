"""Edit lists (ISO/IEC 14496-12, 8.6.6): what stands in a file and is not shown."""

from __future__ import annotations

from typing import NamedTuple

import av


class Hidden(NamedTuple):
    """How many frames of a stream are not shown, and whether shown ones refer to some of them."""

    frames: int = 0
    are_needed: bool = False


def hidden_frames(stream: av.VideoStream) -> Hidden:
    """What the edit list of ``stream`` hides, as far as its index tells: MP4 and QuickTime, not in fragments."""
    frames, hides, are_needed = 0, False, False
    for entry in stream.index_entries:
        if entry.is_keyframe:
            hides = False
        if entry.is_discard:
            frames += 1
            hides = True
        else:
            are_needed |= hides
    return Hidden(frames, are_needed)
