"""A socket read dry in one wake-up, each datagram with the time at which the system took it in."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from .receiving_internals import SocketParts
from .sockets import used_and_room

LARGEST_DATAGRAM = 1 << 16
_BURST_BYTES = 40_000_000
"""So much may come in a second at the most, as sockets count it, twice of what is sent."""
_MARGIN = 4
"""A keyframe may be so many times as large as all that came between two readings lately."""
_ACQUAINTED_S = 1.0
_LATELY_S = 10.0
_LAST_OF_STUN = 3
"""The first byte of STUN is no more (RFC 7983, 7)."""
_MOST_AT_ONCE = 100
"""So many datagrams are read in one wake-up: some 2 ms. What else the loop has to do comes before the next ones."""
_MOST_TURNS = 5
"""So many turns of the loop at the most the rest waits for what was left to aiortc; nobody may read it any more."""
_MOST_BETWEEN = 100
"""So often at the end it may be interrupted by what is no media: no sender holds an end up."""
_STAMPS = 35
"""SO_TIMESTAMPNS of Linux, which Python does not name: with each datagram comes when it was taken in."""
_STAMP = struct.Struct("@qq")
_STAMP_BYTES = _STAMP.size
_ROOM = 64
_OLDEST_S = 10.0
"""What seems to have waited for longer was stamped by a clock that has been set since."""


class Taker(Protocol):
    """Who takes media; see DirectTransport."""

    buffer: memoryview
    """Where datagrams are read to."""

    @property
    def is_behind(self) -> bool:
        """Whether what was left has not been taken yet."""
        ...

    @property
    def patience_s(self) -> float:
        """How long what comes next may wait to be read with what comes behind it, in seconds."""
        ...

    def take(self, size: int, age_s: float, now_s: float) -> bool:
        """Take a datagram, if it is media."""
        ...

    def leave(self, data: bytes, age_s: float) -> None:
        """Let a datagram that is not taken, nor STUN, go its way."""
        ...

    def hand_on(self, packets: int, size: int) -> None:
        """Hand on and count what was taken."""
        ...


class Drain:
    """Reads one socket in the place of asyncio, from ``start`` until its transport is closed.

    asyncio reads one datagram a wake-up, each into a quarter of a megabyte of its own. Here all that has come is
    read at once. To wake up costs as much as ten packets do: while media flows it is read as often as the taker's
    patience says, more often if the socket might be full by then. Once nothing has come for so long the system is
    asked to tell of the next datagram, as at the beginning.
    """

    def __init__(self, parts: SocketParts, taker: Taker, wall: Callable[[], float]) -> None:
        self._parts = parts
        self._taker = taker
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._into = [taker.buffer]
        self._is_told = False
        self._has_taken = False
        self._turns = 0
        self._fullness = Fullness(self._loop.time())

    def start(self) -> None:
        """Begin to read."""
        if sys.platform == "linux":  # without stamps what comes is taken for new
            with suppress(OSError):
                self._parts.socket.setsockopt(socket.SOL_SOCKET, _STAMPS, 1)
        self._be_told()

    def read(self) -> None:
        """Take what has come. What is no media goes through a task, for which the rest waits."""
        if self._parts.is_closed:
            return
        if self._taker.is_behind and self._turns < _MOST_TURNS:
            self._turns += 1
            self._soon(0.0)
            return
        self._turns = 0
        self._fullness.look(self._parts.socket, self._loop.time())
        is_empty = False
        try:
            is_empty = self._take_all(self._wall())
        finally:  # a fault that one datagram shows must not keep the others from being read
            self._go_on(is_empty=is_empty)

    def read_out(self) -> None:
        """Take what has come by now at once, whatever lies between: whoever records it is about to end."""
        for _ in range(_MOST_BETWEEN):
            if self._parts.is_closed or self._take_all(self._wall()):
                return

    def _go_on(self, *, is_empty: bool) -> None:
        if not is_empty:
            self._soon(0.0)
        elif self._has_taken:
            self._has_taken = False
            self._soon(self._fullness.nap_s(self._taker.patience_s))
        elif not self._is_told:
            self._be_told()

    def _take_all(self, now_s: float) -> bool:
        """Take datagrams until there are none, as many as may be at once; returns whether there are none."""
        taker, receive, into = self._taker, self._parts.socket.recvmsg_into, self._into
        take = taker.take
        packets = size_of_all = 0
        try:
            for _ in range(_MOST_AT_ONCE):
                try:
                    size, beside, _, address = receive(into, _ROOM)
                except (BlockingIOError, InterruptedError):
                    return True
                except OSError as error:
                    self._parts.failed(error)
                    return True
                age_s = 0.0
                if beside and len(stamp := beside[0][2]) == _STAMP_BYTES:
                    seconds, nanoseconds = _STAMP.unpack(stamp)
                    age_s = now_s - seconds - nanoseconds * 1e-9
                age_s = age_s if 0.0 < age_s < _OLDEST_S else 0.0
                if take(size, age_s, now_s):
                    packets += 1
                    size_of_all += size
                elif size:
                    data = bytes(taker.buffer[:size])
                    if data[0] <= _LAST_OF_STUN:
                        self._parts.received(data, address)
                    else:
                        taker.leave(data, age_s)
                    return False
            return False
        finally:
            if packets:
                self._has_taken = True
                taker.hand_on(packets, size_of_all)

    def _soon(self, after_s: float) -> None:
        if self._is_told:
            self._is_told = False
            self._parts.read_no_more()
        if after_s:
            self._loop.call_later(after_s, self.read)
        else:
            self._loop.call_soon(self.read)

    def _be_told(self) -> None:
        self._is_told = True
        self._parts.read_by(self.read)


class Fullness:
    """How full a socket has got between two readings, and how long it may go unread for that."""

    def __init__(self, now_s: float) -> None:
        self._since_s = now_s + _ACQUAINTED_S - _LATELY_S
        self._room = self._most = 0
        self._most_before: int | None = None

    def look(self, one: socket.socket, now_s: float) -> None:
        """See how full it is now, before it is read."""
        used, self._room = used_and_room(one)
        if now_s - self._since_s >= _LATELY_S:
            self._most_before, self._most, self._since_s = self._most, 0, now_s
        self._most = max(self._most, used)

    def nap_s(self, longest_s: float) -> float:
        """How long it may go unread: ``longest_s`` if all that may come meanwhile has room, else less."""
        if self._most_before is not None and max(self._most, self._most_before) * _MARGIN <= self._room:
            return longest_s
        return min(longest_s, self._room / _BURST_BYTES)
