"""The tap on real receivers: found, put in place, taken away; who reads frames besides still gets them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver
from aiortc.rtcrtpreceiver import RemoteStreamTrack, TimestampMapper
from aiortc.rtp import RtcpByePacket

from recordkit.errors import TapError
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc.peers import connected_peers
from recordkit.sources.webrtc.reception import Reception
from recordkit.sources.webrtc.tap import Tap, is_remote
from recordkit.sources.webrtc.tracks import SyntheticMedia
from tests.steering import GUARD_S

BUFFER = "_RTCRtpReceiver__jitter_buffer"


class Ear:
    """Keeps what it hears; may raise."""

    def __init__(self, fault=None):
        self.packets, self.reports, self.fault, self.asks = [], [], fault, False
        self.signs, self.sets = 0, []
        self.counts, self.goodbyes = [], []

    def take(self, packets):
        for packet in packets:
            self.packets.append(packet)
            if self.fault is not None and len(self.packets) > 5:
                raise self.fault
        asks, self.asks = self.asks, False
        return asks

    def report(self, ntp, timestamp, ssrc):
        self.reports.append((ntp, timestamp, ssrc))

    def sent(self, packets, besides, ssrc, timestamp):
        self.counts.append((packets, len(self.packets), ssrc))

    def goodbye(self, sources):
        self.goodbyes.append(sources)

    def lives(self):
        self.signs += 1

    def learn(self, parameter_sets):
        self.sets.append(parameter_sets)


class Taker:
    """Keeps the units that come out."""

    def __init__(self):
        self.units = []

    def put(self, unit, stream):
        self.units.append(unit)
        return True

    def note(self, kind, **fields):
        pass


@asynccontextmanager
async def small_video():
    media = SyntheticMedia(Synthetic(width=320, height=180, seconds=60, audio=False))
    try:
        async with asyncio.timeout(GUARD_S), connected_peers(media.tracks) as peers:
            media.peers = peers
            yield media, peers.tracks[0], peers.receivers[0]
    finally:
        await media.close()


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


def test_the_receiver_is_found_by_its_packets_and_the_class_is_left_as_it_was():
    handle = RTCRtpReceiver._handle_rtp_packet

    async def run():
        async with small_video() as (media, track, receiver):
            ear, faults = Ear(), []
            assert is_remote(track)
            tap = Tap(track, ear, faults.append)
            assert RTCRtpReceiver.__dict__["_handle_rtp_packet"] is not handle
            media.begin()
            await until(lambda: len(ear.packets) > 30 and ear.reports)
            assert RTCRtpReceiver._handle_rtp_packet is handle
            first = ear.packets[0]
            assert (first.codec, first.rate, first.data[:4]) == ("h264", 90_000, b"\0\0\0\1")
            assert [(one.sequence - first.sequence) & 0xFFFF for one in ear.packets] == list(
                range(len(ear.packets))
            )
            assert ear.reports[0][2] == first.ssrc
            asked = media.keyframe_requests
            ear.asks = True
            await until(lambda: media.keyframe_requests > asked)
            tap.close()
            heard = len(ear.packets)
            stand_in = getattr(receiver, BUFFER)
            await asyncio.sleep(0.3)
            assert len(ear.packets) == heard
            assert track._queue.qsize() == 0
            # Another tap uses what is there.
            again = Tap(track, Ear(), faults.append, receiver=receiver)
            assert getattr(receiver, BUFFER) is stand_in
            again.close()
            assert faults == []

    asyncio.run(run())


def test_a_keyframe_is_asked_for_without_a_packet_even_by_who_joins_when_none_come():
    async def run():
        async with small_video() as (media, track, receiver):
            early = Tap(track, Ear(), print, receiver=receiver)
            assert not early.request_keyframe(), "nothing has come of it that could be named"
            media.begin()
            await until(lambda: receiver._RTCRtpReceiver__remote_streams)
            early.close()
            media.video.stop()
            receiver._RTCRtpReceiver__jitter_buffer = early_buffer(receiver)
            late = Tap(track, Ear(), print, receiver=receiver)
            asked = media.keyframe_requests
            assert late.request_keyframe()
            await until(lambda: media.keyframe_requests > asked)
            late.close()
            assert not late.request_keyframe()

    def early_buffer(receiver):
        return getattr(receiver, BUFFER)._buffer

    asyncio.run(run())


def test_checks_of_consent_are_signs_of_life(monkeypatch):
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.1)
    # The sender reports after so many seconds and half of one: not while this lasts.
    monkeypatch.setattr("aiortc.rtcrtpsender.random", SimpleNamespace(random=lambda: GUARD_S))

    async def run():
        async with small_video() as (_, track, receiver):
            ear = Ear()
            tap = Tap(track, ear, print, receiver=receiver)
            await until(lambda: ear.signs > 3)
            assert ear.packets == ear.reports == []
            tap.close()
            signs = ear.signs
            await asyncio.sleep(0.3)
            assert ear.signs == signs

    asyncio.run(run())


def test_parameter_sets_of_the_description_are_told_with_the_first_packet_of_their_payload_type():
    async def run():
        async with small_video() as (media, track, receiver):
            (payload_type,) = [
                number for number, codec in receiver._RTCRtpReceiver__codecs.items() if codec.name == "H264"
            ][:1]
            ear = Ear()
            sets = {payload_type: b"sets", 1: b"others"}
            Tap(track, ear, print, receiver=receiver, described=lambda: dict(sets))
            media.begin()
            await until(lambda: len(ear.packets) > 5)
            assert ear.sets == [b"sets"]

    asyncio.run(run())


def test_a_tap_that_is_closed_before_anything_came_leaves_nothing():
    handle = RTCRtpReceiver._handle_rtp_packet

    async def run():
        track = RemoteStreamTrack("video")
        taps = [Tap(track, Ear(), print) for _ in range(2)]
        taps[0].close()
        assert RTCRtpReceiver.__dict__["_handle_rtp_packet"] is not handle
        taps[1].close()
        taps[1].close()
        assert RTCRtpReceiver._handle_rtp_packet is handle

    asyncio.run(run())


@pytest.mark.parametrize("is_given", [True, False])
def test_taps_that_find_a_receiver_together_stand_in_one_place(is_given):
    async def run():
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        receiver = peer.addTransceiver("video", direction="recvonly").receiver
        track = receiver._track = RemoteStreamTrack("video")
        taps = [Tap(track, Ear(), print), Tap(track, Ear(), print)]
        if is_given:
            taps.append(Tap(track, Ear(), print, receiver=receiver))
        else:
            assert callable(receiver._handle_rtp_packet)
        there = getattr(receiver, BUFFER)
        assert sorted(map(id, there.taps)) == sorted(map(id, taps))
        assert not hasattr(there._buffer, "taps"), "aiortc's own"
        for tap in taps:
            tap.close()
        await peer.close()

    asyncio.run(run())


def test_who_reads_the_track_besides_gets_its_frames():
    async def run():
        async with small_video() as (media, track, _):
            ear = Ear()
            Tap(track, ear, print)
            media.begin()
            await until(lambda: len(ear.packets) > 10)
            assert track._queue.qsize() == 0
            frames = [await track.recv() for _ in range(10)]
            assert {(frame.width, frame.height) for frame in frames} == {(320, 180)}
            assert ear.packets[-1].timestamp != ear.packets[0].timestamp

    asyncio.run(run())


def test_a_fault_of_the_listener_closes_the_tap_and_not_the_call():
    async def run():
        async with small_video() as (media, track, receiver):
            faults = []
            ear = Ear(fault=ZeroDivisionError("its own"))
            Tap(track, ear, faults.append, receiver=receiver)
            media.begin()
            await until(lambda: faults)
            assert len(ear.packets) == 6
            assert isinstance(faults[0], ZeroDivisionError)
            assert await track.recv()

    asyncio.run(run())


HOSTILE = {
    "no payload": b"",
    "one byte": b"\x65",
    "STAP-A that is longer than it is": bytes.fromhex("78 ffff 67"),
    "STAP-A with half a length": bytes.fromhex("78 0001 67 00"),
    "STAP-A of nothing": bytes.fromhex("78 0000 0000"),
    "FU-A without a start": bytes.fromhex("7c 05") + bytes(300),
    "FU-A of nothing": bytes.fromhex("7c 85"),
    "a NAL unit type that does not exist": bytes.fromhex("7f 00 00"),
    "an IDR picture without parameter sets": bytes.fromhex("65 88 84"),
    "an SPS of noise": bytes.fromhex("67 ff ff ff ff"),
}


def test_payloads_that_make_no_sense_end_neither_the_call_nor_the_tap():
    async def run():
        async with small_video() as (media, track, receiver):
            ear, faults, made = Ear(), [], Taker()
            reception = Reception(made)
            reception.open()
            stream = reception.add(is_audio=False)
            Tap(track, ear, faults.append, receiver=receiver)
            Tap(track, stream, faults.append, receiver=receiver)
            heard = await hostile(media, ear, receiver)
            await until(lambda: len(ear.packets) > heard + 30)
            there = len(made.units)
            media.video.request_keyframe()
            # The recording goes on with the next picture that a decoder can start from.
            await until(lambda: any(unit.is_entry for unit in made.units[there:]))
            assert faults == []
            assert receiver.transport.state == "connected"
            reception.close()

    async def hostile(media, ear, receiver):
        """In the place of the payloads of the next packets."""
        transport = media.peers.sender.getSenders()[0].transport
        send, payloads = transport._send_rtp, [*HOSTILE.values()] * 5

        async def spoil(data):
            is_media = not 192 <= data[1] < 224
            await send(b"\x80" + data[1:12] + payloads.pop() if is_media and payloads else data)

        media.begin()
        await until(lambda: len(ear.packets) > 10)
        transport._send_rtp = spoil
        await until(lambda: not payloads)
        return len(ear.packets)

    asyncio.run(run())


def test_a_fault_over_a_report_closes_the_tap_and_not_the_call():
    """It would end the DTLS transport's task, and with it all media of the connection."""

    class Deaf(Ear):
        def report(self, ntp, timestamp, ssrc):
            raise ZeroDivisionError("its own")

    async def run():
        async with small_video() as (media, track, receiver):
            faults = []
            Tap(track, Deaf(), faults.append, receiver=receiver)
            media.begin()
            await until(lambda: faults)
            assert isinstance(faults[0], ZeroDivisionError)
            assert await track.recv()

    asyncio.run(run())


def test_an_end_that_lies_in_the_queue_ends_the_track():
    async def run():
        track = RemoteStreamTrack("audio")
        ended = []
        track.on("ended", lambda: ended.append(1))
        tap = Tap(track, Ear(), print)
        tap.poll()
        assert ended == []
        track._queue.put_nowait(object())
        track._queue.put_nowait(None)
        tap.poll()
        assert ended == [1]
        tap.close()

    asyncio.run(run())


@pytest.mark.parametrize("missing", [BUFFER, "_RTCRtpReceiver__codecs", "_RTCRtpReceiver__decoder_queue"])
def test_what_is_missing_is_named_and_nothing_is_changed(missing):
    async def run():
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        receiver = peer.addTransceiver("video", direction="recvonly").receiver
        track = receiver._track = RemoteStreamTrack("video")
        setattr(receiver, missing, None)
        before = dict(vars(receiver)), dict(vars(track))
        with pytest.raises(TapError, match=r"known to work with aiortc 1\.16") as caught:
            Tap(track, Ear(), print, receiver=receiver)
        assert caught.value.missing == f"RTCRtpReceiver.{missing.rpartition('__')[2]}"
        assert caught.value.version
        assert (vars(receiver), vars(track)) == before
        await peer.close()

    asyncio.run(run())


def test_a_time_that_goes_back_is_what_makes_thirteen_hours_elsewhere():
    """aiortc's own mapping, which the tap goes round; test_clock has ours."""
    mapper = TimestampMapper()
    hours = [mapper.map(stamp) / 90_000 / 3600 for stamp in (3000, 6000, 3000, 9000)]
    assert hours[-1] > 13


@pytest.mark.parametrize("returns", [True, False])
def test_a_goodbye_ends_the_track_only_if_its_source_is_the_one_and_nothing_follows(monkeypatch, returns):
    """RFC 3550, 8.2: a source whose identifier collides says goodbye and goes on under another.

    Packets that were on their way when it said so come behind the goodbye, and are no return.
    """
    monkeypatch.setattr("recordkit.sources.webrtc.stand_in._RETURN_S", GUARD_S if returns else 0.05)
    monkeypatch.setattr("recordkit.sources.webrtc.stand_in._IN_FLIGHT_S", 0.0 if returns else GUARD_S)

    async def run():
        async with small_video() as (media, track, receiver):
            ear, ended = Ear(), asyncio.Event()
            tap = Tap(track, ear, print, receiver=receiver)
            track.add_listener("ended", ended.set)
            media.begin()
            await until(lambda: len(ear.packets) > 10 and ear.counts)
            ssrc = ear.packets[0].ssrc
            told, heard, of = ear.counts[0]
            assert (told, of) == (pytest.approx(heard, abs=40), ssrc)
            await receiver._handle_rtcp_packet(RtcpByePacket(sources=[ssrc + 1]))
            await receiver._handle_rtcp_packet(RtcpByePacket(sources=[ssrc]))
            assert ear.goodbyes == [[ssrc + 1], [ssrc]]
            heard = len(ear.packets)
            if returns:
                assert tap._stand_in._leaving is not None or len(ear.packets) > heard
                await until(lambda: len(ear.packets) > heard + 20)
                assert tap._stand_in._leaving is None
                tap.poll()
                assert not ended.is_set()
            else:
                # Media goes on coming, and so soon that all of it was sent before.
                await until(lambda: len(ear.packets) > heard)
                await media.close()
                while not ended.is_set():
                    tap.poll()
                    await asyncio.sleep(0.01)
            tap.close()

    asyncio.run(run())
