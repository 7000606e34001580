"""What the sockets under a connection say: whether all is read, and what the system threw away."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from recordkit.model import EventKind
from recordkit.sources.webrtc import sockets
from recordkit.sources.webrtc.sockets import BUFFER_BYTES, TELL_S, Overflow, Sockets, used_and_room

SMALL_BYTES = 8192


class Wire:
    """A socket as aioice has them, and one that sends to it."""

    def __init__(self) -> None:
        self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.bind(("127.0.0.1", 0))
        self.receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BYTES)
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.queue: list[bytes] = []
        transport = SimpleNamespace(get_extra_info={"socket": self.receiver}.get)
        connection = SimpleNamespace(
            _protocols=[SimpleNamespace(transport=transport)], _queue=SimpleNamespace(qsize=lambda: len(self.queue))
        )
        self.sockets = Sockets(SimpleNamespace(_connection=connection))

    def send(self, count: int) -> None:
        for _ in range(count):
            self.sender.sendto(bytes(1200), self.receiver.getsockname())


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.receiver.close()
    wire.sender.close()


class Ear:
    def __init__(self) -> None:
        self.heard: list[tuple[EventKind, dict[str, object]]] = []

    def note(self, kind: EventKind, **fields: object) -> None:
        self.heard.append((kind, fields))


def test_all_is_read_once_neither_the_socket_nor_aioice_has_anything(wire: Wire) -> None:
    assert not wire.sockets.waits
    wire.send(1)
    assert wire.sockets.waits
    wire.queue.append(wire.receiver.recv(2000))
    assert wire.sockets.waits
    wire.queue.clear()
    assert not wire.sockets.waits


def test_how_full_a_socket_is(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    room = wire.receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert used_and_room(wire.receiver) == (0, room)
    wire.send(2)
    used, _ = used_and_room(wire.receiver)
    assert 2400 <= used <= room
    monkeypatch.setattr(sockets, "_MEMORY", -1)
    assert used_and_room(wire.receiver) == (room, room), "nobody tells: it may be full"


def test_what_finds_no_room_is_counted_and_sockets_are_widened_for_what_follows(wire: Wire) -> None:
    wire.send(100)
    thrown_away = wire.sockets.thrown_away
    assert 80 <= thrown_away < 100
    wire.sockets.widen()
    # Linux doubles what is asked for, and holds to its own limit.
    assert wire.receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > min(BUFFER_BYTES, 100_000)
    wire.send(40)
    assert wire.sockets.thrown_away == thrown_away


def test_without_figures_nothing_is_known_and_nothing_fails(wire: Wire) -> None:
    for transport in (None, SimpleNamespace(), SimpleNamespace(_connection=SimpleNamespace(_protocols=[None]))):
        assert (Sockets(transport).thrown_away, Sockets(transport).waits) == (0, False)
    wire.receiver.close()
    assert (wire.sockets.thrown_away, wire.sockets.waits) == (0, False)


def test_what_was_thrown_away_is_told_at_once_and_that_it_is_over_too() -> None:
    ear = Ear()
    overflow = Overflow(ear)  # type: ignore[arg-type]
    overflow.look(7, 0.0)  # of a time before anybody listened
    assert not ear.heard
    overflow.look(7 + 53, 1.0)
    ((kind, fields),) = ear.heard
    assert kind is EventKind.DEGRADED
    assert str(fields["because"]).startswith("53 datagrams came faster than they were read")
    overflow.look(61, 1.0 + TELL_S / 2)
    assert len(ear.heard) == 1
    overflow.look(62, 1.0 + TELL_S)
    assert str(ear.heard[-1][1]["because"]).startswith("2 datagrams")
    overflow.look(62, 11.5)
    assert len(ear.heard) == 2
    overflow.look(62, 12.0)
    assert ear.heard[-1] == (EventKind.RESTORED, {"part": fields["part"]})
    overflow.look(62, 30.0)
    overflow.look(63, 30.5)
    overflow.look(64, 30.6, is_over=True)
    assert [kind for kind, _ in ear.heard[3:]] == [EventKind.DEGRADED] * 2
