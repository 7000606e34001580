"""A transport stream by its frame table: whether there is audio is found without reading all of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from threading import Event

import av
import numpy as np
import pytest

import recordkit as rk
from recordkit.mpegts.tables import crc32
from recordkit.reading.store import FileStore
from recordkit.reading.transport import TransportTrack
from tests.steering import GUARD_S

SECONDS = 20


def record(path: Path, *, audio_from_s: int | None) -> None:
    """Video that is large enough for its end not to be all of it, and audio from a certain second on."""
    chance = np.random.default_rng(5)
    settings = rk.VideoSettings(bit_rate="2M")
    flushed = Event()
    with rk.Recorder(path, video=settings) as recorder:
        recorder.follow(
            lambda record: flushed.set() if isinstance(record, rk.FlushRecord) else None, lambda log: None
        )
        for number in range(SECONDS * 10):
            frame = av.VideoFrame.from_ndarray(chance.integers(0, 256, (96, 128, 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            recorder.write(frame)
            if audio_from_s is not None and number == audio_from_s * 10:
                assert flushed.wait(GUARD_S), "its tables, without audio, were never written"
            if audio_from_s is not None and number >= audio_from_s * 10:
                sound = av.AudioFrame.from_ndarray(np.full((1, 4800), 0.25, np.float32), "fltp", "mono")
                sound.sample_rate, sound.pts, sound.time_base = 48_000, number * 4800, Fraction(1, 48_000)
                recorder.write(sound)


def test_a_recording_without_audio_is_not_read_whole_to_know_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "talk.ts"
    record(path, audio_from_s=None)
    read: list[int] = []
    plain = FileStore.read
    monkeypatch.setattr(FileStore, "read", lambda *a: (read.append(len(data := plain(*a))), data)[1])
    monkeypatch.setattr(TransportTrack, "rescan", lambda track: pytest.fail("the whole file was scanned"))
    with rk.open(path) as video:
        assert path.stat().st_size > 3_000_000
        for _ in range(3):
            samples, rate = video.audio(0, 1)
            assert (len(samples), rate) == (0, 0)
    assert sum(read) < 2_000_000


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording in which audio begins three seconds before the end."""
    path = tmp_path_factory.mktemp("late") / "talk.ts"
    record(path, audio_from_s=SECONDS - 3)
    return path


def test_audio_that_begins_late_is_found_by_the_tables_before_the_end(late: Path) -> None:
    with rk.open(late) as video:
        samples, rate = video.audio(SECONDS - 2, SECONDS - 1)
        assert rate == 48_000
        assert np.abs(samples).mean() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(("before", "behind"), [(0, 0), (4, 0), (0, 16)], ids=["188", "192", "204"])
@pytest.mark.parametrize("is_far", [False, True], ids=["named soon", "named far into the file"])
def test_nothing_of_audio_that_begins_late_is_left_out(
    is_far: bool, before: int, behind: int, late: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_far:
        monkeypatch.setattr("recordkit.reading.transport_scan.MOST_HEAD_BYTES", 1 << 16)
    packets = np.frombuffer(late.read_bytes(), np.uint8).reshape(-1, 188)
    path = tmp_path / "foreign.ts"
    path.write_bytes(np.pad(packets, ((0, 0), (before, behind))).tobytes())
    with av.open(str(late)) as container:
        whole = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    with rk.open(path) as video:
        samples, rate = video.audio()
    begin = int(np.flatnonzero(samples)[0])
    assert begin / rate == pytest.approx(SECONDS - 3, abs=0.03)
    length = min(len(whole), len(samples) - begin)
    first = int(np.flatnonzero(whole)[0])
    np.testing.assert_allclose(samples[begin : begin + length - first, 0], whole[first:length], atol=1e-6)
    assert length > 2.9 * rate


def tone(number: int) -> av.AudioFrame:
    """A tenth of a second, all of one value."""
    sound = av.AudioFrame.from_ndarray(np.full((1, 4800), 0.25, np.float32), "fltp", "mono")
    sound.sample_rate, sound.pts, sound.time_base = 48_000, number * 4800, Fraction(1, 48_000)
    return sound


def picture(number: int) -> av.VideoFrame:
    """A tenth of a second."""
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), "rgb24")
    frame.pts, frame.time_base = number, Fraction(1, 10)
    return frame


@pytest.mark.parametrize("has_table", [True, False], ids=["with its frame table", "without"])
def test_audio_that_tables_name_before_the_video_is_heard(tmp_path: Path, has_table: bool) -> None:
    path = tmp_path / "talk.ts"
    with rk.Recorder(path) as recorder:
        for number in range(40):
            recorder.write(tone(number))
            if number >= 20:
                recorder.write(picture(number))
    if not has_table:
        path.with_suffix(".frames").unlink()
    with rk.open(path) as video:
        assert video[0].media_s == pytest.approx(2, abs=0.03)
        assert video.duration_s == pytest.approx(4, abs=0.03)
        samples, rate = video.audio(0.5, 1.5)
    assert rate == 48_000
    assert np.abs(samples).mean() == pytest.approx(0.25, abs=0.02)


def test_audio_of_which_the_tables_do_not_tell_the_coding_is_found(tmp_path: Path) -> None:
    path, copy = tmp_path / "talk.ts", tmp_path / "copy.mp4"
    with rk.Recorder(path) as recorder:
        for number in range(20):
            recorder.write(tone(number))
            recorder.write(picture(number))
    path.with_suffix(".frames").unlink()
    with rk.open(path) as video:
        begin = int(video._track.start_s * 90_000)
        coded = [one.data for one in video._track.coded_audio(begin, begin + 180_000)]
    packets = bytearray(path.read_bytes())
    for at in range(0, len(packets), 188):
        if packets[at + 1 : at + 3] != b"\x50\x00":
            continue  # no PMT
        section = packets[at + 5 : at + 188]
        end = 3 + (int.from_bytes(section[1:3]) & 0xFFF) - 4
        kind = section.index(b"\x0f\xe1", 12)
        packets[at + 5 + kind] = 0x06  # private data, as FFmpeg calls AAC in an .m2ts
        packets[at + 5 + end : at + 9 + end] = crc32(bytes(packets[at + 5 : at + 5 + end])).to_bytes(4)
    path.write_bytes(packets)
    with rk.open(path) as video:  # for pages: without the headers that a transport stream has
        assert [one.data for one in video._track.coded_audio(begin, begin + 180_000)] == coded
    rk.export(path, copy)
    for one in (path, copy):
        with rk.open(one) as video:
            samples, rate = video.audio(0.5, 1.5)
        assert rate == 48_000
        assert np.abs(samples).mean() == pytest.approx(0.25, abs=0.02)


def test_a_file_that_grows_is_looked_through_once_for_audio_that_begins(late: Path) -> None:
    with rk.open(late) as video:
        rows, data = video._track.index.units.copy(), late.read_bytes()

    class Growing:
        name, size, read_bytes = "talk.ts", len(data) // 4 // 188 * 188, 0

        def read(self, begin: int, end: int) -> bytes:
            self.read_bytes += max(min(end, self.size) - begin, 0)
            return data[begin : min(end, self.size)]

        def close(self) -> None:
            pass

    store = Growing()
    known = int(np.searchsorted(rows["offset"], store.size)) - 2
    track = TransportTrack(store, is_growing=True, rows=rows[:known])
    assert list(track.coded_audio(0, 90_000)) == []
    before = store.read_bytes
    for _ in range(10):
        assert list(track.coded_audio(0, 90_000)) == []
    assert store.read_bytes - before < 10 * 188
    assert track.is_from_table
    store.size = len(data)
    track.refresh()
    end = int(track.index.units["pts"][-1])
    assert list(track.coded_audio(end - 90_000, end))
