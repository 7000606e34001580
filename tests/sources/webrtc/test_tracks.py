"""The synthetic source as tracks: times, sizes, mutes, ends and keyframes, without a network."""

import asyncio
import threading
from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from recordkit.sources.marks import read_frame_number
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc.tracks import SyntheticMedia

SOURCE = Synthetic(width=320, height=180, fps=50, seconds=0.4)


def packets(kind, source=SOURCE, asked_after=(), **settings):
    """All packets of one track; a keyframe is asked for after those whose numbers are given."""

    async def run():
        media = SyntheticMedia(source, **settings)
        media.begin()
        track, taken = getattr(media, kind), []
        try:
            while True:
                taken.append((await track.recv(), track.ntp_of_last()))
                if len(taken) - 1 in asked_after:
                    track.request_keyframe()
        except MediaStreamError:
            return taken, media.keyframe_requests
        finally:
            await media.close()

    return asyncio.run(run())


def pictures(taken, codec="h264"):
    decoder = av.CodecContext.create(codec, "r")
    return [frame for packet, _ in taken for frame in decoder.decode(packet)] + decoder.decode(None)


def sound(taken):
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout, decoder.format = 48_000, "stereo", "s16"
    return np.concatenate([frame.to_ndarray()[0, ::2] for packet, _ in taken for frame in decoder.decode(packet)])


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_every_picture_comes_once_with_its_time_and_one_keyframe(codec):
    taken, _ = packets("video", codec=codec)
    assert [read_frame_number(frame) for frame in pictures(taken, codec)] == list(range(20))
    assert [packet.pts * packet.time_base for packet, _ in taken] == [Fraction(i, 50) for i in range(20)]
    assert [packet.is_keyframe for packet, _ in taken] == [True] + 19 * [False]


def test_the_times_for_sender_reports_run_with_the_media():
    for kind, step_s in (("video", 1 / 50), ("audio", 1 / 50)):
        taken, _ = packets(kind)
        ntp = [stated for _, stated in taken]
        assert [(later - ntp[0]) / 2**32 for later in ntp] == pytest.approx(
            [step_s * i for i in range(20)], abs=1e-6
        )


def test_a_keyframe_that_is_asked_for_is_the_next_picture():
    taken, requests = packets("video", asked_after=(4, 11))
    assert [i for i, (packet, _) in enumerate(taken) if packet.is_keyframe] == [0, 5, 12]
    assert requests == 2


def test_a_new_size_begins_with_a_keyframe_and_goes_on_counting():
    taken, _ = packets("video", sizes=((0.1, 160, 90), (0.3, 320, 180)))
    assert [i for i, (packet, _) in enumerate(taken) if packet.is_keyframe] == [0, 5, 15]
    assert [(frame.width, frame.height) for frame in pictures(taken)] == [
        *(5 * [(320, 180)]),
        *(10 * [(160, 90)]),
        *(5 * [(320, 180)]),
    ]
    assert [read_frame_number(frame) for frame in pictures(taken)] == list(range(20))


def test_the_sound_is_where_its_times_say():
    """libopus looks ahead; the first packet's time says by how much."""
    taken, _ = packets("audio", Synthetic(video=False, seconds=1.2))
    heard = np.abs(sound(taken).astype(float))
    onset = np.flatnonzero(heard > 0.15 * 32768)[0] + taken[0][0].pts
    assert onset / 48_000 == pytest.approx(1.0, abs=0.01)


def test_muted_pictures_are_black_and_muted_sound_is_silent():
    mutes = ((0.1, 0.2),)
    taken, _ = packets("video", mutes=mutes)
    black = [frame.to_ndarray()[:180].max() < 40 for frame in pictures(taken)]
    assert black == 5 * [False] + 10 * [True] + 5 * [False]
    heard = sound(packets("audio", mutes=mutes)[0])
    assert np.abs(heard[round(0.15 * 48_000) : round(0.25 * 48_000)].astype(int)).max() < 50
    assert np.abs(heard[: round(0.08 * 48_000)].astype(int)).max() > 500


def test_one_track_can_end_before_the_other():
    assert len(packets("video", video_ends_s=0.2)[0]) == 10
    assert len(packets("audio", video_ends_s=0.2)[0]) == 20
    assert len(packets("audio", audio_ends_s=0.1)[0]) == 5


def test_close_ends_tracks_that_never_began_and_leaves_no_thread():
    async def run():
        media = SyntheticMedia(SOURCE)
        waiting = asyncio.create_task(media.video.recv())
        await asyncio.sleep(0)
        await media.close()
        await media.wait()
        with pytest.raises(MediaStreamError):
            await waiting

    before = set(threading.enumerate())
    asyncio.run(run())
    assert set(threading.enumerate()) <= before
