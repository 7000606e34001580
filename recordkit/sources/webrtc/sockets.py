"""The sockets under a connection: how much they hold, whether all of it has been read, and what was thrown away.

A sender's keyframe comes in one burst, and a loop that another process keeps from the processor reads late. What
finds no room in the socket meanwhile the system throws away without a word; only its own count tells of it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

from ...model import EventKind
from .sink import Sink

BUFFER_BYTES = 2 << 20
"""Asked for: more than a second at 10 Mbit/s. A system gives no more than it allows (Linux: net.core.rmem_max)."""
TELL_S = 1.0
"""So often at the most it is told that something was thrown away."""
_CALM_S = 10.0
"""Nothing has been thrown away for so long: what was told is over."""
_PART = "network socket"
_MEMORY = 55
"""SO_MEMINFO of Linux, which Python does not name: nine counters, the last one of what was thrown away."""
_COUNTERS = struct.Struct("=9I")


class Sockets:
    """Those of one ICE transport of aiortc. Without figures, on other systems or another aiortc, all of it is 0."""

    def __init__(self, transport: object) -> None:
        self.transport = transport
        self._widened: set[int] = set()

    @property
    def thrown_away(self) -> int:
        """How many datagrams have come and found no room."""
        return sum(_counters(one)[-1] for one in self._open())

    @property
    def waits(self) -> bool:
        """Whether something has come that has not been read, or has been read and waits in aioice."""
        queue = getattr(getattr(self.transport, "_connection", None), "_queue", None)
        is_queued = bool(queue is not None and queue.qsize())
        return is_queued or any(_counters(one)[0] > 0 for one in self._open())

    def widen(self) -> None:
        """Let those that are new hold more."""
        for one in self._open():
            if one.fileno() not in self._widened:
                self._widened.add(one.fileno())
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < BUFFER_BYTES:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)

    def _open(self) -> Iterator[Any]:
        connection = getattr(self.transport, "_connection", None)
        for protocol in tuple(getattr(connection, "_protocols", ())):
            informing = getattr(getattr(protocol, "transport", None), "get_extra_info", None)
            one = informing("socket") if callable(informing) else None
            if one is not None and one.fileno() >= 0:
                yield one


class Overflow:
    """Tells a sink of what sockets have thrown away, and when that is over."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._told: int | None = None
        self._told_s = float("-inf")
        self._newest = 0
        self._newest_s: float | None = None

    def look(self, thrown_away: int, now_s: float, *, is_over: bool = False) -> None:
        """Take how many datagrams have been thrown away so far; ``is_over`` says that nobody will look again."""
        if self._told is None:
            self._told = self._newest = thrown_away
        if thrown_away > self._newest:
            self._newest, self._newest_s = thrown_away, now_s
        if thrown_away > self._told and (is_over or now_s - self._told_s >= TELL_S):
            because = (
                f"{thrown_away - self._told} datagrams came faster than they were read, and the system threw them "
                "away: this machine is too busy, or its sockets hold too little (Linux: net.core.rmem_max)"
            )
            self._sink.note(EventKind.DEGRADED, part=_PART, because=because)
            self._told, self._told_s = thrown_away, now_s
        elif self._newest_s is not None and now_s - self._newest_s >= _CALM_S:
            self._sink.note(EventKind.RESTORED, part=_PART)
            self._newest_s = None


def used_and_room(one: socket.socket) -> tuple[int, int]:
    """How many bytes a socket holds that were not read yet, as the system counts them, and how many it may hold.

    If the system does not tell the first it may be as many as the second.
    """
    used, room, *_ = _counters(one)
    return (used, room) if room else (room := one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF), room)


def _counters(one: Any) -> tuple[int, ...]:  # noqa: ANN401 - as above
    try:
        return _COUNTERS.unpack(one.getsockopt(socket.SOL_SOCKET, _MEMORY, _COUNTERS.size))
    except (OSError, struct.error):
        return (0,) * 9
