"""The bounded queue between callers and the encoding thread, and what happens when it is full."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

from .budget import Share
from .errors import SettingsError
from .model import Captured
from .system import Clock

Overflow = Literal["block", "drop"]
T = TypeVar("T")
_NO_STREAM = -1
NAP_S = 0.04
"""So long an item that is in no hurry may wait for others with which the thread that takes it wakes up anyway."""
_MOST_PATIENT = 4


@dataclass(slots=True)
class Item(Generic[T]):
    """One thing queued: of stream ``index``, at source time ``ticks`` (None: it has none). Nobody changes it.

    ``arrival`` is when it came, in ticks of the monotonic clock, if it is live media.
    ``dropped`` counts the items of its stream that were dropped right before it, ``discontinuity`` says that media
    is missing there for another reason. ``captured`` is when a frame was taken, if that is known.
    """

    payload: T
    index: int
    ticks: int | None
    size: int
    dropped: int = 0
    arrival: int | None = None
    captured: Captured | None = None
    discontinuity: bool = False


class Newest(NamedTuple):
    """The stream and source time of the item queued last, and the time of the first of all, in ticks."""

    stream: int
    first: int
    ticks: int


class Intake(Generic[T]):
    """A queue bounded in bytes. Items taken out still count against the bound until ``release`` is called.

    At ``bound`` bytes, ``put`` blocks (``overflow="block"``), or (``"drop"``) refuses
    everything of that stream until the queue is down to the low mark, half of ``bound``, and an
    item comes that a decoder can start from; that one is marked as a discontinuity.
    ``taken`` counts the items queued, ``dropped`` the items refused; markers count in neither. ``newest`` is the
    time of the item queued last, None before the first that has one.

    If the queue has a ``share`` of a budget, what that refuses counts as reaching the bound.

    An item larger than the bound is taken when nothing else is there: refusing it would refuse
    it for ever.
    """

    def __init__(self, bound: int, overflow: Overflow, clock: Clock, share: Share | None = None) -> None:
        if bound < 64 * 1024:
            raise SettingsError("queue_bytes", bound, "give at least 65,536 bytes")
        if overflow not in ("block", "drop"):
            raise SettingsError("overflow", overflow, "give 'block' or 'drop'")
        self.bound = bound
        self.low_mark = bound // 2
        self._lock = threading.RLock()  # to enter the condition costs twice as much
        self.changed = threading.Condition(self._lock)
        self.taken = 0
        self.dropped = 0
        self._overflow = overflow
        self._clock = clock
        self._items: deque[Item[T]] = deque()
        self._bytes = 0
        self._dropping: dict[int, int] = {}
        self._closed = self._gathers = self._naps = self._has_patient = False
        self._seen = 0
        self._dropped_s: float | None = None
        self.newest: Newest | None = None
        self._share = share
        if share is not None:
            share.wake = self._wake

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._closed

    @property
    def bytes(self) -> int:
        """Bytes that are queued, or taken out and not released yet."""
        return self._bytes

    @property
    def holds_more(self) -> bool:
        """Whether items wait while there is ample room for others."""
        return bool(self._items) and self._bytes <= self.low_mark

    def put(
        self,
        payload: T,
        index: int,
        ticks: int | None,
        size: int,
        *,
        entry: bool,
        arrival: int | None = None,
        captured: Captured | None = None,
        discontinuity: bool = False,
        patient: bool = False,
        newest: int | None = None,
    ) -> bool:
        """Queue an item; False if it was dropped, or the queue is closed.

        ``entry`` says that a decoder can start from it, ``discontinuity`` that media is missing before it. A
        ``patient`` one does not wake who takes items up, if that will look by itself within ``NAP_S``. Of one that
        is several ``newest`` is the time of the last.
        """
        with self._lock:
            if self._overflow == "block":
                while not self._closed and not self._takes(size):
                    self._tell()
                    self._clock.wait(self.changed, None)
            if self._closed or (self._overflow == "drop" and self._refuses(index, size, entry)):
                self.dropped += 1
                return False
            dropped = self._dropping.pop(index, 0)
            self._items.append(Item(payload, index, ticks, size, dropped, arrival, captured, discontinuity))
            self._bytes += size
            self.taken += 1
            if ticks is not None:
                first = ticks if self.newest is None else self.newest.first
                self.newest = Newest(index, first, ticks if newest is None else newest)
            self._has_patient |= patient
            is_left = patient and self._naps and len(self._items) < _MOST_PATIENT and self._bytes <= self.low_mark
            if not (self._gathers or is_left):
                self.changed.notify_all()
            return True

    def wait(self, timeout_s: float | None) -> None:
        """Wait for the next item or another change, ``timeout_s`` at the most; the caller holds ``changed``.

        While items come, some of them patient, it is a short nap, from which these need not be woken: each time a
        thread wakes up costs more than what it then does with 20 ms of audio.
        """
        goes_on = self._has_patient and self.taken != self._seen
        self._naps = goes_on and (timeout_s is None or timeout_s > NAP_S)
        self._seen = self.taken
        self._clock.wait(self.changed, NAP_S if self._naps else timeout_s)
        self._naps = False

    def gather(self) -> None:
        """Whoever takes is told of what is put from now on at ``hand_over``.

        For who puts several items at a time, and would have to wait for the thread that it wakes with the first.
        """
        with self._lock:
            self._gathers = True

    def hand_over(self) -> None:
        """Tell of what was put since ``gather``."""
        with self._lock:
            self._tell()

    def _tell(self) -> None:
        self._gathers = False
        self.changed.notify_all()

    def put_marker(self, payload: T) -> bool:
        """Queue something of no stream and size behind what is queued, whatever the bound; False if closed."""
        with self._lock:
            if self._closed:
                return False
            self._items.append(Item(payload, _NO_STREAM, None, 0))
            self.changed.notify_all()
            return True

    def _refuses(self, index: int, size: int, entry: bool) -> bool:
        dropped = self._dropping.get(index, 0)
        if dropped:
            refused = self._bytes > self.low_mark or not entry or not self._takes(size)
        else:
            refused = not self._takes(size)
        if refused:
            self._dropping[index] = dropped + 1
            self._dropped_s = self._clock.monotonic()
        return refused

    def _takes(self, size: int) -> bool:
        """Whether there is room for ``size`` bytes; then they are the share's, and about to be queued."""
        if self._bytes and self._bytes + size > self.bound:
            return False
        return self._share is None or self._share.take(size, must=not self._bytes)

    def _wake(self) -> None:
        with self._lock:
            self.changed.notify_all()

    @property
    def since_drop_s(self) -> float | None:
        """Seconds since something was dropped because there was no room for it; None if nothing was."""
        dropped_s = self._dropped_s
        return None if dropped_s is None else self._clock.monotonic() - dropped_s

    @property
    def next(self) -> T | None:
        """What ``take`` would return now, for the one thread that takes; it needs no lock."""
        items = self._items
        return items[0].payload if items else None

    def take_run(self, kind: type, most: int) -> list[Item[T]]:
        """The oldest items whose payload is of ``kind``, ``most`` at the most, up to the first other one.

        If the oldest is another one it comes alone; none if there are none. The caller holds ``changed``.
        """
        items = self._items
        run: list[Item[T]] = []
        while items and len(run) < most and isinstance(items[0].payload, kind):
            run.append(items.popleft())
        return run or ([items.popleft()] if items else [])

    def take(self) -> Item[T] | None:
        """The oldest item, or None if there is none; the caller holds ``changed``."""
        return self._items.popleft() if self._items else None

    def release(self, size: int) -> None:
        """Give back ``size`` bytes: what they held has been written or thrown away."""
        if not size:
            return
        with self._lock:
            self._bytes -= size
            self.changed.notify_all()
        if self._share is not None:
            self._share.give(size)

    def close(self) -> None:
        """Take nothing more; callers that wait go on."""
        with self._lock:
            self._closed = True
            self.changed.notify_all()
