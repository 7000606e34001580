"""aiortc's interface on recordkit's recorder: real peers, what they send, and what is left of it."""

from __future__ import annotations

import asyncio
import gc
import io
import subprocess
import sys
import threading
import weakref
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from aiortc import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack
from aiortc.contrib.media import MediaPlayer, MediaRelay
from aiortc.contrib.media import MediaRecorder as AiortcMediaRecorder
from aiortc.mediastreams import MediaStreamError

import recordkit as rk
from recordkit.recorder import State
from recordkit.sources.readback import read_back
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc import tap
from recordkit.sources.webrtc.network import Network, NetworkFaults, Traffic
from recordkit.sources.webrtc.peers import Peers, connected_peers
from recordkit.sources.webrtc.tracks import SyntheticMedia
from tests.steering import FaultySystem

SMALL = {"width": 320, "height": 180, "fps": 30}
LONGEST_FLIGHT_S = 0.4


def verified(path):
    found = rk.verify(path, decode=True)
    assert found.ok, str(found)
    return found


@asynccontextmanager
async def sending(recorder, *, seconds=2.0, codec="h264", network=None, begin=True, **media_settings):
    """Peers that send ``seconds`` of small synthetic media to a recorder that has begun."""
    media = SyntheticMedia(Synthetic(seconds=seconds, **SMALL), codec=codec, **media_settings)
    async with connected_peers(media.tracks, codec=codec, network=network) as peers:
        for track in peers.tracks:
            recorder.addTrack(track)
        await recorder.start()
        if begin:
            media.begin()
            if network is not None:
                network.begin()
        yield media, peers
        recorder_was = await recorder.stop()
        assert recorder_was is await recorder.stop()
    await media.close()


async def record_all(recorder, **settings):
    async with sending(recorder, **settings) as (media, _):
        await media.wait()
        await asyncio.sleep(LONGEST_FLIGHT_S)
    return await recorder.stop(), media


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_what_a_peer_sends_is_in_the_file_whole_and_in_sync(tmp_path, codec):
    path = tmp_path / "talk.ts"
    recording, _ = asyncio.run(record_all(rk.MediaRecorder(path), seconds=2.5, codec=codec))
    verified(path)
    back = read_back(path, fps=30)
    assert (back.numbers_ok, back.first_number, back.last_number, back.lost) == (75, 0, 74, 0)
    assert back.picture_jitter_s < 0.001
    assert back.sync_offsets_s
    assert abs(back.sync_worst_s) < 0.02
    received = recording.counters.received
    assert (received.lost_packets, received.dropped_units, received.refused_units) == (0, 0, 0)
    assert received.received_units == 75 + 125
    assert {"stream", "keyframe", "commit"} <= set(recording.events["kind"])


def test_only_the_import_changes_tracks_are_added_as_they_appear(tmp_path):
    path = tmp_path / "talk.ts"

    async def run():
        media = SyntheticMedia(Synthetic(seconds=1.2, **SMALL))
        recorder = rk.MediaRecorder(path)
        peers = Peers("h264")

        @peers.receiver.on("track")
        def on_track(track):
            recorder.addTrack(track)

        await peers.add(*media.tracks)
        await recorder.start()
        media.begin()
        await media.wait()
        await asyncio.sleep(LONGEST_FLIGHT_S)
        await recorder.stop()
        await peers.close()
        await media.close()

    asyncio.run(run())
    verified(path)
    back = read_back(path, fps=30)
    assert back.last_number == 35
    assert (back.lost, back.first_number) == (0, 0)


def test_sound_that_the_network_delays_is_in_sync_by_the_senders_reports(tmp_path):
    path = tmp_path / "talk.ts"
    network = Network(NetworkFaults(audio_delay_s=0.7))
    recorder = rk.MediaRecorder(path)
    asyncio.run(record_all(recorder, seconds=4.5, network=network))
    verified(path)
    back = read_back(path, fps=30)
    assert len(back.sync_offsets_s) >= 2
    assert abs(back.sync_worst_s) < 0.02
    assert {one.basis for one in recorder.sync.values()} == {"reference", "sender reports"}


def test_loss_jitter_and_reordering_leave_no_damaged_picture_and_nearly_all_sound(tmp_path):
    path = tmp_path / "talk.ts"
    network = Network(NetworkFaults(loss=0.03, jitter_s=0.05, reordering=0.05, duplication=0.02), seed=5)
    recording, media = asyncio.run(record_all(rk.MediaRecorder(path), seconds=5, network=network))
    verified(path)
    back = read_back(path, fps=30)
    assert back.unreadable == back.repeated == back.out_of_order == back.damaged_packets == 0
    received = recording.counters.received
    sent = sum(network.forward[kind].sent for kind in (Traffic.VIDEO, Traffic.AUDIO))
    assert received.packets + received.lost_packets == pytest.approx(sent, abs=5)  # none is missed at the end
    assert received.recovered_packets
    assert received.received_units + received.dropped_units >= 400 - received.lost_packets - 5
    assert media.keyframe_requests == received.keyframe_requests
    audio = network.forward[Traffic.AUDIO]
    assert recording.counters.gap_s <= 5 * 0.03 + 0.02 * audio.lost


@pytest.mark.parametrize("on_gap", ["silence", "mark"])
def test_an_outage_leaves_the_file_open_and_fills_or_marks_its_gap_as_asked(tmp_path, on_gap):
    path = tmp_path / "talk.ts"
    network = Network(NetworkFaults(outages=((1.0, 1.8),)))
    recording, _ = asyncio.run(record_all(rk.MediaRecorder(path, on_gap=on_gap), seconds=4, network=network))
    assert rk.verify(path, decode=True).decoded
    assert recording.duration_s == pytest.approx(4, abs=0.2)
    events = recording.log.contents.events
    # A busy machine hears again later, and its sender sends more of the media at once.
    (seconds,) = [event.fields["seconds"] for event in events if event.kind is rk.EventKind.RECONNECT]
    assert 1.5 < seconds < 4
    gaps = [event.fields for event in events if event.kind is rk.EventKind.GAP and event.fields["stream"] == 1]
    assert 0.5 < max(gap["seconds"] for gap in gaps) < 3
    assert {gap["filled"] for gap in gaps} == {on_gap == "silence"}
    assert bool(read_back(path, fps=30).sound_gaps) == (on_gap == "mark")


def test_an_outage_ends_the_recording_where_that_is_asked_for(tmp_path):
    path = tmp_path / "talk.ts"
    recorder = rk.MediaRecorder(path, on_gap="end")

    async def run():
        network = Network(NetworkFaults(outages=((0.8, 60),)))
        async with asyncio.timeout(30), sending(recorder, seconds=60, network=network):
            while recorder.state is not State.STOPPED:
                await asyncio.sleep(0.02)
        return await recorder.stop()

    recording = asyncio.run(run())
    verified(path)
    assert 0.1 < recording.duration_s < 2


def test_a_video_that_comes_later_and_a_track_that_ends_alone(tmp_path):
    path = tmp_path / "talk.ts"

    async def run():
        media = SyntheticMedia(Synthetic(seconds=2.5, **SMALL), video_ends_s=1.9)
        recorder = rk.MediaRecorder(path)
        async with connected_peers([media.audio]) as peers:
            await recorder.start()
            recorder.addTrack(peers.tracks[0])
            media.begin()
            await asyncio.sleep(1.0)
            await peers.add(media.video)
            recorder.addTrack(peers.tracks[1])
            await recorder.start()  # as aiortc wants it, for a track that comes later
            await media.wait()
            await asyncio.sleep(LONGEST_FLIGHT_S)
            recording = await recorder.stop()
        await media.close()
        return recording

    recording = asyncio.run(run())
    verified(path)
    back = read_back(path, fps=30)
    assert (back.lost, back.unreadable) == (0, 0)
    assert back.last_number == 56
    assert back.sound_s == pytest.approx(2.5, abs=0.1)
    assert recording.counters.video_units >= 25


def test_sixty_pictures_a_second_and_a_new_size(tmp_path):
    path = tmp_path / "talk.ts"

    async def run():
        source = Synthetic(seconds=2, width=320, height=180, fps=60)
        media = SyntheticMedia(source, sizes=((0.9, 640, 360),))
        recorder = rk.MediaRecorder(path)
        async with connected_peers(media.tracks) as peers:
            for track in peers.tracks:
                recorder.addTrack(track)
            await recorder.start()
            media.begin()
            await media.wait()
            await asyncio.sleep(LONGEST_FLIGHT_S)
            await recorder.stop()
        await media.close()

    asyncio.run(run())
    verified(path)
    back = read_back(path, fps=60)
    assert (back.numbers_ok, back.lost, back.last_number) == (120, 0, 119)
    assert back.sizes == ((320, 180), (640, 360))


def test_after_stop_nothing_is_left_while_the_peer_goes_on_sending(tmp_path):
    async def run():
        async with asyncio.timeout(30):
            await stop_while_sending()

    async def stop_while_sending():
        media = SyntheticMedia(Synthetic(seconds=60, **SMALL))
        recorder = rk.MediaRecorder(tmp_path / "talk.ts")
        async with connected_peers(media.tracks) as peers:
            for track in peers.tracks:
                recorder.addTrack(track)
            await recorder.start()
            media.begin()
            await asyncio.sleep(1.0)
            await recorder.stop()
            assert not recorder._listener.tracks
            left = weakref.ref(recorder), weakref.ref(recorder._listener), weakref.ref(recorder.recorder)
            del recorder
            # The thread in which it was stopped may still be on its way out.
            while any(one() is not None for one in left):
                gc.collect()
                await asyncio.sleep(0.01)
            assert not [one.name for one in threading.enumerate() if one.name.startswith("recordkit-encode")]
            tasks = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("recordkit")]
            assert tasks == []
            await asyncio.sleep(1.0)
            queues = [track._queue.qsize() for track in peers.tracks]
            decoding = [receiver._RTCRtpReceiver__decoder_queue.qsize() for receiver in peers.receivers]
            assert (queues, decoding) == ([0, 0], [0, 0])
            # Who wants frames now still gets them.
            frame = await peers.tracks[0].recv()
            assert (frame.width, frame.height) == (320, 180)
        await media.close()

    asyncio.run(run())


def test_a_sender_that_dies_costs_nothing_that_came_before(tmp_path):
    path = tmp_path / "talk.ts"

    async def run():
        recorder = rk.MediaRecorder(path)
        async with asyncio.timeout(30), sending(recorder, seconds=60) as (_, peers):
            while recorder.recorder.duration_s < 1:
                await asyncio.sleep(0.02)
            peers.kill_sender()
            await asyncio.sleep(0.3)
        return await recorder.stop()

    recording = asyncio.run(run())
    verified(path)
    assert recording.duration_s >= 1


def test_the_second_of_two_recorders_of_one_track_gets_all_of_it_too(tmp_path):
    async def run():
        first, second = (rk.MediaRecorder(tmp_path / name) for name in ("one.ts", "two.ts"))
        async with sending(first, seconds=1.5, begin=False) as (media, peers):
            for track in peers.tracks:
                second.addTrack(track)
            await second.start()
            media.begin()
            await media.wait()
            await asyncio.sleep(LONGEST_FLIGHT_S)
            await second.stop()

    asyncio.run(run())
    for name in ("one.ts", "two.ts"):
        assert read_back(tmp_path / name, fps=30).numbers_ok == 45


class Camera(MediaStreamTrack):
    """A program's own track: pictures as fast as they are read, or at its rate; it may fail."""

    kind = "video"

    def __init__(self, count, *, fails=False, fps=30):
        super().__init__()
        self.number, self.count, self.fails, self.fps = 0, count, fails, fps

    async def recv(self):
        if self.number == self.count:
            if self.fails:
                raise ZeroDivisionError("the lens fell off")
            self.stop()
            raise MediaStreamError
        await asyncio.sleep(0.001)
        frame = av.VideoFrame.from_ndarray(np.full((90, 160, 3), self.number % 200, np.uint8), "rgb24")
        frame.pts, frame.time_base = self.number, Fraction(1, self.fps)
        self.number += 1
        return frame


async def until_ended(recorder):
    while recorder._listener.tracks:
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("fps", [30, 60])
def test_a_programs_own_track_is_read_frame_by_frame(tmp_path, fps):
    path = tmp_path / "own.ts"

    async def run():
        recorder = rk.MediaRecorder(path, overflow="block", queue_bytes=1 << 28)
        recorder.addTrack(Camera(60, fps=fps))
        await recorder.start()
        await until_ended(recorder)
        assert recorder.error is None
        return await recorder.stop()

    recording = asyncio.run(run())
    verified(path)
    assert recording.counters.video_units == 60
    assert recording.duration_s == pytest.approx(60 / fps, abs=0.05)


def test_aiortcs_own_recorder_fails_at_sixty_pictures_a_second(tmp_path):
    async def run():
        recorder = AiortcMediaRecorder(str(tmp_path / "theirs.ts"))
        recorder.addTrack(Camera(60, fps=60))
        await recorder.start()
        await asyncio.sleep(1)
        await recorder.stop()

    with pytest.raises(av.FFmpegError):
        asyncio.run(run())


def test_a_track_that_fails_is_reported_and_the_others_go_on(tmp_path, caplog):
    path = tmp_path / "half.ts"

    async def run():
        recorder = rk.MediaRecorder(path)
        recorder.addTrack(Camera(20, fails=True))
        recorder.addTrack(AudioStreamTrack())
        await recorder.start()
        while recorder.error is None:
            await asyncio.sleep(0.02)
        assert recorder.state is State.DEGRADED
        assert isinstance(recorder.error, ZeroDivisionError)
        await asyncio.sleep(1)  # the first one's pictures came faster than their times say
        recorder.addTrack(Camera(20))  # another in its place
        await recorder.start()
        await asyncio.sleep(0.3)
        recording = await recorder.stop()
        assert recorder.state is State.STOPPED
        return recording

    recording = asyncio.run(run())
    verified(path)
    assert "the lens fell off" in caplog.text
    assert "failure" in set(recording.events["kind"])
    assert recording.counters.audio_units
    assert recording.counters.video_units > 20


def test_where_all_tracks_failed_stop_says_so_and_the_file_is_there(tmp_path):
    path = tmp_path / "none.ts"

    async def run():
        recorder = rk.MediaRecorder(path)
        recorder.addTrack(Camera(20, fails=True))
        await recorder.start()
        await until_ended(recorder)
        with pytest.raises(ZeroDivisionError, match="lens"):
            await recorder.stop()

    asyncio.run(run())
    assert verified(path).streams[0].pictures == 20


def test_a_player_and_a_relay_of_a_remote_track_are_read_frame_by_frame(tmp_path):
    clip = tmp_path / "clip.ts"
    rk.record(Synthetic(seconds=1.5, **SMALL), clip)

    async def run():
        player = MediaPlayer(str(clip))
        played = rk.MediaRecorder(tmp_path / "played.ts")
        played.addTrack(player.video)
        played.addTrack(player.audio)
        relayed = rk.MediaRecorder(tmp_path / "relayed.ts")
        media = SyntheticMedia(Synthetic(seconds=1.5, audio=False, **SMALL))
        async with connected_peers(media.tracks) as peers:
            relayed.addTrack(MediaRelay().subscribe(peers.tracks[0]))
            await played.start()
            await relayed.start()
            media.begin()
            await until_ended(played)
            await asyncio.sleep(LONGEST_FLIGHT_S)
            await played.stop()
            await relayed.stop()
        await media.close()

    asyncio.run(run())
    back = read_back(tmp_path / "played.ts", fps=30)
    assert (back.numbers_ok, back.lost) == (45, 0)
    # The player begins both at 0, and so loses by how much the clip's sound began earlier: 1024 samples.
    assert abs(back.sync_worst_s) < 0.02 + 1024 / 48_000
    assert read_back(tmp_path / "relayed.ts", fps=30).numbers_ok >= 40


def test_an_aiortc_that_the_tap_does_not_know_is_named_and_its_frames_are_recorded(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tap, "_BUFFER", "_RTCRtpReceiver__buffer_of_tomorrow")
    path = tmp_path / "talk.ts"
    recording, _ = asyncio.run(record_all(rk.MediaRecorder(path), seconds=1.5))
    verified(path)
    assert "RTCRtpReceiver.buffer_of_tomorrow is not what it was" in caplog.text
    assert "known to work with aiortc 1.16" in caplog.text
    assert recording.counters.video_units >= 40


def test_a_disk_that_is_too_slow_costs_whole_groups_of_pictures_and_no_memory(tmp_path):
    system = FaultySystem(folder=tmp_path)
    gate = system.hold("write", 1)
    path = tmp_path / "slow.ts"
    recorder = rk.MediaRecorder(path, system=system, queue_bytes=1 << 16, flush_threshold=1 << 16)

    async def run():
        async with sending(recorder, seconds=3, bit_rate=4_000_000) as (media, _):
            await asyncio.sleep(2.0)
            assert recorder.recorder.queue_bytes <= 1 << 17
            gate.open()
            await media.wait()
            await asyncio.sleep(LONGEST_FLIGHT_S)
        return await recorder.stop(), media

    recording, media = asyncio.run(run())
    assert recording.counters.dropped_items
    assert recording.counters.received.refused_units == recording.counters.dropped_items
    assert media.keyframe_requests
    back = read_back(path, fps=30)
    assert (back.unreadable, back.damaged_packets, back.out_of_order) == (0, 0, 0)
    assert recording.counters.video_units


def test_bad_arguments_are_told_apart(tmp_path, caplog):
    with pytest.raises(rk.OutputError, match=r"choose a name that ends in \.ts"):
        rk.MediaRecorder(tmp_path / "talk.mp4")
    with pytest.raises(rk.SettingsError, match="give the path"):
        rk.MediaRecorder(io.BytesIO())
    with pytest.raises(rk.SettingsError, match="MPEG-TS"):
        rk.MediaRecorder(tmp_path / "talk.ts", "mp4")
    with pytest.raises(rk.SettingsError, match="on_gap"):
        rk.MediaRecorder(tmp_path / "talk.ts", on_gap="shrug")
    recorder = rk.MediaRecorder(tmp_path / "talk.ts", "mpegts", {"movflags": "faststart"})
    assert "mean nothing here: movflags" in caplog.text

    async def run():
        assert await recorder.stop() is None
        recorder.addTrack(VideoStreamTrack())
        with pytest.raises(rk.MediaError, match="one more video track"):
            recorder.addTrack(VideoStreamTrack())
        await recorder.start()
        await recorder.stop()
        with pytest.raises(rk.StateError):
            recorder.addTrack(VideoStreamTrack())
        with pytest.raises(rk.MediaError, match="without"):
            rk.MediaRecorder(tmp_path / "b.ts", video=None).addTrack(VideoStreamTrack())

    asyncio.run(run())


@pytest.mark.parametrize("how", ["stop", "cancel"])
def test_a_start_that_is_overtaken_leaves_no_recording_that_nobody_ends(tmp_path, how):
    async def run():
        recorder = rk.MediaRecorder(tmp_path / "talk.ts")
        recorder.addTrack(AudioStreamTrack())
        starting = [asyncio.create_task(recorder.start()) for _ in range(2)]
        await asyncio.sleep(0)
        if how == "cancel":
            for one in starting:
                one.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting[0]
        recording = await recorder.stop()
        assert recorder.state is State.STOPPED
        assert recording.path == tmp_path / "talk.ts"
        await asyncio.gather(*starting, return_exceptions=True)
        assert [task for task in asyncio.all_tasks() if task.get_name().startswith("recordkit")] == []

    asyncio.run(run())


def test_a_file_that_is_there_already_is_not_overwritten_unasked(tmp_path):
    path = tmp_path / "talk.ts"
    path.write_bytes(b"precious")
    with pytest.raises(rk.OutputExistsError):
        asyncio.run(rk.MediaRecorder(path).start())
    assert path.read_bytes() == b"precious"


def test_a_receiver_that_is_killed_loses_nothing_that_it_had_packetised(tmp_path):
    path = tmp_path / "talk.ts"
    command = [sys.executable, Path(__file__).with_name("killed_receiver.py"), path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        said_s = next(float(line) for line in child.stdout if float(line) > 1.5)
        child.kill()
        said_s = max([said_s, *(float(line) for line in child.stdout if line.endswith("\n"))])
    assert not path.exists()
    rk.recover(tmp_path)
    found = verified(path)
    assert found.duration_s >= said_s - 0.05
    assert read_back(path, fps=30).lost == 0
