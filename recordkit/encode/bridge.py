"""What lies in a recording while its sources pause: silence and repeated frames, laid in the order of time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..ticks import TICKS_PER_SECOND
from .audio import LONGEST_SILENCE_S
from .coded import Coded
from .merging import LAG

STILL = 5 * TICKS_PER_SECOND
"""A frame stands so long beside audio that goes on; converters take a step of ten seconds for a new clock."""
_LONGEST_SILENCE = LONGEST_SILENCE_S * TICKS_PER_SECOND
_LATE = TICKS_PER_SECOND
_MOST_BEHIND = 5 * TICKS_PER_SECOND
_ACQUAINTED = TICKS_PER_SECOND
"""So much of a stream shows whether it keeps step with the others."""
_STEP = TICKS_PER_SECOND // 4


class Filler(Protocol):
    """An encoder that can go on by itself for a while."""

    @property
    def end(self) -> int | None:
        """Up to where it has come, in ticks; None before the first item."""
        ...

    def fill(self, until: int) -> list[Coded]:
        """Go on up to ``until`` (ticks), if it may."""
        ...


class Rester(Filler, Protocol):
    """One that holds something back, which must be let out when nothing comes for long."""

    @property
    def begun(self) -> int:
        """Where what goes on without a step up to ``end`` began, in ticks."""
        ...

    def rest(self) -> list[Coded]:
        """Let it out."""
        ...


@dataclass(slots=True)
class _Known:
    first: int
    is_live: bool
    last: int = 0
    behind: int = 0  # how far its items have come behind those of the others, at the most


class Bridge:
    """Keeps streams that pause in step with the others. ``queued`` returns the next time that a stream will have.

    Before an item is coded the others are brought up to 0.8 s before it: audio by silence, for a minute at
    the most, and video by its last frame, once it has stood for five seconds beside audio that goes on. All of it
    is laid in the order of time.

    Only a stream whose next item is known to come later is brought on so, or one of live media: nothing else says
    that what is missing will not come. Live media that comes later by habit has twice the time that it took so far.
    """

    def __init__(self, queued: Callable[[int], int | None] = lambda _: None) -> None:
        self._queued = queued
        self._known: dict[int, _Known] = {}
        self._newest: int | None = None

    def before(
        self,
        index: int,
        place: int,
        audio: Mapping[int, Rester],
        video: Mapping[int, Filler],
        *,
        is_live: bool = False,
    ) -> list[Coded]:
        """What is to be laid before an item of stream ``index`` at ``place``; the encoders by their streams."""
        known = self._known.get(index)
        if known is None:
            known = self._known[index] = _Known(place, is_live)
        known.last, known.is_live = place, is_live
        newest = self._newest
        if newest is None or place >= newest:
            newest = self._newest = place
        else:
            known.behind = max(known.behind, newest - place)
        coded: list[Coded] = []
        for way in audio.values():
            end = way.end
            if end is not None and end < newest - LAG:
                break
        else:
            # Nothing is missing of any, as it mostly is.
            return self._stand_beside(index, place, audio, video)
        wishes = {one: self._wish(one, way, place if one == index else None) for one, way in audio.items()}
        while missing := [(way.end or 0, one) for one, way in audio.items() if (way.end or 0) < wishes[one]]:
            end, one = min(missing)
            way, wish = audio[one], wishes[one]
            laid = [] if wish - end > _LONGEST_SILENCE else way.fill(min(end + _STEP, wish))
            reached = way.end or 0
            if reached <= end:
                wishes[one] = 0
                coded += way.rest() if wish - end > _LATE else []
                continue
            coded += laid
            coded += self._stand_still(way.begun, reached, index, place, video)
        return coded + self._stand_beside(index, place, audio, video)

    def _stand_beside(
        self, index: int, place: int, audio: Mapping[int, Rester], video: Mapping[int, Filler]
    ) -> list[Coded]:
        """Repeated frames before an item of audio that goes on."""
        for shown in video.values():
            if shown.end is not None and place - shown.end >= STILL:
                break
        else:
            return []  # as it mostly is
        way = audio.get(index)
        if way is None or not 0 <= place - (way.end or place) < _LATE:
            return []
        return self._stand_still(way.begun, place, index, place, video)

    def _wish(self, one: int, way: Rester, own: int | None) -> int:
        """Up to where stream ``one`` should have come; ``own`` is the place of its next item, if that is known."""
        end, known = way.end, self._known.get(one)
        if end is None or known is None or self._newest is None:
            return 0
        if own is not None:
            return own - LAG
        queued = self._queued(one)
        if queued is not None:
            return min(self._newest, queued) - LAG
        if self._newest - LAG - end > _LONGEST_SILENCE:
            return self._newest - LAG
        if not known.is_live or known.last - known.first < _ACQUAINTED or known.behind > _MOST_BEHIND:
            return 0
        return self._newest - max(LAG, 2 * known.behind)

    def _stand_still(
        self, begun: int, now: int, index: int, place: int, video: Mapping[int, Filler]
    ) -> list[Coded]:
        """Repeat frames that have stood for long beside audio, which has gone on from ``begun`` to ``now``."""
        coded: list[Coded] = []
        for one, way in video.items():
            end = way.end
            if end is None or now - max(end, begun) < STILL:
                continue
            known = self._known.get(one)
            if known is None or now - max(end, begun) < 2 * known.behind:
                continue
            queued = place if one == index else self._queued(one)
            if queued > now if queued is not None else known.is_live:
                coded += way.fill(now)
        return coded
