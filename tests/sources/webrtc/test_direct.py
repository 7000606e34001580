"""Media past aiortc's tasks: what comes, what aiortc counts and sends, when it gives way.

aiortc's own transport and receiver, with keys that both sides know and no network: datagrams are given by hand.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from types import SimpleNamespace

import pytest
from aioice.ice import Connection
from aiortc import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpReceiver,
)
from aiortc.rtcrtpparameters import RTCRtpDecodingParameters, RTCRtpReceiveParameters, RTCRtpRtxParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import (
    RtcpByePacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
    wrap_rtx,
)
from pylibsrtp import Policy, Session

from recordkit.sources.webrtc import direct, receiving_internals
from recordkit.sources.webrtc.direct import LOSSY_PATIENCE_S, PATIENCE_S, SWITCH
from recordkit.sources.webrtc.direct_receiver import AGAIN_S, MOST_ASKS, STEADY_S
from recordkit.sources.webrtc.tap import Tap
from tests.steering import GUARD_S, FakeClock

MEDIA, RTX, SSRC, AGAIN = 96, 97, 1234, 5678
KEYS = bytes(range(30)), bytes(range(1, 31))
SEND_TIME = RTCRtpHeaderExtensionParameters(uri="http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time", id=3)
WAKE_UPS = 5
"""So many turns of the loop are more than aiortc's task needs."""


class Ear:
    """Keeps what it hears, in order."""

    def __init__(self):
        self.packets, self.order, self.asks = [], [], False

    def take(self, packets):
        self.packets.extend(packets)
        self.order.extend(packet.sequence for packet in packets)
        return self.asks

    def report(self, *report):
        self.order.append("report")

    def goodbye(self, sources):
        self.order.append("goodbye")

    def sent(self, *counts):
        pass

    def learn(self, parameter_sets):
        pass

    def lives(self):
        pass

    @property
    def sequences(self):
        return [one.sequence for one in self.packets]


class Call:
    """A receiver with a tap; ``handled`` counts the packets that aiortc has handled by itself."""

    def __init__(self, handled):
        self.handled, self.sent = handled, []
        self.connection = Connection(ice_controlling=False)
        self.dtls = RTCDtlsTransport(self, [RTCCertificate.generateCertificate()])
        self.receiver = RTCRtpReceiver("video", self.dtls)
        self.track = self.receiver._track = RemoteStreamTrack("video")
        self.ear, self.faults = Ear(), []
        there, here = (policy(key, inbound=False) for key in KEYS)
        self._there, self._hears = Session(there), Session(policy(KEYS[1], inbound=True))
        self.dtls._rx_srtp, self.dtls._tx_srtp = Session(policy(KEYS[0], inbound=True)), Session(here)

    # As RTCIceTransport.
    role = "controlled"

    @property
    def _connection(self):
        return self.connection

    async def _recv(self):
        data, _ = await self.connection._queue.get()
        return data

    async def _send(self, data):
        self.sent.append(data)

    async def begin(self):
        self.dtls._state = type(self.dtls._state).CONNECTED
        self.dtls.encrypted = True
        self.dtls._ssl = SimpleNamespace(DTLSv1_get_timeout=lambda: None)
        self.dtls._task = asyncio.ensure_future(self.dtls._RTCDtlsTransport__run())
        self.receiver._set_rtcp_ssrc(1)
        media = RTCRtpCodecParameters("video/H264", 90_000, payloadType=MEDIA)
        again = RTCRtpCodecParameters("video/rtx", 90_000, payloadType=RTX, parameters={"apt": MEDIA})
        coding = RTCRtpDecodingParameters(ssrc=SSRC, payloadType=MEDIA, rtx=RTCRtpRtxParameters(ssrc=AGAIN))
        await self.receiver.receive(
            RTCRtpReceiveParameters(
                codecs=[media, again], headerExtensions=[SEND_TIME], encodings=[coding], muxId="0"
            )
        )
        self.clock = FakeClock()
        self.tap = Tap(self.track, self.ear, self.faults.append, receiver=self.receiver, clock=self.clock)
        return self

    async def end(self):
        self.tap.close()
        await self.receiver.stop()
        self.dtls._task.cancel()
        assert self.faults == []

    def made(self, number, *, payload=b"\x41\x9a0123", send_time=None):
        packet = RtpPacket(MEDIA, 1, number & 0xFFFF, 3000 * number & 0xFFFFFFFF, SSRC, payload)
        packet.extensions.abs_send_time = send_time
        return packet

    def give(self, packet):
        """Let a packet come in, as aioice hands it on once it has found it to be no STUN."""
        self.connection.data_received(self.protected(packet), 1)

    def protected(self, packet):
        data = (
            packet.serialize(self.dtls._rtp_header_extensions_map)
            if isinstance(packet, RtpPacket)
            else bytes(packet)
        )
        protect = self._there.protect if isinstance(packet, RtpPacket) else self._there.protect_rtcp
        return protect(data)

    async def come(self, *numbers):
        """Media comes, each packet with a wake-up of its own."""
        for number in numbers:
            self.give(self.made(number))
            await turns()

    def told(self, kind):
        """The messages of RTCP of this kind that were sent."""
        packets = [RtcpPacket.parse(self._hears.unprotect_rtcp(data)) for data in self.sent]
        self.sent.clear()
        return [one for packet in packets for one in packet if isinstance(one, kind)]

    @property
    def transport(self):
        return getattr(self.dtls, direct._HERE)


def policy(key, *, inbound):
    one = Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND)
    one.allow_repeat_tx, one.window_size = True, 1024
    return one


async def turns():
    for _ in range(WAKE_UPS):
        await asyncio.sleep(0)


def calling(test, **settings):
    """Run ``test`` with a call, and count in it what aiortc handles."""

    async def run(monkeypatch):
        handled, handle = Counter(), RTCRtpReceiver._handle_rtp_packet

        async def counted(receiver, packet, arrival_time_ms):
            handled[packet.ssrc] += 1
            await handle(receiver, packet, arrival_time_ms)

        monkeypatch.setattr(RTCRtpReceiver, "_handle_rtp_packet", counted)
        async with asyncio.timeout(GUARD_S):
            call = await Call(handled).begin()
            try:
                await test(call)
            finally:
                await call.end()

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv(SWITCH, raising=False)
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        asyncio.run(run(monkeypatch))


def test_packets_come_in_order_and_aiortc_counts_them_though_it_sees_the_first_alone():
    async def test(one):
        await one.come(*range(65_500, 65_600))
        assert one.ear.sequences == [number & 0xFFFF for number in range(65_500, 65_600)]
        assert one.handled == {SSRC: 1}
        first = one.ear.packets[0]
        assert (first.codec, first.rate, first.data, first.payload_type, first.marker) == (
            "h264",
            90_000,
            b"\0\0\0\1\x41\x9a0123",
            MEDIA,
            True,
        )
        assert all(packet.data == first.data and packet.payload_type == MEDIA for packet in one.ear.packets)
        stats = await one.receiver.getStats()
        (stream,) = (found for found in stats.values() if found.type == "inbound-rtp")
        (transport,) = (found for found in stats.values() if found.type == "transport")
        assert (stream.packetsReceived, stream.packetsLost, transport.packetsReceived) == (100, 0, 100)
        assert [source.source for source in one.receiver.getSynchronizationSources()] == [SSRC]

    calling(test)


def test_the_switch_leaves_all_to_aiortc():
    async def test(one):
        await one.come(*range(50))
        assert one.handled == {SSRC: 50}
        assert one.ear.sequences == list(range(50))

    calling(test, **{SWITCH: "1"})


def test_what_is_missing_is_asked_for_at_once_and_what_is_sent_again_takes_its_place():
    async def test(one):
        await one.come(0, 1)
        assert one.transport.patience_s == LOSSY_PATIENCE_S, "of the network nothing is known yet"
        one.clock.advance(STEADY_S)
        assert one.transport.patience_s == PATIENCE_S
        one.give(one.made(5))
        await asyncio.sleep(0)
        ((nack,),) = [one.told(RtcpRtpfbPacket)]
        assert (nack.media_ssrc, nack.lost) == (SSRC, [2, 3, 4])
        assert one.transport.patience_s < LOSSY_PATIENCE_S, "an answer may come any moment"
        # Probes for bandwidth come by the same way.
        for number, lost in enumerate((2, 3, 4)):
            one.give(wrap_rtx(one.made(lost), payload_type=RTX, sequence_number=2 * number, ssrc=AGAIN))
            await turns()
            one.give(RtpPacket(RTX, 0, 2 * number + 1, 0, AGAIN, b""))
            await turns()
        assert one.ear.sequences == [0, 1, 5, 2, 3, 4]
        assert {(packet.ssrc, packet.payload_type) for packet in one.ear.packets} == {(SSRC, MEDIA)}
        assert one.transport.patience_s == LOSSY_PATIENCE_S
        one.clock.advance(STEADY_S)
        assert one.transport.patience_s == PATIENCE_S
        assert one.handled == {SSRC: 1, AGAIN: 1}
        sources = one.receiver._RTCRtpReceiver__remote_streams
        assert (sources[SSRC].packets_received, sources[SSRC].packets_lost) == (3, 3)
        assert (sources[AGAIN].packets_received, sources[AGAIN].packets_lost) == (6, 0)

    calling(test)


def test_what_is_sent_again_and_lost_again_is_asked_for_again_for_as_long_as_it_is_waited_for():
    async def test(one):
        def asked():
            return [nack.lost for nack in one.told(RtcpRtpfbPacket)]

        await one.come(0, 1, 4, 5)
        assert asked() == [[2, 3]]
        one.give(wrap_rtx(one.made(3), payload_type=RTX, sequence_number=0, ssrc=AGAIN))
        await turns()
        one.clock.advance(AGAIN_S)
        await one.come(6, 7)
        assert asked() == [[2]]
        one.clock.advance(AGAIN_S)
        await one.come(9)
        assert asked() == [[2, 8]], "with what is newly missing"
        for number in range(10, 20):
            one.clock.advance(AGAIN_S)
            await one.come(number)
        assert asked() == [[2, 8]] * (MOST_ASKS - 1), "it comes too late by now"
        await one.come(21)
        assert asked() == [[2, 8, 20]]
        one.give(one.made(2))
        one.give(one.made(8))
        one.give(one.made(20))
        one.clock.advance(AGAIN_S)
        await one.come(22)
        assert asked() == []

    calling(test)


@pytest.mark.parametrize("first", [100, 20_000, 60_000], ids=["behind", "ahead", "far ahead"])
def test_what_is_missing_of_a_source_that_takes_over_is_asked_for_by_its_own_numbers(first):
    async def test(one):
        async def come(*numbers):
            for number in numbers:
                packet = one.made(number)
                packet.ssrc = SSRC + 1
                one.give(packet)
                await turns()

        await one.come(10_000, 10_001, 10_003)
        await come(first, first + 1)
        one.told(RtcpRtpfbPacket)
        await come(first + 3)
        assert [(nack.media_ssrc, nack.lost) for nack in one.told(RtcpRtpfbPacket)] == [(SSRC + 1, [first + 2])]
        await come(first + 2, first + 4)
        assert one.told(RtcpRtpfbPacket) == []
        assert one.transport.patience_s == LOSSY_PATIENCE_S, "nothing is missing"

    calling(test)


@pytest.mark.parametrize("also", ["media", "data"])
def test_media_waits_little_if_the_application_sends_by_the_same_transport(also):
    async def test(one):
        await one.come(0, 1)
        if also == "media":
            one.dtls._rtp_router.register_sender(one, ssrc=1)
        else:
            one.dtls._register_data_receiver(one)
        assert 0 < one.transport.patience_s < LOSSY_PATIENCE_S

    calling(test)


def test_the_sender_hears_what_the_way_can_take_and_of_a_keyframe_that_is_needed():
    async def test(one):
        now_s = 1_700_000_000.0
        await one.come(0)
        one.transport._wall = lambda: now_s
        for number in range(1, 400):
            now_s += 0.01
            one.give(one.made(number, payload=b"\x41" + bytes(1000), send_time=round(now_s % 64 * (1 << 18))))
        one.ear.asks = True
        await one.come(400)
        (pli, *_) = asked = one.told(RtcpPsfbPacket)
        assert {packet.fmt for packet in asked} == {1, 15}, "PLI and REMB"
        assert pli.ssrc == 1

    calling(test)


def test_who_reads_the_track_besides_has_it_handled_by_aiortc():
    async def test(one):
        await one.come(*range(10))
        reading = asyncio.ensure_future(one.track.recv())
        await turns()
        await one.come(*range(10, 20))
        assert one.handled == {SSRC: 11}
        assert one.ear.sequences == list(range(20))
        reading.cancel()

    calling(test)


def test_what_is_not_authentic_is_left_out():
    async def test(one):
        await one.come(0, 1)
        forged = b"\x80" + bytes([MEDIA]) + bytes(6) + SSRC.to_bytes(4) + bytes(100)
        for data in (forged, forged[:20], forged[:5], b"\x80", b"", forged[:1] + bytes([RTX]) + forged[2:]):
            one.connection.data_received(data, 1)
        await turns()
        await one.come(2)
        assert one.ear.sequences == [0, 1, 2]
        assert one.receiver._RTCRtpReceiver__remote_streams[SSRC].packets_received == 3

    calling(test)


def test_reports_keep_their_place_among_the_media():
    async def test(one):
        await one.come(0, 1)
        info = RtcpSenderInfo(ntp_timestamp=1 << 40, rtp_timestamp=0, packet_count=2, octet_count=0)
        # All in one turn: aiortc's task comes to none of it before the last.
        one.give(RtcpSrPacket(ssrc=SSRC, sender_info=info))
        one.give(one.made(2))
        one.give(RtcpByePacket(sources=[SSRC]))
        one.give(one.made(3))
        await turns()
        await one.come(4)
        assert one.ear.order == [0, 1, "report", 2, "goodbye", 3, 4]
        assert one.handled == {SSRC: 3}

    calling(test)


def test_the_first_packet_of_a_further_source_came_when_it_came_in():
    """It is read with what came behind it, up to ``PATIENCE_S`` later, and aiortc handles it."""

    async def test(one):
        await one.come(0, 1)
        other = one.made(2)
        other.ssrc = SSRC + 1
        one.transport.leave(one.protected(other), 0.08)
        await turns()
        now_s = one.clock.monotonic()
        assert [(packet.ssrc, packet.arrival_s) for packet in one.ear.packets[1:]] == [
            (SSRC, now_s),
            (SSRC + 1, now_s - 0.08),
        ]
        assert one.handled == {SSRC: 1, SSRC + 1: 1}
        third = one.made(3)
        third.ssrc = SSRC + 2
        one.give(third)
        await turns()
        assert one.ear.packets[-1].arrival_s == now_s

    calling(test)


def test_a_further_tap_finds_the_receiver_though_aiortc_handles_no_packet():
    async def test(one):
        await one.come(0, 1)
        late = Ear()
        tap = Tap(one.track, late, one.faults.append)
        await one.come(2, 3)
        tap.close()
        await one.come(4)
        assert (late.sequences, one.ear.sequences) == ([2, 3], [0, 1, 2, 3, 4])

    calling(test)


@pytest.mark.parametrize(
    ("name", "fault"),
    [("_RECEIVER", "_RTCRtpReceiver_tomorrow__"), ("_DTLS", "_RTCDtlsTransport_tomorrow__")],
)
def test_an_aiortc_that_is_built_otherwise_is_heard_behind_its_tasks_and_that_is_told(
    monkeypatch, caplog, name, fault
):
    caplog.set_level(logging.INFO, "recordkit")
    monkeypatch.setattr(receiving_internals, name, fault)

    async def test(one):
        await one.come(*range(5))
        assert one.handled == {SSRC: 5}
        assert one.ear.sequences == list(range(5))

    calling(test)
    assert "aiortc's own tasks" in caplog.text
