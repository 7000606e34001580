"""The last frame of a coded stream, shown once more while it stands."""

from __future__ import annotations

from collections.abc import Callable

from ..bitstream.h264_still import StillFrames
from ..model import AccessUnit, Codec
from ..ticks import TICKS_PER_SECOND

STEP = TICKS_PER_SECOND // 30
"""How long a repeated frame lasts: how long it has stood is not how long it will be shown."""


class StandingFrame:
    """Follows a stream as it is laid; ``on_altered`` is told once if its frames cannot be repeated."""

    def __init__(self, codec: Codec, on_altered: Callable[[str], None] | None = None) -> None:
        # Between two frames of H.265 there is no order count for one more.
        self._stills = StillFrames() if codec is Codec.H264 else None
        self._codec = codec
        self._on_altered = on_altered
        self._is_told = False
        self._shown: int | None = None

    def follow(self, unit: AccessUnit) -> None:
        """Take the next unit."""
        self._shown = max(unit.pts, unit.pts if self._shown is None else self._shown)
        if self._stills is not None:
            self._stills.follow(unit.prefix + unit.data if unit.random_access else unit.data)

    def again(self, stream: int, place: int, shown_after: int = 0) -> AccessUnit | None:
        """The last frame once more, decoded at ``place`` (ticks); None if that cannot be done.

        So it is for H.265, and if a frame that is shown later has been decoded already: B-frames on both sides of
        the pause refer to it.
        """
        is_last = self._shown is not None and self._shown <= place + shown_after
        data = self._stills.still() if self._stills is not None and is_last else None
        if data is not None:
            return AccessUnit(stream, place + shown_after, place, data, duration=STEP)
        if not self._is_told and self._on_altered is not None:
            self._on_altered(
                f"its last frame ({self._codec}) cannot be repeated while it stands: in the recording it stands "
                "until the next one, and at the end not at all; transcode it if that matters. In MPEG-TS a "
                "converter takes more than ten seconds of that for a new clock: give ffmpeg "
                "-dts_delta_threshold 100000 before -i"
            )
        self._is_told = True
        return None
