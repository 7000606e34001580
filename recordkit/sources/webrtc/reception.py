"""The streams of one sender on one timeline: what lies between the tap and whoever records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from ...model import EncodedUnit, EventKind, Received
from ...system import Clock
from .assembly import Unit
from .signs import Signs
from .sink import Sink
from .stream import Shared, StreamReception

PutEarly: TypeAlias = "Callable[[EncodedUnit | None, int], bool]"

SILENCE_TOLD_S = 10.0
"""So long nothing at all has come before that is told: a camera may have been unplugged, or the network is gone."""
_MOST_HELD_BYTES = 32 * 1024 * 1024
_PART = "sender"


class Reception:
    """The streams of one sender on their way to ``sink``, on one timeline, once ``open`` is called.

    At the start all units are held until the clocks of the streams are known, three seconds at the
    most. ``early`` is given each unit that is held, by its arrival, so that it is safe meanwhile, and None once all
    of them have gone to ``sink``; it returns False if what waits had better wait no longer. While it returns True
    after that it is given what comes then, too: ``sink`` has much to do before it gets there. An outage is noted
    when it is over; ``on_outage`` is told when it begins. ``on_unit`` is told of each unit. ``beyond_s`` and
    ``takes_together`` are as for Listener.
    """

    def __init__(
        self,
        sink: Sink,
        clock: Clock | None = None,
        on_outage: Callable[[], None] | None = None,
        early: PutEarly | None = None,
        on_unit: Callable[[], None] = lambda: None,
        beyond_s: Mapping[int, float] = MappingProxyType({}),
        takes_together: Callable[[], bool] = lambda: False,
    ) -> None:
        self._early = early
        self._on_unit = on_unit
        self._clock = clock or Clock()
        self._sink_takes_together = takes_together
        self._shared = Shared(sink, self._clock, Signs(on_outage), self._take, self._remove, beyond_s)
        self._shared.takes_together = self._takes_together
        self._streams: list[StreamReception] = []
        self._ended = Received()
        self._leaving: list[StreamReception] = []
        """Streams that have ended while units of theirs are held."""
        self._held: list[tuple[StreamReception, Unit, int]] | None = []
        self._held_bytes = 0
        self._has_kept = self._is_behind = False
        self._open_s: float | None = None
        self._is_silence_told = False

    @property
    def counters(self) -> Received:
        """What all streams have received so far."""
        total = self._ended
        for stream in (*self._streams, *self._leaving):
            total += stream.counters
        return total

    @property
    def streams(self) -> tuple[StreamReception, ...]:
        """The streams that have not ended."""
        return tuple(self._streams)

    @property
    def silent_s(self) -> float:
        """Seconds since the last media packet of any stream came, or since it was opened; 0 before."""
        heard_s = self._shared.signs.heard_s
        since_s = self._open_s if heard_s is None else heard_s
        return 0.0 if since_s is None else self._clock.monotonic() - since_s

    @property
    def lifeless_s(self) -> float:
        """Seconds since the last sign that the sender lives, or since it was opened; 0 before."""
        sign_s = self._shared.signs.sign_s
        since_s = self._open_s if sign_s is None else sign_s
        return 0.0 if since_s is None else self._clock.monotonic() - since_s

    def open(self) -> None:
        """Take what comes from now on."""
        self._shared.is_open = True
        if self._open_s is None:
            self._open_s = self._clock.monotonic()

    def add(self, *, is_audio: bool, number: int = 0) -> StreamReception:
        """A further stream; ``number`` counts the audio streams from 0."""
        stream = StreamReception(self._shared, is_audio=is_audio, number=number)
        self._streams.append(stream)
        return stream

    def poll(self) -> None:
        """To be called several times a second, for what happens while nothing comes."""
        now_s = self._clock.monotonic()
        for stream in self.streams:
            stream.poll(now_s)
        self._release(now_s)
        self._shared.signs.poll(now_s)
        is_silent = self._shared.signs.heard_s is not None and self.silent_s >= SILENCE_TOLD_S
        if is_silent and not self._is_silence_told:
            because = f"neither video nor audio has come for {SILENCE_TOLD_S:g} s"
            self._shared.sink.note(EventKind.DEGRADED, part=_PART, because=because)
        elif self._is_silence_told and not is_silent:
            self._shared.sink.note(EventKind.RESTORED, part=_PART)
        self._is_silence_told = is_silent

    def release(self) -> None:
        """Hand on what is held, whether or not the clocks are known."""
        self._release(float("inf"))

    def close(self) -> None:
        """End all streams, and hand on what is held."""
        for stream in self.streams:
            stream.end()
        self.release()

    def _takes_together(self) -> bool:
        """Not while units are held, or kept safe one by one."""
        return self._held is None and not self._is_behind and self._sink_takes_together()

    def _take(self, stream: StreamReception, unit: Unit, ticks: int) -> None:
        """A unit of one of the streams is whole."""
        self._on_unit()
        if self._held is None:
            stream.deliver(unit, ticks)
            self._is_behind = self._is_behind and self._is_safe(stream, unit, ticks)
            return
        self._held.append((stream, unit, ticks))
        self._held_bytes += len(unit.data)
        if self._has_kept:
            # Before it goes on, perhaps: what is kept safe is without a hole until all of it has caught up.
            is_safe = self._is_safe(stream, unit, ticks)
            self._release(self._clock.monotonic())
        else:
            self._release(self._clock.monotonic())
            is_safe = self._held is None or self._is_safe(stream, unit, ticks)
        if not is_safe:
            self.release()

    def _is_safe(self, stream: StreamReception, unit: Unit, ticks: int) -> bool:
        """Hand on a unit that is held as one that has no place yet; False if it cannot be kept so."""
        if self._early is None:
            return True
        self._has_kept = True
        first = unit.first
        early = EncodedUnit(first.codec, unit.data, ticks, unit.is_entry, unit.discontinuity, unit.duration)
        return self._early(early, stream.number)

    def _remove(self, stream: StreamReception) -> None:
        """A stream has ended."""
        if stream in self._streams:
            self._streams.remove(stream)
            if self._held is None:
                self._ended += stream.counters
            else:
                self._leaving.append(stream)

    def _release(self, now_s: float) -> None:
        held = self._held
        joint = self._shared.joint
        if held is None or not (self._held_bytes > _MOST_HELD_BYTES or joint.is_settled(now_s)):
            return
        self._held = None
        self._held_bytes = 0
        # By time, but each stream in its own order: what is decoded first may be shown later.
        due: dict[StreamReception, int] = {}
        order = []
        for place, (stream, _, ticks) in enumerate(held):
            own = ticks + joint.target(stream.clock)
            due[stream] = max(due.get(stream, own), own)
            order.append((due[stream], place))
        for _, place in sorted(order):
            stream, unit, ticks = held[place]
            stream.deliver(unit, ticks)
        if self._early is not None:
            self._is_behind = self._early(None, 0) and self._has_kept
        for stream in self._leaving:
            self._ended += stream.counters
        self._leaving.clear()
