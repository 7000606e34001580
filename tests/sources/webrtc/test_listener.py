"""The tracks of one peer: tapped or read, numbered, ended one by one, and let go of without a rest."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import asynccontextmanager
from types import SimpleNamespace

import av
import pytest
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpCodecParameters, VideoStreamTrack
from aiortc.rtcrtpreceiver import RemoteStreamTrack

from recordkit.errors import MediaError, TapError
from recordkit.model import EventKind
from recordkit.sources.webrtc import listener as listening
from recordkit.sources.webrtc import stand_in
from recordkit.sources.webrtc.listener import Listener
from tests.sources.webrtc.packets import film, ntp, packets, talk
from tests.steering import GUARD_S, FakeClock

CODECS = {"video": ("video/H264", 90_000, 96), "audio": ("audio/opus", 48_000, 111)}


class Taker:
    """A sink that keeps what it gets; its ``fault``, once there is one, is raised for pictures."""

    def __init__(self):
        self.units, self.frames, self.events, self.fault = [], [], [], None

    def put(self, unit, stream):
        if self.fault is not None and unit.is_video:
            raise self.fault
        self.units.append((unit, stream))
        return True

    def put_frame(self, frame, ticks, stream):
        self.frames.append((frame, ticks, stream))
        return True

    def note(self, kind, **fields):
        self.events.append((kind, fields))


class Remote:
    """A receiver as it stands after the negotiation, to which packets are given by hand."""

    def __init__(self, peer, kind):
        mime, rate, self.payload_type = CODECS[kind]
        self.receiver = peer.addTransceiver(kind, direction="recvonly").receiver
        self.track = self.receiver._track = RemoteStreamTrack(kind)
        codec = RTCRtpCodecParameters(mimeType=mime, clockRate=rate, payloadType=self.payload_type)
        self.receiver._RTCRtpReceiver__codecs[self.payload_type] = codec

    def give(self, made, **settings):
        """Deliver these units as packets; gives how often a keyframe was asked for."""
        buffer = getattr(self.receiver, stand_in._BUFFER)
        return sum(
            buffer.add(
                SimpleNamespace(
                    payload_type=self.payload_type,
                    ssrc=packet.ssrc,
                    sequence_number=packet.sequence,
                    timestamp=packet.timestamp,
                    marker=packet.marker,
                    _data=packet.data,
                )
            )[0]
            for packet in packets(made, **settings)
        )

    def end(self):
        self.track._queue.put_nowait(None)


@asynccontextmanager
async def a_peer():
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        async with asyncio.timeout(GUARD_S):
            yield peer
    finally:
        await peer.close()


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


def listener_for(taker):
    ends = []
    return Listener(taker, lambda track, error: ends.append((track, error))), ends


def test_tapped_tracks_come_by_their_numbers_and_end_one_by_one():
    async def run():
        async with a_peer() as peer:
            taker = Taker()
            listener, ends = listener_for(taker)
            video, first, second = (Remote(peer, kind) for kind in ("video", "audio", "audio"))
            for one in (video, first, second):
                listener.add(one.track, receiver=one.receiver)
            listener.add(video.track)  # once more changes nothing
            assert listener.tracks == (video.track, first.track, second.track)
            assert video.give(film(3)) == 0
            listener.begin()
            assert taker.units == [], "what came before it began is none of its business"
            video.give(film(5), sequence=100)
            first.give(talk(5), ssrc=2)
            second.give(talk(7), ssrc=3)
            first.end()
            await until(lambda: ends)
            assert ends == [(first.track, None)]
            assert listener.tracks == (video.track, second.track)
            video.give([unit for unit in film(8) if unit.ticks >= 5 * 3000], sequence=115)
            listener.close()
            # To close is no end of a track.
            assert len(ends) == 1
            assert (video.track.readyState, second.track.readyState) == ("live", "live")
            by_stream = [(unit.codec, stream) for unit, stream in taker.units]
            assert {one: by_stream.count(one) for one in by_stream} == {
                ("h264", 0): 8,
                ("opus", 0): 5,
                ("opus", 1): 7,
            }
            told = [fields for kind, fields in taker.events if kind is EventKind.STREAM and "packets" in fields]
            assert {fields["stream"] for fields in told} == {0, 1, 2}
            assert listener.counters.received_units == 20
            assert set(listener.sync) == {0, 1, 2}

    asyncio.run(run())


def test_a_track_in_place_of_one_that_has_ended_gets_its_number():
    async def run():
        async with a_peer() as peer:
            listener, ends = listener_for(Taker())
            one, other = Remote(peer, "video"), Remote(peer, "video")
            listener.add(one.track, receiver=one.receiver)
            with pytest.raises(MediaError, match="one more video track"):
                listener.add(other.track, receiver=other.receiver)
            one.end()
            await until(lambda: ends)
            listener.add(other.track, receiver=other.receiver)
            assert listener.tracks == (other.track,)
            ended = Remote(peer, "audio")
            ended.track.stop()
            listener.add(ended.track, receiver=ended.receiver)
            assert ends[1:] == [(ended.track, None)]
            for _ in range(16):
                listener.add(AudioStreamTrack())
            with pytest.raises(MediaError, match="16 audio tracks"):
                listener.add(AudioStreamTrack())
            listener.close()

    asyncio.run(run())


def test_a_fault_in_handing_on_ends_that_track_alone_and_is_told(caplog):
    async def run():
        async with a_peer() as peer:
            taker = Taker()
            listener, ends = listener_for(taker)
            video, audio = Remote(peer, "video"), Remote(peer, "audio")
            for one in (video, audio):
                listener.add(one.track, receiver=one.receiver)
            listener.begin()
            for one, ssrc in ((video, 1), (audio, 2)):
                listener._ways[one.track].stream.report(ntp(0), 4_294_900_000, ssrc)
            audio.give(talk(5), ssrc=2)
            video.give(film(2))
            assert len(taker.units) == 6, "both clocks are known: nothing is held"
            fault = taker.fault = ZeroDivisionError("its own")
            video.give(film(3)[2:], sequence=65_006)
            assert ends == [(video.track, fault)]
            audio.give(talk(10)[5:], ssrc=2, sequence=65_005)
            listener.close()
            assert len(taker.units) == 11
        assert "a track of video failed" in caplog.text

    asyncio.run(run())


def test_a_fault_while_nothing_comes_is_told_too(monkeypatch):
    """It would come up in a timer of the event loop, where nobody hears of it."""

    async def run():
        async with a_peer() as peer:
            listener, ends = listener_for(Taker())
            video = Remote(peer, "video")
            listener.add(video.track, receiver=video.receiver)
            listener.begin()
            fault = ZeroDivisionError("its own")

            def poll():
                raise fault

            monkeypatch.setattr(listener._reception, "poll", poll)
            await until(lambda: ends)
            assert ends == [(video.track, fault)]
            listener.close()

    asyncio.run(run())


def test_a_look_that_comes_late_concludes_nothing_before_what_has_come_is_read(monkeypatch):
    async def run():
        async with a_peer() as peer:
            clock, looks = FakeClock(), []
            listener = Listener(Taker(), print, clock=clock)
            video = Remote(peer, "video")
            listener.add(video.track, receiver=video.receiver)
            monkeypatch.setattr(listener._reception, "poll", lambda: looks.append(clock.monotonic()))
            # The loop is held up twice; the second time for good.
            for passed_s, count in (
                (0.05, 1),
                (0.1, 2),
                (6.0, 2),
                (0.05, 3),
                (6.0, 3),
                (6.0, 4),
                (6.0, 4),
                (6.0, 5),
            ):
                clock.advance(passed_s)
                listener._look()
                assert len(looks) == count
            listener.close()

    asyncio.run(run())


def test_media_that_comes_brings_the_next_look_with_it(monkeypatch):
    async def run():
        async with a_peer() as peer:
            looks, clock, interval_s = [], FakeClock(), listening._POLL_INTERVAL_S
            # At first no timer brings a look, however long this takes.
            for name in ("_POLL_INTERVAL_S", "_FLOWING_INTERVAL_S"):
                monkeypatch.setattr(listening, name, GUARD_S)
            monkeypatch.setattr(Listener, "_look", lambda listener, late_s: looks.append(clock.monotonic()))
            listener = Listener(Taker(), lambda track, error: None, clock=clock)
            audio = Remote(peer, "audio")
            listener.add(audio.track, receiver=audio.receiver)
            listener.begin()
            assert len(looks) == 1
            audio.give(talk(2))
            await asyncio.sleep(0)
            assert len(looks) == 1, "it was looked a moment ago"
            clock.advance(GUARD_S)
            audio.give(talk(4)[2:], sequence=65_002)
            await asyncio.sleep(0)
            assert len(looks) == 2
            for name in ("_POLL_INTERVAL_S", "_FLOWING_INTERVAL_S"):
                monkeypatch.setattr(listening, name, interval_s)
            clock.advance(GUARD_S)
            audio.give(talk(6)[4:], sequence=65_004)
            await until(lambda: len(looks) > 3)  # without media it goes on by the clock
            listener.close()

    asyncio.run(run())


def test_what_flows_is_looked_at_with_every_second_reading(monkeypatch):
    async def run():
        async with a_peer() as peer:
            looks, clock, loop = [], FakeClock(), asyncio.get_running_loop()
            # No timer brings a look, however long this takes.
            later = loop.call_later
            monkeypatch.setattr(loop, "call_later", lambda _, call, *arguments: later(GUARD_S, call, *arguments))
            monkeypatch.setattr(Listener, "_look", lambda listener, late_s: looks.append(clock.monotonic()))
            listener = Listener(Taker(), lambda track, error: None, clock=clock)
            audio = Remote(peer, "audio")
            listener.add(audio.track, receiver=audio.receiver)
            listener.begin()
            begun_s, given = clock.monotonic(), talk(20)
            for number in range(20):
                clock.advance(0.1)
                audio.give(given[number : number + 1], sequence=65_000 + number)
                await asyncio.sleep(0)
            steps = [round((at_s - begun_s) * 10) for at_s in looks]
            assert steps == [0, 1, *range(3, 21, 2)]
            listener.close()

    asyncio.run(run())


def test_where_the_tap_does_not_fit_frames_are_read_before_and_after_the_beginning(monkeypatch, caplog):
    def refuse(*arguments, **settings):
        raise TapError("9.9", "1.16", "RTCRtpReceiver.jitter_buffer")

    monkeypatch.setattr(listening, "Tap", refuse)

    async def run():
        async with a_peer() as peer:
            taker = Taker()
            listener, ends = listener_for(taker)
            early, late = Remote(peer, "video"), Remote(peer, "audio")
            listener.add(early.track, receiver=early.receiver)
            listener.begin()
            listener.add(late.track, receiver=late.receiver)
            early.track._queue.put_nowait(av.VideoFrame(16, 16, "yuv420p"))
            late.track._queue.put_nowait(av.AudioFrame("s16", "stereo", 960))
            await until(lambda: len(taker.frames) == 2)
            early.end()
            await until(lambda: ends)
            assert ends == [(early.track, None)]
            listener.close()
        assert caplog.text.count("known to work with aiortc 1.16") == 2

    asyncio.run(run())


def test_nothing_is_read_before_the_beginning():
    class Player(VideoStreamTrack):
        reads = 0

        async def recv(self):
            Player.reads += 1
            return await super().recv()

    async def run():
        taker = Taker()
        listener, _ = listener_for(taker)
        listener.add(Player())
        for _ in range(20):
            await asyncio.sleep(0)
        assert Player.reads == 0
        listener.begin()
        await until(lambda: taker.frames)
        listener.close()

    asyncio.run(run())


def test_after_close_nothing_holds_it_while_packets_go_on_coming():
    async def run():
        async with a_peer() as peer:
            taker = Taker()
            listener, _ = listener_for(taker)
            video, audio = Remote(peer, "video"), Remote(peer, "audio")
            listener.add(video.track, receiver=video.receiver)
            listener.add(audio.track)  # its receiver is yet to be found
            listener.begin()
            video.give(film(3))
            listener.close()
            listener.close()
            there = len(taker.units)
            video.give(film(30), sequence=200)
            assert len(taker.units) == there == 3
            assert video.track._queue.empty()
            held = weakref.ref(listener), weakref.ref(listener._reception)
            del listener
            gc.collect()
            assert [one() for one in held] == [None, None]
            assert [task for task in asyncio.all_tasks() if task.get_name().startswith("recordkit")] == []

    asyncio.run(run())
