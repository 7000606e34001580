"""Edit lists (ISO/IEC 14496-12, 8.6.6): what stands in a file and is not shown."""

from __future__ import annotations

from typing import NamedTuple

import av


class Hidden(NamedTuple):
    """How many frames of a stream are not shown, and whether shown ones refer to some of them."""

    frames: int = 0
    are_needed: bool = False


def hidden_frames(stream: av.VideoStream) -> Hidden:
    """What the edit list of ``stream`` hides, as far as its index tells: MP4 and QuickTime.

    Not of fragments those that libavformat has hidden because their time is that of the one before; see ``demux``.
    """
    frames, hides, are_needed = 0, False, False
    before: int | None = None
    for entry in stream.index_entries:
        if entry.is_keyframe:
            hides = False
        if not entry.is_discard:
            are_needed |= hides
        elif before is None or entry.timestamp > before:
            frames += 1
            hides = True
        before = entry.timestamp
    return Hidden(frames, are_needed)
