"""Which streams of a source are recorded, and that the log names all others."""

from __future__ import annotations

import logging
import re
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from recordkit.errors import SourceError
from recordkit.model import EventKind
from recordkit.reading.export import export
from recordkit.reading.opening import open as open_video
from recordkit.recorder.record import record
from recordkit.recorder.result import Recording
from recordkit.sources.media_file import MediaFile
from recordkit.verification.verify import verify
from tests.media import make_clip

PICTURE = "-f lavfi -i testsrc2=size={}:rate=25:duration=1"
TONE = "-f lavfi -i sine=frequency={}:sample_rate=48000:duration=1"


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *" ".join(arguments).split()], check=True)


@pytest.fixture(scope="module")
def multiplex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two programs of video and audio, and a radio program: streams 0 and 1, 2 and 3, 4."""
    path = tmp_path_factory.mktemp("multiplex") / "multiplex.ts"
    inputs = [
        PICTURE.format("160x96"),
        TONE.format(440),
        PICTURE.format("320x180"),
        TONE.format(880),
        TONE.format(660),
    ]
    ffmpeg(
        *inputs,
        "-map 0 -map 1 -map 2 -map 3 -map 4 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -c:a aac",
        "-metadata:s:1 language=eng -metadata:s:3 language=deu",
        "-program program_num=1:st=0:st=1 -program program_num=2:st=2:st=3 -program program_num=3:st=4",
        "-f mpegts",
        str(path),
    )
    return path


def recorded(source: Path, folder: Path, **settings: object) -> Recording:
    return record(MediaFile(url=str(source), **settings), folder / "out.ts")  # type: ignore[arg-type]


def test_one_program_is_recorded_that_of_the_largest_video(
    multiplex: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording = recorded(multiplex, tmp_path)
    assert [(one.width, one.language) for one in recording.streams.values()] == [(320, None), (0, "deu")]
    assert "of 3 programs number 2 is recorded" in caplog.text
    for number in (0, 1, 4):
        assert f"stream {number} " in caplog.text
    assert caplog.text.count("it belongs to another program") == 3


def test_what_is_recorded_is_what_is_opened(
    multiplex: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one_program = tmp_path / "two.ts"
    ffmpeg(
        *(PICTURE.format(size) for size in ("160x96", "320x180")),
        f"-map 0 -map 1 -c:v libx264 -preset ultrafast -g 25 {one_program}",
    )
    for path, names in ((multiplex, "stream 0 .*is not shown"), (one_program, "stream 0 .*is not shown")):
        recording = record(path, tmp_path / f"of_{path.name}")
        caplog.clear()
        with open_video(path) as video, open_video(recording) as copy:
            assert re.search(names, caplog.text)
            assert video.size == copy.size == (320, 180)
            assert len(video) == len(copy) == 25
            (heard, rate), (recorded_, _) = video.audio(0.3, 0.8), copy.audio(0.3, 0.8)
        if rate:
            tones = [np.abs(np.fft.rfft(one[:, 0])).argmax() / 0.5 for one in (heard, recorded_)]
            assert tones == pytest.approx([880, 880], abs=4)


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_of_programs_with_clocks_of_their_own_one_is_shown_and_exported(
    suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "apart.ts"
    later = [f"-itsoffset 300 {one}" for one in (PICTURE.format("320x180"), TONE.format(880))]
    ffmpeg(
        *(PICTURE.format("160x96"), TONE.format(440), *later),
        "-map 0 -map 1 -map 2 -map 3 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -c:a aac",
        "-program program_num=1:st=0:st=1 -program program_num=2:st=2:st=3 -max_interleave_delta 1 -f mpegts",
        str(path),
    )
    with open_video(path) as video:
        assert (video.size, len(video)) == ((320, 180), 25)
        assert video.duration_s == pytest.approx(1, abs=0.1)
        assert len(video.audio()[0]) == pytest.approx(48_000, abs=4_800)
    exported = export(path, tmp_path / f"copy{suffix}")
    assert exported.duration_s == pytest.approx(1, abs=0.1)
    assert caplog.text.count("is left out: it belongs to another program") == 2
    with av.open(exported.path) as copy:
        assert [stream.type for stream in copy.streams] == ["video", "audio"]
        assert copy.streams.video[0].width == 320


@pytest.mark.parametrize(("program", "width", "sounds"), [(1, 160, 1), (2, 320, 1), (3, None, 1)])
def test_a_program_can_be_asked_for(
    program: int, width: int | None, sounds: int, multiplex: Path, tmp_path: Path
) -> None:
    streams = recorded(multiplex, tmp_path, program=program).streams
    assert [one.width for one in streams.values() if one.width] == ([] if width is None else [width])
    assert sum(not one.codec.is_video for one in streams.values()) == sounds


def test_a_program_that_is_not_there_is_told(multiplex: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has 3 programs: there is no program 4"):
        recorded(multiplex, tmp_path, program=4)


def test_a_multiplex_lasts_as_long_as_its_longest_program(multiplex: Path) -> None:
    assert verify(multiplex).duration_s == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("audio", "languages"), [("en", ["eng"]), ("deu,eng", ["deu", "eng"]), ("2", ["eng"])])
def test_audio_can_be_asked_for_by_language_or_number(audio: str, languages: list[str], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", audio=["aac"] * 3, languages=["deu", "eng", "fra"], seconds=0.5)
    recording = recorded(clip, tmp_path, audio=audio)
    assert [one.language for one in recording.streams.values() if not one.codec.is_video] == languages


def test_audio_that_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", audio=["aac"], languages=["deu"], seconds=0.5)
    with pytest.raises(SourceError, match=r"has no audio stream 'fra': there is 1 \(deu\)"):
        recorded(clip, tmp_path, audio="fra")


def test_subtitles_and_a_second_video_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n", "utf-8")
    ffmpeg(
        PICTURE.format("160x96"),
        PICTURE.format("80x48"),
        f"-i {tmp_path}/words.srt -map 0 -map 1 -map 2 -c:v libx264 -pix_fmt yuv420p -c:s mov_text",
        f"{tmp_path}/clip.mp4",
    )
    recording = recorded(tmp_path / "clip.mp4", tmp_path)
    assert list(recording.streams) == [0]
    assert "stream 1 (h264) is not recorded: a recording has one video stream, and another is larger" in caplog.text
    assert "stream 2 (mov_text) is not recorded: video and audio alone are" in caplog.text


def test_what_was_not_asked_for_is_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = make_clip(tmp_path / "clip.mkv", seconds=0.5)
    with caplog.at_level(logging.INFO, "recordkit"):
        recorded(clip, tmp_path, audio=False)
    lines = [one for one in caplog.records if "it was not asked for" in one.getMessage()]
    assert [one.levelno for one in lines] == [logging.INFO]


def test_a_coding_that_nobody_knows_is_left_out_and_the_recording_says_so(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", audio=["pcm_s16le"])
    clip.write_bytes(clip.read_bytes().replace(b"A_PCM/INT/LIT", b"A_XYZ/INT/LIT"))
    recording = recorded(clip, tmp_path)
    assert recording.counters.video_units == 60
    told = [one.fields["because"] for one in recording.log.contents.events if one.kind is EventKind.DEGRADED]
    assert told == ["stream 1 (audio) is left out: its coding is not known"]


@pytest.mark.parametrize("language", ["en", "en-GB", "german"])
def test_a_language_of_another_form_ends_nothing(language: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", languages=[language], seconds=0.5)
    recording = recorded(clip, tmp_path)
    assert recording.streams[1].language == (None if language == "german" else "eng")


def test_of_two_videos_of_one_size_that_which_has_frames_is_recorded(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", audio=[], seconds=0.5)
    with av.open(str(clip)) as source, av.open(str(tmp_path / "variants.mkv"), "w") as target:
        template = source.streams.video[0]
        empty, full = (target.add_stream_from_template(template) for _ in range(2))
        for packet in source.demux(template):
            if packet.size:
                packet.stream = full
                target.mux(packet)
        assert empty.index < full.index
    recording = recorded(tmp_path / "variants.mkv", tmp_path)
    assert recording.counters.video_units == 15
