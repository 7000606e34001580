"""aiortc's interface on recordkit's recorder: real peers, what they send, and what is left of it."""

from __future__ import annotations

import asyncio
import gc
import io
import subprocess
import sys
import threading
import weakref
from collections import Counter
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from aiortc import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack
from aiortc.contrib.media import MediaPlayer, MediaRelay
from aiortc.contrib.media import MediaRecorder as AiortcMediaRecorder
from aiortc.mediastreams import MediaStreamError

import recordkit as rk
from recordkit.recorder.recorder import State
from recordkit.sources.readback import read_back
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc import stand_in
from recordkit.sources.webrtc.network import Network, NetworkFaults
from recordkit.sources.webrtc.peers import Peers, connected_peers
from recordkit.sources.webrtc.stream import STANDS_S
from recordkit.sources.webrtc.tracks import SyntheticMedia
from tests.judges import judge
from tests.steering import GUARD_S, FakeClock, FaultySystem

SMALL = {"width": 320, "height": 180, "fps": 30}
QUIET_S = 0.25
pytestmark = pytest.mark.usefixtures("no_frame_stands")


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


@pytest.mark.parametrize("kinds", [["video", "audio"], ["audio", "video"], ["audio", "video", "audio"]])
def test_the_file_lists_the_tracks_in_the_order_of_add_track(tmp_path, kinds):
    """As aiortc's own does: programs written for it read ``container.streams[0]``."""

    async def record():
        recorder = rk.MediaRecorder(tmp_path / "talk.ts", audio=[rk.AudioSettings()] * kinds.count("audio"))
        tracks = [VideoStreamTrack() if kind == "video" else AudioStreamTrack() for kind in kinds]
        for track in tracks:
            recorder.addTrack(track)
        await recorder.start()
        counted = recorder.recorder
        await until(lambda: counted.counters.video_units > 5 and counted.counters.audio_units > 20 * len(kinds))
        await recorder.stop()
        for track in tracks:
            track.stop()

    asyncio.run(record())
    with av.open(tmp_path / "talk.ts") as container:
        assert [stream.type for stream in container.streams] == kinds


async def until(condition):
    async with asyncio.timeout(GUARD_S):
        while not condition():
            await asyncio.sleep(0.01)


async def all_arrived(media, *recorders):
    """Wait until all has been sent, and nothing more comes of it: the peers share this loop."""
    await media.wait()
    counts, quiet_s = None, 0.0
    while quiet_s < QUIET_S:
        await asyncio.sleep(0.05)
        before, counts = counts, [(one.counters.taken_items, one.counters.received.packets) for one in recorders]
        quiet_s = quiet_s + 0.05 if counts == before else 0.0


async def end(track):
    """End a synthetic track behind what it has sent, and return how many units that was."""
    track._ends_s = 0.0
    await track.over.wait()
    return track._number if track.kind == "video" else track._chunk


async def record_all(recorder, **settings):
    async with sending(recorder, **settings) as (media, _):
        await all_arrived(media, recorder)
    return await recorder.stop(), media


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_what_a_peer_sends_is_in_the_file_whole_and_in_sync(tmp_path, codec):
    path = tmp_path / "talk.ts"
    recorder = rk.MediaRecorder(path)
    recording, _ = asyncio.run(record_all(recorder, seconds=2.5, codec=codec))
    verified(path)
    assert {one.basis for one in recorder.sync.values()} == {"reference", "sender reports"}
    back = read_back(path, fps=30)
    assert (back.numbers_ok, back.first_number, back.last_number, back.lost) == (75, 0, 74, 0)
    assert back.frame_jitter_s < 0.001
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
        await all_arrived(media, recorder)
        await recorder.stop()
        await peers.close()
        await media.close()

    asyncio.run(run())
    verified(path)
    back = read_back(path, fps=30)
    assert back.last_number == 35
    assert (back.lost, back.first_number) == (0, 0)


def test_an_outage_leaves_the_file_open_and_marks_its_gap_where_that_is_asked_for(tmp_path):
    """To fill it with silence is the default: test_loopback has it."""
    path = tmp_path / "talk.ts"
    network = Network(NetworkFaults(outages=((0.6, 1.6),)))
    recording, _ = asyncio.run(record_all(rk.MediaRecorder(path, on_gap="mark"), seconds=2.8, network=network))
    assert rk.verify(path, decode=True).decoded
    assert recording.duration_s == pytest.approx(2.8, abs=0.2)
    events = recording.log.contents.events
    # A busy machine makes pauses of its own.
    assert max(event.fields["seconds"] for event in events if event.kind is rk.EventKind.RECONNECT) > 1.4
    gaps = [event.fields for event in events if event.kind is rk.EventKind.GAP and event.fields["stream"] == 1]
    assert max(gap["seconds"] for gap in gaps) > 0.5
    assert {gap["filled"] for gap in gaps} == {False}
    assert read_back(path, fps=30).audio_gaps


def test_an_outage_ends_the_recording_where_that_is_asked_for(tmp_path):
    path = tmp_path / "talk.ts"
    recorder = rk.MediaRecorder(path, on_gap="end")

    async def run():
        network = Network(NetworkFaults(outages=((0.8, 3600),)))
        async with sending(recorder, seconds=3600, network=network):
            await until(lambda: recorder.state is State.STOPPED)
        return await recorder.stop()

    recording = asyncio.run(run())
    verified(path)
    assert recording.counters.video_units
    assert recorder.error is None


def test_a_video_and_a_second_sound_that_come_later_and_a_track_that_ends_alone(tmp_path):
    path = tmp_path / "talk.ts"

    async def run():
        media = SyntheticMedia(Synthetic(seconds=1.8, **SMALL), video_ends_s=1.2)
        second = SyntheticMedia(Synthetic(seconds=1.0, video=False))
        recorder = rk.MediaRecorder(path)
        peers = Peers()
        peers.receiver.on("track", recorder.addTrack)
        await peers.add(media.audio)
        await recorder.start()
        media.begin()
        await until(lambda: recorder.recorder.duration_s > 0.3)
        await peers.add(media.video)
        await peers.add(second.audio)
        await recorder.start()  # as aiortc wants it, for a track that comes later
        second.begin()
        await second.wait()
        await all_arrived(media, recorder)
        recording = await recorder.stop()
        await peers.close()
        for one in (media, second):
            await one.close()
        return recording

    recording = asyncio.run(run())
    verified(path)
    back = read_back(path, fps=30)
    assert (back.first_number, back.last_number, back.lost, back.unreadable) == (0, 35, 0, 0)
    assert back.audio_s == pytest.approx(1.8, abs=0.1)
    assert recording.counters.received.received_units == 36 + 90 + 50
    assert set(recording.streams) == {0, 1, 2}
    ended = [fields["stream"] for fields in recording.events["fields"] if "received_units" in fields]
    assert sorted(ended) == [0, 1, 2]


def test_sixty_pictures_a_second_and_a_new_size(tmp_path):
    path = tmp_path / "talk.ts"

    async def run():
        source = Synthetic(seconds=1.2, width=320, height=180, fps=60)
        media = SyntheticMedia(source, sizes=((0.6, 640, 360),))
        recorder = rk.MediaRecorder(path)
        async with connected_peers(media.tracks) as peers:
            for track in peers.tracks:
                recorder.addTrack(track)
            await recorder.start()
            media.begin()
            await all_arrived(media, recorder)
            await recorder.stop()
        await media.close()

    asyncio.run(run())
    verified(path)
    back = read_back(path, fps=60)
    assert (back.numbers_ok, back.lost, back.last_number) == (72, 0, 71)
    assert back.sizes == ((320, 180), (640, 360))


def test_after_stop_nothing_is_left_while_the_peer_goes_on_sending(tmp_path):
    async def run():
        media = SyntheticMedia(Synthetic(seconds=3600, **SMALL))
        recorder = rk.MediaRecorder(tmp_path / "talk.ts")
        async with connected_peers(media.tracks) as peers:
            for track in peers.tracks:
                recorder.addTrack(track)
            await recorder.start()
            media.begin()
            while recorder.counters.received.packets < 30:
                await asyncio.sleep(0.01)
            await recorder.stop()
            assert not recorder._listener.tracks
            left = weakref.ref(recorder), weakref.ref(recorder._listener), weakref.ref(recorder.recorder)
            del recorder
            # The thread in which it was stopped may still be on its way out.
            await until(lambda: gc.collect() is not None and not any(one() for one in left))
            threads = [one.name for one in threading.enumerate()]
            assert not [name for name in threads if name.startswith(("recordkit-encode", "recordkit-write"))]
            tasks = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("recordkit")]
            assert tasks == []
            sent = media.video._number
            await until(lambda: media.video._number > sent + 30)
            queues = [track._queue.qsize() for track in peers.tracks]
            decoding = [receiver._RTCRtpReceiver__decoder_queue.qsize() for receiver in peers.receivers]
            assert (queues, decoding) == ([0, 0], [0, 0])
            # Who wants frames now still gets them.
            frame = await peers.tracks[0].recv()
            assert (frame.width, frame.height) == (320, 180)
        await media.close()

    asyncio.run(run())


def test_after_stop_of_aiortcs_own_recorder_frames_pile_up(tmp_path):
    """As long as the peer sends; what the test above shows not to happen here."""

    async def run():
        media = SyntheticMedia(Synthetic(seconds=3600, audio=False, **SMALL))
        recorder = AiortcMediaRecorder(str(tmp_path / "theirs.ts"))
        async with connected_peers(media.tracks) as peers:
            recorder.addTrack(peers.tracks[0])
            await recorder.start()
            media.begin()
            await until(lambda: media.video._number > 10)
            await recorder.stop()
            await until(lambda: peers.tracks[0]._queue.qsize() > 30)
        await media.close()

    asyncio.run(run())


def test_a_sender_that_dies_costs_nothing_that_came_before(tmp_path):
    path = tmp_path / "talk.ts"

    async def run():
        recorder = rk.MediaRecorder(path)
        async with sending(recorder, seconds=3600) as (_, peers):
            await until(lambda: recorder.recorder.duration_s > 1)
            peers.kill_sender()
        return await recorder.stop()

    recording = asyncio.run(run())
    verified(path)
    assert recording.duration_s >= 1


def test_the_second_of_two_recorders_of_one_track_gets_all_of_it_too(tmp_path):
    async def run():
        first, second = (rk.MediaRecorder(tmp_path / name) for name in ("one.ts", "two.ts"))
        async with sending(first, seconds=1.0, begin=False) as (media, peers):
            for track in peers.tracks:
                second.addTrack(track)
            await second.start()
            media.begin()
            await all_arrived(media, first, second)
            await second.stop()

    asyncio.run(run())
    for name in ("one.ts", "two.ts"):
        assert read_back(tmp_path / name, fps=30).numbers_ok == 30


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_a_shared_screen_on_which_nothing_moves_lasts_to_the_end(tmp_path, codec, monkeypatch):
    monkeypatch.undo()  # here its last frame is to stand
    path = tmp_path / "talk.ts"
    recorder = rk.MediaRecorder(path, audio=None)

    async def run():
        media = SyntheticMedia(Synthetic(seconds=1.0, audio=False, **SMALL), codec=codec)
        async with connected_peers(media.tracks, codec=codec) as peers:
            recorder.addTrack(peers.tracks[0], peer=peers.receiver)
            await recorder.start()
            media.begin()
            began_s = asyncio.get_running_loop().time()
            await media.wait()
            await asyncio.sleep(4.8)
            lasted_s = asyncio.get_running_loop().time() - began_s
            recording = await recorder.stop()
            over_s = asyncio.get_running_loop().time() - began_s
        await media.close()
        return recording, lasted_s, over_s

    recording, lasted_s, over_s = asyncio.run(run())
    found = verified(path)
    assert not {"gap", "reconnect", "discontinuity", "degraded"} & set(recording.events["kind"])
    assert found.streams[0].gaps == 0
    back = read_back(path, fps=30)
    assert (back.first_number, back.last_number, back.lost, back.unreadable) == (0, 29, 0, 0)
    # A busy machine may have let it stand for longer.
    assert 2 <= back.repeated <= 1 + over_s // STANDS_S, "once in four seconds while it stood, once at the end"
    assert lasted_s - 0.5 <= recording.duration_s <= over_s + 0.5
    converted = tmp_path / "talk.mp4"
    subprocess.run(
        [judge("ffmpeg"), "-nostdin", "-v", "error", "-i", path, "-c", "copy", converted], check=True, timeout=60
    )
    with av.open(converted) as film:
        assert film.duration / av.time_base == pytest.approx(recording.duration_s, abs=0.2)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_a_recording_goes_on_in_the_next_with_nothing_lost_and_nothing_twice(tmp_path, codec, caplog):
    first, second = (rk.MediaRecorder(tmp_path / name) for name in ("one.ts", "two.ts"))

    async def run():
        # It sends on until both files have their share, however long that takes here.
        async with sending(first, seconds=3600, codec=codec) as (media, peers):
            await until(lambda: first.recorder.duration_s > 0.8)
            await first.go_on_in(second)
            ended = await first.stop()
            assert ended.path == tmp_path / "one.ts"
            with pytest.raises(rk.StateError, match="has ended"):
                first.addTrack(peers.tracks[0])
            await until(lambda: second.recorder.duration_s > 0.8)
            sent = [await end(track) for track in media.tracks]
            await all_arrived(media, second)
            return ended, await second.stop(), sent

    ended, last, sent = asyncio.run(run())
    numbers = -1
    for path, recording in ((ended.path, ended), (last.path, last)):
        verified(path)
        back = read_back(path, fps=30)
        assert (back.first_number, back.lost, back.repeated, back.unreadable) == (numbers + 1, 0, 0, 0)
        numbers = back.last_number
        received = recording.counters.received
        assert (received.lost_packets, received.dropped_units, received.refused_units) == (0, 0, 0)
    # Each by itself may differ: what lags behind the keyframe is received by the one after, and is in the file
    # before.
    assert numbers + 1 == sent[0]
    assert ended.counters.received.received_units + last.counters.received.received_units == sum(sent)
    assert ended.counters.taken_items + last.counters.taken_items == sum(sent)
    assert "received frames were dropped" not in caplog.text
    assert {"stream", "commit"} <= set(last.events["kind"])


def test_only_what_records_goes_on_and_only_in_what_is_new(tmp_path):
    async def run():
        one, two, used = (rk.MediaRecorder(tmp_path / f"{name}.ts") for name in ("one", "two", "used"))
        with pytest.raises(rk.StateError, match="only a recording"):
            await one.go_on_in(two)
        camera = Camera(3600)
        one.addTrack(camera)
        await one.start()
        used.addTrack(AudioStreamTrack())
        with pytest.raises(rk.StateError, match="new recorder"):
            await one.go_on_in(used)
        (tmp_path / "two.ts").write_bytes(b"theirs")
        with pytest.raises(rk.OutputExistsError):
            await one.go_on_in(two)
        third = rk.MediaRecorder(tmp_path / "three.ts")
        await one.go_on_in(third)
        with pytest.raises(rk.StateError, match="only a recording"):
            await one.go_on_in(rk.MediaRecorder(tmp_path / "four.ts"))
        assert (await one.stop()).path == tmp_path / "one.ts"
        assert (await third.stop()).path == tmp_path / "three.ts"
        assert (await used.stop()) is None

    asyncio.run(run())


def test_a_recording_without_a_keyframe_stays_in_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr("recordkit.recorder.media_recorder.LONGEST_CHANGE_S", 0.2)
    one, two = (rk.MediaRecorder(tmp_path / name) for name in ("one.ts", "two.ts"))

    async def run():
        async with sending(one, seconds=3600) as (_, peers):
            await until(lambda: one.recorder.duration_s > 0.3)
            for sender in peers.sender.getSenders():
                sender._send_keyframe = lambda: None
            with pytest.raises(rk.MediaError, match="nothing that a file can begin with"):
                await one.go_on_in(two)
            assert one.state.is_recording
            assert two.state is State.STOPPED
            units = one.counters.video_units
            await until(lambda: one.counters.video_units > units + 5)
        return await one.stop()

    asyncio.run(run())
    assert [path.name for path in tmp_path.glob("*.ts")] == ["one.ts"]
    verified(tmp_path / "one.ts")


class Camera(MediaStreamTrack):
    """A program's own track: pictures as fast as they are read. It may fail, wait to begin, and change its size."""

    kind = "video"

    def __init__(self, count, *, fails=False, fps=30, begins=None, wider_from=None):
        super().__init__()
        self.number, self.count, self.fails, self.fps = 0, count, fails, fps
        self.begins, self.wider_from = begins, wider_from or count

    async def recv(self):
        if self.begins is not None:
            await self.begins.wait()
        if self.number == self.count:
            if self.fails:
                raise ZeroDivisionError("the lens fell off")
            self.stop()
            raise MediaStreamError
        await asyncio.sleep(0.001)
        width = 160 if self.number < self.wider_from else 320
        frame = av.VideoFrame.from_ndarray(np.full((90, width, 3), self.number % 200, np.uint8), "rgb24")
        frame.pts, frame.time_base = self.number, Fraction(1, self.fps)
        self.number += 1
        return frame


async def until_ended(recorder):
    await until(lambda: not recorder._listener.tracks)


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
        camera = Camera(60, fps=60)
        recorder = AiortcMediaRecorder(str(tmp_path / "theirs.ts"))
        recorder.addTrack(camera)
        await recorder.start()
        await until(lambda: camera.readyState == "ended" or not any(map(is_theirs, asyncio.all_tasks())))
        await recorder.stop()

    with pytest.raises(av.FFmpegError):
        asyncio.run(run())


def is_theirs(task):
    return "run_track" in repr(task.get_coro())


async def sound_first(recorder):
    """Sound comes, and only then pictures, which come to their end."""
    begins = asyncio.Event()
    camera, sound = Camera(30, begins=begins), AudioStreamTrack()
    for track in (sound, camera):
        recorder.addTrack(track)
    await recorder.start()
    await until(lambda: getattr(sound, "_timestamp", 0) > 8000)
    begins.set()
    running = sum(map(is_theirs, asyncio.all_tasks()))
    await until(lambda: camera.readyState == "ended" or sum(map(is_theirs, asyncio.all_tasks())) < running)
    await recorder.stop()


def test_sound_before_the_pictures_costs_no_picture(tmp_path):
    asyncio.run(sound_first(rk.MediaRecorder(tmp_path / "ours.ts", overflow="block", queue_bytes=1 << 28)))
    verified(tmp_path / "ours.ts")
    assert sizes_in(tmp_path / "ours.ts") == {(160, 90): 30}


def test_aiortcs_own_recorder_loses_pictures_that_come_after_sound(tmp_path):
    asyncio.run(sound_first(AiortcMediaRecorder(str(tmp_path / "theirs.ts"))))
    assert sizes_in(tmp_path / "theirs.ts") == {}


def test_another_size_is_kept_and_aiortcs_own_recorder_scales_it(tmp_path):
    async def run():
        ours = rk.MediaRecorder(tmp_path / "ours.ts", overflow="block", queue_bytes=1 << 28)
        theirs = AiortcMediaRecorder(str(tmp_path / "theirs.ts"))
        cameras = Camera(20, wider_from=10), Camera(20, wider_from=10)
        for recorder, camera in zip((ours, theirs), cameras, strict=True):
            recorder.addTrack(camera)
            await recorder.start()
        await until(lambda: all(camera.readyState == "ended" for camera in cameras))
        await until_ended(ours)
        await ours.stop()
        await theirs.stop()

    asyncio.run(run())
    assert sizes_in(tmp_path / "ours.ts") == {(160, 90): 10, (320, 90): 10}
    assert set(sizes_in(tmp_path / "theirs.ts")) == {(160, 90)}


def sizes_in(path):
    with av.open(path) as container:
        return Counter((frame.width, frame.height) for frame in container.decode(video=0))


def test_a_track_that_fails_is_reported_and_the_others_go_on(tmp_path, caplog):
    path = tmp_path / "half.ts"

    async def run():
        recorder = rk.MediaRecorder(path)
        recorder.addTrack(Camera(20, fails=True, fps=200))
        recorder.addTrack(AudioStreamTrack())
        await recorder.start()
        await until(lambda: recorder.error is not None)
        assert recorder.state is State.DEGRADED
        assert isinstance(recorder.error, ZeroDivisionError)
        # The first one's pictures came faster than their times say.
        await until(lambda: recorder.recorder.elapsed_s > 0.3)
        recorder.addTrack(Camera(20))  # another in its place
        await recorder.start()
        await until(lambda: recorder.counters.video_units > 20)
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
    assert verified(path).streams[0].frames == 20


def test_a_player_and_a_relay_of_a_remote_track_are_read_frame_by_frame(tmp_path):
    clip = tmp_path / "clip.ts"
    rk.record(Synthetic(seconds=1.2, **SMALL), clip)

    async def run():
        player = MediaPlayer(str(clip))
        # On a clock that stands: however long its first frames take, they come together.
        played = rk.MediaRecorder(tmp_path / "played.ts", _clock=FakeClock())
        played.addTrack(player.video)
        played.addTrack(player.audio)
        relayed = rk.MediaRecorder(tmp_path / "relayed.ts")
        media = SyntheticMedia(Synthetic(seconds=1.2, audio=False, **SMALL))
        async with connected_peers(media.tracks) as peers:
            relayed.addTrack(MediaRelay().subscribe(peers.tracks[0]))
            await played.start()
            await relayed.start()
            media.begin()
            await until_ended(played)
            await all_arrived(media, relayed)
            await played.stop()
            await relayed.stop()
        await media.close()

    asyncio.run(run())
    back = read_back(tmp_path / "played.ts", fps=30)
    assert (back.numbers_ok, back.lost) == (36, 0)
    # The player begins both at 0, and so loses by how much the clip's sound began earlier: 1024 samples.
    assert abs(back.sync_worst_s) < 0.02 + 1024 / 48_000
    assert read_back(tmp_path / "relayed.ts", fps=30).numbers_ok >= 30


def test_an_aiortc_that_the_tap_does_not_know_is_named_and_its_frames_are_recorded(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(stand_in, "_BUFFER", "_RTCRtpReceiver__buffer_of_tomorrow")
    path = tmp_path / "talk.ts"
    recording, _ = asyncio.run(record_all(rk.MediaRecorder(path), seconds=1.2))
    verified(path)
    assert "RTCRtpReceiver.buffer_of_tomorrow is not what it was" in caplog.text
    assert "known to work with aiortc 1.16" in caplog.text
    assert recording.counters.video_units >= 30


def test_a_disk_that_is_too_slow_costs_whole_groups_of_pictures_and_no_memory(tmp_path):
    """facts about aiortc: 64 to 100 MB a second."""
    system = FaultySystem(folder=tmp_path)
    gate = system.hold("write", 1)
    path = tmp_path / "slow.ts"
    settings = {"queue_bytes": 1 << 19, "flush_threshold": 1 << 18}
    recorder = rk.MediaRecorder(path, _system=system, **settings)
    source = {"width": 1920, "height": 1080, "fps": 30}
    process = psutil.Process()

    async def run():
        media = SyntheticMedia(Synthetic(seconds=3600, **source), bit_rate=12_000_000)
        async with connected_peers(media.tracks) as peers:
            for track in peers.tracks:
                recorder.addTrack(track)
            await recorder.start()
            media.begin()
            received = lambda: recorder.counters.received  # noqa: E731
            await until(lambda: received().refused_units > 5)
            before, refused, most = process.memory_info().rss, received().refused_units, 0
            while received().refused_units < refused + 45:
                most = max(most, recorder.recorder.queue_bytes)
                await asyncio.sleep(0.01)
            grown = process.memory_info().rss - before
            assert 0 < most <= 1 << 19
            assert media.keyframe_requests
            there = recorder.counters.video_units
            gate.open()
            await until(lambda: recorder.counters.video_units > there + 3)
            recording = await recorder.stop()
        await media.close()
        return recording, grown

    recording, grown = asyncio.run(run())
    assert grown < 16e6, "a second and a half of decoded pictures is 140 MB"
    assert recording.counters.received.refused_units == recording.counters.dropped_items
    back = read_back(path, fps=30)
    assert (back.unreadable, back.damaged_packets, back.out_of_order) == (0, 0, 0)


def test_bad_arguments_are_told_apart(tmp_path, caplog):
    with pytest.raises(rk.OutputError, match=r"choose a name that ends in \.mp4"):
        rk.MediaRecorder(tmp_path / "talk.mkv")
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
        with pytest.raises(rk.MediaError, match="there is no such track"):
            recorder.addTrack(None)  # the audio of a MediaPlayer of a film without
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
