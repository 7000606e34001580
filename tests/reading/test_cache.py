"""What a scan found is kept, and believed for as long as the file is the one that was scanned."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import recordkit as rk
from recordkit.mpegts.laying import PacketBuffer
from recordkit.mpegts.packetiser import Packetiser
from recordkit.reading import cache
from recordkit.reading.store import FileStore
from recordkit.reading.transport import TransportTrack
from recordkit.reading.units import Source
from recordkit.sources.marks import read_frame_number
from recordkit.ticks import TICKS_PER_SECOND
from tests.media import make_clip

KINDS = {
    "b-frames.mkv": {"options": {"bf": "3", "g": "20"}},
    "b-frames.ts": {"options": {"bf": "3", "g": "20"}},
    "without display times.avi": {"options": {"bf": "2", "g": "20"}, "audio": ("mp3",)},
    "raw.h264": {"options": {"bf": "2", "g": "20"}, "audio": ()},
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SMALLEST_BYTES", 0)
    return tmp_path / "cache" / "recordkit" / "frames"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mkv", seconds=1, size=(320, 180))


@pytest.fixture
def copied(clip, tmp_path):
    return shutil.copy(clip, tmp_path / "clip.mkv")


def opened(path):
    """The frames of a file, and whether they were known before."""
    with rk.open(path) as video:
        asked = (len(video) - 1, 0, len(video) // 2, 21)
        assert [read_frame_number(video[number].frame) for number in asked] == list(asked)
        return video.frames, video._track.is_from_table


@pytest.mark.parametrize("name", KINDS)
def test_a_second_look_tells_the_same(tmp_path, name):
    path = make_clip(tmp_path / name, seconds=2, size=(320, 180), **KINDS[name])
    frames, was_known = opened(path)
    again, is_known = opened(path)
    assert (was_known, is_known) == (False, True)
    pd.testing.assert_frame_equal(again, frames)


def test_a_file_that_has_changed_is_scanned_anew(copied):
    opened(copied)
    assert opened(copied)[1]
    status = copied.stat()
    os.utime(copied, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert not opened(copied)[1]
    with copied.open("ab") as file:
        file.write(bytes(9))
    os.utime(copied, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert not opened(copied)[1]


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"no JSON\n", b"[1]\n", None])
def test_what_is_broken_is_not_believed(copied, folder, damage):
    opened(copied)
    (entry,) = folder.iterdir()
    entry.write_bytes(entry.read_bytes()[:-50] if damage is None else damage)
    assert not opened(copied)[1]
    assert opened(copied)[1]


def test_what_libavformat_read_is_not_scanned_as_a_transport_stream_again(tmp_path, monkeypatch):
    path = make_clip(
        tmp_path / "mpeg-2.ts", seconds=2, size=(320, 180), video="mpeg2video", options={"q": "2"}, audio=()
    )
    frames, _ = opened(path)
    monkeypatch.setattr("recordkit.reading.opening.TransportTrack", None)
    again, is_known = opened(path)
    assert is_known
    pd.testing.assert_frame_equal(again, frames)


def laid(units, shift):
    """The bytes of a transport stream of these units, so many ticks later."""
    packetiser, buffer = Packetiser(), PacketBuffer(np.empty((8192, 188), np.uint8))
    packetiser.declare(0, units[0].format)
    for one in units:
        packetiser.lay(replace(one.unit, pts=one.unit.pts + shift, dts=one.unit.dts + shift), buffer)
    return bytes(buffer.bytes[: buffer.used_bytes])


def test_the_first_time_of_all_is_the_same_although_the_head_does_not_tell_it(tmp_path):
    source = Source(make_clip(tmp_path / "clip.ts", seconds=2, size=(320, 180), audio=(), options={"g": "30"}))
    units = list(source.units())
    source.close()
    path = tmp_path / "joined.ts"
    path.write_bytes(laid(units[:30], 20 * TICKS_PER_SECOND) + laid(units[30:], 0))
    (frames, was_known), (again, is_known) = opened(path), opened(path)
    assert (was_known, is_known) == (False, True)
    pd.testing.assert_frame_equal(again, frames)
    assert again.attrs == frames.attrs
    assert again["media_s"].min() == 0


def test_that_there_is_no_audio_is_kept_too_and_audio_that_begins_late_is_found(tmp_path, monkeypatch):
    silent = make_clip(tmp_path / "silent.ts", seconds=1, size=(320, 180), audio=())
    late = tmp_path / "late.ts"
    late.write_bytes(silent.read_bytes() + make_clip(tmp_path / "clip.ts", seconds=2, size=(320, 180)).read_bytes())
    for _ in range(2):
        with rk.open(late) as video:
            assert video.audio()[1] == 48_000
    opened(silent)
    monkeypatch.setattr(TransportTrack, "rescan", lambda track: pytest.fail("the whole file was scanned"))
    with rk.open(silent) as video:
        assert video._track.is_from_table
        samples, rate = video.audio()
        assert (len(samples), rate) == (0, 0)


def test_a_file_that_vanishes_is_told_of_by_who_reads_it(copied):
    store = FileStore(copied)
    copied.unlink()
    assert cache.Cached(copied, store).read() is None
    store.close()


def test_a_folder_that_can_only_be_read_is_believed(copied, monkeypatch):
    opened(copied)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "utime", refuse)
    assert opened(copied)[1]


def test_no_more_is_kept_than_the_limit(copied, folder, monkeypatch, tmp_path):
    opened(copied)
    (first,) = folder.iterdir()
    os.utime(first, (1, 1))
    monkeypatch.setattr(cache, "MOST_BYTES", first.stat().st_size * 3 // 2)
    opened(shutil.copy(copied, tmp_path / "other.mkv"))
    assert first.name not in [one.name for one in folder.iterdir()]
    assert len(list(folder.iterdir())) == 1


def test_small_files_leave_nothing(copied, folder, monkeypatch):
    monkeypatch.setattr(cache, "SMALLEST_BYTES", copied.stat().st_size + 1)
    opened(copied)
    assert not folder.exists()


def test_where_nothing_can_be_kept_each_look_is_the_first(copied, folder, monkeypatch, tmp_path):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    assert [opened(copied)[1], opened(copied)[1]] == [False, False]
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "relative")
    assert [opened(copied)[1], opened(copied)[1]] == [False, False]
