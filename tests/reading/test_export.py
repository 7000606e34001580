"""``rk.export``: every unit is the source's, clips begin where they are asked to, and bad input is told."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import recordkit as rk
from recordkit.errors import MediaError
from recordkit.reading.essence import Essence
from recordkit.reading.marking import MarksRead
from recordkit.reading.units import Source
from recordkit.sources.marks import read_frame_number
from recordkit.writer.whole import SUFFIX, WholeFile
from tests.judges import assert_decodes_in_silence, run
from tests.media import coded_packets, make_clip, remuxed
from tests.steering import FaultySystem

OPTIONS = {"g": "30", "bf": "2", "preset": "veryfast"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds with B-frames, a keyframe a second."""
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", seconds=4, options=OPTIONS)


@pytest.fixture(scope="module")
def talk(film: Path) -> Path:
    """The same as a recording, with a mark at about two seconds."""
    path = film.with_name("talk.ts")
    with rk.Recorder(path, sample_interval=0) as recorder, av.open(str(film)) as container:
        for number, packet in enumerate(container.demux()):
            if packet.size:
                recorder.write_packet(packet)
            if number == 150:
                recorder.mark("here")
    return path


@pytest.fixture(scope="module")
def foreign(film: Path) -> Path:
    """A transport stream of ffmpeg's: several frames of audio in a PES packet."""
    path = film.with_name("foreign.ts")
    assert run("ffmpeg", "-v", "error", "-i", film, "-c", "copy", "-muxdelay", "0", path).returncode == 0
    return path


@pytest.mark.parametrize(
    ("coder", "options"), [("libvpx-vp9", {"deadline": "realtime"}), ("libsvtav1", {"preset": "12"})]
)
def test_codings_that_only_mp4_has_a_place_for(coder: str, options: dict[str, str], tmp_path: Path) -> None:
    options = {"g": "30", **options}
    film = make_clip(tmp_path / "film.mp4", video=coder, audio=["libopus"], seconds=2, options=options)
    copy = rk.export(film, tmp_path / "copy.mp4").path
    assert coded_packets(copy, "video") == coded_packets(film, "video")
    clip = rk.export(film, tmp_path / "clip.mp4", start=1.3, end=1.8)
    assert (clip.begins_s, rk.verify(clip.path, decode=True).problems) == (pytest.approx(1.3, abs=0.034), ())
    with pytest.raises(MediaError, match=r"has no place in a transport stream: choose a name that ends in \.mp4"):
        rk.export(film, tmp_path / "copy.ts")
    with pytest.raises(MediaError, match=r"an exact clip of .* cannot be made: leave exact out"):
        rk.export(film, tmp_path / "exact.mp4", start=1.3, exact=True)
    assert names(tmp_path) == ["clip.mp4", "copy.mp4", "film.mp4"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def hashes(path: Path, kind: str) -> list[str]:
    """ffmpeg's hash of every packet, of video without delimiters and parameter sets, which MP4 has elsewhere."""
    filters = ("-bsf:v", "h264_mp4toannexb,filter_units=remove_types=7-9") if kind == "v" else ()
    if kind == "a" and path.suffix == ".ts":
        filters = ("-bsf:a", "aac_adtstoasc")
    done = run(
        "ffmpeg", "-v", "error", "-i", path, "-map", f"0:{kind}", "-c", "copy", *filters, "-f", "framehash", "-"
    )
    assert done.returncode == 0, done.stderr
    return [line.split(",")[5].strip() for line in done.stdout.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("kind", ["film", "talk", "foreign"])
@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_every_unit_is_the_source_s(kind: str, suffix: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    source: Path = request.getfixturevalue(kind)
    before = source.read_bytes()
    made = rk.export(source, tmp_path / f"copy{suffix}")
    assert made.path == tmp_path / f"copy{suffix}"
    assert made.bytes == made.path.stat().st_size
    assert hashes(made.path, "v") == hashes(source, "v")
    assert hashes(made.path, "a") == hashes(source, "a")
    assert made.units == len(hashes(source, "v")) + len(hashes(source, "a"))
    assert rk.verify(made.path, decode=True).ok
    assert_decodes_in_silence(made.path)
    assert abs(made.duration_s - 4) < 0.1
    assert source.read_bytes() == before
    marks = [f"{made.path.name}.marks.jsonl"] if kind == "talk" else []
    assert names(tmp_path) == [made.path.name, *marks]


def test_ffmpeg_s_own_copy_has_the_same_hashes(talk: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.mp4"
    assert run("ffmpeg", "-v", "error", "-i", talk, "-c", "copy", theirs).returncode == 0
    ours = rk.export(talk, tmp_path / "ours.mp4").path
    assert hashes(ours, "v") == hashes(theirs, "v")
    assert hashes(ours, "a") == hashes(theirs, "a")


def test_a_clip_is_shown_exactly(talk: Path, tmp_path: Path) -> None:
    made = rk.export(talk, tmp_path / "clip.mp4", start=1.5, end=3.25)
    assert made.encoded == 0
    with rk.open(talk) as whole:
        begins_s = whole.at(1.5).media_s
        expected = whole.between(begins_s, 3.25)
        images = [frame.frame.to_ndarray() for frame in expected]
    assert (made.begins_s, made.duration_s) == pytest.approx((begins_s, 3.25 - begins_s), abs=1e-4)
    assert rk.verify(made.path).duration_s == pytest.approx(made.duration_s, abs=1e-3)  # hidden frames left out
    with av.open(str(made.path)) as container:
        found = [frame.to_ndarray() for frame in container.decode(video=0)]
        assert container.duration == pytest.approx(made.duration_s * 1e6, abs=100)
    assert len(found) == len(images)
    assert all(np.array_equal(one, two) for one, two in zip(found, images, strict=True))


def test_an_exact_clip_encodes_only_up_to_the_next_keyframe(talk: Path, film: Path, tmp_path: Path) -> None:
    for source, suffix in ((talk, ".mp4"), (talk, ".ts"), (film, ".mp4"), (film, ".ts")):
        made = rk.export(source, tmp_path / f"{source.stem}{suffix}", start=1.5, end=3.25, exact=True)
        assert 13 <= made.encoded <= 16
        assert made.begins_s == pytest.approx(1.5, abs=0.04)
        assert_decodes_in_silence(made.path)
        with rk.open(source) as whole, rk.open(made.path) as clip:
            first = whole.at(1.5).number
            for number in range(0, 50, 7):
                one, two = whole[first + number].image.astype(int), clip[number].image.astype(int)
                off = np.abs(one - two).mean()
                assert off < 8 if number < made.encoded else off == 0, (made.path, number, off)


def test_nothing_is_encoded_where_a_clip_begins_with_a_keyframe(film: Path, tmp_path: Path) -> None:
    made = rk.export(film, tmp_path / "clip.mp4", start=1, exact=True)
    assert made.encoded == 0
    assert made.duration_s == pytest.approx(3, abs=0.03)


def test_a_clip_of_a_transport_stream_begins_with_the_keyframe_before(talk: Path, tmp_path: Path) -> None:
    made = rk.export(talk, tmp_path / "clip.ts", start=1.5)
    assert made.begins_s == pytest.approx(1, abs=0.03)
    assert rk.verify(made.path, decode=True).ok


def test_marks_are_times(talk: Path, tmp_path: Path) -> None:
    at = MarksRead(talk).more()[0].media_s
    made = rk.export(talk, tmp_path / "clip.mp4", start="here", end="3.5")
    with rk.open(talk) as whole:
        assert made.begins_s == pytest.approx(whole.at("here").media_s, abs=1e-4)
    assert at - 0.034 < made.begins_s <= at
    assert made.duration_s == pytest.approx(3.5 - made.begins_s, abs=1e-3)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kind", [".ts", ".mp4"])
@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_marks_come_along_and_are_at_the_same_frames(kind: str, suffix: str, exact: bool, tmp_path: Path) -> None:
    path = tmp_path / f"talk{kind}"
    video = rk.VideoSettings(preset="ultrafast", keyframe_interval=1)
    with rk.Recorder(path, video=video, sample_interval=0) as one:
        for frame in rk.Synthetic(320, 180, fps=25, seconds=4, realtime=False).frames():
            one.write(frame)
            if isinstance(frame, av.VideoFrame) and frame.pts in (5, 40, 41, 60, 90):
                one.mark(f"at {frame.pts}")
    clip = tmp_path / f"talk.clip{suffix}"
    rk.export(path, clip, start="at 41", end="at 90", exact=exact)
    inside = ["at 41", "at 60"] if exact or suffix == ".mp4" else ["at 40", "at 41", "at 60"]
    whole = tmp_path / f"whole{suffix}"
    rk.export(path, whole)
    for copy, expected in ((clip, inside), (whole, ["at 5", "at 40", "at 41", "at 60", "at 90"])):
        with rk.open(copy) as video:
            assert video.marks["name"].tolist() == expected
            frames = [video.at(name) for name in expected]
            assert [f"at {read_frame_number(one.frame)}" for one in frames] == expected
            assert video.marks["media_s"].tolist() == pytest.approx([one.media_s for one in frames], abs=1e-3)
            assert (video.marks["time"].dt.tz_convert("UTC") <= rk.read_flush_log(path).events["time"].max()).all()
        assert rk.read_flush_log(copy).summary() is not None


def test_a_clip_beside_its_original_has_marks_of_its_own(talk: Path, tmp_path: Path) -> None:
    for one in (talk, talk.with_name("talk.flushes.jsonl")):
        (tmp_path / one.name).write_bytes(one.read_bytes())
    copy = rk.export(tmp_path / "talk.ts", tmp_path / "talk.mp4").path
    assert not list(tmp_path.glob("*.marks.jsonl"))  # the log that lies there tells of both
    with rk.open(copy) as video:
        assert len(video.marks) == 1
    copy.unlink()
    rk.export(tmp_path / "talk.ts", copy, end=1)
    with rk.open(copy) as video:
        assert len(video.marks) == 0
    # Of another file that has its name since then it says nothing.
    copy.write_bytes(rk.export(tmp_path / "talk.ts", tmp_path / "other.mp4").path.read_bytes())
    with rk.open(copy) as video:
        assert len(video.marks) == 1


def test_the_audio_alone(talk: Path, film: Path, tmp_path: Path) -> None:
    for source in (talk, film):
        made = rk.export(source, tmp_path / f"{source.stem}.m4a")
        assert hashes(made.path, "a") == hashes(source, "a")
        assert [one.type for one in av.open(str(made.path)).streams] == ["audio"]
        clip = rk.export(source, tmp_path / f"{source.stem}.clip.m4a", start=1, end=2)
        assert clip.duration_s == pytest.approx(1)


def samples(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("s16", "stereo", 48_000)
        frames = [one for frame in container.decode(audio=0) for one in resampler.resample(frame)]
        return np.concatenate([one.to_ndarray().reshape(-1, 2) for one in frames])


def test_the_audio_as_samples_and_in_other_codings(film: Path, talk: Path, tmp_path: Path) -> None:
    expected = samples(film)
    for suffix in (".wav", ".mp3", ".ogg", ".opus"):
        made = rk.export(film, tmp_path / f"film{suffix}")
        assert made.duration_s == pytest.approx(4, abs=0.05)
        assert len(samples(made.path)) == pytest.approx(len(expected), abs=1152 * 3)
    found = samples(tmp_path / "film.wav").astype(int)
    assert len(found) == 4 * 48_000
    assert np.abs(found[:48_000] - expected[:48_000]).max() <= 1
    clip = samples(rk.export(film, tmp_path / "clip.wav", start=1, end=1.5).path).astype(int)
    assert len(clip) == 24_000
    assert np.abs(clip - expected[48_000:72_000]).max() <= 16  # AAC has noise of its own
    again = rk.export(talk, tmp_path / "talk.mp3", start=1, end=2)
    assert again.duration_s == pytest.approx(1, abs=0.05)


def test_audio_that_has_a_place_is_copied(tmp_path: Path) -> None:
    for codec, suffix in (("libmp3lame", ".mp3"), ("libopus", ".ogg")):
        source = make_clip(tmp_path / f"{codec}.mp4", video=None, audio=(codec,), seconds=2)
        made = rk.export(source, tmp_path / f"copy{suffix}")
        assert hashes(made.path, "a") == hashes(source, "a")


def test_what_is_being_recorded_is_exported_as_far_as_it_is_there(tmp_path: Path) -> None:
    for suffix in (".ts", ".mp4"):
        path = tmp_path / f"live{suffix}"
        with rk.Recorder(path, audio=None, sample_interval=0, flush_interval=3600) as recorder:
            for number, frame in enumerate(rk.Synthetic(128, 96, fps=10, seconds=3, audio=False).frames()):
                recorder.write(frame)
                if number == 14:
                    recorder.flush()
            while recorder.counters.video_units < 30:
                threading.Event().wait(0.01)
            made = rk.export(path, tmp_path / f"by now{suffix}.mp4")
            assert made.units == 30
            assert made.duration_s == pytest.approx(3)
        assert rk.verify(path).ok


def test_nothing_is_left_of_an_export_that_fails(
    talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Essence, "first_difference", lambda *_: 7)
    with pytest.raises(rk.MediaError, match="unit 7 of the copy is not the source's"):
        rk.export(talk, tmp_path / "copy.mp4")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("target", "options", "error", "words"),
    [
        ("copy.mkv", {}, rk.OutputNameError, "choose a name that ends in"),
        ("copy.recording.mp4", {}, rk.OutputNameError, "unfinished"),
        ("there.mp4", {}, rk.OutputExistsError, "exists already"),
        ("folder.mp4", {}, rk.OutputNameError, "is a folder"),
        ("copy.mp4", {"start": 7}, rk.SettingsError, "ends at 4.0"),
        ("copy.mp4", {"start": 1, "end": 9}, rk.SettingsError, "ends at 4.0"),
        ("copy.mp4", {"start": 2, "end": 2}, rk.SettingsError, "behind the start"),
        ("copy.mp4", {"start": "nowhere"}, rk.SettingsError, "no such mark: there are 'here'"),
        ("copy.mp4", {"start": -1}, rk.SettingsError, "give seconds"),
    ],
)
def test_bad_input_is_told(
    target: str, options: dict[str, object], error: type[Exception], words: str, talk: Path, tmp_path: Path
) -> None:
    (tmp_path / "there.mp4").write_bytes(b"mine")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(error, match=words):
        rk.export(talk, tmp_path / target, **options)
    assert names(tmp_path) == ["folder.mp4", "there.mp4"]
    assert (tmp_path / "there.mp4").read_bytes() == b"mine"


def test_sources_that_cannot_be_exported_are_told(tmp_path: Path) -> None:
    with pytest.raises(rk.SourceError, match="cannot be opened"):
        rk.export(tmp_path / "none.ts", tmp_path / "a.mp4")
    with pytest.raises(rk.SourceError, match="is a folder"):
        rk.export(tmp_path, tmp_path / "a.mp4")
    with pytest.raises(rk.SourceError, match="is Matroska"):
        rk.export(make_clip(tmp_path / "a.mkv", seconds=1), tmp_path / "a.mp4")
    with pytest.raises(rk.MediaError, match=r"mpeg4 in a\.avi\.mp4 has no place"):
        rk.export(make_clip(tmp_path / "a.avi.mp4", video="mpeg4", seconds=1), tmp_path / "a.mp4")
    with pytest.raises(rk.MediaError, match="has nothing that goes into"):
        rk.export(make_clip(tmp_path / "mute.mp4", audio=(), seconds=1), tmp_path / "a.m4a")
    unknown = make_clip(tmp_path / "unknown.mp4", video=None, seconds=1)
    unknown.write_bytes(unknown.read_bytes().replace(b"mp4a", b"zz-9").replace(b"esds", b"free"))
    with pytest.raises(rk.MediaError, match="has nothing that goes into"):
        rk.export(unknown, tmp_path / "a.mp4")
    assert rk.verify(unknown, decode=True).problems == ()
    assert not (tmp_path / "a.mp4").exists()


def test_two_exports_to_one_name_and_what_a_killed_one_left(talk: Path, tmp_path: Path) -> None:
    left = tmp_path / f"copy.mp4{SUFFIX}"
    left.write_bytes(b"half of it")
    system = FaultySystem()
    with WholeFile(tmp_path / "copy.mp4", system) as file:
        assert left.read_bytes() == b""
        file.write(b"new")
        with pytest.raises(rk.OutputBusyError, match="is being exported right now"):
            rk.export(talk, tmp_path / "copy.mp4")
    assert names(tmp_path) == []
    assert rk.export(talk, tmp_path / "copy.mp4").bytes > 0


@pytest.mark.parametrize("call", ["write", "sync", "rename", "sync_folder"])
def test_a_call_that_fails_leaves_no_file_with_the_final_name(call: str, tmp_path: Path) -> None:
    system = FaultySystem()
    system.fail(call, 1, 5)

    def make() -> None:
        with WholeFile(tmp_path / "copy.mp4", system) as file:
            file.write(b"bytes")
            file.commit()

    with pytest.raises(rk.WriteError, match="failed at byte"):
        make()
    assert not list(tmp_path.glob(f"*{SUFFIX}"))
    assert (tmp_path / "copy.mp4").exists() == (call == "sync_folder")


def test_a_name_that_is_taken_meanwhile_stays_with_its_owner(tmp_path: Path) -> None:
    system = FaultySystem()
    system.do("sync", 1, lambda: (tmp_path / "a.mp4").write_bytes(b"mine") and None)
    with WholeFile(tmp_path / "a.mp4", system) as file, pytest.raises(rk.OutputExistsError, match="meanwhile"):
        file.commit()
    assert (tmp_path / "a.mp4").read_bytes() == b"mine"
    assert names(tmp_path) == ["a.mp4"]


def test_a_long_time_scale_of_audio_stays_exact(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4", video=None, seconds=3, sample_rate=44_100)
    made = rk.export(tmp_path / "a.mp4", tmp_path / "b.mp4")
    with av.open(str(tmp_path / "a.mp4")) as one, av.open(str(made.path)) as two:
        times = [[packet.pts for packet in each.demux() if packet.size] for each in (one, two)]
        assert times[0] == times[1]
        assert one.streams.audio[0].time_base == two.streams.audio[0].time_base


def test_audio_frames_of_one_packet_are_at_their_times_where_they_are_no_whole_ticks(tmp_path: Path) -> None:
    film, clip = make_clip(tmp_path / "a.mp4", seconds=4, sample_rate=44_100), tmp_path / "b.mp4"
    source = remuxed(film, tmp_path / "a.ts", options={"max_delay": "700000"})
    with rk.open(source) as video:
        coded = [one.pts for one in video._track.coded_audio(0, 1 << 33)]
    units = [coded.unit for coded in Source(source).units() if not coded.format.codec.is_video]
    step = units[0].duration
    for times in (coded, [unit.pts for unit in units]):
        assert len(times) > 100
        assert max(np.abs(np.diff(times) - step)) <= 1
    assert rk.export(source, clip, start=1.1).begins_s == pytest.approx(1.1, abs=0.04)


def test_a_clip_that_begins_in_a_gap_of_audio_has_what_follows_at_its_time(tmp_path: Path) -> None:
    def has_a_gap(packet: av.Packet[Any]) -> bool:
        return packet.stream.type == "video" or not 1.5 <= (packet.pts or 0) * packet.time_base < 3

    whole, clip = make_clip(tmp_path / "a.mp4", seconds=5), tmp_path / "clip.mp4"
    film = remuxed(whole, tmp_path / "film.mp4", has_a_gap)
    begins_s = rk.export(film, clip, start=2.0).begins_s
    with rk.open(film) as video, rk.open(clip) as cut:
        (heard, _), (samples, rate) = video.audio(begins_s), cut.audio()
    first, wanted = (int(np.flatnonzero(np.abs(one[:, 0]) > 0.05)[0]) for one in (samples, heard))
    assert wanted > rate * 0.9
    assert first == pytest.approx(wanted, abs=rate / 100)


def test_in_the_copy_of_a_clip_audio_is_where_the_clip_has_it(film: Path, tmp_path: Path) -> None:
    clip = rk.export(film, tmp_path / "clip.mp4", start=1).path
    with rk.open(clip) as one, rk.open(rk.export(clip, tmp_path / "copy.mp4").path) as other:
        (mine, rate), (its, _) = one.audio(), other.audio()
        assert one[0].media_s == other[0].media_s
        np.testing.assert_allclose(its[rate // 10 : rate * 2], mine[rate // 10 : rate * 2], atol=0.01)


def test_of_audio_at_a_low_rate_the_first_frame_is_whole(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", seconds=1, sample_rate=8000)
    with rk.open(source) as one, rk.open(rk.export(source, tmp_path / "b.mp4").path) as other:
        np.testing.assert_allclose(other.audio()[0][:1024], one.audio()[0][:1024], atol=0.01)
