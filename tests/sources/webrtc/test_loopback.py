"""A recording by WebRTC in one process, on good and bad networks, judged by what is in the file."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import asdict

import pytest

import recordkit as rk
from recordkit.errors import SettingsError
from recordkit.sources.readback import read_back
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc.hosting import Outlet
from recordkit.sources.webrtc.network import Network, NetworkFaults, Traffic
from recordkit.sources.webrtc.peers import connected_peers
from recordkit.sources.webrtc.reorder import VIDEO_WINDOW_S
from recordkit.sources.webrtc.tracks import SyntheticMedia
from recordkit.system import Clock
from tests.judges import assert_decodes_in_silence

SMALL = {"width": 320, "height": 180}
pytestmark = pytest.mark.usefixtures("no_frame_stands")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 321),
        ("height", 10),
        ("fps", 0),
        ("codec", "av1"),
        ("seconds", 0),
        ("seed", 1.5),
        ("seed", True),
        ("bit_rate", 100),
        ("bit_rate", "fast"),
        ("loss", 2),
        ("jitter_s", -1),
        ("outages", ((1,),)),
        ("mutes", 3),
        ("mutes", ((0, -1),)),
        ("sizes", ((1, 2),)),
        ("sizes", ((1, 640, 361),)),
        ("sizes", ((1, "a", "b"),)),
        ("sizes", (("x", 640, 360),)),
        ("video_ends_s", 0),
        ("audio_ends_s", "soon"),
    ],
)
def test_values_that_cannot_be_used_are_refused_by_name(field, value):
    with pytest.raises(SettingsError) as caught:
        rk.Loopback(**{field: value})
    assert caught.value.name == field


def test_neither_video_nor_audio_is_refused():
    with pytest.raises(SettingsError):
        rk.Loopback(video=False, audio=False)


def test_it_goes_through_json_unchanged():
    given = rk.Loopback(
        loss=0.1, outages=((1, 2),), sizes=((1.5, 640, 360),), mutes=((0.5, 1.0),), fps="30000/1001"
    )
    assert rk.Loopback(**json.loads(json.dumps(asdict(given), default=str))) == given


def recorded(path, **settings):
    """The recording of a Loopback, what is read back from it, and its events by kind."""
    before = set(threading.enumerate())
    recording = rk.record(rk.Loopback(**(SMALL | settings)), path)
    assert set(threading.enumerate()) <= before
    found = rk.verify(path, decode=True)
    assert found.ok, str(found)
    return recording, read_back(path, fps=30)


def events(recording, kind):
    return recording.events.loc[recording.events["kind"] == kind, "fields"].to_list()


def test_a_good_network_loses_nothing(tmp_path):
    recording, back = recorded(tmp_path / "talk.ts", seconds=2.5)
    assert (back.numbers_ok, back.first_number, back.last_number, back.lost, back.unreadable) == (75, 0, 74, 0, 0)
    assert back.frame_jitter_s < 0.001
    assert len(back.sync_offsets_s) == 2
    assert abs(back.sync_worst_s) < 0.02
    assert recording.counters.received.received_units == 75 + 125
    assert recording.counters.received.lost_packets == 0
    assert {event["sync"] for event in events(recording, "stream") if "sync" in event} == {
        "sender reports",
        "reference",
    }


def test_vp8_is_decoded_and_encoded_anew(tmp_path):
    recording, back = recorded(tmp_path / "talk.ts", seconds=1.0, codec="vp8")
    assert (back.numbers_ok, back.lost, back.unreadable) == (30, 0, 0)
    assert recording.counters.received.received_units == 30 + 50
    told = [event["received_units"] for event in events(recording, "stream") if "received_units" in event]
    assert told == [30, 50]


def test_an_outage_leaves_the_file_open_and_the_gap_marked(tmp_path):
    # So many packets that the sender, which keeps the last 128, cannot send all of the outage again;
    # and so late that the sender reports, after 1.5 s at the latest, have come before.
    outage = {"width": 640, "height": 360, "bit_rate": 2_000_000, "outages": ((1.7, 2.0),)}
    recording, back = recorded(tmp_path / "talk.ts", seconds=4.5, **outage)
    # On a machine with much to do there may be shorter pauses besides.
    assert 1.5 < max(event["seconds"] for event in events(recording, "reconnect")) < 4.0
    video, audio = (
        max(
            (event for event in events(recording, "gap") if event["stream"] == n),
            key=lambda event: event["seconds"],
        )
        for n in (0, 1)
    )
    assert 1.5 < video["seconds"] < 4.0
    assert 1.5 < audio["seconds"] < 3.0
    assert (video["filled"], audio["filled"]) == (False, True)
    assert events(recording, "discontinuity")
    assert (back.first_number, back.last_number, back.unreadable, back.repeated) == (0, 134, 0, 0)
    assert 40 <= back.lost <= 100, "the outage, and what refers to it"
    assert back.frame_jitter_s < 0.001, "what comes after it is where it belongs"
    assert back.audio_s == pytest.approx(4.5, abs=0.1)


def test_new_sizes_and_sound_that_comes_late_are_in_sync(tmp_path):
    recording, back = recorded(
        tmp_path / "talk.ts", seconds=2.2, audio_delay_s=0.7, sizes=((0.7, 160, 90), (1.4, 320, 180))
    )
    assert (back.numbers_ok, back.lost, back.unreadable) == (66, 0, 0)
    assert [(event["width"], event["height"]) for event in events(recording, "size change")] == [
        (160, 90),
        (320, 180),
    ]
    assert len(back.sync_offsets_s) == 2
    assert abs(back.sync_worst_s) < 0.02


def test_what_is_muted_is_there_black_and_silent(tmp_path):
    recording, back = recorded(tmp_path / "talk.ts", seconds=1.2, mutes=((0.4, 0.4),))
    assert recording.counters.received.received_units == 36 + 60
    assert recording.counters.gap_count == 0
    assert (back.first_number, back.last_number) == (0, 35)
    assert (back.numbers_ok, back.unreadable) == (24, 12), "black pictures show no number"
    assert back.audio_s == pytest.approx(1.2, abs=0.1)


def test_a_track_that_ends_alone_leaves_the_other_going_on(tmp_path):
    _, back = recorded(tmp_path / "talk.ts", seconds=1.2, video_ends_s=0.5)
    assert (back.numbers_ok, back.lost) == (15, 0)
    assert back.audio_s == pytest.approx(1.2, abs=0.1)


def test_seconds_end_a_loopback_that_has_no_end(tmp_path):
    before = set(threading.enumerate())
    recording = rk.record(rk.Loopback(**SMALL), tmp_path / "talk.ts", seconds=1.0)
    assert recording.duration_s == pytest.approx(1.0, abs=0.1)
    assert set(threading.enumerate()) <= before


@pytest.mark.judge
def test_on_a_bad_network_no_picture_is_damaged_and_every_loss_accounted_for(tmp_path):
    path = tmp_path / "talk.ts"
    faults = NetworkFaults(loss=0.03, jitter_s=0.05, reordering=0.03, duplication=0.02)

    async def run():
        network = Network(faults, seed=3)
        media = SyntheticMedia(Synthetic(**SMALL, seconds=5), bit_rate=2_000_000)
        recorder = rk.MediaRecorder(path)
        async with connected_peers(media.tracks, network=network) as peers:
            for track, receiver in zip(peers.tracks, peers.receivers, strict=True):
                recorder.addTrack(track, receiver=receiver)
            await recorder.start()
            media.begin()
            network.begin()
            await media.wait()
            await network.drained()
            await asyncio.sleep(VIDEO_WINDOW_S)
            recording = await recorder.stop()
        await media.close()
        return recording, network.forward

    recording, sent = asyncio.run(run())
    assert rk.verify(path, decode=True).ok
    assert_decodes_in_silence(path)
    back = read_back(path, fps=30)
    assert (back.unreadable, back.damaged_packets, back.out_of_order) == (0, 0, 0)
    assert back.repeated == 0
    video, audio = (
        next(event for event in events(recording, "stream") if event["stream"] == index and "packets" in event)
        for index in (0, 1)
    )
    assert sent[Traffic.VIDEO].lost
    assert sent[Traffic.AUDIO].lost
    # What is lost before the first packet that came, or behind the last, nobody can know of.
    for told, counts in ((video, sent[Traffic.VIDEO]), (audio, sent[Traffic.AUDIO])):
        assert 0 <= counts.sent - told["packets"] - told["lost_packets"] <= 2, (told, counts)
    heard = sent[Traffic.AUDIO]
    assert heard.duplicated
    # Where the loop runs late a packet may come behind its window, and is counted as late.
    assert audio["packets"] == audio["received_units"] == heard.delivered - heard.duplicated - audio["late_packets"]
    assert video["lost_packets"] <= sent[Traffic.VIDEO].lost
    # A picture is in the file, or was dropped because it lacks something or refers to one that does.
    assert back.numbers_ok == video["received_units"]
    assert 0 <= 150 - video["received_units"] - video["dropped_units"] <= 2
    # 0.97 of the time that arrived; silence is put where sound was lost.
    arrived_s = audio["packets"] * 0.02
    gaps = [event for event in events(recording, "gap") if event["stream"] == 1]
    assert back.audio_s - sum(event["seconds"] for event in gaps) >= 0.97 * arrived_s
    assert abs(back.sync_worst_s) < 0.02


def test_where_the_recorder_is_too_slow_units_are_dropped_and_counted_and_keyframes_asked_for():
    """Nobody takes anything out: what waits stays below the bound while the sender goes on."""
    loopback = rk.Loopback(width=640, height=360, bit_rate=4_000_000, seconds=3)
    outlet = Outlet("slow", 64 * 1024, Clock())
    most = 0

    def put(unit, stream=0, take=outlet.put):
        nonlocal most
        taken = take(unit, stream)
        most = max(most, outlet.waiting_bytes)
        return taken

    outlet.put = put
    asyncio.run(loopback._run(outlet))
    received = outlet.received
    assert 32 * 1024 < most <= 64 * 1024
    assert outlet.dropped == received.refused_units > 40
    assert received.received_units == 90 + 150
    assert received.keyframe_requests >= 1
