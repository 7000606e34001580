"""Live units: kept, or decoded and encoded anew; no damaged picture, no lost time."""

from __future__ import annotations

import itertools
import logging
import struct
from dataclasses import replace

import numpy as np
import pytest

import recordkit as rk
from recordkit.bitstream.h264 import nal_starts as starts_of
from recordkit.encode.live import LivePictures
from recordkit.encode.live_sound import LiveSound
from recordkit.errors import MediaError
from recordkit.model import Codec, EncodedUnit
from recordkit.settings import AudioSettings, VideoSettings
from recordkit.ticks import TICKS_PER_SECOND
from tests.encode.live_units import pictures, sound
from tests.mp4 import real

STEP = TICKS_PER_SECOND // 30


def record(path, units, **settings):
    units = sorted(units, key=lambda pair: pair[0].ticks)
    with rk.Recorder(path, sample_interval=0, flush_log=False, **settings) as recorder:
        for unit, stream in units:
            assert recorder.write_unit(unit, stream)
    return recorder.stop()


def decoded(path):
    found = rk.verify(path, decode=True)
    assert found.ok, str(found)
    return found


@pytest.mark.parametrize("codec", ["h264", "vp8", "vp9"])
def test_pictures_of_any_coding_become_h264(tmp_path, codec):
    path = tmp_path / "talk.ts"
    units = [(unit, 0) for unit in pictures(codec, 45)] + [(unit, 0) for unit in sound("opus", 1.5)]
    recording = record(path, units)
    decoded(path)
    assert recording.counters.video_units == 45
    assert recording.streams[0] == rk.StreamFormat(Codec.H264, width=320, height=180)
    assert recording.streams[1].codec is Codec.AAC


def test_av1_is_decoded_on_any_machine():
    way = LivePictures(VideoSettings(preset="ultrafast"), 0)
    coded = []
    for one in real.video(Codec.AV1).units:
        unit = EncodedUnit("av1", one.data, one.pts, is_entry=one.random_access)
        coded += way.code(unit, one.pts, discontinuity=False)
    coded += way.flush()
    assert [one.unit.pts for one in coded] == [one.pts for one in real.video(Codec.AV1).units]
    assert {one.format for one in coded} == {rk.StreamFormat(Codec.H264, width=320, height=180)}


def test_h264_is_kept_byte_for_byte_and_the_choice_is_logged(caplog):
    units = [replace(one, nal_starts=tuple(starts_of(one.data))) for one in pictures("h264", 20)]
    way = LivePictures(VideoSettings(), 0)
    with caplog.at_level(logging.INFO, "recordkit"):
        coded = [one for unit in units for one in way.code(unit, 180_000 + unit.ticks, discontinuity=False)]
    assert [one.unit.data for one in coded] == [unit.data for unit in units]
    assert [one.unit.nal_starts for one in coded] == [unit.nal_starts for unit in units], "nobody has to search"
    assert [one.unit.random_access for one in coded] == [unit.is_entry for unit in units]
    assert "h264 is kept as it comes" in caplog.text


@pytest.mark.parametrize("asked", [{"size": (160, 90)}, {"bit_rate": 200_000}, {"transcode": True}])
def test_what_is_asked_for_is_transcoded(tmp_path, asked, caplog):
    path = tmp_path / "talk.ts"
    with caplog.at_level(logging.INFO, "recordkit"):
        recording = record(
            path, [(unit, 0) for unit in pictures("h264", 20)], video=VideoSettings(**asked), audio=None
        )
    decoded(path)
    assert (recording.streams[0].width, recording.streams[0].height) == asked.get("size", (320, 180))
    assert "was asked for" in caplog.text


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_a_new_size_goes_into_the_same_file(tmp_path, codec):
    path = tmp_path / "talk.ts"
    later = pictures(codec, 20, (640, 360), start=20 * STEP)
    recording = record(path, [(unit, 0) for unit in itertools.chain(pictures(codec, 20), later)], audio=None)
    decoded(path)
    assert (recording.streams[0].width, recording.streams[0].height) == (640, 360)
    assert recording.counters.video_units == 40


def test_a_change_of_coding_goes_into_the_same_file(tmp_path):
    path = tmp_path / "talk.ts"
    later = pictures("h264", 20, start=20 * STEP)
    sounds = itertools.chain(sound("opus", 0.6), sound("pcm_mulaw", 0.6, start=54_000))
    units = [(unit, 0) for unit in itertools.chain(pictures("vp8", 20), later, sounds)]
    recording = record(path, units)
    decoded(path)
    assert recording.counters.video_units == 40
    assert recording.counters.gap_count == 0


def test_a_unit_that_cannot_be_decoded_is_left_out_with_all_up_to_the_next_entry():
    units = list(pictures("vp8", 45, group=15))
    way = LivePictures(VideoSettings(), 0)
    coded = []
    for number, unit in enumerate(units):
        if number == 20:
            with pytest.raises(MediaError, match="could not be decoded"):
                way.code(replace(unit, data=b"\0\0\0"), unit.ticks, discontinuity=False)
            assert way.failed
            continue
        coded += way.code(unit, unit.ticks, discontinuity=False)
    assert not way.failed
    assert [one.unit.pts for one in coded] == [number * STEP for number in (*range(20), *range(30, 45))]
    assert way.skipped_units == 9
    assert [one.unit.pts for one in coded if one.unit.discontinuity] == [30 * STEP]


def test_a_header_that_claims_a_picture_of_gigabytes_is_refused_before_any_is_taken():
    """62 kB of VP8 that say 8000x8000 would be decoded into 500 MB, and the encoder would hold many of them."""
    (unit,) = pictures("vp8", 1)
    huge = unit.data[:6] + struct.pack("<HH", 8000, 8000) + unit.data[10:] + bytes(60_000)  # RFC 6386, 9.1
    way = LivePictures(VideoSettings(), 0)
    with pytest.raises(MediaError, match="could not be decoded"):
        way.code(replace(unit, data=huge), 0, discontinuity=False)
    assert way.code(unit, 0, discontinuity=False) + way.flush()


@pytest.mark.parametrize("transcode", [False, True])
def test_parameter_sets_that_lie_end_nothing(tmp_path, transcode):
    units = list(pictures("h264", 45))
    (other,) = pictures("h264", 1, (640, 360))
    slices = [unit.data.index(b"\0\0\1\x65") for unit in (other, units[15])]
    lie = other.data[: slices[0]] + units[15].data[slices[1] :]
    units[15] = replace(units[15], data=lie)
    path = tmp_path / "talk.ts"
    settings = {
        "video": VideoSettings(transcode=transcode),
        "audio": None,
        "sample_interval": 0,
        "flush_log": False,
    }
    with rk.Recorder(path, **settings) as recorder:
        for unit in units:
            recorder.write_unit(unit)
    recording = recorder.stop()
    # Kept as it comes it is there, whatever it is; decoded it is left out with what refers to it.
    assert recording.counters.video_units == (30 if transcode else 45)
    assert rk.verify(path, decode=transcode).ok


def test_the_recorder_says_when_it_needs_an_entry(tmp_path):
    units = list(pictures("vp8", 10, group=100))
    with rk.Recorder(tmp_path / "talk.ts", audio=None, sample_interval=0) as recorder:
        assert all(recorder.write_unit(unit) for unit in units[:5])
        recorder.write_unit(EncodedUnit("vp8", b"\0\0\0", 5 * STEP, is_entry=False))
        recorder.flush()
        assert not recorder.write_unit(units[6])
        assert recorder.write_unit(replace(units[0], ticks=7 * STEP))
        recorder.flush()
        assert recorder.write_unit(replace(units[1], ticks=8 * STEP))
    assert recorder.stop().counters.video_units == 7
    assert recorder.counters.rejected_items == 1


@pytest.mark.parametrize("codec", ["opus", "pcm_mulaw", "pcm_alaw"])
@pytest.mark.parametrize("wanted", ["aac", "opus"])
def test_sound_of_any_coding_becomes_what_is_asked_for(tmp_path, codec, wanted):
    path = tmp_path / "talk.ts"
    settings = AudioSettings(codec=wanted, bit_rate=64_000)
    recording = record(path, [(unit, 0) for unit in sound(codec, 2.0)], video=None, audio=settings)
    decoded(path)
    assert recording.streams[1].codec == wanted
    assert recording.duration_s == pytest.approx(2.0, abs=0.2)  # whole blocks, and priming


def test_a_long_outage_is_believed_at_once(tmp_path):
    path = tmp_path / "talk.ts"
    later = pictures("h264", 20, start=30 * TICKS_PER_SECOND)
    recording = record(path, [(unit, 0) for unit in itertools.chain(pictures("h264", 20), later)], audio=None)
    assert recording.duration_s == pytest.approx(30 + 20 / 30, abs=0.1)
    assert recording.counters.mistimed_items == 0


def test_what_nobody_can_decode_is_an_error_of_our_own():
    with pytest.raises(MediaError, match="could not be decoded"):
        LiveSound(AudioSettings(), 1).code(EncodedUnit("telepathy", b"x", 0, is_entry=True), 0, discontinuity=False)
    with pytest.raises(MediaError, match="without bytes"):
        EncodedUnit("opus", b"", 0, is_entry=True)
    with pytest.raises(MediaError, match="not an Opus packet"):
        LiveSound(AudioSettings(codec="opus"), 1).code(
            EncodedUnit("opus", b"\x03", 0, is_entry=True), 0, discontinuity=False
        )


def test_pictures_before_the_first_entry_are_skipped():
    way = LivePictures(VideoSettings(), 0)
    units = list(pictures("vp8", 30, group=15))
    coded = [one for unit in units[5:] for one in way.code(unit, unit.ticks, discontinuity=False)]
    assert len(coded) == 15
    assert way.skipped_units == 10
    assert np.all(np.diff([one.unit.pts for one in coded]) == STEP)


def test_a_frame_that_cannot_be_repeated_while_it_stands_is_told_once():
    told = []
    way = LivePictures(VideoSettings(), 0, told.append)
    coded = [one for unit in pictures("hevc", 3) for one in way.code(unit, unit.ticks + 1, discontinuity=False)]
    assert len(coded) == 3
    for number in range(1, 4):
        unit = EncodedUnit("hevc", b"", number * TICKS_PER_SECOND, is_entry=False)
        assert way.code(unit, number * TICKS_PER_SECOND, discontinuity=False) == []
    assert len(told) == 1
    assert "cannot be repeated" in told[0]


def test_frames_that_come_later_than_one_was_repeated_in_their_place_keep_their_order():
    way = LivePictures(VideoSettings(), 0)
    units = list(pictures("h264", 20))
    coded = [one for unit in units[:10] for one in way.code(unit, unit.ticks + 1, discontinuity=False)]
    coded += way.fill(TICKS_PER_SECOND)
    # A frame that is shown earlier than the repeated one follows it at once.
    for unit in units[10:]:
        coded += way.code(unit, unit.ticks + 1, discontinuity=False)
    times = [one.unit.dts for one in coded]
    assert len(times) == 21
    assert times == sorted(set(times))
    assert way.end == times[-1]
