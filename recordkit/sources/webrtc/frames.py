"""Tracks that only give frames: players, relays, a program's own, taken one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from ...errors import MediaError, RecordkitError
from ...system import Clock
from ...ticks import TICKS_PER_SECOND, to_ticks

_SAME_CLOCK = TICKS_PER_SECOND // 5
_SAME_PLAYER = TICKS_PER_SECOND


class FrameClocks:
    """Puts the frames of several tracks onto the arrivals' timeline, each by the arrival of its first.

    Tracks whose first frames agree within 0.2 s share one clock, as those of one player do: what
    lies between them is then told by their own times, exactly. Of one ``MediaPlayer`` they may be a second
    apart: so long a busy machine may need to decode the first frame, and so far the player reads ahead.
    """

    def __init__(self) -> None:
        self._offsets: list[tuple[int, object]] = []

    def offset(self, ticks: int, arrival: int, player: object = None) -> int:
        """What is to be added to the times of a track of ``player`` whose first, ``ticks``, came at ``arrival``."""
        away = arrival - ticks
        for one, other in self._offsets:
            if abs(one - away) < (_SAME_CLOCK if player is None or other is not player else _SAME_PLAYER):
                return one
        self._offsets.append((away, player))
        return away


class FrameReader:
    """Reads one track in a task of its own until it ends or ``close``.

    ``put`` takes each frame and its time in ticks, and must not wait. ``on_end`` is told of the
    end: with None, or the error that it ended with.
    """

    def __init__(
        self,
        track: MediaStreamTrack,
        put: Callable[[VideoFrame | AudioFrame, int], object],
        on_end: Callable[[Exception | None], None],
        clocks: FrameClocks,
        clock: Clock,
    ) -> None:
        self._put = put
        self._on_end = on_end
        self._clocks = clocks
        self._clock = clock
        self._offset: int | None = None
        # Of a track that has ended aiortc forgets it; of those that are no player's there is none.
        self._player: object = getattr(track, "_player", None)
        self._heard_s = clock.monotonic()
        self._task = asyncio.get_running_loop().create_task(self._run(track), name="recordkit-frames")

    @property
    def silent_s(self) -> float:
        """Seconds since the last frame came, or since it began to read."""
        return self._clock.monotonic() - self._heard_s

    def close(self) -> None:
        """Read no more; ``on_end`` is not called."""
        self._on_end = lambda error: None
        self._task.cancel()

    async def _run(self, track: MediaStreamTrack) -> None:
        fault: Exception | None = None
        try:
            while True:
                frame = await track.recv()
                if not isinstance(frame, VideoFrame | AudioFrame):
                    raise MediaError(
                        f"the track gives {type(frame).__name__}s, and only frames can be recorded: "
                        "let a MediaPlayer decode"
                    )
                self._heard_s = self._clock.monotonic()
                self._put(frame, self._ticks(frame))
                # A track that never waits must not keep all others waiting.
                await asyncio.sleep(0)
        except MediaStreamError:
            pass
        except RecordkitError as error:
            fault = error
        except Exception as error:  # noqa: BLE001 - a track of the program's own may raise anything: it is handed on
            fault = error
        self._on_end(fault)

    def _ticks(self, frame: VideoFrame | AudioFrame) -> int:
        arrival = round(self._clock.monotonic() * TICKS_PER_SECOND)
        if frame.pts is None or not frame.time_base:
            return arrival
        ticks = to_ticks(frame.pts, frame.time_base)
        if self._offset is None:
            self._offset = self._clocks.offset(ticks, arrival, self._player)
        return ticks + self._offset
