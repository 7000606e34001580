"""What ffprobe prints, as values."""

from fractions import Fraction

import pytest

from .probing import Stream, complaints, look, parsed, probe

SAID = """\
packet|stream_index=1|pts_time=0.000000|dts_time=0.000000|duration_time=0.500000|flags=K_
packet|stream_index=0|pts_time=-0.040000|dts_time=-0.080000|duration_time=0.040000|flags=KD
packet|stream_index=0|pts_time=0.000000|dts_time=-0.040000|duration_time=0.040000|flags=K_
packet|stream_index=0|pts_time=0.080000|dts_time=0.000000|duration_time=0.040000|flags=__
packet|stream_index=0|pts_time=0.040000|dts_time=0.000000|duration_time=0.040000|flags=__
packet|stream_index=0|pts_time=N/A|dts_time=N/A|duration_time=0.040000|flags=__|side_data|
program|program_id=7|stream|index=0|codec_name=h264|stream|index=1|codec_name=aac
stream|index=0|codec_name=h264|codec_type=video|width=160|height=120|sample_aspect_ratio=4:3|nb_read_frames=3
stream|index=1|codec_name=aac|codec_type=audio|sample_rate=48000|channels=2|nb_read_frames=1|nb_read_packets=1
stream|index=2|codec_name=png|codec_type=video|nb_read_frames=1|disposition:attached_pic=1
stream|index=3|codec_name=dvb_teletext|codec_type=subtitle|nb_read_frames=N/A
format|format_name=mpegts
"""


def test_packets_and_streams_are_counted():
    found = parsed(SAID, "")
    assert found.container == "mpegts"
    assert found.programs == (frozenset({0, 1}),)
    video, audio, *_ = found.streams
    assert (video.codec, video.packets, video.frames, video.pixel_aspect) == ("h264", 5, 3, Fraction(4, 3))
    assert (audio.codec, audio.channels, audio.sample_rate) == ("aac", 2, 48_000)
    assert [one.codec for one in found.of_kind("video")] == ["h264"]  # the cover is none of them


def test_video_lasts_until_its_last_frame_begins_and_audio_until_it_ends():
    video, audio, *others = parsed(SAID, "").streams
    assert video.span_s == pytest.approx(0.08)  # what an edit list hides is not counted
    assert video.untimed_s == pytest.approx(0.04)
    assert audio.span_s == pytest.approx(0.5)
    assert [one.span_s for one in others] == [None, None]
    assert video.unordered == 1


def test_complaints_are_told_once_and_without_addresses():
    said = (
        "[h264 @ 0x55aa] no frame!\n[h264 @ 0x77bb] no frame!\n\n    Last message repeated 3 times\nend of file\n"
    )
    assert complaints(said) == ("h264: no frame!", "end of file")


@pytest.mark.judge
def test_what_is_no_media_has_no_streams(tmp_path):
    path = tmp_path / "text.ts"
    path.write_text("no media at all\n" * 100)
    found = probe(path, 30)
    assert found is not None
    assert not found.streams
    assert look(path, 0, 30) is None
    assert probe(path, 0.001) is None


def test_frames_that_are_hidden_are_not_shown_although_a_decoder_gives_them() -> None:
    stream = Stream(0, "video", "av1", packets=30, hidden=8, frames=30)
    assert (stream.shown, stream.has_hidden_frames) == (22, True)
    stream = Stream(0, "video", "h264", packets=30, hidden=8, frames=22)
    assert (stream.shown, stream.has_hidden_frames) == (22, False)
    assert Stream(0, "video", "h264", packets=30, frames=30).shown == 30
