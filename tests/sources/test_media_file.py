"""Files of all kinds through the one write path: what can be is passed through untouched."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import threading
from fractions import Fraction
from pathlib import Path

import av
import pytest

from recordkit.errors import MediaError, SourceError
from recordkit.model import Codec
from recordkit.recorder.record import record
from recordkit.recorder.recorder import Recorder
from recordkit.recorder.result import Recording
from recordkit.settings import VideoSettings
from recordkit.sources import connection
from recordkit.sources.media_file import MediaFile
from recordkit.sources.readback import read_back
from recordkit.sources.synthetic import Synthetic
from recordkit.verification.verify import verify
from tests.judges import run
from tests.media import coded_packets, make_clip, pictures, turn
from tests.steering import GUARD_S

FAST = VideoSettings(preset="ultrafast")


def recorded(clip: Path, tmp_path: Path, **settings: object) -> Recording:
    media = MediaFile(url=str(clip), **settings)  # type: ignore[arg-type]
    recording = record(media, tmp_path / "out.ts", video=FAST)
    assert recording.path is not None
    found = verify(recording.path, decode=True)
    assert found.ok, found.problems
    return recording


def test_h264_and_aac_of_an_mp4_are_passed_through_untouched(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", options={"bf": "3"})
    recording = recorded(clip, tmp_path)
    assert recording.path is not None
    assert pictures(recording.path) == pictures(clip)
    # ADTS puts seven bytes before each frame; the frames themselves are the same.
    assert [packet[7:] for packet in coded_packets(recording.path, "audio")] == coded_packets(clip, "audio")
    back = read_back(recording.path)
    assert (back.frames, back.lost, back.out_of_order) == (60, 0, 0)
    assert abs(back.sync_worst_s or 1) < 0.005


def test_matroska_without_decoding_times_loses_no_picture(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", audio=["libopus"], options={"bf": "4"})
    recording = recorded(clip, tmp_path)
    assert recording.path is not None
    assert pictures(recording.path) == pictures(clip)
    assert recording.streams[1].codec is Codec.OPUS
    assert recording.counters.late_items == 0


def test_aac_without_a_header_is_decoded_and_packets_that_share_a_time_follow_each_other(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.rm", video=None, audio=["aac"])  # many packets at one time
    recording = recorded(clip, tmp_path)
    assert recording.duration_s == pytest.approx(2, abs=0.1)
    assert recording.counters.late_items == 0


def late_audio(path: Path, *, late_s: int, seconds: int, fps: int = 5) -> Path:
    """A transport stream of which the audio begins late; FFmpeg's muxer times one packet of several."""
    media = list(Synthetic(width=64, height=48, fps=Fraction(fps), seconds=seconds).frames())
    with av.open(str(path), "w", options={"max_delay": "700000"}) as container:  # as ffmpeg has it
        pictures, sound = container.add_stream("libx264", rate=fps), container.add_stream("aac", rate=48_000)
        pictures.width, pictures.height, pictures.pix_fmt, sound.layout = 64, 48, "yuv420p", "stereo"
        pictures.options, sound.bit_rate = {"tune": "zerolatency"}, 16_000
        for frame in media:
            if isinstance(frame, av.VideoFrame):
                container.mux(pictures.encode(frame.reformat(format="yuv420p")))
            elif float(frame.pts * frame.time_base) >= late_s:
                container.mux(sound.encode(frame))
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))
    return path


def test_packets_of_late_audio_follow_each_other(tmp_path: Path) -> None:
    # Seven seconds are analysed: of what comes later neither rate nor length of a packet is known.
    recording = recorded(late_audio(tmp_path / "late.ts", late_s=9, seconds=12), tmp_path)
    assert recording.duration_s == pytest.approx(12, abs=0.1)
    assert recording.counters.audio_units == 142
    assert (recording.counters.restarts, recording.counters.late_items) == (0, 0)


def test_a_live_source_is_looked_at_for_a_moment_and_nothing_of_that_is_lost(tmp_path: Path) -> None:
    film = late_audio(tmp_path / "late.ts", late_s=9, seconds=10, fps=25)
    data, ticks = film.read_bytes(), 200
    sent: list[int] = []

    def send(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            for tick in range(ticks):
                if tick == ticks // 2 - 1:
                    begun.wait(GUARD_S)
                connection.sendall(data[len(data) * tick // ticks : len(data) * (tick + 1) // ticks])
                sent.append(tick)
                left.wait(10 / ticks)

    left, begun, opened = threading.Event(), threading.Event(), list[int]()
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = threading.Thread(target=send, args=(server,))
        sender.start()
        recording = record(
            f"tcp://127.0.0.1:{server.getsockname()[1]}",
            tmp_path / "out.ts",
            seconds=2,
            on_start=lambda _: (opened.append(len(sent)), begun.set()),
        )
        left.set()
        sender.join()
    assert opened[0] < ticks // 2  # less than five seconds of media
    assert recording.path is not None
    assert pictures(recording.path)[:25] == pictures(film)[:25]


def test_a_rate_that_no_film_has_is_no_reason_to_refuse_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "clip.mkv", video="mpeg4", audio=[], seconds=0.5)
    monkeypatch.setattr(connection, "_HIGHEST_RATE", 20)
    assert recorded(clip, tmp_path).counters.video_units == 15


def test_a_film_in_asf_keeps_the_frames_that_have_no_time_of_their_own(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.asf", video="mpeg2video", audio=["aac"])
    recording = recorded(clip, tmp_path)
    assert (recording.counters.video_units, recording.counters.late_items) == (60, 0)


@pytest.mark.parametrize("codec", ["libmp3lame", "aac", "libopus"])
def test_sound_alone_is_passed_through(codec: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", video=None, audio=[codec])
    recording = recorded(clip, tmp_path)
    assert list(recording.streams) == [1]
    assert recording.counters.audio_units == len(coded_packets(clip, "audio"))


def test_a_transport_stream_is_passed_through(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts")
    recording = recorded(clip, tmp_path)
    assert recording.path is not None
    assert pictures(recording.path) == pictures(clip)
    assert coded_packets(recording.path, "audio") == coded_packets(clip, "audio")


def test_h265_is_passed_through(tmp_path: Path) -> None:
    if "libx265" not in av.codecs_available:
        pytest.skip("this PyAV has no libx265 to make H.265 with")
    clip = make_clip(tmp_path / "clip.mp4", video="libx265", options={"x265-params": "log-level=none"}, seconds=1)
    recording = recorded(clip, tmp_path)
    assert recording.path is not None
    assert recording.streams[0].codec is Codec.H265
    assert (recording.streams[0].width, recording.streams[0].height) == (160, 120)
    assert pictures(recording.path) == pictures(clip)


@pytest.mark.parametrize(
    ("name", "video", "audio"),
    [
        ("clip.webm", "libvpx", ["libopus"]),
        ("clip.mkv", "ffv1", ["flac"]),
        ("clip.avi", "mpeg4", ["pcm_s16le"]),
        ("clip.mkv", "mjpeg", ["pcm_s16le"]),
    ],
)
def test_what_has_no_place_in_a_transport_stream_is_encoded(
    name: str, video: str, audio: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixel_format = "yuvj420p" if video == "mjpeg" else "yuv420p"
    clip = make_clip(tmp_path / name, video=video, audio=audio, pixel_format=pixel_format)
    with caplog.at_level(logging.INFO, "recordkit"):
        recording = recorded(clip, tmp_path)
    assert "encoded anew: recordkit does not carry it as it is" in caplog.text
    assert recording.path is not None
    back = read_back(recording.path)
    assert (back.frames, back.lost, back.repeated, back.out_of_order, back.unreadable) == (60, 0, 0, 0, 0)
    assert abs(back.sync_worst_s or 1) < 0.005


def test_encoding_can_be_forced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    with caplog.at_level(logging.INFO, "recordkit"):
        recording = recorded(clip, tmp_path, transcode=True, transcode_audio=True)
    assert caplog.text.count("encoded anew, as asked") == 2
    assert recording.path is not None
    back = read_back(recording.path)
    assert (back.frames, back.lost) == (60, 0)


@pytest.mark.parametrize(("fps", "count"), [(Fraction(15), 30), (Fraction(60), 120)])
def test_a_frame_rate_can_be_asked_for(fps: Fraction, count: int, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", audio=[])
    recording = recorded(clip, tmp_path, fps=fps)
    assert recording.counters.video_units in (count - 1, count, count + 1)


def test_several_sounds_keep_their_languages(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", audio=["aac", "flac"], languages=["deu", "eng"])
    recording = recorded(clip, tmp_path)
    assert [recording.streams[index].language for index in (1, 2)] == ["deu", "eng"]
    assert recording.path is not None
    assert [stream.language for stream in verify(recording.path).streams] == [None, "deu", "eng"]


def test_sound_of_six_channels_that_is_encoded_keeps_them(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", video=None, audio=["flac"], channels=6, sample_rate=44_100)
    recording = recorded(clip, tmp_path)
    assert (recording.streams[1].channels, recording.streams[1].sample_rate) == (6, 44_100)


def test_streams_can_be_left_out(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    assert list(recorded(clip, tmp_path, audio=False).streams) == [0]
    (tmp_path / "out.ts").unlink()
    assert list(recorded(clip, tmp_path, video=False).streams) == [1]


def test_damaged_packets_are_left_out_and_the_rest_is_recorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip(tmp_path / "clip.avi", video="mpeg4", audio=[])
    data = bytearray(clip.read_bytes())
    for at in range(len(data) // 3, len(data) // 3 + 3000):
        data[at] = 0xA5
    clip.write_bytes(data)
    with caplog.at_level(logging.WARNING, "recordkit"):
        recording = record(MediaFile(url=str(clip)), tmp_path / "out.ts", video=FAST)
    assert 0 < recording.counters.video_units <= 60
    assert recording.path is not None
    assert verify(recording.path, decode=True).ok


def test_what_cannot_be_opened_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    text = tmp_path / "notes.bin"
    text.write_bytes(bytes(5000))
    for url in (tmp_path / "missing.mp4", text, tmp_path):
        with pytest.raises(SourceError) as caught:
            record(MediaFile(url=str(url)), tmp_path / "out.ts")
        assert caught.value.source == str(url)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.bin"]


def test_a_file_without_what_was_asked_for_says_so(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", audio=[], seconds=0.5)
    with pytest.raises(SourceError, match="neither video nor audio"):
        record(MediaFile(url=str(clip), video=False), tmp_path / "out.ts")


def test_a_device_of_libavformat_is_recorded(tmp_path: Path) -> None:
    media = MediaFile(url="testsrc2=size=160x120:rate=25", format="lavfi")
    recording = record(media, tmp_path / "out.ts", seconds=2, video=FAST)
    assert recording.counters.video_units == 50


@pytest.mark.parametrize("settings", [{}, {"transcode": True}, {"fps": Fraction(30)}])
def test_reordered_pictures_without_display_times_come_out_in_order(
    settings: dict[str, object], tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "clip.avi", audio=["libmp3lame"], options={"bf": "2"})
    recording = recorded(clip, tmp_path, **settings)
    assert recording.path is not None
    back = read_back(recording.path)
    assert (back.lost, back.repeated, back.out_of_order, back.unreadable) == (0, 0, 0, 0)
    assert back.frames >= 59


def test_seconds_hold_for_each_stream_that_is_passed_through(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", audio=["aac", "aac"], seconds=4)
    recording = record(MediaFile(url=str(clip)), tmp_path / "out.ts", seconds=2)
    assert recording.path is not None
    for stream in verify(recording.path).streams:
        assert stream.duration_s == pytest.approx(2, abs=0.15)  # pictures are cut by DTS


def test_pixels_that_are_not_square_stay_so(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(64, 45)
        for frame in Synthetic(width=160, height=120, seconds=1, audio=False).frames():
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    recording = recorded(clip, tmp_path, transcode=True)
    assert recording.path is not None
    with av.open(str(recording.path)) as container:
        assert container.streams.video[0].codec_context.sample_aspect_ratio == Fraction(64, 45)


def test_of_very_many_sounds_the_first_sixteen_are_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = make_clip(tmp_path / "clip.mkv", video=None, audio=["flac"] * 18, seconds=0.5)
    recording = recorded(clip, tmp_path)
    assert len(recording.streams) == 16
    assert "of 18 audio streams the first 16 are taken" in caplog.text


@pytest.mark.parametrize(
    ("coder", "codec", "suffix"),
    [
        ("ac3", Codec.AC3, "mp4"),
        ("eac3", Codec.EAC3, "mkv"),
        ("mp2", Codec.MP2, "ts"),
        ("ac3", Codec.AC3, "ts"),
        ("eac3", Codec.EAC3, "ts"),
    ],
)
def test_audio_of_broadcasts_is_passed_through(coder: str, codec: Codec, suffix: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / f"clip.{suffix}", audio=[coder], languages=["deu"])
    recording = recorded(clip, tmp_path)
    assert recording.path is not None
    assert coded_packets(recording.path, "audio") == coded_packets(clip, "audio")
    with av.open(str(recording.path)) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.codec.canonical_name == codec
        assert stream.language == "deu"
    (found,) = (one for one in verify(recording.path).streams if one.codec not in ("h264",))
    assert (found.codec, found.sample_rate, found.channels) == (codec, 48_000, 2)
    assert found.access_units == len(coded_packets(clip, "audio"))


def test_ac3_of_six_channels_keeps_them(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", video=None, audio=["ac3"], channels=6, seconds=1)
    recording = recorded(clip, tmp_path)
    assert recording.path is not None
    with av.open(str(recording.path)) as container:
        assert {frame.layout.nb_channels for frame in container.decode(audio=0)} == {6}


@pytest.mark.parametrize(("coder", "codec"), [("ac3", Codec.AC3), ("eac3", Codec.EAC3), ("mp2", Codec.MP2)])
def test_audio_of_broadcasts_has_its_place_in_an_mp4_too(coder: str, codec: Codec, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", audio=[coder], seconds=1)
    recording = record(MediaFile(url=str(clip)), tmp_path / "out.mp4")
    assert recording.path is not None
    assert recording.streams[1].codec is codec
    assert coded_packets(recording.path, "audio") == coded_packets(clip, "audio")
    assert verify(recording.path, decode=True).ok


OPEN = {
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "av1": ("libsvtav1", {"preset": "12", "svtav1-params": "lp=1"}),
}


@pytest.mark.parametrize("name", OPEN)
def test_what_transport_streams_have_no_place_for_is_passed_through_into_an_mp4(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    coder, options = OPEN[name]
    clip = make_clip(tmp_path / "clip.mkv", video=coder, audio=["flac"], seconds=1, options=options)
    recording = record(MediaFile(url=str(clip)), tmp_path / "out.mp4")
    assert recording.path is not None
    for kind in ("video", "audio"):
        assert coded_packets(recording.path, kind) == coded_packets(clip, kind)
    found = verify(recording.path, decode=True)
    assert found.problems == ()
    assert [(one.codec, one.frames, one.decoded) for one in found.streams] == [
        (name, 30, 30),
        ("flac", 0, 48_000),
    ]
    assert [(size.width, size.height) for size in found.streams[0].sizes] == [(160, 120)]
    with caplog.at_level(logging.INFO, "recordkit"):
        anew = record(MediaFile(url=str(clip)), tmp_path / "out.ts")
    assert anew.streams[0].codec is Codec.H264
    assert "encoded anew: the recording has no place for it (an .mp4 has)" in caplog.text


def test_a_packet_that_the_container_has_no_place_for_is_refused_with_the_one_that_has(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", video=None, audio=["flac"], seconds=0.2)
    with (
        Recorder(tmp_path / "out.ts", video=None, sample_interval=0) as recorder,
        av.open(str(clip)) as container,
        pytest.raises(MediaError, match=r"flac has no place in such a file: decode it, or record to \.mp4"),
    ):
        recorder.write_packet(next(container.demux()))


@pytest.mark.judge
@pytest.mark.parametrize("why", ["turned", "squeezed"])
def test_what_vp9_cannot_say_of_itself_is_encoded_anew(why: str, tmp_path: Path) -> None:
    coder, options = OPEN["vp9"]
    clip = make_clip(tmp_path / "clip.mp4", video=coder, audio=[], seconds=1, options=options)
    given = tmp_path / "given.mp4"
    made = run(
        "ffmpeg", "-v", "error", "-i", clip, "-c", "copy", *(("-aspect", "3:1") if why == "squeezed" else ()), given
    )
    assert made.returncode == 0, made.stderr
    if why == "turned":
        turn(given)
    recording = record(MediaFile(url=str(given)), tmp_path / "out.mp4")
    assert recording.streams[0].codec is Codec.H264


@pytest.mark.judge
@pytest.mark.parametrize("suffix", ["ts", "mp4"])
@pytest.mark.parametrize("given", ["mkv", "ts"])
def test_dts_is_passed_through(given: str, suffix: str, tmp_path: Path) -> None:
    # There is no encoder of it in PyAV.
    clip = tmp_path / f"clip.{given}"
    way = "-f lavfi -i anoisesrc=d=0.5:r=48000:a=0.1 -ac 2 -c:a dca -strict -2 -metadata:s:a language=deu"
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *way.split(), str(clip)], check=True)
    recording = record(MediaFile(url=str(clip)), tmp_path / f"out.{suffix}")
    assert recording.path is not None
    assert coded_packets(recording.path, "audio") == coded_packets(clip, "audio")
    with av.open(str(recording.path)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.codec.canonical_name, stream.language) == ("dts", "deu")
        assert stream.codec_context.layout.nb_channels == 2
    (found,) = verify(recording.path, decode=True).streams
    assert (found.codec, found.sample_rate, found.channels) == ("dts", 48_000, 2)
    assert found.access_units == len(coded_packets(clip, "audio"))


@pytest.mark.judge
def test_dts_of_another_order_of_bytes_is_decoded(tmp_path: Path) -> None:
    raw = subprocess.run(
        [
            "ffmpeg",
            "-nostdin",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "anoisesrc=d=0.5:r=48000",
            "-ac",
            "2",
            "-c:a",
            "dca",
            "-strict",
            "-2",
            "-f",
            "dts",
            "-",
        ],
        capture_output=True,
        check=True,
    ).stdout
    turned = bytearray(len(raw))
    turned[::2], turned[1::2] = raw[1::2], raw[::2]
    (tmp_path / "turned.dts").write_bytes(turned)
    recording = record(MediaFile(url=str(tmp_path / "turned.dts")), tmp_path / "out.ts")
    assert recording.streams[1].codec is Codec.AAC
