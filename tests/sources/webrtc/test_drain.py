"""A socket that is read dry: how much at once, in which order with what goes through a task, and when next."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from recordkit.errors import TapError
from recordkit.sources.webrtc import drain
from recordkit.sources.webrtc.drain import LARGEST_DATAGRAM, Drain, Fullness
from recordkit.sources.webrtc.receiving_internals import SocketParts
from tests.steering import GUARD_S

MEDIA, OTHER, STUN = b"m", b"o", b"\0"
PATIENCE_S = 0.004


class Taker:
    """Takes media, and keeps all in the order in which it came."""

    def __init__(self):
        self.buffer = memoryview(bytearray(LARGEST_DATAGRAM))
        self.order, self.ages_s, self.stamps_s, self.counted = [], [], [], []
        self.is_behind, self.patience_s = False, PATIENCE_S

    def take(self, size, age_s, now_s):
        data = bytes(self.buffer[:size])
        if data[:1] != MEDIA:
            return False
        self.order.append(data)
        self.ages_s.append(age_s)
        self.stamps_s.append(now_s - age_s)
        return True

    def leave(self, data, age_s):
        self.ages_s.append(age_s)
        # As in aioice: it goes through a queue to a task, which may be busy for a while.
        self.is_behind = True

        def handle():
            self.is_behind = False
            self.order.append(data)

        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, loop.call_soon, handle)

    def hand_on(self, packets, size):
        self.counted.append((packets, size))


class Protocol(asyncio.DatagramProtocol):
    def __init__(self, taker):
        self.taker, self.errors = taker, []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.taker.order.append(data)

    def error_received(self, error):
        self.errors.append(error)


class Rig:
    def __init__(self, protocol, taker, sender, address):
        self.protocol, self.taker, self.address = protocol, taker, address
        self.sender = sender
        self.drain = Drain(SocketParts(protocol), taker, time.time)

    def send(self, *datagrams):
        for one in datagrams:
            self.sender.sendto(one, self.address)

    async def until(self, count):
        async with asyncio.timeout(GUARD_S):
            while len(self.taker.order) < count:
                await asyncio.sleep(0)


def rigged(test):
    async def run():
        taker = Taker()
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Protocol(taker), local_addr=("127.0.0.1", 0)
        )
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            try:
                await test(Rig(protocol, taker, sender, transport.get_extra_info("sockname")))
            finally:
                transport.close()
                await asyncio.sleep(0)

    asyncio.run(run())


@contextmanager
def stamping():
    """The system stamps what comes: it begins a while after the first socket has asked for that, and stamps by
    when it is read until then."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.setsockopt(socket.SOL_SOCKET, drain._STAMPS, 1)
        for _ in range(1000):
            one.sendto(MEDIA, one.getsockname())
            sent_ns = time.time_ns()
            _, ((_, _, stamp),), _, _ = one.recvmsg(1, 64)
            seconds, nanoseconds = drain._STAMP.unpack(stamp)
            if seconds * 10**9 + nanoseconds < sent_ns:
                break
            time.sleep(0.001)
        yield


def media(count):
    return [MEDIA + number.to_bytes(2) for number in range(count)]


def test_all_that_has_come_is_taken_in_one_wake_up_and_counted():
    async def test(rig):
        rig.send(*media(20))
        rig.drain.start()
        rig.drain.read()
        assert rig.taker.order == media(20)
        assert rig.taker.counted == [(20, 60)]

    rigged(test)


def test_more_than_may_be_at_once_waits_for_what_else_the_loop_has_to_do():
    async def test(rig):
        rig.drain.start()
        rig.send(*media(drain._MOST_AT_ONCE + 50))
        rig.drain.read()
        assert len(rig.taker.order) == drain._MOST_AT_ONCE
        asyncio.get_running_loop().call_soon(rig.taker.order.append, b"else")
        await rig.until(drain._MOST_AT_ONCE + 51)
        assert rig.taker.order == [*media(drain._MOST_AT_ONCE + 50)[: drain._MOST_AT_ONCE], *rest(rig)]
        assert b"else" in rest(rig)

    def rest(rig):
        return rig.taker.order[drain._MOST_AT_ONCE :]

    rigged(test)


def test_what_goes_through_a_task_keeps_its_place():
    async def test(rig):
        sent = [*media(3), OTHER, MEDIA + b"behind", OTHER + b"2", STUN, OTHER + b"3", MEDIA + b"last"]
        rig.drain.start()
        rig.send(*sent)
        await rig.until(len(sent))
        assert rig.taker.order == sent

    rigged(test)


def test_a_fault_that_one_datagram_shows_keeps_no_other_from_being_read(caplog):
    async def test(rig):
        take = rig.taker.take

        def faulty(size, age_s, now_s):
            if bytes(rig.taker.buffer[:size]) == MEDIA + b"bad":
                raise ZeroDivisionError
            return take(size, age_s, now_s)

        rig.taker.take = faulty
        rig.drain.start()
        rig.send(MEDIA, MEDIA + b"bad", MEDIA + b"good")
        await rig.until(2)
        assert rig.taker.order == [MEDIA, MEDIA + b"good"]

    rigged(test)
    assert "ZeroDivisionError" in caplog.text


def test_how_long_a_datagram_has_waited_is_told():
    async def test(rig):
        rig.drain.start()
        rig.send(MEDIA)
        time.sleep(0.02)
        rig.send(MEDIA)
        await rig.until(2)
        assert rig.taker.ages_s[0] >= 0.02
        # When each was sent: a machine with much to do may hand on the second one later than it is read for.
        first_s, second_s = rig.taker.stamps_s
        assert second_s - first_s >= 0.015

    with stamping():
        rigged(test)


def test_media_that_flows_is_read_together_as_far_as_patience_goes():
    async def test(rig):
        loop = asyncio.get_running_loop()
        number = rig.protocol.transport.get_extra_info("socket").fileno()
        rig.drain.start()
        rig.send(MEDIA)
        rig.drain.read()
        assert rig.taker.order == [MEDIA]
        assert number not in loop._selector.get_map()
        # Once nothing comes any more the system tells of the next one, as at the beginning.
        rig.drain.read()
        assert number in loop._selector.get_map()
        rig.send(MEDIA + b"again")
        await rig.until(2)

    rigged(test)


def test_what_is_no_media_does_not_end_the_flow():
    async def test(rig):
        number = rig.protocol.transport.get_extra_info("socket").fileno()
        rig.drain.start()
        rig.send(MEDIA, STUN)
        rig.drain.read()
        rig.drain.read()
        assert rig.taker.order == [MEDIA, STUN]
        assert number not in asyncio.get_running_loop()._selector.get_map()

    rigged(test)


def naps(one, looks, patience_s=0.04):
    fullness = Fullness(0.0)
    for used, now_s in looks:
        one.used = used
        fullness.look(one, now_s)
    return fullness.nap_s(patience_s)


def test_how_long_a_socket_goes_unread_depends_on_how_full_it_gets(monkeypatch):
    monkeypatch.setattr(drain, "used_and_room", lambda one: (one.used, 400_000))
    one = SimpleNamespace()
    assert naps(one, [(1000, 0.5)]) == pytest.approx(0.01), "nothing is known yet"
    assert naps(one, [(1000, 0.5), (1000, 1.5)]) == 0.04
    assert naps(one, [(150_000, 0.5), (1000, 1.5)]) == pytest.approx(0.01), "a keyframe may find no room"
    assert naps(one, [(150_000, 0.5), (1000, 1.5), (1000, 11.0)]) == pytest.approx(0.01)
    assert naps(one, [(150_000, 0.5), (1000, 1.5), (1000, 12.0)]) == 0.04
    assert naps(one, [(1000, 0.5), (1000, 1.5)], patience_s=0.004) == 0.004


def test_who_is_about_to_end_takes_what_has_come_at_once_whatever_lies_between():
    async def test(rig):
        rig.drain.start()
        rig.send(MEDIA)
        await rig.until(1)
        many = media(drain._MOST_AT_ONCE + 20)
        rig.send(*many, *(OTHER + one for one in many[:9]), *many)
        rig.drain.read_out()
        assert rig.taker.order == [MEDIA, *many, *many]
        rig.drain.read_out()
        assert rig.taker.order == [MEDIA, *many, *many]

    rigged(test)


def test_a_socket_that_is_closed_is_not_read():
    async def test(rig):
        rig.drain.start()
        rig.send(MEDIA)
        await rig.until(1)
        rig.protocol.transport.abort()
        rig.drain.read()
        rig.drain.read_out()
        await asyncio.sleep(2 * PATIENCE_S)
        assert rig.protocol.errors == []
        assert rig.taker.order == [MEDIA]

    rigged(test)


def test_what_is_no_socket_of_this_loop_is_refused():
    async def run():
        protocol = Protocol(Taker())
        protocol.transport = object()
        with pytest.raises(TapError, match="transport"):
            SocketParts(protocol)

    asyncio.run(run())
