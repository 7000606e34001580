"""Each frame by its number and by its time: of recordings, of other people's files, while it is being written."""

import json
import random
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import recordkit as rk
from recordkit.errors import MediaError, SourceError
from recordkit.mpegts.laying import PacketBuffer
from recordkit.mpegts.packetiser import Packetiser
from recordkit.reading.store import FileStore
from recordkit.reading.units import Source
from recordkit.sources.marks import find_beeps, read_frame_number
from recordkit.system import System
from recordkit.telemetry.table import FrameTable, table_path
from tests.media import make_clip, remuxed
from tests.steering import GUARD_S

SMALL = {"width": 320, "height": 180, "realtime": False}
FRAMES = 180


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("reading") / "talk.ts"
    rk.record(rk.Synthetic(**SMALL, seconds=FRAMES / 30), path)
    return path


def number(frame):
    return read_frame_number(frame.frame)


def test_each_frame_in_order_backwards_and_in_any_order(video):
    assert len(video) == FRAMES
    assert [number(frame) for frame in video] == list(range(FRAMES))
    assert [number(frame) for frame in reversed(video)] == list(range(FRAMES))[::-1]
    asked = random.Random(1).choices(range(FRAMES), k=60)
    assert [number(video[one]) for one in asked] == asked
    assert [number(frame) for frame in video[100:20:-7]] == list(range(100, 20, -7))
    assert number(video[-1]) == FRAMES - 1


def test_frames_on_the_way_are_let_go_unless_somebody_goes_back(video):
    assert number(video[40]) == 40
    assert min(video._decoder._kept) == 40
    assert number(video[39]) == 39
    assert {0, 20, 39, 40} <= set(video._decoder._kept)
    begun = video._decoder._begin
    video._decoder._begin = None
    assert [number(video[one]) for one in range(38, -1, -1)] == list(range(38, -1, -1))
    video._decoder._begin = begun
    assert [number(video[one]) for one in (41, 43, 44, 170, 43)] == [41, 43, 44, 170, 43]


def test_what_a_frame_is(video):
    frame = video[33]
    assert frame.image.shape == (180, 320, 3)
    assert frame.image.dtype == np.uint8
    assert (frame.number, frame.is_damaged) == (33, False)
    assert np.stack(video[0:3]).shape == np.asarray(video[0:3]).shape == (3, 180, 320, 3)
    assert repr(frame).startswith("Frame(number=33, media_s=")


def test_frames_and_their_times(video):
    frames = video.frames
    assert len(frames) == FRAMES
    assert np.allclose(np.diff(frames["media_s"]), 1 / 30)
    assert frames["keyframe"].iloc[0]
    assert not frames[["discontinuity", "damaged"]].any().any()
    assert frames["lost_before"].sum() == 0
    assert (frames["offset"].diff().dropna() > 0).all()
    assert video.fps == pytest.approx(30)
    assert video.duration_s == pytest.approx(frames["media_s"].iloc[-1] + 1 / 30)


def test_the_frame_that_is_showing_at_a_time(video):
    start = video.frames["media_s"].iloc[0]
    for at, showing in ((0.0, 0), (start, 0), (start + 1.0, 30), (start + 1.032, 30), (start + 5.95, 178)):
        assert number(video.at(at)) == showing
    assert [number(one) for one in video.between(start + 1, start + 1.2)] == list(range(30, 36))
    assert len(video.between(2, 1)) == 0


def test_what_is_not_there_is_told(video):
    with pytest.raises(IndexError, match=r"has no frame 180: there are 0 to 179"):
        video[FRAMES]
    with pytest.raises(IndexError, match=r"ends at 6\.0"):
        video.at(6.5)
    with pytest.raises(KeyError, match="no mark 'x'"):
        video.at("x")


def test_marks_lead_to_frames(tmp_path):
    source = rk.Synthetic(**SMALL, audio=False, seconds=4)
    recorder = rk.Recorder(tmp_path / "talk.ts")
    with recorder:
        for count, frame in enumerate(source.frames()):
            recorder.write(frame)
            if count == 59:
                recorder.flush()
                recorder.mark("stimulus 3")
    with rk.open(tmp_path / "talk.ts") as video:
        marks = video.marks
        assert marks["name"].tolist() == ["stimulus 3"]
        assert video.at("stimulus 3").number == marks["number"].iloc[0]
        assert abs(marks["number"].iloc[0] - 60) <= 1


def test_audio_lies_where_it_is_heard(video):
    samples, rate = video.audio(0.5, 2.5)
    assert rate == 48_000
    assert samples.shape == (96_000, 2)
    start = video.frames["media_s"].iloc[0]
    beeps = [0.5 + one for one in find_beeps(np.ascontiguousarray(samples[:, 0]), rate)]
    assert beeps == pytest.approx([start + 1, start + 2], abs=0.003)
    beyond, _ = video.audio(5.9, 7.9)
    assert beyond.shape == (96_000, 2)
    assert not beyond[24_000:].any()


def test_audio_is_found_where_libavformat_cannot_seek(tmp_path):
    def as_gstreamer(packet):  # whose matroskamux has no audio frame as a keyframe
        packet.is_keyframe = packet.is_keyframe and packet.stream.type == "video"
        return True

    path = remuxed(make_clip(tmp_path / "a.mp4", seconds=3), tmp_path / "a.mkv", as_gstreamer)
    with rk.open(path) as video:
        whole, rate = video.audio()
        assert np.abs(video.audio(2, 2.5)[0] - whole[2 * rate : 5 * rate // 2]).max() < 0.01
        heard = [one.pts for one in video._track.coded_audio(180_000, 225_000)]
    assert 180_000 <= heard[0] < heard[-1] < 225_000


def test_a_frame_that_cannot_be_decoded_costs_no_other(tmp_path):
    path = make_clip(tmp_path / "talk.mp4", audio=(), seconds=1, options={"bf": "2"})
    with rk.open(path) as video:
        frames, images = video.frames, [frame.image for frame in video]
    last = frames.loc[frames["dts"].idxmax()]
    data = bytearray(path.read_bytes())
    data[last["offset"] : last["offset"] + last["bytes"]] = b"\xff" * last["bytes"]
    path.write_bytes(data)
    with rk.open(path) as video:
        for number in reversed(range(len(images))):
            if number == last.name:
                with pytest.raises(MediaError, match="cannot be decoded"):
                    video[number]
            else:
                assert (video[number].image == images[number]).all()


def test_marks_are_not_those_of_another_recording_of_the_same_stem(tmp_path):
    for suffix in (".ts", ".mp4"):
        with rk.Recorder(tmp_path / f"talk{suffix}") as recorder:
            for at, frame in enumerate(rk.Synthetic(**SMALL, audio=False, seconds=2).frames()):
                recorder.write(frame)
                if at == 30:
                    recorder.flush()
                    recorder.mark(f"of {suffix}")
    copied = rk.export(tmp_path / "talk.ts", tmp_path / "copy.mp4").path
    for name, mark in (("talk.ts", "of .ts"), ("talk.mp4", "of .mp4"), (copied, "of .ts")):
        with rk.open(tmp_path / name) as video:
            assert video.marks["name"].tolist() == [mark]
    (tmp_path / "talk.ts").unlink()
    rk.export(tmp_path / "talk.mp4", tmp_path / "talk.ts")
    with rk.open(tmp_path / "talk.ts") as video:
        assert video.marks["name"].tolist() == ["of .mp4"]


@pytest.mark.parametrize(
    ("suffix", "rate"), [(".mkv", 48_000), (".mkv", 44_100), (".ts", 44_100), (".mp4", 44_100)]
)
def test_audio_whose_times_are_rounded_has_no_gaps(suffix, rate, tmp_path):
    path = tmp_path / f"talk{suffix}"
    tone = np.sin(np.arange(3 * rate // 1024 * 1024) / 7).astype(np.float32) / 2 + 0.1
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("libx264", 10), container.add_stream("aac", rate)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound.layout = "mono"
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(pictures.encode(frame))
        for at in range(0, len(tone), 1024):
            frame = av.AudioFrame.from_ndarray(tone[None, at : at + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            container.mux(sound.encode(frame))
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))
    with av.open(str(path)) as container:
        plain = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    with rk.open(path) as video:
        whole, begins = video.audio(), (0.5, 1.234, 2.0)
        assert whole[1] == rate
        heard = whole[0][rate // 10 : rate * 2, 0]
        shifts = [np.abs(heard - plain[at : at + len(heard)]).max() for at in range(rate // 5)]
        assert min(shifts) < 1e-3
        for begin in begins:
            at = round(begin * rate)
            window = video.audio(at / rate, at / rate + 0.5)[0][:, 0]
            apart = [
                np.abs(window[2:-2] - whole[0][at + 2 + by :, 0][: len(window) - 4]).max() for by in (-1, 0, 1)
            ]
            assert min(apart) < 1e-2


def test_no_more_of_a_file_is_read_for_audio_than_there_may_be(recorded, tmp_path, monkeypatch):
    path = tmp_path / "longer.ts"
    null = b"\x47\x1f\xff\x10" + bytes(184)
    path.write_bytes(recorded.read_bytes() + null * 16_384)
    with rk.open(path) as video:
        ends, once = [0], FileStore.read
        monkeypatch.setattr(FileStore, "read", lambda *given: (ends.append(given[2]), once(*given))[1])
        assert not video.audio(60, 61)[0].size
        assert max(ends) == 0
        samples, _ = video.audio(5.5, 6)
        assert samples[:20_000].any()
        assert max(ends) < recorded.stat().st_size + 188 * 8192


def test_a_dask_array_has_a_block_for_each_group_of_frames(video):
    array = video.to_dask()
    assert array.shape == (FRAMES, 180, 320, 3)
    assert array.numblocks[0] == video.frames["keyframe"].sum()
    assert np.array_equal(array[70].compute(), video[70].image)


def test_frame_mappings_are_in_the_order_of_presentation(video):
    frames = json.loads(video.frame_mappings())["frames"]
    assert [one["pts"] for one in frames] == video.frames["pts"].tolist()
    assert frames[0]["key_frame"] == 1
    assert {one["duration"] for one in frames} == {3000}


def test_who_seeks_by_the_mappings_of_a_clip_finds_its_first_frame(recorded, tmp_path):
    """The keyframe before is not shown; torchcodec showed the next one in its place."""
    rk.export(recorded, tmp_path / "clip.mp4", start=1.5)
    with rk.open(tmp_path / "clip.mp4") as clip:
        frames = json.loads(clip.frame_mappings())["frames"]
        assert not clip.frames["keyframe"].iloc[0]
    assert [one["key_frame"] for one in frames[:2]] == [1, 0]


KINDS = {
    "b-frames.mp4": {"options": {"bf": "3", "g": "40"}},
    "b-frames.mkv": {"options": {"bf": "3", "g": "40"}},
    "b-frames.ts": {"options": {"bf": "3", "g": "40"}},
    "open groups.ts": {"options": {"bf": "3", "g": "40", "x264-params": "open-gop=1"}},
    "gradual refresh.ts": {"options": {"bf": "0", "g": "40", "x264-params": "intra-refresh=1"}},
    "h265.ts": {"video": "libx265", "options": {"preset": "ultrafast", "x265-params": "log-level=none:keyint=40"}},
    "mpeg-2.ts": {"video": "mpeg2video", "options": {"bf": "2", "g": "15", "q": "2"}, "audio": ("mp2",)},
    "without display times.avi": {"options": {"bf": "2", "g": "40"}, "audio": ("mp3",)},
    "raw.h264": {"options": {"bf": "2", "g": "40"}, "audio": ()},
    "motion.mov": {"video": "mjpeg", "pixel_format": "yuvj420p"},
    "vp9.webm": {"video": "libvpx-vp9", "options": {"deadline": "realtime"}, "audio": ("libopus",)},
}


@pytest.mark.parametrize("name", KINDS)
def test_files_of_others(tmp_path, name):
    path = make_clip(tmp_path / name, seconds=4, size=(320, 180), **KINDS[name])
    with rk.open(path) as video:
        count = len(video)
        assert count == 120
        assert [number(frame) for frame in video] == list(range(count))
        asked = random.Random(2).sample(range(count), 25)
        assert [number(video[one]) for one in asked] == asked
        assert (np.diff(video.frames["media_s"]) > 0).all()


def test_a_recording_is_read_while_it_is_written(tmp_path):
    source = iter(rk.Synthetic(**SMALL, audio=False, seconds=4).frames())
    recorder = rk.Recorder(tmp_path / "talk.ts", flush_interval=3600)
    with recorder:
        for _ in range(50):
            recorder.write(next(source))
        recorder.flush()
        with rk.open(tmp_path / "talk.ts") as video:
            assert len(video) == 50
            assert number(video[49]) == 49
            for _ in range(30):
                recorder.write(next(source))
            recorder.flush()
            assert video.duration_s == pytest.approx(50 / 30)
            video._track.refresh()  # as another reader of the same file does
            assert video.frames["media_s"].iloc[79] == pytest.approx(video.time_of(79))
            assert video.refresh() == 80
            assert [number(video[one]) for one in (79, 60, 3)] == [79, 60, 3]
            for frame in source:
                recorder.write(frame)
            recorder.stop()
            assert [number(frame) for frame in video.follow(from_number=100)] == list(range(100, 120))
            assert video.refresh() == 120


def damaged(path: Path, begin: float, packets: int) -> Path:
    """A copy without some packets at a share of its length."""
    data = path.read_bytes()
    at = int(len(data) * begin) // 188 * 188
    copy = path.with_name("damaged.ts")
    copy.write_bytes(data[:at] + data[at + packets * 188 :])
    return copy


def test_frames_around_damage_are_right_and_damaged_ones_are_told(recorded):
    with rk.open(damaged(recorded, 0.4, 12)) as video:
        told = {frame.number for frame in video if frame.is_damaged}
        assert told
        assert len(told) < 60
        shift = FRAMES - len(video)
        right = [one for one in range(len(video)) if one not in told]
        assert all(number(video[one]) in (one, one + shift) for one in right)


def test_a_file_that_shrinks_while_it_is_read_is_told(recorded, tmp_path):
    path = tmp_path / "short.ts"
    path.write_bytes(recorded.read_bytes())
    with rk.open(path) as video:
        path.write_bytes(recorded.read_bytes()[: 188 * 40])
        with pytest.raises((SourceError, rk.MediaError)):
            video[170]


def test_what_cannot_be_opened_is_told(tmp_path):
    with pytest.raises(SourceError, match="cannot be opened"):
        rk.open(tmp_path / "none.ts")
    audio = make_clip(tmp_path / "audio.ts", video=None, seconds=1)
    with pytest.raises(SourceError, match="holds no video"):
        rk.open(audio)
    (tmp_path / "text.ts").write_text("not a film")
    with pytest.raises(SourceError):
        rk.open(tmp_path / "text.ts")
    with pytest.raises(SourceError, match="give a path"):
        rk.open(42)
    with pytest.raises(SourceError, match="x: cannot be opened: File name too long"):
        rk.open(tmp_path / ("x" * 300))


@pytest.mark.parametrize("has_table", [True, False])
def test_frames_and_audio_go_on_where_the_clock_of_33_bits_wraps(recorded, tmp_path, has_table):
    path = tmp_path / "wrap.ts"
    source = Source(recorded)
    coded = list(source.units())
    source.close()
    packetiser, buffer = Packetiser(), PacketBuffer(np.empty((8192, 188), np.uint8))
    for one in sorted({unit.unit.stream: unit for unit in coded}.items()):
        packetiser.declare(one[0], one[1].format)
    table = FrameTable(table_path(path), System(), durable=False)
    shift = (1 << 33) - 3 * 90_000 - coded[0].unit.dts
    for one in coded:
        unit = replace(one.unit, pts=one.unit.pts + shift, dts=one.unit.dts + shift)
        before = buffer.used_bytes
        packetiser.lay(unit, buffer)
        if unit.stream == 0 and has_table:
            table.add(unit, before + packetiser.lead_bytes, packetiser.unit_bytes)
    path.write_bytes(buffer.bytes[: buffer.used_bytes])
    table.flushed(buffer.used_bytes)
    table.close()
    with rk.open(path) as video, rk.open(recorded) as plain:
        assert video._track.is_from_table == has_table
        assert [number(video[one]) for one in (179, 3, 90, 89, 91, 150)] == [179, 3, 90, 89, 91, 150]
        assert np.allclose(video.frames["media_s"], plain.frames["media_s"])
        for begin in (0.5, 2.5, 4.5):
            heard, expected = video.audio(begin, begin + 1)[0], plain.audio(begin, begin + 1)[0]
            assert np.abs(expected).max() > 0.1
            assert np.abs(heard - expected).max() < 0.05


LOOKING_ABOUT = """
import sys
import av.logging
import recordkit as rk
av.logging.set_level(av.logging.PANIC)
for _ in range(20):
    with rk.open(sys.argv[1]) as video:
        for number in (170, 20, 100, 60, 150, 5, 90, 179, 33):
            try:
                video[number % len(video)].image
            except rk.MediaError:
                pass
"""


def test_a_damaged_file_is_let_go_while_others_have_the_log_of_pyav(recorded, tmp_path):
    """While a file is verified, say: a thread of the decoder logs, and needs the lock that its end is held by."""
    data, chance = bytearray(recorded.read_bytes()), random.Random(1)
    for _ in range(2_000):
        at = chance.randrange(20_000, len(data))
        if at % 188 > 20:
            data[at] ^= 0xFF
    path = tmp_path / "damaged.ts"
    path.write_bytes(data)
    subprocess.run([sys.executable, "-c", LOOKING_ABOUT, path], check=True, timeout=GUARD_S)
